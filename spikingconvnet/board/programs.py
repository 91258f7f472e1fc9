"""What sPyNNaker 7.4.1 has for each kind of neuron: its programs, what a neuron takes of memory, and its own numbers.

A kind of neuron that is added has its row here. ``lowering``, ``dtcm``, ``sdram``, ``split_cores`` and the local engine
go by the rows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from spikingconvnet.board.fixed_point import each, expk, kdiv
from spikingconvnet.network.arrays import Ints
from spikingconvnet.network.neurons import Cell, IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive

Raw = Mapping[str, Ints]        # parameters of a population as accums, int64 (size,)


@dataclass(frozen=True)
class Programs:
    """Of one kind of neuron.

    Attributes
    ----------
    name : str
        With which the names of its programs begin, see ``binaries``.
    structures : tuple of int
        Bytes that a neuron takes of a core's own memory, in the order in which they are asked for: key, neuron, what
        else there is, threshold, synapse (``neuron_impl_standard.h:95``); those of the delta synapse's input last.
    shared : int
        Structures in SDRAM, ``neuron_impl_standard.py``.
    numbers : int
        In all of these.
    cycles : int
        Of a neuron and step, measured on the timed emulated board by ``benchmarks/board_time.py``.
    own : dict of str to callable
        Integers beside those of an IFCurrExp, each made of the parameters and the time step, both accums:
        ``own[name](raw, step)`` is int64 (size,). What the kernels call a number is its name here.
    """

    name: str
    structures: tuple[int, ...]
    shared: int
    numbers: int
    cycles: int
    own: Mapping[str, Callable[[Raw, int], Ints]] = field(default_factory=dict)


PROGRAMS: dict[type[Cell], Programs] = {
    IFCurrExp: Programs("IF_curr_exp", (4, 32, 4, 24), 5, 16, 160),
    IFCurrDelta: Programs("IF_curr_delta", (4, 32, 4, 4, 8), 5, 14, 159),
    IFCurrExpCa2Adaptive: Programs(
        "IF_curr_exp_ca2_adaptive", (4, 32, 12, 4, 24), 6, 20, 175,
        {"adaptation": lambda raw, step: raw["i_ca2"],
         "adaptation_decay": lambda raw, step: each(lambda tau: expk(-kdiv(step, tau)), raw["tau_ca2"]),
         "adaptation_step": lambda raw, step: raw["i_alpha"]}),
}
OWN_STATES = tuple(kind for kind, row in PROGRAMS.items() if row.own)       # kinds with numbers of their own


def programs(cell: Cell) -> Programs:
    """The Programs of a neuron's record."""
    return PROGRAMS[type(cell)]
