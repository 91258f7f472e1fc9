"""Unicorn's CPU with the devices of cores in C, for cores that count time: it tells of each block that begins.

The library gets pointers to the functions of the one that the package `unicorn` has loaded.
"""

import ctypes
from functools import cache
from typing import Any

from spikingconvnet.emulator.cpu import CPU, FLUSH_TLB
from spikingconvnet.emulator.memory_map import DEVICE_SIZE
from spikingconvnet.emulator.native_library import DEVICES, library

try:
    from unicorn import UC_HOOK_BLOCK, UC_HOOK_TLB_FILL, UC_MEM_WRITE, UcError, arm_const
    from unicorn.unicorn_py3.unicorn import uclib
except ImportError:                                 # the extra [emulator] is not installed
    uclib = None


class _Api(ctypes.Structure):
    """`unicorn_api` in core_native.c."""

    _functions_ = ("emu_start", "emu_stop", "reg_read", "reg_write", "mmio_map", "hook_add", "context_save",
                   "context_restore", "ctl")
    _registers_ = ("cpsr", "spsr", "lr", "pc")
    _fields_ = [(name, ctypes.c_void_p) for name in _functions_] + [
        (name, ctypes.c_int) for name in (*_registers_, "tlb_fill", "mem_write", "flush_tlb", "block")]

    @classmethod
    @cache
    def get(cls) -> "_Api":
        """The functions of the loaded library."""
        functions = [ctypes.cast(getattr(uclib, f"uc_{name}"), ctypes.c_void_p).value for name in cls._functions_]
        registers = [getattr(arm_const, f"UC_ARM_REG_{name.upper()}") for name in cls._registers_]
        return cls(*functions, *registers, UC_HOOK_TLB_FILL, UC_MEM_WRITE, FLUSH_TLB, UC_HOOK_BLOCK)


def check(status: int) -> None:
    """Raise UcError unless a function of the CPU emulator says that it has done what it should."""
    if status:
        raise UcError(status)


class NativeCPU(CPU):
    """See `CPU`; it translates addresses, changes cores and serves their own devices in C."""

    _cpu = None

    def add(self, core: Any) -> None:
        """Let a core take part; `made` becomes its C part. MemoryError or UcError if there is no room for it."""
        super().add(core)
        space = self._spaces[core]
        made = library().core_new(self._cpu, space.registers.context, space.program, core.itcm.address, core.physical)
        if not made:
            raise MemoryError("no memory for a core")
        for (base, size, place), (_, memory) in zip(space.memories, core.memories):
            check(library().core_memory(made, base, size, memory.address, place))
        core.made = made

    def _map_core(self) -> None:
        self._cpu = library().cpu_new(ctypes.byref(_Api.get()), self._uc._uch)
        if not self._cpu:
            raise MemoryError("no memory for a CPU")
        check(library().cpu_hook(self._cpu))
        for device, bases in enumerate(DEVICES):
            for base in bases:
                check(library().cpu_map(self._cpu, device, base, DEVICE_SIZE))

    def _close(self) -> None:
        super()._close()
        library().cpu_free(self._cpu)
        self._cpu = None

    def _switch(self, core: Any) -> None:
        check(library().cpu_switch(self._cpu, None if core is None else core.made))
