"""What filters, encoders, events and arrays of images become: kept, see ``helpers/outputs.py``."""

import numpy as np
import pytest
from outputs import Outputs, refused

from spikingconvnet.data import colour, deformation, encoding, events, filters, idx, images, pixels, resize
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields

CASES = Outputs("data")


def rng():
    return np.random.default_rng(122)


def grey(*shape):
    return rng().integers(0, 256, shape).astype(np.uint8)


@CASES
def filtered_images():
    shown = grey(3, 9, 7)
    slanted = np.zeros((3, 9, 7), np.uint8)
    for row in range(9):
        slanted[0, row, row * 6 // 8], slanted[1, row, 3], slanted[2, 0] = 200, 90, 50
    chosen = (filters.Intensity(), filters.BitPlanes(), filters.DifferenceOfGaussians(0.7, 1.5, 0.3),
              colour.Colours(), colour.Opponents(filters.Intensity()))
    return [[one(shown) for one in chosen],
            [filters.gaussian_matrix(9, sigma) for sigma in (0.3, 0.5, 1.0, 1.124, 2.0)],
            [filters.Deslanted(filters.Intensity(), limit).upright(part) for limit in (1.0, 0.2)
             for part in (shown, slanted)], filters.together(chosen[1](shown), filters.BitPlanes.worth),
            [filters.is_filter(one) for one in (*chosen, filters.Intensity, None, len)],
            [one.channel_names for one in chosen], colour.luminance(grey(2, 4, 4, 3)),
            chosen[3](grey(2, 3, 3, 3)), chosen[4](grey(2, 3, 3, 3))]


@CASES
def sizes_and_copies():
    return [[resize.scaling_matrix(*sizes) for sizes in ((7, 3), (3, 7), (5, 5), (1, 4), (4, 1))],
            resize.resized(grey(3, 6, 5), (4, 9)), resize.resized(grey(3, 6, 5, 3), (3, 2)),
            deformation.Deformation(copies=2)(grey(3, 8, 6), rng()),
            deformation.Deformation(copies=1, rotation=90.0, shear=1.0, stretch=0.5, shift=3.0)(grey(4, 7, 7), rng())]


def test_sizes_do_not_depend_on_how_many_images_go_at_a_time(monkeypatch):
    whole = resize.resized(grey(7, 6, 5), (4, 4))
    monkeypatch.setattr(resize, "AT_ONCE", 3)
    assert np.array_equal(resize.resized(grey(7, 6, 5), (4, 4)), whole)


@CASES
def populations_of_numbers():
    values = rng().random((6, 1, 4))
    values[:, 0, 2] = 3.0
    code = GaussianReceptiveFields(fields=4, width=0.7, silent_below=0.2)
    fitted = code.fitted(values)
    return [fitted, fitted(values), fitted(values + 0.5), fitted.fitted(values * 2) == fitted, code.channels,
            code.channel_names, refused(code, values), refused(GaussianReceptiveFields, low=(0.0,)),
            refused(GaussianReceptiveFields, low=(0.0,), high=(1.0, 2.0))]


@CASES
def encoded_values():
    values = np.concatenate([rng().random((2, 1, 3, 4)), np.linspace(0, 1.2, 12).reshape(1, 1, 3, 4)])
    chosen = (encoding.LatencyEncoder(n_steps=7, threshold=0.1, saturation=0.9),
              encoding.RegularEncoder(n_steps=9, max_rate=0.7, threshold=0.2),
              encoding.RegularEncoder(n_steps=9, max_rate=1.0, random_phase=True),
              encoding.RateEncoder(n_steps=8, max_rate=0.6, threshold=0.3))
    silent = encoding.LatencyEncoder(threshold=0.5)(np.zeros((3, 1, 2, 2)))
    dark = np.zeros((3, 2, 2), np.uint8)
    return [[one(values, rng()) for one in chosen], [one.shown(values) for one in chosen[1:]],
            encoding.encode(grey(5, 3, 4), filters.Intensity(), chosen[0], rng(), batch=2),
            encoding.encode(grey(5, 3, 4)[:0], filters.Intensity(), chosen[0], rng()),
            encoding.shown(grey(2, 3, 4), filters.Intensity(), chosen[1]),
            encoding.shown(grey(2, 3, 4), filters.Intensity(), chosen[0]),
            refused(chosen[2], values), refused(encoding.rate_of, chosen[0], "RULE one"),
            encoding.rate_of(chosen[3], "RULE one"),
            [refused(encoding.check_fires, silent, dark, filters.Intensity(), one, "train") for one in chosen]]


def test_regular_spikes_do_not_depend_on_how_many_inputs_go_at_a_time(monkeypatch):
    code, values = encoding.RegularEncoder(n_steps=9, max_rate=0.8, random_phase=True), rng().random((2, 1, 3, 4))
    whole = code(values, rng())
    monkeypatch.setattr(encoding, "TOGETHER", 5)
    assert code(values, rng()) == whole


def events_of(n=60, labels=4):
    draw = rng()
    return events.event_set(draw.integers(0, labels, n), draw.integers(0, 9_000, n) / 2, draw.integers(0, 6, n),
                            draw.integers(0, 5, n), draw.integers(0, 2, n), np.arange(labels, dtype=np.uint8))


@CASES
def sets_of_events():
    one = events_of()
    joined = one.joined(events_of(20, 3))
    return [[one.images, one.labels, one.offsets, one.t, one.x, one.y, one.p.astype(int)],
            [one.select([3, 1, 1]).offsets, one.select([3, 1, 1]).t, one.select([3, 0]).x],
            [joined.images, joined.offsets, joined.t, joined.y], refused(one.select, [4]),
            *(refused(events.event_set, *(np.array(part) for part in given), np.zeros(1, np.uint8), size)
              for given, size in ((([], [], [], [], []), None), (([0], [np.nan], [0], [0], [0]), None),
                                  (([0], [0.0], [3], [0], [0]), (2, 3)), (([0], [0.0], [2], [2], [0]), (2, 3)),
                                  (([0], [0.0], [2], [1], [0]), (2, 3)), (([0], [0.0], [-1], [0], [0]), None),
                                  (([0], [0.0], [4095], [0], [0]), (1, 4096)),
                                  (([0], [0.0], [4095], [0], [0]), (1, 4097)))[:6])]


@CASES
def events_as_spikes():
    one, found = events_of(200), []
    for settings in ({}, {"pool": 2}, {"crop": (1, 2, 4, 3)}, {"polarity": False, "once": False}, {"clip": 2},
                     {"clip": 1, "polarity": False, "scale": 2.0}, {"crop": (1, 1, 3, 5), "pool": 2, "once": False}):
        bins = events.EventBins(size=(5, 6), n_steps=4, per_step=900.0, **settings)
        found.append([bins(one), bins.left_out(one), bins.values(one), bins.shape, bins.channels, bins.channel_names,
                      bins.max_rate, repr(bins)])
    empty = events.EventBins(size=(5, 6), n_steps=1, per_step=900.0, crop=(0, 0, 1, 1), clip=1)
    return [found, refused(events.EventBins(size=(4, 6)), one), refused(events.EventBins(size=(5, 5)), one),
            [refused(events.EventBins, size=(5, 6), **more) for more in (
                {"crop": (2, 1, 4, 5)}, {"crop": (1, 2, 4, 5)}, {"pool": 6}, {"crop": (0, 0, 5, 2), "pool": 3})],
            refused(empty.check, empty(one).__class__.empty((2, 1, 1), 4, 1), one, "train")]


@CASES
def arrays_of_images():
    draw = rng()
    shapes = ((2, 16), (2, 12), (2, 48), (2, 3, 4), (2, 3, 4, 1), (2, 3, 4, 3), (2, 3, 4, 4), (2, 3, 5, 6),
              (2, 1, 5, 6), (2, 4, 5, 6), (2, 2, 5, 6), (2,), (0, 3, 4), (2, 0, 4), (2, 3, 4, 3, 1),
              (1, 4096, 1), (1, 4097, 1))
    given = (draw.random((2, 3)), draw.random((2, 3)) * 4 - 1, np.arange(6).reshape(2, 3) * 51, np.arange(6) + 123.0,
             np.arange(6) + 122.0, np.arange(6) + 251, np.array([True, False]), np.zeros(3),
             np.array([np.nan, 1, np.inf]), np.arange(6.0) / 5, np.arange(6) / 5.0 - 0.5,
             np.array([300, -5, 128, 256]), np.array([0.5, 2.0]))
    return [[refused(lambda shape=shape: pixels.pixel_axes(np.arange(np.prod(shape)).reshape(shape), "X").shape
                     if np.prod(shape) < 99 else pixels.pixel_axes(np.zeros(shape), "X").shape) for shape in shapes],
            pixels.pixel_axes(np.arange(48).reshape(1, 48), "X"), pixels.pixel_axes(np.arange(96).reshape(
                1, 4, 4, 6), "X"), refused(pixels.pixel_axes, np.array([["a"]]), "X"),
            [refused(pixels.found_span, one, "X") for one in given],
            [refused(pixels.as_bytes, one, "X") for one in given],
            pixels.as_bytes(np.array([300, -5, 128]), "X", (0, 255)),
            pixels.as_bytes(np.array([3.0, -5, 128]), "X", (-2.0, 100.0))]


@CASES
def ranges_and_files():
    shown, name = grey(2, 3, 3), "set, train"
    asked = ((shown, None), (shown // 2, None), (shown // 4, None), (shown // 4, 63), (shown // 4, 64),
             (0 * shown, None), (shown, 256), (shown, 200), (shown[[0, 0]], None), (shown[:1], None), (shown, 255))
    heads = (b"", b"\0\0", b"\0\0\x08\x03", idx.struct.pack(">4I", 2051, 2, 3, 4),
             idx.struct.pack(">4I", 2051, 0, 3, 4),
             idx.struct.pack(">4I", 2051, 2, 0, 4), idx.struct.pack(">4I", 2051, 2, 4097, 4), idx.struct.pack(
                 ">4I", 2051, 2, 3, 4096), idx.struct.pack(">2I", 2049, 5), idx.struct.pack(">4I", 0x0D03, 2, 3, 4),
             idx.struct.pack(">5I", 0x0804, 2, 3, 4, 1), idx.struct.pack(">4I", 77, 2, 3, 4))
    return [[refused(images.full_range, one, white, name, own) for one, white in asked for own in (False, True)],
            [refused(idx._declared_shape, "file", head, kind) for head in heads for kind in ("images", "labels")],
            [idx._other_kind(head, "images") for head in heads],
            [refused(images.whole_numbers, "A", "b", one) for one in ([1, 2], [], [0.5], [[1]], [True])],
            images.scaled(shown, 100), images.scaled(shown, None),
            [refused(images.ImageSet, *given) for given in ((shown, np.zeros(2, np.uint8)), (shown, np.zeros(
                3, np.uint8)), (shown[:, 0], np.zeros(2, np.uint8)), (shown[:, :0], np.zeros(2, np.uint8)), (
                    shown.astype(int), np.zeros(2, np.uint8)))]]


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
