"""What differs between the networks that two recordings say they are of: parameters, weights, delays, input."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from spikingconvnet.board.lowered import LoweredPopulation, LoweredProjection
from spikingconvnet.board.lowering import Lowered
from spikingconvnet.compare.expected import Inputs
from spikingconvnet.compare.explained import CONTINUOUS, NOT_TOLD, Case, Cause
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.network.arrays import AnyInts, Ints
from spikingconvnet.network.netlist import Population, Projection
from spikingconvnet.network.neurons import SpikeSourceArray, parameter_names

MOST_NAMED = 4      # differences in a text


class AsRead(Lowered):
    """A network in integers with other static weights: those that were read from a board.

    Parameters
    ----------
    lowered : Lowered
    populations : dict of str to LoweredPopulation
    weights : dict of str to int64 array
    """

    weights: Mapping[str, AnyInts]

    def __init__(self, lowered: Lowered, populations: dict[str, LoweredPopulation],
                 weights: Mapping[str, AnyInts]) -> None:
        super().__init__(lowered.network, populations)
        object.__setattr__(self, "weights", weights)

    def projection(self, label: str) -> LoweredProjection:
        """Integers of a projection."""
        found = super().projection(label)
        if found.rule is None and not found.modulates and label in self.weights:
            return replace(found, weight=np.asarray(self.weights[label], np.int64))
        return found


def as_played(recorded: Recorded) -> Recorded:
    """The recording with the spikes in its network that its sources are recorded to have fired."""
    populations = []
    for population in recorded.network.populations:
        cell = population.cell
        if isinstance(cell, SpikeSourceArray):
            played = recorded.spikes[population.label]
            if len(played.offsets) == len(cell.spikes.offsets):
                played = replace(cell.spikes, offsets=played.offsets, neurons=played.neurons)
                population = replace(population, cell=replace(cell, spikes=played))
        populations.append(population)
    return replace(recorded, network=replace(recorded.network, populations=tuple(populations)))


def differences(case: Case) -> list[Cause]:
    """What the two networks say differently, or were set to: list of Cause without a proof."""
    a, b = case.a.network, case.b.network
    found = [*_other("parameter", "the network", a, b, ("timestep", "reset_every"), {})]
    for ours, theirs in zip(a.populations, b.populations):
        found += _of_population(case, ours, theirs)
    for one, other in zip(a.projections, b.projections):
        found += _of_projection(one, other)
    return found + _thresholds(case)


def _other(kind: str, owner: str, ours: object, theirs: object, names: Iterable[str],
           details: dict[str, Any]) -> Iterator[Cause]:
    """Fields of two records that differ."""
    for name in names:
        values = [getattr(part, name) for part in (ours, theirs)]
        if is_dataclass(values[0]) and type(values[0]) is type(values[1]):
            yield from _other(kind, owner, values[0], values[1], [f.name for f in fields(values[0])], details)
        elif values[0] != values[1]:
            shown = [f"{v:g}" if isinstance(v, float) else str(v) for v in values]
            yield Cause(kind, f"{name} of {owner} is {shown[0]} in A and {shown[1]} in B",
                        {**details, "parameter": name, "a": _plain(values[0]), "b": _plain(values[1])})


def _plain(value: object) -> int | float | str | None:
    return value if isinstance(value, (int, float, str, type(None))) else str(value)


def _of_population(case: Case, ours: Population, theirs: Population) -> list[Cause]:
    label, owner = ours.label, f"population {ours.label}"
    if ours.is_source:
        return [_data(case, label)] if case.a.spikes[label] != case.b.spikes[label] else []
    found = [*_other("parameter", owner, ours, theirs, ("max_expected_summed_weight",), {"population": label})]
    for name in parameter_names(ours.cell):
        values = [part.parameter(name) for part in (ours, theirs)]
        differ = np.flatnonzero(values[0] != values[1])
        if len(differ):
            n = differ[0]
            who = owner if len(differ) == ours.size else (f"neuron {n} of {owner}" if len(differ) == 1 else
                                                           f"{len(differ)} neurons of {owner}, the first {n},")
            found.append(Cause("parameter", f"{name} of {who} is {values[0][n]:g} in A and {values[1][n]:g} in B", {
                "parameter": name, "population": label, "neurons": differ[:100].tolist(), "a": float(values[0][n]),
                "b": float(values[1][n])}))
    return found


def _data(case: Case, label: str) -> Cause:
    seeds = [r.how.get("seed") for r in (case.a, case.b)]
    text = f"population {label} is a source, and its own spikes differ: not the same input"
    if seeds[0] != seeds[1]:
        text += f" (seed {seeds[0]} and {seeds[1]})"
    return Cause("data", text, {"population": label, "seeds": seeds})


def _of_projection(ours: Projection, theirs: Projection) -> list[Cause]:
    label, owner = ours.label, f"projection {ours.label}"
    found = [*_other("parameter", owner, ours, theirs, ("receptor", "plasticity"), {"projection": label})]
    lists = [part.connections.to_list() for part in (ours, theirs)]
    if len(lists[0].pre) != len(lists[1].pre):
        return [*found, Cause("weights", f"{owner} has {len(lists[0].pre):,} synapses in A and {len(lists[1].pre):,} in"
                              " B: the two networks were given other weights", {"projection": label})]
    weights, delays = ([getattr(part, name) for part in lists] for name in ("weight", "delay"))
    differ = np.flatnonzero(weights[0] != weights[1])
    if len(differ):
        ratio = np.unique(np.round(weights[1][differ] / np.where(weights[0][differ], weights[0][differ], np.nan), 9))
        times = f", those of B {ratio[0]:g} times those of A" * bool(len(ratio) == 1 and np.isfinite(ratio[0]))
        text = f"{len(differ):,} of {len(weights[0]):,} weights of {owner} differ{times}"
        found.append(Cause("weights", f"{text}: the two networks were given other weights", {
            "projection": label, "power_of_two": 0, "same_given": False}))
    differ = np.flatnonzero(delays[0] != delays[1])
    if len(differ):
        s = differ[0]
        found.append(Cause("delay", f"{len(differ):,} of {len(delays[0]):,} delays of {owner} differ, the first"
                           f" {delays[0][s]} steps in A and {delays[1][s]} in B", {
                               "projections": [label], "steps": int(delays[1][s] - delays[0][s])}))
    return found


def _thresholds(case: Case) -> list[Cause]:
    """Thresholds that were set differently before the first difference, not as its consequence."""
    ours, theirs = ([part for part in r.thresholds if part[0] <= case.first.step] for r in (case.a, case.b))
    for (step, label, values), (other_step, other_label, other) in zip(ours, theirs):
        if (step, label) != (other_step, other_label) or not np.array_equal(values, other):
            return [Cause("parameter", f"v_thresh of population {label} was set to other values before step {step:,}",
                          {"parameter": "v_thresh", "population": label, "step": step})]
    if len(ours) != len(theirs):
        step, label, _ = max(ours, theirs, key=len)[min(len(ours), len(theirs))]
        return [Cause("parameter", f"v_thresh of population {label} was set before step {step:,} in only one of them",
                      {"parameter": "v_thresh", "population": label, "step": step})]
    return []


def judged(case: Case, found: Sequence[Cause]) -> Cause:
    """The cause of what the networks say differently: proved if each recording is what its own network gives."""
    text = "; ".join(part.evidence for part in found[:MOST_NAMED])
    text += f"; and {len(found) - MOST_NAMED} more" * (len(found) > MOST_NAMED)
    kinds = list(dict.fromkeys(part.name for part in found))
    continuous = [name for name, r in case.sides.items() if r.how.get("made_on") in CONTINUOUS]
    astray = [name for name, follows in case.follows.items() if not follows and name not in continuous]
    if astray:
        return Cause(NOT_TOLD, f"{text}; but that is not all: {' and '.join(astray)}"
                     f" {'is' if len(astray) == 1 else 'are'} not what the own network gives either",
                     {"differ": [{"name": part.name, **part.details} for part in found]})
    if len(kinds) > 1:
        return Cause(NOT_TOLD, f"{' or '.join(kinds)}: {text}",
                     {"differ": [{"name": part.name, **part.details} for part in found]})
    if not continuous:
        text += "; each recording is exactly what its own network gives"
    return Cause(kinds[0], text, found[0].details if len(found) == 1 else
                 {**found[0].details, "differ": [part.details for part in found]})


def read_weights(case: Case) -> Cause | None:
    """Static weights that were read differently though the networks were given the same: Cause or None."""
    for projection in case.network.projections:
        label = projection.label
        if projection.plasticity is None and label in case.a.weights and label in case.b.weights:
            ours, theirs = (r.weights[label].astype(np.int64) for r in (case.a, case.b))
            if (ours != theirs).any():
                return _read_weights(case, projection, ours, theirs)
    return None


def _read_weights(case: Case, projection: Projection, ours: Ints, theirs: Ints) -> Cause:
    label, power = projection.label, _power(ours, theirs)
    text = (f"{(ours != theirs).sum():,} of {len(ours):,} weights of projection {label} differ, which does not learn")
    is_all = _nothing_else_differs(case)
    proved = is_all or any(r.how.get("made_on") in CONTINUOUS for r in case.sides.values())
    is_shifted = bool(power) and (is_all or _follow_from_read(case, projection.post, -power))
    if not (proved or is_shifted or _follow_from_read(case)):
        return Cause(NOT_TOLD, f"{text}, but they do not explain all of it", {"projection": label})
    if power:
        text += f"; those of B are 2**{power} times those of A"
        text += f", so its ring buffers are shifted by {-power:+d}" * is_shifted
    text += ", though both networks were given the same weights"
    return Cause("weights", text, {"projection": label, "power_of_two": power, "same_given": True})


def _power(ours: Ints, theirs: Ints) -> int:
    """The power of two between two sets of 16-bit weights, both rounded; 0 if there is none."""
    for power in (p for size in range(1, 16) for p in (-size, size)):
        scale = 2.0 ** power
        if (abs(theirs - ours * scale) <= 0.5 + 0.5 * scale).all() and (theirs > 0).any() and (ours > 0).any():
            return power
    return 0


def _nothing_else_differs(case: Case) -> bool:
    """Whether spikes and membranes are all the same."""
    return all(case.a.spikes[label] == case.b.spikes[label] for label in case.a.spikes) and all(
        np.array_equal(values, case.b.membranes[label][name]) for label, traces in case.a.membranes.items()
        for name, values in traces.items())


def _follow_from_read(case: Case, label: str | None = None, bits: int = 0) -> bool:
    """Whether each recording follows from the weights that were read with it, as far as its currents can be followed.

    The ring buffers of a population of B are shifted by some bits.
    """
    for side, recorded in case.sides.items():
        populations = dict(recorded.lowered.populations)
        if label and side == "B":
            shift = populations[label].shift + bits
            if (shift < 0).any():
                return False
            populations[label] = replace(populations[label], shift=shift)
        lowered = AsRead(recorded.lowered, populations, recorded.weights)
        if any(Inputs(recorded, label, case.steps, lowered).all_deviations().places for label in case.order):
            return False
    return True
