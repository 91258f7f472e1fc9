"""Cycles of instructions and blocks, by the manual's table; and of programs, against a count of every instruction."""

import random
import struct

import pytest
from bench import Bench
from programs import MAIN, WFI, program

from spikingconvnet.emulator import cycles
from spikingconvnet.emulator.timed_core import TimedCore
from spikingconvnet.emulator.timed_native import TimedNativeCore


def cost(*words, thumb=False):
    return cycles.block(struct.pack(f"<{len(words)}{'H' if thumb else 'I'}", *words), thumb)


# DDI 0165B, chapter 8, and DDI 0222B, tables 8.2 and 8.3: an instruction alone
ALONE = [
    (0xe0810002, "add r0, r1, r2", 1), (0xe0810112, "add r0, r1, r2, lsl r1", 2),
    (0xe0810102, "add r0, r1, r2, lsl #2", 1),
    (0xe1a0f00e, "mov pc, lr", 3), (0xe08ff100, "add pc, pc, r0, lsl #2", 3), (0xe08ff110, "add pc, pc, r0, lsl r1", 4),
    (0xe25ef004, "subs pc, lr, #4", 3), (0xea000000, "b", 3), (0xeb000000, "bl", 3), (0xfa000000, "blx", 3),
    (0xe12fff1e, "bx lr", 3), (0xe12fff33, "blx r3", 3), (0xe16f0f11, "clz r0, r1", 1), (0xe10f0000, "mrs r0, cpsr", 2),
    (0xe121f000, "msr cpsr_c, r0", 3), (0xe128f000, "msr cpsr_f, r0", 1), (0xe321f0d3, "msr cpsr_c, #0xd3", 3),
    (0xe0000291, "mul r0, r1, r2", 2), (0xe0100291, "muls r0, r1, r2", 4), (0xe0203291, "mla r0, r1, r2, r3", 2),
    (0xe0c10392, "smull r0, r1, r2, r3", 3), (0xe0d10392, "smulls r0, r1, r2, r3", 5), (0xe0e10392, "smlal", 3),
    (0xe1600281, "smulbb r0, r1, r2", 1), (0xe1003281, "smlabb r0, r1, r2, r3", 1), (0xe1410382, "smlalbb", 2),
    (0xe1020051, "qadd r0, r1, r2", 1), (0xe1020091, "swp r0, r1, [r2]", 2),
    (0xe5910004, "ldr r0, [r1, #4]", 1), (0xe7910002, "ldr r0, [r1, r2]", 1),
    (0xe7910102, "ldr r0, [r1, r2, lsl #2]", 2),
    (0xe591f000, "ldr pc, [r1]", 5), (0xe791f102, "ldr pc, [r1, r2, lsl #2]", 6), (0xe5810004, "str r0, [r1, #4]", 1),
    (0xe7810102, "str r0, [r1, r2, lsl #2]", 2), (0xe1c100d0, "ldrd r0, [r1]", 2), (0xe1c100f0, "strd r0, [r1]", 2),
    (0xe8910001, "ldmia r1, {r0}", 2), (0xe891000d, "ldmia r1, {r0, r2, r3}", 3), (0xe8bd8010, "pop {r4, pc}", 6),
    (0xe8810001, "stmia r1, {r0}", 2), (0xe92d4010, "push {r4, lr}", 2), (0xe92d40f0, "push {r4-r7, lr}", 5),
    (0xee070f90, "mcr (wait for interrupt)", 1), (0xef000000, "svc", 3)]
ALONE_THUMB = [
    (0x1840, "adds r0, r0, r1", 1), (0x2001, "movs r0, #1", 1), (0x4088, "lsls r0, r1", 2), (0x4348, "muls r0, r1", 4),
    (0x4770, "bx lr", 3), (0x4798, "blx r3", 3), (0x46f7, "mov pc, lr", 3), (0x4608, "mov r0, r1", 1),
    (0x6808, "ldr r0, [r1]", 1), (0xb510, "push {r4, lr}", 2), (0xbd10, "pop {r4, pc}", 6),
    (0xc80c, "ldmia r0!, {r2, r3}", 2),
    (0xe7fe, "b", 3), (0xf000, "bl, first half", 1), (0xf800, "bl, second half", 3), (0xb082, "sub sp, #8", 1)]


@pytest.mark.parametrize("word, _, expected", ALONE, ids=[text for _, text, _ in ALONE])
def test_an_instruction_alone(word, _, expected):
    assert cost(word) == cycles.Cost(expected)


@pytest.mark.parametrize("half, _, expected", ALONE_THUMB, ids=[text for _, text, _ in ALONE_THUMB])
def test_a_thumb_instruction_alone(half, _, expected):
    assert cost(half, thumb=True) == cycles.Cost(expected)


# Registers that an instruction takes, and those that come late and by how many cycles
TAKES = [
    (0xe0810112, {1, 2}, {}), (0xe0810312, {1, 2, 3}, {}), (0xe3a00001, set(), {}), (0xe2810001, {1}, {}),
    (0xe1a00001, {1}, {}), (0xe1e00001, {1}, {}), (0xe1510002, {1, 2}, {}), (0xe12fff33, {3}, {}),
    (0xe16f0f11, {1}, {}), (0xe10f0000, set(), {}), (0xe121f003, {3}, {}), (0xe328f102, set(), {}),
    (0xe0000291, {1, 2}, {0: 1}), (0xe0100291, {1, 2}, {}), (0xe0203291, {1, 2, 3}, {0: 1}),
    (0xe0c10392, {2, 3}, {0: 1, 1: 1}), (0xe0e10392, {0, 1, 2, 3}, {0: 1, 1: 1}), (0xe0d10392, {2, 3}, {}),
    (0xe1600281, {1, 2}, {0: 1}), (0xe1003281, {1, 2, 3}, {0: 1}), (0xe1410382, {0, 1, 2, 3}, {0: 1, 1: 1}),
    (0xe12003a1, {1, 3}, {0: 1}), (0xe1203281, {1, 2, 3}, {0: 1}), (0xe1020051, {1, 2}, {0: 1}),
    (0xe1020091, {1, 2}, {0: 1}), (0xe1420091, {1, 2}, {0: 2}), (0xe5910004, {1}, {0: 1}), (0xe5d10004, {1}, {0: 2}),
    (0xe7910002, {1, 2}, {0: 1}), (0xe5810004, {0, 1}, {}), (0xe7c10002, {0, 1, 2}, {}), (0xe591f000, {1}, {}),
    (0xe1d100b0, {1}, {0: 2}), (0xe19100b2, {1, 2}, {0: 2}), (0xe19100d2, {1, 2}, {0: 2}), (0xe1c100b0, {0, 1}, {}),
    (0xe18100b2, {0, 1, 2}, {}), (0xe1c120d0, {1}, {3: 1}), (0xe18120d4, {1, 4}, {3: 1}), (0xe1c120f0, {1, 2, 3}, {}),
    (0xe891000d, {1}, {3: 1}), (0xe8910001, {1}, {0: 1}), (0xe8bd8010, {13}, {}), (0xe881000d, {0, 1, 2, 3}, {}),
    (0xee070f90, {0}, {}), (0xee170f90, set(), {0: 1}), (0xee000000, set(), {}), (0xf5d1f000, set(), {})]


@pytest.mark.parametrize("word, uses, late", TAKES, ids=[hex(word) for word, _, _ in TAKES])
def test_registers_that_an_instruction_takes_and_those_that_come_late(word, uses, late):
    for condition in (0xe, 0x1) if word >> 28 == 0xe else (0xf,):
        found = cycles.arm(word & 0x0fffffff | condition << 28)
        assert (set(found.uses) - {15}, dict(found.late)) == (uses, late)
        assert found.conditional == (condition == 0x1)


LOAD, LOAD_BYTE, LOAD_HALF, USE, OTHER = 0xe5910000, 0xe5d10000, 0xe1d100b0, 0xe0802003, 0xe0842005
MULTIPLY = 0xe0000291                   # mul r0, r1, r2


@pytest.mark.parametrize("words, expected", [
    ((LOAD, USE), 3), ((LOAD, OTHER), 2), ((LOAD, OTHER, USE), 3), ((LOAD_BYTE, USE), 4), ((LOAD_BYTE, OTHER, USE), 4),
    ((LOAD_HALF, USE), 4), ((LOAD_BYTE, MULTIPLY & ~0xf0000 | 7 << 16, USE), 4),      # a product lies between: no wait
    ((MULTIPLY, USE), 4), ((MULTIPLY, OTHER, USE), 4), ((0xe1600281, USE), 3),
    ((LOAD, 0xe5830000), 3),            # str r0, [r3]
    ((0xe891000d, 0xe0832004), 5), ((0xe891000d, 0xe0822004), 4)])          # ldm: the last register is late alone
def test_results_that_come_late_are_waited_for(words, expected):
    assert cost(*words) == cycles.Cost(expected)


@pytest.mark.parametrize("words, expected", [
    ((OTHER, 0x1a000000), cycles.Cost(2, 2)), ((OTHER, 0x08bd8010), cycles.Cost(2, 5)),
    ((0x012fff1e,), cycles.Cost(1, 2)),
    ((OTHER, 0xea000000), cycles.Cost(4)), ((0x03a00001, OTHER), cycles.Cost(2))])
def test_a_jump_that_may_fail_costs_one_cycle_and_the_rest_if_it_does_not(words, expected):
    assert cost(*words) == expected


def test_a_thumb_branch_may_fail_too():
    assert cost(0xd1fe, thumb=True) == cycles.Cost(1, 2)


# Instructions for a random program: word, cycles, registers that are late and by how much, registers read
POOL = [(0xe0866005, 1, {}, (6, 5)), (0xe0866517, 2, {}, (6, 7, 5)), (0xe59d7000, 1, {7: 1}, (13,)),
        (0xe5dd7004, 1, {7: 2}, (13,)), (0xe0070596, 2, {7: 1}, (6, 5)), (0xe0c76596, 3, {7: 1, 6: 1}, (6, 5)),
        (0xe58d7008, 1, {}, (13, 7)), (0xe10f5000, 2, {}, ()), (0xe89d0060, 2, {6: 1}, (13,)),
    (0xe2877001, 1, {}, (7,))]


def random_program(rng):
    """Loops of random instructions with jumps over some of them, and a table word -> (cycles, late, uses)."""
    words = [0xe3a0d501, 0xe3a05003, 0xe3a06003, 0xe3a07003]            # mov sp, #0x400000; r5, r6, r7 = 3
    for _ in range(3):
        words.append(0xe3a04000 | rng.randrange(2, 6))                  # mov r4, #n
        top = len(words)
        for _ in range(rng.randrange(1, 4)):
            words += [rng.choice(POOL)[0] for _ in range(rng.randrange(1, 7))]
            words += [0xe2877001, 0xe3170001, 0x1a000000, 0xe0866005]   # add r7; tst r7, #1; bne over the next
        words += [0xe2544001, 0x1a000000 | top - len(words) - 3 & 0xffffff]     # subs r4; bne top
    return [*words, WFI]


def naive(trace, words):
    """Cycles of instructions by their addresses, one by one: their own, those waited for, and jumps."""
    known = {word: (n, late, uses) for word, n, late, uses in POOL}
    now, ready, last = 0, {}, None
    for address in trace:
        if last is not None and address != last + 4:
            now, ready = now + 2, {}
        n, late, uses = known.get(words[(address - MAIN) // 4], (1, {}, ()))
        now = max([now, *(ready.get(register, 0) for register in uses)]) + n
        ready.update((register, now + cycles) for register, cycles in late.items())
        last = address
    return now


@pytest.mark.parametrize("seed", range(6))
def test_programs_take_what_their_instructions_take_one_by_one(seed):
    words, trace = random_program(random.Random(seed)), []
    counted = [Bench(kind, timed=True) for kind in (TimedCore, TimedNativeCore)]
    for bench in counted:
        bench.start(program(words))
    traced = Bench()
    cpu = traced.chip.cores[1]._cpus.take()
    opened = cpu._open
    cpu._open = lambda: (opened(), cpu.watch(None, lambda uc, address, size, data: trace.append(address)))
    traced.start(program(words))
    expected = 3 + naive([address for address in trace if address >= MAIN], words)         # the jump at 0
    assert len(trace) > 40
    assert [bench.chip.cores[1].times().now for bench in counted] == [expected, expected]


def same_in_arm(half):
    """The ARM instruction that a Thumb instruction is (ARM architecture reference manual, A7.1); None: it has none."""
    always, kind, rd, rm, r8 = 0xe << 28, half >> 12, half & 7, half >> 3 & 7, half >> 8 & 7
    if kind < 2 and half >> 11 & 3 != 3:                                            # lsl, lsr, asr by a number
        return always | 0x1b << 20 | rd << 12 | (half >> 6 & 31) << 7 | (half >> 11 & 3) << 5 | rm
    if kind < 2:                                                                    # add, sub
        operation = (0x09, 0x05)[half >> 9 & 1] << 20 | (half >> 10 & 1) << 25
        return always | operation | rm << 16 | rd << 12 | half >> 6 & 7
    if kind < 4:                                                                    # mov, cmp, add, sub of a number
        operation, takes, gives = ((0x3b, 0, 1), (0x35, 1, 0), (0x29, 1, 1), (0x25, 1, 1))[half >> 11 & 3]
        return always | operation << 20 | takes * r8 << 16 | gives * r8 << 12 | half & 255
    if kind == 4 and half >> 10 & 3 == 0:
        return always | in_arm(half >> 6 & 15, rd, rm)
    if kind == 4 and half >> 10 & 3 == 1:                                           # add, cmp, mov, bx, blx
        high, other, operation = rd | half >> 4 & 8, half >> 3 & 15, half >> 8 & 3
        return always | (0x08 << 20 | high << 16 | high << 12 | other, 0x15 << 20 | high << 16 | other,
                         0x1a << 20 | high << 12 | other, (0x12fff10, 0x12fff30)[half >> 7 & 1] | other)[operation]
    if kind == 4:                                                                   # ldr of a constant
        return always | 0x59f << 16 | r8 << 12
    if kind == 5:                                                                   # with a register
        operation = half >> 9 & 7
        base = (0x78 << 20, 0x18 << 20 | 0xb0, 0x7c << 20, 0x19 << 20 | 0xd0, 0x79 << 20, 0x19 << 20 | 0xb0, 0x7d << 20,
                0x19 << 20 | 0xf0)[operation]
        return always | base | rm << 16 | rd << 12 | half >> 6 & 7
    if kind < 9:                                                                    # with a number
        return always | ((0x58, 0x5c, 0x1c)[kind - 6] << 20 | (kind == 8) * 0xb0 | (half >> 11 & 1) << 20 | rm << 16
                         | rd << 12)
    if kind == 9:                                                                   # on the stack
        return always | 0x58d << 16 | (half >> 11 & 1) << 20 | r8 << 12
    if kind == 10:                                                                  # add of pc or sp
        return always | 0x28 << 20 | (15, 13)[half >> 11 & 1] << 16 | r8 << 12
    if kind == 11 and half >> 9 & 3 == 2:                                           # push, pop
        more = (half >> 8 & 1) << (15 if half >> 11 & 1 else 14)
        return always | (0x8bd if half >> 11 & 1 else 0x92d) << 16 | more | half & 255
    if kind == 11 and half >> 8 & 15 == 0:
        return always | 0x28dd << 12                                                # add sp
    if kind == 12:
        return always | 0x8a << 20 | (half >> 11 & 1) << 20 | r8 << 16 | half & 255
    return (half >> 8 & 15) << 28 | 0xa << 24 if kind == 13 and half >> 9 & 7 != 7 else (
        always | 0xa << 24 if half >> 11 == 28 else None)                           # b, with a condition or without


def in_arm(operation, rd, rm):
    """One of the sixteen operations of two low registers."""
    both, one, second = rd << 16 | rd << 12 | rm, rd << 12 | rm, rd << 16 | rm
    shifted = 0x1b << 20 | rd << 12 | rm << 8 | 0x10 | rd
    return (0x01 << 20 | both, 0x03 << 20 | both, shifted, shifted | 1 << 5, shifted | 2 << 5, 0x0b << 20 | both,
            0x0d << 20 | both, shifted | 3 << 5, 0x11 << 20 | second, 0x27 << 20 | rm << 16 | rd << 12,
            0x15 << 20 | second, 0x17 << 20 | second, 0x19 << 20 | both, 0x01 << 20 | 0x90 | rd << 16 | rd << 8 | rm,
            0x1d << 20 | both, 0x1f << 20 | one)[operation]


def test_an_instruction_of_thumb_takes_what_it_takes_in_arm():
    """The program counter is never late."""
    differ = []
    for half in range(1 << 16):
        word = same_in_arm(half)
        if word is None:
            continue
        thumb, arm = cycles.thumb(half), cycles.arm(word)
        told = [(one.cycles, set(one.uses) - {15}, dict(one.late), one.jumps, one.conditional) for one in (thumb, arm)]
        if told[0] != told[1]:
            differ.append((hex(half), hex(word), *told))
    assert not differ, (len(differ), differ[:5])
