"""Training of spiking neurons with surrogate gradients; needs torch."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from spikingconvnet.cli.parameters import RECIPES  # noqa: E402
from spikingconvnet.data import datasets, encoding  # noqa: E402
from spikingconvnet.experiment import crossvalidation, settings  # noqa: E402
from spikingconvnet.model import shorthand  # noqa: E402
from spikingconvnet.model.readouts import SpikeCount  # noqa: E402
from spikingconvnet.training.chain import surrogate  # noqa: E402
from spikingconvnet.training.chain.convert import Convert  # noqa: E402
from spikingconvnet.training.chain.descent import Descent  # noqa: E402
from spikingconvnet.training.chain.gradients import spiking  # noqa: E402
from spikingconvnet.training.chain.surrogate import Surrogate  # noqa: E402

CELL = Surrogate().neuron
REGULAR = encoding.RegularEncoder(n_steps=9, max_rate=1.0)


def random_values(shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


class Spike(torch.autograd.Function):
    """A step forth and the fast sigmoid's derivative back, as the papers write it."""

    @staticmethod
    def forward(ctx, distance, slope):
        ctx.save_for_backward(distance)
        ctx.slope = slope
        return (distance >= 0).to(distance.dtype)

    @staticmethod
    def backward(ctx, grad):
        return grad / (1.0 + ctx.slope * ctx.saved_tensors[0].abs()) ** 2, None


def step_by_step(drive, decay, reset, slope):
    """The neurons' equations one step after another, differentiated by torch."""
    v, found = torch.zeros_like(drive[0]), []
    for now in drive:
        v = decay * v + now
        fired = Spike.apply(v - 1.0, slope)
        v = torch.where(fired.detach() > 0, torch.full_like(v, reset), v)
        found.append(fired)
    return torch.stack(found)


@pytest.mark.parametrize("decay, reset, slope", [(0.95, 0.0, 5.0), (0.8, -0.3, 1.0), (1.0, 0.5, 25.0)])
@pytest.mark.parametrize("shape", [(7, 5), (3, 2, 4, 3), (4, 3, 1500)])
def test_the_compiled_pass_is_the_equations_and_their_gradient(decay, reset, slope, shape):
    rng = np.random.default_rng(0)
    drive = rng.normal(0.2, 0.8, shape).astype(np.float32)
    weight = torch.from_numpy(rng.normal(0.0, 1.0, shape).astype(np.float32))
    results = []
    for how in (step_by_step, spiking.LeakyIntegrateAndFire.apply):
        given = torch.from_numpy(drive.copy()).requires_grad_()
        found = how(given * 1.0, decay, reset, slope)
        (found * weight).sum().backward()
        results.append((found.detach().numpy(), given.grad.numpy()))
    assert np.array_equal(results[0][0], results[1][0]) and 0.05 < results[0][0].mean() < 0.95
    assert np.allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-6) and np.abs(results[0][1]).max() > 0.1


@pytest.mark.parametrize("shape", [(3, 4, 11, 6), (1, 1, 1, 1), (5, 2, 3, 70)])
def test_products_with_spikes_are_products(shape):
    steps, n, inputs, units = shape
    rng = np.random.default_rng(1)
    shown = (rng.random((steps, n, inputs)) < 0.4).astype(np.uint8)
    weights = torch.from_numpy(rng.normal(0.0, 1.0, (units, inputs)).astype(np.float32)).requires_grad_()
    towards = torch.from_numpy(rng.normal(0.0, 1.0, (steps, n, units)).astype(np.float32))
    found = spiking.SpikesByWeights.apply(weights, shown)
    (found * towards).sum().backward()
    assert np.allclose(found.detach().numpy(), shown @ weights.detach().numpy().T, atol=1e-5)
    expected = np.einsum("tnu,tni->ui", towards.numpy(), shown)
    assert np.allclose(weights.grad.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("shape, size", [((2, 3, 4, 6), (2, 2)), ((1, 2, 7, 8), (3, 2)), ((2, 1, 5, 5), (1, 5))])
def test_means_of_pools_are_those_of_torch(shape, size):
    values, results = random_values(shape), []
    for how in (lambda given: spiking.MeanOfPools.apply(given, *size),
                lambda given: torch.nn.functional.avg_pool2d(given, size)):
        given = torch.from_numpy(values.copy()).requires_grad_()
        found = how(given)
        (found * torch.from_numpy(random_values(found.shape, 1))).sum().backward()
        results.append((found.detach().numpy(), given.grad.numpy()))
    assert all(np.allclose(one, other, atol=1e-6) and one.any() for one, other in zip(*results))


@pytest.mark.parametrize("encoder", [
    REGULAR, encoding.RegularEncoder(n_steps=7, max_rate=0.5, threshold=0.3),
    encoding.RegularEncoder(n_steps=8, max_rate=1.0, random_phase=True), encoding.LatencyEncoder(n_steps=6)],
    ids=["regular", "slow", "phases", "latency"])
def test_training_sees_the_spikes_of_the_encoder(encoder):
    grey = np.arange(256, dtype=np.float32).reshape(1, 1, 16, 16) / 255
    values = np.concatenate([random_values((6, 1, 16, 16)), grey])
    shown = spiking.raster(encoder, values.reshape(7, -1), np.random.default_rng(3))
    spikes = encoder(values, np.random.default_rng(3))
    assert np.array_equal(shown.transpose(1, 0, 2).reshape(-1, 256), spikes.raster()) and shown.any()


def test_random_spikes_have_the_rates_of_the_encoder():
    values = np.tile(np.array([0.0, 0.25, 0.5, 1.0], np.float32), (50, 1))
    shown = spiking.raster(encoding.RateEncoder(n_steps=400, max_rate=0.8), values, np.random.default_rng(0))
    assert shown.shape == (400, 50, 4) and np.allclose(shown.mean(axis=(0, 1)), 0.8 * values[0], atol=0.01)
    assert not shown[:, :, 0].any()
    counts = shown.sum(axis=0, dtype=np.int64)      # independent from step to step: binomial
    assert np.allclose(counts.var(axis=0)[1:], 400 * np.array([0.16, 0.24, 0.16]), rtol=0.6)


@pytest.mark.parametrize("text", ["2x11x9-3c2-2s-4c2-6-5", "2x11x9-30-5", "2x11x9-2s-14-5"])
def test_the_trained_network_is_that_of_the_equations(text):
    """Without a board's rounding; the board itself is in test_surrogate.py."""
    model, rule = shorthand.parse(text, (2, 11, 9), replace(CELL, v_reset=-0.2), SpikeCount()), Surrogate(spread=3.0)
    chain = spiking.Spiking(model, np.random.default_rng(1), REGULAR, rule)
    values = random_values((4, 2, 11, 9))
    counts = chain.counts(torch.from_numpy(values)).detach().numpy()
    fired, v = surrogate.simulated(model, chain.arrays()[0], REGULAR(values))
    assert np.array_equal(counts, fired[-1].sum(axis=1)[..., 0, 0]) and counts.any()
    with_membranes = chain.counts(torch.from_numpy(values), ties=1e-3).detach().numpy()
    assert np.allclose(with_membranes - counts, 1e-3 * v[..., 0, 0], atol=1e-5)


def test_training_learns_and_repeats_itself(small_mnist):
    images = datasets.load(str(small_mnist), "train")
    values = (images.images / 255).astype(np.float32)[:, None]
    encoder = encoding.RegularEncoder(n_steps=6, max_rate=1.0, random_phase=True)

    def found(text, seed, epochs):
        rule = Surrogate(spread=0.5, dropout=0.1, descent=Descent(epochs, batch=20, shift=0, learning_rate=0.01))
        return spiking.train(shorthand.parse(text, (1, 28, 28), CELL, SpikeCount()), values, images.labels,
                             np.random.default_rng(seed), encoder, rule, None, iter, (values, images.labels))

    _, diagnostics = found("784-30-10", 0, 8)
    assert diagnostics["float_validation_accuracy"] > 0.9 and diagnostics["loss"][-1] < diagnostics["loss"][0] / 2
    one, same, other = (found("28x28-2c5-2s-10", seed, 1)[0] for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(one, same)) and not np.array_equal(one[0], other[0])


def test_it_is_cross_validated_with_the_encoder_of_the_parameters(small_mnist):
    chosen = settings.load(RECIPES / "surrogate.py")
    model = shorthand.parse("784-20-10", (1, 28, 28), CELL, SpikeCount())
    rule = Surrogate(descent=Descent(epochs=6, batch=20, shift=0, learning_rate=0.01))
    chosen = replace(chosen, encoder=REGULAR, slot=12, model=model, rule=rule)
    digits = datasets.load(str(small_mnist), "train")
    found = crossvalidation.one_fold(digits, digits.labels, digits, chosen, np.random.default_rng(0),
                                     "local", {"jobs": 1})
    assert np.mean(found == digits.labels) > 0.8


def test_training_begins_with_converted_rectifying_units(small_mnist):
    images = datasets.load(str(small_mnist), "train")
    values = (images.images / 255).astype(np.float32)[:, None]
    model = shorthand.parse("784-20-10", (1, 28, 28), CELL, SpikeCount())
    start = Convert(dropout=0.0, descent=Descent(epochs=8, batch=20, shift=0, learning_rate=0.01))
    rule = Surrogate(start=start, boost=2.0, descent=Descent(epochs=0))
    layers, diagnostics = rule.train(model, values, images.labels, np.random.default_rng(0), encoder=REGULAR,
                                     validation=(values, images.labels))
    assert diagnostics["float_validation_accuracy"] > 0.8 and diagnostics["ann_train_accuracy"] > 0.9
    assert diagnostics["loss"] == [] and len(diagnostics["ann_loss"]) == 8 and (layers[0].v_thresh == 1.0).all()
