"""Neuron models as frozen records with PyNN's names. Units: ms, mV, nA, nF (so tau_m / cm is a resistance, megaohm)."""

from dataclasses import dataclass, fields

from spikingconvnet.errors import require
from spikingconvnet.spikes import Spikes


@dataclass(frozen=True)
class IFCurrExp:
    """Leaky integrate-and-fire with exponentially decaying synaptic currents: PyNN's ``IF_curr_exp``.

    Defaults are those of sPyNNaker 7.4.1, not of PyNN (`tau_refrac`, the initial `v`).

    Attributes
    ----------
    tau_m : float
        Membrane time constant, ms.
    cm : float
        Membrane capacitance, nF.
    v_rest, v_reset, v_thresh : float
        Resting, reset and threshold potential, mV.
    tau_syn_E, tau_syn_I : float
        Decay time constants of the excitatory and inhibitory current, ms.
    tau_refrac : float
        Refractory time, ms; rounded up to whole steps.
    i_offset : float
        Constant current, nA.
    v : float
        Membrane potential at the start, mV.
    """

    tau_m: float = 20.0
    cm: float = 1.0
    v_rest: float = -65.0
    v_reset: float = -65.0
    v_thresh: float = -50.0
    tau_syn_E: float = 5.0
    tau_syn_I: float = 5.0
    tau_refrac: float = 0.1
    i_offset: float = 0.0
    v: float = -65.0

    synapses = "exponential"

    def __post_init__(self):
        _check_numbers(self)
        for name in ("tau_m", "cm", "tau_syn_E", "tau_syn_I"):
            require(getattr(self, name) > 0, "IFCurrExp", name, getattr(self, name), "above 0")
        require(self.tau_refrac >= 0, "IFCurrExp", "tau_refrac", self.tau_refrac, "0 or more")


@dataclass(frozen=True)
class IFCurrDelta:
    """Leaky integrate-and-fire whose synapses act for one step only: PyNN's ``IF_curr_delta`` as SpiNNaker runs it.

    Weights are currents in nA that flow during one step. Attributes as :class:`IFCurrExp`, without time constants of
    synapses.
    """

    tau_m: float = 20.0
    cm: float = 1.0
    v_rest: float = -65.0
    v_reset: float = -65.0
    v_thresh: float = -50.0
    tau_refrac: float = 0.1
    i_offset: float = 0.0
    v: float = -65.0

    synapses = "delta"

    def __post_init__(self):
        _check_numbers(self)
        for name in ("tau_m", "cm"):
            require(getattr(self, name) > 0, "IFCurrDelta", name, getattr(self, name), "above 0")
        require(self.tau_refrac >= 0, "IFCurrDelta", "tau_refrac", self.tau_refrac, "0 or more")


@dataclass(frozen=True, eq=False)
class SpikeSourceArray:
    """A population that fires given spikes; all of them are known before the run starts.

    (sPyNNaker 7.4.1 cannot change the spikes of more than one source between two runs.)
    """

    spikes: Spikes

    synapses = None


def parameter_names(cell):
    """Names of a cell's parameters in PyNN's spelling."""
    return tuple(f.name for f in fields(cell))


def _check_numbers(cell):
    for f in fields(cell):
        value = getattr(cell, f.name)
        require(isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 65536,
                type(cell).__name__, f.name, value, "a number below 65536, the range of s16.15")
