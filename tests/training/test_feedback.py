"""Direct feedback alignment: the update against loops and the gradient, what is converted, settings, digits."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from rectifying import units

from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data.encoding import LatencyEncoder, RegularEncoder
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.neurons import OUT_OF_REACH, IFCurrDelta
from spikingconvnet.training.chain import balance, feedback
from spikingconvnet.training.chain.feedback import FeedbackAlignment
from spikingconvnet.training.chain.units import activations

CELL = FeedbackAlignment().neuron
ENCODER = RegularEncoder(n_steps=40, max_rate=1.0)


def drawn(sizes, seed=1, images=6):
    """Weights, feedback, images and targets at random."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=(above, below)) for below, above in pairwise(sizes)]
    fixed = [rng.normal(size=(units, sizes[-1])) for units in sizes[1:-1]]
    return weights, fixed, rng.random((images, sizes[0])), np.eye(sizes[-1])[rng.integers(0, sizes[-1], images)]


def naive_changes(weights, fixed, values, targets):
    """One image and one weight after another, written from the paper; the mean over the images."""
    found = [np.zeros_like(one) for one in weights]
    for value, target in zip(values, targets):
        h = [list(value)]
        for layer, w in enumerate(weights):
            a = [sum(w[j, i] * h[-1][i] for i in range(w.shape[1])) for j in range(w.shape[0])]
            h.append([max(x, 0.0) for x in a] if layer < len(weights) - 1 else a)
        total = sum(math.exp(x) for x in h[-1])
        e = [math.exp(x) / total - t for x, t in zip(h[-1], target)]
        for layer, w in enumerate(weights):
            for j in range(w.shape[0]):
                d = e[j] if layer == len(weights) - 1 else (
                    sum(b * x for b, x in zip(fixed[layer][j], e)) if h[layer + 1][j] > 0 else 0.0)
                for i in range(w.shape[1]):
                    found[layer][j, i] -= d * h[layer][i] / len(values)
    return found


@pytest.mark.parametrize("sizes", [(5, 3), (5, 7, 3), (5, 7, 4, 3)])
def test_a_step_is_that_of_the_paper(sizes):
    made = drawn(sizes)
    found, slow = feedback.changes(*made), naive_changes(*made)
    assert all(np.allclose(*pair) and pair[0].any() for pair in zip(found, slow)) and len(found) == len(slow)


def loss(weights, values, targets):
    """Mean cross-entropy."""
    for one in weights[:-1]:
        values = np.maximum(values @ one.T, 0.0)
    return -np.log((feedback.softmax(values @ weights[-1].T) * targets).sum(axis=1)).mean()


def test_with_the_transposed_weights_and_one_hidden_layer_it_is_the_gradient():
    weights, fixed, values, targets = drawn((5, 7, 3))
    found, random = (feedback.changes(weights, one, values, targets) for one in ([weights[1].T], fixed))
    for layer, change in enumerate(found):
        for place in np.ndindex(change.shape):
            moved = [[one.copy() for one in weights] for _ in range(2)]
            moved[0][layer][place] += 1e-6
            moved[1][layer][place] -= 1e-6
            slope = (loss(moved[0], values, targets) - loss(moved[1], values, targets)) / 2e-6
            assert change[place] == pytest.approx(-slope, abs=1e-7)
    assert np.array_equal(found[1], random[1]) and not np.allclose(found[0], random[0])


def test_steps_have_momentum_and_a_rate_that_falls_to_nothing(monkeypatch):
    """Constant changes of 1: two epochs of two batches at rates 1, 3/4, 1/2, 1/4 of the first one."""
    monkeypatch.setattr(feedback, "changes", lambda weights, *_: [np.ones_like(one) for one in weights])
    rule, weights = FeedbackAlignment(epochs=2, batch=3, learning_rate=0.8, momentum=0.5), [np.zeros((2, 4))]
    ends = [weights[0].copy() for _ in feedback.epochs(rule, weights, [], np.zeros((6, 1, 2, 2)),
                                                       np.zeros(6, int), np.random.default_rng(0))]
    steps = [0.8]
    for rate in (0.6, 0.4, 0.2):
        steps.append(0.5 * steps[-1] + rate)
    assert [end[0, 0] for end in ends] == pytest.approx([sum(steps[:2]), sum(steps)])
    assert all((end == end[0, 0]).all() for end in ends)


def test_every_image_is_shown_once_an_epoch_with_its_label(monkeypatch):
    shown = []

    def seen(weights, fixed, values, targets):
        shown.extend(zip(values[:, 0].astype(int).tolist(), targets.argmax(axis=1).tolist()))
        assert len(values) <= 4
        return [np.zeros_like(one) for one in weights]

    monkeypatch.setattr(feedback, "changes", seen)
    images, labels = np.arange(10.0).reshape(10, 1, 1, 1), np.arange(10) % 3
    for _ in feedback.epochs(FeedbackAlignment(epochs=2, batch=4), [np.zeros((3, 1))], [], images, labels,
                             np.random.default_rng(0)):
        assert sorted(shown) == [(n, n % 3) for n in range(10)] and shown != sorted(shown)
        shown.clear()


def test_a_bar_is_told_the_loss_after_every_epoch():
    weights, fixed, values, targets = drawn((5, 7, 3))
    told = []

    class Bar(list):
        def set_postfix(self, values):
            told.append(values["loss"])

    for epoch in feedback.epochs(FeedbackAlignment(epochs=3, batch=2), weights, fixed, values.reshape(-1, 1, 1, 5),
                                 targets.argmax(axis=1), np.random.default_rng(0), Bar):
        assert told[epoch:] == [pytest.approx(loss(weights, values, targets))]
    assert len(set(told)) == 3


def chain(*layers, readout=None):
    return Sequential((1, 3, 4), *layers, readout or SpikeCount())


def data(n=60):
    """Three kinds of images: which row is bright."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, 3, n)
    images = 0.3 * rng.random((n, 1, 3, 4))
    images[np.arange(n), 0, labels] += 0.6
    return images.astype(np.float32), labels


def trained(rule=None, seed=1, model=None, **options):
    model = model or chain(Dense(8, neuron=CELL), Dense(3, neuron=CELL))
    return (rule or FeedbackAlignment(epochs=5, batch=8)).train(model, *data(), np.random.default_rng(seed),
                                                                **{"encoder": ENCODER, **options})


def test_rows_are_told_apart_and_spiking_neurons_stand_for_the_units():
    model = chain(Dense(30, neuron=CELL), Dense(3, neuron=CELL))
    layers, diagnostics = trained(FeedbackAlignment(epochs=20, batch=8), model=model, validation=data(30))
    course = diagnostics["validation_accuracy"]
    assert len(course) == 20 and course[-1] == 1.0 == diagnostics["ann_train_accuracy"]
    in_thresholds = activations(model, units([balance.gain(CELL) * layer.kernels for layer in layers]), data()[0])
    assert [np.quantile(v, 0.999) for v in in_thresholds] == pytest.approx([1.0, 1.0], rel=1e-5)
    assert (in_thresholds[-1][..., 0, 0].argmax(axis=1) == data()[1]).all()
    assert all((layer.v_thresh == 1.0).all() and not layer.i_offset.any() for layer in layers)


def test_the_first_layer_is_scaled_for_the_rate_and_a_membrane_that_is_read_does_not_fire():
    (whole, last), (quarter, same) = (trained(encoder=RegularEncoder(max_rate=rate))[0] for rate in (1.0, 0.25))
    assert np.allclose(quarter.kernels, 4.0 * whole.kernels) and np.array_equal(last.kernels, same.kernels)
    model = chain(Dense(8, neuron=CELL), Dense(3, neuron=CELL), readout=Membrane())
    assert (trained(model=model)[0][-1].v_thresh == OUT_OF_REACH).all()


def test_a_chain_may_have_any_number_of_layers():
    for sizes in ((3,), (40, 30, 3)):
        model = chain(*(Dense(units, neuron=CELL) for units in sizes))
        layers, diagnostics = trained(FeedbackAlignment(epochs=20, batch=8), model=model)
        assert [layer.kernels.shape[0] for layer in layers] == list(sizes) and diagnostics["ann_train_accuracy"] > 0.9


def test_the_seed_decides_and_every_setting_counts():
    def kernels(rule=None, seed=1):
        return trained(rule, seed)[0][0].kernels

    rule = FeedbackAlignment(epochs=5, batch=8)
    assert np.array_equal(kernels(), kernels()) and not np.array_equal(kernels(), kernels(seed=2))
    for other in ({"epochs": 6}, {"batch": 7}, {"learning_rate": 0.06}, {"momentum": 0.0}, {"feedback": 0.2},
                  {"quantile": 0.9}, {"threshold": 2.0}):
        assert not np.array_equal(kernels(replace(rule, **other)), kernels()), other


def test_there_are_no_diagnostics_of_images_that_are_not_there():
    assert set(trained()[1]) == {"loss", "ann_train_accuracy", "scales"}


@pytest.mark.parametrize("field, wrong", [
    ("epochs", 0), ("epochs", 2.0), ("batch", 0), ("learning_rate", 0.0), ("learning_rate", float("nan")),
    ("momentum", 1.0), ("momentum", -0.1), ("feedback", 0.0), ("feedback", "1"), ("quantile", 0.0), ("quantile", 1.1),
    ("threshold", 0.0), ("neuron", IFCurrDelta)])
def test_settings_are_refused_where_they_are_written(field, wrong):
    with pytest.raises(SettingsError, match=rf"^FeedbackAlignment\.{field}: must be "):
        FeedbackAlignment(**{field: wrong})


@pytest.mark.parametrize("layers, text", [
    ((Conv2D(2, 2, neuron=CELL), Dense(3, neuron=CELL)), "feedback: trains Dense layers, layer 1 of MODEL is Conv"),
    ((Dense(4, neuron=CELL), AvgPool2D(1), Dense(3, neuron=CELL)), "--rule feedback: trains Dense layers, layer 2 of"),
    ((Dense(3, neuron=replace(CELL, tau_refrac=1.0)),), "layer 1: --rule feedback needs an IFCurrDelta .*feedback.py")])
def test_a_model_that_it_cannot_train_is_refused(layers, text):
    with pytest.raises(SettingsError, match=text):
        trained(model=chain(*layers))


def test_an_encoder_without_a_rate_is_refused():
    with pytest.raises(SettingsError, match="RULE feedback needs values as rates"):
        trained(encoder=LatencyEncoder(15))


def test_digits_are_learned_in_the_boards_integers(small_mnist, tmp_path):
    """200 digits of which 40 are asked; chance is 10 %."""
    loaded = settings.load(RECIPES / "feedback.py")
    made = Experiment(replace(loaded, dataset=str(small_mnist), n_train=160, n_validation=40, n_test=80,
                              rule=replace(loaded.rule, epochs=15, batch=16)), tmp_path, jobs=1)
    made.load_data()
    diagnostics = made.train_chain()
    assert diagnostics["ann_train_accuracy"] > 0.95 and len(diagnostics["validation_accuracy"]) == 15
    assert made.test("validation").accuracy > 0.65 and made.layer(2)["how"]["rule"] == "feedback"
