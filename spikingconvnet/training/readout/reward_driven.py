"""A readout that a board can learn: R-STDP over an inhibition, on counts that are shown as spikes.

What :class:`ErrorDriven` does in whole numbers a network does here, in any simulator that knows reward and punishment:
the local engine, or sPyNNaker's own binaries on a board. The host shows spikes and reads weights; it changes none.
"""

from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import POSITIVE, SIZE, check_fields, record, several
from spikingconvnet.model.learning import OpenNetwork, Progress, ReadoutRule, tell
from spikingconvnet.network.arrays import Floats, Ints, Numbers
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import rstdp
from spikingconvnet.training.chain.balance import gain
from spikingconvnet.training.chain.rstdp import RSTDP

TRIALS = RSTDP(epochs=1, initial=(0.1, 0.1), inhibition=0.1, w_max=0.2, margin=4.0, pulses=(1,))


@dataclass(frozen=True)
class RewardDriven(ReadoutRule):
    """Settings of the rule; those that cannot be used are a SettingsError.

    Attributes
    ----------
    amounts : tuple of float
        Dopamine of a reward or a punishment in each epoch; a board keeps it in steps of 1 / 2048.
    chunk : int
        Samples of one run. The next one begins with the weights that were read.
    trials : RSTDP
        How a sample is shown. Its `amount` and `epochs` are not read.
    """

    amounts: tuple[float, ...] = (0.2, 0.15, 0.1, 0.075, 0.05, 0.035, 0.025, 0.0125)
    chunk: int = 1000
    trials: RSTDP = TRIALS

    name = "reward-driven"

    def __post_init__(self) -> None:
        check_fields(self, amounts=several(POSITIVE, "numbers above 0, one an epoch"), chunk=SIZE, trials=record(RSTDP))
        require(self.trials.inhibition > 0, "RewardDriven", "trials.inhibition", self.trials.inhibition,
                "above 0: a readout of weights without signs tells little")

    def train(self, counts: Numbers, units: Ints, classes: int, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter) -> tuple[Floats, Floats]:
        """Weights and biases of all units, see ``ReadoutRule``; there are no biases."""
        weights = rng.uniform(*self.trials.initial, size=(counts.shape[1], classes))
        runs = [(amount, part) for amount in self.amounts for part in self._chunks(len(counts), rng)]
        steps = progress(runs)
        for amount, part in steps:
            rule = replace(self.trials, epochs=1, amount=amount)
            weights, told = rstdp.learn(as_spikes(counts[part], rule.pattern_steps), np.asarray(units)[part], weights,
                                        rng, rule, open_network)
            tell(steps, wrong=told["wrong"][-1], missing=told["missing"][-1])
        learned: Floats = (weights - self.trials.inhibition).T * (gain(self.trials.neuron) / self.trials.margin)
        return learned, np.zeros(classes)

    def _chunks(self, n: int, rng: np.random.Generator) -> list[Ints]:
        return np.array_split(rng.permutation(n), -(-n // self.chunk))


def as_spikes(counts: Numbers, steps: int) -> Spikes:
    """Counts as so many spikes of a neuron each, evenly over `steps`, at most one a step: Spikes.

    >>> as_spikes(np.array([[2, 0, 9]]), 4).to_lists()
    [[1.0, 3.0], [], [0.0, 1.0, 2.0, 3.0]]
    """
    sample, neuron = np.nonzero(counts)
    fires = np.minimum(counts[sample, neuron].astype(np.int64), steps)
    nth = np.arange(fires.sum()) - np.repeat(np.cumsum(fires) - fires, fires)
    step = (2 * nth + 1) * steps // (2 * np.repeat(fires, fires))
    return Spikes.from_events(np.repeat(sample, fires), np.repeat(neuron, fires), step, (counts.shape[1], 1, 1),
                              len(counts), steps)
