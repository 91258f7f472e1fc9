"""The APLX loader: copies, fills, starts, and what is wrong with a table that it refuses."""

import struct

import pytest

from spikingconvnet.emulator import aplx
from spikingconvnet.emulator.errors import ImageError
from spikingconvnet.emulator.memory import Bus, Memory

SDRAM, ITCM, DTCM = 0x60000000, 0, 0x400000


@pytest.fixture
def bus():
    made = Bus()
    for base, size in ((ITCM, 0x8000), (DTCM, 0x10000), (SDRAM, 1 << 20)):
        made.add_memory(base, Memory("", size))
    return made


def table(bus, *entries, at=SDRAM):
    bus.write(at, b"".join(struct.pack("<4I", *entry) for entry in entries))
    return at


def test_relative_copies_start_from_their_own_entry_and_absolute_ones_do_not(bus):
    data = bytes(range(96))
    bus.write(SDRAM + 0x1000, data)
    at = table(bus, (2, ITCM, 0x1000, 64), (1, DTCM, SDRAM + 0x1000, 32), (2, DTCM + 64, 0x1000 - 32, 32),
               (4, 0x10, 0, 0))
    assert aplx.load(bus, at) == 0x10
    assert bus.read(ITCM, 96) == data[:64] + bytes(32)
    assert bus.read(DTCM, 32) == bus.read(DTCM + 64, 32) == data[:32]


@pytest.mark.parametrize("length, moved", [(0, 32), (1, 32), (32, 32), (33, 64), (63, 64)])
def test_lengths_are_whole_blocks_of_32(bus, length, moved):
    bus.write(DTCM, b"\xff" * 128)
    aplx.load(bus, table(bus, (3, DTCM, length, 0x04030201), (4, 0, 0, 0)))
    assert bus.read(DTCM, 128) == b"\1\2\3\4" * (moved // 4) + b"\xff" * (128 - moved)


@pytest.mark.parametrize("entries, text", [
    ([(5, 0, 0, 0)], "operation 0x5 in entry 0"),
    ([(3, DTCM, 32, 0), (0xff, 0, 0, 0)], "operation 0xff in entry 1"),
    ([(2, 0x7ff0, 64, 32), (4, 0, 0, 0)], "no memory holds 32 bytes at 0x00007ff0"),
    ([(1, 0, 0x90000000, 32), (4, 0, 0, 0)], "no memory holds 32 bytes at 0x90000000"),
    ([(2, 0, 64, 0xffffffff), (4, 0, 0, 0)], "no memory holds"),
    ([(3, DTCM, 0x10020, 0), (4, 0, 0, 0)], "no memory holds 65568 bytes at 0x00400000"),
    ([(4, 0x90000000, 0, 0)], "no memory holds 4 bytes at 0x90000000"),
    ([(3, DTCM, 32, 0)] * 1024, "no start address in 1024 entries")])
def test_a_bad_table_is_refused_and_named(bus, entries, text):
    with pytest.raises(ImageError, match="APLX table at 0x60000000") as raised:
        aplx.load(bus, table(bus, *entries))
    assert text in str(raised.value)


def test_a_table_that_leaves_memory_is_refused(bus):
    with pytest.raises(ImageError, match="no memory holds 16 bytes"):
        aplx.load(bus, table(bus, (3, DTCM, 32, 0), at=SDRAM + (1 << 20) - 16))
