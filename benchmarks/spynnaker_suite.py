"""sPyNNaker's own integration tests against the emulated board, each with a board and a time limit of its own.

    python benchmarks/spynnaker_suite.py CHECKOUT/spynnaker_integration_tests [--path TESTBASE] [--only TEXT ...]

Takes the folder of tests in a checkout of sPyNNaker, best of the release that is installed, and with --path what they
import besides: a checkout of the repository TestBase. The tests run in a copy, so nothing is written to the checkout,
and nothing but the tests is taken from it. Prints the table; --output keeps it as JSON, after each test.

--skip names a file of tests that are not run, a line each: a part of their names, a colon, the reason, which the table
tells. --boards 3 gives each test a machine of three boards. --said keeps what tests have said that did not pass.

A test that passes although its board has simulated nothing is told: what it shows, it shows without a board.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from spikingconvnet.emulator.memory_map import SV, SV_BASE
from spikingconvnet.emulator.spalloc.monitors import monitors

ROOT = Path(__file__).parents[1]
PLUGINS = ("-p", "no:spinnaker-board", "-p", "spikingconvnet.emulator.pytest_plugin", "-p", "no:cacheprovider",
           "--rootdir=.", "-c", os.devnull)
SIMULATED, UNTIL = "simulated_ms", 300              # name of a property, s
PASSED, TIMED_OUT, LEFT_OUT = "passed", "timed out", "left out"
BOARDS = "--suite-boards"                           # of the part that is a plugin of pytest


@dataclass(frozen=True)
class Outcome:
    """What came of a test: how it ended, seconds on the clock, ms that its board has simulated, why it did not pass."""

    test: str
    outcome: str
    seconds: float
    simulated: int = 0
    reason: str = ""


def pytest_addoption(parser):
    """The option of this file as a plugin of pytest."""
    parser.addoption(BOARDS, type=int, default=1, help="boards of each test's machine")


def pytest_collection_modifyitems(config, items):
    """Give each test a machine of so many boards."""
    for item in items:
        item.add_marker(pytest.mark.spinnaker_board(boards=config.getoption(BOARDS)))


@pytest.fixture(autouse=True)
def _simulated(spinnaker_board, record_property):
    """Note what the board's clock says when a test is over; pytest takes this file for a plugin."""
    yield
    record_property(SIMULATED, simulated(spinnaker_board.host))


def simulated(host):
    """ms that the clock of the board at an address says."""
    async def clock():
        async with monitors(host) as board:
            return int.from_bytes(await board.read((0, 0), SV_BASE + SV.CLOCK_MS, 8), "little")
    return asyncio.run(clock())


def environment(more):
    """Variables for a process of pytest, or of a script."""
    path = [str(ROOT), str(Path(__file__).parent), *map(str, more), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}


def collected(folder, more):
    """Names of all tests in a folder."""
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "--collect-only", *PLUGINS, folder.name],
                          cwd=folder.parent, env=environment(more), capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if "::" in line and not line.startswith(("ERROR", "FAILED"))]
    broken = re.findall(r"^ERROR (\S+\.py)", done.stdout, re.MULTILINE)
    return found, [Outcome(test, "cannot be imported", 0.0) for test in broken]


def left_out(text):
    """Reasons by part of a test's name, from the text of a file for --skip; "#" begins a comment."""
    reasons = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, reason = map(str.strip, line.partition(": "))
        if name.startswith("#") or not line.strip():
            continue
        if not (name and reason):
            raise SystemExit(f"--skip: line {number}: no name and reason with a colon between: {line.strip()}")
        reasons[name] = reason
    return reasons


def run(test, folder, more, limit, boards=1, kept=None):
    """Run one test: its Outcome; what it says is kept in a folder if it does not pass."""
    with tempfile.TemporaryDirectory() as here:
        told, said, began = Path(here, "told.xml"), Path(here, "said"), time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", *PLUGINS, "-p", Path(__file__).stem, "--spinnaker-board",
                   f"{BOARDS}={boards}", f"--junitxml={told}", test]
        try:
            with said.open("w") as output:
                subprocess.run(command, cwd=folder.parent, env=environment(more), timeout=limit, stdout=output,
                               stderr=subprocess.STDOUT)        # its board ends with it
            outcome = read(test, told, said, time.monotonic() - began)
        except subprocess.TimeoutExpired:
            outcome = Outcome(test, TIMED_OUT, limit, reason=f"not over after {limit:g} s")
        if kept and outcome.outcome != PASSED:
            shutil.copy(said, Path(kept, re.sub(r"[^\w.-]+", "_", test)[-200:]))
        return outcome


def read(test, told, said, seconds):
    """The Outcome that pytest's report tells, or what it has said if there is none."""
    case = ET.parse(told).find(".//testcase") if told.exists() else None
    if case is None:
        return Outcome(test, "crashed", seconds, reason=" ".join(said.read_text().split())[-150:])
    simulated = sum(int(one.get("value")) for one in case.iter("property") if one.get("name") == SIMULATED)
    for kind in ("error", "failure", "skipped"):
        found = case.find(kind)
        if found is not None:
            reason = " ".join((found.get("message") or "").split())[:150]
            return Outcome(test, {"failure": "failed"}.get(kind, kind), seconds, simulated, reason)
    return Outcome(test, PASSED, seconds, simulated)


def lay(tests, folder):
    """Copy a folder of tests to another place, where nothing of an earlier copy is left."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tests, folder)


def table(outcomes):
    """Lines: how many ended how, each that did not pass, each that passed without its board."""
    counts = Counter(one.outcome for one in outcomes)
    yield ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()) + f", of {len(outcomes)}"
    for one in sorted(outcomes, key=lambda one: (one.outcome, one.test)):
        if one.outcome != PASSED:
            yield f"{one.outcome:12} {one.seconds:6.1f} s  {one.test}: {one.reason}"
        elif not one.simulated:
            yield f"{'no board':12} {one.seconds:6.1f} s  {one.test}: passed, and its board has simulated nothing"


def main(arguments=None):
    """Run what is asked for; 1 if a test did not pass."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="spynnaker_integration_tests of a checkout")
    parser.add_argument("--path", action="append", default=[], help="a folder that the tests import from")
    parser.add_argument("--only", nargs="+", default=[""], help="tests whose names contain one of these")
    parser.add_argument("--skip", type=Path, help="file of tests to leave out, with their reasons")
    parser.add_argument("--boards", type=int, choices=(1, 3), default=1, help="of each test's machine")
    parser.add_argument("--limit", type=float, default=UNTIL, help="seconds for a test (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="JSON of all outcomes")
    parser.add_argument("--said", type=Path, help="folder for what tests say that do not pass")
    options = parser.parse_args(arguments)
    more = [str(Path(one).resolve()) for one in options.path]
    reasons = left_out(options.skip.read_text()) if options.skip else {}
    if options.said:
        options.said.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="spynnaker-suite-") as here:
        folder = Path(here, options.folder.resolve().name)
        lay(options.folder, folder)
        tests, outcomes = collected(folder, more)
        chosen = [test for test in tests if any(text in test for text in options.only)]
        for number, test in enumerate(chosen, 1):
            reason = next((why for name, why in reasons.items() if name in test), None)
            outcomes.append(Outcome(test, LEFT_OUT, 0.0, reason=reason) if reason else
                            run(test, folder, more, options.limit, options.boards, options.said))
            print(f"{number}/{len(chosen)} {outcomes[-1].outcome} {test}", file=sys.stderr, flush=True)
            if outcomes[-1].outcome == TIMED_OUT:   # a later test would take its half-written files for whole ones
                lay(options.folder, folder)
            if options.output:                      # so that one that is stopped has said what it knows
                options.output.write_text(json.dumps([asdict(one) for one in outcomes], indent=1))
    print("\n".join(table(outcomes)))
    return any(one.outcome not in (PASSED, LEFT_OUT, "skipped") for one in outcomes)


if __name__ == "__main__":
    sys.exit(main())
