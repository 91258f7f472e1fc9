"""The local backend: a network in SpiNNaker's integers, stage by stage.

A stage is a set of populations that depend on each other (a strongly connected part of the network). Stages run one
after another over the same steps: for a feed-forward network that is the same as running all of it at once, and it lets
a convolution keep its state in the cache. A population into which nothing but convolutions come, of one stride, is a
:class:`ConvStage`, everything else a ``general_stage.GeneralStage``.

What is promised: the integers of ``board/reference.py``, which names the files of sPyNNaker 7.4.1 whose binaries they
were compared with, for any number of threads, with the kernels in C and with those of numba.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import MappingProxyType, ModuleType
from typing import TypeAlias

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from spikingconvnet.backends.base import Record, Recording, Weights, joined, recorded_neurons
from spikingconvnet.backends.local import native
from spikingconvnet.backends.local.conv_stage import Branches, ConvStage, lateral_weights
from spikingconvnet.backends.local.general_stage import GeneralStage
from spikingconvnet.backends.local.layout import Membranes
from spikingconvnet.backends.local.poisson_core import KernelCore
from spikingconvnet.board.fixed_point import ACCUM_ONE, accum
from spikingconvnet.board.lowering import Lowered, lower
from spikingconvnet.board.poisson import PoissonSource
from spikingconvnet.board.rules import AMOUNT_SHIFT
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.network.arrays import ArrayLike, Ints, Pair
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourcePoisson
from spikingconvnet.network.spikes import Spikes

Stage: TypeAlias = ConvStage | GeneralStage
LARGEST_RUN = 2 ** 28       # neurons times steps that go through all layers at a time; memory grows with it

REPLICAS_AT_ONCE = None     # as many as there are cores
COUNTS = True               # see `counted` of :func:`open`
NOTHING: Mapping[str, Pair] = MappingProxyType({})


def open(network: Network, record: Record = (), jobs: int | None = None,
         counted: Mapping[str, Pair] = NOTHING) -> "Simulation":
    """Start a simulation of `network`.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
        Labels of populations whose membranes are recorded, or the neurons of each whose membranes are; nothing is kept
        of the others.
    jobs : int or None
        Threads; None takes every core. The integers do not depend on it.
    counted : dict of str to (rows, columns)
        Populations whose spikes need only be counted, and the cells of each of their maps: those that are convolutions
        from which nothing leads on are in ``Recording.counts`` instead of its spikes. Runs are of whole samples then.

    Returns
    -------
    Simulation

    Raises
    ------
    NetworkError
        What no board could run, see ``lowering.lower``.
    """
    return Simulation(network, record, jobs, counted=counted)


class Simulation:
    """A running network: ``run`` steps, ``set`` thresholds between them, take a ``recording``.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
    jobs : int or None
    counted : dict of str to (rows, columns)
    kernels : module
        ``native`` or ``numba_kernels``; the first where it was built by default. The integers do not depend on it.
    """

    provenance = None       # see Recording

    def __init__(self, network: Network, record: Record = (), jobs: int | None = None,
                 kernels: ModuleType | None = None, counted: Mapping[str, Pair] = NOTHING) -> None:
        record = recorded_neurons(network, record)
        self.network = network
        self.t = 0
        self._lowered = lower(network)
        kernels = kernels or native.or_else()
        self._random = {p.label: PoissonSource(p, network.timestep, partial(KernelCore, kernels=kernels))
                        for p in network.populations if isinstance(p.cell, SpikeSourcePoisson)}
        self._threads = ThreadPoolExecutor(jobs or os.cpu_count())
        alone = {label: grid for label, grid in counted.items() if all(p.post == label for p in network.projections
                                                                       if p.pre == label)}
        self._stages = [_stage(network, self._lowered, members, record, kernels, alone)
                        for members in _stage_order(network)]
        self._counting = [stage for stage in self._stages if isinstance(stage, ConvStage) and stage.grid]
        self._chunks: list[tuple[dict[str, Spikes], Membranes]] = []

    def __enter__(self) -> "Simulation":
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown()

    @property
    def source_steps(self) -> int:
        """Steps on the timeline of the given spikes; 0 without any."""
        return self.network.source_steps

    def run(self, n_steps: int) -> None:
        """Simulate `n_steps` more steps; given spikes end with their last sample. NetworkError if there are none."""
        require(n_steps >= 1, "Simulation", "n_steps", n_steps, "at least 1", NetworkError)
        slot = (self.network.slot or 0) if self._counting else 1
        require(slot and n_steps % slot == 0, "Simulation", "n_steps", n_steps, "whole samples, as spikes are counted",
                NetworkError)
        most = max(LARGEST_RUN // sum(p.size for p in self.network.populations) // slot, 1) * slot
        for first in range(0, n_steps, most):
            self._run(min(most, n_steps - first))

    def _run(self, n_steps: int) -> None:
        """Simulate `n_steps` more steps, layer by layer."""
        given = [p for p in self.network.populations if p.has_given_spikes]
        spikes = {p.label: p.given_spikes.window(self.t, n_steps) for p in given}
        spikes.update({label: source.run(n_steps) for label, source in self._random.items()})
        membranes: Membranes = {}
        for stage in self._stages:
            fired, traces = stage.run(self.t, n_steps, spikes, self._threads)
            spikes.update(fired)
            membranes.update(traces)
        self.t += n_steps
        for population in given:
            del spikes[population.label]
        self._chunks.append((spikes, membranes))

    def set(self, label: str, v_thresh: ArrayLike) -> None:
        """Set the thresholds of a population: float array (size,) in mV, rounded to s16.15.

        Raises
        ------
        NetworkError
            Another shape.
        """
        size = self.network.population(label).size
        require(np.shape(v_thresh) == (size,), f"Population {label!r}", "v_thresh", np.shape(v_thresh),
                f"of shape {(size,)}", NetworkError)
        raw = np.array([accum(v) for v in np.asarray(v_thresh, np.float64)], np.int32)
        self._stage_of(label).set_threshold(label, raw)

    def weights(self, label: str) -> Weights:
        """Weights of a projection as the host would read them back: Weights."""
        projection = self.network.projection(label)
        population = self._lowered.populations[projection.post]
        lowered = self._lowered.projection(label)
        stage = self._stage_of(projection.post)         # what learns is in a general one
        raw = stage.plastic_weights(label) if lowered.rule and isinstance(stage, GeneralStage) else lowered.weight
        shift = AMOUNT_SHIFT if lowered.modulates else population.shift[lowered.receptor, lowered.post_id]
        return Weights(raw, raw / 2.0 ** (15 - shift))

    def recording(self) -> Recording:
        """What was recorded since the last call: Recording."""
        chunks, self._chunks = self._chunks, []
        spikes = {label: joined([c[0][label] for c in chunks], self.network.slot)
                  for label in (chunks[0][0] if chunks else ())}
        membranes = {label: {name: np.concatenate([c[1][label][name] for c in chunks]) for name in traces}
                     for label, traces in (chunks[0][1] if chunks else {}).items()}
        saturated: dict[str, int] = {}
        for stage in self._stages:
            saturated.update(stage.saturated())
        counters = {label: dict(counts) for label, counts in self._lowered.counters.items()}
        return Recording(spikes, membranes, saturated, counters, tuple(self._lowered.warnings),
                         counts={stage.labels[0]: stage.counts() for stage in self._counting})

    def _stage_of(self, label: str) -> Stage:
        return next(stage for stage in self._stages if label in stage.labels)


def _stage(network: Network, lowered: Lowered, members: Sequence[str], record: dict[str, Ints],
           kernels: ModuleType, counted: Mapping[str, Pair]) -> Stage:
    """What simulates these populations: a convolution by itself, or any wiring."""
    incoming = network.incoming(members[0])
    if len(members) == 1 and incoming and _is_uniform_convolution(network.population(members[0]), lowered, incoming):
        return ConvStage(network, lowered, incoming, record, kernels, counted.get(members[0]))
    return GeneralStage(network, lowered, members, record, kernels)


def _is_uniform_convolution(population: Population, every: Lowered, incoming: Sequence[Projection]) -> bool:
    """Whether one set of constants holds for the whole population; `v_thresh`, `i_offset` and `v` may differ."""
    lowered = every.populations[population.label]
    scalars = (lowered.resistance, lowered.membrane_decay, lowered.v_rest, lowered.v_reset, lowered.refractory,
               *lowered.decay, *lowered.inject)
    shifts = lowered.shift.reshape(2, population.shape[0], -1)
    others = [projection for projection in incoming if projection.pre != projection.post]
    lateral = [projection for projection in incoming if projection.pre == projection.post]
    return (bool(others) and Branches.possible(others) and (not lateral or (
        lateral_weights(every, lateral) is not None and min(one.connections.max_delay for one in others) == 1))
            and (lowered.input_scale == ACCUM_ONE).all() and not lowered.own
            and all((values == values[0]).all() for values in scalars) and (shifts == shifts[:, :, :1]).all())


def _stage_order(network: Network) -> list[list[str]]:
    """Labels of the neurons' populations grouped into strongly connected parts, presynaptic parts first."""
    labels = [p.label for p in network.populations if not p.is_source]
    index = {label: i for i, label in enumerate(labels)}
    edges = [(index[p.pre], index[p.post]) for p in network.projections if p.pre in index]
    graph = coo_matrix((np.ones(len(edges)), np.array(edges, int).reshape(-1, 2).T), shape=(len(labels),) * 2)
    _, part = connected_components(graph, connection="strong") if labels else (0, [])
    waiting = {k: [label for label in labels if part[index[label]] == k] for k in dict.fromkeys(part)}
    order = []
    while waiting:
        ready = next(k for k in waiting if not any(part[a] != k and part[b] == k and part[a] in waiting
                                                   for a, b in edges))
        order.append(waiting.pop(ready))
    return order
