"""Predicted against real: how many neurons a core's own memory (DTCM) holds, for networks near its limit.

    python benchmarks/core_memory.py [--networks 60] [--seed 0] [--kind static ...]

Every network is drawn without its number of neurons per core: rule, delays, packet buffer, recording and so on.
``board.check`` says the largest number that fits. The emulated board, which runs sPyNNaker's own binaries, then
runs the network with that number of neurons on a core, and with one more, the refusal before the run switched off. So
a line ends with `runs` or `CRASHES`, and with the share of neurons that were given away: 0 if the board does not take
one more.

=========  =========================================================================================================
static     IF_curr_exp and IF_curr_delta with delays, large packet buffers, membranes recorded or not
plastic    the rules of which there is a binary for neurons and synapses together
split      rules of which there is none: neuron cores and synapse cores, onto themselves or not
dopamine   neuromodulation, on split cores
tables     long time constants, whose tables of decay fill the memory
delays     delay extensions: how many sources a core delays
kernels    sPyNNaker's own convolution, in a core's own memory
=========  =========================================================================================================

Poisson sources are refused by name before a run: only the local backend draws them. It needs sPyNNaker and unicorn, as
``pip install -e '.[test]'`` installs them, and about ten seconds a network.
"""

import argparse
import atexit
import os
import shutil
import tempfile
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.board import check, dtcm
from spikingconvnet.emulator import Board
from spikingconvnet.errors import BackendError
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive, SpikeSourceArray
from spikingconvnet.network.plasticity import (
    AdditiveWeightDependence,
    MultiplicativeWeightDependence,
    Neuromodulation,
    PfisterSpikeTripletRule,
    SpikeNearestPairRule,
    SpikePairRule,
    STDPMechanism,
    Vogels2011Rule,
    WeightDependenceAdditiveTriplet,
)
from spikingconvnet.network.spikes import Spikes

STEPS, SOURCES = 30, 40
MORE = 14               # neurons beyond the predicted number that are tried at most: over 5 % of 256
RULES = {
    "pair": (SpikePairRule, AdditiveWeightDependence), "pair x": (SpikePairRule, MultiplicativeWeightDependence),
    "nearest": (SpikeNearestPairRule, AdditiveWeightDependence),
    "nearest x": (SpikeNearestPairRule, MultiplicativeWeightDependence),
    "Vogels": (Vogels2011Rule, AdditiveWeightDependence),
    "triplets": (PfisterSpikeTripletRule, WeightDependenceAdditiveTriplet)}
COMBINED = [("exp", rule) for rule in RULES] + [("delta", "pair"), ("delta", "nearest"), ("ca2", "pair")]
SPLIT = [("delta", rule) for rule in ("pair x", "nearest x", "Vogels", "triplets")] + [("ca2", "pair x")]
MODULATED = [(cell, rule) for cell in ("exp", "delta") for rule in ("pair", "pair x", "Vogels")]

NEURONS = {"exp": IFCurrExp, "delta": IFCurrDelta, "ca2": IFCurrExpCa2Adaptive}
STATIC = [("exp", ""), ("delta", ""), ("ca2", "")]
CELLS = {"plastic": COMBINED, "split": SPLIT, "dopamine": MODULATED, "tables": COMBINED[:6],
         "delays": STATIC[:1], "kernels": STATIC[:1]}
DELAYS = {"delays": [40, 70, 130], "kernels": [1, 3, 7]}


@dataclass(frozen=True)
class Drawn:
    """A network but for its neurons per core.

    Attributes
    ----------
    kind, cell, rule : str
    delay : int
        The longest, steps.
    tau : float
        Time constant of the rule, ms.
    packets : int
        ``--packet-buffer``.
    records, recurrent : bool
        Whether membranes are recorded, and whether the population projects to itself.
    lists : int
        Projections from the sources.
    seed : int
    """

    kind: str
    cell: str
    rule: str
    delay: int
    tau: float
    packets: int
    records: bool
    recurrent: bool
    lists: int
    seed: int

    @property
    def most(self):
        """Neurons per core that are tried at most."""
        return 3000 if self.kind == "delays" else 169 if self.kind == "dopamine" else 254

    def __str__(self):
        return (f"{self.kind:9}{self.cell:6}{self.rule:10}{self.delay:5}{self.tau:7.0f}{self.packets:8}"
                f"{'yes' if self.records else 'no':>8}{'yes' if self.recurrent else 'no':>6}{self.lists:6}")


HEADER = (f"{'kind':9}{'cell':6}{'rule':10}{'delay':>5}{'tau':>7}{'packets':>8}{'records':>8}{'loop':>6}{'lists':>6}"
          f"{'fits':>6}  {'board':8}{'one more':10}{'given away':>10}")


def drawn(kind, rng):
    """A Drawn that some numbers of neurons per core fit and `most` do not."""
    while True:
        cell, rule = CELLS.get(kind, STATIC)[rng.integers(len(CELLS.get(kind, STATIC)))]
        one = Drawn(kind, cell, rule, int(rng.choice(DELAYS.get(kind, [1, 4, 7, 14, 28]))),
                    float(rng.choice([100, 200, 400, 800] if kind == "tables" else [10, 20, 50])),
                    int(rng.choice([256, 1000, 2048, 4096, 8192])), bool(rng.integers(2)),
                    bool(rng.integers(2)) and kind not in ("kernels", "delays", "dopamine"), int(rng.integers(1, 4)),
                    int(rng.integers(1 << 30)))
        if lacks(one, one.most) and not lacks(one, 1):
            return one


def network(one, neurons):
    """The network with so many neurons on a core, and some more on another one."""
    rng = np.random.default_rng(one.seed)
    if one.kind == "kernels":
        return _kernels(one, neurons, rng)
    more = neurons + neurons // 4
    sources, size = (more, 256) if one.kind == "delays" else (SOURCES, more)
    on_source, on_core = (neurons, None) if one.kind == "delays" else (None, neurons)
    cell = NEURONS[one.cell](v_thresh=-60.0)
    rule = _rule(one, rng) if one.rule else None
    populations = [_source("in", (1, 1, sources), rng, on_source),
                   Population("out", (1, 1, size), cell, neurons_per_core=on_core)]
    projections = [Projection(f"p{i}", "in", "out", _list(sources, size, one.delay, rng), plasticity=rule)
                   for i in range(one.lists)]
    if one.recurrent:
        projections.append(Projection("loop", "out", "out", _list(size, size, 1, rng)))
    if one.kind == "dopamine":
        populations.append(_source("reward", (1, 1, 3), rng))
        amounts = DenseConnections(np.full((3, size), 0.1), 1, "machine")
        projections.append(Projection("reward", "reward", "out", amounts, "reward",
                                      Neuromodulation(tau_c=20.0 * one.tau, tau_d=5.0 * one.tau)))
    return Network(populations, projections)


def _kernels(one, neurons, rng):
    source = _source("in", (2, 3, neurons + 2), rng)
    kernels = ConvConnections(rng.uniform(-3.0, 6.0, (1, 2, 3, 3)), source.shape, delay=one.delay)
    out = Population("out", kernels.post_shape, IFCurrExp(v_thresh=-60.0), per_channel=True, neurons_per_core=neurons)
    return Network([source, out], [Projection("conv", "in", "out", kernels)])


def _source(label, shape, rng, neurons_per_core=None):
    step, neuron = np.nonzero(rng.random((STEPS, int(np.prod(shape)))) < 0.05)
    spikes = Spikes.from_events(0 * step, neuron, step, shape, 1, STEPS)
    return Population(label, shape, SpikeSourceArray(spikes), neurons_per_core=neurons_per_core)


def _list(n_pre, n_post, delay, rng):
    n = 600
    delays = rng.integers(1, delay + 1, n)
    delays[0] = delay
    return ConnectionList(rng.integers(0, n_pre, n), rng.integers(0, n_post, n), rng.uniform(0.0, 3.0, n), delays)


def _rule(one, rng):
    timing, weight = RULES[one.rule]
    taus = {"alpha": 0.1, "tau": one.tau} if timing is Vogels2011Rule else {"tau_plus": one.tau, "tau_minus": one.tau}
    if timing is PfisterSpikeTripletRule:
        taus |= {"tau_x": 2.0 * one.tau, "tau_y": 2.0 * one.tau}
    return STDPMechanism(timing(A_plus=0.01, A_minus=0.01, **taus), weight(w_min=0.0, w_max=3.0))


def lacks(one, neurons):
    """Whether check refuses it with so many neurons on a core."""
    return bool(dtcm.memory(network(one, neurons), _record(one), one.packets)[1])


def _record(one):
    return ("out",) if one.records else ()


def most_that_fit(one):
    """The largest number of neurons on a core that check accepts."""
    low, high = 1, one.most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if lacks(one, middle) else (middle, high)
    subject = check.Subject("near the limit", network(one, low), STEPS, _record(one))
    found = check.check(subject, check.MACHINES["emulated"], one.packets)
    assert found.verdict != check.FITS[2], (one, low, found.findings)
    return low


def runs(one, neurons, folder):
    """Whether the emulated board runs it."""
    made = network(one, neurons)
    with open(os.devnull, "w") as log, Board(log=log) as board, patch.object(dtcm, "require_fits"):
        try:
            with spinnaker.open(made, _record(one), target=board, directory=tempfile.mkdtemp(dir=folder),
                                packet_buffer=one.packets) as simulation:
                simulation.run(STEPS)
                simulation.recording()
        except BackendError as error:
            if "RUN_TIME_EXCEPTION" not in str(error):
                raise
            return False
    return True


def measured(one, folder):
    """Predicted number of neurons per core, whether it runs, and the largest number that runs."""
    fits = most_that_fit(one)
    real = fits
    while real < fits + MORE and runs(one, real + 1, folder):
        real += 1
    return fits, runs(one, fits, folder), real


KINDS = ("static", "plastic", "split", "dopamine", "tables", "delays", "kernels")


def main():
    """Print a line for each network, and their sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=60, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="core-memory-")
    atexit.register(shutil.rmtree, folder)          # after sPyNNaker's own last words, which go there
    rng, crashes, given = np.random.default_rng(options.seed), 0, []
    print(HEADER)
    for i in range(options.networks):
        one = drawn(options.kind[i % len(options.kind)], rng)
        fits, right, real = measured(one, folder)
        crashes, given = crashes + (not right), [*given, (real - fits) / real]
        print(f"{one}{fits:6}  {'runs' if right else 'CRASHES':8}{'runs' if real > fits else 'crashes':10}"
              f"{100 * given[-1]:9.1f}%", flush=True)
    print(f"{len(given)} networks: {crashes} that fit and crash; of the neurons per core at most"
          f" {100 * max(given):.1f} % given away, {100 * np.mean(given):.2f} % on average")


if __name__ == "__main__":
    main()
