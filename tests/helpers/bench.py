"""Machines to try programs on."""

from functools import partial

from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.faulty_machine import FaultyMachine
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM
from spikingconvnet.emulator.timed_machine import TimedMachine


class Bench:
    """A SpiNN-3 on the bench: what it reports and sends is kept."""

    def __init__(self, make_core=Core, faults=None, timed=False, **options):
        self.reports, self.sent = [], []
        make = TimedMachine if timed else Machine if faults is None else partial(FaultyMachine, faults)
        self.machine = make(3, report=self.reports.append, transmit=self.sent.append, make_core=make_core, **options)
        self.chip = self.machine.root

    def start(self, image, cores=(1,), chip=None, app_id=30):
        """Start an image on cores of a chip and let the machine run until nothing is left to do."""
        chip = chip or self.chip
        chip.bus.write(SDRAM_SYSTEM, image)
        chip.start(SDRAM_SYSTEM, sum(1 << core for core in cores), app_id, 0)
        self.machine.run()
