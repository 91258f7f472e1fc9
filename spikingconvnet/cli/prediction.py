"""``--mode predict``: labels and scores of new images, as lines, a table or JSON."""

import csv
import io
import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data.sources import read_images
from spikingconvnet.data.sources_pictures import pictures_in
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.prediction import Answers
from spikingconvnet.gates.files import write_whole
from spikingconvnet.network.arrays import Pixels

FORMATS = (".csv", ".json")


def check_output(path: str) -> None:
    """Raise a SettingsError for a file that is neither .csv nor .json."""
    if Path(path).suffix.lower() not in FORMATS:
        raise SettingsError(f"--output {path}: must end with {' or '.join(FORMATS)}")


def predict(experiment: Experiment, options: Namespace) -> dict[str, Any]:
    """What the trained network of a run directory answers to images, and where that is kept; other images: DataError."""
    names, images = _named(options.images)
    rows = _rows(names, experiment.predict(images))
    if options.output is None:
        return {"predictions": rows, "text": "\n".join(f"{row['image']}\t{row['label']}" for row in rows)}
    content = _as_table(rows) if options.output.lower().endswith(".csv") else json.dumps(rows, indent=2) + "\n"
    write_whole(Path(options.output), lambda stream: stream.write(content.encode()))
    return {"predictions": rows, "output": options.output, "text": f"labels of {len(rows):,} images: {options.output}"}


def _named(paths: Sequence[str]) -> tuple[list[str], Pixels]:
    """Images of files and folders, and a name for each: its file, and its place where that holds several."""
    files = [file for path in map(Path, paths) for file in (path.is_dir() and pictures_in(path)) or [path]]
    found = [(str(file), read_images(file)) for file in files]
    for name, images in found:
        if images.shape[1:] != found[0][1].shape[1:]:
            raise DataError(f"{name}: images of {_by(images)}, but {_by(found[0][1])} in {found[0][0]}; classify images"
                            " of one size and kind at a time")
    names = [f"{name}[{i}]" if len(images) > 1 else name for name, images in found for i in range(len(images))]
    return names, np.concatenate([images for _, images in found])


def _by(images: Pixels) -> str:
    return "x".join(map(str, images.shape[1:]))


def _rows(names: Sequence[str], answers: Answers) -> list[dict[str, Any]]:
    """A record of each image: ``image``, ``label``, and ``scores`` by class."""
    classes = answers.classes.tolist()
    return [{"image": name, "label": label, "scores": dict(zip(map(str, classes), scores))}
            for name, label, scores in zip(names, answers.labels.tolist(), answers.scores.tolist())]


def _as_table(rows: Sequence[dict[str, Any]]) -> str:
    """A line of names, then one an image."""
    made = io.StringIO()
    table = csv.writer(made, lineterminator="\n")
    table.writerow(["image", "label", *(f"score {name}" for name in rows[0]["scores"])])
    table.writerows([row["image"], row["label"], *row["scores"].values()] for row in rows)
    return made.getvalue()
