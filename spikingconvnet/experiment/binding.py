"""What parameters leave to the data set: the shape that MODEL takes, CLASSES, and how many images there are.

CLASSES that are left out are those of the data set, and so is the shape of a MODEL without one. With ``--source``,
which puts another set in the place of DATASET, shape and counts are also those of the data set, wherever the ones of
the parameters do not fit. What was found is kept with the data of the run directory, where every later command finds
it.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikingconvnet.data.events import takes_events
from spikingconvnet.data.sources_labels import Found
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment.settings import Settings
from spikingconvnet.gates.schema import printable
from spikingconvnet.network.arrays import Pair, Shape
from spikingconvnet.store.directory import RunDirectory

logger = logging.getLogger(__name__)
OTHER_SOURCE = ("shape", "counts")      # that are free with another source
SMALLEST = 0.7                  # of the side that MODEL of the parameters takes: smaller images are enlarged
LARGEST = 48                    # pixels of a side: larger images are shrunk


def with_source(settings: Settings, source: str | None) -> Settings:
    """The same experiment with another data set, to which its shape and its counts are fitted."""
    if source is None or str(source) == str(settings.dataset):
        return settings
    return replace(settings, dataset=source, free=(*settings.free, *OTHER_SOURCE))


def bound(settings: Settings, found: Found) -> Settings:
    """Settings as a data set needs them, with log lines about what is not that of the parameters.

    Raises
    ------
    SettingsError
        MODEL fits the images in no size, or has not one output unit for each class.
    DataError
        All images are of one class.
    """
    changes: dict[str, Any] = {}
    settings = with_events(settings)
    if settings.leaves("classes"):
        changes["classes"] = _classes(settings, found)
    if settings.leaves("counts"):
        changes |= _counts(settings, len(found.train), len(found.test))
    if settings.leaves("shape") and not takes_events(settings.encoder):
        changes |= _shape(settings, found.train.images.shape[1:3])
    return replace(settings, **changes)


def _classes(settings: Settings, found: Found) -> tuple[int, ...]:
    ids = np.union1d(found.train.labels, found.test.labels).tolist()
    if len(ids) < 2:
        raise DataError(f"{settings.dataset}: all {len(found.train) + len(found.test):,} images are of class {ids[0]},"
                        " so there is nothing to tell apart; give another --source")
    return tuple(ids)


def with_events(settings: Settings) -> Settings:
    """The same with the shape that ENCODER gives to events, if MODEL has none; no data set is needed for it."""
    encoder: Any = settings.encoder
    if settings.model.given_shape is None and takes_events(encoder):
        return replace(settings, model=settings.model.taking(encoder.shape))
    return settings


def _counts(settings: Settings, n_train: int, n_test: int) -> dict[str, None]:
    """Which counts are None, for all there are, as the data set has fewer."""
    asked = {"n_train": (settings.n_train, n_train - settings.n_validation), "n_test": (settings.n_test, n_test)}
    fewer = [name for name, (count, most) in asked.items() if count is not None and count > most]
    for name in fewer:
        logger.info("%s: %s of the parameters is %s, %s has %s; all are taken", settings.dataset, name.upper(),
                    f"{asked[name][0]:,}", "the data set", f"{asked[name][1]:,}")
    return dict.fromkeys(fewer)


def _shape(settings: Settings, size: Pair) -> dict[str, Any]:
    """MODEL for images of this size, and SIZE, if they are drawn in another one for it."""
    drawn, given = settings.size or size, settings.model.given_shape
    if given is not None and tuple(drawn) == given[1:]:
        return {}
    if given is not None and settings.size is None:
        drawn = _drawn(size, min(given[1:]))
    as_is, channels = tuple(drawn) == tuple(size), settings.image_filter.channels
    try:
        fitted = settings.model.taking((channels, *drawn))
    except SettingsError as error:
        raise SettingsError(f"parameters.MODEL: cannot take images of {size[0]}x{size[1]}"
                            f"{'' if as_is else f', not even drawn with {drawn[0]}x{drawn[1]}'} ({error}); write one"
                            f" that does, as Sequential(({channels}, {size[0]}, {size[1]}), Conv2D(16,"
                            f" kernel_size={min(3, *size)}), Classifier())") from None
    logger.info("%s: images of %sx%s%s; MODEL of the parameters %s", settings.dataset, *size,
                "" if as_is else f", drawn with {drawn[0]}x{drawn[1]}", _told(given, drawn))
    return {"model": fitted, "size": None if as_is else tuple(drawn)}


def _told(given: Shape | None, drawn: Pair) -> str:
    """In words, what MODEL of the parameters does with images."""
    if given is None:
        return "has no shape and takes theirs"
    return f"takes {given[1]}x{given[2]}" + ("" if tuple(drawn) == given[1:] else " and is fitted to them")


def _drawn(size: Pair, taken: int) -> Pair:
    """Size in which images are drawn for layers that were made for images of `taken` pixels a side.

    Small images are enlarged by a whole factor, so that kernels see as much of them, and large ones shrunk by one.
    """
    least, largest = min(size), max(size)
    if least < SMALLEST * taken:
        factor = math.ceil(SMALLEST * taken / least)
        return (size[0] * factor, size[1] * factor)
    factor = math.ceil(largest / LARGEST)
    return (max(1, size[0] // factor), max(1, size[1] // factor))


def kept(asked: Settings, settings: Settings, found: Found) -> dict[str, Any]:
    """How a data set was loaded, and what it has bound of settings that were `asked`, for the run directory: JSON."""
    names = {str(label): printable(name) for label, name in found.names.items()}
    return {"source": str(settings.dataset), **{name: value for name, value in (
        ("arch", settings.arch), ("bound", _bound(asked, settings)), ("span", found.span),
        ("class_names", names)) if value}}


def _bound(asked: Settings, settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if asked.leaves("classes"):
        found["classes"] = list(settings.classes)
    if asked.leaves("counts"):
        found |= {"n_train": settings.n_train, "n_test": settings.n_test, "of": [asked.n_train, asked.n_test]}
    if asked.leaves("shape"):
        found |= {"shape": list(settings.model.input_shape), "size": settings.size and list(settings.size)}
    return found


def class_names(how: Mapping[str, Any]) -> dict[int, str]:
    """Names of the classes by their ids, by how the data were loaded; empty if they are numbers."""
    return {int(label): name for label, name in how.get("class_names", {}).items()}


def span(store: RunDirectory) -> tuple[float, float] | None:
    """Black and white of the images, if they were no bytes when they were loaded."""
    found = store.how("data/train").get("span")
    return (float(found[0]), float(found[1])) if found else None


def as_kept(settings: Settings, how: Mapping[str, Any]) -> Settings:
    """Settings as they were bound when the run directory was loaded; the same, if it was of another data set.

    Parameters
    ----------
    settings : Settings
    how : dict
        Kept with the training data; empty if there are none.
    """
    settings, found = with_events(settings), how.get("bound") or {}
    if how.get("source") != str(settings.dataset):
        return settings
    changes: dict[str, Any] = {}
    if settings.leaves("classes") and "classes" in found:
        changes["classes"] = tuple(found["classes"])
    counts = [settings.n_train, settings.n_test]
    if settings.leaves("counts") and "n_train" in found and found.get("of", counts) == counts:
        changes |= {name: found[name] for name in ("n_train", "n_test")}
    if settings.leaves("shape") and "shape" in found:
        changes |= _shape_as_kept(settings, tuple(found["shape"][1:]), found["size"])
    return replace(settings, **changes)


def _shape_as_kept(settings: Settings, drawn: Pair, size: Sequence[int] | None) -> dict[str, Any]:
    """MODEL for images as they are drawn, and SIZE; nothing if another size was asked for since, or other layers."""
    if settings.size not in (None, drawn):
        return {}
    try:
        fitted = settings.model.taking((settings.image_filter.channels, *drawn))
    except SettingsError:           # maybe they fit in what is loaded next
        return {}
    return {"model": fitted, "size": tuple(size) if size else None}
