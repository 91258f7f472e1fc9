"""Floors on the page: what runs beside it have reached without learning, if they saw the same; nothing is executed."""

import json
import shutil

import pytest
from pages import opened

from spikingconvnet.experiment.report import answers
from spikingconvnet.experiment.report.held import Held


@pytest.fixture
def beside(run, tmp_path):
    """A function that lays a run with changed results beside a copy of `run`, and gives the result on its page."""
    own = shutil.copytree(run, tmp_path / "own")

    def result(change=lambda entries: None, place="floor", text=None):
        there, entries = tmp_path / place, json.loads((run / "results.json").read_text())
        entries["layer 1"]["rule"] = "random"
        entries = change(entries) or entries
        there.mkdir(parents=True)
        (there / "results.json").write_text(json.dumps(entries) if text is None else text)
        (there / "parameters.py").write_text("raise SystemExit('executed')")
        return answers.result(Held(opened(own)))

    return result


def floors(result):
    """Those of other runs: list of (name, share, run)."""
    return [(one["name"].split(",")[0], one["share"], one["run"]) for one in result["floors"] if "run" in one]


@pytest.mark.parametrize("place", ["floor", "floors/random-0"])
def test_a_run_with_random_kernels_is_a_floor(beside, place):
    told = beside(place=place)
    assert floors(told) == [("random kernels", told["accuracy"], place)]
    assert [one["command"].partition("--rule ")[2].split()[0] for one in told["floor_commands"]] == ["ridge"]


def set_to(*path):
    """A change of entries: the last of `path` is the value, the others lead to it."""
    def change(entries):
        *names, last, value = path
        part = entries
        for name in names:
            part = part[name]
        part[last] = value
    return change


def ridge(entries):
    """Another network on the same data."""
    entries["layer 1"]["rule"] = "ridge"
    entries["run"]["settings"] |= {"SLOT": 41, "MODEL": {"type": "Sequential"}}
    del entries["svm"]


def pixels(entries):
    """What benchmarks/floors.py leaves of raw pixels."""
    del entries["svm"], entries["layer 1"]
    entries["floor"] = {"rule": "raw pixels"}


@pytest.mark.parametrize("change, name", [(ridge, "linear units behind random ones"),
                                          (pixels, "raw pixels and a linear machine"),
                                          (set_to("layer 1", "rule", "kmeans"), "k-means kernels"),
                                          (set_to("run", "settings", "SEED", 7), "random kernels")])
def test_other_floors(beside, change, name):
    assert [one[0] for one in floors(beside(change))] == [name]


def later(entries):
    """A layer that was trained again after the test."""
    return {**{name: entry for name, entry in entries.items() if name != "layer 1"}, "layer 1": entries["layer 1"]}


def fewer(entries):
    """A test of fewer images."""
    test = entries["test"]
    test["confusion"] = [[0] * 3, [0] * 3, test["confusion"][2]]
    test["accuracy"] = test["confusion"][2][2] / sum(test["confusion"][2])


@pytest.mark.parametrize("change", [
    later, fewer, set_to("layer 1", "rule", "stdp"), set_to("layer 1", "rule", ["random"]),
    set_to("test", "accuracy", 1.5), set_to("test", "verdict", "invalid"), set_to("run", {}),
    set_to("run", "settings", []),
    set_to("run", "settings", "SLOT", 99), lambda entries: {"layer 1": {}, "run": entries["run"]},
    lambda entries: {**entries, "test": {"accuracy": 2, "confusion": "x"}}])
def test_what_is_no_floor_of_this_run_is_left_out(beside, change):
    told = beside(change)
    assert floors(told) == [] and "--rule random --run-dir" in told["floor_commands"][0]["command"]


@pytest.mark.parametrize("text", ["", "[]", "{\"layer 1\": 3}", "\0", "{" * 3000])
def test_a_damaged_neighbour_is_left_alone(beside, text):
    assert floors(beside(text=text)) == []
