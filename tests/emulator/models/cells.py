"""Every cell model, driven with the same kind of input on a combined core and on a neuron core with a synapse core."""

import numpy as np

from models.catalogue import (
    BINARY,
    CLOSED_FORM,
    FLOAT_MODEL,
    GROUPS,
    Check,
    by_step,
    chance,
    drive,
    network,
    same_trace,
    spikes,
    trace,
)
from models.float_models import alpha, exponential, izhikevich, lif

STEPS = GROUPS["cells"].duration
EXCITE = [(20, 2.0), (26, 2.0), (40, 4.0), (42, 4.0), (44, 4.0), (70, 1.0), (71, 4.0), (73, 4.0), (200, 0.5)]
KICKS = [(20, 8.0), (21, 8.0), (30, 4.0), (60, 16.0), (62, 8.0)]
EXCITE2 = [(90, 2.0), (91, 4.0), (130, 2.0), (131, 2.0)]
INHIBIT = [(60, 1.0), (65, 2.0), (150, 4.0), (205, 1.0)]
ROUNDING = "32-bit fixed point (2^-15 mV, decay 2^-15) over 250 steps"


def twins(sim, cell, arrivals, **initial):
    """The same cell on a combined core and on split cores, stimulated alike and recorded."""
    pair = [sim.Population(1, cell, n_synapse_cores=cores) for cores in (0, 1)]
    for population in pair:
        if initial:
            population.initialize(**initial)
        drive(sim, population, arrivals)
        population.record(["spikes", "v", "gsyn_exc", "gsyn_inh"])
    return pair


def split_agrees(pair):
    """Whether both binaries gave the same spikes and the same voltages and inputs, bit for bit."""
    combined, split = pair
    same = spikes(combined) == spikes(split) and all(
        np.array_equal(trace(combined, name), trace(split, name)) for name in ("v", "gsyn_exc", "gsyn_inh"))
    return Check(f"combined and split cores identical ({BINARY})", True, same)


def course(pair, model, tolerance, reason=ROUNDING):
    """Checks of spikes and voltages of a pair against a model's (voltages, steps of spikes)."""
    v, fired = model
    yield Check("spikes (ms)", [float(step) for step in fired], spikes(pair[0])[0])
    yield same_trace("v (mV)", v, trace(pair[0], "v")[:, 0], tolerance, reason)
    yield split_agrees(pair)


def net(excitation, inhibition):
    """A current that is the difference of two inputs."""
    return lambda step, v: excitation[step] - inhibition[step]


@network("cells", FLOAT_MODEL)
def if_curr_exp(sim):
    """IF_curr_exp"""
    pair = twins(sim, sim.IF_curr_exp(tau_syn_E=5.0, tau_syn_I=8.0, tau_refrac=3.0),
                 {"excitatory": EXCITE, "inhibitory": INHIBIT})
    yield
    inputs = exponential(by_step(EXCITE, STEPS), 5.0), exponential(by_step(INHIBIT, STEPS), 8.0)
    yield from course(pair, lif(net(*inputs), STEPS, tau_refrac=3.0), 0.01)
    for name, expected in zip(("gsyn_exc", "gsyn_inh"), inputs):
        yield same_trace(f"{name} (nA)", expected, trace(pair[0], name)[:, 0], 0.001, "2^-15 nA lost in each step")


@network("cells", FLOAT_MODEL)
def if_curr_delta(sim):
    """IF_curr_delta"""
    pair = twins(sim, sim.IF_curr_delta(), {"excitatory": KICKS, "inhibitory": INHIBIT})
    yield
    yield from course(pair, lif(net(by_step(KICKS, STEPS), by_step(INHIBIT, STEPS)), STEPS), 0.01)


@network("cells", FLOAT_MODEL)
def if_curr_alpha(sim):
    """IF_curr_alpha, tau_syn 4 and 8 ms"""
    excite, inhibit = [(20, 16.0)], [(150, 4.0)]
    pair = twins(sim, sim.IF_curr_alpha(tau_syn_E=4.0, tau_syn_I=8.0),
                 {"excitatory": excite, "inhibitory": inhibit})
    yield
    inputs = alpha(by_step(excite, STEPS), 4.0), alpha(by_step(inhibit, STEPS), 8.0)
    yield from course(pair, lif(net(*inputs), STEPS), 0.04,
                      "the linear part grows without bound, the exponential one loses bits")


@network("cells", CLOSED_FORM)
def if_curr_alpha_default(sim):
    """IF_curr_alpha, default tau_syn 0.5 ms

    The binary holds dt / tau^2 = 4 in an unsigned fraction, where nothing of it is left: there is no input at all.
    """
    pair = twins(sim, sim.IF_curr_alpha(), {"excitatory": EXCITE})
    yield
    yield Check("v (mV), all samples", [-65.0], np.unique(trace(pair[0], "v")).tolist())
    yield split_agrees(pair)


@network("cells", FLOAT_MODEL)
def if_curr_dual_exp(sim):
    """IF_curr_dual_exp"""
    pair = twins(sim, sim.extra_models.IF_curr_dual_exp(tau_syn_E=5.0, tau_syn_E2=15.0, tau_syn_I=8.0),
                 {"excitatory": EXCITE, "excitatory2": EXCITE2, "inhibitory": INHIBIT})
    yield
    excitation = exponential(by_step(EXCITE, STEPS), 5.0) + exponential(by_step(EXCITE2, STEPS), 15.0)
    yield from course(pair, lif(net(excitation, exponential(by_step(INHIBIT, STEPS), 8.0)), STEPS), 0.01)


def conductances(scale):
    """The usual input as conductances."""
    return [[(time, weight * scale) for time, weight in events] for events in (EXCITE, EXCITE2, INHIBIT)]


def reversing(excitation, inhibition, reversal_e=0.0, reversal_i=-70.0):
    """A current through conductances."""
    return lambda step, v: excitation[step] * (reversal_e - v) + inhibition[step] * (reversal_i - v)


@network("cells", FLOAT_MODEL)
def if_cond_exp(sim):
    """IF_cond_exp"""
    excite, _, inhibit = conductances(1 / 64)
    pair = twins(sim, sim.IF_cond_exp(e_rev_I=-80.0), {"excitatory": excite, "inhibitory": inhibit})
    yield
    inputs = [exponential(by_step(events, STEPS), 5.0) for events in (excite, inhibit)]
    yield from course(pair, lif(reversing(*inputs, reversal_i=-80.0), STEPS), 0.03,
                      "conductances have 2^-15 uS, times 65 mV and 20 MOhm")


@network("cells", CLOSED_FORM)
def if_cond_exp_stoc(sim):
    """IFCondExpStoc at five distances from its threshold

    Meant is p = 0.8 (1 - exp(-hazard dt / 10)), hazard = exp((v - v_thresh) / du_th) / tau_th, 0.8 above 5
    du_th. The binary takes exp(+hazard dt / 10) (threshold_type_maass_stochastic.h does not negate the time
    step), the negative result becomes a large unsigned one, and a cell whose hazard is not lost in rounding
    spikes in every step.
    """
    distances = [-12.0, -8.0, -3.0, 4.0, 7.0]
    pair = [sim.Population(5, sim.extra_models.IFCondExpStoc(
        tau_m=0.0625, cm=0.0625, v_thresh=-50.0, i_offset=[15.0 + x for x in distances], tau_refrac=0.0, du_th=1.0,
        tau_th=1.0), n_synapse_cores=cores) for cores in (0, 1)]
    for population in pair:
        population.record("spikes")
    yield
    found = [len(train) for train in spikes(pair[0])]
    yield Check("spikes 12 and 8 mV below the threshold", [0, 0], found[:2])
    yield Check("spikes 3 mV below and 4 mV above", [STEPS, STEPS], found[2:4])
    yield chance("spikes 7 mV above", found[4], STEPS, 0.8)
    yield Check("combined and split cores identical (other binary)", True, spikes(pair[0])[:4] == spikes(pair[1])[:4])


class Calcium:
    """The current that Ca2+ takes away; each spike makes it larger."""

    def __init__(self, tau, per_spike):
        self.tau, self.per_spike, self.value = tau, per_spike, 0.0

    def __call__(self):
        self.value *= np.exp(-1 / self.tau)
        return self.value

    def spiked(self):
        """Influx with a spike."""
        self.value += self.per_spike


@network("cells", FLOAT_MODEL)
def if_curr_exp_ca2_adaptive(sim):
    """IFCurrExpCa2Adaptive"""
    pair = twins(sim, sim.extra_models.IFCurrExpCa2Adaptive(i_offset=1.0, i_alpha=0.25, tau_ca2=60.0),
                 {"excitatory": EXCITE, "inhibitory": INHIBIT})
    yield
    inputs = [exponential(by_step(events, STEPS), 5.0) for events in (EXCITE, INHIBIT)]
    calcium = Calcium(60.0, 0.25)
    model = lif(lambda step, v: inputs[0][step] - inputs[1][step] + 1.0 - calcium(), STEPS, spiked=calcium.spiked)
    yield from course(pair, model, 0.05, "exp(-1 / tau_ca2) has 15 fractional bits")


@network("cells", FLOAT_MODEL)
def if_curr_delta_ca2_adaptive(sim):
    """IFCurrDeltaCa2Adaptive"""
    pair = twins(sim, sim.extra_models.IFCurrDeltaCa2Adaptive(i_offset=1.25, i_alpha=0.25, tau_ca2=60.0),
                 {"excitatory": EXCITE, "inhibitory": INHIBIT})
    yield
    inputs, calcium = net(by_step(EXCITE, STEPS), by_step(INHIBIT, STEPS)), Calcium(60.0, 0.25)
    model = lif(lambda step, v: inputs(step, v) + 1.25 - calcium(), STEPS, spiked=calcium.spiked)
    yield from course(pair, model, 0.05, "exp(-1 / tau_ca2) has 15 fractional bits")


@network("cells", FLOAT_MODEL)
def if_curr_exp_semd(sim):
    """IF_curr_exp_sEMD: the second input counts times the first at the moment it sets in"""
    first, second, inhibit = [(20, 4.0), (120, 2.0)], [(25, 2.0), (140, 1.0)], [(30, 0.5)]
    pair = twins(sim, sim.extra_models.IF_curr_exp_sEMD(tau_syn_E=20.0, tau_syn_E2=10.0, tau_syn_I=5.0),
                 {"excitatory": first, "excitatory2": second, "inhibitory": inhibit})
    yield
    facilitating, triggering = exponential(by_step(first, STEPS), 20.0), exponential(by_step(second, STEPS), 10.0)
    factor, excitation = 0.0, np.zeros(STEPS)
    for step in range(STEPS):
        if triggering[step] < 0.001:
            factor = 0.0
        elif factor == 0.0:
            factor = facilitating[step]
        excitation[step] = triggering[step] * factor
    yield from course(pair, lif(net(excitation, exponential(by_step(inhibit, STEPS), 5.0)), STEPS), 0.03)


IZK = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0}


@network("cells", FLOAT_MODEL)
def izhikevich_curr(sim):
    """Izhikevich (current input)"""
    excite = [(20, 8.0), (60, 8.0), (61, 8.0), (200, 4.0)]
    pair = twins(sim, sim.Izhikevich(**IZK, tau_syn_E=2.0), {"excitatory": excite, "inhibitory": INHIBIT})
    yield
    inputs = exponential(by_step(excite, STEPS), 2.0), exponential(by_step(INHIBIT, STEPS), 5.0)
    yield from course(pair, izhikevich(net(*inputs), STEPS, **IZK), 0.5, "a spike's upstroke multiplies rounding")


@network("cells", FLOAT_MODEL)
def izhikevich_cond(sim):
    """Izhikevich_cond"""
    excite, _, inhibit = conductances(1 / 16)
    pair = twins(sim, sim.extra_models.Izhikevich_cond(**IZK), {"excitatory": excite, "inhibitory": inhibit})
    yield
    inputs = [exponential(by_step(events, STEPS), 5.0) for events in (excite, inhibit)]
    yield from course(pair, izhikevich(reversing(*inputs), STEPS, **IZK), 0.5,
                      "a spike's upstroke multiplies rounding")


@network("cells", FLOAT_MODEL)
def izhikevich_cond_dual(sim):
    """Izhikevich_cond_dual"""
    excite, excite2, inhibit = conductances(1 / 16)
    pair = twins(sim, sim.extra_models.Izhikevich_cond_dual(**IZK, tau_syn_E2=10.0),
                 {"excitatory": excite, "excitatory2": excite2, "inhibitory": inhibit})
    yield
    first, second, third = (exponential(by_step(events, STEPS), tau)
                            for events, tau in ((excite, 5.0), (excite2, 10.0), (inhibit, 5.0)))
    yield from course(pair, izhikevich(reversing(first + second, third), STEPS, **IZK), 0.5,
                      "a spike's upstroke multiplies rounding")


@network("cells", FLOAT_MODEL)
def if_trunc_delta(sim):
    """IFTruncDelta: no leak, never below v_reset

    sPyNNaker 7.4.1 writes a word per cell that the binary does not read (the time step of a delta input), so
    the binary takes that word, 1.0, for v_thresh, and v_thresh for the first excitatory input. The model does
    the same.
    """
    excite, inhibit = [(20, 0.25), (30, 0.5), (40, 0.125), (60, 0.5), (61, 0.5)], [(25, 1.0), (50, 0.0625)]
    cells = sim.Population(1, sim.extra_models.IFTruncDelta(v_thresh=1.5))
    drive(sim, cells, {"excitatory": excite, "inhibitory": inhibit})
    cells.record(["v", "spikes"])
    yield
    v, fired, refractory, expected = 0.0, [], 0, []
    for step, change in enumerate(by_step([(0, 1.5), *excite], STEPS) - by_step(inhibit, STEPS)):
        expected.append(v)
        if refractory:
            refractory -= 1
        else:
            v = max(0.0, v + change)
        if v >= 1:
            v, refractory = 0.0, 1
            fired.append(float(step))
    yield Check("spikes (ms)", fired, spikes(cells)[0])
    yield Check("v equal in every step", True, trace(cells, "v")[:, 0].tolist() == expected)


@network("cells", CLOSED_FORM)
def if_curr_delta_fixed_prob(sim):
    """IFCurrDeltaFixedProb, p_thresh 0.5, always above its threshold"""
    cells = sim.Population(100, sim.extra_models.IFCurrDeltaFixedProb(i_offset=2.0, p_thresh=0.5))
    cells.record("spikes")
    yield
    yield chance("spikes of 100 cells", sum(map(len, spikes(cells))), 100 * STEPS, 0.5)


@network("cells", CLOSED_FORM)
def stoc_exp_stable(sim):
    """StocExpStable, tau 0.1: p = tau 2^v, v falls from 0 to -1 at a first spike"""
    cells = sim.Population(100, sim.extra_models.StocExpStable(v_reset=-1.0))
    cells.record(["spikes", "prob"])
    yield
    first = trace(cells, "prob")[0, 0]
    yield Check("probability in the first step", 0.1, float(first), 2.0 ** -15, "tau has 16 fractional bits")
    yield Check("cells that spiked", 100, len({i for i, train in enumerate(spikes(cells)) if train}))
    later = sum(int((np.array(train) > train[0]).sum()) for train in spikes(cells))
    trials = sum(STEPS - 1 - int(train[0]) for train in spikes(cells))
    yield chance("spikes after a cell's first, at v = v_reset = -1", later, trials, 0.05)


@network("cells", CLOSED_FORM)
def stoc_exp(sim):
    """StocExp, tau 10 ms: starts with p = 1 / tau, a spike lasts tau"""
    cells = sim.Population(100, sim.extra_models.StocExp(tau=10, bias=0))
    cells.record(["spikes", "prob"])
    yield
    trains = [np.array(train, int) for train in spikes(cells)]
    silent = sum(STEPS - train.size for train in trains)
    starts = sum(int((np.diff(train, prepend=-9) > 1).sum()) for train in trains)
    yield Check("probability in the first step", 0.1, float(trace(cells, "prob")[0, 0]), 2.0 ** -15, "16-bit 1 / tau")
    restarts = sum(train.size for train in trains) / 10
    yield chance("spikes begun (recorded spikes / 10) in steps outside a spike", restarts,
                 silent + restarts, 0.1)
    yield Check("spikes begun after a silent step are fewer", True, starts <= restarts)


@network("cells", CLOSED_FORM)
def stoc_sigma(sim):
    """StocSigma, alpha 1: p = 2^(-2^(-v))"""
    cells = sim.Population(100, sim.extra_models.StocSigma(bias=-1.0))
    cells.record(["spikes", "prob"])
    yield
    yield Check("probability at v = 1", 2 ** -0.5, float(trace(cells, "prob")[0, 0]), 2.0 ** -12, "16-bit powers of 2")
    yield chance("spikes of 100 cells", sum(map(len, spikes(cells))), 100 * STEPS, 2 ** -0.5)
