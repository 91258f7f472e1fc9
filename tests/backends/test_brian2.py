"""The brian2 backend against the local engine, see ``agreement.py`` for the tolerances."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brian2", reason="Brian2 is not installed")
pytest.importorskip("pyNN", reason="PyNN is not installed")
from agreement import (
    CELLS,
    DISTANCES,
    assert_membranes_agree,
    assert_spikes_coincide,
    chain_answers,
    pairs,
    recurrent,
    run,
    trained_and_tested,
    with_mechanism,
)

from spikingconvnet.backends.pynn import brian2
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourceArray, SpikeSourcePoisson
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    PfisterSpikeTripletRule,
    SpikePairRule,
    STDPMechanism,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes

HELPERS = str(Path(__file__).parents[1] / "helpers")
UNIT = 2.0 ** -11       # nA; of a weight in the networks of pairs, which has seen two presynaptic spikes


@pytest.mark.parametrize("delay", [1, 2, 5])
@pytest.mark.parametrize("cell", CELLS)
def test_spikes_and_membranes_agree_with_the_local_engine(cell, delay):
    network = recurrent(CELLS[cell], delay, delay)
    local, _ = run("local", network, [1, 99, 200], ("maps", "out"))
    found, _ = run("brian2", network, [1, 99, 200], ("maps", "out"))
    assert_spikes_coincide(found, local)
    assert_membranes_agree(found, local, ("v",))
    assert set(found.membranes["maps"]) == {"v"}        # PyNN records no currents there


@pytest.mark.parametrize("chunks", [[300], [1, 99, 130, 70]])
@pytest.mark.parametrize("cell", CELLS)
def test_images_that_start_at_rest_agree_with_the_local_engine(cell, chunks):
    network = replace(recurrent(CELLS[cell], varied=False), reset_every=100)
    local, _ = run("local", network, chunks, ("maps", "out"))
    found, _ = run("brian2", network, chunks, ("maps", "out"))
    assert_spikes_coincide(found, local)
    assert_membranes_agree(found, local, ("v",))
    carried_on, _ = run("local", replace(network, reset_every=0), chunks, ("maps", "out"))
    assert (local.membranes["maps"]["v"][100] != carried_on.membranes["maps"]["v"][100]).any()


def test_a_chain_that_is_read_out_by_its_units_answers_alike(tmp_path):
    """Images that start at rest, through training to testing."""
    found, local = chain_answers("brian2", tmp_path)
    spikes, expected = found["spikes"].sum(axis=0), local["spikes"].sum(axis=0)
    assert expected.min() > 50 and np.allclose(spikes, expected, rtol=0.1)
    assert np.mean(found["units"][:, -1] == local["units"][:, -1]) >= 0.9


def test_a_threshold_set_between_two_runs_acts_from_the_first_step():
    network = recurrent(CELLS["exp"])
    thresholds = [{}, {"maps": np.linspace(-67.0, -62.0, network.population("maps").size)}]
    local, _ = run("local", network, [50, 250], ("maps",), thresholds)
    found, _ = run("brian2", network, [50, 250], ("maps",), thresholds)
    assert (local.spikes["maps"].steps() == 50).any()
    assert_spikes_coincide(found, local)
    assert_membranes_agree(found, local, ("v",))


def test_recordings_follow_each_other_and_chosen_neurons_keep_their_order():
    network, chosen = recurrent(CELLS["exp"]), {"maps": np.array([7, 0, 3])}
    whole, _ = run("brian2", network, [300], ("maps",))
    with brian2.open(network, chosen) as simulation:
        parts = []
        for steps in (1, 1, 298):
            simulation.run(steps)
            parts.append(simulation.recording())
    assert np.array_equal(np.concatenate([p.membranes["maps"]["v"] for p in parts]),
                          whole.membranes["maps"]["v"][:, chosen["maps"]])
    assert np.concatenate([p.spikes["out"].neurons for p in parts]).tolist() == whole.spikes["out"].neurons.tolist()


@pytest.mark.parametrize("low", [0.0, 0.3])
@pytest.mark.parametrize("delay", [1, 3])
@pytest.mark.parametrize("backprop_delay", [True, False])
def test_weights_learn_what_the_local_engine_learns_at_every_distance(delay, low, backprop_delay):
    network = pairs(delay, mechanism=STDPMechanism(SpikePairRule(10.0, 20.0, 0.1, 0.05),
                                                   AdditiveWeightDependence(low, 1.2), backprop_delay))
    local, found = (run(backend, network, [250])[1]["plastic"] - 0.5 for backend in ("local", "brian2"))
    assert abs(local).min() > 0.03 and local[DISTANCES == 0] < 0
    assert abs(found - local).max() <= 2 * UNIT


@pytest.mark.parametrize("mechanism, words", [
    (STDPMechanism(SpikePairRule(), MultiplicativeWeightDependence()), "MultiplicativeWeightDependence: brian2"),
    (STDPMechanism(PfisterSpikeTripletRule(9.0, 9.0, 9.0, 9.0, 0.1, 0.1), WeightDependenceAdditiveTriplet()),
     "PfisterSpikeTripletRule: brian2")])
def test_rules_that_brian2_does_not_have_are_refused_with_the_way_out(mechanism, words):
    with pytest.raises(NetworkError, match=f"{words} does not have it; the local backend does"):
        brian2.open(with_mechanism(pairs(), mechanism))


def test_plastic_inhibition_is_refused():
    with pytest.raises(NetworkError, match="'plastic'.receptor: must be 'excitatory'.*the local backend"):
        brian2.open(pairs(receptor="inhibitory"))


def test_random_sources_are_refused():
    cell = SpikeSourcePoisson(rate=10.0, core_seeds=((1, 2, 3, 4),))
    with pytest.raises(NetworkError, match="random sources.*not by brian2; give their spikes"):
        brian2.open(Network((Population("noise", (1, 1, 2), cell),), ()))


def test_refractory_times_that_differ_and_two_spikes_in_a_step_are_refused():
    twice = Spikes.from_events([0, 0], [1, 1], [3, 3], (1, 1, 2), 1, 30)
    with pytest.raises(NetworkError, match="'in'.spikes: must be at most one"):
        brian2.open(Network((Population("in", twice.shape, SpikeSourceArray(twice)),), ()))
    network = recurrent(CELLS["exp"])
    maps = replace(network.population("maps"), values={"tau_refrac": np.arange(12.0)})
    with pytest.raises(NetworkError, match="'maps'.tau_refrac: must be the same.*a population of each"):
        brian2.open(Network((network.populations[0], maps, network.populations[2]), network.projections))


@pytest.mark.parametrize("size", [1, 2])
def test_single_and_silent_sources_are_the_local_engines(size):
    step = np.array([0, 7, 8])
    spikes = Spikes.from_events(0 * step, 0 * step, step, (1, 1, 1), 1, 30)
    silent = Spikes.empty((1, 1, size), 1, 30)
    network = Network(
        (Population("in", spikes.shape, SpikeSourceArray(spikes)),
         Population("no", silent.shape, SpikeSourceArray(silent)),
         Population("out", (1, 1, 2), CELLS["exp"])),
        (Projection("p", "in", "out", DenseConnections([[1.0, 3.0]], 1)),
         Projection("q", "no", "out", ConnectionList([], [], [], []))))
    local, _ = run("local", network, [101], ("out",))
    found, _ = run("brian2", network, [101], ("out",))
    assert found.spikes == local.spikes and local.spikes["out"].n_events > 0
    assert_membranes_agree(found, local, ("v",))


def test_weights_come_back_sorted_and_as_they_were_given():
    rng = np.random.default_rng(1)
    spikes = Spikes.empty((1, 1, 4), 1, 5)
    weight, order = rng.uniform(0.1, 1.0, 12), rng.permutation(12)
    connections = ConnectionList(order // 3, order % 3, weight, rng.integers(1, 30, 12))
    populations = (Population("in", (1, 1, 4), SpikeSourceArray(spikes)), Population("out", (1, 1, 3), CELLS["exp"]))
    network = Network(populations, (Projection("p", "in", "out", connections, "inhibitory"),))
    with brian2.open(network) as simulation:
        assert np.allclose(simulation.weights("p").value, weight[np.argsort(order)], rtol=1e-12)


def test_running_brian2_says_nothing_and_writes_nothing_home(tmp_path):
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from agreement import CELLS, recurrent, run;"
            "run('brian2', recurrent(CELLS['exp']), [30, 30])")
    done = subprocess.run([sys.executable, "-c", code, HELPERS], capture_output=True, text=True, cwd=tmp_path,
                          check=True,
                          env={**os.environ, "HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])})
    assert (done.stdout, done.stderr) == ("", "")
    assert [path for path in tmp_path.rglob("*") if "brian" in path.name or "cython" in path.name] == []


def test_the_network_of_2018_learns_and_classifies_much_as_locally(tmp_path):
    """A weight is rounded down at each presynaptic spike on a board, which thresholds then follow.

    With these windows Brian2's kernels correlate with the local ones by 0.988, its counts by 0.971.
    """
    local, found = trained_and_tested("local", tmp_path), trained_and_tested("brian2", tmp_path)
    assert np.corrcoef(local[0]["learned"].ravel(), found[0]["learned"].ravel())[0, 1] > 0.97
    assert np.corrcoef(local[1].ravel(), found[1].ravel())[0, 1] > 0.95
    assert abs(local[2] - found[2]) <= 0.15         # of 20 images; 0.85 and 0.90
    assert found[0]["how"]["made_on"] == "brian2"
