"""What a network's numbers become where a current flows, against integrals done in small steps and values by hand."""

import numpy as np
import pytest

from spikingconvnet.backends.pynn import continuous
from spikingconvnet.board.fixed_point import leak
from spikingconvnet.network.netlist import Population
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    SpikePairRule,
    STDPMechanism,
)

RULE = SpikePairRule(tau_plus=10.0, tau_minus=20.0, A_plus=0.02, A_minus=0.03)


def population(cell):
    """Two neurons."""
    return Population("two", (2, 1, 1), cell)


@pytest.mark.parametrize("dependence, unit", [(AdditiveWeightDependence(0.5, 4.0), 4.0),
                                              (MultiplicativeWeightDependence(0.5, 4.0), 1.0)])
def test_amplitudes_are_fractions_of_w_max_and_bounds_are_scaled(dependence, unit):
    timing, bounds = continuous.plasticity(STDPMechanism(RULE, dependence), factor=-3.0, late=2.0)
    assert bounds == {"w_min": -1.5, "w_max": -12.0}
    assert timing == pytest.approx({"A_plus": 0.02 / unit * np.exp(0.2), "A_minus": 0.03 / unit * np.exp(-0.1)})


@pytest.mark.parametrize("timestep", [0.1, 1.0])
def test_a_board_leaks_as_much_in_a_step_as_the_membrane_that_stands_for_it(timestep):
    two = population(IFCurrExp(tau_m=7.0, cm=3.0))
    tau, cm = continuous.membrane(two, timestep)
    assert np.exp(-timestep / tau) == pytest.approx(1 - leak(np.full(2, 7.0), timestep), abs=1e-12)
    assert tau / cm == pytest.approx(7.0 / 3.0)


def test_time_constants_are_those_of_the_cell_and_none_is_that_of_the_membrane():
    two = population(IFCurrExp(tau_m=10.0, tau_syn_E=2.0, tau_syn_I=3.0))
    assert continuous.time_constants(two, 1.0).tolist() == [[2.0, 2.0], [3.0, 3.0]]
    tau_m = continuous.membrane(two, 1.0)[0][0]
    same = population(IFCurrExp(tau_m=10.0, tau_syn_E=tau_m, tau_syn_I=tau_m * 1.1))
    assert continuous.time_constants(same, 1.0)[:, 0] == pytest.approx([tau_m * 1.00001, tau_m * 1.1], rel=1e-12)
    assert continuous.time_constants(population(IFCurrDelta()), 0.1) == pytest.approx(np.full((2, 2), 0.0025))


@pytest.mark.parametrize("cell, timestep, scale", [(IFCurrExp(), 0.1, 1.0), (IFCurrDelta(), 1.0, 1.0),
                                                   (IFCurrDelta(), 0.5, 2.0)])
def test_currents_of_delta_synapses_are_as_strong_as_a_step_is_short(cell, timestep, scale):
    assert continuous.input_scale(population(cell), timestep) == scale


@pytest.mark.parametrize("cell, timestep", [
    (IFCurrExp(tau_m=10.0, cm=0.5, tau_syn_E=1.0, tau_syn_I=4.0), 1.0),
    (IFCurrExp(tau_m=5.0, cm=2.0, tau_syn_E=0.2, tau_syn_I=9.0), 0.1), (IFCurrDelta(tau_m=10.0, cm=0.5), 0.5)])
def test_a_held_and_a_flowing_current_move_the_membrane_equally(cell, timestep):
    two = population(cell)
    (tau_m, cm), tau = continuous.membrane(two, timestep)[:, 0], continuous.time_constants(two, timestep)[:, 0]
    u, width = np.linspace(0, timestep, 20001, retstep=True)
    u = u[:-1] + width / 2
    left = np.exp(-(timestep - u) / tau_m)          # of what moved the membrane at u, at the end of the step
    held = continuous.input_scale(two, timestep) * left.mean() * timestep / cm
    factor, scale = continuous.currents(two, timestep)
    for receptor, one in enumerate(tau):
        flows = np.exp(-u / one)
        flowing = (flows * left).mean() * timestep / cm
        inject = 1.0 if isinstance(cell, IFCurrDelta) else flows.mean()
        assert scale[receptor] == pytest.approx([flowing / held] * 2, rel=1e-4)
        assert factor[receptor] == pytest.approx([inject * held / flowing] * 2, rel=1e-4)
