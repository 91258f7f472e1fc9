"""What becomes of colour: grey values of its luminance, the three colours as they are, or opponents for a filter."""

import logging
from dataclasses import dataclass

import numpy as np

from spikingconvnet.data.filters import is_filter
from spikingconvnet.data.images import COLOURS
from spikingconvnet.data.protocols import ImageFilter
from spikingconvnet.errors import require
from spikingconvnet.network.arrays import Floats, Pixels

__all__ = ["Colours", "Opponents"]

log = logging.getLogger(__name__)
LUMA = np.array([299, 587, 114])        # red, green, blue in thousandths: ITU-R BT.601, section 2.5.1


def luminance(images: Pixels) -> Pixels:
    """Grey values of coloured images, as of ITU-R BT.601: Y = 0.299 R + 0.587 G + 0.114 B, rounded.

    Parameters
    ----------
    images : uint8 array (N, H, W, 3)

    Returns
    -------
    uint8 array (N, H, W)
    """
    found: Pixels = ((images @ LUMA + 500) // 1000).astype(np.uint8)
    return found


def grey(images: Pixels) -> Pixels:
    """Grey images as they are, of coloured ones the luminance."""
    return images if images.ndim == 3 else luminance(images)


def seen_by(image_filter: ImageFilter, images: Pixels, name: str) -> Pixels:
    """Images as a filter takes them: coloured ones become grey, and a log line says so, unless it takes colour."""
    if images.ndim == 3 or getattr(image_filter, "takes_colour", False):
        return images
    log.info("%s: coloured; FILTER sees their luminance (Colours() and Opponents(FILTER) see colour as well)", name)
    return luminance(images)


def coloured(images: Pixels) -> Pixels:
    """Coloured images as they are, grey ones with three colours alike: uint8 (N, H, W, 3)."""
    return np.repeat(images[..., None], COLOURS, axis=3) if images.ndim == 3 else images


@dataclass(frozen=True)
class Colours:
    """Red, green and blue as they are: one channel each, value over 255. What networks of coloured images are shown."""

    takes_colour = True
    channels = COLOURS
    channel_names = ("red", "green", "blue")

    def __call__(self, images: Pixels) -> Floats:
        """uint8 (N, H, W, 3), or grey (N, H, W), to float64 (N, 3, H, W)."""
        return np.moveaxis(coloured(images), 3, 1) / 255.0


@dataclass(frozen=True)
class Opponents:
    """Luminance and opponent colours, each before the same filter: red against green, blue against yellow.

        L,    max(R - G, 0),    max(G - R, 0),    max(B - Y, 0),    max(Y - B, 0),    Y = (R + G) / 2

    with L of :func:`luminance`. These are the axes of de Valois, Abramov and Jacobs 1966 (J Opt Soc Am 56, 966, doi
    10.1364/JOSA.56.000966); both halves of an axis are there, as no neuron fires less than never. Grey images have no
    opponent colours.

    Attributes
    ----------
    filter : callable
        What sees each of the five images.

    Raises
    ------
    SettingsError
        No filter, or one that is fitted to images.
    """

    filter: ImageFilter

    takes_colour = True
    axes = ("luminance", "red", "green", "blue", "yellow")

    def __post_init__(self) -> None:
        require(is_filter(self.filter) and not hasattr(self.filter, "fitted"), "Opponents", "filter", self.filter,
                "a filter of pixels")

    @property
    def channels(self) -> int:
        """Five times those of `filter`."""
        return len(self.axes) * self.filter.channels

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the axes with those of the channels that `filter` makes."""
        own = getattr(self.filter, "channel_names", None) or range(1, self.filter.channels + 1)
        return tuple(f"{axis}, {name}" for axis in self.axes for name in own)

    def __call__(self, images: Pixels) -> Floats:
        """uint8 (N, H, W, 3), or grey (N, H, W), to float64 (N, channels, H, W)."""
        images = coloured(images)
        red, green, blue = np.moveaxis(images.astype(np.int64), 3, 0)
        yellow = (red + green) // 2
        seen = [luminance(images), *(np.maximum(part, 0).astype(np.uint8) for part in
                                     (red - green, green - red, blue - yellow, yellow - blue))]
        return np.concatenate([self.filter(part) for part in seen], axis=1)
