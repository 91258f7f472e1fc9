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
from instructions import network

from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.emulator import Board, script
from spikingconvnet.health.verdict import judge
from spikingconvnet.network.connectivity import DenseConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes

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
    every = np.arange(packets)
    spikes = Spikes.from_events(0 * every, every, 0 * every + 14, (1, 1, packets), 1, STEPS)
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
    made |= {f"{n} with {m} plastic inputs": network(n, m, STEPS, rule=STDPMechanism())
             for n, m in ((1, 2), (1, 12), (41, 12))}
    return made | {f"burst of {n}": burst(n) for n in (600, 1000)}


def here():
    """Verdicts on the networks of this package, and cycles of each step of the core of ``out``, by name."""
    verdicts, made = {}, cases()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "times.json")
        with Board(version=3, timed=True, times=path) as board:
            for name, one in made.items():
                with spinnaker.open(one, target=board, time_scale=4 if name.startswith("burst") else 1) as simulation:
                    simulation.run(simulation.source_steps)
                    verdicts[name] = judge(simulation.recording().provenance)
        programs = [one for one in json.loads(path.read_text())["programs"] if one["program"].startswith("IF_")]
    return verdicts, {name: one["steps"] for name, one in zip(made, programs, strict=True)}


def scripts():
    """What provenance says of the networks of scripts, and what their programs did, by name."""
    with tempfile.TemporaryDirectory() as folder:
        told, path = Path(folder, "told.json"), Path(folder, "times.json")
        if script.run([str(Path(__file__).with_name("board_facts_networks.py")), str(told)], version=3, timed=True,
                      times=path):
            raise SystemExit("board_facts_networks.py has failed")
        programs = iter(json.loads(path.read_text())["programs"])
        found = json.loads(told.read_text())
    return found, {name: [next(programs) for _ in range(one["cores"])] for name, one in found.items()}


def taken(verdicts, steps, row):
    """Cycles of a packet that finds the buffer full: of 400 more in a burst, less the `row` of those that did not."""
    few, many = (f"burst of {n}" for n in (600, 1000))
    lost = sum(sign * one.value for name, sign in ((many, 1), (few, -1)) for one in verdicts[name].findings
               if one.name == "lost_input")
    more = max(steps[many][BUSY]) - max(steps[few][BUSY])
    return (more - (400 - lost) * row) / lost, f"{lost:.0f} of 400 more are lost"


def kept_up(found):
    """Whether provenance has none of the faults of time, and those that it has."""
    faults = {name: found[name] for name in FAULTS if found.get(name)}
    return KEEPS_UP if not faults else LATE, faults


def busiest(programs, kind):
    """Steps of the programs of a kind, in which all have settled."""
    return [one["steps"][BUSY] for one in programs if one["program"].startswith(kind)]


def results():
    """What is measured for each row, in order: a number, `KEEPS_UP` or `LATE`, and a remark."""
    verdicts, steps = here()
    did = {name: float(np.mean(one[BUSY])) for name, one in steps.items()}
    found, programs = scripts()

    def difference(more, less, n):
        return (did[more] - did[less]) / n

    def verdict(name):
        return KEEPS_UP if verdicts[name].verdict == "valid" else LATE, f"{did[name] / MS:.0%} of a step"

    def each(kind, program):
        one, many = (float(np.mean(busiest(programs[f"{n} {kind}"], program))) for n in (1, 101))
        return (many - one) / 100, ""

    row = difference("static, 255 neurons, 17 inputs", "static, 255 neurons, 16 inputs", 1)
    rest = did["static, 255 neurons, 16 inputs"] - 16 * row
    yield 255 * (MS - rest) / row, ""
    yield 1000 * 100 * MS / difference("plastic, 100 neurons, 12 inputs", "plastic, 100 neurons, 11 inputs", 1), ""
    yield 1000 * 255 * MS / row, ""
    yield verdict("256 neurons")
    yield verdict("static, 255 neurons, 16 inputs")
    silent = found["2017"]["Times_the_timer_tic_over_ran"] / 300
    yield silent, ""
    yield kept_up(found["apart"])
    neuron = difference("256 neurons", "1 neuron", 255)
    yield neuron, ""
    yield each("IF_cond_exp", "IF_cond_exp")
    yield each("Poisson", "spike_source_p")
    static = difference("1 neuron, 22 inputs", "1 neuron, 2 inputs", 20)
    yield static - (row - static) / 254, ""
    plastic = difference("1 with 12 plastic inputs", "1 with 2 plastic inputs", 10)
    learning = (difference("41 with 12 plastic inputs", "1 with 12 plastic inputs", 1) - 40 * neuron) / 12 / 40
    yield plastic - learning, ""
    yield learning, ""
    yield taken(verdicts, steps, static)
    for name in ("overloaded", "2012", "2018"):
        yield kept_up(found[name])
    needed = 20 * max(max(one["steps"][2:]) / one["period"] for one in programs["2018"])
    yield LATE if needed > 1 else KEEPS_UP, f"its busiest step needs a slowdown of {needed:.1f}"
    yield kept_up(found["2020"])


def met(fact, ours):
    """Whether a row is met, and the ratio where there is one."""
    if isinstance(fact.published, str):
        return fact.published == ours, ""
    ratio = ours / fact.published
    return abs(ratio - 1) <= WITHIN, f"{ratio:.2f}"


def main():
    """Print a row for every fact."""
    count = Counter()
    for number, (fact, (ours, remark)) in enumerate(zip(FACTS, results(), strict=True), 1):
        good, ratio = met(fact, ours)
        count[good] += 1
        published, shown = (one if isinstance(one, str) else f"{one:,.6g}" for one in (fact.published, ours))
        print(f"{number:3} {fact.setting:62} {published:>10} {shown:>11} {ratio:>5} {'met' if good else 'not met':8}"
              f"{remark or ''}", flush=True)
    print(f"{count[True]} of {len(FACTS)} rows are met")


if __name__ == "__main__":
    main()
