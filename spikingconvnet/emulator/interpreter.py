"""A core's own CPU in C (``arm_run.h``, ``arm_loop.h``): it decodes each instruction once and executes it itself.

It takes 130 KB for what it has decoded, so each core has one, and nothing has to be put in or taken out as cores take
turns. Where a program is asked to pause it does so at its next jump: no access is ever made twice.
"""

import ctypes
from typing import TYPE_CHECKING

from spikingconvnet.emulator.cpu import CHIP_DEVICES
from spikingconvnet.emulator.memory_map import DEVICE_SIZE
from spikingconvnet.emulator.native_library import DEVICES, SERVE, library

if TYPE_CHECKING:           # which has a CPU
    from spikingconvnet.emulator.native_core import NativeCore

_REGISTER = {**{f"R{number}": number for number in range(13)}, "SP": 13, "LR": 14, "CPSR": 15, "SPSR": 16}


class Interpreter:
    """The CPU of one core; what a `Core` needs of a `CPU`."""

    def add(self, core: "NativeCore") -> None:
        """Make the C part of a core, with registers as after a reset. MemoryError if there is no room for it."""
        self._core = core
        self._serve = SERVE(self._served)           # kept as long as C may call it
        core.made = library().core_new(core.itcm.address, core.physical, ctypes.cast(self._serve, ctypes.c_void_p))
        if not core.made:
            raise MemoryError("no memory for a core")
        for base, memory in core.memories:
            library().core_memory(core.made, base, memory.size, memory.address)
        own = [(device, base, DEVICE_SIZE) for device, bases in enumerate(DEVICES) for base in bases]
        for device, base, size in own + [(len(DEVICES), base, size) for base, size in CHIP_DEVICES.items()]:
            library().core_place(core.made, device, base, size)

    def remove(self, _core: "NativeCore") -> None:
        """Forget the core, which frees its C part itself."""
        del self._core, self._serve

    def _served(self, _made: int, base: int, offset: int, size: int, stores: int, value: int) -> int:
        """The program accesses a device of its chip."""
        if stores:
            self._core.store(base, offset, size, value)
            return 0
        return self._core.load(base, offset, size)

    def read(self, core: "NativeCore", register: str) -> int:
        """A register, by name."""
        return int(library().core_pc(core.made) if register == "PC" else
                   library().core_get(core.made, _REGISTER[register]))

    def write(self, core: "NativeCore", register: str, value: int) -> None:
        """Set a register."""
        library().core_put(core.made, _REGISTER[register], value)
