"""The chain of layers: shapes by loops, stages with their pools, and chains that make no sense."""

import naive
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spikingconvnet.errors import SettingsError
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Classifier, Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.neurons import IFCurrExpCa2Adaptive

SMALL = st.tuples(st.integers(1, 3), st.integers(1, 3))


def four_layers():
    return Sequential((2, 11, 13), Conv2D(3, (3, 4), (1, 2)), AvgPool2D((2, 1)), Conv2D(2, 2, per_map=True),
                      Dense(5), Classifier())


def test_stages_know_their_place_their_source_and_their_pool():
    first, second, third = four_layers().stages
    assert (first.number, first.label, first.pool, first.source_shape) == (1, "layer1", None, (2, 11, 13))
    assert (first.in_shape, first.out_shape) == ((2, 11, 13), (3, 9, 5))
    assert (second.source_shape, second.pool, second.in_shape) == ((3, 9, 5), AvgPool2D((2, 1)), (3, 4, 5))
    assert second.out_shape == (6, 3, 4) and second.layer.per_map
    assert (third.number, third.pool, third.source_shape, third.in_shape) == (3, None, (6, 3, 4), (6, 3, 4))
    assert third.layer == Dense(5).as_convolution((6, 3, 4)) and third.out_shape == (5, 1, 1)


@given(SMALL, SMALL, SMALL, SMALL)
def test_the_shapes_of_a_chain_are_those_of_its_loops(kernel, strides, pool, second):
    shape = (2, 9, 8)
    maps = len(naive.corners(9, kernel[0], strides[0])), len(naive.corners(8, kernel[1], strides[1]))
    pooled = naive.pooled_shape((3, *maps), pool)
    assume(pooled[1] >= second[0] and pooled[2] >= second[1])
    model = Sequential(shape, Conv2D(3, kernel, strides), AvgPool2D(pool), Conv2D(4, second), Classifier())
    last = (4, len(naive.corners(pooled[1], second[0], 1)), len(naive.corners(pooled[2], second[1], 1)))
    assert model.shapes == [shape, (3, *maps), pooled, last, (naive.size(last), 1, 1)]


def test_a_pool_may_come_first_and_belongs_to_the_first_stage():
    (stage,) = Sequential((2, 5, 6), AvgPool2D((2, 3)), Conv2D(3, (1, 2)), Classifier()).stages
    assert (stage.source_shape, stage.in_shape, stage.out_shape) == ((2, 5, 6), (2, 2, 2), (3, 2, 1))


@pytest.mark.parametrize("layers, text", [
    ([Conv2D(2, 3), Classifier(), Conv2D(2, 1)], "nothing may follow the Classifier"),
    ([Conv2D(2, 3), Classifier(), Classifier()], "nothing may follow the Classifier"),
    ([AvgPool2D(2), AvgPool2D(2)], "two AvgPool2D in a row"),
    ([Classifier()], "needs a Conv2D or Dense before it"),
    ([Conv2D(2, 3), AvgPool2D(2), Classifier()], "needs a Conv2D or Dense before it"),
    ([Conv2D(2, 3), Conv2D(2, 9)], r"^layer 2 of the model: Conv2D\.kernel_size: must be at most 5 rows"),
    ([Conv2D(2, 3), AvgPool2D(9)], r"^layer 2 of the model: AvgPool2D\.pool_size"),
    ([Conv2D(2, 3), Classifier(grid=9)], r"^layer 2 of the model: Classifier\.grid"),
    ([Dense(2), SpikeCount(), Dense(2)], "nothing may follow the SpikeCount"),
    ([Conv2D(2, 7), SpikeCount()], "a SpikeCount needs a Dense with one unit a class before it"),
    ([Membrane()], "a Membrane needs a Dense"),
    ([Dense(2, neuron=IFCurrExpCa2Adaptive()), SpikeCount()],
     "Dense.neuron: IFCurrExpCa2Adaptive adapts, which the rules .* do not know"),
    ([Conv2D(2, 7, lateral=1.0), Dense(2), SpikeCount()], "competes .lateral., which the rules .* do not know"),
    (["Conv2D"], r"^Sequential\.layers: must be Conv2D, AvgPool2D, Dense or Classifier"),
    ([Conv2D], r"^Sequential\.layers: must be Conv2D, AvgPool2D, Dense or Classifier")])
def test_a_chain_that_does_not_fit_is_refused_with_the_reason(layers, text):
    with pytest.raises(SettingsError, match=text):
        Sequential((2, 7, 8), *layers)


@pytest.mark.parametrize("shape", [(7, 8), (2, 7, 8, 9), (0, 7, 8), (2, 7, 0), (2, -7, 8)])
def test_an_input_has_three_axes_of_at_least_one(shape):
    with pytest.raises(SettingsError, match=r"^Sequential\.input_shape"):
        Sequential(shape)


def test_a_refused_layer_leaves_the_model_as_it_was():
    model = Sequential((2, 7, 8), Conv2D(2, 3))
    with pytest.raises(SettingsError):
        model.add(Conv2D(2, 9))
    assert model.shapes == [(2, 7, 8), (2, 5, 6)] and len(model.layers) == 1 and model.add(Classifier()) is model


def test_a_model_without_a_classifier_says_how_to_end_it():
    for model in (Sequential((2, 7, 8)), Sequential((2, 7, 8), Conv2D(2, 3))):
        with pytest.raises(SettingsError, match="Classifier"):
            _ = model.classifier
    assert four_layers().classifier == Classifier() and Sequential((2, 7, 8)).stages == []


def test_the_summary_has_a_line_a_layer_with_neurons_weights_and_synapses():
    lines = four_layers().summary().splitlines()
    assert len(lines) == 7
    kernels = [[[[1.0] * 4] * 3] * 2] * 3
    synapses = len(naive.conv_connections(kernels, (2, 11, 13), (1, 2)))
    assert lines[2].split()[-3:] == ["135", "72", f"{synapses:,}"] and lines[2].startswith("1 ")
    assert lines[4].split()[-4:] == ["6x3x4", "72", "8", "576"] and lines[6].startswith("svm")
    assert all(line == line.rstrip() for line in lines)
