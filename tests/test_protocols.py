"""The same tests for everything that is a backend, a filter or an encoder."""

import importlib.util

import numpy as np
import pytest

import spikingconvnet as scn
from spikingconvnet import backends
from spikingconvnet.backends.base import Backend, Recording, Simulation, Weights
from spikingconvnet.data.protocols import Encoder, ImageFilter
from spikingconvnet.errors import NetworkError

NEEDS = {"local": "numpy", "spinnaker": "spynnaker", "nest": "nest", "brian2": "brian2"}
FILTERS = (scn.Intensity(), scn.data.BitPlanes(), scn.DifferenceOfGaussians(),
           scn.Deslanted(scn.DifferenceOfGaussians()), scn.data.Opponents(scn.DifferenceOfGaussians()),
           scn.GaussianReceptiveFields(fields=4))
ENCODERS = (scn.LatencyEncoder(n_steps=9), scn.RegularEncoder(n_steps=9, max_rate=0.5),
            scn.RegularEncoder(n_steps=9, max_rate=0.5, random_phase=True), scn.RateEncoder(n_steps=9, max_rate=0.5))


def network():
    """Two sources that fire in turns, two neurons behind plastic synapses; the second hears too little to fire."""
    spikes = scn.Spikes.from_events([0] * 6, [0, 1] * 3, [1, 3, 11, 13, 21, 23], (1, 1, 2), n_samples=1, n_steps=40)
    rule = scn.STDPMechanism(scn.SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.1, A_minus=0.1),
                             scn.AdditiveWeightDependence(w_min=0.0, w_max=8.0))
    weights = scn.DenseConnections(np.array([[7.0, 0.0625], [6.0, 0.125]]))
    return scn.Network((scn.Population("in", (1, 1, 2), scn.SpikeSourceArray(spikes)),
                        scn.Population("out", (2, 1, 1), scn.IFCurrExp(cm=0.25, v_thresh=-55.0))),
                       (scn.Projection("all", "in", "out", weights, plasticity=rule),))


@pytest.fixture(params=backends.names())
def backend(request):
    """Name of each backend that is installed; the continuous integration has them all."""
    if importlib.util.find_spec(NEEDS[request.param]) is None:
        pytest.skip(f"needs {NEEDS[request.param]}")
    return request.param


def test_the_backends_are_all_tested():
    assert set(NEEDS) == set(backends.names())


def test_a_backend_and_its_simulation_keep_what_the_protocols_promise(backend):
    module = backends.get_backend(backend)
    assert isinstance(module, Backend) and module.REPLICAS_AT_ONCE in (None, 1)
    with module.open(network(), record={"out": np.array([1])}) as simulation:
        assert simulation.source_steps == 40
        with pytest.raises(NetworkError, match="n_steps: must be at least 1, got 0"):
            simulation.run(0)
        simulation.run(30)
        first = simulation.recording()
        assert isinstance(simulation, Simulation)
        with pytest.raises(NetworkError, match=r"v_thresh: must be of shape \(2,\)"):
            simulation.set("out", v_thresh=np.array([-50.0]))
        simulation.set("out", v_thresh=np.array([100.0, 100.0]))
        simulation.run(10)
        second, weights = simulation.recording(), simulation.weights("all")
    assert isinstance(first, Recording) and list(first.spikes) == ["out"]
    assert len(first.spikes["out"].offsets) == 31 and len(second.spikes["out"].offsets) == 11
    counts = np.bincount(first.spikes["out"].neurons, minlength=2)
    assert counts[0] >= 2 and counts[1] == 0 and not second.spikes["out"].n_events
    assert {"v"} <= set(first.membranes["out"]) <= {"v", "gsyn_exc", "gsyn_inh"}
    assert first.membrane("out").shape == (30, 1) and second.membrane("out").shape == (10, 1)
    assert np.isclose(first.membrane("out")[0, 0], -65.0, atol=1e-3) and first.membrane("out").max() > -64.9
    assert isinstance(weights, Weights) and weights.value.shape == (4,)
    assert weights.raw is None or weights.raw.shape == (4,)
    # In the order of the list: the synapses of the silent neuron have not learned, the others have.
    assert np.allclose(weights.value[[1, 3]], [0.0625, 0.125], atol=0.01)
    assert not np.isclose(weights.value[[0, 2]], [7.0, 6.0], atol=0.01).any()


def images(n):
    return np.random.default_rng(0).integers(0, 256, (n, 6, 5), dtype=np.uint8)


def fitted(chosen):
    """A filter as it is used."""
    return chosen.fitted(images(20)) if hasattr(chosen, "fitted") else chosen


@pytest.mark.parametrize("chosen", FILTERS, ids=lambda one: type(one).__name__)
def test_a_filter_makes_its_channels_image_by_image(chosen):
    found, shown = fitted(chosen), images(20)
    assert isinstance(found, ImageFilter)
    values = found(shown)
    assert values.shape == (20, found.channels, 6, 5) and values.dtype == np.float64 and np.isfinite(values).all()
    assert values.min() >= 0 and 0.3 < values.max() <= 1.5
    assert np.array_equal(np.concatenate([found(shown[:7]), found(shown[7:])]), values)
    assert found(shown[:0]).shape == (0, found.channels, 6, 5)
    assert len(getattr(found, "channel_names", None) or range(found.channels)) == found.channels
    worth = getattr(found, "worth", None)
    assert worth is None or len(worth) == found.channels


@pytest.mark.parametrize("encoder", ENCODERS, ids=repr)
def test_an_encoder_makes_spikes_sample_by_sample(encoder):
    assert isinstance(encoder, Encoder) and encoder.n_steps == 9
    values = np.random.default_rng(1).random((8, 2, 3, 4))
    values[0], values[1] = 0.0, 1.0
    spikes = encoder(values, np.random.default_rng(2))
    assert isinstance(spikes, scn.Spikes) and spikes.shape == (2, 3, 4)
    assert (spikes.n_samples, spikes.n_steps) == (8, 9)
    counts = spikes.counts()
    assert not counts[0].any() and counts[1].sum() > 0 and counts[1].sum() >= 0.8 * counts.sum(axis=(1, 2, 3)).max()
    rng = np.random.default_rng(2)
    parts = [encoder(values[:3], rng), encoder(values[3:], rng)]
    assert scn.Spikes.concatenate(parts) == spikes
    assert encoder(values[:0], rng).n_samples == 0
