"""Trained networks of torch, in the forms in which people have them, as weights of rectifying units and their model.

``torch.fx`` traces a network to its operations, which are read one after another: what is linear is folded into the
layer before it or the one after it, what changes no answer is left out, and everything else is refused by its name. All
of this is exact.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from spikingconvnet.data.events import EventBins
from spikingconvnet.errors import SettingsError
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.arrays import Floats, Numbers, Shape
from spikingconvnet.training.chain import parity as comparison
from spikingconvnet.training.chain.gradients.building import built
from spikingconvnet.training.chain.gradients.operations import returning
from spikingconvnet.training.chain.gradients.reader import Reader
from spikingconvnet.training.chain.units import Units, activations

BATCH = 50              # images that go through a network at a time
EXACT = 1e-6            # largest difference of what was read, as a share of the largest answer


def weights_of(network: nn.Module, input_shape: Shape, mean: Any = None,
               std: Any = None) -> tuple[list[Units], Sequential]:
    """Weights of a trained network, for ``convert.save``.

    Parameters
    ----------
    network : torch.nn.Module
        Any that torch.fx can trace, of any type of float, compiled or not: Conv2d, Linear, ReLU, ReLU6, average pools,
        sums and joined channels, and what is linear between them. BatchNorm counts as it does in evaluation. Dropout,
        Softmax and a ReLU behind the last layer are left out.
    input_shape : (C, H, W)
        Of an image.
    mean, std : float or C floats, or None
        Of the ``Normalize(mean, std)`` behind which the network was trained, for images of 0 to 1; folded into the
        layers that see the image.

    Returns
    -------
    units : list of Units
        Of every layer, in the order in which their ReLUs stand.
    model : model.Sequential
        Its layers have the neuron of ``Convert``; it ends with a SpikeCount.

    Raises
    ------
    SettingsError
        The network has no counterpart; the text names the operation.
    """
    reader = Reader(network, input_shape, mean, std)
    units, model = built(reader.layers, reader.shape)
    _check(reader, units, model, 0.0 if mean is None else mean, 1.0 if std is None else std)
    return units, model


def _check(reader: Reader, units: list[Units], model: Sequential, mean: Any, std: Any) -> None:
    """Raise a SettingsError unless the units answer to an image drawn at random as the network does."""
    image = np.random.default_rng(0).random((1, *reader.shape))
    shown = (image - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    ours, theirs = activations(model, units, image), _answers(reader, torch.from_numpy(shown))
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        if not abs(one - other).max() <= EXACT * abs(other).max():
            raise SettingsError(f"network: layer {number} was read wrongly, a fault of this package: please tell it")


def answers_of(network: nn.Module, inputs: Any) -> list[Floats]:
    """What the units of a network's layers answer, behind the ReLU; those of the last layer are not rectified.

    Parameters
    ----------
    network : torch.nn.Module
        As for :func:`weights_of`.
    inputs : array or tensor (n, C, H, W)
        What it was trained on: normalised, if it was trained behind a Normalize.

    Returns
    -------
    list of float64 array (n, units, rows, columns)
    """
    inputs = torch.as_tensor(inputs).detach().cpu().double()
    return _answers(Reader(network, inputs.shape[1:]), inputs)


def _answers(reader: Reader, inputs: torch.Tensor) -> list[Floats]:
    *layers, last = reader.layers
    run = returning(reader.root, [*(layer.rectified for layer in layers), last.value.node])
    inputs = inputs.flatten(1) if reader.begins_flat else inputs
    with torch.no_grad():
        parts = [run(inputs[first:first + BATCH].clone()) for first in range(0, len(inputs), BATCH)]
    return [torch.cat(values).numpy().reshape(-1, *layer.shape) for values, layer in zip(zip(*parts), reader.layers)]


def parity(network: nn.Module, inputs: Any, images: Numbers, units: list[Units], model: Sequential,
           bins: EventBins | None = None) -> comparison.Report:
    """A report on the units: the user's own module beside the weights that were made of it, layer by layer.

    Parameters
    ----------
    network : torch.nn.Module
    inputs : array or tensor (n, C, H, W)
        What the network was trained on, as the user's own transforms make it of the images.
    images : float array (n, C, H, W)
        The same images, 0 to 1, as the spiking network is shown them; of events ``bins.values(events)``.
    units, model
        From :func:`weights_of`.
    bins : EventBins or None
        ENCODER of events.

    Returns
    -------
    parity.Report

    Raises
    ------
    parity.ParityError
        A layer differs by more than the tolerance; the text says where, and why if that can be told.
    """
    return reference(network, inputs, images, bins).judge(model, units)


def reference(network: nn.Module, inputs: Any, images: Numbers, bins: EventBins | None = None) -> comparison.Reference:
    """What a network answers to some images, for ``convert.save``: parity.Reference. Parameters as :func:`parity`."""
    return comparison.Reference(np.asarray(images, np.float32), answers_of(network, inputs), bins)
