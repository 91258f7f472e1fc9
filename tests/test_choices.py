"""The benchmark of single choices: every row is another experiment, a row is kept, and `random` is not trained."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def choices():
    """The benchmark as a module."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import choices
    finally:
        sys.path.pop(0)
    return choices


def test_every_row_is_another_experiment_in_a_file_of_its_own(choices, tmp_path):
    for group in choices.GROUPS:
        rows = choices.rows_of(group)
        told = {(repr((s.image_filter, s.model.layers, s.slot, s.deformation)), rule) for s, rule in rows.values()}
        assert len(told) == len(rows) == len({choices.path_of(tmp_path, group, row, 0) for row in rows}) > 5
        assert {s.n_test for s, _ in rows.values()} == {1} and all(s.n_validation >= 4000 for s, _ in rows.values())


def test_a_row_is_kept_and_not_measured_again(choices, tmp_path, capsys, monkeypatch):
    command = ["--store", str(tmp_path), "--groups", "maps", "--scale", "50", "--seeds", "1", "--rows",
               "7x7, firing 0.1: random", "7x7, firing 0.1: stdp"]
    choices.main(command)
    table = capsys.readouterr().out
    kept = {cell["row"]: cell for cell in (json.loads(path.read_text()) for path in (tmp_path / "maps").glob("*.json"))}
    random, stdp = kept["7x7, firing 0.1: random"], kept["7x7, firing 0.1: stdp"]
    assert set(kept) == set(command[-2:]) and random["features"] == stdp["features"] == 32
    assert "wins_per_window" in stdp["health"] and "wins_per_window" not in random["health"]
    assert random["spikes_per_image"] != stdp["spikes_per_image"]
    assert min(random["accuracy"], stdp["accuracy"]) > 20
    monkeypatch.setattr(choices, "measured", None)
    choices.main(command)
    assert capsys.readouterr().out == table
    assert "200 training and 200 validation images" in table and f"| {stdp['accuracy']:.2f} |" in table
