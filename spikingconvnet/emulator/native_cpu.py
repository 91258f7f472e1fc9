"""The C library with the core loop and the devices, and the `CPU` whose cores are its: see ``native_core.py``.

``setup.py`` compiles ``core_native.c`` where it finds a C compiler. It is not linked with Unicorn: it gets pointers to
the functions of the library that the package `unicorn` has loaded.
"""

import ctypes
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from spikingconvnet.emulator.cpu import CPU, FLUSH_TLB
from spikingconvnet.emulator.memory_map import CC_BASES, DEVICE_SIZE, DMA_BASES, TIMER_BASES, VIC_BASES

try:
    from unicorn import UC_HOOK_BLOCK, UC_HOOK_TLB_FILL, UC_MEM_WRITE, UcError, arm_const
    from unicorn.unicorn_py3.unicorn import uclib
except ImportError:                                 # the extra [emulator] is not installed
    uclib = None

_VOID, _INT, _U32, _U64 = None, ctypes.c_int, ctypes.c_uint32, ctypes.c_uint64
_POINTER, _WORDS, _LONGS = ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32), ctypes.POINTER(ctypes.c_uint64)
DEVICES = (VIC_BASES, TIMER_BASES, CC_BASES, DMA_BASES)     # of a core alone
SERVE = ctypes.CFUNCTYPE(_U32, _POINTER, _U32, _U32, _U32, _INT, _U32)    # serve_device in core_native.c
PRICE = ctypes.CFUNCTYPE(_U64, _POINTER, _U32, _U32)       # (core, address, bytes of a block) -> its jump, its cycles
PROTOTYPES = {
    "cpu_new": (_POINTER, _POINTER, _POINTER), "cpu_free": (_VOID, _POINTER), "cpu_switch": (_INT, _POINTER, _POINTER),
    "cpu_hook": (_INT, _POINTER), "cpu_map": (_INT, _POINTER, _INT, _U64, _U64),
    "core_alone": (_POINTER, _POINTER, _U32, _POINTER), "core_place": (_INT, _POINTER, _INT, _U32, _U32),
    "core_get": (_U32, _POINTER, _INT), "core_put": (_VOID, _POINTER, _INT, _U32),
    "core_new": (_POINTER, _POINTER, _POINTER, _U64, _POINTER, _U32), "core_free": (_VOID, _POINTER),
    "core_memory": (_INT, _POINTER, _U32, _U32, _POINTER, _U64),
    "core_run": (_INT, _POINTER, _U64, _POINTER, _U32, _WORDS), "core_ready": (_INT, _POINTER, _U32),
    "core_line": (_VOID, _POINTER, _INT, _INT), "core_expire": (_VOID, _POINTER, _INT, _U64),
    "core_deadlines": (_VOID, _POINTER, ctypes.POINTER(_U64)), "core_sent": (_WORDS, _POINTER, ctypes.POINTER(_U64)),
    "core_pc": (_U32, _POINTER), "core_set_pc": (_VOID, _POINTER, _U32), "core_pause": (_VOID, _POINTER),
    "core_yields": (_INT, _POINTER), "core_progress": (_VOID, _POINTER),
    "core_fault": (_VOID, _POINTER, ctypes.c_char_p),
    "core_take_fault": (_INT, _POINTER, ctypes.POINTER(ctypes.c_char_p)),
    "core_except": (_VOID, _POINTER, _U32, _U32, _U32),
    "cpu_current": (_POINTER, _POINTER), "cpu_clock": (_INT, _POINTER, _POINTER),
    "cpu_share": (_INT, _POINTER, _INT, _U64, _U64, _U32),
    "core_clock": (_VOID, _POINTER, _POINTER, _POINTER, _U64),
    "core_arrive": (_INT, _POINTER, _U64, _U32, _U32, _U32), "core_wake": (_VOID, _POINTER, _U64),
    "core_plan": (_VOID, _POINTER), "core_pace": (_VOID, _POINTER, _U64),
    "core_timeout": (_VOID, _POINTER, _U64), "core_rest": (_INT, _POINTER),
    "core_times": (_VOID, _POINTER, _LONGS),
    "core_steps": (_WORDS, _POINTER), "core_sent_at": (_LONGS, _POINTER),
    "cores_run": (_INT, _POINTER, _INT, _U64, _U64, _POINTER, _INT, _POINTER, _LONGS, _LONGS, _POINTER),
}


@cache
def library() -> Any:
    """The extension with its prototypes, or None where it was not built: ctypes.CDLL."""
    here = Path(__file__).parent
    built = [path for suffix in EXTENSION_SUFFIXES if (path := here / f"_native{suffix}").exists()]
    return load(built[0]) if built else None


def load(path: Path) -> ctypes.CDLL:
    """A build of the C library with its prototypes: ctypes.CDLL."""
    loaded = ctypes.CDLL(str(path))
    for name, (result, *arguments) in PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


class _Api(ctypes.Structure):
    """`unicorn_api` in core_native.c."""

    _functions_ = ("emu_start", "emu_stop", "reg_read", "reg_write", "mmio_map", "hook_add", "context_save",
                   "context_restore", "ctl")
    _registers_ = ("cpsr", "spsr", "lr", "pc")
    _fields_ = [(name, _POINTER) for name in _functions_] + [
        (name, _INT) for name in (*_registers_, "tlb_fill", "mem_write", "flush_tlb", "block")]

    @classmethod
    @cache
    def get(cls) -> "_Api":
        """The functions of the loaded library."""
        functions = [ctypes.cast(getattr(uclib, f"uc_{name}"), _POINTER).value for name in cls._functions_]
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
