"""Verdicts in an experiment and on the command line: the local engine behind made-up words of a machine."""

import json
from dataclasses import replace

import numpy as np
import pytest
from provenance_database import Story

from spikingconvnet.backends.local import simulator
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.cli.main import main
from spikingconvnet.errors import BackendError, HealthError
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.experiment import Experiment

pytestmark = pytest.mark.usefixtures("sketched")

SAID = {"valid": [], "suspect": [("combined", "Late spikes", 4)], "invalid": [("combined", "Skipped synapses", 9)]}


@pytest.fixture
def says(monkeypatch, tmp_path):
    """A function after which the spinnaker backend is the local engine on a machine that says so, run after run.

    The last verdict is for all further ones.
    """
    def said(verdict):
        story = Story(np.random.default_rng(0))
        for what in SAID[verdict]:
            story.add(*what)
        path = tmp_path / f"{verdict}.sqlite3"
        path.unlink(missing_ok=True)
        return story.provenance(path)

    def set_verdicts(*verdicts):
        following = [said(verdict) for verdict in verdicts]

        def start(network, record=(), jobs=None, **options):
            simulation = Machine(network, record)
            simulation.provenance = following.pop(0) if len(following) > 1 else following[0]
            return simulation

        monkeypatch.setattr(spinnaker, "open", start)

    return set_verdicts


class Machine(simulator.Simulation):
    """The local engine, with words of a machine in its recordings."""

    def recording(self):
        return replace(super().recording(), provenance=self.provenance)


@pytest.fixture
def made(parameters, tmp_path):
    """An experiment with its images loaded."""
    found = Experiment(settings.load(parameters(N_TRAIN=40)), tmp_path / "run", "spinnaker", target="emulated")
    found.load_data()
    return found


def test_the_verdict_is_stored_with_the_result(made, says, caplog):
    caplog.set_level("INFO")
    says("suspect")
    made.train_layer(1)
    how = made.layer(1)["how"]["board"]
    assert how["verdict"] == "suspect" and how["findings"][0]["name"] == "late_spikes"
    assert how["findings"][0]["where"] == ["core 0,0,1 (combined, neurons 0 to 99)"]
    assert "layer 1, training on the board: suspect" in caplog.text and "4 spikes came in a later step" in caplog.text


def test_weights_of_an_invalid_run_are_not_stored_unless_forced(made, says):
    says("invalid")
    with pytest.raises(HealthError, match="layer 1, training: the run is invalid.*9 synaptic events.*--force"):
        made.train_layer(1)
    assert not made.is_trained(1)
    made.runner.force = True
    made.train_layer(1)
    assert made.is_trained(1) and made.verdict() == {"verdict": "invalid"}


def test_features_of_an_invalid_run_are_not_stored_and_those_before_are_kept(made, says, monkeypatch):
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 20)
    says("valid")
    made.train_layer(1)
    says("valid", "invalid")
    with pytest.raises(HealthError, match="layer 1: counts, train: the run is invalid"):
        made.features("train")
    assert [path.name for path in (made.store.path / "features").iterdir()] == ["train-000.npz"]
    says("valid")
    made.train_svm()
    assert sorted(path.name for path in (made.store.path / "features").iterdir()) == ["train-000.npz", "train-001.npz"]
    assert made.verdict() == {"verdict": "valid"}


def test_what_a_machine_said_before_a_failure_is_told(made, monkeypatch, tmp_path, caplog):
    error = BackendError("sPyNNaker: no more")
    error.provenance = replace(Story(np.random.default_rng(0)).provenance(tmp_path / "data.sqlite3"),
                               failure="sPyNNaker: no more", states=((0, 0, 3, "WATCHDOG"),))
    monkeypatch.setattr(Machine, "run", lambda self, n_steps: (_ for _ in ()).throw(error))
    monkeypatch.setattr(spinnaker, "open", lambda network, record=(), jobs=None, **options: Machine(network, record))
    with pytest.raises(BackendError, match="no more"):
        made.train_layer(1)
    assert "core 0,0,3 (synapses, neurons 0 to 99): WATCHDOG" in caplog.text


@pytest.mark.parametrize("verdict, options, code", [
    ("valid", ["--strict"], 0), ("suspect", [], 0), ("suspect", ["--strict"], 7), ("invalid", [], 6),
    ("invalid", ["--force"], 6)])
def test_exit_codes_of_the_command_line(verdict, options, code, parameters, says, tmp_path, capsys):
    where = ["--parameters", str(parameters(N_TRAIN=20)), "--run-dir", str(tmp_path / "run")]
    assert main(["--mode", "loaddata", *where]) == 0
    says(verdict)
    command = ["--mode", "training", "--layer", "1", "--backend", "spinnaker", "--json", *options, *where]
    capsys.readouterr()
    assert main(command) == code
    output = capsys.readouterr()
    if code == 6 and not options:
        assert "error: layer 1, training: the run is invalid" in output.err and not output.out
        return
    assert json.loads(output.out)["verdict"] == verdict and f"on the board: {verdict}" in output.err
    assert main(["--mode", "info", *where]) == 0
    assert f"layer 1: done, stdp, {verdict} on the board\n" in capsys.readouterr().out


def test_what_stands_on_an_invalid_layer_is_invalid(made, says):
    made.runner.force = True
    says("invalid")
    made.train_layer(1)
    says("valid")
    later = Experiment(made.settings, made.store.path, "spinnaker", target="emulated")
    later.train_svm()
    later.keep_result("svm", {"accuracy": 0.5})
    assert later.verdict() == {"verdict": "invalid"} == later.store.how("svm")["board"]
    assert later.results()["svm"]["verdict"] == "invalid"


@pytest.mark.parametrize("option", ["--force", "--strict"])
def test_options_about_verdicts_belong_to_a_board(option, capsys):
    assert main(["--mode", "testing", option]) == 2
    assert f"{option}: belongs to --backend spinnaker" in capsys.readouterr().err


def test_without_a_board_nothing_is_said_of_one(parameters, tmp_path):
    found = Experiment(settings.load(parameters(N_TRAIN=20)), tmp_path / "run")
    found.load_data()
    found.train_layer(1)
    assert found.verdict() == {} and "board" not in found.layer(1)["how"]
