"""S2-STDP's inner loops in numba: samples one after another through a layer of units that fire once.

Nothing is checked here; ``first_spike.py`` prepares the arrays. `times`: the step in which each input fires, `limit` of
none. `weights`: float32 (units, inputs), each row of the same sum. `work`: the arrays of ``FirstSpikes.workspace``,
``order`` (inputs that fire, the earliest first), ``ends`` (how many of them fire up to each step), ``fired`` (step of
each unit's spike, `limit` of none), ``membranes`` (those that it had then, or at last) and ``leaders`` (the unit of
each class that fires first).
"""

from typing import TypeAlias

from numba import float32, int64

from spikingconvnet.backends.local.kernels import compiled
from spikingconvnet.network.arrays import Counts16, Floats32, Ints

Work: TypeAlias = tuple[Ints, Ints, Ints, Floats32, Ints]


@compiled
def sort(times: Counts16, limit: int, order: Ints, ends: Ints) -> None:
    """Inputs by the step in which they fire."""
    ends[:] = 0
    for i in range(times.shape[0]):
        if times[i] < limit:
            ends[times[i] + 1] += 1
    for step in range(limit):
        ends[step + 1] += ends[step]
    for i in range(times.shape[0]):
        if times[i] < limit:
            order[ends[times[i]]] = i
            ends[times[i]] += 1         # at last it is where the next step begins


@compiled
def fire(times: Counts16, weights: Floats32, threshold: float, limit: int, work: Work) -> None:
    """One sample: `fired` and `membranes`."""
    order, ends, fired, membranes, _ = work
    sort(times, limit, order, ends)
    for u in range(weights.shape[0]):
        membrane, step, at = float32(0.0), 0, 0
        while step < limit:
            while at < ends[step]:
                membrane += weights[u, order[at]]
                at += 1
            if membrane >= threshold:
                break
            step += 1
        fired[u], membranes[u] = step, membrane


@compiled
def earlier(a: int, b: int, fired: Ints, membranes: Floats32) -> bool:
    """Whether unit a fires before b; in the same step the higher one, or the lower index."""
    if fired[a] != fired[b]:
        return bool(fired[a] < fired[b])
    return bool(membranes[a] > membranes[b] or (membranes[a] == membranes[b] and a < b))


@compiled
def correct(unit: int, error: float, weights: Floats32, limit: int, total: float, plus: float, minus: float,
            work: Work) -> None:
    """STDP of one unit, times its error; where that is negative, with the opposite sign. The sum of weights stays."""
    order, ends, fired, _, _ = work
    before = ends[fired[unit]] if fired[unit] < limit else ends[limit - 1]
    up, down, grown = float32(error * plus), float32(error * minus), float32(0.0)
    for at in range(ends[limit - 1]):
        old = weights[unit, order[at]]
        new = min(max(old + up if at < before else old - down, float32(0.0)), float32(1.0))
        weights[unit, order[at]] = new
        grown += new - old
    scale = float32(total / (total + grown))
    for i in range(weights.shape[1]):
        weights[unit, i] *= scale


@compiled
def lead(classes: int, each: int, work: Work) -> int:
    """Have `leaders`, and the class whose last unit fires first."""
    _, _, fired, membranes, leaders = work
    best = int64(each - 1)
    for c in range(classes):
        own = (c + 1) * each - 1
        leaders[c] = own
        for u in range(c * each, own):
            leaders[c] = u if earlier(u, leaders[c], fired, membranes) else leaders[c]
        best = own if earlier(own, best, fired, membranes) else best
    return best // each


@compiled
def epoch(times: Counts16, labels: Ints, samples: Ints, weights: Floats32, threshold: float, limit: int, each: int,
          amounts: Floats32, work: Work) -> int:
    """Show samples and correct each class's leader by `amounts`, the gap, and for inputs before and behind its spike.

    How many samples were answered wrongly.
    """
    _, _, fired, _, leaders = work
    gap, plus, minus = amounts
    classes, wrong, total = weights.shape[0] // each, 0, weights[0].sum()
    others = gap / classes
    for n in samples:
        fire(times[n], weights, threshold, limit, work)
        wrong += lead(classes, each, work) != labels[n]
        summed, answered = int64(0), int64(0)
        for c in range(classes):
            if fired[leaders[c]] < limit:
                summed += fired[leaders[c]]
                answered += 1
        base = min(summed / answered if answered else float(limit), limit - others)
        for c in range(classes):
            aims = leaders[c] == (labels[n] + 1) * each - 1
            error = (fired[leaders[c]] - (base - gap + others if aims else base + others)) / limit
            correct(leaders[c], error, weights, limit, total, plus, minus, work)
    return wrong


@compiled
def answers(times: Counts16, weights: Floats32, threshold: float, limit: int, each: int, work: Work,
            found: Ints) -> None:
    """Class whose last unit fires first, of each sample, into `found`."""
    for n in range(times.shape[0]):
        fire(times[n], weights, threshold, limit, work)
        found[n] = lead(weights.shape[0] // each, each, work)
