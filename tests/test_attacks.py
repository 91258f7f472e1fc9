"""A small part of the attacks; ``python benchmarks/attack.py NAME --cases 10000`` runs them at length."""

import json
import sys
from pathlib import Path

import pytest
from patience import run

ATTACK = Path(__file__).parent.parent / "benchmarks/attack.py"
CASES = {"board-messages": 6, "command-line": 40, "concurrent": 2, "data-files": 12, "environment": 5,
         "file-operations": 6, "idx-files": 60, "interrupts": 2, "job-results": 12, "kills": 3, "parameters": 16,
         "recordings": 30, "run-directory": 12, "secrets": 20, "toml-files": 20}


@pytest.fixture(scope="module")
def told():
    """What all of them print, run one after the other."""
    return run([sys.executable, str(ATTACK), *CASES, "--cases", *map(str, CASES.values())])


@pytest.mark.parametrize("name", CASES)
def test_nothing_fails_in_the_wrong_way(name, told):
    counts = [json.loads(line) for line in told[0].splitlines() if line.startswith('{"attack": ')]
    found = [count for count in counts if count["attack"] == name]
    assert [(count["cases"], count["bad"]) for count in found] == [(CASES[name], 0)], told[0][-10000:]


def test_all_of_them_say_that_nothing_went_wrong(told):
    assert told[1] == 0, told[0][-10000:]


def test_a_case_is_done_again_by_its_number():
    out, code = run([sys.executable, str(ATTACK), "idx-files", "--first", "7", "--cases", "2"])
    assert code == 0 and json.loads(out.splitlines()[-1])["cases"] == 2, out[-1000:]
