"""A layer that has been trained: its kernels and thresholds."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import numbers
from spikingconvnet.model.sequential import Stage
from spikingconvnet.network.arrays import Floats


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
