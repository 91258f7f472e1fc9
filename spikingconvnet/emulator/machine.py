"""The chips of a machine wired together, the clock they share, and the packets between them.

Time is a sequence of events: cores are infinitely fast, so the clock (in cycles of 200 MHz) stands still while any of
them has something to do and then jumps to the next timer that expires. All timers of an instant fire together; every
core runs until it waits; then the packets that were sent arrive, and so on until nothing is left. Results therefore
depend on nothing but the programs.

Not modelled: how long anything takes, packets lost to congestion, the drift of clocks.
"""

import gc
import heapq
import ipaddress
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import TypeAlias

from spikingconvnet.emulator.chip import Chip
from spikingconvnet.emulator.core import MOST_SENT, Core, Rest
from spikingconvnet.emulator.cpu import CPUs
from spikingconvnet.emulator.layout import Layout
from spikingconvnet.emulator.memory import Bus, Memory
from spikingconvnet.emulator.memory_map import CPU_CLOCK_MHZ, NUM_CPUS, NUM_LINKS, SV, SV_BASE, XY, CPUState, Place
from spikingconvnet.emulator.monitor import Monitor
from spikingconvnet.emulator.packets import PORT_ETHERNET, ROOT, SDP, Packet, seen_bits
from spikingconvnet.emulator.router import HERE
from spikingconvnet.emulator.tags import Tags
from spikingconvnet.emulator.tree import Tree

MakeCore: TypeAlias = Callable[..., Core]
Event: TypeAlias = tuple[int, Place, int]           # cycle, core, its timer
Sent: TypeAlias = tuple[XY, Sequence[Packet]]       # from a chip

MOST_STREAMED = 1 << 25                             # a chip's memory, a word in each packet
MOST_UNDER_WAY, MOST_TREES, MOST_EVENTS = 1 << 20, 1 << 16, 1 << 17    # 150 MB, 100 MB, 20 MB: what no program needs
MANY = 1 << 10                                      # packets that a core sends before it rests: no program does
LANDINGS = 1000                                     # packets that arrive before messages are looked after again
CYCLES_PER_MS = CPU_CLOCK_MHZ * 1000


class Machine:
    """A SpiNN-3 (4 chips), a SpiNN-5 (48 chips) or three SpiNN-5 side by side (144 chips), booted.

    Parameters
    ----------
    version : 3 or 5
    addresses : of the boards' Ethernet ports, as text: one or three
    transmit : callable(SDP): a message for a host
    report : callable(text): what a person should know about cores that fail
    watchdog : seconds of this computer's CPU that a core may run without coming to rest, so that a busy one stops none
    make_core : Core or a class like it

    Raises
    ------
    SetupError
        Another version, or another number of boards.
    """

    def __init__(self, version: int = 5, addresses: Sequence[str] = ("127.0.0.1",),
                 transmit: Callable[[SDP], None] = lambda message: None,
                 report: Callable[[str], None] = lambda text: None, watchdog: float = 300.0,
                 make_core: type[Core] = Core) -> None:
        self.layout = Layout(version, len(addresses))
        self.transmit, self.report, self.watchdog = transmit, report, watchdog
        self.cycle, self._under_way = 0, 0
        self._spent: float | None = None            # CPU time of the core that was paused, since then
        self._events: list[Event] = []              # a heap
        self._ready: deque[Core] = deque()
        self._queued: set[Core] = set()             # those in it
        self._running: Core | None = None
        self._packets: list[Sent] = []
        self._arriving: deque[Sent] = deque()
        self._mail: deque[SDP] = deque()            # messages from cores
        self._trees: dict[tuple[XY, int, int, bool], Tree] = {}
        self._idle: list[Core] = []                 # cores whose ticks are for nothing, made up for
        self._key_bits: int | None = None          # bits of keys that any router looks at; None: not known
        self._passed: list[Tree] = []               # along which packets went that no router has counted
        self._clocked: list[Chip] = []              # that have run a program: somebody may look at the time
        self.tags = {xy: Tags() for xy in self.layout.ethernets}
        self._make_core, self._cpus = make_core, CPUs(make_core.CPU)
        self.chips = {xy: self._chip(*xy) for xy in self._places()}
        self.wires = {xy: self._wires(*xy) for xy in self.chips}
        self.monitors = {xy: Monitor(self, chip) for xy, chip in self.chips.items()}
        self._boot()
        self.set_addresses(addresses)

    def _places(self) -> list[XY]:
        """Coordinates of the chips that there are."""
        return self.layout.chips

    def _working(self, _x: int, _y: int) -> Sequence[int]:
        """Physical numbers of the cores of a chip that work."""
        return range(NUM_CPUS)

    def _chip(self, x: int, y: int) -> Chip:
        return Chip(x, y, self._core_of(x, y), self._wake, self._take_mail, (self._forget_routes, self.settle),
                    self.report, self._working(x, y))

    def _core_class(self, _place: Place) -> MakeCore:
        return self._make_core

    def _core_of(self, x: int, y: int) -> Callable[[int, Bus, tuple[Memory, Memory]], Core]:
        def make(number: int, bus: Bus, memories: tuple[Memory, Memory]) -> Core:
            core = self._core_class((x, y, number))(number, self._cpus, bus, memories, lambda: self.cycle,
                                                    self._report_core)
            core.place = x, y, number
            return core
        return make

    def _report_core(self, core: Core, text: str) -> None:
        x, y, number = core.place
        self.report(f"core {x},{y},{number} ({self.chips[x, y].app_name(number)}): {text}")

    def _wires(self, x: int, y: int) -> list[XY | None]:
        """The chip behind each link, None where there is none."""
        return [end if end in self.chips else None for end in self.layout.ends(x, y)]

    def _boot(self) -> None:
        for xy, chip in self.chips.items():
            links = sum(1 << link for link, end in enumerate(self.wires[xy]) if end)
            chip.boot(self.layout, links)
        for target, chip in self.chips.items():
            for xy, link in self._ways_to(target).items():
                self.chips[xy].router.set_p2p(chip.address, link)

    def _ways_to(self, target: XY) -> dict[XY, int]:
        """Link towards a chip from each chip, along shortest ways."""
        ways, front = {target: HERE}, [target]
        for xy in front:
            for link, end in enumerate(self.wires[xy]):
                if end and end not in ways:
                    ways[end] = (link + NUM_LINKS // 2) % NUM_LINKS
                    front.append(end)
        return ways

    def set_addresses(self, addresses: Sequence[str]) -> None:
        """Let the boards know the addresses of their Ethernet ports."""
        for xy, address in zip(self.layout.ethernets, addresses):
            self.chips[xy].bus.write(SV_BASE + SV.IP_ADDR, ipaddress.IPv4Address(address).packed)

    @property
    def root(self) -> Chip:
        """The chip that has the first board's Ethernet port."""
        return self.chips[0, 0]

    def tags_at(self, address: int) -> Tags:
        """Tags of the board that the chip at a point-to-point address is on."""
        return self.tags[self.layout.ethernet_at(address)]

    def chip_at(self, address: int) -> Chip | None:
        """The chip at a point-to-point address, or None."""
        return self.chips.get((address >> 8, address & 255))

    def accept(self, message: SDP) -> None:
        """An SDP message from a host."""
        self.send(message)

    def send(self, message: SDP) -> None:
        """Route an SDP message from a core or host to a monitor, a core or a host (`proc_route_msg`, scamp-3.c:816)."""
        chip = self.root if message.dest_addr == ROOT else self.chip_at(message.dest_addr)
        if chip is None:
            self.report(f"a message for the chip at {message.dest_addr:#06x}, which is not on this board")
        elif message.dest_port == PORT_ETHERNET:
            self.transmit(message)
        else:
            self.monitors[chip.x, chip.y].receive(message)

    def _take_mail(self, message: SDP) -> None:
        """A message from a core, which may be running."""
        self._mail.append(message)

    def _carry(self) -> None:
        """Send the messages of cores: when they rest, because one may stop the very core that it comes from."""
        for _ in range(len(self._mail)):
            self.send(self._mail.popleft())

    def _wake(self, core: Core) -> None:
        """Something has happened to a core: look at it soon."""
        if core not in self._queued:
            self._queued.add(core)
            self._ready.append(core)

    @property
    def busy(self) -> bool:
        """Whether `step` would do something."""
        return bool(self._events) or not self.at_rest

    @property
    def at_rest(self) -> bool:
        """Whether all cores have done what they can at this instant: their states are what a board would show."""
        return not (self._mail or self._ready or self._packets or self._arriving)

    @property
    def hears(self) -> bool:
        """Whether a host's message for a core comes behind all packets that were sent before it."""
        return self.at_rest

    def next_instant(self) -> int | None:
        """Cycle to which the clock jumps next when all cores are at rest; None if no timer ticks for anything."""
        self._look_after_idle()
        while self._events and self._stale(*self._events[0]):
            heapq.heappop(self._events)
        return self._events[0][0] if self._events else None

    def _look_after_idle(self) -> None:
        """Ticks of cores that are no longer idle become events."""
        for core in [core for core in self._idle if not core.idle]:
            self._idle.remove(core)
            if not core.ended:
                self._schedule(core)

    def rouse(self) -> None:
        """Let ticks of all idle cores be events, until they are found idle again."""
        for core in self._idle:
            core.touch()
        self._look_after_idle()

    def _stale(self, instant: int, place: Place, timer: int) -> bool:
        """Whether an event is the deadline of a timer that has been stopped or set anew since."""
        x, y, number = place
        core = self.chips[x, y].cores.get(number)
        if core is None or timer >= len(core.scheduled):        # no timer's
            return False
        return core.ended or core.deadlines()[timer] != instant

    def step(self) -> None:
        """Do the next thing there is: carry messages, run a core, let packets arrive, or let the clock jump."""
        if self._mail:
            self._carry()
        elif self._arriving:
            self._land()
        elif self._ready:
            self._run(self._ready.popleft())
        elif self._packets:
            self._arrive()
        elif self._events:
            self._tick()

    def run(self, until: int | None = None) -> None:
        """Step until nothing is left to do, or nothing up to and including a cycle."""
        while not self.at_rest or (self._events and (until is None or self._events[0][0] <= until)):
            self.step()

    def _run(self, core: Core) -> None:
        """Let a core run until it rests or is paused, if there is anything to do for it."""
        self._queued.discard(core)
        if not core.ready or core.skip():
            self._spent = None
            return
        self._running = core
        self._spend(core)
        self._running = None
        self._deal_with(core)

    def _deal_with(self, core: Core) -> None:
        """Deal with what a core that has run has done."""
        self._carry()
        if core.rest is Rest.OFF:
            self._spent = None
            return
        core.settle()
        self._after(core)
        if core.rest is Rest.READY:                 # paused in the middle: it goes on before anybody else
            self._stream(core) if self._under_way >= MOST_SENT else self._again(core)
            self._check_watchdog(core)
        else:
            self._spent = None

    def _stream(self, core: Core) -> None:
        """A core sends so much without a pause that others have to take it before it goes on."""
        core.streamed += self._under_way
        self._arrive_early()
        self._wake(core)
        if core.streamed > MOST_STREAMED:
            self._stop(core, f"has sent {core.streamed} packets without a pause")

    def _arrive_early(self) -> None:
        """Let packets arrive before all cores are at rest."""
        self._arriving, self._packets, self._under_way = deque(self._packets), [], 0

    def _again(self, core: Core) -> None:
        self._queued.add(core)
        self._ready.appendleft(core)

    def _spend(self, core: Core) -> None:
        """Let a core run. A thread's clock is slow to read: time counts for one that has been paused, as few are."""
        if self._spent is None:
            core.run()
            return
        began = time.thread_time()
        core.run()
        self._spent += time.thread_time() - began

    def _after(self, core: Core) -> None:
        """Take the packets of a core that has run, bury it if it is dead, and note when its timers expire."""
        chip, sent = self.chips[core.place[:2]], self._collect(core)
        if core.rest is Rest.DEAD:
            chip.bury_dead(core)
            return
        self._schedule(core)
        chip.post(core)
        if self._under_way > MOST_UNDER_WAY and sent > MANY:
            self._stop(core, f"has sent {sent} packets without a pause while {self._under_way} are under way")

    def _collect(self, core: Core) -> int:
        """Take the packets of a core that has run; how many."""
        x, y, _ = core.place
        if self.chips[x, y] not in self._clocked:
            self._clocked.append(self.chips[x, y])
        if sent := core.take_sent():
            self._packets.append(((x, y), sent))
            self._under_way += len(sent)
        return len(sent)

    def _check_watchdog(self, core: Core) -> None:
        self._spent = self._spent or 0.0
        if self._spent > self.watchdog:
            self._stop(core, f"has not come to rest for {self.watchdog:g} s")
            self._spent = None

    def _stop(self, core: Core, why: str) -> None:
        self._report_core(core, f"{why}; stopped by the watchdog at pc {core.registers()['pc']:#010x}")
        self.chips[core.place[:2]].bury(core, CPUState.WDOG, 0)

    def pause(self) -> None:
        """From another thread: let a core that runs come back soon, so that messages can be answered."""
        if (core := self._running) is not None:
            core.pause()

    def _schedule(self, core: Core) -> None:
        if core.idle:
            core.scheduled = [None, None]
            if core not in self._idle:
                self._idle.append(core)
            return
        found = core.deadlines()
        for timer, (deadline, known) in enumerate(zip(found, core.scheduled)):
            if deadline is not None and deadline != known:
                heapq.heappush(self._events, (deadline, core.place, timer))
        core.scheduled = found
        if len(self._events) > MOST_EVENTS:         # timers that are set again and again leave their old deadlines
            self._events = [event for event in self._events if not self._stale(*event)]
            heapq.heapify(self._events)

    def _tick(self) -> None:
        """Jump to the next instant at which timers expire, and let them."""
        self._look_after_idle()
        instant = self._events[0][0]
        for core in self._idle:                     # as if they had ticked until now
            if core.catch_up(instant) == instant:
                heapq.heappush(self._events, (instant, core.place, 0))
        while self._events and self._events[0][0] == instant:
            self._expire(*heapq.heappop(self._events))

    def _expire(self, instant: int, place: Place, timer: int) -> bool:
        """The deadline of a core's timer has come, if it is still the same; whether it is."""
        x, y, number = place
        core = self.chips[x, y].cores[number]
        due = not core.ended and core.deadlines()[timer] == instant
        if due:
            if self.cycle != instant:
                self._set_clock(instant)
            core.expire(timer)
            self._schedule(core)
            self._wake(core)
        return due

    def _set_clock(self, cycle: int) -> None:
        self.cycle = cycle
        for chip in self._clocked:
            chip.bus.store(SV_BASE + SV.CLOCK_MS, cycle // CYCLES_PER_MS, 8)

    def stopped(self) -> None:
        """Applications have been stopped: give back what the CPU emulator held for them."""
        gc.collect()

    def close(self) -> None:
        """Switch all cores off, which gives back what they hold outside of Python."""
        for chip in self.chips.values():
            for core in chip.cores.values():
                core.stop()

    def _arrive(self) -> None:
        """Let all packets that are under way reach their cores, in the order in which they were sent."""
        self._arrive_early()
        self._land()

    def _land(self) -> None:
        """Let packets reach their cores until all have, or so many that messages should be looked after first."""
        left = LANDINGS
        while self._arriving and left > 0:
            source, sent = self._arriving.popleft()
            if len(sent) > left:
                self._arriving.appendleft((source, sent[left:]))
            self._spread(source, sent[:left])
            left -= len(sent)

    def _spread(self, source: XY, sent: Sequence[Packet]) -> None:
        """Let packets from a chip reach their cores."""
        for packet in sent:
            tree = self.tree(source, packet)
            if not tree.packets:
                self._passed.append(tree)
            tree.packets += 1
            for core in tree.cores:
                core.offer(packet)
                if core not in self._queued:
                    self._wake(core)

    def tree(self, source: XY, packet: Packet) -> Tree:
        """Where a packet from a chip goes: as all go in whose keys routers see the same bits."""
        control, key, _ = packet
        return (self._trees.get((source, self.seen(control, key), control, False))
                or self._trees.get((source, key, control, True)) or self._plant(source, key, control))

    def seen(self, control: int, key: int) -> int:
        """What routers see of the key of a packet."""
        return key & seen_bits(control, self.key_bits)

    @property
    def key_bits(self) -> int:
        """Bits of keys that any router looks at."""
        if self._key_bits is None:
            self._key_bits = reduce(or_, (chip.router.key_bits() for chip in self.chips.values()))
        return self._key_bits

    def _plant(self, source: XY, key: int, control: int) -> Tree:
        if len(self._trees) == MOST_TREES:
            self._forget_routes()
        tree = Tree(self, source, key, control)
        seen = key if tree.told else self.seen(control, key)    # of others with this fault it is told as well
        self._trees[source, seen, control, tree.told] = tree
        return tree

    def _forget_routes(self) -> None:
        self._key_bits = None
        if self._trees:
            self.settle()
            self._trees.clear()

    def settle(self) -> None:
        """Count what has passed along every tree since the last time."""
        for tree in self._passed:
            for router, counters in tree.hops:
                router.count(counters, tree.packets)
            tree.packets = 0
        self._passed.clear()
