"""`TimedCore` in C, where the package's build made it: the same results, and the same cycles."""

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

from spikingconvnet.emulator import cycles, timing
from spikingconvnet.emulator.core import T_BIT, Rest
from spikingconvnet.emulator.memory import Device
from spikingconvnet.emulator.memory_map import Interrupt
from spikingconvnet.emulator.native_core import FAULT, NEVER, RESTS, NativeCore
from spikingconvnet.emulator.native_library import PRICE, library
from spikingconvnet.emulator.packets import Packet
from spikingconvnet.emulator.router import Router
from spikingconvnet.emulator.timed_core import CODE, Block, Order, Outcome, Sent, Times, dumped_at


class Cost(ctypes.Structure):
    """`cost` in core_native.c: a block of a program, by the place of its first half word."""

    _fields_ = [("cycles", ctypes.c_uint32), ("jump", ctypes.c_uint32), ("size", ctypes.c_uint32),
                ("thumb", ctypes.c_uint32), ("begun", ctypes.c_uint64), ("spent", ctypes.c_uint64)]


class Bank(ctypes.Structure):
    """`bank` in core_native.c, see `timed_core.Bank`."""

    _fields_ = [("moved", ctypes.c_uint64), ("word", ctypes.c_uint32)]

    def __init__(self, moved: int = 0, word: int = timing.DMA_WORD) -> None:
        super().__init__(moved, word)


class Arrival(ctypes.Structure):
    """`arrival` in core_native.c: a packet that comes to a core at a cycle."""

    _fields_ = [("at", ctypes.c_uint64), *((name, ctypes.c_uint32) for name in ("control", "key", "data"))]


class TimedNativeCore(NativeCore):
    """See `TimedCore`."""

    BANK: Any = Bank
    bank: Any
    router_free: int | None = None                  # address of when no packet waits at the router any more, in C
    forget: Callable[[Any], None]
    profiled = False                                # whether it has its blocks counted by itself
    _slept_at_fault = -1

    def start(self, image: int, app_id: int, flags: int) -> None:
        """See `Core.start`."""
        self._steps: list[int] = []
        super().start(image, app_id, flags)

    def stop(self) -> None:
        """Switch the core off."""
        if self.rest is not Rest.OFF:
            self.forget(self)
        super().stop()

    def begin(self) -> None:
        """See `Core.begin`. MemoryError if there is no room for its blocks."""
        super().begin()
        costs = (Cost * (CODE // 2))()
        self._costs = costs if self.profiled else self._cpus.costs.setdefault(bytes(self.itcm.bytes), costs)
        self._price = PRICE(self._price_of)         # kept as long as C may call it
        if not library().core_clock(self.made, self._costs, ctypes.byref(self.bank), self._clock(),
                                    ctypes.cast(self._price, ctypes.c_void_p), self.profiled):
            raise MemoryError("no memory for a core")
        library().core_router(self.made, self.router_free)

    def _price_of(self, _made: int, address: int, size: int) -> int:
        cost = cycles.block(self.itcm.bytes[address:address + size], bool(self._read("CPSR") & T_BIT))
        return cost.jump << 32 | cost.cycles

    @property
    def rest(self) -> Rest:
        """Why it does not run."""
        made = self.made
        if made is None or self._rest in (Rest.OFF, Rest.DEAD):
            return self._rest
        rest = library().core_rest(made)
        return Rest.READY if rest == FAULT else RESTS[rest]

    @rest.setter
    def rest(self, value: Rest) -> None:
        """For what only Python knows: that it is off, or dead."""
        self._rest = value
        self.seat.rest = value.value                # C looks there whether it is dead

    @property
    def ended(self) -> bool:
        """See `Core.ended`; without a look at its C part."""
        return self.made is None or self._rest in (Rest.OFF, Rest.DEAD)

    def wake(self, now: int) -> None:
        """Somebody does something to it: if it sleeps, it does so until now."""
        library().core_wake(self.made, now)

    def arrive(self, at: int, packet: Packet) -> None:
        """See `TimedCore.arrive`."""
        self.arrive_all([self], at, packet)

    @staticmethod
    def arrive_all(cores: Sequence[Any], at: int, packet: Packet) -> None:
        """See `TimedCore.arrive_all`."""
        made = (ctypes.c_void_p * len(cores))(*[core.made for core in cores])
        if full := library().cores_arrive(made, len(cores), at, *packet):
            for index, core in enumerate(cores):
                core.lost += full >> index & 1

    def pace(self, cycles: int) -> None:
        """The router takes a packet from the core only so many cycles after the last."""
        library().core_pace(self.made, cycles)

    def take_sent_at(self) -> list[Sent]:
        """The packets that the program has sent since the last time, with their cycles."""
        packets = self.take_sent()
        return list(zip(library().core_sent_at(self.made)[:len(packets)], packets)) if packets else []

    def times(self) -> Times:
        """Its times so far."""
        four = (ctypes.c_uint64 * 4)()
        library().core_times(self.made, four)
        now, slept, period, steps = four
        self._steps += library().core_steps(self.made)[len(self._steps):steps] if steps else []
        return Times(now, slept, period, self._steps)

    def take_drops(self) -> list[Sent]:
        """See `TimedCore.take_drops`."""
        count = ctypes.c_uint64()
        drops = ctypes.cast(library().core_drops(self.made, ctypes.byref(count)), ctypes.POINTER(Arrival))
        return [(one.at, (one.control, one.key, one.data)) for one in drops[:count.value]] if count.value else []

    def attend(self, router: Router) -> bool:
        """See `TimedCore.attend`."""
        library().core_attend(self.made, timing.waiting_time(router.control), dumped_at(router))
        return False

    def hears_of_drops(self) -> bool:
        """See `TimedCore.hears_of_drops`."""
        return bool(library().core_enabled(self.made, Interrupt.RTR_DUMP))

    def _load(self, device: Device, offset: int, width: int) -> int:
        if isinstance(device, Router):
            device.come(self.times().now)
        return super()._load(device, offset, width)

    def blocks(self) -> list[Block]:
        """Blocks that it has begun, if it is `profiled`."""
        return [Block(2 * place, one.size, bool(one.thumb), one.begun, one.spent)
                for place, one in enumerate(self._costs) if one.begun] if self.profiled else []

    def settle(self) -> None:
        """Deal with a fault, if there is one."""
        if library().core_rest(self.made) == FAULT and self._rest is not Rest.DEAD:
            slept = self.times().slept
            self._faults, self._slept_at_fault = self._faults if slept == self._slept_at_fault else 0, slept
            self._except_native()

    def _has_read(self, device: Device) -> None:
        super()._has_read(device)
        library().core_plan(self.made)

    def _has_written(self) -> None:
        super()._has_written()
        library().core_plan(self.made)

    @staticmethod
    def run_all(cores: Sequence[Any], clock: int, end: int, lag: int, banks: Sequence[Any]) -> Outcome:
        """Let cores run up to a cycle, see `TimedCore.run_all`."""
        n, shared = len(cores), (ctypes.c_void_p * len(banks))(*(ctypes.addressof(bank) for bank in banks))
        made, found = getattr(cores, "made", None), (ctypes.c_int * n)()
        if made is None:
            made = (ctypes.c_void_p * n)(*(core.made for core in cores))
        if isinstance(cores, Order):
            cores.made = made
        following, come, busy = ctypes.c_uint64(), ctypes.c_uint64(clock), ctypes.c_int()
        count = library().cores_run(made, n, end, lag, shared, len(banks), found, ctypes.byref(following),
                                    ctypes.byref(come), ctypes.byref(busy))
        return Outcome([cores[index] for index in found[:count]],
                       None if following.value == NEVER else following.value, come.value, bool(busy.value))
