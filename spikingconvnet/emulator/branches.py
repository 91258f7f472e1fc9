"""Work that branches off from a loaded board: each time in a fork of this process, which has the host's half of it.

sPyNNaker's half of a simulation (populations, placements, how far it has come) is in its process and in the files of
its run directory, the other half is on the board. A fork has a copy of the first, a snapshot of the second; when the
work is done the board and the files are put back. So a network is loaded once, and each test goes on from there.

Not there in a fork: threads of this process, so no live input or output. The work must not end the simulation.
"""

import json
import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from spikingconvnet.emulator.board import Board
from spikingconvnet.emulator.errors import BranchError


class Branches:
    """The instant at which this is made, to go on from as often as wanted.

    Parameters
    ----------
    board : Board
        As loaded as it shall be.
    folders : sequence of path, optional
        Whose files are put back too; None: the run directories of sPyNNaker, if it is in use here.

    Use it in a ``with`` block.
    """

    def __init__(self, board: Board, folders: Sequence[str | Path] | None = None) -> None:
        self._board = board
        self._folders = [Path(folder) for folder in (_reports() if folders is None else folders)]
        self._open = ExitStack()

    def __enter__(self) -> "Branches":
        kept = Path(self._open.enter_context(tempfile.TemporaryDirectory(prefix="branches-")))
        self._snapshot, self._files = kept / "board", dict[Path, Path]()
        with ExitStack() as failing:
            failing.callback(self._open.close)
            self._board.snapshot(self._snapshot)
            for number, file in enumerate(_files(self._folders)):
                self._files[file] = kept / str(number)
                shutil.copyfile(file, self._files[file])
            failing.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def run(self, work: Callable[[], Any]) -> Any:
        """Do something from here on, in a fork of this process, and put the board back.

        Parameters
        ----------
        work : callable
            Without arguments.

        Returns
        -------
        object
            What the work returned, as JSON gives it back: numbers, texts, lists, dicts with texts as keys, None.

        Raises
        ------
        BranchError
            The work raised something, with its traceback; its value is none for JSON; its process ended without one.
        """
        ours, theirs = os.pipe()
        child = get_context("fork").Process(target=_tell, args=(work, theirs))
        child.start()
        os.close(theirs)
        try:
            with open(ours) as told:
                text = told.read()
        finally:
            child.join()
            self._put_back()
        none = {"failed": f"its process ended without a value (exit code {child.exitcode})"}
        answer = json.loads(text) if text else none
        if "failed" in answer:
            raise BranchError(answer["failed"])
        return answer["value"]

    def _put_back(self) -> None:
        self._board.restore(self._snapshot)
        for file, kept in self._files.items():
            with open(kept, "rb") as source, open(file, "r+b") as target:       # who has it open has the same file
                shutil.copyfileobj(source, target)
                target.truncate()


def _tell(work: Callable[[], Any], told: int) -> None:
    """Be the fork: write the work's value, or why there is none."""
    try:
        text = json.dumps({"value": work()})
    except (Exception, SystemExit, KeyboardInterrupt):          # noqa: BLE001 - told to who asked for the work
        text = json.dumps({"failed": traceback.format_exc()})
    with open(told, "w") as file:
        file.write(text)


def _files(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in sorted(folder.rglob("*")) if path.is_file())


def _reports() -> list[Path]:
    """The folder with all that sPyNNaker, or the graph front end, keeps of its runs, if it is set up here."""
    found = sys.modules.get("spinn_front_end_common.data")
    if found is None or not found.FecDataView.is_setup():
        return []
    return [Path(found.FecDataView.get_run_dir_path()).parent]
