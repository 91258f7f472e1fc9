"""What is read of the last layer: counts of spikes, membranes, or counts for a classifier.

A value that cannot be used is a SettingsError.
"""

from dataclasses import dataclass

from spikingconvnet.errors import in_words, require
from spikingconvnet.gates.fields import (
    FACTOR,
    FLAG,
    MOST_SLOT,
    PAIR,
    check_fields,
    choice,
    optional,
    record,
    spelled,
    whole,
)
from spikingconvnet.model.learning import ReadoutRule
from spikingconvnet.network.arrays import Pair, Shape
from spikingconvnet.network.geometry import pair

__all__ = ["Classifier", "Membrane", "SpikeCount"]


def _check_window(readout: "SpikeCount | Membrane") -> None:
    check_fields(readout, first=whole(0, MOST_SLOT, wanted="a step, 0 or more"),
                 last=optional(whole(0, MOST_SLOT, wanted=f"a step after first ({in_words(readout.first)})")))
    require(readout.last is None or readout.last > readout.first, type(readout).__name__, "last", readout.last,
            f"a step after first ({readout.first}), or None for the end of the image")


class _OutputUnits:
    """A readout of the last layer's units: unit k stands for the k-th class."""

    first: int
    last: int | None

    def window(self, n_steps: int) -> Pair:
        """First step and end of the window in an image of `n_steps` steps; a SettingsError if it is longer."""
        last = n_steps if self.last is None else self.last
        require(self.first < last <= n_steps, type(self).__name__, "first, last", (self.first, self.last),
                f"within the {n_steps} steps of an image (SLOT)")
        return self.first, last

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the units: (units, 1, 1)."""
        return in_shape

    def _steps(self) -> str:
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
    last: int | None = None
    ties: str = "v"

    def __post_init__(self) -> None:
        _check_window(self)
        check_fields(self, ties=choice("v", "lowest"))

    @property
    def needs_membranes(self) -> bool:
        """Whether the units' membranes have to be recorded."""
        return self.ties == "v"

    def __str__(self) -> str:
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
    last: int | None = None

    needs_membranes = True

    def __post_init__(self) -> None:
        _check_window(self)

    def __str__(self) -> str:
        return f"Membrane  highest mean in {self._steps()}"


@dataclass(frozen=True, repr=False)
class Classifier:
    """Linear machine on spike counts of the last layer: one of support vectors, or what a rule learns.

    Attributes
    ----------
    grid : int or (rows, columns), or None
        Counts are summed over this many cells per map; None keeps every neuron's own count.
    C : float
        Inverse strength of regularisation, as in scikit-learn's ``LinearSVC``.
    on_board : bool
        Whether the machine is also a population of the network, whose first spike is an answer of the board's own, see
        ``model.head``. Testing then tells both.
    learn : ReadoutRule or None
        How the machine is found, as ``ErrorDriven()``; None is scikit-learn's ``LinearSVC``.
    """

    grid: int | Pair | None = None
    C: float = 1.0
    on_board: bool = False
    learn: ReadoutRule | None = None

    def __post_init__(self) -> None:
        check_fields(self, grid=optional(PAIR), C=FACTOR, on_board=FLAG,
                     learn=optional(record(ReadoutRule, wanted="a rule for readouts, as ErrorDriven()")))
        require(self.learn is None or self.C == Classifier.C, "Classifier", "C", self.C,
                f"left out: it is of the support vector machine, and {self.learn} learns")

    def __repr__(self) -> str:
        return spelled(self, ("on_board", "learn"))

    def cells(self, in_shape: Shape) -> Pair:
        """Cells per map (rows, columns): `grid`, or one cell per neuron."""
        grid = in_shape[1:] if self.grid is None else pair(self.grid)
        for axis in (0, 1):
            require(grid[axis] <= in_shape[1 + axis], "Classifier", "grid", self.grid, f"within the maps {in_shape}")
        return grid

    def output_shape(self, in_shape: Shape) -> Shape:
        """(features, 1, 1)."""
        rows, columns = self.cells(in_shape)
        return (in_shape[0] * rows * columns, 1, 1)

    def __str__(self) -> str:
        cells = "one count per neuron" if self.grid is None else "{}x{} cells per map".format(*pair(self.grid))
        found = "linear SVM" if self.learn is None else self.learn.name
        return f"Classifier  {found} on {cells}{', on the board' * self.on_board}"
