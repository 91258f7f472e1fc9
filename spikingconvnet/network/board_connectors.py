"""Connections that a board generates itself, from sPyNNaker's own connectors; wrong ones are a NetworkError."""

from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import NetworkError, require
from spikingconvnet.gates.fields import SHAPE, check_fields, several, whole
from spikingconvnet.network.arrays import Floats, Ints, Pair, Shape
from spikingconvnet.network.connectivity import DELAY, XY, ConnectionList, check_synapses, set_array


class _BoardConnector:
    """What the two connectors of SpiNNaker's local-only synapses share."""

    pre_shape: Shape
    pool: Pair
    delay: int

    signed = True
    rounding = "host"

    @property
    def max_delay(self) -> int:
        """The delay in steps."""
        return self.delay

    @property
    def post_shape(self) -> Shape:
        """(1, rows, columns) of the postsynaptic population."""
        raise NotImplementedError

    def check_sizes(self, n_pre: int, n_post: int) -> None:
        """Raise NetworkError unless both populations have the sizes of the geometry."""
        name = type(self).__name__
        for attribute, shape, size in (("pre_shape", self.pre_shape, n_pre), ("post_shape", self.post_shape, n_post)):
            require(int(np.prod(shape)) == size, name, attribute, shape, f"of {size} neurons", NetworkError)

    def _check_pool(self) -> None:
        check_fields(self, NetworkError, pre_shape=SHAPE, pool=XY, delay=DELAY)
        require(self.pre_shape[0] == 1, type(self).__name__, "pre_shape", self.pre_shape,
                "(1, rows, columns): a board has one population per channel", NetworkError)

    def _listed(self, pre: Ints, post: Ints, weight: Floats) -> ConnectionList:
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

    kernel: Floats
    pre_shape: Shape
    strides: Pair = (1, 1)
    padding: Pair = (0, 0)
    pool: Pair = (1, 1)
    delay: int = 1

    def __post_init__(self) -> None:
        set_array(self, "kernel", 2)
        require(all(n % 2 == 1 for n in self.kernel.shape), "BoardConvolution", "kernel",
                self.kernel.shape, "of two odd sizes; the binary reads beyond an even one", NetworkError)
        self._check_pool()
        check_fields(self, NetworkError, strides=XY, padding=several(whole(0), "(x, y), at least 0", 2))
        check_synapses(self, abs(self.kernel), self.delay)

    @property
    def post_shape(self) -> Shape:
        """(1, rows, columns) that sPyNNaker demands of the postsynaptic population."""
        return (1, self._outputs(1), self._outputs(0))

    @property
    def weights(self) -> Floats:
        """Weights that the connector holds, pooling included: float array of the kernel's shape, nA."""
        return self.kernel / (self.pool[0] * self.pool[1])

    @property
    def fan_in(self) -> int:
        """Connections of a neuron as sPyNNaker counts them."""
        return min(self.kernel.size, int(np.prod(self.pre_shape)))

    def _outputs(self, axis: int) -> int:
        pooled = self.pre_shape[2 - axis] // self.pool[axis]
        outputs: int = (pooled - (self.kernel.shape[axis] - 1) + 2 * self.padding[axis]) // self.strides[axis]
        return max(outputs, 1)

    def reached(self, axis: int) -> tuple[Ints, Ints, Ints]:
        """Input position, output position and kernel index of every connection along x (0) or y (1): int arrays."""
        size, stride = self.kernel.shape[axis], self.strides[axis]
        at = np.arange(self.pre_shape[2 - axis])
        numerator = at // self.pool[axis] - size // 2 + self.padding[axis]
        at, numerator = (part[(numerator >= 0) | (stride == 1)] for part in (at, numerator))
        output = numerator[:, None] // stride + np.arange(size) - size // 2
        inside = (output >= 0) & (output < self._outputs(axis))
        index, kernel = np.nonzero(inside)
        return at[index], output[inside], kernel

    def to_list(self) -> ConnectionList:
        """ConnectionList of the non-zero weights, signed, sorted by presynaptic, then postsynaptic neuron."""
        (x, to_x, column), (y, to_y, row) = self.reached(0), self.reached(1)
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

    weight: Floats
    pre_shape: Shape
    pool: Pair = (1, 1)
    delay: int = 1

    def __post_init__(self) -> None:
        set_array(self, "weight", 3)
        self._check_pool()
        size = (self.pre_shape[2], self.pre_shape[1])
        require(all(n % p == 0 for n, p in zip(size, self.pool)), "BoardPoolDense", "pre_shape", self.pre_shape,
                f"whole multiples of the pool {tuple(self.pool)} (x, y); the binary reads beyond the weights otherwise",
                NetworkError)
        pooled = tuple(n // p for n, p in zip(size, self.pool))
        require(self.weight.shape[:2] == pooled, "BoardPoolDense", "weight",
                self.weight.shape, f"of shape {pooled} (x, y) and the postsynaptic neurons", NetworkError)
        check_synapses(self, abs(self.weight), self.delay)

    @property
    def post_shape(self) -> Shape:
        """(1, 1, postsynaptic neurons)."""
        return (1, 1, self.weight.shape[2])

    @property
    def weights(self) -> Floats:
        """Weights as sPyNNaker looks at them when it chooses a scale, not divided by the pool's area: nA."""
        return self.weight

    @property
    def fan_in(self) -> int:
        """Connections of a neuron as sPyNNaker counts them: every presynaptic neuron."""
        return int(np.prod(self.pre_shape))

    def to_list(self) -> ConnectionList:
        """ConnectionList of the non-zero weights, signed, sorted by presynaptic, then postsynaptic neuron."""
        x, y = np.arange(self.pre_shape[2]), np.arange(self.pre_shape[1])
        weight = self.weight[x // self.pool[0], (y // self.pool[1])[:, None]] / (self.pool[0] * self.pool[1])
        n_pre, n_post = self.fan_in, self.weight.shape[2]
        return self._listed(np.repeat(np.arange(n_pre), n_post), np.tile(np.arange(n_post), n_pre), weight.ravel())
