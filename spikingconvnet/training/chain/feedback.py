"""Direct feedback alignment: the error reaches hidden layers through fixed random weights, not backwards.

Source: Nokland 2016, NIPS (arXiv 1609.01596), for a chain of Dense layers of rectifying units without biases,

    a_l = W_l h_(l-1),  h_l = max(a_l, 0),  h_0 the image,  y = softmax(a_L)
    e = y - 1[label]                        the gradient of the cross-entropy at the output
    d_L = e,  d_l = (B_l e) * [a_l > 0]     where back-propagation has the transpose of W_(l+1) and d_(l+1)
    dW_l = -d_l h_(l-1)^T

with B_l drawn once. The trained units are converted to integrate-and-fire neurons, see ``convert``.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.data.encoding import rate_of
from spikingconvnet.data.protocols import Encoder
from spikingconvnet.gates.fields import FACTOR, PART, POSITIVE, above, check_fields, most, real, record, whole
from spikingconvnet.model.learning import NetworkRule, Progress, tell
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Diagnostics, TrainedLayer
from spikingconvnet.network.arrays import Floats32, Ints
from spikingconvnet.network.neurons import IFCurrDelta
from spikingconvnet.training.chain.balance import require_chain, require_dense
from spikingconvnet.training.chain.convert import JUDGED_ON, SCALED_ON, accuracy, check_neurons
from spikingconvnet.training.chain.units import Units
from spikingconvnet.training.chain.worth import converted


@dataclass(frozen=True)
class FeedbackAlignment(NetworkRule):
    """Settings of the rule.

    Attributes
    ----------
    epochs : int
        How often every image is shown, in an order of its own each time.
    batch : int
        Images a step.
    learning_rate : float
        Of the mean over a batch, at the start; it falls linearly to nothing.
    momentum : float
        Share of the last step that is made again.
    feedback : float
        Standard deviation of the fixed weights B.
    quantile : float
        Of a layer's activations that counts as its largest one, for the conversion.
    threshold : float
        Of all neurons, mV; lower ones answer sooner and count more coarsely.
    neuron : IFCurrDelta
        Of the layers that ``--arch`` makes, as ``Convert`` has it.

    A field that is not of its kind is a SettingsError.
    """

    epochs: int = 20
    batch: int = 64
    learning_rate: float = 0.02
    momentum: float = 0.9
    feedback: float = 0.1
    quantile: float = 0.999
    threshold: float = 1.0
    neuron: IFCurrDelta = IFCurrDelta(tau_m=2048.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, tau_refrac=0.0,
                                      v=0.0)

    name = "feedback"
    takes_rates = True
    norm, balance, start, spread, peak_rate = "robust", "weights", 0.0, False, 1.0        # how ``converted`` does it

    def __post_init__(self) -> None:
        check_fields(self, epochs=whole(1, 10_000), batch=whole(1, 1_000_000), learning_rate=FACTOR, momentum=PART,
                     feedback=FACTOR, quantile=real(above(0), most(1)), threshold=POSITIVE, neuron=record(IFCurrDelta))

    def train(self, model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, *, encoder: Encoder,
              progress: Progress = iter, validation: tuple[Floats32, Ints] | None = None,
              **_: Any) -> tuple[list[TrainedLayer], Diagnostics]:
        """Layers of integrate-and-fire neurons, see ``NetworkRule``: list of TrainedLayer, dict.

        The first layer is scaled for the rate of the encoder. Diagnostics are those of the rectifying units:
        ``loss`` after every epoch, of the first training images, and ``validation_accuracy``, if there are such images;
        ``ann_train_accuracy``, and the ``scales`` of the layers.
        """
        require_dense(model, self)
        require_chain(model, self)
        check_neurons(model, self)
        rate = rate_of(encoder, "RULE feedback")
        kernels = initial_kernels(model, rng)
        weights, units = [one.reshape(len(one), -1) for one in kernels], [Units(one, np.zeros(len(one)))
                                                                          for one in kernels]
        feedback = [rng.normal(0.0, self.feedback, (len(one), len(weights[-1]))).astype(np.float32)
                    for one in weights[:-1]]
        course, losses, judged = [], [], images[:JUDGED_ON].reshape(-1, math.prod(images.shape[1:]))
        targets = np.eye(len(weights[-1]), dtype=np.float32)[labels[:JUDGED_ON]]
        for _epoch in epochs(self, weights, feedback, images, labels, rng, progress):
            losses.append(loss(weights, judged, targets))
            course += [accuracy(model, units, *validation)] if validation else []       # of the kernels: they are views
        layers, scales = converted(model, units, images[:SCALED_ON], self, rate)
        right = accuracy(model, units, images[:JUDGED_ON], labels[:JUDGED_ON])
        return layers, {"loss": losses, **({"validation_accuracy": course} if validation else {}),
                        "ann_train_accuracy": right, "scales": scales}


def initial_kernels(model: Sequential, rng: np.random.Generator) -> list[Floats32]:
    """Start weights that keep the mean square of rectified values (He et al. 2015, arXiv 1502.01852, equation 10).

    List of float32 arrays (units, channels, rows, columns).
    """
    shapes = [stage.layer.kernel_shape(stage.in_shape) for stage in model.stages]
    return [rng.normal(0.0, math.sqrt(2.0 / math.prod(shape[1:])), shape).astype(np.float32) for shape in shapes]


def epochs(rule: FeedbackAlignment, weights: Sequence[Floats32], feedback: Sequence[Floats32], images: Floats32,
           labels: Ints, rng: np.random.Generator, progress: Progress = iter) -> Iterator[int]:
    """Train, changing the weights in place; yields after every epoch.

    Parameters
    ----------
    rule : FeedbackAlignment
    weights : list of float array (units, inputs)
    feedback : list of float array (units, outputs)
        Of all layers but the last.
    images : float32 array (n, C, H, W)
    labels : int array (n,)
    rng : numpy.random.Generator
    progress : callable
    """
    values, targets = images.reshape(len(images), -1), np.eye(len(weights[-1]), dtype=np.float32)[labels]
    batches, last = math.ceil(len(images) / rule.batch), [np.zeros_like(one) for one in weights]
    bar = progress(range(rule.epochs))
    for epoch in bar:
        for step, shown in enumerate(np.array_split(rng.permutation(len(images)), batches)):
            rate = rule.learning_rate * (1.0 - (epoch + step / batches) / rule.epochs)
            for one, before, change in zip(weights, last, changes(weights, feedback, values[shown], targets[shown])):
                before *= rule.momentum
                before += rate * change
                one += before
        tell(bar, loss=loss(weights, values[:JUDGED_ON], targets[:JUDGED_ON]))
        yield epoch


def changes(weights: Sequence[Floats32], feedback: Sequence[Floats32], values: Floats32,
            targets: Floats32) -> list[Floats32]:
    """What a batch changes at a learning rate of 1: list of arrays like the weights, means over the batch.

    Parameters
    ----------
    weights, feedback : lists of float array, see :func:`epochs`
    values : float array (n, inputs)
    targets : float array (n, outputs)
        1 for the label, 0 elsewhere.
    """
    seen = forward(weights, values)
    error = softmax(seen[-1] @ weights[-1].T) - targets
    taught = [(error @ fixed.T) * (hidden > 0) for fixed, hidden in zip(feedback, seen[1:])]
    return [delta.T @ below / -len(values) for delta, below in zip([*taught, error], seen)]


def forward(weights: Sequence[Floats32], values: Floats32) -> list[Floats32]:
    """What every layer sees of values (n, inputs): list of float arrays, the values first."""
    seen = [values]
    for one in weights[:-1]:
        seen.append(np.maximum(seen[-1] @ one.T, 0.0))
    return seen


def loss(weights: Sequence[Floats32], values: Floats32, targets: Floats32) -> float:
    """Mean cross-entropy of the outputs, in nats; parameters as of :func:`changes`."""
    shares = softmax(forward(weights, values)[-1] @ weights[-1].T)
    return float(-np.log(np.maximum((shares * targets).sum(axis=1), 1e-30)).mean())


def softmax(values: Floats32) -> Floats32:
    """Shares of ``exp(values)`` of each row: float array (n, outputs)."""
    grown = np.exp(values - values.max(axis=1, keepdims=True))
    return grown / grown.sum(axis=1, keepdims=True)
