"""Neuron models and spike sources as frozen records with PyNN's names.

Units: Hz, ms, mV, nA, nF (so tau_m / cm is a resistance, megaohm).
"""

import math
from dataclasses import dataclass, fields

from spikingconvnet.errors import require
from spikingconvnet.spikes import Spikes

LARGEST_SEED_C = 698_769_068        # of the generator JKISS64


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

    Weights are currents in nA that flow during one step of 1 ms. In a step of another length as much charge flows: the
    current is 1 ms / timestep times as large; recorded currents are those before that factor. Attributes as
    :class:`IFCurrExp`, without time constants of synapses.

    Source: sPyNNaker 7.4.1 ``input_type_delta.h``, ``scale_factor``.
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


@dataclass(frozen=True)
class SpikeSourcePoisson:
    """A population that fires at random: PyNN's ``SpikeSourcePoisson``, drawn by the board's own generator.

    Every core of the source draws from one generator, source after source, so that the spikes of a source depend on
    its neighbours and on `neurons_per_core`. Rate, start and duration may differ from source to source
    (``Population.values``).

    Attributes
    ----------
    rate : float
        Hz, 0 or more. A step holds 10 expected spikes at most.
    start : float
        ms, 0 or more.
    duration : float
        ms; infinity never ends.
    core_seeds : tuple of (x, y, z, c)
        Four 32-bit words for each core, see :func:`poisson_seeds`: y is not 0, c is 1 to 698,769,068. On a board
        ``population._vertex.kiss_seed(slice)`` tells them.
    neurons_per_core : int
        500 in sPyNNaker 7.4.1 (``spike_source_poisson.py``, ``DEFAULT_MAX_ATOMS_PER_CORE``).
    """

    rate: float = 0.0
    start: float = 0.0
    duration: float = math.inf
    core_seeds: tuple = ()
    neurons_per_core: int = 500

    synapses = None

    def __post_init__(self):
        for name in ("rate", "start", "duration"):
            check_poisson_times(name, [getattr(self, name)])
        require(isinstance(self.neurons_per_core, int) and self.neurons_per_core >= 1, "SpikeSourcePoisson",
                "neurons_per_core", self.neurons_per_core, "a whole number, at least 1")
        object.__setattr__(self, "core_seeds", tuple(tuple(int(word) for word in seed) for seed in self.core_seeds))
        for seed in self.core_seeds:
            require(len(seed) == 4 and all(0 <= word < 1 << 32 for word in seed) and seed[1] != 0
                    and 1 <= seed[3] <= LARGEST_SEED_C, "SpikeSourcePoisson", "core_seeds", seed,
                    f"four 32-bit words x, y, z, c with y not 0 and c from 1 to {LARGEST_SEED_C}")


def poisson_seeds(rng, n_cores):
    """Seed words for the cores of a :class:`SpikeSourcePoisson`.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_cores : int

    Returns
    -------
    tuple of (x, y, z, c)
        Made valid as sPyNNaker 7.4.1 does, ``utility_calls.py``, ``create_mars_kiss_seeds``.
    """
    return tuple(valid_seed(words) for words in rng.integers(0, (1 << 32) - 1, (n_cores, 4)).tolist())


def valid_seed(words):
    """Four 32-bit words made a seed of JKISS64: y is not 0, c is 1 to 698,769,068.

    >>> valid_seed([7, 0, 9, 698769068])
    (7, 13031301, 9, 1)
    """
    x, y, z, c = words
    return x, y if y else 13_031_301, z, c % LARGEST_SEED_C + 1


def check_poisson_times(name, values):
    """Raise SettingsError unless rates (Hz), starts or durations (ms) are 0 or more and fit the board's u32.32."""
    for value in values:
        fits = 0 <= value < 1 << 32 or (name == "duration" and value == math.inf)
        require(not isinstance(value, bool) and fits, "SpikeSourcePoisson", name, value, "0 or more and below 2**32")


def parameter_names(cell):
    """Names of a cell's parameters in PyNN's spelling: those that may differ from neuron to neuron."""
    return tuple(f.name for f in fields(cell) if f.type is float)


def _check_numbers(cell):
    for f in fields(cell):
        value = getattr(cell, f.name)
        require(isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 65536,
                type(cell).__name__, f.name, value, "a number below 65536, the range of s16.15")
