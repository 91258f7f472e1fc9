"""An emulated SpiNNaker board: unmodified sPyNNaker runs without a board, on the real binaries of its cores.

API. ``with Board(version=5) as board:`` starts a board (3: SpiNN-3, 5: SpiNN-5) in a process of its own on a free
loopback address, `board.host`; sPyNNaker uses it with ``machine_name = <host>`` and ``version = <version>`` in its
configuration, of which `board.configuration()` is the whole text. The board is there, booted and empty, until the
block ends. `script.run(command, **options of Board)` runs a script or ``["-m", module]`` against a private board and
returns its exit code; so does ``python -m spikingconvnet.emulator SCRIPT [ARGS]`` (or ``-m MODULE [ARGS]``), which
without either serves a board until interrupted (`cli.main(args) -> exit code`). Tests get a board each from the
fixture `spinnaker_board` (`pytest_plugin`), jobs of several processes one from a server (`spalloc`). A whole board can
be left in a file and gone on with (`Board.snapshot`, ``Board(snapshot=...)``, `snapshots`), packets traced (`trace`).
`machine.Machine` is the hardware itself, in this process, without sockets: for tests.

What is emulated is each core's program, instruction by instruction, and the devices it sees; time is idealised: cores
are infinitely fast and nothing is ever late or lost, unless ``Board(faults=Faults(...))`` or ``--fault`` says so, or
``Board(timed=True)`` or ``--timed``, which let work take time (`timed_core`). With live input or output, and in runs
without end, it keeps to the wall clock (`pace`). The package imports nothing else of spikingconvnet.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spikingconvnet.emulator.board import Board
    from spikingconvnet.emulator.errors import EmulatorError, SetupError, SnapshotError
    from spikingconvnet.emulator.faults import Faults
else:
    def __getattr__(name: str) -> Any:
        """A name of ``__all__``, imported on its first use: every pytest imports this package (`pytest_plugin`)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = "errors" if name.endswith("Error") else name.lower()
        return getattr(import_module(f"{__name__}.{home}"), name)

__all__ = ["Board", "EmulatorError", "Faults", "SetupError", "SnapshotError"]
