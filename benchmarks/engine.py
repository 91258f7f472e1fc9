"""The local engine against its peers, pair by pair in one run: user CPU seconds, ratio and spread.

    python benchmarks/engine.py [--rounds 5] [--jobs stdp-25-16 stdp-49-64 conv-32] [--peers nest genn ...]
                                [--peer-python /somewhere/venv-peers/bin/python ...]

Jobs: `stdp-N-K` shows windows of 50 ms to N inputs and K neurons behind plastic synapses with lateral inhibition;
`conv-K` shows MNIST digits for 50 ms each to K maps of 5x5, stride 1 (`conv-K-T`: for T ms). Both sides of a pair get
the same spikes and weights and one thread. Only the run is timed (user CPU seconds of the process), not building or
compiling. Every measurement has a process of its own, the engine's directly before the peer's.

The peers are in ``peers.py``. A peer is run by the first of this Python and those of ``--peer-python`` that has it, so
that it may live in an environment of its own; one that none has is left out, and stderr says how to get it.

A ratio above 1: the local engine is faster. Medians within 25 % of 1 are called equal.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from peers import PEERS, user_seconds

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
WINDOWS = 20_000        # of which a peer of `stdp` may be shown the first ones
SHORTEST = 1.0          # user CPU seconds; a faster run is repeated from its start
EQUAL = 1.25
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


def network(job, samples):
    """The network of a job, the same for both sides."""
    kind, *numbers = job.split("-")
    rng = np.random.default_rng(0)
    if kind == "stdp":
        inputs, filters = map(int, numbers)
        n = WINDOWS * inputs // 3
        drawn = np.unique(np.stack([rng.integers(0, WINDOWS, n), rng.integers(0, inputs, n), rng.integers(1, 16, n)]),
                          axis=1)                       # a source fires once a step
        spikes = Spikes.from_events(*drawn, (1, 1, inputs), WINDOWS, SLOT).samples(0, samples)
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


def write(made, path):
    """Write a job for a peer, as ``peers.load`` reads it: arrays and numbers, potentials relative to rest."""
    (source, output), (kernels, *lateral) = made.populations, made.projections
    spikes, cell = source.cell.spikes, output.cell
    sample, neuron, step = spikes.events()
    learns = {}
    if kernels.plasticity:
        timing, weight = kernels.plasticity.timing_dependence, kernels.plasticity.weight_dependence
        learns = {"tau_plus": timing.tau_plus, "tau_minus": timing.tau_minus, "a_plus": timing.A_plus,
                      "a_minus": timing.A_minus, "w_max": weight.w_max, "inhibition": lateral[0].connections.weight}
    weights = kernels.connections.weight if kernels.plasticity else kernels.connections.kernels
    np.savez(path, sample=sample, neuron=neuron, step=step, samples=spikes.n_samples, steps=spikes.n_steps,
             inputs=spikes.size, side=spikes.shape[-1], weights=weights, tau_m=cell.tau_m, cm=cell.cm,
             threshold=cell.v_thresh - cell.v_rest, tau_e=cell.tau_syn_E, tau_i=cell.tau_syn_I,
             refractory=float(np.ceil(cell.tau_refrac)), **learns)


def run_local(made):
    """User CPU seconds and output spikes of the local engine."""
    from spikingconvnet.backends.local import simulator

    with simulator.open(made, jobs=1) as warm:                       # compiles or loads the kernels
        warm.run(SLOT)
    seconds, runs = 0.0, 0
    while not runs or seconds < SHORTEST:
        with simulator.open(made, jobs=1) as simulation:
            begin = user_seconds()
            for first in range(0, simulation.source_steps, 500 * SLOT):
                simulation.run(min(500 * SLOT, simulation.source_steps - first))
            seconds, runs = seconds + user_seconds() - begin, runs + 1
    return {"seconds": seconds / runs, "spikes": simulation.recording().spikes["output"].n_events}


def main(args=None):
    """Measure the engine on one job (``--local SAMPLES``) as JSON, or all pairs as a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", nargs="+", default=["stdp-25-16", "stdp-49-64", "conv-32"])
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=tuple(PEERS))
    parser.add_argument("--peer-python", nargs="+", default=[], metavar="PATH")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--local", type=int, metavar="SAMPLES", help=argparse.SUPPRESS)
    options = parser.parse_args(args)
    if options.local:
        print(json.dumps(run_local(network(options.jobs[0], options.local))))
        return
    pythons = {peer: python_of(peer, [sys.executable, *options.peer_python]) for peer in options.peers}
    print("| job | peer | ours: samples per user CPU s | peer's | ratio: median (least, most)"
          " | spikes per sample: ours, peer's | what the peer does not compute |\n|" + "---|" * 7)
    for job in options.jobs:
        for peer, python in pythons.items():
            if python and job.split("-")[0] in PEERS[peer].sizes:
                print(row(job, peer, python, options.rounds), flush=True)


def python_of(peer, pythons):
    """The first interpreter that imports a peer's modules, or None; then stderr says how to get it."""
    modules = ", ".join(PEERS[peer].modules)
    for python in pythons:
        if subprocess.run([python, "-c", f"import {modules}"], capture_output=True).returncode == 0:
            return python
    print(f"{peer} is left out: no Python imports {modules}; {PEERS[peer].install}", file=sys.stderr)
    return None


def row(job, peer, python, rounds):
    """A row of the table, after its pairs."""
    samples = PEERS[peer].sizes[job.split("-")[0]]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.npz"
        write(network(job, samples), path)
        pairs = [(measure(sys.executable, __file__, "--jobs", job, "--local", str(samples)),
                  measure(python, str(Path(__file__).parent / "peers.py"), peer, str(path))) for _ in range(rounds)]
    return line(job, peer, samples, pairs)


def line(job, peer, samples, pairs):
    """The row of pairs of results (ours, the peer's), each a dict of `seconds` and `spikes`."""
    ratios = sorted(theirs["seconds"] / ours["seconds"] for ours, theirs in pairs)
    middle = statistics.median(ratios)
    rates = [samples / statistics.median(one["seconds"] for one in side) for side in zip(*pairs)]
    spikes = [f"{one['spikes'] / samples:,.2f}" for one in pairs[0]]
    verdict = ", equal" if 1 / EQUAL <= middle <= EQUAL else ""
    told = [f"{ratio:,.0f}" if ratio > 100 else f"{ratio:.3g}" for ratio in (middle, ratios[0], ratios[-1])]
    return (f"| {job} | {peer} | {rates[0]:,.0f} | {rates[1]:,.0f} | {told[0]} ({told[1]}, {told[2]}){verdict}"
            f" | {', '.join(spikes)} | {PEERS[peer].lacks} |")


def measure(python, *command):
    """The JSON that a process of its own prints last, on one thread."""
    tools = os.pathsep.join([str(Path(python).parent), os.environ.get("PATH", "")])
    done = subprocess.run([python, *command], capture_output=True, text=True,
                          env={**os.environ, **ONE_THREAD, "PATH": tools})
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
