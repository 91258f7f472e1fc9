"""A core of Poisson sources, by the kernels."""

from collections.abc import Sequence
from types import ModuleType

import numpy as np

from spikingconvnet.backends.local import native
from spikingconvnet.board.poisson import LoweredPoisson
from spikingconvnet.network.arrays import Counts16
from spikingconvnet.network.neurons import Seed


class KernelCore:
    """As :class:`ReferenceCore`, fast.

    Parameters
    ----------
    sources, seed
        See :class:`ReferenceCore`.
    kernels : module
        See ``simulator.Simulation``.
    """

    def __init__(self, sources: Sequence[LoweredPoisson], seed: Seed,
                 kernels: ModuleType | None = None) -> None:
        self.kernels = kernels or native.or_else()
        self.state = np.array(seed, np.uint64)
        self.interval, self.limit, self.start, self.end = np.array(
            [[s.interval, s.limit, s.start, s.end] for s in sources], np.uint64).T.copy()
        self.slow = np.array([s.slow for s in sources])
        self.waiting = np.zeros(len(sources), np.uint64)
        self.kernels.first_countdowns(self.state, self.slow, self.interval, self.waiting)

    def run(self, t: int, n_steps: int) -> Counts16:
        """Spike counts of steps ``t .. t + n_steps - 1``: uint16 array (n_steps, sources)."""
        counts = np.empty((n_steps, len(self.slow)), np.uint16)
        self.kernels.draw(t, self.state, self.slow, self.interval, self.limit, self.start, self.end, self.waiting,
                          counts)
        return counts
