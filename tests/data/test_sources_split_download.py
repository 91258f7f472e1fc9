"""What sources of images and events, splits and names of downloads become: kept, see ``helpers/outputs.py``."""

import io
import logging
import re
import struct
import tempfile
import urllib.error
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from outputs import Outputs, refused

from spikingconvnet.data import (
    datasets,
    download,
    sources,
    sources_events,
    sources_files,
    sources_labels,
    sources_named,
    sources_pictures,
    sources_python,
    sources_sklearn,
    sources_unlabelled,
    split,
)
from spikingconvnet.data.images import ImageSet
from spikingconvnet.gates.address import Address

CASES = Outputs("sources")


def rng():
    return np.random.default_rng(124)


def grey(*shape):
    return rng().integers(0, 256, shape).astype(np.uint8)


def said(call, *given, folder="", **named):
    """What a call gives or refuses, and what it logs, without the name of the folder."""
    lines, log = [], logging.getLogger("spikingconvnet")
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        found = refused(call, *given, **named)
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
    return [text.replace(str(folder), "DIR") if folder and isinstance(text, str) else text for text in (found, *lines)]


def whole_of(found):
    """Both parts of a Found: labels, and how the images begin."""
    def part(one):
        rows = one.images if isinstance(one, ImageSet) else one.t
        return [one.labels.tolist(), list(rows.shape), rows.ravel()[:12].tolist()]
    return [part(found.train), part(found.test), dict(found.names), found.span]


@CASES
def sets_of_arrays():
    images, labels = grey(23, 4, 4), np.arange(23) % 3
    few = np.array([0, 0, 1, 1, 1, 1, 2])
    asked = ((images, labels), (images[:7], few), (images[:3], np.arange(3)), (images, labels[:9]),
             (images, labels[:4]), (images / 255.0, labels), (images / 51.0, labels),
             ((images, labels), (images[:5], labels[:5])), ((images, labels), (images[:5, :3], labels[:5])),
             (images, np.array(["a", "b", "c"])[labels]), (images, labels + 300), (images[..., None], labels[:, None]))

    def loaded(one, seed=0, white=None):
        return said(lambda: whole_of(sources.load(one, seed, white=white)))
    return [[[loaded(one, seed) for one in asked] for seed in (0, 3)],
            [loaded((images / 51.0, labels), white=white) for white in (4.0, 5.0, 6.0)]]


@CASES
def names_of_arrays():
    one = np.zeros(2)
    asked = (("x", "y"), ("x_train", "y_train"), ("train_images", "train_labels", "test_images", "test_labels"),
             ("xtrain", "ytrain", "testx", "testy"), ("X-Train", "Y-Train", "x-test"), ("data", "target"),
             ("arr_0", "arr_1"), ("images",), ("images", "x_train", "y_train"), ("x_train", "y"), ("x_test", "y_test"),
             (), ("imgs", "classes"), ("image", "targets"))
    return [refused(lambda names=names: [[int(part[0]) for part in pair] for pair in sources.labelled(
        {name: one + i for i, name in enumerate(names)}, "SET")]) for names in asked]


@CASES
def folders():
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)

        def at(name, content=b""):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, np.ndarray):
                np.save(path, content)
            else:
                path.write_bytes(content)
            return path
        for i in range(5):
            at(f"pgm/b/{i}.pgm", b"P5 2 3 255\n" + bytes(range(i, i + 6)))
            at(f"pgm/a/{i}.PGM", b"P5 2 3 255\n" + bytes(range(i + 9, i + 15)))
            for part in ("Training", "val", "other"):
                at(f"parts/{part}/{'xyz'[i % 2]}/{i}.pgm", b"P5 2 2 255\n" + bytes(range(i, i + 4)))
        for name in ("note.txt", "one.dat", "two.dat", "three.dat", ".hidden.txt"):
            at(f"pgm/a/{name}")
        at("pgm/.c/0.pgm")
        (folder / "pgm/d").mkdir()
        (folder / "none/a").mkdir(parents=True)
        at("arrays/images.npy", grey(10, 2, 3))
        at("arrays/labels.npy", np.arange(10) % 2)
        at("one/x.npy", grey(3, 2, 3))
        rows = "".join(f"{i % 2},{i},{i + 1},{i + 2},{200 + i}\n" for i in range(10)).encode()
        for name in ("table/a.csv", "tables/my-train.csv", "tables/my-TEST.csv", "odd/a.csv", "odd/train.csv"):
            at(name, rows)
        for i in range(4):
            at(f"events/{i % 2}/{i}.bin", bytes([3, 4, 128, i, 7, 240, 240, 0, 0, 1, 5, 6, 0, 0, 9 + i]))
        at("idx/train-images-idx3-ubyte")
        at("idx/sub/x.txt")
        at("gestures/trials_to_train.txt")
        kinds = [[name, sources._kind(folder / name), sources._other(folder / name)]
                 for name in sorted(one.name for one in folder.iterdir())] + [sources._kind(folder / "not there")]
        loaded = [said(lambda name=name: whole_of(sources.load(folder / name)), folder=folder) for name in (
            "pgm", "parts", "none", "arrays", "one", "table", "tables", "odd", "events", "not there", "pgm/a/note.txt",
            "table/a.csv")]
        read = [said(sources.read_images, [folder / name for name in names], folder=folder) for names in (
            ["pgm/a", "pgm/b/0.pgm"], ["pgm/b/0.pgm", "arrays/images.npy"], ["arrays/images.npy"], ["none"], [], ["no"],
            ["pgm/b/1.pgm", "parts/val/x/0.pgm"], ["arrays/labels.npy"])]
        sizes = [said(sources_pictures.read_pictures, [folder / "pgm/b/0.pgm", folder / "parts/val/x/0.pgm"], size,
                      folder=folder)[0] for size in (None,)]
        kept = [sources_pictures.read_pictures([folder / "pgm/b/0.pgm"], size).shape for size in (
            None, (3, 2), (2, 3), (6, 4))]
        parts = [sources.load_part(folder / "parts", part).labels for part in ("train", "test")]
        return [kinds, loaded, read, sizes, kept, parts,
                [sources._first_file(folder / name) for name in ("pgm", "none", "events")]]


@CASES
def parts_of_names():
    names = ("mnist", "emnist-letters", "emnist", "sklearn:x", "a.py:b", "a.py:", "a.py", "iris", "http://x/mnist")
    return [[name, sources._other(name)] for name in names] + [
        refused(sources.load_part, (grey(9, 2, 2), np.arange(9) % 2), part) for part in ("train", "test", "third")]


@CASES
def labels_as_ids():
    asked = ([0, 255], [0, 256], [-1, 2], [1.0, 2.0], [1.5, 2.0], [np.nan, 1.0], ["1", "2.0"], ["1", "x"], [b"3", b"4"],
             [" 7 ", "0"], ["1" * 9, "1"], ["1" * 10, "1"], [[1], [2]], [[0, 1], [1, 0]], [[0, 1], [1, 1]],
             [[0, 2], [1, 0]], [[[1]]], [True, False], [], ["-1"], ["1.5"], [5, 5], [[1, 0, 2], [0, 1, 0]], 3,
             [[True, False], [False, True]], [1j])
    return [[refused(sources_labels.class_ids, [np.array(one)], "SET") for one in asked],
            sources_labels.class_ids([np.array([3, 900]), np.array([900, 900, 7])], "SET"),
            sources_labels.class_ids([np.array(["b", "a"]), np.array(["c"])], "SET"),
            [isinstance(refused(sources_labels.class_ids, [np.arange(n) * 3], "SET"), str) for n in (255, 256, 257)],
            refused(sources_labels.class_ids, [np.arange(1300)], "SET")]


@CASES
def events_in_bytes():
    nmnist = np.array([[1, 2, 0x80 | 3, 4, 5], [0, 240, 0, 0, 0], [9, 241, 0x7F, 255, 254], [0, 240, 1, 1, 1],
                       [7, 239, 1, 0, 1]], np.uint8).ravel()
    words = np.array([(3 << 17) | (5 << 2) | 3, 100, (4 << 17) | (0x7FFF << 2) | 1, 101, (1 << 17) | 2, 102], "<u4")
    head, size, three = b"#!AER-DAT3.1\r\n#!END-HEADER\r\n", sources_events.PACKET.size, words.tobytes()

    def packet(kind=1, size=8, overflow=0, capacity=3, number=3, body=three):
        return struct.pack("<hhiiiiii", kind, 0, size, 4, overflow, capacity, number, number) + body
    contents = (head, head + packet(), head + packet(overflow=2, number=2), head + packet(kind=2) + packet(number=1),
                head + packet()[:-1], head + packet()[:size - 1], head + packet()[:size], head + packet(number=4),
                head + packet(number=-1), head + packet(number=0), head + packet(size=0), head + packet(capacity=-1),
                head + packet(capacity=0, number=0, body=b""), b"#!AER-DAT3.1", head[1:], b"x" + head,
                head + packet(size=1, capacity=0, number=0, body=b""))
    return [sources_events._nmnist(nmnist, "FILE"), refused(sources_events._nmnist, nmnist[:6], "FILE"),
            sources_events._nmnist(nmnist[:0], "FILE"), sources_events.EVENT_FILES, sources_events.GESTURES,
            [refused(sources_events._aedat, one, "FILE") for one in contents]]


@CASES
def events_of_arrays():
    t, parts = np.arange(5.0), dict(zip("txyp", np.arange(20).reshape(4, 5)))
    kinds = np.zeros(3, [("t", int), ("x", int), ("y", int), ("p", bool)])
    kinds["t"] = 4, 5, 6
    sets = ({"arr_0": kinds}, {"arr_0": np.arange(8).reshape(2, 4)}, {"arr_0": np.arange(6).reshape(2, 3)}, parts, {},
            {**parts, "z": t}, {**parts, "p": t[:4]}, {**parts, "p": t[None]}, {**parts, "p": t.astype("U")},
            {"t": t, "x": t}, {"arr_0": np.arange(4)})
    whole = {**parts, "sample": np.array([0, 0, 1, 2, 1]), "labels": np.array([4, 0, 4])}
    tested = {**whole, **{name + "_test": one for name, one in whole.items()}}
    sample = sources_events.as_events(parts, "SET")
    return [[sources_events.are_events(one) for one in sets],
            [refused(sources_events.as_events, sources_events._fields(one), "SET") for one in sets],
            [refused(lambda one=one: [[part.labels, part.offsets, part.t, part.x] for part in sources_events.of_arrays(
                one, "SET")]) for one in (whole, tested, {**whole, "sample": np.array([0, 0, 1, 3, 1])},
                                          {**whole, "sample": np.array([0, 0, 1, -1, 1])}, parts,
                                          {**whole, "sample": np.array([0, 0, 1, 1])}, {**parts, "labels": t})],
            [refused(lambda given=given: [[one.labels, one.offsets, one.t, one.p.astype(int), names] for one, names in [
                sources_events.together(given, "SET")]]) for given in (
                    [(sample, 3), (sample[:2], 1)], [(sample, 3), (sample[:0], 1)],
                    [(sample, "b"), (sample[1:3], "a")])]]


@CASES
def events_of_files():
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "a.csv").write_text("p,x,y,T\n1,2,3,4\n0,5,6,7\n")
        (folder / "b.csv").write_text("4,2,3,1\n7,5,6,0\n")
        (folder / "c.tsv").write_text("t\tx\ty\tp\tz\n1\t2\t3\t0\t9\n")
        (folder / "d.csv").write_text("1,2,3\n")
        (folder / "e.bin").write_bytes(bytes([1, 2, 3, 4, 5]))
        (folder / "f.bin").write_bytes(b"")
        np.savez(folder / "g.npz", sample=np.array([5, 2, 5]), **dict.fromkeys("txyp", np.arange(3)))
        np.savez(folder / "h.npz", sample=np.array([5, 2]), **dict.fromkeys("txyp", np.arange(3)))
        (folder / "trials_to_train.txt").write_text("r.aedat\nnote\n")
        (folder / "trials_to_test.txt").write_text("r.aedat")
        (folder / "n").mkdir()
        words = np.array([[1, 10], [3, 20], [1, 30], [3, 40]], "<u4").tobytes()
        (folder / "r.aedat").write_bytes(b"#!AER-DAT3.1\r\n#!END-HEADER\r\n" + struct.pack(
            "<hhiiiiii", 1, 0, 8, 4, 0, 4, 4, 4) + words)
        early = said(sources_events.gestures, folder, folder=folder)
        (folder / "r_labels.csv").write_text("class,begin,end\n3,10,30\n1,30,41\n")
        names = "abcdefgh"
        files = [next(folder.glob(f"{name}.*")) for name in names]
        return [[said(sources_events.read_events, file, folder=folder) for file in (*files, folder / "z.bin")],
                [said(sources_events.unlabelled, [file], folder=folder)[0] if name in "dfh" else
                 sources_events.unlabelled([file])[1].t for name, file in zip(names, files)],
                [name.replace(made, "DIR") for name in sources_events.unlabelled([files[6], files[0]])[0]],
                early, said(sources_events.gestures, folder, folder=folder),
                said(sources_events.unlabelled, [folder / "n"], folder=folder)]


@CASES
def tables():
    texts = ("1,2,3\n4,5,6\n", "label;a;b\n1;2;3\n", "a,b,Species\n1,2,x\n3,4,y\n", "x\ty\n1\t2\n", "1\n2\n", "",
             "1,2\n3\n", "a,b\n", "7,b,c\n1,2,3\n", "b,7,8\n1,2,3\n", '"a,b",c,label\n1,2,3\n', "1,2;3;4\n5,6;7;8\n",
             " Digit ,p\n1,2\n")
    with tempfile.TemporaryDirectory() as made:
        path, found = Path(made) / "t.csv", []
        for text in texts:
            path.write_text(text)
            for label in (0, 1, None):
                given = said(sources_files.read_table, path, label, folder=made)
                found.append(given[0] if isinstance(given[0], list) else re.split(r"could|invalid|\(",
                given[0])[0])   # then numpy's words
            found.append(said(sources_files.first_line, path, folder=made))
        return found


@CASES
def arrays_in_files():
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        np.save(folder / "a.NPY", np.arange(4))
        np.savez(folder / "b.npz", x=np.arange(3), y=np.ones(2))
        np.save(folder / "c.npy", np.array([None, 1]), allow_pickle=True)
        np.savez(folder / "d.npz", np.array([{}]))
        (folder / "e.npy").write_bytes(b"pickle")
        real = sources_files.MOST_BYTES
        try:
            for sources_files.MOST_BYTES in (sum(entry.file_size for entry in np.load(folder / "b.npz").zip.infolist()
                                                 ) - late for late in (1, 0)):
                limited = said(sources_files.read_arrays, folder / "b.npz", folder=folder)
        finally:
            sources_files.MOST_BYTES = real
        return [said(sources_files.read_arrays, folder / name, folder=folder) for name in ("a.NPY", "b.npz", "c.npy",
                                                                                          "d.npz")] + [
            limited, [said(sources_files.read_arrays, folder / name, folder=folder)[0][:40]
                      for name in ("e.npy", "f.npy")],
            [sources_files._is_number(text) for text in ("1", "1e5", "x", "", "nan")]]


@CASES
def objects_of_python():
    class Kind(list):
        """Has a length and items, and is no pair."""

    image = grey(2, 2)
    pairs = Kind([(image, 3), (image + 1, np.array(4)), [image, "x"]])
    asked = ((image, image), pairs, Kind([]), 5, Kind([(image, 1), (image[:1], 2), (image, 3)]), Kind([3, 4, 5]),
             Kind([(image, [0, 1]), (image, [1, 0]), (image, [1, 0])]), Kind([(image, 1, 2)] * 3), {1, 2})
    events = np.zeros(2, [("t", int), ("x", int), ("y", int), ("p", int)])
    sets = (Kind([(events, 3)] * 3), (Kind([(events, 3)] * 3), Kind([(events, 1)])), Kind([(image, 3)] * 3),
            Kind([]), 5, Kind([events] * 3), Kind([(events, 1, 1)] * 3))
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "m.py"
        path.write_text("import x_none\n")
        broken = said(sources_python.in_module, f"{path}:a", folder=made)
        path.write_text("a = [1]\nb = 5\n_c = []\ndef f():\n    return [2]\ndef g():\n    1 / 0\nclass D:\n    x = 1\n")
        found = [said(sources_python.in_module, f"{path}:{name}", folder=made)
                 for name in ("a", "b", "f", "g", "h", "_c")]
        path.write_text("b = 5\n")
        found += [said(sources_python.in_module, name, folder=made) for name in (f"{path}:zz", f"{path}x:zz")]
    return [[refused(sources_python.arrays_of, one, "SET") for one in asked], broken, found,
            [refused(sources_python.parts_of, one, "SET") for one in ((image, image), ((image, image), (image, image)),
                                                                     pairs, (pairs, pairs))],
            [refused(lambda one=one: [len(part) for part in sources_python.event_samples(one) or ()]) for one in sets]]


@CASES
def sets_of_sklearn():
    return [said(lambda name=name: [part[:2] for part in sources_sklearn.built_in(name)]) for name in (
        "digits", "iris", "wine", "breast_cancer", "other")]


@CASES
def single_images():
    shapes = ((2, 3), (2, 63), (2, 64), (2, 65), (64, 64), (2, 81), (2, 80), (5, 4, 3), (4, 4, 3), (5, 4, 4), (5, 4, 5),
              (1, 2, 3, 3), (4,), (5, 4, 2))
    names = (("a",), ("a", "b"), ("x", "images"), ("X_train", "Data"), ("x_test", "data", "x_train"), ())
    groups = (["b.npy", "a.png", "b.jpg", "c.npy", "d.png"], ["a.png"], ["a.npy", "b.npy"])
    with tempfile.TemporaryDirectory() as made:
        for name in ("a.npy", "b.npy", "c.npy", "a.png", "b.jpg", "d.png"):
            (Path(made) / name).touch()
        found = [[[path.name for path in group] for group in sources_unlabelled._grouped(
            [Path(made) / name for name in one])] for one in groups]
    return [[said(lambda shape=shape: sources_unlabelled._one_or_more(np.zeros(shape), "F").shape) for shape in shapes],
            [refused(sources_unlabelled._images_of, {name: np.array(i) for i, name in enumerate(one)}, "F")
             for one in names], found]


@CASES
def splits():
    train, test, found = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 1]), np.array([1, 5, 3, 5, 1, 7]), []
    for classes in ([1], [1, 5], [3, 1, 5, 7], [8], [], [1, 1], [1.5], "1"):
        for count in ({}, {"n_train": 2}, {"n_train": 3, "n_validation": 1, "n_test": 2, "per_class": False},
                      {"n_train": 1, "n_validation": 1, "n_test": 1, "per_class": True}, {"n_train": 0, "n_test": 0},
                      {"n_validation": 4}, {"n_validation": 3, "n_train": 1}, {"n_test": 4}):
            for drawn in (False, True):
                found.append(refused(split.split, train, test, classes, **count, rng=rng() if drawn else None))
    wrong = ({"n_train": -1}, {"n_train": True}, {"n_validation": None}, {"n_test": 1.0}, {"n_test": "1"})
    parts = [np.array(one, np.int64) for one in ([0, 1], [1], [2, 2], [-1], [])]
    return [found, [refused(split.split, train, test, [1], **one) for one in wrong],
            [refused(split.Split, *chosen) for chosen in (
                (parts[0], parts[1], parts[4]), (parts[2], parts[4], parts[4]), (parts[4], parts[3], parts[4]),
                (parts[4], parts[4], parts[0]), ([0], parts[4], parts[4]))],
            [split.Split(parts[0], parts[4], one) == split.Split(parts[0], parts[4], parts[1]) for one in parts[:2]],
            [said(split.check_classes, dict(zip(("train", "validation", "test"), map(np.array, one))), "SET")
             for one in (([], [1], [1]), ([1, 1], [1], [1]), ([1, 2], [1, 3, 3], [4, 5, 2, 2]), ([1, 2], [], [2]))]]


@CASES
def downloads():
    class Answer:
        """What a server sends, a few bytes at a time."""

        def __init__(self, content, length, block):
            self.stream, self.length, self.block = io.BytesIO(content), length, block

        def read1(self, most):
            return self.stream.read(min(most, self.block))

    def copied(content, length, block=3, chunk=4, most=10):
        real = download.CHUNK, download.MAX_DOWNLOAD
        download.CHUNK, download.MAX_DOWNLOAD = chunk, most
        file = io.BytesIO()
        try:
            steps = len(list(download._chunks(Answer(content, length, block), file, length)))
        except OSError as error:
            return f"{type(error).__name__}: {error}"
        finally:
            download.CHUNK, download.MAX_DOWNLOAD = real
        return [steps, file.getvalue().decode()]
    addresses = ("http://x/mnist/", "https://x/a/MNIST?q=1#f", "http://x/a%20b", "http://x", "http://x/a/?b",
                 "http://[x/")
    errors = [urllib.error.HTTPError("u", code, "m", {}, None) for code in (400, 401, 402, 403, 404, 999)]
    return [[[refused(download._join, one, "n.gz"), download._last_part(one), str(download.cache_folder(one, "c"))]
             for one in addresses], [download.canonical_name(part, kind) for part in ("train", "test") for kind in (
                 "images", "labels")],
            [download._reason(one) for one in (*errors, OSError(" a  b\n"), OSError(), ValueError("x"))],
            [copied(b"x" * n, length) for n in (0, 3, 4, 5, 9, 10, 11, 14)
             for length in (None, n, n + 1, max(0, n - 1))],
            [download._server(one) for one in addresses[:3]]]


@CASES
def folders_of_idx():
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)

        def put(place, *names):
            (folder / place).mkdir(exist_ok=True)
            for name in names:
                (folder / place / name).touch()
        put("a", "train-images-idx3-ubyte.gz", "train-images-idx3-ubyte", "train-labels.idx1-ubyte",
            "train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte", "test-labels-idx1-ubyte")
        put("b", "emnist-x-train-images-idx3-ubyte", "emnist-x-train-labels-idx1-ubyte", "y-train-images-idx3-ubyte")
        put("c", "x-train-images-idx3-ubyte", "x-train-labels-idx1-ubyte", "y-train-images-idx3-ubyte",
            "y-train-labels-idx1-ubyte")
        put("d", "train-images-idx3-ubyte", "train-labels-idx2-ubyte", "other.txt", "train-images-idx1-ubyte.gz")
        put("e")
        found = []
        for name in "abcdef":
            for part in ("train", "test"):
                found.append(said(lambda name=name, part=part: [str(one) if isinstance(one, str) else Path(
                    one.path).name for one in datasets._find(folder / name, part)], folder=folder))
        images, labels = grey(2, 2, 3), np.array([1, 0], np.uint8)
        datasets.save(folder / "g", "train", images, labels)
        files = {path.name: list(path.read_bytes()) for path in sorted((folder / "g").iterdir())}
        for path in list((folder / "g").iterdir()):
            path.rename(path.with_name(f"emnist-q-{path.name}"))
        return [found, files, datasets.load(folder / "g", "train").images,
                refused(datasets.save, folder / "g", "train", images[:0], labels[:0]),
                refused(datasets.save, folder / "g", "x", images, labels),
                [refused(datasets.load, source, part) for source, part in ((5, "train"), ("", "test"), ("iris", "x"))]]


@CASES
def fetching_by_name():
    real, asked = (sources_named._fetch, sources_named.datasets), []
    sources_named._fetch = lambda *given: asked.append([str(one) for one in given[:3]]) or []
    sources_named.datasets = SimpleNamespace(load=lambda kept, part: asked.append([str(kept), part]))
    try:
        for name in ("mnist", "fashion-mnist", "kmnist"):
            sources_named.fetched(name, "test", "F")
        sources_named.fetched("mnist", "train", None)
    finally:
        sources_named._fetch, sources_named.datasets = real
    return [asked[:-5], [one[:2] for one in asked[-5:-1]], asked[-1][1], sources_named.NAMED, sources_named.EMNIST,
            Address("http://x/mnist")]


@pytest.mark.parametrize("name", list(CASES))
def test_a_call_gives_what_it_gave(name):
    CASES.check(name)


if __name__ == "__main__":
    CASES.write()
