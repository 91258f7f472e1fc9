"""What STDP adds: raw pixels, kernels at random, of k-means, of principal components and of STDP, in one pipeline.

    python benchmarks/floors.py [--parameters FILE] [--run-dir DIR] [--seeds 0 1 2] [--split test|validation]
                                [--rules "raw pixels" random kmeans pca stdp]

Each row is trained on the training images and read once on the split. Results are cached in the run directory; pages of
runs beside it show them (docs/report.md).
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikingconvnet.experiment import readout, settings
from spikingconvnet.experiment.described import described
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.training import FLOORS

PIXEL_C = 1.0
ROWS = "raw pixels", *FLOORS, "stdp"


def raw_pixels(experiment, split):
    """Score of a linear SVM on grey or colour values, on the same images, and how many there are."""
    s, parts = experiment.settings, experiment.images.splits()
    learned, asked = parts["train"], parts[split]
    fitted = readout.fit(learned.images.reshape(len(learned), -1), learned.labels, PIXEL_C, seed=s.seed)
    score = readout.score(fitted.predict(asked.images.reshape(len(asked), -1)), asked.labels)
    experiment.store.write_results("floor", {"rule": "raw pixels"})
    experiment.store.write_results(split, {**score.entry(split), "made_from": "raw pixels"})
    return score, learned.images[0].size


def kernels(experiment, rule, split):
    """Score with kernels found by `rule`, and how many features there are."""
    if not experiment.has_data():
        experiment.load_data()
    for stage in experiment.model.stages:
        experiment.train_layer(stage.number, rule)
        experiment.keep_layer_result(stage.number, {"layer": stage.number, "rule": rule, "health": {}})
    experiment.train_svm()
    score = experiment.test(split)
    experiment.keep_result(split, score.entry(split))
    return score, experiment.model.shapes[-1][0]


def main(args=None):
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", default="parameters.py")
    parser.add_argument("--run-dir", default="runs/floors")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--split", default="test", choices=("test", "validation"))
    parser.add_argument("--rules", nargs="+", default=ROWS, choices=ROWS)
    options = parser.parse_args(args)
    base = settings.load(options.parameters)
    print(f"| kernels | features | {options.split} accuracy (%), seeds {options.seeds} | CPU s |\n|---|---|---|---|")
    for name in options.rules:
        begin, found = time.process_time(), []
        for seed in options.seeds[:1] if name == "raw pixels" else options.seeds:
            folder = Path(options.run_dir) / f"{name.replace(' ', '-')}-{seed}"
            experiment = Experiment(replace(base, seed=seed), folder)
            score, size = raw_pixels(experiment, options.split) if name == "raw pixels" else kernels(
                experiment, name, options.split)
            experiment.store.write_results("run", described(experiment.settings, {}))
            found.append(100 * score.accuracy)
        text = ", ".join(f"{a:.2f}" for a in found) + (f" (mean {np.mean(found):.2f})" if len(found) > 1 else "")
        print(f"| {name} | {size} | {text} | {time.process_time() - begin:.0f} |", flush=True)


if __name__ == "__main__":
    main()
