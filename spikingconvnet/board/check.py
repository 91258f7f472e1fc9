"""The verdict before a run: what a board will do to a network, whether it fits, and the change that would help."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from spikingconvnet.board import dtcm, quantisation
from spikingconvnet.board.connectors import check_reset
from spikingconvnet.board.load import MARGIN
from spikingconvnet.board.lowering import MANY_ZEROS, lower
from spikingconvnet.board.partition import convolutions
from spikingconvnet.board.quantisation import Learning, Margin, Quantised
from spikingconvnet.board.resources import (
    MACHINES,
    SURVEY,
    Machine,
    Resources,
    Share,
    chips_counted,
    large_enough,
    replicas,
    resources,
)
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

DIGITS = 70_000             # MNIST, whose time on a machine is told
FATAL, WARNING, NOTE = "fatal", "warning", "note"
FEW_STEPS = 4.0             # of a weight in one pair, below which rounding down bends the rule
Copies: TypeAlias = tuple[int, float | None]       # of a network, and seconds that they take
FITS = ("fits", "fits with warnings", "does not fit")


@dataclass(frozen=True)
class Concern:
    """Something that a user should know: how bad, what, and the change that would help."""

    severity: str
    text: str
    change: str = ""


@dataclass(frozen=True)
class Subject:
    """A network to check.

    Attributes
    ----------
    name : str
        ``layer 1, training``.
    network : Network
    slot : int
        Steps of one sample.
    record : tuple of str
        Populations whose membranes are recorded at times: one copy has to fit then.
    replicated : bool
        Whether copies may share the samples; learning cannot be shared.
    basis : str
        What its weights and spikes are taken from.
    fired : dict of str to Spikes
        What populations of neurons fire over the source's timeline, where it is known.
    """

    name: str
    network: Network
    slot: int
    record: tuple[str, ...] = ()
    replicated: bool = True
    basis: str = ""
    fired: dict[str, Spikes] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Checked:
    """What was found out about one network.

    Attributes
    ----------
    name, basis : str
    projections : list of quantisation.Quantised
    margins : list of quantisation.Margin
    resources : resources.Resources or None
        None if no board could hold the network.
    memory : dtcm.Use or None
        The core whose own memory is fullest.
    slowdown : int
        Time scale factor at which the busiest core is expected to keep up; 1 is real time.
    copies : dict of str to (int, float or None)
        By machine: copies that fit, and seconds that `DIGITS` samples take them at that factor, without loading.
    connectors : dict of str to str
        How each convolution is deployed.
    findings : list of Concern
    """

    name: str
    basis: str
    projections: list[Quantised]
    margins: list[Margin]
    resources: Resources | None
    memory: dtcm.Use | None
    slowdown: int
    copies: dict[str, Copies]
    connectors: dict[str, str]
    findings: list[Concern] = field(default_factory=list)

    @property
    def verdict(self) -> str:
        """One of `FITS`."""
        kinds = {finding.severity for finding in self.findings}
        return FITS[2 if FATAL in kinds else 1 if WARNING in kinds else 0]


def check(subject: Subject, on: Machine, packet_buffer: int | None = None) -> Checked:
    """Check one network against a machine.

    Parameters
    ----------
    subject : Subject
    on : resources.Machine
    packet_buffer : int or None
        Packets that each core holds until it works them off; None is sPyNNaker's own number.

    Returns
    -------
    Checked
        What cannot be on a board at all, a NetworkError elsewhere, is a fatal finding of it.
    """
    network = subject.network
    try:
        lowered = lower(network)
        check_reset(network, lowered)
        projections, margins = quantisation.quantise(network, lowered), quantisation.margins(
            network, lowered, subject.fired)
        found = resources(network, subject.record, subject.fired)
        memory, lacks = dtcm.memory(network, subject.record, packet_buffer)
    except NetworkError as error:
        return Checked(subject.name, subject.basis, [], [], None, None, 1, {}, {}, [Concern(FATAL, str(error))])
    on = large_enough(on, found.recording)
    slowdown = max(1, math.ceil(MARGIN * found.loads[0].worst)) if found.loads else 1
    machines = [on, *(MACHINES[name] for name in SURVEY if name != on.name and subject.replicated)]
    copies = {one.name: _digits(replicas(found.groups, one), subject, slowdown) for one in machines}
    findings = [finding for one in projections for finding in _of_projection(one)]
    findings += [finding for one in margins for finding in _of_margin(one)]
    findings += [_of_parameter(one) for one in quantisation.vanished(network)]
    findings += [Concern(FATAL, lack.text, lack.change) for lack in lacks]
    findings += _of_resources(found, on, slowdown, network.timestep)
    findings += _of_bursts(found, packet_buffer or dtcm.PACKET_BUFFER, dtcm.largest_packet_buffer(memory))
    if not found.spikes_per_step:
        findings.append(Concern(NOTE, "no spikes of its source are known, so loads, times and margins are those of"
                                      " silence", "load the data, and train and test the layers before it"))
    return Checked(subject.name, subject.basis, projections, margins, found, memory[0], slowdown, copies,
                   convolutions(network)[1], findings)


def verdict(checked: Iterable[Checked]) -> str:
    """The worst verdict of several networks: one of `FITS`."""
    return FITS[max((FITS.index(one.verdict) for one in checked), default=0)]


def _digits(copies: int, subject: Subject, slowdown: int) -> Copies:
    if not copies or not subject.replicated:
        return min(copies, 1), None
    seconds = subject.slot * subject.network.timestep / 1000.0
    return copies, math.ceil(DIGITS / copies) * seconds * slowdown


def _of_projection(one: Quantised) -> Iterator[Concern]:
    """What a board does to the weights and delays of a projection, as concerns."""
    if one.zero > MANY_ZEROS * one.weights:
        yield Concern(WARNING, f"projection {one.label}: {_share(one.zero, one.weights)} of its weights become 0,"
                               f" because one step of a weight is {one.step:g} nA",
                      "narrow the range of its weights, or set max_expected_summed_weight of the population behind it")
    if one.wrapped:
        yield Concern(FATAL, f"projection {one.label}: {_share(one.wrapped, one.weights)} of its weights do not fit 16"
                             " bits and wrap around",
                      "raise max_expected_summed_weight, or lower the weights")
    if one.silent:
        yield Concern(WARNING, f"projection {one.label}: {one.silent:,} plastic synapses have a delay of {one.slots}"
                               " steps, the length of the ring buffer, and are never delivered",
                      f"use delays below {one.slots} steps, or one longer delay to the same population")
    if one.extended:
        yield Concern(NOTE, f"projection {one.label}: {one.extended:,} delays are beyond the {one.slots} steps of the"
                            " ring buffer and take cores that extend delays")
    if one.learning:
        yield from _of_learning(one.label, one.learning, one.step)


def _of_learning(label: str, learning: Learning, step: float) -> Iterator[Concern]:
    """Whether steps of a weight are fine enough for what a pair changes, and how a board learns otherwise."""
    if learning.potentiation_lost and learning.a_plus > 0:
        yield Concern(WARNING, f"projection {label}: a pair lifts a weight by {learning.a_plus:.2f} steps of"
                               f" {step:g} nA at most, which is rounded down to nothing; depression takes whole steps",
                      f"raise A_plus by {2.0 / learning.a_plus:.1f} times, or let fewer inputs reach a neuron")
    elif min(learning.a_plus, learning.a_minus) < FEW_STEPS and learning.a_plus > 0:
        yield Concern(NOTE, f"projection {label}: a pair changes a weight by {learning.a_plus:.2f} steps up and"
                            f" {learning.a_minus:.2f} down at most; every change is rounded down, in favour of"
                            " depression", "raise A_plus and A_minus")
    if learning.clipped:
        yield Concern(WARNING, f"projection {label}: {learning.clipped:,} weights start outside w_min .. w_max and jump"
                               " there when they first change", "start within the bounds")
    if not learning.backprop_delay:
        yield Concern(WARNING, f"projection {label}: it learns without the delay, so on a board the order of a step's"
                               " packets decides whether an input meets the spikes that its neurons fire in that step",
                      "backprop_delay=True, with which it does not")


def _of_margin(one: Margin) -> Iterator[Concern]:
    """Whether the input of a step fits a slot of the ring buffer: as it is measured, or if all inputs fired at once."""
    if one.measured is not None and one.measured < 1.0:
        yield Concern(WARNING, f"population {one.label}: its {one.receptor} input reaches {1 / one.measured:.2f} times"
                               f" the {one.scale:.4g} nA that a step can hold and is cut",
                      "raise max_expected_summed_weight of the population")
    elif one.measured is None and one.bound < 1.0:
        yield Concern(WARNING, f"population {one.label}: its {one.receptor} input would be cut if all inputs fired in"
                               " one step; how many do is not known yet", "load the data, then check again")


def _of_parameter(one: quantisation.Vanished) -> Concern:
    who = f"population {one.label}: {one.name} of {one.value:g} ({one.neurons:,} {_plural(one.neurons, 'neuron')})"
    if one.value > one.longest:
        return Concern(WARNING, f"{who} is so long that a step is no part of it in s16.15: it does not decay as it"
                                " should", f"at most {one.longest:g} ms")
    return Concern(WARNING, f"{who} is 0 in s16.15", f"at least {one.finest:.1e}, or 0")


def _of_resources(found: Resources, on: Machine, slowdown: int, timestep: float) -> Iterator[Concern]:
    """Whether the network fits the machine, and whether the busiest core is done within a step."""
    for groups, when in ((found.groups, ""), (found.recording, " while membranes are recorded")):
        if not replicas(groups, on):
            yield _too_large(found, groups, on, when)
            break
    if slowdown > 1:
        worst = found.loads[0]
        yield Concern(WARNING, f"population {worst.label}: in the busiest step {worst.spikes:,} spikes and"
                               f" {worst.events:,} synaptic events reach a core of {worst.neurons} neurons, an"
                               f" estimated {worst.worst * timestep:.1f} ms of work for {timestep:g} ms",
                      f"spread the input over more steps, or run at a time scale factor of {slowdown}"
                      + (f", or {worst.keeps_up:,} neurons on a core" if worst.keeps_up else ""))


def _of_bursts(found: Resources, buffer: int, largest: int) -> Iterator[Concern]:
    """Bursts of packets that the `buffer` of a core may not hold; `largest`: the one that its memory has room for."""
    most = max((load.spikes for load in found.loads), default=0)
    wanted = 1 << max(0, most - 1).bit_length()
    if most > buffer:
        larger = (f", or run with --packet-buffer {wanted}" if wanted <= largest else
                  f"; a core's memory has no room for a --packet-buffer of {wanted}, but for {largest}")
        yield Concern(WARNING, f"{most:,} spikes reach a core in one step, and its buffer holds {buffer:,}; what"
                               " comes faster than it is worked off is lost",
                      f"spread the input over more steps{larger}")


def _too_large(found: Resources, groups: Sequence[Share], on: Machine, when: str) -> Concern:
    """What does not fit: a share that has to be on one chip, or all of them together."""
    chip = max(on.board())
    large = [size for cores, size in groups if cores > chip[0] or size > chip[1]]
    if large:
        return Concern(FATAL, f"{large[0] / 1e6:.1f} MB of SDRAM have to be on one chip{when}, which has"
                              f" {chip[1] / 1e6:.1f} MB",
                       "fewer neurons or inputs in one population, or fewer spikes in one step")
    chips = chips_counted(groups)
    boards = math.ceil(chips / 48)
    return Concern(FATAL, f"{found.cores:,} cores on {chips:,} chips{when}; {on.name} has {on.cores:,} cores for"
                          f" neurons on {on.chips:,} chips",
                   f"{boards:,} {_plural(boards, 'board')} of 48 chips, or fewer neurons")


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({100 * part / whole:.1f} %)"


def as_dict(checked: Sequence[Checked], on: Machine) -> dict[str, Any]:
    """The report as plain numbers and texts, for JSON."""
    return {"target": on.name, "verdict": verdict(checked), "networks": [_plain(one) for one in checked]}


def _plain(one: Checked) -> dict[str, Any]:
    """What was checked, as JSON holds it."""
    found, memory = one.resources, one.memory
    made: dict[str, Any] = {"name": one.name, "basis": one.basis, "verdict": one.verdict, "connectors": one.connectors,
            "projections": [asdict(p) for p in one.projections], "margins": [asdict(m) for m in one.margins],
            "findings": [asdict(f) for f in one.findings]}
    if found and memory:
        made |= {"neurons": found.neurons, "cores": found.cores, "chips": found.chips, "sdram": found.sdram,
                 "sdram_recording": sum(size for _, size in found.recording), "slowdown": one.slowdown,
                 "dtcm": {"population": memory.label, "needed": memory.needed, "there": memory.there,
                          "neurons": memory.neurons, "parts": memory.parts},
                 "spikes_per_step": found.spikes_per_step, "loads": [asdict(load) for load in found.loads],
                 "copies": {name: {"copies": n, "seconds": seconds} for name, (n, seconds) in one.copies.items()}}
    return made


def as_text(checked: Sequence[Checked], on: Machine) -> str:
    """The report as text."""
    blocks = ["\n".join([f"{one.name} ({one.basis}): {one.verdict}", *_lines(one)]) for one in checked]
    return "\n\n".join([*blocks, f"{on.name}: {verdict(checked)}"])


def _lines(one: Checked) -> Iterator[str]:
    """What was checked, line by line: connectors, weights, margins, resources, findings."""
    for name, choice in one.connectors.items():
        yield f"  {name}: {choice}"
    for p in one.projections:
        yield (f"  {p.label}: {p.weights:,} weights in steps of {p.step:g} nA, {_share(p.zero, max(1, p.weights))}"
               f" become 0, {p.wrapped:,} wrap, {p.silent:,} silent"
               + (f", {p.learning.clipped:,} clipped" if p.learning else ""))
        if p.learning:
            yield (f"  {p.label}: a pair changes a weight by up to +{p.learning.a_plus:.2f} and"
                   f" -{p.learning.a_minus:.2f} of its {p.learning.levels - 1:,} steps")
    for m in one.margins:
        measured = "no spikes known" if m.measured is None else f"{m.measured:.1f} times the largest of busy steps"
        yield (f"  {m.label}: a step holds {m.scale:.4g} nA {m.receptor}, {m.bound:.2f} times all inputs at once,"
               f" {measured}")
    if one.resources and one.memory:
        yield from _resource_lines(one, one.resources, one.memory)
    for finding in one.findings:
        yield f"  {finding.severity}: {finding.text}" + (f"; {finding.change}" if finding.change else "")


def _resource_lines(one: Checked, found: Resources, memory: dtcm.Use) -> Iterator[str]:
    """Cores, chips and memory, the busiest and the fullest core, and how many copies fit which machine."""
    recording = sum(size for _, size in found.recording)
    yield (f"  {found.neurons:,} neurons on {found.cores:,} {_plural(found.cores, 'core')} and {found.chips:,}"
           f" {_plural(found.chips, 'chip')}, {found.sdram / 1e6:.1f} MB of SDRAM"
           + (f" ({recording / 1e6:.1f} MB while membranes are recorded)" if recording != found.sdram else "")
           + f", at most {found.spikes_per_step:,} input spikes in a step")
    if found.loads:
        worst = found.loads[0]
        yield (f"  busiest core ({worst.label}): an estimated {100 * worst.mean:.0f} % of a step on average,"
               f" {100 * worst.worst:.0f} % in the busiest one")
    yield (f"  fullest core ({memory.label}, {memory.neurons:,} {_plural(memory.neurons, 'neuron')}):"
           f" {memory.needed:,} of {memory.there:,} bytes of its own memory")
    for name, (copies, seconds) in one.copies.items():
        time = "" if seconds is None else f", {DIGITS:,} digits in {seconds:,.1f} s"
        time += f" at a time scale factor of {one.slowdown}" if time and one.slowdown > 1 else ""
        yield f"  {name}: {copies:,} {'copy' if copies == 1 else 'copies'}{time}"


def _plural(n: int, word: str) -> str:
    return word if n == 1 else word + "s"
