"""What 16 bits make of a network's weights and learning steps, before anything runs.

Everything is read from the integers that the local engine computes with (``board/lowering.py``), so what is
said here is what a board will hold. Units: nA; a *step* of a weight is its unit in the last place.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from spikingconvnet.board.fixed_point import ACCUM_ONE, STDP_ONE, accum, accums
from spikingconvnet.board.lowering import Lowered, lower
from spikingconvnet.board.rules import AMOUNT_SHIFT, LoweredRule
from spikingconvnet.network.arrays import Floats, Floats32, Ints
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.geometry import receptive_fields
from spikingconvnet.network.netlist import Network, Projection
from spikingconvnet.network.neurons import SpikeSourceArray, parameter_names
from spikingconvnet.network.plasticity import WeightDependence
from spikingconvnet.network.spikes import Spikes

LARGEST = 0xffff            # of a slot of a ring buffer
BUSIEST = 20                # steps of the source from which the largest input is taken
RECEPTORS = ("excitatory", "inhibitory")


@dataclass(frozen=True)
class Learning:
    """A plastic projection's steps.

    Attributes
    ----------
    a_plus, a_minus : float
        Largest change by one pair, in steps of the weight; for multiplicative dependence from the far bound.
    potentiation_lost : bool
        Whether one pair never lifts a weight: every sum is rounded down, so depression always takes a whole step.
    clipped : int
        Weights that start outside the rule's bounds and jump there when they are first touched.
    levels : int
        Weights that can be told apart between the bounds.
    backprop_delay : bool
        Whether postsynaptic spikes come to the synapse by its delay; otherwise the order of a step's packets decides
        which of them an input meets.
    """

    a_plus: float
    a_minus: float
    potentiation_lost: bool
    clipped: int
    levels: int
    backprop_delay: bool


@dataclass(frozen=True)
class Quantised:
    """A projection as a board holds it.

    Attributes
    ----------
    label : str
    weights : int
        Of kernels, for a convolution.
    step : float
        Unit in the last place, nA; the largest among its receptors and maps.
    zero, wrapped : int
        Weights that become 0, and that do not fit 16 bits.
    silent, extended : int
        Plastic synapses that are never delivered; delays that need an extension core.
    slots : int
        Length of the ring buffer, steps.
    learning : Learning or None
    """

    label: str
    weights: int
    step: float
    zero: int
    wrapped: int
    silent: int
    extended: int
    slots: int
    learning: Learning | None = None


@dataclass(frozen=True)
class Margin:
    """How close the inputs of a population come to the 16 bits of a ring buffer.

    Attributes
    ----------
    label, receptor : str
    scale : float
        Largest input of a step that fits, nA.
    bound : float
        `scale` over the input if every presynaptic neuron fired once in the same step; 1 or more is always safe.
    measured : float or None
        `scale` over the largest input in the busiest steps of the given spikes; None without any.
    """

    label: str
    receptor: str
    scale: float
    bound: float
    measured: float | None = None


@dataclass(frozen=True)
class Vanished:
    """A parameter that leaves nothing in a board's integers.

    Attributes
    ----------
    label, name : str
        Population and parameter.
    value : float
        One that is lost.
    neurons : int
        That have such a one.
    finest, longest : float
        What they can have at least, not being 0; and at most, for time constants, otherwise infinity.
    """

    label: str
    name: str
    value: float
    neurons: int
    finest: float
    longest: float


def vanished(network: Network) -> list[Vanished]:
    """Parameters of neurons that are 0 in s16.15 though they are not, or whose share of a step is.

    A time constant ``tau`` acts through ``step / tau``, truncated to s16.15 (``maths-util.h``, ``kdivk``): beyond
    32,768 steps it is 0, a membrane then never moves and a synaptic current is lost at once.
    """
    found = []
    for population in (p for p in network.populations if not p.is_source):
        for name in parameter_names(population.cell):
            values = population.parameter(name)
            longest = accum(network.timestep) if name.startswith("tau_") and name != "tau_refrac" else math.inf
            lost = ((accums(values) == 0) & (values != 0)) | (values > longest)
            if lost.any():
                found.append(Vanished(population.label, name, float(values[lost][0]), int(lost.sum()), 1.0 / ACCUM_ONE,
                                      float(longest)))
    return found


def quantise(network: Network, lowered: Lowered | None = None) -> list[Quantised]:
    """What becomes of every projection.

    Parameters
    ----------
    network : Network
    lowered : Lowered or None
        Its integers, if they are there already.

    Returns
    -------
    list of Quantised

    Raises
    ------
    NetworkError
        For what no board can hold, see ``lowering.lower``.
    """
    lowered = lowered or lower(network)
    return [_quantised(lowered, projection) for projection in network.projections]


def _quantised(lowered: Lowered, projection: Projection) -> Quantised:
    population, learning = lowered.populations[projection.post], None
    if isinstance(projection.connections, ConvConnections):
        lowered.convolution(projection.label)
        receptors = [r for r, sign in enumerate((1, -1)) if (sign * projection.connections.kernels > 0).any()]
    else:
        integers = lowered.projection(projection.label)
        receptors = np.unique(integers.receptor).tolist()
    shift = AMOUNT_SHIFT if projection.modulates else int(population.shift[receptors or [0]].max())
    if projection.rule and integers.rule:
        weight = projection.connections.to_list().weight
        learning = _learning(integers.rule, projection.rule.weight_dependence, weight, shift)
    counts = lowered.counters[projection.label]
    return Quantised(projection.label, counts["weights"], 2.0 ** (shift - 15), counts["lost_weights"],
                     counts["wrapped_weights"], counts["silent_delays"], counts["extended_delays"],
                     population.delay_slots, learning)


def _learning(rule: LoweredRule, bounds: WeightDependence, weight: Floats, shift: int) -> Learning:
    """From the integers: a potentiation of one pair is at most that of the trace one step after a spike."""
    span = rule.w_max - rule.w_min if rule.kind.endswith("multiplicative") else ACCUM_ONE
    plus, minus = (change * span / ACCUM_ONE / 2 ** shift for change in (rule.a_plus, rule.a_minus))
    trace = int(rule.lut_plus[1]) if len(rule.lut_plus) > 1 else 0
    return Learning(plus, minus, plus * trace / STDP_ONE < 1.0,
                    int(np.sum((weight < bounds.w_min) | (weight > bounds.w_max))),
                    ((rule.w_max - rule.w_min) >> shift) + 1, rule.backprop_delay)


def margins(network: Network, lowered: Lowered | None = None,
            fired: Mapping[str, Spikes] | None = None) -> list[Margin]:
    """How close inputs come to saturation: a Margin for every population of neurons and receptor that has inputs.

    Measured in the `BUSIEST` steps of each source, and of the neurons whose spikes are in `fired` (dict of str to
    Spikes); neurons behind others have the bound alone. Parameters and errors as of :func:`quantise`.
    """
    lowered, found = lowered or lower(network), []
    given = {p.label: p.cell.spikes for p in network.populations if isinstance(p.cell, SpikeSourceArray)}
    known_spikes = {**given, **(fired or {})}
    for label in lowered.populations:
        incoming = [projection for projection in network.incoming(label) if not projection.modulates]
        sums = [_sums(network, lowered, projection, known_spikes.get(projection.pre)) for projection in incoming]
        for receptor, name in enumerate(RECEPTORS):
            bound = sum(part[receptor][0] for part in sums)
            if bound > 0:
                shift = int(lowered.populations[label].shift[receptor].max())
                known = all(p.pre in known_spikes and known_spikes[p.pre].n_events
                            for p, part in zip(incoming, sums) if part[receptor][0])
                largest = sum(part[receptor][1] for part in sums)
                found.append(Margin(label, name, LARGEST * 2.0 ** (shift - 15), float(LARGEST / bound),
                                    float(LARGEST / largest) if known and largest else None))
    return found


def _sums(network: Network, lowered: Lowered, projection: Projection,
          spikes: Spikes | None) -> list[tuple[float, float]]:
    """For each receptor (raw units): the sum of all weights of a neuron, and the largest input of a busy step."""
    busy = np.zeros((0, network.population(projection.pre).size), np.float32) if spikes is None else _busiest(spikes)
    if isinstance(projection.connections, ConvConnections):
        return _convolved_sums(lowered.convolution(projection.label), projection.connections, busy)
    integers, size = lowered.projection(projection.label), lowered.populations[projection.post].size
    found = []
    for receptor in range(len(RECEPTORS)):
        chosen = integers.receptor == receptor
        source, target = integers.pre_id[chosen], integers.post_id[chosen]
        weight = integers.weight[chosen].astype(np.float64)
        if integers.rule:                       # they may all grow to the bound
            top = integers.rule.w_max >> int(lowered.populations[projection.post].shift[receptor].max())
            weight = np.maximum(weight, top)
        sums = [np.bincount(target, weight * counts[source], size).max(initial=0.0) for counts in busy]
        found.append((np.bincount(target, weight, size).max(initial=0.0), max(sums, default=0.0)))
    return found


def _busiest(spikes: Spikes) -> Floats32:
    """Spikes of every neuron in the busiest steps: float32 array (steps, neurons)."""
    counts = np.diff(spikes.offsets)
    steps = np.argpartition(counts, -min(BUSIEST, len(counts)))[-BUSIEST:]
    return np.stack([np.bincount(spikes.neurons[spikes.offsets[s]:spikes.offsets[s + 1]], minlength=spikes.size)
                     for s in steps]).astype(np.float32)


def _convolved_sums(kernels: Sequence[Ints], connections: ConvConnections, busy: Floats32) -> list[tuple[float, float]]:
    n_seen, place = int(np.prod(connections.seen_shape)), connections.seen_places
    inside = place >= 0
    fields = receptive_fields(connections.seen_shape, connections.kernels.shape[2:], connections.strides)
    area = connections.pool[0] * connections.pool[1]
    windows = [np.bincount(place[inside], counts[inside], n_seen)[fields] for counts in busy]
    found = []
    for raw in kernels:
        flat = raw.reshape(len(raw), -1).astype(np.float32)
        sums = [(window.astype(np.float32) @ flat.T).max() for window in windows]
        found.append((float(flat.sum(axis=1).max()) * area, float(max(sums, default=0.0))))
    return found
