"""Training that ends in the middle: the same command goes on and ends with the integers of one that did not."""

import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet import training
from spikingconvnet.errors import BackendError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.store.unfinished import Unfinished

ROOT = Path(__file__).resolve().parents[2]
CHUNKS = 3
DIE_AT = """
import os, signal, sys
from spikingconvnet.cli.main import main
from spikingconvnet.store.unfinished import Unfinished
from spikingconvnet.training import layer_rule
write = Unfinished.write
def write_and_die(self, **arrays):
    write(self, **arrays)
    if len(arrays["wins"]) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.{signal})
Unfinished.write = write_and_die
signal.signal(signal.SIGINT, signal.default_int_handler)        # a shell ignores it for what runs in the background
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def loaded(parameters, tmp_path):
    """A function that makes an Experiment in a directory of its own, with its images loaded."""
    def make(directory, backend="local", **replacements):
        made = Experiment(settings.load(parameters(**replacements)), tmp_path / directory, backend)
        made.load_data()
        return made

    return make


def stop_after(chunks, monkeypatch):
    """Have a backend fail after some chunks were kept; returns the list of chunks that are kept."""
    kept, write = [], Unfinished.write

    def write_and_fail(self, **arrays):
        write(self, **arrays)
        kept.append(len(arrays["wins"]))
        if kept[-1] == chunks:
            raise BackendError("the board is gone")

    monkeypatch.setattr(Unfinished, "write", write_and_fail)
    return kept


@pytest.mark.parametrize("finished, name, code", [(0, "SIGKILL", -9), (1, "SIGKILL", -9), (CHUNKS - 1, "SIGKILL", -9),
                                                  (1, "SIGINT", 130)])
def test_the_same_command_goes_on_after_the_process_was_stopped(loaded, tmp_path, finished, name, code):
    whole = loaded("run")
    shutil.copytree(tmp_path / "run", tmp_path / "stopped")
    whole.train_layer(1)
    words = ["--mode", "training", "--layer", "1", "--parameters", tmp_path / "parameters.py", "--run-dir", "stopped"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = subprocess.run([sys.executable, "-c", DIE_AT.format(signal=name), str(finished), *words], cwd=tmp_path,
                            env=environment, capture_output=True, text=True)
    left = tmp_path / "stopped/layers"
    assert killed.returncode == code and "Traceback" not in killed.stderr
    assert [p.name for p in left.iterdir()] == ["1-unfinished.npz"]
    again = subprocess.run([sys.executable, ROOT / "main.py", *words], cwd=tmp_path, env=environment, check=True,
                           capture_output=True, text=True)
    assert (f"layer 1: {finished} of {CHUNKS} chunks were finished before" in again.stderr) == (finished > 0)
    assert [p.name for p in left.iterdir()] == ["1.npz"]
    assert (left / "1.npz").read_bytes() == whole.store.file("layers/1").read_bytes()


@pytest.mark.parametrize("layers", [1, 2])
def test_finished_chunks_are_not_kept_again(loaded, monkeypatch, layers):
    made = loaded("run", layers=layers)
    if layers == 2:
        made.train_layer(1)
    kept = stop_after(1, monkeypatch)
    with pytest.raises(BackendError, match="the board is gone"):
        made.train_layer(layers)
    stopped = list(kept)
    made.train_layer(layers)
    chunks = made.model.stages[layers - 1].layer.training.chunks
    assert stopped == [0, 1] and kept == [0, 1, *range(2, chunks)]


def rule_of(made, name=None):
    return training.layer_rule(made.model.stages[0], name)


@pytest.mark.parametrize("change", ["seed", "machine", "damaged", "rule"])
def test_what_belongs_to_another_training_is_not_gone_on_with(loaded, monkeypatch, change, tmp_path):
    made = loaded("run")
    stop_after(2, monkeypatch)
    with pytest.raises(BackendError):
        made.train_layer(1)
    path = tmp_path / "run/layers/1-unfinished.npz"
    if change == "seed":
        made = loaded("run", SEED=5)
    elif change == "machine":
        made.stored.machine = "hardware"
    elif change == "damaged":
        path.write_bytes(path.read_bytes()[:-200])
    assert made.stored.course(1, rule_of(made, "random" if change == "rule" else None)).read() is None


def test_a_machine_that_does_not_repeat_itself_is_told_of(loaded, monkeypatch, caplog):
    made = loaded("run")
    stop_after(2, monkeypatch)
    with pytest.raises(BackendError):
        made.train_layer(1)
    monkeypatch.undo()
    unfinished = made.stored.course(1, rule_of(made))
    kept = {name: array for name, array in unfinished.read().items() if name != "how"}
    learned = kept["learned"].copy()
    learned[:3, 0] += 0.25
    unfinished.write(**{**kept, "learned": learned})
    with caplog.at_level(logging.WARNING):
        trained = made.train_layer(1)
    whole = loaded("whole").train_layer(1)
    assert np.array_equal(trained.learned, whole.learned)
    assert np.array_equal(trained.course.thresholds, whole.course.thresholds)
    assert "3 of 160 weights are not those of before the interruption" in caplog.text


def test_the_course_of_a_training_that_was_stopped_is_whole(loaded, monkeypatch):
    whole, made = loaded("whole"), loaded("run")
    whole.train_layer(1)
    stop_after(1, monkeypatch)
    with pytest.raises(BackendError):
        made.train_layer(1)
    made.train_layer(1)
    for name in ("wins", "thresholds", "mean_weight"):
        assert len(made.layer(1)[name]) == CHUNKS
        assert np.array_equal(made.layer(1)[name], whole.layer(1)[name])
