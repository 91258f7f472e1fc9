"""What a network takes of a SpiNNaker machine: cores, chips, SDRAM, time; and how many copies of it fit.

Cores and SDRAM are sPyNNaker's own numbers (``partition``, ``sdram``). The load of a core is an estimate: cycles that
the compiled binaries of sPyNNaker 7.4.1 take on the timed emulated board, whose cycle tables are those of the ARM968.
Not predicted: routing tables, congestion, the time that loading and reading back take.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from spikingconvnet.board import partition, sdram
from spikingconvnet.board.partition import Vertex
from spikingconvnet.board.programs import programs
from spikingconvnet.board.targets import check_target
from spikingconvnet.board.weight_scale import SPIKES_PER_SECOND
from spikingconvnet.errors import SettingsError
from spikingconvnet.network.arrays import Ints
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.spikes import Spikes

CYCLES_PER_MS = 200_000           # at 200 MHz
# Cycles of IF_curr_exp*.aplx, measured on the timed emulated board by benchmarks/board_time.py.
STEP_COST = 1251          # that of a neuron is in programs.py
START_COST = 764          # of the first packets of a step, for which the core has to be woken
STATIC, PLASTIC, KERNEL = "static", "plastic", "kernel"
SPIKE_COST = {STATIC: 718, PLASTIC: 1191, KERNEL: 491}      # one more packet and its row
SYNAPSE_COST = {STATIC: 29, PLASTIC: 139, KERNEL: 63}
MARGIN = 1.1              # of time scales and neurons that keep up: loads are meant to be right within 10 %
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


@dataclass(frozen=True)
class Load:
    """What one core has to do in a step.

    Attributes
    ----------
    label : str
        Population, and number of its part.
    neurons : int
    spikes, events : int
        That arrive in the busiest step: packets, and synapses that they reach, on average over the sources and the
        cores of the population; kernels as in the middle of an image. Neurons whose spikes are not known are taken
        to fire at the 30 Hz that sPyNNaker plans for.
    mean : float
        Share of the time of a step that is used on average.
    worst : float
        The same in the busiest step; above 1 a board falls behind.
    keeps_up : int
        Neurons on a core that are done with the busiest step in time, with a margin; 0 if not even one is.
    """

    label: str
    neurons: int
    spikes: int
    events: int
    mean: float
    worst: float
    keeps_up: int


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
                     int(np.sum(sent, axis=0).max(initial=0)) if sent else 0, _loads(made, fired or {}), groups,
                     _groups(made, record) if record else groups)


def _groups(made: list[Vertex], record: Collection[str] = ()) -> list[Share]:
    groups = [(1 + vertex.synapse_cores, size) for vertex in made for size in sdram.used(vertex, made, record)]
    return groups + [(1, sdram.delay_extension()) for vertex in made if vertex.stages for _ in range(vertex.cores)]


def _loads(made: list[Vertex], fired: Mapping[str, Spikes]) -> list[Load]:
    """Load of one core of each vertex that has neurons, heaviest first."""
    sent, loads = _sent(made, fired), []
    numbers: dict[str, int] = {}
    known = {}
    for vertex in made:
        if not vertex.is_source:
            numbers[vertex.label] = number = numbers.get(vertex.label, -1) + 1
            key = tuple((rows.pre, rows.plastic, rows.kernel, rows.synapses) for rows in vertex.incoming)
            if key not in known:
                known[key] = _arriving(vertex, made, sent)
            busiest, shared, spikes, events, mean = known[key]
            neurons = min(vertex.size, vertex.core_size)
            step, each = CYCLES_PER_MS * vertex.timestep, programs(vertex.cell).cycles
            idle = STEP_COST + each * neurons
            by_neuron = each + shared / neurons
            keeps_up = max(int((step / MARGIN - STEP_COST - busiest + shared) / by_neuron), 0)
            loads.append(Load(f"{vertex.label} {number}", neurons, spikes, events, (idle + mean) / step,
                              (idle + busiest) / step, keeps_up))
    return sorted(loads, key=lambda load: -load.worst)


def _sent(made: list[Vertex], fired: Mapping[str, Spikes]) -> dict[int, Ints]:
    """Spikes of each step, of every vertex of which they are known."""
    sent: dict[int, Ints] = {}
    for index, vertex in enumerate(made):
        if vertex.spikes is not None:
            sent[index] = vertex.spikes.sum(axis=1)
        elif vertex.label in fired:
            spikes = fired[vertex.label]
            own = (spikes.neurons >= vertex.first) & (spikes.neurons < vertex.first + vertex.size)
            sent[index] = np.bincount(spikes.steps()[own], minlength=len(spikes.offsets) - 1)
    return sent


def _arriving(vertex: Vertex, made: list[Vertex], sent: Mapping[int, Ints]) -> tuple[float, float, int, int, float]:
    """Cycles that the busiest step's spikes cost, those of synapses among them, its spikes and events; mean cycles."""
    steps = max([len(counts) for counts in sent.values()], default=1)
    cost, shared, spikes, events = np.zeros(steps), np.zeros(steps), np.zeros(steps), np.zeros(steps)
    for pre in {rows.pre for rows in vertex.incoming}:
        rows = [one for one in vertex.incoming if one.pre == pre]
        reached = [(one.kernel or one.synapses / made[pre].size) / vertex.cores for one in rows]
        kinds = [KERNEL if one.kernel else PLASTIC if one.plastic else STATIC for one in rows]
        synapses = sum(n * SYNAPSE_COST[kind] for n, kind in zip(reached, kinds))
        one_spike = max(SPIKE_COST[kind] for kind in kinds) + synapses
        counts = sent.get(pre, made[pre].size * SPIKES_PER_SECOND * vertex.timestep / 1000.0)
        cost, spikes, events = cost + counts * one_spike, spikes + counts, events + counts * sum(reached)
        shared = shared + counts * synapses
    cost = cost + START_COST * np.minimum(spikes, 1)
    step = int(np.argmax(cost))
    return float(cost[step]), float(shared[step]), int(spikes[step]), int(events[step]), float(cost.mean())


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
