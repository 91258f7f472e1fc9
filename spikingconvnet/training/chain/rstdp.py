"""R-STDP: pairs of spikes make synapses eligible, a global reward or punishment makes weights of it. Made for a board.

One output unit per class behind plastic synapses, in any simulator that knows ``plasticity.Neuromodulation``: the local
engine, or sPyNNaker's own binaries on a board. A board's host cannot pick a winner in time, and dopamine reaches every
neuron. So a sample is shown in two trials, which differ in who is asked:

* *The others.* After the pattern a *probe* asks every unit but the label's: it fires if its membrane is above
  `target` less `margin`. Its synapses become eligible, and a **punishment** follows: who fired wrongly loses weight.
* *The own.* The probe asks the label's unit, which fires if its membrane is above `target` plus `margin`. A *kick*
  comes some steps later and makes it fire if it has not, because a refractory time follows every spike. Then a
  **reward** comes so late that the eligibility of a right answer is gone and that of a kick is not: who was missing
  gains weight.

Which trials there are is known before the run, what they change is not: a unit that answers rightly learns nothing.
A board changes weights only when an input fires, so all inputs of the pattern fire once more at the end (*flush*).

Sources: Izhikevich 2007, Cereb Cortex 17, 2443 (eligibility and dopamine); Mozafari et al. 2018, IEEE TNNLS 29, 6178
(reward and punishment of a decision); Gütig and Sompolinsky 2006, Nat Neurosci 9, 420 (a unit that should have fired
learns by the traces of its inputs).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikingconvnet.backends.base import log_warnings
from spikingconvnet.data.protocols import Encoder
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates import sizes
from spikingconvnet.gates.fields import (
    MOST_SLOT,
    MOST_STEPS,
    NOT_NEGATIVE,
    POSITIVE,
    check_fields,
    record,
    several,
    spelled,
    whole,
)
from spikingconvnet.model.learning import NetworkRule, OpenNetwork, Progress, Shown, tell
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Diagnostics, TrainedLayer
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Shape
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import OUT_OF_REACH, IFCurrDelta, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, Neuromodulation, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain.balance import gain

logger = logging.getLogger(__name__)

INPUT, TEACHER, REWARD, PUNISHMENT, OUTPUT, SYNAPSES, FIXED = ("input", "teacher", "reward", "punishment", "output",
                                                               "synapses", "fixed")
FORGETTING = 16         # steps after which sPyNNaker's table of eligibility has its next entry
HUSH = FORGETTING + 2    # steps before a trial in which a unit that is not asked fires: it is refractory then
KICK = 1.1              # times the threshold
_PULSES = several(whole(1, 4), "numbers of spikes from 1 to 4, the steps in which dopamine does not decay on a board")
DECAY = 2.0             # ms, time constant of eligibility and dopamine: nothing is left after `FORGETTING` steps


@dataclass(frozen=True, repr=False)
class RSTDP(NetworkRule):
    """Settings of the rule; those that cannot be used are a SettingsError. Times are steps in a trial.

    Attributes
    ----------
    epochs : int
        How often every sample is shown, in an order of its own each time.
    pattern_steps : int
        In which the encoder's spikes lie.
    punish, kick, reward, flush : int
        When the first punishment, the kick, the first reward and the flush come; the probe follows the pattern.
    slot : int
        Steps of a trial, long enough for membranes and traces to fade.
    pulses : tuple of int
        Spikes of a reward or punishment, one a step: at the start of the training, ..., at its end.
    amount : float
        Dopamine of one of them.
    eligibility : float
        Of a pair of spikes at no distance, nA.
    target, margin : float
        Membrane that separates answering from not, and by how much samples are to be on the right side, mV.
    v_thresh : float
        Threshold of the units in training, mV; above what a pattern alone reaches.
    w_max : float
        nA.
    initial : (float, float)
        Range of the start weights, drawn evenly, nA.
    neuron : IFCurrDelta
        Of the units; in training with `v_thresh` and a refractory time. Its `tau_m` is also that of the traces, so that
        an input becomes as eligible as it moved the membrane.
    inhibition : float
        Beside each plastic excitation, which never changes, nA: what is learned has signs then. A board's plastic
        weights have none.
    flush_steps : int
        Over which the flush spreads. Inputs that fire at once need a wide ring buffer, and weights are coarse then.
    """

    epochs: int = 5
    pattern_steps: int = 16
    punish: int = 24
    kick: int = 24
    reward: int = 36
    flush: int = 48
    slot: int = 120
    pulses: tuple[int, ...] = (4, 3, 2, 1)
    amount: float = 0.05
    eligibility: float = 0.04
    target: float = 10.0
    margin: float = 2.0
    v_thresh: float = 20.0
    w_max: float = 1.0
    initial: tuple[float, float] = (0.16, 0.24)
    neuron: IFCurrDelta = IFCurrDelta(tau_m=20.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=OUT_OF_REACH,
                                      tau_refrac=0.0, v=0.0)
    inhibition: float = 0.0
    flush_steps: int = 1

    name = "rstdp"

    def __post_init__(self) -> None:
        steps = whole(1, MOST_SLOT)
        check_fields(self, epochs=whole(1, 10_000), pattern_steps=steps, punish=steps, kick=steps, reward=steps,
                     flush=steps, slot=steps, pulses=_PULSES, amount=POSITIVE, eligibility=POSITIVE,
                     target=NOT_NEGATIVE, flush_steps=steps, margin=NOT_NEGATIVE, v_thresh=POSITIVE,
                     inhibition=NOT_NEGATIVE, w_max=POSITIVE,
                     initial=several(NOT_NEGATIVE, "a range (lowest, highest) in nA", 2), neuron=record(IFCurrDelta))
        if not self.inhibition:         # membranes are above 0 then
            require(self.target > 0, "RSTDP", "target", self.target, "above 0 without an inhibition")
            require(self.margin < self.target, "RSTDP", "margin", self.margin, f"0 or more, below {self.target}")
        require(self.target + self.margin < self.v_thresh, "RSTDP", "v_thresh", self.v_thresh,
                f"above target and margin ({self.target + self.margin})")
        require(self.initial[0] <= self.initial[1] <= self.w_max, "RSTDP", "initial", self.initial,
                f"a range between 0 and w_max ({self.w_max})")
        self._check_times()

    def __repr__(self) -> str:
        return spelled(self, ("inhibition", "flush_steps"))

    def _check_times(self) -> None:
        answer, last = self.pattern_steps + 1, max(self.pulses) - 1
        require(answer < self.punish and self.punish + last < answer + FORGETTING, "RSTDP", "punish", self.punish,
                f"after the answer in step {answer}, its last pulse less than {FORGETTING} steps later")
        require(answer < self.kick, "RSTDP", "kick", self.kick, f"after the answer in step {answer}")
        require(self.reward >= answer + FORGETTING and self.reward > self.kick + 1
                and self.reward + last < self.kick + 1 + FORGETTING, "RSTDP", "reward", self.reward,
                f"{FORGETTING} steps or more behind the answer in step {answer}, its last pulse less than that behind"
                f" the kick's spike in step {self.kick + 1}")
        end = self.flush + self.flush_steps - 1
        require(max(self.reward, self.punish) + last < self.flush and end < self.slot - FORGETTING, "RSTDP", "flush",
                self.flush, f"after all rewards, its last step more than {FORGETTING} before the end of the slot")
        if self.inhibition:     # a kick has a second step, and the own unit is made refractory
            require(self.reward > self.kick + 2, "RSTDP", "reward", self.reward,
                    f"over an inhibition behind the spike of the second step of a kick ({self.kick + 2})")
            free = max(end, self.kick + 2 + self._refractory)
            require(free < self.slot - HUSH, "RSTDP", "slot", self.slot, f"over an inhibition more than {free + HUSH}:"
                    f" units are free {HUSH} steps before its end")

    @property
    def _refractory(self) -> int:
        """Steps for which a unit that fires is refractory in training: until the reward is over, and from a hush on."""
        return self.reward + HUSH * (self.inhibition > 0)

    def train(self, model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, *, encoder: Encoder,
              open_network: OpenNetwork, progress: Progress = iter, events: Shown | None = None,
              **_: Any) -> tuple[list[TrainedLayer], Diagnostics]:
        """Layers and diagnostics, see ``NetworkRule`` and :func:`learn`.

        A MODEL of anything but one Dense layer without a pool is a SettingsError, and an encoder that makes more than
        `pattern_steps`.
        """
        if len(model.stages) != 1 or not model.stages[0].dense or model.stages[0].pool is not None:
            raise SettingsError("--rule rstdp: trains one Dense layer, MODEL has "
                                + ", ".join(str(stage.layer) for stage in model.stages))
        stage = model.stages[0]
        spikes = events("train", np.arange(len(images))) if events else encoder(images, rng)
        require(spikes.n_steps <= self.pattern_steps, "RSTDP", "pattern_steps", self.pattern_steps,
                f"as many as the encoder makes ({spikes.n_steps})")
        initial = rng.uniform(*self.initial, size=(spikes.size, stage.out_shape[0]))
        weights, diagnostics = learn(spikes, labels, initial, rng, self, open_network, progress)
        kernels = (weights - self.inhibition).T.reshape(stage.layer.kernel_shape(stage.in_shape))
        return [TrainedLayer(kernels, np.full(stage.out_shape[0], OUT_OF_REACH))], diagnostics


def learn(spikes: Spikes, labels: Ints, initial: Floats, rng: np.random.Generator, rule: RSTDP,
          open_network: OpenNetwork, progress: Progress = iter,
          said: set[str] | None = None) -> tuple[Floats, Diagnostics]:
    """Show all samples `rule.epochs` times, each epoch a chunk of one run.

    Parameters
    ----------
    spikes : Spikes
        Patterns of at most `rule.pattern_steps` steps.
    labels : int array (n_samples,)
    initial : float array (inputs, classes), nA
    rng : numpy.random.Generator
    rule : RSTDP
    open_network : callable
    progress : callable
    said : set of str or None
        Kinds of warnings that were said already, of runs before this one.

    Returns
    -------
    weights : float array (inputs, classes), nA
    diagnostics : dict
        By epoch ``wrong``, units that answered to another's sample, per sample, and ``missing``, the share of samples
        whose own unit had to be kicked; ``at_lower`` and ``at_upper``, shares of weights at their bounds.

    Raises
    ------
    SettingsError
        More steps than a board counts, or than there is memory for.
    """
    steps = 2 * rule.epochs * spikes.n_samples * rule.slot
    require(steps <= MOST_STEPS, "RSTDP", "epochs", rule.epochs,
            f"at most {rule.epochs * MOST_STEPS // steps:,} of {2 * spikes.n_samples} trials of {rule.slot} steps: a"
            " board counts steps in 32 bits")
    sizes.require_fits("RSTDP", "epochs", rule.epochs, 60 * steps)
    order = np.concatenate([rng.permutation(spikes.n_samples) for _ in range(rule.epochs)])
    shown = Spikes.concatenate([spikes.samples(i, i + 1) for i in order])
    wrong, missing, epochs = [], [], progress(range(rule.epochs))
    with open_network(training_network(shown, labels[order], initial, rule)) as simulation:
        for _ in epochs:
            simulation.run(2 * spikes.n_samples * rule.slot)
            recording = simulation.recording()
            trial, _, step = recording.spikes[OUTPUT].events()
            of_own = trial % 2 == own_trial(rule)
            wrong.append(float(np.sum(~of_own) / spikes.n_samples))
            missing.append(float(np.sum(of_own & (step > rule.kick) & (step < rule.reward)) / spikes.n_samples))
            tell(epochs, wrong=wrong[-1], missing=missing[-1])
        weights = simulation.weights(SYNAPSES).value.reshape(initial.shape)
    log_warnings(recording, logger, said)
    return weights, {"wrong": wrong, "missing": missing, "at_lower": float(np.mean(weights <= 0)),
                     "at_upper": float(np.mean(weights >= 0.999 * rule.w_max))}


def training_network(shown: Spikes, labels: Ints, initial: Floats, rule: RSTDP) -> Network:
    """All trials as one network: patterns and flushes, the teacher, reward and punishment, one population of units.

    Parameters
    ----------
    shown : Spikes
        Patterns in the order in which they are shown.
    labels : int array (n_samples,)
    initial : float array (inputs, classes), nA
    rule : RSTDP
    """
    classes = initial.shape[1]
    inputs, teacher, reward, punishment = trials(shown, labels, classes, rule)
    sources = {INPUT: inputs, TEACHER: teacher, REWARD: reward, PUNISHMENT: punishment}
    largest = _largest_input(inputs, teacher, shown, rule)
    cell = replace(rule.neuron, v_thresh=rule.v_thresh, tau_refrac=float(rule._refractory))
    tau = rule.neuron.tau_m
    stdp = STDPMechanism(SpikePairRule(tau, tau, rule.eligibility, 0.0), AdditiveWeightDependence(0.0, rule.w_max))
    dopamine = Neuromodulation(DECAY, DECAY, 0.0, rule.w_max)
    everyone = DenseConnections(np.full((1, classes), rule.amount), rounding="machine")
    fixed = Projection(FIXED, INPUT, OUTPUT, DenseConnections(np.full(initial.shape, rule.inhibition)), "inhibitory")
    return Network(
        (*(Population(label, spikes.shape, SpikeSourceArray(spikes)) for label, spikes in sources.items()),
         Population(OUTPUT, (classes, 1, 1), cell, max_expected_summed_weight=largest)),
        (Projection(SYNAPSES, INPUT, OUTPUT, DenseConnections(initial), plasticity=stdp),
         Projection(TEACHER, TEACHER, OUTPUT, _teaching(classes, rule)),
         *(Projection(label, label, OUTPUT, everyone, label, dopamine) for label in (REWARD, PUNISHMENT)),
         *[fixed] * (rule.inhibition > 0)))


def own_trial(rule: RSTDP) -> int:
    """Which of a sample's two trials asks its own unit, 0 or 1; the first over an inhibition.

    Membranes are of both signs there and as high as they like. So that the own unit does not fire, and is not punished,
    while the others are asked, it is made refractory at the end of its trial.
    """
    return 0 if rule.inhibition else 1


def trials(shown: Spikes, labels: Ints, classes: int, rule: RSTDP) -> tuple[Spikes, Spikes, Spikes, Spikes]:
    """Spikes of all sources; a sample has two trials, ``2 k`` and ``2 k + 1``, see :func:`own_trial`.

    Returns
    -------
    inputs, teacher, reward, punishment : Spikes
        The teacher's neurons are `classes` probes of the others, as many of the own unit, and as many kicks.
    """
    n = shown.n_samples
    sample, neuron, step = shown.events()
    once, which = np.divmod(np.unique(sample * shown.size + neuron), shown.size)
    both = [(2 * sample + k, neuron, step) for k in range(2)]
    both += [(2 * once + k, which, rule.flush + which % rule.flush_steps) for k in range(2)]
    own = 2 * np.arange(n) + own_trial(rule)
    other = own ^ 1
    asked, unit = np.nonzero(np.arange(classes) != np.asarray(labels)[:, None])
    probe = rule.pattern_steps
    told = [(other[asked], unit, np.full(len(asked), probe)), (own, classes + labels, np.full(n, probe)),
            (own, 2 * classes + labels, np.full(n, rule.kick))]
    if rule.inhibition:     # a kick may need two steps, and the own unit must not fire while others are asked
        told += [(own, 2 * classes + labels, np.full(n, step)) for step in (rule.kick + 1, rule.slot - HUSH)]
    pulses = np.asarray(rule.pulses)[np.arange(n) * len(rule.pulses) // max(n, 1)]
    late = np.concatenate([np.arange(count) for count in pulses] or [np.zeros(0, int)])
    dopamine = [[(np.repeat(trial, pulses), 0 * late, first + late)]
                for trial, first in zip((other, own), (rule.punish, rule.reward))]

    def spikes(parts: Sequence[tuple[Ints, Ints, Ints]], shape: Shape) -> Spikes:
        sample, neuron, step = (np.concatenate(part) for part in zip(*parts))
        return Spikes.from_events(sample, neuron, step, shape, 2 * n, rule.slot)

    return (spikes(both, shown.shape), spikes(told, (3 * classes, 1, 1)), spikes(dopamine[1], (1, 1, 1)),
            spikes(dopamine[0], (1, 1, 1)))


def _largest_input(inputs: Spikes, teacher: Spikes, shown: Spikes, rule: RSTDP) -> float:
    """Of a unit in one step, nA: a kick, or all inputs of a pattern at the flush with the largest weights.

    sPyNNaker's own estimate is far larger, which would leave the weights eight times as coarse. Over an inhibition some
    weights grow and others fall, so that the start weights of the busiest step count, with a kick where the teacher
    fires; and a ring buffer holds twice what it is asked for.
    """
    kick = KICK * rule.v_thresh / gain(rule.neuron)
    if rule.inhibition:
        told = np.diff(teacher.offsets) > 0
        return float((rule.initial[1] * np.diff(inputs.offsets) + kick * told).max()) / 2
    sample, neuron, _ = shown.events()
    active = np.bincount(np.unique(sample * shown.size + neuron) // shown.size, minlength=1).max().item()
    return max(kick, rule.w_max * active)


def _teaching(classes: int, rule: RSTDP) -> ConnectionList:
    """From the teacher's neurons to the units: what lifts a membrane over the threshold from the level asked about."""
    others, own = (rule.v_thresh - rule.target + sign * rule.margin for sign in (1, -1))
    strength = np.repeat([others, own, KICK * rule.v_thresh], classes) / gain(rule.neuron)
    return ConnectionList(np.arange(3 * classes), np.tile(np.arange(classes), 3), strength,
                          np.ones(3 * classes, np.int64))
