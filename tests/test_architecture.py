"""Who may import whom, where heavy libraries live, and what the package never does; read from the source itself."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "spikingconvnet"

# A module imports only from rows above its own; within a row nothing, except inside one folder.
ROWS = (
    ("errors",),
    ("address", "fields", "sizes", "files", "surroundings"),
    ("locks",),
    ("schema", "spikes", "geometry", "neurons", "plasticity", "datasets", "preprocessing"),
    ("layers", "connectivity", "encoding", "readout"),
    ("model", "network"),
    ("build", "store", "settings", "backends", "arch"),
    ("silence",),
    ("training", "deployment", "plotting", "replicas"),
    ("crossvalidation",),
    ("experiment", "recipes"),
    ("report", "subjects"),
    ("modes",),
    ("cli",),
    ("__main__",),
)
ISLANDS = {"emulator"}                       # they import nothing else of the package
EXCEPTIONS = {("neurons", "spikes")}        # SpikeSourceArray holds Spikes
HOMES = {"numba": "kernels.py", "sklearn": ("readout.py", "datasets.py"), "matplotlib": "plotting/",
         "mnist": "datasets.py", "tqdm": "cli.py", "unicorn": "cpu.py", "distributed": "replicas.py",
         "torch": "training/gradients/"}
COMMAND_LINE = ("cli.py", "modes.py", "surroundings.py", "__main__.py")     # the only ones that print
NEVER = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
HEAVY = ["scipy", "sklearn", "matplotlib", "numba", "mnist", "tqdm", "unicorn", "distributed", "torch"]

RANK = {name: rank for rank, row in enumerate(ROWS) for name in row}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    """``spikingconvnet.backends.base`` for its file; a package's name for its ``__init__``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


def imported(source, module="spikingconvnet.x", modules=MODULES):
    """Full names of everything that a module imports, at any level and in texts that name a module of the package."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[:-node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            found.update(full if (full := f"{base}.{alias.name}") in modules else base for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"spikingconvnet(\.\w+)+", node.value):
                found.add(node.value)
    return found


def part(module):
    """First name below the package: ``backends`` for ``spikingconvnet.backends.local.kernels``."""
    return module.split(".")[1] if "." in module else ""


def forbidden(importer, target):
    """Whether a module of the package may not import another one."""
    a, b = part(importer), part(target)
    if not b or (a, b) in EXCEPTIONS:           # the package itself is only its version
        return False
    if a == b:
        return (PACKAGE / f"{a}.py").exists()
    if a in ISLANDS:
        return True
    return b not in ISLANDS and RANK[b] >= RANK[a]


def nodes(path, *kinds):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def test_the_rule_has_rows_and_the_package_has_modules():
    assert len(ROWS) >= 9 and all(ROWS) and len(RANK) == sum(map(len, ROWS))
    assert len(SOURCES) > 20 and "spikingconvnet.backends.local.kernels" in MODULES


def test_every_module_has_a_row_and_every_row_its_modules():
    assert {part(module) for module in MODULES} - {""} == set(RANK) | ISLANDS


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_from_rows_above_its_own(module):
    targets = {t for t in imported(MODULES[module].read_text(), module) if t.split(".")[0] == "spikingconvnet"}
    assert [target for target in sorted(targets) if forbidden(module, target)] == []


def test_the_imports_that_the_rule_judges_are_there():
    count = sum(t.startswith("spikingconvnet.") for m, path in MODULES.items() for t in imported(path.read_text(), m))
    assert count > 60
    assert "spikingconvnet.backends.local.simulator" in imported((PACKAGE / "backends/__init__.py").read_text())


@pytest.mark.parametrize("importer, source, allowed", [
    ("spikes", "def f():\n    from spikingconvnet.cli import main", False),
    ("spikes", "from spikingconvnet import geometry", False),
    ("spikes", "from . import cli", False),
    ("spikes", "from .errors import require", True),
    ("neurons", "from spikingconvnet.spikes import Spikes", True),
    ("spikes", "from spikingconvnet.neurons import IFCurrExp", False),
    ("store", "import spikingconvnet.backends.local.kernels as k", False),
    ("store", "NAME = 'spikingconvnet.training.stdp'", False),
    ("backends.local.simulator", "from spikingconvnet.backends.base import Recording", True),
    ("backends.local.simulator", "from ..base import Recording", True),
    ("backends.base", "from spikingconvnet.store import digest", False),
    ("training.stdp", "from spikingconvnet import build", True),
    ("training.stdp", "from spikingconvnet import plotting", False),
    ("experiment", "from spikingconvnet.report import plot", False),
    ("report", "from spikingconvnet.experiment import Experiment", True),
    ("report", "from spikingconvnet import cli", False),
    ("cli", "import spikingconvnet", True),
    ("cli", "from spikingconvnet.emulator.cli import main", True),
    ("backends.local.simulator", "from spikingconvnet.emulator import Board", True),
    ("emulator.core", "from spikingconvnet.errors import require", False),
    ("emulator.core", "from spikingconvnet.emulator.errors import BusError", True)])
def test_the_rule_sees_what_it_should(importer, source, allowed):
    importer = f"spikingconvnet.{importer}"
    targets = [t for t in imported(source, importer) if t.split(".")[0] == "spikingconvnet"]
    assert targets and (not any(forbidden(importer, target) for target in targets)) == allowed


@pytest.mark.parametrize("library, home", HOMES.items())
def test_a_heavy_library_has_one_home(library, home):
    users = [path for module, path in MODULES.items()
             if library in {name.split(".")[0] for name in imported(path.read_text(), module)}]
    places = [path.relative_to(PACKAGE).as_posix() for path in users]
    assert places and all(place.endswith(home) or str(home).endswith("/") and place.startswith(home)
                          for place in places)


def loaded_by(statement):
    code = f"import sys; {statement}; print(' '.join(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.split()


def test_the_package_alone_loads_nothing_heavy():
    assert loaded_by("import spikingconvnet") == []


def test_a_parameters_file_can_be_checked_without_anything_heavy():
    assert loaded_by("from spikingconvnet import settings; settings.load('parameters.py')") == []


@pytest.mark.parametrize("path", SOURCES, ids=map(module_name, SOURCES))
def test_nothing_is_unpickled_evaluated_or_caught_without_a_name(path):
    assert NEVER.isdisjoint(name.split(".")[0] for name in imported(path.read_text()))
    for call in nodes(path, ast.Call):
        assert not (isinstance(call.func, ast.Name) and call.func.id in ("eval", "exec", "compile", "__import__"))
        allowed = [word.value for word in call.keywords if word.arg == "allow_pickle"]
        assert all(isinstance(value, ast.Constant) and value.value is False for value in allowed)
    for handler in nodes(path, ast.ExceptHandler):
        assert handler.type is not None
        assert not (isinstance(handler.type, ast.Name) and handler.type.id == "BaseException")


@pytest.mark.parametrize("path", SOURCES, ids=map(module_name, SOURCES))
def test_only_the_command_line_prints(path):
    prints = [n for n in nodes(path, ast.Name) if n.id == "print"]
    streams = [n for n in nodes(path, ast.Attribute) if n.attr in ("stdout", "stderr")]
    assert path.name in COMMAND_LINE or not (prints or streams)


@pytest.mark.parametrize("name", COMMAND_LINE[1:])
def test_the_command_line_does_print(name):
    assert any(n.id == "print" for n in nodes(PACKAGE / name, ast.Name))


def undocumented(body, prefix=""):
    """Names of the public functions, classes and methods without a docstring."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if (not node.name.startswith("_") or node.name == "__call__") and not ast.get_docstring(node):
                yield prefix + node.name
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                yield from undocumented(node.body, f"{prefix}{node.name}.")


@pytest.mark.parametrize("path", SOURCES, ids=map(module_name, SOURCES))
def test_everything_public_has_a_docstring(path):
    tree = ast.parse(path.read_text())
    assert list(undocumented(tree.body)) == []
    assert ast.get_docstring(tree) or not tree.body


def test_a_missing_docstring_is_seen():
    source = ('def f(): pass\nclass A:\n    "a"\n    def g(self): pass\n    def _h(self): pass\n'
              "    def __call__(self): pass")
    assert list(undocumented(ast.parse(source).body)) == ["f", "A.g", "A.__call__"]


@pytest.mark.parametrize("path", SOURCES, ids=map(module_name, SOURCES))
def test_the_source_is_python_3_10(path):
    ast.parse(path.read_text(), feature_version=(3, 10))


@pytest.mark.parametrize("path", SOURCES, ids=map(module_name, SOURCES))
def test_randomness_comes_in_as_an_argument(path):
    assert "random" not in imported(path.read_text())
    used = {node.attr for node in nodes(path, ast.Attribute)
            if isinstance(node.value, ast.Attribute) and node.value.attr == "random"
            and isinstance(node.value.value, ast.Name) and node.value.value.id in ("np", "numpy")}
    assert used <= {"default_rng", "Generator"}
