"""Kernels that numba compiles, run as plain Python."""

from contextlib import contextmanager
from types import FunctionType

import numpy as np


@contextmanager
def in_python(module):
    """A module of kernels whose functions are those that were compiled; one that is not compiled is an error."""
    own = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
           and callable(value)}
    plain = [name for name, value in own.items() if isinstance(value, FunctionType)]
    assert own and not plain, f"not compiled: {plain}"
    for name, value in own.items():
        setattr(module, name, value.py_func)
    try:
        with np.errstate(over="ignore"):        # 64 bits wrap there
            yield module
    finally:
        for name, value in own.items():
            setattr(module, name, value)
