"""What 16 bits make of weights and learning steps: against sPyNNaker's own bytes, and each failure that it keeps quiet.

``pytest tests/board/test_quantisation.py --board-projections 1000`` reads more projections back.
"""


import numpy as np
import pytest
from random_networks import by_reference, random_spikes
from virtual_board import mapped

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.backends.spinnaker.machine import LOG
from spikingconvnet.board.lowering import lower
from spikingconvnet.board.quantisation import margins, quantise
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.board_connectors import BoardConvolution
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

PER_POPULATION = 4


def source(shape, spikes=None):
    return Population("in", shape, SpikeSourceArray(spikes or Spikes.empty(shape, 1, 5)))


def network(connections, n_post, rule=None, cell=None, limit=None, spikes=None):
    pre = source((1, 1, int(connections.to_list().pre.max()) + 1), spikes)
    return Network((pre, Population("out", (1, 1, n_post), cell or IFCurrExp(), max_expected_summed_weight=limit)),
                   (Projection("p", "in", "out", connections, plasticity=rule),))


# ---------------------------------------------------------------- sPyNNaker's own bytes


def random_projections(n, rng):
    """`n` projections of weights from 1e-6 to 1e3 nA, some beyond their 16 bits, with delays alike and not."""
    populations = [Population("in", (1, 1, 9), SpikeSourceArray(random_spikes((1, 1, 9), 1, 10, 2.0, rng)))]
    projections = []
    for i in range(-(-n // PER_POPULATION)):
        limit = float(rng.choice([0.02, 1.0, 60.0])) if rng.random() < 0.3 else None
        cell = IFCurrExp() if rng.random() < 0.5 else IFCurrDelta()
        populations.append(Population(f"out {i}", (1, 1, 5), cell, max_expected_summed_weight=limit))
        top, rule = float(rng.choice([0.5, 3.0])), None
        for k in range(min(PER_POPULATION, n - i * PER_POPULATION)):
            size = int(rng.integers(1, 30))
            learns = rng.random() < 0.3
            rule = rule or STDPMechanism(SpikePairRule(), AdditiveWeightDependence(0.0, top))
            weight = 10.0 ** rng.uniform(-6.0, 3.0) * rng.random(size)
            if learns and limit:
                weight = np.minimum(weight, limit)      # sPyNNaker casts plastic weights without a mask
            delay = rng.integers(1, 5, size) if rng.random() < 0.5 else np.ones(size)
            projections.append(Projection(
                f"p {i} {k}", "in", f"out {i}", ConnectionList(rng.integers(0, 9, size), rng.integers(0, 5, size),
                                                               weight, delay),
                rng.choice(["excitatory", "inhibitory"]).item(), rule if learns else None))
    return Network(populations, projections)


def test_the_weights_of_random_projections_are_the_bits_that_spynnaker_reads_back(request, tmp_path):
    n = request.config.getoption("--board-projections")
    drawn = random_projections(n, np.random.default_rng(31))
    lowered, zero, wrapped = lower(drawn), 0, 0
    with mapped(drawn, tmp_path) as simulation:
        for one, quantised in zip(drawn.projections, quantise(drawn)):
            integers = lowered.projection(one.label)
            shift = lowered.populations[one.post].shift[integers.receptor, integers.post_id]
            part = simulation._parts[one.post][0][1]
            assert part._vertex.get_ring_buffer_shifts() == lowered.populations[one.post].shift[:, 0].tolist()
            found = simulation._projections[one.label][0][2].get(["weight", "delay"], format="list")
            expected = zip(integers.pre_id, integers.post_id, integers.weight * 2.0 ** (shift - 15), integers.delay)
            assert sorted(map(tuple, np.abs(np.array([tuple(row) for row in found])).tolist())) == \
                sorted(tuple(map(float, row)) for row in expected), one.label
            assert quantised.step == 2.0 ** (shift.max() - 15)
            zero, wrapped = zero + quantised.zero, wrapped + quantised.wrapped
    assert len(drawn.projections) == n and zero > n // 5 and wrapped > n // 5


# ---------------------------------------------------------------- what sPyNNaker keeps quiet


def test_small_weights_beside_a_large_one_become_zero(tmp_path):
    small = network(ConnectionList([0, 1, 2, 3], [0, 1, 2, 3], [5.0, 0.01, 1e-4, 1e-5], [1, 1, 1, 1]), 4)
    one, = quantise(small)
    assert (one.weights, one.zero, one.wrapped) == (4, 2, 0)
    with mapped(small, tmp_path) as simulation:
        assert simulation.weights("p").value.tolist() == [5.0, 0.010009765625, 0.0, 0.0]
        assert "warn" not in (tmp_path / LOG).read_text().lower().replace("warnings", "")


def test_an_expected_weight_that_is_too_low_wraps_large_ones(tmp_path):
    large = network(ConnectionList([0, 1], [0, 0], [5.0, 300.0], [1, 1]), 1, limit=1.0)
    one, = quantise(large)
    assert (one.zero, one.wrapped, one.step) == (0, 2, 2.0 ** -14)
    with mapped(large, tmp_path) as simulation:
        assert simulation.weights("p").value.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("fan_in, levels, lost", [(16, 1025, False), (100, 257, False), (256, 65, False),
                                                  (784, 33, True)])
def test_a_learning_step_below_one_bit_is_lost_upwards_and_a_whole_bit_downwards(fan_in, levels, lost):
    rule = STDPMechanism(SpikePairRule(A_plus=0.02, A_minus=0.02), AdditiveWeightDependence(0.0, 1.0))
    dense = network(DenseConnections(np.full((fan_in, 1), 0.5)), 1, rule)
    learning = quantise(dense)[0].learning
    assert (learning.levels, learning.potentiation_lost) == (levels, lost)
    assert learning.a_plus == pytest.approx(0.02 * (levels - 1), rel=1e-3)

    def final(pre_steps, drive):
        """Weights after presynaptic spikes; `drive` makes the neuron fire by itself at step 0, and only then."""
        steps = np.repeat(pre_steps, fan_in)
        inputs = np.tile(np.arange(fan_in), len(pre_steps))
        spikes = Spikes.from_events(0 * steps, inputs, steps, (1, 1, fan_in), 1, 400)
        fires = IFCurrDelta(v_rest=0.0, v_reset=-9000.0, v_thresh=0.2, v=0.0, cm=20.0, i_offset=drive, tau_m=400.0)
        made = network(DenseConnections(np.full((fan_in, 1), 0.5)), 1, rule, fires, spikes=spikes)
        results = by_reference(made, [400])
        assert len(results.spikes["out"]) == 1
        return np.array(results.weights["p"]) * quantise(made)[0].step

    before, after = final([1, 390], 0.0), final([5], 70.0)
    assert ((before == 0.5) if lost else (before > 0.5)).all()
    assert (after <= 0.5 - quantise(dense)[0].step).all()


def test_plastic_delays_of_the_ring_buffers_length_never_deliver():
    rule = STDPMechanism()
    connections = ConnectionList([0, 1, 2], [0, 0, 0], [0.5, 0.5, 0.5], [1, 4, 3])
    spikes = Spikes.from_events([0, 0], [1, 1], [2, 5], (1, 1, 3), 1, 20)
    plastic, static = (network(connections, 1, r, spikes=spikes) for r in (rule, None))
    assert (quantise(plastic)[0].silent, quantise(plastic)[0].slots) == (1, 4)
    assert quantise(static)[0].silent == 0
    current = [by_reference(n, [20]).membranes["out"]["gsyn_exc"].max() for n in (plastic, static)]
    assert current[0] == 0 < current[1]


def test_weights_outside_the_rules_bounds_are_counted():
    rule = STDPMechanism(SpikePairRule(), AdditiveWeightDependence(0.2, 1.0))
    one, = quantise(network(DenseConnections(np.array([[0.1], [0.5], [1.5]])), 1, rule))
    assert one.learning.clipped == 2


@pytest.mark.parametrize("kernel, strides, text", [((4, 4), (1, 1), "kernel of even size"),
                                                   ((3, 3), (3, 3), "neighbouring outputs")])
def test_what_the_convolution_connector_would_get_wrong_becomes_lists_and_says_so(kernel, strides, text):
    connections = ConvConnections(np.ones((1, 1, *kernel)), (1, 28, 28), strides)
    made = Network((source((1, 28, 28)), Population("out", connections.post_shape, IFCurrExp(), per_channel=True)),
                   (Projection("p", "in", "out", connections),))
    connectors, choices = spinnaker.convolutions(made)
    assert not connectors and text in choices["p"]
    if kernel[0] % 2 == 0:
        with pytest.raises(NetworkError, match="beyond an even one"):
            BoardConvolution(np.ones(kernel), (1, 28, 28))


# ---------------------------------------------------------------- saturation


def test_the_margin_is_the_largest_slot_over_the_largest_input():
    spikes = Spikes.from_events([0, 0, 0], [0, 1, 2], [1, 1, 3], (1, 1, 3), 1, 5)
    made = network(ConnectionList([0, 1, 2], [0, 0, 0], [1.0, 2.0, 4.0], [1, 1, 1]), 1, limit=7.9, spikes=spikes)
    one, = margins(made)
    assert (one.label, one.receptor) == ("out", "excitatory")
    assert one.scale == pytest.approx(16.0, abs=1e-3)
    assert one.bound == pytest.approx(16.0 / 7.0, abs=1e-3)          # all three at once
    assert one.measured == pytest.approx(16.0 / 4.0, abs=1e-3)       # three and four never are


def test_a_margin_below_one_is_what_the_engine_cuts():
    spikes = Spikes.from_events([0, 0], [0, 1], [1, 1], (1, 1, 2), 1, 5)
    made = network(ConnectionList([0, 1], [0, 0], [1.5, 1.5], [1, 1]), 1, limit=0.9, spikes=spikes)
    assert margins(made)[0].measured < 1.0
    assert by_reference(made, [5]).saturated["out"] == 1


def test_a_convolution_has_the_margins_of_its_list():
    rng = np.random.default_rng(33)
    spikes = random_spikes((2, 7, 9), 2, 12, 5.0, rng)
    connections = ConvConnections(rng.normal(0.0, 1.0, (3, 2, 2, 3)), (2, 7, 9), (1, 2), (2, 1))
    listed = connections.to_list()

    def made(kind):
        return Network((source((2, 7, 9), spikes), Population("out", connections.post_shape, IFCurrExp(),
                                                              max_expected_summed_weight=50.0)),
                       (Projection("p", "in", "out", kind),))

    for a, b in zip(margins(made(connections)), margins(made(listed)), strict=True):
        assert (a.label, a.receptor, a.scale) == (b.label, b.receptor, b.scale)
        assert a.measured == pytest.approx(b.measured, rel=1e-6)
        assert a.bound == pytest.approx(b.bound, rel=1e-6)


def test_neurons_behind_neurons_have_the_bound_alone():
    made = Network((Population("a", (1, 1, 2), IFCurrExp()), Population("b", (1, 1, 1), IFCurrExp())),
                   (Projection("p", "a", "b", DenseConnections(np.ones((2, 1))), "inhibitory"),))
    assert [(m.receptor, m.measured) for m in margins(made)] == [("inhibitory", None)]
