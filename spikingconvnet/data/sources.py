"""Where images and labels come from: the one place that finds out what a source is."""

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from spikingconvnet.data import datasets
from spikingconvnet.data.events import EventSet
from spikingconvnet.data.images import LOAD, READING, ImageSet
from spikingconvnet.data.iris import IRIS
from spikingconvnet.data.pixels import as_bytes, found_span, pixel_axes
from spikingconvnet.data.sources_events import (
    EVENT_FILES,
    GESTURES,
    Sample,
    are_events,
    as_events,
    gestures,
    is_events,
    of_arrays,
    read_events,
    together,
)
from spikingconvnet.data.sources_files import ARRAYS, TABLES, read_arrays, read_table, suffix
from spikingconvnet.data.sources_labels import Found, class_ids
from spikingconvnet.data.sources_named import NAMED, fetched
from spikingconvnet.data.sources_pictures import PICTURES, pictures_in, read_pictures
from spikingconvnet.data.sources_python import event_samples, in_module, parts_of
from spikingconvnet.data.sources_sklearn import PREFIX, built_in
from spikingconvnet.data.sources_unlabelled import read_images
from spikingconvnet.errors import DataError
from spikingconvnet.gates.progress import counted
from spikingconvnet.network.arrays import Numbers, Pair

__all__ = ["load", "load_part", "read_images"]

log = logging.getLogger(__name__)
PARTS = ("train", "test")
TEST_SHARE = 5                  # of a set without a test part every fifth image of a class is tested
TRAIN_FOLDERS, TEST_FOLDERS = ("train", "training"), ("test", "testing", "val", "validation")
IMAGES = ("x", "images", "imgs", "image", "data", "arr_0")
LABELS = ("y", "labels", "label", "targets", "target", "classes", "arr_1")
Labelled = tuple[Numbers, Numbers]


def load(source: Any, seed: int = 0, cache_dir: str | os.PathLike[str] | None = None, white: float | None = None,
         size: Pair | None = None) -> Found:
    """The training and the test part of whatever a source is.

    Parameters
    ----------
    source : str, path, or an object of Python
        A folder or an http(s) address of IDX files, see ``datasets.load``; a folder with a folder of pictures for each
        class, with ``train`` and ``test`` above them or not; a .npz, a folder of .npy or of .csv; a table (.csv); a
        name of ``sources_named.NAMED``; ``sklearn:NAME``; ``FILE.py:NAME``; a torch Dataset or two, or a pair of
        arrays.
    seed : int
        Draws which images are tested, where the source does not say: every fifth of each class; told in the log.
    cache_dir : path or None
        Where what is fetched is kept.
    white : float or None
        What is white in images that are not bytes, 0 being black; None looks for it in the training images.
    size : (H, W) or None
        To which pictures of other sizes are scaled.

    Raises
    ------
    DataError
        Whatever is missing, damaged or of no known kind.

    >>> images, labels = np.arange(160, dtype=np.uint8).reshape(10, 4, 4), np.arange(10) % 2
    >>> found = load((images, labels))
    >>> len(found.train), len(found.test), sorted(found.test.labels.tolist())
    (8, 2, [0, 1])
    """
    if not isinstance(source, (str, os.PathLike)):
        return _of_object(source, "the data set", seed, white)
    name = os.fspath(source)
    if name == IRIS or re.match("https?://", name, re.IGNORECASE):
        return _parts(partial(datasets.load, source, cache_dir=cache_dir))
    if name in NAMED and not os.path.exists(name):
        return _parts(partial(fetched, name, folder=cache_dir))
    if name.startswith(PREFIX):
        return _found([built_in(name.removeprefix(PREFIX))], name, seed, white)
    if re.search(r"\.py:\w+$", name):
        return _of_object(in_module(name), name, seed, white)
    if os.path.isdir(name):
        return _of_folder(Path(name), seed, white, size)
    if suffix(name) in ARRAYS and os.path.exists(name) and are_events(arrays := read_arrays(Path(name))):
        return _of_events(of_arrays(arrays, name), name, seed, {})
    return _found(_of_file(Path(name)), name, seed, white)


def load_part(source: Any, part: str, cache_dir: str | os.PathLike[str] | None = None) -> ImageSet:
    """One part of whatever a source is, see :func:`load`: of two files of IDX only those of that part are read.

    Parameters
    ----------
    source : as for :func:`load`
    part : str
        ``"train"`` or ``"test"``.
    cache_dir : path or None

    Returns
    -------
    ImageSet

    Raises
    ------
    DataError, SettingsError
        As of :func:`load`, and another `part`.
    """
    is_text = isinstance(source, (str, os.PathLike))
    if part not in PARTS or (is_text and (not os.path.exists(source) or os.path.isdir(source)) and not _other(source)):
        return datasets.load(source, part, cache_dir)
    found = load(source, 0, cache_dir)
    return found.train if part == "train" else found.test


def _parts(read: Callable[..., ImageSet]) -> Found:
    train, test = (read(part=part) for part in PARTS)
    return Found(train, test)


def _other(source: str | os.PathLike[str]) -> bool:
    """Whether a text is neither a folder of IDX files nor an address."""
    name = os.fspath(source)
    is_named = name in NAMED or name.startswith(PREFIX) or bool(re.search(r"\.py:\w+$", name))
    return is_named if not os.path.isdir(name) else _kind(Path(name)) != "idx"


def _found(parts: Sequence[Labelled], name: str, seed: int, white: float | None) -> Found:
    """A Found of one part, of which a test part is taken, or of two; images and labels of each as they were read."""
    shaped = [pixel_axes(np.asarray(images), f"{name}, {part} images") for (images, _), part in zip(parts, PARTS)]
    ids, names = class_ids([labels for _, labels in parts], name)
    for images, own in zip(shaped, ids):
        _check_counts(images, len(own), name)
    if len({images.shape[1:] for images in shaped}) > 1:
        raise DataError(f"{name}: training images of {_by(shaped[0])}, but test images of {_by(shaped[1])}")
    span = None if shaped[0].dtype == np.uint8 else (0.0, float(white)) if white else found_span(shaped[0], name)
    sets = [ImageSet(np.ascontiguousarray(as_bytes(images, name, span)), own) for images, own in zip(shaped, ids)]
    train, test = sets if len(sets) == 2 else _stratified(sets[0], name, seed)
    return Found(train, test, names, span)


def _by(images: Numbers) -> str:
    return "x".join(map(str, images.shape[1:]))


def _check_counts(images: Numbers, n_labels: int, name: str) -> None:
    if len(images) != n_labels:
        turned = n_labels in images.shape[1:]
        raise DataError(f"{name}: {len(images):,} images, but {n_labels:,} labels"
                        + (f"; the axes are {'x'.join(map(str, images.shape))}: the first has to count the images, as"
                           f" np.moveaxis(images, {images.shape.index(n_labels)}, 0) makes it" if turned
                           else "; each image needs one"))


def _stratified(whole: ImageSet, name: str, seed: int) -> tuple[ImageSet, ImageSet]:
    """Training and test part of a set: every fifth image of each class, drawn, is tested."""
    rng, tested = np.random.default_rng([seed, 2]), np.zeros(len(whole), bool)
    for label in np.unique(whole.labels):
        members = rng.permutation(np.flatnonzero(whole.labels == label))
        tested[members[:(len(members) + 1) // TEST_SHARE or len(members) // 2]] = True
    if not tested.any():
        raise DataError(f"{name}: {len(whole)} images, not two of any class, so there is none to test with; give more")
    log.info("%s: has no test part; %s of %s images, a fifth of each class drawn by seed %s, are tested", name,
             f"{tested.sum():,}", f"{len(whole):,}", seed)
    return whole.select(np.flatnonzero(~tested)), whole.select(np.flatnonzero(tested))


def _kind(folder: Path) -> str:
    """What a folder holds: ``pictures`` or ``events`` by class, ``gestures``, ``tables``, ``arrays`` or ``idx``."""
    try:
        names = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return "idx"            # which says why it cannot be listed
    suffixes = {suffix(entry) for entry in names if entry.is_file()}
    if any("-ubyte" in entry.name for entry in names):
        return "idx"
    if GESTURES[0] in {entry.name for entry in names}:
        return "gestures"
    if any(entry.is_dir() for entry in names):
        return "pictures" if _first_file(folder) in PICTURES else "events"
    return "arrays" if suffixes & set(ARRAYS) else "tables" if suffixes & set(TABLES) else "idx"


def _of_folder(folder: Path, seed: int, white: float | None, size: Pair | None) -> Found:
    kind = _kind(folder)
    if kind == "pictures":
        return _found(_of_classes(folder, size), str(folder), seed, white)
    if kind in ("events", "gestures"):
        samples = gestures(folder) if kind == "gestures" else [
            [(read_events(path), np.array(label)) for label, path in counted(_in_turn(part), READING)]
            for part in _classes_of(folder, lambda one: sorted(filter(is_events, one.iterdir())))]
        return _event_parts(samples, str(folder), seed)
    if kind == "idx":
        return _parts(partial(datasets.load, folder))
    return _found(_of_files(folder, kind), str(folder), seed, white)


def _of_files(folder: Path, kind: str) -> list[Labelled]:
    """A folder of .npy or .npz, whose names say what they hold, or of a table for each part."""
    files = sorted(path for path in folder.iterdir() if suffix(path) in (ARRAYS if kind == "arrays" else TABLES))
    if len(files) == 1:
        return _of_file(files[0])
    if kind == "arrays":
        arrays = {path.stem if name == "arr_0" else name: array for path in files
                  for name, array in read_arrays(path).items()}
        return labelled(arrays, str(folder))
    named = {path.stem.lower(): path for path in files}
    parts = [next((named[key] for key in named if word in key), None) for word in PARTS]
    if None in parts:
        raise DataError(f"{folder}: holds {', '.join(path.name for path in files)}; name the tables train and test, or"
                        " give one of them as the source")
    return [_table(path) for path in parts if path]


def _of_file(path: Path) -> list[Labelled]:
    kind = suffix(path)
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file, folder or data set; sets that have a name are"
                        f" {', '.join(NAMED)}, {PREFIX}digits; run: {LOAD}")
    if kind in ARRAYS:
        return labelled(read_arrays(path), str(path))
    if kind in TABLES:
        return [_table(path)]
    raise DataError(f"{path}: is no source of labelled images; give a folder of IDX files or with a folder of pictures"
                    " for each class, a .npz, a .csv, or FILE.py:NAME")


def _table(path: Path) -> Labelled:
    numbers, labels = read_table(path)
    return numbers, np.zeros(0) if labels is None else labels


def labelled(arrays: Mapping[str, Numbers], name: str) -> list[Labelled]:
    """Images and labels among named arrays: of a training and a test part, or of one part.

    Known are ``x_train``, ``train_images``, ``images_train`` and the like in small and large letters, and without a
    part ``images``, ``x``, ``data`` with ``labels``, ``y``, ``target``.

    Raises
    ------
    DataError
        Names that say too little.
    """
    known = {key.lower().replace("-", "_"): array for key, array in arrays.items()}
    pick = partial(_picked, known)
    train, test = ((pick(IMAGES, part), pick(LABELS, part)) for part in PARTS)
    one = pick(IMAGES, ""), pick(LABELS, "")
    found = [(images, labels) for images, labels in ((train, test) if train[0] is not None else (one,))
             if images is not None and labels is not None]
    if not found:
        raise DataError(f"{name}: holds {', '.join(arrays) or 'no array'}; name the arrays x_train, y_train, x_test and"
                        " y_test, or images and labels")
    return found


def _picked(known: Mapping[str, Numbers], words: Sequence[str], part: str) -> Numbers | None:
    """The first array that has one of the names for a part."""
    names = [name for word in words for name in ((f"{word}_{part}", f"{part}_{word}", f"{word}{part}", f"{part}{word}")
                                                 if part else (word,))]
    return next((known[name] for name in names if name in known), None)


def _of_classes(folder: Path, size: Pair | None) -> list[Labelled]:
    """Images of folders whose names are the classes, in a training and a test folder or in none."""
    kinds = _classes_of(folder, pictures_in)
    turns = [_in_turn(kind) for kind in kinds]
    paths = [[path for _, path in part] for part in turns]
    labels = [np.array([label for label, _ in part]) for part in turns]
    ends = np.cumsum([len(part) for part in paths])[:-1]
    images = np.split(read_pictures([path for part in paths for path in part], size), ends)
    return list(zip(images, labels))


def _in_turn(kind: Mapping[str, Sequence[Path]]) -> list[tuple[str, Path]]:
    """Classes and files, the first of every class first: what is measured on the first samples sees all classes."""
    ranked = [(rank, label, path) for label, files in kind.items() for rank, path in enumerate(files)]
    return [(label, path) for _, label, path in sorted(ranked, key=lambda one: one[0])]


def _classes_of(folder: Path, files_in: Callable[[Path], list[Path]]) -> list[dict[str, list[Path]]]:
    """Files by class, of a training and a test part or of one."""
    below = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    parts = [next((below[word] for word in words if word in below), None) for words in (TRAIN_FOLDERS, TEST_FOLDERS)]
    folders = [part for part in parts if part] if parts[0] else [folder]
    kinds = [{path.name: files_in(path) for path in sorted(one.iterdir())
              if path.is_dir() and not path.name.startswith(".")} for one in folders]
    if not all(any(kind.values()) for kind in kinds):
        raise DataError(f"{folder}: no image and no event is in the folders {', '.join(sorted(below))}; each class has"
                        f" a folder of its own, with files that end with {', '.join(PICTURES)}, or of events")
    for one, kind in zip(folders, kinds):
        for label in (label for label, files in kind.items() if not files):
            log.warning("warning: %s: nothing is in it that can be read", one / label)
    return kinds


def _of_object(made: Any, name: str, seed: int, white: float | None) -> Found:
    """Of a data set of Python, whose items are images, or structured arrays of events as tonic's are."""
    if (samples := event_samples(made)) is not None:
        return _event_parts([[(as_events(_fields(events), name), label) for events, label in part] for part in samples],
                            name, seed)
    return _found(parts_of(made, name), name, seed, white)


def _fields(events: Numbers) -> dict[str, Numbers]:
    return {field: events[field] for field in events.dtype.names or ()}


def _first_file(folder: Path) -> str:
    """How the first file below a folder ends that could be one of a class."""
    known = (*PICTURES, *EVENT_FILES, *ARRAYS, *TABLES)
    return next((suffix(path) for path in sorted(folder.rglob("*")) if path.is_file() and suffix(path) in known),
                PICTURES[0])


def _event_parts(parts: Sequence[Sequence[Sample]], name: str, seed: int) -> Found:
    """Event sets of samples: labels of both parts are looked at together, so that they mean the same classes."""
    whole, names = together([sample for part in parts for sample in part], name)
    first = np.arange(len(whole)) < len(parts[0])
    sets = [whole.select(np.flatnonzero(chosen)) for chosen in ((first, ~first) if len(parts) == 2 else (first,))]
    return _of_events(sets, name, seed, names)


def _of_events(sets: Sequence[EventSet], name: str, seed: int, names: Mapping[int, str]) -> Found:
    train, test = sets if len(sets) == 2 else _stratified(sets[0], name, seed)
    return Found(train, test, names, (0, 255))
