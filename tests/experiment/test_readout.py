"""Readout: counts by loops, predictions of scikit-learn itself, scores that say nan instead of guessing."""

import naive
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from spikingconvnet.errors import DataError
from spikingconvnet.experiment import readout, svm
from spikingconvnet.experiment.readout import Readout, fit, score, spike_counts
from spikingconvnet.network.spikes import Spikes


def counts_of(n, features, n_classes, seed):
    """Spike counts whose means differ by class, one feature that never fires, classes that are not 0, 1, 2, ..."""
    rng = np.random.default_rng(seed)
    classes = np.sort(rng.choice(50, n_classes, replace=False))
    labels = np.concatenate([classes, rng.choice(classes, n - n_classes)])
    means = rng.uniform(0.5, 6, (n_classes, features)) * rng.uniform(0.1, 10, features)
    counts = rng.poisson(means[np.searchsorted(classes, labels)]).astype(np.uint16)
    counts[:, features // 2] = 0
    return counts, labels


@given(st.integers(1, 2), st.integers(1, 4), st.integers(1, 5), st.integers(0, 4), st.data())
def test_counts_equal_the_naive_ones(channels, rows, columns, n_samples, data):
    shape = (channels, rows, columns)
    grid = data.draw(st.tuples(st.integers(1, rows), st.integers(1, columns)))
    one = st.tuples(st.integers(0, max(n_samples - 1, 0)), st.integers(0, naive.size(shape) - 1), st.integers(0, 3))
    events = data.draw(st.lists(one, max_size=40 if n_samples else 0))
    spikes = Spikes.from_events(*(zip(*events) if events else ([], [], [])), shape, n_samples, 4)
    found = spike_counts(spikes, grid)
    assert found.tolist() == naive.spike_counts(events, n_samples, shape, grid)
    assert found.dtype == np.uint16 and found.shape == (n_samples, channels * grid[0] * grid[1])
    if grid == (rows, columns):
        assert np.array_equal(found, spikes.counts().reshape(n_samples, -1) if n_samples else found)


def test_a_count_beyond_two_bytes_is_cut_and_does_not_wrap():
    n = 70000
    spikes = Spikes.from_events(np.zeros(n, int), np.arange(n) % 2, np.zeros(n, int), (1, 1, 2), 1, 1)
    assert spike_counts(spikes, (1, 1)).tolist() == [[65535]] and spike_counts(spikes, (1, 2)).tolist() == [[35000] * 2]


def scaled(counts):
    """Every feature by its root mean square, every sample by the root of the number of features."""
    power = (counts.astype(float) ** 2).sum(axis=0) / len(counts)
    return counts * np.divide(1.0, np.sqrt(power * counts.shape[1]), out=np.zeros(counts.shape[1]), where=power > 0)


@settings(max_examples=12)
@given(st.sampled_from([2, 3, 10]), st.integers(0, 2 ** 32), st.sampled_from([1e-6, 0.01, 1.0, 6.0]))
def test_at_the_optimum_the_decisions_are_those_of_linear_svc(n_classes, seed, C):
    counts, labels = counts_of(80, 7, n_classes, seed)
    machine = LinearSVC(C=C, tol=1e-10, dual=False).fit(csr_matrix(scaled(counts)), labels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(svm, "GAP", 1e-6)
        patch.setattr(svm, "MOST_ROUNDS", 20)       # of some 32 bits end at 2e-6, however many there are
        fitted = fit(counts, labels, C=C)
    decision = machine.decision_function(scaled(counts))
    if decision.ndim == 1:
        decision = np.stack([-decision, decision], axis=1)
    found = fitted.decision(counts)
    assert np.array_equal(fitted.classes, machine.classes_)
    assert np.allclose(found, decision, rtol=0, atol=4e-3 * np.abs(decision).max())


@pytest.mark.parametrize("block", [1, 7, 50])
def test_the_size_of_a_block_changes_nothing(block, monkeypatch):
    counts, labels = counts_of(50, 6, 3, 2)
    whole = fit(counts, labels)
    monkeypatch.setattr(svm, "BLOCK", block)
    parts = fit(counts, labels)
    assert np.allclose(parts.coefficients, whole.coefficients, rtol=1e-4, atol=1e-6)
    assert np.allclose(parts.decision(counts), whole.decision(counts), rtol=0, atol=1e-4)


def test_a_feature_that_never_fired_has_no_weight_even_if_it_fires_later():
    counts, labels = counts_of(60, 7, 3, 1)
    fitted = fit(counts, labels)
    assert (fitted.coefficients[:, 3] == 0).all() and np.isfinite(fitted.coefficients).all()
    later = counts.copy()
    later[:, 3] = 60000
    assert np.array_equal(fitted.predict(later), fitted.predict(counts))


def test_a_silent_layer_still_gives_a_classifier():
    fitted = fit(np.zeros((6, 4), np.uint16), np.array([3, 3, 3, 3, 9, 9]))
    assert np.isfinite(fitted.intercepts).all() and set(fitted.predict(np.zeros((2, 4)))) <= {3, 9}


def test_large_counts_are_squared_without_overflow():
    counts = np.array([[65535, 0], [0, 65535], [65535, 1], [2, 65535]], np.uint16)
    assert fit(counts, np.array([0, 1, 0, 1])).predict(counts).tolist() == [0, 1, 0, 1]


def test_labels_of_one_class_cannot_be_learned():
    with pytest.raises(DataError, match=r"^Readout\.labels: must be of at least two classes, got \[4\]$"):
        fit(np.ones((3, 2)), np.array([4, 4, 4]))


def test_counts_of_another_layer_are_refused():
    fitted = Readout(np.array([1, 2]), np.ones((2, 3)), np.zeros(2))
    with pytest.raises(DataError, match=r"\(samples, 3\)"):
        fitted.predict(np.ones((5, 4)))
    assert fitted.predict(np.zeros((0, 3))).shape == (0,)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=30))
@example([])
@example([(3, 3)])
@example([(0, 4), (1, 4)])
def test_a_score_equals_counting_by_hand(pairs):
    labels, predicted = (np.array([pair[k] for pair in pairs], np.int64) for k in (0, 1))
    found = score(predicted, labels)
    classes = sorted({c for pair in pairs for c in pair})
    assert found.classes.tolist() == classes
    assert found.confusion.tolist() == [[pairs.count((a, b)) for b in classes] for a in classes]
    wanted = sum(a == b for a, b in pairs) / len(pairs) if pairs else float("nan")
    np.testing.assert_equal(found.accuracy, wanted)
    middle = (len(pairs) + 1) // 2
    for share, half in zip(found.by_half, (pairs[:middle], pairs[middle:])):
        np.testing.assert_equal(share, sum(a == b for a, b in half) / len(half) if half else float("nan"))
    for shares, axis in ((found.recall, 0), (found.precision, 1)):
        for c, share in zip(classes, shares):
            of = [pair for pair in pairs if pair[axis] == c]
            np.testing.assert_equal(share, of.count((c, c)) / len(of) if of else float("nan"))


@pytest.mark.parametrize("n", [3, 4])
def test_a_prediction_per_label_is_needed(n):
    with pytest.raises(DataError, match=f"as many as labels \\(2\\), got {n}$"):
        score(np.zeros(n, int), np.zeros(2, int))


def test_samples_near_a_margin_are_those_that_a_loop_finds():
    counts, labels = counts_of(60, 6, 3, 4)
    fitted = fit(counts, labels, C=30.0)
    near = [i for i, (count, label) in enumerate(zip(counts.astype(float), labels))
            if any((1 if c == label else -1) * (count @ w + b) < 1
                   for c, w, b in zip(fitted.classes, fitted.coefficients, fitted.intercepts))]
    assert 0 < len(near) < 60 and fitted.near_margin(counts, labels).tolist() == near


# Output units


def naive_answer(counts, v):
    """Most spikes, then the highest membrane, then the lowest unit."""
    return max(range(len(counts)), key=lambda unit: (counts[unit], v[unit], -unit))


@pytest.mark.parametrize("window", [(0, 6), (2, 5), (5, 6)])
@pytest.mark.parametrize("ties", [False, True])
def test_the_unit_that_fires_most_is_the_answer_at_every_step(window, ties):
    rng = np.random.default_rng([*window, ties])
    raster = rng.random((7, 6, 3)) < 0.4
    sample, step, unit = np.nonzero(raster)
    spikes = Spikes.from_events(sample, unit, step, (3, 1, 1), 7, 6)
    v = rng.integers(-3, 3, (42, 3)) * (1 << 28)
    units, counts = readout.by_spike_count(spikes, window, v if ties else None)
    first, last = window
    assert units.shape == (7, last - first) and counts.tolist() == raster[:, first:last].sum(axis=1).tolist()
    for s in range(7):
        for t in range(first, last):
            membranes = v.reshape(7, 6, 3)[s, min(t + 1, 5)] if ties else [0, 0, 0]
            assert units[s, t - first] == naive_answer(raster[s, first:t + 1].sum(axis=0), membranes)


def test_membranes_are_averaged_from_the_windows_first_step_on():
    v = np.array([[9, 0], [1, 3], [1, 3], [9, 0], [9, 0], [2, 2], [8, 2], [0, 0]]) * 32768
    units, means = readout.by_membrane(v, 4, (1, 3))
    assert units.tolist() == [[1, 1], [0, 0]] and means.tolist() == [[1.0, 3.0], [5.0, 2.0]]


def test_one_spike_more_counts_more_than_any_membrane():
    """The second unit fires once and has the lowest membrane of 32 bits, the first is silent and has the highest."""
    spikes = Spikes.from_events([0], [1], [0], (2, 1, 1), 1, 2)
    v = np.array([[2 ** 31 - 1, -2 ** 31]] * 2)
    assert readout.by_spike_count(spikes, (0, 2), v)[0].tolist() == [[1, 1]]
    assert readout.by_spike_count(Spikes.empty((2, 1, 1), 1, 2), (0, 2), v[:, ::-1])[0].tolist() == [[1, 1]]


class Bar:
    """What a Progress makes where somebody sees it."""

    def __init__(self, rounds):
        self.rounds, self.done, self.told = rounds, 0, []

    def __iter__(self):
        for one in self.rounds:
            self.done += 1
            yield one

    def set_postfix(self, values):
        self.told.append((self.done, values["gap"]))


@pytest.mark.parametrize("n_classes", [2, 4, 20])
def test_a_bar_tells_the_gap_of_every_round_and_changes_nothing(n_classes):
    counts, labels = counts_of(80, 6, n_classes, 3)
    bars = []

    def progress(rounds):
        bars.append(Bar(rounds))
        return bars[-1]

    plain, followed = fit(counts, labels, 1.0, 5), fit(counts, labels, 1.0, 5, progress)
    assert all(np.array_equal(one, other) for one, other in zip(vars(plain).values(), vars(followed).values()))
    assert [done for done, _ in bars[0].told] == list(range(1, bars[0].done + 1)) and len(bars[0].rounds) >= svm.ROUNDS
    assert bars[0].told[-1][1] <= svm.GAP and bars[0].told[0][1] > svm.GAP
