"""Signals that end a command: exit codes of a process of its own, and what a command's code becomes."""

import os
import signal
import sys

import pytest

from spikingconvnet.gates.surroundings import Signals, Stopped


def ended(work):
    """Exit code, and what a forked process says on stderr in which `work` is done."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(write, 2)
        for number in (signal.SIGINT, signal.SIGTERM):      # may be ignored where the tests run in the background
            signal.signal(number, signal.SIG_DFL)
        try:
            work(Signals())
        finally:
            os._exit(99)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        said = told.read().decode()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def finished(signals):
    signals.code = 3
    signals.leave(signal.SIGTERM)


def stopped_twice(signals):
    with signals:
        try:
            os.kill(os.getpid(), signal.SIGINT)
        except Stopped:
            os.kill(os.getpid(), signal.SIGTERM)


def made_another_error(signals):
    with signals:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Stopped:
            raise ValueError("a library's") from None


def ended_itself(signals):
    with signals:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Stopped:
            sys.exit(0)


@pytest.mark.parametrize("work, code, says", [
    (lambda signals: signals.leave(signal.SIGTERM), 143, True), (finished, 3, False), (stopped_twice, 143, True),
    (made_another_error, 143, True), (lambda signals: os.kill(os.getpid(), signal.SIGINT), 130, True),
    (ended_itself, 99, False)])
def test_a_signal_ends_the_process_with_its_code_unless_the_command_has_one(work, code, says):
    found, said = ended(work)
    assert found == code and ("interrupted" in said.lower()) == says


def test_a_code_of_failure_becomes_that_of_the_signal():
    def judged(signals):
        assert [signals.judged(code) for code in (0, 4)] == [0, 4]
        with signals:
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except Stopped as stopped:
                assert [signals.judged(code) for code in (0, 4)] == [0, 143] and stopped.number == signal.SIGTERM
                os._exit(0)

    assert ended(judged) == (0, "")
