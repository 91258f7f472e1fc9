"""Faults on demand: how they are said, what the machine does, and what unmodified sPyNNaker makes of them."""

import json
import os
import signal
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import patience
import pytest
from bench import Bench
from programs import SEEN, WFI, branch, program

from spikingconvnet.emulator import Faults, SetupError, cli, faults
from spikingconvnet.emulator.memory_map import NUM_CPUS, SDRAM_SYSTEM, SV, SV_BASE, VCPU, CPUState, Signal
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


def test_the_barrier_flags_of_a_core_are_those_of_its_virtual_number(make_core):
    """`resume_wait` of spin1_api.c looks for ``1 << sark.virt_cpu``, `signal_app` of scamp-app.c sets it so."""
    bench = faulty(make_core, dead_cores=((0, 0, 1), (0, 0, 3)))
    flags = bench.chip.system_controller
    bench.start(program([WFI, branch(1, 0)]), cores=(2, 5))
    assert flags.flags == 1 << 2 | 1 << 5
    bench.chip.signal(Signal.SYNC0, 30, 0xff)
    assert flags.flags == 0
    bench.chip.signal(Signal.SYNC1, 30, 0xff)
    assert flags.flags == 1 << 2 | 1 << 5


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


def test_late_packets_arrive_when_their_delay_is_over():
    bench, arrived = faulty(late_packets=(0.25, 1.5), seed=4), []
    bench.chip.router.set(1, KEY, 0xffffffff, 1 << 6 + 4)
    bench.chip.cores[4].offer = lambda packet: arrived.append((bench.machine.cycle, packet[2]))
    bench.machine._packets = [((0, 0), [(0, KEY, n) for n in range(400)])]
    bench.machine.run()
    late = [n for cycle, n in arrived if cycle == 300_000]
    assert abs(len(late) - 100) < 40 and sorted(n for _, n in arrived) == list(range(400))
    assert {cycle for cycle, n in arrived if n not in late} == {0}


COUNTING = [0xe59f1038,                 # ldr r1, =timer 1
            0xe59f0038,                 # ldr r0, =200000
            0xe5810000,                 # str r0, [r1]
            0xe3a000e2,                 # mov r0, #run, periodic, interrupt, 32 bits
            0xe5810008,                 # str r0, [r1, #8]
            0xe59f202c,                 # ldr r2, =SEEN
            0xe59f102c,                 # ldr r1, =VIC
            0xe3a00010,                 # mov r0, #1 << 4, the timer's line
            0xe581000c,                 # str r0, [r1, #0xc]: as FIQ
            0xe5810010,                 # str r0, [r1, #0x10]: enabled
            0xe10f0000, 0xe3c000c0, 0xe121f000,             # mrs; bic #0xc0; msr: interrupts on
            0xe2833001, 0xe5823010, branch(8, 0),           # forever: add r3, #1; str r3, [r2, #16]
            0x21000000, 200_000, SEEN, 0x2f000000]


def counted(speed):
    """What the program has counted to when its timer first interrupts it, after 1 ms."""
    bench = faulty(slow_cores=((0, 0, 1, speed),))
    bench.chip.bus.write(SDRAM_SYSTEM, program(COUNTING))
    bench.chip.start(SDRAM_SYSTEM, 0b10, 30, 0)
    bench.machine.run(until=400_000)
    assert bench.chip.bus.load(SEEN) == 7 and bench.reports == []       # the vector at 0x1c
    return bench.chip.bus.load(SEEN + 16)


@pytest.mark.parametrize("speed", [0.5, 3, 40])
def test_a_slow_core_executes_its_instructions_per_second_and_is_interrupted_in_between(speed):
    assert counted(speed) == pytest.approx(speed * 1000 / 3, rel=0.1)   # three instructions a turn


# -- with sPyNNaker ---------------------------------------------------------------------------------------------------

HERE = Path(__file__).parent
MIXED = ["dropped-packets=0.05", "late-packets=0.05,2.5ms", "slow-core=0,0,2,5mips", "dead-core=0,0,2", "seed=2"]
TIMED = ["dropped-packets=0.1", "dead-core=0,0,3"]
RUNS = {"whole": [], "dropped": ["dropped-packets=0.1"], "late": ["late-packets=0.1,1.5ms"],
        "dead": ["dead-chip=1,1", "dead-core=0,0,1", "dead-core=0,0,3", "dead-link=0,0,5"],
        "crash": ["crash=0,0,2,50ms"], "slow neurons": ["slow-core=0,0,2,8mips"],
        "slow sources": ["slow-core=0,0,1,1mips"], "mixed": MIXED, "mixed python": MIXED,
        "timed": TIMED, "timed python": TIMED, "timed crash": ["crash=0,0,2,50ms"]}
REPORTS = ("[Reports]\nread_router_provenance_data = True\nread_placements_provenance_data = True\n"
           "write_provenance = True\nkeep_data_database = True\n")


def start(place, wrong, *options):
    """The script's process, on a board of its own with faults."""
    (place / "spynnaker.cfg").write_text(REPORTS)
    command = [sys.executable, "-m", "spikingconvnet.emulator", "--version", "3", *options,
               *(part for text in wrong for part in ("--fault", text)), str(HERE / "faulty_network.py")]
    environment = {**os.environ, "HOME": str(place), "PYTHONPATH": str(HERE.parents[1])}
    return subprocess.Popen(command, cwd=place, env=environment, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def finish(place, name):
    """(result, messages) of a run."""
    with start(place, RUNS[name], "--no-native" if name.endswith("python") else "--native",
               *["--timed"] * name.startswith("timed")) as process:
        text, _ = patience.communicate(process)
    lines = [line for line in text.splitlines() if line.startswith("RESULT ")]
    assert len(lines) == 1, text
    return json.loads(lines[0].removeprefix("RESULT ")), text


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Name -> (result, messages) of each run."""
    with ThreadPoolExecutor(4) as pool:
        places = [tmp_path_factory.mktemp("run") for _ in RUNS]
        return dict(zip(RUNS, pool.map(finish, places, RUNS)))


@pytest.fixture(scope="module")
def silent(tmp_path_factory):
    """A run on a board that falls silent; it goes on while the others run, and is ended unless it has ended."""
    with start(tmp_path_factory.mktemp("silent"), ["silent-after=0.05s"]) as process:
        yield process
        process.send_signal(signal.SIGINT)
        process.communicate()


def cores(run, description):
    """Core -> what sPyNNaker's table core_provenance says of it, where that is not 0."""
    return {p: value for x, y, p, what, value in run[0]["cores"] if what == description}


def routers(run, description):
    """Sum over the chips of what sPyNNaker's table router_provenance says."""
    return sum(value for _, _, what, value in run[0]["routers"] if what == description)


def said(run, text):
    """Whether one of sPyNNaker's reports has the text."""
    return any(text in report for report in run[0]["reports"])


def spikes(run):
    return sum(map(len, run[0]["spikes"]))


SENT, SOURCES, NEURONS, LEARNERS = 1890, 1, 2, 3        # packets; cores


def test_without_faults_spynnaker_has_nothing_to_report(silent, runs):
    run = runs["whole"]
    assert run[0]["reports"] == [] and "error" not in run[0]
    assert len(run[0]["machine"]["chips"]) == 4 and len(run[0]["machine"]["links"]) == 16
    assert cores(run, "How many spikes were processed") == {NEURONS: SENT, LEARNERS: SENT}
    assert cores(run, "Max_backgrounds_queued") == {NEURONS: 1, LEARNERS: 1}
    assert routers(run, "RunLocal_Multicast_Packets") == SENT
    timing = {"Late spikes", "Skipped synapses", "Number_of_late_spikes", "Times_the_timer_tic_over_ran"}
    assert timing.isdisjoint(what for _, _, _, what, _ in run[0]["cores"])


def test_dropped_packets_are_counted_by_the_router_and_missing_at_the_cores(runs):
    run, dropped = runs["dropped"], routers(runs["dropped"], "RunDropped_Multicast_Packets")
    assert 140 < dropped < 240 and routers(run, "RunLocal_Multicast_Packets") == SENT - dropped
    assert cores(run, "How many spikes were processed") == {NEURONS: SENT - dropped, LEARNERS: SENT - dropped}
    assert spikes(run) < spikes(runs["whole"])
    assert said(run, f"The router on 0, 0 has dropped {dropped} multicast route packets")


def test_late_packets_are_found_late_by_the_binaries(runs):
    late = cores(runs["late"], "Late spikes")
    assert late[NEURONS] == late[LEARNERS] and 140 < late[NEURONS] < 240
    assert cores(runs["late"], "Max late spike") == {NEURONS: 1, LEARNERS: 1}
    assert cores(runs["late"], "How many spikes were processed") == {NEURONS: SENT, LEARNERS: SENT}
    assert cores(runs["late"], "Skipped synapses") == {LEARNERS: late[LEARNERS]}      # their delay is one step
    assert said(runs["late"], f"{late[LEARNERS]} that were skipped because a spike was received later than the delay")


def test_dead_parts_are_not_on_the_machine_and_nothing_else_changes(runs):
    machine, whole = runs["dead"][0]["machine"], runs["whole"][0]["machine"]
    assert machine["chips"] == [chip for chip in whole["chips"] if chip != [1, 1]]
    assert machine["cores"] == {"0,0": NUM_CPUS - 2, "0,1": NUM_CPUS, "1,0": NUM_CPUS}
    gone = [link for link in whole["links"] if link not in machine["links"]]
    assert [0, 0, 5] in gone and [0, 1, 2] in gone and [0, 0, 2] not in gone and [1, 1, 0] not in machine["links"]
    assert runs["dead"][0]["spikes"] == runs["whole"][0]["spikes"] and runs["dead"][0]["reports"] == []


def test_a_core_that_crashes_ends_the_run_with_its_registers(runs):
    result, text = runs["crash"]
    assert result["error"].startswith("SpiNNManCoresNotInStateException")
    assert "0:0:2 (ph: 2) in state RUN_TIME_EXCEPTION:DABT" in text and "PSR=" in text
    assert "board: core 0,0,2 (IF_curr_exp): DABT at pc 0x0000" in text


def test_neurons_on_a_slow_core_fall_behind(runs):
    run = runs["slow neurons"]
    for what in ("Number_of_late_spikes", "Times_the_background_queue_overloaded",
                 "Times_the_callback_queue_was_overloaded"):
        assert set(cores(run, what)) == {NEURONS}
    assert cores(run, "Max_backgrounds_queued")[NEURONS] == 16 and cores(run, "Max_backgrounds_queued")[LEARNERS] == 1
    assert said(run, "The background queue overloaded") and said(run, "arrived too late to be processed")
    assert spikes(run) < spikes(runs["whole"])


def test_sources_on_a_slow_core_overrun_their_timer_and_send_late(runs):
    run = runs["slow sources"]
    assert set(cores(run, "Times_the_timer_tic_over_ran")) == {SOURCES}
    assert set(cores(run, "Max_number_of_times_timer_tic_over_ran")) == {SOURCES}
    assert said(run, "was still executing when the next timer tick callback was fired off")
    assert set(cores(run, "Late spikes")) == {NEURONS, LEARNERS}


def test_the_same_seed_gives_the_same_faults_in_c_and_in_python(runs):
    first, second = runs["mixed"][0], runs["mixed python"][0]
    assert routers(runs["mixed"], "RunDropped_Multicast_Packets") > 0
    assert cores(runs["mixed"], "Late spikes") and cores(runs["mixed"], "Number_of_late_spikes")
    assert first["machine"]["cores"]["0,0"] == NUM_CPUS - 1
    assert first == second


def test_faults_in_time_are_the_same_in_c_and_in_python(runs):
    run, dropped = runs["timed"], routers(runs["timed"], "RunDropped_Multicast_Packets")
    assert 140 < dropped < 240 and run[0]["machine"]["cores"]["0,0"] == NUM_CPUS - 1
    assert cores(run, "How many spikes were processed") == {NEURONS: SENT - dropped, LEARNERS: SENT - dropped}
    assert said(run, f"The router on 0, 0 has dropped {dropped} multicast route packets")
    assert run[0] == runs["timed python"][0]


def test_a_core_that_crashes_in_time_ends_the_run_with_its_registers(runs):
    result, text = runs["timed crash"]
    assert result["error"].startswith("SpiNNManCoresNotInStateException")
    assert "0:0:2 (ph: 2) in state RUN_TIME_EXCEPTION:DABT" in text


def test_a_board_that_falls_silent_is_a_timeout(silent):
    said_by_board = failed = False
    for line in silent.stdout:
        said_by_board = said_by_board or line == "board: silent from now on, as its faults say\n"
        failed = failed or "An error has occurred during simulation" in line
        if failed and "SpinnmanTimeoutException" in line:
            break
    assert said_by_board and failed
