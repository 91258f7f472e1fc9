"""Populations wired in any way: the part of a network that is no single convolution."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from itertools import pairwise
from types import ModuleType

import numpy as np

from spikingconvnet.backends.local import layout
from spikingconvnet.backends.local.layout import Membranes
from spikingconvnet.board.fixed_point import split
from spikingconvnet.board.lowered import LoweredPopulation, LoweredProjection
from spikingconvnet.board.lowering import Lowered, static_dense
from spikingconvnet.board.programs import OWN_STATES
from spikingconvnet.board.split_cores import own_synapses, transfers
from spikingconvnet.network.arrays import AnyInts, Ints, Ints32, Numbers
from spikingconvnet.network.connectivity import in_order
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.spikes import Spikes, neuron_dtype


class GeneralStage:
    """Populations wired in any way, recurrent and plastic projections included; one thread.

    Spike ids are numbered through: first the neurons of every population outside the stage that projects into it, then
    the stage's own neurons.

    Parameters
    ----------
    network : Network
    lowered : Lowered
    members : list of str
        Labels of its populations.
    record : dict of str to int64 array
        Neurons whose membranes are recorded.
    kernels : module
    """

    BUFFERED_SPIKES = 1 << 21

    def __init__(self, network: Network, lowered: Lowered, members: Sequence[str], record: Mapping[str, Ints],
                 kernels: ModuleType) -> None:
        self.kernels, self.reset_every = kernels, network.reset_every
        self.labels = tuple(members)
        self.populations = [network.population(label) for label in members]
        self.record = {label: record[label] for label in members if label in record}
        projections = [p for label in members for p in network.incoming(label)]
        self.outside = [p for p in network.populations
                        if p.label not in members and p.label in {q.pre for q in projections}]
        self.base, total = {}, 0
        for population in [*self.outside, *self.populations]:
            self.base[population.label] = total
            total += population.size
        self.n_sources = sum(p.size for p in self.outside)
        self.n_spike_ids = total
        parts = [lowered.populations[label] for label in members]
        self.trace_ids = np.concatenate([ids + self.base[label] - self.n_sources for label, ids in self.record.items()]
                                        or [np.zeros(0, np.int64)])
        self._set_up_neurons(parts, 1 + max([1] + [p.connections.max_delay for p in projections]))
        self._set_up_synapses(lowered, projections)

    def _set_up_neurons(self, parts: Sequence[LoweredPopulation], slots: int) -> None:
        """Make the arrays of the neurons, with a ring buffer of so many slots."""
        def joined(name: str) -> Ints:
            return np.concatenate([getattr(p, name) for p in parts])

        self.n = sum(p.size for p in parts)
        blocks = -(-self.n // layout.BLOCK)
        self.size = (blocks + 1) * layout.BLOCK
        state, inject, v_init, saturated, ring = (layout.aligned(shape, np.int32) for shape in (
            blocks * layout.FIELDS * layout.BLOCK, (2, 3, self.size), self.size, self.size, (slots, 2, self.size)))
        own_states = sum(1 << OWN_STATES.index(kind) for kind in {p.kind for p in parts if p.own})
        self.neurons = layout.Neurons(state, inject, v_init, saturated, ring, np.zeros(slots, np.int64), own_states)
        self._set_field("v_thresh", np.full(blocks * layout.BLOCK, layout.SILENT_THRESHOLD))
        self.neurons.v_init[:self.n] = joined("v_init")
        self._set_field("v_now", joined("v_init"))
        for name in ("v_thresh", "v_reset", "v_rest", "i_offset", "resistance", "refractory", "membrane_decay",
                     "input_scale"):
            self._set_field(name, joined(name))
        self._set_field("offset", joined("i_offset"))
        for part in parts:
            for name, values in part.own.items():
                self._set_field(name, values, self.base[part.label] - self.n_sources)
        for receptor, letter in enumerate("ei"):
            mask, low = split(np.concatenate([p.decay[receptor] for p in parts]))
            self._set_field(f"decay_{letter}_mask", mask)
            self._set_field(f"decay_{letter}", low)
            inject = self.neurons.inject[receptor, :, :self.n]
            inject[0] = np.concatenate([p.shift[receptor] for p in parts])
            inject[1:] = split(np.concatenate([p.inject[receptor] for p in parts]))

    def _set_field(self, name: str, values: AnyInts, first: int = 0) -> None:
        """Write a number of every neuron from `first` on into the blocks of the neurons' state."""
        neuron = np.arange(first, first + len(values))
        block, lane = np.divmod(neuron, layout.BLOCK)
        field = layout.NEURON_FIELDS.index(name)
        self.neurons.state.reshape(-1, layout.FIELDS, layout.BLOCK)[block, field, lane] = values

    def _set_up_synapses(self, lowered: Lowered, projections: Sequence[Projection]) -> None:
        """Make the arrays of static, plastic and modulating synapses, and of own spikes."""
        integers, static = [], []
        for projection in projections:
            if projection.plasticity is None:
                static.append(self._static(lowered, projection))
            if projection.plasticity is not None or lowered.populations[projection.post].split:
                integers.append(lowered.projection(projection.label))
        self.static = self._joined(static)
        self.modulators = self._modulators([p for p in integers if p.modulates])
        own_rows = self._set_up_plasticity(lowered, [p for p in integers if p.rule])
        self.own = self._own(lowered, integers, own_rows)

    def _static(self, lowered: Lowered, projection: Projection) -> tuple[AnyInts, Ints32, AnyInts]:
        """Runs of synapses that do not learn: presynaptic neurons, runs, and the weights that they are runs of."""
        first = self.base[projection.post] - self.n_sources
        dense = static_dense(projection)
        if dense is not None:
            n_pre, n_post = dense.weight.shape
            receptor = int(projection.receptor == "inhibitory")
            pre, runs = layout.dense_runs(n_pre, n_post, first, receptor, dense.delay)
            return pre + self.base[projection.pre], runs, lowered.dense(projection.label).ravel()
        return self._static_list(lowered, projection)

    def _static_list(self, lowered: Lowered, projection: Projection) -> tuple[AnyInts, Ints32, AnyInts]:
        """The same for any connections, a part after the other."""
        pre, runs, weights = layout.Growing(), layout.Growing(len(layout.RUN_FIELDS)), layout.Growing()
        own = self.base[projection.post] - self.n_sources
        for part in lowered.parts(projection.label):
            columns: list[AnyInts] = [column.astype(np.int32) for column in (
                part.pre_id, part.post_id + own, part.receptor, part.delay, part.weight)]
            if any((column != column[:1]).any() for column in columns[2:4]):    # otherwise they are in order already
                order = in_order(*(columns[k] for k in (0, 2, 3, 1)))
                columns = [column[order] for column in columns]
            source, post, receptors, delay, weight = layout.filled(*columns)
            begins, found = layout.runs(source, post, receptors, delay, delay)
            found[:, layout.RUN_FIELDS.index("first")] += len(weights.values)
            pre.append(source[begins] + self.base[projection.pre])
            runs.append(found)
            weights.append(weight)
        return pre.values, runs.values, weights.values

    def _joined(self, parts: Sequence[tuple[AnyInts, Ints32, AnyInts]]) -> layout.Static:
        """Synapses of all projections that do not learn, their runs by presynaptic neuron."""
        firsts = np.cumsum([0, *(len(weight) for _, _, weight in parts)])
        for (_, runs, _), first in zip(parts, firsts.tolist()):
            runs[:, layout.RUN_FIELDS.index("first")] += first
        weights = np.zeros(firsts[-1] + layout.BLOCK, np.int32)         # room for a vector that begins at the last
        for (_, _, weight), first in zip(parts, firsts.tolist()):
            weights[first:first + len(weight)] = weight
        if len(parts) == 1:                     # by presynaptic neuron already
            (pre, runs, _), = parts
            return layout.Static(self._starts(pre), runs, weights)
        pre = np.concatenate([np.zeros(0, np.int64), *(pre for pre, _, _ in parts)])
        order = np.argsort(pre, kind="stable")
        runs = np.concatenate([runs for _, runs, _ in parts] or [np.zeros((0, len(layout.RUN_FIELDS)), np.int32)])
        return layout.Static(self._starts(pre[order]), runs[order], weights)

    def _modulators(self, projections: Sequence[LoweredProjection]) -> layout.Modulators:
        """Amounts of dopamine by presynaptic neuron, punishments negative."""
        pre, post, receptor, weight = self._columns(projections, "receptor", "weight")
        order = np.argsort(pre, kind="stable")
        amount = np.where(receptor, -weight, weight)
        return layout.Modulators(self._starts(pre[order]), post[order].astype(np.int32), amount[order].astype(np.int32))

    def _own(self, lowered: Lowered, projections: Sequence[LoweredProjection],
             rows: Mapping[tuple[str, int], int]) -> layout.Own:
        """What own spikes start; `rows` are places of rows by label of the projection and neuron."""
        split = {label for label in self.labels if lowered.populations[label].split}
        if not split:
            return layout.Own(np.zeros(0, np.int64), np.zeros(0, np.int32))
        counts, row = [np.zeros(1, np.int64)], []
        for population in self.populations:
            incoming = [p for p in projections if p.post == population.label]
            slots = lowered.populations[population.label].delay_slots
            entries = transfers(population, incoming, slots) if population.label in split else [[]] * population.size
            counts.append(np.array([len(each) for each in entries]))
            row += [rows.get((p.label, n), -1) if p else -1 for n, each in enumerate(entries) for p in each]
        return layout.Own(np.cumsum(np.concatenate(counts)), np.array(row, np.int32))

    def _population(self, label: str) -> Population:
        return self.populations[self.labels.index(label)]

    def _set_up_plasticity(self, lowered: Lowered,
                           projections: Sequence[LoweredProjection]) -> dict[tuple[str, int], int]:
        """Make the arrays of synapses that learn; places of rows that own spikes reach, by projection and neuron."""
        pre, post, receptor, delay, weight = self._columns(projections, "receptor", "delay", "weight")
        sizes = [len(p.pre_id) for p in projections]
        ends = np.cumsum([0, *sizes])
        self.plastic_slices = {p.label: slice(*part) for p, part in zip(projections, pairwise(ends))}
        projection = np.repeat(np.arange(len(projections)), sizes)
        stored = delay % np.repeat([lowered.populations[p.post].delay_slots for p in projections] or [1],
                                   sizes or [0])
        rules = [p.rule for p in projections if p.rule]
        back = stored * np.repeat(np.array([rule.backprop_delay for rule in rules], bool), sizes)
        arrival = np.where(stored, delay, layout.NEVER)
        split = [lowered.populations[p.post].split for p in projections]
        own = np.concatenate([own_synapses(self._population(p.post), p, apart) for p, apart in zip(projections, split)]
                             or [np.zeros(0, bool)])
        # A row is one presynaptic neuron of one projection; its synapses may come in any order. Own ones come last.
        self.plastic_order = order = np.lexsort((post, delay, receptor, projection, pre, own))
        row = ((own * self.n_spike_ids + pre) * len(projections) + projection)[order]
        first, runs = layout.runs(row, post[order], receptor[order], arrival[order], back[order])
        rows, begins = np.unique(row[first], return_index=True)
        row_state = np.zeros((len(rows), len(layout.ROW_FIELDS)), np.int32)
        rule_of_row = row_state[:, layout.ROW_FIELDS.index("rule")]
        rule_of = np.full(self.size, -1)
        if projections:
            rule_of_row[:] = rows % len(projections)
            rows = rows // len(projections)
        for rule, p in enumerate(projections):
            begin = self.base[p.post] - self.n_sources
            rule_of[begin:begin + lowered.populations[p.post].size] = rule
        first_own = np.searchsorted(rows, self.n_spike_ids)
        self.plastic = layout.Plastic(
            self._starts(rows[:first_own]), np.append(begins, len(first)).astype(np.int64), row_state, runs,
            _with_room(weight[order]), _with_room(np.zeros(len(order))))
        self.rules = layout.stacked_rules(rules, split, rule_of)
        self.history = layout.empty_history(self.size if projections else 0)
        own_rows = zip(range(first_own, len(rows)), rule_of_row[first_own:].tolist(), rows[first_own:].tolist())
        return {(projections[k].label, pre - self.n_spike_ids - self.base[projections[k].pre]): place
                for place, k, pre in own_rows}

    def _columns(self, projections: Sequence[LoweredProjection], *names: str) -> list[Ints]:
        """Spike ids, own ids and other columns of all synapses, one projection after another: int64 arrays."""
        parts = [(p.pre_id + self.base[p.pre], p.post_id + self.base[p.post] - self.n_sources,
                  *(getattr(p, name) for name in names)) for p in projections]
        return [np.concatenate(column).astype(np.int64) for column in
                (zip(*parts) if parts else [[np.zeros(0)]] * (2 + len(names)))]

    def _starts(self, sorted_ids: AnyInts) -> Ints:
        """Place of each spike id's first entry, and one behind the last."""
        asked = np.arange(self.n_spike_ids + 1, dtype=sorted_ids.dtype)        # of its kind, else all are copied
        return np.searchsorted(sorted_ids, asked).astype(np.int64)

    def set_threshold(self, label: str, raw: AnyInts) -> None:
        """Thresholds as s16.15, (size,)."""
        first = self.base[label] - self.n_sources
        self._set_field("v_thresh", raw, first)

    def saturated(self) -> dict[str, int]:
        """Ring-buffer slots that were cut, by label."""
        return {label: int(part.sum()) for label, part in self._split(self.neurons.saturated[:self.n]).items()}

    def plastic_weights(self, label: str) -> Ints:
        """16-bit weights of a plastic projection, sorted by presynaptic, then postsynaptic neuron."""
        weights = np.empty(len(self.plastic_order), np.int64)
        weights[self.plastic_order] = self.plastic.weight[:len(weights)]
        return weights[self.plastic_slices[label]]

    def _split(self, values: Ints32) -> dict[str, Ints32]:
        ends = np.cumsum([p.size for p in self.populations])[:-1]
        return dict(zip(self.labels, np.split(values, ends)))

    def run(self, t: int, n_steps: int, spikes: Mapping[str, Spikes],
            threads: Executor) -> tuple[dict[str, Spikes], Membranes]:
        """Simulate; spikes and membranes by label."""
        block = max(1, self.BUFFERED_SPIKES // self.n)
        out_step, out_id = (np.empty(min(block, n_steps) * self.n, np.int32) for _ in range(2))
        offsets, ids = self._sources(spikes, n_steps)
        traces = [np.zeros((n_steps, len(self.trace_ids)), np.int32) for _ in range(3)]
        steps, fired = [], []
        for first in range(0, n_steps, block):
            last = min(first + block, n_steps)
            record = layout.Record(self.trace_ids, *(trace[first:last] for trace in traces))
            spiking = layout.Spiking(offsets[first:last + 1], ids, out_step, out_id)
            n = self.kernels.general_steps(
                t + first, last - first, self.n, self.n_sources, self.neurons, self.static, self.plastic,
                self.modulators, self.own, self.rules, self.history, record, spiking, self.reset_every)
            steps.append(out_step[:n] + first)
            fired.append(out_id[:n].copy())
        return self._spikes(np.concatenate(steps), np.concatenate(fired), n_steps), self._membranes(traces)

    def _sources(self, spikes: Mapping[str, Spikes], n_steps: int) -> tuple[Ints, Ints32]:
        """Spikes from outside as one list: offsets (n_steps + 1,) and ids, each step in the order of the network."""
        parts = [spikes[p.label] for p in self.outside]
        if len(parts) == 1:
            return parts[0].offsets, parts[0].neurons.astype(np.int32)
        counts = [np.diff(part.offsets) for part in parts]
        offsets = np.concatenate([[0], np.cumsum(sum(counts, np.zeros(n_steps, np.int64)))])
        ids, place = np.empty(offsets[-1], np.int32), offsets[:-1].copy()
        for population, part, count in zip(self.outside, parts, counts):
            at = np.repeat(place - part.offsets[:-1], count) + np.arange(part.n_events)
            ids[at] = part.neurons.astype(np.int32) + self.base[population.label]
            place += count
        return offsets, ids

    def _spikes(self, steps: Ints32, ids: Ints32, n_steps: int) -> dict[str, Spikes]:
        """Spikes of the populations of the stage, by label."""
        made, first = {}, 0
        for population in self.populations:
            own = slice(None) if len(self.populations) == 1 else (ids >= first) & (ids < first + population.size)
            offsets = np.concatenate([[0], np.cumsum(np.bincount(steps[own], minlength=n_steps))])
            made[population.label] = Spikes(population.shape, n_steps, offsets,
                                            (ids[own] - first).astype(neuron_dtype(population.shape)))
            first += population.size
        return made

    def _membranes(self, traces: Sequence[Ints32]) -> Membranes:
        ends = np.cumsum([len(ids) for ids in self.record.values()])[:-1]
        parts = [dict(zip(self.record, np.split(trace, ends, axis=1))) for trace in traces]
        return {label: {name: part[label] for name, part in zip(layout.TRACED, parts)}
                for label in self.record}


def _with_room(values: Numbers) -> Ints32:
    """int32 array with room for a vector that begins at its last number."""
    return np.concatenate([values, np.zeros(layout.BLOCK)]).astype(np.int32)
