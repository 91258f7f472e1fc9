"""Number formats and elementary operations: printed values of the binaries, and properties."""

import math
from fractions import Fraction

import naive_engine
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikingconvnet.board import fixed_point
from spikingconvnet.errors import NetworkError

int32 = st.integers(-2 ** 31, 2 ** 31 - 1)
in_range = st.integers(-340695, 363408)


@pytest.mark.parametrize("raw, expected", [(-1638, 31170), (-32768, 12054), (-1, 32766), (-340695, 1), (-340696, 0),
                                           (0, 32768), (363409, 0x7fffffff)])
def test_expk_gives_the_printed_numbers(raw, expected):
    assert fixed_point.expk(raw) == expected


@pytest.mark.parametrize("raw, expected", [(-6553, 0xd1996247), (-32768, 0x5e2d58d9), (-340696, 0),
                                           (363409, 0xffffffff)])
def test_expulr_gives_the_printed_numbers(raw, expected):
    assert fixed_point.expulr(raw) == expected


@pytest.mark.parametrize("raw, expected", [(-340696, 0), (-340695, 2), (0, 0), (-32768, 24109),
                                           (363409, 0xffffffff)])
def test_expuk_is_0_below_its_limit_and_at_0(raw, expected):
    assert fixed_point.expuk(raw) == expected


def test_the_exponential_rounds_up_from_just_below_a_half():
    assert [fixed_point._round64(x) for x in (0x7ffffffe, 0x7fffffff, 0x80000000, 5 << 32)] == [0, 1, 1, 5]


@given(in_range)
def test_the_exponential_is_that_of_the_naive_twin(raw):
    assert fixed_point.expk(raw) == naive_engine.exp_accum(raw)
    assert fixed_point.expulr(raw) == naive_engine.exp_fraction(raw)


@given(st.integers(-340695, 0))
def test_a_decay_is_close_to_the_true_exponential(raw):
    """The series is off by up to 5,300 / 2**32; expk truncates on top of that."""
    assert fixed_point.expk(raw) == pytest.approx(math.exp(raw / 2 ** 15) * 2 ** 15, rel=0, abs=1.05)
    if raw:
        assert fixed_point.expulr(raw) == pytest.approx(math.exp(raw / 2 ** 15) * 2 ** 32, rel=0, abs=5300)


@given(int32, int32)
def test_products_round_down_and_wrap(a, b):
    exact = Fraction(a * b, 2 ** 15)
    assert (fixed_point.kmul(a, b) - math.floor(exact)) % 2 ** 32 == 0
    assert -2 ** 31 <= fixed_point.kmul(a, b) < 2 ** 31


@given(int32, st.integers(0, 2 ** 32 - 1))
def test_decay_rounds_down_also_below_zero(x, factor):
    assert fixed_point.decay(x, factor) == math.floor(Fraction(x * factor, 2 ** 32))


def test_a_negative_current_decays_to_minus_one_and_a_positive_one_to_zero():
    assert fixed_point.decay(-1, 0xd1996247) == -1 and fixed_point.decay(1, 0xd1996247) == 0


@pytest.mark.parametrize("value, raw", [(-65.0, -2129920), (0.1, 3277), (1.5 / 32768, 2), (2.5 / 32768, 2),
                                        (-1.5 / 32768, -2), (-2.5 / 32768, -2), (65535.9999, 2147483645)])
def test_the_host_rounds_to_the_nearest_accum_and_ties_to_even(value, raw):
    assert fixed_point.accum(value) == raw == naive_engine.accum(value)


@pytest.mark.parametrize("value", [65536.0, -65536.1, 1e9])
def test_a_number_beyond_s16_15_is_refused_with_its_value(value):
    with pytest.raises(NetworkError, match=str(value).split("e")[0].split(".")[0]):
        fixed_point.accum(value)


@settings(max_examples=200)
@given(int32, st.integers(0, 2 ** 32))
def test_the_kernels_split_product_is_the_plain_one(x, factor):
    mask, low = (int(part) for part in fixed_point.split(np.array(factor)))
    assert ((x & mask) + ((x * low) >> 32) - ((x * factor) >> 32)) % 2 ** 32 == 0
