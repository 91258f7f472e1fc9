"""Networks of other frameworks on the emulated board and on the local engine: the same integers."""

import numpy as np
import pytest
from test_frameworks import FRAMEWORKS, fixture

import spikingconvnet as scn
from spikingconvnet.emulator import Board


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    """One emulated board for all networks."""
    with (tmp_path_factory.mktemp("board") / "board.log").open("w") as log, Board(log=log) as made:
        yield made


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_network_does_on_the_board_what_it_does_here(name, board, tmp_path):
    made, shown, _ = fixture(name)
    network = made.shown(shown.with_gap(shown.n_steps + max(made.lags.values()) + 1))
    labels = [p.label for p in network.populations if not p.is_source]
    ours = scn.run(network, record=labels)
    theirs = scn.run(network, record=labels, backend="spinnaker", target=board, directory=tmp_path)
    fires = [label for label in labels if (network.population(label).parameter("v_thresh") < 1e4).any()]
    assert ours.spikes == theirs.spikes and all(ours.spikes[label].n_events for label in fires)
    for label in labels:
        for variable, values in ours.membranes[label].items():
            np.testing.assert_array_equal(values, theirs.membranes[label][variable], f"{variable} of {label}")
