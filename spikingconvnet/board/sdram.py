"""SDRAM that sPyNNaker reserves for the cores of a vertex: a fixed part, and a part for every step that is recorded.

Sources as in ``partition``, whose `Vertex` is what is measured here. Sizes are bytes.
"""

from collections.abc import Collection

from spikingconvnet.board.partition import PLANNED_STEPS, RECEPTORS, SYSTEM, WORD, Rows, Vertex
from spikingconvnet.board.programs import programs
from spikingconvnet.board.rules import DOPAMINE_SHIFT, ELIGIBILITY_SHIFT, TIMINGS, WEIGHTINGS, decay_table, decay_tables
from spikingconvnet.network.arrays import Ints
from spikingconvnet.network.plasticity import Neuromodulation, STDPMechanism

# Provenance words, besides 6 of every core: `N_ITEMS` of the structures of population_machine_*.py.
NEURON_ITEMS, COMBINED_MAIN_ITEMS, NEURON_MAIN_ITEMS, SYNAPSE_ITEMS = 4, 2, 1, 10
SPIKE_ITEMS, FAST_SPIKE_ITEMS, LOCAL_ONLY_ITEMS, DELAY_ITEMS = 6, 14, 4, 12
VARIABLES = 3                       # v and two synaptic currents
RECORDED_BY_NEURONS, RECORDED_BY_SYNAPSES = VARIABLES + 1, 2
KEYS_PER_MESSAGE, MESSAGE_HEADER, KEY = 61, 6, 4            # buffered_sending_region.py


def used(vertex: Vertex, made: list[Vertex], record: Collection[str] = ()) -> list[int]:
    """SDRAM of every core group of a vertex, its delay extension not included.

    Parameters
    ----------
    vertex : partition.Vertex
    made : list of partition.Vertex
        All of the network.
    record : collection of str
        Labels of populations whose membranes are recorded.

    Returns
    -------
    list of int
        Bytes of each slice, for a run of `PLANNED_STEPS`.

    Raises
    ------
    NetworkError
        For a time constant of plasticity whose table does not fit a core.
    """
    if vertex.spikes is not None:
        return [_source(vertex.spikes[:, core]) for core in range(vertex.cores)]
    size = _split(vertex, made) if vertex.synapse_cores else _combined(vertex, made)
    return [size + _recorded(min(vertex.size, vertex.core_size), vertex.label in record)] * vertex.cores


def delay_extension() -> int:
    """SDRAM of a core that extends delays."""
    return SYSTEM + 9 * WORD + _provenance(DELAY_ITEMS)


def _source(spikes: Ints) -> int:
    """A SpikeSourceArray's core: what is sent in its busiest step, reserved for every step."""
    keys = int(spikes.max(initial=0))
    step = MESSAGE_HEADER * -(-keys // KEYS_PER_MESSAGE) + KEY * keys
    return SYSTEM + 13 * WORD + _recording(1) + _provenance(0) + step * (PLANNED_STEPS + 1)


def _combined(vertex: Vertex, made: list[Vertex]) -> int:
    """Bytes of a core that has both neurons and their synapses, or the kernels of a convolution."""
    n = min(vertex.size, vertex.core_size)
    if vertex.is_convolution:
        items, synapses = LOCAL_ONLY_ITEMS, 5 * WORD + _kernels(vertex)
    else:
        items = SYNAPSE_ITEMS + SPIKE_ITEMS
        synapses = _synapse_parameters() + _dynamics(vertex) + _synapses(vertex, made)
    return (_common(RECORDED_BY_NEURONS + RECORDED_BY_SYNAPSES, NEURON_ITEMS + COMBINED_MAIN_ITEMS + items)
            + _neurons(vertex, n) + synapses)


def _split(vertex: Vertex, made: list[Vertex]) -> int:
    """A neuron core and its synapse core, which hands over what it has through the SDRAM."""
    n = min(vertex.size, vertex.core_size)
    transfer = (1 << _ceil_bits(n)) * RECEPTORS * 2
    neurons = (_common(RECORDED_BY_NEURONS, NEURON_ITEMS + NEURON_MAIN_ITEMS) + _neurons(vertex, n)
               + 6 * WORD + transfer * vertex.synapse_cores)
    core = _common(RECORDED_BY_SYNAPSES, SYNAPSE_ITEMS + FAST_SPIKE_ITEMS) + 3 * WORD + 5 * WORD
    shared = _synapse_parameters() + max(_dynamics(vertex), WORD) + WORD + _synapses(vertex, made)
    return neurons + shared + core * vertex.synapse_cores


def _common(recordable: int, provenance: int) -> int:
    return SYSTEM + _recording(recordable) + _provenance(provenance) + WORD


def _recording(regions: int) -> int:
    return WORD + regions * 3 * WORD + regions * 2 * WORD


def _provenance(items: int) -> int:
    return (6 + items) * WORD


def _neurons(vertex: Vertex, n: int) -> int:
    """Parameters twice (in force and initial), what generates them, what is recorded of whom."""
    structures, numbers = programs(vertex.cell).shared, programs(vertex.cell).numbers
    parameters = WORD * ((numbers - 1) * n + 1)
    generator = 12 * WORD + 4 * WORD * structures + 2 * WORD * numbers + 24 * numbers * n
    indices = 2 * n + 2 * n % WORD
    metadata = 2 * WORD + (2 * WORD + indices) + VARIABLES * (3 * WORD + indices)
    return ((5 + RECEPTORS + n) * WORD + 2 * parameters + WORD + metadata
            + generator + metadata + RECORDED_BY_NEURONS * WORD)


def _recorded(n: int, membranes: bool) -> int:
    """Spikes of all neurons of a core, and their membranes: every step of the planned run."""
    step, fixed = WORD + WORD * -(-n // 32), 2 * WORD
    if membranes:
        step += VARIABLES * (WORD + WORD * n)
        fixed += VARIABLES * 2 * WORD
    return fixed + step * PLANNED_STEPS


def _synapse_parameters() -> int:
    return (7 + RECEPTORS) * WORD


def _dynamics(vertex: Vertex) -> int:
    """Parameters of the rule: tables of decay, bounds and amplitudes."""
    if vertex.rule is None:
        return 0
    rule = _rule(vertex.rule, vertex.timestep)
    return rule + (_modulation(vertex.modulation, vertex.timestep) if vertex.modulation else 0)


def _modulation(modulation: Neuromodulation, dt: float) -> int:
    return 3 * WORD + _bytes(decay_table(modulation.tau_c, dt, ELIGIBILITY_SHIFT),
                             decay_table(modulation.tau_d, dt, DOPAMINE_SHIFT))


def _rule(mechanism: STDPMechanism, dt: float) -> int:
    timing, weight = mechanism.kind
    return ((1 + TIMINGS[timing].words) * WORD + _bytes(*decay_tables(mechanism.timing_dependence, dt).values())
            + WEIGHTINGS[weight].parameters * RECEPTORS)


def _bytes(*tables: Ints) -> int:
    return sum(2 * (len(table) + 2) for table in tables)


def _synapses(vertex: Vertex, made: list[Vertex]) -> int:
    """Rows, the table that finds them, what generates them on the board, the filter of packets without a row."""
    edges: dict[int, list[Rows]] = {}
    for rows in vertex.incoming:
        edges.setdefault(rows.pre, []).append(rows)
    address, entries, sources, generator, filters = 2 * WORD, 0, 0, 19 * WORD + 8 * RECEPTORS, 2 * WORD
    for pre, projections in edges.items():
        source = made[pre]
        stages = source.stages if any(rows.delay > vertex.slots for rows in projections) else 0
        sources += 1 + bool(stages)
        filters += WORD * (4 + -(-source.size // 32)) + WORD * (4 + -(-source.size * stages // 32))
        generator += WORD * (1 + bool(stages))
        for rows in projections:
            entries += 1 + bool(stages)
            header = 44 + 3 * WORD + WORD * (6 if rows.modulates else 19 if rows.plastic else 12)
            generator += header * source.cores if rows.generated else 0
            for synapses, depth in ((rows.near, 1), (rows.far, stages)):
                block = source.core_size * depth * _row(synapses, vertex, rows)
                for _ in range(source.cores if synapses else 0):
                    address = -(-address // 16) * 16 + block
    return address + 2 * WORD + 20 * sources + WORD * entries + generator + filters


def _row(synapses: int, vertex: Vertex, rows: Rows) -> int:
    """Bytes of a row of so many synapses: three words, and fixed or plastic ones behind them."""
    if not rows.plastic:
        words = synapses + rows.modulates
    else:
        header = TIMINGS[vertex.rule.kind[0]].header if vertex.rule else 8
        words = -(-synapses // 2) + -(-(header + (4 if vertex.modulation else 2) * synapses) // WORD)
    return WORD * (words + 3)


def _kernels(vertex: Vertex) -> int:
    """Kernels and connectors of a core's own memory, which are loaded from SDRAM."""
    sources = len({rows.pre for rows in vertex.incoming})
    weights = 2 * sum(rows.kernel for rows in vertex.incoming)
    return 28 + 40 * sources + 36 * len(vertex.incoming) + weights + weights % WORD


def _ceil_bits(n: int) -> int:
    return max(1, (n - 1).bit_length())
