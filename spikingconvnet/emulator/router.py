"""A chip's router: its tables and registers, where a multicast packet goes next, and the diagnostic counters.

Register offsets: spinnaker.h:576 of spinnaker_tools 813bfef; filter bits: spinn_extra.h:965 of SpiNNFrontEndCommon
a100eec. Packets are counted per route and the counters worked out when they are read.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_

from spikingconvnet.emulator.dumps import ROUTER_BLOCKED, ROUTER_DUMPED, Dumps
from spikingconvnet.emulator.memory_map import NUM_LINKS
from spikingconvnet.emulator.packets import (
    FAKE,
    FIXED,
    LINK_SHIFT,
    NEAREST,
    ONLY,
    PAYLOAD,
    POINT_TO_POINT,
    TYPE,
    Packet,
)
from spikingconvnet.emulator.peripherals import Device
from spikingconvnet.emulator.timing import waiting_time

TABLE_SIZE = 1024                                   # spinnaker.h:696
EMPTY_ROUTE, EMPTY_KEY = 0xff000000, 0xffffffff     # sark_hw.c:264
MONITOR = 1 << NUM_LINKS                            # the monitor core's bit in a route
NO_ROUTE, HERE = 6, 7                               # in the point-to-point table, spinnaker.h:719

# Packet properties as a diagnostic filter sees them
_MULTICAST, _ANY_EMERGENCY = 0x1, 0x10
_DEFAULT, _NOT_DEFAULT, _PAYLOAD, _NO_PAYLOAD, _LOCAL, _NOT_LOCAL = (1 << bit for bit in range(10, 16))
_DUMP, _TO_LOCAL, _TO_MONITOR, _TO_LINK_0 = 16, 17, 18, 19
_FILTERS = [0x01fe0000 | origin << 14 | 0x3cf0 | kind for kind in (1, 2, 4, 8) for origin in (1, 2)]
_FILTERS += [0x0001fcf0 | kind for kind in (1, 2, 4, 8)] + [0] * 4     # dgf_init, sark_hw.c:468


class Router(Device):
    """Multicast table, point-to-point table, fixed route and diagnostics of one chip.

    `changed` is called when a route may have changed; `settle` before counters or filters are read or written, so that
    packets under way can be counted first; `told` when the interrupt of packets that are dropped, or how long the
    router waits, may have.
    """

    name = "router"
    CONTROL, STATUS, DGEN, FR = 0x00, 0x04, 0x2c, 0x84
    _ERROR = range(0x08, 0x18, 4)                   # nothing is ever in error here: they read 0
    DUMP_ENABLE = 1 << 2                            # CONTROL
    FILTER, COUNTER = 0x200, 0x300
    RAM, KEY, MASK, P2P, TABLE_BYTES, P2P_BYTES = 0x4000, 0x8000, 0xc000, 0x10000, 0x1000, 0x8000

    def __init__(self, changed: Callable[[], None], settle: Callable[[], None],
                 told: Callable[[], None] = lambda: None) -> None:
        self._changed, self._settle, self._told = changed, settle, told
        self.dumps, self._now = Dumps(told), 0      # cycle of whoever reads its state, where work takes time
        self.free: Callable[[], int] = lambda: 0    # from which on no packet waits in it
        self.control, self.fixed_route = 0x00400001, 0      # enabled, wait1 = 256: sark_hw.c:509
        self.enabled, self.filters, self.counters = 0xffff, list(_FILTERS), [0] * 16
        self.p2p: dict[int, int] = {}               # words that are not "no route"
        self.routes = [EMPTY_ROUTE] * TABLE_SIZE
        self.keys, self.masks = [EMPTY_KEY] * TABLE_SIZE, [0] * TABLE_SIZE
        self._entries: list[tuple[int, int, int]] | None = None     # (key, mask, route) of the entries in use
        self._counting: dict[int, list[int]] = {}   # by what counters look at

    def set(self, index: int, key: int, mask: int, route: int) -> None:
        """Write an entry; route is 6 link bits and 18 bits of physical cores."""
        self.keys[index], self.masks[index], self.routes[index] = key, mask, route
        self._touch()

    def clear(self, first: int, count: int) -> None:
        """Empty a run of entries."""
        for index in range(first, first + count):
            self.set(index, EMPTY_KEY, 0, EMPTY_ROUTE)

    def _touch(self) -> None:
        self._entries = None
        self._changed()

    def lookup(self, key: int) -> int | None:
        """Route of the first entry that matches, or None."""
        return next((route for k, mask, route in self._in_use() if key & mask == k), None)

    def way(self, control: int, key: int, local: bool) -> int | None:
        """Route of a packet, by its control and key; None if it goes straight on. `local`: a core here sends it."""
        kind = control & TYPE
        if kind == POINT_TO_POINT:
            link = self.p2p_link(key & 0xffff)
            return self.monitor if link == HERE else 0 if link == NO_ROUTE else 1 << link
        if kind == NEAREST:
            return 1 << (control >> LINK_SHIFT & 7) if local else self.monitor
        return self.fixed_route if kind == FIXED else self.lookup(key)

    @property
    def status(self) -> int:
        """Its status register."""
        dumped = self.dumps.active and self.dumps.enabled
        return (ROUTER_BLOCKED if self._now < self.free() else 0) | (ROUTER_DUMPED if dumped else 0)

    def come(self, now: int) -> None:
        """The clock of a core that looks at the registers has come to a cycle."""
        self._now = now
        self.dumps.come(now)

    @property
    def monitor(self) -> int:
        """Route to the core that takes the packets for monitors: bits 8 to 12 of the control register."""
        return 1 << NUM_LINKS + (self.control >> 8 & 31)

    def _in_use(self) -> list[tuple[int, int, int]]:
        if self._entries is None:
            self._entries = [(k, m, r & 0xffffff) for k, m, r in zip(self.keys, self.masks, self.routes)
                             if k & ~m == 0]        # a key bit outside the mask can never match
        return self._entries

    def key_bits(self) -> int:
        """Bits of keys that any entry looks at: keys with the same ones have the same route."""
        return reduce(or_, (mask for _, mask, _ in self._in_use()), 0)

    def set_p2p(self, address: int, link: int) -> None:
        """Way to the chip at a point-to-point address: a link, 6 for none, 7 for this chip."""
        word, shift = address >> 3, 3 * (address & 7)
        self.p2p[word] = self._p2p_word(word) & ~(7 << shift) | link << shift

    def p2p_link(self, address: int) -> int:
        """Way to the chip at a point-to-point address."""
        return self._p2p_word(address >> 3) >> 3 * (address & 7) & 7

    def _p2p_word(self, word: int) -> int:
        return self.p2p.get(word, 0x00db6db6)       # spinnaker.h:719

    def counting(self, control: int = 0, *, local: bool, default: bool, route: int | None) -> list[int]:
        """Counters that a packet increments here, by its control. `route`: where it goes, None if it is dumped."""
        bits = _MULTICAST << (control >> 22 & 3) | (_PAYLOAD if control & PAYLOAD else _NO_PAYLOAD)
        bits |= _LOCAL if local else _NOT_LOCAL
        bits |= _DEFAULT if default else _NOT_DEFAULT
        if route is None:
            bits |= 1 << _DUMP
        else:
            bits |= (route & 0x3f) << _TO_LINK_0 | bool(route & MONITOR) << _TO_MONITOR
            bits |= bool(route >> NUM_LINKS + 1) << _TO_LOCAL
        if bits not in self._counting:
            self._counting[bits] = [i for i, wanted in enumerate(self.filters)
                                    if self.enabled >> i & 1 and self._matches(bits, wanted)]
        return self._counting[bits]

    def _count_anew(self) -> None:
        self._counting = {}
        self._changed()

    @staticmethod
    def _matches(bits: int, wanted: int) -> bool:
        groups = (0xf, _DEFAULT | _NOT_DEFAULT, _PAYLOAD | _NO_PAYLOAD, _LOCAL | _NOT_LOCAL, 0x1ff << _DUMP)
        return bool(wanted & _ANY_EMERGENCY) and all(bits & wanted & group for group in groups)

    def count(self, counters: Sequence[int], packets: int) -> None:
        """Add a number of packets to counters."""
        for i in counters:
            self.counters[i] = self.counters[i] + packets & 0xffffffff

    def drop_copy(self, packet: Packet, core: int, physical: int, at: int) -> None:
        """A core has not taken a packet for so long that it was dropped at a cycle; copies for others were not."""
        control, key, data = packet
        self.count(self.counting(control, local=not control & FAKE, default=False, route=None), 1)
        self.dumps.add((control & ~ONLY | core, key, data), 1 << NUM_LINKS + physical, at, waiting_time(self.control))

    def _table(self, offset: int) -> tuple[list[int] | None, int]:
        for base, table in ((self.RAM, self.routes), (self.KEY, self.keys), (self.MASK, self.masks)):
            if base <= offset < base + self.TABLE_BYTES:
                return table, offset - base >> 2
        return None, 0

    def load(self, offset: int) -> int:
        """Read a register or a table."""
        table, index = self._table(offset)
        if table is not None:
            return table[index]
        if self.P2P <= offset < self.P2P + self.P2P_BYTES:
            return self._p2p_word(offset - self.P2P >> 2)
        if 0 <= offset - self.FILTER < 64:
            return self.filters[offset - self.FILTER >> 2]
        if 0 <= offset - self.COUNTER < 64:
            self._settle()
            return self.counters[offset - self.COUNTER >> 2]
        if offset in Dumps.REGISTERS:
            return self.dumps.load(offset)
        if offset in self._ERROR:
            return 0
        values = {self.CONTROL: self.control, self.STATUS: self.status, self.DGEN: self.enabled,
                  self.FR: self.fixed_route}
        if offset not in values:
            raise self._unknown("read", offset)
        return values[offset]

    def store(self, offset: int, value: int) -> None:
        """Write a register or a table."""
        table, index = self._table(offset)
        if table is not None:
            table[index] = value
            self._touch()
        elif self.P2P <= offset < self.P2P + self.P2P_BYTES:
            self.p2p[offset - self.P2P >> 2] = value
            self._changed()
        elif 0 <= offset - self.FILTER < 64:
            self._settle()
            self.filters[offset - self.FILTER >> 2] = value
            self._count_anew()
        elif offset == self.DGEN:
            self._settle()
            self.enabled = value & 0xffff
            self.counters = [0 if value >> 16 + i & 1 else count for i, count in enumerate(self.counters)]
            self._count_anew()
        elif offset == self.CONTROL:
            moved, self.control = (self.control ^ value) >> 8 & 31, value
            self.dumps.enable(bool(value & self.DUMP_ENABLE))
            self._told()
            if moved:                               # the packets for monitors go to another core
                self._changed()
        elif offset == self.FR:
            self.fixed_route = value & 0xffffff
            self._changed()
        else:
            raise self._unknown("write", offset)
