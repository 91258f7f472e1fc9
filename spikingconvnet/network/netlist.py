"""The netlist between model and simulators: populations and projections as plain data, every number already drawn.

All randomness happens before a network exists; that is what makes runs on different simulators comparable bit for bit.
Whatever is made of wrong parts is a NetworkError, when it is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar, get_args

import numpy as np

from spikingconvnet.errors import NetworkError, require
from spikingconvnet.gates.fields import (
    FLAG,
    MOST_STEPS,
    REFUSED,
    SHAPE,
    TEXT,
    Kind,
    above,
    below,
    check_fields,
    least,
    numbers,
    optional,
    real,
    record,
    whole,
)
from spikingconvnet.network.arrays import Floats, Ints, Shape
from spikingconvnet.network.board_connectors import BoardConvolution, BoardPoolDense
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections, DenseConnections, LateralInhibition
from spikingconvnet.network.neurons import (
    Cell,
    IFCurrExp,
    SpikeSourceArray,
    SpikeSourcePoisson,
    check_together,
    keeps_state,
    parameter_kinds,
)
from spikingconvnet.network.plasticity import MODULATED, Neuromodulation, STDPMechanism
from spikingconvnet.network.spikes import Spikes

RECEPTORS = ("excitatory", "inhibitory")
MODULATORS = ("reward", "punishment")
MOST_PER_CORE = 256         # neurons of a core: a row of synapses has 8 bits for them, sPyNNaker 7.4.1 synapse_io.py

Connections: TypeAlias = (ConnectionList | DenseConnections | LateralInhibition | ConvConnections | BoardConvolution
                          | BoardPoolDense)
Plasticity: TypeAlias = STDPMechanism | Neuromodulation

_CELL = record(*get_args(Cell), wanted=", ".join(cell.__name__ for cell in get_args(Cell)[:-1])
               + f" or {get_args(Cell)[-1].__name__}")
_CONNECTIONS = record(*get_args(Connections))
_VALUES = record(dict, wanted="a dict of parameters by name")
_TIMESTEP = real(above(0), below(1e3), wanted="a number of ms above 0")


def _parts(kind: type) -> Kind:
    """Several records, as a tuple."""
    def plain(value: Any) -> object:
        return tuple(value) if type(value) in (tuple, list) and all(isinstance(v, kind) for v in value) else REFUSED

    return Kind(plain, f"a tuple of {kind.__name__}")


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one kind.

    Attributes
    ----------
    label : str
    shape : (C, H, W)
    cell : one of ``neurons.Cell``
    values : dict of str to float array (size,)
        Parameters of `cell` that differ from neuron to neuron.
    per_channel : bool
        Whether every channel is a population of its own on the board, with its own weight scale.
    max_expected_summed_weight : float or None
        nA; replaces sPyNNaker's own estimate of the largest input of one step, from which it chooses the weight scale.
    neurons_per_core : int or None
        Most neurons of a board's core, 1 to `MOST_PER_CORE` (a source: 1 or more); None is sPyNNaker's own number,
        256 neurons or a whole source. Fewer leave each neuron more of a core's 64 KiB and the ring buffer more steps;
        PyNN on sPyNNaker calls it ``Population.set_max_atoms_per_core``. That of a SpikeSourcePoisson is its cell's.
    """

    label: str
    shape: Shape
    cell: Cell
    values: dict[str, Floats] = field(default_factory=dict)
    per_channel: bool = False
    max_expected_summed_weight: float | None = None
    neurons_per_core: int | None = None

    def __post_init__(self) -> None:
        check_fields(self, NetworkError, "Population", label=TEXT)
        check_fields(self, NetworkError, self._name, shape=SHAPE, cell=_CELL, per_channel=FLAG, values=_VALUES,
                     max_expected_summed_weight=optional(real(least(0))))
        if isinstance(self.cell, SpikeSourceArray):
            require(self.cell.spikes.shape == tuple(self.shape), self._name, "cell.spikes.shape",
                    self.cell.spikes.shape, f"{self.shape}", NetworkError)
        self._check_values()
        if isinstance(self.cell, SpikeSourcePoisson):
            cores = -(-self.size // self.cell.neurons_per_core)
            require(len(self.cell.core_seeds) == cores, self._name, "cell.core_seeds", len(self.cell.core_seeds),
                    f"one for each of its {cores} cores of {self.cell.neurons_per_core} sources", NetworkError)
        if self.neurons_per_core is not None:
            self._check_neurons_per_core()

    def _check_values(self) -> None:
        kinds = parameter_kinds(self.cell)
        for name, value in self.values.items():
            require(name in kinds, self._name, "values", name, "a parameter of its cell", NetworkError)
            found = numbers(value, self._name, name)
            require(found.shape == (self.size,), self._name, name, found.shape, f"of shape {(self.size,)}",
                    NetworkError)
            for end in (found.min(), found.max()):      # nan is both
                kinds[name](end, self._name, name, NetworkError)
        if self.values and not self.is_source:
            check_together(self._name, {name: self.parameter(name) for name in kinds}, NetworkError)

    def _check_neurons_per_core(self) -> None:
        require(not isinstance(self.cell, SpikeSourcePoisson), self._name, "neurons_per_core", self.neurons_per_core,
                "None; that of a SpikeSourcePoisson belongs to its cell, whose seeds depend on it", NetworkError)
        most = MOST_STEPS if self.is_source else MOST_PER_CORE
        check_fields(self, NetworkError, self._name,
                     neurons_per_core=whole(1, most, wanted=f"a whole number, at least 1 and at most {most:,}"))

    @property
    def _name(self) -> str:
        return f"Population {self.label!r}"

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    @property
    def is_source(self) -> bool:
        """Whether it only fires, given spikes or at random."""
        return isinstance(self.cell, (SpikeSourceArray, SpikeSourcePoisson))

    @property
    def given_spikes(self) -> Spikes:
        """Those of a SpikeSourceArray; a NetworkError for any other population."""
        if not isinstance(self.cell, SpikeSourceArray):
            raise NetworkError(f"{self._name}.cell: must be a SpikeSourceArray, got {type(self.cell).__name__}")
        return self.cell.spikes

    @property
    def has_given_spikes(self) -> bool:
        """Whether it fires spikes that were known before the run."""
        return isinstance(self.cell, SpikeSourceArray)

    def parameter(self, name: str) -> Floats:
        """A parameter of every neuron: float array (size,)."""
        return np.asarray(self.values.get(name, np.full(self.size, getattr(self.cell, name))), np.float64)

    @property
    def channel_of(self) -> Ints:
        """Board population that each neuron belongs to: its channel, or 0 if the population is one piece."""
        return np.repeat(np.arange(self.shape[0]), self.shape[1] * self.shape[2]) * self.per_channel


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population to another.

    Attributes
    ----------
    label : str
    pre, post : str
        Labels of populations.
    connections : an object of ``connectivity``
    receptor : 'excitatory', 'inhibitory', 'reward' or 'punishment'
        Not used by signed connections. The weights of a reward or punishment are amounts of dopamine, not nA.
    plasticity : STDPMechanism, Neuromodulation or None
        Neuromodulation is that of a reward or punishment; what it modulates are the STDP projections beside it.
    """

    label: str
    pre: str
    post: str
    connections: Connections
    receptor: str = "excitatory"
    plasticity: Plasticity | None = None

    def __post_init__(self) -> None:
        check_fields(self, NetworkError, "Projection", label=TEXT)
        owner = f"Projection {self.label!r}"
        check_fields(self, NetworkError, owner, pre=TEXT, post=TEXT, connections=_CONNECTIONS, receptor=TEXT)
        require(self.receptor in RECEPTORS + MODULATORS, owner, "receptor", self.receptor,
                " or ".join(RECEPTORS + MODULATORS), NetworkError)
        require(isinstance(self.plasticity, (STDPMechanism, Neuromodulation, type(None))), owner, "plasticity",
                self.plasticity, "STDPMechanism, Neuromodulation or None", NetworkError)
        require(self.modulates == (self.receptor in MODULATORS), owner, "receptor", self.receptor,
                f"{' or '.join(MODULATORS if self.modulates else RECEPTORS)} {'with' if self.modulates else 'without'}"
                " Neuromodulation", NetworkError)
        require(not (self.plasticity and self.connections.signed), owner, "plasticity",
                self.plasticity, "None on signed connections; SpiNNaker's convolutions do not learn", NetworkError)
        require(not self.modulates or self.connections.max_delay <= 1, owner, "delay", self.connections.max_delay,
                "1 step; a reward or punishment acts in the step of its spike", NetworkError)

    @property
    def rule(self) -> STDPMechanism | None:
        """What its weights change by, or None."""
        return self.plasticity if isinstance(self.plasticity, STDPMechanism) else None

    @property
    def learns(self) -> bool:
        """Whether its weights change by STDP."""
        return self.rule is not None

    @property
    def modulates(self) -> bool:
        """Whether it is a reward or a punishment."""
        return isinstance(self.plasticity, Neuromodulation)


@dataclass(frozen=True, eq=False)
class Network:
    """Populations and projections that fit together; otherwise a NetworkError says which does not.

    Attributes
    ----------
    populations : tuple of Population
    projections : tuple of Projection
    timestep : float
        ms, above 0. The local backend, boards and checks take those of ``lowering.TIMESTEPS``.
    reset_every : int
        Steps after which all state returns to the start, again and again: membranes, currents, refractory times, and
        spikes and weights on their way are gone. Sources go on. 0: never. What learns or is random is not reset.
    """

    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    timestep: float = 1.0
    reset_every: int = 0

    def __post_init__(self) -> None:
        check_fields(self, NetworkError, populations=_parts(Population), projections=_parts(Projection),
                     timestep=_TIMESTEP, reset_every=whole(0, wanted="a whole number of steps, 0 for never"))
        for kind, parts in (("populations", self.populations), ("projections", self.projections)):
            labels = [part.label for part in parts]
            require(len(set(labels)) == len(labels), "Network", kind, labels, "of different labels", NetworkError)
        for projection in self.projections:
            self._check(projection)
        for population in self.populations:
            self._check_rules(population)
            self._check_board_connectors(population)
        self._check_reset()
        lengths = {(p.cell.spikes.n_steps, p.cell.spikes.n_samples) for p in self.populations
                   if isinstance(p.cell, SpikeSourceArray)}
        require(len(lengths) <= 1, "Network", "sources", sorted(lengths),
                "spikes of equally many samples and steps", NetworkError)

    def _check_reset(self) -> None:
        changing = ([p.label for p in self.projections if p.plasticity]
                    + [p.label for p in self.populations
                       if isinstance(p.cell, SpikeSourcePoisson) or keeps_state(p.cell)])
        require(not (self.reset_every and changing), "Network", "reset_every", self.reset_every,
                f"0 while something learns, adapts or fires at random ({', '.join(changing)})", NetworkError)

    def _check_rules(self, population: Population) -> None:
        """A core holds one rule, and one kind of dopamine for rules that know dopamine."""
        owner, incoming = f"Population {population.label!r}", self.incoming(population.label)
        rules = {p.rule for p in incoming if p.rule}
        modulations = {p.plasticity for p in incoming if p.modulates}
        require(len(rules) <= 1, owner, "plasticity", len(rules), "one rule; a SpiNNaker core holds one", NetworkError)
        require(len(modulations) <= 1, owner, "plasticity", len(modulations),
                "one Neuromodulation; a SpiNNaker core holds one", NetworkError)
        require(not modulations or (rules and next(iter(rules)).kind in MODULATED), owner, "plasticity",
                sorted(part.__name__ for rule in rules for part in rule.kind), "a projection that learns by "
                + " or ".join(" and ".join(part.__name__ for part in kind) for kind in MODULATED)
                + " beside a Neuromodulation", NetworkError)

    def _check_board_connectors(self, population: Population) -> None:
        """A binary for local-only synapses knows one kind of connector and IF_curr_exp."""
        kinds = {type(p.connections) for p in self.incoming(population.label)}
        for kind in kinds & {BoardConvolution, BoardPoolDense}:
            owner = f"Population {population.label!r}"
            require(kinds == {kind}, owner, "projections", sorted(k.__name__ for k in kinds),
                    f"all {kind.__name__}; sPyNNaker's binary takes no other beside it", NetworkError)
            require(isinstance(population.cell, IFCurrExp), owner, "cell", type(population.cell).__name__,
                    f"IFCurrExp behind a {kind.__name__}; sPyNNaker has no other binary", NetworkError)
            require(not population.per_channel or population.shape[0] == 1, owner, "per_channel", True,
                    f"False behind a {kind.__name__}, or the shape of one channel", NetworkError)

    def _check(self, projection: Projection) -> None:
        """Both ends of a projection are there and of its size, and the second is of neurons."""
        owner, labels = f"Projection {projection.label!r}", [p.label for p in self.populations]
        for end in ("pre", "post"):
            require(getattr(projection, end) in labels, owner, end, getattr(projection, end), f"one of {labels}",
                    NetworkError)
        pre, post = self.population(projection.pre), self.population(projection.post)
        require(not post.is_source, owner, "post", post.label, "a population of neurons, not a source", NetworkError)
        projection.connections.check_sizes(pre.size, post.size)

    def population(self, label: str) -> Population:
        """The population of that label; an unknown one is a NetworkError that lists the known ones."""
        return _labelled("populations", self.populations, label)

    def projection(self, label: str) -> Projection:
        """The projection of that label; an unknown one is a NetworkError that lists the known ones."""
        return _labelled("projections", self.projections, label)

    @property
    def source_steps(self) -> int:
        """Steps on the timeline of the given spikes; 0 without any."""
        return max((len(p.given_spikes.offsets) - 1 for p in self.populations if p.has_given_spikes), default=0)

    @property
    def slot(self) -> int | None:
        """Steps of a sample of the given spikes; None without any."""
        return next((p.given_spikes.n_steps for p in self.populations if p.has_given_spikes), None)

    def incoming(self, label: str) -> list[Projection]:
        """Projections that end at the population of that label."""
        return [p for p in self.projections if p.post == label]

    def modulation(self, label: str) -> Neuromodulation | None:
        """Neuromodulation of the population of that label, or None."""
        found = (p.plasticity for p in self.incoming(label))
        return next((one for one in found if isinstance(one, Neuromodulation)), None)

    def to_nir(self, graph_dt: float | None = None, method: str = "euler") -> Any:
        """The graph of NIR that this is: nir.NIRGraph; parameters and errors as of ``exchange.to_nir``."""
        from spikingconvnet import find

        return find("to_nir")(self, graph_dt, method)


_Part = TypeVar("_Part", Population, Projection)


def _labelled(kind: str, parts: tuple[_Part, ...], label: str) -> _Part:
    found = {part.label: part for part in parts}
    require(label in found, "Network", kind, label, f"one of {list(found)}", NetworkError)
    return found[label]


def together(networks: Sequence[Network]) -> Network:
    """Networks side by side as one; the labels of the first get ``#0`` at their end, and so on."""
    populations = tuple(replace(p, label=f"{p.label}#{i}") for i, network in enumerate(networks)
                        for p in network.populations)
    projections = tuple(replace(p, label=f"{p.label}#{i}", pre=f"{p.pre}#{i}", post=f"{p.post}#{i}")
                        for i, network in enumerate(networks) for p in network.projections)
    return Network(populations, projections, networks[0].timestep, networks[0].reset_every)
