"""What every file of a run directory has to hold, see ``schema``; ``store`` says which file holds what.

What a model and its settings know of a file is an argument; without it the parts of a file still have to fit together.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from spikingconvnet.errors import StoreError
from spikingconvnet.gates.schema import (
    ACCUM,
    FLOATS,
    INTEGER,
    TEXT,
    Array,
    Schema,
    Value,
    check_entries,
    is_integer,
    is_number,
    is_text,
    optional,
    refuse,
)
from spikingconvnet.network.arrays import Numbers, Shape
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import digest, unpack_spikes

IDS = "uint16 uint32"
LABELS = "uint8 uint16 uint32 int32 int64"
PICTURES = "uint8 uint16 float32 float64"
VERDICTS = ("valid", "suspect", "invalid")    # on runs on a board, see ``health``
VERDICT = optional(Value(" or ".join(VERDICTS), lambda value: value in VERDICTS))
HOW = {"made_on": TEXT, "seed": INTEGER, "version": TEXT,
       "board": optional(Value("the verdict on runs on a board",
                               lambda value: isinstance(value, dict) and value.get("verdict") in VERDICTS))}
SPIKES = {"shape": Array("int64", (3,), 1, 1 << 20), "n_steps": Array("int64", (), 1, 1 << 31),
          "counts": Array(IDS, ("steps",)), "neurons": Array(IDS, ("spikes",))}
TOGETHER = {"classes"}, {"n_train", "n_test"}, {"shape", "size"}       # what a data set binds, each of them or none
BOUND = optional(Value("what the data set has bound of the parameters", lambda value: isinstance(value, dict) and all(
    names <= value.keys() or not names & value.keys() for names in TOGETHER)))
CLASS_NAMES = optional(Value("texts by the ids of classes", lambda value: isinstance(value, dict) and all(
    key.isdecimal() and is_text(name) for key, name in value.items())))
KERNELS = ("filters", "channels", "rows", "columns")
WEIGHTS = Array(FLOATS, KERNELS, -ACCUM, ACCUM)
INFERENCE = {"kernels": WEIGHTS, "v_thresh": Array(FLOATS, ("maps",), -ACCUM, ACCUM),
             "i_offset": Array(FLOATS, ("maps",), -ACCUM, ACCUM, optional=True),
             "i_offsets": Array(FLOATS, ("maps", "out_rows", "out_columns"), -ACCUM, ACCUM, optional=True),
             "v": Array(FLOATS, ("neurons",), -ACCUM, ACCUM, optional=True),
             "max_expected_summed_weight": Array(FLOATS, (), 0, ACCUM, optional=True)}
COURSE = {"wins": Array("int64", ("chunks", 3), 0), "thresholds": Array(FLOATS, ("chunks", "filters"), -ACCUM, ACCUM),
          "mean_weight": Array(FLOATS, ("chunks",), -ACCUM, ACCUM)}
TRAINED = {"initial": WEIGHTS, "learned": WEIGHTS, **COURSE}

Arrays: TypeAlias = Mapping[str, Numbers]


def data(split: str | None = None, classes: Sequence[int] | None = None, most: int = 0, **sizes: int) -> Schema:
    """Labels of the images of a split and spikes of the first `most`, if they are so many; sizes: ``n_steps``."""
    def whole(arrays: Arrays, how: Mapping[str, Any]) -> None:
        spikes, n = _spikes(arrays, how, None, sizes.get("n_steps")), len(arrays["labels"])
        shown = max(spikes.n_samples, len(arrays["images"]))
        if shown > n or spikes.n_samples < min(n, most):
            refuse("labels", f"of {shown} images", n)
        if classes is not None and not np.isin(arrays["labels"], classes).all():
            refuse("labels", "CLASSES of the parameters", np.setdiff1d(arrays["labels"], classes).tolist())
        if digest(spikes.offsets, spikes.neurons) != str(arrays["content"]):
            refuse("content", "the digest of the spikes", repr(str(arrays["content"])))
        if split is not None and how.get("split", split) != split:
            refuse("how.split", split, repr(how["split"]))

    return Schema({**SPIKES, "labels": Array(LABELS, ("images",)), "content": Array("str"),
                   "images": Array(PICTURES, ("shown", "picture rows", "picture columns"))},
                  {**HOW, **dict.fromkeys(("source", "arch"), optional(Value("text", lambda v: isinstance(v, str)))),
                   "bound": BOUND, "class_names": CLASS_NAMES},
                  whole)


def spikes(shape: Shape | None = None, n_steps: int | None = None, **sizes: int) -> Schema:
    """Spikes of a layer for a replica; sizes: ``steps``."""
    return Schema(SPIKES, HOW, partial(_spikes, shape=shape, n_steps=n_steps), sizes)


def _spikes(arrays: Arrays, how: Mapping[str, Any], shape: Shape | None, n_steps: int | None) -> Spikes:
    for name, wanted in (("shape", shape), ("n_steps", n_steps)):
        if wanted is not None and not np.array_equal(arrays[name], wanted):
            refuse(name, str(wanted), arrays[name].tolist())
    found = unpack_spikes(arrays)
    found.check_order()
    return found


def layer(as_one: bool | None = None, shortcuts: Sequence[tuple[int, ...]] = (), **sizes: int) -> Schema:
    """A trained layer; sizes: its `KERNELS`, ``maps``, ``out_rows``, ``out_columns``, ``neurons``.

    `as_one` tells whether all layers are trained at once, and so without a course; None takes either. `shortcuts` are
    the shapes of the kernels of its shortcuts.
    """
    further = {f"shortcut{number}": Array(FLOATS, shape, -ACCUM, ACCUM) for number, shape in enumerate(shortcuts, 1)}
    trained = TRAINED if as_one is False else {name: optional(part) for name, part in TRAINED.items()}

    def whole(arrays: Arrays, how: Mapping[str, Any]) -> None:
        missing = [name for name in TRAINED if name not in arrays]
        if 0 < len(missing) < len(TRAINED):
            raise StoreError(f"{missing[0]}: is missing")

    return Schema({**INFERENCE, **further, **({} if as_one else trained)}, {**HOW, "rule": TEXT}, whole, sizes)


def unfinished(chunks: int, windows: int, **sizes: int) -> Schema:
    """What is finished of the training of a layer, see ``layerwise.stdp.train``; sizes: ``filters``, ``inputs``."""
    def whole(arrays: Arrays, how: Mapping[str, Any]) -> None:
        done = len(arrays["wins"])
        if not done < chunks or len(arrays["thresholds"]) != done + 1:
            refuse("thresholds", f"one more than wins, at most {chunks}", f"{len(arrays['thresholds'])} and {done}")
        if (arrays["wins"].sum(axis=1) != windows // chunks).any():
            refuse("wins", f"of {windows // chunks} windows", arrays["wins"].tolist())

    return Schema({**COURSE, "thresholds": Array(FLOATS, ("chunks + 1", "filters"), -ACCUM, ACCUM),
                   "learned": Array(FLOATS, ("inputs", "filters"), -ACCUM, ACCUM)}, HOW, whole, sizes)


def features(**sizes: int) -> Schema:
    """Spike counts of a replica for the classifier; sizes: ``images``, ``features``."""
    return Schema({"counts": Array("uint16", ("images", "features"))}, HOW, None, sizes)


def answers(**sizes: int) -> Schema:
    """What output units answer to a replica; sizes: ``images``, ``window``, ``units``, ``populations``."""
    def whole(arrays: Arrays, how: Mapping[str, Any]) -> None:
        if arrays["units"].max(initial=0) >= arrays["output"].shape[1]:
            refuse("units", f"below {arrays['output'].shape[1]}", int(arrays["units"].max()))

    return Schema({"units": Array("uint16", ("images", "window")), "output": Array(FLOATS, ("images", "units")),
                   "spikes": Array("uint32", ("images", "populations"))}, HOW, whole, sizes)


def head(**sizes: int) -> Schema:
    """The classifier as a population, see ``model.head``; sizes: ``channels``, ``rows``, ``columns``."""
    return Schema({"kernels": Array(FLOATS, ("classes", *KERNELS[1:]), -ACCUM, ACCUM),
                   "clock": Array(FLOATS, ("classes", "ticks"), -ACCUM, ACCUM), "first": Array("int64", (), 1, 1 << 31),
                   "v_thresh": Array(FLOATS, (), 0, ACCUM), "largest_input": Array(FLOATS, (), 0, ACCUM)},
                  HOW, None, sizes)


def winners(**sizes: int) -> Schema:
    """What that population answers to a replica; sizes: ``images``."""
    return Schema(dict.fromkeys(("units", "steps"), Array("int16", ("images",), -1)), HOW, None, sizes)


def classifier(classes: Sequence[int] | None = None, **sizes: int) -> Schema:
    """The classifier; sizes: ``features``."""
    def whole(arrays: Arrays, how: Mapping[str, Any]) -> None:
        found = arrays["classes"]
        known = found if classes is None else np.asarray(classes)
        if len(found) < 2 or (found[1:] <= found[:-1]).any() or not np.isin(found, known).all():
            refuse("classes", f"ascending and of {'one set' if classes is None else classes}", found.tolist())

    return Schema({"classes": Array(LABELS, ("classes",)), "coefficients": Array(FLOATS, ("classes", "features")),
                   "intercepts": Array(FLOATS, ("classes",))}, HOW, whole, sizes)


KINDS: dict[str, Callable[..., Schema]] = {"data": data, "layers": layer, "spikes": spikes, "features": features,
                                           "": classifier}


def of(name: str) -> Schema:
    """Schema of a result by its name alone, as ``layers/1``."""
    kind, _, rest = name.rpartition("/")
    return KINDS[kind](rest) if kind == "data" else KINDS[kind]()


SHARE = optional(Value("a share, 0 to 1", lambda value: value is None or is_number(value, 0, 1)))
TOLD = {"made_from": TEXT, "verdict": VERDICT}
ENTRIES = {"layer": {**TOLD, "rule": TEXT}, "svm": {**TOLD, "accuracy": SHARE},
           "split": {**TOLD, "accuracy": SHARE, "split": TEXT,
                     "classes": Value("a list of class ids", lambda v: isinstance(v, list) and all(
                         is_integer(one) for one in v)),
                     "confusion": Value("a table of counts", lambda v: isinstance(v, list) and all(
                         isinstance(row, list) and len(row) == len(v) and all(is_integer(n, 0, 1 << 48) for n in row)
                         for row in v))}}


def check_entry(name: str, entry: Mapping[str, Any]) -> None:
    """Raise a StoreError unless what ``results.json`` holds of a step is what it should be.

    Parameters
    ----------
    name : str
        ``layer n``, ``svm`` or a split; others are not looked at, nor those without a digest, which are never shown.
    entry : dict
    """
    kind = re.sub(r"^layer \d+$", "layer", name).replace("validation", "split").replace("test", "split")
    if kind not in ENTRIES or "made_from" not in entry:
        return
    check_entries(entry, ENTRIES[kind], f"{name}.")
    if kind == "split":
        n = len(entry["confusion"])
        confusion = np.array(entry["confusion"], np.int64).reshape(n, n)
        if not n == len(entry["classes"]) > 0 or entry["split"] != name:
            refuse(f"{name}.confusion", "a row for each class", f"{n} rows")
        share = float(np.trace(confusion) / max(1, confusion.sum()))
        if entry.get("accuracy") is None or abs(entry["accuracy"] - share) > 1e-12:
            refuse(f"{name}.accuracy", f"{share!r}, as its confusion says", repr(entry.get("accuracy")))
