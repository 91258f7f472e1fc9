"""sPyNNaker's databases during a run: they do not wait for the disk, and are opened once.

Regions of a core are looked up, not searched for.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any, TypeAlias
from unittest.mock import patch

MOST = 8            # connections that wait; every reset begins new files

_REGIONS = "SELECT x, y, p, region_num, pointer, content FROM region"      # the view's other half is references

Key: TypeAlias = tuple[int, int, int]               # device and number of a file, thread


class _Kept(sqlite3.Connection):
    """A connection that waits for whoever opens its file next, when it is closed."""

    def __init__(self, path: str, *, idle: "dict[Key, _Kept]", **options: Any) -> None:
        super().__init__(path, check_same_thread=False, **options)      # the end may come in another thread
        self.execute("PRAGMA synchronous = OFF")
        self._idle, self._key = idle, _key(path)

    def executescript(self, script: str) -> sqlite3.Cursor:
        """Run a script, where the regions of a core are looked up.

        The view ``pointer_content_view`` (SpiNNFrontEndCommon 7.4.1, ``dse.sql``:136) makes a union of references and
        regions, and to leave out what is there twice, SQLite goes through all regions for every core: 0.13 s for
        each of 2,400 cores. Nothing is there twice.
        """
        return super().executescript(script.replace(f"UNION\n{_REGIONS}", f"UNION ALL\n{_REGIONS}"))

    def close(self) -> None:
        """Wait, or end if there is one that waits for the same file already."""
        if self._idle.setdefault(self._key, self) is not self:
            self.end()
            return
        self.rollback()
        self.row_factory, self.text_factory = None, str
        if len(self._idle) > MOST:
            self._idle.pop(next(iter(self._idle))).end()

    def end(self) -> None:
        """Close it."""
        super().close()


def _key(path: str) -> Key:
    file = os.stat(path)
    return file.st_dev, file.st_ino, threading.get_ident()


def _connected(path: str, idle: dict[Key, _Kept], **options: Any) -> sqlite3.Connection:
    """A connection to a file: one that waits, if there is one. It keeps its file's number from being given again."""
    if options.get("uri") or path == ":memory:":
        return sqlite3.connect(path, **options)
    there = idle.pop(_key(path), None) if os.path.exists(path) else None
    return there or _Kept(path, idle=idle, **options)


@contextmanager
def kept_open() -> Iterator[None]:
    """Have sPyNNaker open each of its databases once, ask it well, and leave it to the system when they reach the disk.

    SpiNNFrontEndCommon 7.4.1 opens one anew for every step that it has timed (``fec_timer.py:107``) and for every core
    that it reads: some thousand times in a small run. Each time SQLite has read all tables again, and each change
    has waited for the disk: most of the time of a small run. What was changed survives the end of this process, not
    that of the machine.
    """
    from spinn_front_end_common.utilities import sqlite_db

    idle: dict[Key, _Kept] = {}
    connect = partial(_connected, idle=idle)
    try:
        with patch.object(sqlite_db, "sqlite3", SimpleNamespace(**{**vars(sqlite3), "connect": connect})):
            yield
    finally:
        for connection in idle.values():
            connection.end()
