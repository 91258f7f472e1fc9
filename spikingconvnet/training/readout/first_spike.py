"""S2-STDP and paired competing neurons, at the desk: a readout that learns when its units are to fire first.

Units integrate without a leak, and fire once. An input has a weight from 0 to 1. What answers is the unit that fires
first. After a sample every unit has an error, which is its firing time beside the one that it ought to have: somewhat
before the average of the layer if the sample is of its class, somewhat behind otherwise. The error scales a step of
STDP: what came before the unit's spike grows and what came after it shrinks, or the other way around if it was early.

With pairs there are two units a class. The one of them that fires first keeps the other from firing, and learns alone.
One of the two aims at samples of its class, and answers; the other one is to be behind the average whatever is shown.

No binary of a board multiplies STDP by an error of each unit. These are no linear machines of counts either, so the
rule is no ``Classifier(learn=...)``: it is here for comparison, see docs/readout.md.

Sources: Goupy, Tirilly and Bilasco 2024, Front Neurosci 18, 1401690 (the rule and the pairs); Goupy, Tirilly and
Bilasco 2024, NeurIPS, arXiv 2410.17066 (who learns, and who is asked).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikingconvnet.gates.fields import FLAG, POSITIVE, SIZE, check_fields, whole
from spikingconvnet.model.learning import Progress, tell
from spikingconvnet.network.arrays import Counts16, Floats32, Ints, Numbers
from spikingconvnet.training.readout import first_spike_kernels as kernels

MOST_STEPS = 4096
SPREAD = 0.01           # of the weights, which begin around 0.5


@dataclass(frozen=True)
class S2STDP:
    """Settings of the rule; those that cannot be used are a SettingsError.

    Attributes
    ----------
    paired : bool
        Whether each class has two units that compete.
    gap : float
        Steps between the firing times at which the unit of the label and the others aim.
    plus, minus : float
        What a weight changes by at an error of the whole window: of inputs before and behind the unit's spike.
    fade : float
        Times which both are taken from epoch to epoch.
    epochs : int
    firing : float
        Threshold, as a share of what all inputs of a training image bring at first, on average.
    """

    paired: bool = True
    gap: float = 8.0
    plus: float = 0.2
    minus: float = 0.02
    fade: float = 0.6
    epochs: int = 6
    firing: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self, paired=FLAG, gap=POSITIVE, plus=POSITIVE, minus=POSITIVE, fade=POSITIVE, epochs=SIZE,
                     firing=POSITIVE)

    @property
    def each(self) -> int:
        """Units of a class; the last of them answers."""
        return 1 + self.paired

    def taught(self, times: Counts16, labels: Ints, limit: int, rng: np.random.Generator,
               progress: Progress = iter) -> "FirstSpikes":
        """What it has learned: FirstSpikes.

        Parameters
        ----------
        times : uint16 array (n, inputs)
            Step in which each input fires, `limit` for none, see :func:`latencies`.
        labels : int array (n,)
            From 0 on.
        limit : int
        rng : numpy.random.Generator
        progress : callable
            Wraps the epochs.

        Raises
        ------
        SettingsError
            A limit of no steps, or of too many.
        """
        whole(1, MOST_STEPS)(limit, "S2STDP.taught", "limit")
        classes, inputs = int(labels.max()) + 1, times.shape[1]
        weights = np.clip(rng.normal(0.5, SPREAD, (classes * self.each, inputs)), 0, 1)
        weights = (weights * (inputs / 2 / weights.sum(axis=1, keepdims=True))).astype(np.float32)
        threshold = self.firing / 2 * float(np.mean(np.sum(times < limit, axis=1)))
        made = FirstSpikes(weights, threshold, limit, self.each)
        steps: Sequence[int] = range(self.epochs)
        for i in (epochs := progress(steps)):
            amounts = np.array([self.gap, self.plus * self.fade ** i, self.minus * self.fade ** i])
            wrong = kernels.epoch(times, labels, rng.permutation(len(times)), weights, threshold, limit, self.each,
                                  amounts, made.workspace())
            tell(epochs, wrong=wrong / len(times))
        return made


@dataclass(frozen=True, eq=False)
class FirstSpikes:
    """Units that answer with their first spike.

    Attributes
    ----------
    weights : float32 array (units, inputs)
        From 0 on, each row of the same sum; units of a class stand side by side.
    threshold : float
    limit : int
        Steps of a sample.
    each : int
        Units of a class, the last of which answers.
    """

    weights: Floats32
    threshold: float
    limit: int
    each: int

    def answers(self, times: Counts16) -> Ints:
        """Class of each sample, from 0 on: int array (n,); of units in one step the highest membrane counts."""
        found = np.zeros(len(times), np.int64)
        kernels.answers(times, self.weights, self.threshold, self.limit, self.each, self.workspace(), found)
        return found

    def workspace(self) -> kernels.Work:
        """Arrays that the kernels work in."""
        units, inputs = self.weights.shape
        return (np.zeros(inputs, np.int64), np.zeros(self.limit + 1, np.int64), np.zeros(units, np.int64),
                np.zeros(units, np.float32), np.zeros(units, np.int64))


def latencies(counts: Numbers, limit: int, largest: int) -> Counts16:
    """Counts as spikes, the more the earlier: uint16 array as `counts`; a cell without any does not fire.

    Parameters
    ----------
    counts : array (n, cells)
    limit : int
        Steps of a sample.
    largest : int
        Count, and all above, that fires in step 0.

    >>> latencies(np.array([[0, 1, 2, 4, 9]]), 8, 4).tolist()
    [[8, 6, 4, 0, 0]]
    """
    of_count = limit - np.arange(largest + 1) * limit // largest
    return of_count.astype(np.uint16)[np.minimum(counts, largest)]
