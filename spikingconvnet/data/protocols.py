"""What a filter and an encoder are; ``tests/test_protocols.py`` has every one of them pass the same tests."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.network.arrays import Floats, Numbers
from spikingconvnet.network.spikes import Spikes


@runtime_checkable
class ImageFilter(Protocol):
    """From grey values to channels; each image by itself, so that the result does not depend on batches.

    Attributes
    ----------
    channels : int
        That it makes.

    Notes
    -----
    Beside these it may have ``channel_names``, a tuple of str; ``worth``, a tuple of float, what a 1 in each channel is
    worth of the one number that they show together, see ``filters.worth_of``; and ``fitted(images)``, which gives the
    filter that belongs to these training images: one that has it is used only so.
    """

    channels: int

    def __call__(self, images: NDArray[np.uint8]) -> Floats:
        """Values of each channel: uint8 (N, H, W) to float64 (N, channels, H, W), where 1 is a strong input."""


@runtime_checkable
class Encoder(Protocol):
    """From values to spikes; drawn sample by sample, so that the result does not depend on batches.

    Attributes
    ----------
    n_steps : int
        Steps of a sample.
    """

    n_steps: int

    def __call__(self, values: Numbers, rng: np.random.Generator) -> Spikes:
        """Spikes of float (N, C, H, W), 0 or more, 1 a strong input: of shape (C, H, W), N samples of `n_steps`."""
