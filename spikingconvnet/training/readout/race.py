"""From a fitted linear classifier to units that answer with their first spike, see ``model.head``.

Whatever is chosen here is chosen on training images: when the units may be asked, where their threshold lies, and the
levels that the clock lifts them by. Two units that cross the threshold in the same step are a tie, which no spike can
decide, so levels lie where the fewest training images would end in one.
"""

import numpy as np

from spikingconvnet.board.fixed_point import leak
from spikingconvnet.errors import SettingsError
from spikingconvnet.model.head import NEURON, Head
from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain.balance import gain

ARRIVED = 0.999         # share of the spikes that have arrived when the first unit may answer
FEWEST = 4              # ticks
GRID = 256              # places at which a level may lie
ROOM = 1.25             # above the highest membrane that training images reach before the clock, and below the lowest
PRIOR = 1e-3            # of the images, the pairs as if from anywhere
ASKED = 7.9             # nA, of the ring buffer; just below 8 nA, it then holds
HELD = 15.9             # nA
SPIKES, TICK = 1.6, 1.05        # times what training images bring in a step, and what the clock does, that are held


def fitted(coefficients: Floats, intercepts: Floats, cells: Ints, spikes: Spikes, margins: Floats) -> Head:
    """The units of a linear classifier: Head.

    Parameters
    ----------
    coefficients : float array (classes, features)
    intercepts : float array (classes,)
    cells : int array (neurons,)
        Feature that each neuron of the last layer is counted in.
    spikes : Spikes
        Of that layer, for some training images, gap included.
    margins : float array (n, classes)
        Of training images.

    Raises
    ------
    SettingsError
        The layer fires until too late in an image.
    """
    weights = coefficients[:, cells]
    first, leaks = _first(spikes), leak(np.array([NEURON.tau_m]), 1.0)[0]
    rise, fall = (_inputs(spikes, np.maximum(sign * weights, 0.0)) for sign in (1, -1))
    before = np.cumsum((rise - fall).reshape(-1, spikes.n_steps, len(weights)), axis=1)[:, :first - 1]
    cuts = levels(margins, spikes.n_steps - first)
    threshold = ROOM * max(before.max(initial=0.0), abs(cuts).max())
    last = max(ROOM * threshold, (cuts[-1] - ROOM * min(margins.min(), 0.0)) / 2)
    lifts = np.concatenate([[threshold - cuts[0]], leaks * threshold - np.diff(cuts), [last, last]])
    clock = np.tile(lifts, (len(weights), 1))
    clock[:, 0] += intercepts
    scale = HELD / max(SPIKES * rise.max(), SPIKES * fall.max(), TICK * abs(clock).max())
    return Head(scale * weights.reshape(-1, *spikes.shape), scale * clock, np.array(first),
                np.array(scale * gain(NEURON) * threshold), np.array(ASKED))


def _first(spikes: Spikes) -> int:
    """The step from which units may answer: by then nearly all spikes of an image have arrived."""
    fired = np.cumsum(np.diff(spikes.offsets).reshape(-1, spikes.n_steps).sum(axis=0))
    first = int(np.argmax(fired >= ARRIVED * fired[-1])) + 2
    if spikes.n_steps - first < FEWEST:
        raise SettingsError(f"SLOT: leaves {max(spikes.n_steps - first, 0)} of {spikes.n_steps} steps behind the last"
                            f" layer's spikes, in which units can answer (Classifier.on_board); set SLOT to at least"
                            f" {first + FEWEST}")
    return first


def _inputs(spikes: Spikes, weights: Floats) -> Floats:
    """What reaches the units in each step, one late, as it is fired: float array (steps, classes)."""
    steps, count = spikes.steps(), len(spikes.offsets) - 1
    return np.stack([np.bincount(steps, one[spikes.neurons], count) for one in weights], axis=1)


def levels(margins: Floats, ticks: int) -> Floats:
    """Levels, from the highest on, that tell the best unit from the second one in as many images as possible.

    Parameters
    ----------
    margins : float array (n, classes)
    ticks : int
        One more than levels: with the last one all answer that are below the lowest level.

    Returns
    -------
    float array (ticks - 1,)
    """
    second, best = np.partition(margins, -2, axis=1)[:, -2:].T
    low, high = sorted((float(best.min()), float(second.max())))
    edges = np.linspace(low, high + 1e-6 * (abs(high) + 1.0), GRID)
    tied = _tied(*(np.searchsorted(edges, one, "right") for one in (second, best)))
    cost, ways = tied[:, -1], []        # of all above an edge, with as many levels in it as there are ways
    for _ in range(ticks - 1):
        through = np.roll(tied, 1, axis=1) + cost
        through[np.tril_indices(GRID + 1)] = np.inf
        ways.append(np.argmin(through, axis=1))
        cost = np.min(through, axis=1)
    at, found = 0, []
    for way in reversed(ways):
        at = int(way[at])
        found.append(edges[at - 1])
    return np.array(found[::-1])


def _tied(second: Ints, best: Ints) -> Floats:
    """Ties if units that have reached edge i (0: none), and not edge j + 1, answer together: [i, j].

    A little more for wide gaps, as if a few pairs lay everywhere, so that few images do not decide alone.
    """
    count = np.zeros((GRID + 1, GRID + 1))
    np.add.at(count, (second, best), 1)
    edge = np.arange(GRID + 1)
    width = np.maximum(edge[None, :] + 1 - edge[:, None], 0) / GRID
    return count[::-1].cumsum(axis=0)[::-1].cumsum(axis=1) + PRIOR * len(best) * width ** 2
