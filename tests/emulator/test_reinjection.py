"""Packets that a router drops come again: the registers in which it tells of them, and sPyNNaker's own re-injector."""

import struct
from importlib.util import find_spec
from pathlib import Path

import pytest
from bench import Bench
from programs import SEEN, WFI, program
from test_core import COUNT_UP, FIQ_ON_PACKETS, R1_CC, RETURN, forever

from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.dumps import MOST, Dumps
from spikingconvnet.emulator.faults import Faults
from spikingconvnet.emulator.faulty_machine import may_drop
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM, VCPU
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.packets import FAKE, FAKE_SHIFT, FIXED, PAYLOAD, SDP
from spikingconvnet.emulator.router import Router
from spikingconvnet.emulator.snapshots import boards
from spikingconvnet.emulator.timed_core import TimedCore
from spikingconvnet.emulator.timed_native import TimedNativeCore

MONITOR, GET_STATUS, PORT = 3, 3, 4                 # core of the re-injector; its command, its SDP port
MS = 200_000
REGIONS = SEEN + 0x20000
LISTEN = [*FIQ_ON_PACKETS[:3], 0xe3844831, *FIQ_ON_PACKETS[4:]]         # its r4 is OTHER
OTHER = SEEN + 0x10000
# ldr r0, [r1, #RXKEY]; ldr r2, [r4, #8]; add r2, r2, r0; str r2, [r4, #8]
SUM_UP = [0xe5910014, 0xe5942008, 0xe0822000, 0xe5842008, *COUNT_UP]
SLOW = [*SUM_UP, 0xe3a020c8, 0xe2522001, 0x1afffffd, RETURN]            # 800 cycles a packet
PACKETS = 60
KINDS = {"python": TimedCore, "native": TimedNativeCore}


def extra_monitor():
    found = find_spec("spinn_front_end_common")
    if found is None:
        pytest.skip("sPyNNaker is not installed: pip install -e .[test]")
    return Path(found.submodule_search_locations[0], "common_model_binaries", "extra_monitor_support.aplx").read_bytes()


def with_monitor(bench, chip):
    """Start sPyNNaker's extra monitor on a chip, with what it is told: all packets are to be re-injected."""
    regions = [REGIONS + 0x1000 + 0x100 * number for number in range(4)]
    chip.bus.write(REGIONS, struct.pack("<2I", 0xad130ad6, 0x00010000)      # data_specification.c
                   + b"".join(struct.pack("<3I", region, 0, 0) for region in regions) + bytes(12 * 28))
    chip.bus.write(regions[0], bytes(20))
    chip.bus.write(regions[1], struct.pack("<5I", *range(5)))
    chip.bus.write(regions[2], struct.pack("<4I", 1, 2, 3, 0))
    chip.set_vcpu(MONITOR, VCPU.USER, REGIONS)
    load(chip, extra_monitor(), MONITOR)
    bench.machine.run(until=bench.machine.cycle + MS // 4)


def load(chip, image, core):
    chip.bus.write(SDRAM_SYSTEM, image)
    chip.start(SDRAM_SYSTEM, 1 << core, 30, 0)


def taken(bench, where=SEEN):
    """How many packets a core has taken, and the sum of their keys."""
    return struct.unpack("<2I", bench.chip.bus.read(where, 4) + bench.chip.bus.read(where + 8, 4))


ALL = PACKETS, sum(range(PACKETS))


def status(bench, chip):
    """What a host hears of the re-injector: received, missed, overflows, sent again, copies for links and for cores."""
    bench.sent.clear()
    ask = struct.pack("<2H3I", GET_STATUS, 1, 0, 0, 0)
    bench.machine.accept(SDP(0x87, 0, PORT << 5 | MONITOR, 0xff, chip.address, 0, ask))
    bench.machine.run(until=bench.machine.cycle + MS // 10)
    (answer,) = bench.sent
    return struct.unpack_from("<6I", answer.payload, 12)


def two_chips(make_core, monitored):
    """Chip 1,0 is going to send packets to two cores of chip 0,0; one chip re-injects. If it is 0,0 one is slow."""
    bench = Bench(make_core, timed=True)
    bench.machine.chips[1, 0].router.set(1, 0, 0, 1 << 3)
    bench.chip.router.set(1, 0, 0, 0b11 << 6 + 1)
    load(bench.chip, program(forever(FIQ_ON_PACKETS), {0x1c: [*SUM_UP, RETURN] if monitored == (1, 0) else SLOW}), 1)
    load(bench.chip, program(forever(LISTEN), {0x1c: [*SUM_UP, RETURN]}), 2)
    chip = bench.machine.chips[monitored]
    with_monitor(bench, chip)
    chip.router.store(Router.CONTROL, chip.router.control & 0xffff | 0x40 << 16)        # waits 480 cycles
    return bench


def burst(bench, apart):
    """Packets set out from chip 1,0, so many cycles apart."""
    start = bench.machine.cycle
    bench.machine._network.post([(start + apart * key, (1, 0), 1, (0, key, 0)) for key in range(PACKETS)])
    bench.machine._pass_on(start)
    bench.machine.run(until=start + MS)


def told(make_core, monitored):
    """What comes of a burst: status of the re-injector, what both cores have taken, and what is on the board."""
    bench = two_chips(make_core, monitored)
    chip = bench.machine.chips[monitored]
    if monitored == (1, 0):
        bench.machine._network._wires = {((0, 0), 0): bench.machine.cycle + 20_000}
    burst(bench, 10)
    bench.machine.settle()
    return (status(bench, chip), taken(bench), taken(bench, OTHER), bench.reports, chip.router.counters,
            [core.times().now for core in chip.cores.values() if not core.ended])


@pytest.mark.parametrize("monitored", [(0, 0), (1, 0)], ids=["a core", "a link"])
def test_what_is_dropped_comes_once_to_whom_it_has_not_come_to(monitored):
    """By a core that is too slow, or before a link that is busy for 100 us."""
    found = {name: told(make_core, monitored) for name, make_core in KINDS.items()}
    (received, missed, overflows, again, for_links, for_cores), slow, other, reports, counters, _ = found["native"]
    assert found["python"] == found["native"]
    assert slow == other == ALL and reports == []
    assert received == again == counters[8] and (missed, overflows) == (0, 0)
    assert (for_links, for_cores) == ((0, received) if monitored == (0, 0) else (received, 0)) and received > 10


def test_nothing_comes_again_without_it():
    bench = two_chips(TimedNativeCore, (1, 1))
    burst(bench, 10)
    bench.machine.settle()
    assert taken(bench)[0] + bench.chip.router.counters[8] == PACKETS and taken(bench)[0] < PACKETS
    held = [bench.chip.router.load(offset) for offset in Dumps.REGISTERS]
    assert held[4] == Dumps.DUMPED | Dumps.OVERFLOW | 1 << 6 + 1 and held[3] == 1 << 6 + 1
    assert held[0] == 0 and held[1] < PACKETS       # it has come by link 0
    assert bench.chip.router.load(Dumps.STATUS) == 0


@pytest.mark.parametrize("make_core", [Core, NativeCore], ids=["python", "native"])
def test_a_router_that_drops_a_share_tells_of_it(make_core):
    bench = Bench(make_core, Faults(dropped_packets=0.3, seed=2))
    bench.chip.router.set(1, 0, 0, 1 << 6 + 1)
    load(bench.chip, program(forever(FIQ_ON_PACKETS), {0x1c: [*SUM_UP, RETURN]}), 1)
    with_monitor(bench, bench.chip)
    for key in range(PACKETS):
        bench.machine._packets.append(((0, 0), [(0, key, 0)]))
    bench.machine.run(until=bench.machine.cycle + MS)
    bench.machine.settle()
    dropped = bench.chip.router.counters[8]
    assert taken(bench) == ALL and dropped > 10
    assert status(bench, bench.chip) == (dropped, 0, 0, dropped, 0, dropped)


def test_a_board_goes_on_from_a_snapshot_in_the_middle_of_it(tmp_path):
    bench = two_chips(TimedNativeCore, (0, 0))
    start = bench.machine.cycle
    bench.machine._network.post([(start + 10 * key, (1, 0), 1, (0, key, 0)) for key in range(PACKETS)])
    bench.machine._pass_on(start)
    for _ in range(1000):
        bench.machine.step(0)
        if bench.chip.router.dumps.owed:
            break
    assert bench.chip.router.dumps.owed
    boards.save(bench.machine, tmp_path / "board")
    restored = boards.load(tmp_path / "board")
    assert boards.digest(restored) == boards.digest(bench.machine)
    for machine in (restored, bench.machine):
        machine.run(until=start + MS)
    assert boards.digest(restored) == boards.digest(bench.machine) and taken(bench) == ALL


def test_the_registers_hold_the_first_packet_until_their_status_is_read():
    changes = []
    dumps = Dumps(lambda: changes.append(dumps.due))
    link_2 = 7 - 2 << FAKE_SHIFT
    dumps.add((PAYLOAD | link_2, 5, 6), 0b11, at=100)
    dumps.add((0, 7, 8), 0b100, at=200)             # nobody has asked: the registers are in use
    assert [dumps.load(offset) for offset in Dumps.REGISTERS] == [
        PAYLOAD | 2 << FAKE_SHIFT, 5, 6, 0b11, Dumps.DUMPED | Dumps.OVERFLOW | 0b111]
    dumps.enable(True)
    dumps.add((0, 9, 0), 1 << 6, at=300, apart=50)
    dumps.add((0, 10, 0), 1 << 7, at=301, apart=50)
    dumps.add((0, 11, 0), 1 << 8, at=302, apart=50)
    assert dumps.due == 300 and dumps.load(Dumps.STATUS) == 0
    dumps.come(1000)                                # who hears of it late has 50 cycles until the next one
    assert dumps.due == 0 and dumps.load(Dumps.HEADER) == FAKE and dumps.load(Dumps.KEY) == 9
    dumps.come(1049)
    assert dumps.load(Dumps.STATUS) == Dumps.DUMPED | 1 << 6 and dumps.due == 1050
    dumps.come(1050)
    dumps.come(1100)                                # too late for the last
    assert dumps.load(Dumps.STATUS) == Dumps.DUMPED | Dumps.OVERFLOW | 0b11 << 7 and dumps.due is None
    assert changes[-1] is None and 300 in changes


def test_without_time_one_is_told_behind_the_other():
    dumps = Dumps(lambda: None)
    dumps.enable(True)
    for key in range(3):
        dumps.add((0, key, 0), 1)
    keys = [(dumps.load(Dumps.KEY), dumps.load(Dumps.STATUS), dumps.due) for _ in range(3)]
    assert keys == [(0, Dumps.DUMPED | 1, 0), (1, Dumps.DUMPED | 1, 0), (2, Dumps.DUMPED | 1, None)]


def test_more_than_anybody_asks_for_are_not_kept():
    dumps = Dumps(lambda: None)
    dumps.enable(True)
    for key in range(2 * MOST + 2):
        dumps.add((1, key, 0), 1, at=key + 1)
    assert len(dumps.waiting) == MOST and len(dumps.owed) == MOST and dumps.active
    dumps.enable(False)
    assert not dumps.waiting and dumps.due is None and dumps.load(Dumps.STATUS) & Dumps.OVERFLOW


def test_a_packet_that_seems_to_have_come_by_a_link_goes_straight_on():
    machine = Bench(NativeCore).machine
    tree = machine.tree((0, 0), (7 - 3 << FAKE_SHIFT, 5, 0))
    assert tree.routes[0] == 1 << 0 and tree.branches[1][0] == (1, 0) and tree.came_by[0] == 3
    machine.root.router.set(1, 5, 0xffffffff, 1 << 6 + 2 | 1 << 6 + 4)
    assert [core.number for core in machine.tree((0, 0), (7 - 3 << FAKE_SHIFT, 5, 0)).cores] == [2, 4]
    assert [core.number for core in machine.tree((0, 0), (7 - 3 << FAKE_SHIFT | 4, 5, 0)).cores] == [4]


@pytest.mark.parametrize("make_core", [Core, NativeCore])
def test_a_link_that_there_is_not_is_a_fault_with_words(make_core):
    bench = Bench(make_core)
    bench.start(program([R1_CC, 0xe3a00406, 0xe5810018, 0xe5810008, WFI]))      # mov r0, #6 << 24; to SAR, to TXKEY
    assert any("key 0x06000000 that seems to have come by link 6, which is not there" in text for text in bench.reports)


def test_a_router_that_waits_for_ever_drops_nothing_on_demand():
    router = Bench(NativeCore).chip.router
    assert may_drop(router, 0) and may_drop(router, PAYLOAD) and not may_drop(router, FIXED)
    router.store(Router.CONTROL, router.control | 0xff << 16)
    assert not may_drop(router, 0)
