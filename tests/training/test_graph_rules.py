"""Graphs under rules: converted units, balanced neurons, training with torch, layers with padding that learn."""

from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet import (
    BPSTDP,
    STDP,
    AvgPool2D,
    Classifier,
    Conv2D,
    Convert,
    Dense,
    Experiment,
    FeedbackAlignment,
    RegularEncoder,
    Ridge,
    Sequential,
    Shortcut,
    SoftLIF,
    SpikeCount,
    Surrogate,
    backends,
    load_settings,
)
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.model import build
from spikingconvnet.store.directory import RunDirectory
from spikingconvnet.training.chain import balance, calibration, convert, parity, worth
from spikingconvnet.training.chain.units import Units, activations

CELL = Convert.neuron
SHAPE = (1, 9, 9)


def residual():
    return Sequential(SHAPE, Conv2D(4, 3, padding=1, neuron=CELL), AvgPool2D(3),
                      Conv2D(6, 3, padding=1, groups=2, neuron=CELL),
                      Conv2D(6, 3, padding=1, neuron=CELL, shortcuts=(Shortcut(1, pool=3), Shortcut(0, 3, strides=3))),
                      Dense(3, neuron=CELL), SpikeCount())


def random_units(model, rng):
    """With biases that differ from place to place in the first layer, and a ceiling in the second."""
    def weights(shape):
        return rng.normal(0.05, 0.7 * np.prod(shape[1:]) ** -0.5, shape)

    return [Units(weights(stage.main.kernel_shape), rng.normal(0.0, 0.1, stage.out_shape if stage.number == 1
                                                               else stage.out_shape[:1]),
                  tuple(weights(one.kernel_shape) for one in stage.shortcuts), 0.5 if stage.number == 2 else np.inf)
            for stage in model.stages]


@pytest.mark.parametrize("norm, how", [("channels", "weights"), *((norm, how) for norm in convert.NORMS
                                                                  for how in convert.BALANCES if norm != "channels")])
def test_converted_neurons_are_the_units_on_the_scale_of_each_source(norm, how):
    rng, model = np.random.default_rng(0), residual()
    made, images = random_units(model, rng), rng.random((20, *SHAPE))
    rule = Convert(norm=norm, balance=how, bias=True)
    layers, told = worth.converted(model, made, images, rule, 0.5)
    scales = [np.reshape(scale, (-1, 1, 1)) for scale in worth.scales_of(model, made, images, rule)]
    assert told == [scale.max() for scale in scales] and any(scale.size > 1 for scale in scales) == (norm == "channels")
    gain = balance.gain(CELL)
    in_thresholds = [Units(gain * layer.kernels / layer.v_thresh[:, None, None, None],
                           gain * layer.i_offset / (layer.v_thresh[:, None, None] if layer.i_offset.ndim == 3
                                                    else layer.v_thresh),
                           tuple(gain * one / layer.v_thresh[:, None, None, None] for one in layer.shortcuts),
                           unit.ceiling / scale if np.isfinite(unit.ceiling) else np.inf)
                     for layer, unit, scale in zip(layers, made, scales)]
    found = activations(model, in_thresholds, 0.5 * images)
    for one, other, scale in zip(found, activations(model, made, images), scales):
        assert np.allclose(one * scale, other) and other.any()


@pytest.mark.parametrize("peak_rate, least", [(1.0, 0.7), (0.5, 0.8), (0.1, 0.9)])
def test_rates_of_the_neurons_are_those_of_the_units_the_more_so_the_lower_they_are(peak_rate, least):
    rng, model, encoder = np.random.default_rng(1), residual(), RegularEncoder(n_steps=400, max_rate=1.0)
    made, images = random_units(model, rng), rng.random((12, *SHAPE))
    rule = Convert(bias=True, start=0.5, peak_rate=peak_rate)
    layers, _ = worth.converted(model, made, images, rule)
    spikes = encoder(images, rng)
    layers, peaks = balance.balanced(model, layers, spikes, backends.open, reset=True)
    found = backends.run(build.inference_network(model.stages, layers, spikes, reset=True)).spikes
    report = parity.judge_rates(model, layers, rule, images, [spikes, *(found[s.label] for s in model.stages)], encoder)
    assert least < min(row.ratio for row in report.rows[1:]) < least + 0.1 and len(peaks) == 4


def calibrated(rule, model, made, images, encoder, first=0):
    """Layers of a rule, and the Calibration that measured them."""
    rng = np.random.default_rng(0)
    spikes = encoder(images, rng).with_gap(encoder.n_steps + 4)
    found = calibration.Calibration(model.stages, {0: spikes}, activations(model, made, images), first, encoder.n_steps,
                                    backends.open)
    return worth.converted(model, made, images, rule, encoder.max_rate, found.measured)[0], found


def test_calibration_makes_up_for_what_resets_lose_in_every_layer():
    rng, model, encoder = np.random.default_rng(1), residual(), RegularEncoder(n_steps=400, max_rate=1.0)
    made, images = random_units(model, rng), rng.random((24, *SHAPE))
    rule = Convert(bias=True, start=0.5, peak_rate=0.5, norm="channels")
    plain = worth.converted(model, made, images, rule)[0]
    layers, found = calibrated(rule, model, made, images, encoder, first=50)
    assert len(found.shares) == len(model.stages) - 1 and 1.0 < min(found.shares) < max(found.shares) < 2.0
    wanted, off = activations(model, made, images)[-1], []
    for one in (plain, layers):
        spikes = encoder(images, rng)
        fitting, _ = balance.balanced(model, one, spikes, backends.open, reset=True)
        fired = backends.run(build.inference_network(model.stages, fitting, spikes, reset=True)).spikes
        rates = fired[model.stages[-1].label].window(0, 24 * 400).raster().reshape(24, 400, -1)[:, 50:].mean(axis=1)
        scale = worth.scales_of(model, made, images, rule)[-1] / rule.peak_rate
        off.append(abs(rates * scale - np.maximum(wanted.reshape(24, -1), 0)).mean())
    assert off[1] < 0.7 * off[0]


def test_the_worth_of_a_map_is_the_least_squares_of_its_neurons():
    rng = np.random.default_rng(3)
    rates, answers = rng.random((5, 3, 4, 2)), rng.random((5, 3, 4, 2))
    rates[:, 1] = 0.0
    found = calibration.fitted_worth(rates, answers)
    for i, one in enumerate(found):
        solved = np.linalg.lstsq(rates[:, i].reshape(-1, 1), answers[:, i].ravel(), rcond=None)[0][0]
        assert one == pytest.approx(solved)
    assert found[1] == 0.0


def test_a_map_that_never_fires_keeps_its_worth_and_none_goes_far():
    rng, model, encoder = np.random.default_rng(1), residual(), RegularEncoder(n_steps=30, max_rate=1.0)
    made, images = random_units(model, rng), rng.random((6, *SHAPE))
    rule = Convert(bias=True, peak_rate=0.5)
    layers, _ = worth.converted(model, made, images, rule)
    silent = replace(layers[0], v_thresh=np.where(np.arange(len(layers[0].v_thresh)) == 0, 1e4, layers[0].v_thresh))
    spikes, answers = {0: encoder(images, rng)}, [100 * one for one in activations(model, made, images)]
    found = calibration.Calibration(model.stages, spikes, answers, 0, 30, backends.open)
    given = np.arange(1.0, len(silent.v_thresh) + 1)
    assert (found.measured(1, silent, given) == given * ([1.0] + [calibration.FARTHEST[1]] * (len(given) - 1))).all()


def test_membranes_of_hidden_layers_that_start_spread_are_even_between_rest_and_threshold():
    rng, model = np.random.default_rng(0), residual()
    layers, _ = worth.converted(model, random_units(model, rng), rng.random((10, *SHAPE)),
                                Convert(bias=True, spread=True, threshold=2.0, start=0.5))
    assert (layers[-1].v == 1.0).all()          # outputs start alike
    for stage, layer in zip(model.stages[:-1], layers):
        size = np.prod(stage.out_shape)
        assert layer.v.shape == (size,) and 0 <= layer.v.min() and layer.v.max() < 2.0
        assert abs(np.sort(layer.v) - 2.0 * (np.arange(size) + 0.5) / size).max() <= 2.0 * 3 / size


def test_the_largest_input_is_that_of_all_branches_as_they_arrive():
    rng, model = np.random.default_rng(2), residual()
    stage = model.stages[2]
    layers, _ = worth.converted(model, random_units(model, rng), rng.random((10, *SHAPE)), Convert(bias=True))
    shown = {0: RegularEncoder(n_steps=20, max_rate=1.0)(rng.random((3, *SHAPE)), rng)}
    network = build.inference_network(model.stages, layers, shown[0], reset=True)
    found = backends.run(network).spikes
    shown |= {number: found[f"layer{number}"] for number in (1, 2)}
    peak = balance.peak_input(stage, layers[2], shown)
    arriving = np.zeros((3, 24, 2, 54))                 # by hand: sample, step, receptor, neuron
    for projection in network.incoming("layer3"):
        listed, number = projection.connections.to_list(), ["input", "layer1", "layer2"].index(projection.pre)
        sample, neuron, step = shown[number].events()
        for s, n, t in zip(sample, neuron, step):
            chosen = listed.pre == n
            late = t + listed.delay[chosen]
            np.add.at(arriving, (s, late, (listed.weight[chosen] < 0).astype(int), listed.post[chosen]),
                      abs(listed.weight[chosen]))
    arriving = arriving[:, :21]                         # what comes later, the next image clears
    assert peak.excitatory == pytest.approx(arriving[:, :, 0].max(), rel=1e-5)
    assert peak.inhibitory == pytest.approx(arriving[:, :, 1].max(), rel=1e-5)
    assert peak.net == pytest.approx(abs(arriving[:, :, 0] - arriving[:, :, 1]).max(), rel=1e-5)


def test_files_of_weights_keep_shortcuts_places_and_ceilings(tmp_path):
    rng, model = np.random.default_rng(3), residual()
    made = random_units(model, rng)
    convert.save(tmp_path / "w.npz", made)
    for one, other in zip(convert.load(tmp_path / "w.npz", model), made):
        assert np.array_equal(one.kernels, other.kernels) and np.array_equal(one.bias, other.bias)
        assert all(map(np.array_equal, one.shortcuts, other.shortcuts)) and one.ceiling == other.ceiling
    other = Sequential(SHAPE, *[replace(layer, shortcuts=(Shortcut(1, pool=3), Shortcut(0, (3, 3), 3)), kernel_size=1,
                                        padding=0) if i == 3 else layer for i, layer in enumerate(model.layers)])
    with pytest.raises(DataError, match=r"kernels3: must be of shape \(6, 6, 1, 1\)"):
        convert.load(tmp_path / "w.npz", other)


def test_torch_trains_a_graph_and_computes_what_numpy_does():
    torch = pytest.importorskip("torch")
    from spikingconvnet.training.chain.gradients import fitting, relu

    model, rng = residual(), np.random.default_rng(4)
    chain = fitting.Chain(model, rng, relu.HE, True)
    values = rng.random((4, *SHAPE), dtype=np.float32)
    found = relu.logits(chain, torch.from_numpy(values)).detach().numpy()
    layers = [Units(*one) for one in zip(*chain.arrays(), chain.shortcut_arrays())]
    assert np.allclose(found, activations(model, layers, values)[-1][..., 0, 0], atol=1e-4)
    trained, health = relu.train(model, values, np.arange(4) % 3, rng, Convert(bias=True, dropout=0.0, descent=replace(
        Convert.descent, epochs=300, batch=4, shift=0)))
    assert health["loss"][-1] < 0.3 < health["loss"][0] and len(trained[2].shortcuts) == 2
    assert convert.accuracy(model, trained, values, np.arange(4) % 3) == 1.0


@pytest.mark.parametrize("rule", [Ridge(), SoftLIF(), Surrogate(), BPSTDP(), FeedbackAlignment()])
def test_rules_for_plain_chains_refuse_graphs_by_name(rule):
    model = Sequential((1, 1, 4), Dense(5, neuron=rule.neuron), Dense(5, neuron=rule.neuron),
                       Dense(3, neuron=rule.neuron, shortcuts=(Shortcut(1),)), SpikeCount())
    images = np.zeros((6, 1, 1, 4), np.float32)
    with pytest.raises(SettingsError, match=f"layer 3: --rule {rule.name} trains plain chains; Dense.after and Dens"):
        rule.train(model, images, np.arange(6) % 3, np.random.default_rng(0), encoder=RegularEncoder(max_rate=1.0))


def test_a_residual_network_goes_through_training_and_testing(small_mnist, tmp_path, monkeypatch):
    recipe, rng = load_settings(RECIPES / "convert.py"), np.random.default_rng(5)
    model = Sequential((1, 28, 28), Conv2D(4, 5, strides=2, padding=2, neuron=CELL),
                       Conv2D(4, 3, padding=1, neuron=CELL, shortcuts=(Shortcut(1),)), AvgPool2D(7),
                       Dense(10, neuron=CELL), SpikeCount(last=None))
    made = [Units(rng.normal(0.1, 0.2, stage.main.kernel_shape), rng.normal(0.0, 0.1, stage.out_shape[0]),
                  tuple(rng.normal(0.1, 0.2, one.kernel_shape) for one in stage.shortcuts)) for stage in model.stages]
    convert.save(tmp_path / "w.npz", made)
    rule = replace(recipe.rule, weights=str(tmp_path / "w.npz"), bias=True, peak_rate=0.3)
    experiment = Experiment(replace(
        recipe, dataset=str(small_mnist), model=model, rule=rule, n_train=60, n_test=30,
        encoder=RegularEncoder(n_steps=150, max_rate=1.0), slot=155), tmp_path / "run", jobs=1)
    experiment.load_data()
    experiment.train_chain("convert")
    again, read = Experiment(experiment.settings, tmp_path / "run", jobs=1), []
    reads = RunDirectory.read
    monkeypatch.setattr(RunDirectory, "read", lambda self, name, *rest: read.append(name) or reads(self, name, *rest))
    assert all(len(again.trained(stage.number).shortcuts) == len(stage.shortcuts) for stage in model.stages)
    answers = again.answers("test")["units"][:, -1]
    wanted = activations(model, made, again.values("test")[0])[-1][..., 0, 0].argmax(axis=1)
    assert np.mean(answers == wanted) > 0.75
    assert read.count("layers/1") <= 4 and read.count("data/train") <= 3, "a chain is read once, not at every link"


def test_a_layer_with_padding_learns_windows_of_the_frame(small_mnist, tmp_path):
    """STDP: the windows at the edges see inputs that never fire, and the maps are as large as the images."""
    recipe = load_settings(RECIPES.parents[2] / "parameters.py")
    layer = replace(recipe.model.layers[0], filters=4, kernel_size=5, padding=2, training=replace(
        recipe.model.layers[0].training or STDP(), windows=300))
    model = Sequential(recipe.model.input_shape, layer, Classifier(grid=2))
    made = Experiment(replace(recipe, dataset=str(small_mnist), model=model, n_train=60, n_validation=0, n_test=30),
                      tmp_path / "run", jobs=1)
    made.load_data()
    made.train_layer(1)
    assert made.model.shapes[1] == (4, 28, 28) and made.trained(1).kernels.shape == (4, 2, 5, 5)
    made.train_svm()
    assert made.test().accuracy > 0.4




def test_of_a_large_layer_the_busiest_steps_are_measured(monkeypatch):
    rng, model = np.random.default_rng(2), residual()
    stage = model.stages[0]
    layers, _ = worth.converted(model, random_units(model, rng), rng.random((10, *SHAPE)), Convert(bias=True))
    shown = {0: RegularEncoder(n_steps=20, max_rate=1.0)(rng.random((30, *SHAPE)), rng)}
    whole = balance.peak_input(stage, layers[0], shown)
    per_step = 2 * 4 * 81 * 9
    monkeypatch.setattr(balance, "PRODUCTS", 60 * per_step)
    assert balance._busiest(stage, shown).sum() == 60
    part = balance.peak_input(stage, layers[0], shown)
    assert 0.7 * whole.net < part.net <= whole.net and part.excitatory <= whole.excitatory
    monkeypatch.setattr(balance, "PRODUCTS", 0)
    assert balance._busiest(stage, shown).sum() == 1
