"""Altered IDX files, plain and gzip: read, refused, or, where only values have changed, read with those values."""

import gzip
import shutil

import numpy as np

from attacks import altered, small
from attacks.harness import Case


def prepare(directory):
    """Images and labels, plain, and the same packed."""
    small.write(directory)
    (directory / "packed").mkdir()
    for path in (directory / "digits").iterdir():
        (directory / "packed" / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    return directory


def case(directory, rng, where):
    """A data set with one altered file, which is read."""
    kind, data = str(rng.choice(("digits", "packed"))), where / "data"
    shutil.copytree(directory / kind, data)
    files = sorted(data.iterdir())
    path = files[rng.integers(len(files))]
    if kind == "packed" and rng.random() < 0.5:         # inside, under a checksum that is right
        inside = where / "inside"
        inside.write_bytes(gzip.decompress(path.read_bytes()))
        told, _ = altered.raw(inside, rng, files)
        sparse = inside.is_file() and inside.stat().st_size > 1 << 26
        path.write_bytes(gzip.compress(inside.read_bytes()) if inside.is_file() and not sparse else b"")
    else:
        told, _ = altered.raw(path, rng, files)
    return Case(f"{kind}: {path.name}: {told}", lambda: _read(data))


def _read(data):
    """Both parts as the package reads them: exit code; what was read has to be what the files hold."""
    from spikingconvnet.data import datasets
    from spikingconvnet.errors import SpikingConvNetError

    try:
        parts = [datasets.load(str(data), part, data / "downloads") for part in ("train", "test")]
    except SpikingConvNetError as error:
        return error.exit_code
    for part in parts:
        whole = len(part.images) == len(part.labels) > 0 and part.images.ndim == 3
        if not whole or part.images.dtype != np.uint8 or part.labels.dtype != np.uint8:
            raise AssertionError("images and labels that do not belong to each other")
    return 0
