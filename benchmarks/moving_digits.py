"""Moving digits: events that MNIST makes before a moving sensor, an STDP layer that learns from them, and floors.

    python benchmarks/moving_digits.py [--train N] [--test N] [--folder DIR] [--validate] [--board N]

Each digit stands still before a sensor of 34x34 pixels that makes three saccades, as for N-MNIST (Orchard et al. 2015,
Front Neurosci 9, 437, doi 10.3389/fnins.2015.00437): right and down, right and up, and back. A pixel tells of each time
that the logarithm of its light has risen or fallen by a threshold since it last told (Lichtsteiner et al. 2008, IEEE J
Solid-State Circuits 43, 566, doi 10.1109/JSSC.2007.914337). The events are written as one .npz and read back by
``EventBins``. --validate tests with the last training digits and leaves the test file closed; --board shows the first
test digits to the trained chain once more on the emulated board, and compares spikes.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from spikingconvnet import (
    STDP,
    AdditiveWeightDependence,
    Classifier,
    Conv2D,
    Experiment,
    IFCurrExp,
    Sequential,
    SpikePairRule,
    STDPMechanism,
    backends,
)
from spikingconvnet.data import datasets
from spikingconvnet.data.events import EventBins
from spikingconvnet.experiment import Settings, readout

MNIST = Path(__file__).parents[1] / "data" / "mnist"
SIDE, SACCADE = 34, 20              # pixels of the sensor; steps of a saccade
CORNERS = np.array([[0, 0], [3, 1.5], [0, 3], [0, 0]])      # rows and columns of the digit's displacement
DARK, THRESHOLD = 0.1, 0.7          # light of the background, of 1.1; change of its logarithm that is an event
AT_ONCE, C = 500, 1.0
N_STEPS = 3 * SACCADE
CELL = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=2.0, tau_refrac=0.0)
LEARNS = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, tau_syn_E=2.0, tau_syn_I=3.0, tau_refrac=35.0)


def places():
    """Displacement of the digit at the begin and the end of each step: float array (steps + 1, 2)."""
    share = np.arange(N_STEPS + 1) / SACCADE
    return np.column_stack([np.interp(share, np.arange(4), CORNERS[:, axis]) for axis in (0, 1)])


def light(images, place):
    """What falls onto each pixel: float array (n, SIDE, SIDE) of uint8 (n, 28, 28), between pixels linearly."""
    (row, down), (column, right) = (divmod(1.5 + shift, 1.0) for shift in place)
    found = np.zeros((len(images), SIDE, SIDE))
    for i, high in ((0, 1 - down), (1, down)):
        for j, wide in ((0, 1 - right), (1, right)):
            top, left = int(row) + i, int(column) + j
            found[:, top:top + 28, left:left + 28] += high * wide * images / 255
    return found + DARK


def events_of(images):
    """Events of some images: int arrays sample, t (microseconds), x, y, p."""
    path, found = places(), []
    told = np.log(light(images, path[0]))
    for step in range(N_STEPS):
        change = np.log(light(images, path[step + 1])) - told
        times = np.fix(change / THRESHOLD).astype(np.int64)
        told += times * THRESHOLD
        sample, y, x = np.nonzero(times)
        count = abs(times[sample, y, x])
        part = np.repeat(np.stack([sample, np.full(len(x), step), x, y, times[sample, y, x] > 0]), count, axis=1)
        order = np.arange(part.shape[1]) - np.repeat(np.cumsum(count) - count, count)
        part[1] = 1000 * part[1] + 1000 * order // np.repeat(count, count)
        found.append(part)
    return np.concatenate(found, axis=1)


def write(path, parts):
    """Write the events of a training and a test part, (images, labels) each, as one .npz."""
    arrays = {}
    for end, (images, labels) in zip(("", "_test"), parts):
        found = [events_of(images[first:first + AT_ONCE]) + np.array([[first], [0], [0], [0], [0]])
                 for first in range(0, len(images), AT_ONCE)]
        whole = np.concatenate(found, axis=1).astype(np.int32)
        whole = whole[:, np.lexsort((whole[1], whole[0]))]
        begins = np.concatenate([[True], np.diff(whole[0]) > 0])
        whole[1] -= whole[1][np.flatnonzero(begins)][np.cumsum(begins) - 1] // 1000 * 1000
        names = (f"sample{end}", f"t{end}", f"x{end}", f"y{end}", f"p{end}")
        arrays |= dict(zip(names, whole)) | {f"labels{end}": labels}
    np.savez(path, **arrays)


def settings(source, seed=0):
    """The experiment: an STDP layer on events, and an SVM on its counts."""
    stdp = STDP(windows=4000, chunks=20, slot=66, pattern_steps=SACCADE, min_spikes=15, neuron=LEARNS,
                mechanism=STDPMechanism(SpikePairRule(tau_plus=10.0, tau_minus=10.0, A_plus=0.02, A_minus=0.02),
                                        AdditiveWeightDependence(w_min=0.0, w_max=1.0)),
                gate=60.0, lateral=25.0, homeostasis=(0.2, 0.2))
    bins = EventBins(size=(SIDE, SIDE), n_steps=N_STEPS)
    model = Sequential(bins.shape, Conv2D(48, 7, neuron=CELL, firing=0.25, gain=4.0, training=stdp),
                       Classifier(grid=7, C=C))
    return Settings(str(source), bins, bins, N_STEPS + 14, model, seed=seed)


def of_rule(source, folder, rule):
    """Accuracy with kernels found by `rule`, and the experiment."""
    made = Experiment(settings(source), folder / rule)
    if not made.has_data():
        made.load_data()
    if not made.is_trained(1, rule):
        made.train_layer(1, rule)
    made.train_svm()
    return made.test().accuracy, made


def of_counts(made):
    """Accuracy of a linear SVM on how many events of each polarity every pixel has."""
    learned, asked = (made.data(split) for split in ("train", "test"))
    counts = [part["spikes"].counts().reshape(len(part["labels"]), -1) for part in (learned, asked)]
    fitted = readout.fit(counts[0].astype(np.uint16), learned["labels"], C, seed=0)
    return readout.score(fitted.predict(counts[1].astype(np.uint16)), asked["labels"]).accuracy


def on_board(made, n):
    """Whether the emulated board fires the same spikes as the local engine for the first `n` test samples."""
    network = made.network(1, made.data("test")["spikes"].samples(0, n))
    local, board = (backends.run(network, backend=name, **options).spikes["layer1"] for name, options in (
        ("local", {}), ("spinnaker", {"target": "emulated"})))
    return local.n_events, local == board


def main(args=None):
    """Print accuracies as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=int, default=12_000)
    parser.add_argument("--test", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, default=Path("runs/moving-digits"))
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--board", type=int, default=0)
    parser.add_argument("--rules", nargs="*", default=["counts", "stdp", "random"])
    options = parser.parse_args(args)
    digits = datasets.load(str(MNIST), "train")
    train = digits.select(np.arange(options.train))
    test = (digits.select(np.arange(len(digits) - options.test, len(digits))) if options.validate
            else datasets.load(str(MNIST), "test").select(np.arange(options.test)))
    options.folder.mkdir(parents=True, exist_ok=True)
    source = options.folder / "events.npz"
    write(source, [(part.images, part.labels) for part in (train, test)])
    print(f"| kernels | accuracy on {options.test:,} {'training' if options.validate else 'test'} digits (%) | s |")
    print("|---|---|---|")
    for rule in options.rules:
        begin = time.perf_counter()
        if rule == "counts":
            made = Experiment(settings(source), options.folder / "random")
            made.load_data()
            accuracy = of_counts(made)
        else:
            accuracy, made = of_rule(source, options.folder, rule)
        print(f"| {rule} | {100 * accuracy:.2f} | {time.perf_counter() - begin:.0f} |", flush=True)
        if options.board and rule == "stdp":
            events, same = on_board(made, options.board)
            said = f"{options.board} samples: {events:,} spikes, {'identical' if same else 'different'}"
            print(f"| the same on the emulated board | {said} | |", flush=True)


if __name__ == "__main__":
    main()
