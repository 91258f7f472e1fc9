"""Spiking networks trained as recurrent ones, with a surrogate for the gradient of a spike: what `surrogate` trains.

All steps of a layer's input go through its weights in one product, and through its membranes in one pass of a compiled
loop in either direction (``surrogate_kernels.py``). Pixels that are dark in a whole batch are left out. A layer answers
in the step of its input here; on a board it does so one step later, which moves all it does and changes nothing.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from spikingconvnet.data.encoding import RateEncoder, RegularEncoder
from spikingconvnet.data.events import takes_events
from spikingconvnet.data.protocols import Encoder
from spikingconvnet.model.learning import Progress, Shown
from spikingconvnet.model.sequential import Sequential, Stage
from spikingconvnet.model.trained import Diagnostics
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Ints32, Pair, Pixels
from spikingconvnet.training.chain import surrogate_kernels
from spikingconvnet.training.chain.balance import cell
from spikingconvnet.training.chain.gradients.fitting import JUDGED_AT_ONCE, Chain, accuracy, fit, generator

if TYPE_CHECKING:           # which imports this module when it trains
    from spikingconvnet.training.chain.surrogate import Surrogate

TIE = 1e-3      # of a spike, for a membrane at the threshold: decides between equal counts


class Spiking(Chain):
    """A chain of leaky integrate-and-fire neurons; weights in units of the distance from rest to threshold.

    Parameters
    ----------
    model : model.Sequential
    rng : numpy.random.Generator
    encoder : callable of ``encoding``
        Or one that takes events: images are then rasters, see :class:`Rasters`.
    rule : surrogate.Surrogate
    """

    def __init__(self, model: Sequential, rng: np.random.Generator, encoder: Encoder, rule: "Surrogate") -> None:
        super().__init__(model, rng, rule.spread)
        self.encoder, self.rule, self.rng, self.chance = encoder, rule, rng, generator(rng)
        self.cells = [cell(stage.layer.neuron) for stage in self.stages]

    def counts(self, images: torch.Tensor, dropout: float = 0.0, ties: float = 0.0) -> torch.Tensor:
        """Spikes of the output units: tensor (n, units); their membranes at the end added, times `ties`."""
        spikes: Any = None
        for stage, (decay, reset) in zip(self.stages, self.cells):
            drive = self._first(images) if spikes is None else self._sums(stage, spikes, dropout)
            spikes = LeakyIntegrateAndFire.apply(drive, decay, reset, self.rule.slope)
        left = torch.where(spikes[-1] > 0.0, reset, drive[-1]).detach()
        return (spikes.sum(dim=0) + ties * left).flatten(1)

    def _sums(self, stage: Stage, spikes: torch.Tensor, dropout: float) -> torch.Tensor:
        """What a layer sums up of spikes (steps, n, ...): (steps, n, *out_shape)."""
        if dropout and stage.dense:
            kept = torch.rand(spikes.shape[1:], generator=self.chance) >= dropout
            spikes = spikes * (kept / (1.0 - dropout))
        return self.response(stage.number, spikes.flatten(0, 1)).unflatten(0, spikes.shape[:2])

    def _first(self, images: torch.Tensor) -> torch.Tensor:
        """What the first layer sums up of the images' spikes."""
        stage, shown = self.stages[0], self._raster(images)
        if stage.dense and stage.pool is None and shown.max(initial=0) <= 1:
            return SpikesByWeights.apply(self.kernels[0].flatten(1), shown)[..., None, None]
        return self._sums(stage, torch.from_numpy(shown).float().unflatten(2, stage.source_shape), 0.0)

    def _raster(self, images: torch.Tensor) -> Pixels:
        """Spikes of the images: uint8 (steps, n, inputs)."""
        if takes_events(self.encoder):
            rasters: Pixels = images.numpy().reshape(len(images), self.encoder.n_steps, -1).transpose(1, 0, 2)
            return rasters
        return raster(self.encoder, images.flatten(1).numpy(), self.rng)

    def pooled(self, values: torch.Tensor, size: Pair) -> torch.Tensor:
        """See :class:`MeanOfPools`."""
        return MeanOfPools.apply(values, *size)


class Rasters:
    """Events in time in the place of images: ``rasters[places]`` is uint8 (n, steps * C, H, W), made when asked for.

    Parameters
    ----------
    events : callable
        See ``NetworkRule.train``.
    split : str
    n : int
        Samples of it.
    """

    def __init__(self, events: Shown, split: str, n: int) -> None:
        self.events, self.split = events, split
        self.shape = (n, *self[np.zeros(0, np.int64)].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, places: Ints) -> Pixels:
        spikes = self.events(self.split, places)
        channels, *sides = spikes.shape
        found: Pixels = spikes.raster().astype(np.uint8).reshape(len(places), spikes.n_steps * channels, *sides)
        return found


class SpikesByWeights(torch.autograd.Function):
    """Drives (steps, n, units) of a layer with weights (units, inputs) for a raster, uint8 (steps, n, inputs)."""

    @staticmethod
    def forward(ctx: Any, weights: torch.Tensor, shown: Pixels) -> torch.Tensor:
        """See ``surrogate_kernels.drives``."""
        found = torch.empty(*shown.shape[:2], len(weights))
        surrogate_kernels.drives(weights.detach().T.contiguous().numpy(), *_listed(shown), found.flatten(0, 1).numpy())
        ctx.shown = shown
        return found

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        """See ``surrogate_kernels.weight_gradient``."""
        found = torch.empty(ctx.shown.shape[2], grad.shape[2])
        surrogate_kernels.weight_gradient(grad.contiguous().numpy(), *_listed(ctx.shown.transpose(0, 2, 1)),
                                          found.numpy())
        return found.T, None


def _listed(shown: Pixels) -> tuple[Ints32, Ints]:
    """Places on the last axis of those that fired, and where each row of them ends: int32 and int64 array."""
    rows = np.ascontiguousarray(shown).reshape(-1, shown.shape[2])
    ids, ends = np.empty(np.count_nonzero(rows) + 1, np.int32), np.empty(len(rows), np.int64)
    surrogate_kernels.listed(rows, ids, ends)
    return ids, ends


class LeakyIntegrateAndFire(torch.autograd.Function):
    """Spikes of a layer for its drive, both float32 (steps, n, ...); the drive's memory is taken for the membranes."""

    @staticmethod
    def forward(ctx: Any, drive: torch.Tensor, decay: float, reset: float, slope: float) -> torch.Tensor:
        """See ``surrogate_kernels.forward``."""
        v, spikes = drive.detach(), torch.empty_like(drive)
        surrogate_kernels.forward(_flat(v), _flat(spikes), np.float32(decay), np.float32(reset))
        ctx.v, ctx.decay, ctx.slope = v, decay, slope
        return spikes

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        """See ``surrogate_kernels.backward``."""
        found = torch.empty_like(ctx.v)
        surrogate_kernels.backward(_flat(ctx.v), _flat(grad.contiguous()), _flat(found), np.float32(ctx.decay),
                                   np.float32(ctx.slope))
        return found, None, None, None


class MeanOfPools(torch.autograd.Function):
    """Average pooling of values (n, maps, height, width) where torch's takes longer than a convolution behind it."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        """See ``surrogate_kernels.pool``."""
        n, maps, height, width = ctx.shape = values.shape
        ctx.size, found = (rows, columns), torch.empty(n, maps, height // rows, width // columns)
        surrogate_kernels.pool(_planes(values), rows, columns, _planes(found))
        return found

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        """See ``surrogate_kernels.unpool``."""
        found = torch.empty(ctx.shape)
        rows, columns = ctx.size
        surrogate_kernels.unpool(_planes(grad), rows, columns, _planes(found))
        return found, None, None


def _planes(values: torch.Tensor) -> Floats32:
    return values.detach().contiguous().flatten(0, 1).numpy()


def _flat(tensor: torch.Tensor) -> Any:
    return tensor.view(len(tensor), -1).numpy()


def raster(encoder: Encoder, values: Floats32, rng: np.random.Generator) -> Pixels:
    """Spikes of values (n, inputs) as an encoder makes them, one a step at most: uint8 (steps, n, inputs).

    The fast way for evenly spaced and for random ones; the latter with probabilities in 65536ths.
    """
    if not isinstance(encoder, (RateEncoder, RegularEncoder)):
        spikes = encoder(values[:, None, None], rng)
        return spikes.raster().reshape(len(values), encoder.n_steps, -1).transpose(1, 0, 2).astype(np.uint8)
    rate = (encoder.shown(values) * encoder.max_rate).astype(np.float64)
    shape = encoder.n_steps, *values.shape
    if isinstance(encoder, RateEncoder):
        share = np.minimum(np.rint(65536 * rate), 65535).astype(np.uint16)
        return (rng.integers(0, 65536, shape, np.uint16) < share).view(np.uint8)
    phase, shown = rng.random(rate.shape) if encoder.random_phase else 0.0, np.empty(shape, bool)
    before = np.floor(phase + 0.0 * rate)
    for step in range(encoder.n_steps):
        now = np.floor((step + 1) * rate + phase)
        np.not_equal(now, before, out=shown[step])
        before = now
    return shown.view(np.uint8)


def train(model: Sequential, images: Floats32, labels: Ints, rng: np.random.Generator, encoder: Encoder,
          rule: "Surrogate", start: Sequence[Floats] | None = None, progress: Progress = iter,
          validation: tuple[Floats32, Ints] | None = None,
          events: Shown | None = None) -> tuple[list[Floats], Diagnostics]:
    """Weights of spiking neurons by cross entropy of the counts of their output spikes.

    Parameters as in ``spikingconvnet.training``, and those of :class:`Spiking`.

    start : list of float array or None
        Weights to begin with; None draws them.

    Returns
    -------
    kernels : list of float64 array
        Of every layer, in units of the distance from rest to threshold.
    diagnostics : dict
        ``loss``: mean of every epoch; ``float_validation_accuracy``, if there are such images.
    """
    chain = Spiking(model, rng, encoder, rule)
    for kernel, given in zip(chain.kernels, start or ()):
        kernel.data = torch.from_numpy(given.astype(np.float32))

    def loss(images: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(rule.evidence * chain.counts(images, rule.dropout), truth)

    def shown(split: str, values: Floats32) -> Floats32 | Rasters:
        return values if events is None else Rasters(events, split, len(values))

    diagnostics: Diagnostics = {
        "loss": fit(chain, loss, shown("train", images), labels, rule.descent, rng, progress)}
    if validation is not None:
        diagnostics["float_validation_accuracy"] = accuracy(
            lambda images: chain.counts(images, ties=TIE), shown("validation", validation[0]), validation[1],
            rule.descent.batch if events else JUDGED_AT_ONCE)
    return chain.arrays()[0], diagnostics
