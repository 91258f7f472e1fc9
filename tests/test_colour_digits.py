"""The benchmarks' digits in colour and among clutter: what is what, and that no part sees another's."""

from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.data import datasets
from spikingconvnet.experiment import settings

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def colours(benchmark_named):
    """The benchmark as a module."""
    return benchmark_named("colour_digits")


def test_ink_inverts_the_picture_and_pieces_lie_within_their_share(colours):
    column = np.arange(200, dtype=np.uint8)
    photograph = np.broadcast_to(np.stack([column, 255 - column, 0 * column], axis=1), (40, 200, 3))
    digits = np.zeros((30, 28, 28), np.uint8)
    digits[:, 10, 5] = 255
    digits[:, 11, 5] = 100
    made = colours.over(digits, [photograph], (0.25, 0.75), np.random.default_rng(0))
    assert made.shape == (30, 32, 32, 3) and made.dtype == np.uint8
    first = made[:, 0, :1, 0].astype(int)
    assert (first >= 50).all() and (first + 31 < 150).all() and len(np.unique(first)) > 10
    behind = first + np.arange(32)                              # the red of each column, behind the ink
    assert (made[:, 12, 7, 0] == 255 - behind[:, 7]).all() and (made[:, 13, 7, 0] == abs(behind[:, 7] - 100)).all()
    assert (made[:, 13, 7, 2] == 100).all() and (made[:, 20, :, 0] == behind).all()
    assert (made[:, 20, :, 1] == 255 - behind).all()


def test_the_set_is_the_same_every_time_and_is_read_as_coloured(colours, tmp_path, monkeypatch):
    monkeypatch.setattr(colours, "TRAIN", 20)
    monkeypatch.setattr(colours, "VALIDATION", 5)
    monkeypatch.setattr(colours, "TEST", 7)
    rng = np.random.default_rng(1)
    for part in ("train", "test"):
        datasets.save(tmp_path / "mnist", part, rng.integers(0, 256, (40, 28, 28)).astype(np.uint8),
                      (np.arange(40) % 10).astype(np.uint8))
    for name in ("a.npz", "b.npz"):
        colours.write("", colours.colour_digits, [str(tmp_path / name), "--source", str(tmp_path / "mnist")])
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
        assert a["x_train"].shape == (25, 32, 32, 3) and a["x_test"].shape == (7, 32, 32, 3)
        assert a["y_train"].tolist() == [*(np.arange(20) % 10), *(np.arange(35, 40) % 10)]
    model = settings.load(ROOT / "benchmarks/colour_parameters.py").model
    assert model.shapes[:2] == [(10, 32, 32), (64, 26, 26)]


def test_clutter_is_pieces_of_the_other_digits_and_covers_no_digit(benchmark_named):
    clutter = benchmark_named("cluttered_digits")
    digits = np.zeros((3, 28, 28), np.uint8)
    digits[0, 2, 2:26] = 90                         # in the margin, where no pieces come from
    digits[1, 4:24, 4:24] = 200
    digits[2, 4:24, 4:24] = 7
    made = clutter.cluttered(np.repeat(digits, 20, axis=0), np.random.default_rng(0))
    assert made.shape == (60, 40, 40) and made.dtype == np.uint8
    strokes = (made[:20] == 90).sum(axis=2)
    assert (strokes.max(axis=1) <= 24).all() and strokes.max() == 24 and len(np.unique(strokes.argmax(axis=1))) > 5
    assert (made[20:] != 90).all() and set(np.unique(made)) == {0, 7, 90, 200}
    squares = made[20:40] == 200                    # of the digit itself, 20x20, and pieces on it and beside it
    assert (squares.sum(axis=(1, 2)) >= 400).all() and squares.sum(axis=(1, 2)).max() <= 400 + 6 * 64
    assert ((made[40:] == 200).sum(axis=(1, 2)) <= 6 * 64).all()


def test_the_set_among_clutter_has_the_digits_of_the_one_in_colour(benchmark_named, tmp_path, monkeypatch):
    clutter = benchmark_named("cluttered_digits")
    for name, n in (("TRAIN", 20), ("VALIDATION", 5), ("TEST", 7)):
        monkeypatch.setattr(clutter, name, n)
    rng = np.random.default_rng(1)
    for part in ("train", "test"):
        datasets.save(tmp_path / "mnist", part, rng.integers(0, 256, (40, 28, 28)).astype(np.uint8),
                      (np.arange(40) % 10).astype(np.uint8))
    found, again = (clutter.cluttered_digits(str(tmp_path / "mnist")) for _ in range(2))
    assert all(np.array_equal(found[name], again[name]) for name in found)
    assert found["x_train"].shape == (25, 40, 40) and found["x_test"].shape == (7, 40, 40)
    assert found["y_train"].tolist() == [*(np.arange(20) % 10), *(np.arange(35, 40) % 10)]
    model = settings.load(ROOT / "benchmarks/two_layer_parameters.py").model
    assert model.taking((2, 40, 40)).shapes[1:4] == [(16, 36, 36), (16, 18, 18), (64, 14, 14)]
