"""A network in integers: constants, weights and look-up tables as sPyNNaker 7.4.1 writes them."""

from dataclasses import replace

import naive_engine
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.backends.local import layout
from spikingconvnet.board import lowering
from spikingconvnet.board.lowering import lower
from spikingconvnet.board.rules import MODULATED_KINDS, RULE_KINDS, decay_table
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import (
    WEIGHT_DEPENDENCES,
    AdditiveWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes

RULE = STDPMechanism(SpikePairRule(), AdditiveWeightDependence(0.0, 1.0))


def one_layer(connections, cell=None, size=3, n_pre=4, plasticity=None, values=None, limit=None, receptor="excitatory"):
    return Network(
        [Population("in", (1, 1, n_pre), SpikeSourceArray(Spikes.empty((1, 1, n_pre), 1, 5))),
         Population("out", (1, 1, size), cell or IFCurrExp(), values or {}, max_expected_summed_weight=limit)],
        [Projection("p", "in", "out", connections, receptor, plasticity)])


def constants(cell, **values):
    return lower(one_layer(ConnectionList([], [], [], []), cell, values=values)).populations["out"]


def test_constants_of_the_defaults_are_the_printed_ones():
    out = constants(IFCurrExp())
    assert (out.resistance[0], out.membrane_decay[0], out.refractory[0]) == (655360, 31170, 1)
    assert out.decay[:, 0].tolist() == [0xd1996247] * 2 and out.inject[:, 0].tolist() == [0xe8011498] * 2


def test_constants_of_odd_parameters_are_the_printed_ones():
    out = constants(IFCurrExp(tau_m=13.7, cm=0.73, tau_refrac=2.5, tau_syn_E=4.3, tau_syn_I=7.9))
    assert (out.resistance[0], out.membrane_decay[0], out.refractory[0]) == (614952, 30462, 3)
    assert out.decay[:, 0].tolist() == [0xcae23131, 0xe19154c0]
    assert out.inject[:, 0].tolist() == [0xe466685d, 0xf06a3cab]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.5, 300.0), min_size=3, max_size=3), st.lists(st.floats(0.05, 20.0), min_size=3, max_size=3))
def test_constants_of_any_neuron_are_those_of_the_naive_twin(taus, others):
    out = constants(IFCurrExp(), tau_m=np.array(taus), tau_syn_E=np.array(taus), cm=np.array(others),
                    tau_refrac=np.array(others))
    for n, (tau, other) in enumerate(zip(taus, others)):
        assert (out.resistance[n], out.membrane_decay[n]) == naive_engine.membrane_constants(tau, other)
        assert (out.decay[0, n], out.inject[0, n]) == naive_engine.synapse_constants(tau)
        assert out.refractory[n] == naive_engine.refractory_steps(other)


@pytest.mark.parametrize("tau_refrac, steps", [(0.0, 0), (0.1, 1), (1.0, 1), (1.0001, 2), (2.5, 3), (5.0, 5)])
def test_a_refractory_time_is_rounded_up_to_whole_steps(tau_refrac, steps):
    assert constants(IFCurrExp(tau_refrac=tau_refrac)).refractory[0] == steps


def test_the_decay_table_of_20_ms_has_the_printed_entries():
    table = decay_table(20.0)
    assert len(table) == 154 and table[:6].tolist() == [2048, 1948, 1853, 1762, 1676, 1594] and table[-1] >= 0


@settings(max_examples=40, deadline=None)
@given(st.integers(10, 2000))
def test_the_decay_table_of_any_time_constant_is_that_of_the_naive_twin(tenths):
    assert decay_table(tenths / 10).tolist() == naive_engine.exponential_table(tenths / 10)


def test_a_weight_half_way_between_two_integers_goes_to_the_even_one():
    # A limit of 3 nA makes the shift 2 and the scale 8192: n + 0.5 is (2 n + 1) / 16384 nA.
    halves = np.array([0, 1, 2, 3, 100, 101])
    weight = (2 * halves + 1) / 16384
    network = one_layer(ConnectionList([0] * 6, np.arange(6), weight, [1] * 6), size=6, limit=3.0)
    lowered = lower(network)
    assert lowered.projection("p").weight.tolist() == [0, 2, 2, 4, 100, 102]
    assert [naive_engine.ring_weight(w, 2) for w in weight.tolist()] == [0, 2, 2, 4, 100, 102]


@pytest.mark.parametrize("raw, units", [(4045, 1011), (4046, 1012), (2, 1), (1, 0), (0x7fffffff, 0)])
def test_a_weight_that_a_board_generates_is_rounded_half_up_as_measured(raw, units):
    # A limit of 3 nA makes the shift 2: four units of s16.15 are one of the ring buffer.
    everyone = DenseConnections(np.full((4, 3), raw / 32768), rounding="machine")
    assert set(lower(one_layer(everyone, limit=3.0)).projection("p").weight.tolist()) == {units}
    others = Network([Population("out", (1, 1, 3), IFCurrExp(), max_expected_summed_weight=3.0)],
                     [Projection("p", "out", "out", LateralInhibition(3, raw / 32768, rounding="machine"))])
    assert lower(others).projection("p").weight.tolist() == [units] * 6


@pytest.mark.parametrize("weight, host, machine", [
    (0.5 / 8192, 0, 1), (1.5 / 8192, 2, 2), (2.5 / 8192, 2, 3),         # ties
    (0.4999 / 8192, 0, 1),                                              # 1.9996 of s16.15 becomes 2, and so a tie
    (0.0, 0, 0), (1.0, 8192, 8192)])
def test_host_and_machine_differ_in_ties_and_by_the_step_over_s16_15(weight, host, machine):
    for rounding, units in (("host", host), ("machine", machine)):
        connections = DenseConnections(np.full((4, 3), weight), rounding=rounding)
        assert set(lower(one_layer(connections, limit=3.0)).projection("p").weight.tolist()) == {units}


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 60.0), st.integers(0, 9))
def test_the_machine_s_rounding_is_the_printed_formula(weight, shift):
    connections = LateralInhibition(2, weight, rounding="machine")
    network = Network([Population("out", (1, 1, 2), IFCurrExp(), max_expected_summed_weight=0.75 * 2 ** shift)],
                      [Projection("p", "out", "out", connections)])
    raw = naive_engine.accum(weight)
    expected = (2 * raw * 2 ** (15 - shift) // 2 ** 15 + 1) // 2 & 0xffff       # floor(raw * scale / 2**15 + 1/2)
    assert lower(network).projection("p").weight.tolist() == [expected] * 2


def test_weights_that_round_to_zero_or_wrap_are_counted_in_the_warnings():
    network = one_layer(ConnectionList([0, 1, 2, 3], [0, 1, 2, 0], [300.0, 1e-5, 0.0, 0.5], [1] * 4), limit=1.0)
    lowered = lower(network)
    # 300 nA times the scale of 16384 is 75 times 2**16: nothing is left of it.
    assert lowered.projection("p").weight.tolist() == [0, 0, 0, 8192]
    assert lowered.warnings == ["projection p: 1 of 4 weights round to zero",
                                "projection p: 1 of 4 weights wrap in 16 bits"]
    lowered.projection("p")
    assert len(lowered.warnings) == 2
    assert lowered.counters == {"p": {"weights": 4, "lost_weights": 1, "wrapped_weights": 1, "silent_delays": 0,
                                      "extended_delays": 0}}


def test_a_convolution_warns_like_a_list():
    kernels = np.full((2, 1, 2, 3), 1e-6)
    kernels[1] = 1.0
    connections = ConvConnections(kernels, (1, 3, 4))
    network = Network([Population("in", (1, 3, 4), SpikeSourceArray(Spikes.empty((1, 3, 4), 1, 5))),
                       Population("out", (2, 2, 2), IFCurrExp(), per_channel=True, max_expected_summed_weight=1.0)],
                      [Projection("p", "in", "out", connections)])
    lowered = lower(network)
    assert lowered.convolution("p")[0].max() == 16384
    assert lowered.warnings == ["projection p: 6 of 12 weights round to zero"]
    lowered.projection("p")
    assert lowered.counters["p"]["weights"] == 12 and lowered.counters["p"]["lost_weights"] == 6


def test_a_pooled_kernel_is_divided_by_its_area_before_it_is_rounded():
    connections = ConvConnections(np.full((1, 1, 1, 1), 1.0), (1, 6, 4), pool=(3, 2))
    network = Network([Population("in", (1, 6, 4), SpikeSourceArray(Spikes.empty((1, 6, 4), 1, 5))),
                       Population("out", (1, 2, 2), IFCurrExp(), per_channel=True)],
                      [Projection("p", "in", "out", connections)])
    lowered = lower(network)
    scale = 2 ** (15 - int(lowered.populations["out"].shift[0, 0]))
    assert lowered.convolution("p")[0].tolist() == [[[[round(scale / 6)]]]]
    assert set(lowered.projection("p").weight.tolist()) == {round(scale / 6)}


@pytest.mark.parametrize("size, delay, slots", [(3, 1, 2), (3, 2, 2), (3, 3, 4), (3, 4, 4), (3, 5, 8), (256, 32, 32),
                                                (256, 40, 32), (1000, 40, 32), (128, 40, 64), (129, 40, 32)])
def test_the_ring_buffer_has_a_power_of_two_of_slots_within_14_bits(size, delay, slots):
    network = one_layer(ConnectionList([0], [0], [1.0], [delay]), size=size)
    assert lower(network).populations["out"].delay_slots == slots


def test_a_plastic_delay_as_long_as_the_ring_buffer_is_a_warning_given_once():
    network = one_layer(ConnectionList([0, 1, 2], [0, 0, 1], [1.0] * 3, [4, 3, 4]), plasticity=RULE)
    lowered = lower(network)
    for _ in range(2):
        lowered.projection("p")
    assert len(lowered.warnings) == 1
    assert "2 plastic synapses have a delay of 4 steps" in lowered.warnings[0]
    assert lowered.counters["p"]["silent_delays"] == 2


def test_a_plastic_delay_longer_than_the_ring_buffer_is_refused_with_the_longest_possible():
    network = one_layer(DenseConnections(np.ones((4, 256)), 33), size=256, plasticity=RULE)
    with pytest.raises(NetworkError, match="projection p: a plastic delay of 33 steps.* 32 slots.* at most 31"):
        lower(network).projection("p")


def test_the_slower_tables_have_the_naive_twins_entries_for_every_fourth_step():
    assert decay_table(101.0, shift=2).tolist() == naive_engine.exponential_table(101.0, 1, 2)
    assert decay_table(101.0, shift=2)[1] == decay_table(101.0)[4]


def test_amplitudes_of_triplets_are_multiplied_by_w_max_and_those_of_other_rules_not():
    triplets = STDPMechanism(PfisterSpikeTripletRule(16.8, 33.7, 101.0, 114.0, 0.25, 0.5),
                             WeightDependenceAdditiveTriplet(0.0, 4.0, 0.125, 0.0625))
    rule = lower(one_layer(DenseConnections(np.ones((4, 3))), plasticity=triplets)).projection("p").rule
    assert (rule.a_plus, rule.a_minus, rule.a3_plus, rule.a3_minus) == (32768, 65536, 16384, 8192)
    vogels = STDPMechanism(Vogels2011Rule(0.3, A_plus=0.25), AdditiveWeightDependence(0.0, 4.0))
    rule = lower(one_layer(DenseConnections(np.ones((4, 3))), plasticity=vogels)).projection("p").rule
    assert (rule.a_plus, rule.alpha) == (8192, 614)


def test_a_decay_table_counts_in_steps_of_the_network():
    network = one_layer(DenseConnections(np.ones((4, 3))), plasticity=RULE)
    rule = lower(Network(network.populations, network.projections, timestep=0.5)).projection("p").rule
    assert rule.lut_plus.tolist() == decay_table(40.0).tolist()


def test_every_mechanism_that_can_be_built_has_a_binary():
    assert set(RULE_KINDS) == {(rule, kind) for rule, kinds in WEIGHT_DEPENDENCES.items() for kind in kinds}
    assert set(RULE_KINDS.values()) | set(MODULATED_KINDS.values()) == set(layout.RULES)


def modulated(amounts, modulation, rounding="host", delay=1):
    network = one_layer(DenseConnections(np.ones((4, 3)), delay), plasticity=RULE)
    return Network(network.populations, [*network.projections, Projection(
        "r", "in", "out", DenseConnections(np.resize(amounts, (4, 3)), rounding=rounding), "reward", modulation)])


def test_constants_of_a_rule_under_neuromodulation_are_sPyNNakers():
    lowered = lower(modulated([0.5], Neuromodulation(1000.0, 200.0, 0.25, 2.0)))
    rule = lowered.projection("p").rule
    assert (rule.weight_min, rule.weight_max, rule.w_min, rule.w_max) == (8192, 65536, 0, 32768)
    assert rule.release == round(-32768 / (1 / 1000 + 1 / 200)) == -5461333
    assert rule.lut_c.tolist() == naive_engine.exponential_table(1000.0, 1, 4) and len(rule.lut_c) == 478
    assert rule.lut_d.tolist() == naive_engine.exponential_table(200.0, 1, 2) and len(rule.lut_d) == 382


@pytest.mark.parametrize("amount, host, machine", [(0.05, 102, 102), (0.03, 61, 61), (0.5 / 2048, 0, 1),
                                                   (1.5 / 2048, 2, 2)])
def test_amounts_of_dopamine_are_4_11_whatever_the_scale_of_the_weights(amount, host, machine):
    """0.05 and 0.03 as measured on the board's own generator; then two ties."""
    for rounding, expected in (("host", host), ("machine", machine)):
        lowered = lower(modulated([amount], Neuromodulation(), rounding))
        assert lowered.projection("r").weight.tolist() == [expected] * 12
    assert lowered.projection("r").modulates and not lowered.projection("p").modulates
    alone = one_layer(DenseConnections(np.ones((4, 3))), plasticity=RULE)
    assert (lowered.populations["out"].shift == lower(alone).populations["out"].shift).all()


def test_amounts_that_are_lost_or_wrap_are_counted_and_the_longest_delay_is_silent_under_neuromodulation_too():
    lowered = lower(modulated([15.9999, 16.0, 1e-5], Neuromodulation(), delay=4))
    lowered.projection("p")
    lowered.projection("r")
    assert lowered.counters["p"]["silent_delays"] == 12 and lowered.populations["out"].delay_slots == 4
    assert lowered.counters["r"] == {"weights": 12, "lost_weights": 4, "wrapped_weights": 8, "silent_delays": 0,
                                     "extended_delays": 0}


def test_a_long_static_delay_is_no_reason_to_refuse_but_is_counted():
    network = one_layer(ConnectionList([0, 1, 2], [0, 0, 255], [1.0] * 3, [33, 32, 40]), size=256)
    lowered = lower(network)
    assert set(lowered.projection("p").delay.tolist()) == {32, 33, 40} and lowered.counters["p"]["extended_delays"] == 2
    assert lowered.warnings == ["projection p: 2 of 3 delays are longer than the 32 slots of the ring buffer; a board "
                                "needs delay extensions for them"]


def test_a_parameter_beyond_s16_15_is_refused():
    with pytest.raises(NetworkError, match="s16.15"):
        constants(IFCurrExp(), v_thresh=np.array([0.0, 70000.0, 1.0]))


def test_a_delta_input_is_a_charge_of_1_ms_whatever_the_step():
    cell = IFCurrDelta()
    network = Network((Population("out", (1, 1, 2), cell), Population("exp", (1, 1, 1), IFCurrExp())), ())
    for timestep, scale in ((0.1, 327660), (0.2, 163830), (0.5, 65536), (1.0, 32768), (2.0, 16384)):
        lowered = lower(replace(network, timestep=timestep)).populations
        assert lowered["out"].input_scale.tolist() == [scale] * 2 and lowered["exp"].input_scale.tolist() == [32768]


@pytest.mark.parametrize("timestep", [0.05, 0.25, 0.3, 3.0])
def test_a_time_step_that_was_not_compared_with_a_board_is_refused(timestep):
    network = Network((Population("out", (1, 1, 2), IFCurrExp()),), (), timestep)
    with pytest.raises(NetworkError, match=r"Network.timestep: must be one of 0.1, 0.2, 0.5, 1, 2 ms, .*nest and bri"):
        lower(network)


@pytest.mark.parametrize("receptor", ["excitatory", "inhibitory"])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("delay, rounding", [(1, "host"), (300, "host"), (2, "machine")])
def test_dense_weights_are_those_of_the_same_list(receptor, per_channel, delay, rounding, monkeypatch):
    """Integers, counters and scales, though no list is made; in pieces of a few rows."""
    monkeypatch.setattr(lowering, "AT_ONCE", 13)
    weight = np.random.default_rng(delay).uniform(0, 3, (9, 6)) * np.geomspace(1e-6, 30, 6)
    dense = DenseConnections(np.full((9, 6), 0.7) if rounding == "machine" else weight, delay, rounding)

    def lowered(connections):
        network = one_layer(connections, size=6, n_pre=9, receptor=receptor)
        out = replace(network.populations[1], shape=(3, 1, 2), per_channel=per_channel)
        return lower(replace(network, populations=(network.populations[0], out)))

    found, again = lowered(dense), lowered(dense)
    weights, listed = found.dense("p"), again.projection("p")
    assert weights.shape == (9, 6) and weights.ravel().tolist() == listed.weight.tolist() and weights.any()
    assert found.counters == again.counters and found.warnings == again.warnings
    if rounding == "host":
        as_list = lowered(dense.to_list())
        assert as_list.projection("p").weight.tolist() == listed.weight.tolist()
        assert as_list.populations["out"].shift.tolist() == found.populations["out"].shift.tolist()


@pytest.mark.parametrize("connections, rule", [(LateralInhibition(3, 1.0), None),
                                               (DenseConnections(np.ones((4, 3))), RULE)])
def test_what_is_no_matrix_of_fixed_weights_is_refused_as_one(connections, rule):
    network = one_layer(connections, plasticity=rule, n_pre=4 if rule else 3)
    with pytest.raises(NetworkError, match="projection p: must be DenseConnections without plasticity"):
        lower(network).dense("p")


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2 ** 32 - 1), st.integers(0, 60), st.sampled_from([1, 2, 5, 1000]), st.booleans(), st.booleans())
def test_a_projection_part_after_part_is_the_whole_one(seed, n, at_once, signed, in_order):
    """The same integers in the same order, every neuron's in one part, and the same counters."""
    rng = np.random.default_rng(seed)
    pre = np.sort(rng.integers(0, 9, n)) if in_order else rng.integers(0, 9, n)
    weight = rng.choice([0.0, 1e-6, 0.5, 1.0, 3.0, 100.0], n) * (rng.choice([-1, 1], n) if signed else 1)
    network = one_layer(ConnectionList(pre, rng.integers(0, 3, n), weight, rng.integers(1, 40, n), signed), n_pre=9,
                        limit=2.0)
    whole, by_parts = lower(network), lower(network)
    expected = whole.projection("p")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lowering, "AT_ONCE", at_once)
        parts = list(by_parts.parts("p"))
    for name in ("pre_id", "post_id", "delay", "weight", "receptor"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(expected, name)), name
    held = [set(part.pre_id.tolist()) for part in parts]
    assert sum(map(len, held)) == len(set(pre.tolist())) and by_parts.counters == whole.counters
    assert all(len(part.pre_id) < at_once + 60 and (len(ids) == 1 or len(part.pre_id) <= at_once + np.bincount(
        pre, minlength=1).max()) for part, ids in zip(parts, held))
