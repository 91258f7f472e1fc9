"""A trained layer: what fits its stage, and what a file holds of it."""

import numpy as np
import pytest

from spikingconvnet import Classifier, Conv2D, Sequential
from spikingconvnet.errors import SettingsError
from spikingconvnet.model.trained import TrainedLayer

STAGE = Sequential((2, 6, 7), Conv2D(3, (3, 4)), Classifier()).stages[0]
GOOD = {"kernels": np.ones((3, 2, 3, 4)), "v_thresh": np.arange(3.0)}


@pytest.mark.parametrize("more", [{}, {"i_offset": np.ones(3)}, {"i_offset": np.ones((3, 4, 4))}])
def test_what_fits_is_taken(more):
    TrainedLayer(**GOOD, **more).require_fits(STAGE, "Rule")


@pytest.mark.parametrize("more, text", [
    ({"kernels": np.ones((3, 2, 4, 3))}, r"Rule.kernels of layer1: must be finite, of shape \(3, 2, 3, 4\), got"),
    ({"kernels": np.full((3, 2, 3, 4), np.nan)}, "kernels of layer1: must be finite, .*, got 'not finite, "),
    ({"v_thresh": np.array([0.0, np.inf, 0.0])}, "v_thresh of layer1: .* got 'not finite"),
    ({"v_thresh": np.zeros(4), "i_offset": np.zeros(3)}, r"v_thresh of layer1: must be finite, of shape \(3,\)"),
    ({"i_offset": np.zeros((3, 4, 5))}, r"i_offset of layer1: must be finite, of shape \(3, 4, 4\)"),
    ({"i_offset": np.full(3, -np.inf)}, "i_offset of layer1: .* got 'not finite"),
    ({"shortcuts": (np.ones((3, 1, 1, 1)),)}, "shortcuts of layer1: must be 0 arrays of kernels, got 1")])
def test_what_does_not_fit_is_refused_by_the_name_of_the_rule(more, text):
    with pytest.raises(SettingsError, match=text):
        TrainedLayer(**GOOD | more).require_fits(STAGE, "Rule")


@pytest.mark.parametrize("more", [
    {}, {"i_offset": np.array([0, 1.0, 0])}, {"i_offset": np.ones((3, 4, 4))}, {"v": np.ones(3)},
    {"max_expected_summed_weight": 2.5}, {"shortcuts": (np.ones((3, 1, 1, 1)), np.zeros((3, 2, 1, 1)))}])
def test_a_file_holds_what_is_not_as_by_default_and_gives_it_back(more):
    made = TrainedLayer(**GOOD, **more)
    found = made.arrays()
    extra = {"i_offset": "i_offset" if np.ndim(more.get("i_offset")) == 1 else "i_offsets"}
    assert len(found) == 2 + len(more.get("shortcuts", more and [1]))
    assert all(extra.get(name, name) in found for name in more if name != "shortcuts")
    again = TrainedLayer.from_arrays({**found, "other": np.ones(2)})
    for name, value in vars(made).items():
        np.testing.assert_equal(getattr(again, name), value)
