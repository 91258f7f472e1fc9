"""Networks of layers and a balanced one on the timed emulated board, at time scale factors of 1, 2 and 4.

    python benchmarks/board_networks.py [layer] [two-layers] [dense] [balanced] [converted] [convolutions] [demo] [va]
                                       [SCALE ...]

============  ========================================================================================================
layer         a convolution of 16 maps over 2 x 16 x 16 inputs, as the demo's, that fire once in a volley of 15 steps
two-layers    another convolution of 24 maps over its spikes, with places for 1,024 packets on each core
dense         196-100-10, as converted networks are, inputs at up to a spike a step
balanced      640 excitatory and 160 inhibitory neurons, 10 % connected, driven above threshold (Vogels and Abbott 2005)
converted     28x28-2s-24-10, its weights those of the tests, on the first training digit
convolutions  the same with two convolutions, 28x28-4c5-2s-8c5-2s-10, its weights drawn at random (only if it is named)
demo          the layer of ``make demo``, 48 maps on 104 cores, on one digit; random kernels (only if it is named)
va            the benchmark of Vogels and Abbott with 4,000 neurons on 17 cores, 60 steps (only if it is named)
============  ========================================================================================================

For each population: the load of its busiest core's busiest step that ``--mode check`` predicts from the spikes of the
local engine, the one measured, and their ratio if the core kept up; then whether all spikes are those of the local
engine, and what the verdict finds.
"""

import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import board_memory
import numpy as np

from spikingconvnet import backends
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board import resources
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data.encoding import RegularEncoder
from spikingconvnet.emulator import Board
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.health.verdict import judge
from spikingconvnet.model.layers import AvgPool2D, Conv2D, Dense
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

STEPS = 60
STORED = Path(__file__).resolve().parent.parent / "tests/training/weights/28x28-2s-24-10.npz"
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=2.5, tau_syn_E=2.0, tau_syn_I=2.0,
                 tau_refrac=0.0)


def volley(shape, rng, last=15, share=0.5):
    """A share of the inputs, each once, in the first steps."""
    size = int(np.prod(shape))
    neuron = np.flatnonzero(rng.random(size) < share)
    step = 2 + rng.integers(0, last, len(neuron))
    return Spikes.from_events(0 * step, neuron, step, shape, 1, STEPS)


def layers(n):
    """One or two convolutions."""
    rng = np.random.default_rng(0)
    spikes = volley((2, 16, 16), rng)
    conv = ConvConnections(rng.uniform(0.0, 4.0, (16, 2, 5, 5)), spikes.shape)
    populations = [Population("in", spikes.shape, SpikeSourceArray(spikes)),
                   Population("maps", conv.post_shape, CELL, per_channel=True)]
    projections = [Projection("conv", "in", "maps", conv)]
    if n == 2:
        more = ConvConnections(rng.uniform(-1.0, 1.4, (24, 16, 5, 5)), conv.post_shape)
        populations.append(Population("more", more.post_shape, CELL, per_channel=True))
        projections.append(Projection("conv2", "maps", "more", more))
    return Network(tuple(populations), tuple(projections))


def dense():
    """Two layers of connections between all."""
    rng = np.random.default_rng(0)
    step, neuron = np.nonzero(rng.random((STEPS - 10, 196)) < rng.random(196) ** 3)
    spikes = Spikes.from_events(0 * step, neuron, step + 2, (1, 14, 14), 1, STEPS)
    cell = IFCurrExp(tau_m=20.0, cm=1.0, v_thresh=-60.0, tau_refrac=0.0)
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes)), Population("hidden", (1, 1, 100), cell),
                    Population("out", (1, 1, 10), cell)),
                   (Projection("a", "in", "hidden", DenseConnections(rng.uniform(0, 0.1, (196, 100)))),
                    Projection("b", "hidden", "out", DenseConnections(rng.uniform(0, 0.2, (100, 10))))))


def balanced():
    """The benchmark of Vogels and Abbott with currents, a fifth of its size."""
    rng = np.random.default_rng(0)
    cell = IFCurrExp(tau_m=20.0, cm=0.2, v_rest=-49.0, v_reset=-60.0, v=-60.0, v_thresh=-50.0, tau_syn_E=5.0,
                     tau_syn_I=10.0, tau_refrac=5.0)
    sizes, drawn = {"exc": 640, "inh": 160}, []
    for pre in sizes:
        for post in sizes:
            made, met = np.nonzero(rng.random((sizes[pre], sizes[post])) < 0.1)
            weight = 0.02 if pre == "exc" else 0.09
            drawn.append(Projection(f"{pre} {post}", pre, post, ConnectionList(
                made, met, np.full(len(made), weight), np.ones(len(made), int)),
                "excitatory" if pre == "exc" else "inhibitory"))
    values = {name: {"v": rng.uniform(-60, -50, n)} for name, n in sizes.items()}
    return Network(tuple(Population(name, (1, 1, n), cell, values[name]) for name, n in sizes.items()), tuple(drawn))


def demo():
    """The layer of ``make demo``, as benchmarks/board_memory.py has it, on one digit."""
    made = board_memory.layer()
    population, = (one for one in made.populations if one.is_source)
    first = population.cell.spikes.samples(0, 1)
    return replace(made, populations=tuple(replace(one, cell=SpikeSourceArray(first)) if one is population else one
                                           for one in made.populations))


def after_conversion(weights, *model):
    """A network as the recipe of conversion makes it of weights in a file, on the first training digit."""
    recipe, encoder = settings.load(RECIPES / "convert.py"), RegularEncoder(n_steps=40, max_rate=1.0)
    model = Sequential((1, 28, 28), *(layer(recipe.rule.neuron) for layer in model), SpikeCount(last=40))
    with tempfile.TemporaryDirectory() as folder:
        made = Experiment(replace(recipe, dataset=str(board_memory.MNIST), model=model, n_train=2000, n_test=1,
                                  rule=replace(recipe.rule, weights=str(weights)), encoder=encoder, slot=41),
                          Path(folder, "run"), jobs=1)
        made.load_data()
        made.train_chain("convert")
        return made.network(len(model.stages), made.data("train")["spikes"].samples(0, 1))


def pool(_cell):
    """Means of 2 x 2."""
    return AvgPool2D(2)


def converted():
    """28x28-2s-24-10, whose weights the tests have."""
    return after_conversion(STORED, pool, lambda cell: Dense(24, neuron=cell), lambda cell: Dense(10, neuron=cell))


def convolutions():
    """28x28-4c5-2s-8c5-2s-10, whose weights are drawn as before training."""
    rng = np.random.default_rng(0)
    shapes = {1: (4, 1, 5, 5), 2: (8, 4, 5, 5), 3: (10, 8, 4, 4)}
    drawn = {f"kernels{i}": rng.normal(0.0, np.sqrt(2 / np.prod(shape[1:])), shape) for i, shape in shapes.items()}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder, "weights.npz")
        np.savez(weights, **drawn, **{f"biases{i}": np.zeros(shape[0]) for i, shape in shapes.items()})
        return after_conversion(weights, lambda cell: Conv2D(4, 5, neuron=cell), pool,
                                lambda cell: Conv2D(8, 5, neuron=cell), pool, lambda cell: Dense(10, neuron=cell))


CASES = {"layer": lambda: layers(1), "two-layers": lambda: layers(2), "dense": dense, "balanced": balanced,
         "converted": converted, "convolutions": convolutions, "demo": demo, "va": board_memory.balanced}
USUAL = ("layer", "two-layers", "dense", "balanced", "converted")
BUFFERS = {"two-layers": 1024}


def measured(made, scale, buffer, steps):
    """The recording of a run, and the busiest step of every core that has neurons, as a share of a step."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "times.json")
        with Board(version=5, timed=True, times=path) as board:
            with spinnaker.open(made, target=board, time_scale=scale, packet_buffer=buffer) as simulation:
                simulation.run(steps)
                recording = simulation.recording()
        programs = json.loads(path.read_text())["programs"]
    return recording, {tuple(one["core"]): max(one["steps"][2:]) / one["period"] for one in programs}


def lines(name, scale):
    """Lines of the table: one for each population, and one for the network."""
    made = CASES[name]()
    steps = max([len(one.cell.spikes.offsets) - 1 for one in made.populations if one.is_source], default=STEPS)
    local = backends.run(made, steps)
    fired = {label: spikes for label, spikes in local.spikes.items() if not made.population(label).is_source}
    predicted = {}
    for load in resources.resources(made, (), fired).loads:
        predicted.setdefault(load.label.rpartition(" ")[0], load.worst / scale)
    recording, busiest = measured(made, scale, BUFFERS.get(name), steps)
    for label, expected in predicted.items():
        found = max(busiest[one.x, one.y, one.p] for one in recording.provenance.cores if one.population == label)
        ratio = f"{expected / found:6.2f}" if found < 0.99 else "  late"
        yield f"{name:11}{scale:6} {label:8}{expected:10.3f}{found:10.3f}{ratio}"
    same = all((recording.spikes[label].neurons.tolist(), recording.spikes[label].offsets.tolist())
               == (spikes.neurons.tolist(), spikes.offsets.tolist()) for label, spikes in fired.items())
    health = judge(recording.provenance)
    found = ", ".join(f"{finding.name} {finding.value:g}" for finding in health.findings)
    yield (f"{name:11}{scale:6} {len(busiest)} cores, {sum(each.n_events for each in fired.values())} spikes,"
           f" {'the same' if same else 'other'} spikes, {health.verdict} {found}")


def main(chosen):
    """Print lines for each network and factor."""
    print("network     scale population predicted measured ratio")
    for name in [one for one in chosen if not one.isdigit()] or USUAL:
        for scale in [int(one) for one in chosen if one.isdigit()] or (1, 2, 4):
            for line in lines(name, scale):
                print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
