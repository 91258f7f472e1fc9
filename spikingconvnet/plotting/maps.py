"""Figures of one small map a filter: kernels, mean activity. What cannot be drawn is a SettingsError."""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from spikingconvnet.errors import require
from spikingconvnet.network.arrays import ArrayLike, Floats, Pair
from spikingconvnet.plotting.frame import (
    DIVERGING,
    GAP_COLOUR,
    SEQUENTIAL,
    SMALL,
    TEXT,
    checked_array,
    counted,
    framed,
    laid_out,
    scale,
    titled,
)

MIN_WIDTH = 4.0                 # inches, for the title


def kernels(before: ArrayLike | None, after: ArrayLike, title: str = "Kernels before and after training",
            channel_names: Sequence[str] | None = None, unit: str = "nA", total: int | None = None) -> Figure:
    """Kernels before and after training and their change, or only the kernels: a panel each, one tile per filter.

    Two channels are shown as their difference, more than two as their mean, or below each other where each has but one
    row; the panel's title and its colour bar say so. Before and after share their colour limits. Signed values have
    limits symmetric around 0.

    Parameters
    ----------
    before : float array (filters, channels, rows, columns) or None
        Weights, nA; None for kernels that were not learned from others.
    after : float array (filters, channels, rows, columns)
        Weights, nA.
    title : str
    channel_names : sequence of two str, optional
        Names of two channels, such as on-centre and off-centre.
    unit : str
        Of the weights.
    total : int, optional
        Number of filters, if those shown are the first of more; the panels say so.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shape = "(filters, channels, rows, columns)"
    before = None if before is None else checked_array("kernels", "before", before, shape)
    after = checked_array("kernels", "after", after, shape)
    new, reading, quantity = _one_channel(after, channel_names)
    cut = f"the first {len(new):,} of {total:,}, " if total and total > len(new) else ""
    shown = [("Kernels", new)]
    if before is not None:
        require(before.shape == after.shape, "kernels", "after", after.shape, f"of the shape of before, {before.shape}")
        shown = [("Before", _one_channel(before, channel_names)[0]), ("After", new)]
    signed = quantity.startswith("difference") or min(tiles.min() for _, tiles in shown) < 0
    limits = _limits([tiles for _, tiles in shown], signed)
    panels = [(name, tiles, limits, signed) for name, tiles in shown]
    if before is not None:
        change = new - shown[0][1]
        panels.append(("After minus before", change, _limits([change], signed=True), True))
    columns, width, height = _tiling(new.shape, widest=4.6)
    figure = framed(max(len(panels) * width + 0.6, MIN_WIDTH), height + 1.6, title)
    for axes, (name, tiles, limits, is_signed) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels):
        image = _tiled(axes, tiles, columns, width, range(len(tiles)), DIVERGING if is_signed else SEQUENTIAL, limits)
        axes.set_title(f"{name}\n{cut}{reading}", fontsize=TEXT)
        scale(figure, image, axes, f"{quantity} ({unit})", orientation="horizontal", shrink=0.9, pad=0.02)
    return laid_out(figure)


def activity(counts: ArrayLike, class_names: Sequence[object] | None = None, layer: str = "",
             noun: str = "filter") -> Figure:
    """Mean spike counts of every filter as a small map, all on one colour scale.

    Parameters
    ----------
    counts : float array (filters, H, W)
        Spikes per image.
    class_names : sequence of str (filters,), optional
        Written above the maps in place of the filters' numbers, such as the class that each filter prefers.
    layer : str
        Name for the title.
    noun : str
        What a map belongs to, for the title.

    Returns
    -------
    matplotlib.figure.Figure
    """
    counts = checked_array("activity", "counts", counts, "(filters, H, W)")
    names: Sequence[object] = range(len(counts)) if class_names is None else list(class_names)
    require(len(names) == len(counts), "activity", "class_names", len(names), f"{len(counts)} names, one per filter")
    columns, width, height = _tiling(counts.shape, widest=8.0)
    title = titled(layer, counted("Mean activity of {}", len(counts), noun))
    figure = framed(max(width + 1.6, MIN_WIDTH), height + 0.9, title)
    axes = figure.subplots()
    image = _tiled(axes, counts, columns, width, names, SEQUENTIAL, _limits([counts], signed=False))
    if counts[0].size > 1:
        axes.set_title(f"maps of {counts.shape[1]} × {counts.shape[2]} neurons", fontsize=TEXT, color="0.35")
    scale(figure, image, axes, "mean count (spikes per image)", shrink=0.9, pad=0.02)
    return laid_out(figure)


def _one_channel(weights: Floats, names: Sequence[str] | None) -> tuple[Floats, str, str]:
    """Tiles (filters, rows, columns) of kernels, how to read them, and the quantity that they show."""
    channels = weights.shape[1]
    require(names is None or len(names) == channels == 2, "kernels", "channel_names", names,
            f"the names of two channels, or None; there are {channels}")
    if channels == 1:
        return weights[:, 0], "one channel", "weight"
    if weights.shape[2] == 1 < weights.shape[3]:
        return weights[:, :, 0], f"{channels} channels, below each other", "weight"
    if channels == 2:
        first, second = names or ("channel 0", "channel 1")
        return weights[:, 0] - weights[:, 1], f"{first} − {second}", "difference of weights"
    return weights.mean(axis=1), f"mean of {channels} channels", f"mean weight of {channels} channels"


def _limits(arrays: Sequence[Floats], signed: bool) -> tuple[float, float]:
    """Colour limits from 0, or symmetric around 0; never empty."""
    top = max(float(np.abs(values).max()) for values in arrays)
    top = top if top > 0 else 1.0
    return (-top, top) if signed else (0.0, top)


def _gaps(shape: tuple[int, ...]) -> Pair:
    """Pixels between tiles: rows (a number stands there) and columns."""
    return math.ceil(0.3 * shape[-2]), math.ceil(0.12 * shape[-1])


def _tiling(shape: tuple[int, ...], widest: float) -> tuple[int, float, float]:
    """Columns that make the mosaic of tiles `shape` about square, its width (at most `widest`) and height in inches."""
    n, margin, (rows, columns) = shape[0], _gaps(shape)[1], np.add(shape[-2:], _gaps(shape))
    across = min(n, max(1, round(math.sqrt(n * rows / columns))))
    width = min(widest, max(2.4, 1.1 * across))
    return across, width, width * (math.ceil(n / across) * rows + margin) / (across * columns + margin)


def _mosaic(tiles: Floats, columns: int) -> tuple[Floats, list[Pair]]:
    """All tiles (n, H, W) in one image, NaN between them, and the first row and column of each tile."""
    n, height, width = tiles.shape
    down, right = _gaps(tiles.shape)
    corners = [(down + k // columns * (height + down), right + k % columns * (width + right)) for k in range(n)]
    mosaic = np.full((corners[-1][0] + height + right, columns * (width + right) + right), np.nan)
    for (row, column), tile in zip(corners, tiles):
        mosaic[row:row + height, column:column + width] = tile
    return mosaic, corners


def _tiled(axes: Axes, tiles: Floats, columns: int, width: float, names: Sequence[object], colours: str,
           limits: tuple[float, float]) -> AxesImage:
    """Draw tiles on `axes`, `width` inches wide, with their names above them; the AxesImage."""
    mosaic, corners = _mosaic(tiles, columns)
    image = axes.imshow(mosaic, matplotlib.colormaps[colours].with_extremes(bad=GAP_COLOUR), vmin=limits[0],
                        vmax=limits[1], interpolation="nearest")
    down, right = _gaps(tiles.shape)
    longest = max(len(str(name)) for name in names)
    size = min(SMALL, 72 * width / mosaic.shape[1] * min(0.8 * down, (tiles.shape[2] + right) / (0.7 * longest)))
    for (row, column), name in zip(corners, names):
        axes.text(column - 0.5, row - 0.5 - 0.08 * down, str(name), size=size, color="0.25", va="bottom",
                  in_layout=False)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    return image
