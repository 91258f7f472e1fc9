"""The small language of what comes from outside: its edges, and what it says."""

import json
import math

import numpy as np
import pytest

from spikingconvnet.errors import StoreError
from spikingconvnet.gates import schema
from spikingconvnet.gates.schema import (
    FINITE,
    LARGEST,
    Array,
    Schema,
    Value,
    check_entries,
    is_integer,
    is_number,
    is_text,
    optional,
    parse_json,
    refuse,
)


def said(wanted, array, sizes=None):
    """What an Array says of an array, "" if it fits."""
    try:
        wanted.check("it", np.asarray(array), {} if sizes is None else sizes)
    except StoreError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("wanted, array, text", [
    (Array("uint8 uint16", (2,)), np.zeros(2, np.uint16), ""),
    (Array("uint8 uint16", (2,)), np.zeros(2, np.int16), "it: must be uint8 or uint16 (2,), got int16 (2,)"),
    (Array("uint16", (2,)), np.zeros(2, ">u2"), "it: must be uint16 (2,), got >u2 (2,)"),
    (Array("uint8", (2, 3)), np.zeros((2, 4), np.uint8), "it: must be uint8 (2, 3), got uint8 (2, 4)"),
    (Array("uint8", (2,)), np.zeros((2, 1), np.uint8), "it: must be uint8 (2,), got uint8 (2, 1)"),
    (Array("str"), np.array("a"), ""), (Array("str"), np.array(["a"]), "it: must be str (), got <U1 (1,)"),
    (Array("int64", (2,), 0, 7), np.array([0, 7]), ""),
    (Array("int64", (2,), 0, 7), np.array([0, 8]), "it: must be within 0 .. 7, got 0 .. 8"),
    (Array("int64", (2,), 0, 7), np.array([-1, 7]), "it: must be within 0 .. 7, got -1 .. 7"),
    (Array("int64", (1,), None, 7), np.array([-10 ** 6]), ""), (Array("int64", (1,), 3), np.array([10 ** 6]), ""),
    (Array("int64", (1,), 3), np.array([2]), f"it: must be within 3 .. {FINITE:g}, got 2 .. 2"),
    (Array("int64", (0,), 1, 2), np.zeros(0, np.int64), ""),
    (Array("float64", (2,)), np.array([FINITE, -FINITE]), ""),
    (Array("float64", (1,)), np.array([FINITE * 1.01]), "it: must be finite and within"),
    (Array("float64", (2,)), np.array([0.0, math.nan]), "it: must be finite and within"),
    (Array("float64", (1,), -1.0, 1.0), np.array([1.5]), "it: must be finite and within -1 .. 1, got 1.5 .. 1.5")])
def test_types_shapes_and_ranges_of_arrays(wanted, array, text):
    assert said(wanted, array).startswith(text) and bool(said(wanted, array)) == bool(text)


def test_sizes_that_are_names_are_one_number():
    sizes = {"images": 3}
    assert said(Array("uint8", ("images", "other")), np.zeros((3, 5), np.uint8), sizes) == ""
    assert sizes == {"images": 3, "other": 5}
    assert said(Array("uint8", ("other", "new")), np.zeros((4, 2), np.uint8), sizes) == (
        "it: must be uint8 (5, new), got uint8 (4, 2)")
    whole = Schema({"a": Array("uint8", ("n",)), "b": Array("uint8", ("n",))}, sizes={"n": 2})
    whole.check({"a": np.zeros(2, np.uint8), "b": np.zeros(2, np.uint8)}, {})
    for _ in range(2):              # what one file says of a size is not said of the next
        with pytest.raises(StoreError, match=r"a: must be uint8 \(2,\)"):
            whole.check({"a": np.zeros(3, np.uint8), "b": np.zeros(3, np.uint8)}, {})


def test_what_is_missing_or_not_known_is_named():
    whole = Schema({"a": Array("uint8"), "b": optional(Array("uint8"))}, {"c": optional(schema.TEXT)},
                   lambda arrays, how: refuse("whole", "b", "none") if "b" not in arrays else None)
    one = np.zeros((), np.uint8)
    whole.check({"a": one, "b": one}, {"more": 1})
    for arrays, how, text in (({"b": one}, {}, "^a: is missing"),
                              ({"a": one, "x": one}, {}, "arrays: must be a and b, got 'x'"),
                              ({"a": one, "b": one}, {"c": "\n"}, r"how.c: must be text, got '\\n'"),
                              ({"a": one}, {}, "whole: must be b")):
        with pytest.raises(StoreError, match=text):
            whole.check(arrays, how)
    with pytest.raises(StoreError, match=r"o\.x: is missing"):
        check_entries({}, {"x": Value("anything", bool)}, "o.")


def test_what_is_long_is_not_told_to_its_end():
    for n, text in ((60, "x" * 60), (61, "x" * 60 + " ...")):
        with pytest.raises(StoreError) as error:
            refuse("a", "b", "x" * n)
        assert str(error.value) == f"a: must be b, got {text}"


def nested(depth, inside="1"):
    return '{"a": ' + "[" * depth + inside + "]" * depth + "}"


def test_json_is_as_deep_and_as_large_as_it_may_be():
    assert parse_json(nested(39)) == json.loads(nested(39))
    with pytest.raises(StoreError, match="too deep"):
        parse_json(nested(40))
    for number in ((1 << 128) - 1, 1 - (1 << 128)):
        assert parse_json(nested(2, str(number)))
    for number in (1 << 128, -1 << 128):
        with pytest.raises(StoreError, match="too large"):
            parse_json(nested(2, str(number)))
    for text in ("[]", "3", "null"):
        with pytest.raises(StoreError, match="JSON: must be an object, got "):
            parse_json(text)


def test_kinds_of_values():
    assert [is_integer(one, 0, 5) for one in (0, 5, 6, -1, True, 1.0, "1")] == [True, True] + [False] * 5
    assert is_integer(LARGEST) and not is_integer(LARGEST + 1) and not is_integer(-1)
    assert [is_number(one, 0, 5) for one in (0, 5.0, 5.1, -0.1, True, math.nan, "1")] == [True, True] + [False] * 5
    assert is_number(math.inf) and is_number(-math.inf)
    assert [is_text(one) for one in ("a b", "", "a\n", "\x1b", 3, None)] == [True, True, False, False, False, False]
