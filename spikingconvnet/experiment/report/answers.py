"""What was reached: the entry of the last test, floors under it, and the answer to each image, from stored counts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.experiment import readout
from spikingconvnet.experiment.report import floors
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.experiment.results import Result, Results, if_there
from spikingconvnet.network.arrays import AnyInts, Ints, Numbers

MACHINES = ("local", "emulated", "timed", "hardware", "nest", "brian2")
TOLD = "split", "accuracy", "accuracy_by_half", "verdict", "over_time", "on_board"      # as results.json has them
MOST_CLASSES = 40           # of a confusion matrix that is shown; of more, the confusions alone
MOST_CONFUSIONS = 60


@dataclass(frozen=True, eq=False)
class Answered:
    """Answers to all images of a split.

    Attributes
    ----------
    labels, answers : int array (n,)
        Positions in the classes.
    counts : array (n, features) or None
        What the classifier saw.
    fired : array (n, populations) or None
        Spikes of a network that runs as one, the input first.
    how : list of dict
        How each replica was made.
    """

    labels: Ints
    answers: Ints
    counts: Numbers | None
    fired: Numbers | None
    how: list[dict[str, Any]]

    @property
    def wrong(self) -> Ints:
        """Indices of the images that were not recognised."""
        return np.flatnonzero(self.labels != self.answers)


def result(held: Held) -> dict[str, Any]:
    """Accuracy, floors, recall and confusion of the last test: dict for JSON; ``missing`` without one."""
    entry = held.entry
    if entry is None:
        return {"missing": [next_step(held, "no images are classified yet")]}
    confusion = np.array(entry["confusion"], np.int64)
    names = [str(name) for name in entry.get("class_names", entry["classes"])]
    told, known = {key: entry.get(key) for key in TOLD}, floors.floors(held, confusion)
    return {**told, "n": int(confusion.sum()), "classes": names, "floors": known,
            "places": np.searchsorted(held.classes, entry["classes"]).tolist(),
            "rows": _rows(names, confusion), "train": held.entries.get("svm", {}).get("accuracy"),
            "confusion": confusion.tolist() if len(names) <= MOST_CLASSES else None,
            "confusions": _confusions(confusion),
            "other": {name: one["accuracy"] for name, one in held.entries.items()
                      if name in ("test", "validation") and one is not entry},
            "floor_commands": floors.commands(held, known)}


def next_step(held: Held, what: str) -> dict[str, str]:
    """The next step towards a test: the first result that is missing, or `what` a test brings, with its command."""
    if len(held.layers) < len(held.stages):
        layer = None if held.model.runs_as_one else len(held.layers) + 1
        return held.missing(f"layer {len(held.layers) + 1} is not trained yet", "training", layer)
    if not held.model.runs_as_one and not held.experiment.has_svm():
        return held.missing("the classifier is not fitted yet", "training", "svm")
    return held.missing(what, "testing")


def _rows(names: list[str], confusion: Ints) -> list[dict[str, Any]]:
    """Recall and precision, class by class; None where there is nothing to divide by."""
    right, shown, given = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    return [{"name": name, "n": int(n), "recall": float(k / n) if n else None, "precision": float(k / m) if m else None}
            for name, k, n, m in zip(names, right, shown, given)]


def _confusions(confusion: Ints) -> list[list[int]]:
    """Pairs of classes that were confused, [true, answer, images], the most frequent first."""
    off = confusion - np.diag(np.diag(confusion))
    order = np.argsort(-off, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = (np.unravel_index(place, off.shape) for place in order if off.flat[place])
    return [[int(true), int(answer), int(off[true, answer])] for true, answer in pairs]


def answered(held: Held) -> Answered | None:
    """Answers to the images of the last test, from what it has stored; None if that is no longer there."""
    entry = held.entry
    if entry is None:
        return None
    for found in filter(None, (_of(results, held) for results in _candidates(held))):
        score = readout.score(held.classes[found.answers], held.classes[found.labels])
        if score.confusion.tolist() == entry["confusion"]:
            return found
    return None


def _candidates(held: Held) -> Iterator[Results]:
    """The results as each machine names its own caches, the likely ones first."""
    own = held.experiment.stored
    boards_first = bool(held.entry and "verdict" in held.entry)
    for machine in sorted(MACHINES, key=lambda name: (name == "local") == boards_first):
        yield own if machine == own.machine else Results(held.settings, held.store, machine)


def _of(results: Results, held: Held) -> Answered | None:
    n, labels = held.data["spikes"].n_samples, held.data["labels"]
    places = np.searchsorted(held.classes, labels[:n])
    if held.model.runs_as_one:
        found = _cached(results.answers(held.split, held.data, n))
        return None if found is None else Answered(places, _joined(found, "units")[:, -1].astype(np.int64), None,
                                                   _joined(found, "spikes"), [one["how"] for one in found])
    stage, fitted = held.stages[-1], if_there(results.classifier().read)
    cells = held.model.classifier.cells(stage.out_shape)
    found = _cached(results.counts(stage.number, held.split, held.data, n, cells)) if fitted else None
    if not found or fitted is None:
        return None
    counts = _joined(found, "counts")
    answers: AnyInts = readout.Readout.from_arrays(fitted).predict(counts)
    return Answered(places, np.searchsorted(held.classes, answers), counts, None, [one["how"] for one in found])


def _cached(files: list[Result]) -> list[dict[str, Any]] | None:
    """All of them, or None."""
    found: list[dict[str, Any]] = []
    for file in files:
        one = file.cached()
        if one is None:
            return None
        found.append(one)
    return found


def _joined(parts: list[dict[str, Any]], name: str) -> Numbers:
    joined: Numbers = np.concatenate([part[name] for part in parts])
    return joined
