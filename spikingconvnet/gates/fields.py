"""One gate for parameters: what each field of a record may hold, written beside the fields, :func:`check_fields`.

A kind (:class:`Kind`) is called with a value and gives it back as plain Python, or raises ``owner.field: must be
<wanted>, got <value>``. Numbers of numpy become those of Python; everything else that is not of exactly the type wanted
is refused: what is nearly a number (Decimal, Fraction, bool, a class of one's own) has its own arithmetic and its own
``repr``, of which digests are made.
"""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.schema import is_text

RANGE = 65536                       # of s16.15, in which a board holds most numbers
FINEST = 1 / 32768                  # its last bit
MOST_STEPS = (1 << 31) - 1          # that a board's clock counts
MOST_SLOT = MOST_STEPS // 5000      # of one image: a timeline holds 5000, see ``experiment.REPLICA_SAMPLES``
MOST_SEED = (1 << 32) - 1           # that every library takes which draws from it
REFUSED = object()                  # what a kind makes of a value that it does not take
Limit: TypeAlias = tuple[Callable[[Any], bool], str]        # a condition, and in words what meets it


@dataclass(frozen=True)
class Kind:
    """What a field may hold.

    Attributes
    ----------
    plain : callable
        ``plain(value)``: the value to keep, or `REFUSED` if it is of another type.
    wanted : str
        What would have been right, in words.
    limits : tuple of (callable, str)
        Conditions that the plain value has to meet, each with what is wanted; the first that does not hold is told.
    """

    plain: Callable[[Any], Any]
    wanted: str
    limits: tuple[Limit, ...] = ()

    def __call__(self, value: object, owner: str, field: str, error: type[Exception] = SettingsError) -> Any:
        """The value as plain Python; `error` says of which field of which owner it is not one of this kind."""
        plain = self.plain(value)
        require(plain is not REFUSED, owner, field, value, self.wanted, error)
        for holds, wanted in self.limits:
            require(holds(plain), owner, field, plain, wanted, error)
        return plain

    def takes(self, value: object) -> bool:
        """Whether a value is of this kind."""
        plain = self.plain(value)
        return plain is not REFUSED and all(holds(plain) for holds, _ in self.limits)


def check_fields(record: object, error: type[Exception] = SettingsError, owner: str | None = None, /,
                 **kinds: Kind) -> None:
    """Check fields of a frozen dataclass, `owner` by name, and set them to plain Python, in the order given.

    The first that is not of its kind is an `error` that names it.

    >>> @dataclass(frozen=True)
    ... class Rule:
    ...     tau: float
    ...     def __post_init__(self):
    ...         check_fields(self, tau=real(above(0)))
    >>> Rule(np.float64(2.0))
    Rule(tau=2.0)
    """
    for name, kind in kinds.items():
        object.__setattr__(record, name, kind(getattr(record, name), owner or type(record).__name__, name, error))


def above(bound: float) -> Limit:
    """Larger than a number."""
    return lambda value: value > bound, f"above {bound:g}"


def least(bound: float, why: str = "") -> Limit:
    """A number or more."""
    return lambda value: value >= bound, f"{'0 or more' if bound == 0 else f'at least {_short(bound)}'}{why}"


def most(bound: float, why: str = "") -> Limit:
    """At most a number."""
    return lambda value: value <= bound, f"at most {_short(bound)}{why}"


def below(bound: float, why: str = "") -> Limit:
    """Smaller than a number."""
    return lambda value: value < bound, f"below {bound:g}{why}"


def _short(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def real(*limits: Limit, wanted: str | None = None) -> Kind:
    """A finite number within limits; nan is within none. What is told of each of them is `wanted`, if it is given."""
    limits = *limits, (lambda value: abs(value) <= 1.7e308, "finite")
    first = limits[0][1]
    return Kind(_number, wanted or (first if first.startswith("a number") else f"a number, {first}"),
                tuple((holds, wanted or text) for holds, text in limits))


def _number(value: object) -> object:
    if type(value) in (int, float):
        return value
    if isinstance(value, np.integer):
        return int(value)
    return float(value) if isinstance(value, np.floating) else REFUSED


def or_infinity(kind: Kind) -> Kind:
    """Infinity, or a number that `kind` takes."""
    return Kind(kind.plain, kind.wanted, tuple(_unless(lambda value: value == math.inf, *limit)
                                               for limit in kind.limits))


def _unless(free: Callable[[Any], bool], holds: Callable[[Any], bool], wanted: str) -> Limit:
    return lambda value: free(value) or holds(value), wanted


def whole(at_least: int, at_most: int = MOST_STEPS, why: str = "", wanted: str | None = None) -> Kind:
    """A whole number in a range; by default one that a board counts in 32 bits. `why` it ends there."""
    end = most(at_most, why) if why or not wanted else (most(at_most)[0], wanted)
    wanted = wanted or f"a whole number, {least(at_least)[1]}"
    return Kind(_whole, wanted, ((lambda value: value >= at_least, wanted), end))


def _whole(value: object) -> object:
    plain = _number(value)
    return plain if type(plain) is int else REFUSED


def _flag(value: object) -> object:
    return bool(value) if isinstance(value, (bool, np.bool_)) else REFUSED


def choice(*texts: str, wanted: str | None = None) -> Kind:
    """One of some texts."""
    return Kind(lambda value: value if type(value) is str and value in texts else REFUSED,
                wanted or " or ".join(map(repr, texts)))


def record(*types: type, wanted: str | None = None) -> Kind:
    """An object of one of some classes, not a class."""
    return Kind(lambda value: value if isinstance(value, types) else REFUSED,
                wanted or " or ".join(f"{_an(kind.__name__)}(...)" for kind in types))


def part(like: str, *methods: str) -> Kind:
    """A kind of records that stand in the place of another one: what they do and how they are told apart is known."""
    def plain(value: object) -> object:
        fits = is_dataclass(value) and not isinstance(value, type) and all(hasattr(value, name) for name in methods)
        return value if fits else REFUSED

    return Kind(plain, f"a record as {like}(...): a frozen dataclass with {' and '.join(methods)}")


def _an(name: str) -> str:
    return f"{'an' if name[0] in 'AEIOU' else 'a'} {name}"


def optional(kind: Kind) -> Kind:
    """None, or what `kind` takes."""
    return Kind(lambda value: None if value is None else kind.plain(value), f"{kind.wanted}, or None",
                tuple(_unless(lambda value: value is None, holds, f"{wanted}, or None")
                      for holds, wanted in kind.limits))


def several(kind: Kind, wanted: str, count: int | None = None) -> Kind:
    """A tuple or list of values that `kind` takes, `count` of them or at least one."""
    def plain(value: Any) -> object:
        if type(value) not in (tuple, list) or (len(value) != count if count else not value):
            return REFUSED
        return type(value)(map(kind.plain, value)) if all(map(kind.takes, value)) else REFUSED

    return Kind(plain, wanted)


def _square(value: Any) -> object:
    pair = (value, value) if _whole(value) is not REFUSED else value
    whole_pair = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(_whole(v) is not REFUSED for v in pair)
    return tuple(map(_whole, pair)) if whole_pair else REFUSED


def _path(value: Any) -> object:
    try:
        text = os.fspath(value)
        os.fsencode(text)
    except (TypeError, UnicodeEncodeError):
        return REFUSED
    return text if isinstance(text, str) and "\0" not in text else REFUSED


def numbers(value: Any, owner: str, field: str, error: type[Exception] = SettingsError,
            dtype: type[np.generic] = np.float64) -> NDArray[Any]:
    """An array of numbers, which need not be finite; of whole ones if `dtype` is an integer type.

    Raises
    ------
    SettingsError, or `error`
        Of anything else, texts and objects among it, that numpy would take apart or cut off.
    """
    try:
        found = np.asarray(value)
    except ValueError:          # rows of different lengths
        found = np.array(None)
    require(found.dtype.kind in "iuf" and _fits(found, dtype), owner, field, value,
            "numbers" if dtype == np.float64 else "whole numbers", error)
    return found.astype(dtype)


def _fits(found: NDArray[Any], dtype: type[np.generic]) -> bool:
    if np.issubdtype(dtype, np.floating):
        return True
    return bool(np.all((abs(found.astype(np.float64)) < 1 << 53) & (found == np.rint(found))))


FLAG = Kind(_flag, "True or False")
TEXT = Kind(lambda value: value if type(value) is str and is_text(value) else REFUSED, "a text for one line")
PAIR = Kind(_square, "a whole number or (rows, columns)",
            ((lambda pair: min(pair) >= 1, "at least 1"), (lambda pair: max(pair) <= RANGE, f"at most {RANGE:,}")))
PADDING = Kind(_square, "a whole number or (rows, columns)",
               ((lambda pair: min(pair) >= 0, "at least 0"), (lambda pair: max(pair) <= RANGE, f"at most {RANGE:,}")))
PATH = Kind(_path, "a path")
S16_15 = lambda value: abs(value) < RANGE, f"a number below {RANGE}, the range of s16.15"
NOT_NEGATIVE = real(least(0), below(RANGE, ", the range of s16.15"))
POSITIVE = real(above(0), least(FINEST, ", the last bit of s16.15"), below(RANGE, ", the range of s16.15"))
FACTOR = real(above(0), least(1e-6), most(1e6))       # for what no board holds: no overflow
SHARE = real(above(0), below(1), wanted="between 0 and 1")
PART = real(least(0), below(1), wanted="from 0 to below 1")
SEED = whole(0, MOST_SEED)
SHAPE = several(whole(1), "(channels, rows, columns), each at least 1", 3)
SIZE = whole(1)


def table(shift: int = 0) -> Kind:
    """A time constant, ms, of whose decay a board holds a table of 16-bit numbers, one entry for ``2**shift`` steps."""
    longest = math.floor(LONGEST_TABLE * 2.0 * (1 << shift) / math.log(2048))
    return real(above(0), least(FINEST, " ms, the last bit of s16.15"),
                  most(longest, " ms: at 2 ms a step its look-up table takes all 64 KiB of a core"))


LONGEST_TABLE = 32766               # entries of 2 bytes in 64 KiB, beside the table's own size


def spelled(record: Any, later: tuple[str, ...]) -> str:
    """``repr`` of a dataclass without those fields of `later` that are as by default.

    Digests of run directories are made of it, which stay what they are when a record gets a field.

    Parameters
    ----------
    record : dataclass
    later : tuple of str
    """
    shown = [field.name for field in fields(record)
             if field.name not in later or getattr(record, field.name) != field.default]
    return f"{type(record).__name__}({', '.join(f'{name}={getattr(record, name)!r}' for name in shown)})"
