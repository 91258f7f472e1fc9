"""Random networks for comparisons of engines, and what is compared: spikes, membranes, weights, saturation.

A `Recipe` says what a network is made of and a generator draws the numbers, so that hypothesis can shrink the one while
the other keeps networks irregular. Not a test itself.
"""

from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np

from spikingconvnet.backends.local import native, numba_kernels, simulator
from spikingconvnet.board.lowering import lower
from spikingconvnet.board.reference import ReferenceSimulation
from spikingconvnet.model import build
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive, SpikeSourceArray
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes

SPLIT_RULES = ("pair multiplicative", "nearest multiplicative", "vogels", "triplet")    # with IFCurrDelta
LOOPS = ("", "s", "P", "ss", "sP", "PP", "PsP", "sss")      # projections of a population onto itself; P are plastic
VARIABLES = ("v", "gsyn_exc", "gsyn_inh")


@dataclass(frozen=True)
class Recipe:
    """What a random network is made of; one of its projections in two is plastic if `plastic`.

    `rule` is a key of `RULES`; without it every population draws its own, if not `modulated` one without rewards.
    `backprop_delay` is that of all mechanisms.
    """

    n_sources: int = 1
    n_populations: int = 2
    n_projections: int = 5
    largest_delay: int = 20
    n_samples: int = 2
    n_steps: int = 30
    spikes_per_step: float = 2.0
    weight: float = 2.0
    plastic: bool = True
    rule: str = None
    modulated: bool = True
    delta: bool = False
    varied: bool = True
    drive: float = 0.5
    max_expected_summed_weight: float = None
    backprop_delay: bool = True
    adaptive: bool = False


def random_network(recipe, rng):
    """A network of any wiring, self-connections and loops included."""
    sources = [_source(f"source {i}", recipe, rng) for i in range(recipe.n_sources)]
    cells = [_population(f"cells {i}", recipe, rng) for i in range(recipe.n_populations)]
    rules = {p.label: _rule(recipe, rng) for p in cells}
    populations = [*sources, *cells]
    rng.shuffle(populations)
    projections = []
    for i in range(recipe.n_projections):
        pre, post = populations[rng.integers(len(populations))], cells[rng.integers(len(cells))]
        learns = recipe.plastic and rng.random() < 0.5
        projections.append(Projection(f"projection {i}", pre.label, post.label, _connections(pre, post, recipe, rng),
                                      rng.choice(["excitatory", "excitatory", "inhibitory"]).item(),
                                      rules[post.label][0] if learns else None))
    for post in sorted({p.post for p in projections if p.learns and rules[p.post][1]}):
        for i in range(rng.integers(3)):
            pre = populations[rng.integers(len(populations))]
            projections.insert(rng.integers(len(projections) + 1), _modulator(f"{i} to {post}", pre, post, cells,
                                                                             rules[post][1], rng))
    return Network(populations, projections)


def split_network(rule, loops, rng, largest_delay=20, backprop_delay=True):
    """A population that sPyNNaker puts on split cores, its input, and projections onto itself.

    Of its neurons the last has no synapses of these, and others may have none.

    Parameters
    ----------
    rule : str
        One of `SPLIT_RULES`, or a modulated rule, here without rewards.
    loops : str
        One of `LOOPS`.
    """
    recipe = Recipe(rule=rule, spikes_per_step=float(rng.choice([0.5, 2.0])), weight=float(rng.choice([0.2, 2.0])),
                    largest_delay=largest_delay, backprop_delay=backprop_delay)
    source, size = _source("source", recipe, rng), int(rng.integers(2, 20))
    cell = IFCurrDelta(tau_m=float(np.round(rng.uniform(5.0, 30.0), 3)), v_thresh=-62.0, v=-65.0, tau_refrac=2.0)
    cells = Population("cells", (1, 1, size), cell, {"i_offset": np.round(rng.uniform(0.0, 0.8, size), 3)})
    mechanism = _rule(recipe, rng)[0]
    learns = [True, *(kind == "P" for kind in loops)]
    ends = [(source, 1)] + [(cells, size // 2 + 1)] * len(loops)
    projections = []
    for i, ((pre, fewer), plastic) in enumerate(zip(ends, learns)):
        n = int(rng.integers(1, max(2, pre.size * size // fewer)))
        connections = ConnectionList(rng.integers(0, pre.size - (pre is cells), n), rng.integers(0, size, n),
                                     rng.gamma(1.5, recipe.weight, n), rng.integers(1, largest_delay + 1, n))
        projections.append(Projection(f"projection {i}", pre.label, "cells", connections,
                                      rng.choice(["excitatory", "inhibitory"]).item(), mechanism if plastic else None))
    return Network([source, cells], projections)


def depends_on_order(network, n_steps):
    """Whether it makes a difference in which order packets of different cores reach a core of synapses.

    On split cores that decides whether the last event of a full history is still there, and whether a row of stored
    delay 0, or that learns without the delay, meets the events of its own step. A board defines no order.
    """
    if not ReferenceSimulation(lower(network)).transfers:
        return False
    first, last = (by_reference(network, [n_steps], own_first=own_first) for own_first in (True, False))
    return first.differences(last) != []


def _modulator(label, pre, post, cells, modulation, rng):
    """A reward or punishment; some of its amounts leave the 16 bits of dopamine when they add up."""
    size = next(p.size for p in cells if p.label == post)
    n = int(rng.integers(1, pre.size * size + 3))
    amounts = np.round(rng.gamma(1.5, rng.choice([0.02, 0.3, 5.0]), n), 4)
    connections = ConnectionList(rng.integers(0, pre.size, n), rng.integers(0, size, n), amounts, np.ones(n, int))
    return Projection(label, pre.label, post, connections, rng.choice(["reward", "punishment"]).item(), modulation)


def _shape(rng):
    return tuple(int(n) for n in rng.integers(1, 4, 3))


def _source(label, recipe, rng):
    shape, n_steps = _shape(rng), recipe.n_steps
    n = rng.poisson(recipe.spikes_per_step * recipe.n_samples * n_steps)
    # Few neurons and no check for duplicates: some fire twice in a step.
    spikes = Spikes.from_events(rng.integers(0, recipe.n_samples, n), rng.integers(0, int(np.prod(shape)), n),
                                rng.integers(0, n_steps, n), shape, recipe.n_samples, n_steps)
    return Population(label, shape, SpikeSourceArray(spikes))


def _population(label, recipe, rng):
    shape = _shape(rng)
    kind = IFCurrDelta if recipe.delta and rng.random() < 0.7 else IFCurrExp
    if recipe.adaptive and rng.random() < 0.7:
        kind = IFCurrExpCa2Adaptive
    draw = {"tau_m": (5.0, 30.0), "cm": (0.3, 2.0), "v_rest": (-66.0, -64.0), "v_reset": (-70.0, -60.0),
            "v_thresh": (-63.0, -55.0), "tau_refrac": (0.0, 5.0), "v": (-68.0, -62.0),
            "i_offset": (0.0, recipe.drive)}
    if kind is not IFCurrDelta:
        draw |= {"tau_syn_E": (0.6, 12.0), "tau_syn_I": (0.6, 12.0)}
    if kind is IFCurrExpCa2Adaptive:
        draw |= {"tau_ca2": (2.0, 80.0), "i_ca2": (-0.5, 0.5), "i_alpha": (-0.1, 0.8)}
    cell = kind(**{name: float(np.round(rng.uniform(*span), 3)) for name, span in draw.items()})
    varied = [name for name in draw if recipe.varied and rng.random() < 0.4]
    values = {name: np.round(rng.uniform(*draw[name], int(np.prod(shape))), 4) for name in varied}
    return Population(label, shape, cell, values, max_expected_summed_weight=recipe.max_expected_summed_weight)


def _rule(recipe, rng):
    kind = recipe.rule or rng.choice([r for r in RULES if recipe.modulated or not r.startswith("modulated")]).item()
    low, high = (0.0, recipe.weight) if rng.random() < 0.5 else (0.2 * recipe.weight, 2.0 * recipe.weight)
    mechanism, modulation = RULES[kind](low, high, rng)
    return replace(mechanism, backprop_delay=recipe.backprop_delay), modulation


def _taus(n, rng):
    """Time constants, one time in five so long that traces of bursts overflow 16 bits."""
    longest = 40.0 if rng.random() < 0.8 else 400.0
    return np.round(rng.uniform(3.0, longest, n), 1).tolist()


def _amounts(n, largest, rng):
    return np.round(rng.uniform(0.0, largest, n), 4).tolist()


# Steps of the size of the weights, so that both bounds are met. Every rule comes with its Neuromodulation or None.
def _pair_additive(low, high, rng):
    return STDPMechanism(SpikePairRule(*_taus(2, rng), *_amounts(2, 0.3 * high, rng)),
                         AdditiveWeightDependence(low, high)), None


def _pair_multiplicative(low, high, rng):
    largest = rng.choice([0.3, 2.5])                        # the second one leaves the bounds
    return STDPMechanism(SpikePairRule(*_taus(2, rng), *_amounts(2, largest, rng)),
                         MultiplicativeWeightDependence(low, high)), None


def _nearest(low, high, rng):
    return STDPMechanism(SpikeNearestPairRule(*_taus(2, rng), *_amounts(2, 0.3 * high, rng)),
                         AdditiveWeightDependence(low, high)), None


def _nearest_multiplicative(low, high, rng):
    return STDPMechanism(SpikeNearestPairRule(*_taus(2, rng), *_amounts(2, rng.choice([0.3, 2.5]), rng)),
                         MultiplicativeWeightDependence(low, high)), None


def _vogels(low, high, rng):
    alpha = float(np.round(rng.choice([0.1, 3.0]) * rng.random(), 4))           # the second one makes weights negative
    return STDPMechanism(Vogels2011Rule(alpha, *_taus(1, rng), *_amounts(2, 0.3 * high, rng)),
                         AdditiveWeightDependence(low, high)), None


def _triplet(low, high, rng):
    return STDPMechanism(PfisterSpikeTripletRule(*_taus(4, rng), *_amounts(2, 0.3, rng)),
                         WeightDependenceAdditiveTriplet(low, high, *_amounts(2, 0.3, rng))), None


def _modulated(rule):
    def made(low, high, rng):
        mechanism, _ = rule(rng.choice([0.0, 0.1 * low]).item(), high, rng)
        taus = np.round([rng.uniform(5.0, 1000.0), rng.uniform(5.0, 200.0)], 1).tolist()
        return mechanism, Neuromodulation(*taus, low, high)
    return made


RULES = {"pair additive": _pair_additive, "pair multiplicative": _pair_multiplicative, "nearest": _nearest,
         "nearest multiplicative": _nearest_multiplicative, "vogels": _vogels, "triplet": _triplet,
         "modulated pair additive": _modulated(_pair_additive),
         "modulated pair multiplicative": _modulated(_pair_multiplicative), "modulated vogels": _modulated(_vogels)}


def _connections(pre, post, recipe, rng):
    kind = rng.choice(["list", "list", "dense", "lateral", "nothing"])
    delay = int(rng.integers(1, recipe.largest_delay + 1))
    if kind == "nothing":
        return ConnectionList([], [], [], [])
    if kind == "lateral" and pre is post:
        return LateralInhibition(post.size, float(rng.gamma(1.5, recipe.weight)), delay)
    if kind == "dense":
        return DenseConnections(rng.gamma(1.5, recipe.weight, (pre.size, post.size)), delay)
    n = int(rng.integers(1, pre.size * post.size + 3))      # a pair may be connected several times
    return ConnectionList(rng.integers(0, pre.size, n), rng.integers(0, post.size, n),
                          rng.gamma(1.5, recipe.weight, n), rng.integers(1, recipe.largest_delay + 1, n))


def convolutional_network(rng, maps, activity=6.0, n_steps=12, competing=False):
    """A source and a chain of convolutions, `maps` being the number of maps of each: labels "input", "map 0", ...

    `competing`: the maps of every convolution inhibit each other at each place.
    """
    shape = int(rng.integers(1, 4)), int(rng.integers(3, 10)), int(rng.integers(3, 10))
    populations = [Population("input", shape, SpikeSourceArray(random_spikes(shape, 3, n_steps, activity, rng)))]
    projections = []
    for layer, n in enumerate(maps):
        last = layer == len(maps) - 1
        connections = _convolution(populations[-1].shape, n, 10 if last else 3, rng)
        populations.append(_convolved(f"map {layer}", connections, rng))
        projections.append(Projection(f"to map {layer}", populations[-2].label, f"map {layer}", connections))
        if competing:
            projections.append(Projection(f"within map {layer}", f"map {layer}", f"map {layer}",
                                          build.competition(connections.post_shape, float(rng.uniform(0.5, 20.0)))))
    return Network(populations, projections)


def _convolution(pre_shape, maps, largest_kernel, rng):
    pool = tuple(int(rng.integers(1, min(n, 2) + 1)) for n in pre_shape[1:])
    pooled = [n // p for n, p in zip(pre_shape[1:], pool)]
    kernel = tuple(int(rng.integers(1, min(n, largest_kernel) + 1)) for n in pooled)
    strides = int(rng.integers(1, 3)), int(rng.integers(1, 4))
    size = rng.choice([0.03, 1.0, 1.0, 20.0, 3000.0])       # the last one wraps membranes and currents in 32 bits
    kernels = rng.normal(0.1 * size, size, (maps, pre_shape[0], *kernel))
    kernels[rng.random(kernels.shape) < 0.1] = 0.0
    return ConvConnections(kernels, pre_shape, strides, pool, int(rng.integers(1, 5)))


def _convolved(label, connections, rng):
    """Constants hold for all neurons, a threshold for a map; some ring buffers are too small for their weights."""
    maps, positions = connections.post_shape[0], int(np.prod(connections.post_shape[1:]))
    whole = rng.random() < 0.5                              # a whole resistance in megaohm has a path of its own
    cell = IFCurrExp(tau_m=float(rng.choice([4.0, 20.0]) if whole else np.round(rng.uniform(3.0, 25.0), 2)),
                     cm=1.0 if whole else float(rng.choice([0.73, 1.9])), v_rest=0.0, v_reset=-1.0, v_thresh=2.0,
                     tau_syn_E=float(rng.choice([1.0, 4.3])), tau_syn_I=float(rng.choice([2.0, 6.7])),
                     tau_refrac=float(rng.choice([0.0, 0.0, 0.1, 2.0])), v=0.5, i_offset=float(rng.choice([0.0, 0.3])))
    limit = float(rng.choice([4.0, 0.5])) if rng.random() < 0.4 else None
    return Population(label, connections.post_shape, cell,
                      {"v_thresh": np.repeat(np.round(rng.uniform(0.5, 3.0, maps), 3), positions)}, per_channel=True,
                      max_expected_summed_weight=limit)


def random_spikes(shape, n_samples, n_steps, per_step, rng):
    """About `per_step` spikes in every step, some of them of one neuron."""
    n = rng.poisson(per_step * n_samples * n_steps)
    return Spikes.from_events(rng.integers(0, n_samples, n), rng.integers(0, int(np.prod(shape)), n),
                              rng.integers(0, n_steps, n), shape, n_samples, n_steps)


def events(spikes):
    """Spikes as a list of (step, neuron) in the order of the recording."""
    return list(zip(spikes.steps().tolist(), spikes.neurons.tolist()))


class Results:
    """Integers of a run in one form, whatever computed them."""

    def __init__(self, spikes, membranes, weights, saturated):
        self.spikes, self.membranes, self.weights, self.saturated = spikes, membranes, weights, saturated

    def differences(self, other):
        """Names of what differs; membranes are compared where both have them."""
        found = [f"spikes of {k}" for k in self.spikes if self.spikes[k] != other.spikes[k]]
        found += [f"{name} of {k}" for k in self.membranes.keys() & other.membranes.keys() for name in VARIABLES
                  if not np.array_equal(self.membranes[k][name], other.membranes[k][name])]
        found += [f"weights of {k}" for k in self.weights if self.weights[k] != other.weights[k]]
        return found + [f"saturation of {k}" for k in self.saturated if self.saturated[k] != other.saturated[k]]


def chunked(n_steps, rng):
    """`n_steps` as a sum of a few random numbers, some of them 1."""
    cuts = rng.choice(np.arange(1, n_steps), size=min(4, n_steps - 1), replace=False)
    return np.diff([0, *sorted(cuts.tolist()), n_steps]).tolist()


def by_reference(network, chunks, thresholds=None, own_first=False):
    """Results of the reference, `thresholds` (a dict by label for each chunk, in mV) being set before the chunk.

    `own_first` is that of the reference.
    """
    lowered = lower(network)
    simulation = ReferenceSimulation(lowered, own_first)
    labels = list(lowered.populations)
    spikes, membranes = {label: [] for label in labels}, {label: {n: [] for n in VARIABLES} for label in labels}
    for i, steps in enumerate(chunks):
        for label, values in (thresholds[i] if thresholds else {}).items():
            simulation.neurons[label].v_thresh = np.rint(np.asarray(values) * 32768).astype(int).tolist()
        fired, traces = simulation.run(steps, labels)
        for label in labels:
            spikes[label] += fired[label]
            for name in VARIABLES:
                membranes[label][name].append(traces[label][name])
    return Results(spikes, {k: {n: np.concatenate(parts) for n, parts in v.items()} for k, v in membranes.items()},
                   {p.label: simulation.projections[p.label].weight for p in network.projections},
                   {label: simulation.neurons[label].saturated for label in labels})


def by_kernels(network, chunks, thresholds=None, record=None, jobs=1):
    """Results of the compiled extension, with which those of the numba kernels and of narrower vectors agree."""
    results = by(native, network, chunks, thresholds, record, jobs)
    if numba_kernels is not native:         # as in checked_build.py
        assert results.differences(by(numba_kernels, network, chunks, thresholds, record, jobs)) == []
    for widest in (16, 32):
        with patch.object(native, "WIDEST", widest):
            assert results.differences(by(native, network, chunks, thresholds, record, jobs)) == []
    return results


def by_lists(network, chunks):
    """The same with every convolution as a list of synapses, in the general stage."""
    with patch.object(simulator, "_is_uniform_convolution", lambda *_: False):
        return by_kernels(network, chunks)


def by(module, network, chunks, thresholds=None, record=None, jobs=1):
    """Results of the kernels in `module`; every population is recorded unless `record` says less."""
    labels = [p.label for p in network.populations if not p.is_source]
    with simulator.Simulation(network, labels if record is None else record, jobs, module) as simulation:
        for i, steps in enumerate(chunks):
            for label, values in (thresholds[i] if thresholds else {}).items():
                simulation.set(label, v_thresh=values)
            simulation.run(steps)
        recording = simulation.recording()
        weights = {p.label: simulation.weights(p.label).raw.tolist() for p in network.projections}
    return Results({label: events(recording.spikes[label]) for label in labels}, recording.membranes, weights,
                   recording.saturated)
