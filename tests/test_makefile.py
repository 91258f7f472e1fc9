"""What ``make test`` would do, read from ``make -n``: an environment is used again only for the Python that made it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def planned(tmp_path):
    """A function that lists the commands of ``make test`` for an interpreter; nothing is run."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "spikingconvnet").mkdir()
    for name in ("setup.py", "distribution.py", "spikingconvnet/__init__.py"):
        (tmp_path / name).touch()

    environment = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS")}

    def commands(python):
        done = subprocess.run(["make", "-n", "test", f"PYTHON={python}"], cwd=tmp_path, env=environment,
                              capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    return commands


def test_hooks_before_a_commit_are_the_lint_of_ci():
    lint = re.findall(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[0]
    hooks = re.findall(r"entry: (.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert hooks == [line.strip().replace("$(VENV)", ".venv") for line in lint.splitlines()]


def other_python(directory):
    """Stands for an interpreter of another version: what it prints is its name."""
    path = directory / "other"
    path.write_text("#!/bin/sh\necho other-99\n")
    path.chmod(0o755)
    return path


def test_an_environment_is_used_again_by_its_own_python_and_made_anew_by_another(planned, tmp_path):
    first = planned(sys.executable)
    assert first[0] == f"{sys.executable} -m venv --clear .venv"
    assert first[-1] == ".venv/bin/python -m pytest -n auto --dist loadfile --no-loadscope-reorder"
    stamp = tmp_path / first[-2].removeprefix("touch ")
    stamp.parent.mkdir()
    stamp.touch()
    assert planned(sys.executable) == [first[-1]]
    other = other_python(tmp_path)
    assert planned(other)[0] == f"{other} -m venv --clear .venv"


def test_a_new_version_of_the_package_is_installed_into_the_environment_that_is_there(planned, tmp_path):
    stamp = tmp_path / planned(sys.executable)[-2].removeprefix("touch ")
    stamp.parent.mkdir()
    stamp.touch()
    later = stamp.stat().st_mtime_ns + 10 ** 9
    os.utime(tmp_path / "setup.py", ns=(later, later))
    assert planned(sys.executable)[0].split() == [sys.executable, "-m", "venv", ".venv"]


def test_files_that_are_to_run_first_are_there_and_do(request):
    conftest = request.config.pluginmanager.get_plugin(str(ROOT / "tests/conftest.py"))
    assert all((ROOT / "tests" / name).is_file() for name in conftest.FIRST)
    order = [SimpleNamespace(path=ROOT / "tests" / name) for name in ("a.py", *conftest.FIRST[::-1], "b.py")]
    conftest.pytest_collection_modifyitems(order)
    assert [item.path.relative_to(ROOT / "tests").as_posix() for item in order] == [*conftest.FIRST, "a.py", "b.py"]
