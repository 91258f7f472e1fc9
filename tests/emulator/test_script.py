"""Scripts and modules against a board of their own: what they find, what is overridden, in words, and how they end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spikingconvnet.emulator import cli

ROOT = Path(__file__).parents[2]


def run(folder, *arguments):
    """Run the command line in a folder; (exit code, what it printed, its messages)."""
    done = subprocess.run([sys.executable, "-m", "spikingconvnet.emulator", "--version", "3", *arguments], cwd=folder,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout, done.stderr


def told(messages):
    """The emulator's own lines among the messages."""
    return [line.removeprefix("emulator: ") for line in messages.splitlines() if line.startswith("emulator: ")]


# Reads configuration as each front end does; the machine is not used, which would take longer
FRONT_ENDS = """
import os, sys
from pathlib import Path
from spinn_utilities.config_holder import get_config_str_or_none, load_config

place, name = sys.argv[1:]
Path(place).mkdir()
if name == "sPyNNaker":
    from spynnaker.pyNN.config_setup import setup_configs
    file, set_up = "spynnaker.cfg", setup_configs
else:
    import spinnman.spinnman_script as script
    file, set_up = "spinnman.cfg", lambda: script.setup(n_boards_required=1)
if name == "SpiNNMan":
    Path(place, file).write_text("[Machine]\\nmachineName = 192.0.2.1\\nversion = 5\\nmax_machine_core = 9\\n")
elif name == "sPyNNaker":
    Path(place, "machine.cfg").write_text("[Machine]\\nvirtual_board = True\\ndown_cores = 0,0,5\\n")
    Path(place, file).write_text("[Machine]\\nenable_advanced_monitor_support = True\\n"
                                 "machine_spec_file = machine.cfg\\n[Reports]\\nwrite_energy_report = True\\n")
os.chdir(place)
set_up()
load_config()
for section, option in (("Machine", "machine_name"), ("Machine", "version"), ("Machine", "virtual_board"),
                        ("Machine", "down_cores"), ("Machine", "max_machine_core"), ("Reports", "write_energy_report"),
                        ("Machine", "enable_advanced_monitor_support")):
    if name == "sPyNNaker" or section == "Machine" and "advanced" not in option:
        print(option, "=", get_config_str_or_none(section, option))
"""


@pytest.fixture
def read(tmp_path):
    """A function that reads configuration as a front end does, behind a change of directory: (options, lines told)."""
    (tmp_path / "read.py").write_text(FRONT_ENDS)

    def start(name):
        code, out, err = run(tmp_path, "read.py", "elsewhere", name)
        assert code == 0, err
        return dict(line.split(" = ") for line in out.splitlines() if " = " in line), told(err)

    return start


def test_a_configuration_found_after_a_change_of_directory_does_not_choose_the_machine(read, tmp_path):
    options, lines = read("sPyNNaker")
    assert options["machine_name"].startswith("127.") and options["version"] == "3"
    assert options["virtual_board"] == "False" and options["enable_advanced_monitor_support"] == "True"
    assert options["down_cores"] == "0,0,5" and options["write_energy_report"] == "True"      # all else is honoured
    assert lines == [f"{tmp_path / 'elsewhere' / 'spynnaker.cfg'} says virtual_board = True; "
                     "on this board virtual_board = False"]


def test_spinnman_s_own_configuration_does_not_choose_the_machine_either(read, tmp_path):
    options, lines = read("SpiNNMan")
    assert options["machine_name"].startswith("127.") and options["version"] == "3"
    assert options["max_machine_core"] == "9"
    (line,) = lines
    assert line.startswith(f"{tmp_path / 'elsewhere' / 'spinnman.cfg'} says machine_name = 192.0.2.1, version = 5; on")


def test_a_script_of_spinnman_finds_the_board(tmp_path):
    (tmp_path / "machine.py").write_text("import spinnman.spinnman_script as sim\nsim.setup(n_boards_required=1)\n"
                                         "print('chips', sim.get_machine().n_chips)\nsim.end()\n")
    code, out, err = run(tmp_path, "machine.py")
    assert code == 0, err
    assert out.splitlines()[-1] == "chips 4" and told(err) == []


def test_processes_that_a_script_starts_find_a_file_for_every_front_end(tmp_path):
    (tmp_path / "list.py").write_text("from pathlib import Path\n"
                                      "print(*sorted(path.name for path in Path.home().glob('.*.cfg')))")
    (tmp_path / "home.py").write_text("import subprocess, sys\nsubprocess.run([sys.executable, 'list.py'], check=True)")
    code, out, err = run(tmp_path, "home.py")
    assert code == 0, err
    assert out.split() == [".spiNNakerGraphFrontEnd.cfg", ".spinnman.cfg", ".spynnaker.cfg"]


MODULE = """
import os, sys
print(__name__, sys.argv[0].endswith(os.path.join("package", "__main__.py")), sys.argv[1:], sys.path[0] == os.getcwd())
sys.exit(7)
"""
SUITE = """
import sys
from pathlib import Path

def test_here():
    assert "machine_name = 127." in (Path.home() / ".spynnaker.cfg").read_text()
"""


def test_a_module_is_run_as_python_does(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "__main__.py").write_text(MODULE)
    code, out, err = run(tmp_path, "-m", "package", "-m", "--version", "9")
    assert (code, out) == (7, "__main__ True ['-m', '--version', '9'] True\n"), err


@pytest.mark.parametrize("more, code", [("", 0), ("\n    assert False", 1)], ids=["passes", "fails"])
def test_pytest_runs_against_the_board(tmp_path, more, code):
    (tmp_path / "test_suite.py").write_text(SUITE + more)
    ended, out, err = run(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_suite.py")
    assert ended == code, out + err
    assert ("1 failed" if code else "1 passed") in out


def test_a_module_that_is_not_there_is_named(tmp_path, capsys):
    code, _, err = run(tmp_path, "-m", "nothing_of_that_name")
    assert code == 1 and err == (f"error: -m nothing_of_that_name: no module of that name in {tmp_path} or among the "
                                 "installed ones\n")
    assert cli.main(["-m"]) == 2
    assert capsys.readouterr().err == "error: -m: the name of a module is missing, as in: -m pytest tests\n"
