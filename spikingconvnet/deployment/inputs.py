"""Whether a recording follows its network's arithmetic: what each step should have given, from what was before it.

Every neuron is taken by itself: its recorded state in a step, the spikes that were recorded everywhere, and the
network's weights give its currents and its membrane in the next step, as integers. So it shows where a recording leaves
the arithmetic, whatever has become of it before; and a recording can be blamed without the other one.

Plastic weights are learned again from the recorded spikes, synapse by synapse as ``backends.local.reference`` does.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from spikingconvnet.backends.local.fixed_point import decay, i32, kmul
from spikingconvnet.backends.local.reference import HISTORY, SATURATED
from spikingconvnet.backends.local.reference_rules import PLACEHOLDER, after_post, after_pre, learn, learning_delay
from spikingconvnet.backends.partition import cores

CURRENTS = ("gsyn_exc", "gsyn_inh")


@dataclass(frozen=True)
class Packet:
    """A spike on its way to some cores of a population.

    Attributes
    ----------
    pre : str
        Population that sent it.
    neuron, step : int
        Who fired, and when.
    post : str
        Population whose cores it is for.
    cores : frozenset of int
    """

    pre: str
    neuron: int
    step: int
    post: str
    cores: frozenset


@dataclass(frozen=True, eq=False)
class Deliveries:
    """What reaches recorded neurons of a population; every array is int64 (deliveries,).

    Attributes
    ----------
    arrival : steps
    column : arrays
        Place of the neuron among the recorded ones.
    receptor : arrays
        0 excitatory, 1 inhibitory.
    weight : arrays
        16 bits.
    projection : arrays
        Its place among the network's.
    neuron, step : arrays
        Which presynaptic neuron fired, and when.
    copy : arrays
        How many spikes of that neuron in that step came before this one.
    """

    arrival: np.ndarray
    column: np.ndarray
    receptor: np.ndarray
    weight: np.ndarray
    projection: np.ndarray
    neuron: np.ndarray
    step: np.ndarray
    copy: np.ndarray

    def sums(self, steps, columns):
        """Weights by step, before a slot is cut to 16 bits: int64 array (receptors, steps, columns)."""
        inside = self.arrival < steps
        flat = (self.receptor[inside] * steps + self.arrival[inside]) * columns + self.column[inside]
        return np.bincount(flat, self.weight[inside], 2 * steps * columns).astype(np.int64).reshape(2, steps, columns)


class Inputs:
    """Expectations for one recorded population of one recording.

    Parameters
    ----------
    recorded : Recorded
    label : str
        Of the population.
    steps : int
        How far to look.
    """

    def __init__(self, recorded, label, steps):
        self.recorded, self.label, self.steps = recorded, label, steps
        self.neurons = recorded.neurons[label]
        self.constants = recorded.lowered.populations[label]
        self.core = cores(recorded.network)[label][self.neurons]
        self.trace = {name: values[:steps].astype(np.int64) for name, values in recorded.membranes[label].items()}
        self.fired = fired(recorded.spikes[label], self.neurons, steps)

    @cached_property
    def is_followed(self):
        """Whether its weights can be learned again: not on split cores, and not under neuromodulation."""
        return self.recorded.network.modulation(self.label) is None and not self.constants.split

    @cached_property
    def projections(self):
        """Synapses onto recorded neurons: (place, LoweredProjection whose ``post_id`` are columns), of every incoming
        projection."""
        column = np.full(self.constants.size, -1)
        column[self.neurons] = np.arange(len(self.neurons))
        found = []
        for index, projection in enumerate(self.recorded.network.projections):
            if projection.post == self.label and not projection.modulates:
                whole = self.recorded.lowered.projection(projection.label)
                mine = np.flatnonzero(column[whole.post_id] >= 0)
                parts = {name: getattr(whole, name)[mine] for name in ("pre_id", "delay", "weight", "receptor")}
                found.append((index, replace(whole, post_id=column[whole.post_id[mine]], **parts)))
        return found

    def deliveries(self, lost=(), later=None):
        """What should have arrived.

        Parameters
        ----------
        lost : collection of Packet
            That did not arrive.
        later : dict of int to int or None
            Steps that are added to all delays of a projection, by its place.
        """
        rows = []
        for index, lowered in self.projections:
            extra = (later or {}).get(index, 0)
            moved = replace(lowered, delay=lowered.delay + extra) if extra else lowered
            for core in np.unique(self.core):
                rows.append(self._of_core(index, moved, core, [
                    p for p in lost if (p.pre, p.post) == (lowered.pre, self.label) and core in p.cores]))
        empty = [np.zeros(0, np.int64)] * 8
        return Deliveries(*(np.concatenate(parts) for parts in zip(empty, *rows)))

    @cached_property
    def expected(self):
        """What should have arrived if nothing is lost or later: Deliveries."""
        return self.deliveries()

    def _of_core(self, index, lowered, core, lost):
        mine = self.core[lowered.post_id] == core
        parts = {name: getattr(lowered, name)[mine] for name in ("pre_id", "post_id", "delay", "weight", "receptor")}
        lowered = replace(lowered, **parts)
        step, neuron, copy = self._spikes(lowered.pre, lost)
        first, end = (np.searchsorted(lowered.pre_id, neuron, side) for side in ("left", "right"))
        count = end - first
        synapse = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
        step, neuron, copy = (np.repeat(part, count) for part in (step, neuron, copy))
        weight, delivered = ((lowered.weight[synapse], np.ones(len(synapse), bool)) if lowered.rule is None
                             else self._learned(lowered, step, synapse))
        found = (step + lowered.delay[synapse], lowered.post_id[synapse], lowered.receptor[synapse], weight,
                 np.full(len(synapse), index), neuron, step, copy)
        return [part[delivered].astype(np.int64) for part in found]

    def _spikes(self, pre, lost):
        """Steps and neurons of the spikes of a population without those that were lost, and how many copies came
        before."""
        spikes = self.recorded.spikes[pre]
        n = spikes.offsets[self.steps]
        step, neuron = spikes.steps()[:n], spikes.neurons[:n].astype(np.int64)
        keep = np.ones(n, bool)
        for packet in lost:             # of two spikes in one step one packet each
            found = np.flatnonzero(keep & (step == packet.step) & (neuron == packet.neuron))
            keep[found[:1]] = False
        step, neuron = step[keep], neuron[keep]
        key = step * spikes.size + neuron
        return step, neuron, np.arange(len(key)) - np.searchsorted(key, key)

    def _learned(self, lowered, step, synapse):
        """Weight of every synaptic event, in the order of the events, and whether it is delivered."""
        rule, slots = lowered.rule, self.constants.delay_slots
        weights, out = lowered.weight.tolist(), np.zeros(len(step), np.int64)
        stored = lowered.delay % slots
        back = [learning_delay(rule, steps) for steps in stored.tolist()]
        history = [[PLACEHOLDER] for _ in self.neurons]
        fired_step, fired_column = np.nonzero(self.fired)
        last, now, position = {}, {}, 0
        for event, (t, s) in enumerate(zip(step.tolist(), synapse.tolist())):
            while position < len(fired_step) and fired_step[position] <= t:
                events = history[fired_column[position]]
                events.append(after_post(rule, events[-1], int(fired_step[position])))
                if len(events) > HISTORY:
                    del events[1]
                position += 1
            last[s] = now.get(s, PLACEHOLDER)
            now[s] = after_pre(rule, last[s], t)
            column, receptor = int(lowered.post_id[s]), int(lowered.receptor[s])
            shift = int(self.constants.shift[receptor, self.neurons[column]])
            weights[s] = out[event] = learn(rule, weights[s], shift, history[column], last[s], now[s], back[s])
        return out, stored[synapse] > 0

    def currents(self, sums, first=0):
        """Synaptic currents that follow from those of the step before and what arrived: int64 array like `sums`, which
        begins with step `first`."""
        found = np.empty_like(sums)
        for receptor, name in enumerate(CURRENTS):
            part = {key: getattr(self.constants, key)[receptor, self.neurons] for key in ("shift", "decay", "inject")}
            before = np.zeros_like(sums[receptor])
            before[max(0, 1 - first):] = self.trace[name][max(0, first - 1):first - 1 + len(before)]
            arrived = i32(np.minimum(sums[receptor], SATURATED) << part["shift"])
            found[receptor] = i32(decay(before, part["decay"]) + decay(arrived, part["inject"]))
        return found

    def deviations(self, lost=(), later=None):
        """Recorded currents less expected ones: int64 array (receptors, steps, neurons)."""
        expected = self.currents(self.deliveries(lost, later).sums(self.steps, len(self.neurons)))
        return np.stack([self.trace[name] for name in CURRENTS]) - expected

    @cached_property
    def membranes(self):
        """Membranes before the threshold is looked at, from those and the currents before the update: int64 array
        (steps, neurons)."""
        constant = {name: getattr(self.constants, name)[self.neurons] for name in
                    ("resistance", "membrane_decay", "v_rest", "i_offset", "refractory", "input_scale")}
        v, step = self.trace["v"], np.arange(self.steps)[:, None]
        last = np.maximum.accumulate(np.where(self.fired, step, -1 << 40), axis=0)
        last = np.vstack([np.full((1, len(self.neurons)), -1 << 40), last[:-1]])
        inward, outward = (kmul(self.trace[name], constant["input_scale"]) for name in CURRENTS)
        current = i32(inward - outward + constant["i_offset"])
        alpha = i32(kmul(current, constant["resistance"]) + constant["v_rest"])
        moved = i32(alpha - kmul(constant["membrane_decay"], i32(alpha - v)))
        return np.where(step - last <= constant["refractory"], v, moved)

    def membrane_deviations(self):
        """Recorded less expected membranes: int64 array (steps, neurons)."""
        after = np.where(self.fired, self.constants.v_reset[self.neurons], self.membranes)
        expected = np.vstack([self.constants.v_init[self.neurons][None], after[:-1]])
        return self.trace["v"] - expected

    def thresholds(self, step):
        """Thresholds of the recorded neurons in a step, raw: int64 array (neurons,)."""
        found = self.constants.v_thresh
        for since, label, values in self.recorded.thresholds:
            if label == self.label and since <= step:
                found = np.rint(values * 32768).astype(np.int64)
        return found[self.neurons]


def fired(spikes, neurons, steps):
    """Whether each of some neurons fired in each of the first steps: bool array (steps, neurons)."""
    found = np.zeros((steps, len(neurons)), bool)
    for column, neuron in enumerate(neurons.tolist()):
        own = np.flatnonzero(spikes.neurons[:spikes.offsets[steps]] == neuron)
        found[np.searchsorted(spikes.offsets, own, side="right") - 1, column] = True
    return found
