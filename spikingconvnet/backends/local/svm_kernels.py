"""Dual coordinate descent of linear support vector machines: numba kernels, where ``svm_native.c`` was not built.

All machines see the same samples, one after another. Samples are the rows of `value`, an array (samples, width):
counts, a 1 for the intercept, and zeros up to a width that is a multiple of ``DOTS * STRIPES``. `weights` is float32
(machines, width), of the unscaled features; `alpha` float32 (samples, machines); `active` bool (samples, machines): who
is visited. `x` is float32 (width,), where a sample is put. Nothing is checked here.
"""

import numpy as np

from spikingconvnet.backends.local.kernels import compiled
from spikingconvnet.backends.local.layout import DOTS, STRIPES
from spikingconvnet.network.arrays import Flags, Floats, Floats32, Ints, Ints32, Numbers


@compiled
def _score(x: Floats32, weights: Floats32, sums: Floats32) -> np.float32:
    """Score of a sample by a machine; `sums` (DOTS, STRIPES) is room."""
    sums[:] = 0
    for first in range(0, len(x), DOTS * STRIPES):
        for dot in range(DOTS):
            for stripe in range(STRIPES):
                at = first + dot * STRIPES + stripe
                sums[dot, stripe] += x[at] * weights[at]
    total, half = sums[0] + sums[1], STRIPES // 2
    while half:
        for stripe in range(half):
            total[stripe] += total[stripe + half]
        half //= 2
    return total[0]


@compiled
def svm_pass(order: Ints, value: Numbers, own: Ints32, square: Floats32, size: Floats32, factors: Floats32,
             active: Flags, weights: Floats32, alpha: Floats32, x: Floats32) -> int:
    """Go once through samples and solve each for its `alpha` of each machine, the others being as they are.

    Parameters
    ----------
    order : int64 array
        Samples, in the order in which they are visited.
    value, active, weights, alpha, x : arrays
        See the module; the last three change.
    own : int32 array (samples,)
        The machine of a sample's class, -1 for none of these.
    square : float32 array (width,)
        Squares of what features are multiplied by.
    size : float32 array (samples,)
        Squared lengths of the scaled samples, and 1 for the intercept.
    factors : float32 array (2,)
        ``min(C, 1)``, in units of which `alpha` and `weights` are, and half of it over C.

    Returns
    -------
    int
        Numbers of `alpha` that have changed.
    """
    strength, half = factors
    one, nothing = np.float32(1), np.float32(0)
    sums, changed = np.empty((DOTS, STRIPES), np.float32), 0
    for i in order:
        x[:] = value[i]
        for machine in range(len(weights)):
            if not active[i, machine]:
                continue
            side, before = one if own[i] == machine else -one, alpha[i, machine]
            score = _score(x, weights[machine], sums) * strength
            after = max(before - (side * score - one + before * half) / (size[i] * strength + half), nothing)
            if after == before:
                continue
            alpha[i, machine], step = after, (after - before) * side
            changed += 1
            for f in range(len(x)):
                weights[machine, f] += step * (square[f] * x[f])
    return changed


@compiled
def svm_look(value: Numbers, own: Ints32, factors: Floats32, active: Flags, weights: Floats32, alpha: Floats32,
             x: Floats32, slacks: Floats) -> int:
    """Look how far samples are inside of margins: who is `active`, and squares added to `slacks`, float64 (machines,).

    The other arguments are those of :func:`svm_pass`. Returns how many pairs of a sample and a machine are active:
    those inside of the margin, and those whose `alpha` is above 0.
    """
    one, nothing = np.float32(1), np.float32(0)
    sums, number = np.empty((DOTS, STRIPES), np.float32), 0
    for i in range(len(value)):
        x[:] = value[i]
        for machine in range(len(weights)):
            side = one if own[i] == machine else -one
            slack = one - side * (_score(x, weights[machine], sums) * factors[0])
            active[i, machine] = slack > nothing or alpha[i, machine] > nothing
            number += active[i, machine]
            if slack > nothing:
                slacks[machine] += np.float64(slack) * np.float64(slack)
    return number
