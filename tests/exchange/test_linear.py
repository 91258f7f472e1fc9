"""NIR's linear nodes as matrices: against the interpreter of ``naive_nir``, with every stride, padding, dilation and
group; and what does not go together is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.exchange import linear as module
from spikingconvnet.exchange.graph import Node
from spikingconvnet.exchange.linear import operator, spread
from spikingconvnet.exchange.verdicts import Refused

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
import naive_nir


def made(kind, shape, **fields):
    return operator(Node("it", kind, fields), shape)


def same(kind, shape, **fields):
    """The operator, whose matrix and bias give what the interpreter gives for three inputs."""
    found = made(kind, shape, **fields)
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=shape)
        expected = naive_nir.linear({"type": kind, "bias": 0.0, **fields}, x)
        assert found.shape == expected.shape
        bias = 0.0 if found.bias is None else found.bias
        np.testing.assert_allclose(found.matrix @ x.ravel() + bias, expected.ravel(), atol=1e-12)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_a_convolution_in_two_axes_is_its_sum(seed):
    rng = np.random.default_rng(seed)
    groups, stride, dilation, padding = (rng.integers(1, 4), *rng.integers((1, 1, 0), (4, 3, 3), (2, 3)).T.tolist())
    kernel, channels = rng.integers(1, 4, 2), int(rng.integers(1, 3))
    padding = ["valid", "same"][seed // 8 % 2] if seed % 8 == 0 else tuple(padding)
    stride = (1, 1) if isinstance(padding, str) else tuple(stride)
    weight = rng.normal(size=(2 * groups, channels, *kernel))
    same("Conv2d", (channels * int(groups), *map(int, rng.integers(5, 9, 2))), weight=weight, stride=stride,
         padding=padding, dilation=tuple(dilation), groups=int(groups), bias=rng.normal(size=2 * groups))


@pytest.mark.parametrize("seed", range(20))
def test_a_convolution_in_one_axis_is_its_sum(seed):
    rng = np.random.default_rng(seed)
    groups, (stride, dilation, padding) = int(rng.integers(1, 3)), rng.integers((1, 1, 0), (4, 3, 3)).tolist()
    if seed % 5 == 0:
        stride, padding = 1, "same"
    same("Conv1d", (2 * groups, int(rng.integers(6, 12))), weight=rng.normal(size=(3 * groups, 2, rng.integers(1, 4))),
         stride=stride, padding=padding, dilation=dilation, groups=groups, bias=rng.normal(size=3 * groups))


@pytest.mark.parametrize("kind", ["AvgPool2d", "SumPool2d"])
@pytest.mark.parametrize("kernel, stride, padding", [((2, 3), (2, 1), (0, 0)), ((3, 2), (1, 3), (1, 0)),
                                                     ((1, 1), (2, 2), (0, 0)), ((2, 2), (2, 2), (1, 1))])
def test_pools_count_what_is_padded_as_zero(kind, kernel, stride, padding):
    same(kind, (2, 6, 7), kernel_size=np.array(kernel), stride=np.array(stride), padding=np.array(padding))


def test_one_number_for_both_axes():
    weight = np.random.default_rng(0).normal(size=(2, 1, 3, 3))
    one = made("Conv2d", (1, 7, 7), weight=weight, stride=2, padding=1, dilation=np.array([1]), groups=1)
    two = made("Conv2d", (1, 7, 7), weight=weight, stride=(2, 2), padding=(1, 1), dilation=(1, 1), groups=1)
    assert one.shape == two.shape == (2, 4, 4) and one.bias is None and (one.matrix != two.matrix).nnz == 0


def test_the_odd_one_of_the_padding_same_is_behind():
    taps = module._padding("same", (2, 4, 3, 1), (1,) * 4, (1, 1, 2, 3))
    assert taps == [(0, 1), (1, 2), (2, 2), (0, 0)]
    assert module._padding(b"valid", (3, 3), (2, 2), (1, 1)) == [(0, 0), (0, 0)]
    assert module._padding((1, 2), (3, 3), (2, 2), (1, 1)) == [(1, 1), (2, 2)]


def test_affine_nodes_of_one_matrix_and_of_many():
    rng = np.random.default_rng(1)
    same("Affine", (2, 3), weight=rng.normal(size=(4, 6)), bias=rng.normal(size=4))
    same("Linear", (6,), weight=rng.normal(size=(4, 6)))
    weight, x, bias = rng.normal(size=(2, 4, 3)), rng.normal(size=6), rng.normal(size=2)
    found = made("Affine", (6,), weight=weight, bias=bias)
    assert found.shape == (2, 4)
    np.testing.assert_allclose(found.matrix @ x, np.einsum("bij,bj->bi", weight, x.reshape(2, 3)).ravel())
    np.testing.assert_array_equal(found.bias, np.repeat(bias, 4))       # one for each leading place


def test_scales_and_delays():
    same("Scale", (2, 3), scale=np.arange(6.0).reshape(2, 3))
    found = made("Delay", (2, 2), delay=np.array([[0.0], [2.0]]))
    assert found.matrix is None and found.shape == (2, 2) and found.delay.tolist() == [0, 0, 2, 2]
    with pytest.raises(Refused, match="negative"):
        made("Delay", (2,), delay=np.array([0.0, -1e-9]))


@pytest.mark.parametrize("fields, shape", [
    ({}, (2, 60)), ({"start_dim": 0}, (120,)), ({"start_dim": 0, "end_dim": 1}, (6, 4, 5)),
    ({"start_dim": -2, "end_dim": -1}, (2, 3, 20)), ({"start_dim": np.array([1]), "end_dim": 2}, (2, 12, 5)),
    ({"start_dim": 9}, (2, 3, 4, 5)), ({"start_dim": -9, "end_dim": -3}, (6, 4, 5)),
    ({"start_dim": 2, "end_dim": 1}, (2, 3, 4, 5))])
def test_flatten_joins_the_axes_that_it_names(fields, shape):
    found = made("Flatten", (2, 3, 4, 5), **fields)
    assert found.shape == shape and found.matrix is None and found.bias is None and found.delay is None


def test_values_for_a_shape_are_given_for_each_neuron_once_or_once_a_channel():
    assert spread(2, (2, 2), "tau").tolist() == [2.0] * 4
    assert spread([[1], [2]], (2, 2), "tau").tolist() == [1.0, 1.0, 2.0, 2.0]
    assert spread([1, 2, 3, 4], (2, 2), "tau").tolist() == [1.0, 2.0, 3.0, 4.0]
    with pytest.raises(Refused, match=r"tau has the shape \(3,\), and \(2, 2\) is wanted"):
        spread([1, 2, 3], (2, 2), "tau")


CONV = {"weight": np.ones((2, 1, 3, 3)), "stride": 1, "padding": 0, "dilation": 1, "groups": 1}


@pytest.mark.parametrize("kind, shape, fields, said", [
    ("Linear", (3,), {"weight": np.ones(3)}, "two axes"),
    ("Linear", (3,), {"weight": np.ones((2, 4))}, r"takes 4 values, and \(3,\)"),
    ("Affine", (2,), {"weight": np.ones((2, 2)), "bias": np.ones(3)}, "bias has the shape"),
    ("Conv2d", (1, 5, 5), CONV | {"weight": np.ones((2, 1, 3))}, "give it 4 axes"),
    ("Conv1d", (1, 5), CONV, "give it 3 axes"),
    ("Conv2d", (2, 5, 5), CONV, "takes 1 channels of 2 axes"),
    ("Conv2d", (25,), CONV, "takes 1 channels"),
    ("Conv2d", (3, 5, 5), CONV | {"groups": 3}, "no multiple of 3"),
    ("Conv2d", (1, 2, 5), CONV, r"shape \(2, 0, 3\)"),
    ("Conv2d", (1, 5, 1), CONV, r"shape \(2, 3, -1\)"),
    ("Conv2d", (1, 5, 5), CONV | {"padding": "same", "stride": (1, 2)}, "'same' with a stride"),
    ("Conv2d", (1, 5, 5), CONV | {"stride": 0}, "stride is 0; give it 2 whole numbers, at least 1"),
    ("Conv2d", (1, 5, 5), CONV | {"stride": (1, 1, 1)}, "stride"),
    ("Conv2d", (1, 5, 5), CONV | {"dilation": 1.5}, "dilation is 1.5"),
    ("Conv2d", (1, 5, 5), CONV | {"padding": -1}, "padding is -1; give it 2 whole numbers, at least 0"),
    ("Conv2d", (1, 5, 5), CONV | {"padding": 1 << 31}, "padding"),
    ("AvgPool2d", (4, 4), {"kernel_size": 2, "stride": 2, "padding": 0}, "three axes")])
def test_what_does_not_go_together_is_refused(kind, shape, fields, said):
    with pytest.raises(Refused, match=said) as refused:
        made(kind, shape, **fields)
    assert refused.value.text and refused.value.change


def test_a_matrix_of_too_many_synapses_is_refused_before_it_is_made(monkeypatch):
    monkeypatch.setattr(module, "MOST_WEIGHTS", 2 * 9 * 9)
    assert made("Conv2d", (1, 5, 5), **CONV).matrix.nnz == 2 * 9 * 9
    monkeypatch.setattr(module, "MOST_WEIGHTS", 2 * 9 * 9 - 1)
    with pytest.raises(Refused, match="162 synapses; at most 161"):
        made("Conv2d", (1, 5, 5), **CONV)
