"""Every fault that an emulated board can have x runs in 1, 2 and 5 pieces: how each of them ends; about 15 minutes.

    python benchmarks/board_faults.py [--fault TEXT] [--of KIND]

A line for each run. It is right if it ends with the integers of the local engine, or with another verdict than valid,
or with a sentence that has what the machine said. Wrong integers that are called valid and a sentence without a verdict
are marked and make the exit code 1; other exceptions go through.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spikingconvnet.backends.local import simulator
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.emulator import Board
from spikingconvnet.emulator.faults import parse
from spikingconvnet.errors import BackendError
from spikingconvnet.health.verdict import judge
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import AdditiveWeightDependence, SpikePairRule, STDPMechanism
from spikingconvnet.network.spikes import Spikes

STEPS, EVERY = 48, 16
PIECES = {1: (48,), 2: (20, 28), 5: (5, 5, 10, 12, 16)}
DEAD = ("dead-core=0,0,1", "dead-core=0,0,4", "dead-chip=1,1")
SLOW = tuple(f"slow-core=0,0,{core},8mips" for core in range(1, 6))
FAULTS = ((), *((one,) for one in DEAD), DEAD, ("dead-link=0,0,2",),
          ("dropped-packets=0.1", "seed=1"), ("dropped-packets=1",),
          ("late-packets=0.3,1.5ms",), ("late-packets=1,5ms",), *((one,) for one in SLOW[:4]), SLOW,
          ("slow-core=0,0,2,0.2mips",), *((f"crash=0,0,{core},{ms}ms",) for core in (1, 2) for ms in (0, 25)),
          ("silent-after=0.025s",), ("silent-after-packets=0",), ("silent-after-packets=400",))
KINDS = ("spikes", "membranes", "learning", "resets")


def network(kind):
    """Six sources that fire in every second step, onto 300 neurons (two cores), a convolution and 20 learners."""
    spikes = Spikes((1, 3, 2), EVERY, np.repeat(np.arange(0, 6 * STEPS // 2 + 1, 6), 2)[:STEPS + 1],
                    np.tile(np.arange(6, dtype=np.uint16), STEPS // 2))
    cell = IFCurrExp(v_rest=0.0, v_reset=0.0, v=0.0, v_thresh=4.0, tau_refrac=2.0)
    maps = ConvConnections(np.full((1, 1, 3, 1), 0.1), (1, 3, 2))
    whole = Network(
        (Population("in", spikes.shape, SpikeSourceArray(spikes)), Population("out", (1, 1, 300), cell),
         Population("maps", maps.post_shape, cell, per_channel=True)),
        (Projection("dense", "in", "out", DenseConnections(np.full((6, 300), 1.0), rounding="machine")),
         Projection("conv", "in", "maps", maps)))
    if kind != "learning":
        return replace(whole, reset_every=EVERY * (kind == "resets"))
    pre, post = (ids.ravel() for ids in np.indices((6, 20)))
    weight = np.random.default_rng(0).uniform(0.5, 1.5, pre.size)
    rule = STDPMechanism(SpikePairRule(), AdditiveWeightDependence(w_max=2.0))
    learns = Projection("learned", "in", "learners", ConnectionList(pre, post, weight, np.ones(pre.size, int)),
                        plasticity=rule)
    return Network((*whole.populations, Population("learners", (1, 1, 20), cell)), (*whole.projections, learns))


def simulated(simulation, kind, pieces):
    """All that comes out of a run in pieces, as plain values: list; and the last recording."""
    found = []
    for steps in PIECES[pieces]:
        simulation.run(steps)
        recording = simulation.recording()
        found += [(label, spikes.offsets.tolist(), spikes.neurons.tolist()) for label, spikes in
                  sorted(recording.spikes.items())]
        found += [(label, name, trace.tolist()) for label, traces in recording.membranes.items()
                  for name, trace in traces.items()]
        if kind == "learning":
            found.append(simulation.weights("learned").raw.tolist())
            simulation.set("out", np.full(300, 5.0))
    return found, recording


def opened(backend, kind, **options):
    """A simulation of the network of a kind."""
    return backend.open(network(kind), ("out",) if kind in ("membranes", "resets") else (), **options)


def outcome(faults, kind, pieces, directory):
    """How a run on a board with faults, told as on the command line, ends.

    Parameters
    ----------
    faults : tuple of str
    kind : str
        One of `KINDS`.
    pieces : int
        One of `PIECES`.
    directory : Path
        For the run's files; sPyNNaker writes into it until the process ends.

    Returns
    -------
    right : bool
    ends : str
        A verdict, or the kind of an error.
    text : str
        What was found, or the error.
    """
    with opened(simulator, kind) as simulation:
        expected, _ = simulated(simulation, kind, pieces)
    with (directory / "board.log").open("w") as log, Board(version=3, log=log, faults=parse(faults)) as board:
        try:
            with opened(spinnaker, kind, target=board, directory=directory) as simulation:
                found, recording = simulated(simulation, kind, pieces)
        except BackendError as error:
            told = error.provenance is not None and judge(error.provenance).verdict == "invalid"
            return told, type(error).__name__, str(error).replace(str(directory), "...")
    health, same = judge(recording.provenance), found == expected
    names = [finding.name for finding in health.findings if finding.severity != "note"]
    text = ", ".join(["same integers" if same else "other integers", *names])
    return same or health.verdict != "valid", health.verdict, text


def main():
    """Print a line for every run: the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", default="", help="only those whose name has this in it")
    parser.add_argument("--of", choices=KINDS, help="only networks of a kind")
    options = parser.parse_args()
    wrong = 0
    for faults in (faults for faults in FAULTS if options.fault in " ".join(faults)):
        for kind in [options.of] if options.of else KINDS:
            for pieces in PIECES:
                begin = time.perf_counter()
                right, ends, text = outcome(faults, kind, pieces, Path(tempfile.mkdtemp(prefix="board-faults-")))
                wrong += not right
                print(f"{'' if right else 'WRONG '}{' '.join(faults) or 'none'}; {kind}, pieces: {pieces}:"
                      f" {ends} ({text}), {time.perf_counter() - begin:.0f} s", flush=True)
    print(f"{wrong} of these are wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
