"""Trained networks of torch, in the forms in which people have them, as kernels and biases of a chain.

``torch.fx`` traces a network to its operations, which are read one after another: what is linear is folded into the
layer before it or the one after it, what changes no answer is left out, and everything else is refused by its name. As
nothing is padded, all of this is exact.
"""


import numpy as np
import torch

from spikingconvnet.model.layers import Dense
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.shorthand import parse
from spikingconvnet.training.chain import parity as comparison
from spikingconvnet.training.chain.gradients.operations import returning
from spikingconvnet.training.chain.gradients.reader import Reader

BATCH = 50              # images that go through a network at a time


def weights_of(network, input_shape, mean=None, std=None):
    """Weights of a trained network, for ``convert.save``.

    Parameters
    ----------
    network : torch.nn.Module
        A Sequential, or a module whose ``forward`` torch.fx can trace; of any type of float, compiled or not. A chain
        of Conv2d (square, stride 1, not padded or dilated, in one group) and Linear, a ReLU behind each but the last;
        pools that average squares of the network's input or behind a ReLU, or a whole map. BatchNorm counts as it does
        in evaluation. Dropout, Softmax and a ReLU behind the last layer are left out.
    input_shape : (C, H, W)
        Of an image.
    mean, std : float or C floats, or None
        Of the ``Normalize(mean, std)`` behind which the network was trained, for images of 0 to 1; folded into the
        first layer.

    Returns
    -------
    kernels, biases : lists of float64 array
    arch : str
        For ``--arch``.

    Raises
    ------
    SettingsError
        The network has no counterpart; the text names the operation.
    """
    reader = Reader.of(network, input_shape, mean, std)
    return [layer.kernel for layer in reader.layers], [layer.bias for layer in reader.layers], "-".join(reader.words)


def answers_of(network, inputs):
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
    reader = Reader.of(network, inputs.shape[1:])
    run = returning(reader.root, [*(layer.rectified for layer in reader.layers[:-1]), reader.layers[-1].response])
    inputs = inputs.flatten(1) if reader.begins_flat else inputs
    with torch.no_grad():
        parts = [run(inputs[first:first + BATCH]) for first in range(0, len(inputs), BATCH)]
    found = (torch.cat(values).numpy() for values in zip(*parts))
    return [values.reshape(*values.shape[:2], *values.shape[2:] or (1, 1)) for values in found]


def parity(network, inputs, images, kernels, biases, arch):
    """A report on the units: the user's own module beside the weights that were made of it, layer by layer.

    Parameters
    ----------
    network : torch.nn.Module
    inputs : array or tensor (n, C, H, W)
        What the network was trained on, as the user's own transforms make it of the images.
    images : float array (n, C, H, W)
        The same images, 0 to 1, as the spiking network is shown them.
    kernels, biases, arch
        From :func:`weights_of`.

    Returns
    -------
    parity.Report

    Raises
    ------
    parity.ParityError
        A layer differs by more than the tolerance; the text says where, and why if that can be told.
    """
    model = parse(arch, np.shape(images)[1:], Dense.neuron, SpikeCount())
    return reference(network, inputs, images).judge(model, kernels, biases)


def reference(network, inputs, images):
    """What a network answers to some images, for ``convert.save``: parity.Reference. Parameters as :func:`parity`."""
    return comparison.Reference(np.asarray(images, np.float32), answers_of(network, inputs))


