"""What a library in C prints to stdout, for this process to read instead of the user."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from threading import Thread

STDOUT = 1


@contextmanager
def overheard(hear: Callable[[Iterator[str]], None]) -> Iterator[None]:
    """Give lines to ``hear(lines)`` in a thread of its own, as they are printed; what Python prints is dropped.

    Where there is no stdout, nothing is heard.

    Parameters
    ----------
    hear : callable
        Is given an iterator that ends with the context; what it leaves is dropped.
    """
    try:
        kept = os.dup(STDOUT)
    except OSError:
        yield
        return
    reading, writing = os.pipe()
    listener = Thread(target=_listen, args=(reading, hear), daemon=True)
    listener.start()
    os.dup2(writing, STDOUT)
    os.close(writing)
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        os.dup2(kept, STDOUT)       # the last end to write to is closed with it, so the listener ends
        os.close(kept)
        listener.join()


def _listen(reading: int, hear: Callable[[Iterator[str]], None]) -> None:
    with open(reading, encoding="utf-8", errors="replace") as lines:
        try:
            hear(lines)
        finally:
            for _ in lines:         # or who prints would wait for ever
                pass
