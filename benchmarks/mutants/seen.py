"""pytest plugin: which lines of the package each test executes, and for how long it runs.

``SEEN_INTO`` names the file of coverage.py that the lines go to, each under the id of its test and the phase ("call",
or "setup" for what a fixture executes); beside it, ``.json``, are the seconds of the tests that passed.
"""

import json
import os
from pathlib import Path

import coverage
import pytest

INTO = Path(os.environ["SEEN_INTO"])
_coverage = coverage.Coverage(data_file=INTO, config_file=False, source=["spikingconvnet"])
_seconds, _failed = {}, set()


def pytest_load_initial_conftests():
    _coverage.start()
    _coverage.switch_context("import|")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    _coverage.switch_context(f"setup|{item.nodeid}")
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    _coverage.switch_context(f"call|{item.nodeid}")
    return (yield)


def pytest_runtest_logreport(report):
    if not report.passed:
        _failed.add(report.nodeid)
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration


def pytest_unconfigure():
    _coverage.stop()
    _coverage.save()
    INTO.with_suffix(".json").write_text(json.dumps({k: v for k, v in _seconds.items() if k not in _failed}))
