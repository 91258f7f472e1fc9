"""Cycles of a block of instructions on the ARM968E-S: a decoder for ARMv5TE and Thumb as far as timing needs it.

A block is what runs from its first instruction to its last without a way out in between. Its cycles are those of its
instructions, one after another, and of the waits for results that come late (a load's a cycle later, a byte's or half
word's two, a product's one). An instruction that may end the block by a jump costs one cycle where its condition fails;
what a jump costs more is `Cost.jump`.

Sources: ARM9E-S Technical Reference Manual, DDI 0165B, chapter 8; where that was not at hand, the table of the
ARM9EJ-S, the same pipeline (DDI 0222B, table 8.2). Left out: conditions that fail inside of a block (all are taken to
hold), waits for results across blocks, loads of constants from ITCM (one port more is assumed), unaligned words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

JUMP, EXCEPTION, LOAD_PC = 3, 3, 5                  # cycles: a jump, entry of an exception, a load that jumps
WORD_LATE, PART_LATE, PRODUCT_LATE = 1, 2, 1        # cycles after which a result can be used
ALWAYS, PC, LR, SP = 14, 15, 14, 13
_ARITHMETIC_COMPARES = (8, 9, 10, 11)               # TST, TEQ, CMP, CMN: no destination
_MOVES = (13, 15)                                   # MOV, MVN: no first operand

Registers: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Timing:
    """What an instruction takes.

    Attributes
    ----------
    cycles : int
        Until the next one can follow.
    uses : tuple of int
        Registers that it reads.
    late : tuple of (register, cycles)
        Registers that can be used so many cycles after the next instruction could.
    jumps : bool
        Whether it writes the program counter.
    conditional : bool
        Whether it may be skipped.
    """

    cycles: int = 1
    uses: Registers = ()
    late: tuple[tuple[int, int], ...] = ()
    jumps: bool = False
    conditional: bool = False


@dataclass(frozen=True)
class Cost:
    """Cycles of a block: `cycles` if it is left at its end, and `jump` more if it is left by its last jump."""

    cycles: int
    jump: int = field(default=0)


def _listed(bits: int) -> Registers:
    return tuple(number for number in range(16) if bits >> number & 1)


def _extra(word: int) -> Timing:
    """Multiplications, swaps, half words and double words: bits 7 and 4 are set."""
    rn, rd, rs, rm = word >> 16 & 15, word >> 12 & 15, word >> 8 & 15, word & 15
    kind, load = word >> 5 & 3, word >> 20 & 1
    if kind == 0:
        if word >> 24 & 15:                         # SWP, SWPB
            return Timing(2, (rn, rm), ((rd, PART_LATE if word >> 22 & 1 else WORD_LATE),))
        flags, long, accumulates = word >> 20 & 1, word >> 23 & 1, word >> 21 & 1
        uses = (rm, rs, *((rd, rn) if long and accumulates else (rd,) if accumulates else ()))
        late = ((rn, PRODUCT_LATE), (rd, PRODUCT_LATE)) if long else ((rn, PRODUCT_LATE),)
        return Timing(2 + long + 2 * flags, uses, () if flags else late)
    index = () if word >> 22 & 1 else (rm,)
    if load:
        return Timing(1, (rn, *index), ((rd, PART_LATE),))
    if kind == 1:                                   # STRH
        return Timing(1, (rn, *index, rd))
    pair = rd, rd + 1 & 15
    return Timing(2, (rn, *index), ((pair[1], WORD_LATE),)) if kind == 2 else Timing(2, (rn, *index, *pair))


def _miscellaneous(word: int) -> Timing | None:
    """What shares its code with comparisons that set no flags; None: nothing of the kind."""
    rn, rd, rs, rm = word >> 16 & 15, word >> 12 & 15, word >> 8 & 15, word & 15
    kind, operation = word >> 4 & 15, word >> 21 & 3
    if kind == 0:
        if operation & 1:                           # MSR: flags alone are quick
            return Timing(1 if word >> 16 & 15 == 8 else 3, (rm,))
        return Timing(2)                            # MRS
    if kind in (1, 3) and operation == 1:
        return Timing(JUMP, (rm,), jumps=True)      # BX, BLX
    if kind == 1:
        return Timing(1, (rm,))                     # CLZ
    if kind == 5:
        return Timing(1, (rm, rn), ((rd, PRODUCT_LATE),))           # QADD and the like
    if kind & 9 == 8:
        if operation == 2:                          # SMLALxy
            return Timing(2, (rm, rs, rd, rn), ((rn, PRODUCT_LATE), (rd, PRODUCT_LATE)))
        accumulates = operation == 0 or (operation == 1 and not word >> 5 & 1)
        return Timing(1, (rm, rs, rd) if accumulates else (rm, rs), ((rn, PRODUCT_LATE),))
    return None


def _data(word: int) -> Timing:
    rn, rd, rs, rm = word >> 16 & 15, word >> 12 & 15, word >> 8 & 15, word & 15
    operation, immediate = word >> 21 & 15, word >> 25 & 1
    if not word >> 20 & 1 and operation in _ARITHMETIC_COMPARES:
        if immediate:
            return Timing(1 if word >> 16 & 15 == 8 else 3)         # MSR
        found = _miscellaneous(word)
        if found is not None:
            return found
    shifted = not immediate and word >> 4 & 1
    uses = (*(() if operation in _MOVES else (rn,)), *(() if immediate else (rm,)), *((rs,) if shifted else ()))
    if rd == PC and operation not in _ARITHMETIC_COMPARES:
        return Timing(JUMP + shifted, uses, jumps=True)
    return Timing(1 + shifted, uses)


def _single(word: int) -> Timing:
    """LDR, STR and their bytes."""
    rn, rd, rm = word >> 16 & 15, word >> 12 & 15, word & 15
    register = word >> 25 & 1
    scaled = 1 if register and word >> 4 & 0xff else 0
    index = (rm,) if register else ()
    if not word >> 20 & 1:
        return Timing(1 + scaled, (rn, *index, rd))
    if rd == PC:
        return Timing(LOAD_PC + scaled, (rn, *index), jumps=True)
    return Timing(1 + scaled, (rn, *index), ((rd, PART_LATE if word >> 22 & 1 else WORD_LATE),))


def _several(load: int, base: int, registers: Registers) -> Timing:
    """LDM, STM and what Thumb has of them."""
    if not load:
        return Timing(max(len(registers), 2), (base, *registers))
    if PC in registers:
        return Timing(len(registers) + 4, (base,), jumps=True)
    return Timing(max(len(registers), 2), (base,), tuple((last, WORD_LATE) for last in registers[-1:]))


def _coprocessor(word: int) -> Timing:
    if word >> 24 & 1:
        return Timing(EXCEPTION, jumps=True)        # SWI
    rd = word >> 12 & 15
    if not word >> 4 & 1:
        return Timing(1)                            # CDP
    return Timing(1, (), ((rd, WORD_LATE),)) if word >> 20 & 1 else Timing(1, (rd,))       # MRC, MCR


def arm(word: int) -> Timing:
    """Timing of an ARM instruction."""
    condition, kind = word >> 28, word >> 25 & 7
    if condition == 15:
        return Timing(JUMP, jumps=True) if kind == 5 else Timing(1)     # BLX; PLD
    if kind == 0 and word & 0x90 == 0x90:
        found = _extra(word)
    elif kind < 2:
        found = _data(word)
    elif kind < 4:
        found = _single(word)
    elif kind == 4:
        found = _several(word >> 20 & 1, word >> 16 & 15, _listed(word & 0xffff))
    elif kind == 5:
        found = Timing(JUMP, jumps=True)
    else:
        found = _coprocessor(word) if kind == 7 else Timing(1)
    return found if condition == ALWAYS else Timing(found.cycles, found.uses, found.late, found.jumps, True)


def _thumb_alu(half: int) -> Timing:
    rd, rm, operation = half & 7, half >> 3 & 7, half >> 6 & 15
    if operation == 13:
        return Timing(4, (rd, rm))                  # MUL, which sets flags here
    takes = (rm,) if operation in (9, 15) else (rd, rm)         # NEG, MVN
    return Timing(2 if operation in (2, 3, 4, 7) else 1, takes)


def _thumb_high(half: int) -> Timing:
    rd, rm, operation = half & 7 | half >> 4 & 8, half >> 3 & 15, half >> 8 & 3
    if operation == 3 or (rd == PC and operation != 1):
        return Timing(JUMP, (rm,), jumps=True)
    return Timing(1, (rm,) if operation == 2 else (rd, rm))


def _thumb_memory(half: int) -> Timing:
    """Loads and stores of one register."""
    rd, rn, rm, kind = half & 7, half >> 3 & 7, half >> 6 & 7, half >> 12
    if kind == 4:                                   # from behind the program
        return Timing(1, (), ((half >> 8 & 7, WORD_LATE),))
    if kind == 9:                                   # on the stack
        rd = half >> 8 & 7
        return Timing(1, (SP,), ((rd, WORD_LATE),)) if half >> 11 & 1 else Timing(1, (SP, rd))
    if kind == 5:
        operation = half >> 9 & 7
        late = WORD_LATE if operation == 4 else PART_LATE
        return Timing(1, (rn, rm), ((rd, late),)) if operation > 2 else Timing(1, (rn, rm, rd))
    late = WORD_LATE if kind == 6 else PART_LATE
    return Timing(1, (rn,), ((rd, late),)) if half >> 11 & 1 else Timing(1, (rn, rd))


def _thumb_stack(half: int) -> Timing:
    """What is below 1011: the stack pointer, PUSH, POP."""
    if half >> 8 & 6 != 4:
        return Timing(1, (SP,))
    load, more = half >> 11 & 1, half >> 8 & 1
    registers = _listed(half & 0xff) + ((PC if load else LR,) if more else ())
    return _several(load, SP, registers)


def thumb(half: int) -> Timing:
    """Timing of a Thumb instruction; of a long jump's two halves one by one."""
    kind = half >> 12
    if kind < 2:
        return Timing(1, (half >> 3 & 7, *((half >> 6 & 7,) if half >> 10 & 7 == 6 and kind else ())))
    if kind < 4:
        return Timing(1, (half >> 8 & 7,) if half >> 11 & 3 else ())            # MOV takes none
    if kind == 4 and half >> 10 & 3 == 0:
        return _thumb_alu(half)
    if kind == 4 and half >> 10 & 3 == 1:
        return _thumb_high(half)
    if kind < 10:
        return _thumb_memory(half)
    if kind == 10:                                  # an address behind the program, or on the stack
        return Timing(1, (SP,) if half >> 11 & 1 else ())
    if kind == 11:
        return _thumb_stack(half)
    if kind == 12:
        return _several(half >> 11 & 1, half >> 8 & 7, _listed(half & 0xff))
    if kind == 13:
        return Timing(JUMP, jumps=True, conditional=half >> 8 & 15 < ALWAYS)
    if kind == 15 and not half >> 11 & 1:
        return Timing(1)                            # the first half of a long jump
    return Timing(JUMP, jumps=True)


def _instructions(code: bytes, in_thumb: bool) -> Iterator[Timing]:
    size, decode = (2, thumb) if in_thumb else (4, arm)
    for place in range(0, len(code), size):
        yield decode(int.from_bytes(code[place:place + size], "little"))


def total(instructions: Sequence[Timing]) -> int:
    """Cycles of instructions that all run, one after another, with their waits for each other."""
    now, ready = 0, dict.fromkeys(range(16), 0)
    for one in instructions:
        now = max([now, *(ready[register] for register in one.uses)]) + one.cycles
        ready.update((register, now + cycles) for register, cycles in one.late)
    return now


@lru_cache(maxsize=1 << 16)
def block(code: bytes, in_thumb: bool) -> Cost:
    """Cost of a block.

    Parameters
    ----------
    code : bytes
        Of its instructions.
    in_thumb : bool
        Whether they are Thumb's.

    Returns
    -------
    Cost

    >>> block(bytes.fromhex("010050e2 fdffff1a"), False)                # subs r0, r0, #1; bne
    Cost(cycles=2, jump=2)
    """
    every = list(_instructions(code, in_thumb))
    whole = total(every)
    if not every or not (every[-1].jumps and every[-1].conditional):
        return Cost(whole)
    skipped = total([*every[:-1], Timing(1)])
    return Cost(skipped, whole - skipped)
