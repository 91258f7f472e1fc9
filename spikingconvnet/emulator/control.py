"""What the process that has started a board asks of it, over a socket of its own: snapshots, and to stand still.

Requests and answers are lines of JSON. A request is done between two steps of the machine, by the thread that owns it.
When the other end closes, the board ends.

A board that stands still answers messages, but no instant begins; it goes on up to a time, or as it likes.
"""

import json
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from spikingconvnet.emulator.errors import EmulatorError, SnapshotError
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.machine import CYCLES_PER_MS, Machine
from spikingconvnet.emulator.snapshots.boards import Snapshot, core_kind, save
from spikingconvnet.emulator.snapshots.kinds import read, unordered
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
        kept = read(_paced(machine), snapshot.more)
        self._ethernet.attach(machine)
        for cores, found in zip(self._ethernet.pace.cores(), kept.values()):
            cores.update(found)

    def step(self) -> None:
        """Let the machine do the next thing there is; one in time goes no further than to what is asked for."""
        machine = self._ethernet.machine
        ends = [due for due, _ in self._due] + ([] if self._until is None else [self._until])
        if ends and isinstance(machine, TimedMachine):
            machine.run(min(*ends, (machine.next_instant() or 0) + CYCLES_PER_MS))
        else:
            machine.step()
        if self._due:
            self._save_what_is_due(machine)

    def hold(self) -> None:
        """Stand still from now on."""
        self._until = self._ethernet.machine.cycle

    def holds(self) -> bool:
        """Whether no instant may begin now; who waits for that is told."""
        machine = self._ethernet.machine
        if self._until is None or not machine.at_rest:
            return False
        instant = machine.next_instant()
        if instant is not None and instant <= self._until:
            return False
        if self._waiting is not None:
            tell, self._waiting = self._waiting, None
            tell({"ms": machine.cycle / CYCLES_PER_MS})
        return True

    def save(self, path: str) -> None:
        """Write a snapshot now."""
        endless, awaiting = self._ethernet.pace.cores()
        machine = self._ethernet.machine
        kinds = _paced(machine)
        save(machine, path, endless=kinds["endless"].write(endless), awaiting=kinds["awaiting"].write(awaiting))

    def save_at(self, milliseconds: float, path: str) -> None:
        """Write a snapshot as soon as the board's clock has come to a time; what goes wrong then is reported."""
        self._due.append((round(milliseconds * CYCLES_PER_MS), path))

    def _save_what_is_due(self, machine: Machine) -> None:
        for _, path in (due for due in self._due if machine.cycle >= due[0]):
            try:
                self.save(path)
                machine.report(f"{path}: the board at {machine.cycle / CYCLES_PER_MS:g} ms")
            except SnapshotError as error:
                machine.report(str(error))
        self._due = [due for due in self._due if machine.cycle < due[0]]

    def listen(self, descriptor: int) -> None:
        """Take requests from a socket until the other end closes it, and end the board then; a thread of its own."""
        with socket.socket(fileno=descriptor) as asked, asked.makefile("rw") as lines:
            def tell(answer: dict[str, Any]) -> None:
                lines.write(json.dumps(answer) + "\n")
                lines.flush()

            for line in lines:
                self._ethernet.ask(partial(self._do, json.loads(line), tell))
        self._ethernet.close()

    def _do(self, request: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
        try:
            if "snapshot" in request:
                self.save(request["snapshot"])
            elif "restore" in request:
                self.attach(Snapshot(request["restore"]))
            else:
                self._run(request["run"], tell)
                return
            tell({"ms": self._ethernet.machine.cycle / CYCLES_PER_MS})
        except EmulatorError as error:
            tell({"error": str(error)})

    def _run(self, milliseconds: float | None, tell: Callable[[dict[str, Any]], None]) -> None:
        """Go on, up to a time if there is one."""
        machine = self._ethernet.machine
        if milliseconds is None:
            self._until = None
            tell({"ms": machine.cycle / CYCLES_PER_MS})
        else:
            self._until, self._waiting = round(milliseconds * CYCLES_PER_MS), tell


def _paced(machine: Machine) -> dict[str, Any]:
    """What is kept of the wall clock's part: cores that run without end, that wait for a host's spikes."""
    cores = unordered(core_kind(machine))
    return {"endless": cores, "awaiting": cores}
