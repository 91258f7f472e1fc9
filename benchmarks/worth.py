"""What STDP is worth: kernels found in six ways, through one pipeline, for few and many filters, labels and features.

    python benchmarks/worth.py --store DIR [--filters 4 8 16 32] [--rules ...] [--seeds 0 1 2] [--lateral 0 3]
    python benchmarks/worth.py --store DIR --filters 16 --rules stdp --windows 250 1000 8000      # how much training?
    python benchmarks/worth.py --store DIR --parameters examples/two_layers.py        # the last layer of any experiment
    python benchmarks/worth.py --store DIR --source digits                            # or the directory of any IDX set
    python benchmarks/worth.py --store DIR --source pictures --train 4000 --validation 2000     # digits on photographs
    python benchmarks/worth.py --table docs/worth-table.md --figure docs/worth.png    # the picture of a printed table
    python benchmarks/worth.py --table docs/worth-table.md --joules                   # accuracy, spikes and energy

A cell is one layer found by one rule with one number of filters and one seed; `--lateral` makes its maps compete when
it answers, by that many nA. Its spike counts are read out on a grid
of cells per map and summed over the whole map (global), by a linear SVM that knows all labels, 100 and 10 per class.
Every cell is kept in DIR as JSON; the same command goes on where it was interrupted and prints what is there. Layers
below the last learn by STDP. Cells are read on validation images (the last of the training file); the test set is not
opened.
"""

import argparse
import json
import logging
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from spikingconvnet.data import datasets
from spikingconvnet.experiment import readout, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model.readouts import Classifier
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.training import FLOORS, LocalErrors, layer_rule

# depression: STDP without its potentiation
RULES = ("random", "kmeans", "pca", "depression", "stdp", LocalErrors.name)
GRID = 6
READINGS = {f"grid {GRID}": GRID, "grid 2": 2, "global": 1}
LABELS = {"all": None, "100": 100, "10": 10}            # per class
DRAWS = 5                                               # choices of few labels that a figure is the mean of
C = 3.0
# J of a neuron and ms, and of a synaptic event: Sharp et al. 2012, J Neurosci Methods 210, 110
NEURON, EVENT = 1e-7, 4.3e-8
NEURONS, STEPS, UNITS = 22 * 22, 28, 10     # of a map of parameters.py, ms of a digit, units that answer on the board
SEEN = 14_191           # synaptic events that the input's 338 spikes of a digit are for a filter; first 10,000 digits
COLOURS = {"random": "#7f7f7f", "kmeans": "#009E73", "pca": "#CC79A7", "depression": "#E69F00", "stdp": "#0072B2",
           LocalErrors.name: "#56B4E9"}


# ---------------------------------------------------------------- one cell


def experiment_of(base, filters, rule, windows, lateral, seed, folder):
    """The experiment of a cell: the last layer that learns has `filters` filters and shows `windows` windows."""
    *below, last, _ = base.model.layers
    training = last.training if windows is None else replace(last.training, windows=windows)
    if rule == "depression":
        mechanism = training.mechanism
        timing = replace(mechanism.timing_dependence, A_plus=0.0)
        training = replace(training, mechanism=replace(mechanism, timing_dependence=timing))
    last = replace(last, filters=filters, training=training, lateral=lateral)
    model = Sequential(base.model.input_shape, *below, last, Classifier(GRID, C))
    return Experiment(replace(base, model=model, seed=seed), folder, jobs=1)


def learned(experiment, rule):
    """Load the images and train what is not trained yet, the last layer by a floor or its own rule: its diagnostics."""
    if not experiment.has_data():
        experiment.load_data()
    *below, last = experiment.model.stages
    for stage in below:
        if not experiment.is_trained(stage.number, "stdp"):
            experiment.train_layer(stage.number)
    rule = rule if rule in (*FLOORS, LocalErrors.name) else None
    if not experiment.is_trained(last.number, layer_rule(last, rule).name):
        experiment.train_layer(last.number, rule)
    return experiment.layer(last.number)["how"]["health"]


def measured(experiment, rule):
    """Scores and costs of a cell: dict for JSON."""
    begin = time.process_time()
    diagnostics, last = learned(experiment, rule), experiment.model.stages[-1]
    train, validation = experiment.features("train"), experiment.features("validation")
    found = {"health": diagnostics, "spikes_per_image": float(train[0].sum(axis=1, dtype=np.int64).mean()),
             "scores": {}, "features": {}}
    for reading, cells in READINGS.items():
        counts = [coarser(part, last.out_shape[0], cells) for part, _ in (train, validation)]
        found["features"][reading] = counts[0].shape[1]
        found["scores"][reading] = scores(counts[0], train[1], counts[1], validation[1], experiment.settings.seed)
    return {**found, "cpu_seconds": round(time.process_time() - begin, 1)}


def coarser(counts, maps, cells, grid=GRID):
    """Counts on `grid` x `grid` cells per map as counts on `cells` x `cells`: (samples, maps * cells * cells)."""
    ratio = grid // cells
    blocks = counts.reshape(len(counts), maps, cells, ratio, cells, ratio)
    return blocks.sum(axis=(3, 5), dtype=np.uint32).reshape(len(counts), -1)


def scores(counts, labels, asked, truth, seed, names=tuple(LABELS), fit=None):
    """Accuracy, %, by how many labels per class the SVM knows, or what else ``fit(counts, labels)`` gives: dict of str
    to float."""
    found, fit = {}, fit or partial(readout.fit, C=C, seed=seed)
    for name in names:
        per_class, accuracies = LABELS[name], []
        for draw in range(1 if per_class is None else DRAWS):
            chosen = few(labels, per_class, np.random.default_rng([seed, draw]))
            fitted = fit(counts[chosen], labels[chosen])
            accuracies.append(100 * readout.score(fitted.predict(asked), truth).accuracy)
        found[name] = float(np.mean(accuracies))
    return found


def few(labels, per_class, rng):
    """Indices of `per_class` samples of each class, drawn at random; None takes all there are."""
    if per_class is None:
        return np.arange(len(labels))
    order = rng.permutation(len(labels))
    return np.sort(np.concatenate([order[labels[order] == c][:per_class] for c in np.unique(labels)]))


def pixels(base, seed, folder):
    """The cell of the grey values: no layer at all."""
    part = Experiment(replace(base, seed=seed), folder).images.splits()
    flat = {name: images.images.reshape(len(images), -1) for name, images in part.items()}
    found = scores(flat["train"], part["train"].labels, flat["validation"], part["validation"].labels, seed)
    return {"scores": {"pixels": found}, "features": {"pixels": flat["train"].shape[1]}}


# ---------------------------------------------------------------- all cells


def cells_of(options):
    """Every cell that is asked for, the cheap ones first: dict of what it is."""
    return [{"rule": rule, "filters": filters, "windows": windows, "lateral": lateral, "seed": seed}
            for filters in sorted(options.filters) for lateral in options.lateral for seed in options.seeds
            for rule in options.rules for windows in (options.windows if rule in ("depression", "stdp") else [None])]


def name_of(cell):
    """Name of a cell's file."""
    more = f"-{cell['windows']}" * bool(cell["windows"]) + f"-lateral-{cell['lateral']:g}" * bool(cell["lateral"])
    return f"{cell['rule']}-{cell['filters']}-{cell['seed']}{more}"


def run(base, options, store):
    """Measure the cells that are not in `store` yet."""
    for seed in options.seeds:
        keep(store / f"pixels-{seed}.json", lambda seed=seed: {
            "rule": "pixels", "filters": 0, "windows": None, "lateral": 0.0, "seed": seed,
            **pixels(base, seed, store / "pixels")})
    for cell in cells_of(options):
        keep(store / f"{name_of(cell)}.json", lambda cell=cell: {**cell, **answered(base, cell, store)})


def answered(base, cell, store):
    """Measure a cell in the run directory of its seed, whose features go when they have been read out."""
    made = experiment_of(base, folder=store / f"run-{cell['seed']}", **cell)
    found = measured(made, cell["rule"])
    for path in (made.store.path / "features").glob("*.npz"):
        path.unlink()
    return found


def keep(path, make):
    """Write what ``make()`` gives as JSON, unless it is there."""
    if not path.is_file():
        text = json.dumps(make())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".tmp").write_text(text)
        path.with_suffix(".tmp").rename(path)


def digits(folder):
    """scikit-learn's 1,797 digits as IDX files, enlarged to 24 x 24 in a frame of 2: 1,297 train, 500 test."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    large = np.kron(images.reshape(-1, 8, 8) * 15.9375, np.ones((1, 3, 3))).astype(np.uint8)
    large = np.pad(large, ((0, 0), (2, 2), (2, 2)))
    for name, part in (("train", slice(0, 1297)), ("test", slice(1297, None))):
        datasets.save(folder, name, large[part], labels[part].astype(np.uint8))
    return folder


def pictures(folder, source):
    """Digits on pieces of scikit-learn's two photographs as IDX files: 4,000 on left halves, 2,000 on right ones."""
    from sklearn.datasets import load_sample_images

    photographs = [np.asarray(one).mean(axis=2) for one in load_sample_images().images]
    digits, rng = datasets.load(source, "train"), np.random.default_rng(0)
    chosen = np.concatenate([np.arange(4000), np.arange(-2000, 0)])
    made = np.stack([on_picture(digits.images[i], photographs[rng.integers(2)], i < 0, rng) for i in chosen])
    for name, part in (("train", slice(None)), ("test", slice(10))):
        datasets.save(folder, name, made[part], digits.labels[chosen][part].astype(np.uint8))
    return folder


def on_picture(digit, photograph, right, rng):
    """A digit in front of a piece of one half of a photograph."""
    (rows, columns), half = digit.shape, photograph.shape[1] // 2
    x, y = rng.integers(0, half - columns) + right * half, rng.integers(0, photograph.shape[0] - rows)
    ink = digit / 255.0
    return np.rint(255 * ink + (1 - ink) * 0.8 * photograph[y:y + rows, x:x + columns]).astype(np.uint8)


# ---------------------------------------------------------------- what came out


def gathered(store):
    """All cells of a store: list of dict."""
    return [json.loads(path.read_text()) for path in sorted(store.glob("*.json"))]


def rows(found):
    """Seeds of a cell together: dict from (rule, filters, windows, lateral, reading) to dict of label count to
    accuracies, and the number of features and spikes per image."""
    table = {}
    for cell in found:
        for reading, by_labels in cell["scores"].items():
            row = table.setdefault((*(cell[name] for name in ("rule", "filters", "windows", "lateral")), reading),
                                   {"features": cell["features"][reading], "spikes": [], **{n: [] for n in LABELS}})
            row["spikes"].append(cell.get("spikes_per_image", np.nan))
            for name, accuracy in by_labels.items():
                row[name].append(accuracy)
    return table


def spread(values):
    """Mean and standard deviation over seeds as text."""
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else f"{np.mean(values):.2f}"


def markdown(table):
    """The table as text, grouped by reading and filters."""
    readings = ["pixels", *READINGS]
    order = sorted(table, key=lambda k: (readings.index(k[4]), k[3], k[1], ["pixels", *RULES].index(k[0]), k[2] or 0))
    lines = ["| reading | lateral (nA) | filters | kernels | features | spikes per image | seeds | all labels (%) |"
             " 100 per class | 10 per class |\n|---|---|---|---|---|---|---|---|---|---|"]
    for rule, filters, windows, lateral, reading in order:
        row = table[rule, filters, windows, lateral, reading]
        spikes = f"{np.mean(row['spikes']):.0f}" if np.isfinite(row["spikes"]).all() else ""
        name = f"{rule}, {windows} windows" if windows else rule
        lines.append(f"| {reading} | {lateral:g} | {filters or ''} | {name} | {row['features']} | {spikes} |"
                     f" {len(row['spikes'])} | " + " | ".join(spread(row[n]) for n in LABELS) + " |")
    return "\n".join(lines)


def joules(filters, lateral, spikes):
    """J that a digit takes on SpiNNaker by its neurons and synaptic events, with the layer of parameters.py."""
    each = (filters - 1) * bool(lateral) + UNITS        # synaptic events of a spike of the layer
    return filters * NEURONS * STEPS * NEURON + (filters * SEEN + spikes * each) * EVENT


def costs(table):
    """Accuracy on a grid beside spikes and energy, as text: the cheapest first."""
    lines = ["| filters | kernels | spikes per image | mJ per image | all labels (%) | 10 per class |\n"
             "|---|---|---|---|---|---|"]
    order = sorted(table, key=lambda key: (key[1], key[3], [*RULES, key[0]].index(key[0])))
    for rule, filters, windows, lateral, reading in order:
        row = table[rule, filters, windows, lateral, reading]
        if reading == f"grid {GRID}" and not windows:
            name, spikes = f"{rule}{', competing' * bool(lateral)}", np.mean(row["spikes"])
            lines.append(f"| {filters} | {name} | {spikes:.0f} | {1000 * joules(filters, lateral, spikes):.1f} |"
                         f" {spread(row['all'])} | {spread(row['10'])} |")
    return "\n".join(lines)


def printed(text):
    """The table that :func:`markdown` has printed: as of :func:`rows`, with accuracies of the same mean and spread.

    Of several tables with the same rows the first counts.
    """
    table = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 10 or cells[0] not in ("pixels", *READINGS):
            continue
        reading, lateral, filters, name, features, spikes, seeds, *shown = cells
        rule, _, windows = name.removesuffix(" windows").partition(", ")
        key = (rule, int(filters or 0), int(windows) if windows else None, float(lateral), reading)
        table.setdefault(key, {"features": int(features), "spikes": [float(spikes or "nan")] * int(seeds),
                               **{labels: _spread_out(cell) for labels, cell in zip(LABELS, shown)}})
    return table


def _spread_out(text):
    """Numbers of the mean and standard deviation that a text says."""
    mean, _, deviation = text.partition(" ± ")
    return [float(mean) + k * float(deviation or 0) for k in ((-1, 0, 1) if deviation else (0,))]


def drawn(table):
    """What the table tells as one picture: Figure.

    Errors on a grid and over whole maps by filters, with all labels and with few; by spikes per image and by number of
    features, whatever the reading; by training windows. Logarithmic, the better the higher: accuracies near 100 % would
    lie on each other. Full lines: every map for itself; dashed ones: maps that compete.
    """
    figure = Figure(figsize=(9.0, 13.0), layout="constrained")
    axes = figure.subplots(4, 2)
    fixed = [key for key in table if not key[2]]
    for line, reading in zip(axes, (f"grid {GRID}", "global")):
        for axis, labels in zip(line, ("all", "10")):
            _curves(axis, table, labels, [k for k in fixed if k[4] == reading], lambda k: k[1])
            axis.set(title=_title(reading, labels), xlabel="filters")
    on_grid = [key for key in table if key[4] == f"grid {GRID}"]
    _curves(axes[2, 0], table, "all", [k for k in on_grid if not k[2]], lambda k: np.mean(table[k]["spikes"]))
    axes[2, 0].set(title=_title(f"grid {GRID}", "all"), xlabel="spikes per image")
    _curves(axes[2, 1], table, "10", fixed, lambda k: table[k]["features"], best=True)
    axes[2, 1].set(title="best reading so far, 10 labels per class", xlabel="features, at most")
    for axis, labels in zip(axes[3], ("all", "10")):
        trained = [key for key in on_grid if key[2]]
        _curves(axis, table, labels, trained, lambda k: k[2])
        many = " or ".join(str(n) for n in sorted({k[1] for k in trained}))
        axis.set(title=_title(f"grid {GRID}", labels), xlabel=f"training windows, {many} filters")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=11,
                  frameon=False)
    figure.supylabel("error (%): mean and standard deviation over seeds", fontsize=11)
    return figure


def _title(reading, labels):
    cells = "whole maps" if reading == "global" else f"{GRID}x{GRID} cells"
    return f"{cells}, {'all labels' if labels == 'all' else labels + ' labels per class'}"


def _curves(axis, table, labels, keys, across, best=False):
    """A curve for every rule and inhibition: accuracy by ``across(key)``; `best`: the best up to there."""
    keys = [key for key in keys if key[0] in RULES]
    for rule, lateral in sorted({(k[0], k[3]) for k in keys}, key=lambda p: (RULES.index(p[0]), p[1])):
        found = sorted((across(k), table[k][labels]) for k in keys if (k[0], k[3]) == (rule, lateral))
        if best:
            found = [(x, max((f for at, f in found if at <= x), key=np.mean)) for x, _ in found]
        axis.errorbar([x for x, _ in found], [100 - np.mean(f) for _, f in found],
                      [np.std(f, ddof=len(f) > 1) for _, f in found], color=COLOURS[rule], marker=".", capsize=2,
                      linestyle="--" if lateral else "-", label=f"{rule}, competing" if lateral else rule)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.invert_yaxis()
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_major_locator(LogLocator(10, (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 7)))
    axis.yaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_major_formatter(lambda error, _: f"{error:.3g}")
    axis.grid(alpha=0.3)


def main(args=None):
    """Measure what is missing, print the table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--store", type=Path)
    where.add_argument("--table", type=Path, help="a table that was printed; nothing is measured")
    add("--parameters", default="parameters.py")
    add("--source", help="directory of an IDX set; digits: scikit-learn's; pictures: MNIST's on photographs")
    add("--filters", type=int, nargs="+", default=[4, 8, 16, 32, 64, 128])
    add("--rules", nargs="+", default=RULES, choices=RULES)
    add("--windows", type=int, nargs="+", default=[None], help="training windows (default: those of the parameters)")
    add("--lateral", type=float, nargs="+", default=[0.0], help="inhibition between maps at inference, nA")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--train", type=int, default=10_000)
    add("--validation", type=int, default=10_000)
    add("--figure", type=Path, help="where the figure goes (PNG)")
    add("--joules", action="store_true", help="accuracy beside spikes and energy, for layers of parameters.py")
    add("--only-print", action="store_true", help="print what is there, measure nothing")
    options = parser.parse_args(args)
    table = printed(options.table.read_text(encoding="utf-8")) if options.table else _measured_cells(options)
    print(costs(table) if options.joules else markdown(table))
    if options.figure:
        drawn(table).savefig(options.figure, dpi=100, metadata={"Software": None})


def _measured_cells(options):
    """Measure what is missing in a store: the table of what is there."""
    base = settings.load(options.parameters)
    if options.source == "digits":
        base, options.train, options.validation = replace(base, dataset=str(digits(options.store / "digits"))), 897, 400
    elif options.source == "pictures":
        base = replace(base, dataset=str(pictures(options.store / "pictures", base.dataset)))
    elif options.source:
        base = replace(base, dataset=options.source)
    base = replace(base, n_train=options.train, n_validation=options.validation, n_test=1, deformation=None)
    if not options.only_print:
        run(base, options, options.store)
    return rows(gathered(options.store))


if __name__ == "__main__":
    logging.disable(logging.WARNING)                # sPyNNaker's weights that round to zero, in every cell
    main()
