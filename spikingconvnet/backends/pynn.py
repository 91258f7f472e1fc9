"""A network through PyNN: populations, projections, one long run, what was recorded.

The simulators differ in tables, not in code: a `Dialect` says what one of them wants. Spikes of a source are given
whole before the run starts, because setting them again between two runs is slow on some simulators and wrong on others.
"""

from dataclasses import dataclass, field
from importlib import import_module

import numpy as np

from spikingconvnet.backends.base import ACCUM, Recording, Weights
from spikingconvnet.connectivity import DenseConnections
from spikingconvnet.errors import BackendError, NetworkError, require
from spikingconvnet.neurons import IFCurrExp, SpikeSourcePoisson, parameter_names
from spikingconvnet.spikes import Spikes, neuron_dtype

RECEPTORS = ("excitatory", "inhibitory")
NEVER = 1 << 20     # steps after the end at which a source without any spike fires, where lists may not all be empty


@dataclass(frozen=True)
class Dialect:
    """What one simulator behind PyNN wants, and what it calls things.

    Attributes
    ----------
    name : str
    module : str
        The PyNN module.
    extra : str
        Of this package's extras, the one that installs it.
    setup : dict
        More arguments of ``setup``.
    membranes : dict of str to str
        Names of 'v', 'gsyn_exc', 'gsyn_inh' when they are recorded; those that it has.
    row_limit : int or None
        Synapses of a presynaptic neuron that one projection may hold.
    splits_channels : bool
        Whether a population that is one board population per channel becomes one population per channel.
    rules : dict of str to str
        Names of timing rules and weight dependences that differ from PyNN's.
    first_step : int
        Steps by which every spike is moved so that none is at time 0, where it would be lost.
    stamp : int
        Steps by which an output spike is stamped later than on SpiNNaker.
    """

    name: str
    module: str
    extra: str
    setup: dict = field(default_factory=dict)
    membranes: dict = field(default_factory=lambda: {"v": "v", "gsyn_exc": "gsyn_exc", "gsyn_inh": "gsyn_inh"})
    row_limit: int = None
    splits_channels: bool = False
    rules: dict = field(default_factory=dict)
    first_step: int = 0
    stamp: int = 0


def load(dialect):
    """The PyNN module of a simulator; a missing package is a BackendError that names the command that installs it."""
    try:
        return import_module(dialect.module)
    except ImportError as error:
        raise BackendError(f"--backend {dialect.name}: {error}; install it with:"
                           f" pip install 'spikingconvnet[{dialect.extra}]'") from error


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
    """

    def __init__(self, network, sim, dialect, record, limits=None):
        self.network, self.sim, self.dialect, self.record = network, sim, dialect, record
        self.t = self._taken = 0
        sim.setup(timestep=network.timestep, min_delay=network.timestep, **dialect.setup)
        self._parts = {p.label: self._population(p, (limits or {}).get(p.label)) for p in network.populations}
        # Rewards and punishments come last: sPyNNaker wants to know the rule beside them.
        self._projections = {p.label: self._modulate(p) if p.modulates else self._project(p)
                             for p in sorted(network.projections, key=lambda p: p.modulates)}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.end()

    @property
    def source_steps(self):
        """Steps on the timeline of the given spikes; 0 without any."""
        return max([len(p.cell.spikes.offsets) - 1 for p in self.network.populations if p.has_given_spikes], default=0)

    def run(self, n_steps):
        """Simulate `n_steps` more steps, at least 1."""
        require(n_steps >= 1, "Simulation", "n_steps", n_steps, "at least 1", NetworkError)
        before = self.dialect.first_step if self.t == 0 else 0
        self.sim.run((n_steps + before) * self.network.timestep)
        self.t += n_steps

    def set(self, label, v_thresh):
        """Set the thresholds of a population: float array (size,) in mV."""
        values = np.asarray(v_thresh, np.float64)
        population = self.network.population(label)
        require(values.shape == (population.size,), f"Population {label!r}", "v_thresh", values.shape,
                f"of shape {(population.size,)}", NetworkError)
        for first, part in self._parts[label]:
            part.set(v_thresh=values[first:first + part.size].tolist())

    def weights(self, label):
        """Weights of a projection as the simulator reports them: Weights; `raw` is None outside of SpiNNaker."""
        pre, post, weight = [], [], []
        for first_pre, first_post, projection in self._projections[label]:
            rows = np.array([tuple(row) for row in projection.get(["weight"], format="list")], np.float64)
            if len(rows):
                pre.append(rows[:, 0].astype(int) + first_pre)
                post.append(rows[:, 1].astype(int) + first_post)
                weight.append(abs(rows[:, 2]))
        pre, post, weight = (np.concatenate(part or [np.zeros(0)]) for part in (pre, post, weight))
        order = np.lexsort((post, pre))
        return Weights(None, weight[order])

    def recording(self):
        """What was recorded since the last call: Recording; its samples are those of the network's given spikes."""
        first, last, self._taken = self._taken, self.t, self.t
        slot = next((p.cell.spikes.n_steps for p in self.network.populations if p.has_given_spikes), None)
        spikes, membranes = {}, {}
        for population in self.network.populations:
            if not population.is_source:
                data = [(begin, part.get_data().segments[0]) for begin, part in self._parts[population.label]]
                spikes[population.label] = self._spikes(population, data, first, last, slot)
                if population.label in self.record:
                    membranes[population.label] = self._membranes(population.label, data, first, last)
        return Recording(spikes, membranes)

    # ------------------------------------------------------------ populations

    def _population(self, population, limits):
        """``(first neuron, PyNN population)`` of every part of a population."""
        if isinstance(population.cell, SpikeSourcePoisson):
            raise NetworkError(f"Population {population.label!r}: random sources are only drawn by the local backend,"
                               f" not by {self.dialect.name}; give their spikes as a SpikeSourceArray")
        size = population.size // (population.shape[0] if self._splits(population) else 1)
        make = self._source if population.has_given_spikes else self._neurons
        return [(first, make(population, first, size, index, limits))
                for index, first in enumerate(range(0, population.size, size))]

    def _splits(self, population):
        """Whether every channel becomes a population of its own."""
        return population.per_channel and self.dialect.splits_channels

    def _make(self, population, size, index, cell, **more):
        return self.sim.Population(size, cell, label=f"{population.label} {index}", **more)

    def _source(self, population, first, size, index, limits):
        spikes, dt = population.cell.spikes, self.network.timestep
        step = np.repeat(np.arange(len(spikes.offsets) - 1), np.diff(spikes.offsets)) + self.dialect.first_step
        own = (spikes.neurons >= first) & (spikes.neurons < first + size)
        step, neurons = step[own], spikes.neurons[own] - first
        order = np.argsort(neurons, kind="stable")
        ends = np.searchsorted(neurons[order], np.arange(1, size))
        times = [part.tolist() for part in np.split(step[order] * dt, ends)]
        if not len(step):
            times[0] = [(len(spikes.offsets) + NEVER) * dt]
        return self._make(population, size, index, self.sim.SpikeSourceArray(spike_times=times))

    def _neurons(self, population, first, size, index, limits):
        values = {name: population.parameter(name)[first:first + size] for name in parameter_names(population.cell)}
        values = {name: part[0].item() if (part == part[0]).all() else part.tolist() for name, part in values.items()}
        v = values.pop("v")
        cell = (self.sim.IF_curr_exp if isinstance(population.cell, IFCurrExp) else self.sim.IF_curr_delta)(**values)
        limit = population.max_expected_summed_weight
        limit = limits[index].tolist() if limits is not None else [limit, limit] if limit is not None else None
        more = {"additional_parameters": {"max_expected_summed_weight": limit}} if limit else {}
        part = self._make(population, size, index, cell, **more)
        part.initialize(v=v)
        part.record("spikes")
        chosen = self.record.get(population.label, np.zeros(0, int))
        chosen = chosen[(chosen >= first) & (chosen < first + size)] - first
        if len(chosen):
            view = part if len(chosen) == size else part[sorted(chosen.tolist())]
            view.record(list(self.dialect.membranes.values()))
        return part

    # ------------------------------------------------------------ projections

    def _project(self, projection):
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
                    for piece in self._pieces(listed.pre, chosen):
                        made.append((first_pre, first_post, self._connect(
                            projection, listed, piece, (first_pre, pre), (first_post, post), name)))
        return made

    def _modulate(self, projection):
        """As :meth:`_project`, for a reward or punishment."""
        connections = projection.connections
        require(connections.rounding == "machine", f"Projection {projection.label!r}", "connections.rounding",
                connections.rounding, f"'machine' behind a {projection.receptor} on {self.dialect.name}: sPyNNaker"
                " 7.4.1 does not write lists of them (8 bits overflow)", NetworkError)
        amount = connections.to_list().weight[0].item()
        return [(first_pre, first_post, self.sim.Projection(
            pre, post, self._everyone(connections), self._record(projection.plasticity, weight=amount),
            receptor_type=projection.receptor))
            for first_pre, pre in self._parts[projection.pre] for first_post, post in self._parts[projection.post]]

    def _everyone(self, connections):
        """The connector of connections that a board generates itself."""
        return self.sim.AllToAllConnector(allow_self_connections=isinstance(connections, DenseConnections))

    def _pieces(self, pre, chosen):
        """Indices of connections in groups whose rows the simulator can hold."""
        if not len(chosen):
            return []
        if self.dialect.row_limit is None:
            return [chosen]
        chosen = chosen[np.argsort(pre[chosen], kind="stable")]
        rows, first = np.unique(pre[chosen], return_index=True)
        rank = np.arange(len(chosen)) - np.repeat(first, np.diff([*first, len(chosen)]))
        return [chosen[rank // self.dialect.row_limit == k] for k in range(rank.max() // self.dialect.row_limit + 1)]

    def _connect(self, projection, listed, chosen, pre, post, receptor):
        sign = -1.0 if receptor == "inhibitory" else 1.0        # the one form that every simulator takes
        dt, connections = self.network.timestep, projection.connections
        (first_pre, pre), (first_post, post) = pre, post
        if getattr(connections, "rounding", "host") == "machine":
            connector = self._everyone(connections)
            synapse = self._synapse(projection.plasticity, sign * abs(listed.weight[0]), listed.delay[0] * dt)
        else:
            rows = np.column_stack([listed.pre[chosen] - first_pre, listed.post[chosen] - first_post,
                                    sign * abs(listed.weight[chosen]), listed.delay[chosen] * dt])
            connector = self.sim.FromListConnector([(int(i), int(j), w, d) for i, j, w, d in rows.tolist()],
                                                   column_names=["weight", "delay"])
            synapse = self._synapse(projection.plasticity)
        return self.sim.Projection(pre, post, connector, synapse_type=synapse, receptor_type=receptor)

    def _synapse(self, mechanism, weight=None, delay=None):
        given = {} if weight is None else {"weight": weight, "delay": delay}
        if mechanism is None:
            return self.sim.StaticSynapse(**given)
        timing, dependence = (self._record(part) for part in (mechanism.timing_dependence,
                                                              mechanism.weight_dependence))
        return self.sim.STDPMechanism(timing_dependence=timing, weight_dependence=dependence, **given)

    def _record(self, record, **more):
        """A plasticity record as the simulator's object of that name."""
        name = type(record).__name__
        found = self.sim
        for step in self.dialect.rules.get(name, name).split("."):
            found = getattr(found, step, None)
        if found is None:
            raise NetworkError(f"{name}: {self.dialect.name} does not have it; the local backend does")
        return found(**vars(record), **more)

    # ------------------------------------------------------------ what was recorded

    def _steps(self, times):
        return np.rint(np.asarray(times, np.float64) / self.network.timestep).astype(np.int64) \
            - self.dialect.first_step - self.dialect.stamp

    def _spikes(self, population, data, first, last, slot):
        steps, ids = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for begin, segment in data:
            for neuron, train in enumerate(segment.spiketrains):
                steps.append(self._steps(train.magnitude))
                ids.append(np.full(len(train), begin + neuron))
        steps, ids = np.concatenate(steps), np.concatenate(ids)
        inside = (steps >= first) & (steps < last)
        steps, ids = steps[inside] - first, ids[inside]
        order = np.lexsort((ids, steps))
        offsets = np.searchsorted(steps[order], np.arange(last - first + 1))
        n_steps = slot if slot and (last - first) % slot == 0 else last - first
        return Spikes(population.shape, n_steps, offsets, ids[order].astype(neuron_dtype(population.shape)))

    def _membranes(self, label, data, first, last):
        """Raw s16.15 of the chosen neurons, in the order asked for."""
        chosen = self.record[label]
        found = {}
        for name, recorded in self.dialect.membranes.items():
            columns = {}
            for (begin, segment), (_, part) in zip(data, self._parts[label]):
                inside = np.sort(chosen[(chosen >= begin) & (chosen < begin + part.size)])
                if len(inside):
                    signal = next(s for s in segment.analogsignals if s.name == recorded)
                    at = first + self.dialect.first_step
                    values = np.asarray(signal.magnitude, np.float64)[at:at + last - first]
                    columns.update(zip(inside.tolist(), values.T))
            found[name] = np.rint(np.stack([columns[n] for n in chosen.tolist()], axis=1) * ACCUM).astype(np.int32)
        return found
