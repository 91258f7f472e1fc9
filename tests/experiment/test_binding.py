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
    Experiment,
    LatencyEncoder,
    Opponents,
    Sequential,
    Settings,
)
from spikingconvnet.cli.main import main
from spikingconvnet.data import datasets, sources
from spikingconvnet.data.colour import luminance
from spikingconvnet.data.resize import resized, scaling_matrix
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment import binding

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
def command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("parameters.py").write_text(PARAMETERS)

    def run(*words):
        code = main([*map(str, words), "--run-dir", "run"])
        return code, *capsys.readouterr()
    return run


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
