"""The verdict before a run: each finding from a network that has the fault, the report, the command."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.backends.local import simulator
from spikingconvnet.board.check import DIGITS, FITS, Subject, as_dict, as_text, check, verdict
from spikingconvnet.board.quantisation import vanished
from spikingconvnet.board.resources import MACHINES, resources
from spikingconvnet.cli import main as cli
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.networks import CHECKED_SAMPLES, subjects
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, Neuromodulation, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

SPIN3, SPIN5 = MACHINES["spin3"], MACHINES["spin5"]
ROOT = Path(__file__).resolve().parents[2]
RULE = STDPMechanism(SpikePairRule(A_plus=0.02, A_minus=0.02), AdditiveWeightDependence(0.0, 1.0))


def subject(connections, n_pre, n_post, rule=None, limit=None, spikes=((0, 1),), **more):
    neurons, steps = np.array(spikes).reshape(-1, 2).T
    given = Spikes.from_events(0 * neurons, neurons, steps, (1, 1, n_pre), 1, 20)
    network = Network((Population("in", (1, 1, n_pre), SpikeSourceArray(given)),
                       Population("out", (1, 1, n_post), IFCurrExp(), max_expected_summed_weight=limit)),
                      (Projection("p", "in", "out", connections, plasticity=rule),))
    return Subject("test", network, 20, **more)


def row(weights, delays=None):
    n = len(weights)
    return ConnectionList(range(n), [0] * n, weights, delays or [1] * n)


def test_a_small_network_fits():
    one = check(subject(row([0.5, 0.7]), 2, 1), SPIN5)
    assert (one.verdict, one.findings) == ("fits", [])
    copies, seconds = one.copies["spin5"]
    assert copies == 379 and seconds == pytest.approx(-(-DIGITS // 379) * 0.02)
    assert list(one.copies) == ["spin5", "spin5x3", "full"]


@pytest.mark.parametrize("cell, text, change", [
    (IFCurrExpCa2Adaptive(i_alpha=1e-5), "i_alpha of 1e-05 (3 neurons) is 0 in s16.15", "at least 3.1e-05, or 0"),
    (IFCurrExpCa2Adaptive(tau_ca2=40000.0), "tau_ca2 of 40000 (3 neurons) is so long", "at most 32768 ms"),
    (IFCurrExp(tau_m=33000.0, cm=30.0), "tau_m of 33000 (3 neurons) is so long", "at most 32768 ms"),
    (IFCurrExp(tau_syn_I=33000.0), "tau_syn_I of 33000 (3 neurons) is so long", "at most 32768 ms"),
    (IFCurrDelta(tau_refrac=1e-5), "tau_refrac of 1e-05 (3 neurons) is 0", "at least 3.1e-05, or 0")])
def test_a_parameter_that_leaves_nothing_in_a_board_s_integers_is_told(cell, text, change):
    one = subject(row([0.5, 0.7]), 2, 3)
    network = replace(one.network, populations=(one.network.populations[0], Population("out", (1, 1, 3), cell)))
    finding, = check(replace(one, network=network), SPIN5).findings
    assert finding.severity == "warning" and text in finding.text and finding.change == change


@pytest.mark.parametrize("tau, moves", [(32768.0, True), (32769.0, False)])
def test_the_longest_time_constant_is_the_last_that_moves_a_membrane(tau, moves):
    """Of a step of 1 ms, in the integers of the local engine."""
    network = subject(row([0.5, 0.7]), 2, 1).network
    cell = IFCurrExp(tau_m=tau, cm=tau / 100.0, v=-60.0)
    network = replace(network, populations=(network.populations[0], Population("out", (1, 1, 1), cell)))
    with simulator.open(network, record=["out"]) as simulation:
        simulation.run(20)
        v = simulation.recording().membranes["out"]["v"]
    assert (v[0] != v[-1]).any() == moves and (vanished(network) == []) == moves


@pytest.mark.parametrize("made, found, text, change", [
    (subject(row([5.0, 1e-5]), 2, 1), "fits with warnings", "1 (50.0 %) of its weights become 0", "narrow the range"),
    (subject(row([300.0, 0.5]), 2, 1, limit=1.0), "does not fit", "do not fit 16 bits", "max_expected_summed_weight"),
    (subject(DenseConnections(np.full((784, 1), 0.5)), 784, 1, RULE), "fits with warnings",
     "0.64 steps of 0.03125 nA at most, which is rounded down to nothing", "raise A_plus by 3.1 times"),
    (subject(DenseConnections(np.full((300, 1), 0.5)), 300, 1, RULE), "fits", "1.28 steps up and 1.28 down",
     "raise A_plus"),
    (subject(row([0.5, 0.5], [4, 3]), 2, 1, RULE), "fits with warnings", "1 plastic synapses have a delay of 4 steps",
     "below 4 steps"),
    (subject(row([0.5, 0.5], [3, 3]), 2, 1, replace(RULE, backprop_delay=False)), "fits with warnings",
     "p: it learns without the delay, so on a board the order", "backprop_delay=True"),
    (subject(row([1.5, 0.5]), 2, 1, RULE), "fits with warnings", "1 weights start outside w_min .. w_max",
     "start within"),
    (subject(row([1.5, 1.5]), 2, 1, limit=0.9, spikes=[(0, 1), (1, 1)]), "fits with warnings",
     "reaches 1.50 times the 2 nA", "raise max_expected"),
    (subject(row([1.5, 1.5]), 2, 1, limit=0.9, spikes=[]), "fits with warnings", "if all inputs fired in one step",
     "load the data"),
    (subject(row([0.5, 0.5], [40, 200]), 2, 300), "fits", "2 delays are beyond the 32 steps", ""),
    (subject(DenseConnections(np.full((2, 255), 0.5)), 2, 255, RULE), "does not fit",
     "255 plastic synapses from one", ""),
    (subject(DenseConnections(np.full((300, 200), 0.001)), 300, 200, spikes=[(i, 1) for i in range(300)]),
     "fits with warnings", "300 spikes reach a core in one step", "spread the input"),
    (subject(DenseConnections(np.full((50, 200), 0.001)), 50, 200, spikes=[(i, 1) for i in range(50)]),
     "fits with warnings", "2.0 ms of work for 1 ms", "time scale factor of 3, or 79 neurons on a core"),
    (subject(row([0.5]), 1, 1, spikes=[]), "fits", "no spikes of its source are known", "load the data"),
    (subject(DenseConnections(np.full((1, 2_000_000), 0.5)), 1, 2_000_000), "does not fit",
     "7,814 cores on 559 chips; spin5 has 759 cores", "12 boards of 48 chips")])
def test_every_fault_is_found_with_the_change_that_helps(made, found, text, change):
    one = check(made, SPIN5)
    assert one.verdict == found
    texts = [finding for finding in one.findings if text in finding.text]
    assert texts and change in texts[0].change, [finding.text for finding in one.findings]


def test_sdram_that_no_chip_has_is_named():
    burst = [(i, 1) for i in range(30_000)]
    one = check(subject(DenseConnections(np.full((30_000, 1), 1e-3)), 30_000, 1, spikes=burst), SPIN5)
    assert one.verdict == "does not fit"
    assert "123.1 MB of SDRAM have to be on one chip, which has 123.0 MB" in one.findings[0].text


def test_membranes_that_do_not_fit_while_they_are_recorded_are_named():
    """40 cores of 10.5 MB each, of which a chip holds 11; recording takes 3 MB more."""
    listed = ConnectionList(np.repeat(np.arange(40), 256), np.arange(40 * 256), np.full(40 * 256, 0.5), [1] * 40 * 256)
    plain, recorded = (check(subject(listed, 10_000, 40 * 256, record=record), SPIN3) for record in ((), ("out",)))
    assert (plain.verdict, recorded.verdict) == ("fits", "does not fit")
    assert "while membranes are recorded; spin3 has 63 cores" in recorded.findings[0].text


def test_a_rule_beside_a_reward_is_checked():
    """An amount of dopamine is no current: it has a step of its own and no part in the margins."""
    plain = subject(DenseConnections(np.full((9, 7), 0.5)), 9, 7, RULE, spikes=[(i, 1) for i in range(9)])
    network = replace(plain.network, projections=(*plain.network.projections, Projection(
        "r", "in", "out", DenseConnections(np.full((9, 7), 8.0), 1, "machine"), "reward", Neuromodulation())))
    before, after = (check(replace(plain, network=one), SPIN5) for one in (plain.network, network))
    assert after.verdict == before.verdict and after.margins[0].bound == before.margins[0].bound
    assert [one.step for one in after.projections] == [before.projections[0].step, 2.0 ** -11]
    assert after.resources.cores == before.resources.cores + 1 and after.memory.binary.startswith("synapses_stdp_izhi")


def test_the_memory_of_the_fullest_core_is_told():
    one = check(subject(row([0.5, 0.7]), 2, 1), SPIN5)
    assert f"fullest core (out, 1 neuron): {one.memory.needed:,} of 60,796 bytes" in as_text([one], SPIN5)
    told = as_dict([one], SPIN5)["networks"][0]["dtcm"]
    assert told["needed"] == sum(told["parts"].values()) == one.memory.needed < told["there"] == 60_796


def test_the_report_is_text_and_numbers():
    checked = [check(subject(row([0.5, 0.7]), 2, 1), SPIN5), check(subject(row([300.0]), 1, 1, limit=1.0), SPIN5)]
    text, numbers = as_text(checked, SPIN5), json.loads(json.dumps(as_dict(checked, SPIN5)))
    assert verdict(checked) == numbers["verdict"] == "does not fit" and text.endswith("spin5: does not fit")
    assert numbers["networks"][0]["cores"] == 2 and "1 neurons on 2 cores and 1 chip" in text
    assert FITS[0] in text.splitlines()[0]


# ---------------------------------------------------------------- the command


@pytest.fixture
def run(parameters, tmp_path, capsys, sketched):
    """A function that runs one command line in one run directory: (exit code, stdout, stderr)."""
    def call(*words, **replacements):
        code = cli.main([*words, "--parameters", str(parameters(**replacements)), "--run-dir", str(tmp_path / "run")])
        return (code, *capsys.readouterr())

    return call


def test_before_the_data_are_loaded_nothing_is_written_and_the_model_is_checked(run, tmp_path):
    code, out, _ = run("--mode", "check", layers=2)
    assert code == 0 and "layer 2, inference (random kernels, no spikes yet)" in out
    assert out.rstrip().endswith("spin5: fits with warnings") or out.rstrip().endswith("spin5: fits")
    assert not (tmp_path / "run").exists()


def test_learned_kernels_and_stored_spikes_are_used_when_they_are_there(run):
    run("--mode", "demo", layers=2)
    code, out, _ = run("--mode", "check", "--json", layers=2)
    report = json.loads(out)
    assert code == 0 and report["target"] == "spin5"
    names = {n["name"]: n for n in report["networks"]}
    assert list(names) == ["layer 1, training", "layer 1, inference", "layer 2, training", "layer 2, inference"]
    assert {n["basis"] for n in report["networks"]} == {f"{kind} kernels, stored spikes" for kind in
                                                        ("initial", "learned")}
    assert all(n["spikes_per_step"] > 0 for n in report["networks"])
    assert all(m["measured"] is None or m["measured"] >= m["bound"] for n in names.values() for m in n["margins"])
    inference = names["layer 1, inference"]
    assert inference["neurons"] == 4 * 24 * 25 and "lists of connections" in inference["connectors"]["layer1"]


def test_maps_that_compete_load_a_board_with_their_own_spikes(run, tmp_path):
    """What they fire comes back to them: the local engine tells how much."""
    assert run("--mode", "demo", lateral=60.0)[0] == 0
    report = json.loads(run("--mode", "check", "--json", lateral=60.0)[1])
    inference = next(n for n in report["networks"] if n["name"] == "layer 1, inference")
    assert "must be one convolution" in inference["connectors"]["layer1"]
    assert {p["label"] for p in inference["projections"]} >= {"layer1", "layer1 lateral"}
    inside = subjects(Experiment(settings.load(tmp_path / "parameters.py"), tmp_path / "run"))[1]
    known, guessed = (resources(inside.network, (), fired).loads for fired in (inside.fired, {}))
    assert inside.network.population("input").cell.spikes.n_samples == CHECKED_SAMPLES
    assert inference["loads"][0]["mean"] == known[0].mean < guessed[0].mean


def test_a_target_that_is_too_small_ends_with_two(run):
    code, out, _ = run("--mode", "check", "--target", "spin3")
    assert code == 0 and out.rstrip().splitlines()[-1].startswith("spin3: fits")
    code, out, err = run("--mode", "check", "--target", "virtual")
    assert code == 2 and "invents a machine" in err


def test_the_password_of_a_server_is_not_repeated(run):
    code, out, err = run("--mode", "check", "--target", "spalloc:https://me:secret@127.0.0.1/x")
    assert code == 0 and out.rstrip().splitlines()[-1].startswith("full: ") and "secret" not in out + err


def test_a_model_of_two_million_neurons_is_refused_for_a_board(parameters, capsys):
    path = parameters()
    path.write_text(path.read_text().replace("Conv2D(4, (5, 4)", "Conv2D(2552, 1"))
    assert cli.main(["--mode", "check", "--parameters", str(path), "--run-dir", "nowhere"]) == 2
    out = capsys.readouterr().out
    assert "2,000,768 neurons" in out and out.endswith("spin5: does not fit\n")


def test_a_check_takes_less_than_two_seconds_and_imports_no_simulator(parameters, small_mnist, tmp_path):
    path, run_dir = str(parameters()), str(tmp_path / "run")
    words = ["--parameters", path, "--run-dir", run_dir]
    assert cli.main(["--mode", "loaddata", *words]) == 0
    code = ("import sys; from spikingconvnet.cli.main import main; code = main(sys.argv[1:]);"
            "print([m for m in ('spynnaker', 'pyNN', 'numba', 'sklearn.svm') if m in sys.modules], file=sys.stderr);"
            "sys.exit(code)")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-c", code, "--mode", "check", *words], capture_output=True, text=True,
                          cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0 and done.stderr.splitlines()[-1] == "[]", done.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2.0
