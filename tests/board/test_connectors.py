"""sPyNNaker's own connectors in the engine: post shapes, weight scales and weights as its host code writes them."""

import json
from pathlib import Path

import numpy as np
import pytest
from random_networks import by_kernels, by_reference, random_spikes
from test_weight_scale import largest_inputs

from spikingconvnet.board.connectors import convolution_connectors
from spikingconvnet.board.lowering import lower
from spikingconvnet.network.board_connectors import BoardConvolution, BoardPoolDense
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "board_connectors.json").read_text())
CELL = IFCurrExp(v_rest=0.0, v_reset=-1.0, v_thresh=1.5, v=0.0)


def network(connections, limit=None, spikes=None):
    shape = connections.pre_shape
    return Network([Population("pre", shape, SpikeSourceArray(spikes or Spikes.empty(shape, 1, 3))),
                    Population("post", connections.post_shape, CELL, max_expected_summed_weight=limit)],
                   [Projection("p", "pre", "post", connections)])


def convolution(case):
    return BoardConvolution(np.array(case["kernel"]), (1, case["pre"][1], case["pre"][0]), tuple(case["strides"]),
                            tuple(case["padding"]), tuple(case["pool"] or (1, 1)))


def pool_dense(case):
    return BoardPoolDense(np.array(case["weights"]), (1, case["pre"][1], case["pre"][0]), tuple(case["pool"] or (1, 1)))


CASES = [pytest.param(make(case), case, id=f"{kind} {i}") for kind, make in
         (("convolutions", convolution), ("pool_dense", pool_dense)) for i, case in enumerate(GOLDEN[kind])]


@pytest.mark.parametrize("connections, case", CASES)
def test_the_shape_behind_a_connector_is_spynnakers(connections, case):
    expected = case["post"] if "post" in case else [connections.post_shape[2], 1]
    assert connections.post_shape == (1, expected[1], expected[0])


@pytest.mark.parametrize("connections, case", CASES)
def test_shifts_and_largest_inputs_are_spynnakers(connections, case):
    made = network(connections, case.get("limit"))
    assert set(map(tuple, lower(made).populations["post"].shift.T.tolist())) == {tuple(case["shifts"])}
    assert largest_inputs(made) == pytest.approx(case["bounds"], rel=1e-12)


@pytest.mark.parametrize("connections, case", CASES)
def test_the_sixteen_bits_of_every_weight_are_spynnakers(connections, case):
    lowered = lower(network(connections, case.get("limit"))).projection("p")
    listed, area = connections.to_list(), connections.pool[0] * connections.pool[1]
    raw = np.where(lowered.receptor == 1, -lowered.weight, lowered.weight)
    original = connections.kernel if isinstance(connections, BoardConvolution) else connections.weight
    encoded = dict(zip((original.ravel() / area).tolist(), case["encoded"]))
    assert raw.tolist() == [encoded[weight] for weight in listed.weight.tolist()] and len(raw)


def test_a_weight_beyond_fifteen_bits_changes_its_sign_and_its_receptor():
    lowered = lower(network(BoardConvolution([[3.0]], (1, 1, 2)), limit=1.0))
    # 3 nA times 2**14 is 49152, which is -16384 in signed 16 bits.
    assert lowered.projection("p").weight.tolist() == [16384] * 2
    assert lowered.projection("p").receptor.tolist() == [1, 1]
    assert lowered.warnings == ["projection p: 2 of 2 weights wrap in 16 bits"]


@pytest.mark.parametrize("seed", range(12))
def test_both_engines_give_the_same_integers_behind_them(seed):
    rng = np.random.default_rng(seed)
    shape = (1, int(rng.integers(1, 5)) * 2, int(rng.integers(1, 5)) * 3)
    if seed % 3:
        sizes = rng.choice([1, 3, 5], 2)
        connections = BoardConvolution(rng.normal(0.3, 2.0, sizes), shape, *(tuple(pair) for pair in (
            rng.integers(1, 3, 2).tolist(), rng.integers(0, 3, 2).tolist(), rng.integers(1, 3, 2).tolist())),
            int(rng.integers(1, 5)))
    else:
        connections = BoardPoolDense(rng.normal(0.3, 2.0, (shape[2] // 3, shape[1] // 2, 6)), shape, (3, 2))
    made = network(connections, [None, 1.0][seed % 2], random_spikes(shape, 2, 20, 3.0, rng))
    reference = by_reference(made, [40])
    assert reference.differences(by_kernels(made, [15, 25])) == []


def test_a_layer_and_its_connectors_give_the_same_spikes_and_membranes():
    rng = np.random.default_rng(5)
    shape = (2, 6, 7)
    layer = ConvConnections(rng.normal(0.2, 2.0, (3, 2, 3, 5)), shape, delay=2)
    spikes = random_spikes(shape, 2, 20, 4.0, rng)
    whole = Network([Population("in", shape, SpikeSourceArray(spikes)),
                     Population("out", layer.post_shape, CELL, per_channel=True)],
                    [Projection("p", "in", "out", layer)])
    size = shape[1] * shape[2]
    channel, position = np.divmod(np.arange(2 * size), size)
    sources = [Population(f"in {c}", (1, *shape[1:]), SpikeSourceArray(
        spikes.regrouped((1, *shape[1:]), np.where(channel == c, position, -1)))) for c in range(2)]
    maps = [Population(f"map {m}", (1, *layer.post_shape[1:]), CELL) for m in range(3)]
    split = Network([*sources, *maps], [Projection(f"{c} to {m}", f"in {c}", f"map {m}", part)
                                        for (c, m), part in convolution_connectors(layer).items()])
    one, many = by_kernels(whole, [40]), by_kernels(split, [40])
    for name in ("v", "gsyn_exc", "gsyn_inh"):
        joined = np.concatenate([many.membranes[f"map {m}"][name] for m in range(3)], axis=1)
        assert np.array_equal(one.membranes["out"][name], joined)
    assert len(one.spikes["out"]) == sum(len(many.spikes[f"map {m}"]) for m in range(3)) > 20
