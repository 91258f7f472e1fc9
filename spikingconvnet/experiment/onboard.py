"""The classifier as a population of the network: made when it is first asked for, and what it answers to a split."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikingconvnet import backends
from spikingconvnet.experiment import readout
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model import build
from spikingconvnet.model.head import Head
from spikingconvnet.network.arrays import AnyInts, Numbers
from spikingconvnet.network.geometry import grid_cells
from spikingconvnet.training.readout import race

MEASURED = 250      # training images on which the units' inputs are measured


def asked(experiment: Experiment) -> bool:
    """Whether the model ends with a classifier that is to be on the board."""
    return not experiment.model.runs_as_one and experiment.model.classifier.on_board


def make(experiment: Experiment) -> None:
    """Have the population in the run directory.

    Raises
    ------
    StoreError, SettingsError
        The classifier is not fitted yet; the last layer fires until too late, see ``race.fitted``.
    """
    fitted = readout.Readout.from_arrays(experiment.stored.classifier().read())
    if not experiment.stored.head().is_there():
        with experiment.store.locked():
            experiment.stored.head().write(experiment.stored.how(), **vars(_made(experiment, fitted)))


def _made(experiment: Experiment, fitted: readout.Readout) -> Head:
    """From training images; the local engine has the integers of the last layer on whatever machine it is to run."""
    stage, margins = experiment.model.stages[-1], fitted.decision(experiment.features("train")[0])
    cells = grid_cells(stage.out_shape, experiment.model.classifier.cells(stage.out_shape))
    shown = experiment.timelines.spikes(stage.number - 1, "train", experiment.data("train"))[0]
    layer = build.inference_network([stage], [experiment.trained(stage.number)],
                                    shown.samples(0, min(MEASURED, shown.n_samples)))
    spikes = backends.run(layer, jobs=experiment.jobs).spikes[stage.label]
    return race.fitted(fitted.coefficients, fitted.intercepts, cells, spikes, margins)


def tested(experiment: Experiment, split: str) -> dict[str, Any]:
    """How the population answers to a split, beside the classifier on the host.

    Returns
    -------
    dict
        As of :func:`judged`.
    """
    make(experiment)
    found = experiment.timelines.winners(split, experiment.data(split))
    fitted = readout.Readout.from_arrays(experiment.stored.classifier().read())
    counts, labels = experiment.features(split)
    return judged(found, fitted.classes, labels, fitted.predict(counts))


def judged(found: Mapping[str, Numbers], classes: AnyInts, labels: Numbers, predicted: Numbers) -> dict[str, Any]:
    """How first spikes compare with the labels, and with what the host predicts.

    Parameters
    ----------
    found : dict
        ``units`` and ``steps``, int arrays (n,), see ``replicas.win``.
    classes : int array (n_classes,)
        Of the units.
    labels, predicted : int arrays (n,)

    Returns
    -------
    dict
        ``accuracy``, and the ``agreement`` with the host's classifier, shares of the images; ``latency``, mean step of
        an image in which the answer is fired; ``unanswered``, images without a spike.
    """
    answered = found["units"] >= 0
    own = classes[np.maximum(found["units"], 0)]
    return {"accuracy": float(np.mean(answered & (own == labels))),
            "agreement": float(np.mean(answered & (own == predicted))),
            "latency": float(found["steps"][answered].mean()) if answered.any() else None,
            "unanswered": int(np.sum(~answered))}


def as_text(own: Mapping[str, Any]) -> str:
    """The same in words, behind ``accuracy``."""
    latency = "" if own["latency"] is None else f", fired {own['latency']:.1f} steps after an image begins on average"
    silent = f"; {own['unanswered']:,} without an answer" * bool(own["unanswered"])
    return (f"of the board's own answers {100 * own['accuracy']:.2f} %, which agree in {100 * own['agreement']:.2f} %"
            f"{latency}{silent}")
