"""Neuron models and spike sources as frozen records with PyNN's names; a value that cannot be used is a SettingsError.

Units: Hz, ms, mV, nA, nF (so tau_m / cm is a resistance, megaohm).
"""

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from spikingconvnet.errors import SettingsError, require
from spikingconvnet.gates.fields import (
    FINEST,
    RANGE,
    REFUSED,
    S16_15,
    Kind,
    above,
    below,
    check_fields,
    least,
    or_infinity,
    real,
    record,
    whole,
)
from spikingconvnet.network.arrays import Floats
from spikingconvnet.network.spikes import Spikes

OUT_OF_REACH = 65535.0      # mV, the largest s16.15

__all__ = ["IFCurrDelta", "IFCurrExp", "IFCurrExpCa2Adaptive", "SpikeSourceArray", "SpikeSourcePoisson"]

LARGEST_SEED_C = 698_769_068        # of the generator JKISS64
Seed: TypeAlias = tuple[int, int, int, int]


@dataclass(frozen=True)
class IFCurrExp:
    """Leaky integrate-and-fire with exponentially decaying synaptic currents: PyNN's ``IF_curr_exp``.

    Between spikes, with ``R = tau_m / cm``, a receptor's current ``I`` and the weights ``w`` of what arrives at it::

        tau_m dV/dt = v_rest - V + R (I_exc - I_inh + i_offset)
        tau_syn dI/dt = -I, I -> I + w

    A neuron with ``V >= v_thresh`` fires, is set to `v_reset` and stays there for `tau_refrac`. What a board makes of a
    step ``h``, in this order, every product rounded down::

        I = I + w (1 - exp(-x)) / x, x = h / tau_syn            a spike's charge is w tau_syn, whatever the step
        A = v_rest + R (I_exc - I_inh + i_offset)
        V = A - exp(-h / tau_m) (A - V)                         not while refractory; exact for a constant current
        I = I exp(-x)

    Then the threshold is tested, while a neuron is refractory, too. Defaults are those of sPyNNaker 7.4.1, not of PyNN
    (`tau_refrac`, the initial `v`).

    Sources: the model is NEST's ``iaf_psc_exp``; steps by the exact solution, Rotter and Diesmann 1999, Biol Cybern 81,
    381. The board: sPyNNaker 7.4.1 ``neuron_model_lif_impl.h`` (``neuron_model_initialise``,
    ``lif_neuron_closed_form``), ``exp_synapse_utils.h`` (``decay_and_init``, ``add_input_exp``, ``exp_shaping``).

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

    synapses, pynn, state = "exponential", "IF_curr_exp", ("v",)

    def __post_init__(self) -> None:
        check_fields(self, **parameter_kinds(self))
        check_together(type(self).__name__, vars(self))


@dataclass(frozen=True)
class IFCurrDelta:
    """Leaky integrate-and-fire whose synapses act for one step only: PyNN's ``IF_curr_delta`` as SpiNNaker runs it.

    The membrane is that of :class:`IFCurrExp`, ``tau_m dV/dt = v_rest - V + R (I + i_offset)``, and so are the
    attributes, without time constants of synapses. The field's model lets a spike move the membrane at once; on a board
    its weight is a current in nA that flows for the whole step::

        I = (1 ms / h) (sum of excitatory - sum of inhibitory weights)
        A = v_rest + R (I + i_offset), V = A - exp(-h / tau_m) (A - V)

    So as much charge flows in a step of any length ``h``; recorded currents are those before that factor.

    Sources: sPyNNaker 7.4.1 ``input_type_delta.h`` (``scale_factor``), ``synapse_types_delta_impl.h``,
    ``neuron_model_lif_impl.h`` (``lif_neuron_closed_form``).
    """

    tau_m: float = 20.0
    cm: float = 1.0
    v_rest: float = -65.0
    v_reset: float = -65.0
    v_thresh: float = -50.0
    tau_refrac: float = 0.1
    i_offset: float = 0.0
    v: float = -65.0

    synapses, pynn, state = "delta", "IF_curr_delta", ("v",)

    def __post_init__(self) -> None:
        check_fields(self, **parameter_kinds(self))
        check_together(type(self).__name__, vars(self))


@dataclass(frozen=True)
class IFCurrExpCa2Adaptive:
    """As :class:`IFCurrExp`, with an adaptation current that every own spike strengthens and that fades by itself.

    ``i_ca2`` is an outward current beside those of an IFCurrExp::

        tau_m dV/dt = v_rest - V + R (I_exc - I_inh - i_ca2 + i_offset)
        tau_ca2 di_ca2/dt = -i_ca2, i_ca2 -> i_ca2 + i_alpha with every spike of the neuron

    In a step of a board ``i_ca2 = i_ca2 exp(-h / tau_ca2)``, rounded down to s16.15, comes first, also while the neuron
    is refractory; then the membrane, the threshold, and what a spike adds. Neurons that fire often fire less, as under
    homeostasis, but no host moves a threshold between runs. A current below 1 / 2 nA loses a whole last bit a step,
    whatever `tau_ca2` beyond 16 s.

    Attributes
    ----------
    tau_m, cm, v_rest, v_reset, v_thresh, tau_syn_E, tau_syn_I, tau_refrac, i_offset, v : float
        As of :class:`IFCurrExp`.
    tau_ca2 : float
        Decay time constant of the adaptation current, ms.
    i_ca2 : float
        That current at the start, nA.
    i_alpha : float
        What a spike adds to it, nA.

    Source: Liu and Wang 2001, doi 10.1023/A:1008916026143; sPyNNaker 7.4.1 ``if_curr_exp_ca2_adaptive.py`` and its
    binaries, with which sixty random networks were compared on an emulated board (tests/backends/test_spinnaker.py).
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
    tau_ca2: float = 50.0
    i_ca2: float = 0.0
    i_alpha: float = 0.1

    synapses, pynn, state = "exponential", "extra_models.IFCurrExpCa2Adaptive", ("v", "i_ca2")

    def __post_init__(self) -> None:
        check_fields(self, **parameter_kinds(self))
        check_together(type(self).__name__, vars(self))


@dataclass(frozen=True, eq=False)
class SpikeSourceArray:
    """A population that fires given spikes; all of them are known before the run starts.

    (sPyNNaker 7.4.1 cannot change the spikes of more than one source between two runs.)
    """

    spikes: Spikes

    synapses, pynn, state = None, "SpikeSourceArray", ()

    def __post_init__(self) -> None:
        check_fields(self, spikes=record(Spikes))


@dataclass(frozen=True)
class SpikeSourcePoisson:
    """A population that fires at random: PyNN's ``SpikeSourcePoisson``, drawn by the board's own generator.

    Every core of the source draws from one generator, source after source, so that the spikes of a source depend on
    its neighbours and on `neurons_per_core`. Rate, start and duration may differ from source to source
    (``Population.values``).

    The number of spikes in a step of length ``h`` is k with probability ``exp(-m) m**k / k!``, ``m = rate h``. Below
    0.01 a step a board draws the time to the next spike instead, exponentially distributed. What it does of this in
    integers is in ``board/poisson.py``.

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
    core_seeds: tuple[Seed, ...] = ()
    neurons_per_core: int = 500

    synapses, pynn, state = None, "SpikeSourcePoisson", ()

    def __post_init__(self) -> None:
        check_fields(self, **parameter_kinds(self), neurons_per_core=whole(1), core_seeds=_CORE_SEEDS)


Neuron: TypeAlias = IFCurrExp | IFCurrDelta | IFCurrExpCa2Adaptive
Source: TypeAlias = SpikeSourceArray | SpikeSourcePoisson
Cell: TypeAlias = Neuron | Source


def poisson_seeds(rng: np.random.Generator, n_cores: int) -> tuple[Seed, ...]:
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


def valid_seed(words: Sequence[int]) -> Seed:
    """Four 32-bit words made a seed of JKISS64: y is not 0, c is 1 to 698,769,068.

    >>> valid_seed([7, 0, 9, 698769068])
    (7, 13031301, 9, 1)
    """
    x, y, z, c = words
    return x, y or 13_031_301, z, c % LARGEST_SEED_C + 1


def keeps_state(cell: Cell) -> bool:
    """Whether neurons of this kind have a state of their own beside membrane and currents, as those that adapt."""
    return len(cell.state) > 1


def parameter_names(cell: Cell) -> tuple[str, ...]:
    """Names of a cell's parameters in PyNN's spelling: those that may differ from neuron to neuron."""
    return tuple(parameter_kinds(cell))


def parameter_kinds(cell: Cell) -> dict[str, Kind]:
    """What these parameters may be: dict of str to fields.Kind; empty for given spikes."""
    return _KINDS.get(type(cell), {})


def check_together(owner: str, values: Mapping[str, float | Floats], error: type[Exception] = SettingsError) -> None:
    """Raise an error if what a board computes of several parameters of a neuron does not fit its s16.15.

    Parameters
    ----------
    owner : str
    values : dict of str to float, or to float array of one length
        Parameters of an IFCurrExp or IFCurrDelta; numpy's arithmetic takes both.
    error : class

    Raises
    ------
    SettingsError, or `error`
    """
    resistance = np.divide(values["tau_m"], values["cm"])
    target = values["v_rest"] + np.multiply(resistance, values["i_offset"])
    for name, value, wanted in (
            ("tau_m, cm", resistance, "tau_m / cm below 65536 megaohm"),
            ("i_offset", target, "such that v_rest + i_offset * tau_m / cm is within 65536 mV"),
            ("v, v_rest", np.subtract(values["v"], target), "at most 65536 mV from where the membrane goes to"),
            ("v_reset, v_rest", np.subtract(values["v_reset"], target), "at most 65536 mV from where the membrane goes"
                                                                        " to")):
        require(bool(np.all(np.abs(value) < RANGE)), owner, name, float(np.max(np.abs(value))),
                f"{wanted}, the range of s16.15", error)


def _seeds(value: object) -> object:
    """Seeds of cores as tuples of four words that the generator can start with."""
    if not isinstance(value, (tuple, list)):
        return REFUSED
    try:
        seeds = tuple(tuple(map(operator.index, seed)) for seed in value)
    except TypeError:
        return REFUSED
    fit = all(len(seed) == 4 and all(0 <= word < 1 << 32 for word in seed) and seed[1] != 0
              and 1 <= seed[3] <= LARGEST_SEED_C for seed in seeds)
    return seeds if fit else REFUSED


_MV = real(S16_15)
_ABOVE_ZERO = real(S16_15, above(0), least(2 * FINEST, ", twice the last bit of s16.15"))
_DELTA = {"tau_m": _ABOVE_ZERO, "cm": _ABOVE_ZERO, "v_rest": _MV, "v_reset": _MV, "v_thresh": _MV,
          "tau_refrac": real(S16_15, least(0)), "i_offset": _MV, "v": _MV}
_U32_32 = real(least(0), below(1 << 32), wanted="0 or more and below 2**32")
_EXP = {**_DELTA, "tau_syn_E": _ABOVE_ZERO, "tau_syn_I": _ABOVE_ZERO}
_KINDS: dict[type, dict[str, Kind]] = {
    IFCurrExp: _EXP, IFCurrDelta: _DELTA,
    IFCurrExpCa2Adaptive: {**_EXP, "tau_ca2": _ABOVE_ZERO, "i_ca2": _MV, "i_alpha": _MV},
    SpikeSourcePoisson: {"rate": _U32_32, "start": _U32_32, "duration": or_infinity(_U32_32)}}
_CORE_SEEDS = Kind(_seeds, f"four 32-bit words x, y, z, c for each core, with y not 0 and c from 1 to {LARGEST_SEED_C}")
