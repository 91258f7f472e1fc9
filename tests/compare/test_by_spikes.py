"""Packets that spikes alone tell of: the one that was put in is named, or none; what is no packet never is."""

from dataclasses import replace

import causes as benchmark
import numpy as np
import pytest
from faulty import recorded
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_differences import STEPS, small

from spikingconvnet.compare.differences import compare
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism

FATES = {"lost packet": (), "doubled packet": (0, 0), "late packet": (1,), "2 steps late packet": (2,)}


def cause_of(network, fault=lambda simulation: None):
    """Of the difference that a fault makes, and how many spikes differ."""
    a, b = (recorded(network, STEPS, *way, neurons={}) for way in ((), (fault,)))
    found = compare(a, b)
    return found.cause, found.counts["spikes"].differ


def packets_of(told):
    """(neuron, step) of all packets that the details of a cause name, wherever they stand in it."""
    if isinstance(told, list):
        return {packet for one in told for packet in packets_of(one)}
    if not isinstance(told, dict):
        return set()
    return {(told["neuron"], told["step"])} if {"neuron", "step"} <= set(told) else packets_of(list(told.values()))


@pytest.mark.parametrize("fate", FATES)
@settings(max_examples=4)
@given(st.integers(0, 10_000))
def test_a_packet_is_found_by_what_the_neurons_fire(fate, seed):
    network = small(n=12, core=6, spikes_per_step=1.0, seed=seed, v_thresh=2.0)
    spikes = network.population("in").given_spikes
    event = np.random.default_rng(seed).integers(spikes.n_events)
    packet = int(spikes.neurons[event]), int(spikes.steps()[event])

    def fault(simulation):
        if FATES[fate]:
            simulation.repeat("in", *packet, FATES[fate])
        else:
            simulation.drop("in", *packet)

    cause, differ = cause_of(network, fault)
    assume(differ >= 8)
    assert cause.name in (fate.removeprefix("2 steps "), "not told") and packet in packets_of(cause.details), cause


def test_one_core_alone_may_lack_it():
    network = small(n=12, core=6, spikes_per_step=1.0, v_thresh=2.0)
    spikes = network.population("in").given_spikes
    for event in range(spikes.n_events):
        packet = int(spikes.neurons[event]), int(spikes.steps()[event])
        cause, differ = cause_of(network, lambda simulation, packet=packet: simulation.drop("in", *packet, 1))
        if differ >= 5:
            break
    assert cause.name == "lost packet" and cause.details["lost"][0]["cores"] == [1]
    assert "on its way to core 1 of population cells (neurons 6 to 11): what was fired is what follows without it" in (
        cause.evidence)


def test_too_few_spikes_are_no_proof():
    network = small(n=12, core=6, spikes_per_step=1.0, v_thresh=2.0)
    spikes = network.population("in").given_spikes
    for event in range(spikes.n_events):
        packet = int(spikes.neurons[event]), int(spikes.steps()[event])
        cause, differ = cause_of(network, lambda simulation, packet=packet: simulation.drop("in", *packet, 0))
        if differ in (1, 2):
            break
    assert cause.name == "not told" and "that may be by accident" in cause.evidence
    assert "the spike of neuron {} of population in in step {} ".format(*packet) in cause.evidence


def test_a_network_that_learns_tells_of_no_packet():
    network = small(spikes_per_step=1.0, v_thresh=2.0)
    rule = STDPMechanism(SpikePairRule(15.0, 20.0, 0.02, 0.03), AdditiveWeightDependence(0.0, 3.0))
    network = replace(network, projections=tuple(replace(p, plasticity=rule) for p in network.projections))
    spikes = network.population("in").given_spikes
    cause, differ = cause_of(network, lambda simulation: simulation.drop("in", int(spikes.neurons[20]),
                                                                         int(spikes.steps()[20])))
    assert differ and cause.name == "not told" and "no membranes were recorded" in cause.evidence


@pytest.mark.parametrize("kind", ["tau_m", "v_thresh", "i_offset", "weights scaled", "one weight", "delay of synapse",
                                  "spike moved", "lost on one core", "order of packets"])
def test_what_is_no_packet_is_never_told_as_one(kind):
    found, details = benchmark.manipulated(kind, 11, spikes_alone=True)
    assert benchmark.verdict(kind, found, details) != "wrong", found.cause
