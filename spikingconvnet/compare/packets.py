"""Causes of a difference: packets that were lost, doubled or late; saturated inputs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, islice
from typing import Any, TypeAlias

import numpy as np

from spikingconvnet.board.fixed_point import decay
from spikingconvnet.board.reference import SATURATED
from spikingconvnet.compare.expected import CURRENTS, Deliveries, Inputs, Packet
from spikingconvnet.compare.explained import Case, Cause
from spikingconvnet.compare.synapses import ROUNDING
from spikingconvnet.network.arrays import Ints

MOST_LOST = 1000        # packets
MOST_AT_ONCE = 3        # packets that may be missing in one step on one core
MOST_COMBINED = 20000   # sets of packets of a step that are tried
MOST_TRIED = 50         # of those that explain the step, are tried on the whole run
Found: TypeAlias = tuple[list[Packet], list[Packet]]        # packets, and others that the first of them may be
Sent: TypeAlias = tuple[str, int, int, int]                 # population, neuron, step, copy
WITHOUT = {"currents": "exactly its weights are missing", "spikes": "what was fired is what follows without it"}
TWICE = {"currents": ": exactly its weights are too many", "spikes": ""}
ALIKE = {"currents": "whose weights are the same", "spikes": "from which the same spikes follow"}
FATES: dict[str, tuple[int, ...]] = {"lost packet": (), "doubled packet": (0, 0), "late packet": (1,)}


def packets(case: Case) -> list[Cause]:
    """Spikes that got lost, came twice, or came a step late."""
    return [cause for name, arrivals in FATES.items() for cause in _packets(case, name, arrivals)]


def _packets(case: Case, name: str, arrivals: tuple[int, ...]) -> Iterator[Cause]:
    """Spikes that explain all currents if they are taken to arrive so often, or so late, as `arrivals` says."""
    found, more = _explaining(case, arrivals)
    if not found:
        found, more = _one_by_one(case, arrivals)
    if found:
        yield told(case, name, found, more, "currents")


def told(case: Case, name: str, found: Sequence[Packet], more: Sequence[Packet], exact: str) -> Cause:
    """The cause that packets came otherwise: those that were found, and others that the first of them may be.

    Parameters
    ----------
    case : Case
    name : str
        A key of `FATES`.
    found, more : sequence of Packet
    exact : str
        What they explain, ``currents`` or ``spikes``.
    """
    first, n = found[0], len({(p.pre, p.neuron, p.step) for p in found})
    where = case.cores_text(first.post, first.cores)
    spike = f"the spike of neuron {first.neuron} of population {first.pre} in step {first.step:,}"
    late = "a step" if first.arrivals in ((), (1,)) else f"{first.arrivals[-1]} steps"
    text = {"lost packet": f"{case.deviant} lacks {spike} on its way to {where}: {WITHOUT[exact]}, and"
                           f" {case.other} lacks nothing",
            "doubled packet": f"in {case.deviant} {spike} reached {where} twice{TWICE[exact]}",
            "late packet": f"in {case.deviant} {spike} reached {where} {late} late"}[name]
    if more:
        text += " (or of " + ", ".join(f"neuron {p.neuron} of {p.pre} in step {p.step:,}" for p in more[:3])
        text += f" or {len(more) - 3} others" * (len(more) > 3) + f", {ALIKE[exact]})"
    if case.network.population(first.pre).has_given_spikes:
        text += ", unless it was not sent so: of a source what it was given is recorded"
    what = name.split()[0]
    text += (f"; {n:,} {what} {'spike explains' if n == 1 else 'spikes explain'} all {exact} before step"
             f" {case.steps:,}")
    return Cause(name, text, {"in": case.deviant, "lost" if name == "lost packet" else "packets":
                              [_as_dict(p) for p in found], "or": [_as_dict(p) for p in more]})


def _as_dict(packet: Packet) -> dict[str, Any]:
    return {**vars(packet), "cores": sorted(packet.cores), "arrivals": list(packet.arrivals)}


def _explaining(case: Case, arrivals: tuple[int, ...]) -> Found:
    """Packets of a fate that explain every deviation: those found, and others that the first may be; or none."""
    if not any(off.currents.any() for off in case.off):
        return [], []
    side, deviations = case.replays, [off.currents for off in case.off]
    found: list[Packet] = []
    others: list[Packet] = []
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
    return merged(found), others


def _one_by_one(case: Case, arrivals: tuple[int, ...]) -> Found:
    """The same of one spike that does not show where it arrives, but only in what is learned from it."""
    if len(case.astray) != 1:
        return [], []
    one, end = case.astray[0][0], case.first.step
    found: list[Packet] = []
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


def _candidates(case: Case, one: Inputs, off: Ints, step: int, found: Sequence[Packet],
                arrivals: tuple[int, ...]) -> Iterator[list[Packet]]:
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


def _by_packet(case: Case, deliveries: Deliveries, step: int) -> dict[Sent, list[int]]:
    """Places of the deliveries of a step by what brought them: (population, neuron, step, copy)."""
    keys: dict[Sent, list[int]] = {}
    for i in np.flatnonzero(deliveries.arrival == step):
        pre = case.network.projections[deliveries.projection[i]].pre
        keys.setdefault((pre, *(int(getattr(deliveries, n)[i]) for n in ("neuron", "step", "copy"))), []).append(i)
    return keys


def merged(packets: Iterable[Packet]) -> list[Packet]:
    """The same packets, those of one spike to several cores of a population as one."""
    whole: list[Packet] = []
    for packet in packets:
        same = next((i for i, one in enumerate(whole) if not one.cores & packet.cores
                     and replace(one, cores=packet.cores) == packet), None)
        if same is None:
            whole.append(packet)
        else:
            whole[same] = replace(packet, cores=packet.cores | whole[same].cores)
    return whole


def saturation(case: Case) -> list[Cause]:
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
