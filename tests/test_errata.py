"""Surprises of SpiNNaker and sPyNNaker that no other test shows; docs/errata.md names the tests of all of them."""

import ast
import re
from configparser import ConfigParser
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from virtual_board import VirtualBoard, mapped

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board.dtcm import PACKET_BUFFER
from spikingconvnet.board.resources import resources
from spikingconvnet.emulator import Board
from spikingconvnet.errors import BackendError
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection, together
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
)
from spikingconvnet.network.spikes import Spikes

ROOT = Path(__file__).resolve().parents[1]


def source(steps, n=1, n_steps=40):
    """A population whose neurons all fire at `steps`."""
    at = np.repeat(steps, n)
    return Population("in", (1, 1, n), SpikeSourceArray(
        Spikes.from_events(0 * at, np.tile(np.arange(n), len(steps)), at, (1, 1, n), 1, n_steps)))


# ---------------------------------------------------------------- the page


def test_every_fact_of_the_page_names_tests_that_are_there():
    rows = [line for line in (ROOT / "docs" / "errata.md").read_text().splitlines() if line.startswith("| ")
            and not line.startswith("| what")]
    assert len(rows) > 30
    for row in rows:
        found = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert found, row
        for path, name in found:
            tree = ast.parse((ROOT / path).read_text())
            assert name in {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)}, (path, name)


# ---------------------------------------------------------------- virtual boards


def test_a_virtual_board_returns_the_initial_weights_of_a_training_and_no_spikes(tmp_path):
    rule = STDPMechanism(SpikePairRule(A_plus=0.1, A_minus=0.1), AdditiveWeightDependence(0.0, 1.0))
    network = Network((source([1, 5], 20), Population("out", (1, 1, 2), IFCurrExp(v_thresh=-64.9))),
                      (Projection("p", "in", "out", DenseConnections(np.full((20, 2), 0.3)), plasticity=rule),))
    with mapped(network, tmp_path) as simulation:
        assert set(simulation.weights("p").value.tolist()) == {0.2998046875}
        assert len(simulation.recording().spikes["out"].neurons) == 0


def test_a_virtual_board_grows_with_the_network(tmp_path):
    network = Network((Population("out", (1, 1, 256 * 800), IFCurrExp()),), ())
    assert resources(network).cores == 800
    with mapped(network, tmp_path):
        from spynnaker.pyNN.data import SpynnakerDataView

        assert SpynnakerDataView.get_machine().n_chips > 48


def test_a_virtual_board_believes_in_binaries_that_do_not_exist(tmp_path):
    rule = STDPMechanism(Vogels2011Rule(0.1), AdditiveWeightDependence(0.0, 1.0))
    network = Network((source([1]), Population("out", (1, 1, 1), IFCurrDelta())),
                      (Projection("p", "in", "out", DenseConnections([[0.5]]), plasticity=rule),))
    cores = []
    for name, split in (("asked for one core", lambda *_: set()), ("as it is", spinnaker.split_populations)):
        with patch.object(spinnaker, "split_populations", split), mapped(network, tmp_path / name) as simulation:
            cores.append(len(simulation._parts["out"][0][1]._vertex.machine_vertices))
    assert cores == [1, 2]


def test_all_to_all_without_itself_cannot_be_written_by_the_host_beyond_one_core(tmp_path):
    def lateral(n):
        return Network((source([1]), Population("out", (1, 1, n), IFCurrExp())), (Projection(
            "p", "out", "out", LateralInhibition(n, 2.0, 1, "machine"), "inhibitory"),))

    with mapped(lateral(200), tmp_path / "one core"):
        pass
    network = lateral(300)
    with pytest.raises(BackendError, match="could not broadcast"):
        with mapped(network, tmp_path / "two cores"):
            pass


# ---------------------------------------------------------------- sPyNNaker's host code


@pytest.mark.parametrize("backprop_delay", [True, False])
def test_of_two_projections_the_last_decides_in_silence_whether_the_delay_counts(backprop_delay, tmp_path):
    rule = STDPMechanism(backprop_delay=not backprop_delay)
    network = Network((source([1]), Population("out", (1, 1, 1), IFCurrExp())),
                      (Projection("p", "in", "out", DenseConnections([[0.5]]), plasticity=rule),))
    with spinnaker.open(network, target=VirtualBoard(), directory=tmp_path) as simulation:
        sim, (_, pre), (_, post) = simulation.sim, *simulation._parts["in"], *simulation._parts["out"]
        sim.Projection(pre, post, sim.AllToAllConnector(), sim.STDPMechanism(
            timing_dependence=sim.SpikePairRule(A_plus=0.01, A_minus=0.01),
            weight_dependence=sim.AdditiveWeightDependence(), backprop_delay=backprop_delay))
        assert post._vertex.synapse_dynamics.backprop_delay == backprop_delay
        simulation.run(10)


@pytest.mark.parametrize("size, kernel, stride, theirs, fields", [(28, 4, 3, 8, 9), (28, 4, 2, 12, 13), (4, 2, 2, 1, 2),
                                                                  (28, 5, 1, 24, 24)])
def test_a_strided_convolution_of_spynnaker_may_be_one_row_smaller(size, kernel, stride, theirs, fields):
    from spynnaker.pyNN.models.neural_projections.connectors import ConvolutionConnector

    connector = ConvolutionConnector(np.ones((kernel, kernel)), strides=stride)
    assert connector.get_post_shape((size, size)) == (theirs, theirs)
    assert (size - kernel) // stride + 1 == fields


def test_padding_true_pads_one_whatever_the_kernel():
    from spynnaker.pyNN.models.neural_projections.connectors import ConvolutionConnector

    assert ConvolutionConnector(np.ones((5, 5)), padding=True).get_post_shape((28, 28)) == (26, 26)


def settings(package):
    """Default configuration of a sPyNNaker package, without importing it."""
    from importlib.util import find_spec

    parser = ConfigParser(strict=False, interpolation=None)
    folder = Path(find_spec(package).submodule_search_locations[0])
    parser.read([folder / "spynnaker.cfg", folder / "pyNN" / "spynnaker.cfg", folder / "interface" / "spinnaker.cfg"])
    return {name: value for section in parser.sections() for name, value in parser[section].items()}


def test_the_counters_of_lost_packets_are_switched_off_by_default():
    found = settings("spinn_front_end_common")
    for name in ("read_router_provenance_data", "read_placements_provenance_data", "read_provenance_data_on_end"):
        assert found[name] == "Debug"
    assert found["mode"] == "Production"


def test_sdram_is_planned_for_1000_steps_and_cores_for_30_hz():
    assert settings("spinn_front_end_common")["minimum_auto_time_steps"] == "1000"
    found = settings("spynnaker")
    assert found["spikes_per_second"] == "30" and int(found["incoming_spike_buffer_size"]) == PACKET_BUFFER


# ---------------------------------------------------------------- binaries


def recurrent(label_of_rows, n_projections):
    """Two neurons of IF_curr_delta with a rule that needs split cores, driven to fire once, at about step 5.

    `n_projections` connect the neurons in `label_of_rows` to themselves with weight 0. Inputs 0 and 1 are learned:
    they fire before and long after.
    """
    rule = STDPMechanism(SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.1, A_minus=0.0),
                         MultiplicativeWeightDependence(0.0, 4.0))
    cell = IFCurrDelta(tau_m=20.0, cm=1.0, v_rest=0.0, v_reset=-1000.0, v_thresh=10.0, v=0.0, tau_refrac=0.0)
    drive = Population("drive", (1, 1, 1), SpikeSourceArray(Spikes.from_events([0], [0], [4], (1, 1, 1), 1, 40)))
    rows = ConnectionList(label_of_rows, label_of_rows, [0.0] * len(label_of_rows), [1] * len(label_of_rows))
    return Network(
        (source([3, 38], 2), drive, Population("out", (1, 1, 2), cell)),
        (Projection("learned", "in", "out", ConnectionList([0, 1], [0, 1], [1.0, 1.0], [1, 1]), plasticity=rule),
         Projection("kick", "drive", "out", DenseConnections(np.full((1, 2), 60.0))),
         *(Projection(f"self {i}", "out", "out", rows) for i in range(n_projections))))


def test_on_split_cores_a_spike_is_learned_once_for_every_recurrent_projection(tmp_path):
    network = together([recurrent([], 0), recurrent([0, 1], 1), recurrent([0, 1], 2), recurrent([0], 1)])
    with (tmp_path / "log").open("w") as log, Board(log=log) as board:
        with spinnaker.open(network, target=board, directory=tmp_path) as simulation:
            simulation.run(40)
            spikes = simulation.recording().spikes
            weights = [simulation.weights(f"learned#{i}").value.tolist() for i in range(4)]
    assert all(len(spikes[f"out#{i}"].neurons) == 2 for i in range(4))
    none, one, two, first = weights
    once = one[0]
    assert none == [once, once] and one == [once, once] and once > 1.2
    assert two[0] == two[1] > 1.0 + 1.7 * (once - 1.0)          # two projections: twice
    assert first == [once, 1.0]                                 # without a row of its own: never


# ---------------------------------------------------------------- sim.reset()


def relays(n_steps):
    """Two inputs onto two neurons onto two others, one to one; in the first image input 0 fires, then input 1."""
    spikes = Spikes.from_events([0, 1, 2], [0, 1, 1], [3, 5, 7], (1, 1, 2), 3, n_steps)
    cell = IFCurrDelta(tau_m=20.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0, tau_refrac=0.0)
    ones = ConnectionList([0, 1], [0, 1], [2.0, 2.0], [1, 1])
    return Network((Population("in", (1, 1, 2), SpikeSourceArray(spikes)), Population("first", (1, 1, 2), cell),
                    Population("second", (1, 1, 2), cell)),
                   (Projection("a", "in", "first", ones), Projection("b", "first", "second", ones)),
                   reset_every=n_steps)


def fired_on_board(network, board, directory):
    """(image, neuron, step) of all spikes by population, reset after every image."""
    with spinnaker.open(network, target=board, directory=directory) as simulation:
        simulation.run(simulation.source_steps)
        spikes = simulation.recording().spikes
    return {label: list(zip(*(part.tolist() for part in one.events()))) for label, one in spikes.items()}


@pytest.fixture
def board(tmp_path):
    with (tmp_path / "log").open("w") as log, Board(log=log) as made:
        yield made


FIRST = [(0, 0, 4), (1, 1, 6), (2, 1, 8)]
SECOND = [(0, 0, 5), (1, 1, 7), (2, 1, 9)]


def test_after_a_reset_packets_are_lost_unless_the_run_was_a_multiple_of_16_steps(board, tmp_path, monkeypatch):
    assert fired_on_board(relays(20), board, tmp_path) == {"first": FIRST, "second": SECOND}
    monkeypatch.setattr(spinnaker, "COLOURS", 1)
    assert fired_on_board(relays(20), board, tmp_path) == {"first": FIRST, "second": SECOND[:1]}


def test_spikes_of_several_sources_cannot_be_set_between_runs(board, tmp_path):
    with spinnaker.open(relays(32), target=board, directory=tmp_path) as simulation:
        simulation.run(32)
        (_, source), = simulation._parts["in"]
        with simulation._apart(), pytest.raises(TypeError, match="integer scalar arrays"):
            source.set(spike_times=[[1.0], [2.0]])
