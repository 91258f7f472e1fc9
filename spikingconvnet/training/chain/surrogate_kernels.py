"""Leaky integrate-and-fire neurons over all steps of an image and the gradient back through them, in numba.

And products with spikes, which add up the rows of those that fired.

Arrays of neurons are float32 (steps, neurons), contiguous, in units in which the resting potential is 0 and the
threshold 1. Blocks of `BLOCK` neurons go through all steps while their state is in the cache. Nothing is checked here;
``gradients/spiking.py`` prepares the arrays.
"""

import numpy as np
from numba import float32

from spikingconvnet.backends.local.kernels import compiled
from spikingconvnet.network.arrays import Floats32, Ints, Ints32, Pixels

BLOCK = 2048


@compiled
def forward(drive: Floats32, spikes: Floats32, decay: float, reset: float) -> None:
    """Spikes of neurons at rest at the start; `drive` becomes the membranes before their reset.

    v(t) = decay * (v(t - 1), or `reset` if that fired) + drive(t);  spikes(t) = 1 where v(t) >= 1
    """
    steps, n = drive.shape
    kept = np.empty(BLOCK, np.float32)
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        kept[:] = float32(0.0)
        for t in range(steps):
            v, fired = drive[t, first:first + size], spikes[t, first:first + size]
            for i in range(size):
                now = decay * kept[i] + v[i]
                v[i] = now
                fired[i] = float32(1.0) if now >= float32(1.0) else float32(0.0)
                kept[i] = reset if now >= float32(1.0) else now


@compiled
def backward(v: Floats32, grad: Floats32, found: Floats32, decay: float, slope: float) -> None:
    """Gradient by the drive, `found`, from that by the spikes, `grad`; the reset counts as a constant.

    found(t) = grad(t) / (1 + slope * |v(t) - 1|)^2 + decay * (found(t + 1) where t did not fire)
    """
    steps, n = v.shape
    later = np.empty(BLOCK, np.float32)
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        later[:] = float32(0.0)
        for t in range(steps - 1, -1, -1):
            now, g, out = v[t, first:first + size], grad[t, first:first + size], found[t, first:first + size]
            for i in range(size):
                wide = float32(1.0) + slope * abs(now[i] - float32(1.0))
                kept = float32(0.0) if now[i] >= float32(1.0) else decay * later[i]
                later[i] = g[i] / (wide * wide) + kept
                out[i] = later[i]


@compiled
def listed(raster: Pixels, ids: Ints32, ends: Ints) -> None:
    """Columns that fired in every row of a raster of 0 and 1, one row after another, and where the rows end.

    raster : uint8 (rows, columns);  ids : int32, one longer than the spikes;  ends : int64 (rows,)
    """
    place = 0
    for row in range(raster.shape[0]):
        for column in range(raster.shape[1]):
            ids[place] = column
            place += raster[row, column]
        ends[row] = place


@compiled
def add_rows(values: Floats32, ids: Ints32, begin: int, end: int, total: Floats32) -> None:
    """Add the rows ``ids[begin:end]`` of `values`, float32 (., n), to `total`, float32 (n,)."""
    place = begin
    while place + 4 <= end:
        a, b, c, d = values[ids[place]], values[ids[place + 1]], values[ids[place + 2]], values[ids[place + 3]]
        for i in range(total.shape[0]):
            total[i] += (a[i] + b[i]) + (c[i] + d[i])
        place += 4
    while place < end:
        a = values[ids[place]]
        for i in range(total.shape[0]):
            total[i] += a[i]
        place += 1


@compiled
def drives(weights: Floats32, ids: Ints32, ends: Ints, found: Floats32) -> None:
    """Sums of the weights, float32 (inputs, units), of the inputs that fired in every row: `found` (rows, units)."""
    begin = 0
    for row in range(found.shape[0]):
        found[row] = float32(0.0)
        add_rows(weights, ids, begin, ends[row], found[row])
        begin = ends[row]


@compiled
def weight_gradient(grad: Floats32, ids: Ints32, ends: Ints, found: Floats32) -> None:
    """Gradient by the weights, `found` (inputs, units), from that by the drives, `grad` (steps, samples, units).

    ids, ends : samples for which an input fired, listed by step and input
    """
    n_inputs, begin = found.shape[0], 0
    found[:] = float32(0.0)
    for row in range(ends.shape[0]):
        add_rows(grad[row // n_inputs], ids, begin, ends[row], found[row % n_inputs])
        begin = ends[row]


@compiled
def pool(values: Floats32, rows: int, columns: int, found: Floats32) -> None:
    """Means of `rows` x `columns` values: (planes, height, width) to the whole pools that fit in, in their order."""
    share = float32(1.0 / (rows * columns))
    for plane in range(found.shape[0]):
        for i in range(found.shape[1]):
            for j in range(found.shape[2]):
                total = float32(0.0)
                for a in range(rows):
                    for b in range(columns):
                        total += values[plane, i * rows + a, j * columns + b]
                found[plane, i, j] = total * share


@compiled
def unpool(grad: Floats32, rows: int, columns: int, found: Floats32) -> None:
    """Gradient by the values, `found`, from that by their means; values beyond the last whole pool have none."""
    share = float32(1.0 / (rows * columns))
    height, width = grad.shape[1] * rows, grad.shape[2] * columns
    for plane in range(found.shape[0]):
        found[plane, height:] = float32(0.0)
        found[plane, :, width:] = float32(0.0)
        for i in range(height):
            for j in range(grad.shape[2]):
                value = grad[plane, i // rows, j] * share
                for b in range(columns):
                    found[plane, i, j * columns + b] = value
