"""From NIR's neurons to steps, and from steps to sPyNNaker's cells.

In a step ``h`` every neuron of NIR does, with the current ``I`` that is held during it::

    LIF     v = v + share (v_leak - v) + share r I                  share = h / tau (Euler), 1 - exp(-h / tau) (exact)
    IF      v = v + h r I
    CubaLIF i = i + share_syn (w_in I - i), then as LIF with i
    then z = v > v_threshold, v = v_reset where z

and a board, see ``network.neurons``, ``V = V + lost (v_rest - V) + lost R I``, with ``lost`` in steps of 1 / 32768. So
a membrane of the graph times ``scale`` is one in mV, ``R`` is 1 megaohm (``cm = tau_m``), and a weight of the graph
times ``gain scale / lost`` is one in nA: what a spike adds is exact, whatever becomes of the decay.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikingconvnet.board.fixed_point import ACCUM_ONE, accum, expk, expulr, kdiv
from spikingconvnet.board.lowering import injection
from spikingconvnet.exchange.graph import NEURONS, Node
from spikingconvnet.exchange.linear import Size, spread
from spikingconvnet.exchange.verdicts import Refused
from spikingconvnet.gates.fields import FINEST
from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.network.neurons import OUT_OF_REACH

LEAST_RANGE = 2.0 ** -6       # of a graph's potentials, so that what is next to nothing is not blown up
HALF = 1 << 14              # mV: membranes and what they go to stay within it, so that differences fit s16.15
LEAST_DECAY = 340_695       # of a step, in 1 / 32768, from which a board's exponential is 0, see ``fixed_point.expk``


@dataclass(frozen=True, eq=False)
class Dynamics:
    """What a step does to the neurons of a node, in the graph's units; arrays (size,).

    Attributes
    ----------
    share : part of its way to the leak that a membrane goes
    gain : what a current of 1 adds
    leak, reset, start : potentials
    threshold : potential; infinity does not fire
    share_syn : part of a synaptic current that is lost; None without one
    gain_syn : what a spike of weight 1 adds to it
    """

    share: Floats
    gain: Floats
    leak: Floats
    reset: Floats
    threshold: Floats
    start: Floats
    share_syn: Floats | None = None
    gain_syn: Floats | None = None

    @property
    def settled(self) -> Floats:
        """Current that a constant of 1 comes to, over that constant: 1, or through a synapse that of its filter."""
        if self.share_syn is None or self.gain_syn is None:
            return np.ones_like(self.share)
        return self.gain_syn / self.share_syn

    @property
    def potentials(self) -> Floats:
        """Size of the largest potential of each neuron."""
        parts = self.leak, self.reset, self.start, np.where(np.isinf(self.threshold), 0.0, self.threshold)
        return np.asarray(np.abs(parts).max(axis=0))


def dynamics(node: Node, shape: Size, step: float, method: str) -> Dynamics:
    """The steps of a NIR node.

    Parameters
    ----------
    node : graph.Node
        Of a kind of ``graph.NEURONS``.
    shape : tuple of int
    step : float
        In the graph's unit of time.
    method : 'euler' or 'exact'

    Returns
    -------
    Dynamics

    Raises
    ------
    Refused
        Time constants that are not above 0, or shorter than a step where that cannot be.
    """
    values = {key: spread(node.fields[key], shape, key) for key in NEURONS[node.kind]}
    zeros = np.zeros(math.prod(shape))
    if node.kind == "Threshold":
        return Dynamics(zeros + 1, zeros + 1, zeros, zeros, values["threshold"], zeros)
    leaky = node.kind not in ("IF", "I")
    share = _share(values["tau" if "tau" in values else "tau_mem"], step, method) if leaky else zeros
    leak, threshold = values.get("v_leak", zeros), values.get("v_threshold", zeros + np.inf)
    reset = node.fields.get("v_reset")
    reset = zeros if reset is None else spread(reset, shape, "v_reset")
    gain = values["r"] * (share if leaky else step)
    if "tau_syn" not in values:
        return Dynamics(share, gain, leak, reset, threshold, leak)
    share_syn = _share(values["tau_syn"], step, method, "tau_syn")
    if (share_syn == 1.0).all():            # a current of one step
        return Dynamics(share, gain * values["w_in"], leak, reset, threshold, leak)
    return Dynamics(share, gain, leak, reset, threshold, leak, share_syn, share_syn * values["w_in"])


def readout(size: int) -> Dynamics:
    """Units without memory that do not fire: their membranes are what comes to them."""
    ones = np.ones(size)
    return Dynamics(ones, ones, 0 * ones, 0 * ones, np.inf * ones, 0 * ones)


def _share(tau: Floats, step: float, method: str, name: str = "tau") -> Floats:
    if tau.min() <= 0:
        raise Refused(f"its {name} is {tau.min():g}", "time constants are above 0")
    if method == "exact":
        return -np.expm1(-step / tau)
    share = step / tau
    if share.max() > 1 + 1e-9:      # from files in float32
        raise Refused(f"its {name} of {tau.min():g} is shorter than a step of {step:g}, so Euler's steps overshoot",
                      f"take graph_dt={tau.min():g} or less, or method='exact'")
    return np.minimum(share, 1.0)


@dataclass(frozen=True, eq=False)
class Held:
    """What a board holds of the dynamics of a node.

    Attributes
    ----------
    scale : float
        mV that a potential of 1 of the graph becomes; a power of 2.
    lost : float array (size,)
        Part of its way to the leak that a membrane goes in a step.
    tau_m, tau_syn : float array (size,), ms
        With which it does; `tau_syn` is None without a synapse.
    weight : float array (size,)
        nA of a weight of 1 in the graph.
    current : float array (size,)
        nA of a constant input of 1 in the graph.
    """

    scale: float
    lost: Floats
    tau_m: Floats
    tau_syn: Floats | None
    weight: Floats
    current: Floats


def held(own: Dynamics, largest: Floats, bias: Floats, timestep: float) -> Held:
    """What a board holds of the dynamics of a node.

    Parameters
    ----------
    own : Dynamics
    largest : float array (size,)
        Sum of the weights of either sign that come to each neuron, the larger one.
    bias : float array (size,)
        Constant input.
    timestep : float
        ms.

    Returns
    -------
    Held

    Raises
    ------
    Refused
        Numbers that no scale brings into the range of s16.15.
    """
    potentials = own.potentials
    reach = abs(own.gain * own.settled) * (largest + abs(bias))         # of a step
    if not (reach.max() < 1e30 and potentials.max() < 1e30):
        raise Refused(f"weights of up to {largest.max():.3g} times its resistance are beyond any board",
                      "scale the weights or r down")
    lost, tau_m = _membrane(own, reach, potentials, timestep)
    tau_syn, kept = (None, np.ones_like(lost)) if own.share_syn is None else _synapse(own.share_syn, timestep)
    range_ = potentials + reach / lost * np.maximum(1.0, (1.0 if own.share_syn is None else own.share_syn) / kept)
    scale = 2.0 ** math.floor(math.log2(HALF / max(float(range_.max()), LEAST_RANGE)))
    if scale * float(potentials[potentials > 0].min(initial=math.inf)) < 2 ** 6 * FINEST:
        raise Refused(f"weights of up to {largest.max():.3g} in one step against potentials of {potentials.max():.3g}"
                      " leave no bits for them in s16.15", "scale the weights down, or split the node")
    unit = scale * own.gain / lost
    into = 1 / input_scale(timestep) if own.gain_syn is None else own.gain_syn / kept
    return Held(scale, lost, tau_m, tau_syn, unit * into, unit * own.settled)


def input_scale(timestep: float) -> float:
    """What an IFCurrDelta multiplies its currents by, 1 ms over the step as a board divides it."""
    return kdiv(ACCUM_ONE, accum(timestep)) / ACCUM_ONE


def _membrane(own: Dynamics, reach: Floats, potentials: Floats, timestep: float) -> tuple[Floats, Floats]:
    """`lost` and `tau_m`: of a leaky neuron the nearest a board has, of another one as little as the range allows.

    Without a leak, a last bit of 2**-15 mV is lost or won a step, and so is ``lost`` of the membrane; the smaller
    ``lost``, the less room ``reach / lost`` leaves for the membrane. Both are equal at the root of their quotient.
    """
    highest = max(float(potentials.max()), 1e-30)
    least = 2 ** math.ceil(math.log2(max(2.0, math.sqrt(float(reach.max(initial=0.0)) / highest))))
    wanted = np.where(own.share > 0, np.rint(own.share * ACCUM_ONE), min(least, ACCUM_ONE >> 3))
    raw, index = np.unique(np.clip(wanted, 1, ACCUM_ONE).astype(np.int64), return_inverse=True)
    taus = [_tau_of(int(one), timestep) for one in raw]
    lost = np.array([ACCUM_ONE - expk(-kdiv(accum(timestep), tau)) for tau in taus])
    return lost[index] / ACCUM_ONE, np.array(taus)[index] / ACCUM_ONE


def _tau_of(lost: int, timestep: float) -> int:
    """Raw s16.15 of the time constant whose loss of a step is nearest to so many 1 / 32768."""
    step = accum(timestep)
    if lost >= ACCUM_ONE:
        return (step << 15) // (LEAST_DECAY + 1) - 1
    middle = -math.log((ACCUM_ONE - lost + 0.5) / ACCUM_ONE) * ACCUM_ONE
    near = [max(2, min(round(step * ACCUM_ONE / x), (1 << 31) - 1)) for x in
            (middle + shift for shift in (0.0, 0.25, -0.25, 0.5, -0.5, 1.0)) if x > 0.25]
    found = {tau: ACCUM_ONE - expk(-kdiv(step, tau)) for tau in near}
    return min((tau for tau in near if found[tau] > 0), key=lambda tau: abs(found[tau] - lost))


def _synapse(share: Floats, timestep: float) -> tuple[Floats, Floats]:
    """`tau_syn` whose decay of a step is nearest, ms, and what of a weight comes into the current."""
    values, index = np.unique(share, return_inverse=True)
    step = accum(timestep)
    taus = [_tau_syn_of(float(one), step) for one in values]
    return np.array(taus)[index] / ACCUM_ONE, np.array([injection(step, tau) for tau in taus])[index] / 2.0 ** 32


def _tau_syn_of(share: float, step: int) -> int:
    if share >= 1.0:
        return (step << 15) // (LEAST_DECAY + 1) - 1
    exponent = -math.log1p(-share)
    first = min(max(2, round(step / exponent)), (1 << 31) - 1)
    near = [min(max(2, first + shift), (1 << 31) - 1) for shift in (0, -1, 1)]
    return min(near, key=lambda tau: abs(expulr(-kdiv(step, tau)) / 2.0 ** 32 - (1.0 - share)))


def on_grid(values: Any) -> Ints:
    """Raw s16.15 of potentials or currents, to the nearest."""
    raw: Ints = np.rint(np.asarray(values, np.float64) * ACCUM_ONE).astype(np.int64)
    return raw


def threshold(values: Floats) -> Floats:
    """mV at which a board fires, for a graph that fires above `values`: the next number of s16.15.

    >>> float(threshold(np.array([1.0]))[0]) == 1 + 1 / 32768
    True
    """
    raw = np.floor(np.where(np.isinf(values), 0, values) * ACCUM_ONE) + 1
    return np.where(np.isinf(values), OUT_OF_REACH, raw / ACCUM_ONE)
