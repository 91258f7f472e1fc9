"""Populations that sPyNNaker 7.4.1 puts on split cores, neurons on one and synapses on another.

It does so where it has no binary that holds both. The core of the synapses learns of a spike of the neurons from the
packet that comes back to it, and a packet is taken like any other: after those of the same step that came before. In a
population without synapses onto itself it becomes one event of the neuron's history. In one with them every entry of
the address list, a recurrent projection each, transfers a row and makes another event just before that row, and a
neuron whose rows are all empty makes none, because the bit field filters it.

Source: sPyNNaker 7.4.1 ``spike_processing_fast.c``, ``population_vertex.py`` (``use_combined_core``); the binaries where
they differ.
"""

import numpy as np

ROW_LIMIT = 256             # synapses of a row in a projection on the board; longer ones take several projections
NEURONS_PER_CORE = 256      # sPyNNaker's default
COMBINED = {                # rules of which there is a binary for neurons and synapses, by the synapses of the cell
    "exponential": ("pair_additive", "pair_multiplicative", "nearest_pair_additive", "nearest_pair_multiplicative",
                    "vogels_2011_additive", "pfister_triplet_additive"),
    "delta": ("pair_additive", "nearest_pair_additive"),
}


def is_split(population, rule):
    """Whether neurons and synapses have cores of their own under a LoweredRule, or None."""
    return rule is not None and rule.kind not in COMBINED[population.cell.synapses]


def is_own(population, projection):
    """Which synapses a spike meets on the core that it comes back to: bool array (synapses,).

    Parameters
    ----------
    population : Population
        The postsynaptic one.
    projection : LoweredProjection
    """
    if projection.pre != population.label or not is_split(population, projection.rule):
        return np.zeros(len(projection.pre_id), bool)
    return _same_core(population, projection)


def _same_core(population, projection):
    size = population.size // (population.shape[0] if population.per_channel else 1)
    neuron = np.arange(population.size)
    core = neuron // size * population.size + neuron % size // NEURONS_PER_CORE
    return core[projection.pre_id] == core[projection.post_id]


def transfers(population, projections):
    """What every neuron's own spike starts on the core of its synapses, one event each.

    Parameters
    ----------
    population : Population
        On split cores.
    projections : list of LoweredProjection
        All that end there.

    Returns
    -------
    list (size,) of list of LoweredProjection or None
        The projection whose row an event comes before; None for rows without plastic synapses.
    """
    own = sorted((p for p in projections if p.pre == population.label and len(p.pre_id)), key=lambda p: p.modulates)
    if not own:
        return [[None]] * population.size
    channel = np.arange(population.size) // (population.size // population.shape[0]) * population.per_channel
    made = [[] for _ in range(population.size)]
    filtered = np.ones(population.size, bool)
    for projection in own:
        filtered[projection.pre_id[_same_core(population, projection)]] = False
        inside = channel[projection.pre_id] == channel[projection.post_id]
        for part in np.unique(channel[projection.pre_id[inside]]):
            count = _board_projections(projection, inside & (channel[projection.pre_id] == part))
            for n in np.flatnonzero(channel == part):
                made[n] += [projection if projection.rule else None] + [None] * (count - 1)
    return [[] if none else entries for none, entries in zip(filtered, made)]


def _board_projections(projection, chosen):
    """How many projections of sPyNNaker some synapses become: one for each receptor and `ROW_LIMIT` of a row."""
    count = 0
    for receptor in np.unique(projection.receptor[chosen]):
        pre = projection.pre_id[chosen & (projection.receptor == receptor)]
        count += -(-int(np.bincount(pre).max()) // ROW_LIMIT)
    return count
