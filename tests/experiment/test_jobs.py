"""Jobs for a board elsewhere: what is sent, run as a service runs it, and every way in which results can be wrong."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet import CompetingUnits, Sequential
from spikingconvnet.backends import get_backend
from spikingconvnet.cli import main as cli
from spikingconvnet.emulator import Board
from spikingconvnet.errors import SettingsError, StoreError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import collect as module
from spikingconvnet.experiment.jobs import far
from spikingconvnet.experiment.jobs.archive import AT_WORK, DONE, FAILED, FORMAT, RELEASE, RESULTS, write_archive
from spikingconvnet.experiment.jobs.bundle import bundle
from spikingconvnet.experiment.jobs.collect import collect
from spikingconvnet.experiment.jobs.sent import PARAMETERS, Task, fingerprint, prepared

OURS = ["mnist", "sklearn", "numba", "pooch", "torch", "distributed", "filelock", "shtab", "psutil", "unicorn"]
ALONE = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {OURS}:
            raise ImportError("there is sPyNNaker alone, no " + name)
sys.meta_path.insert(0, Missing())
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_mnist):
    """A small run directory with everything trained, to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "parameters.py").write_text(f"""
from spikingconvnet import *
DATASET = {str(small_mnist)!r}
N_TRAIN, N_VALIDATION, N_TEST = 40, 10, 20
FILTER = DifferenceOfGaussians(contrast=0.35)
ENCODER = LatencyEncoder()
SLOT = 30
LEARN = STDP(windows=12, chunks=2, min_spikes=5)
MODEL = Sequential((2, 28, 28), Conv2D(2, (5, 4), training=LEARN), Classifier(grid=2))
""")
    made = Experiment(settings.load(folder / "parameters.py"), folder / "run", jobs=1)
    made.load_data()
    made.train_layer(1)
    made.train_svm()
    return folder


@pytest.fixture
def experiment(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "mine")
    return Experiment(settings.load(tmp_path / "mine/parameters.py"), tmp_path / "mine/run", jobs=1)


def brought(experiment, folder, task, state=DONE, error=None, release=RELEASE):
    """Results as a job would bring them, made by the local engine in the place of a board."""
    run = folder / "run"
    there = module._Board(prepared(experiment, run, task), run)
    vars(there.runner).update(backend=get_backend("local"), backend_name="local", options={})
    about = {"format": FORMAT, "task": task.as_dict(), "bundle": fingerprint(there, task), "release": RELEASE,
             "versions": {"spikingconvnet": "0.1.0", "sPyNNaker": release, "python": "3.11"}}
    if state == DONE:
        there.train_layer(task.layer) if task.layer else there.features(task.split)
    write_archive(run, folder / RESULTS, about, state, error)
    return folder / RESULTS


def rewritten(path, change):
    """The zip again with its files as ``change(dict of name to bytes)`` leaves them."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def test_a_job_runs_where_there_is_sPyNNaker_alone_and_brings_the_integers_of_the_local_engine(experiment, tmp_path,
                                                                                             monkeypatch):
    """As a service does: an empty folder with a configuration, ``python FILE``, and the files that are there then."""
    folder, run = tmp_path / "service", tmp_path / "sent"
    folder.mkdir()
    (folder / "run.py").write_text(bundle(experiment, Task(count=6)))
    (folder / "sitecustomize.py").write_text(ALONE)
    task = Task(layer=1)
    there = Experiment(prepared(experiment, run, task), run)
    (run / "task.json").write_text(json.dumps({"task": task.as_dict(), "bundle": fingerprint(there, task),
                                               "release": RELEASE}))
    with (tmp_path / "board.log").open("w") as log, Board(log=log) as board:
        (folder / "spynnaker.cfg").write_text(board.configuration())
        done = subprocess.run([sys.executable, "run.py", "spiNNaker"], cwd=folder, capture_output=True, text=True,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(folder)})
        monkeypatch.chdir(folder)
        assert far.execute(run, tmp_path / RESULTS) == 0
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done
    assert "the first 6 test images" in done.stdout
    found = collect(experiment, folder)
    assert (found.verdict, found.differences) == ("valid", []) and 0 <= found.accuracy <= 1
    experiment.store.file("layers/1").unlink()
    found = collect(experiment, tmp_path / RESULTS)
    assert (found.verdict, found.differences, found.accuracy) == ("valid", [], None)
    assert experiment.layer(1)["how"]["made_on"] == "hardware"      # takes the place that was empty
    kept = experiment.store.results()["hardware"]
    assert set(kept) == {"test-6", "layer-1"} and kept["test-6"]["identical"] is True
    assert set(os.listdir(folder)) - {"__pycache__", ".cache", ".config"} == {
        "run.py", "sitecustomize.py", "spynnaker.cfg", RESULTS}


def test_the_same_job_is_the_same_bytes_and_holds_no_path(experiment, tmp_path, monkeypatch):
    monkeypatch.setenv("SPALLOC_PASSWORD", "s3cret")
    text = bundle(experiment, Task(count=3))
    assert text == bundle(experiment, Task(count=3)) and len(text) < 1.2e6
    compile(text, "job.py", "exec")
    payload = re.search(r'PAYLOAD = """(.*?)"""', text, re.DOTALL)[1]
    with zipfile.ZipFile(io.BytesIO(base64.b85decode("".join(payload.split())))) as archive:
        held = b"".join(archive.read(name) for name in archive.namelist())
        names = archive.namelist()
    for secret in (str(tmp_path), str(experiment.settings.dataset), str(Path.home()), "s3cret"):
        assert secret.encode() not in held and secret not in text
    assert not [name for name in names if "/cli/" in name or "/emulator/" in name or name.endswith(".so")]
    with zipfile.ZipFile(io.BytesIO(base64.b85decode("".join(payload.split())))) as archive:
        archive.extractall(tmp_path / "unpacked")
    data = np.load(tmp_path / "unpacked/run/data/test.npz", allow_pickle=False)
    assert len(data["labels"]) == 3 and len(data["images"]) == 0


def test_what_came_back_is_read_again_as_often_as_one_likes(experiment, tmp_path):
    path = brought(experiment, tmp_path, Task(count=5))
    first = collect(experiment, path)
    assert collect(experiment, tmp_path) == first and first.file.is_file()      # in its folder as well


def _drop(name):
    return lambda path: rewritten(path, lambda files: files.pop(name))


def _manifest(**changes):
    def change(files):
        files["manifest.json"] = json.dumps(json.loads(files["manifest.json"]) | changes).encode()
    return lambda path: rewritten(path, change)


def _flip(files):
    data = bytearray(files["features/test-000.npz"])
    data[len(data) // 2] ^= 1
    files["features/test-000.npz"] = bytes(data)


@pytest.mark.parametrize("change, wanted", [
    (Path.unlink, "is not there; a job writes spikingconvnet-results.zip where it runs"),
    (lambda path: path.write_bytes(path.read_bytes()[:-40]), "is cut or damaged"),
    (lambda path: path.write_bytes(b"no zip"), "is cut or damaged"),
    (_drop("manifest.json"), "no manifest.json: it is not the"),
    (lambda path: path.write_bytes(zip_of("reports/a.txt")), "holds reports/a.txt, and no manifest.json"),
    (_drop("features/test-000.npz"), "lacks features/test-000.npz, which its manifest lists"),
    (lambda path: rewritten(path, _flip), "is not what the job has written"),
    (_manifest(format=2), "is of another version, or altered"),
    (_manifest(task={"layer": 1}), "is of another version, or altered"),
    (_manifest(files={"../../.bashrc": "0"}), "is of another version, or altered"),
    (_manifest(bundle="0" * 64), "is of another experiment"),
], ids=range(11))
def test_each_fault_of_what_comes_back_is_told_apart(experiment, tmp_path, change, wanted):
    path = brought(experiment, tmp_path, Task(count=4))
    change(path)
    with pytest.raises(StoreError, match=re.escape(wanted)):
        collect(experiment, path)
    assert "hardware" not in experiment.store.results()


def zip_of(name):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, "a")
    return made.getvalue()


@pytest.mark.parametrize("state, error, release, wanted", [
    (FAILED, "sPyNNaker: the board is silent", RELEASE, "the job has failed: sPyNNaker: the board is silent"),
    (FAILED, "sPyNNaker 6.0.0: the integers are known of", "6.0.0", "the job has failed: sPyNNaker 6.0.0"),
    (AT_WORK, None, RELEASE, "the job was ended before it was done (0 files are finished); give it more time"),
])
def test_a_job_without_results_says_why(experiment, tmp_path, state, error, release, wanted):
    path = brought(experiment, tmp_path, Task(count=4), state, error, release)
    with pytest.raises(StoreError, match=re.escape(wanted)):
        collect(experiment, path)


def test_other_settings_since_the_job_was_made_are_told(experiment, tmp_path):
    path = brought(experiment, tmp_path, Task(count=4))
    experiment.train_layer(1, "random")
    with pytest.raises(StoreError, match="or its data, layers or settings have changed since"):
        collect(experiment, path)


def test_integers_that_differ_are_shown_with_their_place(experiment, tmp_path, monkeypatch, capsys):
    path = brought(experiment, tmp_path, Task(count=4))
    there = module._Board(settings.load(tmp_path / "run" / PARAMETERS), tmp_path / "run")
    data = there.data("test")
    file = there.stored.counts(1, "test", data, 4, there.model.classifier.cells(there.model.stages[0].out_shape))[0]
    arrays = file.read()
    arrays["counts"][2, 3] += 1
    file.write(arrays["how"], counts=arrays["counts"])
    write_archive(tmp_path / "run", path, json.loads(zipfile.ZipFile(path).read("manifest.json")), DONE)
    (one,) = collect(experiment, path).differences
    assert (one.name, one.place, one.theirs - one.ours, one.count) == ("counts", (2, 3), 1.0, 1)
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["--mode", "collect", str(path), "--run-dir", "run"]) == 8
    assert "NOT those of the local engine\n  counts[2, 3]: " in capsys.readouterr().out


def test_the_command_line_writes_a_job_and_says_what_comes_next(experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path / "mine")
    run = ["--run-dir", "run"]
    assert cli.main(["--mode", "bundle", "job.py", "--count", "5", "--time-scale", "4", *run]) == 0
    out = capsys.readouterr().out
    assert "job.py: the first 5 test images" in out and "about 1 s on the board" in out and "--mode collect" in out
    for words, wanted in ((["job.py"], "is there already"), (["job.txt"], "must end with .py"),
                          (["a.py", "--layer", "svm"], "the readout needs no board"),
                          (["a.py", "--layer", "2"], "must be one of 1, got 2"),
                          (["a.py", "--count", "21"], "there are 20 test images, got 21"),
                          (["a.py", "--copies", "auto"], "which board a job meets is not known"),
                          (["a.py", "--layer", "1", "--count", "2"], "has nothing to do with --layer")):
        assert cli.main(["--mode", "bundle", *words, *run]) == 2 and wanted in capsys.readouterr().err
    assert not Path("a.py").exists()


def test_a_job_asks_for_the_release_whose_integers_are_known_and_for_a_machine(experiment, tmp_path, monkeypatch):
    task = Task(count=2)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for release, code, wanted in (("1!6.0.0", 3, "1!6.0.0: the integers are known of 1!7.4.1 alone"),
                                  (None, 3, "sPyNNaker is not there"), (RELEASE, 2, "spynnaker.cfg: is missing")):
        run = tmp_path / f"run-{release}"
        there = Experiment(prepared(experiment, run, task), run)
        (run / "task.json").write_text(json.dumps({"task": task.as_dict(), "bundle": fingerprint(there, task),
                                                   "release": RELEASE}))
        monkeypatch.setattr(far, "_release", lambda release=release: release)
        assert far.execute(run, tmp_path / RESULTS) == code
        with pytest.raises(StoreError, match=re.escape(wanted)):
            collect(experiment, tmp_path / RESULTS)


@dataclass(frozen=True)
class Mine:
    """A filter of a user's own."""

    channels: int = 2

    def __call__(self, images):
        return np.stack([images > 100, images < 50], axis=1).astype(np.float32)


def test_own_classes_cannot_be_sent(experiment, tmp_path):
    own = Experiment(replace(experiment.settings, image_filter=Mine()), tmp_path / "own", jobs=1)
    own.load_data()
    with pytest.raises(SettingsError, match="FILTER"):
        bundle(own, Task(layer=1))


def test_a_rule_that_learns_on_the_host_needs_no_board(experiment):
    layer, *others = experiment.model.layers
    model = Sequential(experiment.model.input_shape, replace(layer, training=CompetingUnits()), *others)
    own = Experiment(replace(experiment.settings, model=model), experiment.store.path, jobs=1)
    with pytest.raises(SettingsError, match="learns on the host"):
        bundle(own, Task(layer=1))
