"""S2-STDP: the rule by loops over units and steps, pairs, and what it learns."""

import numpy as np
import pytest
from in_python import in_python

pytest.importorskip("numba", reason="numba is not installed")

from spikingconvnet.errors import SettingsError
from spikingconvnet.training.readout import first_spike, first_spike_kernels
from spikingconvnet.training.readout.first_spike import S2STDP, FirstSpikes, latencies

LIMIT = 8


def spikes_of(times, weights, threshold):
    """Of each unit: step, minus the membrane there, and its index, so that the earlier one is the smaller."""
    found = []
    for unit, row in enumerate(weights):
        step, membrane = 0, 0.0
        while step < LIMIT:
            membrane = sum(w for w, t in zip(row, times) if t <= step)
            if membrane >= threshold:
                break
            step += 1
        found.append((step, -membrane, unit))
    return found


def naively(times, labels, order, weights, threshold, each, gap, plus, minus):
    """The weights after samples in an order, one unit and input after another; and how many were wrong."""
    classes, total, wrong = len(weights) // each, sum(weights[0]), 0
    weights = [list(row) for row in weights]
    for n in order:
        fired = spikes_of(times[n], weights, threshold)
        own = [fired[(c + 1) * each - 1] for c in range(classes)]
        wrong += own.index(min(own)) != labels[n]
        first = [min(fired[c * each:(c + 1) * each]) for c in range(classes)]
        there = [step for step, _, _ in first if step < LIMIT]
        base = min(sum(there) / len(there) if there else LIMIT, LIMIT - gap / classes)
        for c, (step, _, unit) in enumerate(first):
            aims = c == labels[n] and unit % each == each - 1
            error = (step - (base - gap * (classes - 1) / classes if aims else base + gap / classes)) / LIMIT
            for i, t in enumerate(times[n]):
                if t < LIMIT:
                    changed = weights[unit][i] + error * (plus if t <= step else -minus)
                    weights[unit][i] = min(max(changed, 0.0), 1.0)
            scale = total / sum(weights[unit])
            weights[unit] = [w * scale for w in weights[unit]]
    return weights, wrong


def samples(n, seed=0):
    """Counts of 30 cells, of which each of 3 classes has ten that fire more."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    return rng.poisson(np.where(np.arange(30) // 10 == labels[:, None], 3.0, 1.0)), labels


@pytest.mark.parametrize("each, gap", [(1, 2.0), (2, 3.0)])
def test_it_is_the_rule_by_loops(each, gap):
    counts, labels = samples(60)
    times, rng = latencies(counts, LIMIT, 5), np.random.default_rng(1)
    weights = rng.uniform(0, 1, (3 * each, 30))
    weights *= 15 / weights.sum(axis=1, keepdims=True)
    made, order = FirstSpikes(weights.astype(np.float32), 6.0, LIMIT, each), rng.permutation(60)
    wanted, wrong = naively(times.tolist(), labels.tolist(), order, weights.tolist(), 6.0, each, gap, 0.05, 0.02)
    with in_python(first_spike_kernels) as kernels:
        told = kernels.epoch(times, labels, order, made.weights, 6.0, LIMIT, each, np.array([gap, 0.05, 0.02]),
                             made.workspace())
    assert told == wrong and abs(np.array(wanted) - weights).max() > 0.1
    np.testing.assert_allclose(made.weights, wanted, atol=2e-5)
    compiled = made.answers(times)
    assert compiled.tolist() == [min(spikes_of(one, made.weights.tolist(), 6.0)[each - 1::each])[2] // each
                                 for one in times.tolist()]


@pytest.mark.parametrize("paired", [False, True])
def test_it_learns_which_class_fires_first(paired):
    (counts, labels), (asked, truth) = samples(300), samples(200, 1)
    rule, told = S2STDP(paired=paired, gap=2.0, plus=0.3, minus=0.3, epochs=4), []
    made = rule.taught(latencies(counts, LIMIT, 5), labels, LIMIT, np.random.default_rng(0),
                       lambda epochs: told.append(len(epochs)) or epochs)
    assert np.mean(made.answers(latencies(asked, LIMIT, 5)) == truth) > 0.9 and told == [4]
    assert made.weights.shape == (3 * rule.each, 30) and made.weights.min() >= 0
    np.testing.assert_allclose(made.weights.sum(axis=1), 15, rtol=1e-3)


def test_a_sample_without_spikes_is_answered_and_teaches_nothing():
    made = FirstSpikes(np.full((4, 5), 0.5, np.float32), 1.0, LIMIT, 2)
    silent = np.full((1, 5), LIMIT, np.uint16)
    first_spike_kernels.epoch(silent, np.array([1]), np.array([0]), made.weights, 1.0, LIMIT, 2,
                              np.array([2.0, 0.1, 0.1]), made.workspace())
    assert made.answers(silent).tolist() == [0] and (made.weights == 0.5).all()


@pytest.mark.parametrize("settings, wanted", [({"gap": 0.0}, "S2STDP.gap: must be"), ({"epochs": 0}, "S2STDP.epochs"),
                                              ({"firing": -1}, "S2STDP.firing"), ({"paired": 2}, "S2STDP.paired")])
def test_settings_that_cannot_be_used_are_refused(settings, wanted):
    with pytest.raises(SettingsError, match=wanted):
        S2STDP(**settings)
    with pytest.raises(SettingsError, match="S2STDP.taught.limit"):
        S2STDP().taught(np.zeros((1, 2), np.uint16), np.zeros(1, int), first_spike.MOST_STEPS + 1, None)
