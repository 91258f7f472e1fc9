"""All that a page shows of a run, as plain values for JSON, and the page of one or two runs in its file."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.report import about, answers, beside, boards, layers, page, pictures, samples
from spikingconvnet.experiment.report.held import Held
from spikingconvnet.gates.files import write_whole
from spikingconvnet.gates.progress import counted, shown_by

PICTURES, SPIKES, KERNELS = 1_000_000, 1_600_000, 900_000      # bytes of each, before base64 makes them a third more
NAME = "report.html"


def gathered(held: Held, found: answers.Answered | None, runs: int = 1) -> dict[str, Any]:
    """What a run directory holds: dict for JSON.

    Parameters
    ----------
    held : Held
    found : Answered or None
        See ``answers.answered``.
    runs : int
        That share the room of a page.
    """
    made: dict[str, Any] = {}

    @cache
    def shown() -> samples.Shown:
        order = [row[0] for row in made["images"]["list"]]
        wrong, right = pictures.split_at(order, made["images"]["wrong"])
        return samples.shown(held, samples.in_turn(wrong, right), SPIKES // runs)

    parts: dict[str, Callable[[], Any]] = {
        "about": lambda: about.about(held), "classes": lambda: held.class_names, "result": lambda: answers.result(held),
        "images": lambda: pictures.pictures(held, found, PICTURES // runs),
        "samples": lambda: samples.samples(shown(), found),
        "model": lambda: layers.drawing(held, found, made["samples"]),
        "layers": lambda: layers.layers(held, made["samples"], KERNELS // runs),
        "together": lambda: layers.together(held), "board": lambda: boards.board(held, found, shown())}
    with shown_by(held.experiment.progress):
        for name, part in counted(list(parts.items()), "report"):
            made[name] = part()
    return made


def write(experiment: Experiment) -> Path:
    """Write ``report.html`` into the run directory: its path.

    Raises
    ------
    StoreError
        No data are loaded there, or they are of other settings.
    SurroundingsError
        The file cannot be written.
    """
    path = experiment.store.path / NAME
    with experiment.stored.holding():
        held = Held(experiment)
        _save(path, {"runs": [gathered(held, answers.answered(held))], "beside": None})
    return path


def write_beside(a: Experiment, b: Experiment) -> Path:
    """Write a page of two runs side by side into the directory of the first: its path; errors as of :func:`write`."""
    both = Held(a), Held(b)
    found = answers.answered(both[0]), answers.answered(both[1])
    name = re.sub(r"[^\w.-]+", "-", both[1].store.path.resolve().name)
    path = both[0].store.path / f"report-beside-{name}.html"
    _save(path, {"runs": [gathered(*pair, runs=2) for pair in zip(both, found)], "beside": beside.beside(*both, found)})
    return path


def _save(path: Path, content: dict[str, Any]) -> None:
    made = page.rendered(content)
    write_whole(path, lambda stream: stream.write(made))
