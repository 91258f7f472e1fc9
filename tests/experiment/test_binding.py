"""Shape, classes and counts that are left to the data set, and what the run directory keeps of them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spikingconvnet import (
    STDP,
    Classifier,
    Conv2D,
    DifferenceOfGaussians,
    EventBins,
    Experiment,
    LatencyEncoder,
    Sequential,
)
from spikingconvnet.cli.main import main
from spikingconvnet.data import Opponents, datasets, sources
from spikingconvnet.data.colour import luminance
from spikingconvnet.data.resize import resized, scaling_matrix
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment import Settings, binding, figures
from spikingconvnet.experiment.settings import load, save
from spikingconvnet.model import shorthand

PARAMETERS = """from spikingconvnet import *
DATASET = "nowhere"
N_TRAIN, N_TEST = 5000, 1000
FILTER = DifferenceOfGaussians(contrast=0.2)
ENCODER = LatencyEncoder()
SLOT = 30
MODEL = Sequential((2, 28, 28), Conv2D(4, 5, training=STDP(windows=60, chunks=3, min_spikes=5)), Classifier(grid=2))
"""


def squares(n, side=14, classes=3):
    """Squares at a place for each class, uint8 (n, side, side)."""
    images = np.zeros((n, side, side), np.uint8)
    rng = np.random.default_rng(0)
    for i, image in enumerate(images):
        at = side // classes * (i % classes)
        image[at:at + side // 3, at:at + side // 3] = rng.integers(150, 255)
    return images, np.arange(n) % classes


@pytest.fixture
def command(tmp_path, monkeypatch, capsys, sketched):
    monkeypatch.chdir(tmp_path)
    Path("parameters.py").write_text(PARAMETERS)

    def run(*words):
        code = main([*map(str, words), "--run-dir", "run"])
        return code, *capsys.readouterr()
    return run


def test_names_of_classes_that_cannot_be_shown_are_kept_as_they_are_told(command):
    """A run directory with a name that is no text in a line would count as damaged."""
    images, labels = squares(60)
    np.savez("set.npz", X=images, y=np.array(["a\u2028b", "c\nd", "\x1b[31me"])[labels])
    assert command("--mode", "loaddata", "--source", "set.npz")[0] == 0
    code, out, _ = command("--mode", "info", "--json")
    assert code == 0 and json.loads(out)["done"]["data"]
    how = Experiment(load("parameters.py"), "run").store.how("data/train")
    assert sorted(how["class_names"].values()) == ["\\x1b[31me", "a\\u2028b", "c\\nd"]


def test_another_source_runs_without_an_edit_and_is_gone_on_with(command, caplog):
    caplog.set_level("INFO")
    images, labels = squares(60)
    for image, label, i in zip(images, labels, range(60)):
        folder = Path("set", ("left", "middle", "right")[label])
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{i:02d}.png")
    code, out, err = command("--mode", "demo", "--source", "set")
    assert code == 0 and "left: " in err and "middle: " in err and "48 train, 0 validation, 12 test" in err
    assert "images of 14x14, drawn with 28x28; MODEL of the parameters takes 28x28\n" in caplog.text
    assert "N_TRAIN of the parameters is 5,000, the data set has 48; all are taken" in caplog.text
    entry = json.loads(Path("run/results.json").read_text())["test"]
    assert entry["class_names"] == ["left", "middle", "right"] and entry["classes"] == [0, 1, 2]
    again, told, _ = command("--mode", "testing")
    assert again == 0 and told == out
    assert command("--mode", "info")[1].count("done") == 3


def test_what_a_source_binds_is_kept_and_of_another_source_is_not(tmp_path):
    images, labels = squares(60, 8)
    np.savez(tmp_path / "a.npz", images=images, labels=labels + 1)
    np.savez(tmp_path / "b.npz", images=np.repeat(images, 8, 1).repeat(8, 2), labels=labels)
    base = settings("nowhere")
    first = binding.with_source(base, str(tmp_path / "a.npz"))
    made = Experiment(first, tmp_path / "run")
    made.load_data()
    assert made.settings.classes == (1, 2, 3) and made.settings.n_train is None
    assert made.settings.size == (24, 24) and made.model.input_shape == (2, 24, 24)
    again = Experiment(first, tmp_path / "run")
    assert again.has_data() and again.settings == replace(made.settings, model=again.model)
    other = Experiment(binding.with_source(base, str(tmp_path / "b.npz")), tmp_path / "run")
    assert not other.has_data() and other.model.input_shape == (2, 28, 28)
    other.load_data()
    assert other.settings.size == (32, 32) and other.settings.classes == (0, 1, 2)


def settings(source, **changes):
    model = Sequential((2, 28, 28), Conv2D(4, 5, training=STDP(windows=60, chunks=3, min_spikes=5)), Classifier(grid=2))
    return Settings(source, DifferenceOfGaussians(contrast=0.2), LatencyEncoder(), 30, model, n_train=5000, **changes)


def test_what_the_parameters_say_themselves_is_never_changed(tmp_path):
    images, labels = squares(60, 14)
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    source = str(tmp_path / "a.npz")
    with pytest.raises(DataError, match="images: must be 28x28, the input shape of MODEL in the parameters"):
        Experiment(settings(source), tmp_path / "run").load_data()
    chosen = binding.with_source(settings("nowhere", classes=(0, 2)), source)
    made = Experiment(chosen, tmp_path / "run")
    made.load_data()
    assert made.settings.classes == (0, 2) and set(made.data("train")["labels"].tolist()) == {0, 2}
    assert binding.with_source(chosen, source) == chosen and binding.with_source(chosen, None) == chosen


@pytest.mark.parametrize("size, drawn", [((28, 28), (28, 28)), ((20, 40), (20, 40)), ((8, 8), (24, 24)),
                                         ((8, 16), (24, 48)), ((40, 60), (20, 30)), ((300, 200), (42, 28))])
def test_images_are_drawn_in_a_size_that_suits_the_layers(tmp_path, size, drawn):
    images = np.random.default_rng(0).integers(0, 256, (10, *size), np.uint8)
    found = binding.bound(binding.with_source(settings("nowhere"), "here"), sources.load((images, np.arange(10) % 2)))
    assert found.model.input_shape == (2, *drawn) and (found.size or size) == drawn


@pytest.mark.parametrize("change, kept", [({}, True), ({"n_train": 20}, False), ({"size": (20, 20)}, False),
                                          ({"size": (28, 28)}, True), ({"seed": 4}, True)])
def test_what_has_been_asked_for_since_is_not_what_was_kept(tmp_path, change, kept):
    np.savez(tmp_path / "a.npz", images=squares(60)[0], labels=squares(60)[1])
    first = binding.with_source(settings("nowhere"), str(tmp_path / "a.npz"))
    made = Experiment(first, tmp_path / "run")
    made.load_data()
    assert (made.settings.n_train, made.settings.size) == (None, (28, 28))
    again = Experiment(replace(first, **change), tmp_path / "run").settings
    assert ((again.n_train, again.size) == (None, (28, 28))) == kept


def test_classes_that_were_named_are_not_those_of_the_set_later(tmp_path):
    np.savez(tmp_path / "a.npz", images=squares(60)[0], labels=squares(60)[1])
    two, all_of_them = (binding.with_source(settings("nowhere", **more), str(tmp_path / "a.npz"))
                        for more in ({"classes": (0, 2)}, {}))
    Experiment(two, tmp_path / "run").load_data()
    later = Experiment(all_of_them, tmp_path / "run")
    assert not later.has_data() and later.load_data()["train"] == 48 and later.settings.classes == (0, 1, 2)


def test_a_model_that_fits_in_no_size_is_refused_with_one_that_does():
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8), np.uint8)
    model = Sequential((2, 28, 28), Conv2D(4, 26), Classifier())
    large = replace(settings("nowhere"), model=model)
    with pytest.raises(SettingsError, match=r"cannot take images of 8x8.*that does, as Sequential\(\(2, 8, 8\)"):
        binding.bound(binding.with_source(large, "here"), sources.load((images, np.arange(10) % 2)))


def test_classes_that_are_left_out_are_those_of_the_set(small_mnist, tmp_path):
    assert settings("nowhere").classes == tuple(range(10)) and settings("nowhere").free == ("classes",)
    train = datasets.load(str(small_mnist), "train")
    datasets.save(tmp_path / "letters", "train", train.images, train.labels * 2 + 1)
    datasets.save(tmp_path / "letters", "test", train.images, train.labels * 2 + 1)
    made = Experiment(replace(settings(str(tmp_path / "letters")), n_train=None), tmp_path / "run")
    made.load_data()
    assert made.settings.classes == tuple(range(1, 20, 2))


# Colour and size


COLOUR = np.random.default_rng(3).integers(0, 256, (5, 9, 8, 3), np.uint8)


def test_a_filter_of_grey_values_sees_luminance_and_says_so(tmp_path, caplog):
    caplog.set_level("INFO")
    images, labels = squares(60, 28)
    coloured = np.stack([images, images // 2, images // 3], 3)
    np.savez(tmp_path / "a.npz", images=coloured, labels=labels)
    made = Experiment(replace(settings(str(tmp_path / "a.npz")), n_train=None), tmp_path / "run")
    made.load_data()
    assert caplog.text.count("FILTER sees their luminance") == 2
    assert np.isin(made.data("train")["images"], luminance(coloured)).all()
    model = Sequential((10, 28, 28), *made.model.layers)
    seen = Experiment(replace(made.settings, image_filter=Opponents(DifferenceOfGaussians(contrast=0.2)), model=model),
                      tmp_path / "opponents")
    seen.load_data()
    assert seen.data("train")["spikes"].shape == (10, 28, 28) and caplog.text.count("luminance") == 2
    assert seen.data("train")["spikes"].counts()[:, 2:4].any() and seen.data("train")["images"].ndim == 3


def test_luminance_and_opponents_are_what_they_say():
    red, green, blue = COLOUR[..., 0].astype(int), COLOUR[..., 1].astype(int), COLOUR[..., 2].astype(int)
    assert abs(luminance(COLOUR) - (0.299 * red + 0.587 * green + 0.114 * blue)).max() <= 0.5
    seen = Opponents(Grey())(COLOUR)
    yellow = (red + green) // 2
    wanted = [luminance(COLOUR), *(np.maximum(part, 0) for part in (red - green, green - red, blue - yellow,
                                                                   yellow - blue))]
    assert all(np.array_equal(seen[:, i], part) for i, part in enumerate(wanted)) and seen.shape[1] == 5
    assert not Opponents(Grey())(COLOUR[..., 0])[:, 1:].any()
    with pytest.raises(SettingsError, match="Opponents.filter"):
        Opponents(5)


class Grey:
    channels = 1

    def __call__(self, images):
        return images[:, None].astype(float)


@pytest.mark.parametrize("size", [(9, 8), (18, 16), (3, 4), (7, 13), (1, 1)])
def test_images_are_drawn_in_another_size(size):
    found = resized(COLOUR, size)
    assert found.shape == (5, *size, 3)
    assert all(np.array_equal(found[..., c], resized(COLOUR[..., c], size)) for c in range(3))
    assert np.array_equal(resized(np.full((2, 9, 8), 77, np.uint8), size), np.full((2, *size), 77))
    assert (scaling_matrix(9, size[0]).sum(axis=1) == 4096).all()
    if size == (3, 4):
        assert abs(found.mean() - COLOUR.mean()) < 8
    if size == (9, 8):
        assert np.array_equal(found, COLOUR)


# A model without an input shape


OPEN = PARAMETERS.replace('"nowhere"', '"a.npz"').replace("(2, 28, 28), ", "").replace("N_TRAIN, N_TEST", "_UNUSED")
MODES = (["info"], ["check"], ["plot"], ["testing"], ["training", "--layer", "1"], ["predict", "--images", "a.npz"],
         ["export", "net.nir"])


@pytest.fixture
def unbound(command, monkeypatch):
    monkeypatch.setattr(figures, "plot", lambda *_: [])
    np.savez("a.npz", images=squares(60)[0], labels=squares(60)[1])
    Path("parameters.py").write_text(OPEN)
    return command


def test_a_model_without_a_shape_takes_that_of_the_data_set_in_every_mode(unbound):
    for mode in MODES:
        code, _, err = unbound("--mode", *mode)
        assert code == 5 and err.endswith("--mode loaddata --run-dir run\n"), mode
    code, out, err = unbound("--mode", "demo")
    assert code == 0 and "the data set's" in err and "2x14x14" in err and out.startswith("test accuracy")
    for mode in MODES:
        assert unbound("--mode", *mode)[0] == 0, mode
    with np.load("run/layers/1.npz") as layer:
        unnamed = str(layer["made_from"])
    Path("parameters.py").write_text(OPEN.replace("Sequential(", "Sequential((2, 14, 14), "))
    assert main(["--mode", "loaddata", "--run-dir", "named"]) == 0
    assert main(["--mode", "training", "--layer", "1", "--run-dir", "named"]) == 0
    with np.load("named/layers/1.npz") as layer:
        assert str(layer["made_from"]) == unnamed
    assert unbound("--mode", "testing", "--set", "MODEL.input_shape=(2, 14, 14)")[0] == 0
    assert unbound("--mode", "testing", "--set", "MODEL.input_shape=none")[0] == 0


def test_the_same_model_takes_another_data_set_and_another_size(unbound):
    assert unbound("--mode", "loaddata")[0] == 0
    code, _, err = unbound("--mode", "loaddata", "--set", "SIZE=(20, 18)")
    assert code == 0 and unbound("--mode", "info")[1].count("2x20x18") == 1
    assert "has no input shape and takes that of the data set" in unbound("--mode", "check", "--set", "SIZE=(9, 9)")[2]
    np.savez("b.npz", images=squares(40, 9, 2)[0], labels=squares(40, 9, 2)[1])
    code, _, err = unbound("--mode", "demo", "--source", "b.npz")
    assert code == 0 and "2x9x9" in err
    code, _, err = unbound("--mode", "loaddata", "--set", "MODEL.1.kernel_size=15")
    assert code == 2 and "cannot take images of 14x14 (layer 1 of the model: " in err


def test_a_model_without_a_shape_is_written_swept_and_gone_on_with(unbound):
    assert main(["--mode", "sweep", "--set", "MODEL.1.filters=3,4", "--run-dir", "sweep"]) == 0
    assert "3 " in Path("sweep/sweep.txt").read_text()
    save(load("parameters.py"), "mine.toml")
    assert "input_shape" not in Path("mine.toml").read_text()
    assert repr(load("mine.toml").model) == repr(load("parameters.py").model)
    made = Experiment(load("mine.toml"), "api")
    with pytest.raises(SettingsError, match="has no input shape before the data set is loaded; load that first"):
        made.train_layer(1)
    made.load_data()
    assert Experiment(load("mine.toml"), "api").model.shapes == made.model.shapes


def test_of_events_the_encoder_says_the_shape():
    model = Sequential(Conv2D(4, 5), Classifier(grid=2))
    bins = EventBins(size=(12, 14), n_steps=20)
    asked = Settings("nowhere", bins, bins, 30, model)
    assert binding.as_kept(asked, {}).model.shapes[0] == (2, 12, 14)
    fewer = replace(bins, pool=2)
    assert binding.as_kept(replace(asked, encoder=fewer, image_filter=fewer), {}).model.shapes[0] == (2, 6, 7)


@pytest.mark.parametrize("text, shape", [("28x28-10", (2, 28, 28)), ("392-10", (2, 14, 14)), ("2x3x4-10", (2, 3, 4))])
def test_an_architecture_says_the_shape_that_a_model_lacks(text, shape):
    assert shorthand.input_shape(text, 2) == shape


@pytest.mark.parametrize("text", ["391-10", "x-10", "", "28x-10", "5-10"])
def test_an_architecture_that_does_not_is_refused(text):
    with pytest.raises(SettingsError, match="must be the rows and columns of the images"):
        shorthand.input_shape(text, 2)


IMAGES, LABELS = squares(60, 9)
ODD = {     # images, labels, the classes and pixels that are bound, or what is said
    "gaps": (IMAGES, LABELS * 90 + 3, ((3, 93, 183), (9, 9))),
    "from one": (IMAGES, LABELS + 1, ((1, 2, 3), (9, 9))),
    "unbalanced": (IMAGES, np.r_[np.zeros(55, int), np.full(5, 7)], ((0, 7), (9, 9))),
    "transposed, not square": (IMAGES[:, :, :6].transpose(0, 2, 1), LABELS, ((0, 1, 2), (6, 9))),
    "16 bits": (IMAGES.astype(np.uint16) * 257, LABELS, ((0, 1, 2), (9, 9))),
    "0 to 1": (IMAGES / 255.0, LABELS, ((0, 1, 2), (9, 9))),
    "names": (IMAGES, np.array(["a", "b", "c"])[LABELS], ((0, 1, 2), (9, 9))),
    "colour": (np.stack([IMAGES] * 3, 3), LABELS, ((0, 1, 2), (9, 9))),
    "one class": (IMAGES, LABELS * 0 + 4, "all 60 images are of class 4, so there is nothing to tell apart"),
    "dark bytes": (IMAGES // 16, LABELS, "WHITE = "), "nothing to see": (IMAGES * 0, LABELS, "every pixel"),
    "empty": (IMAGES[:0], LABELS[:0], "no image is in it"),
    "smaller than a kernel": (IMAGES[:, :4, :4], LABELS, "cannot take images of 4x4 .*kernel_size")}


@pytest.mark.parametrize("name", ODD)
def test_of_an_odd_set_the_right_things_are_bound_or_a_true_sentence_is_said(tmp_path, name):
    images, labels, wanted = ODD[name]
    np.savez(tmp_path / "odd.npz", images=images, labels=labels)
    model = Sequential(Conv2D(4, 5, training=STDP(windows=60, chunks=3, min_spikes=5)), Classifier(grid=2))
    made = Experiment(Settings(str(tmp_path / "odd.npz"), DifferenceOfGaussians(contrast=0.2), LatencyEncoder(), 30,
                               model), tmp_path / "run")
    if isinstance(wanted, str):
        with pytest.raises((DataError, SettingsError), match=wanted):
            made.load_data()
        return
    made.load_data()
    assert (made.settings.classes, made.model.input_shape) == (wanted[0], (2, *wanted[1]))
    assert set(made.data("train")["labels"].tolist()) == set(wanted[0])


def test_a_bar_goes_with_the_batches_that_are_encoded(tmp_path):
    np.savez(tmp_path / "a.npz", images=squares(60)[0], labels=squares(60)[1])
    told = []

    def progress(items, description):
        told.append((description, list(items)))
        return items

    Experiment(binding.with_source(settings("nowhere"), str(tmp_path / "a.npz")), tmp_path / "run",
               progress=progress).load_data()
    assert told == [(f"images: encoding, {split}", [0]) for split in ("train", "validation", "test")]
