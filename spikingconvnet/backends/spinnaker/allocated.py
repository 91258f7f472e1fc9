"""Boards that a spalloc server hands out: on whose account a job goes, how it is kept alive, and why it has ended.

SpiNNMan 7.4.1 (``spinnman/spalloc``) gives a job up after one request to keep it alive that fails
(``spalloc_client.py``, ``__start_keepalive``), and never logs in anew: ``_may_renew`` of ``session.py`` returns before.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

COLLAB = "SPALLOC_COLLAB"       # whose quota a job uses; SpiNNMan itself takes NMPI_JOB_ID and NMPI_USER
TRIES, PAUSE = 6, 5.0           # to keep a job alive, s between two: together half of what a server waits for
NOT_LOGGED_IN = (302, 401, 403)         # 302: to the form
ENDED: dict[str, str] = {}      # reasons by the address of a job

logger = logging.getLogger("spinnman")      # its messages go to the file of the run
own = logging.getLogger(__name__)


@contextmanager
def kept() -> Iterator[None]:
    """Have SpiNNMan's jobs kept alive with patience, charged to `COLLAB`, and their end by the server remembered."""
    from spinnman.spalloc import spalloc_allocator
    from spinnman.spalloc.spalloc_allocator import SpallocJobController as Controller
    from spinnman.spalloc.spalloc_client import _SpallocJob as Job

    with (patch.object(Job, "_SpallocJob__keepalive", keep_alive),
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
