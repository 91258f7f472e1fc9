"""Membranes of some neurons of a layer, with the integers that they have in the whole network, at a part of its cost.

A neuron of a convolution is simulated behind the spikes in its own window alone. The weight scale that a board chooses
follows from its map's kernel, so it stays what it is.
"""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from spikingconvnet import backends
from spikingconvnet.model import build
from spikingconvnet.model.branches import Branch
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Ints, Ints32
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes


def membranes(stage: Stage, layer: TrainedLayer, spikes: Mapping[int, Spikes], neurons: Ints, reset: bool,
              jobs: int | None = None) -> Ints32:
    """Raw membranes of neurons of a layer: int32 array (steps, neurons).

    Parameters
    ----------
    stage : model.Stage
    layer : TrainedLayer
    spikes : dict of int to Spikes
        Of the layers that it sees, 0 the input; of itself, if its maps compete.
    neurons : int array (neurons,)
    reset : bool
        Whether every sample starts at rest.
    jobs : int or None
        Threads.
    """
    # A board takes a kernel for no larger than the map that it sees, when it chooses the scale of weights.
    if stage.dense or any(prod(one.kernel_size) > prod(one.source_shape[1:]) for one in stage.branches):
        seen = {branch.source: spikes[branch.source] for branch in stage.branches}
        whole = build.inference_network([stage], [layer], seen, reset)
        found: Ints32 = backends.run(whole, record={stage.label: neurons}, jobs=jobs).membranes[stage.label]["v"]
        return found
    network = _alone(stage, layer, spikes, neurons, reset)
    traces = backends.run(network, record=[_label(k) for k in range(len(neurons))], jobs=jobs).membranes
    return np.hstack([traces[_label(k)]["v"] for k in range(len(neurons))])


def _label(k: int) -> str:
    return f"neuron{k}"


def _alone(stage: Stage, layer: TrainedLayer, spikes: Mapping[int, Spikes], neurons: Ints, reset: bool) -> Network:
    """Each neuron as a population of its own, behind what it sees."""
    values, slot = build.values_of(stage, layer), next(iter(spikes.values())).n_steps
    kernels = [branch.full(own) for branch, own in zip(stage.branches, layer.all_kernels)]
    populations, projections = [], []
    for k, neuron in enumerate(neurons.tolist()):
        of_map, row, column = (int(place) for place in np.unravel_index(neuron, stage.out_shape))
        own = {name: np.asarray(value)[[neuron]] for name, value in values.items()}
        populations.append(Population(_label(k), (1, 1, 1), stage.layer.neuron, own, True,
                                      layer.max_expected_summed_weight))
        ways = [(_window(spikes[branch.source], branch, row, column), full[[of_map]], branch.pool, delay)
                for branch, full, delay in zip(stage.branches, kernels, stage.delays)]
        if stage.layer.lateral and stage.out_shape[0] > 1:
            others = build.competition(stage.out_shape, stage.layer.lateral)
            ways.append((_place(spikes[stage.number], row, column), others.kernels[[of_map]], (1, 1), others.delay))
        for i, (seen, kernel, pool, delay) in enumerate(ways):
            populations.append(Population(f"{_label(k)} sees {i}", seen.shape, SpikeSourceArray(seen)))
            projections.append(Projection(f"{_label(k)} {i}", populations[-1].label, _label(k),
                                          ConvConnections(kernel, seen.shape, pool=pool, delay=delay)))
    return Network(tuple(populations), tuple(projections), reset_every=slot if reset else 0)


def _window(spikes: Spikes, branch: Branch, row: int, column: int) -> Spikes:
    """What a neuron at a place sees of a source by one way, padding being silent: Spikes."""
    first = [(at * stride - padding) * pool for at, stride, padding, pool
             in zip((row, column), branch.strides, branch.padding, branch.pool)]
    size = [kernel * pool for kernel, pool in zip(branch.kernel_size, branch.pool)]
    pooled = [n * pool for n, pool in zip(branch.in_shape[1:], branch.pool)]
    return _cut(spikes, first, size, pooled)


def _place(spikes: Spikes, row: int, column: int) -> Spikes:
    """All maps at one place."""
    return _cut(spikes, (row, column), (1, 1), spikes.shape[1:])


def _cut(spikes: Spikes, first: Sequence[int], size: Sequence[int], there: Sequence[int]) -> Spikes:
    """Spikes in a window of all maps, of neurons up to the rows and columns `there`."""
    channel, row, column = np.unravel_index(spikes.neurons, spikes.shape)
    inside = np.ones(len(row), bool)
    for place, start, length, n in ((row, first[0], size[0], there[0]), (column, first[1], size[1], there[1])):
        inside &= (place >= start) & (place < min(start + length, n))
    sample, step = np.divmod(spikes.steps()[inside], spikes.n_steps)
    shape = (spikes.shape[0], size[0], size[1])
    neuron = np.ravel_multi_index((channel[inside], row[inside] - first[0], column[inside] - first[1]), shape)
    return Spikes.from_events(sample, neuron, step, shape, spikes.n_samples, spikes.n_steps)
