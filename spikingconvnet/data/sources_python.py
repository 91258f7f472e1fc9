"""Data sets that are objects of Python: pairs of arrays, and what torch calls a map-style Dataset."""

import runpy
import traceback
from collections.abc import Sized
from inspect import isroutine
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data.images import READING
from spikingconvnet.errors import DataError
from spikingconvnet.gates.progress import counted
from spikingconvnet.network.arrays import Numbers


def in_module(source: str) -> Any:
    """The object that ``FILE.py:NAME`` means, called if it is a function; the file is run.

    Raises
    ------
    DataError
        There is no such file or name, or the file does not run.
    """
    path, _, name = source.rpartition(":")
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file; write --source FILE.py:NAME for the data set NAME in it")
    try:
        names = runpy.run_path(path)
        found = names.get(name)
        made = found() if isinstance(found, type) or isroutine(found) else found
    except Exception as error:          # a program of the user's may raise anything
        line = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        raise DataError(f"{path}{f', line {line[-1]}' if line else ''}: {type(error).__name__}: {error}") from error
    if made is None:
        known = [key for key, value in names.items() if not key.startswith("_") and hasattr(value, "__getitem__")]
        raise DataError(f"{path}: {name} is not in it; there are {', '.join(known) or 'no data sets'}")
    return made


def arrays_of(data: Any, name: str) -> tuple[Numbers, Numbers]:
    """Images and labels of a data set of pairs ``(image, label)``, or of a pair of arrays.

    Parameters
    ----------
    data : (images, labels), or an object with ``len`` and items ``(image, label)``
        As a ``torch.utils.data.Dataset`` is; images are arrays, tensors or pictures of pillow.
    name : str
        For the error text.

    Raises
    ------
    DataError
        Something else, or images of different shapes.
    """
    if _is_pair(data) and all(hasattr(part, "dtype") for part in data):
        return np.asarray(data[0]), np.asarray(data[1])
    if not (isinstance(data, Sized) and hasattr(data, "__getitem__")):
        raise DataError(f"{name}: a {type(data).__name__} is no data set; one has a length and items (image, label),"
                        " as a torch Dataset has")
    pairs = [_pair(data[i], name) for i in counted(range(len(data)), READING)]
    if not pairs:
        raise DataError(f"{name}: no image is in it")
    shapes = {image.shape for image, _ in pairs}
    if len(shapes) > 1:
        raise DataError(f"{name}: images of different shapes ({', '.join(map(str, sorted(shapes)[:3]))}); let the data"
                        " set make them of one size")
    images = np.stack([image for image, _ in pairs])
    return images, np.array([label for _, label in pairs])


def _pair(item: Any, name: str) -> tuple[Numbers, Any]:
    """An image as an array, and its label."""
    if not (isinstance(item, (tuple, list)) and len(item) == 2):
        raise DataError(f"{name}: an item is a {type(item).__name__}; (image, label) is needed")
    image, label = np.asarray(item[0]), np.asarray(item[1])
    return image, label.item() if label.ndim == 0 else label


def parts_of(made: Any, name: str) -> list[tuple[Numbers, Numbers]]:
    """Images and labels of a data set, or of a training and a test set."""
    is_one = not _is_pair(made) or all(hasattr(part, "dtype") for part in made)
    return [arrays_of(part, name) for part in ([made] if is_one else made)]


def event_samples(made: Any) -> list[list[tuple[Numbers, Any]]] | None:
    """Samples ``(events, label)`` of a data set, or of a training and a test set; None if its items are no events."""
    sets = list(made) if _is_pair(made) else [made]
    if not all(isinstance(one, Sized) and hasattr(one, "__getitem__") and len(one) for one in sets):
        return None
    first = sets[0][0]
    if not (isinstance(first, (tuple, list)) and len(first) == 2 and getattr(getattr(first[0], "dtype", None), "names",
                                                                              None)):
        return None
    return [[(item[0], np.asarray(item[1])) for item in (one[i] for i in counted(range(len(one)), READING))]
            for one in sets]


def _is_pair(made: Any) -> bool:
    return isinstance(made, (tuple, list)) and len(made) == 2
