"""Run directories and recordings compared piece by piece: places, orders, causes, commands and what is refused."""

from dataclasses import replace
from types import SimpleNamespace

import causes as benchmark
import numpy as np
import pytest
from made_pairs import few, in_parts
from test_differences import small

from spikingconvnet.backends.local import simulator
from spikingconvnet.compare import recorder, runs
from spikingconvnet.compare.differences import _steps, check_same, counted
from spikingconvnet.compare.explained import NOT_TOLD, Cause
from spikingconvnet.compare.runs import ArrayDifference, RunComparison, as_dict, as_text
from spikingconvnet.errors import NetworkError, StoreError
from spikingconvnet.network.spikes import Spikes


def test_results_come_in_the_order_of_the_pipeline():
    names = ["svm", "features/test-000", "features/train-000", "spikes/2-test-000", "spikes/1-train-000",
             "spikes/1-test-000", "layers/2", "layers/1", "data/test", "data/train", "data/validation",
             "features/validation-000", "spikes/1-train-001", "layers/10"]
    assert sorted(names, key=runs._place) == [
        "data/train", "data/validation", "data/test", "layers/1", "spikes/1-train-000", "spikes/1-train-001",
        "spikes/1-test-000", "layers/2", "spikes/2-test-000", "layers/10", "features/train-000",
        "features/validation-000", "features/test-000", "svm"]
    assert [runs._place(name) for name in ("data/test", "layers/3", "spikes/2-validation-000", "svm")] == [
        (0, 0, False, 2, "data/test"), (1, 3, False, 0, "layers/3"), (1, 2, True, 1, "spikes/2-validation-000"),
        (3, 0, False, 0, "svm")]


def test_arrays_of_a_layer_that_differ_come_by_chunk_between_beginning_and_end():
    ours = {name: np.zeros((4, 2)) for name in ("initial", "thresholds", "wins", "mean_weight", "learned", "v_thresh")}
    theirs = {name: values.copy() for name, values in ours.items()}
    for name, chunk in (("thresholds", 3), ("wins", 1), ("mean_weight", 2), ("learned", 0), ("v_thresh", 1),
                        ("initial", 2)):
        theirs[name][chunk, 1] = 5
    found = list(runs._differences("layers/1", ours, theirs))
    assert [(one.array, one.place) for one in found] == [
        ("initial", "filter 2, channel 1"), ("wins", "chunk 1, entry 1"), ("mean_weight", "chunk 2, entry 1"),
        ("thresholds", "chunk 3, entry 1"), ("learned", "filter 0, channel 1"), ("v_thresh", "map 1")]
    assert found[0] == ArrayDifference("layers/1", "initial", "filter 2, channel 1", 0.0, 5.0, 1, 8)
    theirs["initial"] = ours["initial"]
    assert next(runs._differences("layers/1", ours, theirs)).array == "wins"
    assert list(runs._differences("layers/1", ours, ours)) == []


@pytest.mark.parametrize("ours, theirs, found", [
    ([[1, 2], [3, 4]], [[1, 9], [8, 4]], ((0, 1), "image 0, feature 1", 2, 9, 2, 4)),
    ([[1, 2], [3, 4]], [[1, 2], [3, 5]], ((1, 1), "image 1, feature 1", 4, 5, 1, 4))])
def test_the_first_entry_is_told_with_its_place(ours, theirs, found):
    assert runs._first(np.array(ours), np.array(theirs), ("image", "feature")) == found


def test_lists_of_spikes_may_be_of_any_length_and_nothing_else():
    ours, theirs = {"counts": np.array([1, 2])}, {"counts": np.array([1, 2, 0])}
    assert [one.place for one in runs._differences("spikes/1-test-000", ours, theirs)] == ["step 2"]
    with pytest.raises(StoreError, match=r"features/a: counts has the shape \(1, 2\) in A and \(1, 3\) in B; they"):
        list(runs._differences("features/a", {"counts": np.ones((1, 2))}, {"counts": np.ones((1, 3))}))
    with pytest.raises(StoreError, match=r"svm: intercepts has the shape \(2,\) in A and \(3,\) in B"):
        list(runs._differences("svm", {"intercepts": np.ones(2)}, {"intercepts": np.ones(3)}))
    for ours, theirs in (({"counts": np.ones(2)}, {}), ({}, {"counts": np.ones(2)})):
        with pytest.raises(StoreError, match="only one of the two has counts; they are not of one experiment; compare"):
            list(runs._differences("spikes/1-test-000", ours, theirs))


def first(name, array="counts"):
    return ArrayDifference(name, array, "image 3, feature 1", 1.25, 1234567.5, 2, 3456)


def how(a="local", b="emulated", seeds=(1, 1)):
    return {"A": {"made_on": a, "seed": seeds[0]}, "B": {"made_on": b, "seed": seeds[1]}}


@pytest.mark.parametrize("name, array, seeds, kind, text", [
    ("data/train", "counts", (1, 1), "data", "both began with other images or spikes"),
    ("data/train", "labels", (1, 2), "data", "both began with other images or spikes (seed 1 and 2)"),
    ("layers/1", "initial", (1, 2), "data", "both began with other start weights (seed 1 and 2)"),
    ("layers/1", "wins", (1, 2), NOT_TOLD, "training had the same input and start weights in both, one computed on"
     " local, the other on emulated; recordings tell what each neuron received"),
    ("spikes/1-test-000", "counts", (1, 1), NOT_TOLD, "the layers and their input are the same in both, one"),
    ("features/test-000", "counts", (1, 1), NOT_TOLD, "the layers and their input are the same in both, one"),
    ("svm", "intercepts", (1, 1), NOT_TOLD, "the counts are the same in both, one computed on local,")])
def test_stored_results_tell_as_much_of_a_cause(name, array, seeds, kind, text):
    found = runs._cause(first(name, array), how(seeds=seeds))
    assert found.name == kind and found.evidence.startswith(text)
    assert found.details == ({"seeds": list(seeds)} if kind == "data" else {})
    assert "one computed on ?, the other on ?" in runs._cause(first("svm"), {"A": {}, "B": {}}).evidence


@pytest.mark.parametrize("name, array, made, commands", [
    ("data/test", "counts", (), []), ("layers/2", "initial", (), []), ("svm", "intercepts", (), []),
    ("layers/2", "wins", ("local", "nest"), [
        "--mode training --layer 2 --run-dir a --record a.npz",
        "--mode training --layer 2 --backend nest --run-dir 'b c' --record b.npz"]),
    ("spikes/1-test-000", "counts", ("emulated", "timed"), [
        "--mode testing --backend spinnaker --run-dir a --record a.npz",
        "--mode testing --backend spinnaker --timed --run-dir 'b c' --record b.npz"]),
    ("features/test-000", "counts", ("hardware", "local"), [
        "--mode testing --backend spinnaker --target HOST --run-dir a --record a.npz",
        "--mode testing --run-dir 'b c' --record b.npz"])])
def test_the_commands_that_tell_more(name, array, made, commands):
    found = runs._next(("a", "b c"), first(name, array), how(*made))
    assert found == ([*commands, "--mode compare a.npz b.npz"] if commands else [])


def test_a_comparison_of_runs_in_words_and_as_json():
    told = RunComparison(["data/train", "svm"], [first("features/a"), first("svm", "intercepts")],
                         Cause(NOT_TOLD, "little is known", {"n": 1}), ["--mode x", "--mode y"], how())
    assert as_text(told, "p", "q", "prog").splitlines() == [
        "A: p", "B: q", "the same: data/train, svm",
        "first difference: features/a, counts, image 3, feature 1: A 1.25, B 1.23457e+06",
        "  features/a, counts: 2 of 3,456 differ", "  svm, intercepts: 2 of 3,456 differ",
        "cause not told: little is known", "next: prog --mode x", "next: prog --mode y"]
    assert not told.identical and as_dict(told) == {
        "identical": False, "a": how()["A"], "b": how()["B"], "same": told.same, "first": vars(told.results[0]),
        "results": [vars(one) for one in told.results], "cause": {"name": NOT_TOLD, "evidence": "little is known",
                                                                  "details": {"n": 1}}, "next": told.next}
    data = RunComparison([], [first("data/a")], Cause("data", "other seeds"), [], how())
    assert as_text(data, "p", "q", "prog").splitlines()[2:] == [
        "first difference: data/a, counts, image 3, feature 1: A 1.25, B 1.23457e+06", "  data/a, counts: 2 of 3,456"
        " differ", "cause: data: other seeds", "next: record both with the same data, seed and parameters"]
    same = RunComparison(["svm"], [], None, [], how())
    assert as_text(same, "p", "q", "x").splitlines() == ["A: p", "B: q", "the same: svm", "identical"]
    assert same.identical
    assert as_dict(same)["first"] is None and as_dict(same)["cause"] is None


# ---------------------------------------------------------------- recordings


@pytest.fixture(scope="module")
def made():
    return benchmark.recorded(few())


def test_recordings_of_other_networks_lengths_and_neurons_are_refused(made):
    check_same(made, made)
    check_same(replace(made, weights={}), made)
    check_same(made, replace(made, network=replace(made.network, timestep=0.5)))
    c = made.network.projection("to cells").connections
    fewer = replace(made.network.projection("to cells"), connections=type(c)(c.pre[1:], c.post[1:], c.weight[1:],
                                                                            c.delay[1:]))
    without, rewired = (replace(made.network, projections=parts) for parts in ((), (fewer,)))
    for change, text in (
            ({"network": without}, "A and B are not of one network: labels: A has"),
            ({"network": rewired}, "projections.to cells.connections.pre"),
            ({"n_steps": 1079}, "not of one length: A has 80 steps, B 1,079; record the same images with both"),
            ({"weights": {"to cells": np.zeros(1023)}}, "projection to cells: A has 24 synapses, B 1,023; record"),
            ({"neurons": {}}, "same neurons of population cells: A 4 neurons, B 0; record both in the same way"),
            ({"neurons": {"cells": np.arange(3)}}, "A 4 neurons, B 3"),
            ({"neurons": {"cells": np.arange(4)[::-1]}}, "A 4 neurons, B 4")):
        with pytest.raises(StoreError, match=text):
            check_same(made, replace(made, **change))
    with pytest.raises(StoreError, match="A 0 neurons, B 4"):
        check_same(replace(made, neurons={}), made)


def test_spikes_of_two_recordings_are_counted_by_neuron_and_step():
    z = np.zeros(4, int)
    a = Spikes.from_events(z, np.array([0, 2, 2, 1]), np.array([0, 1, 1, 3]), (1, 1, 3), 1, 4)
    b = Spikes.from_events(z, np.array([0, 0, 2, 1]), np.array([0, 0, 1, 2]), (1, 1, 3), 1, 4)
    key, ours, theirs = counted(a, b)
    assert (key.tolist(), ours.tolist(), theirs.tolist()) == ([0, 5, 7, 10], [1, 2, 0, 1], [2, 1, 1, 0])
    assert _steps([None], 9) == (0, 0) and _steps([np.array([1, 1, 3]), None, np.array([3, 4])], 9) == (3, 9)


def test_a_recorder_joins_its_chunks_and_leaves_out_what_cannot_be_read():
    network, kept = small(n=3), []
    ids = {"cells": np.array([0, 2])}
    with recorder.Recorder(simulator.open(network, ids, jobs=1), network, ids, {"made_on": "x"}, kept.append,
                           False) as running:
        running.run(7)
        running.set("cells", v_thresh=np.array([1, 2, 3]))
        running.recording()
        running.run(80)
        running.recording()
    found = kept[0]
    assert (found.n_steps, found.weights, found.how) == (87, {}, {"made_on": "x"}) and found.neurons is ids
    assert found.thresholds[0][:2] == (7, "cells") and found.thresholds[0][2].tolist() == [1.0, 2.0, 3.0]
    assert found.thresholds[0][2].dtype == np.float64 and len(found.thresholds) == 1
    assert {name: values.shape for name, values in found.membranes["cells"].items()} == dict.fromkeys(
        ("v", "gsyn_exc", "gsyn_inh"), (87, 2))
    assert found.spikes["in"].n_events == network.population("in").given_spikes.n_events
    again = recorder.replayed(simulator.open, found, {"made_on": "x"})
    assert again.spikes == found.spikes and again.thresholds[0][0] == 7 and len(again.thresholds) == 1
    for name, values in found.membranes["cells"].items():
        assert np.array_equal(values, again.membranes["cells"][name])


def test_thresholds_that_are_set_at_the_start_and_twice_are_set_again():
    one = in_parts(few(), (0, 2.0), (20, 2.5), (20, 1.5), (60, 4.0))
    again = recorder.replayed(simulator.open, one, {"made_on": "local"})
    assert [(step, values[0]) for step, _, values in again.thresholds] == [(0, 2.0), (20, 2.5), (20, 1.5), (60, 4.0)]
    assert again.spikes == one.spikes and again.n_steps == one.n_steps == 80


def test_weights_that_cannot_be_read_are_left_out():
    def weights(label):
        if label == "a":
            raise NetworkError("no")
        return SimpleNamespace(raw=None if label == "b" else np.array([3]))

    one = recorder.Recorder(None, SimpleNamespace(projections=[SimpleNamespace(label=name, learns=name == "c")
                                                               for name in "abcd"]), {}, {}, None)
    one._simulation = SimpleNamespace(weights=weights)
    assert list(one._weights()) == ["c", "d"]
    one._static = False
    assert list(one._weights()) == ["c"]


@pytest.mark.parametrize("size, n, ids", [(1, 64, [0]), (5, 5, [0, 1, 2, 3, 4]), (5, 4, [0, 1, 2, 4]), (10, 2, [0, 9]),
                                          (10, 1, [0])])
def test_recorded_neurons_are_spread(size, n, ids):
    assert recorder.spread(size, n).tolist() == ids


def test_only_chosen_networks_are_recorded_and_with_no_neurons_nothing_more_is():
    opened, kept = [], []

    def open_network(network, record, **options):
        opened.append((record, options))
        return simulator.open(network, record, jobs=1)

    network = few()
    recorder.recording(open_network, {}, kept.append, lambda network: False)(network, ["cells"], a=1)
    recorder.recording(open_network, {}, kept.append, neurons=2)(network, ["cells"])
    found = recorder.recording(open_network, {}, kept.append, neurons=0)(network, ["cells"])
    assert opened[0] == (["cells"], {"a": 1}) and opened[1][0]["cells"].tolist() == [0, 3] and list(opened[1][0]) == [
        "cells"]
    assert opened[2][0]["cells"].tolist() == [0, 1, 2, 3] and not found._static and not recorder.learns(network)


def test_a_timeline_is_cut_or_silent_beyond_its_end():
    spikes = Spikes.from_events(np.zeros(3, int), np.array([0, 1, 1]), np.array([0, 2, 3]), (1, 1, 2), 1, 4)
    for steps, events in ((2, 1), (3, 2), (4, 3), (8, 3)):
        found = recorder.shown(spikes, steps, steps)
        assert (found.n_steps, found.n_events) == (steps, events)
        assert found.steps().tolist() == [0, 2, 3][:events]
