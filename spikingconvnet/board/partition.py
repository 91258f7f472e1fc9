"""How sPyNNaker spreads a network over cores, and what it asks of each core's share of the SDRAM.

A population becomes one application vertex (one for each channel where the spinnaker backend splits channels), a vertex
becomes slices of neurons, a slice one core; or, for a rule without a combined binary and at time steps below 1 ms, a
neuron core and a synapse core.
Nothing here needs sPyNNaker: the numbers are its own, and tests compare them with its mapping on a virtual board.

Sources: sPyNNaker 7.4.1 ``population_vertex.py``, ``splitter_population_vertex_fixed.py``,
``splitter_population_vertex_neurons_synapses.py``, ``synapse_io.py``, ``neuron_recorder.py``,
``bit_field_utilities.py``, ``master_pop_table.py``, ``local_only_convolution.py``; SpiNNFrontEndCommon 7.4.1
``constants.py``, ``reverse_ip_tag_multicast_source_machine_vertex.py``. Sizes are bytes unless said otherwise.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from spikingconvnet.board.connectors import convolution_connectors
from spikingconvnet.board.lowering import RING_BUFFER_BITS
from spikingconvnet.board.rules import rule_kind
from spikingconvnet.board.split_cores import NEURONS_PER_CORE, ROW_LIMIT, is_split, neurons_of_core
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.network.arrays import Flags, Floats, Ints, Pair
from spikingconvnet.network.board_connectors import BoardConvolution
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import Cell, IFCurrExp, SpikeSourceArray, SpikeSourcePoisson
from spikingconvnet.network.plasticity import Neuromodulation, STDPMechanism
from spikingconvnet.network.spikes import Spikes

PLANNED_STEPS = 1000              # spinnaker.cfg, minimum_auto_time_steps: SDRAM is planned for a run of this length
WORD = 4
SYSTEM = 412                      # pointer table of 32 regions, one allocation, simulation header
MOST_PLASTIC_ROW = 254                      # synapses whose row still takes 256 words, master_pop_table.py
MOST_MODULATED_ROW = 169                    # the same of 4 bytes and not 2, synapse_dynamics_stdp.py
MOST_REWARDED = 255                         # and of a word each, synapse_dynamics_neuromodulation.py
MOST_DELAY_STAGES = 8                       # delay_extension_vertex.py, MAX_SLOTS
RECEPTORS = 2

Connectors: TypeAlias = dict[Pair, BoardConvolution]         # by channel and map
Parts: TypeAlias = dict[str, range]                         # places of a population's vertices


@dataclass(frozen=True, eq=False)
class Rows:
    """Synapses of one PyNN projection, as sPyNNaker reserves rows for them.

    Attributes
    ----------
    pre, delay : int
        Index of the presynaptic vertex; longest delay, steps.
    near, far, longest : int
        Most synapses of a row in one core: with delays within the ring buffer, beyond it, of any.
    synapses : int
    plastic, generated, modulates : bool
        `generated` on the board, from an all-to-all connection of one weight; `modulates`: a reward or punishment.
    kernel : int
        Weights of a ConvolutionConnector; 0 for rows.
    convolution : BoardConvolution or None
        That connector.
    places, counts : int array
        ``core * size + neuron`` of the presynaptic neurons with synapses on a core, ascending; how many there, of rows.
    """

    pre: int
    delay: int
    near: int
    far: int
    longest: int
    synapses: int
    plastic: bool = False
    generated: bool = False
    modulates: bool = False
    kernel: int = 0
    convolution: BoardConvolution | None = None
    places: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def fans(self, core: int, size: int) -> Floats:
        """Synapses on a core of each neuron of the presynaptic vertex, of which there are so many: (size,)."""
        own = slice(*np.searchsorted(self.places, (core * size, (core + 1) * size)))
        return np.bincount(self.places[own] - core * size, self.counts[own], size).astype(np.float64)


@dataclass(eq=False)
class Vertex:
    """One PyNN population on the board.

    Attributes
    ----------
    label : str
        Of the population that it is or is part of.
    first, size : int
        Its neurons in that population.
    cell : record of ``neurons``
    core_size : int
        Neurons of a full core.
    cores : int
        Slices; each takes ``1 + synapse_cores`` cores.
    timestep : float
        ms.
    synapse_cores : int
        1 where neurons and synapses have cores of their own, otherwise 0.
    rule : STDPMechanism or None
    modulation : Neuromodulation or None
    incoming : list of Rows
    slots : int
        Length of its ring buffer, steps.
    stages, stage_steps : int
        Delay stages of the extension that follows it, 0 without one, and the steps of each.
    spikes : int array (steps, cores) or None
        Of a source: spikes of every core in each step.
    core_of : int array (size,)
        Core of every neuron.
    """

    label: str
    first: int
    size: int
    cell: Cell
    core_size: int
    cores: int
    timestep: float = 1.0
    rule: STDPMechanism | None = None
    modulation: Neuromodulation | None = None
    synapse_cores: int = 0
    incoming: list[Rows] = field(default_factory=list)
    slots: int = 1
    stages: int = 0
    stage_steps: int = 1
    spikes: Ints | None = None
    core_of: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def is_source(self) -> bool:
        """Whether it plays back spikes."""
        return self.spikes is not None

    @property
    def is_convolution(self) -> bool:
        """Whether its synapses are kernels in a core's own memory."""
        return any(rows.kernel for rows in self.incoming)


@dataclass(frozen=True, eq=False)
class _PendingRows:
    """Rows whose lengths are counted once the length of the ring buffer is known."""

    pre: int
    delay: int
    source: Ints
    core: Ints
    delays: Ints
    plastic: bool
    generated: bool
    modulates: bool

    def counted(self, slots: int, core_size: int, size: int) -> Rows:
        """As Rows, of a presynaptic vertex of so many neurons."""
        if self.generated:
            near, far, longest = (core_size, 0, core_size) if self.delay <= slots else (0, core_size, core_size)
        else:
            near, far, longest = (self._longest(chosen) for chosen in (self.delays <= slots, self.delays > slots,
                                                                       self.delays > 0))
        return Rows(self.pre, self.delay, near, far, longest, len(self.source), self.plastic, self.generated,
                    self.modulates, 0, None, *np.unique(self.core * size + self.source % size, return_counts=True))

    def _longest(self, chosen: Flags) -> int:
        if not chosen.any():
            return 0
        source = self.source[chosen] - self.source.min()
        return int(np.bincount(source * (int(self.core.max()) + 1) + self.core[chosen]).max())


Waiting: TypeAlias = dict[int, list[_PendingRows]]           # by place of the vertex


def vertices(network: Network) -> list[Vertex]:
    """The vertices of a network, in the order in which they are placed.

    Parameters
    ----------
    network : Network

    Returns
    -------
    list of Vertex

    Raises
    ------
    NetworkError
        For what no board can hold: Poisson sources through PyNN, delays beyond the longest extension.
    """
    connectors, _ = convolutions(network)
    planes = {label for name in connectors for label in
              (network.projection(name).pre, network.projection(name).post)}
    made: list[Vertex] = []
    parts: Parts = {}
    waiting: Waiting = defaultdict(list)
    for population in network.populations:
        parts[population.label] = range(len(made), len(made) + _n_parts(population, planes))
        made += _parts(population, planes, network.timestep)
    for projection in network.projections:
        if projection.label in connectors:
            _add_kernels(made, parts, projection, connectors[projection.label])
        else:
            _add_rows(made, waiting, parts, projection)
    _add_delay_stages(made, waiting)
    apart = split_populations(network, connectors)
    for vertex in made:
        vertex.synapse_cores = int(vertex.label in apart)
    return made


def cores(network: Network) -> dict[str, Ints]:
    """Core of every neuron, counted through its population: dict of str to int array (size,), without sources.

    Parameters
    ----------
    network : Network

    Raises
    ------
    NetworkError
        For Poisson sources, as :func:`vertices`.
    """
    connectors, _ = convolutions(network)
    planes = {label for name in connectors for label in (network.projection(name).pre, network.projection(name).post)}
    found = {}
    for population in network.populations:
        if not population.is_source:
            parts = _parts(population, planes, network.timestep)
            found[population.label] = np.concatenate([part.core_of + i * part.cores for i, part in enumerate(parts)])
    return found


def _n_parts(population: Population, planes: Collection[str]) -> int:
    return population.shape[0] if population.per_channel or population.label in planes else 1


def _parts(population: Population, planes: Collection[str], timestep: float) -> list[Vertex]:
    if isinstance(population.cell, SpikeSourcePoisson):
        raise NetworkError(f"Population {population.label!r}: random sources are only drawn by the local backend; give"
                           " their spikes as a SpikeSourceArray")
    n_parts = _n_parts(population, planes)
    size = population.size // n_parts
    if population.label in planes:
        core_size, cores = _tiled(population.shape[1], population.shape[2], population.neurons_per_core)
    else:
        core_size = neurons_of_core(population)
        cores = -(-size // core_size)
    core_of = _core_of(population, planes, core_size, cores)
    parts = [Vertex(population.label, first, size, population.cell, core_size, cores, timestep, core_of=core_of)
             for first in range(0, population.size, size)]
    if isinstance(population.cell, SpikeSourceArray):
        for vertex, counts in zip(parts, _spikes_by_core(population.cell.spikes, core_of, n_parts, cores)):
            vertex.spikes = counts
    return parts


def _tiled(rows: int, columns: int, most: int | None) -> Pair:
    """Neurons of a core and cores of a plane; a plane that fits one core is not cut (get_multidimensional_slices)."""
    width, height = tile(rows, columns, most)
    return width * height, -(-columns // width) * -(-rows // height)


def _core_of(population: Population, planes: Collection[str], core_size: int, cores: int) -> Ints:
    """Core of every neuron of a part: int array (part size,)."""
    if population.label not in planes:
        return np.arange(population.size // _n_parts(population, planes)) // core_size
    _, rows, columns = population.shape
    width, height = tile(rows, columns, population.neurons_per_core)
    row, column = np.divmod(np.arange(rows * columns), columns)
    core: Ints = (row // height) * (columns // width) + column // width
    return core


def _spikes_by_core(spikes: Spikes, core_of: Ints, n_parts: int, cores: int) -> Ints:
    """Spikes in each step of every core: one int array (steps, cores) for each part."""
    n_steps, size = len(spikes.offsets) - 1, len(core_of)
    step = np.repeat(np.arange(n_steps), np.diff(spikes.offsets))
    part, neuron = np.divmod(spikes.neurons.astype(np.int64), size)
    flat = (part * n_steps + step) * cores + core_of[neuron]
    counts: Ints = np.bincount(flat, minlength=n_parts * n_steps * cores).reshape(n_parts, n_steps, cores)
    return counts


def _add_kernels(made: list[Vertex], parts: Parts, projection: Projection, connectors: Connectors) -> None:
    for (channel, index), one in connectors.items():
        made[parts[projection.post][index]].incoming.append(
            Rows(parts[projection.pre][channel], one.delay, 0, 0, 0, 0, kernel=one.kernel.size, convolution=one))


def _add_rows(made: list[Vertex], waiting: Waiting, parts: Parts, projection: Projection) -> None:
    """One entry for every PyNN projection that ``simulator.Simulation`` makes of `projection`, in the same order."""
    listed = projection.connections.to_list()
    if not len(listed.pre):
        return
    pre_size, post_size = (made[parts[label][0]].size for label in (projection.pre, projection.post))
    inhibits = listed.weight < 0 if listed.signed else np.zeros(len(listed.pre), bool)
    generated = projection.connections.rounding == "machine"
    n_post = len(parts[projection.post])
    group = ((listed.pre // pre_size) * n_post + listed.post // post_size) * 2 + inhibits
    order = np.lexsort((listed.pre, group))
    group, pre, post, delay = (a[order] for a in (group, listed.pre, listed.post, listed.delay))
    if generated:
        piece = np.zeros(len(pre), np.int64)
    else:
        row = np.flatnonzero(np.diff(group * np.int64(pre.max() + 1) + pre, prepend=-1))
        rank = np.arange(len(pre)) - np.repeat(row, np.diff([*row, len(pre)]))
        piece = rank // ROW_LIMIT
    core = (post % post_size) // made[parts[projection.post][0]].core_size
    for (which, _), chosen in _grouped(group, piece):
        pre_part, post_part = divmod(which // 2, n_post)
        place = parts[projection.post][post_part]
        if isinstance(projection.plasticity, Neuromodulation):
            made[place].modulation = projection.plasticity
        elif projection.rule:
            made[place].rule = projection.rule
        waiting[place].append(_PendingRows(parts[projection.pre][pre_part], int(delay[chosen].max()), pre[chosen],
                              core[chosen], delay[chosen], projection.learns, generated, projection.modulates))


def _grouped(group: Ints, piece: Ints) -> Iterator[tuple[Pair, Ints]]:
    """``((group, piece), indices)`` in ascending order."""
    order = np.lexsort((piece, group))
    keys = np.stack([group[order], piece[order]])
    first = np.flatnonzero(np.any(np.diff(keys, axis=1, prepend=keys[:, :1] - 1), axis=0))
    for begin, end in zip(first, [*first[1:], len(order)]):
        yield (int(keys[0, begin]), int(keys[1, begin])), order[begin:end]


def ring_slots(longest: int, neurons: int) -> int:
    """Steps of the ring buffer of a core with so many neurons, for a longest delay in steps: int."""
    return min(1 << n_bits(longest), 1 << RING_BUFFER_BITS - n_bits(neurons) - n_bits(RECEPTORS))


def _most_of_a_row(vertex: Vertex, rows: Rows) -> float:
    """Synapses of a row that sPyNNaker can hold: int, or infinity where lists are cut."""
    if rows.modulates:
        return MOST_REWARDED
    return math.inf if not rows.plastic else MOST_MODULATED_ROW if vertex.modulation else MOST_PLASTIC_ROW


def _add_delay_stages(made: list[Vertex], waiting: Waiting) -> None:
    """Ring buffers, rows and delay extensions, `_DelaySupportAdder` of delay_support_adder.py."""
    for place, vertex in enumerate(made):
        if vertex.is_source:
            continue
        longest = max([0, *(rows.delay for rows in vertex.incoming), *(rows.delay for rows in waiting[place])])
        neurons = min(vertex.size, vertex.core_size)
        vertex.slots = ring_slots(longest, neurons)
        if longest > vertex.slots * (MOST_DELAY_STAGES + 1):
            raise NetworkError(f"Population {vertex.label!r}: a delay of {longest} steps; with {neurons} neurons on a"
                               f" core a board reaches {vertex.slots * (MOST_DELAY_STAGES + 1)}")
        vertex.incoming += [rows.counted(vertex.slots, neurons, made[rows.pre].size) for rows in waiting[place]]
        for rows in vertex.incoming:
            most = _most_of_a_row(vertex, rows)
            if rows.longest > most:
                raise NetworkError(f"Population {vertex.label!r}: {rows.longest} plastic synapses from one neuron to"
                                   f" one core; a row holds {most}; set its neurons_per_core to at most that many")
            if rows.delay > vertex.slots:
                source = made[rows.pre]
                if source.stages and source.stage_steps != vertex.slots:
                    raise NetworkError(f"Population {source.label!r}: delays to populations with ring buffers of"
                                       f" {source.stage_steps} and of {vertex.slots} steps; sPyNNaker extends the"
                                       " delays of a population for one length only")
                source.stage_steps = vertex.slots
                source.stages = max(source.stages, -(-rows.delay // vertex.slots) - 1)


def n_bits(n: int) -> int:
    """Bits for n values, pacman utility_calls.get_n_bits."""
    return 0 if n == 0 else max(1, math.ceil(math.log2(n)))


def split_populations(network: Network, connectors: Collection[str]) -> set[str]:
    """Populations whose neurons and synapses have cores of their own: set of str.

    Each core of neurons gets one core of synapses, however many sPyNNaker would take (see ``split_cores.py``). Networks
    that are reset get none, at any time step: ``sim.reset()`` leaves what a core of synapses has handed over for the
    next step, and it would arrive in the first step of the next image.

    Parameters
    ----------
    network : Network
    connectors : collection of str
        Projections that become sPyNNaker's own connectors for convolutions, of which there is a combined binary only.
    """
    if network.reset_every:
        return set()
    return {p.label for p in network.populations
            if not p.is_source and is_split(p, rule_kind(network, p.label), network.timestep)
            and any(q.label not in connectors and len(q.connections.to_list().pre) for q in network.incoming(p.label))}


def convolutions(network: Network) -> tuple[dict[str, Connectors], dict[str, str]]:
    """Which convolutions sPyNNaker's own connector computes.

    Returns
    -------
    connectors : dict of str to dict of (channel, map) to BoardConvolution
        By label of the projection; the other convolutions become one list of connections per receptor and map.
    choices : dict of str to str
        For every convolution, what it becomes and why; the NetworkError of the connector is told here.
    """
    connectors: dict[str, Connectors] = {}
    choices: dict[str, str] = {}
    for projection in network.projections:
        if isinstance(projection.connections, ConvConnections):
            post = network.population(projection.post)
            if not post.per_channel and post.shape[0] > 1 and post.shape[1:] == (1, 1):
                choices[projection.label] = f"lists of connections onto one population of {post.size:,} units"
                continue
            try:
                connectors[projection.label] = _on_board(network, projection, projection.connections)
                choices[projection.label] = "ConvolutionConnector: stride 1 and a kernel of odd size"
            except NetworkError as error:
                choices[projection.label] = f"lists of connections, because {error}"
    return connectors, choices


def _on_board(network: Network, projection: Projection, connections: ConvConnections) -> Connectors:
    post = network.population(projection.post)
    require(len(network.incoming(post.label)) == 1, f"Population {post.label!r}", "projections",
            len(network.incoming(post.label)), "one convolution for sPyNNaker's connector", NetworkError)
    require(post.per_channel or post.shape[0] == 1, f"Population {post.label!r}", "per_channel", False,
            "True for sPyNNaker's connector", NetworkError)
    require(isinstance(post.cell, IFCurrExp), f"Population {post.label!r}", "cell", type(post.cell).__name__,
            "IFCurrExp for sPyNNaker's connector, which has no other binary", NetworkError)
    pre = network.population(projection.pre)
    require(pre.per_channel or pre.is_source or pre.shape[0] == 1, f"Population {pre.label!r}", "per_channel", False,
            "True before sPyNNaker's connector", NetworkError)
    return convolution_connectors(connections)


def tile(rows: int, columns: int, most: int | None = None) -> Pair:
    """Largest (columns, rows) of a core for a plane of neurons: whole parts of it, at most `most` neurons.

    None stands for `NEURONS_PER_CORE`.
    """
    most = most or NEURONS_PER_CORE
    width = max(n for n in range(1, columns + 1) if columns % n == 0 and n <= most)
    return width, max(n for n in range(1, rows + 1) if rows % n == 0 and n * width <= most)
