"""From layers and weights to a network for inference."""

from collections.abc import Sequence

import numpy as np

from spikingconvnet.errors import NetworkError, require
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Floats, Shape
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.geometry import pair
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

INPUT = "input"


def inference_network(stages: Sequence[Stage], trained: Sequence[TrainedLayer], spikes: Spikes,
                      reset: bool = False) -> Network:
    """A chain of trained layers behind a source.

    Parameters
    ----------
    stages : list of model.Stage
        Consecutive ones; a single one replays the spikes of the layer before it.
    trained : list of TrainedLayer
    spikes : Spikes
        Of shape ``stages[0].source_shape``; its samples, gap included, are the timeline.
    reset : bool
        Whether every sample starts at rest.

    Returns
    -------
    Network, all static: a source ``input`` and one population per stage; one board population per map of a convolution

    Raises
    ------
    NetworkError
        Not one trained layer a stage, or spikes of another shape.
    """
    require(len(stages) == len(trained), "inference_network", "trained", len(trained), f"{len(stages)} layers",
            NetworkError)
    require(spikes.shape == stages[0].source_shape, "inference_network", "spikes.shape", spikes.shape,
            stages[0].source_shape, NetworkError)
    populations = [Population(INPUT, spikes.shape, SpikeSourceArray(spikes))]
    projections = []
    for stage, layer in zip(stages, trained):
        connections = ConvConnections(all_channel_kernels(stage, layer.kernels), stage.source_shape,
                                      pair(stage.layer.strides), pair(stage.pool.pool_size if stage.pool else 1))
        populations.append(Population(stage.label, stage.out_shape, stage.layer.neuron, _values(stage, layer),
                                      not stage.dense, layer.max_expected_summed_weight))
        projections.append(Projection(stage.label, populations[-2].label, stage.label, connections))
        if stage.layer.lateral and stage.out_shape[0] > 1:
            projections.append(Projection(f"{stage.label} lateral", stage.label, stage.label,
                                          competition(stage.out_shape, stage.layer.lateral)))
    return Network(tuple(populations), tuple(projections), reset_every=spikes.n_steps if reset else 0)


def competition(shape: Shape, lateral: float) -> ConvConnections:
    """Inhibition between the maps of a layer at each place: ConvConnections with kernels of one weight.

    Parameters
    ----------
    shape : (maps, rows, columns)
    lateral : float, nA
    """
    others = 1.0 - np.eye(shape[0])
    return ConvConnections(-lateral * others[:, :, None, None], shape)


def _values(stage: Stage, layer: TrainedLayer) -> dict[str, Floats]:
    """Parameters that a trained layer sets neuron by neuron."""
    positions = stage.out_shape[1] * stage.out_shape[2]
    values = {"v_thresh": np.repeat(layer.v_thresh, positions)}
    if np.any(layer.i_offset):
        values["i_offset"] = np.repeat(layer.i_offset, positions) + stage.layer.neuron.i_offset
    if layer.v is not None:
        values["v"] = layer.v
    return values


def all_channel_kernels(stage: Stage, kernels: Floats) -> Floats:
    """Kernels over all input channels: (maps, channels, rows, columns).

    A per-map layer has one set of single-channel kernels; output map ``filter * channels + channel`` sees one channel,
    in the order of the 2018 original.
    """
    if not stage.layer.per_map:
        return kernels
    channels, filters, size = stage.in_shape[0], stage.layer.filters, pair(stage.layer.kernel_size)
    full = np.zeros((filters, channels, channels, *size))
    for channel in range(channels):
        full[:, channel, channel] = kernels[:, 0]
    return full.reshape(filters * channels, channels, *size)
