"""Image filters: grey values in, non-negative channels out, the same numbers on every machine.

The Gaussians are rounded to whole multiples of 2**-12 and applied as matrix products of whole numbers in float64, which
is exact (all sums stay below 2**53) and so does not depend on the order in which a BLAS adds.
"""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import require

FRACTION_BITS = 12


def gaussian_matrix(size, sigma):
    """Matrix that blurs a line of `size` pixels with a Gaussian, in whole multiples of 2**-12.

    Rows sum to 4096 where the kernel lies inside; beyond the edge the image is dark. The kernel ends at 4 sigma.

    Parameters
    ----------
    size : int
        Pixels.
    sigma : float
        Standard deviation, pixels.

    Returns
    -------
    float64 array (size, size) of whole numbers
    """
    radius = int(4 * sigma + 0.5)
    profile = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    profile = np.rint(profile / profile.sum() * (1 << FRACTION_BITS))
    profile[radius] += (1 << FRACTION_BITS) - profile.sum()
    distance = np.arange(size)[:, None] - np.arange(size)
    return np.where(abs(distance) <= radius, profile[np.clip(distance, -radius, radius) + radius], 0.0)


@dataclass(frozen=True)
class Intensity:
    """Grey values as one channel, 0 (dark) to 1 (255)."""

    channels = 1
    channel_names = ("intensity",)

    def __call__(self, images):
        """uint8 (N, H, W) to float64 (N, 1, H, W)."""
        return images[:, None] / 255.0


@dataclass(frozen=True)
class BitPlanes:
    """The eight bits of each grey value as channels of 0 and 1, the highest first.

    With a spike in every step wherever a bit is set, and weights in the ratio of the bits, a neuron sums up the grey
    value itself in every step: a constant current, exact, from spikes.
    """

    channels = 8
    channel_names = tuple(f"bit {bit}" for bit in range(7, -1, -1))

    def __call__(self, images):
        """uint8 (N, H, W) to float64 (N, 8, H, W)."""
        return np.unpackbits(images[:, None], axis=1).astype(np.float64)

    @staticmethod
    def values():
        """What a bit of each channel is worth, in all 1."""
        return tuple(2.0 ** bit / 255.0 for bit in range(7, -1, -1))

    @classmethod
    def together(cls, planes):
        """Grey values of (N, 8, H, W): float64 (N, 1, H, W), 0 to 1."""
        return np.tensordot(cls.values(), planes, axes=(0, 1))[:, None]


@dataclass(frozen=True)
class DifferenceOfGaussians:
    """On-centre and off-centre cells of the retina: a narrow minus a wide Gaussian, its positive and negative part.

    Attributes
    ----------
    sigma_centre, sigma_surround : float
        Standard deviations, pixels.
    contrast : float
        Response that counts as 1, as a share of full contrast (255); stronger ones stay above 1.
    """

    sigma_centre: float = 1.0
    sigma_surround: float = 2.0
    contrast: float = 0.5

    channels = 2
    channel_names = ("on-centre", "off-centre")

    def __post_init__(self):
        require(0 < self.sigma_centre < self.sigma_surround, "DifferenceOfGaussians", "sigma_centre, sigma_surround",
                (self.sigma_centre, self.sigma_surround), "0 < centre < surround")
        require(self.contrast > 0, "DifferenceOfGaussians", "contrast", self.contrast, "above 0")

    def __call__(self, images):
        """uint8 (N, H, W) to float64 (N, 2, H, W): on-centre, off-centre."""
        height, width = images.shape[1:]
        pixels = images.astype(np.float64)
        blurred = [gaussian_matrix(height, sigma) @ pixels @ gaussian_matrix(width, sigma)
                   for sigma in (self.sigma_centre, self.sigma_surround)]
        response = (blurred[0] - blurred[1]) / (255.0 * self.contrast * (1 << 2 * FRACTION_BITS))
        return np.stack([np.maximum(response, 0.0), np.maximum(-response, 0.0)], axis=1)
