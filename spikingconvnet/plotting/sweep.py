"""Figure of a sweep: what many settings reached."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from spikingconvnet.errors import require
from spikingconvnet.plotting.frame import SMALL, framed, laid_out, plain

MOST_LINES = 12     # that the legend names


def sweep(grid: Mapping[str, Sequence[str]], lines: Sequence[Mapping[str, Any]], label: str) -> Figure:
    """Means over the seeds with their spread: values of the first name across, one line for those of the others.

    Parameters
    ----------
    grid : dict of str to list of str
        Values by name.
    lines : list of dict
        One for each setting, with ``set``, ``accuracy`` and ``spread``, 0 to 1 or None.
    label : str
        Of the axis of shares.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    SettingsError
        No lines.
    """
    require(len(lines) > 0, "sweep", "lines", lines, "a line for each setting")
    first, *others = list(grid) or [""]
    across, shown = list(grid.get(first, [""])), {tuple(line["set"].values()): line for line in lines}
    figure = framed(max(5.0, 1.2 + 0.8 * len(across)), 4.5, first or "all seeds")
    axes = figure.subplots()
    for chosen in product(*(grid[name] for name in others)):
        found = [shown[(value, *chosen) if grid else ()] for value in across]
        mean, spread = ([_percent(line[name]) for line in found] for name in ("accuracy", "spread"))
        axes.errorbar(range(len(across)), mean, np.nan_to_num(spread), marker="o", markersize=4, capsize=3,
                      label=", ".join(f"{name}={value}" for name, value in zip(others, chosen)))
    axes.set_xticks(range(len(across)), across, rotation=90 if max(map(len, across)) > 6 else 0)
    axes.set_ylabel(label)
    plain(axes)
    if others and len(axes.containers) <= MOST_LINES:
        axes.legend(frameon=False, fontsize=SMALL)
    return laid_out(figure)


def _percent(share: float | None) -> float:
    return float("nan") if share is None else 100 * share
