"""A Network as JSON and plain arrays, and back: what a file needs that is to explain a recording without its run.

What is encoded is a record of the netlist or a part of one, what is decoded whatever JSON holds: Any.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

import numpy as np

from spikingconvnet.errors import StoreError
from spikingconvnet.gates.schema import is_integer, is_number, is_text, refuse
from spikingconvnet.network import connectivity, neurons, plasticity
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.spikes import Spikes

RECORDS: dict[str, type] = {record.__name__: record for record in (
    Network, Population, Projection, Spikes,
    *(part for module in (connectivity, neurons, plasticity) for part in vars(module).values()
      if isinstance(part, type) and is_dataclass(part)))}
SIZES = "pre", "post", "delay", "offsets", "neurons"       # arrays of whole numbers; all others are of floats
ENDLESS = "duration"                                        # what alone may be infinite
MOST = 60                                                   # characters, or names, of a value that is told
PARTS: dict[str, type | tuple[type, ...]] = {                   # records that a field alone does not check
    "populations": Population, "projections": Projection,
    "connections": tuple(part for part in vars(connectivity).values() if isinstance(part, type) and is_dataclass(part))}
_is_whole = partial(is_integer, least=-(1 << 62), most=1 << 62)


def _is_table(value: Any, name: str) -> bool:
    """Whether it is an array of numbers that can be those of a field."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in ("iu" if name in SIZES else "f"):
        return False
    return value.dtype.kind != "f" or (not np.isnan(value).any() and bool(name == ENDLESS or np.isfinite(value).all()))


def _is_tuple(value: Any, name: str) -> bool:
    """Whether it is a tuple of what belongs into a field: of `PARTS`, or of whole numbers or tuples of them."""
    return isinstance(value, tuple) and all(isinstance(part, PARTS[name]) if name in PARTS else
                                            _is_whole(part) or _is_tuple(part, name) for part in value)


Holds = tuple[str, Callable[[Any, str], bool]]
HOLDS: dict[type, Holds] = {        # what a field of each type holds: in words, and whether a value of that name is it
    float: ("a finite number", lambda value, name: is_number(value) and (name == ENDLESS or abs(value) < 1e300)),
    int: ("a whole number", lambda value, name: _is_whole(value)),
    bool: ("true or false", lambda value, name: isinstance(value, bool)),
    str: ("text", lambda value, name: is_text(value)),
    tuple: ("a list of its records or of whole numbers", _is_tuple),
    dict: ("arrays by name", lambda value, name: isinstance(value, dict) and all(
        _is_table(part, key) for key, part in value.items())),
    np.ndarray: ("an array of numbers", _is_table),
    Spikes: ("Spikes", lambda value, name: isinstance(value, Spikes)),
    object: ("a record that belongs there", lambda value, name: is_dataclass(value) and isinstance(value, PARTS.get(
        name, object))),
}


def encode(value: Any, arrays: list[Numbers]) -> Any:
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


def decode(value: Any, arrays: Sequence[Numbers]) -> Any:
    """The inverse of :func:`encode`; lists become tuples.

    A record that is not known, or a field that does not hold what its type says, is a StoreError; what a record refuses
    itself is its own error.
    """
    if isinstance(value, list):
        return tuple(decode(part, arrays) for part in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        if not is_integer(value["array"], 0, len(arrays) - 1):
            refuse("network", f"of {len(arrays)} arrays", repr(value["array"]))
        return arrays[value["array"]]
    for kind, content in (("dict", value), ("fields", value)):
        if kind in content and not isinstance(content[kind], dict):
            refuse(f"network.{kind}", "an object", repr(content[kind]))
    if "dict" in value:
        return {key: decode(part, arrays) for key, part in value["dict"].items()}
    name = value.get("record")
    if not isinstance(name, str) or name not in RECORDS or "fields" not in value:
        raise StoreError(f"no record of a network is called {name!r}")
    return _record(RECORDS[name], {field: decode(part, arrays) for field, part in value["fields"].items()})


def _class_of(annotation: Any) -> type:
    """Class of what a field holds, whatever is in it and whether or not it may be missing; object of several."""
    parts = set(get_args(annotation)) - {NoneType} if isinstance(annotation, UnionType) else {annotation}
    kind: type = parts.pop() if len(parts) == 1 else object
    return get_origin(kind) or kind


def _record(kind: type, parts: Mapping[str, Any]) -> Any:
    """A record of what a file says."""
    own = {f.name: f for f in fields(kind)}
    for name, part in parts.items():
        if name not in own:
            refuse(kind.__name__, f"made of {', '.join(own)}", repr(name))
        wanted, holds = HOLDS[_class_of(own[name].type)]
        if not holds(part, name) and not (part is None and own[name].default is None):
            refuse(f"{kind.__name__}.{name}", wanted, repr(part))
    missing = [f.name for f in own.values() if f.name not in parts and f.default is f.default_factory]
    if missing:
        raise StoreError(f"{kind.__name__}.{missing[0]}: is missing")
    made = kind(**parts)
    if kind is Spikes:
        made.check_order()
    return made


def first_difference(a: Any, b: Any, ignored: Collection[tuple[str, str]] = (),
                     path: str = "") -> tuple[str, str, str] | None:
    """Where two values, as :func:`encode` takes them, differ first: path and both values as text, or None.

    Parameters
    ----------
    a, b : what is compared
    ignored : collection of (str, str)
        Names of records with a field that is not looked at.
    path : str
        Where the two stand, for the path that is told.

    >>> first_difference({"x": (1, 2)}, {"x": (1, 3)})
    ('x.1', '2', '3')
    """
    if any(isinstance(part, np.ndarray) for part in (a, b)):
        return None if np.array_equal(a, b) else (path, _short(a), _short(b))
    if not is_dataclass(a) and not isinstance(a, (dict, tuple, list)):
        return None if a == b else (path, _short(a), _short(b))
    if is_dataclass(a) and type(a) is not type(b):
        return path, type(a).__name__, type(b).__name__
    ours, theirs = _parts(a), _parts(b)
    if ours.keys() != theirs.keys():
        return path, _short(list(ours)[:MOST]), _short(list(theirs)[:MOST])
    for name, part in ours.items():
        if (type(a).__name__, name) not in ignored:
            label = getattr(part, "label", name)
            found = first_difference(part, theirs[name], ignored, f"{path}.{label}" if path else str(label))
            if found:
                return found
    return None


def _parts(value: Any) -> Mapping[Any, Any]:
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if isinstance(value, dict):
        return value
    return dict(enumerate(value)) if isinstance(value, (tuple, list)) else {}


def _short(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MOST else text[:MOST] + " ..."
