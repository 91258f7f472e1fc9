"""Gaussian receptive fields: a number as the activity of a population (Bohte, La Poutre and Kok 2002)."""

from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import above, below, check_fields, least, most, optional, real, several, whole
from spikingconvnet.network.arrays import Floats, Numbers

__all__ = ["GaussianReceptiveFields"]


@dataclass(frozen=True)
class GaussianReceptiveFields:
    """A population code, used as a filter: every number answers in several channels, each with a preferred value.

        a_k(x) = exp(-(x - c_k)^2 / (2 s^2)),    c_k = low + k d,    s = width d,    d = (high - low) / (fields - 1)

    for k from 0 to ``fields - 1``, and 0 where that is below `silent_below`. `low` and `high` are the smallest and the
    largest number of the training samples, which :meth:`fitted` looks up; numbers beyond them answer like the nearest
    of the two. A position whose samples are all the same answers like `low`.

    Source: Bohte, La Poutre and Kok 2002, IEEE Trans Neural Netw 13, 426, doi 10.1109/72.991428. There the outermost
    centres lie half a distance beyond the ends, c_i = low + (2 i - 3) / 2 d for i from 1 to m, d = (high - low) /
    (m - 2), and s = d / 1.5.

    Attributes
    ----------
    fields : int
        Channels, at least 2.
    width : float
        Standard deviation of a field, in distances of neighbouring preferred values.
    silent_below : float
        Answers below this one become 0; 1 is the answer to the preferred value.
    low, high : tuple of numbers or None
        Smallest and largest value of every position (row by row) of the training samples.

    Raises
    ------
    SettingsError
        A field that cannot be, or a call before :meth:`fitted`.
    """

    fields: int = 8
    width: float = 1.0
    silent_below: float = 0.1
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        owner, ends = "GaussianReceptiveFields", optional(several(real(least(-1e30), most(1e30)), "numbers"))
        check_fields(self, fields=whole(2, 4096), width=real(above(0), least(1e-3), most(1e6)),
                     silent_below=real(least(0), below(1)), low=ends, high=ends)
        require((self.low is None) == (self.high is None), owner, "low, high", (self.low, self.high), "both or none")
        require(len(self.low or ()) == len(self.high or ()), owner, "low, high", (self.low, self.high), "of one length")

    @property
    def channels(self) -> int:
        """How many there are: `fields`."""
        return self.fields

    @property
    def channel_names(self) -> tuple[str, ...]:
        """``field 1`` and on, tuple of str."""
        return tuple(f"field {k + 1}" for k in range(self.fields))

    def fitted(self, images: Numbers) -> "GaussianReceptiveFields":
        """The same with the range of these samples, (N, H, W) with N at least 1; given ones are kept."""
        if self.low is not None:
            return self
        flat = images.reshape(len(images), -1)
        return replace(self, low=tuple(flat.min(axis=0).tolist()), high=tuple(flat.max(axis=0).tolist()))

    def __call__(self, images: Numbers) -> Floats:
        """Numbers (N, H, W) to float64 (N, fields, H, W)."""
        require(self.low is not None, "GaussianReceptiveFields", "low, high", None, "set, or found by fitted(images)")
        low, high = (np.reshape(np.asarray(end, np.float64), images.shape[1:]) for end in (self.low, self.high))
        place = np.divide(images - low, high - low, out=np.zeros(images.shape), where=high > low).clip(0.0, 1.0)
        distance = place[:, None] * (self.fields - 1) - np.arange(self.fields)[:, None, None]
        answer = np.exp(-0.5 * (distance / self.width) ** 2)
        return np.where(answer >= self.silent_below, answer, 0.0)
