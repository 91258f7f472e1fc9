"""What cores of a SpiNNaker board do in a step, in cycles of the timed emulated board: the numbers of ``--mode check``.

    python benchmarks/board_time.py [CASE ...]

Small networks run one after another on a SpiNN-3 that counts time. A line for each says what the core of ``out`` did in
the steps in which all inputs fire; then what a step, a neuron, a packet and a synapse cost, beside what
``board/resources.py`` has. It needs sPyNNaker and unicorn, as ``pip install -e '.[test]'`` installs them.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from instructions import CORNERS, MIDDLE, convolution, network

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board import resources
from spikingconvnet.board.programs import PROGRAMS
from spikingconvnet.emulator import Board
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive
from spikingconvnet.network.plasticity import STDPMechanism

STEPS, BUSY = 40, slice(14, 33)             # of a run; those in which all inputs fire
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
    "1 neuron, 2 plastic inputs": lambda: network(1, 2, STEPS, rule=STDPMechanism()),
    "1 neuron, 12 plastic inputs": lambda: network(1, 12, STEPS, rule=STDPMechanism()),
    "41 neurons, 12 plastic inputs": lambda: network(41, 12, STEPS, rule=STDPMechanism()),
    "kernel, 2 inputs in the middle": lambda: convolution(MIDDLE[:2], STEPS),
    "kernel, 4 inputs in the middle": lambda: convolution(MIDDLE, STEPS),
    "kernel, 4 inputs in corners": lambda: convolution(CORNERS, STEPS),
}


def measured(made, **board):
    """Run networks one after another on one timed board: what their programs did, and their recordings."""
    with tempfile.TemporaryDirectory() as folder:
        path, found = Path(folder, "times.json"), []
        with Board(version=3, timed=True, times=path, **board) as emulated:
            for one in made:
                with spinnaker.open(one, target=emulated) as simulation:
                    found.append(simulation.run(simulation.source_steps))
        return json.loads(path.read_text())["programs"], found


def lines(did):
    """What follows for the parts of a core's work, beside the numbers of the package."""
    def a(more, less, n):
        return (did[more] - did[less]) / n

    for kind, ending in ((IFCurrDelta, "of IF_curr_delta"), (IFCurrExpCa2Adaptive, "that adapts"), (IFCurrExp, "")):
        one, many = (f"{n} {ending}".strip() for n in ("1 neuron", "101 neurons"))
        neuron = a(many.replace("adapts", "adapt"), one, 100)
        yield f"neuron of {kind.__name__}", neuron, PROGRAMS[kind].cycles
    step = did["1 neuron"] - neuron
    yield "step", step, resources.STEP_COST
    static = a("1 neuron, 22 inputs", "1 neuron, 2 inputs", 20)
    synapse = (did["101 neurons, 22 inputs"] - did["1 neuron, 22 inputs"] - 100 * neuron) / 22 / 100
    yield "static synapse", synapse, resources.SYNAPSE_COST["static"]
    yield "static packet and row", static - synapse, resources.SPIKE_COST["static"]
    yield "first packets of a step", did["1 neuron, 2 inputs"] - did["1 neuron"] - 2 * static, resources.START_COST
    learning = (did["41 neurons, 12 plastic inputs"] - did["1 neuron, 12 plastic inputs"] - 40 * neuron) / 12 / 40
    plastic = a("1 neuron, 12 plastic inputs", "1 neuron, 2 plastic inputs", 10)
    yield "plastic synapse", learning, resources.SYNAPSE_COST["plastic"]
    yield "plastic packet and row", plastic - learning, resources.SPIKE_COST["plastic"]
    reached, middle = 16, a("kernel, 4 inputs in the middle", "kernel, 2 inputs in the middle", 2)  # a corner reaches 1
    kernel = a("kernel, 4 inputs in the middle", "kernel, 4 inputs in corners", 4) / (reached - 1)
    yield "kernel's synapse", kernel, resources.SYNAPSE_COST["kernel"]
    yield "kernel's packet", middle - reached * kernel, resources.SPIKE_COST["kernel"]


def main(chosen):
    """Print a line for every case, and what follows from all of them."""
    names = [name for name in CASES if not chosen or name in chosen]
    programs, _ = measured([CASES[name]() for name in names])
    neurons = [one for one in programs if not one["program"].startswith("reverse_iptag")]
    did = {}
    for name, one in zip(names, neurons, strict=True):
        steps = one["steps"][BUSY]
        did[name] = float(np.mean(steps))
        print(f"{name:32} {did[name]:10,.1f} cycles a step ({min(steps):,} to {max(steps):,})", flush=True)
    if not chosen:
        for name, cycles, known in lines(did):
            print(f"{name:32} {cycles:10,.1f} cycles; in --mode check {known:,}")


if __name__ == "__main__":
    main(sys.argv[1:])
