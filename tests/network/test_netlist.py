"""The netlist: parts that fit together, and a NetworkError for each way in which they do not."""

import numpy as np
import pytest

from spikingconvnet.errors import NetworkError
from spikingconvnet.network.connectivity import ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray, SpikeSourcePoisson
from spikingconvnet.network.plasticity import Neuromodulation, SpikeNearestPairRule, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

SHAPE = (2, 1, 3)


def source(label="in", shape=SHAPE, n_samples=2, n_steps=5):
    return Population(label, shape, SpikeSourceArray(Spikes.empty(shape, n_samples, n_steps)))


def neurons(label="out", shape=(4, 1, 1), **more):
    return Population(label, shape, IFCurrExp(), **more)


def dense(label="w", pre="in", post="out", shape=(6, 4), **more):
    return Projection(label, pre, post, DenseConnections(np.ones(shape)), **more)


def test_parts_that_fit_make_a_network_that_finds_them_again():
    network = Network([source(), neurons()], [dense()])
    assert isinstance(network.populations, tuple) and isinstance(network.projections, tuple)
    assert network.population("out").size == 4 and not network.population("out").is_source
    assert network.population("in").is_source and network.projection("w") in network.incoming("out")
    assert network.incoming("in") == []


def test_a_network_without_anything_is_one():
    assert Network((), ()).populations == ()


def test_parameters_come_from_the_cell_or_neuron_by_neuron():
    some = neurons(values={"v_thresh": np.array([1.0, 2.0, 3.0, 0.0])})
    assert some.parameter("v_thresh").tolist() == [1.0, 2.0, 3.0, 0.0] and some.parameter("cm").tolist() == [1.0] * 4
    assert some.parameter("cm").dtype == np.float64


def test_channels_are_board_populations_only_where_asked():
    assert neurons(shape=(2, 2, 3)).channel_of.tolist() == [0] * 12
    assert neurons(shape=(2, 2, 3), per_channel=True).channel_of.tolist() == [0] * 6 + [1] * 6


@pytest.mark.parametrize("make, text", [
    (lambda: neurons(shape=(4, 1)), "shape"),
    (lambda: neurons(shape=(4, 0, 1)), "shape"),
    (lambda: Population("p", SHAPE, "IF_curr_exp"), "cell"),
    (lambda: Population("p", SHAPE, IFCurrExp), "cell"),
    (lambda: Population("p", (1, 2, 3), SpikeSourceArray(Spikes.empty(SHAPE, 1, 5))), "cell.spikes.shape"),
    (lambda: neurons(values={"v_tresh": np.ones(4)}), "a parameter of its cell"),
    (lambda: Population("p", SHAPE, IFCurrDelta(), {"tau_syn_E": np.ones(6)}), "a parameter of its cell"),
    (lambda: Population("p", SHAPE, source().cell, {"v": np.ones(6)}), "a parameter of its cell"),
    (lambda: neurons(values={"v": np.ones(3)}), r"of shape \(4,\)"),
    (lambda: neurons(values={"v": 1.0}), r"of shape \(4,\)"),
    (lambda: neurons(values={"v": np.ones((4, 1))}), r"of shape \(4,\)")])
def test_a_population_that_is_none_is_refused_by_name(make, text):
    with pytest.raises(NetworkError, match=f"^Population '.*{text}"):
        make()


def test_a_receptor_is_one_of_two():
    with pytest.raises(NetworkError, match="excitatory or inhibitory or reward or punishment, got 'exhibitory'"):
        dense(receptor="exhibitory")


def test_signed_connections_do_not_learn():
    with pytest.raises(NetworkError, match="convolutions do not learn"):
        Projection("w", "in", "out", ConvConnections(np.ones((1, 2, 1, 1)), SHAPE), plasticity=STDPMechanism())


@pytest.mark.parametrize("populations, projections, text", [
    ([source(), source()], [], "of different labels"),
    ([source(), neurons()], [dense(), dense()], "of different labels"),
    ([source(), neurons()], [dense(pre="nowhere")], r"one of \['in', 'out'\], got 'nowhere'"),
    ([source(), neurons()], [dense(post="nowhere")], r"one of \['in', 'out'\], got 'nowhere'"),
    ([source(), source("in2", (4, 1, 1))], [dense(post="in2")], "not a source"),
    ([source(), neurons()], [dense(shape=(4, 6))], r"of shape \(6, 4\)"),
    ([source(), neurons()], [Projection("l", "out", "out", LateralInhibition(3, 1.0))], "LateralInhibition.size"),
    ([source(), source("more", n_samples=3)], [], "equally many samples and steps"),
    ([source(), source("more", n_steps=6)], [], "equally many samples and steps"),
    ([source(), neurons()], [dense("a", plasticity=STDPMechanism()),
                             dense("b", plasticity=STDPMechanism(SpikePairRule(A_plus=0.5)))],
     "a SpiNNaker core holds one"),
    ([source(), neurons()], [dense("a", plasticity=STDPMechanism()),
                             dense("b", plasticity=STDPMechanism(backprop_delay=False))],
     "a SpiNNaker core holds one")])
def test_parts_that_do_not_fit_make_no_network(populations, projections, text):
    with pytest.raises(NetworkError, match=text):
        Network(populations, projections)


def modulator(label="r", receptor="reward", **more):
    return dense(label, plasticity=Neuromodulation(**more), receptor=receptor)


def test_rewards_and_punishments_of_one_kind_stand_beside_a_rule():
    network = Network([source(), neurons()], [modulator(), dense(plasticity=STDPMechanism()),
                                              modulator("p", "punishment")])
    assert network.modulation("out") == Neuromodulation() and network.modulation("in") is None
    assert [(p.learns, p.modulates) for p in network.projections] == [(False, True), (True, False), (False, True)]


@pytest.mark.parametrize("make, text", [
    (lambda: modulator(receptor="excitatory"), "receptor: must be reward or punishment with Neuromodulation"),
    (lambda: dense(receptor="reward"), "receptor: must be excitatory or inhibitory without Neuromodulation"),
    (lambda: dense(receptor="punishment", plasticity=STDPMechanism()), "excitatory or inhibitory without"),
    (lambda: dense(plasticity=SpikePairRule()), "plasticity: must be STDPMechanism, Neuromodulation or None"),
    (lambda: Projection("r", "in", "out", DenseConnections(np.ones((6, 4)), 2), "reward", Neuromodulation()),
     "delay: must be 1 step; .*, got 2")])
def test_a_modulator_that_no_board_could_hold_is_refused(make, text):
    with pytest.raises(NetworkError, match=text):
        make()


@pytest.mark.parametrize("projections, text", [
    ([modulator()], r"a projection that learns by SpikePairRule and AdditiveWeightDependence or Spike.*, got \[\]"),
    ([modulator(), dense(plasticity=STDPMechanism(SpikeNearestPairRule()))],
     r".*Vogels2011Rule and AdditiveWeightDependence beside a Neuromodulation, got .*'SpikeNearestPairRule'\]"),
    ([modulator(), modulator("p", "punishment", tau_d=100.0), dense(plasticity=STDPMechanism())],
     "one Neuromodulation; a SpiNNaker core holds one, got 2")])
def test_a_population_has_one_neuromodulation_beside_the_rule_that_its_binary_knows(projections, text):
    with pytest.raises(NetworkError, match=f"^Population 'out'.plasticity: must be {text}"):
        Network([source(), neurons()], projections)


def test_equal_rules_are_one_rule_for_a_core():
    network = Network([source(), neurons()], [dense("a", plasticity=STDPMechanism()),
                                              dense("b", plasticity=STDPMechanism())])
    assert len(network.incoming("out")) == 2


def test_recurrent_and_chained_populations_are_allowed():
    network = Network([source(), neurons(), neurons("deep", (3, 1, 1))],
                      [dense(), dense("up", "out", "deep", (4, 3)), dense("back", "deep", "out", (3, 4)),
                       Projection("l", "out", "out", LateralInhibition(4, 1.0), "inhibitory")])
    assert [p.label for p in network.incoming("out")] == ["w", "back", "l"]


def poisson(size=6, values=None, **more):
    return Population("in", (1, 1, size), SpikeSourcePoisson(10.0, core_seeds=((1, 2, 3, 4),), **more), values or {})


def test_poisson_sources_may_differ_and_need_no_samples():
    some = poisson(values={"rate": np.arange(6.0)})
    network = Network([some, source("given", n_steps=7), neurons()], [dense()])
    assert network.population("in").is_source and not network.population("in").has_given_spikes
    assert some.parameter("rate").tolist() == [0, 1, 2, 3, 4, 5] and some.parameter("start").tolist() == [0.0] * 6


@pytest.mark.parametrize("make, text", [
    (lambda: poisson(501), r"core_seeds: must be one for each of its 2 cores of 500 sources, got 1"),
    (lambda: poisson(values={"core_seeds": np.ones(6)}), "a parameter of its cell"),
    (lambda: poisson(values={"rate": np.ones(5)}), r"of shape \(6,\)")])
def test_poisson_sources_that_do_not_fit_are_refused(make, text):
    with pytest.raises(NetworkError, match=text):
        make()


@pytest.mark.parametrize("cell, neurons, text", [
    (IFCurrExp(), 0, "at least 1 and at most 256, got 0"), (IFCurrExp(), 257, "at most 256, got 257"),
    (IFCurrExp(), 2.5, "a whole number"), (SpikeSourcePoisson(core_seeds=((1, 1, 1, 1),)), 2, "belongs to its cell")])
def test_neurons_on_a_core_that_no_board_takes_are_refused(cell, neurons, text):
    with pytest.raises(NetworkError, match=f"'p'.neurons_per_core.*{text}"):
        Population("p", (1, 1, 300), cell, neurons_per_core=neurons)
    assert Population("p", (1, 1, 300), IFCurrExp(), neurons_per_core=1).neurons_per_core == 1


@pytest.mark.parametrize("timestep", [0.0, -1.0, float("nan"), float("inf"), "1", True, None])
def test_a_time_step_that_is_no_number_above_0_is_refused(timestep):
    with pytest.raises(NetworkError, match="Network.timestep: must be a number of ms above 0"):
        Network((), (), timestep)
