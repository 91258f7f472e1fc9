"""Networks from layers: windows are real windows of their sample, and every wire is where the layer says."""

from dataclasses import replace

import naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spikingconvnet.errors import DataError, NetworkError, SettingsError
from spikingconvnet.model import build
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Classifier
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.connectivity import ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.neurons import OUT_OF_REACH
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.layerwise.competition import drive_network, training_network
from spikingconvnet.training.layerwise.stdp import STDP
from spikingconvnet.training.layerwise.windows import earliness, window_inputs, window_spikes, with_volley

TRAINING = STDP(windows=24, chunks=2, slot=20, pattern_steps=6, min_spikes=2, volley=(3, 5))
SHAPE = (2, 5, 6)


def stage_of(*layers, shape=SHAPE):
    return Sequential(shape, *layers, Classifier()).stages[-1]


def conv(filters=3, kernel=(2, 3), strides=(1, 2), per_map=False, lateral=0.0, **more):
    return Conv2D(filters, kernel, strides, per_map=per_map, lateral=lateral, training=replace(TRAINING, **more))


def random_spikes(shape=SHAPE, n_samples=3, n_steps=9, n_events=150, seed=0):
    """Events, at most one per neuron and step, and the same as Spikes."""
    rng = np.random.default_rng(seed)
    events = sorted({(int(rng.integers(n_samples)), int(rng.integers(naive.size(shape))), int(rng.integers(n_steps)))
                     for _ in range(n_events)})
    return events, Spikes.from_events(*zip(*events), shape, n_samples, n_steps)


def shown(windows):
    """Per window the sorted (input, step) of its events."""
    found = [[] for _ in range(windows.n_samples)]
    for sample, i, step in zip(*(part.tolist() for part in windows.events())):
        found[sample].append((i, step))
    return [sorted(one) for one in found]


def naive_fields(stage):
    if not stage.layer.per_map:
        return naive.receptive_fields(stage.in_shape, stage.layer.kernel_size, stage.layer.strides)
    channels, rows, columns = stage.in_shape
    one = naive.receptive_fields((1, rows, columns), stage.layer.kernel_size, stage.layer.strides)
    return [[c * rows * columns + i for i in field] for c in range(channels) for field in one]


# Windows


@settings(max_examples=40)
@given(st.booleans(), st.integers(0, 1000), st.sampled_from([3, 6, 12]), st.integers(1, 4), st.integers(5, 9))
@example(False, 0, 6, 2, 9)
@example(True, 0, 6, 2, 9)
def test_every_window_is_a_real_window_of_one_sample_with_a_volley_of_the_silent_inputs(
        per_map, seed, pattern_steps, min_spikes, n_steps):
    stage = stage_of(conv(per_map=per_map, pattern_steps=pattern_steps, min_spikes=min_spikes))
    events, spikes = random_spikes(n_steps=n_steps, seed=seed)
    real = naive.windows(events, 3, naive_fields(stage), pattern_steps)
    if not any(len({i for i, _ in view}) >= min_spikes for view in real):
        with pytest.raises(SettingsError, match="min_spikes"):
            window_spikes(stage.layer.training, stage, spikes, np.random.default_rng(seed))
        return
    drawn = window_spikes(stage.layer.training, stage, spikes, np.random.default_rng(seed))
    windows = with_volley(stage.layer.training, drawn)
    assert drawn.n_steps == pattern_steps and drawn.n_events <= windows.n_events
    n_inputs = 6 if per_map else 12
    assert windows.shape == (1 if per_map else 2, 2, 3) and (windows.n_samples, windows.n_steps) == (24, 20)
    for window in shown(windows):
        pattern = [(i, step) for i, step in window if step < pattern_steps]
        fired = {i for i, _ in pattern}
        assert pattern in real and len(fired) >= min_spikes
        late = [(i, pattern_steps - 1 + (5 if i % 2 else 3)) for i in range(n_inputs) if i not in fired]
        assert window == sorted(pattern + late)


def test_all_windows_with_enough_spikes_are_drawn_and_no_other():
    stage = stage_of(conv(windows=2000))
    events, spikes = random_spikes(n_events=40)
    found = shown(window_spikes(stage.layer.training, stage, spikes, np.random.default_rng(1)))
    patterns = {tuple((i, t) for i, t in window if t < 6) for window in found}
    views = naive.windows(events, 3, naive_fields(stage), 6)
    wanted = {tuple(view) for view in views if len({i for i, _ in view}) >= 2}
    assert patterns == wanted and len(wanted) > 3


def test_min_spikes_counts_inputs_and_not_spikes():
    spikes = Spikes.from_events([0] * 4, [0] * 4, range(4), (2, 2, 3), 1, 9)
    stage = stage_of(conv(kernel=(2, 3), strides=(1, 1)), shape=(2, 2, 3))
    with pytest.raises(SettingsError, match="layer 1: only 0 of 24 windows with at least 2 spiking inputs were found;"
                                            " the fullest of those looked at has 1; lower STDP.min_spikes"):
        window_spikes(stage.layer.training, stage, spikes, np.random.default_rng(0))


@pytest.mark.parametrize("n_samples, error, text", [
    (0, SettingsError, "at least one sample"), (3, DataError, "its source has no spikes at all, so no setting of")])
def test_silence_has_no_windows_to_show(n_samples, error, text):
    with pytest.raises(error, match=text):
        window_spikes(TRAINING, stage_of(conv()), Spikes.empty(SHAPE, n_samples, 9), np.random.default_rng(0))


def test_a_source_that_fires_behind_the_pattern_is_told_from_empty_windows():
    late = Spikes.from_events([0] * 12, range(12), [7] * 12, (2, 2, 3), 1, 9)
    stage = stage_of(conv(strides=(1, 1)), shape=(2, 2, 3))
    with pytest.raises(SettingsError, match="has a spike in its first 6 steps; the source first fires in step 7, so"
                                            " raise STDP.pattern_steps"):
        window_spikes(stage.layer.training, stage, late, np.random.default_rng(0))


def test_spikes_after_the_pattern_are_not_shown_and_a_full_window_has_no_volley():
    spikes = Spikes.from_events(*zip(*[(0, i, t) for i in range(12) for t in (0, 8)]), (2, 2, 3), 1, 9)
    stage = stage_of(conv(strides=(1, 1)), shape=(2, 2, 3))
    found = window_spikes(stage.layer.training, stage, spikes, np.random.default_rng(0))
    assert shown(found) == shown(with_volley(TRAINING, found)) == [[(i, 0) for i in range(12)]] * 24


def test_samples_do_not_leak_into_each_other():
    """Sample 0 fires in its last step and sample 1 in its first; a pattern longer than a sample sees only its own."""
    events = [(0, i, 3) for i in range(12)] + [(1, i, 0) for i in range(6)]
    spikes = Spikes.from_events(*zip(*events), (2, 2, 3), 2, 4)
    stage = stage_of(conv(strides=(1, 1), windows=40), shape=(2, 2, 3))
    found = {tuple((i, t) for i, t in w if t < 6) for w in shown(window_spikes(stage.layer.training, stage, spikes,
                                                                                    np.random.default_rng(0)))}
    assert found == {tuple((i, 3) for i in range(12)), tuple((i, 0) for i in range(6))}


def test_the_earliest_spike_is_the_value_of_an_input():
    spikes = Spikes.from_events([0, 0, 0, 1, 1], [0, 1, 1, 2, 0], [0, 3, 1, 4, 3], (1, 1, 3), 2, 5)
    assert earliness(spikes, 4).tolist() == [[1.0, 0.75, 0.0], [0.25, 0.0, 0.0]]


def test_the_same_generator_shows_the_same_windows():
    _, spikes = random_spikes()
    a, b, c = (window_spikes(TRAINING, stage_of(conv()), spikes, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert a == b and a != c


@pytest.mark.parametrize("per_map", [False, True])
def test_window_inputs_equal_the_naive_fields(per_map):
    stage = stage_of(conv(per_map=per_map))
    assert window_inputs(stage).tolist() == naive_fields(stage)


@settings(max_examples=30)
@given(st.tuples(st.integers(1, 3), st.integers(1, 3)), st.integers(0, 1), st.integers(0, 1000))
def test_windows_of_a_pooled_source_are_those_of_the_naively_pooled_one(pool, padding, seed):
    """With at most one spike a step, though a place pools several neurons that fire together."""
    layer = conv(filters=2, kernel=(1, 2), strides=(1, 1), windows=60, min_spikes=1)
    stage = stage_of(AvgPool2D(pool), replace(layer, padding=padding))
    alone = stage_of(layer, shape=stage.main.seen_shape)
    events, spikes = random_spikes(seed=seed)
    pooled = np.array(naive.pooled_events(events, SHAPE, pool)).reshape(-1, 3).T
    channel, row, column = np.unravel_index(pooled[1], stage.in_shape)
    places = np.ravel_multi_index((channel, row + padding, column + padding), stage.main.seen_shape)
    given_so = Spikes.from_events(pooled[0], places, pooled[2], stage.main.seen_shape, 3, 9)
    expected = window_spikes(layer.training, alone, given_so, np.random.default_rng(seed))
    assert window_spikes(layer.training, stage, spikes, np.random.default_rng(seed)) == expected


# The training network


def windows_of(stage):
    """Windows as STDP shows them."""
    rule = stage.layer.training
    return with_volley(rule, window_spikes(rule, stage, random_spikes()[1], np.random.default_rng(0)))


@pytest.fixture
def training():
    stage = stage_of(conv())
    windows = windows_of(stage)
    weights = np.arange(36.0).reshape(12, 3) / 36
    return stage, windows, weights, training_network(stage.layer.training, windows, weights, np.array([1.0, 2.0, 3.0]))


def test_a_training_network_has_a_window_a_gate_and_a_neuron_per_filter(training):
    stage, windows, _, network = training
    assert [(p.label, p.shape, p.is_source) for p in network.populations] == [
        ("window", (2, 2, 3), True), ("gate", (1, 1, 1), True), ("filters", (3, 1, 1), False)]
    filters = network.population("filters")
    assert network.population("window").cell.spikes == windows
    assert filters.cell == stage.layer.training.neuron and filters.parameter("v_thresh").tolist() == [1.0, 2.0, 3.0]


def test_only_the_kernels_learn_and_inhibition_is_everywhere_else(training):
    stage, _, weights, network = training
    wires = {p.label: (p.pre, p.post, p.receptor, p.plasticity, type(p.connections)) for p in network.projections}
    mechanism = stage.layer.training.mechanism
    assert wires == {"kernels": ("window", "filters", "excitatory", mechanism, DenseConnections),
                     "gate": ("gate", "filters", "inhibitory", None, DenseConnections),
                     "lateral": ("filters", "filters", "inhibitory", None, LateralInhibition)}
    assert np.array_equal(network.projection("kernels").connections.weight, weights)
    assert network.projection("gate").connections.weight.tolist() == [[stage.layer.training.gate] * 3]
    assert network.projection("lateral").connections == LateralInhibition(3, stage.layer.training.lateral)


def test_the_gate_fires_once_a_window_after_the_pattern_and_before_the_volley(training):
    _, windows, _, network = training
    sample, _, step = network.population("gate").cell.spikes.events()
    assert sample.tolist() == list(range(24)) and set(step.tolist()) == {6}
    assert all(t < 6 or t > 6 for window in shown(windows) for _, t in window)


def test_one_filter_has_nobody_to_inhibit():
    stage = stage_of(conv(filters=1))
    windows = windows_of(stage)
    network = training_network(stage.layer.training, windows, np.ones((12, 1)), np.ones(1))
    assert [p.label for p in network.projections] == ["kernels", "gate"]


@pytest.mark.parametrize("weights, v_thresh", [((3, 12), 3), ((12, 3), 2), ((11, 3), 3), ((12, 4), 3)])
def test_weights_and_thresholds_of_another_layer_are_refused(training, weights, v_thresh):
    stage, windows, _, _ = training
    with pytest.raises(NetworkError):
        training_network(stage.layer.training, windows, np.ones(weights), np.ones(v_thresh))


def test_a_drive_network_neither_learns_nor_fires_nor_inhibits(training):
    stage, windows, weights, _ = training
    network = drive_network(stage.layer.training, windows, weights)
    (projection,) = network.projections
    assert projection.plasticity is None and np.array_equal(projection.connections.weight, weights)
    cell = network.population("filters").cell
    assert cell.v_thresh == OUT_OF_REACH and replace(cell, v_thresh=0.0) == replace(
        stage.layer.training.neuron, v_thresh=0.0)


# The inference network


def trained_of(stage, seed=0):
    rng = np.random.default_rng(seed)
    kernels = rng.integers(-3, 4, stage.layer.kernel_shape(stage.in_shape)) / 4.0
    return TrainedLayer(kernels, rng.uniform(1, 2, stage.out_shape[0]))


@pytest.mark.parametrize("layers", [
    [conv()], [conv(per_map=True)], [AvgPool2D((2, 1)), conv()], [AvgPool2D((1, 2)), conv(per_map=True, kernel=(2, 2))],
    [Dense(4)], [Conv2D(2, 2), AvgPool2D(2), Dense(3)],
    [conv(2, (2, 2), (1, 1)), Conv2D(2, 2, per_map=True), Dense(3)]])
def test_an_inference_network_has_the_connections_of_the_naive_convolutions(layers):
    stages = Sequential(SHAPE, *layers, Classifier()).stages
    trained = [trained_of(stage, stage.number) for stage in stages]
    _, spikes = random_spikes()
    network = build.inference_network(stages, trained, spikes)
    assert [p.label for p in network.populations] == ["input", *(stage.label for stage in stages)]
    assert network.population("input").cell.spikes == spikes
    before = "input"
    for stage, layer in zip(stages, trained):
        population, projection = network.population(stage.label), network.projection(stage.label)
        kernels = layer.kernels.tolist()
        if stage.layer.per_map:
            kernels = naive.per_map_kernels(kernels, stage.in_shape[0])
        pool = stage.pool.pool_size if stage.pool else (1, 1)
        found = projection.connections.to_list()
        assert list(zip(found.pre.tolist(), found.post.tolist(), found.weight.tolist())) == naive.conv_connections(
            kernels, stage.source_shape, stage.layer.strides, pool)
        assert (projection.pre, projection.post, projection.plasticity) == (before, stage.label, None)
        assert isinstance(projection.connections, ConvConnections)
        assert projection.connections.post_shape == stage.out_shape
        assert (population.shape, population.cell) == (stage.out_shape, stage.layer.neuron)
        assert population.per_channel == (stage.layer.kernel_size != stage.in_shape[1:])
        per_map = population.parameter("v_thresh").reshape(stage.out_shape[0], -1)
        assert (per_map == layer.v_thresh[:, None]).all()
        before = stage.label


@pytest.mark.parametrize("layer", [conv(lateral=2.5), conv(per_map=True, lateral=2.5), Dense(4, lateral=2.5)])
def test_maps_that_compete_inhibit_each_other_at_each_place_and_nowhere_else(layer):
    stage, (_, spikes) = stage_of(layer), random_spikes()
    network = build.inference_network([stage], [trained_of(stage)], spikes)
    projection, positions = network.projection(f"{stage.label} lateral"), stage.out_shape[1] * stage.out_shape[2]
    found = projection.connections.to_list()
    expected = [(a, b, -2.5) for a in range(naive.size(stage.out_shape)) for b in range(naive.size(stage.out_shape))
                if a != b and a % positions == b % positions]
    assert list(zip(found.pre.tolist(), found.post.tolist(), found.weight.tolist())) == expected
    assert (projection.pre, projection.post) == (stage.label, stage.label) and set(found.delay.tolist()) == {1}


@pytest.mark.parametrize("layer", [conv(), conv(filters=1, lateral=2.5)])
def test_without_inhibition_or_with_a_single_map_nothing_competes(layer):
    stage, (_, spikes) = stage_of(layer), random_spikes()
    assert len(build.inference_network([stage], [trained_of(stage)], spikes).projections) == 1


def test_kernels_of_another_layer_or_spikes_of_another_source_are_refused():
    stage = stage_of(conv())
    good = trained_of(stage)
    _, spikes = random_spikes()
    for kernels, v_thresh, source in ((good.kernels[:2], good.v_thresh, spikes),
                                      (good.kernels, good.v_thresh[:2], spikes),
                                      (good.kernels[:, :1], good.v_thresh, spikes),
                                      (good.kernels, good.v_thresh, Spikes.empty((2, 5, 7), 1, 9))):
        with pytest.raises(NetworkError):
            build.inference_network([stage], [TrainedLayer(kernels, v_thresh)], source)
