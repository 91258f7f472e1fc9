"""What one of two recordings received otherwise than its network says: packets, delays, weights, input, full slots.

Its membranes and spikes follow from its currents, and its currents from other arrivals. Each function gives the causes
of its kind that explain every current, and every learned weight, up to the last integer.
"""

from dataclasses import replace
from itertools import combinations, islice

import numpy as np

from spikingconvnet.backends.local.fixed_point import decay
from spikingconvnet.backends.local.lowering import Lowered
from spikingconvnet.backends.local.reference import SATURATED
from spikingconvnet.deployment.explained import Cause, with_population, with_projections
from spikingconvnet.deployment.inputs import CURRENTS, Inputs, Packet, part_of
from spikingconvnet.spikes import Spikes

ROUNDING = 4            # units in the last place that one step may round away: three products and a sum
LATEST = 8              # steps by which delays may be off
LATEST_LEARNED = 3      # the same where a longer delay changes the ring buffer and with it what is learned
MOST_LOST = 1000        # packets
MOST_AT_ONCE = 3        # packets that may be missing in one step on one core
MOST_COMBINED = 20000   # sets of packets of a step that are tried
MOST_TRIED = 50         # of those that explain the step, are tried on the whole run
MOST_SYNAPSES = 200     # that are tried one by one
MORE_EQUATIONS = 3      # than unknown weights, before weights are an explanation
SCALES = (1, -1, 2, -2, 3, -3, 4, -4)       # bits by which a ring buffer may be shifted otherwise
FATES = {"lost packet": (), "doubled packet": (0, 0), "late packet": (1,)}


# ---------------------------------------------------------------- packets


def packets(case):
    """Spikes that got lost, came twice, or came a step late."""
    return [cause for name, arrivals in FATES.items() for cause in _packets(case, name, arrivals)]


def _packets(case, name, arrivals):
    found, more = _explaining(case, arrivals)
    if not found:
        found, more = _one_by_one(case, arrivals)
    if not found:
        return
    first, n = found[0], len({(p.pre, p.neuron, p.step) for p in found})
    where = case.cores_text(first.post, first.cores)
    spike = f"the spike of neuron {first.neuron} of population {first.pre} in step {first.step:,}"
    text = {"lost packet": f"{case.deviant} lacks {spike} on its way to {where}: exactly its weights are missing, and"
                           f" {case.other} lacks nothing",
            "doubled packet": f"in {case.deviant} {spike} reached {where} twice: exactly its weights are too many",
            "late packet": f"in {case.deviant} {spike} reached {where} a step late"}[name]
    if more:
        text += " (or of " + ", ".join(f"neuron {p.neuron} of {p.pre} in step {p.step:,}" for p in more[:3])
        text += f" or {len(more) - 3} others" * (len(more) > 3) + ", whose weights are the same)"
    if case.network.population(first.pre).has_given_spikes:
        text += ", unless it was not sent so: of a source what it was given is recorded"
    what = name.split()[0]
    text += (f"; {n:,} {what} {'spike explains' if n == 1 else 'spikes explain'} all currents before step"
             f" {case.steps:,}")
    yield Cause(name, text, {"in": case.deviant, "lost" if name == "lost packet" else "packets":
                             [_as_dict(p) for p in found], "or": [_as_dict(p) for p in more]})


def _as_dict(packet):
    return {**vars(packet), "cores": sorted(packet.cores), "arrivals": list(packet.arrivals)}


def _explaining(case, arrivals):
    """Packets of a fate that explain every deviation: those found, and others that the first may be; or none."""
    if not any(off.currents.any() for off in case.off):
        return [], []
    side, deviations = case.replays, [off.currents for off in case.off]
    found, others = [], []
    while any(part.any() for part in deviations):
        step = min(np.flatnonzero(part.any(axis=(0, 2)))[0] for part in deviations if part.any())
        place = next(i for i, part in enumerate(deviations) if part[:, step].any())
        tried = list(islice(_candidates(case, side[place], deviations[place][:, step], step, found, arrivals),
                            MOST_TRIED))
        if not tried or len(found) >= MOST_LOST:
            return [], []
        left = [side[place].deviations([*found, *candidates]) for candidates in tried]
        best = min(range(len(tried)), key=lambda i: np.count_nonzero(left[i]))
        if np.flatnonzero(left[best].any(axis=(0, 2)))[:1].tolist() == [step] and np.count_nonzero(
                left[best]) >= np.count_nonzero(deviations[place]):
            return [], []               # no progress
        if not found:
            others = [packet for i, candidates in enumerate(tried) for packet in candidates
                      if packet not in tried[best] and np.array_equal(left[i], left[best])]
        found += tried[best]
        deviations[place] = left[best]
    if any(part.any() for one in side for part in one.weight_deviations(found).values()):
        return [], []
    return _merged(found), others


def _one_by_one(case, arrivals):
    """The same of one spike that does not show where it arrives, but only in what is learned from it."""
    if len(case.astray) != 1:
        return [], []
    one, found, end = case.astray[0][0], [], case.first.step
    short = next(part for part in case.beginnings if part.label == one.label)
    senders = {(lowered.pre, int(neuron)) for _, lowered in one.projections if lowered.rule is not None
               for neuron in lowered.pre_id}
    for pre, neuron in sorted(senders):
        spikes = one.recorded.spikes[pre]
        steps = np.unique(spikes.steps()[(spikes.neurons == neuron)])
        for step in steps[steps <= end][-MOST_TRIED:].tolist():
            packet = [Packet(pre, neuron, step, one.label, frozenset(one.core.tolist()), arrivals)]
            if not (short.deviations(packet).any() or one.deviations(packet).any() or any(
                    part.any() for part in one.weight_deviations(packet).values())):
                found += packet
    return found[:1], found[1:]


def _candidates(case, one, off, step, found, arrivals):
    """Lists of as few packets as possible without, or with which the currents of a core are as recorded in a step.

    The core is the first one that is off; a list comes twice if other cores may have got the same packets.
    """
    deliveries = one.deliveries(found) if found else one.expected
    sums = deliveries.sums(step + 1, len(one.neurons))[:, step]
    recorded = np.stack([one.trace[name][step] for name in CURRENTS])
    core = one.core[np.flatnonzero(off.any(axis=0))[0]]
    mine = one.core == core
    change, kinds = arrivals.count(0) - 1, {}
    for key, rows in _by_packet(case, deliveries, step).items():
        places = deliveries.receptor[rows], deliveries.column[rows]
        more = np.zeros_like(sums)
        np.add.at(more, places, change * deliveries.weight[rows])
        if off[:, mine][more[:, mine] != 0].any():
            kinds[key] = more, frozenset(one.core[places[1][off[places] != 0]].tolist())
    for size in range(1, MOST_AT_ONCE + 1):
        is_found = False
        for keys in islice(combinations(kinds, size), MOST_COMBINED):
            came = sums + sum(kinds[key][0] for key in keys)
            if (one.currents(came[:, None], step)[:, 0] == recorded)[:, mine].all():
                is_found = True
                for everywhere in (True, False)[:1 + any(kinds[key][1] != {core} for key in keys)]:
                    yield [Packet(*key[:3], one.label, kinds[key][1] if everywhere else frozenset([core]), arrivals)
                           for key in keys]
        if is_found:
            return


def _by_packet(case, deliveries, step):
    """Places of the deliveries of a step by what brought them: (population, neuron, step, copy)."""
    keys = {}
    for i in np.flatnonzero(deliveries.arrival == step):
        pre = case.network.projections[deliveries.projection[i]].pre
        keys.setdefault((pre, *(int(getattr(deliveries, n)[i]) for n in ("neuron", "step", "copy"))), []).append(i)
    return keys


def _merged(packets):
    """The same packets, those of one spike to several cores of a population as one."""
    merged = []
    for packet in packets:
        same = next((i for i, one in enumerate(merged) if not one.cores & packet.cores
                     and replace(one, cores=packet.cores) == packet), None)
        if same is None:
            merged.append(packet)
        else:
            merged[same] = replace(packet, cores=packet.cores | merged[same].cores)
    return merged


# ---------------------------------------------------------------- full slots


def saturation(case):
    """Sums beyond 16 bits that one recording has and the other has cut."""
    worst = 0
    for one, off in case.astray:
        sums = one.sums()
        wrong, over = off.currents, sums > SATURATED
        wrapped = one.currents(sums & SATURATED) - one.currents(sums)
        beyond = np.zeros_like(sums)
        for r in (0, 1):
            shift, inject = (getattr(one.constants, name)[r, one.neurons] for name in ("shift", "inject"))
            beyond[r] = decay(np.maximum(sums[r] - SATURATED, 0) << shift, inject)
        held = (wrong - beyond + (1 << 31)) % (1 << 32) - (1 << 31)
        if (wrong[~over].any() or off.learned
                or not ((wrong == wrapped)[over].all() or (abs(held) <= ROUNDING)[over].all())):
            return []
        worst = max(worst, int(sums[wrong != 0].max(initial=0)))
    return [Cause("saturation", f"in step {case.first.step:,} more than the 65535 units that 16 bits hold were to come"
                  f" in at once, up to {worst:,} later; {case.other} cuts such sums, {case.deviant} lets them overflow"
                  " or holds them in more than 16 bits, which explains all of its currents",
                  {"in": case.deviant, "largest_sum": worst})] if worst else []


# ---------------------------------------------------------------- delays


def delays(case):
    """Delays that are longer or shorter: of a synapse, a projection, all from or to a population, or all."""
    for found in (_delay_of_projections, _delay_of_a_synapse):
        if causes := found(case):
            return causes
    return []


def _delay_of_projections(case):
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


def _explains_later(case, group, later):
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


def _may_explain(one, deviations, group, later):
    """Whether the first deviations are of neurons that the projections reach in that step or would reach later."""
    if not deviations.any():
        return True
    step = np.flatnonzero(deviations.any(axis=(0, 2)))[0]
    came = one.expected
    reached = np.zeros(deviations[:, step].shape, bool)
    rows = np.isin(came.projection, group) & np.isin(came.arrival, (step, step - later))
    reached[came.receptor[rows], came.column[rows]] = True
    return not (deviations[:, step].astype(bool) & ~reached).any()


def _delayed(case, group, later):
    labels = [case.network.projections[i].label for i in group]
    n = sum(int(np.isin(one.expected.projection, group).sum()) for one in case.replays)
    text = (f"in {case.deviant} {'projection' if len(labels) == 1 else 'projections'} {', '.join(labels)}"
            f" delivered {_steps(later)} than the network says, which explains all currents before step {case.steps:,}"
            f" ({n:,} deliveries to recorded neurons); {case.other} is as the network says")
    return Cause("delay", text, {"in": case.deviant, "projections": labels, "steps": later, "deliveries": n})


def _steps(later):
    return f"{abs(later)} {'step' if abs(later) == 1 else 'steps'} {'later' if later > 0 else 'earlier'}"


def _delay_of_a_synapse(case):
    for one, index, lowered, s in _synapses(case):
        for later in sorted(range(-LATEST, LATEST + 1), key=abs):
            delay = int(lowered.delay[s]) + later
            if later and delay >= 1 and _later_synapse(case, one, index, lowered, s, delay):
                label, pre, post = _ends(case, one, index, lowered, s)
                return [Cause("delay", f"in {case.deviant} the synapse of neuron {pre} to neuron {post} of projection"
                              f" {label} delivered {_steps(later)} than the network says, which explains all currents"
                              f" before step {case.steps:,}", {"in": case.deviant, "projections": [label],
                                                               "pre": pre, "post": post, "steps": later})]
    return []


def _later_synapse(case, one, index, lowered, s, delay):
    here = part_of(lowered, [s])
    sums = one.sums()
    less, more = (_sums_of(one, index, part) for part in (here, replace(here, delay=np.array([delay]))))
    if lowered.rule is None:
        return _fits(case, one, sums - less + more)
    if not _differs_first(case, one, less, more):
        return False
    return case.explains(_with_synapse(case, one, index, lowered, s, delay=delay))


def _differs_first(case, one, less, more):
    """Whether two sums differ where the currents do first, and not before."""
    if not any(off.currents.any() for off in case.off):
        return True
    step, column = _first(case, one)
    return not (less != more)[:, :step].any() and bool((less != more)[:, step, column].any())


def _first(case, one):
    """Step and column of the first current of a population that is off."""
    off = next(off for other, off in case.astray if other is one)
    return min((int(t), int(n)) for _, t, n in np.argwhere(off.currents))


# ---------------------------------------------------------------- weights


def weights(case):
    """Weights, static ones or those that learning begins with: of a synapse, of projections, at another scale."""
    for found in (_weight_of_a_synapse, _first_weight_of_a_synapse, _scaled, _weights_of_projections, _other_scale):
        if causes := found(case):
            return causes
    return []


def _weight_of_a_synapse(case):
    for one, index, lowered, s in _synapses(case):
        if lowered.rule is not None or any(off.learned for off in case.off):
            continue
        came = _sums_of(one, index, part_of(lowered, [s]))
        weight, receptor, column = (int(part[s]) for part in (lowered.weight, lowered.receptor, lowered.post_id))
        one_by_one = _sums_of(one, index, replace(part_of(lowered, [s]), weight=np.ones(1, np.int64)))
        away = one.observed()[receptor, :, column] - one.sums()[receptor, :, column]
        hit = one_by_one[receptor, :, column] > 0
        if not hit.any():
            continue
        found = weight + int(np.rint(np.median((away / np.maximum(one_by_one[receptor, :, column], 1))[hit])))
        if 0 <= found <= SATURATED and found != weight and _fits(case, one, one.sums() - came + one_by_one * found):
            return [_weight(case, one, index, lowered, s, found, f"all currents before step {case.steps:,}")]
    return []


def _weight(case, one, index, lowered, s, found, explained):
    label, pre, post = _ends(case, one, index, lowered, s)
    first = " at the start" if lowered.rule else ""
    weight = int(lowered.weight[s])
    return Cause("weights", f"in {case.deviant} the weight of neuron {pre} to neuron {post} of projection {label} is"
                 f" {found}{first} instead of {weight} (16 bits), which explains {explained}",
                 {"in": case.deviant, "projection": label, "pre": pre, "post": post, "value": found,
                  "declared": weight, "same_given": True})


def _first_weight_of_a_synapse(case):
    """A plastic synapse that began with another weight."""
    for one, index, lowered, s in _synapses(case, plastic=True):
        here = part_of(lowered, [s])
        found = _first_weight(case, one, index, here, s)
        for value in dict.fromkeys(v for v in (found, *range(found - 2, found + 3)) if 0 <= v <= SATURATED):
            if value != here.weight[0] and _starts_with(case, one, index, lowered, s, value):
                return [_weight(case, one, index, lowered, s, value, "all currents and learned weights before step"
                                f" {case.steps:,}")]
    return []


def _first_weight(case, one, index, here, s):
    """The weight at the start of a synapse that leads to what was recorded first: by halving, as more leads to more."""
    off = next(off for other, off in case.astray if other is one)
    if off.currents.any():
        step, column = _first(case, one)
        receptor = int(here.receptor[0])
        target = (one.observed() - one.sums() + _sums_of(one, index, here))[receptor, step, column]
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


def _starts_with(case, one, index, lowered, s, value):
    here = part_of(lowered, [s])
    changed = replace(here, weight=np.array([value]))
    off = next(off for other, off in case.astray if other is one)
    wrong = {i: part.copy() for i, part in off.weights.items()}
    if index in wrong:
        wrong[index][s] -= one.series(index, changed)[1][0] - one.series(index, here)[1][0]
    return not any(part.any() for part in wrong.values()) and _fits(
        case, one, one.sums() - _sums_of(one, index, here) + _sums_of(one, index, changed))


def _weights_of_projections(case):
    """Static weights, if there are more equations for them than unknown ones: of a projection, or of all of them."""
    if any(off.learned for off in case.off):
        return []
    static = {one.label: [i for i, lowered in one.projections if lowered.rule is None] for one, _ in case.astray}
    groups = [{label: [i]} for label, places in static.items() for i in places] if len(static) == 1 else []
    for group in [*groups, static]:
        for bits in range(4):           # of a finer scale
            solved = [_solve(case, one, off, group[one.label], bits) for one, off in case.astray]
            if all(solved):
                return [_other_weights(case, group, np.concatenate([part[0] for part in solved]),
                                       np.concatenate([part[1] for part in solved]), bits)]
    return []


def _solve(case, one, off, group, bits):
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
        weight = np.zeros(keys.shape[1])
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
    if not _fits(case, one, fits, bits):
        return None
    return np.concatenate(before), np.concatenate(after)


def _other_weights(case, group, before, after, bits):
    labels = [case.network.projections[i].label for part in group.values() for i in part]
    factor = float(after @ before / max(before @ before, 1))
    text = (f"with other weights of {'projection' if len(labels) == 1 else 'projections'} {', '.join(labels)} all"
            f" currents of {case.deviant} before step {case.steps:,} are exact")
    power = round(np.log2(factor)) if factor > 0 else 0
    if (abs(after - before * factor) <= 1 + factor).all():
        text += f"; they are {factor:.4g} times those that the network says"
    return Cause("weights", text, {"in": case.deviant, "projection": labels[0], "projections": labels,
                                   "factor": factor, "power_of_two": power * (2.0 ** power == factor),
                                   "same_given": True})


def _scaled(case):
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
            if case.explains(changed) or not any(off.learned for off in case.off) and case.explains_at_this_scale(
                    changed):
                names = [projections[i].label for i in group]
                power = round(np.log2(factor))
                return [Cause("weights", f"with {factor:g} times the weights of"
                              f" {'projection' if len(names) == 1 else 'projections'} {', '.join(names)},"
                              f" {case.deviant} is exactly what its network gives before step {case.steps:,}",
                              {"in": case.deviant, "projection": names[0], "projections": names, "factor": factor,
                               "power_of_two": power * (2.0 ** power == factor), "same_given": True})]
    return []


def _times(connections, factor):
    name = next(name for name in ("weight", "kernels", "kernel") if hasattr(connections, name))
    return replace(connections, **{name: getattr(connections, name) * factor})


def _factors(case, group):
    """Numbers that the weights of projections may have been multiplied with, by the first step that is off."""
    found = []
    for one, off in case.astray:
        if not off.currents.any():
            continue
        step, _ = _first(case, one)
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


def _other_scale(case):
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


# ---------------------------------------------------------------- synapses, one by one


def _synapses(case, plastic=False):
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


def _ends(case, one, index, lowered, s):
    return (case.network.projections[index].label, int(lowered.pre_id[s]), int(one.neurons[lowered.post_id[s]]))


def _sums_of(one, index, lowered):
    """What some synapses bring: int64 array (receptors, steps, neurons)."""
    rows, _ = one.series(index, lowered)
    arrival, column, receptor, weight = rows[:4]
    found = np.zeros((2, one.steps, len(one.neurons)), np.int64)
    every = one.recorded.network.reset_every
    inside = (arrival < one.steps) & (arrival // every == rows[6] // every if every else True)
    np.add.at(found, (receptor[inside], arrival[inside], column[inside]), weight[inside])
    return found


def _fits(case, one, sums, bits=0):
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


def _with_synapse(case, one, index, lowered, s, **change):
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


# ---------------------------------------------------------------- input


def data(case):
    """A spike of a source that it was not given, alone or instead of one a few steps before or after."""
    network = case.suspect.network
    steps = [_first(case, one)[0] for one, off in case.astray if off.currents.any()]
    if not steps:                       # only what is learned shows a spike that would come behind the last step
        steps = range(case.steps, case.steps + 1 + max(p.connections.max_delay for p in network.projections))
    else:
        steps = [min(steps)]
    for population in network.populations:
        if population.has_given_spikes:
            spikes = population.cell.spikes
            for neuron, extra, gone in dict.fromkeys(
                    other for step in steps for other in _other_spikes(case, population, step)):
                changed = replace(population.cell, spikes=_with_spike(spikes, neuron, extra, gone))
                if case.explains(with_population(network, population.label, cell=changed)):
                    return [_other_data(case, population.label, neuron, extra, gone)]
    return []


def _other_spikes(case, population, step):
    """Neurons that may have sent a spike in another step: (neuron, step of the spike, step of the one that it replaces
    or None)."""
    spikes = population.cell.spikes
    end = len(spikes.offsets) - 1
    given = set(zip(spikes.neurons.tolist(), spikes.steps().tolist()))
    for neuron, delay in _senders(case, population.label, step):
        sent, moves = step - delay, range(1, LATEST + 1)        # by 1: a late packet
        if 0 <= sent < end:
            if (neuron, sent) not in given:         # otherwise it is a packet that comes twice
                yield neuron, sent, None
            yield from ((neuron, sent, sent + k) for k in moves if (neuron, sent + k) in given)
            yield from ((neuron, sent + k, sent) for k in moves[1:] if (neuron, sent) in given and sent + k < end)


def _senders(case, label, step):
    """Neurons of a population and delays whose synapses lead to every current that is off in a step."""
    reached, wrong = {}, set()
    for place, (one, off) in enumerate(zip(case.replays, case.off)):
        if step < one.steps:
            wrong |= {(place, int(r), int(n)) for r, n in np.argwhere(off.currents[:, step])}
        for index, lowered in one.projections:
            lowered = lowered if step < one.steps else part_of(lowered, np.flatnonzero(off.weights.get(index, ())))
            if lowered.pre == label:
                for pre, delay, r, n in zip(*(getattr(lowered, name).tolist() for name in (
                        "pre_id", "delay", "receptor", "post_id"))):
                    reached.setdefault((pre, delay), set()).add((place, r, n))
    return [key for key, places in reached.items() if wrong <= places]


def _with_spike(spikes, neuron, extra, gone):
    """Spikes with one more, and without one."""
    neurons, steps = spikes.neurons.astype(np.int64), spikes.steps()
    keep = np.ones(len(steps), bool)
    if gone is not None:
        keep[np.flatnonzero((neurons == neuron) & (steps == gone))[:1]] = False
    neurons, steps = np.append(neurons[keep], neuron), np.append(steps[keep], extra)
    return Spikes.from_events(steps // spikes.n_steps, neurons, steps % spikes.n_steps, spikes.shape, spikes.n_samples,
                              spikes.n_steps)


def _other_data(case, label, neuron, extra, gone):
    instead = "" if gone is None else f" instead of step {gone:,}"
    return Cause("data", f"with a spike of neuron {neuron} of source {label} in step {extra:,}{instead}, which it was"
                 f" not given, {case.deviant} is exactly what its network gives before step {case.steps:,}",
                 {"in": case.deviant, "population": label, "neuron": neuron, "step": extra, "instead_of": gone})
