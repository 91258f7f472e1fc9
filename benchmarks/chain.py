"""CPU seconds of chains that run as one network, with random weights of the activity of converted networks.

    python benchmarks/chain.py --images 500

Images of the MNIST test file in 40 steps of regular input at up to one spike a step, 41 steps an image, every image
from rest, one thread. What it takes to make the network ready is counted, loading and encoding the images is not.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikingconvnet import backends
from spikingconvnet.data.datasets import load
from spikingconvnet.data.encoding import RegularEncoder
from spikingconvnet.data.filters import Intensity
from spikingconvnet.experiment import replicas
from spikingconvnet.model import build
from spikingconvnet.model.readouts import SpikeCount
from spikingconvnet.model.shorthand import parse
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.training.chain.balance import peak_input
from spikingconvnet.training.chain.ridge import Ridge

MNIST = Path(__file__).parent.parent / "data" / "mnist"
SPIKES = {"784-1200-1200-10": (3000, 3000, 20), "28x28-12c5-2s-64c5-2s-10": (14_000, 3800, 12)}     # an image, by layer
TRIED = 20          # images with which weights are scaled
HALVINGS = 14


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500)
    images = load(str(MNIST), "test", Path("runs")).images[:parser.parse_args().images]
    spikes = RegularEncoder(n_steps=40, max_rate=1.0)(Intensity()(images)).with_gap(41)
    print(f"{'network':26}  {'CPU s for 10,000':>16}  spikes an image: input, layers")
    for text, wanted in SPIKES.items():
        model = parse(text, (1, 28, 28), Ridge().neuron, SpikeCount(last=40))
        network = build.inference_network(model.stages, active(model, wanted, spikes.samples(0, TRIED)), spikes, True)
        begin = time.process_time()
        (answers,), _ = replicas.classify([network], model.readout, "local", jobs=1)
        seconds = (time.process_time() - begin) * 10_000 / len(images)
        counts = ", ".join(f"{n:,.0f}" for n in answers["spikes"].mean(axis=0))
        print(f"{text:26}  {seconds:>16.1f}  {counts}")


def active(model, wanted, spikes):
    """Random layers that fire as often as `wanted`: list of TrainedLayer."""
    rng, layers = np.random.default_rng(0), []
    for stage, n in zip(model.stages, wanted):
        kernels = rng.normal(size=stage.layer.kernel_shape(stage.in_shape))
        low, high = 1e-3, 1e2
        for _ in range(HALVINGS):
            middle = np.sqrt(low * high)
            layer, fired = answer(stage, kernels * middle, spikes)
            low, high = (low, middle) if fired.n_events > n * spikes.n_samples else (middle, high)
        layers.append(layer)
        spikes = fired
    return layers


def answer(stage, kernels, spikes):
    """A layer of these kernels, and its spikes."""
    layer = TrainedLayer(kernels, np.ones(stage.out_shape[0]))
    peak = peak_input(stage, layer, spikes)
    layer = replace(layer, max_expected_summed_weight=max(peak.excitatory, peak.inhibitory, 1e-3))
    network = build.inference_network([stage], [layer], spikes, True)
    return layer, backends.run(network, jobs=1).spikes[stage.label]


if __name__ == "__main__":
    main()
