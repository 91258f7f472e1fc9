"""A job that runs one network as it is, with its spikes: of a NIR file, or of a recording."""

import hashlib
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikingconvnet import backends
from spikingconvnet.backends.base import Simulation
from spikingconvnet.compare import recorded, recorder
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment.jobs.archive import SEND, read_archive
from spikingconvnet.experiment.jobs.bundle import job_text
from spikingconvnet.experiment.jobs.sent import Task
from spikingconvnet.health.watch import Watch
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

GIVEN, FOUND = "network.npz", "found/0.npz"


def bundled(network: Network, task: Task) -> str:
    """Text of a job that runs a network, whose sources have their spikes: the same for the same network."""
    return job_text(task, lambda run: _given(network, run))


def _given(network: Network, run: Path) -> str:
    """Write a network into a folder, as the recording of one step in which nothing happened: its digest."""
    silent = {p.label: Spikes.empty(p.shape, 1, 1) for p in network.populations}
    recorded.save(run / GIVEN, Recorded(network, 1, silent))
    return hashlib.sha256((run / GIVEN).read_bytes()).hexdigest()


def record(run: Path, **options: Any) -> None:
    """Run the network that was given on a board, and keep what it did with the verdict; `options` of the backend."""
    backend: Any = backends.get_backend("spinnaker")
    watch = Watch("network")

    def opened(network: Network, record: Any = ()) -> AbstractContextManager[Simulation]:
        return watch.open(backend.open(network, record, **options))

    save(run, opened, watch.settle)


def save(run: Path, opened: Callable[..., AbstractContextManager[Simulation]],
         settle: Callable[[], dict[str, Any]]) -> None:
    """Keep what the network that was given does where ``opened(network, record)`` runs it."""
    found = recorder.run(opened, recorded.load(run / GIVEN).network, {})
    recorded.save(run / FOUND, replace(found, how={"made_on": "hardware", "board": settle()}))


def collected(network: Network, path: Path) -> tuple[Recorded, Recorded]:
    """What a job of :func:`bundled` has brought, and what the local engine makes of the same network.

    Raises
    ------
    StoreError
        The results are missing, cut, altered, of another job, or of one that was ended or has failed.
    """
    archive = read_archive(path)
    with tempfile.TemporaryDirectory(prefix="spikingconvnet-") as folder:
        if not archive.task.network or archive.about["bundle"] != _given(network, Path(folder)):
            raise StoreError(f"{path}: is of another job ({archive.task}), or the network or its spikes have changed"
                             f" since; give those of before, or make it anew with {SEND} FILE.py NETWORK")
        if FOUND not in archive.files:
            raise StoreError(f"{path}: {archive.why()}")
        archive.unpack(Path(folder))
        theirs = recorded.load(Path(folder, FOUND), f"{SEND} FILE.py NETWORK")
    return theirs, recorder.run(backends.open, network, {"made_on": "local"})
