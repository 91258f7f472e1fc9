"""The local engine against PyNN on NEST, pair by pair in one run: CPU seconds per job, ratio and spread.

    python benchmarks/engine.py [--rounds 3] [--jobs stdp-25-16 stdp-49-64 conv-32]

Jobs: `stdp-N-K` shows windows of 50 ms to N inputs and K neurons behind plastic synapses with lateral inhibition;
`conv-K` shows MNIST digits for 50 ms each to K maps of 5x5, stride 1. Both sides get the same spikes and weights, one
thread, one long run; NEST runs `on_grid`. Only the run is timed (CPU seconds of the process), not building or
compiling. Every measurement has a process of its own. Without PyNN and NEST (pip install PyNN nest-simulator) only the
local engine is timed. The numbers of output spikes are printed because they differ: on SpiNNaker lateral inhibition
acts one step earlier than on NEST, so fewer neurons fire together.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from spikingconvnet import datasets
from spikingconvnet.connectivity import ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.encoding import LatencyEncoder
from spikingconvnet.network import Network, Population, Projection
from spikingconvnet.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.preprocessing import Intensity
from spikingconvnet.spikes import Spikes

MNIST = Path(__file__).resolve().parent.parent / "data/mnist"
SLOT = 50
SIZES = {"local": {"stdp": 20_000, "conv": 2_000}, "nest": {"stdp": 20_000, "conv": 200}}


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
    spikes = LatencyEncoder(15, 0.3, 1.0)(Intensity()(images)).with_gap(SLOT)
    connections = ConvConnections(rng.uniform(0, 1.2, (int(numbers[0]), 1, 5, 5)), (1, 28, 28))
    cell = IFCurrExp(tau_m=20.0, cm=1.0, v_thresh=-50.0, tau_syn_E=2.0, tau_syn_I=2.0)
    return Network((Population("input", spikes.shape, SpikeSourceArray(spikes)),
                    Population("output", connections.post_shape, cell, per_channel=True)),
                   (Projection("kernels", "input", "output", connections),))


def run_local(made):
    """CPU seconds and output spikes of the local engine."""
    from spikingconvnet.backends.local import simulator

    with simulator.open(made, jobs=1) as warm:                       # compiles or loads the kernels
        warm.run(SLOT)
    with simulator.open(made, jobs=1) as simulation:
        begin = time.process_time()
        for first in range(0, simulation.source_steps, 500 * SLOT):
            simulation.run(min(500 * SLOT, simulation.source_steps - first))
        seconds = time.process_time() - begin
        return seconds, simulation.recording().spikes["output"].n_events


def run_nest(made):
    """CPU seconds and output spikes of PyNN on NEST."""
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
    begin = time.process_time()
    sim.run(float(steps))
    return time.process_time() - begin, int(sum(populations["output"].get_spike_counts().values()))


def main(args=None):
    """Measure one job (``--side``) as JSON, or all of them as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", nargs="+", default=["stdp-25-16", "stdp-49-64", "conv-32"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=tuple(SIZES), help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.side:
        samples = SIZES[options.side][options.jobs[0].split("-")[0]]
        run = {"local": run_local, "nest": run_nest}[options.side]
        seconds, spikes = run(network(options.jobs[0], samples))
        print(json.dumps({"per_second": samples / seconds, "spikes": spikes / samples}))
        return
    print("| job | local (samples per CPU s) | NEST | ratio: median (least, most) | spikes per sample: local, NEST |\n"
          "|---|---|---|---|---|")
    for job in options.jobs:
        pairs = [[measure(job, side) for side in ("local", "nest")] for _ in range(options.rounds)]
        local = statistics.median(a["per_second"] for a, _ in pairs)
        if pairs[0][1] is None:
            print(f"| {job} | {local:,.0f} | not installed | | {pairs[0][0]['spikes']:.2f} |", flush=True)
            continue
        ratios = sorted(a["per_second"] / b["per_second"] for a, b in pairs)
        nest = statistics.median(b["per_second"] for _, b in pairs)
        print(f"| {job} | {local:,.0f} | {nest:,.0f} | {statistics.median(ratios):.1f} ({ratios[0]:.1f},"
              f" {ratios[-1]:.1f}) | {pairs[0][0]['spikes']:.2f}, {pairs[0][1]['spikes']:.2f} |", flush=True)


def measure(job, side):
    """One measurement in a process of its own; None if NEST is not installed."""
    done = subprocess.run([sys.executable, __file__, "--jobs", job, "--side", side], capture_output=True, text=True)
    if done.returncode:
        if side == "nest" and "ModuleNotFoundError" in done.stderr:
            return None
        raise RuntimeError(f"{job} on {side} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
