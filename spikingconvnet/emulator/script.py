"""Running an unmodified script against a board of its own: ``python -m spikingconvnet.emulator SCRIPT [ARGS]``.

The script, or with ``-m`` a module such as pytest, runs in its own Python process with the caller's directory,
arguments and packages. What is private is the home directory (`front_ends`).
"""

import importlib.util
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikingconvnet.emulator import front_ends
from spikingconvnet.emulator.board import Board
from spikingconvnet.emulator.errors import SetupError

MACHINE = "SPIKINGCONVNET_EMULATED_MACHINE"         # the board's configuration, for the script's process


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
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))
    with Board(**board) as emulated, front_ends.private_home(emulated) as home:
        environment = {**os.environ, **home, MACHINE: emulated.configuration(), "PYTHONPATH": path}
        process = subprocess.Popen([sys.executable, "-m", "spikingconvnet.emulator.script", *command], env=environment)
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            code = process.wait()
        return code if code >= 0 else 128 - code    # as a shell says it: ended by a signal


def main(command: list[str]) -> None:
    """Be the process of a script or module: ``SCRIPT [ARGS]`` or ``-m MODULE [ARGS]``."""
    with front_ends.insisting_on(os.environ[MACHINE]):
        _run_here(command)


def _run_here(command: list[str]) -> None:
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
