"""Convolutions, pools and padding of torch's, done to a Value; each takes the Reader, the Step and the Value."""

import math
from dataclasses import replace

import numpy as np

from spikingconvnet.training.chain.gradients.operations import rows_and_columns
from spikingconvnet.training.chain.gradients.values import INSIDE, Convolution, Maps

POOL = {"kernel_size": None, "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True,
        "divisor_override": None}
CONV = {"weight": None, "bias": None, "stride": (1, 1), "padding": 0, "dilation": (1, 1), "groups": 1}


def conv(_, step, value):
    """Conv2d, conv2d."""
    found = step.options(CONV)
    weight, bias = (step.numbers(found[name], name) for name in ("weight", "bias"))
    if getattr(step.module, "padding_mode", "zeros") != "zeros":
        raise step.refused("padding_mode: must be 'zeros': what lies around the maps is silent; train again with it")
    if value.flat or weight.ndim != 4 or weight.shape[1] * found["groups"] != value.shape[0]:
        raise step.refused(f"sees maps of {weight.shape[1] * found['groups']} channels, but what comes before it"
                           f" {'is flat' if value.flat else f'makes {value.shape} (channels, rows, columns)'}")
    stride, dilation = rows_and_columns(found["stride"]), rows_and_columns(found["dilation"])
    convolution = Convolution.of(weight, found["groups"], dilation, strides=stride, bias=bias)
    frame = _frame(found["padding"], convolution.kernel.shape[2:])
    return _convolved(step, value, replace(convolution, frame=frame))


def _frame(padding, size):
    """Torch's padding as ((top, bottom), (left, right)); 'same' puts what is odd below and right."""
    if padding == "same":
        return tuple(((length - 1) // 2, length // 2) for length in size)
    return INSIDE if padding == "valid" else tuple((width, width) for width in rows_and_columns(padding))


def _convolved(step, value, convolution):
    seen = np.add(value.shape[1:], np.sum(convolution.frame, axis=1))
    if min(np.subtract(seen, convolution.kernel.shape[2:])) < 0:
        raise step.refused(f"its kernels are larger than the maps of {value.shape}")
    return value.convolved(convolution)


def avg_pool(_, step, value):
    """AvgPool2d, avg_pool2d: windows that overlap are a convolution."""
    found = step.options(POOL)
    size, padding = rows_and_columns(found["kernel_size"]), rows_and_columns(found["padding"])
    strides = size if found["stride"] in (None, [], ()) else rows_and_columns(found["stride"])
    _check_windows(step, value, found, np.add(value.shape[1:], np.multiply(2, padding)) - size, strides)
    pooled = _pooled(step, value, size, strides, tuple((width, width) for width in padding))
    divisor = found["divisor_override"]
    return pooled if divisor is None else pooled.scaled(math.prod(size) / divisor, 0.0)


def _check_windows(step, value, found, room, strides):
    """Refuse windows that hang over the edge and count fewer places than the others."""
    if found["ceil_mode"] and any(room % strides):
        raise step.refused(f"must have no ceil_mode where the maps of {value.shape} are no multiple of it, as windows"
                           " at the edge are means of fewer places")
    if rows_and_columns(found["padding"]) != (0, 0) and not (found["count_include_pad"] or found["divisor_override"]):
        raise step.refused("padded, must have count_include_pad=True, as windows at the edge are means of fewer places")


def sum_pool(_, step, value):
    """LPPool2d, lp_pool2d with a norm_type of 1."""
    found = step.options({"norm_type": None, "kernel_size": None, "stride": None, "ceil_mode": False})
    if found["norm_type"] != 1:
        raise step.refused("must have a norm_type of 1, a sum: powers of rates are no sums of spikes")
    size = rows_and_columns(found["kernel_size"])
    strides = size if found["stride"] is None else rows_and_columns(found["stride"])
    _check_windows(step, value, {**POOL, **found}, np.subtract(value.shape[1:], size), strides)
    return _pooled(step, value, size, strides).scaled(float(math.prod(size)), 0.0)


def adaptive_pool(_, step, value):
    """AdaptiveAvgPool2d, where it is a plain pool."""
    wanted = rows_and_columns(step.options({"output_size": None})["output_size"])
    wanted = [length if size is None else size for size, length in zip(wanted, value.shape[1:])]
    if any(length % size for length, size in zip(value.shape[1:], wanted)):
        raise step.refused(f"its windows overlap or differ, because {wanted[0]}x{wanted[1]} do not divide the maps of"
                           f" {value.shape}; use an output_size that does, and train again")
    return _pooled(step, value, tuple(length // size for length, size in zip(value.shape[1:], wanted)))


def mean(_, step, value):
    """Mean or sum over rows and columns."""
    found = step.options({"dim": None, "keepdim": False})
    if value.flat or found["dim"] is None or {axis % 4 for axis in rows_and_columns(found["dim"])} != {2, 3}:
        raise step.refused("must be over rows and columns, dim=(2, 3)")
    pooled = _pooled(step, value, value.shape[1:])
    pooled = replace(pooled, flat=not found["keepdim"])
    return pooled.scaled(float(math.prod(value.shape[1:])), 0.0) if step.kind == "sum" else pooled


def _pooled(step, value, size, strides=None, frame=INSIDE):
    """Means of windows; those that stand side by side need no weights, others, and those of sums, are a convolution."""
    if value.flat or min(np.add(value.shape[1:], np.sum(frame, axis=1)) - size) < 0:
        raise step.refused(f"does not fit what comes before it, {value.shape}{', flat' if value.flat else ''}")
    strides = strides or size
    if (strides, frame) == (size, INSIDE) and isinstance(value, Maps):
        return value.pooled(size)
    return value.convolved(Convolution.mean(value.shape[0], size, strides, frame))


def pad(_, step, value):
    """ZeroPad2d, pad."""
    found = step.options({"pad" if step.module is None else "padding": None})
    widths, mode = (*found.values(),)[0], step.kwargs.get("mode", "constant")
    plain = step.kwargs.get("value") in (None, 0) and getattr(step.module, "value", 0) == 0 and mode == "constant"
    if value.flat or not plain or len(widths) != 4 or min(widths) < 0:
        raise step.refused("must put zeros around rows and columns: what lies around the maps is silent")
    frame = (tuple(widths[2:]), tuple(widths[:2]))
    return value.convolved(replace(Convolution(np.eye(value.shape[0])[..., None, None]), frame=frame))
