"""What is finished of a training that is still going on."""

from collections.abc import Mapping
from typing import Any

from spikingconvnet.gates.schema import Schema
from spikingconvnet.network.arrays import ArrayLike
from spikingconvnet.store.directory import RunDirectory


class Unfinished:
    """What is finished of a result in the making, in one file that is replaced as more of it is finished.

    Parameters
    ----------
    store : RunDirectory
    name : str
        Of the result.
    made_from : str
        See :func:`digest`; what was made from something else is not gone on with.
    how : dict
        As for ``RunDirectory.write``.
    schema : schema.Schema
        What it holds.
    """

    def __init__(self, store: RunDirectory, name: str, made_from: str, how: Mapping[str, Any], schema: Schema) -> None:
        self._store, self._name, self._made_from, self._how = store, f"{name}-unfinished", made_from, how
        self._schema = schema

    def read(self) -> dict[str, Any] | None:
        """What is finished: dict of arrays, or None if nothing is."""
        return self._store.cached(self._name, self._made_from, self._schema)

    def write(self, **arrays: ArrayLike) -> None:
        """Keep what is finished now, instead of what was kept before."""
        self._store.write(self._name, self._made_from, self._how, **arrays)

    def forget(self) -> None:
        """Delete the file, because the result itself is there."""
        self._store.file(self._name).unlink(missing_ok=True)
