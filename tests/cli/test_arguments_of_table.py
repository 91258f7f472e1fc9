"""Every mode with every option, and with every two that it takes: what is refused (``golden/command_line.json``).

After a change that is meant, see with git what became of the sentences:

    PYTHONPATH=. python tests/cli/test_arguments_of_table.py
"""

import argparse
import json
import zlib
from argparse import Namespace
from itertools import combinations
from pathlib import Path

import pytest

from spikingconvnet.cli import table
from spikingconvnet.cli.arguments import check, parse, parser, shows, use
from spikingconvnet.cli.help import help_text
from spikingconvnet.cli.table import MODES, OPTIONS
from spikingconvnet.errors import SettingsError

GOLDEN = Path(__file__).parents[1] / "golden" / "command_line.json"
KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
VALUES = {"set": [["SEED=3"], ["DATASET=x", "N_TRAIN=2"]], "layer": ["1", "2", "svm"],
          "rule": ["stdp", "ridge", "bpstdp"], "backend": ["local", "spinnaker"], "target": ["emulated", "spin5"],
          "images": [["a.png"]],
          "record": ["a.npz", "a.txt"], "output": ["a.csv", "a.txt"], "cluster": ["local"], "copies": [2, "auto"],
          "cv": ["10x5"], "source": ["data"], "dataset": ["iris"]}


def values(option):
    """What is tried of an option, beside its bounds."""
    if option.name in VALUES:
        return VALUES[option.name]
    if option.words.get("action") == "store_true":
        return [True]
    return [option.bounds[0]] if option.bounds else [option.words.get("choices", ("x",))[0]]


def asked(mode, **given):
    """Options of a mode with the fewest paths that it takes."""
    paths = ["a", "b"][:min(MODES[mode].n_paths)]
    return Namespace(**{"mode": mode, "paths": paths, **{one.name: False if one.words.get("action") == "store_true"
                                                          else None for one in OPTIONS}, **given})


def refused(mode, **given):
    """What is said of such options, or what was settled of them."""
    options = asked(mode, **given)
    try:
        check(options)
    except SettingsError as error:
        return str(error)
    return [options.backend, options.target, options.split, options.run_dir, options.copies, options.named]


def of_mode(mode):
    """Options that a mode refuses and why, what it settles, and a checksum of what two options together give."""
    alone = {f"{one.name}={value}": refused(mode, **{one.name: value}) for one in OPTIONS for value in values(one)}
    taken = [one for one in OPTIONS if not one.modes or mode in one.modes]
    pairs = {(one.name, str(x), other.name, str(y), machine): refused(
        mode, **{"backend": machine} | {one.name: x, other.name: y}) for one, other in combinations(taken, 2)
        for x in values(one) for y in values(other) for machine in (None, "spinnaker")}
    texts = {text for text in pairs.values() if isinstance(text, str)} - set(map(str, alone.values()))
    return {"settled": refused(mode), "alone": dict(sorted({text: name for name, text in alone.items() if isinstance(
        text, str) and "belongs to --mode" not in text}.items())), "belong": [name for name, text in alone.items(
            ) if "belongs to --mode" not in text], "together": sorted(texts),
        "all": zlib.crc32(json.dumps([*alone.values(), *pairs.values()]).encode())}


def bounds():
    """What is said around the bounds of each option, and where it has none."""
    found = {}
    for option in OPTIONS:
        mode = next((name for name in option.modes if name in MODES), "info")
        given = {"backend": "spinnaker"} if option.needs_board else {}
        for value in ["", *(end + more for end in option.bounds or () for more in (-1, 0, 1))]:
            if option.words.get("action") != "store_true":
                found[f"{option.flag} {value}"] = refused(mode, **given, **{option.name: value})
    return {name: text for name, text in found.items() if isinstance(text, str)}


def help_of(mode):
    return " ".join(help_text(mode, "prog").split())


MADE = {**{f"--mode {mode}": lambda mode=mode: of_mode(mode) for mode in MODES}, "bounds": bounds,
        "modes": lambda: {mode.name: [mode.n_paths, mode.of_files] for mode in MODES.values()},
        **{f"help of {mode}": lambda mode=mode: help_of(mode) for mode in (None, *MODES)}}


@pytest.mark.parametrize("name", MADE)
def test_what_is_refused_is_what_was_refused(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert json.loads(json.dumps(MADE[name]())) == KEPT[name]


@pytest.mark.parametrize("words, text", [
    ("--mode info --jobs 0", "--jobs: must be at least 1, got 0"),
    ("--mode info --jobs 1025", "--jobs: must be at most 1,024, got 1025"),
    ("--mode info --jobs=", "--jobs: must be a whole number, got ''"),
    ("--mode info --run-dir=", "--run-dir: must not be empty"),
    ("--mode export a://b", "--mode export: must be a path on this machine, not an address (a://...); addresses are"),
    ("--mode export a b c", "--mode export: takes one path or two paths, got a b c"),
    ("--mode report one", "--mode report: takes no paths or two paths, got one")])
def test_words_are_refused_with_one_sentence(words, text):
    with pytest.raises(SettingsError) as caught:
        check(parse(words.split()))
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize("options, right", [
    ({"help": True}, True), ({"version": True}, True), ({"completion": "bash"}, True), ({"json": True}, False),
    ({}, False)])
def test_what_shows_something_does_nothing_else(options, right):
    assert bool(shows(asked("info", **options))) == right


@pytest.mark.parametrize("mode, paths, used", [
    ("check", [], "check"), ("check", ["a"], "check FILE"), ("report", ["a"], "report"),
    ("report", "ab", "report FILE"),
    ("bundle", ["a"], "bundle"), ("bundle", "ab", "bundle FILE"), ("info", [], "info")])
def test_files_of_no_experiment_are_told_by_their_number(mode, paths, used):
    assert use(Namespace(mode=mode, paths=list(paths))) == used


def test_an_option_is_given_if_it_has_a_value():
    layer, quiet = (next(one for one in OPTIONS if one.flag == flag) for flag in ("--layer", "--quiet"))
    assert [layer.is_given(asked("info", layer=value)) for value in (None, "", "1", 0)] == [False, True, True, False]
    assert [quiet.is_given(asked("info", quiet=value)) for value in (False, True)] == [False, True]
    assert layer.name == "layer" and next(one.name for one in OPTIONS if one.flag == "--run-dir") == "run_dir"


def test_numbers_are_read_or_refused():
    assert table._number(" 12 ") == 12 and table._number_or_auto("7") == 7 and table._number_or_auto("auto") == "auto"
    for read, text in ((table._number, "auto"), (table._number, "1.5"), (table._number_or_auto, "AUTO")):
        with pytest.raises(argparse.ArgumentTypeError):
            read(text)


def test_short_names_and_what_is_not_given():
    options = parser().parse_args(["--mode", "info", "-q", "-v", "-h"])
    assert options.quiet and options.verbose and options.help and not options.json and options.layer is None


if __name__ == "__main__":
    import os

    os.environ["COLUMNS"] = "100"
    GOLDEN.write_text(json.dumps({name: make() for name, make in MADE.items()}, indent=0, ensure_ascii=False) + "\n")
