"""Kernels for numba as plain Python, which needs no time to compile. Not a test itself."""

from contextlib import contextmanager
from importlib import import_module
from unittest.mock import patch

import numpy as np

from spikingconvnet.backends.local import numba_kernels

MODULES = ("kernels", "general_kernels", "poisson_kernels", "svm_kernels", "numba_kernels")


def _wrapping(dtype):
    """A type of numba's as what it does to a number: the lower bits of it."""
    bits = 8 * np.dtype(dtype).itemsize
    signed = np.issubdtype(dtype, np.signedinteger)

    def cast(value):
        low = int(value) & (1 << bits) - 1
        return dtype(low - (1 << bits) if signed and low >> bits - 1 else low)

    return cast


@contextmanager
def kernels():
    """The module ``numba_kernels``, none of whose functions is compiled."""
    changed = []
    for name in MODULES:
        module = import_module(f"spikingconvnet.backends.local.{name}")
        values = {key: value.py_func for key, value in vars(module).items() if hasattr(value, "py_func")}
        values |= {
            key: _wrapping(getattr(np, key)) for key in ("int32", "int64", "uint32", "uint64") if key in vars(module)
        }
        changed.append(patch.multiple(module, **values))
    with np.errstate(over="ignore"):
        for one in changed:
            one.start()
        try:
            yield numba_kernels
        finally:
            for one in changed:
                one.stop()
