"""Populations that sPyNNaker 7.4.1 puts on split cores, neurons on one and synapses on another, and what follows.

It does so where it has no binary that holds both, and always at time steps below 1 ms. The core of the synapses learns
of a spike of the neurons from the packet that comes back to it, which waits its turn among the packets of the step. In
a population without synapses onto itself the packet becomes one event of the neuron's history. In one with them every
recurrent projection is an entry of the address list, and each entry makes an event and transfers a row, one after
another; so two projections count every spike twice. A spike whose rows are all empty makes none, because the bit field
filters it; rows of plastic projections are never empty, since they hold the presynaptic trace.

The spinnaker backend asks for one core of synapses for each core of neurons. sPyNNaker left to itself takes several for
many synapses; sums are then cut at 16 bits on each of them, and some of them, or all, miss the spikes of a population
that is connected to itself.

Source: sPyNNaker 7.4.1 ``spike_processing_fast.c`` (``spike_processing_fast_time_step_loop``), ``population_vertex.py``
(``use_combined_core``, ``__update_n_synapse_cores``), and its binaries on an emulated board.
"""

from collections.abc import Sequence

import numpy as np

from spikingconvnet.board.binaries import HEAP_BASES
from spikingconvnet.board.lowered import LoweredProjection
from spikingconvnet.board.programs import programs
from spikingconvnet.network.arrays import Flags, Ints
from spikingconvnet.network.netlist import Population

ROW_LIMIT = 256             # synapses of a row, ``synapse_io.py``; longer ones take several projections
NEURONS_PER_CORE = 256      # sPyNNaker's default
COMBINED_FROM = 1.0         # ms of a time step, ``use_combined_core``


def is_split(population: Population, kind: str | None, timestep: float) -> bool:
    """Whether neurons and synapses have cores of their own, if there are synapses in lists.

    Parameters
    ----------
    population : Population
    kind : str or None
        Of its LoweredRule.
    timestep : float
        ms.
    """
    both = f"{programs(population.cell).name}_stdp_mad_{kind}"
    return timestep < COMBINED_FROM or (kind is not None and both not in HEAP_BASES)


def own_synapses(population: Population, projection: LoweredProjection, split: bool) -> Flags:
    """Which synapses a spike meets on the core that it comes back to: bool array (synapses,).

    Parameters
    ----------
    population : Population
        The postsynaptic one.
    projection : LoweredProjection
    split : bool
        ``LoweredPopulation.split`` of that population.
    """
    if projection.rule and projection.pre == population.label and split:
        return _same_core(population, projection)
    return np.zeros(len(projection.pre_id), bool)


def _same_core(population: Population, projection: LoweredProjection) -> Flags:
    neuron, size = np.arange(population.size), _part_size(population)
    core = neuron // size * population.size + neuron % size // neurons_of_core(population)
    same: Flags = core[projection.pre_id] == core[projection.post_id]
    return same


def _part_size(population: Population) -> int:
    """Neurons of a population on the board."""
    return population.size // (population.shape[0] if population.per_channel else 1)


def neurons_of_core(population: Population) -> int:
    """Neurons of a full core of a population, at most those of one channel if channels are populations: int."""
    usual = population.size if population.is_source else NEURONS_PER_CORE
    return min(_part_size(population), population.neurons_per_core or usual)


def transfers(population: Population, projections: Sequence[LoweredProjection],
              slots: int) -> list[list[LoweredProjection | None]]:
    """What every neuron's own spike starts on the core of its synapses, one event each.

    Parameters
    ----------
    population : Population
        On split cores.
    projections : list of LoweredProjection
        All that end there.
    slots : int
        Length of the ring buffer; what has a longer delay waits on a core for delays and comes with another packet.

    Returns
    -------
    list (size,) of list of LoweredProjection or None
        The plastic projection whose row an event comes before, or None.
    """
    made: list[list[LoweredProjection | None]] = [[] for _ in range(population.size)]
    joined, met = np.zeros((2, population.size), bool)
    part = np.arange(population.size) // _part_size(population)
    for projection in sorted(_onto_itself(population, projections), key=lambda p: p.modulates):
        near, inside = projection.delay <= slots, part[projection.pre_id] == part[projection.post_id]
        for k in np.unique(part[projection.pre_id[inside]]):
            joined |= part == k
            count = _board_projections(projection, near & inside & (part[projection.pre_id] == k))
            for n in np.flatnonzero(part == k):
                made[n] += [projection if projection.rule else None] * min(count, 1) + [None] * (count - 1)
            met |= (part == k) & (projection.rule is not None)
        met[projection.pre_id[near & _same_core(population, projection)]] = True
    return [entries if seen else [] if own else [None] for entries, seen, own in zip(made, met, joined)]


def _onto_itself(population: Population, projections: Sequence[LoweredProjection]) -> list[LoweredProjection]:
    return [p for p in projections if p.pre == population.label and len(p.pre_id)]


def _board_projections(projection: LoweredProjection, chosen: Flags) -> int:
    """How many projections of sPyNNaker some synapses become: one for each receptor and `ROW_LIMIT` of a row."""
    return sum(-(-_longest_row(projection.pre_id[chosen & (projection.receptor == receptor)]) // ROW_LIMIT)
               for receptor in np.unique(projection.receptor[chosen]))


def _longest_row(pre: Ints) -> int:
    return int(np.unique(pre, return_counts=True)[1].max(initial=0))


def warning(population: Population, projections: Sequence[LoweredProjection], slots: int, timestep: float) -> str:
    """What a user should know about a population on split cores: str. Parameters as of `transfers` and `is_split`."""
    why = (f"at a time step of {timestep:g} ms sPyNNaker 7.4.1 splits its neurons and its synapses between cores"
           if timestep < COMBINED_FROM else
           "sPyNNaker 7.4.1 has no binary for its neurons together with its plasticity and splits them between cores")
    text = (f"population {population.label}: {why}; where a neuron has 15 events between two inputs of a plastic"
            " synapse, the delay is the length of the ring buffer, or it does not count (backprop_delay=False), the"
            " order of packets decides what is learnt")
    counts = sorted({len(entries) for entries in transfers(population, projections, slots)})
    if counts != [1]:
        text += (f"; a spike is {' or '.join(map(str, counts))} events for its neuron's synapses, one for each"
                 " projection of the population onto itself")
    return text
