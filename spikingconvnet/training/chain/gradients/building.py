"""Layers of a model, and their weights, from sums of convolutions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
from torch import fx

from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense, Shortcut
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.arrays import Flags, Floats, Pair, Shape
from spikingconvnet.network.neurons import Neuron
from spikingconvnet.training.chain.gradients.values import Sum, Way
from spikingconvnet.training.chain.units import NEURON, Units

SAME = 1e-12            # biases that differ by less, as a share of the largest, are the same at every place


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer of units.

    Attributes
    ----------
    value : values.Sum
        What they sum up; its `node` is where the network does.
    rectified : torch.fx.Node or None
        Where the network rectifies it.
    ceiling : float
        Where the units saturate.
    """

    value: Sum
    rectified: fx.Node | None = None
    ceiling: float = np.inf

    @property
    def shape(self) -> Shape:
        """(units, rows, columns)."""
        return self.value.shape

    @property
    def dense(self) -> bool:
        """Whether each unit stands alone, so that it can see whole maps."""
        return self.shape[1:] == (1, 1)

    def branches(self) -> list[tuple[Way, Pair]]:
        """Its ways with padding on both sides alike, the one from the latest layer first: list of (Way, padding)."""
        ways = [_whole(way) for way in self.value.terms] if self.dense else self.value.terms
        _, *out = self.shape
        return [_framed(way, (out[0], out[1])) for way in sorted(_merged(ways), key=lambda way: -way.source)]

    def units(self) -> Units:
        """Its weights: Units."""
        kernels = [_parted(way.kernel, self._groups(way)) for way, _ in self.branches()]
        return Units(kernels[0], _bias(self.value.constant), tuple(kernels[1:]), self.ceiling)

    def layers(self, number: int, neuron: Neuron) -> list[AvgPool2D | Conv2D | Dense]:
        """Layers of the model that make layer `number`: list of AvgPool2D, Conv2D or Dense."""
        (main, padding), *others = self.branches()
        after = None if main.source == number - 1 else main.source
        pool: list[Any] = [] if main.pool == (1, 1) else [AvgPool2D(main.pool, after=after)]
        shared: dict[str, Any] = {"neuron": neuron, "after": None if pool else after,
                                  "shortcuts": tuple(self._shortcut(*other) for other in others)}
        if self.dense:
            return [*pool, Dense(self.shape[0], **shared)]
        return [*pool, Conv2D(self.shape[0], _size(main), main.strides, padding=padding,
                              groups=self._groups(main), **shared)]

    def _shortcut(self, way: Way, padding: Pair) -> Shortcut:
        return Shortcut(way.source, _size(way), way.strides, padding, way.pool, self._groups(way))

    def _groups(self, way: Way) -> int:
        return 1 if self.dense else groups_of(way.kernel)


def built(layers: Sequence[Layer], input_shape: Shape, neuron: Neuron = NEURON) -> tuple[list[Units], Sequential]:
    """Weights and model of some Layers: list of Units, Sequential."""
    parts = [part for number, layer in enumerate(layers, start=1) for part in layer.layers(number, neuron)]
    return [layer.units() for layer in layers], Sequential(input_shape, *parts, SpikeCount())


def groups_of(kernel: Floats) -> int:
    """Most groups into which filters and channels fall; an identity is left whole, as the unit matrix that it is."""
    filters, channels = kernel.shape[:2]
    seen = kernel.any(axis=(2, 3))
    if kernel.shape[2:] == (1, 1) and filters == channels and not (seen & ~np.eye(filters, dtype=bool)).any():
        return 1
    divisors = (groups for groups in range(math.gcd(filters, channels), 1, -1)
                if filters % groups == channels % groups == 0)
    return next((groups for groups in divisors if not (seen & ~_blocks(filters, channels, groups)).any()), 1)


def _blocks(filters: int, channels: int, groups: int) -> Flags:
    """Which filter sees which channel: bool array (filters, channels)."""
    return np.arange(filters)[:, None] * groups // filters == np.arange(channels) * groups // channels


def _parted(kernel: Floats, groups: int) -> Floats:
    """Kernels over the channels of their groups alone."""
    per_group = kernel.shape[1] // groups
    first = np.arange(len(kernel)) * groups // len(kernel) * per_group
    return kernel[np.arange(len(kernel))[:, None], first[:, None] + np.arange(per_group)]


def _bias(constant: Floats) -> Floats:
    """One number for each map, if all of its places have the same."""
    middle = constant[:, constant.shape[1] // 2, constant.shape[2] // 2]
    same = abs(constant - middle[:, None, None]).max() <= SAME * abs(constant).max()
    return middle.copy() if same else constant


def _size(way: Way) -> Pair:
    rows, columns = way.kernel.shape[2:]
    return rows, columns


def _whole(way: Way) -> Way:
    """The kernels of a way with one window, as kernels over the whole map."""
    return replace(way, kernel=_moved(way, (0, 0), way.shape[1:]), strides=(1, 1), offset=(0, 0))


def _merged(ways: Sequence[Way]) -> list[Way]:
    """Ways from one source with the same pool and strides as one."""
    def key(way: Way) -> tuple[int, Pair, Pair]:
        return way.source, way.pool, way.strides
    return [_one(list(alike)) for _, alike in groupby(sorted(ways, key=key), key)]


def _one(ways: Sequence[Way]) -> Way:
    offset = np.max([way.offset for way in ways], axis=0)
    size = np.max([np.add(way.kernel.shape[2:], offset - way.offset) for way in ways], axis=0)
    return replace(ways[0], kernel=np.sum([_moved(way, offset, size) for way in ways], axis=0),
                   offset=(offset[0].item(), offset[1].item()))


def _moved(way: Way, offset: Sequence[int], size: Sequence[int]) -> Floats:
    """Kernels of a way in a frame of `size` whose first window stands at `offset`; what lies outside is cut off."""
    start, there = np.subtract(offset, way.offset), way.kernel.shape[2:]
    kernel = np.zeros((*way.kernel.shape[:2], *size))
    to = [slice(max(first, 0), max(min(first + length, most), 0)) for first, length, most in zip(start, there, size)]
    of = [slice(part.start - first, part.stop - first) for part, first in zip(to, start)]
    kernel[:, :, to[0], to[1]] = way.kernel[:, :, of[0], of[1]]
    return kernel


def _framed(way: Way, out: Pair) -> tuple[Way, Pair]:
    """A way whose windows, `out` of them, see a frame as wide below as above, and this width: Way, (rows, columns)."""
    rows, columns = (_axis(*sizes) for sizes in zip(way.shape[1:], _size(way), way.strides, way.offset, out))
    padding = rows[0], columns[0]
    return replace(way, kernel=_moved(way, padding, (rows[1], columns[1])), offset=padding), padding


def _axis(there: int, kernel: int, stride: int, offset: int, out: int) -> Pair:
    """Padding along an axis, and the size of the kernel with zeros before it and behind it."""
    below = (out - 1) * stride + kernel - offset - there
    padding = max(offset, below, 0)
    behind = max(0, there + padding + offset - kernel - out * stride + 1)
    return padding, kernel + padding - offset + behind
