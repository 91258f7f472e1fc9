"""The benchmark of single choices: every row is another experiment, a row is kept, and `random` is not trained."""

import json

import pytest


@pytest.fixture(scope="module")
def choices(benchmark_named):
    """The benchmark as a module."""
    return benchmark_named("choices")


def test_every_row_is_another_experiment_in_a_file_of_its_own(choices, tmp_path):
    for group in choices.GROUPS:
        rows = choices.rows_of(group)
        told = {repr((*((s.image_filter, s.model.layers, s.slot, s.deformation) for s in row.settings), row.rule,
                      settings_of(row.answered))) for row in rows.values()}
        assert len(told) == len(rows) == len({choices.path_of(tmp_path, group, row, 0) for row in rows}) > 3
        assert {(s.n_test, s.n_validation) for row in rows.values() for s in row.settings} == {(1, choices.IMAGES)}


def settings_of(answered):
    """What a readout was made with; a function's own text would hold its address, which is always another one."""
    return [cell.cell_contents for cell in answered.__closure__] if answered else None


def row_of(choices, group, name, folder):
    """A row on a fiftieth of the images."""
    return choices.cell(name, choices.rows_of(group, 50)[name], 0, folder)


def test_counts_of_two_layers_stand_side_by_side_before_the_readout(choices, tmp_path):
    one, two = (row_of(choices, "network", name, tmp_path) for name in
                ("nothing", "32 kernels 5x5 beside 32 kernels 9x9"))
    assert one["features"] == two["features"] == 64 * 36 and one["spikes_per_image"] != two["spikes_per_image"]
    assert min(one["accuracy"], two["accuracy"], two["10"]) > 60


def test_another_course_of_the_thresholds_is_that_of_its_row_alone(choices, tmp_path):
    base, timed, adapted, again = (row_of(choices, "learning", name, tmp_path) for name in (
        "all pairs, additive, A = 0.02", "winners aim at step 11",
        "adaptation, 0.5 of the start, 0.03 mV a win, 500 windows", "all pairs, additive, A = 0.02"))
    assert again["health"] == base["health"] != timed["health"] != adapted["health"] != base["health"]
    assert 0.5 < adapted["health"]["wins_per_window"] < 1.3


def test_a_row_that_cannot_be_calibrated_says_so(choices, tmp_path):
    cell = row_of(choices, "learning", "no gate", tmp_path)
    assert "fewer than 10 % of the windows" in cell["refused"] and "accuracy" not in cell
    assert "| no gate | | | 1 | layer 1, filter" in choices.table("learning", choices.rows_of("learning"),
                                                                  {"no gate": [cell]})


def test_counts_are_read_by_what_a_board_can_learn(choices, tmp_path):
    cell = row_of(choices, "readout", "R-STDP, 3 epochs, pulses of 0.05", tmp_path)
    assert cell["accuracy"] > 40 and "10" not in cell


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
    assert "200 training and 200 validation images" in table
    assert f"| {stdp['accuracy']:.2f} | {stdp['100']:.2f} |" in table
