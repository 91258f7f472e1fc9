"""What a job has seen of its runs: kept where it is not known to be right, and explained at the desk.

A test or a training is recorded without membranes, so the machine does nothing more than it would do anyhow. If what
comes out is not what the local engine told the job, images around the first that is not are shown once more with
membranes. Both go back with the results.
"""

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikingconvnet import backends
from spikingconvnet.compare import recorded, recorder
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.errors import SpikingConvNetError
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import expected
from spikingconvnet.experiment.jobs.sent import Task
from spikingconvnet.experiment.runner import Runner

logger = logging.getLogger(__name__)

SEEN, FOUND, AGAIN = "seen", "found", "again"
IMAGES = 10                 # that are shown again
BEFORE = 4                  # of them before the one that differs: their membranes may not have come to rest


@contextmanager
def watched(run: Path, runner: Runner, task: Task) -> Iterator[None]:
    """Keep a recording of every network that runs inside; of a training, of those that learn."""
    def save(found: Recorded) -> None:
        folder = run / SEEN
        folder.mkdir(exist_ok=True)
        try:
            recorded.save(folder / f"{len(list(folder.iterdir()))}.npz", replace(found, how={"made_on": "hardware"}))
        except OSError as error:        # the results do not depend on it
            logger.warning("a recording is not kept: %s", error)

    def through(opened: recorder.Open) -> recorder.Open:
        return recorder.recording(before(opened) if before else opened, {}, save, chosen, neurons=0)

    chosen = recorder.learns if task.layer is not None else lambda network: True
    before, runner.through = runner.through, through
    try:
        yield
    finally:
        runner.through = before


def judge(run: Path, experiment: Experiment, task: Task) -> None:
    """Compare with what the job was told, and leave the recordings among the results unless all of it is the same."""
    other = expected.first_other(run, experiment, task)
    if other is None:
        logger.info("identical to the local engine")
        shutil.rmtree(run / FOUND, ignore_errors=True)
        return
    keep(run)
    if other == expected.NOT_TOLD:
        return
    logger.warning("not what the local engine makes of it%s",
                   "" if task.layer is not None else f", from image {task.first + other + 1:,} on")
    if task.layer is None:
        first = max(0, other - BEFORE)
        try:
            experiment.record(task.split, run / FOUND / f"{AGAIN}.npz", first, IMAGES)
        except (SpikingConvNetError, OSError) as error:         # what there is, is kept
            logger.warning("images are not shown again: %s", error)


def keep(run: Path) -> None:
    """Leave the recordings among the results, in the place of those that the same job has brought before."""
    if (run / SEEN).is_dir():
        shutil.rmtree(run / FOUND, ignore_errors=True)
        (run / SEEN).rename(run / FOUND)


def explained(run: Path) -> dict[str, Any] | None:
    """The first difference between recordings that came back and the local engine, and its cause.

    Parameters
    ----------
    run : Path
        Folder with the results of a job.

    Returns
    -------
    dict or None
        ``first``, ``cause`` and more, see ``differences.as_dict``; ``text``. ``again``: the same of the images that
        were shown again, if that was done. None without recordings, or if no spike in them differs.
    """
    paths = sorted((path for path in (run / FOUND).glob("*.npz") if path.stem.isdecimal()),
                   key=lambda path: int(path.stem))
    told = next((one for one in map(_compared, paths) if not one["identical"]), None)
    again = run / FOUND / f"{AGAIN}.npz"
    if told is None or not again.is_file():
        return told
    return {**told, AGAIN: _compared(again)}


def _compared(path: Path) -> dict[str, Any]:
    from spikingconvnet.compare import differences

    theirs = recorded.load(path, "the job")
    ours = recorder.replayed(backends.open, theirs, {"made_on": "local"})
    found = differences.compare(ours, theirs)
    return {**differences.as_dict(found, ours, theirs), "text": differences.as_text(found, ours, theirs)}
