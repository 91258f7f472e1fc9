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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.events import EventBins, takes_events
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
    least,
    most,
    optional,
    real,
    record,
    spelled,
    whole,
)
from spikingconvnet.gates.libraries import need
from spikingconvnet.gates.progress import counted
from spikingconvnet.model.layers import CELL
from spikingconvnet.model.learning import NetworkRule, OpenNetwork, Progress, Shown
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import Diagnostics, TrainedLayer
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Numbers
from spikingconvnet.network.neurons import IFCurrDelta, Neuron
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import weights
from spikingconvnet.training.chain.balance import current, gain
from spikingconvnet.training.chain.calibration import Calibration
from spikingconvnet.training.chain.descent import Descent
from spikingconvnet.training.chain.parity import Reference, Report
from spikingconvnet.training.chain.units import NEURON, Units, activations
from spikingconvnet.training.chain.worth import BATCH, converted

MOST_CALIBRATION = 10_000           # images
SCALED_ON = 1000        # training images from which the largest activations are taken
JUDGED_ON = 10_000      # images of which the training accuracy is told
SETTLING = 0.25         # of an image's steps, after which rates are worth counting
NO_CEILING = 1e30       # in a file, whose numbers are finite
WRITER = "training.convert.save"

NORMS = ("robust", "channels", "data", "model", "none")
BALANCES = ("weights", "thresholds")


@dataclass(frozen=True, repr=False)
class Convert(NetworkRule):
    """Settings of the rule; those that cannot be used are a SettingsError.

    Attributes
    ----------
    norm : 'robust', 'channels', 'data', 'model' or 'none'
        What a layer is divided by: the `quantile` of its activations to training images; each map by its own, the last
        layer as a whole (Kim et al. 2020, arXiv 1903.06530), with which maps of small activations fire
        as often as others, so that deep networks answer much sooner; the largest of all activations and of
        its weights; the largest sum of a unit's positive weights, with which no unit can ever exceed one spike a step;
        nothing.
    quantile : float
        For 'robust' and 'channels'.
    balance : 'weights' or 'thresholds'
        Whether weights are divided or thresholds multiplied.
    threshold : float
        Of all neurons before balancing, mV; lower ones answer sooner and count more coarsely.
    start : float
        Membranes at the start, as a share of the threshold.
    spread : bool
        Whether membranes of hidden layers start evenly spread between rest and threshold instead, so that the neurons
        of a map that see the same, or only their bias, do not fire together.
    bias : bool
        Whether units have biases; they become constant currents.
    dropout : float
        Share of what a Dense layer sees of the layer before it that is dropped during training.
    descent : Descent
    weights : str or None
        File with the weights of a network that is trained already, see :func:`save`; nothing is trained then.
    peak_rate : float
        Spikes a step of the activation that a layer is divided by. A neuron that is reset loses what is beyond its
        threshold, the more the faster it fires: at 1 a tenth to a quarter of its spikes, at 0.25 a few percent, but
        answers take four times as long.
    calibration : int
        Training images on which it is measured what the spikes of a map are worth after these losses, see
        ``calibration``; 0 takes them for what they were made for. Units have to be divided by weights.
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
    neuron: IFCurrDelta = NEURON
    peak_rate: float = 1.0
    spread: bool = False
    calibration: int = 0

    name = "convert"
    takes_rates = True

    def __post_init__(self) -> None:
        check_fields(self, norm=choice(*NORMS, wanted=" or ".join(NORMS)), quantile=real(above(0), most(1)),
                     balance=choice(*BALANCES, wanted=" or ".join(BALANCES)), threshold=POSITIVE, start=PART, bias=FLAG,
                     dropout=PART, descent=record(Descent), weights=optional(PATH), neuron=CELL,
                     peak_rate=real(least(1e-3), most(1)), spread=FLAG, calibration=whole(0, MOST_CALIBRATION))
        require(not self.by_map or self.balance == "weights", "Convert", "balance", self.balance,
                "weights for norm='channels' and for calibration")

    def __repr__(self) -> str:
        return spelled(self, ("peak_rate", "spread", "calibration"))

    @property
    def by_map(self) -> bool:
        """Whether spikes of a layer's maps are worth more or less than each other's."""
        return self.norm == "channels" or self.calibration > 0

    def rates(self, neuron: Neuron, drive: Floats, v_thresh: Floats) -> Floats:
        """Spikes a step that stand for units under a steady current of `drive` nA, without a ceiling."""
        return np.maximum(drive * (gain(neuron) / current(neuron)) / v_thresh, 0.0)

    def train(self, model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, *, encoder: Encoder,
              image_filter: ImageFilter | None = None, progress: Progress = iter,
              validation: tuple[Floats32, Ints] | None = None, open_network: OpenNetwork | None = None,
              events: Shown | None = None, **_: Any) -> tuple[list[TrainedLayer], Diagnostics]:
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
        require(self.norm != "model" or images.max(initial=0.0) <= 1.0, "Convert", "norm", self.norm,
                "another one where an input is above 1; or, of events, ENCODER.scale=n_steps with once=True")
        chain, shown, images = grey(model, worth), images, _grey_values(images, worth)
        if validation is not None:
            validation = (_grey_values(validation[0], worth), validation[1])
        if self.weights is not None:
            units, diagnostics = load(self.weights, chain), Diagnostics()
        else:
            need("torch", "--rule convert")
            from spikingconvnet.training.chain.gradients import relu

            units, diagnostics = relu.train(chain, images, labels, rng, self, progress, validation)
        measured = None
        if self.calibration:
            answers = activations(chain, units, images[:self.calibration])
            asked = shown[:self.calibration]
            spikes = events("train", np.arange(len(asked))) if events else encoder(asked, rng)
            found = _calibration(model, spikes, answers, open_network)
            diagnostics["calibration"] = found.shares

            def measured(number: int, layer: TrainedLayer, made_for: Floats) -> Floats:
                return found.measured(number, _for_channels(chain.stages[number - 1], layer, worth), made_for)

        layers, scales = converted(chain, units, images[:SCALED_ON], self, rate, measured)
        layers = [_for_channels(stage, layer, worth) for stage, layer in zip(chain.stages, layers)]
        right = accuracy(chain, units, images[:JUDGED_ON], labels[:JUDGED_ON])
        return layers, {**diagnostics, "ann_train_accuracy": right, "scales": scales}


def _calibration(model: Sequential, spikes: Spikes, answers: Sequence[Numbers],
                 open_network: OpenNetwork | None) -> Calibration:
    """Of a model that is shown these spikes, and of units that answer so; a SettingsError if nothing opens networks."""
    if open_network is None:
        raise SettingsError("Convert.calibration: must be 0 where no network runs, as in Surrogate.start")
    slot = spikes.n_steps + len(model.stages)
    first = min(getattr(model.readout, "first", 0), int(SETTLING * spikes.n_steps))     # the more steps, the surer
    return Calibration(model.stages, {0: spikes.with_gap(slot)}, answers, first, spikes.n_steps, open_network)


def accuracy(model: Sequential, units: Sequence[Units], images: Numbers, labels: Ints) -> float:
    """Share of the images that the rectifying units get right; nan without images."""
    right = [np.argmax(activations(model, units, images[first:first + BATCH])[-1][..., 0, 0], axis=1)
             == labels[first:first + BATCH] for first in counted(range(0, len(labels), BATCH), "units: answers")]
    return float(np.mean(np.concatenate(right))) if right else float("nan")


def check_neurons(model: Sequential, rule: NetworkRule) -> None:
    """Raise a SettingsError unless all neurons of a model can stand for rectifying units."""
    for stage in model.stages:
        if stage.layer.per_map and getattr(rule, "by_map", False):
            raise SettingsError(f"layer {stage.number}: Conv2D.per_map shares its kernels among channels, so norm must"
                                " not be 'channels', and calibration must be 0")
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


def _for_channels(stage: Stage, layer: TrainedLayer, worth: tuple[float, ...] | None) -> TrainedLayer:
    """A layer of :func:`grey` on the channels of what it saw of the input."""
    if worth is None:
        return layer
    kernels, *shortcuts = (one * np.array(worth)[:, None, None] if branch.source == 0 else one
                           for branch, one in zip(stage.branches, layer.all_kernels))
    return replace(layer, kernels=kernels, shortcuts=tuple(shortcuts))


def save(path: str | Path, units: Sequence[Units], reference: Reference | None = None) -> None:
    """Keep the weights of rectifying units in a file for ``Convert(weights=...)``.

    Parameters
    ----------
    path : str or Path
        Ends with ``.npz``.
    units : list of Units
    reference : parity.Reference or None
        What the network that they were made of answers to some grey images, see ``gradients.relu.reference``; training
        then compares. A few hundred images are enough.

    Raises
    ------
    SettingsError
        A reference whose images are not of events, and have several channels or are not grey values over 255.
    """
    arrays = {f"{name}{number}": array for name in ("kernels", "biases")
              for number, array in enumerate((one.kernels if name == "kernels" else one.bias for one in units), 1)}
    arrays |= {f"shortcut{number}_{i}": array for number, one in enumerate(units, 1)
               for i, array in enumerate(one.shortcuts, 1)}
    if any(np.isfinite(one.ceiling) for one in units):
        arrays["ceilings"] = np.array([min(one.ceiling, NO_CEILING) for one in units])
    weights.write(path, {**arrays, **({} if reference is None else _plain_arrays(reference))})


def _plain_arrays(reference: Reference) -> dict[str, Numbers]:
    answers = {f"answers{number}": np.float32(found) for number, found in enumerate(reference.answers, start=1)}
    if reference.bins is not None:
        counts = np.rint(reference.images * reference.bins.scale).astype(np.uint32)
        return {"events": counts, "scale": np.float64(reference.bins.scale),
                "clip": np.int64(reference.bins.clip or 0), **answers}
    pixels = reference.images * 255.0
    require(pixels.shape[1] == 1 and abs(pixels - np.rint(pixels)).max() < 1e-2, "Reference", "images",
            f"{pixels.shape[1:]}, other values", "grey images (n, 1, H, W), their values over 255, to be kept")
    return {"images": np.rint(pixels[:, 0]).astype(np.uint8), **answers}


def load(path: str | Path, model: Sequential, owner: str = "Convert") -> list[Units]:
    """Weights of a file that :func:`save` wrote, checked against the model: list of Units.

    Settings of type `owner` name the file, for error texts; see ``weights.read``.
    """
    stages, there = model.stages, weights.everything(path, owner, WRITER)
    shapes: dict[str, tuple[int, ...]] = {}
    for stage in stages:
        number, bias = stage.number, there.get(f"biases{stage.number}")
        placed = bias is not None and bias.ndim == 3
        shapes |= {f"kernels{number}": stage.main.kernel_shape,
                   f"biases{number}": stage.out_shape if placed else stage.out_shape[:1],
                   **{f"shortcut{number}_{i}": branch.kernel_shape for i, branch in enumerate(stage.shortcuts, 1)}}
    if "ceilings" in there:
        shapes["ceilings"] = (len(stages),)
    found = weights.read(path, shapes, owner, WRITER)
    ceilings = found.get("ceilings", np.full(len(stages), NO_CEILING))
    return [Units(found[f"kernels{stage.number}"], found[f"biases{stage.number}"],
                  tuple(found[f"shortcut{stage.number}_{i}"] for i in range(1, 1 + len(stage.shortcuts))),
                  ceiling if ceiling < NO_CEILING else math.inf) for stage, ceiling in zip(stages, ceilings.tolist())]


def judge(rule: Convert, model: Sequential, image_filter: ImageFilter, encoder: Any = None) -> Report | None:
    """Compare the weights that `rule` names with what their network answers: parity.Report, None without a reference.

    Parameters
    ----------
    rule : Convert
    model : model.Sequential
    image_filter : callable
        FILTER of the parameters: the images of the reference pass through it as those of the data set do.
    encoder : callable
        ENCODER of the parameters: of events it has to count them as the network was trained on them.

    Raises
    ------
    SettingsError
        A reference of events for an ENCODER that takes none, or counts them otherwise; or the other way round.
    parity.ParityError
    """
    if rule.weights is None:
        return None
    found = weights.everything(rule.weights, "Convert", WRITER)
    kind, other = ("events", "images") if takes_events(encoder) else ("images", "events")
    require(kind in found or other not in found, "Convert", "weights", rule.weights, f"of a network that was trained on"
            f" {kind}, which ENCODER takes; this one was trained on {other}")
    if kind not in found:
        return None
    worth = worth_of(image_filter)
    chain = grey(model, worth)
    n, units = len(found[kind]), load(rule.weights, chain)
    shapes = {kind: (n, *chain.input_shape[kind == "images":]),
              **{f"answers{stage.number}": (n, *stage.out_shape) for stage in chain.stages}}
    images, *answers = weights.read(rule.weights, shapes, "Convert", WRITER).values()
    if kind == "events":
        _check_counting(rule.weights, encoder)
        return Reference(np.float32(images / encoder.scale), answers, encoder).judge(chain, units)
    values = _grey_values(image_filter(images.astype(np.uint8)).astype(np.float32), worth)
    return Reference(np.float32(images[:, None] / 255.0), answers).judge(chain, units, values)


def _check_counting(path: str | Path, bins: EventBins) -> None:
    """Raise a SettingsError unless ENCODER counts events as the network of a file was shown them."""
    scale, clip = weights.read(path, {"scale": (), "clip": ()}, "Convert", WRITER).values()
    require(bool(np.isclose(bins.scale, scale)), "parameters", "ENCODER.scale", bins.scale,
            f"{scale:g}, the events that were an input of 1 to the network of {path}")
    require((bins.clip or 0) == clip, "parameters", "ENCODER.clip", bins.clip,
            f"{int(clip) or None}, as the network of {path} was trained")
