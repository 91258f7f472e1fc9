"""Values of a traced network: maps of earlier layers, and sums of convolutions of them that wait for their ReLU.

Both are linear in what the layers before them say, plus a constant for each place. So what is linear in a network folds
into them: a convolution of a convolution is one, where no frame of zeros lies between the two.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.nn import functional

from spikingconvnet.network.geometry import through

INSIDE = ((0, 0), (0, 0))       # no frame


class Inexact(ValueError):
    """What a value cannot go through exactly; the text says why and what helps."""


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution with everything that torch has as settings worked into its kernel.

    Attributes
    ----------
    kernel : float64 array (filters, channels, rows, columns)
        Over all channels, zeros where a filter does not look.
    strides : (rows, columns)
    frame : ((top, bottom), (left, right))
        Zeros around the maps.
    bias : float64 array (filters,) or number
    """

    kernel: np.ndarray
    strides: tuple = (1, 1)
    frame: tuple = INSIDE
    bias: np.ndarray | float = 0.0

    @classmethod
    def of(cls, weight, groups=1, dilation=(1, 1), **settings):
        """That of torch's weight (filters, channels of a group, rows, columns)."""
        filters, channels, rows, columns = weight.shape
        kernel = np.zeros((filters, channels * groups, *(dilation * (np.array((rows, columns)) - 1) + 1)))
        for part in np.split(np.arange(filters), groups):
            first = part[0] * groups // filters * channels
            kernel[part, first:first + channels, ::dilation[0], ::dilation[1]] = weight[part]
        return cls(kernel, **settings)

    @classmethod
    def mean(cls, channels, size, strides=(1, 1), frame=INSIDE):
        """The mean of windows, each channel on its own."""
        return cls.of(np.full((channels, 1, *size), 1.0 / np.prod(size)), channels, strides=strides, frame=frame)

    def on(self, maps):
        """What it makes of maps (C, H, W) of numbers: float64 array (filters, H', W')."""
        framed = torch.from_numpy(np.pad(maps, ((0, 0), *self.frame)))
        found = functional.conv2d(framed[None], torch.from_numpy(self.kernel), stride=self.strides)[0]
        return found.numpy() + np.reshape(self.bias, (-1, 1, 1))


@dataclass(frozen=True, eq=False)
class Part:
    """Maps of an earlier layer.

    Attributes
    ----------
    source : int
        Its number; 0 is the input.
    shape : (C, H, W)
        Behind the pooling.
    scale : float64 array (C, 1, 1) or (C, H, W)
    pool : (rows, columns)
    """

    source: int
    shape: tuple
    scale: np.ndarray
    pool: tuple = (1, 1)


@dataclass(frozen=True, eq=False)
class Way:
    """A convolution of the maps of an earlier layer.

    Attributes
    ----------
    source : int
        Its number; 0 is the input.
    shape : (C, H, W)
        Behind the pooling.
    pool : (rows, columns)
    kernel : float64 array (filters, C, rows, columns)
    strides : (rows, columns)
    offset : (rows, columns)
        How far the first window stands above and left of the maps.
    """

    source: int
    shape: tuple
    pool: tuple
    kernel: np.ndarray
    strides: tuple = (1, 1)
    offset: tuple = (0, 0)

    def says_nothing_outside(self, size):
        """Whether windows beside the (rows, columns) that there are would see no place of the maps."""
        ends = np.multiply(size, self.strides) - self.offset
        return self.kernel.shape[2:] == (1, 1) and min(self.offset) >= 0 and (ends >= self.shape[1:]).all()

    def followed_by(self, convolution):
        """Both as one."""
        offset = np.multiply([top for top, _ in convolution.frame], self.strides) + self.offset
        strides = np.multiply(self.strides, convolution.strides)
        return replace(self, kernel=through(convolution.kernel, self.kernel, self.strides),
                       strides=tuple(strides.tolist()), offset=tuple(offset.tolist()))


@dataclass(frozen=True, eq=False)
class Value:
    """What an operation makes.

    Attributes
    ----------
    constant : float64 array (C, H, W)
        What it is while all layers before it, and the input, are silent.
    terms : tuple of Part, side by side, or of Way, a sum
    flat : bool
        Whether the network holds it as one axis.
    ended : bool
        Whether a Softmax has compared it.
    node : torch.fx.Node or None
        Where the network computes it.
    """

    constant: np.ndarray
    terms: tuple
    flat: bool = False
    ended: bool = False
    node: object = None

    @property
    def shape(self):
        """(C, H, W)."""
        return self.constant.shape

    def convolved(self, convolution):
        """A Sum; an Inexact if there is none."""
        return Sum(convolution.on(self.constant), tuple(self._ways(convolution)), self.flat)


class Maps(Value):
    """Maps of earlier layers side by side, each with a scale; the constant is what is added to them."""

    def opened(self):
        """The same as a Sum."""
        return self.convolved(Convolution(np.eye(self.shape[0])[..., None, None]))

    def scaled(self, scale, shift):
        """Times `scale`, plus `shift`: arrays that can be broadcast to its shape."""
        scale = np.broadcast_to(scale, np.broadcast_shapes(np.shape(scale), (self.shape[0], 1, 1)))
        parts = zip(self.terms, _split(scale, self.terms))
        return replace(self, constant=self.constant * scale + shift,
                       terms=tuple(replace(part, scale=part.scale * own) for part, own in parts))

    def _ways(self, convolution):
        for part, kernel in zip(self.terms, _split(convolution.kernel, self.terms, 1)):
            if part.scale.shape[1:] != (1, 1) and (kernel.shape[2:] != part.shape[1:] or convolution.frame != INSIDE):
                raise Inexact("sees a scale of its own at each place of a map, which only a Linear can; BatchNorm must"
                              " stand before the Flatten")
            offset = tuple(top for top, _ in convolution.frame)
            yield Way(part.source, part.shape, part.pool, kernel * part.scale, convolution.strides, offset)

    def pooled(self, size):
        """Means of squares of `size`, a rest at the edges left out."""
        if any(part.scale.shape[1:] != (1, 1) for part in self.terms):
            return self.opened()        # which says why not
        (rows, columns), (channels, height, width) = size, np.floor_divide(self.shape, (1, *size))
        constant = self.constant[:, :height * rows, :width * columns]
        constant = constant.reshape(channels, height, rows, width, columns).mean(axis=(2, 4))
        return replace(self, constant=constant, terms=tuple(
            replace(part, shape=(part.shape[0], int(height), int(width)),
                    pool=(part.pool[0] * rows, part.pool[1] * columns)) for part in self.terms))

    def is_rectified(self, ceiling, ceilings):
        """Whether a ReLU with this ceiling changes nothing, given those of the layers; an input can be below 0."""
        plain = not self.constant.any() and all((part.scale == 1).all() for part in self.terms)
        below = ceiling == np.inf or (plain and all(ceilings[part.source] <= ceiling for part in self.terms))
        return (below and self.constant.min() >= 0 and all(part.scale.min() >= 0 for part in self.terms)
                and all(part.source for part in self.terms))


class Sum(Value):
    """Convolutions of earlier layers added up, and the constant."""

    def opened(self):
        """It as it is."""
        return self

    def scaled(self, scale, shift):
        """Times `scale`, one for each channel, plus `shift`: arrays that can be broadcast to its shape.

        A scale of its own for each place is an Inexact.
        """
        if np.shape(scale)[1:] not in ((), (1, 1)):
            raise Inexact("has a scale of its own for each place of a map; must stand before the Flatten")
        ways = (replace(way, kernel=way.kernel * np.reshape(scale, (-1, 1, 1, 1))) for way in self.terms)
        return replace(self, constant=self.constant * scale + shift, terms=tuple(ways))

    def _ways(self, convolution):
        framed = convolution.frame != INSIDE
        if framed and not all(way.says_nothing_outside(self.shape[1:]) for way in self.terms):
            raise Inexact("is padded and sees a convolution without a ReLU between, and the two together are no"
                          " convolution at the edges; put a ReLU between, or no padding")
        return (way.followed_by(convolution) for way in self.terms)


def added(values):
    """The sum of values of one shape."""
    terms = tuple(way for value in values for way in value.opened().terms)
    return Sum(sum(value.constant for value in values), terms, values[0].flat)


def joined(values):
    """Values side by side, channel behind channel."""
    constant = np.concatenate([value.constant for value in values])
    if all(isinstance(value, Maps) for value in values):
        return Maps(constant, sum((value.terms for value in values), ()), values[0].flat)
    ends = np.cumsum([value.shape[0] for value in values])
    terms = (replace(way, kernel=np.pad(way.kernel, ((end - value.shape[0], len(constant) - end), *[(0, 0)] * 3)))
             for value, end in zip(values, ends) for way in value.opened().terms)
    return Sum(constant, tuple(terms), values[0].flat)


def _split(array, parts, axis=0):
    """An array over all channels as one for each Part."""
    return np.split(array, np.cumsum([part.shape[0] for part in parts])[:-1], axis)
