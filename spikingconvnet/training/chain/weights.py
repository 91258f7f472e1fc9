"""Files with the weights of networks that are trained already: what ``Convert``, ``SoftLIF`` and ``Surrogate`` take."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.errors import DataError
from spikingconvnet.network.arrays import Floats, Numbers
from spikingconvnet.store.arrays import UNREADABLE, read_arrays


def write(path: str | Path, arrays: Mapping[str, Numbers]) -> None:
    """Keep a dict of str to array in a file whose name ends with ``.npz``."""
    np.savez(path, **dict[str, Any](arrays))


def read(path: str | Path, shapes: Mapping[str, tuple[int, ...]], owner: str, writer: str) -> dict[str, Floats]:
    """Arrays of a file that :func:`write` wrote.

    Parameters
    ----------
    path : str or Path
    shapes : dict of str to tuple of int
        What has to be there.
    owner, writer : str
        The settings that name the file and the function that writes such files, for error texts.

    Returns
    -------
    dict of str to float64 array

    Raises
    ------
    DataError
        The file is missing or damaged, an array is missing, of another shape, or not of finite numbers.
    """
    arrays = everything(path, owner, writer)
    for name, shape in shapes.items():
        got = arrays[name].shape if name in arrays else "nothing"
        if got != shape:
            raise DataError(f"{owner}.weights: {path}: {name}: must be of shape {shape}, as MODEL says, got {got}")
        if arrays[name].dtype.kind not in "fiu" or not np.isfinite(arrays[name]).all():
            raise DataError(f"{owner}.weights: {path}: {name}: must be finite numbers")
    return {name: arrays[name].astype(np.float64) for name in shapes}


def everything(path: str | Path, owner: str, writer: str) -> dict[str, Numbers]:
    """All arrays of a file, unchecked: dict; one that is missing or damaged is a DataError.

    Parameters as of :func:`read`.
    """
    try:
        return read_arrays(path)
    except (OSError, *UNREADABLE) as error:
        raise DataError(f"{owner}.weights: {path}: cannot be read ({error}); write it with {writer}") from error
