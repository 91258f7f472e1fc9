"""The course of a training and its health."""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.model.trained import TrainedLayer

DUPLICATE = 0.95            # cosine of two centred kernels from which they count as the same


@dataclass(frozen=True, eq=False)
class Course:
    """What a training run recorded about itself, chunk by chunk.

    Attributes
    ----------
    wins : int array (chunks, 3)
        Windows in which no, one, or several neurons fired.
    thresholds : float array (chunks, filters)
        In force during the chunk, mV.
    mean_weight : float array (chunks,)
        At its end, nA.
    """

    wins: np.ndarray
    thresholds: np.ndarray
    mean_weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Trained:
    """A layer trained by itself, whatever rule found its kernels.

    Attributes
    ----------
    initial, learned : float arrays (filters, channels, rows, columns)
        Kernels before and after, in the rule's own units: nA of STDP.
    inference : TrainedLayer
        Kernels and thresholds for inference.
    health : dict of str to float
        For the user to judge the training; that of STDP is :func:`health`.
    course : Course or None
        None of a rule without chunks becomes an empty one.
    """

    initial: np.ndarray
    learned: np.ndarray
    inference: TrainedLayer
    health: dict
    course: Course | None = None

    def __post_init__(self):
        if self.course is None:
            nothing = Course(np.zeros((0, 3), int), np.zeros((0, len(self.learned))), np.zeros(0))
            object.__setattr__(self, "course", nothing)

    def arrays(self):
        """Itself as arrays for a file, its health left out: dict of str to array."""
        return {"initial": self.initial, "learned": self.learned, **self.inference.arrays(), **vars(self.course)}


def health(bounds, learned, course):
    """Whether the layer has learned well; accuracy alone does not tell.

    Parameters
    ----------
    bounds : record of ``plasticity``
        With `w_min` and `w_max`, nA.
    learned : float array (filters, channels, rows, columns)
    course : Course

    Returns
    -------
    dict of str to float
        ``wins_per_window``, ``silent_windows`` and ``contested_windows`` (shares, over the last quarter of the chunks;
        a window with more than two winners counts as two wins), ``duplicate_pairs``, ``mean_weight`` (nA), ``at_lower``
        and ``at_upper`` (shares of weights at their bounds).
    """
    late = course.wins[-max(1, len(course.wins) // 4):].sum(axis=0)
    return {"wins_per_window": float((late * [0, 1, 2]).sum() / late.sum()),
            "silent_windows": float(late[0] / late.sum()),
            "contested_windows": float(late[2] / late.sum()), **weight_health(bounds, learned)}


def weight_health(bounds, learned):
    """The part of :func:`health` that kernels and their bounds tell, whatever rule found them."""
    step = 1e-3 * (bounds.w_max - bounds.w_min)
    return {**kernel_health(learned),
            "at_lower": float(np.mean(learned <= bounds.w_min + step)),
            "at_upper": float(np.mean(learned >= bounds.w_max - step))}


def kernel_health(learned):
    """The part of :func:`health` that kernels alone tell: ``duplicate_pairs`` and ``mean_weight``."""
    flat = learned.reshape(len(learned), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    pairs = np.triu(unit @ unit.T > DUPLICATE, k=1)
    return {"duplicate_pairs": float(pairs.sum()), "mean_weight": float(learned.mean())}
