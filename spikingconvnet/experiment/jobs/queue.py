"""The queue of a service: a job is submitted, watched and fetched by the service's own client.

That of EBRAINS is `nmpi` of hbp-neuromorphic-platform 0.11.2; lines are those of its ``nmpi_user.py``. It writes the
token that it is given into a file of the home directory (line 168), and asks for a password when the service does not
take one (line 161); here it does neither. Which job a file was submitted as is kept beside it, so the same command
goes on watching.
"""

import base64
import glob
import hashlib
import io
import json
import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from spikingconvnet.backends.spinnaker.failures import in_one_line
from spikingconvnet.backends.spinnaker.machine import hide_in
from spikingconvnet.errors import BackendError, SettingsError, SpikingConvNetError, StoreError
from spikingconvnet.experiment.jobs.archive import REPORTS, RESULTS
from spikingconvnet.experiment.jobs.bundle import CONFIGURATION
from spikingconvnet.gates.address import TOKEN, hidden
from spikingconvnet.gates.files import write_text
from spikingconvnet.gates.schema import is_text, parse_json

logger = logging.getLogger(__name__)

QUEUES = ("ebrains",)
PLATFORM, COMMAND = "SpiNNaker", "run.py {system}"
ENDED = ("finished", "error")
INTERVAL, FAILURES = 30.0, 20       # s between two looks at a job, and how many of them in a row may fail
LOG = "log.txt"
HOURS = 24              # that a job may take, by default


@dataclass(frozen=True)
class Fetched:
    """What a job that has ended has left.

    Attributes
    ----------
    number : str
        Of the job, as the service has it.
    state : str
        One of `ENDED`.
    folder : Path
        Where its files are.
    files : tuple of str
        Of `RESULTS`, `REPORTS` and `LOG`, those that it has left.
    """

    number: str
    state: str
    folder: Path
    files: tuple[str, ...]


@dataclass(frozen=True)
class Account:
    """Whom a token is of, and what a collab may use.

    Attributes
    ----------
    user : str
    hours_left : float or None
        For which the token is good; None if it does not say so.
    quotas : list of (used, granted, unit)
        Of the collab on `PLATFORM`, in the service's own unit.
    """

    user: str
    hours_left: float | None
    quotas: list[tuple[float, float, str]]


def account(collab: str | None) -> Account:
    """Ask the service whom the token is of, and what a collab may use; nothing is submitted.

    Raises
    ------
    SettingsError, BackendError
        As of :func:`submitted`.
    """
    with _client() as client, _telling():
        found = client.quotas(collab) if collab else []
        quotas = [(float(one["usage"]), float(one["limit"]), str(one["units"])) for one in found
                  if one["platform"] == PLATFORM]
        return Account(str(client.user_info["username"]), _hours_left(os.environ.get(TOKEN, "")), quotas)


def _hours_left(token: str) -> float | None:
    """For how long a token is good, which it says itself where it is a JSON Web Token (RFC 7519, 4.1.4)."""
    try:
        said = parse_json(base64.urlsafe_b64decode(token.split(".")[1] + "===").decode())
        return (float(said["exp"]) - time.time()) / 3600
    except (IndexError, KeyError, TypeError, ValueError, StoreError):
        return None


def configuration(hours: int = HOURS) -> dict[str, Any]:
    """What a job asks of the service: the release whose integers are known, and the hours that it may take."""
    return {**CONFIGURATION, "timeout": hours}


def parts_of(job: Path) -> list[Path]:
    """The file of a job; or those of its parts, where it was made in several."""
    if job.is_file():
        return [job]
    found = {int(number): path for path in job.parent.glob(f"{glob.escape(job.stem)}-*.py")
             if (number := path.stem.rpartition("-")[2]).isdecimal()}
    return [found[number] for number in sorted(found)] or [job]


def submitted(jobs: Sequence[Path], collab: str | None, hours: int = HOURS,
              wait: Callable[[float], object] = time.sleep) -> list[Fetched]:
    """Submit jobs, or go on with those that were submitted; wait for their ends, and fetch what they have left.

    Parameters
    ----------
    jobs : list of Path
        Their files; all are submitted before one is waited for.
    collab : str or None
        To whose quota it goes; None where it was submitted before.
    hours : int
        That it may take.
    wait : callable
        ``wait(seconds)`` between two looks.

    Raises
    ------
    SettingsError
        No such file, no collab, or no token in the environment.
    StoreError
        The file has changed since it was submitted.
    BackendError
        Without the client; or the service refuses something or does not answer.
    """
    for job in jobs:
        if not job.is_file() or job.suffix != ".py":
            raise SettingsError(f"{job}: is no job; make one with: --mode bundle {job.with_suffix('.py')}")
    with _client() as client:
        numbers = {job: _submitted_before(job) or _submit(client, job, collab, hours) for job in jobs}
        return [_fetch(client, _ended(client, number, wait), number, job.with_suffix(""))
                for job, number in numbers.items()]


def record_of(job: Path) -> Path:
    """The file that says which job a file, or the one that a folder is named after, was submitted as."""
    return job.with_name(f"{job.name.removesuffix('.py')}.submitted.json")


def _submitted_before(job: Path) -> str | None:
    """Number of the job that a file was submitted as; None if it was not."""
    path = record_of(job)
    if not path.is_file():
        return None
    try:
        told = parse_json(path.read_text())
    except (ValueError, UnicodeError, StoreError):
        told = {}
    if not (isinstance(told, dict) and is_text(told.get("job")) and is_text(told.get("file"))):
        raise StoreError(f"{path}: is damaged; delete it, and the job is submitted anew")
    if told["file"] != _digest(job):
        raise StoreError(f"{job}: has changed since it was submitted as {told['job']}; give it another name, or delete"
                         f" {path} to submit it anew")
    logger.info("%s was submitted before, as %s; to submit it anew delete %s", job, told["job"], path)
    return str(told["job"])


def _digest(job: Path) -> str:
    return hashlib.sha256(job.read_bytes()).hexdigest()


def _submit(client: Any, job: Path, collab: str | None, hours: int) -> str:
    if collab is None:
        raise SettingsError("--collab: is missing; name the collab whose quota the job is to use, as its address"
                            " https://wiki.ebrains.eu/bin/view/Collabs/NAME has it")
    with _telling():
        number = str(client.submit_job(str(job), PLATFORM, collab, config=configuration(hours), command=COMMAND))
    told = json.dumps({"queue": QUEUES[0], "job": number, "collab": collab, "file": _digest(job)}, indent=2)
    write_text(record_of(job), told)
    logger.info("%s is %s of %s", job, number, collab)
    return number


def _ended(client: Any, number: str, wait: Callable[[float], object]) -> Mapping[str, Any]:
    """A job once it has ended, as the service describes it; each change of its state is told."""
    before, failures = None, 0
    while True:
        try:
            with _telling():
                found: Mapping[str, Any] = client.get_job(number, with_log=True)
            state, failures = found["status"], 0
            if state != before:
                logger.info("%s: %s", number, hidden(str(state)))
            if state in ENDED:
                return found
            before = state
        except BackendError as error:
            failures += 1
            if failures == FAILURES:
                raise
            logger.debug("%s", error)
        wait(INTERVAL)


def _fetch(client: Any, job: Mapping[str, Any], number: str, folder: Path) -> Fetched:
    """Fetch the files that are of use, under their own names whatever folders the service has them in."""
    folder.mkdir(parents=True, exist_ok=True)
    found = (job.get("output_data") or {}).get("files") or ()
    wanted = {Path(str(one["path"])).name: one["url"] for one in found
              if Path(str(one["path"])).name in (RESULTS, REPORTS)
              and urlsplit(str(one["url"])).scheme in ("http", "https")}
    with _telling():
        client.download_data({**job, "output_data": {"files": [{"path": name, "url": url}
                                                               for name, url in wanted.items()]}}, str(folder))
    log = hidden(str(job.get("log") or ""))
    write_text(folder / LOG, log)
    return Fetched(number, str(job["status"]), folder, (*wanted, LOG))


@contextmanager
def _client() -> Iterator[Any]:
    """The service's client, which keeps its token in no file and asks nobody for a password."""
    token = os.environ.get(TOKEN)
    try:
        from nmpi import nmpi_user
    except ImportError as error:
        raise BackendError(f"--queue ebrains: {error}; install it with: pip install 'spikingconvnet[ebrains]'"
                           ) from error
    if not token:
        raise SettingsError(f"--queue ebrains: needs a token; set {TOKEN} in the environment, for example with:"
                            f" read -s {TOKEN} && export {TOKEN}")
    with (patch.object(nmpi_user, "TOKENFILE", os.devnull),
          patch.object(nmpi_user.getpass, "getpass", _no_password), redirect_stdout(io.StringIO())):
        with _telling():
            client = nmpi_user.Client(token=token)
        yield client


def _no_password(*_: object, **__: object) -> str:
    raise BackendError(f"--queue ebrains: the service does not take the token; it lasts for some hours, so get a new"
                       f" one and set {TOKEN} to it")


@contextmanager
def _telling() -> Iterator[None]:
    """Have what the client raises, which has no type of its own, come out as a BackendError without the token."""
    try:
        yield
    except SpikingConvNetError:
        raise
    except Exception as error:
        told = BackendError(f"--queue ebrains: {in_one_line(hide_in(error))}; the same command goes on")
        raise told from error
