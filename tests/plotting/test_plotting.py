"""Figures: what they show is read back from the axes; files are the same bytes twice; pyplot is never imported."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from spikingconvnet import plotting
from spikingconvnet.errors import SettingsError
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.plotting import frame, maps

ROOT = Path(__file__).parents[2]


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def weights(rng, filters=5, channels=2, rows=3, columns=4):
    return rng.random((filters, channels, rows, columns))


def some_spikes(rng, shape=(2, 3, 4), n_samples=4, n_steps=10, n_events=60):
    """Random spikes, some of them twice on the same neuron and step."""
    draw = (rng.integers(0, top, n_events) for top in (n_samples, int(np.prod(shape)), n_steps))
    return Spikes.from_events(*draw, shape, n_samples, n_steps)


CENTRES = ("on-centre", "off-centre")
FIGURES = {
    "kernels": lambda rng: plotting.kernels(weights(rng), weights(rng)),
    "unlearned kernels": lambda rng: plotting.kernels(None, weights(rng), "Layer 1: random kernels", CENTRES),
    "inputs": lambda rng: plotting.inputs(rng.integers(0, 256, (2, 3, 4), np.uint8), some_spikes(rng, n_samples=2)),
    "raster": lambda rng: plotting.raster(some_spikes(rng)),
    "membranes": lambda rng: plotting.membranes(rng.random((20, 2)), np.ones(2), [[3, 7], []]),
    "activity": lambda rng: plotting.activity(rng.random((5, 3, 4))),
    "confusion": lambda rng: plotting.confusion(rng.integers(0, 50, (4, 4)), range(4)),
    "training": lambda rng: plotting.training(rng.integers(1, 9, (6, 3)), rng.random((6, 4)), rng.random(6)),
}


def draw(figure):
    figure.draw_without_rendering()
    return figure


def images(figure):
    """Images of the axes, without those of colour bars."""
    return [image for axes in figure.axes for image in axes.images]


def tiles(image):
    """Values of a mosaic's tiles, tile gaps left out."""
    return np.ma.getdata(image.get_array())[~np.ma.getmaskarray(image.get_array())]


def texts(figure):
    """Every text that is not empty: labels, titles, ticks, annotations."""
    return [text.get_text() for text in figure.findobj(match=lambda artist: hasattr(artist, "get_text"))
            if text.get_text()]


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


# All figures


UNITS = {"kernels": ["difference of weights (nA)"], "inputs": ["first spike (ms)", "grey value"],
         "raster": ["time (ms)", "spikes per ms", "channel (3 × 4 neurons each)"],
         "membranes": ["time (ms)", "v (mV)"], "activity": ["mean count (spikes per image)"],
         "confusion": ["true class", "predicted class", "recall (%)", "share of the true class (%)"],
         "training": ["windows (%)", "threshold (mV)", "mean weight (nA)", "chunk"]}


@pytest.mark.parametrize("name", UNITS)
def test_labels_carry_units_and_the_figure_a_title(rng, name):
    figure = draw(FIGURES[name](rng))
    assert isinstance(figure, Figure) and figure.get_suptitle()
    found = texts(figure)
    assert [label for label in UNITS[name] if label not in found] == []


def overlapping(boxes):
    return [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[i + 1:]
            if min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1]


def frame_texts(figure):
    """Title, axis titles and labels, and the tick labels in view: (text, bounding box) of each."""
    found = [figure._suptitle]
    for axes in [*figure.axes, *(child for parent in figure.axes for child in parent.child_axes)]:
        found += [axes.title, axes._left_title, axes._right_title]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            found += [axis.label, *(tick.label1 for tick in ticks), *(tick.label2 for tick in ticks)]
    return [(text.get_text(), text.get_window_extent()) for text in found if text.get_text() and text.get_visible()]


@pytest.mark.parametrize("name", FIGURES)
def test_titles_and_labels_do_not_overlap_and_stay_inside_the_figure(rng, name):
    figure = draw(FIGURES[name](rng))
    seen, (width, height) = frame_texts(figure), figure.bbox.size
    assert len(seen) > 3 and overlapping(seen) == []
    assert all(box.x0 > -1 and box.y0 > -1 and box.x1 < width + 1 and box.y1 < height + 1 for _, box in seen)


def test_pyplot_is_never_imported_and_a_screen_is_not_needed():
    code = ("import sys, io, numpy as np; from spikingconvnet import plotting;"
            "plotting.confusion(np.eye(3, dtype=int), 'abc').savefig(io.BytesIO(), format='svg');"
            "print('matplotlib.pyplot' in sys.modules, 'matplotlib.figure' in sys.modules)")
    environment = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "MPLBACKEND")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True,
                          env=environment)
    assert done.stdout.split() == ["False", "True"]


SPIKES = Spikes.empty((2, 3, 4), 2, 5)
WRONG = [
    ("kernels", "before", (np.ones((2, 2, 3)), np.ones((2, 2, 3)))),
    ("kernels", "before", (np.ones((0, 2, 3, 3)), np.ones((0, 2, 3, 3)))),
    ("kernels", "before", (np.full((1, 1, 3, 3), np.nan), np.ones((1, 1, 3, 3)))),
    ("kernels", "before", ([[[[1, 2], [3]]]], np.ones((1, 1, 2, 2)))),
    ("kernels", "after", (np.ones((2, 2, 3, 4)), np.ones((2, 2, 4, 3)))),
    ("kernels", "channel_names", (None, np.ones((2, 3, 3, 4)), "", CENTRES)),
    ("kernels", "channel_names", (None, np.ones((2, 2, 3, 4)), "", "a")),
    ("inputs", "channel_names", (np.ones((2, 3, 4), np.uint8), SPIKES, 1.0, "a")),
    ("inputs", "images", (np.ones((3, 4), np.uint8), SPIKES)),
    ("inputs", "images", (np.ones((2, 3, 4)), SPIKES)),
    ("inputs", "spikes", (np.ones((3, 3, 4), np.uint8), SPIKES)),
    ("inputs", "spikes", (np.ones((2, 3, 4), np.uint8), np.ones((2, 2, 3, 4)))),
    ("inputs", "timestep", (np.ones((2, 3, 4), np.uint8), SPIKES, 0.0)),
    ("raster", "spikes", (np.ones((5, 24)),)),
    ("raster", "n_samples", (SPIKES, 0)),
    ("raster", "timestep", (SPIKES, 3, -1.0)),
    ("membranes", "v", (np.ones(5), np.ones(1), [[]])),
    ("membranes", "v_thresh", (np.ones((5, 2)), np.ones(3), [[], []])),
    ("membranes", "v_thresh", (np.ones((5, 2)), 1.0, [[], []])),
    ("membranes", "spikes", (np.ones((5, 2)), np.ones(2), [[]])),
    ("membranes", "spikes", (np.ones((5, 1)), np.ones(1), [[[1, 2]]])),
    ("membranes", "labels", (np.ones((5, 2)), np.ones(2), [[], []], 1.0, ["a"])),
    ("membranes", "timestep", (np.ones((5, 2)), np.ones(2), [[], []], 0)),
    ("activity", "counts", (np.ones((2, 3)),)),
    ("activity", "class_names", (np.ones((2, 3, 4)), ["a"])),
    ("confusion", "matrix", (np.ones((2, 3), int), "ab")),
    ("confusion", "matrix", (np.ones((2, 2)), "ab")),
    ("confusion", "matrix", (np.array([[1, -1], [0, 1]]), "ab")),
    ("confusion", "classes", (np.eye(3, dtype=int), "ab")),
    ("training", "wins", (np.ones((4, 2)), np.ones((4, 5)), np.ones(4))),
    ("training", "thresholds", (np.ones((4, 3)), np.ones((3, 5)), np.ones(4))),
    ("training", "mean_weight", (np.ones((4, 3)), np.ones((4, 5)), np.ones(5))),
    ("training", "mean_weight", (np.ones((4, 3)), np.ones((4, 5)), np.ones((4, 1)))),
]


@pytest.mark.parametrize("function, argument, arguments", WRONG, ids=lambda v: v if isinstance(v, str) else "")
def test_a_wrong_argument_is_named(function, argument, arguments):
    with pytest.raises(SettingsError, match=rf"^{function}\.{argument}: must be "):
        getattr(plotting, function)(*arguments)


# Kernels and activity


def test_two_channels_are_shown_as_their_difference_around_zero(rng):
    before, after = weights(rng), 3 * weights(rng)
    panels = images(plotting.kernels(before, after))[:3]
    shown = [before[:, 0] - before[:, 1], after[:, 0] - after[:, 1]]
    shown.append(shown[1] - shown[0])
    for panel, values in zip(panels, shown):
        low, high = panel.get_clim()
        assert low == -high and panel.get_cmap().name == "RdBu_r"
        assert sorted(tiles(panel)) == pytest.approx(sorted(values.ravel()))
    assert panels[0].get_clim() == panels[1].get_clim() == (-abs(shown[1]).max(), abs(shown[1]).max())
    assert panels[2].get_clim()[1] == abs(shown[2]).max()


def test_one_channel_is_sequential_from_zero_unless_it_is_signed(rng):
    before, after = weights(rng, channels=1), weights(rng, channels=1)
    plain = images(plotting.kernels(before, after))
    assert [panel.get_cmap().name for panel in plain[:3]] == ["viridis", "viridis", "RdBu_r"]
    assert plain[0].get_clim() == (0.0, max(before.max(), after.max()))
    assert plain[2].get_clim()[0] == -plain[2].get_clim()[1]
    signed = images(plotting.kernels(before, after - 0.5))
    assert signed[1].get_cmap().name == "RdBu_r" and signed[1].get_clim()[0] == -signed[1].get_clim()[1]


def test_many_channels_are_averaged_and_the_title_says_so(rng):
    before, after = weights(rng, channels=7), weights(rng, channels=7)
    figure = plotting.kernels(before, after, title="Layer 2")
    assert sorted(tiles(images(figure)[1])) == pytest.approx(sorted(after.mean(axis=1).ravel()))
    assert figure.axes[0].get_title() == "Before\nmean of 7 channels" and figure.get_suptitle() == "Layer 2"
    assert texts(draw(figure)).count("mean weight of 7 channels (nA)") == 3


def test_kernels_that_were_not_learned_have_one_panel_and_no_change(rng):
    kernels = weights(rng)
    figure = plotting.kernels(None, kernels, channel_names=CENTRES)
    (panel,) = images(figure)
    assert sorted(tiles(panel)) == pytest.approx(sorted((kernels[:, 0] - kernels[:, 1]).ravel()))
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["Kernels\non-centre − off-centre"]


def test_two_channels_without_names_are_numbered(rng):
    assert plotting.kernels(weights(rng), weights(rng)).axes[0].get_title() == "Before\nchannel 0 − channel 1"


@pytest.mark.parametrize("figure, title", [
    (lambda rng, **layer: plotting.raster(SPIKES, **layer), "0 spikes of 24 neurons in 2 samples"),
    (lambda rng, **layer: plotting.membranes(rng.random((20, 2)), np.ones(2), [[3, 7], []], **layer),
     "Membrane potentials before the input of each step"),
    (lambda rng, **layer: plotting.activity(rng.random((5, 3, 4)), **layer), "Mean activity of 5 filters"),
    (lambda rng, **layer: plotting.training(np.ones((6, 3), int), rng.random((6, 4)), rng.random(6), **layer),
     "Course of training: 6 chunks, 4 filters")])
def test_a_title_begins_with_the_name_of_its_layer(rng, figure, title):
    assert figure(rng).get_suptitle() == title
    assert figure(rng, layer="Layer 2").get_suptitle() == f"Layer 2: {title[0].lower()}{title[1:]}"


def test_constant_kernels_have_colour_limits():
    panels = images(plotting.kernels(np.zeros((1, 1, 2, 3)), np.zeros((1, 1, 2, 3))))
    assert [panel.get_clim() for panel in panels[:3]] == [(0, 1), (0, 1), (-1, 1)]


@pytest.mark.parametrize("n", [1, 2, 7, 32, 128])
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (7, 7)])
def test_a_mosaic_holds_every_tile_at_its_place(n, shape):
    values = np.arange(n * np.prod(shape), dtype=float).reshape(n, *shape)
    for columns in {1, maps._tiling(values.shape, 5.0)[0], n}:
        mosaic, corners = maps._mosaic(values, columns)
        assert len(set(corners)) == n and np.isfinite(mosaic).sum() == values.size
        for (row, column), tile in zip(corners, values):
            assert np.array_equal(mosaic[row:row + shape[0], column:column + shape[1]], tile)
            assert np.isnan(mosaic[row - 1, column]) and np.isnan(mosaic[row, column - 1])


def test_128_filters_are_all_numbered_without_overlap(rng):
    axes = draw(plotting.kernels(weights(rng, 128, 2, 5, 5), weights(rng, 128, 2, 5, 5))).axes[0]
    assert [text.get_text() for text in axes.texts] == [str(k) for k in range(128)]
    assert overlapping([(text.get_text(), text.get_window_extent()) for text in axes.texts]) == []
    assert min(text.get_size() for text in axes.texts) > 4


def test_activity_has_one_scale_from_zero_and_names(rng):
    counts = 4 * rng.random((3, 2, 5))
    figure = plotting.activity(counts, class_names=["Ankle boot", "Bag", "Coat"])
    image = images(figure)[0]
    assert image.get_clim() == (0, counts.max()) and sorted(tiles(image)) == sorted(counts.ravel())
    assert [text.get_text() for text in figure.axes[0].texts] == ["Ankle boot", "Bag", "Coat"]
    assert overlapping([(t.get_text(), t.get_window_extent()) for t in draw(figure).axes[0].texts]) == []
    assert images(plotting.activity(np.zeros((1, 1, 1))))[0].get_clim() == (0, 1)


# Inputs


def test_first_spikes_are_those_of_a_plain_loop(rng):
    spikes = some_spikes(rng)
    expected = np.full((4, 24), np.nan)
    for sample, neuron, step in zip(*spikes.events()):
        if not step >= expected[sample, neuron]:
            expected[sample, neuron] = step
    assert np.isnan(expected).any()
    assert np.array_equal(plotting.first_spikes(spikes), expected.reshape(4, 2, 3, 4), equal_nan=True)


def test_inputs_show_each_image_above_its_latencies_in_ms(rng):
    pictures, spikes = rng.integers(0, 256, (4, 3, 4), np.uint8), some_spikes(rng)
    figure = plotting.inputs(pictures, spikes, timestep=0.5, channel_names=CENTRES)
    shown, first = images(figure), plotting.first_spikes(spikes) * 0.5
    for sample in range(4):
        assert np.array_equal(shown[sample].get_array(), pictures[sample])
        for channel in range(2):
            values = shown[4 * (1 + channel) + sample].get_array().filled(np.nan)
            assert np.array_equal(values, first[sample, channel], equal_nan=True)
    assert {image.get_clim() for image in shown[4:12]} == {(0, np.nanmax(first))}
    assert [figure.axes[k].get_ylabel() for k in (0, 4, 8)] == ["image", "on-centre", "off-centre"]


def test_silent_inputs_are_blank():
    figure = draw(plotting.inputs(np.zeros((1, 3, 4), np.uint8), Spikes.empty((1, 3, 4), 1, 5)))
    assert images(figure)[1].get_array().mask.all() and "channel 0" in texts(figure)


def test_too_many_images_and_channels_are_cut_and_the_title_says_so(rng):
    figure = plotting.inputs(np.zeros((11, 3, 4), np.uint8), some_spikes(rng, (5, 3, 4), 11))
    assert figure.get_suptitle().endswith("(10 of 11 images, 4 of 5 channels)")
    assert len(figure.axes) == 10 * (1 + 4) + 2


# Raster


def test_every_spike_has_a_mark_at_its_time_and_neuron(rng):
    spikes = some_spikes(rng, n_events=300)
    axes = plotting.raster(spikes, n_samples=3, timestep=0.5).axes[0]
    marks, shown = line(axes, "spikes"), spikes.samples(0, 3)
    assert len(marks.get_xdata()) == shown.n_events < spikes.n_events
    assert np.array_equal(marks.get_xdata(), shown.steps() * 0.5) and np.array_equal(marks.get_ydata(), shown.neurons)


def test_the_histogram_counts_spikes_per_ms(rng):
    spikes = some_spikes(rng, n_samples=2, n_steps=15)
    for timestep, width in ((1.0, 1), (2.0, 1), (0.25, 4)):
        values, edges, _ = plotting.raster(spikes, timestep=timestep).axes[1].patches[0].get_data()
        assert edges[1] - edges[0] == width * timestep and edges[-1] == 29.5 * timestep
        assert (values * np.diff(edges)).sum() == pytest.approx(spikes.n_events)
        assert values[0] == (spikes.steps() < width).sum() / (width * timestep)


def test_samples_and_channels_are_separated(rng):
    upper, lower = plotting.raster(some_spikes(rng, (3, 2, 2))).axes
    borders = [[marks.get_xdata()[0] for marks in axes.lines if marks.get_linestyle() == "--"]
               for axes in (upper, lower)]
    assert borders == [[9.5, 19.5], [9.5, 19.5]]
    assert [segment[0][1] for segment in upper.collections[0].get_segments()] == [3.5, 7.5]
    assert list(upper.get_yticks()) == [1.5, 5.5, 9.5]
    assert upper.get_ylim() == (11.5, -0.5) and lower.get_xlim() == (-0.5, 29.5)


@pytest.mark.parametrize("shape, n_samples", [((1, 1, 1), 1), ((128, 2, 3), 20), ((300, 1, 1), 2), ((2, 3, 4), 0)])
def test_a_raster_without_spikes_says_so(shape, n_samples):
    figure = draw(plotting.raster(Spikes.empty(shape, n_samples, 5), n_samples=20))
    assert "no spikes" in texts(figure) and len(line(figure.axes[0], "spikes").get_xdata()) == 0
    assert len(figure.axes[0].get_yticks()) <= 16


def test_labels_are_written_at_round_distances():
    assert [frame.every_nth(n) for n in (0, 1, 16, 17, 32, 33, 80, 81, 128, 1000)] == [1, 1, 1, 2, 2, 5, 5, 10, 10, 100]


def test_a_hundred_thousand_spikes_are_a_small_svg(rng, tmp_path):
    spikes = some_spikes(rng, (32, 24, 24), 3, 38, 100_000)
    sizes = {path.suffix: path.stat().st_size for path in plotting.save(plotting.raster(spikes), tmp_path / "raster")}
    assert max(sizes.values()) < 1_000_000


# Membranes


def test_membranes_show_traces_thresholds_and_spikes(rng):
    v, v_thresh, spikes = rng.normal(0, 5, (30, 2)), np.array([12.0, 9.0]), [np.array([4, 4, 20]), np.array([], int)]
    rows = plotting.membranes(v, v_thresh, spikes, timestep=0.5, labels=["map 3", "map 1"]).axes
    for k, axes in enumerate(rows):
        trace, marks = line(axes, "membrane potential"), line(axes, "spike")
        assert np.array_equal(trace.get_ydata(), v[:, k]) and trace.get_xdata()[-1] == 14.5
        assert line(axes, "threshold").get_ydata()[0] == v_thresh[k]
        assert list(marks.get_xdata()) == list(spikes[k] * 0.5)
        assert axes.get_ylim()[0] < v[:, k].min() and axes.get_ylim()[1] > v_thresh[k]
    assert [axes.get_title("left") for axes in rows] == ["map 3", "map 1"]
    assert [axes.get_title("right") for axes in rows] == ["3 spikes", "0 spikes"]


def test_a_threshold_out_of_reach_is_written_not_drawn(rng):
    axes = plotting.membranes(rng.random((9, 1)), np.array([65535.0]), [[1]]).axes[0]
    assert axes.get_title("right") == "threshold 65535 mV, out of range; 1 spike"
    assert np.isnan(line(axes, "threshold").get_ydata()).all() and axes.get_ylim()[1] < 2


def test_only_twelve_membranes_are_shown_and_a_single_flat_step_works():
    figure = plotting.membranes(np.zeros((4, 14)), np.ones(14), [[]] * 14)
    assert len(figure.axes) == 12 and "(12 of 14 neurons)" in figure.get_suptitle()
    draw(plotting.membranes(np.zeros((1, 1)), np.zeros(1), [[]]))


# Confusion and training


@pytest.mark.parametrize("n", [1, 2, 15])
def test_cells_hold_the_matrix(rng, n):
    matrix = rng.integers(0, 12_000, (n, n)) * rng.integers(0, 2, (n, n))
    figure = draw(plotting.confusion(matrix, range(n)))
    cells = np.zeros((n, n), int)
    for text in figure.axes[0].texts:
        column, row = text.get_position()
        cells[row, column] = int(text.get_text())
    assert len(figure.axes[0].texts) == n * n and np.array_equal(cells, matrix)
    assert overlapping([(t.get_text(), t.get_window_extent()) for t in figure.axes[0].texts]) == []


def test_accuracy_recall_and_colours_are_those_of_the_matrix():
    matrix = np.array([[8, 2, 0], [0, 0, 0], [1, 0, 3]])
    figure = draw(plotting.confusion(matrix, ["cat", "dog", "mouse"]))
    axes = figure.axes[0]
    assert figure.get_suptitle() == "Accuracy 78.57 % (11 of 14 images)"
    assert [label.get_text() for label in axes.child_axes[0].get_yticklabels()] == ["80.0", "–", "75.0"]
    assert images(figure)[0].get_array().tolist() == [[80, 20, 0], [0, 0, 0], [25, 0, 75]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "mouse"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "mouse"]


def test_an_empty_confusion_matrix_has_no_accuracy():
    assert draw(plotting.confusion(np.zeros((2, 2), int), "ab")).get_suptitle() == "No images"


@pytest.mark.parametrize("names, turned", [(("cat", "dog"), 0), (("lion", "dog"), 90)])
def test_names_of_classes_that_are_longer_than_three_letters_are_turned(names, turned):
    axes = draw(plotting.confusion(np.eye(2, dtype=int), names)).axes[0]
    assert [label.get_rotation() for label in axes.get_xticklabels()] == [turned, turned]


def test_shares_of_winners_are_stacked_to_a_hundred():
    wins = np.array([[5, 4, 1], [0, 0, 0], [1, 1, 2]])
    axes = plotting.training(wins, np.ones((3, 4)), np.ones(3)).axes[0]
    stacks = [patch.get_data() for patch in axes.patches]
    assert [stack.values.tolist() for stack in stacks] == [[50, 0, 25], [90, 0, 50], [100, 0, 100]]
    assert [stack.baseline.tolist() for stack in stacks] == [[0, 0, 0], [50, 0, 25], [90, 0, 50]]
    assert stacks[0].edges.tolist() == [0.5, 1.5, 2.5, 3.5]


@pytest.mark.parametrize("chunks, filters", [(1, 1), (3, 128), (400, 2)])
def test_training_draws_a_line_per_filter_their_median_and_the_weight(rng, chunks, filters):
    thresholds, weight = rng.random((chunks, filters)), rng.random(chunks)
    _, middle, lower = draw(plotting.training(rng.integers(0, 9, (chunks, 3)), thresholds, weight)).axes
    assert len(middle.lines) == filters + 1
    assert np.array_equal([drawn.get_ydata() for drawn in middle.lines[:-1]], thresholds.T)
    assert np.array_equal(middle.lines[-1].get_ydata(), np.median(thresholds, axis=1))
    assert np.array_equal(lower.lines[0].get_ydata(), weight) and lower.lines[0].get_xdata()[0] == 1


# Files


@pytest.mark.parametrize("name", UNITS)
def test_save_writes_the_same_bytes_twice_without_a_date(tmp_path, name):
    settings = dict(matplotlib.rcParams)
    figure = FIGURES[name](np.random.default_rng(3))
    again = FIGURES[name](np.random.default_rng(3))
    first, second, third = ([path.read_bytes() for path in plotting.save(one, tmp_path / part / "a.b")]
                            for one, part in ((figure, "1"), (figure, "2"), (again, "3/deeper")))
    assert sorted(path.name for path in (tmp_path / "1").iterdir()) == ["a.b.png", "a.b.svg"]
    assert first == second == third
    assert dict(matplotlib.rcParams) == settings
    assert first[0].startswith(b"\x89PNG") and b"<svg" in first[1][:1000]
    assert not re.search(rb"<dc:date>|Matplotlib v|\d{4}-\d\d-\d\dT", first[1]) and b"Software" not in first[0]


def test_a_dense_figure_is_the_same_bytes_twice(rng, tmp_path):
    spikes = some_spikes(rng, n_events=5000)
    contents = [[path.read_bytes() for path in plotting.save(plotting.raster(spikes), tmp_path / name)]
                for name in "ab"]
    assert contents[0] == contents[1] and b"<image" in contents[0][1]


def test_save_replaces_files_whole_and_leaves_them_if_drawing_fails(tmp_path):
    stem = tmp_path / "plots" / "raster"
    paths = plotting.save(plotting.raster(SPIKES), str(stem))
    assert paths == [stem.with_suffix(".png"), stem.with_suffix(".svg")]
    old = [path.read_bytes() for path in paths]
    broken = plotting.raster(SPIKES)
    broken.axes[0].set_title("$\\nonsense$")
    with pytest.raises(ValueError, match="nonsense"):
        plotting.save(broken, stem)
    assert [path.read_bytes() for path in paths] == old
    plotting.save(plotting.raster(SPIKES, n_samples=1), stem)
    assert [path.read_bytes() for path in paths] != old
    assert sorted(path.name for path in stem.parent.iterdir()) == ["raster.png", "raster.svg"]


# What a reader of a paper asks


def scales_of(figure):
    """Limits of each colour bar, and the numbers at its ends as they are written."""
    bars = [axes for axes in figure.axes if axes.get_label() == "<colorbar>"]
    for bar in bars:
        axis = bar.xaxis if bar.get_xlabel() else bar.yaxis
        texts = [label.get_text() for label in axis.get_ticklabels()]
        yield axis.get_view_interval().tolist(), (float(texts[0].replace("−", "-")), float(texts[-1]))


@pytest.mark.parametrize("name, bars", [("kernels", 3), ("inputs", 2), ("activity", 1), ("confusion", 1)])
def test_every_colour_bar_names_both_of_its_ends(rng, name, bars):
    found = list(scales_of(draw(FIGURES[name](rng))))
    assert len(found) == bars
    for limits, ends in found:
        assert ends == pytest.approx(limits, rel=0.01)


def test_samples_channels_and_units_have_their_names(rng):
    spikes = some_spikes(rng, (3, 1, 1), n_samples=2)
    figure = draw(plotting.raster(spikes, samples=["a 5", "a 0"], channels=["cat", "dog", "cow"], noun="unit"))
    assert {"a 5", "a 0", "cat", "dog", "cow", "class"} <= set(texts(figure))
    assert "spikes of 3 units in 2 samples" in figure.get_suptitle()
    figure = draw(plotting.membranes(np.zeros((20, 2)), np.ones(2), [[], []], samples=["a 5", "a 0"], total=1234))
    assert {"a 5", "a 0"} <= set(texts(figure)) and "(2 of 1,234 neurons)" in figure.get_suptitle()
    borders = [one.get_xdata()[0] for one in figure.axes[1].lines if one.get_color() == frame.GREY]
    assert borders == [9.5]
    for wrong in (lambda: plotting.raster(spikes, samples=["one"]), lambda: plotting.raster(spikes, channels=["one"]),
                  lambda: plotting.membranes(np.zeros((5, 1)), [1.0], [[]], samples=["one", "other"])):
        with pytest.raises(SettingsError, match="samples|channels"):
            wrong()


def test_rows_of_numbers_are_no_pictures_and_all_their_channels_are_shown(rng):
    spikes = some_spikes(rng, (6, 1, 4), n_samples=2)
    figure = draw(plotting.inputs(np.full((2, 1, 4), 70, np.uint8), spikes, 2.0))
    numbers, times = images(figure)[0], images(figure)[2]
    assert "grey value" not in texts(figure) and "channel 5 ... channel 0" in texts(figure)
    assert numbers.get_clim() == (0, 70) and times.get_array().shape == (6, 4)
    assert np.array_equal(times.get_array().filled(np.nan), 2.0 * plotting.first_spikes(spikes)[0, :, 0],
                          equal_nan=True)
    kernels = plotting.kernels(None, weights(rng)[:, :, :1], total=300)
    assert tiles(images(kernels)[0]).size == weights(rng)[:, :, :1].size
    assert any("the first 5 of 300, 2 channels, below each other" in text for text in texts(kernels))


def test_events_have_no_image_above_them(rng):
    figure = draw(plotting.inputs(None, some_spikes(rng, n_samples=2), samples=["a", "b"]))
    assert len(images(figure)) == 4 and "image" not in texts(figure) and {"a", "b"} <= set(texts(figure))


def test_a_figure_without_a_title_is_lower_and_a_pdf_is_the_same_bytes_twice(rng, tmp_path):
    figure = FIGURES["training"](rng)
    height = figure.get_figheight()
    bare = frame.untitled(figure)
    assert bare.get_figheight() < height and "Course" not in [text for text, _ in frame_texts(draw(bare))[1:]]
    assert not bare._suptitle.get_visible()
    first, = plotting.save(bare, tmp_path / "a", ["pdf"])
    second, = plotting.save(bare, tmp_path / "b", ["pdf"])
    assert first.read_bytes() == second.read_bytes() and first.read_bytes().startswith(b"%PDF")
    with pytest.raises(SettingsError, match=r"kinds: must be of png, svg, pdf, got \['jpg'\]"):
        plotting.save(bare, tmp_path / "c", ["png", "jpg"])


def test_curves_have_a_panel_for_each_name():
    figure = draw(plotting.curves({"loss": [3.0, 2.0, 1.0], "validation accuracy": [0.5, 0.75]}))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "validation accuracy"]
    assert figure.axes[0].lines[0].get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert figure.axes[1].lines[0].get_xdata().tolist() == [1, 2]
    with pytest.raises(SettingsError, match="told"):
        plotting.curves({})
