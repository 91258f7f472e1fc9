"""BP-STDP in a board's integers and in single precision: the same weights on MNIST, the same folds of the irises.

    python benchmarks/bpstdp.py --run-dir runs/bpstdp-0 runs/bpstdp-1 runs/bpstdp-2     # after --mode testing in each
    python benchmarks/bpstdp.py --cv 10x5

Prints a table, and the CPU time that the test images take in the engine and in the rule's kernels. Single precision is
answered by ``training.chain.bpstdp.answers``, from the stored layers with their scaling for a board taken back.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikingconvnet.data import datasets, encoding
from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.crossvalidation import Scheme, stratified_folds
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model import build
from spikingconvnet.store.directory import RunDirectory
from spikingconvnet.training.chain import balance, bpstdp

RECIPES = Path(settings.__file__).parent / "recipes"


def main(args=None):
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", metavar="DIR", nargs="+", default=[], help="trained and tested with --rule bpstdp")
    parser.add_argument("--cv", metavar="10x5", type=Scheme.parse, help="cross-validation of the irises")
    parser.add_argument("--seed", type=int, default=0, help="of the folds (default: 0)")
    options = parser.parse_args(args)
    if options.run_dir:
        print("| run | board's integers, test accuracy (%) | CPU s | single precision | CPU s |")
        print("|---|---|---|---|---|")
        for folder in options.run_dir:
            integers, engine, single, kernels = _mnist(Path(folder))
            print(f"| {folder} | {100 * integers:.2f} | {engine:.2f} | {100 * single:.2f} | {kernels:.2f} |",
                  flush=True)
    if options.cv:
        found = 100 * _irises(options.cv, options.seed)
        print(f"irises, single precision, {options.cv}: {found.mean():.2f} %, standard deviation"
              f" {found.std(ddof=1):.2f}")


def _mnist(folder):
    """Accuracy in integers (as stored) and its CPU time, and the same in single precision."""
    loaded = RunDirectory(folder).how("data/train")
    chosen = replace(settings.load(folder / "parameters.py").with_seed(loaded["seed"]), dataset=loaded["source"])
    experiment = Experiment(chosen, folder)
    weights = [unscaled(experiment.trained(stage.number), stage.layer.neuron, threshold)
               for stage, threshold in zip(chosen.model.stages, thresholds(chosen))]
    engine = _engine_seconds(experiment)
    test = datasets.load(chosen.dataset, "test")
    images, rng = _rates(test.images, chosen.image_filter, chosen.encoder), np.random.default_rng([chosen.seed, 2])
    bpstdp.answers(weights, images[:1], rng, chosen.rule)           # compiles
    begin = time.process_time()
    answers = bpstdp.answers(weights, images, rng, chosen.rule)
    seconds = time.process_time() - begin
    return experiment.store.results()["test"]["accuracy"], engine, np.mean(answers == test.labels), seconds


def _rates(images, image_filter, encoder):
    """Spikes a step of every input: float32 array (n, C, H, W)."""
    return encoder.max_rate * encoding.shown(images, image_filter, encoder)


def _engine_seconds(experiment):
    """CPU time of the engine for the stored test images, in the batches of ``--mode testing``."""
    stages, spikes = experiment.model.stages, experiment.data("test")["spikes"]
    layers = [experiment.trained(stage.number) for stage in stages]
    network = build.inference_network(stages, layers, spikes, experiment.settings.reset)
    begin = time.process_time()
    replicas.classify([network], experiment.model.readout, "local", jobs=1)
    return time.process_time() - begin


def thresholds(chosen):
    """Of every layer, as the rule learns with them."""
    hidden = len(chosen.model.stages) - 1
    return [chosen.rule.hidden_threshold] * hidden + [chosen.rule.output_threshold]


def unscaled(layer, neuron, threshold):
    """Weights of a stored layer as the rule learned them: float32 array (inputs, units)."""
    kernels = layer.kernels.reshape(len(layer.kernels), -1).T
    return (kernels * balance.gain(neuron) / layer.v_thresh[0] * threshold).astype(np.float32)


def _irises(scheme, seed):
    """Share of the irises that were recognised in every repeat, on the folds of ``--cv``."""
    chosen = settings.load(RECIPES / "bpstdp-iris.py").with_seed(seed)
    flowers, right = datasets.load(chosen.dataset, "train"), np.zeros(scheme.repeats)
    for repeat in range(scheme.repeats):
        deal = stratified_folds(flowers.labels, scheme.folds, np.random.default_rng([seed, repeat]))
        for fold in range(scheme.folds):
            rng = np.random.default_rng([seed, repeat, fold])
            train, test = (flowers.select(np.flatnonzero(part)) for part in (deal != fold, deal == fold))
            train = train.select(rng.permutation(len(train)))
            image_filter = chosen.image_filter.fitted(train.images)
            shapes = [stage.layer.kernel_shape(stage.in_shape) for stage in chosen.model.stages]
            weights = bpstdp.initial_weights(shapes, chosen.rule, rng)
            shown = [_rates(part.images, image_filter, chosen.encoder) for part in (train, test)]
            bpstdp.learn(weights, shown[0], train.labels, rng, chosen.rule)
            answers = bpstdp.answers(weights, shown[1], rng, chosen.rule)
            right[repeat] += np.sum(answers == test.labels)
    return right / len(flowers)


if __name__ == "__main__":
    main()
