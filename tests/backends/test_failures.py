"""Boards that fail in the middle: one sentence in bounded time, what was finished is kept, the same command goes on.

Emulated boards that go silent or whose cores crash on demand stand for real ones.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet import cli, emulator, settings
from spikingconvnet import experiment as module
from spikingconvnet.backends import failures
from spikingconvnet.emulator import Board, Faults
from spikingconvnet.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]
BOARD = ["--backend", "spinnaker"]
CHUNKS, CHUNK_MS = 3, 1200          # of the parameters below: 20 windows of 60 ms


@pytest.fixture
def experiment(parameters, tmp_path):
    """A function that makes an Experiment of the local backend in a directory of its own, with its images loaded."""
    path = parameters(N_TRAIN=8, N_VALIDATION=0, N_TEST=2)
    path.write_text(path.read_text().replace("(5, 4)", "(5, 5)"))       # for sPyNNaker's own connector

    def make(directory):
        made = Experiment(settings.load(path), tmp_path / directory)
        made.load_data()
        return made

    return make


@pytest.fixture
def command(experiment, tmp_path, capsys, caplog):
    """A function that runs one command in the directory `run`: (exit code, its messages)."""
    experiment("run")

    def call(*words):
        caplog.clear()
        with caplog.at_level(logging.INFO, "spikingconvnet"):
            code = cli.main([*map(str, words), "--parameters", str(tmp_path / "parameters.py"), "--run-dir",
                             str(tmp_path / "run")])
        messages = [r.getMessage() for r in caplog.records if r.name.startswith("spikingconvnet")]
        return code, "".join(f"{message}\n" for message in messages) + capsys.readouterr().err

    return call


@pytest.fixture
def faulty(monkeypatch):
    """A function that gives the boards to come their faults, the first one first; those after them have none."""
    def plan(*faults):
        left = list(faults)
        monkeypatch.setattr(emulator, "Board",
                            lambda **options: Board(faults=left.pop(0) if left else Faults(), **options))

    return plan


def stored(path, name):
    """Arrays of a result, without how they were made."""
    with np.load(path / f"{name}.npz", allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files if key not in ("how", "made_from")}


def assert_same(a, b):
    assert set(a) == set(b) and all(np.array_equal(a[key], b[key]) for key in a)


def crash_after(ms):
    """A core of chip (0, 0) that has a neuron or source, whichever it is, crashes after some time of the board."""
    return Faults(crashes=tuple((0, 0, core, float(ms)) for core in range(1, 17)))


def test_a_training_whose_board_fails_twice_ends_with_the_same_integers(command, faulty, experiment, tmp_path):
    """A core crashes in the second chunk; the board of the second try goes silent in the third; the next has no faults.

    The board before the first has none either: the start thresholds are taken from it.
    """
    whole = experiment("whole")
    whole.train_layer(1)
    faulty(Faults(), crash_after(1.5 * CHUNK_MS), Faults(silent_after=2.5e-3 * CHUNK_MS))
    words, log = ("--mode", "training", "--layer", 1, *BOARD), tmp_path / "run/spinnaker/spynnaker.log"
    code, err = command(*words)
    assert code == 3 and "Traceback" not in err
    assert "error: layer 1: training: sPyNNaker: core 0,0," in err and "in state RUN_TIME_EXCEPTION (DABT)" in err
    assert f"its messages are in {log}; 1 of {CHUNKS} chunks are kept; go on with: " in err
    assert "--mode training --layer 1 --backend spinnaker --parameters" in err

    begin = time.monotonic()
    code, err = command(*words)
    assert code == 3 and time.monotonic() - begin < 180 and "Traceback" not in err
    assert f"layer 1: 1 of {CHUNKS} chunks were finished before" in err
    assert "error: layer 1: training: sPyNNaker: the board no longer answers: SpinnmanTimeoutException" in err
    assert f"2 of {CHUNKS} chunks are kept; go on with: " in err and "timed out" in log.read_text()

    code, err = command(*words)
    assert code == 0 and f"layer 1: 2 of {CHUNKS} chunks were finished before" in err
    assert_same(stored(tmp_path / "run", "layers/1"), stored(tmp_path / "whole", "layers/1"))


def test_replicas_that_were_finished_before_a_failure_are_kept(command, faulty, experiment, tmp_path, monkeypatch):
    """The board of the second replica crashes, of the training images and then of the test images."""
    whole = experiment("whole")
    whole.train_layer(1)
    shutil.copytree(tmp_path / "whole/layers", tmp_path / "run/layers")
    for split, samples, words in (("train", 4, ("training", "--layer", "svm")), ("test", 1, ("testing",))):
        monkeypatch.setattr(module, "REPLICA_SAMPLES", samples)
        whole.features(split)
        faulty(Faults(), crash_after(10))
        code, err = command("--mode", *words, *BOARD)
        assert code == 3 and f"error: layer 1: counts, {split}: sPyNNaker: core 0,0," in err
        assert "1 of 2 replicas are kept; go on with: " in err and "Traceback" not in err
        first, second = (tmp_path / f"run/features/{split}-00{n}.npz" for n in range(2))
        before = first.stat().st_mtime_ns
        assert not second.exists()
        assert command("--mode", *words, *BOARD)[0] == 0
        assert first.stat().st_mtime_ns == before
        for n in range(2):
            assert_same(stored(tmp_path / "run", f"features/{split}-00{n}"),
                        stored(tmp_path / "whole", f"features/{split}-00{n}"))
        monkeypatch.setattr(module, "REPLICA_SAMPLES", 4)


def test_a_host_that_is_no_board(command):
    code, err = command("--mode", "training", "--layer", 1, *BOARD, "--target", "127.0.0.99")
    assert code == 3 and "Traceback" not in err and err.count("\n") == 1
    assert "Failed to communicate with the machine" in err and f"0 of {CHUNKS} chunks are kept" in err
    assert "--mode doctor --target 127.0.0.99; then go on with: " in err and "--target 127.0.0.99 --parameters" in err


@pytest.mark.parametrize("package, words, extra", [
    ("pyNN", BOARD, "spinnaker"), ("spikingconvnet.emulator", BOARD, "emulator"),
    ("pyNN.nest", ["--backend", "nest"], "nest")])
def test_a_package_that_is_missing_is_named_with_its_command(command, monkeypatch, package, words, extra):
    for loaded in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, package, None)         # importing it fails
    code, err = command("--mode", "training", "--layer", 1, *words)
    assert code == 3 and "Traceback" not in err and err.count("\n") == 1
    assert f"install it with: pip install 'spikingconvnet[{extra}]'" in err


@pytest.mark.parametrize("marker", ["Partitioning", "Application started"])
def test_ctrl_c_while_a_board_is_at_work_is_an_interrupt(command, tmp_path, marker):
    """Pressed while sPyNNaker runs and while it maps: exit code 130, no traceback."""
    log = tmp_path / "run/spinnaker/spynnaker.log"
    process = subprocess.Popen(
        [sys.executable, ROOT / "main.py", "--mode", "training", "--layer", "1", *BOARD, "--parameters",
         tmp_path / "parameters.py", "--run-dir", "run"], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
    for _ in range(6000):
        if process.poll() is not None or log.exists() and marker in log.read_text():
            break
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "the same command goes on" in err and "Traceback" not in err


def test_an_error_of_spinnman_becomes_one_line():
    class Held(Exception):
        exception = TimeoutError("no\n  answer")

    assert failures.in_one_line(Held("long")) == "TimeoutError: no answer"
    assert failures.in_one_line(ValueError("a\nStack trace: ['secret']")) == "ValueError: a"
    assert len(failures.in_one_line(ValueError("x" * 5000))) < 450
