"""Encoders: channel values in, spikes out. One step is one time step of the simulator (1 ms by default).

An encoder is called with float values (N, C, H, W), where 1 is a strong input, and a ``numpy.random.Generator``. It
returns :class:`~spikingconvnet.Spikes` with ``n_steps`` steps per sample. Random encoders draw sample by sample, so the
spikes do not depend on how the samples are batched. In the equations x is a value and t a step, 0 to ``n_steps - 1``:

    latency    t(x) = floor(n_steps (saturation - x) / (saturation - threshold)), for x > threshold
    regular    s(t) = floor((t + 1) r + phase) - floor(t r + phase)
    rate       P(s(t) = 1) = r, independently in every step

with r = max_rate min(x, 1) for x > threshold, and 0 up to it. An encoder whose fields cannot be is a SettingsError.
:class:`GaussianReceptiveFields` makes channels for them out of numbers that are not grey values.
"""

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.data.events import EventSet
from spikingconvnet.data.protocols import ImageFilter
from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.fields import FLAG, MOST_SLOT, above, check_fields, least, most, real, whole
from spikingconvnet.network.arrays import Floats, Floats32, Ints, Numbers, Pixels
from spikingconvnet.network.spikes import Spikes

__all__ = ["LatencyEncoder", "RateEncoder", "RegularEncoder"]

logger = logging.getLogger(__name__)

TOGETHER = 1000             # inputs whose steps are written out at a time

_STEPS = whole(1, MOST_SLOT)
_VALUE = real(least(0), most(1e6))
_RATED = {"n_steps": _STEPS, "max_rate": real(above(0), most(1, " spike per step")), "threshold": _VALUE}


@dataclass(frozen=True)
class LatencyEncoder:
    """One spike per strong enough input, the earlier the stronger: linear from the last step to step 0.

        t(x) = floor(n_steps (saturation - x) / (saturation - threshold))

    At most ``n_steps - 1``; 0 from `saturation` on. Strong inputs first, weak ones later or not at all, as in
    Kheradpisheh et al. 2018 (doi 10.1016/j.neunet.2017.12.005); that it is a line is this encoder's own.

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

    def __post_init__(self) -> None:
        check_fields(self, n_steps=_STEPS, threshold=_VALUE, saturation=_VALUE)
        require(self.threshold < self.saturation, "LatencyEncoder", "threshold, saturation",
                (self.threshold, self.saturation), "0 <= threshold < saturation")

    def __call__(self, values: Numbers, rng: np.random.Generator | None = None) -> Spikes:
        """Spikes of `values`, float (N, C, H, W); `rng` is not used."""
        flat = _flat(values)
        sample, neuron = np.nonzero(flat > self.threshold)
        value = flat[sample, neuron]
        late = (self.saturation - np.minimum(value, self.saturation)) / (self.saturation - self.threshold)
        step = np.minimum((late * self.n_steps).astype(np.int64), self.n_steps - 1)
        return Spikes.from_events(sample, neuron, step, values.shape[1:], len(values), self.n_steps)


@dataclass(frozen=True)
class RegularEncoder:
    """Evenly spaced spikes at a rate proportional to the value: one whenever the running sum reaches a whole number.

        s(t) = floor((t + 1) r + phase) - floor(t r + phase),    r = max_rate min(x, 1)

    So fires a neuron without leak, with threshold 1 and reset by subtraction, at a constant input r (Rueckauer et al.
    2017, doi 10.3389/fnins.2017.00682).

    Attributes
    ----------
    n_steps : int
    max_rate : float
        Spikes per step at value 1 and above, at most 1.
    threshold : float
        Values up to this one are silent.
    random_phase : bool
        Whether the sum of every input begins at a number of its own between 0 and 1 and not at 0, so that equal inputs
        do not fire together.
    """

    n_steps: int = 50
    max_rate: float = 0.2
    threshold: float = 0.0
    random_phase: bool = False

    def __post_init__(self) -> None:
        check_fields(self, **_RATED, random_phase=FLAG)

    def __call__(self, values: Numbers, rng: np.random.Generator | None = None) -> Spikes:
        """Spikes of `values`, float (N, C, H, W); `rng` is used for random phases alone, which need it."""
        rate = _rates(self, values)
        if self.random_phase and rng is None:
            raise SettingsError("RegularEncoder.random_phase: needs a numpy.random.Generator, got None")
        sample, neuron = np.nonzero(rate)
        rates = rate[sample, neuron]
        if self.random_phase and rng:
            phase, which = rng.random(rate.shape)[sample, neuron], np.arange(len(rates))
        else:       # inputs of the same rate fire in the same steps, and images have few grey values
            rates, which = np.unique(rates, return_inverse=True)
            phase = np.zeros(len(rates))
        steps, counts = self._course(rates, phase)
        starts, each = np.cumsum(counts) - counts, counts[which]
        place = np.arange(each.sum()) + np.repeat(starts[which] - (np.cumsum(each) - each), each)
        return Spikes.from_events(np.repeat(sample, each), np.repeat(neuron, each), steps[place], values.shape[1:],
                                  len(values), self.n_steps)

    def _course(self, rate: Floats, phase: Floats) -> tuple[Ints, Ints]:
        """Steps of all spikes, one input after another, and how many each has: two int arrays."""
        step, parts = np.arange(self.n_steps + 1), []
        for first in range(0, max(len(rate), 1), TOGETHER):
            chosen = slice(first, first + TOGETHER)
            parts.append(np.nonzero(np.diff(np.floor(np.multiply.outer(rate[chosen], step) + phase[chosen, None]))))
        which = np.concatenate([row + part * TOGETHER for part, (row, _) in enumerate(parts)])
        return np.concatenate([steps for _, steps in parts]), np.bincount(which, minlength=len(rate))

    def shown(self, values: Numbers) -> Floats:
        """What the spikes of `values` say, their rate over `max_rate`: an array like `values`, 0 to 1."""
        return _shown(self, values)


@dataclass(frozen=True)
class RateEncoder:
    """Independent spikes in every step with a probability proportional to the value.

        P(s(t) = 1) = max_rate min(x, 1)

    The Poisson process on a grid of steps (Dayan and Abbott 2001, Theoretical Neuroscience, section 1.4), at most one
    spike a step. Attributes as :class:`RegularEncoder`.
    """

    n_steps: int = 50
    max_rate: float = 0.2
    threshold: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, **_RATED)

    def __call__(self, values: Numbers, rng: np.random.Generator) -> Spikes:
        """Spikes of `values`, float (N, C, H, W), drawn from `rng`, a ``numpy.random.Generator``."""
        rate = _rates(self, values)
        sample, step, neuron = np.nonzero(rng.random((len(values), self.n_steps, rate.shape[1])) < rate[:, None])
        return Spikes.from_events(sample, neuron, step, values.shape[1:], len(values), self.n_steps)

    def shown(self, values: Numbers) -> Floats:
        """See :meth:`RegularEncoder.shown`."""
        return _shown(self, values)


def encode(images: Pixels | EventSet, image_filter: ImageFilter, encoder: Any, rng: np.random.Generator,
           batch: int = 1000, progress: Callable[[Iterable[int]], Iterable[int]] = iter) -> Spikes:
    """Filter and encode images batch by batch, so that dense values never exist for all of them.

    Parameters
    ----------
    images : uint8 array (N, H, W), or EventSet
        Events for an encoder that takes them as they are, see ``events.given``.
    image_filter : callable of ``filters``
    encoder : callable of this module
    rng : numpy.random.Generator
    batch : int
        Images at a time; the spikes do not depend on it.
    progress : callable
        Wraps the batches.

    Returns
    -------
    Spikes, shape (C, H, W), ``encoder.n_steps`` steps per sample
    """
    if isinstance(images, EventSet):
        of_events: Spikes = encoder(images)
        return of_events
    starts = progress(range(0, max(len(images), 1), batch))
    return Spikes.concatenate([encoder(image_filter(images[start:start + batch]), rng) for start in starts])


def shown(images: Pixels | EventSet, image_filter: ImageFilter, encoder: Any) -> Floats32:
    """What the input of a network says of images: values of the filter as the spikes of the encoder show them.

    An encoder with a rate shows nothing above 1, and nothing up to its threshold (:meth:`RegularEncoder.shown`); others
    are taken to show what they are given. Of events it is how many there are, see ``EventBins.values``.

    Parameters
    ----------
    images, image_filter, encoder
        As for :func:`encode`.

    Returns
    -------
    float32 array (N, C, H, W)
    """
    if isinstance(images, EventSet):
        found: Floats32 = encoder.values(images)
        return found
    values = image_filter(images)
    return (encoder.shown(values) if hasattr(encoder, "shown") else values).astype(np.float32)


def rate_of(encoder: Any, who: str) -> Any:
    """Spikes a step with which an encoder shows a value of 1, its ``max_rate``.

    Parameters
    ----------
    encoder : callable of this module
        Or one of your own with ``max_rate`` and ``shown(values)``, as of :class:`RegularEncoder`.
    who : str
        What needs a rate, for the error.

    Raises
    ------
    SettingsError
        An encoder that has no rate: a latency is none.
    """
    if not (hasattr(encoder, "max_rate") and hasattr(encoder, "shown")):
        raise SettingsError(f"parameters.ENCODER: {who} needs values as rates of spikes, as RegularEncoder and"
                            f" RateEncoder show them (one of your own: with max_rate and shown(values)), got {encoder}")
    return encoder.max_rate


def check_fires(spikes: Spikes, images: Pixels | EventSet, image_filter: ImageFilter, encoder: Any, name: str) -> None:
    """Refuse images none of which becomes a spike, and say how many do not; of events as ``EventBins.check``.

    Parameters
    ----------
    spikes : Spikes
        That `encoder` has made of what `image_filter` makes of the images.
    images, image_filter, encoder
        As for :func:`encode`.
    name : str
        Of the images.

    Raises
    ------
    SettingsError
        No image has a spike; the text says what values the encoder is given, and from which on it fires.
    """
    if isinstance(images, EventSet):
        encoder.check(spikes, images, name)
        return
    silent = np.count_nonzero(np.diff(spikes.offsets[::spikes.n_steps]) == 0)
    if silent and silent == spikes.n_samples:
        threshold, largest = getattr(encoder, "threshold", 0.0), image_filter(images[:1000]).max()
        raise SettingsError(f"parameters.FILTER, ENCODER: make no spike of any of the {silent:,} {name} images; FILTER"
                            f" makes values up to {largest:.3g}"
                            + (f", ENCODER is silent up to its threshold of {threshold:.3g}; lower that, or take a"
                               " FILTER that makes more" if threshold else "; take a FILTER that makes more, or"
                               " an ENCODER that fires more often"))
    if silent:
        logger.warning("warning: %s of %s %s images become no spike", f"{silent:,}", f"{spikes.n_samples:,}", name)


def _flat(values: Numbers) -> Floats:
    return values.reshape(len(values), math.prod(values.shape[1:]))


def _shown(encoder: RegularEncoder | RateEncoder, values: Numbers) -> Floats:
    return np.where(values > encoder.threshold, np.minimum(values, 1.0), 0.0)


def _rates(encoder: RegularEncoder | RateEncoder, values: Numbers) -> Floats:
    return _shown(encoder, _flat(values)) * encoder.max_rate
