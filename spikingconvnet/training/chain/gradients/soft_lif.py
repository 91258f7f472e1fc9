"""Networks of units that answer with the soft rate of a leaky integrate-and-fire neuron, trained with noise on it."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from spikingconvnet.model.learning import Progress
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Diagnostics
from spikingconvnet.network.arrays import Floats, Floats32, Ints
from spikingconvnet.training.chain.descent import HZ
from spikingconvnet.training.chain.gradients.fitting import Chain, accuracy, fit, generator
from spikingconvnet.training.chain.gradients.relu import HE

if TYPE_CHECKING:           # which imports this module when it trains
    from spikingconvnet.training.chain.softlif import RateCurve, SoftLIF

SMALL, LINEAR = -8.0, 20.0      # below and above, the softplus of x is exp(x) and x within 2e-4 of it


class SoftRate(torch.autograd.Function):
    """Rate of a ``softlif.RateCurve``, in spikes a step, of currents in thresholds.

    With the softened distance ``rho`` to the threshold and the rate ``r``, the derivative is
    ``tau_m r**2 / (rho (1 + rho)) sigmoid((j - 1) / softness)``. Written out it is bounded; that of the formula, term
    by term, is infinity times 0 below the threshold. The softplus is made of its logarithm for the same reason.
    """

    @staticmethod
    def forward(ctx: Any, current: torch.Tensor, curve: "RateCurve") -> torch.Tensor:
        """Rates of a tensor of any shape."""
        x = (current - 1.0).div_(curve.softness)
        falling = torch.sigmoid_(x.clamp(SMALL, LINEAR).neg_())
        softplus = torch.maximum(torch.log(falling).neg_(), x)
        logarithm = torch.log(softplus).add_(x.sub_(SMALL).clamp_(max=0.0))
        rho = softplus.mul_(curve.softness)
        rate = torch.log(rho + 1.0).sub_(logarithm).sub_(math.log(curve.softness))
        rate.mul_(curve.tau_m).add_(curve.shortest).reciprocal_()
        if current.requires_grad:
            slope = falling.neg_().add_(1.0).mul_(rate).mul_(rate).mul_(curve.tau_m)
            ctx.save_for_backward(slope.div_(rho.addcmul_(rho, rho)))
        return rate

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Gradient by the current; none by the curve."""
        slope, = ctx.saved_tensors
        return gradient * slope, None


def train(model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, rule: "SoftLIF",
          progress: Progress = iter,
          validation: tuple[Floats32, Ints] | None = None) -> tuple[list[Floats], list[Floats], Diagnostics]:
    """Weights and biases of soft units in the place of the model's neurons, by cross entropy.

    Parameters as in ``spikingconvnet.training``; `rule` is a ``softlif.SoftLIF``.

    Returns
    -------
    kernels, biases : lists of float64 array
        Of every layer.
    diagnostics : dict
        ``loss``: mean of every epoch; ``soft_validation_accuracy``, if there are such images.
    """
    chain, chance = Chain(model, rng, HE, True), generator(rng)
    for bias in list(chain.biases)[:-1]:
        torch.nn.init.constant_(bias, 1.0)      # at the threshold, where a rectifying unit of bias 0 is

    def loss(shown: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits(chain, shown, rule, chance), truth)

    course = fit(chain, loss, images, labels, rule.descent, rng, progress)
    diagnostics: Diagnostics = {"loss": course}
    if validation is not None:
        diagnostics["soft_validation_accuracy"] = accuracy(lambda shown: logits(chain, shown, rule), *validation)
    return *chain.arrays(), diagnostics


def logits(chain: Chain, values: torch.Tensor, rule: "SoftLIF", chance: torch.Generator | None = None) -> torch.Tensor:
    """Responses of the last layer, tensor (n, units).

    With noise on rates and dropout, as in training, if `chance` is a generator.
    """
    for stage in chain.stages:
        if chance is not None and rule.dropout and stage.dense and stage.number > 1:
            kept = torch.rand(values.shape, generator=chance) >= rule.dropout
            values = values * kept / (1.0 - rule.dropout)
        values = chain.response(stage.number, values)
        if stage.number < len(chain.stages):
            values = SoftRate.apply(values, rule.curve(stage.layer.neuron))
            if chance is not None and rule.noise:
                values = values.add(_normal(values, chance), alpha=HZ * rule.noise)
            values = rule.amplitude * values
    return values.flatten(1)


def _normal(like: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Standard normal numbers for a tensor, laid out as it is: torch draws them twenty times slower out of order."""
    return torch.randn(like.numel(), generator=chance).as_strided(like.shape, like.stride())
