"""Connections between two populations, as structured as they are; ``to_list`` writes any of them out.

Weights are in nA and never negative, except where the sign chooses the receptor (``signed``). Delays are whole steps, 1
or more. :class:`BoardConvolution` and :class:`BoardPoolDense` are what sPyNNaker's own connectors of that name do on a
board, which for a convolution is not what the field calls one.
"""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import NetworkError, require
from spikingconvnet.fields import FLAG, PAIR, SHAPE, check_fields, choice, least, most, numbers, real, several, whole
from spikingconvnet.geometry import output_size, pooled_neurons, receptive_fields

_DELAY = whole(1, wanted="at least 1 step")
_ROUNDING = choice("host", "machine")
_WEIGHT = real(least(0), most(1e9), wanted="finite and 0 or more nA; the receptor gives the sign")
_XY = several(whole(1), "(x, y), at least 1", 2)


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

    pre: np.ndarray
    post: np.ndarray
    weight: np.ndarray
    delay: np.ndarray
    signed: bool = False

    rounding = "host"

    def __post_init__(self):
        for name, kind in (("pre", np.int64), ("post", np.int64), ("weight", np.float64), ("delay", np.int64)):
            _set_array(self, name, 1, kind)
        check_fields(self, NetworkError, signed=FLAG)
        _check(self, abs(self.weight) if self.signed else self.weight, self.delay)
        for name in ("post", "weight", "delay"):
            require(len(getattr(self, name)) == len(self.pre), "ConnectionList", name, len(getattr(self, name)),
                    f"as long as pre ({len(self.pre)})", NetworkError)

    def to_list(self):
        """Itself."""
        return self

    @property
    def max_delay(self):
        """Largest delay in steps; 0 without connections."""
        return int(self.delay.max(initial=0))

    def check_sizes(self, n_pre, n_post):
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

    weight: np.ndarray
    delay: int = 1
    rounding: str = "host"

    signed = False

    def __post_init__(self):
        _set_array(self, "weight", 2)
        check_fields(self, NetworkError, delay=_DELAY, rounding=_ROUNDING)
        _check(self, self.weight, self.delay)
        require(self.rounding == "host" or np.unique(self.weight).size <= 1, "DenseConnections", "rounding",
                self.rounding, "'host' for several weights: a board generates only one itself", NetworkError)

    @property
    def max_delay(self):
        """The delay in steps."""
        return self.delay

    def check_sizes(self, n_pre, n_post):
        """Raise NetworkError unless the weights are (n_pre, n_post)."""
        require(self.weight.shape == (n_pre, n_post), "DenseConnections", "weight", self.weight.shape,
                f"of shape {(n_pre, n_post)}", NetworkError)

    def to_list(self):
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

    def __post_init__(self):
        check_fields(self, NetworkError, size=whole(1), weight=_WEIGHT, delay=_DELAY, rounding=_ROUNDING)

    @property
    def max_delay(self):
        """The delay in steps."""
        return self.delay

    def check_sizes(self, n_pre, n_post):
        """Raise NetworkError unless both sides are the population it was made for."""
        require((n_pre, n_post) == (self.size, self.size), "LateralInhibition", "size", self.size,
                f"that of its population ({n_pre} -> {n_post})", NetworkError)

    def to_list(self):
        """ConnectionList sorted by presynaptic, then postsynaptic neuron."""
        pre, post = np.nonzero(~np.eye(self.size, dtype=bool))
        return ConnectionList(pre, post, np.full(len(pre), self.weight), np.full(len(pre), self.delay))


@dataclass(frozen=True, eq=False)
class ConvConnections:
    """A convolution (the field's cross-correlation) with signed kernels, valid padding and optional average pooling.

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
    """

    kernels: np.ndarray
    pre_shape: tuple
    strides: tuple = (1, 1)
    pool: tuple = (1, 1)
    delay: int = 1

    signed = True
    rounding = "host"

    def __post_init__(self):
        _set_array(self, "kernels", 4)
        check_fields(self, NetworkError, pre_shape=SHAPE, strides=PAIR, pool=PAIR, delay=_DELAY)
        require(self.kernels.shape[1] == self.pre_shape[0], "ConvConnections", "kernels",
                self.kernels.shape, f"(maps, {self.pre_shape[0]}, rows, columns)", NetworkError)
        _check(self, abs(self.kernels), self.delay)
        require(min(self.post_shape) >= 1, "ConvConnections", "kernels", self.kernels.shape,
                f"within the pooled input {self.pooled_shape}", NetworkError)

    @property
    def max_delay(self):
        """The delay in steps."""
        return self.delay

    @property
    def pooled_shape(self):
        """(C, H, W) that the kernels see."""
        return (self.pre_shape[0], self.pre_shape[1] // self.pool[0], self.pre_shape[2] // self.pool[1])

    @property
    def post_shape(self):
        """(maps, rows, columns) of the postsynaptic population."""
        return (len(self.kernels), *output_size(self.pooled_shape, self.kernels.shape[2:], self.strides))

    def check_sizes(self, n_pre, n_post):
        """Raise NetworkError unless both populations have the sizes of the geometry."""
        for name, shape, size in (("pre_shape", self.pre_shape, n_pre), ("post_shape", self.post_shape, n_post)):
            require(int(np.prod(shape)) == size, "ConvConnections", name, shape, f"of {size} neurons", NetworkError)

    def to_list(self):
        """ConnectionList of the non-zero weights, signed, sorted by presynaptic, then postsynaptic neuron."""
        fields = receptive_fields(self.pooled_shape, self.kernels.shape[2:], self.strides)
        maps, positions = len(self.kernels), len(fields)
        weight = np.broadcast_to(self.kernels.reshape(maps, 1, -1), (maps, positions, fields.shape[1])).ravel()
        pooled = np.broadcast_to(fields, (maps, *fields.shape)).ravel()
        post = np.repeat(np.arange(maps * positions), fields.shape[1])
        member = pooled_neurons(self.pre_shape, self.pool)
        order = np.argsort(member, kind="stable")
        first = np.searchsorted(member[order], np.arange(int(np.prod(self.pooled_shape)) + 1))
        area = self.pool[0] * self.pool[1]
        pre = order[first[pooled][:, None] + np.arange(area)].ravel()
        post, weight = np.repeat(post, area), np.repeat(weight / area, area)
        order = np.lexsort((post, pre))
        order = order[weight[order] != 0]
        return ConnectionList(pre[order], post[order], weight[order], np.full(len(order), self.delay), signed=True)

    def on_board(self):
        """The connectors that compute this convolution on a board.

        Returns
        -------
        dict of (channel, map) to BoardConvolution
            Kernels without a weight are left out. The populations of a board are one per channel and one per map.

        Raises
        ------
        NetworkError
            If sPyNNaker's connector cannot compute it: strides above 1, kernels of even size.
        """
        rows, columns = self.kernels.shape[2:]
        require(tuple(self.strides) == (1, 1), "ConvConnections", "strides", self.strides,
                "(1, 1) on a board: sPyNNaker lays the whole kernel around every strided position, so that neighbouring"
                " outputs share an input that they should not", NetworkError)
        require(rows % 2 == 1 and columns % 2 == 1, "ConvConnections", "kernels", (rows, columns),
                "of odd size on a board: sPyNNaker's binary reads beyond a kernel of even size", NetworkError)
        pre_shape, pool = (1, *self.pre_shape[1:]), (self.pool[1], self.pool[0])
        return {(channel, index): BoardConvolution(kernel[::-1, ::-1].reshape(columns, rows), pre_shape, pool=pool,
                                                   delay=self.delay)
                for index, kernels in enumerate(self.kernels) for channel, kernel in enumerate(kernels) if kernel.any()}


class _BoardConnector:
    """What the two connectors of SpiNNaker's local-only synapses share."""

    signed = True
    rounding = "host"

    @property
    def max_delay(self):
        """The delay in steps."""
        return self.delay

    def check_sizes(self, n_pre, n_post):
        """Raise NetworkError unless both populations have the sizes of the geometry."""
        name = type(self).__name__
        for attribute, shape, size in (("pre_shape", self.pre_shape, n_pre), ("post_shape", self.post_shape, n_post)):
            require(int(np.prod(shape)) == size, name, attribute, shape, f"of {size} neurons", NetworkError)

    def _check_pool(self):
        check_fields(self, NetworkError, pre_shape=SHAPE, pool=_XY, delay=_DELAY)
        require(self.pre_shape[0] == 1, type(self).__name__, "pre_shape", self.pre_shape,
                "(1, rows, columns): a board has one population per channel", NetworkError)

    def _listed(self, pre, post, weight):
        order = np.lexsort((post, pre))
        order = order[weight[order] != 0]
        return ConnectionList(pre[order], post[order], weight[order], np.full(len(order), self.delay), signed=True)


@dataclass(frozen=True, eq=False)
class BoardConvolution(_BoardConnector):
    """sPyNNaker's ``ConvolutionConnector`` as its binary computes it: one channel to one map.

    It is the mathematician's convolution, the kernel turned by 180 degrees against the field's. The kernel is laid out
    at the resolution of the output, around ``floor((position - half kernel + padding) / stride)``: with a stride above
    1 that is not the field's strided convolution, and an input whose numerator is negative contributes nothing.

    Source: sPyNNaker 7.4.1 ``convolution_connector.py``; ``local_only_conv_impl.c`` as measured on the compiled binary.

    Attributes
    ----------
    kernel : float array (n_x, n_y), nA
        As given to the connector. Its numbers one after another are re-read as n_y rows of n_x weights: a kernel ``w``
        of rows and columns is given as ``w.reshape(columns, rows)``; for a square kernel that is ``w`` itself.
    pre_shape : (1, rows, columns)
        Before pooling.
    strides, padding, pool : (x, y)
        Columns first, as the binary takes them, not as its documentation says. Pooling divides the weights by the area.
    delay : int
        Steps.
    """

    kernel: np.ndarray
    pre_shape: tuple
    strides: tuple = (1, 1)
    padding: tuple = (0, 0)
    pool: tuple = (1, 1)
    delay: int = 1

    def __post_init__(self):
        _set_array(self, "kernel", 2)
        require(all(n % 2 == 1 for n in self.kernel.shape), "BoardConvolution", "kernel",
                self.kernel.shape, "of two odd sizes; the binary reads beyond an even one", NetworkError)
        self._check_pool()
        check_fields(self, NetworkError, strides=_XY, padding=several(whole(0), "(x, y), at least 0", 2))
        _check(self, abs(self.kernel), self.delay)

    @property
    def post_shape(self):
        """(1, rows, columns) that sPyNNaker demands of the postsynaptic population."""
        return (1, self._outputs(1), self._outputs(0))

    @property
    def weights(self):
        """Weights that the connector holds, pooling included: float array of the kernel's shape, nA."""
        return self.kernel / (self.pool[0] * self.pool[1])

    @property
    def fan_in(self):
        """Connections of a neuron as sPyNNaker counts them."""
        return min(self.kernel.size, int(np.prod(self.pre_shape)))

    def _outputs(self, axis):
        pooled = self.pre_shape[2 - axis] // self.pool[axis]
        return max((pooled - (self.kernel.shape[axis] - 1) + 2 * self.padding[axis]) // self.strides[axis], 1)

    def _reached(self, axis):
        """Input position, output position and kernel index of every connection along x (0) or y (1)."""
        size, stride = self.kernel.shape[axis], self.strides[axis]
        at = np.arange(self.pre_shape[2 - axis])
        numerator = at // self.pool[axis] - size // 2 + self.padding[axis]
        at, numerator = (part[(numerator >= 0) | (stride == 1)] for part in (at, numerator))
        output = numerator[:, None] // stride + np.arange(size) - size // 2
        inside = (output >= 0) & (output < self._outputs(axis))
        index, kernel = np.nonzero(inside)
        return at[index], output[inside], kernel

    def to_list(self):
        """ConnectionList of the non-zero weights, signed, sorted by presynaptic, then postsynaptic neuron."""
        (x, to_x, column), (y, to_y, row) = self._reached(0), self._reached(1)
        n_x, n_y = self.kernel.shape
        pre = y[:, None] * self.pre_shape[2] + x
        post = to_y[:, None] * self.post_shape[2] + to_x
        weight = self.weights.reshape(n_y, n_x)[row[:, None], column]
        return self._listed(pre.ravel(), post.ravel(), weight.ravel())


@dataclass(frozen=True, eq=False)
class BoardPoolDense(_BoardConnector):
    """sPyNNaker's ``PoolDenseConnector`` as its binary computes it: average pooling, then every input to every neuron.

    Source: sPyNNaker 7.4.1 ``pool_dense_connector.py``; ``local_only_pool_dense_impl.c`` as measured on the compiled
    binary.

    Attributes
    ----------
    weight : float array (x, y, n_post), nA
        Of every pooled position; divided by the area of the pool when it is used.
    pre_shape : (1, rows, columns)
        Before pooling; multiples of the pool, because the binary reads beyond the weights otherwise.
    pool : (x, y)
    delay : int
        Steps.
    """

    weight: np.ndarray
    pre_shape: tuple
    pool: tuple = (1, 1)
    delay: int = 1

    def __post_init__(self):
        _set_array(self, "weight", 3)
        self._check_pool()
        size = (self.pre_shape[2], self.pre_shape[1])
        require(all(n % p == 0 for n, p in zip(size, self.pool)), "BoardPoolDense", "pre_shape", self.pre_shape,
                f"whole multiples of the pool {tuple(self.pool)} (x, y); the binary reads beyond the weights otherwise",
                NetworkError)
        pooled = tuple(n // p for n, p in zip(size, self.pool))
        require(self.weight.shape[:2] == pooled, "BoardPoolDense", "weight",
                self.weight.shape, f"of shape {pooled} (x, y) and the postsynaptic neurons", NetworkError)
        _check(self, abs(self.weight), self.delay)

    @property
    def post_shape(self):
        """(1, 1, postsynaptic neurons)."""
        return (1, 1, self.weight.shape[2])

    @property
    def weights(self):
        """Weights as sPyNNaker looks at them when it chooses a scale, not divided by the pool's area: nA."""
        return self.weight

    @property
    def fan_in(self):
        """Connections of a neuron as sPyNNaker counts them: every presynaptic neuron."""
        return int(np.prod(self.pre_shape))

    def to_list(self):
        """ConnectionList of the non-zero weights, signed, sorted by presynaptic, then postsynaptic neuron."""
        x, y = np.arange(self.pre_shape[2]), np.arange(self.pre_shape[1])
        weight = self.weight[x // self.pool[0], (y // self.pool[1])[:, None]] / (self.pool[0] * self.pool[1])
        n_pre, n_post = self.fan_in, self.weight.shape[2]
        return self._listed(np.repeat(np.arange(n_pre), n_post), np.tile(np.arange(n_post), n_pre), weight.ravel())


def _check(owner, magnitude, delay):
    name = type(owner).__name__
    require(bool(np.all(np.isfinite(magnitude))) and bool(np.all(magnitude >= 0)), name, "weight",
            "a negative or infinite one", "finite and 0 or more nA; the receptor gives the sign", NetworkError)
    require(bool(np.all(np.asarray(delay) >= 1)), name, "delay", int(np.min(delay, initial=1)), "at least 1 step",
            NetworkError)


def _set_array(owner, name, axes, dtype=np.float64):
    """Make a field an array of that many axes."""
    value = numbers(getattr(owner, name), type(owner).__name__, name, NetworkError, dtype)
    require(value.ndim == axes, type(owner).__name__, name, value.shape, f"an array of {axes} axes", NetworkError)
    object.__setattr__(owner, name, value)
