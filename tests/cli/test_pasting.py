"""A command in an error's text, pasted into a shell as it is printed, means the same options."""

import shlex
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from spikingconvnet.cli import main as cli
from spikingconvnet.cli import modes
from spikingconvnet.cli import parameters as parameters_module
from spikingconvnet.cli.arguments import parse
from spikingconvnet.cli.messages import program
from spikingconvnet.cli.parameters import kept_options
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import figures
from spikingconvnet.experiment.results import Results
from spikingconvnet.store.directory import word

# What can stand in a name and be seen; the rest is shown escaped.
SEEN = st.characters(exclude_categories=("C", "Z"), include_characters=" ", exclude_characters="/")
NAMES = st.text(SEEN, min_size=1, max_size=30).filter(lambda name: name.strip(".") and str(Path(name)) == name)
ODD = ("a b", "it's", 'say "no"', "$(reboot)", "-x", "--mode", "a;b&c|d", "~", "*", "#1", "a\\b", "!1", "\u00e9\u732b")


def pasted(text, called):
    """The options of the command with which a text ends."""
    words = shlex.split(text[text.rindex(f"{called} --mode"):])
    return parse(words[len(shlex.split(called)):])


@given(NAMES, NAMES, st.none() | st.integers(0, 9), st.none() | NAMES, st.sampled_from([None, 1, "svm"]),
       st.lists(st.builds("SLOT={}".format, NAMES), max_size=2))
@example("-x", "--mode", None, "784-10", None, ["MODEL.1.neuron=(1, 'a b')"])
def test_the_command_that_makes_a_result_is_parsed_to_the_options_that_were_given(run_dir, file, seed, arch, layer,
                                                                                  sets):
    options = Namespace(seed=seed, arch=arch and f"8{arch}", set=sets)
    store, called = Namespace(path=Path(run_dir)), "python3 'a b/main.py'"
    made = Results(Namespace(model=None, source=None), store, program=called, options=kept_options(Path(file), options))
    found = pasted(f"no data; run: {made.command('training', layer)}", called)
    assert (Path(found.run_dir), found.seed, found.arch) == (Path(run_dir), seed, options.arch)
    assert (found.set or []) == sets
    assert found.layer == (layer and str(layer)) and found.mode == "training" and found.paths == []
    assert Path(found.parameters or "parameters.py") == Path(file)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(NAMES, st.none() | NAMES, st.none() | st.integers(0, 9))
def test_an_error_of_the_command_line_ends_with_a_command_that_can_be_pasted(tmp_path, monkeypatch, capsys, run_dir,
                                                                             file, seed):
    with monkeypatch.context() as patch:
        patch.chdir(tmp_path)
        patch.setattr(sys, "argv", ["a b/main.py"])
        patch.setattr(sys, "orig_argv", ["python3", "a b/main.py"])
        words = [f"--run-dir={run_dir}", *([f"--parameters={file}"] if file else []),
                 *([f"--seed={seed}"] if seed is not None else [])]
        assert cli.main(["--mode", "info", *words]) == 5
        found = pasted(capsys.readouterr().err, program())
    assert (found.mode, Path(found.run_dir), found.seed) == ("loaddata", Path(run_dir), seed)
    assert found.parameters is None or Path(found.parameters) == Path(file)


@pytest.mark.parametrize("name", ODD)
def test_what_a_missing_step_asks_for_can_be_pasted(name, parameters, tmp_path, monkeypatch, capsys):
    parameters().rename(tmp_path / f"{name}.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "spikingconvnet")])
    named = [f"--parameters={name}.py", f"--run-dir={name}", "--seed", "3"]
    for layer in ("1", "svm"):
        assert cli.main(["--mode", "training", "--layer", layer, *named]) == 5
        found = pasted(capsys.readouterr().err, program())
        assert (found.mode, Path(found.parameters), found.seed) == ("loaddata", Path(f"{name}.py"), 3)
        assert Path(found.run_dir) == Path(name)


@pytest.mark.parametrize("path, shown", [("a", "a"), ("a b", "'a b'"), ("-a", "./-a"), (Path("-a b"), "'./-a b'")])
def test_a_path_is_one_word(path, shown):
    assert word(path) == shown


def test_without_a_network_the_demo_names_a_set_that_needs_none(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["main.py"])
    monkeypatch.setattr(sys, "orig_argv", ["python", "main.py"])
    closed = "http://127.0.0.1:1/mnist"
    for module in (parameters_module, modes):
        monkeypatch.setattr(module, "ADDRESS", closed)
    monkeypatch.setattr(parameters_module, "BROUGHT", tmp_path)
    (tmp_path / "template.py").write_bytes(parameters_module.TEMPLATE.read_bytes())
    monkeypatch.setattr(parameters_module, "TEMPLATE", tmp_path / "template.py")
    assert cli.main(["--mode", "demo", "--run-dir", "my run"]) == 4
    err = capsys.readouterr().err
    assert f"{closed}/train-images-idx3-ubyte.gz: cannot be downloaded" in err
    found = pasted(err, "python main.py")
    assert (found.mode, found.source, found.run_dir) == ("demo", "sklearn:digits", "my run-digits")


@pytest.mark.parametrize("source", [None, "a b.npz", "-x", "sklearn:digits"])
def test_a_source_is_named_where_it_is_asked_for_and_nowhere_else(source):
    made = Results(Namespace(model=None, source=source), Namespace(path=Path("run")), program="main.py")
    loads = pasted(made.command("loaddata"), "main.py").source
    assert loads == source or Path(loads) == Path(source)
    for mode, layer in (("training", 1), ("training", "svm"), ("testing", None)):
        assert pasted(made.command(mode, layer), "main.py").source is None


def test_a_run_with_another_source_is_gone_on_with_as_it_is_told(parameters, tmp_path, monkeypatch, capsys, caplog):
    """Whatever the parameters: those that the run keeps, none yet (the command has failed), or the same ones named."""
    path, source = parameters(), tmp_path / "a b.npz"
    images = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (20, 25, 1))
    images[::2] = images[::2, ::-1].transpose(0, 2, 1)
    np.savez(source, images=images, labels=np.arange(20) % 2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "spikingconvnet")])
    monkeypatch.setattr(figures, "plot", lambda *_: [])
    named = [f"--parameters={path}", "--run-dir=run"]
    sets = ["--set", "CLASSES=(0, 1)", "--set", "N_VALIDATION=0"]
    loaded = ["--mode", "loaddata", f"--source={source}", *sets, *named]
    assert cli.main(loaded) == 0
    for more in ([*named, *sets], named[1:]):
        assert cli.main(["--mode", "training", "--layer", "svm", *more]) == 5
        assert "--layer 1" in (err := capsys.readouterr().err) and "--source" not in err
    assert cli.main(["--mode", "training", "--layer=1", "--seed=8", *named]) == 5
    found = pasted(capsys.readouterr().err.partition(", or use")[0], program())
    assert (found.mode, found.source, found.seed) == ("loaddata", str(source), 8)
    (tmp_path / "run" / path.name).unlink(missing_ok=True)
    (tmp_path / "run/parameters.py").unlink(missing_ok=True)
    assert cli.main(["--mode", "training", "--layer", "svm", *sets, *named]) == 5
    assert "--layer 1" in (err := capsys.readouterr().err) and "--source" not in err
    path.write_text(path.read_text() + "\nRESET = False\n")
    assert cli.main(loaded) == 0
    (tmp_path / "parameters.py").write_text("SEED = 3")
    assert cli.main(["--mode", "info", "--run-dir=run"]) == 0
    assert pasted(caplog.messages[-1].partition("   (")[0], program()).source == str(source)


@pytest.mark.parametrize("called", [["python", "main.py"], ["spikingconvnet"], ["python3", "a b/main.py"]])
def test_how_it_was_called_is_said_once(called, monkeypatch):
    """Both by what knows how it was called, and by what says ``main.py`` wherever that is."""
    monkeypatch.setattr(sys, "orig_argv", called)
    monkeypatch.setattr(sys, "argv", called[-1:])
    monkeypatch.setattr(shutil, "which", lambda name: None)
    told = cli._one_line(SettingsError(f"make it with: {program()} --mode loaddata, then run: main.py --mode demo"))
    assert told == f"make it with: {shlex.join(called)} --mode loaddata, then run: {shlex.join(called)} --mode demo"
