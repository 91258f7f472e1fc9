"""Replicas: copies of a network, each with a timeline of its own, side by side on a board, on cores or on a cluster.

The integers of a replica do not depend on where it runs, nor on how many others do. A cluster is dask.distributed's; it
runs a replica again whose worker has died.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from spikingconvnet.backends import get_backend
from spikingconvnet.backends.base import Record, Recording
from spikingconvnet.experiment import readout
from spikingconvnet.model.head import READOUT
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.network.arrays import Ints32, Numbers, Pair
from spikingconvnet.network.netlist import Network, together
from spikingconvnet.network.spikes import Spikes

REPLICA_SAMPLES = 5000      # images of a timeline
BATCH = 250                 # samples simulated at a time


def timelines(spikes: Spikes) -> list[Spikes]:
    """The samples of a source as timelines of at most `REPLICA_SAMPLES`: list of Spikes."""
    return [spikes.samples(first, min(first + REPLICA_SAMPLES, spikes.n_samples))
            for first in range(0, spikes.n_samples, REPLICA_SAMPLES)]


def respond(networks: Sequence[Network], label: str, backend: str, grid: Pair | None = None,
            **options: Any) -> tuple[list[Any], Recording]:
    """What one population of each network answers to its whole timeline, all networks being simulated as one.

    Parameters
    ----------
    networks : list of Network
        The samples of their sources, gap included, are the timelines; equally many for all.
    label : str
        Of the population.
    backend : str
    grid : (rows, columns) or None
        Cells per map in which spikes are counted; None keeps the spikes.
    options
        For the backend's ``open``; ``through``, if it is given, is put in front of that, and sees all spikes.

    Returns
    -------
    responses : list of Spikes, or of uint16 arrays (samples, features)
    recording : Recording
        The last one, for its warnings.
    """
    parts: list[list[Any]] = [[] for _ in networks]
    labels = [label + suffix for suffix in _suffixes(networks)]
    if grid is not None and hasattr(get_backend(backend), "COUNTS") and "through" not in options:
        options = {**options, "counted": dict.fromkeys(labels, grid)}
    for recording, _ in _batches(networks, backend, (), options):
        for part, label in zip(parts, labels):
            part.append(recording.spikes[label] if grid is None else recording.counts[label]
                        if label in recording.counts else readout.spike_counts(recording.spikes[label], grid))
    join = Spikes.concatenate if grid is None else np.concatenate
    return [join(part) for part in parts], recording


def win(networks: Sequence[Network], label: str, grid: Pair, backend: str,
        **options: Any) -> tuple[list[dict[str, Numbers]], Recording]:
    """Which unit of each network's readout fires first, and the counts of the layer before it.

    Parameters
    ----------
    networks : list of Network
        As for :func:`respond`, made by ``head.answering``, simulated as one.
    label, grid, backend
        As for :func:`respond`.
    options
        For the backend's ``open``.

    Returns
    -------
    answers : list of dict
        ``units`` and ``steps``, int16 (samples,), see ``readout.by_first_spike``; ``counts`` as of :func:`respond`.
    recording : Recording
        The last one, for its warnings.
    """
    parts: list[list[dict[str, Numbers]]] = [[] for _ in networks]
    for recording, _ in _batches(networks, backend, (), options):
        for part, suffix in zip(parts, _suffixes(networks)):
            units, steps = readout.by_first_spike(recording.spikes[READOUT + suffix])
            part.append({"units": units.astype(np.int16), "steps": steps.astype(np.int16),
                         "counts": readout.spike_counts(recording.spikes[label + suffix], grid)})
    return [_joined(part) for part in parts], recording


def _joined(parts: Sequence[Mapping[str, Numbers]]) -> dict[str, Numbers]:
    """Arrays of batches one after another, by name."""
    return {name: np.concatenate([one[name] for one in parts]) for name in parts[0]}


def classify(networks: Sequence[Network], layer: SpikeCount | Membrane, backend: str,
             **options: Any) -> tuple[list[dict[str, Numbers]], Recording]:
    """What the output units of each network answer to its whole timeline, all networks being simulated as one.

    Parameters
    ----------
    networks : list of Network
        As for :func:`respond`; the last population holds the output units.
    layer : layers.SpikeCount or layers.Membrane
    backend : str
    options
        For the backend's ``open``.

    Returns
    -------
    answers : list of dict
        ``units`` uint16 (samples, steps of the window), ``output`` float64 (samples, units), see ``readout``; and
        ``spikes`` uint32 (samples, populations), how many each population fired, the source first.
    recording : Recording
        The last one, for its warnings.
    """
    labels = [p.label for p in networks[0].populations]
    record = [labels[-1] + suffix for suffix in _suffixes(networks)] if layer.needs_membranes else []
    parts: list[list[dict[str, Numbers]]] = [[] for _ in networks]
    for recording, samples in _batches(networks, backend, record, options):
        for part, suffix, network in zip(parts, _suffixes(networks), networks):
            source = network.populations[0].given_spikes.samples(samples.start, samples.stop)
            part.append(_answer([source, *(recording.spikes[label + suffix] for label in labels[1:])], layer,
                                recording.membranes.get(labels[-1] + suffix, {}).get("v")))
    return [_joined(part) for part in parts], recording


def _answer(spikes: Sequence[Spikes], layer: SpikeCount | Membrane, v: Ints32 | None) -> dict[str, Numbers]:
    """Of one batch; `spikes` of all populations."""
    window = layer.window(spikes[0].n_steps)
    if isinstance(layer, Membrane) and v is not None:
        units, output = readout.by_membrane(v, spikes[0].n_steps, window)
    else:
        units, output = readout.by_spike_count(spikes[-1], window, v)
    fired = [np.diff(s.offsets[::s.n_steps]) for s in spikes]
    return {"units": units, "output": output, "spikes": np.stack(fired, axis=1).astype(np.uint32)}


def _suffixes(networks: Sequence[Network]) -> list[str]:
    """What :func:`together` puts behind the labels of each network."""
    return [""] if len(networks) == 1 else [f"#{i}" for i in range(len(networks))]


def _batches(networks: Sequence[Network], backend: str, record: Record,
             options: Mapping[str, Any]) -> Iterator[tuple[Recording, range]]:
    """Recordings of `BATCH` samples after another, and the range of these samples."""
    network = networks[0] if len(networks) == 1 else together(networks)
    source = next(p.given_spikes for p in network.populations if p.has_given_spikes)
    given = dict(options)
    through, opened = given.pop("through", None), get_backend(backend).open
    with (through(opened) if through else opened)(network, record, **given) as simulation:
        for start in range(0, source.n_samples, BATCH):
            samples = range(start, min(start + BATCH, source.n_samples))
            simulation.run(len(samples) * source.n_steps)
            yield simulation.recording(), samples
