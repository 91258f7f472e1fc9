"""Connections against naive lists, and the checks that keep a wrong one out of a network."""

import naive
import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from spikingconvnet.errors import NetworkError
from spikingconvnet.network.connectivity import (
    ConnectionList,
    ConvConnections,
    DenseConnections,
    LateralInhibition,
    in_order,
)

SMALL = st.tuples(st.integers(1, 3), st.integers(1, 3))
SHAPES = st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 7))
ALL = [ConnectionList([0, 2], [1, 0], [0.5, 1.0], [1, 3]), DenseConnections(np.ones((3, 2)), 2),
       LateralInhibition(3, 2.0, 4), ConvConnections(np.ones((2, 2, 2, 1)), (2, 3, 4), delay=5)]


def triples(connections):
    found = connections.to_list()
    return list(zip(found.pre.tolist(), found.post.tolist(), found.weight.tolist()))


@given(st.integers(0, 30), st.integers(1, 4), st.sampled_from([0, 1, 5, 1 << 31, 1 << 62]), st.sampled_from([0, -3]),
       st.integers(0, 99))
@example(9, 2, 1 << 29, 0, 0)
@example(9, 2, 1 << 30, 0, 0)
def test_sorting_all_columns_at_once_keeps_the_order_of_equal_ones(n, columns, most, least, seed):
    found = np.random.default_rng(seed).integers(least, most + 1, (columns, n))
    assert np.array_equal(in_order(*found), np.lexsort(found[::-1]))


@given(SHAPES, SMALL, SMALL, SMALL, st.tuples(st.integers(0, 3), st.integers(0, 3)), st.integers(1, 3),
       st.integers(0, 2 ** 32))
@example((2, 5, 7), (2, 1), (1, 2), (2, 3), (0, 0), 2, 0)
@example((2, 3, 3), (3, 3), (1, 1), (1, 1), (2, 1), 1, 1)
def test_a_convolution_has_exactly_the_naive_connections(shape, kernel, strides, pool, padding, maps, seed):
    mid = naive.pooled_shape(shape, pool)
    assume(min(mid) >= 1 and kernel[0] <= mid[1] + 2 * padding[0] and kernel[1] <= mid[2] + 2 * padding[1])
    kernels = np.random.default_rng(seed).integers(-2, 3, (maps, shape[0], *kernel)) / 2.0
    connections = ConvConnections(kernels, shape, strides, pool, 2, padding)
    wanted = naive.conv_connections(kernels.tolist(), shape, strides, pool, padding)
    assert triples(connections) == wanted
    found = connections.to_list()
    assert found.signed and (found.delay == 2).all() and len(found.delay) == len(wanted)
    found.check_sizes(naive.size(shape), naive.size(connections.post_shape))
    connections.check_sizes(naive.size(shape), naive.size(connections.post_shape))


def test_a_per_map_layer_of_the_original_is_a_block_of_zeros_and_kernels():
    kernels = [[[[1.0, -2.0]]], [[[3.0, 4.0]]]]
    full = naive.per_map_kernels(kernels, 2)
    assert triples(ConvConnections(full, (2, 1, 3))) == naive.conv_connections(full, (2, 1, 3))


def test_kernels_of_zeros_have_no_connection_at_all():
    found = ConvConnections(np.zeros((2, 2, 2, 2)), (2, 3, 4)).to_list()
    assert len(found.pre) == 0 and found.max_delay == 0
    found.check_sizes(24, 12)


@given(st.integers(1, 4), st.integers(1, 5))
def test_dense_connections_are_all_pairs_in_order(n_pre, n_post):
    weight = np.arange(n_pre * n_post, dtype=float).reshape(n_pre, n_post)
    assert triples(DenseConnections(weight)) == [(i, j, weight[i, j]) for i in range(n_pre) for j in range(n_post)]


@given(st.integers(1, 6))
def test_lateral_inhibition_is_all_pairs_but_oneself(size):
    connections = LateralInhibition(size, 2.5, 3)
    assert triples(connections) == [(i, j, 2.5) for i in range(size) for j in range(size) if i != j]
    assert (connections.to_list().delay == 3).all()


@pytest.mark.parametrize("connections", ALL)
def test_the_list_of_connections_keeps_the_delay_and_the_sign(connections):
    found = connections.to_list()
    assert found.to_list() is found and found.max_delay == connections.max_delay == found.delay.max()
    assert found.signed == connections.signed


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_weights_are_finite_and_their_sign_is_the_receptors(bad):
    for make in (lambda w: ConnectionList([0, 1], [1, 0], [1.0, w], [1, 1]), lambda w: DenseConnections([[1.0, w]]),
                 lambda w: LateralInhibition(3, w)):
        with pytest.raises(NetworkError, match=r"\.weight: must be finite and 0 or more"):
            make(bad)
    if bad != -1.0:
        with pytest.raises(NetworkError, match=r"^ConvConnections\.weight"):
            ConvConnections([[[[1.0, bad]]]], (1, 2, 2))
    else:
        assert ConnectionList([0], [0], [bad], [1], signed=True).weight == [-1.0]


@pytest.mark.parametrize("delay", [0, -3])
def test_a_delay_is_at_least_one_step(delay):
    for make in (lambda d: ConnectionList([0, 1], [1, 0], [1.0, 1.0], [1, d]), lambda d: DenseConnections([[1.0]], d),
                 lambda d: LateralInhibition(3, 1.0, d), lambda d: ConvConnections([[[[1.0]]]], (1, 2, 2), delay=d)):
        with pytest.raises(NetworkError, match=rf"\.delay: must be at least 1 step, got {delay}$"):
            make(delay)


def test_a_list_has_four_columns_of_one_length():
    for columns in (([0], [0, 1], [1.0], [1]), ([0], [0], [1.0, 1.0], [1]), ([0], [0], [1.0], [1, 1])):
        with pytest.raises(NetworkError, match="as long as pre"):
            ConnectionList(*columns)
    empty = ConnectionList([], [], [], [])
    assert empty.max_delay == 0 and empty.check_sizes(0, 0) is None


@pytest.mark.parametrize("pre, post", [([0, 3], [0, 1]), ([0, -1], [0, 1]), ([0, 1], [0, 2]), ([0, 1], [-1, 0])])
def test_a_list_names_only_neurons_that_exist(pre, post):
    with pytest.raises(NetworkError, match=r"within 0 \.\. "):
        ConnectionList(pre, post, [1.0, 1.0], [1, 1]).check_sizes(3, 2)


@pytest.mark.parametrize("connections", ALL[1:])
def test_structured_connections_fit_their_populations_only(connections):
    found = connections.to_list()
    sizes = {DenseConnections: (3, 2), LateralInhibition: (3, 3), ConvConnections: (24, 16)}[type(connections)]
    connections.check_sizes(*sizes)
    assert found.pre.max() < sizes[0] and found.post.max() < sizes[1]
    for wrong in ((sizes[0] + 1, sizes[1]), (sizes[0], sizes[1] - 1), (0, 0)):
        with pytest.raises(NetworkError):
            connections.check_sizes(*wrong)


@pytest.mark.parametrize("kernels, shape, pool", [
    (np.ones((2, 3, 1, 1)), (2, 4, 4), (1, 1)), (np.ones((2, 2, 2)), (2, 4, 4), (1, 1)),
    (np.ones((2, 2, 5, 1)), (2, 4, 6), (1, 1)), (np.ones((2, 2, 1, 3)), (2, 4, 4), (1, 2)),
    (np.ones((2, 2, 1, 1)), (2, 4, 4), (5, 1)), (np.ones((0, 2, 1, 1)), (2, 4, 4), (1, 1))])
def test_kernels_that_do_not_fit_their_input_are_refused(kernels, shape, pool):
    with pytest.raises(NetworkError, match=r"^ConvConnections\.kernels"):
        ConvConnections(kernels, shape, pool=pool)


@pytest.mark.parametrize("make, text", [
    (lambda: DenseConnections(np.ones((2, 2)), rounding="board"), "DenseConnections.rounding: must be 'host' or 'mach"),
    (lambda: LateralInhibition(2, 1.0, rounding=None), "LateralInhibition.rounding"),
    (lambda: DenseConnections(np.array([[1.0, 2.0]]), rounding="machine"), "'host' for several weights")])
def test_a_board_generates_one_weight_or_none(make, text):
    with pytest.raises(NetworkError, match=text):
        make()
    assert DenseConnections(np.ones((2, 2)), rounding="machine").to_list().rounding == "host"


def test_average_pooling_is_merged_into_the_next_convolution():
    """5 x 5 over a pooled map is 10 x 10 at a stride of 2 over the map itself, every weight a quarter."""
    rng = np.random.default_rng(7)
    kernels = rng.integers(-8, 9, (3, 2, 3, 2)).astype(float)
    pooled = ConvConnections(kernels, (2, 9, 8), (1, 1), (2, 2)).to_list()
    merged = ConvConnections(kernels.repeat(2, axis=2).repeat(2, axis=3) / 4, (2, 8, 8), (2, 2)).to_list()
    inside = pooled.pre % 72 // 8 < 8           # the ninth row is dropped
    assert inside.all()
    channel, place = np.divmod(pooled.pre, 72)
    assert (channel * 64 + place).tolist() == merged.pre.tolist()
    assert pooled.post.tolist() == merged.post.tolist() and pooled.weight.tolist() == merged.weight.tolist()
