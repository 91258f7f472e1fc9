"""The classifier as a population of the network: made when it is first asked for, and what it answers to a split."""

from typing import Any

import numpy as np

from spikingconvnet import backends
from spikingconvnet.experiment import readout
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model import build
from spikingconvnet.model.head import Head
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
        ``accuracy``, and the ``agreement`` with the host's classifier, shares of the images; ``latency``, mean step of
        an image in which the answer is fired; ``unanswered``, images without a spike.
    """
    make(experiment)
    found = experiment.timelines.winners(split, experiment.data(split))
    fitted = readout.Readout.from_arrays(experiment.stored.classifier().read())
    counts, labels = experiment.features(split)
    answered = found["units"] >= 0
    own = fitted.classes[np.maximum(found["units"], 0)]
    return {"accuracy": float(np.mean(answered & (own == labels))),
            "agreement": float(np.mean(answered & (own == fitted.predict(counts)))),
            "latency": float(found["steps"][answered].mean()) if answered.any() else None,
            "unanswered": int(np.sum(~answered))}
