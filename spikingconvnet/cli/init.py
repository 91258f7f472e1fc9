"""``--mode init``: a parameters file with comments, and the data that it asks for."""

import os
import shlex
import tempfile
from argparse import Namespace
from dataclasses import fields
from pathlib import Path
from typing import Any

from spikingconvnet.cli.messages import program, say
from spikingconvnet.cli.parameters import ADDRESS, FOLDER, TEMPLATE, recipe
from spikingconvnet.data.download import STEMS, cache_folder, load_address
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment import settings, tables
from spikingconvnet.gates.address import Address
from spikingconvnet.gates.files import write_text

HEAD = """# The experiment: every number that you may want to change. What is not given is as its comment says.
# Units: steps of 1 ms, ms, mV, nA, nF. What each name means: docs/settings.md and docs/api.md.

"""
NOTES = {"DATASET": "a directory or address with four IDX files", "CLASSES": "the classes used", "SLOT":
         "steps per image: its spikes, then a gap in which membranes come back towards rest", "N_TRAIN":
         "images to learn from, of the training file", "N_VALIDATION": "images of the training file to choose with",
         "N_TEST": "images to test with, of the test file", "SEED": "of every random choice",
         "RESET": "whether every image starts at rest"}


def init(options: Namespace) -> dict[str, Any]:
    """Write a parameters file into a directory, unless there is one, and fetch MNIST if the file wants it.

    A parameters file of the other kind there is a SettingsError, MNIST that cannot be fetched a DataError.
    """
    folder = Path(*options.paths)
    path = folder / f"parameters.{'toml' if options.toml else 'py'}"
    other = path.with_suffix(".py" if options.toml else ".toml")
    if other.is_file():
        raise SettingsError(f"{other}: is there already; two parameters files in one directory would not be told apart")
    source = recipe(options.rule, options.dataset) if options.rule else TEMPLATE
    if path.is_file():
        say(f"{path}: is there already, and stays as it is")
    else:
        content = _toml(source) if options.toml else source.read_text()
        write_text(path, content)
    found = settings.load(path)
    if Path(found.dataset) == Path(FOLDER) and not any((above / FOLDER).exists() for above in path.resolve().parents):
        _fetch(folder / FOLDER)
    begin = "" if folder == Path() else f"cd {shlex.quote(str(folder))}; "
    return {"path": str(path), "text": f"{path}\nnext: {begin}{program()} --mode demo"}


def _toml(source: Path) -> str:
    """A parameters file in Python as one in TOML, with comments."""
    given = settings.as_tables(settings.load(source))
    if Path(str(given["DATASET"])).parts[-2:] == Path(FOLDER).parts:
        given["DATASET"] = FOLDER
    default = {field.name: field.default for field in fields(settings.Settings)}
    unsaid = [f"# {tables.written({name: tables.plain(value, name)}, NOTES)}" for field, name in settings.NAMES.items()
              if name not in given and isinstance(value := default[field], (bool, int, tuple))]
    return HEAD + "".join(unsaid) + tables.written(given, NOTES)


def _fetch(target: Path) -> None:
    """MNIST's four files from a server, all of them or none, checked by their checksums."""
    address = Address(ADDRESS)
    say(f"{target}: fetching MNIST from {address}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".") as scratch:
        try:
            for part in STEMS:
                load_address(address, part, scratch)
        except DataError as error:
            raise DataError(f"{str(error).partition(';')[0]}; the parameters file is written: copy MNIST's four files"
                            f" into {target}, or give another DATASET in it") from None
        os.replace(cache_folder(address, scratch), target)
