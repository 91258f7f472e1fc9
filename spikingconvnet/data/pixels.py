"""Arrays as people keep images, with any axes and of any type, as the bytes that an ``ImageSet`` holds."""

import logging
import math

import numpy as np

from spikingconvnet.data.images import DIM, MAX_SIDE
from spikingconvnet.errors import DataError
from spikingconvnet.network.arrays import Numbers, Pixels

log = logging.getLogger(__name__)
CHANNELS = 1, 3, 4              # grey, colour, colour with opacity


def pixel_axes(array: Numbers, name: str) -> Numbers:
    """The same numbers with the axes of images.

    Parameters
    ----------
    array : array
        (N, H, W); (N, H, W, C) or (N, C, H, W) with C of `CHANNELS`; or (N, pixels) of square images, row by row, where
        3 H W pixels are three planes.
    name : str
        Of the images, for the error text.

    Returns
    -------
    array (N, H, W) or (N, H, W, 3)
        Opacity is left out.

    Raises
    ------
    DataError
        Other axes, none or too many pixels, or what is no number.
    """
    if array.dtype.kind not in "buif":
        raise DataError(f"{name}: holds {array.dtype.name}, images are numbers; save them as uint8, 0 to 255")
    if array.ndim == 2:
        array = _unrolled(array, name)
    elif array.ndim == 4:
        array = _channels_last(array, name)
    elif array.ndim != 3:
        raise DataError(f"{name}: {_shape(array)}; images have the axes (N, rows, columns) or (N, rows, columns, 3)")
    if not len(array):
        raise DataError(f"{name}: no image is in it")
    if not 1 <= min(array.shape[1:3]) <= max(array.shape[1:3]) <= MAX_SIDE:
        raise DataError(f"{name}: {_shape(array)}; 1 to {MAX_SIDE} rows and columns are possible")
    return array


def _shape(array: Numbers) -> str:
    return f"an array of {'x'.join(map(str, array.shape)) or 'one number'}"


def _unrolled(array: Numbers, name: str) -> Numbers:
    """Images from rows of their pixels."""
    for planes in (1, 3):
        side = math.isqrt(array.shape[1] // planes)
        if side and planes * side * side == array.shape[1]:
            log.info("%s: %s pixels an image, taken for %s%s x %s", name, array.shape[1], "3 x " * (planes == 3), side,
                     side)
            return array.reshape(-1, side, side) if planes == 1 else _channels_last(array.reshape(-1, 3, side, side),
                                                                                     name)
    raise DataError(f"{name}: {_shape(array)}, and {array.shape[1]} pixels are no square; save the images as"
                    " (N, rows, columns)")


def _channels_last(array: Numbers, name: str) -> Numbers:
    """Images whose colours are the last axis, or that have none; opacity is left out."""
    if array.shape[3] not in CHANNELS and array.shape[1] in CHANNELS:
        array = np.moveaxis(array, 1, 3)
    if array.shape[3] not in CHANNELS:
        raise DataError(f"{name}: {_shape(array)}; the last axis (or the second) holds 1 grey value, 3 colours, or 4"
                        " with opacity")
    if array.shape[3] == 4:
        log.info("%s: opacity is left out, the three colours are taken", name)
    return array[..., 0] if array.shape[3] == 1 else array[..., :3]


def as_bytes(array: Numbers, name: str, span: tuple[float, float] | None = None) -> Pixels:
    """Numbers from black to white as bytes from 0 to 255.

    Parameters
    ----------
    array : array
        uint8 is given back as it is.
    name : str
        Of the images, for texts.
    span : (low, high) or None
        Black and white; None looks for them, see :func:`found_span`. What lies beyond is as black or as white.

    Returns
    -------
    uint8 array of the same shape
    """
    if array.dtype == np.uint8:
        return array
    low, high = found_span(array, name) if span is None else span
    if (low, high) == (0, 255) and array.dtype.kind in "ui":
        return np.clip(array, 0, 255).astype(np.uint8)
    scaled = (array.astype(np.float64) - low) * (255.0 / (high - low))
    found: Pixels = np.rint(scaled.clip(0.0, 255.0)).astype(np.uint8)
    return found


def found_span(array: Numbers, name: str) -> tuple[float, float]:
    """Which numbers are black and white in images that are not bytes; said in a log line.

    Numbers from 0 to 1 span that; whole ones whose largest is from 128 to 255 are bytes; of others 0, or the smallest
    if that is negative, is black, and the largest is white.

    Raises
    ------
    DataError
        A number that is not finite, or all of them the same.
    """
    check_finite(array, name)
    if array.dtype == np.bool_:
        return 0.0, 1.0
    low, high = float(array.min()), float(array.max())
    if low == high:
        raise DataError(f"{name}: every number is {low:g}, so there is nothing to see")
    if low >= 0 and DIM <= high <= 255 and (array.dtype.kind in "ui" or (array == np.rint(array)).all()):
        return 0.0, 255.0
    span = (0.0, 1.0) if low >= 0 and high <= 1 and array.dtype.kind == "f" else (min(low, 0.0), high)
    log.info("%s: %s from %.6g to %.6g; %g is taken for black, %g for white", name, array.dtype.name, low, high, *span)
    return span


def check_finite(array: Numbers, name: str) -> None:
    """Raise a DataError that counts the numbers that are not finite, if there are any."""
    bad = 0 if array.dtype.kind in "bui" else int(np.count_nonzero(~np.isfinite(array)))
    if bad:
        raise DataError(f"{name}: {bad:,} of {array.size:,} numbers are nan or infinite; replace them, or leave those"
                        " images out")
