"""What a core has to do in a step, in cycles: its neurons, those that fire, the packets that come and their synapses.

The numbers are those that the compiled binaries of sPyNNaker 7.4.1 take on the timed emulated board, measured one core
at a time by ``benchmarks/board_time.py``. Packets that come while the core is at the one before are cheap: the row of
the next is fetched meanwhile. A packet that finds the core idle starts that chain again. So it counts when packets
come: those of a source all at once, those of neurons as these are updated, one after another on each core, between the
packets that interrupt it.

A neuron's packets go to a core if any neuron of its own core has a synapse there. Those of neurons that have none end
at the core's filter, a bit for each neuron, before a row is fetched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TypeAlias

import numpy as np

from spikingconvnet.board.partition import Rows, Vertex
from spikingconvnet.board.programs import programs
from spikingconvnet.board.weight_scale import SPIKES_PER_SECOND
from spikingconvnet.network.arrays import Flags, Floats, Ints
from spikingconvnet.network.board_connectors import BoardConvolution
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

CYCLES_PER_MS = 200_000           # at 200 MHz
MARGIN = 1.1              # of time scales and neurons that keep up: loads are meant to be right within 10 %
STATIC, PLASTIC, KERNEL = "static", "plastic", "kernel"
# Cycles of IF_curr_exp*.aplx, as benchmarks/board_time.py measures them.
STEP_COST, KERNEL_STEP_COST = 1251, 503     # that of a neuron is in programs.py
KERNEL_NEURON_COST = 176                    # in the program for convolutions
FIRE_COST = 81                              # more, of a neuron that fires, its packet among it
START_COST = {STATIC: 540, PLASTIC: 540, KERNEL: 692}       # of the first packet of a step, for which the core wakes
ALONE_COST = {STATIC: 464, PLASTIC: 462, KERNEL: 557}       # of every other that comes when the one before is done
SPIKE_COST = {STATIC: 798, PLASTIC: 1191, KERNEL: 402}      # one more packet and its row
VAIN_COST = 240                             # a packet without a row on the core, in place of that
ROW_COST = {STATIC: 570, PLASTIC: 963}      # another row of the same packet; the plastic one as 1191 is more than 798
KERNEL_ROW_COST = 71                                        # of the kernel, that reaches neurons of the core
SYNAPSE_COST = {STATIC: 32, PLASTIC: 139, KERNEL: 51}
SOURCES_SEND = 10_000             # after the tick: sPyNNaker lets sources tick 50 us after neurons
APART = 1 << 28                   # cycles between steps, when packets are put in order

Counts: TypeAlias = Floats        # (cores, steps), or (steps,) of one core


@dataclass(frozen=True)
class Load:
    """What one core has to do in a step.

    Attributes
    ----------
    label : str
        Population, and number of its part.
    neurons : int
    spikes, events : int
        That arrive in the busiest step of the busiest core: packets, and synapses that they reach. Neurons whose spikes
        are not known are taken to fire at the 30 Hz that sPyNNaker plans for.
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
class _Sent:
    """Spikes of a vertex that are known: step and neuron of each, and cycles from the tick until its packet goes."""

    step: Ints
    neuron: Ints
    after: Floats
    steps: int


@dataclass(frozen=True, eq=False)
class _Reach:
    """What a spike of each neuron of a vertex does to a core: float arrays (neurons,), and whether it comes."""

    comes: Flags
    synapses: Floats
    shared: Floats              # cycles, those that fewer neurons on the core would save
    cycles: Floats              # all


@dataclass(frozen=True, eq=False)
class _Work:
    """What arrives at each core of a vertex in each step."""

    spikes: Counts
    events: Counts
    shared: Counts
    cycles: Counts
    of_neurons: Counts          # cycles of packets that neurons send


def loads(made: Sequence[Vertex], fired: Mapping[str, Spikes]) -> list[Load]:
    """Load of the busiest core of each vertex that has neurons, heaviest first.

    Parameters
    ----------
    made : list of Vertex
        Of a network.
    fired : dict of str to Spikes
        What populations of neurons fire over the timeline of the sources, where it is known.

    Returns
    -------
    list of Load
    """
    sent = {index: spikes for index, vertex in enumerate(made) if (spikes := _sent(vertex, fired)) is not None}
    work = _works(made, sent)
    if any(one.of_neurons.any() for one in work.values()):
        work = _works(made, {index: _interrupted(one, made[index], work[index]) if index in work else one
                             for index, one in sent.items()})
    found, numbers = [], dict.fromkeys((vertex.label for vertex in made), 0)
    for index, arriving in work.items():
        label = made[index].label
        found.append(_load(f"{label} {numbers[label]}", made[index], arriving, sent.get(index)))
        numbers[label] += 1
    return sorted(found, key=lambda load: -load.worst)


def _works(made: Sequence[Vertex], sent: Mapping[int, _Sent]) -> dict[int, _Work]:
    """What comes to each vertex that has neurons; those of a population with the same synapses share it."""
    known: dict[object, _Work] = {}
    found = {}
    for index, vertex in enumerate(made):
        if not vertex.is_source:
            key = vertex.label, tuple((rows.pre, rows.plastic, rows.kernel, _digest(rows)) for rows in vertex.incoming)
            if key not in known:
                known[key] = _arriving(vertex, made, sent)
            found[index] = known[key]
    return found


def _digest(rows: Rows) -> bytes:
    return sha256(rows.places.tobytes() + rows.counts.tobytes()).digest()


def _interrupted(sent: _Sent, vertex: Vertex, work: _Work) -> _Sent:
    """The same spikes, later: packets of other neurons interrupt the updates of a core all along."""
    base, each = _idle(vertex)
    longer = 1 + work.of_neurons / (each * _neurons(vertex)[:, None])
    return replace(sent, after=base + (sent.after - base) * longer[vertex.core_of[sent.neuron], sent.step])


def _load(label: str, vertex: Vertex, work: _Work, sent: _Sent | None) -> Load:
    step = CYCLES_PER_MS * vertex.timestep
    base, each = _idle(vertex)
    idle = base + each * _neurons(vertex)
    fires = FIRE_COST * _by_core(sent, vertex.core_of, vertex.cores, work.cycles.shape[1])
    cycles, shared = idle[:, None] + work.cycles + fires, work.shared + fires
    core, when = (int(i) for i in np.unravel_index(np.argmax(cycles), cycles.shape))
    neurons = int(_neurons(vertex)[core])
    by_neuron = each + shared[core, when] / neurons
    keeps_up = max(int(neurons + (step / MARGIN - cycles[core, when]) / by_neuron), 0)
    return Load(label, neurons, int(work.spikes[core, when]), int(work.events[core, when]),
                float(cycles[core].mean()) / step, float(cycles[core, when]) / step, keeps_up)


def _neurons(vertex: Vertex) -> Ints:
    """Of every core."""
    return np.bincount(vertex.core_of, minlength=vertex.cores)


def _idle(vertex: Vertex) -> tuple[int, int]:
    """Cycles of a step and of a neuron, if nothing comes."""
    if vertex.is_convolution:
        return KERNEL_STEP_COST, KERNEL_NEURON_COST
    return STEP_COST, programs(vertex.cell).cycles


def _by_core(sent: _Sent | None, core_of: Ints, cores: int, steps: int) -> Counts:
    """Spikes of the vertex itself on each core; one row of none where they are not known."""
    if sent is None:
        return np.zeros((1, steps))
    flat = core_of[sent.neuron] * steps + sent.step
    return np.bincount(flat, minlength=cores * steps).reshape(cores, -1)[:, :steps].astype(float)


def _sent(vertex: Vertex, fired: Mapping[str, Spikes]) -> _Sent | None:
    """The spikes of a vertex, if they are known."""
    spikes = vertex.cell.spikes if isinstance(vertex.cell, SpikeSourceArray) else fired.get(vertex.label)
    if spikes is None:
        return None
    own = (spikes.neurons >= vertex.first) & (spikes.neurons < vertex.first + vertex.size)
    neuron = spikes.neurons[own].astype(np.int64) - vertex.first
    after = np.full(len(neuron), SOURCES_SEND) if vertex.is_source else _updated(vertex)[neuron]
    return _Sent(spikes.steps()[own], neuron, after.astype(float), len(spikes.offsets) - 1)


def _updated(vertex: Vertex) -> Ints:
    """Cycles from the tick until each neuron is updated: one after another on every core."""
    order = np.argsort(vertex.core_of, kind="stable")
    place = np.empty(vertex.size, np.int64)
    place[order] = np.arange(vertex.size)
    base, each = _idle(vertex)
    first = np.cumsum(_neurons(vertex)) - _neurons(vertex)
    after: Ints = base + each * (place - first[vertex.core_of])
    return after


def _arriving(vertex: Vertex, made: Sequence[Vertex], sent: Mapping[int, _Sent]) -> _Work:
    """What comes to the cores of a vertex; that of cores which get the same is counted once."""
    steps = max([one.steps for one in sent.values()], default=1)
    parts = np.zeros((5, vertex.cores, steps))
    known: dict[object, int] = {}
    for core, incoming in enumerate(_incoming(vertex, made)):
        reaches = {pre: _reach(vertex, made[pre], rows, core) for pre, rows in incoming.items()}
        same = known.setdefault(tuple((pre, one.cycles.tobytes()) for pre, one in reaches.items()), core)
        if same == core:
            _come(_Work(*parts[:, core]), vertex, made, sent, reaches)
        parts[:, core] = parts[:, same]
    return _Work(*parts)


def _incoming(vertex: Vertex, made: Sequence[Vertex]) -> list[dict[int, list[Rows]]]:
    """What has synapses on each core of a vertex, by the presynaptic vertex."""
    found: list[dict[int, list[Rows]]] = [{} for _ in range(vertex.cores)]
    for rows in vertex.incoming:
        for core in range(vertex.cores) if rows.kernel else np.unique(rows.places // made[rows.pre].size):
            found[core].setdefault(rows.pre, []).append(rows)
    return found


def _come(work: _Work, vertex: Vertex, made: Sequence[Vertex], sent: Mapping[int, _Sent],
          reaches: Mapping[int, _Reach]) -> None:
    """Add what comes to a core, whose work this is."""
    packets: list[tuple[Floats, Floats]] = []
    for pre, reach in reaches.items():
        if pre in sent:
            packets.append(_known(work, sent[pre], reach, of_neurons=not made[pre].is_source))
        else:
            _unknown(work, reach, SPIKES_PER_SECOND * vertex.timestep / 1000.0)
    kinds = {_kind(rows) for rows in vertex.incoming}
    starts, cycles = _starts(packets, len(work.cycles)), work.cycles
    cycles += max((ALONE_COST[kind] for kind in kinds), default=0) * np.maximum(starts - 1, 0)
    cycles += max((START_COST[kind] for kind in kinds), default=0) * np.minimum(work.spikes, 1)


def _known(work: _Work, sent: _Sent, reach: _Reach, of_neurons: bool) -> tuple[Floats, Floats]:
    """Add spikes that are known to what comes to a core; when each comes, and the cycles that it takes."""
    comes = reach.comes[sent.neuron]
    step, neuron = sent.step[comes], sent.neuron[comes]
    for total, each in ((work.spikes, reach.comes), (work.events, reach.synapses), (work.shared, reach.shared),
                        (work.cycles, reach.cycles), (work.of_neurons, reach.cycles * of_neurons)):
        total += np.bincount(step, each[neuron], minlength=len(total))
    return step * APART + sent.after[comes], reach.cycles[neuron]


def _unknown(work: _Work, reach: _Reach, rate: float) -> None:
    """Add spikes of which only the rate is known, of a neuron in a step."""
    for total, each in ((work.spikes, reach.comes), (work.events, reach.synapses), (work.shared, reach.shared),
                        (work.cycles, reach.cycles)):
        total += rate * (each * reach.comes).sum()


def _starts(packets: Sequence[tuple[Floats, Floats]], steps: int) -> Floats:
    """How many packets of each step find a core that has done with all before: float array (steps,)."""
    if not packets:
        return np.zeros(steps)
    when, takes = (np.concatenate(part) for part in zip(*packets))
    order = np.argsort(when, kind="stable")
    when, takes = when[order], takes[order]
    done = np.cumsum(takes)
    begins = np.maximum.accumulate(when - (done - takes)) + done - takes
    idle = when >= np.concatenate([[-1.0], (begins + takes)[:-1]])
    return np.bincount((when[idle] // APART).astype(np.int64), minlength=steps).astype(float)


def _kind(rows: Rows) -> str:
    return KERNEL if rows.kernel else PLASTIC if rows.plastic else STATIC


def _reach(vertex: Vertex, pre: Vertex, incoming: Sequence[Rows], core: int) -> _Reach:
    """What spikes of a vertex do to a core of another."""
    if incoming[0].kernel:
        return _of_kernel(vertex, pre, incoming[0], core)
    synapses, shared, packet = np.zeros((3, pre.size))
    comes = np.zeros(pre.size, bool)
    for rows in incoming:
        fans = rows.fans(core, pre.size)
        linked, kind = _linked(pre, fans), _kind(rows)
        packet += linked * np.where(comes, ROW_COST[kind], SPIKE_COST[kind])
        shared += SYNAPSE_COST[kind] * fans
        synapses += fans
        comes |= linked
    return _Reach(comes, synapses, shared, np.where(synapses > 0, packet, VAIN_COST * comes) + shared)


def _linked(pre: Vertex, fans: Floats) -> Flags:
    """Whose packets go to where these synapses are: those of all neurons of a core of which one has any."""
    return (np.bincount(pre.core_of, fans > 0, minlength=pre.cores) > 0)[pre.core_of]


def _of_kernel(vertex: Vertex, pre: Vertex, rows: Rows, core: int) -> _Reach:
    """Neurons that each input's kernel reaches on a core, borders counted; packets go by cores of the source."""
    assert rows.convolution is not None
    across, down = (_lines(rows.convolution, vertex, axis, core) for axis in (0, 1))
    synapses = np.outer(down, across).ravel()
    lines = np.outer(down, across > 0).ravel()
    shared = KERNEL_ROW_COST * lines + SYNAPSE_COST[KERNEL] * synapses
    return _Reach(_linked(pre, synapses), synapses, shared, SPIKE_COST[KERNEL] + shared)


def _lines(convolution: BoardConvolution, vertex: Vertex, axis: int, core: int) -> Floats:
    """Lines of a core's neurons that each line of inputs reaches, along columns (0) or rows (1): (inputs,)."""
    at, output, _ = convolution.reached(axis)
    there = (vertex.core_of == core).reshape(convolution.post_shape[1:]).any(axis=axis)
    return np.bincount(at, there[output], convolution.pre_shape[2 - axis]).astype(np.float64)
