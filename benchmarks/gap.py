"""How long the gap between images must be: accuracy on one timeline against a reset before every image.

    python benchmarks/gap.py [--parameters FILE] [--slots 20 24 28 38 58] [--train 20000] [--validation 10000]

The kernels are trained once; for each slot the thresholds are calibrated, all images are shown and the classifier is
fitted again. `reset` is a gap of 400 ms. The test set is not read. The last column compares spike
counts per grid cell, at the thresholds of `reset`, with those of `reset`.
"""

import argparse
import tempfile
from dataclasses import replace

import numpy as np

from spikingconvnet.backends.local import simulator
from spikingconvnet.experiment import readout, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model import build
from spikingconvnet.training.layerwise.calibration import calibrate

BATCH = 250
RESET_GAP = 400         # steps after which the state is at rest but for a few units in the last place


def counts(stage, layer, spikes, grid):
    """Spike counts per grid cell on one timeline: uint16 (samples, cells)."""
    parts = []
    with simulator.open(build.inference_network([stage], [layer], spikes)) as simulation:
        for first in range(0, spikes.n_samples, BATCH):
            simulation.run(min(BATCH, spikes.n_samples - first) * spikes.n_steps)
            parts.append(readout.spike_counts(simulation.recording().spikes[stage.label], grid))
    return np.concatenate(parts)


def main(args=None):
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", default="parameters.py")
    parser.add_argument("--slots", type=int, nargs="+", default=[20, 24, 28, 38, 58])
    parser.add_argument("--train", type=int, default=20_000)
    parser.add_argument("--validation", type=int, default=10_000)
    options = parser.parse_args(args)
    base = replace(settings.load(options.parameters), n_train=options.train, n_validation=options.validation, n_test=1)
    stage, classifier = base.model.stages[0], base.model.classifier
    grid = classifier.cells(stage.out_shape)
    with tempfile.TemporaryDirectory() as folder:
        experiment = Experiment(base, folder)
        experiment.load_data()
        learned = experiment.train_layer(1).learned
        train, validation = experiment.data("train"), experiment.data("validation")
    for slot in [RESET_GAP, *options.slots]:
        shown = [resized(data["spikes"], slot) for data in (train, validation)]
        layer = calibrate(stage, learned, shown[0], simulator.open)
        seen = [counts(stage, layer, spikes, grid) for spikes in shown]
        fitted = readout.fit(seen[0], train["labels"], classifier.C, seed=base.seed)
        accuracy = readout.score(fitted.predict(seen[1]), validation["labels"]).accuracy
        if slot == RESET_GAP:
            thresholds, reset = layer, seen[1]
            print("| slot (ms) | validation accuracy (%) | counts that differ from reset (%) |\n|---|---|---|")
        differ = 100 * np.mean(counts(stage, thresholds, shown[1], grid) != reset)
        print(f"| {'reset' if slot == RESET_GAP else slot} | {100 * accuracy:.2f} | {differ:.2f} |", flush=True)


def resized(spikes, slot):
    """The spikes of each sample in a slot of `slot` steps, longer or shorter than before; none is lost."""
    sample, neuron, step = spikes.events()
    return type(spikes).from_events(sample, neuron, step, spikes.shape, spikes.n_samples, slot)


if __name__ == "__main__":
    main()
