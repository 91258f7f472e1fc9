"""Doors of version 0.1: modules under their old names, and what the face had, for parameters files that use them.

Every run directory holds the parameters file it was made with, so an old one has to be read as long as its results
are. The doors are there while such a file runs, and nowhere else; they go with version 0.3.
"""

import ast
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import spikingconvnet
from spikingconvnet import PUBLIC

logger = logging.getLogger(__name__)

MOVED = {
    "layers": ("model.layers", "model.readouts", "training.layerwise.stdp"), "arch": ("model.shorthand",),
    "encoding": ("data.encoding", "data.receptive_fields"), "preprocessing": ("data.filters", "data.deformation"),
    "neurons": ("network.neurons",), "plasticity": ("network.plasticity",), "spikes": ("network.spikes",),
    "geometry": ("network.geometry",), "connectivity": ("network.connectivity", "network.board_connectors"),
    **{f"training.{name}": (f"training.chain.{name}",)
       for name in ("bpstdp", "convert", "descent", "ridge", "rstdp", "softlif", "surrogate")},
    "recipes": (), **{f"recipes.{name}": (f"experiment.recipes.{name}",)
                      for name in ("bpstdp", "convert", "ridge", "rstdp", "softlif", "surrogate")}}


class _Doors(MetaPathFinder, Loader):
    """Finds modules of `MOVED`, and remembers which were asked for."""

    def __init__(self) -> None:
        self.used: dict[str, ModuleType] = {}

    def find_spec(self, fullname: str, path: Sequence[str] | None = None,
                  target: ModuleType | None = None) -> ModuleSpec | None:
        """The door's spec, or None for what has not moved."""
        package, _, name = fullname.partition(".")
        found = package == spikingconvnet.__name__ and name in MOVED
        return ModuleSpec(fullname, self, is_package=name == "recipes") if found else None

    def exec_module(self, module: ModuleType) -> None:
        """Give the module the names of its new homes."""
        homes = [import_module(f"{spikingconvnet.__name__}.{home}")
                 for home in MOVED[module.__name__.partition(".")[2]]]
        for home in homes:
            public = getattr(home, "__all__", [name for name in vars(home) if not name.startswith("_")])
            vars(module).update({name: vars(home)[name] for name in public})
        self.used[module.__name__] = module


@contextmanager
def old_names(path: Path) -> Iterator[None]:
    """Let a parameters file use names and modules of version 0.1, with a warning that says what to do."""
    doors, face = _Doors(), vars(spikingconvnet)
    daily = face["__all__"]
    sys.meta_path.append(doors)
    try:
        with warnings.catch_warnings():         # one warning for all of the file, below
            warnings.filterwarnings("ignore", rf"{spikingconvnet.__name__}\.", DeprecationWarning)
            face["__all__"] = list(PUBLIC)      # what a star brings
            yield
    finally:
        face["__all__"] = daily
        sys.meta_path.remove(doors)
        for name in sorted(doors.used, reverse=True):       # a package behind what is in it
            package, _, last = name.rpartition(".")
            del sys.modules[name], vars(sys.modules[package])[last]
    if doors.used:
        logger.warning("warning: %s imports from %s, which version 0.3 will not know; write: from spikingconvnet import"
                       " ...", path, ", ".join(doors.used))
    if lines := in_rooms(path.read_bytes()):
        logger.warning("warning: %s takes from spikingconvnet what version 0.3 will have in its rooms alone; write: %s",
                       path, "; ".join(lines))


def in_rooms(source: bytes) -> list[str]:
    """How to import what a file has from the face and only a room will have.

    >>> in_rooms(b"from spikingconvnet import *; FILTER = Opponents(Intensity())")
    ['from spikingconvnet.data import Opponents']
    """
    face, nodes = spikingconvnet.__name__, list(ast.walk(ast.parse(source)))
    imported = {(node.module, alias.name) for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    asked = {name for module, name in imported if module == face}
    if "*" in asked:
        used = {node.id for node in nodes if isinstance(node, ast.Name)}
        used -= {node.name for node in nodes if isinstance(node, ast.ClassDef)}
        asked |= {name for name in used if not {(PUBLIC.get(name), name), (PUBLIC.get(name), "*")} & imported}
    faces = {alias.asname or alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
             if alias.name == face}
    asked |= {node.attr for node in nodes if isinstance(node, ast.Attribute) and ast.unparse(node.value) in faces}
    rooms: dict[str, list[str]] = {}
    for name in sorted(asked & set(PUBLIC)):
        if PUBLIC[name] != face:
            rooms.setdefault(PUBLIC[name], []).append(name)
    return [f"from {room} import {', '.join(names)}" for room, names in sorted(rooms.items())]
