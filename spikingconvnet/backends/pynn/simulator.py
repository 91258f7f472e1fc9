"""A network through PyNN: populations, projections, one long run, what was recorded.

The simulators differ in tables, not in code: a `Dialect` says what one of them wants. Spikes of a source are given
whole before the run starts, because setting them again between two runs is slow on some simulators and wrong on others.
"""

import math
from collections.abc import Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from spikingconvnet.backends.base import ACCUM, Recording, Weights
from spikingconvnet.backends.pynn import continuous
from spikingconvnet.backends.pynn.dialect import RECEPTORS, Dialect
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.network.arrays import ArrayLike, Floats, Ints, Ints32
from spikingconvnet.network.connectivity import ConnectionList, DenseConnections
from spikingconvnet.network.netlist import Connections, Network, Population, Projection
from spikingconvnet.network.neurons import SpikeSourcePoisson, parameter_names
from spikingconvnet.network.plasticity import STDPMechanism
from spikingconvnet.network.spikes import Spikes, neuron_dtype

if TYPE_CHECKING:
    from spikingconvnet.backends.spinnaker.provenance import Provenance

SPARE = 3           # steps of a gap more than the longest delay and refractory time
FADED = 20          # time constants in which a current fades to 2e-9 of itself
FAR_BELOW = -1e9    # mV, where no neuron fires
NEVER = 1 << 20     # steps after the end at which a source without any spike fires, where lists may not all be empty
Piece: TypeAlias = tuple[int, int, Any]     # first pre, first post, PyNN projection


def gap(network: Network, sets_currents: bool) -> int:
    """Steps after which nothing is on its way and no neuron is refractory if nobody fires: int.

    Nor is a current left, if they cannot be set.
    """
    longest = max([1] + [p.connections.max_delay for p in network.projections])
    refractory = max([0.0, *(population.parameter("tau_refrac").max() for population in network.populations
                             if not population.is_source)])
    currents = 0.0 if sets_currents else FADED * max(
        continuous.time_constants(population, network.timestep).max() for population in network.populations
        if not population.is_source)
    return longest + math.ceil((refractory + currents) / network.timestep) + SPARE


class Simulation:
    """A network in a PyNN simulator: ``run`` steps, ``set`` thresholds between them, take a ``recording``.

    Parameters
    ----------
    network : Network
    sim : module
        From :func:`load`.
    dialect : Dialect
    record : dict of str to int64 array
        Neurons whose membranes are recorded, see ``base.recorded_neurons``.
    limits : dict of str to (channels, 2) float array
        For populations whose weight scale is to be fixed: largest expected input by channel and receptor, nA.

    Raises
    ------
    NetworkError
        What the simulator does not have, or would compute otherwise.
    """

    def __init__(self, network: Network, sim: Any, dialect: Dialect, record: dict[str, Ints],
                 limits: dict[str, Floats] | None = None) -> None:
        self.network, self.sim, self.dialect, self.record = network, sim, dialect, record
        self.t = self._taken = self._origin = 0      # the last: of the simulator's time
        self._gap = 0 if dialect.resets or not network.reset_every else gap(network, dialect.sets_currents)
        sim.setup(timestep=network.timestep, min_delay=network.timestep, **dialect.setup)
        self._parts = {p.label: self._population(p, (limits or {}).get(p.label)) for p in network.populations}
        # Rewards and punishments come last: sPyNNaker wants to know the rule beside them.
        self._projections = {p.label: self._modulate(p) if p.modulates else self._project(p)
                             for p in sorted(network.projections, key=lambda p: p.modulates)}

    def __enter__(self) -> "Simulation":
        return self

    def __exit__(self, *_: object) -> None:
        self.sim.end()

    @property
    def source_steps(self) -> int:
        """Steps on the timeline of the given spikes; 0 without any."""
        return self.network.source_steps

    @property
    def provenance(self) -> "Provenance | None":
        """What a machine has said about all runs; None, there is none."""
        return None

    def run(self, n_steps: int) -> None:
        """Simulate `n_steps` more steps. NetworkError if there are none."""
        require(n_steps >= 1, "Simulation", "n_steps", n_steps, "at least 1", NetworkError)
        every, end = self.network.reset_every, self.t + n_steps
        while self.t < end:
            if every and self.t and self.t % every == 0:
                self._start_anew()
            steps = min(end, self.t + every - self.t % every) - self.t if every else n_steps
            self._advance(steps)
            self.t += steps
            self._after_piece()

    def _after_piece(self) -> None:
        """A run up to a reset, or to its end, is done."""

    def _advance(self, n_steps: int) -> None:
        self.sim.run(self._duration(n_steps))

    def _duration(self, n_steps: int) -> float:
        """Time in ms that the simulator takes for so many steps."""
        return n_steps * self.network.timestep

    def _start_anew(self) -> None:
        """Let what is on its way arrive while nobody can fire, then set the state of the start."""
        for population in self.network.populations:
            if not population.is_source:
                for _, part in self._parts[population.label]:
                    self._set_state(part, FAR_BELOW)
        self.sim.run(self._duration(self._gap))
        for population in self.network.populations:
            if not population.is_source:
                v = population.parameter("v")
                for first, part in self._parts[population.label]:
                    self._set_state(part, v[first:first + part.size].tolist())

    def _set_state(self, part: Any, v: float | list[float]) -> None:
        """Set membranes, and synaptic currents to 0."""
        part.initialize(v=v, isyn_exc=0.0, isyn_inh=0.0)

    def _sim_step(self, step: Any) -> Any:
        """Steps of the simulator at which steps of the network take place: int array."""
        return step + (step // self.network.reset_every * self._gap if self._gap else 0)

    def set(self, label: str, v_thresh: ArrayLike) -> None:
        """Set the thresholds of a population: float array (size,) in mV. NetworkError for another shape."""
        values = np.asarray(v_thresh, np.float64)
        population = self.network.population(label)
        require(values.shape == (population.size,), f"Population {label!r}", "v_thresh", values.shape,
                f"of shape {(population.size,)}", NetworkError)
        for first, part in self._parts[label]:
            part.set(v_thresh=values[first:first + part.size].tolist())

    def weights(self, label: str) -> Weights:
        """Weights of a projection as the simulator reports them: Weights; `raw` is None outside of SpiNNaker."""
        pre, post, weight = [], [], []
        factor = self._factor(self.network.projection(label).post)
        for first_pre, first_post, projection in self._projections[label]:
            rows = np.array([tuple(row) for row in self._listed(projection)], np.float64)
            if len(rows):
                pre.append(rows[:, 0].astype(int) + first_pre)
                post.append(rows[:, 1].astype(int) + first_post)
                weight.append(abs(rows[:, 2]) / factor[(rows[:, 2] < 0).astype(int), post[-1]])
        pre, post, weight = (np.concatenate(part or [np.zeros(0)]) for part in (pre, post, weight))
        order = np.lexsort((post, pre))
        return Weights(None, weight[order])

    def _listed(self, projection: Any) -> Any:
        """Rows (pre, post, weight) of all synapses of a PyNN projection."""
        return projection.get(["weight"], format="list")

    def recording(self) -> Recording:
        """What was recorded since the last call: Recording; its samples are those of the network's given spikes."""
        first, last, self._taken = self._taken, self.t, self.t
        spikes, membranes = {}, {}
        for population in self.network.populations:
            if not population.is_source:
                data = [(begin, self._data(part)) for begin, part in self._parts[population.label]]
                spikes[population.label] = self._spikes(population, data, first, last)
                if population.label in self.record:
                    membranes[population.label] = self._membranes(population, data, first, last)
        return Recording(spikes, membranes)

    def _population(self, population: Population, limits: Floats | None) -> list[tuple[int, Any]]:
        """``(first neuron, PyNN population)`` of every part of a population."""
        if isinstance(population.cell, SpikeSourcePoisson):
            raise NetworkError(f"Population {population.label!r}: random sources are only drawn by the local backend,"
                               f" not by {self.dialect.name}; give their spikes as a SpikeSourceArray")
        size = population.size // (population.shape[0] if self._splits(population) else 1)
        make = self._source if population.has_given_spikes else self._neurons
        return [(first, make(population, first, size, index, limits))
                for index, first in enumerate(range(0, population.size, size))]

    def _splits(self, population: Population) -> bool:
        """Whether every channel becomes a population of its own."""
        return population.per_channel and self.dialect.splits_channels

    def _make(self, population: Population, size: int, index: int, cell: Any, **more: Any) -> Any:
        return self.sim.Population(size, cell, label=f"{population.label} {index}", **more)

    def _source(self, population: Population, first: int, size: int, index: int, limits: Floats | None) -> Any:
        spikes, dt = population.given_spikes, self.network.timestep
        times = [part.tolist() for part in self._source_times(spikes, first, size)]
        times += [[]] * (self.dialect.least_sources - size)
        if not any(times):
            times[0] = [(len(spikes.offsets) + NEVER) * dt]
        return self._make(population, len(times), index, self.sim.SpikeSourceArray(spike_times=times))

    def _source_times(self, spikes: Spikes, first: int, size: int) -> list[Floats]:
        """Times (ms) of the spikes of `size` sources: an array for each."""
        own = (spikes.neurons >= first) & (spikes.neurons < first + size)
        step, neurons = self._sim_step(spikes.steps()[own]) + self.dialect.first_step, spikes.neurons[own] - first
        order = np.argsort(neurons, kind="stable")
        ends = np.searchsorted(neurons[order], np.arange(1, size))
        return np.split(self._ms(step[order]), ends)

    def _ms(self, steps: Ints) -> Floats:
        """Steps in ms without the last bits of a product: NEST takes 3 * 0.1 for a time in the fourth step."""
        return np.round(steps * self.network.timestep, 6)

    def _neurons(self, population: Population, first: int, size: int, index: int, limits: Floats | None) -> Any:
        """A PyNN population of neurons, with its parameters, start and recorded neurons."""
        cell, values = self._cell(population)
        own = {name: part[first:first + size] for name, part in values.items()}
        given = {name: part[0].item() if (part == part[0]).all() else part.tolist() for name, part in own.items()}
        begin = {name: given.pop(name) for name in population.cell.state}
        cell = cell(**given)
        expected = population.max_expected_summed_weight
        limit = limits[index].tolist() if limits is not None else None if expected is None else [expected, expected]
        scaled = limit and not self.dialect.flowing         # only a board has a scale
        more = {"additional_parameters": {"max_expected_summed_weight": limit}} if scaled else {}
        part = self._make(population, size, index, cell, **more)
        part.initialize(**begin)
        chosen = self.record.get(population.label, np.zeros(0, int))
        chosen = np.sort(chosen[(chosen >= first) & (chosen < first + size)]) - first
        self._record(part, chosen)
        return part

    def _cell(self, population: Population) -> tuple[Any, dict[str, Floats]]:
        """The simulator's cell and its parameters: class, dict of str to float array (size,)."""
        values = {name: population.parameter(name) for name in parameter_names(population.cell)}
        if not self.dialect.flowing:
            return attrgetter(population.cell.pynn)(self.sim), values
        require(type(population.cell) in continuous.CELLS, f"Population {population.label!r}", "cell",
                type(population.cell).__name__, f"{' or '.join(cell.__name__ for cell in continuous.CELLS)} for"
                f" {self.dialect.name}; the local backend and boards take others", NetworkError)
        dt = self.network.timestep
        steps = np.ceil(np.rint(values["tau_refrac"] * ACCUM) / ACCUM / dt)
        values["tau_refrac"] = (steps + self.dialect.refractory * (steps > 0)) * dt
        values["tau_m"], values["cm"] = continuous.membrane(population, dt)
        values["tau_syn_E"], values["tau_syn_I"] = continuous.time_constants(population, dt)
        return self.sim.IF_curr_exp, values

    def _factor(self, label: str) -> Floats:
        """What the weights onto a population are multiplied with, by receptor: float array (2, size)."""
        population = self.network.population(label)
        if not self.dialect.flowing:
            return np.ones((2, population.size))
        return continuous.currents(population, self.network.timestep)[0]

    def _project(self, projection: Projection) -> list[Piece]:
        """``(first pre, first post, PyNN projection)`` of every piece of a projection."""
        listed = projection.connections.to_list()
        inhibits = listed.weight < 0 if listed.signed else np.full(len(listed.pre),
                                                                   projection.receptor == "inhibitory")
        made = []
        for first_pre, pre in self._parts[projection.pre]:
            for first_post, post in self._parts[projection.post]:
                inside = ((listed.pre >= first_pre) & (listed.pre < first_pre + pre.size)
                          & (listed.post >= first_post) & (listed.post < first_post + post.size))
                for receptor, name in enumerate(RECEPTORS):
                    chosen = np.flatnonzero(inside & (inhibits == bool(receptor)))
                    for piece in self._pieces(projection, listed.pre, chosen):
                        made.append((first_pre, first_post, self._connect(
                            projection, listed, piece, (first_pre, pre), (first_post, post), name)))
        return made

    def _modulate(self, projection: Projection) -> list[Piece]:
        """As :meth:`_project`, for a reward or punishment."""
        connections = projection.connections
        self._class(projection.plasticity)
        require(connections.rounding == "machine", f"Projection {projection.label!r}", "connections.rounding",
                connections.rounding, f"'machine' behind a {projection.receptor} on {self.dialect.name}: sPyNNaker"
                " 7.4.1 does not write lists of them (8 bits overflow)", NetworkError)
        amount = connections.to_list().weight[0].item()
        return [(first_pre, first_post, self.sim.Projection(
            pre, post, self._everyone(connections), self._rule(projection.plasticity, {"weight": amount}),
            receptor_type=projection.receptor))
            for first_pre, pre in self._parts[projection.pre] for first_post, post in self._parts[projection.post]]

    def _is_generated(self, projection: Projection) -> bool:
        """Whether the machine makes the connections itself, in rows as long as it needs."""
        return getattr(projection.connections, "rounding", "host") == "machine" and not self.dialect.flowing

    def _everyone(self, connections: Connections) -> Any:
        """The connector of connections that a board generates itself."""
        return self.sim.AllToAllConnector(allow_self_connections=isinstance(connections, DenseConnections))

    def _pieces(self, projection: Projection, pre: Ints, chosen: Ints) -> list[Ints]:
        """Indices of connections in groups whose rows the simulator can hold."""
        if not len(chosen):
            return []
        if self.dialect.row_limit is None or self._is_generated(projection):
            return [chosen]
        chosen = chosen[np.argsort(pre[chosen], kind="stable")]
        _rows, first = np.unique(pre[chosen], return_index=True)
        rank = np.arange(len(chosen)) - np.repeat(first, np.diff([*first, len(chosen)]))
        return [chosen[rank // self.dialect.row_limit == k] for k in range(rank.max() // self.dialect.row_limit + 1)]

    def _connect(self, projection: Projection, listed: ConnectionList, chosen: Ints, pre: tuple[int, Any],
                 post: tuple[int, Any], receptor: str) -> Any:
        """A PyNN projection of the `chosen` connections; `pre` and `post` are first neuron and population."""
        sign = -1.0 if receptor == "inhibitory" else 1.0        # the one form that every simulator takes
        dt = self.network.timestep
        (first_pre, pre), (first_post, post) = pre, post
        if self._is_generated(projection):
            connector = self._everyone(projection.connections)
            synapse = self._synapse(projection, receptor, sign * abs(listed.weight[0]), listed.delay[0] * dt)
        else:
            factor = self._factor(projection.post)[int(receptor == "inhibitory"), listed.post[chosen]]
            weight = sign * abs(listed.weight[chosen]) * factor
            ids = listed.pre[chosen] - first_pre, listed.post[chosen] - first_post
            values = {"weight": weight, "delay": self._ms(self._delays(projection, listed.delay[chosen]))}
            connector = self._connector(ids, values)
            synapse = self._synapse(projection, receptor)
        return self.sim.Projection(pre, post, connector, synapse_type=synapse, receptor_type=receptor)

    def _connector(self, ids: tuple[Ints, Ints], values: dict[str, Floats]) -> Any:
        if self.dialect.connect is None:
            return self.sim.FromListConnector(np.column_stack([*ids, *values.values()]), column_names=list(values))
        connector = self.sim.FromListConnector(np.zeros((0, 4)))
        connector.connect = lambda projection: self.dialect.connect(self.sim, projection, *ids, values)
        return connector

    def _delays(self, projection: Projection, steps: Ints) -> Ints:
        """Delays, in steps, after which a spike acts when it does on SpiNNaker, as far as the simulator allows it.

        Plastic synapses between neurons keep their delay, so that learning sees the same distances.
        """
        if self.network.population(projection.pre).is_source or projection.plasticity:
            later = 0
        else:
            later = self.dialect.stamp
        return np.maximum(steps - self.dialect.arrival - later, self.dialect.least_delay)

    def _synapse(self, projection: Projection, receptor: str, weight: float | None = None,
                 delay: float | None = None) -> Any:
        given = {} if weight is None else {"weight": weight, "delay": delay}
        rule, changed = projection.rule, continuous.UNCHANGED
        if rule is None:
            return self.sim.StaticSynapse(**given)
        if self.dialect.flowing:
            self._check_plastic(projection, rule, receptor)
            late = self.dialect.stamp * self.network.timestep * self.network.population(projection.pre).is_source
            factor = self._factor(projection.post)[RECEPTORS.index(receptor), 0].item()
            factor = -factor if receptor == "inhibitory" else factor
            changed = continuous.plasticity(rule, factor, late)
            given = {"weight": changed[1]["w_max"]}     # of the right sign; the lists have the weights
        mechanism = self.sim.STDPMechanism(timing_dependence=self._rule(rule.timing_dependence, changed[0]),
                                           weight_dependence=self._rule(rule.weight_dependence, changed[1]),
                                           **self.dialect.mechanism, **given)
        mechanism.backprop_delay = rule.backprop_delay     # sPyNNaker's own; Brian2 is told by it
        return mechanism

    def _check_plastic(self, projection: Projection, rule: STDPMechanism, receptor: str) -> None:
        owner, local = f"Projection {projection.label!r}", "; the local backend takes both"
        name, factor = self.dialect.name, self._factor(projection.post)[RECEPTORS.index(receptor)]
        for record in (rule.timing_dependence, rule.weight_dependence):
            self._class(record)
        require(rule.backprop_delay or self.dialect.backprop_choice, owner, "backprop_delay", False,
                f"True for {name}, whose delays are dendritic{local}", NetworkError)
        require(rule.weight_dependence.w_min == 0 or self.dialect.has_w_min, owner, "w_min",
                rule.weight_dependence.w_min, f"0 for {name}{local}", NetworkError)
        require(receptor == "excitatory" or self.dialect.plastic_inhibition, owner, "receptor", receptor,
                f"'excitatory' for a plastic projection on {name}{local}", NetworkError)
        require(np.ptp(factor) <= 1e-12 * factor[0], owner, "plasticity", "postsynaptic neurons of several time"
                " constants", f"onto neurons of the same time constants and capacitance for {name}{local}",
                NetworkError)

    def _class(self, record: Any) -> Any:
        """The simulator's class of a plasticity record."""
        name, found = type(record).__name__, self.sim
        for step in record.pynn.split("."):
            found = getattr(found, step, None)
        if found is None or name in self.dialect.lacks:
            raise NetworkError(f"{name}: {self.dialect.name} does not have it; the local backend does: --backend"
                               " local")
        return found

    def _rule(self, record: object, changed: dict[str, float]) -> Any:
        return self._class(record)(**{**vars(record), **changed})

    def _record(self, part: Any, chosen: Ints) -> None:
        """Have the spikes of a part recorded, and the membranes of its `chosen` neurons."""
        part.record("spikes")
        if len(chosen):
            view = part if len(chosen) == part.size else part[chosen.tolist()]
            view.record(list(self.dialect.membranes.values()))

    def _data(self, part: Any) -> Any:
        """What the simulator has recorded of a part, for the two functions below."""
        return part.get_data().segments[0]

    def _events(self, data: Any) -> tuple[Floats, Ints]:
        """Times (ms) and neurons of the spikes: two arrays."""
        trains = data.spiketrains
        neurons = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
        return np.concatenate([np.zeros(0), *(train.magnitude for train in trains)]), neurons

    def _signal(self, data: Any, name: str, first: int, last: int) -> Floats:
        """A variable before the steps ``first .. last - 1``: float array (steps, chosen neurons)."""
        signal = next(s for s in data.analogsignals if s.name == name)
        return np.asarray(signal.magnitude, np.float64)[first:last]

    def _spikes(self, population: Population, data: Sequence[tuple[int, Any]], first: int,
                last: int) -> Spikes:
        events = [(*self._events(recorded), begin) for begin, recorded in data]
        ids = np.concatenate([neurons + begin for _, neurons, begin in events])
        steps = (np.rint(np.concatenate([times for times, *_ in events]) / self.network.timestep).astype(np.int64)
                 - self.dialect.first_step - self.dialect.stamp + self._origin)
        inside = steps >= self._origin
        if self._gap:
            image, steps = np.divmod(steps, self.network.reset_every + self._gap)
            inside &= steps < self.network.reset_every
            steps += image * self.network.reset_every
        inside &= (steps >= first) & (steps < last)
        steps, ids = steps[inside] - first, ids[inside]
        order = np.lexsort((ids, steps))
        offsets = np.searchsorted(steps[order], np.arange(last - first + 1))
        slot = self.network.slot
        n_steps = slot if slot and (last - first) % slot == 0 else last - first
        return Spikes(population.shape, n_steps, offsets, ids[order].astype(neuron_dtype(population.shape)))

    def _membranes(self, population: Population, data: Sequence[tuple[int, Any]], first: int,
                   last: int) -> dict[str, Ints32]:
        """Raw s16.15 of the chosen neurons, in the order asked for."""
        chosen = self.record[population.label]
        order, found = np.sort(chosen), {}
        rows = self._sim_step(np.arange(first, last)) - self._origin
        begun = self._sim_step(first - 1) + 1 - self._origin if first > self._origin else 0
        for name, recorded in self.dialect.membranes.items():
            parts = [self._signal(segment, recorded, begun, rows[-1] + 1 if len(rows) else begun)
                     for (begin, segment), (_, part) in zip(data, self._parts[population.label])
                     if ((chosen >= begin) & (chosen < begin + part.size)).any()]
            values = np.concatenate(parts, axis=1)[rows - begun][:, np.searchsorted(order, chosen)] if len(chosen) \
                else np.zeros((last - first, 0))
            if self.dialect.flowing and name != "v":
                values = abs(values) * continuous.currents(population, self.network.timestep)[1][
                    ("gsyn_exc", "gsyn_inh").index(name), chosen]
            if self._gap:       # the simulator has recorded the end of the gap there
                values[np.arange(first, last) % self.network.reset_every == 0] = (
                    population.parameter("v")[chosen] if name == "v" else 0.0)
            found[name] = np.rint(values * ACCUM).clip(-(1 << 31), (1 << 31) - 1).astype(np.int32)
        return found
