"""Synapses that alone might explain what one of two recordings received otherwise than its network says."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from spikingconvnet.board.lowered import LoweredProjection
from spikingconvnet.board.lowering import Lowered
from spikingconvnet.compare.expected import CURRENTS, Inputs
from spikingconvnet.compare.explained import Case, with_projections
from spikingconvnet.network.arrays import Ints
from spikingconvnet.network.netlist import Network

ROUNDING = 4            # units in the last place that one step may round away: three products and a sum
MOST_SYNAPSES = 200     # that are tried one by one
Synapse: TypeAlias = tuple[Inputs, int, LoweredProjection, int]     # the last is its place in the projection


def synapses(case: Case, plastic: bool = False) -> Iterator[Synapse]:
    """Synapses that alone might explain what came in: (Inputs, place and LoweredProjection, place of the synapse)."""
    if len(case.astray) != 1:
        return
    one, off = case.astray[0]
    n = 0
    for index, lowered in one.projections:
        wrong = off.weights.get(index, np.zeros(0))
        if off.currents.any():
            columns = np.flatnonzero(off.currents.any(axis=(0, 1)))
            if len(columns) != 1:
                return
            mine = np.flatnonzero(lowered.post_id == columns[0])
            mine = mine[off.currents[lowered.receptor[mine]].any(axis=(1, 2))]
        else:
            mine = np.flatnonzero(wrong)
        for s in mine.tolist():
            if (n := n + 1) <= MOST_SYNAPSES and (lowered.rule is not None or not plastic):
                yield one, index, lowered, s


def ends(case: Case, one: Inputs, index: int, lowered: LoweredProjection, s: int) -> tuple[str, int, int]:
    """Label of a synapse's projection, and the neurons that it leads from and to."""
    return (case.network.projections[index].label, int(lowered.pre_id[s]), int(one.neurons[lowered.post_id[s]]))


def sums_of(one: Inputs, index: int, lowered: LoweredProjection) -> Ints:
    """What some synapses bring: int64 array (receptors, steps, neurons)."""
    rows, _ = one.series(index, lowered)
    arrival, column, receptor, weight = rows[:4]
    found = np.zeros((2, one.steps, len(one.neurons)), np.int64)
    every = one.recorded.network.reset_every
    inside = (arrival < one.steps) & (arrival // every == rows[6] // every if every else True)
    np.add.at(found, (receptor[inside], arrival[inside], column[inside]), weight[inside])
    return found


def explains(case: Case, one: Inputs, sums: Ints, bits: int = 0) -> bool:
    """Whether all currents of the population that is off follow from what came in, in units `bits` finer."""
    finer = one
    if bits:
        shift = one.constants.shift - bits
        if (shift < 0).any():
            return False
        lowered = Lowered(case.suspect.network, {**one.lowered.populations, one.label: replace(one.constants,
                                                                                             shift=shift)})
        finer = Inputs(one.recorded, one.label, one.steps, lowered)
    return np.array_equal(finer.currents(sums), np.stack([one.trace[name] for name in CURRENTS]))


def with_synapse(case: Case, one: Inputs, index: int, lowered: LoweredProjection, s: int, **change: int) -> Network:
    """The suspect's network with the delay of a synapse changed."""
    projection = case.suspect.network.projections[index]
    connections = projection.connections.to_list()
    order = np.lexsort((connections.post, connections.pre))
    whole = case.suspect.lowered.projection(projection.label)
    place = order[np.flatnonzero(np.isin(whole.post_id, one.neurons))[s]]
    fields = {}
    for name, value in change.items():
        fields[name] = getattr(connections, name).copy()
        fields[name][place] = value
    return with_projections(case.suspect.network, lambda p: replace(p, connections=replace(connections, **fields))
                            if p.label == projection.label else p)
