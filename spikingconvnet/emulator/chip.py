"""One chip: memories, router, system controller and up to 17 application cores, as SC&MP leaves it after booting.

The monitor core's program is not run; `monitor.py` answers for it. What the monitor does to memory and cores is here.
Sources: scamp-3.c (sv_init, sdram_init), scamp-app.c, scamp-p2p.c of spinnaker_tools 813bfef.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.errors import BusError, CorruptError
from spikingconvnet.emulator.heap import Heap, Pool, RouterEntries
from spikingconvnet.emulator.layout import Layout
from spikingconvnet.emulator.memory import Bus, Memory
from spikingconvnet.emulator.memory_map import (
    CPU_CLOCK_MHZ,
    DEVICE_SIZE,
    IOBUF_SIZE,
    NUM_CPUS,
    NUM_LINKS,
    ROUTER_BASES,
    ROUTER_SIZE,
    RTE,
    SDRAM_BASE,
    SDRAM_BASES,
    SDRAM_HEAP,
    SDRAM_SIZE,
    SDRAM_SYSTEM,
    SDRAM_USER,
    SOFTWARE_VERSION,
    SV,
    SV_BASE,
    SYSCTL_BASES,
    SYSRAM_BASE,
    SYSRAM_BASES,
    SYSRAM_HEAP,
    SYSRAM_HEAP_TOP,
    SYSRAM_SIZE,
    SYSTEM_BUFFER_WORDS,
    SYSTEM_HEAP,
    SYSTEM_HEAP_TOP,
    VCPU,
    VCPU_BASE,
    AppData,
    CPUState,
    Interrupt,
    Mailbox,
    SDPMessage,
    Signal,
)
from spikingconvnet.emulator.packets import SDP, Result
from spikingconvnet.emulator.router import TABLE_SIZE, Router
from spikingconvnet.emulator.system_controller import SystemController

SHARED_MESSAGES = 7                                 # tools/boot/sark.struct, num_buf
_MOST_WAITING = 4096                                # messages for a core that does not take them; the next is refused
_FIRST_APP = 1


def _mask(numbers: Iterable[int]) -> int:
    return sum(1 << number for number in numbers)


class Chip:
    """A chip at (x, y).

    Parameters
    ----------
    x, y : int
    make_core : callable(number, bus, memories) -> Core
    wake : callable(core): something has happened to a core
    send : callable(SDP): a message from one of the cores, which may be running
    routes : pair of callables for the router: a route may have changed; count packets under way
    report : callable(text)
    physical : numbers of the cores that work, by virtual number; the monitor is 0
    """

    def __init__(self, x: int, y: int, make_core: Callable[[int, Bus, tuple[Memory, Memory]], Core],
                 wake: Callable[[Core], None], send: Callable[[SDP], None],
                 routes: tuple[Callable[[], None], Callable[[], None]], report: Callable[[str], None],
                 physical: Sequence[int] = range(NUM_CPUS)) -> None:
        self.x, self.y, self.address, self.links = x, y, x << 8 | y, 0
        self._wake, self._send, self._report = wake, send, report
        self.sdram, self.sysram = Memory("SDRAM", SDRAM_SIZE), Memory("SysRAM", SYSRAM_SIZE)
        self.router = Router(*routes, self._tell)
        self.system_controller = SystemController(self._interrupt, self._asleep)
        self.bus = self._make_bus()
        self._physical = tuple(physical)
        self.cores: dict[int, Core] = {}
        for number, own in enumerate(self._physical[_FIRST_APP:], _FIRST_APP):
            self.cores[number] = make_core(number, self.bus, (self.sdram, self.sysram))
            self.cores[number].physical = own
        self._apps = [0] * NUM_CPUS                 # the monitor's record of application ids, `core_app`
        self._waiting: dict[int, list[SDP]] = {number: [] for number in self.cores}     # until a mailbox is free
        self.shared_messages = Pool(self.bus, SV_BASE + SV.SHM_FREE)
        self.router_entries = RouterEntries(self.bus, self.clear_router)

    def _make_bus(self) -> Bus:
        bus = Bus()
        for bases, memory in ((SDRAM_BASES, self.sdram), (SYSRAM_BASES, self.sysram)):
            for base in bases:
                bus.add_memory(base, memory)
        for base in ROUTER_BASES:
            bus.add_device(base, ROUTER_SIZE, self.router)
        for base in SYSCTL_BASES:
            bus.add_device(base, DEVICE_SIZE, self.system_controller)
        return bus

    def boot(self, layout: Layout, links: int) -> None:
        """Fill in the system variables, heaps and core states.

        Parameters
        ----------
        layout : of the machine
        links : bits of the links that lead to another chip
        """
        self.sdram_heap = Heap.create(self.bus, SDRAM_HEAP, SDRAM_SYSTEM)
        self.sysram_heap = Heap.create(self.bus, SYSRAM_HEAP, SYSRAM_HEAP_TOP)
        self.sys_heap = Heap.create(self.bus, SYSTEM_HEAP, SYSTEM_HEAP_TOP)
        ethernet, (width, height), self.links = layout.ethernet_of[self.x, self.y], layout.dimensions, links
        self._app_data = self.sys_heap.alloc(256 * AppData.SIZE, 0)
        for offset, size, value in (
                (SV.P2P_ADDR, 2, self.address), (SV.P2P_DIMS, 2, width << 8 | height), (SV.P2P_UP, 1, 1),
                (SV.HW_VER, 1, layout.version), (SV.ETH_ADDR, 2, ethernet[0] << 8 | ethernet[1]),
                (SV.ETH_UP, 1, ethernet == (self.x, self.y)), (SV.ROOT_CHIP, 1, self.address == 0),
                (SV.CPU_CLK, 2, CPU_CLOCK_MHZ), (SV.MEM_CLK, 2, 130), (SV.FORWARD, 1, 0x3f), (SV.PEEK_TIME, 1, 200),
                (SV.RANDOM, 4, 0xa5), (SV.LINK_EN, 1, links), (SV.NUM_BUF, 1, SHARED_MESSAGES),
                (SV.IOBUF_SIZE, 4, IOBUF_SIZE), (SV.SDRAM_BUFS, 4, SDRAM_BASE),
                (SV.SYSBUF_SIZE, 4, SYSTEM_BUFFER_WORDS),
                (SV.NUM_CPUS, 1, len(self._physical)), (SV.ROM_CPUS, 1, NUM_CPUS), (SV.SDRAM_BASE, 4, SDRAM_USER),
                (SV.SYSRAM_BASE, 4, SYSRAM_BASE + 0x100), (SV.SDRAM_SYS, 4, SDRAM_SYSTEM), (SV.VCPU_BASE, 4, VCPU_BASE),
                (SV.SYSRAM_HEAP, 4, SYSRAM_HEAP), (SV.SDRAM_HEAP, 4, SDRAM_HEAP), (SV.SYS_HEAP, 4, SYSTEM_HEAP),
                (SV.RTR_COPY, 4, self.sys_heap.alloc((TABLE_SIZE + 1) * RouterEntries.ENTRY, 0)),
                (SV.ALLOC_TAG, 4, self.sys_heap.alloc(65536 * 4, 0)),
                (SV.APP_DATA, 4, self._app_data),
                (SV.SHM_BUF, 4, self.sysram_heap.alloc(SHARED_MESSAGES * SDPMessage.SIZE, 0)),
                (SV.SW_VER, 4, SOFTWARE_VERSION)):
            self.bus.store(SV_BASE + offset, value, size)
        self.shared_messages.create(self.bus.load(SV_BASE + SV.SHM_BUF), SHARED_MESSAGES, SDPMessage.SIZE)
        self.bus.write(SV_BASE + SV.V2P_MAP, bytes(self._physical).ljust(SV.MAP_SIZE, b"\xff"))
        self.bus.write(SV_BASE + SV.P2V_MAP, bytes(map(self._virtual, range(SV.MAP_SIZE))))
        self.clear_router(0, TABLE_SIZE)
        self.router_entries.create()
        self._boot_core(0, CPUState.RUN, b"SC&MP")
        for number in self.cores:
            self._idle(number)

    def _boot_core(self, number: int, state: int, program: bytes) -> None:
        base = VCPU_BASE + number * VCPU.SIZE
        self.bus.write(base, bytes(VCPU.USER))      # user0 to user3 outlive programs: sark_init, sark_base.c:464
        self.bus.store(base + VCPU.PHYS_CPU, self._physical[number], 1)
        self.bus.store(base + VCPU.CPU_STATE, state, 1)
        self.bus.store(base + VCPU.SW_VER, SOFTWARE_VERSION)
        self.bus.write(base + VCPU.APP_NAME, program)

    def _idle(self, number: int) -> None:
        """What is left of a core when SC&MP has put its stub program on it."""
        self.cores[number].stop()
        self._waiting[number].clear()
        self._apps[number] = 0
        self._boot_core(number, CPUState.IDLE, b"sark")

    def _virtual(self, physical: int) -> int:
        """Virtual number of a physical core, 255 if it does not work (`assign_virt_cpu`, scamp-3.c:902)."""
        return self._physical.index(physical) if physical in self._physical else 255

    def _bits(self, numbers: Iterable[int]) -> int:
        """Virtual numbers as bits of physical cores."""
        return _mask(self._physical[number] for number in numbers)

    def vcpu(self, number: int, field: int, size: int = 4) -> int:
        """A field of a core's block of state."""
        return self.bus.load(VCPU_BASE + number * VCPU.SIZE + field, size)

    def set_vcpu(self, number: int, field: int, value: int, size: int = 4) -> None:
        """Write a field of a core's block of state."""
        self.bus.store(VCPU_BASE + number * VCPU.SIZE + field, value, size)

    def app_name(self, number: int) -> str:
        """Name that the program on a core gave itself, once it has."""
        if self.vcpu(number, VCPU.CPU_STATE, 1) == CPUState.INIT:
            return "starting"
        raw = self.bus.read(VCPU_BASE + number * VCPU.SIZE + VCPU.APP_NAME, 16)
        return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in raw.split(b"\0")[0])

    def start(self, image: int, mask: int, app_id: int, flags: int) -> None:
        """Start the image at an address on cores (`proc_start_app`, scamp-app.c:145)."""
        app = self._app_data + app_id * AppData.SIZE
        numbers = [number for number in self.cores if mask >> number & 1]
        if self.bus.load(app + AppData.CORES, 1) == 0 and numbers:
            self.bus.write(app, bytes((0, 0, 0, numbers[0])) + bytes(4))
        self.bus.store(app + AppData.CORES, self.bus.load(app + AppData.CORES, 1) + len(numbers), 1)
        self.bus.store(app + AppData.MASK, self.bus.load(app + AppData.MASK) | mask)
        self.system_controller.store(SystemController.SET_FLAG, _mask(numbers))
        for number in numbers:
            self.set_vcpu(number, VCPU.CPU_STATE, CPUState.INIT, 1)
            self.set_vcpu(number, VCPU.APP_ID, app_id, 1)
            self._apps[number] = app_id
            self.cores[number].start(image, app_id, flags)
            self.cores[number].attend(self.router)
            self._wake(self.cores[number])

    def owned(self, app_id: int, app_mask: int = 0xff) -> list[int]:
        """Cores of the applications whose id is `app_id` in the bits of the mask."""
        return [number for number in self.cores if self._apps[number] & app_mask == app_id]

    def count(self, app_id: int, state: int) -> int:
        """How many cores of an application are in a state (`n_cores_in_state`, scamp-p2p.c:818)."""
        return sum(self.vcpu(number, VCPU.CPU_STATE, 1) == state for number in self.owned(app_id))

    def signal(self, signal: int, app_id: int, app_mask: int) -> None:
        """Signal the cores of applications (`signal_app`, scamp-app.c:257)."""
        numbers = self.owned(app_id, app_mask)
        mask = self._bits(numbers)
        if signal == Signal.STOP:
            for candidate in range(app_id, 256):
                if candidate & app_mask == app_id:
                    self._clean(candidate)
        if signal in (Signal.STOP, Signal.INIT):
            for number in numbers:
                self._idle(number)
        elif signal == Signal.PWRDN:
            for number in numbers:
                self.cores[number].stop()
                self.set_vcpu(number, VCPU.CPU_STATE, CPUState.PWRDN, 1)
        elif signal in (Signal.SYNC0, Signal.SYNC1):
            flag = SystemController.SET_FLAG if signal == Signal.SYNC1 else SystemController.CLR_FLAG
            self.system_controller.store(flag, _mask(numbers))      # programs look for their virtual number there
            self._interrupt(mask, True)
        else:
            for number in numbers:
                self.set_vcpu(number, VCPU.MBOX_AP_CMD, Mailbox.SIGNAL, 1)
                self.set_vcpu(number, VCPU.MBOX_AP_MSG, signal)
            self._interrupt(mask, True)

    def _clean(self, app_id: int) -> None:
        """Give back what an application owned (`clean_app_id`, scamp-app.c:181)."""
        app = self._app_data + app_id * AppData.SIZE
        if self.bus.load(app + AppData.CLEAN, 1):
            return
        heaps = (self.sdram_heap, self.sysram_heap, self.sys_heap) if app_id else ()   # 0 is SC&MP: its tables stay
        ways: list[Callable[[int], int]] = [heap.free_id for heap in heaps]
        ways.append(partial(self.router_entries.free_id, clear=True))
        for free in ways:
            try:
                free(app_id)
            except (BusError, CorruptError) as error:
                self._report(f"cleaning up chip {self.x},{self.y} after application {app_id}: {error}")
        self.bus.store(app + AppData.CORES, 0, 1)
        self.bus.store(app + AppData.CLEAN, 1, 1)

    def used(self, app_id: int) -> None:
        """An application owns something again: it has to be cleaned up when it stops."""
        self.bus.store(self._app_data + app_id * AppData.SIZE + AppData.CLEAN, 0, 1)

    def bury(self, core: Core, state: int, code: int) -> None:
        """Record a core that cannot record its own end: state, error code and registers as SARK would leave them."""
        for name, value in core.registers().items():
            if name[0] == "r":
                self.set_vcpu(core.number, VCPU.REGISTERS + 4 * int(name[1]), value)
        registers = core.registers()
        for field, name in ((VCPU.PSR, "psr"), (VCPU.SP, "sp"), (VCPU.LR, "pc")):
            self.set_vcpu(core.number, field, registers[name])
        self.set_vcpu(core.number, VCPU.RT_CODE, code, 1)
        self.set_vcpu(core.number, VCPU.CPU_STATE, state, 1)
        core.rest = Rest.DEAD

    def bury_dead(self, core: Core) -> None:
        """Record a core that gave up: its own exception handlers fault."""
        self.bury(core, CPUState.RTE, getattr(core, "failure", RTE.RESET))

    def _interrupt(self, mask: int, active: bool) -> None:
        for core in self.cores.values():
            if mask >> core.physical & 1 and not core.ended:
                core.interrupt(Interrupt.CPU, active)
                if active:
                    self._wake(core)
        if mask & active:                           # bit 0: the monitor has mail
            self._collect()

    def _tell(self) -> None:
        """The router tells of a packet that it has dropped, or no longer; or it waits for another time."""
        for core in self.cores.values():
            if not core.ended and core.attend(self.router):
                self._wake(core)

    def _asleep(self) -> int:
        return self._bits(number for number, core in self.cores.items() if core.rest in (Rest.OFF, Rest.WFI))

    def _collect(self) -> None:
        """Take the messages that cores have left for the monitor (`sark_msg_send`, sark_base.c:531)."""
        flags = self.bus.load(SV_BASE + SV.MBOX_FLAGS)
        self.bus.store(SV_BASE + SV.MBOX_FLAGS, 0)
        for number in self.cores:
            if flags >> number & 1 and self.vcpu(number, VCPU.MBOX_MP_CMD, 1) == Mailbox.MSG:
                self.set_vcpu(number, VCPU.MBOX_MP_CMD, Mailbox.IDLE, 1)
                self._take(number, self.vcpu(number, VCPU.MBOX_MP_MSG))

    def _take(self, number: int, address: int) -> None:
        try:
            length = self.bus.load(address + SDPMessage.LENGTH, 2)
            message = SDP.decode(self.bus.read(address + SDPMessage.BODY, length))
            self.shared_messages.put(address)
        except BusError as error:
            self._report(f"core {self.x},{self.y},{number} sent a message that is not there: {error}")
            return
        if message is None:
            self._report(f"core {self.x},{self.y},{number} sent a message of {length} bytes; 8 to 280 are possible")
        else:
            self._send(message)

    def deliver(self, message: SDP) -> Result:
        """Put a message into a core's mailbox; the SCP result (`shm_send_msg`, scamp-3.c:713)."""
        core = self.cores.get(message.core)
        if core is None:
            return Result.CPU
        if core.ended:
            return Result.DEAD
        if len(self._waiting[core.number]) == _MOST_WAITING:
            return Result.BUF
        self._waiting[core.number].append(message)
        core.mailed = True
        self.post(core)
        return Result.OK

    def has_mail(self, core: Core) -> bool:
        """Whether messages wait for a core's mailbox."""
        return bool(self._waiting[core.number])

    def post(self, core: Core) -> None:
        """Hand over the next message that waits for a core if its mailbox is free."""
        waiting = self._waiting[core.number]
        core.mailed = bool(waiting)
        if not waiting or self.vcpu(core.number, VCPU.MBOX_AP_CMD, 1) != Mailbox.IDLE:
            return
        try:
            address = self.shared_messages.get()
            if not address:
                return
            data = waiting.pop(0).encode()
            self.bus.store(address + SDPMessage.LENGTH, len(data), 2)
            self.bus.write(address + SDPMessage.BODY, data)
        except (BusError, CorruptError) as error:
            self._report(f"shared messages of chip {self.x},{self.y}: {error}")
            return
        self.set_vcpu(core.number, VCPU.MBOX_AP_MSG, address)
        self.set_vcpu(core.number, VCPU.MBOX_AP_CMD, Mailbox.MSG, 1)
        self._interrupt(1 << core.physical, True)

    def clear_router(self, first: int, count: int) -> None:
        """Empty multicast entries and their copies (`rtr_mc_clear`, sark_hw.c:255)."""
        self.router.clear(first, count)
        copy = self.bus.load(SV_BASE + SV.RTR_COPY)
        for index in range(first, first + count):
            entry = copy + index * RouterEntries.ENTRY
            self.bus.write(entry + 4, b"\0\0\0\xff" + b"\xff\xff\xff\xff" + b"\0\0\0\0")

    def set_router(self, index: int, key: int, mask: int, route: int, app_id: int) -> None:
        """Write a multicast entry and its copy (`rtr_mc_set`, sark_hw.c:332)."""
        entry = self.bus.load(SV_BASE + SV.RTR_COPY) + index * RouterEntries.ENTRY
        virtual = (number for number in range(len(self._physical)) if route >> NUM_LINKS + number & 1)
        self.router.set(index, key, mask, route & (1 << NUM_LINKS) - 1 | self._bits(virtual) << NUM_LINKS)
        self.bus.store(entry + 2, 0x8000 | app_id, 2)
        for offset, value in ((4, route), (8, key), (12, mask)):
            self.bus.store(entry + offset, value)
