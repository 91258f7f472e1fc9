"""Trained networks of torch, in the forms in which people have them, as kernels and biases of a chain.

``torch.fx`` traces a network to its operations, which are read one after another: what is linear is folded into the
layer before it or the one after it, what changes no answer is left out, and everything else is refused by its name. As
nothing is padded, all of this is exact.
"""

import copy
import math
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
import torch
from torch import fx, nn

from spikingconvnet.arch import parse
from spikingconvnet.errors import SettingsError
from spikingconvnet.layers import Dense, SpikeCount
from spikingconvnet.training import parity as comparison

BATCH = 50              # images that go through a network at a time
KNOWN = ("Conv2d, Linear, ReLU, AvgPool2d, AdaptiveAvgPool2d, BatchNorm, Normalize, arithmetic with constants, Flatten,"
         " view, Dropout, Identity, and Softmax at the end")
INSTEAD = {"maxpool2d": "AvgPool2d and train again: the largest of some rates is no sum of spikes",
           "leakyrelu": "ReLU and train again: no rate is negative"}
UNTRACEABLE = (AttributeError, IndexError, KeyError, NameError, RuntimeError, TypeError, ValueError)
POOL = {"kernel_size": None, "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True,
        "divisor_override": None}


@dataclass(eq=False)
class Layer:
    """A layer of units, everything linear around it folded in.

    Attributes
    ----------
    kernel : float64 array (units, channels, rows, columns)
    bias : float64 array (units,)
    seen : (C, H, W)
        What it sees.
    name : str
        For error texts.
    response, rectified : torch.fx.Node
        Where the network computes what its units sum up, and where that is rectified (None: nowhere).
    """

    kernel: np.ndarray
    bias: np.ndarray
    seen: tuple
    name: str
    response: fx.Node
    rectified: fx.Node = None

    @property
    def dense(self):
        """Whether it sees the whole map at once."""
        return self.kernel.shape[1:] == self.seen


def weights_of(network, input_shape, mean=None, std=None):
    """Weights of a trained network, for ``convert.save``.

    Parameters
    ----------
    network : torch.nn.Module
        A Sequential, or a module whose ``forward`` torch.fx can trace; of any type of float, compiled or not. A chain
        of Conv2d (square, stride 1, not padded or dilated, in one group) and Linear, a ReLU behind each but the last;
        pools that average squares of the network's input or behind a ReLU, or a whole map. BatchNorm counts as it does
        in evaluation. Dropout, Softmax and a ReLU behind the last layer are left out.
    input_shape : (C, H, W)
        Of an image.
    mean, std : float or C floats, or None
        Of the ``Normalize(mean, std)`` behind which the network was trained, for images of 0 to 1; folded into the
        first layer.

    Returns
    -------
    kernels, biases : lists of float64 array
    arch : str
        For ``--arch``.

    Raises
    ------
    SettingsError
        The network has no counterpart; the text names the operation.
    """
    reader = Reader.of(network, input_shape, mean, std)
    return [layer.kernel for layer in reader.layers], [layer.bias for layer in reader.layers], "-".join(reader.words)


def answers_of(network, inputs):
    """What the units of a network's layers answer, behind the ReLU; those of the last layer are not rectified.

    Parameters
    ----------
    network : torch.nn.Module
        As for :func:`weights_of`.
    inputs : array or tensor (n, C, H, W)
        What it was trained on: normalised, if it was trained behind a Normalize.

    Returns
    -------
    list of float64 array (n, units, rows, columns)
    """
    inputs = torch.as_tensor(inputs).detach().cpu().double()
    reader = Reader.of(network, inputs.shape[1:])
    run = _returning(reader.root, [*(layer.rectified for layer in reader.layers[:-1]), reader.layers[-1].response])
    inputs = inputs.flatten(1) if reader.begins_flat else inputs
    with torch.no_grad():
        parts = [run(inputs[first:first + BATCH]) for first in range(0, len(inputs), BATCH)]
    found = (torch.cat(values).numpy() for values in zip(*parts))
    return [values.reshape(*values.shape[:2], *values.shape[2:] or (1, 1)) for values in found]


def parity(network, inputs, images, kernels, biases, arch):
    """A report on the units: the user's own module beside the weights that were made of it, layer by layer.

    Parameters
    ----------
    network : torch.nn.Module
    inputs : array or tensor (n, C, H, W)
        What the network was trained on, as the user's own transforms make it of the images.
    images : float array (n, C, H, W)
        The same images, 0 to 1, as the spiking network is shown them.
    kernels, biases, arch
        From :func:`weights_of`.

    Returns
    -------
    parity.Report

    Raises
    ------
    parity.ParityError
        A layer differs by more than the tolerance; the text says where, and why if that can be told.
    """
    model = parse(arch, np.shape(images)[1:], Dense.neuron, SpikeCount())
    return reference(network, inputs, images).judge(model, kernels, biases)


def reference(network, inputs, images):
    """What a network answers to some images, for ``convert.save``: parity.Reference. Parameters as :func:`parity`."""
    return comparison.Reference(np.asarray(images, np.float32), answers_of(network, inputs))


# ---------------------------------------------------------------- reading


class _Tracer(fx.Tracer):
    """Traces into everything but torch's own layers and torchvision's Normalize, which looks into its values."""

    def is_leaf_module(self, module, name):
        """As of any tracer."""
        return super().is_leaf_module(module, name) or _kind(type(module)) == "Normalize"


def _kind(kind):
    """Name of a class of torch or torchvision; of another one None."""
    return kind.__name__ if kind.__module__.split(".")[0] in ("torch", "torchvision") else None


def _traced(network):
    """A copy of the network in double precision, as in evaluation, and its operations: Module, fx.Graph."""
    network = getattr(network, "_orig_mod", network)        # of torch.compile
    if isinstance(network, dict):
        raise SettingsError("network: is a state_dict, which has the weights without the network; make the network,"
                            " then: network.load_state_dict(...)")
    if not isinstance(network, nn.Module):
        raise SettingsError(f"network: must be a torch.nn.Module that torch.fx can trace, got {type(network).__name__}")
    try:
        root = copy.deepcopy(network).cpu().double().eval()
        return root, _Tracer().trace(root)
    except UNTRACEABLE as error:
        raise SettingsError(f"network: torch.fx cannot trace the forward of {type(network).__name__}: {error}; write it"
                            " without branches and loops over values, or as a torch.nn.Sequential") from error


def _returning(root, nodes):
    """A module that returns the values of some nodes of a traced one."""
    graph, kept = nodes[0].graph, []
    for node in nodes:
        with graph.inserting_after(node):       # before an operation in place changes it
            kept.append(graph.call_method("clone", (node,)))
    next(node for node in graph.nodes if node.op == "output").args = (tuple(kept),)
    module = fx.GraphModule(root, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


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
        root, graph = _traced(network)
        reader = cls(root, _checked(input_shape))
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
            if _is_size(node, sizes):
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
        if not _plain(self.scale, self.shift):
            raise SettingsError(f"{self.layers[-1].name}: the ReLU behind it, at the end, is scaled; leave it out")

    # ------------------------------------------------------------ layers

    def _conv(self, step):
        layer = step.module
        if self.flat or layer.in_channels != self.shape[0]:
            raise SettingsError(f"{step.name}: sees maps of {layer.in_channels} channels, but what comes before it"
                                f" {'is flat' if self.flat else f'makes {self.shape} (channels, rows, columns)'}")
        whole = tuple(layer.kernel_size) == self.shape[1:]
        unpadded = layer.padding in ((0, 0), "valid") or layer.kernel_size == (1, 1) and layer.padding == "same"
        square = layer.kernel_size[0] == layer.kernel_size[1] and layer.stride == (1, 1)
        if not (unpadded and layer.groups == 1 and layer.dilation == (1, 1) and (square or whole)):
            raise SettingsError(f"{step.name}: must be square, with a stride of 1, not padded or dilated, in one"
                                " group")
        if min(np.subtract(self.shape[1:], layer.kernel_size)) < 0:
            raise SettingsError(f"{step.name}: its kernels are larger than the maps of {self.shape}")
        kernel = _numbers(step, "weight")
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
        self._add(step, _numbers(step, "weight").reshape(-1, *self.shape), str(layer.out_features))

    def _add(self, step, kernel, word):
        if self._open:
            raise SettingsError(f"{self._open.name}: needs a ReLU behind it")
        bias = _numbers(step, "bias") if step.module.bias is not None else np.zeros(len(kernel))
        bias = bias + (kernel * self.shift).sum(axis=(1, 2, 3))
        self.layers.append(Layer(kernel * self.scale, bias, self.shape, step.name, step.node))
        self.words.append(word)
        self.shape = (len(kernel), *(np.subtract(self.shape[1:], kernel.shape[2:]) + 1).tolist())
        self._fresh()

    def _relu(self, step):
        if self._open:
            self._open.rectified = step.node
        elif not _plain(self.scale, self.shift):
            raise SettingsError(f"{step.name}: rectifies what no layer makes; it must stand behind a Conv2d or Linear")

    # ------------------------------------------------------------ pools

    def _avg_pool(self, step):
        found = step.options(POOL)
        size, padding = _pair(found["kernel_size"]), _pair(found["padding"])
        stride = size if found["stride"] in (None, []) else _pair(found["stride"])
        rest = any(length % part for length, part in zip(self.shape[1:], size))
        if stride != size or padding != (0, 0) or found["ceil_mode"] and rest:
            raise SettingsError(f"{step.name}: must not be padded, have a stride of its size and, where the maps of"
                                f" {self.shape} are no multiple of it, no ceil_mode")
        self._pool(step, size)
        if found["divisor_override"] is not None:
            self._affine(step, math.prod(size) / found["divisor_override"], 0.0)

    def _adaptive_pool(self, step):
        wanted = _pair(step.options({"output_size": None})["output_size"])
        wanted = [length if size is None else size for size, length in zip(wanted, self.shape[1:])]
        if any(length % size for length, size in zip(self.shape[1:], wanted)):
            raise SettingsError(f"{step.name}: its windows overlap or differ, because {wanted[0]}x{wanted[1]} do not"
                                f" divide the maps of {self.shape}")
        self._pool(step, tuple(length // size for length, size in zip(self.shape[1:], wanted)))

    def _mean(self, step):
        found = step.options({"dim": None, "keepdim": False})
        if self.flat or found["dim"] is None or {axis % 4 for axis in _pair(found["dim"])} != {2, 3}:
            raise SettingsError(f"{step.name}: must be the mean of rows and columns")
        self._pool(step, self.shape[1:])
        self.flat = not found["keepdim"]

    def _pool(self, step, size):
        """Means of pools of `size`, or of what fits into the maps."""
        if self.flat or min(np.subtract(self.shape[1:], size)) < 0:
            raise SettingsError(f"{step.name}: does not fit what comes before it, {self.shape}"
                                f"{', flat' if self.flat else ''}")
        if size == (1, 1):
            return
        if self._open:
            return self._pool_responses(step, size)
        if size[0] != size[1]:
            raise SettingsError(f"{step.name}: must be square")
        if self.words[-1].endswith("s"):        # two pools in a row are one
            self.words.append(f"{int(self.words.pop()[:-1]) * size[0]}s")
        else:
            self.words.append(f"{size[0]}s")
        self.shape = (self.shape[0], self.shape[1] // size[0], self.shape[2] // size[1])

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

    # ------------------------------------------------------------ scales and offsets

    def normalise(self, name, mean, std):
        """Subtract `mean` and divide by `std`, numbers or one for each channel."""
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
        scale = (_numbers(step, "weight") if norm.affine else 1.0) / np.sqrt(_numbers(step, "running_var") + norm.eps)
        shift = (_numbers(step, "bias") if norm.affine else 0.0) - _numbers(step, "running_mean") * scale
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
        first, second, *more = (*step.node.args, *[None] * (2 - len(step.node.args)))
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

    # ------------------------------------------------------------ what computes nothing

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


@dataclass(frozen=True)
class Step:
    """An operation of a traced network.

    Attributes
    ----------
    node : torch.fx.Node
    module : torch.nn.Module or None
        Of a layer; None for functions and methods.
    name : str
        For error texts.
    """

    node: fx.Node
    module: nn.Module
    name: str

    @property
    def rest(self):
        """What stands behind the values in a call."""
        return self.node.args[1:]

    def options(self, defaults):
        """Settings by name: of a layer its attributes, of a call its arguments, in the order of `defaults`."""
        if self.module is not None:
            return {name: getattr(self.module, name) for name in defaults}
        return {**defaults, **dict(zip(defaults, self.rest)),
                **{name: value for name, value in self.node.kwargs.items() if name in defaults}}


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


def _is_size(node, sizes):
    """Whether a node computes with shapes, not with values."""
    asks = node.op == "call_method" and node.target in ("size", "dim")
    asks = asks or node.op == "call_function" and node.target is getattr and node.args[1:] == ("shape",)
    return asks or bool(node.all_input_nodes) and node.op != "output" and sizes.issuperset(node.all_input_nodes)


def _checked(shape):
    """An input shape (C, H, W); another one is a SettingsError."""
    shape, wanted = tuple(shape), "must be (channels, rows, columns)"
    if len(shape) != 3 or any(size < 1 for size in shape):
        like = {2: (1, *shape), 4: shape[1:], 1: (1, 1, *shape)}.get(len(shape), (1, 28, 28))
        raise SettingsError(f"input_shape: {wanted} of one image, as {like}, got {shape}")
    if shape[0] == shape[1] > 3 >= shape[2]:
        raise SettingsError(f"input_shape: {wanted}, as {(shape[2], *shape[:2])}, got {shape}, channels last")
    return shape


def _pair(value):
    return (value, value) if isinstance(value, int) or value is None else tuple(value) * (3 - len(value))


def _plain(scale, shift):
    return (scale == 1).all() and not shift.any()


def _numbers(step, name):
    """An attribute of a layer as a float64 array; numbers that are not finite are a SettingsError."""
    found = getattr(step.module, name).detach().numpy()
    if not np.isfinite(found).all():
        raise SettingsError(f"{step.name}: its {name} has values that are not finite")
    return found
