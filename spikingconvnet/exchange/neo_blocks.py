"""Recordings as Blocks of neo, in the manner of PyNN's ``get_data``, and spikes of such Blocks.

As in PyNN a Segment is what happens between two resets of the network, its times begin at its own start, a SpikeTrain
is what one neuron fires, silent ones too, with `source_population`, `source_index` (the neuron in its population) and
`source_id` (among all neurons), and an AnalogSignal has a channel for each neuron of a population. PyNN's Assembly has
several populations in one Block, too.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from spikingconvnet.backends.base import ACCUM, Record, recorded_neurons
from spikingconvnet.errors import DataError, require
from spikingconvnet.exchange.spike_tables import About, Events, Sizes, assembled, read_about, whole_steps, write_about
from spikingconvnet.gates.libraries import need
from spikingconvnet.network.arrays import Floats, Ints, Ints32
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

KEY = "spikingconvnet"
UNITS = {"v": "mV", "gsyn_exc": "nA", "gsyn_inh": "nA"}


class Recorded(Protocol):
    """What a run gave: a ``backends.base.Recording``, or a ``compare.recorded.Recorded``."""

    @property
    def spikes(self) -> Mapping[str, Spikes]:
        """By population."""

    @property
    def membranes(self) -> Mapping[str, Mapping[str, Ints32]]:
        """By population and variable."""


def to_neo(recording: Recorded, network: Network, record: Record | None = None, t_start: float = 0.0) -> Any:
    """A recording as a Block of neo.

    Parameters
    ----------
    recording : Recording
        Spikes become SpikeTrains, membranes (`v`, mV) and currents (`gsyn_exc`, `gsyn_inh`, nA) AnalogSignals.
    network : Network
        The one that was run: it tells the time step, the names of neurons, and when it was reset.
    record : collection of str, or dict of str to int array
        What was recorded, as it was said to ``run``; None: all neurons of what has membranes.
    t_start : float
        ms at which the recording began, if it is one of several of a simulation.

    Returns
    -------
    neo.Block
        One Segment; of a network that is reset (``reset_every``) one for each time between resets.

    Raises
    ------
    BackendError
        The package neo is not installed.
    NetworkError
        A population or neurons that the network has not.
    SettingsError
        More or fewer neurons were recorded than `record` says.
    """
    need("neo", "to_neo")
    import neo

    neurons = recorded_neurons(network, list(recording.membranes) if record is None else record)
    for label, traces in recording.membranes.items():
        told, found = len(neurons.get(label, ())), {len(trace[0]) for trace in traces.values() if len(trace)}
        require(found <= {told}, "to_neo", "record", f"{told} neurons of {label!r}",
                f"what was said to run, {sorted(found)} of them")
    steps = max((len(spikes.offsets) - 1 for spikes in recording.spikes.values()), default=0)
    made = _Segments(neo, recording, network, neurons, t_start)
    block = neo.Block(name=KEY, dt=network.timestep, simulator=KEY, **{
        KEY: write_about(recording.spikes, network.timestep)})
    length = network.reset_every or max(steps, 1)
    for begin in range(0, steps, length):
        block.segments.append(made.segment(f"segment{begin // length:03d}", begin, min(length, steps - begin)))
        block.segments[-1].block = block
    return block


def save_nix(path: str | Path, block: Any) -> None:
    """Write a Block as a file of NIX, in which neo keeps all of it; a BackendError if nixio is not installed."""
    need("nixio", "save_nix", "neo")
    import neo

    io = neo.io.NixIO(str(path), mode="ow")
    io.write_block(block)
    io.close()


@dataclass(frozen=True, eq=False)
class _Segments:
    neo: Any
    recording: Recorded
    network: Network
    neurons: Mapping[str, Ints]
    t_start: float

    def segment(self, name: str, begin: int, length: int) -> Any:
        """Steps ``begin .. begin + length - 1`` of the recording as a Segment."""
        made = self.neo.Segment(name=name)
        made.spiketrains.extend(list(self._trains(begin, length)))      # which looks twice
        made.analogsignals.extend(list(self._signals(begin, length)))
        return made

    @property
    def _first(self) -> dict[str, int]:
        """Neurons of all populations before each."""
        populations = self.network.populations
        return dict(zip((p.label for p in populations), np.cumsum([0, *(p.size for p in populations)]).tolist()))

    def _trains(self, begin: int, length: int) -> Iterator[Any]:
        first, step = self._first, self.network.timestep
        for label, spikes in self.recording.spikes.items():
            for i, times in enumerate(spikes.window(begin, length).to_lists(step)):
                yield self.neo.SpikeTrain(
                    np.array(times) + self.t_start, self.t_start + length * step, "ms", t_start=self.t_start,
                    source_population=label, source_index=i, source_id=first[label] + i, channel_id=first[label] + i)

    def _signals(self, begin: int, length: int) -> Iterator[Any]:
        ms = self.neo.SpikeTrain([], 1.0, "ms").t_stop
        for label, traces in self.recording.membranes.items():
            ids = self.neurons[label] + self._first[label]
            for name, trace in traces.items():
                yield self.neo.AnalogSignal(
                    trace[begin:begin + length] / ACCUM, UNITS[name], t_start=ms * self.t_start,
                    sampling_period=ms * self.network.timestep, name=name, source_population=label, channel_ids=ids,
                    source_ids=ids, array_annotations={"channel_index": self.neurons[label]})


def from_neo(block: Any, network: Network | None = None, timestep: float | None = None) -> dict[str, Spikes]:
    """Spikes of a Block of neo, as PyNN, sPyNNaker or :func:`to_neo` make one.

    Parameters
    ----------
    block : neo.Block
        Each Segment is a sample that begins with its SpikeTrains, but for Blocks of :func:`to_neo`, which know theirs.
    network : Network or None
        As for ``spike_files.load_spikes``.
    timestep : float or None
        ms of a step, if neither a network nor the Block (annotation `dt`, as PyNN's) tells it; None is 1.

    Returns
    -------
    dict of str to Spikes
        By the `source_population` of SpikeTrains, or the Block's name; neurons by `source_index`, or in order.

    Raises
    ------
    DataError
        No Block; spikes that fall out of it, or that the network has no place for.
    """
    if not hasattr(block, "segments"):
        raise DataError(f"from_neo: takes a neo.Block, got {type(block).__name__}")
    told = read_about(str(block.annotations[KEY])) if KEY in block.annotations else About()
    timestep = (network.timestep if network else 0) or float(block.annotations.get("dt", 0)) or timestep or 1.0
    trains = [_Train.of(train, number, i, block.name or "") for number, segment in enumerate(block.segments)
              for i, train in enumerate(segment.spiketrains)]
    steps = int(whole_steps(np.array([0.0, *(train.length for train in trains)]), timestep).max())
    sizes = {train.label: Sizes(None, len(block.segments), max(steps, 1)) for train in trains}
    if network is None:
        neurons = {label: max(train.neuron for train in trains if train.label == label) for label in sizes}
        sizes = {label: replace(one, shape=(1 + neurons[label], 1, 1)) for label, one in sizes.items()}
    tables = {label: _events([train for train in trains if train.label == label]) for label in sizes}
    found = assembled(tables, About(told.timestep or timestep, sizes), network)
    return {label: _regrouped(one, told.sizes[label]) if label in told.sizes else one for label, one in found.items()}


@dataclass(frozen=True, eq=False)
class _Train:
    """A SpikeTrain: whose it is, the number of its Segment, times since it began and its length, ms."""

    label: str
    neuron: int
    sample: int
    times: Floats
    length: float

    @classmethod
    def of(cls, train: Any, sample: int, place: int, name: str) -> "_Train":
        """A SpikeTrain of neo."""
        about, times = train.annotations, np.asarray(train.rescale("ms").magnitude, np.float64)
        start, stop = (float(one.rescale("ms")) for one in (train.t_start, train.t_stop))
        return cls(str(about.get("source_population", name)), int(about.get("source_index", place)), sample,
                   times - start, stop - start)


def _events(trains: Sequence[_Train]) -> Events:
    counts = [len(train.times) for train in trains]
    return Events(np.repeat([train.sample for train in trains], counts), np.repeat(
        [train.neuron for train in trains], counts), np.concatenate([train.times for train in trains]))


def _regrouped(spikes: Spikes, told: Sizes) -> Spikes:
    """The same timeline in the samples that a Block tells of."""
    offsets = spikes.offsets[:(told.samples or 1) * (told.steps or 1) + 1]
    if offsets[-1] < spikes.n_events or (len(offsets) - 1) % (told.steps or 1):
        raise DataError("from_neo: SpikeTrains are shorter or longer than the Block tells of them")
    return Spikes(told.shape or spikes.shape, told.steps or 1, offsets, spikes.neurons)
