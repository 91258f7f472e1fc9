"""Altered files of images and labels: .npz, .npy, tables and pictures, one of a set each time, given to loaddata."""

import shutil

import numpy as np

from attacks import altered, flows, small
from attacks.harness import Case, apart, command

CODES = 0, 2, 4, 9          # done, settings, data, the system
WRITE = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
from spikingconvnet.data import datasets
where, parts = Path(sys.argv[1]), {}
for part in ("train", "test"):
    found = datasets.load(str(where / "digits"), part, where / "downloads")
    parts |= {f"x_{part}": found.images, f"y_{part}": found.labels}
np.savez(where / "plain.npz", **parts)
np.savez_compressed(where / "packed.npz", **{name: values / 255 if name[0] == "x" else values
                                             for name, values in parts.items()})
(where / "arrays").mkdir()
for name, values in parts.items():
    np.save(where / "arrays" / f"{name}.npy", values)
images, labels = parts["x_train"], parts["y_train"]
rows = [",".join(map(str, [label, *image.ravel()])) for image, label in zip(images, labels)]
(where / "table.csv").write_text("\\n".join(["label," + ",".join(f"p{i}" for i in range(images[0].size)), *rows]))
for number, (image, label) in enumerate(zip(images, labels)):
    folder, kind = where / "pictures" / str(label), ("png", "png", "bmp", "gif")[number % 4]
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(folder / f"{number}.{kind}")
"""
SOURCES = "plain.npz", "packed.npz", "arrays", "table.csv", "pictures"
CELLS = ("nan", "inf", "-1", "1e999", "", "x", "9" * 400, '"', "1,2", "\0", "\udcff", "1\n2", " ", "256", "0x10", "#")


def prepare(directory):
    """Sets of 80 and 30 digits in files of every kind."""
    path = small.write(directory)
    apart(WRITE, directory)
    return directory, path


def table(path, rng, others):
    """A cell, a row or the separators of a table."""
    rows = path.read_text().split("\n")
    k, kind = int(rng.integers(len(rows))), str(rng.choice(("cell", "cell", "cell", "shorter", "gone", "semicolons")))
    cells = rows[k].split(",")
    if kind == "cell":
        cells[rng.integers(len(cells))] = CELLS[rng.integers(len(CELLS))]
    elif kind == "shorter":
        cells = cells[:int(rng.integers(len(cells)))]
    rows[k:k + 1] = [] if kind == "gone" else [",".join(cells)]
    text = "\n".join(rows).replace(",", ";" if kind == "semicolons" else ",")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return f"{kind} in row {k}", False


def case(context, rng, where):
    """A set with one altered file, which is loaded."""
    directory, parameters = context
    source = str(rng.choice(SOURCES))
    copy = shutil.copytree if (directory / source).is_dir() else shutil.copy
    copy(directory / source, where / source)
    files = sorted(path for path in [where / source, *(where / source).rglob("*")] if path.is_file())
    path = files[rng.integers(len(files))]
    alter = {".npz": altered.arrays, ".csv": table}.get(path.suffix, altered.raw)
    with np.errstate(all="ignore"):
        told, _ = (alter if rng.random() < 0.6 else altered.raw)(path, rng, files)
    work = command("--mode", "loaddata", "--parameters", parameters, "--source", where / source, "--run-dir",
                   where / "run")

    def judge(outcome):
        return None if outcome.code in CODES else f"ends with {outcome.code}"

    return Case(f"{source}: {path.name}: {told}", flows.mostly_light(rng, work), judge)
