"""Operations of a network that torch.fx has traced, and the layers that are made of them."""

import copy
from dataclasses import dataclass

import numpy as np
from torch import fx, nn

from spikingconvnet.errors import SettingsError

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


class _Tracer(fx.Tracer):
    """Traces into everything but torch's own layers and torchvision's Normalize, which looks into its values."""

    def is_leaf_module(self, module, name):
        """As of any tracer."""
        return super().is_leaf_module(module, name) or name_in_torch(type(module)) == "Normalize"


def name_in_torch(kind):
    """Name of a class of torch or torchvision; of another one None."""
    return kind.__name__ if kind.__module__.split(".")[0] in ("torch", "torchvision") else None


def trace(network):
    """A copy of the network in double precision, as in evaluation, and its operations: Module, fx.Graph.

    What is no torch.nn.Module, or cannot be traced, is a SettingsError.
    """
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


def returning(root, nodes):
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


def is_size(node, sizes):
    """Whether a node computes with shapes, not with values."""
    asks = node.op == "call_method" and node.target in ("size", "dim")
    asks = asks or (node.op == "call_function" and node.target is getattr and node.args[1:] == ("shape",))
    return asks or (bool(node.all_input_nodes) and node.op != "output" and sizes.issuperset(node.all_input_nodes))


def checked_shape(shape):
    """An input shape (C, H, W); another one is a SettingsError."""
    shape, wanted = tuple(shape), "must be (channels, rows, columns)"
    if len(shape) != 3 or any(size < 1 for size in shape):
        like = {2: (1, *shape), 4: shape[1:], 1: (1, 1, *shape)}.get(len(shape), (1, 28, 28))
        raise SettingsError(f"input_shape: {wanted} of one image, as {like}, got {shape}")
    if shape[0] == shape[1] > 3 >= shape[2]:
        raise SettingsError(f"input_shape: {wanted}, as {(shape[2], *shape[:2])}, got {shape}, channels last")
    return shape


def rows_and_columns(value):
    """A size of torch's, a number or a tuple, as two numbers."""
    return (value, value) if isinstance(value, int) or value is None else tuple(value) * (3 - len(value))


def changes_nothing(scale, shift):
    """Whether a factor is 1 and a summand 0 everywhere."""
    return (scale == 1).all() and not shift.any()


def finite_numbers(step, name):
    """An attribute of a layer as a float64 array; numbers that are not finite are a SettingsError."""
    found = getattr(step.module, name).detach().numpy()
    if not np.isfinite(found).all():
        raise SettingsError(f"{step.name}: its {name} has values that are not finite")
    return found
