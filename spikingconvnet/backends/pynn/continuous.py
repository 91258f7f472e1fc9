"""What a network's numbers become where a synaptic current flows: in NEST and Brian2, but not on a board.

A board holds a current for a whole step; there it decays inside the step. Both responses are proportional to the
current at the start of the step, so one factor for each neuron and receptor makes the membranes equal. And amplitudes
of plasticity are fractions of `w_max` there, as PyNN defines them.
"""

from typing import Any, TypeAlias

import numpy as np

from spikingconvnet.board.fixed_point import ACCUM_ONE, accum, kdiv, leak
from spikingconvnet.network.arrays import Floats
from spikingconvnet.network.netlist import Population
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp
from spikingconvnet.network.plasticity import AdditiveWeightDependence, STDPMechanism

CELLS = IFCurrExp, IFCurrDelta      # neurons that simulators of continuous time are given
Changed: TypeAlias = tuple[dict[str, float], dict[str, float]]      # parameters of a rule, of a weight dependence
UNCHANGED: Changed = {}, {}

ONE_STEP = 1 / 40   # time constant, in steps, of a current that is gone after one: exp(-40) is 4e-18
APART = 1e-5        # least relative distance of tau_syn and tau_m; Brian2's exact solution divides by it


def time_constants(population: Population, timestep: float) -> Floats:
    """Time constants of the synaptic currents that stand for a population's where a current flows.

    Returns
    -------
    (2, size) float array, ms
        Excitatory, inhibitory; those of an IFCurrDelta leave nothing for the next step. None equals `tau_m`.
    """
    if isinstance(population.cell, IFCurrExp):
        tau = np.stack([population.parameter("tau_syn_E"), population.parameter("tau_syn_I")])
    else:
        tau = np.full((2, population.size), ONE_STEP * timestep)
    tau_m = membrane(population, timestep)[0]
    return np.where(abs(tau / tau_m - 1.0) < APART, tau_m * (1.0 + APART), tau)


def input_scale(population: Population, timestep: float) -> float:
    """What a board multiplies synaptic currents with before they act: 1, but for an IFCurrDelta 1 ms / timestep."""
    return 1.0 if isinstance(population.cell, IFCurrExp) else kdiv(ACCUM_ONE, accum(timestep)) / ACCUM_ONE


def currents(population: Population, timestep: float) -> tuple[Floats, Floats]:
    """How currents that flow relate to the board's, which are held for a step.

    A spike of weight w adds ``w inject`` to the board's current, which is held for the step. In mV for each nA at the
    start of the step, a current that is held and one that flows move the membrane by

        held    = s tau_m / cm (1 - exp(-dt / tau_m)),    s of :func:`input_scale`
        flowing = 1 / cm  integral from 0 to dt of  exp(-u / tau_syn) exp(-(dt - u) / tau_m) du
                = 1 / cm  tau_m tau_syn / (tau_syn - tau_m) (exp(-dt / tau_syn) - exp(-dt / tau_m))
        inject  = tau_syn / dt (1 - exp(-dt / tau_syn)),  the mean of a decaying current over a step; 1 for IFCurrDelta

    so weights are multiplied by ``inject held / flowing``.

    Returns
    -------
    factor, scale : (2, size) float arrays
        By receptor: of the weights; and of a flowing current that gives the board's.
    """
    dt, (tau_m, cm) = timestep, membrane(population, timestep)
    tau = time_constants(population, dt)
    inject = tau / dt * -np.expm1(-dt / tau) if isinstance(population.cell, IFCurrExp) else np.ones(tau.shape)
    held = input_scale(population, dt) * tau_m / cm * -np.expm1(-dt / tau_m)
    flowing = tau_m * tau / (tau - tau_m) * (np.exp(-dt / tau) - np.exp(-dt / tau_m)) / cm
    return inject * held / flowing, flowing / held


def membrane(population: Population, timestep: float) -> Floats:
    """Time constants (ms) and capacitances (nF) of membranes that leak as much in a step as on a board: (2, size)."""
    tau_m, cm = population.parameter("tau_m"), population.parameter("cm")
    share = leak(tau_m, timestep)
    same = np.where(share > 0, -timestep / np.log1p(-np.maximum(share, 1e-9)), tau_m)
    return np.stack([same, cm * same / tau_m])


def plasticity(mechanism: STDPMechanism, factor: float, late: float) -> Changed:
    """What differs in the two records of a mechanism.

    Parameters
    ----------
    mechanism : STDPMechanism
        Of the pair rule.
    factor : float
        Of the weights; negative where inhibitory weights are.
    late : float
        ms by which a postsynaptic spike meets a presynaptic one later than on a board; amplitudes make up for it.

    Returns
    -------
    timing, dependence : dict of str to float
    """
    timing: Any = mechanism.timing_dependence       # of no other rule these simulators have
    dependence = mechanism.weight_dependence
    unit = dependence.w_max if isinstance(dependence, AdditiveWeightDependence) else 1.0
    return ({"A_plus": timing.A_plus / unit * np.exp(late / timing.tau_plus).item(),
             "A_minus": timing.A_minus / unit * np.exp(-late / timing.tau_minus).item()},
            {"w_min": dependence.w_min * factor, "w_max": dependence.w_max * factor})
