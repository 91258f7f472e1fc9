"""The Ethernet chip's table of IP tags: where messages from cores go, and UDP ports whose datagrams go to cores.

Sources: scamp.h:86 to 124 and 376, cmd_iptag in scamp-cmd.c of spinnaker_tools 813bfef. Not modelled: timeouts (a
transient tag stays with its sender until the pool is used up; then the oldest goes).
"""

import ipaddress
import struct
from collections.abc import Callable
from dataclasses import dataclass

FIXED, POOL = 8, 8                                  # scamp.h:86
SIZE = FIXED + POOL
VALID, TRANSIENT, USE_SENDER, REVERSE, STRIP = 0x8000, 0x4000, 0x0400, 0x0200, 0x0100      # scamp.h:112

_ENTRY = struct.Struct("<4s6s3HI2HB7x")             # iptag_t, scamp.h:376


def is_loopback(address: str) -> bool:
    """Whether text is an address of this computer to itself, the only kind that a board listens on and sends to."""
    try:
        return ipaddress.IPv4Address(address).is_loopback
    except ipaddress.AddressValueError:
        return False


@dataclass
class Tag:
    """An entry of the table; all zero when it is free."""

    address: str = "0.0.0.0"
    tx_port: int = 0
    flags: int = 0
    count: int = 0
    rx_port: int = 0
    dest_addr: int = 0
    dest_port: int = 0

    def encode(self) -> bytes:
        """The entry as a host reads it."""
        return _ENTRY.pack(ipaddress.IPv4Address(self.address).packed, b"\0" * 6, self.tx_port, 0, self.flags,
                           self.count, self.rx_port, self.dest_addr, self.dest_port)


class Tags:
    """All tags.

    `changed` is called when UDP ports of reverse tags may have changed. `live` says how many tags hosts have set, which
    the answers to their commands do not need: data of programs leave or enter.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self.table, self.changed = [Tag() for _ in range(SIZE)], changed
        self.live = 0
        self._next = 0                              # entry of the pool to give away next

    def transient(self, sender: tuple[str, int]) -> int:
        """A tag for answers to (address, port); a sender keeps its tag."""
        for number, tag in enumerate(self.table):
            if tag.flags & TRANSIENT and (tag.address, tag.tx_port) == sender:
                return number
        number = FIXED + self._next
        self._next = (self._next + 1) % POOL
        self.table[number] = Tag(*sender, VALID | TRANSIENT)
        return number

    def set(self, number: int, flags: int, address: str, port: int, dest_addr: int, dest_port: int) -> None:
        """Make a tag of the given kind."""
        reverse = bool(flags & REVERSE)
        self.table[number] = Tag(address, 0 if reverse else port, flags & 0x0f00 | VALID, 0, port if reverse else 0,
                                 dest_addr, dest_port)
        self._set()

    def clear(self, number: int) -> None:
        """Free a tag."""
        self.table[number] = Tag()
        self._set()

    def _set(self) -> None:
        self.live = sum(bool(tag.flags & VALID) and not tag.flags & TRANSIENT for tag in self.table)
        self.changed()

    def reverse(self) -> dict[int, int]:
        """UDP port -> number of the reverse tag that listens there."""
        return {tag.rx_port: number for number, tag in enumerate(self.table[:FIXED])
                if tag.flags & VALID and tag.flags & REVERSE}
