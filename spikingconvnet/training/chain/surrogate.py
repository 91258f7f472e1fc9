"""Surrogate gradients: leaky integrate-and-fire neurons trained as they are, by backpropagation through all steps.

A spike is a step of the membrane, whose derivative is nothing almost everywhere; the way back takes another one in its
place, the fast sigmoid's (Zenke and Ganguli 2018, doi 10.1162/neco_a_01086; Neftci, Mostafa and Zenke 2019, doi
10.1109/MSP.2019.2931595):

    v_i(t) = decay v_i(t - 1) + sum_j w_ij s_j(t);    v_i >= 1: s_i(t) = 1 and v_i goes to the reset potential
    forth: ds/dv = 1 / (1 + slope |v - 1|)^2 in the place of the step's derivative; the reset counts as a constant
    loss:  cross entropy of  evidence * sum_t s_i(t)  of the output units, by Adam

Neurons and encoder are those of the model and of the parameters: what is trained is what a board runs. A layer of a
board answers one step after its input; without constant currents this moves the spikes of a layer as a whole and
changes none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data.protocols import Encoder, ImageFilter
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.fields import FACTOR, PART, PATH, check_fields, optional, record
from spikingconvnet.gates.libraries import need
from spikingconvnet.model.learning import NetworkRule, Progress, Shown
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Diagnostics, TrainedLayer
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Numbers
from spikingconvnet.network.neurons import IFCurrDelta
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import balance, convert, weights
from spikingconvnet.training.chain.balance import cell, require_chain
from spikingconvnet.training.chain.descent import Descent
from spikingconvnet.training.chain.units import responses


@dataclass(frozen=True)
class Surrogate(NetworkRule):
    """Settings of the rule; those that cannot be used are a SettingsError.

    How many steps it trains with is the encoder's ``n_steps``.

    Attributes
    ----------
    slope : float
        Of the fast sigmoid, in 1 / (distance from rest to threshold). One that is much narrower than the membranes are
        spread finds no gradient.
    spread : float
        Standard deviation of the weights at the start, times the root of the inputs of a unit, in units of the distance
        from rest to threshold.
    evidence : float
        What a spike of an output unit adds to its logarithmic odds.
    dropout : float
        Share of the units whose spikes a Dense layer does not see during training, for whole images.
    descent : Descent
    start : Convert or None
        Rectifying units to convert and begin with, in the place of weights drawn at random (Rathi et al. 2020, arXiv
        2005.01807).
    boost : float
        What their weights are multiplied by, to fire within fewer steps.
    weights : str or None
        File with the weights of a network that is trained already, see :func:`save`; nothing is trained then.
    neuron : IFCurrDelta
        Of the layers that ``--arch`` makes. It must not be refractory or have a constant current.
    """

    slope: float = 5.0
    spread: float = 0.5
    evidence: float = 1.0
    dropout: float = 0.0
    descent: Descent = Descent(epochs=10, shift=1)
    start: convert.Convert | None = None
    boost: float = 1.5
    weights: str | None = None
    neuron: IFCurrDelta = IFCurrDelta(tau_m=20.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0,
                                      v=0.0)

    name = "surrogate"

    def __post_init__(self) -> None:
        check_fields(self, slope=FACTOR, spread=FACTOR, evidence=FACTOR, boost=FACTOR, dropout=PART,
                     descent=record(Descent), weights=optional(PATH), neuron=record(IFCurrDelta))
        plain = self.start is None or (isinstance(self.start, convert.Convert) and not self.start.bias)
        require(plain, "Surrogate", "start", self.start, "None, or a Convert(...) without biases")

    @property
    def takes_rates(self) -> bool:
        """Whether it begins with rectifying units, which see values as rates."""
        return self.start is not None

    def train(self, model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, *, encoder: Encoder,
              image_filter: ImageFilter | None = None, progress: Progress = iter,
              validation: tuple[Floats32, Ints] | None = None, events: Shown | None = None,
              **_: Any) -> tuple[list[TrainedLayer], Diagnostics]:
        """Layers of leaky integrate-and-fire neurons, see ``NetworkRule``: list of TrainedLayer, dict.

        It learns from events as they come in time; `start` from how many there are.
        """
        require_chain(model, self)
        check(model, encoder.n_steps)
        if self.weights is not None:
            kernels, diagnostics = load(self.weights, model, encoder.n_steps), Diagnostics()
        else:
            need("torch", "--rule surrogate")
            from spikingconvnet.training.chain.gradients import spiking

            begin, before = started(model, images, labels, rng, self, encoder, image_filter, progress)
            kernels, diagnostics = spiking.train(model, images, labels, rng, encoder, self, begin, progress, validation,
                                                 events)
            diagnostics = {**before, **diagnostics}
        return converted(model, kernels), diagnostics


def started(model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, rule: Surrogate,
            encoder: Encoder, image_filter: ImageFilter | None = None,
            progress: Progress = iter) -> tuple[list[Floats] | None, Diagnostics]:
    """Weights to begin with, from rectifying units, and their diagnostics: list of float64 array or None, dict."""
    if rule.start is None:
        return None, {}
    layers, diagnostics = rule.start.train(model, images, labels, rng, encoder=encoder, image_filter=image_filter,
                                           progress=progress)
    return [rule.boost * balance.gain(stage.layer.neuron) * layer.kernels / layer.v_thresh[:, None, None, None]
            for stage, layer in zip(model.stages, layers)], {"ann_" + name.removeprefix("ann_"): value
                                                             for name, value in diagnostics.items()}


def converted(model: Sequential, kernels: Sequence[Numbers]) -> list[TrainedLayer]:
    """Layers of a board's neurons: list of TrainedLayer.

    Parameters
    ----------
    model : model.Sequential
    kernels : list of float array
        In units of the distance from rest to threshold, by which a spike moves the membrane.
    """
    found = []
    for stage, kernel in zip(model.stages, kernels):
        neuron = stage.layer.neuron
        in_na = (neuron.v_thresh - neuron.v_rest) / balance.gain(neuron)
        found.append(TrainedLayer(kernel.astype(np.float64) * in_na, np.full(stage.out_shape[0], neuron.v_thresh)))
    return found


def simulated(model: Sequential, kernels: Sequence[Numbers], spikes: Spikes) -> tuple[list[Floats], Floats]:
    """What a trained network fires, in double precision, a board's delays left out.

    Parameters
    ----------
    model : model.Sequential
    kernels : list of float array
        As :func:`lowered` takes them.
    spikes : Spikes
        Of the input.

    Returns
    -------
    fired : list of float array (samples, steps, *out_shape)
        0 or 1, of every layer.
    v : float array (samples, *out_shape)
        Membranes of the last layer at the end, from rest 0 to threshold 1.
    """
    values, found = spikes.raster().astype(np.float64), []
    for stage, kernel in zip(model.stages, kernels):
        drive = responses(stage.main, kernel, values.reshape(-1, *stage.source_shape))
        drive = drive.reshape(spikes.n_samples, spikes.n_steps, *stage.out_shape)
        decay, reset = cell(stage.layer.neuron)
        v, fired = np.zeros(stage.out_shape), np.empty(drive.shape)
        for step in range(spikes.n_steps):
            v = decay * v + drive[:, step]
            fired[:, step] = v >= 1.0
            v = np.where(v >= 1.0, reset, v)
        found.append(fired)
        values = fired
    return found, v


def check(model: Sequential, n_steps: int) -> None:
    """Raise a SettingsError unless training and a board would show the model the same.

    Parameters
    ----------
    model : model.Sequential
    n_steps : int
        Of the encoder.
    """
    for stage in model.stages:
        neuron = stage.layer.neuron
        plain = isinstance(neuron, IFCurrDelta) and neuron.tau_refrac == neuron.i_offset == 0
        if not plain or neuron.v != neuron.v_rest or neuron.v_thresh <= max(neuron.v_rest, neuron.v_reset):
            raise SettingsError(f"layer {stage.number}: --rule surrogate needs an IFCurrDelta that starts at rest,"
                                f" below its threshold, with tau_refrac and i_offset of 0, as in"
                                f" spikingconvnet/experiment/recipes/surrogate.py, got {neuron}")
    readout, depth = model.readout, len(model.stages)
    if not isinstance(readout, SpikeCount) or readout.first > depth or (readout.last or np.inf) < n_steps + depth:
        raise SettingsError(f"MODEL: --rule surrogate trains with all {n_steps} steps of ENCODER, whose spikes leave a"
                            f" chain of {depth} layers in steps {depth} to {n_steps + depth - 1}; end it with"
                            f" SpikeCount(last={n_steps + depth}), got {readout}")


def save(path: str | Path, kernels: Sequence[Numbers], n_steps: int) -> None:
    """Keep trained weights in a file for ``Surrogate(weights=...)``.

    Parameters
    ----------
    path : str or Path
        Ends with ``.npz``.
    kernels : list of float array (units, channels, rows, columns)
        As :func:`lowered` takes them.
    n_steps : int
        With which they were trained.
    """
    weights.write(path, {"n_steps": np.array(n_steps),
                         **{f"kernels{number}": array for number, array in enumerate(kernels, start=1)}})


def load(path: str | Path, model: Sequential, n_steps: int) -> list[Floats]:
    """Weights of a file that :func:`save` wrote, checked against the model and the steps: list of float64 array.

    See ``weights.read``; a SettingsError if it was trained with other steps.
    """
    kernels = {f"kernels{stage.number}": stage.layer.kernel_shape(stage.in_shape) for stage in model.stages}
    found = weights.read(path, {"n_steps": (), **kernels}, "Surrogate", "training.surrogate.save")
    if found["n_steps"] != n_steps:
        raise SettingsError(f"Surrogate.weights: {path}: was trained with {found['n_steps']:g} steps an image,"
                            f" and ENCODER makes {n_steps}")
    return [found[name] for name in kernels]
