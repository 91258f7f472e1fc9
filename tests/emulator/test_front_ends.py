"""How front ends find a board in this process: a home of its own, and files that give way in words."""

import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from spikingconvnet.emulator import front_ends, script

conf_loader = pytest.importorskip("spinn_utilities.conf_loader")
TEXT = "[Machine]\nmachine_name = 127.0.0.7\nversion = 3\n"
BOARD = SimpleNamespace(configuration=lambda: TEXT, version=3, host="127.0.0.7")


def test_a_home_names_the_board_to_every_front_end_and_is_gone_afterwards():
    with front_ends.private_home(BOARD) as variables:
        home = Path(variables["HOME"])
        assert {path.name: path.read_text() for path in home.iterdir()} == {
            ".spynnaker.cfg": TEXT, ".spiNNakerGraphFrontEnd.cfg": TEXT,
            ".spinnman.cfg": "[Machine]\nversion = 3\nmachine_name = 127.0.0.7\n"}
        assert set(variables) == {"HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "XDG_CACHE_HOME", "MPLCONFIGDIR",
                                  "PYTHONUSERBASE"}
        assert not Path(variables["XDG_CONFIG_HOME"]).exists() and variables["PYTHONUSERBASE"] != str(home)
    assert not home.exists()


@pytest.fixture
def defaults(tmp_path, monkeypatch):
    """Defaults of a front end, in a directory that is the current one: a function that loads its configuration."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "defaults.cfg").write_text(
        "[Machine]\nmachine_name = None\nversion = None\nvirtual_board = False\ndown_cores = None\n"
        "machine_spec_file = None\n[Reports]\nwrite = False\n")
    return lambda local="front.cfg": conf_loader.load_config(local, None, [str(tmp_path / "defaults.cfg")])


def test_what_a_file_says_of_the_machine_gives_way_in_words_once(defaults, tmp_path, caplog):
    (tmp_path / "front.cfg").write_text("[Machine]\nversion = 3\nvirtual_board = True\nmachine_spec_file = m.cfg\n"
                                        "[Reports]\nwrite = True\n")
    (tmp_path / "m.cfg").write_text("[Machine]\nmachine_name = 192.0.2.1\ndown_cores = 0,0,5\n")
    before = conf_loader.load_config
    with caplog.at_level(logging.WARNING), front_ends.insisting_on(TEXT):
        loaded = defaults()
        defaults()
    assert conf_loader.load_config is before
    found = {name: loaded.get("Machine", name) for name in ("machine_name", "version", "virtual_board", "down_cores")}
    assert found == {"machine_name": "127.0.0.7", "version": "3", "virtual_board": "False", "down_cores": "0,0,5"}
    assert loaded.get("Reports", "write") == "True"
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("emulator: ")]
    assert told == [f"emulator: {tmp_path / 'front.cfg'} says machine_name = 192.0.2.1, virtual_board = True; on this"
                    " board machine_name = 127.0.0.7, virtual_board = False"]


def test_a_file_that_says_nothing_else_is_not_told(defaults, tmp_path, caplog):
    (tmp_path / "front.cfg").write_text("[Machine]\nversion = 3\ndown_cores = 0,0,7\n")
    with caplog.at_level(logging.WARNING), front_ends.insisting_on(TEXT):
        assert defaults().get("Machine", "machine_name") == "127.0.0.7"
        assert defaults(None).get("Machine", "down_cores") == "None"
    assert not [record for record in caplog.records if "emulator" in record.getMessage()]


def test_who_has_no_front_end_is_left_alone(monkeypatch):
    monkeypatch.setattr(front_ends.importlib.util, "find_spec", lambda name: None)
    before = conf_loader.load_config
    with front_ends.insisting_on(TEXT):
        assert conf_loader.load_config is before


@pytest.mark.parametrize("is_setup, is_shutdown, ends", [(True, False, 1), (True, True, 0), (False, False, 0)])
def test_a_simulation_that_is_left_set_up_is_ended_while_there_is_a_board(monkeypatch, is_setup, is_shutdown, ends):
    homes, home = [], os.environ.get("HOME")
    view = SimpleNamespace(is_setup=lambda: is_setup, is_shutdown=lambda: is_shutdown)
    monkeypatch.setitem(sys.modules, "spynnaker.pyNN", SimpleNamespace(
        SpynnakerDataView=view, end=lambda: homes.append(os.environ["HOME"])))
    with pytest.raises(KeyError), front_ends.found_here(BOARD):
        inside = os.environ["HOME"]
        raise KeyError
    assert homes == [inside] * ends and inside != home == os.environ.get("HOME")


def test_without_a_simulation_nothing_is_ended(monkeypatch):
    monkeypatch.delitem(sys.modules, "spynnaker.pyNN", raising=False)
    with front_ends.found_here(BOARD):
        pass


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A script and a module that keep what they see, in the current directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    code = "import sys\nseen = open('seen', 'w')\nprint(__name__, sys.argv[1:], sys.path[0], file=seen)\nseen.close()\n"
    for path in ("folder/one.py", "module_that_is_seen.py"):
        (tmp_path / path).write_text(code)
    for name in ("argv", "path"):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    monkeypatch.setenv(script.MACHINE, TEXT)
    return tmp_path


def test_a_script_sees_its_words_and_its_folder(here):
    script.main(["folder/one.py", "-x", "1"])
    assert (here / "seen").read_text() == f"__main__ ['-x', '1'] {here / 'folder'}\n"


def test_a_module_sees_its_words_and_the_current_directory(here):
    script.main(["-m", "module_that_is_seen", "-x", "1"])
    assert (here / "seen").read_text() == f"__main__ ['-x', '1'] {here}\n"


def test_a_module_that_is_not_there_ends_with_a_sentence(here):
    with pytest.raises(SystemExit, match=r"^error: -m no_module_of_this_test: no module of that name in "):
        script.main(["-m", "no_module_of_this_test"])
