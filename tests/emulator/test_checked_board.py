"""Tests of cores on the checked build of the emulated board's C source, and wrong bounds that it has to notice."""

import pytest
from checked_build import EMULATOR, NOTICED, build, run

# By kernel: a test that uses it, and a bound that is one too far or an index that leaves its array.
BREAKS = {
    "sent": ("pausing_repeats", "c->n_sent + 3 > c->sent_size", "c->n_sent > c->sent_size"),
    "in service": ("a_line_of", "c->in_service[c->served - 1] :", "c->in_service[c->served - 1 + SLOTS] :"),
    "memory": ("DMA and over", "length <= c->memories[i].size - offset", "length <= c->memories[i].size"),
    "memories": ("DMA and nowhere", "for (int i = 0; i < c->n_memories; i++) {\n        uint32_t offset = address - c",
                 "for (int i = 0; i <= MEMORIES; i++) {\n        uint32_t offset = address - c"),
}


def tried(library, chosen, name="test_core"):
    """What tests of cores print on a library, and their exit code."""
    return run(library, "board", EMULATOR.parents[1] / f"tests/emulator/{name}.py", "-k", chosen)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    return build(tmp_path_factory.mktemp("checked"), EMULATOR)


@pytest.mark.parametrize("chosen, name", [
    ("native", "test_core"), ("native and (burst or transfer or lock)", "test_timed"), ("", "test_fuzz")])
def test_tests_of_cores_hold_on_the_checked_build(chosen, name, checked, monkeypatch):
    monkeypatch.setenv("FUZZ_CASES", "400")
    out, code = tried(checked, chosen, name)
    assert code == 0, out[-3000:]


@pytest.mark.parametrize("name", BREAKS)
def test_a_wrong_bound_is_noticed(name, tmp_path):
    chosen, right, wrong = BREAKS[name]
    text = (EMULATOR / "core_native.c").read_text()
    assert right in text
    (tmp_path / "core_native.c").write_text(text.replace(right, wrong, 1))
    out, code = tried(build(tmp_path, tmp_path), f"native and ({chosen})")
    assert code != 0 and any(sign in out for sign in NOTICED), out[-2000:]
