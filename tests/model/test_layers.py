"""Layer records: shapes against loops, and a clear no to everything that cannot be built."""

from dataclasses import FrozenInstanceError

import naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spikingconvnet.errors import SettingsError
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Classifier, Membrane, SpikeCount
from spikingconvnet.training.layerwise.stdp import STDP

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
PAIRS = st.tuples(st.integers(1, 4), st.integers(1, 4))
NOT_PAIRS = [0, -1, (0, 2), (2, -1), 2.0, (2.0, 2), True, (True, 2), "33", None, (), (1,), (1, 2, 3), [[1], [2]]]


@given(SHAPES, PAIRS, PAIRS, st.integers(1, 5), st.booleans())
def test_a_convolution_has_a_neuron_per_map_and_window(shape, kernel, strides, filters, per_map):
    assume(kernel[0] <= shape[1] and kernel[1] <= shape[2])
    layer = Conv2D(filters, kernel, strides, per_map=per_map)
    maps, rows, columns = layer.output_shape(shape)
    assert rows * columns == len(naive.receptive_fields(shape, kernel, strides))
    assert maps == filters * (shape[0] if per_map else 1)
    assert layer.kernel_shape(shape) == (filters, 1 if per_map else shape[0], *kernel)


@given(SHAPES, PAIRS)
def test_pooling_drops_the_remainder(shape, pool):
    assume(pool[0] <= shape[1] and pool[1] <= shape[2])
    assert AvgPool2D(pool).output_shape(shape) == naive.pooled_shape(shape, pool)
    assert AvgPool2D(pool).area == pool[0] * pool[1]


def test_a_number_means_a_square_and_numpy_numbers_become_plain_ones():
    assert Conv2D(2, 3, 2) == Conv2D(2, (3, 3), (2, 2)) == Conv2D(2, [3, 3], [2, 2]) == Conv2D(2, np.int64(3), 2)
    assert repr(Conv2D(2, np.int64(3))) == repr(Conv2D(2, 3))
    assert AvgPool2D(2).pool_size == (2, 2) and Classifier(grid=4).grid == (4, 4)


@pytest.mark.parametrize("value", NOT_PAIRS)
def test_a_pair_is_one_or_two_whole_numbers_from_one_on(value):
    for make, named in ((lambda v: Conv2D(2, v), "Conv2D.kernel_size"), (lambda v: Conv2D(2, 3, v), "Conv2D.strides"),
                        (AvgPool2D, "AvgPool2D.pool_size"), (Classifier, "Classifier.grid")):
        if named == "Classifier.grid" and value is None:
            continue
        with pytest.raises(SettingsError, match=f"^{named}: must be "):
            make(value)


@pytest.mark.parametrize("value", [0, -2, 2.5, 32.0, True, "8", None])
def test_filters_and_units_are_whole_numbers_from_one_on(value):
    for make, named in ((lambda v: Conv2D(v, 3), "Conv2D.filters"), (Dense, "Dense.units")):
        with pytest.raises(SettingsError, match=f"^{named}: must be a whole number, at least 1"):
            make(value)


@pytest.mark.parametrize("name, value", [("firing", 0), ("firing", 1), ("firing", float("nan")), ("gain", 0),
                                         ("gain", -1.0), ("gain", float("nan")), ("lateral", -1.0),
                                         ("lateral", float("nan"))])
def test_firing_gain_and_lateral_are_checked_where_the_layer_is_written(name, value):
    for make, owner in ((lambda **more: Conv2D(2, 3, **more), "Conv2D"), (lambda **more: Dense(2, **more), "Dense")):
        with pytest.raises(SettingsError, match=rf"^{owner}\.{name}: "):
            make(**{name: value})


@pytest.mark.parametrize("name, value", [
    ("windows", 0), ("windows", 100.0), ("windows", 4001), ("chunks", 0), ("slot", 20), ("slot", 60.0),
    ("pattern_steps", 0), ("pattern_steps", 55), ("min_spikes", 0), ("min_spikes", True), ("volley", (1, 4)),
    ("volley", (4, 45)), ("volley", 4.0), ("volley", (4, 4, 4)), ("gate", -1.0), ("lateral", -0.5),
    ("lateral", float("nan")), ("homeostasis", (0.2, 0.0)), ("homeostasis", (0.2,)), ("initial_winners", 0)])
def test_a_training_that_cannot_run_is_refused_by_name(name, value):
    with pytest.raises(SettingsError, match=r"^STDP\."):
        STDP(**{name: value})


def test_the_volley_fits_the_slot_exactly():
    assert STDP(slot=21, pattern_steps=15, volley=(4, 5)).slot == 21
    with pytest.raises(SettingsError, match=r"^STDP\.slot: must be longer than pattern and volley \(20\), got 20$"):
        STDP(slot=20, pattern_steps=15, volley=(4, 5))


@pytest.mark.parametrize("kernel, named", [((5, 4), "at most 4 rows"), ((4, 7), "at most 6 columns")])
def test_a_kernel_larger_than_its_input_is_refused(kernel, named):
    with pytest.raises(SettingsError, match=named):
        Conv2D(2, kernel).output_shape((2, 4, 6))


def test_a_pool_or_grid_larger_than_its_input_is_refused():
    for layer in (AvgPool2D((5, 1)), AvgPool2D((1, 7)), Classifier((5, 1)), Classifier((1, 7))):
        with pytest.raises(SettingsError, match="within the"):
            layer.output_shape((2, 4, 6))


def test_a_dense_layer_is_the_convolution_with_one_window():
    layer = Dense(5, firing=0.2, gain=3.0, centred=False, training=STDP(windows=40, chunks=2))
    conv = layer.as_convolution((3, 4, 6))
    assert conv.output_shape((3, 4, 6)) == layer.output_shape((3, 4, 6)) == (5, 1, 1)
    assert conv.kernel_shape((3, 4, 6)) == (5, 3, 4, 6)
    assert (conv.neuron, conv.firing, conv.gain, conv.centred, conv.training) == (
        layer.neuron, layer.firing, layer.gain, layer.centred, layer.training)


def test_a_classifier_counts_cells_or_neurons():
    assert Classifier(grid=(2, 3)).output_shape((4, 5, 6)) == (24, 1, 1)
    assert Classifier().output_shape((4, 5, 6)) == (120, 1, 1) and Classifier().cells((4, 5, 6)) == (5, 6)
    for value in (0, -1.0, float("nan")):
        with pytest.raises(SettingsError, match=r"^Classifier\.C: must be above 0"):
            Classifier(C=value)


@pytest.mark.parametrize("readout", [SpikeCount, Membrane])
def test_windows_of_output_units_lie_inside_the_image(readout):
    assert readout().window(30) == (0, 30) and readout(first=4, last=20).window(30) == (4, 20)
    assert readout().output_shape((7, 1, 1)) == (7, 1, 1)
    for kind, wrong in (("first", {"first": -1}), ("last", {"first": 5, "last": 5}), ("last", {"last": 2.0})):
        with pytest.raises(SettingsError, match=rf"^{readout.__name__}\.{kind}: must be a step"):
            readout(**wrong)
    for wrong in ({"last": 31}, {"first": 30}):
        with pytest.raises(SettingsError, match="within the 30 steps of an image"):
            readout(**wrong).window(30)


def test_ties_between_units_are_decided_by_membranes_or_the_lowest():
    assert SpikeCount().needs_membranes and not SpikeCount(ties="lowest").needs_membranes
    with pytest.raises(SettingsError, match=r"^SpikeCount\.ties: must be 'v' or 'lowest', got 'random'"):
        SpikeCount(ties="random")


@pytest.mark.parametrize("layer", [Conv2D(2, 3), AvgPool2D(2), Dense(3), Classifier(), SpikeCount(), Membrane(2),
                                   STDP()])
def test_layers_are_frozen_and_compare_by_value(layer):
    with pytest.raises(FrozenInstanceError):
        layer.neuron = None
    assert layer == type(layer)(**vars(layer)) and hash(layer) == hash(type(layer)(**vars(layer)))


def test_layers_describe_themselves():
    assert str(Conv2D(2, (3, 4), (1, 2))) == "Conv2D  2 filters 3x4 stride 1x2, all channels"
    assert str(Conv2D(2, 3, lateral=2.5)).endswith("all channels, lateral 2.5 nA")
    assert "per map" in str(Conv2D(2, 3, per_map=True)) and str(AvgPool2D((2, 3))) == "AvgPool2D  2x3"
    assert str(SpikeCount()) == "SpikeCount  most spikes in steps 0 to the end, ties: v"
    assert str(Membrane(3, 9)) == "Membrane  highest mean in steps 3 to 8"
    assert "one count per neuron" in str(Classifier()) and "2x3 cells" in str(Classifier((2, 3)))
