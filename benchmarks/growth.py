"""How the cost of inference grows with filters, kernel size, image size, steps and images: CPU seconds and a figure.

    python benchmarks/growth.py [--figure docs/growth.png]

Every point is the least of three runs of one convolution in the local engine, one thread. Its threshold is searched
so that the neurons of every point fire as often as the demo's. The straight lines are least-squares fits; R2 says how
straight the growth is.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from spikingconvnet.backends.local import simulator
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

BASE = {"filters": 32, "kernel": 5, "size": 28, "steps": 50, "images": 200}
SWEEPS = {"filters": (16, 32, 48, 64, 96, 128), "kernel": (3, 5, 7, 9, 11), "size": (20, 28, 40, 56, 80),
          "steps": (30, 50, 100, 150, 200), "images": (100, 200, 400, 600, 800)}
LABELS = {"filters": ("filters", lambda p: p["filters"]),
          "kernel": ("weights per kernel", lambda p: p["kernel"] ** 2),
          "size": ("output neurons per map", lambda p: (p["size"] - p["kernel"] + 1) ** 2),
          "steps": ("steps per image", lambda p: p["steps"]), "images": ("images", lambda p: p["images"])}
SPIKES_PER_PIXEL = 0.15
FIRING = 0.07           # output spikes per neuron and image: the demo's layer fires 0.05 to 0.1
TRIED, HALVINGS = 20, 12        # images and steps of the search for the threshold


def network(v_thresh, filters, kernel, size, steps, images):
    """A convolution of random kernels over random spikes of `images` images of `size` x `size` pixels."""
    rng = np.random.default_rng(0)
    n = int(SPIKES_PER_PIXEL * size * size) * images
    spikes = Spikes.from_events(rng.integers(0, images, n), rng.integers(0, size * size, n), rng.integers(0, 15, n),
                                (1, size, size), images, steps)
    connections = ConvConnections(rng.uniform(0, 100.0 / kernel ** 2, (filters, 1, kernel, kernel)), (1, size, size))
    cell = IFCurrExp(tau_m=20.0, cm=1.0, tau_syn_E=2.0, tau_syn_I=2.0, v_thresh=v_thresh)
    return Network((Population("input", spikes.shape, SpikeSourceArray(spikes)),
                    Population("output", connections.post_shape, cell, per_channel=True)),
                   (Projection("kernels", "input", "output", connections),))


def run(made):
    """CPU seconds of a run, and its output spikes per neuron and image."""
    with simulator.open(made, jobs=1) as simulation:
        begin = time.process_time()
        simulation.run(simulation.source_steps)
        seconds, spikes = time.process_time() - begin, simulation.recording().spikes["output"]
    return seconds, spikes.n_events / spikes.size / spikes.n_samples


def measure(**point):
    """CPU seconds of the fastest of three runs, and the firing, at the threshold (mV) that makes it FIRING."""
    low, high = -65.0, 35.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        _, firing = run(network(middle, **{**point, "images": TRIED}))
        low, high = (middle, high) if firing > FIRING else (low, middle)
    made = network(middle, **point)
    return min(run(made) for _ in range(3))


def main(args=None):
    """Measure every sweep, print it as a table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", default="docs/growth.png")
    options = parser.parse_args(args)
    figure = Figure(figsize=(15, 3.2), layout="constrained")
    axes = figure.subplots(1, len(SWEEPS))
    run(network(0.0, **{**BASE, "images": 10}))                      # compiles or loads the kernels
    print("| grows with | points | CPU s | spikes per neuron and image | R2 of a straight line |\n|" + "---|" * 5)
    for axis, (name, values) in zip(axes, SWEEPS.items()):
        label, amount = LABELS[name]
        x = np.array([amount({**BASE, name: value}) for value in values], float)
        y, firing = np.array([measure(**{**BASE, name: value}) for value in values]).T
        slope, offset = np.polyfit(x, y, 1)
        straight = 1 - np.sum((y - slope * x - offset) ** 2) / np.sum((y - y.mean()) ** 2)
        axis.plot(x, y, "o", x, slope * x + offset, "-")
        axis.set(xlabel=label, ylabel="CPU time (s)", ylim=(0, None), title=f"R² = {straight:.3f}")
        print(f"| {label} | {', '.join(f'{v:g}' for v in x)} | {', '.join(f'{v:.2f}' for v in y)}"
              f" | {firing.min():.3f} to {firing.max():.3f} | {straight:.3f} |", flush=True)
    Path(options.figure).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.figure, dpi=110)


if __name__ == "__main__":
    main()
