"""Who may import whom, where heavy libraries live, and what the package never does; read from the source itself."""

import ast
import builtins
import re
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "spikingconvnet"

# The rooms of the house: a module imports only from ranks above its own row, and from its own room.
RANKS = (
    ("errors",),
    ("gates",),
    ("network",),
    ("data", "model", "board", "store", "plotting"),
    ("backends",),
    ("training", "health", "compare", "exchange"),
    ("experiment",),
    ("cli", "__main__", "console"),
)
ISLANDS = {"emulator"}                       # they import nothing else of the package
MOST_ROOMS, LONGEST, MEDIAN, MEAN_BODY = 18, 450, 180, 8      # rooms; lines of a file; of a function's body
HOMES = {"numba": "kernels.py",
         "sklearn": ("baselines.py", "estimator.py", "iris.py", "sources_sklearn.py"),
         "matplotlib": "plotting/", "mnist": "idx.py", "PIL": "sources_pictures.py", "pooch": "sources_named.py",
         "tqdm": "cli/messages.py", "shtab": "cli/completion.py", "unicorn": "cpu.py", "pytest": "pytest_plugin.py",
         "tornado": "emulator/spalloc/",
         "distributed": "workers.py",
         "nmpi": "experiment/jobs/queue.py",
         "nir": "exchange/exporting.py", "h5py": "exchange/graph.py", "neo": "exchange/neo_blocks.py",
         "torch": "training/chain/gradients/"}
COMMAND_LINE = ("cli/messages.py", "gates/surroundings.py", "emulator/cli.py", "__main__.py")     # print
NEVER = {"pickle", "cPickle", "dill", "joblib", "cloudpickle", "shelve", "marshal"}
HEAVY = ["scipy", "sklearn", "matplotlib", "numba", "mnist", "PIL", "pooch", "tqdm", "unicorn", "distributed",
         "torch"]

RANK = {name: rank for rank, row in enumerate(RANKS) for name in row}
SOURCES = sorted(PACKAGE.rglob("*.py"))


def module_name(path):
    """``spikingconvnet.backends.base`` for its file; a package's name for its ``__init__``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in SOURCES}


@cache                              # every rule asks for those of the whole package
def imported(source, module="spikingconvnet.x"):
    """Full names of everything that a module imports, at any level and in texts that name a module of the package."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[:-node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            found.update(full if (full := f"{base}.{alias.name}") in MODULES else base for alias in node.names)
        elif isinstance(node, ast.Constant) and re.fullmatch(r"spikingconvnet(\.\w+)+", str(node.value)):
            found.add(node.value)
    return found


def part(module):
    """First name below the package: ``backends`` for ``spikingconvnet.backends.local.kernels``."""
    return module.split(".")[1] if "." in module else ""


def forbidden(importer, target):
    """Whether a module of the package may not import another one."""
    a, b = part(importer), part(target)
    if not b or a == b:                 # the package itself is only its version and its face
        return False
    if a in ISLANDS:
        return True
    return b not in ISLANDS and RANK[b] >= RANK[a] and (a, b) not in (("__main__", "cli"), ("console", "__main__"))


def nodes(path, *kinds):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def test_the_house_has_its_ranks_and_rooms():
    assert len(RANKS) == 8 and len(RANK) + len(ISLANDS) <= MOST_ROOMS
    assert len(SOURCES) > 100 and "spikingconvnet.backends.local.kernels" in MODULES
    assert {part(module) for module in MODULES} - {""} == set(RANK) | ISLANDS


def test_the_picture_in_the_docs_is_the_house():
    text = (ROOT / "docs/architecture.md").read_text().split("## The house")[1].split("```")[1]
    drawn, rank = {}, None
    for line in text.strip().splitlines():
        rank, names = line[:2].strip() or rank, re.findall(r"^(?:\d|.)  (\w+)(?:/|\.py) ", line)
        drawn.update(dict.fromkeys(names, int(rank)))
        drawn.update(dict.fromkeys(re.findall(r"; +(\w+)\.py: ", line), int(rank)))
    assert {name: drawn.get(name, 0) - 1 for name in RANK} == RANK
    assert set(drawn) == set(RANK) | ISLANDS


def test_no_room_is_empty():
    assert [path for path in SOURCES if path.name == "__init__.py" and len(list(path.parent.iterdir())) == 1] == []


def run(source):
    """A source without what stands below ``if TYPE_CHECKING``: types that name each other run in no circle."""
    if "TYPE_CHECKING" not in source:
        return source
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    return ast.unparse(tree)


def test_no_modules_import_each_other_in_a_circle():
    arrows = {module: {t for t in imported(run(path.read_text()), module) if t in MODULES} - {module}
              for module, path in MODULES.items() if path.name != "__init__.py"}
    TopologicalSorter(arrows).prepare()
    with pytest.raises(CycleError):
        TopologicalSorter({**arrows, "spikingconvnet.errors": {"spikingconvnet.cli.main"}}).prepare()


def test_files_and_functions_stay_small():
    lines = sorted(len(path.read_text().splitlines()) for path in SOURCES)
    bodies = [body(node) for path in SOURCES for node in nodes(path, ast.FunctionDef)]
    assert lines[-1] <= LONGEST and lines[len(lines) // 2] < MEDIAN
    assert sum(bodies) / len(bodies) < MEAN_BODY


def body(function):
    """Lines of a function's body, without its docstring."""
    first = function.body[bool(ast.get_docstring(function)):]
    return first[-1].end_lineno - first[0].lineno + 1 if first else 0


def test_no_module_takes_what_another_keeps_to_itself():
    taken = [(module, alias.name) for module, path in MODULES.items() for node in nodes(path, ast.ImportFrom)
             for alias in node.names if (node.module or "").startswith("spikingconvnet")
             and alias.name.startswith("_") and not alias.name.startswith("__")]
    assert taken == []


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_from_ranks_above_its_own(module):
    targets = {t for t in imported(MODULES[module].read_text(), module) if t.split(".")[0] == "spikingconvnet"}
    assert [target for target in sorted(targets) if forbidden(module, target)] == []


def test_the_page_of_a_run_stands_above_the_rest_of_its_room():
    page = "spikingconvnet.experiment.report"
    asked = {module for module, path in MODULES.items() if not module.startswith(page)
             and any(target.startswith(page) for target in imported(path.read_text(), module))}
    assert asked == {"spikingconvnet.cli.modes"}


def test_only_these_methods_open_functions_of_higher_ranks():
    """Through the face, when they are called: who has a network or a recording looks for the way out behind its dot."""
    opened = {f"{module.removeprefix('spikingconvnet.')}.{function.name}"
              for module, path in MODULES.items() for function in nodes(path, ast.FunctionDef)
              for node in ast.walk(function) if isinstance(node, ast.ImportFrom) and node.module == "spikingconvnet"
              if not all(f"spikingconvnet.{alias.name}" in MODULES for alias in node.names)}
    assert opened == {"network.netlist.to_nir", "backends.base.to_neo"}


def test_the_imports_that_the_rule_judges_are_there():
    count = sum(t.startswith("spikingconvnet.") for m, path in MODULES.items() for t in imported(path.read_text(), m))
    assert count > 60
    assert "spikingconvnet.backends.local.simulator" in imported((PACKAGE / "backends/__init__.py").read_text())


@pytest.mark.parametrize("importer, source, allowed", [
    ("network.spikes", "def f():\n    from spikingconvnet.cli.main import main", False),
    ("network.spikes", "from spikingconvnet.network import geometry", True),
    ("network.spikes", "from ..cli import main", False),
    ("network.spikes", "from ..errors import require", True),
    ("network.neurons", "from spikingconvnet.network.spikes import Spikes", True),
    ("network.spikes", "from spikingconvnet.board.lowering import lower", False),
    ("store.directory", "import spikingconvnet.backends.local.kernels as k", False),
    ("store.directory", "NAME = 'spikingconvnet.training.layerwise.stdp'", False),
    ("store.directory", "from spikingconvnet.data.images import ImageSet", False),
    ("backends.local.simulator", "from spikingconvnet.backends.base import Recording", True),
    ("backends.local.simulator", "from ..base import Recording", True),
    ("backends.base", "from spikingconvnet.store.arrays import digest", True),
    ("backends.base", "from spikingconvnet.health.verdict import judge", False),
    ("training.layerwise.stdp", "from spikingconvnet.model import build", True),
    ("training.layerwise.stdp", "from spikingconvnet.compare import causes", False),
    ("experiment.experiment", "from spikingconvnet.cli.messages import say", False),
    ("experiment.figures", "from spikingconvnet.experiment.experiment import Experiment", True),
    ("experiment.report.page", "from spikingconvnet.experiment.results import Results", True),
    ("experiment.report.page", "from spikingconvnet.cli.messages import say", False),
    ("cli.main", "import spikingconvnet", True),
    ("cli.main", "from spikingconvnet.emulator.cli import main", True),
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
    assert places and all(place.endswith(home) or (str(home).endswith("/") and place.startswith(home))
                          for place in places)


def loaded_by(statement):
    code = f"import sys; {statement}; print(' '.join(m for m in {HEAVY} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.split()


def test_the_package_alone_loads_nothing_heavy():
    assert loaded_by("import spikingconvnet") == []


def test_a_command_starts_with_what_draws_bars_alone():
    assert loaded_by("import spikingconvnet.cli.main") == ["tqdm"]


def test_a_parameters_file_can_be_checked_without_anything_heavy():
    assert loaded_by("from spikingconvnet import load_settings; load_settings('parameters.py')") == []


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
    assert path.relative_to(PACKAGE).as_posix() in COMMAND_LINE or not (prints or streams)


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


def named(source):
    """Names of modules of the package in a source: (module, name) of what it imports from them and takes of them."""
    tree, known = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "spikingconvnet":
            for alias in node.names:
                if f"{node.module}.{alias.name}" in MODULES:
                    known[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                elif alias.name != "*":
                    yield node.module, alias.name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            yield known[node.value.id], node.attr


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda path: path.stem)
def test_benchmarks_name_what_is_there(path):
    """No test runs all of them."""
    found = sorted(set(named(path.read_text())))
    if any(".gradients" in module for module, _ in found):
        pytest.importorskip("torch")
    assert [(module, name) for module, name in found
            if not (hasattr(import_module(module), name) or hasattr(builtins, name))] == []    # whose place it takes


def test_a_name_that_is_not_there_is_seen():
    source = ("from spikingconvnet.data import idx, split\nfrom spikingconvnet.errors import Nothing\n"
              "idx.nowhere, split.split")
    assert set(named(source)) == {("spikingconvnet.errors", "Nothing"), ("spikingconvnet.data.idx", "nowhere"),
                                  ("spikingconvnet.data.split", "split")}
