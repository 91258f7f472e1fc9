"""One writer at a time for each run directory: a lock that the system frees when its holder ends, however it ends.

The lock is the file ``.lock`` in the run directory, there while something is written; it says who writes. What only
reads does not look at it: every file appears whole.
"""

import errno
import json
import logging
import os
import socket
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from spikingconvnet.errors import RunDirectoryInUse
from spikingconvnet.gates.files import cannot_write, is_alive, sweep

logger = logging.getLogger(__name__)

NAME = ".lock"
LOOKS, BETWEEN = 20, 0.05       # at a lock whose holder has not yet said who it is, and s between two of them
held: Counter[str] = Counter()  # how many times this process holds a lock
NO_LOCKS = errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK


@contextmanager
def writing(folder: Path, command: str) -> Iterator[None]:
    """Hold the lock of a run directory, which is made if need be; in one process as often as one likes.

    What killed processes have left there is cleared.

    Parameters
    ----------
    folder : Path
    command : str
        What another writer is told of this one.

    Raises
    ------
    RunDirectoryInUse
        Another process writes there.
    SurroundingsError
        The folder cannot be written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    key = os.path.realpath(folder)
    try:
        lock = _acquired(folder)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise cannot_write(folder, error) from error
        logger.warning("%s: its file system has no locks (%s), so nothing keeps two commands apart", folder,
                       error.strerror)
        yield
        return
    held[key] += 1
    try:
        if held[key] == 1:
            _sign(folder, command)
            sweep(folder)
        yield
    finally:
        held[key] -= 1
        if not held[key]:
            (folder / NAME).unlink(missing_ok=True)
        lock.release()
        _remove_empty(made)


@contextmanager
def waiting(path: Path) -> Iterator[None]:
    """Hold a lock of its own file, however long another process has it; nothing where a file system has no locks."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, fallback_to_soft=False)
        lock.acquire()
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise cannot_write(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _acquired(folder: Path) -> FileLock:
    """The lock of a folder, held."""
    for _ in range(LOOKS):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / NAME, timeout=0, thread_local=False, is_singleton=True, fallback_to_soft=False)
        try:
            lock.acquire()
            return lock
        except Timeout:
            if (holder := _holder(folder)) is not None:
                raise RunDirectoryInUse(f"{folder}: is being written by {holder}; wait until it has ended, or choose"
                                        " another --run-dir") from None
        except FileNotFoundError:       # a command that has left nothing has just taken its folder away
            pass
        time.sleep(BETWEEN)
    raise RunDirectoryInUse(f"{folder}: is being written by another process; wait until it has ended, or choose another"
                            " --run-dir")


def _sign(folder: Path, command: str) -> None:
    """Say in the lock who holds it."""
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "command": command,
              "since": time.strftime("%Y-%m-%d %H:%M:%S")}
    (folder / NAME).write_text(json.dumps(holder))


def _holder(folder: Path) -> str | None:
    """In words, who holds a lock; None if the holder has not said so yet, and a dead one's words are still there."""
    try:
        holder = json.loads((folder / NAME).read_text())
        pid, host = int(holder["pid"]), holder["host"]
        text = f"process {pid} on {host} since {holder['since']} ({holder['command']})"
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return text if host != socket.gethostname() or is_alive(pid) else None


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders, the innermost first, as far as nothing is in them."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return
