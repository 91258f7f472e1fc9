"""Plasticity records refuse what no rule could use and compare by value."""

import pytest

from spikingconvnet.errors import SettingsError
from spikingconvnet.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism

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
def test_bounds_are_ordered_and_not_negative(w_min, w_max):
    with pytest.raises(SettingsError, match="0 <= w_min < w_max"):
        AdditiveWeightDependence(w_min, w_max)


def test_equal_mechanisms_are_one_rule():
    assert STDPMechanism() == STDPMechanism() and len({STDPMechanism(), STDPMechanism()}) == 1
    assert STDPMechanism(SpikePairRule(A_plus=0.5)) != STDPMechanism()
