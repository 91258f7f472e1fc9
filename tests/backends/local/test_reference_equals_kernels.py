"""The kernels give the reference's integers, on random networks of any wiring and on random convolutions."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_networks import (
    LOOPS,
    RULES,
    SPLIT_RULES,
    Recipe,
    by_kernels,
    by_lists,
    by_reference,
    chunked,
    convolutional_network,
    events,
    random_network,
    random_spikes,
    split_network,
)

from spikingconvnet import backends
from spikingconvnet.backends.local import layout, simulator
from spikingconvnet.backends.local.conv_stage import MAPS_PER_BLOCK, ConvStage
from spikingconvnet.board.lowering import lower
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, IFCurrExpCa2Adaptive, SpikeSourceArray
from spikingconvnet.network.plasticity import PfisterSpikeTripletRule
from spikingconvnet.network.spikes import Spikes

STEPS = 60      # as many as the sources of a recipe have
BLOCK = MAPS_PER_BLOCK
recipes = st.builds(
    Recipe, n_sources=st.integers(0, 2), n_populations=st.integers(1, 3), n_projections=st.integers(0, 7),
    largest_delay=st.integers(1, 20), spikes_per_step=st.sampled_from([0.0, 0.3, 2.0, 6.0]),
    weight=st.sampled_from([0.001, 0.3, 2.0, 40.0]), plastic=st.booleans(), delta=st.booleans(),
    rule=st.sampled_from([None, *RULES]), varied=st.booleans(),
    drive=st.sampled_from([0.0, 0.5, 4.0]), max_expected_summed_weight=st.sampled_from([None, None, 0.3, 4.0]),
    backprop_delay=st.booleans())


def seeded_recipe(seed):
    """Recipes by turns: small and large weights, silent and driven cells, cut ring buffers, every rule and none."""
    rng = np.random.default_rng([seed, 1])
    return Recipe(n_sources=int(rng.integers(1, 3)), n_populations=int(rng.integers(1, 4)), n_projections=6,
                  largest_delay=int(rng.choice([1, 2, 4, 7, 20])), plastic=seed % 4 != 0, delta=seed % 3 == 0,
                  weight=float(rng.choice([0.3, 2.0, 40.0])), drive=float(rng.choice([0.5, 4.0])),
                  max_expected_summed_weight=[None, None, 1.0][seed % 3], rule=[*RULES, None][seed % (len(RULES) + 1)],
                  backprop_delay=seed % 7 > 1)


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(recipes, st.integers(0, 2 ** 32 - 1))
def test_any_network_gives_the_same_integers_in_both_engines(recipe, seed):
    network = random_network(recipe, np.random.default_rng(seed))
    assert by_reference(network, [STEPS]).differences(by_kernels(network, [STEPS])) == []


@pytest.mark.parametrize("seed", range(24))
def test_adaptation_currents_give_the_same_integers_in_both_engines(seed):
    rng = np.random.default_rng([seed, 3])
    network = random_network(replace(seeded_recipe(seed), adaptive=True, drive=2.0), rng)
    network = replace(network, timestep=[1.0, 1.0, 0.5, 2.0][seed % 4])
    assert by_reference(network, [STEPS]).differences(by_kernels(network, [STEPS])) == []


@pytest.mark.parametrize("timestep", [0.1, 0.2, 0.5, 2.0])
@pytest.mark.parametrize("seed", range(8))
def test_at_other_time_steps_too(seed, timestep):
    rng = np.random.default_rng([seed, int(10 * timestep)])
    network = replace(random_network(replace(seeded_recipe(seed), delta=True), rng), timestep=timestep)
    assert by_reference(network, [STEPS]).differences(by_kernels(network, [STEPS])) == []


@pytest.mark.parametrize("seed", range(60))
def test_a_run_in_pieces_with_new_thresholds_in_between_gives_the_same_integers_in_both_engines(seed):
    rng = np.random.default_rng(seed)
    network = random_network(seeded_recipe(seed), rng)
    chunks = chunked(STEPS, rng)
    thresholds = [{p.label: np.round(rng.uniform(-64, -56, p.size), 3) for p in network.populations
                   if not p.is_source and rng.random() < 0.5} for _ in chunks]
    assert by_reference(network, chunks, thresholds).differences(by_kernels(network, chunks, thresholds)) == []


@pytest.mark.parametrize("seed", range(12))
def test_a_run_in_pieces_equals_one_run(seed):
    rng = np.random.default_rng(seed)
    network = random_network(replace(seeded_recipe(seed), plastic=True), rng)
    assert by_kernels(network, [STEPS]).differences(by_kernels(network, chunked(STEPS, rng))) == []
    assert by_reference(network, [STEPS]).differences(by_reference(network, chunked(STEPS, rng))) == []


@pytest.mark.parametrize("seed", range(40))
def test_resets_give_the_same_integers_in_both_engines_whatever_the_pieces(seed):
    rng = np.random.default_rng([seed, 9])
    network = random_network(replace(seeded_recipe(seed), plastic=False), rng)
    network = replace(network, reset_every=int(rng.choice([1, 2, 7, 15, 40, STEPS])))
    reference, chunks = by_reference(network, [STEPS]), chunked(STEPS, rng)
    assert reference.differences(by_kernels(network, chunks)) == []
    assert reference.differences(by_kernels(network, chunks, record=())) == []


@pytest.mark.parametrize("seed", range(40))
def test_resets_of_a_convolution_give_the_same_integers_whatever_the_pieces(seed):
    """Delays of up to four steps: inputs on their way are lost when the images change."""
    rng = np.random.default_rng([seed, 10])
    network = convolutional_network(rng, [[2, BLOCK + 1], [7], [33, 3]][seed % 3], [6.0, 0.3][seed % 2])
    last = network.populations[-1]
    drawn = {name: np.round(rng.uniform(low, 0.8, last.size), 3) for name, low in (("i_offset", -0.5), ("v", -1.0))}
    populations = [*network.populations[:-1], replace(last, values=last.values | drawn)]
    network = Network(populations, network.projections, reset_every=int(rng.choice([1, 2, 3, 11, 12, 36])))
    chunks = chunked(60, rng)
    with simulator.open(network, jobs=1) as simulation:
        assert {type(stage) for stage in simulation._stages} == {ConvStage}
    reference = by_reference(network, [60])
    for found in (by_kernels(network, chunks, record=()), by_kernels(network, chunks), by_lists(network, chunks)):
        assert reference.differences(found) == []


@pytest.mark.parametrize("seed", range(20))
def test_maps_that_compete_give_the_same_integers(seed):
    rng = np.random.default_rng([seed, 14])
    network = convolutional_network(rng, [[2, 9], [7], [33, 3]][seed % 3], [6.0, 0.3][seed % 2], competing=True)
    network = replace(network, reset_every=[0, 12][seed % 4 == 3])
    chunks = chunked(36, rng)
    reference = by_reference(network, [36])
    for found in (by_kernels(network, chunks, record=()), by_kernels(network, chunks), by_lists(network, chunks)):
        assert reference.differences(found) == []


@pytest.mark.parametrize("stage", ["convolution", "general"])
def test_every_image_gives_what_it_would_give_alone(stage, monkeypatch):
    network = replace(convolutional_network(np.random.default_rng(3), [5, 3]), reset_every=12)
    labels = ["map 0", "map 1"]
    if stage == "general":
        monkeypatch.setattr(simulator, "_is_uniform_convolution", lambda *_: False)
    whole = backends.run(network)
    source = network.population("input")
    for sample in range(3):
        cell = SpikeSourceArray(source.cell.spikes.samples(sample, sample + 1))
        alone = backends.run(Network([replace(source, cell=cell), *network.populations[1:]], network.projections))
        assert all(alone.spikes[label] == whole.spikes[label].samples(sample, sample + 1) for label in labels)
    assert whole.spikes["map 1"].n_events > 0


@pytest.mark.parametrize("rule", SPLIT_RULES)
@pytest.mark.parametrize("loops", LOOPS)
def test_spikes_that_come_back_on_split_cores_give_the_same_integers_in_both_engines(rule, loops):
    rng = np.random.default_rng([SPLIT_RULES.index(rule), LOOPS.index(loops), 4])
    for backprop_delay in (True, True, True, False):
        network = split_network(rule, loops, rng, int(rng.choice([5, 16, 20])), backprop_delay)
        assert by_reference(network, [STEPS]).differences(by_kernels(network, [STEPS])) == []


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [13, 70])
@pytest.mark.parametrize("backprop_delay", [True, False])
def test_rows_longer_and_shorter_than_vectors_learn_the_same_in_both_engines(rule, size, backprop_delay):
    """Layers as training has them: every input to every neuron, and lateral inhibition."""
    rng = np.random.default_rng([size, 3])
    mechanism, modulation = RULES[rule](0.1, 1.0, rng)
    mechanism = replace(mechanism, backprop_delay=backprop_delay)
    shape = (1, 3, 4)
    cell = IFCurrExp(tau_m=10.0, v_thresh=-64.0, tau_syn_E=2.0, tau_syn_I=3.0)
    populations = [Population("in", shape, SpikeSourceArray(random_spikes(shape, 3, 40, 1.0, rng))),
                   Population("out", (size, 1, 1), cell, {"v_thresh": rng.uniform(-64.5, -62.0, size)})]
    projections = [
        Projection("w", "in", "out", DenseConnections(rng.uniform(0.2, 0.8, (12, size))), plasticity=mechanism),
        Projection("lateral", "out", "out", LateralInhibition(size, 0.2), "inhibitory"),
        Projection("back", "out", "out", LateralInhibition(size, 0.1, 2), plasticity=mechanism)]
    if modulation:
        some = ConnectionList([0] * size, np.arange(size), rng.uniform(0.0, 0.3, size), [1] * size)
        projections.append(Projection("reward", "in", "out", some, "reward", modulation))
    network = Network(populations, projections)
    results = by_kernels(network, [50, 70])
    assert by_reference(network, [120]).differences(results) == []
    assert len(results.spikes["out"]) > size and results.weights["w"] != by_kernels(network, [1]).weights["w"]


def bursts_beyond_16_bits(network, projection, results):
    """Whether a postsynaptic neuron fires 17 times, never 4 steps apart: its slower trace then passes 32767."""
    if not isinstance(projection.plasticity.timing_dependence, PfisterSpikeTripletRule):
        return False
    times = [[t for t, n in results.spikes[projection.post] if n == neuron and t > 0]
             for neuron in range(network.population(projection.post).size)]
    return any(max(np.diff(t[k:k + 17])) < 4 for t in times for k in range(len(t) - 16))


def test_the_random_networks_meet_what_they_are_meant_to_meet():
    met = Counter()
    for seed in range(100):
        network = random_network(seeded_recipe(seed), np.random.default_rng(seed))
        results, first = (by_kernels(network, [steps]) for steps in (STEPS, 1))
        met["spikes"] += sum(len(s) for s in results.spikes.values())
        met["cut slots"] += any(results.saturated.values())
        rows = [s for p in network.populations if p.is_source for s in [p.cell.spikes.raster()]]
        met["two spikes in a step"] += any((r > 1).any() for r in rows)
        for p in network.projections:
            connections = p.connections.to_list()
            pre = network.population(p.pre)
            met["plastic from neurons"] += p.learns and not pre.is_source and len(connections.pre) > 0
            met["plastic from a source"] += p.learns and pre.is_source and len(connections.pre) > 0
            met["inhibitory plastic"] += p.learns and p.receptor == "inhibitory"
            met["into itself"] += p.pre == p.post
            met["nothing"] += len(connections.pre) == 0
            met["a pair connected twice"] += len(set(zip(connections.pre, connections.post))) < len(connections.pre)
            met["rewards"] += p.receptor == "reward"
            met["punishments"] += p.receptor == "punishment"
            if p.learns and len(connections.pre):
                raw, end = results.weights[p.label], first.weights[p.label]
                met["learned"] += raw != end
                rule = lower(network).projection(p.label).rule
                met[f"learned by {rule.kind}"] += raw != end
                met["slow traces beyond 16 bits"] += bursts_beyond_16_bits(network, p, results)
        met["history overflow"] += max((Counter(n for _, n in s).most_common(1)[0][1] for s in
                                        results.spikes.values() if s), default=0) > 16
    missing = [what for what, n in met.items() if n < 3]
    assert not missing and len(met) == 14 + len(layout.RULES) and met["spikes"] > 9_000


@pytest.mark.parametrize("seed", range(60))
def test_a_convolution_gives_the_same_integers_as_a_stage_as_a_list_and_in_the_reference(seed):
    rng = np.random.default_rng(seed)
    network = convolutional_network(rng, [[1, 7, 33, BLOCK + 1, 2 * BLOCK + 3][seed % 5]], [6.0, 0.2][seed % 2])
    steps = 90          # 54 more than the source has, so that rows come to rest
    reference = by_reference(network, [steps])
    with simulator.open(network, jobs=1) as simulation:
        assert [type(stage) for stage in simulation._stages] == [ConvStage]
    assert reference.differences(by_kernels(network, chunked(steps, rng), record=(), jobs=2)) == []
    assert reference.differences(by_kernels(network, chunked(steps, rng))) == []
    assert reference.differences(by_lists(network, [steps])) == []


@pytest.mark.parametrize("seed", range(30))
def test_the_voltages_of_a_convolution_between_pieces_are_the_references(seed):
    """Nothing is recorded here, so that neurons at rest are passed over."""
    maps, activity = [2, BLOCK + 1][seed % 2], [5.0, 0.2][seed % 3 == 0]
    network = convolutional_network(np.random.default_rng([seed, 2]), [maps], activity)
    expected = by_reference(network, [91]).membranes["map 0"]["v"]
    with simulator.open(network, jobs=1) as simulation:
        stage = simulation._stages[0]
        inside = stage._per_lane(np.ones(expected.shape[1]), 0) == 1
        for steps in (9, 2, 25, 54):
            simulation.run(steps)
            assert np.array_equal(stage.v[inside], stage._per_lane(expected[simulation.t], 0)[inside])


def test_the_random_convolutions_fire_and_fill_ring_buffers():
    rows = [by_kernels(convolutional_network(np.random.default_rng(seed), [7]), [36], record=()) for seed in range(60)]
    assert sum(len(r.spikes["map 0"]) > 20 for r in rows) > 30 and sum(r.saturated["map 0"] > 0 for r in rows) > 9


@pytest.mark.parametrize("seed", range(8))
def test_new_thresholds_between_pieces_reach_a_convolution(seed):
    rng = np.random.default_rng(seed)
    network = convolutional_network(rng, [[5, BLOCK + 8][seed % 2]])
    size = network.population("map 0").size
    thresholds = [{}, *({"map 0": np.round(rng.uniform(0.2, 2.0, size), 3)} for _ in range(2))]
    chunks = [13, 9, 14]
    assert by_reference(network, chunks, thresholds).differences(
        by_kernels(network, chunks, thresholds, record=())) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_chain_of_convolutions_is_the_second_one_fed_with_the_spikes_of_the_first(seed):
    rng = np.random.default_rng(seed)
    network = convolutional_network(rng, [[3, BLOCK + 3][seed % 2], 4])
    whole = by_kernels(network, [36], record=())
    assert by_reference(network, [36]).differences(whole) == []
    first = Network(network.populations[:2], network.projections[:1])
    fired = backends.run(first, jobs=1).spikes["map 0"]
    assert events(fired) == whole.spikes["map 0"] and (fired.n_samples, fired.n_steps) == (3, 12)
    replayed = Network([Population("map 0", fired.shape, SpikeSourceArray(fired)), network.populations[2]],
                       network.projections[1:])
    assert by_kernels(replayed, [36], record=()).spikes["map 1"] == whole.spikes["map 1"]


def resting_convolution(n_steps, **cell):
    """A convolution whose input is silent."""
    connections = ConvConnections(np.ones((2, 1, 2, 3)), (1, 3, 5))
    return Network([Population("input", (1, 3, 5), SpikeSourceArray(Spikes.empty((1, 3, 5), 1, n_steps))),
                    Population("map", connections.post_shape, IFCurrExp(v_rest=0.0, v=0.0, **cell), per_channel=True)],
                   [Projection("p", "input", "map", connections)])


@pytest.mark.parametrize("tau_refrac", [0.0, 3.0])
def test_a_convolution_at_rest_wakes_when_its_thresholds_fall_below_it(tau_refrac):
    network = resting_convolution(30, v_thresh=1.0, v_reset=-0.5, tau_refrac=tau_refrac)
    thresholds = [{}, {"map": [-0.25, 1.0] * 6}, {"map": [1.0] * 12}]
    results = by_kernels(network, [12, 14, 4], thresholds, record=())
    assert by_reference(network, [12, 14, 4], thresholds).differences(results) == []
    assert {n for _, n in results.spikes["map"]} == {0, 2, 4, 6, 8, 10} and min(results.spikes["map"])[0] == 12


@pytest.mark.parametrize("tau_refrac", [0.0, 3.0])
def test_a_convolution_that_fires_without_moving_does_not_fall_asleep(tau_refrac):
    network = resting_convolution(20, v_thresh=0.0, v_reset=0.0, tau_refrac=tau_refrac)
    assert by_kernels(network, [20], record=()).spikes["map"] == [(t, n) for t in range(20) for n in range(12)]


def test_a_convolution_sleeps_no_sooner_than_its_refractory_time_ends():
    network = resting_convolution(20, v_thresh=1.0, v_reset=2.0, tau_refrac=5.0, i_offset=0.0)
    thresholds = [{"map": [-1.0] * 12}, {"map": [3.0] * 12}, {"map": [1.0] * 12}]
    results = by_kernels(network, [1, 9, 10], thresholds, record=())
    assert by_reference(network, [1, 9, 10], thresholds).differences(results) == []


def test_more_spikes_than_the_first_buffer_of_a_row_holds_are_all_kept():
    shape = (2, 3, 40)
    kernels = np.full((40, 2, 2, 3), 0.5)
    cell = IFCurrExp(v_rest=0.0, v_reset=0.0, v_thresh=-1.0, v=0.0, tau_refrac=0.0)         # fires in every step
    connections = ConvConnections(kernels, shape)
    network = Network(
        [Population("input", shape, SpikeSourceArray(random_spikes(shape, 1, 40, 3.0, np.random.default_rng(0)))),
         Population("map", connections.post_shape, cell, per_channel=True)],
        [Projection("p", "input", "map", connections)])
    spikes = backends.run(network).spikes["map"]
    assert (spikes.raster() == 1).all()


def test_the_general_stage_gives_the_same_integers_whatever_its_buffer_of_spikes(monkeypatch):
    network = random_network(seeded_recipe(5), np.random.default_rng(5))
    whole = by_kernels(network, [STEPS])
    monkeypatch.setattr(simulator.GeneralStage, "BUFFERED_SPIKES", 200)
    assert whole.differences(by_kernels(network, [STEPS])) == []


def test_weights_without_a_map_in_the_last_block_and_a_shift_of_every_map():
    """Maps of very different weights choose different ring-buffer scales, also beyond a block's edge."""
    rng = np.random.default_rng(3)
    shape = (2, 4, 6)
    kernels = rng.normal(0, 1, (BLOCK + 9, 2, 3, 2)) * 4.0 ** rng.integers(-3, 5, BLOCK + 9)[:, None, None, None]
    connections = ConvConnections(kernels, shape, (1, 2), delay=3)
    cell = IFCurrExp(v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0)
    network = Network([Population("input", shape, SpikeSourceArray(random_spikes(shape, 2, 15, 4.0, rng))),
                       Population("map", connections.post_shape, cell, per_channel=True)],
                      [Projection("p", "input", "map", connections)])
    reference = by_reference(network, [30])
    assert len(set(simulator.lower(network).populations["map"].shift[0].tolist())) > 3
    assert reference.differences(by_kernels(network, [30], record=())) == []


def test_a_convolution_into_a_recurrent_population_and_a_list_beside_it():
    rng = np.random.default_rng(4)
    shape = (2, 4, 5)
    connections = ConvConnections(rng.normal(0, 3, (6, 2, 2, 3)), shape, (2, 1), delay=2)
    cell = IFCurrExp(v_rest=0.0, v_reset=-1.0, v_thresh=1.5, v=0.0)
    back = ConnectionList(rng.integers(0, 3, 30), rng.integers(0, 36, 30), rng.gamma(1, 2, 30), rng.integers(1, 5, 30))
    forth = ConnectionList(rng.integers(0, 36, 30), rng.integers(0, 3, 30), rng.gamma(1, 2, 30), rng.integers(1, 5, 30))
    assert connections.post_shape == (6, 2, 3)
    network = Network([Population("input", shape, SpikeSourceArray(random_spikes(shape, 2, 20, 3.0, rng))),
                       Population("map", connections.post_shape, cell), Population("loop", (1, 1, 3), cell)],
                      [Projection("p", "input", "map", connections), Projection("back", "loop", "map", back),
                       Projection("forth", "map", "loop", forth)])
    assert by_reference(network, [40]).differences(by_kernels(network, [40], record=())) == []


@pytest.mark.parametrize("seed", range(8))
def test_layers_of_weights_of_both_signs_give_the_same_integers_whatever_the_pieces(seed):
    """With gaps of all lengths and several delays, with resets and without."""
    rng = np.random.default_rng([seed, 11])
    n_in, n, steps = 20, int(rng.integers(129, 300)), 600
    pre, post = np.nonzero(rng.random((n_in, n)) < [0.3, 0.9, 1.0][seed % 3])
    connections = ConnectionList(pre, post, rng.normal(0.2, 1.0, len(pre)), rng.integers(1, 4, len(pre)), signed=True)
    spikes = random_spikes((1, 1, n_in), 1, steps, 2.0, rng)
    cell = IFCurrExp(tau_m=10.0, cm=1.0, v_thresh=-60.0, tau_refrac=1.0)
    network = Network((Population("in", spikes.shape, SpikeSourceArray(spikes)), Population("cells", (1, 1, n), cell)),
                      (Projection("weights", "in", "cells", connections),), reset_every=[0, 25][seed % 2])
    found = by_kernels(network, [steps], record=())
    assert by_reference(network, [steps]).differences(found) == []
    assert found.differences(by_kernels(network, chunked(steps, rng), record=())) == []
    fired = [step for step, _ in found.spikes["cells"]]
    assert min(fired) < 100 and max(fired) > 550


@pytest.mark.parametrize("seed", range(6))
def test_a_convolution_whose_neurons_adapt_gives_the_same_integers(seed):
    """It looks like one for the fast stage, which knows no adaptation."""
    rng = np.random.default_rng([seed, 8])
    network = convolutional_network(rng, [3])
    adapting = [replace(p, cell=IFCurrExpCa2Adaptive(**vars(p.cell), tau_ca2=9.0, i_alpha=0.7)) if p.label == "map 0"
                else p for p in network.populations]
    changed = replace(network, populations=adapting)
    found = by_reference(changed, [36])
    assert found.differences(by_kernels(changed, [36], record=())) == []
    assert found.differences(by_kernels(changed, [36])) == []
    assert seed or found.spikes != by_reference(network, [36]).spikes
