"""Figures: plain arrays (or Spikes) in, a matplotlib Figure out; nothing is shown, only `save` writes files.

The only module that imports matplotlib, and only its object interface: no pyplot, no window, no current figure, so it
works on a machine without a screen and from any thread. Colours are safe for colour-blind readers (viridis, a blue-red
map centred at 0, the palette of Okabe and Ito 2008).
"""

import io
import math
import os
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spikingconvnet.errors import require
from spikingconvnet.spikes import Spikes

SEQUENTIAL, DIVERGING, SHARES = "viridis", "RdBu_r", "Blues"
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#7f7f7f"
GAP_COLOUR = "#cccccc"          # between tiles: neither white (0 of the diverging map) nor a colour of a map
MAX_DENSE = 2000                # marks or points beyond this are one bitmap in the SVG
MAX_ROWS = 6                    # neurons in `membranes`
MAX_IMAGES = 10                 # columns in `inputs`
MAX_CHANNELS = 4                # latency rows in `inputs`
MAX_LABELS = 16                 # tick labels; of more, every 2nd, 5th, 10th and so on
DPI = 150
METADATA = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}


# Maps of filters


def kernels(before, after, title="Kernels before and after training"):
    """Kernels before and after training and their change: three panels, one tile per filter.

    Two channels are read as on-centre and off-centre and shown as their difference, more than two as their mean; the
    panel's title says which. Before and after share their colour limits. Signed values have limits symmetric around 0.

    Parameters
    ----------
    before, after : float array (filters, channels, rows, columns)
        Weights, nA.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    before = _array("kernels", "before", before, "(filters, channels, rows, columns)")
    after = _array("kernels", "after", after, "(filters, channels, rows, columns)")
    require(before.shape == after.shape, "kernels", "after", after.shape, f"of the shape of before, {before.shape}")
    (old, reading), (new, _) = _one_channel(before), _one_channel(after)
    signed = before.shape[1] == 2 or min(old.min(), new.min()) < 0
    limits = _limits([old, new], signed)
    panels = [("Before", old, limits, signed), ("After", new, limits, signed),
              ("After minus before", new - old, _limits([new - old], signed=True), True)]
    columns, width, height = _tiling(old.shape, widest=4.6)
    figure = _figure(3 * width + 0.6, height + 1.6, title)
    for axes, (name, tiles, limits, is_signed) in zip(figure.subplots(1, 3), panels):
        image = _tiled(axes, tiles, columns, width, range(len(tiles)), DIVERGING if is_signed else SEQUENTIAL, limits)
        axes.set_title(f"{name}\n{reading}", fontsize=10)
        figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.9, pad=0.02, label="weight (nA)",
                        ticks=MaxNLocator(4))
    return _laid_out(figure)


def activity(counts, class_names=None):
    """Mean spike counts of every filter as a small map, all on one colour scale.

    Parameters
    ----------
    counts : float array (filters, H, W)
        Spikes per image.
    class_names : sequence of str (filters,), optional
        Written above the maps in place of the filters' numbers, such as the class that each filter prefers.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = _array("activity", "counts", counts, "(filters, H, W)")
    names = range(len(counts)) if class_names is None else list(class_names)
    require(len(names) == len(counts), "activity", "class_names", len(names), f"{len(counts)} names, one per filter")
    columns, width, height = _tiling(counts.shape, widest=8.0)
    figure = _figure(width + 1.6, height + 0.9, _counted("Mean activity of {}", len(counts), "filter"))
    axes = figure.subplots()
    image = _tiled(axes, counts, columns, width, names, SEQUENTIAL, _limits([counts], signed=False))
    axes.set_title(f"maps of {counts.shape[1]} × {counts.shape[2]} neurons", fontsize=9, color="0.35")
    figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02, label="mean count (spikes per image)")
    return _laid_out(figure)


def _one_channel(weights):
    """Tiles (filters, rows, columns) of kernels, and how to read them."""
    channels = weights.shape[1]
    if channels == 1:
        return weights[:, 0], "one channel"
    if channels == 2:
        return weights[:, 0] - weights[:, 1], "on-centre − off-centre"
    return weights.mean(axis=1), f"mean of {channels} channels"


def _limits(arrays, signed):
    """Colour limits from 0, or symmetric around 0; never empty."""
    top = max(float(np.abs(values).max()) for values in arrays)
    top = top if top > 0 else 1.0
    return (-top, top) if signed else (0.0, top)


def _gaps(shape):
    """Pixels between tiles: rows (a number stands there) and columns."""
    return math.ceil(0.3 * shape[-2]), math.ceil(0.12 * shape[-1])


def _tiling(shape, widest):
    """Columns that make the mosaic of tiles `shape` about square, its width (at most `widest`) and height in inches."""
    n, margin, (rows, columns) = shape[0], _gaps(shape)[1], np.add(shape[-2:], _gaps(shape))
    across = min(n, max(1, round(math.sqrt(n * rows / columns))))
    width = min(widest, max(2.4, 1.1 * across))
    return across, width, width * (math.ceil(n / across) * rows + margin) / (across * columns + margin)


def _mosaic(tiles, columns):
    """All tiles (n, H, W) in one image, NaN between them, and the first row and column of each tile."""
    n, height, width = tiles.shape
    down, right = _gaps(tiles.shape)
    corners = [(down + k // columns * (height + down), right + k % columns * (width + right)) for k in range(n)]
    mosaic = np.full((corners[-1][0] + height + right, columns * (width + right) + right), np.nan)
    for (row, column), tile in zip(corners, tiles):
        mosaic[row:row + height, column:column + width] = tile
    return mosaic, corners


def _tiled(axes, tiles, columns, width, names, colours, limits):
    """Draw tiles on `axes`, `width` inches wide, with their names above them; the AxesImage."""
    mosaic, corners = _mosaic(tiles, columns)
    image = axes.imshow(mosaic, matplotlib.colormaps[colours].with_extremes(bad=GAP_COLOUR), vmin=limits[0],
                        vmax=limits[1], interpolation="nearest")
    down, right = _gaps(tiles.shape)
    longest = max(len(str(name)) for name in names)
    size = min(8.0, 72 * width / mosaic.shape[1] * min(0.8 * down, (tiles.shape[2] + right) / (0.7 * longest)))
    for (row, column), name in zip(corners, names):
        axes.text(column - 0.5, row - 0.5 - 0.08 * down, name, size=size, color="0.25", va="bottom", in_layout=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return image


# Spikes and membranes


def inputs(images, spikes, timestep=1.0):
    """Images and, below each, the time of every input neuron's first spike, one row per channel; blank where silent.

    Parameters
    ----------
    images : uint8 array (N, H, W)
        Grey values; the first 10 are shown.
    spikes : Spikes
        Of the same N images, one sample each; the first 4 channels are shown. Two channels are on- and off-centre.
    timestep : float
        ms per step.

    Returns
    -------
    matplotlib.figure.Figure
    """
    images = _array("inputs", "images", images, "(N, H, W)", np.uint8)
    _require_spikes("inputs", spikes, timestep)
    require(spikes.n_samples == len(images), "inputs", "spikes", f"{spikes.n_samples} samples",
            f"one sample for each of {len(images)} images")
    shown, channels = min(len(images), MAX_IMAGES), min(spikes.shape[0], MAX_CHANNELS)
    latency = first_spikes(spikes.samples(0, shown)) * timestep
    last = np.nanmax(latency, initial=timestep)
    names = ["on-centre", "off-centre"] if spikes.shape[0] == 2 else [f"channel {c}" for c in range(channels)]
    cut = [f"{part} of {all_} {noun}" for part, all_, noun in ((shown, len(images), "images"),
                                                               (channels, spikes.shape[0], "channels")) if part < all_]
    figure = _figure(1.5 * shown + 2.0, 1.6 * (1 + channels) + 0.8,
                     "Images and their first spikes" + (f" ({', '.join(cut)})" if cut else ""))
    grid = figure.subplots(1 + channels, shown, squeeze=False)
    for sample, column in enumerate(grid.T):
        column[0].set_title(f"image {sample}", fontsize=9)
        grey = _picture(column[0], images[sample], "gray_r", 0, 255)
        for channel, axes in enumerate(column[1:]):
            times = _picture(axes, latency[sample, channel], SEQUENTIAL, 0, last)
    for axes, name in zip(grid[:, 0], ["image"] + names):
        axes.set_ylabel(name, fontsize=9)
    figure.colorbar(grey, ax=grid[0], label="grey value\n(0 to 255)", ticks=[0, 255])
    figure.colorbar(times, ax=grid[1:], label="first spike (ms)", aspect=20 * channels)
    return _laid_out(figure)


def raster(spikes, n_samples=3, timestep=1.0):
    """Every spike of the first samples, neurons grouped by channel, and the population's rate below.

    Parameters
    ----------
    spikes : Spikes
    n_samples : int
        Samples shown, at most.
    timestep : float
        ms per step; a spike of step ``t`` stands at ``t * timestep``.

    Returns
    -------
    matplotlib.figure.Figure
        Its first axes hold the raster, whose first line has one marker per spike; the second hold the histogram.
    """
    _require_spikes("raster", spikes, timestep)
    require(n_samples >= 1, "raster", "n_samples", n_samples, "at least 1")
    spikes = spikes.samples(0, min(n_samples, spikes.n_samples))
    figure = _figure(9.0, 5.6, f"{_counted('{}', spikes.n_events, 'spike')} of {spikes.size} neurons in "
                               f"{_counted('{}', spikes.n_samples, 'sample')}")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _spike_marks(upper, spikes, timestep)
    _channel_bands(upper, spikes.shape)
    _spike_rate(lower, spikes, timestep)
    _sample_borders(upper, lower, spikes, timestep)
    return _laid_out(figure)


def membranes(v, v_thresh, spikes, timestep=1.0, labels=None):
    """Membrane potentials with thresholds and spikes, one row per neuron on a shared time axis.

    A threshold far above the trace (a neuron that is not meant to fire) is written instead of drawn.

    Parameters
    ----------
    v : float array (steps, neurons)
        mV; the first 6 neurons are shown.
    v_thresh : float array (neurons,)
        mV.
    spikes : list of int arrays, one per neuron
        Steps in which the neuron fired.
    timestep : float
        ms per step.
    labels : sequence of str (neurons,), optional
        Names of the rows, else the neurons' numbers.

    Returns
    -------
    matplotlib.figure.Figure
    """
    v = _array("membranes", "v", v, "(steps, neurons)")
    v_thresh = _array("membranes", "v_thresh", v_thresh, "(neurons,)")
    neurons = v.shape[1]
    labels = [f"neuron {k}" for k in range(neurons)] if labels is None else list(labels)
    for name, value in (("v_thresh", v_thresh), ("spikes", spikes), ("labels", labels)):
        require(len(value) == neurons, "membranes", name, f"{len(value)} entries", f"one entry per neuron ({neurons})")
    _require_timestep("membranes", timestep)
    shown = min(neurons, MAX_ROWS)
    of_all = f" ({shown} of {neurons} neurons)" if shown < neurons else ""
    figure = _figure(9.0, 1.35 * shown + 1.4, f"Membrane potentials before the input of each step{of_all}")
    rows = figure.subplots(shown, 1, sharex=True, squeeze=False)[:, 0]
    for k, axes in enumerate(rows):
        in_range = _trace(axes, v[:, k], v_thresh[k], np.asarray(spikes[k]), timestep)
        remark = "" if in_range else f"threshold {v_thresh[k]:g} mV, out of range; "
        axes.set_title(labels[k], fontsize=9, loc="left")
        axes.set_title(remark + _counted("{}", len(spikes[k]), "spike"), fontsize=9, loc="right", color="0.35")
    rows[-1].set_xlabel("time (ms)")
    rows[-1].set_xlim(-0.5 * timestep, (len(v) - 0.5) * timestep)
    figure.legend(*rows[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return _laid_out(figure)


def first_spikes(spikes):
    """Step of every neuron's first spike inside its sample: float array (n_samples, C, H, W), NaN where silent."""
    sample, neuron, step = spikes.events()
    first = np.full((spikes.n_samples, spikes.size), np.inf)
    np.minimum.at(first, (sample, neuron), step)
    return np.where(np.isfinite(first), first, np.nan).reshape(spikes.n_samples, *spikes.shape)


def _picture(axes, values, colours, low, high):
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")
    return axes.imshow(values, colours, vmin=low, vmax=high, interpolation="nearest")


def _spike_marks(axes, spikes, timestep):
    """One mark per spike, more transparent where so many fall on one step that they would hide each other."""
    height, width = 72 * 3.2, 72 * 7.5         # of the axes, points, roughly
    steps = max(spikes.n_samples * spikes.n_steps, 1)
    size = np.clip(0.8 * height / spikes.size, 2.0, 9.0)
    overlap = spikes.n_events / max(np.count_nonzero(np.diff(spikes.offsets)), 1) * size / height
    axes.plot(spikes.steps() * timestep, spikes.neurons, linestyle="none", marker="|", color=BLUE, label="spikes",
              markersize=size, markeredgewidth=np.clip(0.5 * width / steps, 0.8, 1.4),
              alpha=1 / np.clip(overlap, 1, 4), rasterized=spikes.n_events > MAX_DENSE)
    axes.set_ylim(spikes.size - 0.5, -0.5)
    if spikes.n_events == 0:
        axes.text(0.5, 0.5, "no spikes", transform=axes.transAxes, ha="center", va="center", color=GREY,
                  bbox={"facecolor": "white", "edgecolor": "none"})


def _channel_bands(axes, shape):
    """Separators between channels, the channel's number at the middle of its band."""
    channels, area = shape[0], shape[1] * shape[2]
    every = _every(channels)
    axes.set_yticks((np.arange(0, channels, every) + 0.5) * area - 0.5, range(0, channels, every))
    axes.set_ylabel("neuron" if area == 1 else f"channel ({shape[1]} × {shape[2]} neurons each)")
    if area > 1:
        axes.hlines(np.arange(1, channels) * area - 0.5, 0, 1, transform=axes.get_yaxis_transform(), color="0.8",
                    linewidth=0.6 if channels <= 32 else 0.25, zorder=1)
        axes.tick_params(axis="y", length=0)


def _spike_rate(axes, spikes, timestep):
    """Spikes per ms in bins of 1 ms, or of one step if that is longer."""
    total = spikes.n_samples * spikes.n_steps
    edges = np.append(np.arange(0, total, max(1, round(1 / timestep))), total)
    rate = np.diff(spikes.offsets[edges]) / (np.diff(edges) * timestep)
    axes.stairs(rate, (edges - 0.5) * timestep, fill=True, color=BLUE, alpha=0.6)
    axes.set_ylim(0, max(1.0, 1.08 * rate.max(initial=0)))
    axes.set_xlim(-0.5 * timestep, (max(total, 1) - 0.5) * timestep)
    axes.set_ylabel("spikes per ms")
    axes.set_xlabel("time (ms)")
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _sample_borders(upper, lower, spikes, timestep):
    """Vertical lines between samples in both axes, the sample's number above the raster."""
    borders = (np.arange(spikes.n_samples + 1) * spikes.n_steps - 0.5) * timestep
    for axes in (upper, lower):
        for border in borders[1:-1]:
            axes.axvline(border, color=RED, linewidth=0.9, linestyle=(0, (4, 2)))
    every = _every(spikes.n_samples)
    top = upper.secondary_xaxis("top")
    top.set_xticks((borders[:-1] + borders[1:])[::every] / 2,
                   [f"sample {s}" if spikes.n_samples <= 8 else f"{s}" for s in range(0, spikes.n_samples, every)])
    top.tick_params(length=0, labelsize=9)
    if spikes.n_samples > 8:
        top.set_xlabel("sample", fontsize=9)


def _trace(axes, v, v_thresh, steps, timestep):
    """One neuron: trace, threshold, and its spikes in a strip above both; whether the threshold is in range."""
    require(steps.ndim == 1, "membranes", "spikes", steps.shape, "one list of steps per neuron")
    axes.plot(np.arange(len(v)) * timestep, v, color=BLUE, linewidth=1.0, label="membrane potential",
              rasterized=len(v) > 10 * MAX_DENSE)
    low, high = v.min(), v.max()
    in_range = v_thresh <= high + 5 * max(high - low, 10.0)
    if in_range:
        low, high = min(low, v_thresh), max(high, v_thresh)
    axes.plot([0, 1], [v_thresh if in_range else np.nan] * 2, transform=axes.get_yaxis_transform(), color=ORANGE,
              linestyle="--", linewidth=1.2, label="threshold")
    axes.plot(steps * timestep, np.full(len(steps), 0.92), transform=axes.get_xaxis_transform(), linestyle="none",
              marker="|", markersize=7, markeredgewidth=1.2, color=RED, label="spike",
              rasterized=len(steps) > MAX_DENSE)
    span = max(high - low, 1e-3)
    axes.set_ylim(low - 0.08 * span, high + 0.25 * span)
    axes.set_ylabel("v (mV)")
    axes.spines[["top", "right"]].set_visible(False)
    return in_range


# Results


def confusion(matrix, classes, images="images"):
    """Confusion matrix: true class down, predicted class across, coloured by share of the row, recall at the right.

    The colour scale is a square root, so that a confusion of 1 % can be seen.

    Parameters
    ----------
    matrix : int array (n, n)
        Images of the row's class that were taken for the column's.
    classes : sequence of n str or int
    images : str
        What was classified, for the title: "test images".

    Returns
    -------
    matplotlib.figure.Figure
    """
    matrix = _array("confusion", "matrix", matrix, "(n, n)", np.integer)
    n, total = len(matrix), int(matrix.sum())
    require(matrix.shape == (n, n), "confusion", "matrix", matrix.shape, "square")
    require(matrix.min() >= 0, "confusion", "matrix", int(matrix.min()), "counts, 0 or more")
    require(len(classes) == n, "confusion", "classes", f"{len(classes)} names", f"{n} names, one per row")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    right = int(np.trace(matrix))
    title = f"Accuracy {100 * right / total:.2f} % ({right} of {total} {images})" if total else f"No {images}"
    side = min(13.0, max(2.6, 0.5 * n))
    figure = _figure(side + 2.9, side + 1.3, title)
    axes = figure.subplots()
    image = axes.imshow(100 * share, SHARES, norm=PowerNorm(0.5, 0, 100))
    size = min(9.0, 72 * side / n / (0.75 * max(2, len(str(matrix.max())))))
    for row, column in np.ndindex(n, n):
        colour = "0.75" if matrix[row, column] == 0 else "white" if share[row, column] > 0.3 else "black"
        axes.text(column, row, str(matrix[row, column]), size=size, color=colour, ha="center", va="center",
                  in_layout=False)
    _class_axes(axes, matrix, share, classes)
    figure.colorbar(image, ax=axes, label="share of the true class (%)", ticks=[0, 1, 5, 20, 50, 100], shrink=0.9)
    return _laid_out(figure)


def training(wins, thresholds, mean_weight):
    """Course of training, chunk by chunk: winners per window, thresholds, mean weight.

    Parameters
    ----------
    wins : int array (chunks, 3)
        Windows with no, one and several winners.
    thresholds : float array (chunks, filters)
        mV.
    mean_weight : float array (chunks,)
        nA.

    Returns
    -------
    matplotlib.figure.Figure
    """
    wins = _array("training", "wins", wins, "(chunks, 3)")
    thresholds = _array("training", "thresholds", thresholds, "(chunks, filters)")
    mean_weight = _array("training", "mean_weight", mean_weight, "(chunks,)")
    require(wins.shape[1] == 3, "training", "wins", wins.shape, "(chunks, 3)")
    for name, value in (("thresholds", thresholds), ("mean_weight", mean_weight)):
        require(len(value) == len(wins), "training", name, f"{len(value)} chunks", f"{len(wins)} chunks as in wins")
    figure = _figure(8.0, 7.0, f"Course of training: {_counted('{}', len(wins), 'chunk')}, "
                               f"{_counted('{}', thresholds.shape[1], 'filter')}")
    rows = figure.subplots(3, 1, sharex=True, height_ratios=(1.2, 1.2, 1))
    _win_shares(rows[0], wins)
    chunk, marker = np.arange(1, len(wins) + 1), "o" if len(wins) == 1 else None
    lines = rows[1].plot(chunk, thresholds, color=BLUE, alpha=0.35, linewidth=0.6, marker=marker, markersize=3,
                         rasterized=thresholds.size > 10 * MAX_DENSE)
    lines[0].set_label("one filter")
    rows[1].plot(chunk, np.median(thresholds, axis=1), color="black", linewidth=1.8, marker=marker, label="median")
    rows[1].set_ylabel("threshold (mV)")
    rows[2].plot(chunk, mean_weight, color=RED, linewidth=1.8, marker=marker)
    rows[2].set_ylabel("mean weight (nA)")
    rows[2].set_xlabel("chunk")
    rows[2].set_xlim(0.5, len(wins) + 0.5)
    rows[2].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in rows:
        axes.spines[["top", "right"]].set_visible(False)
    for axes in rows[:2]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=9)
    return _laid_out(figure)


def _class_axes(axes, matrix, share, classes):
    """Class names at the left and below, recall at the right."""
    n, size = len(classes), 9 if len(classes) <= 26 else 7
    longest = max(len(str(name)) for name in classes)
    axes.set_xticks(range(n), classes, size=size, rotation=90 if longest > 3 else 0)
    axes.set_yticks(range(n), classes, size=size)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_xticks(np.arange(1, n) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, n) - 0.5, minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    recall = [f"{100 * share[k, k]:.1f}" if matrix[k].any() else "–" for k in range(n)]
    margin = axes.secondary_yaxis("right")
    margin.set_yticks(range(n), recall, size=size)
    margin.tick_params(length=0)
    margin.set_ylabel("recall (%)")


def _win_shares(axes, wins):
    """Shares of windows with no, one and several winners, stacked; blank for a chunk without windows."""
    tops = 100 * np.cumsum(wins, axis=1) / np.maximum(wins.sum(axis=1, keepdims=True), 1)
    bottoms = np.column_stack([np.zeros(len(wins)), tops[:, :2]])
    edges = np.arange(len(wins) + 1) + 0.5
    for k, (label, colour) in enumerate((("no winner", "0.75"), ("one winner", GREEN), ("several winners", ORANGE))):
        axes.stairs(tops[:, k], edges, baseline=bottoms[:, k], fill=True, color=colour, linewidth=0, label=label)
    axes.set_ylim(0, 100)
    axes.set_ylabel("windows (%)")


# Files


def save(figure, stem):
    """Write ``stem.png`` and ``stem.svg``, the same bytes for the same figure.

    The directory is made; each file appears whole or not at all, and nothing is written if drawing fails.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    stem : path
        Without a suffix; dots in its name are kept.

    Returns
    -------
    list of pathlib.Path
    """
    contents = {Path(f"{stem}.{kind}"): _rendered(figure, kind) for kind in METADATA}
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as staging:
            Path(staging, path.name).write_bytes(content)
            os.replace(Path(staging, path.name), path)
    return list(contents)


def _rendered(figure, kind):
    content = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "spikingconvnet", "svg.fonttype": "path"}):
        figure.savefig(content, format=kind, dpi=DPI, metadata=METADATA[kind])
    return content.getvalue()


# Frame of all figures


def _figure(width, height, title):
    """Empty Figure of that size in inches with a title."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(title, fontsize=12)
    return figure


def _laid_out(figure):
    """The figure with its layout computed once and fixed: computed again at each drawing it would drift by a pixel."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def _every(n):
    """Distance of labels, of 1, 2, 5, 10, 20 and so on, that writes at most MAX_LABELS of `n`."""
    return next(step * 10 ** power for power in range(20) for step in (1, 2, 5) if n <= MAX_LABELS * step * 10 ** power)


def _counted(text, n, noun):
    return text.format(f"{n} {noun}" if n == 1 else f"{n} {noun}s")


def _array(owner, name, value, shape, dtype=np.floating):
    """`value` as an array with as many axes as `shape` names, none empty and all finite; real numbers become floats."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.empty(0, object)         # rows of different length
    n_axes = shape.count(",") + (not shape.endswith(",)"))
    require(array.ndim == n_axes and array.size > 0, owner, name, array.shape, f"an array {shape}, none of them 0")
    wanted = np.number if dtype is np.floating else dtype
    require(np.issubdtype(array.dtype, wanted), owner, name, array.dtype.name, f"of type {dtype.__name__}")
    require(bool(np.isfinite(array).all()), owner, name, "NaN or infinity", "finite")
    return array.astype(np.float64) if dtype is np.floating else array


def _require_spikes(owner, spikes, timestep):
    require(isinstance(spikes, Spikes), owner, "spikes", type(spikes).__name__, "a Spikes")
    _require_timestep(owner, timestep)


def _require_timestep(owner, timestep):
    require(timestep > 0, owner, "timestep", timestep, "above 0 ms")
