"""Tests of cores on the checked build of the emulated board's C source, and wrong bounds that it has to notice."""

import pytest
from checked_build import EMULATOR, NOTICED, build, run

HERE = EMULATOR.parents[1] / "tests/emulator"
# By kernel: a test that uses it, and a bound that is one too far or an index that leaves its array.
BREAKS = {
    "sent": ("pausing_repeats", "c->n_sent + 3 > c->sent_size", "c->n_sent > c->sent_size"),
    "in service": ("a_line_of", "c->in_service[c->served - 1] :", "c->in_service[c->served - 1 + SLOTS] :"),
    "memory": ("DMA and over", "length <= c->memories[i].size - offset", "length <= c->memories[i].size"),
    "memories": ("DMA and nowhere", "for (int i = 0; i < c->n_memories; i++) {\n        uint32_t offset = address - c",
                 "for (int i = 0; i <= MEMORIES; i++) {\n        uint32_t offset = address - c"),
    "events": ("a_timer_interrupts", "if (n + more <= *room) return 1;", "if (n <= *room) return 1;"),
    "instructions": ("jump and nowhere", "if (to >= CODE)", "if (to > ~0u - CODE)"),
}
SOURCES = {path.name: path.read_text() for path in (EMULATOR / "core_native.c", EMULATOR / "arm_run.h",
                                                     EMULATOR / "arm_loop.h", EMULATOR / "board_loop.h")}


HELD = {"test_core": "native", "test_interpreter": "alike and 17", "test_fuzz": "",     # files, and which tests
        "test_timed": "native and (burst or transfer or lock)", "test_snapshots": "numbers_of_a_core or died",
        "test_native_machine": "not deadlines"}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What all runs print and their exit codes, by name."""
    folder = tmp_path_factory.mktemp("checked")
    library, runs = build(folder, EMULATOR), {}
    for name, chosen in HELD.items():
        runs[name] = library, "board", HERE / f"{name}.py", "-k", chosen
    for number, (name, (chosen, right, wrong)) in enumerate(BREAKS.items()):
        assert any(right in text for text in SOURCES.values())
        source = folder / str(number)
        source.mkdir()
        for file, text in SOURCES.items():
            (source / file).write_text(text.replace(right, wrong, 1))
        runs[name] = build(source, source), "board", HERE / "test_core.py", "-k", f"native and ({chosen})"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FUZZ_CASES", "400")
        return dict(zip(runs, run(*runs.values())))


@pytest.mark.parametrize("name", HELD)
def test_tests_of_cores_hold_on_the_checked_build(name, found):
    out, code = found[name]
    assert code == 0, out[-3000:]


@pytest.mark.parametrize("name", BREAKS)
def test_a_wrong_bound_is_noticed(name, found):
    out, code = found[name]
    assert code != 0 and any(sign in out for sign in NOTICED), out[-2000:]
