"""Image data sets in the IDX format (MNIST, Fashion-MNIST, KMNIST, EMNIST digits): find, verify, read, split.

Every byte is checked before it is believed. Filters are in ``filters``, spikes in ``encoding``. The format is described
on the page of Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits".
"""

import os
import re
import struct
from pathlib import Path
from typing import TypeAlias

import numpy as np

from spikingconvnet.data.download import STEMS, canonical_name, load_address
from spikingconvnet.data.idx import MAGIC, File, read_pair
from spikingconvnet.data.images import DIMENSIONS, LOAD, ImageSet
from spikingconvnet.data.iris import IRIS, iris_part
from spikingconvnet.errors import DataError, require
from spikingconvnet.gates.address import Address
from spikingconvnet.network.arrays import Pixels

Found: TypeAlias = dict[str, dict[str, list[Path]]]      # files by name of the set and kind


def load(source: str | os.PathLike[str], part: str, cache_dir: str | os.PathLike[str] | None = None) -> ImageSet:
    """One part of a data set, verified.

    Parameters
    ----------
    source : str or path
        Directory that holds the files, plain or gzip, by their canonical names (``train-images-idx3-ubyte.gz``), with
        a dot (``train-images.idx3-ubyte``) or with the name of a set in front (``emnist-digits-train-...``); or the
        http(s) address of a directory that holds the canonical ``.gz`` names; or ``"iris"``, see :func:`iris`. What is
        secret in an address (``address.Address``) is sent to its server and goes nowhere else.
    part : str
        ``"train"`` or ``"test"``.
    cache_dir : str or path, optional
        Where a download is kept, in :func:`cache_folder`, once it has passed every check, and looked for the next
        time. Not used for a directory.

    Returns
    -------
    ImageSet
        EMNIST's files hold every image transposed; sets named ``emnist-...`` are returned upright.

    Raises
    ------
    DataError
        Whatever is missing, cannot be read or is not exactly what its header declares; a set with MNIST's counts in a
        directory named ``mnist`` must be MNIST to the byte.
    SettingsError
        Another `part`.
    """
    require(part in tuple(STEMS), "load", "part", part, "'train' or 'test'")
    if source == IRIS:
        return iris_part(part)
    require(isinstance(source, (str, os.PathLike)) and os.fspath(source), "load", "source", source,
            "a directory or an http(s) address", DataError)
    if re.match("https?://", str(source), re.IGNORECASE):
        return load_address(Address(str(source)), part, cache_dir)
    return _load_directory(source, part)


def save(folder: str | os.PathLike[str], part: str, images: Pixels, labels: Pixels) -> None:
    """Write one part of a data set as the two IDX files that :func:`load` reads.

    Parameters
    ----------
    folder : str or path
        Made if it is not there.
    part : str
        ``"train"`` or ``"test"``.
    images : uint8 array (N, H, W)
        Grey values from 0, the background, to 255.
    labels : uint8 array (N,)

    Raises
    ------
    DataError
        Arrays of another type or shape, or none.
    SettingsError
        Another `part`.
    """
    require(part in tuple(STEMS), "save", "part", part, "'train' or 'test'")
    found = ImageSet(images, labels)
    require(len(found) >= 1, "save", "images", found.images.shape, "1 image or more", DataError)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for kind, array in (("images", found.images), ("labels", found.labels)):
        header = struct.pack(f">{1 + array.ndim}I", MAGIC[kind], *array.shape)
        Path(folder, canonical_name(part, kind).removesuffix(".gz")).write_bytes(header + array.tobytes())


def _load_directory(folder: str | os.PathLike[str], part: str) -> ImageSet:
    set_name, images, labels = _find(Path(folder), part)
    is_mnist = not set_name and os.path.basename(os.path.abspath(folder)).lower() == "mnist"
    image_set = read_pair(images, labels, part, is_mnist)
    if set_name.startswith("emnist-"):
        return ImageSet(np.ascontiguousarray(image_set.images.transpose(0, 2, 1)), image_set.labels)
    return image_set


def _find(folder: Path, part: str) -> tuple[str, File, File]:
    """Name of the set ("" for canonical file names) and its image and label ``File`` in `folder`."""
    found: Found = {}
    for kind in DIMENSIONS:
        for set_name, path in _matches(folder, part, kind):
            found.setdefault(set_name, {}).setdefault(kind, []).append(path)
    whole = sorted(set_name for set_name, kinds in found.items() if len(kinds) == len(DIMENSIONS))
    if not whole:
        raise _missing(folder, part, found)
    if whole[0] and len(whole) > 1:
        raise DataError(f"{folder}: one set expected, {len(whole)} found ({', '.join(whole)}); "
                        "move the files of one into a directory of their own and give that as the source")
    # A regular file goes first: some archives unpack to a folder of the same name. Then the shortest: plain, dashes.
    images, labels = (min(found[whole[0]][kind], key=lambda path: (not os.path.isfile(path), len(path.name), path.name))
                      for kind in DIMENSIONS)
    return whole[0], File(images, str(images)), File(labels, str(labels))


def _matches(folder: Path, part: str, kind: str) -> list[tuple[str, Path]]:
    """Set name and path of everything in `folder` that has the name of this part and kind."""
    stems = "|".join(STEMS[part])
    pattern = re.compile(rf"(?:(\w[\w.-]*)-)?(?:{stems})-{kind}[-.]idx{DIMENSIONS[kind]}-ubyte(?:\.gz)?")
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError) as error:
        raise _missing(folder, part, {}, f"cannot be listed ({getattr(error, 'strerror', None) or error})") from error
    return [(match[1] or "", folder / name) for name in names if (match := pattern.fullmatch(name))]


def _missing(folder: Path, part: str, found: Found, reason: str | None = None) -> DataError:
    """The error for a directory without a whole set, with every name that was looked for."""
    looked_for = ", ".join(f"{prefix}{stem}-{kind}{dot}idx{DIMENSIONS[kind]}-ubyte[.gz]" for kind in DIMENSIONS
                           for stem in STEMS[part] for prefix, dot in (("", "-"), ("", "."), ("SET-", "-")))
    present = [path.name for kinds in found.values() for paths in kinds.values() for path in paths]
    if not reason:
        kinds = re.compile(rf"(?:{'|'.join(STEMS[part])})-\w+[-.]idx\d-\w+")
        others = sorted(name for name in os.listdir(folder) if kinds.search(name) and name not in present)
        reason = f"the {part} set is not there" + (f", only {', '.join(present + others)}" if present + others else "")
    return DataError(f"{folder}: {reason}; looked for an images and a labels file among {looked_for}; "
                     f"run: {LOAD}")

