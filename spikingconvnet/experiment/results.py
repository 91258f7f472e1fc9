"""What an experiment stores: each result knows its file, what it is made from, what it holds, and what makes it.

    data ─► layer 1 ─► layer 2 ... ─► classifier (or output units) ─► entries of results.json
              └─► spikes, counts and answers of replicas, which are caches

A result carries the digest of what it is made from: its own settings, and the content of the result before it. One
whose digest does not fit is never used; what that means for reading, resuming and the next command is said here once.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import spikingconvnet
from spikingconvnet.errors import DataError, ModelChanged, SettingsError, StoreError
from spikingconvnet.experiment import replicas
from spikingconvnet.experiment.loading import with_spikes
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.gates.progress import Shown, shown_by
from spikingconvnet.gates.schema import Schema
from spikingconvnet.model.head import Head, answering
from spikingconvnet.model.learning import LayerRule
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import ArrayLike, Pair
from spikingconvnet.network.netlist import Network
from spikingconvnet.store import schemas
from spikingconvnet.store.arrays import digest, unpack_spikes
from spikingconvnet.store.directory import RunDirectory, word
from spikingconvnet.store.unfinished import Unfinished
from spikingconvnet.training import layer_rule

Found = TypeVar("Found")
Owner = TypeVar("Owner", bound="_Stored")
P = ParamSpec("P")
SPLITS = ("train", "validation", "test")


class _Stored(Protocol):
    store: RunDirectory
    progress: Shown


def writes(step: "Callable[Concatenate[Owner, P], Found]") -> "Callable[Concatenate[Owner, P], Found]":
    """A step of what has a `store`, as an Experiment, with the lock of its run directory held, and loops shown."""
    @wraps(step)
    def locked(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> Found:
        with self.store.locked(), shown_by(self.progress):
            return step(self, *args, **kwargs)

    return locked


@dataclass(frozen=True, eq=False)
class Result:
    """A result of an experiment, whether it is there or not.

    Attributes
    ----------
    results : Results
        That it is one of.
    name : str
        Of its file, see ``store.directory``.
    made_from : callable
        ``made_from()`` is the digest of what it is made from; a StoreError if a result before it is missing.
    schema : schema.Schema
        What it holds.
    command : str
        What makes it.
    """

    results: "Results"
    name: str
    made_from: Callable[[], str]
    schema: Schema
    command: str

    def read(self) -> dict[str, Any]:
        """Its arrays, and ``how`` it was made: dict. The verdict on the run behind it is noted.

        Raises
        ------
        StoreError
            It is missing, damaged, or made from something else, with the command that makes it.
        ModelChanged, SettingsError, DataError
            Of data: they have another shape than the model takes, there are no images, or no spikes.
        """
        made_from, held = self.made_from(), self.results.held
        if held is None:
            return self._read(made_from)
        key = self.name, made_from, self.results.store.stamp(self.name)
        if key not in held:
            held[key] = self._read(made_from)
        return dict(held[key])

    def _read(self, made_from: str) -> dict[str, Any]:
        return self.results.noted(self.results.store.read(self.name, self.command, made_from, self.schema))

    def cached(self) -> dict[str, Any] | None:
        """The same, or None for what is missing, damaged or made from something else."""
        found = self.results.store.cached(self.name, self.made_from(), self.schema)
        return None if found is None else self.results.noted(found)

    def is_there(self) -> bool:
        """Whether :meth:`read` finds it."""
        return if_there(self.read) is not None

    def write(self, how: Mapping[str, Any], **arrays: ArrayLike) -> dict[str, Any]:
        """Store it: its arrays with ``how``, as :meth:`read` would find them."""
        self.results.store.write(self.name, self.made_from(), how, **arrays)
        return self.results.noted({**arrays, "how": how})

    def unfinished(self, schema: Schema, how: Mapping[str, Any], *parts: object) -> Unfinished:
        """What is finished of it, if it was also made by `parts`: store.Unfinished."""
        return Unfinished(self.results.store, self.name, digest(self.made_from(), *parts), how, schema)


class Data(Result):
    """Spikes and labels of a split, with images of the shape that the model takes; read with ``spikes`` as Spikes."""

    def _read(self, made_from: str) -> dict[str, Any]:
        model, path = self.results.model, self.results.store.file(self.name)
        if model.given_shape is None:
            raise StoreError(f"{path}: MODEL of the parameters has no input shape and takes that of the data set, which"
                             f" has not been loaded with these settings; run: {self.command}")
        arrays = super()._read(made_from)
        held, taken = ("x".join(map(str, shape)) for shape in (arrays["shape"], model.input_shape))
        if held != taken:
            raise ModelChanged(f"{path}: holds {held}, MODEL of the parameters takes {taken}; give MODEL the shape of"
                               f" the images, or load others: {self.command}")
        if not len(arrays["labels"]):
            split = self.name.rpartition("/")[2]
            raise SettingsError(f"N_{split.upper()}: is 0, so there are no {split} images; set it in the parameters,"
                                f" then run: {self.command}")
        arrays["spikes"] = unpack_spikes(arrays)
        if not arrays["spikes"].n_events:
            raise DataError(f"{path}: holds {arrays['spikes'].n_samples:,} images and no spike; load them again with"
                            f" FILTER and ENCODER that make some: {self.command}")
        return arrays

    def is_there(self) -> bool:
        """Whether the split was loaded with the settings in force, maybe without any image, and the model takes it."""
        arrays = self.cached()
        return arrays is not None and tuple(arrays["shape"]) == self.results.model.given_shape


class Results:
    """The results of an experiment, as a chain.

    Parameters
    ----------
    settings : Settings
    store : RunDirectory
    machine : str
        Where networks run: ``local``, ``emulated``, ``hardware``, or another backend.
    program, options : str
        How the command line is called, and options that belong to every command of the run, for error texts.

    Attributes
    ----------
    held : dict or None
        What has been read within :meth:`holding`.
    """

    def __init__(self, settings: Settings, store: RunDirectory, machine: str = "local", program: str = "main.py",
                 options: str = "") -> None:
        self.settings, self.model, self.store, self.machine = settings, settings.model, store, machine
        self._program, self._options = program, options
        self.verdicts: set[str] = set()
        self.held: dict[object, dict[str, Any]] | None = None
        self._contents: dict[int, tuple[object, str]] = {}      # with the files that they were computed from

    @contextmanager
    def holding(self) -> Iterator[None]:
        """A context in which a result is read and checked once, for as long as its file stays what it is."""
        before, self.held = self.held, self.held or {}
        try:
            yield
        finally:
            self.held = before

    def noted(self, arrays: dict[str, Any]) -> dict[str, Any]:
        """A result, after the verdict on the run behind it has been noted."""
        self.verdicts |= {judged["verdict"] for judged in [arrays["how"].get("board")] if judged}
        return arrays

    def command(self, mode: str, layer: int | str | None = None) -> str:
        """The command line that makes a result."""
        source = self.settings.source if mode == "loaddata" else None      # the others find it in the run directory
        return " ".join([self._program, "--mode", mode, *["--layer", str(layer)] * (layer is not None), "--run-dir",
                         word(self.store.path), *["--source", word(source or "")] * (source is not None),
                         *filter(None, [self._options])])

    def how(self, board: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        """How a result is made, with the verdict on the runs behind it if they were on a board: dict."""
        more |= {"board": board} if board else {}
        return {"made_on": self.machine, "seed": self.settings.seed, "version": spikingconvnet.__version__, **more}

    def data(self, split: str) -> Data:
        """Spikes and labels of a split: Data."""
        schema = schemas.data(split, self.settings.classes, with_spikes(self.model, split), n_steps=self.settings.slot)
        return Data(self, f"data/{split}", self._data_digest, schema, self.command("loaddata"))

    def layer(self, number: int, made_from: str | None = None) -> Result:
        """A trained layer: Result; `made_from` is the digest of what it is made from, if that is known already."""
        stage, as_one = self.model.stages[number - 1], self.model.runs_as_one
        maps, rows, columns = stage.out_shape
        schema = schemas.layer(as_one, [one.kernel_shape for one in stage.shortcuts], maps=maps, out_rows=rows,
                              out_columns=columns, neurons=maps * rows * columns,
                              **dict(zip(schemas.KERNELS, stage.main.kernel_shape)))
        return Result(self, f"layers/{number}", lambda: made_from or self._layer_digest(number), schema,
                      self.command("training", None if as_one else number))

    def course(self, number: int, rule: LayerRule) -> Unfinished:
        """What is finished of the training of a layer by a LayerRule: store.Unfinished.

        Another machine or version begins anew.
        """
        schema = rule.unfinished(self.model.stages[number - 1]) or Schema({}, schemas.HOW)
        return self.layer(number).unfinished(schema, self.how(rule=rule.name), rule.name, self.machine,
                                             spikingconvnet.__version__)

    def spikes(self, number: int, split: str, data: Mapping[str, Any], images: int) -> list[Result]:
        """Spikes of a layer for each replica of a split of so many images: list of Result."""
        shape, slot = self.model.stages[number - 1].out_shape, self.settings.slot
        return self._replicas(f"spikes/{number}-{split}", number, data, images,
                              lambda n: schemas.spikes(shape, slot, steps=n * slot))

    def counts(self, number: int, split: str, data: Mapping[str, Any], images: int, grid: Pair) -> list[Result]:
        """The same for their counts on `grid`, which a classifier is given."""
        features = self.model.stages[number - 1].out_shape[0] * math.prod(grid)
        return self._replicas(f"features/{split}", number, data, images,
                              lambda n: schemas.features(images=n, features=features), grid)

    def answers(self, split: str, data: Mapping[str, Any], images: int) -> list[Result]:
        """The same for what the output units of a model that runs as one network answer."""
        begin, end = self.model.unit_readout.window(self.settings.slot)
        sizes = {"window": end - begin, "populations": len(self.model.stages) + 1, "units": len(self.settings.classes)}
        return self._replicas(f"answers/{split}", len(self.model.stages), data, images,
                              lambda n: schemas.answers(images=n, **sizes), self.readout_digest())

    def _replicas(self, name: str, number: int, data: Mapping[str, Any], images: int, schema: Callable[[int], Schema],
                  read_as: object = None) -> list[Result]:
        """A board's are not taken for those of the local engine."""
        machine = [self.machine] * (self.machine != "local")
        each, content = replicas.REPLICA_SAMPLES, self.content(number)

        def replica(first: int) -> Result:
            made_from = digest("spikes", content, str(data["content"]), *machine, first, each, read_as)
            return Result(self, f"{name}-{first // each:03d}", lambda: made_from, schema(min(each, images - first)),
                          self.command("testing"))

        return [replica(first) for first in range(0, images, each)]

    def classifier(self) -> Result:
        """The classifier: Result."""
        return Result(self, "svm", self.readout_digest,
                      schemas.classifier(self.settings.classes, features=self.model.shapes[-1][0]),
                      self.command("training", "svm"))

    def head(self) -> Result:
        """The classifier as a population: Result."""
        channels, rows, columns = self.model.stages[-1].out_shape
        return Result(self, "readout/head", lambda: digest("head", self.readout_digest()),
                      schemas.head(channels=channels, rows=rows, columns=columns), self.command("testing"))

    def with_head(self, network: Network) -> Network:
        """A network of the last layers with the classifier behind them, once it is a population: Network."""
        asked = not self.model.runs_as_one and self.model.classifier.on_board and self.classifier().is_there()
        arrays = self.head().cached() if asked else None
        return network if arrays is None else answering(network, self.model.stages[-1].label, Head.from_arrays(arrays))

    def winners(self, split: str, data: Mapping[str, Any], images: int) -> list[Result]:
        """What it answers, for each replica of a split of so many images."""
        return self._replicas(f"winners/{split}", len(self.model.stages), data, images,
                              lambda n: schemas.winners(images=n), self.readout_digest())

    def content(self, number: int) -> str:
        """Digest of what layer `number` (0: the input) computes; files that have not changed are not read again."""
        stamps = [self.store.stamp(name) for name in ("data/train", *(f"layers/{n}" for n in range(1, number + 1)))]
        before, content = self._contents.get(number, (None, ""))
        if before != stamps or None in stamps:
            content = self._content(number)
            self._contents[number] = stamps, content
        return content

    def _content(self, number: int) -> str:
        if number == 0:
            return str(self.data("train").read()["content"])
        made_from = self._layer_digest(number)
        layer = self.layer(number, made_from).read()
        more = [value for name, value in TrainedLayer.from_arrays(layer).arrays().items()
                if name not in ("kernels", "v_thresh")]
        return digest(layer["kernels"], layer["v_thresh"], *more, made_from)

    def readout_digest(self) -> str:
        """Of what reads the last layer: the classifier, or the window in which output units are looked at."""
        s, content = self.settings, self.content(len(self.model.stages))
        if self.model.runs_as_one:
            return digest("readout", self.model.readout, s.reset, content)
        fitted = replace(self.model.classifier, on_board=False)         # wherever it answers, it is the same
        return digest("svm", fitted, s.seed, s.deformation, content)

    def _data_digest(self) -> str:
        s = self.settings
        source = str(s.dataset) if "://" in str(s.dataset) else str(Path(s.dataset))    # as written, so that runs move
        return digest("data", source, s.classes, s.n_train, s.n_validation,
                      s.n_test, s.per_class, s.image_filter, s.encoder, s.slot, s.seed, *[s.arch] * bool(s.arch),
                      *[("white", s.white)] * (s.white is not None),
                      *[("size", s.size)] * (s.size is not None))

    def _layer_digest(self, number: int) -> str:
        stage = self.model.stages[number - 1]
        stage = replace(stage, layer=replace(stage.layer, training=layer_rule(stage)))      # written out or not
        return digest("layer", stage, self.settings.seed, self.content(number - 1), *["dense"] * stage.dense,
                      *[] if self.settings.rule is None else [self.settings.rule, self.settings.reset])

    def entries(self) -> dict[str, dict[str, Any]]:
        """Entries of ``results.json`` that belong to what is stored now, the newest last: dict of str to dict."""
        found = {}
        for name, entry in self.store.results(schemas.check_entry).items():
            try:
                if entry.get("made_from") == self._entry_digest(name):
                    found[name] = entry
            except StoreError:
                continue
        return found

    def _entry_digest(self, name: str) -> str:
        contents = {f"layer {stage.number}": stage.number for stage in self.model.stages}
        return self.content(contents[name]) if name in contents else self.readout_digest()

    def keep_entry(self, name: str, entry: Mapping[str, Any]) -> None:
        """Keep an entry of ``results.json``: ``layer n``, ``svm`` or a split."""
        self.store.write_results(name, {**entry, "made_from": self._entry_digest(name)})


def if_there(read: Callable[..., Found], *args: Any) -> Found | None:
    """What ``read(*args)`` finds in a store, or None; images of another shape than the model's are still an error."""
    try:
        return read(*args)
    except ModelChanged:
        raise
    except StoreError:
        return None
