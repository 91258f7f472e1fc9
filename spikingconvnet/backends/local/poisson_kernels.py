"""The integers of ``poisson.py``, fast: numba kernels, where ``poisson_native.c`` was not built.

Nothing is checked here. Every variable is a uint64 that holds 32 bits; a generator's state is a uint64 array (4,) of x,
y, z, c.
"""

import numpy as np
from numba import uint64

from spikingconvnet.backends.local.kernels import compiled
from spikingconvnet.board import poisson
from spikingconvnet.network.arrays import Counts16, Flags, Words

_MASK = np.uint64(0xffffffff)
INTERVAL = np.uint64(poisson.INTERVAL)


@compiled
def jkiss64(state: Words) -> int:
    """See ``poisson.jkiss64``."""
    x = (uint64(314527869) * state[0] + uint64(1234567)) & _MASK
    y = state[1]
    y ^= (y << uint64(5)) & _MASK
    y ^= y >> uint64(7)
    y ^= (y << uint64(22)) & _MASK
    t = uint64(4294584393) * state[2] + state[3]
    state[0], state[1], state[2], state[3] = x, y, t & _MASK, t >> uint64(32)
    return (x + y + state[2]) & _MASK


@compiled
def countdown(state: Words, interval: int) -> int:
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


@compiled
def first_countdowns(state: Words, slow: Flags, interval: Words, waiting: Words) -> None:
    """A countdown for every slow source, into `waiting`."""
    for n in range(slow.shape[0]):
        if slow[n]:
            waiting[n] = countdown(state, interval[n])


@compiled
def draw(t: int, state: Words, slow: Flags, interval: Words, limit: Words, start: Words, end: Words, waiting: Words,
         counts: Counts16) -> None:
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
