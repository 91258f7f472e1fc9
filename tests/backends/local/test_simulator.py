"""The local backend as its users call it: stages, threads, pieces of a run, recordings, warnings and refusals."""

import numpy as np
import pytest
from random_networks import Recipe, by_kernels, convolutional_network, events, random_network, random_spikes

from spikingconvnet import backends
from spikingconvnet.backends import get_backend
from spikingconvnet.backends.local import native, simulator
from spikingconvnet.backends.local.conv_stage import MAPS_PER_BLOCK
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, STDPMechanism
from spikingconvnet.network.spikes import Spikes

LIVELY = IFCurrExp(v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0)
LEARNING = STDPMechanism(weight_dependence=AdditiveWeightDependence(0.0, 2.0))


def population(label, shape=(1, 2, 3), cell=LIVELY, **more):
    return Population(label, shape, cell, **more)


def source(label="in", shape=(1, 2, 2), n_samples=3, n_steps=8, per_step=2.0, seed=0):
    return Population(label, shape, SpikeSourceArray(
        random_spikes(shape, n_samples, n_steps, per_step, np.random.default_rng(seed))))


def dense(label, pre, post, weight=1.0, delay=2, **more):
    connections = DenseConnections(np.full((pre.size, post.size), weight), delay)
    return Projection(label, pre.label, post.label, connections, **more)


def two_layers(weight=1.0, **more):
    first, second = source(), population("out", **more)
    return Network([first, second], [dense("p", first, second, weight)])


# Threads, pieces, repetition


@pytest.mark.parametrize("seed", [1, 3, 4, 5])
def test_neither_threads_nor_the_number_of_samples_at_a_time_changes_an_integer(seed):
    network = convolutional_network(np.random.default_rng(seed), [MAPS_PER_BLOCK + 2, 5])
    whole = by_kernels(network, [36], record=(), jobs=1)
    assert sum(len(s) for s in whole.spikes.values()) > 0
    for jobs in (1, 2):
        for chunks in ([36], [12, 12, 12], [24, 12]):
            assert whole.differences(by_kernels(network, chunks, record=(), jobs=jobs)) == []


@pytest.mark.parametrize("most", [1, 100])       # a step at a time; some
def test_what_is_too_large_for_one_go_is_simulated_in_portions(monkeypatch, most):
    network = random_network(Recipe(), np.random.default_rng(most))
    labels = [p.label for p in network.populations if not p.is_source]
    whole = by_kernels(network, [network.source_steps], record=labels)
    shown = []
    monkeypatch.setattr(simulator, "LARGEST_RUN", most)
    monkeypatch.setattr(simulator.Simulation, "_run", lambda self, n_steps, run=simulator.Simulation._run: (
        shown.append(n_steps), run(self, n_steps)))
    assert whole.differences(by_kernels(network, [network.source_steps], record=labels)) == []
    assert max(shown) < network.source_steps and sum(shown) % network.source_steps == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_same_network_twice_gives_equal_recordings(seed):
    network = random_network(Recipe(), np.random.default_rng(seed))
    labels = [p.label for p in network.populations if not p.is_source]
    first, second = (backends.run(network, record=labels) for _ in range(2))
    assert first.spikes == second.spikes and first.saturated == second.saturated and first.warnings == second.warnings
    for label in labels:
        for name in ("v", "gsyn_exc", "gsyn_inh"):
            assert np.array_equal(first.membranes[label][name], second.membranes[label][name])


def test_a_network_is_not_changed_by_a_run():
    network = random_network(Recipe(), np.random.default_rng(1))
    before = [p.connections.to_list().weight.copy() for p in network.projections]
    backends.run(network)
    assert all(np.array_equal(b, p.connections.to_list().weight) for b, p in zip(before, network.projections))


# Recording


def test_run_covers_the_samples_of_the_sources_and_keeps_their_grouping():
    spikes = backends.run(two_layers()).spikes["out"]
    assert (spikes.shape, spikes.n_samples, spikes.n_steps) == ((1, 2, 3), 3, 8) and spikes.n_events > 0


def test_a_recording_clears_what_was_recorded_but_not_the_network():
    network = two_layers()
    whole = backends.run(network, record=["out"])
    with simulator.open(network, ["out"]) as simulation:
        simulation.run(16)
        first = simulation.recording()
        simulation.run(8)
        second = simulation.recording()
        empty = simulation.recording()
    assert (first.spikes["out"].n_samples, second.spikes["out"].n_samples) == (2, 1)
    assert Spikes.concatenate([first.spikes["out"], second.spikes["out"]]) == whole.spikes["out"]
    v = np.concatenate([r.membranes["out"]["v"] for r in (first, second)])
    assert np.array_equal(v, whole.membranes["out"]["v"])
    assert empty.spikes == {} and empty.membranes == {}


def test_a_piece_that_is_no_whole_number_of_samples_is_one_sample():
    with simulator.open(two_layers()) as simulation:
        simulation.run(5)
        spikes = simulation.recording().spikes["out"]
    assert (spikes.n_samples, spikes.n_steps) == (1, 5)


def test_only_the_populations_asked_for_have_membranes_and_they_are_in_mv_and_na():
    first, second, third = source(), population("a"), population("b", (1, 1, 2))
    network = Network([first, second, third], [dense("p", first, second), dense("q", second, third)])
    recording = backends.run(network, record=["b"])
    assert set(recording.membranes) == {"b"} and set(recording.spikes) == {"a", "b"}
    v = recording.membranes["b"]["v"]
    assert v.shape == (24, 2) and v.dtype == np.int32
    assert np.array_equal(recording.membrane("b"), v / 32768.0) and recording.membrane("b").max() <= 1.0
    assert recording.membrane("b", "gsyn_exc").max() > 0


@pytest.mark.parametrize("label", ["nothing", "in"])
def test_an_unknown_label_to_record_is_refused_with_the_labels_there_are(label):
    with pytest.raises(NetworkError, match=rf"record: .*'{label}'.*\['out'\]"):
        simulator.open(two_layers(), [label])


@pytest.mark.parametrize("seed", range(8))
def test_neurons_asked_for_have_the_membranes_of_their_population_in_the_order_asked_for(seed):
    rng = np.random.default_rng(seed)
    network = random_network(Recipe(n_populations=3, n_projections=7), rng)
    cells = [p for p in network.populations if not p.is_source]
    asked = {p.label: rng.permutation(p.size)[:int(rng.integers(0, p.size + 1))] for p in cells[:2]}
    whole = backends.run(network, record=[p.label for p in cells])
    with simulator.open(network, asked) as simulation:
        for steps in (13, 1, 46):
            simulation.run(steps)
        some = simulation.recording()
    assert some.spikes == whole.spikes and set(some.membranes) == set(asked)
    for label, ids in asked.items():
        for name in ("v", "gsyn_exc", "gsyn_inh"):
            assert np.array_equal(some.membranes[label][name], whole.membranes[label][name][:, ids])
            assert some.membrane(label, name).shape == (60, len(ids))


def test_nothing_is_kept_of_the_membranes_that_nobody_asked_for(monkeypatch):
    first, second = source(), population("out", (1, 100, 100))
    network = Network([first, second, population("alone")],
                      [dense("p", first, second), Projection("q", "out", "alone", ConnectionList([], [], [], [])),
                       Projection("r", "alone", "out", ConnectionList([0], [5], [1.0], [1]))])
    seen = []
    kernels = native.or_else()
    general_steps = kernels.general_steps
    monkeypatch.setattr(kernels, "general_steps",
                        lambda *given: seen.append([a.shape for a in given[-3][1:]]) or general_steps(*given))
    membranes = backends.run(network, record={"out": [7, 3]}).membranes
    backends.run(network)
    assert seen[0] == [(24, 2)] * 3 and seen[-1] == [(24, 0)] * 3 and set(membranes) == {"out"}


@pytest.mark.parametrize("ids", [[-1], [6], [0.5], [[0, 1]], 3])
def test_a_neuron_to_record_that_does_not_exist_is_refused(ids):
    with pytest.raises(NetworkError, match=r"record.out: must be a list of neurons 0 .. 5"):
        simulator.open(two_layers(), {"out": ids})


def test_weights_are_read_back_as_the_host_reads_them():
    pre, post = source(), population("out", cell=LIVELY)
    network = Network([pre, post], [dense("p", pre, post, 0.3), dense("q", pre, post, 0.7, plasticity=LEARNING)])
    with simulator.open(network) as simulation:
        before = simulation.weights("q")
        simulation.run(24)
        static, plastic = simulation.weights("p"), simulation.weights("q")
    shift = int(simulator.lower(network).populations["out"].shift[0, 0])
    assert static.raw.tolist() == [round(0.3 * 2 ** (15 - shift))] * 24
    assert np.array_equal(static.value, static.raw / 2.0 ** (15 - shift))
    assert before.raw.tolist() == [round(0.7 * 2 ** (15 - shift))] * 24 and not np.array_equal(before.raw, plastic.raw)


# Sources


def test_sources_are_silent_after_their_last_sample():
    network = two_layers()
    recording = backends.run(network, 60, record=["out"])
    current = recording.membranes["out"]["gsyn_exc"]
    assert (np.diff(current[:26], axis=0) > 0).any() and (np.diff(current[26:], axis=0) < 0).all()
    longer = backends.run(Network([source(n_samples=1, n_steps=8), *network.populations[1:]], network.projections), 60)
    assert longer.spikes["out"].raster().shape == (60, 6)


def test_a_network_without_sources_runs_as_long_as_it_is_told():
    free = IFCurrExp(v_rest=0.0, v_reset=-1.0, v_thresh=1.0, v=0.0, i_offset=0.2)
    ring = population("ring", cell=free)
    network = Network([ring], [Projection("p", "ring", "ring", LateralInhibition(6, 0.1, 3), "inhibitory")])
    with simulator.open(network) as simulation:
        assert simulation.source_steps == 0
        simulation.run(50)
        recording = simulation.recording()
    assert recording.spikes["ring"].n_events > 0 and recording.spikes["ring"].n_steps == 50


def test_a_source_without_spikes_and_a_projection_without_synapses_leave_a_network_at_rest():
    silent = Population("in", (1, 2, 2), SpikeSourceArray(Spikes.empty((1, 2, 2), 2, 9)))
    target = population("out")
    nothing = ConnectionList([], [], [], [])
    network = Network([silent, target], [dense("p", silent, target), Projection("q", "in", "out", nothing),
                                         Projection("r", "in", "out", nothing, plasticity=LEARNING)])
    recording = backends.run(network, record=["out"])
    assert recording.spikes["out"].n_events == 0 and not recording.membranes["out"]["v"].any()


# Stages


def stage_order(network):
    return [sorted(members) for members in simulator._stage_order(network)]


def test_the_stages_of_a_chain_are_in_its_order_whatever_the_order_of_the_network():
    a, b, c, s = population("a"), population("b"), population("c"), source("s")
    projections = [dense("bc", b, c), dense("sa", s, a), dense("ab", a, b)]
    assert stage_order(Network([c, b, s, a], projections)) == [["a"], ["b"], ["c"]]


def test_the_stages_of_a_diamond_begin_at_its_top_and_end_at_its_foot():
    top, left, right, foot = (population(label) for label in ("top", "left", "right", "foot"))
    order = stage_order(Network([foot, right, left, top], [dense("1", top, left), dense("2", top, right),
                                                           dense("3", left, foot), dense("4", right, foot)]))
    assert order[0] == ["top"] and order[3] == ["foot"] and sorted(order[1:3]) == [["left"], ["right"]]


def test_populations_of_a_loop_are_one_stage_and_what_hangs_on_it_another():
    a, b, c, loner = population("a"), population("b"), population("c"), population("loner")
    order = stage_order(Network([c, a, loner, b], [dense("ab", a, b), dense("ba", b, a), dense("bc", b, c),
                                                   dense("cc", c, c)]))
    assert sorted(order) == [["a", "b"], ["c"], ["loner"]] and order.index(["a", "b"]) < order.index(["c"])


def test_a_diamond_gives_the_same_integers_in_one_stage_and_in_four(monkeypatch):
    top, left, right, foot = (population(label) for label in ("top", "left", "right", "foot"))
    s = source()
    network = Network([foot, right, s, left, top], [
        dense("0", s, top), dense("1", top, left, delay=3), dense("2", top, right, 0.6, receptor="inhibitory"),
        dense("3", left, foot, delay=3, plasticity=LEARNING), dense("4", right, foot, delay=1, plasticity=LEARNING)])
    in_four = by_kernels(network, [11, 13])
    monkeypatch.setattr(simulator, "_stage_order", lambda n: [[p.label for p in n.populations if not p.is_source]])
    assert by_kernels(network, [11, 13]).differences(in_four) == [] and in_four.spikes["foot"]


def conv_network(population_of=None, **projection):
    connections = ConvConnections(np.full((2, 1, 2, 2), 0.5), (1, 4, 5), **projection)
    pre = source(shape=(1, 4, 5), per_step=4.0)
    post = Population("map", connections.post_shape,
                      **({"cell": LIVELY, "per_channel": True} | (population_of or {})))
    return Network([pre, post], [Projection("p", "in", "map", connections)])


def stages_of(network, record=()):
    with simulator.open(network, record) as simulation:
        return [type(stage).__name__ for stage in simulation._stages]


def test_a_convolution_is_a_stage_of_its_own_unless_it_is_not_uniform():
    assert stages_of(conv_network()) == stages_of(conv_network(), ["map"]) == ["ConvStage"]
    assert stages_of(conv_network({"values": {"v_thresh": np.linspace(1, 2, 24)}})) == ["ConvStage"]
    assert stages_of(conv_network({"values": {"i_offset": np.linspace(0, 1, 24)}})) == ["ConvStage"]
    assert stages_of(conv_network({"cell": IFCurrDelta()})) == ["ConvStage"]
    assert stages_of(conv_network({"values": {"tau_m": np.linspace(1, 9, 24)}})) == ["GeneralStage"]


def test_a_delay_longer_than_the_samples_gives_the_same_integers_in_both_kinds_of_stage():
    network = conv_network(delay=70)
    whole = by_kernels(network, [60, 30, 30], record=())
    assert whole.differences(by_kernels(network, [120])) == [] and min(t for t, _ in whole.spikes["map"]) >= 70


# Thresholds


def test_thresholds_are_set_per_neuron_and_rounded_to_s16_15():
    with simulator.open(two_layers(), ["out"]) as simulation:
        simulation.set("out", v_thresh=[1e-9, 1000.0, 1.0, 1000.0, 1000.0, 1000.0])
        simulation.run(24)
        counts = simulation.recording().spikes["out"].raster().sum(axis=0)
    # 1e-9 mV is 0: the neuron at rest fires in every step, also while refractory.
    assert counts.tolist() == [24, 0, counts[2], 0, 0, 0] and 0 < counts[2] <= 12


@pytest.mark.parametrize("values", [[1.0] * 5, 1.0, [[1.0] * 6]])
def test_thresholds_of_another_shape_than_the_population_are_refused(values):
    with simulator.open(two_layers()) as simulation, pytest.raises(NetworkError, match=r"v_thresh: .*\(6,\)"):
        simulation.set("out", v_thresh=values)


def test_a_threshold_beyond_s16_15_is_refused():
    with simulator.open(two_layers()) as simulation, pytest.raises(NetworkError, match="s16.15"):
        simulation.set("out", v_thresh=[70000.0] * 6)


# Warnings and refusals


def test_weights_that_vanish_or_wrap_are_in_the_warnings_of_the_recording():
    network = two_layers(1e-6)
    assert backends.run(network).warnings == ("projection p: 24 of 24 weights round to zero",)
    network = two_layers(5.0, max_expected_summed_weight=1.0)
    assert backends.run(network).warnings == ("projection p: 24 of 24 weights wrap in 16 bits",)
    assert backends.run(two_layers()).warnings == ()
    assert backends.run(network).counters["p"]["wrapped_weights"] == 24
    assert set(backends.run(two_layers()).counters["p"].items()) >= {("weights", 24), ("lost_weights", 0)}


def test_the_counters_of_a_convolution_are_those_of_its_kernels_also_after_its_weights_were_read():
    network = convolutional_network(np.random.default_rng(1), [4])
    kernels = network.projections[0].connections.kernels
    with simulator.open(network) as simulation:
        simulation.weights("to map 0")
        assert simulation.recording().counters["to map 0"]["weights"] == kernels.size


def test_a_synapse_that_is_never_delivered_is_in_the_warnings_once():
    pre, post = source(), population("out")
    network = Network([pre, post], [dense("p", pre, post, delay=4, plasticity=LEARNING)])
    with simulator.open(network) as simulation:
        simulation.run(24)
        simulation.weights("p")
        warnings = simulation.recording().warnings
    assert len(warnings) == 1 and "24 plastic synapses have a delay of 4 steps" in warnings[0]


def test_a_plastic_delay_that_no_ring_buffer_holds_is_refused():
    pre, post = source(), population("out", (1, 16, 16))
    network = Network([pre, post], [dense("p", pre, post, delay=40, plasticity=LEARNING)])
    with pytest.raises(NetworkError, match="projection p: a plastic delay of 40 steps"):
        simulator.open(network)


def test_cut_slots_are_counted_per_population_since_the_start():
    network = two_layers(1.5, max_expected_summed_weight=1.5)
    with simulator.open(network) as simulation:
        simulation.run(12)
        first = simulation.recording().saturated["out"]
        simulation.run(12)
        assert simulation.recording().saturated["out"] > first > 0


def test_the_backend_is_found_by_its_name():
    assert get_backend("local") is simulator


def test_the_order_of_spikes_in_a_recording_is_step_then_neuron():
    network = convolutional_network(np.random.default_rng(2), [40])
    fired = events(backends.run(network).spikes["map 0"])
    assert fired == sorted(fired) and len(fired) > 100
