"""Where the time of an inference goes, and what share of this machine's multiply-adds and memory bandwidth it reaches.

    python benchmarks/roofline.py [--job conv-32] [--images 1000] [--rounds 5]

The job is a convolution of ``engine.py`` in the local engine, one thread, user CPU seconds. Three tables:

* by ablation: the same job without firing (thresholds out of reach), without currents (kernels of zeros) and without
  input; a stage is the difference of two of them, so whatever they share (caches, branches) is split only roughly;
* by sampling: which line of the engine's ``simulator.py`` a thread is in, every millisecond;
* against the machine: two small kernels measure, in the same process and on one thread, multiply-adds of 32 bits on
  16 KiB and the triad ``a = b + s * c`` on arrays far larger than the caches (three times 8 bytes an element).

The work is counted from the network, as if every neuron were computed in every step: four multiply-adds a neuron and
step (input resistance, membrane, two currents), one addition a synaptic event, 28 bytes of state a neuron and step (two
currents and the membrane read and written, the threshold read). The engine may do less where nothing changes, and its
products are 64 bits wide where 32 do not hold them. A state traffic above the memory bandwidth shows that the state
stays in the caches; what has to come from memory is the third figure, the input, the output and once a piece the state.
"""

import argparse
import linecache
import statistics
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import numpy as np
from engine import SLOT, network, user_seconds
from numba import int32, njit

from spikingconvnet.backends.local import simulator
from spikingconvnet.network.netlist import Network
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes

PIECE = 500 * SLOT              # steps a run
OUT_OF_REACH = 30_000.0         # mV
PRODUCTS, STATE_BYTES = 4, 28   # a neuron and step
CHAIN = 4                       # multiply-adds between a load and a store; 1 to 32 were measured, 4 is the fastest
MIB = 1 << 20
UNWATCHED = nullcontext()


# ---------------------------------------------------------------- the job and its ablations


def run(made, v_thresh=None, watched=UNWATCHED):
    """User CPU seconds of a run, `watched` meanwhile, and its output Spikes."""
    with simulator.open(made, jobs=1) as simulation:
        if v_thresh is not None:
            simulation.set("output", np.full(made.population("output").size, v_thresh))
        begin = user_seconds()
        with watched:
            for first in range(0, simulation.source_steps, PIECE):
                simulation.run(min(PIECE, simulation.source_steps - first))
        return user_seconds() - begin, simulation.recording().spikes["output"]


def without_currents(made):
    """The network with kernels of zeros."""
    (projection,) = made.projections
    silent = replace(projection.connections, kernels=np.zeros_like(projection.connections.kernels))
    return Network(made.populations, (replace(projection, connections=silent),))


def without_input(made):
    """The network with a source that never fires."""
    source, output = made.populations
    spikes = source.cell.spikes
    cell = SpikeSourceArray(Spikes.empty(spikes.shape, spikes.n_samples, spikes.n_steps))
    return Network((replace(source, cell=cell), output), made.projections)


def by_ablation(made, rounds):
    """Median user CPU seconds of the job, and of each stage: (name, seconds, least, most)."""
    variants = [(made, None), (made, OUT_OF_REACH), (without_currents(made), OUT_OF_REACH),
                (without_input(made), OUT_OF_REACH)]
    found = np.array([[run(*variant)[0] for variant in variants] for _ in range(rounds)])
    stages = [("fire, reset, put the output in order", found[:, 0] - found[:, 1]),
              ("integrate membranes and currents", found[:, 1] - found[:, 2]),
              ("order the input, scatter, inject", found[:, 2] - found[:, 3]),
              ("everything else: neurons at rest, calls", found[:, 3])]
    return statistics.median(found[:, 0]), [(name, *np.percentile(s, [50, 0, 100])) for name, s in stages]


@contextmanager
def sampling(seen):
    """Add to the Counter `seen` the seconds that a thread is in each (function, source text) of the simulator."""
    done = threading.Event()

    def sample():
        last = time.perf_counter()
        while not done.wait(0.001):
            now = time.perf_counter()
            for thread, frame in sys._current_frames().items():
                place = _place(frame) if thread != threading.get_ident() else None
                if place:
                    seen[place] += now - last
            last = now

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield
    finally:
        done.set()
        sampler.join()


def by_sampling(made):
    """Share of the time of one run in each line of the simulator: list of ((function, text), 0 .. 1), longest first."""
    seen = Counter()
    run(made, watched=sampling(seen))
    return [(place, seconds / sum(seen.values())) for place, seconds in seen.most_common()]


def _place(frame):
    """Function and text of the innermost line of the simulator; None for a thread that waits or is elsewhere."""
    if frame.f_code.co_filename == threading.__file__:
        return None
    while frame and frame.f_code.co_filename != simulator.__file__:
        frame = frame.f_back
    return frame and (frame.f_code.co_name, linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip())


# ---------------------------------------------------------------- the machine


@njit
def multiply_adds(x, factor, addend, rounds):
    """CHAIN multiply-adds of 32 bits on each value, `rounds` times."""
    for _ in range(rounds):
        for j in range(x.shape[0]):
            value = x[j]
            for _ in range(CHAIN):
                value = int32(int32(value * factor) + addend)
            x[j] = value


@njit
def triad(a, b, c, scale):
    """``a = b + scale * c``."""
    for j in range(a.shape[0]):
        a[j] = b[j] + scale * c[j]


def best_of(work, times=5):
    """Least user CPU seconds of `times` calls, after one that compiles."""
    work()
    found = []
    for _ in range(times):
        begin = user_seconds()
        work()
        found.append(user_seconds() - begin)
    return min(found)


def integer_throughput():
    """Multiply-adds of 32 bits per second in the first-level cache."""
    x, rounds = np.arange(16 * 1024 // 4, dtype=np.int32), 20_000
    return len(x) * CHAIN * rounds / best_of(lambda: multiply_adds(x, np.int32(3), np.int32(7), rounds))


def memory_bandwidth():
    """Bytes per second of the triad on three arrays of 64 MiB."""
    a, b, c = (np.ones(64 * MIB // 8) for _ in range(3))
    times = 10

    def work():
        for _ in range(times):
            triad(a, b, c, 3.0)
    return 3 * a.nbytes * times / best_of(work)


# ---------------------------------------------------------------- the work


def synaptic_events(made):
    """Additions of one weight to one neuron: input spikes times the window positions that see them times the maps."""
    connections = made.projections[0].connections
    spikes = made.populations[0].cell.spikes
    maps, *positions = connections.post_shape
    seen = [np.bincount((np.arange(n)[:, None] * stride + np.arange(k)).ravel(), minlength=size) for n, stride, k, size
            in zip(positions, connections.strides, connections.kernels.shape[2:], connections.pre_shape[1:])]
    fan_out = np.tile(np.outer(*seen).ravel(), connections.pre_shape[0])
    return int(fan_out[spikes.neurons].sum()) * maps


def work(made, output):
    """Multiply-adds and additions, bytes of state touched, bytes that have to come from or go to memory."""
    spikes, neurons = made.populations[0].cell.spikes, made.population("output").size
    steps = len(spikes.offsets) - 1
    streams = sum(part.neurons.nbytes + part.offsets.nbytes for part in (spikes, output))
    return (PRODUCTS * neurons * steps + synaptic_events(made), STATE_BYTES * neurons * steps,
            streams + STATE_BYTES * neurons * -(-steps // PIECE))


def main(args=None):
    """Print the three tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--job", default="conv-32", help="conv-K or conv-K-T, see engine.py")
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(args)
    if not options.job.startswith("conv-"):
        parser.error(f"--job: must be conv-K or conv-K-T, got {options.job!r}")
    run(network(options.job, 10))                                    # compiles or loads the kernels
    made = network(options.job, options.images)
    seconds, stages = by_ablation(made, options.rounds)
    print(f"{options.job}, {options.images} images: {seconds:.2f} user CPU s, {options.images / seconds:,.0f} images"
          f" per s\n\n| stage, by ablation | s: median (least, most) | share |\n|---|---|---|")
    for name, median, least, most in stages:
        print(f"| {name} | {median:.3f} ({least:.3f}, {most:.3f}) | {100 * median / seconds:.0f} % |")
    print("\n| line of `simulator.py`, by sampling | in | share |\n|---|---|---|")
    for (function, text), share in by_sampling(made):
        if share >= 0.01:
            print(f"| `{text}` | `{function}` | {100 * share:.0f} % |")
    print("\n| against the machine | this job | measured peak | share |\n|---|---|---|---|")
    operations, state, streams = work(made, run(made)[1])
    peak, bandwidth = integer_throughput(), memory_bandwidth()
    for name, amount, unit, top in (("32-bit multiply-adds and additions", operations, "G/s", peak),
                                    ("state touched", state, "GB/s", bandwidth),
                                    ("input, output, state once a piece", streams, "GB/s", bandwidth)):
        print(f"| {name} | {amount / seconds / 1e9:.2f} {unit} | {top / 1e9:.1f} {unit} |"
              f" {100 * amount / seconds / top:.0f} % |")


if __name__ == "__main__":
    main()
