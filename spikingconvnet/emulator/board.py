"""An emulated board, or three, as a user handles it: a process that serves it for as long as a ``with`` block lasts."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from spikingconvnet.emulator.errors import SetupError, SnapshotError
from spikingconvnet.emulator.faults import Faults
from spikingconvnet.emulator.memory_map import Place
from spikingconvnet.emulator.timing import QUANTUM


class Board:
    """A SpiNN-3, a SpiNN-5 or three SpiNN-5 in a process of its own, on loopback addresses of its own.

    Parameters
    ----------
    version : 3 (4 chips) or 5 (48 chips)
    host : loopback address, of the first board; None: the first free one of 127.0.0.2, 127.0.0.3, ...
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
    snapshot : path of a file: go on with the board that is in it, of its version, with its faults and its time
    hold : with `snapshot`: stand still until `run` is called
    save : path of a file for a snapshot, taken when the board ends or at a time
    at : with `save`: ms of the board's clock when it is taken
    trace : path of a file for packets that cores send and receive (`trace.Trace`)
    trace_only : with `trace`: which ones: ``key=0x10000/0xffff0000``, ``chip=0,0``, ``core=0,0,3``, ``ms=100-200``
    boards : 1, or 3 of version 5 side by side, one machine of 144 chips
    log : file that the board's messages go to, above all about cores that fail; None: this process's stderr

    Use it in a ``with`` block; `host` is what sPyNNaker calls the machine's name, `hosts` are the addresses of all its
    boards. A process that does not start is a SetupError.
    """

    _process: "subprocess.Popen[bytes]"             # while the block lasts
    _control: socket.socket
    _answers: IO[str]
    hosts: list[str]

    def __init__(self, version: int = 5, host: str | None = None, native: bool | None = None, watchdog: float = 300.0,
                 log: IO[Any] | None = None, faults: Faults | None = None, real_time: bool | None = None,
                 timed: bool = False, quantum: float = QUANTUM, times: str | Path | None = None,
                 profile: Place | None = None, phases: float = 0.0, seed: int = 0, snapshot: str | Path | None = None,
                 hold: bool = False, save: str | Path | None = None, at: float | None = None,
                 trace: str | Path | None = None, trace_only: Sequence[str] = (), boards: int = 1) -> None:
        self.version, self.host = version, host
        self._arguments = ["--watchdog", str(watchdog)]
        self._arguments += ["--version", str(version)] if snapshot is None else ["--restore", str(snapshot)]
        self._arguments += [] if boards == 1 else ["--boards", str(boards)]
        self._arguments += ["--hold"] if hold else []
        self._arguments += [] if save is None else ["--snapshot", str(save)]
        self._arguments += [] if at is None else ["--at", repr(at)]
        self._arguments += [] if trace is None else ["--trace", str(trace)]
        self._arguments += [part for text in trace_only for part in ("--trace-only", text)]
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
        self._control, child = socket.socketpair()  # closes when this process ends, however it ends: so does the board
        self._answers = self._control.makefile()
        arguments = [sys.executable, "-m", "spikingconvnet.emulator", *self._arguments,
                     "--ready", str(ready_child), "--alive", str(child.fileno())]
        root = str(Path(__file__).parents[2])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
        self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
                                         pass_fds=(ready_child, child.fileno()), env=environment,
                                         start_new_session=True)       # Ctrl-C is for the one who talks to it
        os.close(ready_child)
        child.close()
        with ExitStack() as failing:
            failing.callback(self.__exit__)     # Ctrl-C is a failure too
            try:
                version, *self.hosts = self._wait(ready)
                self.version, self.host = int(version), self.hosts[0]
            finally:
                os.close(ready)
            failing.pop_all()
        return self

    def _wait(self, ready: int) -> list[str]:
        announced = os.read(ready, 256).decode()     # nothing: the process has ended
        if not announced:
            raise SetupError("the board's process did not start; its messages say why")
        return announced.split()

    def __exit__(self, *exception: object) -> None:
        self._control.close()
        self._answers.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _ask(self, **request: Any) -> dict[str, Any]:
        """Have the board do something: what it answers, mostly ``ms``, its clock afterwards."""
        self._control.sendall(json.dumps(request).encode() + b"\n")
        line = self._answers.readline()
        answer: dict[str, Any] = json.loads(line) if line else {
            "error": "the board's process has ended; its messages say why"}
        if "error" in answer:
            raise SnapshotError(answer["error"])
        return answer

    def snapshot(self, path: str | Path) -> float:
        """Write the whole board to a file, between two steps, and let it go on.

        Parameters
        ----------
        path : path
            Of the file; one that is there is replaced as a whole.

        Returns
        -------
        float
            ms of the board's clock at which it was taken.

        Raises
        ------
        SnapshotError
            It cannot be written, or there is none of such a board; the message says why.
        """
        return float(self._ask(snapshot=str(Path(path).resolve()))["ms"])

    def restore(self, path: str | Path) -> float:
        """Be the board of a snapshot from now on, at the same address: who talks to it notices nothing else.

        Parameters
        ----------
        path : path
            Of the file, of a board of the same version.

        Returns
        -------
        float
            ms of its clock.

        Raises
        ------
        SnapshotError
            It is no snapshot, or not one that this version reads; the board is as before then.
        """
        return float(self._ask(restore=str(Path(path).resolve()))["ms"])

    def run(self, until: float | None = None) -> float:
        """Let a board go on that stands still (`hold`).

        Parameters
        ----------
        until : float, optional
            ms of its clock after which it stands still again, when all cores have done what they can at that instant;
            None: it goes on as it likes, and this returns at once.

        Returns
        -------
        float
            ms of its clock.

        Raises
        ------
        SnapshotError
            The board's process has ended.
        """
        return float(self._ask(run=until)["ms"])

    def loads(self) -> dict[Place, dict[str, Any]]:
        """What share of its steps each core has been awake, see ``times.loads``; nothing without `timed`.

        Raises
        ------
        SnapshotError
            The board's process has ended.
        """
        return {(x, y, p): load for load in self._ask(loads=True)["loads"] for x, y, p in [load.pop("core")]}

    @property
    def process_id(self) -> int:
        """Process that the board runs in."""
        return self._process.pid

    def configuration(self) -> str:
        """Text of a ``.spynnaker.cfg`` that makes sPyNNaker use this board."""
        return configuration(self.version, self.host)


def configuration(version: int, place: str | None, option: str = "machine_name") -> str:
    """Text of a ``.spynnaker.cfg`` for a board of a version, and where it is found: its address, or another option's.

    Advanced monitors take a core of every chip and speed up what costs nothing here, so they are off until a script's
    own configuration asks for them.
    """
    return (f"[Machine]\nversion = {version}\n{option} = {place}\n"
            "enable_advanced_monitor_support = False\nenable_reinjection = False\n"
            "post_simulation_overrun_before_error = 3600\n")
