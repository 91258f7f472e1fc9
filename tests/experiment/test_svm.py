"""Support vector machines: the bits of all kernels, the bound on what is left, hard cases."""

import importlib
from contextlib import ExitStack

import interpreted
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.svm import LinearSVC

from spikingconvnet.backends.local import native, svm_kernels
from spikingconvnet.experiment import svm, timelines

F = np.float32


def samples(n=30, features=9, kind=np.uint16, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.uniform(0, 3, features), (n, features))
    counts[:, 0] = 0
    return (counts / 7 if kind == np.float64 else counts).astype(kind)


def score(x, weights):
    """In stripes, as the kernels add."""
    sums = np.zeros((svm.DOTS, svm.STRIPES), F)
    for first in range(0, len(x), sums.size):
        sums += (x * weights)[first:first + sums.size].reshape(sums.shape)
    total = sums[0] + sums[1]
    while len(total) > 1:
        total = total[:len(total) // 2] + total[len(total) // 2:]
    return total[0]


def naive_pass(order, samples, own, square, factors, active, weights, alpha):
    changed = 0
    for i in order:
        x = samples.value[i].astype(F)
        for machine in np.flatnonzero(active[i]):
            side, before = F(1 if own[i] == machine else -1), alpha[i, machine]
            after = before - (side * (score(x, weights[machine]) * factors[0]) - F(1) + before * factors[1]) / (
                samples.size[i] * factors[0] + factors[1])
            after = max(after, F(0))
            if after != before:
                changed += 1
                alpha[i, machine] = after
                weights[machine] += (after - before) * side * (square * x)
    return changed


def naive_look(samples, own, factors, weights, alpha):
    side = np.where(own[:, None] == np.arange(len(weights)), F(1), F(-1))
    found = [[score(x, one) for one in weights] for x in samples.value.astype(F)]
    slack = F(1) - side * (np.array(found) * factors[0])
    return (slack > 0) | (alpha > 0), np.square(np.maximum(slack, 0), dtype=np.float64).sum(axis=0)


KERNELS = {"numba": svm_kernels, "plain Python": svm_kernels,
           **{f"C, {width} bytes": width for width in ((16, 32, 64) if native.library() else ())}}


@pytest.mark.parametrize("which", KERNELS)
@pytest.mark.parametrize("kind, machines, features", [
    (np.uint8, 10, 9), (np.uint16, 3, 31), (np.float64, 17, 40), (np.uint8, 1, 32)])
def test_all_kernels_have_the_bits_of_a_loop(which, kind, machines, features, monkeypatch, request):
    kernels = KERNELS[which]
    if which == "plain Python":
        meanwhile = ExitStack()
        request.addfinalizer(meanwhile.close)
        meanwhile.enter_context(interpreted.kernels())
    if isinstance(kernels, int):
        monkeypatch.setattr(native, "WIDEST", kernels)
        kernels = native
    counts = samples(20, features, kind)
    counts[3, 1] *= 1 + 300 * (kind == np.uint16)
    given, rng = svm.Samples.of(counts), np.random.default_rng(1)
    assert given.value.dtype == (np.float32 if kind == np.float64 else kind)
    own, square = rng.integers(-1, machines, 20).astype(np.int32), np.square(given.scale).astype(F)
    factors, active = np.array([0.7, 0.2], F), rng.random((20, machines)) < 0.7
    found, wanted = ([np.zeros((machines, len(square)), F), np.zeros((20, machines), F)] for _ in range(2))
    for _ in range(3):
        order, x = rng.permutation(20)[:15], np.empty(len(square), F)
        number = kernels.svm_pass(order, given.value, own, square, given.size, factors, active, *found, x)
        assert number == naive_pass(order, given, own, square, factors, active, *wanted)
        assert all(np.array_equal(one, other) for one, other in zip(found, wanted)) and wanted[1].any()
    slacks = np.zeros(machines)
    inside, squares = naive_look(given, own, factors, *wanted)
    assert kernels.svm_look(given.value, own, factors, active, *found, x, slacks) == inside.sum()
    assert np.array_equal(active, inside) and np.allclose(slacks, squares, rtol=1e-12)


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 70), st.sampled_from([np.uint8, np.uint16, np.float64, np.int64]),
       st.integers(0, 9))
def test_samples_have_a_one_for_the_intercept_and_zeros(n, features, kind, seed):
    counts = samples(n, features, kind, seed)
    found = svm.Samples.of(counts)
    assert found.value.shape[1] % (svm.DOTS * svm.STRIPES) == 0 and not found.value[:, features + 1:].any()
    assert np.allclose(found.value[:, :features], counts, rtol=1e-7) and (found.value[:, features] == 1).all()
    scale, used = found.scale[:features], counts.any(axis=0)
    assert np.allclose(found.size, 1 + np.square(counts * scale).sum(axis=1), rtol=1e-5)
    assert np.allclose(np.square(counts * scale).mean(axis=0), used / features) and not scale[~used].any()
    assert found.scale[features] == 1 and not found.scale[features + 1:].any()


@pytest.mark.parametrize("largest, given, kept", [
    (255, np.uint16, np.uint8), (256, np.uint16, np.uint16), (255, np.uint8, np.uint8), (3, np.int64, np.float32),
    (3, np.uint32, np.float32), (0.5, np.float64, np.float32)])
def test_counts_are_kept_in_the_smallest_type_that_holds_them(largest, given, kept):
    found = svm.Samples.of(np.array([[largest, 0], [0, 1]], given)).value
    assert found.dtype == kept and found[0, 0] == largest


def test_more_features_than_two_bytes_can_name():
    counts = np.zeros((4, 70_000), np.uint8)
    counts[[0, 1, 2, 3], [65_536, 69_999, 65_536, 69_999]] = [1, 1, 2, 3]
    found = svm.machines(counts, np.array([0, 1, 0, 1]), np.array([0, 1]), 1.0)
    assert found[0, 65_536] > 0 > found[0, 69_999] and not found[:, :65_536].any()


def primal(found, counts, labels, C):
    """What is minimised, of each class, from coefficients of counts as they are."""
    scale = np.append(svm.scales(counts), 1.0)
    w = np.divide(found, scale, out=np.zeros_like(found), where=scale > 0)
    side = np.where(labels[:, None] == np.arange(len(found)), 1.0, -1.0)
    slack = np.maximum(0, 1 - side * (counts @ found[:, :-1].T + found[:, -1]))
    return np.square(w).sum(axis=1) / 2 + C * np.square(slack).sum(axis=0)


@pytest.mark.parametrize("C", [1e-3, 1.0, 50.0, 1e3])
def test_what_is_minimised_is_as_near_to_its_least_value_as_promised(C):
    counts, labels = samples(90, 9, seed=3), np.arange(90) % 3
    scale = svm.scales(counts)
    best = LinearSVC(C=C, tol=1e-12, dual=False, max_iter=100_000).fit(counts * scale, labels)
    least = primal(np.hstack([best.coef_ * scale, best.intercept_[:, None]]), counts, labels, C)
    found = primal(svm.machines(counts, labels, np.arange(3), C, seed=2), counts, labels, C)
    assert (found <= (1 + svm.GAP) * least).all() and (found >= least * (1 - 1e-6)).all()


def test_no_c_is_too_small_to_tell_classes_apart():
    counts, labels = samples(90, 9, seed=3), np.arange(90) % 3
    small, smaller = (svm.machines(counts, labels, np.arange(3), C, seed=2) / C for C in (1e-30, 1e-300))
    assert np.allclose(small, smaller, rtol=1e-5) and (np.abs(small).max(axis=1) > 0.1).all()


def test_another_seed_ends_within_the_same_bound():
    counts, labels = samples(200, 9, seed=5), np.arange(200) % 4
    one, other = (svm.machines(counts, labels, np.arange(4), 1.0, seed) for seed in (0, 1))
    assert not np.array_equal(one, other)
    decisions = [counts @ found[:, :-1].T + found[:, -1] for found in (one, other)]
    assert np.abs(decisions[0] - decisions[1]).max() < 0.1


def test_where_rounds_do_not_suffice_a_warning_says_how_far_it_came(monkeypatch, caplog):
    monkeypatch.setattr(svm, "MOST_ROUNDS", 1)
    svm.machines(samples(), np.arange(30) % 3, np.arange(3), 5.0)
    assert "after 1 rounds" in caplog.text and "smaller C" in caplog.text


def test_each_of_many_classes_is_a_machine_by_itself():
    counts, labels = samples(120, 9, seed=7), np.arange(120) % 20
    found = svm.machines(counts, labels, np.arange(20), 1.0)
    alone = svm.machines(counts, labels, np.array([18]), 1.0)
    assert found.shape == (20, 10) and np.abs(found[18] - alone[0]).max() < 0.1 * np.abs(alone).max()


def test_numba_stands_in_where_nothing_was_built(monkeypatch):
    counts, labels = samples(60, 9, seed=8), np.arange(60) % 3
    built = svm.machines(counts, labels, np.arange(3), 2.0, 4)
    monkeypatch.setattr(native, "or_else", lambda: importlib.import_module(
        "spikingconvnet.backends.local.numba_kernels"))
    assert np.array_equal(svm.machines(counts, labels, np.arange(3), 2.0, 4), built)


def test_counts_of_replicas_are_joined_in_their_order():
    parts = [samples(n, 4, np.uint8, n) for n in (3, 2, 1)]
    wanted = np.concatenate(parts)
    found = timelines._joined(parts)
    assert np.array_equal(found, wanted) and found.dtype == wanted.dtype and parts == []
