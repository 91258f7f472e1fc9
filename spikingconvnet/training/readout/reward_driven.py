"""A readout that a board can learn: R-STDP over an inhibition, on counts that are shown as spikes.

What :class:`ErrorDriven` does in whole numbers a network does here, in any simulator that knows reward and punishment:
the local engine, or sPyNNaker's own binaries on a board. The host shows spikes and reads weights; it changes none.
"""

from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import MOST_SLOT, POSITIVE, SIZE, check_fields, record, several, whole
from spikingconvnet.model.learning import OpenNetwork, Progress, ReadoutRule, tell
from spikingconvnet.network.arrays import Floats, Ints, Numbers
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import rstdp
from spikingconvnet.training.chain.balance import gain
from spikingconvnet.training.chain.rstdp import RSTDP

INHIBITION = 832 / 4096     # nA, a whole number of last bits: a weight that never learned is 0 then
TRIALS = RSTDP(epochs=1, pattern_steps=63, kick=65, punish=70, reward=81, flush=93, flush_steps=16, slot=288,
               pulses=(1,), eligibility=0.032, target=0.0, margin=1.5, v_thresh=10.0,
               initial=(INHIBITION, INHIBITION), inhibition=INHIBITION, w_max=2 * INHIBITION,
               neuron=replace(RSTDP().neuron, tau_m=40.0))
GOLDEN = (5 ** 0.5 - 1) / 2


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
    spread : int
        Steps in one of which a cell begins. If all began at once, cells with as many spikes would fire together: the
        busiest step decides how fine the weights are.
    counts_per_spike : int
        How many counts of a cell are one spike, rounded up. Fewer spikes are finer weights too, and less work.
    """

    amounts: tuple[float, ...] = (0.16, 0.08, 0.04, 0.02)
    chunk: int = 1000
    trials: RSTDP = TRIALS
    spread: int = 48
    counts_per_spike: int = 2

    name = "reward-driven"

    def __post_init__(self) -> None:
        check_fields(self, amounts=several(POSITIVE, "numbers above 0, one an epoch"), chunk=SIZE, trials=record(RSTDP),
                     spread=whole(1, MOST_SLOT), counts_per_spike=whole(1, 1 << 16))
        require(self.trials.inhibition > 0, "RewardDriven", "trials.inhibition", self.trials.inhibition,
                "above 0: a readout of weights without signs tells little")
        require(self.spread <= self.trials.pattern_steps, "RewardDriven", "spread", self.spread,
                f"at most trials.pattern_steps ({self.trials.pattern_steps})")

    def train(self, counts: Numbers, units: Ints, classes: int, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter) -> tuple[Floats, Floats]:
        """Weights and biases of all units, see ``ReadoutRule``; there are no biases."""
        weights = rng.uniform(*self.trials.initial, size=(counts.shape[1], classes))
        return self.machine(self.taught(weights, counts, units, rng, open_network, progress)), np.zeros(classes)

    def taught(self, weights: Floats, counts: Numbers, units: Ints, rng: np.random.Generator,
               open_network: OpenNetwork, progress: Progress = iter) -> Floats:
        """Go on learning: the plastic weights after all samples were shown, float array (cells, classes), nA.

        Parameters
        ----------
        weights : float array (cells, classes), nA
            From 0 to ``trials.w_max``; those of before, also of a class that is new.
        counts, units, rng, open_network, progress
            As of :meth:`train`.
        """
        late = begins(counts.shape[1], self.spread)
        runs = [(amount, part) for amount in self.amounts for part in self._chunks(len(counts), rng)]
        steps, said = progress(runs), set[str]()
        for amount, part in steps:
            rule = replace(self.trials, epochs=1, amount=amount)
            shown = as_spikes(-(-counts[part].astype(np.int64) // self.counts_per_spike), rule.pattern_steps, late)
            weights, told = rstdp.learn(shown, np.asarray(units)[part], weights, rng, rule, open_network, said=said)
            tell(steps, wrong=told["wrong"][-1], missing=told["missing"][-1])
        return weights

    def machine(self, weights: Floats) -> Floats:
        """What a count is worth to a unit, in units of the margin: float array (classes, cells).

        A cell that begins later has leaked less at the probe.
        """
        rule, late = self.trials, begins(len(weights), self.spread)
        leak = np.exp((late - late.max(initial=0)) / rule.neuron.tau_m)
        worth: Floats = ((weights - rule.inhibition) * leak[:, None]).T * (
            gain(rule.neuron) / (rule.margin * self.counts_per_spike))
        return worth

    def _chunks(self, n: int, rng: np.random.Generator) -> list[Ints]:
        return np.array_split(rng.permutation(n), -(-n // self.chunk))


def begins(cells: int, spread: int) -> Ints:
    """Step in which each cell's spikes begin, below `spread`; neighbours begin at different ones: int array (cells,).

    >>> begins(5, 8).tolist()
    [0, 4, 1, 6, 3]
    """
    return np.floor(np.arange(cells) * GOLDEN % 1 * spread).astype(np.int64)


def as_spikes(counts: Numbers, steps: int, late: Ints) -> Spikes:
    """Counts as so many spikes of a neuron each, evenly, at most one a step: Spikes of `steps` steps.

    Neuron j fires in the steps from ``late[j]`` on that are left to all, ``steps - max(late)`` of them.

    >>> as_spikes(np.array([[2, 0, 9]]), 5, np.array([0, 0, 1])).to_lists()
    [[1.0, 3.0], [], [1.0, 2.0, 3.0, 4.0]]
    """
    each = steps - int(late.max(initial=0))
    sample, neuron = np.nonzero(counts)
    fires = np.minimum(counts[sample, neuron].astype(np.int64), each)
    nth = np.arange(fires.sum()) - np.repeat(np.cumsum(fires) - fires, fires)
    neurons = np.repeat(neuron, fires)
    step = late[neurons] + (2 * nth + 1) * each // (2 * np.repeat(fires, fires))
    return Spikes.from_events(np.repeat(sample, fires), neurons, step, (counts.shape[1], 1, 1), len(counts), steps)
