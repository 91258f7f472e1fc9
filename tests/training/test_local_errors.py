"""Local errors: gradients against differences of a loss written again, what layers see, settings, real digits."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet import backends
from spikingconvnet.cli import main as cli
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Classifier
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training import LayerRule, layer_rule
from spikingconvnet.training.layerwise import local_errors
from spikingconvnet.training.layerwise.calibration import FiringShare, calibrate
from spikingconvnet.training.layerwise.local_errors import Adam, LocalErrors, LocalLoss
from spikingconvnet.training.layerwise.stdp import STDP

MNIST = Path(__file__).parents[2] / "data" / "mnist"
RULE = LocalErrors(epochs=3, batch=4, cells=2, pattern_steps=8)


def stage_of(*layers, shape=(2, 9, 8)):
    return Sequential(shape, *layers, Classifier()).stages[-1]


def spikes_of(shape, samples=12, share=0.4, seed=0):
    """Samples of random spikes in their first ten steps, some neurons twice, then a gap."""
    rng = np.random.default_rng(seed)
    size = math.prod(shape)
    events = {(s, int(n), int(rng.integers(10))) for s in range(samples)
              for n in rng.integers(size, size=int(share * size))}
    return Spikes.from_events(*zip(*sorted(events)), shape, samples, 40)


PLACES = {
    "plain": (stage_of(Conv2D(5, (3, 4))), (2, 9, 8)),
    "strides": (stage_of(Conv2D(5, 3, strides=(2, 1))), (2, 9, 8)),
    "padding": (stage_of(Conv2D(5, 3, padding=1)), (2, 9, 8)),
    "behind a pool": (stage_of(AvgPool2D(2), Conv2D(5, 2)), (2, 9, 8)),
    "behind a layer": (stage_of(Conv2D(3, 2), AvgPool2D(2), Conv2D(5, (2, 3), padding=(0, 1))), (3, 8, 7)),
    "dense": (stage_of(Dense(5)), (2, 9, 8)),
    "with a mean": (stage_of(Conv2D(5, 3, centred=False)), (2, 9, 8))}


def naive_first(stage, spikes, steps):
    """How early each place fires, one spike after another."""
    (channels, height, width), (rows, columns) = spikes.shape, stage.main.pool
    top, left = stage.main.padding
    found = np.zeros((spikes.n_samples, channels, height // rows + 2 * top, width // columns + 2 * left), int)
    for s, n, t in zip(*spikes.events()):
        c, y, x = np.unravel_index(n, spikes.shape)
        if t < steps and y // rows < height // rows and x // columns < width // columns:
            at = s, c, y // rows + top, x // columns + left
            found[at] = max(found[at], steps - t)
    return found


@pytest.mark.parametrize("place", PLACES)
def test_a_layer_sees_how_early_its_inputs_fire(place):
    stage, shape = PLACES[place]
    spikes, kernels = spikes_of(shape), np.zeros(stage.layer.kernel_shape(stage.in_shape))
    early = local_errors.earliest(stage, spikes, 8)
    assert early.dtype == np.uint8 and np.array_equal(early, naive_first(stage, spikes, 8)) and early.max() == 8
    (rows, columns), (down, right) = kernels.shape[2:], stage.main.strides
    expected = [sample[:, y * down:y * down + rows, x * right:x * right + columns].ravel() / 8
                for sample in early for y in range(stage.out_shape[1]) for x in range(stage.out_shape[2])]
    assert np.allclose(LocalLoss(RULE, stage, 3, kernels).windows(early), expected)


def naive_loss(stage, parts, early, units, cells, constants=None):
    """Loss of a batch in doubles, written from the head of the module, and (theta, sigma) of each filter.

    With `constants` these are not found but given.
    """
    kernels, head, bias = parts
    (filters, height, width), (down, right) = stage.out_shape, stage.main.strides
    rows, columns = stage.layer.kernel_size if isinstance(stage.layer.kernel_size, tuple) else (
        [stage.layer.kernel_size] * 2)
    u = np.zeros((len(units), filters, height, width))
    for f, kernel in enumerate(kernels):
        k = kernel - kernel.mean() if stage.layer.centred else kernel
        k = k / math.sqrt((k ** 2).sum())
        for s, y, x in np.ndindex(len(units), height, width):
            u[s, f, y, x] = k @ (early[s, :, y * down:y * down + rows, x * right:x * right + columns].ravel() / 8)
    if constants is None:
        fired = max(1, round(stage.layer.firing * u[:, 0].size))
        constants = [(np.sort(u[:, f].ravel())[-fired], u[:, f].std()) for f in range(filters)]
    loss = 0.0
    for s, unit in enumerate(units):
        seen = []
        for f, (theta, sigma) in enumerate(constants):
            a = np.maximum(u[s, f] - theta, 0.0) / sigma
            bounds = [[(-(-k * side // n), -(-(k + 1) * side // n)) for k in range(n)]
                      for side, n in zip((height, width), cells)]
            seen += [local_errors.SCALE * a[top:bottom, left:end].mean() for top, bottom in bounds[0]
                     for left, end in bounds[1]]
        scores = np.array(seen) @ head + bias
        loss += np.log(np.exp(scores).sum()) - scores[unit]
    return loss / len(units), constants


@pytest.mark.parametrize("place", ["plain", "strides", "behind a pool", "dense", "with a mean"])
def test_gradients_are_the_slopes_of_the_loss(place):
    stage, shape = PLACES[place]
    rng, units = np.random.default_rng(4), np.array([0, 2, 1, 2, 0, 1])
    early = local_errors.earliest(stage, spikes_of(shape, samples=6), 8)
    local = LocalLoss(RULE, stage, 3, rng.normal(size=stage.layer.kernel_shape(stage.in_shape)))
    for part in local.weights[1:]:
        part[:] = rng.normal(size=part.shape)
    (_, told), gradients = local.step(local.windows(early), units)
    cells, parts = tuple(min(2, side) for side in stage.out_shape[1:]), [part.astype(float) for part in local.weights]
    loss, constants = naive_loss(stage, parts, early, units, cells)
    constants = [(theta + 1e-4, sigma) for theta, sigma in constants]       # a window is at theta, where slopes change
    assert told / len(units) == pytest.approx(loss, rel=1e-4)
    for part, gradient in zip(parts, gradients):
        assert gradient.shape == part.shape
        for at in rng.permutation(list(np.ndindex(part.shape)))[:8]:
            slopes = []
            for far in (1e-5, -1e-5):
                part[tuple(at)] += far
                slopes.append(naive_loss(stage, parts, early, units, cells, constants)[0] / (2 * far))
                part[tuple(at)] -= far
            assert gradient[tuple(at)] == pytest.approx(sum(slopes), rel=0.02, abs=1e-4)


def test_adam_is_that_of_the_paper():
    rng = np.random.default_rng(0)
    weights, gradients = rng.normal(size=5), rng.normal(size=(20, 5))
    ours = weights.astype(np.float32)
    adam = Adam([ours], [0.01])
    m = v = np.zeros(5)
    for t, g in enumerate(gradients, 1):
        adam.step([g.astype(np.float32)], 0.5)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g ** 2
        weights = weights - 0.005 * (m / (1 - 0.9 ** t)) / (np.sqrt(v / (1 - 0.999 ** t)) + 1e-8)
        assert np.allclose(ours, weights, rtol=1e-4)


def test_learning_rates_rise_and_then_fall_to_nothing():
    shares = [local_errors._one_cycle(done) for done in np.linspace(0.0, 1.0, 101)]
    assert shares[0] == 0.0 and max(shares) == shares[30] == 1.0 and shares[-1] == pytest.approx(0.0)
    assert np.all(np.diff(shares[:31]) > 0) and np.all(np.diff(shares[30:]) < 0)


def turned(samples=60, seed=0):
    """Strokes in both directions anywhere among noise, and which direction it is: Spikes, and labels 3 and 7."""
    rng, events = np.random.default_rng(seed), set()
    labels = rng.permutation(np.arange(samples) % 2)
    for s, falling in enumerate(labels):
        y, x = rng.integers(0, 8, 2)
        for k in range(4):
            events.add((s, (y + k) * 12 + x + (k if falling else 3 - k), 1))
        events |= {(s, int(n), int(rng.integers(3, 8))) for n in rng.integers(144, size=20)}
    return Spikes.from_events(*zip(*sorted(events)), (1, 12, 12), samples, 40), 3 + 4 * labels


def trained(rule=RULE, seed=3, **given):
    stage, (spikes, labels) = stage_of(Conv2D(2, 4, firing=0.05), shape=(1, 12, 12)), turned()
    return rule.train(stage, spikes, np.random.default_rng(seed), backends.open, **{"labels": labels, **given})


def test_kernels_become_what_tells_classes_apart():
    """Nothing but the direction of a stroke does: one kernel becomes each, whatever they begin with."""
    found = trained(replace(RULE, epochs=60, cells=1, batch=10, learning_rate=0.05))
    falling = np.eye(4) - np.eye(4).mean()
    cosines = [[(kernel[0] - kernel.mean()).ravel() @ stroke.ravel()
                / (np.linalg.norm(kernel - kernel.mean()) * np.linalg.norm(stroke)) for stroke in
                (falling, falling[:, ::-1])] for kernel in found.learned]
    assert found.diagnostics["local_accuracy"] > 0.95 and np.max(cosines, axis=1).min() > 0.5
    by_chance = trained(replace(RULE, epochs=60, cells=1, batch=10, learning_rate=0.05),
                        labels=np.random.default_rng(1).permutation(turned()[1]))
    assert by_chance.diagnostics["local_accuracy"] < 0.9


def test_a_trained_layer_is_its_parts_put_together():
    stage, (spikes, labels), found = stage_of(Conv2D(2, 4, firing=0.05), shape=(1, 12, 12)), turned(), trained()
    rng, early = np.random.default_rng(3), local_errors.earliest(stage_of(Conv2D(2, 4), shape=(1, 12, 12)), spikes, 8)
    initial = rng.normal(size=(2, 1, 4, 4))
    learned, accuracy = local_errors.learn(RULE, stage, early, (labels - 3) // 4, initial, rng)
    assert np.array_equal(found.initial, initial) and np.array_equal(found.learned, learned)
    assert not np.allclose(learned, initial) and found.diagnostics["local_accuracy"] == accuracy
    expected = calibrate(stage, learned, spikes, backends.open)
    assert np.array_equal(found.inference.kernels, expected.kernels)
    assert np.array_equal(found.inference.v_thresh, expected.v_thresh)


def test_every_sample_is_shown_once_an_epoch(monkeypatch):
    spikes, labels = turned(41)
    shown = []
    monkeypatch.setattr(LocalLoss, "windows", lambda self, early: early)
    monkeypatch.setattr(LocalLoss, "step", lambda self, early, units: (
        shown.append((early.copy(), units)), ((len(units), 0.0), [np.zeros_like(w) for w in self.weights]))[1])
    stage = stage_of(Conv2D(2, 4), shape=(1, 12, 12))
    early = local_errors.earliest(stage, spikes, 8)
    units = (labels - 3) // 4
    _, accuracy = local_errors.learn(RULE, stage, early, units, np.ones((2, 1, 4, 4)), np.random.default_rng(0))
    assert accuracy == 1.0 and len(shown) == 3 * 11 and max(len(u) for _, u in shown) <= RULE.batch
    for epoch in range(3):
        parts = shown[11 * epoch:11 * epoch + 11]
        seen = np.concatenate([part.reshape(len(part), -1) for part, _ in parts])
        both = np.column_stack([seen, np.concatenate([u for _, u in parts])])
        asked = np.column_stack([early.reshape(41, -1), units])
        assert sorted(map(tuple, both.tolist())) == sorted(map(tuple, asked.tolist()))


def test_the_seed_decides_and_every_setting_counts():
    assert np.array_equal(trained().learned, trained().learned)
    assert not np.array_equal(trained(seed=4).learned, trained().learned)
    for other in ({"epochs": 4}, {"batch": 7}, {"learning_rate": 0.02}, {"cells": 3}, {"pattern_steps": 6}):
        assert not np.array_equal(trained(replace(RULE, **other)).learned, trained().learned), other
    assert not np.array_equal(trained(replace(RULE, calibration=FiringShare(5))).inference.v_thresh,
                              trained().inference.v_thresh)


@pytest.mark.parametrize("field, wrong", [
    ("epochs", 0), ("epochs", 1.5), ("batch", 0), ("learning_rate", 0.0), ("learning_rate", "1"), ("cells", 0),
    ("pattern_steps", 0), ("pattern_steps", 256), ("calibration", FiringShare)])
def test_settings_are_refused_where_they_are_written(field, wrong):
    with pytest.raises(SettingsError, match=rf"^LocalErrors\.{field}: must be "):
        LocalErrors(**{field: wrong})


@pytest.mark.parametrize("labels", [None, np.zeros(59, int), np.zeros(60, int)])
def test_labels_that_cannot_be_learned_from_are_refused(labels):
    with pytest.raises(SettingsError, match=r"^LocalErrors\.labels: must be one for each of the 60 samples, of two"):
        trained(labels=labels)


def test_layers_that_it_cannot_train_are_refused_before_anything_is_trained():
    stage = stage_of(Conv2D(2, 3, per_map=True))
    for ask in (lambda: RULE.memory(stage),
                lambda: RULE.train(stage, spikes_of((2, 9, 8)), np.random.default_rng(0), backends.open,
                                   labels=np.arange(12) % 2)):
        with pytest.raises(SettingsError, match="^layer 1: LocalErrors: filters must see all channels, so not "
                                                "Conv2D.per_map$"):
            ask()
    with pytest.raises(SettingsError, match=r"^layer 1: LocalErrors\.batch: must be at most .* GB of memory"):
        replace(RULE, batch=10 ** 9).memory(stage_of(Conv2D(2, 3)))
    assert len(RULE.memory(stage_of(Conv2D(2, 3)))) == 1


def test_kernels_without_anything_but_a_mean_are_told_and_not_divided_by():
    stage = stage_of(Conv2D(2, 1), shape=(1, 9, 8))
    with pytest.raises(SettingsError, match="^layer 1, filter 1: fewer than 10 % of the windows lift its membrane"):
        RULE.train(stage, spikes_of((1, 9, 8)), np.random.default_rng(0), backends.open, labels=np.arange(12) % 2)


def test_it_takes_the_place_of_stdp_by_its_name_alone():
    own = STDP(pattern_steps=12, calibration=FiringShare(50))
    stage = stage_of(Conv2D(2, 3, training=own))
    assert layer_rule(stage, "local-errors") == LocalErrors(pattern_steps=12, calibration=FiringShare(50))
    assert not LayerRule.takes_labels and not own.takes_labels
    given = stage_of(Conv2D(2, 3, training=RULE))
    assert layer_rule(given) is RULE is layer_rule(given, "local-errors")


def with_rules(base, rules):
    """Settings whose layers learn by rules."""
    layers = iter(rules)
    learning = [replace(layer, training=next(layers)) if isinstance(layer, Conv2D) else layer
                for layer in base.model.layers]
    return replace(base, model=Sequential((2, 28, 28), *learning))


def test_the_command_line_trains_as_the_parameters_do(parameters_in, tmp_path, capsys):
    path = parameters_in(tmp_path, layers=2)
    assert cli.main(["--mode", "demo", "--parameters", str(path), "--rule", "local-errors", "--run-dir",
                     str(tmp_path / "name"), "--jobs", "1"]) == 0
    assert "local accuracy" in "".join(capsys.readouterr())
    base = settings.load(path)
    own = [layer_rule(stage, "local-errors") for stage in base.model.stages]
    made, by_name = Experiment(with_rules(base, own), tmp_path / "own", jobs=1), Experiment(base, tmp_path / "name")
    made.load_data()
    for number in (1, 2):
        learned = made.train_layer(number).learned
        assert np.array_equal(by_name.layer(number)["learned"], learned)
        assert by_name.is_trained(number, "local-errors") and not by_name.is_trained(number, "stdp")


def test_digits_counted_over_whole_maps(parameters_in, tmp_path):
    """Kernels that know what is asked are better than random ones, behind random and behind learned layers."""
    path, accuracy = parameters_in(tmp_path, layers=2, DATASET=str(MNIST), N_TRAIN=1000, N_TEST=1000), {}
    path.write_text(path.read_text().replace("grid=3, C=0.1", "grid=1").replace("Conv2D(3, 3,", "Conv2D(12, 5,"))
    base = settings.load(path)
    for name, rule in (("learned", LocalErrors(epochs=12, cells=1, learning_rate=0.03, pattern_steps=25)),
                       ("random", STDP())):
        made = Experiment(with_rules(base, [rule, rule]), tmp_path / name, jobs=1)
        made.load_data()
        for number in (1, 2):
            made.train_layer(number, None if name == "learned" else "random")
        made.train_svm()
        accuracy[name] = made.test("test").accuracy
    assert accuracy["learned"] > accuracy["random"] + 0.02
