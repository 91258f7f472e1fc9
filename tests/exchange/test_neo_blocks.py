"""The samples that a Block tells of: the timeline of its SpikeTrains is cut where they end."""

import numpy as np
import pytest

from spikingconvnet.errors import DataError
from spikingconvnet.exchange.neo_blocks import _regrouped
from spikingconvnet.exchange.spike_tables import Sizes
from spikingconvnet.network.spikes import Spikes


def timeline(n_steps, last):
    """Three neurons, which fire in the first step and in `last`."""
    return Spikes.from_events([0, 0], [1, 2], [0, last], (1, 1, 3), 1, n_steps)


@pytest.mark.parametrize("n_steps", [10, 11, 14])
def test_steps_behind_the_samples_without_spikes_are_left_out(n_steps):
    found = _regrouped(timeline(n_steps, 9), Sizes((3, 1, 1), 2, 5))
    assert (found.shape, found.n_samples, found.n_steps) == ((3, 1, 1), 2, 5)
    assert np.array_equal(found.steps(), [0, 9]) and found.neurons.tolist() == [1, 2]


def test_what_is_not_told_is_one_sample_or_one_step():
    assert (_regrouped(timeline(10, 9), Sizes(None, None, 10)).n_samples, _regrouped(
        timeline(10, 9), Sizes(None, 10, None)).n_steps) == (1, 1)
    assert _regrouped(timeline(10, 9), Sizes(None, 2, 5)).shape == (1, 1, 3)


@pytest.mark.parametrize("n_steps, last, samples", [(11, 10, 2), (9, 8, 2), (12, 5, 3), (6, 5, 1)])
def test_trains_of_another_length_are_refused(n_steps, last, samples):
    with pytest.raises(DataError, match="shorter or longer than the Block tells"):
        _regrouped(timeline(n_steps, last), Sizes((3, 1, 1), samples, 5))
