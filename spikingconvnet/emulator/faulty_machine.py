"""A board on which things go wrong: `Machine` or `TimedMachine` with `Faults`. Boards without faults never come here.

What a fault leaves to see is left to the programs and to sPyNNaker: a dropped packet counts in the router that dropped
it, a crash is an exception in the program, whose handlers report it.
Sources: scamp-3.c of spinnaker_tools 813bfef; spinn_extra.h of SpiNNFrontEndCommon a100eec (counters).
"""

import hashlib
import heapq
import struct
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

from spikingconvnet.emulator import timing
from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.faults import Faults, refuse_with_time
from spikingconvnet.emulator.interconnect import Interconnect
from spikingconvnet.emulator.layout import Layout
from spikingconvnet.emulator.machine import CYCLES_PER_MS, Machine, MakeCore
from spikingconvnet.emulator.memory_map import NUM_CPUS, NUM_LINKS, XY, Place
from spikingconvnet.emulator.packets import PORT_ETHERNET, SDP, TYPE, Packet
from spikingconvnet.emulator.router import Router
from spikingconvnet.emulator.slow_core import SlowCore
from spikingconvnet.emulator.timed_machine import TimedMachine
from spikingconvnet.emulator.tree import Tree

FOR_EVER = 255              # as wait1 of a router, as is assumed: sPyNNaker has it so while data stream, to lose none
_MONITOR, _READY_AGAIN = 0, 2                       # in events: a core that has no timers; a timer that there is not


def may_drop(router: Router, control: int) -> bool:
    """Whether a packet is one to be dropped: multicast, by a router that has not been told to wait for ever."""
    return not control & TYPE and router.control >> 16 & 255 != FOR_EVER


class _Damaged(Machine):
    """Faults that are the same with time and without it: dead parts, silence, and the lots."""

    def __init__(self, faults: Faults, version: int = 5, addresses: Sequence[str] = ("127.0.0.1",),
                 **options: Any) -> None:
        faults.check_places(Layout(version, len(addresses)))
        self.faults, self._heard, self._silent = faults, 0, False
        self._seen: Counter[tuple[str, XY, int]] = Counter()
        self._crashes = {(x, y, core): time for x, y, core, time in faults.crashes}
        super().__init__(version, addresses=addresses, **options)

    def _places(self) -> list[XY]:
        return [xy for xy in super()._places() if xy not in self.faults.dead_chips]

    def _working(self, x: int, y: int) -> Sequence[int]:
        return [core for core in range(NUM_CPUS) if (x, y, core) not in self.faults.dead_cores]

    def _wires(self, x: int, y: int) -> list[XY | None]:
        ends = super()._wires(x, y)
        for link, end in enumerate(ends):
            back = end and (*end, (link + NUM_LINKS // 2) % NUM_LINKS)
            if (x, y, link) in self.faults.dead_links or back in self.faults.dead_links:
                ends[link] = None
        return ends

    def _quiet(self) -> bool:
        """Whether the board has fallen silent."""
        seconds, number = self.faults.silent_after, self.faults.silent_after_packets
        late = seconds is not None and self.cycle >= seconds * 1000 * CYCLES_PER_MS
        if not self._silent and (late or (number is not None and self._heard > number)):
            self._silent = True
            self.report("silent from now on, as its faults say")
        return self._silent

    def accept(self, message: SDP) -> None:
        """An SDP message from a host."""
        self._heard += 1
        if not self._quiet():
            super().accept(message)

    def send(self, message: SDP) -> None:
        """Route an SDP message; none leaves a board that has fallen silent."""
        if message.dest_port != PORT_ETHERNET or not self._quiet():
            super().send(message)

    def _crash(self, core: Core) -> None:
        """Let a core crash, and what cannot go on end."""
        del self._crashes[core.place]
        core.crash("a fault on demand")
        if core.rest is Rest.DEAD:
            self.chips[core.place[:2]].bury_dead(core)

    def _draws(self, what: str, xy: XY, key: int) -> float:
        """The next lot, 0 to 1, of what happens to packets with a key at a chip."""
        subject = what, xy, key
        self._seen[subject] += 1
        text = struct.pack("<q4sHHIQ", self.faults.seed, what.encode(), *xy, key, self._seen[subject])
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") / 2**64


class FaultyMachine(_Damaged):
    """A `Machine` with faults.

    Parameters
    ----------
    faults : Faults
    version, addresses, options : see `Machine`
    """

    def __init__(self, faults: Faults, version: int = 5, addresses: Sequence[str] = ("127.0.0.1",),
                 **options: Any) -> None:
        self._first_ticks: dict[Place, int] = {}
        self._late: dict[int, tuple[XY, Packet]] = {}
        self._postponed = 0
        self._speeds = {(x, y, core): speed for x, y, core, speed in faults.slow_cores}
        super().__init__(faults, version, addresses, **options)

    def _expire(self, instant: int, place: Place, timer: int) -> bool:
        if place[2] == _MONITOR:
            self._set_clock(instant)
            self._pass_on(*self._late.pop(timer))
        elif timer == _READY_AGAIN:
            self._set_clock(instant)
            self._wake(self.chips[place[:2]].cores[place[2]])
        elif super()._expire(instant, place, timer):
            if timer == 0 and place in self._crashes:
                self._perhaps_crash(instant, place)
            return True
        return False

    def _perhaps_crash(self, instant: int, place: Place) -> None:
        x, y, number = place
        core, first = self.chips[x, y].cores[number], self._first_ticks.setdefault(place, instant)
        if instant - first >= self._crashes[place] * CYCLES_PER_MS:
            self._crash(core)

    def _core_class(self, place: Place) -> MakeCore:
        return partial(SlowCore, self._speeds[place]) if place in self._speeds else super()._core_class(place)

    def _after(self, core: Core) -> None:
        super()._after(core)
        if isinstance(core, SlowCore) and core.busy_until > self.cycle:
            heapq.heappush(self._events, (core.busy_until, core.place, _READY_AGAIN))

    def _spread(self, source: XY, sent: Sequence[Packet]) -> None:
        share, delay = self.faults.late_packets
        if not share and not self.faults.dropped_packets:
            super()._spread(source, sent)
            return
        for packet in sent:
            if share and self._draws("late", source, packet[1]) < share:
                self._postpone(source, packet, round(delay * CYCLES_PER_MS))
            else:
                self._pass_on(source, packet)

    def _postpone(self, source: XY, packet: Packet, cycles: int) -> None:
        """Let a packet set out later, before whatever its cores do at that instant."""
        number = self._postponed = self._postponed + 1
        self._late[number] = source, packet
        heapq.heappush(self._events, (self.cycle + cycles, (*source, _MONITOR), number))

    def _pass_on(self, source: XY, packet: Packet) -> None:
        """Let a packet try its luck at every router on its way."""
        control, key, _ = packet
        tree = self.tree(source, packet)
        share = self.faults.dropped_packets
        passed: list[bool] = []
        for index, ((router, counters), (xy, before, cores, default)) in enumerate(zip(tree.hops, tree.branches)):
            arrives = before is None or passed[before]
            dropped = arrives and may_drop(router, control) and share > 0 and self._draws("drop", xy, key) < share
            passed.append(arrives and not dropped)
            if dropped:
                counters = router.counting(control, local=tree.came_by[index] < 0, default=default, route=None)
                router.dumps.add(tree.at(index, packet), tree.routes[index])
            if arrives:
                router.count(counters, 1)
            for core in cores if passed[-1] else ():
                core.offer(packet)
                self._wake(core)


class LossyInterconnect(Interconnect):
    """An `Interconnect` whose routers drop some packets that they could send on. Cores may be compiled, it is not."""

    _machine: "TimedFaultyMachine"

    def _route(self, at: int, number: int, tree: Tree, index: int, packet: Packet) -> None:
        router, xy, before = tree.hops[index][0], *tree.branches[index][:2]
        if not may_drop(router, packet[0]) or not self._machine.loses(xy, packet[1]):
            super()._route(at, number, tree, index, packet)
            return
        begins = max(at, self._routers.get(xy, 0))
        if before is not None:                      # it has come by a wire all the same
            wire = xy, tree.came_by[index]
            self._wires[wire] = max(self._wires[wire], begins - timing.LINK_FLIGHT)
        self._routers[xy] = begins + timing.ROUTER_PACKET
        self._drop(tree, index, packet, begins + timing.ROUTER_PIPELINE)


class TimedFaultyMachine(_Damaged, TimedMachine):
    """A `TimedMachine` with faults, without slow cores and late packets: both are about time that work does not take.

    Parameters
    ----------
    faults : Faults
    version, addresses, options : see `TimedMachine`

    Raises
    ------
    SetupError
        Slow cores or late packets are among the faults.
    """

    def __init__(self, faults: Faults, version: int = 5, addresses: Sequence[str] = ("127.0.0.1",),
                 **options: Any) -> None:
        refuse_with_time(faults)
        super().__init__(faults, version, addresses, **options)

    def _kind_of_network(self, make_core: Any) -> type[Interconnect]:
        return LossyInterconnect if self.faults.dropped_packets else super()._kind_of_network(make_core)

    def loses(self, xy: XY, key: int) -> bool:
        """Whether the router of a chip drops the next packet with a key."""
        return self._draws("drop", xy, key) < self.faults.dropped_packets

    def _pass(self, until: int | None, *passes: int) -> None:
        before = self.cycle // CYCLES_PER_MS
        super()._pass(until, *passes)
        if self._crashes and self.cycle // CYCLES_PER_MS != before:     # in C, too, somebody looks then
            for place in list(self._crashes):
                self._perhaps_crash(place)

    def _perhaps_crash(self, place: Place) -> None:
        chip = self.chips.get(place[:2])
        core: Any = chip.cores.get(place[2]) if chip else None
        if core is None or core.ended:
            return
        spent = core.times()
        if not spent.steps or (len(spent.steps) - 1) * spent.period < self._crashes[place] * CYCLES_PER_MS:
            return
        core.wake(self.cycle)
        self._crash(core)
        self._next, self._someone_works = self.cycle, True
        if core.rest is Rest.DEAD:
            self._forget(core)
