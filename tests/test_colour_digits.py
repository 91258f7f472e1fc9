"""The benchmark's digits in colour: what is picture, what is ink, and that no part sees another's pictures."""

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
        colours.main([str(tmp_path / name), "--source", str(tmp_path / "mnist")])
    with np.load(tmp_path / "a.npz") as a, np.load(tmp_path / "b.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
        assert a["x_train"].shape == (25, 32, 32, 3) and a["x_test"].shape == (7, 32, 32, 3)
        assert a["y_train"].tolist() == [*(np.arange(20) % 10), *(np.arange(35, 40) % 10)]
    model = settings.load(ROOT / "benchmarks/colour_parameters.py").model
    assert model.shapes[:2] == [(10, 32, 32), (64, 26, 26)]
