"""The pages about jobs: made, looked at, kept alive and ended; the memory, routers and UDP ports of their boards.

Sources: ``spalloc_client.py`` of SpiNNMan 7.4.1. What cannot be had is an HTTPError, as in `pages`.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.web import HTTPError
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from spikingconvnet.emulator.layout import SEVERAL, Layout
from spikingconvnet.emulator.memory_map import SDRAM_SIZE, XY
from spikingconvnet.emulator.spalloc.jobs import Job, State, TooManyJobs
from spikingconvnet.emulator.spalloc.monitors import Refused, monitors
from spikingconvnet.emulator.spalloc.pages import MACHINE, TAGS, VERSION, Page
from spikingconvnet.emulator.spalloc.proxy import Proxy

_LONGEST = 30.0                                     # s for which an answer waits for a change of state
_STARTING = 20.0                                    # s for which a new job's answer waits for a board that is free
_INTERVAL = re.compile(r"PT(\d+(?:\.\d+)?)S")       # of being kept alive: ISO 8601, as the client writes it
_FILTERS = 16                                       # of a router's counters
_ROOT_CHIP, _ANY_ROOT = (0, 0), (255, 255)          # the latter before the client knows the machine (packets.ROOT)


class AllJobs(Page):
    """Jobs as a list."""

    def get(self) -> None:
        """Addresses of all jobs, without those that have ended unless they are asked for."""
        ended = self.get_query_argument("deleted", "false") == "true"
        self.finish({"jobs": [self.url(f"jobs/{job.number}") for job in self.service.jobs.all.values()
                              if ended or job.state is not State.DESTROYED]})

    async def post(self) -> None:
        """A new job. The answer waits for its board if there is one for it: its client looks at it every 5 s alone."""
        try:
            operation = json.loads(self.request.body)
            keep_alive, layout = _wanted(operation, self.service.jobs.boards)
            job = self.service.jobs.create(self.session.user, keep_alive, charged(operation), layout)
        except (ValueError, TooManyJobs) as error:
            raise HTTPError(400, reason=_one_line(error)) from error
        await asyncio.sleep(0)                      # it takes a board that is free
        if job.state is State.POWER:
            await job.changes(_STARTING)
        self.set_header("Location", self.url(f"jobs/{job.number}"))
        self.set_status(201)
        self.finish(_told(job, self.url))


def _one_line(error: Exception) -> str:
    """An error as the reason of an answer: letters of ASCII in one line."""
    return re.sub("[^ -~]+", " ", str(error))


def _wanted(operation: Any, boards: int) -> tuple[float, Layout]:
    """How long the client of a job that is asked for may be silent (s), and the job's boards.

    ValueError if no such job can be had from a server that has so many boards.
    """
    if not isinstance(operation, dict):
        raise ValueError("a job is described by an object of JSON")
    interval = _INTERVAL.fullmatch(str(operation.get("keepalive-interval", "PT120S")))
    dimensions = operation.get("dimensions", {"width": 1, "height": 1})
    if interval is None:
        raise ValueError("keepalive-interval must be a duration such as PT120S")
    if operation.get("machine-name", MACHINE) != MACHINE:
        raise ValueError(f"there is no such machine; leave out spalloc_machine, or take {MACHINE}")
    tags = operation.get("tags", ["default"])
    if not (isinstance(tags, list) and all(tag in TAGS for tag in tags)):
        raise ValueError(f"boards here have the tags {', '.join(TAGS)}")
    if "board" in operation:
        raise ValueError("boards here have no place of their own; leave out spalloc_triad, spalloc_physical and"
                         " spalloc_ip_address")
    number = operation.get("num-boards", 1)
    if number not in range(1, SEVERAL + 1) or dimensions != {"width": 1, "height": 1}:
        raise ValueError(f"jobs here have one board, or {SEVERAL}; ask for them with setup(n_boards_required=...)")
    number = 1 if number == 1 else SEVERAL
    if number > boards:
        raise ValueError(f"jobs here have one board, or {SEVERAL} of a server with as many; this one has {boards}: "
                         "ask for one with setup(n_boards_required=1)")
    return float(interval[1]), Layout(VERSION, number)


def charged(operation: dict[str, Any]) -> str:
    """Whose quota a job is to use: that of a collab, of a job of the queue, of a group; empty if nobody's is named."""
    names = {"nmpi-collab": "collab", "nmpi-job-id": "job", "group": "group"}
    return next((f"{kind} {operation[name]}" for name, kind in names.items() if operation.get(name) is not None), "")


def _told(job: Job, url: Callable[..., str]) -> dict[str, Any]:
    """What clients are told about a job."""
    own, job.told = url(f"jobs/{job.number}"), job.state
    told: dict[str, Any] = {"state": job.state.name, "owner": job.owner, "start-time": job.began,
                            "keepalive-ref": f"{own}/keepalive", "machine-ref": f"{own}/machine"}
    told |= {name: text for name, text in (("reason", job.reason), ("charged-to", job.charged)) if text}
    if job.state is State.READY:
        told["proxy-ref"] = url(f"jobs/{job.number}/proxy", "wss")
    return told


class _OfJob(Page):
    """A request about one job."""

    def prepare(self) -> None:
        """Look for the job, too."""
        super().prepare()
        found = self.service.jobs.all.get(int(self.path_args[0]))
        if found is None:
            raise HTTPError(404, reason="there is no such job")
        self.job = found

    @property
    def chips(self) -> list[XY]:
        """The chips of the job's boards."""
        return [xy for xy in self.job.layout.chips if xy not in self.service.dead]

    @property
    def hosts(self) -> dict[XY, str]:
        """Addresses of the job's boards by their Ethernet chips; refused if it has none."""
        if self.job.state is not State.READY:
            raise HTTPError(409, reason=f"job {self.job.number} is {self.job.state.name}: it has no board")
        return dict(zip(self.job.layout.ethernets, self.job.board.hosts))

    def chip(self) -> XY:
        """The chip that the request names; refused if boards have none there."""
        xy = self.number("x"), self.number("y")
        if xy not in (*self.chips, _ANY_ROOT):
            raise HTTPError(400, reason="there is no such chip")
        return xy


class OneJob(_OfJob):
    """A job."""

    async def get(self, _number: str) -> None:
        """What it has come to; with ``wait=true`` when that is not what has been told last."""
        waits = self.get_query_argument("wait", "false").lower() == "true"
        if waits and self.job.state is self.job.told is not State.DESTROYED:
            await self.job.changes(_LONGEST)
        self.finish(_told(self.job, self.url))

    def delete(self, _number: str) -> None:
        """End it."""
        self.job.end(self.get_query_argument("reason", "finished"))
        self.set_status(204)


class KeepAlive(_OfJob):
    """What says that a client is there."""

    def put(self, _number: str) -> None:
        """Take note."""
        self.job.hear()
        self.set_status(204)


class Machine(_OfJob):
    """What a job has been given."""

    def get(self, _number: str) -> None:
        """Its boards; nothing before it has one."""
        if self.job.state is not State.READY:
            self.set_status(204)
            return
        width, height = self.job.layout.dimensions
        self.finish({"machine-name": MACHINE, "width": width, "height": height,
                     "boards": [_place(self.job, xy) for xy in self.hosts], "connections": list(self.hosts.items())})


def _place(job: Job, xy: XY) -> list[int]:
    """Cabinet, frame and number of the board that a job's chip is on: each is in a place of its own."""
    return [0, job.layout.ethernets.index(job.layout.ethernet_of[xy]), job.number]


class Chip(_OfJob):
    """Where a chip is."""

    def get(self, _number: str) -> None:
        """The place of its board; nothing for a chip that is not the job's."""
        xy = self.number("x"), self.number("y")
        if self.job.state is not State.READY or xy not in self.chips:
            self.set_status(204)
            return
        self.finish({"physical-board-coordinates": _place(self.job, xy)})


class Memory(_OfJob):
    """Memory of a job's chips."""

    async def get(self, _number: str) -> None:
        """Read it."""
        size = self.number("size")
        if size > SDRAM_SIZE:
            raise HTTPError(400, reason=f"size must be 0 to {SDRAM_SIZE}")
        async with monitors(self.hosts[_ROOT_CHIP]) as board:
            data = await _asked(board.read(self.chip(), self.number("address"), size))
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(data)

    async def post(self, _number: str) -> None:
        """Write it."""
        async with monitors(self.hosts[_ROOT_CHIP]) as board:
            await _asked(board.write(self.chip(), self.number("address"), self.request.body))
        self.set_status(204)


class Router(_OfJob):
    """The routers of a job."""

    async def delete(self, _number: str) -> None:
        """Clear routes and counters, and set the filters that are named."""
        names = {str(number): number for number in range(_FILTERS)}
        filters = {names[name]: self.number(name) for name in self.request.query_arguments if name in names}
        async with monitors(self.hosts[_ROOT_CHIP]) as board:
            await _asked(board.reset_routers(self.chips, filters))
        self.set_status(204)


async def _asked(question: Awaitable[Any]) -> Any:
    """What a board answers; what it refuses is refused to the client."""
    try:
        return await question
    except Refused as refused:
        raise HTTPError(400, reason=_one_line(refused)) from refused


class Socket(_OfJob, WebSocketHandler):
    """A client's websocket to its job's board."""

    def check_origin(self, origin: str) -> bool:
        """Whether the client is no page of somewhere else: SpiNNMan names the server itself."""
        return origin.rpartition("://")[2].partition(":")[0] == self.request.host_name and self._has_token()

    def prepare(self) -> None:
        """Refuse one whose job has no board."""
        super().prepare()
        self._hosts = self.hosts

    def open(self, _number: str) -> None:
        """The client is there."""
        self._proxy = Proxy(self._hosts, self._to_client)
        self._until = asyncio.create_task(self._close_with_job())

    async def _close_with_job(self) -> None:
        await self.job.over.wait()
        self.close()

    def _to_client(self, frame: bytes) -> None:
        try:
            self.write_message(frame, binary=True)
        except WebSocketClosedError:                # it has just gone
            self._proxy.close()

    async def on_message(self, message: str | bytes) -> None:
        """A frame from the client."""
        if isinstance(message, bytes):
            await self._proxy.receive(message)

    def on_close(self) -> None:
        """The client has gone."""
        self._until.cancel()
        self._proxy.close()
