"""Architectures in the short form: the layers that they mean, and errors that name the token."""

import doctest

import pytest

from spikingconvnet.errors import SettingsError
from spikingconvnet.model import shorthand
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp

CELL, OUTPUT = IFCurrDelta(tau_m=2048.0), IFCurrExp(tau_m=5.0)


def test_the_examples_of_the_docstrings_hold():
    assert doctest.testmod(shorthand).failed == 0


@pytest.mark.parametrize("text, layers", [
    ("784-1200-10", [Dense(1200, neuron=CELL), Dense(10, neuron=CELL)]),
    ("28x28-12c5-2s-10o", [Conv2D(12, 5, neuron=CELL), AvgPool2D(2), Dense(10, neuron=CELL)]),
    (" 1x28x28-10 ", [Dense(10, neuron=CELL)])])
@pytest.mark.parametrize("readout", [SpikeCount(last=9), Membrane(3)])
def test_tokens_become_layers_of_one_neuron(text, layers, readout):
    model = shorthand.parse(text, (1, 28, 28), CELL, readout)
    assert model.layers == [*layers, readout] and model.input_shape == (1, 28, 28)


def test_the_output_may_have_a_neuron_of_its_own():
    layers = shorthand.parse("2x6x6-3c2-4", (2, 6, 6), CELL, Membrane(), OUTPUT).layers
    assert [layer.neuron for layer in layers[:2]] == [CELL, OUTPUT]


@pytest.mark.parametrize("text, token, reason", [
    ("785-10", "785", "784 or 28x28"), ("28x27-10", "28x27", "784 or 28x28"), ("", "", "784 or 28x28"),
    ("2x28x28-10", "2x28x28", "784 or 28x28"), ("28x28-12c5-2q-10", "2q", "N units, NcK"),
    ("28x28--10", "", "N units, NcK"), ("28x28-10o-10", "10o", "N units, NcK"),
    ("28x28-12c29-10", "12c29", "at most 28 rows"), ("28x28-0c3-10", "0c3", "at least 1"),
    ("28x28-12c5-2s", "2s", "the number of classes at the end"), ("28x28", "28x28", "the number of classes at the end"),
    ("28x28-12c5-2s-2s-10", "2s", "two AvgPool2D in a row")])
def test_an_error_names_the_token(text, token, reason):
    with pytest.raises(SettingsError, match="^--arch ") as raised:
        shorthand.parse(text, (1, 28, 28), CELL, SpikeCount())
    assert f": {token!r}: " in str(raised.value) and reason in str(raised.value)
