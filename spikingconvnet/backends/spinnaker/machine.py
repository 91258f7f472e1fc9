"""The machine that sPyNNaker runs on: its configuration, its surroundings, and the emulated board."""

import atexit
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TextIO, TypeVar
from unittest.mock import patch

from spikingconvnet.backends.spinnaker.allocated import kept
from spikingconvnet.backends.spinnaker.provenance import Loads
from spikingconvnet.errors import BackendError, SettingsError, SimulationFailed
from spikingconvnet.gates.address import SPALLOC_LOGIN, TOKEN, Address, hidden
from spikingconvnet.network.arrays import Pair

logger = logging.getLogger(__name__)

BOARDS = {"spin3": (3, "192.168.240.253"), "spin5": (5, "192.168.240.1")}      # version, address as delivered
PACKAGES = ("spinn_utilities", "spinn_machine", "pacman", "spinnman", "spinn_front_end_common", "spynnaker")
PROVENANCE = ("write_provenance", "read_router_provenance_data", "read_placements_provenance_data",
              "read_graph_provenance_data", "keep_data_database")      # what mode = Production leaves off
LOCAL_FILE, LOG = "spynnaker.cfg", "spynnaker.log"

Failure = TypeVar("Failure", bound=BaseException)


class Machine(Protocol):
    """What stands for a machine that is no name or address: an emulated board that is there, or a virtual one."""

    def configuration(self) -> str:
        """Text of the configuration's section Machine."""


class VirtualBoard:
    """A machine for mapping alone; sPyNNaker invents as many boards of 48 chips as a network needs."""

    @staticmethod
    def configuration() -> str:
        """Text of the configuration's section Machine."""
        return "[Machine]\nversion = 5\nvirtual_board = True\n"


class ConfiguredHere:
    """The machine that a `LOCAL_FILE` in the current directory names, as a service does for the jobs that it runs."""

    @staticmethod
    def configuration() -> str:
        """Text of the section Machine, to which sPyNNaker adds what the file says; without one a SettingsError."""
        if not Path(LOCAL_FILE).is_file():
            raise SettingsError(f"{Path(LOCAL_FILE).resolve()}: is missing; it has to name the machine, as [Machine]"
                                " with machine_name, spalloc_server or remote_spinnaker_url")
        return "[Machine]\nversion = 5\n"


def configuration(machine: str, home: Path, packet_buffer: int | None = None) -> str:
    """Text of the configuration file: the section of the machine, reports inside `home`, size of the input buffers."""
    buffer = f"[Simulation]\nincoming_spike_buffer_size = {packet_buffer}\n" if packet_buffer else ""
    return (f"{machine}\n{buffer}[Mode]\nmode = Production\n[Logging]\ninstantiate = False\n"
            f"[Reports]\ndefault_report_file_path = {home}\ndisplay_algorithm_timings = False\n"
            + "".join(f"{option} = True\n" for option in PROVENANCE))


class Section(NamedTuple):
    """The configuration's section Machine, and what share of its steps each core of a board in time has been awake."""

    text: str
    loads: Callable[[], Loads] = dict


@contextmanager
def machine_section(target: str | Machine, timed: bool = False, boards: int = 1) -> Iterator[Section]:
    """The configuration's section Machine; emulated boards, `timed` or not, live as long as the context.

    Raises
    ------
    BackendError
        An emulated board without the package unicorn.
    SimulationFailed
        An emulated board that cannot be set up.
    """
    if not isinstance(target, str):
        yield Section(target.configuration())
    elif target == "emulated":
        try:
            from spikingconvnet.emulator import Board, SetupError
        except ImportError as error:
            raise BackendError(f"--target emulated: {error}; install it with: pip install 'spikingconvnet[emulator]'"
                               ) from error
        try:
            # In no real time, for sources without spikes look as if they waited for somebody's.
            with Board(real_time=False, timed=timed, boards=boards) as board:
                yield Section(board.configuration(), board.loads if timed else dict)
        except SetupError as error:
            raise SimulationFailed(f"--target emulated: {error}") from error
    elif target.startswith("spalloc:"):
        server = Address(target)
        server.warn(server.login, logger)
        login = vars(server.login) if server.login else {}
        with (_environment(**{f"{SPALLOC_LOGIN}_{name.upper()}": value for name, value in login.items()}),    # no file
              _discreet(), kept()):
            yield Section(_of_server(server.removeprefix("spalloc:")))
    else:
        kind, _, host = target.partition(":")
        version, usual = BOARDS.get(kind, (5, None))
        yield Section(f"[Machine]\nversion = {version}\nmachine_name = {host or usual or target}\n")


def _of_server(url: str) -> str:
    """Text of the section Machine for a spalloc server."""
    if not _hands_out_emulated(url):
        return f"[Machine]\nversion = 5\nspalloc_server = {url}\n"
    from spikingconvnet.emulator.board import configuration

    return configuration(5, url, "spalloc_server")


def _hands_out_emulated(url: str) -> bool:
    """Whether a spalloc server's boards are emulated ones, which want another configuration: its machines' tags say so.

    One that does not answer as it should is taken for a server of real boards: sPyNNaker will say what is wrong.
    """
    from spinnman.exceptions import SpallocException
    from spinnman.spalloc import SpallocClient

    try:
        with SpallocClient(url, bearer_token=os.environ.get(TOKEN)) as client:
            machines = client.list_machines().values()
            return bool(machines) and all("emulated" in machine.tags for machine in machines)
    except (OSError, ValueError, LookupError, TypeError, SpallocException):
        return False


@contextmanager
def private_configuration(home: Path, text: str, and_local: bool = False) -> Iterator[None]:
    """Have sPyNNaker find `text` as its configuration, and nothing else, until the context ends.

    Parameters
    ----------
    home : Path
        Directory that is the home directory meanwhile; made if it is not there.
    text : str
        Of the file.
    and_local : bool
        Whether a `LOCAL_FILE` in the current directory, which overrides it, is meant to.

    Raises
    ------
    SettingsError
        The current directory has such a file, and it is not.
    """
    if Path(LOCAL_FILE).exists() and not and_local:
        raise SettingsError(f"{Path(LOCAL_FILE).resolve()}: sPyNNaker reads it and it would override --target;"
                            " run in another directory")
    home.mkdir(parents=True, exist_ok=True)
    (home / f".{LOCAL_FILE}").write_text(text)
    nowhere = str(home / "nowhere")
    with _environment(HOME=str(home), XDG_CONFIG_HOME=nowhere, XDG_CONFIG_DIRS=nowhere):
        yield


@contextmanager
def sources_in_phase() -> Iterator[None]:
    """Have sPyNNaker count a process's sources anew, whose time steps begin later with their number.

    SpiNNFrontEndCommon 7.4.1 lets source number i begin steps 50 + i us (modulo 1 ms; more below 50 sources)
    after neurons, and counts all that the process has made (``reverse_ip_tag_multicast_source_machine_vertex.py``, line
    609): those from number 850 on send at the end of their step, and neurons take it late, or drop it.
    """
    from spinn_front_end_common.utility_models import ReverseIPTagMulticastSourceMachineVertex as Source

    with patch.multiple(Source, _n_vertices=0, _n_data_specs=0):
        yield


@contextmanager
def _discreet() -> Iterator[None]:
    """Keep secrets out of sPyNNaker's files: what a server repeats, and the session with it, which opens boards.

    The session is there for programs that draw while a run is going on (SpiNNMan 7.4.1 ``spalloc_client.py:566``).
    """
    from spinn_front_end_common.interface.abstract_spinnaker_base import AbstractSpinnakerBase
    from spinn_front_end_common.interface.provenance import GlobalProvenance
    from spinnman.spalloc.spalloc_client import _SpallocJob

    def connected(simulator: Any, *args: Any) -> Any:
        try:
            return connect(simulator, *args)
        except Exception as error:      # of any kind, and written into a file before it comes to us
            hide_in(error)
            raise

    store, connect = GlobalProvenance.store_log, AbstractSpinnakerBase._get_transceiver
    with (patch.object(_SpallocJob, "get_session_credentials_for_db", lambda job: {}),
          patch.object(AbstractSpinnakerBase, "_get_transceiver", connected),
          patch.object(GlobalProvenance, "store_log",
                       lambda database, level, message, *when: store(database, level, hidden(message), *when))):
        yield


def hide_in(error: Failure) -> Failure:
    """The error, whose text and causes are rid of what `address.hidden` hides."""
    error.args = tuple(hidden(arg) if isinstance(arg, str) else hide_in(arg) if isinstance(arg, Exception) else arg
                       for arg in error.args)
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            hide_in(cause)
    return error


class Hiding:
    """A text file that is written without what `address.hidden` hides."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """As that of a file."""
        return self._file.write(hidden(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextmanager
def messages_to(stream: Hiding) -> Iterator[None]:
    """Have sPyNNaker's loggers write to `stream` alone, and leave everybody else's as they are."""
    from spinn_utilities.log import FormatAdapter

    atexit.unregister(FormatAdapter.atexit_handler)     # it would repeat them all on stderr
    kept = [(handler, handler.formatter, handler.filters[:]) for handler in logging.root.handlers]
    handler = logging.StreamHandler(stream)
    loggers = [logging.getLogger(package) for package in PACKAGES]
    for one in loggers:
        one.addHandler(handler)
        one.propagate = False
    try:
        yield
    finally:
        for one in loggers:
            one.removeHandler(handler)
        for root_handler, formatter, filters in kept:
            root_handler.setFormatter(formatter)
            root_handler.filters = filters


@contextmanager
def _environment(**variables: str | None) -> Iterator[None]:
    """Environment variables until the context ends; those that are None stay as they are."""
    changed = {name: value for name, value in variables.items() if value is not None}
    kept = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def is_own(vertex: Any) -> bool:
    """Whether a vertex of a machine is one of the network's, and no monitor."""
    return vertex.app_vertex is not None


def provenance_database() -> str:
    """The file that sPyNNaker writes provenance to."""
    from spinn_front_end_common.utilities.base_database import BaseDatabase

    return BaseDatabase.default_database_file()


def chips() -> list[Pair]:
    """The chips whose routers have a table: (x, y)."""
    from spynnaker.pyNN.data import SpynnakerDataView as view

    return [(table.x, table.y) for table in view.get_uncompressed().routing_tables]
