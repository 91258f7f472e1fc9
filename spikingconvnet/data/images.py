"""Images and their labels as they are kept: an ImageSet, what it may hold, and grey values of the full range."""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import DataError, require
from spikingconvnet.network.arrays import ArrayLike, Ints, Pixels

LOAD = "main.py --mode loaddata --source DIR_OR_URL"
READING = "images: reading"       # what a bar says of files
AGAIN = f"get the file again, or run: {LOAD}"
DIMENSIONS = {"images": 3, "labels": 1}
DIM = 128                       # a brightest grey value below this one is not taken for white of 255 without a word
MAX_SIDE = 4096                 # pixels
COLOURS = 3                     # red, green, blue
MADE = {"images": "uint8 (N, rows, columns), from 0, the background, to 255, the mean of colours,",
        "labels": "uint8 (N,), the class of each image,"}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images and their classes, in file order.

    Attributes
    ----------
    images : uint8 array (N, H, W) or (N, H, W, 3)
        Grey values, 0 is the background, or red, green and blue; N may be 0.
    labels : uint8 array (N,)
        Class ids as they stand in the file.

    Raises
    ------
    DataError
        Arrays of another type or shape, or not as many labels as images.
    """

    images: Pixels
    labels: Pixels

    def __post_init__(self) -> None:
        coloured = getattr(self.images, "shape", ())[3:] == (COLOURS,)
        for name, n_axes in DIMENSIONS.items():
            require_array("ImageSet", name, getattr(self, name), np.uint8, n_axes + (coloured and name == "images"),
                          DataError)
        require(min(self.images.shape[1:]) >= 1, "ImageSet", "images", self.images.shape, "1 pixel or more", DataError)
        require(len(self.images) == len(self.labels), "ImageSet", "labels", len(self.labels),
                f"as many as the images, {len(self.images)}", DataError)

    def __len__(self) -> int:
        return len(self.labels)

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, ImageSet) and np.array_equal(self.images, other.images)
                and np.array_equal(self.labels, other.labels))

    def select(self, indices: ArrayLike) -> "ImageSet":
        """Copy of the images at `indices` (integers, 0 to N - 1, in any order, repeats allowed) as a set of their own.

        Raises
        ------
        SettingsError
            An index outside the set, or something that is not a list of integers (a mask, say).
        """
        indices = whole_numbers("ImageSet.select", "indices", indices)
        outside = indices[(indices < 0) | (indices >= len(self))]
        require(not len(outside), "ImageSet.select", "indices", outside[:3].tolist(), f"0 to {len(self) - 1}")
        return ImageSet(self.images[indices], self.labels[indices])

    def joined(self, other: "ImageSet") -> "ImageSet":
        """Those of another set behind these, as a set of their own."""
        return ImageSet(*(np.concatenate([getattr(one, name) for one in (self, other)])
                          for name in ("images", "labels")))


def require_array(owner: str, name: str, value: object, dtype: type[np.generic], n_axes: int,
                  error: type[Exception]) -> None:
    """Raise `error` unless `value` is an array of this type with so many axes."""
    found = (value.dtype.name, value.shape) if isinstance(value, np.ndarray) else type(value).__name__
    require(isinstance(value, np.ndarray) and value.dtype == dtype and value.ndim == n_axes, owner, name, found,
            f"{np.dtype(dtype).name} array with {n_axes} axes", error)


def full_range(images: Pixels, white: float | None, name: str, own_range: bool = False) -> Pixels:
    """Grey values that end at `white` as ones that end at 255, after a look at what range they have.

    Parameters
    ----------
    images : uint8 array (N, H, W) or (N, H, W, 3), N at least 1
    white : number or None
        Up to 255; None takes 255, if the images look like that.
    name : str
        Of the images, for the error text.
    own_range : bool
        Whether the range is of no importance, because what sees the images looks for it by itself.

    Returns
    -------
    uint8 array of the same shape

    Raises
    ------
    DataError
        Pixels that are all 0, images that are all the same, values above `white`, or without a `white` none of `DIM` or
        more: binary images and those of 4 bits have nearly nothing left as shares of 255.
    """
    brightest = int(images.max())
    if not brightest:
        raise DataError(f"{name}: every pixel is 0; {AGAIN}")
    if len(images) > 1 and (images == images[0]).all():
        raise DataError(f"{name}: all {len(images):,} images are the same; {AGAIN}")
    if white is None and brightest < DIM and not own_range:
        raise DataError(f"{name}: no value is above {brightest}, where 255 is white; if {brightest} is white in them,"
                        f" write WHITE = {brightest} in the parameters, which scales them; if they are that dark,"
                        " WHITE = 255")
    if white is not None and white > 255:
        raise DataError(f"{name}: are bytes, which end at 255, before the WHITE = {white} of the parameters; lower it,"
                        " or leave it out")
    if white is not None and brightest > white:
        raise DataError(f"{name}: values go up to {brightest}, above the WHITE = {white} of the parameters; raise it")
    return scaled(images, white)


def scaled(images: Pixels, white: float | None) -> Pixels:
    """Grey values whose white is `white`, up to 255 or None for 255, as ones whose white is 255: uint8 array."""
    return images if white in (None, 255) else np.rint(images * (255.0 / white)).astype(np.uint8)


def whole_numbers(owner: str, name: str, values: ArrayLike) -> Ints:
    """A list of integers as an int64 array; a SettingsError for anything else."""
    array = np.asarray(values)
    require(array.ndim == 1 and (array.dtype.kind in "iu" or not array.size), owner, name,
            (array.dtype.name, array.shape), "integers with 1 axis")
    return array.astype(np.int64)
