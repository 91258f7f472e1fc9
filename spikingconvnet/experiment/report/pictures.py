"""Which images are on the page, and how they look: as they are stored, or as the network was shown them."""

from typing import Any

import numpy as np

from spikingconvnet.experiment.report.answers import Answered, next_step
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.experiment.report.packing import packed
from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.network.spikes import Spikes

MOST_IMAGES = 400
RIGHT_PER_CLASS = 3         # images that were recognised
MOST_RIGHT = 90
SILENT = 255                # in the first spikes of an image


def chosen(labels: Ints, answers: Ints | None, most: int) -> tuple[Ints, Ints]:
    """Indices of images that were not recognised, and of some that were.

    The first of every kind of mistake come first, so that rare ones are there, too.

    Parameters
    ----------
    labels, answers : int array (n,)
        Positions in the classes; without answers all count as recognised.
    most : int
        Images in all.
    """
    wrong = np.zeros(0, np.int64) if answers is None else np.flatnonzero(labels != answers)
    right = np.arange(len(labels)) if answers is None else np.flatnonzero(labels == answers)
    right = _few(right, labels[right])
    right = right[:min(MOST_RIGHT, max(1, most // 3))]
    if answers is not None and len(wrong):
        kinds = labels[wrong] * (1 + max(int(labels.max()), int(answers.max()))) + answers[wrong]
        wrong = wrong[np.argsort(_rank(kinds), kind="stable")]
    return wrong[:most - len(right)], right


def _few(images: Ints, labels: Ints) -> Ints:
    """The first images of each class, class after class in turn."""
    rank = _rank(labels)
    order: Ints = np.lexsort((labels, rank))
    few: Ints = images[order[rank[order] < RIGHT_PER_CLASS]]
    return few


def _rank(kinds: Ints) -> Ints:
    """How many of the same kind stand before each."""
    order = np.argsort(kinds, kind="stable")
    ordered = kinds[order]
    first = np.searchsorted(ordered, ordered)
    rank = np.empty(len(kinds), np.int64)
    rank[order] = np.arange(len(kinds)) - first
    return rank


def pictures(held: Held, found: Answered | None, budget: int) -> dict[str, Any]:
    """Images of the split that was classified last, missed ones first: dict for JSON.

    Parameters
    ----------
    held : Held
    found : Answered or None
    budget : int
        Bytes that their pixels may take.
    """
    spikes, kept = held.data["spikes"], held.data["images"]
    labels = np.searchsorted(held.classes, held.data["labels"])[:spikes.n_samples]
    most = int(np.clip(budget // spikes.size, 1, MOST_IMAGES))
    wrong, right = chosen(labels, None if found is None else found.answers, most)
    index = np.concatenate([wrong, right])
    grey = [int(i) for i in index if i < len(kept)] if _is_picture(held) else []
    whole = {"list": [[int(i), int(labels[i]), -1 if found is None else int(found.answers[i])] for i in index],
             "wrong": len(wrong), "all_wrong": None if found is None else len(found.wrong), "split": held.split,
             "shape": list(spikes.shape), "channels": held.channel_names[:spikes.shape[0]], "n": len(labels),
             "first": packed(first_steps(spikes, index)),
             "grey": {"index": grey, **packed(_bytes(kept[grey]))} if grey else None}
    if found is None and held.entry is not None:
        whole["missing"] = [next_step(held, "which images were missed is no longer stored")]
    return whole


def _is_picture(held: Held) -> bool:
    """Whether stored images are pictures, and not a row of numbers, nor spikes of a retina."""
    rows, columns = held.data["images"].shape[1:]
    return bool(min(rows, columns) > 1 and held.data["images"].any())


def _bytes(images: Floats) -> Ints:
    """Grey values, 0 to 255, whatever type they are stored with."""
    top = float(images.max(initial=0)) if images.dtype != np.uint8 else 255.0
    return np.rint(np.clip(images, 0, None) * (255.0 / top if top > 0 else 0.0)).astype(np.uint8)


def first_steps(spikes: Spikes, index: Ints) -> Ints:
    """The step of each neuron's first spike in some samples: int array (n, neurons), SILENT for none, at most 254."""
    found = np.full((len(index), spikes.size), SILENT, np.int64)
    for row, one in enumerate(index):
        _, neuron, step = spikes.samples(int(one), int(one) + 1).events()
        np.minimum.at(found[row], neuron, np.minimum(step, SILENT - 1))
    return found


def split_at(order: list[int], wrong: int) -> tuple[Ints, Ints]:
    """Images on a page, missed ones and others: two int arrays."""
    return np.array(order[:wrong], np.int64), np.array(order[wrong:], np.int64)
