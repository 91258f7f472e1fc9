"""What jobs take: time on a board, quota, and into how many jobs a test is to be parted."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs.sent import Task
from spikingconvnet.training import layer_rule
from spikingconvnet.training.layerwise.stdp import STDP

CORES = 48 * 16             # of a board, as its quota is counted: QuotaManager.java of JavaSpiNNaker, 2026
CHIPS = 48
LONGEST = 600.0             # s on a board of one job of a plan: what a job that is taken away costs at most


@dataclass(frozen=True)
class Planned:
    """One step of an experiment as jobs.

    Attributes
    ----------
    name : str
        ``test``, ``layer 1``.
    images : int
        That it shows; 0 of a training.
    seconds : float
        On a board, at `time_scale`, without what sPyNNaker takes to load a network and read it back.
    time_scale, boards : int
    core_hours : float
        Of a quota, for that time.
    parts : int
        Jobs that it is to be parted into.
    """

    name: str
    images: int
    seconds: float
    time_scale: int
    boards: int
    core_hours: float
    parts: int

    def __str__(self) -> str:
        what = f"{self.name}, {self.images:,} images" if self.images else f"training of {self.name}"
        option = f"--layer {self.name.partition(' ')[2]}" if not self.images else f"--parts {self.parts}"
        return (f"{what}: {self.seconds:,.0f} s on {self.boards} board{'s' * (self.boards > 1)}, {self.core_hours:,.1f}"
                f" core-hours of quota; --mode bundle job.py {option} --time-scale {self.time_scale}")


def seconds(experiment: Experiment, task: Task) -> float:
    """Time on a board, without what sPyNNaker takes to load a network; layers run one after another."""
    stages, slot = experiment.model.stages, experiment.settings.slot
    if task.layer is not None:
        rule: Any = layer_rule(stages[task.layer - 1])
        below = (task.layer - 1) * experiment.data("train")["spikes"].n_samples * slot
        steps = below + (rule.windows * rule.slot if isinstance(rule, STDP) else 0)
    else:
        n = task.count if task.count is not None else experiment.data(task.split)["spikes"].n_samples - task.first
        steps = math.ceil(n / task.copies) * slot * (1 if experiment.model.runs_as_one else len(stages))
    return float(steps * task.time_scale / 1000)


def parted(experiment: Experiment, task: Task, parts: int) -> list[Task]:
    """A test as so many of them, of equally many images but for one; more parts than images are a SettingsError."""
    n = task.count if task.count is not None else experiment.data(task.split)["spikes"].n_samples
    if task.layer is not None:
        raise SettingsError("--parts: has nothing to do with --layer, as a training cannot be parted")
    if task.first:
        raise SettingsError("--first: has nothing to do with --parts, which begin with the first image")
    if parts > n:
        raise SettingsError(f"--parts: there are {n:,} images, got {parts:,}")
    ends = [n * i // parts for i in range(parts + 1)]
    return [replace(task, first=begin, count=end - begin) for begin, end in pairwise(ends)]


def plan(experiment: Experiment, networks: Sequence[Mapping[str, Any]]) -> list[Planned]:
    """What an experiment would take as jobs: trainings that simulate, and the test if it has images.

    Parameters
    ----------
    experiment : Experiment
        Whose images are loaded.
    networks : list of dict
        What ``board.check.as_dict`` says of its networks; those that do not fit are left out.
    """
    found = {one["name"]: one for one in networks if "slowdown" in one}
    layers = [training for name, one in found.items() for training in _training(experiment, name, one)]
    images = (experiment.stored.data("test").cached() or {"labels": ()})["labels"]
    tests = [one for name, one in found.items() if name.endswith("inference") and len(images)]
    return [*layers, _planned(experiment, "test", Task(), tests)] if tests else layers


def _training(experiment: Experiment, name: str, network: Mapping[str, Any]) -> Iterator[Planned]:
    layer, _, kind = name.partition(", ")
    number = layer.removeprefix("layer ")
    if kind == "training" and number.isdecimal():
        yield _planned(experiment, layer, Task(layer=int(number)), [network])


def _planned(experiment: Experiment, name: str, task: Task, networks: Sequence[Mapping[str, Any]]) -> Planned:
    slow = replace(task, time_scale=max(one["slowdown"] for one in networks))
    boards, taken = math.ceil(max(one["chips"] for one in networks) / CHIPS), seconds(experiment, slow)
    images = 0 if task.layer is not None else experiment.data(task.split)["spikes"].n_samples
    return Planned(name, images, taken, slow.time_scale, boards, round(taken * boards * CORES / 3600, 3),
                   max(1, math.ceil(taken / LONGEST)) if images else 1)


def as_dict(planned: Sequence[Planned]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(one) for one in planned]


def as_text(planned: Sequence[Planned]) -> str:
    """A line for each, behind one that says what they are."""
    return "\n".join(["as jobs for a board elsewhere (docs/jobs.md), loading aside:", *(f"  {one}" for one in planned)])
