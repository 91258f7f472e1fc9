"""Ticks that are for nothing do not happen, and everything is as if they had."""

import pytest
from bench import Bench
from programs import program
from test_core import ENABLE_TIMER1, FIQ_ON_PACKETS, R4_SEEN, R5_TIMER, RETURN, TAKE_PACKET, forever

from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM, Signal
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.snapshots import boards

STEP = 0x40000                                          # cycles of a step; 128 ticks
MOV_TICK, MOV_STEP, MOV_OTHER = 0xe3a00b02, 0xe3a00701, 0xe3a00bbf      # mov r0, #0x800; #STEP; #0x2fc00: 95.5 ticks
CLEAR = [0xe3a00001, 0xe585000c]                        # mov r0, #1; str r0, [r5, #INT_CLR]
FOR_NOTHING = [0xe3a074e1, 0xe5970004]                  # mov r7, #0xe1000000; ldr r0, [r7, #STATUS of the router]
SEND = [0xe3a08202, 0xe5880008]                         # mov r8, #0x20000000; str r0, [r8, #TXKEY]
R9_OWN = 0xe3a09501                                     # mov r9, #0x00400000 (DTCM)
FOR_SOMETHING = {
    "counts in its own memory": [R9_OWN, 0xe5990000, 0xe2800001, 0xe5890000],   # ldr r0, [r9]; add r0, #1; str r0, [r9]
    "counts in a register": [0xe28aa001],                                       # add r10, r10, #1
    "reads the chip's memory": [0xe5940000], "writes to the chip's memory": [0xe5840000],       # ldr, str r0, [r4]
    "reads a timer": [0xe5950004],                                              # ldr r0, [r5, #COUNT]
    "looks at another register": [0xe3a074e1, 0xe5970000],                      # ldr r0, [r7, #CONTROL]
    "sends": SEND}


def ticking(period, handler):
    """A program whose timer expires again and again; `handler`: what it does then. It counts the packets it gets."""
    main = [*FIQ_ON_PACKETS, *R5_TIMER, *R4_SEEN, *ENABLE_TIMER1, period, 0xe5850000, 0xe5850018,      # LOAD, BG_LOAD
            0xe3a000e2, 0xe5850008]                                                                     # CONTROL
    return program(forever(main), {0x18: [*handler, *CLEAR, RETURN], 0x1c: TAKE_PACKET})


@pytest.fixture
def benches(monkeypatch):
    """Boards with their clock in C, in Python, and in Python without leaving any tick out."""
    made = Bench(NativeCore), Bench(NativeCore, loop=False), Bench(NativeCore, loop=False)
    for chip in made[2].machine.chips.values():
        for core in chip.cores.values():
            monkeypatch.setattr(core, "settle", lambda: None)
    return made


def load(bench, number, image):
    bench.chip.bus.write(SDRAM_SYSTEM, image)
    bench.chip.start(SDRAM_SYSTEM, 1 << number, 30, 0)


def run(bench, handler):
    """A core that does that every tick gets packets, at its ticks and between them, and signals of a host."""
    bench.chip.router.set(0, 0, 0, 1 << 6 + 2)
    load(bench, 2, ticking(MOV_TICK, handler))
    for number, period in ((1, MOV_STEP), (3, MOV_OTHER)):
        load(bench, number, ticking(period, SEND))
    found = []
    for steps in (4, 5):
        bench.machine.run(until=steps * STEP - 1)
        idle = bench.chip.cores[2].idle
        bench.machine.run(until=steps * STEP)
        found.append((bench.machine.cycle, bench.chip.cores[2].deadlines(), idle))
        bench.chip.signal(Signal.SYNC1, 30, 0xff)
    bench.machine.run(until=8 * STEP)
    return found, boards.digest(bench.machine), bench.reports


def test_ticks_for_nothing_are_left_out_and_nothing_is_different(benches):
    (found, *others), again, (all_of_them, *expected) = (run(bench, FOR_NOTHING) for bench in benches)
    assert (found, *others) == again and others == expected
    assert [idle for *_, idle in found] == [True, True] and [idle for *_, idle in all_of_them] == [False, False]
    assert [seen[:2] for seen in found] == [seen[:2] for seen in all_of_them]


@pytest.mark.parametrize("what", FOR_SOMETHING)
def test_ticks_for_something_happen(benches, what):
    every = [run(bench, FOR_SOMETHING[what]) for bench in benches]
    assert every[0] == every[1] == every[2] and not any(idle for *_, idle in every[0][0])


def test_the_clock_stands_still_where_all_ticks_are_for_nothing(benches):
    for bench in benches[:2]:
        bench.start(ticking(MOV_TICK, FOR_NOTHING))
        machine, before = bench.machine, bench.machine.cycle
        assert not machine.busy and machine.next_instant() is None and bench.chip.cores[1].idle
        bench.chip.signal(Signal.SYNC1, 30, 0xff)       # somebody touches it: it ticks again until it is known anew
        assert machine.next_instant() == before + 0x800
        machine.run()
        assert machine.cycle > before and machine.next_instant() is None
        bench.chip.signal(Signal.STOP, 30, 0xff)
        machine.run()
        assert machine.next_instant() is None


def test_a_snapshot_has_the_ticks_that_are_left_out(benches, tmp_path):
    bench = benches[0]
    run(bench, FOR_NOTHING)
    boards.save(bench.machine, tmp_path / "board")
    again = boards.load(tmp_path / "board")
    for machine in (bench.machine, again):
        machine.run(until=11 * STEP)
    assert boards.digest(bench.machine) == boards.digest(again)


def test_a_core_on_unicorn_ticks_on():
    pytest.importorskip("unicorn")
    bench = Bench(Core)
    load(bench, 1, ticking(MOV_STEP, FOR_NOTHING))
    bench.machine.run(until=9 * STEP)
    assert bench.machine.cycle == 9 * STEP and not bench.chip.cores[1].idle
