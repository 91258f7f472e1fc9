"""All that figures are made of: sizes, texts, ticks, lines, pictures, patches and looks (``golden/figures.json``).

Nothing is rendered, so fonts and the layout of matplotlib's releases do not matter. After a change that is meant:

    PYTHONPATH=. python tests/plotting/test_artists.py
"""

import json
import zlib
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.ticker import FixedLocator, MaxNLocator

from spikingconvnet import plotting
from spikingconvnet.errors import SettingsError
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.plotting import events, frame, maps

GOLDEN = Path(__file__).parents[1] / "golden" / "figures.json"


# ---------------------------------------------------------------- what there is in a figure


def plain(values):
    """Numbers as JSON holds them; of many their shape, a few sums and whether they are in this order."""
    array = np.ma.filled(np.ma.asarray(values, float), np.nan)
    rounded = np.round(array, 6) + 0.0
    if array.size > 40:
        weighted = np.nansum(rounded.ravel() * (np.arange(array.size) % 97 + 1))
        return [list(array.shape), int(np.isnan(array).sum()), round(float(np.nansum(rounded)), 3),
                round(float(weighted), 2)]
    return [None if np.isnan(value) else float(f"{value:.6g}") for value in rounded.ravel()]


def of_text(text):
    return [text.get_text(), round(float(text.get_size()), 3), to_hex(text.get_color()), text.get_rotation(),
            text.get_ha(), text.get_va(), text.get_visible(), text.get_in_layout(), plain(text.get_position())]


def of_axis(axis):
    locator, tick, minor = axis.get_major_locator(), *(axis._major_tick_kw, axis._minor_tick_kw)
    told = {"label": of_text(axis.label)[:4], "looks": [[kw.get(key) for key in ("labelsize", "size", "gridOn")]
                                                        for kw in (tick, minor)],
            "limits": plain(axis.get_view_interval()), "scale": axis.get_scale()}
    if isinstance(locator, FixedLocator):
        told["ticks"] = plain(locator.locs)
        told["labels"] = [[text.get_text(), text.get_size(), text.get_rotation()] for text in axis.get_ticklabels()]
    elif isinstance(locator, MaxNLocator):
        told["locator"] = [str(locator._nbins), locator._integer, locator._min_n_ticks]
    if isinstance(axis.get_minor_locator(), FixedLocator):
        told["minor"] = plain(axis.get_minor_locator().locs)
        told["grid"] = [str(minor.get(key)) for key in ("grid_color", "grid_linewidth")]
    return told


def of_line(line):
    return [line.get_label(), plain(line.get_xdata()), plain(line.get_ydata()), to_hex(line.get_color()),
            line.get_linestyle(), line.get_linewidth(), str(line.get_marker()), round(float(line.get_markersize()), 4),
            round(float(line.get_markeredgewidth()), 4), line.get_alpha() and round(float(line.get_alpha()), 6),
            line.get_rasterized(), line.get_zorder(), plain(line._unscaled_dash_pattern[1] or [])]


def of_image(image):
    return [plain(image.get_array()), plain(image.get_clim()), image.get_cmap().name, image.get_interpolation(),
            type(image.norm).__name__, getattr(image.norm, "gamma", None), to_hex(image.get_cmap().get_bad()),
            plain(image.get_extent())]


def of_steps(patch):
    data = patch.get_data()
    return [plain(data.values), plain(data.edges), plain(data.baseline if data.baseline is not None else []),
            to_hex(patch.get_facecolor()), patch.get_alpha(), patch.get_linewidth(), patch.get_fill(),
            patch.get_label()]


def of_lines(lines):
    return [plain([x for part in lines.get_segments() for x in np.ravel(part)]), plain(lines.get_linewidth()),
            [to_hex(colour) for colour in lines.get_colors()], lines.get_zorder()]


def of_legend(legend):
    return legend and [[[text.get_text(), text.get_size()] for text in legend.get_texts()], legend._ncols,
                       legend.get_frame_on(), str(legend._loc_real if hasattr(legend, "_loc_real") else legend._loc),
                       plain(legend._bbox_to_anchor.bounds) if legend._bbox_to_anchor else None]


def of_axes(axes):
    spec = axes.get_subplotspec()
    told = {"place": spec and [*spec.get_geometry(), plain(spec.get_gridspec().get_height_ratios() or [])],
            "titles": [of_text(text) for text in (axes.title, axes._left_title, axes._right_title) if text.get_text()],
            "x": of_axis(axes.xaxis), "y": of_axis(axes.yaxis), "aspect": str(axes.get_aspect()),
            "spines": {side: [spine.get_visible(), to_hex(spine.get_edgecolor())]
                       for side, spine in axes.spines.items() if side != "outline"},
            "lines": [of_line(line) for line in axes.lines], "images": [of_image(image) for image in axes.images],
            "texts": [of_text(text) for text in axes.texts],
            "boxes": [to_hex(text.get_bbox_patch().get_facecolor()) for text in axes.texts if text.get_bbox_patch()],
            "steps": [of_steps(patch) for patch in axes.patches if isinstance(patch, StepPatch)],
            "collections": [of_lines(part) for part in axes.collections if isinstance(part, LineCollection)],
            "bars": [[container.get_label(), container.has_xerr, container.has_yerr] for container in axes.containers],
            "shared": [len(list(axes.get_shared_x_axes().get_siblings(axes))),
                       len(list(axes.get_shared_y_axes().get_siblings(axes)))],
            "legend": of_legend(axes.get_legend()), "colour bar": _bar(axes),
            "children": [of_axes(child) for child in axes.child_axes]}
    return {name: shorter(value) for name, value in told.items() if value not in ([], None)}


def shorter(value):
    """A value, or the checksum of one that is long."""
    text = json.dumps(value, default=float)
    return value if len(text) < 1200 else zlib.crc32(text.encode())


def _bar(axes):
    bar = getattr(axes, "_colorbar", None)
    if not bar:
        return None
    info = axes._colorbar_info
    return [bar.orientation, [bar.formatter(tick, 0) for tick in bar.get_ticks()], plain(bar.get_ticks()),
            *(round(float(info[key]), 4) for key in ("fraction", "aspect", "shrink", "pad")), len(info["parents"]),
            bar.ax.yaxis._major_tick_kw.get("labelsize")]


def of_figure(figure):
    """All of a figure as JSON holds it."""
    return {"size": plain(figure.get_size_inches()), "title": figure._suptitle and of_text(figure._suptitle)[:8],
            "axes": [of_axes(axes) for axes in figure.axes],
            "legends": [of_legend(legend) for legend in figure.legends],
            "layout": type(figure.get_layout_engine()).__name__}


# ---------------------------------------------------------------- figures


def numbers(*shape, low=0.0, high=1.0):
    """Numbers that are the same in every release of numpy: float array."""
    return low + (high - low) * (np.arange(np.prod(shape)).reshape(shape) * 7919 % 1009) / 1009


def whole(*shape, top=50):
    return (np.arange(np.prod(shape)).reshape(shape) * 7919 % 1009 % top).astype(int)


def spikes(shape=(2, 3, 4), n_samples=2, n_steps=10, n_events=30):
    k = np.arange(n_events)
    return Spikes.from_events(k * 5 % n_samples, k * 7 % int(np.prod(shape)), k * k % 11 % n_steps, shape, n_samples,
                              n_steps)


def membranes(neurons, steps=8, **more):
    v = numbers(steps, neurons, low=-65, high=-50)
    fired = [[1, 3] if k == 0 else [2] if k == 1 else [] for k in range(neurons)]
    return plotting.membranes(v, np.linspace(-48, 60, neurons), fired, **more)


def images(n, h=3, w=4):
    return whole(n, h, w, top=256).astype(np.uint8)


LINES = [{"set": {"a": a, "b": b}, "accuracy": None if (a, b) == ("2", "x") else 0.5 + 0.1 * int(a),
          "spread": None if a == "1" else 0.01} for a in "123" for b in ("x", "y")]
FIGURES = {
    "kernels": lambda: plotting.kernels(numbers(5, 2, 3, 4), numbers(5, 2, 3, 4)[::-1]),
    "kernels of one channel": lambda: plotting.kernels(numbers(3, 1, 5, 5), 2 * numbers(3, 1, 5, 5), unit="mV",
                                                       total=7),
    "kernels of one channel, all": lambda: plotting.kernels(None, numbers(3, 1, 2, 2), "K", total=3),
    "kernels of many": lambda: plotting.kernels(None, numbers(40, 3, 2, 2), "Layer 1", total=1000),
    "kernels below 0": lambda: plotting.kernels(numbers(2, 1, 2, 2) - 0.2, numbers(2, 1, 2, 2)),
    "kernels of 0": lambda: plotting.kernels(None, np.zeros((1, 3, 1, 1))),
    "kernels in rows": lambda: plotting.kernels(None, numbers(4, 3, 1, 2)),
    "kernels of a row of one": lambda: plotting.kernels(None, numbers(4, 2, 1, 1), channel_names=("on", "off")),
    "activity": lambda: plotting.activity(numbers(5, 3, 4), layer="Layer 2"),
    "activity of one": lambda: plotting.activity(numbers(1, 2, 2, high=9)),
    "activity of neurons": lambda: plotting.activity(numbers(12, 1, 1), [f"class {k}" for k in range(12)],
                                                      noun="neuron"),
    "activity in rows": lambda: plotting.activity(numbers(3, 1, 2)),
    "inputs": lambda: plotting.inputs(images(2), spikes()),
    "inputs, named": lambda: plotting.inputs(images(2), spikes(), 0.5, ("on", "off"), ("first", "second")),
    "inputs of a row": lambda: plotting.inputs(images(2, 1, 3), spikes((2, 1, 3))),
    "inputs of a row of one channel": lambda: plotting.inputs(np.zeros((2, 1, 3), np.uint8), spikes((1, 1, 3))),
    "inputs of events": lambda: plotting.inputs(None, spikes((5, 2, 2), 2)),
    "inputs of events in a row": lambda: plotting.inputs(None, spikes((5, 1, 2), 2)),
    "inputs of one neuron": lambda: plotting.inputs(images(1, 1, 1), spikes((1, 1, 1), 1, 4, 1)),
    "inputs, many": lambda: plotting.inputs(images(12, 1, 2), spikes((5, 1, 2), 12)),
    "inputs, silent": lambda: plotting.inputs(images(1), spikes((2, 3, 4), 1, 4, 0), 2.0),
    "raster": lambda: plotting.raster(spikes()),
    "raster, named": lambda: plotting.raster(spikes((3, 1, 1), 4), 2, 0.25, "Layer 1", list("abcd"), list("xyz"),
                                             "unit"),
    "raster, neurons": lambda: plotting.raster(spikes((3, 1, 1), 1, 4, 5), 1, 4.0),
    "raster, silent": lambda: plotting.raster(spikes(n_events=0)),
    "raster, one spike": lambda: plotting.raster(spikes((1, 1, 1), 1, 1, 1), layer="Output"),
    "raster of 32 channels": lambda: plotting.raster(spikes((32, 1, 2))),
    "raster of 33 channels": lambda: plotting.raster(spikes((33, 2, 1), 9, 100, 2001), 9),
    "raster of many on a step": lambda: plotting.raster(spikes((60, 1, 1), 1, 3, 150)),
    "raster of 2000 spikes": lambda: plotting.raster(spikes((4, 10, 10), 1, 50, 2000)),
    "membranes": lambda: membranes(3),
    "membranes, named": lambda: membranes(2, timestep=0.5, labels=["a", "b"], layer="Layer 1", samples=["s", "t"],
                                          total=5000, noun="unit"),
    "membranes of 6": lambda: membranes(6), "membranes of 7": lambda: membranes(7),
    "membranes of 13": lambda: membranes(13, 2), "membranes of one": lambda: membranes(1, 1, total=1),
    "confusion": lambda: plotting.confusion(whole(4, 4), range(4)),
    "confusion of names": lambda: plotting.confusion(np.array([[30, 70, 1], [0, 0, 0], [31, 69, 1000]]),
                                                     ("abc", "abcd", "e"), "test images"),
    "confusion of short names": lambda: plotting.confusion(np.array([[9, 0], [3, 7]]), ("abc", "de")),
    "confusion of nothing": lambda: plotting.confusion(np.zeros((2, 2), int), "ab"),
    "confusion of 26": lambda: plotting.confusion(np.eye(26, dtype=int), range(26)),
    "confusion of 27": lambda: plotting.confusion(np.eye(27, dtype=int), range(27)),
    "training": lambda: plotting.training(np.array([[1, 2, 3], [0, 0, 0], [4, 0, 4]]), numbers(3, 4), numbers(3)),
    "training of one chunk": lambda: plotting.training(np.array([[1, 2, 3]]), numbers(1, 1), [0.5], "Layer 1", "unit"),
    "training of many": lambda: plotting.training(whole(2001, 3), numbers(2001, 10), numbers(2001)),
    "curves": lambda: plotting.curves({"loss": [3.0, 2.0, 1.5], "accuracy (%)": [10, 20, 30]}),
    "curves of one": lambda: plotting.curves({"loss": [1.0]}, "A training"),
    "sweep": lambda: plotting.sweep({"a": list("123"), "b": ["x", "y"]}, LINES, "accuracy (%)"),
    "sweep of one name": lambda: plotting.sweep({"a": ["1234567", "2"]}, [
        {"set": {"a": a}, "accuracy": 0.25, "spread": 0.5} for a in ("1234567", "2")], "share"),
    "sweep of six letters": lambda: plotting.sweep({"a": ["123456", "2", "3", "4", "5", "6"]}, [
        {"set": {"a": a}, "accuracy": 0.25, "spread": 0.5} for a in ("123456", "2", "3", "4", "5", "6")], "share"),
    "sweep of seeds": lambda: plotting.sweep({}, [{"set": {}, "accuracy": 1.0, "spread": None}], "share"),
    **{f"sweep of {n} lines": lambda n=n: plotting.sweep({"a": ["1"], "b": [str(k) for k in range(n)]}, [
        {"set": {"a": "1", "b": str(k)}, "accuracy": k / n, "spread": 0.0} for k in range(n)], "share")
       for n in (12, 13)},
    "untitled": lambda: frame.untitled(plotting.curves({"loss": [1.0, 2.0]})),
    "untitled without a title": lambda: frame.untitled(Figure((3, 2))),
}
KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


@pytest.fixture(autouse=True)
def _not_rendered(sketched):
    """Figures are made only."""


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_made_of_what_it_was(name):
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        found = json.loads(json.dumps(of_figure(FIGURES[name]()), default=float))
    assert found == KEPT.get(name)


# ---------------------------------------------------------------- what they share, at its limits


@pytest.mark.parametrize("n, every", [(0, 1), (1, 1), (16, 1), (17, 2), (32, 2), (33, 5), (80, 5), (81, 10), (160, 10),
                                      (161, 20), (320, 20), (321, 50), (800, 50), (801, 100), (1601, 200)])
def test_at_most_16_labels_are_written(n, every):
    assert frame.every_nth(n) == every


def test_names_of_samples():
    assert frame.sample_names("x", None, 8) == [f"sample {k}" for k in range(8)]
    assert frame.sample_names("x", None, 9) == [str(k) for k in range(9)]
    assert frame.sample_names("x", ["a", "b", "c"], 2) == ["a", "b"] and frame.sample_names("x", ["a"], 1) == ["a"]


def test_titles_and_numbers_with_nouns():
    assert frame.titled("", "Mean") == "Mean" and frame.titled("Layer 1", "Mean Of") == "Layer 1: mean Of"
    assert [frame.counted("{} x", n, "spike") for n in (0, 1, 2, 1000)] == [
        "0 spikes x", "1 spike x", "2 spikes x", "1,000 spikes x"]


@pytest.mark.parametrize("low, high, ends", [(0, 1, [0, 0.25, 0.5, 0.75, 1]), (0, 7, [0, 2, 4, 7]),
                                             (0, 10, [0, 2.5, 5, 7.5, 10]), (-3, 3, [-3, -1.5, 0, 1.5, 3]),
                                             (0, 9, [0, 2.5, 5, 9])])
def test_a_colour_bar_names_both_ends_and_what_keeps_from_them(low, high, ends):
    assert frame._ends(low, high) == pytest.approx(ends)


@pytest.mark.parametrize("value, shape, right", [
    ([1, 2], "(n,)", True), ([], "(n,)", False), ([[1]], "(n,)", False), ([1], "(n, m)", False),
    ([[1]], "(n, m)", True),
    ([[1], [1, 2]], "(n, m)", False), ([np.nan], "(n,)", False), (["a"], "(n,)", False), ([[[1]]], "(n, m, k)", True),
    ([[[1]]], "(n, m)", False)])
def test_arrays_that_cannot_be_drawn_are_refused(value, shape, right):
    if right:
        found = frame.checked_array("x", "y", value, shape)
        assert found.dtype == np.float64 and found.tolist() == value
    else:
        with pytest.raises(SettingsError, match="y"):
            frame.checked_array("x", "y", value, shape)


def test_whole_numbers_stay_whole():
    assert frame.checked_array("x", "y", [3], "(n,)", np.integer).dtype.kind == "i"


def test_tiles_stand_in_a_mosaic_with_gaps():
    tiles = np.arange(12.0).reshape(3, 2, 2)
    mosaic, corners = maps._mosaic(tiles, 2)
    assert corners == [(1, 1), (1, 4), (4, 1)] and mosaic.shape == (7, 7)
    expected = np.full((7, 7), np.nan)
    for (row, column), tile in zip(corners, tiles):
        expected[row:row + 2, column:column + 2] = tile
    assert np.array_equal(mosaic, expected, equal_nan=True)
    assert [maps._gaps((3, h, w)) for h, w in ((1, 1), (3, 8), (4, 9), (10, 25))] == [(1, 1), (1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("shape, widest, across, width, height", [
    ((1, 1, 1), 8.0, 1, 2.4, 2.4), ((4, 1, 1), 8.0, 2, 2.4, 2.4), ((9, 3, 4), 8.0, 3, 3.3, 2.6812),
    ((100, 1, 1), 4.6, 10, 4.6, 4.6), ((2, 9, 1), 8.0, 2, 2.4, 6.24), ((3, 1, 30), 8.0, 1, 2.4, 0.6316)])
def test_a_mosaic_is_about_square(shape, widest, across, width, height):
    found = maps._tiling(shape, widest)
    assert found[0] == across and found[1:] == pytest.approx((width, height), abs=1e-4)


def test_limits_of_colours_are_never_empty():
    assert maps._limits([np.array([1.0, -3.0]), np.array([2.0])], True) == (-3.0, 3.0)
    assert maps._limits([np.array([1.0]), np.array([2.0])], False) == (0.0, 2.0)
    assert maps._limits([np.zeros(2)], False) == (0.0, 1.0) and maps._limits([np.zeros(2)], True) == (-1.0, 1.0)


def test_first_spikes_are_the_earliest_of_each_neuron_and_sample():
    made = Spikes.from_events(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 0]), np.array([3, 1, 0, 2]), (2, 1, 1), 2, 5)
    assert np.array_equal(events.first_spikes(made).reshape(2, 2), [[1, np.nan], [2, 0]], equal_nan=True)


if __name__ == "__main__":
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
    from sketches import instead_of_figures

    instead_of_figures(setattr)
    matplotlib.rcdefaults()
    found = (f"{json.dumps(name)}: {json.dumps(of_figure(make()), default=float)}" for name, make in FIGURES.items())
    GOLDEN.write_text("{\n" + ",\n".join(found) + "\n}\n")
