"""Layer-wise STDP: each number worked out by hand or by a slow twin, the course by showing the windows once more."""

import logging
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikingconvnet import backends
from spikingconvnet.backends.base import Recording
from spikingconvnet.backends.local import simulator
from spikingconvnet.errors import SettingsError
from spikingconvnet.model import build
from spikingconvnet.model.layers import AvgPool2D, Conv2D
from spikingconvnet.model.readouts import Classifier
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Course
from spikingconvnet.network.neurons import IFCurrExp
from spikingconvnet.network.plasticity import AdditiveWeightDependence, STDPMechanism
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.layerwise import homeostasis as module
from spikingconvnet.training.layerwise import stdp
from spikingconvnet.training.layerwise.calibration import FiringShare, calibrate, inference_kernels
from spikingconvnet.training.layerwise.competition import FILTERS, WINDOW, training_network
from spikingconvnet.training.layerwise.competition import KERNELS as PLASTIC
from spikingconvnet.training.layerwise.course import diagnostics, weight_diagnostics
from spikingconvnet.training.layerwise.homeostasis import Homeostasis, homeostasis, start_thresholds
from spikingconvnet.training.layerwise.stdp import STDP
from spikingconvnet.training.layerwise.windows import window_spikes, with_volley

TRAINING = STDP(windows=40, chunks=4, slot=70, pattern_steps=8, min_spikes=3, homeostasis=(0.4, 0.1),
                mechanism=STDPMechanism(weight_dependence=AdditiveWeightDependence(0.2, 0.7)))
BOUNDS = TRAINING.mechanism.weight_dependence
SHAPE = (2, 6, 7)
STEPS = 40


def stage_of(filters=5, kernel=(3, 4), shape=SHAPE, before=(), layer=None, **training):
    """The last stage of a model: `layer` are settings of its Conv2D, other keywords those of its STDP."""
    made = Conv2D(filters, kernel, training=replace(TRAINING, **training), **(layer or {}))
    return Sequential(shape, *before, made, Classifier()).stages[-1]


def input_of(shape=SHAPE, samples=12, seed=0):
    """Samples of random spikes in their first ten steps, different corners in different samples, then a gap."""
    rng = np.random.default_rng(seed)
    events = {(s, int(n), int(rng.integers(10))) for s in range(samples)
              for n in rng.choice(np.prod(shape), np.prod(shape) // 3, replace=False)}
    return Spikes.from_events(*zip(*sorted(events)), shape, samples, STEPS)


class Played:
    """A backend whose membranes are given: what is opened, run and asked for is kept.

    Parameters
    ----------
    v : int array (steps, neurons)
        Raw s16.15, handed out in pieces as they are run.
    """

    def __init__(self, v):
        self.v, self.at, self.taken, self.runs = v, 0, 0, []

    def __call__(self, network, record=()):
        self.network, self.record = network, record
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, steps):
        self.runs.append(steps)
        self.at += steps

    def recording(self):
        part, self.taken = self.v[self.taken:self.at], self.at
        (label,) = self.record
        return Recording({}, {label: {"v": part}})


# Start


def test_start_weights_lie_anywhere_between_the_bounds_of_the_rule():
    stage = stage_of(filters=50)
    kernels = stdp.random_kernels(stage.layer.training, stage, np.random.default_rng(1))
    assert kernels.shape == (50, 2, 3, 4)
    assert 0.2 <= kernels.min() < 0.21 and 0.69 < kernels.max() <= 0.7 and abs(kernels.mean() - 0.45) < 0.02
    assert np.array_equal(kernels, stdp.random_kernels(stage.layer.training, stage, np.random.default_rng(1)))
    one_map = stage_of(layer={"per_map": True})
    assert stdp.random_kernels(TRAINING, one_map, np.random.default_rng(1)).shape == (5, 1, 3, 4)


def peaks_as_membranes(peaks, slot, at):
    """Membranes that have their peaks (windows, filters), mV, in step `at` of each window."""
    v = np.full((len(peaks), slot, len(peaks[0])), -100 * 32768)
    v[:, at] = np.array(peaks) * 32768
    return v.reshape(-1, len(peaks[0]))


@pytest.mark.parametrize("initial_winners, expected", [(1.0, [4.0, 40.0, 3.0, 5.0]), (2.0, [3.0, 30.0, 3.0, 5.0]),
                                                       (3.5, [3.0, 30.0, 3.0, 5.0]), (0.5, [4.5, 45.0, 3.0, 5.0])])
def test_a_start_threshold_is_the_peak_that_the_fair_share_of_windows_exceeds(initial_winners, expected):
    """A quarter for one winner of four filters: with five windows the second largest; never more than half of them."""
    peaks = [[1, 50, 3, 5], [5, 10, 3, 5], [2, 40, 3, 5], [4, 20, 3, 5], [3, 30, 3, 5]]
    for at in (0, TRAINING.pattern_steps + 1):
        stage, backend = stage_of(4, initial_winners=initial_winners), Played(peaks_as_membranes(peaks, 70, at))
        windows = Spikes.empty((2, 3, 4), 5, 70)
        found = start_thresholds(stage.layer.training, windows, np.ones((24, 4)), backend)
        assert found.tolist() == expected and backend.runs == [350]
        assert backend.network.population(FILTERS).size == 4


def test_a_start_threshold_lies_above_rest_and_peaks_of_the_volley_do_not_count():
    late = Played(peaks_as_membranes([[-60, -60]] * 3, 70, TRAINING.pattern_steps + 2))
    resting = replace(TRAINING.neuron, v_rest=-65.0, v_reset=-65.0, v=-65.0)
    found = start_thresholds(replace(TRAINING, neuron=resting), Spikes.empty((2, 3, 4), 3, 70), np.ones((24, 2)), late)
    assert found.tolist() == [-64.999, -64.999]


def test_start_thresholds_look_at_the_first_windows_only(monkeypatch):
    monkeypatch.setattr(module, "DRIVE_WINDOWS", 3)
    backend = Played(peaks_as_membranes([[1], [2], [3], [9], [9]], 70, 4))
    windows = Spikes.from_events([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], [1] * 5, (2, 3, 4), 5, 70)
    found = start_thresholds(stage_of(1).layer.training, windows, np.ones((24, 1)), backend)
    assert found.tolist() == [2.0] and backend.runs == [210]
    assert backend.network.population(WINDOW).cell.spikes == windows.samples(0, 3)


def test_enough_windows_decide_on_the_start_thresholds():
    backend = Played(peaks_as_membranes([[k] for k in range(1, 402)], 20, 4))
    rule = replace(TRAINING, slot=20)
    assert start_thresholds(rule, Spikes.empty((2, 3, 4), 401, 20), np.ones((24, 1)), backend) == [200.5]


# Homeostasis


def naive_threshold(v_thresh, wins, target, rate, v_rest):
    """tanh(log(r)) is (r r - 1) / (r r + 1)."""
    r = (wins + 0.3 * target) / (1.3 * target)
    return v_rest + (v_thresh - v_rest) * math.exp(rate * (r * r - 1) / (r * r + 1))


def test_a_threshold_rises_with_wins_and_falls_without_them():
    """Of 10 wins wanted: 23 are a ratio of 26 / 13 = 2, whose tanh(log) is 3 / 5; none are a ratio of 3 / 13."""
    found = homeostasis(np.array([10.0, 10.0, 10.0]), np.array([10, 23, 0]), 10.0, 0.2)
    assert found == pytest.approx([10.0, 10.0 * math.exp(0.2 * 3 / 5), 10.0 * math.exp(-0.2 * 160 / 178)], rel=1e-12)


def test_only_the_height_above_rest_is_scaled():
    found = homeostasis(np.array([-55.0, -45.0]), np.array([23, 23]), 10.0, 0.5, -65.0)
    assert found == pytest.approx([-65.0 + 10.0 * math.exp(0.3), -65.0 + 20.0 * math.exp(0.3)], rel=1e-12)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=8, unique=True), st.floats(0.5, 100), st.floats(0.01, 1),
       st.floats(-70, 10))
def test_homeostasis_keeps_the_order_of_wins_and_its_largest_step(wins, target, rate, v_rest):
    found = homeostasis(np.full(len(wins), v_rest + 8.0), np.array(wins), target, rate, v_rest)
    assert found == pytest.approx([naive_threshold(v_rest + 8.0, n, target, rate, v_rest) for n in wins], rel=1e-9)
    assert np.all(np.diff(found[np.argsort(wins)]) >= 0)
    assert np.all(np.abs(np.log((found - v_rest) / 8.0)) <= rate * (1 + 1e-9))


def test_wins_wanted_of_each_filter_are_nine_tenths_of_the_windows_shared_out():
    """10 windows, 3 filters: 3 wins each; the neurons that fired are counted spike by spike."""
    resting = replace(TRAINING.neuron, v_rest=-65.0, v_reset=-65.0, v=-65.0)
    fired = Spikes.from_events([0, 1, 2, 3, 4, 5, 6, 7], [0, 0, 0, 1, 1, 1, 1, 1], [3] * 8, (3, 1, 1), 10, 70)
    found = Homeostasis(0.3).after(replace(TRAINING, neuron=resting), np.full((1, 3), -60.0), fired)
    assert found[0] == -60.0
    assert found[1:] == pytest.approx([naive_threshold(-60.0, n, 3.0, 0.3, -65.0) for n in (5, 0)], rel=1e-12)


# The course of a training


def start_kernels(stage, seed=7):
    return stdp.random_kernels(stage.layer.training, stage, np.random.default_rng(seed))


def windows_of(stage, seed=0):
    return shown(stage, input_of(stage.in_shape), np.random.default_rng(seed))


def shown(stage, spikes, rng):
    """Windows as STDP shows them."""
    return with_volley(stage.layer.training, window_spikes(stage.layer.training, stage, spikes, rng))


def trained(stage, so_far=None):
    """A training from start weights of a fixed seed: windows, start weights, learned ones, Course, what was kept."""
    windows, initial, kept = windows_of(stage), start_kernels(stage), []
    learned, course = stdp.learn(stage.layer.training, stage, windows, initial, simulator.open, so_far=so_far,
                                 keep=lambda **arrays: kept.append(arrays))
    return windows, initial, learned, course, kept


def test_the_course_is_what_the_windows_give_chunk_by_chunk():
    """Shown once more to the engine itself: who fires, wins, the thresholds that follow, weights at the end."""
    stage = stage_of()
    windows, initial, learned, course, _ = trained(stage)
    weights = initial.reshape(5, -1).T
    start = start_thresholds(stage.layer.training, windows, weights, simulator.open)
    assert np.array_equal(course.thresholds[0], start) and course.thresholds.shape == (4, 5)
    with simulator.open(training_network(stage.layer.training, windows, weights, start)) as simulation:
        for chunk in range(4):
            simulation.run(10 * 70)
            sample, neuron, _ = simulation.recording().spikes[FILTERS].events()
            winners = [int((sample == window).sum()) for window in range(10)]
            assert course.wins[chunk].tolist() == [winners.count(0), winners.count(1), 10 - winners.count(0)
                                                   - winners.count(1)]
            found = simulation.weights(PLASTIC).value
            assert course.mean_weight[chunk] == pytest.approx(found.mean(), rel=1e-12)
            rate = 0.4 * (0.1 / 0.4) ** (chunk / 3)
            after = [naive_threshold(course.thresholds[chunk, k], int((neuron == k).sum()), 0.9 * 10 / 5, rate, 0.0)
                     for k in range(5)]
            if chunk < 3:
                assert course.thresholds[chunk + 1] == pytest.approx(after, rel=1e-9)
                simulation.set(FILTERS, course.thresholds[chunk + 1])
    assert np.array_equal(learned, found.reshape(24, 5).T.reshape(5, 2, 3, 4))
    assert course.wins.shape == (4, 3) and course.wins[:, 1:].any() and course.mean_weight.shape == (4,)
    assert not np.array_equal(learned, initial) and learned.min() >= 0.2 - 1e-3 and learned.max() <= 0.7 + 1e-3


def test_what_is_finished_is_kept_after_every_chunk_but_the_last_and_gone_on_with():
    stage = stage_of()
    _, _, learned, course, kept = trained(stage)
    assert [len(one["wins"]) for one in kept] == [0, 1, 2, 3]
    for one in kept:
        done = len(one["wins"])
        assert one["thresholds"].shape == (done + 1, 5) and one["mean_weight"].shape == (done,)
        assert np.array_equal(one["thresholds"], course.thresholds[:done + 1])
        assert np.array_equal(one["wins"], course.wins[:done])
        assert one["learned"].shape == (24, 5)
        _, _, same, its_course, again = trained(stage, one)
        assert np.array_equal(same, learned) and [len(late["wins"]) for late in again] == [*range(done + 1, 4)]
        for name in ("wins", "thresholds", "mean_weight"):
            assert np.array_equal(getattr(its_course, name), getattr(course, name))


@pytest.mark.parametrize("change", ["weights", "thresholds"])
def test_what_a_simulation_does_not_come_to_again_is_not_gone_on_with(change, caplog):
    stage = stage_of()
    _, _, learned, course, kept = trained(stage)
    false = dict(kept[2])
    if change == "weights":
        false["learned"] = false["learned"].copy()
        false["learned"][:2, 1] += 0.125
    else:
        false["thresholds"] = false["thresholds"] * 3.0
    with caplog.at_level(logging.INFO):
        _, _, same, its_course, again = trained(stage, false)
    assert "layer 1: 2 of 4 chunks were finished before; showing them again, then going on" in caplog.text
    assert "weights are not those of before the interruption" in caplog.text
    assert change != "weights" or "2 of 120 weights are not" in caplog.text
    assert np.array_equal(same, learned) and np.array_equal(its_course.thresholds, course.thresholds)
    assert [len(one["wins"]) for one in again] == [0, 1, 2, 3]


def test_a_training_of_one_chunk_keeps_its_start_alone():
    *_, course, kept = trained(stage_of(chunks=1))
    assert [len(one["wins"]) for one in kept] == [0] and course.wins.sum() == 40 and course.thresholds.shape == (1, 5)


def test_a_bar_goes_with_the_chunks_and_is_told_how_far_weights_have_come():
    stage, seen, told = stage_of(), [], []

    class Bar(list):
        def __iter__(self):
            for one in super().__iter__():
                seen.append(one)
                yield one

        def set_postfix(self, values):
            told.append(values["convergence"])

    learned, _ = stdp.learn(stage.layer.training, stage, windows_of(stage), start_kernels(stage), simulator.open, Bar)
    assert seen == [0, 1, 2, 3]
    assert len(told) == 4 and told[-1] == weight_diagnostics(BOUNDS, learned)["convergence"] != told[0]


def steps_fired(**training):
    """Steps in which the filters fire in each window at half their start thresholds: list of lists, sorted."""
    stage = stage_of(neuron=replace(TRAINING.neuron, tau_refrac=0.0), **training)
    windows, weights = windows_of(stage), np.full((24, 5), 0.5)
    thresholds = 0.5 * start_thresholds(stage.layer.training, windows, weights, simulator.open)
    fired = backends.run(training_network(stage.layer.training, windows, weights, thresholds)).spikes[FILTERS]
    sample, _, step = fired.events()
    return [sorted(step[sample == window].tolist()) for window in range(40)]


def test_the_gate_keeps_the_volley_from_being_answered():
    def late(gate):
        return sum(step > TRAINING.pattern_steps + 1 for steps in steps_fired(gate=gate, lateral=0.0) for step in steps)

    assert late(60.0) == 0 < late(0.0)


def test_a_winner_silences_the_others_a_step_later():
    def spread(lateral):
        return max(max(steps) - min(steps) for steps in steps_fired(lateral=lateral, gate=200.0) if steps)

    assert spread(200.0) <= 1 < spread(0.0)


def test_a_single_filter_learns_without_anybody_to_inhibit():
    _, _, learned, course, _ = trained(stage_of(1))
    assert learned.shape == (1, 2, 3, 4) and course.wins[:, 2].sum() == 0 < course.wins[:, 1].sum()


def test_a_trained_layer_is_its_parts_put_together():
    stage, spikes, kept = stage_of(), input_of(), []
    found = stage.layer.training.train(stage, spikes, np.random.default_rng(3), simulator.open,
                       keep=lambda **arrays: kept.append(arrays))
    rng = np.random.default_rng(3)
    windows = shown(stage, spikes, rng)
    initial = stdp.random_kernels(stage.layer.training, stage, rng)
    learned, course = stdp.learn(stage.layer.training, stage, windows, initial, simulator.open)
    assert np.array_equal(found.initial, initial) and np.array_equal(found.learned, learned)
    assert np.array_equal(found.course.wins, course.wins)
    expected = calibrate(stage, learned, spikes, simulator.open)
    assert np.array_equal(found.inference.kernels, expected.kernels)
    assert np.array_equal(found.inference.v_thresh, expected.v_thresh)
    assert found.diagnostics == diagnostics(BOUNDS, learned, course)
    again = stage.layer.training.train(stage, spikes, np.random.default_rng(3), simulator.open, so_far=kept[2])
    assert np.array_equal(again.learned, learned) and again.diagnostics == found.diagnostics


def test_a_pooled_layer_learns_from_pooled_windows():
    stage = stage_of(3, (2, 2), (1, 6, 6), before=(Conv2D(2, 1), AvgPool2D(2)))
    spikes = input_of(stage.source_shape)
    found = stage.layer.training.train(stage, spikes, np.random.default_rng(3), simulator.open)
    assert found.learned.shape == (3, 2, 2, 2) and found.inference.v_thresh.shape == (3,)
    rng = np.random.default_rng(3)
    windows = shown(stage, spikes, rng)
    initial = stdp.random_kernels(stage.layer.training, stage, rng)
    assert np.array_equal(found.learned, stdp.learn(stage.layer.training, stage, windows, initial, simulator.open)[0])


# Inference


def test_a_kernel_without_its_mean_has_the_length_of_the_gain():
    layer = Conv2D(3, (1, 2), gain=20.0)
    kernels = inference_kernels(layer, np.array([[1.0, 3.0], [0.5, 0.5], [0.9, 0.1]]).reshape(3, 1, 1, 2))
    side = 20.0 / math.sqrt(2)
    assert kernels.reshape(3, 2) == pytest.approx(np.array([[-side, side], [0, 0], [side, -side]]), abs=1e-12)


def test_a_kernel_that_keeps_its_mean_is_only_scaled():
    layer = Conv2D(2, (1, 2), gain=10.0, centred=False)
    kernels = inference_kernels(layer, np.array([[3.0, 4.0], [0.0, 0.0]]).reshape(2, 1, 1, 2))
    assert kernels.reshape(2, 2) == pytest.approx(np.array([[6.0, 8.0], [0.0, 0.0]]), abs=1e-12)


@given(st.integers(0, 10 ** 6), st.floats(0.1, 50), st.floats(1e-6, 10))
def test_kernels_at_inference_have_no_mean_the_right_length_and_the_direction_they_had(seed, gain, scale):
    learned = scale * np.random.default_rng(seed).uniform(0, 1, (4, 2, 3, 3))
    kernels = inference_kernels(Conv2D(4, 3, gain=gain), learned)
    for kernel, before in zip(kernels, learned):
        centred = before - before.mean()
        assert abs(kernel.sum()) < 1e-9 * gain * 18 and math.sqrt((kernel ** 2).sum()) == pytest.approx(gain)
        assert (kernel * centred).sum() == pytest.approx(gain * math.sqrt((centred ** 2).sum()))


def naive_quantile(values, share):
    """With a straight line between the two nearest."""
    values, at = sorted(values), share * (len(values) - 1)
    low = math.floor(at)
    return values[low] + (at - low) * (values[min(low + 1, len(values) - 1)] - values[low])


@pytest.mark.parametrize("firing", [0.1, 0.35])
def test_a_calibrated_threshold_is_the_peak_that_a_share_of_samples_and_places_exceeds(firing):
    """13 samples of 6 steps, shown ten and then three; two maps at two places."""
    stage = stage_of(2, (1, 2), (1, 1, 3), layer={"firing": firing})
    v = np.random.default_rng(5).integers(1, 5 << 15, (13, 6, 2, 2))
    backend = Played(v.reshape(13 * 6, 4))
    spikes = Spikes.empty((1, 1, 3), 13, 6)
    found = calibrate(stage, np.array([[0.2, 0.6], [0.7, 0.3]]).reshape(2, 1, 1, 2), spikes, backend)
    peaks = [[max(v[s, t, m, p] for t in range(6)) for s in range(13) for p in range(2)] for m in range(2)]
    assert found.v_thresh.tolist() == [math.ceil(naive_quantile(values, 1 - firing) - 1e-9) / 32768 for values in peaks]
    assert backend.runs == [60, 18]
    side = 20.0 / math.sqrt(2)
    assert found.kernels.reshape(2, 2) == pytest.approx(np.array([[-side, side], [side, -side]]))


def test_nothing_fires_while_thresholds_are_calibrated():
    stage = stage_of(2, (1, 2), (1, 1, 3))
    backend = Played(np.ones((4 * 6, 4), int))
    calibrate(stage, np.ones((2, 1, 1, 2)) * [0.2, 0.6], Spikes.empty((1, 1, 3), 4, 6), backend)
    assert set(backend.network.population("layer1").parameter("v_thresh").tolist()) == {65535.0}


def test_the_first_200_samples_calibrate():
    stage = stage_of(1, (1, 2), (1, 1, 2))
    v = np.full((205, 3, 1), 1 << 15)
    v[200:] = 9 << 15
    backend = Played(v.reshape(-1, 1))
    found = FiringShare()(stage, np.array([0.2, 0.6]).reshape(1, 1, 1, 2), Spikes.empty((1, 1, 2), 205, 3), backend)
    assert found.v_thresh.tolist() == [1.0] and backend.runs == [30] * 20


def test_a_map_that_is_lifted_too_rarely_is_named():
    """Filter 2 of layer 2 never leaves its rest of -65 mV."""
    cell = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=-65.0, v_reset=-65.0, v_thresh=-50.0, v=-65.0, tau_syn_E=1.0,
                     tau_syn_I=1.0, tau_refrac=0.0)
    stage = stage_of(3, (1, 2), (1, 1, 2), before=(Conv2D(1, 1),), layer={"neuron": cell, "firing": 0.25})
    v = np.full((8, 5, 3), -60 << 15)
    v[:, :, 1] = -65 << 15
    with pytest.raises(SettingsError, match=r"^layer 2, filter 2: fewer than 25 % of the windows lift its membrane"):
        calibrate(stage, np.array([0.2, 0.6] * 3).reshape(3, 1, 1, 2), Spikes.empty((1, 1, 2), 8, 5),
                       Played(v.reshape(-1, 3)))
    v[:, :, 1] += 1
    found = calibrate(stage, np.array([0.2, 0.6] * 3).reshape(3, 1, 1, 2), Spikes.empty((1, 1, 2), 8, 5),
                           Played(v.reshape(-1, 3)))
    assert found.v_thresh.tolist() == [-60.0, -65.0 + 1 / 32768, -60.0]


def test_the_share_of_places_that_fire_is_the_one_asked_for():
    stage = stage_of(4, layer={"firing": 0.2})
    spikes = input_of(samples=30)
    layer = calibrate(stage, start_kernels(stage, 0), spikes, simulator.open)
    fired = backends.run(build.inference_network([stage], [layer], spikes)).spikes["layer1"]
    shares = (fired.counts().reshape(30, 4, -1) > 0).mean(axis=(0, 2))
    assert shares == pytest.approx([0.2] * 4, abs=0.04)


# Diagnostics


def course_of(*wins):
    return Course(np.array(wins), np.zeros((len(wins), 3)), np.zeros(len(wins)))


KERNELS = np.array([[0.2, 0.7, 0.45, 0.2], [0.7, 0.2, 0.45, 0.7], [0.2, 0.2, 0.45, 0.45]]).reshape(3, 1, 2, 2)


def test_health_is_that_of_the_last_quarter_of_the_chunks():
    """Of 8 windows in the last two of eight chunks 2 are silent, 5 have a winner, 1 has several and counts twice."""
    told = diagnostics(BOUNDS, KERNELS, course_of(*[[0, 0, 4]] * 6, [1, 2, 1], [1, 3, 0]))
    assert told["wins_per_window"] == 7 / 8 and told["silent_windows"] == 2 / 8 and told["contested_windows"] == 1 / 8


@pytest.mark.parametrize("chunks, late", [(1, 1), (3, 1), (4, 1), (7, 1), (8, 2), (12, 3)])
def test_the_last_quarter_is_at_least_one_chunk(chunks, late):
    wins = [[4, 0, 0]] * (chunks - late) + [[1, 2, 1]] * late
    assert diagnostics(BOUNDS, KERNELS, course_of(*wins))["silent_windows"] == 0.25
    if chunks > late:
        wins[-late - 1], wins[-late] = [1, 2, 1], [4, 0, 0]
        assert diagnostics(BOUNDS, KERNELS, course_of(*wins))["silent_windows"] == (1 + 3 / late) / 4


def test_weights_at_their_bounds_are_counted_with_a_thousandth_of_the_range():
    """Bounds 0.2 and 0.7: a thousandth of the range is 0.0005 to either side."""
    kernels = np.array([0.2, 0.2004, 0.2006, 0.45, 0.5, 0.6994, 0.6996, 0.69951]).reshape(1, 1, 2, 4)
    told = weight_diagnostics(BOUNDS, kernels)
    assert told["at_lower"] == 2 / 8 and told["at_upper"] == 2 / 8
    share = [(w - 0.2) / 0.5 for w in kernels.ravel()]
    assert told["convergence"] == pytest.approx(sum(w * (1 - w) for w in share) / 8)
    assert told["mean_weight"] == pytest.approx(kernels.mean()) and told["duplicate_pairs"] == 0


def at_angle(cosine, mean):
    """A kernel of four weights whose centred form has this cosine with (1, -1, 0, 0)."""
    return mean + 0.1 * (cosine * np.array([1, -1, 0, 0]) + math.sqrt(1 - cosine ** 2) * np.array([0, 0, 1, -1]))


@pytest.mark.parametrize("cosines, pairs", [([1, 1, 1], 3), ([1, 1, -1], 1), ([1, 0.96], 1), ([1, 0.94], 0),
                                            ([1, 0], 0), ([1, 1, 0, 0], 2), ([1], 0), ([1, -1], 0)])
def test_two_kernels_are_duplicates_if_they_point_the_same_way_whatever_their_mean(cosines, pairs):
    kernels = np.array([at_angle(cosine, 0.3 + 0.05 * k) for k, cosine in enumerate(cosines)])
    told = weight_diagnostics(BOUNDS, kernels.reshape(-1, 1, 2, 2))
    assert told["duplicate_pairs"] == pairs


def test_a_kernel_of_equal_weights_is_nobodys_duplicate():
    kernels = np.array([[0.3] * 4, [0.3] * 4, [0.6] * 4]).reshape(3, 1, 2, 2)
    assert weight_diagnostics(BOUNDS, kernels)["duplicate_pairs"] == 0
