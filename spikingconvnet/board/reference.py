"""What a SpiNNaker board computes, one neuron and one synapse at a time in plain Python integers.

Slow and readable on purpose: the kernels must give these integers, and these integers were compared with the compiled
binaries of sPyNNaker 7.4.1. The order inside a step is the board's: ring buffer into synaptic currents, neurons in
ascending order, then the spikes of the step. On split cores (``split_cores.py``) the synapses' core takes packets as
they arrive: here those of other populations first, then rewards and punishments, and the neurons' own last.

Sources (sPyNNaker 7.4.1): ``neuron_model_lif_impl.h``, ``synapse_types_exponential_impl.h``,
``synapses.c``, ``synapse_dynamics_stdp_mad_impl.c``, ``post_events.h``; plasticity rules are in ``reference_rules.py``,
what kinds of neurons have of their own in ``reference_neurons.py``.
"""

from collections.abc import Collection
from typing import TypeAlias

import numpy as np

from spikingconvnet.board.fixed_point import decay, i32, kmul
from spikingconvnet.board.lowered import LoweredPopulation, LoweredProjection
from spikingconvnet.board.lowering import Lowered
from spikingconvnet.board.poisson import PoissonSource, ReferenceCore
from spikingconvnet.board.reference_neurons import own_state
from spikingconvnet.board.reference_rules import (
    PLACEHOLDER,
    Spike,
    after_modulator,
    after_post,
    after_pre,
    learn,
    learn_modulated,
    learning_delay,
)
from spikingconvnet.board.rules import LoweredRule
from spikingconvnet.board.split_cores import own_synapses, transfers
from spikingconvnet.network.arrays import Flags, Ints32
from spikingconvnet.network.neurons import SpikeSourceArray, SpikeSourcePoisson

HISTORY = 16            # postsynaptic events kept per neuron, a permanent placeholder included
SATURATED = 0xffff

Fired: TypeAlias = dict[str, list[int]]                     # neurons of a step, by population
Events: TypeAlias = dict[str, list[tuple[int, int]]]        # (step, neuron), by population


class ReferenceNeurons:
    """State and step of one population.

    Parameters
    ----------
    constants : LoweredPopulation
    slots : int
        Length of the ring buffer, more than the largest delay.
    """

    def __init__(self, constants: LoweredPopulation, slots: int) -> None:
        c = self.constants = constants
        self.v = c.v_init.tolist()
        self.v_thresh = c.v_thresh.tolist()
        self.timer = [0] * c.size
        self.synaptic = [[0] * c.size, [0] * c.size]
        self.own = own_state(c)
        self.ring = [[[0] * c.size for _ in range(2)] for _ in range(slots)]
        self.history = [[PLACEHOLDER] for _ in range(c.size)]
        self.saturated = 0

    def collect(self, slot: int) -> None:
        """Step 1: the slot's weights enter the synaptic currents; a slot holds 65535 at most, whatever the order."""
        c = self.constants
        for receptor in (0, 1):
            for n, weight in enumerate(self.ring[slot][receptor]):
                if weight > SATURATED:
                    self.saturated += 1
                    weight = SATURATED
                if weight:
                    current = i32(weight << int(c.shift[receptor, n]))
                    self.synaptic[receptor][n] = i32(self.synaptic[receptor][n]
                                                     + decay(current, int(c.inject[receptor, n])))
            self.ring[slot][receptor] = [0] * c.size

    def update(self) -> list[int]:
        """Step 2: membranes, spikes, decay of the currents; the neurons that fire, ascending."""
        c, outward = self.constants, np.broadcast_to(self.own.outward(), self.constants.size).tolist()
        fired = []
        for n in range(c.size):
            if self.timer[n] <= 0:
                scale = int(c.input_scale[n])
                current = i32(kmul(self.synaptic[0][n], scale) - kmul(self.synaptic[1][n], scale)
                              - outward[n] + int(c.i_offset[n]))
                alpha = i32(kmul(current, int(c.resistance[n])) + int(c.v_rest[n]))
                self.v[n] = i32(alpha - kmul(int(c.membrane_decay[n]), i32(alpha - self.v[n])))
            else:
                self.timer[n] -= 1
            if self.v[n] >= self.v_thresh[n]:
                self.v[n] = int(c.v_reset[n])
                self.timer[n] = int(c.refractory[n])
                fired.append(n)
            for receptor in (0, 1):
                self.synaptic[receptor][n] = decay(self.synaptic[receptor][n], int(c.decay[receptor, n]))
        self.own.fired(np.isin(np.arange(c.size), fired))
        return fired

    def reset(self) -> None:
        """Membranes, timers, currents and weights on their way as before the first step."""
        size = self.constants.size
        self.v, self.timer, self.synaptic = self.constants.v_init.tolist(), [0] * size, [[0] * size, [0] * size]
        self.ring = [[[0] * size for _ in range(2)] for _ in self.ring]

    def remember(self, neuron: int, event: Spike) -> None:
        """Append a postsynaptic event; the oldest real one makes room for the seventeenth."""
        events = self.history[neuron]
        events.append(event)
        if len(events) > HISTORY:
            del events[1]

    def last_event(self, neuron: int) -> Spike:
        """The newest event of a neuron, or the placeholder."""
        return self.history[neuron][-1]


class ReferenceProjection:
    """Rows of synapses, static or plastic."""

    def __init__(self, lowered: LoweredProjection, post: ReferenceNeurons, own: Flags) -> None:
        self.lowered = lowered
        self.post = post
        self.weight = lowered.weight.tolist()
        self.eligibility = [0] * len(self.weight)
        self.rows: dict[tuple[int, bool], list[int]] = {}
        for index, row in enumerate(zip(lowered.pre_id.tolist(), own.tolist())):
            self.rows.setdefault(row, []).append(index)
        self.last_pre: dict[tuple[int, bool], Spike] = {}

    def spike(self, pre: int, t: int, own: bool = False) -> None:
        """A presynaptic neuron fires at step `t`: learn, then deliver every weight of its row.

        `own` says which row: that of synapses on the core which the spike comes back to (split cores), or the others.
        """
        rule, row = self.lowered.rule, (pre, own)
        last = self.last_pre.get(row, PLACEHOLDER)
        if rule:
            self.last_pre[row] = after_pre(rule, last, t)
        for index in self.rows.get(row, ()):
            neuron, receptor, delay = self._synapse(index)
            if rule:
                stored = delay % self.post.constants.delay_slots
                self._learn(rule, index, last, self.last_pre[row], learning_delay(rule, stored))
                if not stored:
                    continue        # sPyNNaker 7.4.1 skips a plastic synapse whose stored delay is 0
            slot = (t + delay) % len(self.post.ring)
            self.post.ring[slot][receptor][neuron] += self.weight[index]

    def _synapse(self, index: int) -> tuple[int, int, int]:
        """Postsynaptic neuron, receptor and delay."""
        return int(self.lowered.post_id[index]), int(self.lowered.receptor[index]), int(self.lowered.delay[index])

    def _learn(self, rule: LoweredRule, index: int, last: Spike, now: Spike, delay: int) -> None:
        neuron, receptor, _ = self._synapse(index)
        shift, history = int(self.post.constants.shift[receptor, neuron]), self.post.history[neuron]
        if rule.modulated:
            self.weight[index], self.eligibility[index] = learn_modulated(
                rule, self.weight[index], self.eligibility[index], shift, history, last, now, delay)
        else:
            self.weight[index] = learn(rule, self.weight[index], shift, history, last, now, delay)

    def modulate(self, pre: int, t: int, rule: LoweredRule) -> None:
        """A reward or punishment fires at step `t`: dopamine for every neuron of its row."""
        for index in self.rows.get((pre, False), ()):
            neuron, punishes = int(self.lowered.post_id[index]), int(self.lowered.receptor[index])
            amount = -self.weight[index] if punishes else self.weight[index]
            self.post.remember(neuron, after_modulator(rule, self.post.last_event(neuron), t, amount))


class ReferenceSimulation:
    """A whole network, step by step.

    Parameters
    ----------
    lowered : Lowered
    own_first : bool
        Whether packets that come back to their own population's core arrive before those of others, not behind them.
        The order of packets of different cores is not defined on a board.
    """

    def __init__(self, lowered: Lowered, own_first: bool = False) -> None:
        self.own_first = own_first
        network = self.network = lowered.network
        slots = 1 + max([1] + [p.connections.max_delay for p in network.projections])
        self.neurons = {label: ReferenceNeurons(c, slots) for label, c in lowered.populations.items()}
        integers = [lowered.projection(p.label) for p in network.projections]
        self.projections = {p.label: ReferenceProjection(p, self.neurons[p.post], own_synapses(
            network.population(p.post), p, lowered.populations[p.post].split)) for p in integers}
        self.transfers = {}
        for label in self.neurons:
            incoming = [p for p in integers if p.post == label]
            if lowered.populations[label].split:
                self.transfers[label] = transfers(network.population(label), incoming,
                                                  lowered.populations[label].delay_slots)
        self.slots, self.t = slots, 0
        self.random = {p.label: PoissonSource(p, network.timestep, ReferenceCore) for p in network.populations
                       if isinstance(p.cell, SpikeSourcePoisson)}

    def run(self, n_steps: int, record: Collection[str] = ()) -> tuple[Events, dict[str, dict[str, Ints32]]]:
        """Simulate `n_steps` more steps.

        Parameters
        ----------
        n_steps : int
        record : collection of str
            Populations whose membranes are recorded.

        Returns
        -------
        spikes : dict of str to list of (step, neuron)
            Every population of neurons and of Poisson sources.
        membranes : dict of str to dict of 'v', 'gsyn_exc', 'gsyn_inh' to int32 array (n_steps, size)
            `v` before, synaptic currents after the inputs of the step.
        """
        spikes: Events = {label: [] for label in (*self.neurons, *self.random)}
        traces: dict[str, dict[str, list[list[int]]]] = {
            label: {"v": [], "gsyn_exc": [], "gsyn_inh": []} for label in record}
        for _ in range(n_steps):
            fired: Fired = {}
            for label, neurons in self.neurons.items():
                if self.network.reset_every and self.t % self.network.reset_every == 0:
                    neurons.reset()
                neurons.collect(self.t % self.slots)
                if label in traces:
                    for name, values in zip(("v", "gsyn_exc", "gsyn_inh"), (neurons.v, *neurons.synaptic)):
                        traces[label][name].append(list(values))
                fired[label] = neurons.update()
                spikes[label] += [(self.t, n) for n in fired[label]]
            self._remember(fired)
            for label, source in self.random.items():
                fired[label] = source.run(1).neurons.tolist()
                spikes[label] += [(self.t, n) for n in fired[label]]
            fired.update(self._given())
            if self.own_first:
                self._come_back(fired)
            self._transmit(fired)
            self._modulate(fired)
            if not self.own_first:
                self._come_back(fired)
            self.t += 1
        shapes = {label: (n_steps, self.neurons[label].constants.size) for label in traces}
        return spikes, {label: {name: np.array(rows, np.int32).reshape(shapes[label]) for name, rows in t.items()}
                        for label, t in traces.items()}

    def _rule(self, label: str) -> LoweredRule | None:
        """The rule of a population's plastic synapses, or None."""
        return next((p.lowered.rule for p in self.projections.values() if p.lowered.post == label and p.lowered.rule),
                    None)

    def _remember(self, fired: Fired) -> None:
        """Spikes of this step into the histories of neurons that share a core with their synapses."""
        for label in self.neurons:
            for n in fired[label] if label not in self.transfers else ():
                self._remember_one(label, n)

    def _remember_one(self, label: str, n: int) -> None:
        rule, neurons = self._rule(label), self.neurons[label]
        if rule:
            neurons.remember(n, after_post(rule, neurons.last_event(n), self.t))

    def _come_back(self, fired: Fired) -> None:
        """Spikes of this step to the other core of their population, see ``split_cores.py``."""
        for label, started in self.transfers.items():
            for n in fired[label]:
                for projection in started[n]:
                    self._remember_one(label, n)
                    if projection:
                        self.projections[projection.label].spike(n, self.t, own=True)

    def _given(self) -> Fired:
        """Given spikes of this step by label."""
        now = {}
        for population in self.network.populations:
            if isinstance(population.cell, SpikeSourceArray):
                spikes = population.cell.spikes
                last = len(spikes.offsets) - 1
                ids = spikes.neurons[spikes.offsets[self.t]:spikes.offsets[self.t + 1]] if self.t < last else ()
                now[population.label] = [int(n) for n in ids]
        return now

    def _modulate(self, fired: Fired) -> None:
        for projection in self.projections.values():
            rule = self._rule(projection.lowered.post)
            if projection.lowered.modulates and rule:
                for pre in fired[projection.lowered.pre]:
                    projection.modulate(pre, self.t, rule)

    def _transmit(self, fired: Fired) -> None:
        for projection in self.projections.values():
            if not projection.lowered.modulates:
                for pre in fired[projection.lowered.pre]:
                    projection.spike(pre, self.t)
