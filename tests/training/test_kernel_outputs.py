"""Kernels for numba as plain Python: what they compute, kept, and each of them compiled; see ``helpers/outputs.py``."""

from contextlib import contextmanager

import numpy as np
import pytest
from in_python import in_python
from outputs import Outputs

pytest.importorskip("numba", reason="numba is not installed")

from spikingconvnet.training.chain import bpstdp, bpstdp_kernels, surrogate_kernels

CASES = Outputs("kernels")


def rng():
    return np.random.default_rng(121)


def eighths(draw, *shape):
    """Random multiples of 1/8, whose sums are exact."""
    return (draw.integers(-8, 9, shape) / 8).astype(np.float32)


@contextmanager
def blocks(module, size):
    """Blocks of so many neurons."""
    real, module.BLOCK = module.BLOCK, size
    try:
        yield
    finally:
        module.BLOCK = real


# BP-STDP


@CASES
def phases_and_regular_spikes():
    with in_python(bpstdp_kernels) as kernels:
        phases = np.zeros(6, np.float32)
        kernels.draw_phases(np.uint64((1 << 63) + 12345), phases)
        rates, found = np.array([0.0, 1.0, 0.5, 0.3, 0.8, 0.97], np.float32), []
        for first in (0, 4, 8):
            train = np.zeros((4, 6), np.int32), np.zeros(4, np.int64), np.zeros(6, np.int32), np.zeros(1, np.int64)
            count = np.zeros(6, np.int32)
            kernels._regular(rates, phases, first, train, count)
            found.append([*train, count])
        return [phases, found]


@CASES
def windows_of_a_layer():
    draw, found = rng(), []
    with in_python(bpstdp_kernels) as kernels, blocks(kernels, 5):
        w, v = eighths(draw, 9, 12), np.zeros(12, np.float32)
        steady, fired = np.ones(12, np.float32), np.zeros((4, 12), bool)
        for _ in range(3):
            ids = np.array([draw.permutation(9) for _ in range(4)], np.int32)
            train = ids, draw.integers(0, 8, 4), draw.permutation(9).astype(np.int32), np.array([draw.integers(0, 6)])
            kernels._integrate(train, w, v, 1.0, steady, fired)
            made = np.zeros((4, 12), np.int32), np.ones(4, np.int64), None, None
            count = np.full(12, 7, np.int32)
            kernels._collect(fired, 10, made, count)
            found.append([v.copy(), fired.astype(int), made[0], made[1], count])
    return found


@CASES
def errors_and_what_is_learned():
    draw = rng()
    with in_python(bpstdp_kernels) as kernels:
        found = []
        for target, count in ((0, [0, 0, 0]), (1, [1, 0, 2]), (2, [0, 0, 4]), (0, [1, 3, 0]), (2, [0, 1, 0])):
            error = np.full(4, 9, np.float32)
            found.append([bool(kernels._errors(np.array(count, np.int32), target, error)), error])
        w, below, count = eighths(draw, 5, 4), np.full(6, 9, np.float32), np.array([0, 1, 2, 0, 5], np.int32)
        kernels._back(w, eighths(draw, 4), count, below)
        learned = w.copy()
        kernels._learn(learned, count, eighths(draw, 4), 0.25)
        decided = [kernels._decide(np.array(totals), np.array(v)) for totals, v in (
            ([1, 2, 2], [0.0, 0.5, 0.6]), ([1, 2, 2], [0.0, 0.6, 0.5]), ([3, 2, 2], [0.0, 0.6, 0.5]),
            ([2, 2, 1], [0.5, 0.5, 9.0]), ([0, 0, 0], [-3.0, -2.0, -1.0]))]
    return [found, below, learned, decided]


def course(rule, images, labels, validation=None):
    """What a training of two layers gives, in Python."""
    draw = np.random.default_rng(5)
    weights = [eighths(draw, 12, 6), eighths(draw, 6, 3)]
    with in_python(bpstdp_kernels) as kernels, blocks(kernels, 16):
        told = bpstdp.learn(weights, images, labels, draw, rule, validation=validation)
        answers = bpstdp.answers(weights, images, np.random.default_rng(6), rule)
    return [weights, told, answers]


@CASES
def a_training_of_two_layers():
    draw = rng()
    images, labels = draw.integers(0, 5, (8, 1, 4, 3)) / np.float32(4), np.arange(8) % 3
    rule = bpstdp.BPSTDP(epochs=3, n_steps=8, window=4, mu=0.125, hidden_ratio=2.0, last=0.5, shift=1)
    real, bpstdp.CHUNK = bpstdp.CHUNK, 3
    try:
        return [course(rule, images, labels, (images[:4], labels[:4])), course(rule, images[:1], labels[:1])]
    finally:
        bpstdp.CHUNK = real


# Surrogate gradients


@CASES
def membranes_forth_and_back():
    draw = rng()
    drive, grad = draw.normal(0.3, 0.6, (7, 11)).astype(np.float32), draw.normal(0, 1, (7, 11)).astype(np.float32)
    with in_python(surrogate_kernels) as kernels, blocks(kernels, 4):
        spikes, found = np.full(drive.shape, 5, np.float32), np.full(drive.shape, 5, np.float32)
        kernels.forward(drive, spikes, 0.75, -0.5)
        kernels.backward(drive, grad, found, 0.75, 5.0)
    return [drive, spikes, found]


@CASES
def rows_of_those_that_fired():
    draw = rng()
    raster = (draw.random((6, 9)) < 0.5).astype(np.uint8)
    raster[0], raster[3] = 0, 1
    with in_python(surrogate_kernels) as kernels:
        ids, ends = np.full(raster.sum() + 1, 7, np.int32), np.zeros(6, np.int64)
        kernels.listed(raster, ids, ends)
        driven, taught = np.full((6, 4), 5, np.float32), np.full((3, 4), 5, np.float32)
        kernels.drives(eighths(draw, 9, 4), ids, ends, driven)
        kernels.weight_gradient(eighths(draw, 2, 9, 4), ids, ends, taught)
    return [raster, ids[:-1], ends, driven, taught]


@CASES
def pools_and_their_gradients():
    draw = rng()
    with in_python(surrogate_kernels) as kernels:
        means, back = np.zeros((2, 2, 3), np.float32), np.full((2, 7, 7), 5, np.float32)
        kernels.pool(eighths(draw, 2, 7, 7), 3, 2, means)
        kernels.unpool(eighths(draw, 2, 2, 3), 3, 2, back)
    return [means, back]


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
