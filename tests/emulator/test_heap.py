"""SARK's heaps, message pool and router entries against naive twins that keep a list of segments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikingconvnet.emulator.errors import CorruptError
from spikingconvnet.emulator.heap import Heap, Pool, RouterEntries
from spikingconvnet.emulator.memory import Bus, Memory
from spikingconvnet.emulator.memory_map import SDRAM_BASE, SV, SV_BASE, SYSRAM_BASE

BASE, SIZE = SDRAM_BASE + 0x1000, 2048


class NaiveSegments:
    """First fit in address order; a rest of at most `crumb` stays with the segment; free neighbours merge."""

    def __init__(self, start, end, crumb):
        self.segments, self.crumb = [[start, end, None]], crumb

    def alloc(self, size, owner):
        for i, (start, end, taken) in enumerate(self.segments):
            if taken is None and start + size <= end:
                split = start + size + self.crumb < end
                stop = start + size if split else end
                self.segments[i:i + 1] = [[start, stop, owner]] + ([[stop, end, None]] if split else [])
                return start
        return None

    def free(self, start):
        next(s for s in self.segments if s[0] == start)[2] = None
        merged = []
        for segment in self.segments:
            if merged and merged[-1][2] is None and segment[2] is None:
                merged[-1][1] = segment[1]
            else:
                merged.append(segment)
        self.segments = merged

    def largest(self):
        return max((end - start for start, end, taken in self.segments if taken is None), default=0)


def make_heap():
    bus = Bus()
    bus.add_memory(SDRAM_BASE, Memory("SDRAM", 1 << 20))
    bus.add_memory(SYSRAM_BASE, Memory("SysRAM", 0x8000))
    bus.store(SV_BASE + SV.ALLOC_TAG, SDRAM_BASE + 0x10000)
    return bus, Heap.create(bus, BASE, BASE + SIZE)


OPERATIONS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 400), st.integers(16, 18)), max_size=60)


@given(OPERATIONS)
def test_a_heap_gives_the_addresses_of_its_naive_twin(operations):
    _, heap = make_heap()
    twin = NaiveSegments(BASE + 16, BASE + SIZE - 8, 8)
    for kind, size, owner in operations:
        used = [(start, taken) for start, _, taken in twin.segments if taken is not None]
        if kind < 2:
            start = twin.alloc((size + 3 & ~3) + 8, owner)
            assert heap.alloc(size, owner) == (0 if start is None else start + 8)
        elif kind == 2 and used:
            start = used[size % len(used)][0]
            twin.free(start)
            heap.free(start + 8)
        elif kind == 3:
            mine = [start for start, taken in used if taken == owner]
            for start in mine:
                twin.free(start)
            assert heap.free_id(owner) == len(mine)
        assert heap.largest() == max(twin.largest() - 8, 0)
        assert [block for block, end in heap.blocks() if end] == [start for start, _, _ in twin.segments]


def test_free_bytes_are_what_sark_counts():
    _, heap = make_heap()
    whole = heap.free_bytes
    a, b = heap.alloc(10, 16), heap.alloc(100, 16)
    assert whole == SIZE - 16 - 16 and heap.free_bytes == whole - 20 - 108
    heap.free(a)
    heap.free(b)
    assert heap.free_bytes == whole


def test_a_tag_is_given_once_and_again_only_for_the_same_size():
    _, heap = make_heap()
    first = heap.alloc(64, 17, tag=3)
    assert heap.alloc(64, 17, tag=3) == 0
    assert heap.alloc(64, 17, tag=3, retry=True) == first
    assert heap.alloc(68, 17, tag=3, retry=True) == 0
    assert heap.tagged(17, 3) == first
    heap.free(first)
    assert heap.tagged(17, 3) == 0


@pytest.mark.parametrize("pointer", [0, 8, BASE, BASE + 20, BASE + SIZE, 0xffffffff])
def test_a_pointer_that_is_no_block_is_refused(pointer):
    _, heap = make_heap()
    with pytest.raises(CorruptError, match="no block in use"):
        heap.free(pointer)


@pytest.mark.parametrize("value", [BASE, BASE + 16, BASE + 19, BASE + 23, 0x60000000, 0xfffffff0])
def test_a_chain_that_does_not_rise_by_a_header_is_noticed(value):
    bus, heap = make_heap()
    heap.alloc(40, 16)
    bus.store(BASE + 16, value)
    with pytest.raises(CorruptError):
        list(heap.blocks())


def test_a_pool_hands_out_each_block_once_and_counts():
    bus, _ = make_heap()
    pool = Pool(bus, SV_BASE + SV.SHM_FREE)
    pool.create(BASE, 3, 32)
    taken = [pool.get() for _ in range(4)]
    assert taken == [BASE, BASE + 32, BASE + 64, 0]
    pool.put(taken[1])
    assert pool.get() == taken[1]
    assert (bus.load(SV_BASE + SV.SHM_COUNT, 2), bus.load(SV_BASE + SV.SHM_MAX, 2)) == (3, 3)


@given(OPERATIONS)
def test_router_entries_are_those_of_their_naive_twin(operations):
    bus, _ = make_heap()
    bus.store(SV_BASE + SV.RTR_COPY, SDRAM_BASE + 0x20000)
    cleared = []
    entries = RouterEntries(bus, lambda first, count: cleared.append((first, count)))
    entries.create()
    twin = NaiveSegments(1, 1024, 0)
    for kind, size, owner in operations:
        used = [(start, taken) for start, _, taken in twin.segments if taken is not None]
        if kind < 2:
            assert entries.alloc(size, owner) == (twin.alloc(size, owner) or 0)
        elif kind == 2 and used:
            start = used[size % len(used)][0]
            end = next(s[1] for s in twin.segments if s[0] == start)
            twin.free(start)
            entries.free(start, True)
            assert cleared[-1] == (start, end - start)
        elif kind == 3:
            mine = [start for start, taken in used if taken == owner]
            for start in mine:
                twin.free(start)
            assert entries.free_id(owner, False) == len(mine)
        assert entries.largest() == twin.largest()
