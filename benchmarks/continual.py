"""What a readout forgets that goes on learning: a class that is new after the others, and few labels.

    python main.py --mode demo --run-dir runs/demo
    python benchmarks/continual.py --run-dir runs/demo

All in the local engine, by what a board does, reward and punishment over an inhibition (``RewardDriven``), on counts
of the training images of a finished run. The last 10,000 of them are asked, the test images are not opened.

* *A new class.* Units of all classes are there, and nine are taught. Then the tenth class comes, alone, or with as many
  images of the old ones as `--again` says, for as many epochs as before.
* *Few labels*, beside the support vector machine from the same images.
"""

import argparse
from functools import partial

import numpy as np

from spikingconvnet import backends
from spikingconvnet.experiment import readout
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.settings import load
from spikingconvnet.training import RewardDriven

ASKED = 10_000          # the last training images
FEW = (0.04,) * 10      # dopamine of each epoch with few labels


def drawn(labels, classes, each, rng):
    """Places of so many images of each class, in an order of their own."""
    return rng.permutation(np.concatenate([rng.choice(np.flatnonzero(labels == one), each, replace=False)
                                           for one in classes]))


def right(rule, weights, counts, labels, classes):
    """Share of the images of some classes that are recognised, all units answering, %."""
    chosen = np.isin(labels, classes)
    answers = np.argmax(counts[chosen] @ rule.machine(weights).T, axis=1)
    return 100 * float(np.mean(answers == labels[chosen]))


def new_class(taught, asked, again, each, seed):
    """Shares recognised, %: of the old classes before and after the new one came, of the new one, and of all."""
    rng, opened = np.random.default_rng(seed), partial(backends.open, jobs=1)
    (counts, labels), rule = taught, RewardDriven(amounts=(0.16, 0.08))
    new, old = 9, np.arange(9)
    first = drawn(labels, old, each, rng)
    begun = np.full((counts.shape[1], 10), rule.trials.inhibition)
    before = rule.taught(begun, counts[first], labels[first], rng, opened)
    second = np.concatenate([drawn(labels, [new], each, rng), rng.choice(first, again, replace=False)])
    after = rule.taught(before, counts[second], labels[second], rng, opened)
    return [right(rule, before, *asked, old), right(rule, after, *asked, old), right(rule, after, *asked, [new]),
            right(rule, after, *asked, np.arange(10))]


def few_labels(taught, asked, each, seed):
    """Accuracy with so many labels a class, %: of the rule, and of the support vector machine."""
    (counts, labels), rng = taught, np.random.default_rng(seed)
    shown = drawn(labels, np.arange(10), each, rng)
    rule = RewardDriven(amounts=FEW)
    machine, _ = rule.train(counts[shown], labels[shown], 10, rng, partial(backends.open, jobs=1))
    fitted = readout.fit(counts[shown], labels[shown], 3.0, seed)
    return [100 * float(np.mean(answers == asked[1]))
            for answers in (np.argmax(asked[0] @ machine.T, axis=1), fitted.predict(asked[0]))]


def told(name, rows):
    """A line of means and spreads over the seeds."""
    spread = np.std(rows, axis=0, ddof=1) if len(rows) > 1 else np.zeros(len(rows[0]))
    cells = " | ".join(f"{mean:.2f} ± {by:.2f}" for mean, by in zip(np.mean(rows, axis=0), spread))
    print(f"| {name} | {cells} |", flush=True)


def main():
    """Measure and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--each", type=int, default=400, help="images of a class (400)")
    parser.add_argument("--again", type=int, nargs="*", default=(0, 90, 400), help="old images beside the new class")
    parser.add_argument("--seeds", type=int, nargs="*", default=(0, 1, 2))
    asked_for = parser.parse_args()
    experiment = Experiment(load(f"{asked_for.run_dir}/parameters.py"), asked_for.run_dir, jobs=1)
    counts, labels = experiment.features("train")
    taught, asked = (counts[:-ASKED], labels[:-ASKED]), (counts[-ASKED:].astype(np.float32), labels[-ASKED:])
    print("| old images again | old classes before | old classes after | new class | all |\n|---|---|---|---|---|")
    for again in asked_for.again:
        told(again, [new_class(taught, asked, again, asked_for.each, seed) for seed in asked_for.seeds])
    print("\n| labels a class | RewardDriven | support vector machine |\n|---|---|---|")
    for each in (10, 100):
        told(each, [few_labels(taught, asked, each, seed) for seed in asked_for.seeds])


if __name__ == "__main__":
    main()
