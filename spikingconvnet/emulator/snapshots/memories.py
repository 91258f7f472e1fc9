"""Memories in a snapshot: the pages that are not zero, packed. Most of a chip's 128 MB has never been touched."""

import mmap
import zlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spikingconvnet.emulator.errors import SnapshotError
from spikingconvnet.emulator.memory import Memory

PAGE = 4096
_LEVEL = 1                                          # of zlib: three times as fast as the usual one, a tenth larger
NOTHING = zlib.compress(b"", _LEVEL)                # no page
PAGES_TOLD = "/proc/self/pagemap"                   # proc(5)
_PRESENT = 3 << 62                                  # there: in memory or swapped out

Pages: TypeAlias = npt.NDArray[np.int64]            # numbers, ascending


def _view(memory: Memory) -> npt.NDArray[np.uint64]:
    return np.frombuffer(memory.bytes, np.uint64).reshape(-1, PAGE // 8)


def _touched(memory: Memory) -> Pages:
    """Pages that the system holds for a memory; all of them where it does not tell."""
    per = mmap.PAGESIZE // PAGE
    try:
        with open(PAGES_TOLD, "rb", buffering=0) as told:
            told.seek(memory.address // mmap.PAGESIZE * 8)
            entries = np.frombuffer(told.read(memory.size // mmap.PAGESIZE * 8), np.uint64)
    except OSError:
        return np.arange(memory.size // PAGE)
    held = np.flatnonzero(entries & np.uint64(_PRESENT))
    return (held[:, None] * per + np.arange(per)).ravel()


def used(memory: Memory) -> Pages:
    """Pages of a memory that are not all zero."""
    pages, view = _touched(memory), _view(memory)
    return pages[[bool(view[page].any()) for page in pages]] if len(pages) else pages


def pack(memory: Memory, pages: Pages) -> bytes:
    """Those pages, packed."""
    return zlib.compress(_view(memory)[pages].data, _LEVEL)


def unpack(memory: Memory, numbers: Sequence[int], data: bytes) -> None:
    """Fill a memory with pages, and with zeros elsewhere.

    Raises
    ------
    SnapshotError
        There are no such pages, or the data are not theirs.
    """
    pages, most = np.asarray(numbers, np.int64), memory.size // PAGE
    if len(pages) and not (0 <= pages[0] and pages[-1] < most and (np.diff(pages) > 0).all()):
        raise SnapshotError(f"{memory.name} has {most} pages, each once and in their order; found others")
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(data, len(pages) * PAGE + 1)      # never more than there should be
    except zlib.error as error:
        raise SnapshotError(f"{memory.name} cannot be unpacked: {error}") from error
    if len(content) != len(pages) * PAGE or not unpacker.eof or unpacker.unused_data:
        raise SnapshotError(f"{memory.name} must have {len(pages)} pages of {PAGE} bytes, found {len(content)} bytes")
    view = _view(memory)
    view[np.setdiff1d(used(memory), pages)] = 0
    view[pages] = np.frombuffer(content, np.uint64).reshape(-1, PAGE // 8)
