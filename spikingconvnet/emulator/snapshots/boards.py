"""A machine in a snapshot: what it is made from, chips and cores with their memories, the clock, what is under way.

Taken between two steps of the machine, when all cores are between two jumps of their programs; so packets and messages
may be under way. What is not there is made anew: ways of packets, decoded instructions, sockets, the wall clock. A host
is not there either; the tags that it has set keep its address and ports.
"""

import hashlib
import heapq
import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from spikingconvnet.emulator import tags
from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.errors import SetupError, SnapshotError
from spikingconvnet.emulator.faults import Faults, parse
from spikingconvnet.emulator.faulty_machine import FaultyMachine, TimedFaultyMachine
from spikingconvnet.emulator.layout import SEVERAL, VERSIONS, Layout
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory import Memory
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.native_library import library
from spikingconvnet.emulator.native_machine import machine_of
from spikingconvnet.emulator.snapshots import chips, container, cores, memories, timed
from spikingconvnet.emulator.snapshots.kinds import (
    ADDRESS,
    ANY,
    COUNT,
    FLAG,
    HALF,
    MESSAGE,
    NUMBER,
    PACKET,
    PLACE,
    TEXT,
    WORD,
    XY,
    Kind,
    Table,
    among,
    give,
    mapping,
    maybe,
    read,
    record,
    row,
    several,
    take,
    unordered,
    whole,
)
from spikingconvnet.emulator.timed_machine import TimedMachine
from spikingconvnet.emulator.timed_native import TimedNativeCore
from spikingconvnet.emulator.timing import CYCLES_PER_US
from spikingconvnet.emulator.trace import Trace

Paced: TypeAlias = tuple[Collection[Core], Collection[Core]]

_TAG = record(tags.Tag, address=ADDRESS, tx_port=HALF, flags=HALF, count=WORD, rx_port=HALF, dest_addr=HALF,
              dest_port=whole(255))
TAGS = {"table": several(_TAG, most=tags.SIZE), "live": whole(tags.SIZE), "_next": whole(tags.POOL - 1)}
_BOARD = {"version": among(VERSIONS, whole(255), "version 3 or 5 of a board"),
          "boards": among((1, SEVERAL), whole(255), f"1 or {SEVERAL} boards"), "faults": several(TEXT),
          "timed": maybe(row(NUMBER, NUMBER, COUNT, maybe(PLACE)))}     # quantum, phases, seed, core that is profiled


def core_kind(machine: Machine) -> Kind:
    """A core of a machine, by its place."""
    def found(said: Any) -> Core:
        x, y, number = PLACE.read(said)
        chip = machine.chips.get((x, y))
        if chip is None or number not in chip.cores:
            raise SnapshotError(f"core {x},{y},{number}, which is not on this board")
        return chip.cores[number]
    return Kind(lambda core: list(core.place), found)


def _table(machine: Machine) -> Table:
    """Attributes of a machine of any kind."""
    core, xy = core_kind(machine), among(machine.chips, XY, "a chip")
    sent, due = row(xy, several(PACKET)), several(row(COUNT, PLACE, COUNT))
    chip = Kind(lambda one: [one.x, one.y], lambda said: machine.chips[xy.read(said)])
    known = {"cycle": COUNT, "_under_way": COUNT, "_events": Kind(lambda events: due.write(sorted(events)), due.read),
             "_ready": several(core, deque), "_packets": several(sent), "_arriving": several(sent, deque),
             "_mail": several(MESSAGE, deque), "_clocked": several(chip)}
    if isinstance(machine, FaultyMachine):
        known |= {"_heard": COUNT, "_silent": FLAG, "_first_ticks": mapping(PLACE, COUNT), "_postponed": COUNT,
                  "_seen": mapping(row(TEXT, xy, WORD), COUNT, lambda pairs: Counter(dict(pairs))),
                  "_late": mapping(COUNT, row(xy, PACKET)), "_crashes": mapping(PLACE, NUMBER)}
    if isinstance(machine, TimedMachine):
        known |= timed.table(machine, core)
    return known


def _paced(machine: Machine) -> Kind:
    return row(*[unordered(core_kind(machine))] * 2)


def _board(machine: Machine) -> dict[str, Any]:
    """What a machine is made from."""
    faults = machine.faults if isinstance(machine, FaultyMachine) else Faults()
    said: dict[str, Any] = {"version": machine.layout.version, "boards": machine.layout.boards,
                            "faults": faults.options()[1::2], "timed": None}
    if isinstance(machine, TimedMachine):
        said["timed"] = [machine._quantum / CYCLES_PER_US, *machine._phases.args, machine._profile]
    return said


def _memories(machine: Machine) -> list[tuple[list[Any], Memory]]:
    """Every memory of a machine that is in use, by name and place."""
    found: list[tuple[list[Any], Memory]] = []
    for (x, y), chip in machine.chips.items():
        found += [(["SDRAM", x, y, 0], chip.sdram), (["SysRAM", x, y, 0], chip.sysram)]
        for number, core in chip.cores.items():
            if isinstance(core, NativeCore) and core.made is not None:
                found += [(["ITCM", x, y, number], core.itcm), (["DTCM", x, y, number], core.dtcm)]
    return found


def _describe(machine: Machine) -> dict[str, Any]:
    """All of a machine but its memories, as JSON."""
    machine.settle()
    machine.rouse()                                 # what is left out because it is for nothing is in no file
    every = [core for chip in machine.chips.values() for core in chip.cores.values()]
    for core in every:
        cores.check(core)
    return {"board": _board(machine), "fields": cores.fields(), "machine": take(machine, _table(machine)),
            "time": timed.save(machine) if isinstance(machine, TimedMachine) else None,
            "tags": [take(table, TAGS) for table in machine.tags.values()],
            "chips": [[list(xy), chips.save(chip)] for xy, chip in machine.chips.items()],
            "cores": [[list(core.place), cores.save(core)] for core in every if not cores.is_idle(core)]}


def save(machine: Machine, path: str | Path, paced: Paced = (frozenset(), frozenset())) -> None:
    """Write a snapshot of a machine, which goes on afterwards as if nothing had happened.

    Parameters
    ----------
    machine : Machine
        Between two of its steps, and of the thread that calls this.
    path : path
        Of the file; one that is there is replaced as a whole.
    paced : two sets of Core
        Those that run without end, and those that wait for a host's spikes (`pace.Pace.cores`).

    Raises
    ------
    SnapshotError
        The file cannot be written; cores run in Python; packets of a board in time are under way on routes that have
        been changed; it has faults on demand as well as time.
    """
    if isinstance(machine, TimedFaultyMachine):
        raise SnapshotError("a board with time and faults on demand is in no snapshot; leave out --timed, or --fault")
    said, parts = _describe(machine) | {"paced": _paced(machine).write(paced), "memories": []}, []
    for name, memory in _memories(machine):
        pages = memories.used(memory)
        if len(pages):
            said["memories"].append([name, pages.tolist()])
            parts.append(memories.pack(memory, pages))
    container.write(path, said, parts)


def digest(machine: Machine) -> str:
    """A digest of all that a snapshot of a machine would hold: equal for machines that go on alike."""
    hashed = hashlib.blake2b(json.dumps(_describe(machine)).encode(), digest_size=16)
    for name, memory in _memories(machine):
        pages = memories.used(memory)
        hashed.update(repr((name, pages.tolist())).encode())
        for page in pages:
            hashed.update(memory.bytes[page * memories.PAGE:(page + 1) * memories.PAGE])
    return hashed.hexdigest()


@contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Let errors name the file."""
    try:
        yield
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from error


class Snapshot:
    """A file that has been read and judged from outside: what board it is of.

    Raises
    ------
    SnapshotError
        No snapshot, one of another version, or one that has been cut or altered.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._said, self._parts = container.read(path)
        with _naming(self._path):
            wanted = {"board", "fields", "machine", "time", "tags", "chips", "cores", "memories", "paced"}
            if not isinstance(self._said, dict) or self._said.keys() != wanted:
                raise SnapshotError("a description without one of its parts")
            self._board = read(_BOARD, self._said["board"])
            try:
                self.layout = Layout(self._board["version"], self._board["boards"])
            except SetupError as error:
                raise SnapshotError(str(error)) from error

    def machine(self, trace: Trace | None = None, addresses: Sequence[str] = (), **options: Any) -> Machine:
        """The machine, as it was.

        Parameters
        ----------
        trace : trace.Trace, optional
            That its packets are written to.
        addresses : list of str, optional
            Of its boards, from now on.
        **options
            transmit, report, watchdog: see `Machine`.

        Raises
        ------
        SnapshotError
            A value in the file that no board can have.
        SetupError
            The compiled core is not there.
        """
        if not library():
            raise SetupError("snapshots need the compiled core, which was not built; install the package where there is"
                             " a C compiler: pip install -e .")
        with _naming(self._path):
            addresses = addresses or ["127.0.0.1"] * self.layout.boards
            machine = self._make(trace.cores if trace else lambda kind: kind, addresses=addresses, **options)
            self._fill(machine)
            machine.set_addresses(addresses)
        return machine

    def paced(self, machine: Machine) -> Paced:
        """Cores of the machine that run without end, and that wait for a host's spikes."""
        with _naming(self._path):
            endless, awaiting = _paced(machine).read(self._said["paced"])
        return endless, awaiting

    def _make(self, kind: Callable[[type[Any]], type[Any]], **options: Any) -> Machine:
        """A machine that has just been booted."""
        version, when = self.layout.version, self._board["timed"]
        try:
            wrong = parse(self._board["faults"])
            if when is not None:
                quantum, phases, seed, profile = when
                return TimedMachine(version, quantum, kind(TimedNativeCore), profile, phases, seed, **options)
            if wrong == Faults():
                return machine_of(kind(NativeCore))(version, make_core=kind(NativeCore), **options)
            return FaultyMachine(wrong, version, make_core=kind(NativeCore), **options)
        except SetupError as error:
            raise SnapshotError(str(error)) from error

    def _fill(self, machine: Machine) -> None:
        said = self._said
        if said["fields"] != cores.fields():
            raise SnapshotError("its cores have other parts than those of this version of the emulator; take it again, "
                                "or restore it with that version")
        for place, one in several(row(among(machine.chips, XY, "a chip"), ANY)).read(said["chips"]):
            chips.restore(machine.chips[place], one)
        self._fill_memories(machine)
        for table, one in zip(machine.tags.values(), row(*[ANY] * len(machine.tags)).read(said["tags"])):
            give(table, TAGS, one)
            if len(table.table) != tags.SIZE:
                raise SnapshotError(f"{tags.SIZE} tags expected")
        give(machine, _table(machine), said["machine"])
        machine._queued = set(machine._ready)
        if isinstance(machine, TimedMachine):
            timed.restore(machine, said["time"])
        _check_events(machine)

    def _fill_memories(self, machine: Machine) -> None:
        """Make the cores, and fill all memories."""
        name = row(TEXT, *(whole(255),) * 3)
        listed = several(row(name, several(COUNT))).read(self._said["memories"])
        if len(listed) != len(self._parts) or len({one for one, _ in listed}) != len(listed):
            raise SnapshotError("other memories than the file has parts for")
        found = {one: (pages, part) for (one, pages), part in zip(listed, self._parts)}
        for core, said in several(row(core_kind(machine), ANY)).read(self._said["cores"]):
            if not isinstance(said, dict) or core.rest is not Rest.OFF:
                raise SnapshotError("a core that is there twice, or is none")
            cores.restore(core, said, partial(_fill_tcm, core, found))
        for (x, y), chip in machine.chips.items():
            for kind, memory in (("SDRAM", chip.sdram), ("SysRAM", chip.sysram)):
                memories.unpack(memory, *found.pop((kind, x, y, 0), ((), memories.NOTHING)))
        if found:
            raise SnapshotError(f"memories of what is not there: {min(found)}")


def _fill_tcm(core: Any, found: dict[Any, Any]) -> None:
    for kind, memory in (("ITCM", core.itcm), ("DTCM", core.dtcm)):
        memories.unpack(memory, *found.pop((kind, *core.place), ((), memories.NOTHING)))


def _check_events(machine: Machine) -> None:
    """Judge what is due: every event is of a timer that there is, or of a packet that is late."""
    late = getattr(machine, "_late", {})
    for _, (x, y, number), timer in machine._events:
        there = (x, y) in machine.chips and number in machine.chips[x, y].cores and timer < 2
        if not there and not (number == 0 and timer in late):
            raise SnapshotError(f"something is due at core {x},{y},{number} that cannot be")
    heapq.heapify(machine._events)


def load(path: str | Path, **options: Any) -> Machine:
    """The machine of a snapshot, in this process and without sockets; it stands still until somebody steps it.

    `Machine.close` gives back what its cores hold; who makes many should call it.

    Parameters
    ----------
    path : path
        Of the file.
    **options
        trace, addresses, transmit, report, watchdog: see `Snapshot.machine`.

    Raises
    ------
    SnapshotError
        No snapshot, one of another version, or one that has been cut or altered.
    """
    return Snapshot(path).machine(**options)
