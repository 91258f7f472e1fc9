"""Where the cycles of a program went, function by function.

Programs for SpiNNaker come without symbols, so a function is known by its address: where a call among the blocks that
ran leads, or where a block begins by keeping its way back (``push {..., lr}``). Blocks belong to the last function that
begins before them.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from spikingconvnet.emulator.timed_core import Block

_PUSH, _PUSH_MASK = 0xe92d4000, 0xffffc000          # stmdb sp!, {..., lr}, without pc
_THUMB_PUSH, _THUMB_PUSH_MASK = 0xb500, 0xff00      # push {..., lr}


@dataclass
class Function:
    """A function: address, how often its first block began, cycles in it, with its waits for memory and devices."""

    address: int
    calls: int = 0
    cycles: int = 0


def functions(code: bytes, blocks: Sequence[Block]) -> list[Function]:
    """Functions of a program that have run, those that took most first.

    Parameters
    ----------
    code : bytes
        From address 0.
    blocks : sequence of Block
        By address.
    """
    starts = sorted({0, *(start for block in blocks for start in _starts(code, block))})
    found = {start: Function(start) for start in starts}
    for block in blocks:
        function = found[starts[bisect_right(starts, block.address) - 1]]
        function.cycles += block.spent
        function.calls += block.begun * (block.address == function.address)
    return sorted((one for one in found.values() if one.cycles), key=lambda one: (-one.cycles, one.address))


def _starts(code: bytes, block: Block) -> list[int]:
    """Where functions begin, as far as a block tells."""
    end = block.address + block.size
    first = int.from_bytes(code[block.address:block.address + 4], "little")
    begins = first & 0xffff & _THUMB_PUSH_MASK == _THUMB_PUSH if block.thumb else first & _PUSH_MASK == _PUSH
    called = _called_in_thumb(code, end) if block.thumb else _called(code, end)
    return [block.address] * begins + ([] if called is None else [called])


def _called(code: bytes, end: int) -> int | None:
    """Where the call leads that ends a block, if one does: BL, or BLX to a known address."""
    word = int.from_bytes(code[end - 4:end], "little")
    if word >> 24 & 15 != 11 and word >> 25 != 0x7d:
        return None
    half = (word >> 24 & 1) << 1 if word >> 25 == 0x7d else 0
    return end + 4 + half + (((word & 0xffffff) ^ 0x800000) - 0x800000) * 4


def _called_in_thumb(code: bytes, end: int) -> int | None:
    first, second = (int.from_bytes(code[end - size:end - size + 2], "little") for size in (4, 2))
    if first >> 11 != 30 or second >> 11 not in (29, 31):
        return None
    there = end + (((first & 0x7ff) ^ 0x400) - 0x400 << 12) + ((second & 0x7ff) << 1)
    return there if second >> 11 == 31 else there & ~3
