"""What a job is given: a run directory of its own, which holds what it needs of an experiment and nothing else.

It is an experiment as any other, so what is done with it elsewhere is done by the code that runs here, and what comes
back is checked by the digests that a run directory has. The data set is left behind with its path; spikes are there.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.prediction import kept_head
from spikingconvnet.experiment.results import Result
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import digest, pack_spikes
from spikingconvnet.training import layer_rule

DATASET = "(sent with a job)"
PARAMETERS = "parameters.toml"


@dataclass(frozen=True)
class Task:
    """What a job does.

    Attributes
    ----------
    layer : int or None
        That it trains; None for a test.
    split : str
        Whose images it shows, with a test.
    first, count : int, int or None
        The first of them, from 0, and how many; None is all behind it.
    copies, time_scale, packet_buffer
        As of an Experiment.
    conformance, network : bool
        Whether it tries a board, see ``conformance``, or runs a network as it is, see ``one_network``, and nothing
        else.
    readout : bool
        Whether the classifier answers too, as a population behind the last layer.
    """

    layer: int | None = None
    split: str = "test"
    first: int = 0
    count: int | None = None
    copies: int = 1
    time_scale: int = 1
    packet_buffer: int | None = None
    conformance: bool = False
    network: bool = False
    readout: bool = False

    def __str__(self) -> str:
        if self.conformance:
            return "small networks that try a board"
        if self.network:
            return "a network"
        if self.layer is not None:
            return f"training of layer {self.layer}"
        if self.first:
            end = "the last" if self.count is None else f"{self.first + self.count:,}"
            return f"{self.split} images {self.first + 1:,} to {end}"
        return f"{'all' if self.count is None else f'the first {self.count:,}'} {self.split} images"

    def as_dict(self) -> dict[str, Any]:
        """For JSON. Without `readout` it is as it was before there was one, so jobs of then can be collected."""
        return {name: value for name, value in asdict(self).items() if value or name != "readout"}


def with_readout(experiment: Experiment, task: Task) -> Task:
    """The task with the answers of the classifier's population too, if one is asked for and made."""
    return replace(task, readout=task.layer is None and kept_head(experiment.stored, experiment.model) is not None)


def prepared(experiment: Experiment, folder: Path, task: Task) -> Settings:
    """Write what a job needs of an experiment into a folder: the settings that are there.

    Raises
    ------
    SettingsError
        A layer that MODEL does not have, a rule that trains all at once, more images than there are; or settings with
        objects of the user's own classes, which only Python can make.
    StoreError
        Something is not loaded or trained yet.
    """
    own, below = experiment.settings, _below(experiment, task)
    parts = _parts(experiment, task)
    rule: Any = own.rule
    if getattr(rule, "weights", None) is not None:      # a path; they are in the layers
        rule = replace(rule, weights=None)
    n = {name: len(labels) for name, (_, labels) in parts.items()}
    sent = replace(own, dataset=DATASET, model=_model(own.model, task), rule=rule, deformation=None, arch=None, free=(),
                   per_class=False, n_train=n["train"], n_validation=n.get("validation", 0), n_test=n.get("test"))
    folder.mkdir(parents=True, exist_ok=True)
    settings.save(sent, folder / PARAMETERS)
    there = Experiment(settings.load(folder / PARAMETERS), folder)
    for name, (spikes, labels) in parts.items():
        there.stored.data(name).write(
            {**there.stored.how(), "split": name}, labels=labels, images=np.zeros((0, 1, 1), np.uint8),
            content=np.array(digest(spikes.offsets, spikes.neurons)), **pack_spikes(spikes))
    for number in range(1, below + 1):
        layer = dict(experiment.layer(number))
        how = layer.pop("how")
        there.stored.layer(number).write({name: how[name] for name in ("made_on", "seed", "version", "rule")}
                                         | {"health": {}}, **layer)
    for ours, its in zip(_readout(experiment, task), _readout(there, task)):
        arrays = ours.read()
        its.write(there.stored.how(), **{name: arrays[name] for name in arrays if name != "how"})
    return there.settings


def _model(model: Sequential, task: Task) -> Sequential:
    """Whose classifier is on the board if it is to answer, whatever the experiment says now."""
    if model.runs_as_one:
        return model
    return Sequential(model.given_shape, *model.layers[:-1], replace(model.classifier, on_board=task.readout))


def _readout(experiment: Experiment, task: Task) -> list[Result]:
    """What a job is given of the classifier, if it is to answer: the machine, and the population."""
    return [experiment.stored.classifier(), experiment.stored.head()] if task.readout else []


def fingerprint(there: Experiment, task: Task) -> str:
    """Digest of all that a job is given; a task that cannot be done is a SettingsError, see :func:`prepared`."""
    below = _below(there, task)
    return digest(task.as_dict(), (there.store.path / PARAMETERS).read_text(), there.stored.content(below),
                  str(there.data("train" if task.layer is not None else task.split)["content"]),
                  *(digest(*(one for name, one in sorted(result.read().items()) if name != "how"))
                    for result in _readout(there, task)))


def _below(experiment: Experiment, task: Task) -> int:
    """How many trained layers a job is given; a task that cannot be done is a SettingsError."""
    stages = experiment.model.stages
    if task.layer is None:
        return len(stages)
    if experiment.model.runs_as_one:
        raise SettingsError("--layer: RULE trains all layers at once, which takes torch or the whole data set; leave"
                            " --layer out, and the trained network is tested")
    if not 1 <= task.layer <= len(stages):
        raise SettingsError(f"--layer: must be one of {', '.join(str(stage.number) for stage in stages)}, got"
                            f" {task.layer}; the readout needs no board")
    rule = layer_rule(stages[task.layer - 1])
    if not rule.simulates:
        raise SettingsError(f"--layer {task.layer}: {rule.name} learns on the host, without a network, so it needs no"
                            " board")
    return task.layer - 1


def _parts(experiment: Experiment, task: Task) -> Mapping[str, tuple[Spikes, Any]]:
    """Spikes and labels by split; of a test one training image alone, from which the digests of layers come."""
    train = experiment.data("train")
    if task.layer is not None:
        n = train["spikes"].n_samples
        return {"train": (train["spikes"], train["labels"][:n])}
    busy = int(np.argmax(np.diff(train["spikes"].offsets))) // train["spikes"].n_steps
    asked = experiment.data(task.split)
    n = asked["spikes"].n_samples
    end = n if task.count is None else task.first + task.count
    if end > n:
        raise SettingsError(f"--count: there are {n:,} {task.split} images, got {end:,}")
    return {"train": (train["spikes"].samples(busy, busy + 1), train["labels"][busy:busy + 1]),
            task.split: (asked["spikes"].samples(task.first, end), asked["labels"][task.first:end])}
