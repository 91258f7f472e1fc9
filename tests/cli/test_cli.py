"""The command line: modes, exit codes, streams."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import sketches

from spikingconvnet.cli import main as cli
from spikingconvnet.cli import modes
from spikingconvnet.errors import SimulationFailed
from spikingconvnet.experiment import figures
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.readout import Score

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("sketched")


@pytest.fixture
def command(parameters, tmp_path, capsys):
    """A function that runs one command line: (exit code, stdout, stderr)."""
    path = parameters()

    def call(*words, file=path):
        code = cli.main([*map(str, words), "--parameters", str(file), "--run-dir", str(tmp_path / "run")])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def demo(parameters_in, tmp_path_factory):
    """The run directory of a demo of the same parameters."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        sketches.instead_of_figures(patch.setattr)
        assert cli.main(["--mode", "demo", "--parameters", str(parameters_in(folder)), "--run-dir",
                         str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def done(demo, tmp_path):
    """A copy of it where `command` looks for one."""
    shutil.copytree(demo, tmp_path / "run")


@pytest.mark.drawn
def test_the_four_commands_of_the_original_train_and_test_a_network(command, tmp_path):
    for words in (["loaddata"], ["training", "--layer", "1"], ["training", "--layer", "svm"]):
        assert command("--mode", *words)[0] == 0
    code, out, _err = command("--mode", "testing")
    assert code == 0
    assert out.splitlines()[-1].startswith("test accuracy ") and out.endswith(" %\n")
    stems = {p.stem for p in (tmp_path / "run/plots").glob("*.png")}
    assert stems == {"inputs", "kernels-1", "training-1", "confusion"}
    assert (tmp_path / "run/parameters.py").read_text() == (tmp_path / "parameters.py").read_text()


@pytest.mark.drawn
def test_demo_does_everything_and_ends_with_the_accuracy(command, tmp_path):
    code, out, _err = command("--mode", "demo")
    assert code == 0 and out.splitlines()[-1].startswith("test accuracy ")
    stems = {p.stem for p in (tmp_path / "run/plots").glob("*.svg")}
    assert stems == {"inputs", "kernels-1", "training-1", "raster-1", "membranes-1", "activity-1", "confusion"}
    before = (tmp_path / "run/layers/1.npz").stat().st_mtime_ns
    assert command("--mode", "demo")[1] == out
    assert (tmp_path / "run/layers/1.npz").stat().st_mtime_ns == before


@pytest.mark.usefixtures("done")
def test_json_prints_exactly_one_object_on_stdout(command):
    code, out, err = command("--mode", "testing", "--json")
    result = json.loads(out)
    assert code == 0
    assert {"mode", "accuracy", "n_test", "seconds", "backend", "seed"} <= set(result)
    assert result["n_test"] == 60 and result["mode"] == "testing" and result["backend"] == "local"
    assert sum(map(sum, result["confusion"])) == 60
    first, second = result["accuracy_by_half"]
    assert first != second and (first + second) / 2 == pytest.approx(result["accuracy"])
    assert f"first half of them {100 * first:.2f} %, second half {100 * second:.2f} %" in err


def test_a_floor_has_no_course_of_training_to_plot(command, tmp_path):
    command("--mode", "loaddata")
    command("--mode", "training", "--layer", "1", "--rule", "random")
    assert command("--mode", "plot")[0] == 0
    assert not (tmp_path / "run/plots/training-1.png").exists()


def test_a_split_without_images_is_an_error_that_names_the_parameter(command, parameters):
    path = parameters(N_VALIDATION=0)
    command("--mode", "demo", file=path)
    code, out, err = command("--mode", "testing", "--split", "validation", file=path)
    assert (code, out) == (2, "") and "N_VALIDATION: is 0" in err


@pytest.mark.usefixtures("done")
def test_validation_images_are_classified_on_request(command):
    assert command("--mode", "testing", "--split", "validation")[1].startswith("validation accuracy ")


@pytest.mark.parametrize("words, code, text", [
    (["--mode", "training"], 2, "--layer: is missing; must be one of 1, svm"),
    (["--mode", "training", "--layer", "2"], 2, "--layer: got '2', must be one of 1, svm"),
    (["--mode", "testing", "--rule", "random"], 2, "--rule: belongs to --mode training or demo"),
    (["--mode", "info", "--split", "test"], 2, "--split: belongs to --mode testing"),
    (["--mode", "demo", "--source", ""], 2, "--source: must not be empty"),
    (["--mode", "testing", "--layer", "1"], 2, "--layer: belongs to --mode training"),
    (["--mode", "info", "--source", "x"], 2, "--source: belongs to --mode loaddata"),
    (["--mode", "info", "--jobs", "0"], 2, "--jobs: must be at least 1"),
    (["--mode", "info", "--jobs", "1000000000"], 2, "--jobs: must be at most 1,024"),
    (["--mode", "info", "--seed", "-1"], 2, "--seed: must be at least 0, got -1"),
    (["--mode", "info", "--seed", "4294967296"], 2, "--seed: must be at most 4,294,967,295, got 4294967296"),
    (["--mode", "loaddata", "--source", "nowhere"], 4, "nowhere"),
    (["--mode", "training", "--layer", "1"], 5, "--mode loaddata"),
    (["--mode", "testing"], 5, "--mode loaddata"),
    (["--mode", "plot"], 5, "--mode loaddata"),
])
def test_errors_say_what_is_wrong_in_one_line_and_have_their_exit_code(command, words, code, text):
    found, out, err = command(*words)
    assert (found, out) == (code, "")
    assert text in err and err.count("\n") == 1 and err.startswith("error: ")


def test_a_missing_parameters_file_is_named(command, tmp_path):
    code, _, err = command("--mode", "loaddata", file=tmp_path / "absent.py")
    assert code == 2 and "absent.py: no such parameters file" in err


def test_info_shows_the_model_and_what_is_trained(command):
    command("--mode", "loaddata")
    code, out, _ = command("--mode", "info")
    assert code == 0 and "Conv2D  4 filters 5x4" in out and "layer 1: not yet" in out
    command("--mode", "demo")
    out = command("--mode", "info")[1]
    assert "svm: done" in out and "layer 1: done, stdp" in out and "test accuracy" in out and "seed 0" in out


def test_the_seed_of_the_command_line_wins(command):
    assert json.loads(command("--mode", "loaddata", "--seed", "7", "--json")[1])["seed"] == 7
    assert command("--mode", "training", "--layer", "1")[0] == 5


def test_an_interrupt_is_not_an_error_trace(command, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(modes.MODES, "plot", interrupt)
    code, out, err = command("--mode", "plot")
    assert (code, out) == (130, "") and "the same command goes on" in err


def test_main_py_is_the_command_line_and_piped_output_has_no_progress_bars(parameters, tmp_path):
    """And nothing is written to the home directory."""
    home = tmp_path / "home"
    home.mkdir()
    done = subprocess.run([sys.executable, ROOT / "main.py", "--mode", "demo", "--parameters", parameters(),
                           "--run-dir", tmp_path / "piped"], capture_output=True, text=True, cwd=tmp_path, check=True,
                          env={**os.environ, "HOME": str(home), "MPLCONFIGDIR": matplotlib.get_cachedir()})
    assert done.stdout.startswith("test accuracy ") and "\r" not in done.stderr and "it/s" not in done.stderr
    assert list(home.rglob("*")) == []


@pytest.mark.usefixtures("done")
def test_a_run_directory_can_be_continued_from_elsewhere_without_naming_parameters(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert cli.main(["--mode", "testing", "--run-dir", str(tmp_path / "run")]) == 0


def test_an_unwritable_run_directory_is_an_error_with_a_way_out(parameters, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert cli.main(["--mode", "loaddata", "--parameters", str(parameters()), "--run-dir", str(blocked / "run")]) == 9
    assert "choose another place for it" in capsys.readouterr().err


@pytest.mark.usefixtures("done")
def test_a_failing_command_leaves_the_kept_parameters_alone(command, tmp_path):
    kept = (tmp_path / "run/parameters.py").read_bytes()
    other = tmp_path / "other.py"
    other.write_bytes(kept.replace(b"SLOT = 30", b"SLOT = 31"))
    assert command("--mode", "training", "--layer", "1", file=other)[0] == 5
    assert (tmp_path / "run/parameters.py").read_bytes() == kept


@pytest.mark.parametrize("run_dir", ["", "."])
def test_a_run_never_replaces_a_parameters_file_that_is_not_its_own(parameters, tmp_path, monkeypatch, capsys, run_dir):
    path = parameters()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_bytes(path.read_bytes().replace(b"SLOT = 30", b"SLOT = 31"))
    before = path.read_bytes()
    assert cli.main(["--mode", "loaddata", "--parameters", "mine.py", "--run-dir", run_dir]) in (2, 5)
    assert path.read_bytes() == before and "error: " in capsys.readouterr().err


def test_a_run_goes_on_with_the_parameters_seed_and_source_it_was_loaded_with(parameters, tmp_path, monkeypatch, capsys,
                                                                             small_mnist):
    path, run = parameters(DATASET="nowhere"), str(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    load = ["--mode", "loaddata", "--parameters", str(path), "--seed", "5", "--source", str(small_mnist)]
    assert cli.main([*load, "--run-dir", run]) == 0
    path.write_text("broken =")
    assert cli.main(["--mode", "training", "--layer", "1", "--run-dir", run, "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out.splitlines()[-1])["seed"] == 5
    assert "parameters.py is NOT used" in captured.err


@pytest.mark.usefixtures("done")
def test_demo_trains_again_when_another_rule_is_asked_for(command):
    assert ", random:" in command("--mode", "demo", "--rule", "random")[2]
    assert ", stdp:" in command("--mode", "demo")[2]


def test_data_of_another_source_are_not_taken_for_those_of_the_parameters(command, small_mnist, tmp_path):
    other = tmp_path / "mnist2"
    other.mkdir()
    for path in small_mnist.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    command("--mode", "demo", "--source", other)
    assert "images: 120 train" in command("--mode", "demo")[2]


def test_images_without_anything_in_them_are_refused_before_anything_is_replaced(command, tmp_path):
    command("--mode", "loaddata")
    small = tmp_path / "small"
    small.mkdir()
    for part in ("train", "t10k"):
        (small / f"{part}-images-idx3-ubyte").write_bytes(
            (2051).to_bytes(4, "big") + b"".join(n.to_bytes(4, "big") for n in (200, 20, 20)) + bytes(80_000))
        (small / f"{part}-labels-idx1-ubyte").write_bytes(
            (2049).to_bytes(4, "big") + (200).to_bytes(4, "big") + bytes(range(10)) * 20)
    before = (tmp_path / "run/data/train.npz").read_bytes()
    code, _, err = command("--mode", "loaddata", "--source", small)
    assert code == 4 and "every pixel is 0" in err
    assert (tmp_path / "run/data/train.npz").read_bytes() == before


@pytest.mark.usefixtures("done")
def test_a_new_layer_takes_outdated_figures_and_results_with_it(command, tmp_path):
    command("--mode", "training", "--layer", "1", "--rule", "random")
    assert {p.stem for p in (tmp_path / "run/plots").glob("*.png")} == {"inputs", "kernels-1"}
    result = json.loads(command("--mode", "info", "--json")[1])
    assert "test" not in result["results"] and result["done"]["svm"] is False


@pytest.mark.drawn
def test_each_split_has_its_confusion_matrix_and_a_new_readout_takes_them_and_the_pages_away(
        command, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "figure_names", lambda experiment: [*figures.CONFUSIONS.values()])
    command("--mode", "demo")
    command("--mode", "testing", "--split", "validation")
    run, plots = tmp_path / "run", tmp_path / "run/plots"
    assert "of 40 validation images" in (plots / "confusion-validation.svg").read_text()
    assert "of 60 test images" in (plots / "confusion.svg").read_text()
    command("--mode", "plot", "--pdf", "--no-titles")
    assert (plots / "confusion.pdf").is_file() and "of 60 test images" not in (plots / "confusion.svg").read_text()
    (run / "report-beside-b.html").write_text("of before")
    command("--mode", "training", "--layer", "svm")
    assert not [*plots.glob("*"), *run.glob("*.html")]


@pytest.mark.parametrize("words, name", [
    (["demo", "--run-dir", "https://ada:s3cret@host/run"], "--run-dir"),
    (["info", "--parameters", "s3cret://x@y"], "--parameters"),
    (["predict", "--images", "a.npy", "s3://bucket/s3cret@1"], "--images"),
    (["bundle", "ftp://s3cret@host/job.py"], "--mode bundle"),
    (["testing", "--record", "file:///s3cret@x.npz"], "--record")])
def test_an_address_is_no_path_and_what_is_secret_in_it_is_not_repeated(words, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--mode", *words]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"error: {name}: must be a path on this machine, not an address")
    assert "@" not in said.err + said.out and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words, text", [
    (["--copies", 2], "--copies: belongs to --backend spinnaker"),
    (["--time-scale", 2], "--time-scale: belongs to --backend spinnaker"),
    (["--packet-buffer", 512], "--packet-buffer: belongs to --backend spinnaker"),
    (["--timed"], "--timed: belongs to --backend spinnaker"),
    (["--backend", "spinnaker", "--target", "spin3", "--timed"], "--timed: belongs to --target emulated"),
    (["--backend", "spinnaker", "--packet-buffer", 0], "--packet-buffer: must be at least 1, got 0"),
    (["--target", "emulated"], "--target: belongs to --backend spinnaker"),
    (["--backend", "spinnaker", "--copies", 0], "--copies: must be at least 1, got 0"),
    (["--backend", "spinnaker", "--time-scale", -1], "--time-scale: must be at least 1, got -1"),
    (["--backend", "spinnaker", "--target", ""], "--target: must not be empty")])
def test_options_of_a_board_are_checked(command, words, text):
    code, _, err = command("--mode", "testing", *words)
    assert code == 2 and text in err


def test_a_failure_names_the_commands_that_come_next_without_a_password(command, monkeypatch):
    def fail(*_):
        raise SimulationFailed("the board is gone")

    monkeypatch.setitem(modes.MODES, "testing", fail)
    target = "spalloc:https://me:secret@boards.example/spalloc/"
    code, _, err = command("--mode", "testing", "--backend", "spinnaker", "--target", target)
    shown = "--target spalloc:https://boards.example/spalloc/"
    assert code == 3 and "secret" not in err and "me" not in err.split() and err.count(shown) == 2
    assert "in SPALLOC_USER and SPALLOC_PASSWORD)" in err
    assert f"--mode doctor {shown}; then go on with: " in err
    assert "doctor" not in command("--mode", "testing", "--backend", "spinnaker")[2]
    assert "; go on with: " in command("--mode", "testing")[2]


@pytest.mark.parametrize("words", [["loaddata"], ["training", "--layer", "1"], ["info"], ["plot"]])
def test_a_cluster_is_refused_where_nothing_would_run_on_it(command, words):
    code, _, err = command("--mode", *words, "--cluster", "local")
    assert code == 2
    assert f"--cluster: {'has nothing to do here' if words[0] == 'training' else 'belongs to --mode training'}" in err


@pytest.mark.parametrize("words, copies", [
    (["--target", "127.0.0.9"], "auto"), (["--target", "emulated"], 1), ([], 1), (["--copies", "auto"], "auto"),
    (["--target", "spin3", "--copies", "2"], 2), (["--target", "virtual"], 1)])
def test_a_board_holds_as_many_copies_as_fit_unless_it_is_emulated(command, words, copies, monkeypatch):
    found = []
    monkeypatch.setitem(modes.MODES, "testing", lambda experiment, options: found.append(experiment.runner.copies) or {
        "split": "test", "accuracy": 0.0})
    monkeypatch.setattr(cli, "REPORTED", ())
    assert command("--mode", "testing", "--backend", "spinnaker", *words)[0] == 0
    assert found == [copies]


def test_a_virtual_board_neither_trains_nor_tests(command, tmp_path):
    command("--mode", "loaddata")
    code, _, err = command("--mode", "training", "--layer", 1, "--backend", "spinnaker", "--target", "virtual")
    assert code == 3 and "computes nothing" in err and "--target emulated" in err
    assert not (tmp_path / "run/layers").exists()


def test_mapping_needs_the_backend_that_maps(command):
    code, _, err = command("--mode", "map")
    assert code == 2 and "--mode map: needs --backend spinnaker" in err


@pytest.mark.usefixtures("done")
def test_a_class_without_images_is_null_in_json_and_said_in_words(command, monkeypatch):
    confusion = np.array([[3, 1], [0, 0]])
    monkeypatch.setattr(Experiment, "test", lambda self, split: Score(np.array([0, 1]), confusion, (0.5, float("nan"))))
    code, out, err = command("--mode", "testing", "--json")
    found = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert code == 0 and found["recall"] == [0.75, None] and "1: none shown" in err


def test_a_command_in_an_error_text_means_the_same_experiment(command, tmp_path):
    command("--mode", "loaddata")
    _, _, err = command("--mode", "testing", "--seed", 7)
    assert f"--mode loaddata --run-dir {tmp_path / 'run'} --parameters {tmp_path / 'parameters.py'} --seed 7" in err


@pytest.mark.usefixtures("done")
def test_a_run_can_be_moved(tmp_path, monkeypatch):
    (tmp_path / "run").rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert cli.main(["--mode", "testing", "--run-dir", "."]) == 0


@pytest.mark.parametrize("mode", [["check"], ["testing"], ["map"], ["training", "--layer", 1], ["demo"], ["plot"]])
def test_a_target_that_is_no_machine_is_refused_in_every_mode(command, mode, tmp_path):
    code, out, err = command("--mode", *mode, "--backend", "spinnaker", "--target", "spin.7.")
    assert (code, out) == (2, "") and "--target spin.7.: no machine is called that" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("words, text", [
    (["loaddata", "--backend", "nest"], "--backend: belongs to --mode training or testing or demo or plot or sweep"),
    (["info", "--backend", "spinnaker"], "--backend: belongs to"),
    (["info", "--backend", "spinnaker", "--target", "spin5"], "--backend: belongs to"),
    (["plot", "--backend", "spinnaker", "--copies", 2], "--copies: belongs to --mode training or testing or demo"),
    (["check", "--backend", "spinnaker", "--copies", 2], "--copies: belongs to"),
    (["training", "--layer", 1, "--backend", "spinnaker", "--copies", 2], "--copies: has nothing to do here; learning"),
    (["training", "--backend", "spinnaker", "--copies", 2], "--copies: has nothing to do here; learning takes one"),
    (["map", "--backend", "spinnaker", "--time-scale", 2], "--time-scale: belongs to"),
    (["map", "--backend", "spinnaker", "--packet-buffer", 512], "--packet-buffer: belongs to"),
    (["plot", "--backend", "spinnaker", "--force"], "--force: belongs to --mode training or testing or demo or sweep or"
     " import"),
    (["info", "--strict"], "--strict: belongs to"),
    (["training", "--layer", "svm", "--rule", "random"], "--rule: has nothing to do with --layer svm"),
    (["training", "--cv", "2x2", "--layer", 1], "--layer: has nothing to do with --cv"),
    (["training", "--cv", "2x2", "--backend", "spinnaker", "--copies", 2], "--copies: has nothing to do with --cv"),
    (["training", "--cv", "2x2", "--backend", "spinnaker", "--force"], "--force: has nothing to do with --cv"),
    (["training", "--cluster", "local"], "--cluster: has nothing to do here"),
    (["loaddata", "--rule", "rstdp", "--dataset", "iris"], "--dataset: has nothing to do with --parameters"),
    (["doctor"], "--parameters: belongs to"), (["board"], "--parameters: belongs to")])
def test_an_option_that_nothing_would_read_is_refused(command, words, text):
    code, out, err = command("--mode", *words)
    assert (code, out) == (2, "") and text in err


@pytest.mark.parametrize("words", [["doctor", "--seed", "1"], ["board", "--seed", "1"], ["doctor", "--run-dir", "x"],
                                   ["board", "--run-dir", "x"], ["doctor", "--jobs", "1"], ["board", "--target", "x"],
                                   ["doctor", "--cluster", "local"]])
def test_modes_of_no_experiment_refuse_its_options(words, capsys):
    assert cli.main(["--mode", *words]) == 2
    assert f"{words[1]}: belongs to --mode " in capsys.readouterr().err


@pytest.fixture
def typo(parameters, tmp_path, monkeypatch, capsys):
    """A function that runs a command where one run is, none is here, and another is named: (exit code, out, err)."""
    path = parameters()
    assert cli.main(["--mode", "loaddata", "--parameters", str(path), "--run-dir", str(tmp_path / "runs/demo")]) == 0
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    capsys.readouterr()

    def call(*words, run_dir):
        before = sorted(tmp_path.rglob("*"))
        code = cli.main([*words, "--run-dir", str(tmp_path / run_dir)])
        assert sorted(tmp_path.rglob("*")) == before
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize("mode", [["info"], ["plot"], ["testing"], ["training", "--layer", "1"], ["check"],
                                  ["map", "--backend", "spinnaker"]])
@pytest.mark.parametrize("run_dir", ["runs/demmo", "runs"])
def test_a_mistyped_run_directory_is_an_error_that_names_the_nearest(typo, tmp_path, mode, run_dir):
    for file in ([], ["--parameters", str(tmp_path / "parameters.py")] * (mode[0] not in ("check", "map"))):
        code, out, err = typo("--mode", *mode, *file, run_dir=run_dir)
        assert (code, out) == (5, "") and f"did you mean {tmp_path / 'runs/demo'}?" in err
        assert str(tmp_path / run_dir) in err and "--mode loaddata" in err


@pytest.mark.parametrize("mode", ["loaddata", "demo", "info", "plot", "testing", "check"])
def test_a_file_is_no_run_directory(typo, tmp_path, mode):
    code, _, err = typo("--mode", mode, "--parameters", str(tmp_path / "parameters.py"), run_dir="parameters.py")
    assert code == 5 and "parameters.py: is a file and no run directory; choose another --run-dir" in err


def test_an_experiment_that_has_not_begun_is_looked_at_with_its_parameters_and_a_word(typo, tmp_path):
    code, out, err = typo("--mode", "check", "--parameters", str(tmp_path / "parameters.py"), run_dir="runs/demmo")
    assert code == 0 and out and f"runs/demmo: holds no run yet (did you mean {tmp_path / 'runs/demo'}?), so the" in err


@pytest.mark.parametrize("order", [1, -1])
def test_a_mistyped_run_is_not_compared(tmp_path, capsys, typo, order):
    paths = [str(tmp_path / name) for name in ("runs/demo", "runs/dmo")][::order]
    assert cli.main(["--mode", "compare", *paths]) == 5
    assert f"runs/dmo: no such run directory or recording (did you mean {tmp_path / 'runs/demo'}?)" in (
        capsys.readouterr().err)


def shaped(path, shape):
    """Another input shape in a parameters file."""
    path.write_text(path.read_text().replace("(2, 28, 28)", shape))
    return path


@pytest.mark.parametrize("shape", ["(2, 32, 32)", "(2, 20, 28)"])
def test_another_shape_than_that_of_the_images_is_told_in_every_mode(command, parameters, shape, tmp_path):
    for words in (["loaddata"], ["training", "--layer", 1], ["training", "--layer", "svm"]):
        assert command("--mode", *words)[0] == 0
    path, takes = shaped(parameters(), shape), shape.strip("()").replace(", ", "x")
    for words in (["training", "--layer", 1], ["training", "--layer", "svm"], ["testing"], ["check"], ["plot"],
                  ["info"], ["map", "--backend", "spinnaker"]):
        code, out, err = command("--mode", *words, file=path)
        assert (code, out) == (5, ""), words
        assert f".npz: holds 2x28x28, MODEL of the parameters takes {takes}; give MODEL the shape of" in err
        assert f"--mode loaddata --run-dir {tmp_path / 'run'}" in err and err.count("\n") == 1
    code, _, err = command("--mode", "demo", file=path)
    assert code == 4 and "images: must be " in err


@pytest.mark.parametrize("old, new, data", [
    ("Conv2D(4, (5, 4)", "Conv2D(5, (5, 4)", True), ("Conv2D(4, (5, 4)", "Conv2D(4, (6, 4)", True),
    ("SLOT = 30", "SLOT = 31", False), ("contrast=0.35", "contrast=0.3", False),
    ("N_TRAIN = 120", "CLASSES = range(9)\nN_TRAIN = 100", False)])
def test_what_was_made_with_other_settings_is_neither_used_nor_called_missing(command, tmp_path, old, new, data):
    for words in (["loaddata"], ["training", "--layer", 1], ["training", "--layer", "svm"]):
        command("--mode", *words)
    path = tmp_path / "changed.py"
    path.write_text((tmp_path / "parameters.py").read_text().replace(old, new))
    code, _, err = command("--mode", "testing", file=path)
    assert code == 5 and "other settings" in err
    code, out, err = command("--mode", "plot", file=path)
    assert "layer 1: of other settings than those in force, so its figures are not drawn" in err
    assert code == (0 if data else 5)
    out = command("--mode", "info", file=path)[1]
    assert f"data: {'done' if data else 'of other settings than those in force'}" in out
    assert "layer 1: of other settings than those in force" in out and "not yet" not in out
    code, out, _ = command("--mode", "check", file=path)
    assert code == 0 and "random kernels (those stored are of other settings)" in out
    assert ("no spikes (those stored are of other settings)" in out) != data
