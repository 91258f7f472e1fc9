"""A linear classifier as units that answer with their first spike: levels by trying all, answers of whole margins."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikingconvnet import backends
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import readout
from spikingconvnet.model import build, head
from spikingconvnet.network.netlist import Network, Population
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.readout import race

SLOT, CLASSES = 20, 4


def images(n, seed, last=6):
    """Spikes of a layer of 2 maps with 3 x 2 neurons, silent from step `last` on, and their counts."""
    rng = np.random.default_rng(seed)
    sample, neuron, step = np.nonzero(rng.random((n, 12, last)) < rng.uniform(0.05, 0.4, (n, 12, 1)))
    spikes = Spikes.from_events(sample, neuron, step, (2, 3, 2), n, SLOT)
    return spikes, spikes.counts().reshape(n, -1)


def classifier(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, 0.3, (CLASSES, 12)), rng.normal(0.0, 0.3, CLASSES)


def made(spikes, counts):
    coefficients, intercepts = classifier()
    margins = counts @ coefficients.T + intercepts
    return race.fitted(coefficients, intercepts, np.arange(12), spikes, margins), margins


def answers(spikes, population):
    """Of the units behind a source that fires what the layer does."""
    network = Network((Population(build.INPUT, spikes.shape, SpikeSourceArray(spikes)),), ())
    fired = backends.run(head.answering(network, build.INPUT, population), jobs=1).spikes[head.READOUT]
    return readout.by_first_spike(fired)


def test_the_first_unit_is_that_of_the_largest_margin_whatever_was_shown_before():
    population, seen = made(*images(300, 1))
    spikes, counts = images(200, 2)
    margins = counts @ classifier()[0].T + classifier()[1]
    units, steps = answers(spikes, population)
    cuts = race.levels(seen, SLOT - int(population.first))
    clear = (abs(margins[:, :, None] - cuts) > 0.04).all(axis=(1, 2))       # of a level, whatever rounding does
    below = np.sort((margins[:, :, None] < cuts).sum(axis=2), axis=1)
    apart = clear & (below[:, 0] < below[:, 1])
    assert 0.4 < apart.mean() < clear.mean() and len(set(units[apart])) > 2
    assert np.array_equal(units[apart], margins.argmax(axis=1)[apart])
    assert np.array_equal(steps[clear], int(population.first) + below[clear, 0]) and len(set(steps)) > 3
    order = np.random.default_rng(0).permutation(len(units))
    again = answers(Spikes.concatenate([spikes.samples(i, i + 1) for i in order]), population)
    assert np.array_equal(again, (units[order], steps[order]))


def test_units_wait_for_the_last_spikes_and_a_layer_that_never_rests_is_refused():
    for last in (3, 6, 9):
        assert int(made(*images(50, 0, last))[0].first) == last + 1
    with pytest.raises(SettingsError, match=r"SLOT: leaves 1 of 20 steps .* SLOT to at least 23"):
        made(*images(50, 0, 18))


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_levels_part_as_many_images_as_any_others(seed, ticks):
    rng, grid = np.random.default_rng(seed), 7
    margins = rng.normal(0.0, 1.0, (30, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(race, "GRID", grid)
        patch.setattr(race, "PRIOR", 0.0)
        found = race.levels(margins, ticks)
    second, best = np.sort(margins, axis=1)[:, -2:].T
    low, high = sorted((best.min(), second.max()))
    edges = np.linspace(low, high + 1e-6 * (abs(high) + 1.0), grid)
    others = [ties(margins, np.array(one[::-1])) for one in itertools.combinations(edges, ticks - 1)]
    assert len(found) == ticks - 1 and (np.diff(found) < 0).all() and ties(margins, found) == min(others)


def ties(margins, cuts):
    """Images whose two best units are above the same levels."""
    above = np.sort((margins[:, :, None] >= cuts).sum(axis=2), axis=1)
    return int(np.sum(above[:, -1] == above[:, -2]))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 4)), max_size=12))
def test_first_spikes_equal_the_naive_ones(events):
    spikes = Spikes.from_events(*(zip(*events) if events else ([], [], [])), (3, 1, 1), 4, 5)
    naive = [min(((step, unit) for sample, unit, step in events if sample == i and step), default=(-1, -1))
             for i in range(4)]
    units, steps = readout.by_first_spike(spikes)
    assert list(zip(steps, units)) == naive
