"""Competing hidden units: the update against one weight at a time, its fixed points, settings, real digits."""

import math
from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet import backends
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model.layers import Conv2D
from spikingconvnet.model.readouts import Classifier
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.layerwise import competing
from spikingconvnet.training.layerwise.calibration import calibrate
from spikingconvnet.training.layerwise.competing import CompetingUnits
from spikingconvnet.training.layerwise.course import kernel_diagnostics
from spikingconvnet.training.layerwise.windows import RandomWindows, earliness

RULE = CompetingUnits(windows=40, epochs=3, batch=16, min_spikes=3, k=3, p=3.0)


def naive_change(rule, inputs, weights):
    """Equation 3 for one weight after another, written from the paper."""
    units, seen = weights.shape
    found = np.zeros_like(weights)
    for v in inputs:
        drive = [sum(math.copysign(abs(w) ** (rule.p - 1), w) * x for w, x in zip(unit, v)) for unit in weights]
        by_rank = sorted(range(units), key=lambda m: -drive[m])
        for g, m in ((1.0, by_rank[0]), (-rule.delta, by_rank[rule.k - 1])):
            for i in range(seen):
                found[m, i] += g * (v[i] - drive[m] * weights[m, i])
    return found


@pytest.mark.parametrize("settings", [{}, {"p": 2.0, "k": 2}, {"p": 2.5, "k": 5, "delta": 0.1}, {"delta": 0.0}])
def test_a_step_is_that_of_the_paper(settings):
    rng, rule = np.random.default_rng(1), replace(RULE, **settings)
    inputs, weights = rng.random((16, 7)), rng.normal(size=(5, 7))
    slow = naive_change(rule, inputs, weights)
    assert np.allclose(competing.change(rule, inputs, weights), slow / abs(slow).max())


def test_a_step_is_as_large_as_eps_and_falls_to_nothing():
    rng, rule = np.random.default_rng(1), replace(RULE, batch=64, epochs=4, eps=0.1)
    inputs, weights = rng.random((40, 7)), rng.normal(size=(5, 7))
    for epoch in range(4):
        after = competing.learn(replace(rule, epochs=epoch + 1), inputs, weights, np.random.default_rng(0))
        assert abs(after - weights).max() <= 0.1 * (epoch + 2) / 2 + 1e-9       # 1 + 1/2; 1 + 2/3 + 1/3; ...
    once = competing.learn(replace(rule, epochs=1), inputs, weights, np.random.default_rng(0))
    assert abs(once - weights).max() == pytest.approx(0.1)


def test_every_window_is_shown_once_an_epoch():
    class Counted:
        shown = np.zeros(41, int)

        def __call__(self, rule, inputs, weights):
            assert len(inputs) <= rule.batch
            self.shown[inputs[:, 0].astype(int)] += 1
            return np.zeros_like(weights)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(competing, "change", Counted())
        competing.learn(RULE, np.arange(41.0)[:, None], np.zeros((3, 1)), np.random.default_rng(0))
        assert (competing.change.shown == 3).all()


@pytest.mark.parametrize("p", [2.0, 3.0, 5.0])
def test_weights_of_units_that_win_end_on_the_unit_sphere(p):
    """What their Lyapunov function is for: from whatever start, sum |W|^p goes to 1, without depression exactly."""
    rng, rule = np.random.default_rng(2), CompetingUnits(epochs=400, batch=20, eps=0.05, delta=0.0, p=p)
    inputs = rng.random((100, 12))
    for scale in (0.1, 3.0):
        start = scale * rng.normal(size=(3, 12))
        learned = competing.learn(rule, inputs, start, rng)
        drive = inputs @ (np.sign(learned) * abs(learned) ** (p - 1)).T
        wins, norms = np.bincount(drive.argmax(axis=1), minlength=3), (abs(learned) ** p).sum(axis=1)
        assert wins.max() > 20 and norms[wins > 0] == pytest.approx(1.0, abs=1e-2)
        assert abs((abs(start) ** p).sum(axis=1) - 1.0).min() > 0.05


def test_units_find_the_patterns_that_there_are():
    """Four patterns, four units, nobody depressed: each becomes its pattern, scaled to a norm of 1."""
    rng, patterns = np.random.default_rng(3), np.kron(np.eye(4), np.ones(3))
    inputs = patterns[rng.integers(4, size=400)] * rng.uniform(0.5, 1.0, (400, 1))
    start = patterns + 0.5 * rng.normal(size=(4, 12))
    learned = competing.learn(CompetingUnits(epochs=100, batch=20, delta=0.0), inputs, start, rng)
    assert np.allclose(learned, patterns / math.sqrt(3), atol=0.01)


def stage_of(rule, filters=5):
    return Sequential((2, 6, 7), Conv2D(filters, (3, 4), training=rule), Classifier()).stages[0]


def spikes_of(seed=0):
    """Samples of random spikes in their first ten steps, then a gap."""
    rng = np.random.default_rng(seed)
    events = {(s, int(n), int(rng.integers(10))) for s in range(12) for n in rng.choice(84, 28, replace=False)}
    return Spikes.from_events(*zip(*sorted(events)), (2, 6, 7), 12, 40)


def trained(rule=RULE, seed=3):
    return rule.train(stage_of(rule), spikes_of(), np.random.default_rng(seed), backends.open)


def test_a_trained_layer_is_its_parts_put_together():
    stage, rng, found = stage_of(RULE), np.random.default_rng(3), trained()
    inputs = earliness(RandomWindows()(RULE, stage, spikes_of(), rng), RULE.pattern_steps)
    initial = rng.normal(size=(5, 24))
    learned = competing.learn(RULE, inputs, initial, rng).reshape(5, 2, 3, 4)
    assert inputs.shape == (40, 24) and np.array_equal(found.initial.reshape(5, 24), initial)
    expected = calibrate(stage, learned, spikes_of(), backends.open)
    assert np.array_equal(found.learned, learned) and not np.array_equal(learned, found.initial)
    assert np.array_equal(found.inference.kernels, expected.kernels)
    assert np.array_equal(found.inference.v_thresh, expected.v_thresh) and len(found.course.wins) == 0
    norm = np.mean([sum(abs(w) ** 3 for w in unit.ravel()) for unit in learned]) ** (1 / 3)
    assert found.diagnostics == {**kernel_diagnostics(learned), "norm": pytest.approx(norm)}


def test_the_seed_decides_and_every_setting_counts():
    assert np.array_equal(trained().learned, trained().learned)
    assert not np.array_equal(trained(seed=4).learned, trained().learned)
    for other in ({"windows": 50}, {"epochs": 4}, {"batch": 7}, {"eps": 0.03}, {"k": 2}, {"delta": 0.3}, {"p": 2.0},
                  {"pattern_steps": 6}, {"min_spikes": 9}):
        assert not np.array_equal(trained(replace(RULE, **other)).learned, trained().learned), other


@pytest.mark.parametrize("field, wrong", [
    ("windows", 0), ("epochs", 0), ("epochs", 1.5), ("batch", 0), ("eps", 0.0), ("eps", "0.1"), ("k", 1), ("k", 2.0),
    ("delta", -0.1), ("delta", 1.0), ("p", 1.9), ("p", float("nan")), ("pattern_steps", 0), ("min_spikes", 0),
    ("sampling", RandomWindows), ("calibration", RandomWindows())])
def test_settings_are_refused_where_they_are_written(field, wrong):
    with pytest.raises(SettingsError, match=rf"^CompetingUnits\.{field}: must be "):
        CompetingUnits(**{field: wrong})


def test_there_are_as_many_units_as_ranks_and_as_many_windows_as_fit():
    for ask in (lambda rule: rule.memory(stage_of(rule, 2)), trained):
        with pytest.raises(SettingsError, match=r"^CompetingUnits\.k: must be at most the \d filters of layer 1"):
            ask(replace(RULE, k=6))
    RULE.memory(stage_of(RULE))
    with pytest.raises(SettingsError, match=r"^layer 1: CompetingUnits\.windows: must be at most .* GB of memory"):
        replace(RULE, windows=10 ** 9).memory(stage_of(RULE))


DIGITS = CompetingUnits(windows=400, epochs=200, batch=40, eps=0.05)


def experiment(path, folder, rule=DIGITS):
    loaded = settings.load(path)
    return Experiment(replace(loaded, model=Sequential((2, 28, 28), Conv2D(8, 7, training=rule), Classifier(grid=1))),
                      folder, jobs=1)


def test_an_interrupted_training_begins_anew_with_the_same_kernels(parameters, tmp_path):
    """A rule that keeps nothing on the way, and takes seconds."""
    path = parameters()
    whole, broken = (experiment(path, tmp_path / name) for name in ("whole", "broken"))
    for made in (whole, broken):
        made.load_data()

    def pulled(epochs, description):
        for epoch in epochs:
            if epoch == 7:
                raise KeyboardInterrupt
            yield epoch

    broken.progress, progress = pulled, broken.progress
    with pytest.raises(KeyboardInterrupt):
        broken.train_layer(1)
    assert not broken.is_trained(1)
    broken.progress = progress
    assert np.array_equal(broken.train_layer(1).learned, whole.train_layer(1).learned)
    assert broken.layer(1)["how"]["rule"] == "competing" and whole.train_svm().accuracy > 0.3


def test_kernels_of_digits_are_strokes_and_not_noise(parameters, tmp_path):
    """Of windows drawn anew the kernel that fits best is nearer than that of random kernels, STDP's and their own."""
    made = experiment(parameters(), tmp_path)
    made.load_data()
    found = made.train_layer(1)
    drawn = RandomWindows()(DIGITS, made.model.stages[0], made.all_spikes(0, "train"), np.random.default_rng(9))
    inputs = earliness(drawn, DIGITS.pattern_steps)

    def cosine(kernels):
        unit, seen = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (kernels.reshape(8, -1), inputs))
        return (seen @ unit.T).max(axis=1).mean()

    assert cosine(found.learned) > cosine(np.random.default_rng(0).random(found.learned.shape)) + 0.1
    assert cosine(found.learned) > 3 * cosine(found.initial) and found.diagnostics["duplicate_pairs"] == 0
