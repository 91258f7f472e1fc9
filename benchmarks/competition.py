"""A layer whose maps inhibit each other at each place, beside the same one without: CPU time for an image, in pairs.

    python benchmarks/competition.py [MAPS ...]

The convolution of ``make demo`` with random kernels over 1,000 test digits of MNIST, in the local engine on one thread.
"""

import sys
import time
from pathlib import Path

import numpy as np

from spikingconvnet.backends.local import simulator
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import LatencyEncoder, encode
from spikingconvnet.data.filters import DifferenceOfGaussians
from spikingconvnet.model.build import competition
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray

MNIST = Path(__file__).parents[1] / "data" / "mnist"
IMAGES, SLOT, PAIRS, LATERAL = 1000, 28, 5, 0.3             # nA of the last
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=2.5, tau_syn_E=2.0, tau_syn_I=2.0,
                 tau_refrac=0.0)


def measured(spikes, maps, competes):
    """(CPU ms, spikes) for an image."""
    kernels = np.random.default_rng(0).uniform(0.0, 1.0, (maps, 2, 7, 7))
    connections = ConvConnections(kernels, spikes.shape)
    projections = [Projection("conv", "in", "maps", connections)]
    if competes:
        projections.append(Projection("lateral", "maps", "maps", competition(connections.post_shape, LATERAL)))
    network = Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                       Population("maps", connections.post_shape, CELL, per_channel=True)), tuple(projections),
                      reset_every=SLOT)
    with simulator.open(network, jobs=1) as simulation:
        began = time.process_time()
        simulation.run(IMAGES * SLOT)
        took = time.process_time() - began
        return 1000 * took / IMAGES, simulation.recording().spikes["maps"].n_events / IMAGES


def main(chosen):
    """Print a line for each number of maps: medians, and the ratio with its range."""
    images = datasets.load(MNIST, "test").images[:IMAGES]
    spikes = encode(images, DifferenceOfGaussians(), LatencyEncoder(), np.random.default_rng(0)).with_gap(SLOT)
    print("maps   alone (ms, spikes)   competing (ms, spikes)   ratio")
    for maps in map(int, chosen or (16, 20, 32, 48)):
        pairs = [(measured(spikes, maps, False), measured(spikes, maps, True)) for _ in range(PAIRS)]
        ratios = sorted(with_it[0] / without[0] for without, with_it in pairs)
        without, with_it = (np.median([pair[i] for pair in pairs], axis=0) for i in (0, 1))
        print(f"{maps:4}{without[0]:10.3f}{without[1]:10.0f}{with_it[0]:14.3f}{with_it[1]:10.0f}"
              f"{ratios[PAIRS // 2]:10.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main(sys.argv[1:])
