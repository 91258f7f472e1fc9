"""Layers: frozen specifications that check themselves and know the shape they make. No weights, no files.

Shapes are (channels, rows, columns). A number given for a pair means a square. A field that cannot be used is a
SettingsError.
"""

from dataclasses import dataclass
from typing import get_args

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import (
    FLAG,
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
)
from spikingconvnet.model.learning import LayerRule
from spikingconvnet.network.arrays import Pair, Shape
from spikingconvnet.network.geometry import output_size, pair
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, Neuron

__all__ = ["AvgPool2D", "Conv2D", "Dense"]

CELL = record(IFCurrExp, IFCurrDelta)       # of rules for whole networks
NEURON = record(*get_args(Neuron))          # of layers
INHIBITION = real(least(0, "; the receptor inhibits"), below(RANGE, ", the range of s16.15"))
_RULE = optional(record(LayerRule, wanted="a rule that trains a layer, as STDP(...)"))
_MAPS = {"neuron": NEURON, "firing": SHARE, "gain": POSITIVE, "centred": FLAG, "training": _RULE,
         "lateral": INHIBITION}         # what Conv2D and Dense share


def for_stdp_alone(layer: "Conv2D | Dense") -> list[str]:
    """Names of the settings that a Conv2D or Dense was given and only layer-wise learning reads: list of str."""
    given = [name for name in ("firing", "gain", "centred") if getattr(layer, name) != getattr(Conv2D, name)]
    return given + ["training"] * (layer.training is not None)


@dataclass(frozen=True)
class Conv2D:
    """A convolution of spikes: one kernel per filter over all input channels, shared by all window positions.

    Attributes
    ----------
    filters : int
    kernel_size, strides : int or (rows, columns)
        No padding: ``T' = (T - kernel_size) // strides + 1``.
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

    def __post_init__(self) -> None:
        check_fields(self, filters=SIZE, kernel_size=PAIR, strides=PAIR, per_map=FLAG, **_MAPS)

    def kernel_shape(self, in_shape: Shape) -> tuple[int, int, int, int]:
        """Shape of the kernels: (filters, channels, rows, columns)."""
        return (self.filters, 1 if self.per_map else in_shape[0], *pair(self.kernel_size))

    def output_shape(self, in_shape: Shape) -> Shape:
        """(C', H', W') for an input (C, H, W); a kernel larger than the input is a SettingsError."""
        for axis, name in ((0, "rows"), (1, "columns")):
            require(pair(self.kernel_size)[axis] <= in_shape[1 + axis], "Conv2D", "kernel_size", pair(self.kernel_size),
                    f"at most {in_shape[1 + axis]} {name}, the input is {in_shape}")
        channels = self.filters * in_shape[0] if self.per_map else self.filters
        return (channels, *output_size(in_shape, pair(self.kernel_size), pair(self.strides)))

    def __str__(self) -> str:
        kind = "per map" if self.per_map else "all channels"
        competition = f", lateral {self.lateral:g} nA" if self.lateral else ""
        (rows, columns), (down, right) = pair(self.kernel_size), pair(self.strides)
        return f"Conv2D  {self.filters} filters {rows}x{columns} stride {down}x{right}, {kind}{competition}"


@dataclass(frozen=True)
class AvgPool2D:
    """Average pooling of spikes, as on the board.

    Every spike is passed on at the pooled position, and the next layer's weights are divided by the pool's area.
    Nothing is computed, delayed or merged. A remainder at the lower or right edge is dropped.

    Attributes
    ----------
    pool_size : int or (rows, columns)
    """

    pool_size: int | Pair

    def __post_init__(self) -> None:
        check_fields(self, pool_size=PAIR)

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

    def __str__(self) -> str:
        return f"AvgPool2D  {pair(self.pool_size)[0]}x{pair(self.pool_size)[1]}"


@dataclass(frozen=True)
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

    def __post_init__(self) -> None:
        check_fields(self, units=SIZE, **_MAPS)

    def as_convolution(self, in_shape: Shape) -> Conv2D:
        """The Conv2D that computes the same on an input of this shape."""
        return Conv2D(self.units, in_shape[1:], (1, 1), neuron=self.neuron, firing=self.firing, gain=self.gain,
                      centred=self.centred, training=self.training, lateral=self.lateral)

    def output_shape(self, in_shape: Shape) -> Shape:
        """(units, 1, 1)."""
        return (self.units, 1, 1)

    def __str__(self) -> str:
        return f"Dense  {self.units} units"


