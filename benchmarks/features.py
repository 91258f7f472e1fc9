"""Features of the demo's layer: neuron-steps a second of CPU, also in pairs with another checkout of the package.

    python benchmarks/features.py --run-dir runs/demo [--images 1000] [--rounds 5] [--against CHECKOUT]

The run directory has a trained first layer and a classifier's grid behind it, as `make demo` leaves it. Measured is
what ``--mode training --layer svm`` does with each training image: the layer answers, and its spikes are counted. One
thread; CPU seconds (user and system) of a process of its own. A digest of the counts is compared between the two.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]


def measured(run_dir, images):
    """CPU seconds of the features of the first training images, neuron-steps, output spikes and the counts' digest."""
    from spikingconvnet import Experiment
    from spikingconvnet.experiment import replicas
    from spikingconvnet.experiment.settings import load
    from spikingconvnet.model import build

    experiment = Experiment(load(run_dir / "parameters.py"), run_dir)
    stage, spikes = experiment.model.stages[0], experiment.data("train")["spikes"]
    trained, grid = [experiment.trained(1)], experiment.model.classifier.cells(stage.out_shape)

    def counted(n):
        network = build.inference_network([stage], trained, spikes.samples(0, n))
        begin = sum(os.times()[:2])
        (counts,), _ = replicas.respond([network], stage.label, "local", grid, jobs=1)
        return sum(os.times()[:2]) - begin, counts

    counted(10)                                             # loads the kernels
    seconds, counts = counted(images)
    neurons = stage.out_shape[0] * stage.out_shape[1] * stage.out_shape[2]
    return {"seconds": seconds, "steps": images * spikes.n_steps * neurons, "spikes": int(counts.sum()),
            "digest": hashlib.sha256(counts.tobytes()).hexdigest()}


def measure(checkout, options):
    """The same in a process of its own, with the package of a checkout."""
    done = subprocess.run([sys.executable, __file__, "--here", "--run-dir", str(options.run_dir.resolve()), "--images",
                           str(options.images)], capture_output=True, text=True, cwd=checkout,
                          env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main(args=None):
    """Print neuron-steps a second, and with ``--against`` the ratio of pairs, median, least and most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout, built")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.here:
        print(json.dumps(measured(options.run_dir, options.images)))
        return
    checkouts = [HERE, *[options.against.resolve()] * bool(options.against)]
    rounds = [[measure(checkout, options) for checkout in checkouts] for _ in range(options.rounds)]
    for checkout, found in zip(checkouts, zip(*rounds)):
        rates = sorted(one["steps"] / one["seconds"] / 1e9 for one in found)
        print(f"{checkout}: {statistics.median(rates):.2f} G neuron-steps a second ({rates[0]:.2f} to {rates[-1]:.2f}),"
              f" {1000 * statistics.median(one['seconds'] for one in found) / options.images:.3f} ms an image")
    if options.against:
        if any(ours["digest"] != theirs["digest"] for ours, theirs in rounds):
            raise SystemExit("the counts differ")
        ratios = sorted(theirs["seconds"] / ours["seconds"] for ours, theirs in rounds)
        print(f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); the counts are the same")


if __name__ == "__main__":
    main()
