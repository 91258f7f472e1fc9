"""Simulated time and the wall clock: kept together while somebody outside takes part, apart otherwise."""

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from programs import SEEN
from test_core import COUNT_UP, timer_program

from spikingconvnet.backends.spinnaker.machine import machine_section
from spikingconvnet.emulator import tags
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM, VCPU, VCPU_BASE, CPUState, Signal
from spikingconvnet.emulator.pace import NEW_RUNTIME, RUNNING_COMMANDS, Pace
from spikingconvnet.emulator.packets import SDP

HERE = Path(__file__).parent
MS = 200_000                            # cycles
CORE, APP = 1, 30


class Clock:
    """A wall clock that stands still unless it is told."""

    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def ticking(bench):
    """A bench whose core 1 ticks, at rest before its first tick."""
    bench.chip.bus.write(SDRAM_SYSTEM, timer_program(COUNT_UP))
    bench.chip.start(SDRAM_SYSTEM, 1 << CORE, APP, 0)
    while not bench.machine.at_rest:
        bench.machine.step()
    return bench


def told_to_run(steps, endless):
    """The message that tells core 1 of chip 0,0 how long to run."""
    payload = struct.pack("<2H3I", NEW_RUNTIME, 7, steps, endless, 0)
    return SDP(0x87, 0, RUNNING_COMMANDS << 5 | CORE, 0xff, 0, 0, payload)


def tick(bench):
    """Let the clock jump once, and the cores do what there is to do."""
    bench.machine.step()
    while not bench.machine.at_rest:
        bench.machine.step()


def test_time_is_free_if_nobody_takes_part(ticking):
    pace = Pace(ticking.machine, clock=Clock())
    ticking.machine.tags[0, 0].transient(("127.0.0.1", 4000))         # for the answers to a host's commands
    pace.hear(told_to_run(100, False))
    assert not pace.kept and pace.spare() == 0.0


def test_a_machine_that_has_nothing_to_do_waits_for_somebody(bench):
    assert Pace(bench.machine).spare() is None and Pace(bench.machine, True).spare() is None


@pytest.mark.parametrize("flags", [0, tags.STRIP, tags.REVERSE], ids=["output", "stripped output", "input"])
def test_time_is_kept_while_a_host_has_a_tag(ticking, flags):
    pace = Pace(ticking.machine, clock=Clock())
    ticking.machine.tags[0, 0].set(1, flags, "127.0.0.1", 4000, 0, 0x21)
    assert pace.kept
    ticking.machine.tags[0, 0].clear(1)
    assert not pace.kept


def test_the_tag_of_the_data_speed_up_is_nobodys_outside(ticking):
    """The program that gathers its data has one; another one is somebody's, and so is one where it does not run."""
    pace, name = Pace(ticking.machine, clock=Clock()), VCPU_BASE + CORE * VCPU.SIZE + VCPU.APP_NAME
    ticking.machine.tags[0, 0].set(1, tags.STRIP, "127.0.0.1", 4000, 0, 0x21)
    ticking.chip.bus.write(name, b"data_speed_up_packet_gatherer"[:15])
    ticking.chip.set_vcpu(CORE, VCPU.CPU_STATE, CPUState.RUN, 1)
    assert not pace.kept
    ticking.machine.tags[0, 0].set(2, tags.STRIP, "127.0.0.1", 4001, 0, 0x21)
    assert pace.kept
    ticking.machine.tags[0, 0].clear(2)
    ticking.chip.cores[CORE].stop()
    assert pace.kept


def test_time_is_kept_in_a_run_without_end_and_until_its_application_is_stopped(ticking):
    pace = Pace(ticking.machine, clock=Clock())
    pace.hear(told_to_run(0, True))
    assert pace.kept
    pace.hear(told_to_run(100, False))
    assert not pace.kept
    pace.hear(told_to_run(0, True))
    ticking.chip.signal(Signal.STOP, APP, 0xff)
    assert not pace.kept


@pytest.mark.parametrize("name, parameters, kept", [
    (b"reverse_iptag_m", {"buffer": 0}, True), (b"reverse_iptag_m", {"buffer": 64}, False),
    (b"IF_curr_exp", {"buffer": 0}, False), (b"reverse_iptag_m", None, False)],
    ids=["injector", "spikes of its own", "neurons", "parameters elsewhere"])
def test_time_is_kept_while_a_source_waits_for_the_spikes_of_a_host(ticking, name, parameters, kept):
    bus, block = ticking.chip.bus, VCPU_BASE + CORE * VCPU.SIZE
    table, configuration = SEEN + 0x1000, SEEN + 0x2000
    bus.store(block + VCPU.CPU_STATE, CPUState.PAUSE, 1)
    bus.write(block + VCPU.APP_NAME, name.ljust(16, b"\0"))
    bus.store(block + VCPU.USER, table if parameters else 0x90000000)
    bus.store(table + 8 + 12, configuration)                    # behind magic number, version and the system region
    bus.store(configuration + 28, 64 if parameters is None else parameters["buffer"])
    pace = Pace(ticking.machine, clock=Clock())
    pace.hear(told_to_run(100, False))
    assert pace.kept is kept


@pytest.mark.parametrize("real_time", [True, False])
def test_who_says_so_decides(ticking, real_time):
    pace = Pace(ticking.machine, real_time, Clock())
    ticking.machine.tags[0, 0].set(1, 0, "127.0.0.1", 4000, 0, 0)
    assert pace.kept is real_time
    ticking.machine.tags[0, 0].clear(1)
    assert pace.kept is real_time


def test_an_instant_is_due_when_the_wall_clock_says_so(ticking):
    clock = Clock()
    pace, period = Pace(ticking.machine, True, clock), ticking.machine.next_instant() / MS / 1000
    assert pace.spare() == pytest.approx(period)
    clock.now += period / 4
    assert pace.spare() == pytest.approx(period * 3 / 4)
    clock.now += period
    assert pace.spare() == 0.0                                  # late by a quarter, which the next instant makes up for
    tick(ticking)
    assert pace.spare() == pytest.approx(period * 3 / 4)


def test_the_time_between_two_runs_does_not_count(ticking):
    clock, machine = Clock(), ticking.machine
    pace, period = Pace(machine, True, clock), machine.next_instant() / MS / 1000
    assert pace.spare() == pytest.approx(period)
    ticking.chip.signal(Signal.STOP, APP, 0xff)
    assert machine.busy and pace.spare() is None                # the deadline of a timer that has been stopped is left
    clock.now += 60
    ticking.chip.start(SDRAM_SYSTEM, 1 << CORE, APP, 0)
    while not machine.at_rest:
        machine.step()
    assert pace.spare() == pytest.approx(period)


def test_who_sends_to_a_machine_that_is_behind_is_told(ticking):
    clock, message = Clock(), SDP(0x07, 0, 1 << 5 | CORE, 0xff, 0, 0, b"spikes")
    pace = Pace(ticking.machine, True, clock)
    pace.spare()
    for late in (0.2, 0.3, 0.5, 0.7):                           # 0.25 s is noticeable; then every doubling
        clock.now = Clock.now + late
        assert pace.spare() == 0.0
        pace.hear(message)
    said = [line.partition(" behind")[0] for line in ticking.reports]
    assert said == ["simulated time is 0.30 s", "simulated time is 0.70 s"]


@pytest.mark.parametrize("real_time, endless, told", [(True, False, True), (None, True, True), (None, False, False)],
                         ids=["asked for", "without end", "a host's tag"])
def test_time_that_is_kept_on_purpose_says_by_itself_that_it_is_behind(ticking, real_time, endless, told):
    clock = Clock()
    pace = Pace(ticking.machine, real_time, clock)
    ticking.machine.tags[0, 0].set(1, 0, "127.0.0.1", 4000, 0, 0x21)
    pace.hear(told_to_run(0, endless))
    pace.spare()
    clock.now += 0.4
    assert pace.spare() == 0.0 and bool(ticking.reports) is told


def test_a_long_step_is_not_behind_before_it_is_due(ticking):
    clock, machine = Clock(), ticking.machine
    pace, period = Pace(machine, True, clock), machine.next_instant() / MS / 1000
    machine.next_instant = lambda: round(1000 * MS)             # a second away
    pace.spare()
    clock.now += 1 - period
    pace.hear(told_to_run(100, False))
    assert not ticking.reports


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """What a script saw that talks to its network while it runs."""
    command = [sys.executable, "-m", "spikingconvnet.emulator", "--version", "3", str(HERE / "live_network.py")]
    done = subprocess.run(command, cwd=tmp_path_factory.mktemp("live"), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env={**os.environ, "PYTHONPATH": str(HERE.parents[1])}, timeout=300)
    assert done.returncode == 0, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(line.removeprefix("RESULT "))


def test_spikes_that_are_sent_while_a_network_runs_arrive(live):
    assert len(live["injected"]) == 3 and live["injected"] == sorted(live["injected"])


def test_a_run_without_end_is_not_ahead_of_the_wall_clock(live):
    assert live["caught"] == sorted(live["caught"])
    assert 0 < live["caught"][-1] <= live["took"] * 1000        # a machine without a clock is seconds ahead by then
    assert live["simulated"] >= live["caught"][-1]


def test_the_project_s_own_runs_are_free(monkeypatch):
    from spikingconvnet import emulator

    asked = []

    class Board:
        def __init__(self, **options):
            asked.append(options)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def configuration(self):
            return ""

    monkeypatch.setattr(emulator, "Board", Board)
    with machine_section("emulated", boards=3):
        assert asked == [{"real_time": False, "timed": False, "boards": 3}]
