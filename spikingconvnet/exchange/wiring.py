"""What comes to each neuron of a graph: the linear nodes between two neurons composed into one connection.

A signal is a sum of terms, each of them one source's spikes times a matrix, some steps later, and a constant.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy import sparse

from spikingconvnet.exchange.graph import LINEAR, NEURONS, Graph, Node, as_text
from spikingconvnet.exchange.linear import Matrix, Operator, Size, operator, spread
from spikingconvnet.exchange.verdicts import Ledger, Refused
from spikingconvnet.network.arrays import Floats, Pair

SILENT = ("LI", "I", "CubaLI")          # kinds that do not fire


@dataclass(frozen=True, eq=False)
class Convolution:
    """What a ConvConnections would be made of: pooling, and kernels behind it if there are any yet.

    Attributes
    ----------
    kernels : float array (maps, channels, rows, columns) or None
    strides, pool, padding : (rows, columns)
    gain : float
        Times an average pooling.
    """

    kernels: Floats | None = None
    strides: Pair = (1, 1)
    pool: Pair = (1, 1)
    gain: float = 1.0
    padding: Pair = (0, 0)


@dataclass(frozen=True, eq=False)
class Term:
    """The spikes of one source times a matrix.

    Attributes
    ----------
    pre : str
        The node that fires.
    via : str
        The last linear node that weighs, or one that does not; '' without one.
    matrix : csr array (size, size of pre)
    delay : int
        Steps beside those that every connection takes.
    convolution : Convolution or None
        The same as a convolution, where it is one.
    """

    pre: str
    via: str
    matrix: Matrix
    delay: int = 0
    convolution: Convolution | None = None


@dataclass(frozen=True, eq=False)
class Signal:
    """A sum of terms and a constant, of a shape; or the membrane of a node that does not fire."""

    shape: Size
    terms: tuple[Term, ...]
    bias: Floats
    membrane: str = ""


@dataclass(eq=False)
class Wiring:
    """The signals of a graph, each computed once.

    Attributes
    ----------
    graph : Graph
    step : float
        A step, in the graph's unit of time.
    ledger : Ledger
        Is told what cannot be.
    """

    graph: Graph
    step: float
    ledger: Ledger
    _out: dict[str, Signal | None] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def shape(self, name: str) -> Size | None:
        """Shape of a neuron, an Input or an Output; None if it cannot be told. Shapes that do not fit are Refused."""
        node = self.graph.nodes[name]
        if node.kind == "Input" and not self.graph.before(name):
            return _shape(node)
        if node.kind not in NEURONS:
            return self._shape_before(name)
        own = [np.shape(node.fields[key]) for key in NEURONS[node.kind]]
        try:
            told = np.broadcast_shapes(*own)
        except ValueError:
            raise Refused(f"its parameters have the shapes {sorted(set(own))}", "give all one shape") from None
        return told if told and 1 not in told else self._shape_before(name) or told or (1,)     # given once for many

    def _shape_before(self, name: str) -> Size | None:
        """Shape of what comes to a node and not from itself; what is on no loop with it is asked first."""
        ways = sorted(self.graph.before(name), key=lambda one: self._needs_open(one, through=True))
        signals = (self.out(one) for one in ways if not self._needs_open(one))
        return next((one.shape for one in signals if one is not None), None)

    def _needs_open(self, name: str, through: bool = False) -> bool:
        """Whether a node or one before it is being asked for; `through` neurons, too, whose shapes may be their own."""
        seen: set[str] = set()
        left = [name]
        while left:
            one = left.pop()
            if one in self._open:
                return True
            if one not in seen and (through or self.graph.nodes[one].kind not in NEURONS):
                seen.add(one)
                left += self.graph.before(one)
        return False

    def out(self, name: str) -> Signal | None:
        """What comes out of a node; None if it or something before it is refused. A loop without neurons is Refused."""
        if name not in self._out:
            if name in self._open:
                raise Refused("is in a loop without a neuron", "put a neuron into the loop")
            self._open.append(name)
            try:
                self._out[name] = self._made(self.graph.nodes[name])
            except Refused as error:
                self.ledger.refuse(name, error.text, error.change)
                self._out[name] = None
            finally:
                self._open.remove(name)
        return self._out[name]

    def into(self, name: str) -> list[Signal] | None:
        """What comes to a node over each of its edges; None if something before it is refused."""
        found = []
        for before in self.graph.before(name):
            signal = self.out(before)
            if signal is None:
                self.ledger.refuse(name, f"comes behind {before!r}, which is refused", "see there")
                return None
            found.append(signal)
        return found

    def _made(self, node: Node) -> Signal | None:
        if node.name in self.ledger.refused:
            return None
        source = node.kind == "Input" and not self.graph.before(node.name)
        if source or node.kind in NEURONS:
            return self._of_source(node)
        if (came := self.into(node.name)) is None:
            return None
        if not came:
            raise Refused("nothing comes to it", "connect it to an Input or a neuron")
        if membranes := [one.membrane for one in came if one.membrane]:
            if node.kind in LINEAR or len(came) > 1:
                raise Refused(f"takes the membrane of {membranes[0]!r}, which is no spike", "only an Output can follow"
                              " a node that does not fire; do what comes behind it when the membranes are read")
            return came[0]
        if node.kind in LINEAR:
            return _sum([self._behind(node, one) for one in came])
        return _sum(came)

    def _of_source(self, node: Node) -> Signal | None:
        shape = self.shape(node.name)
        if shape is None:
            return None
        if node.kind in NEURONS:
            for key in NEURONS[node.kind]:
                spread(node.fields[key], shape, key)
        size = int(np.prod(shape))
        term = Term(node.name, "", sparse.csr_array(sparse.eye_array(size)), 0,
                    Convolution() if len(shape) == 3 else None)
        return Signal(shape, (term,), np.zeros(size), node.name if node.kind in SILENT else "")

    def _behind(self, node: Node, signal: Signal) -> Signal:
        """A signal behind a linear node."""
        made = operator(node, signal.shape)
        terms: list[Term] = []
        for term in signal.terms:
            via = term.via if term.via and node.kind in ("Flatten", "Delay") else node.name
            moved = replace(term, via=via, convolution=_convolution(node, term, made, signal.shape))
            if made.matrix is not None:
                moved = replace(moved, matrix=made.matrix @ term.matrix)
            terms += [moved] if made.delay is None else self._delayed(node, moved, made.delay)
        bias = signal.bias if made.matrix is None else made.matrix @ signal.bias
        return Signal(made.shape, _merged(terms), bias if made.bias is None else bias + made.bias)

    def _delayed(self, node: Node, term: Term, delay: Floats) -> list[Term]:
        """A term for each delay, in whole steps."""
        steps = np.rint(delay / self.step).astype(np.int64)
        off = float(abs(delay / self.step - steps).max())
        if off > 1e-6:          # division, not meaning
            self.ledger.note(node.name, f"delays moved by up to {off:.2g} steps to whole ones")
        if len(found := np.unique(steps)) == 1:
            return [replace(term, delay=term.delay + int(found[0]))]
        rows = [sparse.csr_array(sparse.diags_array((steps == one).astype(np.float64))) for one in found]
        return [replace(term, delay=term.delay + int(one), matrix=chosen @ term.matrix, convolution=None)
                for one, chosen in zip(found, rows)]


def is_identity(term: Term) -> bool:
    """Whether a term is its source's spikes as they are."""
    rows, columns = term.matrix.shape
    return rows == columns and not term.delay and (term.matrix - sparse.eye_array(rows)).count_nonzero() == 0


def _shape(node: Node) -> Size:
    shape = tuple(np.asarray(node.fields["shape"]).astype(int).ravel().tolist())
    if min(shape) < 1:
        raise Refused(f"its shape is {shape}", "give each axis at least 1")
    return shape


def _sum(signals: list[Signal]) -> Signal:
    """The sum of signals of one size."""
    first = signals[0]
    if len(signals) == 1:
        return first
    if len({one.bias.size for one in signals}) > 1:
        raise Refused(f"adds up shapes {', '.join(str(one.shape) for one in signals)}", "give them one shape")
    terms = _merged([term for one in signals for term in one.terms])
    return Signal(first.shape, terms, np.sum([one.bias for one in signals], axis=0))


def _merged(terms: list[Term]) -> tuple[Term, ...]:
    """Terms of one source and delay added up."""
    found: dict[tuple[str, int], Term] = {}
    for term in terms:
        key = term.pre, term.delay
        found[key] = term if key not in found else replace(
            term, matrix=found[key].matrix + term.matrix, convolution=None)
    return tuple(found.values())


def _convolution(node: Node, term: Term, made: Operator, shape: Size) -> Convolution | None:
    """What a term that is a convolution is behind one more node; None if it is none."""
    before, fields = term.convolution, node.fields
    if before is None or node.kind in ("Flatten", "Delay"):
        return before
    if before.kernels is not None or (before.pool != (1, 1) and node.kind != "Conv2d"):
        return None
    if node.kind in ("AvgPool2d", "SumPool2d") and not np.any(fields["padding"]):
        pool, stride = (_pair(fields[key]) for key in ("kernel_size", "stride"))
        area = float(pool[0] * pool[1])
        return Convolution(None, (1, 1), pool, 1.0 if node.kind == "AvgPool2d" else area) if pool == stride else None
    if node.kind == "Conv2d" and _is_plain(fields):
        padding = (0, 0) if as_text(fields["padding"]) else _pair(fields["padding"])
        return replace(before, kernels=_over_all_channels(fields) * before.gain, strides=_pair(fields["stride"]),
                       padding=padding)
    return None


def _is_plain(fields: Mapping[str, Any]) -> bool:
    """Whether a convolution is not dilated and padded alike on both sides, as ConvConnections."""
    return as_text(fields["padding"]) in ("", "valid") and bool((np.asarray(fields["dilation"]) == 1).all())


def _over_all_channels(fields: Mapping[str, Any]) -> Floats:
    """Kernels of a convolution in groups as those of one group, 0 where a map does not look."""
    parts = np.split(np.asarray(fields["weight"], np.float64), int(np.ravel(fields["groups"])[0]))
    found = np.zeros((len(parts), len(parts[0]), len(parts), *parts[0].shape[1:]))
    for group, part in enumerate(parts):
        found[group, :, group] = part
    return found.reshape(len(parts) * len(parts[0]), -1, *parts[0].shape[2:])


def _pair(value: Any) -> Pair:
    rows, columns = np.broadcast_to(np.asarray(value).ravel(), (2,)).tolist()
    return int(rows), int(columns)
