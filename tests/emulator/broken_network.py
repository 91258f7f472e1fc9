"""A PyNN script whose neurons run a damaged binary: a part of IF_curr_exp's code is made of undefined instructions.

Argument: the file that the damaged binary is written to.
"""

import sys
from pathlib import Path

import pyNN.spiNNaker as sim
from spinn_utilities.executable_finder import ExecutableFinder


def main(place):
    """Let sPyNNaker find the damaged binary instead of its own, and run."""
    find = ExecutableFinder.get_executable_path

    def find_damaged(finder, name):
        if name != "IF_curr_exp.aplx":
            return find(finder, name)
        data = bytearray(Path(find(finder, name)).read_bytes())
        data[0x5040:0x5440] = b"\x00\xde" * 0x200           # udf #0 (Thumb), in the middle of the code
        place.write_bytes(data)
        return str(place)

    ExecutableFinder.get_executable_path = find_damaged
    sim.setup(timestep=1.0)
    sim.Population(10, sim.IF_curr_exp())
    sim.run(10)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
