"""Data sets: the strict reader against a naive twin on damaged files, downloads from a bad server, splits."""

import gzip
import logging
import os
import socket
import struct
import tempfile
import threading
import tracemalloc
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spikingconvnet.data import datasets, download, idx
from spikingconvnet.data.datasets import load
from spikingconvnet.data.download import cache_folder
from spikingconvnet.data.idx import MNIST_MD5
from spikingconvnet.data.images import ImageSet
from spikingconvnet.data.iris import iris
from spikingconvnet.data.split import Split, check_classes, split
from spikingconvnet.errors import DataError, SettingsError

MNIST = Path(__file__).parents[2] / "data" / "mnist"
RETRY = "main.py --mode loaddata --source DIR_OR_URL"
NAMES = {("train", "images"): "train-images-idx3-ubyte", ("train", "labels"): "train-labels-idx1-ubyte",
         ("test", "images"): "t10k-images-idx3-ubyte", ("test", "labels"): "t10k-labels-idx1-ubyte"}

# Three images of 2 rows and 4 columns: rectangular, more than one, every value different.
IMAGES = [[[1, 2, 3, 4], [5, 6, 7, 8]], [[11, 12, 13, 14], [15, 16, 17, 18]], [[0, 255, 128, 127], [9, 10, 19, 20]]]
LABELS = [7, 0, 255]


# The naive twin: plain Python, nothing from the package


def naive_write(values):
    """IDX bytes of nested lists of 0..255 with 1 or 3 axes."""
    shape, flat = [], values
    while isinstance(flat, list):
        shape.append(len(flat))
        flat = flat[0]
    flat = values
    for _ in shape[1:]:
        flat = [value for part in flat for value in part]
    return bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + bytes(flat)


def naive_read(content, n_axes):
    """Nested lists from IDX bytes, or None if they are anything but a whole IDX file with `n_axes` axes."""
    if len(content) < 4 + 4 * n_axes or content[:4] != bytes([0, 0, 8, n_axes]):
        return None
    shape = [int.from_bytes(content[4 + 4 * axis:8 + 4 * axis], "big") for axis in range(n_axes)]
    size = 1
    for n in shape:
        size *= n
    if 0 in shape or any(n > 4096 for n in shape[1:]) or len(content) != 4 + 4 * n_axes + size:
        return None
    values = list(content[4 + 4 * n_axes:])
    for n in reversed(shape[1:]):
        values = [values[start:start + n] for start in range(0, len(values), n)]
    return values


IMAGE_BYTES, LABEL_BYTES = naive_write(IMAGES), naive_write(LABELS)
PACKED_IMAGES, PACKED_LABELS = gzip.compress(IMAGE_BYTES, mtime=0), gzip.compress(LABEL_BYTES, mtime=0)
ORIGINAL = ImageSet(np.array(IMAGES, np.uint8), np.array(LABELS, np.uint8))


def write(folder, images=IMAGE_BYTES, labels=LABEL_BYTES, part="train", suffix=""):
    """A part of a data set in `folder`; None leaves a file out."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for kind, content in (("images", images), ("labels", labels)):
        if content is not None:
            Path(folder, NAMES[part, kind] + suffix).write_bytes(content)
    return folder


def fails(source, *words, part="train", error=DataError, **kwargs):
    """`load` raises one `error` of one line that holds all `words`."""
    with pytest.raises(error) as caught:
        load(source, part, **kwargs)
    text = str(caught.value)
    assert type(caught.value) is error and "\n" not in text
    for word in words:
        assert word in text, text
    return text


@st.composite
def damage(draw, content):
    """`content` with one to three random faults of the kinds that disks, downloads and editors make."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(content) - 1)))
        kind = draw(st.sampled_from(["flip", "header", "cut", "append", "remove", "insert", "zero"]))
        if kind == "cut":
            del content[at:]
        elif kind == "append":
            content += draw(st.binary(min_size=1, max_size=20))
        elif kind == "remove":
            del content[at:at + draw(st.integers(1, 9))]
        elif kind == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=9))
        elif kind == "zero":
            content[at:] = bytes(len(content) - at)
        elif content:
            content[min(at, 15) if kind == "header" else at] ^= draw(st.integers(1, 255))
    return bytes(content)


# Records


def test_an_image_set_has_a_length_equality_and_a_selection_in_the_given_order():
    chosen = ORIGINAL.select([2, 0, 2])
    assert len(ORIGINAL) == 3 and len(chosen) == 3
    assert chosen == ImageSet(np.array([IMAGES[2], IMAGES[0], IMAGES[2]], np.uint8), np.array([255, 7, 255], np.uint8))
    assert chosen != ORIGINAL and ORIGINAL != "images"


def test_an_empty_selection_is_an_empty_set_of_the_same_shape():
    nothing = ORIGINAL.select([])
    assert len(nothing) == 0 and nothing.images.shape == (0, 2, 4) and nothing.labels.dtype == np.uint8


def test_a_selection_is_a_copy():
    chosen = ORIGINAL.select([0])
    chosen.images[0, 0, 0] = 99
    assert ORIGINAL.images[0, 0, 0] == 1


@pytest.mark.parametrize("indices", [[3], [-1], [0, 1 << 40], [True, False, True], [0.0], [[0]], 0, ["0"], None])
def test_a_selection_outside_the_set_or_of_something_else_is_a_settings_error(indices):
    with pytest.raises(SettingsError, match=r"ImageSet\.select\.indices: must be "):
        ORIGINAL.select(indices)


@pytest.mark.parametrize("images, labels, attribute", [
    (np.zeros((3, 8), np.uint8), np.zeros(3, np.uint8), "images"),
    (np.zeros((3, 2, 4), np.int64), np.zeros(3, np.uint8), "images"),
    (np.zeros((3, 0, 4), np.uint8), np.zeros(3, np.uint8), "images"),
    (IMAGES, np.zeros(3, np.uint8), "images"),
    (np.zeros((3, 2, 4), np.uint8), np.zeros(2, np.uint8), "labels"),
    (np.zeros((3, 2, 4), np.uint8), np.zeros((3, 1), np.uint8), "labels"),
    (np.zeros((3, 2, 4), np.uint8), np.zeros(3), "labels"),
    (np.zeros((3, 2, 4), np.uint8), bytes(3), "labels"),
])
def test_an_image_set_of_the_wrong_form_names_the_array(images, labels, attribute):
    with pytest.raises(DataError, match=rf"ImageSet\.{attribute}: must be "):
        ImageSet(images, labels)


@pytest.mark.parametrize("train, validation, attribute", [
    ([0, 1], [1], "train, validation"), ([0, 0], [1], "train"), ([-1], [1], "train"), ([0.5], [1], "train"),
    ([0], [[1]], "validation"),
])
def test_a_split_that_overlaps_repeats_or_is_no_list_of_indices_cannot_exist(train, validation, attribute):
    with pytest.raises(SettingsError, match=rf"Split\.{attribute}: must be "):
        Split(np.array(train), np.array(validation), np.array([0]))


def test_records_are_frozen():
    for record, attribute in ((ORIGINAL, "images"), (split([1], [1], [1]), "train")):
        with pytest.raises(AttributeError):
            setattr(record, attribute, None)


# The real thing


@pytest.mark.parametrize("part, count, first", [("train", 60000, [5, 0, 4, 1, 9]), ("test", 10000, [7, 2, 1, 0, 4])])
def test_the_mnist_that_comes_along_loads_and_equals_the_naive_reading_of_its_bytes(part, count, first):
    digits = load(MNIST, part)
    assert digits.images.shape == (count, 28, 28) and digits.images.dtype == digits.labels.dtype == np.uint8
    assert digits.labels[:5].tolist() == first and set(digits.labels.tolist()) == set(range(10))
    assert digits.images.tobytes() == gzip.decompress((MNIST / f"{NAMES[part, 'images']}.gz").read_bytes())[16:]
    assert digits.labels.tobytes() == gzip.decompress((MNIST / f"{NAMES[part, 'labels']}.gz").read_bytes())[8:]


def altered_mnist(folder):
    labels = bytearray(gzip.decompress((MNIST / "t10k-labels-idx1-ubyte.gz").read_bytes()))
    labels[-1] ^= 1
    return write(folder, gzip.decompress((MNIST / "t10k-images-idx3-ubyte.gz").read_bytes()), bytes(labels), "test")


def test_one_altered_label_in_a_directory_named_mnist_is_found_by_its_checksum(tmp_path, monkeypatch):
    folder = altered_mnist(tmp_path / "mnist")
    fails(folder, "t10k-labels-idx1-ubyte: altered", "27ae3e4e09519cfbb04c329615203637", RETRY, part="test")
    fails(f"{folder}{os.sep}", "altered", part="test")
    monkeypatch.chdir(folder)
    fails(".", "altered", part="test")


def test_a_set_of_mnists_shape_in_a_directory_of_another_name_needs_no_checksum(tmp_path):
    assert load(altered_mnist(tmp_path / "mnist" / "mine"), "test").labels[-1] == 6 ^ 1


def test_the_checksum_rule_is_not_for_sets_with_a_name_of_their_own(tmp_path):
    folder = altered_mnist(tmp_path / "mnist")
    for path in list(folder.iterdir()):
        path.rename(folder / path.name.replace("t10k", "emnist-mnist-test"))
    assert len(load(folder, "test")) == 10000


def test_the_checksum_rule_leaves_sets_of_other_counts_in_a_directory_named_mnist_alone(tmp_path):
    assert load(write(tmp_path / "mnist"), "train") == ORIGINAL


def test_the_readme_of_the_mnist_files_lists_the_checksums_that_are_enforced():
    text = (MNIST / "README.md").read_text(encoding="utf-8")
    assert all(md5 in text for md5 in MNIST_MD5.values())


# Names and places


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_plain_and_gzip_files_load_by_their_content_whatever_the_suffix_says(tmp_path, part, pack, dotted, suffix):
    for kind, content in (("images", IMAGE_BYTES), ("labels", LABEL_BYTES)):
        name = NAMES[part, kind].replace("-idx", ".idx") if dotted else NAMES[part, kind]
        (tmp_path / (name + suffix)).write_bytes(pack(content))
    assert load(tmp_path, part) == load(str(tmp_path), part) == ORIGINAL


@pytest.mark.parametrize("part, stem", [("train", "train"), ("test", "test")])
def test_emnist_names_are_found_and_their_images_turned_upright(tmp_path, part, stem):
    (tmp_path / f"emnist-digits-{stem}-images-idx3-ubyte.gz").write_bytes(PACKED_IMAGES)
    (tmp_path / f"emnist-digits-{stem}-labels-idx1-ubyte.gz").write_bytes(PACKED_LABELS)
    digits = load(tmp_path, part)
    assert digits.images[0].tolist() == [[1, 5], [2, 6], [3, 7], [4, 8]]
    assert digits.images.flags.c_contiguous and digits.labels.tolist() == LABELS


def test_upright_means_the_same_as_python_mnists_own_treatment_of_emnist(tmp_path):
    from mnist import MNIST as PythonMNIST
    (tmp_path / "emnist-digits-train-images-idx3-ubyte.gz").write_bytes(PACKED_IMAGES)
    (tmp_path / "emnist-digits-train-labels-idx1-ubyte.gz").write_bytes(PACKED_LABELS)
    reader = PythonMNIST(str(tmp_path))
    reader.select_emnist("digits")
    images, _ = reader.load_training()
    assert load(tmp_path, "train").images.reshape(3, -1).tolist() == images


def test_other_prefixes_are_found_and_their_images_left_alone(tmp_path):
    write(tmp_path)
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / f"kannada-{path.name}")
    assert load(tmp_path, "train") == ORIGINAL


def test_two_prefixed_sets_in_one_directory_are_an_error_that_names_both(tmp_path):
    for name in ("emnist-digits", "emnist-letters"):
        (tmp_path / f"{name}-train-images-idx3-ubyte.gz").write_bytes(PACKED_IMAGES)
        (tmp_path / f"{name}-train-labels-idx1-ubyte.gz").write_bytes(PACKED_LABELS)
    fails(tmp_path, f"{tmp_path}: one set expected, 2 found (emnist-digits, emnist-letters)", "directory of their own")


def test_canonical_names_go_before_prefixed_ones(tmp_path):
    write(tmp_path)
    (tmp_path / "emnist-digits-train-images-idx3-ubyte.gz").write_bytes(PACKED_IMAGES)
    (tmp_path / "emnist-digits-train-labels-idx1-ubyte.gz").write_bytes(PACKED_LABELS)
    assert load(tmp_path, "train") == ORIGINAL


def test_images_of_one_set_are_never_paired_with_labels_of_another(tmp_path):
    write(tmp_path, labels=None)
    (tmp_path / "emnist-digits-train-labels-idx1-ubyte.gz").write_bytes(PACKED_LABELS)
    fails(tmp_path, "the train set is not there, only train-images-idx3-ubyte, emnist-digits-train-labels-idx1-ubyte")


def test_a_folder_with_the_name_of_a_file_does_not_hide_the_packed_file(tmp_path):
    write(tmp_path, PACKED_IMAGES, PACKED_LABELS, suffix=".gz")
    (tmp_path / "train-images-idx3-ubyte").mkdir()
    assert load(tmp_path, "train") == ORIGINAL


def test_the_parts_do_not_mix(tmp_path):
    write(tmp_path)
    write(tmp_path, naive_write([[[3]]]), naive_write([4]), "test")
    assert load(tmp_path, "train") == ORIGINAL
    assert load(tmp_path, "test") == ImageSet(np.array([[[3]]], np.uint8), np.array([4], np.uint8))


def test_a_missing_set_names_every_file_that_was_looked_for(tmp_path):
    fails(tmp_path, str(tmp_path), "train-images-idx3-ubyte[.gz]", "train-images.idx3-ubyte[.gz]",
          "SET-train-images-idx3-ubyte[.gz]", "train-labels-idx1-ubyte[.gz]", "train-labels.idx1-ubyte[.gz]",
          "SET-train-labels-idx1-ubyte[.gz]", RETRY)
    fails(tmp_path, "t10k-images-idx3-ubyte[.gz]", "SET-test-labels-idx1-ubyte[.gz]", RETRY, part="test")


@pytest.mark.parametrize("images, labels, present", [
    (None, LABEL_BYTES, "train-labels-idx1-ubyte"), (IMAGE_BYTES, None, "train-images-idx3-ubyte")])
def test_half_a_set_says_which_half_is_there(tmp_path, images, labels, present):
    fails(write(tmp_path, images, labels), f"the train set is not there, only {present};", RETRY)


def test_a_source_that_is_no_directory_is_a_data_error(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    for source in (tmp_path / "absent", file, "ftp://example.org/mnist", "file:///etc", "a\0b", "x" * 5000):
        fails(source, str(Path(source)), "cannot be listed", RETRY)


@pytest.mark.parametrize("source", ["", None, 3, b"data", ["data"]])
def test_a_source_that_is_no_text_or_path_is_a_data_error(source):
    fails(source, "load.source: must be a directory or an http(s) address")


@pytest.mark.parametrize("part", ["validation", "", None, 0, ["train"]])
def test_another_part_than_train_and_test_is_a_settings_error(part):
    fails(MNIST, "load.part: must be 'train' or 'test'", part=part, error=SettingsError)


def test_folders_dead_links_loops_and_pipes_in_place_of_a_file_are_data_errors(tmp_path):
    for number, make in enumerate((Path.mkdir, lambda path: path.symlink_to("absent"),
                                   lambda path: path.symlink_to(path), os.mkfifo)):
        folder = write(tmp_path / str(number), images=None)
        make(folder / "train-images-idx3-ubyte")
        fails(folder, "train-images-idx3-ubyte: a regular file expected", RETRY)


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_a_file_that_cannot_be_read_is_a_data_error_with_the_reason(tmp_path, monkeypatch, error):
    def refuse(*args):
        raise error
    monkeypatch.setattr(idx, "open", refuse, raising=False)
    fails(write(tmp_path), "train-labels-idx1-ubyte: cannot be read", error.strerror, RETRY)


def test_a_directory_that_cannot_be_listed_is_a_data_error(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(os, "listdir", refuse)
    fails(tmp_path, "cannot be listed (Permission denied)", RETRY)


def test_reading_leaves_the_source_and_an_unneeded_cache_as_they_are(tmp_path):
    write(tmp_path / "set")
    load(tmp_path / "set", "train", cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists() and len(list((tmp_path / "set").iterdir())) == 2


# Damage


def header(magic, *shape):
    return struct.pack(f">{1 + len(shape)}I", magic, *shape)


@pytest.mark.parametrize("images, words", [
    (b"", "16 bytes of header expected, an empty file found"),
    (IMAGE_BYTES[:3], "16 bytes of header expected, 3 found"),
    (IMAGE_BYTES[:15], "16 bytes of header expected, 15 found"),
    (IMAGE_BYTES[:16], "24 bytes are missing (40 expected by its header, 16 found)"),
    (IMAGE_BYTES[:-1], "1 bytes are missing (40 expected by its header, 39 found)"),
    (IMAGE_BYTES + b"\0", "more bytes follow after the 40 expected by its header"),
    (LABEL_BYTES + bytes(20), "an IDX file of unsigned bytes with 1 axis, 3; images have to be unsigned bytes with 3"),
    (b"<!DOCTYPE html><html>", "magic number 2051 expected, 1008813135 found"),
    (header(2051, 3, 2, 4)[::-1] + bytes(24), "magic number 2051 expected, 67108864 found"),
    (header(2051, 0, 2, 4), "at least one of its images expected, 0 found"),
    (header(2051, 3, 0, 4), "1 to 4096 rows expected, 0 found"),
    (header(2051, 3, 2, 0), "1 to 4096 columns expected, 0 found"),
    (header(2051, 3, 4097, 4) + bytes(3 * 4097 * 4), "1 to 4096 rows expected, 4097 found"),
    (header(2051, 3, 2, 0xFFFFFFFF), "1 to 4096 columns expected, 4294967295 found"),
    (header(2051, 0xFFFFFFFF, 1, 1) + bytes(24), "at most 2147483648 bytes allowed, 4294967311 declared"),
    (header(2051, 0xFFFFFFFF, 4096, 4096) + bytes(24), "at most 2147483648 bytes allowed"),
    (header(2051, 2_000_000_000, 1, 1) + bytes(24), "1999999976 bytes are missing"),
    (naive_write(IMAGES[:2]), "2 labels expected, one for each image in"),
])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_each_fault_of_an_image_file_is_told_with_what_was_expected_and_found(tmp_path, images, words, pack):
    fails(write(tmp_path, pack(images)), str(tmp_path), "train-images-idx3-ubyte", words, RETRY)


@pytest.mark.parametrize("labels, words", [
    (b"", "8 bytes of header expected, an empty file found"),
    (IMAGE_BYTES, "an IDX file of unsigned bytes with 3 axes, 3x2x4; labels have to be unsigned bytes with 1 axis;"),
    (header(0x0C01, 3) + bytes(12), "an IDX file of 32-bit integers with 1 axis, 3; labels have to be unsigned bytes"),
    (header(2049, 0), "at least one of its labels expected, 0 found"),
    (LABEL_BYTES[:-1], "1 bytes are missing (11 expected by its header, 10 found)"),
    (LABEL_BYTES + b"\n", "more bytes follow after the 11 expected by its header"),
    (naive_write([1, 2, 3, 4]), "3 labels expected"),
])
def test_each_fault_of_a_label_file_is_told_with_what_was_expected_and_found(tmp_path, labels, words):
    fails(write(tmp_path, labels=labels), str(tmp_path / "train-labels-idx1-ubyte"), words, RETRY)


@pytest.mark.parametrize("code, name, dtype", [
    (0x09, "signed bytes", "i1"), (0x0B, "16-bit integers", ">i2"), (0x0C, "32-bit integers", ">i4"),
    (0x0D, "32-bit floats", ">f4"), (0x0E, "64-bit floats", ">f8"), (0x08, "unsigned bytes", "u1")])
@pytest.mark.parametrize("shape", [(3, 2, 4), (3, 2, 4, 3), (3, 8)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
def test_a_whole_idx_file_of_another_kind_is_told_what_it_is_and_how_to_make_it(tmp_path, code, name, dtype, shape,
                                                                                pack):
    images = header(code << 8 | len(shape), *shape) + np.ones(shape, dtype).tobytes()
    if (code, len(shape)) == (8, 3):
        assert load(write(tmp_path, pack(images)), "train").images.shape == shape
        return
    text = fails(write(tmp_path, pack(images)), str(tmp_path / "train-images-idx3-ubyte"),
                 f"an IDX file of {name} with {len(shape)} axes, {'x'.join(map(str, shape))}; images have to be",
                 "unsigned bytes with 3 axes", "uint8 (N, rows, columns)", "spikingconvnet.data.save_images", RETRY)
    assert "get the file again" not in text


def test_files_named_as_of_another_kind_are_named(tmp_path):
    (tmp_path / "train-images-idx4-ubyte").write_bytes(b"")
    (tmp_path / "train-labels-idx1-int").write_bytes(b"")
    fails(tmp_path, "the train set is not there, only train-images-idx4-ubyte, train-labels-idx1-int;", RETRY)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_set_that_was_saved_is_read_back_and_is_what_the_naive_twin_writes(tmp_path, part):
    datasets.save(tmp_path / "own" / "set", part, ORIGINAL.images, ORIGINAL.labels)
    assert load(tmp_path / "own" / "set", part) == ORIGINAL
    assert (tmp_path / "own" / "set" / NAMES[part, "images"]).read_bytes() == IMAGE_BYTES
    assert (tmp_path / "own" / "set" / NAMES[part, "labels"]).read_bytes() == LABEL_BYTES


@pytest.mark.parametrize("images, labels", [
    (ORIGINAL.images.astype(float), ORIGINAL.labels), (ORIGINAL.images, ORIGINAL.labels.astype(int)),
    (ORIGINAL.images[0], ORIGINAL.labels), (ORIGINAL.images, ORIGINAL.labels[:2]),
    (ORIGINAL.images[:0], ORIGINAL.labels[:0])])
def test_what_could_not_be_read_back_is_not_saved(tmp_path, images, labels):
    with pytest.raises(DataError):
        datasets.save(tmp_path, "train", images, labels)
    with pytest.raises(SettingsError, match="save.part"):
        datasets.save(tmp_path, "t10k", ORIGINAL.images, ORIGINAL.labels)
    assert list(tmp_path.iterdir()) == []


def test_the_example_of_a_digit_file_that_lacks_100_bytes_reads_as_a_user_needs_it(tmp_path):
    content = gzip.decompress((MNIST / "train-images-idx3-ubyte.gz").read_bytes())[:-100]
    write(tmp_path, gzip.compress(content, 1), gzip.compress(naive_write([0] * 60000)), suffix=".gz")
    assert fails(tmp_path) == (
        f"{tmp_path / 'train-images-idx3-ubyte.gz'}: 100 bytes are missing (47040016 expected by its header, "
        f"47039916 found); get the file again, or run: {RETRY}")


@pytest.mark.parametrize("at", range(len(PACKED_IMAGES)))
def test_a_gzip_file_cut_anywhere_is_a_data_error(tmp_path, at):
    fails(write(tmp_path, PACKED_IMAGES[:at]), "train-images-idx3-ubyte", RETRY)


def test_a_plain_file_cut_anywhere_is_a_data_error(tmp_path):
    for at in range(len(IMAGE_BYTES)):
        fails(write(tmp_path, IMAGE_BYTES[:at]), RETRY)
    for at in range(len(LABEL_BYTES)):
        fails(write(tmp_path, labels=LABEL_BYTES[:at]), RETRY)


@pytest.mark.parametrize("at", [-8, -1])
def test_a_wrong_checksum_or_length_in_the_trailer_of_a_gzip_file_is_a_data_error(tmp_path, at):
    packed = bytearray(PACKED_IMAGES)
    packed[at] ^= 1
    fails(write(tmp_path, bytes(packed)), "damaged gzip stream", RETRY)


@pytest.mark.parametrize("junk", [b"junk", gzip.compress(b"x", mtime=0), PACKED_IMAGES], ids=["junk", "gzip", "itself"])
def test_anything_behind_the_gzip_stream_is_a_data_error(tmp_path, junk):
    fails(write(tmp_path, PACKED_IMAGES + junk), "train-images-idx3-ubyte", RETRY)


def test_a_file_packed_in_several_gzip_members_is_whole(tmp_path):
    packed = gzip.compress(IMAGE_BYTES[:9]) + gzip.compress(b"") + gzip.compress(IMAGE_BYTES[9:])
    assert load(write(tmp_path, packed), "train") == ORIGINAL


def test_a_file_packed_twice_is_a_data_error(tmp_path):
    fails(write(tmp_path, gzip.compress(PACKED_IMAGES)), "magic number 2051 expected, 529205248 found", RETRY)


def peak_of(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape, words", [((3, 2, 4), "more bytes follow"), ((600_000, 4096, 4096), "at most")])
def test_a_gzip_bomb_is_refused_without_being_unpacked(tmp_path, shape, words):
    write(tmp_path, gzip.compress(header(2051, *shape) + bytes(100 << 20), 1))
    assert peak_of(lambda: fails(tmp_path, words, RETRY)) < 2 << 20


def test_a_header_that_claims_two_gigabytes_costs_no_memory(tmp_path):
    write(tmp_path, header(2051, 127, 4096, 4096) + b"\0" * 100)
    assert peak_of(lambda: fails(tmp_path, "2130706332 bytes are missing", RETRY)) < 2 << 20


def test_large_images_go_through_python_mnist_one_at_a_time(tmp_path):
    """In python-mnist a pixel takes 8 bytes and more."""
    image = np.arange(2048 * 2048, dtype=np.uint8).reshape(1, 2048, 2048).repeat(4, axis=0)
    write(tmp_path, header(2051, *image.shape) + image.tobytes(), naive_write([0, 1, 2, 3]))
    loaded = []
    assert peak_of(lambda: loaded.append(load(tmp_path, "train"))) < 220e6  # 276e6 all at once
    assert np.array_equal(loaded[0].images, image)


def test_a_reading_of_python_mnist_that_differs_from_the_bytes_is_a_data_error(tmp_path, monkeypatch):
    def wrong(images, labels, shape):
        return ImageSet(np.zeros(shape, np.uint8), np.array(LABELS, np.uint8))
    monkeypatch.setattr(idx, "_parse", wrong)
    fails(write(tmp_path), "train-images-idx3-ubyte: python-mnist read other values", RETRY)


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_whatever_the_twin_writes_is_read_back_to_the_byte(data):
    count, rows, columns = (data.draw(st.integers(1, n)) for n in (40, 9, 9))
    pixels = data.draw(st.binary(min_size=count * rows * columns, max_size=count * rows * columns))
    labels = list(data.draw(st.binary(min_size=count, max_size=count)))
    images = naive_read(header(2051, count, rows, columns) + pixels, 3)
    piece = data.draw(st.integers(1, 200))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(idx, "PIECE", piece)
        loaded = load(write(folder, naive_write(images), naive_write(labels)), "train")
    assert loaded.images.tolist() == images and loaded.labels.tolist() == labels


@settings(max_examples=300, deadline=None)
@given(images=st.one_of(st.just(IMAGE_BYTES), damage(IMAGE_BYTES)),
       labels=st.one_of(st.just(LABEL_BYTES), damage(LABEL_BYTES)))
@example(images=IMAGE_BYTES[:-8], labels=LABEL_BYTES)
@example(images=header(2051, 3, 4, 2) + IMAGE_BYTES[16:], labels=LABEL_BYTES)
@example(images=header(2051, 2, 3, 4) + IMAGE_BYTES[16:], labels=LABEL_BYTES)
def test_a_damaged_plain_pair_loads_as_the_twin_reads_it_or_is_a_data_error(images, labels):
    """A plain file has no checksum: a flipped pixel is a pixel, but nothing else may slip through."""
    twin_images, twin_labels = naive_read(images, 3), naive_read(labels, 1)
    with tempfile.TemporaryDirectory() as folder:
        write(folder, images, labels)
        if twin_images is None or twin_labels is None or len(twin_images) != len(twin_labels):
            fails(folder, folder, RETRY)
        else:
            loaded = load(folder, "train")
            assert loaded.images.tolist() == twin_images and loaded.labels.tolist() == twin_labels


def loads_the_original_or_fails(source, **kwargs):
    try:
        loaded = load(source, "train", **kwargs)
    except DataError as error:
        assert RETRY in str(error) and "\n" not in str(error)
        return False
    assert loaded == ORIGINAL
    return True


@settings(max_examples=300, deadline=None)
@given(images=damage(PACKED_IMAGES), labels=st.one_of(st.just(PACKED_LABELS), damage(PACKED_LABELS)))
def test_a_damaged_gzip_pair_loads_the_original_or_is_a_data_error(images, labels):
    with tempfile.TemporaryDirectory() as folder:
        loads_the_original_or_fails(write(folder, images, labels, suffix=".gz"))


# Downloads


class Server:
    """A loopback web server; `files` maps a path to its body or to a function that answers by itself."""

    def __init__(self):
        self.files, self.requests = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                answer = outer.files.get(self.path)
                if callable(answer):
                    with_ignored_disconnect(answer, self)
                elif answer is None:
                    self.send_error(404)
                else:
                    start(self, len(answer))
                    with_ignored_disconnect(self.wfile.write, answer)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()

    def offer(self, images=PACKED_IMAGES, labels=PACKED_LABELS, folder="/digits", part="train"):
        self.files = {f"{folder}/{NAMES[part, 'images']}.gz": images, f"{folder}/{NAMES[part, 'labels']}.gz": labels}
        self.requests.clear()
        return self.address + folder

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def with_ignored_disconnect(action, *args):
    with suppress(OSError):
        action(*args)


def start(handler, length=None, **headers):
    handler.send_response(200)
    if length is not None:
        headers["Content-Length"] = str(length)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


@pytest.fixture(scope="module")
def server():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        server = Server()
        yield server
        server.close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache that does not exist yet, and a temporary directory that must be empty again after the test."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    yield tmp_path / "cache"
    assert list(temporary.iterdir()) == []


def nothing_kept(cache):
    return not cache.exists()


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_set_is_downloaded_checked_kept_and_not_downloaded_again(server, cache, part):
    address = server.offer(part=part)
    assert load(address, part, cache) == ORIGINAL
    kept = cache_folder(address, cache)
    assert sorted(path.name for path in kept.iterdir()) == sorted(
        NAMES[part, kind] + ".gz" for kind in ("images", "labels"))
    assert (kept / f"{NAMES[part, 'images']}.gz").read_bytes() == PACKED_IMAGES
    server.files, asked = {}, len(server.requests)
    assert load(address, part, cache) == ORIGINAL and len(server.requests) == asked == 2
    assert load(kept, part) == ORIGINAL


def test_without_a_cache_nothing_is_kept_anywhere(server, cache):
    assert load(server.offer(), "train") == ORIGINAL and nothing_kept(cache)


@pytest.mark.parametrize("ending", ["/", "?key=1", "#top", "/?key=1"])
def test_slashes_questions_and_anchors_at_the_end_of_an_address_do_no_harm(server, cache, ending):
    address = server.offer()
    if "?" in ending:
        server.files = {f"{path}?key=1": body for path, body in server.files.items()}
    assert load(address + ending, "train", cache) == ORIGINAL


def test_the_scheme_of_an_address_may_be_in_capitals(server, cache):
    assert load(server.offer().replace("http", "HTTP"), "train", cache) == ORIGINAL


def test_two_addresses_with_the_same_last_part_do_not_share_a_cache_folder(server, cache):
    assert load(server.offer(folder="/a/digits"), "train", cache) == ORIGINAL
    other = server.offer(naive_write([[[3]]]), naive_write([4]), folder="/b/digits")
    assert load(other, "train", cache).labels.tolist() == [4]


def test_plain_content_under_a_gz_name_is_accepted_from_a_server_too(server, cache):
    assert load(server.offer(IMAGE_BYTES, LABEL_BYTES), "train", cache) == ORIGINAL


def test_a_damaged_kept_copy_is_fetched_again_with_a_warning(server, cache, caplog):
    address = server.offer()
    load(address, "train", cache)
    damaged = cache_folder(address, cache) / "train-images-idx3-ubyte.gz"
    damaged.write_bytes(PACKED_IMAGES[:-3])
    with caplog.at_level(logging.WARNING):
        assert load(address, "train", cache) == ORIGINAL
    assert "kept copy is damaged" in caplog.text and damaged.read_bytes() == PACKED_IMAGES


def test_half_a_kept_set_is_fetched_again(server, cache):
    address = server.offer()
    load(address, "train", cache)
    (cache_folder(address, cache) / "train-labels-idx1-ubyte.gz").unlink()
    assert load(address, "train", cache) == ORIGINAL and len(server.requests) == 4


def test_a_missing_page_is_a_data_error_with_address_and_status(server, cache):
    address = server.offer(labels=None)
    fails(address, f"{address}/train-labels-idx1-ubyte.gz: cannot be downloaded", "404", RETRY, cache_dir=cache)
    assert nothing_kept(cache)


def truncated(handler):
    start(handler, len(PACKED_IMAGES))
    handler.wfile.write(PACKED_IMAGES[:-7])


def truncated_without_length(handler):
    start(handler)
    handler.wfile.write(PACKED_IMAGES[:-7])


def truncated_chunks(handler):
    handler.protocol_version = "HTTP/1.1"
    start(handler, Transfer_Encoding="chunked")
    handler.wfile.write(b"%x\r\n" % len(PACKED_IMAGES) + PACKED_IMAGES[:-7])


def endless(handler):
    start(handler)
    while True:
        handler.wfile.write(bytes(1 << 16))


def endless_chunks(handler):
    handler.protocol_version = "HTTP/1.1"
    start(handler, Transfer_Encoding="chunked")
    while True:
        handler.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


def endless_drip(handler):
    start(handler)
    while True:
        handler.wfile.write(b"\x1f")
        threading.Event().wait(0.01)


def enormous(handler):
    start(handler, 1 << 40)
    handler.wfile.write(PACKED_IMAGES)


def silent(handler):
    start(handler, len(PACKED_IMAGES))
    threading.Event().wait(2)


def rude(handler):
    handler.connection.shutdown(socket.SHUT_RDWR)


def nonsense(handler):
    handler.wfile.write(b"220 ready for mail\r\n\r\n")


def circular(handler):
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def elsewhere(handler):
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/hostname")
    handler.end_headers()


def page(handler):
    start(handler)
    handler.wfile.write(b"<!DOCTYPE html><html><body>Please log in</body></html>")


def bomb(handler):
    start(handler)
    handler.wfile.write(gzip.compress(header(2051, 3, 2, 4) + bytes(30 << 20), 1))


@pytest.mark.parametrize("answer, words", [
    (truncated, "7 bytes are missing"), (truncated_without_length, "damaged gzip stream"),
    (truncated_chunks, "cannot be downloaded"), (endless, "longer than the limit"),
    (endless_chunks, "longer than the limit"), (endless_drip, "took longer than 0.3 s"),
    (enormous, "longer than the limit"), (silent, "timed out"), (rude, "cannot be downloaded"),
    (nonsense, "cannot be downloaded"), (circular, "cannot be downloaded"), (elsewhere, "cannot be downloaded"),
    (page, "magic number 2051 expected"), (bomb, "more bytes follow"),
])
def test_a_server_that_misbehaves_is_a_data_error_and_leaves_nothing(server, cache, monkeypatch, answer, words):
    monkeypatch.setattr(download, "MAX_DOWNLOAD", 1 << 20)
    monkeypatch.setattr(download, "READ_TIMEOUT", 1.0)
    if answer is endless_drip:
        monkeypatch.setattr(download, "DOWNLOAD_TIMEOUT", 0.3)
    address = server.offer(images=answer)
    fails(address, f"{address}/train-images-idx3-ubyte.gz: ", words, RETRY, cache_dir=cache)
    assert nothing_kept(cache)


def test_a_long_answer_in_chunks_arrives_whole(server, cache):
    def chunks(handler):
        handler.protocol_version = "HTTP/1.1"
        start(handler, Transfer_Encoding="chunked")
        for at in range(0, len(PACKED_IMAGES), 5):
            part = PACKED_IMAGES[at:at + 5]
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")
    assert load(server.offer(images=chunks), "train", cache) == ORIGINAL


def test_a_server_that_keeps_the_connection_open_is_not_waited_for(server, cache):
    def lingering(handler):
        start(handler, len(PACKED_IMAGES))
        handler.wfile.write(PACKED_IMAGES)
        threading.Event().wait(2)
    before = threading.Event()
    worker = threading.Thread(target=lambda: (load(server.offer(images=lingering), "train"), before.set()))
    worker.start()
    assert before.wait(1.5)
    worker.join()


def test_a_redirection_is_followed(server, cache):
    def moved(handler):
        handler.send_response(301)
        handler.send_header("Location", "/new")
        handler.end_headers()
    address = server.offer(images=moved)
    server.files["/new"] = PACKED_IMAGES
    assert load(address, "train", cache) == ORIGINAL


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/mnist", "http://", "http://[", "http://a b/", "https://",
                                     "http://127.0.0.1/\u00e9\n", "HTTP://127.0.0.1:1",
                                     "http://127.0.0.1:1/\udcff"])
def test_an_address_that_leads_nowhere_is_a_data_error(cache, address, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(download, "READ_TIMEOUT", 0.5)
    assert not loads_the_original_or_fails(address, cache_dir=cache) and nothing_kept(cache)


def test_an_altered_mnist_from_an_address_that_ends_in_mnist_is_found_and_not_kept(server, cache, tmp_path):
    folder = altered_mnist(tmp_path / "altered")
    bodies = [(folder / NAMES["test", kind]).read_bytes() for kind in ("images", "labels")]
    address = server.offer(*bodies, folder="/sets/mnist", part="test")
    fails(address + "/", f"{address}/t10k-labels-idx1-ubyte.gz: altered", part="test", cache_dir=cache)
    assert nothing_kept(cache)
    assert len(load(server.offer(*bodies, folder="/sets/mine", part="test"), "test", cache)) == 10000


def test_a_cache_that_cannot_be_written_is_a_data_error(server, cache):
    cache.write_bytes(b"a file in its place")
    fails(server.offer(), str(cache), "a download cannot be kept there", "another cache directory", cache_dir=cache)
    assert cache.read_bytes() == b"a file in its place"


def test_a_disk_that_fills_up_while_a_download_is_kept_leaves_no_half_file(server, cache, monkeypatch):
    def half_a_copy(source, target):
        target.write(source.read(5))
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(download.shutil, "copyfileobj", half_a_copy)
    fails(server.offer(), "No space left on device", cache_dir=cache)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_kept_files_appear_in_one_step_or_not_at_all(server, cache, monkeypatch):
    def refuse(source, target):
        raise OSError(5, "Input/output error")
    monkeypatch.setattr(os, "replace", refuse)
    fails(server.offer(), "Input/output error", "another cache directory", cache_dir=cache)
    assert not [path for path in cache.rglob("*") if path.is_file()]


@settings(max_examples=60, deadline=None)
@given(images=damage(PACKED_IMAGES), labels=st.one_of(st.just(PACKED_LABELS), damage(PACKED_LABELS)))
def test_a_damaged_download_is_never_kept(server, images, labels):
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache")
        if loads_the_original_or_fails(server.offer(images, labels), cache_dir=cache):
            assert len([path for path in cache.rglob("*") if path.is_file()]) == 2
        else:
            assert nothing_kept(cache)


# Splits


def test_the_usual_split_trains_on_the_first_and_validates_on_the_last():
    train = np.arange(60) % 10
    parts = split(train, train[:10], n_train=50, n_validation=10)
    assert parts.train.tolist() == list(range(50)) and parts.validation.tolist() == list(range(50, 60))
    assert parts.test.tolist() == list(range(10))
    assert all(part.dtype == np.int64 for part in (parts.train, parts.validation, parts.test))


def test_a_split_of_some_classes_keeps_the_file_order_worked_out_by_hand():
    train, test = [1, 2, 3, 1, 2, 3, 1, 2, 3], [3, 3, 2, 1, 1]
    assert split(train, test, [3, 1], n_train=3, n_validation=2, n_test=3) == Split(
        np.array([0, 2, 3]), np.array([6, 8]), np.array([0, 1, 3]))
    assert split(train, test, [3, 1], n_train=1, n_validation=1, n_test=1, per_class=True) == Split(
        np.array([0, 2]), np.array([6, 8]), np.array([0, 3]))


def test_no_count_takes_all_that_validation_leaves():
    parts = split([4, 4, 5, 4], [5, 4], [4], n_validation=1)
    assert parts == Split(np.array([0, 1]), np.array([3]), np.array([1]))
    assert len(split([4, 4], [4], [4], n_validation=2).train) == 0


def test_zero_is_a_count_and_not_all():
    parts = split([4, 4], [4], [4], n_train=0, n_test=0)
    assert len(parts.train) == len(parts.validation) == len(parts.test) == 0
    assert all(part.dtype == np.int64 for part in (parts.train, parts.validation, parts.test))


def test_labels_stay_the_class_ids_of_the_file():
    train = ImageSet(np.zeros((4, 1, 1), np.uint8), np.array([9, 3, 26, 3], np.uint8))
    parts = split(train.labels, train.labels, classes=(26, 3))
    assert train.select(parts.train).labels.tolist() == [3, 26, 3]


def test_a_class_in_only_one_of_the_files_is_allowed():
    assert split([1, 2], [1], [1, 2]) == Split(np.array([0, 1]), np.array([], np.int64), np.array([0]))


counts = st.integers(0, 12)


@settings(max_examples=300, deadline=None)
@given(train=st.lists(st.integers(0, 4), max_size=40), test=st.lists(st.integers(0, 4), max_size=20),
       classes=st.sets(st.integers(0, 4), min_size=1), n_train=st.none() | counts, n_validation=counts,
       n_test=st.none() | counts, per_class=st.booleans(), seed=st.none() | st.integers(0, 99))
def test_a_split_has_the_counts_classes_and_files_asked_for_or_is_a_settings_error(
        train, test, classes, n_train, n_validation, n_test, per_class, seed):
    def once():
        rng = None if seed is None else np.random.default_rng(seed)
        return split(train, test, classes, n_train, n_validation, n_test, per_class, rng)

    groups = [{c} for c in classes] if per_class else [classes]
    there = [(sum(c in group for c in train), sum(c in group for c in test)) for group in groups]
    possible = classes <= set(train + test) and all(
        (n_train or 0) + n_validation <= in_train and (n_test or 0) <= in_test for in_train, in_test in there)
    if not possible:
        with pytest.raises(SettingsError, match=r"split\.(classes|n_train|n_test)"):
            once()
        return
    parts = once()
    assert parts == once()
    assert not set(parts.train.tolist()) & set(parts.validation.tolist())
    for group, (in_train, in_test) in zip(groups, there):
        assert sum(train[i] in group for i in parts.train) == (in_train - n_validation if n_train is None else n_train)
        assert sum(train[i] in group for i in parts.validation) == n_validation
        assert sum(test[i] in group for i in parts.test) == (in_test if n_test is None else n_test)
    assert {train[i] for i in (*parts.train, *parts.validation)} | {test[i] for i in parts.test} <= classes
    if seed is None:
        assert all((np.diff(part) > 0).all() for part in (parts.train, parts.validation, parts.test))
        if not per_class:
            pool = [i for i, c in enumerate(train) if c in classes]
            assert parts.train.tolist() == pool[:len(parts.train)]
            assert parts.validation.tolist() == pool[len(pool) - n_validation:]


def test_the_same_seed_shuffles_alike_and_another_one_differently():
    labels = np.zeros(100, int)
    first, again, other = (split(labels, labels, [0], 50, 20, 30, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert first == again != other
    assert not np.array_equal(first.train, np.sort(first.train))


def test_asking_for_validation_images_does_not_change_which_ones_train():
    labels = np.arange(100) % 4
    for per_class in (False, True):
        few, many = (split(labels, labels, range(4), 5, n, per_class=per_class, rng=np.random.default_rng(3))
                     for n in (0, 20))
        assert np.array_equal(few.train, many.train)


@contextmanager
def settings_error(text):
    with pytest.raises(SettingsError) as caught:
        yield
    assert str(caught.value) == text


def test_asking_for_more_than_there_is_tells_how_much_there_is():
    labels = [1, 1, 1, 2]
    with settings_error("split.n_train: must be at most 4, as many as its file has of classes [1, 2], got 5"):
        split(labels, labels, [1, 2], n_train=5)
    with settings_error("split.n_train, n_validation: must be at most 4 together, as many as its file has of "
                        "classes [1, 2], got (3, 2)"):
        split(labels, labels, [1, 2], n_train=3, n_validation=2)
    with settings_error("split.n_train, n_validation: must be at most 1 together, as many as its file has of "
                        "classes [2], got (None, 2)"):
        split(labels, labels, [1, 2], n_validation=2, per_class=True)
    with settings_error("split.n_test: must be at most 0, as many as its file has of classes [2], got 1"):
        split(labels, [1], [2], n_test=1)


def test_an_unknown_class_tells_which_there_are():
    with settings_error("split.classes: must be among those in the files, [1, 2, 7], got [0, 3]"):
        split([1, 2], [7], [0, 1, 3])


@pytest.mark.parametrize("classes", [(), [1, 1], 1, None, "1", [1.0], [None], [[1]]])
def test_classes_that_are_no_set_of_ids_are_a_settings_error(classes):
    with pytest.raises(SettingsError, match=r"split\.classes: must be "):
        split([1, 2], [1], classes)


@pytest.mark.parametrize("name", ["n_train", "n_validation", "n_test"])
@pytest.mark.parametrize("count", [-1, 1.0, "1", True, [1], float("nan")])
def test_a_count_that_is_no_whole_number_of_0_or_more_is_a_settings_error(name, count):
    with pytest.raises(SettingsError, match=rf"split\.{name}: must be a whole number, 0 or more"):
        split([1, 2], [1], [1], **{name: count})


def test_validation_has_no_count_that_means_all():
    with pytest.raises(SettingsError, match=r"split\.n_validation: must be a whole number, 0 or more, got None"):
        split([1], [1], [1], n_validation=None)


@pytest.mark.parametrize("labels", [[[1]], [1.5], ["1"], 1, None, [True]])
def test_labels_that_are_no_row_of_integers_are_a_settings_error(labels):
    for train, test, name in ((labels, [1], "train"), ([1], labels, "test")):
        with pytest.raises(SettingsError, match=rf"split\.{name}_labels: must be integers with 1 axis"):
            split(train, test, [1])


def test_mnist_splits_into_50000_10000_and_10000_with_test_digits_from_the_test_file_only():
    train, test = (np.frombuffer(gzip.decompress((MNIST / f"{NAMES[part, 'labels']}.gz").read_bytes())[8:], np.uint8)
                   for part in ("train", "test"))
    parts = split(train, test, n_train=50000, n_validation=10000)
    assert (parts.train[-1], parts.validation[0], len(parts.validation), parts.test.tolist()) == (
        49999, 50000, 10000, list(range(10000)))


def test_irises_are_the_measured_millimetres_of_three_species():
    flowers = iris()
    assert flowers.images.shape == (150, 1, 4) and np.bincount(flowers.labels).tolist() == [50, 50, 50]
    assert flowers.images[0, 0].tolist() == [51, 35, 14, 2] and flowers.images[149, 0].tolist() == [59, 30, 51, 18]


def test_irises_have_a_training_and_a_test_part_without_a_common_flower():
    train, test = (datasets.load("iris", part) for part in ("train", "test"))
    assert np.bincount(train.labels).tolist() == [40, 40, 40] and np.bincount(test.labels).tolist() == [10, 10, 10]
    both = np.concatenate([train.images, test.images]).reshape(150, 4)
    assert sorted(both.tolist()) == sorted(iris().images.reshape(150, 4).tolist())
    assert train.labels[:6].tolist() == [0, 1, 2, 0, 1, 2]


def test_zeros_behind_a_packed_file_are_not_read_to_their_end(tmp_path):
    write(tmp_path, PACKED_IMAGES, PACKED_LABELS, suffix=".gz")
    with open(next(tmp_path.glob("*images*")), "r+b") as stream:
        stream.truncate(1 << 40)
    fails(tmp_path, "images", "more bytes follow after the")


def test_classes_that_no_training_image_has_are_warned_of_and_no_others(caplog):
    labels = {"train": np.array([0, 1, 1]), "validation": np.array([1, 0]), "test": np.array([0, 4, 7, 4])}
    with caplog.at_level(logging.WARNING):
        check_classes(labels, "digits")
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("warning: no training image is of class 4 or 7, so the 3 test images of it")
