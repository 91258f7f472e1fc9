"""The real sPyNNaker and its binaries on an emulated board against the local engine: the same integers.

Many small networks share one run, because sPyNNaker takes seconds to set up whatever the size of the network.
``pytest tests/backends/test_spinnaker.py --board-networks 240`` compares more of them.
"""

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from random_networks import (
    LOOPS,
    RULES,
    SPLIT_RULES,
    Recipe,
    Results,
    by,
    chunked,
    convolutional_network,
    depends_on_order,
    events,
    random_network,
    random_spikes,
    split_network,
)
from test_golden import MODULATED, on_the_board

from spikingconvnet import backends
from spikingconvnet.backends.local import layout, native, simulator
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.backends.spinnaker.machine import configuration, machine_section
from spikingconvnet.backends.spinnaker.mapping import mapped
from spikingconvnet.board import check
from spikingconvnet.board.lowering import lower
from spikingconvnet.board.poisson import PoissonSource
from spikingconvnet.board.resources import MACHINES
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import RegularEncoder
from spikingconvnet.data.receptive_fields import GaussianReceptiveFields
from spikingconvnet.emulator import Board
from spikingconvnet.errors import BackendError, NetworkError, SettingsError
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.health.verdict import judge
from spikingconvnet.model import build
from spikingconvnet.model.layers import Conv2D, Dense, Shortcut
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection, together
from spikingconvnet.network.neurons import IFCurrExp, IFCurrExpCa2Adaptive, SpikeSourceArray, SpikeSourcePoisson
from spikingconvnet.network.plasticity import AdditiveWeightDependence, Neuromodulation, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import rstdp
from spikingconvnet.training.chain.convert import Convert
from spikingconvnet.training.chain.rstdp import RSTDP

PER_RUN = 12
FIDELITY = (0, 1, 3, 201, 203, 205)         # of benchmarks/fidelity.py with --seed 7
PREDICTED = {"saturated", "wrapped_weights", "silent_delays"}       # findings in which the local backend does the same
open_board = spinnaker.open


@pytest.fixture(scope="module")
def board(tmp_path_factory, request):
    """One emulated board for all tests of this file; or a real one, ``pytest --spinnaker HOST``."""
    if request.config.getoption("--spinnaker"):
        yield request.config.getoption("--spinnaker")
        return
    with (tmp_path_factory.mktemp("board") / "board.log").open("w") as log, Board(log=log) as made:
        yield made


def on_board(network, board, directory, chunks, thresholds=None):
    """Results of sPyNNaker on a board, every population recorded; nothing about the run may be doubtful."""
    labels = [p.label for p in network.populations if not p.is_source]
    with spinnaker.open(network, labels, target=board, directory=directory) as simulation:
        for i, steps in enumerate(chunks):
            for label, values in (thresholds[i] if thresholds else {}).items():
                simulation.set(label, v_thresh=values)
            simulation.run(steps)
        recording = simulation.recording()
        weights = {p.label: simulation.weights(p.label).raw.tolist() for p in network.projections
                   if not isinstance(p.connections, ConvConnections)}
    doubts = [finding for finding in judge(recording.provenance).findings if finding.severity != "note"]
    assert {finding.name for finding in doubts} <= PREDICTED, doubts
    return Results({label: events(recording.spikes[label]) for label in labels}, recording.membranes, weights, {})


def drawn(seed):
    """`PER_RUN` random networks over all cells, connectors and rules as one, and how to run them.

    Without what the order of packets in a step decides, which a board does not define: rewards, and what
    :func:`depends_on_order` finds on split cores.
    """
    rng = np.random.default_rng([seed, 7])
    n_steps = int(rng.choice([20, 60, 200, 500])) if seed > 1 else (60, 200)[seed]      # longer ones if there are more
    networks = [independent(lambda: random_network(Recipe(
        n_sources=int(rng.integers(1, 3)), n_populations=int(rng.integers(1, 4)),
        n_projections=int(rng.integers(1, 7)), n_steps=n_steps, spikes_per_step=float(rng.choice([0.5, 2.0, 5.0])),
        weight=float(rng.choice([0.2, 2.0, 20.0])), plastic=bool(rng.integers(3)), delta=bool(rng.integers(2)),
        drive=float(rng.choice([0.0, 0.5, 2.0])), varied=bool(rng.integers(2)), modulated=False,
        backprop_delay=bool(rng.integers(3))), rng), 2 * n_steps)
        for _ in range(PER_RUN)]
    return together(networks), chunked(2 * n_steps, rng) if rng.integers(2) else [2 * n_steps]


def independent(draw, n_steps):
    """The first network drawn for which the order of packets makes no difference; of split cores some do not."""
    while depends_on_order(network := draw(), n_steps):
        pass
    return network


def pytest_generate_tests(metafunc):
    if "drawn_seed" in metafunc.fixturenames:
        runs = -(-metafunc.config.getoption("--board-networks") // PER_RUN)
        metafunc.parametrize("drawn_seed", range(runs))


def test_random_networks_give_the_same_integers(drawn_seed, board, tmp_path):
    network, chunks = drawn(drawn_seed)
    local = by(native, network, chunks)
    assert sum(map(len, local.spikes.values())) > 0
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, chunks), local)) == []


@pytest.mark.parametrize("seed, timestep", [(0, 1.0), (1, 1.0), (2, 1.0), (3, 1.0), (4, 0.5)])
def test_neurons_with_an_adaptation_current_give_the_same_integers(seed, timestep, board, tmp_path):
    """Sixty random networks of all cells; those that learn by other rules than additive pairs are on split cores."""
    rng = np.random.default_rng([seed, 23])
    networks = [independent(lambda: replace(random_network(Recipe(
        n_sources=2, n_populations=int(rng.integers(1, 4)), n_projections=int(rng.integers(2, 7)),
        spikes_per_step=float(rng.choice([0.5, 2.0, 5.0])), weight=float(rng.choice([0.2, 2.0])),
        rule="pair additive" if rng.integers(2) else None, plastic=bool(rng.integers(3)), modulated=False,
        drive=float(rng.choice([0.5, 2.0])), varied=bool(rng.integers(2)), largest_delay=5, adaptive=True), rng),
        timestep=timestep), 150) for _ in range(PER_RUN)]
    network = together(networks)
    assert sum(isinstance(p.cell, IFCurrExpCa2Adaptive) for p in network.populations) >= PER_RUN
    local = by(native, network, [60, 90])
    still = [replace(p, cell=replace(p.cell, i_alpha=0.0), values={k: v for k, v in p.values.items() if k != "i_alpha"})
             if isinstance(p.cell, IFCurrExpCa2Adaptive) else p for p in network.populations]
    assert local.differences(by(native, replace(network, populations=still), [60, 90]))
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, [60, 90]), local)) == []


def on_small_cores(network, rng):
    """The network with few neurons on each core of some populations, sources included."""
    return replace(network, populations=[
        replace(p, neurons_per_core=int(rng.integers(2, 9))) if rng.integers(3) else p for p in network.populations])


def test_few_neurons_on_a_core_give_the_same_integers(board, tmp_path):
    """Rules with and without split cores, recurrent ones among them; ring buffers are longer then, and planes tiled."""
    rng = np.random.default_rng(17)
    recipe = Recipe(n_populations=2, n_projections=5, n_samples=3, n_steps=60, spikes_per_step=2.0, weight=4.0,
                    drive=0.5, modulated=False)
    networks = [independent(lambda delta=delta: on_small_cores(
        random_network(replace(recipe, delta=delta), rng), rng), 180) for delta in 4 * [False, True]]
    networks.append(on_small_cores(convolutional_network(rng, [3, 2], n_steps=60), rng))
    network = together(networks)
    found = on_board(network, board, tmp_path, [70, 50])
    local = by(native, network, [70, 50])
    for results in (local, found):      # from several cores two synapses of one pair come back in any order
        results.weights = {label: sorted(results.weights[label]) for label in found.weights}
    assert sum(map(len, local.spikes.values())) > 0
    assert local.differences(replace_saturation(found, local)) == []


def test_several_plastic_projections_beside_a_reward_give_the_same_integers(board, tmp_path):
    """All lists share one mechanism; of several sPyNNaker 7.4.1 tells one alone of the reward, and the core crashes."""
    rng = np.random.default_rng(23)
    spikes = {label: random_spikes((1, 1, size), 1, 60, 1.0, rng) for label, size in (("a", 9), ("b", 7), ("r", 2))}
    rule = STDPMechanism(SpikePairRule(A_plus=0.05, A_minus=0.04), AdditiveWeightDependence(0.0, 3.0))
    network = Network(
        (*(Population(label, one.shape, SpikeSourceArray(one)) for label, one in spikes.items()),
         Population("out", (1, 1, 6), IFCurrExp(v_thresh=-63.0))),
        (Projection("a", "a", "out", DenseConnections(rng.uniform(0.5, 2.0, (9, 6))), plasticity=rule),
         Projection("b", "b", "out", DenseConnections(rng.uniform(0.5, 2.0, (7, 6))), plasticity=rule),
         Projection("r", "r", "out", DenseConnections(np.full((2, 6), 0.1), 1, "machine"), "reward",
                    Neuromodulation(tau_c=100.0, tau_d=20.0, w_max=3.0))))
    local = by(native, network, [60])
    before = [w for p in network.projections[:2] for w in p.connections.weight.ravel()]
    assert len(local.spikes["out"]) > 10 and len(before) == sum(len(local.weights[label]) for label in "ab")
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, [60]), local)) == []
    generated = [replace(p, connections=DenseConnections(np.full(p.connections.weight.shape, w), 1, "machine"))
                 for p, w in zip(network.projections, (1.0, 2.0))]
    with pytest.raises(NetworkError, match="'b'.*lists, or all of one weight and delay, beside a reward"):
        spinnaker.open(replace(network, projections=(*generated, network.projections[2])), target=board,
                       directory=tmp_path / "generated")


@pytest.mark.parametrize("seed", range(3))
def test_images_that_start_at_rest_give_the_same_integers(seed, board, tmp_path):
    """Static networks with delays of up to 20 steps, reset while inputs are on their way; in pieces or by images."""
    rng = np.random.default_rng([seed, 13])
    networks = [random_network(Recipe(
        n_sources=int(rng.integers(1, 3)), n_populations=int(rng.integers(1, 4)), n_projections=int(rng.integers(1, 7)),
        n_samples=3, n_steps=20, spikes_per_step=float(rng.choice([0.5, 2.0, 5.0])),
        weight=float(rng.choice([0.2, 2.0, 20.0])), plastic=False, delta=bool(rng.integers(2)),
        drive=float(rng.choice([0.0, 0.5, 2.0])), varied=True), rng)
        for _ in range(6)] + [convolutional_network(rng, [3, 2], n_steps=20)]
    network = replace(together(networks), reset_every=20)
    chunks = [[60], [20, 13, 7, 20], [7, 33, 20]][seed]
    local = by(native, network, chunks)
    assert sum(map(len, local.spikes.values())) > 0
    assert local.differences(by(native, replace(network, reset_every=0), chunks)) != []
    found = on_board(network, board, tmp_path, chunks)
    found.weights = local.weights                   # they do not change, and those of kernels are not read back
    assert local.differences(replace_saturation(found, local)) == []


def test_learning_without_the_delay_gives_the_same_integers(board, tmp_path):
    """`backprop_delay=False`, recurrent, delays of up to 20 steps."""
    rng = np.random.default_rng(17)
    recipe = Recipe(n_populations=2, n_projections=6, n_steps=75, drive=1.0, delta=True, modulated=False,
                    backprop_delay=False)
    network = together([independent(lambda: random_network(recipe, rng), 150) for _ in range(8)])
    local = by(native, network, [60, 90])
    late = [replace(p, plasticity=replace(p.plasticity, backprop_delay=True)) if p.learns else p
            for p in network.projections]
    changed = local.differences(by(native, replace(network, projections=late), [60, 90]))
    assert sum(name.startswith("weights") for name in changed) > 12
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, [60, 90]), local)) == []


@pytest.mark.parametrize("timestep, chunks", [(0.1, [3, 7, 70]), (0.2, [31, 57]), (0.5, [80]), (2.0, [31, 49])])
def test_other_time_steps_give_the_same_integers(timestep, chunks, board, tmp_path):
    """Both cells, static synapses and every rule, on split cores below 1 ms; runs as long as they were asked for."""
    rng = np.random.default_rng([int(10 * timestep), 14])

    def draw(delta, rule):
        network = replace(random_network(Recipe(
            n_sources=2, n_projections=5, spikes_per_step=float(rng.choice([0.5, 2.0])), rule=rule, delta=delta,
            weight=float(rng.choice([0.2, 2.0])), plastic=bool(rule), modulated=False, drive=1.0), rng),
            timestep=timestep)
        return network if tables(network) < 8000 else draw(delta, rule)

    kinds = [rule for rule in RULES if not rule.startswith("modulated")]
    network = together([independent(partial(draw, delta, rule), sum(chunks))
                        for rule in (None, *kinds) for delta in (False, True)])
    local = by(native, network, chunks)
    assert sum(len(spikes) > 0 for spikes in local.spikes.values()) > len(kinds)
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, chunks), local)) == []


def tables(network):
    """Most numbers in the tables of decay of a rule; a core has no room for long time constants in short steps."""
    rules = [lower(network).projection(p.label).rule for p in network.projections if p.learns]
    return max([0] + [sum(len(getattr(rule, name)) for name in layout.TABLES) for rule in rules])


@pytest.mark.parametrize("timestep", [0.2, 2.0])
def test_rewards_and_convolutions_at_other_time_steps_give_the_same_integers(timestep, board, tmp_path):
    rng = np.random.default_rng([int(10 * timestep), 15])
    for network, steps in ((together([on_the_board(rule, golden) for rule, golden in MODULATED.items()]), 300),
                           (convolutional_network(rng, [3, 2]), 36)):
        network = replace(network, timestep=timestep)
        local = by(native, network, [steps])
        assert sum(map(len, local.spikes.values())) > 0
        found = on_board(network, board, tmp_path / str(steps), [steps])
        found.weights |= {label: local.weights[label] for label in local.weights.keys() - found.weights.keys()}
        assert local.differences(replace_saturation(found, local)) == []


def oscillator(timestep, delay, size=1):
    """A neuron that fires by itself, in the last step of every image too, and neurons that hear it."""
    cell = IFCurrExp(tau_m=10.0, v_thresh=-60.0, i_offset=3.0, tau_refrac=0.0)
    spikes = Spikes.from_events([0], [0], [3], (1, 1, 1), 1, 60)
    return Network(
        (Population("in", (1, 1, 1), SpikeSourceArray(spikes)), Population("osc", (1, 1, 1), cell),
         Population("out", (1, 1, size), IFCurrExp(v_thresh=-20.0))),
        (Projection("p", "in", "out", ConnectionList([0], [0], [0.5], [1])),
         Projection("q", "osc", "out", ConnectionList([0], [0], [2.0], [delay]))), timestep, reset_every=20)


def test_a_reset_below_1_ms_leaves_nothing_of_the_image_before(board, tmp_path):
    """Cores of synapses have handed over the input of the next step, and ``sim.reset()`` does not take it back."""
    network = together([oscillator(0.5, delay) for delay in (1, 2, 3, 4)])
    local = by(native, network, [60])
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, [60]), local)) == []


def test_a_reset_with_delays_beyond_the_ring_buffer_is_refused_on_a_board(board, tmp_path):
    network = oscillator(1.0, 33, 256)
    assert by(native, network, [60]).spikes["osc"]
    with pytest.raises(NetworkError, match="'q'.delay: must be at most 32 steps on a board in a network that is reset"):
        on_board(network, board, tmp_path, [60])
    text = check.check(check.Subject("n", network, 20), MACHINES["emulated"]).findings[0].text
    assert "must be at most 32 steps on a board" in text


def test_lists_in_several_pieces_keep_the_weight_scale_of_one(board, tmp_path):
    """sPyNNaker adds up the largest inputs of its projections: those of rows of more than 256 synapses, of channels."""
    rng = np.random.default_rng(16)
    spikes = random_spikes((2, 1, 10), 1, 40, 2.0, rng)
    cell = IFCurrExp(v_thresh=-63.0)
    network = Network(
        (Population("in", spikes.shape, SpikeSourceArray(spikes)), Population("many", (1, 1, 300), cell),
         Population("parts", (2, 1, 20), cell, per_channel=True), Population("out", (1, 1, 5), cell)),
        (Projection("p", "in", "many", DenseConnections(np.full((20, 300), 0.9))),
         Projection("q", "in", "parts", DenseConnections(np.full((20, 40), 0.9))),
         Projection("r", "parts", "out", DenseConnections(np.full((40, 5), 0.9)))))
    local = by(native, network, [40])
    assert local.spikes["out"]
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, [40]), local)) == []


def test_the_benchmark_of_fidelity_finds_nothing(benchmark_named, board):
    """Some of its networks; ``python benchmarks/fidelity.py --networks 300`` runs more."""
    fidelity = benchmark_named("fidelity")
    said = []
    found = fidelity.run(7, FIDELITY, board, said.append)
    assert found == [fidelity.IDENTICAL] * len(found), said


@pytest.mark.parametrize("timestep", [0.1, 0.5, 2.0])
def test_poisson_sources_send_the_packets_of_the_local_engine_at_other_time_steps(timestep, board, tmp_path):
    """sPyNNaker alone, because the backend takes no random sources: slow ones and fast ones, one that starts late."""
    values = {"rate": np.array([0.5, 4.0, 30.0, 300.0, 3000.0, 900.0]), "start": np.array([0.0] * 5 + [40.0]),
              "duration": np.array([1e6] * 5 + [70.0])}
    idle = Network((Population("out", (1, 1, 1), IFCurrExp()),), (), timestep)
    with spinnaker.open(idle, target=board, directory=tmp_path) as simulation, simulation._apart():
        source = simulation.sim.Population(6, simulation.sim.SpikeSourcePoisson(
            **{name: part.tolist() for name, part in values.items()}), additional_parameters={"seed": 7})
        source.record("spikes")
        simulation.sim.run(simulation._duration(400))
        trains = source.get_data("spikes").segments[0].spiketrains
        core, = source._vertex.machine_vertices
        seed = tuple(int(word) for word in source._vertex.kiss_seed(core.vertex_slice))
    cell = SpikeSourcePoisson(core_seeds=(seed,))
    drawn = PoissonSource(Population("in", (1, 1, 6), cell, values), timestep).run(400)
    assert drawn.n_events > 100
    for neuron, train in enumerate(trains):
        steps = drawn.steps()[drawn.neurons == neuron]
        assert np.rint(train.magnitude / timestep).astype(int).tolist() == steps.tolist(), neuron


@pytest.mark.parametrize("rule", SPLIT_RULES)
def test_split_cores_give_the_same_integers(rule, board, tmp_path):
    """Neurons on one core, synapses on another, which counts a spike once for each projection onto itself."""
    rng = np.random.default_rng([SPLIT_RULES.index(rule), 11])
    network = together([independent(partial(split_network, rule, loops, rng, delay, backprop_delay), 60)
                        for loops in LOOPS for delay, backprop_delay in ((5, True), (16, loops not in ("P", "PsP")))])
    local = by(native, network, [25, 35])
    assert sum(len(spikes) > 0 for spikes in local.spikes.values()) > len(LOOPS)
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, [25, 35]), local)) == []


@pytest.mark.parametrize("backprop_delay", [True, False])
def test_every_rule_that_a_golden_file_holds_gives_the_same_integers(backprop_delay, board, tmp_path):
    """Neuromodulation among them; there inputs, rewards and spikes have steps of their own."""
    network = together([on_the_board(rule, golden, backprop_delay) for rule, golden in MODULATED.items()])
    local = by(native, network, [300])
    assert (local.weights["from inputs#0"] == MODULATED["add"]["final_weights_raw"]) == backprop_delay
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, [300]), local)) == []


def test_a_list_of_rewards_is_refused_because_sPyNNaker_does_not_write_it(board, tmp_path):
    network = on_the_board("add", MODULATED["add"])
    listed = replace(network.projection("from rewards").connections, rounding="host")
    projections = [replace(p, connections=listed) if p.label == "from rewards" else p for p in network.projections]
    with pytest.raises(NetworkError, match="'from rewards'.connections.rounding: must be 'machine' behind a reward"):
        on_board(Network(network.populations, projections), board, tmp_path, [20])


def replace_saturation(results, other):
    """A board does not tell its saturated slots by population."""
    return Results(results.spikes, results.membranes, results.weights, other.saturated)


@pytest.mark.parametrize("seed", range(2))
def test_convolutions_as_lists_give_the_same_integers(seed, board, tmp_path):
    rng = np.random.default_rng([seed, 8])
    network = together([convolutional_network(rng, [3, 2], competing=competing) for competing in (False, True, True)])
    local = by(native, network, [36], record=())
    assert sum(map(len, local.spikes.values())) > 0
    assert local.spikes == on_board(network, board, tmp_path, [36]).spikes


KERNELS = [     # kernel, pool, rows, padding
    ((3, 3), (1, 1), 9, (0, 0)), ((5, 3), (1, 1), 12, (0, 0)), ((3, 5), (2, 1), 18, (0, 0)),
    ((1, 3), (1, 2), 7, (0, 0)),
    ((3, 3), (1, 1), 9, (1, 1)), ((5, 3), (1, 1), 7, (3, 0)), ((3, 5), (2, 1), 18, (1, 2))]


def through_a_connector(kernel, pool, rows, padding):
    """A network of one convolution, of those that sPyNNaker has a connector for."""
    rng = np.random.default_rng([rows, 9])
    spikes = random_spikes((2, rows, 22), 2, 30, 6.0, rng)
    connections = ConvConnections(rng.normal(0.2, 1.0, (3, 2, *kernel)), spikes.shape, pool=pool, padding=padding)
    cell = IFCurrExp(tau_m=9.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=2.0, tau_syn_E=2.0, tau_syn_I=3.0, v=0.0)
    network = Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                       Population("maps", connections.post_shape, cell, per_channel=True)),
                      (Projection("conv", "in", "maps", connections),))
    connectors, choices = spinnaker.convolutions(network)
    assert list(connectors) == ["conv"] and choices["conv"].startswith("ConvolutionConnector")
    return network


def test_convolutions_are_the_same_through_the_connector_and_through_lists(board, tmp_path):
    network = together([through_a_connector(*one) for one in KERNELS])
    local = by(native, network, [60], record=())
    assert min(len(spikes) for label, spikes in local.spikes.items() if label.startswith("maps")) > 20
    assert len(spinnaker.convolutions(network)[0]) == len(KERNELS)
    assert local.spikes == on_board(network, board, tmp_path / "connector", [60]).spikes
    with patch.object(spinnaker, "convolutions", lambda network: ({}, {})):
        assert local.spikes == on_board(network, board, tmp_path / "lists", [60]).spikes


def test_a_residual_network_gives_the_same_integers(board, tmp_path):
    """Padding, strides, groups, kernels of even size, several convolutions into a layer and offsets of each neuron."""
    rng, cell = np.random.default_rng(3), Convert.neuron
    model = Sequential(
        (2, 8, 8), Conv2D(4, 3, padding=1, neuron=cell), Conv2D(4, (2, 3), padding=(1, 1), groups=4, neuron=cell),
        Conv2D(6, 3, strides=2, padding=1, after=1, neuron=cell),
        Conv2D(6, 3, padding=1, neuron=cell, shortcuts=(Shortcut(1, strides=2), Shortcut(0, 3, padding=1, pool=2))),
        Dense(5, neuron=cell, shortcuts=(Shortcut(2, (9, 8)),)), SpikeCount())
    layers = [TrainedLayer(rng.normal(0.05, 0.3, stage.main.kernel_shape), np.full(stage.out_shape[0], 1.0),
                           rng.normal(0.0, 0.02, stage.out_shape),
                           shortcuts=tuple(rng.normal(0.05, 0.3, one.kernel_shape) for one in stage.shortcuts))
              for stage in model.stages]
    network = build.inference_network(model.stages, layers, random_spikes((2, 8, 8), 2, 30, 12.0, rng), reset=True)
    local = by(native, network, [60], record=())
    assert min(len(local.spikes[stage.label]) for stage in model.stages) > 20
    assert local.spikes == on_board(network, board, tmp_path, [60]).spikes


def test_a_convolution_with_a_stride_becomes_lists_and_the_reason_is_said():
    connections = ConvConnections(np.ones((2, 1, 3, 3)), (1, 7, 7), strides=(2, 2))
    spikes = random_spikes((1, 7, 7), 1, 5, 1.0, np.random.default_rng(0))
    network = Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                       Population("maps", connections.post_shape, IFCurrExp(), per_channel=True)),
                      (Projection("conv", "in", "maps", connections),))
    connectors, choices = spinnaker.convolutions(network)
    assert not connectors and "lists of connections, because ConvConnections.strides" in choices["conv"]


def test_training_and_testing_on_the_board_store_what_the_local_backend_stores(parameters, tmp_path):
    """Two layers from real digits, the first competing: weights, thresholds, features and predictions, bit for bit."""
    made = {}
    path = with_strides(parameters(layers=2, lateral=60.0, N_TRAIN=6, N_VALIDATION=0, N_TEST=3))
    path.write_text(path.read_text().replace("windows=60", "windows=12").replace("windows=40", "windows=8"))
    for backend, target in (("local", None), ("spinnaker", "emulated")):
        experiment = Experiment(settings.load(path), tmp_path / backend, backend, target=target)
        experiment.load_data()
        for layer in (1, 2):
            experiment.train_layer(layer)
        experiment.train_svm()
        made[backend] = experiment, experiment.test()
    for name in ("layers/1", "layers/2", "features/train-000", "features/test-000", "svm"):
        files = [np.load(made[backend][0].store.file(name), allow_pickle=False) for backend in made]
        for key in set(files[0].files) - {"how", "made_from", "seal"}:
            assert np.array_equal(files[0][key], files[1][key]), (name, key)
    assert np.array_equal(made["local"][1].confusion, made["spinnaker"][1].confusion)
    assert made["spinnaker"][0].layer(1)["how"]["made_on"] == "emulated"
    silenced, free = (spikes_with(lateral, made["local"][0]) for lateral in (60.0, 0.0))
    assert 0 < silenced < 0.8 * free


def with_strides(path):
    """A parameters file whose first layer has a quarter of the neurons; of kernels of even size a board has lists."""
    path.write_text(path.read_text().replace("Conv2D(4, (5, 4)", "Conv2D(4, (5, 4), strides=2"))
    return path


def spikes_with(lateral, trained):
    """Spikes with which the first layer answers the test images of an experiment if its maps inhibit each other so."""
    stage, spikes = trained.model.stages[0], trained.data("test")["spikes"]
    network = build.inference_network([replace(stage, layer=replace(stage.layer, lateral=lateral))],
                                      [trained.trained(1)], spikes)
    return len(by(native, network, [spikes.n_samples * spikes.n_steps], record=()).spikes[stage.label])


def test_copies_on_a_board_give_the_features_of_one_network_after_the_other(parameters, tmp_path, monkeypatch):
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 3)
    local = Experiment(settings.load(with_strides(parameters(N_TRAIN=8, N_VALIDATION=0, N_TEST=2))), tmp_path / "local")
    local.load_data()
    local.train_layer(1)
    shutil.copytree(tmp_path / "local", tmp_path / "board")
    on_board = Experiment(local.settings, tmp_path / "board", "spinnaker", target="emulated", copies="auto")
    opened = []
    with patch.object(spinnaker, "open", lambda network, *args, **more: opened.append(len(network.populations) // 2)
                      or open_board(network, *args, **more)):
        assert np.array_equal(on_board.features("train")[0], local.features("train")[0])
    assert opened == [2, 1]         # replicas of 3, 3 and 2 images


def test_what_a_board_generates_itself_arrives_once_however_long_its_rows_are(board, tmp_path):
    spikes = random_spikes((1, 1, 3), 1, 40, 1.0, np.random.default_rng(5))
    cell = IFCurrExp(v_rest=0.0, v_reset=0.0, v_thresh=4.0, v=0.0, tau_refrac=2.0)
    network = Network((Population("in", spikes.shape, SpikeSourceArray(spikes)), Population("out", (1, 1, 300), cell)),
                      (Projection("p", "in", "out", DenseConnections(np.full((3, 300), 1.3), rounding="machine")),))
    local = by(native, network, [40])
    assert local.spikes["out"]
    assert local.differences(replace_saturation(on_board(network, board, tmp_path, [40]), local)) == []


def test_thresholds_set_between_two_runs_reach_the_board(board, tmp_path):
    rng = np.random.default_rng(3)
    network = random_network(Recipe(n_populations=1, n_projections=3, drive=1.0), rng)
    size = network.population("cells 0").size
    thresholds = [{}, {"cells 0": np.round(rng.uniform(-64.0, -60.0, size), 3)}]
    local = by(native, network, [20, 40], thresholds)
    assert local.spikes != by(native, network, [20, 40]).spikes
    found = on_board(network, board, tmp_path, [20, 40], thresholds)
    assert local.differences(replace_saturation(found, local)) == []


def test_nothing_is_read_from_or_written_to_the_home_directory(board, tmp_path, monkeypatch):
    home = tmp_path / "home"
    home.mkdir()
    (home / ".spynnaker.cfg").write_text("[Machine]\nversion = 5\nmachine_name = not.to.be.read\n")
    monkeypatch.setenv("HOME", str(home))
    network = random_network(Recipe(n_populations=1, n_projections=1), np.random.default_rng(0))
    on_board(network, board, tmp_path / "run", [20])
    assert [p.name for p in home.iterdir()] == [".spynnaker.cfg"]
    assert (tmp_path / "run" / ".spynnaker.cfg").exists()


def test_a_configuration_in_the_current_directory_is_refused(board, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("spynnaker.cfg").write_text("[Machine]\nversion = 3\n")
    network = random_network(Recipe(), np.random.default_rng(0))
    with pytest.raises(SettingsError, match="spynnaker.cfg.*override --target"):
        spinnaker.open(network, target=board, directory=tmp_path / "run")


def test_copies_of_a_layer_are_mapped_on_as_many_boards_as_they_need(tmp_path):
    connections = ConvConnections(np.ones((16, 1, 3, 3)), (1, 34, 34))
    spikes = random_spikes((1, 34, 34), 1, 5, 1.0, np.random.default_rng(0))
    layer = Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                     Population("maps", connections.post_shape, IFCurrExp(), per_channel=True)),
                    (Projection("conv", "in", "maps", connections),))
    one, many = mapped(layer, tmp_path), mapped(together([layer] * 12), tmp_path)
    assert one["boards"] == 1 and one["cores"] == 49 + 64 + 17      # monitors, maps of 4 cores, a source of 17
    assert many["boards"] > 1 and many["chips"] > 8 * one["chips"]


def test_a_virtual_board_is_refused_with_the_way_out():
    with pytest.raises(BackendError, match="computes nothing.*--target emulated"):
        spinnaker.open(random_network(Recipe(), np.random.default_rng(0)), target="virtual")


def test_an_address_without_a_board_is_one_sentence(tmp_path):
    network = random_network(Recipe(n_populations=1, n_projections=1), np.random.default_rng(0))
    with pytest.raises(BackendError, match="Failed to communicate.*messages are in"):
        with spinnaker.open(network, target="127.0.0.99", directory=tmp_path) as simulation:
            simulation.run(10)


def test_a_burst_without_time_is_worked_off_as_it_comes(board, tmp_path):
    """700 packets in a step, for 256 places. With time those are lost: test_timed_board.py"""
    step, neuron = np.repeat([5, 9], 700), np.tile(np.arange(700), 2)
    spikes = Spikes.from_events(0 * step, neuron, step, (1, 1, 700), 1, 20)
    weights = np.random.default_rng(0).uniform(0.0, 0.02, (700, 20))
    sources = Population("in", spikes.shape, SpikeSourceArray(spikes))
    network = Network((sources, Population("cells", (1, 1, 20), IFCurrExp())),
                      (Projection("weights", "in", "cells", DenseConnections(weights)),))
    with spinnaker.open(network, ["cells"], target=board, directory=tmp_path) as simulation:
        simulation.run(20)
        found = simulation.recording()
    local = backends.run(network, record=["cells"])
    for name in ("v", "gsyn_exc"):
        assert np.array_equal(found.membranes["cells"][name], local.membranes["cells"][name])
    assert judge(found.provenance).verdict == "valid"


def test_credentials_of_spalloc_never_reach_a_file(tmp_path):
    with machine_section("spalloc:https://me:secret@127.0.0.1:9/spalloc") as (machine, _):
        text = configuration(machine, tmp_path)
        assert "secret" not in text and "me:" not in text and "https://127.0.0.1:9/spalloc" in text
        assert os.environ["SPALLOC_PASSWORD"] == "secret"
    assert "SPALLOC_PASSWORD" not in os.environ


@pytest.mark.parametrize("target, version, host", [
    ("spin3", 3, "192.168.240.253"), ("spin5", 5, "192.168.240.1"), ("spin3:127.0.0.9", 3, "127.0.0.9"),
    ("board.lab", 5, "board.lab"), ("127.0.0.9", 5, "127.0.0.9")])
def test_a_board_is_named_by_kind_or_address(target, version, host):
    with machine_section(target) as (text, _):
        assert f"version = {version}\n" in text and f"machine_name = {host}\n" in text


def test_reward_and_punishment_teach_the_same_weights_on_a_board(board, tmp_path):
    """Flowers of all species, two epochs, each a chunk of the run, over an inhibition."""
    flowers = datasets.load("iris", "train").select(np.arange(9))
    rule = RSTDP(epochs=2, pulses=(4, 3), initial=(0.3, 0.45), inhibition=0.1)
    fields = GaussianReceptiveFields(fields=5).fitted(flowers.images)
    patterns = RegularEncoder(n_steps=16, max_rate=0.5)(fields(flowers.images))
    learned = {}
    for name, opened in (("local", simulator.open), ("board", partial(spinnaker.open, target=board,
                                                                      directory=tmp_path))):
        rng = np.random.default_rng(0)
        initial = rng.uniform(*rule.initial, (patterns.size, 3))
        learned[name] = rstdp.learn(patterns, flowers.labels.astype(int), initial, rng, rule, opened)
    assert np.array_equal(learned["local"][0], learned["board"][0])
    assert learned["local"][1] == learned["board"][1]
    assert sum(learned["local"][1]["wrong"]) > 0 and sum(learned["local"][1]["missing"]) > 0
    assert np.mean(abs(learned["local"][0] - initial) > 0.01) > 0.1


def test_a_chain_of_bp_stdp_answers_the_same_on_a_board(tmp_path):
    """The recipe for the irises, three epochs, four flowers: spikes, membranes of the output, answers."""
    text = (RECIPES / "bpstdp-iris.py").read_text().replace("epochs=30", "epochs=3")
    text = text.replace("N_TEST = 30", "N_TEST = 4")
    (tmp_path / "parameters.py").write_text(text)
    answers = {}
    for backend, target in (("local", None), ("spinnaker", "emulated")):
        experiment = Experiment(settings.load(tmp_path / "parameters.py"), tmp_path / backend, backend, target=target)
        experiment.load_data()
        if backend == "spinnaker":      # training itself simulates nothing but the inputs of its layers
            shutil.copytree(tmp_path / "local" / "layers", tmp_path / backend / "layers")
        else:
            experiment.train_chain("bpstdp")
        answers[backend] = experiment.answers("test")
    for name, found in answers["local"].items():
        assert np.array_equal(found, answers["spinnaker"][name]), name
    assert answers["local"]["spikes"].sum(axis=0).all()
