"""One convolution deployed on NEST: this package against a script in PyNN by hand, in user CPU seconds.

    python benchmarks/deploy.py [--rounds 3] [--maps 4 16] [--strides 1 2]

28x28 inputs, K maps of 5x5, 200 MNIST digits of 50 ms, one thread, ``on_grid``, spikes of all maps read back. Both
sides get the same spikes and kernels. By hand the connections are the list of tuples that PyNN's documentation shows,
or an array of the same rows (`array`). The sides take turns, each in a process of its own; the median is printed.

=========  ===================================================================================
list       ``ConvConnections.to_list`` alone, made once more for this column
build      ``setup`` and the populations
connect    ours: the list and the connections; by hand: a ``FromListConnector`` of a list that is there already
run        the run and reading the spikes
=========  ===================================================================================
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import LatencyEncoder, encode
from spikingconvnet.data.filters import Intensity
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray

MNIST = Path(__file__).resolve().parent.parent / "data/mnist"
SLOT, DIGITS = 50, 200
CELL = IFCurrExp(tau_m=10.0, cm=1.0, v_rest=0.0, v_reset=0.0, v_thresh=4.0, tau_syn_E=2.0, tau_syn_I=2.0,
                 tau_refrac=0.0, v=0.0)
SIDES = ("ours", "tuples", "array")


def layer(maps, stride):
    """Spikes of the digits, and the convolution."""
    rng = np.random.default_rng(0)
    images = datasets.load(MNIST, "test").images[:DIGITS]
    spikes = encode(images, Intensity(), LatencyEncoder(), rng).with_gap(SLOT)
    return spikes, ConvConnections(rng.normal(0.3, 0.5, (maps, 1, 5, 5)), spikes.shape, (stride, stride))


class Clock:
    """User CPU seconds of the process, between two looks."""

    def __init__(self):
        self.last, self.seen = self._now(), {}

    @staticmethod
    def _now():
        return resource.getrusage(resource.RUSAGE_SELF).ru_utime

    def look(self, name):
        """Keep the time since the last look under a name."""
        now = self._now()
        self.seen[name], self.last = now - self.last, now


def ours(spikes, connections):
    """Through the nest backend; the parts of ``open`` are timed from inside."""
    from spikingconvnet.backends.pynn import nest
    from spikingconvnet.backends.pynn import simulator as pynn

    nest.load()
    network = Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                       Population("maps", connections.post_shape, CELL, per_channel=True)),
                      (Projection("conv", "in", "maps", connections),))
    project, clock = pynn.Simulation._project, Clock()

    def timed(self, projection):
        clock.look("build")
        projection.connections.to_list()
        clock.look("list")
        made = project(self, projection)
        clock.look("connect")
        return made

    pynn.Simulation._project = timed
    with nest.open(network) as simulation:
        simulation.run(DIGITS * SLOT)
        found = simulation.recording().spikes["maps"].n_events
    clock.look("run")
    return clock.seen, found


def by_hand(spikes, connections, as_array):
    """The same in PyNN."""
    from spikingconvnet.backends.pynn import nest

    sim = nest.load()
    listed = connections.to_list()
    rows = np.column_stack([listed.pre, listed.post, listed.weight, listed.delay])
    parts = [rows[listed.weight >= 0], rows[listed.weight < 0]]
    if not as_array:
        parts = [[(int(i), int(j), w, d) for i, j, w, d in part.tolist()] for part in parts]
    times = [[t + 2.0 for t in train] for train in spikes.to_lists()]
    clock = Clock()
    sim.setup(timestep=1.0, min_delay=1.0, spike_precision="on_grid", threads=1)
    source = sim.Population(spikes.size, sim.SpikeSourceArray(spike_times=times))
    values = {name: value for name, value in vars(CELL).items() if name != "v"}
    maps = sim.Population(int(np.prod(connections.post_shape)), sim.IF_curr_exp(**values))
    maps.initialize(v=CELL.v)
    maps.record("spikes")
    clock.look("build")
    for part, receptor in zip(parts, ("excitatory", "inhibitory")):
        sim.Projection(source, maps, sim.FromListConnector(part, column_names=["weight", "delay"]),
                       sim.StaticSynapse(), receptor_type=receptor)
    clock.look("connect")
    sim.run(DIGITS * SLOT + 2.0)
    found = sum(len(train) for train in maps.get_data("spikes").segments[0].spiketrains)
    clock.look("run")
    return clock.seen, found


def measure(side, maps, stride):
    """Seconds by part, output spikes and connections of one side."""
    spikes, connections = layer(maps, stride)
    seen, found = ours(spikes, connections) if side == "ours" else by_hand(spikes, connections, side == "array")
    return {**seen, "spikes": found, "connections": len(connections.to_list().pre)}


def main():
    """Print one line for each side and layer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--maps", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--strides", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        side, maps, stride = options.one
        print(json.dumps(measure(side, int(maps), int(stride))))
        return
    print("maps stride side    connections  list  build connect    run  total  output spikes")
    for maps in options.maps:
        for stride in options.strides:
            runs = {side: [] for side in SIDES}
            for _ in range(options.rounds):
                for side in SIDES:
                    done = subprocess.run([sys.executable, __file__, "--one", side, str(maps), str(stride)],
                                          capture_output=True, text=True, check=True)
                    runs[side].append(json.loads(done.stdout.splitlines()[-1]))
            for side, found in runs.items():
                listing, build, connect, run = (statistics.median(f.get(name, 0.0) for f in found)
                                                for name in ("list", "build", "connect", "run"))
                print(f"{maps:4} {stride:6} {side:8} {found[0]['connections']:10,} {listing:5.2f} {build:6.2f}"
                      f" {connect:7.2f} {run:6.2f} {build + connect + run:6.2f} {found[0]['spikes']:14,}", flush=True)


if __name__ == "__main__":
    main()
