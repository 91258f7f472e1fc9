"""Layers of a model, and their weights, from sums of convolutions."""

from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense, Shortcut
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.neurons import IFCurrDelta
from spikingconvnet.training.chain.gradients.values import Sum
from spikingconvnet.training.chain.units import Units

NEURON = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0,
                     v=0.0)        # as of Convert
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
    rectified: object = None
    ceiling: float = np.inf

    @property
    def shape(self):
        """(units, rows, columns)."""
        return self.value.shape

    @property
    def dense(self):
        """Whether each unit stands alone, so that it can see whole maps."""
        return self.shape[1:] == (1, 1)

    def branches(self):
        """Its ways with padding on both sides alike, the one from the latest layer first: list of (Way, padding)."""
        ways = [_whole(way) for way in self.value.terms] if self.dense else self.value.terms
        return [_framed(way, self.shape[1:]) for way in sorted(_merged(ways), key=lambda way: -way.source)]

    def units(self):
        """Its weights: Units."""
        kernels = [_parted(way.kernel, self._groups(way)) for way, _ in self.branches()]
        return Units(kernels[0], _bias(self.value.constant), tuple(kernels[1:]), self.ceiling)

    def layers(self, number, neuron):
        """Layers of the model that make layer `number`: list of AvgPool2D, Conv2D or Dense."""
        (main, padding), *others = self.branches()
        after = None if main.source == number - 1 else main.source
        pool = [] if main.pool == (1, 1) else [AvgPool2D(main.pool, after=after)]
        shared = {"neuron": neuron, "after": None if pool else after,
                  "shortcuts": tuple(self._shortcut(*other) for other in others)}
        if self.dense:
            return [*pool, Dense(self.shape[0], **shared)]
        return [*pool, Conv2D(self.shape[0], main.kernel.shape[2:], main.strides, padding=padding,
                              groups=self._groups(main), **shared)]

    def _shortcut(self, way, padding):
        return Shortcut(way.source, way.kernel.shape[2:], way.strides, padding, way.pool, self._groups(way))

    def _groups(self, way):
        return 1 if self.dense else groups_of(way.kernel)


def built(layers, input_shape, neuron=NEURON):
    """Weights and model of some Layers: list of Units, Sequential."""
    parts = [part for number, layer in enumerate(layers, start=1) for part in layer.layers(number, neuron)]
    return [layer.units() for layer in layers], Sequential(input_shape, *parts, SpikeCount())


def groups_of(kernel):
    """Most groups into which filters and channels fall; an identity is left whole, as the unit matrix that it is."""
    filters, channels = kernel.shape[:2]
    seen = kernel.any(axis=(2, 3))
    if kernel.shape[2:] == (1, 1) and filters == channels and not (seen & ~np.eye(filters, dtype=bool)).any():
        return 1
    divisors = (groups for groups in range(np.gcd(filters, channels), 1, -1)
                if filters % groups == channels % groups == 0)
    return next((groups for groups in divisors if not (seen & ~_blocks(filters, channels, groups)).any()), 1)


def _blocks(filters, channels, groups):
    """Which filter sees which channel: bool array (filters, channels)."""
    return np.arange(filters)[:, None] * groups // filters == np.arange(channels) * groups // channels


def _parted(kernel, groups):
    """Kernels over the channels of their groups alone."""
    per_group = kernel.shape[1] // groups
    first = np.arange(len(kernel)) * groups // len(kernel) * per_group
    return kernel[np.arange(len(kernel))[:, None], first[:, None] + np.arange(per_group)]


def _bias(constant):
    """One number for each map, if all of its places have the same."""
    middle = constant[:, constant.shape[1] // 2, constant.shape[2] // 2]
    same = abs(constant - middle[:, None, None]).max() <= SAME * abs(constant).max()
    return middle.copy() if same else constant


def _whole(way):
    """The kernels of a way with one window, as kernels over the whole map."""
    return replace(way, kernel=_moved(way, (0, 0), way.shape[1:]), strides=(1, 1), offset=(0, 0))


def _merged(ways):
    """Ways from one source with the same pool and strides as one."""
    def key(way):
        return way.source, way.pool, way.strides
    return [_one(list(alike)) for _, alike in groupby(sorted(ways, key=key), key)]


def _one(ways):
    offset = np.max([way.offset for way in ways], axis=0)
    size = np.max([np.add(way.kernel.shape[2:], offset - way.offset) for way in ways], axis=0)
    return replace(ways[0], kernel=sum(_moved(way, offset, size) for way in ways), offset=tuple(offset.tolist()))


def _moved(way, offset, size):
    """Kernels of a way in a frame of `size` whose first window stands at `offset`; what lies outside is cut off."""
    start, there = np.subtract(offset, way.offset), way.kernel.shape[2:]
    kernel = np.zeros((*way.kernel.shape[:2], *size))
    to = [slice(max(first, 0), max(min(first + length, most), 0)) for first, length, most in zip(start, there, size)]
    of = [slice(part.start - first, part.stop - first) for part, first in zip(to, start)]
    kernel[:, :, to[0], to[1]] = way.kernel[:, :, of[0], of[1]]
    return kernel


def _framed(way, out):
    """A way whose windows, `out` of them, see a frame as wide below as above, and this width: Way, (rows, columns)."""
    axes = [_axis(*sizes) for sizes in zip(way.shape[1:], way.kernel.shape[2:], way.strides, way.offset, out)]
    padding, size = zip(*axes)
    return replace(way, kernel=_moved(way, padding, size), offset=padding), padding


def _axis(there, kernel, stride, offset, out):
    """Padding along an axis, and the size of the kernel with zeros before it and behind it."""
    below = (out - 1) * stride + kernel - offset - there
    padding = max(offset, below, 0)
    behind = max(0, there + padding + offset - kernel - out * stride + 1)
    return padding, kernel + padding - offset + behind
