"""The numbers of modules, classes and defaults of functions, kinds of records, and what recipes declare, as they were.

``golden/constants.json`` has them for the package without the emulator. Where one is meant to change:

    python tests/test_constants.py
"""

import ast
import dataclasses
import enum
import json
import re
import runpy
import types
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import spikingconvnet

PACKAGE = Path(spikingconvnet.__file__).parent
GOLDEN = Path(__file__).parent / "golden" / "constants.json"
NOT_ASKED = re.compile(r"__main__|_native\.|pytest_plugin")
RUN = re.compile(r"^experiment/(recipes/|template\.)")
OF_PYTHON = re.compile(r"_is_(runtime_)?protocol$|\b_(use_args|member_map|value2member_map)_$")     # of Protocol, Enum
WORD = re.compile(r"[\w.-]*")


class Unknown(Exception):
    """A value without numbers, or one that tells none."""


def spelled(value):
    """Numbers, and what holds numbers: what JSON can keep. Sentences are for their readers: ``...``."""
    if value is None or isinstance(value, bool | int):
        return int(value) if isinstance(value, enum.Enum) else value
    if isinstance(value, np.generic):
        return spelled(value.item())
    if isinstance(value, float):
        return float(f"{value:.12g}")           # libraries of mathematics differ in the last bits
    if isinstance(value, str | bytes):
        return value if isinstance(value, str) and WORD.fullmatch(value) else "..."
    if isinstance(value, np.ndarray):
        return [str(value.dtype), list(value.shape), spelled(value.ravel().tolist())]
    if isinstance(value, range):
        return ["range", value.start, value.stop, value.step]
    if isinstance(value, dict | types.MappingProxyType):
        return sorted(([spelled_or_type(key), spelled_or_type(one)] for key, one in value.items()), key=json.dumps)
    if isinstance(value, set | frozenset):
        return sorted((spelled_or_type(one) for one in value), key=json.dumps)
    if isinstance(value, tuple | list):
        return [spelled_or_type(one) for one in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: spelled_or_type(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise Unknown(type(value))


def spelled_or_type(value):
    """What stands inside of another: a name instead of what has no numbers."""
    try:
        return spelled(value)
    except Unknown as unknown:
        return f"<{getattr(value, '__name__', unknown.args[0].__name__)}>"


def worth(spelling):
    """Whether there is a number in a spelling."""
    parts = spelling.values() if isinstance(spelling, dict) else spelling if isinstance(spelling, list) else ()
    return isinstance(spelling, int | float) or any(worth(part) for part in parts)


def held(names, owner, prefix=""):
    """Constants among what a module or a class has: dict of name to spelling."""
    found = {}
    for name in names:
        value = vars(owner).get(name)
        value = getattr(value, "py_func", getattr(value, "__wrapped__", getattr(value, "__func__", value)))
        if isinstance(value, type) and value.__module__ == getattr(owner, "__module__", owner.__name__):
            found |= held([one for one in vars(value) if not one.startswith("__") or one == "__init__"], value,
                          f"{prefix}{name}.")
            found |= {f"{prefix}{name} @dataclass": [made.frozen, made.eq, made.repr, made.order]
                      for made in [vars(value).get("__dataclass_params__")] if made}
        elif isinstance(value, types.FunctionType):
            found[f"{prefix}{name}()"] = spelled_or_type([*(value.__defaults__ or ()),
                                                          *(value.__kwdefaults__ or {}).items()])
        elif prefix or not (isinstance(value, list | dict | set) and name.islower()):   # filled as it runs
            found[f"{prefix}{name}"] = spelled_or_type(value)
    return {name: value for name, value in found.items() if worth(value) and not OF_PYTHON.search(name)}


def assigned(source):
    """Names that a module gives itself: list of str in order."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def constants(file):
    """What a file of the package holds: dict of name to spelling; of a recipe the ``repr`` of what it declares."""
    path = PACKAGE / file
    if RUN.search(file):
        return {name: repr(value) for name, value in runpy.run_path(str(path)).items() if name.isupper()}
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    module = import_module(".".join(part for part in parts if part != "__init__"))
    return held([name for name in dict.fromkeys(assigned(path.read_text())) if name in vars(module)], module)


def files():
    """Files whose constants are kept, below the package."""
    every = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
    return [file for file in every if not NOT_ASKED.search(file)]


KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


@pytest.mark.parametrize("file", [pytest.param(file, id=f"{file.removesuffix('.py').replace('/', '.')}.constants")
                                  for file in sorted({*KEPT, *files()})])
def test_a_file_has_the_numbers_that_it_had(file):
    try:
        found = constants(file)
    except ModuleNotFoundError as missing:
        if (missing.name or "").startswith("spikingconvnet"):
            raise
        pytest.skip(f"{missing.name} is not installed")
    assert json.loads(json.dumps(found)) == KEPT.get(file, {})


if __name__ == "__main__":
    found = {file: constants(file) for file in files()}
    GOLDEN.write_text("{\n" + ",\n".join(f" {json.dumps(file)}: {{\n" + ",\n".join(
        f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in values.items()) + "\n }"
        for file, values in found.items() if values) + "\n}\n")
