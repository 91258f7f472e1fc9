"""What files of a run have to hold, and how they are packed, shared and told: kept, see ``helpers/outputs.py``."""

import io
import json
import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from outputs import Outputs, refused
from random_networks import random_spikes

from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store import arrays, directory, locks, schemas, shared, unfinished

CASES = Outputs("store")


def rng():
    return np.random.default_rng(127)


def spikes(shape=(2, 2, 1), samples=2, steps=3):
    return random_spikes(shape, samples, steps, 2.0, rng())


@CASES
def digests_and_packed_spikes():
    one = spikes()
    crowd = [Spikes((1, 1, 1), 1, np.array([0, n]), np.zeros(n, np.uint16)) for n in (65_535, 65_536)]
    return [[arrays.digest(*given) for given in ((), (1, "a"), ("1", "a"), (np.arange(3),), (np.arange(3.0),),
            (np.arange(
        6).reshape(2, 3),), (np.arange(6).reshape(3, 2).T,), ((1, 2), None))], arrays.pack_spikes(one, "a "),
            arrays.unpack_spikes(arrays.pack_spikes(one, "a "), "a ") == one,
            [arrays.pack_spikes(more)["counts"].dtype.name
                                                                              for more in crowd],
            arrays.seal({"b": np.arange(2), "a": 1.5}), arrays.seal({"a": 1.5, "b": np.arange(2)}),
            [refused(arrays.text_of, {"t": np.array(one)}, "t") for one in ("a", ["a"], 1)]]


@CASES
def arrays_of_files():
    def header(descr="<i8", order="False", shape="(2,)", end=" \n", major=b"\x01\x00", more=0):
        text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}{end}".encode()
        return b"\x93NUMPY" + major + (len(text) + more).to_bytes(2, "little") + text
    body = np.arange(2).tobytes()
    heads = (header(), header(more=1), header("<i9"), header("|O"), header("<i8", shape="(3,)"), header(shape="(1,)"),
             header(
        shape="()"), header(shape="(1, 2)", order="True"), header(shape="(2,)", end="\n"), header(end=""),
        header(major=b"\2\0"),
             header("|b1", shape="(16,)"), header("<U2", shape="(2,)"), header("<f8"), header(shape="(2, 1)"), b"",
             body)
    found = []
    for head in heads:
        content = head + body
        try:
            found.append(refused(arrays._read_array, io.BytesIO(content), "N", len(content)))
        except EOFError as error:
            found.append(str(error))
    ends = []
    for content, size in ((header() + body[:-1], 1), (header() + body + b"x", -1)):
        with pytest.raises(EOFError) as caught:
            arrays._read_array(io.BytesIO(content), "N", len(content) + size)
        ends.append(str(caught.value))
    real, arrays.CHUNK = arrays.CHUNK, 5
    try:
        parts = arrays._read_array(io.BytesIO(header() + body), "N", len(header() + body))
    finally:
        arrays.CHUNK = real
    return found, ends, parts


@CASES
def files_of_zip():
    found, plain = [], io.BytesIO()
    np.save(plain, np.arange(6).reshape(2, 3).T)
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "a.npz"
        for packing, names in ((zipfile.ZIP_STORED, ("a.npy", "b.npy")), (zipfile.ZIP_DEFLATED, ("a.npy",)),
                               (zipfile.ZIP_STORED, ("a.npy", "a"))):
            with zipfile.ZipFile(path, "w", packing) as archive:
                for name in names:
                    archive.writestr(name, plain.getvalue())
            try:
                found.append(arrays.read_arrays(path))
            except zipfile.BadZipFile as error:
                found.append(str(error))
    return found


def changed(given, **more):
    return {name: one for name, one in {**given, **more}.items() if one is not None}


HOW = {"made_on": "local", "seed": 1, "version": "0.1"}


@CASES
def what_files_must_hold():
    packed = arrays.pack_spikes(spikes())
    data = {**packed, "labels": np.array([1, 2]), "images": np.zeros((1, 2, 2), np.uint8),
            "content": np.array(arrays.digest(spikes().offsets, spikes().neurons))}
    hows = (HOW, changed(HOW, made_on=None), changed(HOW, seed=-1), changed(HOW, version="a\n"), changed(HOW,
            board={}), changed(
        HOW, board={"verdict": "valid"}), changed(HOW, board={"verdict": "good"}), changed(HOW, split="test"), changed(
            HOW, split="train"), changed(HOW, bound={"n_train": 1}), changed(HOW, bound={"n_train": 1, "n_test": 2}),
            changed(
                HOW, bound={"shape": 1, "size": 1, "classes": 2}), changed(HOW, bound=5), changed(HOW,
                class_names={"1": "a"}),
            changed(HOW, class_names={"x": "a"}), changed(HOW, class_names={"1": 5}), changed(HOW, source=5), changed(
                HOW, source="a\n"))
    schema = schemas.data("train", [1, 2, 3], 2, n_steps=3)
    found = [[refused(schema.check, data, how) for how in hows], [refused(schema.check, changed(data, **more), HOW)
             for more in ({"labels": np.array([1])}, {"labels": np.array([1, 4])}, {"labels": np.array([1, 2, 3])}, {
                 "images": np.zeros((3, 2, 2), np.uint8)}, {"content": np.array("x")}, {"neurons": None}, {
                     "n_steps": np.array(2)}, {"labels": np.array([1, 2], np.int8)},
                     {"neurons": packed["neurons"][::-1]},
                          {"shape": np.array([0, 2, 1])}, {"shape": np.array([1, 2, 1])})],
             [refused(schemas.data(classes=[1, 2], most=most).check, changed(data, labels=np.array([1, 2, 2])), HOW)
              for most in (0, 2, 3)]]
    found.append([refused(schemas.spikes(*given).check, packed, HOW) for given in (
        (), ((2, 2, 1), 3), ((2, 1, 2), 3), ((2, 2, 1), 2))] + [refused(schemas.spikes(steps=n).check, packed, HOW)
                                                                for n in (5, 6)])
    trained = {"kernels": np.ones((2, 1, 2, 2)), "v_thresh": np.ones(2)}
    course = {"initial": np.ones((2, 1, 2, 2)), "learned": np.ones((2, 1, 2, 2)), "wins": np.ones((3, 3), int),
              "thresholds": np.ones((3, 2)), "mean_weight": np.ones(3)}
    rule = {**HOW, "rule": "stdp"}
    found.append([refused(schemas.layer(as_one, ways, maps=2).check, changed(trained, **more), how) for as_one in (
        None, True, False) for ways in ((), ((2, 1),)) for more in ({}, course, changed(course, wins=None), {
            "i_offset": np.ones(2)}, {"i_offset": np.ones(3)}, {"i_offsets": np.ones((2, 1, 1))}, {"v": np.ones(5)}, {
                "v_thresh": np.ones(3)}, {"shortcut1": np.ones((2, 1))}, {"v_thresh": np.full(2, 65_537.0)}, {
                    "v_thresh": np.full(2, -65_536.0)}, {"max_expected_summed_weight": np.array(-1.0)}, {
                        "max_expected_summed_weight": np.array(0.0)}, {"other": np.ones(2)}) for how in (rule, HOW)])
    wins = np.array([[2, 1, 0], [0, 0, 3]])
    begun = {"wins": wins, "thresholds": np.ones((3, 2)), "mean_weight": np.ones(2), "learned": np.ones((4, 2))}
    found.append([refused(schemas.unfinished(chunks, windows, filters=2, inputs=4).check, changed(begun, **more), HOW)
                  for chunks, windows in ((2, 6), (3, 9), (3, 10), (3, 12), (3, 8)) for more in (
                      {}, {"thresholds": np.ones((2, 2))}, {"learned": np.ones((3, 2))}, {"wins": wins - 1})])
    found.append([refused(schemas.features(images=2, features=3).check, {"counts": np.ones(shape, kind)}, HOW)
                  for shape in ((2, 3), (3, 3), (2, 2), (2,)) for kind in (np.uint16, np.int64)])
    units = {"units": np.array([[0, 2]], np.uint16), "output": np.ones((1, 3)), "spikes": np.ones((1, 2), np.uint32)}
    found.append([refused(schemas.answers(images=1, units=n).check, changed(units, **more), HOW) for n in (2, 3)
                  for more in ({}, {"units": np.array([[0, 3]], np.uint16)}, {"output": np.full((1, 3), np.nan)})])
    head = {"kernels": np.ones((2, 1, 2, 2)), "clock": np.ones((2, 3)), "first": np.array(1), "v_thresh": np.array(1.0),
            "largest_input": np.array(0.0)}
    found.append([refused(schemas.head(channels=1).check, changed(head, **more), HOW) for more in (
        {}, {"first": np.array(0)}, {"first": np.array(1 << 31)}, {"first": np.array((1 << 31) + 1)}, {
            "v_thresh": np.array(-0.5)}, {"largest_input": np.array(-0.5)}, {"clock": np.ones((3, 3))}, {
                "kernels": np.ones((2, 2, 2, 2))})])
    found.append([refused(schemas.winners(images=2).check, {"units": np.array(one, np.int16), "steps": np.zeros(2,
    np.int16)},
                          HOW) for one in ([-1, 5], [-2, 5], [1])])
    machine = {"classes": np.array([1, 3]), "coefficients": np.ones((2, 4)), "intercepts": np.ones(2)}
    found.append([refused(schemas.classifier(known, features=4).check, changed(machine, **more), HOW) for known in (
        None, [1, 2, 3], [1, 2]) for more in ({}, {"classes": np.array([3, 1])}, {"classes": np.array([1, 1])}, {
            "classes": np.array([1, 2, 3])}, {"coefficients": np.ones((2, 3))})])
    return found, [sorted(schemas.of(name).arrays) for name in ("data/train", "layers/1", "spikes/1-train-000", "svm",
                                                                "features/test-000")]


@CASES
def entries_of_results():
    entry = {"made_from": "x", "accuracy": 0.75, "split": "test", "classes": [1, 2], "confusion": [[1, 1], [0, 2]]}
    asked = [("test", changed(entry, **more)) for more in (
        {}, {"accuracy": 0.75 + 9e-13}, {"accuracy": 0.75 + 2e-12}, {"accuracy": None}, {"split": "validation"}, {
            "classes": [1]}, {"classes": [1, -2]}, {"confusion": [[1, 1], [2]]}, {"confusion": [[1, 1], [0, -2]]}, {
                "confusion": [[1, 1], [0, 1 << 49]]}, {"confusion": []}, {"verdict": "valid"}, {"verdict": "good"}, {
                    "made_from": None}, {"made_from": 5}, {"accuracy": 2.0}, {"confusion": 5})]
    asked += [("test", {**entry, "classes": [], "confusion": []}), ("test", {**entry, "accuracy": 0.0,
    "confusion": [[0, 0], [
        0, 0]]}), ("layer 1", {"made_from": "x", "rule": "a"}), ("layer 1", {"made_from": "x"}), ("layer x",
        {"made_from": "x"}),
              ("layer 12", {"made_from": "x"}), ("svm", {"made_from": "x", "accuracy": 1}), ("svm", {
                  "made_from": "x", "accuracy": 1.1}), ("svm", {"made_from": "x", "accuracy": -0.1}), ("svm", {
                      "made_from": "x", "accuracy": 0}), ("validation", {**entry, "split": "validation"})]
    return [refused(schemas.check_entry, *one) for one in asked]


@CASES
def run_directories():
    with tempfile.TemporaryDirectory() as made:
        def said(call, *given, **named):
            text = refused(call, *given, **named)
            return text.replace(made, "DIR") if isinstance(text, str) else str(text).replace(made, "DIR")
        run = directory.RunDirectory(Path(made) / "run", "cmd")
        found = [said(run.read, "a", "CMD"), run.how("a"), run.cached("a", "d"), run.stamp("a"), said(run.require_run,
                 "B")]
        run.write("data/train", "d", {"seed": 3}, x=np.arange(3))
        run.write("a", "d", {"seed": 4}, x=np.arange(3.0))
        found += [said(run.read, "a", "CMD"), said(run.read, "a", "CMD", "d"), said(run.read, "a", "CMD", "e"),
                  run.how("a"),
                  said(run.read, "b", "CMD"), said(run.require_run, "B"), len(run.stamp("a")),
                  said(directory.RunDirectory(Path(made) / "ru").read, "a", "CMD"),
                  said(directory.RunDirectory(Path(made) / "ru").require_run, "B"),
                  said(run.write, "o", "d", {}, x=np.array([None]))]
        content = bytearray(run.file("a").read_bytes())
        place = bytes(content).index(np.arange(3.0).tobytes())
        content[place + 9] ^= 1
        run.file("a").write_bytes(content)
        found += [said(run.read, "a", "CMD", "d").partition("(")[0], run.cached("a", "d"), run.how("a")]
        run.write_results("one", {"a": 1})
        run.write_results("two", {"a": 2})
        run.write_results("one", {"a": 3})
        found += [list(run.results().items())]
        texts = ('{"a": 1}', "[]", "{", '{"a": {}}')
        for text in texts:
            (run.path / "results.json").write_text(text)
            found.append(said(run.results).partition(" (")[0])
        real, directory.LARGEST_RESULTS = directory.LARGEST_RESULTS, len(texts[-1])
        found.append(said(run.results))
        directory.LARGEST_RESULTS -= 1
        found.append(said(run.results))
        (run.path / "set.json").write_text('{"ab": 1}')
        found.append(said(run.sets))
        directory.LARGEST_RESULTS = 9
        found.append(said(run.sets))
        (run.path / "set.json").write_text('{"a":"1"}')
        found.append(run.sets())
        directory.LARGEST_RESULTS = real
        (Path(made) / "p.toml").write_text("x")
        (Path(made) / "p.py").write_text("y")
        found += [said(run.check_own, "p"), run.parameters().name]
        run.keep_parameters(Path(made) / "p.toml")
        found += [run.parameters().name, run.sets()]
        run.keep_parameters(Path(made) / "p.py", {"A": "1"})
        found += [run.parameters().name, run.sets(), sorted(path.name for path in run.path.iterdir())]
        run.file("data/train").unlink()
        found.append(said(run.check_own, "p"))
        for name in ("plots/a.png", "plots/b.svg", "plots/a.pdf", "plots/a.txt", "report.html", "report-beside-x.html"):
            (run.path / name).parent.mkdir(exist_ok=True)
            (run.path / name).touch()
        run.forget_figures(["a"])
        found += [sorted(path.name for path in run.path.rglob("*.*")), [directory.word(one) for one in ("a b", "-a",
                  "a")],
                  said(directory.RunDirectory(Path(made) / "p.py").require_run, "B"),
                  str(run.own_downloads)[len(made):]]
    return found


def test_runs_of_a_pool_share_what_they_hold(tmp_path):
    one, two = (shared.SharedRun(tmp_path / name, tmp_path / "pool") for name in ("a", "b"))
    one.write("x", "d", {"seed": 1}, n=np.arange(3))
    one.write("x-unfinished", "d", {}, n=np.arange(3))
    assert two.read("x", "CMD", "d")["n"].tolist() == [0, 1, 2]
    assert two.file("x").stat().st_ino == one.file("x").stat().st_ino
    assert two.cached("x", "e") is None
    assert two.cached("x-unfinished", "d") is None
    one.offer("x", "key")
    two.file("x").unlink()
    two.adopt("x", "other")
    assert not two.file("x").exists()
    two.adopt("x", "key")
    assert two.file("x").is_file()
    assert two.own_downloads == tmp_path / "pool" / "downloads"
    with one.once("k" * 40):
        assert (tmp_path / "pool" / "locks" / ("k" * 32)).is_file()
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_is_unfinished_is_of_the_same_settings_and_can_be_forgotten(tmp_path):
    run = directory.RunDirectory(tmp_path)
    one = unfinished.Unfinished(run, "layers/1", "d", HOW, schemas.Schema({"n": schemas.Array("int64", (3,))},
    schemas.HOW))
    assert one.read() is None
    one.write(n=np.arange(3))
    assert one.read()["n"].tolist() == [0, 1, 2]
    assert run.file("layers/1-unfinished").is_file()
    assert unfinished.Unfinished(run, "layers/1", "e", {}, schemas.Schema({})).read() is None
    one.forget()
    one.forget()
    assert one.read() is None


def test_a_lock_says_who_holds_it_and_leaves_nothing(tmp_path):
    run = directory.RunDirectory(tmp_path / "a" / "b", "cmd")
    with run.locked():
        with run.locked():
            assert locks.held[os.path.realpath(run.path)] == 2
        holder = json.loads((run.path / ".lock").read_text())
        assert (holder["pid"], holder["command"]) == (os.getpid(), "cmd")
        assert locks._holder(run.path) == (f"process {os.getpid()} on {holder['host']} since {holder['since']} (cmd)")
        (run.path / ".lock").write_text(json.dumps({**holder, "pid": 10 ** 30}))
        assert locks._holder(run.path) is None
        (run.path / ".lock").write_text(json.dumps({**holder, "pid": 10 ** 30, "host": "elsewhere"}))
        assert locks._holder(run.path).startswith(f"process {10 ** 30} on elsewhere since ")
        (run.path / ".lock").write_text("{}")
        assert locks._holder(run.path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
