"""The diagnostics of a training: what its course and its kernels tell of it."""

import numpy as np

from spikingconvnet.model.trained import Course
from spikingconvnet.network.arrays import Floats
from spikingconvnet.network.plasticity import WeightDependence

DUPLICATE = 0.95            # cosine of two centred kernels from which they count as the same


def diagnostics(bounds: WeightDependence, learned: Floats, course: Course) -> dict[str, float]:
    """Whether the layer has learned well; accuracy alone does not tell.

    Parameters
    ----------
    bounds : record of ``plasticity``
        With `w_min` and `w_max`, nA.
    learned : float array (filters, channels, rows, columns)
    course : Course

    Returns
    -------
    dict of str to float
        ``wins_per_window``, ``silent_windows`` and ``contested_windows`` (shares, over the last quarter of the chunks;
        a window with more than two winners counts as two wins), ``duplicate_pairs``, ``mean_weight`` (nA), ``at_lower``
        and ``at_upper`` (shares of weights at their bounds), ``convergence``, see :func:`convergence`.
    """
    late = course.wins[-max(1, len(course.wins) // 4):].sum(axis=0)
    return {"wins_per_window": float((late * [0, 1, 2]).sum() / late.sum()),
            "silent_windows": float(late[0] / late.sum()),
            "contested_windows": float(late[2] / late.sum()), **weight_diagnostics(bounds, learned)}


def weight_diagnostics(bounds: WeightDependence, learned: Floats) -> dict[str, float]:
    """The part of :func:`diagnostics` that kernels and their bounds tell, whatever rule found them."""
    step = 1e-3 * (bounds.w_max - bounds.w_min)
    return {**kernel_diagnostics(learned),
            "at_lower": float(np.mean(learned <= bounds.w_min + step)),
            "at_upper": float(np.mean(learned >= bounds.w_max - step)),
            "convergence": convergence(bounds, learned)}


def convergence(bounds: WeightDependence, learned: Floats) -> float:
    """Mean of w (1 - w) with weights as shares of their range: 0.25 at most, 0 when all have come to a bound.

    Source: Kheradpisheh et al. 2018 (doi 10.1016/j.neunet.2017.12.005), who stop below 0.01.
    """
    share = (learned - bounds.w_min) / (bounds.w_max - bounds.w_min)
    return float(np.mean(share * (1.0 - share)))


def kernel_diagnostics(learned: Floats) -> dict[str, float]:
    """The part of :func:`diagnostics` that kernels alone tell: ``duplicate_pairs`` and ``mean_weight``."""
    flat = learned.reshape(len(learned), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    pairs = np.triu(unit @ unit.T > DUPLICATE, k=1)
    return {"duplicate_pairs": float(pairs.sum()), "mean_weight": float(learned.mean())}
