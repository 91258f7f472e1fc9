"""The tables of modes and options: what is read, refused and suggested, and the help that they make."""

import re
import shlex
import subprocess

import pytest

from spikingconvnet.cli import completion, modes
from spikingconvnet.cli import main as cli
from spikingconvnet.cli.arguments import check, parse, parser
from spikingconvnet.cli.help import help_text
from spikingconvnet.cli.table import MODES, NO_MODE, OPTIONS
from spikingconvnet.errors import SettingsError
from spikingconvnet.gates import libraries


def test_every_mode_has_a_row_and_a_function():
    assert {*modes.MODES, *cli.OF_THEIR_OWN, "board"} == set(MODES)


def test_every_option_belongs_to_modes_that_there_are():
    named = {mode for option in OPTIONS for mode in (*option.modes, *option.but_in)}
    of_files = {f"{name} FILE" for name, mode in MODES.items() if mode.of_files is not None}
    assert named <= {*MODES, *of_files, *NO_MODE} and len({option.flag for option in OPTIONS}) == len(OPTIONS)


@pytest.mark.parametrize("words, text", [
    (["--mode", "dance"], "--mode: there is no 'dance'; one of demo, "),
    (["--mode", "trainig"], "--mode: there is no 'trainig' (did you mean training?)"),
    (["training", "--layer", "1"], "--mode: is missing (did you mean --mode training?)"),
    (["runs/a"], "--mode: is missing; one of "),
    (["--mode", "training", "--laier", "1"], "--laier: no such option (did you mean --layer?)"),
    (["--mode", "training", "--laier=1"], "--laier: no such option (did you mean --layer?)"),
    (["--modus", "training"], "--modus: no such option (did you mean --mode?)"),
    (["--mode", "training", "--zzz"], "--zzz: no such option; "),
    (["--mode", "training", "--rule", "stp"], "--rule: there is no 'stp' (did you mean stdp?); one of stdp, "),
    (["--mode", "testing", "--backend", "spinaker"], "(did you mean spinnaker?)"),
    (["--mode", "testing", "--copies", "many"], "--copies: must be a number or auto, got 'many'"),
    (["--mode", "info", "--seed", "x"], "--seed: must be a whole number, got 'x'"),
    (["--mode", "training", "--layer"], "--layer: expected one argument")])
def test_a_wrong_word_is_one_line_with_what_is_most_like_it(words, text, capsys):
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and text in err and err.count("\n") == 1


def test_words_of_before_are_read_as_before():
    options = parse(["--mode", "training", "--layer", "1", "--run-dir=a b", "--rul", "kmeans"])
    assert (options.mode, options.layer, options.run_dir, options.rule) == ("training", "1", "a b", "kmeans")
    assert parse(["a", "--mode", "compare", "b"]).paths == ["a", "b"]


def test_help_alone_is_short_and_has_a_line_for_each_mode(capsys):
    assert cli.main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 34 and all(len(line) <= 100 for line in lines)
    for mode in MODES.values():
        assert [line for line in lines if line.split()[:1] == [mode.name] and line.endswith(mode.help)]


@pytest.mark.parametrize("words", [["--mode", "training", "--help"], ["-h", "--mode", "training"]])
def test_help_of_a_mode_shows_what_belongs_to_it_and_nothing_else(words, capsys):
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "--layer" in out and "--run-dir" in out and "--json" in out and "--mode training --layer svm" in out
    assert "--split" not in out and "--weights" not in out and "  8  " not in out


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
def test_examples_are_what_the_mode_takes(mode):
    for words in mode.examples:
        options = parse(["--mode", mode.name, *words.split()])
        check(options)
    assert f"--mode {mode.name} {mode.examples[-1]}".strip() in help_text(mode.name, "x")


def test_every_option_is_in_the_help_of_its_modes_only():
    for option in OPTIONS:
        shown = {name for name in MODES if re.search(rf"^  {option.flag}\b", help_text(name, "x"), re.MULTILINE)}
        assert shown == {mode.split()[0] for mode in option.modes or MODES if mode}


def test_a_number_of_paths_that_a_mode_does_not_take_is_refused():
    assert [list(MODES[name].n_paths) for name in ("info", "check", "import", "export", "compare")] == [
        [0], [0, 1], [1], [1, 2], [2]]


def test_the_parser_itself_never_ends_the_process():
    with pytest.raises(SettingsError, match="^--layer: expected one argument"):
        parser().parse_args(["--layer"])


def completed(tmp_path, *words):
    """What bash offers for the last word of a line."""
    shtab = pytest.importorskip("shtab")
    assert shtab.SUPPORTED_SHELLS[:2] == ["bash", "zsh"]
    path = tmp_path / "completion"
    path.write_text(completion.script(parser(), "bash"))
    line = f"""source {shlex.quote(str(path))}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}
_shtab_spikingconvnet; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("words, offered", [
    (["--mode", "tr"], {"training"}), (["--lay"], {"--layer"}), (["--mode", "training", "--rule", "k"], {"kmeans"}),
    (["--record", "comp"], {"completion"})])
def test_a_shell_completes_modes_options_values_and_files(tmp_path, words, offered):
    assert completed(tmp_path, "spikingconvnet", *words) == offered


def test_completion_needs_no_mode_and_a_library(monkeypatch, capsys):
    monkeypatch.setattr(libraries, "find_spec", lambda name: None)
    assert cli.main(["--completion", "zsh"]) == 3
    assert "pip install 'spikingconvnet[completion]'" in capsys.readouterr().err
    assert cli.main(["--completion", "fsh"]) == 2
