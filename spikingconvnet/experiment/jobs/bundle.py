"""A job as one Python file: what it is given, and the part of this package that works on it.

The far side needs Python 3.11 and sPyNNaker, nothing of ours; no path and no secret of this machine goes there.
"""

import base64
import io
import json
import tempfile
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path

import spikingconvnet
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import expected
from spikingconvnet.experiment.jobs.archive import RELEASE, RESULTS, read_archive
from spikingconvnet.experiment.jobs.sent import Task, fingerprint, prepared

TASK = "task.json"
LEFT_OUT = ("cli/", "emulator/", "exchange/", "experiment/report/", "plotting/")      # what nothing there asks for
CONFIGURATION = {"spynnaker_version": RELEASE.partition("!")[2]}
WIDTH = 100                                     # letters of a line of the payload
EPOCH = (2020, 1, 1, 0, 0, 0)                   # of the files in it, so that the same job is the same bytes

JOB = '''"""A job of spikingconvnet {version} for a SpiNNaker board: {task}.

    python job.py

Needs Python 3.11 and sPyNNaker {release}, nothing else. Configuration for a service: {configuration}
The machine is the one that spynnaker.cfg in the current directory names. Writes {results} there; where
one of this job is there already it goes on behind what is finished. Read it with:

    spikingconvnet --mode collect {results}
"""

import atexit
import base64
import io
import logging
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

PAYLOAD = """
{payload}
"""


def main():
    """Do the job: 0, or what the results say went wrong."""
    if sys.version_info < (3, 11):
        print("error: this job needs Python 3.11 with sPyNNaker {release}; this is Python", sys.version.split()[0])
        return 3
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    folder = tempfile.mkdtemp(prefix="spikingconvnet-job-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)      # behind what sPyNNaker does at the very end
    with zipfile.ZipFile(io.BytesIO(base64.b85decode("".join(PAYLOAD.split())))) as payload:
        payload.extractall(folder)
    sys.path.insert(0, folder)
    from spikingconvnet.experiment.jobs import far

    return far.execute(Path(folder, "run"), Path.cwd() / "{results}")


if __name__ == "__main__":
    sys.exit(main())
'''


def bundle(experiment: Experiment, task: Task, finished: Path | None = None) -> str:
    """Text of a job: the same for the same experiment and task.

    Parameters
    ----------
    experiment : Experiment
    task : Task
    finished : Path or None
        Results of the same job, which was ended in the middle: what is in them is not done again.

    Raises
    ------
    SettingsError, StoreError
        As of ``sent.prepared``; results of another job.
    """
    def write(run: Path) -> str:
        content = fingerprint(Experiment(prepared(experiment, run, task), run), task)
        expected.write(experiment, run, run.with_name("local"), task)
        if finished is not None:
            before = read_archive(finished)
            if (before.task, before.about["bundle"]) != (task, content):
                raise StoreError(f"--finished {finished}: is of another job ({before.task}), or of an experiment that"
                                 " has changed since; give the options of before, or leave it out")
            before.unpack(run)
        return content

    return job_text(task, write)


def job_text(task: Task, write: Callable[[Path], str]) -> str:
    """Text of a job that is given what ``write(folder)`` writes; it returns a digest of that."""
    with tempfile.TemporaryDirectory(prefix="spikingconvnet-") as folder:
        run = Path(folder, "run")
        told = {"task": task.as_dict(), "bundle": write(run), "release": RELEASE}
        (run / TASK).write_text(json.dumps(told))
        payload = base64.b85encode(_packed(run)).decode()
    return JOB.format(version=spikingconvnet.__version__, task=task, release=RELEASE.partition("!")[2], results=RESULTS,
                      configuration=json.dumps(CONFIGURATION),
                      payload="\n".join(textwrap.wrap(payload, WIDTH)))


def _packed(run: Path) -> bytes:
    """Package and run directory as a zip."""
    package, made = Path(spikingconvnet.__file__).parent, io.BytesIO()
    files = {f"spikingconvnet/{path.relative_to(package).as_posix()}": path for path in package.rglob("*.py")
             if not path.relative_to(package).as_posix().startswith(LEFT_OUT)}
    files |= {f"run/{path.relative_to(run).as_posix()}": path for path in run.rglob("*") if path.is_file()}
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, path in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return made.getvalue()
