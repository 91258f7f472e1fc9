"""The devices of a core whose work takes time: timers that read its clock, transfers and packets that take a while."""

from typing import TYPE_CHECKING, Any

from spikingconvnet.emulator import peripherals, timing

if TYPE_CHECKING:           # which has them
    from spikingconvnet.emulator.timed_core import TimedCore

AT_ONCE = 2                                         # transfers in a DMA controller: one under way, one behind it


class TimedTimer(peripherals.Timer):
    """A timer that reads its core's clock, and lets a program's first period be as long as it says."""

    read_cost, phased = 0, True

    def __init__(self, core: "TimedCore") -> None:
        super().__init__(lambda: core.now)
        self._core = core

    def _start(self, cycles: int) -> None:
        super()._start(cycles)
        if self is self._core.timers.each[0]:       # what it did before is no part of a step
            self._core.worked = self._core.now - self._core.slept


class TimedDMA(peripherals.DMA):
    """A DMA controller whose transfers take as long as the chip's SDRAM needs for them."""

    def __init__(self, core: "TimedCore", *device: Any) -> None:
        super().__init__(*device)
        self._core, self._count, self.ends = core, 0, list[int]()

    def _finish(self, length: int) -> None:
        core = self._core
        del self.ends[AT_ONCE - 1:]                 # one takes the place of the one that waits
        begins, moving = self.ends[0] if self.ends else core.now, length // 4 * core.bank.word // timing.FRACTION
        self.ends.append(begins + timing.DMA_LATENCY + moving)
        core.bank.moved += moving

    def happen(self) -> None:
        """Transfers whose time has come are done."""
        while self.ends and self.ends[0] <= self._core.now:
            self.ends.pop(0)
            self._count, self.done = min(self._count + 1, AT_ONCE), True
            self._update()

    def _control(self, value: int) -> None:
        if value & self.UNCOMMIT:
            del self.ends[1:]
        if value & self.ABORT:
            self.ends, self._count = [], 0
        elif value & self.CLEAR_DONE:
            self._count = max(self._count - 1, 0)
        self.done = self._count > 0

    def _status(self) -> int:
        return ((self.DONE_TWICE if self._count > 1 else 0) | (self.TRANSFERRING if self.ends else 0)
                | (self.QUEUED if len(self.ends) > 1 else 0))


class TimedComms(peripherals.CommsController):
    """A communications controller that notes when packets are sent, is full at times, and behind which others wait."""

    def __init__(self, core: "TimedCore", vic: peripherals.VIC) -> None:
        super().__init__(vic)
        self._core, self.sent_at = core, list[int]()

    def load(self, offset: int) -> int:
        """Read a register; behind the packet that is taken the next one moves up."""
        value = super().load(offset)
        if offset == self.RXKEY:
            self._core.move_up()
        if offset == self.TCR and self._core.now < self._core.held:
            value &= ~(self.EMPTY | self.NOT_FULL)
        return value

    def _send(self, key: int) -> None:
        super()._send(key)
        self.sent_at.append(self._core.now)
        self._core.note_sent()
