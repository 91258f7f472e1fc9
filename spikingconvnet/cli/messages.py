"""What a command says on stderr while it works: lines, and bars on a terminal that lines do not tear."""

import logging
import shlex
import shutil
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

PACKAGE = "spikingconvnet"
logger = logging.getLogger(PACKAGE)
PLAIN, TIMED = "%(message)s", "%(relativeCreated)8.0f ms  %(name)s: %(message)s"
TICK = 1.0          # s after which a bar is drawn again, whatever its loop does
_bars: list[Any] = []


def say(text: str = "") -> None:
    """A line of how it goes, which ``--quiet`` leaves out."""
    logger.info("%s", text)


def program() -> str:
    """How the command line was called, as a shell takes it again."""
    name, words = Path(sys.argv[0]).name, sys.orig_argv
    if name == "__main__.py":
        return shlex.join([words[0], "-m", PACKAGE])
    if name.endswith(".py") and sys.argv[0] in words:
        return shlex.join([words[0], sys.argv[0]])
    found = shutil.which(name)
    here = found is not None and Path(found).absolute() == Path(sys.argv[0]).absolute()
    return shlex.quote(name if here else sys.argv[0] or PACKAGE)


@contextmanager
def heard() -> Iterator[None]:
    """Have what is logged come out on stderr for as long as a command runs; bars give way to lines, and tick."""
    root, handler, ended = logging.getLogger(), logging.StreamHandler(sys.stderr), threading.Event()
    kept = root.level, logger.level
    handler.setFormatter(logging.Formatter(PLAIN))
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    if sys.stderr.isatty():
        threading.Thread(target=_tick, args=(ended,), daemon=True).start()
    try:
        with logging_redirect_tqdm():
            yield
    finally:
        ended.set()
        root.removeHandler(handler)
        root.setLevel(kept[0])
        logger.setLevel(kept[1])


def set_level(quiet: bool, verbose: bool) -> None:
    """Have warnings and errors heard alone, or everything of the package with times and names, or what is usual."""
    root = logging.getLogger()
    root.setLevel(logging.WARNING if quiet else logging.INFO)
    logger.setLevel(logging.DEBUG if verbose else logging.NOTSET)
    for handler in root.handlers if verbose else ():
        handler.setFormatter(logging.Formatter(TIMED))


def progress(items: Iterable[Any], description: str) -> Iterable[Any]:
    """The same items; on a terminal with a bar that says how far a loop is, and when it will be done."""
    shown: Iterable[Any] = _bar(items, description)
    return shown


@contextmanager
def step(description: str) -> Iterator[None]:
    """On a terminal, how long something has taken that does not know how far it is."""
    with _bar(None, description, bar_format="{desc}: {elapsed}"):
        yield


def _bar(items: Iterable[Any] | None, description: str, **more: Any) -> Any:
    logger.debug("%s", description)
    quiet = not logger.isEnabledFor(logging.INFO)
    bar = tqdm(items, desc=description, disable=True if quiet else None, leave=False, dynamic_ncols=True, **more)
    _bars.append(bar)
    return bar


def error(text: str) -> None:
    """What has gone wrong, in place of whatever bar is left."""
    for bar in _bars:
        bar.close()
    logger.error("%s", text)


def _tick(ended: threading.Event) -> None:
    while not ended.wait(TICK):
        for bar in list(_bars):
            bar.refresh()
