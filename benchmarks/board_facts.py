"""The timed emulated board beside published numbers of real boards: a row for each.

    python benchmarks/board_facts.py

Networks run one after another on a SpiNN-3 that counts time, those of board_facts_networks.py as PyNN scripts. The
list of rows and their criteria was committed before any of the new ones had run; nothing is tuned on them. A number is
met within 15 %; "keeps up" where no tick overruns, no packet is late or lost. It needs sPyNNaker and unicorn, as
``pip install -e '.[test]'`` installs them.
"""

import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from board_keeps_up import run
from instructions import network

from spikingconvnet.emulator import Board, script
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.network.connectivity import DenseConnections

STEPS, BUSY = 34, slice(14, -6)             # of a run; those in which all inputs fire
MS = 200_000                                # cycles
WITHIN = 0.15
KEEPS_UP, LATE = "keeps up", "does not"
FAULTS = ("Times_the_timer_tic_over_ran", "Timer tick overruns", "Number_of_late_spikes", "Late_packets",
          "Late spikes", "Times_the_input_buffer_lost_packets", "Times_the_transfer_did_not_complete_in_time",
          "Times_a_time_step_was_skipped", "Dropped_Multicast_Packets", "failure")
RIGIDA = "cells.py and synapses.py of PyNN_SpiNNaker, the software of Knight and Furber 2016"


@dataclass(frozen=True)
class Fact:
    """A published fact: what was measured, where it is told, and the number, `KEEPS_UP` or `LATE`."""

    setting: str
    source: str
    published: float | str


FACTS = (
    Fact("static events per ms, core with 255 IF_curr_exp", "Rhodes 2018: within a factor of 2 of 10,000", 5000),
    Fact("plastic synapses a second", "sPyNNaker, synapse_dynamics_stdp, after Knight and Furber 2016", 1_400_000),
    Fact("static synapses a second, no neurons", "sPyNNaker, synapse_dynamics_static, the same", 13_000_000),
    Fact("256 IF_curr_exp at 1 ms", "sPyNNaker's default", KEEPS_UP),
    Fact("255 neurons, 2,344 events per ms, 768 cores", "Stromatias 2013", KEEPS_UP),
    Fact("80 neurons, ticks of 2 ms, nearly silent: share that overruns", "microcircuit_model, 3 July 2017", 0.00015),
    Fact("synapse core: 200 clocks more than a transfer", "spynnaker.cfg, transfer_overhead_clocks", KEEPS_UP),
    Fact("cycles of an IF_curr_exp", RIGIDA, 143 + 28),
    Fact("cycles of an IF_cond_exp", RIGIDA, 167 + 28),
    Fact("cycles of a Poisson source at 10 Hz", RIGIDA, 58),
    Fact("cycles of a static row without its synapses", RIGIDA, 486 + 53),
    Fact("cycles of a plastic row without its synapses", RIGIDA, 1143 + 226),
    Fact("cycles of a plastic synapse, no neuron fires", RIGIDA, 107),
    Fact("cycles to take a packet into the buffer", "L. Plana, in SpiNNFrontEndCommon#673", 30 + 10),
    Fact("300 IF_cond_exp that all excite each other, 1 ms", "sPyNNaker#231: cores do not finish", LATE),
    Fact("10,000 neurons, 4 M synapses on 4 chips (10 Hz)", "Sharp 2012", KEEPS_UP),
    Fact("microcircuit, 80 neurons a core, slowed 20 times", "van Albada 2018", KEEPS_UP),
    Fact("the same in real time", "van Albada 2018: needs about 20", LATE),
    Fact("microcircuit, 64 neurons and 3 synapse cores, real time", "Rhodes 2020, sPyNNaker#1082", KEEPS_UP),
)


def burst(packets):
    """So many packets at once from 8 cores, more than a core's buffer holds."""
    spikes = Spikes.from_events(np.zeros(packets, int), np.arange(packets), np.full(packets, 14), (1, 1, packets), 1, 34)
    return Network((Population("in", spikes.shape, SpikeSourceArray(spikes), neurons_per_core=packets // 8),
                    Population("out", (1, 1, 1), IFCurrExp())),
                   (Projection("p", "in", "out", DenseConnections(np.full((packets, 1), 0.001))),))


def cases():
    """Networks of this package by name."""
    made = {f"static, 255 neurons, {n} inputs": network(255, n, STEPS) for n in (16, 17, 18)}
    made |= {f"plastic, 100 neurons, {n} inputs": network(100, n, STEPS, rule=STDPMechanism()) for n in (11, 12, 13)}
    made |= {"256 neurons": network(256, 0, STEPS), "1 neuron": network(1, 0, STEPS),
             "1 neuron, 160 inputs": network(1, 160, STEPS)}
    made |= {f"1 neuron, {n} inputs": network(1, n, STEPS) for n in (2, 22)}
    made |= {f"{n} neurons, {m} plastic inputs": network(n, m, STEPS, rule=STDPMechanism())
             for n, m in ((1, 2), (1, 12), (41, 12))}
    return made | {f"burst of {n}": burst(n) for n in (600, 1000)}
