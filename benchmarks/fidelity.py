"""Random networks on the local engine and on the emulated board: the same integers, or refused in words before the run.

    python benchmarks/fidelity.py --networks 300 --seed 1
    python benchmarks/fidelity.py --seed 1 --only 17 230            # these again
    python benchmarks/fidelity.py --seed 1 --first 100 --networks 50

300 to 600 neurons on several cores, 40 to 2,000 steps of 0.1 to 2 ms, delays of up to 60 steps, ring buffers that
overflow, resets, thresholds set between runs, several plastic projections, recurrent ones, parameters by neuron,
Poisson sources (a board is given the spikes that the engine has drawn), populations in channels, convolutions, runs in
pieces. Compared are spikes, membranes, both currents and weights, all as integers; the weights of several synapses of
one pair of neurons as a set, because sPyNNaker reads them back in no particular order.

A line for each network and a summary; the exit code is 1 if a network differs, crashes, or has a verdict that a run of
the right integers must not have. Where the order of packets in a step decides (docs/architecture.md), a difference says
nothing: the reference with the packets of a step in the other order differs too, and the network is counted apart.

It needs sPyNNaker and unicorn, as ``pip install -e '.[test]'`` installs them.
"""

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.backends.local import simulator
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board import check
from spikingconvnet.board.lowering import TIMESTEPS, lower
from spikingconvnet.board.reference import ReferenceSimulation
from spikingconvnet.board.resources import MACHINES
from spikingconvnet.emulator import Board
from spikingconvnet.errors import BackendError, NetworkError
from spikingconvnet.health.verdict import judge
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray, SpikeSourcePoisson, poisson_seeds
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes

VARIABLES = ("v", "gsyn_exc", "gsyn_inh")
STEPS = (40, 2000)              # fewest and most
PACKETS = 256                   # that wait at a core, as sPyNNaker has it
PREDICTED = {"saturated", "silent_delays"}      # findings of a verdict in which the engine does the same
IDENTICAL, REFUSED, ORDER, DIFFERS, CRASHED, DOUBTED = OUTCOMES = (
    "identical", "refused", "order of packets", "DIFFERS", "CRASHED", "DOUBTED")
FAILURES = (DIFFERS, CRASHED, DOUBTED)


@dataclass(frozen=True)
class Case:
    """A network and how it is run.

    Attributes
    ----------
    network : Network
    pieces : list of int
        Steps of each run.
    thresholds : list of dict of str to float array
        What is set before each run, mV.
    record : list of str
        Populations whose membranes are recorded.
    """

    network: Network
    pieces: list
    thresholds: list
    record: list


# ---------------------------------------------------------------- drawing


def drawn(seed, number):
    """The network of that number: Case."""
    rng = np.random.default_rng([seed, number, 2026])
    kind = rng.choice(["static", "plastic", "plastic", "reset", "convolution"])
    size = int(rng.integers(300, 601))
    n_steps = int(STEPS[0] * (STEPS[1] / STEPS[0]) ** (rng.random() ** 3))
    timestep = float(rng.choice(TIMESTEPS))
    if kind == "convolution":
        network = _convolutional(n_steps, timestep, rng)
    else:
        network = _wired(kind == "plastic", size, n_steps, timestep, rng)
    if kind == "reset" and not any(isinstance(p.cell, SpikeSourcePoisson) for p in network.populations):
        network = replace(network, reset_every=max(20, n_steps // int(rng.integers(1, 6))))
    labels = [p.label for p in network.populations if not p.is_source]
    pieces = _pieces(n_steps, rng)
    thresholds = [{label: _thresholds(network.population(label), rng) for label in labels if rng.random() < 0.5}
                  if i and rng.random() < 0.6 else {} for i in range(len(pieces))]
    return Case(network, pieces, thresholds, [label for label in labels if rng.random() < 0.8])


def _pieces(n_steps, rng):
    cuts = rng.choice(np.arange(1, n_steps), int(rng.choice([0, 0, 1, 2, 4])), replace=False)
    return np.diff([0, *sorted(cuts.tolist()), n_steps]).tolist()


def _thresholds(population, rng):
    return np.round(population.parameter("v_thresh") + rng.uniform(-1.0, 3.0, population.size), 3)


def _wired(plastic, size, n_steps, timestep, rng):
    """Sources and one to three populations, wired in any way; of plastic networks half of the projections learn."""
    sources = [_source(f"source {i}", n_steps, timestep, not plastic and rng.random() < 0.3, rng)
               for i in range(rng.integers(1, 3))]
    if not any(source.has_given_spikes for source in sources):
        sources.append(_source("given", n_steps, timestep, False, rng))
    shares = rng.multinomial(size - 60, np.full(3, 1 / 3)) + 20 if rng.random() < 0.6 else [size]
    strength, longest = float(rng.choice([0.3, 2.0, 8.0])), int(rng.choice([1, 3, 15, 15, 31, 60]))
    cells = [_cells(f"cells {i}", int(n), strength, rng) for i, n in enumerate(shares)]
    rules = {p.label: _rule(strength, rng) for p in cells}
    projections = []
    for i in range(rng.integers(len(cells) + 1, 8)):
        post = cells[i % len(cells)]
        anybody = [*sources, *cells]
        pre = sources[i % len(sources)] if i < len(cells) else anybody[rng.integers(len(anybody))]
        learns = plastic and rng.random() < 0.5
        projections.append(Projection(f"p{i}", pre.label, post.label, _connections(pre, post, strength, longest, rng),
                                      rng.choice(["excitatory", "excitatory", "inhibitory"]).item(),
                                      rules[post.label] if learns else None))
    populations = [*sources, *cells]
    rng.shuffle(populations)
    return Network(populations, projections, timestep)


def _source(label, n_steps, timestep, random, rng):
    shape = (1, 1, int(rng.integers(20, 120)))
    per_step = float(rng.choice([0.5, 2.0, 6.0]))
    if random:
        rates = rng.uniform(0.0, 2.0 * per_step / shape[2] / timestep * 1000.0, shape[2])
        return Population(label, shape, SpikeSourcePoisson(core_seeds=poisson_seeds(rng, 1)), {"rate": rates})
    n = rng.poisson(per_step * n_steps)
    return Population(label, shape, SpikeSourceArray(Spikes.from_events(
        np.zeros(n, int), rng.integers(0, shape[2], n), rng.integers(0, n_steps, n), shape, 1, n_steps)))


def _cells(label, size, strength, rng):
    channels = int(rng.choice([1, 1, 2, 3]))
    shape = (channels, 1, max(1, size // channels))
    kind = IFCurrDelta if rng.random() < 0.35 else IFCurrExp
    draw = {"tau_m": (5.0, 30.0), "cm": (0.3, 2.0), "v_rest": (-66.0, -64.0), "v_reset": (-70.0, -64.0),
            "v_thresh": (-62.0, -54.0), "tau_refrac": (0.0, 6.0), "v": (-68.0, -62.0), "i_offset": (0.0, 0.7)}
    if kind is IFCurrExp:
        draw |= {"tau_syn_E": (1.0, 8.0), "tau_syn_I": (1.0, 8.0)}
    cell = kind(**{name: float(np.round(rng.uniform(*span), 3)) for name, span in draw.items()})
    values = {name: np.round(rng.uniform(*draw[name], int(np.prod(shape))), 4) for name in draw
              if rng.random() < (0.6 if name in ("i_offset", "v") else 0.2)}
    limit = 8.0 * strength if rng.random() < 0.25 else None         # the ring buffers of some overflow
    return Population(label, shape, cell, values, channels > 1 and rng.random() < 0.5, limit)


def _rule(strength, rng):
    taus, amounts = np.round(rng.uniform(3.0, 40.0, 4), 1).tolist(), np.round(rng.uniform(0.0, 0.3, 4), 4).tolist()
    steps = np.round(rng.uniform(0.0, 0.3, 2) * strength, 4).tolist()
    additive = AdditiveWeightDependence(0.0, 2.0 * strength)
    multiplicative = MultiplicativeWeightDependence(0.0, 2.0 * strength)
    return [STDPMechanism(SpikePairRule(*taus[:2], *steps), additive),
            STDPMechanism(SpikePairRule(*taus[:2], *amounts[:2]), multiplicative),
            STDPMechanism(SpikeNearestPairRule(*taus[:2], *steps), additive),
            STDPMechanism(SpikeNearestPairRule(*taus[:2], *amounts[:2]), multiplicative),
            STDPMechanism(Vogels2011Rule(amounts[0], taus[0], *steps), additive),
            STDPMechanism(PfisterSpikeTripletRule(*taus, *amounts[:2]),
                          WeightDependenceAdditiveTriplet(0.0, 2.0 * strength, *amounts[2:]))][rng.integers(6)]


def _connections(pre, post, strength, longest, rng):
    kind = rng.choice(["list", "list", "list", "dense", "lateral"])
    delay = int(rng.integers(1, longest + 1))
    if kind == "lateral" and pre is post:
        return LateralInhibition(post.size, float(np.round(rng.gamma(1.5, 0.1 * strength), 4)), delay)
    if kind == "dense" and pre.size * post.size < 30_000:
        return DenseConnections(rng.gamma(1.5, 0.3 * strength, (pre.size, post.size)).clip(0.0, 5.0 * strength), delay)
    n = int(pre.size * rng.integers(3, 40))
    weight = rng.gamma(1.5, strength / 1.5, n).clip(0.0, 5.0 * strength)
    return ConnectionList(rng.integers(0, pre.size, n), rng.integers(0, post.size, n), weight,
                          rng.integers(1, longest + 1, n) if rng.random() < 0.7 else np.full(n, delay))


def _convolutional(n_steps, timestep, rng):
    """A source and two convolutions in maps, one of which may inhibit itself, and a dense population behind."""
    shape = (int(rng.integers(1, 3)), *(int(n) for n in rng.integers(10, 14, 2)))
    n = rng.poisson(4.0 * n_steps)
    spikes = Spikes.from_events(np.zeros(n, int), rng.integers(0, int(np.prod(shape)), n), rng.integers(0, n_steps, n),
                                shape, 1, n_steps)
    populations, projections = [Population("input", shape, SpikeSourceArray(spikes))], []
    for layer in (0, 1):
        pre = populations[-1]
        kernel = [int(k) for k in rng.choice([1, 2, 3, 3], 2)]
        pool = (1, 1) if layer == 0 or rng.random() < 0.6 else (2, 2)
        connections = ConvConnections(
            rng.normal(0.3, 1.5, (int(rng.integers(3, 5)), pre.shape[0], *kernel)), pre.shape,
            strides=(1, 1) if layer == 0 or rng.random() < 0.5 else (2, 1), pool=pool, delay=int(rng.integers(1, 20)))
        cell = IFCurrExp(tau_m=float(rng.choice([4.0, 11.3])), v_rest=0.0, v_reset=-1.0, v_thresh=2.0, tau_syn_E=2.0,
                         tau_syn_I=3.0, v=0.0, i_offset=float(rng.choice([0.0, 0.2])))
        if rng.random() < 0.25:
            cell = IFCurrDelta(tau_m=7.0, v_rest=0.0, v_reset=0.0, v_thresh=1.5, v=0.0)
        size = int(np.prod(connections.post_shape))
        populations.append(Population(f"map {layer}", connections.post_shape, cell,
                                      {"v": np.round(rng.uniform(-1.0, 1.0, size), 3)}, per_channel=True))
        projections.append(Projection(f"to map {layer}", pre.label, f"map {layer}", connections))
    last = populations[-1]
    if rng.random() < 0.5:
        inhibition = LateralInhibition(last.size, 0.5)
        projections.append(Projection("lateral", last.label, last.label, inhibition, "inhibitory"))
    populations.append(Population("out", (1, 1, 10), IFCurrExp(v_thresh=-63.0)))
    projections.append(Projection("out", last.label, "out", DenseConnections(rng.gamma(1.5, 1.0, (last.size, 10)))))
    return Network(populations, projections, timestep)


# ---------------------------------------------------------------- running and comparing


def outcome(case, board):
    """What becomes of a network: one of `OUTCOMES`, and words about it."""
    try:
        network, expected = _locally(case)
        found = check.check(check.Subject("network", network, sum(case.pieces)), MACHINES["emulated"])
        fatal = [finding.text for finding in found.findings if finding.severity == check.FATAL]
        if fatal:
            return REFUSED, fatal[0]
        recording, weights = _recorded(spinnaker, replace(case, network=network), target=board,
                                       packet_buffer=_packet_buffer(network, expected[0]))
    except NetworkError as error:
        return REFUSED, str(error)
    except BackendError as error:
        return CRASHED, _reason(error)
    differences = list(_differences(expected, (recording, weights)))
    if differences:
        first = min(step for step, _ in differences)
        words = ", ".join(f"{name} from step {step}" for step, name in sorted(differences)[:3])
        return (ORDER if depends_on_order(replace(case, network=network), first) else DIFFERS), words
    verdict = judge(recording.provenance).findings
    doubts = {finding.name for finding in verdict if finding.severity != "note"} - PREDICTED
    return (DOUBTED, ", ".join(sorted(doubts))) if doubts else (IDENTICAL, _counts(recording))


def _packet_buffer(network, recording):
    """Packets that a core must be able to hold, if all spikes of a step reach it at once."""
    given = [p.cell.spikes for p in network.populations if p.has_given_spikes]
    counts = [np.diff(spikes.offsets) for spikes in (*given, *recording.spikes.values())]
    most = 2 * int(sum(counts).max())           # those that were delayed come again
    return 1 << most.bit_length() if most >= PACKETS else None


def _reason(error):
    """What a board says of a crash."""
    cause = judge(error.provenance).findings if getattr(error, "provenance", None) else []
    return str(error)[:200] + "".join(f"; {finding.name}" for finding in cause)


def _locally(case):
    """The network with the spikes that its Poisson sources drew, and what the engine makes of it."""
    recording, weights = _recorded(simulator, case)
    random = [p for p in case.network.populations if isinstance(p.cell, SpikeSourcePoisson)]
    given = {p.label: Population(p.label, p.shape, SpikeSourceArray(recording.spikes.pop(p.label))) for p in random}
    populations = [given.get(p.label, p) for p in case.network.populations]
    return replace(case.network, populations=populations), (recording, weights)


def _recorded(backend, case, **options):
    with backend.open(case.network, case.record, **options) as sim:
        for steps, thresholds in zip(case.pieces, case.thresholds):
            for label, values in thresholds.items():
                sim.set(label, v_thresh=values)
            sim.run(steps)
        weights = {p.label: _as_sets(sim.weights(p.label).raw, p) for p in case.network.projections
                   if not isinstance(p.connections, ConvConnections)}
        return sim.recording(), weights


def _as_sets(raw, projection):
    """Weights by pair of neurons, those of one pair in ascending order."""
    listed = projection.connections.to_list()
    order = np.lexsort((listed.post, listed.pre))
    return raw[np.lexsort((raw, listed.post[order], listed.pre[order]))]


def _differences(one, other):
    """(first step, name) of everything that differs; weights are compared at the end."""
    (expected, weights), (found, read) = one, other
    for label, spikes in expected.spikes.items():
        if not (np.array_equal(spikes.offsets, found.spikes[label].offsets)
                and np.array_equal(spikes.neurons, found.spikes[label].neurons)):
            yield _first_step(spikes, found.spikes[label]), f"spikes of {label}"
    for label, traces in expected.membranes.items():
        for name in VARIABLES:
            steps = np.flatnonzero((traces[name] != found.membranes[label][name]).any(axis=1))
            if len(steps):
                yield int(steps[0]), f"{name} of {label}"
    end = max(len(spikes.offsets) for spikes in expected.spikes.values()) - 1
    for label, raw in weights.items():
        if not np.array_equal(raw, read[label]):
            yield end, f"{np.sum(raw != read[label])} of {len(raw)} weights of {label}"


def _first_step(one, other):
    """First step in which the spikes of two recordings of a population differ."""
    return next(step for step in range(len(one.offsets) - 1)
                if one.window(step, 1).neurons.tolist() != other.window(step, 1).neurons.tolist())


def depends_on_order(case, last):
    """Whether the order of packets in a step makes a difference in the steps up to `last`."""
    if not any(population.split for population in lower(case.network).populations.values()):
        return False
    one, other = (_by_reference(case, last + 1, own_first) for own_first in (True, False))
    return one != other


def _by_reference(case, n_steps, own_first):
    """Spikes, membranes and weights after so many steps, with own packets first or last in each step."""
    simulation = ReferenceSimulation(lower(case.network), own_first)
    found = []
    for steps, thresholds in zip(case.pieces, case.thresholds):
        for label, values in thresholds.items():
            simulation.neurons[label].v_thresh = np.rint(values * 32768).astype(int).tolist()
        steps = min(steps, n_steps - simulation.t)
        if steps > 0:
            spikes, traces = simulation.run(steps, list(simulation.neurons))
            found.append((spikes, {label: {name: rows.tolist() for name, rows in trace.items()}
                                   for label, trace in traces.items()}))
    return found, {label: projection.weight for label, projection in simulation.projections.items()}


def _counts(recording):
    return f"{sum(spikes.n_events for spikes in recording.spikes.values()):,} spikes"


def _shape(case):
    """What a network is, in a few words."""
    network = case.network
    marks = [("plastic", any(p.plasticity for p in network.projections)),
             (f"reset {network.reset_every}", network.reset_every),
             ("convolution", any(isinstance(p.connections, ConvConnections) for p in network.projections)),
             ("Poisson", any(isinstance(p.cell, SpikeSourcePoisson) for p in network.populations)),
             ("channels", any(p.per_channel for p in network.populations)), ("set", any(case.thresholds))]
    sizes = "+".join(str(p.size) for p in network.populations if not p.is_source)
    delay = max(p.connections.max_delay for p in network.projections)
    return (f"{network.timestep:g} ms, {sizes} neurons, {len(network.projections)} projections, delays to {delay},"
            f" {'+'.join(map(str, case.pieces))} steps" + "".join(f", {mark}" for mark, there in marks if there))


def run(seed, numbers, board, say=print):
    """Outcomes of networks: list of str."""
    found = []
    for number in numbers:
        begin = time.process_time()
        case = drawn(seed, number)
        result, words = outcome(case, board)
        found.append(result)
        say(f"{number:4d} {result:16s} {_shape(case)}: {words}  ({time.process_time() - begin:.1f} s)")
    return found


def main(arguments=None):
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=300, help="how many (default: 300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first one (default: 0)")
    parser.add_argument("--only", type=int, nargs="+", help="numbers of the networks to run")
    options = parser.parse_args(arguments)
    numbers = options.only or range(options.first, options.first + options.networks)
    # sPyNNaker writes into the directories of its runs until the process ends.
    tempfile.tempdir = tempfile.mkdtemp(prefix="fidelity-")
    with open(os.devnull, "w") as log, Board(log=log) as board:
        counts = Counter(run(options.seed, numbers, board, lambda text: print(text, flush=True)))
    print(", ".join(f"{counts[name]} {name}" for name in OUTCOMES), f"of {sum(counts.values())}")
    return int(any(counts[name] for name in FAILURES))


if __name__ == "__main__":
    sys.exit(main())
