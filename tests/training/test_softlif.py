"""Soft LIF units as neurons: the rate curve against the board's integers, layers by hand, stored weights."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rectifying import units

from spikingconvnet import backends
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data.encoding import RegularEncoder
from spikingconvnet.errors import BackendError, DataError, SettingsError
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.gates import libraries
from spikingconvnet.model import build
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.neurons import OUT_OF_REACH, IFCurrDelta
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import convert, softlif
from spikingconvnet.training.chain.softlif import RateCurve, SoftLIF

ENCODER = RegularEncoder(n_steps=60, max_rate=1.0)

CELL, OUTPUT = SoftLIF().neuron, SoftLIF().output_neuron
MNIST = Path(__file__).parents[2] / "data" / "mnist"
# convert.save of gradients.soft_lif.train on the first 55,000 training digits: 5 epochs at up to 0.01, no dropout,
# shift 1, generator seeded with [0, 1]; rounded to float16.
STORED = Path(__file__).parent / "weights" / "28x28-2s-24-10-softlif.npz"


def silence(n_steps):
    nothing = np.zeros(0, np.int64)
    return Spikes.from_events(nothing, nothing, nothing, (1, 1, 1), 1, n_steps)


# The rate curve


def measured(cell, currents, n_steps=4000):
    """Spikes a step of neurons under constant currents, thresholds, in the board's integers."""
    n, in_na = len(currents), cell.v_thresh * cell.cm / cell.tau_m
    model = Sequential((1, 1, 1), Dense(n, neuron=cell), SpikeCount())
    layer = TrainedLayer(np.zeros((n, 1, 1, 1)), np.full(n, cell.v_thresh), currents * in_na)
    network = build.inference_network(model.stages, [layer], silence(n_steps))
    spikes = backends.run(network, jobs=1).spikes["layer1"]
    return np.bincount(spikes.neurons, minlength=n) / n_steps


@pytest.mark.parametrize("changes", [{}, {"tau_refrac": 0.0}, {"tau_refrac": 1.5}, {"tau_m": 10.0, "v_thresh": 7.0}])
def test_the_curve_is_the_mean_rate_of_the_boards_integers(changes):
    """Every whole time between spikes has a range of currents; over them the curve is right, step by step it is not."""
    cell, currents = replace(CELL, **changes), np.linspace(0.5, 6.0, 1000)
    found, curve = measured(cell, currents), RateCurve.of(cell)
    assert found[currents < 1].max() == 0 == curve(currents[currents < 1]).max() and found[-1] > 0.1
    uncorrected = replace(curve, shortest=cell.tau_refrac)
    too_fast = 1000 * (uncorrected(currents) - found).mean()
    assert too_fast > 5 and abs(1000 * (curve(currents) - found).mean()) < 0.15 * too_fast


def test_a_time_between_spikes_is_the_refractory_one_and_whole_steps_to_the_threshold():
    currents, curve = np.linspace(1.05, 9.0, 333), RateCurve.of(CELL)
    found = 1 / measured(CELL, currents)
    assert np.allclose(found, 2 + np.ceil(1 / curve(currents) - curve.shortest), rtol=0.01, atol=1.0)
    assert np.mean(abs(found - 2 - np.ceil(1 / curve(currents) - curve.shortest)) < 0.1) > 0.9


def test_the_soft_curve_meets_the_neurons_own_away_from_the_threshold():
    hard, soft = RateCurve.of(CELL), RateCurve.of(CELL, 0.03)
    currents = np.array([1.2, 2.0, 5.0, 100.0, 1e6])
    assert np.allclose(hard(currents), soft(currents), rtol=1e-3) and hard(1e9) == pytest.approx(1 / 2.5)
    assert hard(np.array([0.0, 1.0])).tolist() == [0, 0] and 0 < soft(0.5) < soft(0.9) < soft(1.0) < 0.02
    assert soft(np.float32([0.5, 2.0])).dtype == np.float32


# Layers


def chain(readout):
    return Sequential((2, 9, 8), Conv2D(3, (3, 2), (1, 2), neuron=CELL), AvgPool2D((2, 1)), Conv2D(4, 2, neuron=CELL),
                      Dense(5, neuron=OUTPUT), readout)


def network_of(model, rng):
    """Random kernels and biases of all layers."""
    shapes = [stage.layer.kernel_shape(stage.in_shape) for stage in model.stages]
    return ([rng.normal(0.1, 1.5 * np.prod(shape[1:]) ** -0.5, shape) for shape in shapes],
            [rng.normal(1.0, 0.3, shape[0]) for shape in shapes])


def run_chain(model, layers, images, n_steps, record=(), rate=1.0):
    spikes = RegularEncoder(n_steps=n_steps, max_rate=rate)(images, np.random.default_rng(0)).with_gap(n_steps + 1)
    return backends.run(build.inference_network(model.stages, layers, spikes, True), record=record, jobs=1)


@pytest.mark.parametrize("rate", [1.0, 0.5])
def test_the_membranes_of_the_output_are_the_responses_of_soft_units(rate):
    rng, rule, n_steps = np.random.default_rng(1), SoftLIF(softness=1e-3), 1000
    model, images = chain(Membrane()), rng.random((6, 2, 9, 8))
    kernels, biases = network_of(model, rng)
    layers = softlif.converted(model, kernels, biases, images, rule, rng, rate)
    v = run_chain(model, layers, images, n_steps, ["layer3"], rate).membrane("layer3").reshape(6, n_steps + 1, 5)
    wanted = softlif.logits(model, kernels, biases, images, rule)
    error = v[:, 200:].mean(axis=1) - wanted
    assert wanted.std() > 0.5 and error.std() < 0.1 * wanted.std() and abs(error.mean()) < 0.1 * wanted.std()
    assert (layers[-1].v_thresh == OUT_OF_REACH).all() and (layers[0].v_thresh == 1).all()


def test_output_units_that_fire_keep_the_order_of_the_responses():
    rng, rule, n_steps = np.random.default_rng(2), SoftLIF(), 600
    model, images = chain(SpikeCount()), rng.random((8, 2, 9, 8))
    kernels, biases = network_of(model, rng)
    layers = softlif.converted(model, kernels, biases, images, rule, rng)
    spikes = run_chain(model, layers, images, n_steps).spikes["layer3"]
    counts = spikes.raster().reshape(8, n_steps + 1, 5).sum(axis=1)
    wanted = softlif.logits(model, kernels, biases, images, rule)
    assert np.corrcoef(np.maximum(wanted, wanted.mean()).ravel(), counts.ravel())[0, 1] > 0.95
    assert (counts.max(axis=1) > 10).all() and counts.max() < n_steps


def test_the_mean_response_is_at_the_threshold_and_the_largest_far_above():
    found = np.random.default_rng(3).normal(2.0, 5.0, (5000, 4))
    factor, offset = softlif.firing(found)
    assert factor * found.mean() + offset == pytest.approx(1.0)
    assert np.mean(factor * found.max(axis=1) + offset > softlif.STRONGEST) == pytest.approx(0.001, abs=2e-4)
    assert np.isfinite(softlif.firing(np.ones((3, 2)))).all()


def test_hidden_membranes_start_anywhere_below_the_threshold_and_output_at_rest():
    model = chain(Membrane())
    network = network_of(model, np.random.default_rng(0))

    def starts(seed, rule):
        return [layer.v for layer in softlif.converted(model, *network, None, rule, np.random.default_rng(seed))]

    one, same, other = (starts(seed, SoftLIF()) for seed in (0, 0, 1))
    assert one[0].shape == (84,) and 0 <= one[0].min() < 0.1 < 0.9 < one[0].max() < 1 and one[2] is None
    assert np.array_equal(one[1], same[1]) and not np.array_equal(one[1], other[1])
    assert starts(0, SoftLIF(random_start=False)) == [None] * 3


# A stored network


@pytest.fixture
def run(tmp_path):
    """A function that makes an Experiment from the recipe with the stored network: loaded and trained."""
    def make(n_test, readout, steps=60):
        recipe = settings.load(RECIPES / "softlif.py")
        rule = replace(recipe.rule, weights=str(STORED))
        model = Sequential((1, 28, 28), AvgPool2D(2), Dense(24, neuron=CELL), Dense(10, neuron=OUTPUT), readout)
        made = Experiment(replace(recipe, dataset=str(MNIST), model=model, rule=rule, n_train=2000, n_test=n_test,
                                  encoder=replace(recipe.encoder, n_steps=steps), slot=steps + 1), tmp_path / "run",
                          jobs=1)
        made.load_data()
        return made, made.train_chain("softlif")

    return make


def soft_accuracy(made):
    """Share of the test images that the soft units get right."""
    stored = convert.load(STORED, made.model)
    kernels, biases = [one.kernels for one in stored], [one.bias for one in stored]
    images, labels = made.values("test")
    return softlif.accuracy(made.model, kernels, biases, images, labels, made.settings.rule)


@pytest.mark.parametrize("readout, loss", [(Membrane(first=15, last=60), 0.02), (SpikeCount(last=60), 0.04)])
def test_a_stored_network_loses_little(run, readout, loss):
    made, diagnostics = run(300, readout)
    course, soft = made.over_time("test"), soft_accuracy(made)
    assert diagnostics["soft_train_accuracy"] > 0.92 and soft > 0.9
    assert course["accuracy"][-1] > soft - loss and course["spikes"]["layer1"] > 20
    assert diagnostics["layer1"]["v_thresh"] == 1.0 and "layer2" in diagnostics


def test_the_emulated_board_gives_the_same_answers(run):
    made, _ = run(2, Membrane(first=5, last=20), 20)
    local, network = made.answers("test"), made.network(2, made.data("test")["spikes"])
    (found,), _ = replicas.classify([network], made.model.readout, "spinnaker",
                                    directory=made.store.path / "spinnaker")
    assert all(np.array_equal(found[name], local[name]) for name in found) and local["spikes"][:, 1].all()


# What is refused


def test_neurons_without_a_counterpart_are_refused():
    for cell in (replace(CELL, tau_syn_I=2.0), replace(CELL, v_reset=-1.0), IFCurrDelta(), replace(CELL, i_offset=0.1),
                 replace(CELL, v_thresh=0.0)):
        model = Sequential((1, 2, 2), Dense(2, neuron=cell), SpikeCount())
        with pytest.raises(SettingsError, match="layer 1: --rule softlif needs an IFCurrExp with tau_syn_I like"):
            SoftLIF().train(model, None, None, None, encoder=ENCODER)


def test_weights_that_do_not_fit_the_model_are_refused(tmp_path):
    convert.save(tmp_path / "w.npz", units([np.ones((2, 1, 2, 2))]))
    model = Sequential((1, 2, 2), Dense(3, neuron=CELL), Membrane())
    with pytest.raises(DataError, match=r"SoftLIF.weights: .*kernels1: must be of shape \(3, 1, 2, 2\)"):
        SoftLIF(weights=str(tmp_path / "w.npz")).train(model, None, None, None, encoder=ENCODER)


@pytest.mark.parametrize("change", [
    {"softness": 0.0}, {"noise": -1.0}, {"amplitude": 0.0}, {"random_start": 1}, {"dropout": 1.0},
    {"descent": 3}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(SettingsError, match=f"SoftLIF.{next(iter(change))}"):
        SoftLIF(**change)


def test_without_torch_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    model = Sequential((1, 2, 2), Dense(2, neuron=CELL), Membrane())
    with pytest.raises(BackendError, match=r"--rule softlif: No module named 'torch'; .* 'spikingconvnet\[torch\]'"):
        SoftLIF().train(model, np.zeros((1, 1, 2, 2)), np.zeros(1, int), np.random.default_rng(0), encoder=ENCODER)
    assert "torch" in sys.modules or "spikingconvnet.training.chain.gradients.soft_lif" not in sys.modules
