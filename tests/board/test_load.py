"""Loads by hand: neurons, those that fire, packets at once and apart, kernels at borders and on several cores."""

from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet.board import load as module
from spikingconvnet.board.load import ALONE_COST, FIRE_COST, SPIKE_COST, START_COST, STEP_COST, SYNAPSE_COST
from spikingconvnet.board.partition import vertices
from spikingconvnet.board.programs import PROGRAMS
from spikingconvnet.board.resources import resources
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes

NEURON = PROGRAMS[IFCurrExp].cycles


def events(shape, pairs, n_steps=10):
    """Spikes of (neuron, step) pairs."""
    neurons, steps = np.array(pairs).reshape(-1, 2).T
    return Spikes.from_events(0 * neurons, neurons, steps, shape, 1, n_steps)


def dense(n_pre, n_post, pairs, n_steps=10, rule=None):
    """A network of one projection whose inputs fire in (neuron, step) pairs."""
    spikes = events((1, 1, n_pre), pairs, n_steps)
    return Network((Population("in", (1, 1, n_pre), SpikeSourceArray(spikes)),
                    Population("out", (1, 1, n_post), IFCurrExp())),
                   (Projection("p", "in", "out", DenseConnections(np.full((n_pre, n_post), 0.01)), plasticity=rule),))


def kernel(shape, pairs, size=5):
    """A network of one kernel whose inputs fire."""
    connections = ConvConnections(np.full((1, shape[0], size, size), 0.1), shape)
    return Network((Population("in", shape, SpikeSourceArray(events(shape, pairs))),
                    Population("out", connections.post_shape, IFCurrExp(), per_channel=True)),
                   (Projection("p", "in", "out", connections),))


def kernel_cycles(*lines):
    """Of packets that come at once, by the (rows, columns) of neurons that each reaches."""
    return START_COST["kernel"] + sum(SPIKE_COST["kernel"] + module.KERNEL_ROW_COST * rows * (columns > 0)
                                      + SYNAPSE_COST["kernel"] * rows * columns for rows, columns in lines)


def test_the_load_is_that_of_the_busiest_step():
    quiet, busy = (resources(dense(5, 100, pairs)).loads[0]
                   for pairs in ([(0, 1), (1, 2)], [(0, 1), (1, 2), (2, 2), (3, 2), (0, 5)]))
    assert (quiet.neurons, quiet.spikes, quiet.events) == (100, 1, 100)
    assert (busy.spikes, busy.events) == (3, 300)
    packet = SPIKE_COST["static"] + 100 * SYNAPSE_COST["static"]
    cycles = STEP_COST + 100 * NEURON + START_COST["static"] + 3 * packet
    assert busy.worst == pytest.approx(cycles / 200_000)
    assert busy.mean < busy.worst and quiet.worst < busy.worst


def test_a_full_core_gets_more_than_the_last_one():
    load, = resources(dense(1, 300, [(0, 1)])).loads        # 256 and 44 neurons
    assert (load.neurons, load.events) == (256, 256)


def test_a_packet_that_excites_and_inhibits_has_two_rows():
    made = dense(2, 10, [(0, 1)])
    pre, post = np.divmod(np.arange(20), 10)
    both = ConnectionList(pre, post, np.where(post % 2, 0.01, -0.01), np.ones(20, int), signed=True)
    one, two = (resources(each).loads[0].worst
                for each in (made, replace(made, projections=(Projection("p", "in", "out", both),))))
    assert two == pytest.approx(one + module.ROW_COST["static"] / 200_000)


def test_rows_cost_the_same_in_any_order():
    assert (SPIKE_COST["static"] + module.ROW_COST["plastic"]) == (SPIKE_COST["plastic"] + module.ROW_COST["static"])


def test_learning_takes_longer():
    static, plastic = (resources(dense(5, 100, [(0, 1)], rule=rule)).loads[0] for rule in (None, STDPMechanism()))
    assert plastic.worst > 1.4 * static.worst


def test_neurons_that_fire_cost_more_on_the_core_that_has_them():
    made = dense(1, 300, [(0, 1)])
    silent, = resources(made).loads
    few, many = (resources(made, (), {"out": events((1, 1, 300), [(first + n, 1) for n in range(30)])}).loads[0]
                 for first in (260, 0))
    assert few.worst == silent.worst                        # those of 44 neurons on the second core
    assert many.worst == pytest.approx(silent.worst + 30 * FIRE_COST / 200_000)


@pytest.mark.parametrize("fire, alone", [((0, 1, 2), 0), ((0, 100, 200), 2)])
def test_packets_that_come_one_by_one_cost_more(fire, alone):
    """Neurons 100 apart are updated 16,000 cycles apart; a packet takes 830."""
    n = np.arange(201)
    made = Network((Population("in", (1, 1, 201), IFCurrExp()), Population("out", (1, 1, 1), IFCurrExp())),
                   (Projection("p", "in", "out", ConnectionList(n, 0 * n, np.full(201, 0.1), np.ones(201, int))),))
    fired = {"in": events((1, 1, 201), [(n, 3) for n in fire])}
    load, = (one for one in resources(made, (), fired).loads if one.label == "out 0")
    cycles = (STEP_COST + NEURON + START_COST["static"] + alone * ALONE_COST["static"]
              + 3 * (SPIKE_COST["static"] + SYNAPSE_COST["static"]))
    assert load.worst == pytest.approx(cycles / 200_000)


def listed(pairs, fire, n_post=4, on_a_core=2):
    """A network of (input, neuron) pairs on cores of two neurons, whose 6 inputs fire in step 1."""
    pre, post = np.array(pairs).T
    synapses = ConnectionList(pre, post, np.full(len(pre), 0.1), np.ones(len(pre), int))
    return Network((Population("in", (1, 1, 6), SpikeSourceArray(events((1, 1, 6), [(n, 1) for n in fire]))),
                    Population("out", (1, 1, n_post), IFCurrExp(), neurons_per_core=on_a_core)),
                   (Projection("p", "in", "out", synapses),))


@pytest.mark.parametrize("fire, packets, vain, synapses", [
    ((0,), 1, 0, 2), ((0, 4), 2, 1, 2), ((0, 1, 4, 5), 4, 2, 3), ((2,), 1, 0, 1), ((4, 5), 2, 2, 0)])
def test_packets_of_inputs_without_synapses_on_a_core_are_in_vain_there(fire, packets, vain, synapses):
    """Neurons 0 and 1 hear of inputs 0 and 1, neuron 2 of input 2."""
    load, = resources(listed([(0, 0), (0, 1), (1, 1), (2, 2)], fire)).loads
    assert (load.neurons, load.spikes, load.events) == (2, packets, synapses)
    cycles = (STEP_COST + 2 * NEURON + START_COST["static"] + (packets - vain) * SPIKE_COST["static"]
              + vain * module.VAIN_COST + synapses * SYNAPSE_COST["static"])
    assert load.worst == pytest.approx(cycles / 200_000)


def test_no_packets_come_to_a_core_that_none_of_the_inputs_reaches():
    made = vertices(listed([(0, 0)], (0, 1)))
    work = module._works(made, {0: module._sent(made[0], {})})[1]
    assert work.spikes.sum(axis=1).tolist() == [2, 0]


def test_a_row_more_is_counted_on_cores_that_it_reaches():
    both = ConnectionList(np.zeros(3, int), np.arange(3), np.array([0.1, -0.1, 0.1]), np.ones(3, int), signed=True)
    load, = resources(replace(listed([(0, 0)], (0,)), projections=(Projection("p", "in", "out", both),))).loads
    one = STEP_COST + 2 * NEURON + START_COST["static"] + SPIKE_COST["static"] + 2 * SYNAPSE_COST["static"]
    assert load.worst == pytest.approx((one + module.ROW_COST["static"]) / 200_000)


def test_cores_that_get_the_same_are_counted_once(monkeypatch):
    counted, come = [], module._come
    monkeypatch.setattr(module, "_come", lambda *args: (counted.append(1), come(*args)))
    load, = resources(dense(3, 600, [(0, 1), (2, 1)])).loads        # 256, 256 and 88 neurons
    assert len(counted) == 2 and load.events == 512


@pytest.mark.parametrize("place, reached", [((0, 0), (1, 1)), ((0, 8), (1, 5)), ((8, 15), (5, 1)), ((8, 8), (5, 5))])
def test_kernels_reach_fewer_neurons_at_borders(place, reached):
    load, = resources(kernel((1, 16, 16), [(16 * place[0] + place[1], 1)])).loads
    assert load.events == reached[0] * reached[1]
    cycles = module.KERNEL_STEP_COST + 144 * module.KERNEL_NEURON_COST + kernel_cycles(reached)
    assert load.worst == pytest.approx(cycles / 200_000)


def test_events_of_kernels_are_those_of_the_list_of_connections():
    rng = np.random.default_rng(0)
    made = kernel((2, 9, 12), [(int(n), 1) for n in rng.choice(216, 60, replace=False)], 3)
    listed = made.projections[0].connections.to_list()
    fires = made.populations[0].cell.spikes.neurons
    assert resources(made).loads[0].events == np.isin(listed.pre, fires).sum()


def test_a_kernel_is_shared_by_the_cores_of_a_map():
    """Rows of 22 neurons on 13 cores of 2 rows: an input of row 3 reaches neurons of rows 0 to 3."""
    made = kernel((1, 30, 26), [(3 * 26 + 10, 1), (3 * 26 + 10, 2)])
    load, = resources(made).loads
    assert vertices(made)[1].cores == 13 and load.neurons == 44
    assert (load.spikes, load.events) == (1, 10)
    cycles = module.KERNEL_STEP_COST + 44 * module.KERNEL_NEURON_COST + kernel_cycles((2, 5))
    assert load.worst == pytest.approx(cycles / 200_000)


def test_the_measured_cost_of_learning_is_near_spynnakers_own_figure():
    """It plans for 1,400,000 plastic synapses a second on a core (synapse_dynamics_stdp.py)."""
    per_second = 1000 * module.CYCLES_PER_MS / SYNAPSE_COST["plastic"]
    assert 0.7 * 1_400_000 < per_second < 1.3 * 1_400_000


def test_the_neurons_that_keep_up_do_so_with_a_margin():
    pairs = [(i, 1) for i in range(50)]
    load, = resources(dense(50, 200, pairs)).loads
    assert load.worst > 1 and 0 < load.keeps_up < 200
    fewer, more = (resources(dense(50, n, pairs)).loads[0] for n in (load.keeps_up, load.keeps_up + 1))
    assert fewer.worst <= 1 / module.MARGIN < more.worst
    assert fewer.keeps_up == load.keeps_up
