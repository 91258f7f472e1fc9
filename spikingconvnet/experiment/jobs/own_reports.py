"""What a service gives back of sPyNNaker's own reports: the databases in which a machine tells of its runs, judged.

The results of a job hold the verdict that was given where it ran, with what each core and router counted. This is the
same from its source, for results that are lost, or that somebody doubts.
"""

import logging
import shutil
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from spikingconvnet.backends.spinnaker import provenance
from spikingconvnet.errors import BackendError
from spikingconvnet.experiment.jobs.archive import DAMAGED, MOST_BYTES, REPORTS
from spikingconvnet.health.verdict import Health, judge, merge

logger = logging.getLogger(__name__)

DATABASE = "data.sqlite3"       # path_data_database of spinnaker.cfg


def judged(results: Path) -> Health | None:
    """The verdict on all runs that `REPORTS` in a folder, or beside a file of results, tells of.

    None if it is not there or has no database; one that is cut or damaged is told, and is None as well.
    """
    path = (results if results.is_dir() else results.parent) / REPORTS
    if not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory(prefix="spikingconvnet-") as folder:
            members = [one for one in archive.infolist() if PurePosixPath(one.filename).name == DATABASE]
            if sum(one.file_size for one in members) > MOST_BYTES:
                logger.warning("warning: %s: holds more than %d bytes and is left out", path, MOST_BYTES)
                return None
            healths = [judge(_read(archive, one, Path(folder, f"{i}.sqlite3"))) for i, one in enumerate(members)]
    except (*DAMAGED, BackendError) as error:
        logger.warning("warning: %s: is cut or damaged, so the results are judged without it (%s)", path,
                       " ".join(str(error).split()))
        return None
    return merge(healths) if healths else None


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> provenance.Provenance:
    with archive.open(member) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target)
    return provenance.read(path)
