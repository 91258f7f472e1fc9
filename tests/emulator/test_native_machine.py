"""The clock and the packets of a board in C beside those in Python: what is not of every day."""

from unittest.mock import Mock

import pytest
from bench import Bench, one_thing
from programs import WFI, image, program
from test_core import FIQ_ON_PACKETS, R1_CC, R5_TIMER, TAKE_PACKET, forever, seen

from spikingconvnet.emulator.core import MOST_PACKETS, Rest
from spikingconvnet.emulator.errors import SnapshotError
from spikingconvnet.emulator.machine import LANDINGS, MOST_EVENTS, Machine
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.native_interconnect import NativeInterconnect
from spikingconvnet.emulator.native_machine import NativeMachine
from spikingconvnet.emulator.snapshots import boards
from spikingconvnet.emulator.timed_native import TimedNativeCore

# Sends keys 0 to 4095: mov r0, #0; str r0, [r1, #TXKEY]; add r0, #1; cmp r0, #4096; bne the store; wfi
SENDS = program([R1_CC, 0xe3a00000, 0xe5810008, 0xe2800001, 0xe3500a01, 0x1afffffb, WFI])
# Sends keys 0 to 63, 4,000 cycles apart: mov r0, #0; str r0, [r1, #TXKEY]; mov r2, #0x400; subs r2, #1; bne the
# subs; add r0, #1; cmp r0, #64; bne the store; wfi
SPACES = program([R1_CC, 0xe3a00000, 0xe5810008, 0xe3a02b01, 0xe2522001, 0x1afffffd, 0xe2800001, 0xe3500040, 0x1afffff8,
                  WFI])
# mov r0, #0xe2; str r0, [r5, #T2_CONTROL]; mov r0, #1 << 20; str r0, [r5, #T2_LOAD]; wfi
LOADS = program([*R5_TIMER, 0xe3a000e2, 0xe5850028, 0xe3a00601, 0xe5850020, WFI])


@pytest.fixture
def benches():
    """A board with its clock in C, and one with it in Python."""
    made = Bench(NativeCore), Bench(NativeCore, loop=False)
    assert [type(bench.machine) for bench in made] == [NativeMachine, Machine]
    return made


def start(bench, loaded):
    """Start programs on cores: chip and number -> image."""
    for (xy, number), what in loaded.items():
        bench.machine.chips[xy].bus.write(SDRAM_SYSTEM, what)
        bench.machine.chips[xy].start(SDRAM_SYSTEM, 1 << number, 30, 0)


def rest(machine):
    """Step until all cores are at rest; how many steps that took."""
    for steps in range(10_000):
        if machine.at_rest:
            return steps
        one_thing(machine)
    raise AssertionError("no rest")


def test_many_packets_land_in_as_many_steps_and_are_lost_likewise(benches):
    found = []
    for bench in benches:
        start(bench, {((0, 0), 1): SENDS, ((1, 0), 2): program(forever(FIQ_ON_PACKETS), {0x1c: TAKE_PACKET})})
        bench.chip.router.set(0, 0, 0xfffff800, 1 << 0 | 1 << 6 + 1 | 1 << 6 + 9)       # half of the keys
        bench.machine.chips[1, 0].router.set(0, 0, 0xfffff800, 1 << 6 + 2)
        found.append((rest(bench.machine), boards.digest(bench.machine), bench.reports, seen(bench)))
        receiver, none = bench.machine.chips[1, 0].cores[2], bench.chip.cores[9]
        assert receiver.rest is Rest.WFI and len(none.inbox) == 3 * 2048 and bench.chip.cores[1].lost > 0
    assert found[0] == found[1] and found[0][0] > 4096 // LANDINGS


def test_packets_beyond_what_a_core_may_keep_are_lost(benches):
    for bench in benches:
        core = bench.chip.cores[1]
        core.inbox = [0] * (3 * MOST_PACKETS - 3)
        for key in range(3):
            core.offer((0, key, 0))
        assert core.lost == 2 and list(core.inbox[-3:]) == [0, 0, 0]
        core.stop()
        assert not core.inbox


def test_routes_that_change_are_looked_up_again_and_all_packets_counted(benches):
    found = []
    for bench in benches:
        for core in (2, 3):
            bench.chip.router.set(0, 0, 0, 1 << 6 + core)
            bench.machine._packets = [((0, 0), [(0, 7, 1), (0x20000, 7, 2)]), ((0, 1), [(0, 7, 3)])]
            rest(bench.machine)
        inboxes = [list(bench.chip.cores[core].inbox) for core in (2, 3)]
        found.append((inboxes, bench.chip.bus.read(0xe1000300, 64), bench.reports))
    assert found[0] == found[1] and found[0][0] == [[0, 7, 1, 0x20000, 7, 2]] * 2


def test_deadlines_that_a_program_leaves_are_forgotten(benches):
    for bench in benches:
        start(bench, {((0, 0), 1): LOADS})
        rest(bench.machine)
        core = bench.chip.cores[1]
        bench.machine._events, core.scheduled = [(at, core.place, 1) for at in range(MOST_EVENTS)], [None, None]
        bench.machine._schedule(core)
        assert list(bench.machine._events) == [(1 << 20, core.place, 1)] and bench.machine.next_instant() == 1 << 20


def test_an_event_of_no_core_is_refused():
    machine = Bench(NativeCore).machine
    for event in ((5, (7, 7, 1), 0), (5, (0, 0, 1), 2)):
        with pytest.raises(SnapshotError, match="something is due at core"):
            machine._events = [event]


def test_a_core_that_is_paused_by_another_thread_goes_on_first(benches):
    """As in Python; a pause between two cores is answered before the next one runs."""
    bench = benches[0]
    bench.start(image([0]))
    start(bench, {((0, 0), 1): SENDS, ((0, 0), 2): SENDS})
    bench.machine.pause()
    bench.machine.step()
    assert not bench.machine.at_rest and len(bench.machine._ready) == 2
    bench.chip.cores[1].pause()
    bench.machine.step()
    assert [core.number for core in bench.machine._ready] == [1, 2] and bench.chip.cores[1].rest is Rest.READY
    bench.machine.run()
    assert bench.chip.cores[1].rest is bench.chip.cores[2].rest is Rest.WFI


def test_routers_and_links_in_c_are_those_in_python():
    """A flood over one link: queues, drops, cores that take turns, ways that change while packets are under way."""
    other, found = type("Other", (TimedNativeCore,), {}), []
    for kind in (TimedNativeCore, other):
        bench = Bench(kind, timed=True)
        machine, seen_at = bench.machine, []
        assert isinstance(machine._network, NativeInterconnect) is (kind is TimedNativeCore)
        receiver = program(forever(FIQ_ON_PACKETS), {0x1c: TAKE_PACKET})
        start(bench, {((0, 0), 1): SENDS, ((0, 0), 2): SENDS, ((1, 0), 2): receiver, ((1, 0), 3): SENDS})
        bench.chip.router.set(0, 0, 0xfffffe00, 1 << 0 | 1 << 1 | 1 << 6 + 9)
        machine.chips[1, 0].router.set(0, 0, 0xfffff000, 1 << 2 | 1 << 6 + 2)
        machine.chips[1, 0].router.control = 0x00010001           # hardly waits
        for number in range(60):
            machine.step(0)
            if number == 30:
                bench.chip.router.set(0, 0, 0xfffffe00, 1 << 0)
            if number % 6 == 0 and number != 30:                  # there packets are on the ways of before
                seen_at.append((boards.digest(machine), machine._network.busy(machine.cycle), machine._paced))
        machine.run()
        counters = [machine.chips[xy].bus.read(0xe1000300, 64) for xy in ((0, 0), (1, 0), (0, 1), (1, 1))]
        found.append((seen_at, boards.digest(machine), counters, bench.reports, machine.chips[1, 0].router.counters[8]))
    assert found[0] == found[1] and found[0][-1] > 0 and any(paced for _, _, paced in found[0][0])


@pytest.mark.parametrize("until", [None, 100_000])
def test_packets_that_go_on_in_c_come_as_those_that_python_carries(monkeypatch, until):
    """From two chips to one core; in C without Python at each of them."""
    other, found, passes = type("Other", (TimedNativeCore,), {}), [], []
    for kind in (TimedNativeCore, other):
        bench = Bench(kind, timed=True)
        machine, run = bench.machine, Mock(wraps=bench.machine._network.run)
        receiver = program(forever(FIQ_ON_PACKETS), {0x1c: TAKE_PACKET})
        start(bench, {((0, 0), 1): SPACES, ((0, 0), 2): SPACES, ((1, 0), 2): receiver, ((1, 0), 3): SPACES})
        bench.chip.router.set(0, 0, 0xfffffe00, 1 << 0 | 1 << 6 + 9)
        machine.chips[1, 0].router.set(0, 0, 0xfffff000, 1 << 6 + 2)
        monkeypatch.setattr(machine._network, "run", run)
        machine.run(until)
        halfway = boards.digest(machine), machine.cycle, machine._paced, machine.next_instant()
        machine.run()
        counters = [machine.chips[xy].bus.read(0xe1000300, 64) for xy in ((0, 0), (1, 0))]
        found.append((halfway, boards.digest(machine), machine.cycle, counters, bench.reports))
        passes.append(run.call_count)
    assert found[0] == found[1] and any(found[0][3][1])
    assert passes[0] < passes[1] / 3


def test_a_core_that_streams_waits_for_those_that_take_its_packets(benches):
    """Four send 400,000 without a pause, more than a core may keep."""
    streams = program([R1_CC, 0xe3a00000, 0xe5810008, 0xe2800001, 0xe3500b61, 0x1afffffb, WFI])     # up to 0x18400
    found = []
    for bench in benches:
        start(bench, {((0, 0), number): streams for number in (1, 3, 4, 5)} |
              {((0, 0), 2): program(forever(FIQ_ON_PACKETS), {0x1c: TAKE_PACKET})})
        bench.chip.router.set(0, 0, 0, 1 << 6 + 2)
        rest(bench.machine)
        found.append((boards.digest(bench.machine), bench.reports, seen(bench), bench.chip.cores[2].lost))
    assert found[0] == found[1] and found[0][1:] == ([], (4 * 0x18400, found[0][2][1]), 0)
