"""Rectifying units in the place of a model's neurons: their weights, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikingconvnet.model.branches import Branch
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.network.arrays import Numbers
from spikingconvnet.network.geometry import receptive_fields
from spikingconvnet.network.neurons import IFCurrDelta

# In the place of a unit: it integrates, and hardly leaks.
NEURON = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0, v=0.0)


@dataclass(frozen=True, eq=False)
class Units:
    """Weights of a layer of rectifying units.

    Attributes
    ----------
    kernels : float array (units, channels, rows, columns)
        Of its main branch; of a Dense layer with the shape of what it sees.
    bias : float array (units,) or (units, rows, columns)
        The second where padding makes it differ from place to place.
    shortcuts : tuple of float array
        Kernels of its other branches.
    ceiling : float
        Where units saturate, 6 of a ReLU6.
    """

    kernels: Numbers
    bias: Numbers
    shortcuts: tuple[Numbers, ...] = ()
    ceiling: float = float("inf")

    def __post_init__(self) -> None:
        for name in ("kernels", "bias"):
            object.__setattr__(self, name, np.asarray(getattr(self, name)))      # a rule may change them in place

    @property
    def all_kernels(self) -> tuple[Numbers, ...]:
        """Kernels of all branches, in their order."""
        return (self.kernels, *self.shortcuts)

    def at_places(self, dtype: np.dtype | None = None) -> Numbers:
        """The bias as something to add to maps (n, units, rows, columns)."""
        bias = self.bias if dtype is None else self.bias.astype(dtype)
        return bias if bias.ndim == 3 else bias[:, None, None]

    def rectified(self, values: Numbers) -> Numbers:
        """What units answer to what they sum up."""
        return np.clip(values, 0.0, self.ceiling)


def responses(branch: Branch, kernels: Numbers, values: Numbers) -> Numbers:
    """Linear response of a layer: what its neurons sum up of what comes by a branch.

    Parameters
    ----------
    branch : model.Branch
    kernels : float array (filters, channels, rows, columns)
    values : float array (n, C, H, W)
        Of shape ``branch.source_shape``, before pooling.

    Returns
    -------
    float array (n, maps, rows, columns), of shape ``branch.out_shape``
    """
    fields = receptive_fields(branch.seen_shape, branch.kernel_size, branch.strides)
    down, right = branch.padding
    seen = pooled(branch, values)
    if down or right:
        seen = np.pad(seen, ((0, 0), (0, 0), (down, down), (right, right)))
    windows = np.take(seen.reshape(len(values), -1), fields, axis=1)     # an index would lay them out across, past BLAS
    weights = branch.full(kernels).reshape(branch.out_shape[0], -1).astype(values.dtype)
    return (windows @ weights.T).transpose(0, 2, 1).reshape(len(values), *branch.out_shape)


def pooled(branch: Branch, values: Numbers) -> Numbers:
    """Values of the branch's source as its windows see them: mean of every pool, (n, *branch.in_shape)."""
    if branch.area == 1:
        return values
    (rows, columns), (channels, height, width) = branch.pool, branch.in_shape
    parts = values[:, :, :height * rows, :width * columns].reshape(-1, channels, height, rows, width, columns)
    return parts.mean(axis=(3, 5))


def summed(stage: Stage, kernels: Sequence[Numbers], values: Sequence[Numbers]) -> Numbers:
    """Linear response of a layer to all of its branches: float array (n, maps, rows, columns).

    Parameters
    ----------
    stage : model.Stage
    kernels : list of float array
        Of each branch.
    values : list of float array
        Of the input and of each layer before it, by number.
    """
    parts = [responses(branch, kernel, values[branch.source])
             for branch, kernel in zip(stage.branches, kernels, strict=True)]
    return sum(parts[1:], parts[0])


def activations(model: Sequential, units: Sequence[Units], images: Numbers) -> list[Numbers]:
    """Rectified responses of all layers to images, layer by layer; the last layer's are not rectified.

    Parameters
    ----------
    model : model.Sequential
    units : list of Units
        Of every stage.
    images : float array (n, C, H, W)

    Returns
    -------
    list of float array (n, maps, rows, columns)
    """
    found = [images]
    for stage, one in zip(model.stages, units, strict=True):
        values = summed(stage, one.all_kernels, found) + one.at_places(images.dtype)
        found.append(one.rectified(values) if stage.number < len(model.stages) else values)
    return found[1:]
