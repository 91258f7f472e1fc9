"""Boards that fail in the middle: one sentence in bounded time, what was finished is kept, the same command goes on.

Emulated boards that go silent or whose cores crash on demand stand for real ones.
"""

import os
import shutil
import signal
import subprocess
import sys
from itertools import chain, cycle, repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import patience
import pytest

from spikingconvnet import emulator
from spikingconvnet.backends.spinnaker import failures
from spikingconvnet.cli import main as cli
from spikingconvnet.emulator import Board, Faults
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.experiment import Experiment

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
def command(experiment, tmp_path, capsys):
    """A function that runs one command in the directory `run`: (exit code, its messages)."""
    experiment("run")

    def call(*words):
        capsys.readouterr()
        code = cli.main([*map(str, words), "--parameters", str(tmp_path / "parameters.py"), "--run-dir",
                         str(tmp_path / "run")])
        return code, capsys.readouterr().err

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
        return {key: arrays[key] for key in arrays.files if key not in ("how", "made_from", "seal")}


def assert_same(a, b):
    assert set(a) == set(b) and all(np.array_equal(a[key], b[key]) for key in a)


def crash_after(ms, **more):
    """A core of chip (0, 0) that has a neuron or source, whichever it is, crashes after some time of the board."""
    return Faults(crashes=tuple((0, 0, core, float(ms)) for core in range(1, 17)), **more)


def test_a_training_whose_board_fails_twice_ends_with_the_same_integers(command, faulty, experiment, tmp_path):
    """A core crashes in the second chunk; the board of the second try goes silent in the third; the next does neither.

    Nor does the board before the first: the start thresholds are taken from it. All of them have a dead core, below
    those that are used, and run a program many times.
    """
    whole, dead = experiment("whole"), {"dead_cores": ((0, 0, 1),)}
    whole.train_layer(1)
    faulty(Faults(**dead), crash_after(1.5 * CHUNK_MS, **dead), Faults(silent_after=2.5e-3 * CHUNK_MS, **dead),
           *[Faults(**dead)] * 3)
    words, log = ("--mode", "training", "--layer", 1, *BOARD), tmp_path / "run/spinnaker/spynnaker.log"
    code, err = command(*words)
    assert code == 3 and "Traceback" not in err
    assert "error: layer 1: training: sPyNNaker: core 0,0," in err and "in state RUN_TIME_EXCEPTION (DABT)" in err
    assert f"its messages are in {log}; 1 of {CHUNKS} chunks are kept; go on with: " in err
    assert "--mode training --layer 1 --backend spinnaker --parameters" in err

    code, err = command(*words)
    assert code == 3 and "Traceback" not in err
    assert f"layer 1: 1 of {CHUNKS} chunks were finished before" in err
    assert "error: layer 1: training: sPyNNaker: the board no longer answers: SpinnmanTimeoutException" in err
    assert f"2 of {CHUNKS} chunks are kept; go on with: " in err and "timed out" in log.read_text()
    assert "the board does not answer, so it is not asked for its state" in log.read_text()

    code, err = command(*words)
    assert code == 0 and f"layer 1: 2 of {CHUNKS} chunks were finished before" in err
    assert_same(stored(tmp_path / "run", "layers/1"), stored(tmp_path / "whole", "layers/1"))


def test_a_recording_that_is_not_whole_is_an_invalid_run_with_its_verdict(command, faulty, experiment, tmp_path):
    """Testing with --record: the board of the recording has cores that are too slow to record all steps."""
    trained, slow = experiment("run"), Faults(slow_cores=((0, 0, 11, 0.5), (0, 0, 12, 0.5)))
    trained.train_layer(1)
    trained.train_svm()
    faulty(Faults(), slow)
    code, err = command("--mode", "testing", "--record", tmp_path / "a.npz", *BOARD)
    assert code == 6 and "Traceback" not in err and not (tmp_path / "a.npz").exists()
    assert "on the board: invalid" in err and "recorded steps are missing: cores did not come to them" in err
    assert "the run is invalid, so nothing of it is stored; sPyNNaker: the recording lacks" in err
    assert "error: recording of" in err and "go on with" not in err


def test_replicas_that_were_finished_before_a_failure_are_kept(command, faulty, experiment, tmp_path, monkeypatch):
    """The board of the second replica crashes, of the training images and then of the test images."""
    whole = experiment("whole")
    whole.train_layer(1)
    shutil.copytree(tmp_path / "whole/layers", tmp_path / "run/layers")
    for split, samples, words in (("train", 4, ("training", "--layer", "svm")), ("test", 1, ("testing",))):
        monkeypatch.setattr(replicas, "REPLICA_SAMPLES", samples)
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
        monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 4)


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
    assert patience.wait_until(lambda: log.exists() and marker in log.read_text(), process)
    os.killpg(process.pid, signal.SIGINT)
    err = patience.communicate(process)[1]
    assert process.returncode == 130 and "the same command goes on" in err and "Traceback" not in err


def test_an_error_of_spinnman_becomes_one_line():
    class Held(Exception):
        exception = TimeoutError("no\n  answer")

    assert failures.in_one_line(Held("long")) == "TimeoutError: no answer"
    assert failures.in_one_line(ValueError("a\nStack trace: ['secret']")) == "ValueError: a"
    assert len(failures.in_one_line(ValueError("x" * 5000))) < 450


def test_of_many_cores_in_a_wrong_state_some_are_named():
    state = SimpleNamespace(state=SimpleNamespace(name="SYNC0"), run_time_error=SimpleNamespace(name="NONE"))
    infos = Infos({(0, 0, core): state for core in range(1, 17)})
    error = SimpleNamespace(failed_core_states=lambda: infos)
    line = failures.in_one_line(error)
    assert line.startswith("core 0,0,1 is in state SYNC0; core 0,0,2 is in") and line.endswith("; and 12 more")
    assert line.count("SYNC0") == failures.MOST == 4


class Waiting:
    """A transceiver whose cores never come into the state that is wanted; what it has is set from outside."""

    def __init__(self, monkeypatch, states=("RUNNING",), clocks=(0,), sleeping=(0x3ffff,)):
        from spinn_front_end_common.data import FecDataView
        from spinnman.exceptions import SpiNNManCoresNotInStateException
        from spinnman.model.enums import CPUState
        from spinnman.transceiver.base_transceiver import BaseTransceiver

        self.asked, self.kind, self.failed = [], BaseTransceiver, SpiNNManCoresNotInStateException
        self.states, self.clocks, self.sleeping = cycle(states), cycle(clocks), cycle(sleeping)
        chips = SimpleNamespace(chip_coordinates=[(0, 0), (0, 1)])
        monkeypatch.setattr(FecDataView, "get_machine", lambda: chips)
        monkeypatch.setattr(FecDataView, "get_current_run_timesteps", lambda: 5000)
        monkeypatch.setattr(FecDataView, "get_first_machine_time_step", lambda: 1000)
        monkeypatch.setattr(FecDataView, "get_hardware_time_step_ms", lambda: 2.0)

        def wait(transceiver, *place, timeout=None, **more):
            self.asked.append((timeout, more))
            infos = Infos({(0, 0, 1): SimpleNamespace(state=CPUState[next(self.states)])})
            raise SpiNNManCoresNotInStateException(timeout, frozenset(), infos)

        monkeypatch.setattr(BaseTransceiver, "wait_for_cores_to_be_in_state", wait)

    def read_memory(self, x, y, address, length):
        """The clock, the map of cores (physical 5 is dead) or those that sleep."""
        if address == failures.CLOCK_MS:
            return next(self.clocks).to_bytes(length, "little")
        if address == failures.SLEEP:
            return next(self.sleeping).to_bytes(length, "little")
        return bytes([0, 1, 2, 3, 4, 255, *range(5, 17)])

    def looks(self, emulated=True, **more):
        """How often is looked until it is given up."""
        with failures.patient(emulated), pytest.raises(self.failed):
            self.kind.wait_for_cores_to_be_in_state(self, "cores", 30, **more)
        return len(self.asked)


class Infos(dict):
    """As spinnman's CPUInfos."""

    def get_cpu_info(self, *place):
        """That of a core."""
        return self[place]


def test_a_board_on_which_nothing_moves_any_more_is_not_waited_for(monkeypatch):
    assert Waiting(monkeypatch).looks(time_between_polls=1.0) == 1 + failures.STILL


def test_a_board_is_waited_for_as_long_as_a_core_works_or_cores_change_their_states(monkeypatch):
    """The first sleeps; physical core 2 of one chip is awake; states change; then it is as above."""
    sleeps, awake = 0x3ffdf, 0x3ffdb
    assert Waiting(monkeypatch, sleeping=chain([sleeps, awake] * 50, repeat(sleeps))).looks() == 51 + failures.STILL
    changing = Waiting(monkeypatch, states=["READY", "RUNNING"], clocks=range(0, 10**6, 2000))
    changing.states = chain(["READY", "RUNNING"] * 50, repeat("PAUSED"))
    run = (5000 - 1000) * 2
    assert changing.looks() == 100 + 1 + (run + failures.OVERRUN * 1000) // 2000 + 1


def test_a_board_whose_clock_goes_on_is_waited_for_until_the_run_is_long_over(monkeypatch):
    late = Waiting(monkeypatch, clocks=range(0, 10**6, 1000), sleeping=[0])
    assert late.looks() == 2 + 8 + failures.OVERRUN and {timeout for timeout, _ in late.asked} == {failures.LOOK}


def test_a_core_that_fails_ends_the_waiting_at_once(monkeypatch):
    from spinnman.model.enums import CPUState

    assert Waiting(monkeypatch, states=["WATCHDOG"]).looks() == 1
    assert Waiting(monkeypatch, states=["FINISHED"]).looks(error_states={CPUState.FINISHED}) == 1


def test_limits_of_sPyNNaker_hold_on_a_board_where_it_has_any(monkeypatch):
    board = Waiting(monkeypatch)
    own = board.kind.wait_for_cores_to_be_in_state
    assert board.looks(False, timeout=7.0) == 1 and board.asked == [(7.0, {})]
    assert board.looks(False) == 1 + 1 + failures.STILL
    assert board.kind.wait_for_cores_to_be_in_state is own
