"""The readout that learns in a simulator: counts as spikes, runs that go on with the weights of those before."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from spikingconvnet import Classifier, backends
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import readout
from spikingconvnet.training import RewardDriven
from spikingconvnet.training.readout import reward_driven


def samples(n, seed=0):
    """Counts of 60 cells, of which each of 3 classes has twenty that fire more."""
    rng = np.random.default_rng(seed)
    units = rng.integers(0, 3, n)
    return rng.poisson(np.where(np.arange(60) // 20 == units[:, None], 5.0, 1.0)).astype(np.uint16), units


def test_counts_become_as_many_spikes_one_a_step_and_evenly():
    counts, late = np.array([[0, 1, 3, 16, 70], [2, 0, 0, 5, 8]]), np.array([2, 0, 3, 1, 2])
    spikes = reward_driven.as_spikes(counts, 19, late)
    assert np.array_equal(spikes.counts().reshape(2, -1), np.minimum(counts, 16)) and spikes.raster().max() == 1
    sample, neuron, step = spikes.events()
    for i, j in np.argwhere(counts > 1):
        own = step[(sample == i) & (neuron == j)]
        assert np.ptp(np.diff(own)) <= 1 and abs(own.mean() - 7.5 - late[j]) <= 0.5
    assert reward_driven.as_spikes(np.zeros((2, 3), int), 4, late[:3]).n_events == 0


def test_cells_begin_evenly_often_in_each_step():
    late = reward_driven.begins(1728, 8)
    assert np.bincount(late).tolist() == [218, 216, 216, 216, 216, 216, 216, 214] and np.diff(late).all()
    assert not reward_driven.begins(5, 1).any()


def test_a_network_learns_from_reward_and_punishment_and_begins_each_run_with_the_weights_before(caplog):
    counts, units = samples(60)
    rule, opened = RewardDriven(amounts=(0.2, 0.1), chunk=40), []

    def watched(network, *args, **options):
        opened.append(network)
        return backends.open(network, *args, **options)

    fitted = readout.fitter(Classifier(learn=rule), 0, lambda items, description: items, watched)(counts, units + 7)
    assert caplog.text.count("the order of packets decides what is learnt") == 1        # of four runs
    asked, truth = samples(200, 1)
    assert readout.score(fitted.predict(asked), truth + 7).accuracy > 0.8 and fitted.classes.tolist() == [7, 8, 9]
    assert (fitted.coefficients > 0).any() and (fitted.coefficients < 0).any() and not fitted.intercepts.any()
    weights = [network.projection("synapses").connections.weight for network in opened]
    amounts = [network.projection("reward").connections.weight.max() for network in opened]
    assert np.unique(weights[0]).tolist() == [reward_driven.INHIBITION] and amounts == [0.2, 0.2, 0.1, 0.1]
    assert all(not np.array_equal(one, other) for one, other in pairwise(weights))
    with partial(backends.open, jobs=1)(opened[-1]) as simulation:
        simulation.run(simulation.source_steps)
        last = simulation.weights("synapses").value.reshape(60, 3)
    late, tau = reward_driven.begins(60, rule.spread), rule.trials.neuron.tau_m
    worth = (last - reward_driven.INHIBITION) * np.exp(late / tau)[:, None]
    assert np.allclose(fitted.coefficients / fitted.coefficients.max(), worth.T / worth.max())


def test_settings_that_cannot_be_used_are_refused():
    for change, text in (({"amounts": ()}, "amounts"), ({"chunk": 0}, "chunk"),
                         ({"spread": 64}, "spread"),
                         ({"trials": replace(RewardDriven().trials, inhibition=0.0, target=3.0)}, "trials.inhibition")):
        with pytest.raises(SettingsError, match=f"RewardDriven.{text}: must be"):
            RewardDriven(**change)
