"""Dual coordinate descent of linear support vector machines: numba kernels, where ``svm_native.c`` was not built.

Sixteen machines at a time, one to a lane, because all of them see the same samples. Samples are rows without their
zeros: those of number i are ``start[i] .. start[i + 1] - 1`` of `feature` and `value`. `weights` is float32 (features +
1, LANES), of the unscaled features and for the intercepts; `alpha` float32 (samples, LANES). Nothing is checked here.
"""

import numpy as np

from spikingconvnet.backends.local.kernels import compiled
from spikingconvnet.backends.local.layout import LANES
from spikingconvnet.network.arrays import Counts16, Floats32, Ids, Ints, Ints32

DOTS = 4                    # sums side by side: the same in C, whose order of additions this is


@compiled
def _score(i: int, start: Ints, feature: Ids, value: Counts16 | Floats32, weights: Floats32, sums: Floats32) -> None:
    """Scores of sample `i` in every lane, into the first of `sums` (DOTS, LANES)."""
    sums[:] = 0
    sums[0] = weights[-1]
    for k in range(start[i], start[i + 1]):
        sum_, row, times = sums[(k - start[i]) % DOTS], weights[feature[k]], np.float32(value[k])
        for lane in range(LANES):
            sum_[lane] += row[lane] * times
    for lane in range(LANES):
        sums[0, lane] = (sums[0, lane] + sums[1, lane]) + (sums[2, lane] + sums[3, lane])


@compiled
def svm_pass(order: Ints, start: Ints, feature: Ids, value: Counts16 | Floats32, own: Ints32, square: Floats32,
             size: Floats32, factors: Floats32, lanes: int, weights: Floats32, alpha: Floats32) -> int:
    """Go once through samples and solve each for its `alpha`, the others being as they are.

    Parameters
    ----------
    order : int64 array
        Samples, in the order in which they are visited.
    start, feature, value, weights, alpha : arrays
        See the module; the last two change.
    own : int32 array (samples,)
        Lane of a sample's class, -1 for none of these.
    square : float32 array (features,)
        Squares of what features are multiplied by.
    size : float32 array (samples,)
        Squared lengths of the scaled samples, and 1 for the intercept.
    factors : float32 array (2,)
        ``min(C, 1)``, in units of which `alpha` and `weights` are, and half of it over C.
    lanes : int
        That are used.

    Returns
    -------
    int
        Samples that have changed.
    """
    strength, half = factors
    one, nothing = np.float32(1), np.float32(0)
    sums, steps, changed = np.empty((DOTS, LANES), np.float32), np.empty(LANES, np.float32), 0
    for i in order:
        _score(i, start, feature, value, weights, sums)
        moved = False
        for lane in range(lanes):
            side, before = one if lane == own[i] else -one, alpha[i, lane]
            after = before - (side * (sums[0, lane] * strength) - one + before * half) / (size[i] * strength + half)
            after = max(after, nothing)
            steps[lane] = (after - before) * side
            alpha[i, lane] = after
            moved = moved or steps[lane] != nothing
        if moved:
            changed += 1
            for k in range(start[i], start[i + 1]):
                times, row = square[feature[k]] * np.float32(value[k]), weights[feature[k]]
                for lane in range(lanes):
                    row[lane] += steps[lane] * times
            for lane in range(lanes):
                weights[-1, lane] += steps[lane]
    return changed


@compiled
def svm_scores(start: Ints, feature: Ids, value: Counts16 | Floats32, weights: Floats32, scores: Floats32) -> None:
    """Scores of all samples, in units of ``factors[0]``, into `scores` (samples, LANES)."""
    sums = np.empty((DOTS, LANES), np.float32)
    for i in range(len(start) - 1):
        _score(i, start, feature, value, weights, sums)
        scores[i] = sums[0]
