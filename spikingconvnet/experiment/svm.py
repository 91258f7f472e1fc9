"""Linear support vector machines, each one class against the rest, all at a time.

Minimised is ``|w|^2 / 2 + C sum(max(0, 1 - y (w x + b))^2)`` with b among the w, as in scikit-learn's ``LinearSVC``.
Its dual is solved a sample at a time: Hsieh et al. 2008, "A dual coordinate descent method for large-scale linear SVM",
doi 10.1145/1390156.1390208, algorithm 1 (L2 loss). Samples that are beyond the margin of every class rest for a round.
The end is no number of rounds but a bound: what is minimised is known to lie within `GAP` of its least value, because
the dual's value lies below that. A seed decides the order of samples and so what is left of that gap.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikingconvnet.backends.local import native
from spikingconvnet.backends.local.layout import LANES
from spikingconvnet.gates.progress import OfLength
from spikingconvnet.model.learning import Progress, tell
from spikingconvnet.network.arrays import AnyInts, Counts16, Floats, Floats32, Ids, Ints, Ints32, Numbers

logger = logging.getLogger(__name__)

GAP = 1e-3              # between what is minimised and the dual, as a share of the former
PASSES = 5              # over the samples at the margins in a round, and more of few samples:
VISITS = 20_000         # of samples at least
ROUNDS = 12             # about how many there are
MOST_ROUNDS = 400
BLOCK = 2000            # samples handled at a time


@dataclass(frozen=True, eq=False)
class Rows:
    """Samples without their zeros, and the scale of their features.

    Attributes
    ----------
    start : int64 array (n + 1,)
        Where each sample begins in the next two.
    feature : uint16 or uint32 array
    value : uint16 or float32 array
    scale : float64 array (features,)
        One over the root mean square of each and over the root of their number; 0 for what is always 0.
    size : float32 array (n,)
        Squared lengths of the scaled samples, with an intercept of 1.
    """

    start: Ints
    feature: Ids
    value: Counts16 | Floats32
    scale: Floats
    size: Floats32

    @classmethod
    def of(cls, counts: Numbers) -> "Rows":
        """Rows of an array (n, features), taken block by block so that no dense copy of it ever exists."""
        n, features = counts.shape
        power = sum(np.square(part, dtype=np.float64).sum(axis=0) for part in blocks(counts)) / n
        scale = np.divide(1.0, np.sqrt(power * features), out=np.zeros(features), where=power > 0)
        start = np.cumsum([0, *(number for part in blocks(counts) for number in np.count_nonzero(part, axis=1))])
        feature = np.empty(start[-1], np.uint16 if features <= 1 << 16 else np.uint32)
        value = np.empty(start[-1], np.uint16 if counts.dtype in (np.uint8, np.uint16) else np.float32)
        size, square = np.empty(n, np.float32), scale * scale
        for first, part in zip(range(0, n, BLOCK), blocks(counts)):
            place, chunk = np.flatnonzero(part), slice(start[first], start[min(first + BLOCK, n)])
            feature[chunk], value[chunk] = place % max(features, 1), part.ravel()[place]
            size[first:first + BLOCK] = np.square(part, dtype=np.float64) @ square + 1
        return cls(start, feature, value, scale, size)


def blocks(counts: Numbers) -> Iterator[Numbers]:
    """The same array, `BLOCK` samples at a time."""
    return (counts[first:first + BLOCK] for first in range(0, len(counts), BLOCK))


class Descent:
    """Machines of up to `LANES` classes, on their way to the optimum.

    Parameters
    ----------
    rows : Rows
    own : int32 array (n,)
        Which machine stands for a sample's class; -1 for none of these.
    lanes : int
        Machines.
    C : float
    rng : numpy.random.Generator
    """

    def __init__(self, rows: Rows, own: Ints32, lanes: int, C: float, rng: np.random.Generator) -> None:
        self.rows, self.own, self.lanes, self.C, self.rng = rows, own, lanes, C, rng
        n, features = len(own), len(rows.scale)
        self.strength = min(C, 1.0)                # in units of which everything is: no C is too small or large
        self.weights, self.alpha = (np.zeros((size, LANES), np.float32) for size in (features + 1, n))
        self.scores = np.empty((n, LANES), np.float32)
        self.at_margin = np.arange(n)
        self._kernels = native.or_else()

    def rounds(self) -> Iterator[float]:
        """Go on until the gap is closed: the largest of all machines after each round."""
        for number in range(MOST_ROUNDS):
            for _ in range(max(PASSES, VISITS // len(self.at_margin)) if number else 1):
                self._pass(self.rng.permutation(self.at_margin))
            gap = self._look()
            yield gap
            if gap <= GAP:
                return
        logger.warning("svm: what is minimised is within %.2g of its least value only, after %d rounds; a smaller C "
                       "needs fewer", gap, MOST_ROUNDS)

    def _pass(self, order: Ints) -> None:
        rows, square = self.rows, np.square(self.rows.scale).astype(np.float32)
        factors = np.array([self.strength, self.strength / self.C / 2], np.float32)
        self._kernels.svm_pass(order, rows.start, rows.feature, rows.value, self.own, square, rows.size, factors,
                               self.lanes, self.weights, self.alpha)

    def _look(self) -> float:
        """How far the dual is below the primal, as a share of it; samples within a margin go on."""
        rows, lanes = self.rows, slice(self.lanes)
        self._kernels.svm_scores(rows.start, rows.feature, rows.value, self.weights, self.scores)
        side = np.where(self.own[:, None] == np.arange(self.lanes), np.float32(1), np.float32(-1))
        slack = np.maximum(0, 1 - np.float32(self.strength) * side * self.scores[:, lanes])
        alpha = self.alpha[:, lanes]
        length = self.strength * np.square(self._scaled()).sum(axis=0)
        primal = length / 2 + max(self.C, 1.0) * np.square(slack, dtype=np.float64).sum(axis=0)
        length += self.strength / self.C / 2 * np.square(alpha, dtype=np.float64).sum(axis=0)
        dual = alpha.sum(axis=0, dtype=np.float64) - length / 2
        self.at_margin = np.flatnonzero(((slack > 0) | (alpha > 0)).any(axis=1))
        return float(((primal - dual) / primal).max())

    def _scaled(self) -> Floats:
        """Weights of the scaled features and the intercepts: float64 (features + 1, lanes)."""
        scale = np.append(self.rows.scale, 1.0)[:, None]
        weights: Floats = self.weights[:, :self.lanes].astype(np.float64)
        np.divide(weights, scale, out=weights, where=scale > 0)
        return weights

    def coefficients(self) -> Floats:
        """On samples as they are: float64 (lanes, features + 1), the intercepts last."""
        found: Floats = self.strength * self.weights[:, :self.lanes].T.astype(np.float64)
        return found


def machines(counts: Numbers, labels: AnyInts, classes: AnyInts, C: float, seed: int = 0,
             progress: Progress = iter) -> Floats:
    """Machines of some classes, each against all that are not of it.

    Parameters
    ----------
    counts : array (n, features)
        At least 0.
    labels : int array (n,)
    classes : int array (machines,)
    C : float
        How much a sample on the wrong side of a margin weighs.
    seed : int
    progress : callable
        Wraps the rounds.

    Returns
    -------
    float64 array (machines, features + 1)
        Coefficients of the features as they are, and of the intercept.
    """
    rows, rng = Rows.of(counts), np.random.default_rng(seed)
    parts = [classes[first:first + LANES] for first in range(0, len(classes), LANES)]
    descents = [Descent(rows, _places(labels, part), len(part), C, rng) for part in parts]
    bar = progress(OfLength((gap for one in descents for gap in one.rounds()), ROUNDS * len(parts)))
    for gap in bar:
        tell(bar, gap=gap)
    return np.concatenate([one.coefficients() for one in descents])


def _places(labels: AnyInts, classes: AnyInts) -> Ints32:
    """Place of each label in `classes`, -1 for others: int32 array."""
    place = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    return np.where(classes[place] == labels, place, -1).astype(np.int32)
