"""From a Network to a graph of NIR.

Populations become neurons in mV above their resting potential, weights stay in nA, `i_offset` is the bias of what comes
to them. A graph is evaluated all at once: a population is behind it by the time of the fastest way from a source, and
what else a connection takes is a Delay.
"""

import io
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import numpy as np

from spikingconvnet.errors import NetworkError
from spikingconvnet.exchange import own
from spikingconvnet.exchange.importing import check_steps, step_of
from spikingconvnet.exchange.linear import MOST_WEIGHTS
from spikingconvnet.exchange.verdicts import Ledger, Refused, Report
from spikingconvnet.gates.libraries import need
from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections
from spikingconvnet.network.netlist import RECEPTORS, Connections, Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourcePoisson


def to_nir(network: Network, graph_dt: float | None = None, method: str = "euler") -> Any:
    """The graph of NIR that a network is.

    Parameters
    ----------
    network : Network
        Static, of IFCurrExp and IFCurrDelta.
    graph_dt : float or None
        What a step is in the graph's unit of time; None is the network's in seconds. snnTorch's importer takes 1e-4.
    method : 'euler' or 'exact'
        How whoever reads it makes steps of it.

    Returns
    -------
    nir.NIRGraph
        Metadata of its nodes keep what NIR has no words for, for :func:`from_nir`.

    Raises
    ------
    NetworkError
        Names everything of the network that NIR has no node for.
    SettingsError
        A step or method that cannot be.
    BackendError
        The package nir is not installed.
    """
    graph, report = exported(network, graph_dt, method)
    report.require_all()
    return graph


def exported(network: Network, graph_dt: float | None = None, method: str = "euler") -> tuple[Any, Report]:
    """As :func:`to_nir`, with the verdict on each population and projection; None is the graph if one is refused."""
    check_steps("to_nir", network.timestep, graph_dt, method)
    need("nir", "to_nir")
    made = _Export(network, step_of(network.timestep, graph_dt), method)
    made.look()
    report = made.ledger.report([*((p.label, "Population") for p in network.populations),
                                 *((p.label, "Projection") for p in network.projections)])
    return None if made.ledger.refused else made.graph(), report


def as_file(graph: Any) -> bytes:
    """What ``nir.write`` writes of a graph."""
    import nir

    whole = io.BytesIO()
    nir.write(whole, graph)
    return whole.getvalue()


@dataclass(eq=False)
class _Export:
    network: Network
    step: float
    method: str
    ledger: Ledger = field(default_factory=Ledger)
    nodes: dict[str, Any] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)         # of populations' nodes
    kinds: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)

    def look(self) -> None:
        """Everything that NIR has no node for, and what it cannot say."""
        self.shapes = _shapes(self.network)
        for population in self.network.populations:
            self._look_at(population)
        for projection in self.network.projections:
            if projection.plasticity or projection.receptor not in RECEPTORS:
                self.ledger.refuse(projection.label, "it learns, and NIR's weights do not",
                                   "write the network with the weights that were learned, without plasticity")
            elif not _is_structured(projection.connections, self.shapes[projection.pre]):
                self._look_at_list(projection)
        if self.network.reset_every:
            self.ledger.note(self.network.populations[0].label, f"every {self.network.reset_every} steps all state"
                             " returns to the start, which a graph does not say: reset it for each sample")

    def _look_at(self, population: Population) -> None:
        if population.is_source:
            if isinstance(population.cell, SpikeSourcePoisson):
                self.ledger.note(population.label, "fires at random, and becomes an Input")
            return
        try:
            self.kinds[population.label] = own.fields_of(population, self.network.timestep, self.step, self.method)
        except (Refused, NetworkError) as error:
            self.ledger.refuse(population.label, *((error.text, error.change) if isinstance(error, Refused) else (
                str(error), "bring it into the range of s16.15")))
            return
        self._look_at_version(population.label)
        refractory = math.ceil(population.parameter("tau_refrac").max() / self.network.timestep)
        if refractory:
            self.ledger.note(population.label, f"NIR has no refractory time, this has {refractory} steps")
        if (population.parameter("v") != population.parameter("v_rest")).any():
            self.ledger.note(population.label, "NIR has no membranes at the start other than at rest")
        if population.parameter("i_offset").any():
            self.ledger.note(population.label, "its i_offset begins before its first spikes can come, in the graph with"
                                               " them")

    def _look_at_list(self, projection: Projection) -> None:
        """A list becomes a matrix for each of its delays."""
        found, weights = projection.connections.to_list(), math.prod(
            self.network.population(end).size for end in (projection.pre, projection.post))
        delays = len(np.unique(found.delay))
        if weights > MOST_WEIGHTS:
            self.ledger.refuse(projection.label, f"its list would be a matrix of {weights:,} weights, and NIR has no"
                               " sparse ones", f"at most {MOST_WEIGHTS:,}: split its populations, or write it as"
                               " ConvConnections if it is a convolution")
        elif len(found.pre) < delays * weights:
            self.ledger.said[projection.label] = (f"{len(found.pre):,} synapses, as {delays} full"
                                                  f" {'matrix' if delays == 1 else 'matrices'} of {weights:,} weights")

    def _look_at_version(self, label: str) -> None:
        import nir

        kind, fields = self.kinds[label]
        if not hasattr(nir, kind):
            self.ledger.refuse(label, f"this version of nir has no {kind}", "install nir 1.0.8")
        elif "v_reset" in fields and "v_reset" not in signature(getattr(nir, kind)).parameters:
            self.ledger.note(label, "this version of nir has no v_reset; install nir 1.0.8")

    def graph(self) -> Any:
        """The graph."""
        import nir

        lags = _lags(self.network)
        for population in self.network.populations:
            self.names[population.label] = self._name(population.label)
        for population in self.network.populations:
            self._add_population(nir, population, lags)
        unchecked = {"type_check": False} if "type_check" in signature(nir.NIRGraph).parameters else {}
        return nir.NIRGraph(nodes=self.nodes, edges=self.edges, **unchecked)     # which takes all kernels for square

    def _name(self, label: str) -> str:
        """A name that HDF5 and torch take, and no other node has."""
        plain = label.replace("/", ":").replace(".", "_") or "_"
        taken = {*self.nodes, *self.names.values()}
        return next(name for i in itertools.count(1) if (name := f"{plain} {i}" if i > 1 else plain) not in taken)

    def _add_population(self, nir: Any, population: Population, lags: dict[str, int]) -> None:
        name, keep = self.names[population.label], own.kept(population, lags[population.label])
        shape = self.shapes[population.label]
        if population.is_source:
            self.nodes[name] = nir.Input({"input": np.array(shape)})
            self.nodes[name].metadata = keep
        else:
            kind, fields = self.kinds[population.label]
            bias = own.bias_of(population, self.network.timestep, fields)
            for projection in self.network.incoming(population.label):
                bias = self._add_projection(nir, projection, bias, lags)
            fields["v_leak"] = fields["v_leak"] + fields["r"] * fields.get("w_in", 1.0) * bias
            make = getattr(nir, kind)
            self.nodes[name] = make(**{key: np.reshape(part, shape) for key, part in fields.items()
                                       if key in signature(make).parameters}, metadata=keep)
        if population.label in _last(self.network):
            end = self._name(f"output {population.label}")
            self.nodes[end] = nir.Output({"output": np.array(shape)})
            self.edges.append((name, end))

    def _add_projection(self, nir: Any, projection: Projection, bias: Floats, lags: dict[str, int]) -> Floats:
        """Its nodes and edges; the rest of the bias that it could not take."""
        pre, post = (self.network.population(end) for end in (projection.pre, projection.post))
        between = lags[post.label] - lags[pre.label]
        for delay, nodes, shape, taken in _linear(nir, projection, pre, post, self.shapes[pre.label], bias):
            bias = bias - taken
            beside = delay - between
            if beside and not (pre is post and beside == 1):        # a loop's own step
                nodes.append(nir.Delay(np.full(shape, beside * self.step)))
            if shape != self.shapes[post.label]:
                nodes.append(nir.Flatten({"input": np.array(shape)}, 0, -1))
            self._chain(projection.label, self.names[pre.label], nodes, self.names[post.label])
        return bias

    def _chain(self, label: str, first: str, nodes: Iterable[Any], last: str) -> None:
        for node in nodes:
            self.nodes[name := self._name(f"{label} {type(node).__name__}")] = node
            self.edges.append((first, name))
            first = name
        self.edges.append((first, last))


def _last(network: Network) -> list[str]:
    """Populations that no other one hears; if there is none, the last one."""
    found = [one.label for one in network.populations
             if not one.is_source and not any(p.pre == one.label != p.post for p in network.projections)]
    return found or [network.populations[-1].label]


def _shapes(network: Network) -> dict[str, tuple[int, ...]]:
    """Shapes of nodes: maps where convolutions alone lead from maps to maps, a vector elsewhere."""
    maps = {p.label for p in network.populations if p.is_source or network.incoming(p.label)}
    while unfit := {p.post for p in network.projections if p.post in maps and not (
            p.pre in maps and _is_map(p.connections, network.population(p.post)))}:
        maps -= unfit
    return {p.label: p.shape if p.label in maps and p.shape[1:] != (1, 1) else (p.size,) for p in network.populations}


def _is_map(connections: Connections, post: Population) -> bool:
    return isinstance(connections, ConvConnections) and (connections.post_shape == post.shape)


def _is_dense(connections: ConvConnections) -> bool:
    """Whether its kernels are as large as its input: units that see all of it."""
    return connections.post_shape[1:] == connections.pool == (1, 1) and connections.padding == (0, 0) and (
        connections.kernels.shape[1:] == connections.pre_shape)


def _is_structured(connections: Connections, shape: tuple[int, ...]) -> bool:
    """Whether it becomes a Conv2d, or a matrix that has all of its weights."""
    return isinstance(connections, ConvConnections) and (len(shape) == 3 or _is_dense(connections))


def _linear(nir: Any, projection: Projection, pre: Population, post: Population, shape: tuple[int, ...],
            bias: Floats) -> list[tuple[int, list[Any], tuple[int, ...], Floats]]:
    """For each delay of a projection, in steps: the nodes, the shape behind them, and what of the bias they take."""
    found = projection.connections
    before = [nir.Flatten({"input": np.array(shape)}, 0, -1)] * (len(shape) > 1)
    if isinstance(found, ConvConnections) and not _is_dense(found) and len(shape) == 3:
        own_bias = bias.reshape(len(found.kernels), -1)
        own_bias = own_bias[:, 0] if not np.ptp(own_bias, axis=1).any() else np.zeros(len(found.kernels))
        pool = [nir.AvgPool2d(*(np.array(pair) for pair in (found.pool, found.pool, (0, 0))))] * (found.pool != (1, 1))
        conv = nir.Conv2d(found.pooled_shape[1:], found.kernels, found.strides, found.padding, (1, 1), 1, own_bias)
        return [(found.delay, [*pool, conv], found.post_shape, np.repeat(own_bias, bias.size // len(own_bias)))]
    if isinstance(found, ConvConnections) and _is_dense(found):
        weight = found.kernels.reshape(post.size, pre.size)
        return [(found.delay, [*before, _affine(nir, weight, bias)], (post.size,), bias)]
    synapses = found.to_list()
    signs = 1.0 if synapses.signed or projection.receptor == "excitatory" else -1.0
    delays: Ints = np.unique(synapses.delay)
    parts: list[tuple[int, list[Any], tuple[int, ...], Floats]] = []
    for delay in delays.tolist():
        weight = _matrix(synapses, signs, synapses.delay == delay, pre.size, post.size)
        parts.append((delay, [*before, _affine(nir, weight, bias)], (post.size,), bias))
        bias = np.zeros(post.size)
    return parts


def _matrix(synapses: ConnectionList, sign: float, chosen: Any, n_pre: int, n_post: int) -> Floats:
    weight = np.zeros((n_post, n_pre))
    np.add.at(weight, (synapses.post[chosen], synapses.pre[chosen]), sign * synapses.weight[chosen])
    return weight


def _affine(nir: Any, weight: Floats, bias: Floats) -> Any:
    return nir.Affine(weight, bias) if bias.any() else nir.Linear(weight)


def _lags(network: Network) -> dict[str, int]:
    """Steps from a source to each population on the fastest way; 0 where none leads."""
    far = 1 << 40
    lags = {p.label: 0 if p.is_source else far for p in network.populations}
    edges = [(p.pre, p.post, int(one)) for p in network.projections for one in np.unique(p.connections.to_list().delay)]
    for label in [None, *lags]:
        if label is not None and lags[label] == far:
            lags[label] = 0
        while moved := [(post, lags[pre] + d) for pre, post, d in edges if lags[pre] + d < min(lags[post], far)]:
            for post, lag in moved:
                lags[post] = min(lags[post], lag)
    return lags
