"""The integers of ``poisson.py``, fast: numba kernels, where ``poisson_native.c`` was not built.

Nothing is checked here. Every variable is a uint64 that holds 32 bits; a generator's state is a uint64 array (4,) of x,
y, z, c.
"""

import numpy as np
from numba import njit, uint64

from spikingconvnet.board import poisson

_MASK = np.uint64(0xffffffff)
INTERVAL = np.uint64(poisson.INTERVAL)

_compiled = njit(nogil=True, cache=True)


@_compiled
def jkiss64(state):
    """See ``poisson.jkiss64``."""
    x = (uint64(314527869) * state[0] + uint64(1234567)) & _MASK
    y = state[1]
    y ^= (y << uint64(5)) & _MASK
    y ^= y >> uint64(7)
    y ^= (y << uint64(22)) & _MASK
    t = uint64(4294584393) * state[2] + state[3]
    state[0], state[1], state[2], state[3] = x, y, t & _MASK, t >> uint64(32)
    return (x + y + state[2]) & _MASK


@_compiled
def countdown(state, interval):
    """See ``poisson.countdown``."""
    whole = uint64(0)
    while True:
        first = jkiss64(state)
        u = first
        while True:
            v = jkiss64(state)
            if u < v:
                n = whole + (first >> uint64(17))
                return (((INTERVAL * n + uint64(0x4000)) >> uint64(15)) * interval) & _MASK
            u = jkiss64(state)
            if u >= v:
                break
        whole += uint64(1 << 15)


@_compiled
def first_countdowns(state, slow, interval, waiting):
    """A countdown for every slow source, into `waiting`."""
    for n in range(slow.shape[0]):
        if slow[n]:
            waiting[n] = countdown(state, interval[n])


@_compiled
def draw(t, state, slow, interval, limit, start, end, waiting, counts):
    """Spike counts of the steps from `t` on, into `counts` (steps, sources); see ``poisson.ReferenceCore``."""
    for step in range(counts.shape[0]):
        now = uint64(t + step)
        for n in range(counts.shape[1]):
            count = 0
            if start[n] <= now < end[n]:
                if not slow[n]:
                    product = _MASK
                    while True:
                        product = (product * jkiss64(state)) >> uint64(32)
                        if product <= limit[n]:
                            break
                        count += 1
                elif interval[n] != 0:
                    while waiting[n] < INTERVAL:
                        count += 1
                        waiting[n] = (waiting[n] + countdown(state, interval[n])) & _MASK
                    waiting[n] -= INTERVAL
            counts[step, n] = count
