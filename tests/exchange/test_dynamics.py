"""From NIR's neurons to steps, and to the numbers of a board: the nearest that it has, and within its range."""

import math

import numpy as np
import pytest

from spikingconvnet.board.fixed_point import ACCUM_ONE, accum, expk, expulr, kdiv
from spikingconvnet.exchange import dynamics as module
from spikingconvnet.exchange.dynamics import Dynamics, dynamics, held, input_scale, on_grid, readout, threshold
from spikingconvnet.exchange.graph import Node
from spikingconvnet.exchange.verdicts import Refused
from spikingconvnet.network.neurons import OUT_OF_REACH

TWO = (2,)
LEAKY = {"tau": [0.01, 0.02], "r": 3.0, "v_leak": [-0.5, 0.25], "v_threshold": 1.5, "v_reset": -0.75}
CUBA = {"tau_mem": 0.01, "tau_syn": [0.002, 0.004], "r": 3.0, "w_in": 2.0, "v_leak": 0.5, "v_threshold": 1.5}


def of(kind, step=1e-3, method="euler", **fields):
    return dynamics(Node("it", kind, fields), TWO, step, method)


def unlike(own, **expected):
    """Names of the fields of dynamics that are not as expected; those that are not named are 0 or None."""
    wanted = dict.fromkeys(("share", "gain", "leak", "reset", "start"), 0.0) | {"share_syn": None, "gain_syn": None}
    wanted |= expected
    return [name for name, value in wanted.items() if (value is None) != (getattr(own, name) is None)
            or (value is not None and not np.allclose(getattr(own, name), value, 1e-12, 0))]


def test_a_leaky_neuron_goes_a_share_of_its_way():
    own = of("LIF", **LEAKY)
    assert not unlike(own, share=[0.1, 0.05], gain=[0.3, 0.15], leak=[-0.5, 0.25], start=[-0.5, 0.25], reset=-0.75)
    assert own.threshold.tolist() == [1.5, 1.5] and own.settled.tolist() == [1, 1]
    assert own.potentials.tolist() == [1.5, 1.5]
    exact = of("LIF", method="exact", **LEAKY)
    share = 1 - np.exp([-0.1, -0.05])
    assert not unlike(exact, share=share, gain=3 * share, leak=[-0.5, 0.25], start=[-0.5, 0.25], reset=-0.75)


def test_kinds_that_do_not_leak_or_do_not_fire():
    own = of("IF", r=[100.0, 200.0], v_threshold=2.0)
    assert not unlike(own, gain=[0.1, 0.2]) and own.threshold.tolist() == [2, 2]
    assert of("I", r=1.0).threshold.tolist() == [math.inf] * 2 == readout(2).threshold.tolist()
    own = of("LI", tau=0.01, r=1.0, v_leak=-4.0)
    assert not unlike(own, share=0.1, gain=0.1, leak=-4, start=-4) and own.potentials.tolist() == [4, 4]
    own = of("Threshold", threshold=[0.5, 0.25])
    assert not unlike(own, share=1, gain=1) and own.threshold.tolist() == [0.5, 0.25]
    assert not unlike(readout(2), share=1, gain=1)


def test_a_synapse_has_a_share_of_its_own_unless_it_forgets_in_a_step():
    own = of("CubaLIF", **CUBA)
    assert not unlike(own, share=0.1, gain=0.3, leak=0.5, start=0.5, share_syn=[0.5, 0.25], gain_syn=[1.0, 0.5])
    assert own.settled.tolist() == [2, 2]
    own = of("CubaLIF", **CUBA | {"tau_syn": 0.001})
    assert not unlike(own, share=0.1, gain=0.6, leak=0.5, start=0.5) and own.settled.tolist() == [1, 1]
    assert of("CubaLIF", **CUBA | {"tau_syn": [0.001, 0.002]}).share_syn.tolist() == [1.0, 0.5]


def test_time_constants_that_cannot_be():
    with pytest.raises(Refused, match="its tau is 0; time constants are above 0"):
        of("LIF", **LEAKY | {"tau": [0.0, 1.0]})
    with pytest.raises(Refused, match=r"its tau_syn of 0.0005 is shorter than a step of 0.001.*graph_dt=0.0005"):
        of("CubaLIF", **CUBA | {"tau_syn": [0.0005, 1.0]})
    assert of("LIF", **LEAKY | {"tau": 0.001 * (1 - 1e-10)}).share.tolist() == [1.0, 1.0]
    with pytest.raises(Refused, match="shorter"):
        of("LIF", **LEAKY | {"tau": 0.000999})


# What a board holds


@pytest.mark.parametrize("timestep", [1.0, 0.1, 0.5])
def test_no_other_time_constant_loses_nearer_to_what_is_wanted(timestep):
    step = accum(timestep)
    for lost in [1, 2, 3, 5, 32766, 32767, *np.random.default_rng(0).integers(4, 32766, 60).tolist()]:
        found = module._tau_of(lost, timestep)
        off = abs(ACCUM_ONE - expk(-kdiv(step, found)) - lost)
        assert ACCUM_ONE - expk(-kdiv(step, found)) > 0
        assert all(abs(ACCUM_ONE - expk(-kdiv(step, tau)) - lost) >= off for tau in range(max(2, found - 9), found + 9))


@pytest.mark.parametrize("timestep", [1.0, 0.1, 0.5, 0.2, 0.25, 2.0])
def test_what_is_lost_as_a_whole_is_gone_after_a_step(timestep):
    assert expk(-module.LEAST_DECAY - 1) == 0 < expk(-module.LEAST_DECAY)
    for tau in (module._tau_of(ACCUM_ONE, timestep), module._tau_syn_of(1.0, accum(timestep))):
        assert tau > 1 and expk(-kdiv(accum(timestep), tau)) == 0
        assert kdiv(accum(timestep), tau) - module.LEAST_DECAY < 2000


def test_no_other_synapse_decays_nearer_to_what_is_wanted():
    step = accum(1.0)
    for share in np.random.default_rng(1).uniform(1e-4, 0.9999, 60).tolist():
        found, wanted = module._tau_syn_of(share, step), 1 - share

        def off(tau, wanted=wanted):
            return abs(expulr(-kdiv(step, tau)) / 2.0 ** 32 - wanted)

        assert off(found) <= min(map(off, (max(2, found - 1), found + 1))) + 1e-9


def leaky(share, gain, potentials, synapse=None):
    share, gain = np.asarray(share, float), np.asarray(gain, float)
    zeros = np.zeros_like(share)
    more = () if synapse is None else tuple(np.full(share.shape, one) for one in synapse)
    return Dynamics(share, gain, zeros, zeros, zeros + np.asarray(potentials, float), zeros, *more)


@pytest.mark.parametrize("timestep", [1.0, 0.1])
@pytest.mark.parametrize("synapse", [None, (0.25, 0.5)])
def test_what_a_spike_adds_is_exact_and_the_range_is_used(synapse, timestep):
    own = leaky([0.1, 0.4], [0.1, 0.3], [1.0, 2.0], synapse)
    largest, bias = np.array([4.0, 1.0]), np.array([-1.0, 0.5])
    found = held(own, largest, bias, timestep)
    np.testing.assert_allclose(found.lost, own.share, atol=2 / ACCUM_ONE)
    assert [ACCUM_ONE - expk(-kdiv(accum(timestep), accum(tau))) for tau in found.tau_m] == list(
        found.lost * ACCUM_ONE)
    kept = found.weight * found.lost / (found.scale * own.gain)     # what of a weight does not come in at once
    if synapse is None:
        assert found.tau_syn is None
        np.testing.assert_allclose(kept, 1 / input_scale(timestep))
        settled, over = 1.0, 1.0
    else:
        settled, into = 2.0, 0.5 / kept
        over = np.maximum(1.0, 0.25 / into)
        decay = [expulr(-kdiv(accum(timestep), accum(tau))) / 2.0 ** 32 for tau in found.tau_syn]
        np.testing.assert_allclose(decay, 0.75, atol=1e-4)
        assert (into > 0.5).all() and (into < 1).all()
    np.testing.assert_allclose(found.current * found.lost, found.scale * own.gain * settled)
    reach = own.gain * settled * (largest + abs(bias))
    highest = (own.potentials + reach / found.lost * over).max()
    assert found.scale == 2.0 ** math.floor(math.log2(module.HALF / highest))


def test_without_a_leak_as_little_is_lost_as_the_range_allows():
    found = held(leaky([0.0, 0.0], [1.0, 1.0], [1.0, 1.0]), np.array([100.0, 1.0]), np.zeros(2), 1.0)
    assert (found.lost * ACCUM_ONE).tolist() == [16, 16]            # 2 ** ceil(log2(sqrt(100 / 1)))
    found = held(leaky([0.0], [1.0], [1.0]), np.array([0.5]), np.zeros(1), 1.0)
    assert (found.lost * ACCUM_ONE).tolist() == [2]
    found = held(leaky([0.5, 0.0], [1.0, 1.0], [1.0, 64.0]), np.array([1.0, 256.0]), np.zeros(2), 1.0)
    assert (found.lost * ACCUM_ONE).tolist() == [16384, 2]


def test_next_to_no_potentials_are_not_blown_up():
    own = leaky([1.0], [1e-9], [0.0])
    assert held(own, np.array([1.0]), np.zeros(1), 1.0).scale == 2.0 ** 20


def test_numbers_that_no_scale_brings_into_range_are_refused():
    with pytest.raises(Refused, match=r"up to 1e\+31 times"):
        held(leaky([0.5], [1.0], [1.0]), np.array([1e31]), np.zeros(1), 1.0)
    with pytest.raises(Refused, match="beyond any board"):
        held(leaky([0.5], [1.0], [1e31]), np.array([1.0]), np.zeros(1), 1.0)
    with pytest.raises(Refused, match="leave no bits"):
        held(leaky([0.5], [1.0], [1.0]), np.array([1e8]), np.zeros(1), 1.0)
    assert held(leaky([0.5, 0.5], [1.0, 1.0], [1.0, 0.0]), np.ones(2), np.zeros(2), 1.0).scale > 0


def test_numbers_on_the_grid_and_the_threshold_above():
    assert on_grid([0.5, -1.0, 0.4 / ACCUM_ONE, 0.6 / ACCUM_ONE]).tolist() == [16384, -32768, 0, 1]
    found = threshold(np.array([1.0, -1.0, 0.5 / ACCUM_ONE, math.inf])) * ACCUM_ONE
    assert found.tolist() == [32769, -32767, 1, OUT_OF_REACH * ACCUM_ONE]
    assert input_scale(1.0) == 1.0 and abs(input_scale(0.1) - 10) < 0.01
