"""Packets of fixed routes, from point to point and between neighbours: where they go, and counted as what they are."""

import struct

import pytest
from bench import Bench
from programs import SEEN, WFI, program
from test_core import R1_CC, R3_VIC, R4_SEEN, TAKE_PACKET, forever

from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.packets import SDP, Command
from spikingconvnet.emulator.router import Router
from spikingconvnet.emulator.timed_core import TimedCore
from spikingconvnet.emulator.timed_native import TimedNativeCore

KINDS = {"python": (Core, True), "native": (NativeCore, True), "clock in Python": (NativeCore, False),
         "timed": (TimedCore, True), "timed native": (TimedNativeCore, True)}
ENABLES = [R1_CC, R3_VIC, *R4_SEEN, 0xe3a0040e, 0xe583000c, 0xe5830010]     # mov r0, #7 << 25; SELECT, ENABLE
POINT, NEIGHBOUR, FIXED = 1, 2, 3
LOCAL, EXTERNAL = 0, 1                                  # counters of multicast, then those of the other kinds
KEY = 0x10100                                           # from 0, 1 to 1, 0 if it is from point to point


def sends(control, key=KEY):
    """A program that sends one packet with a payload: ldr r0 of what stands behind it, three times; then it waits."""
    return program([0xe3a01202, 0xe59f0014, 0xe5810000, 0xe59f0010, 0xe5810004, 0xe59f000c, 0xe5810008, WFI,
                    control << 16, 0x55, key])


@pytest.fixture(params=KINDS)
def bench(request):
    """A machine, in which a core of chip 1,0 waits for packets of all kinds but multicast, as those for monitors."""
    make_core, loop = KINDS[request.param]
    made = Bench(make_core, timed=request.param.startswith("timed"), loop=loop)
    chip = made.machine.chips[1, 0]
    made.start(program(forever(ENABLES), {0x1c: TAKE_PACKET}), cores=(2,), chip=chip)
    chip.router.store(Router.CONTROL, chip.router.control | 2 << 8)
    return made


def fix(bench, xy, route):
    """Have a chip's monitor set the fixed route."""
    command = struct.pack("<2H3I", Command.RTR, 1, 3, route, 0)
    bench.machine.accept(SDP(0x87, 0, 0, 0xff, xy[0] << 8 | xy[1], 0, command))


def seen(bench):
    """How many packets the core has taken; status and key of the last one."""
    return struct.unpack("<3I", bench.machine.chips[1, 0].bus.read(SEEN, 12))


def counted(bench):
    """What routers have counted: (chip, counter, packets)."""
    bench.machine.settle()
    return {(xy, counter, packets) for xy, chip in bench.machine.chips.items()
            for counter, packets in enumerate(chip.router.counters) if packets}


def test_a_fixed_route_leads_where_the_registers_say_and_nowhere_else(bench):
    for chip in bench.machine.chips.values():
        chip.router.set(1, KEY, 0xffffffff, 1 << 6 + 5)         # for multicast packets
    fix(bench, (0, 0), 1 << 0)
    fix(bench, (1, 0), 1 << 6 + 2)
    bench.start(sends(0xc0))
    assert seen(bench) == (1, 0x88c20008, KEY)
    assert counted(bench) == {((0, 0), 2 * FIXED + LOCAL, 1), ((1, 0), 2 * FIXED + EXTERNAL, 1)}


def test_a_route_that_is_fixed_anew_counts_from_the_next_packet_on(bench):
    for route in (1 << 6 + 9, 1 << 0):
        fix(bench, (0, 0), route)
        fix(bench, (1, 0), 1 << 6 + 2)
        bench.start(sends(0xc0))
        assert seen(bench)[0] == (route == 1)


def test_a_packet_to_a_point_goes_by_the_tables_to_the_monitor_of_its_chip(bench):
    bench.start(sends(0x40, 0x0001 << 16 | 0x0001))             # to a chip of the same low bits first: nobody hears it
    bench.start(sends(0x40))
    assert seen(bench) == (1, 0x88420002, KEY)
    assert ((1, 0), 2 * POINT + EXTERNAL, 1) in counted(bench)


def test_a_packet_to_a_point_without_a_way_is_dropped_and_counted(bench):
    bench.start(sends(0x40, 0x0707))
    assert seen(bench)[0] == 0 and counted(bench) == {((0, 0), 8 + POINT, 1)}


@pytest.mark.parametrize(("source", "link", "by"), [((0, 0), 0, 3), ((0, 1), 5, 2), ((1, 1), 5, 2)])
def test_a_packet_to_a_neighbour_says_by_which_link_it_has_come(bench, source, link, by):
    assert bench.machine.wires[source][link] is not None
    bench.start(sends(0x80 | link << 2), chip=bench.machine.chips[source])
    arrives = bench.machine.wires[source][link] == (1, 0)
    assert seen(bench) == ((1, 0x88820004 | by << 18, KEY) if arrives else (0, 0, 0))
    assert {(source, 2 * NEIGHBOUR + LOCAL, 1)} < counted(bench)


def test_another_monitor_takes_packets_from_the_next_one_on(bench):
    router = bench.machine.chips[1, 0].router
    for monitor in (5, 2):
        router.store(Router.CONTROL, router.control & ~0x1f00 | monitor << 8)
        bench.start(sends(0x40))
        assert seen(bench)[0] == (monitor == 2)


@pytest.mark.parametrize("control", [0x98, 0x9c, 0xa0])
@pytest.mark.parametrize("make_core", [Core, NativeCore])
def test_packets_to_routers_themselves_or_to_all_neighbours_are_a_fault_with_words(make_core, control):
    bench = Bench(make_core)
    bench.chip.bus.write(SDRAM_SYSTEM, sends(control))
    bench.chip.start(SDRAM_SYSTEM, 1 << 1, 30, 0)
    bench.machine.run()
    assert f"nearest-neighbour packet with key {KEY:#010x} to a router itself or to all links" in bench.reports[0]
