"""Waiting for processes by their progress, not by the clock: a slow machine is no failure, standing still is.

Progress is CPU time of the process and all that it has started. One that waits for something which never comes uses
none; one that asks for it again and again and sleeps in between uses less than `MOVING` seconds in `STILL`.
"""

import subprocess
import time

import psutil

LOOK = 0.01             # seconds between two looks at a condition
STILL = 300.0           # seconds of wall clock in which a process must have moved; a silent board holds one up for 60
MOVING = 1.0            # CPU seconds that are called moving


class _Watch:
    """Looks at a process once in `STILL` seconds."""

    def __init__(self, process):
        self._process, self._since, self._used = process, time.monotonic(), _cpu_seconds(process.pid)

    def look(self):
        """Kill the process, and fail, if it has stood still."""
        if time.monotonic() - self._since < STILL:
            return
        before, self._since, self._used = self._used, time.monotonic(), _cpu_seconds(self._process.pid)
        if self._used - before < MOVING:
            self._process.kill()
            text = " ".join(map(str, self._process.args))
            raise AssertionError(f"{text}: used {self._used - before:.2f} s of CPU in {STILL:g} s; killed")


def _cpu_seconds(pid):
    """CPU seconds of a process, what it has started and what of that has ended; 0 when it has ended itself."""
    total = 0.0
    try:
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            total += sum(one.cpu_times()[:4])       # user, system, and the same of children that have ended
    except psutil.NoSuchProcess:
        pass
    return total


def communicate(process):
    """(stdout, stderr) of a Popen at its end, as its own ``communicate``."""
    watch = _Watch(process)
    while True:
        try:
            return process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            watch.look()


def run(command, **options):
    """A process's whole output, stdout and stderr together, and its exit code."""
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options) as process:
        return communicate(process)[0], process.returncode


def wait_until(condition, process):
    """Until `condition()` holds or the process has ended; whether it holds."""
    watch = _Watch(process)
    while not condition():
        if process.poll() is not None:
            return condition()
        watch.look()
        time.sleep(LOOK)
    return True
