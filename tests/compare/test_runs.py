"""Comparing run directories and recordings from the command line, with small experiments."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from spikingconvnet.cli import main as cli
from spikingconvnet.compare import recorded
from spikingconvnet.compare.runs import _first, compare_runs
from spikingconvnet.errors import StoreError
from spikingconvnet.store.directory import HOW, RunDirectory


@pytest.fixture
def command(parameters, tmp_path, capsys):
    """A function that runs one command line of an experiment with one layer: (exit code, stdout, stderr)."""
    path = parameters()

    def call(*words, run=None):
        more = ["--parameters", str(path), "--run-dir", str(tmp_path / run)] if run else []
        code = cli.main([*map(str, words), *more])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture
def runs(command, tmp_path, sketched):
    """Two run directories of one experiment, trained and tested."""
    assert command("--mode", "demo", run="a")[0] == 0
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    return tmp_path / "a", tmp_path / "b"


def change(run, name, array, change_it, **how):
    """Replace an array of a stored result, and what is known about how it was made."""
    store = RunDirectory(run)
    arrays = store.read(name, "")
    made = {**arrays.pop(HOW), **how}
    values = arrays[array].copy()
    change_it(values)
    store.write(name, "changed", made, **{**arrays, array: values})


def test_runs_that_are_the_same_are_identical(runs, command):
    code, out, _ = command("--mode", "compare", *runs)
    assert code == 0 and out.splitlines()[-1] == "identical"
    assert ("the same: data/train, data/validation, data/test, layers/1, features/train-000, features/test-000, svm"
            in out)
    assert compare_runs(*runs).identical


def test_the_first_result_that_differs_comes_first_with_the_commands_that_tell_more(runs, command):
    a, b = runs

    def more(counts):
        counts[3, 17] += 2
        counts[9, 1] += 1

    change(b, "features/test-000", "counts", more, made_on="emulated")
    change(b, "svm", "intercepts", lambda values: values.__imul__(2.0))
    code, out, _ = command("--mode", "compare", a, b)
    lines = out.splitlines()
    before = RunDirectory(a).read("features/test-000", "")["counts"][3, 17]
    assert code == 8
    assert f"first difference: features/test-000, counts, image 3, feature 17: A {before}, B {before + 2}" in lines
    assert f"  features/test-000, counts: 2 of {60 * 36:,} differ" in lines
    assert any(line.startswith("cause not told: the layers and their input are the same in both, one computed on local,"
                               " the other on emulated") for line in lines)
    assert [line.partition(" --mode")[2] for line in lines[-3:]] == [
        f" testing --run-dir {a} --record a.npz", f" testing --backend spinnaker --run-dir {b} --record b.npz",
        " compare a.npz b.npz"]


def test_a_training_that_parts_is_told_with_its_chunk_and_not_with_its_result(runs, command):
    a, b = runs
    change(b, "layers/1", "learned", lambda values: values.__iadd__(0.1))
    change(b, "layers/1", "wins", lambda values: values[1].__iadd__(1))
    change(b, "layers/1", "thresholds", lambda values: values[2].__iadd__(0.5))
    found = compare_runs(a, b)
    assert [(r.array, r.place.split(",")[0]) for r in found.results] == [
        ("wins", "chunk 1"), ("thresholds", "chunk 2"), ("learned", "filter 0")]
    assert found.next[0] == f"--mode training --layer 1 --run-dir {a} --record a.npz"
    assert json.loads(command("--mode", "compare", "--json", a, b)[1])["first"]["array"] == "wins"


def test_runs_of_different_seeds_began_with_other_weights(command, tmp_path):
    for run, seed in (("a", 0), ("b", 1)):
        command("--mode", "loaddata", "--seed", seed, run=run)
        assert cli.main(["--mode", "training", "--layer", "1", "--run-dir", str(tmp_path / run)]) == 0
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    assert found.results[0].array == "initial" and found.cause.name == "data" and "seed 0 and 1" in found.cause.evidence
    assert found.next == []
    code, out, _ = command("--mode", "compare", tmp_path / "a", tmp_path / "b")
    assert code == 8 and "cause: data: both began with other start weights (seed 0 and 1)" in out
    assert out.splitlines()[-1] == "next: record both with the same data, seed and parameters"


def test_runs_without_common_results_or_of_other_shapes_are_refused(runs, command, tmp_path):
    a, b = runs
    (tmp_path / "empty").mkdir()
    code, out, err = command("--mode", "compare", a, tmp_path / "empty")
    assert code == 5 and "hold no results in common" in err and not out
    store = RunDirectory(b)
    arrays = store.read("layers/1", "")
    made = arrays.pop(HOW)
    fewer = {name: values[:2] if values.shape[0] == 4 else values for name, values in arrays.items()}
    store.write("layers/1", "x", made, **{**fewer, "thresholds": arrays["thresholds"][:, :2]})
    with pytest.raises(StoreError, match=r"layers/1: initial has the shape \(4, 2, 5, 4\) in A and \(2, 2, 5, 4\)"):
        compare_runs(a, b)
    store.write("layers/1", "x", made, **{name: arrays[name] for name in ("kernels", "v_thresh")})
    with pytest.raises(StoreError, match="layers/1: only one of the two has initial"):
        compare_runs(a, b)
    store.write("layers/1", "x", made, **arrays)
    counts = store.read("features/test-000", "")
    store.write("features/test-000", "x", counts.pop(HOW), counts=counts["counts"][:-1, 1:])
    with pytest.raises(StoreError, match="features/test-000: counts has the shape .* they are not of one experiment"):
        compare_runs(a, b)
    for damaged, text in (({**arrays, "initial": arrays["initial"][:2]}, r"initial: must be float64 \(4, 2, 5, 4\)"),
                          ({name: values for name, values in arrays.items() if name != "wins"}, "wins: is missing")):
        store.write("layers/1", "x", made, **damaged)
        with pytest.raises(StoreError, match=f"damaged .{text}"):
            compare_runs(a, b)


@pytest.mark.parametrize("words, text", [
    (["--mode", "compare"], "--mode compare: takes two paths, got none"),
    (["--mode", "compare", "one"], "--mode compare: takes two paths, got one"),
    (["--mode", "info", "one"], "--mode info: takes no paths, got one"),
    (["--mode", "info", "--record", "a.npz"], "--record: belongs to --mode training or testing"),
    (["--mode", "training", "--layer", "svm", "--record", "a.npz"], "nothing else simulates a training"),
    (["--mode", "training", "--layer", "1", "--rule", "random", "--record", "a.npz"], "belongs to --rule stdp"),
    (["--mode", "testing", "--record", "a.txt"], "must be the name of a file that ends in .npz")])
def test_wrong_words_are_refused(command, words, text):
    code, out, err = command(*words)
    assert code == 2 and text in err and not out


def test_a_run_directory_is_not_compared_with_a_recording(command, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    code, _, err = command("--mode", "compare", tmp_path, tmp_path / "a.npz")
    assert code == 2 and "got one of each" in err


def test_recordings_of_training_and_testing_are_compared(runs, command, tmp_path):
    a, _b = runs
    for run in "ab":
        before = RunDirectory(tmp_path / run).file("layers/1").read_bytes()
        assert command("--mode", "training", "--layer", 1, "--record", tmp_path / f"train-{run}.npz", run=run)[0] == 0
        assert RunDirectory(tmp_path / run).file("layers/1").read_bytes() == before     # recording changes nothing
        assert command("--mode", "training", "--layer", "svm", run=run)[0] == 0
        assert command("--mode", "testing", "--record", tmp_path / f"test-{run}.npz", run=run)[0] == 0
    for kind in ("train", "test"):
        files = [tmp_path / f"{kind}-{run}.npz" for run in "ab"]
        code, out, _ = command("--mode", "compare", *files)
        assert code == 0 and out.splitlines()[-1] == "identical"
    test, train = (recorded.load(tmp_path / f"{kind}-a.npz") for kind in ("test", "train"))
    assert test.n_steps == 60 * 30 and test.how["shown"] == "60 test images"
    assert train.thresholds and train.how["shown"] == "training of layer 1"
    counts = RunDirectory(a).read("features/test-000", "")["counts"].sum()
    assert 0 < counts <= test.spikes["layer1"].n_events

    values = test.membranes["layer1"]["gsyn_exc"].copy()
    values[41, 7] += 70000
    recorded.save(tmp_path / "off.npz", replace(test, how={**test.how, "made_on": "emulated"}, membranes={
        "layer1": {**test.membranes["layer1"], "gsyn_exc": values}}))
    code, out, _ = command("--mode", "compare", tmp_path / "test-a.npz", tmp_path / "off.npz")
    assert code == 8 and "step 41 (sample 1, step 11), population layer1" in out and "cause not told: B received" in out
    code, out, _ = command("--mode", "compare", "--json", tmp_path / "test-a.npz", tmp_path / "off.npz")
    found = json.loads(out)
    assert code == 8 and found["first"]["step"] == 41 and found["counts"]["gsyn_exc"]["differ"] == 1
    assert found["first"]["neuron"] == test.neurons["layer1"][7] and found["cause"]["name"] == "not told"
    assert found["b"]["made_on"] == "emulated" and found["first"]["b"] - found["first"]["a"] == 70000
    assert command("--mode", "compare", tmp_path / "test-a.npz", tmp_path / "train-a.npz")[0] == 5
    assert np.array_equal(recorded.load(tmp_path / "off.npz").membranes["layer1"]["gsyn_exc"], values)


@pytest.mark.parametrize("theirs, index, entries, differ", [
    ([1, 2, 3, 9], 3, (0, 9), 1), ([1, 2], 2, (3, 0), 1), ([1, 5], 1, (2, 5), 2), ([4, 2, 3, 7, 8], 0, (1, 4), 3)])
def test_of_lists_of_other_lengths_the_first_entry_that_differs_is_told(theirs, index, entries, differ):
    ours, theirs = np.array([1, 2, 3]), np.array(theirs)
    assert _first(ours, theirs, ("spike",)) == ((index,), f"spike {index}", *entries, differ, max(3, len(theirs)))
