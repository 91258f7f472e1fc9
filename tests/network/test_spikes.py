"""Spikes: round trips with events, rasters, lists and parts, against plain lists of tuples."""

import naive
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spikingconvnet.errors import SettingsError
from spikingconvnet.network.spikes import Spikes, neuron_dtype


@st.composite
def recordings(draw, min_samples=0):
    """(events, shape, n_samples, n_steps): a shuffled list of (sample, neuron, step), some of them twice."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4)))
    n_samples, n_steps = draw(st.integers(min_samples, 4)), draw(st.integers(1, 6))
    one = st.tuples(st.integers(0, max(n_samples - 1, 0)), st.integers(0, naive.size(shape) - 1),
                    st.integers(0, n_steps - 1))
    return draw(st.lists(one, max_size=30 if n_samples else 0)), shape, n_samples, n_steps


def spikes_of(recording):
    events, shape, n_samples, n_steps = recording
    return Spikes.from_events(*zip(*events), shape, n_samples, n_steps) if events else Spikes.empty(
        shape, n_samples, n_steps)


def in_order(events):
    """As Spikes hold them: by sample, step, neuron."""
    return sorted(events, key=lambda event: (event[0], event[2], event[1]))


def listed(spikes):
    return list(zip(*(part.tolist() for part in spikes.events())))


SHOWN = ([(1, 5, 0), (0, 3, 4), (0, 1, 4), (0, 1, 4)], (2, 1, 3), 3, 5)
FULL = ([(s, i, t) for s in range(2) for i in range(12) for t in range(3)], (2, 2, 3), 2, 3)


@given(recordings())
@example(SHOWN)
@example(FULL)
def test_events_come_back_sorted_by_sample_step_and_neuron(recording):
    spikes = spikes_of(recording)
    assert listed(spikes) == in_order(recording[0])
    assert spikes.n_events == len(recording[0]) and spikes.n_samples == recording[2]
    assert spikes.size == naive.size(recording[1])


@given(recordings(), st.randoms())
def test_the_order_of_the_given_events_does_not_matter(recording, random):
    shuffled = random.sample(recording[0], len(recording[0]))
    assert spikes_of(recording) == spikes_of((shuffled, *recording[1:]))


@given(recordings())
@example(SHOWN)
@example(FULL)
def test_the_raster_counts_every_event_on_the_timeline(recording):
    events, shape, n_samples, n_steps = recording
    dense = [[0] * naive.size(shape) for _ in range(n_samples * n_steps)]
    for sample, i, step in events:
        dense[sample * n_steps + step][i] += 1
    assert spikes_of(recording).raster().tolist() == dense


@given(recordings())
@example(SHOWN)
@example(FULL)
def test_counts_equal_the_naive_ones(recording):
    counts = spikes_of(recording).counts()
    assert counts.shape == (recording[2], *recording[1]) and counts.dtype == np.int32
    assert counts.reshape(recording[2], naive.size(recording[1])).tolist() == naive.spike_counts(
        recording[0], recording[2], recording[1])


@given(recordings(), st.data())
def test_counts_of_a_window_are_those_of_its_steps(recording, data):
    n_steps = recording[3]
    first = data.draw(st.integers(0, n_steps))
    last = data.draw(st.none() | st.integers(first, n_steps))
    inside = [event for event in recording[0] if first <= event[2] < (n_steps if last is None else last)]
    assert np.array_equal(spikes_of(recording).counts(first, last), spikes_of((inside, *recording[1:])).counts())


@pytest.mark.parametrize("window", [(-1, 3), (4, 3), (0, 6)])
def test_steps_that_no_sample_has_are_not_counted(window):
    with pytest.raises(SettingsError, match="Spikes.first, last: must be within 0 .. 5"):
        spikes_of(SHOWN).counts(*window)


@given(recordings(), st.sampled_from([1.0, 0.5, 2.0]))
@example(SHOWN, 1.0)
def test_lists_hold_the_ascending_times_of_every_neuron_in_ms(recording, timestep):
    events, shape, _, n_steps = recording
    lists = spikes_of(recording).to_lists(timestep)
    assert lists == [sorted((s * n_steps + t) * timestep for s, i, t in events if i == wanted)
                     for wanted in range(naive.size(shape))]
    assert all(isinstance(time, float) for times in lists for time in times)


@given(recordings(min_samples=1), st.data())
@example(FULL, None)
def test_samples_cut_and_concatenate_joins(recording, data):
    spikes = spikes_of(recording)
    cut = data.draw(st.integers(0, spikes.n_samples)) if data else 1
    parts = [spikes.samples(0, cut), spikes.samples(cut, spikes.n_samples)]
    assert [part.n_samples for part in parts] == [cut, spikes.n_samples - cut]
    assert Spikes.concatenate(parts) == spikes
    assert listed(parts[1]) == [(s - cut, i, t) for s, i, t in listed(spikes) if s >= cut]


def test_a_cut_of_samples_shares_the_events():
    spikes = spikes_of(FULL)
    assert np.shares_memory(spikes.samples(1, 2).neurons, spikes.neurons)


@given(recordings(), st.integers(0, 5))
@example(FULL, 2)
@example(([], (2, 1, 3), 0, 4), 3)
def test_a_gap_adds_silence_and_keeps_every_event(recording, gap):
    spikes = spikes_of(recording)
    longer = spikes.with_gap(spikes.n_steps + gap)
    assert listed(longer) == listed(spikes)
    assert (longer.n_steps, longer.n_samples) == (spikes.n_steps + gap, spikes.n_samples)
    assert np.array_equal(longer.counts(), spikes.counts())


@given(recordings(), st.data())
@example(FULL, None)
def test_regrouped_spikes_move_to_their_targets_and_several_stay_several(recording, data):
    events, shape, n_samples, n_steps = recording
    size = naive.size(shape)
    target = data.draw(st.lists(st.integers(-1, 5), min_size=size, max_size=size)) if data else [-1, 5] * (size // 2)
    moved = spikes_of(recording).regrouped((2, 1, 3), target)
    assert listed(moved) == in_order([(s, target[i], t) for s, i, t in events if target[i] >= 0])
    assert (moved.shape, moved.n_samples, moved.n_steps) == ((2, 1, 3), n_samples, n_steps)


@given(recordings())
def test_regrouping_onto_itself_changes_nothing(recording):
    spikes = spikes_of(recording)
    assert spikes.regrouped(spikes.shape, np.arange(spikes.size)) == spikes


@given(recordings(), recordings())
def test_equality_means_equal_events_shape_and_length(a, b):
    same = in_order(a[0]) == in_order(b[0]) and a[1:] == b[1:]
    assert (spikes_of(a) == spikes_of(b)) == same


def test_equal_neurons_at_other_steps_are_not_equal():
    assert spikes_of(([(0, 1, 0)], (2, 1, 3), 1, 3)) != spikes_of(([(0, 1, 1)], (2, 1, 3), 1, 3))
    assert spikes_of(SHOWN) != "spikes"


def test_ids_beyond_65535_need_and_get_four_bytes():
    shape = (2, 256, 256)
    spikes = Spikes.from_events([0, 1], [131071, 65536], [0, 1], shape, 2, 2)
    assert spikes.neurons.dtype == np.uint32 and listed(spikes) == [(0, 131071, 0), (1, 65536, 1)]
    assert spikes.counts().sum() == 2 and spikes.to_lists()[65536] == [3.0]
    assert neuron_dtype((1, 256, 256)) is np.uint16 and neuron_dtype((1, 1, 65537)) is np.uint32


def test_the_last_id_of_two_bytes_survives():
    spikes = Spikes.from_events([0], [65535], [0], (1, 256, 256), 1, 1)
    assert spikes.neurons.dtype == np.uint16 and listed(spikes) == [(0, 65535, 0)]


@pytest.mark.parametrize("n_samples", [0, 3])
def test_silence_has_no_events_anywhere(n_samples):
    spikes = Spikes.empty((2, 1, 3), n_samples, 4)
    assert spikes.n_events == 0 and spikes.n_samples == n_samples and spikes.counts().sum() == 0
    assert spikes.to_lists() == [[]] * 6 and spikes.raster().shape == (4 * n_samples, 6)
    assert spikes == Spikes.from_events([], [], [], (2, 1, 3), n_samples, 4)
    assert spikes.with_gap(9).samples(0, n_samples).n_steps == 9


@pytest.mark.parametrize("event, named", [((0, 6, 0), "neuron"), ((0, 65536 + 1, 0), "neuron"), ((0, -1, 0), "neuron"),
                                          ((0, 0, 4), "step"), ((1, 0, -1), "step"), ((2, 0, 0), "sample"),
                                          ((-1, 0, 0), "sample")])
def test_an_event_outside_its_range_is_refused_and_not_moved_elsewhere(event, named):
    with pytest.raises(SettingsError, match=rf"^Spikes\.{named}: must be within 0 \.\. "):
        Spikes.from_events(*([part] for part in event), (2, 1, 3), 2, 4)


@pytest.mark.parametrize("shape, n_steps, offsets, neurons, named", [
    ((2, 3), 2, [0, 0, 0], [], "shape"),
    ((1, 2, 3), 0, [0], [], "n_steps"),
    ((1, 2, 3), 2, [0, 0], [], "offsets"),
    ((1, 2, 3), 1, [], [], "offsets"),
    ((1, 2, 3), 2, [], [], "offsets"),
    ((1, 2, 3), 1, [1, 2], [1, 2], "offsets"),
    ((1, 2, 3), 1, [0, 1], [1, 2], "offsets"),
    ((1, 2, 3), 2, [0, 2, 1], [1], "offsets"),
    ((1, 2, 3), 1, [0, 1], [6], "neurons")])
def test_arrays_that_do_not_fit_together_are_refused(shape, n_steps, offsets, neurons, named):
    with pytest.raises(SettingsError, match=rf"^Spikes\.{named}: "):
        Spikes(shape, n_steps, np.array(offsets, np.int64), np.array(neurons, np.uint16))


def test_parts_of_another_shape_or_length_are_not_joined():
    one = Spikes.empty((2, 1, 3), 1, 4)
    for other in (Spikes.empty((1, 2, 3), 1, 4), Spikes.empty((2, 1, 3), 1, 2)):
        with pytest.raises(SettingsError, match="those of the first part"):
            Spikes.concatenate([one, other])
    with pytest.raises(SettingsError, match="at least one recording"):
        Spikes.concatenate([])


@pytest.mark.parametrize("start, stop", [(-1, 2), (2, 1), (0, 4), (4, 4)])
def test_samples_that_do_not_exist_are_not_cut_out(start, stop):
    with pytest.raises(SettingsError, match=r"within 0 \.\. 3"):
        Spikes.empty((2, 1, 3), 3, 4).samples(start, stop)


def test_a_gap_cannot_be_negative():
    with pytest.raises(SettingsError, match="at least 5"):
        spikes_of(SHOWN).with_gap(4)


@pytest.mark.parametrize("n_steps", [65535, 65536, 65537, 70000])
@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 256, 256), (1, 256, 257)])
def test_long_timelines_and_large_populations_are_sorted_too(n_steps, shape):
    rng = np.random.default_rng(n_steps)
    size = naive.size(shape)
    events = [(0, int(i), int(t)) for i, t in zip(rng.integers(size, size=50), rng.integers(n_steps, size=50))]
    events += [(0, size - 1, n_steps - 1), (0, 0, n_steps - 1), (0, size - 1, 0), (0, 0, 0)]
    spikes = Spikes.from_events(*zip(*events), shape, 1, n_steps)
    assert listed(spikes) == in_order(events)
    lists = spikes.to_lists()
    assert [(i, t) for i, times in enumerate(lists) for t in times] == sorted((i, float(t)) for _, i, t in events)
