"""Where packets go on a machine, from a core through routers to other cores, as its tables say."""

from typing import TYPE_CHECKING

from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.memory_map import NUM_LINKS, XY
from spikingconvnet.emulator.packets import FAKE, FAKE_SHIFT, ONLY, POINT_TO_POINT, TYPE, Packet
from spikingconvnet.emulator.router import MONITOR, Router

if TYPE_CHECKING:           # which has trees
    from spikingconvnet.emulator.machine import Machine


class Tree:
    """Where packets of a kind with a key go from a chip: `cores`, and `hops` as (router, counters they increment).

    `branches` says for each hop the chip, the hop before (None for the first), the cores there, and whether the packet
    goes straight on; `came_by` the link of that chip by which the packet came (or seems to have come, if it is
    re-injected), -1 if a core has sent it, `routes` where to, and `children` the hops behind it; `told` whether
    something is wrong with it, which has been reported.
    """

    def __init__(self, machine: "Machine", source: XY, key: int, control: int = 0) -> None:
        self.cores: list[Core] = []
        self.hops: list[tuple[Router, list[int]]] = []
        self.branches: list[tuple[XY, int | None, list[Core], bool]] = []
        self.came_by: list[int] = []
        self.routes: list[int] = []
        self.packets, self.told = 0, False
        fake = control >> FAKE_SHIFT & 7
        front: list[tuple[XY, int | None, int | None]] = [(source, 7 - fake if fake else None, None)]
        seen = set()
        for xy, came_by, before in front:
            if (xy, came_by) in seen:
                machine.report(f"packets with key {key:#010x} from chip {source} go round in circles at chip {xy}")
                self.told = True
                continue
            seen.add((xy, came_by))
            chip = machine.chips[xy]
            only = chip.cores.get(control & ONLY)
            found = 1 << NUM_LINKS + only.physical if only else chip.router.way(control, key, came_by is None)
            default = found is None
            # Straight on; a packet from a core here has no "on": to the monitor.
            straight = MONITOR if came_by is None else 1 << (came_by + NUM_LINKS // 2) % NUM_LINKS
            route = straight if found is None else found
            dead = [link for link in range(NUM_LINKS) if route >> link & 1 and machine.wires[xy][link] is None]
            if dead:
                machine.report(f"packets with key {key:#010x} leave the board at chip {xy} by link {dead[0]}")
                self.told = True
            gone = (default and bool(dead)) or (control & TYPE == POINT_TO_POINT and route == 0)
            self.hops.append((chip.router, chip.router.counting(
                control, local=came_by is None, default=default, route=None if gone else route)))
            cores = [core for core in chip.cores.values() if route >> NUM_LINKS + core.physical & 1]
            self.cores += cores
            front += [(end, (link + NUM_LINKS // 2) % NUM_LINKS, len(self.branches))
                      for link, end in enumerate(machine.wires[xy]) if route >> link & 1 and end is not None]
            self.branches.append((xy, before, cores, default))
            self.came_by.append(-1 if came_by is None else came_by)
            self.routes.append(route)
        self.children: list[list[int]] = [[] for _ in self.branches]
        for index, (_, parent, _, _) in enumerate(self.branches):
            if parent is not None:
                self.children[parent].append(index)

    def at(self, index: int, packet: Packet) -> Packet:
        """A packet at a hop, with the link by which it has come there (or seems to) as routers note it."""
        control, key, data = packet
        came_by = self.came_by[index]
        return control & ~FAKE | (7 - came_by << FAKE_SHIFT if came_by >= 0 else 0), key, data
