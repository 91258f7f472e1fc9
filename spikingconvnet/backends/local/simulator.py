"""The local backend: a network in SpiNNaker's integers, stage by stage.

A stage is a set of populations that depend on each other (a strongly connected part of the network). Stages run one
after another over the same steps: for a feed-forward network that is the same as running all of it at once, and it lets
a convolution keep its state in the cache. A population with exactly one convolution coming in is a
:class:`ConvStage`, everything else a :class:`GeneralStage`; both give the integers of ``reference.py``.
"""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from spikingconvnet.backends.base import Recording, Weights, recorded_neurons
from spikingconvnet.backends.local import general_kernels, native
from spikingconvnet.backends.local.fixed_point import accum, split
from spikingconvnet.backends.local.lowering import AMOUNT_SHIFT, lower
from spikingconvnet.backends.local.poisson import PoissonSource
from spikingconvnet.connectivity import ConvConnections
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.neurons import SpikeSourcePoisson
from spikingconvnet.spikes import Spikes, neuron_dtype

REPLICAS_AT_ONCE = None     # as many as there are cores
MAPS_PER_BLOCK = 48         # 16, 24 and 48 were measured; the state of a row of 22 positions is then 38 KiB
LANES = 16                  # rows are padded to whole vectors
CACHE_LINE = 64             # bytes; a vector that lies across two lines costs a sixth of the time of a convolution
SILENT_THRESHOLD = np.iinfo(np.int32).max


def open(network, record=(), jobs=None):
    """Start a simulation of `network`.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
        Labels of populations whose membranes are recorded, or the neurons of each whose membranes are; nothing is kept
        of the others.
    jobs : int or None
        Threads; None takes every core. The integers do not depend on it.

    Returns
    -------
    Simulation
    """
    return Simulation(network, record, jobs)


def run(network, n_steps=None, record=(), jobs=None):
    """Simulate `network` from the start for `n_steps` (all of its sources' samples by default): a Recording."""
    with open(network, record, jobs) as simulation:
        simulation.run(simulation.source_steps if n_steps is None else n_steps)
        return simulation.recording()


class Simulation:
    """A running network: ``run`` steps, ``set`` thresholds between them, take a ``recording``.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
    jobs : int or None
    kernels : module
        ``native`` or ``kernels``; the first where it was built by default. The integers do not depend on it.
    """

    def __init__(self, network, record=(), jobs=None, kernels=None):
        record = recorded_neurons(network, record)
        self.network = network
        self.t = 0
        self._lowered = lower(network)
        self._random = {p.label: PoissonSource(p, network.timestep) for p in network.populations
                        if isinstance(p.cell, SpikeSourcePoisson)}
        self._threads = ThreadPoolExecutor(jobs or os.cpu_count())
        kernels = kernels or native.or_else("spikingconvnet.backends.local.kernels")
        self._stages = [_stage(network, self._lowered, members, record, kernels) for members in _stage_order(network)]
        self._chunks = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._threads.shutdown()

    @property
    def source_steps(self):
        """Steps on the timeline of the given spikes; 0 without any."""
        return max([len(p.cell.spikes.offsets) - 1 for p in self.network.populations if p.has_given_spikes], default=0)

    def run(self, n_steps):
        """Simulate `n_steps` more steps, at least 1; given spikes end with their last sample."""
        require(n_steps >= 1, "Simulation", "n_steps", n_steps, "at least 1", NetworkError)
        given = [p for p in self.network.populations if p.has_given_spikes]
        spikes = {p.label: _window(p.cell.spikes, self.t, n_steps) for p in given}
        spikes.update({label: source.run(n_steps) for label, source in self._random.items()})
        membranes = {}
        for stage in self._stages:
            fired, traces = stage.run(self.t, n_steps, spikes, self._threads)
            spikes.update(fired)
            membranes.update(traces)
        self.t += n_steps
        for population in given:
            del spikes[population.label]
        self._chunks.append((spikes, membranes))

    def set(self, label, v_thresh):
        """Set the thresholds of a population: float array (size,) in mV, rounded to s16.15."""
        size = self.network.population(label).size
        require(np.shape(v_thresh) == (size,), f"Population {label!r}", "v_thresh", np.shape(v_thresh),
                f"of shape {(size,)}", NetworkError)
        raw = np.array([accum(v) for v in np.asarray(v_thresh, np.float64)], np.int32)
        self._stage_of(label).set_threshold(label, raw)

    def weights(self, label):
        """Weights of a projection as the host would read them back: Weights."""
        projection = self.network.projection(label)
        population = self._lowered.populations[projection.post]
        lowered = self._lowered.projection(label)
        raw = self._stage_of(projection.post).plastic_weights(label) if lowered.rule else lowered.weight
        shift = AMOUNT_SHIFT if lowered.modulates else population.shift[lowered.receptor, lowered.post_id]
        return Weights(raw, raw / 2.0 ** (15 - shift))

    def recording(self):
        """What was recorded since the last call: Recording."""
        chunks, self._chunks = self._chunks, []
        slot = next((p.cell.spikes.n_steps for p in self.network.populations if p.has_given_spikes), None)
        spikes = {label: _join([c[0][label] for c in chunks], slot) for label in (chunks[0][0] if chunks else ())}
        membranes = {label: {name: np.concatenate([c[1][label][name] for c in chunks]) for name in traces}
                     for label, traces in (chunks[0][1] if chunks else {}).items()}
        saturated = {}
        for stage in self._stages:
            saturated.update(stage.saturated())
        counters = {label: dict(counts) for label, counts in self._lowered.counters.items()}
        return Recording(spikes, membranes, saturated, counters, tuple(self._lowered.warnings))

    def _stage_of(self, label):
        return next(stage for stage in self._stages if label in stage.labels)


def _stage(network, lowered, members, record, kernels):
    incoming = network.incoming(members[0])
    if len(members) == 1 and len(incoming) == 1 and members[0] not in record and _is_uniform_convolution(
            network.population(members[0]), lowered.populations[members[0]], incoming[0]):
        return ConvStage(network, lowered, incoming[0], kernels)
    return GeneralStage(network, lowered, members, record)


def _is_uniform_convolution(population, lowered, projection):
    """Whether one set of constants holds for the whole population, thresholds excepted."""
    scalars = (lowered.resistance, lowered.membrane_decay, lowered.v_rest, lowered.v_reset, lowered.i_offset,
               lowered.refractory, *lowered.decay, *lowered.inject)
    shifts = lowered.shift.reshape(2, population.shape[0], -1)
    return (isinstance(projection.connections, ConvConnections) and projection.pre != projection.post
            and all((values == values[0]).all() for values in scalars) and (shifts == shifts[:, :, :1]).all())


def _stage_order(network):
    """Labels of the neurons' populations grouped into strongly connected parts, presynaptic parts first."""
    labels = [p.label for p in network.populations if not p.is_source]
    index = {label: i for i, label in enumerate(labels)}
    edges = [(index[p.pre], index[p.post]) for p in network.projections if p.pre in index]
    graph = coo_matrix((np.ones(len(edges)), np.array(edges, int).reshape(-1, 2).T), shape=(len(labels),) * 2)
    _, part = connected_components(graph, connection="strong") if labels else (0, [])
    waiting = {k: [label for label in labels if part[index[label]] == k] for k in dict.fromkeys(part)}
    order = []
    while waiting:
        ready = next(k for k in waiting if not any(part[a] != k and part[b] == k and part[a] in waiting
                                                   for a, b in edges))
        order.append(waiting.pop(ready))
    return order


def _window(spikes, t, n_steps):
    """Steps ``t .. t + n_steps - 1`` of a timeline as one sample, silent beyond its end."""
    offsets = spikes.offsets[t:t + n_steps + 1]
    beyond = np.full(n_steps + 1 - len(offsets), spikes.offsets[-1])
    offsets = np.concatenate([offsets, beyond]) if len(beyond) else offsets
    return Spikes(spikes.shape, n_steps, offsets - offsets[0], spikes.neurons[offsets[0]:offsets[-1]])


def _join(parts, slot):
    joined = Spikes.concatenate([Spikes(p.shape, 1, p.offsets, p.neurons) for p in parts])
    steps = len(joined.offsets) - 1
    return Spikes(joined.shape, slot if slot and steps % slot == 0 else steps, joined.offsets, joined.neurons)


# ---------------------------------------------------------------- convolution


def conv_weights(weights, stride, first, last):
    """Kernels in the order in which an input spike adds them to a row.

    A spike in column ``x`` reaches the output columns ``x // stride - pieces + 1 .. x // stride``, the last of them
    with kernel column ``x % stride``, each one before with a kernel column `stride` further on.

    Parameters
    ----------
    weights : int array (maps, channels, rows, columns)
        Inhibitory ones negative.
    stride : int
    first, last : int
        Block of maps; maps beyond the last are lanes without weights.

    Returns
    -------
    int32 array (channels, rows, stride, pieces * (last - first))
    """
    maps, channels, rows, columns = weights.shape
    pieces = -(-columns // stride)
    table = aligned((channels, rows, stride, pieces, last - first), np.int32)
    for phase in range(stride):
        for piece in range(pieces):
            column = phase + (pieces - 1 - piece) * stride
            if column < columns:
                block = weights[first:last, :, :, column]
                table[:, :, phase, piece, :len(block)] = block.transpose(1, 2, 0)
    return table.reshape(channels, rows, stride, -1)


def conv_factors(lowered):
    """Constants of a uniform population as ``kernels.conv_row`` takes them: int32 array (17,).

    Pairs as ``fixed_point.split`` makes them of what is injected and left of a current, of the membrane's decay and of
    what the resistance has beyond its whole part; then `v_rest`, the whole part, `v_reset`, refractory steps and
    `i_offset`.
    """
    resistance = int(lowered.resistance[0])
    factors = (*lowered.inject[:, 0], *lowered.decay[:, 0], int(lowered.membrane_decay[0]) << 17,
               (resistance & 0x7fff) << 17)
    return np.array([part for factor in factors for part in split(factor)]
                    + [lowered.v_rest[0], resistance >> 15, lowered.v_reset[0], lowered.refractory[0],
                       lowered.i_offset[0]], np.int32)


def aligned(shape, dtype):
    """Zeros that begin with a line of the cache."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = np.zeros(size + CACHE_LINE, np.uint8)
    first = -buffer.ctypes.data % CACHE_LINE
    return buffer[first:first + size].view(dtype).reshape(shape)


class ConvStage:
    """One population behind one convolution; its rows are independent and shared among the threads.

    Parameters
    ----------
    network : Network
    lowered : Lowered
    projection : Projection
    kernels : module
    """

    def __init__(self, network, lowered, projection, kernels):
        self.kernels = kernels
        connections = self.connections = projection.connections
        population = lowered.populations[projection.post]
        self.labels, self.source = (projection.post,), projection.pre
        self.maps, self.rows, self.width = connections.post_shape
        blocks = -(-self.maps // MAPS_PER_BLOCK)
        self.block = -(-self.maps // blocks)
        self.starts = range(0, self.maps, self.block)
        excitatory, inhibitory = lowered.convolution(projection.label)
        self.weights = [conv_weights(excitatory - inhibitory, connections.strides[1], m, m + self.block)
                        for m in self.starts]
        self.factors = conv_factors(population)
        state = (blocks, self.rows, -(-self.width * self.block // LANES) * LANES)
        self.v, self.timer, self.syn_e, self.syn_i = (aligned(state, np.int32) for _ in range(4))
        self.ring_e, self.ring_i = (aligned((*state[:2], connections.delay, state[2]), np.int32) for _ in range(2))
        self.spans = np.zeros((blocks, self.rows, connections.delay, 2), np.int64)
        self.spans[..., 0] = state[2]
        self.flags = np.zeros((blocks, self.rows, 4), np.int64)
        self.per_lane = aligned((blocks, self.rows, 3, state[2]), np.int32)
        for index in (0, 1):
            self.per_lane[:, :, 1 + index] = self._per_lane(population.shift[index], 0)
        self.set_threshold(projection.post, population.v_thresh)
        self.v[:] = self._per_lane(population.v_init, population.v_rest[0])
        _, height, width = connections.pre_shape
        pool_rows, pool_columns = connections.pool
        row, column = np.arange(height) // pool_rows, np.arange(width) // pool_columns
        inside = (row < height // pool_rows)[:, None] & (column < width // pool_columns)
        channels = connections.pre_shape[0]
        self.row_of = np.tile(np.where(inside, row[:, None], -1).ravel(), channels).astype(np.int16)
        self.column_of = np.tile(np.broadcast_to(column, inside.shape).ravel(), channels).astype(np.int16)
        self.channel_of = np.repeat(np.arange(channels), height * width).astype(np.int16)

    def _per_lane(self, values, beyond):
        """(maps, rows, columns) values as (blocks, rows, lanes), `beyond` in lanes without a neuron."""
        full = np.full((len(self.starts) * self.block, self.rows, self.width), beyond, np.int64)
        full[:self.maps] = np.asarray(values).reshape(self.maps, self.rows, self.width)
        blocks = full.reshape(len(self.starts), self.block, self.rows, self.width)
        lanes = blocks.transpose(0, 2, 3, 1).reshape(len(self.starts), self.rows, -1)
        return np.pad(lanes, ((0, 0), (0, 0), (0, self.v.shape[2] - lanes.shape[2])), constant_values=beyond)

    def set_threshold(self, label, raw):
        """Thresholds as s16.15, (size,)."""
        self.per_lane[:, :, 0] = self._per_lane(raw, SILENT_THRESHOLD)
        self.flags[:, :, 1] = 0

    def saturated(self):
        """Ring-buffer slots that were cut, by label."""
        return {self.labels[0]: int(self.flags[:, :, 2].sum())}

    def run(self, t, n_steps, spikes, threads):
        """Simulate; spikes by label, and no membranes."""
        height = self.connections.pooled_shape[1]
        source = spikes[self.source]
        sorted_input = self.kernels.sort_by_row(source.offsets, source.neurons, self.row_of, self.column_of,
                                                self.channel_of, height)
        jobs = [(block, row) for block in range(len(self.starts)) for row in range(self.rows)]
        events = list(threads.map(lambda job: self._row(*job, t, n_steps, sorted_input), jobs))
        return {self.labels[0]: self._merge(jobs, events, n_steps)}, {}

    def _row(self, block, row, t, n_steps, sorted_input):
        connections = self.connections
        geometry = (connections.pooled_shape[1], connections.strides[1], self.width, self.block)
        lanes = self.v.shape[2]
        out_step, out_lane = np.empty(max(4096, 4 * lanes), np.int32), np.empty(max(4096, 4 * lanes), np.int32)
        step = n = 0
        while step < n_steps:
            step, n = self.kernels.conv_row(
                t, step, n_steps, *sorted_input, row * connections.strides[0], geometry, self.weights[block],
                self.v[block, row], self.timer[block, row], self.syn_e[block, row], self.syn_i[block, row],
                self.ring_e[block, row], self.ring_i[block, row], self.spans[block, row], self.flags[block, row],
                self.per_lane[block, row], self.factors, out_step, out_lane, n)
            if step < n_steps:
                out_step, out_lane = (np.concatenate([a, np.empty_like(a)]) for a in (out_step, out_lane))
        return out_step[:n], out_lane[:n]

    def _merge(self, jobs, events, n_steps):
        """Events of all rows as Spikes in the order (step, map, row, column)."""
        positions = self.rows * self.width
        counts = np.zeros(n_steps * self.maps, np.int64)
        for (block, _), (step, lane) in zip(jobs, events):
            self.kernels.count_events(step, lane, self.block, self.starts[block], self.maps, counts)
        ends = np.cumsum(counts)
        shape = self.connections.post_shape
        out = np.empty(ends[-1] if len(ends) else 0, neuron_dtype(shape))
        place = ends - counts
        for (block, row), (step, lane) in zip(jobs, events):
            self.kernels.place_events(step, lane, self.block, self.starts[block], self.maps, row, self.width,
                                      positions, place, out)
        offsets = np.concatenate([[0], ends.reshape(n_steps, self.maps)[:, -1]])
        return Spikes(shape, n_steps, offsets, out)


# ---------------------------------------------------------------- any wiring


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
    """

    BUFFERED_SPIKES = 1 << 21

    def __init__(self, network, lowered, members, record):
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
        self._set_up_neurons(parts)
        self._set_up_synapses(lowered, projections)
        delay = max([1] + [p.connections.max_delay for p in projections])
        self.ring = np.zeros((delay + 1, 2, self.n), np.int64)
        self.pending = np.zeros(delay + 1, np.int64)

    def _set_up_neurons(self, parts):
        def joined(name):
            return np.concatenate([getattr(p, name) for p in parts])

        self.n = sum(p.size for p in parts)
        blocks = -(-self.n // general_kernels.LANES)
        self.state = np.zeros(blocks * general_kernels.FIELDS * general_kernels.LANES, np.int32)
        self._set_field("v_thresh", np.full(blocks * general_kernels.LANES, SILENT_THRESHOLD))
        for name, values in (("v", joined("v_init")), ("v_thresh", joined("v_thresh")), ("v_reset", joined("v_reset")),
                             ("v_rest", joined("v_rest")), ("i_offset", joined("i_offset")),
                             ("resistance", joined("resistance")), ("refractory", joined("refractory")),
                             ("membrane_decay", joined("membrane_decay"))):
            self._set_field(name, values)
        self.inject = np.zeros((2, 3, self.n), np.int32)
        for receptor, letter in enumerate("ei"):
            mask, low = split(np.concatenate([p.decay[receptor] for p in parts]))
            self._set_field(f"decay_{letter}_mask", mask)
            self._set_field(f"decay_{letter}", low)
            self.inject[receptor, 0] = np.concatenate([p.shift[receptor] for p in parts])
            self.inject[receptor, 1:] = split(np.concatenate([p.inject[receptor] for p in parts]))
        self.saturated_slots = np.zeros(self.n, np.int64)

    def _set_field(self, name, values, first=0):
        """Write a number of every neuron from `first` on into the blocks of ``kernels._update_neurons``."""
        neuron = np.arange(first, first + len(values))
        block, lane = np.divmod(neuron, general_kernels.LANES)
        field = general_kernels.NEURON_FIELDS.index(name)
        self.state.reshape(-1, general_kernels.FIELDS, general_kernels.LANES)[block, field, lane] = values

    def _set_up_synapses(self, lowered, projections):
        integers = [lowered.projection(p.label) for p in projections]
        modulators, plastic = [p for p in integers if p.modulates], [p for p in integers if p.rule]
        static = [p for p in integers if not p.modulates and not p.rule]
        self.row_start, order = self._rows(static)
        self.static = tuple(values[order].astype(kind) for values, kind in (
            (self._joined(static, self._own_id), np.int32), (self._joined(static, lambda p: p.weight), np.int64),
            (self._joined(static, lambda p: p.delay), np.int32),
            (self._joined(static, lambda p: p.receptor), np.int8)))
        self._set_up_plasticity(lowered, plastic)
        modulator_start, order = self._rows(modulators)
        self.modulators = (modulator_start, self._joined(modulators, self._own_id)[order],
                           self._joined(modulators, lambda p: np.where(p.receptor, -p.weight, p.weight))[order])

    def _rows(self, projections):
        """Place of each spike id's first synapse and one behind the last, and the order that sorts the synapses."""
        pre = self._joined(projections, lambda p: p.pre_id + self.base[p.pre])
        order = np.argsort(pre, kind="stable")
        return np.searchsorted(pre[order], np.arange(self.n_spike_ids + 1)), order

    def _set_up_plasticity(self, lowered, plastic):
        rules = list({id(p.rule): p.rule for p in plastic}.values())
        rows = [(pre + self.base[p.pre], k, first, last) for k, p in enumerate(plastic)
                for pre, first, last in _runs(p.pre_id)]
        begins = np.cumsum([0] + [len(p.pre_id) for p in plastic])
        self.plastic_slices = {p.label: slice(b, b + len(p.pre_id)) for p, b in zip(plastic, begins)}
        # Rows keep the order of the projections inside one presynaptic neuron.
        rows.sort(key=lambda row: (row[0], row[1]))
        synapses = np.concatenate([np.arange(begins[k] + first, begins[k] + last) for _, k, first, last in rows]
                                  or [np.zeros(0, np.int64)]).astype(np.int64)
        self.plastic_start = np.searchsorted([row[0] for row in rows], np.arange(self.n_spike_ids + 1))
        self.plastic_row = np.cumsum([0] + [last - first for _, _, first, last in rows]).astype(np.int64)
        self.row_state = np.array([[0, 0, 0, rules.index(plastic[k].rule)] for _, k, _, _ in rows],
                                  np.int64).reshape(-1, 4)
        self.plastic_order = synapses
        delay = self._joined(plastic, lambda p: p.delay)
        stored = self._joined(plastic, lambda p: p.delay % lowered.populations[p.post].delay_slots)
        self.plastic = tuple(values[synapses].astype(np.int64) for values in (
            self._joined(plastic, self._own_id), self._joined(plastic, lambda p: p.weight), delay, stored,
            self._joined(plastic, lambda p: p.receptor), np.zeros(len(delay))))
        self.rule_of = np.full(self.n, -1, np.int64)
        for p in plastic:
            first = self.base[p.post] - self.n_sources
            self.rule_of[first:first + lowered.populations[p.post].size] = rules.index(p.rule)
        self.kinds = np.array([general_kernels.RULES.index(rule.kind) for rule in rules], np.int64)
        self.amounts = np.array([[getattr(rule, name) for name in general_kernels.AMOUNTS] for rule in rules],
                                np.int64).reshape(-1, len(general_kernels.AMOUNTS))
        self.tables = _tables(rules)
        learning = self.n if rules else 0
        self.times = np.zeros((learning, general_kernels.HISTORY), np.int64)
        self.traces = np.zeros((general_kernels.TRACES, learning, general_kernels.HISTORY), np.int64)
        self.counts = np.ones(learning, np.int64)

    def _own_id(self, projection):
        return projection.post_id + self.base[projection.post] - self.n_sources

    @staticmethod
    def _joined(projections, values):
        return np.concatenate([values(p) for p in projections] or [np.zeros(0, np.int64)])

    def set_threshold(self, label, raw):
        """Thresholds as s16.15, (size,)."""
        first = self.base[label] - self.n_sources
        self._set_field("v_thresh", raw, first)

    def saturated(self):
        """Ring-buffer slots that were cut, by label."""
        return {label: int(part.sum()) for label, part in self._split(self.saturated_slots).items()}

    def plastic_weights(self, label):
        """16-bit weights of a plastic projection, sorted by presynaptic, then postsynaptic neuron."""
        weights = np.empty(len(self.plastic_order), np.int64)
        weights[self.plastic_order] = self.plastic[1]
        return weights[self.plastic_slices[label]]

    def _split(self, values):
        ends = np.cumsum([p.size for p in self.populations])[:-1]
        return dict(zip(self.labels, np.split(values, ends)))

    def run(self, t, n_steps, spikes, threads):
        """Simulate; spikes and membranes by label."""
        block = max(1, self.BUFFERED_SPIKES // self.n)
        out_step, out_id = (np.empty(min(block, n_steps) * self.n, np.int32) for _ in range(2))
        offsets, ids = self._sources(spikes, n_steps)
        traces = [np.zeros((n_steps, len(self.trace_ids)), np.int32) for _ in range(3)]
        steps, fired = [], []
        for first in range(0, n_steps, block):
            last = min(first + block, n_steps)
            n = general_kernels.general_steps(
                t + first, last - first, offsets[first:last + 1], ids, self.n_sources, self.state, self.inject,
                self.ring, self.pending, self.saturated_slots, self.row_start, *self.static, self.plastic_start,
                self.plastic_row, self.row_state, *self.plastic, *self.modulators, self.rule_of, self.kinds,
                self.amounts, self.tables, self.times, self.traces, self.counts, self.trace_ids,
                *(trace[first:last] for trace in traces), out_step, out_id)
            steps.append(out_step[:n] + first)
            fired.append(out_id[:n].copy())
        return self._spikes(np.concatenate(steps), np.concatenate(fired), n_steps), self._membranes(traces)

    def _sources(self, spikes, n_steps):
        """Spikes from outside as one list: offsets (n_steps + 1,) and ids, each step in the order of the network."""
        parts = [spikes[p.label] for p in self.outside]
        counts = [np.diff(part.offsets) for part in parts]
        offsets = np.concatenate([[0], np.cumsum(sum(counts, np.zeros(n_steps, np.int64)))])
        ids, place = np.empty(offsets[-1], np.int64), offsets[:-1].copy()
        for population, part, count in zip(self.outside, parts, counts):
            at = np.repeat(place - part.offsets[:-1], count) + np.arange(part.n_events)
            ids[at] = part.neurons.astype(np.int64) + self.base[population.label]
            place += count
        return offsets, ids

    def _spikes(self, steps, ids, n_steps):
        made, first = {}, 0
        for population in self.populations:
            own = (ids >= first) & (ids < first + population.size)
            offsets = np.searchsorted(steps[own], np.arange(n_steps + 1))
            made[population.label] = Spikes(population.shape, n_steps, offsets,
                                            (ids[own] - first).astype(neuron_dtype(population.shape)))
            first += population.size
        return made

    def _membranes(self, traces):
        ends = np.cumsum([len(ids) for ids in self.record.values()])[:-1]
        parts = [dict(zip(self.record, np.split(trace, ends, axis=1))) for trace in traces]
        return {label: {name: part[label] for name, part in zip(("v", "gsyn_exc", "gsyn_inh"), parts)}
                for label in self.record}


def _runs(sorted_ids):
    """``(id, first, last)`` of each run of equal numbers."""
    ids, first = np.unique(sorted_ids, return_index=True)
    return list(zip(ids.tolist(), first.tolist(), [*first[1:].tolist(), len(sorted_ids)]))


def _tables(rules):
    """Look-up tables as one array (rules, tables, steps), with zeros behind the shorter ones."""
    tables = [[getattr(rule, name) for name in general_kernels.TABLES] for rule in rules]
    width = max([1] + [len(table) for parts in tables for table in parts])
    return np.array([[np.pad(table, (0, width - len(table))) for table in parts] for parts in tables],
                    np.int64).reshape(-1, len(general_kernels.TABLES), width)
