"""What a converted network is shown, and the texts about it: by small events and images, without torch."""

from argparse import Namespace
from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet.cli import conversion, conversion_shown
from spikingconvnet.cli.conversion_shown import bins_of, events_of, images_of, refuse_for_images, scale_is_told
from spikingconvnet.data.events import EventBins, event_set
from spikingconvnet.data.images import ImageSet
from spikingconvnet.errors import SettingsError


def events(n=6, duration=50.0, size=(8, 8), classes=2):
    """Samples of five events each, the last at `duration` ms; their unit is a microsecond."""
    sample, k = np.repeat(np.arange(n), 5), np.arange(5 * n)
    t, labels = 1000 * np.tile([0.0, 0.0, 2.0, 3.0, duration], n), (np.arange(n) % classes).astype(np.uint8)
    return event_set(sample, t, k * 3 % size[1], k // 5 % size[0], k % 2, labels, size)


def given(**options):
    return Namespace(**{"set": None, "scale": None, "clip": None, **options})


@pytest.mark.parametrize("sensor, shape, pool, polarity", [
    ((28, 28), (1, 28, 28), 1, False), ((28, 28), (2, 28, 28), 1, True), ((34, 34), (2, 17, 17), 2, True),
    ((35, 35), (2, 17, 17), None, True), ((33, 33), (2, 17, 17), 2, True), ((128, 128), (1, 32, 32), 4, False),
    ((40, 40), (1, 50, 50), 1, False), ((40, 40), (1, 51, 40), None, False), ((40, 40), (1, 39, 40), None, False),
    ((240, 180), (1, 24, 18), 10, False), ((231, 180), (1, 24, 18), 10, False), ((228, 180), (1, 24, 18), None, False),
    ((10, 20), (1, 5, 5), None, False), ((28, 28), (3, 28, 28), None, False)])
def test_events_are_pooled_to_what_a_network_sees(sensor, shape, pool, polarity):
    if pool is None:
        with pytest.raises(SettingsError, match="--mode convert: a network of 3 channels" if shape[0] == 3 else
                           f"the network sees {shape[1]}x{shape[2]} pixels, and the events reach"):
            conversion_shown._fitted(sensor, shape)
        return
    found = conversion_shown._fitted(sensor, shape)
    assert found == EventBins(size=(shape[1] * pool, shape[2] * pool), pool=pool, polarity=polarity, once=False)
    assert found.shape == shape


@pytest.mark.parametrize("duration, n_steps", [(9.0, 10), (9.9, 10), (8.99, None), (10.0, 11), (99.5, 100)])
def test_the_longest_sample_tells_the_steps(duration, n_steps):
    if n_steps is None:
        with pytest.raises(SettingsError, match="lasts 8990 of the events' unit of time, 9 steps of 1000; say"):
            conversion_shown._steps(events(duration=duration), EventBins())
    else:
        assert conversion_shown._steps(events(duration=duration), EventBins()) == n_steps
        assert conversion_shown._steps(events(duration=duration), EventBins(per_step=500.0)) == int(duration / 0.5) + 1


def test_places_are_spread_evenly():
    assert conversion_shown._spread(5, 10).tolist() == [0, 1, 2, 3, 4] == conversion_shown._spread(5, 5).tolist()
    assert conversion_shown._spread(9, 3).tolist() == [0, 4, 8] and conversion_shown._spread(1, 3).tolist() == [0]


def test_options_and_the_sensor_make_the_encoder():
    part = events()
    assert bins_of(part, None, given()) == EventBins(size=(8, 8), n_steps=51, once=False)
    assert bins_of(part, (2, 4, 4), given(scale="3", clip=2)) == EventBins(size=(8, 8), pool=2, n_steps=51, scale=3.0,
                                                                          clip=2, once=False)
    told = given(set=["ENCODER.n_steps=30", "ENCODER.pool=4"])
    assert bins_of(part, (2, 2, 2), told) == EventBins(size=(8, 8), pool=4, n_steps=30, once=False)
    with pytest.raises(SettingsError, match="--input-shape: the network sees 2x4x4, and ENCODER shows 2x2x2; say"):
        bins_of(part, (2, 4, 4), told)
    with pytest.raises(SettingsError, match="--set SLOT: with --mode convert it takes fields of ENCODER., as"):
        bins_of(part, None, given(set=["SLOT=3"]))
    assert conversion_shown._by((1, 2, 3)) == "1x2x3" and conversion_shown._by(None) == ""


@pytest.mark.parametrize("options, told", [({}, False), ({"scale": "1"}, True), ({"set": ["ENCODER.scale=2"]}, True),
                                           ({"set": ["ENCODER.clip=2"]}, False)])
def test_the_scale_is_told_by_either_option(options, told):
    assert scale_is_told(given(**options)) == told


def test_an_encoder_is_written_without_its_defaults():
    default = EventBins()
    assert conversion_shown._code(default) == (f"EventBins(size={default.size!r}, n_steps={default.n_steps},"
                                               f" scale={default.scale!r})")
    assert conversion_shown._code(EventBins(size=(8, 8), pool=2, n_steps=20, once=False)) == (
        "EventBins(size=(8, 8), n_steps=20, pool=2, once=False, scale=1.0)")


def known_by(*shares):
    """An accuracy that gives these shares one after another, and what it was asked."""
    asked, left = [], list(shares)

    def accuracy(values, units):
        asked.append((values.sum(), values.max(), units.tolist()))
        return left.pop(0)

    return accuracy, asked


BINS = EventBins(size=(8, 8), n_steps=51, once=False, scale=2.0)


def test_events_are_shown_and_what_the_network_knows_of_them_is_told():
    accuracy, asked = known_by(0.5, 0.55, 0.3, 0.55, 0.1)
    shown = events_of(events(), BINS, accuracy, (0, 1), True)
    assert shown.code == "ENCODER = EventBins(size=(8, 8), n_steps=51, once=False, scale=2.0)"
    assert (shown.names, shown.n_steps, shown.first, shown.n_train, shown.last, shown.start) == (
        ("EventBins",), 51, 0, 6, 51, "")
    assert shown.images.shape == (6, 2, 8, 8) and shown.bins is BINS
    assert shown.told == ("ENCODER = EventBins(size=(8, 8), n_steps=51, once=False, scale=2.0); the events reach 8x8"
                          " pixels", "the network itself recognises 50.0 % of 6 training samples with --scale 2")
    largest = int(BINS(events()).counts().max())
    assert [one[0] for one in asked] == pytest.approx([15.0, 30.0, asked[2][0], 30.0 / largest, 30.0 / 51])
    assert all(one[2] == [0, 1, 0, 1, 0, 1] for one in asked) and asked[2][1] == 1.0


def test_a_scale_that_is_clearly_better_and_few_steps_are_warned_of():
    accuracy, _ = known_by(0.5, 0.4, 0.56, 0.3, 0.1)
    few = replace(BINS, n_steps=39, clip=3)
    told = events_of(events(), few, accuracy, (0, 1), True).told
    assert told[1].endswith("with --scale 2 --clip 3")
    assert "warning: with --scale 1 --clip 1 it recognises 56.0 %; is that what it was trained on?" in told
    assert told[-1] == ("warning: 39 steps a sample are few: a layer that fires in every fourth at most counts to 9;"
                        " --set ENCODER.per_step=250 makes more of them")
    assert any(line.endswith(" of the events are left out by ENCODER.n_steps") for line in told)
    accuracy, _ = known_by(0.5, 0.4, 0.5, 0.3, 0.1)
    assert len(events_of(events(duration=39.0), replace(BINS, n_steps=40), accuracy, (0, 1), True).told) == 2


def test_without_a_scale_what_several_would_give_is_told():
    accuracy, _ = known_by(0.5, 0.25, 0.125, 0.1, 0.0)
    with pytest.raises(SettingsError) as caught:
        events_of(events(), BINS, accuracy, (0, 1), False)
    text = str(caught.value)
    assert ("It recognises of 6 training samples 50.0 % with --scale 2, 25.0 % with --scale 1, 12.5 % with --scale 1"
            " --clip 1, 10.0 % with --scale ") in text and "0.0 % with --scale 51 (spikes" in text


@pytest.mark.parametrize("shape, filter_, pictures, why", [
    ((1, 4, 4), "Intensity", (2, 4, 4), ""), ((3, 4, 4), "Colours", (2, 4, 4, 3), ""),
    ((1, 4, 5), "Intensity", (2, 4, 4), "the images of there are 4x4"), ((1, 4, 4), "Intensity", None, "none")])
def test_images_are_shown_at_a_rate(shape, filter_, pictures, why):
    values = None if pictures is None else (np.arange(np.prod(pictures)) * 5 % 256).astype(np.uint8).reshape(pictures)
    part = None if values is None else ImageSet(values, np.zeros(2, np.uint8))
    shown = images_of(part, why, shape, "there")
    assert shown.code == f"FILTER = {filter_}()\nENCODER = RegularEncoder(n_steps=250, max_rate=1.0)"
    assert (shown.names, shown.n_steps, shown.first, shown.why, shown.n_train) == (
        (filter_, "RegularEncoder"), 250, 62, why, 2000)
    assert shown.last is None and shown.start == "start=0.5, spread=True, " and (shown.images is None) == bool(why)
    if not why:
        expected = values[:, None] if shape[0] == 1 else np.moveaxis(values, 3, 1)
        assert shown.images.dtype == np.float32 and np.array_equal(shown.images, np.float32(expected / 255.0))


def test_images_of_other_channels_and_options_of_events_are_refused():
    with pytest.raises(SettingsError, match="images of 2 channels: parameters show grey ones"):
        images_of(None, "", (2, 4, 4), "x")
    refuse_for_images(given(), "data")
    for name, value in (("scale", "1"), ("clip", 1), ("set", ["ENCODER.pool=2"])):
        with pytest.raises(SettingsError, match=f"--{name}: with --mode convert it belongs to events, and data holds"):
            refuse_for_images(given(**{name: value}), "data")


@pytest.mark.parametrize("text, between, kind, found", [
    ("1x28x28", "x", int, (1, 28, 28)), ("0.5,1", ",", float, (0.5, 1.0)), ("nan", ",", float, None),
    ("1,inf", ",", float, None), ("1x2.5", "x", int, None), ("", ",", float, None)])
def test_numbers_of_an_option(text, between, kind, found):
    if found is not None:
        assert conversion._numbers(text, "--mean", between, kind) == found
        return
    like = "1x28x28" if between == "x" else "0.1307, or one for each channel"
    with pytest.raises(SettingsError, match=f"--mean: must be numbers as {like}"):
        conversion._numbers(text, "--mean", between, kind)


@pytest.mark.parametrize("labels, outputs, classes", [
    ([0, 1, 2], 3, (0, 1, 2)), ([1, 2, 3], 3, (1, 2, 3)), ([0, 1], 3, (0, 1, 2)), ([1, 3], 3, (0, 1, 2)),
    (None, 2, (0, 1)), ([0, 2, 5], 3, (0, 2, 5))])
def test_outputs_stand_for_classes(labels, outputs, classes):
    part = None if labels is None else ImageSet(np.zeros((len(labels), 2, 2), np.uint8), np.array(labels, np.uint8))
    assert conversion._classes(part, outputs, "x") == classes


def test_events_of_more_classes_than_outputs_are_refused():
    with pytest.raises(SettingsError, match="the network has 2 outputs, and x 3 classes, up to 2"):
        conversion._classes(events(classes=3), 2, "x")
    assert conversion._classes(events(classes=2), 2, "x") == (0, 1)
    assert conversion._classes(events(classes=2), 3, "x") == (0, 1, 2)


def test_images_are_normalised_by_channel():
    images = np.arange(8.0).reshape(1, 2, 2, 2)
    assert np.array_equal(conversion._normalised(images, None, None), images)
    found = conversion._normalised(images, (1.0, 2.0), (2.0, 4.0))
    assert np.array_equal(found, (images - [[[[1.0]], [[2.0]]]]) / [[[[2.0]], [[4.0]]]])
