"""Arrays in few letters of JSON: base64 of little-endian integers, floats as whole steps between two bounds.

``page.js`` reads them by the same rules; :func:`unpacked` says them in Python.
"""

import base64
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from spikingconvnet.network.arrays import ArrayLike, Numbers
from spikingconvnet.network.spikes import Spikes

Block: TypeAlias = dict[str, Any]


def packed(array: ArrayLike) -> Block:
    """Whole numbers, 0 or more, in the smallest type that holds them: dict for JSON.

    >>> packed([[1, 2], [3, 255]])
    {'type': 'u1', 'shape': [2, 2], 'data': 'AQID/w=='}
    """
    numbers = np.asarray(array)
    top = int(numbers.max(initial=0))
    kind = "u1" if top < 1 << 8 else "u2" if top < 1 << 16 else "u4"
    data = base64.b64encode(np.ascontiguousarray(numbers, f"<{kind}").tobytes()).decode()
    return {"type": kind, "shape": list(numbers.shape), "data": data}


def quantised(array: ArrayLike, n_bytes: int = 1) -> Block:
    """Floats as whole steps from the least to the greatest of them, 255 of them or 65,535: dict for JSON."""
    values = np.asarray(array, np.float64)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
    steps = (1 << 8 * n_bytes) - 1
    whole = np.rint((values - low) * (steps / (high - low) if high > low else 0.0)).astype(np.uint64)
    block = packed(whole)
    return {**block, "low": low, "high": high, "steps": steps}


def unpacked(block: Mapping[str, Any]) -> Numbers:
    """The inverse of both; floats come back within half a step."""
    whole: Numbers = np.frombuffer(base64.b64decode(block["data"]), f"<{block['type']}").reshape(block["shape"])
    if "steps" in block:
        whole = block["low"] + whole * ((block["high"] - block["low"]) / block["steps"])
    return whole


def packed_spikes(spikes: Spikes) -> Block:
    """Spikes of a population, sample after sample: how many fire in each step, and which: dict for JSON."""
    return {"shape": list(spikes.shape), "counts": packed(np.diff(spikes.offsets).reshape(-1, spikes.n_steps)),
            "neurons": packed(spikes.neurons)}
