"""Workers that replicas run on: this process, or a cluster of dask's."""

import asyncio
import logging
import re
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import Any

from spikingconvnet.errors import BackendError, SettingsError, SimulationFailed
from spikingconvnet.gates.address import Address

ENVIRONMENT = "distributed.nanny.pre-spawn-environ"        # of worker processes, in dask's configuration
PATIENCE = 30.0     # s between two looks at a cluster that works
ANSWER = 10.0       # s in which a scheduler answers
NO_GREETING = (AttributeError, LookupError, MemoryError, TypeError, ValueError, struct.error)  # dask's, of other bytes
CLUSTER = re.compile(r"(?:(?:tcp|tls)://)?(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+):([0-9]{1,5})", re.IGNORECASE)
LOOPBACK = "127.0.0.1"      # what a cluster of our own listens on


def check_cluster(address: str) -> None:
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
def workers(n: int, cluster: str | None = None) -> Iterator[Any]:
    """Where replicas run: an object with ``submit(function, *args, **kwargs)``, whose futures have ``result()``.

    Parameters
    ----------
    n : int
        Threads, or processes of a cluster on this machine. One thread is the calling one: NEST crashes if two use it.
    cluster : str or None
        Address of a dask scheduler, or ``local`` for one of its own; None takes threads.

    Raises
    ------
    BackendError
        A cluster without dask's package distributed.
    SimulationFailed
        A cluster that cannot be reached or started.
    SettingsError
        What :func:`check_cluster` refuses.
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


def _greet(address: str) -> None:
    """Raise OSError unless a scheduler greets in time; dask waits for its greeting without a limit."""
    from distributed.comm import connect
    from distributed.security import Security

    async def greeted() -> None:
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
def _own_cluster(n: int) -> Iterator[Any]:
    """A cluster of `n` processes that listens to this machine alone and leaves no file.

    Its scheduler and workers serve a few numbers over HTTP even without a dashboard, and dask's own default for that is
    every interface. What its workers would say themselves, a scheduler that has gone, say, its scheduler tells as well.
    """
    from dask import config
    from distributed import LocalCluster

    environment = {**config.get(ENVIRONMENT, {}), "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical"}
    with (tempfile.TemporaryDirectory(prefix="spikingconvnet-") as scratch,
          config.set({"temporary_directory": scratch, ENVIRONMENT: environment}),
          LocalCluster(n_workers=n, threads_per_worker=1, host=LOOPBACK, dashboard_address=f"{LOOPBACK}:0",
                       local_directory=scratch) as cluster):
        yield cluster


@contextmanager
def _quiet() -> Iterator[None]:
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

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> SimpleNamespace:
        """As that of an Executor; failures of the cluster come out of ``result()`` as SimulationFailed."""
        future = self._client.submit(function, *args, pure=False, **kwargs)
        return SimpleNamespace(result=partial(self._result, future))

    def _result(self, future: Any) -> Any:
        """What a task gives, waiting for it; what the cluster fails at is a SimulationFailed."""
        from distributed.scheduler import KilledWorker

        try:
            self._wait(future)
            return future.result()
        except (KilledWorker, CancelledError, OSError) as error:
            text = " ".join(str(error).split())
            raise SimulationFailed(f"--cluster {self._address}: {type(error).__name__}: {text}; start its scheduler or"
                                   " workers again") from error

    def _wait(self, future: Any) -> None:
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

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> SimpleNamespace:
        """As that of an Executor."""
        return SimpleNamespace(result=partial(function, *args, **kwargs))
