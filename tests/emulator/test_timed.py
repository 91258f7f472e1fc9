"""Cores whose work takes time: the same cycles for the core in Python and the one in C; what only time makes."""

import struct
from functools import partial
from itertools import pairwise

import pytest
from bench import Bench
from programs import SEEN, WFI, program
from test_core import COUNT_UP, FIQ_ON_PACKETS, R1_CC, R3_VIC, R4_SEEN, RETURN, TAKE_PACKET, forever, timer_program

from spikingconvnet.emulator import timed_core, timed_machine, times, timing
from spikingconvnet.emulator.core import Rest
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM, Interrupt
from spikingconvnet.emulator.packets import Packet
from spikingconvnet.emulator.profile import functions
from spikingconvnet.emulator.snapshots import cores
from spikingconvnet.emulator.timed_core import TimedCore
from spikingconvnet.emulator.timed_native import TimedNativeCore

R5_TIMER, R6_DMA = [0xe3a05421], [0xe3a06203]       # mov r5, #0x21000000; mov r6, #0x30000000
NOP = 0xe1a00000
HERE = 0xeafffffe                                   # b .


@pytest.fixture(params=[TimedCore, TimedNativeCore], ids=["python", "native"])
def make_bench(request):
    return partial(Bench, request.param, timed=True)


@pytest.fixture
def bench(make_bench):
    return make_bench()


def seen(bench, words=1):
    return struct.unpack(f"<{words}I", bench.chip.bus.read(SEEN, 4 * words))


def load(bench, image, core=1):
    bench.chip.bus.write(SDRAM_SYSTEM, image)
    bench.chip.start(SDRAM_SYSTEM, 1 << core, 30, 0)
    return bench.chip.cores[core]


def loop(times):
    """So many rounds of 4 cycles, the last of 2."""
    assert times < 256
    return [0xe3a02000 | times, 0xe2522001, 0x1afffffd]         # mov r2, #n; subs r2, r2, #1; bne the subs


def test_a_timer_shows_how_long_work_took(bench):
    measured = [*R4_SEEN, *R5_TIMER, 0xe3e00000, 0xe5850020, 0xe3a00082, 0xe5850028]     # T2: load ~0, run free
    bench.start(program([*measured, 0xe5951024, *loop(100), 0xe5952024,                  # r1, r2 = T2_COUNT
                         0xe0410002, 0xe5840000, WFI]))                                  # their difference
    assert abs(seen(bench)[0] - (400 + timing.DEVICE_WAIT)) <= 3         # a block is counted as it begins


def test_ticks_interrupt_work_between_two_blocks(bench):
    image = bytearray(timer_program(COUNT_UP))
    wfi = image.index(struct.pack("<I", WFI), 32 + 0x40)
    image[wfi:wfi + 4] = struct.pack("<I", 0xe321f053)          # msr cpsr_c: interrupts; it works and works
    core = load(bench, bytes(image))
    bench.machine.run(until=20_000)
    assert 19 <= seen(bench)[0] <= 21 and core.times().slept == 0
    assert core.rest is Rest.READY and set(core.times().steps[1:]) <= set(range(990, 1011))


def test_a_tick_that_takes_longer_than_a_step_makes_the_next_one_late(bench):
    core = load(bench, timer_program([*COUNT_UP, *loop(255), *loop(255)]))        # about 2,000 of 1,000 cycles
    bench.machine.run(until=100_000)
    assert seen(bench)[0] in (33, 34) and len(core.times().steps) >= 97           # two ticks of three are gone
    assert max(core.times().steps) > 990


def test_steps_tell_how_long_a_core_was_awake(bench):
    core = load(bench, timer_program([*COUNT_UP, *loop(50)]))
    bench.machine.run(until=20_000)
    spent = core.times()
    assert len(set(spent.steps[1:])) == 1 and 200 < spent.steps[1] < 350 and spent.period == 1000
    assert sum(spent.steps) < spent.now - spent.slept < sum(spent.steps) + 500


def transfer(words, cycles):
    """Start a transfer of so many words from SDRAM to DTCM and note STAT at once and after some cycles."""
    return [*R4_SEEN, *R6_DMA, 0xe3a00206, 0xe5860004, 0xe3a00501, 0xe5860008,      # SDRAM; DTCM
            *(0xe3a00000 | words, 0xe1a00100, 0xe586000c),                          # DESC: length in bytes
            0xe5961014, 0xe5841000, *loop(cycles // 4), 0xe5961014, 0xe5841004]


@pytest.mark.parametrize("spent, done", [(60, 0), (400, 1 << 10)])
def test_a_transfer_takes_its_time(bench, spent, done):
    bench.start(program([*transfer(80, spent), WFI]))           # 20 + 80 * 3 cycles
    at_once, later = (word & 0xffffff for word in seen(bench, 2))
    assert at_once == 1 and later == (done or 1)


def test_a_transfer_takes_longer_where_many_share_the_memory(bench):
    bench.chip.cores[1].bank.word = timing.shared_word(16, 1)
    bench.start(program([*transfer(80, 400), WFI]))
    assert [word & 0xffffff for word in seen(bench, 2)] == [1, 1]


def test_a_second_transfer_waits_for_the_first(bench):
    again = [0xe586000c, 0xe5961014, 0xe5841000, *loop(100), 0xe5961014, 0xe5841004, *loop(100), 0xe5961014, 0xe5841008]
    bench.start(program([*R4_SEEN, *R6_DMA, 0xe3a00206, 0xe5860004, 0xe3a00501, 0xe5860008, 0xe3a00050, 0xe1a00100,
                         0xe586000c, *again, WFI]))
    assert [word & 0xffffff for word in seen(bench, 3)] == [1 | 4, 1 | 1 << 10, 1 << 10 | 1 << 11]


def test_memory_of_the_chip_costs_more_than_a_cores_own(bench):
    base = bench
    base.start(program([*R4_SEEN, *[0xe5840000] * 8, WFI]))     # str r0, [r4]
    first = base.chip.cores[1].times().now
    other = Bench(type(bench.chip.cores[1]), timed=True)
    other.start(program([0xe3a04501, NOP, *[0xe5840000] * 8, WFI]))
    assert first - other.chip.cores[1].times().now == 8 * timing.SDRAM_WAIT


def packets_to(bench, arrivals, main=FIQ_ON_PACKETS, handler=TAKE_PACKET):
    core = load(bench, program(forever(list(main)), {0x1c: handler}))
    bench.machine.run()
    for key, after in enumerate(arrivals):
        core.arrive(bench.machine.cycle + after, (0, key, 0))
    bench.machine._wake(core)
    bench.machine.run()
    return core


@pytest.mark.parametrize("arrivals", [[0], [100, 100, 100], list(range(0, 4000, 100)), [5000, 90_000]])
def test_packets_arrive_in_order_when_they_do(bench, arrivals):
    core = packets_to(bench, arrivals)
    assert seen(bench, 3) == (len(arrivals), 0x88000001, len(arrivals) - 1)
    assert core.times().now >= bench.machine.cycle - 3000 + 0 * arrivals[-1] and core.rest is Rest.WFI


def test_a_burst_that_the_handler_cannot_take_is_dropped_behind_a_patient_router(bench):
    slow = [*TAKE_PACKET[:4], *COUNT_UP, *loop(200), RETURN]    # 800 cycles a packet
    core = packets_to(bench, [10] * 40, handler=slow)
    router = bench.chip.router
    taken, lost = seen(bench)[0], router.load(router.COUNTER + 4 * 8)
    assert 5 <= taken < 40 and taken + sum(router.counters[8:10]) == 40 and core.lost == 0 and lost > 0


def test_packets_beyond_what_a_core_may_have_coming_are_counted_as_lost(monkeypatch):
    monkeypatch.setattr(timed_core, "MOST_PACKETS", 3)
    core = load(Bench(TimedCore, timed=True), program([WFI]))
    for key in range(5):
        core.arrive(1000, (0, key, 0))
    assert (len(core.coming), core.lost) == (3, 2)


def test_the_share_of_a_chips_memory_is_found_anew_in_every_round():
    core, lag = load(Bench(TimedCore, timed=True), program([WFI])), 2000
    core.bank.moved = 16 * lag                      # as sixteen cores that moved words all the time
    TimedCore.run_all([core], 0, lag, lag, [core.bank])
    assert (core.bank.word, core.bank.moved) == (timing.shared_word(16, 1), 0) and timing.shared_word(16, 1) == 208


def test_masked_packets_wait(bench):
    masked = [*FIQ_ON_PACKETS, 0xe321f0d3, *loop(250), *loop(250), 0xe321f093]       # msr cpsr_c: F set, work, F clear
    core = load(bench, program(forever(masked), {0x1c: TAKE_PACKET}))
    core.arrive(100, (0, 7, 0))
    bench.machine.run(until=1000)
    bench.machine.run()
    assert seen(bench, 3) == (1, 0x88000001, 7) and core.times().now > 2000


def test_packets_take_time_from_chip_to_chip(bench):
    """A core of another chip sends; the later the further."""
    took = []
    for source in ((0, 0), (1, 1)):
        here = Bench(type(bench.chip.cores[1]), timed=True)
        for chip in here.machine.chips.values():
            chip.router.set(0, 0, 0xffffffff, 1 << 6 + 1 if (chip.x, chip.y) == (0, 0) else 1 << (4 if chip.x else 5))
        receiver = load(here, program(forever(list(FIQ_ON_PACKETS)), {0x1c: TAKE_PACKET}))
        here.machine.run()
        before = here.machine.cycle
        sender = here.machine.chips[source]
        sender.bus.write(SDRAM_SYSTEM, program([R1_CC, 0xe3a00000, 0xe5810008, WFI]))
        sender.start(SDRAM_SYSTEM, 4, 30, 0)
        here.machine.run()
        assert seen(here)[0] == 1
        took.append(receiver.times().now - before)
    assert took[1] - took[0] == timing.ROUTER_PIPELINE + timing.LINK_PACKET + timing.LINK_FLIGHT


def under_way(core):
    """When packets come to a core that has not looked at them yet."""
    return [at for at, _ in core.coming] if hasattr(core, "coming") else cores._coming(core)[::4]


def test_a_link_that_is_too_slow_for_a_flood_holds_the_cores_that_send(bench):
    for xy, chip in bench.machine.chips.items():
        chip.router.set(0, 0, 0xffffffff, 1 << 0 if xy == (0, 0) else 1 << 6 + 1)
    target = bench.machine.chips[1, 0]
    posted: list[tuple[int, tuple[int, int], int, Packet]] = [(n * 4, (0, 0), 1, (0, 0, 0)) for n in range(100, 500)]
    bench.machine._network.post(posted[:1])
    bench.machine._network.carry(None, 0)              # to a core that runs nothing
    bench.start(program([WFI]), chip=target)
    bench.machine._network.post(posted)
    bench.machine._network.carry(None, 0)
    taken = under_way(target.cores[1])
    assert len(taken) == 400 and {b - a for a, b in pairwise(taken)} == {timing.LINK_PACKET}
    assert (0, 0) in bench.machine._network.busy(400 + 390 * timing.LINK_PACKET)
    assert bench.machine._network.busy(500 + 400 * timing.LINK_PACKET) == set()
    sender = load(bench, program([*R4_SEEN, R1_CC, 0xe5810008,                   # sends; reads TCR now and later
                                  0xe5910000, 0xe5840000, *loop(255), 0xe5910000, 0xe5840004, WFI]))
    sender.pace(500)
    bench.machine.run()
    assert [word >> 28 for word in seen(bench, 2)] == [0, 9]         # NOT_FULL, EMPTY


def test_a_program_that_never_rests_is_stopped(bench, monkeypatch):
    monkeypatch.setattr(timed_machine, "_WATCHED", 4000)
    bench.machine.watchdog = 3
    core = load(bench, program([HERE]))
    for until in range(0, 40_000, 4000):
        bench.machine.run(until)
    assert core.rest is Rest.DEAD and "has not come to rest for 3 s of its own clock" in bench.reports[0]


def test_a_fault_is_told_as_without_time(bench):
    bench.start(program([0xe3a00209, 0xe5901000, WFI]))         # ldr r1, [0x90000000]
    assert "DABT" in bench.reports[0] and seen(bench)[0] == 4


def test_the_monitors_interrupt_comes_at_the_boards_time(bench):
    core = load(bench, program(forever([R3_VIC, *R4_SEEN, 0xe3a00701, 0xe5830010,        # mov r0, #1 << 18
                                        0xe3a00032, 0xe5830200]), {0x18: [*COUNT_UP, HERE]}))
    bench.machine.run()
    bench.machine._set_clock(50_000)
    core.interrupt(Interrupt.CPU, True)
    bench.machine._wake(core)
    bench.machine.run(until=51_000)
    assert seen(bench) == (1,) and core.times().now > 50_000


def test_the_same_again(bench):
    """Cores that ping each other: the same cycles twice, and in both languages."""
    def times(kind):
        made = Bench(kind, timed=True)
        made.chip.router.set(0, 0, 0, 1 << 6 + 2 | 1 << 6 + 1)
        image = bytearray(timer_program([*COUNT_UP, 0xe3a01202, 0xe5810008]))       # and sends
        for number in (1, 2):
            load(made, bytes(image), number)
        made.machine.run(until=30_000)
        return [(core.times(), core.registers()) for core in (made.chip.cores[1], made.chip.cores[2])]
    assert times(TimedCore) == times(TimedNativeCore) == times(TimedNativeCore)


# Functions: push {r4, lr}; ...; pop {r4, pc}
CALLED = [0xe92d4010, *loop(20), 0xe8bd8010]


def test_a_profile_tells_calls_and_cycles_by_function(make_bench):
    main = [0xe3a0d501, 0xe28ddb01]                             # mov sp, #0x400000; add sp, sp, #0x400
    at = 0x80
    for _ in range(3):
        main.append(0xeb000000 | (at - (0x40 + 4 * len(main)) - 8 >> 2) & 0xffffff)          # bl CALLED
    main += [WFI]
    bench = make_bench(profile=(0, 0, 1))
    bench.start(program(main + [0] * (16 - len(main)) + CALLED))
    core = bench.chip.cores[1]
    found = {one.address: one for one in functions(bytes(core.itcm.bytes), core.blocks())}
    assert set(found) == {0, at} and found[at].calls == 3
    assert found[at].cycles == 3 * (2 + 1 + 20 + 19 * 3 + 1 + 6 + 0)
    assert sum(one.cycles for one in found.values()) == core.times().now
    assert make_bench().chip.cores[1].profiled is False


def test_phases_are_drawn_by_chip_and_seed(make_bench):
    def phases(**options):
        machine = make_bench(**options).machine
        return [machine._phases((*xy, 1)) for xy in machine.chips]
    assert phases() == [0, 0, 0, 0]
    some, same, other = phases(phases=100), phases(phases=100), phases(phases=100, seed=1)
    assert some == same != other and len(set(some)) == 4 and 0 <= min(some) <= max(some) < 100 * 200


def test_a_core_that_is_woken_late_is_late(make_bench):
    bench = make_bench(phases=50)
    core = load(bench, program([WFI]))
    late = bench.machine._phases(core.place)
    bench.machine.run()
    core.interrupt(Interrupt.CPU, False)
    before = bench.machine.cycle
    bench.machine._wake(core)
    assert core.times().now == before + late > before


def test_a_lock_is_held_until_it_is_given_back(make_bench):
    """Two cores count up in shared memory, hundreds of times, slowly, under a lock."""
    bench = make_bench(quantum=0.5)
    main = [*R4_SEEN, 0xe3a054e2, 0xe2855c01, 0xe3a06064]       # r5 = 0xe2000100 (TAS); mov r6, #100
    main += [0xe5950000, 0xe3100102, 0x1afffffc,                # ldr r0, [r5]; tst r0, #1 << 31; bne the load
             0xe5941000, *loop(20), 0xe2811001, 0xe5841000,     # read, wait, add, write
             0xe5950080, 0xe2566001]                            # ldr r0, [r5, #0x80] (TAC); subs r6, r6, #1
    main += [0x1a000000 | (5 - len(main)) - 2 & 0xffffff, WFI]
    bench.start(program(main), cores=(1, 2))
    assert seen(bench) == (200,)


def test_loads_are_of_the_last_program_of_a_core_and_put_steps_together():
    def of(core, steps, period=1000):
        return timed_machine.History(core, "app", period, steps, [])
    found = times.loads([of((0, 0, 1), [9] * 5), of((0, 1, 2), []), of((0, 0, 1), [100, 300, 995, 1000, 0]),
                         of((0, 0, 3), [*range(250)], 500)])
    assert found == [
        {"core": [0, 0, 1], "mean": pytest.approx(0.479), "worst": 1.0, "full": 2, "every": 1,
         "course": [10, 30, 100, 100, 0]},
        {"core": [0, 0, 3], "mean": pytest.approx(0.249), "worst": 0.498, "full": 0, "every": 3,
         "course": [round(100 * min(i + 2, 249) / 500) for i in range(0, 250, 3)]}]
    many = times.loads([of((0, 0, p), [1] * 1000) for p in range(2000)])
    assert {len(load["course"]) for load in many} == {10} and {load["every"] for load in many} == {100}
