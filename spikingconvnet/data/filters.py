"""Image filters: grey values in, non-negative channels out, the same numbers on every machine.

A filter says what it puts out: how many ``channels``, and ``worth``, what a 1 in each of them is worth, where they are
the digits of one number. Without ``worth``, or if it is None, every channel is a quantity of its own.

The Gaussians are rounded to whole multiples of 2**-12 and applied as matrix products of whole numbers in float64, which
is exact (all sums stay below 2**53) and so does not depend on the order in which a BLAS adds. A filter whose fields
cannot be is a SettingsError.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikingconvnet.data.protocols import ImageFilter
from spikingconvnet.errors import require
from spikingconvnet.gates.fields import above, check_fields, least, most, real, whole
from spikingconvnet.network.arrays import Floats, Numbers, Pixels

__all__ = ["BitPlanes", "Deslanted", "DifferenceOfGaussians", "Intensity"]

FRACTION_BITS = 12


def gaussian_matrix(size: int, sigma: float) -> Floats:
    """Matrix that blurs a line of `size` pixels with a Gaussian, in whole multiples of 2**-12.

        G(i, j) = round(4096 exp(-(i - j)^2 / (2 sigma^2)) / sum_k exp(-k^2 / (2 sigma^2))),    |i - j|, |k| <= 4 sigma

    The middle takes what rounding leaves, so rows sum to 4096 where the kernel lies inside. Beyond the edge the image
    is dark.

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


def is_filter(value: object) -> bool:
    """Whether something can be called and says how many channels it makes; a class cannot do so yet."""
    return callable(value) and not isinstance(value, type) and whole(1, 4096).takes(getattr(value, "channels", None))


def worth_of(image_filter: object) -> tuple[float, ...] | None:
    """What a 1 in each channel of a filter is worth of the one number that they show together.

    A tuple of float, or None if every channel is a quantity of its own.
    """
    return getattr(image_filter, "worth", None)


def together(values: Numbers, worth: Sequence[float]) -> Floats:
    """The numbers that channels show together: (N, C, H, W) to float64 (N, 1, H, W); `worth` as of :func:`worth_of`."""
    return np.tensordot(np.asarray(worth, np.float64), values.astype(np.float64), axes=(0, 1))[:, None]


@dataclass(frozen=True)
class Intensity:
    """Grey values as one channel, 0 (dark) to 1 (255): x = g / 255."""

    channels = 1
    channel_names = ("intensity",)

    def __call__(self, images: Pixels) -> Floats:
        """uint8 (N, H, W) to float64 (N, 1, H, W)."""
        return images[:, None] / 255.0


@dataclass(frozen=True)
class BitPlanes:
    """The eight bits of each grey value as channels of 0 and 1, the highest first.

        x_b = floor(g / 2^b) mod 2,    g / 255 = sum_b x_b 2^b / 255,    b from 7 to 0

    With a spike in every step wherever a bit is set, and weights in the ratio of the bits, a neuron sums up the grey
    value itself in every step: a constant current, exact, from spikes.
    """

    channels = 8
    channel_names = tuple(f"bit {bit}" for bit in range(7, -1, -1))
    worth = tuple(2.0 ** bit / 255.0 for bit in range(7, -1, -1))       # in all 1

    def __call__(self, images: Pixels) -> Floats:
        """uint8 (N, H, W) to float64 (N, 8, H, W)."""
        return np.unpackbits(images[:, None], axis=1).astype(np.float64)


@dataclass(frozen=True)
class DifferenceOfGaussians:
    """On-centre and off-centre cells of the retina: a narrow minus a wide Gaussian, its positive and negative part.

        d = (G_centre * g - G_surround * g) / (255 contrast),    on = max(d, 0),    off = max(-d, 0)

    Each G is a normalised Gaussian, see :func:`gaussian_matrix`, and * the convolution in both directions. The model
    is Rodieck's (1965, Vision Res 5, 583, doi 10.1016/0042-6989(65)90033-7); as the first stage of a network that
    learns by STDP it stands in Kheradpisheh et al. 2018 (doi 10.1016/j.neunet.2017.12.005).

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

    def __post_init__(self) -> None:
        sigma = real(above(0), most(1024, " pixels"))
        check_fields(self, sigma_centre=sigma, sigma_surround=sigma, contrast=real(above(0), least(1e-6), most(1e6)))
        require(self.sigma_centre < self.sigma_surround, "DifferenceOfGaussians", "sigma_centre, sigma_surround",
                (self.sigma_centre, self.sigma_surround), "0 < centre < surround")

    def __call__(self, images: Pixels) -> Floats:
        """uint8 (N, H, W) to float64 (N, 2, H, W): on-centre, off-centre."""
        height, width = images.shape[1:]
        pixels = images.astype(np.float64)
        blurred = [gaussian_matrix(height, sigma) @ pixels @ gaussian_matrix(width, sigma)
                   for sigma in (self.sigma_centre, self.sigma_surround)]
        response = (blurred[0] - blurred[1]) / (255.0 * self.contrast * (1 << 2 * FRACTION_BITS))
        return np.stack([np.maximum(response, 0.0), np.maximum(-response, 0.0)], axis=1)


@dataclass(frozen=True)
class Deslanted:
    """Images set upright before another filter: rows move sideways until rows and columns are uncorrelated.

        upright(r, c) = g(r, c + slant (r - mean(r))),    slant = cov(r, c) / var(r), at most `limit` to either side

    with moments of the pixels' rows r and columns c, weighted by grey values. LeCun et al. 1998 (Proc. IEEE 86, 2278,
    section III.A, doi 10.1109/5.726791) deslant MNIST so, with every pixel of the digit counted alike. What lies
    between pixels is interpolated linearly, on whole multiples of 2**-8 pixel.

    Attributes
    ----------
    filter : callable
        What sees the upright images.
    limit : float
        Largest slant that is taken back, columns per row.
    """

    filter: ImageFilter
    limit: float = 1.0

    def __post_init__(self) -> None:
        require(is_filter(self.filter) and not hasattr(self.filter, "fitted"), "Deslanted", "filter", self.filter,
                "a filter of pixels")
        check_fields(self, limit=real(above(0), most(1024, " columns per row")))

    @property
    def channels(self) -> int:
        """Channels that `filter` makes."""
        return self.filter.channels

    @property
    def channel_names(self) -> tuple[str, ...] | None:
        """Names of the channels that `filter` makes."""
        return getattr(self.filter, "channel_names", None)

    @property
    def worth(self) -> tuple[float, ...] | None:
        """What `filter` says of its channels."""
        return worth_of(self.filter)

    def __call__(self, images: Pixels) -> Floats:
        """uint8 (N, H, W) to what `filter` makes of the upright images."""
        return self.filter(self.upright(images))

    def upright(self, images: Pixels) -> Pixels:
        """The images without their slant: uint8 (N, H, W) to uint8 (N, H, W)."""
        pixels = images.astype(np.int64)
        (height, width), by_row = images.shape[1:], pixels.sum(axis=2)
        row, column = np.arange(height), np.arange(width)
        total, rows, columns = by_row.sum(axis=1), by_row @ row, pixels.sum(axis=1) @ column
        variance = 1.0 * total * (by_row @ row ** 2) - 1.0 * rows * rows
        covariance = 1.0 * total * (pixels @ column @ row) - 1.0 * rows * columns
        slant = np.divide(covariance, variance, out=np.zeros(len(images)), where=variance > 0)
        slant = np.rint(256 * np.clip(slant, -self.limit, self.limit)).astype(np.int64)
        moves = slant[:, None] * (row * total[:, None] - rows[:, None]) // np.maximum(total, 1)[:, None]
        left, right = np.divmod(column * 256 + moves[:, :, None], 256)
        padded = np.pad(pixels, ((0, 0), (0, 0), (1, 1)))
        near, far = (np.take_along_axis(padded, np.clip(left + 1 + step, 0, width + 1), axis=2) for step in (0, 1))
        upright: Pixels = ((near * (256 - right) + far * right + 128) >> 8).astype(np.uint8)
        return upright
