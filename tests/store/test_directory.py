"""The run directory: what was written comes back, or an error with the command that makes it again; nothing else."""

import errno
import io
import json
import os
import pickle
import zipfile
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from spikingconvnet.errors import StoreError, SurroundingsError
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.arrays import digest, pack_spikes, unpack_spikes
from spikingconvnet.store.directory import RunDirectory

COMMAND = "main.py --mode training --layer 1"
HOW = {"backend": "local", "seed": 3, "text": "µ"}
# `a` is longer than one block that zipfile reads, so a shortened header leaves bytes that nobody asks for.
TRUE = {"a": np.arange(1100), "b": np.arange(6, dtype=np.uint16).reshape(2, 1, 3), "n": np.array(5),
        "e": np.zeros((0, 2))}


@pytest.fixture
def run(tmp_path):
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def written(run):
    """A run directory with one result, and that result's bytes."""
    run.write("layers/1", "digest", HOW, **TRUE)
    return run, run.file("layers/1").read_bytes()


def is_true(found):
    return set(found) == {*TRUE, "how"} and found["how"] == HOW and all(
        found[k].dtype == TRUE[k].dtype and np.array_equal(found[k], TRUE[k]) for k in TRUE)


def read_damaged(run, content):
    """Whether the true content comes back from damaged bytes; anything but it or a StoreError fails the test."""
    run.file("layers/1").write_bytes(content)
    try:
        found = run.read("layers/1", COMMAND, "digest")
    except StoreError as error:
        assert COMMAND in str(error) and run.cached("layers/1", "digest") is None
        return False
    assert is_true(found)
    return True


def outside_data(content):
    """Positions that belong to headers, names and the directory, not to the long array's data."""
    data = content.find(np.arange(1100).tobytes())
    assert data > 0
    return [*range(data + 8), *range(data + 8792, len(content))]


def test_a_result_comes_back_whole(written):
    run, _ = written
    assert is_true(run.read("layers/1", COMMAND, "digest")) and is_true(run.read("layers/1", COMMAND))
    assert run.file("layers/1") == run.path / "layers" / "1.npz"
    assert is_true(run.cached("layers/1", "digest"))


def test_a_file_cut_anywhere_is_damaged(written):
    run, content = written
    assert not any(read_damaged(run, content[:n]) for n in [*range(0, len(content), 13), *range(len(content) - 700,
                                                                                                len(content))])


def test_a_flipped_bit_outside_the_data_gives_an_error_or_the_truth(written):
    run, content = written
    positions = outside_data(content)
    harmless = 0
    for k, at in enumerate(positions):
        for bit in {k % 8, (k * 5 + 3) % 8}:
            harmless += read_damaged(run, content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1:])
    assert 0 < harmless < len(positions)        # time stamps and the like do not matter; most bytes do


@given(st.integers(0, 10 ** 9), st.binary(min_size=1, max_size=12))
def test_overwritten_bytes_anywhere_give_an_error_or_the_truth(tmp_path_factory, at, garbage):
    run = RunDirectory(tmp_path_factory.getbasetemp() / "overwritten")
    if not run.file("layers/0").exists():
        run.write("layers/0", "digest", HOW, **TRUE)
    content = run.file("layers/0").read_bytes()
    at %= len(content)
    (run.path / "layers").mkdir(exist_ok=True)
    read_damaged(run, (content[:at] + garbage + content[at + len(garbage):])[:len(content)])


@pytest.mark.parametrize("old, new", [(b"a.npyPK", b"b.npyPK"), (b"'shape': (1100,)", b"'shape': (1000,)"),
                                      (b"'descr': '<i8'", b"'descr': '<i4'"), (b"'descr': '<i8'", b"'descr': '<O8'"),
                                      (b"'descr': '<i8'", b"'descr': '<f3'")])
def test_a_changed_name_shape_or_type_is_not_believed(written, old, new):
    run, content = written
    assert old in content and not read_damaged(run, content.replace(old, new, 1))


@pytest.mark.parametrize("offset, value", [(6, 250), (8, 1), (8, 32), (8, 64), (10, 8), (10, 12), (10, 14), (10, 99)])
def test_a_directory_that_asks_for_another_zip_is_damaged(written, offset, value):
    run, content = written
    at = content.find(b"PK\x01\x02") + offset
    assert not read_damaged(run, content[:at] + bytes([value]) + content[at + 1:])


def test_other_files_in_its_place_are_damaged(written):
    run, content = written
    npy, plain = io.BytesIO(), io.BytesIO()
    np.save(npy, np.arange(3))
    np.savez(plain, **TRUE)
    compressed = io.BytesIO()
    np.savez_compressed(compressed, **TRUE, made_from=np.array("digest"), how=np.array(json.dumps(HOW)))
    for other in (b"", b"text", npy.getvalue(), plain.getvalue(), compressed.getvalue(), b"PK\x05\x06" + bytes(18),
                  pickle.dumps({"a": 1}), content[::-1]):
        assert not read_damaged(run, other)


def test_a_result_made_from_something_else_is_refused_with_the_command(written):
    run, _ = written
    with pytest.raises(StoreError, match=f"other settings.*make it again with: {COMMAND}, or use another --run-dir"):
        run.read("layers/1", COMMAND, "another digest")
    assert run.cached("layers/1", "another digest") is None


def test_a_missing_result_names_the_command_that_makes_it(run):
    with pytest.raises(StoreError, match=f"not there yet; run: {COMMAND}$"):
        run.read("layers/1", COMMAND)
    assert run.cached("layers/1", "digest") is None and not run.path.exists()
    run.file("layers/1").mkdir(parents=True)
    with pytest.raises(StoreError, match="not there yet"):
        run.read("layers/1", COMMAND)


def test_objects_are_refused_before_anything_is_written(written):
    run, content = written
    for value in (np.array([{}, None], object), [1, "a", None], np.array([(1, None)], [("x", int), ("y", object)])):
        with pytest.raises(StoreError, match="objects"):
            run.write("layers/1", "digest", HOW, a=value)
    assert run.file("layers/1").read_bytes() == content


def test_a_file_of_objects_is_never_unpickled(run):
    run.file("layers/1").parent.mkdir(parents=True)
    with open(run.file("layers/1"), "wb") as stream:
        np.savez(stream, a=np.array([Explosive()], object), made_from=np.array("digest"), how=np.array("{}"))
    with pytest.raises(StoreError, match="damaged"):
        run.read("layers/1", COMMAND)


class Explosive:
    """Goes off when it is unpickled."""

    def __reduce__(self):
        return _explode, ()


def _explode():
    raise SystemExit("unpickled")


@pytest.mark.parametrize("error, raised", [(OSError(28, "No space left on device"), SurroundingsError),
                                           (KeyboardInterrupt(), KeyboardInterrupt), (MemoryError(), MemoryError)])
def test_a_writer_that_fails_leaves_the_old_file_and_nothing_beside_it(written, monkeypatch, error, raised):
    run, content = written

    def fail(stream, **arrays):
        stream.write(b"half a fi")
        raise error

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(raised):
        run.write("layers/1", "digest", HOW, a=np.zeros(3))
    assert run.file("layers/1").read_bytes() == content
    assert [p.name for p in run.file("layers/1").parent.iterdir()] == ["1.npz"]


def test_a_new_file_takes_the_place_of_the_old_one_and_does_not_write_into_it(written):
    run, content = written
    kept = run.path / "kept"
    os.link(run.file("layers/1"), kept)
    run.write("layers/1", "other", HOW, a=np.zeros(3))
    assert kept.read_bytes() == content and run.cached("layers/1", "other") is not None


def test_a_failure_of_the_last_step_leaves_the_old_file_too(written, monkeypatch):
    run, content = written

    def fail(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(SurroundingsError, match="cannot be written .Permission denied."):
        run.write("layers/1", "other", HOW, a=np.zeros(3))
    assert run.file("layers/1").read_bytes() == content
    assert [p.name for p in run.file("layers/1").parent.iterdir()] == ["1.npz"]


def test_numbers_that_json_does_not_know_leave_the_old_results(run):
    run.write_results("training", {"accuracy": 0.5})
    with pytest.raises(TypeError):
        run.write_results("testing", {"accuracy": np.arange(3)})
    assert run.results() == {"training": {"accuracy": 0.5}}
    assert [p.name for p in run.path.iterdir()] == ["results.json"]


def test_a_result_replaces_the_one_before_it(written):
    run, _ = written
    run.write("layers/1", "other", {}, a=np.zeros(1))
    assert run.read("layers/1", COMMAND, "other")["a"].tolist() == [0] and run.cached("layers/1", "digest") is None


def test_a_directory_that_cannot_be_made_is_an_error_with_a_way_out(tmp_path):
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(SurroundingsError, match="cannot be written .*choose another place"):
        RunDirectory(tmp_path / "run").write("layers/1", "digest", HOW, **TRUE)


def test_results_keep_one_entry_per_mode(run):
    assert run.results() == {}
    run.write_results("training", {"accuracy": 0.5})
    run.write_results("testing", {"accuracy": 0.25, "name": "µ"})
    run.write_results("training", {"accuracy": 0.75})
    assert run.results() == {"training": {"accuracy": 0.75}, "testing": {"accuracy": 0.25, "name": "µ"}}


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"null", b"5", b"\xff\xfe"])
def test_damaged_results_are_an_error_that_says_what_to_do(run, content):
    run.path.mkdir()
    (run.path / "results.json").write_bytes(content)
    for call in (run.results, lambda: run.write_results("testing", {})):
        with pytest.raises(StoreError, match=r"results\.json: damaged .*delete it"):
            call()


def test_parameters_are_copied_whole_and_onto_themselves_without_harm(run, tmp_path):
    source = tmp_path / "mine.py"
    source.write_bytes(b"SEED = 1\r\n# \xc2\xb5\n")
    run.keep_parameters(source)
    run.keep_parameters(str(run.path / "parameters.py"))
    assert (run.path / "parameters.py").read_bytes() == source.read_bytes()


@st.composite
def recordings(draw):
    n_samples, n_steps = draw(st.integers(0, 4)), draw(st.integers(1, 5))
    one = st.tuples(st.integers(0, max(n_samples - 1, 0)), st.integers(0, 5), st.integers(0, n_steps - 1))
    events = draw(st.lists(one, max_size=20 if n_samples else 0))
    return Spikes.from_events(*(zip(*events) if events else ([], [], [])), (2, 1, 3), n_samples, n_steps)


@given(recordings(), st.sampled_from(["", "input_"]))
@example(Spikes.empty((2, 1, 3), 0, 4), "")
@example(Spikes.from_events([0] * 70000, [1] * 70000, [2] * 70000, (2, 1, 3), 1, 4), "")
@example(Spikes.from_events([1], [131071], [2], (2, 256, 256), 2, 4), "")
def test_packed_spikes_come_back_equal(spikes, prefix):
    packed = pack_spikes(spikes, prefix)
    assert all(key.startswith(prefix) and not array.dtype.hasobject for key, array in packed.items())
    found = unpack_spikes(packed, prefix)
    assert found == spikes and found.neurons.dtype == spikes.neurons.dtype
    assert all(type(n) is int for n in (*found.shape, found.n_steps))


def test_spikes_survive_a_file(run):
    spikes = Spikes.from_events([1, 0], [5, 2], [3, 0], (2, 1, 3), 3, 4)
    run.write("data/train", "digest", HOW, labels=np.array([1, 2, 3]), **pack_spikes(spikes))
    assert unpack_spikes(run.read("data/train", COMMAND, "digest")) == spikes


ARRAYS = arrays_of.arrays(st.sampled_from([np.int64, np.uint8, np.float64, "<U3", ">i4"]),
                          arrays_of.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))


@given(ARRAYS, ARRAYS)
def test_digests_are_equal_for_equal_arrays_only(a, b):
    same = a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    assert (digest(a) == digest(b)) == same and digest(a) == digest(a.copy())


def test_digests_tell_values_order_type_and_layout_apart():
    parts = [(), (1,), ("1",), (1.0,), (1, 2), (2, 1), ((1, 2),), ("12",), ("1", "2"), (None,), (np.array(1),),
             (np.array([1]),), (np.array([1, 2]),), (np.array([[1, 2]]),), (np.array([1, 2], np.int32),), (b"1",)]
    assert len({digest(*part) for part in parts}) == len(parts)
    table = np.arange(6).reshape(2, 3)
    assert digest(table) == digest(np.asfortranarray(table)) != digest(table.T)
    assert digest(table[:, ::2]) == digest(table[:, ::2].copy()) and len(digest()) == 64


def test_the_file_is_a_plain_zip_of_plain_arrays(written):
    run, content = written
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert set(archive.namelist()) == {*(f"{k}.npy" for k in TRUE), "made_from.npy", "how.npy", "seal.npy"}
    with np.load(run.file("layers/1"), allow_pickle=False) as found:
        assert json.loads(str(found["how"])) == HOW


def test_what_the_system_refuses_is_not_told_as_damage(run, monkeypatch):
    run.write("svm", "digest", HOW, classes=np.arange(3))

    def refuse(*args, **kwargs):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("zipfile.ZipFile", refuse)
    for read in (partial(run.read, "svm", COMMAND), partial(run.cached, "svm", "digest")):
        with pytest.raises(OSError, match="Too many open files"):
            read()
