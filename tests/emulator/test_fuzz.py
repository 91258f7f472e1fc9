"""Random and damaged input: the board answers, names what was wrong, and goes on.

The number of cases is FUZZ_CASES (environment): 100,000 of each kind are one command,
``FUZZ_CASES=100000 python -m pytest tests/emulator/test_fuzz.py``.
"""

import os
import struct
import threading

import numpy as np
import pytest
from bench import Bench
from programs import WFI, binary, program

from spikingconvnet.emulator import native_core, packets
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.memory_map import SDRAM_HEAP, SDRAM_SYSTEM, SV_BASE, VCPU, VCPU_BASE, Signal
from spikingconvnet.emulator.pace import Pace
from spikingconvnet.emulator.packets import SDP, Command

CASES = int(os.environ.get("FUZZ_CASES", "1500"))
SENDER = ("127.0.0.1", 40000)
ADDRESSES = np.array([0, 0x400000, 0x60000000, SDRAM_HEAP, SDRAM_SYSTEM, 0x67ffffff, 0x6fffffff, 0x70000000, 0xe1000000,
                      0xe1000300, 0xe1004000, 0xe1010000, 0xe2000000, SV_BASE, VCPU_BASE, 0xe5007fff, 0xf5000000,
                      0xfffffffc, 0xffffffff])


def number(rng):
    """A number that may mean something."""
    kind = rng.integers(5)
    if kind == 0:
        return int(rng.choice(ADDRESSES)) + int(rng.integers(-8, 64)) & 0xffffffff
    return int(rng.integers(2 ** (1, 4, 8, 20, 32)[rng.integers(5)])) if kind < 4 else 1 << int(rng.integers(32))


def datagram(rng):
    """UDP payload: an SCP command that is sometimes whole, sometimes cut, sometimes noise."""
    if rng.random() < 0.1:
        return rng.bytes(int(rng.integers(0, 320)))
    code = int(rng.choice(list(Command))) if rng.random() < 0.9 else int(rng.integers(65536))
    data = rng.bytes(int(rng.integers(0, 280)) if rng.random() < 0.5 else 0)
    payload = struct.pack("<2H3I", code, int(rng.integers(65536)), *(number(rng) for _ in range(3))) + data
    chip = int(rng.choice([0, 0, 1, 0x100, 0x101, 0x505, 0xffff]))
    port = int(rng.choice([0, 0, 0, 0, 0x21, 0x60, 255, int(rng.integers(256))]))
    made = packets.UDP_PADDING + SDP(int(rng.choice([0x87, 0x07])), int(rng.choice([255, int(rng.integers(256))])),
                                     port, 255, chip, 0, payload[:272]).encode()
    return made[:int(rng.integers(len(made) + 1))] if rng.random() < 0.1 else made


@pytest.fixture
def new_bench():
    """Makes benches with fast cores; the watchdog of the latest one bites after 20 ms."""
    benches, over = [], threading.Event()

    def make():
        benches[:] = [Bench(native_core.NativeCore, watchdog=0.02)]
        return benches[0]

    def look():
        while not over.wait(0.005):
            for bench in benches:
                bench.machine.pause()

    thread = threading.Thread(target=look)
    thread.start()
    yield make
    over.set()
    thread.join()


def alive(bench):
    """Whether the monitor still gives its version."""
    before = len(bench.sent)
    bench.machine.send(SDP(0x87, 0, 0, 255, 0, 0, struct.pack("<2H3I", 0, 1, 0, 0, 0)))
    return len(bench.sent) == before + 1 and b"SC&MP" in bench.sent[-1].payload


def test_no_datagram_stops_the_monitor(new_bench):
    rng = np.random.default_rng(1)
    ethernet, watched = Ethernet(), new_bench()
    for case in range(CASES):
        ethernet._machine, ethernet._pace = watched.machine, Pace(watched.machine)
        watched.chip.bus.write(SDRAM_SYSTEM, program([WFI]))
        ethernet._handle(datagram(rng), SENDER, ethernet._ports[0, 0])
        watched.machine.run(until=watched.machine.cycle + 200_000)
        ethernet._answer_questions()
        if case % 100 == 99:
            assert alive(watched)
            watched = new_bench()
    for sock in (*ethernet._ports.values(), *ethernet._wakers):
        sock.close()


def damaged(rng, data):
    """An image cut short, with bits flipped, with a part repeated, or with a wild table."""
    kind, data = rng.integers(4), bytearray(data)
    if kind == 0:
        return bytes(data[:int(rng.integers(len(data)))])
    if kind == 1:
        for _ in range(int(rng.integers(1, 200))):
            data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        start, end = sorted(int(i) for i in rng.integers(len(data), size=2))
        data[start:end] = rng.bytes(end - start)
    else:
        for word in range(int(rng.integers(1, 12))):
            struct.pack_into("<I", data, 4 * word, number(rng))
    return bytes(data)


def test_no_damaged_image_stops_the_board(new_bench):
    rng, whole, watched, reports = np.random.default_rng(2), binary("IF_curr_exp.aplx"), new_bench(), 0
    for case in range(CASES // 3):
        image = damaged(rng, whole)
        watched.chip.bus.write(SDRAM_SYSTEM, image.ljust(len(whole), b"\0"))
        watched.chip.set_vcpu(1, VCPU.USER, SDRAM_SYSTEM)
        payload = struct.pack("<2H3I", Command.AR, 0, 30 << 24 | 2, 0, 0)
        watched.machine.send(SDP(0x07, 0, 0, 255, 0, 0, payload))
        watched.machine.run(until=watched.machine.cycle + 2_000_000)
        watched.chip.signal(Signal.STOP, 30, 255)
        if case % 20 == 19:
            assert alive(watched)
            reports += len(watched.reports)
            watched = new_bench()
    assert reports > CASES // 10
