"""What a network takes of each core's own memory, the 64 KiB of DTCM, before anything runs on a board.

A program of sPyNNaker has its variables at the bottom of the DTCM and its stacks, 2048 bytes, at the top; everything
else it asks of the heap between them while it initialises, and a core that is refused ends with a run-time error ("Out
of DTCM"). Here every block is counted, in the order of the binaries. Tests compare it with the heaps that the binaries
have laid out on an emulated board, block by block; ``benchmarks/core_memory.py`` looks for the largest cores.

A block takes whole words and 8 bytes more (spinnaker_tools, ``sark_alloc.c``, ``sark_xalloc``; ``sark.h:637``). Sizes
are bytes. Lines of sPyNNaker 7.4.1's programs are those of their messages when a block is refused, as the .dict files
beside the binaries give them. What is not counted: the filters of packets without a row, which a core leaves out if
they do not fit (``population_table_binary_search_impl.c:308``), unless what it learns depends on them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from spikingconvnet.board import partition
from spikingconvnet.board.binaries import HEAP_BASES
from spikingconvnet.board.partition import RECEPTORS, WORD, Vertex
from spikingconvnet.board.programs import programs
from spikingconvnet.board.rules import (
    DOPAMINE_SHIFT,
    ELIGIBILITY_SHIFT,
    MODULATED_KINDS,
    RULE_KINDS,
    TIMINGS,
    WEIGHTINGS,
    decay_table,
    decay_tables,
)
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.arrays import AnyInts, Pair
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.plasticity import STDPMechanism

STACKS = (1 << 16) - 2048           # where they begin: the end of the heap (sark_base.c:446)
HEAP = 16 + 8                       # its header and its last block (sark.h:652)
BLOCK = 8                           # header of each block
SARK = (4 * 292, 28 * 16)           # message buffers and events, sark_base.c:459 and sark_event.c:550
PACKET_BUFFER = 256                 # packets: spynnaker.cfg, incoming_spike_buffer_size; delay_extension.c
LONGEST_ROW = (255 + 3) * WORD      # of a DMA buffer, whatever the rows: population_table_binary_search_impl.c
CHANNEL = 16                        # recording.c:174
VARIABLES = 3                       # v and two synaptic currents
MODULATED_HISTORY = 136             # of a neuron, post_events_with_da.h:100
SYSTEM, NEURONS, RECORDING, RING, SOURCES, LEARNING, ROWS, PACKETS, KERNELS, TRANSFER, DELAYS, FILTERS = (
    "system", "neurons", "recording", "ring buffer", "tables of sources", "learning", "rows of synapses",
    "waiting packets", "kernels", "transfer between cores", "waiting spikes", "filters")
TOLD = 3                            # parts of a core's memory that a text names

Record: TypeAlias = Collection[str] | Mapping[str, AnyInts]     # populations, or neurons of each
Sizes: TypeAlias = tuple[int, ...]
Blocks: TypeAlias = dict[str, Sizes]


@dataclass(frozen=True, eq=False)
class Use:
    """What a full core of a vertex asks of its heap.

    Attributes
    ----------
    label, binary : str
        Population, and program without ``.aplx``.
    neurons : int
    blocks : dict of str to tuple of int
        Sizes that are asked for, by what they are for.
    """

    label: str
    binary: str
    neurons: int
    blocks: Blocks = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, int]:
        """Bytes of the heap by what they are for: dict of str to int."""
        return {name: sum(-(-size // WORD) * WORD + BLOCK for size in sizes) for name, sizes in self.blocks.items()}

    @property
    def needed(self) -> int:
        """Bytes."""
        return sum(self.parts.values())

    @property
    def there(self) -> int:
        """Bytes of the heap."""
        return STACKS - HEAP_BASES[self.binary] - HEAP

    @property
    def fits(self) -> bool:
        """Whether the core initialises."""
        return self.needed <= self.there


@dataclass(frozen=True)
class Lack:
    """A core that does not have what it needs, and the change that would help."""

    text: str
    change: str


def memory(network: Network, record: Record = (), packet_buffer: int | None = None) -> tuple[list[Use], list[Lack]]:
    """What the cores of a network take, and those that do not have it.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
        Populations whose membranes are recorded, or the neurons of each, as for ``simulator.open``.
    packet_buffer : int or None
        Packets that a core holds until it works them off; None is `PACKET_BUFFER`.

    Returns
    -------
    uses : list of Use
        One for each kind of core of every vertex, the fullest first.
    lacks : list of Lack
        One for each population.

    Raises
    ------
    NetworkError
        For what sPyNNaker cannot map, see ``partition.vertices``.
    """
    made = partition.vertices(network)
    found, lacking = [], {}
    for vertex in made:
        cores = _uses(vertex, made, record, packet_buffer)
        for use in cores:
            if not use.fits and use.label not in lacking:
                change = _change(use, vertex, made, record, packet_buffer)
                lacking[use.label] = Lack(_text(use), change)
        found += cores
    return sorted(found, key=lambda use: use.there - use.needed), list(lacking.values())


def require_fits(network: Network, record: Record = (), packet_buffer: int | None = None) -> None:
    """Raise NetworkError if a core does not have what it needs. Parameters as :func:`memory`."""
    for lack in memory(network, record, packet_buffer)[1]:
        raise NetworkError(f"{lack.text}; {lack.change}")


def largest_packet_buffer(found: Sequence[Use]) -> int:
    """Largest power of two for ``--packet-buffer`` with which all of these Uses fit: int, 0 if none does."""
    return min((_largest_packets(use) for use in found if PACKETS in use.blocks and use.binary != "delay_extension"),
               default=0)


def _text(use: Use) -> str:
    """In words what a core needs and what there is, with the largest parts."""
    largest = sorted(use.parts.items(), key=lambda part: -part[1])[:TOLD]
    told = ", ".join(f"{name} {size:,}" for name, size in largest)
    delays = " that delays its spikes" if use.binary == "delay_extension" else ""
    return (f"population {use.label}: a core of {use.neurons:,} neurons{delays} needs {use.needed:,} bytes of its own"
            f" memory (DTCM), and {use.there:,} are there ({told})")


def _change(use: Use, vertex: Vertex, made: list[Vertex], record: Record, packet_buffer: int | None) -> str:
    """What would make it fit: a smaller packet buffer, fewer neurons on a core, fewer recorded membranes."""
    changes = []
    packets = largest_packet_buffer([use])
    if packet_buffer and packets:
        changes.append(f"take a --packet-buffer of at most {packets}")
    most = next((n for n in range(use.neurons - 1, 0, -1)
                 if all(one.fits for one in _uses(_with(vertex, n), made, record, packet_buffer))), 0)
    if most:
        changes.append(f"set neurons_per_core of population {use.label} to at most {most}")
    if vertex.label in record and all(one.fits for one in _uses(vertex, made, (), packet_buffer)):
        changes.append("record the membranes of fewer neurons")
    return ", or ".join(changes) or "use shorter delays or time constants, or fewer projections to the population"


def _largest_packets(use: Use) -> int:
    spare = use.there - use.needed + use.parts[PACKETS] - BLOCK - 16
    return 1 << (spare // WORD).bit_length() - 1 if spare >= WORD else 0


def _with(vertex: Vertex, neurons: int) -> Vertex:
    """The vertex with so many neurons on a core; rows of synapses are not cut anew, as nothing here asks for them."""
    longest = max([rows.delay for rows in vertex.incoming], default=0)
    slots = vertex.slots if vertex.is_source else partition.ring_slots(longest, neurons)
    return replace(vertex, core_size=neurons, slots=slots)


def _uses(vertex: Vertex, made: list[Vertex], record: Record, packet_buffer: int | None) -> list[Use]:
    """The Uses of one vertex and of the extension that delays its spikes."""
    n = min(vertex.size, vertex.core_size)
    if vertex.is_source:
        found = [Use(vertex.label, "reverse_iptag_multicast_source", n, {SYSTEM: (*SARK, 272, 280, 16)})]
    elif vertex.synapse_cores:
        found = [_neuron_core(vertex, n, record), _synapse_core(vertex, made, n, packet_buffer)]
    else:
        found = [_combined(vertex, n, record, packet_buffer)]
    return found + [_extension(vertex, n)] * bool(vertex.stages)


def _combined(vertex: Vertex, n: int, record: Record, packet_buffer: int | None) -> Use:
    """A core that has both neurons and their synapses, or the kernels of a convolution."""
    name = programs(vertex.cell).name
    blocks = {SYSTEM: SARK, NEURONS: _neurons(vertex, n), RECORDING: (6 * CHANNEL, *_recording(vertex, n, record))}
    if vertex.is_convolution:
        return Use(vertex.label, f"{name}_conv", n, blocks | {
            KERNELS: _kernels(vertex), PACKETS: _packets(packet_buffer), RING: _ring(vertex, n)})
    return Use(vertex.label, name + _suffix(vertex), n, blocks | _synapses(vertex, n, packet_buffer))


def _neuron_core(vertex: Vertex, n: int, record: Record) -> Use:
    transfer = 2 * RECEPTORS * (1 << partition.n_bits(n))       # c_main_neurons.c:286: two buffers and their sum
    return Use(vertex.label, f"{programs(vertex.cell).name}_neuron", n, {
        SYSTEM: SARK, NEURONS: _neurons(vertex, n), RECORDING: (4 * CHANNEL, *_recording(vertex, n, record)),
        TRANSFER: 3 * (transfer,)})


def _synapse_core(vertex: Vertex, made: list[Vertex], n: int, packet_buffer: int | None) -> Use:
    """A core of synapses, whose neurons are on another one."""
    blocks = {SYSTEM: SARK, RECORDING: (2 * CHANNEL,), **_synapses(vertex, n, packet_buffer)}
    sources = {rows.pre for rows in vertex.incoming}
    if any(made[pre].label == vertex.label for pre in sources):     # its filter says what it learns, see split_cores
        blocks[FILTERS] = (WORD * len(sources), *(WORD * -(-made[pre].size // 32) for pre in sources))
    return Use(vertex.label, "synapses" + _suffix(vertex), n, blocks)


def _extension(vertex: Vertex, n: int) -> Use:
    """delay_extension.c:240, 253: a counter of a byte for each neuron and step, and one step more."""
    steps = 1 << (vertex.stages * vertex.stage_steps).bit_length()
    return Use(vertex.label, "delay_extension", n, {
        SYSTEM: SARK, DELAYS: (WORD * steps, *steps * (n,)), PACKETS: _packets(None)})


def _suffix(vertex: Vertex) -> str:
    if vertex.rule is None:
        return ""
    kind = RULE_KINDS[vertex.rule.kind]
    return f"_stdp_{MODULATED_KINDS[kind]}" if vertex.modulation else f"_stdp_mad_{kind}"


def _neurons(vertex: Vertex, n: int) -> Sizes:
    """neuron.c:123 (shifts of the ring buffers); neuron_impl_standard.h:95 to 145."""
    return WORD * RECEPTORS, *(size * n for size in programs(vertex.cell).structures)


def _recording(vertex: Vertex, n: int, record: Record) -> Sizes:
    """neuron_recording.c:134 to 262: tables of variables, of spikes, and what is recorded of a step."""
    indices, values = 2 * n, WORD + WORD * (_recorded(vertex, n, record) + 1)
    return (24 * VARIABLES, WORD * VARIABLES, WORD * VARIABLES, *VARIABLES * (indices,), 24, WORD, WORD, indices,
            *VARIABLES * (values,), WORD + WORD * -(-(n + 1) // 32))


def _recorded(vertex: Vertex, n: int, record: Record) -> int:
    """Most neurons of a core whose membranes are recorded: int."""
    if vertex.label not in record:
        return 0
    if not isinstance(record, Mapping):
        return n
    chosen = np.asarray(record[vertex.label], np.int64) - vertex.first
    chosen = chosen[(chosen >= 0) & (chosen < vertex.size)]
    if vertex.is_convolution:       # its cores are tiles
        return min(n, len(chosen))
    return int(np.bincount(chosen // vertex.core_size).max(initial=0))


def _synapses(vertex: Vertex, n: int, packet_buffer: int | None) -> Blocks:
    """synapses.c:281, 315; population_table_binary_search_impl.c:430, 443; spike_processing.c:454; in_spikes.h."""
    blocks = {RING: (WORD * RECEPTORS, *_ring(vertex, n)), ROWS: 2 * (LONGEST_ROW,), PACKETS: _packets(packet_buffer)}
    sources, entries = _table_entries(vertex)
    if sources:
        blocks[SOURCES] = 20 * sources, WORD * entries
    if vertex.rule:
        blocks[LEARNING] = *_tables(vertex.rule, vertex.timestep), *_learning(vertex.rule, vertex, n)
    return blocks


def _ring(vertex: Vertex, n: int) -> Sizes:
    """Two bytes for each neuron, receptor and step, each number a power of two; never of one step alone."""
    return (2 * (1 << partition.n_bits(n)) * RECEPTORS * max(2, vertex.slots),)


def _packets(packet_buffer: int | None) -> Sizes:
    """spinn_common, circular_buffer.c: the next power of two, a word each, behind a header of 16 bytes."""
    return (16 + WORD * (1 << ((packet_buffer or PACKET_BUFFER) - 1).bit_length()),)


def _table_entries(vertex: Vertex) -> Pair:
    """Entries of the population table and of its address list: a source, and what comes from its extension."""
    sources = {rows.pre for rows in vertex.incoming}
    delayed = {rows.pre for rows in vertex.incoming if rows.delay > vertex.slots}
    return len(sources) + len(delayed), sum(1 + (rows.pre in delayed) for rows in vertex.incoming)


def _tables(mechanism: STDPMechanism, timestep: float) -> Sizes:
    """Tables of decay, maths.h:64."""
    return tuple(WORD + 2 * len(table) for table in decay_tables(mechanism.timing_dependence, timestep).values())


def _learning(mechanism: STDPMechanism, vertex: Vertex, n: int) -> Sizes:
    """Weights of each receptor and their shifts, histories, and the tables of neuromodulation."""
    timing, weight = mechanism.kind
    parameters = WEIGHTINGS[weight].parameters * RECEPTORS
    if vertex.modulation is None:
        return parameters, WORD * RECEPTORS, TIMINGS[timing].history * n
    tables = (decay_table(vertex.modulation.tau_c, vertex.timestep, ELIGIBILITY_SHIFT),
              decay_table(vertex.modulation.tau_d, vertex.timestep, DOPAMINE_SHIFT))
    return (parameters, WORD * RECEPTORS, MODULATED_HISTORY * n, *(WORD + 2 * len(table) for table in tables),
            WORD * RECEPTORS)


def _kernels(vertex: Vertex) -> Sizes:
    """local_only_conv_impl.c: sources, connectors, and the weights of all connectors together."""
    sources, connectors = {rows.pre for rows in vertex.incoming}, len(vertex.incoming)
    weights = sum(rows.kernel for rows in vertex.incoming)
    return 24 + 40 * len(sources), 36 * connectors, 2 * (weights + weights % 2)
