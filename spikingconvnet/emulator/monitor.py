"""SC&MP, the program of each chip's monitor core, as seen from outside: the SCP commands it answers.

Sources: scamp-cmd.c, scamp-3.c and scamp-nn.c of spinnaker_tools 813bfef. A command that is not listed is answered with
RC_CMD and reported by name; arguments that cannot be met are answered with RC_ARG.
"""

import ipaddress
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from spikingconvnet.emulator import packets, tags
from spikingconvnet.emulator.errors import BusError, CorruptError, ImageError
from spikingconvnet.emulator.memory_map import (
    NUM_CPUS,
    NUM_LINKS,
    SDRAM_SYSTEM,
    SV,
    SV_BASE,
    SYSRAM_BASES,
    VCPU,
    VCPU_BASE,
    Signal,
)
from spikingconvnet.emulator.packets import SCP, SDP, Command, Result
from spikingconvnet.emulator.router import TABLE_SIZE

if TYPE_CHECKING:           # which have monitors
    from spikingconvnet.emulator.chip import Chip
    from spikingconvnet.emulator.machine import Machine

IDENTITY, VERSION = b"SC&MP/SpiNNaker\0", b"4.0.0\0"        # cmd_ver, scamp-cmd.c:212; what SpiNNMan 7.4.1 asks for
MAX_DATA = 256                                      # sark.h:561
_TYPE_WIDTHS = (1, 2, 4)                            # TYPE_BYTE, TYPE_HALF, TYPE_WORD, sark.h:487
_CHECKSUM = 0x1fffffff                              # cmd_app_copy_run, scamp-cmd.c:668
_APP_SIGNAL = 5                                     # SIG0_APP: what the data of a signal packet begins with


class Refused(Exception):
    """A command that is answered with an error code."""

    def __init__(self, result: Result, why: str = "") -> None:
        super().__init__(why)
        self.result, self.why = result, why


def asks_for_states(message: SDP) -> bool:
    """Whether the answer to an SDP message tells states of cores: a count, a chip's summary, a core's block."""
    command = packets.SCP.decode(message.payload) if message.dest_port == 0 else None
    if command is None:
        return False
    if command.code in (Command.READ, Command.LINK_READ):
        address, length = command.arguments[:2]
        blocks = (base + VCPU_BASE - SYSRAM_BASES[0] for base in SYSRAM_BASES)
        return any(address < block + NUM_CPUS * VCPU.SIZE and block < address + length for block in blocks)
    return command.code in (Command.COUNT, Command.INFO)


class Monitor:
    """The monitor of one chip of a machine."""

    def __init__(self, machine: "Machine", chip: "Chip") -> None:
        self.machine, self.chip = machine, chip
        self._commands: dict[int, Callable[[SCP], bytes]] = {
            Command.VER: self._version, Command.READ: self._read, Command.WRITE: self._write,
            Command.FILL: self._fill, Command.COUNT: self._count, Command.LINK_READ: self._link_read,
            Command.LINK_WRITE: self._link_write, Command.AR: self._app_run, Command.AS: self._app_start,
            Command.NNP: self._nearest_neighbour, Command.APP_COPY_RUN: self._app_copy_run,
            Command.SIG: self._signal, Command.LED: lambda command: b"", Command.IPTAG: self._iptag,
            Command.ALLOC: self._alloc, Command.RTR: self._router, Command.INFO: self._info,
            Command.SYNC: lambda command: b"",      # synchronisation of clocks that do not drift
        }

    def receive(self, message: SDP) -> None:
        """Deal with an SDP message for this chip, and answer if an answer is expected."""
        if message.core != 0:
            result, data = self.chip.deliver(message), b""
            if result is Result.OK:
                return
        elif message.port != 0:
            result, data = Result.PORT, b""
        else:
            result, data = self._execute(message)
        if message.flags & packets.REPLY_EXPECTED:
            self.machine.send(message.reply(packets.answer(message.payload, result, data)))

    def _execute(self, message: SDP) -> tuple[Result, bytes]:
        """Result and data of a command; what is refused or goes wrong is reported."""
        command = packets.SCP.decode(message.payload)
        if command is None:
            return Result.LEN, b""
        handler = self._commands.get(command.code)
        if handler is None:
            self._complain(command, "not modelled")
            return Result.CMD, b""
        self._message = message
        try:
            return Result.OK, handler(command)
        except Refused as refused:
            self._complain(command, refused.why)
            return refused.result, b""
        except (BusError, CorruptError, ImageError) as error:
            self._complain(command, str(error))
            return Result.ARG, b""

    def _complain(self, command: SCP, why: str) -> None:
        arguments = ", ".join(f"{argument:#x}" for argument in command.arguments)
        self.machine.report(f"SCP command {packets.name(command.code)}({arguments}) to chip "
                            f"{self.chip.x},{self.chip.y}: {why}")

    @staticmethod
    def _require(condition: object, why: str, result: Result = Result.ARG) -> None:
        if not condition:
            raise Refused(result, why)

    def _version(self, _command: SCP) -> bytes:
        return struct.pack("<3I", self.chip.address << 16, 0xffff0000 | MAX_DATA, 0) + IDENTITY + VERSION

    def _info(self, _command: SCP) -> bytes:
        """A chip's summary: cmd_info, scamp-cmd.c:422."""
        chip, root, variables = self.chip, self.machine.root, self.chip.bus.read(SV_BASE, SV.SIZE)
        counts = (1 + len(chip.cores) | chip.links << 8 | chip.router_entries.largest() << 14
                  | bool(variables[SV.ETH_UP]) << 25)
        states = bytes(chip.vcpu(core, VCPU.CPU_STATE, 1) for core in range(NUM_CPUS))
        return (struct.pack("<3I", counts, chip.sdram_heap.largest(), chip.sysram_heap.largest()) + states
                + variables[SV.ETH_ADDR:SV.ETH_ADDR + 2] + variables[SV.IP_ADDR:SV.IP_ADDR + 4]
                + struct.pack("<H", chip.router.p2p_link(root.address)))

    def _count(self, command: SCP) -> bytes:
        """Count cores in a state, over all chips of this one's board: cmd_count, scamp-cmd.c:714."""
        app_id, state, _ = command.arguments
        board = self.machine.layout.ethernet_of
        here = board[self.chip.x, self.chip.y]
        return struct.pack("<I", sum(chip.count(app_id & 255, state) for xy, chip in self.machine.chips.items()
                                     if board[xy] == here))

    def _checked(self, length: int, kind: int) -> int:
        self._require(length <= MAX_DATA and kind < len(_TYPE_WIDTHS), f"length {length}, unit {kind}")
        return length - length % _TYPE_WIDTHS[kind]

    def _read(self, command: SCP) -> bytes:
        address, length, kind = command.arguments
        data = self.chip.bus.read(address, self._checked(length, kind))
        return data + bytes(length - len(data))

    def _write(self, command: SCP) -> bytes:
        address, length, kind = command.arguments
        length = self._checked(length, kind)
        self._require(length <= len(command.data), f"{len(command.data)} bytes of data for a length of {length}")
        self._store(self.chip, address, command.data[:length])
        return b""

    @staticmethod
    def _store(chip: "Chip", address: int, data: bytes) -> None:
        chip.bus.write(address, data)

    def _fill(self, command: SCP) -> bytes:
        address, word, length = command.arguments
        self._require(address % 4 == 0, f"address {address:#010x} is not that of a word")
        self.chip.bus.fill(address, word, length - length % 4)
        return b""

    def _neighbour(self, link: int) -> "Chip":
        end = self.machine.wires[self.chip.x, self.chip.y][link] if link < NUM_LINKS else None
        if end is None:
            raise Refused(Result.TIMEOUT if link < NUM_LINKS else Result.ARG, f"link {link} leads nowhere")
        return self.machine.chips[end]

    def _link_read(self, command: SCP) -> bytes:
        address, length, link = command.arguments
        self._require(length <= MAX_DATA, f"length {length}")
        return self._neighbour(link).bus.read(address, length - length % 4) + bytes(length % 4)

    def _link_write(self, command: SCP) -> bytes:
        address, length, link = command.arguments
        self._require(length <= min(MAX_DATA, len(command.data)), f"length {length}")
        self._store(self._neighbour(link), address, command.data[:length - length % 4])
        return b""

    def _alloc(self, command: SCP) -> bytes:
        """Take and give back SDRAM and routes: cmd_alloc, scamp-cmd.c:528."""
        operation, app_id, flags = (command.arguments[0] >> shift & 255 for shift in (0, 8, 16))
        a, b = command.arguments[1:]
        chip = self.chip
        if operation in (0, 3):
            chip.used(app_id)
        operations: dict[int, Callable[[], int | None]] = {
            0: lambda: chip.sdram_heap.alloc(a, app_id, b, bool(flags & 4)),        # ALLOC_TAG_RETRY, sark.h:177
            1: lambda: chip.sdram_heap.free(a),
            2: lambda: chip.sdram_heap.free_id(app_id),
            3: lambda: chip.router_entries.alloc(a, app_id),
            4: lambda: chip.router_entries.free(a, bool(b)),
            5: lambda: chip.router_entries.free_id(app_id, bool(a)),
            6: lambda: chip.sdram_heap.free_bytes | chip.sdram_heap.largest() << 32,
            7: lambda: chip.sdram_heap.tagged(app_id, a & 255)}
        self._require(operation in operations, f"operation {operation}")
        value = operations[operation]()
        if value is None:
            return b""
        return struct.pack("<Q" if operation == 6 else "<I", value)

    def _start(self, image: int, word: int) -> bytes:
        self._require(not word & 1, "the monitor core cannot be started")
        self.chip.start(image, word & (1 << NUM_CPUS) - 1, word >> 24, word >> NUM_CPUS & 63)
        return b""

    def _app_run(self, command: SCP) -> bytes:
        return self._start(SDRAM_SYSTEM, command.arguments[0])

    def _app_start(self, command: SCP) -> bytes:
        return self._start(*command.arguments[:2])

    def _app_copy_run(self, command: SCP) -> bytes:
        """Copy a program from the chip behind a link and start it: cmd_app_copy_run, scamp-cmd.c:621."""
        first, length, word = command.arguments
        self._require(length % 4 == 0 and first & 7 < NUM_LINKS, f"length {length}, link {first & 7}")
        image = self._neighbour(first & 7).bus.read(SDRAM_SYSTEM, length)
        total = sum(struct.unpack(f"<{length // 4}I", image)) & _CHECKSUM
        self._require(first >> 3 in (0, total), f"checksum {total:#x}, expected {first >> 3:#x}", Result.SUM)
        self.chip.bus.write(SDRAM_SYSTEM, image)
        return self._start(SDRAM_SYSTEM, word)

    def _signal_all(self, data: int) -> bytes:
        signal, mask, app_id = data >> 16 & 15, data >> 8 & 255, data & 255
        self._require(signal <= max(Signal), f"signal {signal}")
        for chip in self.machine.chips.values():
            chip.signal(signal, app_id, mask)
        if signal == Signal.STOP:
            self.machine.stopped()
        return b""

    def _signal(self, command: SCP) -> bytes:
        """Send a signal: cmd_sig, scamp-cmd.c:486; by multicast (0) and by nearest neighbour (2) alike."""
        kind, data, _ = command.arguments
        self._require(kind == 2 or (kind == 0 and self.chip is self.machine.root), f"signal type {kind}")
        return self._signal_all(data)

    def _nearest_neighbour(self, command: SCP) -> bytes:
        """Flood the machine: cmd_nnp, of which only the signals to applications are modelled."""
        key, data, _ = command.arguments
        self._require(key >> 24 == 0 and data >> 28 == _APP_SIGNAL, "only signals to applications are modelled",
                      Result.CMD)
        return self._signal_all(data)

    def _router(self, command: SCP) -> bytes:
        """Clear and load routes, read and set the fixed one: cmd_rtr, scamp-cmd.c:353."""
        word, a, offset = command.arguments
        operation, app_id, count = word & 255, word >> 8 & 255, word >> 16
        if operation == 0:
            self.chip.clear_router(1, TABLE_SIZE - 1)
            self.chip.router_entries.create()
        elif operation == 1:
            self._require(a + count <= TABLE_SIZE, f"entries {a} to {a + count}")
            self.chip.clear_router(a, count)
        elif operation == 2:
            self._load_routes(a, count, offset, app_id)
        elif operation == 3 and a >> 31:
            return struct.pack("<I", self.chip.router.fixed_route & 0xffffff)
        elif operation == 3:
            self.chip.router.store(self.chip.router.FR, a & 0xffffff)
        else:
            raise Refused(Result.ARG, f"operation {operation}")
        return b""

    def _load_routes(self, address: int, count: int, offset: int, app_id: int) -> None:
        """Load routes from memory: rtr_mc_load, sark_hw.c:303."""
        count = count or struct.unpack("<H", self.chip.bus.read(address + 2, 2))[0]
        self._require(count <= TABLE_SIZE, f"{count} entries")
        for index, _, route, key, mask in struct.iter_unpack("<2H3I", self.chip.bus.read(address, 16 * count)):
            self._require(index + offset < TABLE_SIZE, f"entry {index + offset}")
            self.chip.set_router(index + offset, key, mask, route & 0xffffff, app_id or route >> 24)

    def _iptag(self, command: SCP) -> bytes:
        """Set, read and clear IP tags: cmd_iptag, scamp-cmd.c:113."""
        word, place, ip = command.arguments
        operation, number, table = word >> 16 & 255, word & 255, self.machine.tags_at(self.chip.address)
        self._require(operation <= 4 and number < tags.SIZE, f"operation {operation}, tag {number}")
        if operation in (0, 1):
            return self._set_tag(word, place, ip)
        if operation == 2:
            self._require(place * 32 <= MAX_DATA, f"{place} entries")
            entries = table.table[number:number + place]
            return b"".join(entry.encode() for entry in entries).ljust(place * 32, b"\0")
        if operation == 3:
            table.clear(number)
            return b""
        return struct.pack("<I", tags.FIXED << 24 | tags.POOL << 16 | 32 << 8)

    def _set_tag(self, word: int, place: int, ip: int) -> bytes:
        flags, number, table = word >> 20 & 0x0f00, word & 255, self.machine.tags_at(self.chip.address)
        senders = self.machine.tags_at(self._message.srce_addr).table
        sender = senders[self._message.tag] if self._message.tag < tags.SIZE else tags.Tag()
        if word >> 16 & 255 == 0:                   # IPTAG_NEW: one of the pool
            number = table.transient((str(ipaddress.IPv4Address(0)), 0))
        own = flags & tags.USE_SENDER and not flags & tags.REVERSE
        address = sender.address if ip == 0 else str(ipaddress.IPv4Address(struct.pack("<I", ip)))
        self._require(ip == 0 or tags.is_loopback(address), f"tag {number} to {address}; this board sends to loopback "
                                                            "addresses only")
        port = sender.tx_port if own else place & 0xffff
        table.set(number, flags, address, port, place >> 16, word >> 8 & 255)
        return struct.pack("<I", number)
