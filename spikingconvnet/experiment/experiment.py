"""An experiment: settings, a run directory and a backend, and the steps load, train, fit, test.

Each step reads what the step before it has stored and stores its own result, so work that was finished is never lost
and never done twice. What is stored and what it is made from is said in ``results``, where images come from in
``loading``, where networks run in ``runner``, and what layers answer to whole splits in ``timelines``.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.backends.spinnaker.machine import Machine
from spikingconvnet.compare import recorded
from spikingconvnet.compare.recorder import learns, recording, run
from spikingconvnet.data.colour import grey
from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.events import EventSet
from spikingconvnet.errors import HealthError, StoreError, require
from spikingconvnet.experiment import binding, crossvalidation, readout, replicas
from spikingconvnet.experiment.judging import judge
from spikingconvnet.experiment.loading import Images
from spikingconvnet.experiment.prediction import Answers, TrainedNetwork, kept_head
from spikingconvnet.experiment.results import SPLITS, Results, if_there, writes
from spikingconvnet.experiment.runner import Runner
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.experiment.timelines import Timelines, telling
from spikingconvnet.health import silence
from spikingconvnet.health.verdict import worst
from spikingconvnet.health.watch import Watch
from spikingconvnet.model import build
from spikingconvnet.model.learning import OpenNetwork
from spikingconvnet.model.trained import Trained, TrainedLayer
from spikingconvnet.network.arrays import AnyInts, Floats, Floats32, Ints, Numbers, Pixels
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import digest, pack_spikes
from spikingconvnet.store.directory import RunDirectory
from spikingconvnet.training import layer_rule, network_rule, require_layers, require_trained, require_trains
from spikingconvnet.training.chain import balance
from spikingconvnet.training.layerwise.stdp import STDP

logger = logging.getLogger(__name__)

RECORDED_SAMPLES = 100      # of a split, and at most one replica
PICTURED = 64               # images of a split that are kept for pictures


class Experiment:
    """One experiment in one run directory, which no other process writes while a step does.

    Parameters
    ----------
    settings : Settings
    run_dir : str, Path or RunDirectory
    backend : str
    target : str, spinnaker.machine.Machine or None
        Of a backend that has several: which machine.
    cluster : str or None
        Where replicas run, see ``workers.workers``.
    copies : int or 'auto'
        Replicas that share one run, as copies of the network on one machine; `auto` is as many as it should hold.
    time_scale : int
        How many times slower than real time a SpiNNaker board runs.
    packet_buffer, timed
        As of the backend `spinnaker`, see its ``open``.
    jobs : int or None
        Threads; the results do not depend on it.
    progress : callable
        ``progress(iterable, description)`` wraps long loops.
    program, options : str
        How the command line is called, and options that belong to every command of the run, for error texts.
    force : bool
        Whether results of an invalid run on a board are stored.

    Attributes
    ----------
    store : RunDirectory
    stored : Results
        What is stored, and what each of it is made from.
    images : Images
        Of the data set.
    asked : Settings
        As they were given, before those that the data set decides on were known.
    runner : Runner
    timelines : Timelines
    """

    def __init__(self, settings: Settings, run_dir: str | Path | RunDirectory, backend: str = "local",
                 jobs: int | None = None, progress: Callable[..., Iterable[Any]] = lambda items, description: items,
                 program: str = "main.py", target: str | Machine | None = None, cluster: str | None = None,
                 copies: int | str = 1, time_scale: int = 1, options: str = "", force: bool = False,
                 packet_buffer: int | None = None, timed: bool = False) -> None:
        self.jobs, self.progress = jobs, progress
        self.store = run_dir if isinstance(run_dir, RunDirectory) else RunDirectory(run_dir)
        self.runner = Runner(backend, jobs, progress, target, cluster, copies, force, time_scale=time_scale,
                             directory=self.store.path / backend, packet_buffer=packet_buffer, timed=timed)
        self.asked, self._called = settings, (program, options)
        self.look()

    def look(self) -> None:
        """Take the settings as the data have bound them that lie in the run directory."""
        self._bind(binding.as_kept(self.asked, self.store.how("data/train") if self.asked.is_open else {}))

    def _bind(self, settings: Settings) -> None:
        """Take settings that are those of a data set, or as much of them as is known yet."""
        self.settings, self.model = settings, settings.model
        self.stored = Results(settings, self.store, self.runner.machine, *self._called)
        self.images = self.images_of(settings)
        self.timelines = Timelines(self.stored, self.runner)

    def images_of(self, settings: Settings) -> Images:
        """Where images come from."""
        return Images(settings, self.store.downloads)

    def command(self, mode: str, layer: int | str | None = None) -> str:
        """The command line that makes a result."""
        return self.stored.command(mode, layer)

    @writes
    def load_data(self) -> dict[str, int]:
        """Read, check, split, filter and encode the images: number of images of each split."""
        content = self.images_of(self.asked).found()
        self._bind(binding.bound(self.asked, content))
        s = self.settings
        how = {**self.stored.how(), **binding.kept(self.asked, s, content)}
        found = self.images.encoded(np.random.default_rng([s.seed, 0]), content)
        for name, (part, spikes) in found.items():
            self.stored.data(name).write(
                {**how, "split": name}, labels=part.labels, images=grey(part.images[:PICTURED]),
                content=np.array(digest(spikes.offsets, spikes.neurons)), **pack_spikes(spikes))
        return {name: len(part) for name, (part, _) in found.items()}

    def has_data(self) -> bool:
        """Whether the images have been loaded with the settings in force, and MODEL takes them."""
        return all(self.stored.data(split).is_there() for split in SPLITS)

    def data(self, split: str) -> dict[str, Any]:
        """Stored data of a split: dict with ``spikes``, ``labels``, ``images`` (the first 64), ``content``."""
        return self.stored.data(split).read()

    @writes
    def train_layer(self, number: int, rule: str | None = None, record: str | Path | None = None) -> Trained:
        """Train layer `number` on the training images: Trained.

        Parameters
        ----------
        number : int
        rule : 'local-errors', 'random', 'kmeans', 'pca' or None
            None is the layer's own, ``Conv2D.training``; the first learns from labels instead, the others are floors,
            see ``training.layerwise``.
        record : str or Path or None
            File that keeps the recording of the training, see ``compare.recorded``.

        Raises
        ------
        SettingsError, HealthError
            A `record` of a rule without a network; invalid runs on a board without `force`, as for all that simulates.
        """
        require_trains(self.model, rule or STDP.name, whole=False)
        stage, watch = self.model.stages[number - 1], self.runner.watch(f"layer {number}, training")
        own = layer_rule(stage, rule)
        require(record is None or own.simulates, f"rule {own.name}", "record", record, "left out: no network learns")
        layer, course = self.stored.layer(number), self.stored.course(number, own)
        spikes, description = self.all_spikes(number - 1, "train"), f"layer {number}: training"
        labelled = {"labels": self.data("train")["labels"]} if own.takes_labels else {}
        try:
            with telling(description, own.chunks, "chunks", lambda: len((course.read() or {}).get("wins", ()))):
                trained = require_trained(own, stage, own.train(
                    stage, spikes, np.random.default_rng([self.settings.seed, number]),
                    self._opened(watch, f"training of layer {number}", record),
                    partial(self.progress, description=description), course.read(), course.write, **labelled))
            how = self.stored.how(watch.settle(), rule=own.name, health=trained.diagnostics)
        except HealthError:
            course.forget()             # with what an invalid run has done nothing can go on
            raise
        layer.write(how, **trained.arrays())
        course.forget()
        return trained

    def _opened(self, watch: Watch, shown: str, record: str | Path | None) -> OpenNetwork:
        """What opens a network for a rule; a recording is kept if one is asked for."""
        opened = partial(self.runner.open, watch)
        if record is None:
            return opened
        return recording(opened, self.stored.how(shown=shown), partial(recorded.save, record), learns)

    @writes
    def train_chain(self, rule: str | None = None) -> dict[str, Any]:
        """Train all layers at once on the training images, by the parameters' RULE.

        Parameters
        ----------
        rule : str or None
            Name that RULE has to have, if it is not None.

        Returns
        -------
        dict
            The rule's diagnostics, and by layer the largest ``inputs`` of a step, nA, and thresholds, see
            ``training.chain.balance``.
        """
        learning, s = network_rule(self.settings, rule), self.settings
        description, watch = f"{learning.name}: training", self.runner.watch(f"{learning.name}: training")
        images, labels = self.values("train")
        validation = self.values("validation") if s.n_validation else None
        found, diagnostics = learning.train(
            self.model, images, labels, np.random.default_rng([s.seed, 1]), encoder=s.encoder,
            image_filter=s.image_filter, events=self.images.events(), open_network=partial(self.runner.open, watch),
            progress=partial(self.progress, description=description), validation=validation)
        require_layers(learning, self.model.stages, found, diagnostics)
        layers, peaks = balance.balanced(self.model, found, self.data("train")["spikes"],
                                      partial(self.runner.open, watch), s.reset)
        diagnostics |= judge(self, layers, images)
        board = watch.settle()
        for stage, layer, peak in zip(self.model.stages, layers, peaks):
            own = {"inputs": vars(peak), "v_thresh": float(np.median(layer.v_thresh))}
            how = self.stored.how(board, rule=learning.name, health={**diagnostics, **own})
            self.stored.layer(stage.number).write(how, **layer.arrays())
            diagnostics = {**diagnostics, stage.label: own}
        return diagnostics

    def chain_diagnostics(self) -> dict[str, Any]:
        """What :meth:`train_chain` returned, from what it has stored."""
        last = self.model.stages[-1]
        diagnostics = dict(self.layer(last.number)["how"]["health"])
        own = {name: diagnostics.pop(name) for name in ("inputs", "v_thresh")}
        return {**diagnostics, last.label: own}

    def cross_validate(self, scheme: crossvalidation.Scheme, rule: str | None = None) -> dict[str, Floats]:
        """Train and test the model on the folds of the whole data set, test part included, and keep nothing of it.

        `rule` is as for :meth:`train_chain`; what is returned, dict of str to float array (repeats,), and what else it
        takes says ``crossvalidation.cross_validate``.
        """
        name, content = network_rule(self.asked, rule).name, self.images_of(self.asked).found()
        settings = binding.bound(replace(self.asked, n_train=None, n_validation=0, n_test=None), content)
        return crossvalidation.cross_validate(
            self.images_of(settings).everything(content), settings, scheme, self.runner.backend_name,
            {"jobs": self.jobs or 1, **self.runner.options}, partial(self.progress, description=f"{name}: folds"))

    def values(self, split: str) -> tuple[Floats32, Ints]:
        """A split for a whole-chain rule: float32 (n, C, H, W), 0 to 1, and units; changed labels are a StoreError."""
        stored = self.data(split)["labels"]         # first: without them there is no need to read all images
        values, labels = self.images.values(split)
        if not np.array_equal(stored, labels):
            raise StoreError(f"{self.settings.dataset}: is no longer the data set that was loaded;"
                             f" run: {self.command('loaddata')}")
        return values, np.searchsorted(self.classes(), labels)

    def classes(self) -> Ints:
        """The class that each output unit stands for: int array (units,)."""
        return np.sort(np.array(self.settings.classes))

    def layer(self, number: int) -> dict[str, Any]:
        """Stored arrays of a trained layer, see :meth:`train_layer`; ``how`` holds its diagnostics."""
        return self.stored.layer(number).read()

    def trained(self, number: int) -> TrainedLayer:
        """Layer `number` as inference needs it: TrainedLayer."""
        return self.timelines.trained(number)

    def is_trained(self, number: int, rule: str | None = None) -> bool:
        """Whether layer `number` has been trained with the settings in force, and by `rule` if that is given."""
        found = if_there(self.layer, number)
        return found is not None and rule in (None, found["how"]["rule"])

    def all_spikes(self, number: int, split: str) -> Spikes:
        """Spikes of a layer (0: the input) for a whole split."""
        data = self.data(split)
        return data["spikes"] if number == 0 else Spikes.concatenate(self.timelines.spikes(number, split, data))

    def kept_spikes(self, number: int) -> Spikes | None:
        """Spikes of a layer for the first training replica, of the input (0) for the busiest; None if not there yet."""
        data, most = if_there(self.data, "train"), replicas.REPLICA_SAMPLES
        if data is None or (number and not self.is_trained(number)):
            return None
        if number:
            return self.timelines.first(number, data)
        spikes: Spikes = data["spikes"]
        busiest = int(np.argmax(np.diff(spikes.offsets))) // spikes.n_steps // most * most
        return spikes.samples(busiest, min(busiest + most, spikes.n_samples))

    def network(self, number: int, spikes: Spikes) -> Network:
        """The trained layers up to `number` as one network behind `spikes`: Network."""
        return self.timelines.chain(number, spikes)

    def example(self, number: int, n_samples: int, membranes: bool = False) -> tuple[Spikes, Floats | None]:
        """The first training images through the layers up to `number`.

        Returns
        -------
        spikes : Spikes
            Of layer `number`.
        v : float array (steps, neurons) or None
            Its membranes, mV.
        """
        spikes, label = self.data("train")["spikes"], self.model.stages[number - 1].label
        network = self.network(number, spikes.samples(0, min(n_samples, spikes.n_samples)))
        found = self.runner.shown(network, f"layer {number}, example", (label,) if membranes else ())
        return found.spikes[label], found.membrane(label) if membranes else None

    def record(self, split: str, path: str | Path, first: int = 0, most: int = RECORDED_SAMPLES) -> None:
        """Show images of a split, from `first` on, to the chain of all layers, and keep the recording in a file."""
        spikes = self.data(split)["spikes"]
        n = min(spikes.n_samples - first, most, replicas.REPLICA_SAMPLES)
        network, shown = self.network(len(self.model.stages), spikes.samples(first, first + n)), f"{n} {split} images"
        watch = Watch(f"recording of {shown}", force=True)     # of an invalid run it is what one wants to look at
        made = run(partial(self.runner.open, watch), network, {})
        recorded.save(path, replace(made, how=self.stored.how(watch.settle(), shown=shown)))

    def answers(self, split: str) -> dict[str, Numbers]:
        """What the output units of a model that runs as one network answer to the images of a split.

        Of the training images those whose spikes are kept are shown.

        Returns
        -------
        dict of str to array
            ``labels`` (n,), and the arrays of ``timelines.Timelines.answers``.
        """
        data = self.data(split)
        answers, n = self.timelines.answers(split, data), data["spikes"].n_samples
        labels = [build.INPUT, *(stage.label for stage in self.model.stages)]
        fired = dict(zip(labels, answers["spikes"].sum(axis=0)))
        self.check_fires(data["spikes"], fired, f"{n:,} {split} images")
        silence.check_counted(self.model, answers["output"], f"{n:,} {split} images", self.command("loaddata"))
        return {"labels": data["labels"][:n], **answers}

    def check_fires(self, spikes: Spikes, fired: Mapping[str, int], samples: str,
                    layers: Sequence[TrainedLayer] | None = None) -> None:
        """Refuse a chain with a layer that has not fired, see ``silence.check_chain``; None takes stored layers."""
        layers = layers or [self.trained(stage.number) for stage in self.model.stages]
        silence.check_chain(self.model, layers, spikes, fired, samples, self.command("training"), self.settings.reset)

    def features(self, split: str) -> tuple[Numbers, AnyInts]:
        """What is read out, and labels: float (n, features), int (n,).

        Spike counts for the classifier; of a model that runs as one network those of its output units, or their mean
        membranes.
        """
        if self.model.runs_as_one:
            answers = self.answers(split)
            return answers["output"], answers["labels"]
        data = self.data(split)
        return self._counts(split, data), data["labels"]

    def _counts(self, name: str, data: Mapping[str, Any]) -> Numbers:
        stage = self.model.stages[-1]
        return self.timelines.counts(stage.number, name, data, self.model.classifier.cells(stage.out_shape))

    def deformed_features(self, chosen: Ints, deformation: Deformation) -> tuple[Numbers, AnyInts]:
        """The same for deformed copies of the training images at `chosen`."""
        parts = [(readout.smallest(self._counts("deformed", data)), data["labels"])
                 for data in self.images.deformed(chosen, deformation)]
        return np.concatenate([counts for counts, _ in parts]), np.concatenate([labels for _, labels in parts])

    @writes
    def train_svm(self) -> readout.Score:
        """Fit the classifier, in the end with deformed copies if there is a `deformation`: its training score."""
        counts, labels = self.features("train")
        watch, s = self.runner.watch("readout: training"), self.settings
        fit = readout.fitter(self.model.classifier, s.seed, self.progress, partial(self.runner.open, watch))
        if of_hard_ones := not s.deformation or s.deformation.near_margin:
            fitted = fit(counts, labels)
        chosen = fitted.near_margin(counts, labels) if of_hard_ones else np.arange(len(labels))
        if s.deformation and len(chosen):
            more = self.deformed_features(chosen, s.deformation)
            fitted = fit(*(np.concatenate(pair) for pair in zip((readout.smallest(counts), labels), more)))
        self.stored.classifier().write(self.stored.how(watch.settle() or self.verdict()), **vars(fitted))
        return readout.score(fitted.predict(counts), labels)

    def has_svm(self) -> bool:
        """Whether the classifier has been fitted with the settings in force."""
        return self.stored.classifier().is_there()

    def test(self, split: str = "test") -> readout.Score:
        """Classify a split: its score."""
        if self.model.runs_as_one:
            answers = self.answers(split)
            return readout.score(self.classes()[answers["units"][:, -1]], answers["labels"])
        fitted = readout.Readout.from_arrays(self.stored.classifier().read())
        counts, labels = self.features(split)
        return readout.score(fitted.predict(counts), labels)

    def trained_network(self) -> TrainedNetwork:
        """All that has been trained, without the run directory; what is missing is a StoreError."""
        fitted = None if self.model.runs_as_one else readout.Readout.from_arrays(self.stored.classifier().read())
        return TrainedNetwork(replace(self.settings, image_filter=self.images.image_filter()),
                              tuple(self.trained(stage.number) for stage in self.model.stages), fitted,
                              binding.span(self.store), kept_head(self.stored, self.model))

    def predict(self, images: Pixels | EventSet) -> Answers:
        """What the trained network answers to new images: Answers, ``labels`` and ``scores``; nothing of it is stored.

        Parameters
        ----------
        images : uint8 array (n, H, W) or (n, H, W, 3), or EventSet
            As in the data set; a step that is missing is a StoreError, else as ``TrainedNetwork.answer``.
        """
        with self.store.locked() if self.runner.options else nullcontext():     # a board's files lie there
            answers = self.trained_network().answer(images, self.runner)
        self.stored.verdicts |= answers.verdicts
        return answers

    def over_time(self, split: str = "test") -> dict[str, Any]:
        """How a model that runs as one network answers while an image is shown, on average over a split.

        Returns
        -------
        dict
            ``steps``: ends of the window, steps since the image began; ``accuracy``: what it would be with each of
            them; ``spikes``: spikes an image, by population, ``input`` first.
        """
        answers, (first, last) = self.answers(split), self.model.unit_readout.window(self.settings.slot)
        right = self.classes()[answers["units"]] == answers["labels"][:, None]
        names = [build.INPUT, *(stage.label for stage in self.model.stages)]
        return {"steps": list(range(first + 1, last + 1)), "accuracy": right.mean(axis=0).tolist(),
                "spikes": dict(zip(names, answers["spikes"].mean(axis=0).tolist()))}

    def results(self) -> dict[str, dict[str, Any]]:
        """Entries of ``results.json`` that belong to what is stored now, the newest last."""
        return self.stored.entries()

    @writes
    def keep_layer_result(self, number: int, result: Mapping[str, Any]) -> None:
        """Keep an entry ``layer n`` of ``results.json``."""
        rule = layer_rule(self.model.stages[number - 1])
        self.stored.course(number, rule).forget()       # by a command that was killed behind the layer itself
        self.keep_result(f"layer {number}", result)

    @writes
    def keep_result(self, name: str, result: Mapping[str, Any]) -> None:
        """Keep an entry of ``results.json``: ``layer n``, ``svm`` or a split."""
        self.stored.keep_entry(name, {**result, **self.verdict()})

    def verdict(self) -> dict[str, str]:
        """The worst verdict on the runs that this experiment has made or used so far, and on those behind them.

        Returns
        -------
        dict
            ``verdict``: see ``health.verdict``; empty if none was on a board.
        """
        return {"verdict": worst(self.stored.verdicts)} if self.stored.verdicts else {}
