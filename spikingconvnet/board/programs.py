"""What sPyNNaker 7.4.1 has for each kind of neuron: its programs, and what a neuron takes of memory.

A kind of neuron that is added has its row here; ``dtcm``, ``sdram`` and ``split_cores`` count with it.
"""

from dataclasses import dataclass

from spikingconvnet.network.neurons import Cell, IFCurrDelta, IFCurrExp, IFCurrExpCa2Adaptive

PAIRS = "pair_additive", "nearest_pair_additive"


@dataclass(frozen=True)
class Programs:
    """Of one kind of neuron.

    Attributes
    ----------
    name : str
        With which the names of its programs begin.
    rules : tuple of str
        Kinds of plasticity rules for which a program holds neurons and synapses; others go on split cores.
    structures : tuple of int
        Bytes that a neuron takes of a core's own memory, in the order in which they are asked for: key, neuron, what
        else there is, threshold, synapse (``neuron_impl_standard.h:95``); those of the delta synapse's input last.
    shared : int
        Structures in SDRAM, ``neuron_impl_standard.py``.
    numbers : int
        In all of these.
    heaps : dict of str to int
        `heap_base` of sark.h's sark_vec_t, at 0x4c of its programs, by how their names go on, without the names of
        weight dependences.
    """

    name: str
    rules: tuple[str, ...]
    structures: tuple[int, ...]
    shared: int
    numbers: int
    heaps: dict[str, int]


PROGRAMS: dict[type[Cell], Programs] = {
    IFCurrExp: Programs("IF_curr_exp", (*PAIRS, "pair_multiplicative", "nearest_pair_multiplicative",
                                        "vogels_2011_additive", "pfister_triplet_additive"), (4, 32, 4, 24), 5, 16,
                        {"": 2668, "_stdp_mad": 2700, "_stdp_mad_pfister_triplet": 2708, "_conv": 2504,
                         "_neuron": 2428}),
    IFCurrDelta: Programs("IF_curr_delta", PAIRS, (4, 32, 4, 4, 8), 5, 14,
                          {"": 2672, "_stdp_mad": 2704, "_neuron": 2432}),
    IFCurrExpCa2Adaptive: Programs("IF_curr_exp_ca2_adaptive", PAIRS[:1], (4, 32, 12, 4, 24), 6, 20,
                                   {"": 2672, "_stdp_mad": 2704, "_neuron": 2432})}


def programs(cell: Cell) -> Programs:
    """The Programs of a neuron's record."""
    return PROGRAMS[type(cell)]
