"""Three boards side by side: where chips and links are, packets across edges, tags by board, what SpiNNMan finds."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from programs import SEEN, WFI, program
from spinn_machine import SpiNNakerTriadGeometry
from test_core import FIQ_ON_PACKETS, TAKE_PACKET, forever

from spikingconvnet.emulator import SetupError, cli
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.faults import Faults
from spikingconvnet.emulator.faulty_machine import FaultyMachine
from spikingconvnet.emulator.layout import Layout
from spikingconvnet.emulator.machine import Machine, Tree
from spikingconvnet.emulator.memory_map import LINK_DELTAS, SDRAM_BASE, SDRAM_SYSTEM, SV, SV_BASE, CPUState
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.packets import PORT_ETHERNET, SCP_PORT, SDP, UDP_PADDING, Command, Result
from spikingconvnet.emulator.ports import Port
from spikingconvnet.emulator.snapshots import boards
from spikingconvnet.emulator.timed_machine import TimedMachine
from spikingconvnet.emulator.timed_native import TimedNativeCore

SEND_0X71 = [0xe3a00071, 0xe3a01202, 0xe5810008, WFI]      # mov r0, #0x71; mov r1, #0x20000000; str r0, [r1, #TXKEY]
ROOT = Path(__file__).parents[2]
ETHERNETS = [(0, 0), (4, 8), (8, 4)]
HOSTS = ["127.0.9.1", "127.0.9.2", "127.0.9.3"]
DISCOVERY = """
import json
import spinnman.spinnman_script as script
from spinn_machine.tags import IPTag
script.setup(n_boards_required=3)
machine = script.get_machine()
transceiver = script.get_transceiver()
ethernets = {f"{chip.x},{chip.y}": chip.ip_address for chip in machine.ethernet_connected_chips}
transceiver.set_ip_tag(IPTag(ethernets["8,4"], 8, 4, 3, "127.0.0.1", 4000))
transceiver.write_memory(11, 11, 0x60300000, b"three boards")
print("FOUND", json.dumps({
    "kind": type(machine).__name__, "chips": machine.n_chips, "cores": machine.total_available_user_cores,
    "ethernets": ethernets, "links": sum(1 for chip in machine.chips for _ in chip.router.links),
    "nearest": [[machine[xy].nearest_ethernet_x, machine[xy].nearest_ethernet_y] for xy in ((11, 11), (5, 9), (1, 9))],
    "tags": [[tag.board_address, tag.tag, tag.port] for tag in transceiver.get_tags()],
    "read": transceiver.read_memory(11, 11, 0x60300000, 12).decode()}))
script.end()
"""


@pytest.fixture(scope="module")
def machine():
    """Three boards; who routes packets uses a key of its own."""
    return Machine(5, HOSTS, make_core=NativeCore)


def test_chips_belong_to_the_boards_that_spinnmachine_says():
    layout, geometry = Layout(5, 3), SpiNNakerTriadGeometry.get_spinn5_geometry()
    assert layout.ethernets == ETHERNETS == list(geometry.get_potential_ethernet_chips(12, 12))
    assert {xy: geometry.get_ethernet_chip_coordinates(*xy, 12, 12) for xy in layout.chips} == layout.ethernet_of
    assert sorted(layout.chips) == [(x, y) for x in range(12) for y in range(12)]


def test_all_edges_are_joined():
    layout = Layout(5, 3)
    for x, y in layout.chips:
        assert layout.ends(x, y) == [((x + dx) % 12, (y + dy) % 12) for dx, dy in LINK_DELTAS]
    assert [Layout(5).ends(0, 0)[link] for link in (3, 4, 5)] == [None] * 3          # one board has edges


@pytest.mark.parametrize("version, number", [(5, 2), (5, 0), (3, 3), (5, 4)])
def test_other_numbers_of_boards_are_refused(version, number, capsys):
    with pytest.raises(SetupError, match=f"must be 1, or 3 of version 5, got {number} of version {version}"):
        Layout(version, number)
    assert cli.main(["--version", str(version), "--boards", str(number)]) == SetupError.exit_code
    assert "boards: must be 1, or 3" in capsys.readouterr().err


def test_every_chip_knows_its_board_and_the_machine(machine):
    for (x, y), chip in machine.chips.items():
        variables = chip.bus.read(SV_BASE, SV.SIZE)
        ethernet = machine.layout.ethernet_of[x, y]
        assert variables[SV.P2P_DIMS:SV.P2P_DIMS + 2] == bytes((12, 12))
        assert variables[SV.ETH_ADDR:SV.ETH_ADDR + 2] == bytes(reversed(ethernet))
        assert variables[SV.ETH_UP] == ((x, y) == ethernet) and variables[SV.ROOT_CHIP] == ((x, y) == (0, 0))
        address = bytes(map(int, HOSTS[ETHERNETS.index(ethernet)].split(".")))
        assert variables[SV.IP_ADDR:SV.IP_ADDR + 4] == (address if (x, y) == ethernet else bytes(4))


def test_ways_between_chips_are_shortest_around_the_edges(machine):
    def hops(source, target):
        xy, count = source, 0
        while xy != target:
            link = machine.chips[xy].router.p2p_link(target[0] << 8 | target[1])
            xy, count = machine.wires[xy][link], count + 1
        return count

    assert hops((0, 0), (11, 11)) == 1 and hops((0, 0), (11, 0)) == 1 and hops((11, 5), (1, 5)) == 2
    assert hops((0, 0), (6, 6)) == 6 and hops((0, 0), (4, 8)) == 8 and hops((5, 5), (5, 5)) == 0


def test_a_packet_goes_from_board_to_board_and_around_the_edge(machine):
    machine.chips[0, 0].router.set(1, 0x70, 0xffffffff, 1 << 3)                 # west, around the edge, straight on
    machine.chips[9, 0].router.set(1, 0x70, 0xffffffff, 1 << 6 + 4 | 1 << 5)    # a core; south, around the other one
    machine.chips[9, 8].router.set(1, 0x70, 0xffffffff, 1 << 6 + 2)
    tree = Tree(machine, (0, 0), 0x70)
    assert [core.place for core in tree.cores] == [(9, 0, 4), (9, 8, 2)]
    assert [xy for xy, *_ in tree.branches] == [(0, 0), (11, 0), (10, 0), (9, 0), (9, 11), (9, 10), (9, 9), (9, 8)]
    assert {machine.layout.ethernet_of[xy] for xy, *_ in tree.branches} == {(0, 0), (8, 4), (4, 8)}


@pytest.mark.parametrize("make", [
    partial(Machine, make_core=NativeCore), partial(TimedMachine, make_core=TimedNativeCore),
    partial(FaultyMachine, Faults(late_packets=(1.0, 0.5)), make_core=NativeCore)], ids=["plain", "timed", "faulty"])
def test_a_core_hears_another_one_around_the_corner(make):
    machine = make(5, addresses=HOSTS)
    for xy, route in (((0, 0), 1 << 4), ((11, 11), 1 << 6 + 2)):                # south west
        machine.chips[xy].router.set(1, 0x71, 0xffffffff, route)
    for xy, core, image in (((11, 11), 2, program(forever(FIQ_ON_PACKETS), {0x1c: TAKE_PACKET})),
                            ((0, 0), 1, program(SEND_0X71))):
        machine.chips[xy].bus.write(SDRAM_SYSTEM, image)
        machine.chips[xy].start(SDRAM_SYSTEM, 1 << core, 30, 0)
        machine.run()
    count, _, key = struct.unpack("<3I", machine.chips[11, 11].bus.read(SEEN, 12))
    assert (count, key) == (1, 0x71)
    machine.close()


def test_a_machine_that_is_left_goes_on_from_its_file(machine, tmp_path):
    machine.tags[8, 4].set(2, 0, "127.0.0.1", 4000, 0, 0)
    machine.chips[11, 11].bus.write(SDRAM_BASE + 0x300000, b"left")
    boards.save(machine, tmp_path / "boards")
    restored = boards.load(tmp_path / "boards", addresses=HOSTS)
    assert boards.digest(restored) == boards.digest(machine)
    assert [table.live for table in restored.tags.values()] == [False, False, True]
    machine.tags[8, 4].clear(2)


def test_cores_in_a_state_are_counted_by_board():
    """SpiNNMan asks every board and adds up what it hears, so that no core may be counted by two of them."""
    sent = []
    made = Machine(5, HOSTS, make_core=NativeCore, transmit=sent.append)
    loaded = {(0, 0): 0b0110, (4, 7): 0b10, (4, 8): 0b1110, (8, 5): 0b10}
    for xy, cores in loaded.items():
        made.chips[xy].bus.write(SDRAM_SYSTEM, program([WFI]))
        made.chips[xy].start(SDRAM_SYSTEM, cores, 30, 0)
    for x, y in ETHERNETS:
        made.accept(SDP(0x87, 0, 0, 0xff, x << 8 | y, 0, struct.pack("<2H3I", Command.COUNT, 7, 30, CPUState.INIT, 0)))
    assert [made.layout.ethernet_of[xy] for xy in loaded] == [(0, 0), (0, 0), (4, 8), (8, 4)]
    assert [struct.unpack_from("<I", message.payload, 4)[0] for message in sent] == [3, 3, 1]
    made.close()


def test_faults_are_on_any_board_but_its_ethernet_chip_lives():
    Faults(dead_chips=((11, 11),), dead_cores=((8, 4, 3),)).check_places(Layout(5, 3))
    with pytest.raises(SetupError, match=r"\(4, 8\) has an Ethernet port"):
        Faults(dead_chips=((4, 8),)).check_places(Layout(5, 3))
    with pytest.raises(SetupError, match="on a chip of the SpiNN-5"):
        Faults(dead_cores=((8, 4, 3),)).check_places(Layout(5))


def test_three_boards_have_three_addresses_in_a_row_or_none():
    part = f"127.{64 + os.getpid() % 128}.{os.getpid() >> 7 & 255}"      # nobody else's
    made = Ethernet(f"{part}.1", ethernets=ETHERNETS)
    try:
        assert made.hosts == [f"{part}.{n}" for n in (1, 2, 3)]
        with pytest.raises(SetupError, match=f"17893 and 54321 of {part}.3 and others"):
            Ethernet(f"{part}.3", ethernets=ETHERNETS)
        Port(f"{part}.4", (0, 0)).close()           # which the refused one has given back
        with pytest.raises(SetupError, match="loopback address such as 127.0.0.2, got '128.0.0.1'"):
            Ethernet("127.255.255.255", ethernets=ETHERNETS)
    finally:
        for end in (*made._ports.values(), *made._wakers):
            end.close()


class Host:
    """Somebody who talks to three boards that are served."""

    def __init__(self, machine):
        self.ethernet = Ethernet(ethernets=machine.layout.ethernets)
        self.ethernet.attach(machine)
        self._thread = threading.Thread(target=self.ethernet.serve)
        self._thread.start()

    def close(self):
        """End serving."""
        self.ethernet.close()
        self._thread.join()

    def ask(self, board, xy, code, *arguments, data=b""):
        """Data of a chip's answer to a command by way of a board, from that board's address."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(60)
            sock.connect((self.ethernet.hosts[board], SCP_PORT))        # hears nobody else
            payload = struct.pack("<2H3I", code, 7, *(*arguments, 0, 0, 0)[:3]) + data
            sock.send(UDP_PADDING + SDP(0x87, 0xff, 0, 0xff, xy[0] << 8 | xy[1], 0, payload).encode())
            answer = SDP.decode(sock.recv(512)[2:])
            assert struct.unpack_from("<2H", answer.payload) == (Result.OK, 7)
            return answer.payload[4:]


@pytest.fixture(scope="module")
def host(machine):
    made = Host(machine)
    yield made
    made.close()


def test_any_board_leads_to_any_chip(host):
    for board in range(3):
        for xy in ((0, 0), (5, 9), (11, 11)):
            assert host.ask(board, xy, Command.VER)[2:4] == bytes((xy[1], xy[0]))
    host.ask(1, (9, 5), Command.WRITE, SDRAM_BASE + 0x300000, 4, 2, data=b"here")
    assert host.ask(2, (9, 5), Command.READ, SDRAM_BASE + 0x300000, 4, 2) == b"here"


def test_tags_are_a_boards_own(host, machine):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(60)
        for board, xy in ((1, (4, 8)), (2, (8, 4))):
            host.ask(0, xy, Command.IPTAG, 1 << 28 | 1 << 16 | 1, sink.getsockname()[1] if board == 2 else 9,
                     0x0100007f)                    # tag 1, set by way of another board
        assert not machine.tags[0, 0].live and machine.tags[4, 8].table[1].tx_port == 9
        spikes = SDP(0x07, 1, PORT_ETHERNET, 0x21, 8 << 8 | 4, 11 << 8 | 7, b"from a core")
        host.ethernet.ask(lambda: machine.send(spikes))
        assert sink.recvfrom(512) == (b"from a core", (host.ethernet.hosts[2], SCP_PORT))


def test_a_port_of_a_reverse_tag_is_listened_to_on_its_board_alone(host, machine, monkeypatch):
    heard = []
    monkeypatch.setattr(machine, "accept", lambda message: heard.append(message) or came.set())
    came = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source:
        source.bind(("127.0.0.1", 0))               # a UDP port that is free somewhere
        port = source.getsockname()[1]
        monkeypatch.undo()
        for xy, core in (((4, 8), 0x21), ((8, 4), 0x22)):
            host.ask(0, xy, Command.IPTAG, 2 << 28 | 1 << 16 | core << 8 | 2, port | 7 << 16)
        assert [sorted(table.reverse()) for table in machine.tags.values()] == [[], [port], [port]]
        monkeypatch.setattr(machine, "accept", lambda message: heard.append(message) or came.set())
        source.sendto(b"spikes", (host.ethernet.hosts[2], port))
        assert came.wait(60)
    assert heard == [SDP(0x07, 2, 0x22, PORT_ETHERNET, 7, 8 << 8 | 4, b"spikes")]


def test_spinnman_finds_three_boards(tmp_path):
    (tmp_path / "discovery.py").write_text(DISCOVERY)
    done = subprocess.run([sys.executable, "-m", "spikingconvnet.emulator", "--boards", "3", "discovery.py"],
                          cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr[-2000:]
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    found = json.loads(line.removeprefix("FOUND "))
    assert found["kind"] == "FullWrapMachine" and found["chips"] == 144 and found["cores"] == 144 * 17
    assert found["links"] == 144 * 6 and found["read"] == "three boards"
    assert set(found["ethernets"]) == {"0,0", "4,8", "8,4"} and len(set(found["ethernets"].values())) == 3
    assert found["nearest"] == [[4, 8], [4, 8], [8, 4]]
    assert [found["ethernets"]["8,4"], 3, 4000] in found["tags"]
    assert [tag for tag in found["tags"] if tag[1:] == [3, 4000]] == [[found["ethernets"]["8,4"], 3, 4000]]
