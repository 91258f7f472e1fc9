"""When sPyNNaker fails: what happened in one line, and no long questions to a board that no longer answers.

After an error sPyNNaker asks every chip and core for its state. A board that has gone silent lets every one of these
questions run into its retries (11 s each, SpiNNMan 7.4.1 ``constants.py`` N_RETRIES and SCP_TIMEOUT, which cannot be
configured): twenty minutes on 48 chips. So it is asked for its version first.
"""

import logging
import signal
import sys
import threading
from contextlib import contextmanager

PROBE_RETRIES = 3       # of 1 s each
LONGEST = 400           # characters of an error text

logger = logging.getLogger("spinn_front_end_common")    # its messages go to the file of the run


class Silence:
    """Whether a board was found not to answer."""

    def __init__(self):
        self.noticed = False


@contextmanager
def watched():
    """While sPyNNaker works: a Silence, and its recovery from errors only on a board that answers.

    Its handlers of Ctrl-C and of uncaught errors, which outlive its runs, are removed at the end.
    """
    from spinn_front_end_common.interface.abstract_spinnaker_base import AbstractSpinnakerBase as base

    silence, recover = Silence(), base._recover_from_error

    def recover_if_it_answers(simulator, error):
        if _answers():
            recover(simulator, error)
        else:
            silence.noticed = True
            logger.error("the board does not answer, so it is not asked for its state after: %s", in_one_line(error))

    base._recover_from_error = recover_if_it_answers
    in_main = threading.current_thread() is threading.main_thread()
    handler, hook = signal.getsignal(signal.SIGINT), sys.excepthook
    try:
        yield silence
    finally:
        base._recover_from_error, sys.excepthook = recover, hook
        if in_main:
            signal.signal(signal.SIGINT, handler)


def _answers():
    """Whether the board that sPyNNaker is connected to says which version it runs; True if there is none yet."""
    from spinn_front_end_common.data import FecDataView as view
    from spinnman.exceptions import SpinnmanException
    from spinnman.processes import GetVersionProcess

    if not view.has_transceiver():
        return True
    try:
        GetVersionProcess(view.get_scamp_connection_selector(), PROBE_RETRIES).get_version(0, 0, 0)
    except SpinnmanException:
        return False
    return True


def in_one_line(error):
    """Kind and text of an error, without the stack traces that SpiNNMan puts into it.

    >>> in_one_line(ValueError("no\\n  route"))
    'ValueError: no route'
    """
    cause = getattr(error, "exception", error)          # SpinnmanGenericProcessException holds another
    if hasattr(cause, "failed_core_states"):            # SpiNNManCoresNotInStateException does not tell their states
        infos = cause.failed_core_states()
        return "; ".join(f"core {x},{y},{p} is in state {_state(infos.get_cpu_info(x, y, p))}" for x, y, p in infos)
    text = " ".join(str(cause).partition("Stack trace:")[0].split())
    return f"{type(cause).__name__}: {text if len(text) <= LONGEST else text[:LONGEST] + ' ...'}"


def _state(info):
    reason = info.run_time_error.name
    return info.state.name + (f" ({reason})" if reason != "NONE" else "")
