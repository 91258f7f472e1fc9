"""Random hidden layers and an output by ridge regression: what a chain reaches without learning inside it.

The floor of the rules that train a whole chain, and the plainest use of what they share. Hidden kernels are drawn at
random, the last layer is fitted to the labels in closed form on the rectified activations of the layer before it:

    W = (F' F + strength tr(F' F) / inputs I)^-1 F' (Y - 1 / units)

with these activations F (images, inputs), behind pooling, and Y (images, units), 1 for the label and 0 elsewhere. Every
layer is then divided by its largest activations, so that a rectifying neuron becomes an integrate-and-fire neuron whose
rate is its activation (Diehl et al. 2015, doi 10.1109/IJCNN.2015.7280696; with the quantile of Rueckauer et al. 2017,
doi 10.3389/fnins.2017.00682).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.protocols import Encoder
from spikingconvnet.gates.fields import POSITIVE, above, check_fields, least, most, real
from spikingconvnet.model.layers import CELL
from spikingconvnet.model.learning import NetworkRule, Progress
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Diagnostics, TrainedLayer
from spikingconvnet.network.arrays import Floats32, Ints
from spikingconvnet.network.neurons import IFCurrDelta
from spikingconvnet.training.chain.balance import require_chain
from spikingconvnet.training.chain.convert import JUDGED_ON, SCALED_ON, accuracy
from spikingconvnet.training.chain.units import Units, activations, pooled
from spikingconvnet.training.chain.worth import BATCH, converted


@dataclass(frozen=True)
class Ridge(NetworkRule):
    """Settings of the rule; those that cannot be used are a SettingsError.

    Attributes
    ----------
    strength : float
        Of the regularisation, as a share of the mean square of the features.
    quantile : float
        Of a layer's activations that counts as its largest one.
    threshold : float
        Of all neurons, mV; lower ones answer sooner and count more coarsely.
    neuron : IFCurrDelta
        Of the layers that ``--arch`` makes.
    """

    strength: float = 0.01
    quantile: float = 0.999
    threshold: float = 1.0
    neuron: IFCurrDelta = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0,
                                      v=0.0)

    name = "ridge"
    takes_rates = True
    norm, balance, start, spread, peak_rate = "robust", "weights", 0.0, False, 1.0        # how ``converted`` does it

    def __post_init__(self) -> None:
        check_fields(self, strength=real(above(0), least(1e-9), most(1e9)), quantile=real(above(0), most(1)),
                     threshold=POSITIVE, neuron=CELL)

    def train(self, model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, *, encoder: Encoder,
              progress: Progress = iter, validation: tuple[Floats32, Ints] | None = None,
              **_: Any) -> tuple[list[TrainedLayer], Diagnostics]:
        """Kernels of all layers, see ``NetworkRule``: list of TrainedLayer, dict.

        The first layer is scaled for the rate of the encoder. Diagnostics are those of the rectifying units:
        ``train_error``, the mean square that is left of Y - 1 / units, and accuracies.
        """
        rate = rate_of(encoder, "RULE ridge")
        require_chain(model, self)
        kernels = [rng.normal(0.0, 1.0 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
                   for shape in (stage.layer.kernel_shape(stage.in_shape) for stage in model.stages)]
        kernels[-1], error = _fitted(model, kernels, images, labels, self, progress)
        units = [Units(one, np.zeros(len(one))) for one in kernels]
        right = accuracy(model, units, images[:JUDGED_ON], labels[:JUDGED_ON])
        diagnostics = {"train_error": error, "train_accuracy": right}
        if validation is not None:
            diagnostics["validation_accuracy"] = accuracy(model, units, *validation)
        return converted(model, units, images[:SCALED_ON], self, rate)[0], diagnostics


def _fitted(model: Sequential, kernels: list[Floats32], images: Floats32, labels: Ints, rule: Ridge,
            progress: Progress) -> tuple[Floats32, float]:
    """Last layer's kernels that come closest to 1 for the label and 0 elsewhere, less their mean; the error left."""
    stage, size = model.stages[-1], int(np.prod(model.stages[-1].in_shape))
    units = stage.out_shape[0]
    square, product = np.zeros((size, size)), np.zeros((size, units))
    for first in progress(range(0, len(images), BATCH)):
        features = pooled(stage.main, _before(model, kernels, images[first:first + BATCH]))
        features = features.reshape(len(features), size).astype(np.float64)
        square += features.T @ features
        product += features.T @ np.eye(units)[labels[first:first + BATCH]]
    product -= product.mean(axis=1, keepdims=True)
    penalty = rule.strength * max(np.trace(square) / size, 1e-12)
    square[np.diag_indices(size)] += penalty
    weights = np.linalg.solve(square, product)
    explained = (weights * product).sum() + penalty * np.square(weights).sum()      # as square @ weights is product
    error = float(1 - 1 / units - explained / len(images)) / units
    return weights.T.reshape(units, *stage.in_shape).astype(np.float32), error


def _before(model: Sequential, kernels: list[Floats32], images: Floats32) -> Floats32:
    """Activations that the last layer sees."""
    units = [Units(one, np.zeros(len(one))) for one in kernels]
    return activations(model, units, images)[-2] if len(model.stages) > 1 else images
