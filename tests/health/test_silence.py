"""What never fires, and images that look like something else: an error that names the cause, no score at chance."""

import json
from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet.cli import main as cli
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import LatencyEncoder, RegularEncoder, check_fires, encode
from spikingconvnet.data.filters import Intensity
from spikingconvnet.data.images import full_range
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.judging import judge
from spikingconvnet.experiment.timelines import Timelines
from spikingconvnet.store import directory
from spikingconvnet.store.arrays import SEAL, digest, read_arrays, unpack_spikes
from spikingconvnet.training.chain import balance

pytestmark = pytest.mark.usefixtures("sketched")

CHAIN = """
from spikingconvnet import Membrane
from spikingconvnet.experiment.recipes.ridge import *
DATASET = {dataset!r}
CLASSES = range({classes})
N_TRAIN, N_TEST = {n_train}, 40
ENCODER = RegularEncoder(n_steps=10, max_rate=1.0)
SLOT = 12
MODEL = Sequential((1, 12, 12), Dense(20, neuron=RULE.neuron), Dense({classes}, neuron=RULE.neuron),
                   {readout})
"""
STDP = """
from spikingconvnet import LatencyEncoder
from spikingconvnet import STDP, Classifier, Conv2D
from spikingconvnet import Sequential
from spikingconvnet import Intensity
DATASET = {dataset!r}
CLASSES = range({classes})
N_TRAIN, N_TEST = {n_train}, 40
FILTER, ENCODER, SLOT = Intensity(), LatencyEncoder(), 30
MODEL = Sequential((1, 12, 12), Conv2D(3, 5, firing=0.3, training=STDP(windows=40, chunks=2, min_spikes=3)),
                   Classifier(grid=2))
"""


def bars(n, white=255, classes=4):
    """Images (n, 12, 12) with a bar whose place is the class, and their labels, class after class."""
    labels = (np.arange(n) % classes).astype(np.uint8)
    images = np.zeros((n, 12, 12), np.uint8)
    for i, (image, label) in enumerate(zip(images, labels)):
        image[3 * label:3 * label + 3, i % 3:9 + i % 3] = white
    return images, labels


@pytest.fixture
def write(tmp_path):
    """A function that writes a set and a parameters file for it: its path."""
    def make(text=CHAIN, train=None, test=None, classes=4, n_train=80, readout="SpikeCount()", more=""):
        folder = tmp_path / "set"
        datasets.save(folder, "train", *(train or bars(80)))
        datasets.save(folder, "test", *(test or bars(40)))
        path = tmp_path / "p.py"
        path.write_text(text.format(dataset=str(folder), classes=classes, n_train=n_train, readout=readout) + more)
        return path

    return make


@pytest.fixture
def command(tmp_path, capsys):
    """A function that runs one command line in one run directory: (exit code, stdout, stderr)."""
    def call(path, *words):
        code = cli.main([*words, "--parameters", str(path), "--run-dir", str(tmp_path / "run"), "--jobs", "1"])
        return (code, *capsys.readouterr())

    return call


def silenced(run, name, **changes):
    """Rewrite a stored result of a run with other arrays, as an older version might have left it."""
    kept = directory.RunDirectory(run)
    arrays = read_arrays(kept.file(name))
    del arrays[SEAL]
    made_from, how = str(arrays.pop(directory.MADE_FROM)), json.loads(str(arrays.pop(directory.HOW)))
    kept.write(name, made_from, how, **{**arrays, **changes})


# Ranges


@pytest.mark.parametrize("white", [1, 16, 100, 127])
@pytest.mark.parametrize("text", [CHAIN, STDP])
def test_a_range_that_is_not_that_of_bytes_is_refused_until_it_is_declared(write, command, tmp_path, text, white):
    dark = {"train": bars(80, white), "test": bars(40, white)}
    code, _, err = command(write(text, **dark), "--mode", "loaddata")
    assert code == 4 and f"train images: no value is above {white}, where 255 is white" in err
    assert f"WHITE = {white}" in err and "WHITE = 255" in err and not (tmp_path / "run").exists()
    assert command(write(text, **dark, more=f"WHITE = {white}"), "--mode", "loaddata")[0] == 0
    declared = read_arrays(tmp_path / "run/data/test.npz")
    assert command(write(text), "--mode", "loaddata")[0] == 0
    bright = read_arrays(tmp_path / "run/data/test.npz")
    assert all(np.array_equal(declared[name], bright[name]) for name in ("images", "counts", "neurons", "labels"))


def test_declared_white_is_scaled_and_what_is_declared_dark_stays_dark(write, command, tmp_path):
    assert command(write(train=bars(80, 64), more="WHITE = 255"), "--mode", "loaddata")[0] == 0
    assert read_arrays(tmp_path / "run/data/train.npz")["images"].max() == 64
    assert command(write(train=bars(80, 64), test=bars(40, 32), more="WHITE = 64"), "--mode", "loaddata")[0] == 0
    for name, brightest in (("train", 255), ("test", 128)):
        assert read_arrays(tmp_path / f"run/data/{name}.npz")["images"].max() == brightest


@pytest.mark.parametrize("parts, text", [
    ({"test": bars(40, 1)}, "test images: no value is above 1"),
    ({"train": (np.zeros((8, 12, 12), np.uint8), bars(8)[1])}, "train images: every pixel is 0"),
    ({"train": (np.full((8, 12, 12), 200, np.uint8), bars(8)[1])}, "train images: all 8 images are the same"),
    ({"train": bars(80, 130), "more": "WHITE = 64"}, "train images: values go up to 130, above the WHITE = 64")])
def test_images_that_teach_nothing_or_contradict_the_parameters_are_refused(write, command, parts, text):
    code, _, err = command(write(**parts), "--mode", "loaddata")
    assert code == 4 and text in err


@pytest.mark.parametrize("value", ["0", "-1", "float('nan')", "True", "'255'"])
def test_white_is_a_number(write, value):
    with pytest.raises(SettingsError, match="parameters.WHITE: must be a number above 0"):
        settings.load(write(more=f"WHITE = {value}"))


def test_what_looks_for_its_own_range_is_given_any(write, command):
    cross_validated = write(more="""
from spikingconvnet import GaussianReceptiveFields
FILTER = GaussianReceptiveFields(fields=2)
MODEL = Sequential((2, 12, 12), Dense(4, neuron=RULE.neuron), SpikeCount())""", train=bars(80, 16), test=bars(40, 16))
    assert command(cross_validated, "--mode", "loaddata")[0] == 0


def test_cross_validation_looks_at_the_range_too(write, command):
    assert "no value is above 1" in command(write(train=bars(80, 1)), "--mode", "training", "--cv", "1x2")[2]


# Classes


def test_a_single_class_is_refused_before_anything_is_trained(write, command, tmp_path):
    images, labels = bars(80)
    code, _, err = command(write(train=(images, labels * 0)), "--mode", "loaddata")
    assert code == 4 and "all 80 training images are of class 0, so there is nothing to tell apart" in err
    code, _, err = command(write(n_train=1), "--mode", "loaddata")
    assert code == 4 and "all 1 training images are of class 0" in err
    code, _, err = command(write(n_train=0), "--mode", "loaddata")
    assert code == 2 and "parameters.N_TRAIN: is 0" in err and not (tmp_path / "run").exists()
    with pytest.raises(SettingsError, match="parameters.CLASSES: must be two classes or more"):
        settings.load(write(classes=1))


def test_a_class_that_cannot_be_learned_is_said(write, command, caplog):
    assert command(write(), "--mode", "loaddata")[0] == 0 and "cannot be recognised" not in caplog.text
    assert command(write(n_train=3), "--mode", "loaddata")[0] == 0
    assert "no training image is of class 3, so the 10 test images of it cannot be recognised; raise" in caplog.text


@pytest.mark.parametrize("changes, text", [
    ({"n_train": 81}, "parameters.N_TRAIN: must be at most 80, as many as its file has of classes [0, 1, 2, 3], got"),
    ({"classes": 5}, "parameters.CLASSES: must be among those in the files, [0, 1, 2, 3], got [4]")])
def test_what_is_asked_of_the_set_is_named_as_in_the_parameters(write, command, tmp_path, changes, text):
    code, _, err = command(write(**changes), "--mode", "loaddata")
    assert code == 2 and text in err and f" in {tmp_path / 'set'}" in err


def test_classes_that_are_left_out_are_named(write, command, caplog):
    with caplog.at_level("INFO"):
        assert command(write(classes=3, n_train=60, more="N_TEST = 30"), "--mode", "loaddata")[0] == 0
    assert "images of classes that CLASSES of the parameters does not name are not used: 3\n" in caplog.text


# Input without spikes


def test_an_encoder_that_makes_no_spikes_is_told_what_it_was_given():
    images = bars(6, 20)[0]
    for encoder, words in ((LatencyEncoder(threshold=0.1), "up to its threshold of 0.1"),
                           (RegularEncoder(n_steps=5, max_rate=0.1), "make no spike of any of the 6 test images")):
        spikes = encode(images, Intensity(), encoder, np.random.default_rng(0))
        with pytest.raises(SettingsError, match="FILTER makes values up to 0.0784") as caught:
            check_fires(spikes, images, Intensity(), encoder, "test")
        assert words in str(caught.value)


def test_single_images_without_spikes_are_counted(write, command, caplog):
    images, labels = bars(80)
    images[[3, 5]] = 0
    assert command(write(train=(images, labels)), "--mode", "loaddata")[0] == 0
    assert "warning: 2 of 80 train images become no spike\n" in caplog.text


@pytest.mark.parametrize("text, words", [(CHAIN, []), (STDP, ["--layer", "1"])])
def test_stored_images_without_spikes_are_none_and_not_unknown(write, command, tmp_path, text, words):
    path = write(text)
    command(path, "--mode", "loaddata")
    held = read_arrays(tmp_path / "run/data/train.npz")
    silent = {"counts": held["counts"] * 0, "neurons": held["neurons"][:0]}
    spikes = unpack_spikes({**held, **silent})
    silenced(tmp_path / "run", "data/train", content=np.array(digest(spikes.offsets, spikes.neurons)), **silent)
    for mode in (["training", *words], ["check"], ["info"], ["plot"]):
        code, _, err = command(path, "--mode", *mode)
        assert code == 4 and "data/train.npz: holds 80 images and no spike; load them again with FILTER and" in err


# Layers that never fire


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("readout", ["SpikeCount()", "Membrane()"])
def test_a_layer_that_never_fires_is_no_accuracy(write, command, monkeypatch, number, readout):
    path = write(readout=readout)
    for mode in ("loaddata", "training"):
        assert command(path, "--mode", mode)[0] == 0
    codes, trained = {}, Timelines.trained
    monkeypatch.setattr(Timelines, "trained", lambda made, n: trained(made, n) if n != number else replace(
        trained(made, n), v_thresh=np.full(20 if n == 1 else 4, 30_000.0)))
    for mode in ("testing", "check"):
        codes[mode], out, err = command(path, "--mode", mode)
        if codes[mode]:
            assert f"layer {number}: none of its {20 if number == 1 else 4} neurons fires for any of " in err
            assert "its lowest threshold is 3e+04 mV; lower its thresholds" in err and "--mode training" in err
            assert "accuracy" not in out
    assert set(codes.values()) == ({0} if (number, readout) == (2, "Membrane()") else {2})


@pytest.mark.parametrize("layer", [1, 2])
def test_a_rule_whose_layers_never_fire_stores_nothing(write, tmp_path, layer):
    made = Experiment(settings.load(write()), tmp_path / "run", jobs=1)
    made.load_data()
    made.train_chain("ridge")
    trained = [made.trained(1), made.trained(2)]
    object.__setattr__(trained[layer - 1], "v_thresh", trained[layer - 1].v_thresh + 30_000.0)
    with pytest.raises(SettingsError, match=rf"layer {layer}: none of its .* [\d.]+ spikes a sample reach it, its"
                                            r" membranes come up to -?[\d.e+]+ mV and its lowest threshold is 3e\+04"):
        judge(made, trained, made.values("train")[0])


def test_a_layer_that_was_trained_alone_and_never_fires_has_no_features(write, command, tmp_path):
    path = write(STDP)
    for words in (["loaddata"], ["training", "--layer", "1"]):
        assert command(path, "--mode", *words)[0] == 0
    silenced(tmp_path / "run", "layers/1", v_thresh=np.full(3, 30_000.0))
    code, _, err = command(path, "--mode", "training", "--layer", "svm")
    assert code == 2 and "layer 1: none of its 192 neurons fires for any of 80 train images: " in err
    assert "--mode training --layer 1" in err
    assert not (tmp_path / "run/svm.npz").exists()


def test_cross_validation_of_a_network_that_never_fires_is_no_result(write, command, monkeypatch):
    balanced = balance.balanced
    monkeypatch.setattr(balance, "balanced", lambda *args: ([replace(layer, v_thresh=layer.v_thresh + 30_000.0)
                                                              for layer in balanced(*args)[0]], []))
    code, out, err = command(write(), "--mode", "training", "--cv", "1x2")
    assert (code, out) == (2, "") and "layer 1: none of its 20 neurons fires for any of 60 samples of a fold" in err


def test_images_of_one_fault_are_told_by_datasets_alone():
    with pytest.raises(DataError, match="mine: no value is above 9"):
        full_range(bars(4, 9)[0], None, "mine")
    assert full_range(bars(4, 9)[0], None, "mine", own_range=True).max() == 9
    assert full_range(bars(4, 9)[0], 9, "mine").max() == 255
