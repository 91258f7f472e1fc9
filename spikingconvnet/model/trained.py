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
    v_thresh : float64 array (maps,)
        Threshold of each output map, mV.
    i_offset : float64 array (maps,)
        Constant current of each output map beside that of the neuron model, nA; 0 by default.
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

    def __post_init__(self) -> None:
        if self.i_offset is None:
            object.__setattr__(self, "i_offset", np.zeros(len(self.v_thresh)))
        for name in ("kernels", "v_thresh", "i_offset"):
            object.__setattr__(self, name, numbers(getattr(self, name), "TrainedLayer", name))

    def require_fits(self, stage: Stage, owner: str) -> None:
        """Raise a SettingsError that names `owner`, a rule, unless these are finite numbers for a model.Stage."""
        wanted = {"kernels": stage.layer.kernel_shape(stage.in_shape), "v_thresh": stage.out_shape[:1],
                  "i_offset": stage.out_shape[:1]}
        for name, shape in wanted.items():
            found = getattr(self, name)
            require(found.shape == shape and np.isfinite(found).all(), owner, f"{name} of {stage.label}",
                    f"{'' if np.isfinite(found).all() else 'not finite, '}{found.shape}", f"finite, of shape {shape}")

    def arrays(self) -> dict[str, Floats]:
        """Arrays for a file, without those that are as by default: dict of str to array."""
        found = {"kernels": self.kernels, "v_thresh": self.v_thresh}
        if np.any(self.i_offset):
            found["i_offset"] = self.i_offset
        if self.v is not None:
            found["v"] = self.v
        if self.max_expected_summed_weight is not None:
            found["max_expected_summed_weight"] = np.array(self.max_expected_summed_weight)
        return found

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> "TrainedLayer":
        """The inverse of :meth:`arrays`; other arrays may be among them."""
        found = {name: arrays[name] for name in ("kernels", "v_thresh", "i_offset", "v") if name in arrays}
        largest = arrays.get("max_expected_summed_weight")
        return cls(**found, max_expected_summed_weight=None if largest is None else float(largest))


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
