"""Ways into a layer: the convolutions that it sums up, each of the spikes of one earlier layer.

A layer of a chain has one. Residual networks have more: a Shortcut is a further one (He et al. 2016, doi
10.1109/CVPR.2016.90, section 3.2, with and without a projection). A field that cannot be used is a SettingsError.
"""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import PADDING, PAIR, SIZE, check_fields, whole
from spikingconvnet.network.arrays import Floats, Ints, Pair, Shape
from spikingconvnet.network.geometry import framed, output_size, pair

EARLIER = whole(0, wanted="the number of an earlier layer, 0 for the input")


@dataclass(frozen=True)
class Shortcut:
    """A convolution of the spikes of an earlier layer that a layer adds to what it sees of the one before it.

    Its kernels are part of what is trained; the identity has a kernel of 1 x 1 and the unit matrix as weights.

    Attributes
    ----------
    layer : int
        Number of the layer whose spikes it sees, 0 for the input.
    kernel_size, strides, pool : int or (rows, columns)
        `pool`: of average pooling before it.
    padding : int or (rows, columns)
    groups : int
        As of ``Conv2D``.
    """

    layer: int
    kernel_size: int | Pair = (1, 1)
    strides: int | Pair = (1, 1)
    padding: int | Pair = (0, 0)
    pool: int | Pair = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        check_fields(self, layer=EARLIER, kernel_size=PAIR, strides=PAIR, padding=PADDING, pool=PAIR, groups=SIZE)

    def branch(self, source_shape: Shape, filters: int) -> "Branch":
        """Itself as a Branch from a source of shape (C, H, W) into a layer of so many maps."""
        (rows, columns), (channels, height, width) = pair(self.pool), source_shape
        return Branch(self.layer, source_shape, (rows, columns), (channels, height // rows, width // columns), filters,
                      pair(self.kernel_size), pair(self.strides), pair(self.padding), self.groups)

    def __str__(self) -> str:
        rows, columns = pair(self.kernel_size)
        return f"{f'layer {self.layer}' if self.layer else 'input'} {rows}x{columns}"


@dataclass(frozen=True)
class Branch:
    """A convolution of the spikes of one layer, or of the input, into another one.

    Attributes
    ----------
    source : int
        Number of the layer; 0 is the input.
    source_shape, in_shape : (C, H, W)
        Before and behind the pooling.
    pool, kernel_size, strides, padding : (rows, columns)
    filters : int
    groups : int
        Parts into which channels and filters are divided.
    per_map : bool
        Whether every filter sees each channel on its own, see ``Conv2D``.
    """

    source: int
    source_shape: Shape
    pool: Pair
    in_shape: Shape
    filters: int
    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: Pair = (0, 0)
    groups: int = 1
    per_map: bool = False

    @property
    def kernel_shape(self) -> tuple[int, int, int, int]:
        """Shape of the kernels: (filters, channels that each sees, rows, columns)."""
        return (self.filters, self.in_shape[0] // self.groups, *self.kernel_size)

    @property
    def seen_shape(self) -> Shape:
        """(C, H, W) that the kernels see: pooled and padded."""
        return framed(self.in_shape, self.padding)

    @property
    def out_shape(self) -> Shape:
        """(C', H', W')."""
        maps = self.filters * self.in_shape[0] if self.per_map else self.filters
        return (maps, *output_size(self.seen_shape, self.kernel_size, self.strides))

    @property
    def area(self) -> int:
        """Neurons that share a pooled position."""
        return self.pool[0] * self.pool[1]

    def check(self, owner: str) -> None:
        """Raise a SettingsError unless the kernels fit what they see; `owner` is a class, for the text."""
        for axis, name in ((0, "rows"), (1, "columns")):
            there = max(self.seen_shape[1 + axis], 0)
            require(self.kernel_size[axis] <= there, owner, "kernel_size", self.kernel_size,
                    f"at most {there} {name}, the input is {self.in_shape}")
        require(self.in_shape[0] % self.groups == 0, owner, "groups", self.groups,
                f"a divisor of the {self.in_shape[0]} channels of the input")
        require(self.filters % self.groups == 0 or self.per_map, owner, "groups", self.groups,
                f"a divisor of the {self.filters} filters")

    def full(self, kernels: Floats) -> Floats:
        """Kernels over all input channels, 0 where a filter does not look: float array (maps, C, rows, columns).

        Of a layer with `per_map` map ``filter * channels + channel`` sees one channel, in the order of the 2018
        original.

        Parameters
        ----------
        kernels : float array of shape `kernel_shape`
        """
        if self.groups == 1:
            return kernels
        maps, channels = self.out_shape[0], self.in_shape[0]
        rows = np.arange(maps) // channels if self.per_map else np.arange(maps)
        found = np.zeros((maps, channels, *self.kernel_size), kernels.dtype)
        found[np.arange(maps)[:, None], self.channels_seen] = kernels[rows]
        return found

    @property
    def channels_seen(self) -> Ints:
        """Input channels that each map sees: int64 array (maps, channels of a kernel)."""
        maps, channels, per_group = self.out_shape[0], self.in_shape[0], self.kernel_shape[1]
        first = np.arange(maps) % channels if self.per_map else np.arange(maps) * self.groups // maps * per_group
        return np.asarray(first[:, None] + np.arange(per_group))
