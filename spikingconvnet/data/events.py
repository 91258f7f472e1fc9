"""Events of silicon retinas: what brightened or darkened, where and when; straight into spikes, without an encoder."""

from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.data.images import ImageSet, whole_numbers
from spikingconvnet.errors import DataError, require
from spikingconvnet.gates.fields import FLAG, MOST_SLOT, above, check_fields, most, optional, real, several, whole
from spikingconvnet.network.arrays import AnyInts, ArrayLike, Flags, Floats, Floats32, Ints, Ints16, Pair, Pixels
from spikingconvnet.network.spikes import Spikes

__all__ = ["EventBins"]

MOST_SIDE = 4096                # pixels


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


@dataclass(frozen=True)
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

    takes_events = True
    max_rate = 1.0

    def __post_init__(self) -> None:
        check_fields(self, size=several(whole(1, MOST_SIDE), "rows and columns, pixels", 2),
                     n_steps=whole(1, MOST_SLOT), per_step=real(above(0), most(1e9)),
                     crop=optional(several(whole(0, MOST_SIDE), "(top, left, rows, columns), pixels", 4)),
                     pool=whole(1, MOST_SIDE), polarity=FLAG, once=FLAG)
        top, left, rows, columns = self._window()
        require(top + rows <= self.size[0] and left + columns <= self.size[1], "EventBins", "crop", self.crop,
                f"within {self.size[0]}x{self.size[1]} pixels")
        require(min(rows, columns) >= self.pool, "EventBins", "pool", self.pool, f"at most {min(rows, columns)}")

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

    def __call__(self, events: EventSet) -> Spikes:
        """Spikes of `shape`, `n_steps` a sample, of an EventSet; one of a larger sensor than `size` is a DataError."""
        require(events.images.shape[1] <= self.size[0] and events.images.shape[2] <= self.size[1], "EventBins", "size",
                self.size, f"at least {events.images.shape[1]}x{events.images.shape[2]}, the sensor of the events",
                DataError)
        top, left, _, _ = self._window()
        channels, rows, columns = self.shape
        row, column = ((part.astype(np.int64) - begin) // self.pool
                       for part, begin in ((events.y, top), (events.x, left)))
        step = np.floor(events.t / self.per_step).astype(np.int64)
        sample = np.repeat(np.arange(len(events)), np.diff(events.offsets))
        seen = (row >= 0) & (row < rows) & (column >= 0) & (column < columns) & (step < self.n_steps)
        channel = np.where(events.p, 0, channels - 1)
        place = ((sample * self.n_steps + step) * channels + channel) * rows + row      # with its column, one number
        place = (place * columns + column)[seen]
        time, neuron = np.divmod(np.unique(place) if self.once else place, channels * rows * columns)
        return Spikes.from_events(time // self.n_steps, neuron, time % self.n_steps, self.shape, len(events),
                                  self.n_steps)

    def rates(self, events: EventSet) -> Floats32:
        """Spikes a step, float32 (N, channels, rows, columns): what rules that train on rates are shown."""
        counts = replace(self, once=True)(events).counts()
        return (counts / self.n_steps).astype(np.float32)

    def shown(self, values: Floats) -> Floats:
        """Rates as they are."""
        return values
