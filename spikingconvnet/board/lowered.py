"""What a SpiNNaker board holds of a population and of a projection, in its integers; ``lowering`` makes them."""

from dataclasses import dataclass

from spikingconvnet.board.rules import LoweredRule
from spikingconvnet.network.arrays import Ints
from spikingconvnet.network.neurons import Cell


@dataclass(frozen=True, eq=False)
class LoweredPopulation:
    """Integers of one population of neurons; every array is int64 (size,) unless said otherwise.

    Attributes
    ----------
    label : str
    size : int
    kind : class
        Of its neurons' record.
    resistance, membrane_decay : accum
        ``tau_m / cm`` and ``exp(-timestep / tau_m)``.
    v_rest, v_reset, v_thresh, v_init, i_offset : accum
    refractory : steps
    decay, inject : (2, size), u032
        Decay of each synaptic current in a step, and the share of an arriving weight that a step delivers.
    shift : (2, size)
        Left shift of each receptor's ring buffer.
    delay_slots : int
        Length of the board's ring buffer in steps.
    input_scale : accum
        What synaptic currents are multiplied with before they act: 1, but for IFCurrDelta ``1 ms / timestep``.
    own : dict of str to array
        Numbers of this kind of neuron alone, see ``programs.Programs.own``.
    split : bool
        Whether synapses learn on another core than that of the neurons, see ``split_cores.py``.
    """

    label: str
    size: int
    kind: type[Cell]
    resistance: Ints
    membrane_decay: Ints
    v_rest: Ints
    v_reset: Ints
    v_thresh: Ints
    v_init: Ints
    i_offset: Ints
    refractory: Ints
    decay: Ints
    inject: Ints
    shift: Ints
    delay_slots: int
    input_scale: Ints
    own: dict[str, Ints]
    split: bool


@dataclass(frozen=True, eq=False)
class LoweredProjection:
    """Synapses of one projection, sorted by (pre, post); every array is int64 (synapses,).

    Attributes
    ----------
    label, pre, post : str
    pre_id, post_id, delay : arrays
    weight : array
        0 .. 65535, see ``LoweredPopulation.shift``; 4.11 of a reward or punishment.
    receptor : array
        0 excitatory, 1 inhibitory; 0 reward, 1 punishment.
    rule : LoweredRule or None
    modulates : bool
        Whether it is a reward or punishment.
    """

    label: str
    pre: str
    post: str
    pre_id: Ints
    post_id: Ints
    delay: Ints
    weight: Ints
    receptor: Ints
    rule: LoweredRule | None = None
    modulates: bool = False
