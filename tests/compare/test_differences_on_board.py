"""What the emulated board computes against the local engine, with and without packets that its routers drop."""

from functools import partial

import pytest
from test_differences import small

from spikingconvnet.backends.local import simulator
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.compare.differences import compare
from spikingconvnet.compare.recorder import run
from spikingconvnet.emulator import Board, Faults


@pytest.fixture
def compared(tmp_path):
    """A function that compares the local engine with a board of some faults: the Comparison."""
    def call(faults):
        network = small(n=24, core=8)
        local = run(partial(simulator.open, jobs=1), network, {"made_on": "local"})
        with (tmp_path / "board.log").open("w") as log, Board(log=log, faults=faults) as board:
            opened = partial(spinnaker.open, target=board, directory=tmp_path)
            return compare(local, run(opened, network, {"made_on": "emulated"}))

    return call


def test_without_faults_the_board_is_identical(compared):
    found = compared(None)
    assert found.identical and min(count.compared for count in found.counts.values()) > 100


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_packets_that_routers_drop_are_named_as_lost(compared, share):
    cause = compared(Faults(seed=1, dropped_packets=share)).cause
    assert cause.name == "lost packet" and cause.details["in"] == "B"
    assert {packet["pre"] for packet in cause.details["lost"]} == {"in"}
    spikes = small(n=24, core=8).population("in").cell.spikes.n_events
    assert 0.3 * share * spikes < len(cause.details["lost"]) < 3 * share * spikes
