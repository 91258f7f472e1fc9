"""Plasticity rules as frozen records with PyNN's names; a value that cannot be used is a SettingsError.

The equations are those of the field, with the distance ``d`` of two spikes at the synapse. What a board makes of them
in integers is in ``board/reference_rules.py``. Two things hold for all of them: a weight changes only when a
presynaptic spike arrives, by all postsynaptic ones since the last, as in Morrison et al. 2007 (Neural Comput 19, 1437);
and every change is rounded down to a step of the weight. Lines of sPyNNaker's C are those of its messages, as the .dict
files beside the binaries give them.

With sPyNNaker's additive weight dependence `A_plus` and `A_minus` are weights (nA), not fractions of `w_max` as PyNN's
text says; with ``w_max = 1`` the two agree. Source: sPyNNaker 7.4.1, ``pyNN/models/neuron/plasticity/stdp``.
"""

from dataclasses import dataclass
from typing import TypeAlias

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import FINEST, FLAG, NOT_NEGATIVE, below, check_fields, least, real, table

__all__ = ["AdditiveWeightDependence", "MultiplicativeWeightDependence", "Neuromodulation", "PfisterSpikeTripletRule",
           "STDPMechanism", "SpikeNearestPairRule", "SpikePairRule", "Vogels2011Rule",
           "WeightDependenceAdditiveTriplet"]

_PAIR = {"tau_plus": table(), "tau_minus": table(), "A_plus": NOT_NEGATIVE, "A_minus": NOT_NEGATIVE}
_SLOW = 2           # tables of slower traces have an entry for 4 steps, that of eligibility one for 16


def _check_bounds(record: "WeightDependence | Neuromodulation") -> None:
    low, high = record.w_min, record.w_max
    require(NOT_NEGATIVE.takes(low) and NOT_NEGATIVE.takes(high) and high - low >= FINEST, type(record).__name__,
            "w_min, w_max", (low, high), "0 <= w_min < w_max, at least the last bit of s16.15 apart, below 65536")
    check_fields(record, w_min=NOT_NEGATIVE, w_max=NOT_NEGATIVE)


@dataclass(frozen=True)
class SpikePairRule:
    """Pair-based STDP: every presynaptic spike meets the decayed trace of all postsynaptic ones and vice versa.

    The sum over all pairs, with ``d = t_post - t_pre``::

        dw = A_plus exp(-d / tau_plus)      d > 0
        dw = -A_minus exp(d / tau_minus)    d <= 0

    Sources: Song, Miller and Abbott 2000, Nat Neurosci 3, 919; as traces, Morrison, Diesmann and Gerstner 2008, Biol
    Cybern 98, 459. The board: sPyNNaker 7.4.1 ``timing_pair_impl.h:131`` (depression) and ``:160`` (potentiation).

    Attributes
    ----------
    tau_plus, tau_minus : float
        Time constants of potentiation and depression, ms.
    A_plus, A_minus : float
        Weight change of one pair at zero distance, 0 or more: nA if the weight dependence is additive, a fraction of
        the way to the bound if it is multiplicative.
    """

    tau_plus: float = 20.0
    tau_minus: float = 20.0
    A_plus: float = 0.01
    A_minus: float = 0.01

    pynn = "SpikePairRule"

    def __post_init__(self) -> None:
        check_fields(self, **_PAIR)


@dataclass(frozen=True)
class SpikeNearestPairRule:
    """Pair-based STDP between neighbours: each spike meets the nearest one of the other side before it.

    Changes as of :class:`SpikePairRule`. Only the first postsynaptic spike that follows a presynaptic one potentiates;
    every presynaptic spike depresses, by its distance to the newest postsynaptic one. An input that has not fired yet
    counts as one that has in step 0.

    Sources: Morrison et al. 2008, Biol Cybern 98, 459, on nearest neighbours. The board: sPyNNaker 7.4.1
    ``timing_nearest_pair_impl.h:107`` (depression) and ``:138`` (potentiation).

    With delays sPyNNaker lets a second postsynaptic spike count if the one before it had left the neuron, but not yet
    reached the synapse, at the presynaptic spike.

    Attributes
    ----------
    tau_plus, tau_minus, A_plus, A_minus
        See :class:`SpikePairRule`.
    """

    tau_plus: float = 20.0
    tau_minus: float = 20.0
    A_plus: float = 0.01
    A_minus: float = 0.01

    pynn = "extra_models.SpikeNearestPairRule"

    def __post_init__(self) -> None:
        check_fields(self, **_PAIR)


@dataclass(frozen=True)
class Vogels2011Rule:
    """Homeostasis of inhibition: a pair potentiates whatever its order, every presynaptic spike depresses by `alpha`.

    With traces ``x`` of each side that decay with `tau` and grow by 1 with a spike::

        w -> w + A_plus x_pre                 at a postsynaptic spike
        w -> w + A_plus (x_post - alpha)      at a presynaptic one, once the neuron has fired

    The weight is clipped at `w_max` alone. sPyNNaker's binaries let a weight fall below 0, which its 16 bits then hold
    as a very large one; choose `A_plus` and `alpha` so that it stays above.

    Sources: Vogels et al. 2011, Science 334, 1569. The board: sPyNNaker 7.4.1 ``timing_vogels_2011_impl.h:147``
    (presynaptic) and ``:174`` (postsynaptic).

    Attributes
    ----------
    alpha : float
        Depression by a presynaptic spike, in units of `A_plus`; 0 or more.
    tau : float
        Time constant of both traces, ms.
    A_plus : float
        Weight change of one pair at zero distance, nA, 0 or more.
    A_minus : float
        Not used; sPyNNaker's rule has it.
    """

    alpha: float
    tau: float = 20.0
    A_plus: float = 0.01
    A_minus: float = 0.01

    pynn = "extra_models.Vogels2011Rule"

    def __post_init__(self) -> None:
        check_fields(self, tau=table(), A_plus=NOT_NEGATIVE, A_minus=NOT_NEGATIVE, alpha=real(least(0), below(1 << 15)))


@dataclass(frozen=True)
class PfisterSpikeTripletRule:
    """Triplets of spikes: pairs, and pairs weighted by a slower trace of the side that has just fired.

    With the presynaptic traces ``r1`` (`tau_plus`) and ``r2`` (`tau_x`), the postsynaptic ones ``o1`` (`tau_minus`) and
    ``o2`` (`tau_y`), which grow by 1 with a spike, ``r2`` and ``o2`` taken before that::

        w -> w + w_max r1 (A_plus + A3_plus o2)         at a postsynaptic spike
        w -> w - w_max o1 (A_minus + A3_minus r2)       at a presynaptic one

    Called PfisterSpikeTriplet in sPyNNaker. Here amplitudes are fractions of `w_max`, unlike those of the other rules;
    `A3_plus` and `A3_minus` are those of the weight dependence.

    Sources: Pfister and Gerstner 2006, J Neurosci 26, 9673. The board: sPyNNaker 7.4.1
    ``timing_pfister_triplet_impl.h:174`` (presynaptic) and ``:206`` (postsynaptic);
    ``weight_dependence_additive_triplet.py:135`` (times `w_max`).

    Attributes
    ----------
    tau_plus, tau_minus : float
        Time constants of the pair traces, ms.
    tau_x, tau_y : float
        Time constants of the slower presynaptic and postsynaptic trace, ms; tables in steps of 4.
    A_plus, A_minus : float
        Weight change of one pair at zero distance as a fraction of `w_max`, 0 or more.
    """

    tau_plus: float
    tau_minus: float
    tau_x: float
    tau_y: float
    A_plus: float
    A_minus: float

    pynn = "extra_models.PfisterSpikeTriplet"

    def __post_init__(self) -> None:
        check_fields(self, **_PAIR, tau_x=table(_SLOW), tau_y=table(_SLOW))


@dataclass(frozen=True)
class AdditiveWeightDependence:
    """Weight changes do not depend on the weight, which is clipped to ``w_min .. w_max`` (nA).

    ``w -> min(w + A_plus z, w_max)`` and ``w -> max(w - A_minus z, w_min)``, with what the timing rule makes of a
    spike, ``z``. Sources: Song, Miller and Abbott 2000, Nat Neurosci 3, 919; sPyNNaker 7.4.1
    ``weight_additive_one_term_impl.h`` (``weight_one_term_apply_potentiation``, ``..._depression``).
    """

    w_min: float = 0.0
    w_max: float = 1.0

    pynn = "AdditiveWeightDependence"

    def __post_init__(self) -> None:
        _check_bounds(self)


@dataclass(frozen=True)
class MultiplicativeWeightDependence:
    """Potentiation is proportional to ``w_max - w``, depression to ``w - w_min`` (nA).

    ``w -> w + A_plus (w_max - w) z`` and ``w -> w - A_minus (w - w_min) z``. Sources: Rubin, Lee and Sompolinsky 2001,
    Phys Rev Lett 86, 364; sPyNNaker 7.4.1 ``weight_multiplicative_impl.h`` (functions as for the additive one).

    Nothing is clipped: a weight stays inside the bounds only while `A_plus` and `A_minus` times a trace stay below 1,
    and one that starts beyond a bound is drawn back to it.
    """

    w_min: float = 0.0
    w_max: float = 1.0

    pynn = "MultiplicativeWeightDependence"

    def __post_init__(self) -> None:
        _check_bounds(self)


@dataclass(frozen=True)
class WeightDependenceAdditiveTriplet:
    """As :class:`AdditiveWeightDependence` for rules of triplets, with the name that sPyNNaker gives it.

    Source: sPyNNaker 7.4.1 ``weight_additive_two_term_impl.h``.

    Attributes
    ----------
    w_min, w_max : float
        nA.
    A3_plus, A3_minus : float
        Weight change of one triplet at zero distance as a fraction of `w_max`, 0 or more.
    """

    w_min: float = 0.0
    w_max: float = 1.0
    A3_plus: float = 0.01
    A3_minus: float = 0.01

    pynn = "extra_models.WeightDependenceAdditiveTriplet"

    def __post_init__(self) -> None:
        _check_bounds(self)
        check_fields(self, A3_plus=NOT_NEGATIVE, A3_minus=NOT_NEGATIVE)


TimingDependence: TypeAlias = SpikePairRule | SpikeNearestPairRule | Vogels2011Rule | PfisterSpikeTripletRule
WeightDependence: TypeAlias = (AdditiveWeightDependence | MultiplicativeWeightDependence
                               | WeightDependenceAdditiveTriplet)
Kinds: TypeAlias = tuple[type[TimingDependence], type[WeightDependence]]

# The pairs of which compiled binaries of sPyNNaker 7.4.1 were compared with this arithmetic.
WEIGHT_DEPENDENCES: dict[type[TimingDependence], tuple[type[WeightDependence], ...]] = {
    SpikePairRule: (AdditiveWeightDependence, MultiplicativeWeightDependence),
    SpikeNearestPairRule: (AdditiveWeightDependence, MultiplicativeWeightDependence),
    Vogels2011Rule: (AdditiveWeightDependence,),
    PfisterSpikeTripletRule: (WeightDependenceAdditiveTriplet,),
}

# Of those, the ones that learn under reward and punishment.
MODULATED: tuple[Kinds, ...] = (
    (SpikePairRule, AdditiveWeightDependence), (SpikePairRule, MultiplicativeWeightDependence),
    (Vogels2011Rule, AdditiveWeightDependence))


@dataclass(frozen=True)
class Neuromodulation:
    """What the spikes of a reward or a punishment do to the synapses of a population that learn by STDP.

    STDP then changes an eligibility trace, whose bounds are those of the weight dependence and which decays with
    `tau_c`. A spike adds its projection's weight to the dopamine of the neurons it reaches, or takes it away; dopamine
    decays with `tau_d`. The weight follows the product of the two. Called Neuromodulation in sPyNNaker, too
    (``extra_models``).

    With eligibility ``c`` and dopamine ``d``::

        dc/dt = -c / tau_c + STDP, dd/dt = -d / tau_d + rewards - punishments, dw/dt = c d

    Between two spikes a board adds the integral over the ``s`` ms from one to the other, with both as they were at its
    beginning: ``c d (1 - exp(-s / tau_c - s / tau_d)) / (1 / tau_c + 1 / tau_d)``.

    A weight is changed only when a presynaptic spike arrives: what is rewarded after the last spike of an input never
    shows in its weights.

    Sources: Izhikevich 2007, Cereb Cortex 17, 2443. The board: sPyNNaker 7.4.1
    ``synapse_dynamics_stdp_izhikevich_neuromodulation.c:182`` to 249.

    Attributes
    ----------
    tau_c, tau_d : float
        Time constants of eligibility and of dopamine, ms; tables in steps of 16 and of 4.
    w_min, w_max : float
        Bounds of the weights, nA.
    """

    tau_c: float = 1000.0
    tau_d: float = 200.0
    w_min: float = 0.0
    w_max: float = 1.0

    pynn = "extra_models.Neuromodulation"

    def __post_init__(self) -> None:
        check_fields(self, tau_c=table(2 * _SLOW), tau_d=table(_SLOW))
        _check_bounds(self)


@dataclass(frozen=True)
class STDPMechanism:
    """A timing rule and a weight dependence; the whole delay is dendritic, as in PyNN's default.

    Attributes
    ----------
    timing_dependence, weight_dependence : records of this module
        Which of them fit together is in `WEIGHT_DEPENDENCES`.
    backprop_delay : bool
        Whether a postsynaptic spike takes the delay of a synapse to travel back to it, so that a pair's distance is
        ``t_post + delay - t_pre``; otherwise learning sees ``t_post - t_pre`` whatever the delay, and only the current
        comes late. Without it a board decides by the order of a step's packets whether a presynaptic spike still meets
        postsynaptic ones of the same step; here it does, see ``docs/architecture.md``.

    Source: sPyNNaker 7.4.1, ``synapse_dynamics_stdp.py`` (`backprop_delay`) and ``synapse_dynamics_stdp_mad_impl.c``
    (``post_delay``), which every rule of this module goes through or shares with
    ``synapse_dynamics_stdp_izhikevich_neuromodulation.c``.
    """

    timing_dependence: TimingDependence = SpikePairRule()
    weight_dependence: WeightDependence = AdditiveWeightDependence()
    backprop_delay: bool = True

    def __post_init__(self) -> None:
        check_fields(self, backprop_delay=FLAG)
        timing, weight = self.timing_dependence, self.weight_dependence
        require(type(timing) in WEIGHT_DEPENDENCES, "STDPMechanism", "timing_dependence", timing,
                " or ".join(rule.__name__ for rule in WEIGHT_DEPENDENCES))
        kinds = WEIGHT_DEPENDENCES[type(timing)]
        require(isinstance(weight, kinds), "STDPMechanism", "weight_dependence", weight,
                f"{' or '.join(kind.__name__ for kind in kinds)} with a {type(timing).__name__}")

    @property
    def kind(self) -> Kinds:
        """Types of both parts."""
        return type(self.timing_dependence), type(self.weight_dependence)
