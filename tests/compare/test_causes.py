"""Causes of every kind put into random networks: the right one is told, or none. More: benchmarks/causes.py."""

from dataclasses import replace

import causes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_differences import small

from spikingconvnet.compare.differences import as_dict, as_text, compare
from spikingconvnet.compare.explained import shortest, solutions, with_population, with_projections
from spikingconvnet.network.connectivity import ConnectionList
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism

RULE = STDPMechanism(SpikePairRule(15.0, 20.0, 0.02, 0.03), AdditiveWeightDependence(0.0, 3.0))


def concealed(network, changed):
    """The cause of what a run of a changed network differs in, if its recording says that it is of the other one."""
    a, b = causes.recorded(network), causes.recorded(changed)
    found = compare(a, replace(b, network=network, weights={label: b.weights[label] for label in b.weights if network
                                                            .projection(label).learns}))
    assert as_dict(found, a, b)["cause"]["name"] == found.cause.name and as_text(found, a, b)
    return found.cause


def with_cell(network, **values):
    return with_population(network, "cells", cell=replace(network.population("cells").cell, **values))


def times(network, factor):
    return with_projections(network, lambda p: replace(p, connections=replace(p.connections,
                                                                             weight=p.connections.weight * factor)))


@pytest.mark.parametrize("kind", causes.KINDS)
def test_the_cause_put_in_is_told_or_none(kind):
    found, details = causes.manipulated(kind, 7)
    assert causes.verdict(kind, found, details) != "wrong", found.cause


@settings(max_examples=10)
@given(st.sampled_from(list(causes.KINDS)), st.integers(0, 2**32 - 1))
def test_no_cause_is_wrong_whatever_is_drawn(kind, seed):
    found, details = causes.manipulated(kind, seed)
    assert causes.verdict(kind, found, details) != "wrong", found.cause


def test_a_membrane_time_constant_that_was_not_declared_is_no_rounding():
    network = small(tau_m=12.0)
    cause = concealed(network, with_cell(network, tau_m=12.01))
    assert cause.name == "parameter" and (cause.details["parameter"], cause.details["population"]) == ("tau_m", "cells")
    assert (cause.details["value"], cause.details["declared"], cause.details["neurons"]) == (12.01, 12.0, None)
    assert cause.evidence.startswith("with 12.01 instead of 12 as tau_m of population cells, B is exactly what")


def test_a_parameter_of_one_neuron_is_told_with_the_neuron():
    network = small(spikes_per_step=3.0)
    thresholds = np.where(np.arange(12) == 7, 4.0, 5.0)
    cause = concealed(network, with_population(network, "cells", values={"v_thresh": thresholds}))
    assert cause.name == "parameter" and cause.details["parameter"] == "v_thresh" and cause.details["neurons"] == [7]


@pytest.mark.parametrize("factor", [0.5, 2.0, 1.3])
@pytest.mark.parametrize("plastic", [False, True])
def test_weights_times_a_number_are_weights(factor, plastic):
    network = small()
    if plastic:
        network = with_projections(network, lambda p: replace(p, plasticity=RULE))
    cause = concealed(network, times(network, factor))
    assert cause.name == "weights" and cause.details["projection"] == "to cells"
    assert cause.details["factor"] == pytest.approx(factor, rel=0.01)


def test_a_plastic_weight_that_began_otherwise_is_told_with_its_synapse():
    network = with_projections(small(), lambda p: replace(p, plasticity=RULE))
    wiring = network.projection("to cells").connections
    weight = wiring.weight.copy()
    weight[17] *= 0.5
    changed = with_projections(network, lambda p: replace(p, connections=replace(wiring, weight=weight)))
    cause = concealed(network, changed)
    assert cause.name == "weights"
    assert (cause.details["pre"], cause.details["post"]) == (wiring.pre[17], wiring.post[17])


def test_what_networks_declare_differently_is_the_cause_and_two_of_it_are_none():
    network = small()
    other = with_cell(network, tau_m=11.0)
    cause = compare(causes.recorded(network), causes.recorded(other)).cause
    assert cause.name == "parameter" and "tau_m of population cells is 10 in A and 11 in B" in cause.evidence
    assert (cause.details["a"], cause.details["b"]) == (10.0, 11.0)
    cause = compare(causes.recorded(network), causes.recorded(times(other, 2.0))).cause
    assert cause.name == "not told" and cause.evidence.startswith("parameter or weights: tau_m of population cells")
    hidden = replace(causes.recorded(times(other, 2.0)), network=other, weights={})
    cause = compare(replace(causes.recorded(network), weights={}), hidden).cause
    assert cause.name == "not told" and "that is not all: B is not what" in cause.evidence


def test_one_synapse_that_is_late_is_told_from_its_projection():
    network = small()
    wiring = network.projection("to cells").connections
    delay = wiring.delay.copy()
    delay[20] += 1
    changed = ConnectionList(wiring.pre, wiring.post, wiring.weight, delay)
    cause = concealed(network, with_projections(network, lambda p: replace(p, connections=changed)))
    assert cause.name == "delay" and cause.details["steps"] == 1
    assert (cause.details["pre"], cause.details["post"]) == (wiring.pre[20], wiring.post[20])


def test_solutions_are_all_of_them_and_shortest_is_inside():
    def residuals(values):
        return (values[:, None] * np.array([3, 5]) // 70) - np.array([1234 * 3 // 70, 1234 * 5 // 70])

    right = [n for n in range(5000) if not residuals(np.array([n])).any()]
    assert solutions(residuals, 4, 0, 1 << 30) == (right[0], right[-1]) and len(right) > 1
    assert solutions(lambda values: values[:, None] * 2 - 7, 0, 0, 1 << 30) is None
    assert shortest(round(12.009 * 32768), round(12.0101 * 32768)) == 12.01
