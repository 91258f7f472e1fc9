"""A Network as JSON and plain arrays, and back: what a file needs that is to explain a recording without its run."""

from dataclasses import fields, is_dataclass

import numpy as np

from spikingconvnet import connectivity, neurons, plasticity
from spikingconvnet.errors import StoreError
from spikingconvnet.network import Network, Population, Projection
from spikingconvnet.spikes import Spikes

RECORDS = {record.__name__: record for record in (
    Network, Population, Projection, Spikes,
    *(part for module in (connectivity, neurons, plasticity) for part in vars(module).values()
      if isinstance(part, type) and is_dataclass(part)))}


def encode(value, arrays):
    """What JSON holds of a record, number, text, tuple, dict or array; arrays are appended to the list `arrays`."""
    if is_dataclass(value):
        return {"record": type(value).__name__,
                "fields": {f.name: encode(getattr(value, f.name), arrays) for f in fields(value)}}
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):
        return {"dict": {key: encode(part, arrays) for key, part in value.items()}}
    if isinstance(value, (tuple, list)):
        return [encode(part, arrays) for part in value]
    return value.item() if isinstance(value, np.generic) else value


def decode(value, arrays):
    """The inverse of :func:`encode`; lists become tuples. A record that is not known is a StoreError."""
    if isinstance(value, list):
        return tuple(decode(part, arrays) for part in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "dict" in value:
        return {key: decode(part, arrays) for key, part in value["dict"].items()}
    if value.get("record") not in RECORDS:
        raise StoreError(f"no record of a network is called {value.get('record')!r}")
    return RECORDS[value["record"]](**{name: decode(part, arrays) for name, part in value["fields"].items()})


def first_difference(a, b, ignored=(), path=""):
    """Where two values, as :func:`encode` takes them, differ first: path and both values as text, or None.

    Parameters
    ----------
    ignored : collection of (str, str)
        Names of records with a field that is not looked at.

    >>> first_difference({"x": (1, 2)}, {"x": (1, 3)})
    ('x.1', '2', '3')
    """
    whole = path, _short(a), _short(b)
    if any(isinstance(part, np.ndarray) for part in (a, b)):
        return None if np.array_equal(a, b) else whole
    if not is_dataclass(a) and not isinstance(a, (dict, tuple, list)):
        return None if a == b else whole
    if is_dataclass(a) and type(a) is not type(b):
        return path, type(a).__name__, type(b).__name__
    ours, theirs = _parts(a), _parts(b)
    if ours.keys() != theirs.keys():
        return path, _short(list(ours)), _short(list(theirs))
    for name, part in ours.items():
        if (type(a).__name__, name) not in ignored:
            label = getattr(part, "label", name)
            found = first_difference(part, theirs[name], ignored, f"{path}.{label}" if path else str(label))
            if found:
                return found
    return None


def _parts(value):
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, dict):
        return value
    return dict(enumerate(value)) if isinstance(value, (tuple, list)) else {}


def _short(value, length=60):
    text = " ".join(str(value).split())
    return text if len(text) <= length else text[:length] + " ..."
