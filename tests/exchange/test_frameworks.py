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
SNNTORCH_STEP = 1e-4        # of its exporter, in seconds


@pytest.mark.parametrize("name, fired", [("snntorch-dense", 300), ("snntorch-convolution", 2500)])
def test_a_network_fires_what_it_fires_in_its_own_framework(name, fired):
    made = scn.from_nir(FIXTURES / f"{name}.nir", graph_dt=SNNTORCH_STEP)
    theirs = dict(np.load(FIXTURES / f"{name}.npz"))
    labels = [label.removeprefix("spikes ") for label in theirs if label.startswith("spikes ")]
    steps, shape = len(theirs[f"spikes {labels[0]}"]), tuple(theirs["shape"].tolist())
    source = next(p for p in made.network.populations if p.is_source)
    shown = np.unpackbits(theirs["input"], count=steps * int(np.prod(shape))).reshape(steps, -1)
    at, neurons = np.nonzero(shown)
    spikes = scn.Spikes.from_events(0 * at, neurons, at, source.shape, 1, steps + 8)
    ours = scn.run(made.shown(spikes)).spikes
    for label in labels:
        lag, expected = made.lags[label], theirs[f"spikes {label}"].reshape(steps, -1)
        assert expected.any() and (ours[label].raster()[lag:lag + steps] != expected).mean() <= 1e-3
    assert sum(int(theirs[f"spikes {label}"].sum()) for label in labels) > fired
