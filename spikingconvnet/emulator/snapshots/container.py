"""The file of a snapshot: a line that says what it is, a version, a digest, JSON, and packed memories behind it.

Nothing in it is code, and nothing is used before its length and the digest have been checked. All of it is
little-endian: the line (16 bytes), version (4), BLAKE2b digest of all else (32), bytes of the JSON as packed by zlib
(8), and as such (8); the JSON, whose last entry, "parts", has the lengths of what follows; these parts.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from spikingconvnet.emulator.errors import SnapshotError

FORMAT = 3
_LINE = b"SpiNNaker board\n"
_HEAD, _LENGTHS = struct.Struct("<16sI32s"), struct.Struct("<2Q")
_MOST_JSON, _MOST_FILE = 1 << 28, 1 << 34           # bytes; a board has 6.4 GB of memory
_LEVEL = 1


def _digest(parts: Sequence[bytes]) -> bytes:
    hashed = hashlib.blake2b(digest_size=32)
    for part in parts:
        hashed.update(part)
    return hashed.digest()


def write(path: str | Path, said: dict[str, Any], parts: Sequence[bytes]) -> None:
    """Write a file as a whole: who reads the path finds the old one or the new one.

    Raises
    ------
    SnapshotError
        It cannot be written.
    """
    text = json.dumps({**said, "parts": [len(part) for part in parts]}, separators=(",", ":")).encode()
    packed = zlib.compress(text, _LEVEL)
    body = [_LENGTHS.pack(len(packed), len(text)), packed, *parts]
    head = _HEAD.pack(_LINE, FORMAT, _digest([struct.pack("<16sI", _LINE, FORMAT), *body]))
    try:
        _replace(Path(path), [head, *body])
    except OSError as error:
        raise SnapshotError(f"{path}: the snapshot cannot be written: {error.strerror}") from error


def _replace(path: Path, parts: Sequence[bytes]) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(unfinished, "wb") as file:
            file.writelines(parts)
        os.replace(unfinished, path)
    except OSError:
        with suppress(OSError):
            os.unlink(unfinished)
        raise


def read(path: str | Path) -> tuple[dict[str, Any], list[bytes]]:
    """What a file says, and its parts.

    Raises
    ------
    SnapshotError
        It cannot be read, is no snapshot, is of a version that this one does not know, is cut, or has been altered.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_FILE + 1)
    except OSError as error:
        raise SnapshotError(f"{path}: the snapshot cannot be read: {error.strerror}") from error
    try:
        return _parse(memoryview(data))
    except SnapshotError as error:
        raise SnapshotError(f"{path}: {error}") from None


def _parse(data: memoryview) -> tuple[dict[str, Any], list[bytes]]:
    if len(data) < _HEAD.size + _LENGTHS.size or bytes(data[:len(_LINE)]) != _LINE:
        raise SnapshotError("no snapshot of an emulated board, or the beginning of one alone; take it again")
    _, version, digest = _HEAD.unpack_from(data)
    if version != FORMAT:
        other = "a newer" if version > FORMAT else "another"
        raise SnapshotError(f"a snapshot of format {version}, written by {other} version of the emulator; this one "
                            f"reads format {FORMAT}: take it again, or restore it with that version")
    if _digest([data[:20], data[_HEAD.size:]]) != digest:       # type: ignore[list-item]      # anything with bytes
        raise SnapshotError("the snapshot has been cut or altered since it was written: its digest is another one; "
                            "take it again, or copy it again")
    return _content(data[_HEAD.size:])


def _content(data: memoryview) -> tuple[dict[str, Any], list[bytes]]:
    stored, length = _LENGTHS.unpack_from(data)
    rest = data[_LENGTHS.size:]
    if stored > len(rest) or length > _MOST_JSON:
        raise SnapshotError("lengths that do not fit the file; it was not written by this emulator")
    said, lengths = _json(rest[:stored], length), []
    if isinstance(said, dict) and isinstance(said.get("parts"), list):
        lengths = said.pop("parts")
    if any(type(part) is not int or part < 0 for part in lengths) or sum(lengths) != len(rest) - stored:
        raise SnapshotError("parts whose lengths do not fit the file; it was not written by this emulator")
    parts, place = [], stored
    for part in lengths:
        parts.append(bytes(rest[place:place + part]))
        place += part
    return said, parts


def _json(packed: memoryview, length: int) -> Any:
    try:
        text = zlib.decompressobj().decompress(packed, length + 1)
        if len(text) != length:
            raise SnapshotError(f"a description of {length} bytes expected, found another length")
        return json.loads(text)
    except (zlib.error, ValueError, RecursionError) as error:
        raise SnapshotError(f"a description that cannot be read: {error}") from error
