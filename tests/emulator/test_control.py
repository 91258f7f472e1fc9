"""What the process that started a board may ask of it: to go on, to stand still, snapshots when they are due."""

import json
import socket
import threading
from types import SimpleNamespace

import pytest
from test_snapshots import at_work, walk

from spikingconvnet.emulator.control import Control
from spikingconvnet.emulator.machine import CYCLES_PER_MS
from spikingconvnet.emulator.snapshots import boards

TICK = 0.001        # ms, less than any step of these boards


class Port:
    """In the place of the board's Ethernet port: what is asked is done at once."""

    def __init__(self, machine):
        self.machine, self.closed, self.control = machine, threading.Event(), None
        self.paced = [set(), set()]
        self.pace = SimpleNamespace(cores=lambda: self.paced)

    def ask(self, work):
        """Do it."""
        work()

    def attach(self, machine):
        """Be the port of another machine."""
        self.machine = machine

    def close(self):
        """End."""
        self.closed.set()


@pytest.fixture(params=["plain", "timed"])
def port(request):
    """The port of a board at work, whose reports are kept."""
    made = Port(walk(at_work(request.param), 0, 60))
    made.reports = []
    made.machine.report = made.reports.append
    return made


@pytest.fixture
def control(port):
    return Control(port, lambda snapshot: snapshot.machine(report=port.machine.report))


def asked(control, **request):
    """What a request is answered, if it is answered at once."""
    told = []
    control._do(request, told.append)
    return told


def go(control, steps=100_000):
    """Step until the board stands still: how many steps that took."""
    for taken in range(steps):
        if control.holds():
            return taken
        control.step()
    raise AssertionError("it does not stand still")


def test_a_board_that_holds_answers_when_its_clock_has_come_there(port, control):
    assert port.control is control and not control.holds()
    control.hold()
    begin = port.machine.cycle / CYCLES_PER_MS
    go(control)
    for until in (begin + 0.05, begin + 0.05 + TICK, begin + 0.4):
        assert asked(control, run=until) == []
        told = []
        control._waiting = told.append
        go(control)
        ms = told.pop()["ms"]
        assert told == [] and ms == port.machine.cycle / CYCLES_PER_MS <= until + 0.1
        following = port.machine.next_instant()
        assert following > round(until * CYCLES_PER_MS) or ms >= until
        assert control.holds() and told == []                  # who waited is told once
    assert asked(control, run=None) == [{"ms": port.machine.cycle / CYCLES_PER_MS}] and not control.holds()


def test_a_snapshot_is_taken_when_it_is_due_and_no_sooner(port, control, tmp_path):
    begin = port.machine.cycle / CYCLES_PER_MS
    due, never = tmp_path / "due", tmp_path / "no" / "folder"
    control.save_at(begin + 0.1, str(due))
    control.save_at(begin + 0.2, str(never))
    control.save_at(begin + 1000, str(tmp_path / "later"))
    asked(control, run=begin + 0.05)
    go(control)
    assert not due.exists() and port.reports == []
    asked(control, run=begin + 0.3)
    go(control)
    control.step()
    first, second = port.reports
    assert first.startswith(f"{due}: the board at ") and str(never) in second
    found = boards.load(due)
    assert round((begin + 0.1) * CYCLES_PER_MS) <= found.cycle + CYCLES_PER_MS // 10
    assert not (tmp_path / "later").exists() and found.version == 3
    found.close()


def test_nothing_is_due_while_no_timer_runs(tmp_path):
    port = Port(SimpleNamespace(next_instant=lambda: None, cycle=5 * CYCLES_PER_MS, at_rest=True, step=lambda: None,
                                report=pytest.fail))
    control = Control(port, None)
    control.save_at(1.0, str(tmp_path / "due"))
    control.step()
    assert list(tmp_path.iterdir()) == []


def test_a_board_can_be_saved_and_be_what_it_was_again(port, control, tmp_path):
    path = str(tmp_path / "board")
    port.paced = [{port.machine.chips[0, 0].cores[1]}, set()]
    before, was = boards.digest(port.machine), port.machine.cycle / CYCLES_PER_MS
    assert asked(control, snapshot=path) == [{"ms": was}]
    for hold in (False, True):
        for _ in range(40):
            control.step()
        if hold:
            control.hold()
        port.paced = [set(), {port.machine.chips[0, 0].cores[2]}]
        assert boards.digest(port.machine) != before
        assert asked(control, restore=path) == [{"ms": was}]
        assert boards.digest(port.machine) == before and port.machine.chips[0, 0].cores[1] in port.paced[0]
        assert control._until == (port.machine.cycle if hold else None)


@pytest.mark.parametrize("request_, said", [({"snapshot": "/no/folder/x"}, "/no/folder/x"),
                                            ({"restore": "/no/folder/x"}, "the snapshot cannot be read")])
def test_what_cannot_be_done_is_told(control, request_, said):
    (answer,) = asked(control, **request_)
    assert said in answer["error"] and set(answer) == {"error"}


def test_no_memory_is_told_and_a_board_of_another_kind_refused(control, port, tmp_path, monkeypatch):
    path = str(tmp_path / "board")
    asked(control, snapshot=path)
    port.machine.version = 5
    (answer,) = asked(control, restore=path)
    assert answer["error"] == f"{path}: of a SpiNN-3; this board is a SpiNN-5: start one with Board(snapshot=...)"
    port.machine.version = 3
    def full(_path):
        raise MemoryError
    monkeypatch.setattr(control, "save", full)
    assert asked(control, snapshot=path) == [{"error": "no memory is left"}]


def test_requests_come_by_a_socket_and_the_board_ends_with_it(port, control):
    here, there = socket.socketpair()
    thread = threading.Thread(target=control.listen, args=(there.detach(),))
    thread.start()
    with here, here.makefile("rw") as lines:
        for request in ({"run": None}, {"snapshot": "/no/folder/x"}):
            lines.write(json.dumps(request) + "\n")
            lines.flush()
            answer = json.loads(lines.readline())
            assert set(answer) == ({"ms"} if "run" in request else {"error"})
        assert not port.closed.is_set()
    thread.join(60)
    assert port.closed.is_set() and not thread.is_alive()
