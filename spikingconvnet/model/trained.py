"""What a training gives: kernels and thresholds of a layer, and what a layer trained by itself has told meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import numbers
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.arrays import Floats, Ints, Numbers

# Numbers and lists of numbers by name, for JSON. Files and ``--json`` call them ``health``, from before there was a
# room of that name.
Diagnostics: TypeAlias = dict[str, Any]


@dataclass(frozen=True, eq=False)
class TrainedLayer:
    """What inference needs of a layer, whatever rule found it.

    Attributes
    ----------
    kernels : float64 array (filters, channels, rows, columns)
        Signed weights, nA.
    shortcuts : tuple of such arrays
        Those of a layer's shortcuts.
    v_thresh : float64 array (maps,)
        Threshold of each output map, mV.
    i_offset : float64 array (maps,) or (maps, rows, columns)
        Constant current of each output map, or neuron, beside that of the neuron model, nA; 0 by default.
    v : float64 array (neurons,) or None
        Membranes at the start, mV; None takes the neuron model's.
    max_expected_summed_weight : float or None
        Largest input of a neuron in one step, nA, see ``netlist.Population``; None leaves the choice to sPyNNaker.
    """

    kernels: Floats
    v_thresh: Floats
    i_offset: Floats = None         # type: ignore[assignment]      # zeros for each map, once it is made
    v: Floats | None = None
    max_expected_summed_weight: float | None = None
    shortcuts: tuple[Floats, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "shortcuts", tuple(numbers(one, "TrainedLayer", "shortcuts")
                                                    for one in self.shortcuts))
        if self.i_offset is None:
            object.__setattr__(self, "i_offset", np.zeros(len(self.v_thresh)))
        for name in ("kernels", "v_thresh", "i_offset"):
            object.__setattr__(self, name, numbers(getattr(self, name), "TrainedLayer", name))

    def require_fits(self, stage: Stage, owner: str) -> None:
        """Raise a SettingsError that names `owner`, a rule, unless these are finite numbers for a model.Stage."""
        offsets = stage.out_shape if self.i_offset.ndim == 3 else stage.out_shape[:1]
        require(len(self.shortcuts) == len(stage.shortcuts), owner, f"shortcuts of {stage.label}", len(self.shortcuts),
                f"{len(stage.shortcuts)} arrays of kernels")
        wanted = [("kernels", self.kernels, stage.main.kernel_shape), ("v_thresh", self.v_thresh, stage.out_shape[:1]),
                  ("i_offset", self.i_offset, offsets),
                  *(("shortcuts", one, branch.kernel_shape) for one, branch in zip(self.shortcuts, stage.shortcuts))]
        for name, found, shape in wanted:
            require(found.shape == shape and np.isfinite(found).all(), owner, f"{name} of {stage.label}",
                    f"{'' if np.isfinite(found).all() else 'not finite, '}{found.shape}", f"finite, of shape {shape}")

    def arrays(self) -> dict[str, Floats]:
        """Arrays for a file, without those that are as by default: dict of str to array."""
        found = {"kernels": self.kernels, "v_thresh": self.v_thresh}
        if np.any(self.i_offset):
            found["i_offset" if self.i_offset.ndim == 1 else "i_offsets"] = self.i_offset
        found |= {f"shortcut{number}": one for number, one in enumerate(self.shortcuts, start=1)}
        if self.v is not None:
            found["v"] = self.v
        if self.max_expected_summed_weight is not None:
            found["max_expected_summed_weight"] = np.array(self.max_expected_summed_weight)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> "TrainedLayer":
        """The inverse of :meth:`arrays`; other arrays may be among them."""
        found = {name: arrays[name] for name in ("kernels", "v_thresh", "i_offset", "v") if name in arrays}
        if "i_offsets" in arrays:
            found["i_offset"] = arrays["i_offsets"]
        largest = arrays.get("max_expected_summed_weight")
        numbered = [f"shortcut{number}" for number in range(1, 1 + len(arrays)) if f"shortcut{number}" in arrays]
        return cls(**found, max_expected_summed_weight=None if largest is None else float(largest),
                   shortcuts=tuple(arrays[name] for name in numbered))

    @property
    def all_kernels(self) -> tuple[Floats, ...]:
        """Kernels of all branches of its layer, in their order."""
        return (self.kernels, *self.shortcuts)


@dataclass(frozen=True, eq=False)
class Course:
    """What a training run recorded about itself, chunk by chunk.

    Attributes
    ----------
    wins : int array (chunks, 3)
        Windows in which no, one, or several neurons fired.
    thresholds : float array (chunks, filters)
        In force during the chunk, mV.
    mean_weight : float array (chunks,)
        At its end, nA.
    """

    wins: Ints
    thresholds: Floats
    mean_weight: Floats


@dataclass(frozen=True, eq=False)
class Trained:
    """A layer trained by itself, whatever rule found its kernels.

    Attributes
    ----------
    initial, learned : float arrays (filters, channels, rows, columns)
        Kernels before and after, in the rule's own units: nA of STDP.
    inference : TrainedLayer
        Kernels and thresholds for inference.
    diagnostics : dict of str to float
        For the user to judge the training; those of STDP are ``training.layerwise.course.diagnostics``.
    course : Course
        None, of a rule without chunks, becomes an empty one.
    """

    initial: Floats
    learned: Floats
    inference: TrainedLayer
    diagnostics: Diagnostics
    course: Course = None           # type: ignore[assignment]      # an empty one, once it is made

    def __post_init__(self) -> None:
        if self.course is None:
            nothing = Course(np.zeros((0, 3), int), np.zeros((0, len(self.learned))), np.zeros(0))
            object.__setattr__(self, "course", nothing)

    def arrays(self) -> dict[str, Numbers]:
        """Itself as arrays for a file, its diagnostics left out: dict of str to array."""
        return {"initial": self.initial, "learned": self.learned, **self.inference.arrays(), **vars(self.course)}
