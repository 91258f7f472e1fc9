"""One fault after another in copies of the tree: a forked process with limits runs the nearest tests.

The modules that tests need are imported once, in the parent, the package itself in each fork.
"""

import contextlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import Phase, settings

PARTS = ("spikingconvnet", "tests", "benchmarks", "docs", "examples", "data", "main.py", "parameters.py",
         "pyproject.toml", "setup.py", "README.md", "Makefile")
MEMORY = 16 << 30
QUIET = ["-p", "no:cacheprovider", "-p", "no:xdist"]
ARGUMENTS = ["-x", "-q", "--no-header", "--tb=line", *QUIET, "-p", "mutants.run"]


def pytest_collection():
    """As a plugin: the same examples every time, and a failing one is not made small."""
    settings.register_profile("faults", settings(derandomize=True, database=None, deadline=None, print_blob=False,
                                                 phases=(Phase.explicit, Phase.generate, Phase.target)))
    settings.load_profile("faults")


def warm():
    """Import in the parent what most tests import; nothing of it starts a thread."""
    for name in ("numpy", "scipy.sparse", "scipy.stats", "sklearn.svm", "sklearn.linear_model", "hypothesis.strategies",
                 "hypothesis.extra.numpy", "matplotlib.pyplot"):
        import_module(name)


def collected(root, files):
    """Ids of the tests that these files have, in a process of its own: set of str."""
    found = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", *QUIET, *files], cwd=root,
                           capture_output=True, text=True) if files else None
    return set(found.stdout.splitlines()) if found else set()


def copy_of(root, where):
    """A copy of the tree with compiled Python in it."""
    where = Path(where)
    for part in PARTS:
        source = Path(root) / part
        if source.is_dir():
            shutil.copytree(source, where / part, ignore=shutil.ignore_patterns("__pycache__", "runs"))
        else:
            shutil.copy2(source, where / part)
    os.system(f"{sys.executable} -m compileall -q {where}/spikingconvnet {where}/tests >/dev/null")
    return where


@dataclass
class Ended:
    """How a run of tests ended: 'passed', 'failed', 'time' (a limit), 'broken' (nothing could be run); its output."""

    kind: str
    output: str
    seconds: float

    @property
    def killer(self):
        """Id of the test that failed, or nothing."""
        found = re.search(r"^(?:FAILED|ERROR) (\S+::.*?)(?: - .*)?$", self.output, re.MULTILINE)
        return found[1] if found else ""


def start(tree, file, text, tests, seconds):
    """Fork the tests of a tree, one file of which has another text: what :func:`ended` needs."""
    path, begin = Path(tree) / file, time.monotonic()
    kept, when = path.read_text(), path.stat()
    if text is not None:
        path.write_text(text)
        os.utime(path, (when.st_atime, when.st_mtime + 60))     # so that no compiled file of before is taken for it
    sys.stdout.flush(), sys.stderr.flush()
    pid = os.fork()
    if not pid:
        _child(Path(tree), tests, seconds)
    return pid, path, (kept, when) if text is not None else None, Path(tree), begin, 300 + 20 * seconds


def _child(tree, tests, seconds):
    code = 97
    try:
        os.setsid()
        os.chdir(tree)
        out = os.open(tree / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1), os.dup2(out, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (int(20 + 4 * seconds), int(25 + 4 * seconds)))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        sys.path[:0] = [str(tree), str(tree / "benchmarks")]
        os.environ |= {"PYTHONPATH": f"{tree}:{tree / 'benchmarks'}", "PYTHONDONTWRITEBYTECODE": "1",
                       "TMPDIR": str(tree / "tmp")}
        sys.dont_write_bytecode = True
        (tree / "tmp").mkdir(exist_ok=True)
        code = int(pytest.main([*ARGUMENTS, f"--basetemp={tree / 'tmp' / 'base'}", *tests]))
    finally:
        sys.stdout.flush(), sys.stderr.flush()
        os._exit(code)


def ended(started):
    """How a started run has ended: Ended, or None while it goes on; the file is as before then."""
    pid, path, kept, tree, begin, patience = started
    found, status = os.waitpid(pid, os.WNOHANG)
    late = not found and time.monotonic() - begin > patience
    if not found and not late:
        return None
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    if late:
        _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if kept:
        path.write_text(kept[0])
        os.utime(path, (kept[1].st_atime, kept[1].st_mtime))
    for left in ("tmp", ".hypothesis"):
        shutil.rmtree(tree / left, ignore_errors=True)
    kind = ("time" if late or code in (-signal.SIGXCPU, -signal.SIGKILL) else
            "passed" if code == 0 else "failed" if code in (1, 2) or code < 0 else "broken")
    return Ended(kind, (tree / "output").read_text(errors="replace"), time.monotonic() - begin)
