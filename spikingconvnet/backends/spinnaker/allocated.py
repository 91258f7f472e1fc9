"""Boards that a spalloc server hands out: on whose account a job goes, how it is kept alive, and why it has ended.

A job's channels are in one websocket. One that breaks is opened anew by the next message, and what was on its way in it
is sent again as after any datagram that was lost. Channels that only listen, for live output, stay closed.

SpiNNMan 7.4.1 (``spinnman/spalloc``) gives a job up after one request to keep it alive that fails
(``spalloc_client.py``, ``__start_keepalive``), and never logs in anew: ``_may_renew`` of ``session.py`` returns before.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

COLLAB = "SPALLOC_COLLAB"       # whose quota a job uses; SpiNNMan itself takes NMPI_JOB_ID and NMPI_USER
TRIES, PAUSE = 6, 5.0           # to keep a job alive, s between two: together half of what a server waits for
NOT_LOGGED_IN = (302, 401, 403)         # 302: to the form
ENDED: dict[str, str] = {}      # reasons by the address of a job

logger = logging.getLogger("spinnman")      # its messages go to the file of the run
own = logging.getLogger(__name__)
_jobs: "WeakKeyDictionary[Any, Any]" = WeakKeyDictionary()      # by websocket
_opening = threading.RLock()


@contextmanager
def kept() -> Iterator[None]:
    """Have SpiNNMan's jobs kept alive with patience, charged to `COLLAB`, and their end by the server remembered."""
    from spinnman.spalloc import spalloc_allocator
    from spinnman.spalloc.spalloc_allocator import SpallocJobController as Controller
    from spinnman.spalloc.spalloc_client import _ProxiedConnection as Channel
    from spinnman.spalloc.spalloc_client import _SpallocJob as Job

    with (patch.object(Job, "_SpallocJob__keepalive", keep_alive),
          patch.object(Job, "_SpallocJob__init_proxy", _noted(Job._SpallocJob__init_proxy)),
          patch.multiple(Channel, _send=_again(Channel._send), _send_to=_again(Channel._send_to),
                         _receive=_as_lost(Channel._receive),
                         _is_ready_to_receive=_as_silence(Channel._is_ready_to_receive)),
          patch.object(Job, "wait_until_ready", _told(Job.wait_until_ready)),
          patch.object(Controller, "_wait", _patient(Controller._wait)),
          patch.object(spalloc_allocator, "SpallocClient", partial(charged, spalloc_allocator.SpallocClient))):
        yield


def charged(client: Callable[..., Any], url: str, collab: str | None = None, **more: Any) -> Any:
    """A client whose jobs use the quota of `COLLAB`, unless they belong to a collab, a group or a job of a queue."""
    own = None if more.get("nmpi_job") or more.get("group") else os.environ.get(COLLAB)
    return client(url, collab=collab or own, **more)


def keep_alive(job: Any) -> bool:
    """Tell the server that somebody is there, again if that fails, after a new login if it asks for one.

    Returns
    -------
    bool
        Whether the job is to be kept alive from now on.
    """
    from spinnman.exceptions import SpallocException
    from spinnman.spalloc.spalloc_client import requests

    for _ in range(TRIES):
        if job._keepalive_url is None:          # given back
            return False
        try:
            cookies, headers = job._session_credentials
            answer = requests.put(job._keepalive_url, data="alive", cookies=cookies, allow_redirects=False, timeout=10,
                                  headers={**headers, "Content-Type": "text/plain; charset=UTF-8"})
            if answer.status_code // 100 == 2:
                return True
            logger.warning("the server takes no sign of life: %d", answer.status_code)
            if answer.status_code in NOT_LOGGED_IN:
                job._SessionAware__session.renew()
                continue
        except AssertionError:                  # its session has been ended, on purpose
            return False
        except (OSError, ValueError, KeyError, SpallocException) as error:
            logger.warning("no sign of life reaches the server: %s", type(error).__name__)
        time.sleep(PAUSE)
    return True


def _noted(init: Callable[[Any], tuple[Any, Any]]) -> Callable[[Any], tuple[Any, Any]]:
    """``__init_proxy`` that notes whose a websocket is."""
    def made(job: Any) -> tuple[Any, Any]:
        with _opening:
            receiver, socket = init(job)
            _jobs[socket] = job
        return receiver, socket

    return made


def _again(send: Callable[..., None]) -> Callable[..., None]:
    """``_send`` that opens a channel anew whose websocket has broken."""
    def sent(channel: Any, *message: Any) -> None:
        from spinnman.spalloc.session import websocket

        try:
            send(channel, *message)
        except (OSError, websocket.WebSocketException):
            if not _opened_anew(channel):
                raise
            send(channel, *message)

    return sent


def _opened_anew(channel: Any) -> bool:
    """Open a channel in another websocket, unless it or its job was closed on purpose: whether it is open."""
    job = _jobs.get(channel._ProxiedConnection__ws) if channel._ProxiedConnection__ws is not None else None
    if job is None or job._keepalive_url is None:
        return False
    with _opening:
        receiver, channel._ProxiedConnection__ws = job._SpallocJob__init_proxy()
        channel._ProxiedConnection__receiver = receiver
        channel._ProxiedConnection__handle = channel._open_connection()
        receiver.listen(channel._ProxiedConnection__handle, channel._ProxiedConnection__msgs.put)
    own.info("the connection to the server had broken, and is there again")
    return True


def _as_lost(receive: Callable[..., bytes]) -> Callable[..., bytes]:
    """``_receive`` to which the end of a websocket, which SpiNNMan tells by None, is an answer that did not come."""
    def received(channel: Any, timeout: float | None = None) -> bytes:
        from spinnman.exceptions import SpinnmanTimeoutException

        try:
            return receive(channel, timeout)
        except (TypeError, OSError):
            if _jobs.get(channel._ProxiedConnection__ws) is None:
                raise
            raise SpinnmanTimeoutException("receive", timeout or 0.0) from None

    return received


def _as_silence(ready: Callable[..., bool]) -> Callable[..., bool]:
    """The same for ``_is_ready_to_receive``."""
    def looked(channel: Any, timeout: float = 0) -> bool:
        try:
            return ready(channel, timeout)
        except TypeError:
            return False

    return looked


def _told(wait: Callable[[Any], None]) -> Callable[[Any], None]:
    """``wait_until_ready`` that says beforehand if it will take longer; there is no limit to it but Ctrl-C."""
    def waited(job: Any) -> None:
        if job.get_state().name == "QUEUED":
            own.info("the server has no board free, so the job waits for one; Ctrl-C gives it up")
        wait(job)

    return waited


def _patient(wait: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """``_wait`` of a controller that goes on when nobody answers, and remembers why a server has ended its job.

    Its thread ends with that: what uses the board fails by itself, and ``sys.exit`` of a thread ends nothing.
    """
    def waited(controller: Any) -> bool:
        try:
            if wait(controller):
                return True
        except (OSError, ValueError) as error:
            logger.warning("the server does not say how its job is: %s", type(error).__name__)
            time.sleep(PAUSE)
            return True
        if not controller._exited:
            ENDED[controller.job._url] = _reason(controller.job)
            controller._exited = True
        return False

    return waited


def _reason(job: Any) -> str:
    """Why a job has ended, as its server says; empty if it has not, or nobody answers."""
    try:
        told = job._get(job._url).json()
    except (OSError, ValueError, AssertionError):
        return ""
    return str(told.get("reason") or "no reason is given") if told.get("state") == "DESTROYED" else ""


def lost() -> str:
    """In words, that a server has ended the job of the board that is in use; empty if it has not."""
    from spinn_front_end_common.data import FecDataView as view

    job = getattr(view.get_allocation_controller(), "job", None) if view.has_allocation_controller() else None
    reason = "" if job is None else ENDED.get(job._url) or _reason(job)
    return reason and f"the server has ended the job of the board ({reason}): "
