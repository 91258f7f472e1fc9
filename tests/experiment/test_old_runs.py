"""A run directory that version 0.1 made, before its modules moved, is one of today: nothing of it is made again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.cli import main as cli

pytestmark = pytest.mark.usefixtures("sketched")

ROOT = Path(__file__).resolve().parents[2]
OLD = ROOT / "tests/golden/run-0.1"         # --mode demo at 2432b9a; its parameters.py has the names of then


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A copy of the run directory, used from where it was made."""
    monkeypatch.chdir(ROOT)
    return shutil.copytree(OLD, tmp_path / "run")


def stored(run):
    return {path.relative_to(run): path.read_bytes() for path in run.rglob("*.npz")}


def test_it_is_whole_and_its_parameters_are_read_with_a_warning(run, capsys, caplog):
    assert cli.main(["--mode", "info", "--run-dir", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["done"] == {"data": True, "layer 1": True, "svm": True}
    assert set(told["results"]) == {"layer 1", "svm", "test"} and told["results"]["test"]["accuracy"] == 0.55
    assert "imports from spikingconvnet.encoding, spikingconvnet.layers, " in caplog.text


@pytest.mark.parametrize("words", [["--mode", "testing"], ["--mode", "check"], ["--mode", "plot"]], ids=lambda w: w[1])
def test_what_was_stored_is_used(run, words, capsys):
    before = stored(run)
    assert cli.main([*words, "--run-dir", str(run), "--jobs", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.get("accuracy", 0.55) == 0.55 and stored(run) == before


def test_made_anew_it_has_the_same_integers_and_nearly_the_same_classifier(run):
    """Another solver than that of 0.1 fits the classifier, nearer to the optimum."""
    assert cli.main(["--mode", "training", "--layer", "1", "--run-dir", str(run), "--jobs", "1"]) == 0
    assert cli.main(["--mode", "training", "--layer", "svm", "--run-dir", str(run), "--jobs", "1"]) == 0
    for name in ("layers/1", "svm"):
        with np.load(OLD / f"{name}.npz") as old, np.load(run / f"{name}.npz") as new:
            assert set(old) == set(new)
            for key in set(old) - {"seal", "how"}:
                if key in ("coefficients", "intercepts"):
                    assert np.abs(old[key] - new[key]).max() < 0.05 * np.abs(old[key]).max()
                else:
                    assert np.array_equal(old[key], new[key])
            before, now = (json.loads(str(file["how"])) for file in (old, new))
            now.get("health", {}).pop("convergence", None)      # which the old version did not tell
            assert now == before
