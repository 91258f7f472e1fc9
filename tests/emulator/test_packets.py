"""Messages and tags as bytes: each written out by hand."""

import struct

import pytest

from spikingconvnet.emulator import packets
from spikingconvnet.emulator.packets import SCP, SDP, Command, Result
from spikingconvnet.emulator.tags import FIXED, REVERSE, SIZE, STRIP, TRANSIENT, USE_SENDER, VALID, Tag, Tags

MESSAGE = SDP(0x87, 3, 0x21, 0xff, 0x0102, 0x0304, b"abc")


def test_a_message_is_eight_bytes_and_its_payload():
    data = bytes([0x87, 3, 0x21, 0xff, 0x02, 0x01, 0x04, 0x03]) + b"abc"
    assert MESSAGE.encode() == data and SDP.decode(data) == MESSAGE
    assert (MESSAGE.core, MESSAGE.port) == (1, 1)
    assert (SDP(0, 0, 0xff, 0, 0, 0, b"").core, SDP(0, 0, 0xff, 0, 0, 0, b"").port) == (31, 7)


@pytest.mark.parametrize("length, whole", [(0, False), (7, False), (8, True), (280, True), (281, False)])
def test_a_message_has_a_header_and_at_most_272_bytes(length, whole):
    found = SDP.decode(bytes(length))
    assert found == (SDP(0, 0, 0, 0, 0, 0, bytes(length - 8)) if whole else None)


def test_an_answer_goes_back_and_expects_none():
    assert MESSAGE.reply(b"yes") == SDP(0x07, 3, 0xff, 0x21, 0x0304, 0x0102, b"yes")


@pytest.mark.parametrize("length", [0, 3, 4, 15])
def test_a_command_has_all_its_arguments(length):
    assert SCP.decode(bytes(length)) is None


def test_a_command_is_a_code_a_sequence_number_three_arguments_and_data():
    payload = struct.pack("<2H3I", 2, 77, 0x60000000, 4, 0xffffffff)
    assert SCP.decode(payload) == SCP(Command.READ, 77, (0x60000000, 4, 0xffffffff), b"")
    assert SCP.decode(payload + b"xy").data == b"xy"


def test_an_answer_carries_the_sequence_number_if_there_is_one():
    assert packets.answer(struct.pack("<2H", 2, 77) + b"rest", Result.OK, b"data") == b"\x80\0\x4d\0data"
    assert packets.answer(struct.pack("<2H", 2, 77), Result.ARG) == b"\x84\0\x4d\0"
    assert packets.answer(b"\x02\0\x4d", Result.LEN) == b"\x81\0\0\0"


def test_codes_are_those_of_sark():
    assert [Command.VER, Command.RUN, Command.READ, Command.WRITE, Command.APLX, Command.FILL] == [0, 1, 2, 3, 4, 5]
    assert [Command.COUNT, Command.AR, Command.APP_COPY_RUN, Command.SIG, Command.IPTAG, Command.RTR, Command.SYNC,
            Command.TUBE] == [15, 19, 21, 22, 26, 29, 32, 64]
    assert [Result.OK, Result.LEN, Result.ARG, Result.CPU, Result.BUF] == [0x80, 0x81, 0x84, 0x88, 0x8a]
    assert packets.name(3) == "WRITE" and packets.name(999) == "0x3e7"
    assert (packets.SCP_PORT, packets.BOOT_PORT, packets.TAG_NONE, packets.ROOT) == (17893, 54321, 255, 65535)


# Tags


def test_a_tag_is_32_bytes():
    tag = Tag("10.1.2.3", 0x1122, VALID, 7, 0x3344, 0x0506, 0x21)
    assert tag.encode() == (bytes([10, 1, 2, 3]) + bytes(6) + b"\x22\x11" + b"\0\0" + b"\0\x80" + b"\7\0\0\0"
                            + b"\x44\x33" + b"\x06\x05" + b"\x21" + bytes(7))
    assert Tag().encode() == bytes(32) and len(Tags().table) == SIZE == 16 == 2 * FIXED


def test_a_sender_keeps_its_tag_of_the_pool_and_the_oldest_goes_when_it_is_used_up():
    table = Tags()
    senders = [("127.0.0.1", 5000 + k) for k in range(9)]
    assert [table.transient(sender) for sender in senders[:8]] == list(range(8, 16))
    assert [table.transient(sender) for sender in senders[:8]] == list(range(8, 16))
    assert table.table[8].flags == VALID | TRANSIENT and table.table[8].tx_port == 5000
    assert table.transient(senders[8]) == 8 and table.transient(senders[0]) == 9
    assert table.transient(("127.0.0.2", 5002)) == 10       # another host with the same port


def test_a_tag_sends_and_a_reverse_tag_listens():
    calls = []
    table = Tags(lambda: calls.append(table.reverse()))
    table.set(2, STRIP, "127.0.0.1", 4321, 0x0102, 0x21)
    assert table.table[2] == Tag("127.0.0.1", 4321, VALID | STRIP, 0, 0, 0x0102, 0x21) and table.reverse() == {}
    table.set(7, REVERSE | USE_SENDER | 0x0035, "127.0.0.1", 5555, 0x0304, 0x42)
    assert table.table[7] == Tag("127.0.0.1", 0, VALID | REVERSE | USE_SENDER, 0, 5555, 0x0304, 0x42)
    assert table.reverse() == {5555: 7} and calls == [{}, {5555: 7}]
    table.clear(7)
    assert table.table[7] == Tag() and calls[2:] == [{}]


def test_only_fixed_tags_listen():
    table = Tags()
    table.set(8, REVERSE, "127.0.0.1", 5555, 0, 0)
    assert table.reverse() == {}
    table.table[3] = Tag(flags=REVERSE, rx_port=77)         # not valid
    assert table.reverse() == {}


def test_tags_are_live_from_the_first_that_a_host_sets_to_the_last_that_it_clears():
    table = Tags()
    table.transient(("127.0.0.1", 5000))
    assert not table.live
    table.set(1, 0, "127.0.0.1", 1, 0, 0)
    table.set(2, 0, "127.0.0.1", 1, 0, 0)
    table.clear(1)
    assert table.live
    table.clear(2)
    assert not table.live
