"""An emulated board as a user handles it: a process that serves it, for as long as a ``with`` block lasts."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.faults import Faults
from spikingconvnet.emulator.memory_map import Place
from spikingconvnet.emulator.timing import QUANTUM


class Board:
    """A SpiNN-3 or SpiNN-5 in a process of its own, on a loopback address of its own.

    Parameters
    ----------
    version : 3 (4 chips) or 5 (48 chips)
    host : loopback address; None: the first free one of 127.0.0.2, 127.0.0.3, ...
    native : True: the compiled core loop; False: pure Python; None: the compiled one if it is there
    watchdog : seconds of CPU that a core may run without coming to rest
    faults : faults.Faults: what shall go wrong; None: nothing
    real_time : True: simulated time keeps to the wall clock; False: it never does; None: with live input or output and
        in runs without end, which mean nothing otherwise (`pace.Pace`)
    timed : True: work takes time (`timed_machine.TimedMachine`)
    quantum : with `timed`: us that packets are under way at least
    times : with `timed`: path of a file for what cores had to do, written when the board ends (`times.py`)
    profile : with `times`: the core (x, y, p) whose functions are counted
    phases : with `timed`: us by which chips hear of the start apart, at most
    seed : of the phases
    log : file that the board's messages go to, above all about cores that fail; None: this process's stderr

    Use it in a ``with`` block; `host` is what sPyNNaker calls the machine's name. A process that does not start is a
    SetupError.
    """

    _process: "subprocess.Popen[bytes]"             # while the block lasts
    _alive: int

    def __init__(self, version: int = 5, host: str | None = None, native: bool | None = None, watchdog: float = 300.0,
                 log: IO[Any] | None = None, faults: Faults | None = None, real_time: bool | None = None,
                 timed: bool = False, quantum: float = QUANTUM, times: str | Path | None = None,
                 profile: Place | None = None, phases: float = 0.0, seed: int = 0) -> None:
        self.version, self.host = version, host
        self._arguments = ["--version", str(version), "--watchdog", str(watchdog)]
        self._arguments += ["--host", host] if host else []
        for option, value in (("native", native), ("real-time", real_time)):
            self._arguments += [] if value is None else [f"--{option}" if value else f"--no-{option}"]
        self._arguments += [] if faults is None else faults.options()
        self._arguments += ["--timed", "--quantum", repr(quantum)] if timed else []
        self._arguments += [] if times is None else ["--times", str(times)]
        self._arguments += [] if profile is None else ["--profile", ",".join(map(str, profile))]
        self._arguments += ["--phases", repr(phases), "--seed", str(seed)] if phases else []
        self._log = log

    def __enter__(self) -> "Board":
        ready, ready_child = os.pipe()
        alive_child, self._alive = os.pipe()        # closes when this process ends, however it ends: so does the board
        arguments = [sys.executable, "-m", "spikingconvnet.emulator", *self._arguments,
                     "--ready", str(ready_child), "--alive", str(alive_child)]
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
        self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                         pass_fds=(ready_child, alive_child), env=environment,
                                         start_new_session=True)       # Ctrl-C is for the one who talks to it
        os.close(ready_child)
        os.close(alive_child)
        with ExitStack() as failing:
            failing.callback(self.__exit__)     # Ctrl-C is a failure too
            try:
                self.host = self._wait(ready)
            finally:
                os.close(ready)
            failing.pop_all()
        return self

    def _wait(self, ready: int) -> str:
        host = os.read(ready, 64).decode()          # nothing: the process has ended
        if not host:
            raise SetupError("the board's process did not start; its messages say why")
        return host.strip()

    def __exit__(self, *exception: object) -> None:
        os.close(self._alive)
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def process_id(self) -> int:
        """Process that the board runs in."""
        return self._process.pid

    def configuration(self) -> str:
        """Text of a ``.spynnaker.cfg`` that makes sPyNNaker use this board."""
        return configuration(self.version, self.host)


def configuration(version: int, place: str | None, option: str = "machine_name") -> str:
    """Text of a ``.spynnaker.cfg`` for a board of a version, and where it is found: its address, or another option's.

    Advanced monitors stream data through a core of every chip that polls every 10 us; a board in memory needs neither.
    """
    return (f"[Machine]\nversion = {version}\n{option} = {place}\n"
            "enable_advanced_monitor_support = False\nenable_reinjection = False\n"
            "post_simulation_overrun_before_error = 3600\n")
