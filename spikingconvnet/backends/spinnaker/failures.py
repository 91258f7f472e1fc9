"""When sPyNNaker fails: what happened in one line, and no long questions to a board that no longer answers.

After an error sPyNNaker asks every chip and core for its state. A board that has gone silent lets every one of these
questions run into its retries (11 s each, SpiNNMan 7.4.1 ``constants.py:219`` and 225, SCP_TIMEOUT and N_RETRIES,
which cannot be configured): twenty minutes on 48 chips. So it is asked for its version first.
"""

import logging
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

from spikingconvnet.backends.spinnaker.provenance import Place

PROBE_RETRIES = 3       # of 1 s each
LONGEST = 400           # characters of an error text
MOST = 4                # cores that it names
LOOK = 3.0              # seconds of waiting for cores between two looks at whether the board goes on
STILL = 4               # looks in a row at which nothing has moved
OVERRUN = 10            # seconds of the board's own clock that a run may take longer than it should
CLOCK_MS, P2V_MAP, SLEEP, CORES = 0xf5007f10, 0xf5007f94, 0xf2000064, 18    # sark.h:990 and 1045, spinnaker.h:836


logger = logging.getLogger("spinn_front_end_common")    # its messages go to the file of the run


class Silence:
    """Whether a board was found not to answer."""

    def __init__(self) -> None:
        self.noticed = False


@contextmanager
def watched() -> Iterator[Silence]:
    """While sPyNNaker works: a Silence, and its recovery from errors only on a board that answers.

    Its handlers of Ctrl-C and of uncaught errors, which outlive its runs, are removed at the end.
    """
    from spinn_front_end_common.interface.abstract_spinnaker_base import AbstractSpinnakerBase as base

    silence, recover = Silence(), base._recover_from_error

    def recover_if_it_answers(simulator: Any, error: BaseException) -> None:
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


@contextmanager
def patient(emulated: bool) -> Iterator[None]:
    """Until the context ends, wait for cores to come into a state for as long as the board goes on, and no longer.

    sPyNNaker's limits cannot be configured (``synapse_expander.py:97`` of 7.4.1: a second for 1000 bytes of the largest
    core), or there are none (``application_runner.py:178``, before a run). They suit a board, whose cores work side by
    side; emulated cores take turns, so theirs are left out. Instead a look at the board every `LOOK` seconds decides:
    see :class:`SignsOfLife`. A core that fails ends the waiting at once.

    Parameters
    ----------
    emulated : bool
        Whether the limits that sPyNNaker has are left out.
    """
    from spinnman.exceptions import SpiNNManCoresNotInStateException
    from spinnman.model.enums import CPUState
    from spinnman.transceiver.base_transceiver import BaseTransceiver

    wait = BaseTransceiver.wait_for_cores_to_be_in_state

    @wraps(wait)
    def wait_while_it_goes_on(transceiver: Any, cores: Any, *place: Any, timeout: float | None = None,
                              **more: Any) -> Any:
        if timeout is not None and not emulated:
            return wait(transceiver, cores, *place, timeout=timeout, **more)
        signs = SignsOfLife(transceiver)
        failed = more.get("error_states", {CPUState.RUN_TIME_EXCEPTION, CPUState.WATCHDOG})
        while True:
            try:
                return wait(transceiver, cores, *place, timeout=LOOK, **more)
            except SpiNNManCoresNotInStateException as error:
                infos = error.failed_core_states()
                states = {core: infos.get_cpu_info(*core).state for core in infos}
                if failed & set(states.values()) or not signs.seen(states):
                    raise

    BaseTransceiver.wait_for_cores_to_be_in_state = wait_while_it_goes_on
    try:
        yield
    finally:
        BaseTransceiver.wait_for_cores_to_be_in_state = wait


class SignsOfLife:
    """Whether cores that are waited for may still come into the state that they should.

    They cannot, once nothing on the board moves: its clock stands still and every core sleeps; an emulated board's
    clock stands still when nobody has anything to do, and while a core works, which then is awake. And they are taken
    not to if the board's own clock has moved on by the time of the run and `OVERRUN` seconds more since the last core
    changed its state. The clock of the one who waits is not asked: a busy machine makes nothing fail.

    Parameters
    ----------
    transceiver : spinnman.transceiver.Transceiver
    """

    def __init__(self, transceiver: Any) -> None:
        self._transceiver = transceiver
        self._states: Mapping[Place, Any] | None = None
        self._clock: int | None = None
        self._since = self._still = 0

    def seen(self, states: Mapping[Place, Any]) -> bool:
        """Take note of the states of the cores that are waited for, by (x, y, p); False if it is time to give up."""
        from spinn_front_end_common.data import FecDataView as view

        clock, before = self._now(min(states)), self._clock
        if states != self._states:
            self._states, self._since = states, clock
        self._clock, self._still = clock, self._still + 1 if clock == before and self._asleep(view) else 0
        limit = _run_ms(view) + OVERRUN * 1000
        return self._still < STILL and clock - self._since <= limit

    def _now(self, place: Place) -> int:
        """Milliseconds of the clock of a chip (``clock_ms`` of `sv_t`, sark.h)."""
        return int.from_bytes(self._transceiver.read_memory(*place[:2], CLOCK_MS, 8), "little")

    def _asleep(self, view: Any) -> bool:
        """Whether all cores but monitors wait for an interrupt (`SC_SLEEP`, by physical number)."""
        return not any(self._awake(x, y) for x, y in view.get_machine().chip_coordinates)

    def _awake(self, x: int, y: int) -> list[int]:
        sleeping = int.from_bytes(self._transceiver.read_memory(x, y, SLEEP, 4), "little")
        virtual = self._transceiver.read_memory(x, y, P2V_MAP, CORES)
        return [core for core in range(CORES) if 0 < virtual[core] < CORES and not sleeping >> core & 1]


def _run_ms(view: Any) -> float:
    """How long the board's clock takes for the run that is at work, if one is."""
    end = view.get_current_run_timesteps()
    return 0 if not end else (end - view.get_first_machine_time_step()) * view.get_hardware_time_step_ms()


def _answers() -> bool:
    """Whether the board that sPyNNaker is connected to says which version it runs; True if there is none yet."""
    from spinn_front_end_common.data import FecDataView as view
    from spinnman.exceptions import SpinnmanException
    from spinnman.processes import GetVersionProcess

    if not view.has_transceiver():
        return True
    try:
        GetVersionProcess(view.get_scamp_connection_selector(), PROBE_RETRIES).get_version(0, 0, 0)
    except (SpinnmanException, OSError, TypeError):     # the last two of a proxy whose job has been taken away
        return False
    return True


def in_one_line(error: BaseException) -> str:
    r"""Kind and text of an error, without the stack traces that SpiNNMan puts into it.

    >>> in_one_line(ValueError("no\n  route"))
    'ValueError: no route'
    """
    cause = getattr(error, "exception", error)          # SpinnmanGenericProcessException holds another
    if hasattr(cause, "failed_core_states"):            # SpiNNManCoresNotInStateException does not tell their states
        infos = cause.failed_core_states()
        places = list(infos)
        told = [f"core {x},{y},{p} is in state {_state(infos.get_cpu_info(x, y, p))}" for x, y, p in places[:MOST]]
        return "; ".join(told) + (f"; and {len(places) - MOST} more" if len(places) > MOST else "")
    text = " ".join(str(cause).partition("Stack trace:")[0].split())
    return f"{type(cause).__name__}: {text if len(text) <= LONGEST else text[:LONGEST] + ' ...'}"


def _state(info: Any) -> str:
    reason = info.run_time_error.name
    return info.state.name + (f" ({reason})" if reason != "NONE" else "")
