"""Rules that follow a gradient, row by row: rectifying units converted to integrate-and-fire neurons, soft LIF units.

    python benchmarks/gradients.py dense conv softlif [--seeds 0 1 2] [--variants robust data ...] [--board N]

Networks are trained on all 60,000 training digits, once a network and seed (kept in `--run-dir`; training needs torch),
and every variant reads the 10,000 test digits once. `float` is the same network without rounding (after conversion:
without leak, too) on the first 1,000 of them, beside the local engine's answers to the same digits. With ``--board N``
the first N also go through an emulated board. On a busy machine set OPENBLAS_NUM_THREADS=1.
"""

import argparse
import json
import time
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

import numpy as np

from spikingconvnet.cli import modes
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import RateEncoder, RegularEncoder
from spikingconvnet.data.filters import BitPlanes, worth_of
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.baselines import logistic_regression
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model import shorthand
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.training.chain import balance, convert, softlif
from spikingconvnet.training.chain.descent import Descent
from spikingconvnet.training.chain.units import Units

MNIST = Path(__file__).parent.parent / "data" / "mnist"

IN_FLOAT = 1000
BATCH = 50
PACKET_BUFFER = 4096    # on a board: the first layer fires 450 spikes in a step, and 256 is what a core holds otherwise


@dataclass(frozen=True)
class Network:
    """What a name on the command line stands for.

    Attributes
    ----------
    text : str
        As for ``--arch``.
    rule : settings record
    trainer : str
        Module of ``training.gradients``.
    steps : int
        An image.
    variants : dict of str to dict
        Changes of the rule; the first one is the default.
    """

    text: str
    rule: object
    trainer: str
    steps: int
    variants: dict = field(repr=False)


CONVERT = {"robust": {}, "data": {"norm": "data"}, "none": {"norm": "none", "threshold": 4.0},
           "model": {"norm": "model", "threshold": 0.25}, "thresholds": {"balance": "thresholds"},
           "half": {"start": 0.5}, "poisson": {}, "current": {}}
SOFT = {"linear": {}, "spiking": {}, "rest": {"random_start": False}}
CONV = "28x28-12c5-2s-64c5-2s-10"
NETWORKS = {
    "dense": Network("784-1200-1200-10", convert.Convert(descent=Descent(epochs=12, shift=1)), "relu", 60, CONVERT),
    "conv": Network(CONV, convert.Convert(descent=Descent(epochs=12, shift=2)), "relu", 40, CONVERT),
    "softlif": Network(CONV, settings.load(RECIPES / "softlif.py").rule, "soft_lif", 60, SOFT)}


def main():
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", choices=(*NETWORKS, "logistic"), help="logistic: the floor, alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--variants", nargs="+", choices=(*CONVERT, *SOFT), default=None)
    parser.add_argument("--run-dir", default="runs/gradients")
    parser.add_argument("--board", type=int, default=0, help="test digits for an emulated board")
    options = parser.parse_args()
    folder = Path(options.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if options.networks == ["logistic"]:
        print(f"logistic regression on the pixels: {logistic():.2f} % of the test digits")
        return
    print("| network | variant | seed | units (%) | spikes (%) | within 0.1 % after | spikes an image |"
          " float, local (%) | training CPU s | test CPU s | like local on the board |\n|" + "---|" * 11)
    for name in options.networks:
        network = NETWORKS[name]
        for seed in options.seeds:
            weights, seconds = trained(name, seed, folder)
            for variant in options.variants or list(network.variants)[:1]:
                if variant not in network.variants:
                    parser.error(f"--variants {variant}: {name} has {', '.join(network.variants)}")
                made = experiment(network, variant, seed, weights, folder / f"{name}-{variant}-{seed}")
                cells = [network.text, variant, str(seed), *row(made, network, weights)]
                board = on_board(made, options.board) if options.board else "not asked"
                print("| " + " | ".join([*cells[:-1], f"{seconds:.0f}", cells[-1], board]) + " |", flush=True)


def logistic():
    """Accuracy of a logistic regression on standardised pixels, %."""
    train, test = (datasets.load(str(MNIST), part) for part in ("train", "test"))
    values, asked = ((part.images / 255).astype(np.float32).reshape(len(part), -1) for part in (train, test))
    return 100 * np.mean(logistic_regression(values, train.labels, asked) == test.labels)


def trained(name, seed, folder):
    """File with the weights of the units, and the CPU seconds that their training took."""
    path, network = folder / f"{name}-{seed}.npz", NETWORKS[name]
    if not path.exists():
        trainer = import_module(f"spikingconvnet.training.chain.gradients.{network.trainer}")
        digits, begin = datasets.load(str(MNIST), "train", folder), time.process_time()
        *found, diagnostics = trainer.train(
            model_of(network, SpikeCount()), (digits.images / 255).astype(np.float32)[:, None], digits.labels,
            np.random.default_rng([seed, 1]), network.rule)
        path.with_suffix(".json").write_text(json.dumps({**diagnostics, "cpu_seconds": time.process_time() - begin}))
        convert.save(path, found[0] if len(found) == 1 else [Units(*one) for one in zip(*found)])
    return path, json.loads(path.with_suffix(".json").read_text())["cpu_seconds"]


def model_of(network, readout, channels=1):
    """The Sequential of an ``--arch``."""
    text = network.text
    if channels > 1:
        text = text.replace("784", f"{channels}x28x28").replace("28x28-12", f"{channels}x28x28-12")
    return shorthand.parse(text, (channels, 28, 28), network.rule.neuron, readout,
                      getattr(network.rule, "output_neuron", None))


def row(made, network, weights):
    """Cells of a row: accuracies, latency, spikes, accuracy in float, CPU seconds of the test."""
    made.load_data()
    made.train_chain(network.rule.name)
    begin = time.process_time()
    course = made.over_time("test")
    seconds = time.process_time() - begin
    found = dict(zip(course["steps"], course["accuracy"]))
    enough = next(t for t, a in found.items() if a >= found[network.steps] - modes.WITHIN)
    shown = ", ".join(f"{100 * found[t]:.2f} at {t}" for t in (20, 30, 40, 60) if t in found)
    spikes = " + ".join(f"{n:,.0f}" for n in course["spikes"].values())
    return (f"{100 * of_units(made, weights):.2f}", shown, f"{enough}", spikes, in_float(made), f"{seconds:.0f}")


def experiment(network, variant, seed, weights, directory):
    """The rule's recipe with this network, rule and input: Experiment."""
    recipe, steps = settings.load(RECIPES / f"{network.rule.name}.py"), network.steps
    rule = replace(network.rule, weights=str(weights), **network.variants[variant])
    image_filter = BitPlanes() if variant == "current" else recipe.image_filter
    is_linear = isinstance(rule, softlif.SoftLIF) and variant != "spiking"
    readout = replace(recipe.model.readout, last=steps) if is_linear else SpikeCount(last=steps)
    encoder = (RateEncoder if variant == "poisson" else RegularEncoder)(n_steps=steps, max_rate=1.0)
    return Experiment(replace(recipe, dataset=str(MNIST), seed=seed, rule=rule, image_filter=image_filter,
                              encoder=encoder, slot=steps + 1,
                              model=model_of(network, readout, image_filter.channels)), directory, jobs=1)


def of_units(made, weights):
    """Share of the test digits that the units get right, as they were trained but without noise."""
    model, rule = convert.grey(made.model, worth_of(made.settings.image_filter)), made.settings.rule
    units = convert.load(weights, model)
    digits = datasets.load(str(MNIST), "test", made.store.path)
    images = (digits.images / 255).astype(np.float32)[:, None]
    if isinstance(rule, softlif.SoftLIF):
        kernels, biases = [one.kernels for one in units], [one.bias for one in units]
        return softlif.accuracy(model, kernels, biases, images, digits.labels, rule)
    return convert.accuracy(model, units, images, digits.labels)


def on_board(made, n):
    """How many of the first test digits an emulated board answers like the local engine: at every step, with the same
    counts or membranes and as many spikes of every layer."""
    local, spikes = made.answers("test"), made.data("test")["spikes"].samples(0, n)
    (found,), _ = replicas.classify([made.network(len(made.model.stages), spikes)], made.model.readout, "spinnaker",
                                    directory=made.store.path / "spinnaker", packet_buffer=PACKET_BUFFER)
    same = [all(np.array_equal(found[name][i], local[name][i]) for name in found) for i in range(n)]
    return f"{sum(same)} of {n}"


# ---------------------------------------------------------------- without rounding


def in_float(made):
    """Accuracy without rounding, and the local engine's, on the first digits."""
    layers = [made.trained(stage.number) for stage in made.model.stages]
    spikes, labels = made.data("test")["spikes"], made.data("test")["labels"][:IN_FLOAT]
    right = [floating(made, layers, spikes.samples(first, first + BATCH)) == labels[first:first + BATCH]
             for first in range(0, IN_FLOAT, BATCH)]
    local = made.answers("test")["units"][:IN_FLOAT, -1] == labels
    return f"{100 * np.mean(right):.1f}, {100 * local.mean():.1f}"


def floating(made, layers, spikes):
    """Answers of neurons that do not round: int array (samples,)."""
    stages, n, readout = made.model.stages, spikes.n_samples, made.model.readout
    raster = spikes.raster().reshape(n, spikes.n_steps, *spikes.shape).astype(np.float32)
    fired = [np.zeros((n, *stage.source_shape), np.float32) for stage in stages]
    neurons = [(Integrating if stage.layer.neuron.synapses == "delta" else Leaking)(stage, layer, n)
               for stage, layer in zip(stages, layers)]
    score = np.zeros((n, stages[-1].out_shape[0]))
    first, last = readout.window(spikes.n_steps)
    for step in range(last):
        if isinstance(readout, Membrane) and step >= first:
            score += neurons[-1].v[..., 0, 0]
        now = [one.step(balance.responses(stage.main, layer.kernels, before))
               for one, stage, layer, before in zip(neurons, stages, layers, fired)]
        if isinstance(readout, SpikeCount):
            score += now[-1][..., 0, 0]
        fired = [raster[:, step], *now[:-1]]
    return np.argmax(score + 1e-6 * neurons[-1].v[..., 0, 0], axis=1)


class Integrating:
    """Neurons of a layer that do not leak, with inputs that act for one step."""

    def __init__(self, stage, layer, n):
        self.neuron, self.gain = stage.layer.neuron, balance.gain(stage.layer.neuron)
        self.v_thresh, self.i_offset = (array[:, None, None] for array in (layer.v_thresh, layer.i_offset))
        start = np.zeros(stage.out_shape) if layer.v is None else layer.v.reshape(stage.out_shape)
        self.v = np.tile(start.astype(np.float32), (n, 1, 1, 1))

    def step(self, inputs):
        """One step; `inputs` in nA, (n, *out_shape): 1 where a neuron fires, float32 of the same shape."""
        self.v += self.gain * (inputs + self.i_offset)
        return self.fire()

    def fire(self):
        """Reset the membranes that reach the threshold."""
        fired = (self.v >= self.v_thresh).astype(np.float32)
        self.v[fired > 0] = 0.0
        return fired


class Leaking(Integrating):
    """The same with leak, refractory time and an exponentially decaying current, of one time constant."""

    def __init__(self, stage, layer, n):
        super().__init__(stage, layer, n)
        self.current, self.refractory = np.zeros_like(self.v), np.zeros_like(self.v)
        self.keeps = np.exp(-1.0 / self.neuron.tau_syn_E)

    def step(self, inputs):
        """As of :class:`Integrating`."""
        neuron = self.neuron
        self.current += neuron.tau_syn_E * (1.0 - self.keeps) * inputs
        target = (self.current + self.i_offset) * neuron.tau_m / neuron.cm
        self.v = np.where(self.refractory > 0, self.v, target - np.exp(-1.0 / neuron.tau_m) * (target - self.v))
        self.refractory = np.maximum(self.refractory - 1.0, 0.0)
        self.current *= self.keeps
        fired = self.fire()
        self.refractory[fired > 0] = np.ceil(neuron.tau_refrac)
        return fired


if __name__ == "__main__":
    main()
