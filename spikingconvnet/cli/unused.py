"""A parameters file that is there and not used: what differs in it, read without running it."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import tables
from spikingconvnet.experiment.settings import TOML

LONGEST = 40        # letters of a value that is shown


def found(kept: Path, here: Path) -> list[str]:
    """Where a file `here` differs from the one that a run keeps: list of lines; empty if they say the same."""
    ours, theirs = _given(kept), _given(here)
    if ours is None or theirs is None or kept.suffix != here.suffix:
        return [f"{path} {'cannot be read' if given is None else f'is {_language(path)}'}"
                for path, given in ((here, theirs), (kept, ours))]
    return list(differences(ours, theirs))


def text(kept: Path, here: Path, found: Sequence[str], again: str) -> str:
    """What a user is told of a file `here` that gives way to the one that a run keeps.

    Parameters
    ----------
    kept, here : Path
    found : list of str
        Where they differ, see :func:`found`.
    again : str
        The command that uses the file `here`.
    """
    return "\n  ".join([
        f"warning: {here} is NOT used: this run goes on with {kept}, with which it was loaded; they differ:", *found,
        f"to use {here}: {again}   (loads and trains anew; with another --run-dir both are kept)"])


def _language(path: Path) -> str:
    return "TOML" if path.suffix == TOML else "Python"


def _given(path: Path) -> dict[str, ast.expr] | None:
    """Values of the names of a file, as they are written: dict of str to node, or None if it cannot be read."""
    try:
        if path.suffix == TOML:
            return {name: ast.parse(repr(value), mode="eval").body for name, value in tables.read(path).items()}
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, SettingsError):
        return None
    return {target.id: node.value for node in tree.body if isinstance(node, ast.Assign) for target in node.targets
            if isinstance(target, ast.Name)}


def differences(kept: Mapping[str, ast.expr], here: Mapping[str, ast.expr], path: str = "") -> Iterator[str]:
    """Where two files, or two calls in them, differ, dotted into the calls: lines of text."""
    for name in dict.fromkeys((*kept, *here)):
        one, other = kept.get(name), here.get(name)
        if one is None or other is None:
            yield f"{path}{name}: only in {'the file here' if one is None else 'the one in use'}"
        elif ast.dump(one) != ast.dump(other):
            if isinstance(one, ast.Call) and isinstance(other, ast.Call) and ast.dump(one.func) == ast.dump(other.func):
                yield from differences(_arguments(one), _arguments(other), f"{path}{name}.")
            else:
                yield f"{path}{name}: {_shown(other)} here, {_shown(one)} in use"


def _arguments(call: ast.Call) -> dict[str, ast.expr]:
    """Arguments of a call, those without a name by their place."""
    return {**{str(place): value for place, value in enumerate(call.args)},
            **{str(word.arg): word.value for word in call.keywords}}


def _shown(node: ast.expr) -> str:
    found = ast.unparse(node)
    return found if len(found) <= LONGEST else f"{found[:LONGEST]}..."
