"""Parameters as TOML: the names of ``parameters.py``, and each record as a table with its class as ``type``.

    SLOT = 28

    [ENCODER]
    type = "LatencyEncoder"
    n_steps = 15

A table is data: nothing in it is executed, and no other class can be named than those of the package. Arrays are
tuples; what is None is left out.
"""

import difflib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from spikingconvnet import PUBLIC, find
from spikingconvnet.errors import SettingsError, in_words, require
from spikingconvnet.gates.schema import printable
from spikingconvnet.model.sequential import Sequential

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOMES = ("model.layers", "model.branches", "model.readouts", "model.sequential", "training", "data", "network.neurons",
         "network.plasticity")      # of the classes that parameters are made of
TYPE = "type"


def read(path: Path) -> dict[str, Any]:
    """What a TOML file gives values to: dict of str to value, records among them.

    Raises
    ------
    SettingsError
        It is no TOML, or a table is no record of the package.
    """
    try:
        return {name: value(found, name) for name, found in tomllib.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, RecursionError) as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"{path}: is not TOML ({error or 'nested too deep'}); docs/settings.md has an example"
                            ) from error


def word(text: str) -> Any:
    """The value that a piece of TOML stands for, as ``{type = "IFCurrExp", tau_m = 10.0}``; ValueError if it is none.

    >>> word("[1, 2.5]"), word("true")
    ((1, 2.5), True)
    """
    found = tomllib.loads(f"value = {text}")
    if list(found) != ["value"]:
        raise ValueError("more than one value")
    return value(found["value"], "value")


def value(found: Any, where: str) -> Any:
    """What TOML holds, with records for tables and tuples for arrays; `where` it stands, for errors.

    A table that is no record of the package is a SettingsError.
    """
    if isinstance(found, list):
        return tuple(value(one, f"{where}.{number}") for number, one in enumerate(found))
    return _record(found, where) if isinstance(found, dict) else found


def _record(table: Mapping[str, Any], where: str) -> Any:
    kind, given = _class(table.get(TYPE), where), {name: value(found, f"{where}.{name}")
                                                   for name, found in table.items() if name != TYPE}
    if kind is Sequential:
        require_known(given, ("input_shape", "layers"), where)
        layers = given.get("layers", ())
        require(isinstance(layers, tuple), where, "layers", layers, "an array of tables")
        return Sequential(given.get("input_shape"), *layers)
    require_known(given, [field.name for field in fields(kind)], where)
    missing = [field.name for field in fields(kind) if _has_no_default(field) and field.name not in given]
    require(not missing, where, ", ".join(missing), "nothing", f"given, as {kind.__name__} needs it")
    return kind(**given)


def _class(name: object, where: str) -> Any:
    """The class of the package that a table names."""
    found = find(str(name))
    if _is_record(found):
        return found
    near = [one for one in difflib.get_close_matches(str(name), PUBLIC, 5) if _is_record(find(one))]
    raise SettingsError(f"{where}.{TYPE}: must name a record of the package, as {TYPE} = \"IFCurrExp\", got"
                        f" {in_words(name)}{did_you_mean(name, near)}")


def _is_record(found: object) -> bool:
    """Whether parameters are made of it."""
    home = str(getattr(found, "__module__", "")).partition(".")[2]
    return isinstance(found, type) and (is_dataclass(found) or found is Sequential) and home.startswith(HOMES)


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """``; did you mean ...?`` with the known name that is most like another one, or nothing."""
    alike = {one.lower(): one for one in known}
    near = difflib.get_close_matches(str(name).lower(), alike, 1)
    return f"; did you mean {alike[near[0]]}?" if near else ""


def require_known(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Refuse names that something does not have.

    Raises
    ------
    SettingsError
        The first of them, with the one that may have been meant.
    """
    for name in given:
        if name not in (known := list(known)):
            raise SettingsError(f"{where}: there is no {name}{did_you_mean(name, known)}; known are"
                                f" {', '.join(known)}")


def _has_no_default(field: "Field[Any]") -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def plain(found: Any, where: str) -> Any:
    """The inverse of :func:`value`: tables for records, without fields that are as by default; lists for tuples.

    Raises
    ------
    SettingsError
        An object that is no record of the package, which only Python can make.
    """
    if isinstance(found, Sequential):
        shape = found.given_shape
        return {TYPE: "Sequential", **({} if shape is None else {"input_shape": list(shape)}),
                "layers": plain(found.layers, where)}
    if isinstance(found, (tuple, list)):
        return [plain(one, f"{where}.{number}") for number, one in enumerate(found)]
    if isinstance(found, (bool, int, float, str)):
        return str(found) if isinstance(found, str) else found
    require(find(type(found).__name__) is type(found), "parameters", where, found,
            "a record of the package; write parameters with classes of your own in Python")
    given = {field.name: getattr(found, field.name) for field in fields(found)}
    return {TYPE: type(found).__name__, **{field.name: plain(given[field.name], f"{where}.{field.name}")
                                           for field in fields(found) if given[field.name] is not None
                                           and not is_default(given[field.name], field.default)}}


def is_default(found: Any, default: Any) -> bool:
    """Whether a field has its default, to the letter: digests are made of what stands there, and 0 is not 0.0."""
    return default is not MISSING and repr(found) == repr(default)


def written(tables: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> str:
    """Tables as the text of a TOML file.

    Parameters
    ----------
    tables : dict
        As of :func:`plain`.
    notes : dict of str to str, or None
        Comments for names; then records have what they are and their defaults as comments, too.

    Raises
    ------
    SettingsError
        A text that is no UTF-8.
    """
    return "\n".join(_lines(tables, "", notes)).strip() + "\n"


def _lines(table: Mapping[str, Any], path: str, notes: Mapping[str, str] | None) -> Iterator[str]:
    for name, found in table.items():
        if not _tables_in(found):
            yield f"{name} = {_text(found)}" + (f"    # {notes[name]}" if notes and name in notes else "")
    if notes is not None and TYPE in table:
        yield from _defaults(table)
    for name, found in table.items():
        for one in _tables_in(found):
            yield ""
            if notes is not None:
                yield f"# {_summary(one)}"
            yield f"[[{path}{name}]]" if isinstance(found, list) else f"[{path}{name}]"
            yield from _lines(one, f"{path}{name}.", notes)


def _summary(table: Mapping[str, Any]) -> str:
    """First line of what a record's class says of itself."""
    return str(find(table[TYPE]).__doc__ or table[TYPE]).splitlines()[0]


def _defaults(table: Mapping[str, Any]) -> Iterator[str]:
    """What a record's table does not say and could, as comments."""
    kind = find(table[TYPE])
    for field in fields(kind) if is_dataclass(kind) else ():
        if field.name not in table and isinstance(field.default, (bool, int, float, str, tuple)):
            yield f"# {field.name} = {_text(plain(field.default, field.name))}"


def _tables_in(found: Any) -> list[Mapping[str, Any]]:
    if isinstance(found, Mapping):
        return [found]
    return found if isinstance(found, list) and found and all(isinstance(one, Mapping) for one in found) else []


def _text(found: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(found, list):
        return f"[{', '.join(map(_text, found))}]"
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, str):
        if any("\ud800" <= c <= "\udfff" for c in found):
            raise SettingsError(f"{printable(found)}: a name that is no UTF-8 cannot be written in TOML; rename it")
        return json.dumps(found, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(found)


def finite(found: Any) -> Any:
    """The same for JSON, which has no infinity and no nan: their names instead."""
    if isinstance(found, dict):
        return {name: finite(one) for name, one in found.items()}
    if isinstance(found, list):
        return [finite(one) for one in found]
    return str(found) if isinstance(found, float) and not math.isfinite(found) else found
