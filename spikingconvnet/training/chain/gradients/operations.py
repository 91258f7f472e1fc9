"""Operations of a network that torch.fx has traced, one by one."""

import copy
import inspect
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.export import ExportedProgram

from spikingconvnet.errors import SettingsError
from spikingconvnet.network.arrays import Floats, Shape
from spikingconvnet.training.chain.gradients.exported import plain
from spikingconvnet.training.chain.gradients.values import Value

TORCH = (AssertionError, AttributeError, IndexError, KeyError, NameError, NotImplementedError, RuntimeError, TypeError,
         ValueError)            # what comes out of a forward
IMAGES = 7919       # stands for the number of images, where a network asks for it
IN_PLACE = (operator.iadd, operator.imul, operator.isub, operator.itruediv)


class _Tracer(fx.Tracer):
    """Traces into everything but torch's own layers and torchvision's Normalize, which looks into its values."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        """As of any tracer."""
        return super().is_leaf_module(module, name) or name_in_torch(type(module)) == "Normalize"


def name_in_torch(kind: type) -> str | None:
    """Name of a class of torch or torchvision; of another one None."""
    return kind.__name__ if kind.__module__.split(".")[0] in ("torch", "torchvision") else None


def trace(network: Any) -> tuple[nn.Module, fx.Graph]:
    """A copy of the network in double precision, as in evaluation, and what its answer takes: Module, fx.Graph.

    What is no torch.nn.Module or ExportedProgram, or cannot be traced, is a SettingsError.
    """
    network = plain(network) if isinstance(network, ExportedProgram) else network
    network = getattr(network, "_orig_mod", network)        # of torch.compile
    network = network.module if isinstance(network, nn.DataParallel) else network
    if isinstance(network, dict):
        raise SettingsError("network: is a state_dict, which has the weights without the network; make the network,"
                            " then: network.load_state_dict(...)")
    if isinstance(network, torch.jit.ScriptModule):
        raise SettingsError("network: is TorchScript, which torch.fx cannot trace; give the module that it was made of")
    if not isinstance(network, nn.Module):
        raise SettingsError(f"network: must be a torch.nn.Module that torch.fx can trace, got {type(network).__name__}")
    try:
        root = copy.deepcopy(network).cpu().double().eval()
        graph = root.graph if _is_graph(root) else _Tracer().trace(root, _defaults(root))
    except TORCH as error:
        raise SettingsError(f"network: torch.fx cannot trace the forward of {type(network).__name__}: {error}; write it"
                            " without branches and loops over values, or as a torch.nn.Sequential") from error
    _prune(graph)
    return root, graph


def _is_graph(root: nn.Module) -> bool:
    """Whether a module is a graph of functions already."""
    return isinstance(root, fx.GraphModule) and not any(node.op == "call_module" for node in root.graph.nodes)


def _defaults(root: nn.Module) -> dict[str, Any]:
    """Arguments of the forward that nobody gives, with their defaults."""
    named = list(inspect.signature(root.forward).parameters.values())[1:]
    return {one.name: one.default for one in named if one.default is not inspect.Parameter.empty}


def _prune(graph: fx.Graph) -> None:
    """Take out what the answer does not take."""
    nodes = list(graph.nodes)
    live, inputs = {nodes[-1]}, [node for node in nodes if node.op == "placeholder"][:1]
    for node in reversed(nodes):
        if node in live or (node.all_input_nodes and is_in_place(node) and node.all_input_nodes[0] in live):
            live.update([node, *node.all_input_nodes])
    for node in reversed(nodes):
        if node not in live and node not in inputs:
            graph.erase_node(node)


def named(target: Any) -> str:
    """Name of a function or method; of an operation of ATen without that of its overload."""
    return str(getattr(target, "__name__", target)).split(".")[0]


def is_in_place(node: fx.Node, module: nn.Module | None = None) -> bool:
    """Whether an operation changes the value that it sees."""
    name, kwargs = named(node.target), node.kwargs
    by_name = name.endswith("_") and not name.startswith("_") and node.op in ("call_method", "call_function")
    return by_name or node.target in IN_PLACE or kwargs.get("inplace") is True or getattr(module, "inplace", False)


def returning(root: nn.Module, nodes: Sequence[fx.Node]) -> nn.Module:
    """A module that returns the values of some nodes of a traced one."""
    graph, kept = nodes[0].graph, []
    for node in nodes:
        with graph.inserting_after(node):       # before an operation in place changes it
            kept.append(graph.call_method("clone", (node,)))
    next(node for node in graph.nodes if node.op == "output").args = (tuple(kept),)
    return fx.GraphModule(root, graph)


def check_trace(root: nn.Module, graph: fx.Graph, inputs: torch.Tensor) -> None:
    """Raise a SettingsError unless a network answers what the operations that were read of it do.

    Python that torch.fx does not see can lie between, as ``x += y`` on a value that is used again, or a dice.
    """
    try:
        with torch.no_grad():
            theirs, ours = root(inputs.clone()), fx.GraphModule(root, graph)(inputs.clone())
    except TORCH as error:
        raise SettingsError(f"network: its own forward fails on images of {tuple(inputs.shape)}: {error}") from error
    if not torch.allclose(theirs, ours, rtol=1e-6, atol=1e-6 * float(theirs.abs().max()), equal_nan=True):
        raise SettingsError("network: answers otherwise than the operations that torch.fx sees in its forward; write"
                            " x = x + y for x += y, and leave out what is drawn at random")


@dataclass(frozen=True)
class Step:
    """An operation of a traced network.

    Attributes
    ----------
    node : torch.fx.Node
    module : torch.nn.Module or None
        Of a layer; None for functions and methods.
    args, kwargs
        Of the call, with Values in the place of nodes.
    """

    node: fx.Node
    module: nn.Module | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    @property
    def name(self) -> str:
        """For error texts."""
        if self.module is not None:
            return f"{self.node.target}: {self.module}"
        weights = [str(node.target) for node in self.node.all_input_nodes if node.op == "get_attr"]
        return f"{weights[0].rpartition('.')[0]}: {self.kind}" if weights else self.node.name

    @property
    def kind(self) -> str:
        """Name of the layer, function or method, without the _ of those in place."""
        if self.module is None:
            return named(self.node.target).rstrip("_")
        return type(self.module).__name__.removeprefix("Parametrized")

    @property
    def values(self) -> list[Value]:
        """Values that it sees, in lists too."""
        given = (*self.args, *self.kwargs.values())
        return [one for some in given for one in (some if isinstance(some, (list, tuple)) else [some])
                if isinstance(one, Value)]

    @property
    def rest(self) -> tuple[Any, ...]:
        """What stands behind the values in a call."""
        return self.args[1:]

    def options(self, defaults: Mapping[str, Any]) -> dict[str, Any]:
        """Settings by name: of a layer its attributes, of a call its arguments, in the order of `defaults`."""
        if self.module is not None:
            return {name: getattr(self.module, name) for name in defaults}
        return {**defaults, **dict(zip(defaults, self.rest)),
                **{name: value for name, value in self.kwargs.items() if name in defaults}}

    def refused(self, why: object) -> SettingsError:
        """A SettingsError that says where, and why."""
        return SettingsError(f"{self.name}: {why}")

    def numbers(self, found: Any, name: str) -> Floats:
        """A tensor or number as a float64 array, None as 0; none, or some not finite, are a SettingsError."""
        found = torch.as_tensor(0.0 if found is None else found).detach().cpu().double()
        if not found.numel() or not torch.isfinite(found).all():
            raise self.refused(f"its {name} has {'values that are not finite' if found.numel() else 'no values'}")
        return found.numpy()


def computed(root: nn.Module, node: fx.Node, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an operation on constants makes; one that fails is a SettingsError."""
    try:
        with torch.no_grad():
            if node.op == "call_module":
                return root.get_submodule(node.target)(*args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], node.target)(*args[1:], **kwargs)
            return node.target(*args, **kwargs)
    except TORCH as error:
        raise SettingsError(f"{node.name}: cannot be computed beforehand: {error}") from error


def size_of(step: Step) -> Any:
    """What a network is told that asks for the shape of a Value, or for a part of it; None if it does not ask."""
    value, node, rest = step.values[0], step.node, step.rest
    sizes = (IMAGES, math.prod(value.shape)) if value.flat else (IMAGES, *value.shape)
    if step.kind == "sym_size":
        return sizes[step.kwargs["dim"]]
    if node.op == "call_method" and node.target == "size":
        return sizes[rest[0]] if rest else sizes
    if node.op == "call_method" and node.target == "dim":
        return len(sizes)
    return sizes if node.target is getattr and rest == ("shape",) else None


def checked_shape(shape: Sequence[int]) -> Shape:
    """An input shape (C, H, W); another one is a SettingsError."""
    shape, wanted = tuple(shape), "must be (channels, rows, columns)"
    if len(shape) != 3 or any(size < 1 for size in shape):
        like = {2: (1, *shape), 4: shape[1:], 1: (1, 1, *shape)}.get(len(shape), (1, 28, 28))
        raise SettingsError(f"input_shape: {wanted} of one image, as {like}, got {shape}")
    if shape[0] == shape[1] > 3 >= shape[2]:
        raise SettingsError(f"input_shape: {wanted}, as {(shape[2], *shape[:2])}, got {shape}, channels last")
    return shape


def rows_and_columns(value: Any) -> Any:
    """A size of torch's, a number or a tuple, as two numbers."""
    return (value, value) if isinstance(value, int) or value is None else tuple(value) * (3 - len(value))
