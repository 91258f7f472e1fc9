"""Folds, and what is found on them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikingconvnet.cli import main as cli
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data.iris import iris
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import crossvalidation, settings
from spikingconvnet.experiment.baselines import BASELINES
from spikingconvnet.experiment.crossvalidation import Scheme, stratified_folds

PARAMETERS = """from spikingconvnet import *
DATASET = "nowhere"
FILTER, ENCODER, SLOT, RULE = Intensity(), RegularEncoder(n_steps=8), 10, Ridge()
MODEL = Sequential(SHAPEDense(3, neuron=RULE.neuron), SpikeCount())
"""


@given(st.lists(st.integers(4, 9), min_size=1, max_size=4), st.integers(2, 4), st.integers(0, 9))
def test_folds_are_as_even_as_they_can_be(counts, n_folds, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    fold = stratified_folds(labels, n_folds, np.random.default_rng(seed))
    for members in (np.ones(len(labels), bool), *(labels == label for label in range(len(counts)))):
        sizes = np.bincount(fold[members], minlength=n_folds)
        assert len(sizes) == n_folds and sizes.max() - sizes.min() <= 1


def test_folds_are_drawn():
    labels = np.repeat([0, 1, 2], 50)
    first, second = (stratified_folds(labels, 5, np.random.default_rng(seed)) for seed in (0, 1))
    assert (first != second).mean() > 0.5


def test_fewer_samples_of_a_class_than_folds_are_refused():
    with pytest.raises(SettingsError, match="--cv.folds: must be at most the 2 samples of class 1, got 3"):
        stratified_folds(np.array([0, 0, 0, 1, 1]), 3, np.random.default_rng(0))


@pytest.mark.parametrize("text", ["", "5", "2x", "x5", "2x5x1", "2X5", "-1x5", "2.0x5"])
def test_a_scheme_that_is_none_is_refused(text):
    with pytest.raises(SettingsError, match="must be repeats x folds, as 10x5"):
        Scheme.parse(text)


@pytest.mark.parametrize("text, name", [("0x5", "repeats"), ("2x1", "folds")])
def test_a_scheme_of_nothing_is_refused(text, name):
    with pytest.raises(SettingsError, match=f"--cv.{name}"):
        Scheme.parse(text)


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_scales_by_its_training_samples_alone(name):
    """One feature a thousand times larger than the other, one constant; the asked samples may be anything."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 20)
    values = np.stack([rng.normal(labels * 4.0), 1000 * rng.normal(size=40), np.full(40, 7.0)], axis=1)
    answers = BASELINES[name](values, labels, np.array([[0.0, 0.0, 7.0], [4.0, 0.0, 7.0], [4.0, 1e6, 7.0]]))
    assert answers[:2].tolist() == [0, 1]


def test_every_flower_is_asked_once_a_repeat_by_a_network_that_has_not_seen_it(monkeypatch):
    seen = []

    def one_fold(train, labels, test, *_):
        seen.append((train, test))
        assert np.array_equal(labels, train.labels)
        return np.where(np.arange(len(test)) % 10 == 0, (test.labels + 1) % 3, test.labels)

    monkeypatch.setattr(crossvalidation, "one_fold", one_fold)
    chosen = settings.load(RECIPES / "rstdp.py")
    found = crossvalidation.cross_validate(iris(), chosen, Scheme(2, 5), "local", {})
    assert found[crossvalidation.NETWORK].tolist() == [0.9, 0.9]
    assert [len(train) for train, _ in seen] == [120] * 10 and [len(test) for _, test in seen] == [30] * 10
    assert all(np.all(shares > 0.85) and shares.shape == (2,) for shares in found.values())


def test_the_command_line_prints_a_row_for_the_rule_and_the_baselines(capsys, tmp_path):
    arguments = ["--mode", "training", "--rule", "rstdp", "--dataset", "iris", "--cv", "1x2", "--jobs", "1"]
    assert cli.main([*arguments, "--run-dir", str(tmp_path / "run")]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("1 times 2 folds") and [row.split()[0] for row in rows[1:]] == ["rstdp", "logistic",
                                                                                               "support"]
    assert all(float(row.split()[-2]) > 80 for row in rows[1:])
    assert not (tmp_path / "run" / "parameters.py").exists()


@pytest.mark.parametrize("arguments, text", [
    (["--mode", "testing", "--cv", "1x2"], "--cv: belongs to --mode training"),
    (["--mode", "loaddata", "--dataset", "iris"], "--dataset: needs --rule"),
    (["--mode", "loaddata", "--rule", "rstdp", "--dataset", "mnist"], "--rule rstdp has parameters for iris;"),
    (["--mode", "training", "--rule", "rstdp", "--cv", "5"], "--cv 5: must be repeats x folds")])
def test_a_wrong_use_is_one_sentence(arguments, text, capsys, tmp_path):
    assert cli.main([*arguments, "--run-dir", str(tmp_path)]) == 2
    assert text in capsys.readouterr().err


def test_another_source_is_fitted_to_as_in_other_modes(capsys, tmp_path, monkeypatch):
    """Three classes of 9x9 pixels, for parameters of ten classes and 28x28."""
    images = np.zeros((30, 9, 9), np.uint8)
    for n, image in enumerate(images):
        image[3 * (n % 3):][:3] = 255
    np.savez(tmp_path / "bars.npz", images=images, labels=np.arange(30) % 3 + 4)
    monkeypatch.chdir(tmp_path)
    seen = []

    def one_fold(train, labels, test, chosen, *_):
        seen.append((train.images.shape[1:], chosen.model.shapes[0], chosen.classes, labels.max()))
        return np.zeros(len(test), int)

    monkeypatch.setattr(crossvalidation, "one_fold", one_fold)
    for shape, more in (("(1, 28, 28), ", "CLASSES = 4, 5, 6"), ("", "")):
        (tmp_path / "parameters.py").write_text(PARAMETERS.replace("SHAPE", shape) + more)
        assert cli.main(["--mode", "training", "--cv", "1x2", "--source", "bars.npz", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["cv"] == "1x2"
    fitted = (27, 27), (1, 27, 27), (4, 5, 6), 2
    assert seen == [fitted] * 2 + [((9, 9), (1, 9, 9), (4, 5, 6), 2)] * 2 and not (tmp_path / "runs").exists()
    assert cli.main(["--mode", "training", "--source", "bars.npz"]) == 2
    assert "--source: with --mode training it needs --cv" in capsys.readouterr().err
