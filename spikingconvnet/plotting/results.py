"""Figures of what was reached: confusion matrix, course of training. What cannot be drawn is a SettingsError."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spikingconvnet.errors import require
from spikingconvnet.network.arrays import ArrayLike, Floats, Numbers
from spikingconvnet.plotting.frame import (
    BLUE,
    GREEN,
    MAX_DENSE,
    ORANGE,
    RED,
    SHARES,
    TEXT,
    checked_array,
    counted,
    framed,
    laid_out,
    plain,
    scale,
    titled,
)


def confusion(matrix: ArrayLike, classes: Sequence[Any], images: str = "images") -> Figure:
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
    matrix = checked_array("confusion", "matrix", matrix, "(n, n)", np.integer)
    n, total = len(matrix), int(matrix.sum())
    require(matrix.shape == (n, n), "confusion", "matrix", matrix.shape, "square")
    require(matrix.min() >= 0, "confusion", "matrix", int(matrix.min()), "counts, 0 or more")
    require(len(classes) == n, "confusion", "classes", f"{len(classes)} names", f"{n} names, one per row")
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    right = int(np.trace(matrix))
    title = f"Accuracy {100 * right / total:.2f} % ({right:,} of {total:,} {images})" if total else f"No {images}"
    side = min(13.0, max(2.6, 0.5 * n))
    figure = framed(side + 2.9, side + 1.3, title)
    axes = figure.subplots()
    image = axes.imshow(100 * share, SHARES, norm=PowerNorm(0.5, 0, 100))
    size = min(9.0, 72 * side / n / (0.75 * max(2, len(str(matrix.max())))))
    for row, column in np.ndindex(n, n):
        colour = "0.75" if matrix[row, column] == 0 else "white" if share[row, column] > 0.3 else "black"
        axes.text(column, row, str(matrix[row, column]), size=size, color=colour, ha="center", va="center",
                  in_layout=False)
    _class_axes(axes, matrix, share, classes)
    scale(figure, image, axes, "share of the true class (%)", [0, 1, 5, 20, 50, 100], shrink=0.9)
    return laid_out(figure)


def training(wins: ArrayLike, thresholds: ArrayLike, mean_weight: ArrayLike, layer: str = "",
             noun: str = "filter") -> Figure:
    """Course of training, chunk by chunk: winners per window, thresholds, mean weight.

    Parameters
    ----------
    wins : int array (chunks, 3)
        Windows with no, one and several winners.
    thresholds : float array (chunks, filters)
        mV.
    mean_weight : float array (chunks,)
        nA.
    layer : str
        Name for the title.
    noun : str
        What has a threshold.

    Returns
    -------
    matplotlib.figure.Figure
    """
    wins = checked_array("training", "wins", wins, "(chunks, 3)")
    thresholds = checked_array("training", "thresholds", thresholds, "(chunks, filters)")
    mean_weight = checked_array("training", "mean_weight", mean_weight, "(chunks,)")
    require(wins.shape[1] == 3, "training", "wins", wins.shape, "(chunks, 3)")
    for name, value in (("thresholds", thresholds), ("mean_weight", mean_weight)):
        require(len(value) == len(wins), "training", name, f"{len(value)} chunks", f"{len(wins)} chunks as in wins")
    title = (f"Course of training: {counted('{}', len(wins), 'chunk')},"
             f" {counted('{}', thresholds.shape[1], noun)}")
    figure = framed(8.0, 7.0, titled(layer, title))
    rows = figure.subplots(3, 1, sharex=True, height_ratios=(1.2, 1.2, 1))
    _win_shares(rows[0], wins)
    chunk, marker = np.arange(1, len(wins) + 1), "o" if len(wins) == 1 else None
    lines = rows[1].plot(chunk, thresholds, color=BLUE, alpha=0.35, linewidth=0.6, marker=marker, markersize=3,
                         rasterized=thresholds.size > 10 * MAX_DENSE)
    lines[0].set_label(f"one {noun}")
    rows[1].plot(chunk, np.median(thresholds, axis=1), color="black", linewidth=1.8, marker=marker, label="median")
    rows[1].set_ylabel("threshold (mV)")
    rows[2].plot(chunk, mean_weight, color=RED, linewidth=1.8, marker=marker)
    rows[2].set_ylabel("mean weight (nA)")
    rows[2].set_xlabel("chunk")
    rows[2].set_xlim(0.5, len(wins) + 0.5)
    rows[2].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    for axes in rows:
        plain(axes)
    for axes in rows[:2]:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False, fontsize=TEXT)
    return laid_out(figure)


def curves(told: Mapping[str, Sequence[float]], title: str = "Course of training") -> Figure:
    """What a training tells of each of its passes: a panel for each name, one below the other.

    Parameters
    ----------
    told : dict of str to sequence of float
        A number for each pass, by what it is.
    title : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    require(len(told) > 0, "curves", "told", told, "numbers of at least one name")
    arrays = {name: checked_array("curves", name, values, "(passes,)") for name, values in told.items()}
    figure = framed(6.5, 1.0 + 1.7 * len(arrays), title)
    rows = figure.subplots(len(arrays), 1, squeeze=False)[:, 0]
    for axes, (name, values) in zip(rows, arrays.items()):
        axes.plot(np.arange(1, len(values) + 1), values, color=BLUE, linewidth=1.8, marker="o", markersize=3)
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plain(axes)
    rows[-1].set_xlabel("pass over the training images")
    return laid_out(figure)


def _class_axes(axes: Axes, matrix: Numbers, share: Floats, classes: Sequence[Any]) -> None:
    """Class names at the left and below, recall at the right."""
    n, size = len(classes), TEXT if len(classes) <= 26 else 7
    longest = max(len(str(name)) for name in classes)
    axes.set_xticks(range(n), classes, size=size, rotation=90 if longest > 3 else 0)
    axes.set_yticks(range(n), classes, size=size)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class", size=TEXT)
    axes.set_ylabel("true class", size=TEXT)
    axes.set_xticks(np.arange(1, n) - 0.5, minor=True)
    axes.set_yticks(np.arange(1, n) - 0.5, minor=True)
    axes.grid(which="minor", color="0.9", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    recall = [f"{100 * share[k, k]:.1f}" if matrix[k].any() else "–" for k in range(n)]
    margin = axes.secondary_yaxis("right")
    margin.set_yticks(range(n), recall, size=size)
    margin.tick_params(length=0)
    margin.set_ylabel("recall (%)", size=TEXT)


def _win_shares(axes: Axes, wins: Numbers) -> None:
    """Shares of windows with no, one and several winners, stacked; blank for a chunk without windows."""
    tops = 100 * np.cumsum(wins, axis=1) / np.maximum(wins.sum(axis=1, keepdims=True), 1)
    bottoms = np.column_stack([np.zeros(len(wins)), tops[:, :2]])
    edges = np.arange(len(wins) + 1) + 0.5
    for k, (label, colour) in enumerate((("no winner", "0.75"), ("one winner", GREEN), ("several winners", ORANGE))):
        axes.stairs(tops[:, k], edges, baseline=bottoms[:, k], fill=True, color=colour, linewidth=0, label=label)
    axes.set_ylim(0, 100)
    axes.set_ylabel("windows (%)")
