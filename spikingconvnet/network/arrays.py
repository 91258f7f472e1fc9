"""Names of the types that annotations use; what each axis of an array is, its docstring says."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["AnyInts", "ArrayLike", "Counts16", "Flags", "Floats", "Floats32", "Ids", "Ints", "Ints16", "Ints32",
           "Numbers", "Pair", "Pixels", "Shape", "Words"]

Floats: TypeAlias = NDArray[np.float64]
Floats32: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Ints32: TypeAlias = NDArray[np.int32]
Ints16: TypeAlias = NDArray[np.int16]
Counts16: TypeAlias = NDArray[np.uint16]
Words: TypeAlias = NDArray[np.uint64]
Flags: TypeAlias = NDArray[np.bool_]
AnyInts: TypeAlias = NDArray[np.integer[Any]]
Numbers: TypeAlias = NDArray[Any]                               # whole ones or not
Pixels: TypeAlias = NDArray[np.uint8]                          # grey values, labels
Ids: TypeAlias = NDArray[np.uint16 | np.uint32]                 # of neurons, see ``spikes.neuron_dtype``
Pair: TypeAlias = tuple[int, int]
Shape: TypeAlias = tuple[int, int, int]                         # (channels, rows, columns)
