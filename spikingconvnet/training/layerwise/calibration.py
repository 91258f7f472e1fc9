"""Thresholds with which a trained layer fires as often as it should."""

from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.errors import SettingsError
from spikingconvnet.gates.fields import SIZE, check_fields
from spikingconvnet.model import build
from spikingconvnet.model.layers import Conv2D
from spikingconvnet.model.learning import OpenNetwork
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Floats
from spikingconvnet.network.neurons import OUT_OF_REACH
from spikingconvnet.network.spikes import Spikes

BATCH = 10


@dataclass(frozen=True)
class FiringShare:
    """Thresholds that a share ``layer.firing`` of windows reaches.

    A part of ``STDP``: another one is a frozen dataclass with the same methods.

    Attributes
    ----------
    samples : int
        From which the thresholds are taken, the first ones; a SettingsError unless 1 or more.
    """

    samples: int = 200

    def __post_init__(self) -> None:
        check_fields(self, samples=SIZE)

    def kernels(self, layer: Conv2D, learned: Floats) -> Floats:
        """Kernels for inference, nA: see :func:`inference_kernels`."""
        return inference_kernels(layer, learned)

    def __call__(self, stage: Stage, learned: Floats, spikes: Spikes, open_network: OpenNetwork) -> TrainedLayer:
        """Kernels and thresholds for inference: TrainedLayer. See :func:`calibrate`."""
        return calibrate(stage, learned, spikes.samples(0, min(self.samples, spikes.n_samples)), open_network)


def inference_kernels(layer: Conv2D, learned: Floats) -> Floats:
    """Kernels for inference: mean removed (if ``layer.centred``) and scaled to length ``layer.gain``, nA.

    A kernel of equal weights has nothing left without its mean and stays zero.
    """
    flat = learned.reshape(len(learned), -1)
    if layer.centred:
        flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    scaled = np.divide(layer.gain * flat, length, out=np.zeros_like(flat), where=length > 1e-9)
    return scaled.reshape(learned.shape)


def calibrate(stage: Stage, learned: Floats, spikes: Spikes, open_network: OpenNetwork) -> TrainedLayer:
    """Inference kernels with thresholds that a share ``layer.firing`` of (sample, position) pairs reaches.

    Parameters
    ----------
    stage : model.Stage
    learned : float array (filters, channels, rows, columns)
    spikes : Spikes
        Of the stage's source.
    open_network : callable

    Returns
    -------
    TrainedLayer

    Raises
    ------
    SettingsError
        A map that fewer windows lift above rest.
    """
    layer, maps = stage.layer, stage.out_shape[0]
    silent = replace(layer, neuron=replace(layer.neuron, v_thresh=OUT_OF_REACH))
    kernels = inference_kernels(layer, learned)
    network = build.inference_network([replace(stage, layer=silent)],
                                      [TrainedLayer(kernels, np.full(maps, OUT_OF_REACH))], spikes)
    peaks = []
    with open_network(network, record=(stage.label,)) as simulation:
        for first in range(0, spikes.n_samples, BATCH):
            samples = min(BATCH, spikes.n_samples - first)
            simulation.run(samples * spikes.n_steps)
            v = simulation.recording().membranes[stage.label]["v"]
            peaks.append(v.reshape(samples, spikes.n_steps, maps, -1).max(axis=1))
    peak = np.concatenate(peaks).transpose(1, 0, 2).reshape(maps, -1)
    raw = np.ceil(np.quantile(peak, 1.0 - layer.firing, axis=1))
    v_thresh = raw / 32768.0
    if (v_thresh <= layer.neuron.v_rest).any():
        index = int(np.argmax(v_thresh <= layer.neuron.v_rest))
        raise SettingsError(f"layer {stage.number}, filter {index + 1}: fewer than {100 * layer.firing:g} % of the"
                            " windows lift its membrane above rest, so no threshold gives that share;"
                            " lower Conv2D.firing in the parameters")
    return TrainedLayer(kernels, v_thresh)
