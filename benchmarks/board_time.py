"""What cores of a SpiNNaker board do in a step, in cycles of the timed emulated board: the numbers of ``--mode check``.

    python benchmarks/board_time.py [CASE ...]

Small networks run one after another on a SpiNN-3 that counts time. A line for each says what the core of ``out`` did in
the steps in which all inputs fire; then what a step, a neuron, a packet and a synapse cost, beside what
``board/load.py`` has. It needs sPyNNaker and unicorn, as ``pip install -e '.[test]'`` installs them.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from instructions import SILENT, network

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board import load
from spikingconvnet.board.programs import PROGRAMS
from spikingconvnet.emulator import Board
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes

STEPS, BUSY = 40, slice(14, 33)             # of a run; those in which all inputs fire
PLANE, KERNEL = 16, 5                       # rows and columns of inputs, and of the kernel that reaches 12 x 12 neurons
PLACES = {"25": [(7, 7), (7, 8), (8, 7), (8, 8)], "5 of a row": [(0, 6), (0, 7), (0, 8), (0, 9)],
          "5 of a column": [(6, 0), (7, 0), (8, 0), (9, 0)], "9": [(2, 2), (2, 13), (13, 2), (13, 13)],
          "1": [(0, 0), (0, 15), (15, 0), (15, 15)]}                # inputs by the synapses that they reach
FIRES = {"v_rest": -40.0, "tau_m": 0.1, "tau_refrac": 0.0}          # in every step


def kernel(places, plane=PLANE):
    """Inputs at some places that fire in every step, to a kernel."""
    inputs, at = np.array([plane * row + column for row, column in places], int), np.arange(11, STEPS - 5)
    spikes = Spikes.from_events(np.zeros(len(inputs) * len(at), int), np.tile(inputs, len(at)),
                                np.repeat(at, len(inputs)), (1, plane, plane), 1, STEPS)
    return convolved(Population("in", spikes.shape, SpikeSourceArray(spikes)))


def convolved(population):
    """A plane of neurons or sources, to a kernel."""
    conv = ConvConnections(np.full((1, 1, KERNEL, KERNEL), 0.001), population.shape)
    return Network((population, Population("out", conv.post_shape, IFCurrExp(v_thresh=SILENT), per_channel=True)),
                   (Projection("p", population.label, "out", conv),))


def drivers(first, apart, n):
    """A plane of neurons, of which a few so far apart fire in every step: their packets come as they are updated."""
    rest = np.full(PLANE ** 2, -65.0)
    rest[first:first + n * apart:apart] = FIRES["v_rest"]
    return Population("in", (1, PLANE, PLANE), IFCurrExp(tau_m=0.1, tau_refrac=0.0), {"v_rest": rest}, per_channel=True)


def driven(apart, n, rule=None, heard=PLANE ** 2):
    """Such neurons, each of the first `heard` with a synapse to one silent neuron."""
    ids = np.arange(heard)
    synapses = ConnectionList(ids, 0 * ids, np.full(len(ids), 0.001), np.ones(len(ids), int))
    return Network((drivers(20, apart, n), Population("out", (1, 1, 1), IFCurrExp(v_thresh=SILENT))),
                   (Projection("p", "in", "out", synapses, plasticity=rule),))


def firing(n):
    """Neurons that fire in every step, and one that hears of it."""
    ids = np.arange(n)
    synapses = ConnectionList(ids, 0 * ids, np.full(n, 0.001), np.ones(n, int))
    return Network((Population("out", (1, 1, n), IFCurrExp(**FIRES)),
                    Population("heard", (1, 1, 1), IFCurrExp(v_thresh=SILENT))),
                   (Projection("p", "out", "heard", synapses),))


def in_vain(inputs, heard):
    """Inputs that fire in every step, of which the first few have a synapse to one silent neuron."""
    ids, at = np.arange(heard), np.arange(11, STEPS - 5)
    spikes = Spikes.from_events(np.zeros(inputs * len(at), int), np.tile(np.arange(inputs), len(at)),
                                np.repeat(at, inputs), (1, 1, inputs), 1, STEPS)
    synapses = ConnectionList(ids, 0 * ids, np.full(heard, 0.001), np.ones(heard, int))
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                    Population("out", (1, 1, 1), IFCurrExp(v_thresh=SILENT))),
                   (Projection("p", "in", "out", synapses),))


def two_rows(inputs):
    """Inputs that fire in every step, each of which excites one neuron and inhibits another: two rows."""
    ids, at = np.arange(inputs), np.arange(11, STEPS - 5)
    spikes = Spikes.from_events(np.zeros(inputs * len(at), int), np.tile(ids, len(at)), np.repeat(at, inputs),
                                (1, 1, inputs), 1, STEPS)
    synapses = ConnectionList(np.repeat(ids, 2), np.tile([0, 1], inputs), np.tile([0.001, -0.001], inputs),
                              np.ones(2 * inputs, int), signed=True)
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)),
                    Population("out", (1, 1, 2), IFCurrExp(v_thresh=SILENT))),
                   (Projection("p", "in", "out", synapses),))


CASES = {
    "1 neuron": lambda: network(1, 0, STEPS),
    "101 neurons": lambda: network(101, 0, STEPS),
    "1 neuron of IF_curr_delta": lambda: network(1, 0, STEPS, IFCurrDelta),
    "101 neurons of IF_curr_delta": lambda: network(101, 0, STEPS, IFCurrDelta),
    "1 neuron that adapts": lambda: network(1, 0, STEPS, IFCurrExpCa2Adaptive),
    "101 neurons that adapt": lambda: network(101, 0, STEPS, IFCurrExpCa2Adaptive),
    "1 neuron, 2 inputs": lambda: network(1, 2, STEPS),
    "1 neuron, 22 inputs": lambda: network(1, 22, STEPS),
    "101 neurons, 22 inputs": lambda: network(101, 22, STEPS),
    "2 neurons, 2 inputs of two rows": lambda: two_rows(2),
    "2 neurons, 22 inputs of two rows": lambda: two_rows(22),
    "1 neuron, 2 plastic inputs": lambda: network(1, 2, STEPS, rule=STDPMechanism()),
    "1 neuron, 12 plastic inputs": lambda: network(1, 12, STEPS, rule=STDPMechanism()),
    "41 neurons, 12 plastic inputs": lambda: network(41, 12, STEPS, rule=STDPMechanism()),
    **{f"kernel, 4 inputs that reach {n}": lambda places=places: kernel(places) for n, places in PLACES.items()},
    "kernel, 2 inputs that reach 25": lambda: kernel(PLACES["25"][:2]),
    "144 neurons of a kernel": lambda: kernel([]),
    "16 neurons of a kernel": lambda: kernel([], 8),
    "1 neuron that fires": lambda: firing(1),
    "101 neurons that fire": lambda: firing(101),
    "1 neuron, 22 inputs, 20 in vain": lambda: in_vain(22, 2),
    "1 packet of neurons": lambda: driven(1, 1),
    "5 packets of neurons, 4 apart in vain": lambda: driven(45, 5, heard=60),
    "2 packets of neurons": lambda: driven(1, 2),
    "5 packets of neurons": lambda: driven(1, 5),
    "5 packets of neurons apart": lambda: driven(45, 5),
    "5 plastic packets of neurons": lambda: driven(1, 5, STDPMechanism()),
    "5 plastic packets of neurons apart": lambda: driven(45, 5, STDPMechanism()),
    "kernel, 3 packets of neurons": lambda: convolved(drivers(118, 1, 3)),
    "kernel, 3 packets of neurons apart": lambda: convolved(drivers(68, 50, 3)),
}


def measured(made, **board):
    """Run networks one after another on one timed board: what the first core of ``out`` did in each."""
    with tempfile.TemporaryDirectory() as folder:
        path, places = Path(folder, "times.json"), []
        with Board(version=3, timed=True, times=path, **board) as emulated:
            for one in made:
                with spinnaker.open(one, target=emulated) as simulation:
                    simulation.run(simulation.source_steps or STEPS)
                    places.append(place(simulation))
        programs = iter(json.loads(path.read_text())["programs"])
    return [next(one for one in [next(programs) for _ in range(cores)] if one["core"] == core)
            for cores, core in places]


def place(simulation):
    """How many cores a network has, and [x, y, p] of the first of ``out``."""
    from spynnaker.pyNN.data import SpynnakerDataView

    vertex = simulation._parts["out"][0][1]._vertex
    found = SpynnakerDataView.get_placement_of_vertex(next(iter(vertex.machine_vertices)))
    return SpynnakerDataView.get_n_placements(), [found.x, found.y, found.p]


def lines(did):
    """What follows for the parts of a core's work, beside the numbers of the package."""
    def a(more, less, n):
        return (did[more] - did[less]) / n

    for kind, ending in ((IFCurrDelta, "of IF_curr_delta"), (IFCurrExpCa2Adaptive, "that adapts"), (IFCurrExp, "")):
        one, many = (f"{n} {ending}".strip() for n in ("1 neuron", "101 neurons"))
        neuron = a(many.replace("adapts", "adapt"), one, 100)
        yield f"neuron of {kind.__name__}", neuron, PROGRAMS[kind].cycles
    step = did["1 neuron"] - neuron
    yield "step", step, load.STEP_COST
    static = a("1 neuron, 22 inputs", "1 neuron, 2 inputs", 20)
    synapse = (did["101 neurons, 22 inputs"] - did["1 neuron, 22 inputs"] - 100 * neuron) / 22 / 100
    yield "static synapse", synapse, load.SYNAPSE_COST["static"]
    yield "static packet and row", static - synapse, load.SPIKE_COST["static"]
    yield "first packet of a step", did["1 neuron, 2 inputs"] - did["1 neuron"] - 2 * static, load.START_COST["static"]
    yield "packet in vain", a("1 neuron, 22 inputs, 20 in vain", "1 neuron, 2 inputs", 20), load.VAIN_COST
    rows = a("2 neurons, 22 inputs of two rows", "2 neurons, 2 inputs of two rows", 20)
    yield "another static row", rows - static - synapse, load.ROW_COST["static"]
    learning = (did["41 neurons, 12 plastic inputs"] - did["1 neuron, 12 plastic inputs"] - 40 * neuron) / 12 / 40
    plastic = a("1 neuron, 12 plastic inputs", "1 neuron, 2 plastic inputs", 10)
    yield "plastic synapse", learning, load.SYNAPSE_COST["plastic"]
    yield "plastic packet and row", plastic - learning, load.SPIKE_COST["plastic"]
    nothing = a("144 neurons of a kernel", "16 neurons of a kernel", 128)
    yield "neuron of a kernel", nothing, load.KERNEL_NEURON_COST
    yield "step of kernels", did["16 neurons of a kernel"] - 16 * nothing, load.KERNEL_STEP_COST
    yield from of_kernels(did, a)
    fires = a("101 neurons that fire", "101 neurons", 101)
    yield "neuron that fires, more", fires, load.FIRE_COST
    alone = a("5 packets of neurons apart", "5 packets of neurons", 4)
    yield "static packet that comes alone, more", alone, load.ALONE_COST["static"]
    alone = a("5 packets of neurons, 4 apart in vain", "1 packet of neurons", 4) - load.VAIN_COST
    yield "packet in vain that comes alone, more", alone, load.ALONE_COST["static"]
    alone = a("5 plastic packets of neurons apart", "5 plastic packets of neurons", 4)
    yield "plastic packet that comes alone, more", alone, load.ALONE_COST["plastic"]
    alone = a("kernel, 3 packets of neurons apart", "kernel, 3 packets of neurons", 2)
    yield "kernel's packet that comes alone, more", alone, load.ALONE_COST["kernel"]


def of_kernels(did, a):
    """What a kernel's packet, row and synapse cost: what fits packets that reach 1 to 25 best."""
    middle = a("kernel, 4 inputs that reach 25", "kernel, 2 inputs that reach 25", 2)
    cost = {reach: middle - a("kernel, 4 inputs that reach 25", f"kernel, 4 inputs that reach {reach}", 4)
            for reach in PLACES}
    parts = np.array([(1, 5, 25), (1, 1, 5), (1, 5, 5), (1, 3, 9), (1, 1, 1)])      # packets, rows, synapses; as PLACES
    found = np.linalg.lstsq(parts, np.array([cost[reach] for reach in PLACES]), rcond=None)[0]
    for reach, fitted in zip(PLACES, parts @ found):
        yield f"kernel's packet that reaches {reach}", cost[reach], round(fitted)
    started = did["kernel, 4 inputs that reach 25"] - did["144 neurons of a kernel"] - 4 * middle
    yield "first packet of a step for kernels", started, load.START_COST["kernel"]
    yield "kernel's packet", found[0], load.SPIKE_COST["kernel"]
    yield "kernel's row", found[1], load.KERNEL_ROW_COST
    yield "kernel's synapse", found[2], load.SYNAPSE_COST["kernel"]


def main(chosen):
    """Print a line for every case, and what follows from all of them."""
    names = [name for name in CASES if not chosen or name in chosen]
    did = {}
    for name, one in zip(names, measured([CASES[name]() for name in names]), strict=True):
        steps = one["steps"][BUSY]
        did[name] = float(np.mean(steps))
        print(f"{name:32} {did[name]:10,.1f} cycles a step ({min(steps):,} to {max(steps):,})", flush=True)
    if not chosen:
        for name, cycles, known in lines(did):
            print(f"{name:32} {cycles:10,.1f} cycles; in --mode check {known:,}")


if __name__ == "__main__":
    main(sys.argv[1:])
