"""Image data sets in the IDX format (MNIST, Fashion-MNIST, KMNIST, EMNIST digits): find, verify, read, split.

Every byte is checked before it is believed: the strict check here comes first, then python-mnist reads the same bytes
from memory, and the two must agree. Filters are in ``preprocessing``, spikes in ``encoding``. The format is described
on the page of Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits".
"""

import gzip
import hashlib
import http.client
import io
import logging
import math
import operator
import os
import re
import shutil
import struct
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
import zlib
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikingconvnet.address import SOURCE_LOGIN, Address, Login
from spikingconvnet.errors import DataError, SettingsError, require
from spikingconvnet.files import write_whole

with warnings.catch_warnings():
    # python-mnist compares with ``is 'lists'``: right, but a SyntaxWarning wherever its bytecode is not yet cached.
    warnings.simplefilter("ignore", SyntaxWarning)
    from mnist import MNIST

log = logging.getLogger(__name__)

STEMS = {"train": ("train",), "test": ("t10k", "test")}
DIMENSIONS = {"images": 3, "labels": 1}
MAGIC = {"images": 2051, "labels": 2049}
TYPES = {0x08: "unsigned bytes", 0x09: "signed bytes", 0x0B: "16-bit integers", 0x0C: "32-bit integers",
         0x0D: "32-bit floats", 0x0E: "64-bit floats"}      # third byte of an IDX file; the fourth counts its axes
MAX_AXES = 8                    # that an error tells the shape of
DIM = 128                       # a brightest grey value below this one is not taken for white of 255 without a word
MAX_SIDE = 4096                 # pixels
MAX_UNPACKED = 1 << 31          # bytes of one file
MAX_DOWNLOAD = 1 << 29          # bytes of one file
CLOSED = 401, 403               # statuses of HTTP: who asks is not allowed to
READ_TIMEOUT = 30.0             # seconds without a byte
DOWNLOAD_TIMEOUT = 1800.0       # seconds for one file
CHUNK = 1 << 20                 # bytes
PIECE = 1 << 19                 # pixels that python-mnist holds as lists at a time, 8 bytes each
IRIS = "iris"                   # a data set that comes with scikit-learn
IRIS_TEST = 5                   # every fifth flower of a species is in its test part
LOAD = "main.py --mode loaddata --source DIR_OR_URL"
AGAIN = f"get the file again, or run: {LOAD}"
MADE = {"images": "uint8 (N, rows, columns), from 0, the background, to 255, the mean of colours,",
        "labels": "uint8 (N,), the class of each image,"}

MNIST_SHAPE = {"train": (60000, 28, 28), "test": (10000, 28, 28)}
MNIST_MD5 = {  # of the unpacked files
    ("train", "images"): "6bbc9ace898e44ae57da46a324031adb",
    ("train", "labels"): "a25bea736e30d166cdddb491f175f624",
    ("test", "images"): "2646ac647ad5339dbf082846283269ea",
    ("test", "labels"): "27ae3e4e09519cfbb04c329615203637",
}


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images and their classes, in file order.

    Attributes
    ----------
    images : uint8 array (N, H, W)
        Grey values, 0 is the background; N may be 0.
    labels : uint8 array (N,)
        Class ids as they stand in the file.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        for name, n_axes in DIMENSIONS.items():
            _require_array("ImageSet", name, getattr(self, name), np.uint8, n_axes, DataError)
        require(min(self.images.shape[1:]) >= 1, "ImageSet", "images", self.images.shape, "1 pixel or more", DataError)
        require(len(self.images) == len(self.labels), "ImageSet", "labels", len(self.labels),
                f"as many as the images, {len(self.images)}", DataError)

    def __len__(self):
        return len(self.labels)

    def __eq__(self, other):
        return (isinstance(other, ImageSet) and np.array_equal(self.images, other.images)
                and np.array_equal(self.labels, other.labels))

    def select(self, indices):
        """Copy of the images at `indices` (integers, 0 to N - 1, in any order, repeats allowed) as a set of their own.

        Raises
        ------
        SettingsError
            An index outside the set, or something that is not a list of integers (a mask, say).
        """
        indices = _integers("ImageSet.select", "indices", indices)
        outside = indices[(indices < 0) | (indices >= len(self))]
        require(not len(outside), "ImageSet.select", "indices", outside[:3].tolist(), f"0 to {len(self) - 1}")
        return ImageSet(self.images[indices], self.labels[indices])


@dataclass(frozen=True, eq=False)
class Split:
    """Which images train, validate and test; validation images come from the training file but never train.

    Attributes
    ----------
    train, validation : int64 array
        Indices into the training file.
    test : int64 array
        Indices into the test file.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray

    def __post_init__(self):
        for name in (field.name for field in fields(self)):
            array = getattr(self, name)
            _require_array("Split", name, array, np.int64, 1, SettingsError)
            require(not len(array) or array.min() >= 0, "Split", name, "a negative index", "0 or more")
            require(len(np.unique(array)) == len(array), "Split", name, "an index twice", "without repeats")
        shared = np.intersect1d(self.train, self.validation)
        require(not len(shared), "Split", "train, validation", f"{len(shared)} shared images", "without overlap")

    def __eq__(self, other):
        return isinstance(other, Split) and all(
            np.array_equal(getattr(self, field.name), getattr(other, field.name)) for field in fields(self))


def load(source, part, cache_dir=None):
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
        EMNIST's files hold every image transposed; sets named ``emnist-...`` are returned upright, as by python-mnist.

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
        return _iris_part(part)
    require(isinstance(source, (str, os.PathLike)) and os.fspath(source), "load", "source", source,
            "a directory or an http(s) address", DataError)
    if re.match("https?://", str(source), re.IGNORECASE):
        return _load_address(Address(source), part, cache_dir)
    return _load_directory(source, part)


def save(folder, part, images, labels):
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
        Path(folder, _canonical_name(part, kind).removesuffix(".gz")).write_bytes(header + array.tobytes())


def iris():
    """Anderson's irises (Fisher 1936), as scikit-learn holds them: 50 flowers of each of three species.

    Returns
    -------
    ImageSet
        150 "images" (1, 4): length and width of sepal and petal in mm, as they were measured; labels 0 setosa,
        1 versicolor, 2 virginica.
    """
    from sklearn.datasets import load_iris

    centimetres, species = load_iris(return_X_y=True)
    return ImageSet(np.rint(10.0 * centimetres).astype(np.uint8)[:, None], species.astype(np.uint8))


def _iris_part(part):
    """120 flowers to train with, in mixed order, or 30 to test; one split of 30 is worth little, see --cv."""
    flowers = iris()
    tested = np.arange(len(flowers)) % IRIS_TEST == IRIS_TEST - 1
    chosen = np.flatnonzero(tested == (part == "test"))
    return flowers.select(chosen.reshape(3, -1).T.ravel())


def cache_folder(address, cache_dir):
    """Folder under `cache_dir` for the files of one http(s) address; no two addresses share one.

    >>> cache_folder("https://example.org/sets/mnist/", "cache").name
    'mnist-3e1d5895'
    """
    digest = hashlib.sha256(address.encode(errors="surrogatepass")).hexdigest()
    return Path(cache_dir) / f"{re.sub('[^a-zA-Z0-9]', '_', _last_part(address))}-{digest[:8]}"


def _require_array(owner, name, value, dtype, n_axes, error):
    is_array = isinstance(value, np.ndarray)
    require(is_array and value.dtype == dtype and value.ndim == n_axes, owner, name,
            (value.dtype.name, value.shape) if is_array else type(value).__name__,
            f"{np.dtype(dtype).name} array with {n_axes} axes", error)


class _File(NamedTuple):
    """A file to read: where it lies, and the name under which the user knows it."""

    path: Path
    name: str


def _fault(name, text):
    return DataError(f"{name}: {text}; {AGAIN}")


# Find


def _canonical_name(part, kind):
    return f"{STEMS[part][0]}-{kind}-idx{DIMENSIONS[kind]}-ubyte.gz"


def _load_directory(folder, part):
    set_name, images, labels = _find(Path(folder), part)
    is_mnist = not set_name and os.path.basename(os.path.abspath(folder)).lower() == "mnist"
    image_set = _read_pair(images, labels, part, is_mnist)
    if set_name.startswith("emnist-"):
        return ImageSet(np.ascontiguousarray(image_set.images.transpose(0, 2, 1)), image_set.labels)
    return image_set


def _find(folder, part):
    """Name of the set ("" for canonical file names) and its image and label ``_File`` in `folder`."""
    found = {}
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
    files = [min(found[whole[0]][kind], key=lambda path: (not os.path.isfile(path), len(path.name), path.name))
             for kind in DIMENSIONS]
    return whole[0], *(_File(path, str(path)) for path in files)


def _matches(folder, part, kind):
    """Set name and path of everything in `folder` that has the name of this part and kind."""
    stems = "|".join(STEMS[part])
    pattern = re.compile(rf"(?:(\w[\w.-]*)-)?(?:{stems})-{kind}[-.]idx{DIMENSIONS[kind]}-ubyte(?:\.gz)?")
    try:
        names = sorted(os.listdir(folder))
    except (OSError, ValueError) as error:
        raise _missing(folder, part, {}, f"cannot be listed ({getattr(error, 'strerror', None) or error})") from error
    return [(match[1] or "", folder / name) for name in names if (match := pattern.fullmatch(name))]


def _missing(folder, part, found, reason=None):
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


# Download


def _last_part(address):
    return urllib.parse.unquote(re.split("[?#]", address)[0].rstrip("/").rpartition("/")[2])


def _load_address(address, part, cache_dir):
    names = [_canonical_name(part, kind) for kind in DIMENSIONS]
    is_mnist = _last_part(address).lower() == "mnist"
    cached = None if cache_dir is None else cache_folder(address, cache_dir)
    if cached and all(os.path.isfile(cached / name) for name in names):
        try:
            return _read_pair(*(_File(cached / name, str(cached / name)) for name in names), part, is_mnist)
        except DataError as error:
            log.warning("%s: fetched again because the kept copy is damaged: %s", address, error)
    with tempfile.TemporaryDirectory() as folder:
        files = [_download(address, name, Path(folder)) for name in names]
        image_set = _read_pair(*files, part, is_mnist)
        if cached:
            _keep(files, cached)
    return image_set


def _join(address, name):
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError as error:
        raise _fault(address, f"is not an address ({error})") from error
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Redirections, which take a login along to the same server alone."""

    def redirect_request(self, request, *args):
        """The request for where an answer leads to, or None; called by urllib."""
        led = super().redirect_request(request, *args)
        if led and _server(led.full_url) != _server(request.full_url):
            led.remove_header("Authorization")
        return led


def _server(address):
    return urllib.parse.urlsplit(address)[:2]


def _opener():
    """What asks http(s) servers and nobody else: urllib's own would also follow to ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler, urllib.request.UnknownHandler, urllib.request.HTTPHandler,
                    urllib.request.HTTPSHandler, urllib.request.HTTPDefaultErrorHandler,
                    urllib.request.HTTPErrorProcessor, _Redirections):
        opener.add_handler(handler())
    return opener


def _download(address, name, folder):
    shown, login = _join(address, name), address.login or Login.from_environment(SOURCE_LOGIN)
    headers = {"User-Agent": "spikingconvnet"} | ({"Authorization": login.basic()} if login else {})
    address.warn(login, log)
    try:
        request = urllib.request.Request(_join(address.in_full(), name), headers=headers)
        with _opener().open(request, timeout=READ_TIMEOUT) as answer, open(folder / name, "wb") as file:
            _copy(answer, file)
        return _File(folder / name, shown)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = _reason(error)
    raise DataError(f"{shown}: cannot be downloaded ({reason}); check the address and run: {LOAD}")   # without a cause


def _reason(error):
    """Why a download has failed, in no words of a server's and none of the address, which may hold secrets."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        hint = f", whose user's name and password may be in {SOURCE_LOGIN}_USER and {SOURCE_LOGIN}_PASSWORD"
        return f"HTTP {error.code} {http.client.responses.get(error.code, '')}".rstrip() + hint * (error.code in CLOSED)
    if isinstance(error, OSError):
        return " ".join(str(error).split()) or type(error).__name__
    return type(error).__name__


def _copy(answer, file):
    """Body of an HTTP answer to `file`; OSError when it is too long, too slow or not as long as declared."""
    expected, received = answer.length, 0
    # A server that drips a byte now and then never runs into the socket's time limit.
    deadline = time.monotonic() + DOWNLOAD_TIMEOUT
    while received != expected:
        if max(received, expected or 0) > MAX_DOWNLOAD:
            raise OSError(f"longer than the limit of {MAX_DOWNLOAD} bytes")
        if time.monotonic() > deadline:
            raise TimeoutError(f"took longer than {DOWNLOAD_TIMEOUT:g} s")
        block = answer.read1(CHUNK if expected is None else min(CHUNK, expected - received))
        if not block:
            break
        file.write(block)
        received += len(block)
    if expected is not None and received != expected:
        raise OSError(f"{expected - received} bytes are missing: {expected} announced, {received} received")


def _keep(files, folder):
    """Copy verified files into `folder`, each in one step, so that a reader never sees half of one."""
    try:
        for file in files:
            with open(file.path, "rb") as source:
                write_whole(folder / file.path.name, partial(shutil.copyfileobj, source))
    except OSError as error:
        raise DataError(f"{folder}: a download cannot be kept there ({error}); give another cache directory") from error


# Verify and read


def _read_pair(images_file, labels_file, part, is_mnist):
    """ImageSet of two files; with `is_mnist`, a pair of MNIST's shape must have MNIST's checksums."""
    labels, label_shape = _unpack(labels_file, "labels")
    images, shape = _unpack(images_file, "images")
    if shape[0] != label_shape[0]:
        raise _fault(labels_file.name, f"{shape[0]} labels expected, one for each image in {images_file.name}, "
                     f"{label_shape[0]} found")
    if is_mnist and shape == MNIST_SHAPE[part]:
        for kind, file, content in (("images", images_file, images), ("labels", labels_file, labels)):
            _check_md5(file.name, content, MNIST_MD5[part, kind])
    parsed = _parse(images, labels, shape)
    for kind, file, content in (("images", images_file, images), ("labels", labels_file, labels)):
        own = np.frombuffer(content, np.uint8, offset=4 + 4 * DIMENSIONS[kind])
        if not np.array_equal(getattr(parsed, kind).ravel(), own):
            raise _fault(file.name, "python-mnist read other values than the file holds")
    return parsed


def _unpack(file, kind):
    """Whole content of an IDX file, header included, and the shape that the header declares.

    Not more than the declared size and one byte is asked for, so a gzip bomb costs one buffer. Whether the file is
    gzip is seen from its content: an IDX file starts with two zeros.
    """
    if not os.path.isfile(file.path):
        raise _fault(file.name, "a regular file expected, something else found")
    content = bytearray()
    try:
        with open(file.path, "rb") as raw:
            packed = raw.peek(2)[:2] == b"\x1f\x8b"
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            _extend(content, stream, 4)
            _extend(content, stream, 4 + 4 * max(DIMENSIONS[kind], _other_kind(content, kind)[1]))
            shape = _declared_shape(file.name, bytes(content), kind)
            expected = len(content) + math.prod(shape)
            if expected > MAX_UNPACKED:
                raise _fault(file.name, f"at most {MAX_UNPACKED} bytes allowed, {expected} declared by its header")
            if os.path.getsize(file.path) > expected + expected // 1000 + CHUNK:    # zeros behind gzip are all read
                raise _fault(file.name, f"more bytes follow after the {expected} expected by its header")
            _extend(content, stream, expected + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _fault(file.name, f"damaged gzip stream ({error})") from error
    except OSError as error:
        raise _fault(file.name, f"cannot be read ({error.strerror or error})") from error
    if len(content) < expected:
        raise _fault(file.name, f"{expected - len(content)} bytes are missing "
                     f"({expected} expected by its header, {len(content)} found)")
    if len(content) > expected:
        raise _fault(file.name, f"more bytes follow after the {expected} expected by its header")
    return content, shape


def _extend(content, stream, size):
    """Read on until `content` has `size` bytes or the stream ends; chunks, as a header may claim what is not there."""
    while len(content) < size and (block := stream.read(min(CHUNK, size - len(content)))):
        content += block


def _declared_shape(name, header, kind):
    """Shape in an IDX header (magic number, then one big-endian uint32 an axis), checked."""
    size = 4 + 4 * DIMENSIONS[kind]
    _check_kind(name, header, kind)
    if len(header) < size:
        raise _fault(name, f"{size} bytes of header expected, {len(header) or 'an empty file'} found")
    magic, count, *sides = struct.unpack(f">{size // 4}I", header[:size])
    if magic != MAGIC[kind]:
        raise _fault(name, f"not an IDX file of {kind}: magic number {MAGIC[kind]} expected, {magic} found")
    if count < 1:
        raise _fault(name, f"at least one of its {kind} expected, 0 found")
    for axis, side in zip(("rows", "columns"), sides):
        if not 1 <= side <= MAX_SIDE:
            raise _fault(name, f"1 to {MAX_SIDE} {axis} expected, {side} found")
    return count, *sides


def _other_kind(header, kind):
    """Type and number of axes of a file that is IDX, but not as its images or labels have to be; otherwise 0 and 0."""
    is_idx = len(header) >= 4 and header[0] == header[1] == 0 and header[2] in TYPES and 1 <= header[3] <= MAX_AXES
    found = (header[2], header[3]) if is_idx else (0, 0)
    return (0, 0) if found == divmod(MAGIC[kind], 256) else found


def _check_kind(name, header, kind):
    """Refuse a whole IDX file of another type or with other axes: getting it again would not help."""
    code, n_axes = _other_kind(header, kind)
    if not code or len(header) < 4 + 4 * n_axes:
        return
    shape = "x".join(map(str, struct.unpack(f">{n_axes}I", header[4:4 + 4 * n_axes])))
    raise DataError(f"{name}: an IDX file of {TYPES[code]} with {_axes(n_axes)}, {shape}; {kind} have to be {TYPES[8]}"
                    f" with {_axes(DIMENSIONS[kind])}; make them {MADE[kind]} and write them with"
                    f" spikingconvnet.datasets.save, then run: {LOAD}")


def _axes(n):
    return f"{n} {'axis' if n == 1 else 'axes'}"


def _check_md5(name, content, expected):
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != expected:
        raise _fault(name, f"altered: MNIST's md5 {expected} expected for the unpacked file, {found} found "
                     "(another set belongs in a directory that is not named mnist)")


class _MemoryReader(MNIST):
    """python-mnist over one piece of verified bytes, so that a file is read once and the same bytes are parsed."""

    def __init__(self, images, labels):
        super().__init__()
        self.content = {"images": images, "labels": labels}

    def opener(self, path_fn, *args, **kwargs):
        """The bytes instead of a file of that name; called by python-mnist."""
        return io.BytesIO(self.content[path_fn])


def _parse(images, labels, shape):
    """python-mnist's reading of the unpacked `images` and `labels` as an ImageSet.

    python-mnist makes a list of every image, 8 bytes a pixel: 60,000 images at once take 4 s and 724 MB, in pieces
    1 s and a few MB.
    """
    count, rows, columns = shape
    parsed = ImageSet(np.empty(shape, np.uint8), np.empty(count, np.uint8))
    images, labels = memoryview(images)[16:], memoryview(labels)[8:]
    step = max(1, PIECE // (rows * columns))
    for start in range(0, count, step):
        stop = min(start + step, count)
        reader = _MemoryReader(
            struct.pack(">4I", MAGIC["images"], stop - start, rows, columns)
            + images[start * rows * columns:stop * rows * columns],
            struct.pack(">2I", MAGIC["labels"], stop - start) + labels[start:stop])
        pixels, classes = reader.load("images", "labels")
        parsed.images[start:stop] = np.frombuffer(b"".join(map(bytes, pixels)), np.uint8).reshape(-1, rows, columns)
        parsed.labels[start:stop] = classes
    return parsed


# Range


def full_range(images, white, name, own_range=False):
    """Grey values that end at `white` as ones that end at 255, after a look at what range they have.

    Parameters
    ----------
    images : uint8 array (N, H, W), N at least 1
    white : int or None
        1 to 255; None takes 255, if the images look like that.
    name : str
        Of the images, for the error text.
    own_range : bool
        Whether the range is of no importance, because what sees the images looks for it by itself.

    Returns
    -------
    uint8 array (N, H, W)

    Raises
    ------
    DataError
        Pixels that are all 0, images that are all the same, values above `white`, or without a `white` none of `DIM` or
        more: binary images and those of 4 bits have nearly nothing left as shares of 255.
    """
    brightest = int(images.max())
    if not brightest:
        raise DataError(f"{name}: every pixel is 0; {AGAIN}")
    if len(images) > 1 and (images == images[0]).all():
        raise DataError(f"{name}: all {len(images):,} images are the same; {AGAIN}")
    if white is None and brightest < DIM and not own_range:
        raise DataError(f"{name}: no value is above {brightest}, where 255 is white; if {brightest} is white in them,"
                        f" write WHITE = {brightest} in the parameters, which scales them; if they are that dark,"
                        " WHITE = 255")
    if white is not None and brightest > white:
        raise DataError(f"{name}: values go up to {brightest}, above the WHITE = {white} of the parameters; raise it")
    return images if white in (None, 255) else np.rint(images * (255.0 / white)).astype(np.uint8)


def check_classes(labels, source):
    """Refuse a split that teaches nothing, and warn of classes that it cannot teach.

    Parameters
    ----------
    labels : dict of str to integer array
        Of the images of ``train``, ``validation`` and ``test``.
    source : str
        The data set, for the error text.

    Raises
    ------
    SettingsError
        No training images.
    DataError
        Training images of one class.
    """
    known = np.unique(labels["train"]).tolist()
    if not known:
        raise SettingsError("parameters.N_TRAIN: is 0, so there is nothing to learn from; raise it")
    if len(known) == 1:
        raise DataError(f"{source}: all {len(labels['train']):,} training images are of class {known[0]}, so there is"
                        " nothing to tell apart; raise N_TRAIN, set PER_CLASS = True, or give another --source")
    for name in ("validation", "test"):
        unknown = np.setdiff1d(labels[name], known).tolist()
        if unknown:
            log.warning("warning: no training image is of class %s, so the %s %s images of it cannot be recognised;"
                        " raise N_TRAIN, or set PER_CLASS = True", " or ".join(map(str, unknown)),
                        f"{np.isin(labels[name], unknown).sum():,}", name)


# Split


def split(train_labels, test_labels, classes=range(10), n_train=None, n_validation=0, n_test=None, per_class=False,
          rng=None):
    """Choose images by class and count.

    Training images are the first `n_train` of the chosen classes in file order, validation images the last
    `n_validation` of the same file, test images the first `n_test` of the test file: ``n_train=50000,
    n_validation=10000`` trains on the first 50,000 digits of MNIST and validates on the last 10,000.

    Parameters
    ----------
    train_labels, test_labels : integer array (N,)
        Classes in the two files.
    classes : iterable of int
        Class ids to keep, each once; the order has no meaning.
    n_train, n_test : int or None
        Images; None for all (those that validation leaves).
    n_validation : int
        Images.
    per_class : bool
        The three counts are meant for each class, not for all classes together.
    rng : numpy.random.Generator, optional
        Shuffles the training file's images, then the test file's, before they are counted off.

    Returns
    -------
    Split
        In file order, or in shuffled order with `rng`.

    Raises
    ------
    SettingsError
        More images asked for than there are, a class in neither file, a count below 0.

    >>> parts = split([7, 3, 7, 3, 7], [3, 7, 1], classes=[3, 7], n_train=2, n_validation=1)
    >>> parts.train.tolist(), parts.validation.tolist(), parts.test.tolist()
    ([0, 1], [4], [0, 1])
    """
    train_labels = _integers("split", "train_labels", train_labels)
    test_labels = _integers("split", "test_labels", test_labels)
    for name, count, optional in (("n_train", n_train, True), ("n_validation", n_validation, False),
                                  ("n_test", n_test, True)):
        whole = isinstance(count, (int, np.integer)) and not isinstance(count, bool) and count >= 0
        require(whole or optional and count is None, "split", name, count,
                "a whole number, 0 or more" + ", or None for all" * optional)
    classes = _known_classes(classes, np.union1d(train_labels, test_labels).tolist())
    train, validation = _count_off(train_labels, classes, n_train, n_validation, per_class, rng, "n_train")
    test, _ = _count_off(test_labels, classes, n_test, 0, per_class, rng, "n_test")
    return Split(train, validation, test)


def _integers(owner, name, values):
    array = np.asarray(values)
    require(array.ndim == 1 and (array.dtype.kind in "iu" or not array.size), owner, name,
            (array.dtype.name, array.shape), "integers with 1 axis")
    return array.astype(np.int64)


def _known_classes(classes, known):
    """`classes` as a list of int, each once and among the `known` ones."""
    try:
        wanted = [operator.index(c) for c in classes]
    except TypeError:
        raise SettingsError(f"split.classes: must be class ids, got {classes!r}") from None
    require(wanted and len(set(wanted)) == len(wanted), "split", "classes", wanted, "one class or more, each once")
    unknown = [c for c in wanted if c not in known]
    require(not unknown, "split", "classes", unknown, f"among those in the files, {known}")
    return wanted


def _count_off(labels, classes, n_first, n_last, per_class, rng, name):
    """The first `n_first` (None for all that are left) and the last `n_last` images of all classes, or of each."""
    pool = np.flatnonzero(np.isin(labels, classes))
    if rng is not None:
        pool = rng.permutation(pool)
    first, last = [], []
    for group in [[c] for c in classes] if per_class else [classes]:
        members = np.flatnonzero(np.isin(labels[pool], group))
        n_left = len(members) - n_last
        require((n_first or 0) <= n_left, "split", name + ", n_validation" * bool(n_last),
                (n_first, n_last) if n_last else n_first,
                f"at most {len(members)}{' together' * bool(n_last)}, as many as its file has of classes {group}")
        first.append(members[:n_left if n_first is None else n_first])
        last.append(members[n_left:])
    return tuple(pool[np.sort(np.concatenate(part))] for part in (first, last))
