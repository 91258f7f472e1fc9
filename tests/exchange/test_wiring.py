"""What comes to each neuron of a graph: terms, delays, shapes, and where a term is a convolution."""

import itertools

import numpy as np
import pytest

from spikingconvnet.exchange.graph import Graph, Node
from spikingconvnet.exchange.verdicts import Ledger, Refused
from spikingconvnet.exchange.wiring import Convolution, Wiring, is_identity

STEP = 1e-3


def wiring(*edges, **nodes):
    """Of nodes as (kind, fields)."""
    return Wiring(Graph({name: Node(name, kind, fields) for name, (kind, fields) in nodes.items()}, list(edges), []),
                  STEP, Ledger())


def given(*shape):
    return "Input", {"shape": np.array(shape)}


def linear(weight):
    return "Linear", {"weight": np.asarray(weight, float)}


def delay(*steps):
    return "Delay", {"delay": np.array(steps) * STEP}


def conv(weight, **fields):
    return "Conv2d", {"weight": weight, "stride": 1, "padding": 0, "dilation": 1, "groups": 1, **fields}


def pool(kind, size, stride=None, padding=0):
    return kind, {"kernel_size": size, "stride": stride or size, "padding": padding}


def threshold(*shape):
    return "Threshold", {"threshold": np.ones(shape)}


def one(*nodes, shape=(2, 6, 6)):
    """The only term behind nodes in a chain."""
    names = ["a", *(f"n{i}" for i in range(len(nodes)))]
    (term,) = wiring(*itertools.pairwise(names), **dict(zip(names, [given(*shape), *nodes]))).out(names[-1]).terms
    return term


def test_what_two_ways_bring_from_one_source_with_one_delay_is_one_term():
    found = wiring(("a", "w"), ("a", "u"), ("w", "n"), ("u", "n"), ("n", "x"), a=given(2), w=linear([[1, 2]]),
                   u=linear([[10, 20]]), n=("Output", {"shape": np.array([1])}), x=("Output", {}))
    (term,) = found.out("n").terms
    assert term.pre == "a" and term.delay == 0 and term.matrix.toarray().tolist() == [[11, 22]]


def test_biases_add_up_and_go_through_what_comes_behind():
    affine = "Affine", {"weight": np.array([[1.0, 2.0]]), "bias": np.array([3.0])}
    found = wiring(("a", "w"), ("a", "u"), ("w", "n"), ("u", "n"), ("n", "v"), a=given(2), w=affine, u=affine,
                   n=("Output", {}), v=linear([[5.0], [7.0]]))
    assert found.out("n").bias.tolist() == [6.0] and found.out("v").bias.tolist() == [30.0, 42.0]
    assert found.out("v").shape == (2,)


def test_delays_are_whole_steps_and_add_up():
    found = wiring(("a", "d"), ("d", "e"), a=given(3), d=delay(2, 2, 2), e=delay(0, 1, 4))
    (term,) = found.out("d").terms
    assert term.delay == 2 and term.matrix.toarray().tolist() == np.eye(3).tolist() and not found.ledger.rounded
    terms = found.out("e").terms
    assert [term.delay for term in terms] == [2, 3, 6]
    assert [term.matrix.diagonal().tolist() for term in terms] == np.eye(3).tolist()


def test_a_delay_between_two_steps_is_rounded_and_told():
    found = wiring(("a", "d"), a=given(2), d=delay(1.25, 2.0))
    assert [term.delay for term in found.out("d").terms] == [1, 2]
    assert found.ledger.rounded == {"d": ["delays moved by up to 0.25 steps to whole ones"]}


def test_a_convolution_keeps_its_kernels_strides_and_padding():
    weight = np.arange(54.0).reshape(3, 2, 3, 3)
    found = one(conv(weight, stride=(2, 1), padding=(0, 1))).convolution
    assert np.array_equal(found.kernels, weight) and found.gain == 1
    assert (found.strides, found.pool, found.padding) == ((2, 1), (1, 1), (0, 1))
    assert one(conv(weight, padding="valid")).convolution.padding == (0, 0)


def test_groups_are_kernels_that_are_zero_elsewhere():
    weight = np.arange(1.0, 17).reshape(4, 1, 2, 2)
    found = one(conv(weight, groups=2)).convolution.kernels
    assert found.shape == (4, 2, 2, 2)
    for m in range(4):
        assert np.array_equal(found[m, m // 2], weight[m, 0]) and not found[m, 1 - m // 2].any()


@pytest.mark.parametrize("kind, gain", [("AvgPool2d", 1.0), ("SumPool2d", 6.0)])
def test_a_pool_whose_windows_touch_is_one_of_a_convolution(kind, gain):
    found = one(pool(kind, (2, 3))).convolution
    assert vars(found) == vars(Convolution(None, (1, 1), (2, 3), gain))
    weight = np.ones((1, 2, 2, 2))
    behind = one(pool(kind, (2, 3)), conv(weight)).convolution
    assert np.array_equal(behind.kernels, weight * gain) and behind.pool == (2, 3)


@pytest.mark.parametrize("nodes", [
    [pool("AvgPool2d", (2, 2), (1, 2))], [pool("AvgPool2d", (2, 2), padding=(0, 1))],
    [pool("AvgPool2d", (2, 2)), pool("AvgPool2d", (1, 1))], [pool("AvgPool2d", (2, 2)), ("Scale", {"scale": 2.0})],
    [conv(np.ones((1, 2, 2, 2))), conv(np.ones((1, 1, 1, 1)))], [conv(np.ones((1, 2, 2, 2)), padding="same")],
    [conv(np.ones((1, 2, 2, 2)), dilation=(1, 2))], [("Scale", {"scale": 2.0})],
    [("Delay", {"delay": np.arange(72.0).reshape(2, 6, 6) * STEP % 0.002})]])
def test_what_is_no_convolution_of_the_package_is_none(nodes):
    names = ["a", *(f"n{i}" for i in range(len(nodes)))]
    found = wiring(*itertools.pairwise(names), **dict(zip(names, [given(2, 6, 6), *nodes]))).out(names[-1])
    assert all(term.convolution is None for term in found.terms)


def test_a_convolution_stays_one_behind_flatten_and_a_delay_of_all():
    found = one(conv(np.ones((1, 2, 2, 2))), ("Delay", {"delay": 2 * STEP}), ("Flatten", {"start_dim": 0}))
    assert found.convolution.kernels.shape == (1, 2, 2, 2) and found.delay == 2 and found.via == "n0"
    assert one(("Flatten", {"start_dim": 0}), linear(np.ones((1, 72)))).via == "n1"
    assert one(("Flatten", {"start_dim": 0})).via == "n0"
    assert one(("Scale", {"scale": np.ones(4)}), shape=(4,)).convolution is None


def test_two_ways_of_a_convolution_are_none_together():
    weight = np.ones((1, 2, 2, 2))
    found = wiring(("a", "v"), ("a", "w"), ("v", "n"), ("w", "n"), a=given(2, 6, 6), v=conv(weight), w=conv(2 * weight),
                   n=("Output", {}))
    (term,) = found.out("n").terms
    assert term.convolution is None and term.matrix.sum() == 3 * 8 * 25


def test_identity_is_the_spikes_of_the_source_as_they_are():
    assert is_identity(one(shape=(2, 3, 1)))
    assert is_identity(one(("Scale", {"scale": 1.0}), shape=(4,)))
    assert not is_identity(one(("Scale", {"scale": np.array([1, 1, 0.0])}), shape=(3,)))
    assert not is_identity(one(linear(np.ones((1, 3))), shape=(3,)))
    assert not is_identity(one(delay(1, 1), shape=(2,)))


def test_the_shape_of_neurons_is_that_of_their_parameters_or_of_what_comes():
    found = wiring(("a", "n"), ("a", "m"), ("a", "k"), a=given(2, 3, 3), n=threshold(2, 3, 3), m=threshold(),
                   k=threshold(2, 1, 1), alone=threshold(), far=threshold(1, 4), none=("Output", {}))
    assert [found.shape(name) for name in ("a", "n", "m", "k", "alone", "far", "none")] == [
        (2, 3, 3), (2, 3, 3), (2, 3, 3), (2, 3, 3), (1,), (1, 4), None]
    with pytest.raises(Refused, match=r"shapes \[\(2,\), \(3,\)\]"):
        wiring(x=("IF", {"r": np.ones(2), "v_threshold": np.ones(3)})).shape("x")
    assert wiring(x=("IF", {"r": np.ones(3), "v_threshold": np.ones(3)})).shape("x") == (3,)
    with pytest.raises(Refused, match=r"its shape is \(2, 0\)"):
        wiring(a=given(2, 0)).shape("a")
    assert wiring(a=given(1, 1)).shape("a") == (1, 1)


@pytest.mark.parametrize("edges", [*itertools.permutations([("a", "n"), ("n", "w"), ("w", "n")])])
def test_neurons_that_hear_themselves_have_the_shape_of_what_else_comes(edges):
    found = wiring(*edges, a=given(3), n=threshold(), w=linear(np.eye(3)))
    assert found.out("n").shape == (3,) and [s.shape for s in found.into("n")] == [(3,), (3,)]
    assert not found.ledger.refused


@pytest.mark.parametrize("first", ["n", "m"])
@pytest.mark.parametrize("edges", [*itertools.permutations([("u", "n"), ("a", "n"), ("w", "m")])])
def test_neurons_of_a_loop_have_the_shapes_of_what_comes_into_it(edges, first):
    found = wiring(("n", "w"), ("m", "u"), *edges, a=given(3), n=threshold(), m=threshold(), w=linear(np.eye(3)),
                   u=linear(np.eye(3)))
    assert found.shape(first) == found.out("n").shape == found.out("m").shape == (3,)
    assert not found.ledger.refused


def refusal(found, name):
    assert found.out(name) is None
    text, change = found.ledger.refused[name]
    assert text and change
    return text


def test_what_cannot_be_is_refused_with_a_reason():
    found = wiring(("w", "u"), ("u", "w"), w=linear(np.eye(2)), u=linear(np.eye(2)))
    refusal(found, "w")
    assert "loop without a neuron" in " ".join(text for text, _ in found.ledger.refused.values())
    assert "nothing comes" in refusal(wiring(w=linear(np.eye(2))), "w")
    found = wiring(("a", "w"), ("w", "n"), a=given(2), w=linear(np.eye(3)), n=("Output", {}))
    assert "behind 'w', which is refused" in refusal(found, "n") and "takes 3 values" in refusal(found, "w")
    found = wiring(("a", "n"), ("b", "n"), a=given(2), b=given(3), n=("Output", {}))
    assert "adds up shapes (2,), (3,)" in refusal(found, "n")


def test_a_membrane_goes_to_an_output_alone():
    silent = "I", {"r": np.ones(2)}
    found = wiring(("a", "i"), ("i", "n"), ("i", "w"), ("i", "two"), ("a", "two"), a=given(2), i=silent,
                   n=("Output", {}), w=linear(np.eye(2)), two=("Output", {}))
    assert found.out("i").membrane == found.out("n").membrane == "i" and found.out("a").membrane == ""
    assert "membrane of 'i'" in refusal(found, "w") and "membrane of 'i'" in refusal(found, "two")
