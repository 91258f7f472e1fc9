"""`Machine` with its clock and its packets in C (``board_loop.h``), for compiled cores without faults: the same.

What happens at an instant happens in one call. Python is asked for what is not of every day: a core's fault or
messages, a core that was paused, the way of packets that nobody has sent yet.
"""

import ctypes
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.errors import SnapshotError
from spikingconvnet.emulator.machine import Machine, Sent
from spikingconvnet.emulator.memory_map import SV, SV_BASE
from spikingconvnet.emulator.native_core import NEVER, NativeCore, Seat
from spikingconvnet.emulator.native_library import library
from spikingconvnet.emulator.packets import SDP
from spikingconvnet.emulator.tree import Tree

AT_REST, ASKED, LOOK, MISSING, FULL = range(5)      # why C comes back
OWN = 1 << 31                                       # with the control of a way: it is of one key alone
BEGINS = 1 << 31                                    # with a packet's chip: the first that a core has sent in a turn
_ANY = 1 << 30                                      # as many as there are
_OFTEN = 100                                        # instants, then the interpreter has its turn: signals


class Due(ctypes.Structure):
    """`event` in board_loop.h: twice the number of a core, and 1 if it is its second timer."""

    _fields_ = [("at", ctypes.c_uint64), ("of", ctypes.c_uint32)]


class Travelling(ctypes.Structure):
    """`packet` in board_loop.h."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("from", "control", "key", "data")]


class Way(ctypes.Structure):
    """`way` in board_loop.h: where packets go, and how many went there since they were counted last."""

    _fields_ = [*((name, ctypes.c_uint32) for name in ("from", "control", "key", "first", "n")),
                ("passed", ctypes.c_uint64)]


_WORDS = ctypes.POINTER(ctypes.c_uint32)


class Loop(ctypes.Structure):
    """`loop` in board_loop.h."""

    _fields_ = [("cycle", ctypes.c_uint64),
                *((name, ctypes.c_void_p) for name in ("seats", "ends", "clocks", "seen")),
                ("events", ctypes.POINTER(Due)),
                *((name, _WORDS) for name in ("ready", "clocked", "table", "idle")),
                *((name, ctypes.POINTER(Travelling)) for name in ("sent", "landing")), ("ways", ctypes.POINTER(Way)),
                *((name, ctypes.c_uint32) for name in (
                    "n_seats", "n_events", "first", "n_ready", "n_clocked", "n_sent", "landed", "n_landing", "left",
                    "n_ways", "n_ends", "events_size", "sent_size", "landing_size", "ways_size", "ends_size",
                    "mail", "running", "full", "key_bits", "n_idle", "asked"))]


class NativeMachine(Machine):
    """See `Machine`. Its attributes that snapshots know are read from C, and written there.

    Raises
    ------
    MemoryError
        There is no room for what goes on on it.
    """

    def __init__(self, version: int = 5, make_core: type[Core] = NativeCore, **options: Any) -> None:
        self._loop, self._found = Loop(), (ctypes.c_uint32 * 3)()
        self._at = ctypes.addressof(self._loop)
        self._planted: list[Tree] = []              # by their number in C
        super().__init__(version, make_core=make_core, **options)
        self._places_of_chips = list(self.chips)
        self._number_of_chip = {xy: number for number, xy in enumerate(self._places_of_chips)}
        every: Iterable[Any] = (core for chip in self.chips.values() for core in chip.cores.values())
        self._cores: list[NativeCore] = sorted(every, key=lambda core: core.place)  # by number, as timers expire
        for core in self._cores:
            core.seat.chip = self._number_of_chip[core.place[:2]]
        seats = (ctypes.POINTER(Seat) * len(self._cores))(*(ctypes.pointer(core.seat) for core in self._cores))
        clock = SV_BASE + SV.CLOCK_MS
        clocks = (ctypes.c_void_p * len(self.chips))(*(
            memory.address + offset for memory, offset in (chip.bus.locate(clock, 8) for chip in self.chips.values())))
        made = library().loop_open(self._at, seats, len(seats), clocks, len(clocks))
        weakref.finalize(self, library().loop_close, ctypes.byref(self._loop))
        if not made:
            raise MemoryError("no memory for the clock of a board")

    @property
    def at_rest(self) -> bool:
        """See `Machine.at_rest`."""
        loop = self._loop
        return not (self._mail or loop.n_ready or loop.n_sent or loop.landed < loop.n_landing)

    @property
    def busy(self) -> bool:
        """See `Machine.busy`."""
        return bool(self._loop.n_events) or not self.at_rest

    def next_instant(self) -> int | None:
        """See `Machine.next_instant`."""
        found = library().loop_next(self._at)
        return None if found == NEVER else found

    def step(self, patience: float = 1.0) -> None:
        """Do all that there is to do at this instant, or at the next one if all cores are at rest.

        Without any patience: one thing, as `Machine.step` does.
        """
        self._do(NEVER - 1, int(self.at_rest), _ANY if patience else 1)

    def run(self, until: int | None = None) -> None:
        """See `Machine.run`."""
        loop, end = self._loop, NEVER - 1 if until is None else until
        while not self.at_rest or (loop.n_events and loop.events[0].at <= end):
            self._do(end, _OFTEN, _ANY)

    def _do(self, until: int, instants: int, things: int) -> None:
        if self._mail:
            self._carry()
        elif self._spent is not None and self._loop.n_ready and self._loop.landed == self._loop.n_landing:
            # a core was paused: its time counts
            self._run(self._cores[library().loop_take(self._at)])
        else:
            self._go(until, instants, things)

    def _go(self, until: int, instants: int, things: int) -> None:
        while (why := library().loop_go(self._at, until, instants, things, self._found)) == MISSING:
            self._plant_in_c(*self._found)
        if why == FULL:
            raise MemoryError("no memory for what goes on on a board")
        if why == LOOK:
            core = self._cores[self._found[0]]
            if self._found[1]:
                self._running = core
                core.recover()
                self._running = None
            self._deal_with(core)

    def pause(self) -> None:
        """See `Machine.pause`."""
        self._loop.asked = 1                        # before the next core runs
        if (number := self._loop.running) and self._running is None:
            self._cores[number - 1].pause()
        super().pause()

    def _wake(self, core: Any) -> None:
        library().loop_wake(self._at, core.seated)

    def _again(self, core: Any) -> None:
        library().loop_again(self._at, core.seated)

    def _collect(self, core: Any) -> int:
        return int(library().loop_collect(self._at, core.seated))

    def _schedule(self, core: Any) -> None:
        library().loop_schedule(self._at, core.seated)

    def rouse(self) -> None:
        """See `Machine.rouse`."""
        library().loop_rouse(self._at)

    def _arrive_early(self) -> None:
        library().loop_arrive(self._at)

    def _take_mail(self, message: SDP) -> None:
        super()._take_mail(message)
        self._loop.mail = 1

    def _plant_in_c(self, chip: int, control: int, key: int) -> None:
        """Tell C the way of packets."""
        tree = self.tree(self._places_of_chips[chip], (control, key, 0))
        numbers = [core.seat.number for core in tree.cores]         # type: ignore[attr-defined]
        self._loop.key_bits = self.key_bits
        if not library().loop_plant(self._at, chip, *class_of(self, tree, control, key),
                                    (ctypes.c_uint32 * len(numbers))(*numbers), len(numbers)):
            raise MemoryError("no memory for the ways of packets")
        self._planted.append(tree)

    def _forget_routes(self) -> None:
        super()._forget_routes()
        library().loop_forget(self._at)
        self._planted.clear()

    def settle(self) -> None:
        """See `Machine.settle`."""
        for tree, way in zip(self._planted, self._loop.ways[:self._loop.n_ways]):
            if way.passed:
                tree.packets, way.passed = way.passed, 0
                self._passed.append(tree)
        super().settle()

    @property
    def cycle(self) -> int:
        """The clock."""
        return self._loop.cycle

    @cycle.setter
    def cycle(self, cycle: int) -> None:
        """Set it."""
        self._loop.cycle = cycle

    @property
    def _under_way(self) -> int:
        return self._loop.n_sent

    @_under_way.setter
    def _under_way(self, _number: int) -> None:
        """It is known."""

    @property
    def _ready(self) -> Any:
        loop = self._loop
        return [self._cores[loop.ready[(loop.first + i) % loop.n_seats]] for i in range(loop.n_ready)]

    @_ready.setter
    def _ready(self, cores: Any) -> None:
        while self._loop.n_ready:
            library().loop_take(self._at)
        for core in cores:
            self._wake(core)

    @property
    def _events(self) -> Any:
        found = sorted((event.at, event.of) for event in self._loop.events[:self._loop.n_events])
        return [(at, self._cores[of // 2].place, of % 2) for at, of in found]

    @_events.setter
    def _events(self, events: Any) -> None:
        self._loop.n_events = 0
        numbers = {core.place: core.seat.number for core in self._cores} if events else {}
        for at, place, timer in events:
            if (number := numbers.get(place)) is None or timer > 1:
                raise SnapshotError("something is due at core {},{},{} that cannot be".format(*place))
            library().loop_push(self._at, at, 2 * number + timer)

    def _batches(self, packets: Sequence[Any]) -> Sequence[Sent]:
        """Packets by the turn of a core in which they were sent."""
        found: list[tuple[Any, list[Any]]] = []
        for packet in packets:
            chip = getattr(packet, "from")
            if chip & BEGINS or not found:
                found.append((self._places_of_chips[chip & ~BEGINS], []))
            found[-1][1].append((packet.control, packet.key, packet.data))
        return found

    def _put(self, lands: bool, batches: Iterable[Sent]) -> None:
        for xy, packets in batches:
            for number, packet in enumerate(packets):
                chip = self._number_of_chip[xy] | (0 if number else BEGINS)
                library().loop_put(self._at, lands, chip, *packet)

    @property
    def _packets(self) -> Any:
        return self._batches(self._loop.sent[:self._loop.n_sent])

    @_packets.setter
    def _packets(self, batches: Any) -> None:
        self._loop.n_sent = 0
        self._put(False, batches)

    @property
    def _arriving(self) -> Any:
        return self._batches(self._loop.landing[self._loop.landed:self._loop.n_landing])

    @_arriving.setter
    def _arriving(self, batches: Any) -> None:
        self._loop.landed = self._loop.n_landing = 0
        self._put(True, batches)

    @property
    def _clocked(self) -> Any:
        return [self.chips[self._places_of_chips[number]] for number in self._loop.clocked[:self._loop.n_clocked]]

    @_clocked.setter
    def _clocked(self, chips: Any) -> None:
        for chip in chips:
            library().loop_see(self._at, self._number_of_chip[chip.x, chip.y])


def class_of(machine: Machine, tree: Tree, control: int, key: int) -> tuple[int, int]:
    """Control and key by which C knows the way of packets."""
    return (control | OWN, key) if tree.told else (control, machine.seen(control, key))


def machine_of(make_core: Any) -> type[Machine]:
    """The class of a board without faults and time whose cores are of a class; traced ones need Python."""
    return NativeMachine if make_core is NativeCore else Machine
