"""What neurons of some kinds keep beside the state of an IFCurrExp, as a board computes it, elementwise.

A kind of neuron that is added with numbers of its own (``programs.Programs.own``) has its class here; ``reference.py``
and ``compare/expected.py`` step it.
"""

from spikingconvnet.board.fixed_point import i32, kmul
from spikingconvnet.board.lowered import LoweredPopulation
from spikingconvnet.network.arrays import Flags, Ints
from spikingconvnet.network.neurons import Cell, IFCurrExpCa2Adaptive


class OwnState:
    """That of most kinds: nothing.

    Parameters
    ----------
    own : dict of str to int64 array (neurons,)
        ``LoweredPopulation.own``, of some neurons or all.
    """

    def __init__(self, own: dict[str, Ints]) -> None:
        self.own = own

    def outward(self) -> Ints | int:
        """Begin a step: the current that the state takes from the membrane's, accum, int64 (neurons,) or 0."""
        return 0

    def fired(self, neurons: Flags) -> None:
        """End it: which neurons fire, bool (neurons,)."""


class Adaptation(OwnState):
    """The adaptation current of an IFCurrExpCa2Adaptive; ``additional_input_ca2_adaptive_impl.h``."""

    def __init__(self, own: dict[str, Ints]) -> None:
        super().__init__(own)
        self.current = own["adaptation"]

    def outward(self) -> Ints:
        """``i_ca2 exp(-h / tau_ca2)``, rounded down; see :class:`OwnState`."""
        self.current = kmul(self.current, self.own["adaptation_decay"])
        return self.current

    def fired(self, neurons: Flags) -> None:
        """``i_ca2 + i_alpha`` with a spike."""
        self.current = i32(self.current + self.own["adaptation_step"] * neurons)


OWN: dict[type[Cell], type[OwnState]] = {IFCurrExpCa2Adaptive: Adaptation}


def own_state(population: LoweredPopulation, neurons: Ints | slice = slice(None)) -> OwnState:
    """The state of some neurons of a population before the first step."""
    return OWN.get(population.kind, OwnState)({name: values[neurons] for name, values in population.own.items()})
