"""A plugin of pytest, there wherever this package is installed: tests that have an emulated board each.

The fixture `spinnaker_board` is a board (`board.Board`) that sPyNNaker, SpiNNMan and the graph front end find, whatever
configuration is in the directory of the test. Its options are those of a marker,
``@pytest.mark.spinnaker_board(version=3)``. ``pytest --spinnaker-board`` gives one to every test, those of unittest
included, without a change of them; ``--spinnaker-board-scope module`` one to all tests of a module, and so on. Every
worker of pytest-xdist has boards of its own: each takes the next free address.

The fixture `spinnaker_snapshot` is a function that loads a board once and keeps it in a file, from which tests make as
many boards, alike, as they want.

Whoever uses none pays for the import of this file alone: what it needs is imported when a board is asked for.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import pytest

if TYPE_CHECKING:
    from spikingconvnet.emulator.board import Board

TakeSnapshot: TypeAlias = Callable[..., Path]
Scope: TypeAlias = Literal["function", "class", "module", "session"]

_EVERY, _SCOPE = "--spinnaker-board", "--spinnaker-board-scope"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("spinnaker", "emulated SpiNNaker boards")
    group.addoption(_EVERY, action="store_true", help="run every test on an emulated board")
    group.addoption(_SCOPE, default="function", choices=get_args(Scope),
                    help="what shares a board of the fixture spinnaker_board (default: nothing, function)")


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and give a board to every test if that is asked for."""
    config.addinivalue_line("markers", "spinnaker_board(**options): options of a test's emulated board")
    if config.getoption(_EVERY):
        config.pluginmanager.register(_EveryTest(), "spinnaker-board-for-every-test")


def _scope(fixture_name: str, config: pytest.Config) -> Scope:
    """How long the fixtures below last."""
    scope: Scope = config.getoption(_SCOPE)
    return scope


@pytest.fixture(scope=_scope)
def spinnaker_board(request: pytest.FixtureRequest) -> "Iterator[Board]":
    """A SpiNN-5, or what the marker asks for, which every front end finds: board.Board."""
    from spikingconvnet.emulator import front_ends
    from spikingconvnet.emulator.board import Board

    marker = request.node.get_closest_marker("spinnaker_board")
    with Board(**(marker.kwargs if marker else {})) as board, front_ends.found_here(board):
        yield board


@pytest.fixture(scope="session")
def spinnaker_snapshot(tmp_path_factory: pytest.TempPathFactory) -> "TakeSnapshot":
    """A function: has a board loaded, which front ends find meanwhile, and writes it to a file, whose path it gives.

    ``spinnaker_snapshot(load, **options)`` calls ``load(board)`` with a ``Board(**options)``.
    """
    from spikingconvnet.emulator import front_ends
    from spikingconvnet.emulator.board import Board

    def take(load: "Callable[[Board], object]", **options: Any) -> Path:
        path = tmp_path_factory.mktemp("spinnaker-board") / "snapshot"
        with Board(**options) as board, front_ends.found_here(board):
            load(board)
            board.snapshot(path)
        return path
    return take


class _EveryTest:
    """What is registered as one more plugin when every test is to have a board."""

    @pytest.fixture(autouse=True, scope=_scope)
    def _on_a_board(self, spinnaker_board: "Board") -> None:
        """Ask for a board."""
