"""Every parameters file that is shipped runs from the images to the test, on fewer of them."""

from dataclasses import replace
from pathlib import Path

import pytest

from spikingconvnet import settings
from spikingconvnet.experiment import Experiment

ROOT = Path(__file__).resolve().parent.parent
FILES = [ROOT / "parameters.py", *sorted((ROOT / "examples").glob("*.py"))]


def test_there_are_examples():
    assert {path.stem for path in FILES} >= {"parameters", "original_2018", "two_layers"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_learns_better_than_chance(path, tmp_path):
    whole = settings.load(path)
    few = replace(whole, n_train=60 if whole.per_class else 600, n_test=20 if whole.per_class else 200)
    experiment = Experiment(few, tmp_path)
    experiment.load_data()
    for stage in experiment.model.stages:
        health = experiment.train_layer(stage.number).health
        assert health["duplicate_pairs"] == 0 and 0.3 < health["wins_per_window"] < 1.7
    experiment.train_svm()
    assert experiment.test().accuracy > 0.75


def test_the_original_has_the_shapes_of_2018():
    assert settings.load(ROOT / "examples/original_2018.py").model.shapes[:2] == [(1, 28, 28), (4, 9, 9)]
