"""Populations and projections of a graph's neurons, and how far the numbers a board holds are from the graph's."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from spikingconvnet.board.fixed_point import ACCUM_ONE
from spikingconvnet.board.lowered import LoweredPopulation
from spikingconvnet.exchange.dynamics import HALF, Dynamics, Held, held, on_grid, threshold
from spikingconvnet.exchange.linear import Matrix, Size
from spikingconvnet.exchange.verdicts import Ledger
from spikingconvnet.exchange.wiring import Signal, Term
from spikingconvnet.network.arrays import Floats, Shape
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections
from spikingconvnet.network.netlist import Connections, Population
from spikingconvnet.network.neurons import IFCurrDelta, IFCurrExp

DENSE = 0.5             # share of weights that are not 0, from which a list takes more than kernels of all inputs
ALMOST = 1e-6           # of a weight step or last bit: what comes of arithmetic in floats


@dataclass(frozen=True, eq=False)
class Target:
    """What becomes a population: the node's name, its shape and dynamics, and what comes to it.

    `own` is the population that it was written from, if it is as it was.
    """

    name: str
    shape: Size
    dynamics: Dynamics
    came: list[Signal]
    own: Population | None = None

    @property
    def bias(self) -> Floats:
        """Constant input: float array (size,)."""
        return np.asarray(sum((one.bias for one in self.came), np.zeros(math.prod(self.shape))))

    @property
    def terms(self) -> list[Term]:
        """Terms with weights."""
        return [term for one in self.came for term in one.terms if term.matrix.count_nonzero()]


@dataclass(frozen=True, eq=False)
class Built:
    """A target as a population.

    Attributes
    ----------
    population : Population
    terms : list of (Term, csr array)
        Its terms with their weights in nA.
    factor : float array (size,)
        nA of a weight of 1 of the graph.
    scale : float
        mV that a potential of 1 of the graph is.
    """

    population: Population
    terms: list[tuple[Term, Matrix]]
    factor: Floats
    scale: float


def shape3(shape: Size) -> Shape:
    """(channels, rows, columns) of any shape.

    >>> shape3((10,)), shape3((2, 30)), shape3((4, 5, 6))
    ((10, 1, 1), (2, 1, 30), (4, 5, 6))
    """
    if len(shape) <= 1 or len(shape) > 3:
        return (math.prod(shape), 1, 1)
    return (shape[0], 1 if len(shape) == 2 else shape[1], shape[-1])


def built(target: Target, timestep: float, lag: int, ledger: Ledger) -> Built:
    """The population of a target.

    Parameters
    ----------
    target : Target
    timestep : float
        ms.
    lag : int
        Steps that it runs before its first input can come.
    ledger : Ledger
        Is told what is rounded, of all but the weights.

    Returns
    -------
    Built

    Raises
    ------
    Refused
        Numbers that no scale brings into the range of s16.15.
    """
    if target.own is not None:
        return Built(target.own, [(term, term.matrix) for term in target.terms], np.ones(target.own.size), 1.0)
    own, terms = target.dynamics, target.terms
    values = held(own, _largest([term.matrix for term in terms], own.share.size), target.bias, timestep)
    weights = [(term, _rows(values.weight, term.matrix)) for term in terms]
    potentials = _potentials(target, values, lag, ledger)
    kind: Any = IFCurrDelta if values.tau_syn is None else IFCurrExp
    given = {"tau_m": values.tau_m, "cm": values.tau_m, "tau_refrac": 0.0 * own.share, **potentials}
    if values.tau_syn is not None:
        given |= {"tau_syn_E": values.tau_syn, "tau_syn_I": values.tau_syn}
    cell = kind(**{name: float(array[0]) for name, array in given.items()})
    population = Population(
        target.name, shape3(target.shape), cell, {n: array for n, array in given.items() if np.ptp(array)},
        _is_convolution(target, values), float(_largest([one for _, one in weights], own.share.size).max(initial=0.0)))
    return Built(population, weights, values.weight, values.scale)


def _rows(factor: Floats, matrix: Matrix) -> Matrix:
    return sparse.csr_array(sparse.diags_array(factor) @ matrix)


def _largest(matrices: list[Matrix], size: int) -> Floats:
    """Sum of the weights of either sign of each row, the larger one."""
    above, below = np.zeros(size), np.zeros(size)
    for matrix in matrices:
        above += matrix.maximum(0.0).sum(axis=1)
        below -= matrix.minimum(0.0).sum(axis=1)
    return np.maximum(above, below)


def _potentials(target: Target, values: Held, lag: int, ledger: Ledger) -> dict[str, Floats]:
    """Potentials (mV) and constant currents (nA) on the grid of s16.15; what they and the decay miss is noted."""
    own, scale = target.dynamics, values.scale
    exact = {"v_rest": scale * own.leak, "v_reset": scale * own.reset, "i_offset": target.bias * values.current}
    found = {name: on_grid(array) / ACCUM_ONE for name, array in exact.items()}
    found["v_thresh"] = threshold(scale * own.threshold)
    found["v"] = on_grid(_start(target, found, values, lag, ledger)) / ACCUM_ONE
    missed = {name: abs(array - found[name]) for name, array in exact.items()}
    leaked = abs(values.lost - own.share)
    leaked[leaked < ALMOST / ACCUM_ONE] = 0.0
    step = (leaked * scale * own.potentials + missed["v_reset"]
            + values.lost * (missed["v_rest"] + missed["i_offset"])).max()
    if leaked.any():
        at = int(leaked.argmax())
        ledger.note(target.name, f"loses {values.lost[at]:.7g} of its membrane a step for {own.share[at]:.7g}")
    if step > ALMOST / ACCUM_ONE:
        ledger.mv[target.name] = float(step)
    return found


def _start(target: Target, found: dict[str, Floats], values: Held, lag: int, ledger: Ledger) -> Floats:
    """Membranes from which a constant input brings those of the start by the time that other input can come."""
    start, settled = values.scale * target.dynamics.start, found["v_rest"] + found["i_offset"]
    if target.dynamics.share_syn is not None and target.bias.any():
        ledger.note(target.name, "the current of its bias is there from the first step and does not rise with tau_syn")
    left = (1.0 - values.lost) ** lag
    away = start - settled
    if lag == 0 or not away.any():
        return start
    first = start + np.divide(away, left, out=np.where(away == 0, 0.0, 2.0 * HALF), where=left > 0) - away
    after = settled + (first - settled) * (1.0 - values.lost)
    if (abs(first) < HALF).all() and (np.maximum(after, start) < found["v_thresh"]).all():
        return np.asarray(first)
    ledger.note(target.name, f"its constant input begins {lag} steps before the rest can come")
    return start


def _is_convolution(target: Target, values: Held) -> bool:
    """Whether it is one population for each map on a board, as behind convolutions alone."""
    return math.prod(target.shape[1:]) > 1 and bool(target.terms) and all(
        _kernels(term, values.weight, shape3(target.shape)) is not None for term in target.terms)


def _kernels(term: Term, factor: Floats, shape: Shape) -> Floats | None:
    """Kernels in nA of a term that is a convolution onto maps of one factor each; None if it is not."""
    if term.convolution is None or term.convolution.kernels is None:
        return None
    kernels, maps = term.convolution.kernels, factor.reshape(len(term.convolution.kernels), -1)
    if len(kernels) != shape[0] or np.ptp(maps, axis=1).any():
        return None
    return kernels * maps[:, :1, None, None]


def connections(term: Term, weights: Matrix, factor: Floats, delay: int, pre: Shape, post: Shape) -> Connections:
    """A term's synapses: a convolution if it is one, or nearly all to all onto units; a list otherwise.

    Parameters
    ----------
    term : Term
    weights : csr array (post, pre), nA
    factor : float array (post,)
        nA of a weight of 1.
    delay : int
        Steps.
    pre, post : (C, H, W)
    """
    if (kernels := _kernels(term, factor, post)) is not None and term.convolution is not None:
        return ConvConnections(kernels, pre, term.convolution.strides, term.convolution.pool, delay,
                               term.convolution.padding)
    if post[1:] == (1, 1) and weights.count_nonzero() > DENSE * math.prod(weights.shape):
        return ConvConnections(weights.toarray().reshape(-1, *pre), pre, delay=delay)
    found = weights.tocsc().tocoo()
    some = found.data != 0
    return ConnectionList(found.col[some], found.row[some], found.data[some], np.full(int(some.sum()), delay), True)


def judge_weights(one: Built, lowered: LoweredPopulation, ledger: Ledger) -> None:
    """Note how far the weights of a population's terms are from the steps of its 16 bits."""
    moves = _moves(lowered)
    moved = np.zeros(one.population.size)
    for term, matrix in one.terms:
        found = sparse.coo_array(matrix)
        unit = 2.0 ** (lowered.shift[(found.data < 0).astype(int), found.row] - 15)
        raw = abs(found.data) / unit
        off = abs(raw - np.rint(raw))
        off[off < ALMOST] = 0.0
        np.add.at(moved, found.row, off * unit * moves[found.row])
        _note(term.via or one.population.label, raw, off, ledger)
    if moved.any():
        label = one.population.label
        ledger.mv[label] = ledger.mv.get(label, 0.0) + float(moved.max())


def _moves(lowered: LoweredPopulation) -> Floats:
    """mV that a nA of a spike's weight moves each membrane by in its step."""
    lost = (1.0 - lowered.membrane_decay / ACCUM_ONE) * lowered.resistance / ACCUM_ONE
    return np.asarray(lost * lowered.inject[0] / 2.0 ** 32 * lowered.input_scale / ACCUM_ONE)


def _note(node: str, raw: Floats, off: Floats, ledger: Ledger) -> None:
    lost, wrapped = int(((np.rint(raw) == 0) & (raw > 0)).sum()), int((np.rint(raw) > 0xffff).sum())
    ledger.steps[node] = max(ledger.steps.get(node, 0.0), float(off.max(initial=0.0)))
    for count, text in ((lost, "round to 0"), (wrapped, "wrap in 16 bits")):
        if count:
            ledger.note(node, f"{count} of {raw.size} weights {text}")
