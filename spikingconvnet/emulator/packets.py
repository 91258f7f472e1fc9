"""SDP messages and the SCP commands inside them, as bytes (`sdp_msg_t`, sark.h:574 of spinnaker_tools 813bfef)."""

import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeAlias

SCP_PORT, BOOT_PORT = 17893, 54321                  # SpiNNMan constants.py:25, 28
UDP_PADDING = b"\0\0"                               # before the SDP header in a UDP datagram; scamp-3.c:473
PORT_ETHERNET = 0xff                                # sark.h:559
REPLY_EXPECTED = 0x80                               # SDPF_REPLY, scamp.h:129
TAG_NONE = 0xff                                     # sark.h:152
ROOT = 0xffff                                       # an address that means the root chip, scamp-3.c:833
MAX_PAYLOAD = 16 + 256                              # after the SDP header; sark.h:561

Packet: TypeAlias = tuple[int, int, int]            # control, key, payload: one between cores
PAYLOAD, TYPE = 0x00020000, 0x00c00000              # of its control: it has a payload, its type; spinnaker.h:1046, 1052
POINT_TO_POINT, NEAREST, FIXED = 0x00400000, 0x00800000, 0x00c00000     # types; 0: multicast
DIRECT, LINK = 0x00200000, 0x001c0000               # of a nearest-neighbour packet: to a router itself; its link
LINK_SHIFT = 18
BYTE = 0x00ff0000                                   # of a control: what is sent along with the packet
# The link by which a packet seems to have come to the router of the core that sends it: 7 less its number, 0 for none.
# It stands where headers and source addresses have the number; spinn_extra.h:582, 804.
FAKE, FAKE_SHIFT = 0x07000000, 24
ONLY = 0x0000001f                                   # number of the one core of that chip that gets it; 0: by the routes

_HEADER, _COMMAND, _ARGUMENTS = struct.Struct("<4B2H"), struct.Struct("<2H"), struct.Struct("<3I")


def seen_bits(control: int, multicast: int) -> int:
    """Bits of the key of a packet that routers look at; `multicast`: those that their multicast tables look at."""
    kind = control & TYPE
    return multicast if kind == 0 else 0xffff if kind == POINT_TO_POINT else 0


class Command(IntEnum):
    """SCP command codes (`sark_scp_command_codes`, sark.h:430)."""

    VER, RUN, READ, WRITE, APLX, FILL = range(6)
    (COUNT, REMAP, LINK_READ, LINK_WRITE, AR, NNP, APP_COPY_RUN, SIG, FFD, AS, LED, IPTAG, SROM, ALLOC, RTR, RSVD,
     INFO, SYNC) = range(15, 33)
    TUBE = 64


class Result(IntEnum):
    """SCP return codes (`sark_scp_return_codes`, sark.h:467)."""

    OK, LEN, SUM, CMD, ARG, PORT, TIMEOUT, ROUTE, CPU, DEAD, BUF = range(0x80, 0x8b)


def name(code: int) -> str:
    """Name of a command code for a message."""
    return Command(code).name if code in Command._value2member_map_ else f"{code:#x}"


@dataclass(frozen=True)
class SDP:
    """A message between a host, monitors and cores. Ports are (port << 5) | core, addresses (x << 8) | y."""

    flags: int
    tag: int
    dest_port: int
    srce_port: int
    dest_addr: int
    srce_addr: int
    payload: bytes

    @classmethod
    def decode(cls, data: bytes) -> "SDP | None":
        """The message in bytes that begin with an SDP header, or None if it is too short or too long for one."""
        if not _HEADER.size <= len(data) <= _HEADER.size + MAX_PAYLOAD:
            return None
        fields: tuple[int, int, int, int, int, int] = _HEADER.unpack_from(data)
        return cls(*fields, bytes(data[_HEADER.size:]))

    def encode(self) -> bytes:
        """Its bytes, beginning with the SDP header."""
        return _HEADER.pack(self.flags, self.tag, self.dest_port, self.srce_port,
                            self.dest_addr, self.srce_addr) + self.payload

    @property
    def core(self) -> int:
        """Core that it goes to."""
        return self.dest_port & 31

    @property
    def port(self) -> int:
        """Port of that core."""
        return self.dest_port >> 5

    def reply(self, payload: bytes) -> "SDP":
        """The answer to it (`swap_sdp_hdr`, scamp-3.c:764)."""
        return replace(self, flags=self.flags & ~REPLY_EXPECTED, dest_port=self.srce_port, srce_port=self.dest_port,
                       dest_addr=self.srce_addr, srce_addr=self.dest_addr, payload=payload)


@dataclass(frozen=True)
class SCP:
    """A command: code, sequence number, three arguments and data."""

    code: int
    sequence: int
    arguments: tuple[int, int, int]
    data: bytes

    @classmethod
    def decode(cls, payload: bytes) -> "SCP | None":
        """The command in an SDP payload, or None if the arguments are not all there (24 bytes: scamp-cmd.c:787)."""
        if len(payload) < _COMMAND.size + _ARGUMENTS.size:
            return None
        code, sequence = _COMMAND.unpack_from(payload)
        a, b, c = _ARGUMENTS.unpack_from(payload, _COMMAND.size)
        return cls(code, sequence, (a, b, c), payload[_COMMAND.size + _ARGUMENTS.size:])


def answer(payload: bytes, result: int, data: bytes = b"") -> bytes:
    """Payload of the answer to the command in `payload`: return code, its sequence number, data."""
    sequence = struct.unpack_from("<H", payload, 2)[0] if len(payload) >= 4 else 0
    return _COMMAND.pack(result, sequence) + data
