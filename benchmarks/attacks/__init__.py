"""Attacks on the command line and the package, a module each; ``benchmarks/attack.py`` runs them.

A module has

    prepare(directory)        -> context     makes what all cases start from (in a process of its own, see ``harness``)
    case(context, rng, where) -> Case        one case from a generator and an empty directory

and may have ``CASES`` or ``count(context)``, how many make sense if they are counted and not drawn.
"""

from importlib import import_module
from pathlib import Path

NAMES = tuple(sorted(path.stem.replace("_", "-") for path in Path(__file__).parent.glob("*.py")
                     if path.stem not in ("__init__", "altered", "flows", "fresh", "harness", "small")))


def attack(name):
    """The module of an attack, by its name on the command line."""
    return import_module(f"attacks.{name.replace('-', '_')}")
