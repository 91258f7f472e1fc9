"""The verdict after a run on SpiNNaker: whether its numbers can be trusted, and the smallest change that would help.

A run is ``valid`` (nothing was counted that changes a number), ``suspect`` (something may have, or it is not known) or
``invalid`` (packets, steps or data are missing). What is counted and where comes from
``backends.spinnaker.provenance``, what it means from the tables of ``health.rules``.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from spikingconvnet.backends.spinnaker.provenance import CORE, ROUTER, SETUP, TRANSFER, Provenance, Reading
from spikingconvnet.health.places import Chips, chips, together
from spikingconvnet.health.rules import (
    DERIVED,
    ENGINE,
    EXPLAINED,
    INVALID,
    NEUTRAL,
    NO_MEMORY,
    NOTE,
    REMARK,
    RULES,
    SUSPECT,
    UNKNOWN,
    UNKNOWN_REMARK,
    Rule,
)
from spikingconvnet.network.arrays import Pair
from spikingconvnet.store.schemas import VERDICTS

Chip: TypeAlias = tuple[int | None, int | None]                 # x, y
Place: TypeAlias = tuple[int | None, int | None, int | None]    # x, y, p
Items: TypeAlias = Mapping[str, Reading]
BADNESS = (NOTE, SUSPECT, INVALID)
DROPPED = "Dropped_Multicast_Packets"
PLACES = 3                      # places of a finding that are told
BY_ITEM = {(table, item): [rule for rule in RULES if (rule.table, rule.item) == (table, item)]
           for table, item in {(rule.table, rule.item) for rule in RULES}}


@dataclass(frozen=True)
class Finding:
    """Something that was found in a run.

    Attributes
    ----------
    name, severity, cause, fix, source : str
        Of its rule, in words.
    value : int
        Over all places and runs; for what is a largest value, the largest.
    where : tuple of str
        The worst places, at most `PLACES`.
    places : int
        All of them.
    steps : (int, int) or None
        The run in which it was first seen.
    """

    name: str
    severity: str
    cause: str
    fix: str
    source: str
    value: float
    where: tuple[str, ...] = ()
    places: int = 0
    steps: Pair | None = None

    def __str__(self) -> str:
        more = f" and {self.places - len(self.where)} more" if self.places > len(self.where) else ""
        parts = (f"at {', '.join(self.where)}{more}" if self.where else "",
                 f"first in steps {self.steps[0]} to {self.steps[1]}" if self.steps else "", self.fix)
        return "; ".join((f"{self.severity}: {self.cause}", *filter(None, parts)))


@dataclass(frozen=True)
class Health:
    """The verdict on one or more runs.

    Attributes
    ----------
    findings : tuple of Finding
        The worst first.
    runs, cores : int
        That were looked at.
    chips : tuple of dict
        How each core and router did, see ``places.chips``.
    """

    findings: tuple[Finding, ...] = ()
    runs: int = 0
    cores: int = 0
    chips: Chips = ()

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`."""
        return worst(finding.severity for finding in self.findings)

    def __str__(self) -> str:
        return f"{self.verdict} (runs: {self.runs}, cores: {self.cores})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"verdict": self.verdict, "runs": self.runs, "cores": self.cores,
                "findings": [vars(finding) for finding in self.findings], "chips": list(self.chips)}


def worst(verdicts: Iterable[str]) -> str:
    """The worst of several verdicts or severities; ``valid`` if there are none.

    >>> worst(["note", "suspect", "valid"]), worst([])
    ('suspect', 'valid')
    """
    return max((v for v in verdicts if v in VERDICTS), key=VERDICTS.index, default=VERDICTS[0])


def judge(provenance: Provenance) -> Health:
    """Judge the runs of one simulation: Health.

    Parameters
    ----------
    provenance : provenance.Provenance
    """
    since_reset = _judge(provenance)
    return merge([*map(_judge, provenance.earlier), since_reset]) if provenance.earlier else since_reset


def _judge(provenance: Provenance) -> Health:
    """What is above its rule's limit, of the readings and of what follows from them."""
    beside = {(r.x, r.y, r.p, r.item) for r in provenance.readings if r.table == CORE}
    found = defaultdict(list)
    for reading in (*provenance.readings, *_derived(provenance), *_engine(provenance), *_remarks(provenance)):
        rule = _rule(reading, beside)
        if rule and reading.value > rule.above:
            found[rule].append(reading)
    return Health(_sorted(_finding(rule, readings, provenance) for rule, readings in found.items()),
                  len(provenance.ends) + bool(provenance.failure), len(provenance.cores), chips(provenance))


def merge(healths: Sequence[Health]) -> Health:
    """One Health for several simulations: a finding that they share is told once, with its first places."""
    shared = defaultdict(list)
    for finding in (finding for health in healths for finding in health.findings):
        shared[finding.name, finding.severity, finding.source].append(finding)
    return Health(_sorted(replace(same[0], value=max(finding.value for finding in same)) for same in shared.values()),
                  sum(health.runs for health in healths), max((health.cores for health in healths), default=0),
                  together([health.chips for health in healths]))


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    order = {rule.name: i for i, rule in reversed(list(enumerate(RULES)))}
    return tuple(sorted(findings, key=lambda f: (-BADNESS.index(f.severity), order.get(f.name, len(RULES)))))


def _rule(reading: Reading, beside: set[Any]) -> Rule | None:
    """The rule for a reading; None if it means nothing."""
    if reading.table == REMARK:
        return next((rule for rule in RULES if rule.table == REMARK and re.search(rule.item, reading.item)),
                    UNKNOWN_REMARK)
    for rule in BY_ITEM.get((reading.table, reading.item), ()):
        if not rule.beside or (reading.x, reading.y, reading.p, rule.beside) in beside:
            return rule
    if reading.item in NEUTRAL or reading.table == TRANSFER:
        return None
    return UNKNOWN


def _finding(rule: Rule, readings: Sequence[Reading], provenance: Provenance) -> Finding:
    """A rule and all readings that break it as one finding."""
    readings = sorted(readings, key=lambda r: -r.value)
    value = readings[0].value if rule.largest else sum(r.value for r in readings)
    slower = 2 * (provenance.time_scale or 1)
    cause = rule.cause.format(n=value, item=readings[0].item)
    places = list(dict.fromkeys(filter(None, (_place(r, provenance) for r in readings))))
    return Finding(rule.name, rule.severity, cause, rule.fix.format(slower=slower), rule.source, value,
                   tuple(places[:PLACES]), len(places), None if rule.above else _steps(readings, provenance.ends))


def _place(reading: Reading, provenance: Provenance) -> str:
    if reading.p is not None:
        core = next((c for c in provenance.cores if (c.x, c.y, c.p) == (reading.x, reading.y, reading.p)), None)
        place = str(core) if core else f"core {reading.x},{reading.y},{reading.p}"
        return f"{place}: {reading.between}" if reading.between else place
    return f"router {reading.x},{reading.y}" if reading.x is not None else reading.between


def _steps(readings: Sequence[Reading], ends: Sequence[int]) -> Pair | None:
    """First and last step of the earliest run that is concerned, if readings tell their run."""
    told = [r.run for r in readings if r.run is not None and r.run < len(ends)]
    return (ends[min(told) - 1] if min(told) else 0, ends[min(told)]) if told else None


def _derived(provenance: Provenance) -> Iterator[Reading]:
    """What only several numbers together tell."""
    if provenance.failure:
        yield from _of_failure(provenance)
    if not any(reading.table in (CORE, ROUTER) for reading in provenance.readings):
        yield Reading(DERIVED, "no_provenance", 1)
        return
    cores: dict[Place, dict[str, Reading]] = defaultdict(dict)
    routers: dict[Chip, dict[str, Reading]] = defaultdict(dict)
    for reading in provenance.readings:
        if reading.table == CORE:
            cores[reading.x, reading.y, reading.p][reading.item] = reading
        elif reading.table == ROUTER:
            routers[reading.x, reading.y][reading.item] = reading
        elif reading.table == SETUP and provenance.time_scale is not None:
            yield Reading(DERIVED, "time_scale", int(reading.value != provenance.time_scale))
    for place, items in cores.items():
        yield from _of_core(place, items, provenance)
    for router, items in routers.items():
        yield from _of_router(router, items)
    if not provenance.failure:
        yield from _silent(provenance, cores, routers)


def _of_failure(provenance: Provenance) -> Iterator[Reading]:
    """A run that did not come to its end; a core that has said that its memory was too small is no broken one."""
    said = defaultdict(list)
    for x, y, p, text in provenance.said:
        said[x, y, p].append(text)
    small = {place for place, texts in said.items() if any(re.search(NO_MEMORY, text) for text in texts)}
    yield Reading(DERIVED, "failed_for_memory" if small else "failed", 1, between=provenance.failure)
    for x, y, p, state in provenance.states:
        place = (x, y, p)
        between = ": ".join([state, *said.get(place, ())])
        yield Reading(DERIVED, "core_memory" if place in small else "core_states", 1, *place, between=between)


def _of_core(place: Place, items: Items, provenance: Provenance) -> Iterator[Reading]:
    """What a core's counters say together: skipped synapses, steps and packets that are missing."""
    def differ(name: str, one: float | None, other: float | None) -> Iterator[Reading]:
        if one is not None and other is not None:
            yield Reading(DERIVED, name, abs(one - other), *place)

    value = {item: reading.value for item, reading in items.items()}
    core = next((core for core in provenance.cores if (core.x, core.y, core.p) == place), None)
    if "Skipped synapses" in items:
        silent = core is not None and core.silent and not value.get("Late spikes")
        yield replace(items["Skipped synapses"], table=DERIVED, item="skipped_silent" if silent else "skipped_synapses")
    if provenance.ends and not provenance.failure and not _is_silent(items, provenance):
        yield from differ("steps_missing", value.get("Last_timer_tic_the_core_ran_to"), provenance.ends[-1])
        yield from differ("packets_missing", value.get("Send_multicast_packets"), core.given if core else None)
    handled = value.get("Number_of_packets_processed")
    yield from differ("delay_unprocessed", value.get("Number_of_packets_received"), handled)
    yield from differ("delay_unadded", value.get("Number_of_packets_added_to_delay_slot"), handled)


def _of_router(place: Chip, items: Items) -> Iterator[Reading]:
    """Packets that were dropped for good, and those that were taken but not sent again."""
    value = defaultdict(int, {item: reading.value for item, reading in items.items()})
    received, dropped = value["Received_For_Reinjection"], items.get(DROPPED)
    lost = value[DROPPED] - received - value["Missed_For_Reinjection"]
    yield Reading(DERIVED, "dropped_packets", lost, *place, run=dropped.run if dropped else None)
    yield Reading(DERIVED, "not_reinjected", received - value["Reinjection_Overflows"] - value["Reinjected"], *place)


def _silent(provenance: Provenance, cores: Mapping[Place, Items], routers: Mapping[Chip, Items]) -> Iterator[Reading]:
    """Cores and routers that were not read after every run."""
    for core in provenance.cores:
        place = core.x, core.y, core.p
        yield Reading(DERIVED, "silent_core", int(_is_silent(cores[place], provenance)), *place)
    for chip in provenance.chips:
        items = {DROPPED: routers[chip][DROPPED]} if DROPPED in routers[chip] else {}
        yield Reading(DERIVED, "silent_router", int(_is_silent(items, provenance)), *chip)


def _is_silent(items: Items, provenance: Provenance) -> bool:
    return min((reading.times for reading in items.values()), default=0) < max(1, len(provenance.ends))


def _engine(provenance: Provenance) -> Iterator[Reading]:
    for label, counts in provenance.counters.items():
        for item, value in counts.items():
            if (ENGINE, item) in BY_ITEM:
                yield Reading(ENGINE, item, value, between=f"projection {label}")


def _remarks(provenance: Provenance) -> Iterator[Reading]:
    for message in provenance.messages:
        if not any(re.search(text, message) for text in EXPLAINED):
            yield Reading(REMARK, message, 1)
