"""Spikes: events on integer steps, the currency between encoders, simulators, caches and the readout.

Samples (images) lie end to end on one timeline: sample ``s`` owns the steps ``s * n_steps .. (s + 1) * n_steps - 1``.
Storage is compressed by step: 2 bytes an event for up to 65,536 neurons and 8 bytes a step, so 60,000 digits of
340 spikes in 38 steps take 59 MB; a dense raster of them would take 3.6 GB. What does not fit is a SettingsError.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spikingconvnet.errors import require
from spikingconvnet.network.arrays import ArrayLike, Ids, Ints, Ints32, Shape


@dataclass(frozen=True, eq=False)
class Spikes:
    """Spikes of one population.

    Attributes
    ----------
    shape : (C, H, W)
        Shape of the population; neuron ids count in the order (channel, row, column).
    n_steps : int
        Steps per sample, gap included.
    offsets : int64 array (n_samples * n_steps + 1,)
        ``neurons[offsets[t]:offsets[t + 1]]`` fire in step ``t`` of the timeline.
    neurons : uint16 or uint32 array (n_events,)
        Ascending inside a step; an id that stands twice in a step fired twice.
    """

    shape: Shape
    n_steps: int
    offsets: Ints
    neurons: Ids

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        require(len(self.shape) == 3 and min(self.shape) >= 0, "Spikes", "shape", self.shape,
                "(channels, rows, columns)")
        require(self.n_steps >= 1, "Spikes", "n_steps", self.n_steps, "at least 1")
        require(len(self.offsets) >= 1 and (len(self.offsets) - 1) % self.n_steps == 0, "Spikes", "offsets",
                len(self.offsets), "one more than a whole number of samples")
        require(self.offsets[0] == 0 and self.offsets[-1] == len(self.neurons), "Spikes", "offsets",
                (int(self.offsets[0]), int(self.offsets[-1])), f"from 0 to {len(self.neurons)} events")
        require(bool(np.all(self.offsets[1:] >= self.offsets[:-1])), "Spikes", "offsets", "a decreasing value",
                "ascending")
        top = int(self.neurons.max()) if len(self.neurons) else 0
        require(top < self.size, "Spikes", "neurons", top, f"below {self.size}")

    def check_order(self) -> None:
        """Raise a SettingsError unless neurons ascend inside every step, as everything that makes Spikes sees to."""
        falls = np.flatnonzero(self.neurons[1:] < self.neurons[:-1]) + 1
        begins = self.offsets[np.searchsorted(self.offsets, falls)]
        require(bool(np.all(begins == falls)), "Spikes", "neurons", "a descending id", "ascending inside a step")

    @classmethod
    def from_events(cls, sample: ArrayLike, neuron: ArrayLike, step: ArrayLike, shape: Shape, n_samples: int,
                    n_steps: int) -> "Spikes":
        """Spikes from three event arrays of equal length, in any order; one outside its range is a SettingsError.

        >>> s = Spikes.from_events([1, 0, 0], [2, 3, 1], [0, 4, 4], (1, 2, 2), n_samples=2, n_steps=5)
        >>> s.neurons.tolist(), s.steps().tolist()
        ([1, 3, 2], [4, 4, 5])
        """
        sample, neuron, step = (np.asarray(part, np.int64) for part in (sample, neuron, step))
        for name, part, stop in (("sample", sample, n_samples), ("neuron", neuron, int(np.prod(shape))),
                                 ("step", step, n_steps)):
            inside = not len(part) or (part.min() >= 0 and part.max() < stop)
            require(inside, "Spikes", name, [int(part.min()), int(part.max())] if len(part) else [],
                    f"within 0 .. {stop - 1}")
        time, size = sample * n_steps + step, max(int(np.prod(shape)), 1)
        offsets = np.zeros(n_samples * n_steps + 1, np.int64)
        np.cumsum(np.bincount(time, minlength=n_samples * n_steps), out=offsets[1:])
        ordered = np.sort(time * size + neuron)         # as one number: several times as fast as by two keys
        return cls(shape, n_steps, offsets, (ordered % size).astype(neuron_dtype(shape)))

    @classmethod
    def empty(cls, shape: Shape, n_samples: int, n_steps: int) -> "Spikes":
        """`n_samples` samples without a spike."""
        return cls(shape, n_steps, np.zeros(n_samples * n_steps + 1, np.int64), np.zeros(0, neuron_dtype(shape)))

    @classmethod
    def concatenate(cls, parts: "Sequence[Spikes]") -> "Spikes":
        """Recordings of one population, one after another on the timeline; of different ones, a SettingsError."""
        require(len(parts) >= 1, "Spikes", "parts", parts, "at least one recording")
        first = parts[0]
        for part in parts:
            require((part.shape, part.n_steps) == (first.shape, first.n_steps), "Spikes", "shape, n_steps",
                    (part.shape, part.n_steps), f"those of the first part, {(first.shape, first.n_steps)}")
        starts = np.cumsum([0] + [len(p.neurons) for p in parts])
        offsets = np.concatenate([[0]] + [p.offsets[1:] + start for p, start in zip(parts, starts)])
        return cls(first.shape, first.n_steps, offsets.astype(np.int64), np.concatenate([p.neurons for p in parts]))

    @property
    def size(self) -> int:
        """Neurons of the population."""
        return int(math.prod(self.shape))

    @property
    def n_samples(self) -> int:
        """Samples on the timeline."""
        return (len(self.offsets) - 1) // self.n_steps

    @property
    def n_events(self) -> int:
        """Spikes in all."""
        return len(self.neurons)

    def steps(self) -> Ints:
        """Timeline step of every event: int64 array (n_events,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def events(self) -> tuple[Ints, Ints, Ints]:
        """``sample, neuron, step`` of every event, step counted inside its sample: three int64 arrays."""
        time = self.steps()
        return time // self.n_steps, self.neurons.astype(np.int64), time % self.n_steps

    def samples(self, start: int, stop: int) -> "Spikes":
        """Samples ``start .. stop - 1`` as Spikes of their own, without copying the events.

        Samples beyond the timeline are a SettingsError.
        """
        require(0 <= start <= stop <= self.n_samples, "Spikes", "samples", (start, stop),
                f"within 0 .. {self.n_samples}, first to last")
        offsets = self.offsets[start * self.n_steps:stop * self.n_steps + 1]
        return Spikes(self.shape, self.n_steps, offsets - offsets[0], self.neurons[offsets[0]:offsets[-1]])

    def window(self, start: int, n_steps: int) -> "Spikes":
        """Steps ``start .. start + n_steps - 1`` of the timeline as one sample, silent beyond its end."""
        offsets = self.offsets[start:start + n_steps + 1]
        if not len(offsets):
            return Spikes.empty(self.shape, 1, n_steps)
        offsets = np.concatenate([offsets, np.full(n_steps + 1 - len(offsets), offsets[-1])])
        return Spikes(self.shape, n_steps, offsets - offsets[0], self.neurons[offsets[0]:offsets[-1]])

    def with_gap(self, n_steps: int) -> "Spikes":
        """The same spikes with `n_steps` steps per sample, silence at the end; fewer than now are a SettingsError."""
        require(n_steps >= self.n_steps, "Spikes", "n_steps", n_steps, f"at least {self.n_steps}")
        counts = np.zeros((self.n_samples, n_steps), np.int64)
        counts[:, :self.n_steps] = np.diff(self.offsets).reshape(self.n_samples, self.n_steps)
        return Spikes(self.shape, n_steps, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), self.neurons)

    def regrouped(self, shape: Shape, neuron_of: ArrayLike) -> "Spikes":
        """Spikes of another population onto which each neuron ``i`` sends its spikes as neuron ``neuron_of[i]``.

        A negative number drops the neuron, one beyond the population is a SettingsError. Several spikes that fall on
        one neuron and step stay several.
        """
        target = np.asarray(neuron_of)[self.neurons]
        sample, _, step = self.events()
        keep = target >= 0
        return Spikes.from_events(sample[keep], target[keep], step[keep], shape, self.n_samples, self.n_steps)

    def counts(self, first: int = 0, last: int | None = None) -> Ints32:
        """Spike counts: int32 array (n_samples, C, H, W).

        Of steps ``first .. last - 1`` of each sample, None: until its end; others than it has are a SettingsError.
        """
        end = self.n_steps if last is None else last
        require(0 <= first <= end <= self.n_steps, "Spikes", "first, last", (first, last),
                f"within 0 .. {self.n_steps}, first to last")
        start = self.n_steps * np.arange(self.n_samples)        # a sample at a time, so that no event is held twice
        found = [np.bincount(self.neurons[a:b], minlength=self.size)
                 for a, b in zip(self.offsets[start + first], self.offsets[start + end])]
        return np.array(found, np.int32).reshape(self.n_samples, *self.shape)

    def raster(self) -> Ints32:
        """Dense counts, for small networks and tests: int32 array (n_samples * n_steps, size)."""
        dense = np.zeros((len(self.offsets) - 1, self.size), np.int32)
        np.add.at(dense, (self.steps(), self.neurons), 1)
        return dense

    def to_lists(self, timestep: float = 1.0) -> list[list[float]]:
        """Spike times in ms, one ascending list of floats a neuron, as PyNN's ``SpikeSourceArray`` takes them."""
        order = np.argsort(self.neurons, kind="stable")
        times = self.steps()[order] * timestep
        ends = np.cumsum(np.bincount(self.neurons, minlength=self.size))[:-1]
        return [part.tolist() for part in np.split(times, ends)]

    def __eq__(self, other: object) -> bool:
        return (isinstance(other, Spikes) and self.shape == other.shape and self.n_steps == other.n_steps
                and np.array_equal(self.offsets, other.offsets) and np.array_equal(self.neurons, other.neurons))


def neuron_dtype(shape: Shape) -> type[np.uint16] | type[np.uint32]:
    """Smallest type that holds the ids of a population: uint16 up to 65,536 neurons, uint32 beyond."""
    return np.uint16 if int(np.prod(shape)) <= 1 << 16 else np.uint32
