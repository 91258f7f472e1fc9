"""Causes of a difference: delays other than declared."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spikingconvnet.board.lowered import LoweredProjection
from spikingconvnet.compare.expected import Inputs, part_of
from spikingconvnet.compare.explained import Case, Cause, with_projections
from spikingconvnet.compare.synapses import ends, explains, sums_of, synapses, with_synapse
from spikingconvnet.network.arrays import Ints, Pair

LATEST = 8              # steps by which delays may be off
LATEST_LEARNED = 3      # the same where a longer delay changes the ring buffer and with it what is learned


def delays(case: Case) -> list[Cause]:
    """Delays that are longer or shorter: of a synapse, a projection, all from or to a population, or all."""
    for found in (_delay_of_projections, _delay_of_a_synapse):
        if causes := found(case):
            return causes
    return []


def _delay_of_projections(case: Case) -> list[Cause]:
    projections = case.network.projections
    groups = [[i] for i in range(len(projections))]
    groups += [[i for i, p in enumerate(projections) if getattr(p, end) == label] for end in ("pre", "post")
               for label in dict.fromkeys(getattr(p, end) for p in projections)]
    for group in [*groups, list(range(len(projections)))]:
        posts = {projections[i].post for i in group}
        if any(one.label not in posts for one, _ in case.astray):
            continue
        for later in sorted(range(-LATEST, LATEST + 1), key=abs):
            if later and _explains_later(case, group, later):
                return [_delayed(case, group, later)]
    return []


def _explains_later(case: Case, group: Sequence[int], later: int) -> bool:
    if min(np.min(case.network.projections[i].connections.delay, initial=1 << 20) for i in group) + later < 1:
        return False
    posts = {case.network.projections[i].post for i in group}
    if abs(later) <= LATEST_LEARNED and any(p.learns and p.post in posts for p in case.network.projections):
        labels = {case.network.projections[i].label for i in group}
        if case.explains(with_projections(case.suspect.network, lambda p: replace(p, connections=replace(
                p.connections, delay=p.connections.delay + later)) if p.label in labels else p)):
            return True
    if any(off.learned for off in case.off) or not all(_may_explain(one, off.currents, group, later)
                                                       for one, off in zip(case.replays, case.off)):
        return False
    return not any(one.deviations(later=dict.fromkeys(group, later)).any() for side in (case.beginnings, case.replays)
                   for one in side)


def _may_explain(one: Inputs, deviations: Ints, group: Sequence[int], later: int) -> bool:
    """Whether the first deviations are of neurons that the projections reach in that step or would reach later."""
    if not deviations.any():
        return True
    step = np.flatnonzero(deviations.any(axis=(0, 2)))[0]
    came = one.expected
    reached = np.zeros(deviations[:, step].shape, bool)
    rows = np.isin(came.projection, group) & np.isin(came.arrival, (step, step - later))
    reached[came.receptor[rows], came.column[rows]] = True
    return not (deviations[:, step].astype(bool) & ~reached).any()


def _delayed(case: Case, group: Sequence[int], later: int) -> Cause:
    labels = [case.network.projections[i].label for i in group]
    n = sum(int(np.isin(one.expected.projection, group).sum()) for one in case.replays)
    text = (f"in {case.deviant} {'projection' if len(labels) == 1 else 'projections'} {', '.join(labels)}"
            f" delivered {_steps(later)} than the network says, which explains all currents before step {case.steps:,}"
            f" ({n:,} deliveries to recorded neurons); {case.other} is as the network says")
    return Cause("delay", text, {"in": case.deviant, "projections": labels, "steps": later, "deliveries": n})


def _steps(later: int) -> str:
    return f"{abs(later)} {'step' if abs(later) == 1 else 'steps'} {'later' if later > 0 else 'earlier'}"


def _delay_of_a_synapse(case: Case) -> list[Cause]:
    for one, index, lowered, s in synapses(case):
        for later in sorted(range(-LATEST, LATEST + 1), key=abs):
            delay = int(lowered.delay[s]) + later
            if later and delay >= 1 and _later_synapse(case, one, index, lowered, s, delay):
                label, pre, post = ends(case, one, index, lowered, s)
                return [Cause("delay", f"in {case.deviant} the synapse of neuron {pre} to neuron {post} of projection"
                              f" {label} delivered {_steps(later)} than the network says, which explains all currents"
                              f" before step {case.steps:,}", {"in": case.deviant, "projections": [label],
                                                               "pre": pre, "post": post, "steps": later})]
    return []


def _later_synapse(case: Case, one: Inputs, index: int, lowered: LoweredProjection, s: int, delay: int) -> bool:
    here = part_of(lowered, [s])
    sums = one.sums()
    less, more = (sums_of(one, index, part) for part in (here, replace(here, delay=np.array([delay]))))
    if lowered.rule is None:
        return explains(case, one, sums - less + more)
    if not _differs_first(case, one, less, more):
        return False
    return case.explains(with_synapse(case, one, index, lowered, s, delay=delay))


def _differs_first(case: Case, one: Inputs, less: Ints, more: Ints) -> bool:
    """Whether two sums differ where the currents do first, and not before."""
    if not any(off.currents.any() for off in case.off):
        return True
    step, column = first_astray(case, one)
    return not (less != more)[:, :step].any() and bool((less != more)[:, step, column].any())


def first_astray(case: Case, one: Inputs) -> Pair:
    """Step and column of the first current of a population that is off."""
    off = next(off for other, off in case.astray if other is one)
    return min((int(t), int(n)) for _, t, n in np.argwhere(off.currents))
