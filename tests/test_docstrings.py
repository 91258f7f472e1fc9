"""What docstrings say is so: errors that are raised are named, parameters that are listed are those that there are."""

import ast
import builtins
import re
from pathlib import Path

import pytest

from spikingconvnet import errors
from spikingconvnet.emulator import errors as emulators

PACKAGE = Path(__file__).parents[1] / "spikingconvnet"
FILES = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
# Modules whose records compute something: each of them has its equation, and its source but for plain arithmetic.
EQUATIONS = ("data/encoding.py", "data/filters.py", "data/receptive_fields.py", "data/deformation.py")
ARITHMETIC = {"Intensity", "BitPlanes"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
MAKERS = ("__init__", "__new__", "__post_init__")
ERROR_OF = {"require": 5, "check_fields": 1}        # place of the argument that is the error; SettingsError by default
BANNER = re.compile(r"#\s*-{2,}")


def name_of(node):
    """Name of a class of errors, whichever way it is written; '' for anything else, as a variable."""
    node = node.func if isinstance(node, ast.Call) else node
    name = getattr(node, "attr", getattr(node, "id", ""))
    return name if name[:1].isupper() else ""


def classes(node):
    """Classes of an expression, one or a tuple of them; by name those that are neither built in nor the package's."""
    names = map(name_of, node.elts if isinstance(node, ast.Tuple) else [node])
    return {next((getattr(home, name) for home in (builtins, errors, emulators) if hasattr(home, name)), name)
            for name in names if name}


def raised(node, helpers=None):
    """Errors that come out of a statement or function: raised there or in private functions of its module.

    Those that a handler around them takes are left out, and what is no error, as KeyboardInterrupt.
    """
    helpers, found = helpers or {}, set()
    if isinstance(node, ast.Raise) and node.exc is not None:
        found = classes(node.exc)
    elif isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if name in ERROR_OF:
            given = node.args[ERROR_OF[name]:][:1] + [word.value for word in node.keywords if word.arg == "error"]
            found = classes(given[0]) if given else {errors.SettingsError}
        elif name in helpers:
            found = raised(helpers[name], {other: helpers[other] for other in helpers.keys() - {name}})
    for part in ast.iter_child_nodes(node):
        if not isinstance(part, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            caught = taken(node) if isinstance(node, ast.Try) and part in node.body else set()
            found |= {error for error in raised(part, helpers) if not any(is_a(error, other) for other in caught)}
    return {error for error in found if isinstance(error, str) or issubclass(error, Exception)}


def taken(node):
    """Classes whose errors the handlers of a ``try`` take and do not let go on."""
    ends = [one for one in node.handlers if not any(isinstance(part, ast.Raise) and part.exc is None
                                                    for part in ast.walk(one))]
    return set().union(*(classes(one.type) for one in ends))


def is_a(error, other):
    return error == other or (isinstance(error, type) and isinstance(other, type) and issubclass(error, other))


def named(errors_found):
    return sorted(getattr(error, "__name__", error) for error in errors_found)


def section(node, title):
    """Names that a section of a docstring lists, None without such a section."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=\n\n?\w+( \w+)?\n---|\Z)", ast.get_docstring(node) or "",
                      re.DOTALL | re.MULTILINE)
    if found is None:
        return None
    heads = re.findall(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :.*)?$", found[1], re.MULTILINE)
    return {name.lstrip("*") for head in heads for name in head.split(", ")}


def parameters(function):
    """Names of a function's parameters that a caller may give; `self` and `cls` are none."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    names += [each.arg for each in (given.vararg, given.kwarg) if each is not None]
    return {name for name in names if name not in ("self", "cls") and not name.startswith("_")}


def fields(node):
    """Names of a record's fields."""
    return {part.target.id for part in node.body if isinstance(part, ast.AnnAssign)
            and not part.target.id.startswith("_") and "ClassVar" not in ast.unparse(part.annotation)}


def is_record(node):
    return any("dataclass" in ast.unparse(each) for each in node.decorator_list) or "NamedTuple" in map(
        ast.unparse, node.bases)


def attributes(node):
    """Names of all that an object has: fields, methods, constants, and what its methods set."""
    names = {part.name for part in node.body if isinstance(part, FUNCTIONS)} | fields(node)
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            names.add(part.attr)
        if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            names.add(part.id)
    return names


def unlike(node, title, there, wanted):
    """Faults of a section: names that are not there, and wanted ones that it lacks."""
    listed = section(node, title)
    if listed is not None:
        yield from (f"{node.name}: {title}: no {name}" for name in sorted(listed - there))
        yield from (f"{node.name}: {title}: {name} is missing" for name in sorted(wanted - listed))


def summary(tree):
    """Faults of first lines: a docstring begins with one sentence in one line, and ends it."""
    for node in ast.walk(tree):
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Module)):
            first, *others = (ast.get_docstring(node) or ".").splitlines()
            if others[:1] not in ([], [""]) or first[-1] not in ".:?":
                yield f"{getattr(node, 'name', 'module')}: {first}"


def faults(tree):
    """Everything that is not as a module's docstrings say."""
    around = ast.get_docstring(tree) or ""
    helpers = {node.name: node for node in ast.walk(tree) if isinstance(node, FUNCTIONS) and is_private(node)}
    yield from summary(tree)
    for node in tree.body:
        if isinstance(node, FUNCTIONS):
            yield from of_function(node, around, helpers)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from of_class(node, around, helpers)


def is_private(node):
    return node.name.startswith("_") and not node.name.startswith("__")


def of_function(node, around, helpers, owner=None):
    if node.name.startswith("_") and (owner is None or not node.name.startswith("__")):
        return
    said = around + (ast.get_docstring(node) or "")
    name = f"{owner}.{node.name}" if owner else node.name
    yield from (f"{name}: raises {error}" for error in named(raised(node, helpers))
                if not re.search(rf"\b{error}\b", said))
    yield from unlike(node, "Parameters", parameters(node), parameters(node))


def of_class(node, around, helpers):
    around += ast.get_docstring(node) or ""
    makers = [part for part in node.body if isinstance(part, FUNCTIONS) and part.name in MAKERS[:2]]
    given = parameters(makers[0]) if makers else fields(node)
    if makers or is_record(node):
        yield from unlike(node, "Parameters", given, given)
    yield from unlike(node, "Attributes", attributes(node), fields(node) if is_record(node) else set())
    for part in node.body:
        if isinstance(part, FUNCTIONS):
            yield from of_function(part, around, helpers, node.name)


@pytest.mark.parametrize("name", FILES)
def test_docstrings_say_what_is_so(name):
    assert list(faults(ast.parse(FILES[name].read_text()))) == []


@pytest.mark.parametrize("name", FILES)
def test_no_banners_and_no_docstrings_that_say_nothing(name):
    text = FILES[name].read_text()
    assert not [line for line in text.splitlines() if BANNER.match(line.strip())]
    assert '"""Itself."""' not in text


@pytest.mark.parametrize("name", EQUATIONS)
def test_what_is_computed_has_its_equation_and_its_source(name):
    records = [node for node in ast.parse(FILES[name].read_text()).body
               if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    texts = {node.name: ast.get_docstring(node) for node in records}
    assert texts and [name for name, text in texts.items() if " = " not in text] == []
    assert {name for name, text in texts.items() if not re.search(r"\s(19|20)\d\d\b.*\b(doi|section)", text, re.DOTALL)
            } <= ARITHMETIC


@pytest.mark.parametrize("source, expected", [
    ('def f():\n    "May raise a DataError."\n    raise DataError("no")', []),
    ('def f():\n    "No."\n    raise errors.DataError("no")', ["f: raises DataError"]),
    ('def f():\n    "No."\n    if x:\n        raise error from None', []),
    ('def _f():\n    raise DataError', []),
    ('def f():\n    "No."\n    _g()\ndef _g():\n    raise DataError', ["f: raises DataError"]),
    ('def f():\n    "No."\n    try:\n        raise DataError\n    except ValueError:\n        pass', []),
    ('def f():\n    "No."\n    try:\n        raise DataError\n    except ValueError:\n        raise',
     ["f: raises DataError"]),
    ('def f():\n    "No."\n    try:\n        pass\n    except ValueError:\n        raise DataError from None',
     ["f: raises DataError"]),
    ('def f(x):\n    "No."\n    require(x, 1, 2, 3, 4)', ["f: raises SettingsError"]),
    ('def f(x):\n    "A DataErrors."\n    require(x, 1, 2, 3, 4, DataError)', ["f: raises DataError"]),
    ('def f(x):\n    "No."\n    require(x, 1, 2, 3, 4, error=DataError)', ["f: raises DataError"]),
    ('"""DataError."""\ndef f(x):\n    "No."\n    require(x, 1, 2, 3, 4, DataError)', []),
    ('def _f():\n    """One idea\n    in two lines."""', ["_f: One idea"]), ('def f():\n    "An idea"', ["f: An idea"]),
    ('class A:\n    "A SettingsError."\n    def __post_init__(self):\n        check_fields(self, x=1)', []),
    ('class A:\n    "No."\n    def __init__(self):\n        check_fields(self, DataError, x=1)',
     ["A.__init__: raises DataError"]),
    ('def f(a, *, b=1):\n    """F.\n\n    Parameters\n    ----------\n    a : int\n    c : int\n        C.\n    """',
     ["f: Parameters: no c", "f: Parameters: b is missing"]),
    ('def f(a, *b, **c):\n    """F.\n\n    Parameters\n    ----------\n    a, *b\n        A.\n    **c : int\n\n'
     '    Returns\n    -------\n    d : int\n    """', []),
    ('@dataclass\nclass A:\n    """A.\n\n    Attributes\n    ----------\n    x : int\n    z : int\n    """\n    y: int',
     ["A: Attributes: no x", "A: Attributes: no z", "A: Attributes: y is missing"])])
def test_what_is_not_so_is_noticed(source, expected):
    assert list(faults(ast.parse(source))) == expected


@pytest.mark.parametrize("line, expected", [("# -- cores ------", True), ("# ---- the core ----", True),
                                            ("# x -- y", False), ("# one: -1", False), ("# -----------", True)])
def test_a_banner_is_noticed(line, expected):
    assert bool(BANNER.match(line)) == expected


def untyped(tree):
    """Names of a module's functions, public and private, that do not say the types of all that they take and give."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS):
            given = node.args
            taken_in = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
            bare = [each.arg for each in taken_in if each.annotation is None and each.arg not in ("self", "cls")]
            yield from (f"{node.name}: {name}" for name in bare)
            yield from [f"{node.name}: what it gives"] * (node.returns is None)


@pytest.mark.parametrize("name", FILES)
def test_functions_say_their_types(name):
    assert list(untyped(ast.parse(FILES[name].read_text()))) == []


def test_a_missing_type_is_seen():
    source = "class A:\n    def f(self, a, *b: int, c: int = 0, **d) -> int: pass\ndef g(e: str): pass"
    assert sorted(untyped(ast.parse(source))) == ["f: a", "f: d", "g: what it gives"]


def test_every_example_runs_as_a_doctest(request):
    """In ``make test``, but for files that it leaves out; these have none."""
    config = request.config
    assert config.getini("addopts").count("--doctest-modules") == 1 and "spikingconvnet" in config.getini("testpaths")
    left_out = [word.partition("=")[2] for word in config.getini("addopts") if word.startswith("--ignore=")]
    examples = [name for name, path in FILES.items() if re.search(r"^ *>>> ", path.read_text(), re.MULTILINE)]
    assert len(examples) > 20
    assert [name for name in examples if f"spikingconvnet/{name}".startswith(tuple(left_out))] == []
