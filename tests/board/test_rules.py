"""Tables of decay: their lengths, their last numbers, the longest that a core has room for."""

import math

import numpy as np
import pytest

from spikingconvnet.board.rules import LONGEST_TABLE, decay_table, lower_rule, modulated
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.plasticity import Neuromodulation, STDPMechanism, Vogels2011Rule

SHIFTS = (0, 2, 4)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("timestep", [0.1, 1.0, 2.0])
@pytest.mark.parametrize("tau", [0.9, 5.0, 20.0, 33.3, 400.0])
def test_a_table_goes_on_until_it_is_0(tau, timestep, shift):
    table = decay_table(tau, timestep, shift)
    wanted = [math.floor(2048 * math.exp(-(i << shift) * timestep / tau)) for i in range(len(table) + 2)]
    assert table.tolist() == wanted[:-2] and wanted[-2:] == [0, 0]
    assert len(table) % 2 == 0 and all(one > 0 for one in wanted[:len(table) - 2])


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("timestep", [0.5, 1.0])
def test_a_table_that_a_core_has_no_room_for_tells_the_longest_time_constant(timestep, shift):
    longest = math.floor(LONGEST_TABLE * timestep * (1 << shift) / math.log(2048))
    size = LONGEST_TABLE + 2
    assert len(decay_table(longest * 0.9999, timestep, shift)) <= LONGEST_TABLE
    with pytest.raises(NetworkError, match=rf"at most {longest:,} ms at {timestep:g} ms a step: its look-up table of"
                                           rf" {2 * size:,} bytes"):
        decay_table(size * timestep * (1 << shift) / math.log(2048), timestep, shift)


def test_what_a_rule_has_not_is_0():
    rule = lower_rule(STDPMechanism(), 1.0)
    assert (rule.alpha, rule.a3_plus, rule.a3_minus, len(rule.lut_x), len(rule.lut_y)) == (0, 0, 0, 0, 0)
    rule = lower_rule(STDPMechanism(Vogels2011Rule(0.3, 20.0)), 1.0)
    assert rule.alpha == round(0.3 * 2048) and np.array_equal(rule.lut_minus, rule.lut_plus)


def test_a_reward_is_released_at_the_rate_of_both_time_constants():
    rule = modulated(lower_rule(STDPMechanism(), 1.0), Neuromodulation(400.0, 100.0, 0.25, 2.0), 1.0)
    assert (rule.release, rule.weight_min, rule.weight_max) == (-80 << 15, 1 << 13, 1 << 16)
    assert np.array_equal(rule.lut_c, decay_table(400.0, 1.0, 4))
    assert np.array_equal(rule.lut_d, decay_table(100.0, 1.0, 2))
