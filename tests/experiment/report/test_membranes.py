"""Membranes of single neurons: those that they have in the whole network, integer by integer."""

import numpy as np
import pytest

from spikingconvnet import AvgPool2D, Classifier, Conv2D, Dense, IFCurrExp, Sequential, Shortcut, SpikeCount, backends
from spikingconvnet.experiment.report.membranes import membranes
from spikingconvnet.model import build
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.spikes import Spikes

CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=3.0, tau_refrac=2.0)
MODELS = {
    "pooling, strides, and maps that compete": Sequential(
        (2, 11, 9), Conv2D(3, 3, strides=2, neuron=CELL, lateral=3.0), AvgPool2D(2), Conv2D(2, 2, neuron=CELL),
        Classifier()),
    "padding, groups and shortcuts": Sequential(
        (2, 7, 6), Conv2D(4, 3, padding=1, neuron=CELL), Conv2D(4, 3, padding=1, groups=2, neuron=CELL, shortcuts=(
            Shortcut(0, 3, padding=1),)), Conv2D(2, 5, padding=2, neuron=CELL), Dense(2, neuron=CELL),
        SpikeCount()),
    "a kernel larger than what it sees": Sequential(
        (1, 3, 3), Conv2D(2, 2, neuron=CELL), Conv2D(2, 4, padding=2, neuron=CELL), Dense(2, neuron=CELL),
        SpikeCount())}


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_they_are_those_of_the_whole_network(name, reset):
    model, rng = MODELS[name], np.random.default_rng(1)
    layers = [TrainedLayer(rng.normal(1.0, 2.0, stage.main.kernel_shape), rng.uniform(0.2, 0.8, stage.out_shape[0]),
                           rng.uniform(0.0, 0.3, stage.out_shape[0]),
                           shortcuts=tuple(rng.normal(size=one.kernel_shape) for one in stage.shortcuts))
              for stage in model.stages]
    n, size = 400, int(np.prod(model.input_shape))
    shown = Spikes.from_events(rng.integers(3, size=n), rng.integers(size, size=n), rng.integers(18, size=n),
                               model.input_shape, 3, 24)
    network = build.inference_network(model.stages, layers, shown, reset)
    whole = backends.run(network, record=[stage.label for stage in model.stages], jobs=1)
    spikes = {0: shown, **{stage.number: whole.spikes[stage.label] for stage in model.stages}}
    for stage, layer in zip(model.stages, layers):
        assert spikes[stage.number].n_events > 10
        neurons = np.unique(rng.integers(np.prod(stage.out_shape), size=12))
        found = membranes(stage, layer, spikes, neurons, reset, jobs=1)
        assert np.array_equal(found, whole.membranes[stage.label]["v"][:, neurons]), stage.label
