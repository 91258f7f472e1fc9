"""Layers: frozen specifications that check themselves and know the shape they make. No weights, no files.

Shapes are (channels, rows, columns). A number given for a pair means a square. A field that cannot be used is a
SettingsError.
"""

from dataclasses import dataclass
from typing import get_args

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import (
    FLAG,
    PADDING,
    PAIR,
    POSITIVE,
    RANGE,
    SHARE,
    SIZE,
    below,
    check_fields,
    least,
    optional,
    real,
    record,
    spelled,
    whole,
)
from spikingconvnet.model.branches import Branch, Shortcut
from spikingconvnet.model.learning import LayerRule
from spikingconvnet.network.arrays import Pair, Shape
from spikingconvnet.network.geometry import pair
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, Neuron

__all__ = ["AvgPool2D", "Conv2D", "Dense", "Shortcut"]

CELL = record(IFCurrExp, IFCurrDelta)       # of rules for whole networks
NEURON = record(*get_args(Neuron))          # of layers
INHIBITION = real(least(0, "; the receptor inhibits"), below(RANGE, ", the range of s16.15"))
_RULE = optional(record(LayerRule, wanted="a rule that trains a layer, as STDP(...)"))
_MAPS = {"neuron": NEURON, "firing": SHARE, "gain": POSITIVE, "centred": FLAG, "training": _RULE,
         "lateral": INHIBITION}         # what Conv2D and Dense share
AFTER = optional(whole(0, wanted="the number of an earlier layer, 0 for the input"))
LATER = ("padding", "groups", "after", "shortcuts")     # fields that digests of before do not know


def for_stdp_alone(layer: "Conv2D | Dense") -> list[str]:
    """Names of the settings that a Conv2D or Dense was given and only layer-wise learning reads: list of str."""
    given = [name for name in ("firing", "gain", "centred") if getattr(layer, name) != getattr(Conv2D, name)]
    return given + ["training"] * (layer.training is not None)


def _checked_shortcuts(layer: "Conv2D | Dense") -> None:
    """Refuse shortcuts that are no tuple of Shortcut; a list becomes one."""
    given, owner = layer.shortcuts, type(layer).__name__
    found = isinstance(given, (tuple, list)) and all(isinstance(one, Shortcut) for one in given)
    require(found, owner, "shortcuts", given, "a tuple of Shortcut(...)")
    object.__setattr__(layer, "shortcuts", tuple(given))


@dataclass(frozen=True, repr=False)
class Conv2D:
    """A convolution of spikes: one kernel per filter over all input channels, shared by all window positions.

    Attributes
    ----------
    filters : int
    kernel_size, strides : int or (rows, columns)
        ``T' = (T + 2 padding - kernel_size) // strides + 1``.
    per_map : bool
        As in the 2018 original: every filter is applied to every input channel on its own, which makes
        ``filters * channels`` output channels from one set of single-channel kernels.
    neuron : IFCurrExp or IFCurrDelta
        Neuron model at inference; `v_thresh` is set by calibration (see `firing`) or training.
    firing : float
        Share of (window position, sample) pairs in which a map's neurons reach the threshold that calibration sets.
    gain : float
        Length of each learned kernel (as one vector, mean removed), nA.
    centred : bool
        Whether the mean of each learned kernel is removed, which makes signed kernels of non-negative weights.
    lateral : float
        Competition at inference: inhibition with which a spike reaches the other maps at its place one step later, nA.
        A few times the threshold silences them for the rest of an image (Kheradpisheh et al. 2018, section 2.2).
    training : STDP or another LayerRule, or None
        How the kernels are learned; None is ``STDP()``.
    padding : int or (rows, columns)
        Rows and columns on either side of the maps in which nothing ever fires.
    groups : int
        Parts into which channels and filters are divided; a filter sees the channels of its part alone. As many as
        there are channels: a depthwise convolution. Not for layers that learn by themselves, see `per_map`.
    after : int or None
        Number of the layer whose spikes it sees, 0 for the input; None is the one before it. As `shortcuts`, not for
        layers that learn by themselves.
    shortcuts : tuple of Shortcut
        What else it sums up: the spikes of earlier layers, as in residual networks.
    """

    filters: int
    kernel_size: int | Pair
    strides: int | Pair = (1, 1)
    per_map: bool = False
    neuron: Neuron = IFCurrExp(tau_m=20.0, cm=20.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0,
                                  tau_syn_E=1.0, tau_syn_I=1.0, tau_refrac=0.0)
    firing: float = 0.1
    gain: float = 20.0
    centred: bool = True
    training: LayerRule | None = None
    lateral: float = 0.0
    padding: int | Pair = (0, 0)
    groups: int = 1
    after: int | None = None
    shortcuts: tuple[Shortcut, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, filters=SIZE, kernel_size=PAIR, strides=PAIR, per_map=FLAG, padding=PADDING, groups=SIZE,
                     after=AFTER, **_MAPS)
        _checked_shortcuts(self)
        require(self.groups == 1 or not self.per_map, "Conv2D", "groups", self.groups,
                "1 with per_map, which has a group for each channel already")
        require(self.filters % self.groups == 0, "Conv2D", "filters", self.filters,
                f"a multiple of groups ({self.groups})")

    def branch(self, in_shape: Shape, source: int = 0, source_shape: Shape | None = None,
               pool: Pair = (1, 1)) -> Branch:
        """Itself as a Branch into its layer, for what it sees (C, H, W) of a `source` of another shape, pooled."""
        return Branch(source, source_shape or in_shape, pool, in_shape, self.filters, pair(self.kernel_size),
                      pair(self.strides), pair(self.padding), in_shape[0] if self.per_map else self.groups,
                      self.per_map)

    def kernel_shape(self, in_shape: Shape) -> tuple[int, int, int, int]:
        """Shape of the kernels: (filters, channels, rows, columns)."""
        return self.branch(in_shape).kernel_shape

    def output_shape(self, in_shape: Shape) -> Shape:
        """(C', H', W') for an input (C, H, W); one that is smaller than a kernel is a SettingsError."""
        branch = self.branch(in_shape)
        branch.check("Conv2D")
        return branch.out_shape

    def __repr__(self) -> str:
        return spelled(self, LATER)

    def __str__(self) -> str:
        kind = "per map" if self.per_map else f"{self.groups} groups" if self.groups > 1 else "all channels"
        competition = f", lateral {self.lateral:g} nA" if self.lateral else ""
        (rows, columns), (down, right), (top, left) = map(pair, (self.kernel_size, self.strides, self.padding))
        padding = f" padding {top}x{left}" if top or left else ""
        return (f"Conv2D  {self.filters} filters {rows}x{columns} stride {down}x{right}{padding}, {kind}{competition}"
                f"{_ways(self)}")


def _ways(layer: "Conv2D | AvgPool2D | Dense") -> str:
    """What a layer sees beside the one before it, for summaries."""
    after = "" if layer.after is None else f", after {_layer(layer.after)}"
    return after + "".join(f", + {one}" for one in getattr(layer, "shortcuts", ()))


def _layer(number: int) -> str:
    return f"layer {number}" if number else "input"


@dataclass(frozen=True, repr=False)
class AvgPool2D:
    """Average pooling of spikes, as on the board.

    Every spike is passed on at the pooled position, and the next layer's weights are divided by the pool's area.
    Nothing is computed, delayed or merged. A remainder at the lower or right edge is dropped.

    Attributes
    ----------
    pool_size : int or (rows, columns)
    after : int or None
        As of :class:`Conv2D`.
    """

    pool_size: int | Pair
    after: int | None = None

    def __post_init__(self) -> None:
        check_fields(self, pool_size=PAIR, after=AFTER)

    @property
    def area(self) -> int:
        """Neurons that share a pooled position."""
        return pair(self.pool_size)[0] * pair(self.pool_size)[1]

    def output_shape(self, in_shape: Shape) -> Shape:
        """(C, H // rows, W // columns); a pool larger than the input is a SettingsError."""
        for axis in (0, 1):
            require(pair(self.pool_size)[axis] <= in_shape[1 + axis], "AvgPool2D", "pool_size", pair(self.pool_size),
                    f"within the input {in_shape}")
        return (in_shape[0], in_shape[1] // pair(self.pool_size)[0], in_shape[2] // pair(self.pool_size)[1])

    def __repr__(self) -> str:
        return spelled(self, LATER)

    def __str__(self) -> str:
        return f"AvgPool2D  {pair(self.pool_size)[0]}x{pair(self.pool_size)[1]}{_ways(self)}"


@dataclass(frozen=True, repr=False)
class Dense:
    """Every unit sees the whole input: a convolution whose one window is the input, in one population.

    Attributes as :class:`Conv2D`.
    """

    units: int
    neuron: Neuron = Conv2D.neuron
    firing: float = 0.1
    gain: float = 20.0
    centred: bool = True
    training: LayerRule | None = None
    lateral: float = 0.0
    after: int | None = None
    shortcuts: tuple[Shortcut, ...] = ()

    def __post_init__(self) -> None:
        check_fields(self, units=SIZE, after=AFTER, **_MAPS)
        _checked_shortcuts(self)

    def as_convolution(self, in_shape: Shape) -> Conv2D:
        """The Conv2D that computes the same on an input of this shape."""
        return Conv2D(self.units, in_shape[1:], (1, 1), neuron=self.neuron, firing=self.firing, gain=self.gain,
                      centred=self.centred, training=self.training, lateral=self.lateral, after=self.after,
                      shortcuts=self.shortcuts)

    def output_shape(self, in_shape: Shape) -> Shape:
        """(units, 1, 1)."""
        return (self.units, 1, 1)

    def __repr__(self) -> str:
        return spelled(self, LATER)

    def __str__(self) -> str:
        return f"Dense  {self.units} units{_ways(self)}"


