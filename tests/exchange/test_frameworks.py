"""Networks that other frameworks have written, against their own simulation, step by step.

Weights round to half a step of 16 bits and decays to 1 / 32768, which moves a spike whose membrane just reaches its
threshold: that of one neuron in one step of a thousand may differ, and the others go on as they did. In fact it is 1 of
207,900 in those of snnTorch and none of 132,600 in those of Norse, sinabs and SpikingJelly. They are made by
benchmarks/nir_fixtures.py.
"""

from pathlib import Path

import numpy as np
import pytest

import spikingconvnet as scn

nir = pytest.importorskip("nir")
FIXTURES = Path(__file__).parent / "fixtures"
# By file: how it is read, and spikes that its layers fire at least. snnTorch writes time constants for steps of 1e-4 s,
# SpikingJelly here for 1e-3 s, the others in steps; sinabs decays by exp(-1 / tau).
FRAMEWORKS = {"snntorch-dense": ({"graph_dt": 1e-4}, 300), "snntorch-convolution": ({"graph_dt": 1e-4}, 2500),
              "norse-dense": ({"graph_dt": 1}, 170), "norse-cuba": ({"graph_dt": 1}, 200),
              "sinabs-convolution": ({"graph_dt": 1, "method": "exact"}, 600), "spikingjelly-convolution": ({}, 1800)}


def graph_of(name):
    """The file; of Norse's LIFCells with the `w_in` that they compute with and Norse 1.1.0 does not write."""
    if name != "norse-cuba":
        return FIXTURES / f"{name}.nir"
    unchecked = {"type_check": False} if hasattr(nir, "CubaLI") else {}     # Norse's Input has an axis of the batch
    graph = nir.read(FIXTURES / f"{name}.nir", **unchecked)
    for node in graph.nodes.values():
        if isinstance(node, nir.CubaLIF):
            node.w_in = node.tau_syn / FRAMEWORKS[name][0]["graph_dt"]
    return graph


def fixture(name, graph=None):
    """What is imported of a file, the spikes for its Input, and what its own framework gave: dict of array by text."""
    made = scn.exchange.from_nir(graph or graph_of(name), **FRAMEWORKS[name][0])
    theirs = dict(np.load(FIXTURES / f"{name}.npz"))
    shape, bits = tuple(theirs.pop("shape").tolist()), theirs.pop("input")
    steps = len(next(iter(theirs.values())))
    source = next(p for p in made.network.populations if p.is_source)
    at, neurons = np.nonzero(np.unpackbits(bits, count=steps * int(np.prod(shape))).reshape(steps, -1))
    return made, scn.Spikes.from_events(0 * at, neurons, at, source.shape, 1, steps), {
        key: values.reshape(steps, -1) for key, values in theirs.items()}


def run(made, shown):
    """Until the last spikes have come through, with the membranes that Outputs read."""
    network = made.shown(shown.with_gap(shown.n_steps + max(made.lags.values()) + 1))
    return scn.run(network, record=[reads.population for reads in made.outputs.values() if reads.what == "v"])


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_network_fires_what_it_fires_in_its_own_framework(name):
    made, shown, theirs = fixture(name)
    ours, fired = run(made, shown).spikes, 0
    for key, expected in theirs.items():
        if key.startswith("spikes "):
            lag = made.lags[label := key.removeprefix("spikes ")]
            assert expected.any() and (ours[label].raster()[lag:lag + len(expected)] != expected).mean() <= 1e-3
            fired += int(expected.sum())
    assert fired > FRAMEWORKS[name][1]


@pytest.mark.parametrize("name", ["norse-dense", "sinabs-convolution"])
def test_a_membrane_that_is_read_is_that_of_its_own_framework(name):
    """Within what the report states of a step, over the steps that it remembers: 20 and 8.5."""
    made, shown, theirs = fixture(name)
    reads, = made.outputs.values()
    expected, scale = theirs[f"membranes {reads.population}"], made.scales[reads.population]
    ours = run(made, shown).membrane(reads.population)[reads.lag + 1:reads.lag + 1 + len(expected)] / scale
    allowed = 20 * made.report.of(reads.population).mv / scale
    assert allowed < 0.004 * abs(expected).max()
    np.testing.assert_allclose(ours, expected, 0, allowed)


def test_norse_writes_its_synapses_without_their_weight():
    """As docs/nir.md says: the file as it is fires next to nothing."""
    _, _, theirs = fixture("norse-cuba")
    made, shown, _ = fixture("norse-cuba", FIXTURES / "norse-cuba.nir")
    assert run(made, shown).spikes["1"].n_events < 0.1 * theirs["spikes 1"].sum()
