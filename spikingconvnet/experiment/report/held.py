"""What a run directory holds, read once for all parts of its page."""

from functools import cached_property
from typing import Any

from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.results import if_there
from spikingconvnet.network.arrays import Ints
from spikingconvnet.store.directory import word

SPLITS = ("test", "validation")


class Held:
    """The stored results of an experiment.

    Parameters
    ----------
    experiment : Experiment
        Whose data are loaded; otherwise a StoreError.

    Attributes
    ----------
    train : dict
        Training data, see ``Experiment.data``.
    entries : dict of str to dict
        Of ``results.json`` that belong to what is stored now, the newest last.
    """

    def __init__(self, experiment: Experiment) -> None:
        self.experiment, self.model, self.settings = experiment, experiment.model, experiment.settings
        self.store, self.stages = experiment.store, experiment.model.stages
        self.train = experiment.data("train")
        self.entries = experiment.results()

    @cached_property
    def layers(self) -> list[dict[str, Any]]:
        """Arrays of the layers that are trained, up to the first that is not."""
        found: list[dict[str, Any]] = []
        for stage in self.stages:
            layer = if_there(self.experiment.layer, stage.number)
            if layer is None:
                break
            found.append(layer)
        return found

    @property
    def rules(self) -> list[str]:
        """The rule that each layer was trained by."""
        return [str(layer["how"]["rule"]) for layer in self.layers]

    @property
    def source(self) -> str:
        """The data set."""
        return str(self.train["how"].get("source", self.settings.dataset))

    @property
    def entry(self) -> dict[str, Any] | None:
        """What the split that was classified last has reached; None before the first test."""
        return next((entry for name, entry in reversed(self.entries.items()) if name in SPLITS), None)

    @property
    def split(self) -> str:
        """The split that is looked at: the one that was classified last, or that has images."""
        if self.entry is not None:
            return str(self.entry["split"])
        return next((name for name in SPLITS if getattr(self.settings, f"n_{name}") != 0
                     and self.experiment.stored.data(name).is_there()), "train")

    @cached_property
    def data(self) -> dict[str, Any]:
        """Spikes, labels and the first images of :attr:`split`."""
        return self.train if self.split == "train" else self.experiment.data(self.split)

    @property
    def classes(self) -> Ints:
        """Ids of the classes, ascending: int array."""
        return self.experiment.classes()

    @property
    def class_names(self) -> list[str]:
        """Their names, or the ids as text."""
        names = self.train["how"].get("class_names", {})
        return [str(names.get(str(number), number)) for number in self.classes.tolist()]

    @property
    def channel_names(self) -> list[str]:
        """What the channels of the input are."""
        names = getattr(self.settings.image_filter, "channel_names", None)
        channels = self.model.input_shape[0]
        return list(names) if names and len(names) == channels else [f"channel {k}" for k in range(channels)]

    @property
    def program(self) -> str:
        """How the command line is called."""
        return self.experiment.command("info").partition(" --mode ")[0]

    def command(self, mode: str, layer: int | str | None = None) -> str:
        """The command that makes a result here, with the parameters that the directory keeps."""
        return (f"{self.program} --mode {mode}{f' --layer {layer}' if layer else ''} --run-dir"
                f" {word(self.store.path)}")

    def missing(self, what: str, mode: str, layer: int | str | None = None) -> dict[str, str]:
        """What is not there yet, and the command that makes it."""
        return {"what": what, "command": self.command(mode, layer)}
