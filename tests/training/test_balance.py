"""Lowering of trained chains: linear responses by lists of connections, peaks by loops, scales that change nothing."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from random_networks import random_spikes
from rectifying import units

from spikingconvnet import backends
from spikingconvnet.backends import get_backend
from spikingconvnet.board.lowering import lower as lowered
from spikingconvnet.errors import SettingsError
from spikingconvnet.model import build
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp
from spikingconvnet.training.chain import balance
from spikingconvnet.training.chain.units import activations, responses

CELL = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, v=0.0)
SHAPE = (2, 9, 8)


def chain(cell=CELL):
    return Sequential(SHAPE, Conv2D(3, (3, 2), (1, 2), neuron=cell), AvgPool2D((2, 1)), Conv2D(4, 2, neuron=cell),
                      Dense(5, neuron=cell), SpikeCount())


def layers_of(model, rng, size=0.4):
    return [TrainedLayer(rng.normal(0.1, size, stage.layer.kernel_shape(stage.in_shape)),
                         rng.uniform(0.5, 1.5, stage.out_shape[0])) for stage in model.stages]


def spikes_of(rng, n_samples=4):
    return random_spikes(SHAPE, n_samples, 12, 9.0, rng)


def matrix(stage, kernels):
    """Weights from every neuron of the source to every neuron, from the list of connections."""
    layer = TrainedLayer(kernels, np.ones(stage.out_shape[0]))
    source = spikes_of(np.random.default_rng(0)) if stage.source_shape == SHAPE else random_spikes(
        stage.source_shape, 1, 3, 1.0, np.random.default_rng(0))
    listed = build.inference_network([stage], [layer], source).projections[0].connections.to_list()
    weights = np.zeros((math.prod(stage.source_shape), math.prod(stage.out_shape)))
    np.add.at(weights, (listed.pre, listed.post), listed.weight)
    return weights


def test_responses_are_those_of_the_connections_pooling_included():
    rng = np.random.default_rng(1)
    for stage in chain().stages:
        kernels = rng.normal(0, 1, stage.layer.kernel_shape(stage.in_shape))
        values = rng.random((3, *stage.source_shape))
        expected = values.reshape(3, -1) @ matrix(stage, kernels)
        assert np.allclose(responses(stage.main, kernels, values).reshape(3, -1), expected)


def test_activations_are_rectified_but_for_the_last():
    rng = np.random.default_rng(2)
    model = chain()
    kernels = [layer.kernels for layer in layers_of(model, rng)]
    offsets = [rng.normal(0, 1, stage.out_shape[0]) for stage in model.stages]
    values = images = rng.random((3, *SHAPE))
    found = activations(model, units(kernels, offsets), images)
    for stage, kernel, offset, one in zip(model.stages, kernels, offsets, found):
        values = values.reshape(3, -1) @ matrix(stage, kernel) + np.repeat(offset, math.prod(stage.out_shape[1:]))
        values = values if stage.number == 3 else np.maximum(values, 0)
        assert np.allclose(one.reshape(3, -1), values)
    assert min(part.min() for part in found[:2]) == 0 and found[2].min() < 0


@pytest.mark.parametrize("entries", [balance.ENTRIES, 12 * 144 * 2, 1])     # all at once; some samples; some steps
def test_the_largest_input_of_a_step_is_found(monkeypatch, entries):
    monkeypatch.setattr(balance, "ENTRIES", entries)
    rng = np.random.default_rng(3)
    stage, spikes = chain().stages[0], spikes_of(rng, 23)
    layer = layers_of(chain(), rng)[0]
    weights, raster = matrix(stage, layer.kernels), spikes.raster()
    e, i = raster @ np.maximum(weights, 0), raster @ np.maximum(-weights, 0)
    peak = balance.peak_input(stage, layer, {stage.source: spikes})
    assert np.allclose([peak.excitatory, peak.inhibitory, peak.net], [e.max(), i.max(), abs(e - i).max()], rtol=1e-5)


@pytest.mark.parametrize("cell", [CELL, replace(CELL, tau_m=19.5, cm=2.0),
                                  IFCurrExp(tau_m=20.0, cm=4.0, v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=60000.0,
                                            tau_syn_E=5.0, tau_syn_I=5.0, tau_refrac=0.0)])
def test_the_gain_is_what_a_steady_input_does_to_a_membrane(cell):
    """One spike a step through 1 nA: once the current is steady, V moves by gain less the leak."""
    model = Sequential((1, 1, 1), Dense(1, neuron=cell), SpikeCount())
    spikes = random_spikes((1, 1, 1), 1, 90, 0.0, np.random.default_rng(0))
    spikes = type(spikes).from_events([0] * 90, [0] * 90, range(90), (1, 1, 1), 1, 90)
    layer = TrainedLayer(np.ones((1, 1, 1, 1)), np.array([60000.0]))
    network = build.inference_network(model.stages, [layer], spikes)
    v = backends.run(network, record=["layer1"]).membrane("layer1")[:, 0]
    leak = lowered(network).populations["layer1"].membrane_decay[0] / 32768
    assert v[80] - leak * v[79] == pytest.approx(balance.gain(cell), rel=1e-3)


def test_a_time_constant_of_2048_ms_leaks_and_adds_a_sixteenth_too_much():
    assert balance.gain(CELL) == 17 / 16 and balance.gain(replace(CELL, tau_m=32768.0)) == 2.0
    assert balance.gain(replace(CELL, tau_m=512.0)) == 1.0
    with pytest.raises(SettingsError, match="IFCurrDelta.tau_m: must be at most 32768 ms.*inputs have no effect"):
        balance.gain(replace(CELL, tau_m=32769.0))
    assert balance.gain(replace(CELL, tau_m=20.0)) == pytest.approx(20 * -math.expm1(-1 / 20), rel=1e-3)


@pytest.mark.parametrize("factor", [0.5, 0.125])
def test_a_scaled_layer_fires_the_same(factor):
    rng = np.random.default_rng(4)
    cell = replace(CELL, i_offset=0.05, v=0.25)
    model = chain(cell)
    stage, spikes = model.stages[0], spikes_of(rng)
    kernels = rng.integers(-64, 65, stage.layer.kernel_shape(stage.in_shape)) / 64
    for v in (None, rng.integers(0, 32, math.prod(stage.out_shape)) / 64):
        layer = TrainedLayer(kernels, np.array([0.75, 1.0, 1.5]), np.array([0.125, 0.0, -0.0625]), v, 40.0)
        smaller = balance.scaled(stage, layer, factor)
        assert np.array_equal(smaller.kernels, kernels * factor)
        assert smaller.max_expected_summed_weight == 40.0 * factor
        first, second = (backends.run(build.inference_network([stage], [one], spikes, True))
                         .spikes["layer1"] for one in (layer, smaller))
        assert first.n_events > 100
        assert abs(first.n_events - second.n_events) <= 0.02 * first.n_events       # V is in steps of 2**-15 mV


def test_neurons_that_do_not_rest_at_zero_cannot_be_scaled():
    stage = chain(replace(CELL, v_rest=-65.0)).stages[0]
    layer = TrainedLayer(np.ones(stage.layer.kernel_shape(SHAPE)), np.ones(3))
    assert balance.scaled(stage, layer, 1.0) is layer
    with pytest.raises(SettingsError, match="layer 1: its inputs do not fit s16.15 .* v_rest and v_reset of 0"):
        balance.scaled(stage, layer, 0.5)


def test_inputs_that_would_wrap_are_halved_until_they_do_not():
    stage = chain().stages[0]
    layer = TrainedLayer(np.ones(stage.layer.kernel_shape(SHAPE)), np.ones(3))
    assert balance.fitting_factor(stage, layer, balance.Peak(0.0, 0.0, 0.0)) == 1.0
    for net, factor in ((20.0, 1.0), (28.0, 1.0), (30.0, 0.5), (130.0, 0.125)):
        found = balance.fitting_factor(stage, layer, balance.Peak(net, net, net))
        assert found == factor and net * found * 2048 <= balance.LARGEST_TARGET
    offset = TrainedLayer(layer.kernels, layer.v_thresh, np.array([40.0, 0.0, 0.0]))
    assert balance.fitting_factor(stage, offset, balance.Peak(1.0, 1.0, 1.0)) == 0.5


def test_a_lowered_chain_fits_its_ring_buffers_and_its_membranes():
    rng = np.random.default_rng(5)
    model, spikes = chain(), spikes_of(rng)
    trained = layers_of(model, rng, size=9.0)
    layers, peaks = balance.balanced(model, trained, spikes, get_backend("local").open, reset=True)
    network = build.inference_network(model.stages, layers, spikes, reset=True)
    recording = backends.run(network)
    assert not any(recording.saturated.values()) and recording.spikes["layer3"].n_events > 0
    assert any(layer.v_thresh[0] < before.v_thresh[0] for layer, before in zip(layers, trained))
    for stage, layer, peak in zip(model.stages, layers, peaks):
        largest = max(peak.excitatory, peak.inhibitory)
        assert layer.max_expected_summed_weight == pytest.approx(largest) and largest > 0
        shift = int(lowered(network).populations[stage.label].shift.max())
        assert largest < 2.0 ** shift <= 2 * largest or shift == 0
        assert peak.net * 2048 <= balance.LARGEST_TARGET


def test_a_scale_that_a_rule_has_chosen_is_kept():
    rng = np.random.default_rng(6)
    model = Sequential(SHAPE, Dense(5, neuron=CELL), SpikeCount())
    trained = [replace(layer, max_expected_summed_weight=77.0) for layer in layers_of(model, rng, 0.01)]
    (layer,), _ = balance.balanced(model, trained, spikes_of(rng), get_backend("local").open)
    assert layer.max_expected_summed_weight == 77.0


def test_the_benchmark_of_conversion_counts_what_neurons_without_leak_fire(benchmark_named):
    """Its column ``float``; no test runs the benchmark."""
    gradients = benchmark_named("gradients")
    rng, model = np.random.default_rng(5), chain()
    layers, spikes = layers_of(model, rng), spikes_of(rng, 8)
    answers = gradients.floating(SimpleNamespace(model=model), layers, spikes)
    weights = [matrix(stage, layer.kernels) for stage, layer in zip(model.stages, layers)]
    thresholds = [np.repeat(layer.v_thresh, math.prod(stage.out_shape[1:]))
                  for stage, layer in zip(model.stages, layers)]
    raster, counts = spikes.raster().reshape(8, spikes.n_steps, -1), np.zeros((8, 5))
    v, before = [np.zeros((8, len(one))) for one in thresholds], [np.zeros((8, len(one))) for one in weights]
    for step in range(model.readout.window(spikes.n_steps)[1]):
        fired = []
        for number, matrix_of in enumerate(weights):
            v[number] += balance.gain(CELL) * (before[number] @ matrix_of)
            fired.append(v[number] >= thresholds[number])
            v[number][fired[-1]] = 0.0
        before, counts = [raster[:, step], *fired[:-1]], counts + fired[-1]
    assert counts.any(axis=1).sum() > 3 and len(set(answers)) > 1
    assert np.array_equal(answers, np.argmax(counts + 1e-6 * v[-1], axis=1))
