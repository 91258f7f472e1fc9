"""Machines, copies, loads: by hand, and what sPyNNaker knows of its machines."""

import numpy as np
import pytest

from spikingconvnet.board import partition
from spikingconvnet.board import resources as module
from spikingconvnet.board.programs import PROGRAMS
from spikingconvnet.board.resources import MACHINES, SDRAM_PER_CHIP, chips_counted, machine, replicas, resources
from spikingconvnet.errors import SettingsError
from spikingconvnet.network.connectivity import ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes


def dense(n_pre, n_post, events, n_steps=10, rule=None):
    """A network of one projection whose inputs fire `events`: list of (neuron, step)."""
    neurons, steps = np.array(events).reshape(-1, 2).T
    spikes = Spikes.from_events(0 * neurons, neurons, steps, (1, 1, n_pre), 1, n_steps)
    return Network((Population("in", (1, 1, n_pre), SpikeSourceArray(spikes)),
                    Population("out", (1, 1, n_post), IFCurrExp())),
                   (Projection("p", "in", "out", DenseConnections(np.full((n_pre, n_post), 0.01)), plasticity=rule),))


def test_machines_are_those_that_spynnaker_knows():
    from spinn_machine.version import version_3, version_5

    for name, chips in (("spin3", version_3.CHIPS_PER_BOARD), ("spin5", version_5.CHIPS_PER_BOARD)):
        board = MACHINES[name].board()
        assert len(board) == MACHINES[name].chips == len(chips)
        # SC&MP and one monitor on every chip, one more core at the Ethernet
        assert MACHINES[name].cores == sum(chips.values()) - 2 * len(chips) - 1
    assert {xy for xy, n in version_5.CHIPS_PER_BOARD.items() if n == 17} == module.CHIPS_OF_17_CORES
    assert MACHINES["full"].boards * sum(version_5.CHIPS_PER_BOARD.values()) > 1_000_000
    assert MACHINES["emulated"].cores == sum(version_5.CHIPS_PER_BOARD.values()) - 48


def test_the_name_of_a_board_stands_for_a_spin5_and_a_virtual_one_for_nothing():
    assert machine("spinn-4.example").board() == MACHINES["spin5"].board()
    assert machine("spin3:192.168.240.253") == MACHINES["spin3"] and machine("spin5:board") == MACHINES["spin5"]
    assert machine("spalloc:https://example.org").boards == 1200
    with pytest.raises(SettingsError, match="virtual: sPyNNaker invents.*spin3, spin5"):
        machine("virtual")


def test_groups_fill_chips_one_after_another():
    assert chips_counted([(1, 10)] * 16) == 1
    assert chips_counted([(1, 10)] * 17) == 2
    assert chips_counted([(9, 10)] * 2) == 2
    assert chips_counted([(1, 50_000_000)] * 3) == 2


def test_copies_share_a_board_and_large_networks_share_boards():
    assert replicas([(1, 10)] * 3, MACHINES["spin3"]) == 21             # 63 cores
    assert replicas([(1, 10)] * 64, MACHINES["spin3"]) == 0
    assert replicas([(1, 10)] * 64, MACHINES["spin5"]) == 11            # 759 cores
    assert replicas([(1, 10)] * 64, MACHINES["spin5x3"]) == 33
    assert replicas([(1, 10)] * 1500, MACHINES["spin5"]) == 0
    assert replicas([(1, 10)] * 1500, MACHINES["spin5x3"]) == 1         # two boards of three
    assert replicas([(1, 10)] * 1500, MACHINES["full"]) == 600
    assert replicas([(1, SDRAM_PER_CHIP)], MACHINES["full"]) == 0       # a chip's monitor needs some


def test_the_load_is_that_of_the_busiest_step():
    quiet, busy = (resources(dense(5, 100, events)).loads[0]
                   for events in ([(0, 1), (1, 2)], [(0, 1), (1, 2), (2, 2), (3, 2), (0, 5)]))
    assert (quiet.neurons, quiet.spikes, quiet.events) == (100, 1, 100)
    assert (busy.spikes, busy.events) == (3, 300)
    cycles = (module.STEP_COST + 100 * PROGRAMS[IFCurrExp].cycles + module.START_COST
              + 3 * (module.SPIKE_COST["static"] + 100 * module.SYNAPSE_COST["static"]))
    assert busy.worst == pytest.approx(cycles / 200_000)
    assert busy.mean < busy.worst and quiet.worst < busy.worst


def test_learning_takes_longer():
    static, plastic = (resources(dense(5, 100, [(0, 1)], rule=rule)).loads[0] for rule in (None, STDPMechanism()))
    assert plastic.worst > 1.4 * static.worst


def test_a_kernel_is_shared_by_the_cores_of_a_map():
    spikes = Spikes.from_events([0, 0], [3, 3], [1, 2], (1, 30, 26), 1, 10)
    connections = ConvConnections(np.full((1, 1, 5, 5), 0.1), (1, 30, 26))
    network = Network((Population("in", (1, 30, 26), SpikeSourceArray(spikes)),
                       Population("out", connections.post_shape, IFCurrExp(), per_channel=True)),
                      (Projection("p", "in", "out", connections),))
    load, = resources(network).loads
    assert partition.vertices(network)[1].cores == 13 and load.neurons == 44
    cycles = module.STEP_COST + 44 * PROGRAMS[IFCurrExp].cycles + module.START_COST + 491 + 25 / 13 * 63
    assert load.worst == pytest.approx(cycles / 200_000)


def test_the_measured_cost_of_learning_is_near_spynnakers_own_figure():
    """It plans for 1,400,000 plastic synapses a second on a core (synapse_dynamics_stdp.py)."""
    per_second = 1000 * module.CYCLES_PER_MS / module.SYNAPSE_COST["plastic"]
    assert 0.7 * 1_400_000 < per_second < 1.3 * 1_400_000


def test_recorded_membranes_take_sdram_at_times():
    found = resources(dense(5, 100, [(0, 1)]), ["out"])
    assert sum(size for _, size in found.recording) - found.sdram == 3 * (8 + 1000 * 404)
    assert found.recording[0] == found.groups[0]        # a source has no membranes


def test_two_million_neurons_are_counted_and_do_not_fit():
    found = resources(dense(1, 2_000_000, [(0, 1)]))
    assert found.neurons == 2_000_000 and found.cores == 1 + 7813 and found.chips == 559
    assert [replicas(found.groups, MACHINES[name]) for name in ("spin5", "spin5x3", "full")] == [0, 0, 100]


def test_the_neurons_that_keep_up_do_so_with_a_margin():
    events = [(i, 1) for i in range(50)]
    load, = resources(dense(50, 200, events)).loads
    assert load.worst > 1 and 0 < load.keeps_up < 200
    fewer, more = (resources(dense(50, n, events)).loads[0] for n in (load.keeps_up, load.keeps_up + 1))
    assert fewer.worst <= 1 / module.MARGIN < more.worst
    assert fewer.keeps_up == load.keeps_up
