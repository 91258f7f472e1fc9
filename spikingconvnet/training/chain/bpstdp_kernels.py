"""BP-STDP's inner loops in numba: one image after another through a chain of integrate-and-fire layers.

An image is handled window by window of `eps` steps, because weights change only between windows: all steps of a window
pass through a block of `BLOCK` units while their weights are in the cache. Nothing is checked here; ``bpstdp.py``
prepares the arrays.

Arrays: `weights` is a tuple of float32 (inputs, units), units rounded up to whole `LANES`; `theta` float32 (layers,);
`sizes` int64 (layers + 1,) units of input and layers without the padding; a *train* is which inputs
fire in a window: (ids int32 (steps, size), n int64 (steps,)) those of each step, (always int32 (size,), n_always int64
(1,)) those that fire in all of them and are not listed again; bright pixels are, and need be added up only once.
"""

from typing import TypeAlias

import numpy as np
from numba import float32, int64, uint64

from spikingconvnet.backends.local.kernels import compiled, inlined
from spikingconvnet.network.arrays import Flags, Floats32, Ints, Ints32, Words

Train: TypeAlias = tuple[Ints32, Ints, Ints32, Ints]        # ids, n, always, n_always

LANES = 16
BLOCK = 256


@inlined
def _mix(x: int) -> int:
    """Finaliser of splitmix64 (Steele, Lea and Flood 2014): 64 well mixed bits of a counter."""
    x = (x ^ (x >> uint64(30))) * uint64(0xbf58476d1ce4e5b9)
    x = (x ^ (x >> uint64(27))) * uint64(0x94d049bb133111eb)
    return x ^ (x >> uint64(31))


@compiled
def draw_phases(key: int, phases: Floats32) -> None:
    """A phase in [0, 1) for every input, from a key of 64 bits."""
    for j in range(phases.shape[0]):
        key = uint64(key) + uint64(0x9e3779b97f4a7c15)
        phases[j] = float32(_mix(key) >> uint64(40)) * float32(2.0 ** -24)


@compiled
def _regular(rates: Floats32, phases: Floats32, first: int, train: Train, count: Ints32) -> None:
    """Train and counts of a window from step `first`: a spike whenever phase + rate * steps passes a whole number."""
    ids, n, always, n_always = train
    steps = n.shape[0]
    n[:], n_always[0] = 0, 0
    for j in range(rates.shape[0]):
        begin = int64(rates[j] * float32(first) + phases[j])
        count[j] = int64(rates[j] * float32(first + steps) + phases[j]) - begin
        if count[j] == steps:
            always[n_always[0]] = j
            n_always[0] += 1
        elif count[j] > 0:
            for s in range(steps):
                now = int64(rates[j] * float32(first + s + 1) + phases[j])
                if now > begin:
                    ids[s, n[s]] = j
                    n[s] += 1
                begin = now


@compiled
def _add(rows: Ints32, n: int, w: Floats32, first: int, lanes: Floats32) -> None:
    """Add the pieces of `n` rows that belong to `lanes`, four at a time."""
    last, whole = first + lanes.shape[0], n // 4 * 4
    for k in range(0, whole, 4):
        a, b, c, d = w[rows[k], first:last], w[rows[k + 1], first:last], w[rows[k + 2], first:last], w[rows[k + 3],
                                                                                                      first:last]
        for m in range(lanes.shape[0]):
            lanes[m] += (a[m] + b[m]) + (c[m] + d[m])
    for k in range(whole, n):
        a = w[rows[k], first:last]
        for m in range(lanes.shape[0]):
            lanes[m] += a[m]


@compiled
def _integrate(train: Train, w: Floats32, v: Floats32, theta: float, steady: Floats32, fired: Flags) -> None:
    """Membranes and spikes of a layer over a window; no leak, reset to zero."""
    ids, n, always, n_always = train
    for first in range(0, w.shape[1], BLOCK):
        last = min(first + BLOCK, w.shape[1])
        lanes, base = v[first:last], steady[first:last]
        base[:] = 0
        _add(always, n_always[0], w, first, base)
        for s in range(n.shape[0]):
            _add(ids[s], n[s], w, first, lanes)
            over = fired[s, first:last]
            for m in range(lanes.shape[0]):
                now = lanes[m] + base[m]
                over[m] = now >= theta
                lanes[m] = float32(0.0) if over[m] else now


@compiled
def _collect(fired: Flags, size: int, train: Train, count: Ints32) -> None:
    """Train and counts of a layer from its flags."""
    ids, n, _, _ = train
    count[:size] = 0
    for s in range(n.shape[0]):
        n[s] = 0
        for h in range(size):
            if fired[s, h]:
                ids[s, n[s]] = h
                n[s] += 1
                count[h] += 1


@compiled
def _errors(count: Ints32, target: int, error: Floats32) -> bool:
    """xi of the output layer: +1 for a silent target, -1 for every other unit that fired; whether any is not 0."""
    any_error = False
    for i in range(error.shape[0]):
        error[i] = 0
    for i in range(count.shape[0]):
        if i == target and count[i] == 0:
            error[i], any_error = 1, True
        elif i != target and count[i] > 0:
            error[i], any_error = -1, True
    return any_error


@compiled
def _back(w: Floats32, error: Floats32, count: Ints32, below: Floats32) -> None:
    """Errors of the layer below, gated by whether a unit fired in the window."""
    below[:] = 0
    for h in range(count.shape[0]):
        if count[h] > 0:
            total = float32(0.0)
            for i in range(w.shape[1]):
                total += w[h, i] * error[i]
            below[h] = total


@compiled
def _learn(w: Floats32, count: Ints32, error: Floats32, mu: float) -> None:
    """dw = mu * count of the input * error of the unit."""
    for j in range(count.shape[0]):
        if count[j] > 0:
            row, step = w[j], float32(mu * count[j])
            for i in range(row.shape[0]):
                row[i] += step * error[i]


@compiled
def _decide(totals: Ints, v: Floats32) -> int:
    """Unit with most spikes; of several the one with the highest membrane, then the first."""
    best = 0
    for i in range(1, totals.shape[0]):
        if totals[i] > totals[best] or (totals[i] == totals[best] and v[i] > v[best]):
            best = i
    return best


@compiled
def run(rates: Floats32, targets: Ints, keys: Words, weights: tuple[Floats32, ...], theta: Floats32, sizes: Ints,
        steps: int, eps: int, mu: Floats32, decisions: Ints, spikes: Ints) -> None:
    """Show images one after another, and learn after every window if `mu` is not empty.

    Parameters
    ----------
    rates : float32 array (images, inputs)
        Spikes per step, 0 to 1.
    targets : int64 array (images,)
    keys : uint64 array (images,)
        Of the phases of an image's spikes.
    weights : tuple of float32 arrays (inputs, padded units), changed in place
    theta, sizes : see the module
    steps, eps : int
        Length of an image and of a window; `steps` is a multiple of `eps`.
    mu : float32 array (images, layers)
        Learning rates; no images if nothing is to be learned.
    decisions : int64 array (images,)
        Set to the unit that each image was given to.
    spikes : int64 array (layers + 1,)
        Spikes of input and layers are added to it.
    """
    n_layers, widest = len(weights), sizes[0]
    for layer in range(n_layers):
        widest = max(widest, weights[layer].shape[1])
    trains = [(np.zeros((eps, widest), np.int32), np.zeros(eps, np.int64), np.zeros(widest, np.int32),
               np.zeros(1, np.int64)) for _ in range(n_layers + 1)]
    v, error = np.zeros((n_layers, widest), np.float32), np.zeros((n_layers, widest), np.float32)
    fired, counts = np.zeros((eps, widest), np.bool_), np.zeros((n_layers + 1, widest), np.int32)
    phases, steady = np.zeros(sizes[0], np.float32), np.zeros(widest, np.float32)
    totals = np.zeros(sizes[n_layers], np.int64)
    for image in range(rates.shape[0]):
        v[:], totals[:] = 0, 0
        draw_phases(keys[image], phases)
        for first in range(0, steps, eps):
            _regular(rates[image], phases, first, trains[0], counts[0])
            for layer in range(n_layers):
                w, above = weights[layer], layer + 1
                _integrate(trains[layer], w, v[layer, :w.shape[1]], theta[layer], steady, fired)
                _collect(fired, sizes[above], trains[above], counts[above])
            for layer in range(n_layers + 1):
                spikes[layer] += counts[layer].sum()
            answer = counts[n_layers, :sizes[n_layers]]
            totals += answer
            if mu.shape[0] and _errors(answer, targets[image], error[n_layers - 1]):
                for layer in range(n_layers - 1, 0, -1):
                    _back(weights[layer], error[layer], counts[layer, :sizes[layer]], error[layer - 1])
                for layer in range(n_layers):
                    w = weights[layer]
                    _learn(w, counts[layer, :sizes[layer]], error[layer, :w.shape[1]], mu[image, layer])
        decisions[image] = _decide(totals, v[n_layers - 1])
