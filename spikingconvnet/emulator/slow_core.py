"""A core that takes its time: so many instructions per second while its timer ticks, and interrupts between any two.

It runs in slices of a few instructions; after each the machine's clock has to move on before it is ready again. Timers
that expire and packets that arrive meanwhile interrupt the program at the end of the slice, wherever it is, unless it
has masked them: so the program itself finds that it is late. In Python only, since nobody needs it to be fast.

Not modelled: cycles of instructions and waiting for memory; a slice that ends early, at a wait, counts as a whole.
"""

import struct
from typing import Any

from spikingconvnet.emulator.core import WAIT, WAIT_MASK, Core, Rest
from spikingconvnet.emulator.cpu import CPU, CPUs
from spikingconvnet.emulator.memory_map import CPU_CLOCK_MHZ

_SLICE = 10                                         # us that a slice takes, if that is a number of instructions
_FEWEST, _MOST = 10, 100                            # instructions in a slice
_MANY = 1 << 60                                     # always counting: Unicorn counts only in code translated for it


class SlowCore(Core):
    """A `Core` that executes so many instructions per second, and no more.

    Parameters
    ----------
    speed : million instructions per second
    number, core : the parameters of `Core`, its CPUs among them, which it does not share
    """

    def __init__(self, speed: float, number: int, _cpus: CPUs, *core: Any) -> None:
        super().__init__(number, CPUs(CPU), *core)      # its own: code that others have translated is not counted
        self._slice = min(max(round(speed * _SLICE), _FEWEST), _MOST)
        self._duration = max(round(self._slice / speed * CPU_CLOCK_MHZ), 1)     # cycles
        self.busy_until, self._reached = 0, False

    def start(self, image: int, app_id: int, flags: int) -> None:
        """See `Core.start`."""
        super().start(image, app_id, flags)
        self.busy_until, self._instructions = 0, _MANY
        for index, (word,) in enumerate(struct.iter_unpack("<I", self.itcm.bytes)):
            if word & WAIT_MASK == WAIT:
                self._cpu.watch(4 * index, self._note_wait)

    def _note_wait(self, *_: object) -> None:
        self._reached = True

    def _at_wait(self) -> bool:
        """Whether the CPU stopped because it waits, and not because the slice ended right behind a wait."""
        return self._reached and super()._at_wait()

    def _has_written(self) -> None:
        super()._has_written()
        if self._ticking and self._instructions == _MANY:           # the timer has just been started: slices from here
            self._halted = True
            self._cpu.stop()

    @property
    def _ticking(self) -> bool:
        return self.timers.each[0].deadline is not None

    @property
    def ready(self) -> bool:
        """Whether `run` would do something now."""
        if self.ended or self._clock() < self.busy_until:
            return False
        return self.rest is Rest.BUSY or super().ready

    def run(self) -> None:
        """Run a slice, or, while the timer does not tick, like any other core."""
        self._reached = False
        if self._ticking:
            with self._cpu.turn_of(self):
                self._run_slice()
            return
        self._instructions = _MANY
        if self.rest is Rest.BUSY:
            self.rest = Rest.READY
        super().run()

    def _run_slice(self) -> None:
        """Take what has arrived and run one slice; see the module."""
        if self.inbox and not self.comms.received:
            self.comms.receive(self.inbox.pop(0))
        vector = self._wanted()
        if vector is not None:
            self._take_interrupt(vector)
        elif self.rest is Rest.WFI or (self.rest is Rest.POLL and not self._polled_out()):
            self._refuse()
            return
        self.rest, self._instructions = Rest.READY, self._slice
        self.busy_until = self._clock() + self._duration
        self._emulate()
        if self.rest is Rest.READY:
            self.rest = Rest.BUSY

    def pause(self) -> None:
        """Nothing to do: a slice ends soon."""
