"""Faults on demand on a board in time: the same for cores in Python and in C."""

import pytest
from bench import Bench
from programs import SEEN, program
from test_faults import DUMPED, LOCAL, TICKING
from test_timed import load

from spikingconvnet.emulator import timing
from spikingconvnet.emulator.errors import SetupError, SnapshotError
from spikingconvnet.emulator.faults import Faults
from spikingconvnet.emulator.faulty_machine import FOR_EVER
from spikingconvnet.emulator.snapshots import boards
from spikingconvnet.emulator.timed_core import TimedCore
from spikingconvnet.emulator.timed_native import TimedNativeCore

KEY, MS = 0x100, 200_000


@pytest.fixture(params=[TimedCore, TimedNativeCore], ids=["python", "native"])
def kind(request):
    return request.param


def faulty(kind, **what):
    return Bench(kind, Faults(**what), timed=True)


def test_dead_parts_are_missing(kind):
    bench = faulty(kind, dead_chips=((1, 1),), dead_cores=((0, 0, 5),), dead_links=((0, 0, 0),))
    whole = Bench(kind, timed=True)
    assert list(bench.machine.chips) == [xy for xy in whole.machine.chips if xy != (1, 1)]
    assert len(bench.chip.cores) == len(whole.chip.cores) - 1
    assert bench.machine.wires[0, 0][0] is None and whole.machine.wires[0, 0][0] == (1, 0)


def crashed(kind, ms):
    """A bench whose core 1 crashes, and cycles of a core beside it, after 9 ms."""
    bench = faulty(kind, crashes=((0, 0, 1, ms),))
    core = load(bench, program(TICKING))
    bench.machine.run(until=int(ms * MS) - 1)
    assert bench.reports == [] and bench.chip.bus.load(SEEN) == 0
    bench.machine.run(until=int((ms + 4) * MS))
    return bench, core


def test_a_core_crashes_at_its_time(kind):
    bench, _ = crashed(kind, 5)
    assert bench.chip.bus.load(SEEN) == 4                               # the vector at 0x10
    at = bench.chip.bus.load(SEEN + 4) - 8
    assert bench.reports == [f"core 0,0,1 (starting): DABT at pc {at:#010x}: a fault on demand"]


def test_a_crash_is_the_same_in_c():
    (first, core), (second, other) = (crashed(kind, 5) for kind in (TimedCore, TimedNativeCore))
    assert first.reports == second.reports and core.times() == other.times()
    assert first.machine.cycle == second.machine.cycle


def sent_through(kind, share, number=300, wait=None, keys=(KEY,), seed=0):
    """A bench after packets from (0, 0) to cores there and on (1, 0): what they were given, and when."""
    bench, came = faulty(kind, dropped_packets=share, seed=seed), []
    for xy, core, route in (((0, 0), 4, 1 << 0 | 1 << 6 + 4), ((1, 0), 2, 1 << 6 + 2)):
        chip = bench.machine.chips[xy]
        chip.router.set(1, KEY, 0xfffffff0, route)
        if wait is not None:
            chip.router.control = chip.router.control & ~(255 << 16) | wait << 16
        assert type(chip.cores[core]) is kind
    network = bench.machine._network
    for xy in ((0, 0), (1, 0)):
        bench.machine.chips[xy].router.count = Note(bench.machine.chips[xy].router.count, came, xy)
    network.post([(1000 * n, (0, 0), 1, (0, key, n)) for n in range(number) for key in keys])
    network.carry(None, 0)
    return bench, came


class Note:
    """Counts in a router, and notes that it has."""

    def __init__(self, count, came, xy):
        self.count, self.came, self.xy = count, came, xy

    def __call__(self, counters, number):
        self.came.append((self.xy, tuple(counters), number))
        self.count(counters, number)


def dropped(bench, xy):
    return bench.machine.chips[xy].router.counters[DUMPED]


def test_every_router_drops_its_share_and_counts_it(kind):
    bench, _ = sent_through(kind, 0.25)
    first, second = dropped(bench, (0, 0)), dropped(bench, (1, 0))
    assert bench.chip.router.counters[LOCAL] == 300 - first
    assert abs(first - 75) < 32 and abs(second - (300 - first) / 4) < 28        # more than 4 sigma


@pytest.mark.parametrize("share, wait, lost", [(1, None, 300), (1, FOR_EVER, 0)])
def test_all_can_be_dropped_and_none_where_the_router_waits_for_ever(kind, share, wait, lost):
    bench, _ = sent_through(kind, share, wait=wait)
    assert dropped(bench, (0, 0)) == lost and dropped(bench, (1, 0)) == 0


def test_the_same_lots_in_c_and_other_ones_from_another_seed():
    first, second, third = (sent_through(kind, 0.25, keys=(KEY, KEY + 1), seed=seed)[1] for kind, seed in (
        (TimedCore, 0), (TimedNativeCore, 0), (TimedNativeCore, 1)))
    assert first == second != third


def test_a_packet_that_is_dropped_lets_the_next_one_go_on(kind):
    bench, _ = sent_through(kind, 1, number=1)
    assert bench.machine._network.free((0, 0)) == timing.SEND + timing.ROUTER_PACKET
    assert bench.machine._network.earliest is None


@pytest.mark.parametrize("what", [{"slow_cores": ((0, 0, 5, 8.0),)}, {"late_packets": (0.1, 1.0)}])
def test_faults_that_are_about_time_themselves_are_refused(kind, what):
    with pytest.raises(SetupError, match="--timed: "):
        faulty(kind, **what)


def test_such_a_board_is_in_no_snapshot(tmp_path):
    with pytest.raises(SnapshotError, match="time and faults on demand"):
        boards.save(faulty(TimedNativeCore, dropped_packets=0.5).machine, tmp_path / "board.snap")
    assert not list(tmp_path.iterdir())
