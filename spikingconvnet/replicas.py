"""Replicas: copies of a network, each with a timeline of its own, side by side on a board, on cores or on a cluster.

The integers of a replica do not depend on where it runs, nor on how many others do. A cluster is dask.distributed's; it
runs a replica again whose worker has died.
"""

import asyncio
import logging
import re
import struct
import tempfile
import warnings
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np

from spikingconvnet import readout
from spikingconvnet.address import Address
from spikingconvnet.backends import get_backend
from spikingconvnet.errors import BackendError, SettingsError, SimulationFailed
from spikingconvnet.layers import Membrane
from spikingconvnet.network import Network
from spikingconvnet.spikes import Spikes

BATCH = 250         # samples simulated at a time
PATIENCE = 30.0     # s between two looks at a cluster that works
ANSWER = 10.0       # s in which a scheduler answers
NO_GREETING = (AttributeError, LookupError, MemoryError, TypeError, ValueError, struct.error)  # dask's, of other bytes
CLUSTER = re.compile(r"(?:(?:tcp|tls)://)?(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+):([0-9]{1,5})", re.IGNORECASE)
LOOPBACK = "127.0.0.1"      # what a cluster of our own listens on


def together(networks):
    """Networks side by side as one; the labels of the first get ``#0`` at their end, and so on."""
    populations, projections = [], []
    for i, network in enumerate(networks):
        populations += [replace(p, label=f"{p.label}#{i}") for p in network.populations]
        projections += [replace(p, label=f"{p.label}#{i}", pre=f"{p.pre}#{i}", post=f"{p.post}#{i}")
                        for p in network.projections]
    return Network(populations, projections, networks[0].timestep, networks[0].reset_every)


def respond(networks, label, backend, grid=None, **options):
    """What one population of each network answers to its whole timeline, all networks being simulated as one.

    Parameters
    ----------
    networks : list of Network
        The samples of their sources, gap included, are the timelines; equally many for all.
    label : str
        Of the population.
    backend : str
    grid : (rows, columns) or None
        Cells per map in which spikes are counted; None keeps the spikes.
    options
        For the backend's ``open``.

    Returns
    -------
    responses : list of Spikes, or of uint16 arrays (samples, features)
    recording : Recording
        The last one, for its warnings.
    """
    parts = [[] for _ in networks]
    for recording, _ in _batches(networks, backend, (), options):
        for part, suffix in zip(parts, _suffixes(networks)):
            spikes = recording.spikes[label + suffix]
            part.append(spikes if grid is None else readout.spike_counts(spikes, grid))
    join = Spikes.concatenate if grid is None else np.concatenate
    return [join(part) for part in parts], recording


def classify(networks, layer, backend, **options):
    """What the output units of each network answer to its whole timeline, all networks being simulated as one.

    Parameters
    ----------
    networks : list of Network
        As for :func:`respond`; the last population holds the output units.
    layer : layers.SpikeCount or layers.Membrane
    backend : str
    options
        For the backend's ``open``.

    Returns
    -------
    answers : list of dict
        ``units`` uint16 (samples, steps of the window), ``output`` float64 (samples, units), see ``readout``; and
        ``spikes`` uint32 (samples, populations), how many each population fired, the source first.
    recording : Recording
        The last one, for its warnings.
    """
    labels = [p.label for p in networks[0].populations]
    record = [labels[-1] + suffix for suffix in _suffixes(networks)] if layer.needs_membranes else []
    parts = [[] for _ in networks]
    for recording, samples in _batches(networks, backend, record, options):
        for part, suffix, network in zip(parts, _suffixes(networks), networks):
            source = network.populations[0].cell.spikes.samples(samples.start, samples.stop)
            part.append(_answer([source, *(recording.spikes[label + suffix] for label in labels[1:])], layer,
                                recording.membranes.get(labels[-1] + suffix, {}).get("v")))
    return [{name: np.concatenate([one[name] for one in part]) for name in part[0]} for part in parts], recording


def _answer(spikes, layer, v):
    """Of one batch; `spikes` of all populations."""
    window = layer.window(spikes[0].n_steps)
    if isinstance(layer, Membrane):
        units, output = readout.by_membrane(v, spikes[0].n_steps, window)
    else:
        units, output = readout.by_spike_count(spikes[-1], window, v)
    fired = [np.diff(s.offsets[::s.n_steps]) for s in spikes]
    return {"units": units, "output": output, "spikes": np.stack(fired, axis=1).astype(np.uint32)}


def _suffixes(networks):
    """What :func:`together` puts behind the labels of each network."""
    return [""] if len(networks) == 1 else [f"#{i}" for i in range(len(networks))]


def _batches(networks, backend, record, options):
    """Recordings of `BATCH` samples after another, and the range of these samples."""
    network = networks[0] if len(networks) == 1 else together(networks)
    source = next(p.cell.spikes for p in network.populations if p.has_given_spikes)
    with get_backend(backend).open(network, record, **options) as simulation:
        for start in range(0, source.n_samples, BATCH):
            samples = range(start, min(start + BATCH, source.n_samples))
            simulation.run(len(samples) * source.n_steps)
            yield simulation.recording(), samples


def check_cluster(address):
    """Refuse what is no address of a scheduler.

    Parameters
    ----------
    address : str
        ``local``, ``HOST:PORT``, ``tcp://HOST:PORT`` or ``tls://HOST:PORT``.

    Raises
    ------
    SettingsError
        Anything else. It is not repeated if it has a name or password, which schedulers do not ask for.
    """
    address = Address(address)
    if address.has_secret or "@" in address:
        raise SettingsError("--cluster: must be an address without a name or password, which no scheduler asks for; one"
                            " of tls://HOST:PORT asks for a certificate, see docs/security.md")
    port = CLUSTER.fullmatch(address)
    if address != "local" and not (port and 0 < int(port[1]) < 1 << 16):
        raise SettingsError(f"--cluster {address}: must be local or the address of a scheduler, as tcp://HOST:8786")


@contextmanager
def workers(n, cluster=None):
    """Where replicas run: an object with ``submit(function, *args, **kwargs)``, whose futures have ``result()``.

    Parameters
    ----------
    n : int
        Threads, or processes of a cluster on this machine. One thread is the calling one: NEST crashes if two use it.
    cluster : str or None
        Address of a dask scheduler, or ``local`` for one of its own; None takes threads.
    """
    if cluster is not None:
        check_cluster(cluster)
    elif n == 1:
        yield _Here()
        return
    if cluster is None:
        pool = ThreadPoolExecutor(n)
        try:
            yield pool
        finally:
            pool.shutdown(cancel_futures=True)
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise BackendError(f"--cluster {cluster}: {error}; install it with: pip install 'spikingconvnet[cluster]'"
                           ) from error
    with _quiet(), ExitStack() as opened:
        try:
            if cluster == "local":
                client = Client(opened.enter_context(_own_cluster(n)))
            else:
                _greet(cluster)
                client = Client(cluster, timeout=ANSWER)
            opened.enter_context(client)
        except OSError as error:
            raise SimulationFailed(f"--cluster {cluster}: {error}; start one with: dask scheduler, and dask worker on"
                                   " every machine") from error
        yield _Dask(client, cluster)


def _greet(address):
    """Raise OSError unless a scheduler greets in time; dask waits for its greeting without a limit."""
    from distributed.comm import connect
    from distributed.security import Security

    async def greeted():
        comm = await connect(address, timeout=ANSWER, **how)
        comm.abort()

    how = Security().get_connection_args("client")
    if address.lower().startswith("tls:") and how["ssl_context"] is None:
        raise OSError("no certificate is set for tls, see docs/security.md")
    try:
        asyncio.run(asyncio.wait_for(greeted(), 2 * ANSWER))
    except (TimeoutError, asyncio.TimeoutError):        # two classes before Python 3.11
        raise OSError(f"no scheduler answers there within {2 * ANSWER:g} s") from None
    except NO_GREETING:
        raise OSError("what answers there is no scheduler") from None


@contextmanager
def _own_cluster(n):
    """A cluster of `n` processes that listens to this machine alone and leaves no file.

    Its scheduler and workers serve a few numbers over HTTP even without a dashboard, and dask's own default for that is
    every interface.
    """
    from dask import config
    from distributed import LocalCluster

    with (tempfile.TemporaryDirectory(prefix="spikingconvnet-") as scratch, config.set(temporary_directory=scratch),
          LocalCluster(n_workers=n, threads_per_worker=1, host=LOOPBACK, dashboard_address=f"{LOOPBACK}:0",
                       local_directory=scratch) as cluster):
        yield cluster


@contextmanager
def _quiet():
    """Without distributed's messages, but those of a worker of this machine that had to be started again.

    What goes wrong comes back as an error of the replica that it is about.
    """
    from distributed.nanny import logger as nanny

    loggers = [logger for name, logger in logging.root.manager.loggerDict.items()
               if name.partition(".")[0] == "distributed" and isinstance(logger, logging.Logger)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    nanny.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")    # a network takes its spikes along
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)


class _Dask:
    """A client that computes every task anew: results are cached in the run directory, not in workers."""

    def __init__(self, client, address):
        self._client, self._address = client, address

    def submit(self, function, *args, **kwargs):
        """As that of an Executor; failures of the cluster come out of ``result()`` as SimulationFailed."""
        future = self._client.submit(function, *args, pure=False, **kwargs)
        return SimpleNamespace(result=partial(self._result, future))

    def _result(self, future):
        from distributed.scheduler import KilledWorker

        try:
            self._wait(future)
            return future.result()
        except (KilledWorker, CancelledError, OSError) as error:
            text = " ".join(str(error).split())
            raise SimulationFailed(f"--cluster {self._address}: {type(error).__name__}: {text}; start its scheduler or"
                                   " workers again") from error


    def _wait(self, future):
        """Until the future is done; TimeoutError if the cluster has had no worker at two looks at it.

        Tasks wait for workers for ever, and a worker that died under heavy load may not have been started again.
        """
        from distributed import wait

        workers = True
        while not future.done():
            try:
                wait(future, timeout=PATIENCE)
            except (TimeoutError, asyncio.TimeoutError):        # two classes before Python 3.11
                before, workers = workers, self._client.scheduler_info()["workers"]
                if not before and not workers:
                    raise TimeoutError(f"no worker for {PATIENCE:g} s") from None


class _Here:
    """The calling thread; a result is computed when it is asked for."""

    def submit(self, function, *args, **kwargs):
        """As that of an Executor."""
        return SimpleNamespace(result=partial(function, *args, **kwargs))
