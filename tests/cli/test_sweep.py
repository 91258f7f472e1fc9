"""--mode sweep: the table, what is computed once, real kills, and what it refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet import plotting
from spikingconvnet.cli import main as cli
from spikingconvnet.data import sources
from spikingconvnet.errors import StoreError
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.sweep import Row, Trial, as_csv, as_text, table, trials
from spikingconvnet.store.shared import SharedRun

pytestmark = pytest.mark.usefixtures("sketched")

ROOT = Path(__file__).resolve().parents[2]
GRID = ["--set", "MODEL.1.filters=2,3", "--set", "MODEL.readout.C=0.1,1.0"]
HOW = {"made_on": "local", "seed": 0, "version": "0"}


@pytest.fixture
def sweep(parameters, tmp_path, monkeypatch, capsys):
    """A function that sweeps beside a small parameters file: (exit code, stdout, stderr)."""
    parameters(N_TRAIN=60, N_TEST=40, N_VALIDATION=0)
    monkeypatch.chdir(tmp_path)

    def call(*words):
        return (cli.main(["--mode", "sweep", *map(str, words)]), *capsys.readouterr())

    return call


def rows(path):
    """The table without its times: list of list of str."""
    return [row[:4] for row in csv.reader(path.read_text().splitlines())]


def test_steps_that_settings_share_are_done_once_and_all_stand_in_the_table(sweep, tmp_path, monkeypatch):
    done = {"load_data": 0, "train_layer": 0, "train_svm": 0}

    def counting(name, step):
        def counted(*args):
            done[name] += 1
            return step(*args)

        monkeypatch.setattr(Experiment, name, counted)

    for name in done:
        counting(name, getattr(Experiment, name))
    code, out, _ = sweep(*GRID, "--set", "MODEL.1.lateral=0.0,-1", "--seeds", 2)
    assert code == 0 and done == {"load_data": 2, "train_layer": 4, "train_svm": 8}
    head, *lines = out.splitlines()
    assert head.split()[:3] == ["MODEL.1.filters", "MODEL.readout.C", "MODEL.1.lateral"] and len(lines) == 8
    assert [line.split()[:3] for line in lines[:3]] == [["2", "0.1", "0.0"], ["2", "0.1", "-1"], ["2", "1.0", "0.0"]]
    assert all(("Conv2D.lateral: must be" in line) == (line.split()[2] == "-1") for line in lines)
    run = tmp_path / "runs/sweep"
    kept = json.loads((run / "results.json").read_text())["sweep"]
    assert kept["settings"]["N_TRAIN"] == 60 and "numpy" in kept["versions"] and len(kept["trials"]) == 16
    assert {path.name for path in (run / "plots").iterdir()} == {"sweep.png", "sweep.svg"}
    assert (run / "sweep.txt").read_text() == out
    assert not list(run.glob("**/features")) and not list(run.glob("**/*.tmp"))
    trial = next(name for name, one in kept["trials"].items() if one["accuracy"] is not None)
    assert cli.main(["--mode", "info", "--run-dir", str(run / "trials" / trial)]) == 0


def test_a_sweep_goes_on_and_grows_and_no_other_replaces_it(sweep, tmp_path, monkeypatch):
    code, out, _ = sweep("--set", "MODEL.1.filters=2", "--json")
    first = json.loads(out)["trials"]
    assert code == 0 and len(first) == 1
    assert json.loads(sweep("--set", "MODEL.1.filters=2", "--json")[1])["trials"] == first
    grown = json.loads(sweep("--set", "MODEL.1.filters=2,3", "--seeds", 2, "--json")[1])["trials"]
    assert len(grown) == 4 and first.items() < grown.items()
    before = (tmp_path / "runs/sweep/results.json").read_bytes()
    code, _, err = sweep("--set", "MODEL.1.filters=3")
    assert code == 5 and "holds another sweep" in err
    assert (tmp_path / "runs/sweep/results.json").read_bytes() == before
    assert cli.main(["--mode", "loaddata", "--run-dir", "runs/plain"]) == 0
    code, _, err = sweep("--set", "MODEL.1.filters=3", "--run-dir", "runs/plain")
    assert code == 5 and "holds a run" in err


def test_a_sweep_that_is_killed_twice_ends_with_the_table_of_one_that_was_not(sweep, tmp_path):
    grid = [*GRID[:2], "--seeds", "2"]
    words = [sys.executable, ROOT / "main.py", "--mode", "sweep", *grid, "--jobs", "2", "--run-dir"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    for wanted in ("**/data/test.npz", "**/svm.npz"):
        process = subprocess.Popen([*map(str, words), "killed"], env=environment, stderr=subprocess.DEVNULL)
        until(lambda wanted=wanted: list((tmp_path / "killed/trials").glob(wanted)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (tmp_path / "killed/sweep.csv").exists()
    killed = subprocess.run([*map(str, words), "killed"], env=environment, capture_output=True, text=True)
    assert killed.returncode == 0, killed.stderr
    assert sweep(*grid, "--run-dir", "whole")[0] == 0
    assert rows(tmp_path / "killed/sweep.csv") == rows(tmp_path / "whole/sweep.csv")
    assert len(rows(tmp_path / "whole/sweep.csv")) == 3


def until(condition, seconds=600.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_models_that_are_trained_as_a_whole_are_swept_too(sweep, small_mnist):
    words = ["--rule", "ridge", "--set", "MODEL.1.units=20,30", "--set", "N_TRAIN=100", "--set", "N_TEST=40"]
    code, out, err = sweep(*words, "--source", small_mnist)
    assert code == 0 and [line.split()[-2] for line in out.splitlines()[1:]] == ["1", "1"], err


@pytest.mark.parametrize("shape", ["(2, 28, 28),", ""])
def test_data_that_bind_the_settings_are_read_once_for_all_trials_of_a_seed(sweep, tmp_path, monkeypatch, shape):
    images = np.random.default_rng(0).integers(0, 256, (90, 14, 14), np.uint8)
    images[:, :4] = 0
    np.savez(tmp_path / "own.npz", images=images, labels=np.arange(90) % 3)
    path, read, load = tmp_path / "parameters.py", [], sources.load
    text = path.read_text()
    assert "(2, 28, 28)," in text
    path.write_text(text.replace("(2, 28, 28),", shape))
    monkeypatch.setattr(sources, "load", lambda *args: read.append(args) or load(*args))
    words = ["--source", tmp_path / "own.npz", "--seeds", 2, "--set"]
    code, out, err = sweep(*words, "MODEL.1.filters=2,3", "--json")
    assert code == 0 and len(read) == 2, err
    once = {(tuple(one["set"].items()), one["seed"]): one["accuracy"] for one in json.loads(out)["trials"].values()}
    for filters in ("2", "3"):          # as if alone, in its own directory
        alone = json.loads(sweep(*words, f"MODEL.1.filters={filters}", "--json", "--run-dir", f"alone{filters}")[1])
        assert {one["seed"]: one["accuracy"] for one in alone["trials"].values()} == {
            seed: once[(("MODEL.1.filters", filters),), seed] for seed in (0, 1)}
    assert len({tuple(sorted(os.listdir(run / "data"))) for run in (tmp_path / "runs/sweep/trials").iterdir()}) == 1


@pytest.mark.parametrize("words, code, wanted", [
    ([], 2, "needs --set NAME=VALUE"), (["--set", "SEED=1,2"], 2, "there are --seed, the first one, and --seeds"),
    (["--set", f"SLOT={','.join(map(str, range(200)))}", "--seeds", "51"], 2, "would be 10,200 runs"),
    (["--set", "SLOT=30,31,30"], 2, "--set SLOT: has a value twice"),
    (["--seeds", "0"], 2, "--seeds: must be at least 1")])
def test_what_would_be_no_sweep_is_refused(sweep, words, code, wanted):
    found, out, err = sweep(*words)
    assert (found, out) == (code, "") and wanted in err


def test_a_sweep_in_which_nothing_works_fails(sweep):
    code, out, _ = sweep("--set", "MODEL.1.fliters=2,3")
    assert code == 2 and out.count("did you mean filters?") == 2


def made(sets, *accuracies):
    return [Row(Trial(sets, seed, str(seed)), accuracy, 2.0, "" if accuracy else "no good, at all")
            for seed, accuracy in enumerate(accuracies)]


def test_the_table_has_means_spreads_and_errors():
    lines = table([*made((("SLOT", "28"),), 0.5, 0.7), *made((("SLOT", "(3, 4)"),), 0.5, None)])
    assert [line["accuracy"] for line in lines] == [pytest.approx(0.6), 0.5]
    assert lines[0]["spread"] == pytest.approx(0.2 / 2 ** 0.5) and lines[1]["spread"] is None
    assert as_text(lines).splitlines()[1] == "28             60.00   14.14      2      2.0"
    assert as_csv(lines).splitlines()[2] == '"(3, 4)",50.00,,1,2.0,"no good, at all"'
    figure = plotting.sweep({"SLOT": ["28", "(3, 4)"]}, lines, "%")
    assert [line.get_ydata().tolist() for line in figure.axes[0].lines[:1]] == [[pytest.approx(60.0), 50.0]]


def test_the_table_has_the_board_s_own_answers_where_one_line_has_them():
    own = [replace(row, board=row.accuracy and row.accuracy - 0.1) for row in made((("SLOT", "28"),), 0.5, 0.7)]
    lines = table([*own, *made((("SLOT", "30"),), 0.5)])
    assert [line["board"] for line in lines] == [pytest.approx(0.5), None] and lines[1]["board spread"] is None
    assert as_csv(lines).splitlines() == ["SLOT,accuracy (%),spread,board (%),board spread,seeds,seconds,error",
                                          "28,60.00,14.14,50.00,14.14,2,2.0,", "30,50.00,,,,1,2.0,"]
    assert as_text(lines).splitlines()[2] == "30           50.00                                       1      2.0"


def test_a_sweep_tells_what_a_classifier_on_the_board_answers(sweep, tmp_path):
    code, out, said = sweep("--set", "MODEL.readout.on_board=true,false", "--json")
    found = json.loads(out)
    own, alone = found["table"]
    assert code == 0 and own["accuracy"] == alone["accuracy"] and alone["board"] is None
    trial = next(one for one in found["trials"].values() if one["board"] is not None)
    name = next(name for name, one in found["trials"].items() if one is trial)
    kept = json.loads((tmp_path / "runs/sweep/trials" / name / "results.json").read_text())["test"]["on_board"]
    assert own["board"] == trial["board"] == kept["accuracy"] > 0.3 and 0 < kept["latency"] < 28
    assert f", by the board's spikes {100 * own['board']:.2f} %, " in said
    assert not list((tmp_path / "runs/sweep").glob("**/winners"))
    assert json.loads(sweep("--set", "MODEL.readout.on_board=true,false", "--json")[1])["table"] == found["table"]


def test_a_run_of_seeds_alone_has_one_line():
    lines = table(made((), 0.5, 0.7))
    assert len(lines) == 1 and len(as_text(lines).splitlines()) == 2
    assert plotting.sweep({}, lines, "%").axes[0].get_xticks().tolist() == [0]


def test_trials_have_names_of_what_they_are():
    names = [trial.name for trial in trials({"A": ["1", "2"]}, range(2), b"file")]
    assert len(set(names)) == 4 and names != [trial.name for trial in trials({"A": ["1", "2"]}, range(2), b"other")]
    assert names[:2] == [trial.name for trial in trials({"A": ["1"]}, range(2), b"file")]


def test_shared_runs_take_what_another_has_made_of_the_same_and_nothing_else(tmp_path):
    one, other = (SharedRun(tmp_path / name, tmp_path / "pool") for name in "ab")
    one.write("layers/1", "made", HOW, kernels=[1.0])
    one.write("layers/1-unfinished", "made", HOW, kernels=[1.0])
    with pytest.raises(StoreError, match="not there yet"):
        other.read("layers/1", "train", "made otherwise")
    assert other.cached("layers/1-unfinished", "made") is None
    assert other.read("layers/1", "train", "made")["kernels"].tolist() == [1.0]
    assert other.file("layers/1").samefile(one.file("layers/1"))
    other.write("layers/1", "made", HOW, kernels=[2.0])
    assert one.read("layers/1", "train", "made")["kernels"].tolist() == [1.0]
    other.file("layers/1").unlink()
    other.file("layers/1").write_bytes(b"damaged")
    assert other.read("layers/1", "train", "made")["kernels"].tolist() == [2.0]


def test_runs_on_a_file_system_without_links_copy(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError("no links")

    monkeypatch.setattr(os, "link", refuse)
    one, other = (SharedRun(tmp_path / name, tmp_path / "pool") for name in "ab")
    one.write("svm", "made", HOW, coefficients=[1.0])
    assert other.read("svm", "train", "made")["coefficients"].tolist() == [1.0]
    assert not other.file("svm").samefile(one.file("svm"))
