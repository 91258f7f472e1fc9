"""Two runs side by side: settings in which they differ, and which images one of them missed alone."""

from typing import Any

import numpy as np

from spikingconvnet.experiment.report.about import settings
from spikingconvnet.experiment.report.answers import Answered
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.store.directory import word


def beside(a: Held, b: Held, answers: tuple[Answered | None, Answered | None]) -> dict[str, Any]:
    """What differs: dict for JSON.

    Parameters
    ----------
    a, b : Held
    answers : (Answered or None, Answered or None)
    """
    return {"settings": _differing(a, b), "accuracy": [_accuracy(one) for one in (a, b)],
            "paired": _paired(a, b, answers),
            "command": f"{a.program} --mode compare {word(a.store.path)} {word(b.store.path)}"}


def _accuracy(held: Held) -> float | None:
    return None if held.entry is None else held.entry["accuracy"]


def _differing(a: Held, b: Held) -> list[list[str]]:
    """Settings that differ, [name, value of A, value of B]; an empty text where one has none of that name."""
    ours, theirs = ({"learned by": ", ".join(held.rules), **dict(settings(held))} for held in (a, b))
    return [[name, ours.get(name, ""), theirs.get(name, "")] for name in dict.fromkeys((*ours, *theirs))
            if ours.get(name) != theirs.get(name)]


def _paired(a: Held, b: Held, answers: tuple[Answered | None, Answered | None]) -> dict[str, Any] | None:
    """How many of the same images both, one or none of the two recognised; None if they are not the same images."""
    one, other = answers
    if one is None or other is None or a.split != b.split or not np.array_equal(a.data["labels"], b.data["labels"]):
        return None
    right = [found.labels == found.answers for found in (one, other)]
    both, only_a, only_b = (right[0] & right[1]), (right[0] & ~right[1]), (~right[0] & right[1])
    return {"both": int(both.sum()), "a": int(only_a.sum()), "b": int(only_b.sum()),
            "none": int((~right[0] & ~right[1]).sum()), "same_spikes": str(a.data["content"]) == str(b.data["content"])}
