"""Calibration: what a spike of a map stands for, measured on training images, layer by layer.

A neuron that is reset loses what its membrane has above the threshold, so it fires less than the unit that it stands
for. What is lost at a spike depends on the weights of its spikes, hardly on its rate; so all neurons of a map lose
about the same share, and the next layer makes up for it if it takes that map's spikes for more. A map with rates r and
activations a counts as

    worth = sum(a r) / sum(r r)

an activation a spike a step, the least squares of ``a - worth r`` over all neurons and images. Layers are measured from
the first to the last, each behind calibrated ones. That a converted network is calibrated so, a layer at a time and
without training, is the idea of Li et al. 2021 (arXiv 2106.06984), who move biases and membranes instead.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from spikingconvnet.model import build
from spikingconvnet.model.learning import OpenNetwork
from spikingconvnet.model.sequential import Stage
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.arrays import Floats, Numbers
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.training.chain import balance

FARTHEST = 0.5, 4.0         # worth of a map's spikes, as a share of what it was made for


class Calibration:
    """Measures the layers of a network one after another, the first one first.

    Parameters
    ----------
    stages : list of Stage
    spikes : dict of int to Spikes
        Of the input, number 0, to the images.
    activations : list of float array (n, maps, rows, columns)
        What units answer to the images, of every layer.
    first, last : int
        Steps of an image in which spikes are counted, the second not included.
    open_network : callable
        ``open`` of a backend.

    Attributes
    ----------
    shares : list of float
        Mean worth of a spike in each layer, as a share of what it was made for, as far as measured.
    """

    def __init__(self, stages: Sequence[Stage], spikes: Mapping[int, Spikes], activations: Sequence[Numbers],
                 first: int, last: int, open_network: OpenNetwork) -> None:
        self.stages, self.spikes, self.activations = stages, dict(spikes), activations
        self.first, self.last, self.open_network = first, last, open_network
        self.shares: list[float] = []

    def measured(self, number: int, layer: TrainedLayer, worth: Floats) -> Floats:
        """Worth of a spike a step of layer `number`, which was made for `worth`: float arrays (maps,).

        Maps that never fire, or that are never active, keep theirs; none goes beyond `FARTHEST`. Every image starts at
        rest.
        """
        stage = self.stages[number - 1]
        layer, _ = balance.fitted(stage, layer, balance.some(self.spikes))
        with self.open_network(build.inference_network([stage], [layer], self.spikes, reset=True)) as simulation:
            simulation.run(simulation.source_steps)
            self.spikes[number] = simulation.recording().spikes[stage.label]
        rates = self.spikes[number].counts(self.first, self.last) / (self.last - self.first)
        ratio = fitted_worth(rates, self.activations[number - 1]) / worth
        ratio = np.where(ratio > 0, np.clip(ratio, *FARTHEST), 1.0)
        self.shares.append(float(ratio.mean()))
        return worth * ratio


def fitted_worth(rates: Floats, activations: Numbers) -> Floats:
    """Factors of maps by which `rates` come closest to `activations`: float array (maps,), 0 of what never fires.

    Parameters
    ----------
    rates, activations : float arrays (n, maps, rows, columns)
    """
    alike, own = ((rates * other).sum(axis=(0, 2, 3), dtype=np.float64) for other in (activations, rates))
    return np.divide(alike, own, out=np.zeros_like(own), where=own > 0)
