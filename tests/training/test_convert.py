"""Rectifying units as integrate-and-fire neurons: rates by hand, scales that change nothing, stored weights."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rectifying import units

from spikingconvnet import backends
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import RateEncoder, RegularEncoder
from spikingconvnet.data.filters import BitPlanes
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields
from spikingconvnet.errors import BackendError, DataError, SettingsError
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.gates import libraries
from spikingconvnet.model import build
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.neurons import IFCurrExp
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import balance, convert, worth
from spikingconvnet.training.chain.convert import Convert
from spikingconvnet.training.chain.units import activations, responses

CELL = Convert().neuron
MNIST = Path(__file__).parents[2] / "data" / "mnist"
# convert.save of gradients.relu.train on the first 55,000 training digits: 5 epochs, no dropout, shift 1, generator
# seeded with [0, 1]; rounded to float16.
STORED = Path(__file__).parent / "weights" / "28x28-2s-24-10.npz"
STEPS = 40
ENCODER = RegularEncoder(n_steps=STEPS, max_rate=1.0)


def chain(readout=None):
    return Sequential((2, 9, 8), Conv2D(3, (3, 2), (1, 2), neuron=CELL), AvgPool2D((2, 1)), Conv2D(4, 2, neuron=CELL),
                      Dense(5, neuron=CELL), readout or SpikeCount())


def network_of(model, rng, bias=0.0):
    """Random kernels and biases of all layers."""
    shapes = [stage.layer.kernel_shape(stage.in_shape) for stage in model.stages]
    return ([rng.normal(0.1, np.prod(shape[1:]) ** -0.5, shape) for shape in shapes],
            [bias * rng.normal(0.0, 0.3, shape[0]) for shape in shapes])


def spiking(model, layers, images, n_steps=STEPS, encoder=None):
    """Recording of the chain behind regular spikes, each image from rest."""
    spikes = (encoder or RegularEncoder(n_steps=n_steps, max_rate=1.0))(images, np.random.default_rng(0)).with_gap(
        n_steps + 1)
    network = build.inference_network(model.stages, layers, spikes, True)
    return backends.run(network, record=("layer1",), jobs=1)


def rates(recording, label, n, n_steps=STEPS):
    spikes = recording.spikes[label]
    return spikes.raster().reshape(n, n_steps + 1, -1).sum(axis=1) / n_steps


@pytest.mark.parametrize("norm, how", [("channels", "weights"), *((norm, how) for norm in convert.NORMS
                                                                  for how in convert.BALANCES if norm != "channels")])
def test_conversion_divides_every_layer_by_its_scale_and_keeps_the_answers(norm, how):
    rng = np.random.default_rng(1)
    model, images = chain(), rng.random((20, 2, 9, 8))
    kernels, biases = network_of(model, rng, bias=1.0)
    rule, made = Convert(norm=norm, balance=how, threshold=0.5), units(kernels, biases)
    layers, told = worth.converted(model, made, images, rule)
    scales = [np.reshape(scale, (-1, 1, 1)) for scale in worth.scales_of(model, made, images, rule)]
    assert told == [scale.max() for scale in scales]
    gain = balance.gain(CELL)
    in_thresholds = activations(model, units(
        [gain * layer.kernels / layer.v_thresh[:, None, None, None] for layer in layers],
        [gain * layer.i_offset / layer.v_thresh for layer in layers]), images)
    for one, other, scale in zip(in_thresholds, activations(model, made, images), scales):
        assert np.allclose(one * scale, other) and other.any()
    assert how == "thresholds" or all((layer.v_thresh == 0.5).all() for layer in layers)


def test_the_scales_are_those_of_the_papers():
    rng = np.random.default_rng(2)
    model, images = chain(), rng.random((20, 2, 9, 8))
    kernels, biases = network_of(model, rng, bias=1.0)
    values = activations(model, units(kernels, biases), images)

    def scales(norm):
        return worth.scales_of(model, units(kernels, biases), images, Convert(norm=norm))

    assert scales("none") == [1.0] * 3 and scales("robust") == [float(np.quantile(v, 0.999)) for v in values]
    assert scales("data") == [float(max(v.max(), k.max())) for v, k in zip(values, kernels)]
    worst = 1.0
    for kernel, bias, found in zip(kernels, biases, scales("model")):
        worst = max(sum(w for w in unit.ravel() if w > 0) * worst + max(b, 0.0) for unit, b in zip(kernel, bias))
        assert found == pytest.approx(worst)
    assert scales("robust") != scales("data") != scales("model")


def test_with_the_model_norm_no_input_of_a_step_passes_the_threshold():
    rng = np.random.default_rng(3)
    model = chain()
    kernels, biases = network_of(model, rng)
    layers, _ = worth.converted(model, units(kernels, biases), None, Convert(norm="model"))
    ones = np.ones((1, 2, 9, 8))
    drives = [responses(stage.main, np.maximum(layer.kernels, 0), np.ones((1, *stage.source_shape)))
              for stage, layer in zip(model.stages, layers)]
    assert responses(model.stages[0].main, np.maximum(layers[0].kernels, 0), ones).max() > 0.5
    assert all(drive.max() * balance.gain(CELL) <= 1 + 1e-9 for drive in drives)


@pytest.mark.parametrize("start", [0.0, 0.5])
def test_a_neuron_fires_at_the_rate_of_the_rectifying_unit(start):
    """One source that fires in every step; a neuron that is reset to zero needs whole steps, and one a step at most."""
    weights = np.array([-0.5, 0.0, 0.26, 0.51, 1.01, 2.0])
    model = Sequential((1, 1, 1), Dense(6, neuron=CELL), SpikeCount())
    layers, _ = worth.converted(model, units([weights.reshape(6, 1, 1, 1)]), None,
                                  Convert(norm="none", start=start))
    found = rates(spiking(model, layers, np.ones((1, 1, 1, 1))), "layer1", 1)[0]
    assert np.allclose(found, [0, 0, 1 / 4, 1 / 2, 1, 1], atol=1.01 / STEPS)
    assert layers[0].v is None if start == 0 else (layers[0].v == 0.5).all()


def test_a_bias_is_a_constant_current():
    biases = np.array([-0.25, 0.0, 0.5, -0.6])
    model = Sequential((1, 1, 1), Dense(4, neuron=CELL), SpikeCount())
    layers, _ = worth.converted(model, units([np.full((4, 1, 1, 1), 0.51)], [biases]), None, Convert(norm="none"))
    found = rates(spiking(model, layers, np.ones((1, 1, 1, 1))), "layer1", 1)[0]
    assert np.allclose(found, [1 / 4, 1 / 2, 1, 0], atol=1.01 / STEPS)


@pytest.mark.parametrize("encoder", [RegularEncoder, RateEncoder])
def test_bright_input_is_not_clipped_at_half_intensity(encoder):
    """A conversion that was published clips it there: its rates were twice the intensity, at most 1."""
    values = np.array([0.25, 0.5, 0.75, 1.0]).reshape(1, 1, 1, 4)
    spikes = encoder(n_steps=400, max_rate=1.0)(values, np.random.default_rng(0))
    counts = np.bincount(spikes.neurons, minlength=4) / 400
    assert np.allclose(counts, values.ravel(), atol=0.06) and counts[3] > counts[2] + 0.1 > counts[1] + 0.2


def test_a_slower_encoder_is_made_up_for_by_the_first_weights():
    model, images = Sequential((1, 1, 1), Dense(1, neuron=CELL), SpikeCount()), np.ones((1, 1, 1, 1))
    found = []
    for rate in (1.0, 0.25):
        layers, _ = worth.converted(model, units([np.full((1, 1, 1, 1), 0.2)]), None, Convert(norm="none"),
                                      rate)
        found.append(rates(spiking(model, layers, images, encoder=RegularEncoder(n_steps=STEPS, max_rate=rate)),
                           "layer1", 1)[0, 0])
    assert found[1] == pytest.approx(found[0], abs=0.05) and found[0] > 0.1


def test_bit_planes_drive_the_first_layer_with_a_constant_current():
    rng = np.random.default_rng(4)
    pixels = rng.integers(0, 256, (2, 3, 4), dtype=np.uint8)
    planes = BitPlanes()(pixels)
    assert planes.shape == (2, 8, 3, 4)
    model = Sequential((8, 3, 4), Dense(2, neuron=CELL), Membrane())
    kernels = rng.normal(0, 0.1, (2, 1, 3, 4))
    chain = convert.grey(model, BitPlanes.worth)
    layers, _ = worth.converted(chain, units([kernels]), None, Convert(norm="none"))
    recording = spiking(model, [convert._for_channels(chain.stages[0], layers[0], BitPlanes.worth)], planes, n_steps=8)
    v = recording.membrane("layer1").reshape(2, 9, 2)
    drive = np.einsum("nhw,uhw->nu", pixels / 255, kernels[:, 0])
    assert np.allclose(np.diff(v, axis=1)[:, 1:], drive[:, None], atol=4e-3) and np.abs(drive).min() > 5e-3


def test_eight_channels_that_are_no_bits_stay_eight_channels(tmp_path):
    """Fields of Gaussian receptors: each a quantity of its own, through weights of its own."""
    rng, fields = np.random.default_rng(6), GaussianReceptiveFields(fields=8).fitted(np.array([[[0, 0]], [[9, 9]]]))
    model = Sequential((8, 1, 2), Dense(3, neuron=CELL), Membrane())
    kernels, numbers = rng.normal(0.0, 0.2, (3, 8, 1, 2)), rng.integers(0, 10, (5, 1, 2))
    convert.save(tmp_path / "w.npz", units([kernels]))
    values = fields(numbers).astype(np.float32)
    rule = Convert(norm="none", weights=str(tmp_path / "w.npz"))
    layers, _ = rule.train(model, values, np.zeros(5, int), rng, encoder=ENCODER, image_filter=fields)
    v = spiking(model, layers, values).membrane("layer1").reshape(5, STEPS + 1, 3)
    answers = np.einsum("nchw,uchw->nu", values, kernels)
    assert np.allclose(v[:, -1] / STEPS, answers, atol=0.05) and np.ptp(answers) > 0.5


# A stored network


@pytest.fixture
def run(tmp_path):
    """A function that makes an Experiment from the recipe with the stored network: loaded and trained."""
    def make(n_test=300, directory="run", encoder=ENCODER, **changes):
        recipe = settings.load(RECIPES / "convert.py")
        rule = replace(recipe.rule, **{"weights": str(STORED), **changes})
        model = Sequential((1, 28, 28), AvgPool2D(2), Dense(24, neuron=CELL), Dense(10, neuron=CELL),
                           SpikeCount(last=encoder.n_steps))
        made = Experiment(replace(recipe, dataset=str(MNIST), model=model, rule=rule, n_train=2000, n_test=n_test,
                                  encoder=encoder, slot=encoder.n_steps + 1), tmp_path / directory, jobs=1)
        made.load_data()
        return made, made.train_chain("convert")

    return make


def ann_answers(made):
    """What the units of the last layer answer to the test images, not rectified: float array (n, 10)."""
    stored = convert.load(STORED, made.model)
    images = datasets.load(MNIST, "test").images[:len(made.data("test")["labels"]), None] / 255
    return activations(made.model, stored, images)[-1][..., 0, 0]


def test_a_stored_network_loses_next_to_nothing(run):
    made, diagnostics = run()
    course, right = made.over_time("test"), ann_answers(made).argmax(axis=1) == made.data("test")["labels"]
    assert diagnostics["ann_train_accuracy"] > 0.92 and right.mean() > 0.9
    assert course["accuracy"][-1] > right.mean() - 0.02
    assert course["accuracy"][19] > course["accuracy"][4] and course["spikes"]["layer1"] > 20
    assert len(diagnostics["scales"]) == 2 and min(diagnostics["scales"]) > 1


def test_biases_and_inputs_keep_their_proportion_behind_a_slower_encoder(run, tmp_path):
    """A network with biases; the answers of its units are kept, though white pixels fire in one step of five."""
    stored = convert.load(STORED, Sequential((1, 28, 28), AvgPool2D(2), Dense(24, neuron=CELL), Dense(10, neuron=CELL),
                                             SpikeCount()))
    stored[0].bias[:] = 0.5 * np.random.default_rng(0).normal(size=24)
    convert.save(tmp_path / "w.npz", stored)
    made, _ = run(200, weights=str(tmp_path / "w.npz"), encoder=RegularEncoder(n_steps=100, max_rate=0.2))
    images = datasets.load(MNIST, "test").images[:200, None] / 255
    answers = activations(made.model, stored, images)[-1][..., 0, 0].argmax(axis=1)
    assert np.mean(made.answers("test")["units"][:, -1] == answers) > 0.9


def test_an_experiment_calibrates_its_layers_and_tells_by_how_much(run):
    made, diagnostics = run(40, calibration=30, spread=True)
    (share,), layers = diagnostics["calibration"], [made.trained(number) for number in (1, 2)]
    assert 1.0 < share < 1.5 and made.chain_diagnostics()["calibration"] == [share]
    plain, _ = run(40, "plain", spread=True)
    ratio = layers[1].kernels / layers[1].v_thresh[0] / (plain.trained(2).kernels / plain.trained(2).v_thresh[0])
    assert np.allclose(ratio, ratio[:1]) and ratio[0].mean() == pytest.approx(share) and np.ptp(ratio[0]) > 0.01
    assert np.array_equal(layers[0].kernels, plain.trained(1).kernels)
    assert np.mean(made.answers("test")["units"][:, -1] == ann_answers(made).argmax(axis=1)) > 0.9


@pytest.mark.parametrize("readout, first", [(SpikeCount(), 0), (SpikeCount(first=4), 4), (SpikeCount(first=10), 10),
                                            (SpikeCount(first=39), 10), (Membrane(first=90), 10)])
def test_layers_are_calibrated_on_most_of_an_image_however_late_the_output_is_read(readout, first):
    """A readout of the last steps had layers calibrated on the few spikes of these steps, and answers were wrong."""
    model = Sequential((1, 2, 2), Dense(2, neuron=CELL), readout)
    found = convert._calibration(model, Spikes.empty((1, 2, 2), 3, 40), [], open)
    assert (found.first, found.last) == (first, 40)


def test_a_window_in_which_nothing_is_counted_is_refused(run):
    """Behind the encoder's last step: before, the membranes of the end answered without a word."""
    made, _ = run(20)
    late = Sequential(made.model.input_shape, *made.model.layers[:-1], SpikeCount(first=STEPS + 4))
    other = Experiment(replace(made.settings, model=late, slot=STEPS + 6), made.store.path.parent / "late", jobs=1)
    other.load_data()
    other.train_chain("convert")
    with pytest.raises(SettingsError, match=r"SpikeCount .*: not one spike of any of 20 test images falls into these"):
        other.answers("test")


def test_calibration_needs_networks_that_run(tmp_path):
    model = Sequential((1, 2, 2), Dense(2, neuron=CELL), SpikeCount())
    convert.save(tmp_path / "w.npz", units([np.ones((2, 1, 2, 2))]))
    rule = Convert(weights=str(tmp_path / "w.npz"), calibration=3)
    with pytest.raises(SettingsError, match="Convert.calibration: must be 0 where no network runs"):
        rule.train(model, np.ones((3, 1, 2, 2), np.float32), np.zeros(3, int), np.random.default_rng(0),
                   encoder=ENCODER)


def test_weights_and_thresholds_balance_alike(run):
    one, other = (run(60, how, balance=how)[0].answers("test") for how in convert.BALANCES)
    assert np.mean(one["units"][:, -1] == other["units"][:, -1]) > 0.98
    assert np.allclose(one["spikes"].mean(axis=0), other["spikes"].mean(axis=0), rtol=0.02)


def test_the_emulated_board_gives_the_same_answers(run):
    made, _ = run(2)
    local = made.answers("test")
    network = made.network(2, made.data("test")["spikes"])
    (found,), _ = replicas.classify([network], made.model.readout, "spinnaker",
                                    directory=made.store.path / "spinnaker")
    assert all(np.array_equal(found[name], local[name]) for name in found) and local["spikes"][:, 1:].all()


# What is refused


def test_neurons_that_do_not_integrate_are_refused():
    for cell in (replace(CELL, tau_refrac=1.0), replace(CELL, v_rest=-1.0), IFCurrExp(), replace(CELL, i_offset=0.1)):
        model = Sequential((1, 2, 2), Dense(2, neuron=cell), SpikeCount())
        with pytest.raises(SettingsError, match="layer 1: --rule convert needs an IFCurrDelta with v_rest"):
            Convert().train(model, None, None, None, encoder=ENCODER)


def test_weights_that_do_not_fit_the_model_are_refused(tmp_path):
    model = Sequential((1, 2, 2), Dense(2, neuron=CELL), SpikeCount())
    path = tmp_path / "w.npz"
    convert.save(path, units([np.ones((2, 1, 2, 2))]))
    one, = convert.load(path, model)
    assert one.kernels.tolist() == np.ones((2, 1, 2, 2)).tolist() and one.bias.tolist() == [0, 0]
    with pytest.raises(DataError, match=r"kernels1: must be of shape \(3, 1, 2, 2\), as MODEL says, got \(2, "):
        convert.load(path, Sequential((1, 2, 2), Dense(3, neuron=CELL), SpikeCount()))
    with pytest.raises(DataError, match="none.npz: cannot be read"):
        convert.load(tmp_path / "none.npz", model)
    (tmp_path / "text.npz").write_text("text")
    with pytest.raises(DataError, match="text.npz: cannot be read"):
        convert.load(tmp_path / "text.npz", model)


@pytest.mark.parametrize("change, text", [
    ({"norm": "best"}, "norm: must be robust or channels"),
    ({"norm": "channels", "balance": "thresholds"}, "balance: must be weights for norm='channels'"),
    ({"calibration": 5, "balance": "thresholds"}, "balance: must be weights for .* and for calibration"),
    ({"calibration": -1}, "calibration"), ({"spread": 1}, "spread"),
    ({"balance": "x"}, "balance: must be weights or thresholds"),
    ({"peak_rate": 0.0}, "peak_rate"), ({"peak_rate": 1.5}, "peak_rate"),
    ({"quantile": 0.0}, "quantile"), ({"threshold": 0.0}, "threshold"), ({"start": 1.0}, "start"),
    ({"dropout": 1.0}, "dropout"), ({"descent": 3}, "descent")])
def test_settings_out_of_range_are_refused(change, text):
    with pytest.raises(SettingsError, match=f"Convert.{text}"):
        Convert(**change)


def test_without_torch_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    model = Sequential((1, 2, 2), Dense(2, neuron=CELL), SpikeCount())
    with pytest.raises(BackendError, match=r"--rule convert: No module named 'torch'; .* 'spikingconvnet\[torch\]'"):
        Convert().train(model, np.zeros((1, 1, 2, 2)), np.zeros(1, int), np.random.default_rng(0), encoder=ENCODER)
    assert "torch" in sys.modules or "spikingconvnet.training.chain.gradients.relu" not in sys.modules
