"""Encoders: channel values in, spikes out. One step is one time step of the simulator (1 ms by default).

An encoder is called with float values (N, C, H, W), where 1 is a strong input, and a ``numpy.random.Generator``; it
returns :class:`~spikingconvnet.spikes.Spikes` with ``n_steps`` steps per sample. Random encoders draw sample by sample,
so the spikes do not depend on how the samples are batched.
"""

import math
from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.spikes import Spikes


@dataclass(frozen=True)
class LatencyEncoder:
    """One spike per strong enough input, the earlier the stronger: linear from the last step to step 0.

    Attributes
    ----------
    n_steps : int
        Steps over which the first spikes are spread.
    threshold : float
        Values up to this one are silent.
    saturation : float
        Values from this one on fire in step 0.
    """

    n_steps: int = 15
    threshold: float = 0.08
    saturation: float = 0.6

    def __post_init__(self):
        require(self.n_steps >= 1, "LatencyEncoder", "n_steps", self.n_steps, "at least 1")
        require(0 <= self.threshold < self.saturation, "LatencyEncoder", "threshold, saturation",
                (self.threshold, self.saturation), "0 <= threshold < saturation")

    def __call__(self, values, rng=None):
        """Spikes of `values`, float (N, C, H, W); `rng` is not used."""
        flat = _flat(values)
        sample, neuron = np.nonzero(flat > self.threshold)
        value = flat[sample, neuron]
        late = (self.saturation - np.minimum(value, self.saturation)) / (self.saturation - self.threshold)
        step = np.minimum((late * self.n_steps).astype(np.int64), self.n_steps - 1)
        return Spikes.from_events(sample, neuron, step, values.shape[1:], len(values), self.n_steps)


@dataclass(frozen=True)
class RegularEncoder:
    """Evenly spaced spikes at a rate proportional to the value: one whenever the running sum passes a whole number.

    Attributes
    ----------
    n_steps : int
    max_rate : float
        Spikes per step at value 1 and above, at most 1.
    threshold : float
        Values up to this one are silent.
    """

    n_steps: int = 50
    max_rate: float = 0.2
    threshold: float = 0.0

    def __post_init__(self):
        _check_rate(self)

    def __call__(self, values, rng=None):
        """Spikes of `values`, float (N, C, H, W); `rng` is not used."""
        rate = _rates(self, values)
        total = np.floor(np.arange(self.n_steps + 1)[:, None, None] * rate)
        step, sample, neuron = np.nonzero(np.diff(total, axis=0))
        return Spikes.from_events(sample, neuron, step, values.shape[1:], len(values), self.n_steps)


@dataclass(frozen=True)
class RateEncoder:
    """Independent spikes in every step with a probability proportional to the value (Bernoulli, the Poisson process on
    a grid of steps). Attributes as :class:`RegularEncoder`."""

    n_steps: int = 50
    max_rate: float = 0.2
    threshold: float = 0.0

    def __post_init__(self):
        _check_rate(self)

    def __call__(self, values, rng):
        """Spikes of `values`, float (N, C, H, W), drawn from `rng`, a ``numpy.random.Generator``."""
        rate = _rates(self, values)
        sample, step, neuron = np.nonzero(rng.random((len(values), self.n_steps, rate.shape[1])) < rate[:, None])
        return Spikes.from_events(sample, neuron, step, values.shape[1:], len(values), self.n_steps)


def encode(images, image_filter, encoder, rng, batch=1000):
    """Filter and encode images batch by batch, so that dense values never exist for all of them.

    Parameters
    ----------
    images : uint8 array (N, H, W)
    image_filter : callable of ``preprocessing``
    encoder : callable of this module
    rng : numpy.random.Generator
    batch : int
        Images at a time; the spikes do not depend on it.

    Returns
    -------
    Spikes, shape (C, H, W), ``encoder.n_steps`` steps per sample
    """
    starts = range(0, max(len(images), 1), batch)
    return Spikes.concatenate([encoder(image_filter(images[start:start + batch]), rng) for start in starts])


def _check_rate(encoder):
    name = type(encoder).__name__
    require(encoder.n_steps >= 1, name, "n_steps", encoder.n_steps, "at least 1")
    require(0 < encoder.max_rate <= 1, name, "max_rate", encoder.max_rate, "above 0 and at most 1 spike per step")
    require(encoder.threshold >= 0, name, "threshold", encoder.threshold, "0 or more")


def _flat(values):
    return values.reshape(len(values), math.prod(values.shape[1:]))


def _rates(encoder, values):
    flat = _flat(values)
    return np.where(flat > encoder.threshold, np.minimum(flat, 1.0) * encoder.max_rate, 0.0)
