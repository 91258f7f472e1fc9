"""Spiking networks trained with surrogate gradients, row by row; and how fast, beside spikingjelly.

    python benchmarks/surrogate.py dense conv [--seeds 0 1 2] [--run-dir DIR]
    python benchmarks/surrogate.py dense --speed [--batches 20]

Networks are trained on the first 55,000 training digits, once a network and seed (kept in the run directory; training
needs torch), validated on the other 5,000, and the 10,000 test digits are read once a row. `float` is the same network
in double precision, without the rounding of a board's weights and membranes, shown the same spikes. ``--speed`` trains
the same network with the same batches, steps, neurons, optimiser and one thread in both programs by turns, and prints
images a CPU second; it needs spikingjelly. On a busy machine set OPENBLAS_NUM_THREADS=1.
"""

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikingconvnet.cli import modes
from spikingconvnet.cli.parameters import RECIPES
from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import RateEncoder
from spikingconvnet.experiment import settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model import shorthand
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.training.chain import surrogate
from spikingconvnet.training.chain.balance import cell
from spikingconvnet.training.chain.convert import Convert
from spikingconvnet.training.chain.descent import Descent

MNIST = Path(__file__).parent.parent / "data" / "mnist"
RECIPE = RECIPES / "surrogate.py"
NETWORKS = {"dense": ("784-512-10", surrogate.Surrogate(descent=Descent(epochs=10, shift=1)), 25),   # steps an image
            "conv": ("28x28-12c5-2s-64c5-2s-10", surrogate.Surrogate(
                descent=Descent(epochs=2, batch=64, learning_rate=5e-4),
                start=Convert(descent=Descent(epochs=12))), 15)}
N_TRAIN = 55_000
BATCH = 50
TIE = 1e-3              # of a spike, for a membrane at the threshold
SPEED_BATCH = 128


def main():
    """Print the table, or the speeds, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", choices=tuple(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--run-dir", default="runs/surrogate")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--batches", type=int, default=20)
    options = parser.parse_args()
    if options.speed:
        print("| network | steps | batch | images a CPU second | spikingjelly | ratio |\n|" + "---|" * 6)
        for name in options.networks:
            print("| " + " | ".join(speeds(name, options.batches)) + " |", flush=True)
        return
    folder = Path(options.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    print("| network | seed | validation (%) | spikes (%) | within 0.1 % after | spikes an image | float (%) |"
          " training CPU s | test CPU s |\n|" + "---|" * 9)
    for name in options.networks:
        for seed in options.seeds:
            print("| " + " | ".join([NETWORKS[name][0], str(seed), *row(name, seed, folder)]) + " |", flush=True)


def trained(name, seed, folder):
    """File with the weights of a network, and the diagnostics of their training with the CPU seconds that it took."""
    path, (text, rule, n_steps) = folder / f"{name}-{seed}.npz", NETWORKS[name]
    if not path.exists():
        from spikingconvnet.training.chain.gradients import spiking

        digits, begin = datasets.load(str(MNIST), "train", folder), time.process_time()
        values = (digits.images / 255).astype(np.float32)[:, None]
        images, labels, rng = values[:N_TRAIN], digits.labels[:N_TRAIN], np.random.default_rng([seed, 1])
        model = shorthand.parse(text, (1, 28, 28), rule.neuron, SpikeCount())
        start, before = surrogate.started(model, images, labels, rng, rule, encoder_of(n_steps))
        kernels, diagnostics = spiking.train(model, images, labels, rng, encoder_of(n_steps), rule, start, noted(begin),
                                             (values[N_TRAIN:], digits.labels[N_TRAIN:]))
        path.with_suffix(".json").write_text(json.dumps({**before, **diagnostics,
                                                         "cpu_seconds": time.process_time() - begin}))
        surrogate.save(path, kernels, n_steps)
    return path, json.loads(path.with_suffix(".json").read_text())


def noted(begin):
    """Progress that tells the CPU seconds since `begin` before every epoch."""
    def progress(epochs):
        for epoch in epochs:
            print(f"epoch {epoch}: {time.process_time() - begin:.0f} CPU s", file=sys.stderr, flush=True)
            yield epoch

    return progress


def encoder_of(n_steps):
    """The recipe's encoder with as many steps."""
    return replace(settings.load(RECIPE).encoder, n_steps=n_steps)


def row(name, seed, folder):
    """Cells of a row: accuracies, latency, spikes, accuracy in float, CPU seconds of training and test."""
    text, rule, n_steps = NETWORKS[name]
    weights, diagnostics = trained(name, seed, folder)
    model = shorthand.parse(text, (1, 28, 28), rule.neuron, SpikeCount())
    made = Experiment(replace(settings.load(RECIPE), dataset=str(MNIST), seed=seed, encoder=encoder_of(n_steps),
                              slot=n_steps + len(model.stages) + 1, rule=replace(rule, weights=str(weights)),
                              model=model, n_train=1000), folder / f"{name}-surrogate-{seed}", jobs=1)
    made.load_data()
    made.train_chain("surrogate")
    begin = time.process_time()
    course = made.over_time("test")
    tested = time.process_time() - begin
    final = course["accuracy"][-1]
    enough = next(t for t, a in zip(course["steps"], course["accuracy"]) if a >= final - modes.WITHIN)
    shown = ", ".join(f"{100 * course['accuracy'][t - 1]:.2f} at {t}" for t in (5, 10, 15, 20, 25, 30)
                      if t < course["steps"][-1]) + f", {100 * final:.2f} in the end"
    spikes = " + ".join(f"{n:,.0f}" for n in course["spikes"].values())
    return (f"{100 * diagnostics['float_validation_accuracy']:.2f}", shown, f"{enough}", spikes,
            in_float(made, weights, n_steps), f"{diagnostics['cpu_seconds']:.0f}", f"{tested:.0f}")


def in_float(made, weights, n_steps):
    """Accuracy in double precision on the test digits."""
    kernels, right = surrogate.load(weights, made.model, n_steps), []
    spikes, labels = made.data("test")["spikes"], made.data("test")["labels"]
    for first in range(0, len(labels), BATCH):
        shown = spikes.samples(first, min(first + BATCH, len(labels)))
        fired, v = surrogate.simulated(made.model, kernels, shown)
        answers = np.argmax((fired[-1].sum(axis=1) + TIE * v)[..., 0, 0], axis=1)
        right.append(answers == labels[first:first + BATCH])
    return f"{100 * np.mean(np.concatenate(right)):.2f}"


# ---------------------------------------------------------------- speed


def speeds(name, batches):
    """Cells of a row: network, steps, batch, images a CPU second here and of spikingjelly, ratio; medians."""
    import torch

    torch.set_num_threads(1)
    text, rule, n_steps = NETWORKS[name]
    digits = datasets.load(str(MNIST), "train")
    images = torch.from_numpy((digits.images[:2 * SPEED_BATCH] / 255).astype(np.float32)[:, None])
    labels = torch.from_numpy(digits.labels[:2 * SPEED_BATCH].astype(np.int64))
    programs, seconds = [ours(text, rule, n_steps), jelly(text, rule, n_steps)], [[], []]
    for turn in range(batches + 1):
        part = slice(turn % 2 * SPEED_BATCH, (turn % 2 + 1) * SPEED_BATCH)
        for program, taken in zip(programs, seconds):
            begin = time.process_time()
            step(*program, images[part], labels[part])
            taken.append(time.process_time() - begin)
    found = [SPEED_BATCH / np.median(taken[1:]) for taken in seconds]
    return (text, f"{n_steps}", f"{SPEED_BATCH}", *(f"{rate:,.0f}" for rate in found), f"{found[0] / found[1]:.2f}")


def step(counts, optimiser, images, labels):
    """One step of the descent."""
    from torch.nn import functional

    optimiser.zero_grad()
    functional.cross_entropy(counts(images), labels).backward()
    optimiser.step()


def ours(text, rule, n_steps):
    """Counts of output spikes as a function of images, and an optimiser of the weights."""
    import torch

    from spikingconvnet.training.chain.gradients import spiking

    model = shorthand.parse(text, (1, 28, 28), rule.neuron, SpikeCount())
    chain = spiking.Spiking(model, np.random.default_rng(0), RateEncoder(n_steps=n_steps, max_rate=1.0), rule)
    return chain.counts, torch.optim.Adam(chain.parameters(), rule.descent.learning_rate)


def jelly(text, rule, n_steps):
    """The same of spikingjelly: all steps at once, its own random encoder, SoftSign as the surrogate."""
    import torch
    from spikingjelly.activation_based import encoding, functional, layer, neuron
    from spikingjelly.activation_based import surrogate as shapes

    decay, reset = cell(rule.neuron)
    model = shorthand.parse(text, (1, 28, 28), rule.neuron, SpikeCount())
    layers = []
    for stage in model.stages:
        if stage.pool is not None:
            layers.append(layer.AvgPool2d(stage.pool.pool_size, step_mode="m"))
        layers += ([layer.Flatten(step_mode="m"), layer.Linear(int(np.prod(stage.in_shape)), stage.out_shape[0],
                                                               bias=False, step_mode="m")] if stage.dense else
                   [layer.Conv2d(stage.in_shape[0], stage.out_shape[0], stage.layer.kernel_size, bias=False,
                                 step_mode="m")])
        layers.append(neuron.LIFNode(tau=1.0 / (1.0 - decay), decay_input=False, v_threshold=1.0, v_reset=reset,
                                     surrogate_function=shapes.SoftSign(alpha=rule.slope), detach_reset=True,
                                     step_mode="m"))
    network, encode = torch.nn.Sequential(*layers), encoding.PoissonEncoder()

    def counts(images):
        functional.reset_net(network)
        return network(torch.stack([encode(images) for _ in range(n_steps)])).sum(dim=0)

    return counts, torch.optim.Adam(network.parameters(), rule.descent.learning_rate)


if __name__ == "__main__":
    main()
