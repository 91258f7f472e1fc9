"""How long packets are under way: from a core through routers and links to other cores.

A router takes a packet every 10 ns, a link sends one every 165 ns. A packet that finds a link busy waits in the queue
before it; when that is full it waits in the router, and all that come behind it with it; and if that takes longer than
the router waits, it is dropped there with all its copies, and counted. A link holds its packet until the next router
takes it. Cores whose router has not come to all packets yet take turns to send more, a packet of one link at a time.

Not modelled: emergency routing, which input of a router comes first when several wait, copies that leave while another
one's link is busy, a router that stands still because a core does not take its packets.
"""

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from spikingconvnet.emulator import timing
from spikingconvnet.emulator.memory_map import XY
from spikingconvnet.emulator.packets import PAYLOAD, Packet

if TYPE_CHECKING:
    from spikingconvnet.emulator.machine import Machine
    from spikingconvnet.emulator.timed_core import Order, Outcome
    from spikingconvnet.emulator.tree import Tree

Posted: TypeAlias = tuple[int, XY, int, Packet]     # cycle, chip, core, packet
Wire: TypeAlias = tuple[XY, int]                    # a chip, and the link by which packets come to it
Hop: TypeAlias = tuple[int, int, "Tree", int, Packet]       # cycle, number, way, branch, packet: it comes to a router


class Interconnect:
    """The routers and links of a machine, and when each of them is free again.

    Parameters
    ----------
    machine : Machine
    lag : cycles after which a packet comes to a core at the earliest, from when it came to that core's router: more
        than on a board, so that cores can run so long before they hear of each other
    """

    def __init__(self, machine: "Machine", lag: int) -> None:
        self._machine, self._lag = machine, max(lag, timing.ROUTER_PIPELINE)
        self._routers: dict[XY, int] = {}
        self._wires: dict[Wire, int] = {}
        self._hops: list[Hop] = []                  # a heap
        self._count = 0
        self._senders: Counter[XY] = Counter()      # cores that have sent packets since the last time, by chip
        self.paced: set[XY] = set()                 # chips whose cores have to take turns to send

    def open(self) -> None:
        """The machine has all its chips now."""

    @property
    def earliest(self) -> int | None:
        """When a packet comes to a router next; None if none is under way."""
        return self._hops[0][0] if self._hops else None

    def run(self, cores: "Order", clock: int, end: int, lag: int, banks: Sequence[Any], most: int = 0,
            until: int = 0, passes: int = 1) -> "Outcome":
        """Let cores run up to a cycle, until somebody has to be looked at.

        In C their packets may go on by themselves, and cores run again, until Python has to do something.

        Parameters
        ----------
        cores, clock, end, lag, banks : see `TimedCore.run_all`
        most : cycles to which `end` is moved from where a next pass begins; 0: it stays
        until : cycle at which Python has something to do
        passes : how many there may be
        """
        under_way = self.earliest
        if under_way is not None:
            end = min(end, under_way + lag)
        found = self._machine._make_core.run_all(cores, clock, end, lag, banks)     # type: ignore[attr-defined]
        return replace(found, carries=under_way is not None)

    def take(self, _cores: "Order", _found: Sequence[Any]) -> bool:
        """Take what cores have sent at once, if it can; whether it has."""
        return False

    def post(self, posted: Sequence[Posted]) -> None:
        """Packets have been sent."""
        self._senders = Counter(xy for xy, _ in {(xy, core) for _, xy, core, _ in posted})
        for at, source, _, packet in posted:
            self._come(at + timing.SEND, self._machine.tree(source, packet), 0, packet)

    def add(self, hop: Hop) -> None:
        """A packet is under way."""
        heapq.heappush(self._hops, hop)

    def _come(self, at: int, tree: "Tree", branch: int, packet: Packet) -> None:
        self._count += 1
        heapq.heappush(self._hops, (at, self._count, tree, branch, packet))

    def carry(self, until: int | None, now: int) -> None:
        """Let everything happen at routers before a cycle (None: everything): cores hear when packets come to them.

        Whoever calls it knows that no packet will be sent before that cycle. Cores whose routers have not come to all
        packets by now have to take turns.
        """
        while self._hops and (until is None or self._hops[0][0] < until):
            self._route(*heapq.heappop(self._hops))
        busy = self.busy(now)
        for xy in busy | self.paced:
            pace = timing.LINK_PACKET * max(self._senders[xy], 1) if xy in busy else 0
            for core in self._machine.chips[xy].cores.values():
                if not core.ended:
                    core.pace(pace)                 # type: ignore[attr-defined]
        self.paced, self._senders = busy, Counter()

    def free(self, xy: XY) -> int:
        """Cycle from which on no packet waits at the router of a chip."""
        return self._routers.get(xy, 0)

    def busy(self, now: int) -> set[XY]:
        """Chips whose routers have not come to all packets yet."""
        return {xy for xy, free in self._routers.items() if free > now}

    def forget(self) -> None:
        """Routes have changed; packets that are under way keep theirs."""

    def settle(self) -> None:
        """Count what has passed in the routers."""

    def _route(self, at: int, _number: int, tree: "Tree", index: int, packet: Packet) -> None:
        """A packet comes to a router."""
        router, counters = tree.hops[index]
        xy, before, listed, _ = tree.branches[index]
        begins, payload, children = max(at, self._routers.get(xy, 0)), bool(packet[0] & PAYLOAD), tree.children[index]
        if before is not None:                      # its wire holds it until the router takes it
            wire = xy, tree.came_by[index]
            self._wires[wire] = max(self._wires[wire], begins - timing.LINK_FLIGHT)
        wires = [(tree.branches[child][0], tree.came_by[child]) for child in children]
        patience = timing.waiting_time(router.control)
        leaves = self._leave(xy, begins, wires, timing.LINK_LONG_PACKET if payload else timing.LINK_PACKET, patience)
        if leaves is None:
            self._drop(tree, index, packet, begins + timing.ROUTER_PIPELINE + patience)
        else:
            for child, time in zip(children, leaves):
                self._come(time, tree, child, packet)
            cores: list[Any] = [core for core in listed if not core.ended]      # of the kind that has a clock
            if cores:
                cores[0].arrive_all(cores, begins + self._lag, tree.at(index, packet))
            router.count(counters, 1)

    @staticmethod
    def _drop(tree: "Tree", index: int, packet: Packet, at: int) -> None:
        """A router drops a packet at a cycle, with all its copies."""
        router, default = tree.hops[index][0], tree.branches[index][3]
        router.count(router.counting(packet[0], local=tree.came_by[index] < 0, default=default, route=None), 1)
        router.dumps.add(tree.at(index, packet), tree.routes[index], at, timing.waiting_time(router.control))

    def _leave(self, xy: XY, begins: int, wires: list[Wire], takes: int, patience: int) -> list[int] | None:
        """When a packet that the router of a chip takes at a cycle has crossed its wires; None if it is dropped."""
        ready = begins + timing.ROUTER_PIPELINE
        starts = [max(ready, self._wires.get(wire, 0)) for wire in wires]
        held = max([start - ready - timing.LINK_QUEUE * takes for start in starts], default=0)
        self._routers[xy] = begins + timing.ROUTER_PACKET + min(max(held, 0), patience)
        if held > patience:
            return None
        for wire, start in zip(wires, starts):
            self._wires[wire] = start + takes
        return [start + takes + timing.LINK_FLIGHT for start in starts]
