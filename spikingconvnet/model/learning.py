"""How a layer learns: the settings of layer-wise STDP."""

from dataclasses import dataclass

from spikingconvnet.errors import require
from spikingconvnet.gates.fields import (
    FACTOR,
    MOST_SLOT,
    MOST_STEPS,
    PAIR,
    RANGE,
    SIZE,
    above,
    below,
    check_fields,
    least,
    most,
    real,
    record,
    several,
    whole,
)
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp
from spikingconvnet.network.plasticity import STDPMechanism

__all__ = ["STDP"]

INHIBITION = real(least(0, "; the receptor inhibits"), below(RANGE, ", the range of s16.15"))
CELL = record(IFCurrExp, IFCurrDelta)
STEPS = whole(1, MOST_SLOT)
_RATE = real(above(0), most(10))


@dataclass(frozen=True)
class STDP:
    """How a layer learns: windows of its input are shown one after another to one neuron per filter.

    A window takes ``slot`` steps. Its input fires in the first ``pattern_steps``; one static inhibitory spike of weight
    `gate` then silences every neuron, and the inputs that did not fire do so in a *late volley* right after, which
    depresses their synapses to the winner. Lateral inhibition makes one neuron win a window; after each chunk the host
    moves every threshold so that all filters win equally often (homeostasis).

    Attributes
    ----------
    windows : int
        Windows shown in all.
    chunks : int
        Runs between which thresholds move; `windows` is divided evenly.
    slot : int
        Steps per window, long enough for the inhibition to fade.
    pattern_steps : int
        Steps at the start of the slot in which the window's own spikes are shown.
    min_spikes : int
        Windows with fewer spiking inputs are not shown.
    neuron : IFCurrExp
        Neuron model during training; `v_thresh` is set by calibration.
    mechanism : STDPMechanism
        Timing rule and weight dependence, and whether learning sees the delay of synapses, here one step
        (`backprop_delay`).
    gate, lateral : float
        Weights of the gate spike and of lateral inhibition, nA.
    volley : (int, int)
        Steps after the pattern at which even and odd silent inputs fire.
    homeostasis : (float, float)
        First and last step size of the threshold's logarithm.
    initial_winners : float
        Neurons that the calibrated start threshold lets fire per window, on average.
    """

    windows: int = 4000
    chunks: int = 20
    slot: int = 60
    pattern_steps: int = 15
    min_spikes: int = 10
    neuron: IFCurrExp = IFCurrExp(tau_m=10.0, cm=10.0, v_rest=0.0, v_reset=0.0, v_thresh=1.0, v=0.0,
                                  tau_syn_E=2.0, tau_syn_I=3.0, tau_refrac=35.0)
    mechanism: STDPMechanism = STDPMechanism()
    gate: float = 60.0
    lateral: float = 25.0
    volley: tuple = (4, 5)
    homeostasis: tuple = (0.3, 0.05)
    initial_winners: float = 4.0

    def __post_init__(self):
        check_fields(self, windows=SIZE, chunks=SIZE, slot=STEPS, pattern_steps=STEPS, min_spikes=SIZE, volley=PAIR,
                     neuron=CELL, mechanism=record(STDPMechanism), gate=INHIBITION, lateral=INHIBITION,
                     homeostasis=several(_RATE, "(first, last) step size, above 0 and at most 10", 2),
                     initial_winners=FACTOR)
        require(self.windows * self.slot <= MOST_STEPS, "STDP", "windows", self.windows,
                f"at most {MOST_STEPS // self.slot:,} of {self.slot} steps: a board counts steps in 32 bits")
        require(self.windows % self.chunks == 0, "STDP", "windows", self.windows,
                f"a multiple of chunks ({self.chunks})")
        require(self.slot > self.pattern_steps + max(self.volley), "STDP", "slot", self.slot,
                f"longer than pattern and volley ({self.pattern_steps + max(self.volley)})")
        require(min(self.volley) >= 2, "STDP", "volley", self.volley, "after the gate, from 2 on")
