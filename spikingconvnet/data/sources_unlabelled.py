"""Images without labels, to classify, from files and folders."""

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spikingconvnet.data.idx import File, unpack
from spikingconvnet.data.pixels import as_bytes, pixel_axes
from spikingconvnet.data.sources_files import ARRAYS, TABLES, read_arrays, read_table, suffix
from spikingconvnet.data.sources_pictures import PICTURES, pictures_in, read_pictures
from spikingconvnet.errors import DataError
from spikingconvnet.network.arrays import Numbers, Pixels

log = logging.getLogger(__name__)
PathLike = str | os.PathLike[str]
IMAGE_NAMES = ("images", "x", "x_test", "data", "arr_0", "x_train")     # of the array that holds images, without labels
SMALLEST_ROW = 64               # numbers of a row that may be a square image


def read_images(paths: PathLike | Sequence[PathLike], white: float | tuple[float, float] | None = None,
                size: tuple[int, int] | None = None) -> Pixels:
    """Images without labels, from files and folders, in their order.

    Parameters
    ----------
    paths : path or list of paths
        .npy, .npz (its only array, or the one that is called as images are), PNG, JPEG and other pictures, a folder of
        pictures (by name), an IDX file of images, plain or gzip, or a table (.csv, a row an image; a column of labels
        is left out).
    white : float, (black, white) or None
        What is white, and black if that is not 0, in images that are not bytes; None looks for it in them, see
        ``pixels.found_span``.
    size : (H, W) or None
        To which pictures of another size are scaled.

    Returns
    -------
    uint8 array (N, H, W) or (N, H, W, 3)

    Raises
    ------
    DataError
        What is missing, damaged, of no known kind or of different sizes; the text names the file.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    if not given:
        raise DataError("images: no file is named; give one or more, or a folder of pictures")
    groups = _grouped([Path(path) for path in given])
    span = white if white is None or isinstance(white, tuple) else (0.0, float(white))
    found = [as_bytes(_unlabelled(group, size), str(group[0]), span) for group in groups]
    for group, images in zip(groups, found):
        if images.shape[1:] != found[0].shape[1:]:
            raise DataError(f"{group[0]}: images of {_by(images)}, but {_by(found[0])} in {groups[0][0]}; classify"
                            " images of one size and kind at a time")
    return np.concatenate(found)


def _by(images: Pixels) -> str:
    return "x".join(map(str, images.shape[1:]))


def _grouped(paths: Sequence[Path]) -> list[list[Path]]:
    """Pictures that follow each other together, folders opened, every other file by itself."""
    groups: list[list[Path]] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder; name files or a folder of images")
        pictures = pictures_in(path) if path.is_dir() else [path] if suffix(path) in PICTURES else []
        if path.is_dir() and not pictures:
            raise DataError(f"{path}: no picture is in this folder; files that end with {', '.join(PICTURES)} are read")
        if pictures and groups and suffix(groups[-1][0]) in PICTURES:
            groups[-1] += pictures
        else:
            groups.append(pictures or [path])
    return groups


def _unlabelled(group: Sequence[Path], size: tuple[int, int] | None) -> Numbers:
    """The images of some pictures or of one other file: array (N, H, W) or (N, H, W, 3)."""
    path, kind = group[0], suffix(group[0])
    if kind in PICTURES:
        return read_pictures(group, size)
    if kind in ARRAYS:
        return pixel_axes(_one_or_more(_images_of(read_arrays(path), path), path), str(path))
    if kind in TABLES:
        return pixel_axes(read_table(path, None)[0], str(path))
    content, shape = unpack(File(path, str(path)), "images")
    return np.frombuffer(content, np.uint8, offset=16).reshape(shape)


def _images_of(arrays: dict[str, Numbers], path: Path) -> Numbers:
    """The one array that holds images."""
    named = {name.lower(): array for name, array in arrays.items()}
    found = [named[name] for name in IMAGE_NAMES if name in named]
    if not found and len(arrays) != 1:
        raise DataError(f"{path}: holds {', '.join(arrays) or 'no array'}; name the array of the images"
                        f" {IMAGE_NAMES[0]!r}")
    return found[0] if found else next(iter(arrays.values()))


def _one_or_more(array: Numbers, path: Path) -> Numbers:
    """A single image as the first of a set: of 2 axes that are no rows of square images, or 3 that end with colours."""
    single = array.ndim == 3 and array.shape[2] in (3, 4) and array.shape[0] > 4
    if array.ndim == 2:
        rows, columns = array.shape
        single = columns < SMALLEST_ROW or rows == columns or math.isqrt(columns) ** 2 != columns
    if single:
        log.info("%s: %s, taken for one image", path, "x".join(map(str, array.shape)))
    return array[None] if single else array
