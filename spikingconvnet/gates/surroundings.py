"""What a process stands in: its streams, the signals that end it, and what the system refuses. Nothing heavy."""

import errno
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn

from spikingconvnet.errors import SpikingConvNetError, SurroundingsError

INTERRUPTED = "interrupted; what was finished is kept, the same command goes on from there"
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
ADVICE = {**dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room, or choose another --run-dir"),
          **dict.fromkeys((errno.EMFILE, errno.ENFILE), "allow more open files, as with: ulimit -n 1024"),
          **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "see to its rights, or name another"),
          **dict.fromkeys((errno.ENOMEM, errno.EAGAIN), "end other programs, or give --jobs a smaller number")}
LEAST = 32 << 20        # bytes of address space that a command begins with; with fewer C libraries end the process
NO_MEMORY = f"error: no memory is left; {ADVICE[errno.ENOMEM]}\n".encode()      # made while there is some
REFUSALS = [os.strerror(number) for number in ADVICE] + ["can't start new thread", "cannot allocate memory",
                                                         "failed to map segment"]


class Stopped(KeyboardInterrupt):
    """A signal that ends the command, with the exit code that shells give it."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(number)
        self.number, self.exit_code = number, 128 + number


def require_memory() -> None:
    """Raise a SurroundingsError where a limit of memory (``ulimit -v``) leaves hardly anything to begin with."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except (ModuleNotFoundError, OSError):      # no limits, or nobody says what is used
        return
    if limit != resource.RLIM_INFINITY and limit - used < LEAST:
        raise SurroundingsError(f"the limit of memory leaves {max(limit - used, 0) >> 20} MB, and commands begin with "
                                f"at least {LEAST >> 20}; set a larger one, as with: ulimit -v unlimited")


@contextmanager
def told() -> Iterator[None]:
    """Have what the system refuses come out as a SurroundingsError of one sentence."""
    try:
        yield
    except SpikingConvNetError:
        raise
    except (MemoryError, OSError, ImportError, RuntimeError) as error:
        text = _sentence(error)
        if text is None:
            raise
        raise SurroundingsError(text) from error


def _sentence(error: BaseException) -> str | None:
    """What the system has refused, and what to do; None for an error of another kind."""
    if isinstance(error, MemoryError):
        return f"no memory is left; {ADVICE[errno.ENOMEM]}"
    if isinstance(error, OSError) and error.errno is not None:
        if error.filename is None and error.errno == errno.ENOENT:
            return f"the current directory: {error.strerror}; go to another"
        path = "the system" if error.filename is None else os.fsdecode(error.filename)
        return f"{path}: {error.strerror}; {ADVICE.get(error.errno, 'see what is there, or name another')}"
    if any(text in str(error) for text in REFUSALS):        # libraries that cannot be loaded, threads
        return f"{error}; {ADVICE[errno.EMFILE]}, and {ADVICE[errno.ENOMEM]}"
    return None if error.__cause__ is None else _sentence(error.__cause__)


class Lossy(io.FileIO):
    """A stream for messages: what cannot be written is lost, and nothing fails for it."""

    def write(self, content: Any) -> int:
        """As FileIO's, of everything."""
        try:
            return super().write(content)
        except OSError:
            return len(content)


def settle() -> None:
    """Make the process independent of how it was started.

    Every standard stream is there, so that no file gets its number; messages never fail; text that a terminal cannot
    show is escaped; warnings are no errors, and figures need no window.
    """
    for number, flags in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):    # a closed stdout stays unwritable
        try:
            os.fstat(number)
        except OSError:
            _open_nothing(flags)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)      # noqa: SIM115 - it stays
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(Lossy(2, "wb", closefd=False)), encoding, "backslashreplace",
                                  line_buffering=True)
    if any("error" in option for option in sys.warnoptions):
        warnings.simplefilter("default")
    os.environ["MPLBACKEND"] = "agg"


def _open_nothing(flags: int) -> None:
    """Open the null device; where it cannot be, an end of a pipe that has no other one."""
    try:
        os.open(os.devnull, flags)
    except OSError:
        number, write = os.pipe()           # the first is what was closed
        if flags == os.O_WRONLY:
            os.dup2(write, number)
        os.close(write)


class Signals:
    """Signals that end a command: while it is at work the first raises :class:`Stopped`, any other ends the process.

    An interrupt that a library makes another error of, or that arrives where Python can only print it, is still one.

    Attributes
    ----------
    code : int or None
        The command's exit code, once it has ended.
    """

    def __init__(self) -> None:
        self.code: int | None = None
        self._number: int | None = None
        sys.unraisablehook = self._again
        self._on(self.leave)

    def __enter__(self) -> None:
        self._on(self._stop)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._on(self.leave)
        if self._number is not None and kind not in (None, SystemExit):
            self.leave(self._number)

    def leave(self, number: int, frame: FrameType | None = None) -> NoReturn:
        """End the process at once."""
        if self.code is None:
            os.write(2, f"{INTERRUPTED}\n".encode())
        os._exit(128 + number if self.code is None else self.code)

    def judged(self, code: int) -> int:
        """A command's exit code, or that of the signal which made it fail."""
        return 128 + self._number if code and self._number is not None else code

    def _stop(self, number: int, frame: FrameType | None) -> NoReturn:
        if self._number is not None:
            self.leave(number)
        self._number = number
        raise Stopped(number)

    @staticmethod
    def _on(handler: Callable[[int, FrameType | None], object]) -> None:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:      # as for what a shell runs in the background
                signal.signal(number, handler)

    @staticmethod
    def _again(unraisable: "sys.UnraisableHookArgs") -> None:
        if isinstance(unraisable.exc_value, Stopped):       # not from here, which would lose it again
            threading.Timer(0.01, os.kill, (os.getpid(), unraisable.exc_value.number)).start()
        else:
            sys.__unraisablehook__(unraisable)


def say_on_stdout(text: str = "") -> None:
    """Print a line on stdout, now; SurroundingsError if it cannot be written."""
    try:
        if text:        # an unbuffered stream would write nothing, too, and fail
            print(text)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())      # for what is still to be written at the end
        raise SurroundingsError(f"stdout: cannot be written ({error.strerror})") from error
