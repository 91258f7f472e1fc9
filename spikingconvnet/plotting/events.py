"""Figures over time: images and their first spikes, rasters, membranes. What cannot be drawn is a SettingsError."""

from collections.abc import Sequence
from typing import Any, Literal

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
    SMALL,
    TEXT,
    checked_array,
    counted,
    every_nth,
    framed,
    label_samples,
    laid_out,
    plain,
    require_spikes,
    require_timestep,
    sample_names,
    scale,
    titled,
)

MAX_ROWS = 12                   # neurons in `membranes`
MAX_IMAGES = 10                 # columns in `inputs`
MAX_CHANNELS = 4                # latency rows in `inputs`


def inputs(images: ArrayLike | None, spikes: Spikes, timestep: float = 1.0,
           channel_names: Sequence[str] | None = None, samples: Sequence[str] | None = None) -> Figure:
    """Images and, below each, the time of every input neuron's first spike, one row per channel; blank where silent.

    Of samples that are a row of numbers and no picture, the channels stand below each other in one panel.

    Parameters
    ----------
    images : uint8 array (N, H, W) or None
        Grey values, or numbers; the first 10 are shown. None: the samples are events, and there are none.
    spikes : Spikes
        Of the same N images, one sample each; the first 4 channels are shown.
    timestep : float
        ms per step.
    channel_names : sequence of str, optional
        One for each channel, else they are numbered.
    samples : sequence of str, optional
        Names of the images, else they are numbered.

    Returns
    -------
    matplotlib.figure.Figure
    """
    require_spikes("inputs", spikes, timestep)
    if images is not None:
        images = checked_array("inputs", "images", images, "(N, H, W)", np.uint8)
        require(spikes.n_samples == len(images), "inputs", "spikes", f"{spikes.n_samples} samples",
                f"one sample for each of {len(images)} images")
    names = [f"channel {c}" for c in range(spikes.shape[0])] if channel_names is None else list(channel_names)
    require(len(names) == spikes.shape[0], "inputs", "channel_names", names, f"{spikes.shape[0]} names")
    shown = min(spikes.n_samples, MAX_IMAGES)
    latency = first_spikes(spikes.samples(0, shown)) * timestep
    if is_row := spikes.shape[1] == 1 < spikes.shape[2]:
        names, latency = [_from_to(names)], latency.swapaxes(1, 2)
    titles = sample_names("inputs", samples or [f"image {k}" for k in range(spikes.n_samples)], shown)
    last = float(np.nanmax(latency, initial=timestep))
    above = None if images is None else images[:shown]
    return laid_out(_pictures(above, latency[:, :MAX_CHANNELS], last, names, titles, spikes.n_samples, is_row))


def _pictures(images: Numbers | None, latency: Floats, last: float, names: Sequence[str], titles: Sequence[str],
              total: int, is_row: bool) -> Figure:
    """Images above their first spikes, the `last` of them in ms; rows of numbers are as wide as pictures, and flat."""
    above, (shown, channels), what = images is not None, latency.shape[:2], "Numbers" if is_row else "Images"
    cut = ", ".join(f"{part} of {all_:,} {noun}" for part, all_, noun in (
        (shown, total, "images"), (channels, len(names), "channels")) if part < all_)
    heights = ([0.35, 1.5] if is_row else [1.6] * (1 + channels))[not above:]
    figure = framed(1.5 * shown + 2.0, sum(heights) + (1.2 if is_row else 0.8),
                    (f"{what} and their first spikes" if above else "First spikes") + f" ({cut})" * bool(cut))
    grid = figure.subplots(len(heights), shown, squeeze=False, height_ratios=heights)
    for axes, title in zip(grid[0], titles):
        axes.set_title(title, fontsize=TEXT)
    for axes, name in zip(grid[:, 0], [*["numbers" if is_row else "image"] * above, *names]):
        axes.set_ylabel(name, fontsize=TEXT)
    if images is not None:
        top, unit = (max(1, int(images.max())), "number") if is_row else (255, "grey value")
        scale(figure, _drawn(grid[:1], images[:, None], "gray_r", top, is_row), grid[0], unit, [0, top])
    times = _drawn(grid[above:], latency, SEQUENTIAL, last, is_row)
    scale(figure, times, grid[above:], "first spike (ms)", aspect=20 * (1 if is_row else channels))
    return figure


def _drawn(grid: Any, pictures: Numbers, colours: str, top: float, stretched: bool) -> AxesImage:
    """Pictures (samples, channels, rows, columns), a column of panels each, from 0 to `top`: the last AxesImage."""
    aspect: Literal["auto", "equal"] = "auto" if stretched else "equal"
    for axes, picture in zip(grid.T.ravel(), pictures.reshape(-1, *pictures.shape[2:])):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("0.8")
        image: AxesImage = axes.imshow(picture, colours, vmin=0, vmax=top, interpolation="nearest", aspect=aspect)
    return image


def _from_to(names: Sequence[str]) -> str:
    """The last and the first name, as the rows of a picture are read from below: ``field 4 ... field 1``."""
    return names[0] if len(names) == 1 else f"{names[-1]} ... {names[0]}"


def raster(spikes: Spikes, n_samples: int = 3, timestep: float = 1.0, layer: str = "",
           samples: Sequence[str] | None = None, channels: Sequence[str] | None = None, noun: str = "neuron") -> Figure:
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
    samples, channels : sequence of str, optional
        Names of the samples and of the channels, else they are numbered.
    noun : str
        What a neuron is called; one with a name of its own stands for a class.

    Returns
    -------
    matplotlib.figure.Figure
        Its first axes hold the raster, whose first line has one marker per spike; the second hold the histogram.
    """
    require_spikes("raster", spikes, timestep)
    require(n_samples >= 1, "raster", "n_samples", n_samples, "at least 1")
    spikes = spikes.samples(0, min(n_samples, spikes.n_samples))
    title = (f"{counted('{}', spikes.n_events, 'spike')} of {counted('{}', spikes.size, noun)} in"
             f" {counted('{}', spikes.n_samples, 'sample')}")
    figure = framed(9.0, 5.6, titled(layer, title))
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    _spike_marks(upper, spikes, timestep)
    _channel_bands(upper, spikes.shape, channels, noun)
    _spike_rate(lower, spikes, timestep)
    label_samples((upper, lower), sample_names("raster", samples, spikes.n_samples), spikes.n_steps * timestep,
                  -0.5 * timestep)
    return laid_out(figure)


def membranes(v: ArrayLike, v_thresh: ArrayLike, spikes: Sequence[Sequence[int] | Ints], timestep: float = 1.0,
              labels: Sequence[str] | None = None, layer: str = "", samples: Sequence[str] | None = None,
              total: int | None = None, noun: str = "neuron") -> Figure:
    """Membrane potentials with thresholds and spikes, one row per neuron on a shared time axis.

    A threshold far above the trace (a neuron that is not meant to fire) is written instead of drawn.

    Parameters
    ----------
    v : float array (steps, neurons)
        mV; the first 12 neurons are shown.
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
    samples : sequence of str, optional
        Names of the samples that were shown one after another, all of them for as many steps.
    total : int, optional
        Number of neurons that these are of, for the title.
    noun : str
        What a neuron is called.

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
    require(samples is None or len(samples) > 0 == len(v) % len(samples), "membranes", "samples", samples,
            f"names of samples that share {len(v)} steps")
    shown, total = min(neurons, MAX_ROWS), total or neurons
    of_all = f" ({shown} of {total:,} {noun}s)" if shown < total else ""
    title = titled(layer, f"Membrane potentials before the input of each step{of_all}")
    figure = framed(9.0, (1.35 if shown < 7 else 1.0) * shown + 1.6, title)
    rows = figure.subplots(shown, 1, sharex=True, squeeze=False)[:, 0]
    for k, axes in enumerate(rows):
        in_range = _trace(axes, v[:, k], v_thresh[k], np.asarray(spikes[k]), timestep)
        remark = "" if in_range else f"threshold {v_thresh[k]:g} mV, out of range; "
        axes.set_title(labels[k], fontsize=TEXT, loc="left")
        axes.set_title(remark + counted("{}", len(spikes[k]), "spike"), fontsize=TEXT, loc="right", color="0.35")
    rows[-1].set_xlabel("time (ms)", size=TEXT)
    if samples is not None:
        label_samples(rows, samples, len(v) * timestep / len(samples), -0.5 * timestep)
    rows[-1].set_xlim(-0.5 * timestep, (len(v) - 0.5) * timestep)
    figure.legend(*rows[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False,
                  fontsize=TEXT)
    return laid_out(figure)


def first_spikes(spikes: Spikes) -> Floats:
    """Step of every neuron's first spike inside its sample: float array (n_samples, C, H, W), NaN where silent."""
    sample, neuron, step = spikes.events()
    first = np.full((spikes.n_samples, spikes.size), np.inf)
    np.minimum.at(first, (sample, neuron), step)
    return np.where(np.isfinite(first), first, np.nan).reshape(spikes.n_samples, *spikes.shape)


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


def _channel_bands(axes: Axes, shape: Shape, names: Sequence[str] | None, noun: str) -> None:
    """Separators between channels, the channel's number or name at the middle of its band."""
    channels, area = shape[0], shape[1] * shape[2]
    every, told = every_nth(channels), list(map(str, range(channels))) if names is None else list(names)
    require(len(told) == channels, "raster", "channels", f"{len(told)} names", f"{channels} names, one per channel")
    axes.set_yticks((np.arange(0, channels, every) + 0.5) * area - 0.5, told[::every])
    one = noun if names is None else "class"
    axes.set_ylabel(one if area == 1 else f"channel ({shape[1]} × {shape[2]} neurons each)", size=TEXT)
    axes.tick_params(labelsize=SMALL)
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
    plain(axes)


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
    plain(axes)
    return in_range
