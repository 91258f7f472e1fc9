"""Bytes through sPyNNaker's data speed-up on the emulated board, into a chip's memory and back: identical?

    python -m spikingconvnet.emulator benchmarks/data_speed_up.py [--megabytes 50]

It needs sPyNNaker, as ``pip install -e '.[test]'`` installs it.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pyNN.spiNNaker as sim
from spinn_front_end_common.data import FecDataView

CHIP = 3, 3                                         # on which nothing of the network is


def through(size):
    """Seconds to write and to read so many bytes; whether they come back as they were."""
    data = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8).tobytes()
    address = FecDataView.get_transceiver().malloc_sdram(*CHIP, size, FecDataView.get_app_id())
    gatherer, monitor = FecDataView.get_gatherer_by_xy(0, 0), FecDataView.get_monitor_by_xy(*CHIP)
    gatherer.load_system_routing_tables()
    gatherer.set_cores_for_data_streaming()
    began = time.monotonic()
    gatherer.send_data_into_spinnaker(*CHIP, address, data)
    written = time.monotonic()
    back = gatherer.get_data(monitor, FecDataView.get_placement_of_vertex(monitor), address, size)
    read = time.monotonic()
    gatherer.unset_cores_for_data_streaming()
    gatherer.load_application_routing_tables()
    return written - began, read - written, bytes(back) == data


def main():
    """Print how long it took, and whether it is right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=50)
    size = int(parser.parse_args().megabytes * 1e6) // 4 * 4
    os.chdir(tempfile.mkdtemp(prefix="data-speed-up-"))         # sPyNNaker writes there to the very end
    Path("spynnaker.cfg").write_text("[Machine]\nenable_advanced_monitor_support = True\n")
    sim.setup(1.0)
    cells = sim.Population(20, sim.IF_curr_exp(i_offset=2.0))
    cells.record("spikes")
    sim.run(20)
    written, read, same = through(size)
    sim.end()
    print(f"{size:,} bytes: written in {written:.1f} s, read in {read:.1f} s, {'identical' if same else 'DIFFERENT'}")
    return 0 if same else 1


if __name__ == "__main__":
    raise SystemExit(main())
