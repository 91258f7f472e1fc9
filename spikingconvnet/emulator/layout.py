"""Where the chips of a machine are: of one board, or of three SpiNN-5 side by side, whose edges are joined all around.

Sources: SpiNNMachine 7.4.1, version_5.py:23 (chips of a board), virtual_machine.py:209 (links of a SpiNN-3),
spinnaker_triad_geometry.py:49 (three boards).
"""

from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.memory_map import LINK_DELTAS, XY

_COLUMNS = [(0, 4), (0, 5), (0, 6), (0, 7), (0, 8), (1, 8), (2, 8), (3, 8)]      # rows of a 48-chip board by column
_CHIPS = {3: [(x, y) for x in range(2) for y in range(2)],
          5: [(x, y) for x, rows in enumerate(_COLUMNS) for y in range(*rows)]}
_NO_LINK = {(0, 0, 3), (0, 0, 4), (0, 1, 3), (0, 1, 4), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)}    # of a SpiNN-3
_DIMENSIONS = {(3, 1): (2, 2), (5, 1): (8, 8), (5, 3): (12, 12)}        # by version and number of boards
_ETHERNETS = [(0, 0), (4, 8), (8, 4)]               # of three boards
VERSIONS, SEVERAL = tuple(_CHIPS), 3                # of boards; how many of them there can be side by side


class Layout:
    """Chips, boards and links of a machine.

    Parameters
    ----------
    version : 3 (4 chips a board) or 5 (48 chips a board)
    boards : 1, or 3 of version 5

    Raises
    ------
    SetupError
        Another version, or another number of boards.
    """

    def __init__(self, version: int = 5, boards: int = 1) -> None:
        if version not in VERSIONS:
            raise SetupError(f"board version: must be 3 (4 chips) or 5 (48 chips), got {version!r}")
        if (version, boards) not in _DIMENSIONS:
            raise SetupError(f"boards: must be 1, or {SEVERAL} of version 5, got {boards!r} of version {version}")
        self.version, self.boards, self.dimensions = version, boards, _DIMENSIONS[version, boards]
        self.ethernets = _ETHERNETS[:boards]        # chips with an Ethernet port, one a board
        width, height = self.dimensions
        self.ethernet_of = {((x + x0) % width, (y + y0) % height): (x0, y0)
                            for x0, y0 in self.ethernets for x, y in _CHIPS[version]}

    def __str__(self) -> str:
        return f"SpiNN-{self.version}" if self.boards == 1 else f"machine of {self.boards} SpiNN-{self.version}"

    @property
    def chips(self) -> list[XY]:
        """Places of all chips, board by board."""
        return list(self.ethernet_of)

    def ethernet_at(self, address: int) -> XY:
        """The Ethernet chip of the board with the chip at a point-to-point address; the first one's for no chip's."""
        return self.ethernet_of.get((address >> 8, address & 255), self.ethernets[0])

    def ends(self, x: int, y: int) -> list[XY | None]:
        """The place behind each link of a chip; None where the link leads nowhere."""
        ends: list[XY | None] = []
        for link, (dx, dy) in enumerate(LINK_DELTAS):
            end = x + dx, y + dy
            if self.version == 3 or self.boards > 1:        # joined top to bottom; several also left to right
                end = end[0] % self.dimensions[0], end[1] % self.dimensions[1]
            there = end in self.ethernet_of and not (self.version == 3 and (x, y, link) in _NO_LINK)
            ends.append(end if there else None)
        return ends
