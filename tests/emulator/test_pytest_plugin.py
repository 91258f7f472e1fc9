"""The plugin of pytest: boards for tests, what they find, and what it costs who wants none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytest_plugins = "pytester"
EXAMPLE = ROOT / "examples/emulated_board"
PLUGIN = "spikingconvnet.emulator.pytest_plugin"


@pytest.fixture
def run(pytester, monkeypatch):
    """A function that runs pytest in a process of its own: its outcome. The plugin may be installed, or not."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("CI", raising=False)

    def start(*arguments):
        return pytester.runpytest_subprocess("-p", "no:spinnaker-board", "-p", PLUGIN, "-p", "no:cacheprovider",
                                             "-p", "no:hypothesispytest", *arguments)
    return start


# What a front end would read there, without one
LOOK = '''
import os
from pathlib import Path

def found():
    return Path(os.path.expanduser("~/.spynnaker.cfg"))
'''


def test_its_import_is_that_of_one_file():
    code = f"import pytest, sys\nbefore = set(sys.modules)\nimport {PLUGIN}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["spikingconvnet", "spikingconvnet.emulator", PLUGIN]


def test_it_is_found_where_the_package_is_installed():
    assert f'"pytest11": ["spinnaker-board={PLUGIN}"]' in (ROOT / "setup.py").read_text()


def test_a_test_has_a_board_of_its_own_until_it_ends(run, pytester):
    pytester.makepyfile(LOOK + '''
import pytest
before, hosts = os.environ["HOME"], []

@pytest.mark.spinnaker_board(version=3)
def test_one(spinnaker_board):
    assert f"machine_name = {spinnaker_board.host}\\n" in found().read_text() and spinnaker_board.version == 3
    hosts.append(spinnaker_board.process_id)

def test_none():
    assert os.environ["HOME"] == before
    with pytest.raises(ProcessLookupError):
        os.kill(hosts[0], 0)
''')
    run().assert_outcomes(passed=2)


def test_every_test_has_one_if_asked_for_and_a_module_shares_it_if_asked_for(run, pytester):
    pytester.makepyfile(LOOK + '''
import unittest, pytest
pytestmark = pytest.mark.spinnaker_board(version=3)
seen = []

class Old(unittest.TestCase):
    def test_one(self):
        assert "version = 3" in found().read_text()
        seen.append(os.environ["HOME"])

def test_two():
    assert seen == [os.environ["HOME"]]
''')
    run("--spinnaker-board", "--spinnaker-board-scope", "module").assert_outcomes(passed=2)


def test_a_board_that_cannot_be_made_is_an_error_that_says_why(run, pytester):
    pytester.makepyfile('''
import pytest

@pytest.mark.spinnaker_board(host="192.0.2.1")
def test_one(spinnaker_board):
    pass
''')
    done = run()
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines(["*must be a loopback address*"])


def test_a_board_is_loaded_once_and_each_test_goes_on_from_there(run, pytester):
    pytester.makepyfile(LOOK + '''
import pytest
from spikingconvnet.emulator.snapshots import boards
loaded = []

def load(board):
    assert f"machine_name = {board.host}\\n" in found().read_text()
    loaded.append(board.version)

@pytest.fixture(scope="module")
def path(spinnaker_snapshot):
    return spinnaker_snapshot(load, version=3)

@pytest.mark.parametrize("number", range(3))
def test_each(path, number):
    bus = boards.load(path).root.bus
    assert bus.load(0x60300000) == 0 and loaded == [3]
    bus.store(0x60300000, 5)
''')
    run().assert_outcomes(passed=3)


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """What the example's two tests printed, run by two workers at a time."""
    folder = tmp_path_factory.mktemp("example")
    for path in EXAMPLE.glob("*.py"):
        (folder / path.name).write_text(path.read_text())
    (folder / "spynnaker.cfg").write_text("[Machine]\nmachineName = 192.0.2.1\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:spinnaker-board", "-p", PLUGIN, "-n", "2", "-rP", str(folder)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_the_example_passes_with_two_boards_side_by_side(example):
    assert example.returncode == 0, example.stdout
    assert "2 passed" in example.stdout
    assert len({line for line in example.stdout.splitlines() if line.startswith("on a board at ")}) == 2
