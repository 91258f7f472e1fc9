"""What comes back of a job: checked, compared with the local engine at once, and kept in the run directory."""

import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.backends.spinnaker.machine import ConfiguredHere
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment import onboard, readout, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import expected, own_reports, seen
from spikingconvnet.experiment.jobs.archive import REPORTS, SEND, Archive, read_archive
from spikingconvnet.experiment.jobs.sent import Task, fingerprint, prepared
from spikingconvnet.experiment.results import Result, if_there
from spikingconvnet.gates.schema import Value, is_integer, is_number
from spikingconvnet.health.verdict import Health, worst
from spikingconvnet.network.arrays import Numbers

HARDWARE = "hardware"           # entry of results.json, and folder in the run directory
PART = Value("a test with its first image, their number and a share of them", lambda part: (
    isinstance(part, dict) and isinstance(part.get("task"), dict) and is_integer(part["task"].get("first"), 0)
    and is_integer(part.get("images"), 1) and all(share is None or is_number(share, 0, 1) for share in _shares(part))))


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
        On the runs on the board, the worst; also of those that sPyNNaker's own reports tell of, if they came back.
    reports : Health or None
        What these tell.
    differences : list of Difference
        From the local engine, an array each.
    why : dict or None
        The first spike that differs, and the cause, see ``seen.explained``.
    images, missing : int
        That are there, and that the job has not come to; 0 of a training.
    ended : str
        Why images are missing, if any are.
    accuracy : float or None
        0 to 1; None of a training, or without a classifier.
    on_board : dict or None
        Of a classifier that has answered on the board too, see ``onboard.judged``.
    file : Path
        Where it is kept.
    """

    task: Task
    verdict: str
    reports: Health | None
    differences: list[Difference]
    why: dict[str, Any] | None
    images: int
    missing: int
    ended: str
    accuracy: float | None
    on_board: dict[str, Any] | None
    file: Path


def collect(experiment: Experiment, path: str | Path) -> Collected:
    """Take the results of a job that was made of this experiment.

    Raises
    ------
    StoreError
        The file is missing, cut, altered or no result of a job; of another experiment, or of settings that have changed
        since; of a job that has failed, or was ended before anything was finished.
    """
    told = own_reports.judged(Path(path))
    try:
        archive = read_archive(Path(path))
    except StoreError as error:
        raise StoreError(f"{error}{f'; {REPORTS} says: {told}' if told else ''}") from error
    task = archive.task
    if task.conformance or task.network:
        reads = "--mode conformance" if task.conformance else "--mode collect RESULTS NETWORK"
        raise StoreError(f"{path}: is of a job of {task}; read it with {reads}")
    with tempfile.TemporaryDirectory(prefix="spikingconvnet-") as folder:
        run, twin = Path(folder, "board"), Path(folder, "local")
        there = _Board(_same(experiment, run, archive), run)
        archive.unpack(run)
        theirs = there.layer_arrays(task) if task.layer is not None else there.answers_to(task)
        if theirs is None:
            raise StoreError(f"{path}: {archive.why()}{_told(seen.explained(run))}")
        ours = expected.by_local(experiment, twin, task)
        asked = 0 if task.layer is not None else there.asked_for(task)
        how = there.how_made(task)
        verdict = there.verdict().get("verdict", "unknown")
        if told is not None:
            verdict = worst([verdict, told.verdict])
        images = len(next(iter(theirs.values()))) if asked else 0
        differences = [one for name in theirs for one in [_difference(
            name, theirs[name], ours[name][:images] if asked else ours[name])] if one]
        why = seen.explained(run) if differences else None
    predicted = _predicted(experiment, theirs) if asked else None
    accuracy, more = _accuracy(experiment, task, predicted), {} if predicted is None else {"predicted": predicted}
    own = onboard.judged(theirs, _fitted(experiment).classes, _labels(experiment, task, images),
                         more["predicted"]) if more and task.readout else None
    return _kept(experiment, archive, theirs, more, how,
                 Collected(task, verdict, told, differences, why, images, asked - images,
                           archive.why() if images < asked else "", accuracy, own, Path()))


class _Board(Experiment):
    """The run directory of a job, as the board has left it; nothing is simulated."""

    def __init__(self, sent: settings.Settings, folder: Path) -> None:
        super().__init__(sent, folder, "spinnaker", 1, target=ConfiguredHere())

    def layer_arrays(self, task: Task) -> dict[str, Numbers] | None:
        """A trained layer; None if it is not there."""
        layer = if_there(self.layer, task.layer)
        return None if layer is None else expected.numbers(layer)

    def answers_to(self, task: Task) -> dict[str, Numbers] | None:
        """Counts and first spikes, or what output units answer, of replicas that are finished; None without one."""
        found = (takewhile(lambda part: part is not None, (file.cached() for file in files))
                 for files in self._files(task))
        parts = [{name: one for part in each for name, one in expected.numbers(part or {}).items()}
                 for each in zip(*found)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else None

    def _files(self, task: Task) -> list[list[Result]]:
        """Of each kind of answers, of all replicas."""
        split, data, stages = task.split, self.data(task.split), self.model.stages
        n = data["spikes"].n_samples
        if self.model.runs_as_one:
            return [self.stored.answers(split, data, n)]
        counts = self.stored.counts(len(stages), split, data, n, self.model.classifier.cells(stages[-1].out_shape))
        return [counts, self.stored.winners(split, data, n)] if task.readout else [counts]

    def asked_for(self, task: Task) -> int:
        """How many images the job was to show."""
        return int(self.data(task.split)["spikes"].n_samples)

    def how_made(self, task: Task) -> dict[str, Any]:
        """How a layer was made, or nothing of a test."""
        return {} if task.layer is None else dict(self.layer(task.layer)["how"])


def _same(experiment: Experiment, run: Path, archive: Archive) -> settings.Settings:
    """Settings of the job, if what this experiment would send now is what it was given."""
    sent = prepared(experiment, run, archive.task)
    if fingerprint(Experiment(sent, run), archive.task) != archive.about["bundle"]:
        raise StoreError(f"{archive.path}: is of another experiment than {experiment.store.path}, or its data, layers"
                         f" or settings have changed since the job was made; name another --run-dir, or make a job anew"
                         f" with {SEND}")
    return sent


def _told(why: Mapping[str, Any] | None) -> str:
    """Where and why a run that is no result left the local engine, for the end of a sentence."""
    lines = () if why is None else why["text"].splitlines()
    return "".join(f"; {line}" for line in lines if line.startswith(("first difference", "cause")))


def _difference(name: str, theirs: Numbers, ours: Numbers) -> Difference | None:
    if theirs.shape != ours.shape:
        return Difference(name, (), theirs.size, ours.size, theirs.size, ours.size)
    off = theirs != ours
    if not off.any():
        return None
    place = tuple(int(i) for i in np.argwhere(off)[0])
    return Difference(name, place, float(theirs[place]), float(ours[place]), int(off.sum()), off.size)


def _predicted(experiment: Experiment, theirs: Mapping[str, Numbers]) -> Numbers | None:
    """Labels of the images by what the board has answered; None without a classifier."""
    if experiment.model.runs_as_one:
        return np.asarray(experiment.classes()[theirs["units"][:, -1]])
    if not experiment.has_svm():
        return None
    return np.asarray(_fitted(experiment).predict(theirs["counts"]))


def _fitted(experiment: Experiment) -> readout.Readout:
    return readout.Readout.from_arrays(experiment.stored.classifier().read())


def _accuracy(experiment: Experiment, task: Task, predicted: Numbers | None) -> float | None:
    """Share of the images that were recognised."""
    return None if predicted is None else float(np.mean(predicted == _labels(experiment, task, len(predicted))))


def _labels(experiment: Experiment, task: Task, images: int) -> Numbers:
    """Of the first images of a task."""
    return np.asarray(experiment.data(task.split)["labels"][task.first:task.first + images])


def _kept(experiment: Experiment, archive: Archive, theirs: Mapping[str, Numbers], more: Mapping[str, Numbers],
          how: Mapping[str, Any], made: Collected) -> Collected:
    """Keep what came back beside what is here; a trained layer that is not here yet takes its place."""
    task, store = made.task, experiment.store
    begin = f"{task.first}-" if task.first else ""
    name = f"{HARDWARE}/" + (f"layer-{task.layer}" if task.layer is not None else
                             f"{task.split}-{begin}{task.first + made.images}")
    told = {"task": task.as_dict(), "verdict": made.verdict, "images": made.images, "accuracy": made.accuracy,
            "on_board": made.on_board, "identical": not made.differences, "why": made.why,
            "differences": [str(one) for one in made.differences], "versions": archive.about["versions"]}
    with store.locked():
        store.write(name, archive.about["bundle"], {**experiment.stored.how(), "made_on": HARDWARE, **told}, **theirs,
                    **more)
        if task.layer is not None and if_there(experiment.layer, task.layer) is None:
            experiment.stored.layer(task.layer).write(how, **theirs)
        before = store.results().get(HARDWARE, {})
        store.write_results(HARDWARE, {**before, name.partition("/")[2]: told})
    return replace(made, file=store.file(name))


def together(experiment: Experiment, split: str) -> tuple[int, float | None, float | None]:
    """Images of a split whose results have been collected, in any number of jobs, and the accuracies of them all.

    These are by the host and by the board's own answers, None where one is not known. What two jobs have both shown
    counts once, as the job that begins earlier says it.
    """
    end, images, right = 0, 0, np.zeros(2)
    for first, shown, accuracies in sorted(_collected(experiment, split), key=lambda one: (one[0], -one[1])):
        if first >= end:
            end, images, right = first + shown, images + shown, right + shown * np.array(accuracies)
    host, own = (None if not images or math.isnan(one) else one / images for one in right.tolist())
    return images, host, own


def _shares(part: Mapping[str, Any]) -> tuple[Any, Any]:
    """Accuracy by the host and by the board's own answers, as an entry has them."""
    own = part.get("on_board")
    return part.get("accuracy"), own.get("accuracy") if isinstance(own, dict) else own


def _collected(experiment: Experiment, split: str) -> Iterator[tuple[int, int, tuple[float, ...]]]:
    """First image, number of images and accuracies (nan: not known) of each part that `results.json` tells of."""
    def check(kind: str, entry: Mapping[str, Any]) -> None:
        for name, part in entry.items() if kind == HARDWARE else ():
            if name.startswith(f"{split}-"):
                PART.check(f"{kind}.{name}", part)

    for name, part in experiment.store.results(check).get(HARDWARE, {}).items():
        if name.startswith(f"{split}-"):
            yield (part["task"]["first"], part["images"],
                   tuple(math.nan if share is None else share for share in _shares(part)))
