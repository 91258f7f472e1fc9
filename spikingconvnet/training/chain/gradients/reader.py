"""Reads a traced network operation by operation, into layers with everything linear folded in."""

import math
from operator import attrgetter

import numpy as np
import torch

from spikingconvnet.errors import SettingsError
from spikingconvnet.training.chain.gradients.operations import (
    POOL,
    Layer,
    Step,
    changes_nothing,
    checked_shape,
    finite_numbers,
    is_size,
    rows_and_columns,
    trace,
)

KNOWN = ("Conv2d, Linear, ReLU, AvgPool2d, AdaptiveAvgPool2d, BatchNorm, Normalize, arithmetic with constants, Flatten,"
         " view, Dropout, Identity, and Softmax at the end")
INSTEAD = {"maxpool2d": "AvgPool2d and train again: the largest of some rates is no sum of spikes",
           "leakyrelu": "ReLU and train again: no rate is negative"}


class Reader:
    """Reads a traced network operation by operation.

    Attributes
    ----------
    root : torch.nn.Module
    layers : list of Layer
        Those read so far.
    words : list of str
        The ``--arch`` so far.
    shape : (C, H, W)
        What has been read makes maps of this shape.
    flat : bool
        Whether the network holds them as one axis.
    begins_flat : bool
        Whether it wants its input so.
    scale, shift : float64 array (C, 1, 1) or (C, H, W)
        What happens to these maps before the next layer sees them.
    """

    @classmethod
    def of(cls, network, input_shape, mean=None, std=None):
        """That of a network, at its end. Parameters as :func:`weights_of`."""
        root, graph = trace(network)
        reader = cls(root, checked_shape(input_shape))
        reader.normalise("mean, std", 0.0 if mean is None else mean, 1.0 if std is None else std)
        reader.read(graph)
        return reader

    def __init__(self, root, shape):
        self.root, self.shape, self.layers, self.words = root, shape, [], ["x".join(map(str, shape))]
        self.flat = self.begins_flat = self.ended = False
        self._fresh()

    def _fresh(self):
        self.scale, self.shift = np.ones((self.shape[0], 1, 1)), np.zeros((self.shape[0], 1, 1))

    @property
    def _open(self):
        """The last layer, if nothing has rectified its responses yet; or None."""
        return self.layers[-1] if self.layers and self.layers[-1].rectified is None else None

    def read(self, graph):
        """Read all of it; what has no counterpart is a SettingsError."""
        value, sizes = None, set()
        for node in graph.nodes:
            inputs = node.all_input_nodes
            if node.op == "get_attr":
                continue
            if is_size(node, sizes):
                sizes.add(node)
                continue
            values = [one for one in inputs if one not in sizes and one.op != "get_attr"]
            if node.op == "placeholder" and value is None:
                value = node
                continue
            if values != [value]:
                raise SettingsError(f"{node.name}: sees {' and '.join(one.name for one in values) or 'nothing'};"
                                    " can only be converted if every layer is fed by the one before it alone")
            if node.op != "output":
                self._step(node)
                value = node
            elif node.args[0] is not value:
                raise SettingsError("output: the network must return what its last layer says, and nothing else")
        self._check_end()

    def _step(self, node):
        module = self.root.get_submodule(node.target) if node.op == "call_module" else None
        name = node.name if module is None else f"{node.target}: {module}"
        kind = getattr(node.target, "__name__", node.target) if module is None else type(module).__name__
        if kind.rstrip("_") not in READ:
            word = (node.name if module is None else kind).rstrip("_0123456789").replace("_", "").lower()
            advice = f"use {INSTEAD[word]}" if word in INSTEAD else f"known are {KNOWN}"
            raise SettingsError(f"{name}: cannot be converted; {advice}")
        action = READ[kind.rstrip("_")]
        if self.ended and action not in (Reader._flatten, Reader._view, Reader._squeeze, Reader._pass):
            raise SettingsError(f"{name}: nothing can follow the Softmax")
        action(self, Step(node, module, name))

    def _check_end(self):
        if not self.layers or not self.layers[-1].dense or self.shape[1:] != (1, 1):
            last = self.layers[-1].name if self.layers else "network"
            raise SettingsError(f"{last}: must be followed by a Linear, or a convolution that sees the whole map, with"
                                " one unit a class at the end")
        if not changes_nothing(self.scale, self.shift):
            raise SettingsError(f"{self.layers[-1].name}: the ReLU behind it, at the end, is scaled; leave it out")

    def _conv(self, step):
        layer = step.module
        if self.flat or layer.in_channels != self.shape[0]:
            raise SettingsError(f"{step.name}: sees maps of {layer.in_channels} channels, but what comes before it"
                                f" {'is flat' if self.flat else f'makes {self.shape} (channels, rows, columns)'}")
        whole = tuple(layer.kernel_size) == self.shape[1:]
        unpadded = layer.padding in ((0, 0), "valid") or (layer.kernel_size == (1, 1) and layer.padding == "same")
        square = layer.kernel_size[0] == layer.kernel_size[1] and layer.stride == (1, 1)
        if not (unpadded and layer.groups == 1 and layer.dilation == (1, 1) and (square or whole)):
            raise SettingsError(f"{step.name}: must be square, with a stride of 1, not padded or dilated, in one"
                                " group")
        if min(np.subtract(self.shape[1:], layer.kernel_size)) < 0:
            raise SettingsError(f"{step.name}: its kernels are larger than the maps of {self.shape}")
        kernel = finite_numbers(step, "weight")
        self._add(step, kernel, str(len(kernel)) if whole else f"{len(kernel)}c{layer.kernel_size[0]}")

    def _linear(self, step):
        layer, size = step.module, math.prod(self.shape)
        if layer.in_features != size:
            raise SettingsError(f"{step.name}: sees {layer.in_features} values, but what comes before it makes"
                                f" {size}, {self.shape} (channels, rows, columns)")
        if not self.flat and self.layers:
            raise SettingsError(f"{step.name}: needs a Flatten before it, as maps of {self.shape} are not one axis")
        self.begins_flat |= not self.flat
        self.flat = True
        self._add(step, finite_numbers(step, "weight").reshape(-1, *self.shape), str(layer.out_features))

    def _add(self, step, kernel, word):
        if self._open:
            raise SettingsError(f"{self._open.name}: needs a ReLU behind it")
        bias = finite_numbers(step, "bias") if step.module.bias is not None else np.zeros(len(kernel))
        bias = bias + (kernel * self.shift).sum(axis=(1, 2, 3))
        self.layers.append(Layer(kernel * self.scale, bias, self.shape, step.name, step.node))
        self.words.append(word)
        self.shape = (len(kernel), *(np.subtract(self.shape[1:], kernel.shape[2:]) + 1).tolist())
        self._fresh()

    def _relu(self, step):
        if self._open:
            self._open.rectified = step.node
        elif not changes_nothing(self.scale, self.shift):
            raise SettingsError(f"{step.name}: rectifies what no layer makes; it must stand behind a Conv2d or Linear")

    def _avg_pool(self, step):
        found = step.options(POOL)
        size, padding = rows_and_columns(found["kernel_size"]), rows_and_columns(found["padding"])
        stride = size if found["stride"] in (None, []) else rows_and_columns(found["stride"])
        rest = any(length % part for length, part in zip(self.shape[1:], size))
        if stride != size or padding != (0, 0) or (found["ceil_mode"] and rest):
            raise SettingsError(f"{step.name}: must not be padded, have a stride of its size and, where the maps of"
                                f" {self.shape} are no multiple of it, no ceil_mode")
        self._pool(step, size)
        if found["divisor_override"] is not None:
            self._affine(step, math.prod(size) / found["divisor_override"], 0.0)

    def _adaptive_pool(self, step):
        wanted = rows_and_columns(step.options({"output_size": None})["output_size"])
        wanted = [length if size is None else size for size, length in zip(wanted, self.shape[1:])]
        if any(length % size for length, size in zip(self.shape[1:], wanted)):
            raise SettingsError(f"{step.name}: its windows overlap or differ, because {wanted[0]}x{wanted[1]} do not"
                                f" divide the maps of {self.shape}")
        self._pool(step, tuple(length // size for length, size in zip(self.shape[1:], wanted)))

    def _mean(self, step):
        found = step.options({"dim": None, "keepdim": False})
        if self.flat or found["dim"] is None or {axis % 4 for axis in rows_and_columns(found["dim"])} != {2, 3}:
            raise SettingsError(f"{step.name}: must be the mean of rows and columns")
        self._pool(step, self.shape[1:])
        self.flat = not found["keepdim"]

    def _pool(self, step, size):
        """Means of pools of `size`, or of what fits into the maps."""
        if self.flat or min(np.subtract(self.shape[1:], size)) < 0:
            raise SettingsError(f"{step.name}: does not fit what comes before it, {self.shape}"
                                f"{', flat' if self.flat else ''}")
        if size == (1, 1):
            return None
        if self._open:
            return self._pool_responses(step, size)
        if size[0] != size[1]:
            raise SettingsError(f"{step.name}: must be square")
        if self.words[-1].endswith("s"):        # two pools in a row are one
            self.words.append(f"{int(self.words.pop()[:-1]) * size[0]}s")
        else:
            self.words.append(f"{size[0]}s")
        self.shape = (self.shape[0], self.shape[1] // size[0], self.shape[2] // size[1])
        return None

    def _pool_responses(self, step, size):
        """The mean over whole maps of responses is the response to a mean of windows: a layer that sees everything."""
        layer, (rows, columns) = self._open, self.shape[1:]
        if size != (rows, columns):
            raise SettingsError(f"{step.name}: must come behind a ReLU, unless it takes the mean of whole maps")
        kernel = np.zeros((len(layer.kernel), *layer.seen))
        for row in range(rows):
            for column in range(columns):
                kernel[:, :, row:row + layer.kernel.shape[2], column:column + layer.kernel.shape[3]] += layer.kernel
        layer.kernel, layer.response = kernel / (rows * columns), step.node
        self.words[-1], self.shape = str(len(kernel)), (len(kernel), 1, 1)

    def normalise(self, name, mean, std):
        """Subtract `mean` and divide by `std`, finite numbers or one for each channel, `std` above 0.

        Others are a SettingsError, and all of them behind a Flatten.
        """
        mean, std = (np.asarray(torch.as_tensor(part, dtype=torch.float64)).ravel() for part in (mean, std))
        right = all(len(part) in (1, self.shape[0]) and np.isfinite(part).all() for part in (mean, std))
        if not right or self.flat or std.min(initial=np.inf) <= 0:
            raise SettingsError(f"{name}: must be a number, or one for each of the {self.shape[0]} channels, and std"
                                f" above 0, got {mean.tolist()} and {std.tolist()}")
        self._affine(Step(None, None, name), 1.0 / std, -mean / std)

    def _normalise(self, step):
        self.normalise(step.name, step.module.mean, step.module.std)

    def _batch_norm(self, step):
        norm = step.module
        if norm.running_mean is None:
            raise SettingsError(f"{step.name}: has no running statistics, so it answers to the whole batch;"
                                " train with track_running_stats=True")
        if norm.num_features != (math.prod(self.shape) if self.flat else self.shape[0]):
            raise SettingsError(f"{step.name}: has {norm.num_features} features, but what comes before it makes"
                                f" {self.shape}{', flat' if self.flat else ''}")
        deviation = np.sqrt(finite_numbers(step, "running_var") + norm.eps)
        scale = (finite_numbers(step, "weight") if norm.affine else 1.0) / deviation
        shift = (finite_numbers(step, "bias") if norm.affine else 0.0) - finite_numbers(step, "running_mean") * scale
        self._affine(step, scale, shift)

    def _times(self, step):
        self._affine(step, self._constant(step), 0.0)

    def _over(self, step):
        self._affine(step, 1.0 / self._constant(step, commutes=False), 0.0)

    def _plus(self, step):
        self._affine(step, 1.0, self._constant(step))

    def _minus(self, step):
        self._affine(step, 1.0, -self._constant(step, commutes=False))

    def _constant(self, step, commutes=True):
        """The other operand: numbers, one for all or one for each channel (of what is flat, each value)."""
        first, second, *more = (*step.node.args, None, None)[:max(2, len(step.node.args))]
        if commutes and (isinstance(first, (int, float)) or getattr(first, "op", "") == "get_attr"):
            first, second = second, first
        is_attribute = getattr(second, "op", "") == "get_attr"
        value = attrgetter(second.target)(self.root) if is_attribute else second
        value = value.detach().cpu().double().numpy() if isinstance(value, torch.Tensor) else value
        if not isinstance(value, (int, float, np.ndarray)) or more or step.node.kwargs:
            raise SettingsError(f"{step.name}: can only be converted with a constant behind the values, as in"
                                " (x - mean) / std")
        wanted = (math.prod(self.shape),) if self.flat else (self.shape[0], 1, 1)
        if np.size(value) > 1 and np.shape(value) not in (wanted, (1, *wanted)):
            raise SettingsError(f"{step.name}: its constant must be of shape {wanted}, got {np.shape(value)}")
        return np.asarray(value, np.float64).ravel()

    def _affine(self, step, scale, shift):
        """Multiply by `scale` and add `shift`, both numbers or flat arrays."""
        size = max(np.size(scale), np.size(shift))
        shape = self.shape if size not in (1, self.shape[0]) else (self.shape[0], 1, 1)
        scale, shift = (np.broadcast_to(np.reshape(part, shape if np.size(part) > 1 else (1, 1, 1)), shape)
                        for part in (scale, shift))
        if not self._open:
            self.scale, self.shift = self.scale * scale, self.shift * scale + shift
            return
        if shape[1:] != (1, 1):
            raise SettingsError(f"{step.name}: has a value for each place of a map; must stand before the Flatten")
        self._open.kernel = self._open.kernel * scale[..., None]
        self._open.bias, self._open.response = self._open.bias * scale.ravel() + shift.ravel(), step.node

    def _pass(self, step):
        pass

    def _flatten(self, step):
        found = step.options({"start_dim": 0 if step.module is None else 1, "end_dim": -1})
        if found["start_dim"] != 1 or found["end_dim"] not in (-1, 3):
            raise SettingsError(f"{step.name}: must leave the images apart: start_dim=1, end_dim=-1")
        self.flat = True

    def _squeeze(self, step):
        if self.shape[1:] != (1, 1) or not step.rest or 0 in step.rest:
            raise SettingsError(f"{step.name}: must drop rows and columns of maps of one place; flatten(1) does")
        self.flat = True

    def _view(self, step):
        sizes = step.rest[0] if len(step.rest) == 1 and isinstance(step.rest[0], (tuple, list)) else step.rest
        images, *sizes = sizes
        if len(sizes) == 1 and sizes[0] in (-1, math.prod(self.shape)) and (sizes[0] != -1 or images != -1):
            self.flat = True
        elif tuple(sizes) == self.shape and (not self.flat or not self.layers):
            self.flat = False
        else:
            raise SettingsError(f"{step.name}: must keep maps of {self.shape} or make one axis of them")

    def _softmax(self, step):
        axis = step.options({"dim": None})["dim"]
        if axis != 1 and not (self.flat and axis in (-1, None)):
            raise SettingsError(f"{step.name}: must compare the classes: dim=1")
        self.ended = True


# Operations by the names of torch's layers, functions and methods; those in place end with _.
READ = {"Conv2d": Reader._conv, "Linear": Reader._linear,
        **dict.fromkeys(("ReLU", "relu"), Reader._relu),
        **dict.fromkeys(("AvgPool2d", "avg_pool2d"), Reader._avg_pool),
        **dict.fromkeys(("AdaptiveAvgPool2d", "adaptive_avg_pool2d"), Reader._adaptive_pool), "mean": Reader._mean,
        **dict.fromkeys(("BatchNorm2d", "BatchNorm1d"), Reader._batch_norm), "Normalize": Reader._normalise,
        **dict.fromkeys(("mul", "imul", "multiply"), Reader._times), **dict.fromkeys(("add", "iadd"), Reader._plus),
        **dict.fromkeys(("truediv", "itruediv", "div", "divide"), Reader._over),
        **dict.fromkeys(("sub", "isub", "subtract"), Reader._minus),
        **dict.fromkeys(("Flatten", "flatten"), Reader._flatten), **dict.fromkeys(("view", "reshape"), Reader._view),
        "squeeze": Reader._squeeze,
        **dict.fromkeys(("Softmax", "LogSoftmax", "softmax", "log_softmax"), Reader._softmax),
        **dict.fromkeys(("Dropout", "Dropout1d", "Dropout2d", "AlphaDropout", "FeatureAlphaDropout", "dropout",
                         "dropout2d", "Identity", "contiguous", "clone", "detach"), Reader._pass)}
