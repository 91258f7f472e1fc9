"""Cores that take turns on one CPU are as apart as cores with a CPU each, and take little memory."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest
from programs import MAIN, SEEN, WFI, branch, program
from test_core import COUNT_UP, FIQ_ON_PACKETS, R4_SEEN, RETURN, timer_program

from spikingconvnet.emulator import cpu
from spikingconvnet.emulator.core import Rest
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM

CORES = (1, 2, 3)
OWN = [*R4_SEEN, 0xe5940000, 0xe2801010, 0xe5841000,    # ldr r0, [r4]; add r1, r0, #16; str r1, [r4]
       0xe0844000, 0xe2844040]                          # add r4, r4, r0; add r4, r4, #64: 16 bytes of its own
FAR = 0x1000                                            # in ITCM, behind the page that every core has to itself


@pytest.fixture(params=[0, 1, 24])
def shared(request, monkeypatch):
    """All cores share a CPU, or all but one, or none."""
    monkeypatch.setattr(cpu, "LIMIT", request.param)


def own(bench, core, words=2):
    """The words that a core has written to its own bytes: the cores began in the order of their numbers."""
    return struct.unpack(f"<{words}I", bench.chip.bus.read(SEEN + 0x40 + 16 * CORES.index(core), 4 * words))


def test_cores_have_a_cpu_each_up_to_the_limit_and_share_one_beyond(monkeypatch):
    monkeypatch.setattr(cpu, "LIMIT", 2)
    cpus = cpu.CPUs(lambda code: [])
    taken = []
    for core in range(5):
        taken.append(cpus.take())
        taken[-1].append(core)
    assert taken == [[0], [1], [2, 3, 4], [2, 3, 4], [2, 3, 4]]
    taken[1].clear()
    assert cpus.take() is taken[1]


def test_cores_that_take_turns_keep_their_registers(bench, shared):
    """Counters in banked registers of two modes, r8 and r10 of FIQ and r12 of everybody else."""
    take = [0xe5910014,                                 # ldr r0, [r1, #RXKEY]
            0xe0888000, 0xe58d8000, RETURN]             # add r8, r8, r0; str r8, [sp]
    main = [*OWN, 0xe321f0d1, 0xe1a0d004, 0xe3a08000,   # msr cpsr_c, #0xd1 (FIQ); mov sp, r4; mov r8, #0
            0xe321f0d3, 0xe3a08055,                     # msr cpsr_c, #0xd3 (supervisor); mov r8, #0x55
            *[word for word in FIQ_ON_PACKETS if word not in R4_SEEN],
            WFI, 0xe2888001, 0xe5848004]                # wfi; add r8, r8, #1; str r8, [r4, #4]
    here = MAIN + 4 * len(main)
    bench.start(program([*main, branch(here, here - 12)], {0x1c: take}), CORES)
    for turn in range(4):
        for core in CORES:
            bench.chip.cores[core].offer((0, 10 * core + turn, 0))
            bench.chip.cores[core].run()
    for core in CORES:
        assert own(bench, core) == (40 * core + 6, 0x55 + 4)


def test_timers_of_cores_that_take_turns_all_tick(bench, shared):
    bench.chip.bus.write(SDRAM_SYSTEM, timer_program(COUNT_UP))
    bench.chip.start(SDRAM_SYSTEM, sum(1 << core for core in CORES), 30, 0)
    bench.machine.run(until=10_500)
    assert struct.unpack("<I", bench.chip.bus.read(SEEN, 4)) == (30,)


@pytest.mark.parametrize("by_dma", [False, True])
def test_a_core_that_changes_its_code_changes_nobody_elses(bench, shared, by_dma):
    """r0 at the start says which application it is, and that is how the cores know who they are here."""
    change = [0xe59f0000, 0xea000000, 0xe3a02009,       # ldr r0, the word two further on; b over it; (mov r2, #9)
              0xe5850000]                               # str r0, [r5]
    if by_dma:
        change = [0xe59f0000, 0xea000000, 0xe3a02009, 0xe5840008,       # ...; str r0, [r4, #8]
                  0xe3a06101, 0xe2840008, 0xe5860004, 0xe5865008,       # r6 = DMA; ADRS = r4 + 8; ADRT = FAR
                  0xe3a00004, 0xe586000c]                               # DESC = 4 bytes to TCM
    main = [0xe1a07000, *OWN, 0xe3a05a01, 0xe1a0e00f, 0xe1a0f005, 0xe5842000,   # r7 = r0; r5 = FAR; call; str r2, [r4]
            0xe20770ff, 0xe357001f, 0x1a000000 | len(change) - 1, *change,      # r7 & 255 == 31? else over the change
            0xe1a0e00f, 0xe1a0f005, 0xe5842004, WFI]                            # call; str r2, [r4, #4]; wfi
    code = bytearray(program(main)[32:])
    code += bytes(FAR - len(code)) + struct.pack("<2I", 0xe3a02007, 0xe1a0f00e)         # mov r2, #7; mov pc, lr
    code += bytes(-len(code) % 32)
    image = struct.pack("<8I", 2, 0, 32, len(code), 4, 0, 0, 0) + code
    for core in CORES:
        bench.start(image, (core,), app_id=31 if core == 2 else 30)
        assert bench.chip.cores[core].rest is Rest.WFI
    assert [own(bench, core) for core in CORES] == [(7, 7), (7, 9), (7, 7)]
    bench.start(image, (2,), app_id=30)                 # begins anew, with its own bytes behind the others'
    assert struct.unpack("<2I", bench.chip.bus.read(SEEN + 0x40 + 16 * 3, 8)) == (7, 7)


def test_a_program_that_replaces_another_is_the_one_that_runs(bench, shared):
    for value in (5, 6, 7):
        bench.start(program([*R4_SEEN, 0xe3a00000 | value, 0xe5840000, WFI]), CORES[:2])
        assert struct.unpack("<I", bench.chip.bus.read(SEEN, 4)) == (value,)
        assert [bench.chip.cores[core].registers()["r0"] for core in CORES[:2]] == [value, value]


GROWTH = """
import sys
sys.path[:0] = sys.argv[1:]
from programs import program
from test_core import COUNT_UP, timer_program
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM
from spikingconvnet.emulator import machine, native_core

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * 4096 / 1e6

made = machine.Machine(5, make_core=native_core.NativeCore)
touch = [0xe3a01501] + [word for page in range(16) for word in (0xe5810000, 0xe2811a01)]    # every page of DTCM
image = timer_program(COUNT_UP + touch)
memory = [resident()]
for chip in list(made.chips.values())[:8]:
    chip.bus.write(SDRAM_SYSTEM, image)
    chip.start(SDRAM_SYSTEM, 0x3fffe, 30, 0)
    made.run(until=made.cycle + 20_000)
    memory.append(resident())
assert all(core.rest.name == "WFI" for chip in list(made.chips.values())[:8] for core in chip.cores.values())
print(*memory)
"""


def test_136_running_cores_take_little_memory():
    here = Path(__file__).parent
    folders = map(str, (here, here.parent / "helpers", here.parents[1]))
    done = subprocess.run([sys.executable, "-c", GROWTH, *folders], stdout=subprocess.PIPE, text=True, check=True)
    start, *loaded = map(float, done.stdout.split())
    assert len(loaded) == 8
    assert loaded[-1] - start < 140                     # a CPU for each would take 400
    assert loaded[-1] - loaded[1] < 0.4 * 17 * 6        # behind the first 34, a core takes its memory and little more
