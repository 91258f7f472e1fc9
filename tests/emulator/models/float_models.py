"""Double-precision models of the cells, written from their equations and the order of a step, not from the engine.

Order of a step (sPyNNaker's neuron_impl_standard.h): inputs that arrive are added, state is recorded, the membrane
moves, the threshold is tested, synaptic states decay.
"""

import numpy as np


def exponential(arriving, tau, dt=1.0):
    """Exponentially decaying input in each step; an arrival counts with its mean over the step."""
    decay = np.exp(-dt / tau)
    values, value = np.zeros(len(arriving)), 0.0
    for step, weight in enumerate(arriving):
        value += weight * (1 - decay) * tau / dt
        values[step] = value
        value *= decay
    return values


def alpha(arriving, tau, dt=1.0):
    """Alpha-shaped input in each step: the sum over arrivals of w t / tau^2 exp(-t / tau)."""
    time = np.arange(len(arriving)) * dt
    kernel = time / tau ** 2 * np.exp(-time / tau)
    return np.convolve(arriving, kernel)[:len(arriving)]


def lif(current, steps, *, dt=1.0, tau_m=20.0, cm=1.0, v_rest=-65.0, v_reset=-65.0, v_thresh=-50.0, tau_refrac=0.1,
        v=-65.0, spiked=lambda: None):
    """Leaky integrate and fire, solved exactly for a current that is constant within a step.

    Parameters
    ----------
    current : function (step, v) -> nA
    spiked : function called at each spike

    Returns
    -------
    v : float array (steps,), mV, at the start of each step
    spikes : list of steps
    """
    decay, resting, refractory = np.exp(-dt / tau_m), int(np.ceil(tau_refrac / dt)), 0
    trace, spikes = np.zeros(steps), []
    for step in range(steps):
        trace[step] = v
        drive = current(step, v)
        if refractory:
            refractory -= 1
        else:
            end = v_rest + drive * tau_m / cm
            v = end + (v - end) * decay
        if v >= v_thresh:
            v, refractory = v_reset, resting
            spikes.append(step)
            spiked()
    return trace, spikes


def izhikevich(current, steps, *, a=0.02, b=0.2, c=-65.0, d=2.0, v=-70.0, u=-14.0, dt=1.0):
    """Izhikevich's cell by the midpoint method, a step after a spike being 1.85 times as long.

    The quadratic coefficient is 0.040008544921875 (sPyNNaker, neuron_model_izh_impl.h).
    """
    def slope(v, u, drive):
        return 140 + (5 + 0.040008544921875 * v) * v - u + drive, a * (b * v - u)

    trace, spikes, h = np.zeros(steps), [], dt
    for step in range(steps):
        trace[step] = v
        drive = current(step, v)
        dv, du = slope(v, u, drive)
        dv, du = slope(v + h / 2 * dv, u + h / 2 * du, drive)
        v, u, h = v + h * dv, u + h * du, dt
        if v >= 30:
            v, u, h = c, u + d, 1.85 * dt
            spikes.append(step)
    return trace, spikes
