"""Plasticity rules in a board's integers: tables, amplitudes and shifts.

The equations are those of ``network/plasticity.py``; ``reference_rules.py`` computes them with these numbers.
Amplitudes and bounds are s16.15 in nA, traces and their decay 4.11. Sources: sPyNNaker 7.4.1
``timing_dependence_*.py``, ``weight_dependence_*.py`` and ``synapse_dynamics_neuromodulation.py``, which write them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from spikingconvnet.board.fixed_point import STDP_ONE, accum
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.gates.fields import LONGEST_TABLE
from spikingconvnet.network.arrays import Floats, Ints, Numbers
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.plasticity import (
    MODULATED,
    AdditiveWeightDependence,
    Kinds,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)

RULE_KINDS: dict[Kinds, str] = {         # as in the names of sPyNNaker's binaries
    (SpikePairRule, AdditiveWeightDependence): "pair_additive",
    (SpikePairRule, MultiplicativeWeightDependence): "pair_multiplicative",
    (SpikeNearestPairRule, AdditiveWeightDependence): "nearest_pair_additive",
    (SpikeNearestPairRule, MultiplicativeWeightDependence): "nearest_pair_multiplicative",
    (Vogels2011Rule, AdditiveWeightDependence): "vogels_2011_additive",
    (PfisterSpikeTripletRule, WeightDependenceAdditiveTriplet): "pfister_triplet_additive",
}
MODULATED_KINDS = {RULE_KINDS[kind]: f"izhikevich_neuromodulation_{RULE_KINDS[kind]}" for kind in MODULATED}
SLOW_SHIFT = 2                    # steps per entry of the slower tables of triplets, as a power of two
ELIGIBILITY_SHIFT = 4             # the same of the table of eligibility
DOPAMINE_SHIFT = 2                # and of that of dopamine
AMOUNT_SHIFT = 4                  # amounts of dopamine are 4.11, as weights at this shift of a ring buffer
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
    lut_x: Ints
    lut_y: Ints
    weight_min: int
    weight_max: int
    release: int
    lut_c: Ints
    lut_d: Ints

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
    scale, a3_plus, a3_minus, lut_x, lut_y = 1.0, 0, 0, NO_TABLE, NO_TABLE
    if isinstance(weight, WeightDependenceAdditiveTriplet):
        scale = weight.w_max        # only the rule of triplets has its amplitudes multiplied by it
        a3_plus, a3_minus = accum(weight.A3_plus * scale), accum(weight.A3_minus * scale)
    if isinstance(timing, PfisterSpikeTripletRule):
        lut_x, lut_y = (decay_table(tau, timestep, SLOW_SHIFT) for tau in (timing.tau_x, timing.tau_y))
    tau_plus, tau_minus = ((timing.tau, timing.tau) if isinstance(timing, Vogels2011Rule)
                           else (timing.tau_plus, timing.tau_minus))
    return LoweredRule(
        RULE_KINDS[mechanism.kind], w_min=accum(weight.w_min), w_max=accum(weight.w_max),
        a_plus=accum(timing.A_plus * scale), a_minus=accum(timing.A_minus * scale),
        a3_plus=a3_plus, a3_minus=a3_minus,
        alpha=round(timing.alpha * STDP_ONE) if isinstance(timing, Vogels2011Rule) else 0,
        backprop_delay=mechanism.backprop_delay,
        lut_plus=decay_table(tau_plus, timestep), lut_minus=decay_table(tau_minus, timestep),
        lut_x=lut_x, lut_y=lut_y,
        weight_min=0, weight_max=0, release=0, lut_c=NO_TABLE, lut_d=NO_TABLE)


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


def accums(values: Floats) -> Ints:
    """An array of numbers in s16.15; one beyond its range is a NetworkError."""
    return each(accum, values)


def each(function: Callable[..., int], *arrays: Numbers) -> Ints:
    """Apply a function of Python numbers to arrays, once per different value."""
    if all(len(array) and (array == array[0]).all() for array in arrays):
        return np.full(len(arrays[0]), function(*(array[0].item() for array in arrays)), np.int64)
    stacked = np.stack(arrays, axis=1)
    rows, index = np.unique(stacked, axis=0, return_inverse=True)
    found: Ints = np.array([function(*row.tolist()) for row in rows], np.int64)[index.reshape(-1)]
    return found
