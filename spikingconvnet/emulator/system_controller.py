"""The chip's system controller: interrupts to cores, barrier flags, locks, lamps.

Register offsets: spinnaker.h:747 of spinnaker_tools 813bfef.
"""

from collections.abc import Callable

from spikingconvnet.emulator.memory_map import NUM_CPUS
from spikingconvnet.emulator.peripherals import Device

_CORES = (1 << NUM_CPUS) - 1


class SystemController(Device):
    """Registers that all cores of a chip share.

    Locks are always free where cores are left at waits and polls alone, never between test-and-set and test-and-clear;
    they are `real` where cores take turns in the middle of their work.

    Parameters
    ----------
    interrupt : callable(cores as bits, active): raise or lower the cores' interrupt line from the system controller
    asleep : callable -> cores as bits that wait for an interrupt
    """

    name = "system controller"
    CHIP_ID, SET_IRQ, CLR_IRQ, MON_ID = 0x00, 0x08, 0x0c, 0x34
    GPIO_PORT, GPIO_DIR, GPIO_SET, GPIO_CLR = 0x40, 0x44, 0x48, 0x4c
    SET_FLAG, CLR_FLAG, SLEEP = 0x58, 0x5c, 0x64
    TAS, TAC, LOCKS, HELD = 0x100, 0x180, 32, 1 << 31       # HELD: spin1_api.c, lock_try
    CODE, CODE_MASK, CHIP_CODE = 0x5ec00000, 0xfff00000, 0x59111012     # spinnaker.h:765, 768

    def __init__(self, interrupt: Callable[[int, bool], None], asleep: Callable[[], int]) -> None:
        self._interrupt, self._asleep = interrupt, asleep
        self.flags = self.port = self.direction = 0
        self.real, self._held = False, set[int]()

    def load(self, offset: int) -> int:
        """Read a register."""
        values = {self.CHIP_ID: self.CHIP_CODE, self.MON_ID: 0, self.SET_FLAG: self.flags, self.CLR_FLAG: self.flags,
                  self.GPIO_PORT: self.port, self.GPIO_SET: self.port, self.GPIO_DIR: self.direction}
        if offset == self.SLEEP:
            return self._asleep()
        for base in (self.TAS, self.TAC):
            if 0 <= offset - base < 4 * self.LOCKS:
                return self._try(offset - base, base == self.TAS) if self.real else 0
        if offset not in values:
            raise self._unknown("read", offset)
        return values[offset]

    def _try(self, lock: int, sets: bool) -> int:
        """Take a lock or give it back; whether it was held, as a program sees it."""
        was = self.HELD if lock in self._held else 0
        (self._held.add if sets else self._held.discard)(lock)
        return was

    def free_all(self) -> None:
        """Whoever held locks is gone."""
        self._held.clear()

    def store(self, offset: int, value: int) -> None:
        """Write a register; interrupts want the magic code in the upper bits."""
        if offset in (self.SET_IRQ, self.CLR_IRQ):
            if value & self.CODE_MASK == self.CODE:
                self._interrupt(value & _CORES, offset == self.SET_IRQ)
        elif offset == self.SET_FLAG:
            self.flags |= value & _CORES
        elif offset == self.CLR_FLAG:
            self.flags &= ~value
        elif offset in (self.GPIO_PORT, self.GPIO_SET, self.GPIO_CLR):
            self.port = self.port & ~value if offset == self.GPIO_CLR else value | self.port * (offset == self.GPIO_SET)
        elif offset == self.GPIO_DIR:
            self.direction = value
        else:
            raise self._unknown("write", offset)
