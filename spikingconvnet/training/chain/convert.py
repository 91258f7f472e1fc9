"""Conversion: a network of rectifying units is trained, and its units become integrate-and-fire neurons.

The rate of an integrate-and-fire neuron is its input over its threshold, where that is above nothing and below one
spike a step: a rectifying unit with a ceiling. So every layer is divided by its largest activation, which changes no
answer, because without biases the responses of all layers scale with it (Diehl et al. 2015, doi
10.1109/IJCNN.2015.7280696, algorithms 1 and 2; the quantile, and biases as constant currents, are those of Rueckauer et
al. 2017, doi 10.3389/fnins.2017.00682). Dividing the weights or multiplying the thresholds is the same. Average pooling
is linear and part of the next layer's connections.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.filters import together, worth_of
from spikingconvnet.data.protocols import Encoder, ImageFilter
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.fields import (
    FLAG,
    PART,
    PATH,
    POSITIVE,
    above,
    check_fields,
    choice,
    most,
    optional,
    real,
    record,
)
from spikingconvnet.gates.libraries import need
from spikingconvnet.model.layers import CELL
from spikingconvnet.model.learning import NetworkRule, Progress
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import Diagnostics, TrainedLayer
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Numbers
from spikingconvnet.network.neurons import OUT_OF_REACH, IFCurrDelta, Neuron
from spikingconvnet.training.chain import weights
from spikingconvnet.training.chain.balance import activations, current, gain
from spikingconvnet.training.chain.descent import Descent
from spikingconvnet.training.chain.parity import Reference, Report

SCALED_ON = 1000        # training images from which the largest activations are taken
JUDGED_ON = 10_000      # images of which the training accuracy is told
BATCH = 250

NORMS = ("robust", "data", "model", "none")
BALANCES = ("weights", "thresholds")


class _Balancing(Protocol):
    """What the settings of a rule say of a conversion, see :class:`Convert`."""

    @property
    def norm(self) -> str: ...

    @property
    def quantile(self) -> float: ...

    @property
    def balance(self) -> str: ...

    @property
    def threshold(self) -> float: ...

    @property
    def start(self) -> float: ...


@dataclass(frozen=True)
class Convert(NetworkRule):
    """Settings of the rule; those that cannot be used are a SettingsError.

    Attributes
    ----------
    norm : 'robust', 'data', 'model' or 'none'
        What a layer is divided by: the `quantile` of its activations to training images; the largest of these and of
        its weights; the largest sum of a unit's positive weights, with which no unit can ever exceed one spike a step;
        nothing.
    quantile : float
        For 'robust'.
    balance : 'weights' or 'thresholds'
        Whether weights are divided or thresholds multiplied.
    threshold : float
        Of all neurons before balancing, mV; lower ones answer sooner and count more coarsely.
    start : float
        Membranes at the start, as a share of the threshold.
    bias : bool
        Whether units have biases; they become constant currents.
    dropout : float
        Share of what a Dense layer sees of the layer before it that is dropped during training.
    descent : Descent
    weights : str or None
        File with the weights of a network that is trained already, see :func:`save`; nothing is trained then.
    neuron : IFCurrDelta
        Of the layers that ``--arch`` makes. It must not be refractory, and hardly leak; a `tau_m` of more than 32768 ms
        has no effect of inputs left in s16.15.
    """

    norm: str = "robust"
    quantile: float = 0.999
    balance: str = "weights"
    threshold: float = 1.0
    start: float = 0.0
    bias: bool = False
    dropout: float = 0.5
    descent: Descent = Descent()
    weights: str | None = None
    neuron: IFCurrDelta = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0,
                                      v=0.0)

    name = "convert"
    takes_rates = True

    def __post_init__(self) -> None:
        check_fields(self, norm=choice(*NORMS, wanted=" or ".join(NORMS)), quantile=real(above(0), most(1)),
                     balance=choice(*BALANCES, wanted=" or ".join(BALANCES)), threshold=POSITIVE, start=PART, bias=FLAG,
                     dropout=PART, descent=record(Descent), weights=optional(PATH), neuron=CELL)

    def rates(self, neuron: Neuron, drive: Floats, v_thresh: Floats) -> Floats:
        """Spikes a step that stand for units under a steady current of `drive` nA, without a ceiling."""
        return np.maximum(drive * (gain(neuron) / current(neuron)) / v_thresh, 0.0)

    def train(self, model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, *, encoder: Encoder,
              image_filter: ImageFilter | None = None, progress: Progress = iter,
              validation: tuple[Floats32, Ints] | None = None, **_: Any) -> tuple[list[TrainedLayer], Diagnostics]:
        """Layers of integrate-and-fire neurons, see ``NetworkRule``: list of TrainedLayer, dict.

        The first layer is scaled for the rate of the encoder. If the channels of the filter are the digits of one
        number (``filters.worth_of``), units see that number.

        Raises
        ------
        SettingsError
            Neurons other than an IFCurrDelta with `v_rest`, `v_reset`, `tau_refrac` and `i_offset` of 0, an encoder
            without a rate, or what ``gradients.fitting`` refuses.
        DataError
            A file `weights` that is missing or does not fit, see ``weights.read``.
        BackendError
            Nothing is trained yet, and there is no torch.
        """
        check_neurons(model, self)
        rate, worth = rate_of(encoder, "RULE convert"), worth_of(image_filter)
        chain, images = grey(model, worth), _grey_values(images, worth)
        if validation is not None:
            validation = (_grey_values(validation[0], worth), validation[1])
        if self.weights is not None:
            (kernels, biases), diagnostics = load(self.weights, chain), Diagnostics()
        else:
            need("torch", "--rule convert")
            from spikingconvnet.training.chain.gradients import relu

            kernels, biases, diagnostics = relu.train(chain, images, labels, rng, self, progress, validation)
        layers, scales = converted(chain, kernels, biases, images[:SCALED_ON], self, rate)
        layers[0] = _for_channels(layers[0], worth)
        right = accuracy(chain, kernels, biases, images[:JUDGED_ON], labels[:JUDGED_ON])
        return layers, {**diagnostics, "ann_train_accuracy": right, "scales": scales}


def accuracy(model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers], images: Numbers,
             labels: Ints) -> float:
    """Share of the images that the rectifying units get right; nan without images."""
    right = [np.argmax(activations(model, kernels, images[first:first + BATCH], biases)[-1][..., 0, 0], axis=1)
             == labels[first:first + BATCH] for first in range(0, len(labels), BATCH)]
    return float(np.mean(np.concatenate(right))) if right else float("nan")


def converted(model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers], images: Numbers,
              rule: _Balancing, rate: float = 1.0) -> tuple[list[TrainedLayer], list[float]]:
    """Layers of spiking neurons that stand for rectifying units.

    Parameters
    ----------
    model : model.Sequential
    kernels, biases : lists of float array
        Of the rectifying units.
    images : float array (n, C, H, W)
        From which activations are taken.
    rule : Convert
        Or one with its `norm`, `quantile`, `balance`, `threshold` and `start`.
    rate : float
        Spikes a step of an input of 1, the encoder's ``max_rate``.

    Returns
    -------
    layers : list of TrainedLayer
    scales : list of float
        What each layer was divided by: its activation that is one spike a step.
    """
    scales = scales_of(model, kernels, biases, images, rule)
    return [_layer(model, stage, rule, kernels[stage.number - 1], biases[stage.number - 1], before, now)
            for stage, before, now in zip(model.stages, [1.0 / rate, *scales], scales)], scales


def scales_of(model: Sequential, kernels: Sequence[Numbers], biases: Sequence[Numbers], images: Numbers,
              rule: _Balancing) -> list[float]:
    """What each layer is divided by, see `Convert.norm`: list of float."""
    if rule.norm == "none":
        return [1.0] * len(kernels)
    if rule.norm == "model":
        return _worst_cases(kernels, biases)
    parts = [activations(model, kernels, images[first:first + BATCH], biases)
             for first in range(0, len(images), BATCH)]
    found = []
    for number, kernel in enumerate(kernels):
        values = np.concatenate([part[number] for part in parts])
        largest = np.quantile(values, rule.quantile) if rule.norm == "robust" else max(values.max(), kernel.max())
        found.append(max(float(largest), 1e-9))
    return found


def _worst_cases(kernels: Sequence[Numbers], biases: Sequence[Numbers]) -> list[float]:
    """Largest activation of each layer if every unit before it that helps is at its own largest, the input at 1."""
    found = [1.0]
    for kernel, bias in zip(kernels, biases):
        helped = np.maximum(kernel, 0.0).reshape(len(kernel), -1).sum(axis=1) * found[-1]
        found.append(max(float((helped + np.maximum(bias, 0.0)).max()), 1e-9))
    return found[1:]


def _layer(model: Sequential, stage: Stage, rule: _Balancing, kernel: Numbers, bias: Numbers, before: float,
           now: float) -> TrainedLayer:
    """A layer whose input of one spike a step stands for `before`, and whose own for `now`."""
    threshold = rule.threshold * (1.0 if rule.balance == "weights" else now / before)
    in_na = threshold / now / gain(stage.layer.neuron)      # of an activation of 1
    fires = isinstance(model.readout, SpikeCount) or stage.number < len(model.stages)
    v = np.full(math.prod(stage.out_shape), rule.start * threshold) if rule.start else None
    return TrainedLayer(kernel.astype(np.float64) * before * in_na,
                        np.full(stage.out_shape[0], threshold if fires else OUT_OF_REACH), bias * in_na, v)


def check_neurons(model: Sequential, rule: NetworkRule) -> None:
    """Raise a SettingsError unless all neurons of a model can stand for rectifying units."""
    for stage in model.stages:
        neuron = stage.layer.neuron
        plain = isinstance(neuron, IFCurrDelta) and neuron.v_rest == neuron.v_reset == neuron.tau_refrac == 0
        if not plain or neuron.i_offset:
            raise SettingsError(f"layer {stage.number}: --rule {rule.name} needs an IFCurrDelta with v_rest,"
                                f" v_reset, tau_refrac and i_offset of 0, as in"
                                f" spikingconvnet/experiment/recipes/{rule.name}.py, got {neuron}")


def grey(model: Sequential, worth: tuple[float, ...] | None) -> Sequential:
    """The model on the numbers that channels show together, see ``filters.worth_of``; itself if they do not."""
    return model if worth is None else Sequential((1, *model.input_shape[1:]), *model.layers)


def _grey_values(images: Floats32, worth: tuple[float, ...] | None) -> Floats32:
    """What the first layer of :func:`grey` is shown: float32 (n, channels, H, W)."""
    return images if worth is None else together(images, worth).astype(np.float32)


def _for_channels(layer: TrainedLayer, worth: tuple[float, ...] | None) -> TrainedLayer:
    """The first layer of :func:`grey` on the channels of what it saw."""
    if worth is None:
        return layer
    kernels = layer.kernels * np.array(worth)[:, None, None]
    return TrainedLayer(kernels, layer.v_thresh, layer.i_offset, layer.v)


def save(path: str | Path, kernels: Sequence[Numbers], biases: Sequence[Numbers],
         reference: Reference | None = None) -> None:
    """Keep the weights of rectifying units in a file for ``Convert(weights=...)``.

    Parameters
    ----------
    path : str or Path
        Ends with ``.npz``.
    kernels : list of float array (units, channels, rows, columns)
        Of a Dense layer: with the shape of what it sees.
    biases : list of float array (units,)
    reference : parity.Reference or None
        What the network that they were made of answers to some grey images, see ``gradients.relu.reference``; training
        then compares. A few hundred images are enough.

    Raises
    ------
    SettingsError
        A reference whose images have several channels, or are not grey values over 255.
    """
    arrays = {f"{name}{number}": array for name, found in (("kernels", kernels), ("biases", biases))
              for number, array in enumerate(found, start=1)}
    weights.write(path, {**arrays, **({} if reference is None else _plain_arrays(reference))})


def _plain_arrays(reference: Reference) -> dict[str, Numbers]:
    pixels = reference.images * 255.0
    require(pixels.shape[1] == 1 and abs(pixels - np.rint(pixels)).max() < 1e-2, "Reference", "images",
            f"{pixels.shape[1:]}, other values", "grey images (n, 1, H, W), their values over 255, to be kept")
    return {"images": np.rint(pixels[:, 0]).astype(np.uint8),
            **{f"answers{number}": np.float32(found) for number, found in enumerate(reference.answers, start=1)}}


def load(path: str | Path, model: Sequential, owner: str = "Convert") -> tuple[list[Floats], list[Floats]]:
    """Kernels and biases of a file that :func:`save` wrote, checked against the model: two lists of float64 array.

    Settings of type `owner` name the file, for error texts; see ``weights.read``.
    """
    kernels = {f"kernels{stage.number}": stage.layer.kernel_shape(stage.in_shape) for stage in model.stages}
    biases = {f"biases{number}": shape[:1] for number, shape in enumerate(kernels.values(), start=1)}
    found = weights.read(path, {**kernels, **biases}, owner, "training.convert.save")
    return [found[name] for name in kernels], [found[name] for name in biases]


def judge(rule: Convert, model: Sequential, image_filter: ImageFilter) -> Report | None:
    """Compare the weights that `rule` names with what their network answers: parity.Report, None without a reference.

    Parameters
    ----------
    rule : Convert
    model : model.Sequential
    image_filter : callable
        FILTER of the parameters: the images of the reference pass through it as those of the data set do.

    Raises
    ------
    parity.ParityError
    """
    if rule.weights is None:
        return None
    found = weights.everything(rule.weights, "Convert", "training.convert.save")
    if "images" not in found:
        return None
    worth = worth_of(image_filter)
    n, chain = len(found["images"]), grey(model, worth)
    shapes = {"images": (n, *chain.input_shape[1:]),
              **{f"answers{stage.number}": (n, *stage.out_shape) for stage in chain.stages}}
    images, *answers = weights.read(rule.weights, shapes, "Convert", "training.convert.save").values()
    values = _grey_values(image_filter(images.astype(np.uint8)).astype(np.float32), worth)
    return Reference(np.float32(images[:, None] / 255.0), answers).judge(chain, *load(rule.weights, chain), values)
