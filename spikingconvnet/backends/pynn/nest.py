"""The nest backend: a network through PyNN on NEST, in its own continuous arithmetic, on threads and MPI ranks.

Under mpirun every rank does everything but the others' neurons: recordings and weights are gathered on all of them, so
that all go on from the same numbers and write the same files.

Connections are made and recordings read in whole arrays, past PyNN, which does both one by one. PyNN runs NEST one step
further than it is asked to; with the first spikes at step 2 that step lies before the network's own first one.
"""

import logging
import os
import warnings
from dataclasses import replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from spikingconvnet.backends.base import Record, recorded_neurons
from spikingconvnet.backends.pynn import dialect
from spikingconvnet.backends.pynn import simulator as pynn
from spikingconvnet.backends.pynn.dialect import Dialect
from spikingconvnet.network.arrays import Floats, Ints, Numbers
from spikingconvnet.network.netlist import Network

REPLICAS_AT_ONCE = 1        # NEST keeps its state in globals
LEAST_WEIGHT = 1e-30        # nA; NEST takes the sign of a plastic weight from it, and 0 has none


def connect(sim: Any, projection: Any, pre: Ints, post: Ints, values: dict[str, Floats]) -> None:
    """Make the connections of a projection with one call of NEST, see ``Dialect.connect``."""
    weight = values["weight"]
    if projection.receptor_type == "inhibitory":
        weight = np.minimum(weight, -LEAST_WEIGHT)
    sources, targets = (np.asarray(group.node_collection.tolist())[ids]
                        for group, ids in ((projection.pre, pre), (projection.post, post)))
    import_module("nest").Connect(sources, targets, "one_to_one", {
        "synapse_model": projection.nest_synapse_model,
        "synapse_label": np.full(len(pre), projection.nest_synapse_label),
        "weight": 1000.0 * weight, "delay": values["delay"]})       # pA, ms
    projection._sources.update(np.unique(sources).tolist())     # PyNN reads the weights back through them


DEFAULT_DELAY = 1.0         # ms, of static_synapse; NEST refuses a longest delay below it
DIALECT = Dialect(
    "nest", "pyNN.nest", "nest", setup={"spike_precision": "on_grid"},
    membranes={"v": "V_m", "gsyn_exc": "I_syn_ex", "gsyn_inh": "I_syn_in"},
    backprop_choice=False, has_w_min=False, flowing=True, first_step=2, stamp=1, connect=connect, sets_currents=False)


def open(network: Network, record: Record = (), jobs: int | None = None) -> "Simulation":
    """Start a simulation of `network` in NEST.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
        As for the local backend.
    jobs : int or None
        Threads; None is one.

    Returns
    -------
    Simulation

    Raises
    ------
    BackendError
        Without NEST or PyNN.
    NetworkError
        For what NEST does not have.
    """
    return Simulation(network, load(), recorded_neurons(network, record), jobs or 1)


def load() -> ModuleType:
    """PyNN's module for NEST, without the banner, the advice and the attempt to compile that come with importing it."""
    logging.getLogger("PyNN").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"nest\.lib\.")
    path, quiet = os.environ.get("PATH"), os.environ.get("PYNEST_QUIET")
    os.environ.update(PATH="", PYNEST_QUIET="1")        # without nest-config PyNN compiles nothing
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dialect.load(DIALECT)
    finally:
        for name, value in (("PATH", path), ("PYNEST_QUIET", quiet)):
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Simulation(pynn.Simulation):
    """A network in NEST, see ``simulator.Simulation``.

    Parameters
    ----------
    network : Network
    sim : module
    record : dict of str to int64 array
    threads : int
    """

    def __init__(self, network: Network, sim: Any, record: dict[str, Ints], threads: int) -> None:
        self._nest = import_module("nest")
        self._recorders: dict[str, tuple[Any, Any, dict[str, Floats]]] = {}
        self._chosen: dict[str, Ints] = {}
        longest = max([1] + [p.connections.max_delay for p in network.projections]) * network.timestep
        longest = max(longest, DEFAULT_DELAY)
        dialect = replace(DIALECT, setup={**DIALECT.setup, "threads": threads, "max_delay": longest})
        super().__init__(network, sim, dialect, record)
        sim.run((DIALECT.first_step - 1) * network.timestep)
        for label, parts in self._parts.items():
            population = network.population(label)
            for first, part in parts if not population.is_source else ():
                v = population.parameter("v")[first:first + part.size]
                part.initialize(v=v.tolist())
                self._recorders[part.label] = self._connect_recorders(part, v)

    def _record(self, part: Any, chosen: Ints) -> None:
        part.initialize(v=pynn.FAR_BELOW)       # nobody fires before the network's first step
        self._chosen[part.label] = chosen

    def _set_state(self, part: Any, v: float | list[float]) -> None:
        part.initialize(v=v)        # NEST does not let synaptic currents be set

    def _connect_recorders(self, part: Any, v: Floats) -> tuple[Any, Any, dict[str, Floats]]:
        """Spike recorder, multimeter if membranes are recorded, and the first state, which a multimeter misses."""
        spikes, membranes = self._nest.Create("spike_recorder"), None
        self._nest.Connect(part.node_collection, spikes)
        chosen = self._chosen[part.label]
        if len(chosen):
            membranes = self._nest.Create("multimeter", params={
                "interval": self.network.timestep, "record_from": list(self.dialect.membranes.values())})
            self._nest.Connect(membranes, part.node_collection[chosen.tolist()])
        return spikes, membranes, {name: v[chosen] if name == "V_m" else np.zeros(len(chosen))
                                   for name in self.dialect.membranes.values()}

    def _data(self, part: Any) -> Any:
        """Spike times and neurons, and the variables: arrays (samples, chosen neurons). The recorders are emptied."""
        spikes, membranes, before = self._recorders[part.label]
        events, signals = self._emptied(spikes), {}
        if membranes is not None:
            found = self._emptied(membranes)
            order = np.lexsort((found["senders"], found["times"]))
            signals = {name: found[name][order].reshape(-1, len(row)) for name, row in before.items()}
        return events["times"], events["senders"].astype(int) - part.node_collection[0].global_id, signals, before

    def _listed(self, projection: Any) -> Any:
        return projection.get(["weight"], format="list", gather="all")      # on every rank

    def _events(self, data: Any) -> tuple[Floats, Ints]:
        return data[:2]

    def _signal(self, data: Any, name: str, first: int, last: int) -> Floats:
        *_, signals, before = data
        rows = signals[name] if first else np.concatenate([before[name][None], signals[name]])
        return rows[:last - first] * (1.0 if name == "V_m" else 1e-3)       # I_syn is in pA

    def _emptied(self, recorder: Any) -> dict[str, Numbers]:
        events = recorder.get("events")
        recorder.set([{"n_events": 0}])      # in a list, or NEST reads everything first
        return of_all_ranks(events, self._nest.num_processes)


def of_all_ranks(events: dict[str, Numbers], ranks: int) -> dict[str, Numbers]:
    """Events (dict of str to array) of the neurons of all MPI ranks, on every one of them."""
    if ranks == 1:
        return events
    parts = import_module("mpi4py.MPI").COMM_WORLD.allgather(events)
    return {name: np.concatenate([part[name] for part in parts]) for name in events}
