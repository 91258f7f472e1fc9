"""Work that branches off from a loaded board: what comes back, what is put back; sPyNNaker loads a network once."""

import json
import os
import signal
import sys

import patience
import pytest

from spikingconvnet.emulator.branches import Branches
from spikingconvnet.emulator.errors import BranchError

# One cell with a constant current; each branch goes on from 10 ms.
SCRIPT = '''
import json
from spikingconvnet.emulator import Board
from spikingconvnet.emulator.branches import Branches
from spikingconvnet.emulator.front_ends import found_here

with Board(version=3) as board, found_here(board):
    import pyNN.spiNNaker as sim

    sim.setup(1.0)
    cell = sim.Population(1, sim.IF_curr_exp(i_offset=2.0))
    cell.record("spikes")
    sim.run(10)

    def until(ms):
        sim.run(ms - 10)
        return cell.get_data("spikes").segments[0].spiketrains[0].magnitude.tolist()

    with Branches(board) as branches:
        found = [branches.run(lambda ms=ms: until(ms)) for ms in (50, 25, 50)]
    print("RESULT", json.dumps([*found, until(50)]))
    sim.end()
'''


class Recorded:
    """A board that notes what is asked of it."""

    def __init__(self):
        self.asked = []

    def snapshot(self, path):
        self.asked.append("snapshot")
        path.write_text("")

    def restore(self, path):
        assert path.exists()
        self.asked.append("restore")


@pytest.fixture
def board():
    return Recorded()


def test_what_the_work_returns_comes_back_and_what_it_does_does_not(board, tmp_path):
    file, numbers = tmp_path / "database", []
    file.write_text("before")

    def work():
        numbers.append(1)
        file.write_text("of the branch, and longer")
        return [len(numbers), os.getpid() != parent]

    parent = os.getpid()
    with file.open() as opened, Branches(board, [tmp_path]) as branches:
        assert [branches.run(work) for _ in range(2)] == [[1, True]] * 2
        assert opened.read() == "before"                        # by who had it open all the time
    assert board.asked == ["snapshot", "restore", "restore"] and numbers == []


def fail():
    raise AssertionError("5 spikes and not 4")


@pytest.mark.parametrize("work, said", [
    (fail, "in fail\n.*AssertionError: 5 spikes and not 4"), (object, "Object of type object is not JSON serializable"),
    (lambda: sys.exit(3), "SystemExit: 3"),
    (lambda: os.kill(os.getpid(), signal.SIGKILL), r"without a value \(exit code -9\)")])
def test_work_that_fails_says_why_and_the_board_is_put_back(board, work, said):
    with Branches(board, []) as branches, pytest.raises(BranchError, match=f"(?s){said}"):
        branches.run(work)
    assert board.asked == ["snapshot", "restore"]


def test_spynnaker_loads_a_network_once_and_goes_on_from_there_again_and_again(tmp_path):
    (tmp_path / "network.py").write_text(SCRIPT)
    text, code = patience.run([sys.executable, "network.py"], cwd=tmp_path,
                              env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert code == 0, text[-3000:]
    (line,) = [line for line in text.splitlines() if line.startswith("RESULT ")]
    trains = json.loads(line.removeprefix("RESULT "))
    assert trains == [[9.0, 20.0, 31.0, 42.0], [9.0, 20.0], [9.0, 20.0, 31.0, 42.0], [9.0, 20.0, 31.0, 42.0]]
