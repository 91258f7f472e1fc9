"""Images moved, turned and stretched at random, to have more to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikingconvnet.data.filters import FRACTION_BITS
from spikingconvnet.gates.fields import FLAG, check_fields, least, most, real, spelled, whole
from spikingconvnet.network.arrays import Floats, Ints, Pixels

__all__ = ["Deformation"]


@dataclass(frozen=True)
class Deformation:
    """Copies of images, each turned, stretched, slanted and moved at random: virtual examples for the classifier.

        copy(p) = image(m + A (p - m) + d),    A = [[cos a, -sin a], [sin a, cos a]] [[1, 0], [b, 1]] diag(e^u, e^v)

    p are (row, column), m is the middle of the image; a is drawn evenly from within `rotation` to either side, b within
    `shear`, u and v within `stretch`, both parts of d within `shift`. Planar affine distortions of training images are
    those of LeCun et al. 1998 (Proc. IEEE 86, 2278, section III.B, doi 10.1109/5.726791). Values between pixels are
    interpolated linearly, on whole multiples of 2**-8 pixel; beyond the edge it is dark.

    Attributes
    ----------
    copies : int
        Of every image.
    rotation : float
        Largest angle to either side, degrees.
    stretch : float
        Largest logarithm of the factors by which rows and columns grow or shrink.
    shear : float
        Largest slant, columns per row.
    shift : float
        Farthest move along rows and columns, pixels.
    near_margin : bool
        Whether only images near a margin of a first fit are copied, some 20 %; without it all are.

    Raises
    ------
    SettingsError
        A field that cannot be.
    """

    copies: int = 4
    rotation: float = 10.0
    stretch: float = 0.1
    shear: float = 0.15
    shift: float = 1.5
    near_margin: bool = True

    def __post_init__(self) -> None:
        check_fields(self, copies=whole(1, 1000), rotation=real(least(0), most(180, " degrees")),
                     stretch=real(least(0), most(4)), shear=real(least(0), most(100, " columns per row")),
                     shift=real(least(0), most(1024, " pixels")), near_margin=FLAG)

    def __repr__(self) -> str:
        return spelled(self, ("near_margin",))

    def __call__(self, images: Pixels, rng: np.random.Generator) -> Pixels:
        """uint8 (N, H, W) to uint8 (N * copies, H, W), copies of an image one after another; draws image by image."""
        found = np.empty((len(images) * self.copies, *images.shape[1:]), np.uint8)
        for i, draws in enumerate(rng.uniform(-1.0, 1.0, (len(found), 6))):
            found[i] = _resampled(images[i // self.copies], *self._map(draws, images.shape[1:]))
        return found

    def _map(self, draws: Floats, shape: Sequence[int]) -> list[Ints]:
        """Where in the image each pixel of its copy comes from: rows and columns, in 2**-8 pixel, int64 (H, W) each."""
        angle, slant = np.deg2rad(self.rotation) * draws[0], self.shear * draws[1]
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        matrix = turn @ [[1.0, 0.0], [slant, 1.0]] @ np.diag(np.exp(self.stretch * draws[2:4]))
        matrix = np.rint(matrix * (1 << FRACTION_BITS)).astype(np.int64)
        row, column = (np.arange(n) * 2 - (n - 1) for n in shape)           # in half pixels from the centre
        moved = np.rint(self.shift * draws[4:] * 256).astype(np.int64)
        return [(((axis[0] * row[:, None] + axis[1] * column) << 7) >> FRACTION_BITS) + (n - 1) * 128 + move
                for axis, n, move in zip(matrix, shape, moved)]


def _resampled(image: Pixels, rows: Ints, columns: Ints) -> Ints:
    """Values of an image between its pixels, rounded; places in 2**-8 pixel."""
    padded = np.zeros((image.shape[0] + 2, image.shape[1] + 2), np.int64)
    padded[1:-1, 1:-1] = image
    (row, down), (column, right) = (np.divmod(place, 256) for place in (rows, columns))
    total = np.full(rows.shape, 1 << 15)
    for step, weight in ((0, 256 - down), (1, down)):
        for side, share in ((0, 256 - right), (1, right)):
            near = padded[np.clip(row + 1 + step, 0, image.shape[0] + 1),
                          np.clip(column + 1 + side, 0, image.shape[1] + 1)]
            total += weight * share * near
    return total >> 16
