"""The local backend: a network in SpiNNaker's integers, stage by stage.

A stage is a set of populations that depend on each other (a strongly connected part of the network). Stages run one
after another over the same steps: for a feed-forward network that is the same as running all of it at once, and it lets
a convolution keep its state in the cache. A population with exactly one convolution coming in is a
:class:`ConvStage`, everything else a ``general_stage.GeneralStage``; both give the integers of ``reference.py``.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from spikingconvnet.backends.base import Recording, Weights, joined, recorded_neurons
from spikingconvnet.backends.local import native
from spikingconvnet.backends.local.fixed_point import ACCUM_ONE, accum, split
from spikingconvnet.backends.local.general_stage import GeneralStage
from spikingconvnet.backends.local.layout import LANES, SILENT_THRESHOLD, aligned
from spikingconvnet.backends.local.lowering import AMOUNT_SHIFT, lower
from spikingconvnet.backends.local.poisson import KernelCore, PoissonSource
from spikingconvnet.connectivity import ConvConnections
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.neurons import SpikeSourcePoisson
from spikingconvnet.spikes import Spikes, neuron_dtype

REPLICAS_AT_ONCE = None     # as many as there are cores
MAPS_PER_BLOCK = 48         # 16, 24 and 48 were measured; the state of a row of 22 positions is then 38 KiB


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
        ``native`` or ``numba_kernels``; the first where it was built by default. The integers do not depend on it.
    """

    provenance = None       # see Recording

    def __init__(self, network, record=(), jobs=None, kernels=None):
        record = recorded_neurons(network, record)
        self.network = network
        self.t = 0
        self._lowered = lower(network)
        kernels = kernels or native.or_else()
        self._random = {p.label: PoissonSource(p, network.timestep, partial(KernelCore, kernels=kernels))
                        for p in network.populations if isinstance(p.cell, SpikeSourcePoisson)}
        self._threads = ThreadPoolExecutor(jobs or os.cpu_count())
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
        spikes = {p.label: p.cell.spikes.window(self.t, n_steps) for p in given}
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
        spikes = {label: joined([c[0][label] for c in chunks], slot) for label in (chunks[0][0] if chunks else ())}
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
    return GeneralStage(network, lowered, members, record, kernels)


def _is_uniform_convolution(population, lowered, projection):
    """Whether one set of constants holds for the whole population; `v_thresh`, `i_offset` and `v` may differ."""
    scalars = (lowered.resistance, lowered.membrane_decay, lowered.v_rest, lowered.v_reset, lowered.refractory,
               *lowered.decay, *lowered.inject)
    shifts = lowered.shift.reshape(2, population.shape[0], -1)
    return (isinstance(projection.connections, ConvConnections) and projection.pre != projection.post
            and (lowered.input_scale == ACCUM_ONE).all()
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
    int32 array (channels, rows, stride, LANES + pieces * (last - first) + LANES)
        With zeros at both ends, for vectors that begin before a line or end behind it.
    """
    maps, channels, rows, columns = weights.shape
    pieces = -(-columns // stride)
    table = np.zeros((channels, rows, stride, pieces, last - first), np.int32)
    for phase in range(stride):
        for piece in range(pieces):
            column = phase + (pieces - 1 - piece) * stride
            if column < columns:
                block = weights[first:last, :, :, column]
                table[:, :, phase, piece, :len(block)] = block.transpose(1, 2, 0)
    padded = aligned((channels, rows, stride, 2 * LANES + pieces * (last - first)), np.int32)
    padded[..., LANES:-LANES] = table.reshape(channels, rows, stride, -1)
    return padded


def conv_factors(lowered):
    """Constants of a uniform population as ``kernels.conv_row`` takes them: int32 array (16,).

    Pairs as ``fixed_point.split`` makes them of what is injected and left of a current, of the membrane's decay and of
    what the resistance has beyond its whole part; then `v_rest`, the whole part, `v_reset` and refractory steps.
    """
    resistance = int(lowered.resistance[0])
    factors = (*lowered.inject[:, 0], *lowered.decay[:, 0], int(lowered.membrane_decay[0]) << 17,
               (resistance & 0x7fff) << 17)
    return np.array([part for factor in factors for part in split(factor)]
                    + [lowered.v_rest[0], resistance >> 15, lowered.v_reset[0], lowered.refractory[0]], np.int32)


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
        self.labels, self.source, self.reset_every = (projection.post,), projection.pre, network.reset_every
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
        self.per_lane = aligned((blocks, self.rows, 5, state[2]), np.int32)
        for index in (0, 1):
            self.per_lane[:, :, 1 + index] = self._per_lane(population.shift[index], 0)
        self.per_lane[:, :, 3] = self._per_lane(population.i_offset, 0)
        self.per_lane[:, :, 4] = self._per_lane(population.v_init, population.v_rest[0])
        self.set_threshold(projection.post, population.v_thresh)
        self.v[:] = self.per_lane[:, :, 4]
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
        events = list(threads.map(lambda row: self._row(row, t, n_steps, sorted_input), range(self.rows)))
        return {self.labels[0]: self._merge(events, n_steps)}, {}

    def _row(self, row, t, n_steps, sorted_input):
        """Steps and lanes of the spikes of one row: a pair for every block of maps."""
        connections = self.connections
        stride = connections.strides[1]
        geometry = (connections.pooled_shape[1], stride, self.width, self.block,
                    -(-connections.kernels.shape[3] // stride))
        state = (self.v, self.timer, self.syn_e, self.syn_i, self.ring_e, self.ring_i, self.spans, self.flags,
                 self.per_lane)
        blocks = [(weights, *(array[block, row] for array in state)) for block, weights in enumerate(self.weights)]
        return self.kernels.conv_row(t, n_steps, *sorted_input, row * connections.strides[0], geometry, blocks,
                                     self.factors, self.reset_every)

    def _merge(self, events, n_steps):
        """Events of all rows, by row and block, as Spikes in the order (step, map, row, column).

        Lanes of one position are maps in their order: there a block of maps is what a map is elsewhere.
        """
        positions = self.rows * self.width
        maps, starts, groups = self.block, self.starts, self.maps
        if positions == 1:
            maps, positions, starts, groups = 1, self.block, range(len(starts)), len(starts)
        counts = np.zeros(n_steps * groups, np.int64)
        for blocks in events:
            for start, (step, lane) in zip(starts, blocks):
                self.kernels.count_events(step, lane, maps, start, groups, counts)
        ends = np.cumsum(counts)
        shape = self.connections.post_shape
        out = np.empty(ends[-1] if len(ends) else 0, neuron_dtype(shape))
        place = ends - counts
        for row, blocks in enumerate(events):
            for start, (step, lane) in zip(starts, blocks):
                self.kernels.place_events(step, lane, maps, start, groups, row, self.width, positions, place, out)
        offsets = np.concatenate([[0], ends.reshape(n_steps, groups)[:, -1]])
        return Spikes(shape, n_steps, offsets, out)
