"""Ridge regression: what its diagnostics say."""

import numpy as np
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
