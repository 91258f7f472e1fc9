"""Traces computed by sPyNNaker 7.4.1's compiled binaries, met bit for bit; see golden/README.md."""

import json
from pathlib import Path

import numpy as np
import pytest
from naive_engine import NaiveEngine
from random_networks import by_kernels, by_reference

from spikingconvnet.backends.local.lowering import lower
from spikingconvnet.connectivity import ConnectionList
from spikingconvnet.network import Network, Population, Projection
from spikingconvnet.neurons import IFCurrDelta, IFCurrExp, SpikeSourceArray
from spikingconvnet.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.spikes import Spikes

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "from_binaries.json").read_text())
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
    rule = {"kind": "pair additive", "tau_plus": 16.7, "tau_minus": 33.3, "A_plus": 0.03, "A_minus": 0.021,
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
