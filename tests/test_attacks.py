"""A small part of the attacks; ``python benchmarks/attack.py NAME --cases 10000`` runs them at length."""

import json
import os
import sys
from pathlib import Path

import pytest
from patience import run

ATTACK = Path(__file__).parent.parent / "benchmarks/attack.py"
CASES = {"board-messages": 6, "command-line": 40, "concurrent": 2, "data-files": 12, "environment": 20,
         "file-operations": 6, "idx-files": 60, "interrupts": 8, "job-results": 12, "kills": 3, "parameters": 16,
         "recordings": 30, "run-directory": 12, "secrets": 20, "toml-files": 20}

ENDS = """
import json, os, sys, tempfile
sys.path.insert(0, sys.argv[1])
from attacks import fresh, harness

def full():
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)

CASES = [("import atexit; atexit.register(print, 'last')", full), ("print(end='x')", full), ("print('é')", int),
         ("import sys; print(sys.stdout, sys.argv[1:])", lambda: os.close(1)), ("import sys; sys.exit('no')", int),
         ("raise KeyboardInterrupt", int), ("1 / 0", int), ("import sys; sys.exit(3)", int)]
for code, change in CASES:
    both = []
    for new in (False, True):
        with tempfile.TemporaryDirectory() as where:
            work = fresh.program(["word"], ["-c", code], new)
            found = harness.one(harness.Case(code, lambda: (change(), work())), where)
            both.append([found.code, found.stdout, (found.stderr.splitlines() or [""])[-1]])
    print(json.dumps(both))
"""


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


def test_a_fork_ends_as_a_new_process():
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    out, code = run([sys.executable, "-c", ENDS, str(ATTACK.parent)], env=env)
    forks, new = zip(*map(json.loads, out.splitlines()))
    assert code == 0 and forks == new
    assert [code for code, *_ in forks] == [120, 120, 0, 0, 1, -2, 1, 3]
    assert forks[2][1] == "é\n" and forks[4][2] == "no" and forks[6][2] == "ZeroDivisionError: division by zero"
