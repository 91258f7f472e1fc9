"""What is about the machine: delays, chains over chips, compressed tables, time steps, pauses, resets."""

import logging
from itertools import pairwise

import numpy as np

from models.catalogue import BOARD, CLOSED_FORM, FLOAT_MODEL, GROUPS, Check, by_step, drive, network, same_trace, trace
from models.catalogue import spikes as spikes_of
from models.float_models import exponential, lif

# The cell of sPyNNaker's synfire chains (spynnaker_integration_tests, SynfireRunner).
SYNFIRE = {"cm": 0.25, "tau_m": 20.0, "tau_refrac": 2.0, "tau_syn_E": 5.0, "tau_syn_I": 5.0, "v_reset": -70.0}


def hop(weight, delay, dt=1.0):
    """ms from a spike to that of the next cell of a synfire chain, by the float model."""
    arriving = by_step([(delay, weight)], 400, dt)
    current = exponential(arriving, SYNFIRE["tau_syn_E"], dt)
    _, fired = lif(lambda step, _: current[step], 400, dt=dt, cm=SYNFIRE["cm"], tau_refrac=2.0, v_reset=-70.0)
    return fired[0] * dt


def ring(sim, size, weight, delay, cell=None, first=0.0, lead=None, closed=True):
    """A ring (or, not closed, a chain) of cells, each firing the next, begun by one spike at `first` + `lead` ms."""
    cells = sim.Population(size, cell or sim.IF_curr_exp(**SYNFIRE))
    sim.Projection(cells, cells, sim.FromListConnector(
        [(i, (i + 1) % size, weight, delay) for i in range(size - (not closed))]))
    sim.Projection(sim.Population(1, sim.SpikeSourceArray([first])), cells,
                   sim.FromListConnector([(0, 0, weight, lead or delay)]))
    cells.record("spikes")
    return cells


def in_order(cells):
    """(times, cells) of all spikes, by time."""
    events = sorted((time, cell) for cell, train in enumerate(spikes_of(cells)) for time in train)
    return [time for time, _ in events], [cell for _, cell in events]


def chain_checks(cells, period, first, duration):
    """A spike every `period` ms, one cell after another."""
    times, order = in_order(cells)
    expected = np.arange(first, duration, period).tolist()
    yield Check("spikes", len(expected), len(times))
    yield Check("times every hop", True, times == expected)
    yield Check("one cell after another", True, order == [i % cells.size for i in range(len(order))])


@network("structure", BOARD)
def synfire_ring_izhikevich(sim):
    """Ring of 200 Izhikevich cells on two cores, 500 ms (test_synfire_izhikevich)"""
    cells = ring(sim, 200, 40.0, 1.0, sim.Izhikevich(a=0.02, b=0.2, c=-65, d=8, v=-75, u=0, tau_syn_E=2, tau_syn_I=2),
                 first=50.0)
    cells.set_max_atoms_per_core(100)
    yield
    times, order = in_order(cells)
    yield Check("spikes in 500 ms", 215, sum(time < 500 for time in times))
    yield Check("one cell after another", True, order == [i % 200 for i in range(len(order))])


@network("chains", CLOSED_FORM)
def delays(sim):
    """Delays of 1 to 140 ms, most over a delay extension core"""
    lengths = [1, 2, 8, 15, 16, 17, 31, 32, 33, 64, 65, 100, 128, 129, 140]
    source = sim.Population(1, sim.SpikeSourceArray([7.0]))
    cells = sim.Population(len(lengths), sim.IF_curr_exp(v_thresh=-64.9))
    sim.Projection(source, cells, sim.FromListConnector([(0, i, 4.0, float(n)) for i, n in enumerate(lengths)]))
    cells.record("spikes")
    yield
    yield Check("first spikes (ms)", [7.0 + n for n in lengths], [train[0] for train in spikes_of(cells)])


@network("chains", CLOSED_FORM)
def chain_over_chips(sim):
    """Chain of 24 populations of 100 cells, each on cores of its own, over several chips"""
    cells = [sim.Population(100, sim.IF_curr_exp(v_thresh=-60.0)) for _ in range(24)]
    for population in cells:
        population.set_max_atoms_per_core(50)
        population.record("spikes")
    sim.Projection(sim.Population(100, sim.SpikeSourceArray([5.0])), cells[0], sim.OneToOneConnector(),
                   sim.StaticSynapse(weight=8.0, delay=1.0))
    for before, after in pairwise(cells):
        sim.Projection(before, after, sim.OneToOneConnector(), sim.StaticSynapse(weight=8.0, delay=1.0))
    yield
    found = [sorted({train[0] for train in spikes_of(population)}) for population in cells]
    yield Check("first spikes (ms)", [6.0 + i for i in range(24)], [times[0] for times in found])
    yield Check("populations that fired together", 24, sum(len(times) == 1 for times in found))
    from spynnaker.pyNN.data import SpynnakerDataView
    chips = {(place.x, place.y) for place in SpynnakerDataView.iterate_placemements()}
    yield Check("over more than two chips", True, len(chips) > 2)


@network("fine", FLOAT_MODEL)
def fine_time_step(sim):
    """IF_curr_exp, IF_cond_exp and IF_curr_alpha at 0.1 ms"""
    steps = round(GROUPS["fine"].duration / 0.1)
    events = [(10.0, 4.0), (12.5, 4.0), (13.1, 8.0), (50.3, 2.0)]
    scaled = [(time, weight / 64) for time, weight in events]
    made = []
    for cell, given in ((sim.IF_curr_exp(tau_refrac=2.0), events), (sim.IF_cond_exp(tau_refrac=2.0), scaled)):
        cells = sim.Population(1, cell)
        drive(sim, cells, {"excitatory": given})
        cells.record(["v", "spikes"])
        made.append(cells)
    yield
    excitation = exponential(by_step(events, steps, 0.1), 5.0, 0.1)
    models = (lif(lambda step, v: excitation[step], steps, dt=0.1, tau_refrac=2.0),
              lif(lambda step, v: excitation[step] / 64 * -v, steps, dt=0.1, tau_refrac=2.0))
    for (v, fired), cells, name in zip(models, made, ("IF_curr_exp", "IF_cond_exp")):
        yield Check(f"spikes of {name} (ms)", [round(step * 0.1, 1) for step in fired],
                    [round(time, 1) for time in spikes_of(cells)[0]])
        yield same_trace(f"v of {name} (mV)", v, trace(cells, "v")[:, 0], 0.06, "decays to 2^-15 a step, 1000 steps")


@network("fine", FLOAT_MODEL)
def fine_alpha(sim):
    """IF_curr_alpha at 0.1 ms"""
    steps = round(GROUPS["fine"].duration / 0.1)
    cells = sim.Population(1, sim.IF_curr_alpha(tau_syn_E=0.5))
    drive(sim, cells, {"excitatory": [(10.0, 1.0)]})
    cells.record("v")
    yield
    time = np.arange(steps) * 0.1
    current = np.where(time >= 10, (time - 10) / 0.25 * np.exp(-(time - 10) / 0.5), 0.0)
    v, _ = lif(lambda step, _: current[step], steps, dt=0.1)
    yield same_trace("v (mV)", v, trace(cells, "v")[:, 0], 0.02, "dt / tau^2 = 0.4 to 2^-15, 32-bit rounding")


class Counter(logging.Handler):
    """How often sPyNNaker says that it starts the cores."""

    count = 0

    def emit(self, record):
        """See a message."""
        self.count += "*** Running simulation" in record.getMessage()


@network("own", BOARD)
def auto_pause(sim):
    """Ring of 200 cells on two cores for 3000 ms in buffers of at most 400 ms (test_synfire_low_sdram)"""
    from spinn_utilities.config_holder import set_config
    starts = Counter()
    logger = logging.getLogger("spinn_front_end_common.interface.interface_functions.application_runner")
    logger.addHandler(starts)
    sim.setup(timestep=1.0)
    set_config("Buffers", "minimum_auto_time_steps", "100")
    set_config("Machine", "max_sdram_allowed_per_chip", "900000")
    cells = ring(sim, 200, 2.0, 17.0, lead=1.0)
    cells.set_max_atoms_per_core(100)
    cells.record(["v", "gsyn_exc"])
    sim.run(3000)
    checks = [Check("spikes in 3000 ms", 158, len(in_order(cells)[0])),
              *chain_checks(cells, hop(2.0, 17.0), hop(2.0, 1.0), 3000),
              Check("steps and cells of v", [3000, 200], list(trace(cells, "v").shape)),
              Check("at least 7 runs", True, starts.count >= 7)]
    set_config("Machine", "max_sdram_allowed_per_chip", "None")
    sim.end()
    logger.removeHandler(starts)
    return checks


@network("own", CLOSED_FORM)
def reset_and_run_again(sim):
    """Chain of 16 cells: two runs in a row of 144 steps, a reset, and one run as long as both; a reset after 30 steps

    Spikes carry their step modulo 16, and the binary counts that on over a reset: after a reset that is not at
    a multiple of 16 steps, delays of neurons' spikes are shorter (after 30 steps: by 2). The model does the
    same.
    """
    sim.setup(timestep=1.0)
    cells = ring(sim, 16, 2.0, 5.0, closed=False)
    cells.record("v")
    sim.run(67)
    sim.run(77)
    first = in_order(cells), trace(cells, "v")
    sim.reset()
    sim.run(144)
    second = in_order(cells), trace(cells, "v")
    sim.reset()
    sim.run(30)
    sim.reset()
    sim.run(100)
    third = in_order(cells)
    sim.end()
    period, short = hop(2.0, 5.0), hop(2.0, 3.0)
    return [Check("spikes every hop (ms)", [period * (i + 1) for i in range(16)], first[0][0]),
            Check("the same after the reset", True, first[0] == second[0]),
            Check("v the same in each step", True, bool(np.array_equal(first[1], second[1]))),
            Check("spikes after a reset at 30 steps (ms)", [period + short * i for i in range(16)], third[0])]


@network("own", CLOSED_FORM)
def compressed_tables(sim):
    """Ring of 60 populations with routing tables compressed on the machine as far as possible"""
    from spinn_utilities.config_holder import set_config
    sim.setup(timestep=1.0)
    set_config("Mapping", "router_table_compress_as_far_as_possible", "True")
    cells = [sim.Population(4, sim.IF_curr_exp(v_thresh=-60.0)) for _ in range(60)]
    for i, population in enumerate(cells):
        population.record("spikes")
        sim.Projection(population, cells[(i + 1) % 60], sim.OneToOneConnector(), sim.StaticSynapse(weight=8.0))
    sim.Projection(sim.Population(4, sim.SpikeSourceArray([5.0])), cells[0], sim.OneToOneConnector(),
                   sim.StaticSynapse(weight=8.0))
    sim.run(70)
    found = [sorted({train[0] for train in spikes_of(population)}) for population in cells]
    sim.end()
    return [Check("first spikes (ms)", [[6.0 + i] for i in range(60)], found)]
