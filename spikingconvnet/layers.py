"""Layers: frozen specifications that check themselves and know the shape they make. No weights, no files.

Shapes are (channels, rows, columns). A number given for a pair means a square.
"""

from dataclasses import dataclass

from spikingconvnet.errors import in_words, require
from spikingconvnet.fields import (
    FACTOR,
    FLAG,
    MOST_SLOT,
    MOST_STEPS,
    PAIR,
    POSITIVE,
    RANGE,
    SHARE,
    SIZE,
    above,
    below,
    check_fields,
    choice,
    least,
    most,
    optional,
    real,
    record,
    several,
    whole,
)
from spikingconvnet.geometry import output_size
from spikingconvnet.neurons import IFCurrDelta, IFCurrExp
from spikingconvnet.plasticity import STDPMechanism

__all__ = ["AvgPool2D", "Classifier", "Conv2D", "Dense", "Membrane", "STDP", "SpikeCount"]

INHIBITION = real(least(0, "; the receptor inhibits"), below(RANGE, ", the range of s16.15"))
CELL = record(IFCurrExp, IFCurrDelta)
STEPS = whole(1, MOST_SLOT)
_RATE = real(above(0), most(10))


@dataclass(frozen=True)
class STDP:
    """How a layer learns: windows of its input are shown one after another to one neuron per filter.

    A window takes ``slot`` steps. Its input fires in the first ``pattern_steps``; one static inhibitory spike of weight
    `gate` then silences every neuron, and the inputs that did not fire do so in a *late volley* right after, which
    depresses their synapses to the winner. Lateral inhibition makes one neuron win a window; after each chunk the host
    moves every threshold so that all filters win equally often (homeostasis).

    Attributes
    ----------
    windows : int
        Windows shown in all.
    chunks : int
        Runs between which thresholds move; `windows` is divided evenly.
    slot : int
        Steps per window, long enough for the inhibition to fade.
    pattern_steps : int
        Steps at the start of the slot in which the window's own spikes are shown.
    min_spikes : int
        Windows with fewer spiking inputs are not shown.
    neuron : IFCurrExp
        Neuron model during training; `v_thresh` is set by calibration.
    mechanism : STDPMechanism
        Timing rule and weight dependence, and whether learning sees the delay of synapses, here one step
        (`backprop_delay`).
    gate, lateral : float
        Weights of the gate spike and of lateral inhibition, nA.
    volley : (int, int)
        Steps after the pattern at which even and odd silent inputs fire.
    homeostasis : (float, float)
        First and last step size of the threshold's logarithm.
    initial_winners : float
        Neurons that the calibrated start threshold lets fire per window, on average.
    """

    windows: int = 4000
    chunks: int = 20
    slot: int = 60
    pattern_steps: int = 15
    min_spikes: int = 10
    neuron: IFCurrExp = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0,
                                  tau_syn_E=2.0, tau_syn_I=3.0, tau_refrac=35.0)
    mechanism: STDPMechanism = STDPMechanism()
    gate: float = 60.0
    lateral: float = 25.0
    volley: tuple = (4, 5)
    homeostasis: tuple = (0.3, 0.05)
    initial_winners: float = 4.0

    def __post_init__(self):
        check_fields(self, windows=SIZE, chunks=SIZE, slot=STEPS, pattern_steps=STEPS, min_spikes=SIZE, volley=PAIR,
                     neuron=CELL, mechanism=record(STDPMechanism), gate=INHIBITION, lateral=INHIBITION,
                     homeostasis=several(_RATE, "(first, last) step size, above 0 and at most 10", 2),
                     initial_winners=FACTOR)
        require(self.windows * self.slot <= MOST_STEPS, "STDP", "windows", self.windows,
                f"at most {MOST_STEPS // self.slot:,} of {self.slot} steps: a board counts steps in 32 bits")
        require(self.windows % self.chunks == 0, "STDP", "windows", self.windows,
                f"a multiple of chunks ({self.chunks})")
        require(self.slot > self.pattern_steps + max(self.volley), "STDP", "slot", self.slot,
                f"longer than pattern and volley ({self.pattern_steps + max(self.volley)})")
        require(min(self.volley) >= 2, "STDP", "volley", self.volley, "after the gate, from 2 on")


_BY_DEFAULT = STDP()        # told by its identity from one that a user has written
_MAPS = {"neuron": CELL, "firing": SHARE, "gain": POSITIVE, "centred": FLAG, "training": record(STDP),
         "lateral": INHIBITION}         # what Conv2D and Dense share


def for_stdp_alone(layer):
    """Names of the settings that a Conv2D or Dense was given and only layer-wise learning reads: list of str."""
    given = [name for name in ("firing", "gain", "centred") if getattr(layer, name) != getattr(Conv2D, name)]
    return given + ["training"] * (layer.training is not _BY_DEFAULT)


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
    training : STDP
        How the kernels are learned.
    """

    filters: int
    kernel_size: tuple
    strides: tuple = (1, 1)
    per_map: bool = False
    neuron: IFCurrExp = IFCurrExp(tau_m=20.0, cm=20.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0,
                                  tau_syn_E=1.0, tau_syn_I=1.0, tau_refrac=0.0)
    firing: float = 0.1
    gain: float = 20.0
    centred: bool = True
    training: STDP = _BY_DEFAULT
    lateral: float = 0.0

    def __post_init__(self):
        check_fields(self, filters=SIZE, kernel_size=PAIR, strides=PAIR, per_map=FLAG, **_MAPS)

    def kernel_shape(self, in_shape):
        """Shape of the kernels: (filters, channels, rows, columns)."""
        return (self.filters, 1 if self.per_map else in_shape[0], *self.kernel_size)

    def output_shape(self, in_shape):
        """(C', H', W') for an input (C, H, W); a kernel larger than the input is a SettingsError."""
        for axis, name in ((0, "rows"), (1, "columns")):
            require(self.kernel_size[axis] <= in_shape[1 + axis], "Conv2D", "kernel_size", self.kernel_size,
                    f"at most {in_shape[1 + axis]} {name}, the input is {in_shape}")
        channels = self.filters * in_shape[0] if self.per_map else self.filters
        return (channels, *output_size(in_shape, self.kernel_size, self.strides))

    def __str__(self):
        kind = "per map" if self.per_map else "all channels"
        competition = f", lateral {self.lateral:g} nA" if self.lateral else ""
        return (f"Conv2D  {self.filters} filters {self.kernel_size[0]}x{self.kernel_size[1]}"
                f" stride {self.strides[0]}x{self.strides[1]}, {kind}{competition}")


@dataclass(frozen=True)
class AvgPool2D:
    """Average pooling of spikes, as on the board: every spike is passed on at the pooled position, and the next
    layer's weights are divided by the pool's area. Nothing is computed, delayed or merged. A remainder at the lower or
    right edge is dropped.

    Attributes
    ----------
    pool_size : int or (rows, columns)
    """

    pool_size: tuple

    def __post_init__(self):
        check_fields(self, pool_size=PAIR)

    @property
    def area(self):
        """Neurons that share a pooled position."""
        return self.pool_size[0] * self.pool_size[1]

    def output_shape(self, in_shape):
        """(C, H // rows, W // columns)."""
        for axis in (0, 1):
            require(self.pool_size[axis] <= in_shape[1 + axis], "AvgPool2D", "pool_size", self.pool_size,
                    f"within the input {in_shape}")
        return (in_shape[0], in_shape[1] // self.pool_size[0], in_shape[2] // self.pool_size[1])

    def __str__(self):
        return f"AvgPool2D  {self.pool_size[0]}x{self.pool_size[1]}"


@dataclass(frozen=True)
class Dense:
    """Every unit sees the whole input: a convolution whose one window is the input, in one population.

    Attributes as :class:`Conv2D`.
    """

    units: int
    neuron: IFCurrExp = Conv2D.neuron
    firing: float = 0.1
    gain: float = 20.0
    centred: bool = True
    training: STDP = _BY_DEFAULT
    lateral: float = 0.0

    def __post_init__(self):
        check_fields(self, units=SIZE, **_MAPS)

    def as_convolution(self, in_shape):
        """The Conv2D that computes the same on an input of this shape."""
        return Conv2D(self.units, in_shape[1:], (1, 1), neuron=self.neuron, firing=self.firing, gain=self.gain,
                      centred=self.centred, training=self.training, lateral=self.lateral)

    def output_shape(self, in_shape):
        """(units, 1, 1)."""
        return (self.units, 1, 1)

    def __str__(self):
        return f"Dense  {self.units} units"


def _check_window(readout):
    check_fields(readout, first=whole(0, MOST_SLOT, wanted="a step, 0 or more"),
                 last=optional(whole(0, MOST_SLOT, wanted=f"a step after first ({in_words(readout.first)})")))
    require(readout.last is None or readout.last > readout.first, type(readout).__name__, "last", readout.last,
            f"a step after first ({readout.first}), or None for the end of the image")


class _OutputUnits:
    """A readout of the last layer's units: unit k stands for the k-th class."""

    def window(self, n_steps):
        """First step and end of the window in an image of `n_steps` steps; a SettingsError if it is longer."""
        last = n_steps if self.last is None else self.last
        require(self.first < last <= n_steps, type(self).__name__, "first, last", (self.first, self.last),
                f"within the {n_steps} steps of an image (SLOT)")
        return self.first, last

    def output_shape(self, in_shape):
        """That of the units: (units, 1, 1)."""
        return in_shape

    def _steps(self):
        return f"steps {self.first} to {'the end' if self.last is None else self.last - 1}"


@dataclass(frozen=True)
class SpikeCount(_OutputUnits):
    """The class is the unit of the last layer, a Dense one, that fires most while an image is shown.

    Attributes
    ----------
    first, last : int, int or None
        Spikes are counted in steps ``first .. last - 1`` of an image; None: until its end.
    ties : 'v' or 'lowest'
        Which of the units that fire equally often: the one with the highest membrane at the end of the window, or the
        first. Membranes are recorded at the beginning of steps, so at the end of an image it is that before its last
        step.
    """

    first: int = 0
    last: int = None
    ties: str = "v"

    def __post_init__(self):
        _check_window(self)
        check_fields(self, ties=choice("v", "lowest"))

    @property
    def needs_membranes(self):
        """Whether the units' membranes have to be recorded."""
        return self.ties == "v"

    def __str__(self):
        return f"SpikeCount  most spikes in {self._steps()}, ties: {self.ties}"


@dataclass(frozen=True)
class Membrane(_OutputUnits):
    """The class is the unit of the last layer, a Dense one, with the highest mean membrane while an image is shown.

    The units are not meant to fire: their thresholds are out of reach.

    Attributes
    ----------
    first, last : int, int or None
        The mean is that of the membranes at the beginning of steps ``first .. last - 1``; None: until the end.
    """

    first: int = 0
    last: int = None

    needs_membranes = True

    def __post_init__(self):
        _check_window(self)

    def __str__(self):
        return f"Membrane  highest mean in {self._steps()}"


@dataclass(frozen=True)
class Classifier:
    """Linear support vector machine on spike counts of the last layer.

    Attributes
    ----------
    grid : int or (rows, columns), or None
        Counts are summed over this many cells per map; None keeps every neuron's own count.
    C : float
        Inverse strength of regularisation, as in scikit-learn's ``LinearSVC``.
    """

    grid: tuple = None
    C: float = 1.0

    def __post_init__(self):
        check_fields(self, grid=optional(PAIR), C=FACTOR)

    def cells(self, in_shape):
        """Cells per map (rows, columns): `grid`, or one cell per neuron."""
        grid = self.grid or in_shape[1:]
        for axis in (0, 1):
            require(grid[axis] <= in_shape[1 + axis], "Classifier", "grid", self.grid, f"within the maps {in_shape}")
        return grid

    def output_shape(self, in_shape):
        """(features, 1, 1)."""
        rows, columns = self.cells(in_shape)
        return (in_shape[0] * rows * columns, 1, 1)

    def __str__(self):
        cells = f"{self.grid[0]}x{self.grid[1]} cells per map" if self.grid else "one count per neuron"
        return f"Classifier  linear SVM on {cells}"
