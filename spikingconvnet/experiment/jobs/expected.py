"""What the local engine makes of a job: told to it beforehand, and computed again beside what has come back."""

import json
import zlib
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs.sent import Task, prepared
from spikingconvnet.experiment.results import if_there
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.training import layer_rule

EXPECTED = "expected.json"
NOT_TOLD = -1


def answered(experiment: Experiment, task: Task) -> dict[str, Numbers]:
    """What a job is about: arrays (images, ...) of a test, by name; those of the layer of a training."""
    if task.layer is not None:
        return numbers(experiment.layer(task.layer))
    if experiment.model.runs_as_one:
        return numbers({name: one for name, one in experiment.answers(task.split).items() if name != "labels"})
    own = experiment.timelines.winners(task.split, experiment.data(task.split)) if task.readout else {}
    return {"counts": np.asarray(experiment.features(task.split)[0]), **own}


def numbers(arrays: Mapping[str, Any]) -> dict[str, Numbers]:
    """The arrays of numbers among what is stored."""
    return {name: np.asarray(value) for name, value in arrays.items()
            if isinstance(value, np.ndarray) and value.dtype.kind in "biuf"}


def by_local(experiment: Experiment, folder: Path, task: Task) -> dict[str, Numbers]:
    """The same as the local engine computes it, in a folder that holds what a job is given."""
    local = Experiment(prepared(experiment, folder, task), folder, jobs=experiment.jobs, progress=experiment.progress)
    if task.layer is None:
        return answered(local, task)
    if not is_trained_here(experiment, task.layer):
        local.train_layer(task.layer)
        return answered(local, task)
    return answered(experiment, task)


def is_trained_here(experiment: Experiment, number: int) -> bool:
    """Whether the local engine has trained a layer by the layer's own rule."""
    ours = if_there(experiment.layer, number)
    rule = layer_rule(experiment.model.stages[number - 1]).name
    return ours is not None and (ours["how"]["rule"], ours["how"]["made_on"]) == (rule, "local")


def write(experiment: Experiment, run: Path, folder: Path, task: Task) -> None:
    """Tell a job what the local engine makes of it; nothing of a layer that is not trained yet, as that takes long."""
    if task.layer is None or is_trained_here(experiment, task.layer):
        (run / EXPECTED).write_text(json.dumps(_sums(by_local(experiment, folder, task))))


def first_other(run: Path, experiment: Experiment, task: Task) -> int | None:
    """The first image, from 0, or array that is not what the job was told: None if all are; `NOT_TOLD` if it was not.

    Of an image all arrays count.
    """
    if not (run / EXPECTED).is_file():
        return NOT_TOLD
    told, found = json.loads((run / EXPECTED).read_text()), _sums(answered(experiment, task))
    return next((i for i, (ours, theirs) in enumerate(zip_longest(told, found)) if ours != theirs), None)


def _sums(arrays: Mapping[str, Numbers]) -> list[int]:
    """CRC-32 of what belongs to each image; of a layer, whose arrays are of different lengths, of each array."""
    parts = [np.ascontiguousarray(arrays[name]) for name in sorted(arrays)]
    if len({len(part) if part.ndim else -1 for part in parts}) > 1:
        return [zlib.crc32(part.tobytes()) for part in parts]
    return [zlib.crc32(b"".join(part[i].tobytes() for part in parts)) for i in range(len(parts[0]))]
