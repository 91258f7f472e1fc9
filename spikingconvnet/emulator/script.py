"""Running an unmodified script against a board of its own: ``python -m spikingconvnet.emulator SCRIPT [ARGS]``.

The script, or with ``-m`` a module such as pytest, runs in its own Python process with the caller's directory,
arguments and packages. What is private is the home directory, where the front ends (sPyNNaker, SpiNNMan, the graph
front end) look for their configuration: nothing in the user's is read or written. A ``spynnaker.cfg`` in the directory
in which a simulation is set up is read as always, but what it says about the machine gives way to the emulated board,
in words.
"""

import importlib.util
import logging
import os
import runpy
import signal
import site
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikingconvnet.emulator.board import Board, private_home
from spikingconvnet.emulator.errors import SetupError

MACHINE = "SPIKINGCONVNET_EMULATED_MACHINE"         # the board's configuration, for the script's process
# Options of [Machine] that say which machine it is, what is done to it before and after, and what runs on its monitors
_OURS = ("machine_name", "version", "versions", "spalloc_server", "remote_spinnaker_url", "virtual_board", "width",
         "height", "json_path", "bmp_names", "auto_detect_bmp", "turn_off_machine", "reset_machine_on_startup",
         "enable_advanced_monitor_support", "enable_reinjection", "post_simulation_overrun_before_error")

logger = logging.getLogger(__name__)


def run(command: Sequence[str], **board: Any) -> int:
    """Run a script, or a module, against a board of its own.

    Parameters
    ----------
    command : list of str
        ``[SCRIPT, *ARGS]`` or ``["-m", MODULE, *ARGS]``.
    **board
        Options of :class:`Board`.

    Returns
    -------
    int
        Its exit code; of one that a signal has ended, 128 and its number.

    Raises
    ------
    SetupError
        There is no such script, or no board can be made.
    """
    if command[0] != "-m" and not Path(command[0]).is_file():
        raise SetupError(f"{command[0]}: no such script; give its path, or a module as -m NAME")
    with Board(**board) as emulated, private_home(emulated.version, emulated.host) as home:
        process = subprocess.Popen([sys.executable, "-m", "spikingconvnet.emulator.script", *command],
                                   env=_environment(home, emulated.configuration()))
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            code = process.wait()
        return code if code >= 0 else 128 - code    # as a shell says it: ended by a signal


def _environment(home: str, configuration: str) -> dict[str, str]:
    """The script's environment: the caller's, except for where configuration is looked for."""
    root = str(Path(__file__).parents[2])
    nowhere = os.path.join(home, "config")          # not the home itself: a second configuration is an error
    return {**os.environ, MACHINE: configuration, "HOME": home, "XDG_CONFIG_HOME": nowhere, "XDG_CONFIG_DIRS": nowhere,
            "XDG_CACHE_HOME": nowhere, "MPLCONFIGDIR": nowhere, "PYTHONUSERBASE": site.getuserbase(),
            "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))}


def _insist_on_machine() -> None:
    """Have every front end's configuration name the emulated board, wherever the script is when it is loaded."""
    if importlib.util.find_spec("spinn_utilities") is None:
        return                                      # a script that uses no front end
    from spinn_utilities import conf_loader

    original, told = conf_loader.load_config, set()

    def load_config(local_name: str, user_cfg: Any, defaults: Any) -> Any:
        loaded, chosen = original(local_name, user_cfg, defaults), conf_loader.load_defaults(defaults)
        ours = [option for option in _OURS if chosen.has_option("Machine", option)]
        chosen.read_string(os.environ[MACHINE])
        text = _gives_way(local_name, _said(conf_loader, local_name), chosen, ours)
        if text and text not in told:               # sPyNNaker loads it twice
            told.add(text)
            logger.warning("emulator: %s", text)
        for option in ours:
            loaded.set("Machine", option, chosen.get("Machine", option))
        return loaded

    conf_loader.load_config = load_config


def _said(conf_loader: Any, local_name: str) -> Any:
    """What the configuration file in the current directory says, if there is one, and the file it leads to."""
    said = conf_loader.load_defaults([local_name] if local_name else [])
    if said.has_option("Machine", "machine_spec_file"):
        said.read(said.get("Machine", "machine_spec_file"))
    return said


def _gives_way(local_name: str, said: Any, chosen: Any, ours: Sequence[str]) -> str:
    """Which options of the file in the current directory give way to the emulated board's: a sentence, or nothing."""
    changed = [option for option in ours if said.has_option("Machine", option)
               and said.get("Machine", option) != chosen.get("Machine", option)]
    before, after = (", ".join(f"{option} = {source.get('Machine', option)}" for option in changed)
                     for source in (said, chosen))
    return f"{Path(local_name).resolve()} says {before}; on this board {after}" if changed else ""


def main(command: list[str]) -> None:
    """Be the process of a script or module: ``SCRIPT [ARGS]`` or ``-m MODULE [ARGS]``."""
    _insist_on_machine()
    if command[0] != "-m":
        sys.argv = list(command)
        sys.path[0] = str(Path(command[0]).resolve().parent)
        runpy.run_path(command[0], run_name="__main__")
        return
    sys.argv = command[1:]                          # run_module puts the module's file in the first place
    sys.path[0] = os.getcwd()
    if importlib.util.find_spec(command[1]) is None:
        sys.exit(f"error: -m {command[1]}: no module of that name in {os.getcwd()} or among the installed ones")
    runpy.run_module(command[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1:])
