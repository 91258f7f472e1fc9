"""What parameters ask for: bytes worked out by hand for a model of every kind, and the number that would fit."""

from types import SimpleNamespace

import pytest

from spikingconvnet import STDP, Classifier, Conv2D, Dense, LatencyEncoder, RegularEncoder, Sequential, SpikeCount
from spikingconvnet.errors import SettingsError
from spikingconvnet.gates import sizes


def settings(model, **changes):
    found = {"n_train": 70, "n_validation": 20, "n_test": 30, "per_class": False, "classes": range(3), "slot": 40,
             "model": model, "encoder": LatencyEncoder(n_steps=15)}
    return SimpleNamespace(**found | changes)


@pytest.fixture
def asked(monkeypatch):
    """What is asked for, by owner and field: the value, and lists of (bytes, power)."""
    found = {}

    def noted(owner, field, value, *sizes, there):
        found.setdefault((owner, field), []).append((value, *sizes))

    monkeypatch.setattr(sizes, "require_fits", noted)
    return found


def test_what_a_layer_that_competes_asks_for(asked):
    model = Sequential((2, 6, 7), Conv2D(5, (3, 4), lateral=1.0, training=STDP()), Classifier())
    sizes.check(settings(model), [[123, (7, 2)]])
    assert asked.pop(("MODEL", "input_shape")) == [(84, 200 * 84)]
    positions, seen = 4 * 4, 2 * 3 * 4
    assert asked.pop(("parameters", "SLOT")) == [(40, 24 * 70 * 40), (40, 40 * 10 * positions * (12 + 4 * seen))]
    weights = 5 * seen
    assert asked == {("layer 1: Conv2D", "filters"): [
        (5, 123, (7, 2), 60 * weights + 5 * positions * (200 + 12 * 10 * 40), (100 * 25 * positions, 2))]}


def test_what_a_network_that_runs_as_one_asks_for(asked):
    model = Sequential((1, 4, 4), Dense(6), Dense(3), SpikeCount())
    sizes.check(settings(model, encoder=RegularEncoder(n_steps=20), n_train=None, n_test=None))
    assert asked["ENCODER", "n_steps"] == [(20, 20 * 20 * 16 * 20)]
    assert asked["layer 1: Dense", "units"] == [(6, 60 * 6 * 16 + 6 * (200 + 12 * 10 * 40), 1)]
    assert asked["layer 2: Dense", "units"] == [(3, 60 * 3 * 6 + 3 * (200 + 12 * 10 * 40), 8 * 250 * 40 * 3)]
    assert asked["parameters", "SLOT"][0] == (40, 24 * 20 * 40)


@pytest.mark.parametrize("changes, n", [
    ({}, 70), ({"n_train": 5}, 30), ({"n_train": 5, "n_test": None}, 20), ({"per_class": True}, 210),
    ({"n_train": None, "n_validation": 0, "n_test": None}, 1)])
def test_images_of_the_largest_split(changes, n):
    assert sizes._images(settings(None, **changes)) == n


def test_a_batch_of_dense_values_is_at_most_a_thousand_images(asked):
    model = Sequential((1, 4, 4), Dense(3), SpikeCount())
    sizes.check(settings(model, encoder=RegularEncoder(n_steps=20), n_train=5000))
    assert asked["ENCODER", "n_steps"] == [(20, 20 * 1000 * 16 * 20)]


def test_the_number_that_would_fit_is_told():
    sizes.require_fits("A", "b", 100, 1000, (900, 2), there=1000)
    with pytest.raises(SettingsError, match="A.b: must be at most 50: it asks for 2.0 GB of memory, and 1.0"):
        sizes.require_fits("A", "b", 100, 2 * 10 ** 9, 5, there=10 ** 9)
    with pytest.raises(SettingsError, match="at most 50: it asks for 4.0 GB"):
        sizes.require_fits("A", "b", 100, (4 * 10 ** 9, 2), there=10 ** 9)
    with pytest.raises(SettingsError, match="at most 25: it asks for 4.0 GB"):
        sizes.require_fits("A", "b", 100, 4 * 10 ** 9, (16 * 10 ** 8, 2), there=10 ** 9)
