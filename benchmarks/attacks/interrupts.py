"""Ctrl-C or SIGTERM for a process, at a random instant from its start to its end: it says so, with 130 or 143.

Before the first line of ours runs, Python itself says what it likes.
"""

import functools
import os
import signal
import subprocess
import sys
import time

from attacks import small
from attacks.harness import ROOT, Case

STARTS = ([str(ROOT / "main.py")], ["-m", "spikingconvnet"],
          ["-c", "import sys; from spikingconvnet.__main__ import main; sys.exit(main())"])     # as the console script
MODES = (["info"], ["testing"], ["plot"], ["demo"], ["training", "--layer", "1"], ["doctor"], ["info", "--help"])
SIGNALS = signal.SIGINT, signal.SIGTERM
OURS = "spikingconvnet" + os.sep, "main.py"         # and not the finder of an editable installation


def prepare(directory):
    """A finished run, and the words of each mode."""
    return small.run(directory), [("--mode", *mode, *(("--parameters", str(directory / "parameters.py"), "--run-dir")
                                                      if mode != ["doctor"] else ())) for mode in MODES]


@functools.cache
def _seconds(mode, run):
    """What a mode takes that nothing interrupts."""
    begin = time.monotonic()
    subprocess.run([sys.executable, *STARTS[0], *_command(mode, run)], env={**os.environ, "PYTHONPATH": str(ROOT)},
                   capture_output=True, check=True)
    return time.monotonic() - begin


def _command(mode, run):
    return [*mode, str(run)] if mode[-1] == "--run-dir" else mode


def case(context, rng, where):
    """A process that gets a signal after part of the time that it takes."""
    run, modes = context
    mode, start = modes[rng.integers(len(modes))], STARTS[rng.integers(len(STARTS))]
    number, delay = SIGNALS[rng.integers(len(SIGNALS))], rng.uniform(0, _seconds(mode, run))
    return Case(f"{start[:2]} {mode[:3]}, {number.name} after {delay:.3f} s",
                lambda: _work([sys.executable, *start, *_command(mode, run)], number, delay, run, where),
                _judge(number))


def _work(words, number, delay, run, where):
    words = [str(where / "run") if word == str(run) else word for word in words]
    subprocess.run(["cp", "-r", run, where / "run"], check=True)
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=where, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    time.sleep(delay)
    process.send_signal(number)
    told = process.communicate()[1]
    if "Traceback" in told and not any(name in told for name in OURS):
        return 128 + number         # Python's own words
    print(told, file=sys.stderr)
    return 128 - process.returncode if process.returncode < 0 else process.returncode


def _judge(number):
    def judge(outcome):
        if outcome.code not in (0, 128 + number):
            return f"ended with {outcome.code}"
        return "an interrupt that no one hears" if "Exception ignored" in outcome.stderr else None

    return judge
