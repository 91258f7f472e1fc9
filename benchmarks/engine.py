"""The local engine against PyNN on NEST and SpykeTorch, pair by pair in one run: user CPU seconds, ratio and spread.

    python benchmarks/engine.py [--rounds 3] [--jobs stdp-25-16 stdp-49-64 conv-32] [--peers nest spyketorch]

Jobs: `stdp-N-K` shows windows of 50 ms to N inputs and K neurons behind plastic synapses with lateral inhibition;
`conv-K` shows MNIST digits for 50 ms each to K maps of 5x5, stride 1 (`conv-K-T`: for T ms). Both sides get the same
spikes and weights and one thread. Only the run is timed (user CPU seconds of the process), not building or compiling.
Every measurement has a process of its own; the sides take turns, and a ratio is that of neighbours. A peer that is not
installed is left out, and stderr says how to get it.

NEST runs `on_grid`, in one long run. The numbers of output spikes differ: on SpiNNaker lateral inhibition acts one step
earlier than on NEST, so fewer neurons fire together.

SpykeTorch (miladmozafari/SpykeTorch, `snn.Convolution` and `functional.fire_`) convolves one tensor (time, channel,
row, column) an image, in which a spike stays 1 from its step on. Its neurons have no leak, no synaptic current and at
most one spike, and its output stays dense; the local engine computes more and gives lists of events.
"""

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from spikingconvnet.data import datasets
from spikingconvnet.data.encoding import LatencyEncoder
from spikingconvnet.data.filters import Intensity
from spikingconvnet.network.connectivity import ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

MNIST = Path(__file__).resolve().parent.parent / "data/mnist"
SLOT = 50
SHORTEST = 1.0          # user CPU seconds; a faster run is repeated from its start
SIZES = {"local": {"stdp": 20_000, "conv": 2_000}, "nest": {"stdp": 20_000, "conv": 200},
         "spyketorch": {"conv": 1_000}}
NEEDS = {"nest": ("pyNN", "nest"), "spyketorch": ("torch", "torchvision", "SpykeTorch")}
INSTALL = {"nest": "pip install PyNN nest-simulator",
           "spyketorch": "pip install torch torchvision, and the repository miladmozafari/SpykeTorch on PYTHONPATH"
                         " (or pip install a clone of it)"}


def network(job, samples):
    """The network of a job, the same for both sides."""
    kind, *numbers = job.split("-")
    rng = np.random.default_rng(0)
    if kind == "stdp":
        inputs, filters = map(int, numbers)
        n = samples * inputs // 3
        spikes = Spikes.from_events(rng.integers(0, samples, n), rng.integers(0, inputs, n), rng.integers(1, 16, n),
                                    (1, 1, inputs), samples, SLOT)
        cell = IFCurrExp(tau_m=10.0, cm=1.0, v_rest=-65.0, v_reset=-65.0, v_thresh=-65.0 + 0.15 * inputs, v=-65.0,
                         tau_syn_E=2.0, tau_syn_I=3.0, tau_refrac=5.0)
        rule = STDPMechanism(SpikePairRule(10.0, 10.0, 0.02, 0.02), AdditiveWeightDependence(0.0, 1.0))
        return Network(
            (Population("input", spikes.shape, SpikeSourceArray(spikes)), Population("output", (filters, 1, 1), cell)),
            (Projection("kernels", "input", "output", DenseConnections(rng.uniform(0.2, 0.8, (inputs, filters))),
                        plasticity=rule),
             Projection("lateral", "output", "output", LateralInhibition(filters, 5.0), "inhibitory")))
    images = datasets.load(str(MNIST), "train").images[:samples]
    maps, slot = [*map(int, numbers), SLOT][:2]
    spikes = LatencyEncoder(15, 0.3, 1.0)(Intensity()(images)).with_gap(slot)
    connections = ConvConnections(rng.uniform(0, 1.2, (maps, 1, 5, 5)), (1, 28, 28))
    cell = IFCurrExp(tau_m=20.0, cm=1.0, v_thresh=-50.0, tau_syn_E=2.0, tau_syn_I=2.0)
    return Network((Population("input", spikes.shape, SpikeSourceArray(spikes)),
                    Population("output", connections.post_shape, cell, per_channel=True)),
                   (Projection("kernels", "input", "output", connections),))


def user_seconds():
    """User CPU seconds of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_utime


def run_local(made):
    """User CPU seconds and output spikes of the local engine."""
    from spikingconvnet.backends.local import simulator

    with simulator.open(made, jobs=1) as warm:                       # compiles or loads the kernels
        warm.run(SLOT)
    seconds, runs = 0.0, 0
    while seconds < SHORTEST:
        with simulator.open(made, jobs=1) as simulation:
            begin = user_seconds()
            for first in range(0, simulation.source_steps, 500 * SLOT):
                simulation.run(min(500 * SLOT, simulation.source_steps - first))
            seconds, runs = seconds + user_seconds() - begin, runs + 1
    return seconds / runs, simulation.recording().spikes["output"].n_events


def run_nest(made):
    """User CPU seconds and output spikes of PyNN on NEST."""
    import pyNN.nest as sim

    sim.setup(timestep=1.0, min_delay=1.0, max_delay=2.0, spike_precision="on_grid", threads=1)
    populations = {}
    for p in made.populations:
        if p.is_source:
            times = [[t + 2.0 for t in train] for train in p.cell.spikes.to_lists()]      # 0 and 1 are refused
            populations[p.label] = sim.Population(p.size, sim.SpikeSourceArray(spike_times=times))
        else:
            cell = {name: getattr(p.cell, name) for name in ("tau_m", "cm", "v_rest", "v_reset", "v_thresh",
                                                             "tau_syn_E", "tau_syn_I", "i_offset")}
            populations[p.label] = sim.Population(
                p.size, sim.IF_curr_exp(tau_refrac=max(p.cell.tau_refrac, 1.0), **cell), initial_values={"v": p.cell.v})
            populations[p.label].record("spikes")
    for p in made.projections:
        c = p.connections.to_list()
        weight = c.weight if p.receptor == "excitatory" else -c.weight
        synapse = sim.StaticSynapse()
        if p.plasticity:
            t, w = p.plasticity.timing_dependence, p.plasticity.weight_dependence
            synapse = sim.STDPMechanism(
                timing_dependence=sim.SpikePairRule(tau_plus=t.tau_plus, tau_minus=t.tau_minus, A_plus=t.A_plus,
                                                    A_minus=t.A_minus),
                weight_dependence=sim.AdditiveWeightDependence(w_min=w.w_min, w_max=w.w_max), weight=0.5, delay=1.0)
        rows = list(zip(c.pre.tolist(), c.post.tolist(), weight.tolist(), c.delay.astype(float).tolist()))
        sim.Projection(populations[p.pre], populations[p.post], sim.FromListConnector(rows), synapse,
                       receptor_type=p.receptor)
    steps = next(len(p.cell.spikes.offsets) - 1 for p in made.populations if p.is_source)
    sim.run(1.0)                                                     # NEST allocates its tables at the first run
    begin = user_seconds()
    sim.run(float(steps))
    return user_seconds() - begin, int(sum(populations["output"].get_spike_counts().values()))


def run_spyketorch(made):
    """User CPU seconds and output spikes of SpykeTorch: a spike of a neuron, then silence."""
    import torch
    from SpykeTorch import functional, snn

    torch.set_num_threads(1)
    source, output = made.populations
    spikes, kernels = source.cell.spikes, made.projections[0].connections.kernels
    rasters = (spikes.samples(k, k + 1).raster().reshape(-1, *spikes.shape) for k in range(spikes.n_samples))
    waves = [torch.from_numpy(np.minimum(raster.cumsum(axis=0), 1).astype(np.uint8)) for raster in rasters]
    layer = snn.Convolution(*kernels.shape[1::-1], kernels.shape[2:])
    layer.load_weight(torch.from_numpy(kernels).float())
    # Without leak an input w lifts the membrane by w * tau_syn / cm.
    threshold = (output.cell.v_thresh - output.cell.v_rest) * output.cell.cm / output.cell.tau_syn_E

    def fired(wave):
        potentials = layer(wave.float())
        functional.fire_(potentials, threshold)
        return potentials

    with torch.inference_mode():
        events = sum(int(fired(wave)[-1].sum()) for wave in waves)
        begin = user_seconds()
        for wave in waves:
            fired(wave)
        return user_seconds() - begin, events


RUN = {"local": run_local, "nest": run_nest, "spyketorch": run_spyketorch}


def main(args=None):
    """Measure one job (``--side``) as JSON, or all of them as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", nargs="+", default=["stdp-25-16", "stdp-49-64", "conv-32"])
    parser.add_argument("--peers", nargs="+", default=list(NEEDS), choices=tuple(NEEDS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=tuple(RUN), help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.side:
        samples = SIZES[options.side][kind_of(options.jobs[0])]
        seconds, spikes = RUN[options.side](network(options.jobs[0], samples))
        print(json.dumps({"seconds": seconds, "samples": samples, "per_second": samples / seconds,
                          "spikes": spikes / samples}))
        return
    peers = [peer for peer in options.peers if is_installed(peer)]
    print("| job | peer | local: samples per user CPU s (of s) | peer | ratio: median (least, most)"
          " | spikes per sample: local, peer |\n|---|---|---|---|---|---|")
    for job in options.jobs:
        for row in rows(job, [peer for peer in peers if kind_of(job) in SIZES[peer]], options.rounds):
            print(row, flush=True)


def kind_of(job):
    """``stdp`` or ``conv``."""
    return job.split("-")[0]


def is_installed(peer):
    """Whether a peer can be imported; if not, stderr says what is missing."""
    missing = [name for name in NEEDS[peer] if importlib.util.find_spec(name) is None]
    if missing:
        print(f"{peer} is left out: no module {', '.join(missing)}; {INSTALL[peer]}", file=sys.stderr)
    return not missing


def rows(job, peers, rounds):
    """Rows of the table for one job, after all its measurements: one for each peer."""
    found = [{side: measure(job, side) for side in ("local", *peers)} for _ in range(rounds)]
    local = speed(found, "local")
    if not peers:
        yield f"| {job} | none | {local} | | | {found[0]['local']['spikes']:.2f} |"
    for peer in peers:
        ratios = sorted(f["local"]["per_second"] / f[peer]["per_second"] for f in found)
        yield (f"| {job} | {peer} | {local} | {speed(found, peer)} | {statistics.median(ratios):.1f}"
               f" ({ratios[0]:.1f}, {ratios[-1]:.1f}) | {found[0]['local']['spikes']:.2f},"
               f" {found[0][peer]['spikes']:.2f} |")


def speed(found, side):
    """Median samples per second of a side, and the seconds of that measurement."""
    middle = sorted((f[side] for f in found), key=lambda m: m["per_second"])[len(found) // 2]
    return f"{middle['per_second']:,.0f} ({middle['seconds']:.2f})"


def measure(job, side):
    """One measurement in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--jobs", job, "--side", side], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{job} on {side} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
