"""Readout: the last layer's spike counts into a linear support vector machine, or its units themselves, one a class.

A fitted readout is plain arrays; nothing is pickled.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.errors import DataError, require
from spikingconvnet.experiment import svm
from spikingconvnet.model.learning import OpenNetwork, Progress, ReadoutRule
from spikingconvnet.model.readouts import Classifier
from spikingconvnet.network.arrays import AnyInts, Floats, Ints, Ints32, Numbers, Pair
from spikingconvnet.network.geometry import grid_cells
from spikingconvnet.network.spikes import Spikes


def spike_counts(spikes: Spikes, grid: Pair) -> NDArray[np.uint16]:
    """Spikes per sample and grid cell: what the classifier sees.

    Parameters
    ----------
    spikes : Spikes
        Of the last layer, shape (C, H, W).
    grid : (rows, columns)
        Cells per map.

    Returns
    -------
    uint16 array (n_samples, C * rows * columns), cut at 65535
    """
    cells = spikes.shape[0] * grid[0] * grid[1]
    sample = np.repeat(np.arange(spikes.n_samples), np.diff(spikes.offsets[::spikes.n_steps]))
    flat = np.bincount(sample * cells + grid_cells(spikes.shape, grid)[spikes.neurons],
                       minlength=spikes.n_samples * cells)
    return np.minimum(flat, 65535).astype(np.uint16).reshape(spikes.n_samples, cells)


def smallest(counts: Numbers) -> Numbers:
    """The same counts as bytes, if all fit into them: what is joined takes half of the memory then."""
    return counts.astype(np.uint8) if counts.dtype.kind == "u" and counts.max(initial=0) < 256 else counts


def by_spike_count(spikes: Spikes, window: Pair, v: Ints32 | None = None) -> tuple[NDArray[np.uint16], Floats]:
    """The unit that has fired most at every step of the window.

    Parameters
    ----------
    spikes : Spikes
        Of the output units, shape (units, 1, 1).
    window : (first, last)
        Spikes of the steps ``first .. last - 1`` of a sample count.
    v : int array (n_samples * n_steps, units) or None
        Membranes before each step, raw s16.15, in which ties are decided at the end of the window; in the lowest unit
        without.

    Returns
    -------
    units : uint16 array (n_samples, last - first)
        In column t the answer if the window ended behind step ``first + t``.
    counts : float64 array (n_samples, units)
        Spikes in the whole window.
    """
    first, last = window
    fired = spikes.raster().reshape(spikes.n_samples, spikes.n_steps, -1)[:, first:last]
    counts = np.cumsum(fired, axis=1, dtype=np.int64)
    score = counts
    if v is not None:
        at = np.minimum(np.arange(first + 1, last + 1), spikes.n_steps - 1)
        score = (counts << 33) + v.reshape(spikes.n_samples, spikes.n_steps, -1)[:, at]
    return np.argmax(score, axis=2).astype(np.uint16), counts[:, -1].astype(np.float64)


def by_first_spike(spikes: Spikes) -> tuple[Ints, Ints]:
    """The unit that fires first in each sample, the lowest of several, see ``model.head``.

    Spikes in step 0 are not looked at: they belong to the clock's last tick for the sample before.

    Parameters
    ----------
    spikes : Spikes
        Of the units, shape (units, 1, 1).

    Returns
    -------
    units, steps : int arrays (n_samples,)
        Of that spike; -1 where no unit has fired.
    """
    sample, unit, step = spikes.events()
    inside = np.flatnonzero(step)
    answered, at = np.unique(sample[inside], return_index=True)
    found = np.full((2, spikes.n_samples), -1)
    found[:, answered] = unit[inside[at]], step[inside[at]]
    return found[0], found[1]


def by_membrane(v: Ints32, n_steps: int, window: Pair) -> tuple[NDArray[np.uint16], Floats]:
    """The unit with the highest mean membrane at every step of the window.

    Parameters
    ----------
    v : int array (n_samples * n_steps, units)
        Membranes before each step, raw s16.15.
    n_steps : int
    window : (first, last)

    Returns
    -------
    units : uint16 array (n_samples, last - first)
        As of :func:`by_spike_count`.
    means : float64 array (n_samples, units)
        mV.
    """
    first, last = window
    total = np.cumsum(v.reshape(-1, n_steps, v.shape[1])[:, first:last], axis=1, dtype=np.int64)
    return np.argmax(total, axis=2).astype(np.uint16), total[:, -1] / (32768.0 * (last - first))


@dataclass(frozen=True, eq=False)
class Readout:
    """A fitted linear classifier.

    Attributes
    ----------
    classes : int array (n_classes,)
    coefficients : float64 array (n_classes, features)
        On counts as they are; the scaling of the fit is already in them.
    intercepts : float64 array (n_classes,)
    """

    classes: AnyInts
    coefficients: Floats
    intercepts: Floats

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Numbers]) -> "Readout":
        """The Readout that a file holds: dict of str to array, others left alone."""
        return cls(*(arrays[field.name] for field in fields(cls)))

    def decision(self, counts: Numbers) -> Floats:
        """Margins: float64 array (n_samples, n_classes); counts of another number of features are a DataError."""
        require(counts.shape[1] == self.coefficients.shape[1], "Readout", "counts", counts.shape,
                f"(samples, {self.coefficients.shape[1]})", DataError)
        margins: Floats = np.concatenate([part.astype(np.float64) @ self.coefficients.T for part in svm.blocks(counts)]
                                         or [np.zeros((0, len(self.classes)))])
        return margins + self.intercepts

    def predict(self, counts: Numbers) -> AnyInts:
        """Class of each sample: array (n_samples,) of values of `classes`."""
        answers: AnyInts = self.classes[np.argmax(self.decision(counts), axis=1)]
        return answers

    def near_margin(self, counts: Numbers, labels: AnyInts) -> Ints:
        """Samples on the wrong side of a margin of any class, the support vectors: int array of their indices.

        Copies of others would change nothing (Schoelkopf, Burges and Vapnik 1996, doi 10.1007/3-540-61510-5_12).
        """
        side = np.where(np.asarray(labels)[:, None] == self.classes, 1.0, -1.0)
        return np.flatnonzero((side * self.decision(counts) < 1.0).any(axis=1))


def fit(counts: Numbers, labels: AnyInts, C: float = 1.0, seed: int = 0, progress: Progress = iter) -> Readout:
    """Fit a Readout: linear support vector machines, one class against the rest, squared hinge; see ``svm.py``.

    Every feature is divided by its root mean square and by the root of the number of features, so that a sample has a
    length of about 1 and one value of `C` suits few and many features. Features that never fire get no weight.

    Parameters
    ----------
    counts : array (n_samples, features), spike counts
    labels : int array (n_samples,)
    C : float
        As in scikit-learn's ``LinearSVC``.
    seed : int
    progress : callable
        Wraps the rounds of the descent.

    Returns
    -------
    Readout

    Raises
    ------
    DataError
        Labels of fewer than two classes.
    """
    classes = np.unique(labels)
    require(len(classes) >= 2, "Readout", "labels", classes.tolist(), "of at least two classes", DataError)
    asked = classes if len(classes) > 2 else classes[1:]            # of two classes one is the other's opposite
    found = svm.machines(counts, labels, asked, C, seed, progress)
    found = found if len(classes) > 2 else np.concatenate([-found, found])
    return Readout(classes, found[:, :-1], found[:, -1])


def fitter(classifier: Classifier, seed: int, progress: Callable[..., Iterable[Any]],
           open_network: OpenNetwork) -> Callable[[Numbers, AnyInts], Readout]:
    """What fits a Classifier: a function of counts and labels, as :func:`fit`.

    Parameters
    ----------
    classifier : model.readouts.Classifier
    seed : int
    progress : callable
        ``progress(iterable, description)`` wraps long loops.
    open_network : callable
        ``open`` of a backend, for rules that learn in a simulator.
    """
    if classifier.learn is None:
        return partial(fit, C=classifier.C, seed=seed, progress=partial(progress, description="svm: rounds"))
    return partial(_learned, classifier.learn, seed=seed, open_network=open_network,
                   progress=partial(progress, description=f"{classifier.learn.name}: epochs"))


def _learned(rule: ReadoutRule, counts: Numbers, labels: AnyInts, seed: int, open_network: OpenNetwork,
             progress: Progress) -> Readout:
    """What a rule has learned; labels of fewer than two classes are a DataError."""
    classes, units = np.unique(labels, return_inverse=True)
    require(len(classes) >= 2, "Readout", "labels", classes.tolist(), "of at least two classes", DataError)
    rng = np.random.default_rng([seed, 3])
    return Readout(classes, *rule.train(counts, units, len(classes), rng, open_network, progress))


@dataclass(frozen=True, eq=False)
class Score:
    """How predictions compare with the truth.

    Attributes
    ----------
    classes : int array (n,)
    confusion : int64 array (n, n)
        Row: true class, column: predicted.
    by_half : tuple of two floats
        Accuracy on the first and on the second half of the samples in their order, 0 to 1; nan without samples.
    """

    classes: AnyInts
    confusion: Ints
    by_half: tuple[float, ...]

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, 0 to 1; nan without samples."""
        return float(np.trace(self.confusion) / self.confusion.sum()) if self.confusion.any() else float("nan")

    @property
    def recall(self) -> Floats:
        """Per class, the share of its samples that were recognised: float array (n,); nan without samples."""
        return _share(self.confusion, axis=1)

    @property
    def precision(self) -> Floats:
        """Per class, the share of its predictions that were right: float array (n,); nan without predictions."""
        return _share(self.confusion, axis=0)

    def entry(self, split: str) -> dict[str, Any]:
        """What ``results.json`` holds of it for the images of a split: dict, with None for nan."""
        return {"split": split, "accuracy": _none(self.accuracy), "accuracy_by_half": list(map(_none, self.by_half)),
                f"n_{split}": int(self.confusion.sum()), "classes": self.classes.tolist(),
                "recall": list(map(_none, self.recall.tolist())),
                "precision": list(map(_none, self.precision.tolist())), "confusion": self.confusion.tolist()}


def score(predicted: AnyInts, labels: AnyInts) -> Score:
    """Compare predictions with labels: Score over every class in either; unequal numbers of them are a DataError."""
    require(len(predicted) == len(labels), "Score", "predicted", len(predicted), f"as many as labels ({len(labels)})",
            DataError)
    classes, index = np.unique(np.concatenate([labels, predicted]), return_inverse=True)
    truth, guess = np.split(index, 2)
    confusion = np.bincount(truth * len(classes) + guess, minlength=len(classes) ** 2)
    halves = np.array_split(truth == guess, 2)
    return Score(classes, confusion.reshape(len(classes), len(classes)),
                 tuple(float(half.mean()) if len(half) else float("nan") for half in halves))


def _none(share: float) -> float | None:
    return None if np.isnan(share) else share


def _share(confusion: Ints, axis: int) -> Floats:
    total, share = confusion.sum(axis=axis), np.full(len(confusion), np.nan)
    np.divide(np.diag(confusion), total, out=share, where=total > 0)
    return share
