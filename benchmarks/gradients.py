"""Rules that follow a gradient, row by row: rectifying units converted to integrate-and-fire neurons.

    python benchmarks/gradients.py dense conv [--seeds 0 1 2] [--variants robust data ...] [--run-dir DIR]

Networks are trained on all 60,000 training digits, once a network and seed (kept in the run directory; training needs
torch), and every variant reads the 10,000 test digits once. `float` is the same network without leak and rounding on
the first 1,000 of them, beside the local engine's answers to the same digits. On a busy machine set
OPENBLAS_NUM_THREADS=1.
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikingconvnet import arch, cli, datasets, settings
from spikingconvnet.encoding import RateEncoder, RegularEncoder
from spikingconvnet.experiment import Experiment
from spikingconvnet.layers import SpikeCount
from spikingconvnet.preprocessing import BitPlanes
from spikingconvnet.training import balance, convert
from spikingconvnet.training.descent import Descent

MNIST = Path(__file__).parent.parent / "data" / "mnist"
NETWORKS = {"dense": ("784-1200-1200-10", Descent(epochs=12, shift=1), 60),       # steps an image
            "conv": ("28x28-12c5-2s-64c5-2s-10", Descent(epochs=12, shift=2), 40)}
VARIANTS = {"robust": {}, "data": {"norm": "data"}, "none": {"norm": "none", "threshold": 4.0},
            "model": {"norm": "model", "threshold": 0.25}, "thresholds": {"balance": "thresholds"},
            "half": {"start": 0.5}, "poisson": {}, "current": {}}
IN_FLOAT = 1000
BATCH = 50


def main():
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", choices=tuple(NETWORKS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=["robust"])
    parser.add_argument("--run-dir", default="runs/gradients")
    options = parser.parse_args()
    folder = Path(options.run_dir)
    folder.mkdir(parents=True, exist_ok=True)
    print("| network | variant | seed | rectifying units (%) | spikes (%) | within 0.1 % after | spikes an image |"
          " float, local (%) | training CPU s | test CPU s |\n|" + "---|" * 10)
    for name in options.networks:
        for seed in options.seeds:
            weights, seconds = trained(name, seed, folder)
            for variant in options.variants:
                cells = [NETWORKS[name][0], variant, str(seed), *row(name, variant, seed, weights, folder)]
                print("| " + " | ".join([*cells[:-1], f"{seconds:.0f}", cells[-1]]) + " |", flush=True)


def trained(name, seed, folder):
    """File with the weights of rectifying units, and the CPU seconds that their training took."""
    path, (text, descent, _) = folder / f"{name}-{seed}.npz", NETWORKS[name]
    if not path.exists():
        from spikingconvnet.training.gradients import relu

        rule = convert.Convert(descent=descent)
        digits, begin = datasets.load(str(MNIST), "train", folder), time.process_time()
        kernels, biases, health = relu.train(model_of(text, rule), (digits.images / 255).astype(np.float32)[:, None],
                                             digits.labels, np.random.default_rng([seed, 1]), rule)
        path.with_suffix(".json").write_text(json.dumps({**health, "cpu_seconds": time.process_time() - begin}))
        convert.save(path, kernels, biases)
    return path, json.loads(path.with_suffix(".json").read_text())["cpu_seconds"]


def model_of(text, rule, channels=1, steps=1):
    """The Sequential of an ``--arch``, read out by spike counts over `steps` steps."""
    return arch.parse(text, (channels, 28, 28), rule.neuron, SpikeCount(last=steps))


def row(name, variant, seed, weights, folder):
    """Cells of a row: accuracies, latency, spikes, accuracy in float, CPU seconds of the test."""
    text, descent, steps = NETWORKS[name]
    made = experiment(text, descent, steps, variant, seed, weights, folder / f"{name}-{variant}-{seed}")
    made.load_data()
    made.train_chain("convert")
    begin = time.process_time()
    course = made.over_time("test")
    seconds = time.process_time() - begin
    final = course["accuracy"][-1]
    enough = next(t for t, a in zip(course["steps"], course["accuracy"]) if a >= final - cli.WITHIN)
    shown = ", ".join(f"{100 * course['accuracy'][t - 1]:.2f} at {t}" for t in (20, 30, 40, 60) if t <= steps)
    spikes = " + ".join(f"{n:,.0f}" for n in course["spikes"].values())
    return (f"{100 * rectified(made, weights):.2f}", shown, f"{enough}", spikes, in_float(made), f"{seconds:.0f}")


def experiment(text, descent, steps, variant, seed, weights, directory):
    """The recipe with this network, conversion and input: Experiment."""
    recipe = settings.load(Path(convert.__file__).parents[1] / "recipes" / "convert.py")
    rule = replace(recipe.rule, descent=descent, weights=str(weights), **VARIANTS[variant])
    image_filter = BitPlanes() if variant == "current" else recipe.image_filter
    if variant == "current":
        text = text.replace("784", "8x28x28").replace("28x28-12", "8x28x28-12")
    encoder = (RateEncoder if variant == "poisson" else RegularEncoder)(n_steps=steps, max_rate=1.0)
    return Experiment(replace(recipe, dataset=str(MNIST), seed=seed, rule=rule, image_filter=image_filter,
                              encoder=encoder, slot=steps + 1,
                              model=model_of(text, rule, image_filter.channels, steps)), directory, jobs=1)


def rectified(made, weights):
    """Share of the test digits that the rectifying units get right."""
    model = convert.grey(made.model)
    kernels, biases = convert.load(weights, model)
    digits = datasets.load(str(MNIST), "test", made.store.path)
    return convert.accuracy(model, kernels, biases, (digits.images / 255).astype(np.float32)[:, None], digits.labels)


def in_float(made):
    """Accuracy without leak and rounding, and the local engine's, on the first digits."""
    layers = [made.trained(stage.number) for stage in made.model.stages]
    spikes, labels = made.data("test")["spikes"], made.data("test")["labels"][:IN_FLOAT]
    right = [floating(made, layers, spikes.samples(first, first + BATCH)) == labels[first:first + BATCH]
             for first in range(0, IN_FLOAT, BATCH)]
    local = made.answers("test")["units"][:IN_FLOAT, -1] == labels
    return f"{100 * np.mean(right):.1f}, {100 * local.mean():.1f}"


def floating(made, layers, spikes):
    """Answers of neurons that neither leak nor round: int array (samples,)."""
    stages, n = made.model.stages, spikes.n_samples
    raster = spikes.raster().reshape(n, spikes.n_steps, *spikes.shape).astype(np.float32)
    fired = [np.zeros((n, *stage.source_shape), np.float32) for stage in stages]
    v = [np.zeros((n, *stage.out_shape), np.float32) if layer.v is None else
         np.tile(layer.v.reshape(stage.out_shape).astype(np.float32), (n, 1, 1, 1))
         for stage, layer in zip(stages, layers)]
    counts = np.zeros((n, stages[-1].out_shape[0]))
    for step in range(made.model.readout.window(spikes.n_steps)[1]):
        made_now = []
        for k, (stage, layer) in enumerate(zip(stages, layers)):
            gain = balance.gain(stage.layer.neuron)
            v[k] += gain * (balance.responses(stage, layer.kernels, fired[k]) + layer.i_offset[:, None, None])
            made_now.append((v[k] >= layer.v_thresh[:, None, None]).astype(np.float32))
            v[k][made_now[k] > 0] = 0.0
        counts += made_now[-1][..., 0, 0]
        fired = [raster[:, step], *made_now[:-1]]
    return np.argmax(counts + 1e-6 * v[-1][..., 0, 0], axis=1)


if __name__ == "__main__":
    main()
