"""Training of rectifying units and conversion of torch's own networks; needs torch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from rectifying import units  # noqa: E402

from spikingconvnet.data import datasets  # noqa: E402
from spikingconvnet.errors import SettingsError  # noqa: E402
from spikingconvnet.model import shorthand  # noqa: E402
from spikingconvnet.model.layers import Conv2D, Dense  # noqa: E402
from spikingconvnet.model.readouts import SpikeCount  # noqa: E402
from spikingconvnet.model.sequential import Sequential  # noqa: E402
from spikingconvnet.training.chain.convert import Convert  # noqa: E402
from spikingconvnet.training.chain.descent import Descent  # noqa: E402
from spikingconvnet.training.chain.gradients import fitting, relu  # noqa: E402
from spikingconvnet.training.chain.units import activations  # noqa: E402

nn, CELL = torch.nn, Convert().neuron


def random_values(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.mark.parametrize("bias", [False, True])
def test_torch_and_numpy_compute_the_same_activations(bias):
    model = shorthand.parse("2x11x9-3c2-2s-4c2-6-5", (2, 11, 9), CELL, SpikeCount())
    chain = fitting.Chain(model, np.random.default_rng(1), relu.HE, bias)
    if bias:
        for values in chain.biases:
            values.data = torch.from_numpy(random_values(len(values)))
    values = random_values((4, 2, 11, 9))
    found = relu.logits(chain, torch.from_numpy(values)).detach().numpy()
    kernels, biases = chain.arrays()
    assert np.allclose(found, activations(model, units(kernels, biases), values)[-1][..., 0, 0], atol=1e-4)


def test_training_learns_and_repeats_itself(small_mnist):
    images = datasets.load(str(small_mnist), "train")
    values = (images.images / 255).astype(np.float32)[:, None]
    model = shorthand.parse("28x28-4c5-2s-30-10", (1, 28, 28), CELL, SpikeCount())
    rule = Convert(dropout=0.1, bias=True, descent=Descent(epochs=8, batch=20, shift=0, learning_rate=0.01))
    found = [relu.train(model, values, images.labels, np.random.default_rng(seed), rule, iter, (values, images.labels))
             for seed in (0, 0, 1)]
    assert found[0][1]["ann_validation_accuracy"] > 0.95 and found[0][1]["loss"][-1] < 0.5 < found[0][1]["loss"][0]
    one, same, other = ([(layer.kernels, layer.bias) for layer in layers] for layers, _ in found)
    assert all(np.array_equal(a, b) for a, b in zip(sum(one, ()), sum(same, ())))
    assert not np.array_equal(one[0][0], other[0][0]) and one[0][1].any()


def test_images_are_shifted_each_on_its_own_and_lose_nothing_inside():
    images = np.zeros((50, 2, 9, 7), np.float32)
    images[:, 0, 4, 3], images[:, 1, 4, 3] = 1.0, 2.0
    moved = fitting.shifted(images, 2, np.random.default_rng(0))
    places = {tuple(np.argwhere(one)[0][1:]) for one in moved}
    assert moved.shape == images.shape and (moved.sum(axis=(2, 3)) == [1.0, 2.0]).all()
    assert {r for r, _ in places} == {2, 3, 4, 5, 6} and {c for _, c in places} == {1, 2, 3, 4, 5}
    assert fitting.shifted(images, 0, None) is images


def test_a_network_of_torch_becomes_a_chain():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout(),
                            nn.Conv2d(3, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 7), nn.ReLU(),
                            nn.Linear(7, 5)).eval()
    layers, model = relu.weights_of(network, (1, 12, 12))
    wanted = shorthand.parse("1x12x12-3c3-2s-4c2-7-5", (1, 12, 12), CELL, SpikeCount())
    assert model.shapes == wanted.shapes and [one.kernels.shape for one in layers][2] == (7, 4, 4, 4)
    values = random_values((3, 1, 12, 12))
    found = activations(model, layers, values)[-1][..., 0, 0]
    assert np.allclose(found, network(torch.from_numpy(values)).detach().numpy(), atol=1e-4)


def test_layers_of_the_original_are_refused():
    model = Sequential((2, 4, 4), Conv2D(2, 2, per_map=True, neuron=CELL), Dense(2, neuron=CELL), SpikeCount())
    with pytest.raises(SettingsError, match="layer 1: Conv2D.per_map"):
        fitting.Chain(model, np.random.default_rng(0), 1.0)


def test_accuracy_is_a_share_and_nan_without_images():
    labels = np.arange(1200) % 3
    images = np.zeros((1200, 1, 1, 3), np.float32)
    images[np.arange(1200), 0, 0, labels] = 1.0
    assert fitting.accuracy(lambda shown: shown.flatten(1), images, labels) == 1.0
    assert fitting.accuracy(lambda shown: -shown.flatten(1), images, labels) == 0.0
    assert np.isnan(fitting.accuracy(lambda shown: shown.flatten(1), images[:0], labels[:0]))
