"""The CPU emulator (Unicorn's ARM926), and how cores share it.

Each of Unicorn's CPUs takes 3 MB before it has run anything, a core's registers 4 KB. So only some cores of a machine
have one of their own (`CPUs`); all others take turns on another one. The registers of a core are put into its CPU
before it runs and taken out when another one is to run. What a core calls an address is translated (`Space`) to one of
a common space in which the memories of all cores of the CPU have places of their own, so code is translated once and
stays valid. Cores that run the same program share the translation too, as long as they do not write to their code.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.memory import Memory
from spikingconvnet.emulator.memory_map import (
    CC_BASES,
    DEVICE_SIZE,
    DMA_BASES,
    ITCM_BASE,
    ITCM_SIZE,
    ROUTER_BASES,
    ROUTER_SIZE,
    SYSCTL_BASES,
    TIMER_BASES,
    VIC_BASES,
)

if TYPE_CHECKING:           # which has a CPU
    from spikingconvnet.emulator.core import Core

try:
    import unicorn
    from unicorn import arm_const
    from unicorn.unicorn_py3.unicorn import uclib
except ImportError:                                 # the extra [emulator] is not installed
    unicorn = FLUSH_TLB = None
else:
    _REGISTER = {name: getattr(arm_const, f"UC_ARM_REG_{name}")
                 for name in (*(f"R{i}" for i in range(8)), "CPSR", "SPSR", "SP", "LR", "PC")}
    _ACCESSES = {unicorn.UC_MEM_READ_UNMAPPED: "read", unicorn.UC_MEM_WRITE_UNMAPPED: "write",
                 unicorn.UC_MEM_FETCH_UNMAPPED: "fetch", unicorn.UC_MEM_FETCH_PROT: "fetch"}
    FLUSH_TLB = unicorn.UC_CTL_IO_WRITE << 30 | unicorn.UC_CTL_TLB_FLUSH       # uc_ctl_flush_tlb, unicorn.h

PAGE = 4096                                         # the default of 1024 makes four times as many jumps slow
READ, WRITE, EXECUTE = 1, 2, 4                      # uc_prot, unicorn.h
CORE_DEVICES = (*VIC_BASES, *TIMER_BASES, *CC_BASES, *DMA_BASES)
CHIP_DEVICES = dict.fromkeys(ROUTER_BASES, ROUTER_SIZE) | dict.fromkeys(SYSCTL_BASES, DEVICE_SIZE)
_NEVER = 1                                          # an address at which no program ends
LIMIT = 32                                          # cores with a CPU of their own: 100 MB; taking turns costs time
_OWN_CODE, _SHARED_CODE = 1 << 20, 32 << 20         # bytes for translated code, of which those in use take memory
_FIRST_PLACE, _PLACES = 1 << 32, 1 << 16            # in the common space: above the devices', at multiples of


class Trap(Enum):
    """Why the CPU stopped in the middle."""

    FETCH, UNDEFINED, CALL, DATA = range(4)              # CALL: of a program, or a breakpoint


Trapped: TypeAlias = tuple[Trap, str]
Pair: TypeAlias = tuple[int, int]


def require_unicorn() -> None:
    """Raise SetupError unless the CPU emulator can be imported."""
    if unicorn is None:
        raise SetupError("the emulated board needs the package unicorn; run: pip install 'spikingconvnet[emulator]'")


@dataclass
class Space:
    """What a core's addresses are in the common space, and its registers while another core runs.

    Attributes
    ----------
    memories : list of (base, size, place)
        The first one is its ITCM.
    program : int or None
        Place of the copy of its program that it shares with others; None once it has written to its own.
    registers : unicorn.UcContext
    refused : bool
        Whether the core has just tried to write to the program that it shares.
    """

    memories: list[tuple[int, int, int]]
    program: int | None
    registers: Any
    refused: bool = False

    def translate(self, address: int, writes: bool) -> Pair | None:
        """(address in the common space, permissions), None for a write to the shared program.

        Devices, and addresses at which nothing is, are where they are. Code runs in ITCM only, whose first page every
        core has to itself: it holds the exception vectors, which programs write to.
        """
        for base, size, place in self.memories:
            if 0 <= address - base < size:
                if base != ITCM_BASE:
                    return place + address - base, READ | WRITE
                if self.program is None or address < PAGE:
                    return place + address, READ | WRITE | EXECUTE
                self.refused = writes
                return None if writes else (self.program + address, READ | EXECUTE)
        return address, READ | WRITE


class CPUs:
    """The CPUs of a machine, of a class like `CPU`: one for each core up to `LIMIT`, and one for all others.

    One only, because changing cores empties Unicorn's TLB, and that doubles the size of one that was rather full: some
    MB for a CPU that is shared.
    """

    def __init__(self, make: Callable[[int], "CPU"]) -> None:
        self._make, self._shared = make, make(_SHARED_CODE)
        self._own: list[CPU] = []
        self.costs: dict[bytes, Any] = {}           # what blocks of a program cost, where that is counted

    def take(self) -> "CPU":
        """The CPU for one more core."""
        free = next((cpu for cpu in self._own if not cpu), None)
        if free is None and len(self._own) < LIMIT:
            self._own.append(free := self._make(_OWN_CODE))
        return self._shared if free is None else free


class CPU:
    """One CPU, with so many bytes for translated code, and its cores; it takes memory only while there are any.

    A core has `memories`, (base, Memory) each and its ITCM first, and serves accesses to devices with
    ``load(base, offset, width)`` and ``store(base, offset, width, value)``.
    """

    def __init__(self, code: int) -> None:
        self._uc: Any = None
        self._current: Core | None = None
        self._running: Any = None                   # the core whose turn it is
        self._reset: Any = None
        self._places: dict[Memory, int] = {}        # in the common space
        self._programs: dict[bytes, Memory] = {}
        self._begun: dict[Core, Memory] = {}
        self._spaces: dict[Core, Space] = {}
        self._code, self._lock = code, threading.Lock()
        self._refused = ""                          # what Unicorn did not let the program do

    def __len__(self) -> int:
        return len(self._spaces)

    def add(self, core: "Core") -> None:
        """Let a core take part, with registers as after a reset."""
        if self._uc is None:
            self._open()
        self._place(core.memories[0][1], READ | WRITE | EXECUTE)
        memories = [(base, memory.size, self._place(memory)) for base, memory in core.memories]
        self._switch(None)
        self._uc.context_restore(self._reset)
        self._begun[core] = program = self._program(core.memories[0][1])
        place = self._place(program, READ | EXECUTE)
        self._spaces[core] = Space(memories, place, self._uc.context_save())

    def remove(self, core: "Core") -> None:
        """Forget a core if it takes part; the last one takes the CPU with it."""
        if core not in self._spaces:
            return
        self._switch(None)
        del self._spaces[core]
        if not self._spaces:
            self._close()
            return
        unused, program = [memory for _, memory in core.memories[:2]], self._begun.pop(core)
        if program not in self._begun.values():
            self._programs = {words: copy for words, copy in self._programs.items() if copy is not program}
            unused.append(program)
        for memory in unused:
            self._uc.mem_unmap(self._places.pop(memory), memory.size)
        self._uc.ctl_flush_tb()                     # Unicorn may put the next memory where these were

    def _open(self) -> None:
        """Make Unicorn's CPU, with the devices that all cores of a chip share."""
        self._uc = uc = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_ARM)
        uc.ctl_set_cpu_model(arm_const.UC_CPU_ARM_926)
        uc.ctl_set_page_size(PAGE)
        uc.ctl_set_tcg_buffer_size(self._code)
        uc.ctl_set_tlb_mode(unicorn.UC_TLB_VIRTUAL)
        # Where no memory is: Unicorn (notdirty_write, cputlb.c) leaves stores slow wherever a hook might be called.
        uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._note, begin=0, end=_FIRST_PLACE - 1)
        self._next = _FIRST_PLACE
        for base, size in CHIP_DEVICES.items():
            self._map_device(base, size)
        self._map_core()
        self._reset = uc.context_save()

    def _map_core(self) -> None:
        self._uc.hook_add(unicorn.UC_HOOK_TLB_FILL, self._translate)
        for base in CORE_DEVICES:
            self._map_device(base, DEVICE_SIZE)

    def _map_device(self, base: int, size: int) -> None:
        self.serve(base, size, self._load, self._store, base)

    def _close(self) -> None:
        self._uc = self._reset = None
        for found in (self._places, self._programs, self._begun):
            found.clear()

    def _place(self, memory: Memory, permissions: int = READ | WRITE) -> int:
        """Address of a memory in the common space."""
        if memory not in self._places:
            self._uc.mem_map_ptr(self._next, memory.size, permissions, memory.address)
            self._places[memory] = self._next
            self._next += -(-memory.size // _PLACES) * _PLACES
        return self._places[memory]

    def _program(self, itcm: Memory) -> Memory:
        """The copy of a program that all cores share that begin with it."""
        words = bytes(itcm.bytes)
        if words not in self._programs:
            self._programs[words] = copy = Memory("program", ITCM_SIZE)
            copy.bytes[:] = words
        return self._programs[words]

    def _switch(self, core: "Core | None") -> None:
        """Put the registers of a core in, or only those of the last one out."""
        if self._current is core:
            return
        if self._current is not None:
            self._uc.context_update(self._spaces[self._current].registers)
        if core is not None:
            self._uc.context_restore(self._spaces[core].registers)
            uclib.uc_ctl(self._uc._uch, FLUSH_TLB)
        self._current = core

    def own(self, core: "Core", address: int) -> None:
        """Something other than its program has written to a core's memory."""
        if ITCM_BASE <= address < ITCM_SIZE and self._spaces[core].program is not None:
            self._spaces[core].program = None
            uclib.uc_ctl(self._uc._uch, FLUSH_TLB)

    def read(self, core: "Core", register: str) -> int:
        """A register of a core, by name."""
        self._switch(core)
        return self._uc.reg_read(_REGISTER[register])

    def write(self, core: "Core", register: str, value: int) -> None:
        """Set a register of a core."""
        self._switch(core)
        self._uc.reg_write(_REGISTER[register], value)

    @contextmanager
    def turn_of(self, core: "Core") -> Iterator[None]:
        """The time in which a core runs."""
        with self._lock:
            self._running = core
        try:
            yield
        finally:
            with self._lock:
                self._running = None

    def stop(self) -> None:
        """Let the program stop that runs, from a device that it accesses."""
        self._uc.emu_stop()

    def if_running(self, core: "Core", action: Callable[[], None]) -> None:
        """Call an action, from another thread, if it is a core's turn, which does not end before the action has."""
        with self._lock:
            if self._running is core:
                action()

    def watch(self, address: int | None, callback: Callable[..., None]) -> None:
        """Call back whenever a program is about to execute the instruction at an address; None: at any."""
        first, last = (1, 0) if address is None else (address, address)
        self._uc.hook_add(unicorn.UC_HOOK_CODE, callback, begin=first, end=last)

    def watch_blocks(self, callback: Callable[..., None]) -> None:
        """Call back (uc, address, bytes, data) whenever a program begins a block."""
        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, callback)

    def serve(self, base: int, size: int, load: Callable[..., int], store: Callable[..., None], data: int) -> None:
        """Let functions (uc, offset, width[, value], data) serve accesses to addresses that no memory has."""
        self._uc.mmio_map(base, size, load, data, store, data)

    def run(self, core: "Core", address: int, instructions: int = 0) -> Trapped | None:
        """Run a core's program until something stops it: None, or (Trap, what it was) in the middle.

        It stops after so many instructions, if there is a number of them.
        """
        self._switch(core)
        space = self._spaces[core]
        while True:
            try:
                self._uc.emu_start(address, _NEVER, count=instructions)
                return None
            except unicorn.UcError as error:
                if not space.refused:
                    return self.trap(error.errno)
            space.refused, space.program = False, None
            uclib.uc_ctl(self._uc._uch, FLUSH_TLB)
            address = self.read(core, "PC") | (self.read(core, "CPSR") >> 5 & 1)

    def trap(self, errno: int) -> Trapped:
        """(Trap, text) for an error of Unicorn's."""
        text, self._refused = self._refused or str(unicorn.UcError(errno)), ""
        traps = {unicorn.UC_ERR_FETCH_UNMAPPED: Trap.FETCH, unicorn.UC_ERR_FETCH_PROT: Trap.FETCH,
                 unicorn.UC_ERR_INSN_INVALID: Trap.UNDEFINED, unicorn.UC_ERR_EXCEPTION: Trap.CALL}
        return traps.get(errno, Trap.DATA), text

    def _note(self, _uc: Any, access: int, address: int, size: int, _value: int, _data: object) -> bool:
        """Remember an access that Unicorn is about to refuse."""
        verb = _ACCESSES.get(access)
        self._refused = f"{verb} of {size} bytes at {address:#010x}, where nothing is" if verb else ""
        return False

    def _translate(self, _uc: Any, address: int, access: int, entry: Any, _data: object) -> bool:
        """Fill Unicorn's TLB.

        With its own translation Unicorn checks at every store whether it changes code, which makes stores 5 to 10 times
        slower; it does not for pages that it has been told hold none.
        """
        if self._running is None:                   # a memory is being taken away
            return False
        found = self._spaces[self._running].translate(address, access == unicorn.UC_MEM_WRITE)
        if found is None:
            return False
        entry.paddr, entry.perms = found
        return True

    def _load(self, _uc: Any, offset: int, width: int, base: int) -> int:
        return self._running.load(base, offset, width)

    def _store(self, _uc: Any, offset: int, width: int, value: int, base: int) -> None:
        self._running.store(base, offset, width, value)
