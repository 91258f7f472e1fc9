"""Plasticity records refuse what no rule could use and compare by value."""

from dataclasses import fields, replace

import pytest

from spikingconvnet.errors import SettingsError
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)

NAN = float("nan")


COMPLETE = (SpikePairRule(), SpikeNearestPairRule(), Vogels2011Rule(0.2),
            PfisterSpikeTripletRule(16.8, 33.7, 101.0, 114.0, 0.1, 0.1), WeightDependenceAdditiveTriplet(),
            Neuromodulation())
numbers = pytest.mark.parametrize("record, name", [(r, f.name) for r in COMPLETE for f in fields(r)
                                                   if not f.name.startswith("w_")])


@numbers
def test_time_constants_are_above_zero_and_amplitudes_not_negative(record, name):
    is_time = name.startswith("tau")
    for value in (-0.01, NAN, *([0] if is_time else [])):
        with pytest.raises(SettingsError, match=rf"^{type(record).__name__}\.{name}: must be (above 0|0 or more)"):
            replace(record, **{name: value})
    assert is_time or getattr(replace(record, **{name: 0}), name) == 0


@pytest.mark.parametrize("w_min, w_max", [(-0.1, 1.0), (1.0, 1.0), (2.0, 1.0), (0.0, NAN), (NAN, 1.0)])
@pytest.mark.parametrize("kind", [AdditiveWeightDependence, MultiplicativeWeightDependence,
                                  WeightDependenceAdditiveTriplet, Neuromodulation])
def test_bounds_are_ordered_and_not_negative(kind, w_min, w_max):
    with pytest.raises(SettingsError, match=rf"^{kind.__name__}\.w_min, w_max: must be 0 <= w_min < w_max"):
        kind(w_min=w_min, w_max=w_max)


def test_equal_mechanisms_are_one_rule():
    assert STDPMechanism() == STDPMechanism() and len({STDPMechanism(), STDPMechanism()}) == 1
    assert STDPMechanism(SpikePairRule(A_plus=0.5)) != STDPMechanism()
    assert STDPMechanism(SpikeNearestPairRule()) != STDPMechanism()
    assert STDPMechanism(weight_dependence=MultiplicativeWeightDependence()) != STDPMechanism()
    assert STDPMechanism(backprop_delay=False) != STDPMechanism()


def test_whether_the_delay_counts_is_true_or_false():
    with pytest.raises(SettingsError, match="^STDPMechanism.backprop_delay: must be True or False, got 1$"):
        STDPMechanism(backprop_delay=1)


@pytest.mark.parametrize("timing, weight, text", [
    (SpikePairRule(), 3, "weight_dependence: must be AdditiveWeightDependence or MultiplicativeWeightDependence with a"
                         " SpikePairRule, got 3"),
    (SpikeNearestPairRule(), WeightDependenceAdditiveTriplet(), "weight_dependence: must be AdditiveWeightDependence"),
    (Vogels2011Rule(0.2), MultiplicativeWeightDependence(), "weight_dependence: must be AdditiveWeightDependence with"),
    (COMPLETE[3], AdditiveWeightDependence(), "weight_dependence: must be WeightDependenceAdditiveTriplet with a Pf"),
    (None, AdditiveWeightDependence(), "timing_dependence: must be SpikePairRule or SpikeNearestPairRule")])
def test_a_pair_of_parts_that_no_binary_holds_is_refused(timing, weight, text):
    with pytest.raises(SettingsError, match=f"^STDPMechanism.{text}"):
        STDPMechanism(timing, weight)
