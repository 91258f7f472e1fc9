"""Every parameters file that is shipped runs from the images to the test, on fewer of them."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment

ROOT = Path(__file__).resolve().parents[2]
OF_THE_LIBRARY = ("library", "digits")       # that are no parameters
FILES = [ROOT / "parameters.py", *sorted(p for p in (ROOT / "examples").glob("*.py") if p.stem not in OF_THE_LIBRARY)]


def test_there_are_examples():
    assert {path.stem for path in FILES} >= {"parameters", "original_2018", "two_layers"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_learns_better_than_chance(path, tmp_path):
    whole = settings.load(path)
    few = replace(whole, n_train=60 if whole.per_class else 600, n_test=20 if whole.per_class else 200)
    experiment = Experiment(few, tmp_path)
    experiment.load_data()
    for stage in experiment.model.stages:
        diagnostics = experiment.train_layer(stage.number).diagnostics
        assert diagnostics["duplicate_pairs"] == 0 and 0.3 < diagnostics["wins_per_window"] < 1.7
    experiment.train_svm()
    assert experiment.test().accuracy > 0.75


def test_the_original_has_the_shapes_of_2018():
    assert settings.load(ROOT / "examples/original_2018.py").model.shapes[:2] == [(1, 28, 28), (4, 9, 9)]


def test_the_library_example_learns_and_prints_what_a_host_would_read(capsys):
    runpy.run_path(str(ROOT / "examples/library.py"), run_name="__main__")
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    counts = [int(n) for n in lines["spikes per neuron"].strip(" []").split(",")]
    assert len(counts) == 3 and min(counts) > 0 and "after" in lines["weights on the board"]
