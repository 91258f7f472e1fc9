"""The benchmark of whole pipelines: when it ends, what counts as learning, and when the test digits are asked."""

import json

import numpy as np
import pytest


@pytest.fixture(scope="module")
def pipelines(benchmark_named):
    """The benchmark as a module."""
    return benchmark_named("pipelines")


@pytest.fixture(scope="module")
def peers(benchmark_named):
    """The script that runs a peer, as a module."""
    pytest.importorskip("torch")
    return benchmark_named("peer_pipelines")


def test_more_is_tried_until_it_is_enough_and_only_learning_counts(pipelines, monkeypatch, tmp_path):
    accuracies, asked = iter([0.9, 0.981, 0.975, 0.985, 0.99, 0.98]), []

    def command(*words):
        asked.append(words)
        testing = words[0] == "--mode=testing"
        return ({"accuracy": next(accuracies)}, 100.0) if testing else ({}, {"loaddata": 1.0}.get(words[0][7:], 2.0))

    monkeypatch.setattr(pipelines, "command", command)
    course = list(pipelines.ours("stdp", 3, [0.984, 0.98], tmp_path))
    learned, tested = {"cpu_seconds": 5.0}, {"cpu_seconds_of_test": 100.0}
    assert course == [{"shown": "N_TRAIN=5000", **learned, "validation": 0.9},
                      {"shown": "N_TRAIN=10000", **learned, "validation": 0.981, "test": 0.975, **tested},
                      {"shown": "N_TRAIN=20000", **learned, "validation": 0.985, "test": 0.99, **tested}]
    assert all("--seed=3" in words and "--set=N_VALIDATION=5000" in words for words in asked
               if words[0] == "--mode=loaddata")
    assert sum("--split=validation" in words for words in asked) == 3


def test_the_last_try_is_tested_too_if_nothing_is_enough(pipelines, monkeypatch, tmp_path):
    monkeypatch.setattr(pipelines, "command", lambda *words: ({"accuracy": 0.5}, 1.0))
    course = list(pipelines.ours("convert", 0, [0.98], tmp_path))
    assert len(course) == len(pipelines.ROWS["convert"]) and ["test" in one for one in course] == [False] * 4 + [True]


def test_a_course_is_kept_and_the_table_says_what_was_not_reached(pipelines, monkeypatch, tmp_path, capsys):
    course = [{"shown": 5, "cpu_seconds": 7.1, "validation": 0.981, "test": 0.97, "cpu_seconds_of_test": 2.0},
              {"shown": 9, "cpu_seconds": 30.0, "validation": 0.982, "test": 0.975, "cpu_seconds_of_test": 2.0}]
    (tmp_path / "sinabs-0.json").write_text(json.dumps(course))
    pipelines.main(["--store", str(tmp_path), "--rows", "sinabs"])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| sinabs | 98 | 98.10 | 7 | 5 | 97.00 | 2 |", "| sinabs | 98.7 | 98.20 | not reached in 30 | 9 | 97.50 | 2 |"]


def test_a_peer_is_asked_without_the_clock_and_tested_where_it_is_enough(peers, monkeypatch):
    """Of a peer that is right more often the more it is shown."""
    clock, told = [0.0], []

    class Peer:
        shown = 0

        def __init__(self, torch):
            pass

        def learn(self, images, labels):
            Peer.shown += len(images)
            assert images.shape[1:] == (1, 28, 28) and 0.0 <= float(images.min()) and float(images.max()) <= 1.0
            clock[0] += 1.0

        def classes(self, images):
            clock[0] += 1000.0
            wrong = np.arange(len(images)) >= min(1.0, Peer.shown / 40_000) * len(images)
            return (images[:, 0, 0, 0] * 255).round().long() + wrong

    monkeypatch.setattr(peers, "cpu_seconds", lambda: clock[0])
    monkeypatch.setitem(peers.PEERS, "sinabs", Peer)
    labels = (np.arange(6_000) % 10).astype(np.uint8)
    digits = {f"x_{part}": np.tile(labels[:n, None, None], (28, 28)) for part, n in
              (("train", 6_000), ("test", 500))}
    peers.run("sinabs", {**digits, "y_train": labels, "y_test": labels[:500]}, 0, [0.9, 0.5], 1e9, told.append)
    assert [one["shown"] for one in told] == [12_800, 25_600, 38_400]
    assert [one["cpu_seconds"] for one in told] == [100.0, 200.0, 300.0] and ["test" in one for one in told] == [
        False, True, True]
    assert told[1]["validation"] == pytest.approx(0.64) and told[1]["test"] == pytest.approx(0.64)
    assert told[1]["cpu_seconds_of_test"] == 10_000.0
    Peer.shown = 0
    told.clear()
    peers.run("sinabs", {**digits, "y_train": labels, "y_test": labels[:500]}, 0, [0.99], clock[0] + 150.0, told.append)
    assert "test" in told[-1] and told[-1]["validation"] < 0.99
