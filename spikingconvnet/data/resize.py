"""Images of another size, the same numbers on every machine."""

import numpy as np

from spikingconvnet.data.filters import FRACTION_BITS
from spikingconvnet.network.arrays import Floats, Pair, Pixels

AT_ONCE = 1000                  # images


def scaling_matrix(size: int, into: int) -> Floats:
    """Matrix that draws a line of `size` pixels with `into` pixels, in whole multiples of 2**-12.

        w(i, j) = max(0, 1 - |c_i - j| / s),    c_i = (i + 1/2) size / into - 1/2,    s = max(1, size / into)

    divided by its sum over j: linear interpolation, and where lines shrink a mean over what falls together. The largest
    weight of a row takes what rounding leaves.

    Returns
    -------
    float64 array (into, size) of whole numbers, rows of which sum to 4096
    """
    step = size / into
    centre = (np.arange(into)[:, None] + 0.5) * step - 0.5
    weights = np.maximum(0.0, 1.0 - abs(centre.clip(0, size - 1) - np.arange(size)) / max(1.0, step))
    whole: Floats = np.rint(weights / weights.sum(axis=1, keepdims=True) * (1 << FRACTION_BITS))
    whole[np.arange(into), whole.argmax(axis=1)] += (1 << FRACTION_BITS) - whole.sum(axis=1)
    return whole


def resized(images: Pixels, size: Pair) -> Pixels:
    """Images drawn with `size` (rows, columns): uint8 (N, H, W) or (N, H, W, 3) to the same with other H and W."""
    if images.shape[1:3] == tuple(size):
        return images
    down, across = (scaling_matrix(before, after) for before, after in zip(images.shape[1:3], size))
    found = np.empty((len(images), *size, *images.shape[3:]), np.uint8)
    for first in range(0, len(images), AT_ONCE):
        part = images[first:first + AT_ONCE].astype(np.float64)
        planes = np.moveaxis(part, 3, 1) if part.ndim == 4 else part
        scaled = np.rint(down @ planes @ across.T / (1 << 2 * FRACTION_BITS)).astype(np.uint8)
        found[first:first + AT_ONCE] = np.moveaxis(scaled, 1, 3) if part.ndim == 4 else scaled
    return found
