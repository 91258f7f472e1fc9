"""Reads a traced network operation by operation, into layers with everything linear folded in."""

from collections.abc import Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from spikingconvnet.errors import SettingsError
from spikingconvnet.training.chain.gradients.building import Layer
from spikingconvnet.training.chain.gradients.exported import arguments
from spikingconvnet.training.chain.gradients.operations import (
    Step,
    check_trace,
    checked_shape,
    computed,
    is_in_place,
    size_of,
    trace,
)
from spikingconvnet.training.chain.gradients.reading import ALIKE, MANY, READ, normalised, why_not
from spikingconvnet.training.chain.gradients.values import Inexact, Maps, Part, Value


class Reader:
    """Reads a traced network operation by operation.

    Attributes
    ----------
    root : torch.nn.Module
    graph : torch.fx.Graph
    shape : (C, H, W)
        Of an image.
    layers : list of building.Layer
        Those read so far.
    begins_flat : bool
        Whether the network wants its input as one axis.
    """

    def __init__(self, network: nn.Module, input_shape: Sequence[int], mean: Any = None, std: Any = None) -> None:
        """Parameters and errors (SettingsError) as of :func:`traced.weights_of`."""
        self.shape, (self.root, self.graph) = checked_shape(input_shape), trace(network)
        self.layers: list[Layer] = []
        self.begins_flat, self._shared, self._values = False, dict[fx.Node, fx.Node](), dict[fx.Node, Any]()
        part = Part(0, self.shape, np.ones((self.shape[0], 1, 1)))
        shown = Maps(np.zeros(self.shape), (part,))
        self._input = shown if mean is None and std is None else normalised(shown, mean, std)
        for node in self.graph.nodes:
            self._values[node] = self._read(node)
        self._end(self._values[node])
        inputs = torch.rand(2, *self.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        check_trace(self.root, self.graph, inputs.flatten(1) if self.begins_flat else inputs)

    def _read(self, node: fx.Node) -> Any:
        """What a node makes: a Value, or a constant."""
        if node.op == "placeholder":
            return self._placeholder(node)
        if node.op == "get_attr":
            return attrgetter(node.target)(self.root)
        args, kwargs = (fx.node.map_arg(given, self._values.get) for given in (node.args, node.kwargs))
        if node.op == "output":
            return args[0]
        module = self.root.get_submodule(node.target) if node.op == "call_module" else None
        step = Step(node, module, *arguments(node.target, args, kwargs))
        if not step.values:
            return computed(self.root, node, args, kwargs)
        size = size_of(step)
        return self._value(step) if size is None else size

    def _placeholder(self, node: fx.Node) -> Value:
        if any(isinstance(value, Value) for value in self._values.values()):
            raise SettingsError(f"{node.name}: is a second input; can only be converted with one, the images")
        return replace(self._input, node=node)

    def _value(self, step: Step) -> Value:
        value, kind, node = step.values[0], step.kind, step.node
        if kind not in READ or (len(step.values) > 1 and kind not in MANY):
            raise step.refused(f"cannot be converted; {why_not(kind)}")
        if value.ended and kind not in ALIKE:
            raise step.refused("nothing can follow the Softmax")
        try:
            found = READ[kind](self, step, value)
        except Inexact as error:
            raise step.refused(error) from None
        found = found if found.ended else replace(found, node=node)
        self._share(step, found)
        return found

    def _share(self, step: Step, found: Value) -> None:
        """Keep in mind whose numbers an operation gives on, and what one in place makes of them."""
        node = step.node
        before = next(one for one in node.all_input_nodes if isinstance(self._values[one], Value))
        in_place = is_in_place(node, step.module)
        if in_place or step.kind in ALIKE:
            self._shared[node] = self._shared.get(before, before)
        if in_place:
            for other, value in self._values.items():
                if isinstance(value, Value) and self._shared.get(other, other) == self._shared[node]:
                    self._values[other] = replace(found, flat=value.flat)

    def rectified(self, step: Step, value: Value, ceiling: float = np.inf) -> Value:
        """Maps of a new layer that rectifies a value; the value itself if that changes nothing."""
        if isinstance(value, Maps) and value.is_rectified(ceiling, [0.0, *(layer.ceiling for layer in self.layers)]):
            return value
        self.layers.append(Layer(value.opened(), step.node, ceiling))
        return Maps(np.zeros(value.shape), (Part(len(self.layers), value.shape, np.ones((value.shape[0], 1, 1))),),
                    value.flat)

    def flat(self, step: Step, value: Value) -> Value:
        """A value that a Linear can see; one that is none is a SettingsError."""
        if value.flat or (self.begins_flat and value.shape == self.shape):
            return replace(value, flat=True)
        if not isinstance(value, Maps) or any(part.source for part in value.terms) or value.shape != self.shape:
            raise step.refused(f"needs a Flatten before it, as maps of {value.shape} are not one axis")
        self.begins_flat = True
        return replace(value, flat=True)

    def _end(self, value: Any) -> None:
        """Make the last layer of what the network returns."""
        if not isinstance(value, Value):
            raise SettingsError("output: the network must return what its last layer says, and nothing else")
        if self._ends_rectified(value):
            self.layers[-1] = replace(self.layers[-1], rectified=None)
        else:
            self.layers.append(Layer(replace(value.opened(), node=value.node)))
        if self.layers[-1].shape[1:] != (1, 1):
            raise SettingsError("output: must be what a Linear says, or a convolution that sees the whole map, with one"
                                f" unit a class; these are maps of {value.shape}")

    def _ends_rectified(self, value: Value) -> bool:
        """Whether a value is what the last layer says behind a ReLU, which changes no answer then."""
        return (isinstance(value, Maps) and len(self.layers) > 0 and self.layers[-1].ceiling == np.inf
                and [part.source for part in value.terms] == [len(self.layers)] and not value.constant.any()
                and value.terms[0].pool == (1, 1) and (value.terms[0].scale == 1).all())
