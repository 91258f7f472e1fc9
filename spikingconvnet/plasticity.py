"""Plasticity rules as frozen records with PyNN's names; what they compute is in ``backends/local``.

sPyNNaker's additive rule takes `A_plus` and `A_minus` in weight units (nA), not as a fraction of `w_max` as PyNN's text
says; with ``w_max = 1`` the two agree.
"""

from dataclasses import dataclass

from spikingconvnet.errors import require


@dataclass(frozen=True)
class SpikePairRule:
    """Pair-based STDP: every presynaptic spike meets the decayed trace of all postsynaptic ones and vice versa.

    Attributes
    ----------
    tau_plus, tau_minus : float
        Time constants of potentiation and depression, ms.
    A_plus, A_minus : float
        Weight change of one pair at zero distance, nA, 0 or more.
    """

    tau_plus: float = 20.0
    tau_minus: float = 20.0
    A_plus: float = 0.01
    A_minus: float = 0.01

    def __post_init__(self):
        for name in ("tau_plus", "tau_minus"):
            require(getattr(self, name) > 0, "SpikePairRule", name, getattr(self, name), "above 0")
        for name in ("A_plus", "A_minus"):
            require(getattr(self, name) >= 0, "SpikePairRule", name, getattr(self, name), "0 or more")


@dataclass(frozen=True)
class AdditiveWeightDependence:
    """Weight changes do not depend on the weight, which is clipped to ``w_min .. w_max`` (nA)."""

    w_min: float = 0.0
    w_max: float = 1.0

    def __post_init__(self):
        require(0 <= self.w_min < self.w_max, "AdditiveWeightDependence", "w_min, w_max",
                (self.w_min, self.w_max), "0 <= w_min < w_max")


@dataclass(frozen=True)
class STDPMechanism:
    """A timing rule and a weight dependence; the whole delay is dendritic, as in PyNN's default."""

    timing_dependence: SpikePairRule = SpikePairRule()
    weight_dependence: AdditiveWeightDependence = AdditiveWeightDependence()
