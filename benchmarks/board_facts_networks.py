"""PyNN scripts of published settings, for benchmarks/board_facts.py, which runs them on a timed emulated board.

    python -m spikingconvnet.emulator --timed benchmarks/board_facts_networks.py RESULT.json [NAME ...]

Writes what sPyNNaker's provenance says of each network: {name: {"cores": how many programs had steps, item: sum over
cores}}. The microcircuit is one core of its largest population, layer 4 excitatory, with sources in place of the
77,169 neurons: connection probabilities, mean rates and external input are those of Potjans and Diesmann (2014), as
SpiNNakerManchester/microcircuit_model has them (common_params.py).
"""

import json
import logging
import os
import sys
from collections import Counter
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pyNN.spiNNaker as sim
from spinn_front_end_common.utilities.exceptions import SpinnFrontEndException
from spinn_utilities.config_holder import set_config
from spynnaker.pyNN.data import SpynnakerDataView

from spikingconvnet.backends.spinnaker import machine, provenance

SILENT = {"v_thresh": 60_000.0}
SIZES = (20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948)             # 2/3 E, 2/3 I, 4 E, 4 I, 5 E, 5 I, 6 E, 6 I
RATES = (0.971, 2.868, 4.746, 5.396, 8.142, 9.078, 0.991, 7.523)        # Hz
ONTO_4E = (0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0)  # probabilities
EXTERNAL = 2100 * 8.0                                                   # Hz, of each neuron
POOL = 100                  # sources that stand for a population


def idle(n, cell, **parameters):
    """Neurons or sources that nobody drives."""
    sim.setup(timestep=1.0)
    sim.Population(n, cell(**parameters))
    return 60


def apart():
    """Neurons and synapses on cores of their own, which transfer in every step."""
    sim.setup(timestep=1.0)
    neurons = sim.Population(200, sim.IF_curr_exp(), n_synapse_cores=1)
    sources = sim.Population(50, sim.SpikeSourceArray(list(range(10, 280))))
    sim.Projection(sources, neurons, sim.FixedProbabilityConnector(0.1), sim.StaticSynapse(weight=0.1, delay=1.0))
    return 300


def overloaded():
    """Issue 231 of sPyNNaker: 300 neurons without a refractory time that all excite each other."""
    sim.setup(timestep=1.0)
    neurons = sim.Population(300, sim.IF_cond_exp(tau_refrac=0.0))
    source = sim.Population(1, sim.SpikeSourceArray([10]))
    for pre in (source, neurons):
        sim.Projection(pre, neurons, sim.AllToAllConnector(), sim.StaticSynapse(weight=3.0, delay=1.0))
    return 60


def circuit_of_2012():
    """A core of 10,000 Izhikevich neurons with 400 synapses each on the 64 cores of four chips, all at 10 Hz."""
    steps, rng = 60, np.random.default_rng(0)
    fires = rng.random((steps, 1000)) < 0.1                 # 100 of 10,000 a step
    sim.setup(timestep=1.0)
    neurons = sim.Population(157, sim.Izhikevich())
    sources = sim.Population(1000, sim.SpikeSourceArray([np.flatnonzero(column).tolist() for column in fires.T]))
    sim.Projection(sources, neurons, sim.FixedProbabilityConnector(0.04), sim.StaticSynapse(weight=0.001, delay=1.0))
    return steps


def microcircuit(neurons, steps, step, **population):
    """A core of layer 4 and all that it receives, `step` ms for each 0.1 ms of the model; after ``sim.setup``."""
    rng = np.random.default_rng(0)
    cell = sim.IF_curr_exp(**SILENT)
    core = sim.Population(neurons, cell, **population)
    synapse = sim.StaticSynapse(weight=0.001, delay=step)
    external = sim.Population(neurons, sim.SpikeSourcePoisson(rate=EXTERNAL * 0.1 / step))
    sim.Projection(external, core, sim.OneToOneConnector(), synapse)
    for size, rate, probability in zip(SIZES, RATES, ONTO_4E):
        if probability:
            times = [[] for _ in range(POOL)]
            for at, n in enumerate(rng.poisson(size * rate * 1e-4, steps - 10)):
                for source in rng.choice(POOL, min(n, POOL), replace=False):
                    times[source].append((at + 5) * step)
            pairs = np.argwhere(rng.random((POOL, neurons)) < probability)
            sources = sim.Population(POOL, sim.SpikeSourceArray(times))
            sim.Projection(sources, core, sim.FromListConnector(pairs.tolist()), synapse)


def slowed():
    """80 neurons a core in ticks of 2 ms, as in 2018: synapses and neurons share a core."""
    sim.setup(timestep=1.0, time_scale_factor=2)
    microcircuit(80, 100, 1.0)
    return 100


def nearly_silent():
    """The same without its input, as in 2017."""
    sim.setup(timestep=1.0, time_scale_factor=2)
    sim.Population(80, sim.IF_curr_exp())
    return 300


def real_time():
    """64 neurons a core in ticks of 0.1 ms, and three cores for their synapses."""
    sim.setup(timestep=0.1, time_scale_factor=1)
    sim.set_allow_delay_extensions(sim.IF_curr_exp, False)
    microcircuit(64, 400, 0.1, n_synapse_cores=3)
    return 40


NETWORKS = {
    "1 IF_cond_exp": lambda: idle(1, sim.IF_cond_exp), "101 IF_cond_exp": lambda: idle(101, sim.IF_cond_exp),
    "1 Poisson": lambda: idle(1, sim.SpikeSourcePoisson, rate=10.0),
    "101 Poisson": lambda: idle(101, sim.SpikeSourcePoisson, rate=10.0),
    "apart": apart, "overloaded": overloaded, "2012": circuit_of_2012, "2017": nearly_silent, "2018": slowed,
    "2020": real_time}


def run(name):
    """What provenance says of one network; of one whose run fails, also why."""
    duration, failure, found = NETWORKS[name](), "", Counter()
    for option in machine.PROVENANCE:
        set_config("Reports", option, "True")
    try:
        sim.run(duration)
    except SpinnFrontEndException as error:
        failure = str(error).splitlines()[0][:200]
    for reading in provenance.read(machine.provenance_database()).readings:
        if reading.table in (provenance.CORE, provenance.ROUTER):
            found[reading.item] += reading.value
    cores = SpynnakerDataView.get_n_placements()
    sim.end()
    return {**found, "cores": cores, "failure": failure}


def main(path, *chosen):
    """Run them one after another, without sPyNNaker's log."""
    logging.disable(logging.WARNING)
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        found = {name: run(name) for name in chosen or NETWORKS}
    Path(path).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
