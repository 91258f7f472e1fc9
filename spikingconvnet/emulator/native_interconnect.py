"""`Interconnect` in C (``interconnect.h``), for compiled cores that are not traced: the same results."""

import ctypes
import weakref
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from spikingconvnet.emulator import timing
from spikingconvnet.emulator.interconnect import Hop, Interconnect, Posted, Wire
from spikingconvnet.emulator.memory_map import NUM_LINKS, XY
from spikingconvnet.emulator.native_core import NEVER
from spikingconvnet.emulator.native_library import library
from spikingconvnet.emulator.native_machine import FULL, MISSING, Way, class_of
from spikingconvnet.emulator.timed_core import Order, Outcome

if TYPE_CHECKING:
    from spikingconvnet.emulator.machine import Machine
    from spikingconvnet.emulator.tree import Tree

COUNTERS = 16                                       # of a router
NO_WIRE = 2**32 - 1                                 # of a packet that a core of the chip has sent
_NO_MEMORY = "no memory for packets that are under way"


class Coming(ctypes.Structure):
    """`hop` in interconnect.h."""

    _fields_ = [("at", ctypes.c_uint64), ("number", ctypes.c_uint64),
                *((name, ctypes.c_uint32) for name in ("branch", "control", "key", "data"))]


class Stage(ctypes.Structure):
    """`stage` in interconnect.h."""

    _fields_ = [(name, ctypes.c_uint32)
                for name in ("chip", "wire", "came_by", "counters", "ends", "n_ends", "children", "n_children")]


class Dropped(ctypes.Structure):
    """`dropped` in interconnect.h."""

    _fields_ = [("at", ctypes.c_uint64), *((name, ctypes.c_uint32) for name in ("branch", "control", "key", "data"))]


class Span(ctypes.Structure):
    """`span` in interconnect.h: from where to where cores run, and what came of it."""

    _fields_ = [*((name, ctypes.c_uint64) for name in ("end", "most", "lag", "until", "next", "clock")),
                ("passes", ctypes.c_uint32), ("busy", ctypes.c_int), ("carries", ctypes.c_int)]


class Net(ctypes.Structure):
    """`net` in interconnect.h."""

    _fields_ = [("lag", ctypes.c_uint64), ("number", ctypes.c_uint64), ("hops", ctypes.POINTER(Coming)),
                ("branches", ctypes.POINTER(Stage)), ("ways", ctypes.POINTER(Way)),
                *((name, ctypes.c_void_p) for name in ("posts", "ends", "cores")),
                *((name, ctypes.POINTER(ctypes.c_uint64)) for name in ("routers", "wires", "patience")),
                *((name, ctypes.POINTER(ctypes.c_uint32)) for name in (
                    "counts", "senders", "table", "firsts")),
                ("dropped", ctypes.POINTER(Dropped)), ("paced", ctypes.POINTER(ctypes.c_uint8)),
                *((name, ctypes.c_uint32) for name in (
                    "n_chips", "n_hops", "n_branches", "n_ways", "n_posts", "done", "n_ends", "n_dropped", "hops_size",
                    "branches_size", "ways_size", "posts_size", "ends_size", "dropped_size", "key_bits", "full"))]


class NativeInterconnect(Interconnect):
    """See `Interconnect`. MemoryError where there is no room for packets that are under way."""

    def __init__(self, machine: "Machine", lag: int) -> None:
        self._net, self._found = Net(), (ctypes.c_uint32 * 3)()
        self._at = ctypes.addressof(self._net)
        self._begins: list[int] = []                # of the ways in C: the place of their first branch
        self._trees: list[Tree] = []
        self._controls: list[int] = []              # of routers, when it was looked how long they wait
        super().__init__(machine, lag)

    def open(self) -> None:
        """See `Interconnect.open`."""
        chips = self._machine.chips
        self._chips = list(chips)
        self._number = {xy: number for number, xy in enumerate(self._chips)}
        self._waiting = [chip.router for chip in chips.values()]
        cores: list[Any] = [core for chip in chips.values() for core in chip.cores.values()]
        firsts = [0]
        for number, chip in enumerate(chips.values()):
            firsts.append(firsts[-1] + len(chip.cores))
            for core in cores[firsts[-2]:]:
                core.seat.chip = number
        made = library().net_open(self._at, self._lag, _seats(cores), (ctypes.c_uint32 * len(firsts))(*firsts),
                                  len(chips))
        weakref.finalize(self, library().net_close, ctypes.byref(self._net))
        if not made:
            raise MemoryError(_NO_MEMORY)
        free = ctypes.addressof(self._net.routers.contents)
        for core in cores:
            core.router_free = free + ctypes.sizeof(ctypes.c_uint64) * core.seat.chip

    def free(self, xy: XY) -> int:
        """See `Interconnect.free`."""
        return int(self._net.routers[self._number[xy]])

    @property
    def earliest(self) -> int | None:
        """See `Interconnect.earliest`."""
        return self._net.hops[0].at if self._net.n_hops else None

    def run(self, cores: Order, clock: int, end: int, lag: int, banks: Sequence[Any], most: int = 0, until: int = 0,
            passes: int = 1) -> Outcome:
        """See `Interconnect.run`."""
        if cores.seats is None:
            cores.seats = _seats(cores)
            cores.made = (ctypes.c_void_p * len(cores))(*(core.made for core in cores))
        self._hear_of_patience()
        span, found = Span(end, most, lag, until, 0, clock, passes), (ctypes.c_int * len(cores))()
        count = library().net_run(self._at, ctypes.byref(span), cores.made, cores.seats, len(cores),
                                  (ctypes.c_void_p * len(banks))(*map(ctypes.addressof, banks)), len(banks), found)
        self._tell_dropped()
        return Outcome([cores[index] for index in found[:count]], None if span.next == NEVER else span.next, span.clock,
                       bool(span.busy), bool(span.carries))

    def take(self, cores: Order, found: Sequence[Any]) -> bool:
        """See `Interconnect.take`."""
        places = (ctypes.c_int * len(found))(*map(cores.index, found))
        return bool(library().net_take(self._at, cores.seats, places, len(found)))

    def post(self, posted: Sequence[Posted]) -> None:
        """See `Interconnect.post`."""
        for xy, _ in {(xy, core) for _, xy, core, _ in posted}:
            self._net.senders[self._number[xy]] += 1
        for at, xy, _, packet in posted:
            library().net_post(self._at, at, self._number[xy], *packet)
        self._until_known(partial(library().net_send, self._at, self._found))

    def _until_known(self, work: Callable[[], int]) -> None:
        """Let C do something, and tell it the ways of packets that it asks for."""
        while (why := work()) == MISSING:
            chip, control, key = self._found
            self._plant(self._machine.tree(self._chips[chip], (control, key, 0)), control, key)
        if why == FULL:
            raise MemoryError(_NO_MEMORY)

    def _plant(self, tree: "Tree", control: int, key: int) -> int:
        """Tell C the way of packets; the place of its first branch."""
        branches, ends, children = (Stage * len(tree.branches))(), list[Any](), 1
        for index, ((xy, before, cores, _), (_, counters), came_by) in enumerate(
                zip(tree.branches, tree.hops, tree.came_by)):
            wire = NO_WIRE if before is None else NUM_LINKS * self._number[xy] + came_by
            noted, *_ = tree.at(index, (0, 0, 0))
            behind = len(tree.children[index])      # which are one behind the other
            branches[index] = Stage(self._number[xy], wire, noted, sum(1 << bit for bit in counters), len(ends),
                                     len(cores), children, behind)
            ends, children = ends + cores, children + behind
        self._net.key_bits = self._machine.key_bits
        begins = library().net_plant(self._at, self._number[tree.branches[0][0]],
                                     *class_of(self._machine, tree, control, key), branches, len(branches),
                                     _seats(ends), len(ends))
        if begins == NO_WIRE:
            raise MemoryError(_NO_MEMORY)
        self._begins.append(begins)
        self._trees.append(tree)
        return int(begins)

    def add(self, hop: Hop) -> None:
        """See `Interconnect.add`."""
        at, number, tree, branch, (control, key, data) = hop
        begins = next((begin for begin, known in zip(self._begins, self._trees) if known is tree), None)
        place = branch + (self._plant(tree, control, key) if begins is None else begins)
        library().net_come(self._at, at, number, place, control, key, data)

    def carry(self, until: int | None, now: int) -> None:
        """See `Interconnect.carry`."""
        self._hear_of_patience()
        end = NEVER if until is None else until
        self._until_known(partial(library().net_carry, self._at, end, now, self._found))
        self._tell_dropped()

    def _hear_of_patience(self) -> None:
        controls = [router.control for router in self._waiting]
        if controls != self._controls:
            self._controls = controls
            for chip, control in enumerate(controls):
                self._net.patience[chip] = timing.waiting_time(control)

    def _tell_dropped(self) -> None:
        dropped = self._net.dropped[:self._net.n_dropped] if self._net.n_dropped else []
        self._net.n_dropped = 0
        for one in dropped:
            tree, index = self._branch(one.branch)
            self._drop(tree, index, (one.control, one.key, one.data), one.at)

    def _branch(self, place: int) -> tuple["Tree", int]:
        way = bisect_right(self._begins, place) - 1
        return self._trees[way], place - self._begins[way]

    def forget(self) -> None:
        """See `Interconnect.forget`."""
        library().net_forget(self._at)
        if not self._net.n_branches:
            self._begins.clear()
            self._trees.clear()

    def settle(self) -> None:
        """See `Interconnect.settle`."""
        counts = self._net.counts
        for chip, found in enumerate(self._machine.chips.values() if counts else ()):
            for counter, count in enumerate(counts[COUNTERS * chip:COUNTERS * (chip + 1)]):
                if count:
                    found.router.count([counter], count)
                    counts[COUNTERS * chip + counter] = 0

    @property
    def paced(self) -> set[XY]:
        """See `Interconnect.paced`."""
        return {xy for xy, paced in zip(self._chips, self._net.paced[:self._net.n_chips]) if paced}

    @paced.setter
    def paced(self, chips: set[XY]) -> None:
        """Set it."""
        for number in range(self._net.n_chips):
            self._net.paced[number] = self._chips[number] in chips

    @property
    def _count(self) -> int:
        return self._net.number

    @_count.setter
    def _count(self, number: int) -> None:
        self._net.number = number

    @property
    def _hops(self) -> Any:
        return [(hop.at, hop.number, *self._branch(hop.branch), (hop.control, hop.key, hop.data))
                for hop in self._net.hops[:self._net.n_hops]]

    @_hops.setter
    def _hops(self, hops: Iterable[Hop]) -> None:
        self._net.n_hops = 0
        for hop in hops:
            self.add(hop)

    @property
    def _routers(self) -> Any:
        return {xy: free for xy, free in zip(self._chips, self._net.routers[:self._net.n_chips]) if free}

    @_routers.setter
    def _routers(self, free: dict[XY, int]) -> None:
        for number in range(self._net.n_chips):
            self._net.routers[number] = free.get(self._chips[number], 0)

    @property
    def _wires(self) -> Any:
        free = self._net.wires[:NUM_LINKS * self._net.n_chips]
        return {(self._chips[wire // NUM_LINKS], wire % NUM_LINKS): at for wire, at in enumerate(free) if at}

    @_wires.setter
    def _wires(self, free: dict[Wire, int]) -> None:
        for wire in range(NUM_LINKS * self._net.n_chips):
            self._net.wires[wire] = free.get((self._chips[wire // NUM_LINKS], wire % NUM_LINKS), 0)


def _seats(cores: Sequence[Any]) -> Any:
    return (ctypes.c_void_p * len(cores))(*[core.seated for core in cores])

