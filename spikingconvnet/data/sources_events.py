"""Event sets: files of N-MNIST and of DVS128 Gesture, and arrays (t, x, y, p); in a folder for each class, or in one.

N-MNIST (Orchard et al. 2015, Front Neurosci 9, 437, doi 10.3389/fnins.2015.00437) keeps an event in 5 bytes: column,
row, then 1 bit of polarity and 23 bits of time in microseconds. DVS128 Gesture (Amir et al. 2017, CVPR) keeps
recordings as AEDAT 3.1: packets of a header of 28 bytes and events of 8, of which type 1 are of polarity.
"""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data.events import EventSet, event_set
from spikingconvnet.data.images import READING
from spikingconvnet.data.sources_files import ARRAYS, TABLES, first_line, read_arrays, read_table, suffix
from spikingconvnet.data.sources_labels import class_ids
from spikingconvnet.errors import DataError, require
from spikingconvnet.gates.progress import counted
from spikingconvnet.network.arrays import Numbers

FIELDS = ("t", "x", "y", "p")
EVENT_FILES = (".bin", ".aedat")
NMNIST_BYTES, OVERFLOW_ROW, OVERFLOW = 5, 240, 1 << 13     # row 240 tells of 2**13 microseconds more
PACKET, POLARITY_EVENT = struct.Struct("<hhiiiiii"), 1
HEADER_END = b"#!END-HEADER\r\n"
GESTURES = ("trials_to_train.txt", "trials_to_test.txt")
Sample = tuple[Numbers, Numbers]            # events (n, 4) as of FIELDS, label


def read_events(path: Path) -> Numbers:
    """The events of one file, of N-MNIST, AEDAT 3.1, or with t, x, y and p as names of fields, arrays or columns.

    Returns
    -------
    float64 array (n, 4)
        t, x, y, p.

    Raises
    ------
    DataError
        A file that is damaged, or lacks one of them.
    """
    kind = suffix(path)
    try:
        if kind == ".bin":
            return _nmnist(np.fromfile(path, np.uint8), path)
        if kind == ".aedat":
            return _aedat(path.read_bytes(), path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    return _table(path) if kind in (".csv", ".tsv") else as_events(_fields(read_arrays(path)), str(path))


def _nmnist(content: Numbers, path: Path) -> Numbers:
    """Events of N-MNIST's file."""
    if len(content) % NMNIST_BYTES:
        raise DataError(f"{path}: {len(content)} bytes; events of N-MNIST have {NMNIST_BYTES} each; get the file again")
    x, y, high, middle, low = content.reshape(-1, NMNIST_BYTES).T.astype(np.int64)
    t = ((high & 127) << 16 | middle << 8 | low) + OVERFLOW * np.cumsum(y == OVERFLOW_ROW)
    found: Numbers = np.column_stack([t, x, y, high >> 7])[y != OVERFLOW_ROW].astype(np.float64)
    return found


def _aedat(content: bytes, path: Path) -> Numbers:
    """Events of polarity in the packets of an AEDAT 3.1 file."""
    at = content.find(HEADER_END) + len(HEADER_END)
    if not content.startswith(b"#!AER-DAT3") or at < len(HEADER_END):
        raise DataError(f"{path}: is not AEDAT 3.1, which begins with #!AER-DAT3.1 and has #!END-HEADER; convert it, or"
                        " save its events as a .npy with the fields t, x, y and p")
    found = []
    while at < len(content):
        if len(content) < at + PACKET.size:
            raise DataError(f"{path}: ends within the header of a packet; get the file again")
        kind, _, size, _, overflow, capacity, number, _ = PACKET.unpack_from(content, at)
        at += PACKET.size
        if size < 1 or capacity < 0 or at + size * capacity > len(content) or not 0 <= number <= capacity:
            raise DataError(f"{path}: ends within a packet; get the file again")
        if kind == POLARITY_EVENT:
            found.append(_polarities(content[at:at + 8 * number], overflow))
        at += size * capacity
    return np.concatenate(found) if found else np.zeros((0, 4))


def _polarities(packet: bytes, overflow: int) -> Numbers:
    """Valid events of a packet: bit 0 says so, bit 1 is the polarity, 15 bits are the row, 15 the column."""
    word, time = np.frombuffer(packet, "<u4").reshape(-1, 2).T.astype(np.int64)
    events = np.column_stack([time + (overflow << 31), word >> 17, word >> 2 & 0x7FFF, word >> 1 & 1])
    found: Numbers = events[word & 1 == 1].astype(np.float64)
    return found


def _table(path: Path) -> Numbers:
    """Columns of a table, by their names or in the order t, x, y, p."""
    names = [name.strip().lower() for name in first_line(path).replace(";", ",").replace("\t", ",").split(",")]
    numbers, _ = read_table(path, None, ())
    order = names if set(FIELDS) <= set(names) else list(FIELDS)
    if numbers.shape[1] < len(FIELDS):
        raise DataError(f"{path}: {numbers.shape[1]} columns; events need t, x, y and p")
    return numbers[:, [order.index(name) for name in FIELDS]]


def _fields(arrays: Mapping[str, Numbers]) -> Mapping[str, Numbers]:
    """Arrays by their names, or the fields of the only one, or its columns."""
    if len(arrays) > 1:
        return arrays
    only: Any = next(iter(arrays.values()), np.zeros(0))
    if only.dtype.names:
        return {name: only[name] for name in only.dtype.names}
    return dict(zip(FIELDS, only.T)) if only.ndim == 2 and only.shape[1] == len(FIELDS) else arrays


def are_events(arrays: Mapping[str, Numbers]) -> bool:
    """Whether arrays have the names of what events are made of."""
    return set(FIELDS) <= _fields(arrays).keys()


def as_events(arrays: Mapping[str, Numbers], name: str) -> Numbers:
    """Events of four arrays of one length: float64 (n, 4); others are a DataError that says what is there."""
    _check(arrays, name)
    return np.column_stack([np.asarray(arrays[field], np.float64) for field in FIELDS])


def _check(arrays: Mapping[str, Numbers], name: str) -> None:
    parts = [arrays.get(field) for field in FIELDS]
    if any(part is None or part.ndim != 1 or part.dtype.kind not in "buif" or len(part) != len(arrays["t"])
           for part in parts):
        raise DataError(f"{name}: holds {', '.join(arrays) or 'nothing'}; events are the arrays (or fields) t, x, y and"
                        " p with one number for each event")


def together(samples: Sequence[Sample], name: str) -> tuple[EventSet, dict[int, str]]:
    """Events of single samples as a set, and names of the classes.

    Raises
    ------
    DataError
        Samples without an event, or what ``events.event_set`` refuses.
    """
    empty = sum(not len(events) for events, _ in samples)
    if empty:
        raise DataError(f"{name}: {empty} of {len(samples)} samples have no event; leave them out")
    (labels,), names = class_ids([np.array([label for _, label in samples])], name)
    number = np.repeat(np.arange(len(samples)), [len(events) for events, _ in samples])
    t, x, y, p = np.concatenate([events for events, _ in samples]).T
    return event_set(number, t, x.astype(np.int64), y.astype(np.int64), p.astype(np.int64), labels, None, name), names


def unlabelled(paths: Sequence[str | Path]) -> tuple[list[str], EventSet]:
    """Samples to classify, with the name of the file of each, and their events; their labels are all 0.

    Parameters
    ----------
    paths : list of path
        A file a sample, as :func:`read_events` takes them, or folders of such files (by name); or a .npz with the
        ``sample`` of each event.

    Raises
    ------
    DataError
        A file that is missing, damaged or without an event, a folder without such files.
    """
    files = []
    for path in map(Path, paths):
        found = sorted(filter(is_events, path.iterdir())) if path.is_dir() else [path]
        if not found:
            raise DataError(f"{path}: no events are in this folder; {', '.join((*EVENT_FILES, *ARRAYS, *TABLES))} are"
                            " read")
        files += found
    named = {name: events for file in files for name, events in _samples_in(file)}
    for name, events in named.items():
        require(len(events), name, "events", 0, "at least one", DataError)
    return list(named), together([(events, np.int64(0)) for events in named.values()], "new samples")[0]


def _samples_in(file: Path) -> list[tuple[str, Numbers]]:
    """The samples of a file, and a name for each."""
    of = read_arrays(file).get("sample") if suffix(file) in ARRAYS else None
    events = read_events(file)
    if of is None:
        return [(str(file), events)]
    require(of.shape == (len(events),) and of.dtype.kind in "iu", str(file), "sample", f"{of.dtype.name} {of.shape}",
            f"{len(events)} whole numbers, the sample of each event", DataError)
    return [(f"{file}[{i}]", events[of == i]) for i in np.unique(of)]


def is_events(path: Path) -> bool:
    """Whether a file may hold events, by how its name ends."""
    return path.is_file() and suffix(path) in (*EVENT_FILES, *ARRAYS, *TABLES)


def of_arrays(arrays: Mapping[str, Numbers], name: str) -> list[EventSet]:
    """Sets in one .npz: t, x, y, p, the ``sample`` of each event and a label for each sample; also ``t_test`` ...

    Raises
    ------
    DataError
        Without ``sample`` or ``labels``.
    """
    found = []
    for end in ("", "_test") if "t_test" in arrays else ("",):
        part = {field: arrays[field + end] for field in (*FIELDS, "sample", "labels") if field + end in arrays}
        _check(part, name)
        if not {"sample", "labels"} <= part.keys() or len(part["sample"]) != len(part["t"]):
            raise DataError(f"{name}: holds {', '.join(arrays)}; a set of events has `sample`, for each event the"
                            " number of its sample, and `labels`, for each sample its class, beside t, x, y and p")
        (labels,), _ = class_ids([part["labels"]], name)
        require(0 <= part["sample"].min(initial=0) and part["sample"].max(initial=0) < len(labels), name, "sample",
                int(part["sample"].max(initial=0)), f"numbers of the {len(labels)} samples from 0", DataError)
        found.append(event_set(part["sample"], part["t"], part["x"], part["y"], part["p"], labels, None, name))
    return found


def gestures(folder: Path) -> list[list[Sample]]:
    """Training and test gestures of DVS128 Gesture: recordings, and tables of when which gesture was made.

    Raises
    ------
    DataError
        A recording or a table is missing or damaged.
    """
    try:
        lines = [(folder / part).read_text().split() for part in GESTURES]
    except (OSError, ValueError) as error:              # of which UnicodeDecodeError is one
        raise DataError(f"{folder}: {', '.join(GESTURES)} cannot be read ({error}); get them again") from error
    names = [[line for line in part if line.endswith(".aedat")] for part in lines]
    return [[sample for name in counted(part, READING) for sample in _recording(folder / name)] for part in names]


def _recording(path: Path) -> list[Sample]:
    """The gestures of a recording, as its table ``..._labels.csv`` says: class, first and last microsecond."""
    table = path.with_name(f"{path.stem}_labels.csv")
    if not table.is_file():
        raise DataError(f"{table}: is missing; each recording of DVS128 Gesture has one beside it")
    events, rows = read_events(path), read_table(table, None, ())[0]
    if rows.shape[1] != 3 or not np.array_equal(rows, np.rint(rows)):
        raise DataError(f"{table}: must be rows of class, first and last microsecond; get it again")
    return [(events[(events[:, 0] >= begin) & (events[:, 0] < end)], np.int64(label)) for label, begin, end in rows]
