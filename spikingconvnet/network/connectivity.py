"""Connections between two populations, as structured as they are; ``to_list`` writes any of them out.

Weights are in nA and never negative, except where the sign chooses the receptor (``signed``). Delays are whole steps, 1
or more. :class:`BoardConvolution` and :class:`BoardPoolDense` are what sPyNNaker's own connectors of that name do on a
board, which for a convolution is not what the field calls one. What no synapse may have is a NetworkError.
"""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import NetworkError, require
from spikingconvnet.gates.fields import (
    FLAG,
    PADDING,
    PAIR,
    SHAPE,
    check_fields,
    choice,
    least,
    most,
    numbers,
    real,
    several,
    whole,
)
from spikingconvnet.network.arrays import AnyInts, Floats, Ints, Pair, Shape
from spikingconvnet.network.geometry import framed, output_size, pooled_neurons, receptive_fields

DELAY = whole(1, wanted="at least 1 step")
ROUNDING = choice("host", "machine")
WEIGHT = real(least(0), most(1e9), wanted="finite and 0 or more nA; the receptor gives the sign")
XY = several(whole(1), "(x, y), at least 1", 2)


@dataclass(frozen=True, eq=False)
class ConnectionList:
    """Single connections; PyNN's ``FromListConnector``.

    Attributes
    ----------
    pre, post : int arrays (n,)
    weight : float array (n,), nA
    delay : int array (n,), steps
    signed : bool
        Whether the sign of a weight chooses its receptor; otherwise weights are not negative.
    """

    pre: Ints
    post: Ints
    weight: Floats
    delay: Ints
    signed: bool = False

    rounding = "host"

    def __post_init__(self) -> None:
        for name, kind in (("pre", np.int64), ("post", np.int64), ("weight", np.float64), ("delay", np.int64)):
            set_array(self, name, 1, kind)
        check_fields(self, NetworkError, signed=FLAG)
        check_synapses(self, abs(self.weight) if self.signed else self.weight, self.delay)
        for name in ("post", "weight", "delay"):
            require(len(getattr(self, name)) == len(self.pre), "ConnectionList", name, len(getattr(self, name)),
                    f"as long as pre ({len(self.pre)})", NetworkError)

    def to_list(self) -> "ConnectionList":
        """The same object, which is a list already."""
        return self

    @property
    def max_delay(self) -> int:
        """Largest delay in steps; 0 without connections."""
        return int(self.delay.max(initial=0))

    def check_sizes(self, n_pre: int, n_post: int) -> None:
        """Raise NetworkError if a connection names a neuron that does not exist."""
        for name, size in (("pre", n_pre), ("post", n_post)):
            ids = getattr(self, name)
            require(not len(ids) or (ids.min() >= 0 and ids.max() < size), "ConnectionList", name,
                    [int(ids.min()), int(ids.max())] if len(ids) else [], f"within 0 .. {size - 1}", NetworkError)


@dataclass(frozen=True, eq=False)
class DenseConnections:
    """Every presynaptic to every postsynaptic neuron.

    Attributes
    ----------
    weight : float array (n_pre, n_post), nA
    delay : int
        Steps.
    rounding : 'host' or 'machine'
        Who makes 16 bits of the weights. A board generates an ``AllToAllConnector`` of one weight itself, and rounds
        otherwise than the host does for lists: s16.15 first, then ties upwards.
    """

    weight: Floats
    delay: int = 1
    rounding: str = "host"

    signed = False

    def __post_init__(self) -> None:
        set_array(self, "weight", 2)
        check_fields(self, NetworkError, delay=DELAY, rounding=ROUNDING)
        check_synapses(self, self.weight, self.delay)
        require(self.rounding == "host" or np.unique(self.weight).size <= 1, "DenseConnections", "rounding",
                self.rounding, "'host' for several weights: a board generates only one itself", NetworkError)

    @property
    def max_delay(self) -> int:
        """The delay in steps."""
        return self.delay

    def check_sizes(self, n_pre: int, n_post: int) -> None:
        """Raise NetworkError unless the weights are (n_pre, n_post)."""
        require(self.weight.shape == (n_pre, n_post), "DenseConnections", "weight", self.weight.shape,
                f"of shape {(n_pre, n_post)}", NetworkError)

    def to_list(self) -> ConnectionList:
        """ConnectionList sorted by presynaptic, then postsynaptic neuron."""
        n_pre, n_post = self.weight.shape
        return ConnectionList(np.repeat(np.arange(n_pre), n_post), np.tile(np.arange(n_post), n_pre),
                              self.weight.ravel(), np.full(self.weight.size, self.delay))


@dataclass(frozen=True)
class LateralInhibition:
    """Every neuron of a population to every other one, itself excepted, with one weight (nA) and delay (steps).

    `rounding` as in :class:`DenseConnections`; it is an ``AllToAllConnector(allow_self_connections=False)``.
    """

    size: int
    weight: float
    delay: int = 1
    rounding: str = "host"

    signed = False

    def __post_init__(self) -> None:
        check_fields(self, NetworkError, size=whole(1), weight=WEIGHT, delay=DELAY, rounding=ROUNDING)

    @property
    def max_delay(self) -> int:
        """The delay in steps."""
        return self.delay

    def check_sizes(self, n_pre: int, n_post: int) -> None:
        """Raise NetworkError unless both sides are the population it was made for."""
        require((n_pre, n_post) == (self.size, self.size), "LateralInhibition", "size", self.size,
                f"that of its population ({n_pre} -> {n_post})", NetworkError)

    def to_list(self) -> ConnectionList:
        """ConnectionList sorted by presynaptic, then postsynaptic neuron."""
        pre, post = np.nonzero(~np.eye(self.size, dtype=bool))
        return ConnectionList(pre, post, np.full(len(pre), self.weight), np.full(len(pre), self.delay))


@dataclass(frozen=True, eq=False)
class ConvConnections:
    """A convolution (the field's cross-correlation) with signed kernels and optional average pooling before it.

    On a board every pair (input channel, output map) is one connector between two-dimensional populations; here they
    are one object, and no list is made.

    Attributes
    ----------
    kernels : float array (maps, channels, rows, columns), nA
        Positive weights go to the excitatory, negative ones to the inhibitory receptor.
    pre_shape : (C, H, W)
        Shape of the presynaptic population, before pooling.
    strides, pool : (rows, columns)
    delay : int
        Steps.
    padding : (rows, columns)
        Of nothing, on either side of the pooled maps.
    """

    kernels: Floats
    pre_shape: Shape
    strides: Pair = (1, 1)
    pool: Pair = (1, 1)
    delay: int = 1
    padding: Pair = (0, 0)

    signed = True
    rounding = "host"

    def __post_init__(self) -> None:
        set_array(self, "kernels", 4)
        check_fields(self, NetworkError, pre_shape=SHAPE, strides=PAIR, pool=PAIR, delay=DELAY, padding=PADDING)
        require(self.kernels.shape[1] == self.pre_shape[0], "ConvConnections", "kernels",
                self.kernels.shape, f"(maps, {self.pre_shape[0]}, rows, columns)", NetworkError)
        check_synapses(self, abs(self.kernels), self.delay)
        require(min(self.post_shape) >= 1, "ConvConnections", "kernels", self.kernels.shape,
                f"within the pooled and padded input {self.seen_shape}", NetworkError)

    @property
    def max_delay(self) -> int:
        """The delay in steps."""
        return self.delay

    @property
    def pooled_shape(self) -> Shape:
        """(C, H, W) behind the pooling."""
        return (self.pre_shape[0], self.pre_shape[1] // self.pool[0], self.pre_shape[2] // self.pool[1])

    @property
    def seen_shape(self) -> Shape:
        """(C, H, W) that the kernels see: pooled and padded."""
        return framed(self.pooled_shape, self.padding)

    @property
    def seen_places(self) -> Ints:
        """Place of each presynaptic neuron in what the kernels see, -1 for none: int64 array (neurons,)."""
        return pooled_neurons(self.pre_shape, self.pool, self.padding)

    @property
    def post_shape(self) -> Shape:
        """(maps, rows, columns) of the postsynaptic population."""
        return (len(self.kernels), *output_size(self.seen_shape, self.kernels.shape[2:], self.strides))

    def check_sizes(self, n_pre: int, n_post: int) -> None:
        """Raise NetworkError unless both populations have the sizes of the geometry."""
        for name, shape, size in (("pre_shape", self.pre_shape, n_pre), ("post_shape", self.post_shape, n_post)):
            require(int(np.prod(shape)) == size, "ConvConnections", name, shape, f"of {size} neurons", NetworkError)

    def to_list(self) -> ConnectionList:
        """ConnectionList of the non-zero weights, signed, sorted by presynaptic, then postsynaptic neuron."""
        fields = receptive_fields(self.seen_shape, self.kernels.shape[2:], self.strides)
        maps, positions = len(self.kernels), len(fields)
        weight = np.broadcast_to(self.kernels.reshape(maps, 1, -1), (maps, positions, fields.shape[1])).ravel()
        seen = np.broadcast_to(fields, (maps, *fields.shape)).ravel()
        post = np.repeat(np.arange(maps * positions), fields.shape[1])
        place = self.seen_places
        order = np.argsort(place, kind="stable")
        first = np.searchsorted(place[order], np.arange(int(np.prod(self.seen_shape)) + 1))
        taken = (first[seen] < first[seen + 1]) & (weight != 0)      # not of the frame
        seen, post, weight = seen[taken], post[taken], weight[taken]
        area = self.pool[0] * self.pool[1]
        pre = order[first[seen][:, None] + np.arange(area)].ravel()
        post, weight = np.repeat(post, area), np.repeat(weight / area, area)
        order = in_order(pre, post)
        order = order[weight[order] != 0]
        return ConnectionList(pre[order], post[order], weight[order], np.full(len(order), self.delay), signed=True)


def in_order(*columns: AnyInts) -> Ints:
    """Places that sort by the first column, then by the next: as ``np.lexsort`` has them, the last column first.

    Numbers that hold all columns and their place are sorted at once, which is faster, where they fit 63 bits.

    Parameters
    ----------
    *columns : int arrays (n,)

    Returns
    -------
    int64 array (n,)
    """
    n = len(columns[0])
    bits = [int(column.max(initial=0)).bit_length() for column in columns]
    if sum(bits) + n.bit_length() > 63 or any(column.min(initial=0) < 0 for column in columns):
        found: Ints = np.lexsort(columns[::-1])
        return found
    key = np.zeros(n, np.int64)
    for column, each in zip(columns, bits):
        key <<= each
        key |= column
    key <<= n.bit_length()
    key |= np.arange(n)
    key.sort()
    key &= (1 << n.bit_length()) - 1
    return key


def check_synapses(owner: object, magnitude: Floats, delay: Ints | int) -> None:
    """Raise a NetworkError unless weights and delays are ones that a synapse may have."""
    name = type(owner).__name__
    require(bool(np.all(np.isfinite(magnitude))) and bool(np.all(magnitude >= 0)), name, "weight",
            "a negative or infinite one", "finite and 0 or more nA; the receptor gives the sign", NetworkError)
    require(bool(np.all(np.asarray(delay) >= 1)), name, "delay", int(np.min(delay, initial=1)), "at least 1 step",
            NetworkError)


def set_array(owner: object, name: str, axes: int, dtype: type[np.generic] = np.float64) -> None:
    """Make a field an array of that many axes; what is none is a NetworkError."""
    value = numbers(getattr(owner, name), type(owner).__name__, name, NetworkError, dtype)
    require(value.ndim == axes, type(owner).__name__, name, value.shape, f"an array of {axes} axes", NetworkError)
    object.__setattr__(owner, name, value)
