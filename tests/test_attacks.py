"""A small part of the attacks; ``python benchmarks/attack.py NAME --cases 10000`` runs them at length."""

import json
import sys
from pathlib import Path

import pytest
from patience import run

ATTACK = Path(__file__).parent.parent / "benchmarks/attack.py"
CASES = {"board-messages": 6, "command-line": 40, "concurrent": 2, "data-files": 12, "environment": 5,
         "file-operations": 6, "idx-files": 60, "interrupts": 2, "kills": 3, "parameters": 16, "recordings": 30,
         "run-directory": 12, "secrets": 20, "toml-files": 20}


@pytest.mark.parametrize("name", CASES)
def test_nothing_fails_in_the_wrong_way(name):
    out, code = run([sys.executable, str(ATTACK), name, "--cases", str(CASES[name])])
    assert code == 0, out[-3000:]
    assert json.loads(out.splitlines()[-1])["cases"] == CASES[name], out[-1000:]


def test_a_case_is_done_again_by_its_number():
    out, code = run([sys.executable, str(ATTACK), "idx-files", "--first", "7", "--cases", "2"])
    assert code == 0 and json.loads(out.splitlines()[-1])["cases"] == 2, out[-1000:]
