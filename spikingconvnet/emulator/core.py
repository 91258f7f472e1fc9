"""One ARM968 core: its memory and devices, exceptions by hand, and running until the program waits.

Unicorn's ARM926 model (`cpu.py`) executes the same instructions, stops at "wait for interrupt"
(`mcr p15, 0, r0, c7, c0, 4`), and never takes interrupts by itself. So a core runs from one wait to the next; there
the next interrupt is entered as the hardware would. spin1_api waits with interrupts masked and unmasks them right after
(`dispatch`, spin1_api.c:524); here the interrupt is taken at the wait itself, mask or not. A program that polls a timer
waits too: Unicorn is stopped inside that read, which the program repeats when it is resumed.

Not modelled: alignment faults, cycles of instructions, caches of the real core (it has none).
"""

import struct
import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeAlias

from spikingconvnet.emulator import aplx, peripherals
from spikingconvnet.emulator.cpu import CHIP_DEVICES, CPU, CPUs, Trap, Trapped, require_unicorn
from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.memory import Bus, Device, Memory
from spikingconvnet.emulator.memory_map import (
    CC_BASES,
    DMA_BASES,
    DTCM_BASE,
    DTCM_SIZE,
    ITCM_BASE,
    ITCM_SIZE,
    RTE,
    SDRAM_BASES,
    SYSRAM_BASES,
    TIMER_BASES,
    VIC_BASES,
    Interrupt,
    Place,
)
from spikingconvnet.emulator.packets import Packet
from spikingconvnet.emulator.router import Router

I_BIT, F_BIT, T_BIT, MODE_BITS = 0x80, 0x40, 0x20, 0x1f     # ARM Architecture Reference Manual (ARMv5), A2.5
FIQ_MODE, IRQ_MODE, SVC_MODE, ABT_MODE, UND_MODE = 0x11, 0x12, 0x13, 0x17, 0x1b
UNDEF_VECTOR, SVC_VECTOR, PABT_VECTOR, DABT_VECTOR, IRQ_VECTOR, FIQ_VECTOR = 0x04, 0x08, 0x0c, 0x10, 0x18, 0x1c

WAIT, WAIT_MASK = 0x0e070f90, 0x0fff0fff            # mcr p15, 0, rX, c7, c0, 4 (any condition, any register)
BURST = 32                                          # packets that a FIQ handler takes before the program goes on
MOST_PACKETS = 1 << 18                              # that wait for a core; those that come after them are lost
MOST_SENT = 1 << 16                                 # packets after which a core pauses, so that somebody takes them
_GRACE = 0.05                                       # s of CPU in which a program is expected to touch a device
_MAX_FAULTS = 8                                     # exceptions in exceptions before the core is given up

Clock: TypeAlias = Callable[[], float]              # -> seconds
Abort: TypeAlias = tuple[RTE, int, int, int]        # code, vector, mode, what is added to the pc


def clock_of_this_thread() -> Clock:
    """A function, for any thread, that gives the seconds of CPU that the thread calling this one has used.

    Seconds on the wall where the system cannot tell.
    """
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.monotonic
    clock = time.pthread_getcpuclockid(threading.get_ident())
    return lambda: time.clock_gettime(clock)


class Rest(Enum):
    """Why a core does not run."""

    OFF, READY, WFI, POLL, DEAD, BUSY = range(6)        # BUSY: in the middle of its program until time has passed


class Core:
    """A core of a chip, from `start` to `stop`.

    Parameters
    ----------
    number : virtual core number, 1 to 17; `physical` is the same unless somebody says otherwise before `start`
    cpus : the machine's CPUs, of the class `CPU` here
    system : Bus of the chip
    memories : the chip's (SDRAM, SysRAM)
    clock : callable -> the machine's cycle
    report : callable(core, text) for what a person should know
    """

    CPU: type[CPU] = CPU
    place: Place                                    # on a machine
    failure: RTE                                    # why it was given up
    inbox: Any                                      # packets that wait for it, whatever its class keeps them in

    def __init__(self, number: int, cpus: CPUs, system: Bus, memories: tuple[Memory, Memory], clock: Callable[[], int],
                 report: Callable[["Core", str], None]) -> None:
        self.number, self.physical, self.rest, self._cpus = number, number, Rest.OFF, cpus
        self._cpu: CPU = None       # type: ignore[assignment]      # while it is switched off
        self._system, self._memories, self._clock, self._report = system, memories, clock, report
        self.inbox, self.lost, self._burst, self._faults = [], 0, 0, 0
        self._instructions = 0                      # after so many Unicorn stops; 0: never
        self._fault: BusError | None = None         # on its way out of Unicorn
        self._life = threading.Lock()               # held while the core is switched off or asked to pause
        self._pause, self._yielded, self._halted = False, False, False
        self._spent: Clock = time.monotonic
        self._asked = self._spent, 0.0, 0           # a clock, what it said when asked, and accesses begun and ended
        self._touches = 0                           # accesses to devices begun and ended: odd in the middle of one
        self.scheduled: list[int | None] = [None, None]     # deadlines of the timers that the machine knows of
        self.streamed = 0                           # packets that others took while it sent more
        self.mailed = False                         # whether messages may wait for it

    def start(self, image: int, app_id: int, flags: int) -> None:
        """Load the APLX image at an address and begin at its start address (`reset_entry`, sark_alib.s:123)."""
        self.power(lambda: aplx.load(self.bus, image))
        self._write("CPSR", I_BIT | F_BIT | SVC_MODE)
        self._write("R0", flags << 8 | app_id)
        self.rest, self._faults, self._burst, self.scheduled = Rest.READY, 0, 0, [None, None]
        self.streamed = 0
        self.begin()

    def power(self, fill: Callable[[], int]) -> None:
        """Switch the core on, with memories that a function fills: it returns where to begin."""
        self.stop()
        self.itcm, self.dtcm = Memory("ITCM", ITCM_SIZE), Memory("DTCM", DTCM_SIZE)
        sdram, sysram = self._memories
        self.memories = [(ITCM_BASE, self.itcm), (DTCM_BASE, self.dtcm), *((base, sdram) for base in SDRAM_BASES),
                         *((base, sysram) for base in SYSRAM_BASES)]
        self.bus = Bus()
        for base, memory in self.memories:
            self.bus.add_memory(base, memory)
        self._pc = fill()
        self._devices: dict[int, Device] = {base: self._system.device(base) for base in CHIP_DEVICES}
        self._make_devices()
        self._cpu = self._take_cpu()
        self._cpu.add(self)

    def _take_cpu(self) -> Any:
        """What executes its program."""
        require_unicorn()
        return self._cpus.take()

    def begin(self) -> None:
        """For a subclass: the core has been set up and will run."""

    def stop(self) -> None:
        """Switch the core off."""
        with self._life:
            if self._cpu is not None:
                self._cpu.remove(self)
            self.inbox, self.rest, self._cpu = [], Rest.OFF, None       # type: ignore[assignment]

    def _make_devices(self) -> None:
        self.vic = peripherals.VIC()
        self.timers = peripherals.Timers(self.vic, self._clock)
        self.comms = peripherals.CommsController(self.vic)
        self.dma = peripherals.DMA(self.vic, self.bus, self.physical, self._own)
        self._place_devices()

    def _own(self, address: int) -> None:
        """Something other than its program has written to the core's memory."""
        self._cpu.own(self, address)

    def _place_devices(self) -> None:
        for bases, device in ((VIC_BASES, self.vic), (TIMER_BASES, self.timers), (CC_BASES, self.comms),
                              (DMA_BASES, self.dma)):
            self._devices.update(dict.fromkeys(bases, device))

    def load(self, base: int, offset: int, width: int) -> int:
        """The program reads a register."""
        self._touches += 1
        try:
            return 0 if self._yields() else self._load(self._devices[base], offset, width)
        finally:
            self._touches += 1

    def _load(self, device: Device, offset: int, width: int) -> int:
        try:
            value = device.load(self._whole(device, offset, width))
        except BusError as error:
            return self._stop_with(error)
        self._has_read(device)
        return value

    def store(self, base: int, offset: int, width: int, value: int) -> None:
        """The program writes a register."""
        self._touches += 1
        try:
            if not self._yields():
                self._store(self._devices[base], offset, width, value)
        finally:
            self._touches += 1

    def _store(self, device: Device, offset: int, width: int, value: int) -> None:
        try:
            device.store(self._whole(device, offset, width), value)
        except BusError as error:
            self._stop_with(error)
        self._has_written()

    @staticmethod
    def _whole(device: Device, offset: int, width: int) -> int:
        if width != 4 or offset & 3:
            raise BusError(f"access to {width} bytes of {device.name}+{offset:#05x}; registers are words")
        return offset

    def _yields(self) -> bool:
        """Whether to stop at this access, which then does nothing now and is repeated when the program goes on."""
        if not (self._pause or self._halted) and len(self.comms.sent) < MOST_SENT:
            return False
        self._yielded, self._pause = True, False
        self._cpu.stop()
        return True

    def _has_read(self, device: Device) -> None:
        if device is not self.timers:
            self.timers.progress()
        elif device.waiting:
            self._cpu.stop()

    def _has_written(self) -> None:
        self.timers.progress()

    def _stop_with(self, error: BusError) -> int:
        self._fault = error
        self._cpu.stop()
        return 0

    def _read(self, register: str) -> int:
        return self._cpu.read(self, register)

    def _write(self, register: str, value: int) -> None:
        self._cpu.write(self, register, value)

    def registers(self) -> dict[str, int]:
        """r0 to r7, psr, sp, lr and pc by name, as they are now."""
        names = {**{f"r{i}": f"R{i}" for i in range(8)}, "psr": "CPSR", "sp": "SP", "lr": "LR"}
        return {**{name: self._read(register) for name, register in names.items()}, "pc": self._pc}

    def offer(self, packet: Packet) -> None:
        """A packet (control, key, payload) arrives."""
        if len(self.inbox) < MOST_PACKETS:
            self.inbox.append(packet)
        else:
            self.lost += 1

    def interrupt(self, line: int, active: bool) -> None:
        """Raise or lower a line of the interrupt controller."""
        self.vic.set(line, active)

    def attend(self, router: Router) -> bool:
        """Let the interrupt line of packets that are dropped be as the chip's router says; whether it is active."""
        active = router.dumps.due is not None
        self.interrupt(Interrupt.RTR_DUMP, active)
        return active

    def deadlines(self) -> list[int | None]:
        """Cycles at which the two timers expire, None for those that do not."""
        return [timer.deadline for timer in self.timers.each]

    def expire(self, timer: int) -> None:
        """Tell a timer that its deadline has come."""
        self.timers.expire(timer)
        self.timers.progress()

    @property
    def ended(self) -> bool:
        """Whether no program is under way: it is off, or dead."""
        return self.rest in (Rest.OFF, Rest.DEAD)

    @property
    def ready(self) -> bool:
        """Whether `run` would do something."""
        if self.ended:
            return False
        offered = bool(self.inbox) and not self.comms.received
        return self.rest is Rest.READY or offered or self._wanted() is not None or self._polled_out()

    def _polled_out(self) -> bool:
        return self.rest is Rest.POLL and not self.timers.waiting

    def _wanted(self) -> int | None:
        """The exception to enter now: FIQ_VECTOR, IRQ_VECTOR or None. The program's mask counts, except at a wait."""
        mask = self._read("CPSR") if self.rest is not Rest.WFI else 0
        if self.vic.fiq and not mask & F_BIT:
            return FIQ_VECTOR
        if not mask & I_BIT and self.vic.slot() is not None:
            return IRQ_VECTOR
        return None

    def _enter(self, vector: int, mode: int, link: int, mask: int) -> None:
        """Enter an exception: bank the state, mask interrupts, go to the vector."""
        cpsr = self._read("CPSR")
        keep = cpsr & ~(MODE_BITS | T_BIT)
        if self.rest is Rest.WFI:                   # what `dispatch` masked, it masked only in order to wait
            keep &= ~F_BIT
        self._write("CPSR", keep | mode | mask)
        self._write("SPSR", cpsr)
        self._write("LR", link)
        self._pc = vector
        self.timers.progress()

    def _take_interrupt(self, vector: int) -> None:
        if vector == IRQ_VECTOR:
            self._enter(vector, IRQ_MODE, self._pc + 4, I_BIT)
            return
        again = self.rest is Rest.WFI and self.inbox and self._burst < BURST
        self._burst = self._burst + 1 if again else 0
        self._enter(vector, FIQ_MODE, self._pc if again else self._pc + 4, I_BIT | F_BIT)   # again: back to the wait

    def run(self) -> None:
        """Run until the program waits and nothing is left for it; `rest` says why. READY: it was asked to pause."""
        with self._cpu.turn_of(self):
            self._spent = clock_of_this_thread()
            try:
                self._run()
            finally:
                with self._life:                    # a thread that has ended has no clock to be asked by `pause`
                    self._spent = time.monotonic

    def _run(self) -> None:
        """See :meth:`run`."""
        while True:
            if self.rest is not Rest.READY:
                at_work = self.rest is Rest.WFI and not self._burst and self.vic.slot() is not None
                if self.inbox and not self.comms.received and not at_work:      # it works as fast as packets come
                    self.comms.receive(self.inbox.pop(0))
                vector = self._wanted()
                if vector is not None:
                    self._take_interrupt(vector)
                elif not self._polled_out():
                    self._refuse()
                    return
            self.rest = Rest.READY
            if not self._emulate():
                return

    def _refuse(self) -> None:
        """Lose the packets that the program will not take; a program that polls with FIQs masked may still."""
        if self.inbox and self.rest is Rest.WFI:
            self.lost += len(self.inbox)
            self.inbox.clear()

    def settle(self) -> None:
        """The core has run: find out whether its next ticks are for nothing. One on Unicorn cannot tell."""

    @property
    def idle(self) -> bool:
        """Whether all its ticks are for nothing until somebody touches it: it is after each as it was before."""
        return False

    def touch(self) -> None:
        """Let it not be idle."""

    def catch_up(self, instant: int) -> int:
        """Make up for an idle core's ticks before an instant; its next one."""
        return instant

    def skip(self) -> bool:
        """Let an idle core do its tick; whether it is one."""
        return False

    def take_sent(self) -> list[Packet]:
        """The packets that the program has sent since the last time: (control, key, payload) each."""
        sent, self.comms.sent = self.comms.sent, []
        return sent

    def pause(self) -> None:
        """Ask `run`, in another thread, to return soon; the program goes on with the next `run`.

        Unicorn repeats an access to a device in which it is stopped, so a program is paused as such an access begins,
        before anything happened. Only one that makes none in a while of its own CPU time is stopped wherever it is: by
        the clock on the wall one that a busy machine leaves waiting would be stopped in the middle of an access. The
        while begins anew as long as an access is under way, and when one has ended: it may take any time (a collection
        of garbage, a machine that is itself stopped).
        """
        with self._life:
            spent, (clock, asked, touches) = self._spent, self._asked
            if not self._pause or clock is not spent:
                self._pause = True
                self._asked = spent, spent(), self._touches         # looked at last: what begins after it yields
            elif (now := self._touches) != touches or now % 2:
                self._asked = spent, spent(), now
            elif spent() - asked > _GRACE and self._cpu is not None:
                self._cpu.if_running(self, self._halt)

    def _halt(self) -> None:
        self._halted = True
        self._cpu.stop()

    def _emulate(self) -> bool:
        """Let the CPU go until something stops it; whether there is a reason to go on."""
        thumb = 1 if self._read("CPSR") & T_BIT else 0
        trapped = self._cpu.run(self, self._pc | thumb, self._instructions)
        self._pc = self._read("PC")
        if self._fault or trapped:
            return self._except(trapped)
        if self._yielded or self._halted:           # perhaps at a wait: programs bear being woken for nothing
            self._yielded = self._halted = False
        elif self.timers.waiting:
            self.rest = Rest.POLL
        elif self._at_wait():
            self.rest, self._faults, self.streamed = Rest.WFI, 0, 0
        return self.rest is not Rest.READY

    def _at_wait(self) -> bool:
        return struct.unpack_from("<I", self.itcm.bytes, self._pc - 4 & 0x7ffc)[0] & WAIT_MASK == WAIT

    def crash(self, why: str) -> None:
        """Let the program have a data abort where it waits."""
        self._fault = BusError(why)
        if self._except(None):
            self.rest = Rest.READY

    def _except(self, trapped: Trapped | None) -> bool:
        """Enter the exception that a fault is; its handler in the program reports it as on a board.

        trapped : (Trap, text), None if a device refused an access
        """
        fault, self._fault = self._fault, None
        trap, text = trapped if fault is None and trapped else (Trap.DATA, str(fault))
        code, vector, mode, offset = self._classify(trap)
        self._report(self, f"{code.name} at pc {self._pc:#010x}: {text}")
        self._faults += 1
        if self._faults > _MAX_FAULTS:
            self._give_up(code)
            return False
        self._enter(vector, mode, self._pc + offset & 0xffffffff, I_BIT)
        return True

    def _classify(self, trap: Trap) -> Abort:
        size = 2 if self._read("CPSR") & T_BIT else 4
        if trap is Trap.UNDEFINED:
            return RTE.UNDEF, UNDEF_VECTOR, UND_MODE, size
        if trap is Trap.CALL:
            return self._trap(size)
        return _PREFETCH_ABORT if trap is Trap.FETCH else _DATA_ABORT

    def _trap(self, size: int) -> Abort:
        """SVC (Unicorn stands behind it) or a breakpoint."""
        before = int.from_bytes(self.itcm.bytes[max(self._pc - size, 0):self._pc], "little")
        if before >> (24 if size == 4 else 8) & (0x0f if size == 4 else 0xff) == (0x0f if size == 4 else 0xdf):
            return RTE.SVC, SVC_VECTOR, SVC_MODE, 0
        return _PREFETCH_ABORT

    def _give_up(self, code: RTE) -> None:
        """The handlers themselves fault: nothing of the program is left to report it."""
        self.rest, self.failure = Rest.DEAD, code


_DATA_ABORT = RTE.DABT, DABT_VECTOR, ABT_MODE, 8
_PREFETCH_ABORT = RTE.PABT, PABT_VECTOR, ABT_MODE, 4
