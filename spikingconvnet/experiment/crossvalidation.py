"""Repeated stratified cross-validation of a rule on a small data set, with classical classifiers on the same folds.

One split of 30 flowers has a standard error of 3 points; ten repeats of five folds show every flower ten times to a
network that has not learned from it.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from spikingconvnet import training
from spikingconvnet.backends import get_backend
from spikingconvnet.data.encoding import encode, shown
from spikingconvnet.data.events import given, showing, takes_events
from spikingconvnet.data.images import ImageSet
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.experiment import replicas
from spikingconvnet.experiment.baselines import BASELINES
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.gates.fields import check_fields, whole
from spikingconvnet.health import silence
from spikingconvnet.model import build
from spikingconvnet.model.learning import Progress
from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.training.chain import balance

NETWORK = "network"     # the rule's row among the results; the others are readout.BASELINES


@dataclass(frozen=True)
class Scheme:
    """How often the samples are dealt out, and to how many folds: ``10x5``.

    Attributes
    ----------
    repeats : int
        1 to 1000; a SettingsError otherwise.
    folds : int
        2 to 10,000; the same.
    """

    repeats: int
    folds: int

    def __post_init__(self) -> None:
        check_fields(self, SettingsError, "--cv", repeats=whole(1, 1000), folds=whole(2, 10_000))

    @classmethod
    def parse(cls, text: str) -> "Scheme":
        """A scheme of its short form; another text is a SettingsError.

        >>> Scheme.parse("10x5")
        Scheme(repeats=10, folds=5)
        """
        parts = text.split("x")
        if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
            raise SettingsError(f"--cv {text}: must be repeats x folds, as 10x5")
        return cls(*map(int, parts))

    def __str__(self) -> str:
        return f"{self.repeats}x{self.folds}"


def stratified_folds(labels: Ints, n_folds: int, rng: np.random.Generator) -> Ints:
    """Fold of every sample, with as equally many of every class and in all as possible.

    Parameters
    ----------
    labels : int array (n,)
    n_folds : int
    rng : numpy.random.Generator

    Returns
    -------
    int array (n,) of 0 .. n_folds - 1

    Raises
    ------
    SettingsError
        A class has fewer samples than there are folds.
    """
    fold, dealt = np.zeros(len(labels), np.int64), 0
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        require(len(members) >= n_folds, "--cv", "folds", n_folds,
                f"at most the {len(members)} samples of class {label}")
        fold[members] = (dealt + np.arange(len(members))) % n_folds
        dealt += len(members)
    return fold


def cross_validate(flowers: ImageSet, settings: Settings, scheme: Scheme, backend: str, options: Mapping[str, Any],
                   progress: Progress = iter) -> dict[str, Floats]:
    """Train and test on every fold.

    Parameters
    ----------
    flowers : datasets.ImageSet
        All samples.
    settings : settings.Settings
        With a rule that trains a whole chain; filter, encoder and model are used as in an experiment, the filter
        fitted to the training part of every fold alone.
    scheme : Scheme
    backend : str
        That simulates training (if the rule does) and test.
    options : dict
        For the backend's ``open``.
    progress : callable
        Wraps the iterable of folds.

    Returns
    -------
    dict of str to float array (repeats,)
        Share of the samples that were recognised: of the `NETWORK`, and of ``baselines.BASELINES``.
    """
    classes = np.sort(np.asarray(list(settings.classes)))
    chosen = flowers.select(np.flatnonzero(np.isin(flowers.labels, classes)))
    labels = np.searchsorted(classes, chosen.labels)
    right = {name: np.zeros(scheme.repeats) for name in (NETWORK, *BASELINES)}
    deals = [stratified_folds(labels, scheme.folds, np.random.default_rng([settings.seed, repeat]))
             for repeat in range(scheme.repeats)]
    for repeat, fold in progress([(repeat, fold) for repeat in range(scheme.repeats) for fold in range(scheme.folds)]):
        tested = deals[repeat] == fold
        train, test = (chosen.select(np.flatnonzero(part)) for part in (~tested, tested))
        with _quietly(repeat or fold):
            found = {NETWORK: one_fold(train, labels[~tested], test, settings,
                                       np.random.default_rng([settings.seed, repeat, fold]), backend, options)}
        flat = [part.images.reshape(len(part), -1).astype(np.float64) for part in (train, test)]
        found.update({name: fit(flat[0], labels[~tested], flat[1]) for name, fit in BASELINES.items()})
        for name, answers in found.items():
            right[name][repeat] += np.sum(answers == labels[tested])
    return {name: count / len(labels) for name, count in right.items()}


def one_fold(train: ImageSet, labels: Ints, test: ImageSet, settings: Settings, rng: np.random.Generator, backend: str,
             options: Mapping[str, Any]) -> Ints:
    """Train on one set, in the order drawn, and answer another: int array of units, one a test sample.

    Parameters
    ----------
    train, test : datasets.ImageSet
    labels : int array
        Units of the training samples.
    settings, backend, options
        As for :func:`cross_validate`.
    rng : numpy.random.Generator
    """
    chosen = settings.image_filter
    image_filter = chosen.fitted(train.images) if hasattr(chosen, "fitted") else chosen
    order = rng.permutation(len(train))
    train, labels = train.select(order), labels[order]
    open_network = partial(get_backend(backend).open, **options)
    learned, answered = (given(part, settings.encoder) for part in (train, test))
    values = shown(learned, image_filter, settings.encoder)
    rule, bins = training.network_rule(settings), cast(Any, settings.encoder)
    events = showing(bins, lambda: {"train": train}) if takes_events(bins) else None
    layers, diagnostics = rule.train(settings.model, values, labels, rng, encoder=settings.encoder,
                                     image_filter=chosen, open_network=open_network, progress=iter,
                                     validation=None, events=events)
    training.require_layers(rule, settings.model.stages, layers, diagnostics)
    spikes = encode(learned, image_filter, settings.encoder, rng).with_gap(settings.slot)
    layers, _ = balance.balanced(settings.model, layers, spikes, open_network, settings.reset)
    asked = encode(answered, image_filter, settings.encoder, rng).with_gap(settings.slot)
    network = build.inference_network(settings.model.stages, layers, asked, settings.reset)
    answers, _ = replicas.classify([network], settings.model.unit_readout, backend, **options)
    fired = dict(zip((population.label for population in network.populations), answers[0]["spikes"].sum(axis=0)))
    silence.check_chain(settings.model, layers, asked, fired, f"{len(test)} samples of a fold", "--mode training --cv",
                        settings.reset)
    return answers[0]["units"][:, -1].astype(np.int64)


@contextmanager
def _quietly(repeated: object) -> Iterator[None]:
    """Without the warnings of the rules, if they have been heard for another fold."""
    logger = logging.getLogger(training.__name__)
    kept = logger.level
    logger.setLevel(logging.ERROR if repeated else kept)
    try:
        yield
    finally:
        logger.setLevel(kept)
