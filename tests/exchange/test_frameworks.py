"""Networks that other frameworks have written, against their own simulation, spike by spike.

Weights round to half a step of 16 bits and decays to 1 / 32768, which moves a spike whose membrane just reaches its
threshold: that of one neuron in one step of a thousand may differ, and the others go on as they did. In fact it is 1 of
207,900 in both networks. benchmarks/nir_fixtures.py has made them.
"""

from pathlib import Path

import numpy as np
import pytest

import spikingconvnet as scn

pytest.importorskip("h5py")
FIXTURES = Path(__file__).parent / "fixtures"
# By file: how it is read, and how many spikes its layers fire at least.
FRAMEWORKS = {"snntorch-dense": ({"graph_dt": 1e-4}, 300), "snntorch-convolution": ({"graph_dt": 1e-4}, 2500)}


def fixture(name):
    """What is imported of a file, the spikes for its Input, and what its own framework fired: dict by node."""
    made, theirs = scn.from_nir(FIXTURES / f"{name}.nir", **FRAMEWORKS[name][0]), dict(np.load(FIXTURES / f"{name}.npz"))
    fired = {key.removeprefix("spikes "): value for key, value in theirs.items() if key.startswith("spikes ")}
    steps, shape = len(next(iter(fired.values()))), tuple(theirs["shape"].tolist())
    source = next(p for p in made.network.populations if p.is_source)
    at, neurons = np.nonzero(np.unpackbits(theirs["input"], count=steps * int(np.prod(shape))).reshape(steps, -1))
    return made, scn.Spikes.from_events(0 * at, neurons, at, source.shape, 1, steps), fired


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_network_fires_what_it_fires_in_its_own_framework(name):
    made, shown, theirs = fixture(name)
    ours = scn.run(made.shown(shown.with_gap(shown.n_steps + max(made.lags.values())))).spikes
    for label, fired in theirs.items():
        lag, expected = made.lags[label], fired.reshape(len(fired), -1)
        assert expected.any() and (ours[label].raster()[lag:lag + len(fired)] != expected).mean() <= 1e-3
    assert sum(int(fired.sum()) for fired in theirs.values()) > FRAMEWORKS[name][1]
