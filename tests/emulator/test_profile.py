"""Where functions begin: calls as the architecture encodes them, and blocks that keep their way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikingconvnet.emulator.profile import Function, functions
from spikingconvnet.emulator.timed_core import Block

SIZE = 0x8000


def block(address, size, begun=1, spent=10, thumb=False):
    return Block(address=address, size=size, thumb=thumb, begun=begun, spent=spent)


def program(words):
    """Code with words, or half words, at addresses."""
    code = bytearray(SIZE)
    for address, (value, length) in words.items():
        code[address:address + length] = value.to_bytes(length, "little")
    return bytes(code)


def found(code, *blocks):
    every = functions(code, sorted(blocks, key=lambda one: one.address))
    return {one.address: (one.calls, one.cycles) for one in every}


PLACES, HALVES = (st.integers(1, SIZE // step - 9).map(lambda n, step=step: step * n) for step in (4, 2))


@given(PLACES, PLACES)
def test_a_call_in_arm_leads_where_its_offset_says(call, target):
    """ARM architecture reference manual, A4.1.5: from 8 bytes behind the call, in words."""
    word = 0xeb000000 | (target - (call + 8)) // 4 & 0xffffff
    blocks = [block(call, 4, 3, 5), block(target, 8, 7, 11)] if call != target else [block(call, 4, 3, 5)]
    behind = {target: (7, 16)} if call > target else {target: (3, 5)}
    expected = {0: (0, 5), target: (7, 11)} if call < target else behind
    assert found(program({call: (word, 4)}), *blocks) == expected


@given(PLACES, HALVES)
def test_a_call_from_arm_to_thumb_leads_to_half_words(call, target):
    """A4.1.8: BLX, whose bit 24 is half a word."""
    offset = target - (call + 8)
    word = 0xfa000000 | (offset >> 1 & 1) << 24 | offset >> 2 & 0xffffff
    if not call <= target < call + 4:
        assert (target in found(program({call: (word, 4)}), block(call, 4), block(target, 2, thumb=True)))


@given(HALVES, HALVES, st.booleans())
def test_a_call_in_thumb_is_two_half_words(call, target, to_arm):
    """A7.1.17: 11 bits each, from 4 bytes behind the first; BLX leads to a whole word."""
    target = target & ~3 if to_arm else target
    offset = target - ((call + 4) & ~3 if to_arm else call + 4)
    halves = 0xf000 | offset >> 12 & 0x7ff, (0xe800 if to_arm else 0xf800) | offset >> 1 & 0x7ff
    code = program({call: (halves[0], 2), call + 2: (halves[1], 2)})
    if not call < target < call + 4 and target:
        assert target in found(code, block(call, 4, thumb=True), block(target, 2, 2, thumb=not to_arm))


@pytest.mark.parametrize("first, thumb, begins", [
    (0xe92d4010, False, True), (0xe92d4000, False, True), (0xe92d7fff, False, True), (0xe92d8010, False, False),
    (0xe92d0010, False, False), (0xe8bd4010, False, False), (0xb510, True, True), (0xb5ff, True, True),
    (0xb410, True, False), (0xbd10, True, False), (0xe92d4010, True, False)])
def test_a_block_that_keeps_its_way_back_begins_a_function(first, thumb, begins):
    code = program({0x100: (first, 4)})
    assert found(code, block(0, 8), block(0x100, 8, 4, 6, thumb)) == (
        {0: (1, 10), 0x100: (4, 6)} if begins else {0: (1, 16)})


def test_what_took_most_comes_first_and_what_took_nothing_not_at_all():
    words = dict.fromkeys((0x100, 0x200, 0x300, 0x400), (0xe92d4010, 4))
    blocks = [block(0x100, 8, 1, 5), block(0x120, 8, 9, 2), block(0x200, 8, 1, 7), block(0x300, 8, 1, 9),
              block(0x400, 8, 0, 0)]
    assert functions(program(words), blocks) == [Function(0x300, 1, 9), Function(0x100, 1, 7), Function(0x200, 1, 7)]
