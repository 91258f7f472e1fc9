"""Images from whatever people keep them in; each is right, or ends in a true sentence."""

import gzip
import hashlib
import os
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from spikingconvnet.data import datasets, sources, sources_named
from spikingconvnet.data.sources import read_images
from spikingconvnet.errors import DataError
from spikingconvnet.store.directory import DOWNLOADS, RunDirectory

GREY = np.random.default_rng(0).integers(0, 256, (6, 8, 9), np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (6, 8, 9, 3), np.uint8)


def pictures(folder, images, kind="png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{number:03d}.{kind}")
    return folder


@pytest.mark.parametrize("images", [GREY, COLOUR], ids=["grey", "colour"])
def test_images_without_labels_are_those_of_the_file(tmp_path, images):
    np.save(tmp_path / "a.npy", images)
    np.savez(tmp_path / "b.npz", x_test=images, y_test=np.arange(6))
    np.savez(tmp_path / "c.npz", only=images)
    folder = pictures(tmp_path / "d", images)
    for paths in (tmp_path / "a.npy", [str(tmp_path / "b.npz")], tmp_path / "c.npz", folder, sorted(folder.iterdir())):
        found = read_images(paths)
        assert found.dtype == np.uint8 and np.array_equal(found, images)
    assert np.array_equal(read_images([folder, tmp_path / "a.npy"]), np.concatenate([images, images]))


def test_idx_files_tables_and_single_images_are_read(tmp_path):
    datasets.save(tmp_path, "train", GREY, np.arange(6, dtype=np.uint8))
    assert np.array_equal(read_images(tmp_path / "train-images-idx3-ubyte"), GREY)
    square = GREY[:, :, :8]
    np.savetxt(tmp_path / "t.csv", np.column_stack([np.arange(6), square.reshape(6, -1)]), "%d", ",",
               header="label," + ",".join(f"p{i}" for i in range(64)), comments="")
    assert np.array_equal(read_images(tmp_path / "t.csv"), square)
    (tmp_path / "u.csv").write_bytes((tmp_path / "t.csv").read_bytes().rstrip(b"\n"))       # as many editors leave it
    assert np.array_equal(read_images(tmp_path / "u.csv"), square)
    np.save(tmp_path / "one.npy", GREY[0])
    np.save(tmp_path / "coloured.npy", COLOUR[0])
    assert np.array_equal(read_images(tmp_path / "one.npy"), GREY[:1])
    assert np.array_equal(read_images(tmp_path / "coloured.npy"), COLOUR[:1])


def test_numbers_from_0_to_1_and_16_bits_become_bytes(tmp_path, caplog):
    caplog.set_level("INFO")
    np.save(tmp_path / "f.npy", GREY / 255)
    np.save(tmp_path / "u.npy", GREY.astype(np.uint16) * 16)
    assert np.array_equal(read_images(tmp_path / "f.npy"), GREY) and "taken for black" in caplog.text
    assert np.array_equal(read_images(tmp_path / "u.npy", white=255 * 16), GREY)


def _sparse(path, begin):
    """A file of a terabyte that is nothing but zeros behind its beginning, and takes no room."""
    path.write_bytes(begin)
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("make, text", [
    (lambda folder: np.save(folder / "a.npy", np.array([GREY, "x"], object)), "holds Python objects"),
    (lambda folder: np.save(folder / "a.npy", GREY[:0]), "no image is in it"),
    (lambda folder: np.save(folder / "a.npy", np.where(GREY == GREY[0, 0, 0], np.nan, GREY)), "are nan or infinite"),
    (lambda folder: np.save(folder / "a.npy", np.full((3, 4, 4), 0.5)), "nothing to see"),
    (lambda folder: np.save(folder / "a.npy", np.zeros((2, 3, 4, 5, 6))), "images have the axes"),
    (lambda folder: np.save(folder / "a.npy", np.full((3, 4, 4), "x")), "images are numbers"),
    (lambda folder: (folder / "a.npy").write_bytes(b"\x93NUMPY nothing"), "cannot be read as NumPy's"),
    (lambda folder: (folder / "a.npz").write_bytes(b"PK nothing"), "cannot be read as NumPy's"),
    (lambda folder: np.savez(folder / "a.npz", one=GREY, two=GREY), "holds one, two; name the array"),
    (lambda folder: (folder / "a.png").write_bytes(b"nothing"), "no picture that pillow knows"),
    (lambda folder: (folder / "a.csv").write_text("1,2,3\n4,5\n"), "every row holds the same number"),
    (lambda folder: _sparse(folder / "a.csv", b"1,2,3\n"), "a line of more than 16,777,216 characters"),
    (lambda folder: _sparse(folder / "a.csv", b""), "a line of more than 16,777,216 characters"),
    (lambda folder: (folder / "a.csv").write_text("x,y,z\n"), "no row is in it"),
    (lambda folder: (folder / "a.txt").write_text("nothing at all, or else"), "not an IDX file of images"),
    (lambda folder: (folder / "empty").mkdir(), "no picture is in this folder"),
    (lambda folder: None, "no file is named")])
def test_what_cannot_be_read_is_told(tmp_path, make, text):
    make(tmp_path)
    with pytest.raises(DataError, match=text):
        read_images(sorted(tmp_path.iterdir()))


def test_pictures_of_mixed_sizes_are_named_or_scaled(tmp_path):
    pictures(tmp_path, [GREY[0], GREY[1, :7]])
    with pytest.raises(DataError, match=r"001.png: pixels 7x9, but 8x9 in .*000.png.*SIZE = "):
        read_images(tmp_path)
    assert read_images(tmp_path, size=(5, 5)).shape == (2, 5, 5)
    with pytest.raises(DataError, match="no such file"):
        read_images(tmp_path / "nowhere.png")


# Sets with labels

LABELS = np.arange(40) % 4
SET = np.random.default_rng(2).integers(0, 256, (40, 6, 7), np.uint8)
SQUARE = SET[:, :, :6]


class Pairs:
    """As torch's map-style Datasets are."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


def npz(**arrays):
    def make(folder):
        np.savez(folder / "set.npz", **arrays)
        return folder / "set.npz"
    return make


def by_class(images, labels, below=""):
    def make(folder):
        for i, (image, label) in enumerate(zip(images, labels)):
            place = folder / below / str(label)
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / f"{i:03d}.png")
        return folder
    return make


def table(rows, header=None, name="set.csv", mark=","):
    def make(folder):
        lines = ([mark.join(header)] if header else []) + [mark.join(map(str, row)) for row in rows]
        (folder / name).write_text("\n".join(lines) + "\n")
        return folder / name
    return make


def idx(train, test):
    def make(folder):
        for part, (images, labels) in (("train", train), ("test", test)):
            datasets.save(folder, part, images, labels.astype(np.uint8))
        return folder
    return make


def both(*makes):
    def make(folder):
        for one in makes:
            one(folder)
        return folder
    return make


ROWS = [[label, *image.ravel()] for label, image in zip(LABELS, SQUARE)]
PARTS = (SET[:30], LABELS[:30]), (SET[30:], LABELS[30:])
GOOD = {     # what makes it, how many are trained and tested with, shape, class ids, names
    "keras": (npz(x_train=SET[:30], y_train=LABELS[:30], x_test=SET[30:], y_test=LABELS[30:]), 30, 10, (6, 7),
              range(4)),
    "Keras": (npz(X_train=SET[:30], Y_train=LABELS[:30, None], X_test=SET[30:], Y_test=LABELS[30:, None]), 30, 10,
              (6, 7), range(4)),
    "Xy": (npz(X=SET, y=LABELS), 32, 8, (6, 7), range(4)),
    "images": (npz(images=SET, labels=LABELS), 32, 8, (6, 7), range(4)),
    "flat": (npz(data=SQUARE.reshape(40, -1), target=LABELS), 32, 8, (6, 6), range(4)),
    "positions": (npz(arr_0=SET, arr_1=LABELS), 32, 8, (6, 7), range(4)),
    "gaps": (npz(images=SET, labels=LABELS * 10 + 3), 32, 8, (6, 7), (3, 13, 23, 33)),
    "from one": (npz(images=SET, labels=LABELS + 1), 32, 8, (6, 7), (1, 2, 3, 4)),
    "negative": (npz(images=SET, labels=np.where(LABELS % 2, 1, -1)), 32, 8, (6, 7), (0, 1)),
    "large ids": (npz(images=SET, labels=LABELS * 1000), 32, 8, (6, 7), range(4)),
    "texts": (npz(images=SET, labels=np.array(["cat", "dog", "eel", "fox"])[LABELS]), 32, 8, (6, 7), range(4)),
    "one hot": (npz(images=SET, labels=np.eye(4)[LABELS]), 32, 8, (6, 7), range(4)),
    "float labels": (npz(images=SET, labels=LABELS.astype(float)), 32, 8, (6, 7), range(4)),
    "unbalanced": (npz(images=SET, labels=np.r_[np.zeros(35, int), np.ones(5, int)]), 32, 8, (6, 7), (0, 1)),
    "one axis more": (npz(images=SET[..., None], labels=LABELS), 32, 8, (6, 7), range(4)),
    "channels first": (npz(images=np.stack([SET] * 3, 1), labels=LABELS), 32, 8, (6, 7, 3), range(4)),
    "opacity": (npz(images=np.stack([SET] * 4, 3), labels=LABELS), 32, 8, (6, 7, 3), range(4)),
    "16 bits": (npz(images=SET.astype(np.uint16) * 257, labels=LABELS), 32, 8, (6, 7), range(4)),
    "0 to 1": (npz(images=SET / 255, labels=LABELS), 32, 8, (6, 7), range(4)),
    "-1 to 1": (npz(images=SET / 127.5 - 1, labels=LABELS), 32, 8, (6, 7), range(4)),
    "bytes as floats": (npz(images=SET.astype(float), labels=LABELS), 32, 8, (6, 7), range(4)),
    "binary": (npz(images=SET > 127, labels=LABELS), 32, 8, (6, 7), range(4)),
    "folders": (by_class(SET, [("one", "two", "three", "four")[label] for label in LABELS]), 32, 8, (6, 7), range(4)),
    "numbered folders": (by_class(SET, LABELS + 5), 32, 8, (6, 7), (5, 6, 7, 8)),
    "folders of parts": (both(by_class(*PARTS[0], "train"), by_class(*PARTS[1], "test")), 30, 10, (6, 7), range(4)),
    "table": (table(ROWS), 32, 8, (6, 6), range(4)),
    "named column": (table([row[::-1] for row in ROWS], [*(f"p{i}" for i in range(36)), "Label"]), 32, 8, (6, 6),
                     range(4)),
    "semicolons": (table(ROWS, mark=";"), 32, 8, (6, 6), range(4)),
    "tables of parts": (both(table(ROWS[:30], name="train.csv"), table(ROWS[30:], name="test.csv")), 30, 10, (6, 6),
                        range(4)),
    "idx, from one": (idx((SET[:30], LABELS[:30] + 1), (SET[30:], LABELS[30:] + 1)), 30, 10, (6, 7), (1, 2, 3, 4))}


@pytest.mark.parametrize("name", GOOD)
def test_a_set_is_read_as_it_is_meant(tmp_path, name):
    make, n_train, n_test, shape, classes = GOOD[name]
    found = sources.load(make(tmp_path))
    assert (len(found.train), len(found.test), found.train.images.shape[1:]) == (n_train, n_test, shape)
    assert np.array_equal(np.union1d(found.train.labels, found.test.labels), list(classes))
    whole = np.concatenate([found.train.images, found.test.images])
    wanted = SQUARE if shape == (6, 6) else SET
    wanted = (wanted > 127) * 255 if name == "binary" else wanted
    pixels = {image.tobytes() for image in (whole if whole.ndim == 3 else whole[..., 0])}
    if name in ("16 bits", "-1 to 1"):      # from the smallest and the largest number that are there
        assert abs(np.sort(whole.ravel()).astype(int) - np.sort(SET.ravel())).max() <= 1
    elif name != "named column":
        assert pixels == {image.astype(np.uint8).tobytes() for image in wanted}


def test_images_keep_their_labels(tmp_path):
    found = sources.load(GOOD["folders"][0](tmp_path))
    assert found.names == {0: "four", 1: "one", 2: "three", 3: "two"}
    of = {image.tobytes(): label for image, label in zip(SET, LABELS)}
    for part in (found.train, found.test):
        words = [found.names[label] for label in part.labels.tolist()]
        assert words == [("one", "two", "three", "four")[of[image.tobytes()]] for image in part.images]
        assert len(set(words)) == 4


BAD = {
    "empty": (npz(images=SET[:0], labels=LABELS[:0]), "no image is in it"),
    "nan": (npz(images=np.where(SET == SET[0, 0, 0], np.nan, SET), labels=LABELS), "are nan or infinite"),
    "all the same": (npz(images=np.full((40, 6, 7), 0.25), labels=LABELS), "nothing to see"),
    "one image": (npz(images=SET[:1], labels=LABELS[:1]), "not two of any class, so there is none to test with"),
    "last axis counts": (npz(images=np.moveaxis(SET, 0, -1), labels=LABELS), r"np.moveaxis\(images, 2, 0\)"),
    "too few labels": (npz(images=SET, labels=LABELS[:39]), "40 images, but 39 labels; each image needs one"),
    "objects": (npz(images=np.array([SET[0], "x"], object), labels=LABELS[:2]), "holds Python objects"),
    "no square": (npz(images=SET.reshape(40, -1), labels=LABELS), "42 pixels are no square"),
    "two channels": (npz(images=np.stack([SET] * 2, 3), labels=LABELS), "the last axis .* holds 1 grey value"),
    "measurements": (npz(images=SET, labels=LABELS / 3), "which are no classes"),
    "nan labels": (npz(images=SET, labels=np.where(LABELS, LABELS, np.nan)), "labels: 10 of 40 numbers are nan"),
    "each its own class": (npz(images=np.zeros((300, 6, 7), np.uint8), labels=np.arange(300) * 7),
                           "300 different labels; at most 256"),
    "strange names": (npz(pictures=SET, kinds=LABELS), "holds pictures, kinds; name the arrays x_train"),
    "no labels": (npz(images=SET), "holds images; name the arrays"),
    "unlike parts": (npz(x_train=SET, y_train=LABELS, x_test=SQUARE, y_test=LABELS),
                     "training images of 6x7, but test images of 6x6"),
    "mixed sizes": (both(by_class(SET[:4], "aabb"), by_class(SQUARE[4:5], "a")), "pixels 6x7, but 6x6 .* SIZE = "),
    "folders without": (lambda folder: [(folder / name).mkdir() for name in "ab"] and folder, "no image and no event"),
    "text": (table([["a", "b"], ["c", "d"]]), "could not convert"),
    "one column": (table([[1], [2]]), "only one column"),
    "unknown": (table([[1]], name="set.parquet"), "is no source of labelled images"),
    "nowhere": (lambda folder: folder / "nowhere", "no such file, folder or data set; .* fashion-mnist")}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_with_a_set_is_said(tmp_path, name):
    make, text = BAD[name]
    with pytest.raises(DataError, match=text):
        sources.load(make(tmp_path))


def test_the_range_that_was_found_is_said_and_a_declared_one_is_taken(tmp_path, caplog):
    caplog.set_level("INFO")
    source = npz(images=SET.astype(np.uint16), labels=LABELS)(tmp_path)
    assert sources.load(source).span == (0, 255)
    assert sources.load(npz(images=SET / 255.0, labels=LABELS)(tmp_path)).span == (0, 1)
    assert "float64 from 0 to 1; 0 is taken for black, 1 for white" in caplog.text
    declared = sources.load(npz(images=SET.astype(np.uint16), labels=LABELS)(tmp_path), white=510)
    assert declared.train.images.max() == 128 and "a fifth of each class drawn by seed 0" in caplog.text


def test_the_split_is_the_seeds_and_keeps_the_shares_of_classes(tmp_path):
    source = npz(images=SET, labels=LABELS)(tmp_path)
    one, again, other = (sources.load(source, seed) for seed in (0, 0, 1))
    assert one.test == again.test != other.test
    assert np.bincount(one.test.labels).tolist() == [2, 2, 2, 2]


def test_objects_of_python_are_sets(tmp_path):
    pairs = Pairs(list(SET.astype(np.float32)[:, None] / 255), LABELS.tolist())
    found = sources.load(pairs)
    assert (len(found.train), len(found.test), found.train.images.shape[1:]) == (32, 8, (6, 7))
    found = sources.load((Pairs(*PARTS[0]), Pairs(*PARTS[1])))
    assert np.array_equal(found.train.images, SET[:30]) and np.array_equal(found.test.labels, LABELS[30:])
    (tmp_path / "mine.py").write_text("import numpy as np\nimages = np.eye(6)[None].repeat(9, 0) * np.arange(1, 10)"
                                      "[:, None, None]\ndef made():\n    return images, np.arange(9) % 3\nBAD = 1\n")
    assert len(sources.load(f"{tmp_path}/mine.py:made").train) == 6
    for name, text in (("nothing", "nothing is not in it"), ("BAD", "a int is no data set")):
        with pytest.raises(DataError, match=text):
            sources.load(f"{tmp_path}/mine.py:{name}")
    for made, text in ((Pairs([SET[0], SQUARE[0]], [0, 1]), "different shapes"), (Pairs([], []), "no image is in it"),
                       ([1, 2, 3], "an item is a int")):
        with pytest.raises(DataError, match=text):
            sources.load(made)


def test_scikit_learns_sets_have_names(caplog):
    caplog.set_level("INFO")
    found = sources.load("sklearn:digits")
    assert found.train.images.shape == (1440, 8, 8) and "16 for white" in caplog.text
    assert sources.load("sklearn:wine").names == {0: "class_0", 1: "class_1", 2: "class_2"}
    with pytest.raises(DataError, match="known are sklearn:digits"):
        sources.load("sklearn:faces")


# Sets that are fetched

@pytest.fixture
def served(tmp_path, monkeypatch):
    """A server of this machine with a set of each kind, in the place of those of the world."""
    root = tmp_path / "served"
    idx(*PARTS)(root / "gzip")
    files = {}
    for path in sorted((root / "gzip").iterdir()):
        files[f"{path.name}.gz"] = gzip.compress(path.read_bytes(), mtime=0)
    for name, content in files.items():
        (root / name).write_bytes(content)
    with zipfile.ZipFile(root / "gzip.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"gzip/emnist-letters-{name.replace('t10k', 'test')}", content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=root))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_address[1]}/"
    sums = tuple(md5(files[name]) for name in sources_named.IDX)
    monkeypatch.setattr(sources_named, "FILES", {"kmnist": (here, sums), "mnist": (here, ("0" * 32, *sums[1:]))})
    monkeypatch.setattr(sources_named, "EMNIST", (f"{here}gzip.zip", md5((root / "gzip.zip").read_bytes())))
    yield server
    server.shutdown()
    server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_a_set_is_fetched_by_its_name_once(served, tmp_path):
    found = sources.load("kmnist", cache_dir=tmp_path / "kept")
    assert np.array_equal(found.train.images, SET[:30]) and np.array_equal(found.test.labels, LABELS[30:])
    letters = sources.load("emnist-letters", cache_dir=tmp_path / "kept")
    assert np.array_equal(letters.train.images, SET[:30].transpose(0, 2, 1))
    served.shutdown()
    assert sources.load("kmnist", cache_dir=tmp_path / "kept").train == found.train
    assert sources.load("emnist-letters", cache_dir=tmp_path / "kept").test == letters.test


def test_runs_share_what_one_of_them_has_fetched(served, tmp_path, monkeypatch):
    monkeypatch.setenv(DOWNLOADS, str(tmp_path / "all"))
    found = sources.load("kmnist", cache_dir=RunDirectory(tmp_path / "one").downloads)
    served.shutdown()
    assert sources.load("kmnist", cache_dir=RunDirectory(tmp_path / "other").downloads).train == found.train
    assert not (tmp_path / "one").exists() and (tmp_path / "all/kmnist").is_dir()


def test_another_checksum_and_a_server_that_is_not_there_are_told(served, tmp_path, monkeypatch):
    with pytest.raises(DataError, match="cannot be fetched .*hash"):
        sources.load("mnist", cache_dir=tmp_path / "kept")
    monkeypatch.setattr(sources_named, "FILES", {"kmnist": ("http://127.0.0.1:1/", sources_named.FILES["kmnist"][1])})
    with pytest.raises(DataError, match="cannot be fetched .*give their folder as --source"):
        sources.load("kmnist", cache_dir=tmp_path / "other")
