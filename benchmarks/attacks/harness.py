"""One case of an attack: a forked process with limits, and what became of it.

Modules are imported once, in the parent; a case costs a fork. The parent must not have used OpenMP, whose threads a
fork does not copy: what prepares a case runs in a process of its own, see :func:`apart`.
"""

import collections
import gc
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
GOOD = "done", "refused"
BAD = "traceback", "crash", "hang", "nonsense"
CPU_SECONDS, MEMORY, PATIENCE = 60, 6 << 30, 600      # limits of a case; PATIENCE is wall-clock, for one that sleeps


@dataclass
class Case:
    """What is done, and how it is judged.

    Attributes
    ----------
    name : str
        What has been altered, so that a reader can do it again by hand.
    work : callable
        ``work()`` runs in the forked process: exit code or None.
    judge : callable
        ``judge(outcome)``, in the parent: None, or what is wrong though nothing failed.
    """

    name: str
    work: object
    judge: object = field(default=lambda outcome: None)


@dataclass
class Outcome:
    """What became of a case: one of GOOD or BAD, the exit code (negative: a signal), what it printed, what is wrong."""

    kind: str
    code: int
    stdout: str
    stderr: str
    wrong: str = ""
    seconds: float = 0.0


def warm():
    """Import in the parent what a command imports when it needs it; nothing of it starts a thread."""
    for folder in ("backends/local", "board", "cli", "compare", "experiment", "experiment/jobs", "experiment/report",
                   "plotting", "training/chain", "training/layerwise"):
        for path in sorted((ROOT / "spikingconvnet" / folder).glob("*.py")):
            if not path.stem.endswith("_kernels") and path.stem != "kernels":
                import_module(f"spikingconvnet.{folder.replace('/', '.')}.{path.stem}")


def command(*args):
    """``work`` of a Case: a command line of the package."""
    def work():
        from spikingconvnet.cli import main as cli

        return cli.main([str(arg) for arg in args])

    return work


def start(case, where):
    """Fork a process that does the work of a case: what :func:`finish` needs."""
    out, err = Path(where) / "stdout", Path(where) / "stderr"
    sys.stdout.flush(), sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid, case, out, err, time.monotonic()
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for path, number in ((out, 1), (err, 2)):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(opened, number)
            os.close(opened)
        code = case.work() or 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:       # noqa: BLE001 - whatever comes out of the command line is what we look for
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush(), sys.stderr.flush()
        finally:                    # a stream may be None, and no child may go on as its parent, which tidies up
            os._exit(code & 255)


def ended(started):
    """Whether a started case has come to its end; one that only sleeps is killed after `PATIENCE`."""
    pid, _, _, _, begin = started
    found, status = os.waitpid(pid, os.WNOHANG)
    if not found and time.monotonic() - begin > PATIENCE:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return -signal.SIGXCPU
    return os.waitstatus_to_exitcode(status) if found else None


def finish(started, code):
    """The Outcome of a case that has ended with `code`."""
    _, case, out, err, begin = started
    stdout, stderr = (path.read_text(errors="replace") if path.exists() else "" for path in (out, err))
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        kind = "hang"
    elif code < 0:
        kind = "crash"
    else:
        kind = "traceback" if "Traceback (most recent call last)" in stderr else "refused" if code else "done"
    outcome = Outcome(kind, code, stdout, stderr, seconds=time.monotonic() - begin)
    if kind in GOOD and (wrong := case.judge(outcome)):
        outcome.kind, outcome.wrong = "nonsense", wrong
    return outcome


def one(case, where):
    """Do one case and wait for it: Outcome."""
    started = start(case, where)
    while (code := ended(started)) is None:
        _sleep([started])
    return finish(started, code)


def _sleep(at_work):
    """Until one of the started cases has ended, or its patience may have."""
    ends = [os.pidfd_open(pid) for pid, *_ in at_work]
    select.select(ends, [], [], PATIENCE)
    for end in ends:
        os.close(end)


def run(module, n, seed=0, jobs=1, first=0, told=lambda case, outcome: None):
    """Do `n` cases of an attack, each drawn from ``[seed, its number]``: Counter of kinds, of those done if stopped.

    Parameters
    ----------
    told : callable
        ``told(number, case, outcome)`` is called at the end of each.
    """
    counts, at_work = collections.Counter(), {}
    warm()
    base = Path(tempfile.mkdtemp(prefix="attack-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        (base / "context").mkdir()
        context = module.prepare(base / "context")
        gc.freeze()         # so that no child's collector looks through, and copies, what was imported
        numbers = iter(range(first, first + n))
        while True:
            while len(at_work) < jobs and (number := next(numbers, None)) is not None:
                where = base / f"case-{number}"
                where.mkdir()
                case = module.case(context, np.random.default_rng([seed, number]), where)
                if case is None:        # there are no more
                    numbers = iter(())
                else:
                    at_work[number] = start(case, where)
            if not at_work:
                return counts
            _sleep(at_work.values())
            for number, started in list(at_work.items()):
                if (code := ended(started)) is not None:
                    del at_work[number]
                    outcome = finish(started, code)
                    counts[outcome.kind] += 1
                    told(number, started[1], outcome)
                    _remove(base / f"case-{number}")
    except KeyboardInterrupt:
        return counts
    finally:
        for pid, *_ in at_work.values():
            os.killpg(pid, signal.SIGKILL)
        _remove(base)


def _remove(path):
    """Delete a directory, whatever rights a case has taken away."""
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def apart(code, *args, where=None):
    """Run Python source in a process of its own, with the package and these modules importable; its stdout."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])
    env = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], cwd=where, env=env, check=True,
                          capture_output=True, text=True).stdout


def made(*words, where=None, before=lambda: None):
    """Do a command line of the package in a forked process, its figures being what they are drawn from; its stdout.

    Parameters
    ----------
    words : list
        Of the command line.
    where : Path
        Current directory of the command; by default that of this process.
    before : callable
        Is called in that process first.
    """
    def work():
        from attacks import flows

        os.chdir(where or os.getcwd())
        flows.light_figures()
        before()
        return command(*words)()

    with tempfile.TemporaryDirectory() as folder:
        outcome = one(Case(" ".join(map(str, words)), work), folder)
    if outcome.code or outcome.kind in BAD:
        raise RuntimeError(f"{words} ends with {outcome.code}: {outcome.stderr[-2000:]}")
    return outcome.stdout


def report(number, case, outcome):
    """A line of JSON about a case that went wrong."""
    return json.dumps({"case": number, "what": case.name[:500], "kind": outcome.kind, "code": outcome.code,
                       "wrong": outcome.wrong, "seconds": round(outcome.seconds, 1), "end": outcome.stderr[-800:]})
