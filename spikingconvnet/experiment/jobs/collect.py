"""What comes back of a job: checked, compared with the local engine at once, and kept in the run directory."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.backends.spinnaker.machine import LOG, ConfiguredHere
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment import readout, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs.archive import SEND, Archive, read_archive
from spikingconvnet.experiment.jobs.sent import Task, fingerprint, prepared
from spikingconvnet.experiment.results import if_there
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.training import layer_rule

HARDWARE = "hardware"           # entry of results.json, and folder in the run directory


@dataclass(frozen=True)
class Difference:
    """Where an array of the board and the local engine's differ.

    Attributes
    ----------
    name : str
    place : tuple of int
        The first such number, in order.
    theirs, ours : number
    count, of : int
        Numbers that differ, and all.
    """

    name: str
    place: tuple[int, ...]
    theirs: float
    ours: float
    count: int
    of: int

    def __str__(self) -> str:
        return (f"{self.name}{list(self.place)}: {self.theirs:g} on the board, {self.ours:g} by the local engine;"
                f" {self.count:,} of {self.of:,} numbers differ")


@dataclass(frozen=True)
class Collected:
    """What a job has brought.

    Attributes
    ----------
    task : Task
    verdict : str
        On the runs on the board, the worst.
    differences : list of Difference
        From the local engine, an array each.
    accuracy : float or None
        0 to 1; None of a training, or without a classifier.
    file : Path
        Where it is kept.
    """

    task: Task
    verdict: str
    differences: list[Difference]
    accuracy: float | None
    file: Path


def collect(experiment: Experiment, path: str | Path) -> Collected:
    """Take the results of a job that was made of this experiment.

    Raises
    ------
    StoreError
        The file is missing, cut, altered or no result of a job; of another experiment, or of settings that have changed
        since; of a job that has failed, or was ended before anything was finished.
    """
    archive = read_archive(Path(path))
    task = archive.task
    if task.conformance:
        raise StoreError(f"{path}: is of a job that tries a board; read it with --mode conformance")
    with tempfile.TemporaryDirectory(prefix="spikingconvnet-") as folder:
        run, twin = Path(folder, "board"), Path(folder, "local")
        there = _Board(_same(experiment, run, archive), run)
        for name, data in archive.files.items():
            if name != LOG:
                (run / name).parent.mkdir(parents=True, exist_ok=True)
                (run / name).write_bytes(data)
        theirs = there.layer_arrays(task) if task.layer is not None else there.answers_to(task.split)
        if theirs is None:
            raise StoreError(f"{path}: {archive.why()}")
        ours = _local(experiment, twin, task)
        verdict, how = there.verdict().get("verdict", "unknown"), there.how_made(task)
    differences = [one for name in theirs for one in [_difference(name, theirs[name], ours[name])] if one]
    accuracy = None if task.layer is not None else _accuracy(experiment, task, theirs)
    return _kept(experiment, archive, theirs, how, Collected(task, verdict, differences, accuracy, Path()))


class _Board(Experiment):
    """The run directory of a job, as the board has left it; nothing is simulated."""

    def __init__(self, sent: settings.Settings, folder: Path) -> None:
        super().__init__(sent, folder, "spinnaker", 1, target=ConfiguredHere())

    def layer_arrays(self, task: Task) -> dict[str, Numbers] | None:
        """A trained layer; None if it is not there."""
        layer = if_there(self.layer, task.layer)
        return None if layer is None else _numbers(layer)

    def answers_to(self, split: str) -> dict[str, Numbers] | None:
        """Counts, or what output units answer; None if a replica is missing."""
        data, number = self.data(split), len(self.model.stages)
        n = data["spikes"].n_samples
        files = (self.stored.answers(split, data, n) if self.model.runs_as_one else self.stored.counts(
            number, split, data, n, self.model.classifier.cells(self.model.stages[-1].out_shape)))
        parts = [file.cached() for file in files]
        if any(part is None for part in parts):
            return None
        return {name: np.concatenate([part[name] for part in parts if part]) for name in _numbers(parts[0] or {})}

    def how_made(self, task: Task) -> dict[str, Any]:
        """How a layer was made, or nothing of a test."""
        return {} if task.layer is None else dict(self.layer(task.layer)["how"])


def _numbers(arrays: Mapping[str, Any]) -> dict[str, Numbers]:
    return {name: np.asarray(value) for name, value in arrays.items()
            if isinstance(value, np.ndarray) and value.dtype.kind in "biuf"}


def _same(experiment: Experiment, run: Path, archive: Archive) -> settings.Settings:
    """Settings of the job, if what this experiment would send now is what it was given."""
    sent = prepared(experiment, run, archive.task)
    if fingerprint(Experiment(sent, run), archive.task) != archive.about["bundle"]:
        raise StoreError(f"{archive.path}: is of another experiment than {experiment.store.path}, or its data, layers"
                         f" or settings have changed since the job was made; name another --run-dir, or make a job anew"
                         f" with {SEND}")
    return sent


def _local(experiment: Experiment, folder: Path, task: Task) -> dict[str, Numbers]:
    """What the local engine makes of the same."""
    local = Experiment(prepared(experiment, folder, task), folder, jobs=experiment.jobs, progress=experiment.progress)
    if task.layer is not None:
        ours = if_there(experiment.layer, task.layer)
        rule = layer_rule(experiment.model.stages[task.layer - 1]).name
        if ours is None or ours["how"]["rule"] != rule or ours["how"]["made_on"] != "local":
            local.train_layer(task.layer)
            ours = local.layer(task.layer)
        return _numbers(ours)
    if local.model.runs_as_one:
        return _numbers(local.answers(task.split)) | {}
    return {"counts": np.asarray(local.features(task.split)[0])}


def _difference(name: str, theirs: Numbers, ours: Numbers) -> Difference | None:
    if theirs.shape != ours.shape:
        return Difference(name, (), theirs.size, ours.size, theirs.size, ours.size)
    off = theirs != ours
    if not off.any():
        return None
    place = tuple(int(i) for i in np.argwhere(off)[0])
    return Difference(name, place, float(theirs[place]), float(ours[place]), int(off.sum()), off.size)


def _accuracy(experiment: Experiment, task: Task, theirs: Mapping[str, Numbers]) -> float | None:
    """Share of the images that were recognised; None without a classifier."""
    labels = experiment.data(task.split)["labels"]
    if experiment.model.runs_as_one:
        return float(np.mean(experiment.classes()[theirs["units"][:, -1]] == labels[:len(theirs["units"])]))
    if not experiment.has_svm():
        return None
    fitted = readout.Readout.from_arrays(experiment.stored.classifier().read())
    return float(np.mean(fitted.predict(theirs["counts"]) == labels[:len(theirs["counts"])]))


def _kept(experiment: Experiment, archive: Archive, theirs: Mapping[str, Numbers], how: Mapping[str, Any],
          made: Collected) -> Collected:
    """Keep what came back beside what is here; a trained layer that is not here yet takes its place."""
    task, store = made.task, experiment.store
    name = f"{HARDWARE}/" + (f"layer-{task.layer}" if task.layer is not None else
                             f"{task.split}-{len(next(iter(theirs.values())))}")
    told = {"task": task.as_dict(), "verdict": made.verdict, "accuracy": made.accuracy,
            "identical": not made.differences, "differences": [str(one) for one in made.differences],
            "versions": archive.about["versions"]}
    with store.locked():
        store.write(name, archive.about["bundle"], {**experiment.stored.how(), "made_on": HARDWARE, **told}, **theirs)
        if task.layer is not None and if_there(experiment.layer, task.layer) is None:
            experiment.stored.layer(task.layer).write(how, **theirs)
        before = store.results().get(HARDWARE, {})
        store.write_results(HARDWARE, {**before, name.partition("/")[2]: told})
    return replace(made, file=store.file(name))
