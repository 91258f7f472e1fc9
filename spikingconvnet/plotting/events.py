"""Figures over time: images and their first spikes, rasters, membranes. What cannot be drawn is a SettingsError."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from spikingconvnet.errors import require
from spikingconvnet.network.arrays import ArrayLike, Floats, Ints, Numbers, Shape
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.plotting.frame import (
    BLUE,
    GREY,
    MAX_DENSE,
    ORANGE,
    RED,
    SEQUENTIAL,
    checked_array,
    counted,
    every_nth,
    framed,
    laid_out,
    require_spikes,
    require_timestep,
    titled,
)

MAX_ROWS = 6                    # neurons in `membranes`
MAX_IMAGES = 10                 # columns in `inputs`
MAX_CHANNELS = 4                # latency rows in `inputs`


def inputs(images: ArrayLike, spikes: Spikes, timestep: float = 1.0,
           channel_names: Sequence[str] | None = None) -> Figure:
    """Images and, below each, the time of every input neuron's first spike, one row per channel; blank where silent.

    Parameters
    ----------
    images : uint8 array (N, H, W)
        Grey values; the first 10 are shown.
    spikes : Spikes
        Of the same N images, one sample each; the first 4 channels are shown.
    timestep : float
        ms per step.
    channel_names : sequence of str, optional
        One for each channel, else they are numbered.

    Returns
    -------
    matplotlib.figure.Figure
    """
    images = checked_array("inputs", "images", images, "(N, H, W)", np.uint8)
    require_spikes("inputs", spikes, timestep)
    require(spikes.n_samples == len(images), "inputs", "spikes", f"{spikes.n_samples} samples",
            f"one sample for each of {len(images)} images")
    shown, channels = min(len(images), MAX_IMAGES), min(spikes.shape[0], MAX_CHANNELS)
    latency = first_spikes(spikes.samples(0, shown)) * timestep
    last = np.nanmax(latency, initial=timestep)
    names = [f"channel {c}" for c in range(spikes.shape[0])] if channel_names is None else list(channel_names)
    require(len(names) == spikes.shape[0], "inputs", "channel_names", names, f"{spikes.shape[0]} names")
    cut = [f"{part} of {all_} {noun}" for part, all_, noun in ((shown, len(images), "images"),
                                                               (channels, spikes.shape[0], "channels")) if part < all_]
    figure = framed(1.5 * shown + 2.0, 1.6 * (1 + channels) + 0.8,
                     "Images and their first spikes" + (f" ({', '.join(cut)})" if cut else ""))
    grid = figure.subplots(1 + channels, shown, squeeze=False)
    for sample, column in enumerate(grid.T):
        column[0].set_title(f"image {sample}", fontsize=9)
        grey = _picture(column[0], images[sample], "gray_r", 0, 255)
        for channel, axes in enumerate(column[1:]):
            times = _picture(axes, latency[sample, channel], SEQUENTIAL, 0, last)
    for axes, name in zip(grid[:, 0], ["image", *names]):
        axes.set_ylabel(name, fontsize=9)
    figure.colorbar(grey, ax=grid[0], label="grey value\n(0 to 255)", ticks=[0, 255])
    figure.colorbar(times, ax=grid[1:], label="first spike (ms)", aspect=20 * channels)
    return laid_out(figure)


def raster(spikes: Spikes, n_samples: int = 3, timestep: float = 1.0, layer: str = "") -> Figure:
    """Every spike of the first samples, neurons grouped by channel, and the population's rate below.

    Parameters
    ----------
    spikes : Spikes
    n_samples : int
        Samples shown, at most.
    timestep : float
        ms per step; a spike of step ``t`` stands at ``t * timestep``.
    layer : str
        Name for the title.

    Returns
    -------
    matplotlib.figure.Figure
        Its first axes hold the raster, whose first line has one marker per spike; the second hold the histogram.
    """
    require_spikes("raster", spikes, timestep)
    require(n_samples >= 1, "raster", "n_samples", n_samples, "at least 1")
    spikes = spikes.samples(0, min(n_samples, spikes.n_samples))
    title = (f"{counted('{}', spikes.n_events, 'spike')} of {spikes.size} neurons in"
             f" {counted('{}', spikes.n_samples, 'sample')}")
    figure = framed(9.0, 5.6, titled(layer, title))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _spike_marks(upper, spikes, timestep)
    _channel_bands(upper, spikes.shape)
    _spike_rate(lower, spikes, timestep)
    _sample_borders(upper, lower, spikes, timestep)
    return laid_out(figure)


def membranes(v: ArrayLike, v_thresh: ArrayLike, spikes: Sequence[Sequence[int] | Ints], timestep: float = 1.0,
              labels: Sequence[str] | None = None, layer: str = "") -> Figure:
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
    layer : str
        Name for the title.

    Returns
    -------
    matplotlib.figure.Figure
    """
    v = checked_array("membranes", "v", v, "(steps, neurons)")
    v_thresh = checked_array("membranes", "v_thresh", v_thresh, "(neurons,)")
    neurons = v.shape[1]
    labels = [f"neuron {k}" for k in range(neurons)] if labels is None else list(labels)
    for name, value in (("v_thresh", v_thresh), ("spikes", spikes), ("labels", labels)):
        require(len(value) == neurons, "membranes", name, f"{len(value)} entries", f"one entry per neuron ({neurons})")
    require_timestep("membranes", timestep)
    shown = min(neurons, MAX_ROWS)
    of_all = f" ({shown} of {neurons} neurons)" if shown < neurons else ""
    title = titled(layer, f"Membrane potentials before the input of each step{of_all}")
    figure = framed(9.0, 1.35 * shown + 1.4, title)
    rows = figure.subplots(shown, 1, sharex=True, squeeze=False)[:, 0]
    for k, axes in enumerate(rows):
        in_range = _trace(axes, v[:, k], v_thresh[k], np.asarray(spikes[k]), timestep)
        remark = "" if in_range else f"threshold {v_thresh[k]:g} mV, out of range; "
        axes.set_title(labels[k], fontsize=9, loc="left")
        axes.set_title(remark + counted("{}", len(spikes[k]), "spike"), fontsize=9, loc="right", color="0.35")
    rows[-1].set_xlabel("time (ms)")
    rows[-1].set_xlim(-0.5 * timestep, (len(v) - 0.5) * timestep)
    figure.legend(*rows[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return laid_out(figure)


def first_spikes(spikes: Spikes) -> Floats:
    """Step of every neuron's first spike inside its sample: float array (n_samples, C, H, W), NaN where silent."""
    sample, neuron, step = spikes.events()
    first = np.full((spikes.n_samples, spikes.size), np.inf)
    np.minimum.at(first, (sample, neuron), step)
    return np.where(np.isfinite(first), first, np.nan).reshape(spikes.n_samples, *spikes.shape)


def _picture(axes: Axes, values: Numbers, colours: str, low: float, high: float) -> AxesImage:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color("0.8")
    return axes.imshow(values, colours, vmin=low, vmax=high, interpolation="nearest")


def _spike_marks(axes: Axes, spikes: Spikes, timestep: float) -> None:
    """One mark per spike, more transparent where so many fall on one step that they would hide each other."""
    height, width = 72 * 3.2, 72 * 7.5         # of the axes, points, roughly
    steps = max(spikes.n_samples * spikes.n_steps, 1)
    size = float(np.clip(0.8 * height / spikes.size, 2.0, 9.0))
    overlap = spikes.n_events / max(1, int(np.count_nonzero(np.diff(spikes.offsets)))) * size / height
    axes.plot(spikes.steps() * timestep, spikes.neurons, linestyle="none", marker="|", color=BLUE, label="spikes",
              markersize=size, markeredgewidth=np.clip(0.5 * width / steps, 0.8, 1.4),
              alpha=1 / min(max(overlap, 1.0), 4.0), rasterized=spikes.n_events > MAX_DENSE)
    axes.set_ylim(spikes.size - 0.5, -0.5)
    if spikes.n_events == 0:
        axes.text(0.5, 0.5, "no spikes", transform=axes.transAxes, ha="center", va="center", color=GREY,
                  bbox={"facecolor": "white", "edgecolor": "none"})


def _channel_bands(axes: Axes, shape: Shape) -> None:
    """Separators between channels, the channel's number at the middle of its band."""
    channels, area = shape[0], shape[1] * shape[2]
    every = every_nth(channels)
    axes.set_yticks((np.arange(0, channels, every) + 0.5) * area - 0.5, map(str, range(0, channels, every)))
    axes.set_ylabel("neuron" if area == 1 else f"channel ({shape[1]} × {shape[2]} neurons each)")
    if area > 1:
        axes.hlines(np.arange(1, channels) * area - 0.5, 0, 1, transform=axes.get_yaxis_transform(), color="0.8",
                    linewidth=0.6 if channels <= 32 else 0.25, zorder=1)
        axes.tick_params(axis="y", length=0)


def _spike_rate(axes: Axes, spikes: Spikes, timestep: float) -> None:
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


def _sample_borders(upper: Axes, lower: Axes, spikes: Spikes, timestep: float) -> None:
    """Vertical lines between samples in both axes, the sample's number above the raster."""
    borders = (np.arange(spikes.n_samples + 1) * spikes.n_steps - 0.5) * timestep
    for axes in (upper, lower):
        for border in borders[1:-1]:
            axes.axvline(border, color=RED, linewidth=0.9, linestyle=(0, (4, 2)))
    every = every_nth(spikes.n_samples)
    top = upper.secondary_xaxis("top")
    top.set_xticks((borders[:-1] + borders[1:])[::every] / 2,
                   [f"sample {s}" if spikes.n_samples <= 8 else f"{s}" for s in range(0, spikes.n_samples, every)])
    top.tick_params(length=0, labelsize=9)
    if spikes.n_samples > 8:
        top.set_xlabel("sample", fontsize=9)


def _trace(axes: Axes, v: Floats, v_thresh: float, steps: Numbers, timestep: float) -> bool:
    """One neuron: trace, threshold, and its spikes in a strip above both; whether the threshold is in range."""
    require(steps.ndim == 1, "membranes", "spikes", steps.shape, "one list of steps per neuron")
    axes.plot(np.arange(len(v)) * timestep, v, color=BLUE, linewidth=1.0, label="membrane potential",
              rasterized=len(v) > 10 * MAX_DENSE)
    low, high = v.min(), v.max()
    in_range = bool(v_thresh <= high + 5 * max(high - low, 10.0))
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
