"""A chip as its monitor leaves it: system variables, applications and their cores, messages, routes; and the bus."""

import struct

import pytest
from programs import WFI, branch, program

from spikingconvnet.emulator.errors import BusError
from spikingconvnet.emulator.memory import Bus, Memory
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM, SV, SV_BASE, VCPU, VCPU_BASE, AppData, CPUState, Signal
from spikingconvnet.emulator.packets import SDP, Result

SLEEPER = program([WFI, branch(4, 0)])


def variable(chip, offset, size=4):
    return chip.bus.load(SV_BASE + offset, size)


def app(chip, app_id, offset, size=1):
    return chip.bus.load(chip._app_data + app_id * AppData.SIZE + offset, size)


def started(bench, cores, app_id=30):
    bench.start(SLEEPER, cores, app_id=app_id)
    for number in cores:
        bench.chip.set_vcpu(number, VCPU.CPU_STATE, CPUState.RUN, 1)
    return bench.chip


def test_system_variables_after_booting(plain_bench):
    root, corner = plain_bench.machine.chips[0, 0], plain_bench.machine.chips[1, 1]
    for chip, address, ethernet in ((root, 0, 1), (corner, 0x101, 0)):
        assert [variable(chip, *one) for one in ((SV.P2P_ADDR, 2), (SV.P2P_DIMS, 2), (SV.P2P_UP, 1), (SV.HW_VER, 1),
                                                 (SV.ETH_UP, 1), (SV.ROOT_CHIP, 1))] == [
            address, 0x202, 1, 3, ethernet, ethernet]
        assert [variable(chip, *one) for one in ((SV.NUM_BUF, 1), (SV.NUM_CPUS, 1), (SV.ROM_CPUS, 1), (
            SV.SHM_COUNT, 2), (SV.CPU_CLK, 2), (SV.MEM_CLK, 2), (SV.FORWARD, 1), (SV.PEEK_TIME, 1), (SV.RANDOM, 4))
                ] == [7, 18, 18, 0, 200, 130, 0x3f, 200, 0xa5]
        assert variable(chip, SV.LINK_EN, 1) == chip.links
        assert chip.bus.read(SV_BASE + SV.V2P_MAP, 20) == bytes(range(18)) + b"\xff\xff"
        assert chip.bus.read(SV_BASE + SV.P2V_MAP, 20) == bytes(range(18)) + b"\xff\xff"
        assert variable(chip, SV.VCPU_BASE) == VCPU_BASE and variable(chip, SV.SDRAM_SYS) == SDRAM_SYSTEM
    assert root.bus.read(SV_BASE + SV.IP_ADDR, 4) != bytes(4) == corner.bus.read(SV_BASE + SV.IP_ADDR, 4)


def test_cores_after_booting_are_idle_and_the_monitor_runs(plain_bench):
    chip = plain_bench.chip
    assert [chip.vcpu(n, VCPU.CPU_STATE, 1) for n in (0, 1, 17)] == [CPUState.RUN, CPUState.IDLE, CPUState.IDLE]
    assert [chip.vcpu(n, VCPU.PHYS_CPU, 1) for n in (0, 1, 17)] == [0, 1, 17]
    assert sorted(chip.cores) == list(range(1, 18))
    assert [chip.app_name(n) for n in (0, 1)] == ["SC&MP", "sark"]
    chip.bus.write(VCPU_BASE + VCPU.SIZE + VCPU.APP_NAME, b"a\x1f\x7f~ b\0cd")
    assert chip.app_name(1) == "a??~ b"
    chip.set_vcpu(1, VCPU.CPU_STATE, CPUState.INIT, 1)
    assert chip.app_name(1) == "starting"


def test_an_application_knows_its_cores(plain_bench):
    chip = started(plain_bench, (2, 5))
    assert [app(chip, 30, offset) for offset in (AppData.CORES, AppData.CLEAN, AppData.SEMA, AppData.LEAD)] == [
        2, 0, 0, 2] and app(chip, 30, AppData.MASK, 4) == 0x24
    started(plain_bench, (1,))
    assert app(chip, 30, AppData.CORES) == 3 and app(chip, 30, AppData.LEAD) == 2
    assert app(chip, 30, AppData.MASK, 4) == 0x26 and app(chip, 29, AppData.CORES) == 0
    started(plain_bench, (7,), app_id=31)
    assert chip.owned(30) == [1, 2, 5] and chip.owned(31) == [7] and chip.owned(30, 0xfe) == [1, 2, 5, 7]
    assert chip.count(30, CPUState.RUN) == 3 and chip.count(30, CPUState.IDLE) == 0
    assert chip.system_controller.flags == 0xa6 and chip.vcpu(7, VCPU.APP_ID, 1) == 31


def test_an_application_that_owns_something_again_is_one_byte(plain_bench):
    chip = plain_bench.chip
    at = chip._app_data + 30 * AppData.SIZE + AppData.CLEAN
    chip.bus.write(at - 1, bytes((7, 1, 7)))
    chip.used(30)
    assert chip.bus.read(at - 1, 3) == bytes((7, 0, 7))


def test_stopping_gives_back_what_an_application_owned(plain_bench):
    chip = started(plain_bench, (2, 5))
    started(plain_bench, (7,), app_id=31)
    free = chip.sdram_heap.largest()
    chip.sdram_heap.alloc(1 << 20, 30, 5)
    kept = chip.sdram_heap.alloc(1 << 10, 31, 5)
    first = chip.router_entries.alloc(4, 30)
    chip.set_router(first, 1, 0xffffffff, 1 << 6 + 2, 30)
    chip.signal(Signal.STOP, 30, 0xff)
    assert kept and chip.sdram_heap.largest() <= free and chip.router.lookup(1) is None
    assert chip.owned(30) == chip.owned(0xff) == [] and chip.owned(31) == [7] and app(chip, 30, AppData.CLEAN) == 1
    assert app(chip, 30, AppData.CORES) == 0 and app(chip, 31, AppData.CLEAN) == 0
    assert chip.vcpu(2, VCPU.CPU_STATE, 1) == CPUState.IDLE and chip.vcpu(7, VCPU.CPU_STATE, 1) == CPUState.RUN
    chip.used(30)
    assert app(chip, 30, AppData.CLEAN) == 0
    chip.signal(Signal.STOP, 30, 0xfe)          # 30 and 31
    assert chip.owned(31) == [] and app(chip, 31, AppData.CLEAN) == 1 and app(chip, 32, AppData.CLEAN) == 0
    assert chip.sdram_heap.largest() == free


def test_init_makes_cores_idle_and_pwrdn_stops_them(plain_bench):
    chip = started(plain_bench, (2, 5))
    chip.signal(Signal.PWRDN, 30, 0xff)
    assert [chip.vcpu(n, VCPU.CPU_STATE, 1) for n in (2, 5, 6)] == [CPUState.PWRDN, CPUState.PWRDN, CPUState.IDLE]
    assert chip.owned(30) == [2, 5] and app(chip, 30, AppData.CLEAN) == 0
    chip.signal(Signal.INIT, 30, 0xff)
    assert chip.owned(30) == [] and chip.vcpu(2, VCPU.CPU_STATE, 1) == CPUState.IDLE


def test_barriers_are_flags_and_other_signals_come_by_mailbox(plain_bench):
    chip = started(plain_bench, (2, 5))
    chip.signal(Signal.SYNC0, 30, 0xff)
    assert chip.system_controller.flags == 0
    chip.signal(Signal.SYNC1, 30, 0xff)
    assert chip.system_controller.flags == 0x24 and chip.vcpu(2, VCPU.MBOX_AP_CMD, 1) == 0
    chip.signal(Signal.PAUSE, 30, 0xff)
    assert [(chip.vcpu(n, VCPU.MBOX_AP_CMD, 1), chip.vcpu(n, VCPU.MBOX_AP_MSG)) for n in (2, 5, 6)] == [
        (3, Signal.PAUSE), (3, Signal.PAUSE), (0, 0)]


def message(core, data=b"abcdefgh"):
    return SDP(0x07, 255, 0x20 | core, 0, 0, 0, data)


def test_messages_wait_until_the_mailbox_is_free(plain_bench):
    chip = started(plain_bench, (2,))
    assert chip.deliver(message(18)) == Result.CPU and chip.deliver(message(3)) == Result.DEAD
    assert [chip.deliver(message(2, bytes([k] * 8))) for k in (1, 2)] == [Result.OK, Result.OK]
    assert chip.vcpu(2, VCPU.MBOX_AP_CMD, 1) == 1 and variable(chip, SV.SHM_COUNT, 2) == 1
    at = chip.vcpu(2, VCPU.MBOX_AP_MSG)
    assert chip.bus.load(at + 4, 2) == 16 and chip.bus.read(at + 8, 16) == message(2, b"\1" * 8).encode()
    chip.post(chip.cores[2])
    assert variable(chip, SV.SHM_COUNT, 2) == 1
    chip.set_vcpu(2, VCPU.MBOX_AP_CMD, 0, 1)
    chip.post(chip.cores[2])
    at = chip.vcpu(2, VCPU.MBOX_AP_MSG)
    assert chip.bus.read(at + 8, 16) == message(2, b"\2" * 8).encode() and variable(chip, SV.SHM_COUNT, 2) == 2


def test_a_core_that_takes_no_messages_is_given_no_more_than_so_many(plain_bench):
    chip = started(plain_bench, (2,))
    assert {chip.deliver(message(2)) for _ in range(1 + 4096)} == {Result.OK}
    assert chip.deliver(message(2)) == Result.BUF


def test_the_registers_of_a_buried_core_are_kept(plain_bench):
    chip = started(plain_bench, (2,))
    core = chip.cores[2]
    registers = {name: 100 + i for i, name in enumerate(core.registers())}
    core.registers = lambda: registers
    chip.bury(core, CPUState.RTE, 5)
    base = VCPU_BASE + 2 * VCPU.SIZE
    assert struct.unpack("<8I", chip.bus.read(base, 32)) == tuple(registers[f"r{n}"] for n in range(8))
    assert struct.unpack("<3I", chip.bus.read(base + 32, 12)) == tuple(registers[n] for n in ("psr", "sp", "pc"))
    assert (chip.vcpu(2, VCPU.RT_CODE, 1), chip.vcpu(2, VCPU.CPU_STATE, 1)) == (5, CPUState.RTE)
    assert chip.deliver(message(2)) == Result.DEAD


def test_an_entry_of_the_router_and_its_copy(plain_bench):
    chip = plain_bench.chip
    chip.set_router(3, 0x120, 0xff0, 1 << 0 | 1 << 6 + 2, 30)
    entry = variable(chip, SV.RTR_COPY) + 3 * 16
    assert struct.unpack("<2xHIII", chip.bus.read(entry, 16)) == (0x8000 | 30, 0x101, 0x120, 0xff0)
    assert chip.router.lookup(0x12f) == 0x101
    chip.clear_router(3, 1)
    assert struct.unpack("<III", chip.bus.read(entry + 4, 12)) == (0xff000000, 0xffffffff, 0)
    assert chip.router.lookup(0x12f) is None


# The bus


class Registers:
    name = "registers"

    def __init__(self):
        self.words = {0: 0x11223344, 4: 0x55667788}

    def load(self, offset):
        return self.words[offset]

    def store(self, offset, value):
        self.words[offset] = value


@pytest.fixture
def bus():
    made = Bus()
    made.add_memory(0x100000, Memory("one", 0x100000))
    made.add_memory(0x700000, Memory("two", 0x180000))
    made.add_device(0xe1000000, 8, Registers())
    return made


def test_integers_are_little_endian_and_cut_to_their_size(bus):
    bus.store(0x100004, 0x1_2345_6789)
    bus.store(0x100008, 0x1ff, 1)
    bus.store(0x10000a, 0x12345, 2)
    bus.store(0x100010, 1 << 63 | 5, 8)
    assert bus.read(0x100004, 8) == bytes([0x89, 0x67, 0x45, 0x23, 0xff, 0, 0x45, 0x23])
    assert [bus.load(0x100004), bus.load(0x100008, 1), bus.load(0x10000a, 2), bus.load(0x100010, 8)] == [
        0x23456789, 0xff, 0x2345, 1 << 63 | 5]
    bus.fill(0x100020, 0x01020304, 8)
    assert bus.read(0x10001c, 16) == bytes(4) + b"\4\3\2\1" * 2 + bytes(4)


@pytest.mark.parametrize("address, length, good", [
    (0x100000, 0x100000, True), (0x1fffff, 1, True), (0x1fffff, 2, False), (0x0fffff, 1, False), (0x200000, 1, False),
    (0x100000, 0, True), (0x87ffff, 1, True), (0x87ffff, 2, False), (0x880000, 1, False), (0x100000, -1, False)])
def test_memory_ends_where_it_ends(bus, address, length, good):
    if good:
        assert bus.locate(address, length)[1] == address - (0x100000 if address < 0x700000 else 0x700000)
        if length >= 0:
            assert len(bus.read(address, length)) == length
    else:
        with pytest.raises(BusError, match="no memory holds"):
            bus.locate(address, length)


def test_registers_are_words(bus):
    assert bus.read(0xe1000000, 8) == bytes.fromhex("4433221188776655")
    bus.write(0xe1000004, b"\1\2\3\4")
    assert bus.read(0xe1000004, 4) == b"\1\2\3\4" and bus.device(0xe1000000).words[4] == 0x04030201
    for address, length in ((0xe1000001, 4), (0xe1000000, 3), (0xe1000004, 8), (0xe1000008, 4)):
        with pytest.raises(BusError, match="registers are words"):
            bus.read(address, length)
        with pytest.raises(BusError, match="registers are words"):
            bus.write(address, bytes(length))
