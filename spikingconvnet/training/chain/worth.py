"""Layers of integrate-and-fire neurons for layers of rectifying units: what each is divided by, and their weights.

What a spike a step of a map stands for is its *worth*, in activations: kernels are multiplied by that of the maps they
see and divided by that of their own, see ``convert``.
"""

import math
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np

from spikingconvnet.gates.progress import counted
from spikingconvnet.model.branches import Branch
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Floats, Numbers
from spikingconvnet.network.neurons import OUT_OF_REACH
from spikingconvnet.training.chain.balance import gain
from spikingconvnet.training.chain.units import Units, activations

BATCH = 250             # images that go through a network of units at a time
GOLDEN = (math.sqrt(5) - 1) / 2
LEAST = 0.01            # of a layer's largest activation: that of a map, for 'channels'

Measured: TypeAlias = Callable[[int, TrainedLayer, Floats], Floats]


class Balancing(Protocol):
    """What the settings of a rule say of a conversion, see ``convert.Convert``."""

    @property
    def norm(self) -> str:
        """What layers are divided by."""

    @property
    def quantile(self) -> float:
        """Of activations, for norms that take one."""

    @property
    def balance(self) -> str:
        """Whether weights are divided or thresholds multiplied."""

    @property
    def threshold(self) -> float:
        """mV, before balancing."""

    @property
    def start(self) -> float:
        """Membranes at the start, as a share of the threshold."""

    @property
    def peak_rate(self) -> float:
        """Spikes a step of the activation that a layer is divided by."""

    @property
    def spread(self) -> bool:
        """Whether membranes of hidden layers start spread."""


def converted(model: Sequential, units: Sequence[Units], images: Numbers, rule: Balancing, rate: float = 1.0,
              measured: Measured | None = None) -> tuple[list[TrainedLayer], list[float]]:
    """Layers of spiking neurons that stand for rectifying units.

    Parameters
    ----------
    model : model.Sequential
    units : list of Units
        Of every layer.
    images : float array (n, C, H, W)
        From which activations are taken.
    rule : Convert
        Or one with its `norm`, `quantile`, `balance`, `threshold`, `start` and `peak_rate`.
    rate : float
        Spikes a step of an input of 1, the encoder's ``max_rate``.
    measured : callable or None
        ``measured(number, layer, worth)`` says what the spikes of a layer that was made for `worth` are worth, see
        ``calibration.Calibration``.

    Returns
    -------
    layers : list of TrainedLayer
    scales : list of float
        What each layer was divided by: its activation that is one spike a step.
    """
    scales = [scale / rule.peak_rate for scale in scales_of(model, units, images, rule)]
    worth = [np.full(model.input_shape[0], 1.0 / rate), *(np.broadcast_to(scale, stage.out_shape[0]) for stage, scale
                                                          in zip(model.stages, scales))]
    layers = []
    for stage, one in zip(model.stages, units, strict=True):
        layers.append(_layer(model, stage, rule, one, worth))
        if measured is not None and stage.number < len(model.stages):
            worth[stage.number] = measured(stage.number, layers[-1], worth[stage.number])
    return layers, [float(np.max(scale)) for scale in scales]


def scales_of(model: Sequential, units: Sequence[Units], images: Numbers, rule: Balancing) -> list[float | Floats]:
    """What each layer is divided by, see `Convert.norm`: list of float, or of an array (maps,)."""
    if rule.norm == "none":
        return [1.0] * len(units)
    if rule.norm == "model":
        return _worst_cases(model, units)
    parts = [activations(model, units, images[first:first + BATCH])
             for first in counted(range(0, len(images), BATCH), "units: activations")]
    found: list[float | Floats] = []
    for number, one in enumerate(units, start=1):
        values = np.concatenate([part[number - 1] for part in parts])
        largest = (max(values.max(), *(kernels.max() for kernels in one.all_kernels)) if rule.norm == "data"
                   else np.quantile(values, rule.quantile))
        found.append(max(float(largest), 1e-9))
        if rule.norm == "channels" and number < len(units):
            found[-1] = np.maximum(np.quantile(values, rule.quantile, axis=(0, 2, 3)), LEAST * found[-1])
    return found


def _worst_cases(model: Sequential, units: Sequence[Units]) -> list[float | Floats]:
    """Largest activation of each layer if every unit before it that helps is at its own largest, the input at 1."""
    found: list[float | Floats] = [1.0]
    for stage, one in zip(model.stages, units):
        helped = sum(np.maximum(kernels, 0.0).reshape(len(kernels), -1).sum(axis=1) * found[branch.source]
                     for branch, kernels in zip(stage.branches, one.all_kernels))
        offset = np.maximum(one.bias, 0.0).reshape(len(one.bias), -1).max(axis=1)
        found.append(max(float((helped + offset).max()), 1e-9))
    return found[1:]


def _layer(model: Sequential, stage: Stage, rule: Balancing, units: Units, worth: Sequence[Floats]) -> TrainedLayer:
    """A layer of neurons.

    `worth` is what a spike a step stands for, by the number of a layer, 0 for the input: float arrays (maps,).
    """
    before, now = worth[stage.source], worth[stage.number]
    threshold = rule.threshold * (1.0 if rule.balance == "weights" else float(now[0] / before[0]))
    in_na = threshold / now / gain(stage.layer.neuron)      # of an activation of 1, of each map
    fires = isinstance(model.readout, SpikeCount) or stage.number < len(model.stages)
    v = _start(rule, math.prod(stage.out_shape), threshold, stage.number < len(model.stages))
    kernels, *shortcuts = (_in_spikes(branch, one, worth[branch.source]) * in_na[:len(one), None, None, None]
                           for branch, one in zip(stage.branches, units.all_kernels, strict=True))
    bias = units.bias * (in_na if units.bias.ndim == 1 else in_na[:, None, None])
    return TrainedLayer(kernels, np.full(stage.out_shape[0], threshold if fires else OUT_OF_REACH), bias, v,
                        shortcuts=tuple(shortcuts))


def _start(rule: Balancing, size: int, threshold: float, hidden: bool) -> Floats | None:
    """Membranes at the start, mV: float array (size,), None for rest; spread by the golden ratio, most evenly."""
    if rule.spread and hidden:
        return threshold * np.mod((np.arange(size) + 0.5) * GOLDEN, 1.0)
    return np.full(size, rule.start * threshold) if rule.start else None


def _in_spikes(branch: Branch, kernels: Numbers, worth: Floats) -> Floats:
    """Kernels for spikes in the place of activations; `worth`: of each channel, an activation of one spike a step."""
    channels = branch.channels_seen[:1] if branch.per_map else branch.channels_seen
    return np.asarray(kernels.astype(np.float64) * worth[channels][..., None, None])
