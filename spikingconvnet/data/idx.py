"""IDX files: read with python-mnist a piece at a time, with a size and shape that are those of the header."""

import gzip
import hashlib
import io
import math
import os
import struct
import warnings
import zlib
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from spikingconvnet.data.images import AGAIN, DIMENSIONS, LOAD, MADE, MAX_SIDE, READING, ImageSet
from spikingconvnet.errors import DataError
from spikingconvnet.gates.progress import counted
from spikingconvnet.network.arrays import Pair

MAGIC = {"images": 2051, "labels": 2049}
TYPES = {0x08: "unsigned bytes", 0x09: "signed bytes", 0x0B: "16-bit integers", 0x0C: "32-bit integers",
         0x0D: "32-bit floats", 0x0E: "64-bit floats"}      # third byte of an IDX file; the fourth counts its axes
MAX_AXES = 8                    # that an error tells the shape of
MAX_UNPACKED = 1 << 31          # bytes of one file
CHUNK = 1 << 20                 # bytes
PIECE = 1 << 19                 # pixels that python-mnist holds as lists at a time, 8 bytes each
MNIST_SHAPE = {"train": (60000, 28, 28), "test": (10000, 28, 28)}
MNIST_MD5 = {  # of the unpacked files
    ("train", "images"): "6bbc9ace898e44ae57da46a324031adb",
    ("train", "labels"): "a25bea736e30d166cdddb491f175f624",
    ("test", "images"): "2646ac647ad5339dbf082846283269ea",
    ("test", "labels"): "27ae3e4e09519cfbb04c329615203637",
}


class File(NamedTuple):
    """A file to read: where it lies, and the name under which the user knows it."""

    path: Path
    name: str


def fault(name: str, text: str) -> DataError:
    """A DataError about a file, with what to do."""
    return DataError(f"{name}: {text}; {AGAIN}")


def read_pair(images_file: File, labels_file: File, part: str, is_mnist: bool) -> ImageSet:
    """ImageSet of two files; with `is_mnist`, a pair of MNIST's shape must have MNIST's checksums.

    Parameters
    ----------
    images_file, labels_file : File
        Plain or gzip.
    part : str
        ``train`` or ``test``.
    is_mnist : bool

    Raises
    ------
    DataError
        A file that cannot be read, is damaged, or is not exactly what its header declares.
    """
    labels, label_shape = unpack(labels_file, "labels")
    images, shape = unpack(images_file, "images")
    if shape[0] != label_shape[0]:
        raise fault(labels_file.name, f"{shape[0]} labels expected, one for each image in {images_file.name}, "
                    f"{label_shape[0]} found")
    if is_mnist and shape == MNIST_SHAPE[part]:
        for kind, file, content in (("images", images_file, images), ("labels", labels_file, labels)):
            _check_md5(file.name, content, MNIST_MD5[part, kind])
    parsed = _parse(images, labels, shape)
    for kind, file, content in (("images", images_file, images), ("labels", labels_file, labels)):
        own = np.frombuffer(content, np.uint8, offset=4 + 4 * DIMENSIONS[kind])
        if not np.array_equal(getattr(parsed, kind).ravel(), own):
            raise fault(file.name, "python-mnist read other values than the file holds")
    return parsed


def unpack(file: File, kind: str) -> tuple[bytearray, tuple[int, ...]]:
    """Whole content of an IDX file of a `kind`, header included, and the shape that the header declares.

    Not more than the declared size and one byte is asked for, so a gzip bomb costs one buffer. Whether the file is
    gzip is seen from its content: an IDX file starts with two zeros. Whatever is wrong is a DataError.
    """
    if not os.path.isfile(file.path):
        raise fault(file.name, "a regular file expected, something else found")
    content = bytearray()
    try:
        with open(file.path, "rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            _extend(content, stream, 4)
            _extend(content, stream, 4 + 4 * max(DIMENSIONS[kind], _other_kind(content, kind)[1]))
            shape = _declared_shape(file.name, bytes(content), kind)
            expected = len(content) + math.prod(shape)
            if expected > MAX_UNPACKED:
                raise fault(file.name, f"at most {MAX_UNPACKED} bytes allowed, {expected} declared by its header")
            if os.path.getsize(file.path) > expected + expected // 1000 + CHUNK:    # zeros behind gzip are all read
                raise fault(file.name, f"more bytes follow after the {expected} expected by its header")
            _extend(content, stream, expected + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise fault(file.name, f"damaged gzip stream ({error})") from error
    except OSError as error:
        raise fault(file.name, f"cannot be read ({error.strerror or error})") from error
    if len(content) < expected:
        raise fault(file.name, f"{expected - len(content)} bytes are missing "
                    f"({expected} expected by its header, {len(content)} found)")
    if len(content) > expected:
        raise fault(file.name, f"more bytes follow after the {expected} expected by its header")
    return content, shape


def _extend(content: bytearray, stream: io.BufferedIOBase, size: int) -> None:
    """Read on until `content` has `size` bytes or the stream ends; chunks, as a header may claim what is not there."""
    while len(content) < size and (block := stream.read(min(CHUNK, size - len(content)))):
        content += block


def _declared_shape(name: str, header: bytes, kind: str) -> tuple[int, ...]:
    """Shape in an IDX header (magic number, then one big-endian uint32 an axis), checked."""
    size = 4 + 4 * DIMENSIONS[kind]
    _check_kind(name, header, kind)
    if len(header) < size:
        raise fault(name, f"{size} bytes of header expected, {len(header) or 'an empty file'} found")
    magic, count, *sides = struct.unpack(f">{size // 4}I", header[:size])
    if magic != MAGIC[kind]:
        raise fault(name, f"not an IDX file of {kind}: magic number {MAGIC[kind]} expected, {magic} found")
    if count < 1:
        raise fault(name, f"at least one of its {kind} expected, 0 found")
    for axis, side in zip(("rows", "columns"), sides):
        if not 1 <= side <= MAX_SIDE:
            raise fault(name, f"1 to {MAX_SIDE} {axis} expected, {side} found")
    return count, *sides


def _other_kind(header: bytes | bytearray, kind: str) -> Pair:
    """Type and number of axes of a file that is IDX, but not as its images or labels have to be; otherwise 0 and 0."""
    is_idx = len(header) >= 4 and header[0] == header[1] == 0 and header[2] in TYPES and 1 <= header[3] <= MAX_AXES
    found = (header[2], header[3]) if is_idx else (0, 0)
    return (0, 0) if found == divmod(MAGIC[kind], 256) else found


def _check_kind(name: str, header: bytes, kind: str) -> None:
    """Refuse a whole IDX file of another type or with other axes: getting it again would not help."""
    code, n_axes = _other_kind(header, kind)
    if not code or len(header) < 4 + 4 * n_axes:
        return
    shape = "x".join(map(str, struct.unpack(f">{n_axes}I", header[4:4 + 4 * n_axes])))
    raise DataError(f"{name}: an IDX file of {TYPES[code]} with {_axes(n_axes)}, {shape}; {kind} have to be {TYPES[8]}"
                    f" with {_axes(DIMENSIONS[kind])}; make them {MADE[kind]} and write them with"
                    f" spikingconvnet.data.save_images, then run: {LOAD}")


def _axes(n: int) -> str:
    return f"{n} {'axis' if n == 1 else 'axes'}"


def _check_md5(name: str, content: bytes | bytearray, expected: str) -> None:
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise fault(name, f"altered: MNIST's md5 {expected} expected for the unpacked file, {found} found "
                    "(another set belongs in a directory that is not named mnist)")


@cache
def _memory_reader() -> type:
    """python-mnist over one piece of verified bytes, so that a file is read once and the same bytes are parsed."""
    with warnings.catch_warnings():
        # python-mnist compares with ``is 'lists'``: right, but a SyntaxWarning wherever its bytecode is not yet cached.
        warnings.simplefilter("ignore", SyntaxWarning)
        from mnist import MNIST

    class MemoryReader(MNIST):      # type: ignore[misc]     # python-mnist has no types
        """Its reader, with the bytes of images and labels."""

        def __init__(self, images: bytes, labels: bytes) -> None:
            super().__init__()
            self.content = {"images": images, "labels": labels}

        def opener(self, path_fn: str, *args: Any, **kwargs: Any) -> io.BytesIO:
            """The bytes instead of a file of that name; called by python-mnist."""
            return io.BytesIO(self.content[path_fn])

    return MemoryReader


def _parse(images: bytearray, labels: bytearray, shape: tuple[int, ...]) -> ImageSet:
    """python-mnist's reading of the unpacked `images` and `labels` as an ImageSet.

    python-mnist makes a list of every image, 8 bytes a pixel: 60,000 images at once take 4 s and 724 MB, in pieces
    1 s and a few MB.
    """
    count, rows, columns = shape
    parsed = ImageSet(np.empty(shape, np.uint8), np.empty(count, np.uint8))
    grey, ids = memoryview(images)[16:], memoryview(labels)[8:]
    step = max(1, PIECE // (rows * columns))
    for start in counted(range(0, count, step), READING):
        stop = min(start + step, count)
        reader = _memory_reader()(
            struct.pack(">4I", MAGIC["images"], stop - start, rows, columns)
            + grey[start * rows * columns:stop * rows * columns],
            struct.pack(">2I", MAGIC["labels"], stop - start) + ids[start:stop])
        pixels, classes = reader.load("images", "labels")
        parsed.images[start:stop] = np.frombuffer(b"".join(map(bytes, pixels)), np.uint8).reshape(-1, rows, columns)
        parsed.labels[start:stop] = classes
    return parsed
