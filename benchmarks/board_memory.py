"""Resident memory and CPU time of the emulated board, for the networks that docs/emulated-board.md names.

    python benchmarks/board_memory.py [layer] [idle] [stdp] [--no-native] [--timed] [--same-process] [--monitors]

=====  ===================================================================================
layer  the layer of ``make demo`` on 20 digits: 23,232 neurons, 104 cores
idle   256 neurons IF_curr_exp without input on one core
stdp   784 sources (20 % at 64 Hz) -> 100 neurons with STDP and inhibition among each other
va     the benchmark of Vogels and Abbott 2005 with currents, 4,000 neurons, as sPyNNaker splits them by itself
va-64  the same with 64 neurons a core
=====  ===================================================================================

Memory is the kernel's ``VmRSS`` when the board has started and when the network has run, all its cores loaded, and
``VmHWM``, the peak. `host` is the peak of sPyNNaker's process. CPU is that of the board's process, per second of
simulated time, of a second run of the loaded network. With ``--same-process`` the board is a thread of sPyNNaker's
process: `start` is then that process before there is a board, and the others are of both together. ``--monitors``
measures each case without and with what sPyNNaker turns on by itself: advanced monitors and re-injection.
It needs sPyNNaker and unicorn, as ``pip install -e '.[test]'`` installs them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from spikingconvnet.backends.pynn.dialect import load
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import LatencyEncoder, encode
from spikingconvnet.data.filters import DifferenceOfGaussians
from spikingconvnet.emulator import Board, board, cli
from spikingconvnet.emulator.ethernet import Ethernet
from spikingconvnet.emulator.native_machine import machine_of
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

MNIST = Path(__file__).resolve().parent.parent / "data/mnist"
DIGITS, SLOT = 20, 28
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=2.5, tau_syn_E=2.0, tau_syn_I=2.0,
                 tau_refrac=0.0)


def layer():
    """The demo's convolution with random kernels."""
    images = datasets.load(MNIST, "test").images[:DIGITS]
    rng = np.random.default_rng(0)
    spikes = encode(images, DifferenceOfGaussians(), LatencyEncoder(), rng).with_gap(SLOT)
    connections = ConvConnections(rng.uniform(0.0, 1.0, (48, 2, 7, 7)), spikes.shape)
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                    Population("maps", connections.post_shape, CELL, per_channel=True)),
                   (Projection("conv", "in", "maps", connections),))


def idle():
    """Neurons that nobody drives."""
    return Network((Population("cells", (1, 1, 256), IFCurrExp()),), ())


def stdp(steps=6000):
    """Pixels that learn to drive neurons that inhibit each other."""
    rng = np.random.default_rng(0)
    fires = rng.random((steps, 784)) < np.where(np.arange(784) < 157, 0.064, 0.0)
    step, neuron = np.nonzero(fires)
    spikes = Spikes.from_events(0 * step, neuron, step, (1, 28, 28), 1, steps)
    rule = STDPMechanism(SpikePairRule(tau_plus=20.0, tau_minus=20.0, A_plus=0.02, A_minus=0.02),
                         AdditiveWeightDependence(w_min=0.0, w_max=1.0))
    weights = DenseConnections(rng.uniform(0.0, 0.3, (784, 100)))
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                    Population("cells", (1, 1, 100), IFCurrExp(tau_m=20.0))),
                   (Projection("learned", "in", "cells", weights, plasticity=rule),
                    Projection("lateral", "cells", "cells", LateralInhibition(100, 1.0), "inhibitory")))


def balanced(neurons_per_core=None):
    """3,200 excitatory and 800 inhibitory neurons, 2 % connected, driven above their threshold."""
    rng = np.random.default_rng(0)
    cell = IFCurrExp(tau_m=20.0, cm=0.2, v_rest=-49.0, v_reset=-60.0, v=-60.0, v_thresh=-50.0, tau_syn_E=5.0,
                     tau_syn_I=10.0, tau_refrac=5.0)
    sizes, drawn = {"exc": 3200, "inh": 800}, []
    for pre, (weight, receptor) in {"exc": (0.0162, "excitatory"), "inh": (0.0888, "inhibitory")}.items():
        for post in sizes:
            made, met = np.nonzero(rng.random((sizes[pre], sizes[post])) < 0.02)
            drawn.append(Projection(f"{pre} {post}", pre, post, ConnectionList(
                made, met, np.full(len(made), weight), np.ones(len(made), int)), receptor))
    begin = {name: {"v": rng.uniform(-60, -50, n)} for name, n in sizes.items()}
    return Network(tuple(Population(name, (1, 1, n), cell, begin[name], neurons_per_core=neurons_per_core)
                         for name, n in sizes.items()), tuple(drawn))


CASES = {"layer": (layer, 8 * SLOT, DIGITS * SLOT), "idle": (idle, 1000, 11_000), "stdp": (stdp, 1000, 6000),
         "va": (balanced, 200, 1200), "va-64": (partial(balanced, 64), 200, 1200)}


def resident(process, name="VmRSS"):
    """MB of a process that are in memory, or were at most (``VmHWM``)."""
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) / 1000


def cpu(process):
    """User and system CPU seconds of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def board_here(native):
    """A board as a thread of this process."""
    ethernet = Ethernet()
    kind = cli._core_class(native, False)
    machine = machine_of(kind)(5, ethernet.hosts, report=cli._report, make_core=kind)
    ethernet.attach(machine)
    thread = threading.Thread(target=ethernet.serve)
    thread.start()
    yield SimpleNamespace(process_id=os.getpid(), configuration=lambda: board.configuration(5, ethernet.hosts[0]))
    ethernet.close()
    thread.join()


def as_spynnaker_does(made):
    """A board whose configuration leaves monitors and re-injection to sPyNNaker."""
    kept = [line for line in made.configuration().splitlines() if not line.startswith("enable_")]
    return SimpleNamespace(process_id=made.process_id, configuration=lambda: "\n".join([*kept, ""]))


def measure(case, here, monitors, **options):
    """One line of the table."""
    make, first, second = CASES[case]
    network = make()
    load(spinnaker.DIALECT)
    before = resident(os.getpid())
    with tempfile.TemporaryDirectory() as folder, (board_here if here else Board)(**options) as made:
        empty = resident(made.process_id)
        target = as_spynnaker_does(made) if monitors else made
        with spinnaker.open(network, target=target, directory=Path(folder)) as simulation:
            simulation.run(first)
            began = cpu(made.process_id)
            simulation.run(second - first)
            seconds = (cpu(made.process_id) - began) / ((second - first) / 1000)
            running, peak = resident(made.process_id), resident(made.process_id, "VmHWM")
        host = resident(os.getpid(), "VmHWM")
    return (f"{case + '+' * monitors:6}{before if here else empty:10.1f}{running:10.1f}{peak:10.1f}{host:10.1f}"
            f"{seconds:18.3f}")


def main():
    """Print one line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(CASES) + "; without any: all")
    parser.add_argument("--no-native", action="store_true", help="the core loop in Python")
    parser.add_argument("--timed", action="store_true", help="a board that counts time")
    parser.add_argument("--same-process", action="store_true", help="the board as a thread of sPyNNaker's process")
    parser.add_argument("--monitors", action="store_true", help="each case without and with monitors (+), in turn")
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        timed = {} if options.same_process else {"timed": options.timed}
        print(measure(options.one, options.same_process, options.monitors, native=not options.no_native, **timed))
        return
    print("case  start (MB) loaded (MB) peak (MB) host (MB) CPU s per simulated s")
    flags = [f"--{name.replace('_', '-')}" for name in ("no_native", "timed", "same_process") if getattr(options, name)]
    for case in options.cases or CASES:
        for more in ([], ["--monitors"])[:1 + options.monitors]:
            done = subprocess.run([sys.executable, __file__, "--one", case, *flags, *more], stdout=subprocess.PIPE,
                                  text=True, check=True)
            print(done.stdout.splitlines()[-1], flush=True)


if __name__ == "__main__":
    main()
