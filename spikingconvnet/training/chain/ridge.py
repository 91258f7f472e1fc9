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

import numpy as np

from spikingconvnet.data.encoding import rate_of
from spikingconvnet.gates.fields import POSITIVE, above, check_fields, least, most, real
from spikingconvnet.model.layers import CELL
from spikingconvnet.model.learning import NetworkRule
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.neurons import OUT_OF_REACH, IFCurrDelta
from spikingconvnet.training.chain.balance import activations, gain, pooled

SCALED_ON = 1000        # images from which the largest activations are taken
JUDGED_ON = 10_000      # images of which the training accuracy is told
BATCH = 250


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

    def __post_init__(self):
        check_fields(self, strength=real(above(0), least(1e-9), most(1e9)), quantile=real(above(0), most(1)),
                     threshold=POSITIVE, neuron=CELL)

    def train(self, model, images, labels, rng, *, encoder, progress=iter, validation=None, **_):
        """Kernels of all layers, see ``NetworkRule``: list of TrainedLayer, dict.

        The first layer is scaled for the rate of the encoder.
        """
        rate = rate_of(encoder, "RULE ridge")
        kernels = [rng.normal(0.0, 1.0 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
                   for shape in (stage.layer.kernel_shape(stage.in_shape) for stage in model.stages)]
        kernels[-1] = _fitted(model, kernels, images, labels, self, progress)
        health = {"train_accuracy": _accuracy(model, kernels, images[:JUDGED_ON], labels[:JUDGED_ON])}
        if validation is not None:
            health["validation_accuracy"] = _accuracy(model, kernels, *validation)
        return _balanced(model, kernels, images[:SCALED_ON], self, rate), health


def _fitted(model, kernels, images, labels, rule, progress):
    """Last layer's kernels that come closest to 1 for the label and 0 elsewhere, less their mean."""
    stage, size = model.stages[-1], int(np.prod(model.stages[-1].in_shape))
    units = stage.out_shape[0]
    square, product = np.zeros((size, size)), np.zeros((size, units))
    for first in progress(range(0, len(images), BATCH)):
        features = pooled(stage, _before(model, kernels, images[first:first + BATCH]))
        features = features.reshape(len(features), size).astype(np.float64)
        square += features.T @ features
        product += features.T @ np.eye(units)[labels[first:first + BATCH]]
    square[np.diag_indices(size)] += rule.strength * max(np.trace(square) / size, 1e-12)
    weights = np.linalg.solve(square, product - product.mean(axis=1, keepdims=True))
    return weights.T.reshape(units, *stage.in_shape).astype(np.float32)


def _before(model, kernels, images):
    """Activations that the last layer sees."""
    return activations(model, kernels, images)[-2] if len(model.stages) > 1 else images


def _accuracy(model, kernels, images, labels):
    right = [np.argmax(activations(model, kernels, images[first:first + BATCH])[-1][..., 0, 0], axis=1)
             == labels[first:first + BATCH] for first in range(0, len(images), BATCH)]
    return float(np.mean(np.concatenate(right))) if right else float("nan")


def _balanced(model, kernels, images, rule, rate):
    """Layers whose largest activation is one spike a step; that of an input of 1 is `rate`."""
    largest = [1.0] * len(model.stages)
    parts = [activations(model, kernels, images[first:first + BATCH]) for first in range(0, len(images), BATCH)]
    for n in range(len(model.stages)):
        largest[n] = max(float(np.quantile(np.concatenate([part[n] for part in parts]), rule.quantile)), 1e-9)
    layers = []
    for stage, kernel, before, now in zip(model.stages, kernels, [1.0 / rate, *largest], largest):
        in_mv = rule.threshold * kernel.astype(np.float64) * before / now
        fires = isinstance(model.readout, SpikeCount) or stage.number < len(model.stages)
        layers.append(TrainedLayer(in_mv / gain(stage.layer.neuron),
                                   np.full(stage.out_shape[0], rule.threshold if fires else OUT_OF_REACH)))
    return layers
