"""Networks that torch.export has made graphs of: as in evaluation, and for any number of images."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

from spikingconvnet.errors import SettingsError
from spikingconvnet.network.arrays import Shape

SIZES = "size", "shape"                     # arguments of view and reshape
TRAINS = "train", "training"                # of Dropout and BatchNorm


def plain(program: ExportedProgram) -> fx.GraphModule:
    """The graph of a program without its guards, as :func:`settled` makes it: torch.fx.GraphModule."""
    root = program.module()
    for node in list(root.graph.nodes):
        if node.op == "call_module" and node.target == "_guards_fn":
            root.graph.erase_node(node)
    root.graph.set_codegen(fx.graph.CodeGen())
    output = next(node for node in root.graph.nodes if node.op == "output")
    if isinstance(output.args[0], (tuple, list)) and len(output.args[0]) == 1:
        output.args = (output.args[0][0],)
    shown = next(node for node in root.graph.nodes if node.op == "placeholder")
    return settled(fx.GraphModule(root, root.graph), shown.meta["val"].shape)


def settled(network: fx.GraphModule, sizes: Iterable[Any]) -> fx.GraphModule:
    """The same as in evaluation, for any number of images; `sizes` are those of the input that it was exported with.

    An input that is no batch of images is a SettingsError.
    """
    images, *shape = sizes
    if len(shape) not in (1, 3):
        raise SettingsError(f"network: was exported for an input of {len(shape) + 1} axes; export it with images (n,"
                            " channels, rows, columns)")
    shown = next(node for node in network.graph.nodes if node.op == "placeholder")
    shown.meta["image"] = tuple(shape)
    with network.graph.inserting_after(shown):
        count = network.graph.call_function(torch.ops.aten.sym_size.int, (shown, 0))
    of_images = {shown}
    for node in network.graph.nodes:
        if not of_images.isdisjoint(node.all_input_nodes) and isinstance(node.target, torch._ops.OpOverload):
            of_images.add(node)
            _settle(node, images, count)
    network.recompile()
    return network


def _settle(node: fx.Node, images: Any, count: fx.Node) -> None:
    """Make an operation one of evaluation, and let it ask for the number of images that it was exported with."""
    args, kwargs = arguments(node.target, node.args, node.kwargs)
    found: dict[str, Any] = {name: False for name in TRAINS if kwargs.get(name) is True}
    for name in SIZES:
        if isinstance(images, int) and list(kwargs.get(name) or ())[:1] == [images]:
            found[name] = [count, *kwargs[name][1:]]
    if found:
        node.args, node.kwargs = args, {**kwargs, **found}


def arguments(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of a call, those behind the first one of an operation of ATen by their names."""
    if not isinstance(target, torch._ops.OpOverload):
        return args, kwargs
    names = [argument.name for argument in target._schema.arguments]
    return args[:1], {**dict(zip(names[1:], args[1:])), **kwargs}


def image_of(network: Any) -> Shape | None:
    """Shape (C, H, W) of the images that a graph was exported for; None if it does not say."""
    if not isinstance(network, fx.GraphModule):
        return None
    shape = next(node for node in network.graph.nodes if node.op == "placeholder").meta.get("image", ())
    return shape if len(shape) == 3 else None
