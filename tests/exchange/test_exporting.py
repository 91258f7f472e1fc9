"""Networks as graphs of NIR, and back: 200 at random are the same, and the graph alone says what they fire."""

import sys
from pathlib import Path

import numpy as np
import pytest

import spikingconvnet as scn
from spikingconvnet.exchange.exporting import exported, to_nir
from spikingconvnet.exchange.importing import from_nir
from spikingconvnet.network import ConnectionList, ConvConnections, LateralInhibition
from spikingconvnet.network.serialisation import first_difference

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from naive_nir import FIRING, Interpreter, Plain

nir = pytest.importorskip("nir")
STEPS = 40


def random_network(rng, offsets=True):
    """Sources, and populations of both cells behind them, with every kind of connections; weights are 64ths of a nA."""
    shape = (int(rng.integers(1, 3)), *map(int, rng.integers(3, 7, 2)))
    spikes = scn.Spikes.from_events(np.zeros(80, int), rng.integers(0, np.prod(shape), 80), rng.integers(0, STEPS, 80),
                                    shape, 1, STEPS + 20)
    populations, projections = [scn.Population("in", shape, scn.SpikeSourceArray(spikes))], []
    for layer in range(int(rng.integers(1, 4))):
        pre, label = populations[-1], f"layer {layer}"
        if len(pre.shape) and min(pre.shape[1:]) > 2 and rng.random() < 0.5:
            kernel = rng.integers(-32, 64, (3, pre.shape[0], 2, 2)) / 64
            pool = (2, 2) if min(pre.shape[1:]) > 3 and rng.random() < 0.3 else (1, 1)
            found = ConvConnections(kernel * np.prod(pool), pre.shape, pool=pool, delay=int(rng.integers(1, 4)),
                                        padding=(1, 0) if rng.random() < 0.4 else (0, 0))
            post_shape = found.post_shape
        else:
            n = int(rng.integers(3, 12))
            found, post_shape = listed(rng, pre.size, n), (n, 1, 1)
        post = scn.Population(label, post_shape, cell(rng), values(rng, post_shape) if offsets else {}, bool(
            isinstance(found, ConvConnections) and rng.random() < 0.5), 64.0)
        populations.append(post)
        projections.append(scn.Projection(f"to {label}", pre.label, label, found))
        if rng.random() < 0.4 and not post.per_channel:
            projections.append(scn.Projection(f"within {label}", label, label, LateralInhibition(
                post.size, 1 / 64, int(rng.integers(1, 4))), "inhibitory"))
        if layer and rng.random() < 0.4 and not post.per_channel:
            found = listed(rng, populations[0].size, post.size)
            projections.append(scn.Projection(f"past {label}", "in", label, found))
        if layer and rng.random() < 0.3 and not populations[-2].per_channel:
            projections.append(scn.Projection(f"back {label}", label, pre.label, listed(rng, post.size, pre.size)))
    return scn.Network(tuple(populations), tuple(projections))


def listed(rng, n_pre, n_post):
    pre, post = np.nonzero(rng.random((n_pre, n_post)) < rng.choice([0.2, 0.9]))
    if rng.random() < 0.3:
        return scn.DenseConnections(rng.integers(1, 32, (n_pre, n_post)) / 64, int(rng.integers(1, 5)))
    weights = rng.integers(1, 64, len(pre)) / 64 * rng.choice([-1, 1], len(pre), p=[0.3, 0.7])
    return ConnectionList(pre, post, weights, rng.integers(1, int(rng.integers(2, 5)), len(pre)), signed=True)


def cell(rng):
    rest = rng.uniform(-70, 0)
    common = {"tau_m": rng.uniform(2, 30), "cm": rng.uniform(0.2, 2.0), "v_rest": rest, "v": rest, "tau_refrac": 0.0,
              "v_reset": rest - 1.0, "v_thresh": rest + rng.uniform(1, 10)}
    if rng.random() < 0.5:
        return scn.IFCurrDelta(**common)
    return scn.IFCurrExp(**common, tau_syn_E=(tau := rng.uniform(1, 8)), tau_syn_I=tau)


def values(rng, shape):
    offsets = np.repeat(rng.uniform(0, 0.2, shape[0]), shape[1] * shape[2])
    if rng.random() < 0.6:
        return {}
    return {"i_offset": offsets if rng.random() < 0.7 else rng.uniform(0, 0.2, offsets.size)}


def synapses(network):
    found = {}
    for projection in network.projections:
        one = projection.connections.to_list()
        sign = 1 if one.signed or projection.receptor == "excitatory" else -1
        table = np.stack([one.pre, one.post, sign * one.weight, one.delay])[:, one.weight != 0]
        if table.size:
            found.setdefault((projection.pre, projection.post), []).append(table)
    return {ends: (table := np.concatenate(parts, 1))[:, np.lexsort(table)] for ends, parts in found.items()}


def same(ours, theirs):
    """Where two networks differ, but for what their sources fire."""
    for a in ours.populations:
        b = theirs.population(a.label)
        if a.is_source:
            assert (a.shape, a.neurons_per_core) == (b.shape, b.neurons_per_core)
        else:
            assert first_difference(a, b) is None
    a, b = synapses(ours), synapses(theirs)
    assert a.keys() == b.keys()
    for ends, table in a.items():
        np.testing.assert_array_equal(table, b[ends])


@pytest.mark.parametrize("seed", range(200))
def test_a_network_comes_back_as_it_was(seed, tmp_path):
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    method = str(rng.choice(["euler", "exact"]))
    graph = network.to_nir(method=method)
    same(network, from_nir(graph, method=method).network)
    nir.write(tmp_path / "x.nir", graph)
    same(network, from_nir(tmp_path / "x.nir", method=method).network)


def listed_network(n, n_synapses, delays=(1,)):
    source = scn.Population("in", (n, 1, 1), scn.SpikeSourceArray(scn.Spikes.empty((n, 1, 1), 1, 1)))
    ends, rng = np.arange(n_synapses) % n, np.random.default_rng(0)
    found = ConnectionList(ends, rng.permutation(ends), np.ones(n_synapses), rng.choice(delays, n_synapses))
    return scn.Network((source, scn.Population("cells", (n, 1, 1), scn.IFCurrDelta())),
                       (scn.Projection("list", "in", "cells", found),))


def test_a_list_says_what_matrices_it_becomes():
    _, report = exported(listed_network(50, 200, [1, 3]))
    assert "200 synapses, as 2 full matrices of 2,500 weights" in report.of("list").text
    graph = to_nir(listed_network(50, 200, [1, 3]))
    assert sum(np.size(node.weight) for node in graph.nodes.values() if hasattr(node, "weight")) == 5000


def test_a_list_that_no_matrix_can_hold_is_refused_before_anything_is_written():
    graph, report = exported(listed_network(15_000, 10))
    assert graph is None and "225,000,000 weights" in report.of("list").text
    with pytest.raises(scn.SpikingConvNetError, match=r"list \(Projection\).*ConvConnections"):
        to_nir(listed_network(15_000, 10))


@pytest.mark.skipif(not hasattr(nir, "CubaLI"), reason="nir 1.0.4 has no v_reset, so its graph alone says less")
@pytest.mark.parametrize("seed", range(60))
def test_the_graph_alone_says_what_a_network_fires(seed):
    """Without constant currents, which begin before the first spikes can come, as the report says."""
    rng = np.random.default_rng(seed)
    network = random_network(rng, offsets=False)
    made, given = to_nir(network), network.population("in").cell.spikes
    lags = {name: node.metadata["spikingconvnet"]["lag"] for name, node in made.nodes.items() if node.metadata}
    graph = Plain(made.to_dict()["nodes"], made.edges)
    raster = given.raster().reshape(-1, *given.shape).astype(float)
    fired = {label: spikes.raster()[lags[label]:] for label, spikes in scn.run(network).spikes.items() if label in lags}
    twin = Interpreter(graph, 1e-3, "euler", {"in": raster})
    for t in range(STEPS):
        for name, node in graph.nodes.items():
            if node["type"] in FIRING:
                np.testing.assert_array_equal(fired[name][t], np.ravel(twin.value(name, t)), f"{name}, {t}")
