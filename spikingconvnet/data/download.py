"""Files of a data set from a server, by http or https alone, within limits of size and time."""

import hashlib
import http.client
import logging
import os
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from spikingconvnet.data.idx import CHUNK, File, fault, read_pair
from spikingconvnet.data.images import DIMENSIONS, LOAD, ImageSet
from spikingconvnet.errors import DataError
from spikingconvnet.gates.address import SOURCE_LOGIN, Address, Login
from spikingconvnet.gates.files import write_whole
from spikingconvnet.gates.progress import OfLength, counted

log = logging.getLogger(__name__)
STEMS = {"train": ("train",), "test": ("t10k", "test")}
MAX_DOWNLOAD = 1 << 29          # bytes of one file
CLOSED = 401, 403               # statuses of HTTP: who asks is not allowed to
READ_TIMEOUT = 30.0             # seconds without a byte
DOWNLOAD_TIMEOUT = 1800.0       # seconds for one file


def cache_folder(address: str, cache_dir: str | os.PathLike[str]) -> Path:
    """Folder under `cache_dir` for the files of one http(s) address; no two addresses share one.

    >>> cache_folder("https://example.org/sets/mnist/", "cache").name
    'mnist-3e1d5895'
    """
    digest = hashlib.sha256(address.encode(errors="surrogatepass")).hexdigest()
    return Path(cache_dir) / f"{re.sub('[^a-zA-Z0-9]', '_', _last_part(address))}-{digest[:8]}"


def canonical_name(part: str, kind: str) -> str:
    """Name of the file of a part's ``images`` or ``labels`` on a server."""
    return f"{STEMS[part][0]}-{kind}-idx{DIMENSIONS[kind]}-ubyte.gz"


def _last_part(address: str) -> str:
    return urllib.parse.unquote(re.split("[?#]", address)[0].rstrip("/").rpartition("/")[2])


def load_address(address: Address, part: str, cache_dir: str | os.PathLike[str] | None) -> ImageSet:
    """One part of a data set from a server, or from what was kept of it: ImageSet.

    Raises
    ------
    DataError
        It cannot be fetched within `DOWNLOAD_TIMEOUT` and `MAX_DOWNLOAD`, cannot be kept, or fails a check of ``idx``.
    """
    names = [canonical_name(part, kind) for kind in DIMENSIONS]
    is_mnist = _last_part(address).lower() == "mnist"
    cached = None if cache_dir is None else cache_folder(address, cache_dir)
    if cached and all(os.path.isfile(cached / name) for name in names):
        try:
            images, labels = (File(cached / name, str(cached / name)) for name in names)
            return read_pair(images, labels, part, is_mnist)
        except DataError as error:
            log.warning("%s: fetched again because the kept copy is damaged: %s", address, error)
    with tempfile.TemporaryDirectory() as folder:
        images, labels = (_download(address, name, Path(folder)) for name in names)
        image_set = read_pair(images, labels, part, is_mnist)
        if cached:
            _keep((images, labels), cached)
    return image_set


def _join(address: str, name: str) -> str:
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError as error:
        raise fault(address, f"is not an address ({error})") from error
    return parts._replace(path=f"{parts.path.rstrip('/')}/{name}").geturl()


class _Redirections(urllib.request.HTTPRedirectHandler):
    """Redirections, which take a login along to the same server alone."""

    def redirect_request(self, request: urllib.request.Request, *args: Any) -> urllib.request.Request | None:
        """The request for where an answer leads to, or None; called by urllib."""
        led = super().redirect_request(request, *args)
        if led and _server(led.full_url) != _server(request.full_url):
            led.remove_header("Authorization")
        return led


def _server(address: str) -> tuple[str, ...]:
    return urllib.parse.urlsplit(address)[:2]


def _opener() -> urllib.request.OpenerDirector:
    """What asks http(s) servers and nobody else: urllib's own would also follow to ftp."""
    opener = urllib.request.OpenerDirector()
    for handler in (urllib.request.ProxyHandler, urllib.request.UnknownHandler, urllib.request.HTTPHandler,
                    urllib.request.HTTPSHandler, urllib.request.HTTPDefaultErrorHandler,
                    urllib.request.HTTPErrorProcessor, _Redirections):
        opener.add_handler(handler())
    return opener


def _download(address: Address, name: str, folder: Path) -> File:
    """A file of an address into a folder; whatever goes wrong is a DataError without secrets."""
    shown, login = _join(address, name), address.login or Login.from_environment(SOURCE_LOGIN)
    headers = {"User-Agent": "spikingconvnet"} | ({"Authorization": login.basic()} if login else {})
    address.warn(login, log)
    try:
        request = urllib.request.Request(_join(address.in_full(), name), headers=headers)
        with _opener().open(request, timeout=READ_TIMEOUT) as answer, open(folder / name, "wb") as file:
            _copy(answer, file, name)
        return File(folder / name, shown)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = _reason(error)
    raise DataError(f"{shown}: cannot be downloaded ({reason}); check the address and run: {LOAD}")   # without a cause


def _reason(error: Exception) -> str:
    """Why a download has failed, in no words of a server's and none of the address, which may hold secrets."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        hint = f", whose user's name and password may be in {SOURCE_LOGIN}_USER and {SOURCE_LOGIN}_PASSWORD"
        return f"HTTP {error.code} {http.client.responses.get(error.code, '')}".rstrip() + hint * (error.code in CLOSED)
    if isinstance(error, OSError):
        return " ".join(str(error).split()) or type(error).__name__
    return type(error).__name__


def _copy(answer: http.client.HTTPResponse, file: BinaryIO, name: str) -> None:
    """Body of an HTTP answer to `file`; OSError when it is too long, too slow or not as long as declared."""
    chunks = _chunks(answer, file, answer.length)
    for _ in counted(chunks if answer.length is None else OfLength(chunks, -(-answer.length // CHUNK)), f"get {name}"):
        pass


def _chunks(answer: http.client.HTTPResponse, file: BinaryIO, expected: int | None) -> Iterator[None]:
    """The same a part at a time; yields for each CHUNK of bytes, or less at the end."""
    received, told = 0, 0
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
        if received - told >= CHUNK or received == expected:
            told = received
            yield
    if expected is not None and received != expected:
        raise OSError(f"{expected - received} bytes are missing: {expected} announced, {received} received")


def _keep(files: Iterable[File], folder: Path) -> None:
    """Copy verified files into `folder`, each in one step, so that a reader never sees half of one."""
    try:
        for file in files:
            with open(file.path, "rb") as source:
                write_whole(folder / file.path.name, partial(shutil.copyfileobj, source))
    except OSError as error:
        raise DataError(f"{folder}: a download cannot be kept there ({error}); give another cache directory") from error
