"""Networks of rectifying units, trained with backpropagation and dropout: what `convert` starts from."""

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from spikingconvnet.model.learning import Progress
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import Diagnostics
from spikingconvnet.network.arrays import Floats32, Ints
from spikingconvnet.training.chain.gradients.fitting import Chain, accuracy, fit, generator
from spikingconvnet.training.chain.gradients.traced import answers_of, parity, reference, weights_of
from spikingconvnet.training.chain.units import Units

__all__ = ["answers_of", "logits", "parity", "reference", "train", "weights_of"]

if TYPE_CHECKING:           # which imports this module when it trains
    from spikingconvnet.training.chain.convert import Convert

HE = math.sqrt(2.0)     # keeps the variance of rectifying units from layer to layer (He et al. 2015, arXiv 1502.01852)


def train(model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, rule: "Convert",
          progress: Progress = iter,
          validation: tuple[Floats32, Ints] | None = None) -> tuple[list[Units], Diagnostics]:
    """Weights of rectifying units in the place of the model's neurons, by cross entropy.

    Parameters as in ``spikingconvnet.training``; `rule` is a ``convert.Convert``.

    Returns
    -------
    units : list of Units
        Of every layer.
    diagnostics : dict
        ``loss``: mean of every epoch; ``ann_validation_accuracy``, if there are such images.
    """
    chain, chance = Chain(model, rng, HE, rule.bias), generator(rng)

    def loss(shown: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits(chain, shown, rule.dropout, chance), truth)

    course = fit(chain, loss, images, labels, rule.descent, rng, progress)
    diagnostics: Diagnostics = {"loss": course}
    if validation is not None:
        diagnostics["ann_validation_accuracy"] = accuracy(lambda shown: logits(chain, shown), *validation)
    return [Units(kernels, bias, further) for kernels, bias, further in zip(*chain.arrays(), chain.shortcut_arrays())
            ], diagnostics


def logits(chain: Chain, values: torch.Tensor, dropout: float = 0.0,
           chance: torch.Generator | None = None) -> torch.Tensor:
    """Responses of the last layer, tensor (n, units); what Dense layers see of a layer is dropped at random."""
    found = [values]
    for stage in chain.stages:
        seen = found[stage.source]
        if dropout and stage.dense and stage.number > 1:
            kept = torch.rand(seen.shape, generator=chance) >= dropout
            seen = seen * kept / (1.0 - dropout)
        values = chain.response(stage.number, seen) + chain.by_shortcuts(stage.number, found)
        found.append(functional.relu(values) if stage.number < len(chain.stages) else values)
    return values.flatten(1)
