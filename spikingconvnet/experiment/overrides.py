"""Single settings by name, as ``--set MODEL.1.filters=32`` gives them: dotted into the records of the parameters.

The layers of MODEL have the numbers of ``--layer``; ``pool2`` is the pooling before layer 2, ``readout`` what comes
last.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from itertools import groupby
from typing import Any, TypeAlias, TypeVar

from spikingconvnet.errors import SettingsError, in_words
from spikingconvnet.experiment import tables
from spikingconvnet.experiment.settings import NAMES, Settings
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.training.layerwise.stdp import STDP

Changes: TypeAlias = Mapping[tuple[str, ...], Any]      # values by the names that lead to them; () is the whole
Record = TypeVar("Record")
UNSAID = {"training": STDP}         # what a field that is None stands for
LONGEST = 10_000                    # letters of a value
OPEN, CLOSED, QUOTES = "([{", ")]}", "'\""


def parted(words: Iterable[str]) -> dict[str, str]:
    """``NAME=VALUE`` of each word: dict of str to str; a SettingsError for anything else, and a name given twice.

    >>> parted(["N_TRAIN=1000", "ENCODER.n_steps=20"])
    {'N_TRAIN': '1000', 'ENCODER.n_steps': '20'}
    """
    found: dict[str, str] = {}
    for one in words:
        name, equals, text = (part.strip() for part in one.partition("="))
        if "://" in one:            # not repeated: it may hold a secret
            raise SettingsError("--set: takes no address, which may hold what is secret; give it as --source")
        if not (equals and text and all(name.split("."))) or len(text) > LONGEST:
            raise SettingsError(f"--set {one[:100]}: must be NAME=VALUE, as --set N_TRAIN=1000 or --set"
                                " MODEL.1.filters=32")
        if name in found:
            raise SettingsError(f"--set {name}: is given twice")
        found[name] = text
    return found


def values(text: str) -> list[str]:
    """The values in a list for a sweep: what stands between commas that are in no bracket and no quotes.

    >>> values("1, 2,4"), values("(0.2, 0.2),(0.1, 0.1)")
    (['1', '2', '4'], ['(0.2, 0.2)', '(0.1, 0.1)'])
    """
    found, depth, quote = [""], 0, ""
    for letter in text:
        if quote or letter in QUOTES:
            quote = "" if letter == quote else quote or letter
        depth += 0 if quote else (letter in OPEN) - (letter in CLOSED)
        if letter == "," and not depth and not quote:
            found.append("")
        else:
            found[-1] += letter
    return [one.strip() for one in found]


def value(text: str) -> Any:
    """What a text stands for: a literal of Python, a value of TOML, or else the text itself.

    A table that is no record of the package is a SettingsError.

    >>> value("(0.2, 0.2)"), value("none"), value("true"), value("data/mnist")
    ((0.2, 0.2), None, True, 'data/mnist')
    """
    if text.lower() == "none":
        return None
    try:
        return _tuples(ast.literal_eval(text))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    try:
        return tables.word(text)
    except SettingsError:
        raise
    except (ValueError, RecursionError):
        return text


def _tuples(found: Any) -> Any:
    return tuple(map(_tuples, found)) if isinstance(found, (list, tuple)) else found


def changed(record: Record, sets: Mapping[str, str], where: str = "--set") -> Record:
    """Settings, or a part of them, with other values, checked as those of a parameters file are.

    Parameters
    ----------
    record : Settings, or a record of them
    sets : dict of str to str
        Values as text by dotted names, see :func:`parted` and :func:`value`.
    where : str
        What leads to the names, for error texts.

    Raises
    ------
    SettingsError
        A name that is none, with the one that may have been meant; a value that cannot be used.
    """
    found: Record = _changed(record, where, {tuple(name.split(".")): value(text) for name, text in sets.items()})
    return found


def _changed(old: Any, where: str, changes: Changes) -> Any:
    """A record with changes, each part of it built anew once."""
    changes = dict(changes)
    old = changes.pop((), old)
    if not changes:
        return old
    parts, new = _parts(old, where), {}
    tables.require_known((names[0] for names in changes), parts, where)
    for name, group in groupby(sorted(changes, key=lambda names: names[0]), lambda names: names[0]):
        below = {names[1:]: changes[names] for names in group}
        part = parts[name]
        if part is None and () not in below:
            part = UNSAID.get(name, lambda: None)()
        new[name] = _changed(part, f"{where} {name}" if where == "--set" else f"{where}.{name}", below)
    return _built(old, new)


def _parts(record: Any, where: str) -> dict[str, Any]:
    """What a record is made of, by the names that ``--set`` knows."""
    if isinstance(record, Settings):
        return {name: getattr(record, field) for field, name in NAMES.items()}
    if isinstance(record, Sequential):
        return {"input_shape": record.given_shape, **{name: record.layers[i] for name, i in _places(record).items()}}
    if is_dataclass(record) and not isinstance(record, type):
        return {field.name: getattr(record, field.name) for field in fields(record) if field.init}
    raise SettingsError(f"{where}: is {in_words(record)} and has no fields; give all of it, as"
                        f" '{where}={{type=\"CLASS\", ...}}'")


def _places(model: Sequential) -> dict[str, int]:
    """Where the layers of a model stand, by their names: dict of str to int."""
    found, number = {}, 0
    for i, layer in enumerate(model.layers):
        if isinstance(layer, (Conv2D, Dense)):
            number += 1
        name = str(number) if isinstance(layer, (Conv2D, Dense)) else "readout"
        found[f"pool{number + 1}" if isinstance(layer, AvgPool2D) else name] = i
    return found


def _built(old: Any, new: Mapping[str, Any]) -> Any:
    if isinstance(old, Settings):
        return replace(old, **{field: new[name] for field, name in NAMES.items() if name in new})
    if isinstance(old, Sequential):
        places, layers = _places(old), list(old.layers)
        for name in set(new) - {"input_shape"}:
            layers[places[name]] = new[name]
        return Sequential(new.get("input_shape", old.given_shape), *layers)
    return replace(old, **new)


def words(sets: Mapping[str, str]) -> Sequence[str]:
    """The options of a command line that say the same: list of str."""
    return [word for name, text in sets.items() for word in ("--set", f"{name}={text}")]
