"""Boards with faults x runs in pieces: a share of ``benchmarks/board_faults.py``, in which every run ends."""

import pytest

from spikingconvnet.emulator.faults import FORMS

DEAD = ("dead-core=0,0,1", "dead-core=0,0,4", "dead-chip=1,1")


@pytest.fixture
def end(benchmark_named, tmp_path):
    """A function that runs a kind of network on a board with faults, in pieces: see ``board_faults.outcome``."""
    return lambda *run: benchmark_named("board_faults").outcome(*run, tmp_path)


def test_the_benchmark_knows_every_fault(benchmark_named):
    named = {text.partition("=")[0] for faults in benchmark_named("board_faults").FAULTS for text in faults}
    assert named == set(FORMS)


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_a_board_without_some_of_its_parts_gives_the_same_integers(pieces, end):
    assert end(DEAD, "learning", pieces) == (True, "valid", "same integers")


@pytest.mark.parametrize("fault, kind, pieces, finding", [
    ("dropped-packets=0.1", "learning", 5, "dropped_packets"),
    ("late-packets=0.3,1.5ms", "membranes", 2, "late_spikes"), ("slow-core=0,0,2,8mips", "spikes", 5, "late_packets")])
def test_numbers_that_a_fault_has_changed_are_not_called_valid(fault, kind, pieces, finding, end):
    right, verdict, found = end((fault,), kind, pieces)
    assert right and verdict == "invalid" and found.startswith("other integers, ") and finding in found


@pytest.mark.parametrize("fault, kind, pieces, error, text", [
    ("slow-core=0,0,2,8mips", "resets", 2, "IncompleteRecording", "steps of core 0,0,2 (out, neurons 0 to 255)"),
    ("crash=0,0,1,25ms", "membranes", 5, "SimulationFailed", "core 0,0,1 is in state RUN_TIME_EXCEPTION (DABT)")])
def test_a_run_of_which_something_is_missing_ends_with_a_sentence_and_a_verdict(fault, kind, pieces, error, text, end):
    right, kind_of_error, sentence = end((fault,), kind, pieces)
    assert right and kind_of_error == error and text in sentence
