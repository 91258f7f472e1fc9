"""From layers and weights to a network for inference."""

from collections.abc import Mapping, Sequence

import numpy as np

from spikingconvnet.errors import NetworkError, require
from spikingconvnet.model.branches import Branch
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Floats, Shape
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

INPUT = "input"


def label_of(number: int) -> str:
    """Label of the population of a layer; of the input, 0, that of its source."""
    return f"layer{number}" if number else INPUT


def inference_network(stages: Sequence[Stage], trained: Sequence[TrainedLayer], spikes: Spikes | Mapping[int, Spikes],
                      reset: bool = False) -> Network:
    """Trained layers behind a source, or several.

    Parameters
    ----------
    stages : list of model.Stage
        Consecutive ones; a single one replays the spikes of the layer before it.
    trained : list of TrainedLayer
    spikes : Spikes, or dict of int to Spikes
        Of shape ``stages[0].source_shape``; its samples, gap included, are the timeline. Layers that see several that
        are not among the stages need the spikes of each, by number.
    reset : bool
        Whether every sample starts at rest.

    Returns
    -------
    Network, all static: a source ``input`` (with several: ``layer1`` and so on) and one population per stage; one board
    population per map of a convolution

    Raises
    ------
    NetworkError
        Not one trained layer a stage, or spikes of another shape.
    """
    require(len(stages) == len(trained), "inference_network", "trained", len(trained), f"{len(stages)} layers",
            NetworkError)
    sources, labels = _sources(stages, spikes)
    populations = [Population(labels[number], one.shape, SpikeSourceArray(one)) for number, one in sources.items()]
    projections = []
    for stage, layer in zip(stages, trained):
        populations.append(Population(stage.label, stage.out_shape, stage.layer.neuron, values_of(stage, layer),
                                      not stage.dense, layer.max_expected_summed_weight))
        for i, (branch, kernels) in enumerate(zip(stage.branches, layer.all_kernels, strict=True)):
            projections.append(Projection(f"{stage.label} shortcut{i}" if i else stage.label, labels[branch.source],
                                          stage.label, connections_of(branch, kernels, stage.delays[i])))
        if stage.layer.lateral and stage.out_shape[0] > 1:
            projections.append(Projection(f"{stage.label} lateral", stage.label, stage.label,
                                          competition(stage.out_shape, stage.layer.lateral)))
    slot = next(iter(sources.values())).n_steps
    return Network(tuple(populations), tuple(projections), reset_every=slot if reset else 0)


def connections_of(branch: Branch, kernels: Floats, delay: int = 1) -> ConvConnections:
    """Connections of a branch with kernels of its ``kernel_shape``: ConvConnections."""
    return ConvConnections(branch.full(kernels), branch.source_shape, branch.strides, branch.pool, delay,
                           branch.padding)


def _sources(stages: Sequence[Stage],
             spikes: Spikes | Mapping[int, Spikes]) -> tuple[Mapping[int, Spikes], dict[int, str]]:
    """Spikes of what the stages see and are not, by number, and labels of all that they see."""
    among = {stage.number for stage in stages}
    branches = [branch for stage in stages for branch in stage.branches]
    wanted = {branch.source: branch.source_shape for branch in branches if branch.source not in among}
    given = {stages[0].source: spikes} if isinstance(spikes, Spikes) else spikes
    for number, shape in wanted.items():
        require(number in given, "inference_network", "spikes", sorted(given), f"those of layers {sorted(wanted)}",
                NetworkError)
        require(given[number].shape == shape, "inference_network", "spikes.shape", given[number].shape, shape,
                NetworkError)
    labels = {number: label_of(number) if number in among or len(wanted) > 1 else INPUT
              for number in {branch.source for branch in branches}}
    return {number: given[number] for number in sorted(wanted)}, labels


def competition(shape: Shape, lateral: float) -> ConvConnections:
    """Inhibition between the maps of a layer at each place: ConvConnections with kernels of one weight.

    Parameters
    ----------
    shape : (maps, rows, columns)
    lateral : float, nA
    """
    others = 1.0 - np.eye(shape[0])
    return ConvConnections(-lateral * others[:, :, None, None], shape)


def values_of(stage: Stage, layer: TrainedLayer) -> dict[str, Floats]:
    """Parameters that a trained layer sets neuron by neuron: dict of str to float array (neurons,)."""
    positions = stage.out_shape[1] * stage.out_shape[2]
    values = {"v_thresh": np.repeat(layer.v_thresh, positions)}
    if np.any(layer.i_offset):
        offsets = layer.i_offset.ravel() if layer.i_offset.ndim == 3 else np.repeat(layer.i_offset, positions)
        values["i_offset"] = offsets + stage.layer.neuron.i_offset
    if layer.v is not None:
        values["v"] = layer.v
    return values
