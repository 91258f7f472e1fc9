"""What a router tells of the packets that it drops: its dump registers and their interrupt.

The first packet that is dropped stays in the registers until a program reads their status; those that are dropped
meanwhile leave only their destinations there, and the bit that says so. Registers: spinn_extra.h:942 of
SpiNNFrontEndCommon a100eec, whose re-injector (extra_monitor_support.c:769) is the program that reads them.

A router stands still for as long as it waits before it drops a packet. So it tells of packets in time that far apart,
also of those that become known late; who hears of one late has until the next one as much time as the router had. Where
work takes no time it tells of one behind the other, as they are asked for.
"""

from collections import deque
from collections.abc import Callable
from typing import TypeAlias

from spikingconvnet.emulator.packets import BYTE, FAKE, ONLY, Packet

Told: TypeAlias = tuple[int, int, int, int, int]    # control, key, payload, destinations; cycle

# The router's state: a packet waits in it; its interrupt is active for one that it has dropped (spinn_extra.h:744)
ROUTER_BLOCKED, ROUTER_DUMPED = 0x02000000, 0xa0000000
MOST = 4096                                         # of which nobody has been told; the re-injector keeps as many


class Dumps:
    """The dump registers of a router.

    Parameters
    ----------
    changed : callable(): `due` is another one, perhaps
    """

    HEADER, KEY, DATA, OUTPUTS, STATUS = range(0x18, 0x2c, 4)
    REGISTERS = range(0x18, 0x2c, 4)
    DUMPED, OVERFLOW = 1 << 31, 1 << 30             # of STATUS

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed, self.enabled = changed, False        # the interrupt
        self.registers = 0, 0, 0, 0, 0
        self.waiting: deque[Told] = deque()
        self.latest = self.late = 0                 # when the last one was dropped; how late one is told
        self.owed: list[Packet] = []                # copies that a single core has not taken, with its number in ONLY

    @property
    def due(self) -> int | None:
        """Cycle from which on the interrupt is active, 0 if it is; None if it is not, as far as is known."""
        if not self.enabled or not (self.active or self.waiting):
            return None
        return 0 if self.active else self._next_at()

    @property
    def active(self) -> bool:
        """Whether the registers hold a packet."""
        return bool(self.registers[-1] & self.DUMPED)

    def enable(self, enabled: bool) -> None:
        """Let packets that are dropped interrupt the cores which want that, or not."""
        self.enabled = enabled
        while self.waiting and not enabled:
            self._take(self.waiting.popleft())

    def add(self, packet: Packet, outputs: int, at: int = 0, apart: int = 0) -> None:
        """A packet has been dropped.

        Parameters
        ----------
        packet : as it came to the router, with the link by which it came in FAKE; or its copy for the core in ONLY
        outputs : 6 bits of links and 18 of physical cores that did not take it
        at, apart : cycle at which, and least cycles after the one before; 0 where work takes no time
        """
        control, key, data = packet
        told = control & (BYTE | FAKE), key, data, outputs, max(at, self.latest + apart)
        if not self.enabled or len(self.waiting) == MOST:
            self._take(told)
            return
        self.latest = told[4]
        self.waiting.append(told)
        if control & ONLY:
            self.owed.append(packet)
            del self.owed[:-2 * MOST]
        if not at:
            self._next()
        self._changed()

    def _next_at(self) -> int:
        return self.waiting[0][4] + self.late

    def come(self, now: int) -> None:
        """The clock of whoever reads the registers has come to a cycle."""
        while self.waiting and self._next_at() <= now:
            if not self.active:
                self.late = now - self.waiting[0][4]
            self._take(self.waiting.popleft())
        if not self.waiting:
            self.late = 0

    def _next(self) -> None:
        """Where work takes no time: tell of the next one if nothing is told."""
        if self.waiting and not (self.active or self.waiting[0][4]):
            self._take(self.waiting.popleft())

    def _take(self, told: Told) -> None:
        control, key, data, outputs, _ = told
        if self.active:
            self._set_status(self.registers[-1] | self.OVERFLOW | outputs)
        else:
            self.registers = control ^ FAKE, key, data, outputs, self.registers[-1] | self.DUMPED | outputs

    def _set_status(self, status: int) -> None:
        self.registers = *self.registers[:4], status

    def load(self, offset: int) -> int:
        """Read a register; reading STATUS clears it, and the next packet can be told of."""
        value = self.registers[offset - self.HEADER >> 2]
        if offset == self.STATUS:
            self._set_status(0)
            self._next()
            self._changed()
        return value

    def narrowed(self, packet: Packet) -> Packet:
        """A packet that a re-injector sends; if only one core has not taken it, with that one's number in ONLY."""
        for index, (control, *rest) in enumerate(self.owed):
            if (control & ~ONLY, *rest) == packet:
                return self.owed.pop(index)
        return packet
