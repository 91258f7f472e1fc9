"""Ridge regression: what its diagnostics say."""

import numpy as np
import pytest
from rectifying import units

from spikingconvnet import Dense, Sequential, SpikeCount
from spikingconvnet.training.chain import ridge


def test_accuracy_is_the_share_of_images_whose_largest_output_is_their_class():
    rule = ridge.Ridge()
    model = Sequential((1, 1, 3), Dense(3, neuron=rule.neuron), SpikeCount())
    images = np.eye(3, dtype=np.float32)[[0, 1, 2, 2]].reshape(4, 1, 1, 3)
    layers = units([np.eye(3, dtype=np.float32).reshape(3, 1, 1, 3)])
    for labels, wanted in (([0, 1, 2, 2], 1.0), ([0, 1, 2, 0], 0.75), ([1, 2, 0, 2], 0.25), ([2, 2, 1, 1], 0.0)):
        assert ridge.accuracy(model, layers, images, np.array(labels)) == wanted
    assert np.isnan(ridge.accuracy(model, layers, images[:0], np.zeros(0, int)))


@pytest.mark.parametrize("strength", [1e-6, 0.5])
def test_the_error_that_is_left_is_that_of_every_image_and_unit(strength):
    rng, rule = np.random.default_rng(0), ridge.Ridge(strength=strength)
    model = Sequential((1, 2, 3), Dense(4, neuron=rule.neuron), SpikeCount())
    images, labels = rng.random((30, 1, 2, 3)).astype(np.float32), rng.integers(0, 4, 30)
    kernels, error = ridge._fitted(model, [np.zeros((4, 1, 2, 3))], images, labels, rule, iter)
    left = np.eye(4)[labels] - 0.25 - images.reshape(30, 6) @ kernels.reshape(4, 6).T
    assert error == pytest.approx(np.square(left).mean(), rel=1e-5) and 0 < error < 0.1875
