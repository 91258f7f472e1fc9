"""Snapshots: a board goes on from a file as if nothing had happened, and a file that is not whole is refused.

PLACES: how many random places each kind of board is left at. ``benchmarks/board_snapshots.py`` does the same with
networks of sPyNNaker.
"""

import ctypes
import os
import random
import socket
import struct
import zlib
from functools import partial

import pytest
from bench import Bench, one_thing
from programs import WFI, binary, program
from test_core import COUNT_UP, FIQ_ON_PACKETS, TAKE_PACKET, forever, timer_program

from spikingconvnet.emulator import ethernet, ports, tags, timing
from spikingconvnet.emulator.board import Board
from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.errors import SnapshotError
from spikingconvnet.emulator.faults import Faults
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory import Memory
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM
from spikingconvnet.emulator.native_core import NativeCore
from spikingconvnet.emulator.native_machine import NativeMachine
from spikingconvnet.emulator.packets import SDP
from spikingconvnet.emulator.snapshots import boards, chips, container, cores, kinds, memories, timed
from spikingconvnet.emulator.timed_native import TimedNativeCore

PLACES, DAMAGED = int(os.environ.get("PLACES", "3")), int(os.environ.get("DAMAGED", "30"))
STEPS, MESSAGE_EVERY = 200, 37
FAULTS = Faults(seed=3, dropped_packets=0.1, late_packets=(0.3, 0.012), crashes=((0, 0, 3, 0.05),))
KINDS = {"plain": partial(Bench, NativeCore), "faulty": partial(Bench, NativeCore, faults=FAULTS),
         "timed": partial(Bench, TimedNativeCore, timed=True)}
SENDS = [*COUNT_UP, 0xe3a01202, 0xe5810008]         # mov r1, #0x20000000; str r0, [r1, #TXKEY]
MADE_ANEW = {
    "machine": {"layout", "transmit", "report", "watchdog", "_spent", "_queued", "_running", "_trees", "_passed",
                "_idle", "_key_bits", "tags", "_make_core", "_cpus", "chips", "wires", "monitors"},
    "faulty": {"faults", "_speeds"},
    "plain": {"_loop", "_found", "_at", "_planted", "_places_of_chips", "_number_of_chip", "_cores"},
    "timed": {"_profile", "_phases", "_quantum", "_order", "_banks", "_crowded", "_network"},
    "chip": {"x", "y", "address", "links", "_wake", "_send", "_report", "sdram", "sysram", "router",
             "system_controller", "bus", "_physical", "cores", "shared_messages", "router_entries", "sdram_heap",
             "sysram_heap", "sys_heap", "_app_data"},
    "router": {"_changed", "_settle", "_told", "_now", "free", "dumps", "routes", "keys", "masks", "_entries",
               "_counting"},
    "dumps": {"_changed"}, "controller": {"_interrupt", "_asleep"}, "tags": {"changed"},
    "core": {"number", "physical", "streamed", "place", "rest", "_cpus", "_cpu", "_system", "_memories", "_clock",
             "_report",
             "_burst", "_instructions", "_fault", "_life", "_pause", "_yielded", "_halted", "_spent", "_asked",
             "_touches", "itcm", "dtcm", "memories", "bus", "_pc", "_devices", "made", "_deadlines", "failure",
             "seat", "seated"},
    "timed core": {"bank", "forget", "router_free", "profiled", "_costs", "_price", "_rest"},
    "network": {"_machine", "_lag", "_hops", "_senders", "paced", "_waiting", "_net", "_found", "_at", "_begins",
                "_trees", "_controls", "_chips", "_number"}}


def at_work(kind, **options):
    """A board whose cores tick, send packets to each other over a link, and do not take the messages of a host."""
    bench = KINDS[kind](**options)
    for chip, ways in (((0, 0), 1 << 0 | 1 << 6 + 4 | 1 << 6 + 5), ((1, 0), 1 << 6 + 2)):
        bench.machine.chips[chip].router.set(1, 0, 0, ways)
    for place, numbers, image in (((0, 0), (4, 5), program(forever(FIQ_ON_PACKETS), {0x1c: TAKE_PACKET})),
                                  ((1, 0), (2,), program(forever(FIQ_ON_PACKETS), {0x1c: TAKE_PACKET})),
                                  ((0, 0), (1, 2, 3), timer_program(SENDS))):
        bench.machine.chips[place].bus.write(SDRAM_SYSTEM, image)
        bench.machine.chips[place].start(SDRAM_SYSTEM, sum(1 << number for number in numbers), 30, 0)
    bench.machine.tags[0, 0].set(1, 0, "127.0.0.1", 4000, 0, 0x21)
    return bench.machine


def walk(machine, first, last):
    """Let a board make steps by their numbers, while a host sends it messages."""
    for number in range(first, last):
        if number % MESSAGE_EVERY == 5:
            machine.accept(SDP(0x07, 0xff, 1 << 5 | 4, 0xff, 0, 0, bytes([number & 255])))
        one_thing(machine)
    return machine


@pytest.fixture(scope="module")
def ends():
    """How boards that nobody has interrupted end."""
    return {kind: boards.digest(walk(at_work(kind), 0, STEPS)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_board_goes_on_from_any_place_as_if_nothing_had_happened(kind, ends, tmp_path):
    machine, at, path, under_way = at_work(kind), 0, tmp_path / "board", 0
    for place in sorted(random.Random(kind).sample(range(1, STEPS), PLACES)):
        walk(machine, at, place)
        at, under_way = place, under_way + (not machine.at_rest)
        boards.save(machine, path)
        restored = boards.load(path)
        assert boards.digest(restored) == boards.digest(machine)
        assert boards.digest(walk(restored, place, STEPS)) == ends[kind], f"left at step {place}"
        restored.close()
    assert under_way and boards.digest(walk(machine, at, STEPS)) == ends[kind]


def test_a_clock_in_python_goes_as_the_one_in_c():
    """Step by step, with packets under way, messages that wait and ways that change."""
    machines = [at_work("plain"), at_work("plain", loop=False)]
    assert [type(machine) for machine in machines] == [NativeMachine, Machine]
    for number in range(0, STEPS, 10):
        alike = set()
        for machine in machines:
            if number % 100 == 50:
                machine.root.router.set(0, 0, 0, 1 << 6 + 4 + number // 100 % 2)
            alike.add((boards.digest(walk(machine, number, number + 10)), machine.at_rest, machine.busy,
                       machine.next_instant()))
        assert len(alike) == 1, number


def test_digests_tell_boards_apart(ends):
    assert len(set(ends.values())) == len(ends)
    machine = walk(at_work("plain"), 0, STEPS)
    machine.chips[0, 1].sdram.bytes[5000] = 1
    assert boards.digest(machine) != ends["plain"]


def names(*tables):
    return {name for table in tables for name in table}


def test_ports_of_reverse_tags_are_listened_to_again(tmp_path, monkeypatch):
    machine, opened = at_work("plain"), []
    machine.tags[0, 0].set(2, tags.REVERSE, "127.0.0.1", 50000, 0, 0x21)
    boards.save(machine, tmp_path / "board")
    port = ethernet.Ethernet()
    monkeypatch.setattr(ports, "_socket", lambda host, number: opened.append((host, number)) or socket.socket())
    port.attach(boards.load(tmp_path / "board"))
    port.close()
    port.serve()                                    # which closes its sockets
    assert opened == [(port.hosts[0], 50000)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_attribute_is_kept_or_made_anew(kind):
    machine = walk(at_work(kind), 0, 20)
    chip, core = machine.root, machine.root.cores[1]
    tables = {"chip": names(chips._chip(chip)), "router": names(chips.ROUTER), "dumps": names(chips.DUMPS),
              "controller": names(chips.CONTROLLER),
              "tags": names(boards.TAGS), "core": names(cores.WHATEVER, cores.POWERED)}
    parts = {"chip": chip, "router": chip.router, "dumps": chip.router.dumps,
             "controller": chip.system_controller, "tags": machine.tags[0, 0],
             "core": core}
    if kind == "timed":
        tables |= {"core": tables["core"] | cores.TIMED.keys(), "network": names(timed._network(machine))}
        parts["network"] = machine._network
    for name, part in parts.items():
        made_anew = MADE_ANEW[name] | MADE_ANEW.get(f"{kind} {name}", set())
        assert vars(part).keys() - made_anew <= tables[name] <= set(dir(part)), name
    kept = names(boards._table(machine))
    computed = {name for name in kept if isinstance(getattr(type(machine), name, None), property)}
    assert vars(machine).keys() - MADE_ANEW["machine"] - MADE_ANEW[kind] == kept - computed


def test_what_is_kept_of_a_core_that_died_and_of_one_that_polls(tmp_path):
    bench = Bench(NativeCore)
    bench.start(program([0xe7f000f0, WFI], {0x04: [0xe7f000f0]}), cores=(1, 2))     # undefined, in its handler too
    core = bench.chip.cores[1]
    assert core.rest is Rest.DEAD
    boards.save(bench.machine, tmp_path / "board")
    restored = boards.load(tmp_path / "board").root.cores[1]
    assert (restored.rest, restored.failure, restored.registers()) == (core.rest, core.failure, core.registers())


def test_a_program_goes_on_answering_messages(tmp_path):
    bench, sent = Bench(NativeCore), []
    bench.chip.bus.write(SDRAM_SYSTEM, binary("synapse_expander.aplx"))
    bench.chip.start(SDRAM_SYSTEM, 1 << 3, 30, 1)   # waits for a signal
    bench.machine.run()
    asks = SDP(0x87, 4, 3, 0xff, 0, 0, struct.pack("<2H3I", 0, 9, 0, 0, 0))
    bench.machine.send(asks)                        # in the mailbox when the board is left
    boards.save(bench.machine, tmp_path / "board")
    bench.machine.run()
    restored = boards.load(tmp_path / "board", transmit=sent.append)
    restored.run()
    assert sent == bench.sent and len(sent) == 1


def test_a_boards_address_is_its_own_and_tags_keep_theirs(tmp_path):
    machine = at_work("plain")
    boards.save(machine, tmp_path / "board")
    moved = boards.load(tmp_path / "board", addresses=["127.0.0.9"])
    assert moved.root.bus.read(0xf5007ff0, 4) == bytes((127, 0, 0, 9))
    assert moved.tags[0, 0].table[1] == tags.Tag("127.0.0.1", 4000, tags.VALID, 0, 0, 0, 0x21) and moved.tags[0, 0].live


SLOW = Faults(slow_cores=((0, 0, 2, 1.0),))


@pytest.mark.parametrize("bench", [partial(Bench, Core), partial(Bench, NativeCore, SLOW)], ids=["python", "slow"])
def test_boards_with_cores_in_python_are_refused(bench, tmp_path):
    with pytest.raises(SnapshotError, match="core 0,0,[12] runs in Python, and the CPU emulator keeps part"):
        boards.save(bench().machine, tmp_path / "board")
    assert list(tmp_path.iterdir()) == []


def test_a_board_in_time_is_not_taken_while_packets_are_on_routes_that_have_gone(tmp_path):
    machine = at_work("timed")
    machine._network.post([(machine.cycle, (0, 0), 1, (0, 7, 0))])
    boards.save(machine, tmp_path / "board")
    machine.root.router.set(1, 0, 0, 1 << 6 + 4)
    with pytest.raises(SnapshotError, match="under way on routes that have been changed"):
        boards.save(machine, tmp_path / "other")
    restored = boards.load(tmp_path / "board")
    assert [hop[:2] + hop[3:] for hop in restored._network._hops] == [(machine.cycle + timing.SEND, 1, 0, (0, 7, 0))]


def test_a_file_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    with pytest.raises(SnapshotError, match="nowhere/board: the snapshot cannot be written: No such file"):
        boards.save(Bench(NativeCore).machine, tmp_path / "nowhere/board")


@pytest.fixture(scope="module", params=KINDS)
def file(request, tmp_path_factory):
    """A snapshot of each kind of board, in the middle of its work."""
    path = tmp_path_factory.mktemp("whole") / "board"
    boards.save(walk(at_work(request.param), 0, 150), path)
    return path


def test_a_file_that_is_cut_or_altered_anywhere_is_refused(file, tmp_path):
    whole, damaged, rng = file.read_bytes(), tmp_path / "damaged", random.Random(1)
    for _ in range(DAMAGED):
        place = rng.choice([rng.randrange(80), rng.randrange(len(whole))])
        flipped = whole[:place] + bytes([whole[place] ^ 1 << rng.randrange(8)]) + whole[place + 1:]
        for data in (whole[:place], flipped, whole + b"\0" * (place % 5 + 1)):
            damaged.write_bytes(data)
            with pytest.raises(SnapshotError, match=r"damaged: .*(take it again|restore it with that version)"):
                boards.load(damaged)


@pytest.mark.parametrize("content, said", [
    (None, "cannot be read: No such file"), (b"", "no snapshot of an emulated board"),
    (b"PK\3\4" * 100, "no snapshot of"),
    (struct.pack("<16sI", b"SpiNNaker board\n", container.FORMAT + 1) + bytes(100), "written by a newer version"),
    (struct.pack("<16sI", b"SpiNNaker board\n", 0) + bytes(100), "written by another version")],
    ids=["missing", "empty", "zip", "newer", "older"])
def test_what_is_no_snapshot_is_told(content, said, tmp_path):
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    with pytest.raises(SnapshotError, match=f"file: .*{said}"):
        boards.load(tmp_path / "file")


def other(said, rng):
    """A copy of JSON in which one value is another one."""
    if isinstance(said, list) and said and rng.random() < 0.98:
        place = rng.randrange(len(said))
        return [*said[:place], other(said[place], rng), *said[place + 1:]]
    if isinstance(said, dict) and said and rng.random() < 0.98:
        key = rng.choice(list(said))
        return {**said, key: other(said[key], rng)}
    return rng.choice([None, True, -1, 0, 1, 5, 255, 4096, 2**32 - 1, 2**63, 2**70, 0.5, "", "x" * 2000, [], [[]], {}])


def test_a_file_that_was_made_to_do_harm_is_refused_or_a_board(file, tmp_path):
    """With a digest that fits: every value is judged before it is used, in C too."""
    said, parts = container.read(file)
    rng, refused = random.Random(2), 0
    for _ in range(DAMAGED // 2):
        part = rng.choice(list(said))
        container.write(tmp_path / "made", {**said, part: other(said[part], rng)}, parts)
        try:
            machine = boards.load(tmp_path / "made")
        except SnapshotError as error:
            refused += 1
            assert "made: " in str(error)
            continue
        boards.digest(machine)
        machine.close()
    assert refused > DAMAGED / 8


def test_numbers_of_a_core_are_judged_in_c():
    core, taken, place = at_work("plain").root.cores[1], set(), 0
    numbers = cores.save(core)["numbers"]
    for name, count in cores.fields().items():
        place += count
        other = (ctypes.c_uint64 * len(numbers))(*numbers[:place - 1], 2**64 - 1, *numbers[place:])
        refused = cores.library().core_restore(core.made, other)
        assert refused in (None, name.encode())
        taken |= {name.split(".")[-1]} if refused is None else set()
    assert taken == {"now", "deadline", "started", "reads", "limit", "until", "lag", "begins", "slept", "ends", "at",
                     "blocked", "freed", "timeout", "pace", "held", "worked", "dump_at"}            # cycles


def test_memories_that_unpack_to_more_than_they_should_are_refused():
    memory = Memory("SDRAM", 1 << 16)
    for pages, data in (([0], bytes(1 << 20)), ([0], b""), ([16], bytes(4096)), ([1, 0], bytes(8192)),
                        ([-1], bytes(4096))):
        with pytest.raises(SnapshotError, match="SDRAM"):
            memories.unpack(memory, pages, zlib.compress(data))
    with pytest.raises(SnapshotError, match="cannot be unpacked"):
        memories.unpack(memory, [0], b"no zlib")


@pytest.mark.parametrize("told", [True, False], ids=["pagemap", "scan"])
def test_pages_that_are_used_are_found_also_where_the_system_does_not_tell(told, monkeypatch):
    memory = Memory("SDRAM", 1 << 20)
    memory.bytes[5 * 4096 + 7] = 1
    memory.bytes[9 * 4096] = 0                      # touched, and as empty as before
    if not told:
        monkeypatch.setattr(memories, "PAGES_TOLD", "/nowhere")
    assert memories.used(memory).tolist() == [5]
    again = Memory("SDRAM", 1 << 20)
    again.bytes[3 * 4096] = 1
    memories.unpack(again, [5], memories.pack(memory, memories.used(memory)))
    assert again.bytes[:] == memory.bytes[:]


@pytest.mark.parametrize("kind, said", [
    (kinds.FLAG, 1), (kinds.WORD, True), (kinds.WORD, 2**32), (kinds.TEXT, 5), (kinds.NUMBER, float("nan")),
    (kinds.ADDRESS, "256.0.0.1"), (kinds.PACKET, [1, 2]), (kinds.several(kinds.WORD, most=1), [1, 2]),
    (kinds.MESSAGE, [0, 0, 0, 0, 0, 0, "zz"]), (kinds.MESSAGE, [0, 0, 0, 0, 0, 0, "00" * 300])])
def test_values_of_another_kind_are_refused(kind, said):
    with pytest.raises(SnapshotError, match="expected, found"):
        kind.read(said)


def test_a_board_that_is_served_can_be_left_and_gone_on_with(tmp_path):
    first, second, log = tmp_path / "first", tmp_path / "second", tmp_path / "log"
    boards.save(walk(at_work("plain"), 0, 50), first)
    with open(log, "w") as messages, Board(snapshot=first, hold=True, log=messages) as board:
        assert board.version == 3 and board.run(until=0.1) == 0.1
        assert board.snapshot(second) == 0.1 and board.run(until=0.2) == 0.2
        assert board.restore(second) == 0.1 and board.run(until=0.2) == 0.2
        with pytest.raises(SnapshotError, match="nothing: the snapshot cannot be read"):
            board.restore(tmp_path / "nothing")
        board.snapshot(tmp_path / "third")
    expected = boards.load(first)
    expected.run(until=40_000)
    assert boards.digest(boards.load(tmp_path / "third")) == boards.digest(expected)


def test_a_snapshot_at_a_time_is_of_all_that_happened_until_then(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    boards.save(walk(at_work("timed"), 0, 20), first)
    with open(tmp_path / "log", "w") as log, Board(snapshot=first, hold=True, save=second, at=0.2, log=log) as board:
        assert board.run(until=0.3) >= 0.3
    assert "second: the board at 0.2" in (tmp_path / "log").read_text()
    expected = boards.load(first)
    while expected.cycle < 40_000:
        expected.step(0)
    assert boards.digest(boards.load(second)) == boards.digest(expected)
