"""What deeper layers see of the input."""

from typing import TYPE_CHECKING

import numpy as np

from spikingconvnet.network.arrays import Floats, Numbers
from spikingconvnet.network.geometry import pair, through

if TYPE_CHECKING:
    from spikingconvnet.experiment.experiment import Experiment


def led_back(experiment: "Experiment", number: int, most: int) -> Floats:
    """Kernels of a layer led back to the input through those below, each as a share of its largest weight.

    Parameters
    ----------
    experiment : Experiment
        With all layers up to `number` trained.
    number : int
    most : int
        Kernels, at most.

    Returns
    -------
    float array (filters, input channels, rows, columns)
    """
    stages = experiment.model.stages
    found: Numbers = stages[number - 1].main.full(experiment.layer(number)["kernels"])[:most]
    for above, stage in zip(stages[number - 1:0:-1], stages[number - 2::-1]):
        below = stage.main.full(experiment.layer(stage.number)["kernels"])
        found = through(found, below, pair(stage.layer.strides), pair(above.pool.pool_size if above.pool else 1))
    if stages[0].pool:
        found = np.kron(found, np.ones((1, 1, *pair(stages[0].pool.pool_size))))
    largest = abs(found).max(axis=(1, 2, 3), keepdims=True)
    shares: Floats = found / np.where(largest > 0, largest, 1.0)
    return shares
