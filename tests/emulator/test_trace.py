"""A trace of packets: what is in it, what conditions leave out; a board without one knows nothing of it."""

import csv

import pytest
from bench import Bench
from programs import WFI, program
from test_core import FIQ_ON_PACKETS, R1_CC, TAKE_PACKET, forever

from spikingconvnet.emulator import cli
from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.errors import SetupError
from spikingconvnet.emulator.faults import Faults
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.snapshots import boards
from spikingconvnet.emulator.timed_core import TimedCore
from spikingconvnet.emulator.timed_native import TimedNativeCore
from spikingconvnet.emulator.trace import Filter, Trace, parse

# mov r0, #5; str r0, [r1, #TXKEY]; str r0, [r1, #TXDATA]; mov r0, #0x105; str r0, [r1, #TXKEY]
SENDS = program([R1_CC, 0xe3a00005, 0xe5810008, 0xe5810004, 0xe3a00c01, 0xe3800005, 0xe5810008, WFI])
TAKES = program(forever(FIQ_ON_PACKETS), {0x1c: TAKE_PACKET})
LINES = [("sent", "0", "0", "2", "0x00000005", ""), ("sent", "0", "0", "2", "0x00000105", "0x00000005"),
         ("received", "1", "0", "1", "0x00000005", ""), ("received", "1", "0", "1", "0x00000105", "0x00000005")]


def traced(path, kind=NativeCore, conditions=(), restore=None, **options):
    """Two packets from one chip to the next, and the lines of their trace without the time."""
    reports = []
    trace = Trace(str(path), parse(conditions), reports.append)
    if restore:
        machine = boards.load(restore, trace=trace)
    else:
        machine = Bench(trace.cores(kind), timed="Timed" in kind.__name__, **options).machine
        machine.root.router.set(0, 0, 0, 1 << 0)
        machine.chips[1, 0].router.set(0, 0, 0, 1 << 6 + 1)
        for chip, core, image in ((machine.chips[1, 0], 1, TAKES), (machine.root, 2, SENDS)):
            chip.bus.write(SDRAM_SYSTEM, image)
            chip.start(SDRAM_SYSTEM, 1 << core, 30, 0)
    machine.run()
    trace.close()
    assert reports == []
    with open(path) as file:
        return [tuple(line.values()) for line in csv.DictReader(file)]


@pytest.mark.parametrize("kind", [Core, NativeCore, TimedCore, TimedNativeCore])
def test_packets_are_there_as_they_are_sent_and_received(kind, tmp_path):
    lines = traced(tmp_path / "trace", kind)
    assert sorted(line[1:] for line in lines) == sorted(LINES)
    times = [float(line[0]) for line in lines]
    assert all(time == 0 for time in times) != ("Timed" in kind.__name__) and min(times[2:]) >= min(times[:2])


@pytest.mark.parametrize("conditions, wanted", [
    (["key=5"], [0, 2]), (["key=0x100/0x100"], [1, 3]), (["chip=1,0"], [2, 3]), (["core=0,0,2"], [0, 1]),
    (["core=0,0,3"], []), (["ms=0-1"], [0, 1, 2, 3]), (["ms=0.1-1"], []), (["key=5", "chip=0,0"], [0]),
    (["chip=0,0", "chip=1,0", "key=5"], [0, 2]), (["ms=0.5-1", "ms=0-0.1"], [0, 1, 2, 3])])
def test_conditions_of_a_kind_are_choices_and_all_kinds_must_be_met(conditions, wanted, tmp_path):
    assert [line[1:] for line in traced(tmp_path / "trace", conditions=conditions)] == [LINES[i] for i in wanted]


def test_a_packet_that_is_dropped_is_sent_alone(tmp_path):
    lines = traced(tmp_path / "trace", faults=Faults(dropped_packets=1.0))
    assert [line[1:] for line in lines] == LINES[:2]


def test_a_board_that_goes_on_from_a_snapshot_is_traced(tmp_path):
    bench = Bench(NativeCore)
    bench.chip.router.set(0, 0, 0, 1 << 6 + 2)
    bench.chip.bus.write(SDRAM_SYSTEM, SENDS)
    bench.chip.start(SDRAM_SYSTEM, 1 << 2, 30, 0)
    boards.save(bench.machine, tmp_path / "board")
    lines = traced(tmp_path / "trace", restore=tmp_path / "board")
    assert [line[1:3] for line in lines] == [("sent", "0")] * 2 + [("received", "0")] * 2


@pytest.mark.parametrize("text", ["key", "key=", "key=0x", "chip=0", "core=0,0", "ms=5", "ms=-5", "place=0,0", ""])
def test_a_condition_that_means_nothing_is_refused(text):
    with pytest.raises(SetupError, match="must be one of key=0x10000/0xffff0000, chip=0,0, core=0,0,3, ms=100-200"):
        parse([text])


@pytest.mark.parametrize("words, said", [
    (["--trace-only", "chip=0,0"], "--trace-only: means nothing without --trace"),
    (["--trace", "{0}/no/trace"], "--trace {0}/no/trace: No such file"),
    (["--trace", "t", "--fault", "slow-core=0,0,2,1mips"], "slow cores are not traced"),
    (["--spalloc", "--trace", "t"], "leave out --trace"), (["--hold"], "--hold: means nothing without --restore"),
    (["--at", "5"], "--at: a time below"), (["--restore", "{0}/none"], "none: the snapshot cannot be read"),
    (["--restore", "f", "--version", "3"], "--version: a snapshot is of a board of its own kind"),
    (["--restore", "f", "--timed"], "--timed: a snapshot is of"), (["--restore", "f", "--no-native"], "--no-native: a"),
    (["--restore", "f", "--fault", "seed=1"], "--fault: a snapshot is of")])
def test_options_that_do_not_go_together_are_refused(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main([word.format(tmp_path) for word in words]) in (1, 2)
    assert said.format(tmp_path) in capsys.readouterr().err


def test_a_full_disk_ends_the_trace_and_not_the_board(tmp_path):
    reports = []
    trace = Trace("/dev/full", Filter(), reports.append)
    for _ in range(3):
        trace.note(0, "sent", (0, 0, 1), [(0, 5, 0)] * 2000)
    trace.close()
    assert len(reports) == 1 and "the trace /dev/full ends here: No space left" in reports[0]


def test_cores_without_a_trace_are_those_of_always():
    assert Bench(NativeCore).chip.cores[1].offer.__func__ is NativeCore.offer
