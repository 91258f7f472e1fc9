"""Why two recordings of a network differ: a cause is named only if what was recorded proves it, otherwise it is not.

The proof is mostly arithmetic: ``inputs`` says what each recorded current and membrane should have been, so a packet
that was lost leaves exactly its weights missing, and a delay that differs explains every deviation of a run.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations, islice

import numpy as np

from spikingconvnet.backends.local.reference import SATURATED
from spikingconvnet.backends.partition import cores
from spikingconvnet.deployment.inputs import CURRENTS, Inputs, Packet

NOT_TOLD = "not told"
ROUNDING = 4            # units in the last place that one step may round away: three products and a sum
CONTINUOUS = ("nest", "brian2")     # simulators that do not round weights to 16 bits
HORIZON = 1000          # steps behind the first difference that a cause has to explain
LATEST = 8              # steps by which delays may be off
MOST_LOST = 1000        # packets
MOST_AT_ONCE = 3        # packets that may be missing in one step on one core
MOST_COMBINED = 20000   # sets of packets of a step that are tried
MOST_TRIED = 50         # of those that explain the step, are tried on the whole run
FEWEST_SHIFTED = 3      # spikes that must all be shifted alike to call it a delay, where currents were not recorded
CHANCE = 1e-3           # that differences fall into one core by accident
ADVICE = {
    "data": "record both with the same data, seed and parameters",
    "weights": "use one run's layers for both recordings; if both were given the same weights, compare the versions of"
               " the simulators",
    "rounding": "nothing if the answers agree; only the local backend and sPyNNaker 7.4.1 promise equal integers",
    "saturation": "lower the weights or raise max_expected_summed_weight, see --mode check",
    "lost packet": "record again with a larger --time-scale; --mode check tells which steps are busy",
    "delay": "look at the delays of that projection, and whether time steps overran; a larger --time-scale gives them"
             " time",
    "partition": "look at how the population is cut into cores, see --mode check; record again to see whether it is"
                 " always that core",
    NOT_TOLD: "record both again on the same machines to see whether it is always there",
}


@dataclass(frozen=True)
class Cause:
    """Why two recordings differ.

    Attributes
    ----------
    name : str
        A key of `ADVICE`.
    evidence : str
        What shows it, or what is known without showing a cause.
    details : dict
        The same in numbers, as JSON holds it.
    """

    name: str
    evidence: str
    details: dict = field(default_factory=dict)

    @property
    def advice(self):
        """What to do next."""
        return ADVICE[self.name]


def cause(a, b, first):
    """Why `a` and `b` differ: Cause.

    Parameters
    ----------
    a, b : Recorded
        Of one network.
    first : compare.Difference
    """
    case = _Case(a, b, first)
    for tell in (_data, _weights, _lost_or_late, _saturation, _rounding, _shifted, _partition):
        found = tell(case)
        if found:
            return found
    return Cause(NOT_TOLD, _what_is_known(case))


class _Case:
    """Both recordings and what their networks make one expect, computed when it is asked for."""

    def __init__(self, a, b, first):
        self.a, self.b, self.first, self.network = a, b, first, a.network
        self.steps = min(a.n_steps, first.step + HORIZON)
        self.order = [p.label for p in a.network.populations if p.label in a.neurons and len(a.neurons[p.label])
                      and all(len(r.membranes[p.label]) == 3 for r in (a, b))]

    @cached_property
    def inputs(self):
        """Inputs of every population whose membranes were recorded: dict of 'A' and 'B' to list."""
        return {name: [Inputs(r, label, self.steps) for label in self.order]
                for name, r in (("A", self.a), ("B", self.b))}

    @cached_property
    def followed(self):
        """Those of `inputs` whose currents can be followed; none if the first difference is elsewhere."""
        found = {name: [one for one in side if one.is_followed] for name, side in self.inputs.items()}
        return found if self.first.population in [one.label for one in found["A"]] else {"A": [], "B": []}

    @cached_property
    def deviations(self):
        """Of the currents from the network's arithmetic: dict of 'A' and 'B' to list of arrays (2, steps, neurons)."""
        return {name: [one.deviations() for one in side] for name, side in self.followed.items()}

    @cached_property
    def deviant(self):
        """The recording whose currents alone leave the arithmetic, 'A' or 'B'; None if it is both or neither."""
        off = [name for name, parts in self.deviations.items() if any(part.any() for part in parts)]
        return off[0] if len(off) == 1 else None

    @cached_property
    def lost(self):
        """Packets whose loss explains all deviations of the deviant one, see :func:`_packets`."""
        if self.deviant is None:
            return [], []
        return _packets(self, self.followed[self.deviant], list(self.deviations[self.deviant]))

    def core_text(self, label, core):
        """A core in words."""
        ids = np.flatnonzero(self.cores[label] == core)
        return f"core {core} of population {label} (neurons {ids[0]} to {ids[-1]})"

    def cores_text(self, label, hit):
        """Cores in words: the whole population, or up to three of its cores."""
        if len(hit) == len(np.unique(self.cores[label])):
            return f"population {label}"
        more = f" and {len(hit) - 3} more" * (len(hit) > 3)
        return " and ".join(self.core_text(label, core) for core in sorted(hit)[:3]) + more

    @cached_property
    def cores(self):
        """Core of every neuron: dict of str to int array."""
        return cores(self.network)


def _other(name):
    return "A" if name == "B" else "B"


# ---------------------------------------------------------------- what the networks were given


def _data(case):
    for population in case.network.populations:
        label = population.label
        if population.is_source and case.a.spikes[label] != case.b.spikes[label]:
            seeds = [r.how.get("seed") for r in (case.a, case.b)]
            text = f"population {label} is a source, and its own spikes differ: not the same input"
            if seeds[0] != seeds[1]:
                text += f" (seed {seeds[0]} and {seeds[1]})"
            return Cause("data", text, {"population": label, "seeds": seeds})
    return None


def _weights(case):
    for projection in case.network.projections:
        label = projection.label
        if projection.plasticity is None and label in case.a.weights and label in case.b.weights:
            ours, theirs = (r.weights[label].astype(np.int64) for r in (case.a, case.b))
            if (ours != theirs).any():
                given = _same_given(case, label)
                factor = _factor(ours, theirs)
                text = (f"{(ours != theirs).sum():,} of {len(ours):,} weights of projection {label} differ, which does"
                        " not learn")
                if factor:
                    text += (f"; those of B are 2**{factor} times those of A, so its ring buffers are shifted by"
                             f" {-factor:+d}")
                text += ", though both networks were given the same weights" if given else (
                    ": the two networks were given other weights")
                return Cause("weights", text, {"projection": label, "power_of_two": factor, "same_given": given})
    return None


def _same_given(case, label):
    ours, theirs = (r.network.projection(label).connections.to_list().weight for r in (case.a, case.b))
    return np.array_equal(ours, theirs)


def _factor(ours, theirs):
    """The power of two between two sets of 16-bit weights, both rounded; 0 if there is none."""
    for power in (p for size in range(1, 16) for p in (-size, size)):
        scale = 2.0 ** power
        if (abs(theirs - ours * scale) <= 0.5 + 0.5 * scale).all() and (theirs > 0).any() and (ours > 0).any():
            return power
    return 0


# ---------------------------------------------------------------- what arrived


def _saturation(case):
    if case.deviant is None:
        return None
    step, worst = case.first.step, 0
    for one, deviations in zip(case.followed[case.deviant], case.deviations[case.deviant]):
        sums, off = one.expected.sums(one.steps, len(one.neurons)), deviations[:, step]
        wrapped = one.currents(sums & SATURATED)[:, step] - one.currents(sums)[:, step]
        if ((sums[:, step] <= SATURATED) | (off <= ROUNDING) & (off != wrapped))[off != 0].any():
            return None
        worst = max(worst, sums[:, step][off != 0].max(initial=0))
    if not worst:
        return None
    return Cause("saturation", f"in step {step:,} more than the 65535 units that 16 bits hold were to come in at once,"
                 f" up to {worst:,}; {_other(case.deviant)} cuts such sums, {case.deviant} lets them overflow or holds"
                 " them in more than 16 bits", {"in": case.deviant, "largest_sum": int(worst)})


def _lost_or_late(case):
    """A lost packet or a delay; neither if both would explain what was recorded."""
    lost, late = _lost(case), _delay(case)
    if lost and late and lost.name != NOT_TOLD:
        return Cause(NOT_TOLD, f"two causes would explain it: {lost.evidence}; or: {late.evidence}")
    return lost or late


def _lost(case):
    packets, more = case.lost
    if not packets:
        return None
    if _is_small(case):
        return Cause(NOT_TOLD, f"{case.deviant} is off by {ROUNDING} in the last place at most, which may be rounding"
                     f" or the lost spike of neuron {packets[0].neuron} of population {packets[0].pre} in step"
                     f" {packets[0].step:,}")
    first, n = packets[0], len({(p.pre, p.neuron, p.step) for p in packets})
    where = case.cores_text(first.post, first.cores)
    text = (f"{case.deviant} lacks the spike of neuron {first.neuron} of population {first.pre} in step {first.step:,}"
            f" on its way to {where}: exactly its weights are missing, and {_other(case.deviant)} lacks nothing")
    if more:
        text += " (or of " + ", ".join(f"neuron {p.neuron} of {p.pre} in step {p.step:,}" for p in more[:3])
        text += f" or {len(more) - 3} others" * (len(more) > 3) + ", whose weights are the same)"
    text += f"; {n:,} lost {'spike explains' if n == 1 else 'spikes explain'} all currents before step {case.steps:,}"
    return Cause("lost packet", text, {"in": case.deviant, "lost": [_as_dict(p) for p in packets],
                                       "or": [_as_dict(p) for p in more]})


def _as_dict(packet):
    return {**vars(packet), "cores": sorted(packet.cores)}


def _is_small(case):
    """Whether rounding would explain the first deviation as well."""
    parts = case.deviations[case.deviant]
    step = min(np.flatnonzero(part.any(axis=(0, 2)))[0] for part in parts if part.any())
    return max(abs(part[:, step]).max() for part in parts) <= ROUNDING


def _packets(case, side, deviations):
    """Packets whose loss explains every deviation: those found, and others that the first may be; or none."""
    lost, others = [], []
    while any(part.any() for part in deviations):
        step = min(np.flatnonzero(part.any(axis=(0, 2)))[0] for part in deviations if part.any())
        place = next(i for i, part in enumerate(deviations) if part[:, step].any())
        found = list(islice(_candidates(case, side[place], deviations[place][:, step], step, lost), MOST_TRIED))
        if not found or len(lost) >= MOST_LOST:
            return [], []
        left = [side[place].deviations([*lost, *packets]) for packets in found]
        best = min(range(len(found)), key=lambda i: np.count_nonzero(left[i]))
        if not lost:
            others = [packet for i, packets in enumerate(found) for packet in packets
                      if packet not in found[best] and np.array_equal(left[i], left[best])]
        lost += found[best]
        deviations[place] = left[best]
    return _merged(lost), others


def _candidates(case, one, off, step, lost):
    """Lists of as few packets as possible without which the currents of a core are as they were recorded in a step.

    The core is the first one that is off; a list comes twice if other cores may lack the same packets.
    """
    deliveries = one.deliveries(lost) if lost else one.expected
    sums = deliveries.sums(step + 1, len(one.neurons))[:, step]
    recorded = np.stack([one.trace[name][step] for name in CURRENTS])
    core = one.core[np.flatnonzero(off.any(axis=0))[0]]
    mine = one.core == core
    packets = {}
    for key, rows in _by_packet(case, deliveries, step).items():
        places = deliveries.receptor[rows], deliveries.column[rows]
        less = np.zeros_like(sums)
        np.add.at(less, places, deliveries.weight[rows])
        if off[:, mine][less[:, mine] > 0].any():
            packets[key] = less, frozenset(one.core[places[1][off[places] != 0]].tolist())
    for size in range(1, MOST_AT_ONCE + 1):
        found = False
        for keys in islice(combinations(packets, size), MOST_COMBINED):
            less = sums - sum(packets[key][0] for key in keys)
            if (one.currents(less[:, None], step)[:, 0] == recorded)[:, mine].all():
                found = True
                for everywhere in (True, False)[:1 + any(packets[key][1] != {core} for key in keys)]:
                    yield [Packet(*key[:3], one.label, packets[key][1] if everywhere else frozenset([core]))
                           for key in keys]
        if found:
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


def _delay(case):
    if case.deviant is None:
        return None
    side, projections = case.followed[case.deviant], case.network.projections
    groups = [[i] for i in range(len(projections))]
    groups += [[i for i, p in enumerate(projections) if getattr(p, end) == label] for end in ("pre", "post")
               for label in dict.fromkeys(getattr(p, end) for p in projections)]
    for group in groups:
        posts = {projections[i].post for i in group}
        if not all((part.any() and one.label in posts) or not part.any()
                   for one, part in zip(side, case.deviations[case.deviant])):
            continue
        for later in sorted(range(-LATEST, LATEST + 1), key=abs):
            if later and _explains(case, side, group, later):
                return _delayed(case, group, later)
    return None


def _explains(case, side, group, later):
    shortest = min((lowered.delay.min(initial=1 << 20) for one in side for i, lowered in one.projections if i in group),
                   default=0)
    if shortest + later < 1:
        return False
    return (all(_may_explain(one, off, group, later) for one, off in zip(side, case.deviations[case.deviant]))
            and not any(one.deviations(later=dict.fromkeys(group, later)).any() for one in side))


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
    side = case.followed[case.deviant]
    n = sum(int(np.isin(one.expected.projection, group).sum()) for one in side)
    text = (f"in {case.deviant} {'projection' if len(labels) == 1 else 'projections'} {', '.join(labels)}"
            f" delivered {abs(later)} {'step' if abs(later) == 1 else 'steps'} {'later' if later > 0 else 'earlier'}"
            f" than the network says, which explains all currents before step {case.steps:,} ({n:,} deliveries to"
            f" recorded neurons); {_other(case.deviant)} is as the network says")
    return Cause("delay", text, {"in": case.deviant, "projections": labels, "steps": later, "deliveries": n})


# ---------------------------------------------------------------- what became of it


def _rounding(case):
    first = case.first
    if first.variable == "weights":
        return _rounded_weights(case)
    if first.step >= case.steps or first.population not in case.order:
        return None
    continuous = [name for name in (case.a.how.get("made_on"), case.b.how.get("made_on")) if name in CONTINUOUS]
    largest = 0
    for ours, theirs in zip(case.inputs["A"], case.inputs["B"]):
        allowed = _unrounded(ours, first.step) if continuous and ours.is_followed else [0, 0]
        for name, more in zip(("v", *CURRENTS), (0, *allowed)):
            differ = abs(ours.trace[name][first.step] - theirs.trace[name][first.step])
            if (differ > ROUNDING + more).any():
                return None
            largest = max(largest, int(differ.max(initial=0)))
    if first.variable == "spikes":
        return _at_threshold(case)
    why = "which one step may round away"
    if continuous:
        why += f"; {continuous[0]} does not round weights to 16 bits either"
    return Cause("rounding", f"before step {first.step:,} everything is the same, spikes included; there membranes and"
                 f" currents differ by {largest} in the last place at most, {why}", {"largest": largest})


def _unrounded(one, step):
    """By how much currents may be off for weights that are not rounded: int64 array (receptors, neurons)."""
    came = one.expected.arrival == step
    count = np.zeros((2, len(one.neurons)), np.int64)
    np.add.at(count, (one.expected.receptor[came], one.expected.column[came]), 1)
    return (count << one.constants.shift[:, one.neurons]) // 2


def _at_threshold(case):
    """Rounding where membranes and currents are the same before a spike that differs."""
    first, one = case.first, case.inputs["A"][case.order.index(case.first.population)]
    column = np.flatnonzero(one.neurons == first.neuron)
    if not len(column):
        return None
    gap = int(one.membranes[first.step, column[0]] - one.thresholds(first.step)[column[0]])
    if abs(gap) > ROUNDING:
        return None
    return Cause("rounding", f"membrane and currents of neuron {first.neuron} are the same in step {first.step:,};"
                 f" they bring it to {gap:+d} in the last place from its threshold, which one step may round away",
                 {"from_threshold": gap})


def _rounded_weights(case):
    """Plastic weights that differ a little at the end, though every neuron behind them was recorded and is the same."""
    label, post = case.first.projection, case.first.population
    whole = post in case.order and len(np.unique(case.a.neurons[post])) == case.network.population(post).size
    largest = int(abs(case.a.weights[label].astype(np.int64) - case.b.weights[label]).max())
    if not whole or largest > ROUNDING:
        return None
    return Cause("rounding", f"spikes, membranes and currents are all the same; the learned weights of projection"
                 f" {label} differ by {largest} of their 16 bits at most", {"largest": largest})


def _shifted(case):
    """Spikes of a population that all come some steps later, where its currents were not recorded."""
    label = case.first.population
    if case.first.variable != "spikes" or label in case.order:
        return None
    before = {p.pre for p in case.network.incoming(label)} - {label}
    if any(case.a.spikes[name] != case.b.spikes[name] for name in before):
        return None
    ours, theirs = (r.spikes[label] for r in (case.a, case.b))
    (step, neuron), (late, late_neuron) = ((s.steps(), s.neurons.astype(np.int64)) for s in (ours, theirs))
    for later in (k for size in range(1, LATEST + 1) for k in (size, -size)):
        inside, still = (step + later < case.a.n_steps) & (step + later >= 0), (late - later >= 0) & (
            late - later < case.a.n_steps)
        if inside.sum() >= FEWEST_SHIFTED and np.array_equal(step[inside] + later, late[still]) and np.array_equal(
                neuron[inside], late_neuron[still]):
            return Cause("delay", f"all {inside.sum():,} spikes of population {label} come {abs(later)} steps"
                         f" {'later' if later > 0 else 'earlier'} in B than in A, and what it receives is the same",
                         {"population": label, "steps": later, "spikes": int(inside.sum())})
    return None


def _partition(case):
    label = case.first.population
    core = case.cores[label]
    if case.first.variable == "weights" or core.max() == 0:
        return None
    trains = [r.spikes[label].to_lists() for r in (case.a, case.b)]
    moved = [n for n, (ours, theirs) in enumerate(zip(*trains)) if ours != theirs]
    differ = np.union1d(moved, _different_membranes(case)).astype(int)
    hit = np.unique(core[differ])
    if len(hit) != 1:
        return None
    place, n = case.core_text(label, hit[0]), len(differ)
    details = {"population": label, "core": int(hit[0]), "neurons": differ[:100].tolist()}
    if moved and sorted(trains[0][n] for n in moved) == sorted(trains[1][n] for n in moved):
        return Cause("partition", f"in {place} the same spikes come from other neurons: {len(moved)} have changed"
                     " places, and all other neurons of the population are the same",
                     {**details, "changed_places": moved})
    active = [n for n, parts in enumerate(zip(*trains)) if any(parts)]
    share = float((core[active] == hit[0]).mean()) if active else 1.0
    chance = max(share, 1 / len(core)) ** (n - 1)
    if chance >= CHANCE:
        return None
    return Cause("partition", f"all {n} neurons that differ in population {label} are on {place}, where"
                 f" {100 * share:.0f} % of its active neurons are; by accident that is less likely than {chance:.1g}",
                 {**details, "chance": chance})


def _different_membranes(case):
    """Neurons of the population in question whose recorded membranes or currents differ."""
    label = case.first.population
    return [neuron for name, ours in case.a.membranes.get(label, {}).items() for neuron in
            case.a.neurons[label][(ours != case.b.membranes[label][name]).any(axis=0)].tolist()]


def _what_is_known(case):
    first = case.first
    if first.variable == "weights":
        return f"learned weights of projection {first.projection} differ, and nothing before them does"
    if not case.order:
        return "no membranes were recorded, which would tell what each neuron received"
    if first.population not in case.order or first.neuron not in case.a.neurons[first.population]:
        return f"the membrane of neuron {first.neuron} of population {first.population} was not recorded"
    if not case.followed["A"]:
        return ("weights on split cores or under neuromodulation are not followed, so it is not known what each neuron"
                " should have received")
    off = [name for name, parts in case.deviations.items() if any(part.any() for part in parts)]
    if off:
        return (f"{' and '.join(off)} received something else than the network says, but neither lost packets nor"
                " other delays explain all of it")
    return "both received what the network says; a membrane or a spike left the arithmetic by more than rounding"
