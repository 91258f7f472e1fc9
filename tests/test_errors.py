"""Errors: ours and a standard one at once, each with an exit code, each saying what would have been right."""

import inspect

import numpy as np
import pytest

from spikingconvnet import errors
from spikingconvnet.errors import (
    BackendError,
    DataError,
    NetworkError,
    SettingsError,
    SpikingConvNetError,
    StoreError,
    require,
)

CHILDREN = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)
            if issubclass(kind, SpikingConvNetError) and kind is not SpikingConvNetError]


def test_there_are_children_to_test():
    assert {SettingsError, BackendError, DataError, StoreError, NetworkError} <= set(CHILDREN)


@pytest.mark.parametrize("kind", CHILDREN)
def test_every_error_is_ours_and_a_standard_one(kind):
    standard = [base for base in kind.__mro__ if base.__module__ == "builtins"]
    assert standard[0] in (ValueError, RuntimeError, OSError)


@pytest.mark.parametrize("kind", [SpikingConvNetError, *CHILDREN])
def test_an_exit_code_is_neither_success_nor_a_signal(kind):
    assert kind.exit_code in (1, 2, 3, 4, 5, 6, 9)


@pytest.mark.parametrize("condition", [True, np.True_, 1])
def test_a_condition_that_holds_raises_nothing(condition):
    assert require(condition, "Conv2D", "strides", 0, "at least 1") is None


@pytest.mark.parametrize("condition", [False, np.False_, 0, None])
def test_the_text_names_owner_attribute_value_and_the_way_out(condition):
    with pytest.raises(SettingsError, match=r"^Conv2D\.strides: must be at least 1, got 0$"):
        require(condition, "Conv2D", "strides", 0, "at least 1")


def test_a_text_value_is_shown_in_quotes_and_percent_signs_stay():
    with pytest.raises(StoreError, match=r"got '100 %d \{x\}'$"):
        require(False, "run", "name", "100 %d {x}", "plain", StoreError)
