"""What a job does where the board is: the step that it was sent for, and one file of results, whatever happens."""

import json
import logging
import platform
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import spikingconvnet
from spikingconvnet.backends.spinnaker.machine import ConfiguredHere
from spikingconvnet.errors import BackendError, HealthError, SpikingConvNetError, StoreError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import conformance, expected, one_network, seen
from spikingconvnet.experiment.jobs.archive import AT_WORK, DONE, FAILED, FORMAT, RELEASE, read_archive, write_archive
from spikingconvnet.experiment.jobs.bundle import TASK
from spikingconvnet.experiment.jobs.sent import PARAMETERS, Task
from spikingconvnet.store.directory import RunDirectory

logger = logging.getLogger(__name__)


class _Alone(RunDirectory):
    """A run directory in which nobody else writes."""

    def locked(self) -> AbstractContextManager[None]:
        """Nothing to hold."""
        return nullcontext()


def execute(run: Path, results: Path) -> int:
    """Do what a job was sent for, and write its results: 0, or the exit code of the error that they tell.

    Parameters
    ----------
    run : Path
        What was sent, see ``sent.prepared``, and ``task.json``.
    results : Path
        Written after each part that is finished, so that a job that is ended from outside leaves what it has; what is
        there already of the same job is not done again.
    """
    told = json.loads((run / TASK).read_text())
    task, release = Task(**told["task"]), _release()
    pack = partial(write_archive, run, results, {
        "format": FORMAT, **told, "versions": {"spikingconvnet": spikingconvnet.__version__, "sPyNNaker": release,
                                               "python": platform.python_version()}})
    try:
        if release != RELEASE:
            raise BackendError(f"sPyNNaker {release or 'is not there'}: the integers are known of {RELEASE} alone; ask"
                               f" for spynnaker_version {RELEASE.partition('!')[2]}")
        _go_on(run, results, told)
        pack(AT_WORK)
        _work(run, task, lambda: pack(AT_WORK))
        pack(DONE)
        return 0
    except SpikingConvNetError as error:
        logger.warning("error: %s", error)
        pack(FAILED, " ".join(str(error).split()))
        return error.exit_code


def _go_on(run: Path, results: Path, told: dict[str, Any]) -> None:
    """Take what the same job has finished before, if it was ended in the middle."""
    if results.is_file():
        try:
            before = read_archive(results)
        except StoreError as error:
            logger.warning("what is there is not gone on with: %s", error)
            return
        if (before.about["task"], before.about["bundle"]) == (told["task"], told["bundle"]):
            before.unpack(run)


def _work(run: Path, task: Task, finished: Any) -> None:
    def progress(items: Iterable[Any], description: str) -> Iterator[Any]:
        for item in items:
            yield item
            finished()

    logger.info("%s, on the machine that spynnaker.cfg names", task)
    board: dict[str, Any] = {"directory": run / "spinnaker", "target": ConfiguredHere(), "time_scale": task.time_scale,
                             "packet_buffer": task.packet_buffer}
    if task.conformance:
        conformance.record_all(run, conformance.on_board(**board), finished)
        return
    if task.network:
        one_network.record(run, **board)
        return
    experiment = Experiment(settings.load(run / PARAMETERS), _Alone(run), "spinnaker", 1, progress, "job.py",
                            ConfiguredHere(), copies=task.copies, time_scale=task.time_scale,
                            packet_buffer=task.packet_buffer)
    try:
        with seen.watched(run, experiment.runner, task):
            if task.layer is not None:
                experiment.train_layer(task.layer)
            else:
                expected.answered(experiment, task)
    except HealthError:             # nothing of it is a result, but what it did tells what went wrong
        seen.keep(run)
        raise
    seen.judge(run, experiment, task)


def _release() -> str | None:
    try:
        return metadata.version("sPyNNaker")
    except metadata.PackageNotFoundError:
        return None
