"""Machines to try programs on."""

from functools import partial

from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.faulty_machine import FaultyMachine, TimedFaultyMachine
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM
from spikingconvnet.emulator.native_machine import machine_of
from spikingconvnet.emulator.timed_machine import TimedMachine


class Bench:
    """A SpiNN-3 on the bench: what it reports and sends is kept. Without `loop` its clock is in Python."""

    def __init__(self, make_core=Core, faults=None, timed=False, loop=True, **options):
        self.reports, self.sent = [], []
        plain = machine_of(make_core) if loop else Machine
        kinds = (TimedMachine, TimedFaultyMachine) if timed else (plain, FaultyMachine)
        make = kinds[0] if faults is None else partial(kinds[1], faults)
        self.machine = make(3, report=self.reports.append, transmit=self.sent.append, make_core=make_core, **options)
        self.chip = self.machine.root

    def start(self, image, cores=(1,), chip=None, app_id=30):
        """Start an image on cores of a chip and let the machine run until nothing is left to do."""
        chip = chip or self.chip
        chip.bus.write(SDRAM_SYSTEM, image)
        chip.start(SDRAM_SYSTEM, sum(1 << core for core in cores), app_id, 0)
        self.machine.run()

    def sending(self, image):
        """(chip, packets) of each turn in which a program on core 1 sends any; none of them arrives."""
        self.chip.bus.write(SDRAM_SYSTEM, image)
        self.chip.start(SDRAM_SYSTEM, 1 << 1, 30, 0)
        sent = []
        while not self.machine.at_rest:
            one_thing(self.machine)
            sent += self.machine._packets
            self.machine._packets = []
        return sent


def one_thing(machine):
    """Let a machine of any kind do the least there is to do."""
    machine.step(*[0] * (machine.step.__func__.__defaults__ is not None))
