"""Does the timed board keep up where ``--mode check`` says that a board would, and is it late where it says so?

    python benchmarks/board_keeps_up.py [--networks 20] [--seed 0]

Random networks of one population that inputs drive in bursts, static and plastic. For each: the load of its busiest
step that check predicts and the one that the timed board measures, at the time scale factor that check proposes; the
verdict on that run, and on one at the next smaller factor. The network is too much for that one if it is late there.
It needs sPyNNaker and unicorn, as ``pip install -e '.[test]'`` installs them.
"""

import argparse
import json
import math
import tempfile
from pathlib import Path

import numpy as np
from instructions import SILENT

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board import resources
from spikingconvnet.board.load import MARGIN
from spikingconvnet.emulator import Board
from spikingconvnet.health.verdict import judge
from spikingconvnet.network.connectivity import DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes

STEPS, AT = 30, (8, 9, 14, 19)


def random_network(rng):
    """Inputs that fire in bursts, to neurons that never do."""
    plastic = rng.random() < 0.4
    inputs, neurons = int(rng.integers(5, 60 if plastic else 120)), int(rng.integers(30, 200 if plastic else 255))
    fires = [(step, i) for step in AT for i in rng.permutation(inputs)[:int(rng.integers(inputs // 2, inputs + 1))]]
    step, neuron = np.array(fires).T
    spikes = Spikes.from_events(0 * step, neuron, step, (1, 1, inputs), 1, STEPS)
    weights = DenseConnections(np.full((inputs, neurons), 0.001))
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                    Population("out", (1, 1, neurons), IFCurrExp(v_thresh=SILENT))),
                   (Projection("p", "in", "out", weights, plasticity=STDPMechanism() if plastic else None),))


def run(network, scale, board):
    """The verdict on a run, with what was found."""
    with spinnaker.open(network, target=board, time_scale=scale) as simulation:
        simulation.run(simulation.source_steps)
        health = judge(simulation.recording().provenance)
    return health.verdict, ",".join(sorted({one.name for one in health.findings}))


def main():
    """Print a line for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, made, rows = np.random.default_rng(options.seed), [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "times.json")
        with Board(version=3, timed=True, times=path) as board:
            for _ in range(options.networks):
                network = random_network(rng)
                load, = resources.resources(network).loads
                scale = max(1, math.ceil(MARGIN * load.worst))
                row = [load.worst, scale, *run(network, scale, board)]
                rows.append(row + (list(run(network, scale - 1, board)) if scale > 1 else ["", ""]))
                made.append(network)
                print(f"{len(made):3}: {rows[-1]}", flush=True)
        programs = iter(one for one in json.loads(path.read_text())["programs"] if one["program"].startswith("IF_"))
    print("network  predicted  measured  ratio  scale: verdict, below it: verdict")
    for number, (worst, scale, verdict, found, below, wrong) in enumerate(rows, 1):
        did = next(programs)
        if scale > 1:
            next(programs)
        measured = scale * max(did["steps"][2:]) / did["period"]
        print(f"{number:7} {worst:10.3f} {measured:9.3f} {worst / measured:6.2f}  {scale}: {verdict} {found}"
              f"{f', {scale - 1}: {below} ({wrong})' if scale > 1 else ''}")


if __name__ == "__main__":
    main()
