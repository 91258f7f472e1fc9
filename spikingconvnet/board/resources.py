"""What a network takes of a SpiNNaker machine: cores, chips, SDRAM, time; and how many copies of it fit.

Cores and SDRAM are sPyNNaker's own numbers (``partition``, ``sdram``); the load of a core is an estimate (``load``).
Not predicted: routing tables, congestion, the time that loading and reading back take.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from spikingconvnet.board import load, partition, sdram
from spikingconvnet.board.load import Load
from spikingconvnet.board.partition import Vertex
from spikingconvnet.board.targets import check_target
from spikingconvnet.errors import SettingsError
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

CHIPS_OF_17_CORES = {(1, 1), (1, 3), (3, 1), (3, 3), (3, 5), (5, 2), (5, 4), (5, 6)}     # SpiNNMachine version_5.py
SDRAM_PER_CHIP = 123_469_792      # version_spin1.py; what SC&MP leaves of 128 MiB
MONITOR_SDRAM = 488_476           # the monitor of every chip
GATHERER_SDRAM = 477_250          # more on a board's Ethernet chip

Share: TypeAlias = tuple[int, int]          # cores, and bytes of SDRAM


@dataclass(frozen=True)
class Machine:
    """A SpiNNaker machine as sPyNNaker sees it.

    Attributes
    ----------
    name : str
    boards : int
    chips_per_board : int
        4 (SpiNN-3) or 48 (SpiNN-5).
    monitors : bool
        Whether sPyNNaker runs its monitors, one on every chip and one more at the Ethernet; the emulated board needs
        none.
    """

    name: str
    boards: int
    chips_per_board: int = 48
    monitors: bool = True

    @property
    def chips(self) -> int:
        """Chips of the machine."""
        return self.boards * self.chips_per_board

    def board(self) -> list[Share]:
        """Free (cores, bytes of SDRAM) of every chip of a board, the Ethernet chip first: list of pairs."""
        few = len(CHIPS_OF_17_CORES) if self.chips_per_board == 48 else 0
        cores = [18] * (self.chips_per_board - few) + [17] * few
        if not self.monitors:
            return [(n - 1, SDRAM_PER_CHIP) for n in cores]
        free = [(n - 2, SDRAM_PER_CHIP - MONITOR_SDRAM) for n in cores]
        return [(free[0][0] - 1, free[0][1] - GATHERER_SDRAM), *free[1:]]

    @property
    def cores(self) -> int:
        """Cores for neurons and sources."""
        return self.boards * sum(cores for cores, _ in self.board())


MACHINES = {machine.name: machine for machine in (
    Machine("spin3", 1, 4), Machine("spin5", 1), Machine("spin5x3", 3), Machine("full", 1200),
    Machine("emulated", 1, monitors=False))}
SURVEY = ("spin5", "spin5x3", "full")       # machines that every report compares


def machine(target: str) -> Machine:
    """The Machine of a target; the name or address of a board stands for a SpiNN-5, a spalloc server for all boards.

    >>> machine("spin3").cores, machine("192.168.240.1").cores
    (63, 759)

    Raises
    ------
    SettingsError
        Neither a machine nor a name or address, see ``backends.check_target``; or a virtual board, which is any.
    """
    check_target(target, *MACHINES)
    if target.startswith("spalloc:"):
        return MACHINES["full"]
    if target == "virtual":
        raise SettingsError("--target virtual: sPyNNaker invents a machine of any size for it, so everything fits;"
                            f" name one of {', '.join(MACHINES)} or a board")
    kind, _, host = target.partition(":")       # spin3:HOST
    return MACHINES.get(kind if kind in ("spin3", "spin5") and host else target) or Machine(target, 1)


@dataclass(frozen=True, eq=False)
class Resources:
    """What one copy of a network takes.

    Attributes
    ----------
    neurons, cores, chips : int
    sdram : int
        Bytes, all cores; planned for `partition.PLANNED_STEPS` steps.
    largest_core : int
        Bytes of SDRAM of the core group that takes most.
    spikes_per_step : int
        Most spikes that sources send in one step, all together.
    loads : list of Load
        Heaviest first, one for each population part.
    groups : list of (cores, bytes)
        What has to be on one chip together.
    recording : list of (cores, bytes)
        The same while membranes are recorded.
    """

    neurons: int
    cores: int
    chips: int
    sdram: int
    largest_core: int
    spikes_per_step: int
    loads: list[Load]
    groups: list[Share]
    recording: list[Share]


def resources(network: Network, record: Collection[str] = (),
              fired: Mapping[str, Spikes] | None = None) -> Resources:
    """Resources of a network.

    Parameters
    ----------
    network : Network
    record : collection of str
        Labels of populations whose membranes are recorded at times.
    fired : dict of str to Spikes or None
        What populations of neurons fire over the timeline of the sources, where it is known.

    Returns
    -------
    Resources

    Raises
    ------
    NetworkError
        If no board could hold it at all.
    """
    made = partition.vertices(network)
    groups = _groups(made)
    sent = [vertex.spikes.sum(axis=1) for vertex in made if vertex.spikes is not None]
    return Resources(sum(vertex.size for vertex in made if not vertex.is_source), sum(cores for cores, _ in groups),
                     chips_counted(groups), sum(size for _, size in groups), max(size for _, size in groups),
                     int(np.sum(sent, axis=0).max(initial=0)) if sent else 0, load.loads(made, fired or {}), groups,
                     _groups(made, record) if record else groups)


def boards_needed(network: Network, record: Collection[str] = ()) -> int:
    """Boards that the emulated machine has for a network, of which membranes are recorded: int."""
    return large_enough(MACHINES["emulated"], resources(network, record).recording).boards


def _groups(made: list[Vertex], record: Collection[str] = ()) -> list[Share]:
    groups = [(1 + vertex.synapse_cores, size) for vertex in made for size in sdram.used(vertex, made, record)]
    return groups + [(1, sdram.delay_extension()) for vertex in made if vertex.stages for _ in range(vertex.cores)]


def chips_counted(groups: Sequence[Share]) -> int:
    """Chips that sPyNNaker asks for, pacman ``chip_counter.py``: groups one after another on chips of 16 cores."""
    chips = cores = size = 0
    for n, needed in groups:
        if cores < n or size < needed:
            chips, cores, size = chips + 1, 16, SDRAM_PER_CHIP - MONITOR_SDRAM
        cores, size = cores - n, size - needed
    return chips


def replicas(groups: Sequence[Share], on: Machine) -> int:
    """Copies of a network that fit a machine, each on chips of its own board where a board can hold one.

    Parameters
    ----------
    groups : list of (cores, bytes)
        Of a Resources.
    on : Machine

    Returns
    -------
    int
    """
    chips = on.board()
    if any(not _fits(group, max(chips)) for group in groups):
        return 0
    per_board = _copies(groups, chips)
    if per_board:
        return on.boards * per_board
    boards, left = 1, _not_placed(groups, chips)
    while left and boards < on.boards:
        boards, left = boards + 1, _not_placed(left, chips)
    return 0 if left else on.boards // boards


def large_enough(on: Machine, groups: Sequence[Share]) -> Machine:
    """The machine, with three boards if it is the emulated one and one board is too small: as many as it is made with.

    >>> [large_enough(MACHINES["emulated"], cores * [(1, 1000)]).boards for cores in (800, 900)]
    [1, 3]
    """
    return replace(on, boards=3) if on == MACHINES["emulated"] and not replicas(groups, on) else on


def _fits(group: Share, chip: Share) -> bool:
    return group[0] <= chip[0] and group[1] <= chip[1]


def _copies(groups: Sequence[Share], chips: Sequence[Share]) -> int:
    """How many times the groups of cores of a network fit on the chips."""
    copies, free = 0, list(chips)
    while free:
        left, free = _place(groups, free)
        if left:
            break
        copies += 1
    return copies


def _not_placed(groups: Sequence[Share], chips: Sequence[Share]) -> Sequence[Share]:
    return _place(groups, list(chips))[0]


def _place(groups: Sequence[Share], free: list[Share]) -> tuple[Sequence[Share], list[Share]]:
    """Groups in order on chips in order: groups that found no place, and what is free from the last chip on."""
    for i, group in enumerate(groups):
        while free and not _fits(group, free[0]):
            free = free[1:]
        if not free:
            return groups[i:], []
        free = [(free[0][0] - group[0], free[0][1] - group[1]), *free[1:]]
    return [], free
