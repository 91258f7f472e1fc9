"""A readout that corrects its errors in whole numbers, as a board can: probe, compare with a margin, reward or punish.

One unit a class. A sample is shown and every unit is probed. The unit of the label that is not above the margin is
rewarded: each of its weights grows by the rate times the spikes that came through it. A unit of another class that is
not below minus the margin is punished: they fall by as much. A unit that answers rightly, with the margin, learns
nothing. Steps become finer from epoch to epoch, down to the last bit of a weight.

A weight with a sign is a plastic excitation of 0 or more over an inhibition that never changes, which is what a board
has: its plastic weights are whole numbers of 16 bits without a sign.

Sources: Rosenblatt 1958, Psychol Rev 65, 386 (learning from errors alone); Krauth and Mezard 1987, J Phys A 20, L745
(until a margin is reached); Mozafari et al. 2018, IEEE TNNLS 29, 6178 (reward and punishment of a decision).
"""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.gates.fields import check_fields, several, whole
from spikingconvnet.model.learning import OpenNetwork, Progress, ReadoutRule, tell
from spikingconvnet.network.arrays import Floats, Ints, Numbers

LARGEST = 1 << 15       # inhibition with which the excitation still has 16 bits


@dataclass(frozen=True)
class ErrorDriven(ReadoutRule):
    """Settings of the rule; those that cannot be used are a SettingsError. Weights are in their last bits.

    Attributes
    ----------
    rates : tuple of int
        Of each epoch: what a spike changes a weight by. There are as many epochs.
    margin : int
        By how much units are to be on the right side of 0; in the readout it becomes 1.
    inhibition : int
        Beside each excitation, which lies between 0 and twice as much.
    """

    rates: tuple[int, ...] = (32, 19, 11, 7, 4, 2, 1, 1)
    margin: int = 16_384
    inhibition: int = 16_384

    name = "error-driven"

    def __post_init__(self) -> None:
        check_fields(self, rates=several(whole(1, LARGEST), "whole numbers from 1, one an epoch"),
                     margin=whole(1, 1 << 31), inhibition=whole(1, LARGEST))

    def train(self, counts: Numbers, units: Ints, classes: int, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter) -> tuple[Floats, Floats]:
        """Weights and biases of all units, see ``ReadoutRule``; there are no biases."""
        excitation = np.full((classes, counts.shape[1]), float(self.inhibition))    # whole numbers, exact below 2^53
        side = np.where(np.arange(classes) == np.asarray(units)[:, None], 1.0, -1.0)
        epochs = progress(self.rates)
        for rate in epochs:
            wrong = sum(self._shown(excitation, counts[i].astype(np.float64), side[i], rate)
                        for i in rng.permutation(len(counts)))
            tell(epochs, wrong=wrong / len(counts))
        return (excitation - self.inhibition) / self.margin, np.zeros(classes)

    def _shown(self, excitation: Floats, count: Floats, side: Floats, rate: int) -> int:
        """Show a sample, and reward or punish: how many units were, whose excitation has changed.

        What inhibits all weights alike is the number of spikes times the inhibition.
        """
        membranes = excitation @ count - self.inhibition * count.sum()
        learns = np.flatnonzero(side * membranes < self.margin)
        if len(learns):
            changed = excitation[learns] + rate * side[learns, None] * count
            excitation[learns] = np.clip(changed, 0, 2 * self.inhibition)
        return len(learns)
