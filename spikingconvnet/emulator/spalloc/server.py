"""The server: all pages over HTTPS, on 127.0.0.1 alone."""

import asyncio
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from spikingconvnet.emulator.board import Board
from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.memory_map import SDRAM_SIZE
from spikingconvnet.emulator.spalloc import certificate, job_pages, pages
from spikingconvnet.emulator.spalloc.jobs import Jobs, Report
from spikingconvnet.emulator.spalloc.pages import EVERYBODY, ROOT, Access, Page, Service

_HERE = "127.0.0.1"
_LONGEST_FRAME = 1 << 16                            # bytes; a datagram is shorter
_OF_A_JOB: dict[str, type[Page]] = {
    "keepalive": job_pages.KeepAlive, "machine": job_pages.Machine, "chip": job_pages.Chip, "memory": job_pages.Memory,
    "router": job_pages.Router, "proxy": job_pages.Socket}
_PAGES: dict[str, type[Page]] = {
    "/system/login.html": pages.Form, "/system/perform_login": pages.Login, ROOT: pages.About,
    rf"{ROOT}machines/?": pages.Machines, rf"{ROOT}jobs/?": job_pages.AllJobs, rf"{ROOT}jobs/(\d+)/?": job_pages.OneJob,
    **{rf"{ROOT}jobs/(\d+)/{name}/?": page for name, page in _OF_A_JOB.items()}}


def application(service: Service) -> Application:
    """All pages; what goes wrong in the server itself is reported."""
    def log(handler: RequestHandler) -> None:
        if handler.get_status() >= 500:
            service.report(f"{handler.request.method} {handler.request.path}: {handler.get_status()}")

    return Application([(path, page, {"service": service}) for path, page in _PAGES.items()], log_function=log,
                       websocket_max_message_size=_LONGEST_FRAME)


async def serve(service: Service, port: int, context: ssl.SSLContext, ready: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Parameters
    ----------
    service : Service
    port : TCP port; 0: a free one
    context : the certificate (`certificate.context`)
    ready : callable(address): the server answers from now on

    Raises
    ------
    SetupError
        The port is taken.
    """
    try:
        sockets = bind_sockets(port, _HERE)
    except OSError as error:
        raise SetupError(f"--port {port}: {error.strerror}; end what listens there, or take another one") from error
    server = HTTPServer(application(service), ssl_options=context, max_body_size=SDRAM_SIZE)
    server.add_sockets(sockets)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    watch = asyncio.create_task(service.jobs.watch())
    ready(f"https://{_HERE}:{sockets[0].getsockname()[1]}/")
    await stop.wait()
    watch.cancel()
    server.stop()
    await service.jobs.close()
    await server.close_all_connections()


def run(boards: int, port: int, path: Path, report: Report, ready: Callable[[str], None],
        access: Access = EVERYBODY, longest: float | None = None, **board: Any) -> None:
    """Hand out boards until interrupted.

    Parameters
    ----------
    boards : how many at a time
    port : TCP port; 0: a free one
    path : of the certificate's file
    report : callable(text): what a person should know
    ready : callable(address): the server answers from now on
    access : who is let in
    longest : seconds that a job may have its board; None: as it likes
    **board
        Options of :class:`Board`.

    Raises
    ------
    SetupError
        The port is taken, or there is no certificate.
    """
    wrong = board.get("faults")
    dead = wrong.dead_chips if wrong else ()
    context = certificate.context(path)

    async def main() -> None:
        jobs = Jobs(lambda number: Board(pages.VERSION, boards=number, **board), boards, report, longest)
        await serve(Service(jobs, report, dead, access), port, context, ready)

    asyncio.run(main())
