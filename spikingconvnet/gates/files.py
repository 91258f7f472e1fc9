"""Files that appear whole or not at all, and what killed processes have left of them."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from spikingconvnet.errors import SurroundingsError

SUFFIX = ".tmp"


def write_whole(path: Path, save: Callable[[BinaryIO], object]) -> None:
    """Call ``save(stream)`` on a temporary file beside `path`, then put it in its place.

    Parameters
    ----------
    path : Path
        Its folder is made.
    save : callable
        Writes to a binary stream.

    Raises
    ------
    SurroundingsError
    """
    # Not of the file's own name, beside which there may be no room for more letters; one a thread.
    temporary = path.with_name(f".{threading.get_ident()}.{socket.gethostname()}.{os.getpid()}{SUFFIX}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "wb") as stream:
                save(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, as :func:`write_whole`; what has none, as bytes in names of files, is escaped."""
    write_whole(path, lambda stream: stream.write(text.encode(errors="backslashreplace")))


def cannot_write(path: Path, error: OSError) -> SurroundingsError:
    """The SurroundingsError that says why the system does not let `path` be written."""
    return SurroundingsError(f"{path}: cannot be written ({error.strerror or error}); choose another place for it, as"
                             " with --run-dir")


def sweep(folder: str | Path, below: bool = True) -> None:
    """Delete what killed processes have left in a folder and, if its lock is held, `below` it.

    With the lock every temporary file is of a process that has ended; without it those of this machine's dead processes
    are.
    """
    for left in Path(folder).glob(f"{'**/' * below}.*{SUFFIX}"):
        if below or _is_dead(left.name):
            left.unlink(missing_ok=True)


def _is_dead(name: str) -> bool:
    """Whether a temporary file's name is that of a process of this machine that has ended."""
    host, _, pid = name.removesuffix(SUFFIX)[1:].partition(".")[2].rpartition(".")
    return host == socket.gethostname() and pid.isdecimal() and not is_alive(int(pid))


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is there."""
    import psutil  # which the far side of a job, where nothing else runs in a directory, has not

    try:
        return bool(psutil.pid_exists(pid))
    except OverflowError:               # no number of a process
        return False
