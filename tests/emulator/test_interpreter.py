"""Random programs in ARM and Thumb leave the same registers, status and memory on Unicorn and on the CPU in C."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bench import Bench
from programs import WFI, image

from spikingconvnet.emulator import native_library
from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.native_core import NativeCore

BASE, NEAR = 0x60400000, 0x00408000     # r12 at the beginning, in the middle of what is compared: SDRAM, or DTCM
AROUND = 0x8000                         # bytes of it, each way
SMALL = 0x34                            # r11, an offset of accesses
NOP = 0x46c0                            # mov r8, r8
TABLE = 0x7000                          # in ITCM: registers at the beginning, and where Thumb begins


def alu(rng):
    """A data-processing instruction: any operation and operand, r0 to r10 and results in r0 to r9."""
    code, flags = rng.integers(16), rng.integers(2)
    flags = 1 if 8 <= code <= 11 else flags
    first, result = rng.integers(11) * (code not in (13, 15)), rng.integers(10) * (not 8 <= code <= 11)    # else zero
    word = code << 21 | flags << 20 | first << 16 | result << 12
    kind = rng.integers(3)
    if kind == 0:
        return word | 1 << 25 | rng.integers(1 << 12)
    if kind == 1:
        return word | rng.integers(32) << 7 | rng.integers(4) << 5 | rng.integers(11)
    return word | rng.integers(11) << 8 | rng.integers(4) << 5 | 1 << 4 | rng.integers(11)


def multiply(rng):
    """One of the multiplications, saturating sums, CLZ: five kinds of registers, all different where they must be."""
    one, two, three, four = (int(register) for register in rng.permutation(10)[:4])
    word = one << 16 | two << 12 | three << 8 | four
    kind = rng.integers(7)
    if kind < 2:
        return word & ~(0xf000 * (1 - kind)) | rng.integers(2) << 20 | 0x90 | kind << 21
    if kind == 2:
        return word | 1 << 23 | rng.integers(8) << 20 | 0x90
    if kind in (3, 4):
        which, halves = rng.integers(4), rng.integers(4)
        alone = which == 3 or (which == 1 and halves & 1)                   # without an accumulator
        return word & ~(0xf000 * alone) | 0x01000080 | which << 21 | halves << 5
    if kind == 5:
        return 0x01000050 | rng.integers(4) << 21 | one << 16 | two << 12 | four
    return 0x016f0f10 | two << 12 | four


def access(rng):
    """A load or a store of any width around r12, with and without writing it back."""
    before, up, back = rng.integers(2), rng.integers(2), rng.integers(2)
    back = back if before else 0        # LDRT is for users
    word = before << 24 | up << 23 | back << 21 | 12 << 16 | rng.integers(10) << 12
    kind = rng.integers(4)
    if kind == 0:
        return word | 1 << 26 | rng.integers(2) << 22 | rng.integers(2) << 20 | rng.integers(200)
    if kind == 1:
        return word | 3 << 25 | rng.integers(2) << 22 | rng.integers(2) << 20 | rng.integers(4) << 7 | 11
    code, loads = [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1)][rng.integers(6)]
    if not loads and code != 1:
        word &= ~(1 << 12)              # two registers, the first an even one
    word |= loads << 20 | code << 5 | 0x90
    if kind == 2:
        return word | 1 << 22 | rng.integers(13) << 8 | rng.integers(16)
    return word | 11


def several(rng):
    """LDM or STM of r0 to r10 at r12, in all four ways."""
    modes = rng.integers(16) << 21 & ~(1 << 22)
    return 1 << 27 | modes | rng.integers(2) << 20 | 12 << 16 | max(int(rng.integers(1 << 10)), 1)


def status(rng):
    """MRS, or MSR of the flags; a swap of bytes at r12 (Unicorn has words of aligned addresses alone swapped)."""
    return [0x010f0000 | rng.integers(10) << 12, 0x0128f000 | rng.integers(10), 0x0328f000 | rng.integers(1 << 12),
            0x014c0090 | rng.integers(5) << 12 | 5 + rng.integers(5)][rng.integers(4)]


def jump(rng):
    """B or BL over the next instruction."""
    return 0x0a000000 | rng.integers(2) << 24


KINDS = [alu, alu, alu, multiply, access, access, several, status, jump]


def arm(rng, count):
    """Words of random instructions, most of them without a condition, and one that may be jumped over."""
    return [int(KINDS[rng.integers(len(KINDS))](rng)) | int(14 if rng.random() < 0.6 else rng.integers(14)) << 28
            for _ in range(count)] + [0xe2800001]


def thumb(rng, count):
    """Half words of random instructions: results in r0 to r5, accesses around r7 and the stack, small offsets in r6."""
    halves = []
    for _ in range(count):
        rd, rs, rm = (int(rng.integers(6)) for _ in range(3))
        low = rd | rs << 3
        halves.append(int([
            rng.integers(3) << 11 | rng.integers(32) << 6 | low,
            0x1800 | rng.integers(4) << 9 | rm << 6 | low,
            0x2000 | rng.integers(4) << 11 | rd << 8 | rng.integers(256),
            0x4000 | rng.integers(16) << 6 | low,
            0x4400 | rng.choice([0x000, 0x100, 0x200]) | rng.choice([0, 0x40]) | low,
            0x5000 | rng.integers(8) << 9 | 6 << 6 | 7 << 3 | rd,
            0x6000 | rng.integers(6) << 11 | rng.integers(32) << 6 | 7 << 3 | rd,
            0x9000 | rng.integers(2) << 11 | rd << 8 | rng.integers(32),
            0xa800 | rd << 8 | rng.integers(256),
            0xb000 | rng.integers(2) << 7 | rng.integers(8),
            0xb400 | rng.integers(2) << 11 | max(int(rng.integers(64)), 1),
            0xc000 | rng.integers(2) << 11 | 7 << 8 | max(int(rng.integers(64)), 1),
            0xa000 | rd << 8 | rng.integers(256)][rng.integers(13)]))
        if rng.random() < 0.1:
            over = [[0xd001 | int(rng.integers(14)) << 8], [0xe001], [0xf000, 0xf802]][rng.integers(3)]
            halves += [*over, 0x3001 | rd << 8, 0x3101]     # b<condition>, b or bl over two
    return halves


def literal(register, value):
    """Load a number: ldr register, the word two further on; b over it."""
    return [0xe59f0000 | register << 12, 0xea000000, value]


def common(rng, name):
    """An instruction of those that may be one of a pair: registers r0 to r9, accesses around r12."""
    rd, rn, rm, rs = (int(register) for register in rng.permutation(10)[:4])
    word, number = COMMON[name], int(rng.integers(1, 256))
    if name == "MLA":
        return word | rd << 16 | rn << 12 | rs << 8 | rm
    if name[:3] not in ("CMP", "TST"):
        word |= rd << 12
    if word >> 16 & 15 == 12:                               # an access
        return word | number & 14
    if name[:3] != "MOV":
        word |= rn << 16
    if name.endswith(("LSL", "LSR", "ASR")):
        return word | 1 + number % 31 << 7 | rm
    return word | (number if name.endswith("I") else rm)


COMMON = {"LDR_I": 0xe59c0000, "STR_I": 0xe58c0000, "ADD_R": 0xe0800000, "ADD_I": 0xe2800000, "SUB_R": 0xe0400000,
          "MOV_R": 0xe1a00000, "MOV_I": 0xe3a00000, "MOV_LSL": 0xe1a00000, "MOV_LSR": 0xe1a00020,
          "MOV_ASR": 0xe1a00040, "ADD_LSL": 0xe0800000, "ORR_LSL": 0xe1800000, "ORR_LSR": 0xe1800020,
          "LDRH_I": 0xe1dc00b0, "LDRSH_I": 0xe1dc00f0, "STRH_I": 0xe1cc00b0, "MLA": 0xe0200090, "CMP_R": 0xe1500000,
          "CMP_I": 0xe3500000, "TST_R": 0xe1100000, "SUBS_I": 0xe2500000, "SBCS_R": 0xe0d00000, "ORRS_R": 0xe1900000,
          "ADDS_R": 0xe0900000, "ADC_R": 0xe0a00000}
MIX = [0xe10fa000, 0xe02ab0eb]          # mrs r10, cpsr; eor r11, r10, r11, ror #1
FILL = 8                                # times that r0 to r10 are stored on either side of r12


def pairs(rng):
    """All pairs of common instructions, each with what it makes of the flags mixed into r11; jumps go over one."""
    names = list(COMMON)
    words = [word for first in names for second in names
             for word in (common(rng, first), common(rng, second), *MIX)]
    jumps = [word for first in names for condition in range(14)
             for word in (common(rng, first), 0x0a000000 | condition << 28, 0xe28bb001, *MIX)]      # add r11, r11, #1
    return words + jumps


def made(seed, base, body=None):
    """A program: registers from a table, random memory, ARM, Thumb; then registers and status to memory."""
    rng = np.random.default_rng(seed)
    words = [*literal(12, TABLE), 0xe89c07ff,                               # ldm r12, {r0-r10}
             0xe59cb02c, 0xe59cd034, 0xe59ce038, 0xe59cc030,                # r11, sp, lr, at last r12
             *[0xe8ac07ff] * FILL, *literal(12, base), *[0xe92c07ff] * FILL, *literal(12, base),    # stm r12!, {r0-r10}
             *(body or arm(rng, 60)),
             *literal(10, TABLE), 0xe59a703c, 0xe59a6040, 0xe59ad034,       # r7, r6, sp for Thumb
             0xe28fe001, 0xe12fff1e]                                        # add lr, pc, #1; bx lr
    halves = thumb(rng, 60)
    halves += [NOP] * (len(halves) % 2) + [0x4778, NOP]                     # bx pc, to a word
    words += [low | high << 16 for low, high in zip(halves[::2], halves[1::2])]
    words += [0xe10f8000, *literal(9, base - AROUND), 0xe8897dff, WFI]      # mrs r8, cpsr; stm r9, all others
    table = [*rng.integers(0, 2 ** 32, 11), SMALL, base, base + 0x4000, 0x1234, base - 0x2000, 8]
    code = struct.pack(f"<{len(words)}I", *words).ljust(TABLE, b"\0") + struct.pack("<17I", *map(int, table))
    code += bytes(-len(code) % 32)
    return struct.pack("<8I", 2, 0, 32, len(code), 4, 0, 0, 0) + code


def outcome(kind, program, memory):
    """What a program leaves: why it rests, registers, memory."""
    bench = Bench(kind)
    bench.chip.bus.write(BASE - AROUND, memory)
    bench.start(program)
    core = bench.chip.cores[1]
    near = bytes(core.dtcm.bytes)
    return core.rest, bench.reports, core.registers(), near, bench.chip.bus.read(BASE - AROUND, len(memory))


def ends_alike(program, memory):
    """Whether Unicorn and the CPU in C leave the same."""
    theirs, ours = (outcome(kind, program, memory) for kind in (Core, NativeCore))
    assert theirs[:2] == (Rest.WFI, []), "the program is no good"
    assert ours[:3] == theirs[:3]
    return ours[3:] == theirs[3:]


@pytest.mark.parametrize("seed", range(int(os.environ.get("PROGRAMS", "60"))))
def test_random_programs_end_alike(seed):
    memory = np.random.default_rng(seed).bytes(2 * AROUND)
    assert ends_alike(made(seed, (BASE, NEAR)[seed % 2]), memory)


@pytest.mark.parametrize("base", [BASE, NEAR], ids=["SDRAM", "DTCM"])
def test_what_is_done_as_one_ends_as_one_after_the_other(base):
    assert ends_alike(made(7, base, pairs(np.random.default_rng(7))), bytes(2 * AROUND))


def test_words_are_swapped_and_come_back(make_core):
    """Of an aligned address: what Unicorn does with others is an exception."""
    bench = Bench(make_core)
    bench.chip.bus.write(BASE, struct.pack("<I", 0x12345678))
    bench.start(image([*literal(0, BASE), *literal(1, 0x9abcdef0), 0xe1002091, 0xe5802004, WFI]))     # swp r2, r1, [r0]
    assert struct.unpack("<2I", bench.chip.bus.read(BASE, 8)) == (0x9abcdef0, 0x12345678)


THUMB = [0xe28fe001, 0xe12fff1e]         # add lr, pc, #1; bx lr; from Thumb bx pc (4778) and a NOP lead back
BY_HAND = {         # instructions, with the stack at SEEN, then what r0, r1 and the status have to be
    "a sum that saturates": ([*literal(0, 0x7fffffff), 0xe3a01001, 0xe1000181], 0x80000000, 1, 1 << 27),     # smlabb
    "a sum that does not": ([*literal(0, 0x7ffffffe), 0xe3a01001, 0xe1000181], 0x7fffffff, 1, 0),
    "the second of two that are done as one, written anew":     # add r0, #1; add r1, #1, then #4; str r3, [pc, #-12]
        ([0xe3a00000, 0xe3a01000, 0xe3a04002, *literal(3, 0xe2811004), 0xe2800001, 0xe2811001, 0xe50f300c, 0xe2544001,
          0x1afffffa], 2, 5, 0),
    "Thumb's base in its list": ([*literal(0, BASE), *THUMB, 0x46c0c803, 0x46c04778], 7, 9, 0),  # ldm r0!, {r0, r1}
    "Thumb's base that is not": ([*literal(0, BASE), *THUMB, 0x46c0c802, 0x46c04778], BASE + 4, 7, 0), # ldm r0!, {r1}
}


@pytest.mark.parametrize("name", BY_HAND)
def test_instructions_by_hand(make_core, name):
    words, *wanted = BY_HAND[name]
    bench = Bench(make_core)
    bench.chip.bus.write(BASE, struct.pack("<2I", 7, 9))
    after = [0xe10f2000, *literal(3, BASE), 0xe8830007, WFI]                # mrs r2, cpsr; stm r3, {r0-r2}
    bench.start(image([*words, *after]))
    found = struct.unpack("<3I", bench.chip.bus.read(BASE, 12))
    assert [*found[:2], found[2] & 1 << 27] == wanted


def test_a_build_of_other_sources_is_not_used(monkeypatch):
    assert native_library.library.__wrapped__() is not None
    monkeypatch.setattr(native_library.zlib, "crc32", lambda sources: 1)
    assert native_library.library.__wrapped__() is None


ALONE = """
import sys
sys.modules["unicorn"] = None
sys.path[:0] = sys.argv[1:]
from bench import Bench
from programs import WFI, image
from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.native_core import NativeCore

bench = Bench(NativeCore)
bench.start(image([0xe3a00007, WFI]))
assert bench.chip.cores[1].registers()["r0"] == 7
try:
    Bench(Core).start(image([WFI]))
except SetupError as error:
    assert "pip install" in str(error)
    print("alone")
"""


def test_cores_in_c_need_no_unicorn():
    here = Path(__file__).parent
    folders = map(str, (here.parent / "helpers", here.parents[1]))
    done = subprocess.run([sys.executable, "-c", ALONE, *folders], capture_output=True, text=True, check=True)
    assert done.stdout == "alone\n"
