"""Layers of rectifying units for tests."""

import numpy as np

from spikingconvnet.training.chain.units import Units


def units(kernels, biases=None):
    """List of Units of kernels and biases, zeros without them."""
    return [Units(one, np.zeros(len(one)) if biases is None else bias)
            for one, bias in zip(kernels, biases or [None] * len(kernels))]
