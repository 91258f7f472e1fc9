"""What a kernel adds to the readout: a support vector machine with a Gaussian kernel on the counts of a finished run.

    python benchmarks/kernel_svm.py --run-dir runs/best [--split test] [--gamma G ...] [--C C] [--most N]

Both machines learn from the first N training images, on features scaled alike, without deformed copies. The
kernel matrix takes 12 bytes for every pair of images.
"""

import argparse

import numpy as np
from sklearn.svm import SVC

from spikingconvnet.experiment import readout, settings
from spikingconvnet.experiment.experiment import Experiment


def gaussian(a, b, gamma):
    """Kernel matrix ``exp(-gamma |a - b|^2)``: float32 array (len(a), len(b))."""
    squares = (np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1)) - 2.0 * (a @ b.T)
    return np.exp(-gamma * np.maximum(squares, 0.0))


def main(args=None):
    """Print the accuracy of both machines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--run-dir", default="runs/best")
    add("--parameters", help="default: those of the run")
    add("--seed", type=int)
    add("--split", default="test", choices=("test", "validation"))
    add("--gamma", type=float, nargs="+", default=[3.0])
    add("--C", type=float, default=10.0)
    add("--most", type=int, default=15_000, help="training images, at most")
    options = parser.parse_args(args)
    chosen = settings.load(options.parameters or f"{options.run_dir}/parameters.py").with_seed(options.seed)
    experiment = Experiment(chosen, options.run_dir)
    (counts, labels), (asked, truth) = experiment.features("train"), experiment.features(options.split)
    counts, labels = counts[:options.most], labels[:options.most]
    linear = readout.fit(counts, labels, chosen.model.classifier.C, chosen.seed)
    print(f"linear, {len(labels)} images: {100 * np.mean(linear.predict(asked) == truth):.2f} %", flush=True)
    size = np.sqrt(np.mean(np.square(counts, dtype=np.float32), axis=0) * counts.shape[1])
    known, asked = (part / np.maximum(size, 1e-9) for part in (counts, asked))
    for gamma in options.gamma:
        machine = SVC(C=options.C, kernel="precomputed").fit(gaussian(known, known, gamma), labels)
        found = np.concatenate([machine.predict(gaussian(part, known, gamma)) for part in np.array_split(asked, 10)])
        print(f"Gaussian, gamma {gamma:g}, C {options.C:g}: {100 * np.mean(found == truth):.2f} %", flush=True)


if __name__ == "__main__":
    main()
