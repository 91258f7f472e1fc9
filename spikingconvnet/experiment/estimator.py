"""A spiking convolutional network as an estimator of scikit-learn, around an Experiment."""

import atexit
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from spikingconvnet.data.images import ImageSet
from spikingconvnet.data.protocols import Encoder, ImageFilter
from spikingconvnet.errors import DataError, require
from spikingconvnet.experiment import onboard
from spikingconvnet.experiment.defaults import Model, settings_for, trained
from spikingconvnet.experiment.given import OWNER, Form, GivenExperiment, Span
from spikingconvnet.experiment.prediction import TrainedNetwork
from spikingconvnet.experiment.runner import Runner
from spikingconvnet.model.learning import NetworkRule
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.arrays import ArrayLike, Floats, Numbers, Pixels

MOST_CLASSES = 256


class SpikingConvClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    """A spiking convolutional network with scikit-learn's contract.

    ``fit`` is an ``Experiment``: its layers learn by STDP, or all at once by a `rule`. What it has learned is kept in
    memory, as integers for a board; pickles hold all of it. Images are shown one after another on a timeline on which
    nothing is reset, so that what comes before an image can change its answer a little; with a `rule` every image
    starts at rest.

    Parameters
    ----------
    model : Sequential, tuple of layers, str or None
        Layers, or a Sequential, without an input shape fit images of any size; a text is an architecture for a
        `rule`, as ``28x28-12c5-2s-10``. None: 48 filters that learn by STDP and a linear classifier, or the layers of
        the rule's recipe.
    image_filter, encoder : filter and encoder of the package, or None
        None: on- and off-centre cells and latencies, or those of the rule's recipe.
    slot : int or None
        Steps of an image, the gap included; None: 28, or as the rule's recipe.
    rule : record as Ridge, its name, or None
        Trains all layers at once.
    shape : tuple of int, 'row' or None
        Of an image, (H, W) or with colours (H, W, 3); needed for flat rows of pixels that are no square. ``row``: the
        numbers are no picture, and each is shown by a population of its own.
    channels_first : bool
        Whether images, and `shape`, are (3, H, W).
    value_range : (float, float) or None
        Black and white; values beyond are refused. None: 0 and 255 for bytes, otherwise found in the training images.
    backend, target : str
        What simulates: ``local``, or ``spinnaker`` with a board's address or ``emulated``.
    seed : int
        Of every random choice: two fits are identical.
    run_dir : str, Path or None
        Run directory of the experiment, for one estimator at a time: steps that are finished there are not repeated.
        None: a temporary one while ``fit`` lasts.
    jobs : int or None
        Threads; None takes every core. The results do not depend on it.
    copies : int or 'auto'
        Of the network that share a board.
    time_scale : int
        How many times slower than real time a board runs.
    answers : {'host', 'board'}
        Whose answers `predict` gives, and so `score`, of a model that ends with ``Classifier(on_board=True)``: the
        host's to the spike counts, or the first spikes of the classifier's own units. It may be set after `fit`. An
        image that no unit fires for is given the first class. The output units of a `rule` are the network's own.

    Attributes
    ----------
    classes_ : array (n_classes,)
        Labels as they were given, in order.
    n_features_in_ : int
        Pixels of an image, colours counted.
    network_ : prediction.TrainedNetwork
        Settings, layers and classifier.

    Raises
    ------
    SettingsError, DataError
        In ``fit``: what cannot be used; both are ValueErrors.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> SpikingConvClassifier().fit(X[:1000], y[:1000]).score(X[1000:], y[1000:]) > 0.9
    True
    """

    n_features_in_: int         # set by validate_data

    def __init__(self, model: Model = None, image_filter: ImageFilter | None = None, encoder: Encoder | None = None,
                 slot: int | None = None, rule: NetworkRule | str | None = None,
                 shape: tuple[int, ...] | str | None = None, channels_first: bool = False,
                 value_range: tuple[float, float] | None = None, backend: str = "local", target: str | None = None,
                 seed: int = 0, run_dir: str | Path | None = None, jobs: int | None = None, copies: int | str = 1,
                 time_scale: int = 1, answers: str = "host") -> None:
        self.model, self.image_filter, self.encoder, self.slot, self.rule = model, image_filter, encoder, slot, rule
        self.shape, self.channels_first, self.value_range = shape, channels_first, value_range
        self.backend, self.target, self.seed, self.run_dir = backend, target, seed, run_dir
        self.jobs, self.copies, self.time_scale, self.answers = jobs, copies, time_scale, answers

    def fit(self, X: ArrayLike, y: ArrayLike) -> "SpikingConvClassifier":
        """Learn from images and their labels.

        Parameters
        ----------
        X : array (n, H, W), (n, H, W, 3) or (n, pixels)
        y : array (n,)
            Labels of any kind, at most 256 of them.

        Returns
        -------
        SpikingConvClassifier
            Itself.

        Raises
        ------
        SettingsError, DataError
            What cannot be used or learned from; both are ValueErrors.
        """
        rows, axes = _rows(X)
        rows, y = validate_data(self, rows, y, dtype=_kept(rows))
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        n = len(self.classes_)
        require(1 < n <= MOST_CLASSES, "y", "labels", n, f"of 2 to {MOST_CLASSES} classes, not {n} class", DataError)
        self.form_ = Form.found(axes, self.shape, self.channels_first)
        self.span_ = Span.found(rows, self.value_range)
        train = ImageSet(self._pixels(rows), labels.astype(np.uint8))
        settings = settings_for(train, self.model, self.image_filter, self.encoder, self.slot, self.rule, self.seed)
        self._by_board(settings.model)
        with self._directory() as folder:
            done = trained(GivenExperiment(train, settings, folder, **self._machine()))
            if onboard.asked(done):
                onboard.make(done)
            self.network_ = done.trained_network()
        self._n_features_out = self.network_.settings.model.shapes[-1][0]
        return self

    def predict(self, X: ArrayLike) -> Numbers:
        """Labels of images: array (n,) of `classes_`; errors as of :meth:`fit`, and NotFittedError before it."""
        check_is_fitted(self)
        by_board, found = self._by_board(self.network_.settings.model), self._run(TrainedNetwork.answer, X)
        labels: Numbers = self.classes_[found.classes[np.maximum(found.units, 0)] if by_board else found.labels]
        return labels

    def decision_function(self, X: ArrayLike) -> Floats:
        """Scores of the classes: float64 array (n, n_classes), of two classes that of the second over the first (n,).

        Margins of the linear classifier on the host, whatever `answers` is; with a `rule` spikes of the output units,
        or their membranes, mV.
        """
        scores: Floats = self._run(TrainedNetwork.answer, X).scores
        return scores if len(self.classes_) > 2 else scores[:, 1] - scores[:, 0]

    def transform(self, X: ArrayLike) -> Floats:
        """What is read out of the last layer: float64 array (n, features), spikes of a part of a map or of a unit."""
        features: Floats = self._run(TrainedNetwork.features, X).astype(np.float64)
        return features

    def _by_board(self, model: Sequential) -> bool:
        """Whether the classifier's own units are asked; a SettingsError if that cannot be."""
        require(self.answers in ("host", "board"), OWNER, "answers", self.answers, "host or board")
        asked = self.answers == "board" and not model.runs_as_one
        require(not asked or model.classifier.on_board, OWNER, "answers", self.answers,
                "host, unless the model ends with Classifier(on_board=True)")
        return asked

    def _run(self, ask: Callable[[TrainedNetwork, Pixels, Runner], Any], X: ArrayLike) -> Any:
        """What the trained network says of new images."""
        check_is_fitted(self)
        rows, axes = _rows(X)
        rows = validate_data(self, rows, reset=False, dtype=_kept(rows))
        require(len(axes) == 1 or axes == self.form_.axes, "X", "shape", ("n", *axes),
                f"(n, {', '.join(map(str, self.form_.axes))}), as the images that were learned from", DataError)
        with self._directory() as folder:
            machine = self._machine()
            runner = Runner(machine.pop("backend"), progress=_quiet, directory=Path(folder, "board"), **machine)
            head = self.network_.head if self.answers == "board" else None      # is not asked for nothing
            return ask(replace(self.network_, head=head), self._pixels(rows), runner)

    def _pixels(self, rows: Numbers) -> Pixels:
        pixels: Pixels = np.ascontiguousarray(self.form_.images(self.span_.bytes(rows)))
        return pixels

    def _machine(self) -> dict[str, Any]:
        """What an Experiment and a Runner have to know of where networks run."""
        target = self.target or ("emulated" if self.backend == "spinnaker" else None)
        return {"backend": self.backend, "jobs": self.jobs, "target": target, "copies": self.copies,
                "time_scale": self.time_scale}

    @contextmanager
    def _directory(self) -> Iterator[str | Path]:
        """The run directory, or a temporary one; sPyNNaker writes into its own until the process ends."""
        if self.run_dir is not None:
            yield self.run_dir
        elif self.backend == "spinnaker":
            yield tempfile.mkdtemp(dir=_until_exit())
        else:
            with tempfile.TemporaryDirectory(prefix="spikingconvnet-") as folder:
                yield folder


@cache
def _until_exit() -> str:
    """A directory that is removed when the process ends."""
    folder = tempfile.mkdtemp(prefix="spikingconvnet-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)      # before sPyNNaker's own, so behind them
    return folder


def _rows(X: Any) -> tuple[Any, tuple[int, ...]]:
    """Images as rows of numbers, and the axes of one of them; what has names of columns is left as it is."""
    found = X if hasattr(X, "shape") else np.asarray(X)
    axes = tuple(found.shape[1:])
    return (np.reshape(found, (len(found), math.prod(axes))) if len(axes) > 1 else found), axes


def _kept(rows: Any) -> Any:
    """The type that scikit-learn is to make of numbers: bytes stay bytes."""
    return None if getattr(rows, "dtype", None) == np.uint8 else "numeric"


def _quiet(items: Iterable[Any], description: str) -> Iterable[Any]:
    return items
