"""SARK's storage, in the machine's own memory because cores and monitor share it: heaps, pools, router entries.

Sources: sark_alloc.c and sark_base.c of spinnaker_tools 813bfef. A chain that does not rise through its own memory has
been overwritten; following it would never end, so it is a CorruptError, and so is one of more blocks than `_MOST`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from spikingconvnet.emulator.errors import CorruptError
from spikingconvnet.emulator.memory import Bus
from spikingconvnet.emulator.memory_map import SV, SV_BASE

_FREE, _FIRST, _LAST, _FREE_BYTES, _HEADER = 0, 4, 8, 12, 16      # heap_t, sark.h:652
_BLOCK = 8                                                        # block_t {next, free}, sark.h:637
_USED = 0xffff0000                                                # `free` of a block in use, sark_alloc.c:115
_MOST = 1 << 18                                                   # blocks of a heap: a second to look through

Part: TypeAlias = tuple[int, int]                                 # first address or entry, and the next one


def _joined(parts: Iterable[Part]) -> list[tuple[int, int, int]]:
    """Free parts, (first, end) each, ascending and with neighbours made one: (first, end, first of the next)."""
    joined: list[list[int]] = []
    for first, end in sorted(parts):
        if joined and joined[-1][1] == first:
            joined[-1][1] = end
        else:
            joined.append([first, end])
    return [(first, end, following) for (first, end), (following, _) in zip(joined, [*joined[1:], (0, 0)])]


class Heap:
    """A SARK heap at an address: blocks chained in address order, the free ones also among themselves."""

    def __init__(self, bus: Bus, address: int) -> None:
        self.bus, self.address = bus, address

    @classmethod
    def create(cls, bus: Bus, base: int, top: int) -> "Heap":
        """Lay out an empty heap between two addresses (`sark_heap_init`)."""
        first, last = base + _HEADER, top - _BLOCK
        for word, value in ((base + _FREE, first), (base + _FIRST, first), (base + _LAST, last),
                            (base + _FREE_BYTES, last - first - _BLOCK),
                            (first, last), (first + 4, 0), (last, 0), (last + 4, 0)):
            bus.store(word, value)
        return cls(bus, base)

    def _chain(self, head: int, link: int) -> Iterator[Part]:
        """(address, address of the next block) from `head` on, following the word at `link`, each a header behind."""
        last, block = self.bus.load(self.address + _LAST), head
        for _ in range(_MOST):
            if not block:
                return
            inside = self.address < block <= last
            ways = [self.bus.load(block + offset) for offset in (0, link)] if inside else [0, 0]
            if not inside or any(way and not block + _BLOCK <= way <= last for way in ways):
                raise CorruptError(f"heap at {self.address:#010x}: block {block:#010x} leads to {ways[0]:#010x} and "
                                   f"{ways[1]:#010x}")
            yield block, ways[0]
            block = ways[1]
        raise CorruptError(f"heap at {self.address:#010x}: more than {_MOST} blocks")

    def free_blocks(self) -> Iterator[Part]:
        """(address, address of the next block) of each free block."""
        return self._chain(self.bus.load(self.address + _FREE), 4)

    def blocks(self) -> Iterator[Part]:
        """(address, address of the next block) of each block; the last one has no next."""
        return self._chain(self.bus.load(self.address + _FIRST), 0)

    @property
    def free_bytes(self) -> int:
        """Bytes that the heap counts as free."""
        return self.bus.load(self.address + _FREE_BYTES)

    def _count(self, change: int) -> None:
        self.bus.store(self.address + _FREE_BYTES, self.free_bytes + change)

    def largest(self) -> int:
        """Size of the largest free block (`sark_heap_max`)."""
        return max((end - block - _BLOCK for block, end in self.free_blocks() if end), default=0)

    def _tag(self, entry: int) -> int:
        return self.bus.load(SV_BASE + SV.ALLOC_TAG) + 4 * entry

    def tagged(self, app_id: int, tag: int) -> int:
        """Address of an application's block with a tag, or 0 (`sark_tag_ptr`)."""
        return self.bus.load(self._tag((app_id << 8) + tag))

    def alloc(self, size: int, app_id: int, tag: int = 0, retry: bool = False) -> int:
        """Address of a new block, or 0 (`sark_xalloc`)."""
        entry = (app_id << 8) + tag
        if size == 0 or tag > 255:
            return 0
        if tag and (old := self.bus.load(self._tag(entry))):
            same = size == self.bus.load(old - _BLOCK) - old
            return old if retry and same else 0
        needed, previous = ((size + 3) & ~3) + _BLOCK, self.address     # a heap's first word is its `free`
        for block, end in self.free_blocks():
            if block + needed <= end:
                self._take(block, end, needed, previous)
                self.bus.store(block + 4, _USED + entry)
                if tag:
                    self.bus.store(self._tag(entry), block + _BLOCK)
                return block + _BLOCK
            previous = block + 4
        return 0

    def _take(self, block: int, end: int, needed: int, previous: int) -> None:
        """Unlink a free block; what is left over becomes a free block if it can hold anything."""
        rest, after = block + needed, self.bus.load(block + 4)
        if rest + _BLOCK < end:
            for word, value in ((rest, end), (rest + 4, after), (block, rest)):
                self.bus.store(word, value)
            after = rest
        self.bus.store(previous, after)
        self._count(-needed)

    def free(self, pointer: int) -> None:
        """Give a block back (`sark_xfree`); a pointer that is not a block in use is a CorruptError."""
        block = pointer - _BLOCK
        end = next((end for address, end in self.blocks() if address == block and end), 0)
        if not end or self.bus.load(block + 4) < _USED:
            raise CorruptError(f"heap at {self.address:#010x}: {pointer:#010x} is no block in use")
        self._release([(block, end)])

    def _release(self, blocks: Sequence[Part]) -> None:
        """Put blocks in use, (address, end) each, among the free ones."""
        free = _joined([*blocks, *self.free_blocks()])
        for block, end in blocks:
            owner = self.bus.load(block + 4)
            if owner & 255:
                self.bus.store(self._tag(owner & 0xffff), 0)
            self._count(end - block)
        for block, end, following in free:
            self.bus.store(block, end)
            self.bus.store(block + 4, following)
        self.bus.store(self.address + _FREE, free[0][0])

    def free_id(self, app_id: int) -> int:
        """Give back every block of an application; their number (`sark_xfree_id`)."""
        owned = [(block, end) for block, end in self.blocks()
                 if end and (owner := self.bus.load(block + 4)) >= _USED and owner >> 8 & 255 == app_id]
        if owned:
            self._release(owned)
        return len(owned)


class Pool:
    """Equal blocks on a list of free ones (`mem_block_t`): the shared-memory messages."""

    def __init__(self, bus: Bus, root: int) -> None:
        self.bus, self.root = bus, root

    def create(self, base: int, count: int, size: int) -> None:
        """Chain `count` blocks of `size` bytes (`sark_block_init`)."""
        for i in range(count):
            self.bus.store(base + i * size, base + (i + 1) * size if i + 1 < count else 0)
        self.bus.store(self.root, base)

    def get(self) -> int:
        """Address of a block, or 0 if none is free."""
        block = self.bus.load(self.root)
        if block:
            self.bus.store(self.root, self.bus.load(block))
            self._count(1)
        return block

    def put(self, block: int) -> None:
        """Give a block back."""
        self.bus.store(block, self.bus.load(self.root))
        self.bus.store(self.root, block)
        self._count(-1)

    def _count(self, change: int) -> None:
        count = self.bus.load(self.root + 4, 2) + change
        self.bus.store(self.root + 4, count, 2)
        self.bus.store(self.root + 6, max(count, self.bus.load(self.root + 6, 2)), 2)


class RouterEntries:
    """Runs of multicast entries that applications own, kept in the router's copy in SDRAM (`rtr_alloc_id`, ...)."""

    FIRST, LAST = 1, 1024                           # sark.h:159
    ENTRY = 16                                      # rtr_entry_t {next, free, route, key, mask}, sark.h:530
    _OWNER = 0xe0ff                                 # FREE_MASK, sark_alloc.c:436

    def __init__(self, bus: Bus, clear: Callable[[int, int], None]) -> None:
        self.bus, self._clear = bus, clear

    def _entry(self, index: int) -> int:
        return self.bus.load(SV_BASE + SV.RTR_COPY) + self.ENTRY * index

    def _next(self, index: int) -> int:
        return self.bus.load(self._entry(index), 2)

    def _free(self, index: int) -> int:
        """Next free run; index 0 stands for the head of the list."""
        return self.bus.load(self._entry(index) + 2 if index else SV_BASE + SV.RTR_FREE, 2)

    def _set_free(self, index: int, value: int) -> None:
        self.bus.store(self._entry(index) + 2 if index else SV_BASE + SV.RTR_FREE, value, 2)

    def _chain(self, index: int, step: Callable[[int], int]) -> Iterator[Part]:
        """(first entry, end) of runs from `index` on, while both they and what `step` leads to rise."""
        while index:
            ways = self._next(index), step(index)
            if index > self.LAST or any(way and not index < way <= self.LAST for way in ways):
                raise CorruptError(f"router entries: {index} leads to {ways[0]} and {ways[1]}")
            yield index, ways[0]
            index = ways[1]

    def runs(self) -> Iterator[Part]:
        """(first entry, end) of every run; the last one has no end."""
        return self._chain(self.FIRST, self._next)

    def free_runs(self) -> Iterator[Part]:
        """(first entry, end) of the free runs."""
        return self._chain(self._free(0), self._free)

    def create(self) -> None:
        """One free run of all entries (`rtr_mc_init`)."""
        self._set_free(0, self.FIRST)
        for index, following in ((self.FIRST, self.LAST), (self.LAST, 0)):
            self.bus.store(self._entry(index), following, 2)
            self._set_free(index, 0)

    def largest(self) -> int:
        """Length of the longest free run (`rtr_alloc_max`)."""
        return max((end - run for run, end in self.free_runs() if end), default=0)

    def alloc(self, size: int, app_id: int) -> int:
        """First entry of a new run, or 0 (`rtr_alloc_id`)."""
        previous = 0
        for run, end in self.free_runs() if size else ():
            rest = run + size
            if rest <= end:
                after = self._free(run)
                if rest < end:
                    self.bus.store(self._entry(rest), end, 2)
                    self._set_free(rest, after)
                    self.bus.store(self._entry(run), rest, 2)
                    after = rest
                self._set_free(previous, after)
                self._set_free(run, app_id | 0x8000)
                return run
            previous = run
        return 0

    def free(self, run: int, clear: bool) -> None:
        """Give a run back and clear its entries if told to (`rtr_free`)."""
        end = dict(self.runs()).get(run)
        if not end or not self._free(run) & 0x8000:
            raise CorruptError(f"router entries: {run} is no run in use")
        self._release([(run, end)], clear)

    def _release(self, runs: Sequence[Part], clear: bool) -> None:
        """Put runs in use, (first entry, end) each, among the free ones."""
        free = _joined([*runs, *self.free_runs()])
        for run, end in runs if clear else ():
            self._clear(run, end - run)
        for run, end, following in free:
            self.bus.store(self._entry(run), end, 2)
            self._set_free(run, following)
        self._set_free(0, free[0][0])

    def free_id(self, app_id: int, clear: bool) -> int:
        """Give back every run of an application; their number (`rtr_free_id`)."""
        owned = [(run, end) for run, end in self.runs() if end and self._free(run) & self._OWNER == app_id | 0x8000]
        if owned:
            self._release(owned, clear)
        return len(owned)
