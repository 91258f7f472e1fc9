"""What cheap calls give, kept in ``golden/outputs/``: whole arrays, records and texts, so that any small fault shows.

A test file makes ``CASES = Outputs("name")``, adds functions with ``@CASES``, and checks each with ``CASES.check``.
After a change that is meant, the file itself writes what they give now:
``PYTHONPATH=.:tests/helpers python tests/.../test_....py``.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from spikingconvnet.errors import SpikingConvNetError

GOLDEN = Path(__file__).parents[1] / "golden" / "outputs"
LISTED = 40             # numbers of an array that are kept one by one; of larger ones sums with weights are
NEAR = 2e-5             # what another processor may add up differently, as a share


def told(value):
    """A value as JSON keeps it: arrays with type and shape, records with their fields, sets in order."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.9g}") if math.isfinite(value) else str(float(value))
    if isinstance(value, np.generic):
        return told(value.item())
    if isinstance(value, np.ndarray):
        return _array(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {type(value).__name__: {one.name: told(getattr(value, one.name)) for one in fields(value)}}
    if isinstance(value, Mapping):
        return {str(name): told(one) for name, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return [told(one) for one in sorted(value)]
    if isinstance(value, (list, tuple, range)):
        return [told(one) for one in value]
    if hasattr(value, "events") and hasattr(value, "n_steps"):
        return {"spikes": [told(part) for part in value.events()], "shape": list(value.shape),
                "size": [value.n_samples, value.n_steps]}
    return str(value)


def _array(value):
    found = {"type": value.dtype.kind, "shape": list(value.shape)}
    if value.size <= LISTED or value.dtype.kind not in "buif":
        return {**found, "values": told(value.ravel().tolist())}
    flat = np.nan_to_num(value.ravel().astype(np.float64), nan=7.0, posinf=8.0, neginf=9.0)
    place = np.arange(flat.size)
    return {**found, "sums": told([flat @ weight for weight in (np.cos(place), np.sin(0.7 * place), 0 * place + 1.0)]),
            "total": told(abs(flat).sum())}


def differences(found, kept, at=""):
    """Where what is found is not what is kept: list of texts."""
    if isinstance(found, dict) and isinstance(kept, dict) and found.keys() == kept.keys():
        total = found.get("total", 0.0)
        scale = total if "sums" in found and isinstance(total, float) else 0.0
        return [text for name in found for text in _differences(found[name], kept[name], f"{at}.{name}", scale)]
    return _differences(found, kept, at, 0.0)


def _differences(found, kept, at, scale):
    if isinstance(found, list) and isinstance(kept, list) and len(found) == len(kept):
        return [text for i, (one, other) in enumerate(zip(found, kept))
                for text in _differences(one, other, f"{at}[{i}]", scale)]
    if isinstance(found, dict) and isinstance(kept, dict) and found.keys() == kept.keys():
        return differences(found, kept, at)
    if isinstance(found, float) and isinstance(kept, (int, float)) and not isinstance(kept, bool):
        near = math.isclose(found, kept, rel_tol=NEAR, abs_tol=max(1e-9, NEAR * scale / 10))
        return [] if near else [f"{at}: {found!r}, kept {kept!r}"]
    return [] if found == kept and type(found) is type(kept) else [f"{at}: {found!r}, kept {kept!r}"]


def refused(call, *given, **named):
    """Type and text of the error that a call ends with; what it gave, if it ends with none."""
    try:
        found = call(*given, **named)
    except SpikingConvNetError as error:
        return f"{type(error).__name__}: {error}"
    return ["not refused", told(found)]


class Outputs:
    """Calls by name, and what they gave."""

    def __init__(self, name):
        self.path, self.calls = GOLDEN / f"{name}.json", {}
        self.kept = json.loads(self.path.read_text()) if self.path.exists() else {}

    def __call__(self, function):
        """Add a function without parameters, under its name."""
        self.calls[function.__name__] = function
        return function

    def __iter__(self):
        return iter(self.calls)

    def check(self, name):
        """Fail unless a call gives what it gave."""
        assert name in self.kept, f"{self.path.name} has no {name}: run the file that has it, as a script"
        found = json.loads(json.dumps(told(self.calls[name]())))
        assert differences(found, self.kept[name]) == []

    def write(self):
        """Keep what all calls give now."""
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps({name: told(call()) for name, call in self.calls.items()},
                                        separators=(",", ":")).replace('},"', '},\n"') + "\n")
