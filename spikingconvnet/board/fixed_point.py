"""SpiNNaker's number formats and elementary operations in plain Python integers.

``accum`` (s16.15) is ``raw / 2**15`` in 32 bits, ``u032`` is ``raw / 2**32``, STDP's traces are 4.11. There is no
saturation: 32-bit results wrap. Sources: spinn_common ``stdfix-exp.c`` and ``round.h``, sPyNNaker 7.4.1
``maths-util.h``; every function was compared with the compiled binaries of sPyNNaker 7.4.1.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

import numpy as np

from spikingconvnet.errors import NetworkError
from spikingconvnet.network.arrays import ArrayLike, Floats, Ints, Ints32, Numbers

N = TypeVar("N", int, Ints)          # of a number, or of each of an array

ACCUM_ONE = 1 << 15
STDP_ONE = 1 << 11

_EXP_WHOLE = (
    9708, 26389, 71733, 194991, 530041, 1440801, 3916503, 10646160, 28939262, 78665070, 213833830, 581260615,
    1580030169, 4294967296, 11674931555, 31735754293, 86266724208, 234497268814, 637429664642, 1732713474316,
    4710003551159, 12803117065094, 34802480465680, 94602950235157, 257157480542844, 699026506411923)
_EXP_SIXTEENTH = (
    0, 260218914, 504671961, 734314346, 950043403, 1152702096, 1343082321, 1521927990, 1689937949, 1847768698,
    1996036966, 2135322113, 2266168400, 2389087112, 2504558555, 2613033936)
_EXP_SERIES = (5294, 4293434720, 2081624032)


def split(factor: ArrayLike) -> tuple[Ints32, Ints32]:
    """``(mask, low)`` of factors 0 .. 2**32, so that ``(x * factor) >> 32 == (x & mask) + mulhi(x, low)``.

    The product of a signed and a 33-bit number in operations that vectorise, floor included; `mulhi` is the upper half
    of a signed 32 x 32 bit product.

    Returns
    -------
    two int32 arrays of the shape of `factor`
    """
    factor = np.asarray(factor, np.int64)
    large = factor >= 1 << 31
    return np.where(large, -1, 0).astype(np.int32), (factor - large * (1 << 32)).astype(np.int32)


def i32(x: N) -> N:
    """Wrap to a signed 32-bit integer."""
    return ((x + (1 << 31)) & 0xffffffff) - (1 << 31)


def s16(x: int) -> int:
    """Wrap to a signed 16-bit integer."""
    return ((x + (1 << 15)) & 0xffff) - (1 << 15)


def accum(value: float) -> int:
    """Host conversion to s16.15: nearest, ties to even, on the shortest decimal form of `value`.

    A value beyond its range is a NetworkError.

    >>> accum(-65.0), accum(0.1)
    (-2129920, 3277)
    """
    raw = round(Decimal(str(float(value))) * ACCUM_ONE)
    if not -(1 << 31) <= raw < 1 << 31:
        raise NetworkError(f"{value!r} does not fit SpiNNaker's s16.15, whose range is -65536 to 65536")
    return raw


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


def kmul(a: N, b: N) -> N:
    """accum * accum, rounded towards minus infinity."""
    return i32((a * b) >> 15)


def decay(x: N, factor: N) -> N:
    """accum * u032, rounded towards minus infinity."""
    return i32((x * factor) >> 32)


def kdiv(a: N, b: N) -> N:
    """accum / accum of non-negative numbers, truncated."""
    return i32((a << 15) // b)


def m16(a: int, b: int) -> int:
    """Product of two 4.11 numbers, rounded towards minus infinity."""
    return (s16(a) * s16(b)) >> 11


def _round64(x: int) -> int:
    return (x >> 32) + ((x & 0xffffffff) >= 0x7fffffff)


def _scale64(x: int, y: int) -> int:
    return _round64((x & 0xffffffff) * y) + (x >> 32) * y


def _exp64(n: int) -> int:
    """e**(n / 2**15) with 32 fractional bits, for an accum `n` in range."""
    whole, fraction = n >> 15, n & 0x7fff
    if not fraction:
        return _EXP_WHOLE[13 + whole]
    fraction = ACCUM_ONE - fraction
    result = _EXP_WHOLE[14 + whole]
    result -= _scale64(result, _EXP_SIXTEENTH[fraction >> 11])
    y = (fraction & 0x7ff) << 17
    s0, s1, s2 = _EXP_SERIES
    series = ((((s1 - ((s2 * y) >> 32)) & 0xffffffff) * y >> 32) + s0) & 0xffffffff
    return result - _scale64(result, series)


def expk(n: int) -> int:
    """e**n as accum, truncated.

    >>> expk(-1638), expk(-32768), expk(-1), expk(-340695)
    (31170, 12054, 32766, 1)
    """
    if n > 363408:
        return 0x7fffffff
    return 0 if n < -340695 else i32(_exp64(n) >> 17)


def expulr(n: int) -> int:
    """e**n as u032.

    >>> hex(expulr(-6553)), hex(expulr(-32768))
    ('0xd1996247', '0x5e2d58d9')
    """
    if n > 363408:
        return 0xffffffff
    return 0 if n < -340695 else _exp64(n) & 0xffffffff


def expuk(n: int) -> int:
    """e**n as u16.16, truncated; 0 for n = 0, as the board has it.

    >>> expuk(-32768), expuk(0)
    (24109, 0)
    """
    if n > 363408:
        return 0xffffffff
    return 0 if n == 0 or n < -340695 else (_exp64(n) >> 16) & 0xffffffff


def leak(tau_m: ArrayLike, timestep: float) -> Floats:
    """Share of its way to the target that a membrane goes in a step on a board, whose exponential loses its last bit.

    At 20 ms it is 3e-4 of itself more than exact, at 2048 ms a sixteenth. An array like `tau_m` (ms). A time constant
    beyond s16.15 is a NetworkError.
    """
    values, index = np.unique(tau_m, return_inverse=True)
    raw = [ACCUM_ONE - expk(-kdiv(accum(timestep), accum(tau))) for tau in values.tolist()]
    return np.array(raw)[index] / ACCUM_ONE
