"""How the cost of inference grows with filters, kernel size, image size, steps and images: CPU seconds and a figure.

    python benchmarks/growth.py [--figure docs/growth.png]
    python benchmarks/growth.py --large

Every point is the least of three runs in the local engine, one thread: of one convolution, or of several behind each
other. The threshold of every layer is searched so that its neurons fire as often as the demo's. Memory is what arrays
take at most, from opening to the recording, beside the source's spikes. The straight lines are least-squares fits; R2
says how straight the growth is. ``--large`` has the largest inputs and networks, time and memory, and no figure.
"""

import argparse
import time
import tracemalloc
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from spikingconvnet.backends.local import simulator
from spikingconvnet.network.connectivity import ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

BASE = {"filters": 32, "kernel": 5, "size": 28, "steps": 50, "images": 200, "channels": 1, "layers": 1}
SWEEPS = {"filters": (16, 32, 48, 64, 96, 128), "kernel": (3, 5, 7, 9, 11), "size": (20, 28, 40, 56, 80),
          "steps": (30, 50, 100, 150, 200), "images": (100, 200, 400, 600, 800)}
LABELS = {"filters": ("filters", lambda p: p["filters"]),
          "kernel": ("weights per kernel", lambda p: p["kernel"] ** 2),
          "size": ("output neurons per map", lambda p: (p["size"] - p["kernel"] + 1) ** 2),
          "steps": ("steps per image", lambda p: p["steps"]), "images": ("images", lambda p: p["images"])}
LARGE = {"filters on 3x64x64": [{"channels": 3, "size": 64, "filters": n} for n in (64, 128, 192, 256)],
         "events of 2 x side x side": [{"channels": 2, "size": n} for n in (32, 64, 96, 128)],
         "layers": [{"kernel": 3, "images": 40, "layers": n} for n in (1, 2, 3, 4, 5)]}
SHOWN = 8               # images of LARGE, unless it says another number
SPIKES_PER_PIXEL = 0.15
FIRING = 0.07           # output spikes per neuron and image: the demo's layer fires 0.05 to 0.1
TRIED, HALVINGS = 20, 12        # images and steps of the search for the threshold


def network(thresholds, filters, kernel, size, steps, images, channels, layers):
    """Convolutions of random kernels over random spikes of `images` images; as many as there are `thresholds`."""
    rng = np.random.default_rng(0)
    pixels = channels * size * size
    n = int(SPIKES_PER_PIXEL * pixels) * images
    shape = channels, size, size
    spikes = Spikes.from_events(rng.integers(0, images, n), rng.integers(0, pixels, n), rng.integers(0, 15, n), shape,
                                images, steps)
    populations, projections = [Population("input", shape, SpikeSourceArray(spikes))], []
    for number, v_thresh in enumerate(thresholds):
        connections = ConvConnections(rng.uniform(0, 100.0 / kernel ** 2, (filters, shape[0], kernel, kernel)), shape)
        cell = IFCurrExp(tau_m=20.0, cm=1.0, tau_syn_E=2.0, tau_syn_I=2.0, v_thresh=v_thresh)
        shape = connections.post_shape
        populations.append(Population(f"layer {number}", shape, cell, per_channel=True))
        projections.append(Projection(f"kernels {number}", populations[-2].label, f"layer {number}", connections))
    return Network(tuple(populations), tuple(projections))


def run(made):
    """CPU seconds of a run, and output spikes per neuron and image of its last layer."""
    with simulator.open(made, jobs=1) as simulation:
        begin = time.process_time()
        simulation.run(simulation.source_steps)
        seconds, spikes = time.process_time() - begin, simulation.recording().spikes[made.populations[-1].label]
    return seconds, spikes.n_events / spikes.size / spikes.n_samples


def thresholds(**point):
    """Of each layer (mV): that which makes it fire FIRING."""
    found = []
    for _ in range(point["layers"]):
        low, high = -65.0, 35.0 * (point["filters"] if found else point["channels"])
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            _, firing = run(network([*found, middle], **{**point, "images": min(TRIED, point["images"])}))
            low, high = (middle, high) if firing > FIRING else (low, middle)
        found.append(middle)
    return found


def measure(**point):
    """CPU seconds of the fastest of three runs, and the firing, at the threshold (mV) that makes it FIRING."""
    made = network(thresholds(**point), **point)
    return min(run(made) for _ in range(3))


def memory(made):
    """MB of arrays at most."""
    tracemalloc.start()
    with simulator.open(made, jobs=1) as simulation:
        simulation.run(simulation.source_steps)
        simulation.recording()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 1e6


def straight(x, y):
    """R2 of the straight line through points, its slope and its offset."""
    slope, offset = np.polyfit(x, y, 1)
    return 1 - np.sum((y - slope * x - offset) ** 2) / np.sum((y - y.mean()) ** 2), slope, offset


def large():
    """Print what the largest take, by their neurons: time and memory."""
    print("| grows with | neurons | CPU s | MB | spikes per neuron and image | R2 of CPU, of MB |\n|" + "---|" * 6)
    for name, points in LARGE.items():
        rows = []
        for point in ({**BASE, "images": SHOWN, **point} for point in points):
            made = network(thresholds(**point), **point)
            rows.append((sum(p.size for p in made.populations[1:]), *min(run(made) for _ in range(3)), memory(made)))
        neurons, seconds, firing, mb = np.array(rows).T
        told = [", ".join(f"{v:{form}}" for v in x) for x, form in ((neurons, ",.0f"), (seconds, ".2f"), (mb, ".0f"))]
        print(f"| {name} | {' | '.join(told)} | {firing.min():.3f} to {firing.max():.3f} |"
              f" {straight(neurons, seconds)[0]:.3f}, {straight(neurons, mb)[0]:.3f} |", flush=True)


def main(args=None):
    """Measure every sweep, print it as a table, draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--figure", default="docs/growth.png")
    parser.add_argument("--large", action="store_true", help="the largest instead, without a figure")
    options = parser.parse_args(args)
    run(network([0.0], **{**BASE, "images": 10}))                    # compiles or loads the kernels
    if options.large:
        large()
        return
    figure = Figure(figsize=(15, 3.2), layout="constrained")
    axes = figure.subplots(1, len(SWEEPS))
    print("| grows with | points | CPU s | spikes per neuron and image | R2 of a straight line |\n|" + "---|" * 5)
    for axis, (name, values) in zip(axes, SWEEPS.items()):
        label, amount = LABELS[name]
        x = np.array([amount({**BASE, name: value}) for value in values], float)
        y, firing = np.array([measure(**{**BASE, name: value}) for value in values]).T
        r2, slope, offset = straight(x, y)
        axis.plot(x, y, "o", x, slope * x + offset, "-")
        axis.set(xlabel=label, ylabel="CPU time (s)", ylim=(0, None), title=f"R² = {r2:.3f}")
        print(f"| {label} | {', '.join(f'{v:g}' for v in x)} | {', '.join(f'{v:.2f}' for v in y)}"
              f" | {firing.min():.3f} to {firing.max():.3f} | {r2:.3f} |", flush=True)
    Path(options.figure).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.figure, dpi=110)


if __name__ == "__main__":
    main()
