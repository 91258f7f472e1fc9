"""What `--mode compare` says of two runs of which one was manipulated: every cause, on random networks.

    python benchmarks/causes.py --manipulations 100 --seed 1        # of each kind
    python benchmarks/causes.py --kinds "lost packet,tau_m" --manipulations 20

Two runs of a small random network are recorded, one of them after a manipulation of a known kind: another parameter,
weight, delay or input, which its recording declares in some draws and conceals in others, or a fault inside the
simulation. A manipulation that changes nothing is drawn again. The table says what `compare` told of each kind; a told
cause that is not the one put in ends the command with exit code 1.
"""

import argparse
import sys
import time
from collections import Counter
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "helpers"))
from faulty import recorded as by_reference  # noqa: E402
from random_networks import Recipe, random_network, split_network  # noqa: E402

from spikingconvnet.backends.local import simulator  # noqa: E402
from spikingconvnet.board.reference import ReferenceSimulation  # noqa: E402
from spikingconvnet.compare.differences import compare  # noqa: E402
from spikingconvnet.compare.explained import NOT_TOLD, with_population, with_projections  # noqa: E402
from spikingconvnet.compare.recorder import run, shown  # noqa: E402
from spikingconvnet.errors import SpikingConvNetError  # noqa: E402
from spikingconvnet.network.neurons import parameter_names  # noqa: E402
from spikingconvnet.network.plasticity import STDPMechanism  # noqa: E402
from spikingconvnet.network.spikes import Spikes  # noqa: E402

STEPS = 80
DRAWS = 200             # of a network in which a manipulation is possible and makes a difference


class Impossible(Exception):
    """The drawn network has nothing to manipulate in this way."""


def drawn(rng):
    """A small random network: loops, several rules, both models of a neuron."""
    return random_network(Recipe(
        n_projections=int(rng.integers(2, 5)), largest_delay=int(rng.choice([4, 12])), n_steps=STEPS // 2,
        weight=float(rng.choice([0.2, 2.0, 20.0])), delta=bool(rng.integers(2)), modulated=False,
        max_expected_summed_weight=[None, None, 1.0][rng.integers(3)],
        spikes_per_step=float(rng.choice([0.3, 1.0, 2.0]))), rng)


def recorded(network, **how):
    """A recording by the local engine."""
    return run(partial(simulator.open, jobs=1), network, {"made_on": "local", **how})


def one_of(rng, parts):
    """An element of a list that must not be empty."""
    if not parts:
        raise Impossible
    return parts[rng.integers(len(parts))]


def neurons_of(network):
    return [p for p in network.populations if not p.is_source]


# ---------------------------------------------------------------- another network


def parameter(name):
    """Another value of a parameter of one neuron or of all, by 0.1 % or more."""
    def change(network, rng):
        population = one_of(rng, [p for p in neurons_of(network) if name in parameter_names(p.cell)])
        values = population.parameter(name)
        if name in ("tau_m", "cm", "tau_syn_E", "tau_syn_I"):
            other = np.round(values * rng.choice([0.5, 0.9, 0.99, 1.001, 1.01, 1.3, 2.0]), 4)
        elif name == "tau_refrac":
            other = np.maximum(0.0, np.round(values + rng.choice([-2.0, 1.0, 3.0]), 1))
        else:
            other = np.round(values + rng.choice([-1, 1]) * rng.choice([0.01, 0.1, 0.5, 3.0]), 3)
        if rng.random() < 0.4:
            one = rng.integers(population.size)
            other = np.where(np.arange(population.size) == one, other, values)
            changed = {"values": {**population.values, name: other}}
        elif rng.random() < 0.5 or name in population.values:
            changed = {"values": {**population.values, name: other}}
        else:
            changed = {"cell": replace(population.cell, **{name: float(other[0])})}
        return with_population(network, population.label, **changed), {"parameter": name,
                                                                       "population": population.label}
    return change


def of_rule(network, rng):
    """A parameter of a rule that learns."""
    projection = one_of(rng, [p for p in network.projections if p.learns])
    part = ("timing_dependence", "weight_dependence")[int(rng.random() < 0.25)]
    record = getattr(projection.plasticity, part)
    name = one_of(rng, [f.name for f in fields(record)])
    value = round(getattr(record, name) * float(rng.choice([0.5, 0.9, 1.1, 2.0])), 4)
    rule = STDPMechanism(**{"timing_dependence": projection.plasticity.timing_dependence,
                            "weight_dependence": projection.plasticity.weight_dependence,
                            part: replace(record, **{name: value})})
    return with_projections(network, lambda p: replace(p, plasticity=rule) if p.learns and p.post == projection.post
                            else p), {"parameter": name}


def receptor(network, rng):
    chosen = one_of(rng, [p for p in network.projections if len(p.connections.to_list().pre)])
    other = {"excitatory": "inhibitory", "inhibitory": "excitatory"}[chosen.receptor]
    return with_projections(network, lambda p: replace(p, receptor=other) if p is chosen else p), {
        "parameter": "receptor"}


def timestep(network, rng):
    return replace(network, timestep=float(rng.choice([0.5, 2.0]))), {"parameter": "timestep"}


def _with_connections(network, chosen, **change):
    labels = {p.label for p in chosen}
    return with_projections(network, lambda p: replace(p, connections=replace(p.connections, **{
        name: function(p.connections) for name, function in change.items()})) if p.label in labels else p)


def all_doubled(network, rng):
    return _with_connections(network, network.projections, weight=lambda c: c.weight * 2.0), {}


def scaled(network, rng):
    factor = float(rng.choice([0.5, 0.9, 1.1, 1.5, 2.0, 3.0]))
    return _with_connections(network, [one_of(rng, network.projections)], weight=lambda c: c.weight * factor), {}


def one_weight(plastic):
    """Another weight of one synapse, for a plastic one at the start."""
    def change(network, rng):
        chosen = one_of(rng, [p for p in network.projections if p.learns == plastic
                              and np.ndim(getattr(p.connections, "weight", 0)) and p.connections.weight.size])
        weight = chosen.connections.weight.copy()
        place = tuple(int(rng.integers(n)) for n in weight.shape)
        weight[place] *= rng.choice([0.0, 0.5, 0.9, 1.2, 2.0])
        return _with_connections(network, [chosen], weight=lambda c: weight), {}
    return change


def delay_of_projection(network, rng):
    later = int(rng.choice([-2, -1, 1, 1, 2, 3]))
    chosen = one_of(rng, network.projections)
    if chosen.connections.to_list().delay.min(initial=9) + later < 1:
        raise Impossible
    return _with_connections(network, [chosen], delay=lambda c: c.delay + later), {}


def delay_of_all(network, rng):
    return _with_connections(network, network.projections, delay=lambda c: c.delay + 1), {}


def delay_of_synapse(network, rng):
    chosen = one_of(rng, [p for p in network.projections if np.ndim(p.connections.delay) and len(p.connections.delay)])
    delay = chosen.connections.delay.copy()
    s = rng.integers(len(delay))
    delay[s] += rng.choice([-1, 1]) if delay[s] > 1 else 1
    return _with_connections(network, [chosen], delay=lambda c: delay), {}


def _source_with(network, rng, change):
    source = one_of(rng, [p for p in network.populations if p.has_given_spikes and p.cell.spikes.n_events])
    spikes = source.cell.spikes
    neuron, step = change(spikes.neurons.astype(np.int64), spikes.steps(), source)
    step = np.clip(step, 0, STEPS - 1)
    changed = Spikes.from_events(step // spikes.n_steps, neuron, step % spikes.n_steps, spikes.shape, spikes.n_samples,
                                 spikes.n_steps)
    return with_population(network, source.label, cell=replace(source.cell, spikes=changed)), {}


def moved_spike(network, rng):
    def change(neuron, step, _):
        step = step.copy()
        step[rng.integers(len(step))] += rng.choice([-3, -2, -1, 1, 2, 3])
        return neuron, step
    return _source_with(network, rng, change)


def added_spike(network, rng):
    return _source_with(network, rng, lambda neuron, step, source: (
        np.append(neuron, rng.integers(source.size)), np.append(step, rng.integers(STEPS))))


def dropped_spike(network, rng):
    def change(neuron, step, _):
        gone = rng.integers(len(step))
        return np.delete(neuron, gone), np.delete(step, gone)
    return _source_with(network, rng, change)


# ---------------------------------------------------------------- faults in the simulation


def _events(network, rng, n):
    made = recorded(network)
    events = [(label, int(neuron), int(step)) for label, spikes in made.spikes.items()
              for neuron, step in zip(spikes.neurons, spikes.steps())]
    if len(events) < n:
        raise Impossible
    return [events[i] for i in rng.choice(len(events), n, replace=False)]


def lost(n):
    def fault(network, rng):
        gone = _events(network, rng, n)
        return lambda simulation: [simulation.drop(*packet) for packet in gone]
    return fault


def lost_on_one_core(network, rng):
    pre, neuron, step = _events(network, rng, 1)[0]
    return lambda simulation: simulation.drop(pre, neuron, step, int(rng.integers(3)))


def coming(n, late):
    def fault(network, rng):
        again = _events(network, rng, n)
        return lambda simulation: [simulation.repeat(*packet, late) for packet in again]
    return fault


def kick(network, rng):
    population = one_of(rng, neurons_of(network))
    neuron, off, membrane = int(rng.integers(population.size)), int(rng.choice([-3, -1, 1, 3])), rng.random() < 0.5

    def fault(simulation):
        neurons = simulation.neurons[population.label]
        (neurons.v if membrane else neurons.synaptic[0])[neuron] += off
    return fault


def dead_neuron(network, rng):
    population = one_of(rng, neurons_of(network))
    neuron = int(rng.integers(population.size))

    def fault(simulation):
        simulation.neurons[population.label].v_thresh[neuron] = (1 << 31) - 1
    return fault


def dead_core(network, rng):
    """From some step on a population neither moves nor fires."""
    population = one_of(rng, [p for p in neurons_of(network) if p.size > 1])

    def fault(simulation):
        neurons = simulation.neurons[population.label]
        neurons.collect, neurons.update = lambda slot: None, list
    return fault


def held_sums(network, rng):
    population = one_of(rng, neurons_of(network))
    return lambda simulation: simulation.never_cut(population.label)


# ---------------------------------------------------------------- pairs of recordings


def other_network(change):
    """Two runs, one of the changed network, which its recording declares or conceals."""
    def pair(rng):
        network = drawn(rng)
        changed, details = change(network, rng)
        a, b = recorded(network), recorded(changed)
        declares = bool(rng.random() < 0.4)
        if not declares:
            spikes = {p.label: a.spikes[p.label] for p in network.populations if p.is_source}
            weights = {p.label: b.weights[p.label] for p in network.projections if p.learns}
            b = replace(b, network=network, spikes={**b.spikes, **spikes}, weights=weights)
            a = replace(a, weights={label: a.weights[label] for label in weights})
        return a, b, details
    return pair


def faulty(fault, at_most=0):
    """Two runs, one with a fault, from a random step up to `at_most` on."""
    def pair(rng):
        network = drawn(rng)
        made = fault(network, rng)
        at = int(rng.integers(1, at_most)) if at_most else 0
        return by_reference(network, STEPS), by_reference(network, STEPS, made, at=at), {}
    return pair


def on_cores(fault):
    """The same in a network of populations that have several cores, none of which learns."""
    def pair(rng):
        network = with_projections(drawn(rng), lambda p: replace(p, plasticity=None))
        network = replace(network, populations=tuple(p if p.is_source else replace(p, per_channel=True)
                                                     for p in network.populations))
        return by_reference(network, STEPS), by_reference(network, STEPS, fault(network, rng)), {}
    return pair


def weights_read(rng):
    """Static weights that are others in the machine and are read so."""
    network = drawn(rng)
    chosen = one_of(rng, [p.label for p in network.projections if not p.plasticity
                          and len(p.connections.to_list().pre)])

    def fault(simulation):
        weight = simulation.projections[chosen].weight
        weight[rng.integers(len(weight))] ^= 5
    return by_reference(network, STEPS), by_reference(network, STEPS, fault), {}


def order_of_packets(rng):
    """Split cores that take their own packets first."""
    network = split_network(rng.choice(["pair multiplicative", "triplet", "vogels"]), rng.choice(["P", "PP"]), rng,
                            largest_delay=int(rng.choice([4, 16])))
    made = recorded(network)
    twin = ReferenceSimulation(made.lowered, own_first=True)
    spikes, traces = twin.run(made.n_steps, list(twin.neurons))
    fired = {}
    for label, events in spikes.items():
        step, neuron = np.array(events, np.int64).reshape(-1, 2).T
        fired[label] = Spikes.from_events(0 * step, neuron, step, network.population(label).shape, 1, made.n_steps)
    weights = {p.label: np.array(twin.projections[p.label].weight, np.int64) for p in network.projections}
    return made, replace(made, spikes={**made.spikes, **{
        label: shown(s, made.n_steps, made.spikes[label].n_steps) for label, s in fired.items()}},
        membranes={label: {name: values[:, made.neurons[label]] for name, values in traces[label].items()}
                   for label in made.neurons}, weights=weights), {}


def both(rng):
    """Two manipulations of different causes, each of which makes a difference of its own."""
    network = drawn(rng)
    names = rng.choice(list(CHANGES), 2, replace=False)
    if RIGHT[names[0]] & RIGHT[names[1]]:
        raise Impossible
    seeds = rng.integers(1 << 32, size=2)       # what is drawn for the second is the same alone and behind the first
    first, second = (CHANGES[name](network, np.random.default_rng(seed))[0] for name, seed in zip(names, seeds))
    changed = CHANGES[names[1]](first, np.random.default_rng(seeds[1]))[0]
    hidden = {p.label: p.cell.spikes for p in network.populations if p.is_source}
    runs = [replace(r, network=network, spikes={**r.spikes, **hidden}, weights={
        p.label: r.weights[p.label] for p in network.projections if p.learns})
        for r in map(recorded, (network, first, second, changed))]
    if any(compare(alone, runs[3]).identical for alone in runs[:3]):
        raise Impossible
    return runs[0], runs[3], {}


CHANGES = {
    **{name: parameter(name) for name in ("tau_m", "cm", "v_rest", "v_reset", "v_thresh", "v", "i_offset", "tau_refrac",
                                          "tau_syn_E", "tau_syn_I")},
    "rule": of_rule, "receptor": receptor, "timestep": timestep, "all weights doubled": all_doubled,
    "weights scaled": scaled, "one weight": one_weight(False), "one initial weight": one_weight(True),
    "delay of projection": delay_of_projection, "delay of all": delay_of_all, "delay of synapse": delay_of_synapse,
    "spike moved": moved_spike, "spike added": added_spike, "spike dropped": dropped_spike}
RIGHT = {**{key: {"parameter"} for key in CHANGES},
         **{key: {"weights"} for key in ("all weights doubled", "weights scaled", "one weight", "one initial weight")},
         **{key: {"delay"} for key in ("delay of projection", "delay of all", "delay of synapse")},
         # A recording keeps what a source was given, so one that sent otherwise looks like a packet's fate.
         "spike moved": {"data", "late packet"}, "spike added": {"data", "doubled packet"},
         "spike dropped": {"data", "lost packet"}}
FAULTS = {
    "lost packet": (faulty(lost(1)), "lost packet"), "3 lost packets": (faulty(lost(3)), "lost packet"),
    "10 lost packets": (faulty(lost(10)), "lost packet"), "lost on one core": (on_cores(lost_on_one_core),
                                                                               "lost packet"),
    "doubled packet": (faulty(coming(1, (0, 0))), "doubled packet"),
    "3 doubled packets": (faulty(coming(3, (0, 0))), "doubled packet"),
    "late packet": (faulty(coming(1, (1,))), "late packet"), "3 late packets": (faulty(coming(3, (1,))), "late packet"),
    "saturation": (faulty(held_sums), "saturation"), "rounding": (faulty(kick, 60), "rounding"),
    "dead neuron": (faulty(dead_neuron, 40), None), "dead core": (faulty(dead_core, 40), "partition"),
    "weights read": (weights_read, "weights"), "order of packets": (order_of_packets, "partition"),
    "two causes": (both, None)}
KINDS = {**{name: (other_network(change), RIGHT[name]) for name, change in CHANGES.items()},
         **{name: (pair, {right} - {None}) for name, (pair, right) in FAULTS.items()}}


def manipulated(kind, seed, spikes_alone=False):
    """Two recordings that differ by one manipulation of a kind, and what is known of it."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    for _ in range(DRAWS):
        try:
            a, b, details = KINDS[kind][0](rng)
            if spikes_alone:
                a, b = (replace(r, neurons={}, membranes={}) for r in (a, b))
            found = compare(*((b, a) if rng.random() < 0.5 else (a, b)))
        except (Impossible, SpikingConvNetError):
            continue
        if not found.identical:
            return found, details
    raise SystemExit(f"{kind}: no network in {DRAWS} in which it makes a difference")


def verdict(kind, found, details):
    """'right', 'not told' or 'wrong'."""
    cause = found.cause
    if cause.name == NOT_TOLD:
        return "not told"
    named = [cause.details, *(part for part in cause.details.get("or", ()) if isinstance(part, dict)),
             *cause.details.get("differ", ())]
    if cause.name not in KINDS[kind][1] or (details and not any(
            all(part.get(name) == value for name, value in details.items()) for part in named)):
        return "wrong"
    return "right"


def main(arguments=None):
    """Print the table; 1 if a cause was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manipulations", type=int, default=10, metavar="N", help="of each kind (10)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(KINDS), help="names, separated by commas")
    parser.add_argument("--spikes-alone", action="store_true", help="without membranes and currents")
    parser.add_argument("--verbose", action="store_true", help="print what is not right")
    options = parser.parse_args(arguments)
    total, began = Counter(), time.process_time()
    print(f"{'manipulated':22}{'right':>7}{'not told':>10}{'wrong':>7}  told")
    for kind in options.kinds.split(","):
        counts, told = Counter(), Counter()
        for i in range(options.manipulations):
            seed = options.seed * 100_000 + i
            found, details = manipulated(kind, seed, options.spikes_alone)
            judged = verdict(kind, found, details)
            counts[judged] += 1
            told[found.cause.name] += 1
            if judged == "wrong" or (options.verbose and judged != "right"):
                print(f"  {kind}, seed {seed}: {judged}: {found.cause.name}: {found.cause.evidence} {details}")
        total += counts
        print(f"{kind:22}{counts['right']:7}{counts['not told']:10}{counts['wrong']:7}  "
              + ", ".join(f"{name} {n}" for name, n in told.most_common()), flush=True)
    print(f"{'all':22}{total['right']:7}{total['not told']:10}{total['wrong']:7}"
          f"  {time.process_time() - began:.0f} CPU s")
    return int(total["wrong"] > 0)


if __name__ == "__main__":
    raise SystemExit(main())
