"""Plasticity rules in a board's integers: tables, amplitudes and shifts.

The equations are those of ``network/plasticity.py``; ``reference_rules.py`` computes them with these numbers.
Amplitudes and bounds are s16.15 in nA, traces and their decay 4.11. Sources: sPyNNaker 7.4.1
``timing_dependence_*.py``, ``weight_dependence_*.py`` and ``synapse_dynamics_neuromodulation.py``, which write them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikingconvnet.board.fixed_point import STDP_ONE, accum
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.gates.fields import LONGEST_TABLE
from spikingconvnet.network.arrays import Ints
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.plasticity import (
    MODULATED,
    WEIGHT_DEPENDENCES,
    AdditiveWeightDependence,
    Kinds,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    TimingDependence,
    Vogels2011Rule,
    WeightDependence,
    WeightDependenceAdditiveTriplet,
)

SLOW_SHIFT = 2                    # steps per entry of the slower tables of triplets, as a power of two
ELIGIBILITY_SHIFT = 4             # the same of the table of eligibility
DOPAMINE_SHIFT = 2                # and of that of dopamine
AMOUNT_SHIFT = 4                  # amounts of dopamine are 4.11, as weights at this shift of a ring buffer


@dataclass(frozen=True)
class Timing:
    """What sPyNNaker 7.4.1 makes of one kind of timing rule; one that is added has its row in `TIMINGS`.

    Attributes
    ----------
    name : str
        In the names of its programs, see ``binaries``.
    tables : dict of str to (str, int)
        Tables of decay in their order on the board: of each the time constant's field, and the shift of its steps. One
        for both sides is `lut_plus`.
    words : int
        Of parameters beside the tables.
    history : int
        Bytes of a neuron's history, post_events.h:91.
    header : int
        Bytes of a row before its synapses: time and trace of the last presynaptic spike.
    """

    name: str
    tables: Mapping[str, tuple[str, int]]
    words: int = 0
    history: int = 100
    header: int = 8


@dataclass(frozen=True)
class Weighting:
    """The same of a weight dependence.

    Attributes
    ----------
    name : str
    parameters : int
        Bytes for each receptor.
    relative : bool
        Whether amplitudes are fractions of `w_max`, as with triplets alone.
    """

    name: str
    parameters: int = 16
    relative: bool = False


_BOTH = {"lut_plus": ("tau_plus", 0), "lut_minus": ("tau_minus", 0)}
TIMINGS: dict[type[TimingDependence], Timing] = {
    SpikePairRule: Timing("pair", _BOTH),
    SpikeNearestPairRule: Timing("nearest_pair", _BOTH, history=68, header=4),
    Vogels2011Rule: Timing("vogels_2011", {"lut_plus": ("tau", 0)}, words=1),
    PfisterSpikeTripletRule: Timing("pfister_triplet", {**_BOTH, "lut_x": ("tau_x", SLOW_SHIFT),
                                                        "lut_y": ("tau_y", SLOW_SHIFT)}, history=196)}
WEIGHTINGS: dict[type[WeightDependence], Weighting] = {
    AdditiveWeightDependence: Weighting("additive"),
    MultiplicativeWeightDependence: Weighting("multiplicative"),
    WeightDependenceAdditiveTriplet: Weighting("additive", 24, relative=True)}
RULE_KINDS: dict[Kinds, str] = {        # as in the names of sPyNNaker's binaries
    (timing, weight): f"{TIMINGS[timing].name}_{WEIGHTINGS[weight].name}"
    for timing, weights in WEIGHT_DEPENDENCES.items() for weight in weights}
MODULATED_KINDS = {RULE_KINDS[kind]: f"izhikevich_neuromodulation_{RULE_KINDS[kind]}" for kind in MODULATED}
NO_TABLE: Ints = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class LoweredRule:
    """An STDP mechanism in integers.

    Attributes
    ----------
    kind : str
        A value of `RULE_KINDS` or `MODULATED_KINDS`.
    w_min, w_max, a_plus, a_minus : accum
        Bounds and steps of the weight, or of the eligibility of a weight under neuromodulation.
    a3_plus, a3_minus : accum
        0 but for triplets.
    alpha : 4.11
        0 but for the rule of Vogels et al.
    backprop_delay : bool
        Whether learning sees postsynaptic spikes later by the delay as the board stores it.
    lut_plus, lut_minus : 4.11
        Decay of the presynaptic and the postsynaptic trace by step.
    lut_x, lut_y : 4.11
        The same of the slower traces of triplets, one entry for ``2**SLOW_SHIFT`` steps; empty for other rules.
    weight_min, weight_max, release : accum
        Bounds of the weight under neuromodulation, and ``-1 / (1 / tau_c + 1 / tau_d)`` in ms; otherwise 0.
    lut_c, lut_d : 4.11
        Decay of eligibility and of dopamine, one entry for ``2**ELIGIBILITY_SHIFT`` or ``2**DOPAMINE_SHIFT`` steps;
        empty without neuromodulation.
    """

    kind: str
    w_min: int
    w_max: int
    a_plus: int
    a_minus: int
    a3_plus: int
    a3_minus: int
    alpha: int
    backprop_delay: bool
    lut_plus: Ints
    lut_minus: Ints
    lut_x: Ints = field(default_factory=lambda: NO_TABLE)
    lut_y: Ints = field(default_factory=lambda: NO_TABLE)
    weight_min: int = 0
    weight_max: int = 0
    release: int = 0
    lut_c: Ints = field(default_factory=lambda: NO_TABLE)
    lut_d: Ints = field(default_factory=lambda: NO_TABLE)

    @property
    def modulated(self) -> bool:
        """Whether rewards and punishments decide what becomes of a weight."""
        return self.kind in MODULATED_KINDS.values()


def rule_kind(network: Network, label: str) -> str | None:
    """Kind of the rule that a population's plastic synapses have, see `LoweredRule`, or None."""
    kind = next((RULE_KINDS[p.rule.kind] for p in network.incoming(label) if p.rule), None)
    return MODULATED_KINDS[kind] if kind and network.modulation(label) else kind


def lower_rule(mechanism: STDPMechanism, timestep: float) -> LoweredRule:
    """LoweredRule of an STDPMechanism, without neuromodulation; `timestep` in ms.

    A time constant whose table does not fit a core is a NetworkError.
    """
    timing, weight = mechanism.timing_dependence, mechanism.weight_dependence
    tables = decay_tables(timing, timestep)
    scale = weight.w_max if WEIGHTINGS[type(weight)].relative else 1.0
    return LoweredRule(
        RULE_KINDS[mechanism.kind], w_min=accum(weight.w_min), w_max=accum(weight.w_max),
        a_plus=accum(timing.A_plus * scale), a_minus=accum(timing.A_minus * scale),
        a3_plus=accum(getattr(weight, "A3_plus", 0.0) * scale),
        a3_minus=accum(getattr(weight, "A3_minus", 0.0) * scale),
        alpha=round(getattr(timing, "alpha", 0.0) * STDP_ONE), backprop_delay=mechanism.backprop_delay,
        lut_plus=tables["lut_plus"], lut_minus=tables.get("lut_minus", tables["lut_plus"]),
        lut_x=tables.get("lut_x", NO_TABLE), lut_y=tables.get("lut_y", NO_TABLE))


def decay_tables(timing: TimingDependence, timestep: float) -> dict[str, Ints]:
    """Tables of a timing rule as they follow each other on a board, see `decay_table`: dict of str to int64 array."""
    return {name: decay_table(getattr(timing, tau), timestep, shift)
            for name, (tau, shift) in TIMINGS[type(timing)].tables.items()}


def modulated(rule: LoweredRule, modulation: Neuromodulation, timestep: float) -> LoweredRule:
    """A rule under neuromodulation; a time constant whose table does not fit a core is a NetworkError."""
    return replace(
        rule, kind=MODULATED_KINDS[rule.kind], weight_min=accum(modulation.w_min), weight_max=accum(modulation.w_max),
        release=accum(1 / (-(1.0 / modulation.tau_c + 1.0 / modulation.tau_d))),
        lut_c=decay_table(modulation.tau_c, timestep, ELIGIBILITY_SHIFT),
        lut_d=decay_table(modulation.tau_d, timestep, DOPAMINE_SHIFT))


def decay_table(tau: float, timestep: float = 1.0, shift: int = 0) -> Ints:
    """Decay of a trace by step, 4.11: ``floor(2048 * exp(-(i << shift) * timestep / tau))`` while it is not zero.

    A table that does not fit the 64 KiB of a core is a NetworkError. Source: sPyNNaker 7.4.1 ``stdp/common.py:32``,
    ``get_exp_lut_array``.

    >>> len(decay_table(20.0)), decay_table(20.0)[:6].tolist()
    (154, [2048, 1948, 1853, 1762, 1676, 1594])
    """
    rate = timestep / tau
    whole, rest = divmod(math.log(STDP_ONE) / rate / (1 << shift), 2)
    size = 2 * (int(whole) + (rest > 0))
    longest = LONGEST_TABLE * timestep * (1 << shift) / math.log(STDP_ONE)
    require(size <= LONGEST_TABLE, "plasticity", "time constant", tau,
            f"at most {math.floor(longest):,} ms at {timestep:g} ms a step: its look-up table of {2 * size:,} bytes"
            " does not fit the 64 KiB of a core", NetworkError)
    table: Ints = np.floor(np.exp(-(np.arange(size) << shift) * rate) * STDP_ONE).astype(np.int64)
    return table
