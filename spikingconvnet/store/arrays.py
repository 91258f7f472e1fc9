"""Arrays in files: digests and seals, spikes in few bytes, and headers believed only as numpy writes them."""

import errno
import hashlib
import math
import os
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from spikingconvnet.gates.schema import refuse
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.network.spikes import Spikes

SEAL = "seal"               # digest of everything else in the file
# What reading a damaged file may raise; what the system refuses, as rights, handles or memory, says nothing of a file.
UNREADABLE = ValueError, KeyError, EOFError, RuntimeError, OverflowError, struct.error, zipfile.BadZipFile
# The only header of an array that is believed: as numpy writes it, without records and objects.
HEADER = re.compile(rb"\x93NUMPY\x01\x00(..)\{'descr': '([<>|][biufcSU]\d{1,9})', 'fortran_order': (True|False), "
                    rb"'shape': \(((?:\d{1,15}, )*(?:\d{1,15},?)?)\), \} *\n", re.DOTALL)
LONGEST_HEADER = 4096
CHUNK = 1 << 22


def digest(*parts: object) -> str:
    """SHA-256 of anything with a stable ``repr``, and of arrays by content, as 64 hexadecimal digits.

    >>> digest(1, "a") == digest(1, "a"), digest(1, "a") == digest("1", "a")
    (True, False)
    """
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, np.ndarray):
            total.update(f"array {part.dtype.str} {part.shape}\n".encode())
            total.update(np.ascontiguousarray(part).data)
        else:
            total.update(f"{part!r}\n".encode())
    return total.hexdigest()


def pack_spikes(spikes: Spikes, prefix: str = "") -> dict[str, Numbers]:
    """Spikes as arrays for a file; per step a count instead of an offset, which is four to eight times smaller."""
    counts = np.diff(spikes.offsets)
    kind = np.uint16 if counts.max(initial=0) < 1 << 16 else np.uint32
    return {f"{prefix}shape": np.array(spikes.shape), f"{prefix}n_steps": np.array(spikes.n_steps),
            f"{prefix}counts": counts.astype(kind), f"{prefix}neurons": spikes.neurons}


def unpack_spikes(arrays: Mapping[str, Numbers], prefix: str = "") -> Spikes:
    """The inverse of :func:`pack_spikes`."""
    offsets = np.concatenate([[0], np.cumsum(arrays[f"{prefix}counts"], dtype=np.int64)])
    return Spikes(tuple(arrays[f"{prefix}shape"].tolist()), int(arrays[f"{prefix}n_steps"]), offsets,
                  arrays[f"{prefix}neurons"])


def seal(arrays: Mapping[str, Numbers]) -> str:
    """Digest of everything in a dict of arrays."""
    return digest(*(part for name in sorted(arrays) for part in (name, np.asarray(arrays[name]))))


def text_of(arrays: dict[str, Numbers], name: str) -> str:
    """Take a text out of a dict of arrays."""
    found = arrays.pop(name)
    if found.dtype.kind != "U" or found.shape:
        refuse(name, "one text", f"{found.dtype} {found.shape}")
    return str(found)


def read_arrays(path: str | Path) -> dict[str, Numbers]:
    """Arrays of an ``.npz`` file, every byte of them checked.

    ``numpy.load`` is not enough: it looks members up by name and stops reading where the array's header says, so a
    flipped bit in a name or in a shape gives wrong arrays and no error; and it makes room for whatever a header
    declares.

    Raises
    ------
    StoreError
        A member is no array as numpy writes it.
    BadZipFile, EOFError, or another of `UNREADABLE`
        The file is damaged otherwise.
    """
    try:
        return _members(path)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise zipfile.BadZipFile("its directory leads out of it") from error


def _members(path: str | Path) -> dict[str, Numbers]:
    """Arrays of a ``.npz`` file by name; one that is compressed, there twice or larger than the file is refused."""
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > os.path.getsize(path):
            raise zipfile.BadZipFile("its arrays are larger than the file")
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type != zipfile.ZIP_STORED:
                raise zipfile.BadZipFile(f"{name} is compressed")
            if name in arrays:
                raise zipfile.BadZipFile(f"{name} is there twice")
            with archive.open(member) as stream:
                arrays[name] = _read_array(stream, name, member.file_size)
    return arrays


def _read_array(stream: IO[bytes], name: str, size: int) -> Numbers:
    """The array of a member of `size` bytes, once its header has been found to declare just that."""
    start = stream.read(10)
    start += stream.read(min(LONGEST_HEADER, int.from_bytes(start[8:10], "little")))
    header = HEADER.fullmatch(start)
    if not header or len(start) != 10 + int.from_bytes(header[1], "little"):
        refuse(name, "an array as numpy writes it", start[:20].hex())
    try:
        dtype, shape = np.dtype(header[2].decode()), tuple(map(int, re.findall(rb"\d+", header[4])))
    except TypeError:
        refuse(name, "of a type that numpy knows", header[2].decode())
    if math.prod(shape) * dtype.itemsize != size - len(start):
        refuse(name, f"{size - len(start)} bytes long", f"{dtype} {shape}")
    raw = np.empty(size - len(start), np.uint8)
    for first in range(0, raw.size, CHUNK):
        room = raw[first:first + CHUNK]
        part = stream.read(len(room))
        if len(part) != len(room):
            raise EOFError(f"{name} ends too early")
        room[:] = np.frombuffer(part, np.uint8)
    if stream.read(1):                              # the end, where zipfile compares the checksum
        raise EOFError(f"{name} does not end")
    if dtype.kind == "b" and raw.max(initial=0) > 1:
        refuse(name, "of True and False", int(raw.max()))
    return raw.view(dtype).reshape(shape, order="F" if header[3] == b"True" else "C")
