"""Unmodified sPyNNaker against the board: an STDP network, in several ways that must not differ.

The network's results are compared with each other here; that they are right is another test's subject.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import patience
import pytest

HERE = Path(__file__).parent
RUNS = {"combined": ["--native", "{script}", "0"], "again": ["--native", "{script}", "0"],
        "split": ["--native", "--version", "3", "{script}", "1"], "python": ["--no-native", "{script}", "0"]}
LOCAL = "[Machine]\nmachine_name = 192.0.2.1\nversion = 3\n\n[Mode]\nmode = Info\n"     # an address that is nobody's


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name -> (result, messages, directory) of each run, made at the same time on boards side by side."""
    started = {}
    for name, arguments in RUNS.items():
        place = tmp_path_factory.mktemp(name)
        (place / "home").mkdir()
        if name == "again":
            (place / "spynnaker.cfg").write_text(LOCAL)
        command = [sys.executable, "-m", "spikingconvnet.emulator",
                   *(part.format(script=HERE / "stdp_network.py") for part in arguments)]
        environment = {**os.environ, "HOME": str(place / "home"), "PYTHONPATH": str(HERE.parents[1])}
        started[name] = place, subprocess.Popen(command, cwd=place, env=environment, text=True,
                                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    finished = {}
    for name, (place, process) in started.items():
        text, _ = patience.communicate(process)
        assert process.returncode == 0, text
        (line,) = [line for line in text.splitlines() if line.startswith("RESULT ")]
        finished[name] = json.loads(line.removeprefix("RESULT ")), text, place
    return finished


def test_the_network_gives_spikes_voltages_and_learned_weights(runs):
    result = runs["combined"][0]
    assert sum(map(len, result["spikes"])) > 50 and sum(map(bool, result["spikes"])) > 4
    assert np.shape(result["v"]) == (300, 8)
    change = np.subtract(result["weights"], result["before"])
    assert np.abs(change).max() > 0.05 and min(result["weights"]) >= 0 and max(result["weights"]) <= 1


def test_membranes_decay_towards_rest_until_the_first_input(runs):
    v = np.array(runs["combined"][0]["v"])
    for step in range(10):                      # no source fires before
        expected = -65 + (np.linspace(-65, -61, 8) + 65) * np.exp(-step / 10.0)
        assert np.abs(v[step] - expected).max() < 0.01


@pytest.mark.parametrize("other", ["again", "split", "python"])
def test_results_do_not_depend_on_how_they_were_made(runs, other):
    for part in ("spikes", "v", "weights"):
        assert runs["combined"][0][part] == runs[other][0][part]


def test_the_split_network_has_its_own_synapse_core(runs):
    assert runs["split"][0]["cores"] == runs["combined"][0]["cores"] + 1


def test_nothing_is_written_to_the_home_and_the_local_configuration_is_read(runs):
    for _, _, place in runs.values():
        assert list((place / "home").iterdir()) == []
    _, text, place = runs["again"]
    (line,) = [line for line in text.splitlines() if "192.0.2.1" in line]
    said = f"emulator: {place / 'spynnaker.cfg'} says machine_name = 192.0.2.1, version = 3; on this board"
    assert line.startswith(said)
    assert (place / "reports").exists()


def test_the_boards_had_nothing_to_complain_about(runs):
    for _, text, _ in runs.values():
        assert [line for line in text.splitlines() if line.startswith("board:")] == []


def test_spynnaker_reports_a_core_that_dies_as_it_does_on_a_board(tmp_path):
    command = [sys.executable, "-m", "spikingconvnet.emulator", "--version", "3", str(HERE / "broken_network.py"),
               str(tmp_path / "IF_curr_exp.aplx")]
    text, code = patience.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(HERE.parents[1])})
    assert code == 1
    assert "SpiNNManCoresNotInStateException" in text
    assert "0:0:1 (ph: 1) in state RUN_TIME_EXCEPTION:UNDEF" in text and "LR=" in text
    assert "board: core 0,0,1 (starting): UNDEF at pc 0x0000" in text
