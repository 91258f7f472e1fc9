"""A sequential model: a checked chain of layers with shapes. No weights and no files.

Layers that learn are numbered from 1 as in ``--layer n``: pooling has no number of its own, it belongs to the layer
that follows. A layer may see another one than that before it (``after``), and others beside it (``shortcuts``): what is
written as a chain is a graph then, in the order in which its layers can be computed.
"""

from dataclasses import dataclass, field, replace
from typing import TypeAlias

from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.fields import SHAPE
from spikingconvnet.model.branches import Branch
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense, for_stdp_alone
from spikingconvnet.model.readouts import Classifier, Membrane, SpikeCount
from spikingconvnet.network.arrays import Shape
from spikingconvnet.network.geometry import pair
from spikingconvnet.network.neurons import keeps_state

Layer: TypeAlias = Conv2D | AvgPool2D | Dense
Readout: TypeAlias = Classifier | SpikeCount | Membrane
READOUTS = Classifier, SpikeCount, Membrane
LAYERS = Conv2D, AvgPool2D, Dense, *READOUTS


@dataclass(frozen=True)
class Stage:
    """A layer that learns, at its place in the chain.

    Attributes
    ----------
    number : int
        From 1.
    layer : Conv2D
        A Dense layer stands here as the convolution that it is.
    source_shape : (C, H, W)
        Population that feeds it, before pooling.
    pool : AvgPool2D or None
        Pooling between the two.
    in_shape, out_shape : (C, H, W)
        What the layer sees (after pooling) and makes.
    dense : bool
        Whether it is a Dense layer: one population, not one a map.
    source : int
        Number of the layer that feeds it, 0 for the input.
    shortcuts : tuple of Branch
        From other layers.
    delays : tuple of int
        Steps of each of its `branches`, so that what an image makes arrives together, however many layers it passes.
    """

    number: int
    layer: Conv2D
    source_shape: Shape
    pool: AvgPool2D | None
    in_shape: Shape
    out_shape: Shape
    dense: bool = field(default=False, repr=False)       # digests were made without it and what follows
    source: int = field(default=0, repr=False)
    shortcuts: tuple[Branch, ...] = field(default=(), repr=False)
    delays: tuple[int, ...] = field(default=(1,), repr=False)

    @property
    def main(self) -> Branch:
        """The way into it from the layer before it, or from the one that it says instead."""
        return self.layer.branch(self.in_shape, self.source, self.source_shape,
                                 pair(self.pool.pool_size) if self.pool else (1, 1))

    @property
    def branches(self) -> tuple[Branch, ...]:
        """All ways into it; the first one is :attr:`main`."""
        return (self.main, *self.shortcuts)

    @property
    def label(self) -> str:
        """Name of the layer's population in every network: ``layer1`` and so on."""
        return f"layer{self.number}"

    @property
    def kind(self) -> str:
        """As a parameters file writes the layer: ``Conv2D`` or ``Dense``."""
        return "Dense" if self.dense else "Conv2D"

    @property
    def unit(self) -> str:
        """The same for what it has many of: ``filters`` or ``units``."""
        return "units" if self.dense else "filters"


class Sequential:
    """A chain of layers, checked where it is written.

    Parameters
    ----------
    input_shape : (C, H, W), or left out
        Shape of the encoded input; on/off-centre filters make two channels. Left out it is that of the data set: until
        :meth:`taking` gives it one, there are layers and no shapes.
    layers : Conv2D, AvgPool2D, Dense, and Classifier, SpikeCount or Membrane
        One of the last three comes last; more can be appended with :meth:`add`.

    >>> model = Sequential((2, 28, 28), Conv2D(32, 7), Classifier(grid=4))
    >>> model.shapes
    [(2, 28, 28), (32, 22, 22), (512, 1, 1)]
    >>> Sequential(Conv2D(32, 7), Classifier(grid=4)).taking((2, 28, 28)).shapes
    [(2, 28, 28), (32, 22, 22), (512, 1, 1)]
    """

    def __init__(self, input_shape: "Shape | Layer | Readout | None" = None, *layers: Layer | Readout) -> None:
        first = (input_shape,) if isinstance(input_shape, LAYERS) else ()
        self.layers: list[Layer | Readout] = []
        self._shapes: list[Shape] = []
        if not first and input_shape is not None:
            self._shapes.append(tuple(SHAPE(input_shape, "Sequential", "input_shape")))
        for layer in (*first, *layers):
            self.add(layer)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(map(repr, (*self._shapes[:1], *self.layers)))})"

    @property
    def given_shape(self) -> Shape | None:
        """Shape of the encoded input, (C, H, W); None if it is left to the data set."""
        return self._shapes[0] if self._shapes else None

    @property
    def shapes(self) -> list[Shape]:
        """Shapes of the input and of what each layer makes; a SettingsError while they are left to the data set."""
        if not self._shapes:
            raise SettingsError("MODEL: has no input shape before the data set is loaded; load that first (load_data(),"
                                " or --mode loaddata), or give MODEL a shape, as Sequential((2, 28, 28), ...)")
        return self._shapes

    @property
    def input_shape(self) -> Shape:
        """Shape of the encoded input, (C, H, W); a SettingsError while it is left to the data set."""
        return self.shapes[0]

    def taking(self, input_shape: Shape) -> "Sequential":
        """The same layers for another input; where they do not fit, a SettingsError."""
        return Sequential(input_shape, *self.layers)

    def add(self, layer: Layer | Readout) -> "Sequential":
        """Append a layer; one that does not fit is a SettingsError."""
        self._check_place(layer)
        if self._shapes:
            try:
                self._shapes.append(self._checked_shape(layer))
            except SettingsError as error:
                raise SettingsError(f"layer {len(self.layers) + 1} of the model: {error}") from None
        self.layers.append(layer)
        return self

    def _check_place(self, layer: Layer | Readout) -> None:
        """Raise a SettingsError if a layer cannot come next, whatever the shapes."""
        require(isinstance(layer, LAYERS), "Sequential", "layers", layer,
                "Conv2D, AvgPool2D, Dense or Classifier, SpikeCount, Membrane")
        if self.layers and isinstance(self.layers[-1], READOUTS):
            raise SettingsError(f"Sequential.layers: nothing may follow the {type(self.layers[-1]).__name__},"
                                f" got {layer}")
        if self.layers and isinstance(self.layers[-1], AvgPool2D) and isinstance(layer, AvgPool2D):
            raise SettingsError("Sequential.layers: two AvgPool2D in a row; write one with the product of their sizes")
        if isinstance(layer, Classifier) and (not self.layers or isinstance(self.layers[-1], AvgPool2D)):
            raise SettingsError("Sequential.layers: a Classifier needs a Conv2D or Dense before it;"
                                " to pool for the readout use Classifier(grid=...)")
        if isinstance(layer, (SpikeCount, Membrane)):
            self._check_units(layer)

    def _check_units(self, layer: SpikeCount | Membrane) -> None:
        """Raise a SettingsError if the layers cannot end with units that are read out."""
        if not (self.layers and isinstance(self.layers[-1], Dense)):
            raise SettingsError(f"Sequential.layers: a {type(layer).__name__} needs a Dense with one unit a class"
                                " before it")
        competing = [one for one in self.layers if getattr(one, "lateral", 0)]
        if competing:
            raise SettingsError(f"Sequential.layers: {competing[0]} competes (lateral), which the rules that train all"
                                f" layers at once do not know; a {type(layer).__name__} needs layers with lateral=0")
        self._refuse_unread(layer)
        self._refuse_adapting(layer)

    def _checked_shape(self, layer: Layer | Readout) -> Shape:
        """Shape of what a layer that comes next makes; a SettingsError if it does not fit."""
        shape = layer.output_shape(self._seen_by(layer))
        if isinstance(layer, (Conv2D, Dense)):
            self._check_shortcuts(layer, shape)
        if isinstance(layer, READOUTS):
            self._check_graph(layer)
        return shape

    @property
    def _outputs(self) -> list[Shape]:
        """Shapes of the input and of the layers that learn, by their numbers."""
        return [self.input_shape, *(shape for layer, shape in zip(self.layers, self.shapes[1:])
                                    if isinstance(layer, (Conv2D, Dense)))]

    def _seen_by(self, layer: Layer | Readout) -> Shape:
        """Shape of what a layer that comes next sees."""
        after: int | None = getattr(layer, "after", None)
        outputs = self._outputs
        if after is None:
            return self.shapes[-1]
        name = type(layer).__name__
        require(after < len(outputs), name, "after", after, f"the number of an earlier layer, at most"
                f" {len(outputs) - 1}")
        if self.layers and isinstance(self.layers[-1], AvgPool2D):
            raise SettingsError(f"{name}.after: stands behind an AvgPool2D, whose `after` says what both see")
        return outputs[after]

    def _check_shortcuts(self, layer: Conv2D | Dense, shape: Shape) -> None:
        """Raise a SettingsError unless all shortcuts make maps of `shape`."""
        outputs = self._outputs
        for one in layer.shortcuts:
            require(one.layer < len(outputs), "Shortcut", "layer", one.layer,
                    f"the number of an earlier layer, at most {len(outputs) - 1}")
            branch = one.branch(outputs[one.layer], shape[0])
            require(min(branch.in_shape) >= 1, "Shortcut", "pool", pair(one.pool), f"within {outputs[one.layer]}")
            branch.check("Shortcut")
            require(branch.out_shape == shape, "Shortcut", "kernel_size, strides, padding",
                    (pair(one.kernel_size), pair(one.strides), pair(one.padding)),
                    f"so that it makes maps of {shape}, not {branch.out_shape}")

    def _check_graph(self, readout: Readout) -> None:
        """Raise a SettingsError if nobody sees what a layer makes, or a layer that learns by itself is no chain's."""
        stages = self.stages
        seen = {branch.source for stage in stages for branch in stage.branches} | {stages[-1].number}
        for stage in stages:
            if stage.number not in seen:
                raise SettingsError(f"layer {stage.number}: no layer sees its spikes; nothing comes after it, and no"
                                    " shortcut")
            graph = {"after": stage.source != stage.number - 1, "shortcuts": bool(stage.shortcuts),
                     "groups": stage.layer.groups > 1}
            for name in (name for name, there in graph.items() if there and isinstance(readout, Classifier)):
                raise SettingsError(f"layer {stage.number}: {stage.kind}.{name}: is for models that end with"
                                    " SpikeCount or Membrane; layers that learn one after another are a plain chain")

    def _refuse_adapting(self, readout: Readout) -> None:
        """Raise a SettingsError if the neurons of a layer adapt, which no rule for all layers knows of."""
        for layer in self.layers:
            if isinstance(layer, (Conv2D, Dense)) and keeps_state(layer.neuron):
                raise SettingsError(f"{type(layer).__name__}.neuron: {type(layer.neuron).__name__} adapts, which the"
                                    " rules that train all layers at once do not know; a"
                                    f" {type(readout).__name__} needs IFCurrExp or IFCurrDelta")

    def _refuse_unread(self, readout: Readout) -> None:
        """Raise a SettingsError if a layer has settings that no rule for all layers at once reads."""
        for layer in self.layers:
            unread = for_stdp_alone(layer) if isinstance(layer, (Conv2D, Dense)) else []
            if unread:
                raise SettingsError(f"{type(layer).__name__}.{', '.join(unread)}: has no effect in a model that ends"
                                    f" with {type(readout).__name__}, whose layers are trained all at once by RULE of"
                                    " the parameters; leave it out, or end the model with Classifier()")

    @property
    def stages(self) -> list[Stage]:
        """The layers that learn, as a list of :class:`Stage`."""
        stages: list[Stage] = []
        depths = [0]            # layers that an image passes, by number
        for i, layer in enumerate(self.layers):
            if isinstance(layer, (Conv2D, Dense)):
                before = self.layers[i - 1] if i else None
                pool = before if isinstance(before, AvgPool2D) else None
                after = layer.after if pool is None else pool.after
                source, outputs = len(stages) if after is None else after, self._outputs
                seen = self.shapes[i] if layer.after is None else outputs[source]
                conv = layer.as_convolution(seen) if isinstance(layer, Dense) else layer
                stage = Stage(len(stages) + 1, conv, outputs[source], pool, seen, self.shapes[i + 1],
                              isinstance(layer, Dense), source,
                              tuple(one.branch(outputs[one.layer], self.shapes[i + 1][0]) for one in layer.shortcuts))
                steps = [depths[branch.source] for branch in stage.branches]
                depths.append(max(steps) + 1)
                stages.append(replace(stage, delays=tuple(depths[-1] - one for one in steps)))
        return stages

    @property
    def classifier(self) -> Classifier:
        """The Classifier; a model without one is a SettingsError."""
        if not self.layers or not isinstance(self.layers[-1], Classifier):
            raise SettingsError("MODEL: has no Classifier; end it with Classifier(grid=4)")
        return self.layers[-1]

    @property
    def readout(self) -> Readout:
        """The Classifier, SpikeCount or Membrane at the end; a model without one is a SettingsError."""
        if not self.layers or not isinstance(self.layers[-1], READOUTS):
            raise SettingsError("MODEL: has no Classifier; end it with Classifier(grid=4), or with SpikeCount() or"
                                " Membrane() behind a Dense")
        return self.layers[-1]

    @property
    def unit_readout(self) -> SpikeCount | Membrane:
        """The SpikeCount or Membrane at the end; a model without one is a SettingsError."""
        if not isinstance(self.readout, (SpikeCount, Membrane)):
            raise SettingsError(f"MODEL: must end with SpikeCount() or Membrane(), got {self.readout}")
        return self.readout

    @property
    def runs_as_one(self) -> bool:
        """Whether all layers run together as one network, whose last one is read out; otherwise one after another."""
        return isinstance(self.readout, (SpikeCount, Membrane))

    def summary(self) -> str:
        """The chain as text: one line a layer with shape, neurons, learned weights and synapses."""
        rows = [("layer", "", "output shape", "neurons", "weights", "synapses"),
                ("input", "", *self._input_cells(), "", "")]
        number = 0
        shapes: list[tuple[int, ...]] = list(self._shapes[1:]) or [()] * len(self.layers)
        for layer, shape in zip(self.layers, shapes):
            counts, name = ("", "", ""), ""
            if isinstance(layer, (Conv2D, Dense)):
                number += 1
                counts, name = self._counts(number, shape), str(number)
            elif isinstance(layer, READOUTS):
                name = "svm" if isinstance(layer, Classifier) else "readout"
            rows.append((name, str(layer), "x".join(map(str, shape)), *counts))
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        return "\n".join("  ".join(cell.ljust(w) if i < 2 else cell.rjust(w)
                                   for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in rows)

    def _input_cells(self) -> tuple[str, str]:
        """Shape and neurons of the input, for :meth:`summary`."""
        shape = self.given_shape
        return ("the data set's", "") if shape is None else ("x".join(map(str, shape)), f"{_size(shape):,}")

    def _counts(self, number: int, shape: tuple[int, ...]) -> tuple[str, str, str]:
        """Neurons, weights and synapses of a layer that learns, for :meth:`summary`; nothing without shapes."""
        if not shape:
            return "", "", ""
        kernels = [(branch.kernel_shape, branch.area) for branch in self.stages[number - 1].branches]
        return (f"{_size(shape):,}", f"{sum(_size(kernel) for kernel, _ in kernels):,}",
                f"{_size(shape) * sum(_size(kernel[1:]) * area for kernel, area in kernels):,}")


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size
