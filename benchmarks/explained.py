"""Figures of the explanations, each computed by the engine: what is said there can be seen.

    make demo && .venv/bin/python benchmarks/explained.py runs/demo docs/images

`arithmetic`, `timeline`, `learning` and `conversion`; the middle two show the run.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import spikingconvnet as scn
from spikingconvnet.plotting.frame import BLUE, DIVERGING, GREEN, GREY, ORANGE, RED, TEXT, plain
from spikingconvnet.training.chain.balance import gain

HEIGHT, DPI, COLOURS = 2.7, 130, 64
LAST_PLACE = 2.0 ** -15                 # mV
STEPS = 60
PAIRS = range(-40, 41)               # ms between two spikes at the synapse
TAU, STEP = 20.0, 0.02                  # ms; nA
BEHIND = 2                              # ms: from the teacher to the neuron, and from its spike back to the synapse
FILTERS = 4                             # of which kernels are shown
SHOWN = 3                               # images of the timeline
RATES = {20: ORANGE, 200: BLUE}         # steps for which an image is shown
UNITS, INPUTS = 150, 12


def at(steps, n_steps, shape=(1, 1, 1)):
    """Spikes of a source whose neuron k fires in the steps ``steps[k]``."""
    neuron = np.repeat(np.arange(len(steps)), [len(one) for one in steps])
    step = np.concatenate([np.asarray(one, np.int64) for one in steps])
    return scn.Spikes.from_events(0 * step, neuron, step, shape, n_samples=1, n_steps=n_steps)


def fading():
    """A membrane after one spike, in the board's integers and exactly: float arrays (STEPS,), mV."""
    cell = scn.IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=9.0, tau_syn_E=2.0,
                         tau_syn_I=2.0, tau_refrac=0.0)
    network = scn.Network((scn.Population("in", (1, 1, 1), scn.SpikeSourceArray(at([[2]], STEPS))),
                           scn.Population("out", (1, 1, 1), cell)),
                          (scn.Projection("w", "in", "out", scn.DenseConnections(np.ones((1, 1)))),))
    v = scn.run(network, STEPS, record=["out"]).membrane("out")[:, 0]
    raised, leak, fall = 1 - np.exp(-0.5), np.exp(-0.1), np.exp(-0.5)
    exact, current = np.zeros(STEPS), 0.0
    arrives = int(np.argmax(v > 0)) - 1
    for step in range(STEPS - 1):
        current += (step == arrives) * raised / 0.5
        exact[step + 1] = current - leak * (current - exact[step])
        current *= fall
    return v, exact


def decay(axes, rounding):
    """A membrane after one spike; what rounding makes of it, in units of the last place."""
    v, exact = fading()
    axes.plot(v, color=BLUE)
    axes.set(xlabel="time (ms)", ylabel="membrane (mV)", xlim=(0, STEPS - 1))
    axes.set_title("A membrane after a spike", fontsize=TEXT)
    rounding.plot((v - exact) / LAST_PLACE, color=RED, drawstyle="steps-mid")
    rounding.set(xlabel="time (ms)", ylabel=r"board minus exact ($2^{-15}$ mV)", xlim=(0, STEPS - 1))
    rounding.set_title("What rounding makes of it", fontsize=TEXT)


def change(distance):
    """Weight change of one pair, post minus pre `distance` ms at the synapse, in nA."""
    rule = scn.STDPMechanism(scn.SpikePairRule(tau_plus=TAU, tau_minus=TAU, A_plus=STEP, A_minus=STEP),
                             scn.AdditiveWeightDependence(w_min=0.0, w_max=2.0))
    cell = scn.IFCurrDelta(tau_m=10.0, cm=1.0, v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=1.0, tau_refrac=0.0)
    fires, length = 60, 400
    network = scn.Network(
        (scn.Population("pre", (1, 1, 1), scn.SpikeSourceArray(at([[fires + BEHIND - distance, length - 5]], length))),
         scn.Population("teacher", (1, 1, 1), scn.SpikeSourceArray(at([[fires]], length))),
         scn.Population("post", (1, 1, 1), cell)),
        (scn.Projection("plastic", "pre", "post", scn.DenseConnections(np.ones((1, 1))), plasticity=rule),
         scn.Projection("teaches", "teacher", "post", scn.DenseConnections(np.full((1, 1), 2.0)))))
    with scn.open(network) as simulation:
        before = simulation.weights("plastic").value[0]
        simulation.run(length)
        return simulation.weights("plastic").value[0] - before


def arithmetic():
    """Rounding of a membrane, and the window of a pair rule."""
    figure = Figure(figsize=(9, HEIGHT), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    decay(left, middle)
    right.axhline(0, color=GREY, linewidth=0.8)
    right.axvline(0, color=GREY, linewidth=0.8)
    for part in (range(PAIRS[0], 1), range(1, PAIRS[-1] + 1)):
        right.plot(part, [(1 if d > 0 else -1) * 1000 * STEP * np.exp(-abs(d) / TAU) for d in part], color=ORANGE)
    right.plot(PAIRS, [1000 * change(d) for d in PAIRS], ".", color=BLUE, markersize=3)
    right.set(xlabel="post minus pre at the synapse (ms)", ylabel="change of a weight (pA)")
    right.set_title("STDP, one pair of spikes", fontsize=TEXT)
    return framed(figure)


def framed(figure):
    """The same with the style of all figures."""
    for axes in figure.axes:
        plain(axes)
    return figure


def timeline(experiment):
    """Input spikes of some images end to end, and a membrane that carries over."""
    figure = Figure(figsize=(9, 1.5 * HEIGHT), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    data, slot = experiment.data("train"), experiment.settings.slot
    spikes = data["spikes"].samples(0, SHOWN)
    sample, neuron, step = spikes.events()
    size = spikes.size // 2
    for half, colour, name in ((0, RED, "bright on dark"), (1, BLUE, "dark on bright")):
        chosen = neuron // size == half
        above.plot((sample * slot + step)[chosen], neuron[chosen], ".", color=colour, markersize=2, label=name)
    fired, v = experiment.example(1, SHOWN, membranes=True)
    most = int(np.bincount(fired.neurons, minlength=v.shape[1]).argmax())
    below.plot(v[:, most], color=BLUE)
    thresholds = np.asarray(experiment.layer(1)["v_thresh"])
    below.axhline(thresholds[most * len(thresholds) // v.shape[1]], color=ORANGE, linestyle="--")
    for axes in (above, below):
        for image in range(SHOWN):
            begins, gap = image * slot, getattr(experiment.settings.encoder, "n_steps", slot)
            axes.axvline(begins - 0.5, color=GREY, linewidth=0.8)
            axes.axvspan(begins + gap - 0.5, begins + slot - 0.5, color=GREY, alpha=0.15, linewidth=0)
            if axes is above:
                axes.text(begins + 0.3, 1.03 * spikes.size, f"image {image}: a {data['labels'][image]}", fontsize=TEXT)
    above.set(ylabel="input neuron", xlim=(-0.5, SHOWN * slot - 0.5), ylim=(0, spikes.size))
    above.legend(loc="lower right", fontsize=TEXT - 2, markerscale=4)
    below.set(xlabel="time (ms); grey: gaps", ylabel="membrane (mV)")
    return framed(figure)


def learning(experiment):
    """Kernels before and after, and the course of winners and thresholds."""
    layer = experiment.layer(1)
    figure = Figure(figsize=(9, HEIGHT), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=(1.25, 1, 1))
    tiles = left.subplots(2, FILTERS)
    for row, name in enumerate(("initial", "learned")):
        for axes, kernel in zip(tiles[row], np.asarray(layer[name], float)):
            axes.imshow(kernel[0] - kernel[1], DIVERGING, vmin=-1, vmax=1)
            axes.set(xticks=[], yticks=[])
        tiles[row][0].set_ylabel(("before", "after")[row], fontsize=TEXT)
    left.suptitle(f"{FILTERS} of {len(layer['learned'])} filters", fontsize=TEXT)
    wins = np.asarray(layer["wins"], float)
    shares = 100 * wins / wins.sum(axis=1, keepdims=True)
    axes, chunks = middle.subplots(), np.arange(1, len(wins) + 1)
    axes.stackplot(chunks, shares.T, colors=(GREY, GREEN, ORANGE), labels=("none", "one", "several"))
    axes.set(xlabel="chunk of windows", ylabel="windows (%)", xlim=(1, len(wins)), ylim=(0, 100))
    axes.legend(loc="lower left", fontsize=TEXT - 2, title="winners", title_fontsize=TEXT - 2)
    thresholds, below = np.asarray(layer["thresholds"]), right.subplots()
    below.plot(chunks, thresholds, color=BLUE, linewidth=0.5, alpha=0.5)
    below.plot(chunks, np.median(thresholds, axis=1), color="black")
    below.set(xlabel="chunk of windows", ylabel="threshold (mV)", xlim=(1, len(wins)))
    for one in (axes, below):
        plain(one)
    return figure


def rates(n_steps, rng):
    """Activations of rectifying units, and the rates of the neurons that they become: float arrays (units,)."""
    inputs, weights = rng.random(INPUTS), rng.normal(0.0, 0.25, (INPUTS, UNITS))
    activations = np.maximum(0.0, inputs @ weights)
    phases, t = rng.random(INPUTS), np.arange(n_steps)[:, None]
    fires = np.floor((t + 1) * inputs + phases) > np.floor(t * inputs + phases)
    cell = scn.Convert().neuron
    spikes = at([np.flatnonzero(one) for one in fires.T], n_steps + 2, (1, 1, INPUTS))
    parts = {"excitatory": np.maximum(0.0, weights) / gain(cell), "inhibitory": np.maximum(0.0, -weights) / gain(cell)}
    network = scn.Network((scn.Population("in", (1, 1, INPUTS), scn.SpikeSourceArray(spikes)),
                           scn.Population("out", (UNITS, 1, 1), cell)),
                          tuple(scn.Projection(name, "in", "out", scn.DenseConnections(part), name)
                                for name, part in parts.items()))
    counts = scn.run(network, n_steps + 2).spikes["out"].counts().ravel()
    return activations, counts / n_steps


def conversion():
    """Rates of spiking units against activations of rectifying ones."""
    figure = Figure(figsize=(5, 1.2 * HEIGHT), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    for n_steps, colour in RATES.items():
        shown = rates(n_steps, np.random.default_rng(0))
        axes.plot(*shown, ".", color=colour, markersize=4, label=f"{n_steps} steps")
    axes.set(xlabel="activation of the rectifying unit", ylabel="spikes a step", xlim=(-0.02, 1), ylim=(-0.02, 1))
    axes.legend(loc="upper left", fontsize=TEXT - 1)
    plain(axes)
    return figure


def main(words=None):
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="run directory of the demo")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(words)
    experiment = scn.Experiment(scn.load_settings(f"{options.run}/parameters.py"), options.run)
    for name, figure in (("arithmetic", arithmetic()), ("timeline", timeline(experiment)),
                         ("learning", learning(experiment)), ("conversion", conversion())):
        drawn = io.BytesIO()
        figure.savefig(drawn, dpi=DPI, format="png")
        path = options.folder / f"{name}.png"
        Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)
        print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
