"""Why two recordings of a network differ: a cause is named only if what was recorded proves it, otherwise it is not.

The proof is arithmetic: every cause says which integers the recording that left its network would show, and has to
give all of them. If two do, neither is told. Hypotheses are in ``packets``, ``by_spikes``, ``delays``, ``weights``,
``sources`` and ``parameters``, what they must stand up to in ``explained``, and what the networks themselves say
differently in ``declared``.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from spikingconvnet.board.reference import ReferenceSimulation
from spikingconvnet.compare import declared, parameters
from spikingconvnet.compare.by_spikes import by_spikes
from spikingconvnet.compare.delays import LATEST, delays
from spikingconvnet.compare.expected import CURRENTS, Inputs
from spikingconvnet.compare.explained import ADVICE, CONTINUOUS, NOT_TOLD, Case, Cause
from spikingconvnet.compare.packets import FATES, packets, saturation
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.compare.sources import data
from spikingconvnet.compare.synapses import ROUNDING
from spikingconvnet.compare.weights import weights
from spikingconvnet.network.arrays import Ints

if TYPE_CHECKING:
    from spikingconvnet.compare.differences import Difference

__all__ = ["ADVICE", "NOT_TOLD", "Cause", "cause"]

FEWEST_SHIFTED = 20     # spikes that are shifted or change places alike, where no currents were recorded
MANY = 8                # small deviations that something else explains exactly are not rounding
MOST_ALIKE = 6          # packets that something simpler explains as well are not lost
MUCH_MORE = 3           # times as many packets as of another fate are none of that fate
FEWEST_SENDERS = 3      # whose synapses all learned otherwise, before it is the rule's parameter and no packet
FEWEST_STILL = 10       # steps in which a core must stand still
MOST_TWINS = 300_000    # neurons times steps that the reference computes for another order of packets


def cause(a: Recorded, b: Recorded, first: "Difference") -> Cause:
    """Why `a` and `b` differ: Cause.

    Parameters
    ----------
    a, b : Recorded
        Of the same populations and synapses.
    first : compare.Difference
    """
    case = Case(declared.as_played(a), declared.as_played(b), first)
    if found := declared.differences(case):
        return declared.judged(case, found)
    return declared.read_weights(case) or _chosen(case, _explanations(case))


def _explanations(case: Case) -> list[Cause]:
    """Every cause that explains all of the difference: list of Cause."""
    found = [*_rounding(case), *_shifted(case), *_changed_places(case), *_order(case)]
    if case.deviant is None or any(r.how.get("made_on") in CONTINUOUS for r in case.sides.values()):
        return found
    if case.is_input:
        for tell in (saturation, packets, delays, weights, data):
            found += tell(case)
    found += [*by_spikes(case), *_standstill(case), *parameters.undeclared(case)]
    few = _places(case) < MANY
    if not found or few or any(one.name == "weights" for one in found):
        rules = parameters.of_rules(case)       # what explains more than a few numbers no rule could do by accident
        few = few or (bool(rules) and parameters.senders(case) < FEWEST_SENDERS)
        found += [Cause(NOT_TOLD, one.evidence, one.details) for one in rules] if few else rules
    return found


def _chosen(case: Case, found: Sequence[Cause]) -> Cause:
    """The one cause of those that explain everything, without those that something simpler makes superfluous."""
    names = {one.name for one in found}
    if names - {"rounding"} and case.deviant and _places(case) >= MANY:
        found = [one for one in found if one.name != "rounding"]
    fewest = min([_packets_of(one) for one in found if one.name in FATES], default=0)
    found = [one for one in found if one.name not in FATES or _packets_of(one) < MUCH_MORE * fewest]
    if names - set(FATES):
        found = [one for one in found if one.name not in FATES or _packets_of(one) < MOST_ALIKE]
    kinds = list(dict.fromkeys(one.name for one in found))
    if not found:
        return Cause(NOT_TOLD, _what_is_known(case))
    if kinds == [NOT_TOLD]:
        return Cause(NOT_TOLD, f"too few numbers differ: {found[0].evidence}, but that may be by accident")
    if len(kinds) > 1:
        kinds = ["parameter" if name == NOT_TOLD else name for name in kinds]
        return Cause(NOT_TOLD, f"{' or '.join(kinds)}, each of which would explain it: "
                     + "; or: ".join(one.evidence for one in found), {"or": [{"name": one.name, **one.details}
                                                                             for one in found]})
    first, *others = found
    if not others:
        return first
    return Cause(first.name, "; or: ".join(one.evidence for one in found),
                 {**first.details, "or": [one.details for one in others]})


def _places(case: Case) -> int:
    """How many numbers of the deviant recording do not follow from those before."""
    return sum(off.places for off in case.off)


def _packets_of(one: Cause) -> int:
    return len(one.details.get("lost", one.details.get("packets", ())))


def _rounding(case: Case) -> list[Cause]:
    """Differences that one step may round away, everywhere and in every step."""
    first = case.first
    if first.variable == "weights" and not _is_whole(case, first.population):
        return []
    if first.variable != "weights" and (first.population not in case.order
                                        or first.neuron not in case.a.neurons[first.population]):
        return []
    sides = [name for name in case.sides if not case.follows[name]]
    continuous = [name for r in case.sides.values() if (name := r.how.get("made_on")) in CONTINUOUS]
    if not sides or not _is_small_first(case, bool(continuous)):
        return []
    largest, gap = 0, 0
    for name in sides:
        unrounded = case.sides[name].how.get("made_on") in CONTINUOUS
        for one, off in zip(case.inputs[name], case.deviations[name]):
            more = _unrounded(one) if unrounded and one.is_followed else 0
            away = np.where(off.spikes, one.membranes - one.all_thresholds(), 0)
            if ((abs(off.currents) > ROUNDING + more).any() or (abs(off.membranes) > ROUNDING).any()
                    or (abs(away) > ROUNDING).any() or any((abs(part) > ROUNDING).any()
                                                           for part in off.weights.values())):
                return []
            largest, gap = max(largest, off.largest), gap or int(away[np.nonzero(away)][:1].sum())
    why = "which one step may round away"
    if continuous:
        why += f"; {continuous[0]} does not round weights to 16 bits either"
    return [_rounded(case, largest, gap, why)]


def _rounded(case: Case, largest: int, gap: int, why: str) -> Cause:
    first = case.first
    if first.variable == "weights":
        return Cause("rounding", f"spikes, membranes and currents are all the same; the learned weights of projection"
                     f" {first.projection} differ by {largest} of their 16 bits at most", {"largest": largest})
    if first.variable == "spikes":
        return Cause("rounding", f"membrane and currents of neuron {first.neuron} are the same in step {first.step:,};"
                     f" they bring it to {gap:+d} in the last place from its threshold, which one step may round away",
                     {"from_threshold": gap})
    return Cause("rounding", f"before step {first.step:,} everything is the same, spikes included; there and in every"
                 f" step after it membranes and currents are at most {largest} in the last place from what follows from"
                 f" the step before, {why}", {"largest": largest})


def _is_whole(case: Case, label: str) -> bool:
    """Whether every neuron of a population was recorded, and its weights can be learned again."""
    return (label in case.order and case.inputs["A"][case.order.index(label)].is_followed
            and len(np.unique(case.a.neurons[label])) == case.network.population(label).size)


def _is_small_first(case: Case, continuous: bool) -> bool:
    """Whether in the first step that differs nothing differs by more than a step rounds away."""
    step = case.first.step
    if step >= case.steps:
        return True
    for ours, theirs in zip(case.inputs["A"], case.inputs["B"]):
        more = _unrounded(ours)[:, step] if continuous and ours.is_followed else np.zeros((2, 1))
        for name, allowed in zip(("v", *CURRENTS), (0, *more)):
            differ = abs(ours.trace[name][step] - theirs.trace[name][step])
            if (differ > ROUNDING + allowed).any() or (name != "v" and not ours.is_followed and differ.any()):
                return False
    return True


def _unrounded(one: Inputs) -> Ints:
    """By how much currents may be off for weights that are not rounded: int64 array (receptors, steps, neurons)."""
    came = one.expected
    inside = came.arrival < one.steps
    count = np.zeros((2, one.steps, len(one.neurons)), np.int64)
    np.add.at(count, (came.receptor[inside], came.arrival[inside], came.column[inside]), 1)
    return (count << one.constants.shift[:, None, one.neurons]) // 2


def _shifted(case: Case) -> list[Cause]:
    """Spikes of a population that all come some steps later, where its currents were not recorded."""
    label = case.first.population
    if case.first.variable != "spikes" or label in case.order or not _is_driven(case, label):
        return []
    before = {p.pre for p in case.network.incoming(label)} - {label}
    if any(case.a.spikes[name] != case.b.spikes[name] for name in before):
        return []
    ours, theirs = (r.spikes[label] for r in (case.a, case.b))
    (step, neuron), (late, late_neuron) = ((s.steps(), s.neurons.astype(np.int64)) for s in (ours, theirs))
    for later in (k for size in range(1, LATEST + 1) for k in (size, -size)):
        inside, still = (step + later < case.a.n_steps) & (step + later >= 0), (late - later >= 0) & (
            late - later < case.a.n_steps)
        if inside.sum() >= FEWEST_SHIFTED and np.array_equal(step[inside] + later, late[still]) and np.array_equal(
                neuron[inside], late_neuron[still]):
            return [Cause("delay", f"all {inside.sum():,} spikes of population {label} come {abs(later)} steps"
                          f" {'later' if later > 0 else 'earlier'} in B than in A, and what it receives is the same",
                          {"population": label, "steps": later, "spikes": int(inside.sum())})]
    return []


def _is_driven(case: Case, label: str) -> bool:
    """Whether a population only fires because of what it receives."""
    constants = case.a.lowered.populations[label]
    rest = constants.v_rest + constants.i_offset / 32768 * constants.resistance
    return bool((np.maximum(np.maximum(rest, constants.v_init), constants.v_reset) < constants.v_thresh).all())


def _changed_places(case: Case) -> list[Cause]:
    """Neurons of one core that have changed places."""
    label = case.first.population
    core = case.cores[label]
    if case.first.variable == "weights" or case.network.population(label).is_source or core.max() == 0:
        return []
    trains = [r.spikes[label].to_lists() for r in (case.a, case.b)]
    moved = [n for n, (ours, theirs) in enumerate(zip(*trains)) if ours != theirs]
    hit = np.unique(core[moved])
    if len(hit) != 1 or not moved or sorted(trains[0][n] for n in moved) != sorted(trains[1][n] for n in moved):
        return []
    if not (_same_traces(case, label, moved) if label in case.order else
            sum(len(trains[0][n]) for n in moved) >= FEWEST_SHIFTED):
        return []
    return [Cause("partition", f"in {case.core_text(label, hit[0])} the same spikes come from other neurons:"
                  f" {len(moved)} have changed places, and all other neurons of the population are the same",
                  {"population": label, "core": int(hit[0]), "changed_places": moved})]


def _same_traces(case: Case, label: str, moved: Sequence[int]) -> bool:
    """Whether the recorded membranes of some neurons are the same but for their order, and all others the same."""
    ids = case.a.neurons[label]
    columns = np.isin(ids, moved)
    ours, theirs = (np.concatenate([r.membranes[label][name] for name in ("v", *CURRENTS)]) for r in (case.a, case.b))
    return (columns.sum() == len(moved) and np.array_equal(ours[:, ~columns], theirs[:, ~columns])
            and np.array_equal(np.unique(ours[:, columns], axis=1), np.unique(theirs[:, columns], axis=1)))


def _standstill(case: Case) -> list[Cause]:
    """Cores whose neurons do nothing any more."""
    if len(case.astray) != 1:
        return []
    one, off = case.astray[0]
    wrong = off.membranes | off.spikes | off.currents.any(axis=0)
    hit = np.unique(one.core[wrong.any(axis=0)])
    mine = np.isin(one.core, hit)
    if off.learned or not wrong.any() or mine.sum() < 2:
        return []
    traces = np.concatenate([one.trace[name][:, mine] for name in ("v", *CURRENTS)], axis=1)
    moves = np.flatnonzero((traces[1:] != traces[:-1]).any(axis=1) | one.fired[1:, mine].any(axis=1))
    since = int(moves[-1]) + 1 if len(moves) else 0
    if wrong[:since].any() or case.steps - since < FEWEST_STILL:
        return []
    return [Cause("partition", f"in {case.deviant} {case.cores_text(one.label, frozenset(hit.tolist()))} stands still"
                  f" from step {since:,} on: no spike, and membranes and currents that do not move; everything else is"
                  " as the network says", {"in": case.deviant, "population": one.label, "core": int(hit[0]),
                                           "cores": hit.tolist(), "since": since})]


def _order(case: Case) -> list[Cause]:
    """Split cores on which a population's own packets arrived before those of others."""
    off = [name for name, follows in case.follows.items() if not follows]
    network = case.network
    split = [label for label, population in case.a.lowered.populations.items() if population.split]
    size = sum(p.size for p in network.populations) * case.a.n_steps
    if len(off) != 1 or not split or size > MOST_TWINS or case.sides[off[0]].thresholds:
        return []
    recorded = case.sides[off[0]]
    twin = ReferenceSimulation(recorded.lowered, own_first=True)
    labels = list(twin.neurons)
    fired, traces = twin.run(recorded.n_steps, labels)
    same = all(fired[k] == list(zip(recorded.spikes[k].steps().tolist(), recorded.spikes[k].neurons.tolist()))
               for k in labels) and all(np.array_equal(traces[k][name][:, recorded.neurons[k]], values)
                                        for k, part in recorded.membranes.items() for name, values in part.items())
    same = same and all(np.array_equal(twin.projections[p.label].weight, recorded.weights[p.label])
                        for p in network.projections if p.learns and p.label in recorded.weights)
    return [Cause("partition", f"in {off[0]} the packets of {' and '.join(split)} reached the cores of their own"
                  " synapses before those of other populations, in the other recording after them; on split cores that"
                  " order is not defined", {"in": off[0], "populations": split})] if same else []


def _what_is_known(case: Case) -> str:
    first = case.first
    label = first.population
    if not case.order:
        return "no membranes were recorded, which would tell what each neuron received" + _one_core(case)
    if first.variable != "weights" and (label not in case.order or first.neuron not in case.a.neurons[label]):
        return f"the membrane of neuron {first.neuron} of population {label} was not recorded" + _one_core(case)
    if not all(one.is_followed for one in case.inputs["A"]):
        return ("weights on split cores or under neuromodulation are not followed, so it is not known what each neuron"
                " should have received" + _one_core(case))
    off = [name for name, parts in case.deviations.items() if any(part.currents.any() for part in parts)]
    if off:
        return (f"{' and '.join(off)} received something else than the network says, but neither lost packets nor"
                " other delays, weights or time constants explain all of it" + _one_core(case))
    if first.variable == "weights":
        return f"learned weights of projection {first.projection} differ, and nothing before them does"
    return ("both received what the network says; a membrane or a spike left the arithmetic by more than rounding, and"
            " no single parameter explains all of it" + _one_core(case))


def _one_core(case: Case) -> str:
    """Which core all neurons of a population that differ share, in words, if there are several of each."""
    label = case.first.population
    core = case.cores.get(label, np.zeros(1, int))
    if core.max() == 0 or case.first.variable == "weights":
        return ""
    trains = [r.spikes[label].to_lists() for r in (case.a, case.b)]
    moved = [n for n, (ours, theirs) in enumerate(zip(*trains)) if ours != theirs]
    hit = np.unique(core[moved])
    return f"; all {len(moved)} neurons of the population whose spikes differ are on {case.core_text(label, hit[0])}" \
        if len(hit) == 1 and len(moved) > 1 else ""
