"""Traces computed by sPyNNaker 7.4.1's compiled binaries, met bit for bit; see golden/README.md."""

import json
from pathlib import Path

import numpy as np
import pytest
from naive_engine import NaiveEngine
from random_networks import by_kernels, by_reference

from spikingconvnet.backends.local.layout import RULES
from spikingconvnet.board.lowering import lower
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
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

FOLDER = Path(__file__).parents[2] / "golden"
GOLDEN = json.loads((FOLDER / "from_binaries.json").read_text())
MODULATED = json.loads((FOLDER / "neuromodulation.json").read_text())
OTHERS = json.loads((FOLDER / "plasticity_rules.json").read_text())
WITHOUT_DELAY = json.loads((FOLDER / "without_backprop_delay.json").read_text())
PARTS = {"add": (SpikePairRule, AdditiveWeightDependence), "mult": (SpikePairRule, MultiplicativeWeightDependence),
         "vogels": (Vogels2011Rule, AdditiveWeightDependence),
         "pair_mult": (SpikePairRule, MultiplicativeWeightDependence),
         "nearest_add": (SpikeNearestPairRule, AdditiveWeightDependence),
         "nearest_mult": (SpikeNearestPairRule, MultiplicativeWeightDependence),
         "vogels_negative": (Vogels2011Rule, AdditiveWeightDependence),
         "triplet": (PfisterSpikeTripletRule, WeightDependenceAdditiveTriplet)}
# The file does not state the rule. These numbers were recovered from the traces and meet every one of them; they are
# sharp (see the README) except w_max, which no weight reached: 1.3 nA agrees with the shift and is large enough.
RULE = STDPMechanism(SpikePairRule(tau_plus=16.7, tau_minus=33.3, A_plus=0.03, A_minus=0.021),
                     AdditiveWeightDependence(w_min=0.1, w_max=1.3))
KINDS = {"add": (IFCurrExp, RULE), "delta": (IFCurrDelta, None)}
keys = pytest.mark.parametrize("key", ["add", "delta"])
engines = pytest.mark.parametrize("engine", [by_reference, by_kernels])


def network(key):
    golden, (kind, rule) = GOLDEN[key], KINDS[key]
    events = [(n, step) for n, steps in enumerate(golden["pre_spikes"]) for step in steps]
    neuron, step = np.array(events).T
    spikes = Spikes.from_events(np.zeros_like(step), neuron, step, (1, 4, 5), 1, golden["T"])
    return Network(
        [Population("in", (1, 4, 5), SpikeSourceArray(spikes)), Population("out", (1, 2, 3), kind(**golden["cell"]))],
        [Projection("exc", "in", "out", ConnectionList(*np.array(golden["exc"]).T), plasticity=rule),
         Projection("inh", "in", "out", ConnectionList(*np.array(golden["inh"]).T), "inhibitory")])


@keys
def test_our_shifts_are_those_of_the_file(key):
    shift = lower(network(key)).populations["out"].shift
    assert shift.T.tolist() == [GOLDEN[key]["shifts"]] * 6


@keys
@engines
def test_every_voltage_and_current_of_400_steps_is_the_binaries(key, engine):
    membranes = engine(network(key), [400]).membranes["out"]
    for name in ("v", "gsyn_exc", "gsyn_inh"):
        assert np.array_equal(membranes[name], GOLDEN[key][name]), name


@keys
@engines
def test_the_spikes_are_the_binaries(key, engine):
    assert engine(network(key), [400]).spikes["out"] == [tuple(s) for s in GOLDEN[key]["spikes"]]


@engines
def test_the_final_weights_are_the_binaries_also_after_a_run_in_pieces(engine):
    raw = [w for _, _, _, w in sorted(GOLDEN["add"]["final_weights_raw"])]
    assert engine(network("add"), [400]).weights["exc"] == raw == engine(network("add"), [7, 1, 392]).weights["exc"]


@keys
def test_the_naive_twin_meets_the_binaries_too(key):
    golden = GOLDEN[key]
    rule = {"kind": "pair additive", "step": 1.0, "tau_plus": 16.7, "tau_minus": 33.3, "A_plus": 0.03, "A_minus": 0.021,
            "w_min": 0.1, "w_max": 1.3}
    engine = NaiveEngine(
        [{"spikes": golden["pre_spikes"]},
         {"kind": {"add": "exp", "delta": "delta"}[key], "neurons": [{**golden["cell"], "v": -65}] * 6,
          "shifts": golden["shifts"]}],
        [{"pre": 0, "post": 1, "receptor": 0, "synapses": golden["exc"], "stdp": rule if key == "add" else None},
         {"pre": 0, "post": 1, "receptor": 1, "synapses": golden["inh"]}]).run(400)
    assert (engine.v[1], engine.exc[1], engine.inh[1]) == (golden["v"], golden["gsyn_exc"], golden["gsyn_inh"])
    assert engine.spikes[1] == [tuple(s) for s in golden["spikes"]]
    if key == "add":
        assert engine.weights(0) == [w for _, _, _, w in golden["final_weights_raw"]]


def trains(label, steps, n_steps):
    """A population of sources that fire in these steps."""
    events = [(n, step) for n, times in enumerate(steps) for step in times]
    neuron, step = np.array(events).T
    shape = (1, 1, len(steps))
    spikes = Spikes.from_events(np.zeros_like(step), neuron, step, shape, 1, n_steps)
    return Population(label, shape, SpikeSourceArray(spikes))


def on_the_board(rule, golden, backprop_delay=True):
    """The network of a PyNN script that ran on the emulated board."""
    (timing, weights), n = PARTS[rule], len(golden["kicks"])
    mechanism = STDPMechanism(timing(**golden["timing"]), weights(**golden["bounds"]), backprop_delay)
    pre, post, weight, delay = zip(*golden["synapses"])
    parts = [("excitatory", "inputs", ConnectionList(pre, post, weight, delay), mechanism),
             ("excitatory", "kicks", ConnectionList(range(n), range(n), [golden["kick_weight"]] * n, [1] * n), None)]
    for receptor, label, amount in zip(("reward", "punishment"), ("rewards", "punishments"), golden.get("amounts", ())):
        amounts = DenseConnections(np.full((len(golden[label]), n), amount), rounding="machine")
        parts.append((receptor, label, amounts, Neuromodulation(**golden["modulation"])))
    sources = [trains(label, golden[label], golden["T"]) for _, label, _, _ in parts]
    return Network([*sources, Population("out", (1, 1, n), IFCurrExp(**golden["cell"], v=-65.0))],
                   [Projection(f"from {label}", label, "out", connections, receptor, plasticity)
                    for receptor, label, connections, plasticity in parts])


@pytest.mark.parametrize("rule, golden", [*MODULATED.items(), *OTHERS.items()])
@engines
def test_every_rule_gives_what_its_binary_gave_on_an_emulated_board(engine, rule, golden):
    made = on_the_board(rule, golden)
    results = engine(made, [golden["T"]])
    assert lower(made).populations["out"].shift[0].tolist() == [golden["shift"]] * len(golden["kicks"])
    assert results.spikes["out"] == [tuple(s) for s in golden["spikes"]]
    for name in ("v", "gsyn_exc"):
        assert np.array_equal(results.membranes["out"][name], golden[name]), name
    assert results.weights["from inputs"] == golden["final_weights_raw"]
    assert results.weights["from inputs"] != lower(made).projection("from inputs").weight.tolist()


@pytest.mark.parametrize("rule, golden", [*MODULATED.items(), *OTHERS.items()])
@engines
def test_without_backprop_delay_every_rule_gives_what_its_binary_gave_on_an_emulated_board(engine, rule, golden):
    found = WITHOUT_DELAY["modulated" if golden in MODULATED.values() else "others"][rule]
    results = engine(on_the_board(rule, golden, backprop_delay=False), [golden["T"]])
    assert results.weights["from inputs"] == found["final_weights_raw"] != golden["final_weights_raw"]
    assert results.spikes["out"] == [tuple(s) for s in found["spikes"]]


def test_the_golden_networks_hold_every_rule_and_a_weight_below_zero():
    kinds = {lower(on_the_board(rule, golden)).projection("from inputs").rule.kind
             for rule, golden in [*MODULATED.items(), *OTHERS.items()]}
    assert kinds | {"pair_additive"} == set(RULES)
    assert max(OTHERS["vogels_negative"]["final_weights_raw"]) > 65000
