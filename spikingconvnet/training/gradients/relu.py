"""Networks of rectifying units, trained with backpropagation and dropout: what `convert` starts from."""

import math

import torch
from torch import nn
from torch.nn import functional

from spikingconvnet.errors import SettingsError
from spikingconvnet.training.gradients.fitting import Chain, accuracy, fit, generator

HE = math.sqrt(2.0)     # keeps the variance of rectifying units from layer to layer (He et al. 2015, arXiv 1502.01852)


def train(model, images, labels, rng, rule, progress=iter, validation=None):
    """Weights of rectifying units in the place of the model's neurons, by cross entropy.

    Parameters as in ``spikingconvnet.training``; `rule` is a ``convert.Convert``.

    Returns
    -------
    kernels, biases : lists of float64 array
        Of every layer.
    health : dict
        ``loss``: mean of every epoch; ``ann_validation_accuracy``, if there are such images.
    """
    chain, chance = Chain(model, rng, HE, rule.bias), generator(rng)

    def loss(shown, truth):
        return functional.cross_entropy(logits(chain, shown, rule.dropout, chance), truth)

    course = fit(chain, loss, images, labels, rule.descent, rng, progress)
    health = {"loss": course}
    if validation is not None:
        health["ann_validation_accuracy"] = accuracy(lambda shown: logits(chain, shown), *validation)
    return *chain.arrays(), health


def logits(chain, values, dropout=0.0, chance=None):
    """Responses of the last layer, tensor (n, units); what Dense layers see of a layer is dropped at random."""
    for stage in chain.stages:
        if dropout and stage.dense and stage.number > 1:
            kept = torch.rand(values.shape, generator=chance) >= dropout
            values = values * kept / (1.0 - dropout)
        values = chain.response(stage.number, values)
        if stage.number < len(chain.stages):
            values = functional.relu(values)
    return values.flatten(1)


PASSING = (nn.ReLU, nn.Flatten, nn.Dropout, nn.Dropout2d, nn.Identity)     # they have no weights and no --arch


def weights_of(network, input_shape):
    """Weights of a trained ``torch.nn.Sequential``, for ``convert.save``.

    Parameters
    ----------
    network : torch.nn.Sequential
        Of Conv2d (not padded or dilated, in one group), Linear, ReLU after each of them but the last, AvgPool2d after a
        ReLU, Flatten and dropout.
    input_shape : (C, H, W)

    Returns
    -------
    kernels, biases : lists of float64 array
    arch : str
        For ``--arch``.
    """
    shape, kernels, biases, words = tuple(input_shape), [], [], ["x".join(map(str, input_shape))]
    _check_order(network)
    for layer in network:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            units = layer.weight.shape[0]
            kernel = layer.weight if isinstance(layer, nn.Conv2d) else layer.weight.reshape(units, *_seen(layer, shape))
            kernels.append(kernel.detach().double().numpy())
            biases.append((torch.zeros(units) if layer.bias is None else layer.bias.detach()).double().numpy())
            words.append(f"{units}c{layer.kernel_size[0]}" if isinstance(layer, nn.Conv2d) else f"{units}")
        elif isinstance(layer, nn.AvgPool2d):
            words.append(f"{_one(layer.kernel_size)}s")
        if not isinstance(layer, (nn.Flatten, nn.Linear)):
            with torch.no_grad():
                shape = tuple(layer(torch.zeros(1, *shape)).shape[1:])
        elif isinstance(layer, nn.Linear):
            shape = (layer.out_features, 1, 1)
    return kernels, biases, "-".join(words)


def _seen(layer, shape):
    if layer.in_features != math.prod(shape):
        raise SettingsError(f"{layer}: sees {layer.in_features} values, but the layers before it make {shape}")
    return shape


def _one(size):
    return size if isinstance(size, int) else size[0]


def _check_order(network):
    """Raise a SettingsError for a network that has no counterpart of spiking layers."""
    weighted = [layer for layer in network if isinstance(layer, (nn.Conv2d, nn.Linear))]
    before, rectified = None, False
    for layer in network:
        kind = type(layer)
        if kind not in (nn.Conv2d, nn.Linear, nn.AvgPool2d, *PASSING):
            raise SettingsError(f"{layer}: cannot be converted; known are Conv2d, Linear, AvgPool2d, "
                                + ", ".join(one.__name__ for one in PASSING))
        if layer in weighted and before is not None and not rectified:
            raise SettingsError(f"{before}: needs a ReLU behind it")
        if isinstance(layer, nn.AvgPool2d) and (not rectified or not _plain_pool(layer)):
            raise SettingsError(f"{layer}: must come behind a ReLU, be square, not padded, with a stride of its size")
        if isinstance(layer, nn.Conv2d) and not _plain_convolution(layer):
            raise SettingsError(f"{layer}: must be square, with a stride of 1, not padded or dilated, in one group")
        if layer in weighted:
            before, rectified = layer, False
        rectified = rectified or isinstance(layer, nn.ReLU)
    if not weighted or rectified or not isinstance(weighted[-1], nn.Linear):
        raise SettingsError(f"{network}: must end with a Linear without a ReLU")


def _plain_convolution(layer):
    return (layer.kernel_size[0] == layer.kernel_size[1] and layer.stride == (1, 1) and layer.padding in ((0, 0), 0)
            and layer.dilation == (1, 1) and layer.groups == 1)


def _plain_pool(layer):
    pairs = (size if isinstance(size, tuple) else (size, size) for size in (layer.kernel_size, layer.stride))
    sizes = {part for pair in pairs for part in pair}
    return len(sizes) == 1 and layer.padding in (0, (0, 0)) and not layer.ceil_mode
