"""NIR's linear nodes as sparse matrices over flat arrays, counted in the order (channel, row, column).

``y = M x + b`` for a node between two neurons; padding, strides, dilation and groups are those of torch's layers, whose
parameters NIR's nodes carry.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse

from spikingconvnet.exchange.graph import Fields, Node, as_text
from spikingconvnet.exchange.verdicts import Refused
from spikingconvnet.network.arrays import Floats, Ints

Size: TypeAlias = tuple[int, ...]
Matrix: TypeAlias = Any             # scipy.sparse.csr_array, which has no types
MOST_WEIGHTS = 200_000_000          # entries of one matrix


@dataclass(frozen=True, eq=False)
class Operator:
    """What a linear node does: ``y = matrix x + bias``, y of that shape, `delay` of the graph's time later."""

    shape: Size
    matrix: Matrix
    bias: Floats | None = None
    delay: Floats | None = None


def operator(node: Node, shape: Size) -> Operator:
    """What a linear node does to an input of a shape.

    Parameters
    ----------
    node : graph.Node
        Of one of the kinds of ``graph.LINEAR``, with all of its fields.
    shape : tuple of int

    Returns
    -------
    Operator

    Raises
    ------
    Refused
        What it says does not go together, or with its input.
    """
    return _OF_KIND[node.kind](node.fields, shape)


def _affine(fields: Fields, shape: Size) -> Operator:
    weight = np.asarray(fields["weight"], np.float64)
    _require(weight.ndim >= 2, f"its weight has the shape {weight.shape}", "give it two axes, (out, in)")
    out = (*weight.shape[:-2], weight.shape[-2])
    wanted = math.prod(weight.shape[:-2]) * weight.shape[-1]
    _require(wanted == math.prod(shape), f"it takes {wanted} values, and {shape} come to it",
             "put a Flatten before it, or give it other weights")
    blocks = weight.reshape(-1, *weight.shape[-2:])
    matrix = sparse.csr_array(blocks[0]) if len(blocks) == 1 else sparse.csr_array(sparse.block_diag(blocks))
    return Operator(out, matrix, _bias(fields, out))


def _bias(fields: Fields, out: Size) -> Floats | None:
    if "bias" not in fields:
        return None
    bias = np.asarray(fields["bias"], np.float64)
    return spread(bias.reshape(-1, *[1] * (len(out) - 1)) if bias.ndim == 1 and len(out) > 1 else bias, out, "bias")


def spread(values: Any, shape: Size, name: str) -> Floats:
    """A value for each of `shape`, flat; what is given once, or once a channel, is for all of its neurons.

    Others are Refused.
    """
    array = np.asarray(values, np.float64)
    if array.size == math.prod(shape):
        return array.ravel()
    try:
        return np.broadcast_to(array, shape).ravel()
    except ValueError:
        raise Refused(f"its {name} has the shape {array.shape}, and {shape} is wanted", "write it with that shape"
                      ) from None


def _scale(fields: Fields, shape: Size) -> Operator:
    return Operator(shape, sparse.csr_array(sparse.diags_array(spread(fields["scale"], shape, "scale"))))


def _delay(fields: Fields, shape: Size) -> Operator:
    delay = spread(fields["delay"], shape, "delay")
    _require(bool((delay >= 0).all()), "a delay is negative", "a spike cannot come before it is fired")
    return Operator(shape, None, delay=delay)


def _flatten(fields: Fields, shape: Size) -> Operator:
    first, last = (_dimension(fields.get(name), default, len(shape)) for name, default in (("start_dim", 1),
                                                                                            ("end_dim", -1)))
    middle = (math.prod(shape[first:last + 1]),) if last >= first else ()
    return Operator((*shape[:first], *middle, *shape[max(last + 1, first):]), None)


def _dimension(value: Any, default: int, axes: int) -> int:
    """An axis, counted from the front; one that is not there is the next that is."""
    asked = default if value is None else int(np.asarray(value).ravel()[0])
    return max(0, min(asked + axes if asked < 0 else asked, axes - 1))


def _conv(axes: int, fields: Fields, shape: Size) -> Operator:
    weight, groups = np.asarray(fields["weight"], np.float64), _whole(fields["groups"], 1, "groups")[0]
    _require(weight.ndim == 2 + axes, f"its weight has the shape {weight.shape}", f"give it {2 + axes} axes")
    _require(len(shape) == 1 + axes and shape[0] == weight.shape[1] * groups,
             f"it takes {weight.shape[1] * groups} channels of {axes} axes, and {shape} come to it",
             "give it another weight or groups, or another input")
    _require(len(weight) % groups == 0, f"{len(weight)} maps are no multiple of {groups} groups", "change groups")
    stride, dilation = _whole(fields["stride"], axes, "stride"), _whole(fields["dilation"], axes, "dilation")
    taps = [_taps(*one) for one in zip(shape[1:], weight.shape[2:], stride, _padding(
        fields["padding"], weight.shape[2:], stride, dilation), dilation)]
    out, matrix = _convolved(weight, groups, taps, shape)
    return Operator(out, matrix, _bias(fields, out))


def _convolved(weight: Floats, groups: int, taps: Sequence[tuple[int, Ints, Ints, Ints]],
               shape: Size) -> tuple[Size, Matrix]:
    """Shape of the output and the matrix: an entry for each map, channel of its group, and tap of every axis."""
    maps, channels = weight.shape[:2]
    out = (maps, *(size for size, *_ in taps))
    _require(min(out) >= 1, f"its output would have the shape {out}", "give it a larger input or more padding")
    count = maps * channels * math.prod(len(tap[1]) for tap in taps)
    _require(count <= MOST_WEIGHTS, f"it makes {count:,} synapses", f"at most {MOST_WEIGHTS:,}")
    grid = np.ix_(np.arange(maps), np.arange(channels), *(np.arange(len(tap[1])) for tap in taps))
    chosen = [tap[1:] for tap in taps]
    position, kernel, place = ([one[i][index] for one, index in zip(chosen, grid[2:])] for i in range(3))
    source = grid[1] + grid[0] // (maps // groups) * channels
    to = np.broadcast_to(_flat((grid[0], *position), out), np.broadcast_shapes(*(part.shape for part in grid)))
    chosen_weights = grid[0], grid[1], *kernel
    entries = np.broadcast_to(weight[chosen_weights], to.shape)
    from_ = np.broadcast_to(_flat((source, *place), shape), to.shape)
    matrix = sparse.coo_array((entries.ravel(), (to.ravel(), from_.ravel())),
                              shape=(math.prod(out), math.prod(shape)))
    return out, matrix.tocsr()


def _flat(index: Sequence[Ints], shape: Size) -> Ints:
    """Numbers of neurons whose places on each axis are given."""
    number: Ints = np.zeros((), np.int64)
    for part, size in zip(index, shape):
        number = number * size + part
    return number


def _taps(size: int, kernel: int, stride: int, padding: tuple[int, int], dilation: int) -> tuple[int, Ints, Ints, Ints]:
    """Along one axis: outputs, and for every pair of an output and a tap inside the input these two and the input."""
    outputs = (size + sum(padding) - dilation * (kernel - 1) - 1) // stride + 1
    position, tap = np.indices((max(outputs, 0), kernel))
    place = position * stride - padding[0] + tap * dilation
    inside = (place >= 0) & (place < size)
    return outputs, position[inside], tap[inside], place[inside]


def _padding(value: Any, kernel: Size, stride: Size, dilation: Size) -> list[tuple[int, int]]:
    """Before and behind each axis; of "same", the odd one behind, as torch has it."""
    word = as_text(value)
    if word == "valid":
        return [(0, 0)] * len(kernel)
    if word != "same":
        return [(one, one) for one in _whole(value, len(kernel), "padding", 0)]
    _require(set(stride) == {1}, "its padding is 'same' with a stride", "write the padding as numbers")
    spare = [step * (size - 1) for step, size in zip(dilation, kernel)]
    return [(one // 2, one - one // 2) for one in spare]


def _whole(value: Any, count: int, name: str, least: int = 1) -> Size:
    """Whole numbers, one for each of `count` axes or one for all."""
    array = np.asarray(value)
    fits = array.size in (1, count) and bool((array == np.floor(array)).all() and (array >= least).all()
                                             and (array < 1 << 31).all())
    _require(fits, f"its {name} is {array.tolist()}", f"give it {count} whole numbers, at least {least}")
    found: Size = tuple(np.broadcast_to(array.ravel().astype(int), (count,)).tolist())
    return found


def _pool(mean: bool, fields: Fields, shape: Size) -> Operator:
    """Every channel by itself; of a mean what is padded counts as 0, torch's ``count_include_pad``."""
    _require(len(shape) == 3, f"it pools (channels, rows, columns), and {shape} come to it", "give it three axes")
    kernel = _whole(fields["kernel_size"], 2, "kernel_size")
    weight = np.full((shape[0], 1, *kernel), 1 / math.prod(kernel) if mean else 1.0)
    return _conv(2, {"weight": weight, "groups": shape[0], "stride": fields["stride"], "padding": fields["padding"],
                     "dilation": 1}, shape)


def _require(condition: bool, text: str, change: str) -> None:
    if not condition:
        raise Refused(text, change)


_OF_KIND = {"Affine": _affine, "Linear": _affine, "Scale": _scale, "Delay": _delay, "Flatten": _flatten,
            "Conv1d": lambda *given: _conv(1, *given), "Conv2d": lambda *given: _conv(2, *given),
            "AvgPool2d": lambda *given: _pool(True, *given), "SumPool2d": lambda *given: _pool(False, *given)}
