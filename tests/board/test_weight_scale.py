"""Ring-buffer shifts: those that sPyNNaker 7.4.1 chose for a table of networks (golden/README.md), and the borders."""

import json
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.board.lowering import lower
from spikingconvnet.board.weight_scale import WeightStatistics, _largest_input, projection_statistics, ring_buffer_shift
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

TABLE = json.loads((Path(__file__).parents[1] / "golden" / "ring_buffer_shifts.json").read_text())


def presynaptic(label, kind, shape):
    cell = SpikeSourceArray(Spikes.empty(shape, 1, 3)) if kind == "source" else IFCurrExp()
    return Population(label, shape, cell)


def listed(case):
    populations = [Population("post", (1, 1, case["size"]), {"exp": IFCurrExp, "delta": IFCurrDelta}[case["cell"]](),
                              max_expected_summed_weight=case["max_expected_summed_weight"])]
    projections = []
    for i, p in enumerate(case["projections"]):
        label = "post" if p["kind"] == "self" else f"pre {i}"
        if p["kind"] != "self":
            populations.append(presynaptic(label, p["kind"], (1, 1, p["n_pre"])))
        rule = None
        if p["w_max"] is not None:
            rule = STDPMechanism(SpikePairRule(), AdditiveWeightDependence(0.0, p["w_max"]))
        projections.append(Projection(f"p {i}", label, "post", ConnectionList(*np.array(p["synapses"]).T),
                                      p["receptor"], rule))
    return Network(populations, projections)


def convolved(case):
    kernels = np.array(case["kernels"])[None]
    pre_shape = (kernels.shape[1], *case["pre_shape"])
    connections = ConvConnections(kernels, pre_shape, tuple(case["strides"]), tuple(case["pool"]), case["delay"])
    return Network([presynaptic("pre", "source", pre_shape),
                    Population("post", connections.post_shape, IFCurrExp(), per_channel=True)],
                   [Projection("p", "pre", "post", connections)])


def largest_inputs(network):
    """Our estimate of the largest input of a step, in nA: [excitatory, inhibitory]."""
    found = [projection_statistics(p, network.population("post")) for p in network.incoming("post")]
    return [_largest_input([s for f in found for s in f.get((0, receptor), [])], 1000.0) for receptor in (0, 1)]


CASES = [pytest.param(make(case), case, id=f"{kind} {i}")
         for kind, make in (("lists", listed), ("convolutions", convolved)) for i, case in enumerate(TABLE[kind])]


def test_the_table_is_not_empty():
    assert len(TABLE["lists"]) == 20 and len(TABLE["convolutions"]) == 7


@pytest.mark.parametrize("network, case", CASES)
def test_the_shifts_of_every_neuron_are_spynnakers(network, case):
    shift = lower(network).populations["post"].shift
    assert shift.T.tolist() == [case["shifts"]] * shift.shape[1]


@pytest.mark.parametrize("network, case", CASES)
def test_the_largest_input_of_a_step_is_spynnakers(network, case):
    assert largest_inputs(network) == pytest.approx(case["bounds"], rel=1e-12)


@pytest.mark.parametrize("limit, shift", [(0.0, 0), (0.5, 0), (0.999, 0), (1.0, 1), (1.5, 1), (2.0, 2), (300.0, 9)])
def test_a_power_of_two_needs_one_more_bit(limit, shift):
    assert ring_buffer_shift([], max_expected_summed_weight=limit) == shift


def test_without_inputs_nothing_is_shifted():
    assert ring_buffer_shift([]) == 0


def test_without_variance_of_delays_every_input_may_fire_at_once():
    assert ring_buffer_shift([WeightStatistics(5, 1.0, 0.1, 3.1, 0.0)]) == 4        # 15.5 nA
    assert ring_buffer_shift([WeightStatistics(5, 1.0, 0.1, 3.1, 0.0)] * 2) == 5


def test_with_variance_of_delays_the_bound_is_statistical():
    same, varied = (ring_buffer_shift([WeightStatistics(400, 1.0, 0.0, 1.0, d)]) for d in (0.0, 2.0))
    # 400 inputs of 30 Hz are 12 spikes a step; 12 + 5 sqrt(12) = 29.3 nA.
    assert (same, varied) == (9, 5)


def test_channels_of_one_layer_have_scales_of_their_own():
    kernels = np.ones((3, 2, 2, 3)) * np.array([0.01, 1.0, 100.0])[:, None, None, None]
    connections = ConvConnections(kernels, (2, 4, 5))
    network = Network([presynaptic("pre", "source", (2, 4, 5)),
                       Population("post", connections.post_shape, IFCurrExp(), per_channel=True)],
                      [Projection("p", "pre", "post", connections)])
    shift = lower(network).populations["post"].shift[0].reshape(3, -1)
    assert (shift == shift[:, :1]).all() and shift[:, 0].tolist() == [0, 4, 11]
