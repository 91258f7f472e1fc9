"""An experiment: settings, a run directory and a backend, and the steps load, train, fit, test.

Each step reads what the step before it has stored and stores its own result, so work that was finished is never lost
and never done twice. Images are shown on timelines of at most ``REPLICA_SAMPLES`` images; each timeline is a copy of
the network that starts at rest (a replica, as on a board), and the unit in which caches are kept. Replicas run side by
side on all cores.
"""

import logging
import os
import shlex
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np

import spikingconvnet
from spikingconvnet import build, datasets, readout, replicas
from spikingconvnet.backends import get_backend
from spikingconvnet.backends.base import log_warnings
from spikingconvnet.build import TrainedLayer
from spikingconvnet.deployment.check import Subject
from spikingconvnet.encoding import encode
from spikingconvnet.errors import DataError, SettingsError, StoreError, require
from spikingconvnet.spikes import Spikes
from spikingconvnet.store import RunDirectory, digest, pack_spikes, unpack_spikes
from spikingconvnet.training import floors, stdp

logger = logging.getLogger(__name__)

REPLICA_SAMPLES = 5000
CHECKED_WINDOWS = 200       # about as many windows of a training are looked at before it
SPLITS = ("train", "validation", "test")
RULES = {"stdp": stdp.train, "random": floors.random, "kmeans": floors.kmeans}


class Experiment:
    """One experiment in one run directory.

    Parameters
    ----------
    settings : Settings
    run_dir : str or Path
    backend : str
    target : str or None
        Of a backend that has several: which machine.
    cluster : str or None
        Where replicas run, see ``replicas.workers``.
    copies : int
        Replicas that share one run, as copies of the network on one machine.
    time_scale : int
        How many times slower than real time a SpiNNaker board runs.
    jobs : int or None
        Threads; the results do not depend on it.
    progress : callable
        ``progress(iterable, description)`` wraps long loops.
    program, options : str
        How the command line is called, and options that belong to every command of the run, for error texts.
    """

    def __init__(self, settings, run_dir, backend="local", jobs=None, progress=lambda items, description: items,
                 program="main.py", target=None, cluster=None, copies=1, time_scale=1, options=""):
        self.settings = settings
        self.model = settings.model
        self.store = RunDirectory(run_dir)
        self.backend_name, self.cluster, self.copies = backend, cluster, copies
        self.machine = backend if target is None else "emulated" if target == "emulated" else "hardware"
        self._options = {"target": target, "directory": self.store.path / backend,
                         "time_scale": time_scale} if target else {}
        self.jobs = jobs
        self.progress = progress
        self.program, self.options = program, options

    @cached_property
    def backend(self):
        """The backend's module, imported when something is to be simulated."""
        return get_backend(self.backend_name)

    # ------------------------------------------------------------ data

    def load_data(self):
        """Read, check, split, filter and encode the images: number of images of each split."""
        s, source = self.settings, self.settings.dataset
        rng = np.random.default_rng([s.seed, 0])
        counts = {}
        for name, part in self._images().items():
            spikes = encode(part.images, s.image_filter, s.encoder, rng).with_gap(s.slot)
            self.store.write(f"data/{name}", self._data_digest(), self._how(source=str(source)), labels=part.labels,
                             images=part.images[:64], content=np.array(digest(spikes.offsets, spikes.neurons)),
                             **pack_spikes(spikes))
            counts[name] = len(part)
        return counts

    def _images(self):
        """Images and labels of each split, read and checked: dict of str to datasets.ImageSet."""
        s, source = self.settings, self.settings.dataset
        cache = self.store.path / "downloads"
        train, test = (datasets.load(source, part, cache) for part in ("train", "test"))
        split = datasets.split(train.labels, test.labels, s.classes, s.n_train, s.n_validation, s.n_test, s.per_class)
        for part in (train, test):
            shape = (s.image_filter.channels, *part.images.shape[1:])
            require(shape == s.model.input_shape, str(source), "images", f"{shape[1]}x{shape[2]} pixels",
                    f"{s.model.input_shape[1]}x{s.model.input_shape[2]}, the input shape of MODEL in the parameters",
                    DataError)
        return {"train": train.select(split.train), "validation": train.select(split.validation),
                "test": test.select(split.test)}

    def has_data(self):
        """Whether the images have been loaded with the settings in force."""
        return all(self.store.cached(f"data/{split}", self._data_digest()) is not None for split in SPLITS)

    def data(self, split):
        """Stored data of a split: dict with ``spikes``, ``labels``, ``images`` (the first 64), ``content``."""
        arrays = self.store.read(f"data/{split}", self.command("loaddata"), self._data_digest())
        if not len(arrays["labels"]):
            raise SettingsError(f"N_{split.upper()}: is 0, so there are no {split} images; set it in the parameters,"
                                f" then run: {self.command('loaddata')}")
        arrays["spikes"] = unpack_spikes(arrays)
        return arrays

    # ------------------------------------------------------------ layers

    def train_layer(self, number, rule="stdp"):
        """Train layer `number` on the training images: stdp.Trained.

        Parameters
        ----------
        number : int
        rule : 'stdp', 'random' or 'kmeans'
            The last two are floors to compare with, see ``training.floors``.
        """
        stage = self.model.stages[number - 1]
        made_from = self._layer_digest(number)
        spikes = self.all_spikes(number - 1, "train")
        trained = RULES[rule](stage, spikes, np.random.default_rng([self.settings.seed, number]),
                              partial(self.backend.open, jobs=self.jobs, **self._options),
                              partial(self.progress, description=f"layer {number}: training"))
        self.store.write(f"layers/{number}", made_from, self._how(rule=rule, health=trained.health),
                         initial=trained.initial,
                         learned=trained.learned, kernels=trained.inference.kernels,
                         v_thresh=trained.inference.v_thresh, wins=trained.course.wins,
                         thresholds=trained.course.thresholds, mean_weight=trained.course.mean_weight)
        return trained

    def layer(self, number):
        """Stored arrays of a trained layer, see :meth:`train_layer`; ``how`` holds its health."""
        return self.store.read(f"layers/{number}", self.command("training", number), self._layer_digest(number))

    def is_trained(self, number, rule=None):
        """Whether layer `number` has been trained with the settings in force, and by `rule` if that is given."""
        return self._is_there(self.layer, number) and rule in (None, self.layer(number)["how"]["rule"])

    def all_spikes(self, number, split):
        """Spikes of a layer (0: the input) for a whole split."""
        data = self.data(split)
        if number == 0:
            return data["spikes"]
        return Spikes.concatenate(self._responses(number, split, data))

    def _responses(self, number, split, data, grid=None):
        """Spikes of a layer, or their counts on `grid`, for every replica: from the cache, or computed and cached."""
        n = len(data["labels"])
        firsts = range(0, n, REPLICA_SAMPLES)
        if number == 0:
            return [data["spikes"].samples(first, min(first + REPLICA_SAMPLES, n)) for first in firsts]
        names = [f"{f'spikes/{number}-' if grid is None else 'features/'}{split}-{first // REPLICA_SAMPLES:03d}"
                 for first in firsts]
        digests = self._replica_digests(number, data, firsts, grid)
        found = [self.store.cached(name, made_from) for name, made_from in zip(names, digests)]
        missing = [i for i, cached in enumerate(found) if cached is None]
        if missing:
            sources = self._responses(number - 1, split, data)
            description = f"layer {number}: {'spikes' if grid is None else 'counts'}, {split}"
            responses = self._simulate(number, [sources[i] for i in missing], grid, description)
            for i, response in zip(missing, responses):
                found[i] = pack_spikes(response) if grid is None else {"counts": response}
                self.store.write(names[i], digests[i], self._how(), **found[i])
        return [unpack_spikes(part) if grid is None else part["counts"] for part in found]

    def _simulate(self, number, sources, grid, description):
        """Responses of a layer to the replayed spikes of the layer before, one replica for each, side by side."""
        stage, arrays = self.model.stages[number - 1], self.layer(number)
        trained = TrainedLayer(arrays["kernels"], arrays["v_thresh"])
        jobs = self.jobs or os.cpu_count()
        at_once = self.backend.REPLICAS_AT_ONCE or jobs
        with replicas.workers(at_once, self.cluster) as pool:
            futures = [pool.submit(replicas.respond, networks, stage.label, self.backend_name, grid,
                                   jobs=max(1, jobs // min(at_once, len(sources))), **self._options)
                       for networks in self._copies([build.inference_network([stage], [trained], source)
                                                     for source in sources])]
            for future in self.progress(futures, description):
                responses, recording = future.result()
                yield from responses
            log_warnings(recording, logger)

    def _copies(self, networks):
        """Groups of networks that share one run: as many as asked for, with timelines of one length."""
        groups = []
        for network in networks:
            samples = network.population(build.INPUT).cell.spikes.n_samples
            if not groups or len(groups[-1]) == self.copies or groups[-1][0].population(
                    build.INPUT).cell.spikes.n_samples != samples:
                groups.append([])
            groups[-1].append(network)
        return groups

    def example(self, number, n_samples, membranes=False):
        """The first training images through the layers up to `number`.

        Returns
        -------
        spikes : Spikes
            Of layer `number`.
        v : float array (steps, neurons) or None
            Its membranes, mV.
        """
        data = self.data("train")
        trained = [self.layer(n) for n in range(1, number + 1)]
        network = build.inference_network(
            self.model.stages[:number], [TrainedLayer(a["kernels"], a["v_thresh"]) for a in trained],
            data["spikes"].samples(0, min(n_samples, data["spikes"].n_samples)))
        label = self.model.stages[number - 1].label
        with self.backend.open(network, (label,) if membranes else (), self.jobs, **self._options) as simulation:
            simulation.run(simulation.source_steps)
            recording = simulation.recording()
        return recording.spikes[label], recording.membrane(label) if membranes else None

    # ------------------------------------------------------------ readout

    def features(self, split):
        """Spike counts for the classifier and labels: uint16 (n, features), int (n,)."""
        return self._counted(split, self.data(split))

    def _counted(self, name, data):
        stage = self.model.stages[-1]
        parts = self._responses(stage.number, name, data, self.model.classifier.cells(stage.out_shape))
        return np.concatenate(parts), data["labels"]

    def _deformed_features(self, chosen):
        """The same for deformed copies of the training images at `chosen`."""
        s = self.settings
        images, rng = self._images()["train"].select(chosen), np.random.default_rng([s.seed, 0, 1])
        spikes = encode(s.deformation(images.images, rng), s.image_filter, s.encoder, rng).with_gap(s.slot)
        return self._counted("deformed", {"spikes": spikes, "labels": np.repeat(images.labels, s.deformation.copies),
                                          "content": digest(spikes.offsets, spikes.neurons)})

    def train_svm(self):
        """Fit the classifier on the training images, and again with deformed copies of those near its margins if there
        is a `deformation`: its score on the training images."""
        counts, labels = self.features("train")
        fit = partial(readout.fit, C=self.model.classifier.C, seed=self.settings.seed)
        fitted = fit(counts, labels)
        near = [] if self.settings.deformation is None else fitted.near_margin(counts, labels)
        if len(near):
            more = self._deformed_features(near)
            fitted = fit(*(np.concatenate(pair) for pair in zip((counts, labels), more)))
        self.store.write("svm", self._svm_digest(), self._how(), classes=fitted.classes,
                         coefficients=fitted.coefficients, intercepts=fitted.intercepts)
        return readout.score(fitted.predict(counts), labels)

    def test(self, split="test"):
        """Classify a split: its score."""
        arrays = self.store.read("svm", self.command("training", "svm"), self._svm_digest())
        fitted = readout.Readout(arrays["classes"], arrays["coefficients"], arrays["intercepts"])
        counts, labels = self.features(split)
        return readout.score(fitted.predict(counts), labels)

    def results(self):
        """Entries of ``results.json`` that belong to what is stored now, the newest last."""
        current = {f"layer {n + 1}": self._content for n in range(len(self.model.stages))}
        found = {}
        for name, entry in self.store.results().items():
            try:
                made_from = current[name](int(name.split()[1])) if name in current else self._svm_digest()
            except StoreError:
                continue
            if entry.get("made_from") == made_from:
                found[name] = entry
        return found

    def keep_result(self, name, result):
        """Keep an entry of ``results.json``: ``layer n``, ``svm`` or a split."""
        made_from = self._content(int(name.split()[1])) if name.startswith("layer ") else self._svm_digest()
        self.store.write_results(name, {**result, "made_from": made_from})

    def has_svm(self):
        """Whether the classifier has been fitted with the settings in force."""
        return self._is_there(lambda: self.store.read("svm", "", self._svm_digest()))

    @staticmethod
    def _if_there(read, *args):
        try:
            return read(*args)
        except StoreError:
            return None

    def _is_there(self, read, *args):
        return self._if_there(read, *args) is not None

    # ------------------------------------------------------------ before a run

    def networks(self):
        """What a board would be given: a Subject for training and one for inference of every layer.

        Spikes are those that are stored, of the replica with the busiest step; a source whose spikes are not there yet
        is silent. Kernels are those that were learned, or random ones.
        """
        return [subject for stage in self.model.stages for subject in self._networks(stage)]

    def _networks(self, stage):
        source, rng = self._stored_spikes(stage.number - 1), np.random.default_rng([self.settings.seed, stage.number])
        arrays = self._if_there(self.layer, stage.number)
        shown = source or Spikes.empty(stage.source_shape, 1, self.settings.slot)
        windows = self._some_windows(stage, source, rng)
        kernels = stdp.random_kernels(stage, rng) if arrays is None else arrays["initial"]
        training = build.training_network(stage, windows, kernels.reshape(len(kernels), -1).T,
                                          np.full(len(kernels), stage.layer.training.neuron.v_thresh))
        basis = ", ".join(("random kernels" if arrays is None else "learned kernels",
                           "no spikes yet" if source is None else "stored spikes"))
        trained = TrainedLayer(stdp.inference_kernels(stage.layer, kernels) if arrays is None else arrays["kernels"],
                               np.ones(stage.out_shape[0]) if arrays is None else arrays["v_thresh"])
        inference = build.inference_network([stage], [trained], shown)
        name = f"layer {stage.number}"
        return (Subject(f"{name}, training", training, stage.layer.training.slot, replicated=False,
                        basis=basis.replace("learned", "initial").replace("random", "initial")),
                Subject(f"{name}, inference", inference, shown.n_steps, (stage.label,), basis=basis))

    def _some_windows(self, stage, source, rng):
        training = stage.layer.training
        if source is None:
            return Spikes.empty(stage.layer.kernel_shape(stage.in_shape)[1:], 1, training.slot)
        chunks = min(training.chunks, CHECKED_WINDOWS)
        fewer = replace(training, chunks=chunks, windows=chunks * max(1, CHECKED_WINDOWS // chunks))
        return build.window_spikes(replace(stage, layer=replace(stage.layer, training=fewer)),
                                   build.pooled_input(stage, source), rng)

    def _stored_spikes(self, number):
        """Spikes of layer `number` (0: the input) for the training replica with the busiest step; None if not there."""
        data = self._if_there(self.data, "train")
        if data is None:
            return None
        if number == 0:
            spikes = data["spikes"]
            busiest = int(np.argmax(np.diff(spikes.offsets))) // spikes.n_steps // REPLICA_SAMPLES * REPLICA_SAMPLES
            return spikes.samples(busiest, min(busiest + REPLICA_SAMPLES, spikes.n_samples))
        if not self.is_trained(number):
            return None
        found = self.store.cached(f"spikes/{number}-train-000", *self._replica_digests(number, data, [0]))
        return None if found is None else unpack_spikes(found)

    def mapped(self):
        """What sPyNNaker would use for the inference of every layer, in as many copies as asked for, see
        ``backends.spinnaker.mapped``: dict of str to dict."""
        from spikingconvnet.backends import spinnaker

        found = {}
        for subject in self.networks():
            if subject.replicated:
                network = subject.network
                copies = replicas.together([network] * self.copies) if self.copies > 1 else network
                found[subject.name] = spinnaker.mapped(copies, self.store.path / "spinnaker")
        return found

    # ------------------------------------------------------------ digests

    def command(self, mode, layer=None):
        """The command line that makes a result."""
        layer = f" --layer {layer}" if layer else ""
        options = f" {self.options}" if self.options else ""
        return f"{self.program} --mode {mode}{layer} --run-dir {shlex.quote(str(self.store.path))}{options}"

    def _data_digest(self):
        s = self.settings
        source = str(s.dataset) if "://" in str(s.dataset) else str(Path(s.dataset))    # as written, so that runs move
        return digest("data", source, s.classes, s.n_train, s.n_validation,
                      s.n_test, s.per_class, s.image_filter, s.encoder, s.slot, s.seed)

    def _content(self, number):
        """Digest of what layer `number` (0: the input) computes."""
        if number == 0:
            return str(self.data("train")["content"])
        layer = self.layer(number)
        return digest(layer["kernels"], layer["v_thresh"], self._layer_digest(number))

    def _layer_digest(self, number):
        return digest("layer", self.model.stages[number - 1], self.settings.seed, self._content(number - 1))

    def _replica_digests(self, number, data, firsts, grid=None):
        """Of what the replicas of a layer are computed from; a board's are not taken for those of the local engine."""
        machine = [self.machine] * (self.machine != "local")
        content = ("spikes", self._content(number), str(data["content"]), *machine)
        return [digest(*content, first, REPLICA_SAMPLES, grid) for first in firsts]

    def _svm_digest(self):
        s = self.settings
        return digest("svm", self.model.classifier, s.seed, s.deformation, self._content(len(self.model.stages)))

    def _how(self, **more):
        return {"made_on": self.machine, "seed": self.settings.seed, "version": spikingconvnet.__version__, **more}
