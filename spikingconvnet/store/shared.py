"""Run directories that share what they hold: a result that one of them has made is not made again by another.

Beside them is a pool, in which every result stands under its name and the digest of what it was made from, as a link to
the same file (a copy where a file system has no links). Files are replaced and never changed, so no run sees another's
change.
"""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spikingconvnet.errors import StoreError
from spikingconvnet.gates.files import SUFFIX, cannot_write
from spikingconvnet.gates.schema import Schema
from spikingconvnet.network.arrays import ArrayLike
from spikingconvnet.store import locks
from spikingconvnet.store.directory import RunDirectory


class SharedRun(RunDirectory):
    """A run directory that takes what it lacks from a pool, and keeps there what it makes.

    Parameters
    ----------
    path : str or Path
    pool : Path
    command : str or None
        As of RunDirectory.

    Attributes
    ----------
    waited : float
        Seconds in which another run was at work on what this one needs.
    """

    def __init__(self, path: str | Path, pool: Path, command: str | None = None) -> None:
        super().__init__(path, command)
        self.pool, self.waited = pool, 0.0

    @property
    def own_downloads(self) -> Path:
        """Folder of the data sets that were fetched, for all runs of the pool."""
        return self.pool / "downloads"

    @contextmanager
    def once(self, key: str) -> Iterator[None]:
        """Hold what has this key for oneself among all runs, waiting for it."""
        begin = time.perf_counter()
        with locks.waiting(self.pool / "locks" / key[:32]):
            self.waited += time.perf_counter() - begin
            yield

    def write(self, name: str, made_from: str, how: Mapping[str, Any], **arrays: ArrayLike) -> None:
        """As of RunDirectory, and into the pool, but for what is unfinished."""
        super().write(name, made_from, how, **arrays)
        if not name.endswith("-unfinished"):
            _link(self.file(name), self._pooled(name, made_from))

    def read(self, name: str, command: str, made_from: str | None = None,
             schema: Schema | None = None) -> dict[str, Any]:
        """As of RunDirectory; what is missing or of other settings is looked for in the pool."""
        try:
            return super().read(name, command, made_from, schema)
        except StoreError:
            if made_from is None or not self._pooled(name, made_from).is_file():
                raise
        _link(self._pooled(name, made_from), self.file(name))
        return super().read(name, command, made_from, schema)

    def offer(self, name: str, key: str) -> None:
        """Keep a result in the pool under another key than what it was made from, for :meth:`adopt`."""
        _link(self.file(name), self._pooled(name, key))

    def adopt(self, name: str, key: str) -> None:
        """Take a result that was offered under this key, if there is one and the run has none of its own."""
        if self._pooled(name, key).is_file() and not self.file(name).is_file():
            _link(self._pooled(name, key), self.file(name))

    def _pooled(self, name: str, made_from: str) -> Path:
        return self.pool / f"{name}-{made_from}.npz"


def _link(source: Path, target: Path) -> None:
    """Have `target` be the same file as `source`, whatever it was."""
    temporary = target.with_name(f".{os.getpid()}{SUFFIX}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        try:
            os.link(source, temporary)
        except OSError:         # no links here
            shutil.copyfile(source, temporary)
        os.replace(temporary, target)
        temporary.unlink(missing_ok=True)       # of two links to one file the system replaces none
    except OSError as error:
        raise cannot_write(target, error) from error
