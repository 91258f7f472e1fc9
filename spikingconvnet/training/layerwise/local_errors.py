"""Local errors: kernels that are learned from labels, one layer after another, in floats on the host.

A layer answers by itself: its maps, averaged in cells, go to a linear classifier that learns beside the kernels and is
thrown away afterwards. So no error passes from one layer to another, and layers learn one after another as with STDP.
Sources: Mostafa, Ramesh and Cauwenberghs 2018 (doi 10.3389/fnins.2018.00608; there the classifiers stay at random) and
Nokland and Eidnes 2019 (arXiv 1901.06656; the loss that they call ``pred``).

Each input is worth how early it first fires, x. With k the kernel of a filter as inference has it, of length 1 and (if
``Conv2D.centred``) without its mean, the filter answers to a window with

    u = <k, x>,    a = max(u - theta, 0) / sigma

where a share ``Conv2D.firing`` of the windows of a batch exceeds theta, as thresholds are calibrated, and sigma is the
standard deviation of u over them. Both are constants for the gradient. The classifier's softmax sees the mean of a in
each cell of each map, times ``SCALE``. Adam (Kingma and Ba 2015, arXiv 1412.6980, algorithm 1) lessens its cross
entropy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.fields import FACTOR, SIZE, check_fields, part, whole
from spikingconvnet.gates.sizes import Asked, require_fits
from spikingconvnet.model.learning import Arrays, Keep, LayerRule, OpenNetwork, Progress, tell
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import Trained
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Pixels
from spikingconvnet.network.geometry import grid_cells, pooled_neurons
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.layerwise.calibration import FiringShare
from spikingconvnet.training.layerwise.course import kernel_diagnostics

MOST_STEPS = 255        # that count, as bytes hold them
SCALE = 4.0             # of what the classifier sees, so that one learning rate suits its weights and the kernels
CLASSIFIER = 0.3        # its learning rate, as a share of that of the kernels
TINY = np.float32(1e-6)
RISE = 0.3              # share of the steps in which learning rates rise to their full size; then they fall to nothing


@dataclass(frozen=True)
class LocalErrors(LayerRule):
    """Settings of the rule.

    Attributes
    ----------
    epochs : int
        How often all training images are shown, in an order of its own each time.
    batch : int
        Images a step.
    learning_rate : float
        Highest one of the kernels: it rises over the first 30 % of the steps and then falls to nothing.
    cells : int
        Rows and columns of cells in which the classifier beside the layer sees each map; no more than the map has.
    pattern_steps : int
        Steps of a sample that count; what fires later is worth nothing.
    calibration : record as FiringShare
        What makes kernels and thresholds for inference of the weights.

    A field that is not of its kind is a SettingsError.
    """

    epochs: int = 12
    batch: int = 50
    learning_rate: float = 0.01
    cells: int = 6
    pattern_steps: int = 15
    calibration: FiringShare = FiringShare()

    name = "local-errors"
    takes_labels = True

    def __post_init__(self) -> None:
        check_fields(self, epochs=whole(1, 10_000), batch=SIZE, learning_rate=FACTOR, cells=SIZE,
                     pattern_steps=whole(1, MOST_STEPS), calibration=part("FiringShare", "__call__", "kernels"))

    def train(self, stage: Stage, spikes: Spikes, rng: np.random.Generator, open_network: OpenNetwork,
              progress: Progress = iter, so_far: Arrays | None = None, keep: Keep | None = None,
              labels: Ints | None = None) -> Trained:
        """See ``LayerRule``. Diagnostics have ``local_accuracy`` as well.

        It is the share of the training images that the classifier beside the layer got right in the last epoch.
        """
        _require_full(stage)
        known, units = np.unique([] if labels is None else labels, return_inverse=True)
        require(len(units) == spikes.n_samples and len(known) > 1, "LocalErrors", "labels", len(units),
                f"one for each of the {spikes.n_samples} samples, of two classes or more")
        early = earliest(stage, spikes, self.pattern_steps)
        initial = rng.normal(size=stage.layer.kernel_shape(stage.in_shape))
        learned, accuracy = learn(self, stage, early, units, initial, rng, progress)
        return Trained(initial, learned, self.calibration(stage, learned, spikes, open_network),
                       {**kernel_diagnostics(learned), "local_accuracy": accuracy})

    def memory(self, stage: Stage) -> list[Asked]:
        """See ``LayerRule``."""
        _require_full(stage)
        (_, rows, columns), seen = stage.out_shape, stage.layer.kernel_shape(stage.in_shape)[1:]
        inputs = int(np.prod(seen))
        shown = self.batch * rows * columns
        require_fits(f"layer {stage.number}: LocalErrors", "batch", self.batch, 5 * shown * inputs)
        return [60 * inputs + 24 * shown]


def _require_full(stage: Stage) -> None:
    if stage.layer.per_map:
        raise SettingsError(f"layer {stage.number}: LocalErrors: filters must see all channels, so not Conv2D.per_map")


def earliest(stage: Stage, spikes: Spikes, steps: int) -> Pixels:
    """How early each place that the layer sees first fires in each sample: uint8 (samples, C, H, W), pooled and padded.

    `steps` in the first step, one less in each step after it, and 0 for what does not fire in the first `steps`.

    Parameters
    ----------
    stage : model.Stage
    spikes : Spikes
        Of shape ``stage.main.source_shape``.
    steps : int
        At most 255.
    """
    branch = stage.main
    sample, neuron, step = spikes.events()
    place = pooled_neurons(branch.source_shape, branch.pool, branch.padding)[neuron]
    counts = (place >= 0) & (step < steps)
    found = np.zeros((spikes.n_samples, int(np.prod(branch.seen_shape))), np.uint8)
    np.maximum.at(found, (sample[counts], place[counts]), (steps - step[counts]).astype(np.uint8))
    return found.reshape(-1, *branch.seen_shape)


def learn(rule: LocalErrors, stage: Stage, early: Pixels, units: Ints, initial: Floats, rng: np.random.Generator,
          progress: Progress = iter) -> tuple[Floats, float]:
    """Show all samples `rule.epochs` times.

    Parameters
    ----------
    rule : LocalErrors
    stage : model.Stage
    early : uint8 array (samples, C, H, W)
        See :func:`earliest`.
    units : int array (samples,)
        Of the classifier, that should answer: 0 and up.
    initial : float array (filters, C, rows, columns)
    rng : numpy.random.Generator
    progress : callable

    Returns
    -------
    kernels : float array like `initial`
    accuracy : float
        Share of the samples that the classifier got right in the last epoch.
    """
    local = LocalLoss(rule, stage, int(units.max()) + 1, initial)
    adam = Adam(local.weights, [rule.learning_rate * share for share in (1.0, CLASSIFIER, CLASSIFIER)])
    batches = -(-len(early) // rule.batch)
    epochs, right = progress(range(rule.epochs)), 0
    for epoch in epochs:
        right, loss = 0, 0.0
        for k, shown in enumerate(np.array_split(rng.permutation(len(early)), batches)):
            told, gradients = local.step(local.windows(early[shown]), units[shown])
            adam.step(gradients, _one_cycle((epoch * batches + k) / (rule.epochs * batches)))
            right, loss = right + told[0], loss + told[1]
        tell(epochs, accuracy=right / len(early), loss=loss / len(early))
    return local.weights[0].astype(np.float64).reshape(initial.shape), right / len(early)


def _one_cycle(done: float) -> float:
    """Share of the full learning rate after a share of all steps: up in a line, down in half a cosine."""
    return done / RISE if done < RISE else 0.5 + 0.5 * float(np.cos(np.pi * (done - RISE) / (1.0 - RISE)))


class LocalLoss:
    """A layer and the classifier beside it.

    Parameters
    ----------
    rule : LocalErrors
    stage : model.Stage
    classes : int
    initial : float array (filters, C, rows, columns)

    Attributes
    ----------
    weights : list of float32 array
        Kernels (filters, inputs), and of the classifier weights (filters * cells, classes) and biases (classes,).
    """

    def __init__(self, rule: LocalErrors, stage: Stage, classes: int, initial: Floats) -> None:
        self.stage, (filters, rows, columns) = stage, stage.out_shape
        self.last = np.float32(rule.pattern_steps)
        grid = min(rule.cells, rows), min(rule.cells, columns)
        cell = grid_cells((1, rows, columns), grid)
        share = (cell == np.arange(grid[0] * grid[1])[:, None]).astype(np.float32)
        self.mean = (np.float32(SCALE) * share / share.sum(axis=1, keepdims=True)).T        # (positions, cells)
        self.weights = [initial.reshape(filters, -1).astype(np.float32),
                        np.zeros((filters * len(share), classes), np.float32), np.zeros(classes, np.float32)]

    def windows(self, early: Pixels) -> Floats32:
        """What filters see at each position of each sample: float32 (samples * positions, inputs), 0 to 1.

        Parameters
        ----------
        early : uint8 array (samples, C, H, W)
            See :func:`earliest`.
        """
        branch, view = self.stage.main, np.lib.stride_tricks.sliding_window_view
        seen: Any = view(early, branch.kernel_size, axis=(2, 3))       # type: ignore[call-overload]
        seen = seen[:, :, ::branch.strides[0], ::branch.strides[1]].transpose(0, 2, 3, 1, 4, 5)
        return seen.reshape(-1, self.weights[0].shape[1]).astype(np.float32) / self.last

    def step(self, windows: Floats32, units: Ints) -> tuple[tuple[int, float], list[Floats32]]:
        """How many samples were right and their cross entropy (nats), summed up; gradients of its mean, like `weights`.

        Parameters
        ----------
        windows : float32 array (samples * positions, inputs)
        units : int array (samples,)
            Of the classifier, that should answer.
        """
        kernels, head, bias = self.weights
        n, layer, filters = len(units), self.stage.layer, len(kernels)
        bare = kernels - kernels.mean(axis=1, keepdims=True) if layer.centred else kernels
        length = np.maximum(np.linalg.norm(bare, axis=1, keepdims=True), TINY)
        unit = bare / length
        u = unit @ windows.T                                            # (filters, samples * positions)
        least = u.shape[1] - max(1, round(layer.firing * u.shape[1]))
        theta, sigma = np.partition(u, least, axis=1)[:, least, None], u.std(axis=1, keepdims=True) + TINY
        above = np.maximum(u - theta, np.float32(0.0)) / sigma
        seen = (above.reshape(filters, n, -1) @ self.mean).transpose(1, 0, 2).reshape(n, -1)
        scores = seen @ head + bias
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        asked = np.arange(n), units
        right, loss = int((shares.argmax(axis=1) == units).sum()), -float(np.log(shares[asked] + TINY).sum())
        shares[asked] -= 1.0
        shares /= n
        back = (shares @ head.T).reshape(n, filters, -1).transpose(1, 0, 2) @ self.mean.T
        by_unit = (back.reshape(filters, -1) * (above > 0.0) / sigma) @ windows
        by_kernel = (by_unit - unit * (by_unit * unit).sum(axis=1, keepdims=True)) / length
        if layer.centred:
            by_kernel -= by_kernel.mean(axis=1, keepdims=True)
        return (right, loss), [by_kernel, seen.T @ shares, shares.sum(axis=0)]


class Adam:
    """Adam with the constants of its paper: ``step`` changes the weights in place.

    Parameters
    ----------
    weights : list of float32 array
    rates : list of float
        Full learning rate of each of them.
    """

    def __init__(self, weights: Sequence[Floats32], rates: Sequence[float]) -> None:
        self.weights, self.rates, self.steps = weights, rates, 0
        self.first, self.second = ([np.zeros_like(one) for one in weights] for _ in range(2))

    def step(self, gradients: Sequence[Floats32], share: float) -> None:
        """Go down the gradients, float32 arrays like the weights, at a share (0 to 1) of the learning rates."""
        self.steps += 1
        far = float(np.sqrt(1.0 - 0.999 ** self.steps) / (1.0 - 0.9 ** self.steps))
        for weights, gradient, first, second, rate in zip(self.weights, gradients, self.first, self.second, self.rates):
            first += np.float32(0.1) * (gradient - first)
            second += np.float32(0.001) * (gradient * gradient - second)
            weights -= np.float32(rate * share * far) * first / (np.sqrt(second) + np.float32(1e-8 * far))
