"""A run directory beside its results: what is kept, told and forgotten, and the digests of runs made before."""

import hashlib
import json

import numpy as np
import pytest

from spikingconvnet.errors import StoreError
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import digest, pack_spikes
from spikingconvnet.store.directory import DOWNLOADS, RunDirectory, near
from spikingconvnet.store.shared import SharedRun
from spikingconvnet.store.unfinished import Unfinished


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


def made(path):
    """A run directory with something like training data in it."""
    found = RunDirectory(path)
    found.write("data/train", "digest", {"seed": 3}, a=np.zeros(1))
    return found


def test_a_digest_is_that_of_the_parts_as_python_writes_them_and_of_the_bytes_of_arrays():
    def sha(text):
        return hashlib.sha256(text).hexdigest()

    assert digest("a", 1, None, (2.5,)) == sha(b"'a'\n1\nNone\n(2.5,)\n") and digest() == sha(b"")
    assert digest(np.array([[1, 2]], "<i2"), "x") == sha(b"array <i2 (1, 2)\n\x01\x00\x02\x00'x'\n")
    assert digest(np.arange(6, dtype="u1").reshape(2, 3).T) == sha(b"array |u1 (3, 2)\n\x00\x03\x01\x04\x02\x05")


def test_how_a_result_was_made_is_told_whatever_it_was_made_from(run):
    assert run.how("layers/1") == {}
    run.write("layers/1", "digest", {"seed": 3}, a=np.zeros(1))
    assert run.how("layers/1") == {"seed": 3}
    run.file("layers/1").write_bytes(b"PK")
    assert run.how("layers/1") == {}


def test_the_newest_result_stands_last(run):
    for mode in ("training", "testing", "training"):
        run.write_results(mode, {"accuracy": 0.5})
    assert list(run.results()) == ["testing", "training"]
    assert list(json.loads((run.path / "results.json").read_text())) == ["testing", "training"]


def test_parameters_that_no_run_has_put_there_are_not_replaced(run, tmp_path):
    run.check_own("mine.py")
    run.path.mkdir()
    run.check_own("mine.py")
    (run.path / "parameters.py").write_text("SEED = 1")
    with pytest.raises(StoreError, match="parameters.py: is not of a run, and a run would replace it"):
        run.check_own("mine.py")
    made(run.path).check_own("mine.py")


def test_figures_are_forgotten_by_name_in_all_formats(run):
    (run.path / "plots").mkdir(parents=True)
    for name in ("kernels-1.png", "kernels-1.svg", "kernels-1.pdf", "kernels-2.png", "kernels-1.txt"):
        (run.path / "plots" / name).touch()
    run.forget_figures(["kernels-1", "never-made"])
    assert sorted(path.name for path in (run.path / "plots").iterdir()) == ["kernels-1.txt", "kernels-2.png"]


def test_a_directory_without_a_run_names_the_nearest_ones(tmp_path):
    for name in ("demo", "demo-2", "best", "other"):
        made(tmp_path / name)
    missing = tmp_path / "demo-3"
    names = near(missing).removeprefix(" (did you mean ").removesuffix("?)").split(" or ")
    assert names[0] == str(tmp_path / "demo-2") and names[1] == str(tmp_path / "demo") and len(names) == 3
    with pytest.raises(StoreError, match="demo-3: holds no run .did you mean .*demo-2 or .*begin one with: main.py$"):
        RunDirectory(missing).require_run("main.py")
    assert near(tmp_path / "deep" / "deeper") == ""
    assert str(tmp_path / "best") in near(tmp_path)        # inside the directory that was named
    RunDirectory(tmp_path / "demo").require_run("main.py")
    with pytest.raises(StoreError, match="is a file and no run directory"):
        RunDirectory(tmp_path / "demo" / "data" / "train.npz").require_run("main.py")


def test_another_run_is_suggested_only_if_this_one_has_not_begun(tmp_path):
    begun = made(tmp_path / "demo")
    made(tmp_path / "demo-2")
    with pytest.raises(StoreError, match=r"1\.npz: not there yet; run: main.py$"):
        begun.read("layers/1", "main.py")
    with pytest.raises(StoreError, match=r"1\.npz: not there yet .did you mean .*; run: main.py$"):
        RunDirectory(tmp_path / "demo-3").read("layers/1", "main.py")


@pytest.mark.parametrize("events, kind", [(65535, np.uint16), (65536, np.uint32)])
def test_events_of_a_step_are_counted_in_two_bytes_as_long_as_they_fit(events, kind):
    packed = pack_spikes(Spikes.from_events([0] * events, [1] * events, [2] * events, (1, 1, 2), 1, 4), "in_")
    assert packed["in_counts"].dtype == kind and packed["in_counts"].tolist() == [0, 0, events, 0]
    assert packed["in_n_steps"] == 4 and packed["in_shape"].tolist() == [1, 1, 2]


def test_what_is_finished_is_kept_until_the_result_is_there(run):
    unfinished = Unfinished(run, "layers/1", "digest", {"seed": 3}, None)
    assert unfinished.read() is None
    unfinished.write(wins=np.arange(3))
    unfinished.write(wins=np.arange(4))
    assert unfinished.read()["wins"].tolist() == [0, 1, 2, 3] and unfinished.read()["how"] == {"seed": 3}
    assert run.file("layers/1-unfinished").is_file() and run.cached("layers/1", "digest") is None
    assert Unfinished(run, "layers/1", "other", {}, None).read() is None
    unfinished.forget()
    unfinished.forget()
    assert unfinished.read() is None


def test_what_is_fetched_is_kept_by_the_run_unless_a_folder_for_all_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv(DOWNLOADS, raising=False)
    one, other = RunDirectory(tmp_path / "one"), SharedRun(tmp_path / "other", tmp_path / "pool")
    assert (one.downloads, other.downloads) == (tmp_path / "one/downloads", tmp_path / "pool/downloads")
    monkeypatch.setenv(DOWNLOADS, "")
    assert one.downloads == tmp_path / "one/downloads"
    monkeypatch.setenv(DOWNLOADS, str(tmp_path / "all"))
    assert one.downloads == other.downloads == tmp_path / "all" and not (tmp_path / "all").exists()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv(DOWNLOADS, "~/sets")
    assert one.downloads == tmp_path / "home/sets"
    (tmp_path / "one/downloads").mkdir(parents=True)
    assert one.downloads == tmp_path / "one/downloads" != other.downloads
