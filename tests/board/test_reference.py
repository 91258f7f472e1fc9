"""The reference against what was printed and observed of sPyNNaker 7.4.1's binaries, one small network a test.

Comparisons with the naive twin are in test_naive_engine.py, with the binaries' traces in test_golden.py.
"""

from dataclasses import replace

import numpy as np
import pytest
from random_networks import by_kernels, by_reference

from spikingconvnet.board.lowering import lower
from spikingconvnet.board.reference import ReferenceSimulation
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes

ENGINES = pytest.mark.parametrize("engine", [by_reference, by_kernels])


def sources(trains, n_steps):
    """A population of sources that fire in the given steps."""
    events = [(n, step) for n, steps in enumerate(trains) for step in steps]
    neuron, step = np.array(events, int).reshape(-1, 2).T
    return SpikeSourceArray(Spikes.from_events(np.zeros_like(step), neuron, step, (1, 1, len(trains)), 1, n_steps))


def driven(trains, n_steps, connections, cell, size=1, rule=None, limit=None, receptor="excitatory"):
    """Sources in front of a population "out" of `size` neurons."""
    return Network([Population("in", (1, 1, len(trains)), sources(trains, n_steps)),
                    Population("out", (1, 1, size), cell, max_expected_summed_weight=limit)],
                   [Projection("p", "in", "out", connections, receptor, rule)])


def alone(cell, size=2):
    return Network([Population("out", (1, 1, size), cell)], [])


def rule(w_max=1.0, w_min=0.0, a_plus=0.0, a_minus=0.0, tau=20.0):
    return STDPMechanism(SpikePairRule(tau, tau, a_plus, a_minus), AdditiveWeightDependence(w_min, w_max))


def kicked(engine, pre, fires, weight, mechanism, delay=1):
    """A neuron that is made to fire in the steps `fires`, behind a plastic synapse: results and shift."""
    cell = IFCurrDelta(tau_refrac=0.0)
    network = Network(
        [Population("in", (1, 1, 2), sources([pre, [t - 1 for t in fires]], 300)), Population("out", (1, 1, 1), cell)],
        [Projection("p", "in", "out", ConnectionList([0], [0], [weight], [delay]), plasticity=mechanism),
         Projection("kick", "in", "out", ConnectionList([1], [0], [20.0], [1]))])
    results = engine(network, [300])
    assert results.spikes["out"] == [(t, 0) for t in fires]
    return results, int(lower(network).populations["out"].shift[0, 0])


@ENGINES
def test_the_reference_network_of_the_description_meets_its_numbers(engine):
    """net1: i_offset 0.3, w_max 5, weights 2.5, 3.3, 2.6, 1.7; its input spikes are not given, but one enters at 2."""
    network = driven([[1], [], [], []], 10, ConnectionList(range(4), range(4), [2.5, 3.3, 2.6, 1.7], [1] * 4),
                     IFCurrExp(i_offset=0.3), 4, rule(5.0, a_plus=0.05, a_minus=0.06))
    results = engine(network, [10])
    out = results.membranes["out"]
    assert int(out["v"][3, 0]) & 0xffffffff == 0xffe105d3 and out["gsyn_exc"][2, 0] == 0x12201
    assert (results.weights["p"][1], results.weights["p"][3]) == (0x34cd, 0x1b33)


@ENGINES
def test_a_free_neuron_follows_its_equation_step_by_step(engine):
    v = engine(alone(IFCurrExp(i_offset=0.8)), [100]).membranes["out"]["v"][:, 1]
    raw, expected = -65 * 32768, []
    for _ in range(100):
        expected.append(raw)
        alpha = ((26214 * 655360) >> 15) - 65 * 32768
        raw = alpha - ((31170 * (alpha - raw)) >> 15)
        if raw >= -50 * 32768:
            raw = None
            break
    assert v[:len(expected)].tolist() == expected and raw is None
    assert v[len(expected)] == -65 * 32768


@ENGINES
@pytest.mark.parametrize("tau_refrac, interval", [(0.0, 1), (0.1, 2), (1.0, 2), (1.0001, 3), (2.5, 4)])
def test_the_shortest_interval_is_the_refractory_time_in_whole_steps_and_one_more(engine, tau_refrac, interval):
    spikes = engine(alone(IFCurrExp(tau_refrac=tau_refrac, i_offset=1000.0), 1), [40]).spikes["out"]
    assert set(np.diff([t for t, _ in spikes]).tolist()) == {interval}


@ENGINES
def test_after_a_spike_the_voltage_rests_at_its_reset_value_for_the_refractory_time(engine):
    results = engine(alone(IFCurrExp(tau_refrac=2.5, i_offset=1.2, v_reset=-70.5), 1), [60])
    first = results.spikes["out"][0][0]
    v = results.membranes["out"]["v"][:, 0]
    assert (v[first + 1:first + 5] == -70.5 * 32768).all() and v[first + 5] != v[first + 4]


@ENGINES
def test_a_reset_at_or_above_the_threshold_fires_in_every_step_once_begun(engine):
    results = engine(alone(IFCurrExp(tau_refrac=5.0, v_reset=-50.0, i_offset=2.0), 1), [60])
    times = [t for t, _ in results.spikes["out"]]
    assert times == list(range(times[0], 60)) and 0 < times[0] < 30


@ENGINES
@pytest.mark.parametrize("delay", range(1, 16))
def test_a_spike_enters_the_current_its_delay_later_and_the_voltage_one_step_after(engine, delay):
    t = 3
    network = driven([[t]], 30, ConnectionList([0], [0], [2.5], [delay]), IFCurrExp(v_rest=-65, v=-65))
    out = engine(network, [30]).membranes["out"]
    assert np.flatnonzero(out["gsyn_exc"][:, 0])[0] == t + delay
    assert np.flatnonzero(out["v"][:, 0] != -65 * 32768)[0] == t + delay + 1
    assert not out["gsyn_inh"].any()


@ENGINES
def test_a_delta_synapse_acts_for_one_step(engine):
    network = driven([[3], [3]], 12, ConnectionList([0, 1], [0, 0], [1.25, 0.5], [2, 2]), IFCurrDelta())
    current = engine(network, [12]).membranes["out"]["gsyn_exc"][:, 0]
    assert np.flatnonzero(current).tolist() == [5] and current[5] == 1.75 * 32768


@ENGINES
def test_an_overfull_slot_holds_65535_and_is_counted_once(engine):
    # A limit of 1.5 nA makes the shift 1: 100 inputs of 1 nA are 100 * 16384, far above 16 bits.
    cell = IFCurrDelta(v_thresh=65535.0)
    network = driven([[2]] * 100, 8, DenseConnections(np.ones((100, 2)), 3), cell, 2, limit=1.5)
    results = engine(network, [8])
    assert results.membranes["out"]["gsyn_exc"].max(axis=0).tolist() == [65535 << 1] * 2
    assert results.saturated == {"out": 2}


@ENGINES
def test_a_slot_that_is_exactly_full_is_not_cut(engine):
    # 65535 / 2**14 nA in two parts, and one unit more.
    unit = 2.0 ** -14
    weight = np.array([[32768.0], [32767.0], [1.0]]) * unit
    full, over = (driven([[2], [2], [2] * more], 8, DenseConnections(weight), IFCurrDelta(), limit=1.5)
                  for more in (0, 1))
    assert [engine(n, [8]).saturated["out"] for n in (full, over)] == [0, 1]
    assert all(engine(n, [8]).membranes["out"]["gsyn_exc"].max() == 65535 << 1 for n in (full, over))


@ENGINES
def test_more_full_weights_than_31_bits_hold_fill_a_slot_and_no_more(engine):
    network = driven([[2] * 40_000], 6, ConnectionList([0], [0], [65535 / 2 ** 14], [1]), IFCurrDelta(), limit=1.5)
    results = engine(network, [6])
    assert results.membranes["out"]["gsyn_exc"].max() == 65535 << 1 and results.saturated == {"out": 1}


@ENGINES
def test_two_spikes_of_a_source_in_one_step_count_twice(engine):
    quarter = ConnectionList([0], [0], [0.25], [1])
    once, twice = (driven([[2] * n], 6, quarter, IFCurrDelta(), limit=4.0) for n in (1, 2))
    assert [engine(n, [6]).membranes["out"]["gsyn_exc"].max() for n in (once, twice)] == [8192, 16384]


@ENGINES
def test_of_thirty_postsynaptic_spikes_the_last_fifteen_are_remembered(engine):
    results, shift = kicked(engine, [2, 32], range(2, 32), weight=1.0, mechanism=rule(3.9, a_plus=0.01, tau=4e3))
    # Spikes 17 .. 31 arrive at 18 .. 32, that is 16 .. 30 steps after the first input, whose trace is 2048.
    gains = [(328 * (int(2048 * np.exp(-dt / 4e3)) << 4)) >> 15 for dt in range(16, 31)]
    assert results.weights["p"] == [(32768 + sum(gains)) >> shift]


@ENGINES
def test_an_initial_weight_beyond_the_bounds_stays_until_it_is_touched(engine):
    weights = [0.05, 1.5]
    network = driven([[4], [4]], 20, ConnectionList([0, 1], [0, 0], weights, [1, 1]), IFCurrExp(),
                     rule=rule(w_max=1.0, w_min=0.1, a_plus=0.1, a_minus=0.1))
    untouched = engine(network, [20])
    assert untouched.spikes["out"] == [] and untouched.weights["p"] == lower(network).projection("p").weight.tolist()
    always = IFCurrExp(v_reset=-50.0, v_thresh=-60.0, v=-50.0)
    touched = driven([[4], [4]], 20, ConnectionList([0, 1], [0, 0], weights, [1, 1]), always,
                     rule=rule(w_max=1.0, w_min=0.1, a_plus=0.1, a_minus=0.0001))
    shift = int(lower(touched).populations["out"].shift[0, 0])
    # 0.1 and 1 nA as s16.15, shifted down into 16 bits; the depression by 0.0001 nA follows the upper bound.
    assert [w << shift for w in engine(touched, [20]).weights["p"]] == [
        pytest.approx(3277, abs=1 << shift), pytest.approx(32768, abs=8 << shift)]


@ENGINES
def test_a_plastic_synapse_with_the_longest_delay_learns_but_is_never_delivered(engine):
    always = IFCurrExp(v_reset=-50.0, v_thresh=-60.0, v=-50.0)
    for delay, silent in ((1, False), (2, True), (3, False), (4, True)):
        network = driven([[3, 9]], 20, ConnectionList([0], [0], [0.5], [delay]), always, rule=rule(a_minus=0.1))
        results = engine(network, [20])
        assert (results.membranes["out"]["gsyn_exc"].max() == 0) == silent
        assert results.weights["p"] != lower(network).projection("p").weight.tolist()


@ENGINES
def test_a_static_synapse_with_the_longest_delay_is_delivered(engine):
    network = driven([[3]], 20, ConnectionList([0], [0], [0.5], [4]), IFCurrExp())
    assert lower(network).populations["out"].delay_slots == 4
    assert np.flatnonzero(engine(network, [20]).membranes["out"]["gsyn_exc"][:, 0])[0] == 7


@ENGINES
def test_a_longer_delay_elsewhere_makes_the_silent_synapse_speak(engine):
    network = driven([[3], []], 20, ConnectionList([0, 1], [0, 0], [0.5, 0.5], [4, 5]), IFCurrExp(), rule=rule())
    assert np.flatnonzero(engine(network, [20]).membranes["out"]["gsyn_exc"][:, 0])[0] == 7


@ENGINES
@pytest.mark.parametrize("pre, gain, loss", [
    ([1, 250], 50, None), ([30, 250], 21, None), ([49, 250], 2, None), ([50, 250], 1, None), ([51, 250], None, 0),
    ([52, 250], None, 1), ([81, 250], None, 30), ([31, 51, 250], 20, 0), ([31, 52, 250], 20, 1)])
def test_a_pair_changes_the_weight_by_its_distance_at_the_synapse_and_a_coincidence_only_depresses(
        engine, pre, gain, loss):
    """The neuron fires once, in step 50: step 51 at a synapse with a delay of 1. An input at 250 only collects."""
    results, shift = kicked(engine, pre, [50], weight=0.5, mechanism=rule(0.9, a_plus=0.05, a_minus=0.02))

    def change(amount, distance):
        return (amount * (int(2048 * np.exp(-distance / 20.0)) << 4)) >> 15

    weight = 16384
    weight += 0 if gain is None else change(1638, gain)
    weight -= 0 if loss is None else change(655, loss)
    assert results.weights["p"] == [weight >> shift]


@ENGINES
@pytest.mark.parametrize("pre, gain, loss", [
    ([1, 250], 49, None), ([49, 250], 1, None), ([50, 250], None, 0), ([51, 250], None, 1), ([53, 250], None, 3),
    ([31, 50, 250], 19, 0)])
def test_without_backprop_delay_learning_sees_the_distance_of_the_spikes_whatever_the_delay(engine, pre, gain, loss):
    """As above behind a delay of 3, with which the neuron's spike of step 50 would come to the synapse in step 53."""
    mechanism = replace(rule(0.9, a_plus=0.05, a_minus=0.02), backprop_delay=False)
    results, shift = kicked(engine, pre, [50], weight=0.5, mechanism=mechanism, delay=3)

    def change(amount, distance):
        return (amount * (int(2048 * np.exp(-distance / 20.0)) << 4)) >> 15

    weight = 16384
    weight += 0 if gain is None else change(1638, gain)
    weight -= 0 if loss is None else change(655, loss)
    assert results.weights["p"] == [weight >> shift]
    arrived = np.flatnonzero(results.membranes["out"]["gsyn_exc"][:, 0])
    assert {t + 3 for t in pre} <= set(arrived.tolist())         # currents come by the delay all the same


@ENGINES
def test_a_multiplicative_change_is_a_share_of_the_way_to_the_bound(engine):
    """One pair 20 steps apart, then a depression at distance 1: 753 and 1948 are 2048 exp(-d / 20)."""
    mechanism = STDPMechanism(SpikePairRule(20.0, 20.0, 0.5, 0.25), MultiplicativeWeightDependence(0.125, 1.75))
    results, shift = kicked(engine, [31, 52], [50], weight=1.0, mechanism=mechanism)
    weight = 32768
    weight += ((((57344 - weight) * 16384) >> 15) * (753 << 4)) >> 15
    weight -= ((((weight - 4096) * 8192) >> 15) * (1948 << 4)) >> 15
    assert results.weights["p"] == [weight >> shift] and 4096 < weight < 57344


@ENGINES
def test_a_multiplicative_rule_draws_a_weight_beyond_its_bound_back_and_does_not_clip_it(engine):
    mechanism = STDPMechanism(SpikePairRule(20.0, 20.0, 0.5, 0.0), MultiplicativeWeightDependence(0.0, 0.5))
    results, shift = kicked(engine, [31, 52], [50], weight=1.0, mechanism=mechanism)
    weight = 32768 + (((-16384 * 16384) >> 15) * (753 << 4) >> 15)
    assert results.weights["p"] == [weight >> shift] and weight > 16384


@ENGINES
def test_only_neighbours_count_for_the_nearest_pair_rule(engine):
    """Of the spikes 40, 45, 50 after the input at 31 the first counts, of the inputs 31 and 60 after them the last."""
    mechanism = STDPMechanism(SpikeNearestPairRule(20.0, 20.0, 0.05, 0.02), AdditiveWeightDependence(0.0, 0.9))
    results, shift = kicked(engine, [31, 60], [40, 45, 50], weight=0.5, mechanism=mechanism)
    gain, loss = (int(2048 * np.exp(-distance / 20.0)) for distance in (10, 9))
    assert results.weights["p"] == [(16384 + ((1638 * (gain << 4)) >> 15) - ((655 * (loss << 4)) >> 15)) >> shift]


@ENGINES
def test_a_neighbour_on_its_way_to_the_synapse_does_not_hide_the_next_one(engine):
    """The spike of step 31 reaches the synapse at 32, after the input at 31, and so does that of step 40, at 41."""
    mechanism = STDPMechanism(SpikeNearestPairRule(20.0, 20.0, 0.05, 0.0), AdditiveWeightDependence(0.0, 0.9))
    results, shift = kicked(engine, [31, 60], [31, 40], weight=0.5, mechanism=mechanism)
    gains = [(1638 * (int(2048 * np.exp(-distance / 20.0)) << 4)) >> 15 for distance in (1, 10)]
    assert results.weights["p"] == [(16384 + sum(gains)) >> shift]


@ENGINES
def test_the_rule_of_vogels_potentiates_a_pair_of_either_order_and_depresses_by_alpha(engine):
    """One spike between two inputs: 10 steps after the first one, 5 steps before the second."""
    mechanism = STDPMechanism(Vogels2011Rule(0.25, 20.0, 0.05), AdditiveWeightDependence(0.0, 0.9))
    results, shift = kicked(engine, [31, 46], [40], weight=0.5, mechanism=mechanism)
    after, before = (int(2048 * np.exp(-distance / 20.0)) for distance in (10, 5))
    weight = 16384 + ((1638 * (after << 4)) >> 15) + ((1638 * ((before - 512) << 4)) >> 15)
    assert results.weights["p"] == [weight >> shift]


@ENGINES
def test_nothing_depresses_for_vogels_before_the_first_postsynaptic_spike(engine):
    mechanism = STDPMechanism(Vogels2011Rule(0.25, 20.0, 0.05), AdditiveWeightDependence(0.0, 0.9))
    results, shift = kicked(engine, [31, 46], [200], weight=0.5, mechanism=mechanism)
    assert results.weights["p"] == [16384 >> shift]


@ENGINES
def test_for_vogels_a_weight_below_zero_wraps_to_the_top_of_16_bits(engine):
    """The trace of step 2 has faded at 299, the last step."""
    mechanism = STDPMechanism(Vogels2011Rule(2.0, 5.0, 0.3), AdditiveWeightDependence(0.125, 0.9))
    results, shift = kicked(engine, [299], [2], weight=0.5, mechanism=mechanism)
    weight = 16384 + ((9830 * -(4096 << 4)) >> 15)
    assert weight < 0 and results.weights["p"] == [(weight >> shift) & 0xffff]


@ENGINES
def test_a_triplet_adds_to_a_pair_on_both_sides(engine):
    """Two spikes, at the synapse at 34 and 44, between inputs at 31 and 50; amplitudes are fractions of w_max 0.5."""
    mechanism = STDPMechanism(PfisterSpikeTripletRule(20.0, 30.0, 100.0, 120.0, 0.25, 0.125),
                              WeightDependenceAdditiveTriplet(0.0, 0.5, 0.25, 0.375))
    results, shift = kicked(engine, [31, 50], [33, 43], weight=0.25, mechanism=mechanism)

    def table(distance, tau):
        return int(2048 * np.exp(-distance / tau))

    def change(amount, trace):
        return (amount * (trace << 4)) >> 15

    slow_post, slow_pre = table(8, 120.0), table(16, 100.0)         # distances 10 and 19 in whole fours
    trace_post = table(10, 30.0) + 2048
    first, second = table(3, 20.0), table(13, 20.0)
    weight = 8192 + change(4096, first)                             # a spike after none has no slower trace
    weight += change(4096, second) + change(4096, (second * slow_post) >> 11)
    pair = (trace_post * table(6, 30.0)) >> 11
    weight -= change(2048, pair) + change(6144, (pair * slow_pre) >> 11)
    assert results.weights["p"] == [weight >> shift] and 0 < weight < 16384


def rewarded(engine, pre, fires, rewards, delay=1, amount=0.25, receptor="reward", w_max=2.0, modulation=None):
    """A plastic synapse whose neuron fires in the steps `fires` and gets dopamine in the steps `rewards`."""
    modulation = modulation or Neuromodulation(100.0, 40.0, 0.0, w_max)
    mechanism = STDPMechanism(SpikePairRule(20.0, 20.0, 0.125, 0.0625), AdditiveWeightDependence(0.0, 1.0))
    network = Network(
        [Population("in", (1, 1, 3), sources([pre, [t - 1 for t in fires], rewards], 400)),
         Population("out", (1, 1, 1), IFCurrDelta(tau_refrac=0.0))],
        [Projection("p", "in", "out", ConnectionList([0], [0], [1.0], [delay]), plasticity=mechanism),
         Projection("kick", "in", "out", ConnectionList([1], [0], [20.0], [1])),
         Projection("r", "in", "out", ConnectionList([2], [0], [amount], [1]), receptor, modulation)])
    results = engine(network, [400])
    assert results.spikes["out"] == [(t, 0) for t in fires]
    return results.weights["p"][0], int(lower(network).populations["out"].shift[0, 0])


def table(distance, tau, shift=0):
    """An entry of a decay table."""
    return int(2048 * np.exp(-(distance >> shift << shift) / tau))


def product(a, b):
    """Of two accums."""
    return (a * b) >> 15


def released(eligibility, dopamine, distance):
    """Izhikevich's weight change over `distance` steps for tau_c 100 and tau_d 40, in the binary's order."""
    both = ((table(distance, 100.0, 4) * table(distance, 40.0, 2)) >> 11) - 2048
    constant = round(-32768 / (1 / 100 + 1 / 40))
    return product(product(product(eligibility, constant), dopamine << 4), both << 4)


@ENGINES
@pytest.mark.parametrize("receptor, sign", [("reward", 1), ("punishment", -1)])
def test_a_reward_turns_eligibility_into_weight_and_a_punishment_takes_it_away(engine, receptor, sign):
    """Inputs at 30 and 90, the spike of 34 at the synapse at 35, dopamine in step 50, there at 51."""
    results, shift = rewarded(engine, [30, 90], [34], [50], receptor=receptor)
    eligibility = product(4096, table(5, 20.0) << 4)               # the input's trace is 2048
    eligibility = product(eligibility, table(16, 100.0, 4) << 4)    # from 35 to 51, without dopamine
    weight = 32768 + released(eligibility, sign * 512, 39)         # from 51 to 90
    assert results == weight >> shift and (weight - 32768) * sign > 1000


@ENGINES
def test_no_weight_changes_without_dopamine_or_before_the_next_input(engine):
    for pre, rewards in (([30, 90], []), ([30, 90], [91, 95]), ([30], [40])):
        assert (lambda weight, shift: weight << shift)(*rewarded(engine, pre, [34], rewards)) == 32768


@ENGINES
def test_eligibility_is_potentiated_and_depressed_by_pairs_and_kept_in_16_bits(engine):
    """Inputs at 30, 60 and 100, a spike at the synapse at 35: the second input depresses, the third collects."""
    weight, shift = rewarded(engine, [30, 60, 100], [34], [70])
    eligibility = product(4096, table(5, 20.0) << 4)
    eligibility = product(eligibility, table(25, 100.0, 4) << 4) - product(2048, table(25, 20.0) << 4)
    eligibility = eligibility >> shift << shift
    eligibility = product(eligibility, table(11, 100.0, 4) << 4)    # from 60 to 71
    assert weight == (32768 + released(eligibility, 512, 29)) >> shift


@ENGINES
def test_dopamine_decays_and_adds_up(engine):
    """Rewards in steps 50 and 58, at the synapse at 51 and 59."""
    weight, shift = rewarded(engine, [30, 90], [34], [50, 58])
    eligibility = product(product(4096, table(5, 20.0) << 4), table(16, 100.0, 4) << 4)
    expected = 32768 + released(eligibility, 512, 8)
    eligibility = product(eligibility, table(8, 100.0, 4) << 4)
    expected += released(eligibility, ((512 * table(8, 40.0, 2)) >> 11) + 512, 31)
    assert weight == expected >> shift


@ENGINES
def test_a_reward_is_no_spike_but_ends_the_decay_of_the_trace(engine):
    """A reward of no dopamine in step 45 changes only where the trace of the spike at 34 is rounded."""
    weight, shift = rewarded(engine, [30, 60, 100], [34], [45, 70])
    trace = (2048 * table(11, 20.0)) >> 11
    eligibility = product(4096, table(5, 20.0) << 4)
    eligibility = product(eligibility, table(11, 100.0, 4) << 4)    # from 35 to 46
    expected = 32768 + released(eligibility, 512, 14)              # from 46 to 60
    eligibility = product(eligibility, table(14, 100.0, 4) << 4)
    eligibility -= product(2048, ((trace * table(14, 20.0)) >> 11) << 4)
    expected, eligibility = (x >> shift << shift for x in (expected, eligibility))
    left = (512 * table(15, 40.0, 2)) >> 11                        # of dopamine at 60, seen from step 45
    expected += released(eligibility, left, 11)
    eligibility = product(eligibility, table(11, 100.0, 4) << 4)
    expected += released(eligibility, ((512 * table(25, 40.0, 2)) >> 11) + 512, 29)
    assert weight == expected >> shift


@ENGINES
def test_weights_under_neuromodulation_are_clipped_to_its_bounds_even_by_a_first_input(engine):
    low = Neuromodulation(100.0, 40.0, 1.25, 2.0)
    assert (lambda weight, shift: weight << shift)(*rewarded(engine, [30], [], [], modulation=low)) == 40960
    weight, shift = rewarded(engine, [30, 90], [34], [50], amount=15.0, w_max=1.5)
    assert weight << shift == 49152


@ENGINES
def test_the_binary_looks_for_rewards_as_many_events_late_as_there_are_beyond_the_window(engine):
    """Delay 3: the spike of 34 is inside the window of the input at 40, the reward of 38 beyond it is looked at.

    A reward in the input's own step is taken after it.
    """
    for rewards, potentiated in (([38], False), ([40], True), ([41], True)):
        weight, shift = rewarded(engine, [30, 40, 90], [34], [*rewards, 60], delay=3)
        assert (weight << shift > 32768 + 1000) == potentiated


def test_a_network_without_any_population_of_neurons_runs():
    network = Network([Population("in", (1, 1, 2), sources([[1], []], 5))], [])
    assert ReferenceSimulation(lower(network)).run(5) == ({}, {})
