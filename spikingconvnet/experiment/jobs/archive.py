"""The file of results that a job leaves: what is in it, how it is written, and what is refused when it is read."""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikingconvnet.backends.spinnaker.machine import LOG
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment.jobs.sent import Task
from spikingconvnet.gates.files import write_whole
from spikingconvnet.gates.schema import is_integer, is_text, parse_json
from spikingconvnet.store.arrays import UNREADABLE
from spikingconvnet.store.directory import word

FORMAT = 1
MANIFEST, RESULTS = "manifest.json", "spikingconvnet-results.zip"
REPORTS = "reports.zip"         # what a service makes of sPyNNaker's folder of reports
RELEASE = "1!7.4.1"             # of sPyNNaker, whose integers are those of ``local``
DONE, AT_WORK, FAILED = "done", "at work", "failed"
KINDS = ("layers", "features", "answers", "winners", "found")      # folders of results
KINDS_OF_TASK = ("conformance", "network", "readout")
LONGEST_LOG = 1 << 20           # bytes of sPyNNaker's messages, the last ones
MOST_BYTES = 1 << 31            # of all files of a job
DAMAGED = (*UNREADABLE, zlib.error, OSError)        # RuntimeError: also of a way of packing that zipfile does not know
SEND = "--mode bundle"


@dataclass(frozen=True)
class Archive:
    """The files of a job and what it says of them.

    Attributes
    ----------
    path : Path
    files : dict of str to bytes
    about : dict
        The manifest.
    """

    path: Path
    files: dict[str, bytes]
    about: dict[str, Any]

    @property
    def task(self) -> Task:
        """What was to be done."""
        return Task(**self.about["task"])

    def why(self) -> str:
        """Why a result is not there."""
        state, error = self.about["state"], self.about["error"]
        release = self.about["versions"].get("sPyNNaker")
        if state == FAILED:
            said = f" (messages of sPyNNaker: {LOG} in it)" if LOG in self.files else ""
            return f"the job has failed: {error}{said}"
        if state == DONE and release == RELEASE:
            return f"holds a result of other settings or damaged; make the job anew with {SEND}"
        return (f"the job was ended before it was done ({len(set(self.files) - {LOG})} files are finished); give it"
                f" more time, or fewer images with --count or --parts; {SEND} FILE.py --finished {word(self.path)},"
                " with the options of before, makes one that goes on behind what is finished")

    def unpack(self, run: Path) -> None:
        """Put its results into a run directory, beside what is there."""
        for name, data in self.files.items():
            path = run / name
            if name != LOG and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)


def read_archive(path: Path) -> Archive:
    """The results in a file, or in the folder that a service gives back.

    Raises
    ------
    StoreError
        The file is missing, cut, altered, of another version or no result of a job.
    """
    path = path / RESULTS if path.is_dir() else path
    if not path.is_file():
        raise StoreError(f"{path}: is not there; a job writes {RESULTS} where it runs, which a service gives back among"
                         " its files")
    again = "fetch it again from where the job ran"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(one.file_size for one in archive.infolist()) > MOST_BYTES:
                raise StoreError(f"{path}: holds more than {MOST_BYTES:,} bytes")
            names = archive.namelist()
            if MANIFEST not in names:
                raise StoreError(f"{path}: holds {', '.join(names[:3]) or 'nothing'}, and no {MANIFEST}: it is not the"
                                 f" {RESULTS} of a job")
            about = _checked(parse_json(archive.read(MANIFEST).decode()), path)
            files = {name: archive.read(name) for name in about["files"] if name in names}
    except DAMAGED as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{path}: is cut or damaged ({' '.join(str(error).split())}); {again}") from error
    lost = sorted(set(about["files"]) - set(files))
    if lost:
        raise StoreError(f"{path}: lacks {', '.join(lost[:3])}, which its manifest lists; {again}")
    for name, data in files.items():
        if hashlib.sha256(data).hexdigest() != about["files"][name]:
            raise StoreError(f"{path}: {name} is not what the job has written; {again}")
    return Archive(path, files, about)


def _checked(about: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """A manifest whose parts are what they have to be; otherwise a StoreError."""
    task, files, versions = about.get("task"), about.get("files"), about.get("versions")
    right = (about.get("format") == FORMAT and isinstance(task, dict)
             and task.keys() in (Task().as_dict().keys(), Task(readout=True).as_dict().keys())
             and task.get("split") in ("test", "validation") and is_integer(task.get("copies"), 1, 1000)
             and all(isinstance(task.get(kind, False), bool) for kind in KINDS_OF_TASK)
             and is_integer(task.get("first"), 0, 1 << 31)
             and all(value is None or is_integer(value, 1, 1 << 31) for key, value in task.items()
                     if key not in ("split", "first", *KINDS_OF_TASK))
             and isinstance(files, dict) and all(_is_name(name) and is_text(text) for name, text in files.items())
             and isinstance(versions, dict) and is_text(about.get("bundle")) and is_text(about.get("state"))
             and (about.get("error") is None or is_text(about["error"])))
    if not right:
        raise StoreError(f"{path}: its {MANIFEST} is of another version, or altered; collect it with the version of"
                         " this package that made the job")
    return dict(about)


def _is_name(name: str) -> bool:
    """Whether it is the name of a file that a job writes."""
    folder, _, file = name.rpartition("/")
    return name == LOG or (folder in KINDS and file.endswith(".npz")
                           and file.removesuffix(".npz").replace("-", "").isalnum())


def write_archive(run: Path, results: Path, about: dict[str, Any], state: str, error: str | None = None) -> None:
    """Write all that is there: files of results, sPyNNaker's last messages, and the manifest."""
    files = sorted(found(run, Task(**about["task"])))
    content = {path.relative_to(run).as_posix(): path.read_bytes() for path in files}
    log = run / "spinnaker" / LOG
    if log.is_file():
        content[LOG] = log.read_bytes()[-LONGEST_LOG:]
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
        archive.writestr(MANIFEST, json.dumps({**about, "state": state, "error": error, "files": sums}, indent=2))
    write_whole(results, lambda stream: stream.write(made.getvalue()))


def found(run: Path, task: Task) -> list[Path]:
    """Files in a run directory that are results of a task."""
    if task.conformance or task.network:
        return list((run / "found").glob("*.npz"))
    recordings = (run / "found").glob("*.npz")
    if task.layer is not None:
        names = task.layer, f"{task.layer}-unfinished"
        layers = (run / "layers" / f"{name}.npz" for name in names)
        return [*(path for path in layers if path.is_file()), *recordings]
    answers = (path for kind in ("features", "answers", "winners") for path in (run / kind).glob(f"{task.split}-*.npz"))
    return [*answers, *recordings]
