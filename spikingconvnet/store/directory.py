"""The run directory: every path and file format, safe files only, written whole or not at all.

Results are ``.npz`` files of plain arrays (never pickled objects) that carry a digest of what produced them; a result
whose digest does not fit the settings in force is not used. A seal, a digest of everything in the file, tells whether
it is what was written; what was written before there were seals is believed without one. What a file has to hold is
checked as it is read, see ``schema``.

    parameters.py          the experiment, copied with every command; or parameters.toml
    set.json               values that --set gave to single settings
    data/train.npz         input spikes and labels of a split (also validation, test)
    layers/1.npz           kernels before and after, inference kernels, thresholds, course of the training
    layers/1-unfinished.npz what a training that has not come to its end has finished of it
    spikes/1-train-000.npz spikes of a trained layer, one file per replica (cache)
    features/train-000.npz spike counts for the classifier, one file per replica (cache)
    answers/test-000.npz   what output units answer, one file per replica (cache)
    winners/test-000.npz   what the classifier as a population answers, one file per replica (cache)
    readout/head.npz       the classifier as a population
    svm.npz                the classifier
    results.json           scores and costs of every command
    plots/                 figures
    report.html            all of it, as a page to look at
    .lock                  who writes, while something does
    .*.tmp                 a file in the making; of a process that was killed, until the next command
"""

import difflib
import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from spikingconvnet.errors import StoreError
from spikingconvnet.gates.files import write_whole
from spikingconvnet.gates.schema import Schema, parse_json, refuse
from spikingconvnet.network.arrays import ArrayLike
from spikingconvnet.store.arrays import SEAL, UNREADABLE, read_arrays, seal, text_of

MADE_FROM = "made_from"     # digest of what produced the arrays
HOW = "how"                 # JSON: backend, seed, version
LARGEST_RESULTS = 1 << 26   # bytes of results.json
PARAMETERS = "parameters.py", "parameters.toml"
SETS = "set.json"
FIGURES = "png", "svg", "pdf"
DOWNLOADS = "SPIKINGCONVNET_DATA"       # environment variable: a folder in which all runs keep what they fetch


class RunDirectory:
    """A directory that holds one experiment.

    Parameters
    ----------
    path : str or Path
        Made when the first result is written.
    command : str or None
        What another process is told that wants to write there; None takes the program's name.
    """

    def __init__(self, path: str | Path, command: str | None = None) -> None:
        self.path = Path(path)
        self._command = command or Path(sys.argv[0]).name

    def locked(self) -> AbstractContextManager[None]:
        """A context in which no other process writes, see ``locks.writing``."""
        from spikingconvnet.store import locks

        return locks.writing(self.path, self._command)

    def require_run(self, begin: str) -> None:
        """Raise a StoreError that names the nearest runs if the directory holds none.

        Parameters
        ----------
        begin : str
            The command that begins one.
        """
        if self.path.is_file():
            raise StoreError(f"{self.path}: is a file and no run directory; choose another --run-dir")
        if not self.file("data/train").is_file():
            raise StoreError(f"{self.path}: holds no run{near(self.path)}; begin one with: {begin}")

    @property
    def downloads(self) -> Path:
        """Folder of the data sets that were fetched: the run's own, or with `DOWNLOADS` set one for many runs.

        A run that has fetched into its own before stays with it.
        """
        return self.own_downloads if self.own_downloads.is_dir() else shared_downloads() or self.own_downloads

    @property
    def own_downloads(self) -> Path:
        """Folder of data sets that only this run sees."""
        return self.path / "downloads"

    def file(self, name: str) -> Path:
        """Path of a result: ``layers/1`` is ``<run directory>/layers/1.npz``."""
        return self.path / f"{name}.npz"

    def stamp(self, name: str) -> tuple[int, int, int] | None:
        """What changes when a result is written again: its time, size and inode; None if it is not there."""
        try:
            found = self.file(name).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def write(self, name: str, made_from: str, how: Mapping[str, Any], **arrays: ArrayLike) -> None:
        """Write a result atomically.

        Parameters
        ----------
        name : str
        made_from : str
            See :func:`digest`.
        how : dict
            Backend, seed, version: whatever JSON holds.
        **arrays
            Of numbers.

        Raises
        ------
        StoreError
            An array holds objects (it would need pickle).
        SurroundingsError
            The file cannot be written.
        """
        for key, array in arrays.items():
            if np.asarray(array).dtype.hasobject:
                raise StoreError(f"{self.file(name)}: {key} holds objects; only numbers and text can be stored")

        kept: dict[str, Any] = {**arrays, MADE_FROM: np.array(made_from), HOW: np.array(json.dumps(how))}

        def save(stream: BinaryIO) -> None:
            np.savez(stream, **{**kept, SEAL: np.array(seal(kept))})

        write_whole(self.file(name), save)

    def read(self, name: str, command: str, made_from: str | None = None,
             schema: Schema | None = None) -> dict[str, Any]:
        """A result as a dict of arrays, ``how`` it was made among them as a dict.

        Parameters
        ----------
        name : str
        command : str
            What makes this result, for the error text.
        made_from : str or None
            The digest that it must carry.
        schema : schema.Schema or None
            What it must hold.

        Raises
        ------
        StoreError
            It is missing, damaged, or made from other settings.
        """
        path = self.file(name)
        if not path.is_file():
            elsewhere = "" if self.file("data/train").is_file() else near(self.path)
            raise StoreError(f"{path}: not there yet{elsewhere}; run: {command}")
        try:
            arrays = read_arrays(path)
            if SEAL in arrays and text_of(arrays, SEAL) != seal(arrays):
                raise StoreError("its contents are not those that were written")
            found, how = text_of(arrays, MADE_FROM), parse_json(text_of(arrays, HOW))
            fits = made_from in (None, found)
            if fits and schema is not None:
                schema.check(arrays, how)
        except UNREADABLE as error:
            raise StoreError(f"{path}: damaged ({error}); make it again with: {command}") from error
        if not fits:
            raise StoreError(f"{path}: was made with other settings than those in force;"
                             f" make it again with: {command}, or use another --run-dir")
        return {**arrays, HOW: how}

    def how(self, name: str, schema: Schema | None = None) -> dict[str, Any]:
        """How a result was made, whatever it was made from: dict, empty if the result is missing or damaged."""
        try:
            return dict(self.read(name, "", None, schema)[HOW])
        except StoreError:
            return {}

    def cached(self, name: str, made_from: str, schema: Schema | None = None) -> dict[str, Any] | None:
        """A result as a dict of arrays, or None if it is missing, damaged or made from something else."""
        try:
            return self.read(name, "", made_from, schema)
        except StoreError:
            return None

    def write_results(self, mode: str, results: Mapping[str, Any]) -> None:
        """Keep a command's numbers in ``results.json``, one entry per mode, the newest last."""
        merged = {key: value for key, value in self.results().items() if key != mode}
        merged[mode] = results
        content = json.dumps(merged, indent=2).encode()
        write_whole(self.path / "results.json", lambda stream: stream.write(content))

    def results(self, check: Callable[[str, dict[str, Any]], object] = lambda name, entry: None) -> dict[str, Any]:
        """All entries of ``results.json``, empty if there is none.

        Parameters
        ----------
        check : callable
            ``check(name, entry)`` raises a StoreError for an entry that is wrong.

        Raises
        ------
        StoreError
            The file is damaged.
        """
        path = self.path / "results.json"
        if not path.is_file():
            return {}
        try:
            if path.stat().st_size > LARGEST_RESULTS:
                refuse("its size", f"at most {LARGEST_RESULTS:,} bytes", f"{path.stat().st_size:,}")
            entries = parse_json(path.read_text())
            for name, entry in entries.items():
                if not isinstance(entry, dict):
                    refuse(repr(name), "an object", repr(entry))
                check(name, entry)
            return entries
        except UNREADABLE as error:
            raise StoreError(f"{path}: damaged ({error}); delete it") from error

    def parameters(self) -> Path:
        """The parameters file that is kept; the newer one if a command was killed between two."""
        there = [path for name in PARAMETERS if (path := self.path / name).is_file()]
        return max(there, key=lambda path: path.stat().st_mtime_ns, default=self.path / PARAMETERS[0])

    def sets(self) -> dict[str, str]:
        """Values of ``--set`` that are kept, as text by name; a damaged file is a StoreError."""
        path = self.path / SETS
        if not path.is_file():
            return {}
        try:
            if path.stat().st_size > LARGEST_RESULTS:
                refuse("its size", f"at most {LARGEST_RESULTS:,} bytes", f"{path.stat().st_size:,}")
            found = parse_json(path.read_text())
            if not all(isinstance(text, str) for text in found.values()):
                refuse("a value", "a text", "something else")
            return found
        except UNREADABLE as error:
            raise StoreError(f"{path}: damaged ({error}); delete it, and give its --set again") from error

    def check_own(self, path: str | Path) -> None:
        """Raise a StoreError if the directory holds a parameters file that no run has put there.

        Parameters
        ----------
        path : str or Path
            The parameters file in use.
        """
        kept = self.parameters()
        if kept.is_file() and not self.file("data/train").is_file():
            raise StoreError(f"{kept}: is not of a run, and a run would replace it; choose another --run-dir than"
                             f" {str(self.path)!r}")

    def forget_figures(self, stems: Iterable[str]) -> None:
        """Delete figures of these names, and the pages, because what they showed is no longer there."""
        stems = set(stems)
        figures = (path for kind in FIGURES for path in self.path.glob(f"plots/*.{kind}") if path.stem in stems)
        for path in [*figures, *self.path.glob("report.html"), *self.path.glob("report-beside-*.html")]:
            path.unlink(missing_ok=True)

    def keep_parameters(self, path: str | Path, sets: Mapping[str, str] | None = None) -> None:
        """Copy the parameters file whole, and keep the values of ``--set`` beside it."""
        target = self.path / PARAMETERS[Path(path).suffix == ".toml"]
        if sets or (self.path / SETS).is_file():
            content = json.dumps(sets or {}, indent=2).encode()
            write_whole(self.path / SETS, lambda stream: stream.write(content))
        if not same_file(path, target):
            with open(path, "rb") as source:
                write_whole(target, lambda stream: shutil.copyfileobj(source, stream))
        for name in {*PARAMETERS} - {target.name}:
            (self.path / name).unlink(missing_ok=True)


def shared_downloads() -> Path | None:
    """Folder in which all runs keep the data sets that they fetch; None if the user has not named one."""
    named = os.environ.get(DOWNLOADS)
    return Path(named).expanduser() if named else None


def same_file(a: str | Path, b: str | Path) -> bool:
    """Whether two paths lead to one file; one that leads nowhere is the same as none."""
    return os.path.realpath(a) == os.path.realpath(b)


def word(path: str | Path) -> str:
    """A path as one word of a command in a shell, which is not taken for an option."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def near(path: str | Path) -> str:
    """`` (did you mean ...?)`` with run directories beside a path and in it, the most alike first; or nothing."""
    path = Path(path)
    runs = {str(found.parent.parent) for folder in (path, path.parent) for found in folder.glob("*/data/train.npz")}
    alike = difflib.get_close_matches(str(path), sorted(runs), 3, 0.0)
    return f" (did you mean {' or '.join(alike)}?)" if alike else ""
