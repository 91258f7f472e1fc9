"""Plasticity records refuse what no rule could use and compare by value."""

import pytest

from spikingconvnet.errors import SettingsError
from spikingconvnet.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    SpikePairRule,
    STDPMechanism,
)

NAN = float("nan")


@pytest.mark.parametrize("name", ["tau_plus", "tau_minus"])
@pytest.mark.parametrize("value", [0, -20.0, NAN])
def test_time_constants_are_above_zero(name, value):
    with pytest.raises(SettingsError, match=rf"^SpikePairRule\.{name}: must be above 0"):
        SpikePairRule(**{name: value})


@pytest.mark.parametrize("name", ["A_plus", "A_minus"])
@pytest.mark.parametrize("value", [-0.01, NAN])
def test_amplitudes_are_not_negative(name, value):
    with pytest.raises(SettingsError, match=rf"^SpikePairRule\.{name}: must be 0 or more"):
        SpikePairRule(**{name: value})
    assert getattr(SpikePairRule(**{name: 0}), name) == 0


@pytest.mark.parametrize("w_min, w_max", [(-0.1, 1.0), (1.0, 1.0), (2.0, 1.0), (0.0, NAN), (NAN, 1.0)])
@pytest.mark.parametrize("kind", [AdditiveWeightDependence, MultiplicativeWeightDependence])
def test_bounds_are_ordered_and_not_negative(kind, w_min, w_max):
    with pytest.raises(SettingsError, match=rf"^{kind.__name__}\.w_min, w_max: must be 0 <= w_min < w_max"):
        kind(w_min, w_max)


def test_equal_mechanisms_are_one_rule():
    assert STDPMechanism() == STDPMechanism() and len({STDPMechanism(), STDPMechanism()}) == 1
    assert STDPMechanism(SpikePairRule(A_plus=0.5)) != STDPMechanism()
    assert STDPMechanism(weight_dependence=MultiplicativeWeightDependence()) != STDPMechanism()


@pytest.mark.parametrize("timing, weight, text", [
    (SpikePairRule(), 3, "weight_dependence: must be AdditiveWeightDependence or MultiplicativeWeightDependence with a"
                         " SpikePairRule, got 3"),
    (None, AdditiveWeightDependence(), "timing_dependence: must be SpikePairRule")])
def test_a_pair_of_parts_that_no_binary_holds_is_refused(timing, weight, text):
    with pytest.raises(SettingsError, match=f"^STDPMechanism.{text}"):
        STDPMechanism(timing, weight)
