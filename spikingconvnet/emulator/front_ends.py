"""How the front ends (sPyNNaker, SpiNNMan, the graph front end) find an emulated board: by their own configuration.

They look for it in the home directory, and in the directory in which a simulation is set up. The home is a private
one: nothing in the user's is read or written. A file in that directory, ``spynnaker.cfg`` for example, is read as
always, but what it says about the machine gives way to the emulated board, in words.
"""

import importlib.util
import logging
import os
import site
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from spikingconvnet.emulator.board import Board

# Options of [Machine] that say which machine it is, and what is done to it before and after
_OURS = ("machine_name", "version", "versions", "spalloc_server", "remote_spinnaker_url", "virtual_board", "width",
         "height", "json_path", "bmp_names", "auto_detect_bmp", "turn_off_machine", "reset_machine_on_startup",
         "post_simulation_overrun_before_error")

logger = logging.getLogger(__name__)


@contextmanager
def private_home(board: Board) -> Iterator[dict[str, str]]:
    """A temporary home in which every front end finds a board: the environment variables that make it the home."""
    with tempfile.TemporaryDirectory(prefix="emulated-board-") as home:
        for name, text in ((".spynnaker.cfg", board.configuration()),
                           (".spiNNakerGraphFrontEnd.cfg", board.configuration()),
                           (".spinnman.cfg", f"[Machine]\nversion = {board.version}\nmachine_name = {board.host}\n")):
            Path(home, name).write_text(text)
        nowhere = os.path.join(home, "config")      # not the home itself: a second configuration is an error
        yield {"HOME": home, "XDG_CONFIG_HOME": nowhere, "XDG_CONFIG_DIRS": nowhere, "XDG_CACHE_HOME": nowhere,
               "MPLCONFIGDIR": nowhere, "PYTHONUSERBASE": site.getuserbase()}


@contextmanager
def insisting_on(configuration: str) -> Iterator[None]:
    """Have every front end's configuration name the machine of a text, wherever this process is when it is loaded."""
    if importlib.util.find_spec("spinn_utilities") is None:
        yield                                       # whoever runs uses no front end
        return
    from spinn_utilities import conf_loader

    original, told = conf_loader.load_config, set()

    def load_config(local_name: str, user_cfg: Any, defaults: Any) -> Any:
        loaded, chosen = original(local_name, user_cfg, defaults), conf_loader.load_defaults(defaults)
        ours = [option for option in _OURS if chosen.has_option("Machine", option)]
        chosen.read_string(configuration)
        text = _gives_way(local_name, _said(conf_loader, local_name), chosen, ours)
        if text and text not in told:               # sPyNNaker loads it twice
            told.add(text)
            logger.warning("emulator: %s", text)
        for option in ours:
            loaded.set("Machine", option, chosen.get("Machine", option))
        return loaded

    with patch.object(conf_loader, "load_config", load_config):
        yield


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


@contextmanager
def found_here(board: Board) -> Iterator[None]:
    """Have front ends in this process, and in those that it starts, find a board until the context ends.

    A simulation of sPyNNaker that is left set up is ended, while there is a board to end it on.
    """
    with private_home(board) as variables, patch.dict(os.environ, variables), insisting_on(board.configuration()):
        try:
            yield
        finally:
            _end_simulation()


def _end_simulation() -> None:
    spynnaker = sys.modules.get("spynnaker.pyNN")
    if spynnaker is None:                           # nobody has used it
        return
    view = spynnaker.SpynnakerDataView
    if view.is_setup() and not view.is_shutdown():
        spynnaker.end()
