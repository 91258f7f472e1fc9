"""Tests of networks, each on an emulated board of its own: ``pytest -n 2 test_network.py``.

Needs this package with its extra ``emulator``, sPyNNaker, pytest, and pytest-xdist for -n.
"""

import pyNN.spiNNaker as sim
import pytest


@pytest.fixture
def network(spinnaker_board):
    """A simulation that is set up, and ended whatever happens."""
    print(f"on a board at {spinnaker_board.host}")
    sim.setup(timestep=1.0)
    yield sim
    sim.end()


def spike_times(population):
    """Spikes of a population by neuron (ms)."""
    return [train.magnitude.tolist() for train in population.get_data("spikes").segments[0].spiketrains]


@pytest.mark.spinnaker_board(version=3)
def test_a_constant_current_fires_at_regular_times(network):
    cells = network.Population(2, network.IF_curr_exp(i_offset=[0.0, 2.0]))
    cells.record("spikes")
    network.run(50)
    assert spike_times(cells) == [[], [9.0, 20.0, 31.0, 42.0]]


@pytest.mark.spinnaker_board(version=3)
def test_a_spike_takes_its_delay(network):
    source = network.Population(1, network.SpikeSourceArray([[5.0]]))
    cells = network.Population(1, network.IF_curr_exp(tau_refrac=20.0))
    network.Projection(source, cells, network.OneToOneConnector(), network.StaticSynapse(weight=20.0, delay=4.0))
    cells.record("spikes")
    network.run(30)
    assert spike_times(cells) == [[9.0]]
