"""Linear support vector machines, each one class against the rest, all at a time.

Minimised is ``|w|^2 / 2 + C sum(max(0, 1 - y (w x + b))^2)`` with b among the w, as in scikit-learn's ``LinearSVC``.
Its dual is solved a sample at a time: Hsieh et al. 2008, "A dual coordinate descent method for large-scale linear SVM",
doi 10.1145/1390156.1390208, algorithm 1 (L2 loss). A machine lets samples beyond its margin rest for a round.
The end is no number of rounds but a bound: what is minimised is known to lie within `GAP` of its least value, because
the dual's value lies below that. A seed decides the order of samples and so what is left of that gap.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from spikingconvnet.backends.local import native
from spikingconvnet.backends.local.layout import DOTS, STRIPES, aligned
from spikingconvnet.gates.progress import OfLength
from spikingconvnet.model.learning import Progress, tell
from spikingconvnet.network.arrays import AnyInts, Floats, Floats32, Ints, Ints32, Numbers

logger = logging.getLogger(__name__)

GAP = 1e-3              # between what is minimised and the dual, as a share of the former
PASSES = 5              # over the samples at the margins in a round, and more of few samples:
VISITS = 20_000         # of samples at least
ROUNDS = 12             # about how many there are
MOST_ROUNDS = 400
BLOCK = 128             # samples that become floats at a time


@dataclass(frozen=True, eq=False)
class Samples:
    """Samples as the kernels want them, and the scale of their features.

    Attributes
    ----------
    value : uint8, uint16 or float32 array (n, width)
        The features as they are, a 1 for the intercept, and zeros.
    scale : float64 array (width,)
        What each is to be multiplied by: :func:`scales` of the features, 1 of the intercept.
    size : float32 array (n,)
        Squared lengths of the scaled samples.
    """

    value: Numbers
    scale: Floats
    size: Floats32

    @classmethod
    def of(cls, counts: Numbers) -> "Samples":
        """Samples of an array (n, features), in the smallest type that holds them."""
        n, features = counts.shape
        kind = np.float32 if counts.dtype.kind != "u" or counts.itemsize > 2 else np.min_scalar_type(counts.max())
        value = np.zeros((n, -(-(features + 1) // (DOTS * STRIPES)) * DOTS * STRIPES), kind)
        value[:, :features], value[:, features] = counts, 1
        scale = np.zeros(value.shape[1])
        scale[:features], scale[features] = scales(counts), 1
        square = np.square(scale).astype(np.float32)
        size = np.concatenate([np.square(part, dtype=np.float32) @ square for part in blocks(value)])
        return cls(value, scale, size)


def scales(counts: Numbers) -> Floats:
    """One over the root mean square of each feature and over the root of their number: float64 (features,).

    0 for a feature that is always 0.
    """
    n, features = counts.shape
    power = sum(np.square(part, dtype=np.float64).sum(axis=0) for part in blocks(counts)) / n
    found: Floats = np.divide(1.0, np.sqrt(power * features), out=np.zeros(features), where=power > 0)
    return found


def blocks(counts: Numbers) -> Iterator[Numbers]:
    """The same array, `BLOCK` samples at a time."""
    return (counts[first:first + BLOCK] for first in range(0, len(counts), BLOCK))


class Descent:
    """Machines of some classes, on their way to the optimum.

    Parameters
    ----------
    samples : Samples
    own : int32 array (n,)
        Which machine stands for a sample's class; -1 for none of these.
    machines : int
        How many.
    C : float
    rng : numpy.random.Generator
    """

    def __init__(self, samples: Samples, own: Ints32, machines: int, C: float, rng: np.random.Generator) -> None:
        self.samples, self.own, self.C, self.rng = samples, own, C, rng
        n, width = samples.value.shape
        self.strength = min(C, 1.0)                # in units of which everything is: no C is too small or large
        self.weights, self._x = aligned((machines, width), np.float32), aligned(width, np.float32)
        self.square = aligned(width, np.float32)
        self.square[:] = np.square(samples.scale)
        self.alpha, self.active = np.zeros((n, machines), np.float32), np.ones((n, machines), bool)
        self.factors = np.array([self.strength, self.strength / C / 2], np.float32)
        self._kernels = native.or_else()

    def rounds(self) -> Iterator[float]:
        """Go on until the gap is closed: the largest of all machines after each round."""
        for number in range(MOST_ROUNDS):
            visited = np.flatnonzero(self.active.any(axis=1))
            for _ in range(max(PASSES, VISITS // len(visited)) if number else 1):
                self._pass(self.rng.permutation(visited))
            gap = self._look()
            yield gap
            if gap <= GAP:
                return
        logger.warning("svm: what is minimised is within %.2g of its least value only, after %d rounds; a smaller C "
                       "needs fewer", gap, MOST_ROUNDS)

    def _pass(self, order: Ints) -> None:
        self._kernels.svm_pass(order, self.samples.value, self.own, self.square, self.samples.size, self.factors,
                               self.active, self.weights, self.alpha, self._x)

    def _look(self) -> float:
        """How far the dual is below the primal, as a share of it; samples within a margin go on."""
        slacks = np.zeros(len(self.weights))
        self._kernels.svm_look(self.samples.value, self.own, self.factors, self.active, self.weights, self.alpha,
                               self._x, slacks)
        length = self.strength * np.square(self._scaled()).sum(axis=1)
        primal = length / 2 + max(self.C, 1.0) * slacks
        length += self.strength / self.C / 2 * np.square(self.alpha, dtype=np.float64).sum(axis=0)
        dual = self.alpha.sum(axis=0, dtype=np.float64) - length / 2
        return float(((primal - dual) / primal).max())

    def _scaled(self) -> Floats:
        """Weights of the scaled features and the intercepts: float64 (machines, width)."""
        weights: Floats = self.weights.astype(np.float64)
        np.divide(weights, self.samples.scale, out=weights, where=self.samples.scale > 0)
        return weights

    def coefficients(self, features: int) -> Floats:
        """On samples as they are: float64 (machines, features + 1), the intercepts last."""
        found: Floats = self.strength * self.weights[:, :features + 1].astype(np.float64)
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
    descent = Descent(Samples.of(counts), _places(labels, classes), len(classes), C, np.random.default_rng(seed))
    bar = progress(OfLength(descent.rounds(), ROUNDS))
    for gap in bar:
        tell(bar, gap=gap)
    return descent.coefficients(counts.shape[1])


def _places(labels: AnyInts, classes: AnyInts) -> Ints32:
    """Place of each label in `classes`, -1 for others: int32 array."""
    place = np.minimum(np.searchsorted(classes, labels), len(classes) - 1)
    return np.where(classes[place] == labels, place, -1).astype(np.int32)
