"""From ``parameters.py`` to checked, frozen Settings.

The file is Python, run with :mod:`runpy`, of which only capital names count; or TOML, see ``tables``, of which nothing
is executed. A name that is unknown, missing or of the wrong kind is a SettingsError that says what would have been
right.
"""

import ast
import difflib
import runpy
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.events import takes_events
from spikingconvnet.data.filters import is_filter, worth_of
from spikingconvnet.data.images import MAX_SIDE
from spikingconvnet.data.protocols import Encoder, ImageFilter
from spikingconvnet.errors import SettingsError, SpikingConvNetError, in_words, require
from spikingconvnet.experiment import tables
from spikingconvnet.experiment.doors import old_names
from spikingconvnet.gates import sizes
from spikingconvnet.gates.address import SOURCE_LOGIN, Address
from spikingconvnet.gates.fields import (
    FLAG,
    MOST_SLOT,
    PATH,
    REFUSED,
    SEED,
    Kind,
    above,
    optional,
    real,
    record,
    several,
    whole,
)
from spikingconvnet.gates.files import write_text
from spikingconvnet.model.layers import Conv2D, Dense
from spikingconvnet.model.learning import NetworkRule
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.arrays import Shape
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.training import layer_rule


@dataclass(frozen=True)
class Settings:
    """One experiment.

    Attributes
    ----------
    dataset : str
        Where images come from, see ``data.sources.load``; a relative path is looked for beside the parameters file. A
        URL is kept as an ``address.Address``, whose text lacks what is secret.
    classes : tuple of int
        Classes used; without any they are left to the data set, and until that is known they are 0 to
        9.
    n_train, n_validation, n_test : int or None
        Images of each split; None takes all there are.
    per_class : bool
        Whether the three numbers count images per class.
    white : number or None
        What stands for white in the images; None is 255 for bytes, if they look like that, and found for others.
    size : (int, int) or None
        Rows and columns with which images are drawn that have others; None takes them as they are.
    image_filter, encoder : callables of ``preprocessing`` and ``encoding``
    slot : int
        Steps per image on the timeline, the gap between images included.
    model : Sequential
    seed : int
    reset : bool
        Whether every image starts at rest; for models that run as one network.
    rule : NetworkRule or None
        The settings of a rule that trains all layers at once.
    arch : str or None
        What ``--arch`` made the model of.
    deformation : preprocessing.Deformation or None
        Makes more images for the classifier out of those training images that lie near its margins; layers do not see
        them.
    free : tuple of str
        What else is left to the data set, see ``binding``: ``classes``, ``shape``, ``counts``. The shape is as well if
        `model` has none.
    """

    dataset: str
    image_filter: ImageFilter
    encoder: Encoder
    slot: int
    model: Sequential
    classes: tuple[int, ...] = ()
    n_train: int | None = None
    n_validation: int = 0
    n_test: int | None = None
    per_class: bool = False
    seed: int = 0
    reset: bool = False
    rule: NetworkRule | None = None
    arch: str | None = None
    deformation: Deformation | None = None
    white: float | None = None
    size: tuple[int, int] | None = None
    free: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.dataset, str) and "://" in self.dataset:
            object.__setattr__(self, "dataset", Address(self.dataset))
        left = self.classes is None or (isinstance(self.classes, tuple) and not self.classes)
        for field, kind in _KINDS.items():
            if field == "classes" and left:
                continue
            object.__setattr__(self, field, kind(getattr(self, field), "parameters", NAMES[field]))
        named = isinstance(self.free, tuple) and all(isinstance(one, str) and one in LEFT for one in self.free)
        require(named, "Settings", "free", self.free, f"a tuple of {', '.join(LEFT)}")
        require(self.slot > self.encoder.n_steps, "parameters", "SLOT", self.slot,
                f"more steps than the encoder's {self.encoder.n_steps}")
        if self.model.given_shape is not None:
            self._check_input(self.model.given_shape)
        require(not takes_events(self.encoder) or self.deformation is None, "parameters", "DEFORMATION",
                self.deformation, "left out with events")
        worth = worth_of(self.image_filter)
        require(worth is None or len(worth) == self.image_filter.channels, "parameters", "FILTER.worth", worth,
                f"a number for each of its {self.image_filter.channels} channels, or None")
        require(any(isinstance(layer, (Conv2D, Dense)) for layer in self.model.layers), "parameters", "MODEL",
                self.model.layers, "a model with a Conv2D or Dense")
        if left:
            object.__setattr__(self, "classes", self._assumed())
            object.__setattr__(self, "free", (*self.free, "classes"))
        require(self.rule is None or self.model.runs_as_one, "parameters", "MODEL", str(self.model.readout),
                "a model that ends with SpikeCount() or Membrane(), because RULE trains all layers at once")
        if self.rule is not None and self.rule.takes_rates:
            rate_of(self.encoder, f"RULE {self.rule.name}")
        if self.model.given_shape is not None:
            sizes.check(self, [] if self.model.runs_as_one else [layer_rule(stage).memory(stage) for stage in
                                                                 self.model.stages])
        if not self.model.runs_as_one:
            require(not self.reset, "parameters", "RESET", self.reset, "False for a model with a Classifier, whose"
                    " layers are replayed one after another on one timeline")
            return
        require(self.deformation is None, "parameters", "DEFORMATION", self.deformation,
                "left out for a model without a Classifier, which alone sees deformed copies")
        self.model.unit_readout.window(self.slot)
        if self.model.given_shape is not None:      # before that CLASSES may be left to the data set, too
            require(self.model.shapes[-1][0] == len(self.classes), "parameters", "MODEL", self.model.shapes[-1],
                    f"a model with one output unit for each of the {len(self.classes)} CLASSES")

    def _check_input(self, shape: Shape) -> None:
        """Raise a SettingsError unless FILTER, or ENCODER of events, makes what MODEL takes."""
        require(self.image_filter.channels == shape[0], "parameters", "MODEL", shape,
                f"a model for the {self.image_filter.channels} channels that FILTER makes")
        seen = getattr(self.encoder, "shape", None)
        require(not takes_events(self.encoder) or seen == shape, "parameters", "MODEL", shape,
                f"a model for {seen}, the events as ENCODER sees them")

    def _assumed(self) -> tuple[int, ...]:
        """Classes until the data set is known: the digits."""
        return tuple(range(10))

    def leaves(self, what: str) -> bool:
        """Whether ``classes``, ``shape`` or ``counts`` are left to the data set, and have not been set since."""
        if what == "shape" and self.model.given_shape is None:
            return True
        return what in self.free and (what != "classes" or self.classes == self._assumed())

    @property
    def source(self) -> str | None:
        """What ``--source`` has put in the place of DATASET; None if nothing."""
        return str(self.dataset) if "counts" in self.free else None

    @property
    def is_open(self) -> bool:
        """Whether anything is left to the data set."""
        return any(map(self.leaves, LEFT))

    def with_seed(self, seed: int | None) -> "Settings":
        """The same experiment with another seed."""
        return self if seed is None else replace(self, seed=seed)


def _only(condition: Callable[[Any], bool], wanted: str) -> Kind:
    """A kind of objects that meet a condition, kept as they are."""
    return Kind(lambda value: value if condition(value) else REFUSED, wanted)


def _is_encoder(value: object) -> bool:
    n_steps = getattr(value, "n_steps", None)
    return callable(value) and not isinstance(value, type) and whole(1, MOST_SLOT).takes(n_steps)


def _is_rule(value: object) -> bool:
    return value is None or (is_dataclass(value) and isinstance(value, NetworkRule))


def _classes(value: Any) -> object:
    """Class ids as a tuple; a range too long to be one is not unrolled."""
    if isinstance(value, range):
        value = tuple(value[:MOST_CLASSES + 1])
    elif isinstance(value, (set, frozenset)) or (isinstance(value, np.ndarray) and value.ndim == 1):
        value = tuple(value)
    ids = several(whole(0), "")
    return tuple(ids.plain(value)) if ids.takes(value) else REFUSED


def _size(value: Any) -> object:
    """Rows and columns as a tuple."""
    sides = several(whole(1, MAX_SIDE), "", 2)
    return tuple(sides.plain(value)) if sides.takes(value) else REFUSED


MOST_CLASSES = 1000
LEFT = ("classes", "shape", "counts")         # what may be left to the data set
_COUNT = whole(0)
NAMES = {"dataset": "DATASET", "classes": "CLASSES", "n_train": "N_TRAIN", "n_validation": "N_VALIDATION",
         "n_test": "N_TEST", "per_class": "PER_CLASS", "image_filter": "FILTER", "encoder": "ENCODER", "slot": "SLOT",
         "model": "MODEL", "seed": "SEED", "reset": "RESET", "rule": "RULE", "deformation": "DEFORMATION",
         "white": "WHITE", "size": "SIZE"}
_FIELDS = {name: field for field, name in NAMES.items()}
_KINDS = {
    "dataset": Kind(PATH.plain, "a directory or URL"),
    "n_train": optional(_COUNT), "n_validation": _COUNT, "n_test": optional(_COUNT),
    "classes": Kind(_classes, "class ids, as in range(10)", (
        (lambda ids: len(ids) >= 2, "two classes or more, to tell apart"),
        (lambda ids: len(ids) <= MOST_CLASSES, f"at most {MOST_CLASSES} classes"))),
    "per_class": FLAG, "reset": FLAG, "seed": SEED, "model": record(Sequential, wanted="a Sequential model"),
    "white": optional(real(above(0), wanted="a number above 0, or left out")),
    "size": optional(Kind(_size, f"two numbers of pixels from 1 to {MAX_SIDE}, or left out")),
    "image_filter": _only(is_filter, "an object that can be called and has channels; if it is a class, call it:"
                                     " FILTER = ...()"),
    "encoder": _only(_is_encoder, "an object that can be called and has n_steps; if it is a class, call it:"
                                  " ENCODER = ...()"),
    "slot": whole(1, MOST_SLOT, ": a board counts the steps of a timeline in 32 bits", "a whole number of steps"),
    "deformation": optional(record(Deformation, wanted="a Deformation")),
    "rule": _only(_is_rule, "the settings of a rule that trains all layers at once; if it is a class, call it:"
                            " RULE = ...()")}
_REQUIRED = ("DATASET", "FILTER", "ENCODER", "SLOT", "MODEL")
LARGEST_FILE = 1 << 20      # bytes
TOML = ".toml"              # what a file that is not Python ends with


def load(path: str | Path) -> Settings:
    """Settings of a parameters file.

    Parameters
    ----------
    path : str or Path
        Python, or TOML if its name ends with ``.toml``.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        The file is missing, does not run, or holds a wrong name or value.
    """
    path = Path(path)
    if not path.is_file():
        raise SettingsError(f"{path}: no such parameters file; copy parameters.py or one of examples/*.py and edit it,"
                            " or write one with --mode init")
    try:
        require(path.stat().st_size <= LARGEST_FILE, str(path), "size", path.stat().st_size,
                f"at most {LARGEST_FILE:,} bytes for a parameters file")
        return _from_toml(path) if path.suffix == TOML else _from_python(path)
    except SpikingConvNetError as error:
        where = _line(error, path)
        raise SettingsError(f"{path}{where}: {error}" if where else str(error)) from error
    # The file is a program of the user's, objects of whose own are looked at as well: it may raise anything.
    except (Exception, SystemExit) as error:
        raise SettingsError(f"{path}{_line(error, path)}: {type(error).__name__}: {_text(error)}") from error


def _from_toml(path: Path) -> Settings:
    found = tables.read(path)
    tables.require_known(found, _FIELDS, str(path))
    return _from_names(found, path, {})


def _from_python(path: Path) -> Settings:
    with old_names(path):
        ran = runpy.run_path(str(path))
    found = {name: value for name, value in ran.items()
             if name.isupper() and not name.startswith("_") and (name in _FIELDS or not isinstance(value, type))}
    return _from_names(found, path, _unread(path))


def as_tables(settings: Settings) -> dict[str, Any]:
    """Settings as TOML and JSON hold them, see ``tables.plain``: dict by the names of a parameters file.

    What is as by default, or left to the data set, is left out. Loaded again, ``tables.written`` of it gives settings
    with the same ``repr``.

    Raises
    ------
    SettingsError
        An object of a class that is not the package's, which only Python can make.
    """
    default = {field.name: field.default for field in fields(settings)}
    given = {name: getattr(settings, field) for field, name in NAMES.items() if not settings.leaves(field)}
    return {name: tables.plain(value, name) for name, value in given.items()
            if value is not None and not tables.is_default(value, default[_FIELDS[name]])}


def save(settings: Settings, path: str | Path) -> None:
    """Write settings as a TOML file, which :func:`load` reads again; see :func:`as_tables`."""
    write_text(Path(path), tables.written(as_tables(settings)))


def _text(error: BaseException) -> str:
    """What an error says; of a SystemExit, what its number means."""
    if isinstance(error, SystemExit):
        return "it ends the program; a parameters file only gives values to names"
    return in_words(str(error)).strip("'\"") or "no text"


def _unread(path: Path) -> dict[str, int]:
    """Names that a parameters file gives a value to and does not use itself, with their lines: dict of str to int."""
    tree = ast.parse(path.read_bytes())
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    top = [node for node in tree.body if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return {node.id: node.lineno for part in top for node in ast.walk(part)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in read}


def _from_names(found: Mapping[str, Any], path: Path, unread: Mapping[str, int]) -> Settings:
    """Settings from a dict of capital names, see :func:`load`; what nothing reads is refused.

    A name of the user's own is fine if it holds a record of the package (a neuron, a rule) that others are built from.
    """
    found = dict(found)
    for name, line in unread.items():
        if name not in _FIELDS and name.upper() in _FIELDS:
            raise SettingsError(f"{path}, line {line}: {name} is not a parameter; did you mean {name.upper()}?")
    if isinstance(found.get("RULE"), STDPMechanism):      # a name of the user's own before rules for chains had it
        require("RULE" not in unread, f"{path}: parameters", "RULE", found.pop("RULE"),
                "used by a layer, as STDP(mechanism=RULE), or the settings of a rule that trains all layers at once")
    for name in [name for name in found if name not in _FIELDS]:
        own = is_dataclass(found[name])
        near = difflib.get_close_matches(name, _FIELDS, n=1, cutoff=0.8 if own else 0.6)
        if near or not own or name in unread:
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_FIELDS)}"
            raise SettingsError(f"{path}: {name} is not a parameter{', and nothing uses it' if own else ''}; {hint}")
        del found[name]
    if takes_events(found.get("ENCODER")):
        require("FILTER" not in found, "parameters", "FILTER", found.get("FILTER"), "left out with EventBins, which"
                " takes events as they are")
        found["FILTER"] = found["ENCODER"]
    missing = [name for name in _REQUIRED if name not in found]
    if missing:
        raise SettingsError(f"{path}: {', '.join(missing)} missing; see parameters.py for an example")
    values = {_FIELDS[name]: value for name, value in found.items()}
    values["dataset"] = _locate(values["dataset"], path)
    return Settings(**values)


def _line(error: BaseException, path: Path) -> str:
    """``, line n`` of the parameters file in which an error arose; empty if that is not known."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f", line {lines[-1]}" if lines and lines[-1] else ""


def _locate(dataset: Any, path: Path) -> str:
    """Where a data set is: an address without secrets, or a path, also one beside the parameters file or above it."""
    if isinstance(dataset, str) and "://" in dataset:
        address = Address(dataset)
        require(not address.has_secret, "parameters", "DATASET", address, "an address without a password or token, as"
                " the file is copied into the run directory; give the whole address as --source, or a user's name and"
                f" password in {SOURCE_LOGIN}_USER and {SOURCE_LOGIN}_PASSWORD")
        return address
    dataset = _KINDS["dataset"](dataset, "parameters", "DATASET")
    if Path(dataset).is_absolute() or Path(dataset).exists():
        return str(dataset)
    beside = next((folder / dataset for folder in Path(path).resolve().parents if (folder / dataset).exists()), None)
    return str(beside or dataset)

