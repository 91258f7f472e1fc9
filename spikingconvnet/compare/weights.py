"""Causes of a difference: weights other than declared, of synapses, projections or their scale."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from spikingconvnet.board.lowered import LoweredProjection
from spikingconvnet.board.lowering import Lowered
from spikingconvnet.board.reference import SATURATED
from spikingconvnet.compare.delays import first_astray
from spikingconvnet.compare.expected import Deviations, Inputs, part_of
from spikingconvnet.compare.explained import Case, Cause, with_projections
from spikingconvnet.compare.synapses import ends, explains, sums_of, synapses
from spikingconvnet.network.arrays import Floats, Numbers
from spikingconvnet.network.netlist import Connections

MORE_EQUATIONS = 3      # than unknown weights, before weights are an explanation
SCALES = (1, -1, 2, -2, 3, -3, 4, -4)       # bits by which a ring buffer may be shifted otherwise


def weights(case: Case) -> list[Cause]:
    """Weights, static ones or those that learning begins with: of a synapse, of projections, at another scale."""
    for found in (_weight_of_a_synapse, _first_weight_of_a_synapse, _scaled, _weights_of_projections, _other_scale):
        if causes := found(case):
            return causes
    return []


def _weight_of_a_synapse(case: Case) -> list[Cause]:
    """One static synapse of another weight, which is the median of what the steps it acts in lack."""
    for one, index, lowered, s in synapses(case):
        if lowered.rule is not None or any(off.learned for off in case.off):
            continue
        came = sums_of(one, index, part_of(lowered, [s]))
        weight, receptor, column = (int(part[s]) for part in (lowered.weight, lowered.receptor, lowered.post_id))
        one_by_one = sums_of(one, index, replace(part_of(lowered, [s]), weight=np.ones(1, np.int64)))
        away = one.observed()[receptor, :, column] - one.sums()[receptor, :, column]
        hit = one_by_one[receptor, :, column] > 0
        if not hit.any():
            continue
        found = weight + int(np.rint(np.median((away / np.maximum(one_by_one[receptor, :, column], 1))[hit])))
        if 0 <= found <= SATURATED and found != weight and explains(case, one, one.sums() - came + one_by_one * found):
            return [_weight(case, one, index, lowered, s, found, f"all currents before step {case.steps:,}")]
    return []


def _weight(case: Case, one: Inputs, index: int, lowered: LoweredProjection, s: int, found: int,
            explained: str) -> Cause:
    """The cause that a synapse has another weight."""
    label, pre, post = ends(case, one, index, lowered, s)
    first = " at the start" if lowered.rule else ""
    weight = int(lowered.weight[s])
    return Cause("weights", f"in {case.deviant} the weight of neuron {pre} to neuron {post} of projection {label} is"
                 f" {found}{first} instead of {weight} (16 bits), which explains {explained}",
                 {"in": case.deviant, "projection": label, "pre": pre, "post": post, "value": found,
                  "declared": weight, "same_given": True})


def _first_weight_of_a_synapse(case: Case) -> list[Cause]:
    """A plastic synapse that began with another weight."""
    for one, index, lowered, s in synapses(case, plastic=True):
        here = part_of(lowered, [s])
        found = _first_weight(case, one, index, here, s)
        for value in dict.fromkeys(v for v in (found, *range(found - 2, found + 3)) if 0 <= v <= SATURATED):
            if value != here.weight[0] and _starts_with(case, one, index, lowered, s, value):
                return [_weight(case, one, index, lowered, s, value, "all currents and learned weights before step"
                                f" {case.steps:,}")]
    return []


def _first_weight(case: Case, one: Inputs, index: int, here: LoweredProjection, s: int) -> int:
    """The weight at the start of a synapse that leads to what was recorded first: by halving, as more leads to more."""
    off = next(off for other, off in case.astray if other is one)
    if off.currents.any():
        step, column = first_astray(case, one)
        receptor = int(here.receptor[0])
        target = (one.observed() - one.sums() + sums_of(one, index, here))[receptor, step, column]
    low, high = 0, SATURATED
    while low < high:
        middle = (low + high) // 2
        rows, last = one.series(index, replace(here, weight=np.array([middle])))
        if off.currents.any():
            small = rows[3][rows[0] == step].sum() < target - 0.5
        else:
            small = last[0] < one.series(index, here)[1][0] + off.weights[index][s]
        low, high = (middle + 1, high) if small else (low, middle)
    return low


def _starts_with(case: Case, one: Inputs, index: int, lowered: LoweredProjection, s: int, value: int) -> bool:
    """Whether a plastic synapse that starts with this weight explains all weights and currents."""
    here = part_of(lowered, [s])
    changed = replace(here, weight=np.array([value]))
    off = next(off for other, off in case.astray if other is one)
    wrong = {i: part.copy() for i, part in off.weights.items()}
    if index in wrong:
        wrong[index][s] -= one.series(index, changed)[1][0] - one.series(index, here)[1][0]
    return not any(part.any() for part in wrong.values()) and explains(
        case, one, one.sums() - sums_of(one, index, here) + sums_of(one, index, changed))


def _weights_of_projections(case: Case) -> list[Cause]:
    """Static weights, if there are more equations for them than unknown ones: of a projection, or of all of them."""
    if any(off.learned for off in case.off):
        return []
    static = {one.label: [i for i, lowered in one.projections if lowered.rule is None] for one, _ in case.astray}
    groups = [{label: [i]} for label, places in static.items() for i in places] if len(static) == 1 else []
    for group in [*groups, static]:
        for bits in range(4):           # of a finer scale
            solved: list[Any] = [_solve(case, one, off, group[one.label], bits) for one, off in case.astray]
            if all(solved):             # none of them is None
                return [_other_weights(case, group, np.concatenate([part[0] for part in solved]),
                                       np.concatenate([part[1] for part in solved]))]
    return []


def _solve(case: Case, one: Inputs, off: Deviations, group: Sequence[int], bits: int) -> tuple[Floats, Floats] | None:
    """Declared and recorded weights, as the equations of every neuron that is off have them, or None."""
    came = one.expected
    before, after = [], []
    sums = one.sums()
    fits = sums * (1 << bits)
    for r, column in np.argwhere(off.currents.any(axis=1)):
        rows = np.flatnonzero((came.column == column) & (came.receptor == r) & np.isin(came.projection, group)
                              & (came.arrival < one.steps))
        if not len(rows):
            return None
        keys, which = np.unique(np.stack([came.projection[rows], came.neuron[rows], came.arrival[rows]
                                          - came.step[rows]]), axis=1, return_inverse=True)
        counts = np.zeros((one.steps, keys.shape[1]))
        np.add.at(counts, (came.arrival[rows], which.ravel()), 1)
        weight: Numbers = np.zeros(keys.shape[1])
        np.maximum.at(weight, which.ravel(), came.weight[rows])
        counts, same = np.unique(counts, axis=1, return_inverse=True)
        weight = np.bincount(same.ravel(), weight)
        open_steps = (sums[r, :, column] < SATURATED) & counts.any(axis=1)
        if len(np.unique(counts[open_steps], axis=0)) < counts.shape[1] + MORE_EQUATIONS:
            return None
        away = one.observed()[r, :, column] - sums[r, :, column]
        change = np.linalg.lstsq(counts[open_steps], away[open_steps], rcond=None)[0]
        found = np.rint((weight + change) * (1 << bits))
        fits[r, :, column] += np.rint(counts @ (found - weight * (1 << bits))).astype(np.int64)
        before.append(weight)
        after.append(found / (1 << bits))
    if not explains(case, one, fits, bits):
        return None
    return np.concatenate(before), np.concatenate(after)


def _other_weights(case: Case, group: Mapping[str, Sequence[int]], before: Floats, after: Floats) -> Cause:
    """The cause that projections have other weights, with the factor between them if it is one."""
    labels = [case.network.projections[i].label for part in group.values() for i in part]
    factor = float(after @ before / max(float(before @ before), 1))
    text = (f"with other weights of {'projection' if len(labels) == 1 else 'projections'} {', '.join(labels)} all"
            f" currents of {case.deviant} before step {case.steps:,} are exact")
    power = round(np.log2(factor)) if factor > 0 else 0
    if (abs(after - before * factor) <= 1 + factor).all():
        text += f"; they are {factor:.4g} times those that the network says"
    return Cause("weights", text, {"in": case.deviant, "projection": labels[0], "projections": labels,
                                   "factor": factor, "power_of_two": power * (2.0 ** power == factor),
                                   "same_given": True})


def _scaled(case: Case) -> list[Cause]:
    """All weights of projections, plastic ones at the start, times one number."""
    network, projections = case.suspect.network, case.network.projections
    posts = {one.label for one, _ in case.astray}
    groups = [[i] for i, p in enumerate(projections) if {p.post} == posts]
    groups += [[i for i, p in enumerate(projections) if p.post in posts and not p.modulates],
               [i for i, p in enumerate(projections) if not p.modulates]]
    for group in dict.fromkeys(map(tuple, groups)):
        labels = {projections[i].label for i in group}
        for factor in _factors(case, group):
            changed = with_projections(network, lambda p, labels=labels, factor=factor: (
                replace(p, connections=_times(p.connections, factor)) if p.label in labels else p))
            if case.explains(changed) or (not any(off.learned for off in case.off) and case.explains_at_this_scale(
                    changed)):
                names = [projections[i].label for i in group]
                power = round(np.log2(factor))
                return [Cause("weights", f"with {factor:g} times the weights of"
                              f" {'projection' if len(names) == 1 else 'projections'} {', '.join(names)},"
                              f" {case.deviant} is exactly what its network gives before step {case.steps:,}",
                              {"in": case.deviant, "projection": names[0], "projections": names, "factor": factor,
                               "power_of_two": power * (2.0 ** power == factor), "same_given": True})]
    return []


def _times(connections: Connections, factor: float) -> Connections:
    name = next(name for name in ("weight", "kernels", "kernel") if hasattr(connections, name))
    return replace(connections, **{name: getattr(connections, name) * factor})


def _factors(case: Case, group: Sequence[int]) -> list[float]:
    """Numbers that the weights of projections may have been multiplied with, by the first step that is off."""
    found = []
    for one, off in case.astray:
        if not off.currents.any():
            continue
        step, _ = first_astray(case, one)
        came = one.expected
        rows = np.isin(came.projection, group) & (came.arrival == step)
        part = np.zeros((2, len(one.neurons)))
        np.add.at(part, (came.receptor[rows], came.column[rows]), came.weight[rows])
        away = (one.observed() - one.sums())[:, step]
        if part.any():
            found.append(float(1 + (away * part).sum() / (part * part).sum()))
    if not found or np.ptp(found) > 0.2 * abs(found[0]):
        return []
    return [value for value in dict.fromkeys(round(found[0], digits) for digits in range(4)) if value not in (0, 1)
            and value > 0]


def _other_scale(case: Case) -> list[Cause]:
    """Ring buffers that are shifted otherwise, the weights being the same but for their rounding."""
    if len(case.astray) != 1:
        return []
    one, lowered = case.astray[0][0], case.suspect.lowered
    for bits in SCALES:
        for receptors in ([0, 1], [0], [1]):
            shift = lowered.populations[one.label].shift.copy()
            shift[receptors] += bits
            if (shift < 0).any():
                continue
            populations = {**lowered.populations, one.label: replace(lowered.populations[one.label], shift=shift)}
            if case.follows_from(case.suspect, Lowered(case.suspect.network, populations), [one.label]):
                return [Cause("weights", f"in {case.deviant} the ring buffers of population {one.label} are shifted by"
                              f" {bits:+d}, and its weights rounded accordingly, which explains all currents before"
                              f" step {case.steps:,}", {"in": case.deviant, "population": one.label,
                                                        "power_of_two": -bits, "same_given": True})]
    return []
