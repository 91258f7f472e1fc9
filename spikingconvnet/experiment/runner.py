"""Where the networks of an experiment run: on which machine, how many side by side, watched by whom."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from spikingconvnet.backends import get_backend
from spikingconvnet.backends.base import Backend, Record, Recording, Simulation, log_warnings
from spikingconvnet.backends.spinnaker.machine import Machine
from spikingconvnet.board import resources
from spikingconvnet.experiment.workers import workers
from spikingconvnet.health.watch import Watch
from spikingconvnet.model import build
from spikingconvnet.network.netlist import Network

logger = logging.getLogger(__name__)


class Runner:
    """Simulations of networks on one machine.

    Parameters
    ----------
    backend : str
    jobs : int or None
        Threads; None takes every core. The results do not depend on it.
    progress : callable
        ``progress(iterable, description)`` wraps long loops.
    target : str or None
        Of a backend that has several: which machine.
    cluster : str or None
        Where replicas run, see ``workers``.
    copies : int or 'auto'
        Replicas that share one run, as copies of the network on one machine; `auto` is as many as it should hold.
    force : bool
        Whether results of an invalid run on a board are stored.
    **options
        For the backend's ``open``, if there is a `target`.

    Attributes
    ----------
    through : callable
        ``through(open)`` is used in the place of the backend's ``open``; nothing is put there unless somebody asks.
    """

    through: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None

    def __init__(self, backend: str, jobs: int | None, progress: Callable[[Iterable[Any], str], Iterable[Any]],
                 target: str | Machine | None = None, cluster: str | None = None, copies: int | str = 1,
                 force: bool = False, **options: Any) -> None:
        self.backend_name, self.jobs, self.progress, self.force = backend, jobs, progress, force
        self.cluster, self.copies = cluster, copies
        self.machine = backend if target is None else "hardware" if target != "emulated" else (
            "timed" if options.get("timed") else "emulated")        # where work takes time, integers may be others
        self.options = {"target": target, **options} if target else {}

    @cached_property
    def backend(self) -> Backend:
        """The backend's module, imported when something is to be simulated."""
        return get_backend(self.backend_name)

    def watch(self, name: str) -> Watch:
        """A Watch over runs whose results are stored."""
        return Watch(name, self.force)

    def open(self, watch: Watch, network: Network, record: Record = ()) -> AbstractContextManager[Simulation]:
        """A simulation on the backend, watched."""
        opened = self.through(self.backend.open) if self.through else self.backend.open
        return watch.open(opened(network, record, jobs=self.jobs, **self.options))

    def shown(self, network: Network, name: str, record: Record = ()) -> Recording:
        """The recording of a network's whole timeline, of which nothing is stored."""
        watch = Watch(name, force=True)
        with self.open(watch, network, record) as simulation:
            simulation.run(simulation.source_steps)
            recording = simulation.recording()
        watch.settle()
        return recording

    def side_by_side(self, networks: Sequence[Network], description: str,
                     work: Callable[..., tuple[list[Any], Recording]],
                     **options: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
        """``work(networks that share a run, ...)`` for every network, replica by replica.

        Yields
        ------
        (response, verdict)
            Of each network; the verdict on its run as ``how`` of a result holds it.
        """
        jobs = self.jobs or os.cpu_count() or 1
        at_once = self.backend.REPLICAS_AT_ONCE or jobs
        given = {**options, **self.options, **({"through": self.through} if self.through else {})}
        with workers(at_once, self.cluster) as pool:
            futures = [pool.submit(work, group, backend=self.backend_name,
                                   jobs=max(1, jobs // min(at_once, len(networks))), **given)
                       for group in self.groups(networks)]
            for future in self.progress(futures, description):
                watch = self.watch(description)
                with watch.failures():
                    responses, recording = future.result()
                watch.see(recording.provenance)
                judged = watch.settle()
                yield from ((response, judged) for response in responses)
            log_warnings(recording, logger)

    def groups(self, networks: Sequence[Network]) -> list[list[Network]]:
        """Groups of networks that share one run: as many as asked for, with timelines of one length."""
        copies = self.copies_of(networks[0], len(networks))
        groups: list[list[Network]] = []
        for network in networks:
            if not groups or len(groups[-1]) == copies or _samples(groups[-1][0]) != _samples(network):
                groups.append([])
            groups[-1].append(network)
        return groups

    def copies_of(self, network: Network, wanted: int) -> int:
        """Copies of a network that share one run: those asked for; or as many as fit, at least 1, at most `wanted`."""
        if isinstance(self.copies, int):
            return self.copies
        on, found = resources.machine(self.options["target"]), resources.resources(network)
        fit = resources.replicas(found.groups, on)
        copies = max(1, min(fit, wanted))
        logger.info("copies: %d, because %s fit %s (%s cores, %s for each) and all images take %d", copies,
                    f"{fit:,}", on.name, f"{on.cores:,}", f"{found.cores:,}", wanted)
        return copies


def _samples(network: Network) -> int:
    return network.population(build.INPUT).given_spikes.n_samples
