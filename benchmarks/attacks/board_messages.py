"""Fifty messages to an emulated board, most of them after what a front end would send, some of them altered.

Valid sequences (allocate, write, start, route, tag, signal, read) lead into states that noise never reaches; then
fields, lengths, headers and the structures in the board's own memory are changed. The cores run what they are given,
also random instructions. Afterwards the board has to give its version, and its heaps have to be whole or refused.
"""

import json
import resource
import struct
import threading
import time

from attacks.harness import Case
from spikingconvnet.emulator import native_core, packets
from spikingconvnet.emulator.core import Core, Rest
from spikingconvnet.emulator.errors import BusError, CorruptError
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.memory_map import (
    DTCM_BASE,
    NUM_CPUS,
    SDRAM_BASE,
    SDRAM_HEAP,
    SDRAM_SYSTEM,
    SV,
    SV_BASE,
    SYSCTL_BASES,
    SYSRAM_BASE,
    SYSTEM_HEAP,
    VCPU,
    VCPU_BASE,
    Mailbox,
    Signal,
)
from spikingconvnet.emulator.native_machine import machine_of
from spikingconvnet.emulator.packets import SDP, Command

MESSAGES = 50
SENDER = ("127.0.0.1", 40000)
CHIPS = 0x000, 0x001, 0x100, 0x101
LARGEST = 1200 << 20        # bytes of a board of four chips: their memories, and what it needs to follow messages
LONGEST = 30                # s of CPU for a case
BETWEEN = 0.03              # s of CPU for the cores between two messages: endless programs go on behind the next
SEEN = SDRAM_BASE + 0x300000
ADDRESSES = (0, DTCM_BASE, SDRAM_BASE, SDRAM_HEAP, SDRAM_HEAP + 16, SDRAM_SYSTEM, SYSTEM_HEAP, 0x67ffffff, 0x6fffffff,
             0x70000000, 0xe1000000, 0xe1000300, 0xe1004000, 0xe1010000, 0xe2000000, SYSRAM_BASE, SV_BASE, VCPU_BASE,
             0xe5007fff, 0xf5000000, 0x90000000, 0xfffffffc, 0xffffffff)
POINTERS = (SV.SHM_FREE, SV.SHM_COUNT, SV.MBOX_FLAGS, SV.RTR_COPY, SV.RTR_FREE, SV.ALLOC_TAG, SV.APP_DATA, SV.SHM_BUF,
            SV.SDRAM_HEAP, SV.SYSRAM_HEAP, SV.SYS_HEAP, SV.VCPU_BASE, SV.IP_ADDR, SV.CLOCK_MS)
FIELDS = (VCPU.MBOX_AP_MSG, VCPU.MBOX_MP_MSG, VCPU.MBOX_AP_CMD, VCPU.MBOX_MP_CMD, VCPU.CPU_STATE, VCPU.APP_ID,
          VCPU.APP_NAME, VCPU.USER, VCPU.IOBUF)
WAIT = 0xee070f90           # mcr p15, 0, r0, c7, c0, 4


def number(rng):
    """A number that may mean something: 32 bits."""
    kind = rng.integers(5)
    if kind == 0:
        return int(rng.choice(ADDRESSES)) + int(rng.integers(-8, 64)) & 0xffffffff
    return int(rng.integers(2 ** (1, 4, 8, 20, 32)[rng.integers(5)])) if kind < 4 else 1 << int(rng.integers(32))


def image(words, start=0):
    """APLX image that puts words at address 0 and starts at `start`."""
    code = struct.pack(f"<{len(words)}I", *words)
    return struct.pack("<8I", 2, 0, 32, len(code), 4, start, 0, 0) + code.ljust(-(-len(code) // 32) * 32, b"\0")


def stores(*pairs):
    """ARM words that store values at addresses and then wait for ever."""
    code = []
    for address, value in pairs:
        code += [0xe59f0004, 0xe59f1004, 0xe5810000, 0xea000001, value, address]   # ldr, ldr, str, b over the literals
    return [*code, WAIT, 0xeafffffd]


def sends(base, payload, port, chip, flags=0x87):
    """Pairs of a program that sends an SDP message from core 1 as `sark_msg_send` does, its body written before."""
    body = SDP(flags, 0, port, 0x21, chip, 0, payload).encode()
    words = struct.unpack(f"<{-(-len(body) // 4)}I", body.ljust(-(-len(body) // 4) * 4, b"\0"))
    own = VCPU_BASE + VCPU.SIZE
    return [(base + 4, len(body)), *((base + 8 + 4 * i, word) for i, word in enumerate(words)),
            (own + VCPU.MBOX_MP_MSG, base), (own + VCPU.MBOX_AP_CMD, Mailbox.MSG << 8),
            (SV_BASE + SV.MBOX_FLAGS, 2), (SYSCTL_BASES[0] + 8, 0x5ec00001)]


def scp(code, a=0, b=0, c=0, data=b"", sequence=7):
    """Payload of a command."""
    return struct.pack("<2H3I", code, sequence, a & 0xffffffff, b & 0xffffffff, c & 0xffffffff) + data


def program(rng):
    """Words of a program: waits, random instructions, wild stores, packets without end, messages to the monitor."""
    kind = rng.integers(7)
    if kind == 0:
        return [WAIT, 0xeafffffd]
    if kind == 1:
        return [int(word) for word in rng.integers(2 ** 32, size=rng.integers(4, 200))]
    if kind == 2:
        return stores(*((number(rng), number(rng)) for _ in range(rng.integers(1, 20))))
    if kind == 3:                                   # packets with keys that rise or stay, without end
        return [0xe3a01201, 0xe3a00000, 0xe5810008, 0xe2800000 | int(rng.integers(2)), 0xeafffffc]
    if kind == 4:                                   # both timers, fast, with and without interrupts
        timer = 0x21000000
        return stores((0x1f000000 + 0x10, 0x30), (0x1f000100, 0x100), (0x1f000200, 0x20 | 4), (timer, number(rng)),
                      (timer + 8, int(rng.integers(256))), (timer + 0x20, int(rng.integers(1, 50))),
                      (timer + 0x28, 0xe2), (timer + 0x18, int(rng.integers(3))))
    if kind == 5:                                   # DMA between wild addresses
        dma = 0x30000000
        return stores((dma + 4, number(rng)), (dma + 8, number(rng)), (dma + 0xc, number(rng)))
    signal = int(rng.choice([Signal.STOP, Signal.INIT, Signal.PWRDN, Signal.SYNC0]))
    payload = [scp(Command.SIG, 0, signal << 16 | 0xff00 | 30), scp(Command.AR, 30 << 24 | 2), altered(rng)][
        rng.integers(3)]
    return stores(*sends(SEEN, payload[:272], int(rng.choice([0, 0, 0x21, 0xff])), int(rng.choice(CHIPS)),
                         int(rng.choice([0x87, 0x07]))))


def altered(rng):
    """Payload of any command, with any arguments."""
    code = int(rng.choice(list(Command))) if rng.random() < 0.95 else int(rng.integers(65536))
    data = rng.bytes(int(rng.integers(0, 257))) if rng.random() < 0.5 else b""
    return scp(code, *(number(rng) for _ in range(3)), data, int(rng.integers(65536)))


def put(address, data):
    """Payloads that write bytes of any length."""
    return [scp(Command.WRITE, address + i, len(data[i:i + 256]), 0, data[i:i + 256])
            for i in range(0, len(data), 256)]


def step(rng):
    """Payloads of one thing that a front end does, from a generator."""
    app, tag = int(rng.choice([16, 30, 0, 255])), int(rng.integers(8))
    kind = rng.integers(11)
    if kind == 0:
        return [scp(Command.ALLOC, app << 8, int(rng.integers(1, 4000)), int(rng.integers(0, 4)))
                for _ in range(rng.integers(1, 5))]
    if kind == 1:                                   # the first blocks of a heap are where they always are
        return [scp(Command.ALLOC, int(rng.choice([1, 2, 5, 6, 7])) | app << 8,
                    SDRAM_HEAP + 24 + int(rng.choice([0, 0, 8, 16])), 0)]
    if kind == 2:
        made = image(program(rng))
        start = scp(Command.AR, app << 24 | int(rng.choice([2, 6, 0x3fffe, 1 << int(rng.integers(18))])))
        return [*put(SDRAM_SYSTEM, made), start]
    if kind == 3:
        return [scp(Command.SIG, int(rng.choice([0, 0, 2])), int(rng.integers(15)) << 16 | 0xff00 | app)]
    if kind == 4:
        entries = b"".join(struct.pack("<2H3I", i, 0, number(rng), number(rng), number(rng)) for i in range(8))
        return [scp(Command.ALLOC, app << 8 | 3, 8), *put(SDRAM_SYSTEM, entries),
                scp(Command.RTR, 8 << 16 | app << 8 | 2, SDRAM_SYSTEM, 1)]
    if kind == 5:
        flags, ip = int(rng.integers(16)) << 28, int(rng.choice([0, 0x0100007f, 0x04030201, 0xffffffff]))
        return [scp(Command.IPTAG, flags | int(rng.integers(4)) << 16 | 0x2100 | tag, int(rng.integers(65536)), ip)]
    if kind == 6:
        return [scp(int(rng.choice([Command.INFO, Command.VER, Command.COUNT])), app, int(rng.integers(16)))]
    if kind == 7:
        return [scp(Command.READ, int(rng.choice(ADDRESSES)), int(rng.choice([0, 4, 256])), int(rng.integers(3)))]
    if kind == 8:                                   # what the board keeps in its own memory
        place = [SV_BASE + int(rng.choice(POINTERS)), VCPU_BASE + VCPU.SIZE * int(rng.integers(NUM_CPUS))
                 + int(rng.choice(FIELDS)), SDRAM_HEAP + 4 * int(rng.integers(12)),
                 SYSTEM_HEAP + 4 * int(rng.integers(12)), SYSRAM_BASE + 0x1100 + 4 * int(rng.integers(12))][
            rng.integers(5)]
        return [scp(Command.WRITE, place, 4, 2, struct.pack("<I", number(rng)))]
    if kind == 9:                                   # a router copy in which runs lead anywhere
        copy = SYSTEM_HEAP + 16 + 8 + 2048 + 8
        return [scp(Command.WRITE, copy + 16 * int(rng.integers(4)), 4, 1, struct.pack("<I", number(rng))),
                scp(Command.ALLOC, app << 8 | int(rng.choice([3, 4, 5])), int(rng.integers(6)), 1)]
    return [scp(Command.APP_COPY_RUN, int(rng.integers(6)), int(rng.choice([64, 256, 8 << 20])), app << 24 | 2)]


def damaged(rng, payload):
    """A payload with some of its bytes changed, or its length."""
    data = bytearray(payload)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(data)))
        data[at:at + 4] = [struct.pack("<I", number(rng)), b"", rng.bytes(1), rng.bytes(16)][rng.integers(4)]
    return bytes(data)


def datagrams(rng):
    """UDP payloads of a case."""
    made = []
    while len(made) < MESSAGES:
        chip = int(rng.choice(CHIPS)) if rng.random() < 0.4 else 0
        for payload in step(rng) if rng.random() < 0.8 else [altered(rng)]:
            payload = damaged(rng, payload) if rng.random() < 0.1 else payload
            wild = rng.random() < 0.1
            port = int(rng.choice([0x21, 0x60, 0x3f, 0xff, int(rng.integers(256))])) if wild else 0
            header = SDP(int(rng.choice([0x87, 0x87, 0x07, int(rng.integers(256))])), int(rng.choice([255, 3, 200])),
                         port, int(rng.choice([0xff, 0xff, 0xff, 0, 0x21])),
                         int(rng.choice([0x505, 0xffff])) if wild else chip, 0, payload[:280])
            data = packets.UDP_PADDING + header.encode()
            made.append(data[:int(rng.integers(len(data) + 1))] if rng.random() < 0.03 else data)
    return made[:MESSAGES]


class Outside:
    """The board's socket to the world: what it sends is looked at and goes nowhere."""

    def __init__(self, real):
        self.real, self.hosts, self.sent = real, set(), []

    def sendto(self, data, where):
        """Remember it."""
        self.hosts.add(where[0])
        self.sent.append(data)

    def __getattr__(self, name):
        return getattr(self.real, name)


class Attacked:
    """A board that hears datagrams in this process, and is watched as its Ethernet port watches it."""

    def __init__(self, machine):
        self.machine, self.reports = machine, []
        machine.report = self.reports.append
        for chip in machine.chips.values():
            chip._report = machine.report
        self.ethernet = Ethernet(real_time=False)
        self.ethernet.attach(machine)
        self.port = self.ethernet._ports[0, 0]
        self.outside = self.port.scp = Outside(self.port.scp)
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while not self._over.wait(0.005):
            self.machine.pause()

    def hear(self, data):
        """One datagram, and what the cores do then for a while."""
        self.ethernet._handle(data, SENDER, self.port)
        end = time.thread_time() + BETWEEN
        for _ in range(3000):
            if not self.machine.busy or time.thread_time() > end:
                break
            self.machine.step()
        self.ethernet._answer_questions()

    def ask(self, payload):
        """(result, data) of the answer to a command, None without one."""
        before = len(self.outside.sent)
        self.ethernet._handle(packets.UDP_PADDING + SDP(0x87, 255, 0, 255, 0, 0, payload).encode(), SENDER, self.port)
        for data in self.outside.sent[before:]:
            if data[10 + 2:10 + 4] == payload[2:4]:
                return struct.unpack_from("<H", data, 10)[0], data[14:]
        return None

    def verdict(self):
        """What is wrong with the board, "" if nothing is."""
        answer = self.ask(scp(Command.VER, sequence=0xbeef))
        if answer is None or b"SC&MP" not in answer[1]:
            return f"no version: {answer}"
        wrong = [self._heaps(chip) for chip in self.machine.chips.values()]
        if any(wrong):
            return next(filter(None, wrong))
        away = [host for host in self.outside.hosts if not host.startswith("127.")]
        if away:
            return f"sends to {away}"
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        if largest > LARGEST:
            return f"{largest >> 20} MB of memory"
        used = time.process_time()
        return f"{used:.0f} s of CPU" if used > LONGEST else ""

    @staticmethod
    def _heaps(chip):
        for heap in (chip.sdram_heap, chip.sysram_heap, chip.sys_heap):
            try:
                blocks, free = list(heap.blocks()), list(heap.free_blocks())
                if any(not 0 < end - block for block, end in [*blocks, *free] if end) or heap.largest() < 0:
                    return "a heap that was not refused leads downwards"
            except (BusError, CorruptError):
                continue
        dead = [core for core in chip.cores.values() if core.rest is Rest.OFF and core._cpu is not None]
        return f"{len(dead)} cores are off and have a CPU" if dead else ""


def prepare(_directory):
    """A booted board that all cases start from; it has run nothing."""
    kind = native_core.NativeCore if native_core.library() else Core
    return machine_of(kind)(3, watchdog=0.02, make_core=kind)


def judge(outcome):
    """What the case itself found wrong."""
    return json.loads(outcome.stdout.splitlines()[-1])["wrong"] or None


def played(machine, sent):
    """`work` of a case: hear datagrams and tell the verdict."""
    def work():
        attacked = Attacked(machine)
        for data in sent:
            attacked.hear(data)
        print(json.dumps({"wrong": attacked.verdict(), "reports": len(attacked.reports)}), flush=True)

    return work


def case(machine, rng, _where):
    """Datagrams of one case; its name has the last of them."""
    sent = datagrams(rng)
    return Case(f"{MESSAGES} messages, the last {sent[-1].hex()}", played(machine, sent), judge)
