"""Packets between cores and chips, counters of the router, barriers, messages between host and cores."""

import struct

import pytest
from programs import SEEN, binary

from spikingconvnet.emulator.core import Rest
from spikingconvnet.emulator.errors import BusError, SetupError
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM, VCPU, CPUState, Signal
from spikingconvnet.emulator.packets import PAYLOAD, SDP
from spikingconvnet.emulator.router import Router
from spikingconvnet.emulator.tree import Tree

LOCAL, EXTERNAL, DUMPED = 0, 1, 8       # counters, as SC&MP sets the filters


def tree(bench, key, source=(0, 0)):
    return Tree(bench.machine, source, key)


def places(cores):
    return [core.place for core in cores]


def test_a_packet_goes_to_cores_and_links_of_its_entry(plain_bench):
    chips = plain_bench.machine.chips
    plain_bench.chip.router.set(1, 0x100, 0xffffff00, 1 << 0 | 1 << 2 | 1 << 6 + 4)
    chips[1, 0].router.set(1, 0x100, 0xffffff00, 1 << 6 + 1 | 1 << 6 + 17)
    chips[0, 1].router.set(5, 0x000, 0xfffff000, 1 << 6 + 2)
    assert places(tree(plain_bench, 0x1ab).cores) == [(0, 0, 4), (1, 0, 1), (1, 0, 17), (0, 1, 2)]


def test_the_first_matching_entry_counts(plain_bench):
    plain_bench.chip.router.set(3, 0x100, 0xffffff00, 1 << 6 + 3)
    plain_bench.chip.router.set(2, 0x120, 0xfffffff0, 1 << 6 + 2)
    assert places(tree(plain_bench, 0x125).cores) == [(0, 0, 2)]
    assert places(tree(plain_bench, 0x135).cores) == [(0, 0, 3)]


def test_without_an_entry_a_packet_goes_straight_on():
    machine = Machine(5)
    machine.chips[1, 1].router.set(0, 7, 0xffffffff, 1 << 1)            # north east
    machine.chips[4, 4].router.set(0, 7, 0xffffffff, 1 << 6 + 9)
    made = Tree(machine, (1, 1), 7)
    assert places(made.cores) == [(4, 4, 9)]
    assert [router for router, _ in made.hops] == [machine.chips[i, i].router for i in (1, 2, 3, 4)]


def test_a_packet_that_leaves_the_board_is_dumped_and_reported(plain_bench):
    plain_bench.chip.router.set(0, 7, 0xffffffff, 1 << 0)
    made = tree(plain_bench, 7)
    assert made.cores == [] and made.hops[1][1] == [DUMPED]
    assert "key 0x00000007 leave the board at chip (1, 0) by link 0" in plain_bench.reports[0]


def test_a_packet_that_comes_back_is_reported_and_ends(plain_bench):
    chips = plain_bench.machine.chips
    plain_bench.chip.router.set(0, 7, 0xffffffff, 1 << 2)
    chips[0, 1].router.set(0, 7, 0xffffffff, 1 << 5)
    tree(plain_bench, 7)
    assert "go round in circles" in plain_bench.reports[0]


def test_counters_count_what_their_filters_say(plain_bench):
    router = plain_bench.chip.router
    assert router.counting(local=True, default=False, route=1 << 6 + 3) == [LOCAL]
    assert router.counting(PAYLOAD, local=False, default=True, route=1 << 2) == [EXTERNAL]
    assert router.counting(PAYLOAD, local=True, default=True, route=None) == [LOCAL, DUMPED][1:]
    router.store(Router.FILTER + 4 * 12, 0x01ff << 16 | 2 << 14 | 3 << 12 | 1 << 10 | 0xf1)   # default
    assert router.counting(local=False, default=True, route=1 << 2) == [EXTERNAL, 12]
    assert router.counting(local=False, default=False, route=1 << 2) == [EXTERNAL]
    router.store(Router.DGEN, 1 << LOCAL)
    assert router.counting(local=False, default=True, route=1 << 2) == []


def test_packets_are_counted_along_their_way(plain_bench):
    machine = plain_bench.machine
    plain_bench.chip.router.set(0, 7, 0xffffffff, 1 << 0)
    machine.chips[1, 0].router.set(0, 7, 0xffffffff, 1 << 6 + 1)
    machine._packets = [((0, 0), [(0, 7, 0)] * 5)]
    machine.step()
    assert plain_bench.chip.bus.read(0xe1000300, 8) == struct.pack("<2I", 5, 0)
    assert machine.chips[1, 0].bus.read(0xf1000300, 8) == struct.pack("<2I", 0, 5)
    plain_bench.chip.bus.write(0xe100002c, struct.pack("<I", 0xffffffff))
    assert plain_bench.chip.bus.read(0xe1000300, 4) == bytes(4)


def test_a_spinn_5_is_a_hexagon_and_a_spinn_3_a_square():
    places = {(x, y) for x in range(8) for y in range(8) if -3 <= x - y <= 4}       # SpiNNMachine version_5.py:23
    assert set(Machine(5).chips) == places and len(places) == 48
    assert set(Machine(3).chips) == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_a_deadline_counts_if_the_core_lives_and_still_has_it(plain_bench, monkeypatch):
    machine, core, expired = plain_bench.machine, plain_bench.chip.cores[1], []
    monkeypatch.setattr(core, "expire", expired.append)
    monkeypatch.setattr(core, "deadlines", lambda: (500, 700))
    for rest in (Rest.OFF, Rest.DEAD):
        core.rest = rest
        assert not machine._expire(500, core.place, 0)
    core.rest = Rest.WFI
    assert not machine._expire(600, core.place, 0) and not machine._expire(500, core.place, 1) and not expired
    assert machine.cycle == 0
    assert machine._expire(700, core.place, 1) and expired == [1] and machine.cycle == 700


def test_a_version_that_is_no_board_is_refused():
    with pytest.raises(SetupError, match="must be 3 .4 chips. or 5 .48 chips., got 4"):
        Machine(4)


def test_a_real_binary_waits_for_its_start_signal_and_answers_to_messages(bench):
    """Any binary will do: the answers are those of SARK, which all of them contain."""
    bench.chip.bus.write(SDRAM_SYSTEM, binary("synapse_expander.aplx"))
    bench.chip.set_vcpu(3, VCPU.USER, SEEN)
    bench.chip.start(SDRAM_SYSTEM, 1 << 3, 30, 1)
    bench.machine.run()
    assert bench.chip.vcpu(3, VCPU.CPU_STATE, 1) == CPUState.WAIT
    version = struct.pack("<2H3I", 0, 9, 0, 0, 0)
    bench.machine.send(SDP(0x87, 4, 3, 0xff, 0, 0, version))
    bench.machine.run()
    (answer,) = bench.sent
    assert (answer.tag, answer.dest_port, answer.srce_port) == (4, 0xff, 3)
    assert answer.payload[:4] == struct.pack("<2H", 0x80, 9) and answer.payload[16:].startswith(b"SARK/SpiNNaker\0")
    bench.chip.signal(Signal.START, 30, 255)
    bench.machine.run()
    assert bench.chip.vcpu(3, VCPU.CPU_STATE, 1) not in (CPUState.WAIT, CPUState.INIT)


@pytest.mark.parametrize("base, table", [(Router.RAM, "routes"), (Router.KEY, "keys"), (Router.MASK, "masks")])
def test_tables_of_the_router_are_words_in_a_row(plain_bench, base, table):
    router = plain_bench.chip.router
    for index in (0, 5, 1023):
        router.store(base + 4 * index, 0x100 + index)
        assert router.load(base + 4 * index) == getattr(router, table)[index] == 0x100 + index
    for offset in (base - 4, base + 4 * 1024):
        with pytest.raises(BusError):
            router.load(offset)


def test_a_route_that_a_program_writes_counts_from_the_next_packet_on(plain_bench):
    router = plain_bench.chip.router
    assert tree(plain_bench, 0x1ab).cores == []
    for base, word in ((Router.KEY, 0x100), (Router.MASK, 0xffffff00), (Router.RAM, 1 << 6 + 4)):
        router.store(base + 4 * 7, word)
    assert places(tree(plain_bench, 0x1ab).cores) == [(0, 0, 4)]
