"""Jobs: each waits for a board, or for three side by side, has it, and gives it back.

States as in ``spalloc_state.py`` of SpiNNMan 7.4.1. A board begins with its job and ends with it, so none has seen
another job's programs.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import Enum
from typing import Any

from spikingconvnet.emulator.board import Board
from spikingconvnet.emulator.errors import EmulatorError
from spikingconvnet.emulator.layout import Layout

_MOST, _KEPT = 1000, 1000                           # jobs that wait or run, jobs that have ended and are remembered
_LOOK = 1.0                                         # s between two looks whether clients have fallen silent

_ONE_BOARD = Layout()

Report = Callable[[str], None]


class State(Enum):
    """What a job has come to."""

    QUEUED, POWER, READY, DESTROYED = range(1, 5)


class TooManyJobs(Exception):
    """There is no room for another one, not even in the queue."""


class Job:
    """One client's use of a board, or of three.

    Parameters
    ----------
    number : from 1
    owner : who says so
    keep_alive : seconds that the client may be silent
    charged : whose quota it uses, as the client says; nobody counts it
    layout : of its boards
    """

    def __init__(self, number: int, owner: str, keep_alive: float, charged: str = "",
                 layout: Layout = _ONE_BOARD) -> None:
        self.number, self.owner, self.keep_alive, self.charged = number, owner, keep_alive, charged
        self.layout = layout
        self.state, self.reason, self.began = State.QUEUED, "", time.time()
        self.told: State | None = None              # what its client has heard last
        self.board: Any = None                      # Board, while it is READY
        self.over = asyncio.Event()                 # it has to end
        self._change = asyncio.Event()
        self._ready = 0.0
        self.hear()

    def hear(self) -> None:
        """Its client is there."""
        self.heard = time.monotonic()

    @property
    def is_silent(self) -> bool:
        """Whether its client has not been heard for too long."""
        return time.monotonic() - self.heard > self.keep_alive

    def has_had(self, seconds: float) -> bool:
        """Whether it has had its board for so long."""
        return self.state is State.READY and time.monotonic() - self._ready >= seconds

    def become(self, state: State) -> None:
        """Go to a state, and wake who waits for a change."""
        self.state = state
        self._ready = time.monotonic() if state is State.READY else self._ready
        self._change.set()
        self._change = asyncio.Event()

    async def changes(self, seconds: float) -> None:
        """Wait until its state changes, for so long at most."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._change.wait(), seconds)

    def end(self, reason: str) -> None:
        """Let it end."""
        if not self.over.is_set():
            self.reason = reason
            self.over.set()
            self.become(State.DESTROYED)


class Jobs:
    """All jobs of a server; made and used within one event loop.

    Parameters
    ----------
    make_board : callable(number): so many boards side by side, a context manager with `hosts`
    boards : how many there may be at a time
    report : callable(text): what a person should know
    longest : seconds that a job may have its board; None: as it likes
    """

    def __init__(self, make_board: Callable[[int], Board], boards: int, report: Report = lambda text: None,
                 longest: float | None = None) -> None:
        self._make_board, self._report, self._longest = make_board, report, longest
        self.boards, self._free = boards, asyncio.Semaphore(boards)
        self._turn = asyncio.Lock()                 # first come, first served, who wants three too
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self.all: dict[int, Job] = {}

    def create(self, owner: str, keep_alive: float, charged: str = "", layout: Layout = _ONE_BOARD) -> Job:
        """A new job, which has its boards at once or waits for them; TooManyJobs if too many do."""
        if len(self._tasks) >= _MOST:
            raise TooManyJobs(f"{_MOST} jobs wait or run")
        self._count += 1
        job = self.all[self._count] = Job(self._count, owner, keep_alive, charged, layout)
        self._start(self._live(job))
        self._forget()
        return job

    def _start(self, life: Any) -> None:
        task = asyncio.create_task(life)
        self._tasks.add(task)                       # a loop keeps none alive
        task.add_done_callback(self._tasks.discard)

    def _forget(self) -> None:
        ended = [number for number, job in self.all.items() if job.state is State.DESTROYED]
        for number in ended[:-_KEPT]:
            del self.all[number]

    @asynccontextmanager
    async def _taken(self, boards: int) -> AsyncIterator[None]:
        """So many boards, for as long as the context lasts; who comes later has none before."""
        async with self._turn:
            for _ in range(boards):
                await self._free.acquire()
        try:
            yield
        finally:
            for _ in range(boards):
                self._free.release()

    async def _live(self, job: Job) -> None:
        """What happens to a job."""
        async with self._taken(job.layout.boards):
            if job.over.is_set():                   # it has not waited for its turn
                return
            job.become(State.POWER)
            board = self._make_board(job.layout.boards)
            try:
                await asyncio.to_thread(board.__enter__)
            except (EmulatorError, OSError) as error:       # the system has no process for it
                self._report(f"job {job.number}: {error}")
                job.end(str(error))
                return
            try:
                if not job.over.is_set():
                    job.board = board
                    job.become(State.READY)
                await job.over.wait()
            finally:
                await asyncio.to_thread(board.__exit__)

    async def watch(self) -> None:
        """End jobs whose clients have fallen silent, or that have had their time, until cancelled."""
        while True:
            for job in self.all.values():
                if job.state is not State.DESTROYED and job.is_silent:
                    self._report(f"job {job.number} of {job.owner}: nothing heard for {job.keep_alive:g} s; it ends")
                    job.end(f"not kept alive for {job.keep_alive:g} s")
                elif self._longest is not None and job.has_had(self._longest):
                    self._report(f"job {job.number} of {job.owner}: has had its {self._longest:g} s; it ends")
                    job.end(f"had its board for {self._longest:g} s")
            await asyncio.sleep(_LOOK)

    async def close(self) -> None:
        """End all jobs, and wait for their boards to have ended."""
        for job in self.all.values():
            job.end("the server ends")
        if self._tasks:
            await asyncio.wait(self._tasks)
