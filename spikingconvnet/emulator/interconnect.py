"""How long packets are under way: from a core through routers and links to other cores.

A router takes a packet every 10 ns, a link sends one every 165 ns. A packet that finds a link busy waits in the queue
before it; when that is full it waits in the router, and all that come behind it with it; and if that takes longer than
the router waits, it is dropped there with all its copies, and counted.

A core whose router has not come to its packets yet cannot send more: from the quantum on that follows.

Not modelled: emergency routing, which input of a router comes first when several wait, copies that leave while another
one's link is busy, a router that stands still because a core does not take its packets.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from spikingconvnet.emulator import timing
from spikingconvnet.emulator.memory_map import XY
from spikingconvnet.emulator.packets import Packet

if TYPE_CHECKING:
    from spikingconvnet.emulator.machine import Machine, Tree

Posted: TypeAlias = tuple[int, XY, Packet]          # cycle, chip, packet
Wire: TypeAlias = tuple[XY, int]                    # a chip, and the link by which packets come to it


class Interconnect:
    """The routers and links of a machine, and when each of them is free again.

    `lag` is what the shortest way takes in all, in cycles, which is more than it does on a board: so every packet comes
    to its cores later than a quantum of that length after it was sent, in the same distance from others.
    """

    def __init__(self, machine: "Machine", lag: int) -> None:
        self._machine, self._lag = machine, max(lag - timing.SEND - timing.ROUTER_PIPELINE, 0)
        self._routers: dict[XY, int] = {}
        self._wires: dict[Wire, int] = {}

    def carry(self, posted: Iterable[Posted], now: int) -> Iterator[tuple[XY, int]]:
        """Let packets go their ways, in the order in which they were sent: every core hears when they come to it.

        Then (chip, cycle) of those whose routers take no more packets of their own cores until after `now`.
        """
        sources = set()
        for at, source, packet in sorted(posted, key=_when):
            self._send(self._machine.tree(source, packet), at + timing.SEND, packet)
            sources.add(source)
        yield from ((source, free) for source in sorted(sources) if (free := self._routers[source]) > now)

    def _send(self, tree: "Tree", at: int, packet: Packet) -> None:
        payload = bool(packet[0])
        comes: list[int | None] = [at] + [None] * (len(tree.branches) - 1)
        for index, (router, counters) in enumerate(tree.hops):
            arrives = comes[index]
            if arrives is None:
                continue
            xy, before, listed, default = tree.branches[index]
            cores: list[Any] = list(listed)
            begins = max(arrives, self._routers.get(xy, 0))
            if before is not None:                  # its wire holds it until the router takes it
                wire = xy, tree.came_by[index]
                self._wires[wire] = max(self._wires[wire], begins - timing.LINK_FLIGHT)
            wires = [(tree.branches[child][0], tree.came_by[child]) for child in tree.children[index]]
            leaves = self._leave(xy, begins, wires, timing.LINK_LONG_PACKET if payload else timing.LINK_PACKET,
                                 timing.waiting_time(router.control))
            if leaves is None:
                counters = router.counting(payload=payload, local=before is None, default=default, route=None)
            else:
                for child, time in zip(tree.children[index], leaves):
                    comes[child] = time
                for core in cores:                  # of the kind that has a clock
                    core.arrive(begins + timing.ROUTER_PIPELINE + self._lag, packet)
            router.count(counters, 1)

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


def _when(posted: Posted) -> int:
    return posted[0]
