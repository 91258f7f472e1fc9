"""--set and what is kept of it, parameters in TOML, init, and a parameters file that is not used."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.cli import init, modes, unused
from spikingconvnet.cli import main as cli
from spikingconvnet.data import idx
from spikingconvnet.experiment import settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(parameters, tmp_path, monkeypatch, capsys):
    """A function that runs one command line beside a small parameters file: (exit code, stdout, stderr)."""
    parameters()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(modes, "_plot", lambda *_: [])

    def call(*words):
        code = cli.main([*map(str, words), "--run-dir", "run"])
        return (code, *capsys.readouterr())

    return call


def test_a_value_is_kept_in_the_run_directory_and_said_in_the_next_command(command, tmp_path):
    assert command("--mode", "loaddata", "--set", "N_TRAIN=100", "--set", "MODEL.1.filters=3")[0] == 0
    assert json.loads((tmp_path / "run/set.json").read_text()) == {"N_TRAIN": "100", "MODEL.1.filters": "3"}
    assert "3 filters" in command("--mode", "info")[1]
    code, _, err = command("--mode", "training", "--layer", "1", "--set", "N_TRAIN=90")
    assert code == 5 and "other settings" in err and "--set N_TRAIN=90" in err
    assert command("--mode", "training", "--layer", "1", "--set", "MODEL.1.filters=2")[0] == 0
    with np.load(tmp_path / "run/layers/1.npz") as layer:
        assert layer["kernels"].shape[0] == 2
    run = json.loads((tmp_path / "run/results.json").read_text())["run"]
    assert run["set"] == {"N_TRAIN": "100", "MODEL.1.filters": "2"} and run["settings"]["N_TRAIN"] == 100
    assert set(run["seconds"]) == {"loaddata", "training 1"} and {"numpy", "python"} < set(run["versions"])
    assert run["settings"]["MODEL"]["layers"][0]["filters"] == 2
    assert command("--mode", "loaddata")[0] == 0 and json.loads((tmp_path / "run/set.json").read_text()) == {}


def test_a_seed_that_is_set_later_is_not_the_one_that_was_kept(command):
    command("--mode", "loaddata", "--seed", "3")
    assert json.loads(command("--mode", "info", "--json")[1])["seed"] == 3
    assert json.loads(command("--mode", "info", "--json", "--set", "SEED=4")[1])["seed"] == 4
    assert command("--mode", "training", "--layer", "1", "--set", "SEED=4")[0] == 5


@pytest.mark.parametrize("words, wanted", [
    (["--set", "SEED=1", "--seed", "2"], "--set SEED: is what --seed gives"),
    (["--set", "DATASET=x", "--source", "y"], "--set DATASET: is what --source gives"),
    (["--set", "N_TRIAN=2"], "did you mean N_TRAIN?"),
    (["--set", "DATASET=https://h/x"], "give it as --source"),
    (["--set", "DATASET=https://me:secret@h/x"], "is not repeated here"),
    (["--rule", "ridge", "--arch", "784-20-10", "--set", "MODEL.1.units=4"], "--set MODEL.1.units: has no effect")])
def test_a_value_that_nothing_would_read_is_refused(command, words, wanted):
    code, _, err = command("--mode", "loaddata", *words)
    assert code == 2 and wanted in err and "secret@" not in err and err.count("\n") == 1


def test_a_mode_without_an_experiment_takes_no_value(command, capsys):
    assert cli.main(["--mode", "doctor", "--set", "SLOT=3"]) == 2
    assert "--set: belongs to --mode" in capsys.readouterr().err


def test_parameters_in_toml_give_the_same_run_and_are_kept_as_they_are(command, tmp_path):
    settings.save(settings.load("parameters.py"), "mine.toml")
    assert command("--mode", "loaddata")[0] == 0
    before = (tmp_path / "run/data/train.npz").read_bytes()
    assert command("--mode", "loaddata", "--parameters", "mine.toml")[0] == 0
    assert (tmp_path / "run/data/train.npz").read_bytes() == before
    assert (tmp_path / "run/parameters.toml").read_text() == (tmp_path / "mine.toml").read_text()
    assert not (tmp_path / "run/parameters.py").exists()
    (tmp_path / "parameters.py").rename("other.py")
    assert command("--mode", "training", "--layer", "1")[0] == 0
    (tmp_path / "mine.toml").rename("parameters.toml")
    assert "4 filters" in command("--mode", "info")[1]
    (tmp_path / "other.py").rename("parameters.py")
    assert "are both here" in command("--mode", "demo")[2]


def test_damaged_values_are_a_sentence(command, tmp_path):
    command("--mode", "loaddata", "--set", "N_TRAIN=100")
    for text in ("{", "[1]", '{"N_TRAIN": 3}', '{"N_TRAIN": "x y"}'):
        (tmp_path / "run/set.json").write_text(text)
        code, _, err = command("--mode", "info")
        assert code in (2, 5) and err.startswith("error: ") and err.count("\n") == 1
    assert command("--mode", "loaddata")[0] == 0 and "120 train" in command("--mode", "loaddata")[2]


def test_a_file_that_is_not_used_is_said_with_what_differs(command, tmp_path):
    assert command("--mode", "loaddata")[0] == 0
    text = (tmp_path / "parameters.py").read_text()
    (tmp_path / "parameters.py").write_text(f"# the same\n{text}")
    assert "warning" not in command("--mode", "info")[2]
    (tmp_path / "parameters.py").write_text(text.replace("windows=60", "windows=90").replace("= 120", "= 100")
                                            + "\nRESET = False")
    err = command("--mode", "info")[2]
    assert "warning: parameters.py is NOT used" in err and "--mode loaddata --run-dir run  " in err
    assert re.findall("^  (.*)$", err, re.MULTILINE)[:3] == [
        "N_TRAIN: 100 here, 120 in use", "MODEL.1.training.windows: 90 here, 60 in use",
        "RESET: only in the file here"]
    (tmp_path / "parameters.py").write_text("import sys; sys.exit(3")
    assert "parameters.py cannot be read" in command("--mode", "info")[2]


def test_two_toml_files_are_compared_too(tmp_path):
    for name, slot in (("a.toml", 30), ("b.toml", 31)):
        (tmp_path / name).write_text(f"SLOT = {slot}")
    assert unused.found(tmp_path / "a.toml", tmp_path / "b.toml") == ["SLOT: 31 here, 30 in use"]
    (tmp_path / "c.py").write_text("SLOT = 30")
    assert f"{tmp_path / 'c.py'} is Python" in unused.found(tmp_path / "a.toml", tmp_path / "c.py")


def test_the_template_is_the_parameters_file_of_the_project():
    assert init.TEMPLATE.read_text() == (ROOT / "parameters.py").read_text()


@pytest.fixture
def empty(tmp_path, monkeypatch, capsys):
    """A function that runs a command in an empty folder, where data come from a function: (exit code, out, err)."""
    fetched = []

    def load_address(address, part, cache):
        fetched.append(part)
        folder = init.cache_folder(address, cache)
        folder.mkdir(exist_ok=True)
        (folder / part).write_text("digits")

    def call(*words):
        return (cli.main(["--mode", "init", *map(str, words)]), *capsys.readouterr(), fetched)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(init, "load_address", load_address)
    return call


def test_init_writes_parameters_and_fetches_what_they_ask_for_once(empty, tmp_path):
    code, out, err, fetched = empty()
    assert code == 0 and out.startswith("parameters.py\nnext: ") and "fetching MNIST" in err
    assert (tmp_path / "parameters.py").read_text() == (ROOT / "parameters.py").read_text()
    assert sorted(path.name for path in (tmp_path / "data/mnist").iterdir()) == ["test", "train"]
    (tmp_path / "parameters.py").write_text((tmp_path / "parameters.py").read_text() + "\nSEED = 5\n")
    code, _, err, fetched = empty()
    assert code == 0 and "stays as it is" in err and len(fetched) == 2
    assert (tmp_path / "parameters.py").read_text().endswith("SEED = 5\n")
    code, _, err, _ = empty("--toml")
    assert code == 2 and "parameters.py: is there already" in err


@pytest.mark.parametrize("rule", [None, "ridge", "surrogate"])
def test_init_in_toml_says_the_same_and_comments_it(empty, rule, tmp_path):
    code, out, _, _ = empty("my folder", "--toml", *["--rule", rule] * bool(rule))
    assert code == 0 and "cd 'my folder'; " in out
    source = init.TEMPLATE if rule is None else ROOT / f"spikingconvnet/experiment/recipes/{rule}.py"
    found, wanted = settings.load(tmp_path / "my folder/parameters.toml"), settings.load(source)
    assert repr(found.model) == repr(wanted.model) and repr(found.rule) == repr(wanted.rule)
    text = (tmp_path / "my folder/parameters.toml").read_text()
    assert "# threshold = 0.0" in text and "# steps per image" in text and "# SEED = 0" in text
    uncommented = re.sub("^# (?=[A-Za-z_]+ = )", "", text, flags=re.MULTILINE)
    (tmp_path / "my folder/all.toml").write_text(uncommented)
    assert repr(settings.load(tmp_path / "my folder/all.toml").encoder) == repr(wanted.encoder)


def test_without_a_network_init_says_where_data_go(empty, tmp_path, monkeypatch):
    def fail(*_):
        raise idx.DataError("https://h/x: cannot be downloaded (no network); check the address")

    monkeypatch.setattr(init, "load_address", fail)
    code, _, err, _ = empty()
    assert code == 4 and "copy MNIST's four files into data/mnist, or give another DATASET in it" in err
    assert (tmp_path / "parameters.py").is_file() and list((tmp_path / "data").iterdir()) == []
