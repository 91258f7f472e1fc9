"""What else the accuracy is made of: one experiment, one thing changed at a time.

    python benchmarks/choices.py --store DIR [--groups network learning ...] [--rows NAME ...] [--seeds 0 1 2]

A group is a table of experiments that differ from its base; a row is measured through the package, from the images to
the validation images (the last of the training file; the test set is not opened), and kept in DIR as JSON. The same
command goes on where it was interrupted and prints what is there.

network   64 filters of parameters.py, 10,000 training digits: the network and what its classifier sees
learning  32 filters of parameters.py, 10,000 training digits: how the kernels are learned
maps      32 filters of parameters.py, 10,000 training digits, counts summed over whole maps: is there a recipe with
          which STDP beats random kernels?
readout   16 filters of parameters.py, 10,000 training digits: a readout that a board can learn by itself
depth     examples/three_layers.py, 10,000 training digits: one, two and three layers
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

from spikingconvnet import backends
from spikingconvnet.data.deformation import Deformation
from spikingconvnet.data.encoding import RegularEncoder
from spikingconvnet.data.filters import Deslanted, Intensity
from spikingconvnet.data.images import ImageSet
from spikingconvnet.errors import SettingsError
from spikingconvnet.experiment import crossvalidation, readout, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.model.layers import Dense
from spikingconvnet.model.readouts import Classifier, Membrane
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.network import plasticity
from spikingconvnet.network.neurons import IFCurrExpCa2Adaptive
from spikingconvnet.training.chain.rstdp import RSTDP
from spikingconvnet.training.layerwise.competing import CompetingUnits
from spikingconvnet.training.layerwise.homeostasis import Homeostasis, homeostasis
from spikingconvnet.training.readout.error_driven import ErrorDriven
from spikingconvnet.training.readout.reward_driven import RewardDriven

ROOT = Path(__file__).resolve().parent.parent
IMAGES = 10_000         # for training, and as many for validation
FIGURES = ("accuracy", "100", "10")


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


def alone(base, i_alpha, tau_ca2):
    """Training of the last layer in one run, without a host that moves thresholds: the neurons adapt, nA and ms."""
    neuron = base.model.layers[-2].training.neuron
    adapts = IFCurrExpCa2Adaptive(**vars(neuron), i_alpha=i_alpha, tau_ca2=tau_ca2)
    return trained(base, neuron=adapts, chunks=1, initial_winners=8.0)


def copied(base, copies):
    """Deformed copies of the training images near a margin, as in examples/best.py."""
    return replace(base, deformation=Deformation(copies=copies))


# ---------------------------------------------------------------- other ways to move thresholds


@dataclass(frozen=True)
class Timestamp(Homeostasis):
    """Thresholds that make winners fire in step `target` of a window, and filters win equally often.

    After Falez et al. 2019, IJCNN (doi 10.1109/IJCNN.2019.8852346), but between chunks instead of spikes, and for
    the logarithm of a threshold.
    """

    target: int = 8

    def after(self, rule, thresholds, fired):
        """See ``Homeostasis``."""
        _, neuron, step = fired.events()
        filters, rate = thresholds.shape[1], self.rate(rule, len(thresholds))
        wins = np.bincount(neuron, minlength=filters)
        even = homeostasis(thresholds[-1], wins, wins.mean() + 1e-9, rate)
        late = np.bincount(neuron, step - self.target, filters) / np.maximum(wins, 1)
        return even * np.exp(-rate * np.tanh(late / 5.0))


@dataclass(frozen=True)
class Adaptation(Homeostasis):
    """Thresholds that no host moves: every win raises the winner's by `amount` mV, which decays with `tau` windows.

    They begin at the calibrated ones, and fall to these times `base`. What the adaptation current of sPyNNaker's
    ``IFCurrExpCa2Adaptive`` does (`amount` / (tau_m / cm) nA a spike), told every chunk.
    """

    base: float = 0.5
    amount: float = 0.03
    tau: float = 500.0

    def after(self, rule, thresholds, fired):
        """See ``Homeostasis``."""
        kept, floor = np.exp(-fired.n_samples / self.tau), self.base * thresholds[0]
        return floor + (thresholds[-1] - floor) * kept + self.amount * np.bincount(fired.neurons,
                                                                                   minlength=thresholds.shape[1])


def by_reward(rule, max_rate):
    """A readout by R-STDP on a board, of the counts as rates: a function like :func:`by_margin`."""
    def answered(counts, labels, asked, truth, seed):
        top = np.maximum(np.quantile(counts, 0.99, axis=0), 1.0)
        images = [ImageSet(np.minimum(part * (255.0 / top), 255.0).astype(np.uint8)[:, None], known)
                  for part, known in ((counts, labels), (asked, truth))]
        model = Sequential((1, 1, counts.shape[1]), Dense(10, neuron=rule.neuron), Membrane(first=17, last=18))
        chosen = settings.Settings("", Intensity(), RegularEncoder(n_steps=16, max_rate=max_rate), 18, model,
                                   reset=True, rule=rule)
        units = crossvalidation.one_fold(images[0], labels, images[1], chosen, np.random.default_rng(seed), "local",
                                         {"jobs": 1})
        return 100 * float(np.mean(units == truth))

    return answered


def by_margin(C):
    """A readout by the linear support vector machine: a function of training counts and labels, counts that are asked
    and their labels, and a seed, that gives the accuracy, %."""
    def answered(counts, labels, asked, truth, seed):
        return 100 * readout.score(readout.fit(counts, labels, C, seed).predict(asked), truth).accuracy

    return answered


def by_rule(rule):
    """A readout by a ReadoutRule: a function like :func:`by_margin`."""
    def answered(counts, labels, asked, truth, seed):
        fitted = fitter(Classifier(learn=rule), seed)(counts, labels)
        return 100 * readout.score(fitted.predict(asked), truth).accuracy

    return answered


def fitter(classifier, seed):
    """What fits a Classifier in the local engine, without bars."""
    return readout.fitter(classifier, seed, lambda items, description: items, partial(backends.open, jobs=1))


# ---------------------------------------------------------------- groups: dict of name to Row


@dataclass(frozen=True)
class Row:
    """An experiment.

    Attributes
    ----------
    settings : tuple of Settings
        The counts of several stand side by side before the readout.
    rule : str
    answered : callable or None
        As :func:`by_margin`; None is what the package does.
    """

    settings: tuple
    rule: str = "stdp"
    answered: callable = None


def rows_by_stdp(changed):
    """Rows of dict of str to Settings."""
    return {name: Row((made,)) for name, made in changed.items()}


def network(base):
    """The network and what its classifier sees."""
    base = last(base, filters=64)
    wide, half = last(base, filters=128), [last(base, filters=32, kernel_size=n) for n in (5, 9)]
    changed = {
        "nothing": base, **{f"{n}x{n} cells": read(base, grid=n) for n in (4, 7, 8, 11)},
        **{f"C = {C:g}": read(base, C=C) for C in (1.0, 10.0)},
        **{f"{n} deformed copies": copied(base, n) for n in (1, 2, 4)},
        "digits set upright": replace(base, image_filter=Deslanted(base.image_filter)),
        "kernels not centred": last(base, centred=False), "maps compete, 3 nA": last(base, lateral=3.0),
        **{f"firing {share:g}": last(base, firing=share) for share in (0.03, 0.2, 0.25, 0.4)},
        "tau_syn 1 ms": synapses(base, 1.0, base.slot),
        "tau_syn 5 ms, slot 38": synapses(base, 5.0, 38),
        "tau_syn 5 ms, slot 38, firing 0.25": synapses(last(base, firing=0.25), 5.0, 38),
        **{f"kernels {n}x{n}": last(base, kernel_size=n) for n in (5, 9)},
        "stride 2": last(base, strides=2),
        "96 filters": last(base, filters=96),
        "128 filters": wide, **{f"128 filters, {n}x{n} cells": read(wide, grid=n) for n in (4, 8)}}
    return {**rows_by_stdp(changed), "32 kernels 5x5 beside 32 kernels 9x9": Row(tuple(half))}


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
             **{f"one run, adaptation current of {a:g} nA a win, {tau / 1000:g} s": alone(base, a, tau)
                for a, tau in ((0.06, 30_000.0), (0.1, 5000.0))},
             "no lateral inhibition": trained(base, lateral=0.0), "no gate": trained(base, gate=0.0)}
    often = trained(base, chunks=400)
    return {**rows_by_stdp(made),
            **{f"winners aim at step {t}": Row((trained(base, homeostasis=Timestamp(target=t)),)) for t in (8, 11, 14)},
            **{f"adaptation, {base_share:g} of the start, {a:g} mV a win, {tau} windows":
               Row((trained(often, homeostasis=Adaptation(base=base_share, amount=a, tau=tau)),))
               for base_share, a, tau in ((0.5, 0.03, 500), (0.5, 0.05, 500), (0.2, 0.1, 500))},
            "random kernels": Row((base,), "random"), "k-means": Row((base,), "kmeans"),
            "competing hidden units": Row((last(base, training=CompetingUnits()),))}


def maps(base):
    """Counts summed over whole maps, for kernels of three kinds."""
    base = read(last(base, filters=32), grid=1)
    made = {f"{n}x{n}, firing {share:g}": last(base, kernel_size=n, firing=share)
            for n, share in ((7, 0.1), (7, 0.25), (7, 0.4), (5, 0.25), (9, 0.25))}
    made |= {f"7x7, firing 0.1, lateral {w:g} nA": last(base, lateral=w) for w in (1.0, 3.0, 10.0)}
    return {f"{name}: {rule}": Row((one,), rule) for name, one in made.items() for rule in ("random", "stdp")}


def readouts(base):
    """Machines that read the counts: fitted on a host, or learned by what a board can do."""
    base = last(base, filters=16)
    weak = RSTDP(epochs=3, pattern_steps=16, initial=(0.0, 0.04))
    return {"linear support vector machine": Row((base,)),
            "errors corrected": Row((read(base, C=1.0, learn=ErrorDriven()),)),
            "errors corrected, 30 epochs of the last bit": Row((read(base, C=1.0, learn=ErrorDriven((1,) * 30)),)),
            **{f"R-STDP, {rule.epochs} epochs, pulses of {rule.amount:g}": Row((base,), answered=by_reward(rule, 0.5))
               for rule in (weak, replace(weak, epochs=8), replace(weak, epochs=8, amount=0.02))},
            "reward and punishment over an inhibition": Row((base,), answered=by_rule(RewardDriven()))}


def depth(base):
    """One, two and three layers at 1,024 features, and at 64 over whole maps; the layers below compete or do not."""
    first, pool, second, third = base.model.layers[:-1]
    rows = {}
    for lateral in (0.0, first.lateral):
        below, competing = replace(first, lateral=lateral), ", competing" * bool(lateral)
        rows |= {f"1 layer of 16{competing}, {n}x{n} cells": (stacked(base, below, grid=n), "stdp") for n in (4, 8)}
        rows[f"1 layer of 64{competing}, whole maps"] = stacked(base, replace(below, filters=64), grid=1), "stdp"
        wide = replace(second, lateral=0.0, filters=64)
        large = replace(wide, kernel_size=9, firing=0.4, training=replace(second.training, gate=1000.0))
        middle = second if lateral else replace(second, lateral=0.0)
        for name, grid, layers in (("2 layers, 64 of 4x4 {}, 4x4 cells", 4, (wide,)),
                                   ("2 layers, 64 of 9x9 {}, whole maps", 1, (large,)),
                                   ("3 layers, 64 of 3x3 {}, 4x4 cells", 4, (middle, third))):
            rows |= {f"{name.format('behind competing maps' if lateral else 'on top')}: {rule}":
                     (stacked(base, below, pool, *layers, grid=grid), rule) for rule in ("random", "kmeans", "stdp")}
    return {name: Row((made,), rule) for name, (made, rule) in rows.items()}


@dataclass(frozen=True)
class Group:
    """A table: its rows, made from a parameters file."""

    rows: callable
    parameters: str


GROUPS = {"network": Group(network, "parameters.py"), "learning": Group(learning, "parameters.py"),
          "maps": Group(maps, "parameters.py"), "readout": Group(readouts, "parameters.py"),
          "depth": Group(depth, "examples/three_layers.py")}


# ---------------------------------------------------------------- measuring


def measured(row, seed, folder):
    """Accuracy on the validation images with all labels and with few, %, and costs of a row: dict for JSON."""
    begin = time.process_time()
    made = [Experiment(one.with_seed(seed), Path(folder) / ("beside" * place), jobs=1)
            for place, one in enumerate(row.settings)]
    diagnostics = [worth.learned(experiment, row.rule) for experiment in made]
    counts, asked = (np.hstack([experiment.features(split)[0] for experiment in made])
                     for split in ("train", "validation"))
    labels, truth = (made[0].data(split)["labels"] for split in ("train", "validation"))
    if row.answered is None and len(made) == 1:         # deformed copies are the experiment's
        made[0].train_svm()
        accuracy = 100 * made[0].test("validation").accuracy
    else:
        accuracy = (row.answered or by_margin(made[0].model.classifier.C))(counts, labels, asked, truth, seed)
    classifier = made[0].model.classifier
    own = fitter(classifier, seed) if classifier.learn else None
    few = {} if row.answered else worth.scores(counts, labels, asked, truth, seed, ("100", "10"), own)
    return {"health": diagnostics[0], "features": counts.shape[1], "accuracy": accuracy, **few,
            "spikes_per_image": float(counts.sum(axis=1, dtype=np.int64).mean()),
            "cpu_seconds": round(time.process_time() - begin, 1)}


def rows_of(name, scale=1):
    """Rows of a group: dict of str to Row."""
    group = GROUPS[name]
    return group.rows(replace(settings.load(ROOT / group.parameters), n_train=IMAGES // scale,
                              n_validation=IMAGES // scale, n_test=1, deformation=None))


def table(name, rows, found):
    """A group as text; `found` are its cells: dict of row to list of dict."""
    images = next(iter(rows.values())).settings[0]
    lines = [f"{name}: {GROUPS[name].parameters}, {images.n_train:,} training and {images.n_validation:,} validation"
             " images", "",
             "| changed | features | spikes per image | seeds | all labels (%) | 100 per class | 10 per class |",
             "|---|---|---|---|---|---|---|"]
    for row in rows:
        cells = found.get(row, [])
        worked = [cell for cell in cells if "accuracy" in cell]
        if worked:
            figures = [worth.spread([c[of] for c in worked]) if of in worked[0] else "" for of in FIGURES]
            lines.append(f"| {row} | {worked[0]['features']} | {np.mean([c['spikes_per_image'] for c in worked]):.0f} |"
                         f" {len(worked)} | " + " | ".join(figures) + " |")
        elif cells:
            lines.append(f"| {row} | | | {len(cells)} | {cells[0]['refused']} | | |")
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
    for name in options.groups:
        rows = rows_of(name, options.scale)
        for seed in [] if options.only_print else options.seeds:
            for row in options.rows or rows:
                if row in rows:
                    worth.keep(path_of(options.store, name, row, seed),
                               partial(cell, row, rows[row], seed, options.store / f"run-{name}-{seed}"))
        found = {}
        for path in sorted((options.store / name).glob("*.json")):
            kept = json.loads(path.read_text())
            found.setdefault(kept["row"], []).append(kept)
        print(table(name, rows, found), end="\n\n")


def path_of(store, group, row, seed):
    """File of a cell."""
    return store / group / (row.translate(str.maketrans({" ": "-", ",": "", ":": "", "=": ""})) + f"-{seed}.json")


def cell(name, row, seed, folder):
    """A row for one seed: dict for JSON; one whose layers cannot be calibrated says so."""
    try:
        found = measured(row, seed, folder)
    except SettingsError as error:
        found = {"refused": str(error).split(";")[0]}
    return {"row": name, "seed": seed, **found}


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    main()
