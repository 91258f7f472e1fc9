"""From ``parameters.py`` to checked, frozen Settings.

The file is Python, run with :mod:`runpy`; only its capital names count. A name that is unknown, missing or of the wrong
kind is a SettingsError that says what would have been right.
"""

import ast
import difflib
import os
import runpy
import traceback
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path

from spikingconvnet.encoding import rate_of
from spikingconvnet.errors import SettingsError, SpikingConvNetError, require
from spikingconvnet.model import Sequential
from spikingconvnet.plasticity import STDPMechanism
from spikingconvnet.preprocessing import worth_of


@dataclass(frozen=True)
class Settings:
    """One experiment.

    Attributes
    ----------
    dataset : str
        Directory or URL with four IDX files; a relative directory is looked for beside the parameters file.
    classes : tuple of int
        Classes used.
    n_train, n_validation, n_test : int or None
        Images of each split; None takes all there are.
    per_class : bool
        Whether the three numbers count images per class.
    white : int or None
        Grey value of the images that stands for white, 1 to 255; None is 255, if they look like that.
    image_filter, encoder : callables of ``preprocessing`` and ``encoding``
    slot : int
        Steps per image on the timeline, the gap between images included.
    model : Sequential
    seed : int
    reset : bool
        Whether every image starts at rest; for models that run as one network.
    rule : settings record of a rule that trains all layers at once, or None
        See ``training``.
    arch : str or None
        What ``--arch`` made the model of.
    deformation : preprocessing.Deformation or None
        Makes more images for the classifier out of those training images that lie near its margins; layers do not see
        them.
    """

    dataset: str
    image_filter: object
    encoder: object
    slot: int
    model: Sequential
    classes: tuple = tuple(range(10))
    n_train: int = None
    n_validation: int = 0
    n_test: int = None
    per_class: bool = False
    seed: int = 0
    reset: bool = False
    rule: object = None
    arch: str = None
    deformation: object = None
    white: int = None

    def __post_init__(self):
        require(hasattr(self.classes, "__iter__"), "parameters", "CLASSES", self.classes, "class ids, as in range(10)")
        object.__setattr__(self, "classes", tuple(self.classes))
        require(len(self.classes) >= 2, "parameters", "CLASSES", self.classes, "two classes or more, to tell apart")
        require(self.white is None or type(self.white) is int and 1 <= self.white <= 255, "parameters", "WHITE",
                self.white, "a grey value from 1 to 255, or left out")
        for name, value, number in (("FILTER", self.image_filter, "channels"), ("ENCODER", self.encoder, "n_steps")):
            require(callable(value) and hasattr(value, number) and not isinstance(value, type), "parameters", name,
                    value, f"an object that can be called and has {number}; if it is a class, call it: {name} = ...()")
        require(isinstance(self.model, Sequential), "parameters", "MODEL", self.model, "a Sequential model")
        require(isinstance(self.slot, int), "parameters", "SLOT", self.slot, "a whole number of steps")
        require(self.slot > self.encoder.n_steps, "parameters", "SLOT", self.slot,
                f"more steps than the encoder's {self.encoder.n_steps}")
        require(isinstance(self.seed, int) and self.seed >= 0, "parameters", "SEED", self.seed, "0 or more")
        require(self.deformation is None or hasattr(self.deformation, "copies"), "parameters", "DEFORMATION",
                self.deformation, "a Deformation, or None")
        require(self.image_filter.channels == self.model.input_shape[0], "parameters", "MODEL",
                self.model.input_shape, f"a model for the {self.image_filter.channels} channels that FILTER makes")
        worth = worth_of(self.image_filter)
        require(worth is None or len(worth) == self.image_filter.channels, "parameters", "FILTER.worth", worth,
                f"a number for each of its {self.image_filter.channels} channels, or None")
        require(bool(self.model.stages), "parameters", "MODEL", self.model.layers, "a model with a Conv2D or Dense")
        named = is_dataclass(self.rule) and isinstance(getattr(self.rule, "name", None), str)
        require(self.rule is None or (named and not isinstance(self.rule, type)), "parameters", "RULE", self.rule,
                "the settings of a rule that trains all layers at once; if it is a class, call it: RULE = ...()")
        require(self.rule is None or self.model.runs_as_one, "parameters", "MODEL", str(self.model.readout),
                "a model that ends with SpikeCount() or Membrane(), because RULE trains all layers at once")
        if getattr(self.rule, "takes_rates", False):
            rate_of(self.encoder, f"RULE {self.rule.name}")
        require(isinstance(self.reset, bool), "parameters", "RESET", self.reset, "True or False")
        if not self.model.runs_as_one:
            require(not self.reset, "parameters", "RESET", self.reset, "False for a model with a Classifier, whose"
                    " layers are replayed one after another on one timeline")
            return
        require(self.deformation is None, "parameters", "DEFORMATION", self.deformation,
                "left out for a model without a Classifier, which alone sees deformed copies")
        self.model.readout.window(self.slot)
        require(self.model.shapes[-1][0] == len(self.classes), "parameters", "MODEL", self.model.shapes[-1],
                f"a model with one output unit for each of the {len(self.classes)} CLASSES")

    def with_seed(self, seed):
        """The same experiment with another seed."""
        return self if seed is None else replace(self, seed=seed)


_NAMES = {"DATASET": "dataset", "CLASSES": "classes", "N_TRAIN": "n_train", "N_VALIDATION": "n_validation",
          "N_TEST": "n_test", "PER_CLASS": "per_class", "FILTER": "image_filter", "ENCODER": "encoder", "SLOT": "slot",
          "MODEL": "model", "SEED": "seed", "RESET": "reset", "RULE": "rule", "DEFORMATION": "deformation",
          "WHITE": "white"}
LARGEST = 1 << 24           # bytes of a parameters file
_REQUIRED = ("DATASET", "FILTER", "ENCODER", "SLOT", "MODEL")
_FAULTS = (SyntaxError, NameError, TypeError, ValueError, ImportError, AttributeError, ArithmeticError, LookupError,
           AssertionError, OSError, RuntimeError)     # what a parameters file may raise while it runs


def load(path):
    """Settings of a parameters file.

    Parameters
    ----------
    path : str or Path

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
        raise SettingsError(f"{path}: no such parameters file; copy parameters.py or one of examples/*.py and edit it")
    if path.stat().st_size > LARGEST:
        raise SettingsError(f"{path}: has {path.stat().st_size:,} bytes, which is no parameters file; it is damaged, so"
                            " name the one you began with: --parameters FILE")
    try:
        found = {name: value for name, value in runpy.run_path(str(path)).items()
                 if name.isupper() and not name.startswith("_") and (name in _NAMES or not isinstance(value, type))}
    except SpikingConvNetError as error:
        raise SettingsError(f"{path}{_line(error, path)}: {error}") from error
    except _FAULTS as error:
        raise SettingsError(f"{path}{_line(error, path)}: {type(error).__name__}: {error}") from error
    return _from_names(found, path, _unread(path))


def _unread(path):
    """Names that a parameters file gives a value to and does not use itself, with their lines: dict of str to int."""
    tree = ast.parse(path.read_bytes())
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    top = [node for node in tree.body if not isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    return {node.id: node.lineno for part in top for node in ast.walk(part)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id not in read}


def _from_names(found, path, unread):
    """Settings from a dict of capital names, see :func:`load`; what nothing reads is refused.

    A name of the user's own is fine if it holds a record of the package (a neuron, a rule) that others are built from.
    """
    found = dict(found)
    for name, line in unread.items():
        if name not in _NAMES and name.upper() in _NAMES:
            raise SettingsError(f"{path}, line {line}: {name} is not a parameter; did you mean {name.upper()}?")
    if isinstance(found.get("RULE"), STDPMechanism):      # a name of the user's own before rules for chains had it
        require("RULE" not in unread, f"{path}: parameters", "RULE", found.pop("RULE"),
                "used by a layer, as STDP(mechanism=RULE), or the settings of a rule that trains all layers at once")
    for name in [name for name in found if name not in _NAMES]:
        own = is_dataclass(found[name])
        near = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.8 if own else 0.6)
        if near or not own or name in unread:
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_NAMES)}"
            raise SettingsError(f"{path}: {name} is not a parameter{', and nothing uses it' if own else ''}; {hint}")
        del found[name]
    missing = [name for name in _REQUIRED if name not in found]
    if missing:
        raise SettingsError(f"{path}: {', '.join(missing)} missing; see parameters.py for an example")
    values = {_NAMES[name]: value for name, value in found.items()}
    values["dataset"] = _locate(values["dataset"], path)
    return Settings(**values)


def _line(error, path):
    """``, line n`` of the parameters file in which an error arose; empty if that is not known."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    if isinstance(error, SyntaxError) and error.filename == str(path):
        lines.append(error.lineno)
    return f", line {lines[-1]}" if lines and lines[-1] else ""


def _locate(dataset, path):
    require(isinstance(dataset, (str, os.PathLike)), "parameters", "DATASET", dataset, "a directory or URL")
    if "://" in str(dataset) or Path(dataset).is_absolute() or Path(dataset).exists():
        return str(dataset)
    beside = next((folder / dataset for folder in Path(path).resolve().parents if (folder / dataset).exists()), None)
    return str(beside or dataset)

