"""Labels as people write them, as the class ids that an ``ImageSet`` holds and the names of the classes."""

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from spikingconvnet.data.images import ImageSet
from spikingconvnet.data.pixels import check_finite
from spikingconvnet.errors import DataError
from spikingconvnet.network.arrays import Ints, Numbers, Pixels

MOST_CLASSES = 256              # an ImageSet keeps a label in a byte


class Found(NamedTuple):
    """What a source holds.

    Attributes
    ----------
    train, test : ImageSet
    names : dict of int to str
        Of the classes, by their ids; empty if they are numbers.
    span : (float, float) or None
        What is black and what white in a source that holds no bytes.
    """

    train: ImageSet
    test: ImageSet
    names: Mapping[int, str] = MappingProxyType({})
    span: tuple[float, float] | None = None


def class_ids(labels: Sequence[Numbers], name: str) -> tuple[list[Pixels], dict[int, str]]:
    """Labels of the parts of a set as ids of one byte.

    Whole numbers from 0 to 255, also as text, are ids as they stand. Other numbers and texts are names, in ascending
    order; rows of one 1 and zeros are the number of their column.

    Parameters
    ----------
    labels : list of array (N,), (N, 1) or (N, classes)
    name : str
        Of the set, for the error text.

    Returns
    -------
    ids : list of uint8 array (N,)
    names : dict of int to str
        Empty if the labels are ids.

    Raises
    ------
    DataError
        Numbers that are no classes, more than `MOST_CLASSES` of them, or other axes.
    """
    flat = [_flat(np.asarray(part), name) for part in labels]
    together = np.concatenate(flat)
    numbers = _whole(together, name)
    known = np.unique(together if numbers is None else numbers)
    if len(known) > MOST_CLASSES:
        raise DataError(f"{name}: {len(known):,} different labels; at most {MOST_CLASSES} classes are possible")
    ends = np.cumsum([len(part) for part in flat])[:-1]
    if numbers is not None and len(known) and 0 <= known[0] <= known[-1] < MOST_CLASSES:
        return np.split(numbers.astype(np.uint8), ends), {}
    ids = np.searchsorted(known, together if numbers is None else numbers).astype(np.uint8)
    return np.split(ids, ends), {i: str(label) for i, label in enumerate(known.tolist())}


def _flat(labels: Numbers, name: str) -> Numbers:
    """Labels with one axis."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        return labels[:, 0]
    if labels.ndim == 2 and labels.dtype.kind in "buif" and ((labels == 1).sum(axis=1) == 1).all() and (
            (labels != 0).sum(axis=1) == 1).all():
        return np.asarray(labels.argmax(axis=1))
    if labels.ndim != 1:
        raise DataError(f"{name}: labels are an array of {'x'.join(map(str, labels.shape)) or 'one number'}; one for"
                        " each image is needed, or rows of one 1 and zeros")
    return labels


def _whole(labels: Numbers, name: str) -> Ints | None:
    """Labels as whole numbers, or None for names."""
    if labels.dtype.kind in "SU":
        text = labels.astype(np.str_)
        whole = all(re.fullmatch(r"\s*[0-9]{1,9}(\.0*)?\s*", label) for label in np.unique(text).tolist())
        return text.astype(np.float64).astype(np.int64) if whole else None
    if labels.dtype.kind not in "buif":
        raise DataError(f"{name}: labels are {labels.dtype.name}; numbers or texts are needed")
    check_finite(labels, f"{name}, labels")
    if (labels != np.rint(labels)).any():
        raise DataError(f"{name}: labels are numbers like {labels[labels != np.rint(labels)][0]:g}, which are no"
                        " classes; give whole numbers or names")
    return labels.astype(np.int64)
