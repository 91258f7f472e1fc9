"""What cores of a SpiNNaker board do in a step, by the cycles of the timed emulated board.

``python benchmarks/board_time.py`` runs small networks on a SpiNN-3 that counts time and prints for each what the core of
the population ``out`` does in a step, and the cycles of a step, a neuron, a packet and a synapse that follow.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from instructions import firing, network
from spikingconvnet.backends import spinnaker
from spikingconvnet.emulator import Board
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive
from spikingconvnet.network.plasticity import STDPMechanism

STEPS, FIRST, LAST = 40, 14, 30             # of a run; those in which all inputs fire


def measured(made, **board):
    """Run networks one after another on one board: for each (steps of the core that takes longest, its provenance)."""
    with tempfile.TemporaryDirectory() as folder:
        path, found = Path(folder, "times.json"), []
        with Board(version=3, timed=True, times=path, **board) as emulated:
            for one in made:
                with spinnaker.open(one, target=emulated) as simulation:
                    found.append(simulation.run(simulation.source_steps))
        programs = json.loads(path.read_text())["programs"]
    return programs, found


CASES = {
    "1 neuron": lambda: network(1, 0, STEPS),
    "101 neurons": lambda: network(101, 0, STEPS),
    "1 neuron of IF_curr_delta": lambda: network(1, 0, STEPS, IFCurrDelta),
    "101 neurons of IF_curr_delta": lambda: network(101, 0, STEPS, IFCurrDelta),
    "1 neuron that adapts": lambda: network(1, 0, STEPS, IFCurrExpCa2Adaptive),
    "101 neurons that adapt": lambda: network(101, 0, STEPS, IFCurrExpCa2Adaptive),
    "1 neuron, 1 input": lambda: network(1, 1, STEPS),
    "1 neuron, 21 inputs": lambda: network(1, 21, STEPS),
    "101 neurons, 21 inputs": lambda: network(101, 21, STEPS),
    "1 neuron, 21 plastic inputs": lambda: network(1, 21, STEPS, rule=STDPMechanism()),
    "101 neurons, 21 plastic inputs": lambda: network(101, 21, STEPS, rule=STDPMechanism()),
}


def main(chosen):
    """Print a line for every case."""
    names = [name for name in CASES if not chosen or name in chosen]
    programs, _ = measured([CASES[name]() for name in names])
    neurons = [one for one in programs if one["program"].startswith("IF_")]
    for name, one in zip(names, neurons, strict=True):
        steps = one["steps"][FIRST:LAST]
        print(f"{name:32} {np.mean(steps):10,.1f} cycles a step ({min(steps):,} to {max(steps):,})", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
