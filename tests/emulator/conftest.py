"""Machines to try programs on, with either kind of core."""

import sys
from functools import partial
from pathlib import Path

import pytest

from spikingconvnet.emulator import native_core
from spikingconvnet.emulator.core import Core
from spikingconvnet.emulator.faulty_machine import FaultyMachine
from spikingconvnet.emulator.machine import Machine
from spikingconvnet.emulator.memory_map import SDRAM_SYSTEM

sys.path.insert(0, str(Path(__file__).parent))
# Scripts for sPyNNaker, no doctests
collect_ignore = ["stdp_network.py", "broken_network.py", "faulty_network.py", "live_network.py", "run_models.py",
                  "models"]


class Bench:
    """A SpiNN-3 on the bench: what it reports and sends is kept."""

    def __init__(self, make_core=Core, faults=None, **options):
        self.reports, self.sent = [], []
        make = Machine if faults is None else partial(FaultyMachine, faults)
        self.machine = make(3, report=self.reports.append, transmit=self.sent.append, make_core=make_core, **options)
        self.chip = self.machine.root

    def start(self, image, cores=(1,), chip=None, app_id=30):
        """Start an image on cores of a chip and let the machine run until nothing is left to do."""
        chip = chip or self.chip
        chip.bus.write(SDRAM_SYSTEM, image)
        chip.start(SDRAM_SYSTEM, sum(1 << core for core in cores), app_id, 0)
        self.machine.run()



@pytest.fixture(params=["python", "native"])
def make_core(request):
    """Both kinds of core; a CI machine has a compiler."""
    if request.param == "python":
        return Core
    assert native_core.library(), "the extension is not built: pip install -e ."
    return native_core.NativeCore


@pytest.fixture
def bench(make_core):
    """A booted machine with one kind of core."""
    return Bench(make_core)


@pytest.fixture
def plain_bench():
    """A booted machine whose cores do not matter."""
    return Bench()
