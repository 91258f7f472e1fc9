"""Ctrl-C or SIGTERM for a process, at a random instant from its start to its end: it says so, with 130 or 143.

Before the first line of ours runs, Python itself says what it likes. One case of `fresh.OFTEN` is a new process.
"""

import functools
import os
import shutil
import signal
import sys
import time

from attacks import flows, fresh, small
from attacks.harness import ROOT, Case

MODES = (["info"], ["testing"], ["plot"], ["demo"], ["training", "--layer", "1"], ["doctor"], ["info", "--help"])
OURS = str(ROOT / "spikingconvnet") + os.sep, fresh.MAIN


def prepare(directory):
    """A finished run, and the words of each mode."""
    return small.run(directory, tiny=True), [
        ("--mode", *mode, *(("--parameters", str(directory / "parameters.py"), "--run-dir", "run")
                            if mode != ["doctor"] else ())) for mode in MODES]


def case(context, rng, where):
    """A process that gets a signal after part of the time that it takes."""
    run, modes = context
    mode, start = modes[rng.integers(len(modes))], fresh.STARTS[rng.integers(len(fresh.STARTS))]
    new, number = fresh.drawn(rng), fresh.INTERRUPTS[rng.integers(len(fresh.INTERRUPTS))]
    seconds = _seconds(mode, new, run)
    delay = rng.uniform(0, seconds)
    return Case(f"{start[:2]} {mode[:3]}, {number.name} after {delay:.3f} s{'; a new process' * new}",
                lambda: _work(fresh.program(mode, start, new, light=not new), number, delay, run, where),
                _judge(number))


@functools.cache
def _seconds(mode, new, run):
    """What a mode takes that nothing interrupts."""
    begin, before = time.monotonic(), os.getcwd()
    os.chdir(run.parent)
    try:
        if flows.forked(fresh.program(mode, new=new, light=not new), silent=True):
            raise RuntimeError(f"{mode} fails without being disturbed")
    finally:
        os.chdir(before)
    return time.monotonic() - begin


def _work(work, number, delay, run, where):
    shutil.copytree(run, where / "run")
    os.chdir(where)
    signal.pthread_sigmask(signal.SIG_BLOCK, fresh.INTERRUPTS)       # until the program begins, see fresh
    pid = flows.fork(work, log=where / "told")
    time.sleep(delay)
    os.kill(pid, number)
    code, told = flows.ended(pid), (where / "told").read_text()
    if "Traceback" in told and not any(name in told for name in OURS):
        return 128 + number         # Python's own words
    print(told, file=sys.stderr)
    return 128 - code if code < 0 else code


def _judge(number):
    def judge(outcome):
        if outcome.code not in (0, 128 + number):
            return f"ended with {outcome.code}"
        return "an interrupt that no one hears" if "Exception ignored" in outcome.stderr else None

    return judge
