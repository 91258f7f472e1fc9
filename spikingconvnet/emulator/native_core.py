"""The core loop and the devices of a core in C, where the package's build made them: a `Core` with the same results.

``setup.py`` compiles ``core_native.c`` where it finds a C compiler. It is not linked with Unicorn: it gets pointers to
the functions of the library that the package `unicorn` has loaded.
"""

import ctypes
from array import array
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from spikingconvnet.emulator.core import I_BIT, Core, Rest
from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.memory_map import (
    CC_BASES,
    DEVICE_SIZE,
    DMA_BASES,
    DTCM_BASE,
    DTCM_SIZE,
    ITCM_BASE,
    ITCM_SIZE,
    TIMER_BASES,
    VIC_BASES,
)

try:
    from unicorn import UC_HOOK_TLB_FILL, UcError, arm_const
    from unicorn.unicorn_py3.unicorn import uclib
except ImportError:                                 # the extra [emulator] is not installed
    uclib = None

_NEVER = 2**64 - 1                                  # deadline of a timer that does not run
_RESTS = {1: Rest.READY, 2: Rest.WFI, 3: Rest.POLL}
_FAULT = 4
_VOID, _INT, _U32, _U64 = None, ctypes.c_int, ctypes.c_uint32, ctypes.c_uint64
_POINTER, _WORDS = ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint32)
_PROTOTYPES = {
    "core_new": (_POINTER, _POINTER, _POINTER, _POINTER, _U32), "core_free": (_VOID, _POINTER),
    "core_hook": (_INT, _POINTER),
    "core_memory": (_INT, _POINTER, _U32, _U32, _POINTER), "core_map": (_INT, _POINTER, _INT, _U64, _U64),
    "core_run": (_INT, _POINTER, _U64, _POINTER, _U32, _WORDS), "core_ready": (_INT, _POINTER, _U32),
    "core_line": (_VOID, _POINTER, _INT, _INT), "core_expire": (_VOID, _POINTER, _INT, _U64),
    "core_deadlines": (_VOID, _POINTER, ctypes.POINTER(_U64)), "core_sent": (_WORDS, _POINTER, ctypes.POINTER(_U64)),
    "core_pc": (_U32, _POINTER), "core_set_pc": (_VOID, _POINTER, _U32), "core_pause": (_VOID, _POINTER),
    "core_halt": (_VOID, _POINTER), "core_yields": (_INT, _POINTER), "core_progress": (_VOID, _POINTER),
    "core_fault": (_VOID, _POINTER, ctypes.c_char_p),
    "core_take_fault": (_INT, _POINTER, ctypes.POINTER(ctypes.c_char_p)),
    "core_except": (_VOID, _POINTER, _U32, _U32, _U32),
}


@cache
def library():
    """The extension with its prototypes, or None where it was not built: ctypes.CDLL."""
    here = Path(__file__).parent
    built = [path for suffix in EXTENSION_SUFFIXES if (path := here / f"_native{suffix}").exists()]
    if not built or uclib is None:
        return None
    loaded = ctypes.CDLL(str(built[0]))
    for name, (result, *arguments) in _PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


class _Api(ctypes.Structure):
    """`unicorn_api` in core_native.c."""

    _functions_ = ("uc_emu_start", "uc_emu_stop", "uc_reg_read", "uc_reg_write", "uc_mmio_map", "uc_hook_add")
    _registers_ = ("CPSR", "SPSR", "LR", "PC")
    _fields_ = [(name, _POINTER) for name in _functions_] + [(name, _INT) for name in (*_registers_, "tlb_fill")]

    @classmethod
    @cache
    def get(cls):
        """The functions of the loaded library."""
        functions = [ctypes.cast(getattr(uclib, name), _POINTER).value for name in cls._functions_]
        registers = [getattr(arm_const, f"UC_ARM_REG_{name}") for name in cls._registers_]
        return cls(*functions, *registers, UC_HOOK_TLB_FILL)


def _check(status):
    if status:
        raise UcError(status)


class NativeCore(Core):
    """See `Core`."""

    _core = None

    def _make_devices(self):
        self.inbox = array("I")

    def _map_devices(self):
        lib, handle = library(), self._uc._uch
        self._core = lib.core_new(ctypes.byref(_Api.get()), handle, self.itcm.address, self.physical)
        if not self._core:
            raise MemoryError("no memory for a core")
        _check(lib.core_hook(self._core))
        for base, size, address in ((ITCM_BASE, ITCM_SIZE, self.itcm.address),
                                    (DTCM_BASE, DTCM_SIZE, self.dtcm.address),
                                    *((base, memory.size, memory.address) for base, memory in self._shared())):
            lib.core_memory(self._core, base, size, address)
        for device, bases in enumerate((VIC_BASES, TIMER_BASES, CC_BASES, DMA_BASES)):
            for base in bases:
                _check(lib.core_map(self._core, device, base, DEVICE_SIZE))

    def _begin(self):
        library().core_set_pc(self._core, self._pc)

    def stop(self):
        """Switch the core off."""
        super().stop()
        with self._life:
            core, self._core, self.inbox = self._core, None, array("I")
            if core:
                library().core_free(core)

    def offer(self, packet):
        """A packet (control, key, payload) arrives."""
        self.inbox.extend(packet)

    def interrupt(self, line, active):
        """Raise or lower a line of the interrupt controller."""
        library().core_line(self._core, line, active)

    def deadlines(self):
        """Cycles at which the two timers expire, None for those that do not."""
        both = (_U64 * 2)()
        library().core_deadlines(self._core, both)
        return [None if deadline == _NEVER else deadline for deadline in both]

    def expire(self, timer):
        """Tell a timer that its deadline has come."""
        library().core_expire(self._core, timer, self._clock())

    @property
    def ready(self):
        """Whether `run` would do something."""
        if self.rest in (Rest.OFF, Rest.DEAD):
            return False
        return bool(library().core_ready(self._core, len(self.inbox) // 3))

    def take_sent(self):
        """The packets that the program has sent since the last time: (control, key, payload) each."""
        if self._core is None:
            return []
        count = _U64()
        words = library().core_sent(self._core, ctypes.byref(count))
        flat = words[:count.value]
        return list(zip(flat[::3], flat[1::3], flat[2::3]))

    def run(self):
        """Run until the program waits and nothing is left for it; see `Core.run`."""
        taken, self._pause = _U32(), 0.0            # what was asked of an earlier run has been done there
        while True:
            address, _ = self.inbox.buffer_info()
            stopped = library().core_run(self._core, self._clock(), address, len(self.inbox) // 3, ctypes.byref(taken))
            del self.inbox[:3 * taken.value]
            self._pc = library().core_pc(self._core)
            if stopped != _FAULT:
                self.rest = _RESTS[stopped]
                self._settle()
                return
            if not self._except_native():
                return

    def _settle(self):
        if self.rest is Rest.WFI:
            self._faults = 0
            self.lost += len(self.inbox) // 3
            del self.inbox[:]

    def _except_native(self):
        message = ctypes.c_char_p()
        fault = library().core_take_fault(self._core, ctypes.byref(message))
        self._fault = BusError(message.value.decode()) if fault > 0 else None
        return self._except(UcError(-fault) if fault < 0 else None)

    def _enter(self, vector, mode, link, mask):
        assert mask == I_BIT                        # interrupts are entered in C, exceptions from here
        library().core_except(self._core, vector, mode, link)

    def _ask(self):
        if self._core:
            library().core_pause(self._core)

    def _halt(self):
        library().core_halt(self._core)

    def _yields(self):
        return bool(library().core_yields(self._core))

    def _has_read(self, _device):
        library().core_progress(self._core)

    def _has_written(self):
        library().core_progress(self._core)

    def _stop_with(self, error):
        library().core_fault(self._core, str(error).encode())
        return 0
