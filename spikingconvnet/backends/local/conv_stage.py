"""The stage of a convolution: maps in blocks, inputs from shared kernels.

Several convolutions onto one population are one, over the channels of all of their sources, see :class:`Branches`.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

from spikingconvnet.backends.local.layout import (
    AT_REST,
    BLOCK,
    CUT,
    LANE_FIELDS,
    SILENT_THRESHOLD,
    TRACED,
    Membranes,
    aligned,
)
from spikingconvnet.board.fixed_point import split
from spikingconvnet.board.lowered import LoweredPopulation
from spikingconvnet.board.lowering import Lowered
from spikingconvnet.network.arrays import AnyInts, Counts16, Floats, Ints, Ints32, Pair
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Projection
from spikingconvnet.network.spikes import Spikes, neuron_dtype

MAPS_PER_BLOCK = 48         # 16, 24 and 48 were measured; the state of a row of 22 positions is then 38 KiB


def conv_weights(weights: Ints, stride: int, first: int, last: int) -> Ints32:
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
    int32 array (channels, rows, stride, BLOCK + pieces * (last - first) + BLOCK)
        With zeros at both ends, for vectors that begin before a line or end behind it.
    """
    _maps, channels, rows, columns = weights.shape
    pieces = -(-columns // stride)
    table = np.zeros((channels, rows, stride, pieces, last - first), np.int32)
    for phase in range(stride):
        for piece in range(pieces):
            column = phase + (pieces - 1 - piece) * stride
            if column < columns:
                block = weights[first:last, :, :, column]
                table[:, :, phase, piece, :len(block)] = block.transpose(1, 2, 0)
    padded = aligned((channels, rows, stride, 2 * BLOCK + pieces * (last - first)), np.int32)
    padded[..., BLOCK:-BLOCK] = table.reshape(channels, rows, stride, -1)
    return padded


def conv_factors(lowered: LoweredPopulation, competes: bool) -> Ints32:
    """Constants of a uniform population as ``kernels.conv_row`` takes them: int32 array (18,).

    Pairs as ``fixed_point.split`` makes them of what is injected and left of a current, of the membrane's decay and of
    what the resistance has beyond its whole part; then `v_rest`, the whole part, `v_reset`, refractory steps,
    whether maps compete, and whether no current can leave 31 bits, whatever the input.
    """
    decay, inject = lowered.decay[:, 0], lowered.inject[:, 0]
    most = 0xffff << lowered.shift.reshape(2, -1).max(axis=1).astype(np.int64)      # of a step, in a ring buffer
    bounded = (decay < 1 << 32).all() and (inject < 1 << 32).all() and (most < 1 << 31).all() and all(
        int(w) * int(share) < (1 << 31) * ((1 << 32) - int(left)) for w, share, left in zip(most, inject, decay))
    resistance = int(lowered.resistance[0])
    factors = (*lowered.inject[:, 0], *lowered.decay[:, 0], int(lowered.membrane_decay[0]) << 17,
               (resistance & 0x7fff) << 17)
    pairs = [part for factor in factors for part in split(factor)]
    return np.array([*pairs, lowered.v_rest[0], resistance >> 15, lowered.v_reset[0], lowered.refractory[0], competes,
                     bounded], np.int32)


class Branches:
    """Convolutions onto one population as one: their sources' channels behind each other, their kernels in one frame.

    Convolutions of several strides see maps on lattices of their own: one whose stride is `f` times that of all sees
    `f * f` smaller maps in the place of each, every `f`-th row and column of it from another one on, with every `f`-th
    weight of its kernel. Spikes of a source with a longer delay than another one count as fired later.

    Parameters
    ----------
    lowered : Lowered
    projections : list of Projection
        For which :meth:`possible` is true.

    Attributes
    ----------
    weights : int array (maps, channels, rows, columns)
        Inhibitory ones negative.
    strides : (rows, columns)
    post_shape : (maps, rows, columns)
    seen : (rows, columns)
        Of what the kernels see.
    delay : int
        The shortest, steps.
    row, column, channel : int16 array (neurons of all sources,)
        Where a spike counts; no row, -1, for nowhere.
    """

    def __init__(self, lowered: Lowered, projections: Sequence[Projection]) -> None:
        parts = _convolutions(projections)
        self.projections, self.strides, self.post_shape = projections, _common(parts), parts[0].post_shape
        lattices = [_lattice(part, self.strides) for part in parts]
        self.delay = min(part.delay for part in parts)
        self.seen = tuple(np.max([-(-np.array(part.seen_shape[1:]) // lattice) for part, lattice in
                                  zip(parts, lattices)], axis=0).tolist())
        kernels = [_on_lattice(np.subtract(*lowered.convolution(projection.label)), lattice)
                   for projection, lattice in zip(projections, lattices)]
        firsts = np.cumsum([0, *(kernel.shape[1] for kernel in kernels)])
        size = np.max([kernel.shape[2:] for kernel in kernels], axis=0)
        self.weights = np.concatenate([_behind(kernel, size) for kernel in kernels], axis=1)
        places = [_places(*one) for one in zip(parts, firsts.tolist(), lattices)]
        self.row, self.column, self.channel = (np.concatenate(found).astype(np.int16) for found in zip(*places))
        self.sizes = [len(found[0]) for found in places]
        self.waiting = [(np.zeros(0, np.int64), np.zeros(0, np.int64)) for _ in parts]      # steps, neurons

    @staticmethod
    def possible(projections: Sequence[Projection]) -> bool:
        """Whether one convolution can stand for these."""
        parts = _convolutions(projections)
        channels = [part.pre_shape[0] * math.prod(_begins(part.kernels, _lattice(part, _common(parts))))
                    for part in parts]
        return len(parts) == len(projections) and sum(channels) <= np.iinfo(np.int16).max

    def input(self, t: int, n_steps: int, reset_every: int, spikes: Mapping[str, Spikes]) -> tuple[Ints, AnyInts]:
        """Offsets and neurons of all sources together, in the run of `n_steps` from step `t` on."""
        if len(self.projections) == 1:
            source = spikes[self.projections[0].pre]
            return source.offsets, source.neurons
        steps, neurons = [], []
        for i, (projection, first) in enumerate(zip(self.projections, np.cumsum([0, *self.sizes]))):
            source, later = spikes[projection.pre], projection.connections.max_delay - self.delay
            fired = np.repeat(np.arange(t, t + n_steps), np.diff(source.offsets))
            arrives, neuron = fired + later, source.neurons.astype(np.int64) + first
            if reset_every:                 # on their way when the images change
                stays = fired // reset_every == arrives // reset_every
                arrives, neuron = arrives[stays], neuron[stays]
            arrives, neuron = (np.concatenate(both) for both in zip(self.waiting[i], (arrives, neuron)))
            now = arrives < t + n_steps
            self.waiting[i] = arrives[~now], neuron[~now]
            steps.append(arrives[now] - t)
            neurons.append(neuron[now])
        step, neuron = np.concatenate(steps), np.concatenate(neurons)
        order = np.argsort(step, kind="stable")
        return (np.searchsorted(step[order], np.arange(n_steps + 1)),
                neuron[order].astype(neuron_dtype((sum(self.sizes), 1, 1))))


def _convolutions(projections: Sequence[Projection]) -> list[ConvConnections]:
    """Connections of those that are convolutions."""
    return [one.connections for one in projections if isinstance(one.connections, ConvConnections)]


def _common(parts: Sequence[ConvConnections]) -> Pair:
    """The largest stride of which all are multiples: (rows, columns)."""
    rows, columns = np.gcd.reduce([part.strides for part in parts]).tolist()
    return rows, columns


def _lattice(connections: ConvConnections, strides: Pair) -> Pair:
    """How many of `strides` a convolution goes at a time: (rows, columns)."""
    return connections.strides[0] // strides[0], connections.strides[1] // strides[1]


def _on_lattice(kernels: Ints, lattice: Pair) -> Ints:
    """Kernels over the smaller maps, in the order (row, column, channel) of what they begin with."""
    parts = [kernels[:, :, row::lattice[0], column::lattice[1]]
             for row, column in np.ndindex(*_begins(kernels, lattice))]
    return np.concatenate([_behind(part, parts[0].shape[2:]) for part in parts], axis=1)


def _begins(kernels: AnyInts | Floats, lattice: Pair) -> Pair:
    """Rows and columns with which smaller maps that kernels see begin."""
    return min(lattice[0], kernels.shape[2]), min(lattice[1], kernels.shape[3])


def _behind(kernels: Ints, size: Sequence[int]) -> Ints:
    """Kernels with zeros below and right of them, up to `size` (rows, columns)."""
    return np.pad(kernels, ((0, 0), (0, 0), *((0, most - there) for most, there in zip(size, kernels.shape[2:]))))


def _places(connections: ConvConnections, first: int, lattice: Pair) -> tuple[Ints, Ints, Ints]:
    """Row, column and channel of each neuron of a source whose channels begin at `first`."""
    place, begins = connections.seen_places, _begins(connections.kernels, lattice)
    channel, *places = np.unravel_index(np.maximum(place, 0), connections.seen_shape)
    (row, down), (column, right) = (np.divmod(one, step) for one, step in zip(places, lattice))
    counts = (place >= 0) & (down < begins[0]) & (right < begins[1])
    channel = first + (down * begins[1] + right) * connections.seen_shape[0] + channel
    return np.where(counts, row, -1), column, channel


def lateral_weights(lowered: Lowered, projections: Sequence[Projection]) -> Ints | None:
    """What each map of a population gets from a spike of another one at its place: (maps,), None if it is not that.

    `projections` lead from the population to itself: none, which is zeros' work, or a convolution of 1x1 whose weights
    to a map are the same from all other maps, inhibitory, and a step under way.
    """
    if len(projections) != 1 or len(parts := _convolutions(projections)) != 1:
        return None
    (part,) = parts
    maps = part.post_shape[0]
    if (part.kernels.shape != (maps, maps, 1, 1) or part.post_shape != part.pre_shape or part.delay != 1
            or not 1 < maps <= MAPS_PER_BLOCK):
        return None
    weights = -np.subtract(*lowered.convolution(projections[0].label))[:, :, 0, 0]
    others = weights[~np.eye(maps, dtype=bool)].reshape(maps, maps - 1)
    alike = (others == others[:, :1]).all() and (others >= 0).all() and not np.diag(weights).any()
    return others[:, 0] if alike else None


class ConvStage:
    """One population behind convolutions; its rows are independent and shared among the threads.

    Its maps may inhibit each other at each place, see :func:`lateral_weights`.

    Parameters
    ----------
    network : Network
    lowered : Lowered
    projections : list of Projection
    record : dict of str to int64 array
        Neurons whose membranes are recorded.
    kernels : module
    grid : (rows, columns) or None
        Cells per map in which spikes are counted instead of kept.
    """

    def __init__(self, network: Network, lowered: Lowered, projections: Sequence[Projection],
                 record: Mapping[str, Ints], kernels: ModuleType, grid: Pair | None = None) -> None:
        self.kernels, self.grid, self.slot = kernels, grid, network.slot or 0
        self._counts: list[Counts16] = []
        label = projections[0].post
        branches = Branches(lowered, [projection for projection in projections if projection.pre != label])
        lateral = lateral_weights(lowered, [projection for projection in projections if projection.pre == label])
        population = lowered.populations[label]
        self.labels, self.branches, self.reset_every = (label,), branches, network.reset_every
        self.shape = self.maps, self.rows, self.width = branches.post_shape
        blocks = -(-self.maps // MAPS_PER_BLOCK)
        self.block = -(-self.maps // blocks)
        if lateral is not None:             # the maps of a place fill vectors of their own
            self.block = -(-self.maps // BLOCK) * BLOCK
        self.starts = range(0, self.maps, self.block)
        self.weights = [conv_weights(branches.weights, branches.strides[1], m, m + self.block) for m in self.starts]
        self.factors = conv_factors(population, lateral is not None)
        state = (blocks, self.rows, -(-self.width * self.block // BLOCK) * BLOCK)
        self.v, self.timer, self.syn_e, self.syn_i = (aligned(state, np.int32) for _ in range(4))
        self.ring_e, self.ring_i = (aligned((*state[:2], branches.delay, state[2]), np.int32) for _ in range(2))
        self.spans = np.zeros((blocks, self.rows, branches.delay, 2), np.int64)
        self.spans[..., 0] = state[2]
        self.flags = np.zeros((blocks, self.rows, 4), np.int64)
        self.per_lane = aligned((blocks, self.rows, len(LANE_FIELDS), state[2]), np.int32)
        # By block, row and lane the column of its neuron's membrane in what is recorded, or -1; None without a record.
        self.recorded = record.get(label)
        self.cell_of = np.zeros(0, np.int32)        # of each lane in a row of cells; maps are the innermost there too
        if grid is not None:
            cell = np.arange(self.block) + self.block * (np.arange(self.width) * grid[1] // self.width)[:, None]
            self.cell_of = np.pad(cell.ravel(), (0, state[2] - cell.size)).astype(np.int32)
        if self.recorded is not None:
            column = np.full(math.prod(self.shape), -1)
            column[self.recorded] = np.arange(len(self.recorded))
            self.column_of = self._per_lane(column, -1)
        self._set_lanes("shift_e", population.shift[0], 0)
        self._set_lanes("shift_i", population.shift[1], 0)
        self._set_lanes("i_offset", population.i_offset, 0)
        self._set_lanes("v_init", population.v_init, population.v_rest[0])
        if lateral is not None:
            self._set_lanes("lateral", np.repeat(lateral, self.rows * self.width), 0)
        self.v[:] = self.per_lane[:, :, LANE_FIELDS.index("v_init")]
        self.set_threshold(label, population.v_thresh)

    def _set_lanes(self, name: str, values: AnyInts, beyond: int) -> None:
        """Set a number of every lane, one of `LANE_FIELDS`."""
        self.per_lane[:, :, LANE_FIELDS.index(name)] = self._per_lane(values, beyond)

    def _per_lane(self, values: AnyInts, beyond: int) -> Ints:
        """(maps, rows, columns) values as (blocks, rows, lanes), `beyond` in lanes without a neuron."""
        full = np.full((len(self.starts) * self.block, self.rows, self.width), beyond, np.int64)
        full[:self.maps] = np.asarray(values).reshape(self.maps, self.rows, self.width)
        blocks = full.reshape(len(self.starts), self.block, self.rows, self.width)
        lanes = blocks.transpose(0, 2, 3, 1).reshape(len(self.starts), self.rows, -1)
        return np.pad(lanes, ((0, 0), (0, 0), (0, self.v.shape[2] - lanes.shape[2])), constant_values=beyond)

    def set_threshold(self, label: str, raw: AnyInts) -> None:
        """Thresholds as s16.15, (size,)."""
        self._set_lanes("v_thresh", raw, SILENT_THRESHOLD)
        self.flags[:, :, AT_REST] = 0

    def saturated(self) -> dict[str, int]:
        """Ring-buffer slots that were cut, by label."""
        return {self.labels[0]: int(self.flags[:, :, CUT].sum())}

    def run(self, t: int, n_steps: int, spikes: Mapping[str, Spikes],
            threads: ThreadPoolExecutor) -> tuple[dict[str, Spikes], Membranes]:
        """Simulate; spikes and membranes by label."""
        branches = self.branches
        offsets, neurons = branches.input(t, n_steps, self.reset_every, spikes)
        sorted_input = self.kernels.sort_by_row(offsets, neurons, branches.row, branches.column, branches.channel,
                                                branches.seen[0])
        recorded = np.empty((len(TRACED), n_steps, 0 if self.recorded is None else len(self.recorded)), np.int32)
        events = list(threads.map(lambda row: self._row(row, t, n_steps, sorted_input, recorded), range(self.rows)))
        membranes = {} if self.recorded is None else {self.labels[0]: dict(zip(TRACED, recorded))}
        if self.grid is not None:
            self._count(events, self.grid, n_steps // self.slot)
            return {}, membranes
        return {self.labels[0]: self._merge(events, n_steps)}, membranes

    def _row(self, row: int, t: int, n_steps: int, sorted_input: Any, recorded: Ints32) -> Any:
        """Steps and lanes of the spikes of one row, or counts, for every block of maps; its part of a record."""
        down, stride = self.branches.strides
        geometry = (self.branches.seen[0], stride, self.width, self.block,
                    -(-self.branches.weights.shape[3] // stride))
        state = (self.v, self.timer, self.syn_e, self.syn_i, self.ring_e, self.ring_i, self.spans, self.flags,
                 self.per_lane)
        traces = aligned((len(self.weights), len(TRACED), n_steps * (recorded.size > 0), self.v.shape[2]), np.int32)
        blocks = [(weights, *(array[block, row] for array in state), traces[block], self.cell_of)
                  for block, weights in enumerate(self.weights)]
        events = self.kernels.conv_row(t, n_steps, *sorted_input, row * down, geometry, blocks,
                                       self.factors, self.reset_every,
                                       *(() if self.grid is None else (self.slot, self.block * self.grid[1])))
        if recorded.size:
            for trace, column in zip(traces, self.column_of[:, row]):
                lanes = np.flatnonzero(column >= 0)
                recorded[:, :, column[lanes]] = trace[:, :, lanes]
        return events

    def _count(self, rows: Any, grid: Pair, samples: int) -> None:
        """Add counts of all rows, by row and block, up to those of each sample's cells, and keep them."""
        total = np.zeros((samples, len(self.starts), grid[0], grid[1], self.block), np.int64)
        for row, blocks in enumerate(rows):
            for block, counts in enumerate(blocks):
                total[:, block, row * grid[0] // self.rows] += counts.reshape(samples, grid[1], self.block)
        every = total.transpose(0, 1, 4, 2, 3).reshape(samples, -1, math.prod(grid))[:, :self.maps]
        self._counts.append(np.minimum(every, np.iinfo(np.uint16).max).astype(np.uint16).reshape(samples, -1))

    def counts(self) -> Counts16:
        """Spikes by sample and cell since the last call: uint16 array (samples, maps * cells), cut at 65535."""
        parts, self._counts = self._counts, []
        return np.concatenate([*parts, np.zeros((0, self.maps * math.prod(self.grid or ())), np.uint16)])

    def _merge(self, events: Any, n_steps: int) -> Spikes:
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
        shape = self.shape
        out = np.empty(ends[-1] if len(ends) else 0, neuron_dtype(shape))
        place = ends - counts
        for row, blocks in enumerate(events):
            for start, (step, lane) in zip(starts, blocks):
                self.kernels.place_events(step, lane, maps, start, groups, row, self.width, positions, place, out)
        offsets = np.concatenate([[0], ends.reshape(n_steps, groups)[:, -1]])
        return Spikes(shape, n_steps, offsets, out)
