"""Whether a recording follows its network's arithmetic: what each step should have given, from what was before it.

Every neuron is taken by itself: its recorded state in a step, the spikes that were recorded everywhere, and the
network's weights give its currents and its membrane in the next step, as integers. So it shows where a recording leaves
the arithmetic, whatever has become of it before; and a recording can be blamed without the other one.

Plastic weights are learned again from the recorded spikes, synapse by synapse as ``board.reference`` does.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from spikingconvnet.board.fixed_point import decay, i32, kmul
from spikingconvnet.board.lowered import LoweredProjection
from spikingconvnet.board.lowering import Lowered
from spikingconvnet.board.partition import cores
from spikingconvnet.board.reference import HISTORY, SATURATED
from spikingconvnet.board.reference_neurons import own_state
from spikingconvnet.board.reference_rules import PLACEHOLDER, Spike, after_post, after_pre, learn, learning_delay
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.network.arrays import Flags, Floats, Ints
from spikingconvnet.network.spikes import Spikes

CURRENTS = ("gsyn_exc", "gsyn_inh")
NEURON = 5              # place of ``Deliveries.neuron`` among its arrays


@dataclass(frozen=True)
class Packet:
    """A spike on its way to some cores of a population, and what became of it there.

    Attributes
    ----------
    pre : str
        Population that sent it.
    neuron, step : int
        Who fired, and when.
    post : str
        Population whose cores it is for.
    cores : frozenset of int
    arrivals : tuple of int
        Steps by which it is late, once for each time that it comes: () is lost, (0, 0) comes twice.
    """

    pre: str
    neuron: int
    step: int
    post: str
    cores: frozenset[int]
    arrivals: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Deviations:
    """Where a population leaves its network's arithmetic: recorded less expected numbers.

    Attributes
    ----------
    currents : int64 array (receptors, steps, neurons)
        All 0 if weights are not followed, see ``Inputs.is_followed``.
    membranes : int64 array (steps, neurons)
    spikes : bool array (steps, neurons)
        Whether a neuron fired below its threshold, or did not above it.
    weights : dict of int to int64 array (synapses,)
        Learned weights at the end of recorded neurons, by the projection's place; of those that were recorded, if the
        end was looked at.
    """

    currents: Ints
    membranes: Ints
    spikes: Flags
    weights: dict[int, Ints]

    @property
    def learned(self) -> int:
        """How many learned weights differ."""
        return sum(int(np.count_nonzero(part)) for part in self.weights.values())

    @property
    def places(self) -> int:
        """How many numbers differ."""
        return self.learned + sum(int(np.count_nonzero(part)) for part in (self.currents, self.membranes, self.spikes))

    @property
    def largest(self) -> int:
        """The largest difference of a current, membrane or weight."""
        return max(int(abs(part).max(initial=0)) for part in (self.currents, self.membranes, *self.weights.values()))


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

    arrival: Ints
    column: Ints
    receptor: Ints
    weight: Ints
    projection: Ints
    neuron: Ints
    step: Ints
    copy: Ints

    def sums(self, steps: int, columns: int) -> Ints:
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
    lowered : Lowered or None
        Integers that it is expected to have; those of the recording's network if None.
    """

    def __init__(self, recorded: Recorded, label: str, steps: int, lowered: Lowered | None = None) -> None:
        self.recorded, self.label, self.steps = recorded, label, steps
        self.lowered = recorded.lowered if lowered is None else lowered
        self.neurons = recorded.neurons[label]
        self.constants = self.lowered.populations[label]
        self.core = cores(recorded.network)[label][self.neurons]
        self.trace = {name: values[:steps].astype(np.int64) for name, values in recorded.membranes[label].items()}
        self.fired = fired(recorded.spikes[label], self.neurons, steps)

    @cached_property
    def is_followed(self) -> bool:
        """Whether its weights can be learned again: not on split cores, and not under neuromodulation."""
        return self.recorded.network.modulation(self.label) is None and not self.constants.split

    @cached_property
    def projections(self) -> list[tuple[int, LoweredProjection]]:
        """Synapses onto recorded neurons, of every incoming projection.

        A place and a LoweredProjection, whose ``post_id`` are columns, each.
        """
        column = np.full(self.constants.size, -1)
        column[self.neurons] = np.arange(len(self.neurons))
        found = []
        for index, projection in enumerate(self.recorded.network.projections):
            if projection.post == self.label and not projection.modulates:
                whole = self.lowered.projection(projection.label)
                mine = np.flatnonzero(column[whole.post_id] >= 0)
                found.append((index, part_of(replace(whole, post_id=column[whole.post_id]), mine)))
        return found

    def deliveries(self, packets: Collection[Packet] = (), later: Mapping[int, int] | None = None) -> Deliveries:
        """What should have arrived.

        Parameters
        ----------
        packets : collection of Packet
            That did not arrive as they should.
        later : dict of int to int or None
            Steps that are added to all delays of a projection, by its place.
        """
        rows = []
        for index, lowered in self.projections:
            extra = (later or {}).get(index, 0)
            mine = [p for p in packets if (p.pre, p.post) == (lowered.pre, self.label)]
            if extra:
                rows.append(self._by_core(index, replace(lowered, delay=lowered.delay + extra), mine))
            elif mine:          # synapses of other neurons deliver as ever
                hit = sorted({p.neuron for p in mine})
                usual = ~np.isin(self._usual[index][NEURON], hit)
                rows.append([part[usual] for part in self._usual[index]])
                rows.append(self._by_core(index, part_of(lowered, np.flatnonzero(np.isin(lowered.pre_id, hit))), mine))
            else:
                rows.append(self._usual[index])
        empty = [np.zeros(0, np.int64)] * len(fields(Deliveries))
        return Deliveries(*(np.concatenate(parts) for parts in zip(empty, *rows)))

    @cached_property
    def _usual(self) -> dict[int, list[Ints]]:
        """What every projection delivers if nothing is lost or later, by its place, as `series` gives it."""
        return {index: self.series(index, lowered)[0] for index, lowered in self.projections}

    def _by_core(self, index: int, lowered: LoweredProjection, packets: Collection[Packet]) -> list[Ints]:
        parts = [self.series(index, part_of(lowered, np.flatnonzero(self.core[lowered.post_id] == core)),
                             [p for p in packets if core in p.cores])[0] for core in np.unique(self.core)]
        return [np.concatenate(columns) for columns in zip(*parts)]

    @cached_property
    def expected(self) -> Deliveries:
        """What should have arrived if nothing is lost or later: Deliveries."""
        return self.deliveries()

    def series(self, index: int, lowered: LoweredProjection,
               packets: Collection[Packet] = ()) -> tuple[list[Ints], Ints]:
        """What some synapses of a projection deliver, and their weights at the end.

        Parameters
        ----------
        index : int
            Place of the projection.
        lowered : LoweredProjection
            Its ``post_id`` are columns.
        packets : collection of Packet
            That come otherwise.

        Returns
        -------
        rows : list of int64 arrays
            As in `Deliveries`.
        weights : int64 array (synapses,)
        """
        step, neuron, copy = self._spikes(lowered.pre, packets)
        first, end = (np.searchsorted(lowered.pre_id, neuron, side) for side in ("left", "right"))
        count = end - first
        synapse = np.repeat(first - np.cumsum(count) + count, count) + np.arange(count.sum())
        step, neuron, copy = (np.repeat(part, count) for part in (step, neuron, copy))
        weight, delivered, last = ((lowered.weight[synapse], np.ones(len(synapse), bool), lowered.weight)
                                   if lowered.rule is None else self._learned(lowered, step, synapse))
        found = (step + lowered.delay[synapse], lowered.post_id[synapse], lowered.receptor[synapse], weight,
                 np.full(len(synapse), index), neuron, step, copy)
        return [part[delivered].astype(np.int64) for part in found], last

    def _spikes(self, pre: str, packets: Collection[Packet]) -> tuple[Ints, Ints, Ints]:
        """Steps and neurons of the spikes of a population as they come, and how many copies came before."""
        spikes = self.recorded.spikes[pre]
        n = spikes.offsets[self.steps]
        step, neuron = spikes.steps()[:n], spikes.neurons[:n].astype(np.int64)
        times = np.ones(n, np.int64)
        more = []
        for packet in packets:          # of two spikes in one step one packet each
            found = np.flatnonzero((times > 0) & (step == packet.step) & (neuron == packet.neuron))[:1]
            times[found] = packet.arrivals.count(0)
            more += [(packet.step + late, packet.neuron) for late in packet.arrivals if late and len(found)]
        step, neuron = np.repeat(step, times), np.repeat(neuron, times)
        if more:
            step, neuron = (np.concatenate(parts) for parts in zip((step, neuron), np.array(more, np.int64).T))
            order = np.lexsort((neuron, step))
            step, neuron = step[order], neuron[order]
        key = step * spikes.size + neuron
        return step, neuron, np.arange(len(key)) - np.searchsorted(key, key)

    def _learned(self, lowered: LoweredProjection, step: Ints, synapse: Ints) -> tuple[Ints, Flags, Ints]:
        """Weight of every synaptic event, in their order, whether it is delivered, and weights at the end."""
        rule, slots = lowered.rule, self.constants.delay_slots
        assert rule is not None
        weights, out = lowered.weight.tolist(), np.zeros(len(step), np.int64)
        stored, post = lowered.delay % slots, lowered.post_id.tolist()
        back = [learning_delay(rule, steps) for steps in stored.tolist()]
        shift = self.constants.shift[lowered.receptor, self.neurons[lowered.post_id]].tolist()
        history = {column: [PLACEHOLDER] for column in set(post)}
        fired_step, fired_column = (part.tolist() for part in np.nonzero(self.fired))
        last: dict[int, Spike] = {}
        now: dict[int, Spike] = {}
        position = 0
        for event, (t, s) in enumerate(zip(step.tolist(), synapse.tolist())):
            while position < len(fired_step) and fired_step[position] <= t:
                events = history.get(fired_column[position])
                if events:
                    events.append(after_post(rule, events[-1], fired_step[position]))
                    if len(events) > HISTORY:
                        del events[1]
                position += 1
            last[s] = now.get(s, PLACEHOLDER)
            now[s] = after_pre(rule, last[s], t)
            weights[s] = out[event] = learn(rule, weights[s], shift[s], history[post[s]], last[s], now[s], back[s])
        return out, stored[synapse] > 0, np.array(weights, np.int64)

    def currents(self, sums: Ints, first: int = 0) -> Ints:
        """Synaptic currents that follow from those of the step before and what arrived.

        An int64 array like `sums`, which begins with step `first`.
        """
        found = np.empty_like(sums)
        for receptor, name in enumerate(CURRENTS):
            part = {key: getattr(self.constants, key)[receptor, self.neurons] for key in ("shift", "decay", "inject")}
            before = self.before(self.trace[name], first, len(sums[receptor]))
            arrived = i32(np.minimum(sums[receptor], SATURATED) << part["shift"])
            found[receptor] = i32(decay(before, part["decay"]) + decay(arrived, part["inject"]))
        return found

    def before(self, trace: Ints, first: int, steps: int) -> Ints:
        """A trace one step earlier, from step `first` on; 0 where everything begins or is reset: int64 array."""
        found = np.zeros((steps, len(self.neurons)), np.int64)
        found[max(0, 1 - first):] = trace[max(0, first - 1):first - 1 + steps]
        if self.recorded.network.reset_every:
            found[(np.arange(steps) + first) % self.recorded.network.reset_every == 0] = 0
        return found

    def sums(self, packets: Collection[Packet] = (), later: Mapping[int, int] | None = None) -> Ints:
        """What should have come in: int64 array (receptors, steps, neurons), see `Deliveries.sums`."""
        came = self.deliveries(packets, later) if packets or later else self.expected
        every = self.recorded.network.reset_every
        if every:
            kept = came.arrival // every == came.step // every
            came = Deliveries(*(part[kept] for part in vars(came).values()))
        return came.sums(self.steps, len(self.neurons))

    def deviations(self, packets: Collection[Packet] = (), later: Mapping[int, int] | None = None) -> Ints:
        """Recorded currents less expected ones: int64 array (receptors, steps, neurons)."""
        return np.stack([self.trace[name] for name in CURRENTS]) - self.currents(self.sums(packets, later))

    def weight_deviations(self, packets: Collection[Packet] = ()) -> dict[int, Ints]:
        """Recorded less expected learned weights at the end, see `Deviations`."""
        if not self.is_followed or self.steps < self.recorded.n_steps:
            return {}
        found = {}
        for index, lowered in self.projections:
            label = self.recorded.network.projections[index].label
            if lowered.rule and label in self.recorded.weights:
                expected = np.zeros(len(lowered.weight), np.int64)
                for core in np.unique(self.core):
                    mine = np.flatnonzero(self.core[lowered.post_id] == core)
                    expected[mine] = self.series(index, part_of(lowered, mine), [
                        p for p in packets if (p.pre, p.post) == (lowered.pre, self.label) and core in p.cores])[1]
                whole = self.lowered.projection(label)
                recorded = np.isin(whole.post_id, self.neurons)
                found[index] = self.recorded.weights[label][recorded].astype(np.int64) - expected
        return found

    def all_deviations(self) -> Deviations:
        """Everything in which the population leaves the arithmetic: Deviations."""
        currents = self.deviations() if self.is_followed else np.zeros((2, self.steps, len(self.neurons)), np.int64)
        return Deviations(currents, self.membrane_deviations(), self.spike_deviations(), self.weight_deviations())

    def observed(self) -> Floats:
        """What came in, as recorded currents have it, with half a unit of their last place: float array as `sums`."""
        found = np.zeros((2, self.steps, len(self.neurons)))
        for receptor, name in enumerate(CURRENTS):
            part = {key: getattr(self.constants, key)[receptor, self.neurons] for key in ("shift", "decay", "inject")}
            kept = decay(self.before(self.trace[name], 0, self.steps), part["decay"])
            came = i32(self.trace[name] - kept)
            found[receptor] = (came + 0.5 * (part["inject"] < 1 << 32)) / (part["inject"] / 2.0 ** 32
                                                                         * 2.0 ** part["shift"])
        return found

    @cached_property
    def inflow(self) -> Ints:
        """What reaches the membranes beside `i_offset`, less what the neurons' own state takes.

        An int64 array (steps, neurons).
        """
        inward, outward = (kmul(self.trace[name], self.constants.input_scale[self.neurons]) for name in CURRENTS)
        return inward - outward - self._own_currents()

    def _own_currents(self) -> Ints:
        found, own = np.zeros((self.steps, len(self.neurons)), np.int64), own_state(self.constants, self.neurons)
        for step in range(self.steps if own.own else 0):
            found[step] = own.outward()
            own.fired(self.fired[step])
        return found

    @cached_property
    def membranes(self) -> Ints:
        """Membranes before the threshold is looked at, from those and the currents before the update.

        An int64 array (steps, neurons).
        """
        constant = {name: getattr(self.constants, name)[self.neurons] for name in
                    ("resistance", "membrane_decay", "v_rest", "i_offset", "refractory")}
        v, step = self.trace["v"], np.arange(self.steps)[:, None]
        last = np.maximum.accumulate(np.where(self.fired, step, -1 << 40), axis=0)
        last = np.vstack([np.full((1, len(self.neurons)), -1 << 40), last[:-1]])
        if every := self.recorded.network.reset_every:
            last = np.where(last // every == step // every, last, -1 << 40)
        current = i32(self.inflow + constant["i_offset"])
        alpha = i32(kmul(current, constant["resistance"]) + constant["v_rest"])
        moved = i32(alpha - kmul(constant["membrane_decay"], i32(alpha - v)))
        return np.where(step - last <= constant["refractory"], v, moved)

    def membrane_deviations(self) -> Ints:
        """Recorded less expected membranes: int64 array (steps, neurons)."""
        after = np.where(self.fired, self.constants.v_reset[self.neurons], self.membranes)
        expected = np.vstack([self.constants.v_init[self.neurons][None], after[:-1]])
        if every := self.recorded.network.reset_every:
            expected[::every] = self.constants.v_init[self.neurons]
        return self.trace["v"] - expected

    def spike_deviations(self) -> Flags:
        """Whether a neuron fired though below its threshold, or did not though above: bool array (steps, neurons)."""
        return (self.membranes >= self.all_thresholds()) != self.fired

    def all_thresholds(self) -> Ints:
        """Thresholds of the recorded neurons in every step, raw: int64 array (steps, neurons)."""
        since = sorted({0, *(step for step, label, _ in self.recorded.thresholds if label == self.label)})
        return np.concatenate([np.broadcast_to(self.thresholds(step), (max(0, end - step), len(self.neurons)))
                               for step, end in zip(since, (*since[1:], self.steps))])[:self.steps]

    def thresholds(self, step: int) -> Ints:
        """Thresholds of the recorded neurons in a step, raw: int64 array (neurons,)."""
        found = self.constants.v_thresh
        for since, label, values in self.recorded.thresholds:
            if label == self.label and since <= step:
                found = np.rint(values * 32768).astype(np.int64)
        return found[self.neurons]


def part_of(lowered: LoweredProjection, synapses: Ints | list[int]) -> LoweredProjection:
    """Some synapses of a LoweredProjection, by their places."""
    names = ("pre_id", "post_id", "delay", "weight", "receptor")
    return replace(lowered, **{name: getattr(lowered, name)[synapses] for name in names})


def fired(spikes: Spikes, neurons: Ints, steps: int) -> Flags:
    """Whether each of some neurons fired in each of the first steps: bool array (steps, neurons)."""
    found = np.zeros((steps, len(neurons)), bool)
    for column, neuron in enumerate(neurons.tolist()):
        own = np.flatnonzero(spikes.neurons[:spikes.offsets[steps]] == neuron)
        found[np.searchsorted(spikes.offsets, own, side="right") - 1, column] = True
    return found
