"""The engine's tests on the checked build of its C sources, and wrong bounds that this build has to notice."""

import shutil

import numpy as np
import pytest
from checked_build import LOCAL, build, run

from spikingconvnet.backends.local import native
from spikingconvnet.errors import NetworkError

HERE = LOCAL.parents[2] / "tests/backends/local"
BREAKS = {          # a bound of each kernel that is one too far, or an index that leaves its array
    "sort_by_row": ("conv_native.c", "s < offsets[t + 1]; s++) {\n            const int64_t row = row_of",
                    "s <= offsets[t + 1]; s++) {\n            const int64_t row = row_of"),
    "group_inputs": ("conv_native.c", "count[columns[s]]++;", "count[columns[s] + n_columns]++;"),
    "events of a row": ("conv_row.h", "r->events + 3 * LANES * n_steps <= r->room", "r->events <= r->room"),
    "sort_by_step": ("conv_native.c", "place[step[k] + 1]++;", "place[step[k] + 2 + n_steps]++;"),
    "delay": ("general_steps.h", "arrival -= arrival >= all->slots ? all->slots : 0;", ";"),
    "history": ("general_native.c", "if (at == HISTORY - 1) {", "if (at == HISTORY) {"),
    "recorded": ("general_steps.h", "const int64_t j = net->recorded[k], at",
                 "const int64_t j = net->recorded[k] + all->n, at"),
}


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    return build(tmp_path_factory.mktemp("checked"))


def ends_well(done):
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]


def test_the_engines_tests_hold_on_the_checked_build(checked):
    ends_well(run(checked, "pytest", HERE / "test_golden.py", HERE / "test_memory.py", "-k", "not memory or golden"))
    ends_well(run(checked, "pytest", HERE / "test_reference_equals_kernels.py", "-k",
                  "pieces_equals or resets_of or compete or split or widest or modulat"))


def test_an_experiment_holds_on_the_checked_build(checked, parameters, tmp_path):
    ends_well(run(checked, "cli", "--mode", "demo", "--parameters", parameters(layers=2), "--run-dir",
                  tmp_path / "run"))


@pytest.mark.parametrize("name", BREAKS)
def test_a_wrong_bound_is_noticed(name, tmp_path):
    file, right, wrong = BREAKS[name]
    source = shutil.copytree(LOCAL, tmp_path / "source", ignore=shutil.ignore_patterns("*.so", "*.py", "__pycache__"))
    text = (source / file).read_text()
    assert text.count(right) == 1
    (source / file).write_text(text.replace(right, wrong))
    done = run(build(tmp_path, source), "pytest", HERE / "test_reference_equals_kernels.py", "-k",
               "pieces_equals or resets_of")
    noticed = ("does not hold", "AddressSanitizer", "runtime error")
    assert done.returncode != 0 and any(sign in done.stdout + done.stderr for sign in noticed), done.stdout[-2000:]


GIVEN = {"offsets": np.zeros(3, np.int64), "neurons": np.zeros(0, np.uint16), "row_of": np.zeros(4, np.int16),
         "column_of": np.zeros(4, np.int16), "channel_of": np.zeros(4, np.int16), "height": 2}


@pytest.mark.parametrize("changed, text", [
    ({"offsets": np.zeros(3)}, "sort_by_row: offsets: must be at least 3 numbers of int64 without gaps, got float64"),
    ({"neurons": np.zeros(2, np.int16)}, "neurons: must be at least 0 numbers of uint16 or uint32"),
    ({"column_of": np.zeros(3, np.int16)}, "column_of: must be at least 4 numbers of int16"),
    ({"row_of": np.zeros(8, np.int16)[::2]}, "without gaps")])
def test_an_array_that_c_would_misread_is_refused(changed, text):
    native.sort_by_row(**GIVEN)
    with pytest.raises(NetworkError, match=text):
        native.sort_by_row(**{**GIVEN, **changed})
