"""Instructions that sPyNNaker's binaries execute in a step, counted on the emulated board; about 5 minutes.

    python benchmarks/instructions.py

A core's instructions are those of a run of 160 steps less those of one of 60, over 100: nobody fires but the inputs,
which do so in every step. The costs in ``board/resources.py`` follow from the differences between the lines:
(32 neurons - 1 neuron) / 31 is a neuron, (32 neurons, 8 inputs - 1 input) / 7 a spike and 32 synapses, and so on.

It needs sPyNNaker and unicorn, as ``pip install -e '.[test]'`` installs them, and a machine that is not busy: sPyNNaker
gives cores a few seconds to start.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.emulator import cli, core, cpu
from spikingconvnet.emulator.board import configuration
from spikingconvnet.network.connectivity import ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes

SHORT, LONG = 60, 160
SILENT = 60_000.0           # mV, a threshold that nobody reaches
MIDDLE, CORNERS = [27, 28, 35, 36], [0, 7, 56, 63]      # of 8x8


class CountingBoard:
    """A SpiNN-3 in a process that counts the instructions of every core, written to `path` when it ends."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        ready, child = os.pipe()
        self._process = subprocess.Popen([sys.executable, __file__, str(self.path), "--version", "3", "--no-native",
                                          "--ready", str(child)], pass_fds=(child,))
        os.close(child)
        with os.fdopen(ready) as pipe:
            self._host = pipe.read(64).strip()
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(60)

    def configuration(self):
        """Text of sPyNNaker's configuration for it."""
        return configuration(3, self._host)


def serve(path, arguments):
    """The process of a :class:`CountingBoard`."""
    import unicorn

    counts, begin, opened = Counter(), core.Core.begin, cpu.CPU._open

    def begin_counted(self):
        begin(self)
        self.images = getattr(self, "images", 0) + 1

    def open_counted(self):
        opened(self)

        def block(uc, address, size, data):
            running = self._running
            thumb = self.read(running, "CPSR") & core.T_BIT
            counts[(*running.place, running.images)] += size // (2 if thumb else 4)

        self._uc.hook_add(unicorn.UC_HOOK_BLOCK, block)

    core.Core.begin, cpu.CPU._open = begin_counted, open_counted
    code = cli.main(arguments)
    Path(path).write_text(json.dumps([[*key, n] for key, n in counts.items()]))
    return code


def network(neurons, inputs, steps, cell=IFCurrExp, rule=None):
    """`inputs` that fire every step, each to all of `neurons`."""
    spikes = firing(range(inputs), max(inputs, 1), steps)
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                    Population("out", (1, 1, neurons), cell(v_thresh=SILENT))),
                   (Projection("p", "in", "out", DenseConnections(np.full((spikes.size, neurons), 0.001)),
                               plasticity=rule),))


def convolution(inputs, steps):
    """Inputs of 8x8 that fire every step, to a kernel of 5x5."""
    connections = ConvConnections(np.full((1, 1, 5, 5), 0.001), (1, 8, 8))
    spikes = firing(inputs, 64, steps).regrouped((1, 8, 8), np.arange(64))
    return Network((Population("in", (1, 8, 8), SpikeSourceArray(spikes)),
                    Population("out", connections.post_shape, IFCurrExp(v_thresh=SILENT), per_channel=True)),
                   (Projection("p", "in", "out", connections),))


def firing(inputs, size, steps):
    """Spikes of `inputs` out of `size` in every step from 11 to 6 before the end."""
    inputs, at = np.array(inputs, int), np.arange(11, steps - 5)
    return Spikes.from_events(np.zeros(len(inputs) * len(at), int), np.tile(inputs, len(at)),
                              np.repeat(at, len(inputs)), (1, 1, size), 1, steps)


def instructions(made):
    """Instructions of the core of ``out`` in a run of a network."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "counts.json")
        with CountingBoard(path) as board:
            with spinnaker.open(made, target=board) as simulation:
                simulation.run(simulation.source_steps)
                from spynnaker.pyNN.data import SpynnakerDataView

                vertex = simulation._parts["out"][0][1]._vertex
                place = SpynnakerDataView.get_placement_of_vertex(next(iter(vertex.machine_vertices)))
        return max(n for *key, _, n in json.loads(path.read_text()) if key == [place.x, place.y, place.p])


CASES = {
    "1 neuron": lambda steps: network(1, 0, steps),
    "32 neurons": lambda steps: network(32, 0, steps),
    "1 neuron of IF_curr_delta": lambda steps: network(1, 0, steps, IFCurrDelta),
    "32 neurons of IF_curr_delta": lambda steps: network(32, 0, steps, IFCurrDelta),
    "1 neuron that adapts": lambda steps: network(1, 0, steps, IFCurrExpCa2Adaptive),
    "32 neurons that adapt": lambda steps: network(32, 0, steps, IFCurrExpCa2Adaptive),
    "1 neuron, 8 inputs": lambda steps: network(1, 8, steps),
    "32 neurons, 1 input": lambda steps: network(32, 1, steps),
    "32 neurons, 8 inputs": lambda steps: network(32, 8, steps),
    "1 neuron, 8 plastic inputs": lambda steps: network(1, 8, steps, rule=STDPMechanism()),
    "32 neurons, 8 plastic inputs": lambda steps: network(32, 8, steps, rule=STDPMechanism()),
    "kernel, 2 inputs in the middle": lambda steps: convolution(MIDDLE[:2], steps),
    "kernel, 4 inputs in the middle": lambda steps: convolution(MIDDLE, steps),
    "kernel, 2 inputs in corners": lambda steps: convolution(CORNERS[:2], steps),
    "kernel, 4 inputs in corners": lambda steps: convolution(CORNERS, steps),
}


def main():
    """Print a line for every case."""
    for name, make in CASES.items():
        a_step = (instructions(make(LONG)) - instructions(make(SHORT))) / (LONG - SHORT)
        print(f"{name:32} {a_step:10,.0f} instructions a step", flush=True)


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else main())
