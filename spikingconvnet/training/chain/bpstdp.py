"""BP-STDP: back-propagation through integrate-and-fire neurons as a rule of local spike counts.

Source: Tavanaei and Maida 2017, arXiv 1711.04214 (Neurocomputing 330, 2019). An image is shown for some steps; at the
end of every window of `window` steps

    xi_i = 1 if unit i is the label's and was silent, -1 if it is another one and fired, else 0        (output)
    e_h  = sum_i w_hi e_i if unit h fired in the window, else 0                                        (hidden)
    w_jh += mu n_j e_h                                                                                 (both)

where n_j counts the spikes of input j in the window. Neurons do not leak and are reset to 0. The inner loops are in
``bpstdp_kernels.py``; membranes there are in units of the hidden threshold. Every layer is Dense.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.protocols import Encoder
from spikingconvnet.errors import require
from spikingconvnet.gates.fields import FACTOR, MOST_SLOT, POSITIVE, check_fields, least, most, real, record, whole
from spikingconvnet.model.learning import NetworkRule, Progress, tell
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Diagnostics, TrainedLayer
from spikingconvnet.network.arrays import Floats, Floats32, Ints
from spikingconvnet.network.neurons import IFCurrDelta
from spikingconvnet.training.chain.balance import gain, require_chain, require_dense

CHUNK = 5000            # images whose rates exist at a time


@dataclass(frozen=True)
class BPSTDP(NetworkRule):
    """Settings of the rule; those that cannot be used are a SettingsError.

    Attributes
    ----------
    epochs : int
        How often every image is shown, in an order of its own each time; spikes come at the rates that the encoder
        makes, evenly spaced, with random phases.
    n_steps, window : int
        Steps of an image, and of a window; the former is a multiple of the latter.
    mu : float
        Learning rate of the output layer at the start.
    hidden_ratio : float
        How many times larger that of the hidden layers is.
    last : float
        Share of the learning rates that is left at the end; they fall linearly.
    deviation : float
        Standard deviation of the initial weights, whose mean is 0.
    hidden_threshold, output_threshold : float
        In units of the weights.
    shift : int
        Largest shift in pixels, up or down and left or right, that an image is shown with; drawn anew every time.
    neuron : IFCurrDelta
        Of the layers that ``--arch`` makes; without leak, as far as a board has such neurons.
    """

    epochs: int = 10
    n_steps: int = 20
    window: int = 4
    mu: float = 0.002
    hidden_ratio: float = 4.0
    last: float = 0.05
    deviation: float = 0.1
    hidden_threshold: float = 1.0
    output_threshold: float = 25.0
    shift: int = 0
    neuron: IFCurrDelta = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0,
                                      v=0.0)

    name = "bpstdp"
    takes_rates = True

    def __post_init__(self) -> None:
        steps = whole(1, MOST_SLOT)
        check_fields(self, epochs=whole(1, 10_000), n_steps=steps, window=steps, mu=FACTOR, hidden_ratio=FACTOR,
                     last=real(least(0), most(1), wanted="between 0 and 1"), deviation=FACTOR,
                     hidden_threshold=POSITIVE, output_threshold=POSITIVE, shift=whole(0, 64),
                     neuron=record(IFCurrDelta))
        require(self.n_steps % self.window == 0, "BPSTDP", "n_steps", self.n_steps,
                f"a multiple of window ({self.window})")

    def train(self, model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, *, encoder: Encoder,
              progress: Progress = iter, validation: tuple[Floats32, Ints] | None = None,
              **_: Any) -> tuple[list[TrainedLayer], Diagnostics]:
        """Layers and diagnostics, see ``NetworkRule``.

        They are what the training looks like without a board, in single precision: ``validation_accuracy`` after every
        epoch, if there are validation images, and the mean number of spikes an image, ``input_spikes`` and ``spikes``
        of all layers. The share of training images that were answered rightly while their labels were being taught
        would say nothing: close to 100 % from the second epoch on.

        Raises
        ------
        SettingsError
            A layer that is not Dense or has a pool, an encoder without a rate or of other `n_steps`, or a `shift`
            that is not below the shorter side of an image.
        """
        require_dense(model, self)
        require_chain(model, self)
        rate = rate_of(encoder, "RULE bpstdp")
        require(self.n_steps == encoder.n_steps, "BPSTDP", "n_steps", self.n_steps,
                f"the {encoder.n_steps} steps for which ENCODER shows an image")
        most = rate * float(images.max(initial=0.0))
        require(most <= 1.0, "RULE bpstdp", "ENCODER", f"{most:.3g} spikes a step", "one that makes at most one spike a"
                " step, because spikes are drawn; for EventBins once=True")
        side = min(model.input_shape[1:])
        require(self.shift < side, "BPSTDP", "shift", self.shift, f"below {side} pixels, the shorter side of an image")
        weights = initial_weights([stage.layer.kernel_shape(stage.in_shape) for stage in model.stages], self, rng)
        if validation is not None:
            validation = (rate * validation[0], validation[1])
        diagnostics = learn(weights, rate * images, labels, rng, self, progress, validation)
        return converted(model, weights, self), diagnostics


def initial_weights(kernel_shapes: Sequence[tuple[int, ...]], rule: BPSTDP, rng: np.random.Generator) -> list[Floats32]:
    """Normally distributed start weights: list of float32 arrays (inputs, units)."""
    return [rng.normal(0.0, rule.deviation, (int(np.prod(shape[1:])), shape[0])).astype(np.float32)
            for shape in kernel_shapes]


def learn(weights: Sequence[Floats32], images: Floats32, labels: Ints, rng: np.random.Generator, rule: BPSTDP,
          progress: Progress = iter, validation: tuple[Floats32, Ints] | None = None) -> Diagnostics:
    """Show all images `rule.epochs` times, changing the weights in place: diagnostics, see ``BPSTDP.train``.

    Parameters
    ----------
    weights : list of float32 array (inputs, units)
    images : float array (n, C, H, W)
        Spikes a step of every input, 0 to 1.
    labels : int array (n,)
    rng : numpy.random.Generator
    rule : BPSTDP
    progress : callable
    validation : (images, labels) or None
    """
    padded, course, total = _padded(weights), [], rule.epochs * len(images)
    sizes = _sizes(weights)
    spikes, epochs = np.zeros(len(weights) + 1), progress(range(rule.epochs))
    for epoch in epochs:
        order = rng.permutation(len(images))
        spikes[:] = 0
        for first in range(0, len(order), CHUNK):
            chosen = order[first:first + CHUNK]
            done = (epoch * len(images) + first + np.arange(len(chosen))) / total
            output = rule.mu * (1.0 - (1.0 - rule.last) * done)
            mu = np.repeat(output[:, None], len(weights), axis=1)
            mu[:, :-1] *= rule.hidden_ratio
            spikes += _show(padded, sizes, images[chosen], labels[chosen], rng, rule, mu)[1]
        if validation is not None:
            answers = _show(padded, sizes, *validation, rng, replace(rule, shift=0), mu[:0])[0]
            course.append(float(np.mean(answers == validation[1])))
            tell(epochs, accuracy=course[-1])
    for layer, kept in zip(weights, padded):
        layer[:] = kept[:, :layer.shape[1]]
    diagnostics = {"validation_accuracy": course} if course else {}
    mean = spikes / max(len(images), 1)
    return {**diagnostics, "input_spikes": float(mean[0]), "spikes": mean[1:].tolist()}


def answers(weights: Sequence[Floats32], images: Floats32, rng: np.random.Generator, rule: BPSTDP) -> Ints:
    """What a trained chain answers to `images` as :func:`learn` takes them, in single precision: int64 array (n,).

    The unit with most spikes, among equals that with the higher membrane.
    """
    unused = np.zeros(len(images), np.int64)
    return _show(_padded(weights), _sizes(weights), images, unused, rng, replace(rule, shift=0),
                 np.zeros((0, len(weights))))[0]


def converted(model: Sequential, weights: Sequence[Floats32], rule: BPSTDP) -> list[TrainedLayer]:
    """Weights in units of thresholds as layers of a board's neurons: list of TrainedLayer.

    A threshold of 1 becomes 1 mV; ``balance.balanced`` makes it smaller where inputs do not fit.
    """
    thresholds = [rule.hidden_threshold] * (len(weights) - 1) + [rule.output_threshold]
    return [TrainedLayer((layer.T / gain(stage.layer.neuron)).astype(np.float64).reshape(
        stage.layer.kernel_shape(stage.in_shape)), np.full(layer.shape[1], threshold))
        for stage, layer, threshold in zip(model.stages, weights, thresholds)]


def shifted(images: Floats32, pixels: int, rng: np.random.Generator) -> Floats32:
    """Every image moved by up to `pixels` in each direction, dark where nothing was: like `images`, (n, C, H, W)."""
    if pixels == 0:
        return images
    moved, by = np.zeros_like(images), rng.integers(-pixels, pixels + 1, (len(images), 2))
    for down, right in np.unique(by, axis=0):
        chosen = (by == (down, right)).all(axis=1)
        to, of = zip(*(_overlap(size, step) for size, step in zip(images.shape[2:], (down, right))))
        moved[chosen, :, to[0], to[1]] = images[chosen, :, of[0], of[1]]
    return moved


def _overlap(size: int, step: int) -> tuple[slice, slice]:
    """Slices of a line that is moved by `step`: where to, where from."""
    return slice(max(step, 0), size + min(step, 0)), slice(max(-step, 0), size + min(-step, 0))


def _padded(weights: Sequence[Floats32]) -> tuple[Floats32, ...]:
    """The same with units up to a whole number of the kernels' lanes, which never fire: tuple of arrays."""
    from spikingconvnet.training.chain.bpstdp_kernels import LANES

    return tuple(np.ascontiguousarray(np.pad(layer, ((0, 0), (0, -layer.shape[1] % LANES)))) for layer in weights)


def _sizes(weights: Sequence[Floats32]) -> Ints:
    """Inputs and units of the layers."""
    return np.array([weights[0].shape[0], *(layer.shape[1] for layer in weights)])


def _show(weights: Sequence[Floats32], sizes: Ints, images: Floats32, labels: Ints, rng: np.random.Generator,
          rule: BPSTDP, mu: Floats) -> tuple[Ints, Ints]:
    """Answers, and spikes by layer; `mu` (images, layers) without images teaches nothing."""
    from spikingconvnet.training.chain import bpstdp_kernels

    rates = shifted(images, rule.shift, rng).reshape(len(images), -1)
    theta = np.array([rule.hidden_threshold] * (len(weights) - 1) + [rule.output_threshold], np.float32)
    found, spikes = np.zeros(len(images), np.int64), np.zeros(len(sizes), np.int64)
    bpstdp_kernels.run(rates.astype(np.float32), labels.astype(np.int64), _keys(len(images), rng), tuple(weights),
                       theta, sizes, rule.n_steps, rule.window, mu.astype(np.float32), found, spikes)
    return found, spikes


def _keys(n: int, rng: np.random.Generator) -> NDArray[np.uint64]:
    return rng.integers(1 << 63, size=n).astype(np.uint64)
