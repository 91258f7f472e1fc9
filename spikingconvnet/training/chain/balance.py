"""From a trained chain to one that a board can hold: gains of neuron models, largest inputs, thresholds, weight steps.

Rules train in units of their own choice. On a board a membrane is s16.15, and its target ``current * tau_m / cm``
wraps at 65536 mV; a step's input has 16 bits, on a scale that sPyNNaker chooses for neurons that fire at 30 Hz. So the
largest inputs are measured on training images; where they would wrap, weights, thresholds, offsets and start membranes
of the layer are halved together until they do not, which changes nothing else, and the scale is chosen for them.

Average pooling needs no step here: connections divide the next layer's weights by the pool's area.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.board.fixed_point import leak
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.model import build
from spikingconvnet.model.learning import NetworkRule, OpenNetwork
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.network.geometry import pair, receptive_fields
from spikingconvnet.network.neurons import IFCurrDelta, Neuron
from spikingconvnet.network.spikes import Spikes

SAMPLES = 100               # training images on which inputs are measured
BATCH = 10                  # samples at a time
LARGEST_TARGET = 59_000.0   # mV; the distance from the membrane to its target has to fit s16.15 as well


def require_dense(model: Sequential, rule: NetworkRule) -> None:
    """Raise a SettingsError unless all layers of a model are Dense, without pooling between them."""
    for stage in model.stages:
        if not stage.dense or stage.pool is not None:
            raise SettingsError(f"--rule {rule.name}: trains Dense layers, layer {stage.number} of MODEL is"
                                f" {stage.layer}")


@dataclass(frozen=True)
class Peak:
    """Largest inputs of a layer's neurons in one step, nA.

    Attributes
    ----------
    excitatory, inhibitory : float
        Of each receptor alone.
    net : float
        Of the difference, without sign.
    """

    excitatory: float
    inhibitory: float
    net: float


def gain(neuron: Neuron, timestep: float = 1.0) -> float:
    """What a steady input of one spike a step through a weight of 1 nA adds to the membrane's distance in a step, mV.

    An IFCurrDelta holds the weight's charge of 1 ms as a current for one step; of an IFCurrExp the current adds up to
    ``tau_syn_E / dt`` times the weight. Weights divided by it are in mV a spike. The leak is that of the board's
    integers, whose exponential loses the last bit: with a `tau_m` of 2048 ms they leak, and add, 17/16 of what they
    should, with 32,768 ms twice as much; with 512 ms it is 1.

    Parameters
    ----------
    neuron : IFCurrExp or IFCurrDelta
    timestep : float
        ms.

    Raises
    ------
    SettingsError
        A `tau_m` above 32768 ms.
    """
    require(neuron.tau_m <= 32768.0, type(neuron).__name__, "tau_m", neuron.tau_m,
            "at most 32768 ms: on a board exp(-dt / tau_m) is 1 beyond, and inputs have no effect")
    return current(neuron, timestep) * neuron.tau_m / neuron.cm * float(leak(np.array([neuron.tau_m]), timestep)[0])


def current(neuron: Neuron, timestep: float = 1.0) -> float:
    """Current that a steady input of one spike a step through 1 nA ends in, nA; of the longer time constant."""
    if isinstance(neuron, IFCurrDelta):
        return 1.0 / timestep
    return max(neuron.tau_syn_E, neuron.tau_syn_I) / timestep


def responses(stage: Stage, kernels: Numbers, values: Numbers) -> Numbers:
    """Linear response of a layer: what its neurons sum up.

    Parameters
    ----------
    stage : model.Stage
    kernels : float array (filters, channels, rows, columns)
    values : float array (n, C, H, W)
        Of shape ``stage.source_shape``, before pooling.

    Returns
    -------
    float array (n, maps, rows, columns), of shape ``stage.out_shape``
    """
    fields = receptive_fields(stage.in_shape, pair(stage.layer.kernel_size), pair(stage.layer.strides))
    windows = pooled(stage, values).reshape(len(values), -1)[:, fields]
    weights = build.all_channel_kernels(stage, kernels).reshape(stage.out_shape[0], -1).astype(values.dtype)
    return (windows @ weights.T).transpose(0, 2, 1).reshape(len(values), *stage.out_shape)


def pooled(stage: Stage, values: Numbers) -> Numbers:
    """Values of the stage's source as its windows see them: mean of every pool, (n, *stage.in_shape)."""
    if stage.pool is None:
        return values
    rows, columns = pair(stage.pool.pool_size)
    channels, height, width = stage.in_shape
    parts = values[:, :, :height * rows, :width * columns].reshape(-1, channels, height, rows, width, columns)
    return parts.mean(axis=(3, 5))


def activations(model: Sequential, kernels: Sequence[Numbers], images: Numbers,
                offsets: Sequence[Numbers] | None = None) -> list[Numbers]:
    """Rectified responses of all layers to images, layer by layer; the last layer's are not rectified.

    Parameters
    ----------
    model : model.Sequential
    kernels : list of float array
        Of every stage.
    images : float array (n, C, H, W)
    offsets : list of float array (maps,) or None
        Added to the responses.

    Returns
    -------
    list of float array (n, maps, rows, columns)
    """
    found, values = [], images
    for stage in model.stages:
        values = responses(stage, kernels[stage.number - 1], values)
        if offsets is not None:
            values = values + offsets[stage.number - 1].astype(values.dtype)[:, None, None]
        if stage.number < len(model.stages):
            values = np.maximum(values, 0.0)
        found.append(values)
    return found


def peak_input(stage: Stage, layer: TrainedLayer, spikes: Spikes) -> Peak:
    """Largest inputs in any step of the spikes of the layer's source, offsets not included: Peak.

    Parameters
    ----------
    stage : model.Stage
    layer : TrainedLayer
    spikes : Spikes
    """
    excitatory, inhibitory = np.maximum(layer.kernels, 0.0), np.maximum(-layer.kernels, 0.0)
    largest = np.zeros(3)
    for first in range(0, spikes.n_samples, BATCH):
        counts = spikes.samples(first, min(first + BATCH, spikes.n_samples)).raster().astype(np.float32)
        counts = counts[counts.any(axis=1)]
        if not len(counts):
            continue
        counts = counts.reshape(-1, *spikes.shape)
        e, i = (responses(stage, part, counts) for part in (excitatory, inhibitory))
        largest = np.maximum(largest, [part.max(initial=0.0) for part in (e, i, abs(e - i))])
    return Peak(*largest.tolist())


def scaled(stage: Stage, layer: TrainedLayer, factor: float) -> TrainedLayer:
    """A layer whose membranes are all `factor` times as high and that fires the same: TrainedLayer.

    Its neurons have to rest and be reset at 0 mV, unless `factor` is 1: others are a SettingsError.
    """
    neuron, size = stage.layer.neuron, math.prod(stage.out_shape)
    if factor == 1.0:
        return layer
    if neuron.v_rest or neuron.v_reset:
        raise SettingsError(f"layer {stage.number}: its inputs do not fit s16.15 and would have to be scaled, which"
                            f" needs v_rest and v_reset of 0, got {neuron.v_rest:g} and {neuron.v_reset:g} mV")
    v = np.full(size, neuron.v) if layer.v is None and neuron.v else layer.v
    largest = layer.max_expected_summed_weight
    return TrainedLayer(layer.kernels * factor, layer.v_thresh * factor,
                        factor * (layer.i_offset + neuron.i_offset) - neuron.i_offset,
                        None if v is None else v * factor, None if largest is None else largest * factor)


def fitting_factor(stage: Stage, layer: TrainedLayer, peak: Peak) -> float:
    """Largest power of two, at most 1, by which a layer's membranes fit s16.15: float.

    The target of a membrane is ``current * tau_m / cm``.
    """
    neuron = stage.layer.neuron
    largest = peak.net * current(neuron) + abs(layer.i_offset + neuron.i_offset).max()
    target = largest * neuron.tau_m / neuron.cm + abs(neuron.v_rest)
    return 2.0 ** -max(0, math.ceil(math.log2(target / LARGEST_TARGET))) if target > 0 else 1.0


def balanced(model: Sequential, trained: Sequence[TrainedLayer], spikes: Spikes, open_network: OpenNetwork,
             reset: bool = False) -> tuple[list[TrainedLayer], list[Peak]]:
    """A trained chain as a board can hold it.

    Parameters
    ----------
    model : model.Sequential
    trained : list of TrainedLayer
    spikes : Spikes
        Of the input; the first samples are used.
    open_network : callable
        ``open`` of a backend.
    reset : bool
        Whether every sample starts at rest.

    Returns
    -------
    layers : list of TrainedLayer
    peaks : list of Peak
        In the units of the layers that are returned.

    Raises
    ------
    SettingsError
        A layer with numbers that are not finite, or that would have to be scaled and cannot, see :func:`scaled`.
    """
    for stage, layer in zip(model.stages, trained):
        if not all(np.isfinite(part).all() for part in layer.arrays().values()):
            raise SettingsError(f"layer {stage.number}: its rule has found weights that are no finite numbers; lower"
                                " the learning rate, or what else multiplies weights, in RULE of the parameters")
    layers, peaks = [], []
    shown = spikes.samples(0, min(SAMPLES, spikes.n_samples))
    for stage, layer in zip(model.stages, trained):
        peak = peak_input(stage, layer, shown)
        factor = fitting_factor(stage, layer, peak)
        layer = scaled(stage, layer, factor)
        peak = Peak(peak.excitatory * factor, peak.inhibitory * factor, peak.net * factor)
        if layer.max_expected_summed_weight is None and peak.net > 0:
            layer = replace(layer, max_expected_summed_weight=max(peak.excitatory, peak.inhibitory))
        layers.append(layer)
        peaks.append(peak)
        if stage.number < len(model.stages):
            with open_network(build.inference_network([stage], [layer], shown, reset)) as simulation:
                simulation.run(simulation.source_steps)
                shown = simulation.recording().spikes[stage.label]
    return layers, peaks


def cell(neuron: Neuron) -> tuple[float, float]:
    """How a neuron's membrane goes on from one step to the next, from rest 0 to threshold 1: (decay, reset)."""
    decay = 1.0 - float(leak(np.array([neuron.tau_m]), 1.0)[0])
    return decay, (neuron.v_reset - neuron.v_rest) / (neuron.v_thresh - neuron.v_rest)
