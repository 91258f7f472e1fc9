"""From a graph of NIR to a Network: every node is judged before anything runs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from spikingconvnet.board.lowering import TIMESTEPS, lower
from spikingconvnet.errors import SpikingConvNetError, require
from spikingconvnet.exchange import own
from spikingconvnet.exchange.building import Built, Target, built, connections, judge_weights, shape3
from spikingconvnet.exchange.dynamics import dynamics, readout
from spikingconvnet.exchange.graph import NEURONS, Graph, Node, read
from spikingconvnet.exchange.timing import Edge, Timing, timing
from spikingconvnet.exchange.verdicts import METHODS, Ledger, Refused, Report
from spikingconvnet.exchange.wiring import Signal, Wiring, is_identity
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes


@dataclass(frozen=True)
class Reads:
    """Where an Output is found: a population, its 'spikes' or its membrane 'v', and steps that it is behind the graph.

    A recorded ``v`` is that before a step, so a membrane after step ``t`` of the graph stands at ``t + lag + 1``.
    """

    population: str
    what: str
    lag: int


@dataclass(frozen=True, eq=False)
class Imported:
    """A graph of NIR as a network, with the verdict on each node.

    Attributes
    ----------
    report : verdicts.Report
    outputs : dict of str to Reads
        By Output.
    lags : dict of str to int
        Steps that each population is behind the graph evaluated all at once.
    scales : dict of str to float
        mV that a potential of 1 of the graph is, by population of neurons.
    """

    report: Report
    outputs: dict[str, Reads] = field(default_factory=dict)
    lags: dict[str, int] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    _network: Network | None = None

    @property
    def network(self) -> Network:
        """The network, its sources silent; a NetworkError names every node that is refused, if there is one."""
        self.report.require_all()
        assert self._network is not None
        return self._network

    def shown(self, spikes: Spikes | Mapping[str, Spikes]) -> Network:
        """The network with spikes for its sources.

        Parameters
        ----------
        spikes : Spikes, or dict of str to Spikes
            By Input, where there are several; of the shape of its population.

        Raises
        ------
        NetworkError
            Spikes of another shape, or nodes that are refused.
        SettingsError
            Spikes for other Inputs than there are.
        """
        network = self.network
        names = [p.label for p in network.populations if p.is_source]
        given = dict(spikes) if isinstance(spikes, Mapping) else dict.fromkeys(names, spikes)
        require(set(given) == set(names), "shown", "spikes", sorted(given), f"for the Inputs {names}")
        return replace(network, populations=tuple(
            replace(p, cell=SpikeSourceArray(given[p.label])) if p.is_source else p for p in network.populations))


def from_nir(graph: object, dt: float = 1.0, graph_dt: float | None = None, method: str = "euler") -> Imported:
    """The network that a graph of NIR is, and what becomes of each of its nodes on a board.

    Parameters
    ----------
    graph : nir.NIRGraph, or the name of a file
    dt : float
        ms of a step of the network, one of ``lowering.TIMESTEPS``.
    graph_dt : float or None
        What a step is in the graph's unit of time; None is `dt` in seconds, in which frameworks write time constants.
        It is the step with which the network was trained: 1e-4 for snnTorch's exporter.
    method : 'euler' or 'exact'
        How the graph's equations become steps, see ``dynamics`` and docs/nir.md.

    Returns
    -------
    Imported

    Raises
    ------
    SettingsError
        Another time step or method.
    DataError
        No graph, or a damaged file.
    """
    check_steps("from_nir", dt, graph_dt, method)
    ledger = Ledger()
    return _Import(read(graph, ledger), ledger, float(dt), step_of(dt, graph_dt), method).made()


def check_steps(owner: str, dt: float, graph_dt: float | None, method: str) -> None:
    """Raise a SettingsError unless a step of `dt` ms, or `graph_dt` of a graph's time, can be one of that method."""
    require(dt in TIMESTEPS, owner, "dt", dt, f"one of {', '.join(f'{one:g}' for one in TIMESTEPS)} ms")
    require(method in METHODS, owner, "method", method, " or ".join(METHODS))
    is_number = isinstance(graph_dt, (int, float)) and not isinstance(graph_dt, bool)
    require(graph_dt is None or (is_number and 1e-12 < graph_dt < 1e12), owner, "graph_dt", graph_dt,
            "a number above 0, a step in the graph's unit of time")


def step_of(dt: float, graph_dt: float | None) -> float:
    """A step in a graph's unit of time: what is given, or `dt` ms in seconds."""
    return dt / 1000.0 if graph_dt is None else float(graph_dt)


class _Import:
    def __init__(self, graph: Graph, ledger: Ledger, dt: float, step: float, method: str) -> None:
        self.graph, self.ledger, self.dt, self.step, self.method = graph, ledger, dt, step, method
        self.wiring = Wiring(graph, step, ledger)
        self.sources = {n.name: n for n in graph.nodes.values() if n.kind == "Input" and not graph.before(n.name)}
        self.reads: dict[str, tuple[str, str]] = {}         # population and what is read, by Output

    def made(self) -> Imported:
        """What is imported; without a network if a node is refused."""
        for name in self.graph.nodes:
            self.wiring.out(name)
        targets = [self._guarded(node) for node in self.graph.nodes.values() if node.name not in self.sources]
        kept = [one for one in targets if one is not None]
        if not self.ledger.refused:
            times = self._timing(kept)
            parts = [self._built(one, times) for one in kept]
            if not self.ledger.refused:
                return self._finished([one for one in parts if one is not None], times)
        return Imported(self.ledger.report(self.graph.kinds()))

    def _guarded(self, node: Node) -> Target | None:
        """What a node becomes; nothing if it is refused."""
        if node.name in self.ledger.refused:
            return None
        try:
            return self._target(node)
        except Refused as error:
            self.ledger.refuse(node.name, error.text, error.change)
            return None

    def _target(self, node: Node) -> Target | None:
        came = self.wiring.into(node.name)
        if came is None:
            return None
        if node.kind == "Output":
            return None if self.graph.after(node.name) else self._output(node, came)
        shape = self.wiring.shape(node.name)
        if node.kind not in NEURONS or shape is None:
            return None
        self._check_input(node, shape, came)
        target = Target(node.name, shape, dynamics(node, shape, self.step, self.method), came)
        written = own.population_of(node.kind, node.fields, target.bias, self.dt, self.step, self.method)
        if node.kind in ("IF", "LIF", "CubaLIF") and "v_reset" not in node.fields:
            self.ledger.note(node.name, "it says no v_reset, as nir 1.0.4, where a spike subtracts the threshold; it is"
                                        " set to 0, as nir 1.0.8 reads it: no board's cell subtracts")
        return replace(target, own=None if written is None else replace(written, label=node.name))

    def _check_input(self, node: Node, shape: tuple[int, ...], came: list[Signal]) -> None:
        if any(one.membrane for one in came):
            raise Refused("takes a membrane, which is no spike", "put a neuron that fires before it")
        if sizes := {one.bias.size for one in came} - {math.prod(shape)}:
            raise Refused(f"{sorted(sizes)} values come to {math.prod(shape)} neurons", "give both the same shape")

    def _output(self, node: Node, came: list[Signal]) -> Target | None:
        """Notes what an Output reads; what is no neuron's spikes or membrane is that of units without memory."""
        signal = self.wiring.out(node.name)
        if signal is None:
            return None
        if signal.membrane:
            self.reads[node.name] = signal.membrane, "v"
            return None
        only = signal.terms[0] if len(signal.terms) == 1 else None
        if only and only.pre not in self.sources and is_identity(only) and not signal.bias.any():
            self.reads[node.name] = only.pre, "spikes"
            return None
        self.reads[node.name] = node.name, "v"
        return Target(node.name, signal.shape, readout(signal.bias.size), [signal])

    def _timing(self, targets: list[Target]) -> Timing:
        edges = list(dict.fromkeys((term.pre, one.name, term.delay) for one in targets for term in one.terms))
        names = [*self.sources, *(one.name for one in targets)]
        given = {name: own.lag_of(self.graph.nodes[name].fields) for name in names}
        told = dict.fromkeys(self.sources, 0) | {name: lag for name, lag in given.items() if lag is not None}
        times = timing(names, edges, told)
        for (pre, post, _), late in times.late.items():
            self.ledger.note(post, f"spikes of {pre!r} come {late} steps late over a loop, whose every connection takes"
                                   " one")
        return times

    def _built(self, target: Target, times: Timing) -> Built | None:
        """The population of a target; nothing if it is refused."""
        try:
            return built(target, self.dt, times.lag[target.name], self.ledger)
        except Refused as error:
            self.ledger.refuse(target.name, error.text, error.change)
        except SpikingConvNetError as error:
            self.ledger.refuse(target.name, str(error), "bring its numbers into the range of s16.15")
        return None

    def _finished(self, parts: list[Built], times: Timing) -> Imported:
        sources = [self._source(node) for node in self.sources.values()]
        populations = {p.label: p for p in (*sources, *(one.population for one in parts))}
        network = Network(tuple(populations.values()), tuple(self._projections(parts, populations, times)), self.dt)
        lowered = lower(network)
        for one in parts:
            judge_weights(one, lowered.populations[one.population.label], self.ledger)
            self.ledger.said[one.population.label] = (
                f"{type(one.population.cell).__name__}, {one.population.size:,} neurons,"
                f" {times.lag[one.population.label]} steps behind the graph, whose 1 is {one.scale:g} mV")
        outputs = {name: Reads(label, what, times.lag[label]) for name, (label, what) in self.reads.items()}
        for name, reads in outputs.items():
            if reads.population != name:
                self.ledger.said[name] = f"{reads.what} of {reads.population!r}, {reads.lag} steps behind the graph"
        return Imported(self.ledger.report(self.graph.kinds()), outputs, dict(times.lag),
                        {one.population.label: one.scale for one in parts}, network)

    def _source(self, node: Node) -> Population:
        shape = shape3(tuple(np.asarray(node.fields["shape"]).astype(int).ravel().tolist()))
        return own.source_of(node.name, node.fields, shape)

    def _projections(self, parts: list[Built], populations: Mapping[str, Population],
                     times: Timing) -> list[Projection]:
        found: dict[str, Projection] = {}
        for one in parts:
            post = one.population
            for term, weights in one.terms:
                edge: Edge = (term.pre, post.label, term.delay)
                pre = populations[term.pre].shape
                made = connections(term, weights, one.factor, times.delay(edge), pre, post.shape)
                label = term.via or f"{term.pre} to {post.label}"
                if label in found:
                    label = f"{label}: {term.pre} to {post.label} {term.delay}"
                found[label] = Projection(label, term.pre, post.label, made)
        return list(found.values())
