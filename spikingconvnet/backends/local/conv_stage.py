"""The stage of a convolution: maps in blocks, inputs from shared kernels."""

import numpy as np

from spikingconvnet.backends.local.layout import AT_REST, BLOCK, CUT, LANE_FIELDS, SILENT_THRESHOLD, aligned
from spikingconvnet.board.fixed_point import split
from spikingconvnet.network.spikes import Spikes, neuron_dtype

MAPS_PER_BLOCK = 48         # 16, 24 and 48 were measured; the state of a row of 22 positions is then 38 KiB


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

    def __init__(self, network, lowered, projection, kernels) -> None:
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
        state = (blocks, self.rows, -(-self.width * self.block // BLOCK) * BLOCK)
        self.v, self.timer, self.syn_e, self.syn_i = (aligned(state, np.int32) for _ in range(4))
        self.ring_e, self.ring_i = (aligned((*state[:2], connections.delay, state[2]), np.int32) for _ in range(2))
        self.spans = np.zeros((blocks, self.rows, connections.delay, 2), np.int64)
        self.spans[..., 0] = state[2]
        self.flags = np.zeros((blocks, self.rows, 4), np.int64)
        self.per_lane = aligned((blocks, self.rows, len(LANE_FIELDS), state[2]), np.int32)
        self._set_lanes("shift_e", population.shift[0], 0)
        self._set_lanes("shift_i", population.shift[1], 0)
        self._set_lanes("i_offset", population.i_offset, 0)
        self._set_lanes("v_init", population.v_init, population.v_rest[0])
        self.v[:] = self.per_lane[:, :, LANE_FIELDS.index("v_init")]
        self.set_threshold(projection.post, population.v_thresh)
        _, height, width = connections.pre_shape
        pool_rows, pool_columns = connections.pool
        row, column = np.arange(height) // pool_rows, np.arange(width) // pool_columns
        inside = (row < height // pool_rows)[:, None] & (column < width // pool_columns)
        channels = connections.pre_shape[0]
        self.row_of = np.tile(np.where(inside, row[:, None], -1).ravel(), channels).astype(np.int16)
        self.column_of = np.tile(np.broadcast_to(column, inside.shape).ravel(), channels).astype(np.int16)
        self.channel_of = np.repeat(np.arange(channels), height * width).astype(np.int16)

    def _set_lanes(self, name, values, beyond):
        """Set a number of every lane, one of `LANE_FIELDS`."""
        self.per_lane[:, :, LANE_FIELDS.index(name)] = self._per_lane(values, beyond)

    def _per_lane(self, values, beyond):
        """(maps, rows, columns) values as (blocks, rows, lanes), `beyond` in lanes without a neuron."""
        full = np.full((len(self.starts) * self.block, self.rows, self.width), beyond, np.int64)
        full[:self.maps] = np.asarray(values).reshape(self.maps, self.rows, self.width)
        blocks = full.reshape(len(self.starts), self.block, self.rows, self.width)
        lanes = blocks.transpose(0, 2, 3, 1).reshape(len(self.starts), self.rows, -1)
        return np.pad(lanes, ((0, 0), (0, 0), (0, self.v.shape[2] - lanes.shape[2])), constant_values=beyond)

    def set_threshold(self, label, raw):
        """Thresholds as s16.15, (size,)."""
        self._set_lanes("v_thresh", raw, SILENT_THRESHOLD)
        self.flags[:, :, AT_REST] = 0

    def saturated(self):
        """Ring-buffer slots that were cut, by label."""
        return {self.labels[0]: int(self.flags[:, :, CUT].sum())}

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
