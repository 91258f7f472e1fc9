"""What else the accuracy is made of: one experiment, one thing changed at a time.

    python benchmarks/choices.py --store DIR [--groups network learning maps depth] [--rows NAME ...] [--seeds 0 1 2]

A group is a table of experiments that differ from its base; a row is measured through the package, from the images to
the validation images (the last of the training file; the test set is not opened), and kept in DIR as JSON. The same
command goes on where it was interrupted and prints what is there.

network   64 filters of parameters.py, 10,000 training digits: the network and what its classifier sees
learning  32 filters of parameters.py, 10,000 training digits: how the kernels are learned
maps      32 filters of parameters.py, 10,000 training digits, counts summed over whole maps: is there a recipe with
          which STDP beats random kernels?
depth     examples/two_layers.py, 8,000 training and 4,000 validation digits: one, two and three layers
"""

import argparse
import json
import logging
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import worth

from spikingconvnet import plasticity, settings
from spikingconvnet.experiment import Experiment
from spikingconvnet.layers import AvgPool2D
from spikingconvnet.model import Sequential
from spikingconvnet.preprocessing import Deformation, Deslanted

ROOT = Path(__file__).resolve().parent.parent


# ---------------------------------------------------------------- changes: settings in, settings out


def stacked(base, *layers, **readout):
    """The experiment with these layers below the readout, which may change, too."""
    classifier = replace(base.model.classifier, **readout)
    return replace(base, model=Sequential(base.model.input_shape, *layers, classifier))


def last(base, **changes):
    """Another last layer that learns."""
    *below, layer, _ = base.model.layers
    return stacked(base, *below, replace(layer, **changes))


def read(base, **changes):
    """Another classifier."""
    return stacked(base, *base.model.layers[:-1], **changes)


def synapses(base, tau, slot):
    """Other synaptic time constants at inference, ms, and as many steps per image as they need."""
    neuron = replace(base.model.layers[-2].neuron, tau_syn_E=tau, tau_syn_I=tau)
    return replace(last(base, neuron=neuron), slot=slot)


def trained(base, **changes):
    """Another training of the last layer."""
    return last(base, training=replace(base.model.layers[-2].training, **changes))


def copied(base, copies):
    """Deformed copies of the training images near a margin, as in examples/best.py."""
    return replace(base, deformation=Deformation(copies=copies))


# ---------------------------------------------------------------- groups: dict of name to (settings, rule)


def network(base):
    """The network and what its classifier sees."""
    base = last(base, filters=64)
    wide = last(base, filters=128)
    changed = {
        "nothing": base, **{f"{n}x{n} cells": read(base, grid=n) for n in (4, 7, 8, 11)},
        **{f"C = {C:g}": read(base, C=C) for C in (1.0, 10.0)},
        **{f"{n} deformed copies": copied(base, n) for n in (1, 2, 4)},
        "digits set upright": replace(base, image_filter=Deslanted(base.image_filter)),
        "kernels not centred": last(base, centred=False),
        **{f"firing {share:g}": last(base, firing=share) for share in (0.03, 0.2, 0.25, 0.4)},
        "tau_syn 1 ms": synapses(base, 1.0, base.slot),
        "tau_syn 5 ms, slot 38": synapses(base, 5.0, 38),
        "tau_syn 5 ms, slot 38, firing 0.25": synapses(last(base, firing=0.25), 5.0, 38),
        **{f"kernels {n}x{n}": last(base, kernel_size=n) for n in (5, 9)},
        "stride 2": last(base, strides=2),
        "96 filters": last(base, filters=96),
        "128 filters": wide, **{f"128 filters, {n}x{n} cells": read(wide, grid=n) for n in (4, 8)}}
    return {name: (made, "stdp") for name, made in changed.items()}


def learning(base):
    """How the kernels are learned."""
    base = last(base, filters=32)
    made = {}
    for kind, timing in (("all", plasticity.SpikePairRule), ("nearest", plasticity.SpikeNearestPairRule)):
        for law, weights, amplitude in (("additive", plasticity.AdditiveWeightDependence, 0.02),
                                        ("multiplicative", plasticity.MultiplicativeWeightDependence, 0.05)):
            rule = timing(tau_plus=10.0, tau_minus=10.0, A_plus=amplitude, A_minus=amplitude)
            mechanism = plasticity.STDPMechanism(rule, weights(w_min=0.0, w_max=1.0))
            made[f"{kind} pairs, {law}, A = {amplitude:g}"] = trained(base, mechanism=mechanism)
    made |= {f"{n:,} windows": trained(base, windows=n) for n in (500, 1000, 2000, 8000, 20_000)}
    made |= {"thresholds stay": trained(base, homeostasis=(1e-9, 1e-9)),
             "no lateral inhibition": trained(base, lateral=0.0), "no gate": trained(base, gate=0.0)}
    return {**{name: (row, "stdp") for name, row in made.items()},
            "random kernels": (base, "random"), "k-means": (base, "kmeans")}


def maps(base):
    """Counts summed over whole maps, for kernels of three kinds."""
    base = read(last(base, filters=32), grid=1)
    return {f"{n}x{n}, firing {share:g}: {rule}": (last(base, kernel_size=n, firing=share), rule)
            for n, share in ((7, 0.1), (7, 0.25), (7, 0.4), (5, 0.25), (9, 0.25)) for rule in ("random", "stdp")}


def depth(base):
    """One, two and three layers, by number of features."""
    first, pool, second = base.model.layers[:-1]
    one = {f"1 layer: {name}, {n}x{n} cells": (stacked(base, layer, grid=n), "stdp")
           for name, layer, grids in (("16 of 5x5", first, (2, 3, 4, 8)),
                                      ("64 of 7x7", replace(first, filters=64, kernel_size=7), (1, 2)))
           for n in grids}
    small = replace(second, kernel_size=4, firing=0.4)
    short = replace(small, training=replace(second.training, windows=600))
    two = {f"2 layers: {name}, {n}x{n} cells: {rule}": (stacked(base, first, pool, layer, grid=n), rule)
           for name, layer, cells in (
               ("64 of 5x5", second, [(n, "stdp") for n in (4, 2, 1)]),
               ("64 of 5x5, firing 0.4", replace(second, firing=0.4), [(4, "stdp")]),
               ("64 of 4x4, firing 0.4", small, [(4, "stdp")]),
               ("64 of 4x4, firing 0.4, 600 windows", short,
                [(n, rule) for n in (4, 2, 1) for rule in ("stdp", "random", "kmeans")]),
               ("64 of 8x8, firing 0.25", replace(second, kernel_size=8, firing=0.25),
                [(1, rule) for rule in ("stdp", "random", "kmeans")]))
           for n, rule in cells}
    top = replace(short, filters=128, training=replace(short.training, gate=3000.0, lateral=200.0))
    three = {f"3 layers: 32 of 4x4, 128 of 4x4, 600 windows each, whole maps: {rule}":
             (stacked(base, first, pool, replace(short, filters=32), AvgPool2D(2), top, grid=1), rule)
             for rule in ("stdp", "random", "kmeans")}
    return one | two | three


@dataclass(frozen=True)
class Group:
    """A table: its rows, made from a parameters file, and how many images it takes."""

    rows: callable
    parameters: str
    train: int
    validation: int


GROUPS = {"network": Group(network, "parameters.py", 10_000, 10_000),
          "learning": Group(learning, "parameters.py", 10_000, 10_000),
          "maps": Group(maps, "parameters.py", 10_000, 10_000),
          "depth": Group(depth, "examples/two_layers.py", 8_000, 4_000)}


# ---------------------------------------------------------------- measuring


def measured(chosen, rule, folder):
    """Accuracy on the validation images, %, and costs of a row: dict for JSON."""
    begin = time.process_time()
    experiment = Experiment(chosen, folder, jobs=1)
    health = worth.learned(experiment, rule)
    experiment.train_svm()
    counts = experiment.features("train")[0]
    return {"health": health, "features": counts.shape[1],
            "spikes_per_image": float(counts.sum(axis=1, dtype=np.int64).mean()),
            "accuracy": 100 * experiment.test("validation").accuracy,
            "cpu_seconds": round(time.process_time() - begin, 1)}


def rows_of(name, scale=1):
    """Rows of a group: dict of str to (settings, rule)."""
    group = GROUPS[name]
    base = replace(settings.load(ROOT / group.parameters), n_train=group.train // scale,
                   n_validation=group.validation // scale, n_test=1, deformation=None)
    return group.rows(base)


def table(name, rows, found):
    """A group as text; `found` are its cells: dict of row to list of dict."""
    images, _ = next(iter(rows.values()))
    lines = [f"{name}: {GROUPS[name].parameters}, {images.n_train:,} training and {images.n_validation:,} validation"
             " images", "",
             "| changed | features | spikes per image | seeds | validation (%) |", "|---|---|---|---|---|"]
    for row in rows:
        cells = found.get(row, [])
        if cells:
            lines.append(f"| {row} | {cells[0]['features']} | {np.mean([c['spikes_per_image'] for c in cells]):.0f} |"
                         f" {len(cells)} | {worth.spread([c['accuracy'] for c in cells])} |")
    return "\n".join(lines)


def main(args=None):
    """Measure what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--store", type=Path, required=True)
    add("--groups", nargs="+", default=list(GROUPS), choices=GROUPS)
    add("--rows", nargs="+", help="names as in the table (default: all of the groups)")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--scale", type=int, default=1, help="as many times fewer images, to try the program")
    add("--only-print", action="store_true", help="print what is there, measure nothing")
    options = parser.parse_args(args)
    logging.disable(logging.WARNING)
    for name in options.groups:
        rows = rows_of(name, options.scale)
        for seed in [] if options.only_print else options.seeds:
            for row, (chosen, rule) in rows.items():
                if options.rows is None or row in options.rows:
                    worth.keep(path_of(options.store, name, row, seed), partial(
                        cell, row, chosen.with_seed(seed), rule, options.store / f"run-{name}-{seed}"))
        found = {}
        for path in sorted((options.store / name).glob("*.json")):
            kept = json.loads(path.read_text())
            found.setdefault(kept["row"], []).append(kept)
        print(table(name, rows, found), end="\n\n")


def path_of(store, group, row, seed):
    """File of a cell."""
    return store / group / (row.translate(str.maketrans({" ": "-", ",": "", ":": "", "=": ""})) + f"-{seed}.json")


def cell(row, chosen, rule, folder):
    """A row for one seed: dict for JSON."""
    return {"row": row, "seed": chosen.seed, **measured(chosen, rule, folder)}


if __name__ == "__main__":
    main()
