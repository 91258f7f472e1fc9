"""Causes of a difference: sources with other spikes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from spikingconvnet.compare.delays import LATEST, first_astray
from spikingconvnet.compare.expected import part_of
from spikingconvnet.compare.explained import Case, Cause, with_population
from spikingconvnet.network.arrays import Pair
from spikingconvnet.network.netlist import Population
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

Current: TypeAlias = tuple[int, int, int]                # place of the population, receptor, column
OtherSpike: TypeAlias = tuple[int, int, int | None]     # neuron, step, step of the spike that it replaces


def data(case: Case) -> list[Cause]:
    """A spike of a source that it was not given, alone or instead of one a few steps before or after."""
    network = case.suspect.network
    steps: Sequence[int] = [first_astray(case, one)[0] for one, off in case.astray if off.currents.any()]
    if not steps:                       # only what is learned shows a spike that would come behind the last step
        steps = range(case.steps, case.steps + 1 + max(p.connections.max_delay for p in network.projections))
    else:
        steps = [min(steps)]
    for population in network.populations:
        cell = population.cell
        if isinstance(cell, SpikeSourceArray):
            for neuron, extra, gone in dict.fromkeys(
                    other for step in steps for other in _other_spikes(case, population, step)):
                changed = replace(cell, spikes=_with_spike(cell.spikes, neuron, extra, gone))
                if case.explains(with_population(network, population.label, cell=changed)):
                    return [_other_data(case, population.label, neuron, extra, gone)]
    return []


def _other_spikes(case: Case, population: Population, step: int) -> Iterator[OtherSpike]:
    """Neurons that may have sent a spike in another step.

    A neuron, the step of the spike, and that of the spike which it replaces or None, each.
    """
    spikes = population.given_spikes
    end = len(spikes.offsets) - 1
    given = set(zip(spikes.neurons.tolist(), spikes.steps().tolist()))
    for neuron, delay in _senders(case, population.label, step):
        sent, moves = step - delay, range(1, LATEST + 1)        # by 1: a late packet
        if 0 <= sent < end:
            if (neuron, sent) not in given:         # otherwise it is a packet that comes twice
                yield neuron, sent, None
            yield from ((neuron, sent, sent + k) for k in moves if (neuron, sent + k) in given)
            yield from ((neuron, sent + k, sent) for k in moves[1:] if (neuron, sent) in given and sent + k < end)


def _senders(case: Case, label: str, step: int) -> list[Pair]:
    """Neurons of a population and delays whose synapses lead to every current that is off in a step."""
    reached: dict[Pair, set[Current]] = {}
    wrong: set[Current] = set()
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


def _with_spike(spikes: Spikes, neuron: int, extra: int, gone: int | None) -> Spikes:
    """Spikes with one more, and without one."""
    neurons, steps = spikes.neurons.astype(np.int64), spikes.steps()
    keep = np.ones(len(steps), bool)
    if gone is not None:
        keep[np.flatnonzero((neurons == neuron) & (steps == gone))[:1]] = False
    neurons, steps = np.append(neurons[keep], neuron), np.append(steps[keep], extra)
    return Spikes.from_events(steps // spikes.n_steps, neurons, steps % spikes.n_steps, spikes.shape, spikes.n_samples,
                              spikes.n_steps)


def _other_data(case: Case, label: str, neuron: int, extra: int, gone: int | None) -> Cause:
    instead = "" if gone is None else f" instead of step {gone:,}"
    return Cause("data", f"with a spike of neuron {neuron} of source {label} in step {extra:,}{instead}, which it was"
                 f" not given, {case.deviant} is exactly what its network gives before step {case.steps:,}",
                 {"in": case.deviant, "population": label, "neuron": neuron, "step": extra, "instead_of": gone})
