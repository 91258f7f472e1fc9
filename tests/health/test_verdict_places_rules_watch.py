"""Verdicts on numbers that are made up: each rule at its limit, what several tell, places, and who hears of it.

Findings are in ``golden/verdicts.json``. After a change that is meant:

    PYTHONPATH=. python tests/health/test_verdict_places_rules_watch.py
"""

import json
import logging
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from spikingconvnet.backends.spinnaker.provenance import CORE, ROUTER, SETUP, TRANSFER, Core, Provenance, Reading
from spikingconvnet.errors import BackendError, HealthError, SettingsError
from spikingconvnet.health import places, silence, verdict
from spikingconvnet.health.rules import DERIVED, ENGINE, INVALID, NOTE, REMARK, RULES, SUSPECT
from spikingconvnet.health.verdict import Finding, Health, judge, merge
from spikingconvnet.health.watch import Watch
from spikingconvnet.model.readouts import Membrane, SpikeCount

GOLDEN = Path(__file__).parents[1] / "golden" / "verdicts.json"
KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
ROUTERS = ("Dropped_Multicast_Packets", "Received_For_Reinjection", "Missed_For_Reinjection", "Reinjection_Overflows",
           "Reinjected")
CORES = tuple(Core(x, 0, p, f"layer{p}", 10 * p, 10 * p + 9) for x in (0, 1) for p in (1, 2))


def core(item, value, p=1, x=0, **more):
    return Reading(CORE, item, value, x, 0, p, **{"times": 2, **more})


def router(item, value, x=0, **more):
    return Reading(ROUTER, item, value, x, 0, **{"times": 2, **more})


def told(*readings, cores=CORES[:1], chips=((0, 0),), ends=(80, 160), **more):
    """A judged provenance, of a machine on which all else is well."""
    well = [core("x", 0, one.p, one.x) for one in cores] + [router("Dropped_Multicast_Packets", 0, x) for x, _ in chips]
    items = {(r.table, r.item, r.x, r.p) for r in readings}
    well = [Reading(r.table, "Sent_SDP_Packets" if r.table == CORE else r.item, r.value, r.x, r.y, r.p, times=2)
            for r in well if (r.table, r.item, r.x, r.p) not in items]
    return judge(Provenance(readings=(*well, *readings), cores=cores, chips=chips, ends=ends, **more))


def of_rule(rule):
    """What is found at a rule's limit, one above it, and of three places."""
    if rule.table == DERIVED:
        readings = [Reading(DERIVED, rule.item, 2, 0, 0, 1), Reading(DERIVED, rule.item, 5, 1, 0, 3)]
        found = verdict._finding(rule, readings, Provenance(cores=CORES, ends=(80,), time_scale=3))
        return [str(found), found.value]
    item = "a remark" if rule.table == REMARK else rule.item
    beside = [core(rule.beside, 0)] if rule.beside else []
    lines = []
    for values in ((rule.above,), (rule.above + 1,), (rule.above + 2, rule.above + 5, 3, 4)):
        readings = [Reading(rule.table, item, value, k, 0, None if rule.table in (ROUTER, TRANSFER) else 1, times=2,
                            run=k % 2) for k, value in enumerate(values)]
        lines.append(list(map(str, told(*beside, *readings, time_scale=2).findings)))
    return lines


SEVERAL = {
    "nothing said": lambda: judge(Provenance()), "well": told, "well, one run": lambda: told(ends=(80,)),
    "failed": lambda: told(failure="it broke", states=((0, 0, 1, "RTE"), (1, 0, 2, "WDOG")), said=((0, 0, 1, "oh"),)),
    "failed for memory": lambda: told(failure="it broke", states=((0, 0, 1, "RTE"),), said=(
        (0, 0, 1, "Out of memory"), (0, 0, 1, "more"), (1, 1, 1, "other"))),
    "failed without states": lambda: judge(Provenance(failure="it broke")),
    "time scale": lambda: told(Reading(SETUP, "time_scale_factor", 3), time_scale=2),
    "time scale, right": lambda: told(Reading(SETUP, "time_scale_factor", 2), time_scale=2),
    "time scale, unasked": lambda: told(Reading(SETUP, "time_scale_factor", 2)),
    "silent core": lambda: told(cores=CORES, chips=((0, 0), (1, 0))),
    "silent cores": lambda: judge(Provenance((core("Sent_SDP_Packets", 1, times=1), router("x_", 0)), cores=CORES,
                                               chips=((0, 0), (1, 0)), ends=(1, 2))),
    "silent router": lambda: judge(Provenance((core("Sent_SDP_Packets", 1), router("Reinjected", 0)), cores=CORES[:1],
                                              chips=((0, 0),), ends=(1, 2))),
    "read once": lambda: judge(Provenance((core("Sent_SDP_Packets", 1, times=1),), cores=CORES[:1], ends=())),
    **{f"last step {step}": lambda step=step: told(core("Last_timer_tic_the_core_ran_to", step)) for step in (
        159, 160, 161)},
    **{f"sent {n} of 7": lambda n=n: told(core("Send_multicast_packets", n), cores=(
        Core(0, 0, 1, "in", 0, 9, given=7),)) for n in (6, 7, 9)},
    "sent by neurons": lambda: told(core("Send_multicast_packets", 5)),
    **{f"delays {received} {added}": lambda received=received, added=added: told(
        core("Number_of_packets_received", received), core("Number_of_packets_processed", 5),
        core("Number_of_packets_added_to_delay_slot", added)) for received, added in ((5, 5), (7, 5), (5, 4))},
    "skipped": lambda: told(core("Skipped synapses", 4)),
    **{f"skipped on a silent core, {late} late": lambda late=late: told(
        core("Skipped synapses", 4), core("Late spikes", late), cores=(Core(0, 0, 1, "a", 0, 9, silent=True),))
       for late in (0, 1)},
    **{f"dropped {', '.join(map(str, counts))}": lambda counts=counts: told(*(
        router(item, value, run=1) for item, value in zip(ROUTERS, counts))) for counts in (
            (0, 0, 0, 0, 0), (5, 5, 0, 0, 5), (6, 5, 0, 0, 5), (6, 5, 1, 0, 5), (5, 5, 0, 1, 4), (5, 5, 0, 0, 3))},
    "engine": lambda: told(counters={"a b": {rule.item: 3 for rule in RULES if rule.table == ENGINE} | {"other": 1}}),
    "engine, none": lambda: told(counters={"a b": {rule.item: 0 for rule in RULES if rule.table == ENGINE}}),
    "remarks": lambda: told(messages=("The DMA queue for 1", "something new", "something else")),
    "unknown": lambda: told(core("brand new", 2), core("brand new", 0, 2), Reading(TRANSFER, "brand new", 2, 0, 0)),
    "unknown, in words": lambda: told(core("brand new", 2, between="a to b"),
                                      Reading("connector", "new", 1, between="a")),
    "places": lambda: told(*(core("Times_the_timer_tic_over_ran", k + 1, k + 1, run=1 - k % 2) for k in range(5))),
    "earlier": lambda: judge(Provenance((core("brand new", 2, times=1),), cores=CORES[:1], ends=(9,), earlier=(
        Provenance((core("brand new", 5, times=1), core("older", 1, times=1)), cores=CORES, ends=(8, 9)),))),
}


def of_health(found):
    text = json.dumps(found.as_dict(), default=list)
    return [str(found), *map(str, found.findings), zlib.crc32(text.encode())]


MADE = {**{f"rule {k}: {rule.name}": lambda rule=rule: of_rule(rule) for k, rule in enumerate(RULES)},
        **{name: lambda make=make: of_health(make()) for name, make in SEVERAL.items()}}


@pytest.mark.parametrize("name", MADE)
def test_the_verdict_is_what_it_was(name):
    assert json.loads(json.dumps(MADE[name]())) == KEPT[name]


# ---------------------------------------------------------------- places


def test_counters_are_named_by_chip_and_core():
    readings = (core("Times_the_timer_tic_over_ran", 3), core("Late spikes", 2), core("Number_of_late_spikes", 5),
                core("Late spikes", 0, 2), router("Local_Multicast_Packets", 7),
                router("External_Multicast_Packets", 4),
                Reading(TRANSFER, "Reinjected", 9, 0, 0))
    found = places.chips(Provenance(readings, cores=CORES[::-1]))
    assert [(one["x"], one["y"], one["router"]) for one in found] == [(0, 0, {"packets": 11}), (1, 0, {})]
    assert [one["p"] for one in found[0]["cores"]] == [1, 2]
    assert found[0]["cores"][0] == {"p": 1, "population": "layer1", "first": 10, "last": 19,
                                    "counts": {"late": 7, "steps overrun": 3}}
    assert found[0]["cores"][1]["counts"] == {}


def chips(late, entries, n=1, label="a"):
    core_ = {"p": 1, "population": label, "first": 0, "last": 9, "counts": {"late": late} if late else {}}
    return tuple({"x": x, "y": 0, "router": {"routing entries": entries}, "cores": [core_]} for x in range(n))


def test_counters_of_the_largest_network_are_added_up_and_largest_ones_are_not():
    assert places.together([]) == ()
    assert places.together([chips(2, 5), chips(3, 4)]) == chips(5, 5)
    assert places.together([chips(2, 5, 2), chips(3, 4), chips(0, 9, 2)]) == chips(2, 9, 2)
    assert places.together([chips(2, 5), chips(3, 4, label="b")]) == chips(2, 5)


# ---------------------------------------------------------------- findings, and who hears of them


def finding(severity, name="x", value=1, **more):
    return Finding(name, severity, f"cause {value}", "a fix", "source", value, **more)


def test_a_finding_and_a_health_in_words():
    assert str(finding(NOTE)) == "note: cause 1; a fix"
    assert str(finding(INVALID, where=("a", "b"), places=2, steps=(0, 8))) == (
        "invalid: cause 1; at a, b; first in steps 0 to 8; a fix")
    assert "at a, b and 1 more;" in str(finding(INVALID, where=("a", "b"), places=3))
    assert str(Health()) == "valid (runs: 0, cores: 0)" and str(Health((finding(SUSPECT),), 2, 3)) == (
        "suspect (runs: 2, cores: 3)")


def test_healths_are_merged_with_what_they_share_once():
    one = Health((finding(SUSPECT, value=4), finding(INVALID, "y")), 2, 3, chips(1, 1))
    two = Health((finding(SUSPECT, value=9),), 1, 5, chips(2, 1))
    found = merge([one, two])
    assert [(f.name, f.value, f.cause) for f in found.findings] == [("y", 1, "cause 1"), ("x", 9, "cause 4")]
    assert (found.runs, found.cores, found.chips, found.verdict) == (3, 5, chips(3, 1), "invalid")
    assert merge([]) == Health()
    order = [finding(severity, name) for name in ("zz", RULES[-1].name, RULES[0].name) for severity in (
        NOTE, INVALID, SUSPECT)]
    assert [(f.severity, f.name) for f in verdict._sorted(order)] == [
        (severity, name) for severity in (INVALID, SUSPECT, NOTE) for name in (RULES[0].name, RULES[-1].name, "zz")]


class Simulation:
    def __init__(self, provenance, error=None):
        self.provenance, self.error, self.closed = provenance, error, False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True


BAD = Provenance(failure="it broke")


def test_a_watch_judges_at_the_end_and_refuses_what_is_invalid(caplog):
    caplog.set_level(logging.INFO)
    watch = Watch("layer 1")
    assert watch.settle() == {} and not watch.force
    for provenance in (None, Provenance((core("Sent_SDP_Packets", 1, times=1),), cores=CORES[:1], ends=(9,))):
        simulation = Simulation(provenance)
        with watch.open(simulation) as opened:
            assert opened is simulation
        assert simulation.closed
    assert watch.settle()["runs"] == 1 and [r.levelname for r in caplog.records] == ["INFO"]
    assert caplog.messages == ["layer 1 on the board: valid (runs: 1, cores: 1)"]
    watch.see(BAD)
    with pytest.raises(HealthError, match="layer 1: the run is invalid, so nothing of it is .*; invalid: .*--force"):
        watch.settle()
    forced = Watch("layer 1", True)
    forced.see(BAD)
    assert forced.settle()["verdict"] == "invalid" and caplog.records[-1].levelname == "WARNING"


@pytest.mark.parametrize("provenance, heard", [
    (None, False), (Provenance(), False), (BAD, False), (Provenance(messages=("x",)), True),
    (Provenance(states=((0, 0, 1, "RTE"),)), True), (Provenance((core("x", 1),)), True)])
def test_what_a_machine_has_said_of_a_run_that_fails_is_told(caplog, provenance, heard):
    caplog.set_level(logging.INFO)
    error = BackendError("broken")
    error.provenance = provenance
    with pytest.raises(BackendError), Watch("x").failures():
        raise error
    assert bool(caplog.messages) == heard


# ---------------------------------------------------------------- silence


@pytest.mark.parametrize("readout, output, refused", [
    (SpikeCount(), [[0, 0]], True), (SpikeCount(), [[0, 1]], False), (SpikeCount(), np.zeros((0, 2)), False),
    (Membrane(), [[0, 0]], False)])
def test_answers_without_a_spike_are_refused(readout, output, refused):
    model = SimpleNamespace(readout=readout)
    if not refused:
        silence.check_counted(model, np.array(output), "5 images", "go")
        return
    with pytest.raises(SettingsError, match="not one spike of any of 5 images falls into these steps; .* then run: go"):
        silence.check_counted(model, np.array(output), "5 images", "go")


@pytest.mark.parametrize("fired, readout, number", [((0, 1, 1), SpikeCount(), 1), ((1, 0, 0), SpikeCount(), 2),
                                                    ((1, 1, 0), SpikeCount(), 3), ((1, 1, 0), Membrane(), None),
                                                    ((1, 0, 0), Membrane(), 2), ((1, 1, 1), SpikeCount(), None)])
def test_the_first_silent_layer_is_told(monkeypatch, fired, readout, number):
    stages = [SimpleNamespace(label=f"layer{k}", number=k) for k in (1, 2, 3)]
    asked = []
    monkeypatch.setattr(silence, "error", lambda *given: asked.append(given) or HealthError("silent"))
    model = SimpleNamespace(stages=stages, readout=readout)
    counts = {stage.label: n for stage, n in zip(stages, fired)}
    if number is None:
        silence.check_chain(model, "abc", "spikes", counts, "images", "go", True)
        assert not asked
        return
    with pytest.raises(HealthError):
        silence.check_chain(model, "abc", "spikes", counts, "images", "go", True)
    assert asked == [(stages[:number], "abc"[:number], "spikes", "images", "go", True)]


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps({name: make() for name, make in MADE.items()}, indent=0, ensure_ascii=False) + "\n")
