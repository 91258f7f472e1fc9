"""Recordings of a run while it goes on."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import numpy as np

from spikingconvnet.backends.base import Record, Recording, Simulation, joined, recorded_neurons
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.arrays import AnyInts, Floats, Ints
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

Open: TypeAlias = Callable[..., AbstractContextManager[Simulation]]
NEURONS = 64                # of every population, membranes are recorded


class Recorder:
    """A backend's simulation that remembers what it gave: used in its place, it has the same methods.

    Parameters
    ----------
    simulation : context manager of a Simulation
        Opened with ``record=neurons``.
    network : Network
    neurons : dict of str to int64 array
    how : dict
    keep : callable
        ``keep(recorded)`` is called when the simulation ends without an error.
    static : bool
        Whether weights are read that do not learn, too.
    """

    def __init__(self, simulation: AbstractContextManager[Simulation], network: Network,
                 neurons: dict[str, Ints], how: dict[str, Any], keep: Callable[[Recorded], object],
                 static: bool = True) -> None:
        self._opened, self._network, self._neurons, self._how = simulation, network, neurons, how
        self._keep, self._static, self._t = keep, static, 0
        self._chunks: list[Recording] = []
        self._thresholds: list[tuple[int, str, Floats]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._simulation, name)

    def __enter__(self) -> Any:         # a Simulation, whose other methods `__getattr__` finds
        self._simulation = self._opened.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        try:
            if kind is None:
                self._keep(self._recorded())
        finally:
            self._opened.__exit__(kind, *error)

    def run(self, n_steps: int) -> None:
        """Simulate `n_steps` more steps."""
        self._simulation.run(n_steps)
        self._t += n_steps

    def set(self, label: str, v_thresh: Floats) -> None:
        """Set the thresholds of a population."""
        self._simulation.set(label, v_thresh)
        self._thresholds.append((self._t, label, np.array(v_thresh, np.float64)))

    def recording(self) -> Recording:
        """What was recorded since the last call: Recording."""
        self._chunks.append(self._simulation.recording())
        return self._chunks[-1]

    def _recorded(self) -> Recorded:
        chunks, steps = self._chunks, self._t
        given = [p for p in self._network.populations if p.has_given_spikes]
        slot = self._network.slot or steps
        spikes = {p.label: shown(p.given_spikes, steps, slot) for p in given}
        spikes |= {label: joined([chunk.spikes[label] for chunk in chunks], slot) for label in chunks[0].spikes}
        membranes = {label: {name: np.concatenate([chunk.membranes[label][name] for chunk in chunks])
                             for name in traces} for label, traces in chunks[0].membranes.items()}
        return Recorded(self._network, steps, spikes, self._neurons, membranes, self._weights(),
                        tuple(self._thresholds), self._how)

    def _weights(self) -> dict[str, AnyInts]:
        found = {}
        for projection in self._network.projections:
            if not (self._static or projection.learns):
                continue
            try:
                found[projection.label] = self._simulation.weights(projection.label).raw
            except NetworkError:        # a kernel that sPyNNaker does not read back
                continue
        return {label: raw for label, raw in found.items() if raw is not None}


def recording(open_network: Open, how: dict[str, Any], keep: Callable[[Recorded], object],
              chosen: Callable[[Network], bool] = lambda network: True, neurons: int = NEURONS) -> Open:
    """``open_network`` whose simulations of `chosen` networks are recorded, with membranes of some neurons of each.

    Parameters
    ----------
    open_network : callable
        ``open`` of a backend.
    how : dict
    keep : callable
        ``keep(recorded)``, see :class:`Recorder`.
    chosen : callable
        ``chosen(network)`` tells whether a network is recorded.
    neurons : int
        Of every population. With 0 a machine does nothing more than without a recording: membranes are those that were
        asked for anyhow, and weights are read where they learn.
    """
    def opened(network: Network, record: Record = (), **options: Any) -> AbstractContextManager[Simulation]:
        if not chosen(network):
            return open_network(network, record, **options)
        ids = ({p.label: spread(p.size, neurons) for p in network.populations if not p.is_source} if neurons
               else recorded_neurons(network, record))
        return Recorder(open_network(network, ids, **options), network, ids, how, keep, bool(neurons))

    return opened


def spread(size: int, n: int = NEURONS) -> Ints:
    """At most `n` neurons of a population, evenly spread so that every map and core has some: int64 array."""
    return np.unique(np.linspace(0, size - 1, min(n, size)).astype(np.int64))


def learns(network: Network) -> bool:
    """Whether a network has a projection that learns."""
    return any(p.learns for p in network.projections)


def shown(spikes: Spikes, steps: int, slot: int) -> Spikes:
    """The first `steps` steps of a timeline, silent beyond its end."""
    offsets = np.concatenate([spikes.offsets, np.full(max(0, steps + 1 - len(spikes.offsets)), spikes.offsets[-1])])
    part = Spikes(spikes.shape, 1, offsets[:steps + 1], spikes.neurons[:offsets[steps]])
    return joined([part], slot)


def run(open_network: Open, network: Network, how: dict[str, Any]) -> Recorded:
    """A network simulated for all steps of its sources: Recorded."""
    kept: list[Recorded] = []
    with recording(open_network, how, kept.append)(network) as simulation:
        simulation.run(simulation.source_steps)
        simulation.recording()
    return kept[0]


def replayed(open_network: Open, recorded: Recorded, how: dict[str, Any]) -> Recorded:
    """The network of a recording simulated as it was there: the same length, membranes and changes of thresholds."""
    kept: list[Recorded] = []
    network, ends = recorded.network, [*(step for step, _, _ in recorded.thresholds), recorded.n_steps]
    simulation = open_network(network, recorded.neurons)
    with Recorder(simulation, network, recorded.neurons, how, kept.append) as running:
        done = 0
        for i, end in enumerate(ends):
            if end > done:
                running.run(end - done)
                done = end
            if i < len(recorded.thresholds):
                running.set(*recorded.thresholds[i][1:])
        running.recording()
    return kept[0]
