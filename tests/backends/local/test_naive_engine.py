"""The reference against the naive twin, which was written from a description of the arithmetic, not from our code."""

import ast
import dataclasses
import sys
from pathlib import Path

import naive_engine
import numpy as np
import pytest
from naive_engine import NaiveEngine
from random_networks import LOOPS, RULES, SPLIT_RULES, Recipe, by_reference, random_network, split_network

from spikingconvnet.board.lowering import lower
from spikingconvnet.network.neurons import parameter_names

STEPS = 60
NAIVE_KINDS = {
    ("SpikePairRule", "AdditiveWeightDependence"): "pair additive",
    ("SpikePairRule", "MultiplicativeWeightDependence"): "pair multiplicative",
    ("SpikeNearestPairRule", "AdditiveWeightDependence"): "nearest",
    ("SpikeNearestPairRule", "MultiplicativeWeightDependence"): "nearest multiplicative",
    ("Vogels2011Rule", "AdditiveWeightDependence"): "vogels",
    ("PfisterSpikeTripletRule", "WeightDependenceAdditiveTriplet"): "triplet"}


def naive_parts(network):
    """A Network as the naive twin takes it; the shifts are ours."""
    lowered = lower(network).populations
    place = {p.label: i for i, p in enumerate(network.populations)}
    populations = [_source(p) if p.is_source else _cells(p, lowered[p.label]) | {"split": _is_split(network, p)}
                   for p in network.populations]
    return populations, [_projection(p, place, network) for p in network.projections]


def _source(population):
    spikes = population.cell.spikes
    trains = [[] for _ in range(spikes.size)]
    for step, neuron in zip(spikes.steps().tolist(), spikes.neurons.tolist()):
        trains[neuron].append(step)
    return {"spikes": trains}


def _cells(population, lowered):
    columns = {name: population.parameter(name).tolist() for name in parameter_names(population.cell)}
    neurons = [{name: values[n] for name, values in columns.items()} for n in range(population.size)]
    return {"kind": {"exponential": "exp", "delta": "delta"}[population.cell.synapses], "neurons": neurons,
            "shifts": lowered.shift[:, 0].tolist()}


def _is_split(network, population):
    """Whether sPyNNaker has no binary for neurons and synapses together, or does not use it, below 1 ms."""
    rules = [naive_rule(p.plasticity, network.modulation(p.post), network.timestep)["kind"]
             for p in network.incoming(population.label) if p.learns]
    together = {"exponential": NAIVE_KINDS.values(), "delta": ("pair additive", "nearest")}[population.cell.synapses]
    return any(network.timestep < 1.0 or rule not in together for rule in rules)


def _projection(projection, place, network):
    connections = projection.connections.to_list()
    columns = [getattr(connections, name).tolist() for name in ("pre", "post", "weight", "delay")]
    synapses = sorted(zip(*columns), key=lambda s: s[:2])
    ends = {"pre": place[projection.pre], "post": place[projection.post], "synapses": synapses}
    if projection.modulates:
        return {**ends, "modulates": {"reward": 1, "punishment": -1}[projection.receptor]}
    rule = projection.plasticity and naive_rule(projection.plasticity, network.modulation(projection.post),
                                                network.timestep)
    return {**ends, "receptor": ("excitatory", "inhibitory").index(projection.receptor), "stdp": rule}


def naive_rule(mechanism, modulation, timestep):
    """Parameters of all parts and the twin's name of the pair."""
    parts = mechanism.timing_dependence, mechanism.weight_dependence
    kind = NAIVE_KINDS[tuple(type(part).__name__ for part in parts)]
    rule = {"kind": kind, "step": timestep, "backprop_delay": mechanism.backprop_delay,
            **dataclasses.asdict(parts[0]), **dataclasses.asdict(parts[1])}
    if modulation is None:
        return rule
    return rule | {"kind": f"modulated {kind}", "tau_c": modulation.tau_c, "tau_d": modulation.tau_d,
                   "weight_min": modulation.w_min, "weight_max": modulation.w_max}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", range(32))
def test_the_reference_computes_what_the_naive_twin_computes(seed, rule):
    rng = np.random.default_rng([seed, 7])
    recipe = Recipe(n_sources=seed % 3, n_populations=int(rng.integers(1, 4)), n_projections=int(rng.integers(1, 8)),
                    largest_delay=int(rng.choice([1, 2, 4, 8, 13, 20])), plastic=seed % 6 != 0, delta=seed % 4 == 0,
                    weight=float(rng.choice([0.01, 0.3, 2.0, 40.0])), drive=float(rng.choice([0.5, 4.0])),
                    max_expected_summed_weight=[None, None, 1.0][seed % 3], rule=rule, backprop_delay=seed % 5 > 1)
    check(random_network(recipe, rng))


@pytest.mark.parametrize("seed", range(24))
def test_the_reference_resets_as_the_naive_twin_does(seed):
    rng = np.random.default_rng([seed, 8])
    recipe = Recipe(n_sources=1 + seed % 2, n_populations=int(rng.integers(1, 4)), n_projections=6, plastic=False,
                    delta=seed % 3 == 0, weight=float(rng.choice([0.3, 2.0])), drive=float(rng.choice([0.5, 4.0])))
    check(dataclasses.replace(random_network(recipe, rng), reset_every=int(rng.choice([1, 7, 20, 30]))))


@pytest.mark.parametrize("timestep", [0.1, 0.2, 0.5, 2.0])
@pytest.mark.parametrize("rule", RULES)
def test_at_other_time_steps_too(timestep, rule):
    rng = np.random.default_rng([list(RULES).index(rule), int(10 * timestep)])
    for delta in (False, True):
        recipe = Recipe(n_projections=6, largest_delay=int(rng.choice([5, 20])), delta=delta, rule=rule,
                        weight=float(rng.choice([0.3, 2.0])), drive=4.0)
        check(dataclasses.replace(random_network(recipe, rng), timestep=timestep))


@pytest.mark.parametrize("rule", SPLIT_RULES)
@pytest.mark.parametrize("loops", LOOPS)
def test_the_reference_computes_what_the_naive_twin_computes_on_split_cores(rule, loops):
    rng = np.random.default_rng([SPLIT_RULES.index(rule), LOOPS.index(loops), 5])
    for backprop_delay in (True, True, True, False):
        check(split_network(rule, loops, rng, int(rng.choice([5, 16, 20])), backprop_delay))


def check(network):
    """Everything that a run of both engines leaves behind."""
    naive = NaiveEngine(*naive_parts(network), network.reset_every, network.timestep).run(STEPS)
    ours = by_reference(network, [STEPS])
    for i, population in enumerate(network.populations):
        if not population.is_source:
            traces = ours.membranes[population.label]
            assert traces["v"].tolist() == naive.v[i], population.label
            assert (traces["gsyn_exc"].tolist(), traces["gsyn_inh"].tolist()) == (naive.exc[i], naive.inh[i])
            assert ours.spikes[population.label] == naive.spikes[i]
            # The twin counts a full slot when it is filled, we when it is emptied, unless a reset comes before.
            waiting = (any(0xffff in currents for slot in naive.rings[i] for currents in slot)
                       or (network.reset_every and naive.saturated[i] > 0))
            assert (ours.saturated[population.label] > 0) == (naive.saturated[i] > 0) or waiting
    for i, projection in enumerate(network.projections):
        assert ours.weights[projection.label] == naive.weights(i), projection.label


def test_the_naive_twin_imports_the_standard_library_only():
    tree = ast.parse(Path(naive_engine.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported and all(name.split(".")[0] in sys.stdlib_module_names for name in imported)
