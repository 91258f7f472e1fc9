"""New images and a trained run directory: labels and scores, on an emulated board as well, or a sentence."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import spikingconvnet as scn
from spikingconvnet.cli.main import main
from spikingconvnet.data.events import event_set
from spikingconvnet.errors import DataError, StoreError
from spikingconvnet.experiment import figures, replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.prediction import _decided
from spikingconvnet.experiment.runner import Runner

PARAMETERS = """
from spikingconvnet import *
DATASET = "digits"
FILTER = DifferenceOfGaussians(0.5, 1.0, 0.6)
ENCODER = LatencyEncoder()
SLOT = 28
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
LEARNING = STDP(windows=200, chunks=4, min_spikes=3)
MODEL = Sequential((2, 8, 8), Conv2D(4, 3, neuron=CELL, firing=0.2, gain=4.0, training=LEARNING),
                   Conv2D(3, 3, neuron=CELL, firing=0.2, gain=4.0, training=LEARNING), Classifier(grid=2))
"""
WHOLE = """
from spikingconvnet import *
DATASET = "digits"
FILTER, ENCODER, SLOT, RESET = Intensity(), RegularEncoder(n_steps=20, max_rate=1.0), 21, True
RULE = Ridge()
MODEL = Sequential((1, 8, 8), Dense(30, neuron=RULE.neuron), Dense(10, neuron=RULE.neuron), SpikeCount(last=20))
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folder with the digits of scikit-learn as IDX files, and runs trained on them: layer by layer, and as a whole."""
    folder = tmp_path_factory.mktemp("predict")
    digits = load_digits()
    images, labels = np.rint(digits.images * (255 / 16)).astype(np.uint8), digits.target.astype(np.uint8)
    scn.data.save_images(folder / "digits", "train", images[:300], labels[:300])
    scn.data.save_images(folder / "digits", "test", images[300:360], labels[300:360])
    np.save(folder / "new.npy", images[300:306])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(figures, "plot", lambda *_: [])
        for name, text in (("layers", PARAMETERS), ("whole", WHOLE)):
            (folder / f"{name}.py").write_text(text)
            assert main(["--mode", "demo", "--parameters", str(folder / f"{name}.py"), "--run-dir", str(folder / name)]
                        ) == 0
    return folder


@pytest.fixture(params=["layers", "whole"])
def experiment(runs, request):
    """The experiment of one of the two runs."""
    return Experiment(settings.load(runs / request.param / "parameters.py"), runs / request.param, jobs=1)


@pytest.fixture
def predict(runs, capsys):
    """A function that runs ``--mode predict``: exit code, stdout, stderr."""
    def run(*words, name="layers", images=("new.npy",)):
        paths = [str(runs / image) for image in images]
        code = main(["--mode", "predict", "--run-dir", str(runs / name), "--images", *paths, *map(str, words)])
        return code, *capsys.readouterr()

    return run


def test_answers_to_the_test_images_are_those_of_testing(runs, experiment, monkeypatch):
    test = scn.load_images(runs / "digits", "test")
    answers = experiment.predict(test.images)
    assert np.mean(answers.labels == test.labels) == experiment.results()["test"]["accuracy"]
    assert answers.labels.shape == (60,) and answers.scores.shape == (60, 10) and answers.verdicts == frozenset()
    assert np.array_equal(answers.classes[answers.scores.argmax(axis=1)], answers.labels)
    features = experiment.trained_network().features(test.images, experiment.runner)
    assert np.array_equal(features, experiment.features("test")[0])
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 20)
    timelines = experiment.predict(test.images).labels
    assert np.array_equal(timelines[:20], answers.labels[:20])


def test_nothing_is_written_and_nothing_is_waited_for(runs, experiment):
    def files():
        return {path: path.stat().st_mtime_ns for path in experiment.store.path.rglob("*")}

    before = files()
    with experiment.store.locked():
        before = files()
        Experiment(experiment.settings, experiment.store.path).predict(np.load(runs / "new.npy"))
        assert files() == before


IMAGES = np.full((2, 8, 8), 200, np.uint8)


@pytest.mark.parametrize("images, text", [
    (np.zeros((2, 8, 9), np.uint8), r"images: must be a uint8 array \(n, 8, 8\), n at least 1, .*got .*\(2, 8, 9\)"),
    (IMAGES[..., None].repeat(5, axis=3), r"got .*\(2, 8, 8, 5\)"), (IMAGES[0], r"got .*\(8, 8\)"),
    (IMAGES / 255, r"got 'float64 \(2, 8, 8\)"), (IMAGES[:0], r"got .*\(0, 8, 8\)"), ("new.npy", r"got 'object \(\)"),
    (IMAGES // 200, r"images: must be grey values up to 255, which was white .*, got 'at most 1'")])
def test_images_of_another_kind_are_refused(experiment, images, text):
    with pytest.raises(DataError, match=text):
        experiment.predict(images)


def test_colour_is_seen_as_grey_by_a_filter_that_sees_none(experiment):
    images = scn.load_images(experiment.settings.dataset, "test").images
    coloured = experiment.predict(np.repeat(images[..., None], 3, axis=3))
    assert np.array_equal(coloured.scores, experiment.predict(images).scores)


def test_a_network_of_events_is_shown_events(runs):
    made = Experiment(settings.load(runs / "layers.py"), runs / "layers").trained_network()
    bins = scn.EventBins(size=(8, 8), n_steps=15)
    made = replace(made, settings=replace(made.settings, encoder=bins))
    sample, place = np.repeat(np.arange(3), 40), np.random.default_rng(0).integers(0, 8, (2, 120))
    events = event_set(sample, np.tile(np.arange(40) * 400, 3), *place, sample % 2, np.zeros(3, np.uint8))
    assert made.spikes(events) == bins(events).with_gap(28)
    assert made.answer(events, Runner("local", 1, lambda items, description: items)).labels.shape == (3,)
    with pytest.raises(DataError, match="must be an EventSet for an ENCODER that takes events"):
        made.spikes(IMAGES)


@pytest.mark.parametrize("white, brightest, refused", [(16, 16, False), (16, 17, True), (16, 3, False),
                                                       (None, 31, True), (None, 32, False)])
def test_the_range_is_that_of_the_images_that_were_learned_from(experiment, white, brightest, refused):
    made = experiment.trained_network()
    made = replace(made, settings=replace(made.settings, white=white))
    images = np.zeros((1, 8, 8), np.uint8)
    images[0, 2:6, 3] = brightest
    if refused:
        with pytest.raises(DataError, match=f"up to {white or 255}, which was white"):
            made.spikes(images)
    elif white == brightest:
        assert made.spikes(images) == experiment.trained_network().spikes(np.minimum(images, 1) * np.uint8(255))


def test_what_is_not_trained_is_said_with_the_command(runs, tmp_path):
    made = Experiment(settings.load(runs / "layers.py"), tmp_path / "run")
    with pytest.raises(StoreError, match="not there yet; run: main.py --mode loaddata"):
        made.predict(IMAGES)


def test_of_units_that_are_equal_the_one_that_answers_has_the_largest_score():
    output, units = np.array([[3.0, 3.0, 1.0], [2.0, 0.0, 4.0]]), np.array([1, 2])
    assert _decided(output, units).tolist() == [[3.0, 3.5, 1.0], [2.0, 0.0, 4.0]]


@pytest.mark.parametrize("name", ["layers", "whole"])
def test_the_command_line_tells_labels_and_scores(runs, predict, name, tmp_path):
    answers = Experiment(settings.load(runs / name / "parameters.py"), runs / name).predict(np.load(runs / "new.npy"))
    labels, names = answers.labels.tolist(), [f"{runs / 'new.npy'}[{i}]" for i in range(6)]
    assert predict(name=name)[:2] == (0, "".join(f"{n}\t{label}\n" for n, label in zip(names, labels)))
    told = json.loads(predict("--json", name=name)[1])
    assert told["mode"] == "predict" and [one["label"] for one in told["predictions"]] == labels
    for kind in ("csv", "json"):
        code, out, _ = predict("--output", tmp_path / f"to/labels.{kind}", name=name)
        assert (code, out) == (0, f"labels of 6 images: {tmp_path}/to/labels.{kind}\n")
    kept = json.loads((tmp_path / "to/labels.json").read_text())
    assert kept == told["predictions"] and [one["image"] for one in kept] == names
    assert [list(one["scores"].values()) for one in kept] == answers.scores.tolist()
    with open(tmp_path / "to/labels.csv", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["image", "label", *(f"score {c}" for c in range(10))]
    assert [(n, int(label), list(map(float, scores))) for n, label, *scores in rows[1:]] == list(
        zip(names, labels, answers.scores.tolist()))


def test_a_source_of_floats_with_names_drawn_larger(runs, predict, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "plot", lambda *_: [])
    digits = load_digits()
    images, labels = digits.images[:200] - 8.0, np.array([f"digit {n}" for n in digits.target[:200]])
    np.savez(tmp_path / "named.npz", x_train=images[:160], y_train=labels[:160], x_test=images[160:],
             y_test=labels[160:])
    text = PARAMETERS.replace('"digits"', repr(str(tmp_path / "named.npz"))).replace("(2, 8, 8)", "(2, 10, 10)")
    (tmp_path / "parameters.py").write_text(text + "SIZE = (10, 10)\n")
    demo = ["--mode", "demo", "--parameters", str(tmp_path / "parameters.py"), "--run-dir", str(tmp_path / "run")]
    assert main(demo) == 0
    made = Experiment(settings.load(tmp_path / "run/parameters.py"), tmp_path / "run")
    np.save(tmp_path / "tests.npy", images[160:])
    code, out, err = predict(name=tmp_path / "run", images=[tmp_path / "tests.npy"])
    found = [line.split("\t")[1] for line in out.splitlines()[-40:]]
    assert code == 0 and set(found) <= set(labels), err
    assert np.mean(found == labels[160:]) == made.results()["test"]["accuracy"]
    assert np.array_equal(made.predict(images[160:]).labels, [int(label[-1]) for label in found])
    with pytest.raises(DataError, match="1 of 64 numbers are nan"):
        made.predict(np.where(np.arange(64) == 3, np.nan, images[160].ravel()).reshape(1, 8, 8))


def test_pictures_are_classified_by_their_files(runs, predict, tmp_path):
    images = np.load(runs / "new.npy")
    for i, pixels in enumerate(images[:4]):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    out = predict(images=[tmp_path, "new.npy"])[1].splitlines()
    assert [line.split("\t")[0] for line in out[:5]] == [*(str(tmp_path / f"{i}.png") for i in range(4)),
                                                         f"{runs / 'new.npy'}[0]"]
    assert [line.split("\t")[1] for line in out[:4]] == [line.split("\t")[1] for line in predict()[1].splitlines()[:4]]
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "9.png")
    code, _, err = predict(images=[tmp_path])
    assert code == 4 and f"{tmp_path}/9.png: images of 8x9, but 8x8 in {tmp_path}/0.png" in err


@pytest.mark.parametrize("words, code, text", [
    (["--mode", "predict"], 2, "--images: is missing; name files or folders"),
    (["--mode", "info", "--images", "a.npy"], 2, "--images: belongs to --mode predict, not to --mode info"),
    (["--mode", "testing", "--output", "a.csv"], 2, "--output: belongs to --mode predict"),
    (["--mode", "predict", "--images", "a.npy", "--output", "a.txt"], 2, "--output a.txt: must end with .csv or .json"),
    (["--mode", "predict", "--images", "a.npy", "--output", ""], 2, "--output: must not be empty"),
    (["--mode", "predict", "--images", "a.npy", "--run-dir", "none"], 5, "none: holds no run")])
def test_options_that_cannot_be_are_refused(words, code, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == code and text in capsys.readouterr().err


def test_images_that_are_not_there_are_said(predict):
    code, _, err = predict(images=["nowhere.npy"])
    assert code == 4 and "nowhere.npy: no such file or folder" in err


@pytest.mark.parametrize("name", ["layers", "whole"])
def test_an_emulated_board_answers_the_same(runs, predict, name):
    pytest.importorskip("spynnaker")
    code, out, err = predict("--backend", "spinnaker", "--json", name=name)
    found, here = json.loads(out), json.loads(predict("--json", name=name)[1])
    assert code == 0 and found["predictions"] == here["predictions"] and found["backend"] == "spinnaker"
    assert found["verdict"] == "valid" and "on the board: valid" in err
