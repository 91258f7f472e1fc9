"""A network that needs three boards, on the emulated machine of 144 chips and on the local engine.

    python benchmarks/three_boards.py [--cores 2400]

Populations of 100 cores with 4 neurons each, in a ring: every neuron hears ten of the population before, drawn at
random, and all of the first hear sources. So a volley runs around the machine, over every edge. Prints how many cores,
chips and boards the network took, its spikes and whether they are those of the local engine, and what the board's
process took.
"""

import argparse
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from board_networks import CELL, volley

from spikingconvnet import backends
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.emulator import Board
from spikingconvnet.network.connectivity import ConnectionList
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourceArray

REFRACTORY = replace(CELL, tau_refrac=20.0)           # a volley each, no storm
CORES, NEURONS, HEARS, STEPS = 100, 4, 10, 60


def ring(cores):
    """The network, with so many cores for neurons."""
    rng = np.random.default_rng(0)
    size, names = CORES * NEURONS, [f"p{number}" for number in range(cores // CORES)]
    spikes = volley((1, 1, size), rng)

    def drawn(label, pre, post, weight):
        made = np.concatenate([rng.choice(size, HEARS, replace=False) for _ in range(size)])
        met = np.repeat(np.arange(size), HEARS)
        return Projection(label, pre, post, ConnectionList(made, met, np.full(len(made), weight),
                                                           rng.integers(1, 4, len(made))))
    populations = [Population("in", spikes.shape, SpikeSourceArray(spikes))]
    populations += [Population(name, (1, 1, size), REFRACTORY, neurons_per_core=NEURONS) for name in names]
    projections = [drawn("start", "in", names[0], 12.0)]
    projections += [drawn(f"{pre} {post}", pre, post, 8.0) for pre, post in zip(names, names[1:] + names[:1])]
    return Network(tuple(populations), tuple(projections))


def taken(process):
    """CPU seconds and MB of a process."""
    times = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{process}/status").read_text()
    resident = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return sum(map(int, times[11:13])) / os.sysconf("SC_CLK_TCK"), int(resident) / 1024


def places():
    """Chips and boards that the network's cores are on, and how many there are."""
    from spynnaker.pyNN.data import SpynnakerDataView as view

    found = {(one.x, one.y, one.p) for one in view.iterate_placemements()}
    machine = view.get_machine()
    boards = {(machine[x, y].nearest_ethernet_x, machine[x, y].nearest_ethernet_y) for x, y, _ in found}
    return len(found), len({place[:2] for place in found}), len(boards)


def main(arguments=None):
    """Run it on both; 1 if the spikes differ."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cores", type=int, default=2400, help="for neurons, in hundreds (default: %(default)s)")
    options = parser.parse_args(arguments)
    network, began = ring(options.cores), time.process_time()
    local = backends.run(network, STEPS)
    with Board(boards=3, real_time=False) as board:
        with spinnaker.open(network, target=board) as simulation:
            simulation.run(STEPS)
            recording = simulation.recording()
            cores, chips, boards = places()
        seconds, megabytes = taken(board.process_id)
    fired = {label: spikes for label, spikes in local.spikes.items() if not network.population(label).is_source}
    differ = [label for label, spikes in fired.items()
              if (recording.spikes[label].neurons.tolist(), recording.spikes[label].offsets.tolist())
              != (spikes.neurons.tolist(), spikes.offsets.tolist())]
    counts = [spikes.n_events for spikes in fired.values()]
    print(f"{cores} cores on {chips} chips of {boards} boards, {sum(counts)} spikes, {min(counts)} in a population at "
          f"least; those of the local engine: {'no, ' + ' '.join(differ) if differ else 'yes'}\n"
          f"board: {seconds:.0f} s of CPU, {megabytes:.0f} MB; sPyNNaker: {time.process_time() - began:.0f} s of CPU")
    return bool(differ)


if __name__ == "__main__":
    sys.exit(main())
