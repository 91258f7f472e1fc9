"""What each operation of torch's does to a Value.

Each takes the Reader, the Step and the first Value that it sees, and gives a Value. What has no counterpart is a
SettingsError or an Inexact.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from spikingconvnet.errors import SettingsError
from spikingconvnet.network.arrays import Floats
from spikingconvnet.training.chain.gradients import windows
from spikingconvnet.training.chain.gradients.operations import IMAGES, Step
from spikingconvnet.training.chain.gradients.values import Convolution, Value, added, joined

if TYPE_CHECKING:           # which imports this module
    from spikingconvnet.training.chain.gradients.reader import Reader

Action: TypeAlias = "Callable[[Reader, Step, Value], Value]"
NORM = {"running_mean": None, "running_var": None, "weight": None, "bias": None, "training": False, "momentum": 0.1,
        "eps": 1e-5}
KNOWN = ("Conv2d, Linear, ReLU, ReLU6, AvgPool2d, AdaptiveAvgPool2d, BatchNorm, Normalize, sums, cat, arithmetic with"
         " constants, Flatten, view, Dropout, Identity, and Softmax at the end")
INSTEAD = {
    "AvgPool2d and train again (MNIST: 98.94 %, with MaxPool2d 98.90 %): the largest rate is no sum of spikes": (
        "maxpool", "fractionalmaxpool", "max", "amax"),
    "ReLU and train again: a rate is a rectified sum, nothing else": (
        "leakyrelu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "hardswish", "sigmoid",
        "hardsigmoid", "logsigmoid", "tanh", "softplus", "softsign", "hardshrink", "softshrink", "abs", "pow",
        "square"),
    "BatchNorm2d and train again: it takes the statistics of each image, which are no constants": (
        "groupnorm", "layernorm", "instancenorm", "rmsnorm", "localresponsenorm", "normalize"),
    "convolutions and train again: attention multiplies rates with each other": (
        "multiheadattention", "transformer", "scaleddotproductattention", "matmul", "bmm", "einsum"),
    "layers without a memory: a recurrent one sees its own answers": ("lstm", "gru", "rnn"),
    "a sum: to multiply two values of the network is nothing that neurons do": (
        "mul", "imul", "truediv", "itruediv", "div"),
    "the program as torch.export.export makes it, without run_decompositions": (
        "convolution", "nativebatchnorm", "addmm"),
    "whole maps, and a stride of the convolution": ("getitem", "chunk", "split", "narrow", "select", "unbind"),
    "Conv2d": ("conv1d", "conv3d", "convtranspose", "lazyconv")}


def why_not(kind: str) -> str:
    """What stands against an operation, or what is known instead."""
    word = kind.replace("_", "").lower().removeprefix("adaptive")
    found = [advice for advice, words in INSTEAD.items() if word.startswith(words)]
    return f"use {found[0]}" if found else f"known are {KNOWN}"


def normalised(value: Value, mean: Any, std: Any, name: str = "mean, std") -> Value:
    """A value minus `mean` over `std`, finite numbers or one for each channel, `std` above 0; else a SettingsError."""
    given = (0.0 if mean is None else mean, 1.0 if std is None else std)
    mean, std = (np.asarray(torch.as_tensor(part, dtype=torch.float64)).ravel() for part in given)
    right = all(len(part) in (1, value.shape[0]) and np.isfinite(part).all() for part in (mean, std))
    if not right or value.flat or std.min(initial=np.inf) <= 0:
        raise SettingsError(f"{name}: must be a number, or one for each of the {value.shape[0]} channels, and std above"
                            f" 0, got {mean.tolist()} and {std.tolist()}")
    return value.scaled(*((one.reshape(-1, 1, 1)) for one in (1.0 / std, -mean / std)))


def _normalise(_: "Reader", step: Step, value: Value) -> Value:
    found = step.options({"mean": None, "std": None})
    return normalised(value, found["mean"], found["std"], step.name)


def _linear(reader: "Reader", step: Step, value: Value) -> Value:
    found = step.options({"weight": None, "bias": None})
    weight, bias = (step.numbers(found[name], name) for name in found)
    size = math.prod(value.shape)
    if weight.shape[1] != size:
        raise step.refused(f"sees {weight.shape[1]} values, but what comes before it makes {size}, {value.shape}"
                           " (channels, rows, columns)")
    return reader.flat(step, value).convolved(Convolution(weight.reshape(-1, *value.shape), bias=bias))


def _relu(reader: "Reader", step: Step, value: Value) -> Value:
    return reader.rectified(step, value)


def _relu6(reader: "Reader", step: Step, value: Value) -> Value:
    return reader.rectified(step, value, 6.0)


def _hardtanh(reader: "Reader", step: Step, value: Value) -> Value:
    found = step.options({"min_val": -1.0, "max_val": 1.0})
    return _between(reader, step, value, found["min_val"], found["max_val"])


def _clamp(reader: "Reader", step: Step, value: Value) -> Value:
    found = step.options({"min": None, "max": None})
    return _between(reader, step, value, found["min"], found["max"])


def _between(reader: "Reader", step: Step, value: Value, low: Any, high: Any) -> Value:
    high = np.inf if high is None else high
    if not isinstance(low, (int, float)) or not isinstance(high, (int, float)) or low != 0 or not high > 0:
        raise step.refused(f"must be from 0 to a number above 0, as no rate is negative, got {low} to {high}")
    return reader.rectified(step, value, float(high))


def _batch_norm(_: "Reader", step: Step, value: Value) -> Value:
    found = step.options(NORM)
    if found["running_mean"] is None or found["training"]:
        raise step.refused("has no running statistics, so it answers to the whole batch; train with"
                           " track_running_stats=True")
    mean, var, bias = (step.numbers(found[name], name) for name in ("running_mean", "running_var", "bias"))
    if len(mean) != (math.prod(value.shape) if value.flat else value.shape[0]):
        raise step.refused(f"has {len(mean)} features, but what comes before it makes {value.shape}"
                           f"{', flat' if value.flat else ''}")
    scale = (1.0 if found["weight"] is None else step.numbers(found["weight"], "weight")) / np.sqrt(var + found["eps"])
    shape = value.shape if value.flat else (-1, 1, 1)
    return _finite(step, value, scale.reshape(shape), (bias - mean * scale).reshape(shape))


def _finite(step: Step, value: Value, scale: Any, shift: Any) -> Value:
    """A value times `scale` plus `shift`, numbers or arrays over its maps."""
    scale, shift = (step.numbers(given, "constant") for given in (scale, shift))
    if scale.ndim and (scale == scale[:, :1, :1]).all():
        scale = scale[:, :1, :1]
    return value.scaled(scale, shift)


def _times(_: "Reader", step: Step, value: Value) -> Value:
    return _finite(step, value, _constant(step, value), 0.0)


def _over(_: "Reader", step: Step, value: Value) -> Value:
    if step.args[:1] != (value,) or step.kwargs.get("rounding_mode"):
        raise step.refused("can only be converted with a constant behind the values, as in (x - mean) / std")
    with np.errstate(divide="ignore"):
        return _finite(step, value, 1.0 / _constant(step, value), 0.0)


def _minus_itself(_: "Reader", step: Step, value: Value) -> Value:
    return value.scaled(-1.0, 0.0)


def _plus(reader: "Reader", step: Step, value: Value) -> Value:
    return _total(step, 1.0)


def _minus(reader: "Reader", step: Step, value: Value) -> Value:
    return _total(step, -1.0)


def _total(step: Step, sign: float) -> Value:
    """The first operand plus `sign` times the second, each a Value or a constant."""
    first, second = _operands(step)
    sign = sign * step.kwargs.get("alpha", 1)
    if not isinstance(second, Value):
        return _finite(step, first, 1.0, sign * _constant(step, first))
    second = _finite(step, second, float(sign), 0.0)
    if not isinstance(first, Value):
        return _finite(step, second, 1.0, _constant(step, second))
    if first.shape != second.shape or first.flat != second.flat:
        raise step.refused(f"adds maps of {first.shape} and {second.shape}; must be of one shape")
    return added([first, second])


def _operands(step: Step) -> list[Any]:
    given = [*step.args, *(step.kwargs[name] for name in ("input", "other") if name in step.kwargs)]
    if len(given) != 2 or {*step.kwargs} - {"input", "other", "alpha", "out"} or step.kwargs.get("out") is not None:
        raise step.refused("must have two operands")
    return given


def _constant(step: Step, value: Value) -> Floats:
    """The operand that is no Value, over the maps of the one that is: float64 number or array (C, H, W)."""
    other, = (one for one in _operands(step) if not isinstance(one, Value))
    if not isinstance(other, (int, float, torch.Tensor)):
        raise step.refused("can only be converted with a constant, as in (x - mean) / std")
    found, seen = step.numbers(other, "constant"), (math.prod(value.shape),) if value.flat else value.shape
    try:
        return found if found.ndim == 0 else np.broadcast_to(found, (1, *seen)).reshape(value.shape)
    except ValueError:
        wanted = seen if value.flat else (value.shape[0], 1, 1)
        raise step.refused(f"its constant must be of shape {wanted}, got {found.shape}") from None


def _cat(_: "Reader", step: Step, value: Value) -> Value:
    found = step.options({"dim": 0})
    axis = step.kwargs.get("axis", found["dim"])
    if any(one.shape[1:] != value.shape[1:] or one.flat != value.flat for one in step.values):
        raise step.refused(f"joins maps of {' and '.join(str(one.shape) for one in step.values)}; must have as many"
                           " rows and columns")
    if axis not in (1, -1 if value.flat else -3) or len(step.values) < len(_listed(step)):
        raise step.refused("must join values of the network channel behind channel, dim=1")
    return joined(step.values)


def _listed(step: Step) -> Any:
    return step.args[0] if step.args else step.kwargs["tensors"]


def _pass(_: "Reader", step: Step, value: Value) -> Value:
    return value


def _flatten(_: "Reader", step: Step, value: Value) -> Value:
    found = step.options({"start_dim": 0, "end_dim": -1})
    last = 1 if value.flat else 3
    if found["start_dim"] not in (1, -last) or found["end_dim"] not in (-1, last):
        raise step.refused("must leave the images apart: start_dim=1, end_dim=-1")
    return replace(value, flat=True)


def _squeeze(_: "Reader", step: Step, value: Value) -> Value:
    axes = step.options({"dim": None})["dim"]
    axes = axes if isinstance(axes, (list, tuple)) else (axes,)
    if value.shape[1:] != (1, 1) or None in axes or any(axis % 4 < 2 for axis in axes):
        raise step.refused("must drop rows and columns of maps of one place; flatten(1) does")
    return replace(value, flat=True)


def _view(_: "Reader", step: Step, value: Value) -> Value:
    given = step.rest or (step.kwargs.get("shape") or step.kwargs.get("size"),)
    images, *sizes = given[0] if isinstance(given[0], (tuple, list)) else given
    if images in (-1, IMAGES) and -1 in sizes and images != -1:
        unknown = sizes.index(-1)
        sizes[unknown] = math.prod(value.shape) // max(math.prod(sizes[:unknown] + sizes[unknown + 1:]), 1)
    if images not in (-1, IMAGES) or tuple(sizes) not in ((math.prod(value.shape),), value.shape):
        raise step.refused(f"must keep maps of {value.shape} or make one axis of them")
    return replace(value, flat=len(sizes) == 1)


def _softmax(_: "Reader", step: Step, value: Value) -> Value:
    axis = step.options({"dim": None})["dim"]
    if axis not in (1, -3) and not (value.flat and axis in (-1, None)):
        raise step.refused("must compare the classes: dim=1")
    return replace(value, ended=True)


# Operations by the names of torch's layers, functions and methods; those in place end with _.
NAMES: dict[Action, str] = {
    windows.conv: "Conv2d conv2d", _linear: "Linear linear", _relu: "ReLU relu", _relu6: "ReLU6 relu6",
    _hardtanh: "Hardtanh hardtanh", _clamp: "clamp clip clamp_min", windows.avg_pool: "AvgPool2d avg_pool2d",
    windows.sum_pool: "LPPool2d lp_pool2d", windows.adaptive_pool: "AdaptiveAvgPool2d adaptive_avg_pool2d",
    windows.mean: "mean sum", windows.pad: "ZeroPad2d ConstantPad2d pad constant_pad_nd",
    _batch_norm: "BatchNorm2d BatchNorm1d batch_norm", _normalise: "Normalize", _times: "mul imul multiply",
    _over: "truediv itruediv div divide true_divide", _plus: "add iadd", _minus: "sub isub subtract",
    _minus_itself: "neg negative", _cat: "cat concat concatenate", _flatten: "Flatten flatten",
    _view: "view reshape", _squeeze: "squeeze", _softmax: "Softmax LogSoftmax softmax log_softmax",
    _pass: "Dropout Dropout1d Dropout2d AlphaDropout FeatureAlphaDropout dropout dropout1d dropout2d alpha_dropout"
           " feature_alpha_dropout feature_dropout Identity contiguous clone detach"}
READ = {name: action for action, names in NAMES.items() for name in names.split()}
ALIKE = {name for name, action in READ.items() if action in (_pass, _flatten, _view, _squeeze)} - {"clone"}
MANY = {name for name, action in READ.items() if action in (_plus, _minus, _cat)}
