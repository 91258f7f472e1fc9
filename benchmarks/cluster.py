"""Replicas on a dask.distributed cluster of this machine: seconds on the clock with one worker, two, ...

    python benchmarks/cluster.py --run-dir runs/demo [--workers 1 2]

The test images of a trained run go through its last layer, in replicas of 2,500. The time to start the workers is not
counted; that of the network's way to them and of the counts' way back is.
"""

import argparse
import time

import numpy as np

from spikingconvnet.experiment import replicas, settings
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.workers import workers
from spikingconvnet.model import build
from spikingconvnet.model.trained import TrainedLayer

SAMPLES = 2500


def networks(run_dir):
    """Networks of the replicas, the label of their last layer, and the classifier's grid."""
    experiment = Experiment(settings.load(f"{run_dir}/parameters.py"), run_dir)
    stage, grid = experiment.model.stages[-1], experiment.model.classifier.cells(experiment.model.stages[-1].out_shape)
    arrays, spikes = experiment.layer(stage.number), experiment.all_spikes(stage.number - 1, "test")
    trained = [TrainedLayer(arrays["kernels"], arrays["v_thresh"])]
    return [build.inference_network([stage], trained, spikes.samples(first, min(first + SAMPLES, spikes.n_samples)))
            for first in range(0, spikes.n_samples, SAMPLES)], stage.label, grid


def seconds(made, label, grid, n):
    """Seconds on the clock, and the counts."""
    with workers(n, "local") as pool:
        for future in [pool.submit(replicas.respond, made[:1], label, "local", grid, jobs=1) for _ in range(n)]:
            future.result()                             # every worker has loaded everything
        begin = time.perf_counter()
        futures = [pool.submit(replicas.respond, [network], label, "local", grid, jobs=1) for network in made]
        counts = np.concatenate([future.result()[0][0] for future in futures])
        return time.perf_counter() - begin, counts


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run-dir", default="runs/demo")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    made, label, grid = networks(options.run_dir)
    print("| workers | s | times faster |\n|---|---|---|")
    first = None
    for n in options.workers:
        spent, counts = seconds(made, label, grid, n)
        first = first or (spent, counts)
        assert np.array_equal(counts, first[1]), "the integers depend on the workers"
        print(f"| {n} | {spent:.1f} | {first[0] / spent:.2f} |")


if __name__ == "__main__":
    main()
