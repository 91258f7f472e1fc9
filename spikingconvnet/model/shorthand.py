"""Architectures in the field's short form, as ``--arch`` takes them: ``784-1200-10``, ``28x28-12c5-2s-64c5-2s-10``.

    784 or 28x28    the input: its size, or its rows and columns (2x28x28 with its channels)
    12c5            convolution, 12 filters of 5 x 5
    2s              average pooling of 2 x 2
    1200            dense layer of 1200 units; the last one has one unit a class
    10o             the same as 10, the output
"""

import re
from math import isqrt, prod
from typing import Any

from spikingconvnet.errors import SettingsError
from spikingconvnet.gates.fields import SHAPE
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.model.sequential import Layer, Sequential
from spikingconvnet.network.arrays import Shape
from spikingconvnet.network.neurons import Neuron

N = "([0-9]{1,9})"
FORMS = "N units, NcK (N filters of K x K) or Ns (N x N pooling), with a dash between them"


def parse(text: str, input_shape: Shape, neuron: Neuron, readout: SpikeCount | Membrane,
          output_neuron: Neuron | None = None) -> Sequential:
    """The model of an architecture.

    Parameters
    ----------
    text : str
    input_shape : (C, H, W)
        Of the images, which the first token has to name.
    neuron : record of ``neurons``
        Of all layers.
    readout : SpikeCount or Membrane
    output_neuron : record of ``neurons`` or None
        Of the last layer; None: like the others.

    Returns
    -------
    Sequential

    Raises
    ------
    SettingsError
        A token that means nothing or does not fit; the text names it.

    >>> from spikingconvnet import IFCurrDelta, SpikeCount
    >>> parse("28x28-12c5-2s-64c5-2s-10o", (1, 28, 28), IFCurrDelta(), SpikeCount()).shapes[1:]
    [(12, 24, 24), (12, 12, 12), (64, 8, 8), (64, 4, 4), (10, 1, 1), (10, 1, 1)]
    """
    first, *tokens = text.strip().split("-")
    model = Sequential(_input(first, input_shape, text))
    for place, token in enumerate(tokens):
        last = place == len(tokens) - 1
        try:
            model.add(_layer(token, last, output_neuron or neuron if last else neuron))
        except SettingsError as error:
            raise SettingsError(f"--arch {text}: {token!r}: {error}") from None
    try:
        return model.add(readout)
    except SettingsError:
        raise SettingsError(f"--arch {text}: {(tokens or [first])[-1]!r}: must be the number of classes at the end, as"
                            " 10 or 10o") from None


def input_shape(text: str, channels: int) -> Shape:
    """Shape of the input of an architecture for a model that has none of its own.

    Parameters
    ----------
    text : str
    channels : int
        Of the images as they are filtered.

    Raises
    ------
    SettingsError
        A number of inputs that is no square.

    >>> input_shape("28x28-12c5-2s-10", 2), input_shape("784-1200-10", 1)
    ((2, 28, 28), (1, 28, 28))
    """
    first = text.strip().partition("-")[0]
    sizes = _sizes(first)
    if len(sizes) == 1:
        side = isqrt(sizes[0] // channels)
        sizes = (side, side) if channels * side ** 2 == sizes[0] else ()
    if len(sizes) < 2:
        raise SettingsError(f"--arch {text}: {first!r}: must be the rows and columns of the images, as 28x28, because"
                            " MODEL of the parameters has no input shape")
    shape: Any = (channels, *sizes)[-3:]
    return tuple(SHAPE(shape, f"--arch {text}", "input"))


def _sizes(token: str) -> tuple[int, ...]:
    """The numbers of the first token; none if it is no input."""
    match = re.fullmatch(rf"(?:(?:{N}x)?{N}x)?{N}", token)
    return tuple(int(part) for part in match.groups() if part) if match else ()


def _input(token: str, shape: Shape, text: str) -> Shape:
    sizes = _sizes(token)
    given = {1: (prod(shape),), 2: shape[1:] if shape[0] == 1 else None, 3: shape}.get(len(sizes))
    if given is None or sizes != tuple(given):
        rows = f"{shape[1]}x{shape[2]}" if shape[0] == 1 else "x".join(map(str, shape))
        raise SettingsError(f"--arch {text}: {token!r}: must be the input of the parameters, {prod(shape)} or {rows}")
    return shape


def _layer(token: str, last: bool, neuron: Neuron) -> Layer:
    if match := re.fullmatch(f"{N}o" if token.endswith("o") and last else N, token):
        return Dense(int(match[1]), neuron=neuron)
    if match := re.fullmatch(f"{N}c{N}", token):
        return Conv2D(int(match[1]), int(match[2]), neuron=neuron)
    if match := re.fullmatch(f"{N}s", token):
        return AvgPool2D(int(match[1]))
    raise SettingsError(f"must be {FORMS}")
