"""Spike sources and current sources."""

import numpy as np

from models.catalogue import CLOSED_FORM, FLOAT_MODEL, GROUPS, Check, network, same_trace, spikes, trace
from models.float_models import lif

STEPS, CURRENT_STEPS = GROUPS["sources"].duration, GROUPS["currents"].duration
# A membrane without memory or threshold: v + 65 mV is the current in nA, a step later.
METER = {"tau_m": 0.0625, "cm": 0.0625, "v_thresh": 100.0}


def currents(sim, source):
    """The current that a source gives in each step but the last, read from a membrane without memory."""
    cells = sim.Population(2, sim.IF_curr_exp(**METER))
    source.inject_into(cells[0:1])
    cells.record("v")
    yield
    v = trace(cells, "v")
    yield v[1:, 0] + 65, v[1:, 1] + 65


@network("sources", CLOSED_FORM)
def spike_source_array(sim):
    """SpikeSourceArray: times between steps, twice in a step, different per neuron, none"""
    given = [[0, 1, 2, 3, 500, 999], [10.25, 20.5], [], [7, 7, 8]]
    source = sim.Population(4, sim.SpikeSourceArray(given))
    source.record("spikes")
    yield
    expected = [[0.0, 1.0, 2.0, 3.0, 500.0, 999.0], [11.0, 21.0], [], [7.0, 7.0, 8.0]]
    yield Check("spikes (ms), rounded up to steps", expected, spikes(source))


@network("sources", CLOSED_FORM)
def spike_source_poisson(sim):
    """SpikeSourcePoisson at 5, 100, 900 Hz and, several spikes a step, 4 and 15 kHz

    From 10 spikes a step on the binary takes the square of a normal deviate with mean sqrt(rate) and s.d. 1/2:
    0.25 spikes a step more than the rate.
    """
    rates = [5.0, 100.0, 900.0, 4000.0, 15000.0]
    seed = {"seed": 7}
    sources = [sim.Population(20, sim.SpikeSourcePoisson(rate=rate), additional_parameters=seed) for rate in rates]
    for source in sources:
        source.record("spikes")
    yield
    for rate, source in zip(rates, sources):
        mean = 20 * STEPS * (rate / 1000 + 0.25 * (rate >= 10000))
        yield Check(f"spikes of 20 sources at {rate:g} Hz", mean, float(sum(map(len, spikes(source)))),
                    5 * float(np.sqrt(mean)), "5 s.d.")


@network("sources", CLOSED_FORM)
def spike_source_poisson_limits(sim):
    """SpikeSourcePoisson from 200 ms for 300 ms"""
    source = sim.Population(50, sim.SpikeSourcePoisson(rate=100.0, start=200, duration=300),
                            additional_parameters={"seed": 8})
    source.record("spikes")
    yield
    times = np.concatenate([np.array(train) for train in spikes(source)])
    yield Check("all from 200 ms and before 500 ms", True, bool(times.min() >= 200 and times.max() < 500))
    yield Check("spikes of 50 sources", 1500.0, float(times.size), 5 * 1500 ** 0.5, "5 s.d.")


@network("sources", CLOSED_FORM)
def spike_source_poisson_variable(sim):
    """SpikeSourcePoissonVariable: 20, 0, 200 Hz from 0, 300, 600 ms"""
    source = sim.Population(50, sim.extra_models.SpikeSourcePoissonVariable(
        rates=[20.0, 0.0, 200.0], starts=[0, 300, 600], durations=[300, 300, 400]), additional_parameters={"seed": 9})
    source.record("spikes")
    yield
    times = np.concatenate([np.array(train) for train in spikes(source)])
    found = np.histogram(times, [0, 300, 600, 1000])[0]
    for part, mean in ((0, 300.0), (2, 4000.0)):
        yield Check(f"spikes of 50 sources in part {part + 1}", mean, float(found[part]), 5 * mean ** 0.5, "5 s.d.")
    yield Check("spikes at 0 Hz", 0, int(found[1]))


@network("sources", CLOSED_FORM)
def one_to_one_poisson(sim):
    """Poisson sources that send packets to the cells they drive one to one (combined), or write to their memory (split)

    Through memory a spike takes effect one step early here: the source's core is run before the neurons' in the
    same step and has written when that fetches its inputs. On a board the neurons' core, which fetches them
    first thing, is expected to be earlier.
    """
    pairs = []
    for cores in (0, 1):
        source = sim.Population(20, sim.SpikeSourcePoisson(rate=20.0), additional_parameters={"seed": 3})
        cells = sim.Population(20, sim.IF_curr_delta(v_thresh=-60.0, tau_refrac=0.0), n_synapse_cores=cores)
        sim.Projection(source, cells, sim.OneToOneConnector(), sim.StaticSynapse(weight=16.0, delay=1))
        source.record("spikes")
        cells.record("spikes")
        pairs.append((source, cells))
    yield
    for name, later, (source, cells) in zip(("packets", "memory"), (1, 0), pairs):
        sent = [sorted({time + later for time in train if time < STEPS - later}) for train in spikes(source)]
        yield Check(f"spikes sent, {name}", 400.0, float(sum(map(len, sent))), 100.0, "5 s.d.")
        yield Check(f"steps from each spike to the cell's, {name}", later, later if spikes(cells) == sent else None)


@network("currents", FLOAT_MODEL)
def dc_source(sim):
    """DCSource between 20 and 60 ms into IF_curr_exp and IF_cond_exp"""
    source = sim.DCSource(amplitude=2.0, start=20.0, stop=60.0)
    cells = [sim.Population(1, cell(tau_refrac=1.0)) for cell in (sim.IF_curr_exp, sim.IF_cond_exp)]
    for population in cells:
        source.inject_into(population)
        population.record(["v", "spikes"])
    yield
    v, fired = lif(lambda step, _: 2.0 * (20 <= step < 60), CURRENT_STEPS, tau_refrac=1.0)
    for population, name in zip(cells, ("IF_curr_exp", "IF_cond_exp")):
        yield Check(f"spikes of {name} (ms)", [float(step) for step in fired], spikes(population)[0])
        yield same_trace(f"v of {name} (mV)", v, trace(population, "v")[:, 0], 0.01, "32-bit fixed point, 200 steps")


@network("currents", CLOSED_FORM)
def step_current_source(sim):
    """StepCurrentSource: 0.5, 1.5, -1 and 0 nA from 10, 50, 90, 120 ms"""
    read = currents(sim, sim.StepCurrentSource(times=[10, 50, 90, 120], amplitudes=[0.5, 1.5, -1.0, 0.0]))
    next(read)
    yield
    found, without = next(read)
    expected = np.zeros(CURRENT_STEPS - 1)
    for start, amplitude in ((10, 0.5), (50, 1.5), (90, -1.0), (120, 0.0)):
        expected[start:] = amplitude
    yield same_trace("current (nA)", expected, found, 0.001, "what a step of 16 time constants leaves of it")
    yield same_trace("current of the cell without a source (nA)", 0.0, without, 0.001, "the same")


@network("currents", CLOSED_FORM)
def ac_source(sim):
    """ACSource: 0.5 nA + 2 nA sin, 20 Hz, phase 45 degrees, from 30 to 150 ms"""
    read = currents(sim, sim.ACSource(start=30.0, stop=150.0, amplitude=2.0, offset=0.5, frequency=20.0, phase=45.0))
    next(read)
    yield
    found, _ = next(read)
    step = np.arange(CURRENT_STEPS - 1)
    wave = 0.5 + 2 * np.sin(2 * np.pi * 0.02 * (step - 30) + np.pi / 4)
    yield same_trace("current (nA)", np.where((step >= 30) & (step < 150), wave, 0.0), found, 0.01,
                     "the angle has 2^-15 rad a step, 120 steps")


@network("currents", CLOSED_FORM)
def noisy_current_source(sim):
    """NoisyCurrentSource: mean 1 nA, s.d. 0.5 nA, from 20 to 180 ms"""
    read = currents(sim, sim.NoisyCurrentSource(mean=1.0, stdev=0.5, start=20.0, stop=180.0, dt=1.0))
    next(read)
    yield
    found, _ = next(read)
    inside, outside = found[20:180], np.concatenate([found[:20], found[180:]])
    yield Check("mean (nA)", 1.0, float(inside.mean()), 5 * 0.5 / 160 ** 0.5, "5 standard errors")
    yield Check("standard deviation (nA)", 0.5, float(inside.std()), 5 * 0.5 / 320 ** 0.5, "5 standard errors")
    yield same_trace("current outside (nA)", 0.0, outside, 0.001, "as for steps")
