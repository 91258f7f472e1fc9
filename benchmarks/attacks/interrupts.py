"""Ctrl-C or SIGTERM for a process, at a random instant from its start to its end: it says so, with 130 or 143.

An instant is one of its CPU time, which is what it does, however busy the machine is; one in five of the clock's, which
also meets it where it waits. Before the first line of ours runs, Python itself says what it likes. One case of
`fresh.OFTEN` is a new process.
"""

import functools
import os
import resource
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
    clock = bool(rng.random() < 0.2)
    delay = rng.uniform(0, _seconds(mode, new, run)[clock])
    return Case(f"{start[:2]} {mode[:3]}, {number.name} after {delay:.3f} s{'' if clock else ' of CPU'}"
                f"{'; a new process' * new}",
                lambda: _work(fresh.program(mode, start, new, light=not new), number, delay, clock, run, where),
                _judge(number))


@functools.cache
def _seconds(mode, new, run):
    """What a mode takes that nothing interrupts: of CPU, by the clock."""
    before, here = (_used(), time.monotonic()), os.getcwd()
    os.chdir(run.parent)
    try:
        if flows.forked(fresh.program(mode, new=new, light=not new), silent=True):
            raise RuntimeError(f"{mode} fails without being disturbed")
    finally:
        os.chdir(here)
    return _used() - before[0], time.monotonic() - before[1]


def _used():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait(pid, seconds):
    """Until a child has used so much CPU time, or has ended."""
    clock = ~pid << 3 | 2           # as clock_getcpuclockid(3) makes it on Linux
    while (left := seconds - time.clock_gettime(clock)) > 0:
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        time.sleep(max(left, 0.0005))


def _work(work, number, delay, clock, run, where):
    shutil.copytree(run, where / "run")
    os.chdir(where)
    signal.pthread_sigmask(signal.SIG_BLOCK, fresh.INTERRUPTS)       # until the program begins, see fresh
    pid = flows.fork(work, log=where / "told")
    time.sleep(delay) if clock else _wait(pid, delay)
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
