"""The engine's tests on the checked build of its C sources, and wrong bounds that this build has to notice."""

import shutil

import pytest
from checked_build import LOCAL, NOTICED, build, run

HERE = LOCAL.parents[2] / "tests/backends/local"
CONVOLUTION, GENERAL = "new_thresholds_between_pieces_reach", "in_pieces_equals_one_run"
# By kernel: tests that use it, and a bound that is one too far or an index that leaves its array.
BREAKS = {
    "sort_by_row": (CONVOLUTION, "conv_native.c", "s < offsets[t + 1]; s++) {\n            const int64_t row = row_of",
                    "s <= offsets[t + 1]; s++) {\n            const int64_t row = row_of"),
    "row_inputs": (CONVOLUTION, "conv_native.c", "inputs[3 * room + n] =", "inputs[4 * room + n] ="),
    "events of a row": ("more_spikes_than_the_first_buffer", "conv_row.h",
                        "r->events + MOST_LANES * n_steps <= r->room", "r->events <= r->room"),
    "sort_by_step": (CONVOLUTION, "conv_native.c", "place[step[k] + 1]++;", "place[step[k] + 2 + n_steps]++;"),
    "delay": (GENERAL, "general_steps.h", "arrival -= arrival >= all->slots ? all->slots : 0;", ";"),
    "history": (GENERAL, "general_native.c", "if (at == HISTORY - 1) {", "if (at == HISTORY) {"),
    "recorded": (GENERAL, "general_steps.h", "const int64_t j = net->recorded[k], at",
                 "const int64_t j = net->recorded[k] + all->n, at"),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory, parameters_in):
    """What all runs print and their exit codes, by name."""
    folder = tmp_path_factory.mktemp("checked")
    library = build(folder)
    demo = "--mode", "demo", "--parameters", parameters_in(folder, layers=2), "--run-dir", folder / "run"
    runs = {"engine": (library, "pytest", HERE / "test_golden.py", HERE / "test_reference_equals_kernels.py", "-k",
                       f"golden or {GENERAL} or resets_of or compete or split or longer_and_shorter or more_spikes"),
            "experiment": (library, "cli", *demo)}
    for number, (name, (tests, file, right, wrong)) in enumerate(BREAKS.items()):
        source = folder / str(number)
        shutil.copytree(LOCAL, source, ignore=shutil.ignore_patterns("*.so", "*.py", "__pycache__"))
        text = (source / file).read_text()
        assert text.count(right) == 1
        (source / file).write_text(text.replace(right, wrong))
        runs[name] = build(source, source), "pytest", HERE / "test_reference_equals_kernels.py", "-k", tests
    return dict(zip(runs, run(*runs.values())))


@pytest.mark.parametrize("name", ["engine", "experiment"])
def test_the_engines_tests_and_an_experiment_hold_on_the_checked_build(name, found):
    out, code = found[name]
    assert code == 0, out[-3000:]


@pytest.mark.parametrize("name", BREAKS)
def test_a_wrong_bound_is_noticed(name, found):
    out, code = found[name]
    assert code != 0 and any(sign in out for sign in NOTICED), out[-2000:]
