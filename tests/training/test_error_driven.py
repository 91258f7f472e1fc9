"""The readout that corrects its errors: the rule in Python's integers, one synapse at a time, and what it learns."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikingconvnet import Classifier
from spikingconvnet.errors import DataError, SettingsError
from spikingconvnet.experiment import readout
from spikingconvnet.training import ErrorDriven


def naively(counts, units, classes, order, rule):
    """Excitations in whole numbers, by loops."""
    excitation = [[rule.inhibition] * len(counts[0]) for _ in range(classes)]
    for rate, samples in zip(rule.rates, order):
        for i in samples:
            membranes = [sum((e - rule.inhibition) * n for e, n in zip(own, counts[i])) for own in excitation]
            for k, membrane in enumerate(membranes):
                right = membrane >= rule.margin if k == units[i] else membrane <= -rule.margin
                for j, n in enumerate(counts[i] if not right else ()):
                    changed = excitation[k][j] + (rate if k == units[i] else -rate) * n
                    excitation[k][j] = min(max(changed, 0), 2 * rule.inhibition)
    return excitation


@pytest.mark.parametrize("labels, good", [([3, 7], True), ([3, 3], False)])
def test_two_classes_are_enough_and_one_is_not(labels, good):
    learn = readout.fitter(Classifier(grid=1, learn=ErrorDriven((1,))), 0, lambda every, description: every, None)
    counts = np.array([[2, 0], [0, 2]], np.uint16)
    if good:
        assert learn(counts, np.array(labels)).predict(counts).tolist() == labels
    else:
        with pytest.raises(DataError, match="must be of at least two classes, got \\[3\\]"):
            learn(counts, np.array(labels))


@given(st.integers(0, 10_000), st.integers(2, 3), st.integers(1, 400), st.integers(1, 60))
def test_it_is_the_naive_rule(seed, classes, margin, inhibition):
    rng, rule = np.random.default_rng(seed), ErrorDriven((7, 2, 1), margin, inhibition)
    counts, units = rng.integers(0, 6, (12, 4)).astype(np.uint16), rng.integers(0, classes, 12)
    twin = np.random.default_rng(seed + 1)
    order = [twin.permutation(12) for _ in rule.rates]
    weights, biases = rule.train(counts, units, classes, np.random.default_rng(seed + 1), None)
    naive = np.array(naively(counts.tolist(), units.tolist(), classes, order, rule))
    assert np.array_equal(np.rint(weights * margin), naive - inhibition) and not biases.any()
    assert np.allclose(weights * margin, naive - inhibition)


def test_it_tells_classes_apart_and_says_how_many_units_were_corrected():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300) * 4
    counts = rng.poisson(np.eye(3)[labels // 4] @ rng.uniform(1, 6, (3, 20)) + 0.5).astype(np.uint16)
    told = []

    class Bar(tuple):
        def set_postfix(self, values):
            told.append(values["wrong"])

    machine = Classifier(learn=ErrorDriven())
    fitted = readout.fitter(machine, 1, lambda items, description: Bar(items), None)(counts, labels)
    assert fitted.classes.tolist() == [0, 4, 8] and readout.score(fitted.predict(counts), labels).accuracy > 0.97
    assert len(told) == 8 and 3 > told[0] > told[-1]
    again = readout.fitter(machine, 2, lambda items, description: items, None)(counts, labels)
    assert not np.array_equal(again.coefficients, fitted.coefficients)
    with pytest.raises(DataError, match="at least two classes"):
        readout.fitter(machine, 1, lambda items, description: items, None)(counts, labels * 0)


@pytest.mark.parametrize("change, text", [({"rates": ()}, "rates"), ({"rates": (0,)}, "rates"),
                                          ({"margin": 0}, "margin"), ({"inhibition": 32769}, "inhibition")])
def test_settings_that_cannot_be_used_are_refused(change, text):
    with pytest.raises(SettingsError, match=f"ErrorDriven.{text}: must be"):
        replace(ErrorDriven(), **change)


def test_a_classifier_says_what_learns_it_and_refuses_what_that_does_not_read():
    assert str(Classifier(6, learn=ErrorDriven())) == "Classifier  error-driven on 6x6 cells per map"
    assert "learn=ErrorDriven(" in repr(Classifier(learn=ErrorDriven()))
    with pytest.raises(SettingsError, match=r"Classifier.C: must be left out"):
        Classifier(C=3.0, learn=ErrorDriven())
    with pytest.raises(SettingsError, match=r"Classifier.learn: must be a rule for readouts"):
        Classifier(learn=3)
