"""What is said of a difference and its causes, and which of several causes is chosen: by made-up cases."""

import json
import math
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
from faulty import recorded
from hypothesis import given
from hypothesis import strategies as st
from test_differences import STEPS, small

from spikingconvnet.compare import causes, declared, delays, differences, explained, parameters
from spikingconvnet.compare.differences import Comparison, Count, Difference, as_dict, as_text, where
from spikingconvnet.compare.explained import NOT_TOLD, Cause
from spikingconvnet.compare.recorded import Recorded
from spikingconvnet.network.spikes import Spikes


@pytest.fixture(scope="module")
def made():
    """A recording of two samples of 40 steps, of neurons in rows of a map and of a source."""
    how = {"made_on": "local", "seed": 3, "shown": "noise", "version": "1.2"}
    return replace(recorded(small(core=4), STEPS), how=how)


V = Difference(5, "cells", 3, "v", 32768, 32770)


@pytest.mark.parametrize("first, words", [
    (V, "step 5 (sample 0, step 5), population cells, neuron 3 (map 0, row 0, column 3), V: A 1.00000, B 1.00006"
        " mV (+2 in the last place)"),
    (Difference(45, "cells", 7, "gsyn_exc", 16384, 0), "step 45 (sample 1, step 5), population cells, neuron 7 (map 1,"
        " row 0, column 3), excitatory current: A 0.50000, B 0.00000 nA (-16384 in the last place)"),
    (Difference(1, "in", 2, "spikes", 1, 0), "step 1 (sample 0, step 1), population in, neuron 2"
        " (map 0, row 0, column 2): A fires 1 times, B 0"),
    (Difference(0, "cells", 4, "weights", 7, 8, "to cells", 2), "from the start, projection to cells, weight of neuron"
        " 2 to neuron 4 (map 1, row 0, column 0): A 7, B 8 (16 bits)"),
    (Difference(80, "cells", 4, "weights", 7, 8, "to cells", 2), "at the end, projection to cells, weight of neuron 2"
        " to neuron 4 (map 1, row 0, column 0): A 7, B 8 (16 bits)")])
def test_a_difference_says_where_it_is(made, first, words):
    assert where(first, made) == words


def test_a_population_without_maps_and_one_sample_is_said_shortly(made):
    spikes = Spikes.empty((3, 1, 1), 1, 80)
    network = SimpleNamespace(population=lambda label: SimpleNamespace(shape=(3, 1, 1)))
    recorded = Recorded(network, 80, {"out": spikes})
    assert where(Difference(1234, "out", 2, "spikes", 0, 3), recorded) == (
        "step 1,234, population out, neuron 2: A fires 0 times, B 3")


def test_a_comparison_is_json_and_a_few_lines(made):
    counts = {"v": Count(12_000, 3, 2, 12, 2, 80, 40_000), "spikes": Count(80, 0, 0, 18, 0, 80, 0)}
    cause = Cause("rounding", "by a bit", {"largest": 1})
    for first, why in ((None, None), (V, cause), (V, Cause(NOT_TOLD, "little is known"))):
        found = json.loads(json.dumps(as_dict(Comparison(first, counts, why), made, made)))
        assert found["identical"] == (first is None) and found["a"] == found["b"] == made.how
        assert found["first"] == (first and asdict(first)) and found["cause"] == (why and asdict(why))
        assert found["counts"]["v"] == asdict(counts["v"])
        lines = as_text(Comparison(first, counts, why), made, made).splitlines()
        assert lines[:3] == ["A: local, shown noise, seed 3, version 1.2", "B: local, shown noise, seed 3, version 1.2",
                             "compared: 80 steps, 12,000 values of V, 80 spikes"]
        if first is None:
            assert lines[3:] == ["identical"]
            continue
        assert lines[3] == f"first difference: {where(first, made)}"
        told = "cause: rounding: by a bit" if why is cause else "cause not told: little is known"
        assert lines[-2:] == [told, f"next: {why.advice}"]


@pytest.mark.parametrize("later, words", [(1, "1 step later"), (-1, "1 step earlier"), (3, "3 steps later"),
                                          (-2, "2 steps earlier")])
def test_steps_are_said_as_one_says_them(later, words):
    assert delays._steps(later) == words


def case(places=20, deviant="B"):
    return SimpleNamespace(deviant=deviant, off=[SimpleNamespace(places=places)])


def lost(n, name="lost packet"):
    return Cause(name, f"{n} {name}s", {"lost": list(range(n))})


ROUNDED, WEIGHT, DELAY = (Cause(name, f"a {name}", {"n": name}) for name in ("rounding", "weights", "delay"))


@pytest.mark.parametrize("found, places, chosen", [
    ([WEIGHT], 20, WEIGHT), ([ROUNDED], 20, ROUNDED), ([ROUNDED, WEIGHT], 8, WEIGHT),
    ([ROUNDED, WEIGHT], 7, NOT_TOLD),               # too few places to know
    ([lost(2)], 20, "lost packet"), ([lost(2), lost(6, "late packet")], 20, "lost packet"),      # three times as many
    ([lost(2), lost(7, "late packet")], 20, "lost packet"),
    ([lost(2), lost(5, "late packet")], 20, NOT_TOLD), ([lost(5), WEIGHT], 20, NOT_TOLD),
    ([lost(6), WEIGHT], 20, WEIGHT), ([WEIGHT, DELAY], 20, NOT_TOLD), ([Cause(NOT_TOLD, "few")], 20, NOT_TOLD)])
def test_one_cause_is_chosen_or_none(found, places, chosen):
    result = causes._chosen(case(places), found)
    assert result.name == (chosen if isinstance(chosen, str) else chosen.name)
    if isinstance(chosen, Cause):
        assert result is chosen


def test_rounding_is_left_out_only_if_one_side_is_known_to_deviate():
    assert causes._chosen(case(deviant=None), [ROUNDED, WEIGHT]).name == NOT_TOLD


def test_what_is_said_of_several_causes():
    both = causes._chosen(case(), [WEIGHT, DELAY])
    assert both.evidence == "weights or delay, each of which would explain it: a weights; or: a delay"
    assert both.details == {"or": [{"name": "weights", "n": "weights"}, {"name": "delay", "n": "delay"}]}
    again = causes._chosen(case(), [DELAY, Cause("delay", "another", {"n": 2})])
    assert again == Cause("delay", "a delay; or: another", {"n": "delay", "or": [{"n": 2}]})
    accident = causes._chosen(case(), [Cause(NOT_TOLD, "tau_plus is 3")])
    assert accident.evidence == "too few numbers differ: tau_plus is 3, but that may be by accident"
    with_rule = causes._chosen(case(), [WEIGHT, Cause(NOT_TOLD, "tau_plus is 3", {"n": 1})])
    assert with_rule.evidence.startswith("weights or parameter, each of which")


@pytest.mark.parametrize("parts, follows, how, name, text, details", [
    ([WEIGHT], {"A": True, "B": True}, "local", "weights", "a weights; each recording is exactly what its own network"
     " gives", {"n": "weights"}),
    ([WEIGHT, Cause("weights", "another", {"n": 2})], {"A": True, "B": True}, "local", "weights", "a weights; another;"
     " each recording is exactly what its own network gives", {"n": "weights", "differ": [{"n": "weights"}, {"n": 2}]}),
    ([WEIGHT, DELAY], {"A": True, "B": True}, "local", NOT_TOLD, "weights or delay: a weights; a delay",
     {"differ": [{"name": "weights", "n": "weights"}, {"name": "delay", "n": "delay"}]}),
    ([WEIGHT], {"A": True, "B": False}, "local", NOT_TOLD, "a weights; but that is not all: B is not what the own"
     " network gives either", {"differ": [{"name": "weights", "n": "weights"}]}),
    ([WEIGHT], {"A": False, "B": False}, "local", NOT_TOLD, "a weights; but that is not all: A and B are not what the"
     " own network gives either", {"differ": [{"name": "weights", "n": "weights"}]}),
    ([WEIGHT], {"A": False, "B": False}, min(explained.CONTINUOUS), "weights", "a weights", {"n": "weights"})])
def test_what_networks_say_differently_is_judged(parts, follows, how, name, text, details):
    sides = {side: SimpleNamespace(how={"made_on": how}) for side in follows}
    found = declared.judged(SimpleNamespace(sides=sides, follows=follows), parts)
    assert (found.name, found.evidence, found.details) == (name, text, details)


def test_many_differences_of_networks_are_counted():
    sides = {side: SimpleNamespace(how={}) for side in "AB"}
    parts = [Cause("weights", f"w{n}") for n in range(declared.MOST_NAMED + 2)]
    found = declared.judged(SimpleNamespace(sides=sides, follows=dict.fromkeys(sides, True)), parts)
    assert f"w{declared.MOST_NAMED - 1}; and 2 more; each" in found.evidence


@given(st.floats(-50, 50), st.floats(0, 3))
def test_numbers_inside_a_span_are_tried_by_their_decimals(low, width):
    span = low, low + width
    found = parameters._tried(span)
    assert len(found) == len(set(found)) and {*span, sum(span) / 2} <= set(found)
    assert all(span[0] - 1e-9 <= value <= span[1] + 1e-9 for value in found)
    expected = []
    for n in range(7):
        first, last = math.ceil(span[0] * 10 ** n), math.floor(span[1] * 10 ** n)
        if last - first < parameters.MOST_DECIMALS:
            expected += [round(k / 10 ** n, n) for k in range(first, last + 1)]
    assert found[:len(set(expected))] == list(dict.fromkeys(expected)) and parameters._tried(None) == []


def test_the_same_weights_are_those_of_every_projection_that_learns():
    known = {"a": np.array([1, 2]), "b": np.array([3])}
    projections = [SimpleNamespace(label=label, learns=label != "static") for label in ("a", "b", "static", "untold")]

    def same(**recorded):
        simulation = SimpleNamespace(weights=lambda label: SimpleNamespace(raw=known.get(label)))
        return explained._learned_the_same(simulation, SimpleNamespace(
            network=SimpleNamespace(projections=projections), weights=recorded))

    assert same(a=np.array([1, 2]), b=np.array([3]), static=np.array([9])) and same(a=np.array([1, 2])) and same()
    assert not same(a=np.array([1, 3])) and not same(a=np.array([1, 2]), b=np.array([4]))
    assert not same(untold=np.array([1]))               # the engine does not tell them


def test_the_same_spikes_are_the_same_neurons_in_the_same_steps():
    z = np.zeros(2, int)
    one, other, later = (Spikes.from_events(z, np.array(n), np.array(t), (1, 1, 3), 1, 9)
                         for n, t in (([0, 1], [2, 3]), ([0, 2], [2, 3]), ([0, 1], [2, 4])))
    assert explained._same_spikes(one, one)
    assert not explained._same_spikes(one, other) and not explained._same_spikes(one, later)
    assert differences.VARIABLES[:3] == ("v", "gsyn_exc", "gsyn_inh")
