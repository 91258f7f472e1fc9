"""Spikes in files that other programs read and write: CSV, and arrays of NumPy.

A row of CSV is ``population,sample,neuron,time``, a spike ``time`` ms after its sample began; the first line is ``#``
and what rows cannot tell, see ``spike_tables``. An ``.npz`` has the same columns as arrays, ``cells/neuron`` and so on
of a population ``cells``, and the text ``about``. Of files that others write ``neuron`` and ``time`` suffice.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spikingconvnet.errors import DataError, SettingsError, SpikingConvNetError
from spikingconvnet.exchange.spike_tables import About, Events, assembled, read_about, rows_of, write_about
from spikingconvnet.gates.files import write_whole
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import UNREADABLE, read_arrays, text_of

ENDINGS = (".csv", ".npz")
NUMBERS = ("sample", "neuron", "time")
COLUMNS = ("population", *NUMBERS)
Read = tuple[dict[str, Events], About]


def save_spikes(path: str | Path, spikes: Mapping[str, Spikes], timestep: float = 1.0) -> None:
    """Write spikes as CSV or as arrays, by the ending of the name.

    Parameters
    ----------
    path : str or Path
        ``x.csv`` or ``x.npz``.
    spikes : dict of str to Spikes
        By population, as ``Recording.spikes``.
    timestep : float
        ms of a step, that of their network.

    Raises
    ------
    SettingsError
        Another ending; a label that is no text for one line.
    SurroundingsError
        The file cannot be written.
    """
    text = write_about(spikes, timestep)
    save = {".csv": _write_csv, ".npz": _write_arrays}[_ending(path)]
    rows = {label: rows_of(one, timestep) for label, one in spikes.items()}
    write_whole(Path(path), lambda stream: save(stream, rows, text))


def load_spikes(path: str | Path, network: Network | None = None, timestep: float | None = None) -> dict[str, Spikes]:
    """Read spikes from CSV or arrays.

    Parameters
    ----------
    path : str or Path
    network : Network or None
        The one that they are for: it tells shapes, the time step, and whose they are if the file does not.
    timestep : float or None
        ms of a step, if neither a network nor the file tells it; None is 1.

    Returns
    -------
    dict of str to Spikes
        By population. A file that tells no sizes has as many neurons, samples and steps as its last spikes need.

    Raises
    ------
    SettingsError
        Another ending.
    DataError
        A file that is missing or damaged, with the line where it is one of text; spikes that the network has no place
        for.
    """
    read = {".csv": _read_csv, ".npz": _read_arrays}[_ending(path)]
    if not Path(path).is_file():
        raise DataError(f"{path}: no such file; save_spikes writes one")
    try:
        rows, about = read(Path(path))
        return assembled(rows, replace(about, timestep=about.timestep or (None if network else timestep)), network)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _ending(path: str | Path) -> str:
    if Path(path).suffix not in ENDINGS:
        raise SettingsError(f"{path}: the name of a file of spikes must end in {' or '.join(ENDINGS)}")
    return Path(path).suffix


def _write_csv(stream: BinaryIO, rows: Mapping[str, Events], about: str) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    text.write(f"# {about}\n")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for label, one in rows.items():
        table.writerows(zip([label] * len(one.time), one.sample.tolist(), one.neuron.tolist(), one.time.tolist()))
    text.detach()


def _write_arrays(stream: BinaryIO, rows: Mapping[str, Events], about: str) -> None:
    arrays: dict[str, Any] = {f"{label}/{name}": getattr(one, name) for label, one in rows.items() for name in NUMBERS}
    np.savez(stream, about=np.array(about), **arrays)


def _read_csv(path: Path) -> Read:
    """Rows of a file of text; whatever is wrong with one is a DataError with its line."""
    stream = io.StringIO(_text(path), newline="")
    first = stream.readline()
    if is_told := first.startswith("#"):
        about = _at(1, read_about, first.removeprefix("#"))
    else:
        about = About()
        stream.seek(0)
    rows = _rows(csv.reader(stream), int(is_told))
    line, header = next(rows, (1, []))
    _at(line, _check_header, header)
    found: dict[str, list[tuple[int, int, float, int]]] = {}
    for line, row in rows:
        label, *numbers = _at(line, _row, dict(zip(header, row)))
        found.setdefault(label, []).append((*numbers, line))
    return {label: Events(*map(np.array, zip(*entries))) for label, entries in found.items()}, about


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + raw.count(b"\n", 0, error.start)
        raise DataError(f"line {line}: is no text in UTF-8") from error


def _at(line: int, read: Callable[[Any], Any], value: Any) -> Any:
    """What `read` makes of a value; its DataError names the line."""
    try:
        return read(value)
    except DataError as error:
        raise DataError(f"line {line}: {error}") from error


def _rows(reader: Any, before: int) -> Iterator[tuple[int, list[str]]]:
    """Rows with the line in which they end, but for empty ones."""
    try:
        for row in reader:
            if row:
                yield reader.line_num + before, row
    except csv.Error as error:
        raise DataError(f"line {reader.line_num + before}: {error}") from error


def _check_header(header: list[str]) -> None:
    if not {"neuron", "time"} <= set(header):
        raise DataError(f"the columns must be neuron and time, and may be population and sample, got"
                        f" {','.join(header)!r}")


def _row(row: Mapping[str, str]) -> tuple[str, int, int, float]:
    """Label, sample, neuron and time of a row."""
    sample, neuron = (_whole(name, row.get(name, text)) for name, text in (("sample", "0"), ("neuron", "")))
    return row.get("population", ""), sample, neuron, _ms(row.get("time", ""))


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 11):
        raise DataError(f"{name} must be a whole number, got {text!r}")
    return int(text)


def _ms(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise DataError(f"time must be a number of ms, got {text!r}") from None


def _read_arrays(path: Path) -> Read:
    """Columns of an ``.npz``; whatever is wrong with one is a DataError with its name."""
    try:
        arrays = read_arrays(path)
        about = read_about(text_of(arrays, "about")) if "about" in arrays else About()
    except (*UNREADABLE, SpikingConvNetError) as error:
        raise DataError(f"damaged, or not written by numpy.savez ({error})") from error
    columns: dict[str, dict[str, Numbers]] = {}
    for key, array in arrays.items():
        label, _, name = key.rpartition("/")
        if name not in NUMBERS or array.ndim != 1 or array.dtype.kind not in ("iu" if name != "time" else "iuf"):
            raise DataError(f"{key} is no row of whole numbers, or of ms, called neuron, time or sample")
        columns.setdefault(label, {})[name] = array
    return {label: _events(label, found) for label, found in columns.items()}, about


def _events(label: str, found: Mapping[str, Numbers]) -> Events:
    if not {"neuron", "time"} <= set(found) or len({len(array) for array in found.values()}) > 1:
        raise DataError(f"population {label!r} must have neuron and time of one length, got {sorted(found)}")
    whole = {"sample": np.zeros(len(found["time"]), np.int64), **found}
    return Events(whole["sample"].astype(np.int64), whole["neuron"].astype(np.int64), whole["time"].astype(np.float64))
