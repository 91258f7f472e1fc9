"""The classifier's fit against scikit-learn's LinearSVC, on the features of a finished run.

    python main.py --mode demo --run-dir runs/demo
    python benchmarks/readout.py --run-dir runs/demo --rounds 3

Both minimise the same on the same features. Pairs in one run, one thread, each in a process of its own: CPU seconds of
the fit, and the MB of that process at most, features included. `excess` is how far what is minimised lies above the
lowest value that was found, the most of all classes. The accuracies are those of the training images, and of the test
images with ``--test``.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
from sklearn.svm import LinearSVC

from spikingconvnet.experiment import readout, svm
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.settings import load

TOLERANCE, ITERATIONS = 0.3, 300        # with which the package fitted until it had a solver of its own


def liblinear(counts, labels, C, seed, tolerance=TOLERANCE):
    """A Readout by LinearSVC, on sparse rows."""
    from scipy.sparse import csr_matrix, vstack

    scale = svm.scales(counts)
    scaled = vstack([csr_matrix(part, dtype=np.float64) for part in svm.blocks(counts)], format="csr")
    scaled.data *= scale[scaled.indices]
    machine = LinearSVC(C=C, dual=True, tol=tolerance, max_iter=ITERATIONS, random_state=seed).fit(scaled, labels)
    return readout.Readout(machine.classes_, machine.coef_ * scale, machine.intercept_)


def minimised(fitted, counts, labels, C):
    """What both minimise, of each class."""
    scale = svm.scales(counts)
    w = np.divide(fitted.coefficients, scale, out=np.zeros_like(fitted.coefficients), where=scale > 0)
    side = np.where(labels[:, None] == fitted.classes, 1.0, -1.0)
    slack = np.maximum(0, 1 - side * fitted.decision(counts))
    return (np.square(w).sum(axis=1) + np.square(fitted.intercepts)) / 2 + C * np.square(slack).sum(axis=0)


def fit_once(name, run_dir, seed, test):
    """Fit in this process, and say what it took."""
    experiment = Experiment(load(os.path.join(run_dir, "parameters.py")), run_dir, jobs=1)
    counts, labels = experiment.features("train")
    strength = experiment.model.classifier.C
    began, fit = time.process_time(), readout.fit if name == "ours" else liblinear
    fitted = fit(counts, labels, strength, seed)
    told = {"cpu": time.process_time() - began,
            "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "train": 100 * float((fitted.predict(counts) == labels).mean()),
            "minimised": minimised(fitted, counts, labels, strength).tolist()}
    if test:
        counts, labels = experiment.features("test")
        told["test"] = 100 * float((fitted.predict(counts) == labels).mean())
    print(json.dumps(told))


def main():
    """Both, alternately, each time in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--run-dir", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test", action="store_true", help="the accuracy on the test images too")
    parser.add_argument("--one", choices=("ours", "liblinear"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        fit_once(args.one, args.run_dir, args.seed, args.test)
        return
    found = {"ours": [], "liblinear": []}
    for number in range(args.rounds):
        for name, told in found.items():
            words = [sys.executable, __file__, "--run-dir", args.run_dir, "--one", name, "--seed",
                     str(args.seed + number), *["--test"] * args.test]
            told.append(json.loads(subprocess.run(words, check=True, capture_output=True, text=True,
                                                  env={**os.environ, "OMP_NUM_THREADS": "1"}).stdout.splitlines()[-1]))
    least = np.min([one["minimised"] for told in found.values() for one in told], axis=0)
    for name, told in found.items():
        excess = max(float((np.array(one["minimised"]) / least - 1).max()) for one in told)
        figures = {key: [round(one[key], 2) for one in told] for key in told[0] if key != "minimised"}
        print(f"{name}: {figures}, excess {excess:.5f}")
    ratios = [theirs["cpu"] / ours["cpu"] for ours, theirs in zip(found["ours"], found["liblinear"])]
    print(f"CPU of liblinear / ours: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
