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
from spikingconvnet.backends.local.layout import LANES
from spikingconvnet.experiment import svm

F = np.float32


def samples(n=30, features=9, kind=np.uint16, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.uniform(0, 3, features), (n, features))
    counts[:, 0] = 0
    return (counts / 7 if kind == np.float64 else counts).astype(kind)


def score(rows, i, weights):
    """Four sums side by side, as the kernels have them, lane by lane."""
    first, end = rows.start[i:i + 2]
    sums = [weights[-1].copy(), *(np.zeros(LANES, F) for _ in range(3))]
    for k in range(first, end):
        sums[(k - first) % 4] += weights[rows.feature[k]] * F(rows.value[k])
    return (sums[0] + sums[1]) + (sums[2] + sums[3])


def naive_pass(order, rows, own, square, factors, lanes, weights, alpha):
    changed = 0
    for i in order:
        found, moved = score(rows, i, weights) * factors[0], np.zeros(LANES, F)
        for lane in range(lanes):
            side = F(1 if own[i] == lane else -1)
            after = alpha[i, lane] - (side * found[lane] - F(1) + alpha[i, lane] * factors[1]) / (
                rows.size[i] * factors[0] + factors[1])
            after = max(after, F(0))
            moved[lane], alpha[i, lane] = (after - alpha[i, lane]) * side, after
        if moved.any():
            changed += 1
            for k in range(*rows.start[i:i + 2]):
                weights[rows.feature[k]] += moved * (square[rows.feature[k]] * F(rows.value[k]))
            weights[-1] += moved
    return changed


KERNELS = {"numba": svm_kernels, "plain Python": svm_kernels,
           **{f"C, {width} bytes": width for width in ((16, 32, 64) if native.library() else ())}}


@pytest.mark.parametrize("which", KERNELS)
@pytest.mark.parametrize("kind, lanes", [(np.uint16, 10), (np.float64, 16), (np.uint16, 1)])
def test_all_kernels_have_the_bits_of_a_loop(which, kind, lanes, monkeypatch, request):
    kernels = KERNELS[which]
    if which == "plain Python":
        meanwhile = ExitStack()
        request.addfinalizer(meanwhile.close)
        meanwhile.enter_context(interpreted.kernels())
    if isinstance(kernels, int):
        monkeypatch.setattr(native, "WIDEST", kernels)
        kernels = native
    rows, rng = svm.Rows.of(samples(kind=kind)), np.random.default_rng(1)
    own, square = rng.integers(-1, lanes, 30).astype(np.int32), np.square(rows.scale).astype(F)
    factors = np.array([0.7, 0.2], F)
    found, wanted = ([np.zeros((10, LANES), F), np.zeros((30, LANES), F)] for _ in range(2))
    for _ in range(3):
        order = rng.permutation(30)[:25]
        number = kernels.svm_pass(order, rows.start, rows.feature, rows.value, own, square, rows.size, factors, lanes,
                                  *found)
        assert number == naive_pass(order, rows, own, square, factors, lanes, *wanted)
        assert all(np.array_equal(one, other) for one, other in zip(found, wanted)) and wanted[1].any()
    scores = np.empty((30, LANES), F)
    kernels.svm_scores(rows.start, rows.feature, rows.value, found[0], scores)
    assert np.array_equal(scores, [score(rows, i, wanted[0]) for i in range(30)])
    assert not found[0][:, lanes:].any()


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 12), st.sampled_from([np.uint8, np.uint16, np.float64, np.int64]),
       st.integers(0, 9))
def test_rows_hold_what_is_not_zero(n, features, kind, seed):
    counts = samples(n, features, kind, seed)
    rows = svm.Rows.of(counts)
    again = np.zeros(counts.shape)
    for i in range(n):
        at = slice(*rows.start[i:i + 2])
        again[i, rows.feature[at]] = rows.value[at]
    assert np.allclose(again, counts, rtol=1e-7) and (rows.value != 0).all()
    assert np.allclose(rows.size, 1 + np.square(counts * rows.scale).sum(axis=1), rtol=1e-6)
    used = counts.any(axis=0)
    assert np.allclose(np.square(counts * rows.scale).mean(axis=0), used / features) and not rows.scale[~used].any()


def test_more_features_than_two_bytes_can_name():
    counts = np.zeros((4, 70_000), np.uint8)
    counts[[0, 1, 2, 3], [65_536, 69_999, 65_536, 69_999]] = [1, 1, 2, 3]
    found = svm.machines(counts, np.array([0, 1, 0, 1]), np.array([0, 1]), 1.0)
    assert found[0, 65_536] > 0 > found[0, 69_999] and not found[:, :65_536].any()


def primal(found, counts, labels, C):
    """What is minimised, of each class, from coefficients of counts as they are."""
    scale = np.append(svm.Rows.of(counts).scale, 1.0)
    w = np.divide(found, scale, out=np.zeros_like(found), where=scale > 0)
    side = np.where(labels[:, None] == np.arange(len(found)), 1.0, -1.0)
    slack = np.maximum(0, 1 - side * (counts @ found[:, :-1].T + found[:, -1]))
    return np.square(w).sum(axis=1) / 2 + C * np.square(slack).sum(axis=0)


@pytest.mark.parametrize("C", [1e-3, 1.0, 50.0, 1e3])
def test_what_is_minimised_is_as_near_to_its_least_value_as_promised(C):
    counts, labels = samples(90, 9, seed=3), np.arange(90) % 3
    scale = svm.Rows.of(counts).scale
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


def test_more_classes_than_lanes_are_machines_by_themselves():
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
