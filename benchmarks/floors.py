"""What learning adds: raw pixels, kernels at random, of k-means, of principal components, of STDP and of labels.

    python benchmarks/floors.py [--parameters FILE] [--source FILE] [--run-dir DIR] [--seeds 0 1 2]
                                [--split test|validation] [--grids 4 2 1] [--lateral 10]
                                [--rules "raw pixels" random kmeans pca stdp local-errors]

All of them go through one pipeline. `--source` is another data set than that of the parameters, `--lateral` has the
maps of all layers but the last compete, `--grids` reads the last layer's counts in coarser cells too, a column each.

Each row is trained on the training images and read once on the split. Results are cached in the run directory; pages of
runs beside it show them (docs/report.md).
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from worth import coarser

from spikingconvnet.experiment import readout, settings
from spikingconvnet.experiment.described import described
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model.layers import Conv2D
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.training import FLOORS, LAYERWISE

PIXEL_C = 1.0
ROWS = "raw pixels", *FLOORS, *(name for name in LAYERWISE if name not in FLOORS)


def raw_pixels(experiment, split):
    """Score of a linear SVM on grey or colour values of the same images, and how many there are: a list of one each."""
    if not experiment.has_data():           # which tells the model its shape
        experiment.load_data()
    s, parts = experiment.settings, experiment.images.splits()
    learned, asked = parts["train"], parts[split]
    fitted = readout.fit(learned.images.reshape(len(learned), -1), learned.labels, PIXEL_C, seed=s.seed)
    score = readout.score(fitted.predict(asked.images.reshape(len(asked), -1)), asked.labels)
    experiment.store.write_results("floor", {"rule": "raw pixels"})
    experiment.store.write_results(split, {**score.entry(split), "made_from": "raw pixels"})
    return [score], [learned.images[0].size]


def kernels(experiment, rule, split, grids):
    """Scores with kernels found by `rule`, one for each of `grids`, and how many features there are in each."""
    if not experiment.has_data():
        experiment.load_data()
    for stage in experiment.model.stages:
        experiment.train_layer(stage.number, rule)
        experiment.keep_layer_result(stage.number, {"layer": stage.number, "rule": rule, "health": {}})
    experiment.train_svm()
    score = experiment.test(split)
    experiment.keep_result(split, score.entry(split))
    maps, (own, _) = experiment.model.stages[-1].out_shape[0], experiment.model.classifier.grid
    parts = {part: experiment.features(part) for part in ("train", split)} if grids != [own] else {}
    scores = []
    for cells in grids:
        if cells != own:
            found = {part: coarser(counts, maps, cells, own) for part, (counts, _) in parts.items()}
            fitted = readout.fit(found["train"], parts["train"][1], experiment.model.classifier.C,
                                 seed=experiment.settings.seed)
            scores.append(readout.score(fitted.predict(found[split]), parts[split][1]))
        else:
            scores.append(score)
    return scores, [maps * cells * cells for cells in grids]


def asked_for(options):
    """The settings that the options ask for."""
    base = settings.load(options.parameters)
    layers = list(base.model.layers)
    for k in [k for k, layer in enumerate(layers) if isinstance(layer, Conv2D)][:-1]:
        layers[k] = replace(layers[k], lateral=options.lateral)
    return replace(base, dataset=options.source or base.dataset, model=Sequential(base.model.given_shape, *layers))


def main(args=None):
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", default="parameters.py")
    parser.add_argument("--source")
    parser.add_argument("--run-dir", default="runs/floors")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--split", default="test", choices=("test", "validation"))
    parser.add_argument("--grids", type=int, nargs="+")
    parser.add_argument("--lateral", type=float, default=0.0)
    parser.add_argument("--rules", nargs="+", default=ROWS[:-1], choices=ROWS)
    options = parser.parse_args(args)
    base = asked_for(options)
    grids = options.grids or [base.model.classifier.grid[0]]
    print(f"{options.split} accuracy (%), seeds {' '.join(map(str, options.seeds))}\n")
    print(f"| kernels | {' | '.join(f'{one}x{one} cells' for one in grids)} | features | CPU s |")
    print("|---" * (len(grids) + 3) + "|")
    for name in options.rules:
        begin, found = time.process_time(), []
        for seed in options.seeds[:1] if name == "raw pixels" else options.seeds:
            folder = Path(options.run_dir) / f"{name.replace(' ', '-')}-{seed}"
            experiment = Experiment(replace(base, seed=seed), folder)
            scores, sizes = raw_pixels(experiment, options.split) if name == "raw pixels" else kernels(
                experiment, name, options.split, grids)
            experiment.store.write_results("run", described(experiment.settings, {}))
            found.append([100 * score.accuracy for score in scores])
        texts = [", ".join(f"{one:.2f}" for one in column) + f" (mean {np.mean(column):.2f})" * (len(found) > 1)
                 for column in zip(*found)]
        print(f"| {name} | {' | '.join(texts + [''] * (len(grids) - len(texts)))} | {', '.join(map(str, sizes))} |"
              f" {time.process_time() - begin:.0f} |", flush=True)


if __name__ == "__main__":
    main()
