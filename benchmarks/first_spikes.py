"""S2-STDP and paired competing neurons (Goupy et al. 2024) as the readout of a finished run's features.

    python main.py --mode demo --run-dir runs/demo
    python benchmarks/first_spikes.py --run-dir runs/demo               # the last 10,000 training digits are asked
    python benchmarks/first_spikes.py --run-dir runs/demo --test        # the test images, after all training images
    python benchmarks/first_spikes.py --run-dir runs/demo --times       # the layer's own first spikes instead of counts

Counts become spikes, the more the earlier. With `--times` an input fires when the first neuron of its cell does, which
is simulated anew.
"""

import argparse
import time
from dataclasses import replace

import numpy as np

from spikingconvnet.experiment import replicas
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.settings import load
from spikingconvnet.network.geometry import grid_cells
from spikingconvnet.training.readout.first_spike import S2STDP, latencies

ASKED = 10_000          # the last training images
STEPS, LARGEST = 64, 8  # of a sample, and the count that fires first


def first_spikes(experiment, split):
    """Step in which each cell fires first: uint16 array (n, cells), and the steps of an image, which is never."""
    stage, found = experiment.model.stages[-1], []
    cells = grid_cells(stage.out_shape, experiment.model.classifier.cells(stage.out_shape))
    for source in replicas.timelines(experiment.data(split)["spikes"]):
        (spikes, _), = experiment.timelines.simulate(stage.number, [source], None, f"spikes, {split}")
        found.append(earliest(spikes, cells))
    return np.concatenate(found), experiment.settings.slot


def earliest(spikes, cells):
    """The same of Spikes whose neurons are in `cells`."""
    steps = np.full((spikes.n_samples, cells.max() + 1), spikes.n_steps, np.uint16)
    sample, neuron, step = spikes.events()
    np.minimum.at(steps, (sample, cells[neuron]), step.astype(np.uint16))
    return steps


def inputs(experiment, split, times):
    """Spikes of the readout's inputs for a split, their labels, and the steps of a sample."""
    if times:
        steps, limit = first_spikes(experiment, split)
        return steps, experiment.data(split)["labels"].astype(np.int64), limit
    counts, labels = experiment.features(split)
    return latencies(counts, STEPS, LARGEST), labels.astype(np.int64), STEPS


def main(args=None):
    """Teach single units and pairs, and print what they reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--run-dir", required=True)
    add("--seed", type=int, default=0, help="of the run")
    add("--test", action="store_true", help="ask the test images")
    add("--times", action="store_true", help="the layer's first spikes instead of its counts")
    add("--train", type=int, help="so many training images (default: all that are not asked)")
    add("--units", type=int, nargs="+", default=[1, 2], choices=(1, 2), help="of a class")
    options = parser.parse_args(args)
    made_by = replace(load(f"{options.run_dir}/parameters.py"), seed=options.seed)
    experiment = Experiment(made_by, options.run_dir, jobs=1)
    spikes, labels, limit = inputs(experiment, "train", options.times)
    end = len(labels) if options.test else len(labels) - ASKED
    asked, truth = inputs(experiment, "test", options.times)[:2] if options.test else (spikes[end:], labels[end:])
    shown = slice(0, options.train or end)
    for units in options.units:
        begin, rule = time.process_time(), S2STDP(paired=units == 2)
        made = rule.taught(spikes[shown], labels[shown], limit, np.random.default_rng(experiment.settings.seed))
        accuracy = 100 * np.mean(made.answers(asked) == truth)
        seconds = time.process_time() - begin
        print(f"| {units * (labels.max() + 1)} units | {accuracy:.2f} | {seconds:.0f} s |", flush=True)


if __name__ == "__main__":
    main()
