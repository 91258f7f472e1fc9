"""SCP commands: what SC&MP answers, without sPyNNaker."""

import struct

import pytest
from programs import SEEN, WFI, branch, program

from spikingconvnet.emulator import monitor
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import SDRAM_HEAP, SDRAM_SYSTEM, SV, SV_BASE, VCPU, CPUState, Signal
from spikingconvnet.emulator.packets import SDP, Command, Result


def ask(bench, code, a=0, b=0, c=0, data=b"", chip=0, port=0):
    """(return code, data) of the answer to a command."""
    bench.sent.clear()
    bench.machine.send(SDP(0x87, 3, port, 0xff, chip, 0, struct.pack("<2H3I", code, 77, a, b, c) + data))
    (answer,) = bench.sent
    assert (answer.dest_port, answer.tag, answer.flags, answer.srce_addr) == (0xff, 3, 0x07, chip)
    result, sequence = struct.unpack_from("<2H", answer.payload)
    assert sequence == 77
    return result, answer.payload[4:]


def words(data):
    return list(struct.unpack(f"<{len(data) // 4}I", data))


def test_the_version_is_what_spinnman_wants(plain_bench):
    result, data = ask(plain_bench, Command.VER, chip=0x0101)
    assert result == Result.OK and words(data[:8]) == [0x01010000, 0xffff0100]
    assert data[12:] == b"SC&MP/SpiNNaker\0" + b"4.0.0\0"


def test_memory_reads_back_what_was_written(plain_bench):
    data = bytes(range(256))
    assert ask(plain_bench, Command.WRITE, SEEN, 256, 2, data, chip=0x0100) == (Result.OK, b"")
    assert ask(plain_bench, Command.READ, SEEN, 256, 2, chip=0x0100) == (Result.OK, data)
    assert ask(plain_bench, Command.READ, SEEN + 0x10000000, 7, 0, chip=0x0100) == (Result.OK, data[:7])
    assert ask(plain_bench, Command.READ, SEEN, 256, 2) == (Result.OK, bytes(256))


@pytest.mark.parametrize("code, arguments, result, text", [
    (Command.READ, (0x90000000, 4, 2), Result.ARG, "READ(0x90000000, 0x4, 0x2) to chip 0,0: no memory holds 4 bytes"),
    (Command.READ, (SEEN, 257, 0), Result.ARG, "length 257"),
    (Command.READ, (SEEN, 4, 3), Result.ARG, "unit 3"),
    (Command.READ, (0xe1000500, 4, 2), Result.ARG, "read of router+0x500, a register that is not modelled"),
    (Command.READ, (0xe2000001, 1, 0), Result.ARG, "system controller registers are words"),
    (Command.WRITE, (SEEN, 8, 0), Result.ARG, "0 bytes of data for a length of 8"),
    (Command.FILL, (0x67fffff0, 0, 64), Result.ARG, "no memory holds 64 bytes"),
    (Command.AR, (1,), Result.ARG, "the monitor core cannot be started"),
    (Command.AR, (30 << 24 | 2,), Result.ARG, "APLX table at 0x67800000: operation 0x0 in entry 0"),
    (Command.APP_COPY_RUN, (4, 64, 2), Result.TIMEOUT, "link 4 leads nowhere"),
    (Command.SIG, (1, 0, 0), Result.ARG, "signal type 1"),
    (Command.NNP, (0x06000000, 0, 0), Result.CMD, "only signals to applications are modelled"),
    (Command.RTR, (4, 0, 0), Result.ARG, "operation 4"),
    (Command.IPTAG, (5 << 16, 0, 0), Result.ARG, "operation 5, tag 0"),
    (Command.ALLOC, (1, 0x60000000, 0), Result.ARG, "0x60000000 is no block in use"),
    (Command.FFD, (0, 0, 0), Result.CMD, "SCP command FFD(0x0, 0x0, 0x0) to chip 0,0: not modelled"),
    (999, (0, 0, 0), Result.CMD, "SCP command 0x3e7")])
def test_what_cannot_be_done_is_answered_and_named(plain_bench, code, arguments, result, text):
    assert ask(plain_bench, code, *arguments) == (result, b"")
    assert text in plain_bench.reports[-1]


def test_a_command_without_its_arguments_has_a_bad_length(plain_bench):
    plain_bench.machine.send(SDP(0x87, 3, 0, 0xff, 0, 0, struct.pack("<2H", Command.VER, 5)))
    assert plain_bench.sent[0].payload == struct.pack("<2H", Result.LEN, 5)


def test_nothing_is_answered_unless_asked_for(plain_bench):
    plain_bench.machine.send(SDP(0x07, 3, 0, 0xff, 0, 0, struct.pack("<2H3I", Command.VER, 5, 0, 0, 0)))
    assert plain_bench.sent == []


def test_messages_for_ports_and_cores_that_are_not_there(plain_bench):
    assert ask(plain_bench, 0, port=0x20)[0] == Result.PORT
    assert ask(plain_bench, 0, port=0x3f)[0] == Result.CPU
    assert ask(plain_bench, 0, port=0x21)[0] == Result.DEAD
    plain_bench.machine.send(SDP(0x87, 3, 0, 0xff, 0x0505, 0, b""))
    assert "0x0505, which is not on this board" in plain_bench.reports[-1]


def test_information_about_a_chip(plain_bench):
    _, data = ask(plain_bench, Command.INFO)
    counts, sdram, _ = words(data[:12])
    assert (counts & 31, counts >> 14 & 2047, counts >> 25) == (18, 1023, 1)
    assert sdram == SDRAM_SYSTEM - SDRAM_HEAP - 16 - 16
    assert list(data[12:30]) == [CPUState.RUN] + [CPUState.IDLE] * 17
    assert data[30:] == b"\0\0" + bytes((127, 0, 0, 1)) + b"\7\0"
    _, other = ask(plain_bench, Command.INFO, chip=0x0101)
    assert other[30:36] == bytes(6) and other[36] < 6


def test_a_board_of_48_chips_has_240_ends_of_links(make_core):
    machine = Machine(5, make_core=make_core)
    assert len(machine.chips) == 48
    assert sum(end is not None for ends in machine.wires.values() for end in ends) == 240
    ways = {xy: machine.root.router.p2p_link(chip.address) for xy, chip in machine.chips.items()}
    assert ways.pop((0, 0)) == 7 and set(ways.values()) == {0, 1, 2}


def test_allocation_by_the_host(plain_bench):
    _, data = ask(plain_bench, Command.ALLOC, 30 << 8, 100, 5)
    (block,) = words(data)
    assert words(ask(plain_bench, Command.ALLOC, 30 << 8 | 7, 5)[1]) == [block]
    free, largest = words(ask(plain_bench, Command.ALLOC, 6)[1])
    assert largest == free == SDRAM_SYSTEM - SDRAM_HEAP - 32 - 108
    assert words(ask(plain_bench, Command.ALLOC, 30 << 8 | 3, 10)[1]) == [1]
    ask(plain_bench, Command.NNP, 0x3f0000, 5 << 28 | Signal.STOP << 16 | 0xff00 | 30)
    assert words(ask(plain_bench, Command.ALLOC, 30 << 8 | 7, 5)[1]) == [0]
    assert ask(plain_bench, Command.INFO)[1][1] >> 6 | ask(plain_bench, Command.INFO)[1][2] << 2 & 0x7ff == 1023


@pytest.mark.parametrize("alloc", [(30 << 8, 100, 5), (30 << 8 | 3, 10)])
def test_an_application_that_owns_something_again_is_cleaned_up_again(plain_bench, alloc):
    stop = 0x3f0000, 5 << 28 | Signal.STOP << 16 | 0xff00 | 30
    for _ in range(2):
        made = words(ask(plain_bench, Command.ALLOC, *alloc)[1])
        assert made != [0]
        ask(plain_bench, Command.NNP, *stop)
    assert words(ask(plain_bench, Command.ALLOC, *alloc)[1]) == made        # in the place that is free again


def test_routes_are_loaded_with_their_copy_and_taken_back_with_their_application(plain_bench):
    _, data = ask(plain_bench, Command.ALLOC, 30 << 8 | 3, 2)
    (first,) = words(data)
    table = struct.pack("<2H3I", 0, 0, 1 << 7, 0x100, 0xffffff00) + struct.pack("<2H3I", 1, 0, 2, 0x200, 0xffffff00)
    ask(plain_bench, Command.WRITE, SDRAM_SYSTEM, 32, 0, table)
    assert ask(plain_bench, Command.RTR, 2 << 16 | 30 << 8 | 2, SDRAM_SYSTEM, first)[0] == Result.OK
    chip = plain_bench.chip
    assert (chip.router.lookup(0x123), chip.router.lookup(0x2ff), chip.router.lookup(0x300)) == (1 << 7, 2, None)
    copy = chip.bus.load(SV_BASE + SV.RTR_COPY) + 16 * first
    assert words(chip.bus.read(copy + 4, 12)) == [1 << 7, 0x100, 0xffffff00]
    ask(plain_bench, Command.SIG, 0, Signal.STOP << 16 | 0xff00 | 31)
    assert chip.router.lookup(0x123) == 1 << 7
    ask(plain_bench, Command.SIG, 0, Signal.STOP << 16 | 0xff00 | 30)
    assert chip.router.lookup(0x123) is None


def test_applications_are_started_counted_copied_and_stopped(bench):
    image = program([WFI, branch(4, 0)])
    for offset in range(0, len(image), 256):
        ask(bench, Command.WRITE, SDRAM_SYSTEM + offset, len(image[offset:offset + 256]), 0, image[offset:offset + 256])
    assert ask(bench, Command.AR, 30 << 24 | 0b1110)[0] == Result.OK
    total = sum(words(image)) & 0x1fffffff
    for checksum, link, result in ((total, 4, Result.TIMEOUT), (total + 1, 5, Result.SUM), (total, 5, Result.OK)):
        first = checksum << 3 | link
        assert ask(bench, Command.APP_COPY_RUN, first, len(image), 30 << 24 | 2, chip=0x0001)[0] == result
    assert any(f"checksum {total:#x}, expected {total + 1:#x}" in text for text in bench.reports)
    bench.machine.run()
    assert words(ask(bench, Command.COUNT, 30, CPUState.INIT)[1]) == [4]
    assert words(ask(bench, Command.COUNT, 31, CPUState.INIT)[1]) == [0]
    ask(bench, Command.SIG, 0, Signal.STOP << 16 | 0xff00 | 30)
    assert words(ask(bench, Command.COUNT, 30, CPUState.INIT)[1]) == [0]
    assert bench.chip.vcpu(1, VCPU.CPU_STATE, 1) == CPUState.IDLE


def test_ip_tags_are_set_read_and_cleared(plain_bench):
    assert words(ask(plain_bench, Command.IPTAG, 4 << 16)[1]) == [8 << 24 | 8 << 16 | 32 << 8]
    ask(plain_bench, Command.IPTAG, 1 << 28 | 1 << 16 | 2, 4321, 0x0100007f)
    _, data = ask(plain_bench, Command.IPTAG, 2 << 16 | 2, 1)
    assert data[:12] == bytes((127, 0, 0, 1)) + bytes(6) + struct.pack("<H", 4321)
    assert struct.unpack_from("<H", data, 14) == (0x8100,) and len(data) == 32
    _, more = ask(plain_bench, Command.IPTAG, 2 << 16 | 1, 3)
    assert more == bytes(32) + data + bytes(32)
    assert ask(plain_bench, Command.IPTAG, 2 << 16 | 14, 4)[1] == bytes(128)        # beyond the table there is nothing
    ask(plain_bench, Command.IPTAG, 3 << 16 | 2)
    assert ask(plain_bench, Command.IPTAG, 2 << 16 | 2, 1)[1][:16] == bytes(16)


def test_filling_and_the_neighbours_memory(plain_bench):
    assert ask(plain_bench, Command.FILL, SEEN, 0xdeadbeef, 16, chip=1)[0] == Result.OK
    assert ask(plain_bench, Command.LINK_READ, SEEN, 20, 2)[1] == struct.pack("<5I", *[0xdeadbeef] * 4, 0)
    assert ask(plain_bench, Command.LINK_WRITE, SEEN, 4, 5, b"abcd", chip=1)[0] == Result.OK
    assert ask(plain_bench, Command.READ, SEEN, 4, 0)[1] == b"abcd"


@pytest.mark.parametrize("code, arguments, data, result, answer", [
    (Command.READ, (SEEN, 256, 2), b"", Result.OK, bytes(256)), (Command.READ, (SEEN, 7, 1), b"", Result.OK, bytes(7)),
    (Command.WRITE, (SEEN, 4, 2), b"abc", Result.ARG, b""), (Command.WRITE, (SEEN, 7, 2), b"abcd", Result.OK, b""),
    (Command.WRITE, (SEEN, 257, 0), bytes(256), Result.ARG, b""),
    (Command.FILL, (SEEN + 2, 1, 8), b"", Result.ARG, b""), (Command.FILL, (SEEN, 1, 7), b"", Result.OK, b""),
    (Command.LINK_READ, (SEEN, 256, 0), b"", Result.OK, bytes(256)),
    (Command.LINK_READ, (SEEN, 257, 0), b"", Result.ARG, b""),
    (Command.LINK_READ, (SEEN, 4, 5), b"", Result.OK, bytes(4)),
    (Command.LINK_READ, (SEEN, 4, 6), b"", Result.ARG, b""),
    (Command.LINK_READ, (SEEN, 4, 4), b"", Result.TIMEOUT, b""),
    (Command.LINK_WRITE, (SEEN, 5, 0), b"abcd", Result.ARG, b""),
    (Command.SIG, (2, Signal.START << 16, 0), b"", Result.OK, b""),
    (Command.SIG, (0, 13 << 16, 0), b"", Result.OK, b""), (Command.SIG, (0, 14 << 16, 0), b"", Result.ARG, b""),
    (Command.NNP, (1 << 24, 5 << 28, 0), b"", Result.CMD, b""), (Command.NNP, (0, 4 << 28, 0), b"", Result.CMD, b""),
    (Command.ALLOC, (7, 0, 0), b"", Result.OK, bytes(4)), (Command.ALLOC, (8, 0, 0), b"", Result.ARG, b""),
    (Command.RTR, (1 << 16 | 1, 1023, 0), b"", Result.OK, b""),
    (Command.RTR, (2 << 16 | 1, 1023, 0), b"", Result.ARG, b""),
    (Command.IPTAG, (2 << 16 | 15, 1, 0), b"", Result.OK, bytes(32)),
    (Command.IPTAG, (2 << 16 | 16, 1, 0), b"", Result.ARG, b""),
    (Command.IPTAG, (2 << 16, 8, 0), b"", Result.OK, bytes(256)),
    (Command.IPTAG, (2 << 16, 9, 0), b"", Result.ARG, b""), (Command.LED, (1, 0, 0), b"", Result.OK, b""),
    (Command.SYNC, (0, 0, 0), b"", Result.OK, b"")])
def test_arguments_at_the_edge_of_what_a_command_takes(plain_bench, code, arguments, data, result, answer):
    assert ask(plain_bench, code, *arguments, data=data) == (result, answer)


def test_whole_units_are_read_and_written_and_the_rest_is_left(plain_bench):
    ask(plain_bench, Command.WRITE, SEEN, 8, 0, b"abcdefgh")
    assert ask(plain_bench, Command.READ, SEEN, 7, 2)[1] == b"abcd\0\0\0"
    assert ask(plain_bench, Command.READ, SEEN, 7, 1)[1] == b"abcdef\0"
    ask(plain_bench, Command.WRITE, SEEN, 7, 1, b"1234567")
    assert ask(plain_bench, Command.READ, SEEN, 8, 0)[1] == b"123456gh"
    ask(plain_bench, Command.FILL, SEEN, 0, 7)
    assert ask(plain_bench, Command.READ, SEEN, 8, 0)[1] == b"\0\0\0\x0056gh"
    assert ask(plain_bench, Command.LINK_READ, SEEN, 6, 5, chip=1)[1] == bytes(6)


def test_signals_go_to_the_root_alone_unless_a_neighbour_passes_them_on(plain_bench):
    assert ask(plain_bench, Command.SIG, 0, Signal.START << 16, chip=1) == (Result.ARG, b"")
    assert ask(plain_bench, Command.SIG, 2, Signal.START << 16, chip=1) == (Result.OK, b"")


def test_the_fixed_route_is_kept_and_the_router_cleared(plain_bench):
    assert ask(plain_bench, Command.RTR, 3, 0x7f123456)[0] == Result.OK
    assert words(ask(plain_bench, Command.RTR, 3, 1 << 31)[1]) == [0x123456]
    assert words(ask(plain_bench, Command.ALLOC, 30 << 8 | 3, 10)[1]) == [1]
    ask(plain_bench, Command.RTR, 0)
    assert words(ask(plain_bench, Command.ALLOC, 30 << 8 | 3, 10)[1]) == [1]


@pytest.mark.parametrize("code, arguments, port, told", [
    (Command.COUNT, (), 0, True), (Command.INFO, (), 0, True), (Command.VER, (), 0, False),
    (Command.COUNT, (), 1, False),
    (Command.READ, (0xe5007000, 128), 0, True), (Command.READ, (0xe5006ff0, 16), 0, False),
    (Command.READ, (0xe5006ff0, 17), 0, True), (Command.LINK_READ, (0xe5007000 + 18 * 128 - 1, 1), 0, True),
    (Command.READ, (0xe5007000 + 18 * 128, 4), 0, False), (Command.READ, (0xf5007000, 4), 0, True),
    (Command.WRITE, (0xe5007000, 128), 0, False)])
def test_whether_an_answer_tells_states_of_cores(code, arguments, port, told):
    payload = struct.pack("<2H3I", code, 1, *(*arguments, 0, 0, 0)[:3])
    assert monitor.asks_for_states(SDP(0x87, 3, port, 0xff, 0, 0, payload)) is told
    assert monitor.asks_for_states(SDP(0x87, 3, 0, 0xff, 0, 0, payload[:15])) is False


def test_a_tag_for_the_sender_and_one_of_the_pool(plain_bench):
    """The sender of tag 3 is the one that tag 3 answers to; a new tag comes from the pool."""
    sender = plain_bench.machine.tags[0, 0]
    sender.set(3, 0, "127.0.0.9", 4000, 0, 0)
    assert words(ask(plain_bench, Command.IPTAG, 0x4 << 28 | 1 << 16 | 5, 1234)[1]) == [5]      # the sender's port
    assert (sender.table[5].address, sender.table[5].tx_port) == ("127.0.0.9", 4000)
    assert words(ask(plain_bench, Command.IPTAG, 0, 1234, 0x0100007f)[1]) == [8]
    assert (sender.table[8].address, sender.table[8].tx_port) == ("127.0.0.1", 1234)
    ask(plain_bench, Command.IPTAG, 2 << 28 | 1 << 16 | 0x21 << 8 | 6, 0x0102 << 16 | 5555, 0)
    assert (sender.table[6].rx_port, sender.table[6].dest_addr, sender.table[6].dest_port) == (5555, 0x0102, 0x21)
