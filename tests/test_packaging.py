"""What the extras install together, what is installed, and what is said of it. ``make package`` installs it."""

import re
import subprocess
import sys
from importlib.metadata import metadata, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import spikingconvnet

ROOT = Path(__file__).parent.parent
REQUIRED = [Requirement(line) for line in requires("spikingconvnet")]


def of_extra(extra):
    """Version specifiers of what an extra installs: dict of str to SpecifierSet."""
    return {one.name: one.specifier for one in REQUIRED if one.marker and one.marker.evaluate({"extra": extra})}


@pytest.mark.parametrize("extra", ["spinnaker", "test", "docs", "complete"])
def test_spynnaker_is_installed_with_a_numpy_with_which_it_reads_rewiring(extra):
    """Tried with its wheels: 2.3.5 reads them with a warning, 2.4.0 raises TypeError."""
    found = of_extra(extra)
    assert "sPyNNaker" in found and found["numpy"].contains("2.3.5") and not found["numpy"].contains("2.4.0")


def test_no_other_extra_brings_spynnaker():
    extras = {str(one.marker).split('"')[1] for one in REQUIRED if one.marker and "extra" in str(one.marker)}
    assert {extra for extra in extras if "sPyNNaker" in of_extra(extra)} == {
        "spinnaker", "test", "docs", "complete"}


def test_what_is_installed_is_all_of_it(tmp_path):
    """Every module, types (PEP 561: a type checker takes a package without the marker for untyped), recipes, page."""
    subprocess.run([sys.executable, "setup.py", "-q", "build_py", "--build-lib", tmp_path], cwd=ROOT, check=True)
    wanted = {path.relative_to(ROOT) for pattern in ("*.py", "*.pyi", "py.typed", "page.*")
              for path in (ROOT / "spikingconvnet").rglob(pattern) if "__pycache__" not in path.parts}
    installed = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert installed == wanted and len(wanted) > 100 and Path("spikingconvnet/py.typed") in wanted


BOARD_ALONE = """
import sys
import numpy.typing
sys.path[:] = [sys.argv[1], *(folder for folder in sys.path if "site-packages" not in folder)]     # and nothing else
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
import spikingconvnet.emulator.cli
from spikingconvnet.emulator import Board
print(spikingconvnet.emulator.__file__)
"""


def test_the_board_is_a_distribution_of_its_own(tmp_path):
    subprocess.run([sys.executable, ROOT / "board/setup.py", "-q", "build_py", "--build-lib", tmp_path,
                    "egg_info", "--egg-base", tmp_path], check=True)
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*.py")}
    assert {path.parts[1] for path in files if len(path.parts) > 2} == {"emulator"}
    assert files >= {path.relative_to(ROOT) for path in (ROOT / "spikingconvnet/emulator").rglob("*.py")}
    assert (tmp_path / "spikingconvnet_board.egg-info/requires.txt").read_text().split() == [
        "numpy>=1.26", "[unicorn]", "unicorn==2.1.4"]
    done = subprocess.run([sys.executable, "-I", "-c", BOARD_ALONE, tmp_path], capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "spikingconvnet/emulator/__init__.py"), done.stderr


def test_what_is_built_from_a_source_distribution_is_in_it(tmp_path):
    """Without the headers there would be no compiled parts, and no word of it: they are optional."""
    subprocess.run([sys.executable, "setup.py", "-q", "egg_info", "--egg-base", tmp_path], cwd=ROOT, check=True)
    named = set((tmp_path / "spikingconvnet.egg-info/SOURCES.txt").read_text().splitlines())
    wanted = {path.relative_to(ROOT).as_posix() for pattern in ("*.py", "*.pyi", "*.c", "*.h", "page.*")
              for path in (ROOT / "spikingconvnet").rglob(pattern) if "__pycache__" not in path.parts}
    assert named >= wanted | {"README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "parameters.py", "main.py",
                              "docs/api.md", "examples/best.py", "setup.py", "distribution.py", "board/setup.py",
                              "pyproject.toml"}


def test_metadata_changelog_and_citation_say_the_same():
    told, version = metadata("spikingconvnet"), spikingconvnet.__version__
    citation = dict(re.findall(r"^([a-z-]+): (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE))
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert told["Version"] == version == citation["version"] == newest
    assert told["Name"] == citation["title"] == "spikingconvnet" and told["License"] == citation["license"] == "MIT"
    assert citation["abstract"].startswith(told["Summary"])
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")
    minors = [int(line.rpartition(".")[2]) for line in told.get_all("Classifier") if re.search(r":: 3\.\d", line)]
    readme = re.search(r"Python 3\.(\d+) to 3\.(\d+)", (ROOT / "README.md").read_text())
    assert told["Requires-Python"] == f">=3.{min(minors)}"
    assert [*map(int, readme.groups())] == [min(minors), max(minors)]


def test_the_experiment_that_travels_with_the_package_is_that_of_the_repository():
    assert (ROOT / "spikingconvnet/experiment/template.py").read_text() == (ROOT / "parameters.py").read_text()


def test_the_emulated_board_needs_nothing_but_numpy_and_unicorn():
    """As ``pip install --no-deps spikingconvnet``, numpy and unicorn: everything else is refused to it."""
    done = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and int(done.stdout) > 20


ALONE = """
import importlib, pkgutil, sys

class Alone:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "unicorn", "spikingconvnet"}:
            raise ModuleNotFoundError(name)
        if name.startswith("spikingconvnet.") and not name.startswith("spikingconvnet.emulator"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Alone)
from spikingconvnet import emulator
others = "__main__", "_native", "pytest_plugin"     # the last is imported by pytest alone
names = [one.name for one in pkgutil.iter_modules(emulator.__path__) if one.name not in others]
for name in names:
    importlib.import_module(f"spikingconvnet.emulator.{name}")
emulator.cli.parser().format_help()
print(len(names))
"""
