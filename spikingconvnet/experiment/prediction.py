"""What a trained network answers to images that nobody has labelled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from spikingconvnet.data.colour import seen_by
from spikingconvnet.data.encoding import encode
from spikingconvnet.data.events import EventSet, takes_events
from spikingconvnet.data.images import COLOURS, scaled
from spikingconvnet.data.pixels import as_bytes, check_finite
from spikingconvnet.data.resize import resized
from spikingconvnet.errors import DataError, require
from spikingconvnet.experiment import replicas
from spikingconvnet.experiment.readout import Readout
from spikingconvnet.experiment.results import Results
from spikingconvnet.experiment.runner import Runner
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.model import build
from spikingconvnet.model.head import Head, answering
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import AnyInts, Floats, Numbers, Pixels
from spikingconvnet.network.spikes import Spikes

FAINT = 32      # images without a brighter grey value are of another range than ones with a white of 255


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network answers to images.

    Attributes
    ----------
    classes : int array (n_classes,)
    labels : int array (n,)
        Of `classes`.
    scores : float64 array (n, n_classes)
        The largest is that of the label: margins of the classifier; or spikes of the output units in their window, or
        their mean membranes, mV. Of units that are equal the one that answers has half a spike more.
    verdicts : frozenset of str
        On the runs, if they were on a board, see ``health.verdict``.
    units, steps : int16 array (n,), or None
        Of a classifier that is on the board too: position in `classes` of the unit that fires first, -1 for none, and
        the step of the image in which it does.
    """

    classes: AnyInts
    labels: AnyInts
    scores: Floats
    verdicts: frozenset[str] = frozenset()
    units: AnyInts | None = None
    steps: AnyInts | None = None


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A trained network by itself, without the run directory that it comes from.

    Attributes
    ----------
    settings : Settings
        With a FILTER that is fitted to the training images, if it is one that has to be.
    layers : tuple of TrainedLayer
    readout : Readout or None
        The classifier; None for a model whose last layer answers.
    span : (float, float) or None
        Black and white of the images that were learned from, if those were no bytes.
    head : Head or None
        The classifier as a population, which then answers too.
    """

    settings: Settings
    layers: tuple[TrainedLayer, ...]
    readout: Readout | None
    span: tuple[float, float] | None = None
    head: Head | None = None

    def answer(self, images: Numbers | EventSet, runner: Runner) -> Answers:
        """Labels and scores of new images.

        They lie end to end on timelines of their own, as those of a split do. An image that no neuron fires for is
        answered all the same.

        Parameters
        ----------
        images : uint8 array (n, H, W), or as :meth:`spikes` takes them
        runner : Runner

        Returns
        -------
        Answers

        Raises
        ------
        DataError, HealthError
            What :meth:`spikes` refuses; an invalid run on a board.
        """
        found, verdicts = self._responses(self.spikes(images), runner, self.head)
        if self.readout is None:
            classes = np.sort(np.array(self.settings.classes))
            units = found["units"][:, -1]
            return Answers(classes, classes[units], _decided(found["output"], units), verdicts)
        counts, readout = found["counts"], self.readout
        return Answers(readout.classes, readout.predict(counts), readout.decision(counts), verdicts,
                       found.get("units"), found.get("steps"))

    def features(self, images: Numbers | EventSet, runner: Runner) -> Numbers:
        """What is read out of new images: array (n, features), as ``Experiment.features``; errors as :meth:`answer`."""
        found, _ = self._responses(self.spikes(images), runner)
        features: Numbers = found["counts" if self.readout else "output"]
        return features

    def spikes(self, images: Numbers | EventSet) -> Spikes:
        """What the input fires for new images, gap included: Spikes.

        Parameters
        ----------
        images : uint8 array (n, H, W) or (n, H, W, 3)
            Numbers of another type if the images that were learned from were no bytes; an EventSet if ENCODER takes
            events. Colour becomes grey for a FILTER that sees none.

        Raises
        ------
        DataError
            None, or of another type, size, number of channels or range than those that were learned from.
        """
        s, bins = self.settings, cast(Any, self.settings.encoder)
        require(isinstance(images, EventSet) == takes_events(bins), "predict", "images", type(images).__name__,
                "an EventSet for an ENCODER that takes events, and only for that", DataError)
        made: Spikes = bins(images) if isinstance(images, EventSet) else encode(
            self._pixels(images), s.image_filter, s.encoder, np.random.default_rng([s.seed, 0, 2]))
        return made.with_gap(s.slot)

    def _pixels(self, images: Numbers) -> Pixels:
        """The images as FILTER takes them, as of ``Images.prepared``."""
        s = self.settings
        self._check(images)
        drawn = as_bytes(images, "new images", self.span)
        drawn = drawn if s.size is None else resized(drawn, s.size)
        return seen_by(s.image_filter, drawn if self.span else self._in_range(drawn), "new images")

    def _check(self, images: Numbers) -> None:
        """Raise a DataError unless images are an array as those that were learned from."""
        kind, shape = getattr(images, "dtype", np.dtype(object)), np.shape(images)
        rows, columns = self.settings.model.input_shape[1:]
        numbers = kind == np.uint8 or (self.span and kind.kind in "buif")
        sides = shape[1:3] == (rows, columns) or (self.settings.size and len(shape) > 2)
        require(numbers and sides and shape[3:] in ((), (COLOURS,)) and shape[0], "predict", "images",
                f"{kind.name} {shape}", f"{'an' if self.span else 'a uint8'} array (n, {rows}, {columns}), n at least"
                f" 1, or (n, {rows}, {columns}, {COLOURS}), as those that were learned from", DataError)
        check_finite(images, "new images")

    def _in_range(self, images: Pixels) -> Pixels:
        """Bytes with a white of 255, if their range is that of those that were learned from."""
        white, brightest = self.settings.white, int(images.max())
        faint = FAINT if white is None and not hasattr(self.settings.image_filter, "fitted") else 0
        require(faint <= brightest <= (white or 255), "predict", "images", f"at most {brightest}",
                f"grey values up to {white or 255}, which was white in those that were learned from", DataError)
        return scaled(images, white)

    def _responses(self, spikes: Spikes, runner: Runner,
                   head: Head | None = None) -> tuple[dict[str, Any], frozenset[str]]:
        """What is read out, by name, of all samples: see ``replicas``; and the verdicts on the runs."""
        found: list[Any] = replicas.timelines(spikes)
        verdicts = set()
        for stages, layers, work, options in self._steps(head):
            networks = [build.inference_network(stages, layers, source, self.settings.reset) for source in found]
            if work is replicas.win and head:
                networks = [answering(network, options["label"], head) for network in networks]
            judged = list(runner.side_by_side(networks, "new images", work, **options))
            found = [response for response, _ in judged]
            verdicts |= {verdict["verdict"] for _, verdict in judged if verdict}
        parts = [one if isinstance(one, dict) else {"counts": one} for one in found]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, frozenset(verdicts)

    def _steps(self, head: Head | None) -> list[tuple[list[Stage], list[TrainedLayer], Callable[..., Any],
                                                      dict[str, Any]]]:
        """Layers that run as one network, and what is asked of it with which options: all, or one after another."""
        model, stages = self.settings.model, self.settings.model.stages
        if model.runs_as_one:
            return [(stages, list(self.layers), replicas.classify, {"layer": model.unit_readout})]
        asked = [replicas.respond] * (len(stages) - 1) + [replicas.win if head else replicas.respond]
        grids = [None] * (len(stages) - 1) + [model.classifier.cells(stages[-1].out_shape)]
        return [([stage], [layer], work, {"label": stage.label, "grid": grid})
                for stage, layer, work, grid in zip(stages, self.layers, asked, grids)]


def kept_head(stored: Results, model: Sequential) -> Head | None:
    """The population that answers on the board, if the classifier has one and it is kept: Head or None."""
    own = not model.runs_as_one and model.classifier.on_board and stored.head().is_there()
    return Head.from_arrays(stored.head().read()) if own else None


def _decided(output: Floats, units: AnyInts) -> Floats:
    """Scores whose largest is that of the unit that answers, also where several are equal."""
    tied = np.count_nonzero(output == output.max(axis=1, keepdims=True), axis=1) > 1
    scores: Floats = output + 0.5 * tied[:, None] * (np.arange(output.shape[1]) == units[:, None])
    return scores
