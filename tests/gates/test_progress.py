"""Loops deep in a step are counted by whoever asks: readers of every kind, and what comes behind a chain rule."""

import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from spikingconvnet.data import datasets, sources
from spikingconvnet.data.events import EventSet
from spikingconvnet.gates.progress import OfLength, counted, shown_by

IMAGES, LABELS = np.random.default_rng(0).integers(0, 256, (12, 8, 8), np.uint8), np.arange(12, dtype=np.uint8) % 3


@contextmanager
def hearing():
    """A list of [description, announced length, items that came]."""
    heard = []

    def shown(items, description):
        line = [description, len(items), 0]
        heard.append(line)

        def each():
            for item in items:
                line[2] += 1
                yield item
        return each()

    with shown_by(shown):
        yield heard


def test_nobody_who_asks_is_told_and_nobody_else():
    assert list(counted([1, 2], "a")) == [1, 2]
    with hearing() as heard:
        thread = threading.Thread(target=lambda: list(counted([1], "of another thread")))
        thread.start()
        thread.join()
        assert list(counted(OfLength(iter("abc"), 3), "b")) == ["a", "b", "c"]
        with hearing() as inner:
            list(counted([1], "c"))
        with pytest.raises(ZeroDivisionError), shown_by(lambda *_: 1 / 0):
            counted([], "d")
        list(counted([1], "e"))
    list(counted([1], "f"))
    assert heard == [["b", 3, 3], ["e", 1, 1]] and inner == [["c", 1, 1]]


def idx(folder):
    for part in ("train", "test"):
        datasets.save(folder, part, IMAGES, LABELS)
    return folder, 2


def pictures(folder):
    for i, (image, label) in enumerate(zip(IMAGES, LABELS)):
        (folder / str(label)).mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / str(label) / f"{i}.png")
    return folder, 12


def table(folder):
    np.savetxt(folder / "t.csv", np.column_stack([LABELS, IMAGES.reshape(12, -1)]), "%d", ",")
    return folder / "t.csv", 24         # numbers, then labels


def events(folder):
    for label in range(3):
        (folder / str(label)).mkdir()
        for i in range(4):
            content = np.tile(np.array([1, 2, 128, 0, i], np.uint8), 5)
            content.tofile(folder / str(label) / f"{i}.bin")
    return folder, 12


def items(folder):
    return list(zip(IMAGES, LABELS)), 12


@pytest.mark.parametrize("made", [idx, pictures, table, events, items])
def test_each_reader_says_how_far_it_is(tmp_path, made):
    source, n = made(tmp_path)
    with hearing() as heard:
        found = sources.load(source)
    assert isinstance(found.train, EventSet) == (made is events)
    assert {line[0] for line in heard} == {"images: reading"} and sum(line[2] for line in heard) == n
    assert all(abs(length - came) <= (made is table) for _, length, came in heard)      # about, by its first line


def test_a_download_counts_its_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("spikingconvnet.data.download.CHUNK", 100)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    from spikingconvnet.data import download

    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: SimpleHTTPRequestHandler(*args, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "a").write_bytes(bytes(1050))
    (tmp_path / "kept").mkdir()
    try:
        with hearing() as heard:
            address = download.Address(f"http://127.0.0.1:{server.server_port}/")
            file = download._download(address, "a", tmp_path / "kept")
    finally:
        server.shutdown()
        server.server_close()
    assert file.path.read_bytes() == bytes(1050) and heard == [["get a", 11, 11]]
