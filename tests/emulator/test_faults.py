"""Faults on demand: how they are said, what the machine does, and what unmodified sPyNNaker makes of them."""

import struct

import pytest
from conftest import Bench
from programs import SEEN, WFI, branch, program

from spikingconvnet.emulator import Faults, SetupError, cli, faults
from spikingconvnet.emulator.memory_map import NUM_CPUS, SDRAM_SYSTEM, SV, SV_BASE, VCPU, CPUState
from spikingconvnet.emulator.packets import SDP, Command

ALL = Faults(seed=3, dropped_packets=0.25, late_packets=(0.5, 1.5), dead_chips=((1, 1), (0, 1)),
             dead_cores=((0, 0, 5),), dead_links=((1, 0, 2),), slow_cores=((0, 0, 4, 0.5),), crashes=((0, 0, 2, 10),),
             silent_after=1e-05, silent_after_packets=0)
LOCAL, DUMPED = 0, 8                    # counters, as SC&MP sets the filters
KEY = 0x100

# -- description ------------------------------------------------------------------------------------------------------


def test_options_say_what_a_description_says():
    options = ALL.options()
    assert options[::2] == ["--fault"] * (len(options) // 2) and faults.parse(options[1::2]) == ALL
    assert Faults().options() == [] and faults.parse([]) == Faults()


@pytest.mark.parametrize("name", faults.FORMS)
def test_every_example_can_be_read_and_means_something(name):
    read = faults.parse([f"{name}={faults.FORMS[name].example}"])
    assert read != Faults() and read.options() == ["--fault", f"{name}={faults.FORMS[name].example}"]


@pytest.mark.parametrize("text, message", [
    ("burnt-chip=0,0", "no such fault; there are dropped-packets=0.01, late-packets="),
    ("dead-core=0,0", "must be written like dead-core=0,0,5"),
    ("dead-core", "must be written like dead-core=0,0,5"),
    ("silent-after=3.5", "must be written like silent-after=0.1s"),
    ("late-packets=0.1,1s", "must be written like late-packets=0.01,1.5ms"),
    ("dropped-packets=-1", "must be written like"),
    ("dropped-packets=1.5", "Faults.dropped_packets: must be a share from 0 to 1, got 1.5"),
    ("dead-chip=0,0", r"Faults.dead_chips: must be another chip: \(0, 0\) has the Ethernet port"),
    ("dead-core=0,0,0", "must be another core: core 0 is the chip's monitor"),
    ("dead-core=0,0,18", "must be .x, y, core up to 17., got .0, 0, 18."),
    ("dead-link=0,0,6", "link up to 5")])
def test_a_text_that_is_no_fault_is_an_error_that_says_what_would_be(text, message):
    with pytest.raises(SetupError, match=message):
        faults.parse([text])


def test_a_fault_that_can_be_there_once_is_refused_twice():
    with pytest.raises(SetupError, match="--fault seed=2: seed is there already"):
        faults.parse(["seed=1", "seed=2"])


@pytest.mark.parametrize("values", [
    {"seed": 1.5}, {"dropped_packets": float("nan")}, {"dropped_packets": "0.1"}, {"late_packets": 0.1},
    {"late_packets": (0.1, float("inf"))}, {"dead_chips": ((0, -1),)}, {"dead_chips": ("01",)},
    {"dead_cores": ((0, 0, 1.0),)}, {"slow_cores": ((0, 0, 1),)}, {"crashes": ((0, 0, 1, float("nan")),)},
    {"silent_after": -1}, {"silent_after_packets": "3"}])
def test_a_value_that_means_nothing_is_refused(values):
    with pytest.raises(SetupError, match=f"Faults.{next(iter(values))}: must be "):
        Faults(**values)


def test_a_fault_on_no_chip_of_the_board_is_refused(capsys):
    assert cli.main(["--version", "3", "--fault", "dead-chip=4,4"]) == 2
    assert capsys.readouterr().err == "error: Faults.dead_chips: must be on a chip of the SpiNN-3, got (4, 4)\n"


# -- machine ----------------------------------------------------------------------------------------------------------

TICKING = [0xe59f1014,                  # ldr r1, =timer 1
           0xe3a00ffa,                  # mov r0, #1000
           0xe5810000,                  # str r0, [r1]
           0xe3a000e0 | 2,              # mov r0, #run, periodic, interrupt, 32 bits
           0xe5810008,                  # str r0, [r1, #8]
           WFI, branch(4, 0), 0x21000000]
PERIOD = 1000 / 200_000                 # ms


def faulty(make_core=None, **what):
    options = {} if make_core is None else {"make_core": make_core}
    return Bench(faults=Faults(**what), **options)


def test_a_dead_chip_is_in_no_table_and_nobody_has_a_link_to_it():
    machine, whole = faulty(dead_chips=((1, 1),)).machine, Bench().machine
    assert sorted(machine.chips) == [(0, 0), (0, 1), (1, 0)]
    assert all(chip.router.p2p_link(0x0101) == 6 for chip in machine.chips.values())
    for xy, chip in machine.chips.items():
        there = sum(1 << link for link, end in enumerate(whole.wires[xy]) if end not in (None, (1, 1)))
        assert chip.links == chip.bus.load(SV_BASE + SV.LINK_EN, 1) == there < whole.chips[xy].links


def test_a_dead_link_is_dead_from_both_ends():
    machine, whole = faulty(dead_links=((0, 0, 2),)).machine, Bench().machine
    gone = {(xy, link) for xy, ends in whole.wires.items() for link, end in enumerate(ends)
            if end != machine.wires[xy][link]}
    assert gone == {((0, 0), 2), ((0, 1), 5)}
    assert machine.chips[0, 1].links == whole.chips[0, 1].links & ~(1 << 5)


def test_the_cores_of_a_chip_are_numbered_without_the_dead_ones():
    bench = faulty(dead_cores=((0, 0, 1), (0, 0, 3)))
    chip = bench.chip
    assert list(chip.cores) == list(range(1, NUM_CPUS - 2))
    assert [chip.cores[number].physical for number in (1, 2, 15)] == [2, 4, 17]
    assert chip.bus.read(SV_BASE + SV.V2P_MAP, 4) == bytes((0, 2, 4, 5))
    assert chip.bus.read(SV_BASE + SV.P2V_MAP, 5) == bytes((0, 255, 1, 255, 2))
    assert chip.vcpu(16, VCPU.CPU_STATE, 1) == CPUState.DEAD and chip.vcpu(15, VCPU.CPU_STATE, 1) == CPUState.IDLE
    bench.machine.send(SDP(0x87, 1, 0, 0xff, 0, 0, struct.pack("<2H3I", Command.INFO, 0, 0, 0, 0)))
    assert bench.sent[-1].payload[4] & 31 == NUM_CPUS - 2


def test_programs_and_routes_reach_the_physical_core(make_core):
    bench = faulty(make_core, dead_cores=((0, 0, 1),))
    main = [0xe59f1010, 0xe5910014, 0xe59f100c, 0xe5810000, WFI, branch(4, 0), 0x40000000, SEEN]    # DMA status to SEEN
    bench.start(program(main), cores=(2,))
    assert bench.chip.bus.load(SEEN) >> 24 == 3                         # as it learns its physical number
    bench.chip.set_router(1, KEY, 0xffffffff, 1 << 6 + 2, 30)
    assert bench.chip.router.lookup(KEY) == 1 << 6 + 3
    bench.machine._packets = [((0, 0), [(0, KEY, 0)])]
    bench.machine.step()
    assert bench.chip.cores[2] in bench.machine._ready
    assert bench.chip.system_controller.flags == 1 << 3                 # `start` sets the barrier flags of its cores


def sent_through(share, seed=0, keys=(KEY,), number=400):
    """A bench after packets from (0, 0) to cores of (1, 0) and of (0, 0); the packets that arrived there."""
    bench, arrived = faulty(dropped_packets=share, seed=seed), {(0, 0): [], (1, 0): []}
    bench.chip.router.set(1, KEY, 0xfffffff0, 1 << 0 | 1 << 6 + 4)
    bench.machine.chips[1, 0].router.set(1, KEY, 0xfffffff0, 1 << 6 + 2)
    bench.chip.cores[4].offer = arrived[0, 0].append
    bench.machine.chips[1, 0].cores[2].offer = arrived[1, 0].append
    bench.machine._packets = [((0, 0), [(0, key, n) for n in range(number)]) for key in keys]
    bench.machine.run()
    return bench, arrived


def test_every_router_on_the_way_drops_its_share_and_counts_it():
    bench, arrived = sent_through(0.25)
    first, second = bench.chip.router, bench.machine.chips[1, 0].router
    assert first.counters[LOCAL] == len(arrived[0, 0]) and first.counters[DUMPED] == 400 - len(arrived[0, 0])
    assert second.counters[DUMPED] == len(arrived[0, 0]) - len(arrived[1, 0])
    assert set(arrived[1, 0]) < set(arrived[0, 0])
    assert abs(len(arrived[0, 0]) - 300) < 40 and abs(len(arrived[1, 0]) - 225) < 50    # more than 4 sigma


@pytest.mark.parametrize("share, number", [(0, 400), (1, 0)])
def test_none_or_all_can_be_dropped(share, number):
    _, arrived = sent_through(share)
    assert len(arrived[0, 0]) == len(arrived[1, 0]) == number


def test_which_packets_are_dropped_depends_on_the_seed_and_not_on_other_keys():
    alone, others = sent_through(0.25)[1], sent_through(0.25, keys=(KEY + 1, KEY, KEY + 2))[1]
    assert alone[1, 0] == [packet for packet in others[1, 0] if packet[1] == KEY]
    assert alone[1, 0] != sent_through(0.25, seed=1)[1][1, 0]
    assert [n for _, key, n in others[1, 0] if key == KEY + 1] != [n for _, key, n in others[1, 0] if key == KEY + 2]


def test_a_core_crashes_with_a_data_abort_at_its_time(make_core):
    bench = faulty(make_core, crashes=((0, 0, 1, 5),))
    bench.chip.bus.write(SDRAM_SYSTEM, program(TICKING))
    bench.chip.start(SDRAM_SYSTEM, 0b110, 30, 0)
    bench.machine.run(until=int(200_000 * (5 + PERIOD)) - 1)
    assert bench.chip.bus.load(SEEN) == 0 and bench.reports == []
    bench.machine.run(until=int(200_000 * (5 + PERIOD)))
    assert bench.chip.bus.load(SEEN) == 4                               # the vector at 0x10
    at = bench.chip.bus.load(SEEN + 4) - 8                              # what the exception puts into LR
    assert bench.reports == [f"core 0,0,1 (starting): DABT at pc {at:#010x}: a fault on demand"]


@pytest.mark.parametrize("what", [{"silent_after_packets": 2}, {"silent_after": 0.001}])
def test_a_silent_board_says_nothing_more(what):
    bench = faulty(**what)
    version = SDP(0x87, 1, 0, 0xff, 0, 0, struct.pack("<2H3I", Command.VER, 0, 0, 0, 0))
    bench.machine.accept(version)
    bench.machine.accept(version)
    assert len(bench.sent) == 2 and bench.reports == []
    bench.machine.cycle = 200_000
    bench.machine.accept(version)
    assert len(bench.sent) == 2 and bench.reports == ["silent from now on, as its faults say"]
