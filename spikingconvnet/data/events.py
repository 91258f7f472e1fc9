"""Events of silicon retinas: what brightened or darkened, where and when; straight into spikes, without an encoder."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import cast

import numpy as np

from spikingconvnet.data.images import ImageSet, whole_numbers
from spikingconvnet.errors import DataError, SettingsError, require
from spikingconvnet.gates.fields import (
    FLAG,
    MOST_SLOT,
    above,
    check_fields,
    least,
    most,
    optional,
    real,
    several,
    spelled,
    whole,
)
from spikingconvnet.network.arrays import AnyInts, ArrayLike, Flags, Floats, Floats32, Ints, Ints16, Pair, Pixels
from spikingconvnet.network.spikes import Spikes

__all__ = ["EventBins"]

logger = logging.getLogger(__name__)
MOST_SIDE = 4096                # pixels
LEAST_TOLD = 0.0005             # of all events: a smaller share that is left out is not told


@dataclass(frozen=True, eq=False)
class EventSet(ImageSet):
    """Events of many samples, one sample after another; its ``images`` are pictures of how many there are.

    Attributes
    ----------
    offsets : int64 array (N + 1,)
        Sample ``i`` has the events ``offsets[i] .. offsets[i + 1] - 1``.
    t : float64 array (n_events,)
        Time, in the unit of the file; 0 is a sample's first event.
    x, y : int16 array (n_events,)
        Column and row.
    p : bool array (n_events,)
        Whether it became brighter.
    """

    offsets: Ints
    t: Floats
    x: Ints16
    y: Ints16
    p: Flags

    def select(self, indices: ArrayLike) -> "EventSet":
        """The samples at `indices`, as of :meth:`ImageSet.select`.

        Raises
        ------
        SettingsError
            An index outside the set.
        """
        chosen, few = whole_numbers("EventSet.select", "indices", indices), super().select(indices)
        counts = np.diff(self.offsets)[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        at = np.repeat(self.offsets[chosen] - offsets[:-1], counts) + np.arange(offsets[-1])
        return EventSet(few.images, few.labels, offsets, self.t[at], self.x[at], self.y[at], self.p[at])

    def joined(self, other: ImageSet) -> ImageSet:
        """Those of another EventSet behind these, as of :meth:`ImageSet.joined`."""
        if not isinstance(other, EventSet):
            return super().joined(other)
        sets, first = (self, other), np.array([0, len(self)])
        samples = np.concatenate([np.repeat(np.arange(len(one)) + begin, np.diff(one.offsets))
                                  for one, begin in zip(sets, first)])
        t, x, y, p = (np.concatenate([getattr(one, name) for one in sets]) for name in "txyp")
        size = np.max([one.images.shape[1:3] for one in sets], axis=0).tolist()
        return event_set(samples, t, x, y, p, np.concatenate([one.labels for one in sets]), (size[0], size[1]))


def event_set(samples: AnyInts, t: ArrayLike, x: AnyInts, y: AnyInts, p: AnyInts, labels: Pixels,
              size: Pair | None = None, name: str = "events") -> EventSet:
    """An EventSet of events in any order.

    Parameters
    ----------
    samples : int array (n_events,)
        The sample of each event, 0 .. N - 1.
    t, x, y, p : array (n_events,)
        Time, column, row, and polarity, of which what is above 0 is brighter.
    labels : uint8 array (N,)
    size : (H, W) or None
        Of the sensor; None takes the smallest that holds all events.
    name : str
        Of the set, for the error text.

    Raises
    ------
    DataError
        No event, one outside the sensor, a time that is not finite.
    """
    time: Floats = np.asarray(t, np.float64)
    require(len(time), name, "events", 0, "at least one", DataError)
    require(np.isfinite(time).all(), name, "t", "nan or infinite", "finite", DataError)
    size = size or (int(y.max()) + 1, int(x.max()) + 1)
    for axis, values, side in (("y", y, size[0]), ("x", x, size[1])):
        require(0 <= values.min() and values.max() < side <= MOST_SIDE, name, axis,
                [int(values.min()), int(values.max())], f"pixels of a sensor of {size[0]}x{size[1]}", DataError)
    order: Ints = np.lexsort((time, samples))
    time, (samples, columns, rows) = time[order], (np.asarray(part, np.int64)[order] for part in (samples, x, y))
    counts = np.bincount(samples, minlength=len(labels))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    shown = counts > 0
    time -= np.repeat(time[offsets[:-1][shown]], counts[shown])
    return EventSet(_pictures(samples, columns, rows, (len(labels), *size)), labels, offsets, time,
                    columns.astype(np.int16), rows.astype(np.int16), np.asarray(p)[order] > 0)


def _pictures(samples: Ints, x: Ints, y: Ints, shape: tuple[int, int, int]) -> Pixels:
    """Events of each pixel and sample, the most of a sample as 255."""
    counts = np.bincount((samples * shape[1] + y) * shape[2] + x, minlength=int(np.prod(shape))).reshape(shape)
    found: Pixels = (255 * counts // np.maximum(counts.max(axis=(1, 2), keepdims=True), 1)).astype(np.uint8)
    return found


def takes_events(encoder: object) -> bool:
    """Whether an encoder makes spikes of events, and so needs no filter."""
    return bool(getattr(encoder, "takes_events", False))


def showing(bins: Callable[[EventSet], Spikes],
            splits: Callable[[], Mapping[str, ImageSet]]) -> Callable[[str, Ints], Spikes]:
    """What shows a rule for whole chains events, see ``NetworkRule.train``; ``splits()`` is asked once, when needed."""
    once = cache(splits)
    return lambda split, places: bins(cast(EventSet, once()[split].select(places)))


def given(samples: ImageSet, encoder: object) -> EventSet | Pixels:
    """What FILTER and `encoder` are given of a set: its events, if they take events, or else its images."""
    return samples if isinstance(samples, EventSet) and takes_events(encoder) else samples.images


@dataclass(frozen=True, repr=False)
class EventBins:
    """Events as spikes: one channel for what brightens and one for what darkens, in steps of 1 ms.

    It stands as ENCODER; FILTER is left out. The first event of a sample is in step 0.

    Attributes
    ----------
    size : (int, int)
        Rows and columns of the sensor.
    n_steps : int
        Steps of a sample; later events are left out.
    per_step : float
        A step in the unit of the events' times: 1000 for microseconds.
    crop : (top, left, rows, columns) or None
        Part of the sensor that is seen.
    pool : int
        Pixels of a side that share a neuron; rows and columns that do not fill one are left out.
    polarity : bool
        Whether what brightens and what darkens are two channels, or one.
    once : bool
        Whether a neuron fires at most once in a step, however many events it has.
    scale : float
        Spikes of a neuron in a sample that are an input of 1 to units that stand for rates, see :meth:`values`: with 1
        they are shown counts, with `n_steps` spikes a step.
    clip : int or None
        Spikes of a neuron in a sample, its first ones; None: all of them.

    Raises
    ------
    SettingsError
        A field that cannot be.

    >>> seen = event_set(np.zeros(3, int), [0, 900, 2500], np.array([0, 1, 5]), np.array([0, 0, 3]),
    ...                  np.array([1, 1, 0]), np.zeros(1, np.uint8))
    >>> EventBins(size=(4, 6), n_steps=4, pool=2)(seen).events()
    (array([0, 0]), array([ 0, 11]), array([0, 2]))
    """

    size: Pair = (34, 34)
    n_steps: int = 300
    per_step: float = 1000.0
    crop: tuple[int, int, int, int] | None = None
    pool: int = 1
    polarity: bool = True
    once: bool = True
    scale: float = 1.0
    clip: int | None = None

    takes_events = True

    def __post_init__(self) -> None:
        check_fields(self, size=several(whole(1, MOST_SIDE), "rows and columns, pixels", 2),
                     n_steps=whole(1, MOST_SLOT), per_step=real(above(0), most(1e9)),
                     crop=optional(several(whole(0, MOST_SIDE), "(top, left, rows, columns), pixels", 4)),
                     pool=whole(1, MOST_SIDE), polarity=FLAG, once=FLAG,
                     scale=real(above(0), least(1e-6), most(1e9)), clip=optional(whole(1)))
        top, left, rows, columns = self._window()
        require(top + rows <= self.size[0] and left + columns <= self.size[1], "EventBins", "crop", self.crop,
                f"within {self.size[0]}x{self.size[1]} pixels")
        require(min(rows, columns) >= self.pool, "EventBins", "pool", self.pool, f"at most {min(rows, columns)}")

    def __repr__(self) -> str:
        return spelled(self, ("scale", "clip"))

    def _window(self) -> tuple[int, int, int, int]:
        return self.crop or (0, 0, *self.size)

    @property
    def channels(self) -> int:
        """2, or 1 without polarity."""
        return 1 + self.polarity

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the channels."""
        return ("brighter", "darker") if self.polarity else ("events",)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the spikes: (channels, rows, columns)."""
        _, _, rows, columns = self._window()
        return self.channels, rows // self.pool, columns // self.pool

    @property
    def max_rate(self) -> float:
        """Spikes a step, on average over a sample, that are a value of 1."""
        return self.scale / self.n_steps

    def __call__(self, events: EventSet) -> Spikes:
        """Spikes of `shape`, `n_steps` a sample, of an EventSet; one of a larger sensor than `size` is a DataError."""
        return Spikes.from_events(*self._kept(events)[0], self.shape, len(events), self.n_steps)

    def left_out(self, events: EventSet) -> dict[str, float]:
        """Shares of all events that make no spike, by the field for which they do not: dict of str to float.

        ``crop`` (what does not fill a `pool` included), ``n_steps``, ``once`` and ``clip``. Events of a larger sensor
        than `size` are a DataError.
        """
        return {name: count / max(len(events.t), 1) for name, count in self._kept(events)[1].items()}

    def check(self, spikes: Spikes, events: EventSet, name: str) -> None:
        """Refuse events of which none becomes a spike, and say how many do not, and why.

        Parameters
        ----------
        spikes : Spikes
            Of the events.
        events : EventSet
        name : str
            Of the split.

        Raises
        ------
        SettingsError
            Not one spike.
        """
        shares = self.left_out(events)
        told = ", ".join(f"{100 * share:.1f} % by {field}" for field, share in shares.items() if share >= LEAST_TOLD)
        if len(events) and not spikes.n_events:
            raise SettingsError(f"parameters.ENCODER: makes no spike of any of the {len(events):,} {name} samples; of"
                                f" their events are left out: {told}")
        silent = np.count_nonzero(np.diff(spikes.offsets[::spikes.n_steps]) == 0)
        if silent:
            logger.warning("warning: %s of %s %s samples become no spike", f"{silent:,}", f"{spikes.n_samples:,}", name)
        if told:
            logger.info("%s events: ENCODER leaves out %s", name, told)

    def _kept(self, events: EventSet) -> tuple[tuple[Ints, Ints, Ints], dict[str, int]]:
        """Sample, neuron and step of every spike, and how many events are left out by which field."""
        require(events.images.shape[1] <= self.size[0] and events.images.shape[2] <= self.size[1], "EventBins", "size",
                self.size, f"at least {events.images.shape[1]}x{events.images.shape[2]}, the sensor of the events",
                DataError)
        top, left, _, _ = self._window()
        channels, rows, columns = self.shape
        row, column = ((part.astype(np.int64) - begin) // self.pool
                       for part, begin in ((events.y, top), (events.x, left)))
        step = np.floor(events.t / self.per_step).astype(np.int64)
        sample = np.repeat(np.arange(len(events)), np.diff(events.offsets))
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        seen = inside & (step < self.n_steps)
        channel = np.where(events.p, 0, channels - 1)
        place = ((sample * channels + channel) * rows + row) * columns + column         # with its step, one number
        place = (place * self.n_steps + step)[seen]
        place = np.unique(place) if self.once else np.sort(place)
        counted, (where, step) = len(place), np.divmod(place, self.n_steps)
        if self.clip is not None:
            begins = np.flatnonzero(np.diff(where, prepend=-1))
            early = np.arange(counted) - np.repeat(begins, np.diff(begins, append=counted)) < self.clip
            where, step = where[early], step[early]
        sample, neuron = np.divmod(where, channels * rows * columns)
        return (sample, neuron, step), {
            "crop": int(np.sum(~inside)), "n_steps": int(np.sum(inside)) - int(np.sum(seen)),
            "once": int(np.sum(seen)) - counted, "clip": counted - len(where)}

    def values(self, events: EventSet) -> Floats32:
        """What units that stand for rates are shown: spikes of a sample over `scale`, float32 ``(N, *shape)``."""
        return (self(events).counts() / self.scale).astype(np.float32)

    def shown(self, values: Floats) -> Floats:
        """Values as they are; they may be above 1."""
        return values
