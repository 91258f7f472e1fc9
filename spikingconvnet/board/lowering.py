"""From a Network to the integers that a SpiNNaker board would hold: constants, weight scales, weights, look-up tables.

Sources: sPyNNaker 7.4.1, ``neuron_model_lif_impl.h``, ``synapse_types_exponential_impl.h``, ``synapse_dynamics_stdp_*``
and the host code named in ``weight_scale.py``.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from spikingconvnet.board.fixed_point import ACCUM_ONE, accum, accums, each, expk, expulr, kdiv
from spikingconvnet.board.lowered import LoweredPopulation, LoweredProjection
from spikingconvnet.board.programs import programs
from spikingconvnet.board.rules import AMOUNT_SHIFT, lower_rule, modulated, rule_kind
from spikingconvnet.board.split_cores import is_split, neurons_of_core, warning
from spikingconvnet.board.weight_scale import Statistics, projection_statistics, ring_buffer_shift
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.gates.fields import RANGE
from spikingconvnet.network.arrays import Floats, Ints, Ints32
from spikingconvnet.network.board_connectors import BoardConvolution, BoardPoolDense
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, in_order
from spikingconvnet.network.netlist import MODULATORS, Network, Population, Projection
from spikingconvnet.network.neurons import parameter_names

TIMESTEPS = (0.1, 0.2, 0.5, 1.0, 2.0)   # ms
UNIT = 1 << 32                    # the factor 1 as u032, one bit longer than the format
RING_BUFFER_BITS = 14             # neurons, receptors and delay slots of a core share these bits
AT_ONCE = 1 << 16                 # synapses that are lowered at a time where no list of all is made
MANY_ZEROS = 0.01                 # share of weights rounded to zero from which it is worth a warning
COLUMNS = "pre", "post", "weight", "delay"
Counters: TypeAlias = dict[str, int]
COUNTER_TEXTS = {
    "lost_weights": "projection {label}: {lost_weights} of {weights} weights round to zero",
    "wrapped_weights": "projection {label}: {wrapped_weights} of {weights} weights wrap in 16 bits",
    "silent_delays": ("projection {label}: {silent_delays} plastic synapses have a delay of {slots} steps, the length"
                      " of the ring buffer; sPyNNaker 7.4.1 never delivers them (they still learn)"),
    "extended_delays": ("projection {label}: {extended_delays} of {weights} delays are longer than the {slots} slots of"
                        " the ring buffer; a board needs delay extensions for them"),
}


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network in integers.

    Attributes
    ----------
    network : Network
    populations : dict of str to LoweredPopulation
        Sources are not among them.
    counters : dict of str to dict of str to int
        What the board would do in silence to each projection that was lowered, see ``base.Recording``; counted when
        the projection is lowered first.
    """

    network: Network
    populations: dict[str, LoweredPopulation]
    counters: dict[str, Counters] = field(default_factory=dict)

    @property
    def warnings(self) -> list[str]:
        """The counters that are not 0, what split cores do, and where order decides, as texts: list of str."""
        on_split_cores = self._split_warnings       # first, because it may count
        return [text.format(label=label, slots=self._slots(label), **counts) for label, counts in self.counters.items()
                for name, text in COUNTER_TEXTS.items() if counts[name]] + on_split_cores

    @cached_property
    def _split_warnings(self) -> list[str]:
        found = []
        for label, population in self.populations.items():
            if population.split:
                incoming = [self.projection(p.label) for p in self.network.incoming(label)]
                found.append(warning(self.network.population(label), incoming, population.delay_slots,
                                     self.network.timestep))
            elif any(p.rule and not p.rule.backprop_delay for p in self.network.incoming(label)):
                found.append(f"population {label}: it learns without the delay (backprop_delay=False); a board decides"
                             " by the order of a step's packets whether an input meets the spikes that the neurons fire"
                             " in that step, here it does")
        return found

    def _slots(self, label: str) -> int:
        return self.populations[self.network.projection(label).post].delay_slots

    def projection(self, label: str) -> LoweredProjection:
        """Integers of a projection; made on demand because a convolution's list can be long.

        An unknown label, or plastic delays longer than the ring buffer, are a NetworkError.
        """
        projection = self.network.projection(label)
        population = self.populations[projection.post]
        lowered, counts = (_lower_modulator(projection, population) if projection.modulates else
                           _lower_synapses(projection, projection.connections.to_list(), population, self.network))
        self.counters.setdefault(label, counts)         # those of a convolution's kernels stay
        return lowered

    def parts(self, label: str) -> Iterator[LoweredProjection]:
        """:meth:`projection` part after part, of all synapses of some presynaptic neurons, one neuron after another.

        A part has `AT_ONCE` synapses or few more, or is that of a single neuron. Counts are there behind the last one.
        What :meth:`projection` refuses is a NetworkError here, too.
        """
        projection, counts = self.network.projection(label), Counter[str]()
        connections, population = projection.connections.to_list(), self.populations[projection.post]
        order, ends = in_order(connections.pre), np.cumsum(np.bincount(connections.pre))
        order = order.astype(np.min_scalar_type(-len(order) - 1))              # half of its bytes
        first = 0
        while first < len(order) or not counts:
            last = int(ends[np.searchsorted(ends, min(first + AT_ONCE, len(order)))]) if len(order) else 0
            chosen = order[first:last]
            part = replace(connections, **{name: getattr(connections, name)[chosen] for name in COLUMNS})
            lowered, each = _lower_synapses(projection, part, population, self.network)
            counts.update(each)
            first = last
            yield lowered
        self.counters.setdefault(label, dict(counts))

    def convolution(self, label: str) -> list[Ints]:
        """Integer kernels of a convolution: two int64 arrays (maps, channels, rows, columns), exc. and inh.

        Anything else than ConvConnections is a NetworkError.
        """
        projection = self.network.projection(label)
        connections, population = projection.connections, self.populations[projection.post]
        if not isinstance(connections, ConvConnections):
            raise NetworkError(f"projection {label}: must be ConvConnections, got {type(connections).__name__}")
        scale = 2.0 ** (15 - population.shift.reshape(2, len(connections.kernels), -1)[:, :, 0])
        area = connections.pool[0] * connections.pool[1]
        signs = (np.maximum(connections.kernels, 0.0), np.maximum(-connections.kernels, 0.0))
        weights = [np.rint(part / area * s[:, None, None, None]) for part, s in zip(signs, scale)]
        delays = np.full(connections.kernels.size, connections.delay)
        weight, magnitude = (np.stack(parts) for parts in (weights, [part / area for part in signs]))
        self.counters[label] = _counts(weight, magnitude, 0xffff, delays, population) | {"weights": delays.size}
        return list(_into_16_bits(weight))

    def dense(self, label: str) -> Ints32:
        """16-bit weights of dense connections that do not learn: int32 array (n_pre, n_post); no list is made.

        Anything else is a NetworkError.
        """
        projection = self.network.projection(label)
        connections, population = static_dense(projection), self.populations[projection.post]
        if connections is None:
            raise NetworkError(f"projection {label}: must be DenseConnections without plasticity, got"
                               f" {type(projection.connections).__name__}")
        shift = population.shift[int(projection.receptor == "inhibitory")]
        weights, counts = np.empty(connections.weight.shape, np.int32), Counter[str]()
        rows = max(1, AT_ONCE // max(1, population.size))
        for first in range(0, len(weights), rows):
            part = connections.weight[first:first + rows].ravel()
            rounded = ROUNDING[connections.rounding](part, np.tile(shift, part.size // max(1, population.size)))
            weights[first:first + rows] = _into_16_bits(rounded).reshape(-1, population.size)
            counts.update(_counts(rounded, part, 0xffff, np.full(part.size, connections.delay), population))
        self.counters.setdefault(label, dict(counts))
        return weights


def static_dense(projection: Projection) -> DenseConnections | None:
    """Its connections if :meth:`Lowered.dense` can make their integers."""
    connections = projection.connections
    return connections if isinstance(connections, DenseConnections) and projection.plasticity is None else None


def lower(network: Network) -> Lowered:
    """Integers of `network`; a value that SpiNNaker cannot hold, or a time step not of `TIMESTEPS`, is a NetworkError.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Lowered

    Raises
    ------
    NetworkError
    """
    require(network.timestep in TIMESTEPS, "Network", "timestep", network.timestep,
            f"one of {', '.join(f'{step:g}' for step in TIMESTEPS)} ms, for which this arithmetic was compared with a"
            " board's; nest and brian2 take others", NetworkError)
    return Lowered(network, {p.label: _lower_population(p, network) for p in network.populations if not p.is_source})


def _lower_population(population: Population, network: Network) -> LoweredPopulation:
    cell, step = population.cell, accum(network.timestep)
    raw = {name: accums(population.parameter(name)) for name in parameter_names(cell)}
    for name in (name for name in raw if name.startswith("tau_") and name != "tau_m"):
        longest = population.parameter(name).max()
        require(longest < RANGE * network.timestep, f"Population {population.label!r}", name, float(longest),
                f"below {RANGE * network.timestep:g} ms at {network.timestep:g} ms a step: a board holds the steps in"
                " s16.15", NetworkError)
    if cell.synapses == "exponential":
        taus = raw["tau_syn_E"], raw["tau_syn_I"]
        decay = np.array([each(lambda tau: expulr(-kdiv(step, tau)), tau) for tau in taus])
        inject = np.array([each(lambda tau: injection(step, tau), tau) for tau in taus])
        scale = ACCUM_ONE
    else:
        decay, inject = np.zeros((2, population.size), np.int64), np.full((2, population.size), UNIT)
        scale = kdiv(ACCUM_ONE, step)
    incoming, kind = network.incoming(population.label), rule_kind(network, population.label)
    delay = max([1] + [p.connections.max_delay for p in incoming])
    return LoweredPopulation(
        population.label, population.size, type(cell),
        resistance=each(kdiv, raw["tau_m"], raw["cm"]),
        membrane_decay=each(lambda tau: expk(-kdiv(step, tau)), raw["tau_m"]),
        v_rest=raw["v_rest"], v_reset=raw["v_reset"], v_thresh=raw["v_thresh"], v_init=raw["v"],
        i_offset=raw["i_offset"],
        refractory=each(lambda tau: -(-kdiv(tau, step) // ACCUM_ONE), raw["tau_refrac"]),
        decay=decay, inject=inject, shift=_shifts(population, incoming, network.timestep),
        delay_slots=_delay_slots(population, delay), input_scale=np.broadcast_to(np.int64(scale), population.size),
        own={name: of(raw, step) for name, of in programs(cell).own.items()},
        split=kind is not None and is_split(population, kind, network.timestep))


def injection(step: int, tau: int) -> int:
    """exp. synapse: (1 - e**-x) / x with x = step / tau, as u032, so that a spike's charge does not depend on x."""
    lost = 0xffffffff - expulr(-kdiv(step, tau))
    return ((kdiv(tau, step) * lost) >> 15) & 0xffffffff


def _delay_slots(population: Population, delay: int) -> int:
    bits = [_bits(n) for n in (neurons_of_core(population), 2)]
    return min(1 << _bits(delay), 1 << (RING_BUFFER_BITS - sum(bits)))


def _bits(n: int) -> int:
    return max(1, math.ceil(math.log2(n)))


def _shifts(population: Population, incoming: Sequence[Projection], timestep: float) -> Ints:
    per_part: Statistics = {}
    for projection in incoming if population.max_expected_summed_weight is None else ():
        for key, statistics in projection_statistics(projection, population, timestep).items():
            per_part.setdefault(key, []).extend(statistics)
    shift = np.zeros((2, population.shape[0] if population.per_channel else 1), np.int64)
    for channel in range(shift.shape[1]):
        for receptor in (0, 1):
            shift[receptor, channel] = ring_buffer_shift(per_part.get((channel, receptor), []),
                                                         population.max_expected_summed_weight, timestep)
    return shift[:, population.channel_of]


def _lower_modulator(projection: Projection, population: LoweredPopulation) -> tuple[LoweredProjection, Counters]:
    """LoweredProjection of a reward or punishment and its counters; amounts are signed in the histories' 16 bits."""
    connections = projection.connections.to_list()
    amount = ROUNDING[projection.connections.rounding](connections.weight, AMOUNT_SHIFT)
    counts = _counts(amount, connections.weight, 0x7fff, connections.delay, population)
    order = _order(connections)
    receptor = np.full(len(connections.pre), MODULATORS.index(projection.receptor))
    return LoweredProjection(
        projection.label, projection.pre, projection.post, connections.pre[order], connections.post[order],
        connections.delay[order], _into_16_bits(amount)[order], receptor, modulates=True), counts


def _lower_synapses(projection: Projection, connections: ConnectionList, population: LoweredPopulation,
                    network: Network) -> tuple[LoweredProjection, Counters]:
    """LoweredProjection of synapses of a projection, and its counters."""
    if connections.signed:
        receptor = (connections.weight < 0).astype(np.int64)
    else:
        receptor = np.full(len(connections.pre), int(projection.receptor == "inhibitory"))
    magnitude = abs(connections.weight)
    rounded = ROUNDING[projection.connections.rounding](magnitude, population.shift[receptor, connections.post])
    board = isinstance(projection.connections, (BoardConvolution, BoardPoolDense))
    largest = np.where(receptor, 0x8000, 0x7fff) if board else 0xffff
    counts = _counts(rounded, magnitude, largest, connections.delay, population, projection.learns)
    weight = _into_16_bits(rounded)
    if board:
        weight, receptor = _into_15_bits(weight, receptor)
    order = _order(connections)
    rule = None
    if projection.rule:
        rule = lower_rule(projection.rule, network.timestep)
        if modulation := network.modulation(projection.post):
            rule = modulated(rule, modulation, network.timestep)
        _check_plastic_delays(projection, connections.delay, population)
    return LoweredProjection(
        projection.label, projection.pre, projection.post, connections.pre[order], connections.post[order],
        connections.delay[order], weight[order], receptor[order], rule), counts


def _order(connections: ConnectionList) -> Ints | slice:
    """Order of connections by presynaptic, then postsynaptic neuron; those that are in it already are not copied."""
    step = np.diff(connections.pre)
    if np.all((step > 0) | ((step == 0) & (connections.post[1:] >= connections.post[:-1]))):
        return slice(None)
    return in_order(connections.pre, connections.post)


def _round_on_host(weight: Floats, shift: Ints | int) -> Floats:
    """Weights (nA) in units of the ring buffer, ties to even: lists and whatever a board does not generate itself."""
    return np.rint(weight * 2.0 ** (15 - shift))


def _round_on_machine(weight: Floats, shift: Ints | int) -> Floats:
    """Weights (nA) in units of the ring buffer as a board generates them: s16.15 first, then ties upwards."""
    return np.floor(accums(weight) * 2.0 ** -shift + 0.5)


ROUNDING = {"host": _round_on_host, "machine": _round_on_machine}


def _into_16_bits(weight: Floats) -> Ints:
    """Rounded weights as the board keeps them: what is beyond 16 bits is gone."""
    return weight.astype(np.int64) & 0xffff


def _into_15_bits(weight: Ints, receptor: Ints) -> tuple[Ints, Ints]:
    """Weights and receptors of a local-only connector: its 16 bits are signed, so wrapping changes the receptor."""
    signed = ((np.where(receptor, -weight, weight) + 0x8000) & 0xffff) - 0x8000
    return abs(signed), np.where(signed == 0, receptor, signed < 0).astype(np.int64)


def _counts(weight: Floats, magnitude: Floats, largest: Ints | int, delay: Ints, population: LoweredPopulation,
            silent: bool = False) -> Counters:
    """Counters of a projection, from its rounded weights, their size in nA and its delays; see ``base.Recording``.

    `silent` says whether a delay as long as the ring buffer is never delivered.
    """
    return {"weights": weight.size, "lost_weights": int(np.sum((weight == 0) & (magnitude > 0))),
            "wrapped_weights": int(np.sum(weight > largest)),
            "silent_delays": int(np.sum(delay == population.delay_slots)) if silent else 0,
            "extended_delays": int(np.sum(delay > population.delay_slots))}


def _check_plastic_delays(projection: Projection, delay: Ints, population: LoweredPopulation) -> None:
    slots = population.delay_slots
    if int(delay.max(initial=1)) > slots:
        raise NetworkError(f"projection {projection.label}: a plastic delay of {int(delay.max())} steps is longer than"
                           f" the {slots} slots of the ring buffer; use at most {slots - 1} steps")
