"""Jobs for a board elsewhere: what is sent, and every way in which results can be wrong; `test_rehearsal` runs them."""

import base64
import io
import json
import re
import shutil
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from provenance_database import Story

from spikingconvnet import Sequential, backends
from spikingconvnet.backends import get_backend
from spikingconvnet.cli import jobs as cli_jobs
from spikingconvnet.cli import main as cli
from spikingconvnet.compare import recorded, recorder
from spikingconvnet.errors import SettingsError, StoreError
from spikingconvnet.experiment import onboard, replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.jobs import collect as module
from spikingconvnet.experiment.jobs import conformance, expected, far, one_network, plan, seen, sent
from spikingconvnet.experiment.jobs.archive import AT_WORK, DONE, FAILED, FORMAT, RELEASE, RESULTS, write_archive
from spikingconvnet.experiment.jobs.bundle import bundle
from spikingconvnet.experiment.jobs.collect import collect, together
from spikingconvnet.experiment.jobs.sent import PARAMETERS, Task, fingerprint, prepared
from spikingconvnet.model.head import READOUT
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.unfinished import Unfinished
from spikingconvnet.training import CompetingUnits


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
LEARN = STDP(windows=12, chunks=3, min_spikes=5)
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


def brought(experiment, folder, task, state=DONE, error=None, release=RELEASE, change=lambda network: network):
    """Results as a job would bring them, made by the local engine in the place of a board, of changed networks."""
    run = folder / "run"
    there = module._Board(prepared(experiment, run, task), run)
    told = {"task": task.as_dict(), "bundle": fingerprint(there, task), "release": RELEASE}
    expected.write(experiment, run, folder / "local", task)
    vars(there.runner).update(
        backend=get_backend("local"), backend_name="local", options={},
        through=lambda opened: lambda network, *args, **more: opened(change(network), *args, **more))
    about = {"format": FORMAT, **told,
             "versions": {"spikingconvnet": "0.1.0", "sPyNNaker": release, "python": "3.11"}}
    if state == DONE:
        with seen.watched(run, there.runner, task):
            there.train_layer(task.layer) if task.layer else expected.answered(there, task)
        seen.judge(run, there, task)
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


AGAIN = "the images around it, shown again"


@pytest.mark.parametrize("why, differences, images, lines", [
    (None, [], 5, []), (None, ["one"], 0, []), (None, [], 0, []),
    (None, ["one"], 5, ["the first step, neuron and cause: "]),
    ({"text": "a spike", "again": None}, ["one"], 5, ["a spike"]),
    ({"text": "a spike", "again": {"identical": True, "text": "x"}}, [], 5, [
        "a spike", f"{AGAIN}: identical, so it is neither a weight nor a parameter nor the wiring"]),
    ({"text": "a spike", "again": {"identical": False, "text": "a delay"}}, [], 5, [
        "a spike", f"{AGAIN} with membranes:", "a delay"])])
def test_what_is_said_of_the_first_difference(why, differences, images, lines):
    why = why and {"text": why["text"], seen.AGAIN: why["again"]}
    found = cli_jobs._why(SimpleNamespace(why=why, differences=differences, images=images))
    assert len(found) == len(lines) and all(line.startswith(wanted) for line, wanted in zip(found, lines))


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
    (_manifest(task=Task(count=4).as_dict() | {"first": -1}), "is of another version, or altered"),
    (_manifest(task=Task(count=4).as_dict() | {"copies": 0}), "is of another version, or altered"),
    (_manifest(task=Task(count=4).as_dict() | {"count": 0}), "is of another version, or altered"),
    (_manifest(task=Task(count=4).as_dict() | {"split": "train"}), "is of another version, or altered"),
    (_manifest(bundle="0" * 64), "is of another experiment"),
    (lambda path: path.rename(path.with_name("reports.zip")), "is not there; a job writes"),
], ids=range(16))
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


def leakier(network):
    """A board whose membranes forget sooner than the network says."""
    return replace(network, populations=tuple(
        p if p.is_source else replace(p, cell=replace(p.cell, tau_m=8.0)) for p in network.populations))


class Loses:
    """A board that loses a spike on its way, in the first run alone."""

    def __init__(self, spike):
        self.spike, self.runs = spike, 0

    def __call__(self, network):
        self.runs += 1
        source = network.populations[0]
        steps, kept = source.given_spikes.steps(), np.arange(source.given_spikes.n_events) != self.spike
        n = source.given_spikes.n_steps
        less = Spikes.from_events(steps[kept] // n, source.given_spikes.neurons[kept], steps[kept] % n, source.shape,
                                  source.given_spikes.n_samples, n)
        return network if self.runs > 1 else replace(
            network, populations=(replace(source, cell=replace(source.cell, spikes=less)), *network.populations[1:]))


@pytest.mark.parametrize("change, first, again", [
    (leakier, "cause not told: ", "cause: parameter: with 8 instead of 20 as tau_m of population layer1"),
    (Loses(520), "cause: lost packet: B lacks the spike of neuron ",
     "identical, so it is neither a weight nor a parameter nor the wiring")])
def test_a_job_tells_the_cause_beside_the_first_difference(experiment, tmp_path, monkeypatch, capsys, change, first,
                                                           again):
    path = brought(experiment, tmp_path, Task(count=6), change=change)
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["--mode", "collect", str(path), "--run-dir", "run"]) == 8
    once, _, shown_again = (out := capsys.readouterr().out).partition("the images around it, shown again")
    assert "first difference: step " in once and first in once and again in shown_again, out
    assert experiment.store.results()["hardware"]["test-6"]["why"]["first"]["population"] == "layer1"


def test_a_run_that_is_invalid_tells_where_it_left_the_local_engine_too(experiment, tmp_path):
    path = brought(experiment, tmp_path, Task(count=6), change=Loses(520))
    run = tmp_path / "run"
    shutil.rmtree(run / "features")
    write_archive(run, path, json.loads(zipfile.ZipFile(path).read("manifest.json")), FAILED, "the run is invalid")
    with pytest.raises(StoreError, match="the run is invalid; first difference: step .*; cause: lost packet: B"):
        collect(experiment, path)


@pytest.mark.parametrize("change, left", [(leakier, ["0.npz", "again.npz"]), (lambda network: network, [])])
def test_a_job_that_runs_again_has_the_recordings_of_its_last_run_alone(experiment, tmp_path, change, left):
    task, run = Task(count=6), tmp_path / "run"
    brought(experiment, tmp_path, task, change=Loses(520))
    shutil.rmtree(run / "features")             # as after a run that was invalid: its recordings alone came back
    (run / "found" / "1.npz").write_bytes(b"of before")
    brought(experiment, tmp_path, task, change=change)
    assert sorted(path.name for path in run.glob("found/*")) == left


def test_a_training_that_differs_tells_its_first_spike(experiment, tmp_path):
    path = brought(experiment, tmp_path, Task(layer=1), change=leakier)
    found = collect(experiment, path)
    assert found.differences and found.why["first"]["variable"] == "spikes" and seen.AGAIN not in found.why


@pytest.mark.parametrize("task", [Task(count=6), Task(layer=1)], ids=str)
def test_what_is_right_brings_no_recordings(experiment, tmp_path, task):
    with zipfile.ZipFile(brought(experiment, tmp_path, task)) as archive:
        assert not [name for name in archive.namelist() if name.startswith("found/")]


def test_a_job_that_was_told_nothing_keeps_what_it_saw(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(expected, "is_trained_here", lambda *_: False)
    path = brought(experiment, tmp_path, Task(layer=1))
    with zipfile.ZipFile(path) as archive:
        assert "found/0.npz" in archive.namelist()
    assert (found := collect(experiment, path)).why is None and not found.differences


def test_the_command_line_writes_a_job_and_says_what_comes_next(experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path / "mine")
    run = ["--run-dir", "run"]
    assert cli.main(["--mode", "bundle", "job.py", "--count", "5", "--time-scale", "4", *run]) == 0
    out = capsys.readouterr().out
    assert "job.py: the first 5 test images" in out and "about 1 s on the board" in out and "--mode collect" in out
    assert cli.main(["--mode", "bundle", "part.py", "--parts", "3", "--count", "10", *run]) == 0
    out = capsys.readouterr().out
    assert "part-1.py: the first 3 test images" in out and "part-2.py: test images 4 to 6" in out
    assert "part-3.py: test images 7 to 10" in out and "each writes" in out
    for words, wanted in ((["job.py"], "is there already"), (["job.txt"], "must end with .py"),
                          (["a.py", "--first", "15", "--count", "6"], "there are 20 test images, got 21"),
                          (["a.py", "--parts", "21"], "--parts: there are 20 images, got 21"),
                          (["a.py", "--parts", "2", "--layer", "1"], "has nothing to do with --layer"),
                          (["a.py", "--parts", "2", "--first", "3"], "has nothing to do with --parts"),
                          (["a.py", "--finished", "b.zip", "--parts", "2"], "--finished: is of one job"),
                          (["a.py", "--layer", "svm"], "the readout needs no board"),
                          (["a.py", "--layer", "2"], "must be one of 1, got 2"),
                          (["a.py", "--count", "21"], "there are 20 test images, got 21"),
                          (["a.py", "--copies", "auto"], "which board a job meets is not known"),
                          (["a.py", "--layer", "1", "--count", "2"], "has nothing to do with --layer")):
        assert cli.main(["--mode", "bundle", *words, *run]) == 2 and wanted in capsys.readouterr().err
    assert not Path("a.py").exists() and not Path("a-1.py").exists()


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


# Parts, and what was ended in the middle


def test_parts_are_collected_one_by_one_and_add_up(experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path / "mine")
    assert together(experiment, "test") == (0, None, None)
    right, labels = 0.0, experiment.data("test")["labels"]
    for i, task in enumerate(plan.parted(experiment, Task(), 3)):
        (tmp_path / f"part-{i}").mkdir()
        path = brought(experiment, tmp_path / f"part-{i}", task)
        found = collect(experiment, path)
        assert (found.differences, found.missing, found.images) == ([], 0, task.count)
        right += found.accuracy * found.images
        predicted = np.load(found.file)["predicted"]
        assert found.accuracy == np.mean(predicted == labels[task.first:task.first + task.count])
        assert len(labels) == 20 and found.file.stem == ("test-6", "test-6-13", "test-13-20")[i]
    assert together(experiment, "test") == (20, pytest.approx(right / 20), None)
    assert cli.main(["--mode", "collect", str(path), "--run-dir", "run"]) == 0
    assert f"all that was collected: 20 test images, accuracy on the board {5 * right:.2f} %" in capsys.readouterr().out
    for damage in ({"images": 0}, {"accuracy": "1"}, {"task": {}}, {"task": 3}):
        whole = json.loads((experiment.store.path / "results.json").read_text())
        whole["hardware"]["test-6"] |= damage
        experiment.store.write_results("hardware", whole["hardware"])
        with pytest.raises(StoreError, match=r"results.json: damaged \(hardware.test-6"):
            together(experiment, "test")


def on_board(experiment):
    """The same with the classifier on the board, too, and its population made."""
    *layers, readout = experiment.model.layers
    asked = replace(experiment.settings, model=Sequential((2, 28, 28), *layers, replace(readout, on_board=True)))
    found = Experiment(asked, experiment.store.path, jobs=1)
    onboard.make(found)
    return found


def test_a_task_without_the_classifiers_answers_is_as_it_was_before_there_were_any():
    assert list(Task(count=4).as_dict()) == ["layer", "split", "first", "count", "copies", "time_scale",
                                             "packet_buffer", "conformance", "network"]
    assert Task(readout=True).as_dict()["readout"] is True


def test_a_job_brings_the_board_s_own_answers_beside_the_host_s(experiment, tmp_path, monkeypatch, capsys):
    assert sent.with_readout(experiment, Task()) == Task()
    own = on_board(experiment)
    assert sent.with_readout(experiment, Task()) == Task() and sent.with_readout(own, Task(layer=1)) == Task(layer=1)
    monkeypatch.chdir(tmp_path / "mine")
    with (tmp_path / "mine/parameters.py").open("a") as file:
        file.write("MODEL = Sequential((2, 28, 28), Conv2D(2, (5, 4), training=LEARN), Classifier(2, on_board=True))\n")
    assert cli.main(["--mode", "bundle", "job.py", "--run-dir", "run", "--parameters", "parameters.py", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out)["tasks"]
    task, known = sent.with_readout(own, Task()), onboard.tested(own, "test")
    assert Task(**told) == task == Task(readout=True)
    path = brought(own, tmp_path, task)
    for asked in (own, experiment):             # what was sent counts, not what is asked for when it comes back
        found = collect(asked, path)
        assert (found.on_board, found.differences, found.accuracy) == (known, [], own.test().accuracy)
    assert together(experiment, "test") == (20, found.accuracy, known["accuracy"])
    assert set(np.load(found.file).files) >= {"counts", "units", "steps", "predicted"}
    assert cli.main(["--mode", "collect", str(path), "--run-dir", "run"]) == 0
    assert f"accuracy {onboard.as_text(known)}" in capsys.readouterr().out
    for answer in ("0.5", [1], {"accuracy": 2}):
        entry = own.store.results()["hardware"]
        own.store.write_results("hardware", entry | {"test-20": entry["test-20"] | {"on_board": answer}})
        with pytest.raises(StoreError, match=r"results.json: damaged \(hardware.test-20"):
            together(own, "test")


def test_first_spikes_that_differ_are_shown_and_another_classifier_is_told(experiment, tmp_path):
    own = on_board(experiment)
    task = sent.with_readout(own, Task(count=6))

    def deaf(network):
        return replace(network, projections=tuple(
            one for one in network.projections if (one.pre, one.post) != ("layer1", READOUT)))

    path = brought(own, tmp_path, task, change=deaf)
    found = collect(own, path)
    assert {one.name for one in found.differences} <= {"units", "steps"} and found.differences
    assert found.why["first"]["population"] == READOUT
    head = dict(own.stored.head().read())
    own.stored.head().write(head.pop("how"), **head | {"v_thresh": head["v_thresh"] + 1})
    with pytest.raises(StoreError, match="settings have changed since the job was made"):
        collect(own, path)


def test_a_plan_counts_seconds_boards_quota_and_parts(experiment, tmp_path, monkeypatch, capsys):
    shutil.copy(experiment.store.file("data/test"), tmp_path / "kept.npz")
    networks = [{"name": "layer 1, training", "slowdown": 3, "chips": 7}, {"name": "readout, inference"},
                {"name": "layer 1, inference", "slowdown": 2, "chips": 49}]
    training, test = plan.plan(experiment, networks)
    assert (training.seconds, training.time_scale, training.boards, training.parts) == (12 * 60 * 3 / 1000, 3, 1, 1)
    assert (test.images, test.seconds, test.boards) == (20, 20 * 30 * 2 / 1000, 2)
    assert test.core_hours == pytest.approx(1.2 * 2 * 48 * 16 / 3600, abs=1e-3)
    monkeypatch.setattr(plan, "LONGEST", 0.5)
    assert plan.plan(experiment, networks)[1].parts == 3
    assert plan.plan(experiment, networks[1:2]) == []
    experiment.store.file("data/test").unlink()
    assert plan.plan(experiment, networks) == [training]
    shutil.copy(tmp_path / "kept.npz", experiment.store.file("data/test"))
    monkeypatch.chdir(experiment.store.path.parent)
    assert cli.main(["--mode", "check", "--run-dir", "run"]) == 0
    told = capsys.readouterr().out
    assert "  training of layer 1: " in told and "core-hours of quota; --mode bundle job.py --layer 1 --time-s" in told
    assert cli.main(["--mode", "check", "--run-dir", "run", "--json"]) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out)["jobs"]] == ["layer 1", "test"]


@pytest.mark.parametrize("state, why", [(AT_WORK, "the job was ended before it was done"),
                                        (FAILED, "the job has failed: the board is silent")])
def test_the_images_that_a_job_has_come_to_are_collected(experiment, tmp_path, monkeypatch, capsys, state, why):
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 4)
    path = brought(experiment, tmp_path, Task(count=10))
    (tmp_path / "run/features/test-001.npz").unlink()
    about = json.loads(zipfile.ZipFile(path).read("manifest.json"))
    write_archive(tmp_path / "run", path, about, state, "the board is silent")
    found = collect(experiment, path)
    assert (found.images, found.missing, found.differences) == (4, 6, []) and found.file.stem == "test-4"
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["--mode", "collect", str(path), "--run-dir", "run"]) == 0
    assert f"the last 6 images are missing: {why}" in capsys.readouterr().out
    go_on = Experiment(experiment.settings, experiment.store.path)
    again = unpacked(bundle(go_on, Task(count=10), path), tmp_path / "again")
    assert {one.name for one in (again / "run/features").iterdir()} == {"test-000.npz", "test-002.npz"}
    with pytest.raises(StoreError, match=re.escape("is of another job (the first 10 test images)")):
        bundle(go_on, Task(count=9), path)


def unpacked(text, folder):
    """The folder that a job makes of its payload."""
    payload = re.search(r'PAYLOAD = """(.*?)"""', text, re.DOTALL)[1]
    with zipfile.ZipFile(io.BytesIO(base64.b85decode("".join(payload.split())))) as archive:
        archive.extractall(folder)
    return folder


class OnNoBoard(Experiment):
    """The far side's experiment with the local engine in the place of the board."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)
        vars(self.runner).update(backend=get_backend("local"), backend_name="local", options={})


def test_a_training_that_was_cut_goes_on_in_its_folder_and_as_a_new_job(experiment, tmp_path, monkeypatch, caplog):
    task, write = Task(layer=1), Unfinished.write
    path = tmp_path / "there" / RESULTS
    path.parent.mkdir()
    monkeypatch.setattr(far, "Experiment", OnNoBoard)
    monkeypatch.setattr(far, "_release", lambda: RELEASE)

    def killed_at_the_second_chunk(self, **arrays):
        if len(arrays["wins"]) == 2:
            raise SystemExit(137)
        write(self, **arrays)

    monkeypatch.setattr(Unfinished, "write", killed_at_the_second_chunk)
    with pytest.raises(SystemExit):
        far.execute(unpacked(bundle(experiment, task), tmp_path / "first") / "run", path)
    monkeypatch.setattr(Unfinished, "write", write)
    with pytest.raises(StoreError, match=r"ended before it was done \(1 files are finished\).*--finished"):
        collect(experiment, path)
    sent = unpacked(bundle(experiment, task, path), tmp_path / "new") / "run"
    here = unpacked(bundle(experiment, task), tmp_path / "second") / "run"
    for run, results in ((here, path), (sent, tmp_path / RESULTS)):
        with caplog.at_level("INFO"):
            caplog.clear()
            assert far.execute(run, results) == 0
        assert "1 of 3 chunks were finished before" in caplog.text
        assert collect(experiment, results).differences == []


def test_results_of_another_job_are_not_gone_on_with(experiment, tmp_path, monkeypatch):
    monkeypatch.setattr(far, "Experiment", OnNoBoard)
    monkeypatch.setattr(far, "_release", lambda: RELEASE)
    path = brought(experiment, tmp_path, Task(count=3))
    for count, content in ((4, path.read_bytes()), (5, b"cut")):
        path.write_bytes(content)
        run = unpacked(bundle(experiment, Task(count=count)), tmp_path / f"job-{count}") / "run"
        assert far.execute(run, path) == 0
        assert collect(experiment, path).images == count


def test_a_python_that_is_too_old_is_told_before_anything_is_unpacked(experiment, monkeypatch, capsys):
    job = {"__name__": "job"}
    exec(bundle(experiment, Task(count=1)), job)
    monkeypatch.setattr(sys, "version_info", (3, 8, 10))
    assert job["main"]() == 3 and "needs Python 3.11 with sPyNNaker 7.4.1" in capsys.readouterr().out


# sPyNNaker's own reports


def report_of(folder, overruns):
    """A zip of reports as a service makes it, with a core that was late so often."""
    file = folder / "data.sqlite3"
    Story(np.random.default_rng(1)).add("combined", "Times_the_timer_tic_over_ran", overruns).write(file)
    with zipfile.ZipFile(folder / "reports.zip", "w") as archive:
        archive.write(file, "reports/2026-11-30/run_1/data.sqlite3")
        archive.writestr("reports/2026-11-30/a.rpt", "of no use")
    file.unlink()


@pytest.mark.parametrize("overruns, verdict", [(0, "valid"), (9, "invalid")])
def test_what_the_reports_say_counts_too(experiment, tmp_path, overruns, verdict):
    path = brought(experiment, tmp_path, Task(count=4))
    report_of(tmp_path, overruns)
    found = collect(experiment, tmp_path)
    assert found.reports.verdict == found.verdict == verdict
    path.unlink()
    with pytest.raises(StoreError, match=f"is not there; .*; reports.zip says: {verdict}"):
        collect(experiment, tmp_path)


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: b"no zip", lambda data: data.replace(
    b"SQLite format 3", b"SQLite format 2")])
def test_reports_that_are_damaged_are_told_and_left_out(experiment, tmp_path, caplog, damage):
    brought(experiment, tmp_path, Task(count=4))
    report_of(tmp_path, 0)
    file = tmp_path / "reports.zip"
    file.write_bytes(damage(file.read_bytes()))
    assert collect(experiment, tmp_path).reports is None and "reports.zip: is cut or damaged" in caplog.text


# A network of a file


@pytest.fixture
def a_network(tmp_path, monkeypatch):
    """A recording, in the current directory, of a network of sources and neurons: the network."""
    monkeypatch.chdir(tmp_path)
    made = next(iter(conformance.networks().values()))
    recorded.save("net.npz", recorder.run(backends.open, made, {}))
    return made


def ran(job, folder, change=lambda network: network):
    """What a job of a network brings where the local engine is in the place of the board."""
    run = unpacked(Path(job).read_text(), folder) / "run"
    told = json.loads((run / "task.json").read_text())
    one_network.save(run, lambda given, record: backends.open(change(given), record), lambda: {"verdict": "valid"})
    write_archive(run, folder / RESULTS, {"format": FORMAT, **told, "versions": {"sPyNNaker": RELEASE}}, DONE)
    return str(folder)


def test_a_network_goes_as_a_job_and_its_first_difference_is_told(a_network, tmp_path, capsys):
    assert cli.main(["--mode", "bundle", "job.py", "net.npz", "--time-scale", "2"]) == 0
    assert "then: " in (out := capsys.readouterr().out) and out.endswith(f"--mode collect {RESULTS} net.npz\n")
    assert one_network.bundled(a_network, Task(network=True, time_scale=2)) == Path("job.py").read_text()
    folder = ran("job.py", tmp_path / "same")
    assert cli.main(["--mode", "collect", folder, "net.npz", "--record", "board.npz"]) == 0
    assert "net.npz, on the board: valid\n" in capsys.readouterr().out
    assert recorded.load("board.npz").how["made_on"] == "hardware"

    def leakier(given):
        return replace(given, populations=tuple(replace(p, cell=replace(p.cell, tau_m=9.0)) if p.label == "cells" else p
                                                for p in given.populations))

    folder = ran("job.py", tmp_path / "other", leakier)
    assert cli.main(["--mode", "collect", folder, "net.npz"]) == 8
    assert "first difference: step " in capsys.readouterr().out


def test_results_of_another_network_and_of_none_are_told_apart(experiment, a_network, tmp_path, capsys):
    job = ["--mode", "bundle", "job.py"]
    assert cli.main([*job, "net.npz"]) == 0
    folder = ran("job.py", tmp_path / "same")
    other = replace(a_network, timestep=0.1)
    recorded.save("other.npz", recorder.run(backends.open, other, {}))
    for words, code, wanted in (
            (["--mode", "collect", folder, "other.npz"], 5, "the network or its spikes have changed since"),
            (["--mode", "collect", folder, "net.npz", "--spikes", "in.csv"], 2, "--spikes: net.npz has its own"),
            (["--mode", "collect", folder, "--run-dir", "mine/run"], 5, "read it with --mode collect RESULTS NETWORK"),
            ([*job[:2], "a.py", "net.nir"], 2, "--spikes: is missing"),
            ([*job[:2], "a.py", "net.npz", "--count", "3"], 2, "--count: belongs to --mode bundle, not to")):
        assert cli.main(words) == code and wanted in capsys.readouterr().err
    path = brought(experiment, tmp_path, Task(count=3))
    assert cli.main(["--mode", "collect", str(path), "net.npz"]) == 5
    assert "is of another job (the first 3 test images)" in capsys.readouterr().err


@pytest.mark.usefixtures("sketched")
def test_a_nir_file_goes_as_a_job_with_spikes_and_comes_back_the_same(experiment, tmp_path, monkeypatch, capsys):
    pytest.importorskip("nir")
    monkeypatch.chdir(tmp_path / "mine")
    run = ["--run-dir", "run"]
    for words in (["export", "model.nir", *run], ["testing", "--record", "run.npz", *run],
                  ["export", "run.npz", "in.csv"], ["bundle", "job.py", "model.nir", "--spikes", "in.csv"]):
        assert cli.main(["--mode", *words]) == 0
    assert capsys.readouterr().out.endswith(f"--mode collect {RESULTS} model.nir --spikes in.csv\n")
    folder = ran("job.py", tmp_path / "far")
    assert cli.main(["--mode", "collect", folder, "model.nir", "--spikes", "in.csv", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["verdict"] == "valid" and told["first"] is None
    assert cli.main(["--mode", "collect", folder, "model.nir", "--spikes", "in.csv", "--graph-dt", "0.0005"]) != 0


def test_a_layer_is_collected_where_nothing_else_was(experiment, tmp_path, monkeypatch, capsys):
    path = brought(experiment, tmp_path, Task(layer=1))
    monkeypatch.chdir(tmp_path / "mine")
    assert cli.main(["--mode", "collect", str(path), "--run-dir", "run"]) == 0
    assert "training of layer 1, on the board: " in capsys.readouterr().out
