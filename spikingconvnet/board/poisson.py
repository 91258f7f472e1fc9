"""Poisson sources as a board draws them: one JKISS64 generator per core, sources in ascending order in every step.

A source of less than 0.01 spikes a step waits exponentially distributed times (von Neumann's algorithm), a faster one
draws a count in every step (Knuth's). The algorithm stands here in Python's integers, for the reference, and again in
``poisson_native.c`` and ``poisson_kernels.py``.

Sources: sPyNNaker 7.4.1 ``spike_source_poisson.c`` and ``spike_source_poisson_machine_vertex.py``, spinn_common
``random.c``. The algorithm was measured on the compiled binary (702 packets, 8 rates, which were not kept); only read
in C are the rounding of start and duration, and that a source of 0 Hz, too, draws its first countdown.

Not modelled: 10 expected spikes a step or more (refused: the table of the inverse normal distribution in the binary is
not known), rates that change during a run, sources connected one to one through shared memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Protocol, TypeAlias

import numpy as np

from spikingconvnet.board.fixed_point import expuk
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.arrays import AnyInts, Ints
from spikingconvnet.network.netlist import Population
from spikingconvnet.network.neurons import Seed, SpikeSourcePoisson
from spikingconvnet.network.spikes import Spikes, neuron_dtype

SLOW_BELOW = 327                # expected spikes a step as accum: 0.01
GAUSSIAN_FROM = 327680          # 10
INTERVAL = 1000                 # a step in the units of a slow source's countdown
FOREVER = 0xffffffff


@dataclass(frozen=True)
class LoweredPoisson:
    """Integers of one source.

    Attributes
    ----------
    slow : bool
        Whether it counts down to its next spike; otherwise it draws a count in every step.
    interval : u32
        Slow: mean steps between two spikes, 0 if it never fires.
    limit : u032
        Fast: ``exp(-expected spikes of a step)``.
    start, end : int
        First step in which it may fire, and the first in which it may no more.
    """

    slow: bool
    interval: int
    limit: int
    start: int
    end: int


def lower_poisson(rate: float, start: float, duration: float, timestep: float = 1.0) -> LoweredPoisson:
    """Integers of a source.

    Parameters
    ----------
    rate : float
        Hz.
    start, duration : float
        ms; the duration may be infinite.
    timestep : float
        ms.

    Returns
    -------
    LoweredPoisson

    Raises
    ------
    NetworkError
        From 10 expected spikes a step on.
    """
    raw = _u3232(rate)
    expected = ((raw >> 17) * _scaled(timestep / 1000.0, 32)) >> 32
    if expected >= GAUSSIAN_FROM:
        raise NetworkError(
            f"SpikeSourcePoisson.rate: {rate:g} Hz are {expected / (1 << 15):g} spikes a step; from 10 on a board draws"
            f" from a table of the normal distribution that is not known here; use {10000.0 / timestep:g} Hz at most, "
            "or share the rate among several sources")
    steps_per_ms = _scaled(1.0 / timestep, 16)
    first = _steps(start, steps_per_ms)
    last = FOREVER if duration == np.inf else first + _steps(duration, steps_per_ms)
    if expected >= SLOW_BELOW:
        return LoweredPoisson(False, 0, (expuk(-expected) << 16) & 0xffffffff, first, last)
    interval = ((1000 * steps_per_ms << 16) // raw) & 0xffffffff if raw else 0
    return LoweredPoisson(True, interval, 0, first, last)


def _u3232(value: float) -> int:
    return int(np.round(value * 2.0 ** 32))


def _scaled(value: float, bits: int) -> int:
    return round(Decimal(str(value)) * (1 << bits))


def _steps(ms: float, steps_per_ms: int) -> int:
    return ((_u3232(ms) * steps_per_ms >> 16) + (1 << 31)) >> 32


def jkiss64(state: list[int]) -> int:
    """The next 32 bits of a generator whose state ``[x, y, z, c]`` is changed.

    >>> state = [123456789, 987654321, 43219876, 6543217]
    >>> [jkiss64(state) for _ in range(2)]
    [560241513, 2602615593]
    """
    x, y, z, c = state
    x = (314527869 * x + 1234567) & 0xffffffff
    y ^= (y << 5) & 0xffffffff
    y ^= y >> 7
    y ^= (y << 22) & 0xffffffff
    t = 4294584393 * z + c
    state[:] = x, y, t & 0xffffffff, t >> 32
    return (x + y + state[2]) & 0xffffffff


def exponential(state: list[int]) -> int:
    """An exponentially distributed number of mean 1 as accum, by von Neumann's algorithm."""
    whole = 0
    while True:
        first = u = jkiss64(state)
        while True:
            v = jkiss64(state)
            if u < v:
                return whole + (first >> 17)
            u = jkiss64(state)
            if u >= v:
                break
        whole += 1 << 15


def countdown(state: list[int], interval: int) -> int:
    """Thousandths of a step from a slow source's spike to its next: u32, wrapped for rates far below 0.01 Hz."""
    return (((INTERVAL * exponential(state) + 0x4000) >> 15) * interval) & 0xffffffff


def slow_spikes(state: list[int], waiting: int, interval: int) -> tuple[int, int]:
    """Spikes of a slow source in a step, and what its countdown has left: (int, u32)."""
    count = 0
    while waiting < INTERVAL:
        count += 1
        waiting = (waiting + countdown(state, interval)) & 0xffffffff
    return count, waiting - INTERVAL


def fast_spikes(state: list[int], limit: int) -> int:
    """Spikes of a fast source in a step, by Knuth's algorithm."""
    product, k = 0xffffffff, 0
    while True:
        k += 1
        product = (product * jkiss64(state)) >> 32
        if product <= limit:
            return k - 1


class ReferenceCore:
    """One core of sources in Python's integers; its generator and countdowns go on from run to run.

    Parameters
    ----------
    sources : list of LoweredPoisson
    seed : (x, y, z, c)
    """

    def __init__(self, sources: Sequence[LoweredPoisson], seed: Seed) -> None:
        self.sources, self.state = sources, list(seed)
        self.waiting = [countdown(self.state, s.interval) if s.slow else 0 for s in sources]

    def run(self, t: int, n_steps: int) -> Ints:
        """Spike counts of steps ``t .. t + n_steps - 1``: int array (n_steps, sources)."""
        return np.array([[self._count(n, source, step) for n, source in enumerate(self.sources)]
                         for step in range(t, t + n_steps)], np.int64).reshape(n_steps, len(self.sources))

    def _count(self, n: int, source: LoweredPoisson, t: int) -> int:
        """Spikes of source `n` in step `t`."""
        if not source.start <= t < source.end or (source.slow and not source.interval):
            return 0
        if not source.slow:
            return fast_spikes(self.state, source.limit)
        count, self.waiting[n] = slow_spikes(self.state, self.waiting[n], source.interval)
        return count


class Core(Protocol):
    """A core of sources, as :class:`ReferenceCore` is one."""

    def run(self, t: int, n_steps: int) -> AnyInts:
        """Spike counts of steps ``t .. t + n_steps - 1``: int array (n_steps, sources)."""


MakeCore: TypeAlias = Callable[[list[LoweredPoisson], Seed], Core]


class PoissonSource:
    """A population of Poisson sources; every run goes on where the last one stopped.

    Parameters
    ----------
    population : Population
        Its cell is a SpikeSourcePoisson.
    timestep : float
        ms.
    core : callable
        What makes a core that draws: :class:`ReferenceCore` (None), or a faster one that draws the same.
    """

    STEPS_AT_ONCE = 1000

    def __init__(self, population: Population, timestep: float = 1.0, core: MakeCore | None = None) -> None:
        cell = population.cell
        assert isinstance(cell, SpikeSourcePoisson)
        lower = lru_cache(maxsize=None)(lower_poisson)
        sources = [lower(*one, timestep) for one in zip(*(population.parameter(name).tolist()
                                                          for name in ("rate", "start", "duration")))]
        firsts = range(0, population.size, cell.neurons_per_core)
        self.cores = [(core or ReferenceCore)(sources[first:first + cell.neurons_per_core], seed)
                      for first, seed in zip(firsts, cell.core_seeds)]
        self.shape, self.t = population.shape, 0

    def run(self, n_steps: int) -> Spikes:
        """Spikes of the next `n_steps` steps as one sample; an id stands as often as its source fires in a step."""
        parts = []
        for first in range(0, n_steps, self.STEPS_AT_ONCE):
            steps = min(self.STEPS_AT_ONCE, n_steps - first)
            parts.append(self._spikes(np.concatenate([c.run(self.t, steps) for c in self.cores], axis=1)))
            self.t += steps
        joined = Spikes.concatenate(parts)
        return Spikes(self.shape, n_steps, joined.offsets, joined.neurons)

    def _spikes(self, counts: AnyInts) -> Spikes:
        step, source = np.nonzero(counts)
        times = counts[step, source]
        offsets = np.concatenate([[0], np.cumsum(counts.sum(axis=1, dtype=np.int64))])
        return Spikes(self.shape, 1, offsets, np.repeat(source, times).astype(neuron_dtype(self.shape)))
