"""The core loop and the devices of a core in C, where the package's build made them: a `Core` with the same results."""

import ctypes
from array import array
from collections.abc import Sequence
from typing import Any

from spikingconvnet.emulator.core import I_BIT, MOST_PACKETS, Core, Rest
from spikingconvnet.emulator.cpu import Trap, Trapped
from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.interpreter import Interpreter
from spikingconvnet.emulator.memory import Device
from spikingconvnet.emulator.native_library import library
from spikingconvnet.emulator.packets import Packet

NEVER = 2**64 - 1                                   # deadline of a timer that does not run
RESTS = tuple(Rest)                                # by number
FAULT = Rest.DEAD.value                             # why the core stopped: a fault to deal with


class NativeCore(Core):
    """A `Core` whose loop, devices and instructions are in C."""

    made: int | None = None                         # its C part
    _deadlines: Sequence[ctypes.c_uint64] = ()      # there, of its timers

    def _take_cpu(self) -> Any:
        return Interpreter()

    def _make_devices(self) -> None:
        self.inbox = array("I")

    def begin(self) -> None:
        """See `Core.begin`."""
        library().core_set_pc(self.made, self._pc)
        self._deadlines = [ctypes.c_uint64.from_address(library().core_deadline(self.made, timer)) for timer in (0, 1)]

    def stop(self) -> None:
        """Switch the core off."""
        super().stop()
        with self._life:
            made, self.made, self.inbox, self._deadlines = self.made, None, array("I"), ()
            if made:
                library().core_free(made)

    def offer(self, packet: Packet) -> None:
        """A packet (control, key, payload) arrives."""
        if len(self.inbox) < 3 * MOST_PACKETS:
            self.inbox.extend(packet)
        else:
            self.lost += 1

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
        if self.ended:
            return False
        return bool(library().core_ready(self.made, len(self.inbox) // 3))

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
        taken = ctypes.c_uint32()
        while True:
            address, _ = self.inbox.buffer_info()
            stopped = library().core_run(self.made, self._clock(), address, len(self.inbox) // 3, ctypes.byref(taken))
            del self.inbox[:3 * taken.value]
            self._pc = library().core_pc(self.made)
            if stopped != FAULT:
                self.rest = RESTS[stopped]
                self._settle()
                return
            if not self._except_native():
                return

    def _settle(self) -> None:
        if self.rest is Rest.WFI:
            self._faults = 0
            self.lost += len(self.inbox) // 3
            del self.inbox[:]

    def _except_native(self) -> bool:
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
