"""What a run directory has to hold: what was written comes back, whatever was altered is refused or harmless."""

import json
import shutil

import numpy as np
import pytest

from spikingconvnet.compare import recorded
from spikingconvnet.compare.recorder import run as recorded_run
from spikingconvnet.errors import StoreError
from spikingconvnet.gates.schema import Array, Schema, check_entries, parse_json
from spikingconvnet.model.build import INPUT
from spikingconvnet.network import serialisation
from spikingconvnet.network.connectivity import ConnectionList
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store import schemas
from spikingconvnet.store.arrays import SEAL, digest, pack_spikes, seal
from spikingconvnet.store.directory import HOW, MADE_FROM, RunDirectory

MADE = {"made_on": "local", "seed": 0, "version": "0.1.0"}
SHOWN = Spikes.from_events([0, 1, 1], [3, 0, 2], [0, 1, 1], (1, 2, 2), 2, 5)
TRAINED = {"initial": np.full((2, 1, 2, 2), 0.25), "learned": np.full((2, 1, 2, 2), 0.5),
           "kernels": np.linspace(-1, 1, 8).reshape(2, 1, 2, 2), "v_thresh": np.array([1.0, 2.0]),
           "wins": np.full((3, 3), 2), "thresholds": np.full((3, 2), 1.5), "mean_weight": np.full(3, 0.5)}
RESULTS = {
    "data/train": (schemas.data("train", range(10), 1000, n_steps=5), {**MADE, "source": "x", "split": "train"},
                   {"labels": np.array([1, 2], np.uint8), "images": np.zeros((2, 2, 2), np.uint8),
                    "content": np.array(digest(SHOWN.offsets, SHOWN.neurons)), **pack_spikes(SHOWN)}),
    "layers/1": (schemas.layer(False, maps=2, filters=2, channels=1, rows=2, columns=2), {**MADE, "rule": "stdp"},
                 TRAINED),
    "spikes/1-train-000": (schemas.spikes((1, 2, 2), 5, steps=10), MADE, pack_spikes(SHOWN)),
    "features/train-000": (schemas.features(images=2, features=3), MADE, {"counts": np.arange(6, dtype=np.uint16)
                                                                         .reshape(2, 3)}),
    "answers/test-000": (schemas.answers(images=2, units=2, window=3, populations=2), MADE, {
        "units": np.ones((2, 3), np.uint16), "output": np.ones((2, 2)), "spikes": np.ones((2, 2), np.uint32)}),
    "svm": (schemas.classifier(range(10), features=3), MADE, {
        "classes": np.array([1, 2], np.uint8), "coefficients": np.ones((2, 3)), "intercepts": np.zeros(2)}),
    "layers/1-unfinished": (schemas.unfinished(3, 12, filters=2, inputs=4), MADE, {
        "thresholds": np.ones((2, 2)), "wins": np.array([[1, 2, 1]]), "mean_weight": np.ones(1),
        "learned": np.ones((4, 2))}),
}


@pytest.fixture
def run(tmp_path):
    """A run directory with a result of every kind."""
    found = RunDirectory(tmp_path / "run")
    for name, (_, how, arrays) in RESULTS.items():
        found.write(name, "made", how, **arrays)
    return found


def read(run, name):
    return run.read(name, "again", "made", RESULTS[name][0])


def is_written(name, found):
    _, how, arrays = RESULTS[name]
    return found.pop(HOW) == how and found.keys() == arrays.keys() and all(
        found[key].dtype == array.dtype and np.array_equal(found[key], array) for key, array in arrays.items())


@pytest.mark.parametrize("name", RESULTS)
def test_what_was_written_is_what_a_result_has_to_be(run, name):
    assert is_written(name, read(run, name))


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", RESULTS)
def test_what_was_altered_is_refused_or_harmless(run, name, benchmark_named):
    altered, others = benchmark_named("attacks.altered"), [run.file(other) for other in RESULTS if other != name]
    whole, refused = run.file(name).read_bytes(), 0
    for number in range(80):
        rng = np.random.default_rng([5, number])
        path = run.file(name)
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(whole)
        _, strict = (altered.arrays if number % 4 else altered.raw)(path, rng, others)
        try:
            found = read(run, name)
        except StoreError as error:
            assert str(path) in str(error) and str(error).endswith(": again")
            refused += 1
        else:
            assert not strict or is_written(name, found)
    assert refused > 30


@pytest.mark.parametrize("name, array, value, text", [
    ("data/train", "n_steps", np.array(6), "n_steps: must be 5, got 6"),
    ("data/train", "labels", np.array([1, 77], np.uint8), r"labels: must be CLASSES of the parameters, got \[77\]"),
    ("data/train", "labels", np.ones(3, np.uint8), "labels: must be of 2 images, got 3"),
    ("data/train", "neurons", np.array([3, 2, 0], np.uint16), "neurons: must be ascending inside a step"),
    ("data/train", "neurons", np.array([3, 0, 1], np.uint16), "content: must be the digest of the spikes"),
    ("data/train", "neurons", np.array([3, 0, 4], np.uint16), "neurons: must be below 4, got 4"),
    ("layers/1", "kernels", np.full((2, 1, 2, 2), np.nan), "kernels: must be finite and within -65536 .. 65536, got"),
    ("layers/1", "v_thresh", np.array([1.0, np.inf]), r"v_thresh: must be finite"),
    ("layers/1", "v_thresh", np.ones(3), r"v_thresh: must be float64 \(2,\), got float64 \(3,\)"),
    ("layers/1", "v_thresh", np.ones(2, ">f8"), r"v_thresh: must be float64 \(2,\), got >f8 \(2,\)"),
    ("layers/1", "wins", np.full((3, 3), -1), "wins: must be within 0"),
    ("spikes/1-train-000", "shape", np.array([1, 4, 1]), r"shape: must be \(1, 2, 2\), got \[1, 4, 1\]"),
    ("spikes/1-train-000", "counts", np.ones(9, np.uint16), r"counts: must be uint16 or uint32 \(10,\)"),
    ("features/train-000", "counts", np.ones((2, 4), np.uint16), r"counts: must be uint16 \(2, 3\)"),
    ("answers/test-000", "units", np.full((2, 3), 2, np.uint16), "units: must be below 2, got 2"),
    ("svm", "classes", np.array([2, 1], np.uint8), r"classes: must be ascending"),
    ("svm", "more", np.ones(2), "arrays: must be classes and coefficients and intercepts, got 'more'"),
    ("layers/1-unfinished", "wins", np.array([[1, 2, 0]]), "wins: must be of 4 windows"),
    ("layers/1-unfinished", "thresholds", np.ones((1, 2)), "thresholds: must be one more than wins")])
def test_every_part_is_checked_by_itself_and_against_its_neighbours(run, name, array, value, text):
    _, how, arrays = RESULTS[name]
    run.write(name, "made", how, **{**arrays, array: value})
    with pytest.raises(StoreError, match=f"damaged .*{text}.*make it again with: again"):
        read(run, name)
    assert run.cached(name, "made", RESULTS[name][0]) is None


def test_spikes_of_the_first_images_are_enough_where_no_more_are_needed(run):
    _, how, arrays = RESULTS["data/train"]
    run.write("data/train", "made", how, **{**arrays, "labels": np.ones(3, np.uint8)})
    assert len(run.read("data/train", "again", "made", schemas.data("train", most=2))["labels"]) == 3


def test_a_result_in_the_place_of_another_split_is_seen(run):
    shutil.copy(run.file("data/train"), run.file("data/test"))
    with pytest.raises(StoreError, match="how.split: must be test, got 'train'"):
        run.read("data/test", "again", "made", schemas.data("test"))


def test_numbers_that_no_checksum_betrays_are_seen_by_the_seal_and_old_files_have_none(run):
    with np.load(run.file("svm")) as file:
        arrays = dict(file)
    arrays["intercepts"] = arrays["intercepts"] + 0.5
    np.savez(run.file("svm"), **arrays)
    with pytest.raises(StoreError, match="its contents are not those that were written"):
        read(run, "svm")
    old = {name: array for name, array in arrays.items() if name != SEAL}
    np.savez(run.file("svm"), **old)
    assert read(run, "svm")["intercepts"].tolist() == [0.5, 0.5]
    assert seal(old) == seal(dict(reversed(old.items()))) != seal({**old, MADE_FROM: np.array("x")})


@pytest.mark.parametrize("text", ["[]", '{"a": ' + "[" * 60 + "]" * 60 + "}", '{"a": [1%s]}' % ("0" * 60)])
def test_json_that_is_no_object_too_deep_or_too_large_is_refused(text):
    with pytest.raises(StoreError, match="JSON"):
        parse_json(text)
    assert parse_json('{"a": [[1.5, "x"], null]}') == {"a": [[1.5, "x"], None]}


def test_a_size_is_one_number_wherever_it_stands():
    schema = Schema({"a": Array("int64", ("n", 2)), "b": Array("int64", ("n",))})
    schema.check({"a": np.zeros((3, 2), int), "b": np.zeros(3, int)}, {})
    with pytest.raises(StoreError, match=r"b: must be int64 \(3,\), got int64 \(4,\)"):
        schema.check({"a": np.zeros((3, 2), int), "b": np.zeros(4, int)}, {})
    with pytest.raises(StoreError, match="b: is missing"):
        check_entries({}, {"b": Array("int64")})


ENTRY = {"split": "test", "accuracy": 0.75, "classes": [0, 1], "confusion": [[1, 1], [0, 2]], "made_from": "x"}


@pytest.mark.parametrize("change, text", [
    ({"accuracy": 0.5}, "accuracy: must be 0.75, as its confusion says, got 0.5"),
    ({"accuracy": "x"}, "accuracy: must be a share"), ({"confusion": [[1, 1], [0]]}, "confusion: must be a table"),
    ({"classes": [0]}, "confusion: must be a row for each class"), ({"verdict": []}, "verdict: must be valid or"),
    ({"split": "validation"}, "confusion: must be a row for each class")])
def test_entries_of_results_are_checked_against_themselves(run, change, text):
    schemas.check_entry("test", ENTRY)
    run.write_results("test", {**ENTRY, **change})
    with pytest.raises(StoreError, match=f"results.json: damaged .test.{text}.*delete it"):
        run.results(schemas.check_entry)
    schemas.check_entry("a mode of old", {"accuracy": "x"})


# ---------------------------------------------------------------- recordings


def small_recording():
    source = Population(INPUT, SHOWN.shape, SpikeSourceArray(SHOWN))
    cells = Population("cells", (3, 1, 1), IFCurrExp(v_rest=0.0, v=0.0, v_reset=0.0, v_thresh=1.0),
                       {"i_offset": np.array([0.0, 0.1, 0.2])})
    wiring = ConnectionList([0, 1, 3], [0, 1, 2], [1.0, 2.0, 3.0], [1, 1, 2])
    network = Network((source, cells), (Projection("to cells", INPUT, "cells", wiring),))
    from spikingconvnet.backends.local import simulator

    return recorded_run(simulator.open, network, {"made_on": "local", "seed": 0})


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """File of a recording."""
    path = tmp_path_factory.mktemp("recording") / "a.npz"
    recorded.save(path, small_recording())
    return path


def same(a, b):
    return serialisation.first_difference((a.network, a.spikes, a.neurons, a.membranes, a.weights, a.thresholds),
                                    (b.network, b.spikes, b.neurons, b.membranes, b.weights, b.thresholds)) is None


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_altered_recording_is_refused_or_harmless(kept, tmp_path, benchmark_named):
    altered, path, refused = benchmark_named("attacks.altered"), tmp_path / "b.npz", 0
    whole = recorded.load(kept)
    assert same(whole, small_recording())
    for number in range(150):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copy(kept, path)
        _, strict = (altered.arrays if number % 5 else altered.raw)(path, np.random.default_rng([7, number]), [kept])
        try:
            found = recorded.load(path)
        except StoreError:
            refused += 1
        else:
            assert not strict or same(whole, found)
    assert refused > 60


@pytest.mark.parametrize("place, value, text", [
    (("populations", 1, "fields", "label"), 5, "Population.label: must be text, got 5"),
    (("populations", 1, "fields", "cell", "fields", "tau_m"), float("nan"), "IFCurrExp.tau_m: must be a finite number"),
    (("populations", 1, "fields", "shape"), [3, "x", 1], "Population.shape: must be a list of"),
    (("populations", 1, "fields", "values", "dict", "i_offset"), {"array": 99}, "network: must be of"),
    (("populations", 1, "fields", "more"), 1, "Population: must be made of"),
    (("projections", 0, "fields", "connections"), None, "Projection.connections: must be a record"),
    (("projections", 0, "fields", "connections", "record"), "Path", "no record of a network is called 'Path'"),
    (("projections", 0, "fields", "connections", "fields", "delay"), 1, "ConnectionList.delay: must be an array"),
    (("projections", 0, "fields", "connections"), {"record": "IFCurrExp", "fields": {}},
     "Projection.connections: must be a record that belongs there"),
    (("populations", 0), {"record": "IFCurrExp", "fields": {}}, "Network.populations: must be a list of its records"),
    (("projections",), [7], "Network.projections: must be a list of its records"),
    (("timestep",), True, "Network.timestep: must be a finite number")])
def test_fields_of_an_encoded_network_hold_what_their_types_say(place, value, text):
    tables = []
    network = small_recording().network
    encoded = json.loads(json.dumps(serialisation.encode(network, tables)))
    assert serialisation.first_difference(serialisation.decode(encoded, tables), network) is None
    *owners, last = place
    inside = encoded["fields"]
    for key in owners:
        inside = inside[key]
    inside[last] = value
    with pytest.raises(StoreError, match=text):
        serialisation.decode(encoded, tables)
