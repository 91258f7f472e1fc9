"""What comes from outside has to be: types, shapes and ranges of arrays, and of what JSON holds, in a small language.

    Schema({"counts": Array("uint16", ("images", "features"))}, {"seed": INTEGER}, sizes={"images": 60})

A size that is a name is one number wherever it stands in a file; those that the model knows are given. Whatever does
not fit is a StoreError that names it and says what would have been right; the reader of the file adds where it is and
what to do.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.errors import StoreError

Part = TypeVar("Part", "Array", "Value")
DEEPEST = 40            # objects in objects of JSON
LARGEST = 1 << 128      # a whole number in JSON; seeds may be longer than 64 bits
FLOATS = "float64"
FINITE = float(np.finfo(np.float32).max)    # of what is computed with, so that sums and products stay finite, too
ACCUM = 65536.0         # mV or nA, the range of s16.15


def refuse(name: str, wanted: str, got: object) -> NoReturn:
    """Raise the StoreError: ``<name>: must be <wanted>, got <got>``; `got` is in words, or what was found."""
    got = str(got)
    raise StoreError(f"{name}: must be {wanted}, got {got if len(got) <= 60 else got[:60] + ' ...'}")


@dataclass(frozen=True)
class Array:
    """What an array has to be.

    Attributes
    ----------
    types : str
        Names of the types it may have, as ``"uint16 uint32"``; ``str`` is one text.
    shape : tuple of int or str
    least, most : number or None
        Of every entry; floats are finite anyhow.
    optional : bool
    """

    types: str
    shape: tuple[int | str, ...] = ()
    least: float | None = None
    most: float | None = None
    optional: bool = False

    def check(self, name: str, array: NDArray[Any], sizes: dict[str, int]) -> None:
        """Raise a StoreError unless `array` fits; sizes whose names are new go into the dict `sizes`."""
        kind = "str" if array.dtype.kind == "U" else array.dtype.name
        fits = kind in self.types.split() and array.dtype.isnative and array.ndim == len(self.shape)
        if not (fits and all(n == (size if isinstance(size, int) else sizes.setdefault(size, n))
                             for size, n in zip(self.shape, array.shape))):
            wanted = tuple(size if isinstance(size, int) else sizes.get(size, size) for size in self.shape)
            refuse(name, f"{self.types.replace(' ', ' or ')} {_text(wanted)}", f"{array.dtype} {_text(array.shape)}")
        floats = array.dtype.kind == "f"
        if array.size and (floats or self.least is not None or self.most is not None):
            least = -FINITE if self.least is None else self.least
            most = FINITE if self.most is None else self.most
            low, high = array.min().item(), array.max().item()
            if not least <= low <= high <= most:        # a nan fails here, too
                refuse(name, f"{'finite and ' * floats}within {least:g} .. {most:g}", f"{low!r} .. {high!r}")


@dataclass(frozen=True)
class Value:
    """What an entry of JSON has to be: `wanted` in words, and ``holds(entry)`` tells whether it is."""

    wanted: str
    holds: Callable[[Any], bool]
    optional: bool = False

    def check(self, name: str, value: object, sizes: dict[str, int] | None = None) -> None:
        """Raise a StoreError unless `value` fits."""
        if not self.holds(value):
            refuse(name, self.wanted, repr(value))


@dataclass(frozen=True)
class Schema:
    """What a file of arrays has to hold.

    Attributes
    ----------
    arrays : dict of str to Array
        All that may be there.
    how : dict of str to Value
        What JSON tells about them; other entries may be among it.
    whole : callable or None
        ``whole(arrays, how)`` raises a SpikingConvNetError if parts do not fit each other.
    sizes : dict of str to int
    """

    arrays: dict[str, Array]
    how: dict[str, Value] = field(default_factory=dict)
    whole: Callable[[Mapping[str, Any], Mapping[str, Any]], object] | None = None
    sizes: dict[str, int] = field(default_factory=dict)

    def check(self, arrays: Mapping[str, NDArray[Any]], how: Mapping[str, Any]) -> None:
        """Raise a SpikingConvNetError that names what does not fit."""
        unknown = sorted(arrays.keys() - self.arrays.keys())
        if unknown:
            refuse("arrays", " and ".join(self.arrays), repr(unknown[0]))
        check_entries(arrays, self.arrays, "", dict(self.sizes))
        check_entries(how, self.how, "how.")
        if self.whole is not None:
            self.whole(arrays, how)


def optional(part: Part) -> Part:
    """The same Array or Value, which may be missing."""
    return replace(part, optional=True)


def check_entries(found: Mapping[str, Any], wanted: Mapping[str, Array] | Mapping[str, Value], owner: str = "",
                  sizes: dict[str, int] | None = None) -> None:
    """Raise a StoreError unless each entry of the dict `wanted` is in `found` (or optional) and fits."""
    sizes = {} if sizes is None else sizes
    for name, part in wanted.items():
        if name in found:
            part.check(f"{owner}{name}", found[name], sizes)
        elif not part.optional:
            raise StoreError(f"{owner}{name}: is missing")


def parse_json(text: str) -> dict[str, Any]:
    """The object in a text of JSON: dict.

    Raises
    ------
    StoreError
        Something else than an object, one that is nested too deep or has too large a number.
    ValueError, RecursionError
        No JSON.
    """
    found = json.loads(text)
    if not isinstance(found, dict):
        refuse("JSON", "an object", type(found).__name__)
    level = [found]
    for _ in range(DEEPEST):
        level = [part for one in level for part in (one.values() if isinstance(one, dict) else one)]
        if any(isinstance(part, int) and abs(part) >= LARGEST for part in level):
            raise StoreError("JSON: a number is too large")
        level = [part for part in level if isinstance(part, (dict, list))]
        if not level:
            return found
    raise StoreError("JSON: is nested too deep")


def is_text(value: object) -> bool:
    """Whether it is text that can be shown in a line."""
    return isinstance(value, str) and value.isprintable()


def printable(text: str) -> str:
    r"""Text with whatever would not be seen as it is, as in names of files, escaped.

    >>> print(printable("a\u2028b"))
    a\u2028b
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def is_integer(value: Any, least: int = 0, most: int = LARGEST) -> bool:
    """Whether it is a whole number of that range."""
    return type(value) is int and least <= value <= most


def is_number(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """Whether it is a number of that range, and no nan."""
    return type(value) in (int, float) and least <= value <= most


TEXT = Value("text", is_text)
INTEGER = Value("a whole number, 0 or more", is_integer)


def _text(shape: tuple[object, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
