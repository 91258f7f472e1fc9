"""What rules that follow a gradient share: weights of a chain, shifted batches, Adam with one cycle of learning rates.

The only place of torch, with the other files of this folder. Everything is drawn from the generator that is passed in.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from spikingconvnet.errors import SettingsError, require
from spikingconvnet.model.branches import Branch
from spikingconvnet.model.learning import Progress, tell
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Pair
from spikingconvnet.training.chain.descent import Descent

JUDGED_AT_ONCE = 500        # images


class Chain(torch.nn.Module):
    """Weights of a model's layers, and what the layers sum up.

    Parameters
    ----------
    model : model.Sequential
    rng : numpy.random.Generator
    spread : float
        Standard deviation of the weights at the start, times the root of the inputs of a unit.
    bias : bool
        Whether units have one, 0 at the start.

    Raises
    ------
    SettingsError
        A layer with ``Conv2D.per_map``.
    """

    def __init__(self, model: Sequential, rng: np.random.Generator, spread: float, bias: bool = False) -> None:
        super().__init__()
        self.stages = model.stages
        for stage in self.stages:
            if stage.layer.per_map:
                raise SettingsError(f"layer {stage.number}: Conv2D.per_map is for layers that learn with STDP")
        shapes = [stage.layer.kernel_shape(stage.in_shape) for stage in self.stages]
        self.kernels = torch.nn.ParameterList([
            torch.from_numpy(rng.normal(0.0, spread / math.sqrt(math.prod(shape[1:])), shape).astype(np.float32))
            for shape in shapes])
        self.shortcuts: Any = torch.nn.ModuleList([torch.nn.ParameterList([
            torch.from_numpy(rng.normal(0.0, spread / math.sqrt(math.prod(branch.kernel_shape[1:])),
                                        branch.kernel_shape).astype(np.float32))
            for branch in stage.shortcuts]) for stage in self.stages])
        self.biases: Any = torch.nn.ParameterList([torch.zeros(shape[0]) for shape in shapes]) if bias else None

    def response(self, number: int, values: torch.Tensor) -> torch.Tensor:
        """What layer `number` (from 1) makes of values (n, *source_shape): tensor (n, *out_shape)."""
        stage, kernel = self.stages[number - 1], self.kernels[number - 1]
        bias = None if self.biases is None else self.biases[number - 1]
        if stage.dense:
            values = self.pooled(values, stage.main.pool) if stage.pool else values
            found = functional.linear(values.flatten(1), kernel.flatten(1), bias)
            return found[:, :, None, None]
        return self._convolved(stage.main, kernel, values, bias)

    def _convolved(self, branch: Branch, kernel: torch.Tensor, values: torch.Tensor,
                   bias: torch.Tensor | None = None) -> torch.Tensor:
        values = self.pooled(values, branch.pool) if branch.area > 1 else values
        return functional.conv2d(values, kernel, bias, branch.strides, branch.padding, groups=branch.groups)

    def by_shortcuts(self, number: int, found: Sequence[torch.Tensor]) -> torch.Tensor | float:
        """What comes to layer `number` by its shortcuts, of the values of all layers before it by number."""
        stage, kernels = self.stages[number - 1], self.shortcuts[number - 1]
        return sum((self._convolved(branch, kernel, found[branch.source])
                    for branch, kernel in zip(stage.shortcuts, kernels)), 0.0)

    def shortcut_arrays(self) -> list[tuple[Floats, ...]]:
        """Kernels of the shortcuts of all layers: list of tuple of float64 array."""
        return [tuple(kernel.detach().numpy().astype(np.float64) for kernel in kernels) for kernels in self.shortcuts]

    def pooled(self, values: torch.Tensor, size: Pair) -> torch.Tensor:
        """Means of pools of `size` (rows, columns)."""
        return functional.avg_pool2d(values, size)

    def arrays(self) -> tuple[list[Floats], list[Floats]]:
        """Kernels and biases of all layers: lists of float64 array; zeros without biases."""
        kernels = [kernel.detach().numpy().astype(np.float64) for kernel in self.kernels]
        if self.biases is None:
            return kernels, [np.zeros(len(kernel)) for kernel in kernels]
        return kernels, [bias.detach().numpy().astype(np.float64) for bias in self.biases]


def generator(rng: np.random.Generator) -> torch.Generator:
    """A generator of torch, seeded from that of numpy."""
    return torch.Generator().manual_seed(int(rng.integers(1 << 62)))


def shifted(images: Floats32, distance: int, rng: np.random.Generator) -> Floats32:
    """Images moved by up to `distance` pixels, each on its own; what comes in is dark: float32 (n, C, H, W)."""
    if not distance:
        return images
    n, _channels, height, width = images.shape
    padded = np.pad(images, ((0, 0), (0, 0), (distance, distance), (distance, distance)))
    row, column = rng.integers(0, 2 * distance + 1, (2, n))
    rows, columns = row[:, None] + np.arange(height), column[:, None] + np.arange(width)
    moved = padded[np.arange(n)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return np.ascontiguousarray(moved.transpose(0, 3, 1, 2))


def fit(chain: torch.nn.Module, loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], images: Any,
        labels: Ints, descent: Descent, rng: np.random.Generator, progress: Progress = iter) -> list[float]:
    """Change the weights of `chain` so that ``loss(images, labels)`` falls.

    Parameters
    ----------
    chain : torch.nn.Module
    loss : callable
        Of tensors (n, C, H, W) and (n,): tensor of one number.
    images : float32 array (n, C, H, W)
        Or what gives such arrays, ``images[places]``, and has a length and a `shape`.
    labels : int array (n,)
    descent : descent.Descent
    rng : numpy.random.Generator
    progress : callable

    Returns
    -------
    list of float
        Mean loss of every epoch.

    Raises
    ------
    SettingsError
        A `descent.shift` that is not below the shorter side of an image.
    """
    side = min(images.shape[2:])
    require(descent.shift < side, "Descent", "shift", descent.shift,
            f"below {side} pixels, the shorter side of an image")
    steps = descent.epochs * math.ceil(len(images) / descent.batch)
    if not steps:
        return []
    optimiser = torch.optim.Adam(chain.parameters(), lr=descent.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, descent.learning_rate, total_steps=steps + 1)
    course, epochs = [], progress(range(descent.epochs))
    for _ in epochs:
        order, total = rng.permutation(len(images)), 0.0
        for first in range(0, len(order), descent.batch):
            chosen = order[first:first + descent.batch]
            shown = torch.from_numpy(shifted(images[chosen], descent.shift, rng))
            value = loss(shown, torch.from_numpy(labels[chosen].astype(np.int64)))
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            schedule.step()
            total += float(value.detach()) * len(chosen)
        course.append(total / len(order))
        tell(epochs, loss=course[-1])
    return course


def accuracy(answer: Callable[[torch.Tensor], torch.Tensor], images: Any, labels: Ints,
             at_once: int = JUDGED_AT_ONCE) -> float:
    """Share of the images for which ``answer(images)``, tensor (n, units), is highest in the labelled unit."""
    right = 0
    with torch.no_grad():
        for first in range(0, len(images), at_once):
            chosen = np.arange(first, min(first + at_once, len(images)))
            found = answer(torch.from_numpy(images[chosen])).argmax(dim=1).numpy()
            right += int((found == labels[chosen]).sum())
    return right / len(images) if len(images) else float("nan")
