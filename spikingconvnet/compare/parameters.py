"""A parameter that one of two recordings was made with and did not declare: which one, of whom, and its value.

For every parameter the values are sought with which the recorded membranes, currents, spikes or learned weights follow
from those before; a network with such a value is an explanation if the local engine then computes the whole recording.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeAlias

import numpy as np

from spikingconvnet.board.fixed_point import ACCUM_ONE, accum, decay, expk, expulr, i32, kdiv, kmul
from spikingconvnet.board.lowering import UNIT, injection
from spikingconvnet.board.reference import SATURATED
from spikingconvnet.board.rules import LoweredRule, lower_rule
from spikingconvnet.compare.expected import CURRENTS, Deviations, Inputs, part_of
from spikingconvnet.compare.explained import Case, Cause, shortest, solutions, with_population, with_projections
from spikingconvnet.errors import SpikingConvNetError
from spikingconvnet.network.arrays import Flags, Floats, Ints, Pair
from spikingconvnet.network.netlist import RECEPTORS, Network
from spikingconvnet.network.plasticity import STDPMechanism

OfRule: TypeAlias = Callable[[LoweredRule], Ints]      # residuals of a rule
LARGEST = (1 << 31) - 1
LONGEST_REFRACTORY = 200    # steps
TIMESTEPS = (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 10.0)     # ms
SYNAPSES = 3                # whose learned weights are followed while a rule's parameter is sought
WRONG_STEPS = 3             # the same of currents of a neuron
FINEST = 2.0 ** -22         # of what is sought of a rule, relative
MOST_DECIMALS = 20          # numbers of as many decimals that are tried
MEMBRANE = ("tau_m", "cm", "v_rest", "i_offset")


def undeclared(case: Case) -> list[Cause]:
    """Parameters of the network or of neurons that explain all in which the deviant recording leaves its network.

    Returns
    -------
    list of Cause
    """
    found = [*_timesteps(case)]
    if len(case.astray) == 1:
        found += [*_of_cells(case, *case.astray[0])]
    if case.is_input:
        found += [*_receptors(case)]
    return found


def of_rules(case: Case) -> list[Cause]:
    """Parameters of a rule that learns which do so: list of Cause."""
    if len(case.astray) != 1 or not case.is_input:
        return []
    one, off = case.astray[0]
    came = np.zeros(off.currents.shape, bool)
    for index, _ in one.projections:
        if case.network.projections[index].learns:
            rows = (one.expected.projection == index) & (one.expected.arrival < one.steps)
            came[one.expected.receptor[rows], one.expected.arrival[rows], one.expected.column[rows]] = True
    if off.currents[~came].any() or not (came.any() or off.learned):
        return []
    return [*_of_rule(case, one, off)]


def senders(case: Case) -> int:
    """How many presynaptic neurons have synapses of which it is known that they learned otherwise."""
    found = set()
    for one, off in case.astray:
        for index, lowered in one.projections:
            wrong = np.flatnonzero(off.weights.get(index, ()))
            found |= {(lowered.pre, int(neuron)) for neuron in lowered.pre_id[wrong]}
        came = one.expected
        for r, step, column in np.argwhere(off.currents):
            rows = (came.receptor == r) & (came.arrival == step) & (came.column == column)
            sent = {(int(p), int(n)) for p, n in zip(came.projection[rows], came.neuron[rows])}
            found |= {(case.network.projections[p].pre, n) for p, n in sent if len(sent) == 1}
    return len(found)


def _timesteps(case: Case) -> Iterator[Cause]:
    """Another timestep with which the suspect is as recorded."""
    network = case.suspect.network
    if not any(off.membranes.any() for _, off in case.astray):
        return
    for timestep in TIMESTEPS:
        if timestep != network.timestep and case.explains(replace(network, timestep=timestep)):
            yield _cause(case, "the timestep", timestep, network.timestep, {"parameter": "timestep"})


def _receptors(case: Case) -> Iterator[Cause]:
    """Projections that would explain everything if they were of the other receptor."""
    network = case.suspect.network
    posts = {one.label for one, _ in case.astray}
    for projection in network.projections:
        if projection.receptor in RECEPTORS and not projection.connections.signed and projection.post in posts:
            other = RECEPTORS[1 - RECEPTORS.index(projection.receptor)]
            changed = with_projections(network, lambda p, label=projection.label, other=other: (
                replace(p, receptor=other) if p.label == label else p))
            if case.explains(changed):
                yield _cause(case, f"the receptor of projection {projection.label}", other, projection.receptor,
                             {"parameter": "receptor", "projection": projection.label})


def _cause(case: Case, what: str, value: float | str, declared: float | str, details: dict[str, Any]) -> Cause:
    shown = [f"{part:g}" if isinstance(part, float) else part for part in (value, declared)]
    return Cause("parameter", f"with {shown[0]} instead of {shown[1]} as {what}, {case.deviant} is exactly what its"
                 f" network gives before step {case.steps:,}; {case.other} is as its network says",
                 {"in": case.deviant, **details, "value": value, "declared": declared})


def _of_cells(case: Case, one: Inputs, off: Deviations) -> Iterator[Cause]:
    """Parameters of a population's neurons, that of one or of all of them."""
    seek = {}
    if off.membranes.any() and not off.currents.any():
        seek = dict.fromkeys(MEMBRANE, _free) | {"v_reset": _reset, "v": _start, "tau_refrac": _refractory}
    elif off.spikes.any() and not off.currents.any() and not off.learned:
        seek = {"v_thresh": _threshold}
    elif off.currents.any() and not off.spikes.any() and case.suspect.network.population(
            one.label).cell.synapses == "exponential":
        seek = {name: _synaptic for i, name in enumerate(("tau_syn_E", "tau_syn_I"))
                if off.currents[i].any() and not off.currents[1 - i].any() and not _may_be_lost(one, off, i)}
    if "v_thresh" in seek and _is_silent(one, off):
        return              # it may as well be dead
    columns = np.flatnonzero(off.membranes.any(axis=0) | off.spikes.any(axis=0) | off.currents.any(axis=(0, 1)))
    for name, spans_of in seek.items():
        spans: dict[int, Any] = {}          # a Pair each, once all have been found
        for column in columns:
            spans[column] = spans_of(case, one, name, int(column))
            if spans[column] is None:
                break
        else:
            yield from _of_population(case, one, name, spans)


def _may_be_lost(one: Inputs, off: Deviations, receptor: int) -> bool:
    """Whether each neuron's current is off in one step alone, or is nowhere: packets that were lost do the same."""
    wrong = off.currents[receptor] != 0
    columns = wrong.any(axis=0)
    silent = ~one.trace[CURRENTS[receptor]][:, columns].any(axis=0)
    return bool((silent | (wrong[:, columns].sum(axis=0) == 1)).all())


def _is_silent(one: Inputs, off: Deviations) -> bool:
    """Whether one neuron alone does not fire any more."""
    columns = np.flatnonzero(off.spikes.any(axis=0))
    return len(columns) == 1 and not one.fired[np.argmax(off.spikes[:, columns[0]]):, columns[0]].any()


def _of_population(case: Case, one: Inputs, name: str, spans: Mapping[int, Pair]) -> Iterator[Cause]:
    """The parameter for all neurons, or for those that deviate, if the network then gives what was recorded."""
    network, population = case.suspect.network, case.suspect.network.population(one.label)
    low, high = max(span[0] for span in spans.values()), min(span[1] for span in spans.values())
    alike = low <= high
    if not alike:           # a neuron that hardly moves has solutions apart from each other, of which its span is one
        low, high = min(spans.values(), key=lambda span: span[1] - span[0])
    neurons = one.neurons[list(spans)]
    declared = population.parameter(name)
    value, values = _value(case, name, low, high), declared.copy()
    cell: Any = population.cell         # of whatever kind has that parameter
    everywhere = {k: v for k, v in population.values.items() if k != name}
    if _explains(case, lambda: with_population(network, one.label, cell=replace(cell, **{name: value}),
                                               values=everywhere)):
        yield _of_neurons(case, one, name, [value], declared, None)
        return
    values[neurons] = value if alike else [_value(case, name, *span) for span in spans.values()]
    if _explains(case, lambda: with_population(network, one.label, values={**population.values, name: values})):
        yield _of_neurons(case, one, name, values[neurons].tolist(), declared[neurons], neurons)


def _explains(case: Case, make: Callable[[], Network]) -> bool:
    """Whether the network that ``make()`` gives is an explanation; one with a value that no record takes is none."""
    try:
        network = make()
    except SpikingConvNetError:
        return False
    return case.explains(network)


def _value(case: Case, name: str, low: int, high: int) -> float:
    if name == "tau_refrac":
        return max(0.0, low - 0.5) * case.suspect.network.timestep
    return shortest(low, high)


def _of_neurons(case: Case, one: Inputs, name: str, values: list[float], declared: Floats,
                neurons: Ints | None) -> Cause:
    """The cause that some or all neurons of a population have other values of a parameter."""
    whole = [sorted(set(np.round(part, 6).tolist())) for part in (values, declared)]
    shown = [f"{part[0]:g}" if len(part) == 1 else f"{part[0]:g} to {part[-1]:g}" for part in whole]
    who = f"population {one.label}"
    if neurons is not None:
        who = (f"neuron {neurons[0]} of {who}" if len(neurons) == 1 else f"{len(neurons)} neurons of {who}")
    details = {"parameter": name, "population": one.label,
               "neurons": None if neurons is None else neurons.tolist()}
    found = _cause(case, f"{name} of {who}", shown[0], shown[1], details)
    return replace(found, details={**found.details, "value": whole[0][0] if len(whole[0]) == 1 else values,
                                   "declared": whole[1][0] if len(whole[1]) == 1 else np.asarray(declared).tolist()})


def _raw(case: Case, one: Inputs, name: str, column: int) -> int:
    return accum(case.suspect.network.population(one.label).parameter(name)[one.neurons[column]])


def _last_fired(one: Inputs) -> Ints:
    """Step of the last spike before each step, since the last reset: int64 array (steps, neurons)."""
    step = np.arange(one.steps)[:, None]
    last = np.maximum.accumulate(np.where(one.fired, step, -1 << 40), axis=0)
    last = np.vstack([np.full((1, len(one.neurons)), -1 << 40), last[:-1]])
    every = one.recorded.network.reset_every
    return np.where(last // every == step // every, last, -1 << 40) if every else last


def _moves(one: Inputs, column: int) -> tuple[Ints, Flags]:
    """Steps at whose end the neuron's membrane is not set, and whether it is held: int64 and bool array (n,)."""
    step = np.arange(one.steps - 1)
    every = one.recorded.network.reset_every
    step = step[~one.fired[:-1, column] & ((step + 1) % every != 0 if every else True)]
    held = step - _last_fired(one)[step, column] <= one.constants.refractory[one.neurons[column]]
    return step, held


def _free(case: Case, one: Inputs, name: str, column: int) -> Pair | None:
    """Values of what moves the membrane."""
    neuron, c = one.neurons[column], one.constants
    step, held = _moves(one, column)
    step = step[~held]
    v, after = one.trace["v"][step, column], one.trace["v"][step + 1, column]
    current = one.inflow[step, column]
    elsewhere = np.delete(one.membrane_deviations()[1:, column], step)
    if not len(step) or elsewhere.any():
        return None
    tau, cm = (np.asarray(_raw(case, one, part, column)) for part in ("tau_m", "cm"))
    timestep = accum(case.suspect.network.timestep)

    def residuals(values: Ints) -> Ints:
        given = {"resistance": c.resistance[neuron], "membrane_decay": c.membrane_decay[neuron],
                 "v_rest": c.v_rest[neuron], "i_offset": c.i_offset[neuron]}
        values = values[:, None]
        if name == "tau_m":
            given["resistance"] = kdiv(values, cm)
            given["membrane_decay"] = np.array([[expk(-kdiv(timestep, int(value)))] for value in values[:, 0]])
        elif name == "cm":
            given["resistance"] = kdiv(tau, values)
        else:
            given[name] = values
        alpha = i32(kmul(i32(current + given["i_offset"]), given["resistance"]) + given["v_rest"])
        return i32(alpha - kmul(given["membrane_decay"], i32(alpha - v))) - after

    positive = name in ("tau_m", "cm")
    return solutions(residuals, _raw(case, one, name, column), 1 if positive else -LARGEST, LARGEST)


def _synaptic(case: Case, one: Inputs, name: str, column: int) -> Pair | None:
    """Values of a time constant of synapses."""
    r = ("tau_syn_E", "tau_syn_I").index(name)
    sums, trace = one.sums()[r, :, column], one.trace[CURRENTS[r]]
    before = one.before(trace, 0, one.steps)[:, column]
    arrived = i32(np.minimum(sums, SATURATED) << one.constants.shift[r, one.neurons[column]])
    timestep = accum(case.suspect.network.timestep)

    def residuals(values: Ints) -> Ints:
        taus = list(map(int, values))
        keeps = np.array([[expulr(-kdiv(timestep, tau))] for tau in taus], np.int64)
        lets = np.array([[injection(timestep, tau)] for tau in taus], np.int64)
        return i32(decay(before, keeps) + decay(arrived, lets)) - trace[:, column]

    return solutions(residuals, _raw(case, one, name, column), 1, LARGEST)


def _reset(case: Case, one: Inputs, name: str, column: int) -> Pair | None:
    """Values of the membrane after a spike."""
    every = one.recorded.network.reset_every
    step = np.flatnonzero(one.fired[:-1, column])
    step = step[(step + 1) % every != 0] if every else step
    elsewhere = np.delete(one.membrane_deviations()[:, column], step + 1)
    found = np.unique(one.trace["v"][step + 1, column])
    return (int(found[0]),) * 2 if len(found) == 1 and not elsewhere.any() else None


def _start(case: Case, one: Inputs, name: str, column: int) -> Pair | None:
    """Values of the membrane at the start."""
    every = one.recorded.network.reset_every or one.steps
    elsewhere = one.membrane_deviations()[:, column].copy()
    elsewhere[::every] = 0
    found = np.unique(one.trace["v"][::every, column])
    return (int(found[0]),) * 2 if len(found) == 1 and not elsewhere.any() else None


def _refractory(case: Case, one: Inputs, name: str, column: int) -> Pair | None:
    """Numbers of steps for which the membrane is held."""
    neuron, c = one.neurons[column], one.constants
    step, _ = _moves(one, column)
    v, after = one.trace["v"][step, column], one.trace["v"][step + 1, column]
    current = i32(one.inflow[step, column] + c.i_offset[neuron])
    alpha = i32(kmul(current, c.resistance[neuron]) + c.v_rest[neuron])
    moved = i32(alpha - kmul(c.membrane_decay[neuron], i32(alpha - v)))
    since = step - _last_fired(one)[step, column]
    right = [k for k in range(LONGEST_REFRACTORY) if np.array_equal(np.where(since <= k, v, moved), after)]
    return (right[0], right[0]) if right else None


def _threshold(case: Case, one: Inputs, name: str, column: int) -> Pair | None:
    """Values of a threshold that was not set in between."""
    if any(label == one.label for _, label, _ in one.recorded.thresholds):
        return None
    v, fired = one.membranes[:, column], one.fired[:, column]
    low, high = int(v[~fired].max(initial=-LARGEST - 1)) + 1, int(v[fired].min(initial=LARGEST))
    if high == LARGEST:         # it never fires: any threshold above what it reached
        high = min(LARGEST, low + ACCUM_ONE)
    return (max(low, -LARGEST), high) if low <= high else None


def _of_rule(case: Case, one: Inputs, off: Deviations) -> Iterator[Cause]:
    """Parameters of the rule with which a population's weights are learned."""
    network = case.suspect.network
    mechanism = next(p.rule for p in network.incoming(one.label) if p.learns)
    assert mechanism is not None
    parts = [by(one, off) for by, differ in ((_by_weights, off.learned), (_by_currents, off.currents.any())) if differ]

    def residuals_of(rule: LoweredRule) -> Ints:
        return np.concatenate([residuals(rule) for residuals in parts])

    for part in ("timing_dependence", "weight_dependence"):
        for parameter in fields(getattr(mechanism, part)):
            declared = getattr(getattr(mechanism, part), parameter.name)
            span = _span(mechanism, part, parameter.name, declared, residuals_of, network.timestep)
            for value in _tried(span):
                if value == declared:
                    continue
                try:
                    rule = _with(mechanism, part, parameter.name, value)
                except SpikingConvNetError:     # bounds that cross, say
                    continue
                if case.explains(with_projections(network, lambda p, rule=rule: replace(p, plasticity=rule) if (
                        p.learns and p.post == one.label) else p)):
                    yield _cause(case, f"{parameter.name} of the rule that learns onto population {one.label}", value,
                                 declared, {"parameter": parameter.name, "population": one.label})
                    break


def _with(mechanism: STDPMechanism, part: str, name: str, value: float) -> STDPMechanism:
    return STDPMechanism(**{"timing_dependence": mechanism.timing_dependence,
                            "weight_dependence": mechanism.weight_dependence,
                            part: replace(getattr(mechanism, part), **{name: value})})


def _tried(span: tuple[float, float] | None) -> list[float]:
    """Numbers inside a span: those of few decimals first, then its ends and its middle."""
    if span is None:
        return []
    low, high = span
    found = [low, high, (low + high) / 2]
    for digits in range(6, -1, -1):
        first, last = math.ceil(low * 10 ** digits), math.floor(high * 10 ** digits)
        if last - first < MOST_DECIMALS:
            found = [round(n / 10 ** digits, digits) for n in range(first, last + 1)] + found
    return list(dict.fromkeys(found))


def _span(mechanism: STDPMechanism, part: str, name: str, declared: float, residuals_of: OfRule,
          timestep: float) -> tuple[float, float] | None:
    """The smallest and largest value of a rule's parameter that a few weights follow from, or None."""
    unit = max(abs(declared), 2.0 ** -11) * FINEST

    def residuals(values: Ints) -> Ints:
        rows: list[Ints | None] = []
        for value in values:
            try:
                rows.append(residuals_of(lower_rule(_with(mechanism, part, name, float(value) * unit), timestep)))
            except (SpikingConvNetError, OverflowError, ZeroDivisionError):
                rows.append(None)
        worst = np.full(len(next((row for row in rows if row is not None), [1])), 1 << 40)
        return np.array([worst if row is None else row for row in rows])

    start = round(declared / unit)
    tried = residuals(np.array([start // 4, start, start * 4 + 16]))
    if (tried[0] == tried[1]).all() and (tried[1] == tried[2]).all():
        return None             # it makes no difference there
    span = solutions(residuals, start, 0 if declared >= 0 else -LARGEST, LARGEST, 2.0, 16)
    return None if span is None else (span[0] * unit, span[1] * unit)


def _by_weights(one: Inputs, off: Deviations) -> OfRule:
    """Residuals of the learned weights at the end of a few synapses, most of them wrong: a function of a rule."""
    chosen = []
    for index, lowered in one.projections:
        if index in off.weights:
            wrong = off.weights[index]
            right = one.recorded.weights[one.recorded.network.projections[index].label]
            right = right[np.isin(one.lowered.projection(lowered.label).post_id, one.neurons)]
            _, which, alike = np.unique(right, return_inverse=True, return_counts=True)
            order = np.lexsort((-abs(wrong), (wrong == 0) * len(right) + alike[which]))     # not those at a bound
            order = np.unique(np.concatenate([order[:SYNAPSES], order[-1:]]))
            chosen.append((index, part_of(lowered, order), wrong[order]))
    recorded = [one.series(index, lowered)[1] + wrong for index, lowered, wrong in chosen]

    def residuals(rule: LoweredRule) -> Ints:
        return np.concatenate([one.series(index, replace(lowered, rule=rule))[1] - right
                               for (index, lowered, _), right in zip(chosen, recorded)])

    return residuals


def _by_currents(one: Inputs, off: Deviations) -> OfRule:
    """Residuals of what reached the first neuron that is wrong, up to a few steps that are: a function of a rule."""
    _step, column = min((int(t), int(n)) for _, t, n in np.argwhere(off.currents))
    wrong = np.flatnonzero(off.currents[:, :, column].any(axis=0))
    until = int(wrong[min(WRONG_STEPS, len(wrong)) - 1]) + 1
    short = Inputs(one.recorded, one.label, until)
    receptors = np.flatnonzero(off.currents[:, :until, column].any(axis=1))
    mine = [(index, part_of(lowered, np.flatnonzero(
        (lowered.post_id == column) & np.isin(lowered.receptor, receptors)))) for index, lowered in short.projections]
    static = np.zeros((2, until))
    for index, lowered in mine:
        if lowered.rule is None:
            _add(static, *short.series(index, lowered))
    seen = short.observed()[:, :, column]
    unit = 1.0 / (one.constants.inject[:, one.neurons[column]] / UNIT
                  * 2.0 ** one.constants.shift[:, one.neurons[column]])

    def residuals(rule: LoweredRule) -> Ints:
        sums = static.copy()
        for index, lowered in mine:
            if lowered.rule is not None:
                _add(sums, *short.series(index, replace(lowered, rule=rule)))
        away = np.where(sums >= SATURATED, 0, sums - seen)[receptors]
        return np.where(abs(away) <= np.maximum(unit, 0.5)[receptors, None], 0, np.rint(away * 16)).astype(
            np.int64).ravel()

    return residuals


def _add(sums: Floats, rows: Sequence[Ints], _: Ints) -> None:
    inside = rows[0] < sums.shape[1]
    np.add.at(sums, (rows[2][inside], rows[0][inside]), rows[3][inside])
