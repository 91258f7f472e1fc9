"""sPyNNaker's own convolution and pool-dense connectors, connection by connection against naive twins."""

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.board.connectors import convolution_connectors
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.board_connectors import BoardConvolution, BoardPoolDense
from spikingconvnet.network.connectivity import ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
sizes = st.tuples(st.integers(1, 11), st.integers(1, 9))
odd = st.sampled_from([1, 3, 5])


def triples(connections):
    listed = connections.to_list()
    assert listed.signed and set(listed.delay.tolist()) <= {connections.delay}
    return list(zip(listed.pre.tolist(), listed.post.tolist(), listed.weight.tolist()))


def drawn(shape, seed):
    kernel = np.random.default_rng(seed).normal(size=shape)
    kernel[np.abs(kernel) < 0.1] = 0.0
    return kernel


@settings(max_examples=150, deadline=None)
@given(sizes, odd, odd, pairs, st.tuples(st.integers(0, 3), st.integers(0, 3)), pairs, st.integers(0, 99))
def test_every_connection_of_a_board_s_convolution_is_the_naive_twins(size, kw, kh, strides, padding, pool, seed):
    kernel = drawn((kw, kh), seed)
    connections = BoardConvolution(kernel, (1, size[1], size[0]), strides, padding, pool, delay=2)
    assert triples(connections) == naive.board_convolution(kernel.tolist(), size, strides, padding, pool)
    assert connections.post_shape[::-1][:2] == naive.board_convolution_shape(size, (kw, kh), strides, padding, pool)
    connections.check_sizes(size[0] * size[1], int(np.prod(connections.post_shape)))


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 3), st.integers(1, 2), odd, odd, st.integers(0, 4), st.integers(0, 4), pairs, st.integers(0, 99))
def test_a_convolution_of_stride_1_and_odd_kernels_is_what_its_connectors_compute(maps, channels, rows, columns, more_r,
                                                                                 more_c, pool, seed):
    kernels = drawn((maps, channels, rows, columns), seed)
    pre_shape = (channels, (rows + more_r) * pool[0] + seed % pool[0], (columns + more_c) * pool[1] + seed % pool[1])
    whole = ConvConnections(kernels, pre_shape, pool=pool, delay=3)
    n_pre, n_post = int(np.prod(pre_shape[1:])), int(np.prod(whole.post_shape[1:]))
    found = []
    for (channel, index), part in convolution_connectors(whole).items():
        assert part.post_shape == (1, *whole.post_shape[1:]) and part.delay == 3
        found += [(channel * n_pre + pre, index * n_post + post, weight) for pre, post, weight in triples(part)]
    assert sorted(found) == sorted(triples(whole))


def test_weights_are_divided_by_the_pool_and_a_neuron_hears_no_more_than_there_is():
    kernel = drawn((3, 5), 0)
    found = BoardConvolution(kernel, (1, 12, 9), pool=(3, 2))
    assert np.array_equal(found.weights, kernel / 6) and found.fan_in == 15
    assert BoardConvolution(kernel, (1, 2, 7)).fan_in == 14


def test_a_kernel_without_weights_needs_no_connector():
    kernels = np.array([[[[1.0]], [[0.0]]], [[[0.0]], [[2.0]]]])
    assert set(convolution_connectors(ConvConnections(kernels, (2, 2, 2)))) == {(0, 0), (1, 1)}


@pytest.mark.parametrize("connections, text", [
    (ConvConnections(np.ones((1, 1, 3, 3)), (1, 7, 7), (2, 1)), "strides.* neighbouring outputs share"),
    (ConvConnections(np.ones((1, 1, 3, 2)), (1, 7, 7)), "kernels: must be of odd size.*got .3, 2."),
    (ConvConnections(np.ones((1, 1, 4, 3)), (1, 7, 7)), "reads beyond a kernel of even size")])
def test_a_convolution_that_no_connector_computes_says_why(connections, text):
    with pytest.raises(NetworkError, match=text):
        convolution_connectors(connections)


def test_a_single_spike_by_hand_on_a_rectangle():
    # Kernel of 3 columns and 1 row on 4 columns and 2 rows: a column reaches column - 1 + (-1, 0, 1).
    connections = BoardConvolution([[1.0], [2.0], [3.0]], (1, 2, 4))
    assert connections.post_shape == (1, 2, 2)
    assert [t for t in triples(connections) if t[0] == 1] == [(1, 0, 2.0), (1, 1, 3.0)]
    assert [t for t in triples(connections) if t[0] == 4] == [(4, 2, 3.0)]


@settings(max_examples=60, deadline=None)
@given(st.tuples(st.integers(1, 4), st.integers(1, 3)), pairs, st.integers(1, 4), st.integers(0, 99))
def test_every_connection_of_pool_dense_is_the_naive_twins(pooled, pool, n_post, seed):
    weight, size = drawn((*pooled, n_post), seed), (pooled[0] * pool[0], pooled[1] * pool[1])
    connections = BoardPoolDense(weight, (1, size[1], size[0]), pool, delay=2)
    assert triples(connections) == naive.board_pool_dense(weight.tolist(), size, pool)
    connections.check_sizes(size[0] * size[1], n_post)


@pytest.mark.parametrize("make, text", [
    (lambda: BoardConvolution(np.ones((2, 3)), (1, 7, 7)), "BoardConvolution.kernel.*beyond an even one"),
    (lambda: BoardConvolution(np.ones(3), (1, 7, 7)), "BoardConvolution.kernel"),
    (lambda: BoardConvolution(np.ones((3, 3)), (2, 7, 7)), "pre_shape.*one population per channel"),
    (lambda: BoardConvolution(np.ones((3, 3)), (1, 7, 7), (0, 1)), "strides"),
    (lambda: BoardConvolution(np.ones((3, 3)), (1, 7, 7), padding=(-1, 0)), "padding"),
    (lambda: BoardConvolution(np.ones((3, 3)), (1, 7, 7), pool=(1,)), "pool"),
    (lambda: BoardConvolution(np.full((3, 3), np.nan), (1, 7, 7)), "weight"),
    (lambda: BoardConvolution(np.ones((3, 3)), (1, 7, 7), delay=0), "delay"),
    (lambda: BoardConvolution(np.ones((3, 3)), (1, 7, 7)).check_sizes(49, 24), r"post_shape: must be of 24 neurons"),
    (lambda: BoardPoolDense(np.ones((3, 3, 2)), (1, 7, 6), (2, 2)), "whole multiples of the pool"),
    (lambda: BoardPoolDense(np.ones((3, 2, 2)), (1, 6, 4), (2, 2)), r"weight: must be of shape \(2, 3\)"),
    (lambda: BoardPoolDense(np.ones((2, 3, 2)), (1, 6, 4), (2, 2)).check_sizes(24, 3), "post_shape")])
def test_what_the_binaries_would_get_wrong_is_refused(make, text):
    with pytest.raises(NetworkError, match=text):
        make()


def network(connections, cell=None, others=(), **more):
    pre, post = connections.pre_shape, connections.post_shape
    return Network([Population("in", pre, SpikeSourceArray(Spikes.empty(pre, 1, 5))),
                    Population("out", post, cell or IFCurrExp(), **more)],
                   [Projection("p", "in", "out", connections), *others])


@pytest.mark.parametrize("connections", [BoardConvolution(np.ones((3, 3)), (1, 4, 5)),
                                         BoardPoolDense(np.ones((5, 4, 2)), (1, 4, 5))])
def test_a_population_behind_them_is_if_curr_exp_and_knows_no_other_connector(connections):
    network(connections, others=[Projection("q", "in", "out", connections)])
    name = type(connections).__name__
    with pytest.raises(NetworkError, match=f"IFCurrExp behind a {name}"):
        network(connections, IFCurrDelta())
    post = int(np.prod(connections.post_shape))
    with pytest.raises(NetworkError, match=f"all {name}"):
        network(connections, others=[Projection("q", "in", "out", DenseConnections(np.ones((20, post))))])
    with pytest.raises(NetworkError, match="do not learn"):
        Projection("p", "in", "out", connections, plasticity=STDPMechanism())
