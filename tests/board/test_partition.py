"""Cores, chips and SDRAM as predicted against sPyNNaker's own mapping on a virtual board.

``pytest tests/board/test_partition.py --board-models 400`` compares more networks.
"""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import RULES, Recipe, convolutional_network, random_network, random_spikes
from virtual_board import mapped

from spikingconvnet.board import partition, sdram
from spikingconvnet.board.resources import chips_counted, resources
from spikingconvnet.errors import BackendError, NetworkError
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection, together
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray, SpikeSourcePoisson
from spikingconvnet.network.plasticity import STDPMechanism

PER_RUN = 24


def predicted(network, record=()):
    """[cores, bytes of SDRAM, cores that extend its delays, stages] of every PyNN population, and chips."""
    made = partition.vertices(network)
    rows = [[v.cores * (1 + v.synapse_cores), sum(sdram.used(v, made, record)), v.cores * bool(v.stages), v.stages]
            for v in made]
    return rows, chips_counted(resources(network, record).recording)


def by_spynnaker(network, directory, record=()):
    """The same from sPyNNaker's mapping."""
    with mapped(network, directory, record) as simulation:
        from spynnaker.pyNN.data import SpynnakerDataView
        from spynnaker.pyNN.models.utility_models.delays import DelayExtensionVertex

        steps = SpynnakerDataView.get_plan_n_timestep()
        extensions = {v.source_vertex: v for v in SpynnakerDataView.iterate_vertices()
                      if isinstance(v, DelayExtensionVertex)}
        rows = []
        for parts in simulation._parts.values():
            for _, population in parts:
                vertex, extension = population._vertex, extensions.get(population._vertex)
                cores = list(vertex.machine_vertices)
                rows.append([len(cores), sum(core.sdram_required.get_total_sdram(steps) for core in cores),
                             len(extension.machine_vertices) if extension else 0,
                             extension.n_delay_stages if extension else 0])
                for core in extension.machine_vertices if extension else ():
                    assert core.sdram_required.get_total_sdram(steps) == sdram.delay_extension()
        assert steps == partition.PLANNED_STEPS
        return rows, SpynnakerDataView.get_n_chips_needed()


def drawn(seed):
    """`PER_RUN` random networks over all cells, connectors, rules and delays as one."""
    rng = np.random.default_rng([seed, 21])
    return together([random_network(Recipe(
        n_sources=int(rng.integers(1, 3)), n_populations=int(rng.integers(1, 4)),
        n_projections=int(rng.integers(1, 7)), largest_delay=int(rng.choice([1, 4, 20])), plastic=bool(rng.integers(3)),
        delta=bool(rng.integers(2)), modulated=False), rng) for _ in range(PER_RUN)])


def pytest_generate_tests(metafunc):
    if "drawn_seed" in metafunc.fixturenames:
        metafunc.parametrize("drawn_seed", range(-(-metafunc.config.getoption("--board-models") // PER_RUN)))


def test_random_networks_take_the_cores_chips_and_sdram_that_spynnaker_gives_them(drawn_seed, tmp_path):
    network = drawn(drawn_seed)
    assert predicted(network) == by_spynnaker(network, tmp_path)


def test_networks_with_few_neurons_on_a_core_too(tmp_path):
    rng = np.random.default_rng(31)
    network = together(large_networks(rng)[3:9])
    cores = rng.integers(2, 60, len(network.populations)).tolist()
    network = replace(network, populations=[replace(p, neurons_per_core=n) if n % 3 else p
                                            for p, n in zip(network.populations, cores)])
    rows, chips = predicted(network)
    assert max(n for n, *_ in rows) > 4 and (rows, chips) == by_spynnaker(network, tmp_path)


@pytest.mark.parametrize("timestep", [0.2, 2.0])
def test_other_time_steps_take_what_spynnaker_gives_them(timestep, tmp_path):
    """Longer tables of decay, and below 1 ms a core of synapses for every core of neurons that has any."""
    network = replace(drawn(int(10 * timestep)), timestep=timestep)
    assert predicted(network) == by_spynnaker(network, tmp_path)
    assert any(v.synapse_cores and v.rule is None for v in partition.vertices(network)) == (timestep < 1.0)


def source(shape, rng, per_step=3.0):
    return Population("in", shape, SpikeSourceArray(random_spikes(shape, 2, 20, per_step, rng)))


def listed(n_pre, n_post, n, delays, rng, machine=False):
    if machine:
        return DenseConnections(np.full((n_pre, n_post), 0.5), 1, "machine")
    return ConnectionList(rng.integers(0, n_pre, n), rng.integers(0, n_post, n), rng.gamma(1.5, 1.0, n),
                          rng.choice(delays, n))


def lists(n_post, cell, delays, rng, rule=None):
    wide = source((1, 1, 700), rng)
    connections = ConnectionList(rng.integers(0, 700, 9000), rng.integers(0, n_post, 9000), rng.gamma(1.5, 1.0, 9000),
                                 rng.choice(delays, 9000))
    return Network((wide, Population("out", (1, 1, n_post), cell)),
                   (Projection("p", "in", "out", connections, plasticity=rule),))


def convolution(kernel, rng, stride=(1, 1), pool=(1, 1), maps=3):
    deep = source((2, 30, 28), rng)
    connections = ConvConnections(rng.normal(0.0, 1.0, (maps, 2, *kernel)), deep.shape, stride, pool)
    return Network((deep, Population("out", connections.post_shape, IFCurrExp(), per_channel=True)),
                   (Projection("p", "in", "out", connections),))


def large_networks(rng):
    """Populations of several cores: rows of several cores and pieces, tiles, delay extensions, split synapse cores."""
    exp, delta = IFCurrExp(), IFCurrDelta()
    return [lists(256, exp, [1], rng), lists(257, exp, [1, 5], rng), lists(1000, delta, [2], rng),
            lists(600, exp, [1, 40, 200], rng), lists(300, exp, [1, 3], rng, STDPMechanism()),
            lists(300, delta, [1, 3], rng, RULES["vogels"](0.0, 1.0, rng)[0]),
            convolution((5, 5), rng), convolution((3, 5), rng, pool=(2, 2)), convolution((4, 4), rng, (3, 3)),
            convolution((2, 3), rng, (1, 2)), convolution((30, 27), rng, maps=2)]


def test_networks_of_several_cores_too(tmp_path):
    network = together(large_networks(np.random.default_rng(22)))
    rows, chips = predicted(network)
    assert max(cores for cores, *_ in rows) > 4 and {stages for *_, stages in rows} > {0}
    assert (rows, chips) == by_spynnaker(network, tmp_path)


def test_what_a_board_generates_itself_is_planned_within_5_percent(tmp_path):
    """A virtual board generates nothing, so what the generator reads is not in sPyNNaker's plan for it."""
    def generated(n, rule=None):
        return Network((source((1, 1, 700), rng), Population("out", (1, 1, n), IFCurrExp())),
                       (Projection("p", "in", "out", DenseConnections(np.full((700, n), 0.5), 1, "machine"),
                                   plasticity=rule),
                        Projection("q", "out", "out", LateralInhibition(n, 2.0, 1, "machine"), "inhibitory")))

    rng = np.random.default_rng(25)
    network = together([generated(250), generated(254, STDPMechanism()), generated(1)])
    (rows, chips), (found, needed) = predicted(network), by_spynnaker(network, tmp_path)
    assert chips == needed and [row[0] for row in rows] == [row[0] for row in found]
    assert [row[1] for row in rows] == pytest.approx([row[1] for row in found], rel=0.05)


def test_convolutional_networks_with_recorded_membranes_too(tmp_path):
    rng = np.random.default_rng(23)
    network = together([convolutional_network(rng, [3, 2]) for _ in range(8)])
    record = [p.label for p in network.populations if p.label.startswith("map 1")]
    assert predicted(network, record) == by_spynnaker(network, tmp_path, record)
    assert predicted(network)[0] != predicted(network, record)[0]


def test_a_rule_without_a_combined_binary_gets_synapse_cores_of_its_own():
    rng = np.random.default_rng(24)
    cores = {}
    for cell in (IFCurrExp(), IFCurrDelta()):
        for kind in (kind for kind in RULES if not kind.startswith("modulated")):
            pre = source((1, 1, 40), rng)
            network = Network((pre, Population("out", (1, 1, 8), cell)), (Projection(
                "p", "in", "out", DenseConnections(np.full((40, 8), 0.5)), plasticity=RULES[kind](0.0, 1.0, rng)[0]),))
            cores[cell.synapses, kind] = 1 + partition.vertices(network)[1].synapse_cores
    assert {kind for (synapses, kind), n in cores.items() if n == 2} == {
        "pair multiplicative", "nearest multiplicative", "vogels", "triplet"}
    assert {synapses for (synapses, _), n in cores.items() if n == 2} == {"delta"}


@pytest.mark.parametrize("cell, delay, text", [
    (IFCurrExp(), 300, "a delay of 300 steps; with 256 neurons on a core a board reaches 288")])
def test_a_delay_that_no_extension_reaches_is_refused(cell, delay, text):
    pre = source((1, 1, 4), np.random.default_rng(0))
    network = Network((pre, Population("out", (1, 1, 300), cell)),
                      (Projection("p", "in", "out", ConnectionList([0], [0], [1.0], [delay])),))
    with pytest.raises(NetworkError, match=text):
        partition.vertices(network)


def test_a_plastic_row_that_spynnaker_cannot_hold_is_refused(tmp_path):
    pre = source((1, 1, 4), np.random.default_rng(0))

    def dense(n_post):
        return Network((pre, Population("out", (1, 1, n_post), IFCurrExp())), (Projection(
            "p", "in", "out", DenseConnections(np.full((4, n_post), 0.5)), plasticity=STDPMechanism()),))

    assert partition.vertices(dense(254))[1].incoming[0].longest == 254
    with pytest.raises(NetworkError, match="255 plastic synapses .* a row holds 254; set its neurons_per_core"):
        partition.vertices(dense(255))
    fewer = replace(dense(255), populations=(pre, Population("out", (1, 1, 255), IFCurrExp(), neurons_per_core=254)))
    assert [vertex.cores for vertex in partition.vertices(fewer)] == [1, 2]
    with pytest.raises(BackendError, match="SynapseRowTooBigException.*254 for this connection type"):
        with mapped(dense(255), tmp_path):
            pass


def test_extensions_for_ring_buffers_of_two_lengths_are_refused():
    pre = source((1, 1, 4), np.random.default_rng(0))
    network = Network(
        (pre, Population("few", (1, 1, 60), IFCurrExp()), Population("many", (1, 1, 300), IFCurrExp())),
        (Projection("p", "in", "few", ConnectionList([0], [0], [1.0], [200])),
         Projection("q", "in", "many", ConnectionList([0], [0], [1.0], [200]))))
    with pytest.raises(NetworkError, match="ring buffers of 128 and of 32 steps"):
        partition.vertices(network)


def test_poisson_sources_are_refused_as_the_backend_refuses_them():
    cell = SpikeSourcePoisson(10.0, core_seeds=((1, 1, 1, 1),))
    with pytest.raises(NetworkError, match="only drawn by the local backend"):
        partition.vertices(Network((Population("in", (1, 1, 3), cell),), ()))
