"""Soft LIF: a network whose units answer with a neuron's firing rate is trained, and its units become these neurons.

The rate of a leaky integrate-and-fire neuron as a function of its current has an infinite slope at the threshold;
softened there it can be trained with backpropagation, and noise on the rates makes up for spikes, which come one by
one. The weights are then those of the spiking network, behind synapses that filter (Hunsberger and Eliasmith 2015,
arXiv 1510.08829; 2016, arXiv 1611.05141). Nothing has to be balanced: a unit and its neuron have the same threshold,
the same biases and the same largest rate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikingconvnet.board.fixed_point import leak
from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.protocols import Encoder
from spikingconvnet.errors import SettingsError
from spikingconvnet.gates.fields import (
    FLAG,
    PART,
    PATH,
    POSITIVE,
    above,
    check_fields,
    least,
    most,
    optional,
    real,
    record,
)
from spikingconvnet.gates.libraries import need
from spikingconvnet.model.learning import NetworkRule, Progress
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Diagnostics, TrainedLayer
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Numbers
from spikingconvnet.network.neurons import OUT_OF_REACH, IFCurrExp, Neuron
from spikingconvnet.training.chain import balance, convert
from spikingconvnet.training.chain.descent import Descent
from spikingconvnet.training.chain.units import responses

SCALED_ON = 1000        # training images that set the currents of output units that fire
JUDGED_ON = 5000        # images of which the training accuracy is told
BATCH = 250
STRONGEST = 20.0        # current, in thresholds, of output units that fire, for the largest logits: fires every 2 steps

NEURON = IFCurrExp(tau_m=20.0, cm=20.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_syn_E=5.0, tau_syn_I=5.0,
                   tau_refrac=2.0, v=0.0)


@dataclass(frozen=True)
class RateCurve:
    """Firing rate of a leaky integrate-and-fire neuron under constant current j, in thresholds.

        r(j) = 1 / (shortest + tau_m log(1 + 1 / rho(j)))
        rho(j) = softness log(1 + exp((j - 1) / softness)), or max(j - 1, 0) without softness

    A board looks at the threshold once a step: the time that a membrane takes to it is rounded up, by half a step on
    average, and where it is beyond the threshold is lost. (For another chip: ``loihi_lif_rates`` of nengo-loihi,
    ``neurons.py``, rounds up as well, without the average.)

    Attributes
    ----------
    tau_m : float
        Membrane time constant, steps.
    shortest : float
        Steps from spike to spike under a current without limit: the refractory ones and half a step.
    softness : float
        Width of the soft threshold, in thresholds; 0 is the neuron's own curve.
    """

    tau_m: float
    shortest: float
    softness: float = 0.0

    @classmethod
    def of(cls, neuron: Neuron, softness: float = 0.0, timestep: float = 1.0) -> "RateCurve":
        """That of a neuron record, with the leak of the board's integers."""
        tau_m = -1.0 / math.log1p(-float(leak(np.array([neuron.tau_m]), timestep)[0]))
        return cls(tau_m, math.ceil(neuron.tau_refrac / timestep) + 0.5, softness)

    def __call__(self, current: Numbers) -> Numbers:
        """Spikes a step; `current` is an array in thresholds, what a membrane would end at."""
        above = np.asarray(current) - 1.0
        if self.softness:
            rho = self.softness * np.logaddexp(0.0, above / self.softness)
        else:
            rho = np.maximum(above, 0.0)
        with np.errstate(divide="ignore", over="ignore"):
            return (1.0 / (self.shortest + self.tau_m * np.log1p(1.0 / rho))).astype(above.dtype)


@dataclass(frozen=True)
class SoftLIF(NetworkRule):
    """Settings of the rule; those that cannot be used are a SettingsError.

    Attributes
    ----------
    softness : float
        Width of the soft threshold, in thresholds.
    noise : float
        Standard deviation of the noise on the rates during training, Hz.
    amplitude : float
        What a rate of one spike a step counts in the next layer.
    random_start : bool
        Whether membranes of hidden layers start anywhere between reset and threshold and not at rest, so that neurons
        of equal input do not fire together.
    dropout : float
        Share of what a Dense layer sees of the layer before it that is dropped during training.
    descent : Descent
    weights : str or None
        File with the weights of a network that is trained already, see ``convert.save``; nothing is trained then.
    neuron : IFCurrExp
        Of the layers that ``--arch`` makes, at rest and reset at 0 mV.
    output_neuron : IFCurrExp
        The same for the last layer.
    """

    softness: float = 0.03
    noise: float = 10.0
    amplitude: float = 20.0
    random_start: bool = True
    dropout: float = 0.5
    descent: Descent = Descent(epochs=8, learning_rate=0.02)
    weights: str | None = None
    neuron: IFCurrExp = NEURON
    output_neuron: IFCurrExp = replace(NEURON, tau_refrac=0.0)

    name = "softlif"
    takes_rates = True

    def __post_init__(self) -> None:
        check_fields(self, softness=real(above(0), least(1e-4), most(1e4)), noise=real(least(0), most(1e6, " Hz")),
                     amplitude=POSITIVE, random_start=FLAG, dropout=PART, descent=record(Descent),
                     weights=optional(PATH), neuron=record(IFCurrExp), output_neuron=record(IFCurrExp))

    def curve(self, neuron: Neuron) -> RateCurve:
        """Soft rate of a unit in the place of `neuron`: RateCurve."""
        return RateCurve.of(neuron, self.softness)

    def rates(self, neuron: Neuron, drive: Floats, v_thresh: Floats) -> Floats:
        """Spikes a step of units under a steady current of `drive` nA."""
        return self.curve(neuron)(drive * neuron.tau_m / neuron.cm / v_thresh)

    def train(self, model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, *, encoder: Encoder,
              progress: Progress = iter, validation: tuple[Floats32, Ints] | None = None,
              **_: Any) -> tuple[list[TrainedLayer], Diagnostics]:
        """Layers of leaky integrate-and-fire neurons, see ``NetworkRule``: list of TrainedLayer, dict.

        The first layer is scaled for the rate of the encoder.

        Raises
        ------
        SettingsError
            Neurons other than an IFCurrExp with `tau_syn_I` like `tau_syn_E`, `v_rest`, `v_reset` and `i_offset` of 0
            and `v_thresh` above, an encoder without a rate, or what ``gradients.fitting`` refuses.
        DataError
            A file `weights` that is missing or does not fit, see ``weights.read``.
        BackendError
            Nothing is trained yet, and there is no torch.
        """
        balance.require_chain(model, self)
        _check_neurons(model)
        rate = rate_of(encoder, "RULE softlif")
        if self.weights is not None:
            units, diagnostics = convert.load(self.weights, model, "SoftLIF"), Diagnostics()
            kernels, biases = [one.kernels for one in units], [one.bias for one in units]
        else:
            need("torch", "--rule softlif")
            from spikingconvnet.training.chain.gradients import soft_lif

            kernels, biases, diagnostics = soft_lif.train(model, images, labels, rng, self, progress, validation)
        right = accuracy(model, kernels, biases, images[:JUDGED_ON], labels[:JUDGED_ON], self)
        return (converted(model, kernels, biases, images[:SCALED_ON], self, rng, rate),
                {**diagnostics, "soft_train_accuracy": right})


def accuracy(model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers], images: Floats32, labels: Ints,
             rule: SoftLIF) -> float:
    """Share of the images that the soft units get right."""
    return float(np.mean(np.argmax(logits(model, kernels, biases, images, rule), axis=1) == labels))


def logits(model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers], images: Floats32,
           rule: SoftLIF) -> Numbers:
    """Responses of the last layer of soft units to images (n, C, H, W), without noise: float array (n, units)."""
    return np.concatenate([_logits(model, kernels, biases, images[first:first + BATCH], rule)
                           for first in range(0, len(images), BATCH)])


def _logits(model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers], values: Numbers,
            rule: SoftLIF) -> Numbers:
    for stage, kernel, bias in zip(model.stages, kernels, biases):
        values = responses(stage.main, kernel, values) + bias.astype(values.dtype)[:, None, None]
        if stage.number < len(model.stages):
            values = rule.amplitude * rule.curve(stage.layer.neuron)(values)
    return values[..., 0, 0]


def converted(model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers], images: Floats32, rule: SoftLIF,
             rng: np.random.Generator, rate: float = 1.0) -> list[TrainedLayer]:
    """Layers of spiking neurons in the place of soft units.

    A spike through 1 nA is a charge of ``tau_syn_E`` pC, so at a rate of one a step the current is ``tau_syn_E`` steps
    times the weight, and a membrane ends at ``tau_m / cm`` times the current.

    Parameters
    ----------
    model : model.Sequential
    kernels, biases : lists of float array
        Of the soft units.
    images : float array (n, C, H, W)
        They set the currents of output units that fire; not used for those that do not.
    rule : SoftLIF
    rng : numpy.random.Generator
        For membranes at the start.
    rate : float
        Spikes a step of an input of 1, the encoder's ``max_rate``.

    Returns
    -------
    list of TrainedLayer
    """
    kernels, biases = list(kernels), list(biases)
    fires = isinstance(model.readout, SpikeCount)
    if fires:
        factor, offset = firing(logits(model, kernels, biases, images, rule))
        kernels[-1], biases[-1] = factor * kernels[-1], factor * biases[-1] + offset
    layers, worth = [], 1.0 / rate
    for stage, kernel, bias in zip(model.stages, kernels, biases):
        neuron, hidden = stage.layer.neuron, stage.number < len(model.stages)
        in_na = neuron.v_thresh * neuron.cm / neuron.tau_m
        thresholds = np.full(stage.out_shape[0], neuron.v_thresh if hidden or fires else OUT_OF_REACH)
        random = hidden and rule.random_start
        start = rng.uniform(0.0, neuron.v_thresh, math.prod(stage.out_shape)) if random else None
        layers.append(TrainedLayer(kernel * (worth * in_na / balance.current(neuron)), thresholds, bias * in_na, start))
        worth = rule.amplitude
    return layers


def firing(found: Numbers) -> tuple[float, float]:
    """Factor and offset that make currents, in thresholds, of logits (n, units).

    The mean logit is at the threshold, the largest of nearly all images at `STRONGEST`.
    """
    mean, largest = float(found.mean()), float(np.quantile(found.max(axis=1), 0.999))
    factor = (STRONGEST - 1.0) / max(largest - mean, 1e-9)
    return factor, 1.0 - factor * mean


def _check_neurons(model: Sequential) -> None:
    for stage in model.stages:
        neuron = stage.layer.neuron
        plain = (isinstance(neuron, IFCurrExp) and neuron.tau_syn_E == neuron.tau_syn_I
                 and neuron.v_rest == neuron.v_reset == neuron.i_offset == 0 and neuron.v_thresh > 0)
        if not plain:
            raise SettingsError(f"layer {stage.number}: --rule softlif needs an IFCurrExp with tau_syn_I like"
                                " tau_syn_E, v_rest, v_reset and i_offset of 0 and v_thresh above, as in"
                                f" spikingconvnet/experiment/recipes/softlif.py, got {neuron}")
