"""Data sets by their names, fetched on request with pooch, which compares checksums and shows how far it is."""

import logging
import os
import tempfile
from pathlib import Path

from spikingconvnet.data import datasets
from spikingconvnet.data.images import ImageSet
from spikingconvnet.errors import DataError

log = logging.getLogger(__name__)
IDX = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz",
       "t10k-labels-idx1-ubyte.gz")
# Addresses and md5 of the packed files as torchvision has them (torchvision/datasets/mnist.py).
FILES = {
    "mnist": ("https://ossci-datasets.s3.amazonaws.com/mnist/",
              ("f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
               "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c")),
    "fashion-mnist": ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
                      ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
                       "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310")),
    "kmnist": ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
               ("bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
                "5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134"))}
EMNIST = "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e"
EMNIST_SETS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
NAMED = (*FILES, *(f"emnist-{name}" for name in EMNIST_SETS))


def fetched(name: str, part: str, folder: str | os.PathLike[str] | None) -> ImageSet:
    """One part of a set of `NAMED`: from `folder`, where it is kept, or from its server first.

    Parameters
    ----------
    name : str
    part : str
        ``"train"`` or ``"test"``.
    folder : path or None
        None keeps nothing.

    Raises
    ------
    DataError
        It cannot be fetched, or is not what its checksum says.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as passing:
            return fetched(name, part, passing)
    kept = Path(folder) / name
    if name in FILES:
        address, sums = FILES[name]
        for file, md5 in zip(IDX, sums):
            _fetch(address + file, md5, kept)
    else:
        _fetch_emnist(name, kept)
    return datasets.load(kept, part)


def _fetch_emnist(name: str, kept: Path) -> None:
    """The four files of one of EMNIST's sets, from the archive of all."""
    from pooch import Unzip

    files = [f"{name}-{part}-{kind}-ubyte.gz" for part in ("train", "test") for kind in ("images-idx3", "labels-idx1")]
    if not all((kept / file).is_file() for file in files):
        address, md5 = EMNIST
        unpacked = _fetch(address, md5, kept.parent / "emnist", Unzip(members=[f"gzip/{file}" for file in files]))
        kept.mkdir(parents=True, exist_ok=True)
        for file in unpacked:
            os.replace(file, kept / Path(file).name)


def _fetch(address: str, md5: str, folder: Path, processor: object = None) -> list[str]:
    """A file of that checksum in a folder, fetched if it is not there: paths of what it holds."""
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    name = address.rpartition("/")[2]
    if not (folder / name).is_file():
        log.info("fetching %s", address)
    try:
        found = pooch.retrieve(address, f"md5:{md5}", fname=name, path=folder, processor=processor,
                               downloader=pooch.HTTPDownloader(progressbar=os.isatty(2), timeout=30))
    except (OSError, ValueError) as error:      # requests' errors are OSErrors; ValueError: another checksum
        text = " ".join(str(error).split())
        raise DataError(f"{address}: cannot be fetched ({text[:300]}); try again later, or get the files elsewhere and"
                        " give their folder as --source") from error
    return [found] if isinstance(found, str) else list(found)
