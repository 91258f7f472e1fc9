"""Running an unmodified PyNN script against a board of its own: ``python -m spikingconvnet.emulator SCRIPT [ARGS]``.

The script runs in its own Python process with the caller's directory, arguments and packages. What is private is the
home directory, where sPyNNaker looks for its configuration: nothing in the user's is read or written. A
``spynnaker.cfg`` in the current directory is read as always, but what it says about the machine gives way
to the emulated board.
"""

import os
import runpy
import signal
import site
import subprocess
import sys
from pathlib import Path

from spikingconvnet.emulator.board import Board, private_home
from spikingconvnet.emulator.errors import SetupError

MACHINE = "SPIKINGCONVNET_EMULATED_MACHINE"         # the board's configuration, for the script's process
_LOCATION = ("machine_name", "version", "versions", "spalloc_server", "remote_spinnaker_url", "virtual_board", "width",
             "height", "json_path", "bmp_names", "auto_detect_bmp", "machine_spec_file", "turn_off_machine",
             "reset_machine_on_startup", "down_chips", "down_cores", "down_links", "enable_advanced_monitor_support",
             "enable_reinjection")                  # options of [Machine] that choose, switch or describe a machine


def run(script, arguments, **board):
    """Run a script against a board made with the options `board`; the script's exit code."""
    if not Path(script).is_file():
        raise SetupError(f"{script}: no such script")
    with Board(**board) as emulated, private_home(emulated.configuration()) as home:
        command = [sys.executable, "-m", "spikingconvnet.emulator.script", script, *arguments]
        process = subprocess.Popen(command, env=_environment(home, emulated.configuration()))
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            code = process.wait()
        return code if code >= 0 else 128 - code    # as a shell says it: ended by a signal


def _environment(home, configuration):
    """The script's environment: the caller's, except for where configuration is looked for."""
    root = str(Path(__file__).parents[2])
    nowhere = os.path.join(home, "config")          # not the home itself: a second configuration is an error
    return {**os.environ, MACHINE: configuration, "HOME": home, "XDG_CONFIG_HOME": nowhere, "XDG_CONFIG_DIRS": nowhere,
            "XDG_CACHE_HOME": nowhere, "MPLCONFIGDIR": nowhere, "PYTHONUSERBASE": site.getuserbase(),
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))}


def _insist_on_machine():
    """Have sPyNNaker's configuration name the emulated board however it is loaded."""
    from spinn_utilities import conf_loader

    original = conf_loader.load_config

    def load_config(local_name, user_cfg, defaults):
        loaded = original(local_name, user_cfg, defaults)
        chosen = conf_loader.load_defaults(defaults)
        chosen.read_string(os.environ[MACHINE])
        for option in chosen.options("Machine"):
            if option in map(chosen.optionxform, _LOCATION):
                loaded.set("Machine", option, chosen.get("Machine", option))
        return loaded

    conf_loader.load_config = load_config


def main(arguments):
    """Be the process of a script: ``SCRIPT [ARGS]``."""
    if Path("spynnaker.cfg").exists():
        _insist_on_machine()
    sys.argv = list(arguments)
    sys.path[0] = str(Path(arguments[0]).resolve().parent)
    runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
