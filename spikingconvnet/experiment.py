"""An experiment: settings, a run directory and a backend, and the steps load, train, fit, test.

Each step reads what the step before it has stored and stores its own result, so work that was finished is never lost
and never done twice. Images are shown on timelines of at most ``REPLICA_SAMPLES`` images; each timeline is a copy of
the network that starts at rest (a replica, as on a board), and the unit in which caches are kept. Replicas run side by
side on all cores.
"""

import logging
import math
import os
import re
import shlex
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial, wraps
from pathlib import Path

import numpy as np

import spikingconvnet
from spikingconvnet import build, crossvalidation, datasets, readout, replicas, silence, sizes
from spikingconvnet.backends import get_backend
from spikingconvnet.backends.base import log_warnings
from spikingconvnet.build import TrainedLayer
from spikingconvnet.deployment import health, recorded, resources, stored
from spikingconvnet.deployment.watch import Watch
from spikingconvnet.encoding import check_fires, encode, shown
from spikingconvnet.errors import (
    DataError,
    HealthError,
    ModelChanged,
    SettingsError,
    SimulationFailed,
    StoreError,
    require,
)
from spikingconvnet.spikes import Spikes
from spikingconvnet.store import RunDirectory, Unfinished, digest, pack_spikes, unpack_spikes
from spikingconvnet.training import RULES, balance, convert, parity

logger = logging.getLogger(__name__)

REPLICA_SAMPLES = 5000
RECORDED_SAMPLES = 100      # of a split, and at most one replica
CHAIN_SAMPLES = 1000        # training images whose spikes are kept where the rule does not learn from them
SPLITS = ("train", "validation", "test")


def writes(step):
    """A step of an Experiment, with the lock of its run directory held."""
    @wraps(step)
    def locked(self, *args, **kwargs):
        with self.store.locked():
            return step(self, *args, **kwargs)

    return locked


class Experiment:
    """One experiment in one run directory, which no other process writes while a step does.

    Parameters
    ----------
    settings : Settings
    run_dir : str or Path
    backend : str
    target : str or None
        Of a backend that has several: which machine.
    cluster : str or None
        Where replicas run, see ``replicas.workers``.
    copies : int or 'auto'
        Replicas that share one run, as copies of the network on one machine; `auto` is as many as it should hold.
    time_scale : int
        How many times slower than real time a SpiNNaker board runs.
    packet_buffer : int or None
        Packets that each core of a board holds until it works them off; None is sPyNNaker's own number.
    jobs : int or None
        Threads; the results do not depend on it.
    progress : callable
        ``progress(iterable, description)`` wraps long loops.
    program, options : str
        How the command line is called, and options that belong to every command of the run, for error texts.
    force : bool
        Whether results of an invalid run on a board are stored.
    """

    def __init__(self, settings, run_dir, backend="local", jobs=None, progress=lambda items, description: items,
                 program="main.py", target=None, cluster=None, copies=1, time_scale=1, options="", force=False,
                 packet_buffer=None):
        self.settings = settings
        self.model = settings.model
        self.store = RunDirectory(run_dir)
        self.backend_name, self.cluster, self.copies = backend, cluster, copies
        self.machine = backend if target is None else "emulated" if target == "emulated" else "hardware"
        self._options = {"target": target, "directory": self.store.path / backend,
                         "time_scale": time_scale, "packet_buffer": packet_buffer} if target else {}
        self.jobs = jobs
        self.progress = progress
        self.program, self.options = program, options
        self.force, self._verdicts = force, set()

    @cached_property
    def backend(self):
        """The backend's module, imported when something is to be simulated."""
        return get_backend(self.backend_name)

    # ------------------------------------------------------------ data

    @writes
    def load_data(self):
        """Read, check, split, filter and encode the images: number of images of each split."""
        s, rng = self.settings, np.random.default_rng([self.settings.seed, 0])
        how = self._how(source=str(s.dataset), **({"arch": s.arch} if s.arch else {}))
        train, test = self._files()
        left_out = np.setdiff1d(train.labels, s.classes).tolist()
        if left_out:
            logger.info("images of classes that CLASSES of the parameters does not name are not used: %s",
                        ", ".join(map(str, left_out)))
        parts = self._split(train, test)
        datasets.check_classes({name: part.labels for name, part in parts.items()}, s.dataset)
        image_filter, encoded = self._filter(parts["train"]), {}
        for name, part in parts.items():
            shown = part.images[:CHAIN_SAMPLES if name == "train" and s.model.runs_as_one else None]
            encoded[name] = encode(shown, image_filter, s.encoder, rng).with_gap(s.slot)
            check_fires(encoded[name], shown, image_filter, s.encoder, name)
        for name, part in parts.items():
            spikes = encoded[name]
            self.store.write(f"data/{name}", self._data_digest(), {**how, "split": name}, labels=part.labels,
                             images=part.images[:64], content=np.array(digest(spikes.offsets, spikes.neurons)),
                             **pack_spikes(spikes))
        return {name: len(part) for name, part in parts.items()}

    def _images(self):
        """Images and labels of every split, from the data set: dict of str to datasets.ImageSet."""
        return self._split(*self._files())

    def _split(self, train, test):
        s = self.settings
        try:
            split = datasets.split(train.labels, test.labels, s.classes, s.n_train, s.n_validation, s.n_test,
                                   s.per_class)
        except SettingsError as error:
            text = re.sub(r"^split\.([^:]+)", lambda match: f"parameters.{match[1].upper()}", str(error))
            raise SettingsError(f"{text} in {s.dataset}") from None
        return {"train": train.select(split.train), "validation": train.select(split.validation),
                "test": test.select(split.test)}

    def _files(self):
        """What the files of the data set hold, training and test part, as MODEL and FILTER need it: two ImageSets."""
        s, source = self.settings, self.settings.dataset
        for part in ("train", "test"):
            found = datasets.load(source, part, self.store.path / "downloads")
            shape = (s.image_filter.channels, *found.images.shape[1:])
            require(shape == s.model.input_shape, str(source), "images", f"{shape[1]}x{shape[2]} pixels",
                    f"{s.model.input_shape[1]}x{s.model.input_shape[2]}, the input shape of MODEL in the parameters",
                    DataError)
            yield datasets.ImageSet(datasets.full_range(found.images, s.white, f"{source}, {part} images",
                                                        hasattr(s.image_filter, "fitted")), found.labels)

    def _filter(self, train):
        """The parameters' FILTER, fitted to the training images if it is one that has to be."""
        chosen = self.settings.image_filter
        return chosen.fitted(train.images) if hasattr(chosen, "fitted") else chosen

    def has_data(self):
        """Whether the images have been loaded with the settings in force, and MODEL takes them."""
        found = [self.store.cached(f"data/{split}", self._data_digest(), self._data_schema(split)) for split in SPLITS]
        return all(arrays is not None and tuple(arrays["shape"]) == self.model.input_shape for arrays in found)

    def data(self, split):
        """Stored data of a split: dict with ``spikes``, ``labels``, ``images`` (the first 64), ``content``."""
        arrays = self.store.read(f"data/{split}", self.command("loaddata"), self._data_digest(),
                                 self._data_schema(split))
        held, taken = ("x".join(map(str, shape)) for shape in (arrays["shape"], self.model.input_shape))
        if held != taken:
            raise ModelChanged(f"{self.store.file(f'data/{split}')}: holds {held}, MODEL of the parameters takes"
                               f" {taken}; give MODEL the shape of the images, or load others:"
                               f" {self.command('loaddata')}")
        if not len(arrays["labels"]):
            raise SettingsError(f"N_{split.upper()}: is 0, so there are no {split} images; set it in the parameters,"
                                f" then run: {self.command('loaddata')}")
        arrays["spikes"] = unpack_spikes(arrays)
        if not arrays["spikes"].n_events:
            raise DataError(f"{self.store.file(f'data/{split}')}: holds {arrays['spikes'].n_samples:,} images and no"
                            f" spike; load them again with FILTER and ENCODER that make some:"
                            f" {self.command('loaddata')}")
        return arrays

    def _data_schema(self, split):
        return stored.data(split, self.settings.classes, n_steps=self.settings.slot)

    # ------------------------------------------------------------ layers

    @writes
    def train_layer(self, number, rule="stdp", record=None):
        """Train layer `number` on the training images: stdp.Trained.

        Parameters
        ----------
        number : int
        rule : 'stdp', 'random' or 'kmeans'
            The last two are floors to compare with, see ``training.floors``.
        record : str or Path or None
            File that keeps the recording of the training, see ``deployment.recorded``.

        Raises
        ------
        HealthError
            The runs on a board are invalid, and `force` is not set; so for all that simulates and stores.
        """
        self._check_rule(rule, whole=False)
        watch = self._watch(f"layer {number}, training")
        stage = self.model.stages[number - 1]
        made_from = self._layer_digest(number)
        spikes = self.all_spikes(number - 1, "train")
        opened = partial(self._open, watch)
        if record is not None:
            opened = recorded.recording(opened, self._how(shown=f"training of layer {number}"),
                                        partial(recorded.save, record), recorded.learns)
        unfinished = self._unfinished(number, rule)
        try:
            with _telling(f"layer {number}: training", stage.layer.training.chunks, "chunks",
                          lambda: len((unfinished.read() or {"wins": ()})["wins"])):
                trained = RULES[rule].load()(stage, spikes, np.random.default_rng([self.settings.seed, number]), opened,
                                             partial(self.progress, description=f"layer {number}: training"),
                                             unfinished.read(), unfinished.write)
            how = self._how(watch.settle(), rule=rule, health=trained.health)
        except HealthError:
            unfinished.forget()         # with what an invalid run has done nothing can go on
            raise
        self.store.write(f"layers/{number}", made_from, how, initial=trained.initial, learned=trained.learned,
                         **trained.inference.arrays(), wins=trained.course.wins,
                         thresholds=trained.course.thresholds, mean_weight=trained.course.mean_weight)
        unfinished.forget()
        self._noted({"how": how})
        return trained

    def _unfinished(self, number, rule):
        """What is finished of the training of layer `number`: store.Unfinished; another machine begins anew."""
        made_from = digest(self._layer_digest(number), rule, self.machine, spikingconvnet.__version__)
        stage = self.model.stages[number - 1]
        filters, *window = stage.layer.kernel_shape(stage.in_shape)
        schema = stored.unfinished(stage.layer.training.chunks, stage.layer.training.windows, filters=filters,
                                   inputs=math.prod(window))
        return Unfinished(self.store, f"layers/{number}", made_from, self._how(rule=rule), schema)

    @writes
    def train_chain(self, rule):
        """Train all layers at once on the training images, by the rule that the parameters' RULE holds settings of.

        Parameters
        ----------
        rule : str
            See ``training``.

        Returns
        -------
        dict
            The rule's health, and by layer the largest ``inputs`` of a step, nA, and thresholds, see
            ``training.balance``.
        """
        self._check_rule(rule, whole=True)
        train, s, watch = RULES[rule].load(), self.settings, self._watch(f"{rule}: training")
        images, labels = self._values("train")
        validation = self._values("validation") if s.n_validation else None
        found, health = train(self.model, images, labels, np.random.default_rng([s.seed, 1]), s.rule,
                              partial(self.progress, description=f"{rule}: training"), validation,
                              **RULES[rule].given(s.encoder, s.image_filter, partial(self._open, watch)))
        layers, peaks = balance.lower(self.model, found, self.data("train")["spikes"], partial(self._open, watch),
                                      s.reset)
        health |= self.judge(layers, images)
        board = watch.settle()
        for stage, layer, peak in zip(self.model.stages, layers, peaks):
            own = {"inputs": vars(peak), "v_thresh": float(np.median(layer.v_thresh))}
            self.store.write(f"layers/{stage.number}", self._layer_digest(stage.number),
                             self._how(board, rule=rule, health={**health, **own}), **layer.arrays())
            health = {**health, stage.label: own}
        return health

    def chain_health(self):
        """What :meth:`train_chain` returned, from what it has stored."""
        last = self.model.stages[-1]
        health = dict(self.layer(last.number)["how"]["health"])
        own = {name: health.pop(name) for name in ("inputs", "v_thresh")}
        return {**health, last.label: own}

    def judge(self, layers, images):
        """Judge trained layers by what they fire for the first training images by the local engine.

        Parameters
        ----------
        layers : list of TrainedLayer
        images : float32 array (n, C, H, W)
            What units are shown, see ``training``.

        Returns
        -------
        dict
            ``parity``: the reports of ``training.parity``, where layers stand for units.

        Raises
        ------
        SettingsError
            A layer that never fires, or rates or answers that are not those of the units.
        """
        s, spikes, reports = self.settings, self.data("train")["spikes"], []
        if s.rule.name == "convert":        # units first: what they say of a cause is more than rates can
            fitted = hasattr(s.image_filter, "fitted")
            image_filter = self._filter(self._images()["train"]) if fitted else s.image_filter
            reports.append(convert.judge(s.rule, self.model, image_filter))
        first = spikes.samples(0, min(parity.IMAGES, spikes.n_samples))
        network = build.inference_network(self.model.stages, layers, first, s.reset)
        found = get_backend("local").run(network, jobs=self.jobs).spikes
        if hasattr(s.rule, "rates"):        # says more of a layer that never fires
            fired = [first, *(found[stage.label] for stage in self.model.stages)]
            reports.append(parity.judge_rates(self.model, layers, s.rule, images[:first.n_samples], fired, s.encoder))
        else:
            self.check_fires(first, {label: spikes.n_events for label, spikes in found.items()},
                             f"{first.n_samples} training images", layers)
        return {"parity": told} if (told := [report.as_dict() for report in reports if report]) else {}

    def cross_validate(self, rule, scheme):
        """Train and test the model on the folds of the whole data set, test part included, and keep nothing of it.

        Parameters
        ----------
        rule : str
            See ``training``.
        scheme : crossvalidation.Scheme

        Returns
        -------
        dict of str to float array (repeats,)
            See ``crossvalidation.cross_validate``.
        """
        self._check_rule(rule, whole=True)
        parts = list(self._files())
        everything = datasets.ImageSet(*(np.concatenate([getattr(part, name) for part in parts])
                                         for name in ("images", "labels")))
        return crossvalidation.cross_validate(
            everything, self.settings, scheme, self.backend_name, {"jobs": self.jobs or 1, **self._options},
            partial(self.progress, description=f"{rule}: folds"))

    def _values(self, split):
        """What a whole-chain rule is given of a split: float32 (n, C, H, W), 0 to 1, and units of the labels."""
        stored, parts = self.data(split), self._images()
        part, image_filter = parts[split], self._filter(parts["train"])
        if not np.array_equal(stored["labels"], part.labels):
            raise StoreError(f"{self.settings.dataset}: is no longer the data set that was loaded;"
                             f" run: {self.command('loaddata')}")
        values = np.concatenate([shown(part.images[first:first + 1000], image_filter, self.settings.encoder)
                                 for first in range(0, len(part.labels), 1000)])
        return values, np.searchsorted(self._classes(), part.labels)

    def _check_rule(self, rule, whole):
        """Raise a SettingsError unless this rule can train this model."""
        kind = "all layers at once" if RULES[rule].whole else "one layer after another"
        if RULES[rule].whole != self.model.runs_as_one:
            readout = "SpikeCount() or Membrane()" if RULES[rule].whole else "Classifier()"
            raise SettingsError(f"--rule {rule}: trains {kind}, for a MODEL that ends with {readout}; this one ends"
                                f" with {self.model.readout}")
        if RULES[rule].whole and getattr(self.settings.rule, "name", None) != rule:
            raise SettingsError(f"--rule {rule}: needs its settings as RULE in the parameters, which hold"
                                f" {'none' if self.settings.rule is None else self.settings.rule}")
        if RULES[rule].whole != whole:
            raise SettingsError(f"--rule {rule}: trains {kind}")

    def layer(self, number):
        """Stored arrays of a trained layer, see :meth:`train_layer`; ``how`` holds its health."""
        command = self.command("training", None if self.model.runs_as_one else number)
        stage = self.model.stages[number - 1]
        schema = stored.layer(self.model.runs_as_one, maps=stage.out_shape[0], neurons=math.prod(stage.out_shape),
                              **dict(zip(stored.KERNELS, stage.layer.kernel_shape(stage.in_shape))))
        return self._noted(self.store.read(f"layers/{number}", command, self._layer_digest(number), schema))

    def trained(self, number):
        """Layer `number` as inference needs it: TrainedLayer."""
        return TrainedLayer.from_arrays(self.layer(number))

    def is_trained(self, number, rule=None):
        """Whether layer `number` has been trained with the settings in force, and by `rule` if that is given."""
        return if_there(self.layer, number) is not None and rule in (None, self.layer(number)["how"]["rule"])

    def all_spikes(self, number, split):
        """Spikes of a layer (0: the input) for a whole split."""
        data = self.data(split)
        if number == 0:
            return data["spikes"]
        return Spikes.concatenate(self._responses(number, split, data))

    def kept_spikes(self, number):
        """Spikes of a layer for the first training replica, of the input (0) for that with the busiest step; None where
        there are none yet."""
        data = if_there(self.data, "train")
        if data is None or (number and not self.is_trained(number)):
            return None
        if number == 0:
            spikes = data["spikes"]
            busiest = int(np.argmax(np.diff(spikes.offsets))) // spikes.n_steps // REPLICA_SAMPLES * REPLICA_SAMPLES
            return spikes.samples(busiest, min(busiest + REPLICA_SAMPLES, spikes.n_samples))
        images = min(REPLICA_SAMPLES, data["spikes"].n_samples)
        found = self.store.cached(f"spikes/{number}-train-000", *self._replica_digests(number, data, [0]),
                                  self._response_schema(number, images))
        if found is None:
            return None
        spikes = unpack_spikes(found)
        self._require_spikes(number, "train", data, spikes.n_events)
        return spikes

    def _responses(self, number, split, data, grid=None):
        """Spikes of a layer, or their counts on `grid`, for every replica: from the cache, or computed and cached."""
        n = data["spikes"].n_samples
        firsts = range(0, n, REPLICA_SAMPLES)
        if number == 0:
            return [data["spikes"].samples(first, min(first + REPLICA_SAMPLES, n)) for first in firsts]
        names = [f"{f'spikes/{number}-' if grid is None else 'features/'}{split}-{first // REPLICA_SAMPLES:03d}"
                 for first in firsts]

        description = f"layer {number}: {'spikes' if grid is None else 'counts'}, {split}"

        def compute(missing):
            sources = self._responses(number - 1, split, data)
            return ((pack_spikes(response) if grid is None else {"counts": response}, judged) for response, judged
                    in self._simulate(number, [sources[i] for i in missing], grid, description))

        schemas = [self._response_schema(number, min(REPLICA_SAMPLES, n - first), grid) for first in firsts]
        found = self._cached(names, self._replica_digests(number, data, firsts, grid), schemas, compute, description)
        self._require_spikes(number, split, data, any(part["counts"].any() for part in found))
        return [unpack_spikes(part) if grid is None else part["counts"] for part in found]

    def _response_schema(self, number, images, grid=None):
        """Schema of the spikes of a layer, or of their counts on `grid`, for so many images."""
        shape = self.model.stages[number - 1].out_shape
        if grid is not None:
            return stored.features(images=images, features=shape[0] * math.prod(grid))
        return stored.spikes(shape, self.settings.slot, steps=images * self.settings.slot)

    def _require_spikes(self, number, split, data, fired):
        """Refuse to go on with a layer that has been trained by itself and has not fired for any image of a split."""
        if not fired:
            raise silence.error([self.model.stages[number - 1]], [self.trained(number)],
                                self._responses(number - 1, split, data)[0], f"{len(data['labels']):,} {split} images",
                                self.command("training", number))

    def _cached(self, names, digests, schemas, compute, description):
        """Results of all replicas: from the cache, or by ``compute(missing replicas)`` one after another, and kept.

        `compute` gives an iterator over arrays and the verdict on the run behind them.
        """
        found = [self.store.cached(*file) for file in zip(names, digests, schemas)]
        missing = [i for i, cached in enumerate(found) if cached is None]
        if missing:
            with self.store.locked(), _telling(description, len(found), "replicas",
                                               lambda: sum(part is not None for part in found)):
                for i, (arrays, judged) in zip(missing, compute(missing)):
                    how = self._how(judged)
                    self.store.write(names[i], digests[i], how, **arrays)
                    found[i] = {**arrays, "how": how}
        return [self._noted(part) for part in found]

    def _simulate(self, number, sources, grid, description):
        """Responses of a layer to the replayed spikes of the layer before, one replica for each, side by side.

        Yields each with the verdict on its run.
        """
        stage, trained = self.model.stages[number - 1], self.trained(number)
        networks = [build.inference_network([stage], [trained], source) for source in sources]
        return self._side_by_side(networks, description, replicas.respond, label=stage.label, grid=grid)

    def _side_by_side(self, networks, description, work, **options):
        """``work(networks that share a run, ...)`` for every network, replica by replica, each with the verdict."""
        jobs = self.jobs or os.cpu_count()
        at_once = self.backend.REPLICAS_AT_ONCE or jobs
        with replicas.workers(at_once, self.cluster) as pool:
            futures = [pool.submit(work, group, backend=self.backend_name,
                                   jobs=max(1, jobs // min(at_once, len(networks))), **options, **self._options)
                       for group in self._copies(networks)]
            for future in self.progress(futures, description):
                watch = self._watch(description)
                with watch.failures():
                    responses, recording = future.result()
                watch.see(recording.provenance)
                judged = watch.settle()
                yield from ((response, judged) for response in responses)
            log_warnings(recording, logger)

    def _copies(self, networks):
        """Groups of networks that share one run: as many as asked for, with timelines of one length."""
        copies, groups = self.copies_of(networks[0], len(networks)), []
        for network in networks:
            samples = network.population(build.INPUT).cell.spikes.n_samples
            if not groups or len(groups[-1]) == copies or groups[-1][0].population(
                    build.INPUT).cell.spikes.n_samples != samples:
                groups.append([])
            groups[-1].append(network)
        return groups

    def copies_of(self, network, wanted):
        """Copies of a network that share one run: those asked for; or as many as fit, at least 1, at most `wanted`."""
        if self.copies != "auto":
            return self.copies
        on, found = resources.machine(self._options["target"]), resources.resources(network)
        fit = resources.replicas(found.groups, on)
        copies = max(1, min(fit, wanted))
        logger.info("copies: %d, because %s fit %s (%s cores, %s for each) and all images take %d", copies,
                    f"{fit:,}", on.name, f"{on.cores:,}", f"{found.cores:,}", wanted)
        return copies

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
        shown = data["spikes"].samples(0, min(n_samples, data["spikes"].n_samples))
        network = self._chain(number, shown)
        label = self.model.stages[number - 1].label
        watch = Watch(f"layer {number}, example", force=True)      # nothing of it is stored
        with self._open(watch, network, (label,) if membranes else ()) as simulation:
            simulation.run(simulation.source_steps)
            recording = simulation.recording()
        watch.settle()
        return recording.spikes[label], recording.membrane(label) if membranes else None

    def record(self, split, path):
        """Show the first images of a split to the chain of all layers, and keep the recording in a file.

        Parameters
        ----------
        split : str
        path : str or Path
        """
        spikes = self.data(split)["spikes"]
        n = min(spikes.n_samples, RECORDED_SAMPLES, REPLICA_SAMPLES)
        network = self._chain(len(self.model.stages), spikes.samples(0, n))
        shown = f"{n} {split} images"
        watch = Watch(f"recording of {shown}", force=True)     # of an invalid run it is what one wants to look at
        made = recorded.run(partial(self._open, watch), network, {})
        recorded.save(path, replace(made, how=self._how(watch.settle(), shown=shown)))

    def _chain(self, number, spikes):
        """The layers up to `number` as one network behind `spikes`."""
        return build.inference_network(self.model.stages[:number], [self.trained(n) for n in range(1, number + 1)],
                                       spikes, self.settings.reset)

    # ------------------------------------------------------------ readout

    def answers(self, split):
        """What the output units of a model that runs as one network answer to the images of a split.

        Of the training images the first `CHAIN_SAMPLES` are shown.

        Returns
        -------
        dict of str to array
            ``units`` (n, steps of the window), ``output`` (n, units) and ``spikes`` (n, layers and the input), see
            ``replicas.classify``; ``labels`` (n,).
        """
        data, number = self.data(split), len(self.model.stages)
        n = data["spikes"].n_samples
        firsts, description = range(0, n, REPLICA_SAMPLES), f"{split} images"

        def compute(missing):
            sources = self._responses(0, split, data)
            networks = [self._chain(number, sources[i]) for i in missing]
            return self._side_by_side(networks, description, replicas.classify, layer=self.model.readout)

        begin, end = self.model.readout.window(self.settings.slot)
        schemas = [stored.answers(images=min(REPLICA_SAMPLES, n - first), window=end - begin, populations=number + 1,
                                  units=len(self.settings.classes)) for first in firsts]
        found = self._cached([f"answers/{split}-{first // REPLICA_SAMPLES:03d}" for first in firsts],
                             self._replica_digests(number, data, firsts, self._readout_digest()), schemas, compute,
                             description)
        answers = {name: np.concatenate([part[name] for part in found]) for name in ("units", "output", "spikes")}
        labels = [build.INPUT, *(stage.label for stage in self.model.stages)]
        fired = dict(zip(labels, answers["spikes"].sum(axis=0)))
        self.check_fires(data["spikes"], fired, f"{n:,} {split} images")
        return {"labels": data["labels"][:n], **answers}

    def check_fires(self, spikes, fired, samples, layers=None):
        """Refuse a chain one of whose layers has not fired at all, see ``silence.check_chain``; None takes the stored
        layers."""
        layers = layers or [self.trained(stage.number) for stage in self.model.stages]
        silence.check_chain(self.model, layers, spikes, fired, samples, self.command("training"), self.settings.reset)

    def features(self, split):
        """What is read out, and labels: float (n, features), int (n,).

        Spike counts for the classifier; of a model that runs as one network those of its output units, or their mean
        membranes.
        """
        if self.model.runs_as_one:
            answers = self.answers(split)
            return answers["output"], answers["labels"]
        return self._counted(split, self.data(split))

    def _counted(self, name, data):
        stage = self.model.stages[-1]
        parts = self._responses(stage.number, name, data, self.model.classifier.cells(stage.out_shape))
        return np.concatenate(parts), data["labels"]

    def _deformed_features(self, chosen):
        """The same for deformed copies of the training images at `chosen`."""
        s = self.settings
        train, rng = self._images()["train"], np.random.default_rng([s.seed, 0, 1])
        images, copies = train.select(chosen), s.deformation.copies
        sizes.require_fits("Deformation", "copies", copies,
                           copies * len(images) * (2 * images.images[0].size + 24 * s.slot))
        spikes = encode(s.deformation(images.images, rng), self._filter(train), s.encoder, rng).with_gap(s.slot)
        return self._counted("deformed", {"spikes": spikes, "labels": np.repeat(images.labels, s.deformation.copies),
                                          "content": digest(spikes.offsets, spikes.neurons)})

    @writes
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
        self.store.write("svm", self._svm_digest(), self._how(self.verdict()), classes=fitted.classes,
                         coefficients=fitted.coefficients, intercepts=fitted.intercepts)
        return readout.score(fitted.predict(counts), labels)

    def test(self, split="test"):
        """Classify a split: its score."""
        if self.model.runs_as_one:
            answers = self.answers(split)
            return readout.score(self._classes()[answers["units"][:, -1]], answers["labels"])
        arrays = self._noted(self._svm())
        fitted = readout.Readout(arrays["classes"], arrays["coefficients"], arrays["intercepts"])
        counts, labels = self.features(split)
        return readout.score(fitted.predict(counts), labels)

    def over_time(self, split="test"):
        """How a model that runs as one network answers while an image is shown, on average over a split.

        Returns
        -------
        dict
            ``steps``: ends of the window, steps since the image began; ``accuracy``: what it would be with each of
            them; ``spikes``: spikes an image, by population, ``input`` first.
        """
        answers, (first, last) = self.answers(split), self.model.readout.window(self.settings.slot)
        right = self._classes()[answers["units"]] == answers["labels"][:, None]
        names = [build.INPUT, *(stage.label for stage in self.model.stages)]
        return {"steps": list(range(first + 1, last + 1)), "accuracy": right.mean(axis=0).tolist(),
                "spikes": dict(zip(names, answers["spikes"].mean(axis=0).tolist()))}

    def _classes(self):
        """The class that each output unit stands for."""
        return np.sort(np.array(self.settings.classes))

    def results(self):
        """Entries of ``results.json`` that belong to what is stored now, the newest last."""
        current = {f"layer {n + 1}": self._content for n in range(len(self.model.stages))}
        found = {}
        for name, entry in self.store.results(stored.check_entry).items():
            try:
                made_from = current[name](int(name.split()[1])) if name in current else self._readout_digest()
            except StoreError:
                continue
            if entry.get("made_from") == made_from:
                found[name] = entry
        return found

    @writes
    def keep_result(self, name, result):
        """Keep an entry of ``results.json``: ``layer n``, ``svm`` or a split."""
        if name.startswith("layer "):
            number = int(name.split()[1])
            made_from = self._content(number)
            self._unfinished(number, None).forget()     # by a command that was killed behind the layer itself
        else:
            made_from = self._readout_digest()
        self.store.write_results(name, {**result, **self.verdict(), "made_from": made_from})

    # ------------------------------------------------------------ runs on a board

    def verdict(self):
        """The worst verdict on the runs that this experiment has made or used so far, and on those behind them.

        Returns
        -------
        dict
            ``verdict``: see ``health.VERDICTS``; empty if none was on a board.
        """
        return {"verdict": health.worst(self._verdicts)} if self._verdicts else {}

    def _watch(self, name):
        return Watch(name, self.force)

    def _open(self, watch, network, record=()):
        """A simulation on the backend, watched."""
        return watch.open(self.backend.open(network, record, self.jobs, **self._options))

    def _noted(self, arrays):
        """A stored result, after its verdict has been noted."""
        self._verdicts |= {judged["verdict"] for judged in [arrays["how"].get("board")] if judged}
        return arrays

    def has_svm(self):
        """Whether the classifier has been fitted with the settings in force."""
        return if_there(self._svm) is not None

    def _svm(self):
        """Stored arrays of the classifier."""
        schema = stored.classifier(self.settings.classes, features=self.model.shapes[-1][0])
        return self.store.read("svm", self.command("training", "svm"), self._svm_digest(), schema)

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
                      s.n_test, s.per_class, s.image_filter, s.encoder, s.slot, s.seed, *[s.arch] * bool(s.arch),
                      *[("white", s.white)] * (s.white is not None))

    def _content(self, number):
        """Digest of what layer `number` (0: the input) computes."""
        if number == 0:
            return str(self.data("train")["content"])
        layer = self.layer(number)
        more = [value for name, value in TrainedLayer.from_arrays(layer).arrays().items()
                if name not in ("kernels", "v_thresh")]
        return digest(layer["kernels"], layer["v_thresh"], *more, self._layer_digest(number))

    def _layer_digest(self, number):
        stage = self.model.stages[number - 1]
        return digest("layer", stage, self.settings.seed, self._content(number - 1), *["dense"] * stage.dense,
                      *[] if self.settings.rule is None else [self.settings.rule, self.settings.reset])

    def _replica_digests(self, number, data, firsts, grid=None):
        """Of what the replicas of a layer are computed from; a board's are not taken for those of the local engine."""
        machine = [self.machine] * (self.machine != "local")
        content = ("spikes", self._content(number), str(data["content"]), *machine)
        return [digest(*content, first, REPLICA_SAMPLES, grid) for first in firsts]

    def _readout_digest(self):
        if not self.model.runs_as_one:
            return self._svm_digest()
        return digest("readout", self.model.readout, self.settings.reset, self._content(len(self.model.stages)))

    def _svm_digest(self):
        s = self.settings
        return digest("svm", self.model.classifier, s.seed, s.deformation, self._content(len(self.model.stages)))

    def _how(self, board=None, **more):
        """How a result is made, with the verdict on the runs behind it if they were on a board."""
        more |= {"board": board} if board else {}
        return {"made_on": self.machine, "seed": self.settings.seed, "version": spikingconvnet.__version__, **more}


def if_there(read, *args):
    """What ``read(*args)`` finds in a store, or None; images of another shape than the model's are still an error."""
    try:
        return read(*args)
    except ModelChanged:
        raise
    except StoreError:
        return None


@contextmanager
def _telling(what, total, parts, finished):
    """Have a failure say what was at work, and that ``finished()`` of `total` `parts` are kept."""
    try:
        yield
    except SimulationFailed as error:
        told = SimulationFailed(f"{what}: {error}; {finished()} of {total} {parts} are kept")
        told.provenance = error.provenance
        raise told from error
