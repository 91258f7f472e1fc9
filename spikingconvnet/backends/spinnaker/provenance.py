"""What a SpiNNaker machine says about its own runs, read from the database of sPyNNaker 7.4.1 without sPyNNaker.

Here is what is counted and where; ``health.verdict`` judges it. Tables and columns are those of
``spinn_front_end_common/utilities/db.sql``. Every run adds rows: those of cores hold counts since loading, because the
binaries go on counting; those of routers hold counts since the last time that sPyNNaker has cleared them, between the
gatherings ``Run`` and ``Extract`` (``_do_extract_from_machine``, ``interface/abstract_spinnaker_base.py:1988``);
reinjectors go on counting.
"""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from spikingconvnet.errors import BackendError
from spikingconvnet.network.arrays import Pair

CORE, ROUTER, TRANSFER, CONNECTOR, GATHERER = "core", "router", "transfer", "connector", "gatherer"
RECORDING, SETUP = "recording", "setup"
MISSING_DATA, MISSING_STEPS = "missing_data", "missing_steps"
TRACE, TRACE_BYTES = "S1615", 4          # membranes and currents: bytes of a value, and of the time before each step's
PHASE = re.compile("^(Load|Run|Extract|)(.*)$", re.DOTALL)      # prefixes of router_provenance_gatherer
IOBUF_FILE = re.compile(r"iobuf_for_chip_(\d+)_(\d+)_processor_id_(\d+)\.txt")
IOBUF_ERROR = re.compile(r"^\[ERROR\] \(.*?\): (.*)$", re.MULTILINE)     # and the file and line of the program
REINJECTION = {"Received_For_Reinjection", "Missed_For_Reinjection", "Reinjection_Overflows", "Reinjected",
               "Dumped_from_a_Link", "Dumped_from_a_processor"}
STATES = {"Entries", "Unique_Routes", "Error status"}           # of routers, no counts
Place: TypeAlias = tuple[int, int, int]             # x, y, p
Loads: TypeAlias = dict[Place, dict[str, Any]]      # of each core, see emulator.times.loads
Told: TypeAlias = tuple[int, int, int, str]     # x, y, p, and what is said of that core


@dataclass(frozen=True)
class Core:
    """A core of the network: its place, the population and the neurons that it has.

    Attributes
    ----------
    x, y, p : int
    population : str
    first, last : int
        Its neurons; those of a plane are not all between them.
    given : int or None
        Spikes that a source was given for the runs so far, which are as many packets.
    silent : bool
        Whether its population has plastic synapses that are never delivered; binaries count them as skipped.
    """

    x: int
    y: int
    p: int
    population: str
    first: int = 0
    last: int = 0
    given: int | None = None
    silent: bool = False

    def __str__(self) -> str:
        return f"core {self.x},{self.y},{self.p} ({self.population}, neurons {self.first} to {self.last})"


@dataclass(frozen=True)
class Reading:
    """One number of the database.

    Attributes
    ----------
    table : str
        `CORE`, `ROUTER` while the network runs, `TRANSFER` for a router while data are moved, `CONNECTOR`, `GATHERER`,
        `RECORDING` or `SETUP`.
    item : str
        What sPyNNaker calls it.
    value : int or float
        Over all runs.
    x, y, p : int or None
    between : str
        The populations of a connector.
    run : int or None
        The first in which it was not 0, counted from 0; None if the database does not tell.
    times : int
        How often it was read: once for every run, for cores and routers.
    """

    table: str
    item: str
    value: float
    x: int | None = None
    y: int | None = None
    p: int | None = None
    between: str = ""
    run: int | None = None
    times: int = 1


@dataclass(frozen=True)
class Provenance:
    """What is known about all runs of one simulation.

    Attributes
    ----------
    readings : tuple of Reading
    messages : tuple of str
        sPyNNaker's own remarks, each once.
    cores : tuple of Core
        Those of the network, all of which should have readings.
    chips : tuple of (x, y)
        Those whose routers should have readings.
    ends : tuple of int
        Last step of every run, as the machine counts them.
    time_scale : int or None
        That was asked for.
    failure : str
        Why the last run did not come to its end.
    states : tuple of (x, y, p, str)
        States of the cores that did not stop as they should.
    said : tuple of (x, y, p, str)
        Errors that the programs of cores have reported in words, if the last run did not come to its end.
    counters : dict of str to dict of str to int
        What the board does in silence to each projection, see Recording.
    loads : dict of (x, y, p) to dict
        What share of its steps each core of an emulated board in time has been awake, see ``emulator.times.loads``.
    earlier : tuple of Provenance
        Up to each reset, where every image starts at rest: time begins anew, and sPyNNaker's database with it.
    """

    readings: tuple[Reading, ...] = ()
    messages: tuple[str, ...] = ()
    cores: tuple[Core, ...] = ()
    chips: tuple[Pair, ...] = ()
    ends: tuple[int, ...] = ()
    time_scale: int | None = None
    failure: str = ""
    states: tuple[Told, ...] = ()
    said: tuple[Told, ...] = ()
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    loads: Loads = field(default_factory=dict)
    earlier: tuple["Provenance", ...] = ()


def read(path: str | Path) -> Provenance:
    """Readings and messages of a database: Provenance.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    BackendError
        It is missing, damaged or none of sPyNNaker 7.4.1's.
    """
    path = Path(path)
    if not path.is_file():
        raise BackendError(f"{path}: no provenance; sPyNNaker keeps it there during a run, so run again")
    try:
        _check_length(path)
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            readings = [*_cores(connection), *_routers(connection), *_connectors(connection), *_gatherers(connection),
                        *_recordings(connection), *_traces(connection), *_setup(connection)]
            messages = [str(message) for message, in _rows(connection, "SELECT message FROM reports ORDER BY rowid")]
        finally:
            connection.close()
    except (OSError, sqlite3.Error, UnicodeError, ValueError, OverflowError) as error:
        raise BackendError(f"{path}: not a database of sPyNNaker 7.4.1 ({error}); run again") from error
    return Provenance(tuple(readings), tuple(dict.fromkeys(messages)))


def said(path: str | Path) -> tuple[Told, ...]:
    """What cores have reported as errors (IOBUF) before a run failed: tuple of (x, y, p, text), each once.

    sPyNNaker writes it, of the cores that failed, beside its database `path`: ``iobuf_extractor.py`` of
    SpiNNFrontEndCommon 7.4.1.
    """
    found: list[Told] = []
    for file in sorted((Path(path).parent / "provenance_data" / "app_provenance_data").glob("iobuf_for_chip_*.txt")):
        if place := IOBUF_FILE.fullmatch(file.name):
            x, y, p = map(int, place.groups())
            found += [(x, y, p, text.strip()) for text in IOBUF_ERROR.findall(file.read_text(errors="replace"))]
    return tuple(dict.fromkeys(found))


def _check_length(path: Path) -> None:
    """Raise ValueError if pages are missing; SQLite itself notices when it comes to need one of them.

    Bytes 16 and 28 of a database: size of a page, and their number (https://sqlite.org/fileformat.html, 1.3).
    """
    with path.open("rb") as stream:
        header = stream.read(32)
    size, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
    wanted = pages * (1 << 16 if size == 1 else size)
    if path.stat().st_size < wanted:
        raise ValueError(f"cut off at {path.stat().st_size} of {wanted} bytes")


def _rows(connection: sqlite3.Connection, query: str, values: Sequence[object] = ()) -> list[Any]:
    return connection.execute(query, values).fetchall()


def _number(value: object) -> Any:
    """A value of a database, whose columns take everything: int or float."""
    if not isinstance(value, (int, float)):
        raise ValueError(f"{value!r} is no number")
    return value


def _cores(connection: sqlite3.Connection) -> Iterator[Reading]:
    """The last reading of every counter of every core."""
    counts = defaultdict(list)
    for x, y, p, item, value in _rows(
            connection, "SELECT x, y, processor, description, the_value FROM core_provenance JOIN core"
                        " ON core_provenance.core_id = core.core_id ORDER BY cp_id"):
        counts[x, y, p, item].append(_number(value))
    for (x, y, p, item), values in counts.items():
        yield Reading(CORE, str(item), values[-1], x, y, p, run=_first(values), times=len(values))


def _routers(connection: sqlite3.Connection) -> Iterator[Reading]:
    """Counters of routers over all runs, while the network ran and while data were moved; of states the largest."""
    last: dict[tuple[int, int, str], float] = {}
    counts: dict[tuple[str, int, int, str], list[float]] = defaultdict(list)
    for x, y, text, value in _rows(
            connection, "SELECT x, y, description, the_value FROM router_provenance ORDER BY chip_id"):
        phase, item = PHASE.findall(str(text))[0]
        before, last[x, y, item] = last.get((x, y, item), 0), _number(value)
        table = ROUTER if phase in ("Run", "") else TRANSFER
        if item in STATES:
            counts[ROUTER, x, y, item].append(value)
            continue
        counts[table, x, y, item].append(value - before if value >= before else value)
        if phase == "Run" and item not in REINJECTION:
            last[x, y, item] = 0                # cleared after this gathering
    for (table, x, y, item), values in counts.items():
        value = max(values) if item in STATES else sum(values)
        yield Reading(table, item, value, x, y, run=_first(values), times=len(values))


def _connectors(connection: sqlite3.Connection) -> Iterator[Reading]:
    """Counters of connectors, the largest of each between two populations."""
    counts: dict[tuple[str, str], float] = defaultdict(int)
    for pre, post, item, value in _rows(connection, "SELECT pre_population, post_population, description, the_value"
                                                    " FROM connector_provenance"):
        counts[f"{pre} -> {post}", str(item)] = max(_number(value), counts[f"{pre} -> {post}", str(item)])
    for (between, item), value in counts.items():
        yield Reading(CONNECTOR, item, value, between=between)


def _gatherers(connection: sqlite3.Connection) -> Iterator[Reading]:
    """Counters of the gathering of data, run by run."""
    for x, y, item, run, value in _rows(
            connection, "SELECT x, y, description, run, SUM(the_value) FROM gatherer_provenance"
                        " GROUP BY x, y, description, run"):
        yield Reading(GATHERER, str(item), _number(value), x, y, run=max(0, _number(run) - 1))


def _recordings(connection: sqlite3.Connection) -> Iterator[Reading]:
    """Regions of recordings with data that are missing."""
    for x, y, p, run, regions in _rows(
            connection, "SELECT x, y, processor, n_run, COUNT(*) FROM recording_data"
                        " JOIN recording_region USING (recording_region_id) JOIN core USING (core_id)"
                        " JOIN extraction USING (extraction_id) WHERE missing_data = 1 GROUP BY x, y, processor"):
        yield Reading(RECORDING, MISSING_DATA, regions, x, y, p, run=max(0, _number(run) - 1))


def _traces(connection: sqlite3.Connection) -> Iterator[Reading]:
    """Steps that a core's membranes and currents lack, of all that it ran; each step is a record with its time.

    Spikes cannot be counted like that: a step without any leaves no record.
    """
    if not _rows(connection, "SELECT 1 FROM sqlite_master WHERE name = 'region_metadata'"):
        return              # sPyNNaker adds that table when it has mapped a network
    missing: dict[Place, dict[int, float]] = defaultdict(lambda: defaultdict(int))
    before: dict[int, float] = {}
    for x, y, p, region, neurons, run, end, size in _rows(
            connection, "SELECT x, y, processor, recording_region_id, recording_neurons_st, n_run, run_timestep,"
                        " (SELECT COALESCE(SUM(content_len), 0) FROM recording_data AS data WHERE"
                        " data.extraction_id = extraction.extraction_id AND data.recording_region_id = region_id)"
                        " FROM extraction, region_metadata JOIN recording USING (rec_id)"
                        " JOIN recording_region ON recording_region_id = region_id JOIN core USING (core_id)"
                        " WHERE data_type = ? ORDER BY extraction_id", (TRACE,)):
        steps = _number(end) - before.get(region, 0)
        before[region] = end
        lacks = steps - _number(size) // (TRACE_BYTES * (1 + _length(str(neurons))))
        missing[x, y, p][run] = max(lacks, missing[x, y, p][run])
    for (x, y, p), runs in missing.items():
        yield Reading(RECORDING, MISSING_STEPS, sum(runs.values()), x, y, p,
                      run=max(0, min((run for run, lacks in runs.items() if lacks), default=1) - 1))


def _length(ranges: str) -> int:
    """Number of neurons in a text of `array_to_string`, neo_buffer_database.py:1479.

    >>> _length("0:255,260")
    257
    """
    ends = [list(map(int, part.split(":"))) for part in ranges.split(",")]
    return sum(part[-1] - part[0] + 1 for part in ends)


def _setup(connection: sqlite3.Connection) -> Iterator[Reading]:
    for (value,) in _rows(connection, "SELECT time_scale_factor FROM setup"):
        yield Reading(SETUP, "time_scale_factor", _number(value))


def _first(values: Sequence[float]) -> int:
    """Index of the first value that is not 0; of a value per run, that run."""
    return next((i for i, value in enumerate(values) if value), 0)
