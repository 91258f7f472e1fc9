"""The data sets that come with scikit-learn."""

import logging

import numpy as np

from spikingconvnet.errors import DataError
from spikingconvnet.network.arrays import Numbers

log = logging.getLogger(__name__)
PREFIX = "sklearn:"
BUILT_IN = ("digits", "iris", "wine", "breast_cancer")


def built_in(name: str) -> tuple[Numbers, Numbers]:
    """Images and names of the classes of ``digits``, or of tables of measurements.

    Parameters
    ----------
    name : str
        Of `BUILT_IN`.

    Returns
    -------
    images : array (N, H, W)
        Digits from 0 to 16; a table's rows as images of one row, each column from its smallest to its largest value.
    labels : array (N,)

    Raises
    ------
    DataError
        Another name.
    """
    if name not in BUILT_IN:
        raise DataError(f"{PREFIX}{name}: is not among the sets that scikit-learn brings along; known are"
                        f" {', '.join(PREFIX + known for known in BUILT_IN)}")
    from sklearn import datasets

    found = getattr(datasets, f"load_{name}")()
    if name == "digits":
        return found.images, found.target
    log.info("%s%s: %s measurements, each from its smallest to its largest value, as images of one row", PREFIX, name,
             found.data.shape[1])
    low, high = found.data.min(axis=0), found.data.max(axis=0)
    return np.rint(255 * (found.data - low) / (high - low)).astype(np.uint8)[:, None], found.target_names[found.target]
