"""Encoders against one value at a time; batches, silence and full drive."""

import naive
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spikingconvnet.data.encoding import LatencyEncoder, RateEncoder, RegularEncoder, encode, rate_of, shown
from spikingconvnet.data.filters import DifferenceOfGaussians, Intensity
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields
from spikingconvnet.errors import SettingsError

ENCODERS = [LatencyEncoder(7, 0.1, 0.8), RegularEncoder(9, 0.7, 0.1), RateEncoder(9, 0.7, 0.1)]
VALUES = st.lists(st.floats(0, 2), min_size=12, max_size=12)


def values_of(numbers):
    return np.array(numbers, float).reshape(1, 2, 2, 3)


def steps_of(spikes):
    """Per sample and neuron the list of steps."""
    found = [[[] for _ in range(spikes.size)] for _ in range(spikes.n_samples)]
    for sample, neuron, step in zip(*spikes.events()):
        found[sample][neuron].append(int(step))
    return found


@given(VALUES, st.integers(1, 20), st.floats(0, 0.5), st.floats(0.01, 1.5))
@example([0.0, 0.08, 0.0800001, 0.6, 0.5999999, 2.0] * 2, 15, 0.08, 0.52)
@example([1.0] * 12, 1, 0.0, 1.0)
@example([0.0] * 12, 15, 0.0, 1.0)
def test_latencies_equal_the_naive_ones_pixel_by_pixel(numbers, n_steps, threshold, span):
    spikes = LatencyEncoder(n_steps, threshold, threshold + span)(values_of(numbers))
    wanted = [naive.latency_step(value, n_steps, threshold, threshold + span) for value in numbers]
    assert steps_of(spikes)[0] == [[] if step is None else [step] for step in wanted]
    assert (spikes.shape, spikes.n_steps, spikes.n_samples) == ((2, 2, 3), n_steps, 1)


@given(VALUES, st.integers(1, 20))
def test_a_stronger_input_never_fires_later(numbers, n_steps):
    steps = [found[0] if found else n_steps for found in steps_of(LatencyEncoder(n_steps)(values_of(numbers)))[0]]
    assert [step for _, step in sorted(zip(numbers, steps))] == sorted(steps, reverse=True)


@given(VALUES, st.integers(1, 60), st.floats(0.001, 1.0))
@example([1.0] * 12, 10, 1.0)
@example([1.0] * 12, 30, 0.1)
def test_regular_spikes_equal_the_naive_ones(numbers, n_steps, max_rate):
    found = steps_of(RegularEncoder(n_steps, max_rate)(values_of(numbers)))[0]
    rates = [min(value, 1.0) * max_rate for value in numbers]
    assert found == [naive.regular_steps(rate, n_steps) for rate in rates]
    for steps, rate in zip(found, rates):
        assert len(steps) == np.floor(n_steps * rate)


def test_rates_converge_to_the_values():
    values = np.broadcast_to(np.array([0.0, 0.05, 0.2, 0.5, 1.0, 3.0]).reshape(1, 2, 1, 3), (400, 2, 1, 3))
    counts = RateEncoder(n_steps=100, max_rate=0.4, threshold=0.1)(values, np.random.default_rng(0)).counts()
    rate = counts.reshape(400, 6).mean(axis=0) / 100
    wanted = np.array([0, 0, 0.08, 0.2, 0.4, 0.4])
    assert (abs(rate - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / 40000)).all()      # five standard errors


def test_full_drive_fires_in_every_step_and_never_twice():
    for encoder in (RateEncoder(9, 1.0), RegularEncoder(9, 1.0)):
        raster = encoder(np.full((2, 2, 1, 3), 5.0), np.random.default_rng(0)).raster()
        assert (raster == 1).all()


def test_rate_spikes_are_independent_of_neighbours_and_steps():
    raster = RateEncoder(2000, 0.5)(np.ones((1, 2, 1, 2)), np.random.default_rng(1)).raster()
    correlation = np.corrcoef(np.concatenate([raster[1:].T, raster[:-1].T]))
    assert abs(correlation - np.eye(8)).max() < 0.12


@pytest.mark.parametrize("encoder", ENCODERS)
@given(st.integers(0, 5), st.integers(1, 7))
def test_the_spikes_do_not_depend_on_the_batch(encoder, n_images, batch):
    images = np.random.default_rng(2).integers(0, 256, (n_images, 4, 5), dtype=np.uint8)
    one, many = (encode(images, Intensity(), encoder, np.random.default_rng(3), size) for size in (1000, batch))
    assert one == many and one.n_samples == n_images and one.shape == (1, 4, 5)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_images_make_no_samples(encoder):
    spikes = encode(np.zeros((0, 4, 5), np.uint8), DifferenceOfGaussians(), encoder, np.random.default_rng(0))
    assert (spikes.n_samples, spikes.n_events, spikes.shape) == (0, 0, (2, 4, 5))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_dark_negative_and_undefined_values_are_silent(encoder):
    values = np.stack([np.full((2, 1, 3), value) for value in (0.0, -4.0, np.nan, 0.1)])
    spikes = encoder(values, np.random.default_rng(0))
    assert spikes.n_events == 0 and spikes.n_samples == 4


@pytest.mark.parametrize("encoder", ENCODERS)
def test_samples_do_not_mix(encoder):
    values = np.zeros((3, 2, 1, 3))
    values[1, 1, 0, 2] = 1.0
    sample, neuron, _ = encoder(values, np.random.default_rng(0)).events()
    assert set(sample.tolist()) == {1} and set(neuron.tolist()) == {5}


def test_the_same_generator_gives_the_same_spikes_and_another_seed_others():
    values = np.full((3, 2, 2, 3), 0.6)
    a, b, c = (RateEncoder()(values, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert a == b and a != c


@pytest.mark.parametrize("make", [
    lambda: LatencyEncoder(n_steps=0), lambda: LatencyEncoder(threshold=-0.1), lambda: LatencyEncoder(threshold=0.6),
    lambda: LatencyEncoder(saturation=float("nan")), lambda: RateEncoder(n_steps=0), lambda: RateEncoder(max_rate=0.0),
    lambda: RateEncoder(max_rate=1.01), lambda: RateEncoder(threshold=-1.0), lambda: RegularEncoder(n_steps=-1),
    lambda: RegularEncoder(max_rate=float("nan")), lambda: RegularEncoder(threshold=-0.5)])
def test_an_encoder_that_makes_no_sense_is_refused(make):
    with pytest.raises(SettingsError, match=r"^(Latency|Rate|Regular)Encoder\."):
        make()


def test_random_phases_keep_the_rate_and_spread_the_spikes():
    values = np.full((300, 1, 1, 2), 0.5)
    spikes = RegularEncoder(n_steps=20, max_rate=0.5, random_phase=True)(values, np.random.default_rng(0))
    assert spikes.counts().mean() == 5.0 and set(np.unique(spikes.counts())) == {5}
    first = np.array([[steps[0] for steps in sample] for sample in steps_of(spikes)])
    assert np.bincount(first.ravel(), minlength=4).min() > 100 and first.max() == 3


def test_random_phases_do_not_depend_on_the_batch():
    images = np.random.default_rng(1).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    encoder = RegularEncoder(6, 0.8, random_phase=True)
    assert encode(images, Intensity(), encoder, np.random.default_rng(2), batch=2) == encode(
        images, Intensity(), encoder, np.random.default_rng(2))


def test_receptive_fields_answer_by_distance_in_units_of_their_spacing():
    fields = GaussianReceptiveFields(fields=5, width=0.5, silent_below=0.1, low=(0, 10), high=(8, 50))
    found = fields(np.array([[[4, 15]]], np.uint8))[0, :, 0]
    assert fields.channels == len(fields.channel_names) == 5 and found.shape == (5, 2)
    assert found[:, 0].tolist() == [0.0, np.exp(-2.0), 1.0, np.exp(-2.0), 0.0]      # exp(-8) is silent
    assert np.allclose(found[:, 1], [np.exp(-0.5), np.exp(-0.5), 0, 0, 0])


def test_receptive_fields_know_the_training_samples_alone():
    train, others = np.array([[[10, 3]], [[20, 3]]], np.uint8), np.array([[[30, 9]], [[0, 1]], [[15, 3]]], np.uint8)
    fields = GaussianReceptiveFields(fields=3, width=0.3).fitted(train)
    assert (fields.low, fields.high) == ((10, 3), (20, 3)) and fields.fitted(others) == fields
    assert fields(others)[:, :, 0, 0].tolist() == [[0, 0, 1], [1, 0, 0], [0, 1, 0]]     # beyond the end: like the end
    assert fields(others)[:, 0, 0, 1].tolist() == [1, 1, 1]                             # a constant says nothing


def test_receptive_fields_without_a_range_are_refused():
    with pytest.raises(SettingsError, match="low, high: must be set, or found by fitted"):
        GaussianReceptiveFields()(np.zeros((1, 1, 4), np.uint8))


@pytest.mark.parametrize("wrong", [{"fields": 1}, {"width": 0.0}, {"silent_below": 1.0}, {"low": (1,)},
                                   {"low": (1,), "high": (2, 3)}])
def test_impossible_receptive_fields_are_refused(wrong):
    with pytest.raises(SettingsError, match="GaussianReceptiveFields"):
        GaussianReceptiveFields(**wrong)


@pytest.mark.parametrize("encoder", [RegularEncoder(400, 0.5, 0.25), RateEncoder(4000, 0.5, 0.25)])
def test_what_an_encoder_shows_is_the_rate_of_its_spikes(encoder):
    """Nothing up to its threshold, nothing above 1; and showing that gives the same spikes."""
    values = np.array([0.0, 0.25, 0.3, 0.7, 1.0, 1.6]).reshape(1, 1, 1, 6)
    spikes = encoder(values, np.random.default_rng(0))
    shown = encoder.shown(values)
    assert shown.ravel().tolist() == [0.0, 0.0, 0.3, 0.7, 1.0, 1.0]
    assert np.allclose(spikes.counts().ravel() / encoder.n_steps, 0.5 * shown.ravel(), atol=0.03)
    assert encoder(shown, np.random.default_rng(0)) == spikes and rate_of(encoder, "RULE x") == 0.5


def test_images_are_shown_as_filter_and_encoder_make_them():
    images = np.array([[[0, 51, 102, 255]]], np.uint8)
    found = shown(images, Intensity(), RegularEncoder(threshold=0.2))
    assert found.dtype == np.float32 and np.allclose(found, [[[[0.0, 0.0, 0.4, 1.0]]]])
    assert np.allclose(shown(images, Intensity(), LatencyEncoder()), [[[[0.0, 0.2, 0.4, 1.0]]]])


def test_a_latency_has_no_rate():
    with pytest.raises(SettingsError, match=r"^parameters.ENCODER: RULE x needs values as rates .*, got LatencyEnc"):
        rate_of(LatencyEncoder(), "RULE x")
