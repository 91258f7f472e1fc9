"""The devices of one core: interrupt controller, timers, communications controller, DMA controller.

Register offsets: spinnaker.h of spinnaker_tools 813bfef; bits: spinn_extra.h of SpiNNFrontEndCommon a100eec. A register
that is not listed is a BusError with its name, never a zero.

The core is infinitely fast and the clock stands still while it runs, but programs measure time by reading a timer: each
read of a running counter therefore costs READ_COST cycles, for that counter only.
"""

from collections.abc import Callable

from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.memory import Bus
from spikingconvnet.emulator.memory_map import Interrupt
from spikingconvnet.emulator.packets import (
    BYTE,
    DIRECT,
    FAKE,
    FAKE_SHIFT,
    LINK,
    LINK_SHIFT,
    NEAREST,
    PAYLOAD,
    POINT_TO_POINT,
    TYPE,
    Packet,
)

READ_COST = 50                                      # cycles; any number that lets a program see time pass
POLLS = 6                                           # reads in a row without anything else: the program waits

ALWAYS = 1 << Interrupt.CC_TMT | 1 << Interrupt.CC_TNF      # the transmitter is always empty; full only in time


class Device:
    """Registers by offset, as words."""

    name = ""

    def _unknown(self, verb: str, offset: int) -> BusError:
        return BusError(f"{verb} of {self.name}+{offset:#05x}, a register that is not modelled")


class VIC(Device):
    """Vectored interrupt controller: 32 lines, 16 vectored slots, one line for FIQ (spinnaker.h:245)."""

    name = "VIC"
    IRQST, FIQST, RAW, SELECT, ENABLE, DISABLE, SOFT_SET, SOFT_CLR = range(0x00, 0x20, 4)
    VADDR, DEFADDR, ADDR, CNTL = 0x30, 0x34, 0x100, 0x200
    SLOTS, SLOT_ENABLE = 16, 0x20

    def __init__(self) -> None:
        self.lines = self.soft = self.enable = self.select = self.default = 0
        self.full = 0                               # the transmitter's line while it is, where work takes time
        self.vectors, self.controls = [0] * self.SLOTS, [0] * self.SLOTS
        self.in_service: list[int] = []             # slots whose handlers have not acknowledged yet

    @property
    def raw(self) -> int:
        """Lines that ask for attention, enabled or not."""
        return self.lines | self.soft | ALWAYS & ~self.full

    def set(self, line: int, active: bool) -> None:
        """Raise or lower a line."""
        self.lines = self.lines | 1 << line if active else self.lines & ~(1 << line)

    @property
    def fiq(self) -> bool:
        """Whether the core's FIQ input is active."""
        return bool(self.raw & self.enable & self.select)

    def slot(self) -> int | None:
        """The slot to serve: the first whose line is active and that nothing of its rank or above blocks; else None.

        A line without a slot is ignored: SARK's default handler would return at once.
        """
        pending = self.raw & self.enable & ~self.select
        if pending:
            for slot in range(self.in_service[-1] if self.in_service else self.SLOTS):
                control = self.controls[slot]
                if control & self.SLOT_ENABLE and pending >> (control & 31) & 1:
                    return slot
        return None

    def load(self, offset: int) -> int:
        """Read a register; reading VADDR starts the service of the interrupt."""
        if offset == self.VADDR:
            slot = self.slot()
            if slot is None:                        # nothing new: what is being served (PL190, VICVECTADDR)
                return self.vectors[self.in_service[-1]] if self.in_service else self.default
            self.in_service.append(slot)
            return self.vectors[slot]
        pending = self.raw & self.enable
        values = {self.IRQST: pending & ~self.select, self.FIQST: pending & self.select, self.RAW: self.raw,
                  self.SELECT: self.select, self.ENABLE: self.enable, self.SOFT_SET: self.soft,
                  self.DEFADDR: self.default, self.DISABLE: 0, self.SOFT_CLR: 0}   # the last two: to be written (PL190)
        if offset in values:
            return values[offset]
        index, bank = (offset & 0xff) // 4, offset & ~0xff
        if index < self.SLOTS and bank in (self.ADDR, self.CNTL):
            return (self.vectors if bank == self.ADDR else self.controls)[index]
        raise self._unknown("read", offset)

    def store(self, offset: int, value: int) -> None:
        """Write a register; writing VADDR ends the service of the latest interrupt."""
        index, bank = (offset & 0xff) // 4, offset & ~0xff
        if offset == self.VADDR:
            if self.in_service:
                self.in_service.pop()
        elif offset == self.SELECT:
            self.select = value
        elif offset == self.ENABLE:
            self.enable |= value
        elif offset == self.DISABLE:
            self.enable &= ~value
        elif offset == self.SOFT_SET:
            self.soft |= value
        elif offset == self.SOFT_CLR:
            self.soft &= ~value
        elif offset == self.DEFADDR:
            self.default = value
        elif index < self.SLOTS and bank in (self.ADDR, self.CNTL):
            (self.vectors if bank == self.ADDR else self.controls)[index] = value
        else:
            raise self._unknown("write", offset)


class Timer:
    """One 32-bit down counter; `deadline` is the cycle at which it expires, None while it does not run.

    `read_cost` is what a read of the running counter costs, `phased` whether the first period is as long as the program
    says: only where time is modelled (`timed_core.py`), elsewhere all timers of a board tick together.
    Not modelled: prescaling.
    """

    read_cost, phased = READ_COST, False

    LOAD, COUNT, CONTROL, INT_CLR, RAW_INT, MASK_INT, BG_LOAD = range(0x00, 0x1c, 4)    # spinnaker.h:192
    RUN, PERIODIC, INTERRUPT, ONE_SHOT = 0x80, 0x40, 0x20, 0x01     # CONTROL; spinn_extra.h:245

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock                         # -> the machine's cycle
        self.load_value = self.background = self.control = 0
        self.raw = self.halted = False
        self.deadline: int | None = None
        self.started = 0
        self.reads = 0                              # of COUNT, since it was loaded
        self.polls = 0                              # of COUNT, in a row

    @property
    def period(self) -> int:
        """Cycles from one expiry to the next."""
        return self.background or self.load_value

    @property
    def interrupt(self) -> bool:
        """Whether the interrupt line is active."""
        return self.raw and bool(self.control & self.INTERRUPT)

    def _start(self, cycles: int) -> None:
        self.started, self.reads, self.halted = self._clock(), 0, False
        expires = self.control & self.INTERRUPT and cycles
        self.deadline = self.started + cycles if self.control & self.RUN and expires else None

    def count(self) -> int:
        """What the program sees of the counter."""
        if not self.control & self.RUN:
            return self.load_value
        self.reads += 1
        if self.deadline is None:
            elapsed = self._clock() - self.started + self.read_cost * self.reads
            return 0 if self.halted else self.load_value - elapsed & 0xffffffff
        return max(self.deadline - self._clock() - self.read_cost * self.reads, 1)

    def expire(self) -> None:
        """The deadline has come."""
        self.raw, self.reads = True, 0
        self.started = self.deadline or 0
        self.halted = bool(self.control & self.ONE_SHOT)
        self.deadline = None if self.halted else self.started + self.period

    def load(self, offset: int) -> int | None:
        """Read a register."""
        if offset == self.COUNT:
            return self.count()
        values = {self.LOAD: self.load_value, self.CONTROL: self.control, self.RAW_INT: int(self.raw),
                  self.MASK_INT: int(self.interrupt), self.BG_LOAD: self.background}
        return values.get(offset)

    def store(self, offset: int, value: int) -> bool:
        """Write a register; whether there is such a register."""
        if offset == self.LOAD:
            self.load_value = value
            self._start(value)
        elif offset == self.CONTROL:
            started = value & self.RUN and not self.control & self.RUN
            self.control = value
            if started:
                self._start(self.load_value if value & self.ONE_SHOT or self.phased else self.period)
            elif not value & self.RUN:
                self.deadline = None
        elif offset == self.INT_CLR:
            self.raw = False
        elif offset == self.BG_LOAD:
            self.background = value
        return offset in (self.LOAD, self.CONTROL, self.INT_CLR, self.BG_LOAD)


class Timers(Device):
    """The core's two timers. A program that polls a counter that will expire waits for it: `waiting` becomes true."""

    name, SECOND = "timers", 0x20                   # spinnaker.h:184

    def __init__(self, vic: VIC, clock: Callable[[], int]) -> None:
        self._vic, self.each = vic, (Timer(clock), Timer(clock))
        self.waiting = False

    def update(self) -> None:
        """Let the interrupt lines follow the timers."""
        for line, timer in zip((Interrupt.TIMER1, Interrupt.TIMER2), self.each):
            self._vic.set(line, timer.interrupt)

    def expire(self, index: int) -> None:
        """A timer's deadline has come."""
        self.each[index].expire()
        self.update()

    def load(self, offset: int) -> int:
        """Read a register of either timer."""
        timer = self.each[offset >= self.SECOND]
        value = timer.load(offset % self.SECOND)
        if value is None:
            raise self._unknown("read", offset)
        if offset % self.SECOND == Timer.COUNT and timer.deadline is not None:
            timer.polls += 1
            self.waiting = timer.polls >= POLLS and bool(timer.control & Timer.ONE_SHOT or value == 1)
        return value

    def store(self, offset: int, value: int) -> None:
        """Write a register of either timer."""
        if not self.each[offset >= self.SECOND].store(offset % self.SECOND, value):
            raise self._unknown("write", offset)
        self.update()
        self.progress()

    def progress(self) -> None:
        """The program has done something else than reading a counter."""
        self.waiting = False
        for timer in self.each:
            timer.polls = 0


class CommsController(Device):
    """Communications controller: a write of TXKEY sends; one received packet at a time is offered (spinnaker.h:150).

    Packets are (control, key, payload); control is TCR's: two bits for the type, bit 17 for "has a payload", and of a
    nearest-neighbour packet the link by which it leaves (or has come); and the source address register's link, by which
    it seems to have come to the router (`packets.FAKE`).
    """

    name = "communications controller"
    TCR, TXDATA, TXKEY, RSR, RXDATA, RXKEY, SAR, TEST = range(0x00, 0x20, 4)
    EMPTY, NOT_FULL = 0x80000000, 0x10000000        # TCR; NOT_FULL: sPyNNaker send_mc.h:27
    RECEIVED, ERROR_FREE, MULTICAST = 0x80000000, 0x08000000, 0x00000001    # RSR
    PAYLOAD, TYPE, POINT_TO_POINT, TYPE_SHIFT = PAYLOAD, TYPE, POINT_TO_POINT, 22
    LINES = Interrupt.CC_MC, Interrupt.CC_P2P, Interrupt.CC_NN, Interrupt.CC_FR     # by type

    def __init__(self, vic: VIC) -> None:
        self._vic = vic
        self.control = self.txdata = self.rxcontrol = self.rxdata = self.rxkey = 0
        self.source = FAKE                          # by none: bits 24 to 26 are all set
        self.has_data = self.received = False
        self.sent: list[Packet] = []

    def receive(self, packet: Packet) -> None:
        """Offer a packet to the program."""
        control, self.rxkey, self.rxdata = packet
        if control & TYPE == NEAREST:               # sent by a link, it has come by the opposite one
            control = control & ~LINK | ((control >> LINK_SHIFT & 7) + 3) % 6 << LINK_SHIFT
        self.rxcontrol = control & BYTE
        self._offer(True)

    def _offer(self, received: bool) -> None:
        self.received = received
        self._vic.set(Interrupt.CC_RDY, received)
        kind = self.rxcontrol >> self.TYPE_SHIFT & 3
        for number, line in enumerate(self.LINES):
            self._vic.set(line, received and number == kind)

    def load(self, offset: int) -> int:
        """Read a register; reading RXKEY takes the packet."""
        if offset == self.TCR:
            return self.control | self.EMPTY | self.NOT_FULL
        if offset == self.RSR:
            kind = self.MULTICAST << (self.rxcontrol >> self.TYPE_SHIFT & 3)
            flags = self.RECEIVED | self.ERROR_FREE | kind if self.received else 0
            return self.rxcontrol | flags
        if offset == self.RXDATA:
            return self.rxdata
        if offset == self.RXKEY:
            self._offer(False)
            return self.rxkey
        if offset == self.SAR:
            return self.source
        raise self._unknown("read", offset)

    def store(self, offset: int, value: int) -> None:
        """Write a register; writing TXKEY sends."""
        if offset == self.TCR:
            self.control = value & 0x00ff0000
        elif offset == self.TXDATA:
            self.txdata, self.has_data = value, True
        elif offset == self.TXKEY:
            self._send(value)
        elif offset == self.SAR:
            self.source = value
        elif offset != self.RSR:                    # writing RSR clears error flags, which are never set
            raise self._unknown("write", offset)

    def _send(self, key: int) -> None:
        kind = self.control & TYPE
        if kind == NEAREST:
            kind = self.control & (TYPE | DIRECT | LINK)
            if kind & DIRECT or kind & LINK > 5 << LINK_SHIFT:
                raise BusError(f"nearest-neighbour packet with key {key:#010x} to a router itself or to all links,"
                               " which is not modelled")
        link = self.source & FAKE ^ FAKE
        if link == 1 << FAKE_SHIFT:
            raise BusError(f"packet with key {key:#010x} that seems to have come by link 6, which is not there")
        payload = self.has_data or bool(self.control & self.PAYLOAD)
        self.sent.append((kind | link | (self.PAYLOAD if payload else 0), key, self.txdata if payload else 0))
        self.has_data = False


class DMA(Device):
    """DMA controller: a transfer happens at once when its description is written (spinnaker.h:410).

    `written` is called with the address that a transfer has written to.
    """

    name = "DMA controller"
    ADRS, ADRT, DESC, CTRL, STAT, GCTL = range(0x04, 0x1c, 4)
    SCTL, STAT0 = 0x28, 0x40                        # spinnaker.h:420
    TO_SYSTEM, LENGTH = 1 << 19, 0x1ffff            # DESC; spin1_api.c:973
    ENABLE_COUNT, CLEAR_COUNT = 0x01, 0x02          # SCTL: "clear and enable counters" is 3; spin1_api.c:227
    CLEAR_DONE, ABORT, UNCOMMIT = 0x08, 0x02, 0x01  # CTRL; spinn_extra.h:363
    DONE = 1 << 10                                  # STAT, and GCTL: interrupt if done; spinn_extra.h:400
    DONE_TWICE, TRANSFERRING, QUEUED = 1 << 11, 0x01, 0x04          # STAT, where transfers take time

    def __init__(self, vic: VIC, bus: Bus, processor: int, written: Callable[[int], None]) -> None:
        self._vic, self._bus, self._processor, self._written = vic, bus, processor, written
        self.system = self.tcm = self.description = self.gctl = self.sctl = self.bursts = 0
        self.done = False

    def _update(self) -> None:
        self._vic.set(Interrupt.DMA_DONE, self.done and bool(self.gctl & self.DONE))

    def load(self, offset: int) -> int:
        """Read a register."""
        status = self._processor << 24 | (self.DONE if self.done else 0) | self._status()
        values = {self.ADRS: self.system, self.ADRT: self.tcm, self.DESC: self.description, self.CTRL: 0,
                  self.STAT: status, self.GCTL: self.gctl, self.STAT0: self.bursts}
        if offset not in values:
            raise self._unknown("read", offset)
        return values[offset]

    def store(self, offset: int, value: int) -> None:
        """Write a register; writing DESC does the transfer."""
        if offset == self.ADRS:
            self.system = value
        elif offset == self.ADRT:
            self.tcm = value
        elif offset == self.DESC:
            self.description = value
            self._transfer(value & self.LENGTH)
        elif offset == self.CTRL:
            self._control(value)
        elif offset == self.GCTL:
            self.gctl = value
        elif offset == self.SCTL:
            self.sctl = value
            if value & self.CLEAR_COUNT:
                self.bursts = 0
        else:
            raise self._unknown("write", offset)
        self._update()

    def _transfer(self, length: int) -> None:
        source, target = self.system, self.tcm
        if self.description & self.TO_SYSTEM:
            source, target = target, source
        self._bus.write(target, self._bus.read(source, length))
        self._written(target)
        self._finish(length)
        if self.sctl & self.ENABLE_COUNT:                  # 2^burst (bits 23:21) words, or double words (bit 24)
            burst = 4 << (self.description >> 24 & 1) + (self.description >> 21 & 7)
            self.bursts += -(-length // burst)

    def _finish(self, _length: int) -> None:
        """The data of a transfer are where they should be."""
        self.done = True

    def _control(self, value: int) -> None:
        if value & (self.CLEAR_DONE | self.ABORT):
            self.done = False

    def _status(self) -> int:
        """More bits of STAT."""
        return 0
