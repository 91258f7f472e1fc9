"""Figures of one small map a filter: kernels, mean activity."""

import math

import matplotlib
import numpy as np
from matplotlib.ticker import MaxNLocator

from spikingconvnet.errors import require
from spikingconvnet.plotting.frame import DIVERGING, GAP_COLOUR, SEQUENTIAL, checked_array, counted, framed, laid_out


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
    before = checked_array("kernels", "before", before, "(filters, channels, rows, columns)")
    after = checked_array("kernels", "after", after, "(filters, channels, rows, columns)")
    require(before.shape == after.shape, "kernels", "after", after.shape, f"of the shape of before, {before.shape}")
    (old, reading), (new, _) = _one_channel(before), _one_channel(after)
    signed = before.shape[1] == 2 or min(old.min(), new.min()) < 0
    limits = _limits([old, new], signed)
    panels = [("Before", old, limits, signed), ("After", new, limits, signed),
              ("After minus before", new - old, _limits([new - old], signed=True), True)]
    columns, width, height = _tiling(old.shape, widest=4.6)
    figure = framed(3 * width + 0.6, height + 1.6, title)
    for axes, (name, tiles, limits, is_signed) in zip(figure.subplots(1, 3), panels):
        image = _tiled(axes, tiles, columns, width, range(len(tiles)), DIVERGING if is_signed else SEQUENTIAL, limits)
        axes.set_title(f"{name}\n{reading}", fontsize=10)
        figure.colorbar(image, ax=axes, orientation="horizontal", shrink=0.9, pad=0.02, label="weight (nA)",
                        ticks=MaxNLocator(4))
    return laid_out(figure)


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
    counts = checked_array("activity", "counts", counts, "(filters, H, W)")
    names = range(len(counts)) if class_names is None else list(class_names)
    require(len(names) == len(counts), "activity", "class_names", len(names), f"{len(counts)} names, one per filter")
    columns, width, height = _tiling(counts.shape, widest=8.0)
    figure = framed(width + 1.6, height + 0.9, counted("Mean activity of {}", len(counts), "filter"))
    axes = figure.subplots()
    image = _tiled(axes, counts, columns, width, names, SEQUENTIAL, _limits([counts], signed=False))
    axes.set_title(f"maps of {counts.shape[1]} × {counts.shape[2]} neurons", fontsize=9, color="0.35")
    figure.colorbar(image, ax=axes, shrink=0.9, pad=0.02, label="mean count (spikes per image)")
    return laid_out(figure)


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
