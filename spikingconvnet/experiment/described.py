"""What a run was, for ``results.json``: its settings, the versions it was made with."""

import functools
import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import spikingconvnet
from spikingconvnet.errors import SettingsError, in_words
from spikingconvnet.experiment import tables
from spikingconvnet.experiment.settings import NAMES, Settings

LIBRARIES = "numpy", "scipy", "numba", "scikit-learn", "torch", "sPyNNaker"


def versions() -> dict[str, str]:
    """Versions of the package, of Python and of the libraries that compute: dict of str to str."""
    found = {name: _version(name) for name in LIBRARIES}
    return {"spikingconvnet": spikingconvnet.__version__, "python": platform.python_version(),
            **{name: version for name, version in found.items() if version}}


@functools.cache        # a command asks several times, and each answer is read from a file
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def described(settings: Settings, sets: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, by the names of a parameters file, and versions: dict for JSON.

    Parameters
    ----------
    settings : Settings
    sets : dict
        What ``--set`` gave.
    """
    given = {name: getattr(settings, field) for field, name in NAMES.items()}
    return {"settings": {name: _plain(value, name) for name, value in given.items() if value is not None},
            "set": dict(sets), "versions": versions()}


def _plain(value: Any, name: str) -> Any:
    try:
        return tables.finite(tables.plain(value, name))
    except SettingsError:           # an object of a class of the user's own
        return in_words(value)
