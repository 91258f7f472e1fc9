"""Training of soft LIF units; needs torch."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from spikingconvnet.data import datasets  # noqa: E402
from spikingconvnet.model import shorthand  # noqa: E402
from spikingconvnet.model.readouts import Membrane  # noqa: E402
from spikingconvnet.training.chain import softlif  # noqa: E402
from spikingconvnet.training.chain.descent import Descent  # noqa: E402
from spikingconvnet.training.chain.gradients import fitting, soft_lif  # noqa: E402
from spikingconvnet.training.chain.softlif import RateCurve, SoftLIF  # noqa: E402

CURVE = RateCurve.of(SoftLIF().neuron, 0.03)


def test_torch_and_numpy_compute_the_same_rates():
    currents = np.concatenate([np.linspace(-5, 8, 4001), [-1e4, 1e4]]).astype(np.float32)
    found = soft_lif.SoftRate.apply(torch.from_numpy(currents), CURVE).numpy()
    assert np.allclose(found, CURVE(currents.astype(np.float64)), rtol=2e-4, atol=1e-6)


def test_the_derivative_is_that_of_the_rates_and_bounded():
    currents = np.concatenate([np.linspace(-1, 3, 4001), [-1e4, -50.0, 40.0, 1e4]])
    shown = torch.tensor(currents, dtype=torch.float32, requires_grad=True)
    soft_lif.SoftRate.apply(shown, CURVE).sum().backward()
    step = 1e-5
    wanted = (CURVE(currents + step) - CURVE(currents - step)) / (2 * step)
    assert np.allclose(shown.grad.numpy(), wanted, rtol=2e-3, atol=2e-5) and wanted.max() > 0.05
    assert torch.isfinite(shown.grad).all()


def random_chain(rule):
    model = shorthand.parse("2x11x9-3c2-2s-4c2-6-5", (2, 11, 9), rule.neuron, Membrane(), rule.output_neuron)
    chain = fitting.Chain(model, np.random.default_rng(1), 1.0, True)
    for bias in chain.biases:
        bias.data = 1.0 + torch.rand(len(bias), generator=torch.Generator().manual_seed(len(bias)))
    return model, chain, np.random.default_rng(0).random((4, 2, 11, 9), dtype=np.float32)


def test_torch_and_numpy_compute_the_same_responses():
    rule = SoftLIF(amplitude=7.0, softness=0.05)
    model, chain, values = random_chain(rule)
    found = soft_lif.logits(chain, torch.from_numpy(values), rule).detach().numpy()
    wanted = softlif.logits(model, *chain.arrays(), values, rule)
    assert np.allclose(found, wanted, atol=1e-3) and wanted.std() > 0.1


def test_noise_is_on_rates_and_in_training_only():
    quiet = SoftLIF(noise=0.0, dropout=0.0)
    _, chain, values = random_chain(quiet)
    shown = torch.from_numpy(np.repeat(values[:1], 4000, axis=0))

    def found(noise, chance=None):
        return soft_lif.logits(chain, shown, replace(quiet, noise=noise), chance).detach().numpy()

    chance = torch.Generator().manual_seed(0)
    spread = [found(noise, chance).std(axis=0) for noise in (0.0, 5.0, 10.0)]
    last = chain.kernels[-1].detach().numpy()
    assert spread[0].max() < 1e-4 and (spread[2] > 0.01 * 10.0 * np.sqrt((last ** 2).sum(axis=(1, 2, 3)))).all()
    assert np.allclose(spread[2], 2 * spread[1], rtol=0.2)
    assert np.array_equal(found(10.0), found(0.0))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_noise_is_normal_whatever_the_layout(layout):
    like = torch.empty(8, 5, 40, 50).to(memory_format=layout)
    found = soft_lif._normal(like, torch.Generator().manual_seed(0))
    assert found.stride() == like.stride() and found.shape == like.shape
    assert abs(float(found.mean())) < 0.02 and abs(float(found.std()) - 1) < 0.02
    assert abs(np.corrcoef(found[:, 0].flatten(), found[:, 1].flatten())[0, 1]) < 0.03


def test_training_learns_and_repeats_itself(small_mnist):
    images = datasets.load(str(small_mnist), "train")
    values = (images.images / 255).astype(np.float32)[:, None]
    rule = SoftLIF(dropout=0.1, descent=Descent(epochs=8, batch=20, shift=0, learning_rate=0.01))
    model = shorthand.parse("28x28-4c5-2s-30-10", (1, 28, 28), rule.neuron, Membrane(), rule.output_neuron)
    found = [soft_lif.train(model, values, images.labels, np.random.default_rng(seed), rule, iter,
                            (values, images.labels)) for seed in (0, 0, 1)]
    assert found[0][2]["soft_validation_accuracy"] > 0.9 and found[0][2]["loss"][-1] < 0.5 < found[0][2]["loss"][0]
    assert all(np.array_equal(a, b) for a, b in zip(found[0][0] + found[0][1], found[1][0] + found[1][1]))
    assert not np.array_equal(found[0][0][0], found[2][0][0])
