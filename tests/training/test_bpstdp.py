"""BP-STDP: the kernels against one synapse at a time, the table of errors, what the seed did wrong."""

import numpy as np
import pytest

from spikingconvnet.backends.local import simulator
from spikingconvnet.data import datasets, encoding
from spikingconvnet.data.filters import Intensity
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import replicas
from spikingconvnet.model import build
from spikingconvnet.model.layers import Conv2D, Dense
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.training.chain import balance, bpstdp, bpstdp_kernels
from spikingconvnet.training.chain.bpstdp import BPSTDP


def naive_image(rates, phases, weights, thresholds, target, steps, window, mu):
    """One image, written from the paper: answer and spikes by layer; the weights change in place."""
    v = [[0.0] * layer.shape[1] for layer in weights]
    total = [[0] * len(rates)] + [[0] * layer.shape[1] for layer in weights]
    for first in range(0, steps, window):
        n = [[0] * len(part) for part in total]
        for t in range(first, first + window):
            fired = [int(np.floor(r * (t + 1) + p)) > int(np.floor(r * t + p)) for r, p in zip(rates, phases)]
            for layer, w in enumerate(weights):
                n[layer] = [a + b for a, b in zip(n[layer], fired)]
                for h in range(w.shape[1]):
                    v[layer][h] += sum(w[j, h] for j in range(w.shape[0]) if fired[j])
                fired = [value >= thresholds[layer] for value in v[layer]]
                v[layer] = [0.0 if spike else value for spike, value in zip(fired, v[layer])]
            n[-1] = [a + b for a, b in zip(n[-1], fired)]
        total = [[a + b for a, b in zip(*pair)] for pair in zip(total, n)]
        error = [int(i == target and not c) - int(i != target and c > 0) for i, c in enumerate(n[-1])]
        for layer in range(len(weights) - 1, -1, -1):
            below = [sum(weights[layer][h, i] * error[i] for i in range(len(error))) * (n[layer][h] > 0)
                     for h in range(weights[layer].shape[0])]
            for j in range(weights[layer].shape[0]):
                for h in range(weights[layer].shape[1]):
                    weights[layer][j, h] += mu[layer] * n[layer][j] * error[h]
            error = below
    best = max(range(len(total[-1])), key=lambda i: (total[-1][i], v[-1][i], -i))
    return best, [sum(part) for part in total]


@pytest.mark.parametrize("seed", range(4))
def test_kernels_equal_the_naive_rule_with_three_layers(seed):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0.1, 0.5, shape).astype(np.float32) for shape in ((7, 19), (19, 5), (5, 3))]
    slow = [layer.astype(np.float64) for layer in weights]
    images = np.where(rng.random((12, 7)) < 0.3, 0.0, rng.choice([0.25, 0.7, 1.0], (12, 7))).astype(np.float32)
    targets, keys = rng.integers(0, 3, 12), rng.integers(1 << 63, size=12).astype(np.uint64)
    mu, phases = np.array([0.04, 0.02, 0.01]), np.zeros(7, np.float32)
    padded = bpstdp._padded(weights)
    found, spikes = np.zeros(12, np.int64), np.zeros(4, np.int64)
    bpstdp_kernels.run(images, targets, keys, padded, np.array([1, 1, 2], np.float32), np.array([7, 19, 5, 3]), 12, 4,
                       np.tile(mu, (12, 1)).astype(np.float32), found, spikes)
    wanted, counts = [], np.zeros(4, np.int64)
    for image, target, key in zip(images, targets, keys):
        bpstdp_kernels.draw_phases(key, phases)
        answer, fired = naive_image(image.tolist(), phases.tolist(), slow, (1, 1, 2), target, 12, 4, mu)
        wanted.append(answer)
        counts += fired
    assert found.tolist() == wanted and spikes.tolist() == counts.tolist() and spikes.all()
    for fast, layer, before in zip(padded, slow, weights):
        assert np.allclose(fast[:, :layer.shape[1]], layer, atol=1e-4) and not np.allclose(layer, before, atol=1e-2)


def test_errors_are_those_of_the_paper():
    error = np.full(16, 9.0, np.float32)
    for counts, target, wanted in (([0, 0, 0], 1, [0, 1, 0]), ([2, 0, 0], 1, [-1, 1, 0]), ([0, 3, 0], 1, [0, 0, 0]),
                                   ([1, 1, 4], 1, [-1, 0, -1])):
        assert bpstdp_kernels._errors(np.array(counts), target, error) == any(wanted)
        assert error.tolist() == wanted + [0] * 13


def test_phases_are_even_and_those_of_another_image_differ():
    phases = np.zeros((2, 4000), np.float32)
    for row, key in zip(phases, np.array([7, 8], np.uint64)):
        bpstdp_kernels.draw_phases(key, row)
    assert phases.min() >= 0 and phases.max() < 1 and abs(phases.mean() - 0.5) < 0.02
    assert abs(np.corrcoef(phases)[0, 1]) < 0.05


def digits(n, first=0):
    part = datasets.load("data/mnist", "train").select(np.arange(first, first + n))
    return Intensity()(part.images).astype(np.float32), part.labels.astype(np.int64)


def validated(rule, weights, rate=1.0):
    """Accuracy on 500 digits after one epoch of 1000 others; white pixels fire at `rate` spikes a step."""
    (images, labels), (asked, right) = digits(1000), digits(500, 50_000)
    told = bpstdp.learn(weights, rate * images, labels, np.random.default_rng(1), rule, iter, (rate * asked, right))
    return told["validation_accuracy"][-1]


def test_positive_start_weights_learn_half_of_the_digits_and_centred_ones_most():
    """The seed's Beta(1, 1) weights, mean 0.5, and threshold 5: all hidden units fire nearly all the time, alike."""
    rng, shapes = np.random.default_rng(0), ((784, 200), (200, 10))
    positive = [rng.beta(1.0, 1.0, shape).astype(np.float32) for shape in shapes]
    seed = BPSTDP(epochs=1, n_steps=99, window=3, hidden_threshold=5.0, output_threshold=5.0, hidden_ratio=1.0,
                  mu=0.0005)
    assert validated(seed, positive, rate=0.1) < 0.6
    centred = BPSTDP(epochs=1)
    assert validated(centred, bpstdp.initial_weights([(200, 1, 28, 28), (10, 200, 1, 1)], centred, rng)) > 0.7


@pytest.mark.parametrize("pixels", [0, 1, 2])
def test_shifted_images_are_the_same_elsewhere(pixels):
    images = np.random.default_rng(0).random((200, 2, 5, 6)).astype(np.float32)
    moved, seen = bpstdp.shifted(images, pixels, np.random.default_rng(1)), set()
    for before, after in zip(images, moved):
        wide = np.pad(before, ((0, 0), (pixels, pixels), (pixels, pixels)))
        fits = [(r, c) for r in range(2 * pixels + 1) for c in range(2 * pixels + 1)
                if np.array_equal(wide[:, r:r + 5, c:c + 6], after)]
        assert len(fits) == 1
        seen.update(fits)
    assert len(seen) == (2 * pixels + 1) ** 2


def test_a_board_answers_like_the_training_in_its_integers():
    """One epoch of a thousand digits; thresholds were scaled so that inputs fit s16.15."""
    rule, rng = BPSTDP(epochs=1), np.random.default_rng(0)
    model = Sequential((1, 28, 28), Dense(100, neuron=rule.neuron), Dense(10, neuron=rule.neuron), SpikeCount(last=24))
    images, labels = digits(1000)
    encoder = encoding.RegularEncoder(n_steps=20, max_rate=1.0, random_phase=True)
    layers, diagnostics = rule.train(model, images, labels, rng, encoder=encoder)
    weights = [(layer.kernels.reshape(len(layer.kernels), -1).T * balance.gain(rule.neuron)).astype(np.float32)
               for layer in layers]
    shown, truth = digits(300, 50_000)
    spikes = encoder(shown, rng).with_gap(25)
    lowered, peaks = balance.balanced(model, layers, spikes, simulator.open, True)
    network = build.inference_network(model.stages, lowered, spikes, True)
    units = replicas.classify([network], model.readout, "local", jobs=1)[0][0]["units"][:, -1]
    single = bpstdp.answers(weights, shown, rng, rule)
    assert np.mean(single == truth) > 0.7 and abs(np.mean(units == truth) - np.mean(single == truth)) < 0.02
    assert lowered[0].v_thresh[0] < 1.0 and peaks[0].net * 2048 < 65536 and diagnostics["input_spikes"] > 1000


def test_an_encoder_that_shows_images_for_other_steps_is_refused():
    model = Sequential((1, 1, 3), Dense(2, neuron=BPSTDP().neuron), SpikeCount())
    with pytest.raises(SettingsError, match="BPSTDP.n_steps: must be the 40 steps for which ENCODER shows.*, got 20"):
        BPSTDP().train(model, np.zeros((1, 1, 1, 3)), np.zeros(1, int), np.random.default_rng(0),
                       encoder=encoding.RegularEncoder(n_steps=40))


def test_a_convolution_is_refused():
    rule = BPSTDP()
    model = Sequential((1, 8, 8), Conv2D(2, 3, neuron=rule.neuron), Dense(3, neuron=rule.neuron), SpikeCount())
    with pytest.raises(SettingsError, match="trains Dense layers, layer 1 of MODEL is Conv2D"):
        rule.train(model, np.zeros((1, 1, 8, 8)), np.zeros(1, int), np.random.default_rng(0),
                   encoder=encoding.RegularEncoder())


@pytest.mark.parametrize("changes, text", [
    ({"n_steps": 21}, "BPSTDP.n_steps: must be a multiple of window"), ({"epochs": 0}, "BPSTDP.epochs"),
    ({"mu": 0.0}, "BPSTDP.mu: must be above 0"),
    ({"last": 2.0}, "BPSTDP.last"), ({"shift": -1}, "BPSTDP.shift")])
def test_impossible_settings_are_refused(changes, text):
    with pytest.raises(SettingsError, match=text):
        BPSTDP(**changes)
