"""What the process that has started a board asks of it, over a socket of its own: snapshots, and to stand still.

Requests and answers are lines of JSON. A request is done between two steps of the machine, by the thread that owns it.
When the other end closes, the board ends.

A board that stands still answers messages, but no instant begins; it goes on up to a time, or as it likes.
"""

import gc
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from spikingconvnet.emulator import times
from spikingconvnet.emulator.errors import EmulatorError, SnapshotError
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.machine import CYCLES_PER_MS, Machine
from spikingconvnet.emulator.snapshots.boards import Snapshot, save
from spikingconvnet.emulator.timed_machine import TimedMachine

Remake = Callable[[Snapshot], Machine]


class Control:
    """The requests to a board.

    Parameters
    ----------
    ethernet : the board's port
    remake : callable(Snapshot) -> Machine, as this board's options want it
    """

    def __init__(self, ethernet: Ethernet, remake: Remake) -> None:
        self._ethernet, self._remake = ethernet, remake
        self._until: int | None = None              # no instant behind this cycle begins; None: all do
        self._waiting: Callable[[dict[str, Any]], None] | None = None      # to be told when it has come there
        self._due: list[tuple[int, str]] = []       # snapshots to take when the clock has come to a cycle
        ethernet.control = self

    def attach(self, snapshot: Snapshot) -> None:
        """Let the board be that of a snapshot."""
        machine = self._remake(snapshot)
        paced = snapshot.paced(machine)
        self._ethernet.attach(machine)
        for cores, found in zip(self._ethernet.pace.cores(), paced):
            cores.update(found)

    def step(self) -> None:
        """Let the machine do the next thing there is; one in time the least, if it has to stop somewhere."""
        machine = self._ethernet.machine
        self._save_what_is_due(machine)
        if isinstance(machine, TimedMachine) and (self._due or self._until is not None):
            machine.step(patience=0)
        else:
            machine.step()

    def hold(self) -> None:
        """Stand still from now on."""
        self._until = self._ethernet.machine.cycle

    def holds(self) -> bool:
        """Whether no instant may begin now; who waits for that is told."""
        machine = self._ethernet.machine
        if self._until is None or not _has_come(machine, self._until):
            return False
        if self._waiting is not None:
            tell, self._waiting = self._waiting, None
            tell({"ms": machine.cycle / CYCLES_PER_MS})
        return True

    def save(self, path: str) -> None:
        """Write a snapshot now."""
        save(self._ethernet.machine, path, self._ethernet.pace.cores())

    def save_at(self, milliseconds: float, path: str) -> None:
        """Write a snapshot as soon as the board's clock has come to a time; what goes wrong then is reported."""
        self._due.append((round(milliseconds * CYCLES_PER_MS), path))

    def _save_what_is_due(self, machine: Machine) -> None:
        if not self._due or machine.next_instant() is None:
            return                                  # no timer runs: the network is being loaded, or has ended
        for due in [due for due in self._due if _has_come(machine, due[0])]:
            self._due.remove(due)
            try:
                self.save(due[1])
                machine.report(f"{due[1]}: the board at {machine.cycle / CYCLES_PER_MS:g} ms")
            except SnapshotError as error:
                machine.report(str(error))

    def listen(self, descriptor: int) -> None:
        """Take requests from a socket until the other end closes it, and end the board then; a thread of its own."""
        with socket.socket(fileno=descriptor) as asked, asked.makefile("rw") as lines:
            def tell(answer: dict[str, Any]) -> None:
                with suppress(OSError):             # whoever asked has gone, and the board ends
                    lines.write(json.dumps(answer) + "\n")
                    lines.flush()

            for line in lines:
                self._ethernet.ask(partial(self._do, json.loads(line), tell))
        self._ethernet.close()

    def _do(self, request: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
        try:
            if "snapshot" in request:
                self.save(request["snapshot"])
            elif "loads" in request:
                machine = self._ethernet.machine
                tell({"loads": times.loads(machine.so_far()) if isinstance(machine, TimedMachine) else []})
                return
            elif "restore" in request:
                self._replace(Snapshot(request["restore"]), request["restore"])
            else:
                self._run(request["run"], tell)
                return
            tell({"ms": self._ethernet.machine.cycle / CYCLES_PER_MS})
        except (EmulatorError, OSError, MemoryError) as error:
            tell({"error": str(error) or "no memory is left"})

    def _replace(self, snapshot: Snapshot, path: str) -> None:
        """Let the board be another one, and give back what it was made of."""
        before = self._ethernet.machine
        if str(snapshot.layout) != str(before.layout):
            raise SnapshotError(f"{path}: of a {snapshot.layout}; this is a {before.layout}: start one with "
                                "Board(snapshot=...)")
        self.attach(snapshot)
        if self._until is not None:
            self.hold()
        before.close()
        del before
        gc.unfreeze()                               # which the command line has frozen
        gc.collect()
        gc.freeze()

    def _run(self, milliseconds: float | None, tell: Callable[[dict[str, Any]], None]) -> None:
        """Go on, up to a time if there is one."""
        machine = self._ethernet.machine
        if milliseconds is None:
            self._until = None
            tell({"ms": machine.cycle / CYCLES_PER_MS})
        else:
            self._until, self._waiting = round(milliseconds * CYCLES_PER_MS), tell


def _has_come(machine: Machine, cycle: int) -> bool:
    """Whether all that was to happen up to a cycle has happened; in time, whether the clock has come there."""
    instant = machine.next_instant()
    timed = isinstance(machine, TimedMachine)
    return (machine.at_rest and (instant is None or instant > cycle)) or (timed and machine.cycle >= cycle)

