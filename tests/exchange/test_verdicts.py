"""Verdicts on the nodes of a graph: the grade of each and of all, and how they are told."""

import json

import numpy as np
import pytest

from spikingconvnet.errors import NetworkError
from spikingconvnet.exchange.building import _note
from spikingconvnet.exchange.verdicts import Ledger, Refused, Report, Verdict


def report():
    ledger = Ledger()
    ledger.said["b"] = "a source"
    ledger.note("c", "one")
    ledger.note("c", "two")
    ledger.said["c"] = "a population"
    ledger.steps["d"], ledger.mv["e"] = 0.25, 0.125
    ledger.refuse("f", "its tau is 0", "raise it")
    ledger.refuse("f", "and more", "never told")
    ledger.note("f", "rounded, too")
    return ledger.report((name, "LIF") for name in "abcdef")


def test_a_node_is_exact_unless_something_was_noted_of_it():
    grades = {verdict.node: verdict.grade for verdict in report().verdicts}
    assert grades == dict(zip("abcdef", ["exact", "exact", "rounded", "rounded", "rounded", "refused"]))
    assert report().of("c").text == "a population; one; two"
    assert report().of("f") == Verdict("f", "LIF", "refused", "its tau is 0", "raise it")


@pytest.mark.parametrize("names, grade", [("ab", "exact"), ("", "exact"), ("abc", "rounded"), ("abcdef", "refused")])
def test_the_worst_grade_is_that_of_all(names, grade):
    assert Report(tuple(report().of(name) for name in names)).grade == grade


def test_weights_that_round_to_0_and_those_that_wrap_are_counted():
    raw = np.array([0.0, 0.4, 0.6, 65535.4, 65535.6])
    ledger = Ledger()
    _note("n", raw, abs(raw - np.rint(raw)), ledger)
    assert ledger.rounded == {"n": ["1 of 5 weights round to 0", "1 of 5 weights wrap in 16 bits"]}
    assert ledger.steps["n"] == pytest.approx(0.4)
    _note("n", raw[:1], np.zeros(1), ledger)
    assert len(ledger.rounded["n"]) == 2 and ledger.steps["n"] == pytest.approx(0.4)


def test_how_verdicts_are_told():
    assert str(report()).splitlines() == [
        "exact    a (LIF)", "exact    b (LIF): a source", "rounded  c (LIF): a population; one; two",
        "rounded  d (LIF): weights within 0.25 steps of 16 bits", "rounded  e (LIF): membrane within 0.12 mV a step",
        "refused  f (LIF): its tau is 0; raise it"]
    told = json.loads(json.dumps(report().as_dict()))
    assert told["grade"] == "refused" and told["nodes"][3] == {
        "node": "d", "kind": "LIF", "grade": "rounded", "text": "", "change": "", "weight_steps": 0.25, "mv": 0.0}


def test_what_is_refused_is_an_error_that_names_every_node():
    both = (*report().verdicts, Verdict("g", "IF", "refused", "it is odd"))
    with pytest.raises(NetworkError) as error:
        Report(both).require_all()
    assert str(error.value) == ("the graph cannot be a network: f (LIF): its tau is 0; raise it | g (IF): it is odd")
    Report(tuple(report().of(name) for name in "abcde")).require_all()
    with pytest.raises(NetworkError, match="no node 'x'; there are a, b, c, d, e, f"):
        report().of("x")
    assert (str(Refused("why", "what")), Refused("why", "what").change) == ("why; what", "what")
