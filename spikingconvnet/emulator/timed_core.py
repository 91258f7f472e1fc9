"""A core whose work takes time: every block of its program its cycles, every access to a chip's memory its wait.

Its clock, `now`, is its own: it runs ahead of the machine's by up to a quantum (`run_all`). Both timers read it, a
transfer is done when its words have been moved, packets arrive when they do, and what happens interrupts the program
between two of its blocks unless it has masked it: so the program itself finds whether it is late. A core that waits for
an interrupt, or polls a timer, sleeps until something happens.

Not modelled: interrupts inside of a block (a block's cycles are counted as it begins), data that a transfer which is
still under way has not moved yet (all are there from its beginning).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from spikingconvnet.emulator import cycles, peripherals, timing
from spikingconvnet.emulator.core import F_BIT, FIQ_MODE, I_BIT, IRQ_MODE, IRQ_VECTOR, MOST_PACKETS, T_BIT, Core, Rest
from spikingconvnet.emulator.cpu import CPU
from spikingconvnet.emulator.memory import Device
from spikingconvnet.emulator.memory_map import ITCM_SIZE, SDRAM_BASES, SDRAM_SIZE, SYSRAM_BASES, SYSRAM_SIZE, Interrupt
from spikingconvnet.emulator.packets import Packet
from spikingconvnet.emulator.router import Router
from spikingconvnet.emulator.timed_devices import TimedComms, TimedDMA, TimedTimer

MOST_STEPS = 1 << 22                                # whose lengths are noted
CODE = ITCM_SIZE
NEVER = 2**64 - 1
FIRST_SHARED, SHARED = 2, 4                         # of a core's memories, those that are the chip's: accesses cost
SHARED_MEMORIES = (*((base, SDRAM_SIZE) for base in SDRAM_BASES), *((base, SYSRAM_SIZE) for base in SYSRAM_BASES))
SHARED_WAITS = (timing.SDRAM_WAIT, timing.SDRAM_WAIT, timing.SYSRAM_WAIT, timing.SYSRAM_WAIT)

Sent: TypeAlias = tuple[int, Packet]                # cycle, packet


def dumped_at(router: Router) -> int:
    """Cycle from which on a router tells of a packet that it has dropped."""
    return NEVER if router.dumps.due is None else router.dumps.due


@dataclass
class Bank:
    """The SDRAM of a chip: cycles that its cores' transfers have taken, and what a word takes now, in sixteenths."""

    moved: int = 0
    word: int = timing.DMA_WORD


@dataclass(frozen=True)
class Block:
    """A block of a program: address, bytes, whether Thumb's, how often it began, cycles with its waits and jumps."""

    address: int
    size: int
    thumb: bool
    begun: int
    spent: int


@dataclass(frozen=True)
class Times:
    """A core's clock, how long it slept, length of a step, awake time by step."""

    now: int
    slept: int
    period: int
    steps: Sequence[int]


class Order(list[Any]):
    """Cores that run programs, in the order in which they began; in C, once somebody has asked, `made` and `seats`."""

    made: Any = None
    seats: Any = None


@dataclass(frozen=True)
class Outcome:
    """Of a run: whom to look at, when something happens next, how far all have come, whether anybody works."""

    found: list[Core]
    next: int | None
    clock: int
    busy: bool
    carries: bool = False                           # whether packets that were under way have to go on


class TimedCPU(CPU):
    """A `CPU` that counts cycles, and serves the chips' memories as devices whose accesses take time."""

    def add(self, core: Any) -> None:
        """Let a core take part; its chip's memories are devices to it."""
        super().add(core)
        del self._spaces[core].memories[FIRST_SHARED:]

    def _map_core(self) -> None:
        super()._map_core()
        self.watch_blocks(lambda _uc, address, size, _data: self._running.begin_block(address, size))
        for index, (base, size) in enumerate(SHARED_MEMORIES, FIRST_SHARED):
            self.serve(base, size, lambda _uc, *access: self._running.load_shared(*access),
                       lambda _uc, *access: self._running.store_shared(*access), index)


class TimedCore(Core):
    """A `Core` with a clock of its own, in Python; see the module."""

    CPU: type[CPU] = TimedCPU
    BANK: Any = Bank
    dma: TimedDMA
    comms: TimedComms
    bank: Any                                       # of its chip, and
    timeout: int                                    # cycles that its router waits for it, and
    forget: Callable[[Any], None]                   # whom to tell that it has stopped: from the machine
    profiled = False                                # whether it has its blocks counted by itself

    def start(self, image: int, app_id: int, flags: int) -> None:
        """See `Core.start`."""
        self.now = self.slept = self._clock()
        self.coming: list[Sent] = []                # at the router
        self.queue: list[Packet] = []               # between it and the core
        self.blocked = self.freed = self.worked = self.held = self.paced = 0
        self.drops: list[Sent] = []                 # packets for which there was no room, and when
        self.dump_at = NEVER                        # from when on the router tells of a packet that it has dropped
        self.steps: list[int] = []
        self._limit = self._follow = self._jump = self.until = self.lag = 0
        self._blocks: dict[int, list[int]] = {}
        self._last: list[int] = [0, 0, 0, 0]
        super().start(image, app_id, flags)

    def stop(self) -> None:
        """Switch the core off."""
        if self.rest is not Rest.OFF:
            self.forget(self)
        super().stop()

    def _make_devices(self) -> None:
        self.vic = peripherals.VIC()
        self.timers = peripherals.Timers(self.vic, lambda: self.now)
        self.timers.each = TimedTimer(self), TimedTimer(self)
        self.comms = TimedComms(self, self.vic)
        self.dma = TimedDMA(self, self.vic, self.bus, self.physical, self._own)
        self._place_devices()

    def begin_block(self, address: int, size: int) -> None:
        """The program is about to begin a block: count it, or stop before it."""
        if address != self._follow:
            self._spend(self._jump)
        self._jump, self._follow = 0, address
        if self.now >= self._limit or (self.vic.raw & self.vic.enable and self._wanted() is not None):
            self._halted = True
            self._cpu.stop()
            return
        thumb = bool(self._read("CPSR") & T_BIT)
        cost = cycles.block(self.itcm.bytes[address:address + size], thumb)
        self._last = self._blocks.setdefault(address, [size, thumb, 0, 0])
        self._last[2] += 1
        self._spend(cost.cycles)
        self._jump, self._follow = cost.jump, address + size

    def _spend(self, spent: int) -> None:
        """The block that is under way takes so many cycles more."""
        self.now += spent
        self._last[3] += spent

    def blocks(self) -> list[Block]:
        """Blocks that it has begun, if it is `profiled`."""
        return [Block(address, size, bool(thumb), begun, spent)
                for address, (size, thumb, begun, spent) in sorted(self._blocks.items())] if self.profiled else []

    def load_shared(self, offset: int, width: int, index: int) -> int:
        """The program reads a memory of the chip."""
        self._spend(SHARED_WAITS[index - FIRST_SHARED])
        return int.from_bytes(self.memories[index][1].bytes[offset:offset + width], "little")

    def store_shared(self, offset: int, width: int, value: int, index: int) -> None:
        """The program writes to a memory of the chip."""
        self._spend(SHARED_WAITS[index - FIRST_SHARED])
        self.memories[index][1].bytes[offset:offset + width] = value.to_bytes(width, "little")

    def _yields(self) -> bool:
        self._spend(timing.DEVICE_WAIT)
        self.happen()
        return False

    def _load(self, device: Device, offset: int, width: int) -> int:
        if isinstance(device, Router):
            device.come(self.now)
        return super()._load(device, offset, width)

    def attend(self, router: Router) -> bool:
        """See `Core.attend`: it hears of it when its clock comes there."""
        self.dump_at, self.timeout = dumped_at(router), timing.waiting_time(router.control)
        self.vic.set(Interrupt.RTR_DUMP, self.dump_at <= self.now)
        return False

    def hears_of_drops(self) -> bool:
        """Whether the program wants to hear of packets that are dropped."""
        return bool(self.vic.enable >> Interrupt.RTR_DUMP & 1)

    def _has_read(self, device: Device) -> None:
        super()._has_read(device)
        self._plan()

    def _has_written(self) -> None:
        super()._has_written()
        self._plan()

    def note_sent(self) -> None:
        """It has sent a packet, of which somebody may hear after a while."""
        self.held = self.now + self.paced
        self.vic.full = 1 << Interrupt.CC_TNF if self.paced else 0
        self.until = min(self.until, self.now + self.lag)
        self._limit = min(self._limit, self.until)

    def _plan(self) -> None:
        """What happens next may have changed: the slice has to end there."""
        self._limit = min(self._limit, self.due())

    def happen(self) -> None:
        """Let everything happen that is due."""
        for index, timer in enumerate(self.timers.each):
            while timer.deadline is not None and timer.deadline <= self.now:
                if index == 0:
                    self._note_step()
                self.expire(index)
                if not timer.period:
                    timer.deadline = None
        self.dma.happen()
        if self.dump_at <= self.now:
            self.vic.set(Interrupt.RTR_DUMP, True)
        if self.held <= self.now:
            self.vic.full = 0
        self.move_up()

    def _heard_at(self) -> list[int]:
        """When the transmitter takes packets again and the router tells of one, if the program wants to hear it."""
        dumped = [self.dump_at] if self.hears_of_drops() and self.now < self.dump_at < NEVER else []
        return [*dumped, self.held] if self.vic.full & self.vic.enable else dumped

    def _note_step(self) -> None:
        """A step has ended: note how long the core was awake in it."""
        worked = self.now - self.slept
        if len(self.steps) < MOST_STEPS:
            self.steps.append(worked - self.worked)
            self.worked = worked

    def move_up(self) -> None:
        """Packets move up into the queue before the core while there is room, and from there into its controller.

        One that had to wait at the router for longer than the router waits is dropped.
        """
        while True:
            if not self.comms.received and self.queue:
                if len(self.queue) == timing.QUEUE:
                    self.freed = self.now
                self.comms.receive(self.queue.pop(0))
                self.timers.progress()
            if not self.coming or len(self.queue) == timing.QUEUE:
                return
            since = max(self.coming[0][0], self.blocked)
            enters = max(since, self.freed)
            if enters > self.now:
                return
            _, packet = self.coming.pop(0)
            if enters - since > self.timeout:
                self.blocked = since + self.timeout
                self.drops.append((self.blocked, packet))
            else:
                self.queue.append(packet)
                self.blocked = enters

    def due(self) -> int:
        """Cycle at which something happens next; now if it already should have, NEVER if nothing does."""
        events = [timer.deadline for timer in self.timers.each if timer.deadline is not None] + self.dma.ends[:1]
        if self.coming and not self.comms.received:
            events.append(self.coming[0][0])
        return max(min(events + self._heard_at(), default=NEVER), self.now)

    @property
    def asleep(self) -> bool:
        """Whether it waits for something to happen."""
        return self.rest is Rest.WFI or self.timers.waiting

    def wake(self, now: int) -> None:
        """Somebody does something to it: if it sleeps, it does so until now."""
        if self.asleep:
            self._doze(now)

    def _doze(self, until: int) -> None:
        if until > self.now:
            self.slept += until - self.now
            self.now = until

    def _slice(self) -> None:
        """Run until a cycle, or sleep until something happens after that; less far if what it sends may come back."""
        while self.now < self.until and self.rest is not Rest.DEAD:
            self.happen()
            vector, then = self._wanted(), self.due()
            if vector is not None:
                self._enter(vector, IRQ_MODE if vector == IRQ_VECTOR else FIQ_MODE, self._pc + 4,
                            I_BIT if vector == IRQ_VECTOR else I_BIT | F_BIT)
                self.rest = Rest.READY
                self.now += timing.ENTRY
            elif not self.asleep:
                self._limit, self.rest = min(then, self.until), Rest.READY
                self._emulate()
            elif then >= self.until:
                return
            else:
                self._doze(then)
                self.timers.progress()

    def arrive(self, at: int, packet: Packet) -> None:
        """A packet has set out for the core and comes to its router's output at a cycle."""
        if len(self.coming) < MOST_PACKETS:
            self.coming.append((at, packet))
        else:
            self.lost += 1

    @staticmethod
    def arrive_all(cores: Sequence[Any], at: int, packet: Packet) -> None:
        """A packet has set out for cores of a chip, none of which has `ended`."""
        for core in cores:
            core.arrive(at, packet)

    def pace(self, cycles: int) -> None:
        """The router takes a packet from the core only so many cycles after the last."""
        self.paced = cycles

    def take_sent_at(self) -> list[Sent]:
        """The packets that the program has sent since the last time, with their cycles."""
        times, self.comms.sent_at = self.comms.sent_at, []
        return list(zip(times, self.take_sent()))

    def times(self) -> Times:
        """Its times so far."""
        return Times(self.now, self.slept, self.timers.each[0].period, self.steps)

    def take_drops(self) -> list[Sent]:
        """The packets for which it had no room since the last time, with the cycles at which they were dropped."""
        drops, self.drops = self.drops, []
        return drops

    def settle(self) -> None:
        """Deal with a fault, if there is one."""

    def _next(self) -> int:
        """Cycle at which it does something next."""
        if self.rest is Rest.DEAD:
            return NEVER
        return self.due() if self.asleep and self._wanted() is None else self.now

    @property
    def _works(self) -> bool:
        if self.rest is Rest.DEAD:
            return False
        return bool(not self.asleep or self.dma.ends or (self.coming and not self.comms.received) or self._heard_at())

    @staticmethod
    def run_all(cores: Sequence[Any], clock: int, end: int, lag: int, banks: Sequence[Any]) -> Outcome:
        """Let cores run up to a cycle, in rounds: each as far as nothing that another one does can reach it.

        Parameters
        ----------
        cores : sequence of TimedCore
        clock, end : how far all have come, and how far they may
        lag : cycles after which one hears of another
        banks : those that cores share

        Returns
        -------
        Outcome
            When somebody has to be looked at, or nobody works or waits for anything but a timer.
        """
        while True:
            began, begins = clock, [core._next() for core in cores]
            first, second = sorted([*begins, NEVER, NEVER])[:2]
            found = []
            for core, at in zip(cores, begins):
                others = second if at == first else first
                core.lag, core.until = lag, others + lag if others < end - lag else end
                if at < core.until:
                    with core._cpu.turn_of(core):
                        core._slice()
                if core.comms.sent or core.drops or core.rest is Rest.DEAD:
                    found.append(core)
            following, busy = min((core._next() for core in cores), default=NEVER), any(core._works for core in cores)
            latest = following if busy and following < NEVER else max((core.now for core in cores), default=0)
            clock = max(clock, latest)
            for bank in banks:
                bank.word, bank.moved = timing.shared_word(bank.moved, max(clock - began, lag)), 0
            if found or not busy or following >= end:
                return Outcome(found, None if following == NEVER else following, clock, busy)
