"""``--mode predict``: labels and scores of new images, as lines, a table or JSON."""

import csv
import io
import json
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data.colour import grey
from spikingconvnet.data.events import EventSet, takes_events
from spikingconvnet.data.sources_events import unlabelled
from spikingconvnet.data.sources_pictures import pictures_in
from spikingconvnet.data.sources_unlabelled import read_images
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment import binding, onboard
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.prediction import Answers
from spikingconvnet.gates.files import write_text
from spikingconvnet.network.arrays import Pixels

FORMATS = (".csv", ".json")


def check_output(path: str) -> None:
    """Raise a SettingsError for a file that is neither .csv nor .json."""
    if Path(path).suffix.lower() not in FORMATS:
        raise SettingsError(f"--output {path}: must end with {' or '.join(FORMATS)}")


def predict(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """What the trained network of a run directory answers to images, and where that is kept.

    Images of several sizes are a DataError.
    """
    files, images = _read(experiment, options.images)
    if onboard.asked(experiment):
        onboard.make(experiment)
    rows = _rows(files, experiment.predict(images), binding.class_names(experiment.store.how("data/train")))
    if options.output is None:
        return {"predictions": rows, "text": "\n".join("\t".join(map(str, _told(row))) for row in rows)}
    content = _as_table(rows) if options.output.lower().endswith(".csv") else json.dumps(rows, indent=2) + "\n"
    write_text(Path(options.output), content)
    return {"predictions": rows, "output": options.output, "text": f"labels of {len(rows):,} images: {options.output}"}


def _read(experiment: Experiment, paths: Sequence[str]) -> tuple[list[str], Pixels | EventSet]:
    """Images of files and folders as the network takes them, and a name for each: its file, and its place in that."""
    asked, span = experiment.asked, binding.span(experiment.store)
    if takes_events(asked.encoder):
        return unlabelled(paths)
    white = span or (None if asked.white is None else (0.0, 255.0))
    files = [file for path in map(Path, paths) for file in (path.is_dir() and pictures_in(path)) or [path]]
    found = [read_images(file, white, asked.size) for file in files]
    if not getattr(asked.image_filter, "takes_colour", False):
        found = [grey(images) for images in found]
    for file, images in zip(files, found):
        if images.shape[1:] != found[0].shape[1:]:
            raise DataError(f"{file}: images of {_by(images)}, but {_by(found[0])} in {files[0]}; classify images of"
                            " one size and kind at a time")
    names = [f"{file}[{i}]" if len(images) > 1 else str(file)
             for file, images in zip(files, found) for i in range(len(images))]
    return names, np.concatenate(found)


def _by(images: Pixels) -> str:
    return "x".join(map(str, images.shape[1:]))


def _rows(files: Sequence[str], answers: Answers, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """A record of each image: ``image``, ``label``, and ``scores`` by class; classes that have names by those.

    Of a classifier that is on the board too also ``board``, the class whose unit fires first, and the ``step`` of the
    image in which it does; both None where no unit fires.
    """
    labels = [names.get(one, one) for one in answers.classes.tolist()]
    rows = [{"image": file, "label": names.get(label, label), "scores": dict(zip(map(str, labels), scores))}
            for file, label, scores in zip(files, answers.labels.tolist(), answers.scores.tolist())]
    if answers.units is None or answers.steps is None:
        return rows
    return [{**row, "board": labels[unit] if unit >= 0 else None, "step": step if unit >= 0 else None}
            for row, unit, step in zip(rows, answers.units.tolist(), answers.steps.tolist())]


def _told(row: Mapping[str, Any]) -> list[Any]:
    """Of a record: image, label, and the board's answer."""
    return [row[name] for name in ("image", "label", "board") if name in row]


def _as_table(rows: Sequence[dict[str, Any]]) -> str:
    """A line of names, then one an image."""
    made = io.StringIO()
    table = csv.writer(made, lineterminator="\n")
    own = [name for name in ("board", "step") if name in rows[0]]
    table.writerow(["image", "label", *own, *(f"score {name}" for name in rows[0]["scores"])])
    table.writerows([row["image"], row["label"], *(row[name] for name in own), *row["scores"].values()] for row in rows)
    return made.getvalue()
