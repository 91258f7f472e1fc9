"""Recordings of networks, computed by the reference with a fault put in on purpose. Not a test itself."""

from dataclasses import replace

import numpy as np

from spikingconvnet.board.fixed_point import decay, i32
from spikingconvnet.board.lowering import lower
from spikingconvnet.board.partition import cores
from spikingconvnet.board.reference import ReferenceSimulation
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.compare.recorder import shown
from spikingconvnet.network.spikes import Spikes


class Faulty(ReferenceSimulation):
    """The reference; faults are put in by the methods below, before or between steps.

    Parameters
    ----------
    network : Network
    """

    def __init__(self, network):
        super().__init__(lower(network))
        self.dropped, self.repeated = set(), []
        for projection in self.projections.values():
            projection.spike = _dropping(self, projection, projection.spike)

    def drop(self, pre, neuron, step, core=None):
        """Lose a spike, the first of equal ones, on its way to all neurons or to those of one core of every population.
        """
        self.dropped.add((pre, neuron, step, core))

    def repeat(self, pre, neuron, step, late=()):
        """Deliver a spike, the first of equal ones, once for each step that it is `late`: (0, 0) twice, (1,) later."""
        self.dropped.add((pre, neuron, step, None))
        self.repeated += [(pre, neuron, step + steps) for steps in late]

    def _transmit(self, fired):
        again = {label: list(neurons) for label, neurons in fired.items()}
        for pre, neuron, step in self.repeated:
            if step == self.t:
                again[pre].append(neuron)
        super()._transmit({label: sorted(neurons) for label, neurons in again.items()})

    def delay(self, label, steps):
        """Deliver a projection `steps` later."""
        projection = self.projections[label]
        projection.lowered = replace(projection.lowered, delay=projection.lowered.delay + steps)
        self.slots += steps
        for neurons in self.neurons.values():
            neurons.ring += [[[0] * neurons.constants.size for _ in range(2)] for _ in range(steps)]

    def never_cut(self, label):
        """Let the ring buffer of a population hold more than 16 bits."""
        neurons = self.neurons[label]
        collect, size = neurons.collect, neurons.constants.size

        def collected(slot):
            beyond = [[max(0, weight - 0xffff) for weight in neurons.ring[slot][r]] for r in (0, 1)]
            collect(slot)
            for receptor in (0, 1):
                for n in range(size):
                    extra = beyond[receptor][n] << int(neurons.constants.shift[receptor, n])
                    neurons.synaptic[receptor][n] = i32(neurons.synaptic[receptor][n]
                                                        + decay(extra, int(neurons.constants.inject[receptor, n])))

        neurons.collect = collected


def _dropping(simulation, projection, spike):
    gone = set()

    def dropping(pre, t, own=False):
        lost = [core for name, neuron, step, core in simulation.dropped - gone
                if (name, neuron, step) == (projection.lowered.pre, pre, t)]
        gone.update((projection.lowered.pre, pre, t, core) for core in lost)
        if lost and lost[0] is None:
            return
        kept = projection.rows
        if lost:
            core = cores(simulation.network)[projection.lowered.post]
            left = [s for s in kept.get((pre, own), ()) if core[projection.lowered.post_id[s]] not in lost]
            projection.rows = {**kept, (pre, own): left}
        spike(pre, t, own)
        projection.rows = kept

    return dropping


def recorded(network, n_steps, fault=lambda simulation: None, at=0, neurons=None, **how):
    """Recorded of `n_steps`; ``fault(simulation)`` is called before step `at`."""
    simulation = Faulty(network)
    labels = list(simulation.neurons)
    spikes, traces = {label: [] for label in (*labels, *simulation.random)}, {}
    for part, steps in enumerate((at, n_steps - at)):
        if part:
            fault(simulation)
        fired, membranes = simulation.run(steps, labels)
        for label, events in fired.items():
            spikes[label] += events
        for label, found in membranes.items():
            for name, values in found.items():
                traces.setdefault(label, {}).setdefault(name, []).append(values)
    neurons = {p.label: np.arange(p.size) for p in network.populations if not p.is_source} \
        if neurons is None else neurons
    given = [p for p in network.populations if p.has_given_spikes]
    slot = next((p.cell.spikes.n_steps for p in given), n_steps)
    all_spikes = {p.label: shown(p.cell.spikes, n_steps, slot) for p in given}
    for label, events in spikes.items():
        step, neuron = np.array(events, np.int64).reshape(-1, 2).T
        whole = Spikes.from_events(0 * step, neuron, step, network.population(label).shape, 1, n_steps)
        all_spikes[label] = shown(whole, n_steps, slot)
    return Recorded(network, n_steps, all_spikes, neurons,
                    {label: {name: np.concatenate(parts)[:, ids] for name, parts in traces[label].items()}
                     for label, ids in neurons.items()},
                    {label: np.array(p.weight, np.int64) for label, p in simulation.projections.items()},
                    how={"made_on": "reference", **how})
