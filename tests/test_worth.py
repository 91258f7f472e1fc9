"""The benchmark of what STDP is worth: its cells are kept, its few labels are fair, its built-in digits are a set."""

import json
from pathlib import Path

import numpy as np
import pytest

from spikingconvnet.data import datasets

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def worth(benchmark_named):
    """The benchmark as a module."""
    return benchmark_named("worth")


def test_the_digits_of_scikit_learn_become_a_set_like_any_other(worth, tmp_path):
    folder = worth.digits(tmp_path / "digits")
    train, test = (datasets.load(folder, part) for part in ("train", "test"))
    assert (len(train), len(test)) == (1297, 500) and train.images.shape[1:] == (28, 28)
    assert train.images.max() == 255 and not train.images[:, :2].any() and set(train.labels.tolist()) == set(range(10))


def test_few_labels_are_equally_many_of_each_class_and_all_are_all(worth):
    labels = np.repeat([3, 5, 8], [20, 7, 30])
    chosen = worth.few(labels, 6, np.random.default_rng(0))
    assert np.unique(labels[chosen], return_counts=True)[1].tolist() == [6, 6, 6] and len(set(chosen.tolist())) == 18
    assert worth.few(labels, None, None).tolist() == list(range(57))


def test_coarser_counts_are_sums_of_the_finer_ones(worth):
    counts = np.random.default_rng(0).integers(0, 9, (4, 2 * worth.GRID ** 2)).astype(np.uint16)
    assert np.array_equal(worth.coarser(counts, 2, worth.GRID), counts)
    assert np.array_equal(worth.coarser(counts, 2, 1), counts.reshape(4, 2, -1).sum(axis=2))
    quarters = counts.reshape(4, 2, worth.GRID, worth.GRID)
    assert worth.coarser(counts, 2, 2)[3, 5] == quarters[3, 1, :worth.GRID // 2, worth.GRID // 2:].sum()


def test_cells_are_kept_and_not_measured_again(worth, tmp_path, capsys, monkeypatch):
    command = ["--parameters", str(ROOT / "parameters.py"), "--store", str(tmp_path), "--source", "digits", "--filters",
               "2", "--rules", "random", "depression", "--seeds", "1", "--lateral", "0", "8"]
    worth.main([*command, "--figure", str(tmp_path / "worth.png")])
    table = capsys.readouterr().out
    cells = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert set(cells) == {"pixels-1", *(f"{rule}-2-1{more}" for rule in ("random", "depression")
                                        for more in ("", "-lateral-8"))}
    assert cells["random-2-1-lateral-8"]["spikes_per_image"] < cells["random-2-1"]["spikes_per_image"]
    assert (tmp_path / "worth.png").stat().st_size > 5000
    assert cells["random-2-1"]["features"] == {"grid 6": 72, "grid 2": 8, "global": 2}
    assert all(12 < accuracy <= 100 for cell in cells.values() for by_labels in cell["scores"].values()
               for accuracy in by_labels.values())
    monkeypatch.setattr(worth, "measured", None)
    worth.main(command)
    assert capsys.readouterr().out == table and "| global | 8 | 2 | depression | 2 |" in table


def test_a_printed_table_is_drawn_as_it_was_measured(worth, tmp_path, capsys):
    text = (ROOT / "docs/worth-table.md").read_text(encoding="utf-8")
    rows = {line for line in text.splitlines() if line.startswith("|")}
    worth.main(["--table", str(ROOT / "docs/worth-table.md"), "--figure", str(tmp_path / "worth.png")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 100 and set(lines) <= rows
    assert (tmp_path / "worth.png").stat().st_size > 5000


def test_energy_is_that_of_neurons_and_synaptic_events(worth, capsys):
    assert worth.joules(1, 0.0, 0) == pytest.approx(484 * 28 * 1e-7 + 14_191 * 4.3e-8)
    assert worth.joules(3, 8.0, 100) - worth.joules(3, 8.0, 0) == pytest.approx(100 * 12 * 4.3e-8)
    assert worth.joules(3, 0.0, 100) - worth.joules(3, 0.0, 0) == pytest.approx(100 * 10 * 4.3e-8)
    worth.main(["--table", str(ROOT / "docs/worth-table.md"), "--joules"])
    lines = capsys.readouterr().out.splitlines()
    assert "| 32 | stdp, competing | 645 | 64.0 | 97.99 ± 0.08 | 86.67 ± 0.51 |" in lines
    page = (ROOT / "docs/worth.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 61 and len([line for line in lines[2:] if line in page]) >= 8


def test_a_digit_in_front_of_a_picture_keeps_its_ink(worth):
    digit, photograph = np.zeros((4, 4), np.uint8), np.tile(np.r_[np.full(10, 50.0), np.full(10, 200.0)], (12, 1))
    digit[1, 2] = 255
    for right, grey in ((False, 40), (True, 160)):
        made = worth.on_picture(digit, photograph, right, np.random.default_rng(0))
        assert made[1, 2] == 255 and np.unique(made[digit == 0]).tolist() == [grey] and made.dtype == np.uint8
