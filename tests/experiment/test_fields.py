"""What deeper layers see of the input, against the response of linear layers to one pixel after the other."""

from types import SimpleNamespace

import numpy as np
import pytest

from spikingconvnet import AvgPool2D, Classifier, Conv2D, Dense, Sequential, Shortcut, SpikeCount
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment import fields
from spikingconvnet.model.trained import TrainedLayer


def trained(model, seed=0):
    """What stands for an experiment: the model with random weights."""
    rng = np.random.default_rng(seed)
    layers = [TrainedLayer(rng.normal(size=stage.main.kernel_shape), np.ones(stage.out_shape[0]),
                           shortcuts=tuple(rng.normal(size=one.kernel_shape) for one in stage.shortcuts))
              for stage in model.stages]
    return SimpleNamespace(model=model, trained=lambda number: layers[number - 1])


def responses(experiment):
    """What each pixel adds to the middle of each map of each layer: list of (maps, input channels, rows, columns)."""
    shape = experiment.model.input_shape
    pixels = np.eye(np.prod(shape)).reshape(-1, *shape)         # an image for each
    maps, found = [pixels], []
    for stage in experiment.model.stages:
        layer, total = experiment.trained(stage.number), np.zeros((len(pixels), *stage.out_shape))
        for branch, kernels in zip(stage.branches, (layer.kernels, *layer.shortcuts)):
            (channels, height, width), (rows, columns) = branch.in_shape, branch.pool
            below = maps[branch.source][:, :, :height * rows, :width * columns]
            pooled = below.reshape(-1, channels, height, rows, width, columns).mean(axis=(3, 5))
            seen = np.pad(pooled, ((0, 0), (0, 0), *((one, one) for one in branch.padding)))
            full = branch.full(kernels)
            for row, column in np.ndindex(*stage.out_shape[1:]):
                top, left = row * branch.strides[0], column * branch.strides[1]
                window = seen[:, :, top:top + full.shape[2], left:left + full.shape[3]]
                total[:, :, row, column] += np.tensordot(window, full, ([1, 2, 3], [1, 2, 3]))
        maps.append(total)
        found.append(total[:, :, total.shape[2] // 2, total.shape[3] // 2].T.reshape(-1, *shape))
    return found


def graph(shape, *layers):
    return Sequential(shape, *layers, Dense(2), SpikeCount())


GRAPHS = {
    "a chain with pooling, also of the input": Sequential(
        (2, 15, 15), AvgPool2D(2), Conv2D(3, 3, strides=2), Conv2D(2, 2), Classifier()),
    "a map for each filter and channel": Sequential(
        (2, 7, 7), Conv2D(2, 3, per_map=True), Conv2D(2, 2, per_map=True), Classifier()),
    "padding": graph((1, 5, 6), Conv2D(2, 3, padding=1), Conv2D(3, (3, 1), padding=(1, 0))),
    "groups": graph((4, 7, 7), Conv2D(4, 3, groups=2), AvgPool2D(2), Conv2D(2, 2, groups=2)),
    "ways of different strides": graph(
        (1, 8, 8), Conv2D(2, 1), Conv2D(2, 5, shortcuts=(Shortcut(0, 2, strides=2),))),
    "a shortcut of the input, larger than the way beside it": graph(
        (1, 9, 9), Conv2D(2, 1), Conv2D(2, 3, padding=1, shortcuts=(Shortcut(0, 5, padding=2),))),
    "a layer after an earlier one, and both added up": graph(
        (2, 8, 8), Conv2D(2, 3, padding=1), Conv2D(3, 3, padding=1), Conv2D(2, 1, after=1), Conv2D(2, 1, after=3),
        Conv2D(2, 2, strides=2, shortcuts=(Shortcut(2, 2, strides=2), Shortcut(0, 1, pool=2))))}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_field_is_what_each_pixel_adds_to_the_middle_of_a_map(name):
    experiment = trained(GRAPHS[name])
    for number, expected in enumerate(responses(experiment), start=1):
        found = fields.led_back(experiment, number)
        seen = [np.flatnonzero(abs(expected).sum(axis=axes)) for axes in ((0, 1, 3), (0, 1, 2))]
        expected = expected[:, :, seen[0][0]:seen[0][-1] + 1, seen[1][0]:seen[1][-1] + 1]       # the rest is 0
        largest = abs(found).max(axis=(1, 2, 3)), abs(expected).max(axis=(1, 2, 3))
        assert np.allclose(largest[0], 1.0)
        assert np.allclose(found, expected / largest[1][:, None, None, None])


def test_only_the_first_kernels_are_led_back():
    experiment = trained(GRAPHS["padding"])
    assert np.array_equal(fields.led_back(experiment, 3, 2), fields.led_back(experiment, 3)[:2])


def test_what_takes_too_long_says_so(monkeypatch):
    monkeypatch.setattr(fields, "MOST_PRODUCTS", 100)
    with pytest.raises(StoreError, match="layer 2 is not led back to the input: that takes .e.* multiplications"):
        fields.led_back(trained(GRAPHS["groups"]), 2)
