"""The core loop and the devices of a core in C, where the package's build made them: a `Core` with the same results."""

import ctypes
from array import array
from collections.abc import Sequence
from typing import Any

from spikingconvnet.emulator.core import I_BIT, Core, Rest
from spikingconvnet.emulator.cpu import Trap, Trapped
from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.interpreter import Interpreter
from spikingconvnet.emulator.memory import Device
from spikingconvnet.emulator.native_library import library
from spikingconvnet.emulator.packets import Packet

NEVER = 2**64 - 1                                   # deadline of a timer that does not run
RESTS = tuple(Rest)                                # by number
FAULT = Rest.DEAD.value                             # why the core stopped: a fault to deal with


class Seat(ctypes.Structure):
    """`seat` in board_loop.h: what a board keeps of a core, whether it is on or not."""

    _fields_ = [("made", ctypes.c_void_p), ("inbox", ctypes.POINTER(ctypes.c_uint32)),
                ("scheduled", ctypes.c_uint64 * 2), ("lost", ctypes.c_uint64), ("faults", ctypes.c_uint64),
                ("streamed", ctypes.c_uint64),
                *((name, ctypes.c_uint32) for name in (
                    "words", "size", "rest", "mailed", "queued", "number", "chip", "listed"))]


def _in_seat(name: str) -> Any:
    """An attribute of a core that is in its seat."""
    return property(lambda core: getattr(core.seat, name), lambda core, value: setattr(core.seat, name, value))


class NativeCore(Core):
    """A `Core` whose loop, devices and instructions are in C."""

    made: int | None = None                         # its C part
    _deadlines: Sequence[ctypes.c_uint64] = ()      # there, of its timers

    def __init__(self, *arguments: Any) -> None:
        self.seat = Seat()
        self.seated = ctypes.addressof(self.seat)
        super().__init__(*arguments)

    @property
    def rest(self) -> Rest:
        """Why it does not run."""
        return RESTS[self.seat.rest]

    @rest.setter
    def rest(self, value: Rest) -> None:
        """Note why."""
        self.seat.rest = value.value

    @property
    def inbox(self) -> Sequence[int]:
        """A copy of the words of packets that wait for it: control, key and payload of each."""
        return array("I", self.seat.inbox[:self.seat.words])

    @inbox.setter
    def inbox(self, words: Sequence[int]) -> None:
        """Let others wait. MemoryError if there is no room for them."""
        if not library().seat_fill(self.seated, (ctypes.c_uint32 * len(words))(*words), len(words)):
            raise MemoryError("no memory for the packets of a core")

    @property
    def scheduled(self) -> list[int | None]:
        """Deadlines of the timers that the machine knows of."""
        return [None if one == NEVER else one for one in self.seat.scheduled]

    @scheduled.setter
    def scheduled(self, deadlines: Sequence[int | None]) -> None:
        """Note others."""
        self.seat.scheduled[:] = [NEVER if one is None else one for one in deadlines]

    lost, mailed, _faults = _in_seat("lost"), _in_seat("mailed"), _in_seat("faults")
    streamed = _in_seat("streamed")

    def _take_cpu(self) -> Any:
        return Interpreter()

    def _make_devices(self) -> None:
        """They are in C."""

    def begin(self) -> None:
        """See `Core.begin`."""
        self.seat.made = self.made
        library().core_set_pc(self.made, self._pc)
        self._deadlines = [ctypes.c_uint64.from_address(library().core_deadline(self.made, timer)) for timer in (0, 1)]

    def stop(self) -> None:
        """Switch the core off."""
        super().stop()
        with self._life:
            made, self.made, self.seat.made, self._deadlines = self.made, None, None, ()
            if made:
                library().core_free(made)

    def offer(self, packet: Packet) -> None:
        """A packet (control, key, payload) arrives."""
        library().seat_offer(self.seated, *packet)

    def interrupt(self, line: int, active: bool) -> None:
        """Raise or lower a line of the interrupt controller."""
        library().core_line(self.made, line, active)

    def deadlines(self) -> list[int | None]:
        """Cycles at which the two timers expire, None for those that do not."""
        return [None if one.value == NEVER else one.value for one in self._deadlines]

    def expire(self, timer: int) -> None:
        """Tell a timer that its deadline has come."""
        library().core_expire(self.made, timer, self._clock())

    @property
    def ready(self) -> bool:
        """Whether `run` would do something."""
        return bool(library().seat_ready(self.seated))

    def settle(self) -> None:
        """See `Core.settle`."""
        library().seat_settle(self.seated)

    @property
    def idle(self) -> bool:
        """See `Core.idle`."""
        return bool(library().core_idle(self.made))

    def touch(self) -> None:
        """See `Core.touch`."""
        if self.made:
            library().core_touch(self.made)

    def catch_up(self, instant: int) -> int:
        """See `Core.catch_up`."""
        return int(library().core_catch_up(self.made, instant))

    def skip(self) -> bool:
        """See `Core.skip`."""
        return bool(library().core_skip(self.made))

    def take_sent(self) -> list[Packet]:
        """The packets that the program has sent since the last time: (control, key, payload) each."""
        if self.made is None:
            return []
        count = ctypes.c_uint64()
        words = library().core_sent(self.made, ctypes.byref(count))
        flat = words[:count.value]
        return list(zip(flat[::3], flat[1::3], flat[2::3]))

    def run(self) -> None:
        """Run until the program waits and nothing is left for it; see `Core.run`."""
        self._run()

    def _run(self) -> None:
        while library().seat_run(self.seated, self._clock()) == FAULT:
            if not self._except_native():
                return

    def recover(self) -> None:
        """Deal with the fault with which its program has stopped, and go on."""
        if self._except_native():
            self._run()

    def registers(self) -> dict[str, int]:
        """See `Core.registers`."""
        self._pc = library().core_pc(self.made)
        return super().registers()

    def crash(self, why: str) -> None:
        """See `Core.crash`."""
        self._pc = library().core_pc(self.made)
        super().crash(why)

    def _except_native(self) -> bool:
        self._pc = library().core_pc(self.made)
        message = ctypes.c_char_p()
        fault = library().core_take_fault(self.made, ctypes.byref(message))
        self._fault = BusError((message.value or b"").decode()) if fault > 0 else None
        return self._except(self._trapped(-fault, (message.value or b"").decode()) if fault < 0 else None)

    def _trapped(self, number: int, text: str) -> Trapped:
        return Trap(number - 1), text

    def _enter(self, vector: int, mode: int, link: int, mask: int) -> None:
        assert mask == I_BIT                        # interrupts are entered in C, exceptions from here
        library().core_except(self.made, vector, mode, link)

    def pause(self) -> None:
        """Ask `run`, in another thread, to return soon; the program goes on with the next `run`: it stops at a jump."""
        with self._life:
            if self.made:
                library().core_pause(self.made)

    def _yields(self) -> bool:
        library().core_reach(self.made)
        return False                                # it looks at every jump

    def _has_read(self, _device: Device) -> None:
        library().core_progress(self.made)

    def _has_written(self) -> None:
        library().core_progress(self.made)

    def _stop_with(self, error: BusError) -> int:
        library().core_fault(self.made, str(error).encode())
        return 0
