"""The brian2 backend: a network through PyNN on Brian2, in its own continuous arithmetic, on one core.

Brian2 applies a spike after the neurons' update of the step in which it arrives, so every delay is one step shorter
here. A postsynaptic spike reaches a plastic synapse after a delay of its own, which PyNN does not know; with it
learning sees the distances that it sees on SpiNNaker, with and without `backprop_delay`. Brian2's numpy target is used:
no compiler, no files.
"""

import logging
import warnings
from copy import deepcopy
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from spikingconvnet.backends.base import Record, recorded_neurons
from spikingconvnet.backends.pynn import dialect
from spikingconvnet.backends.pynn import simulator as pynn
from spikingconvnet.backends.pynn.dialect import Dialect
from spikingconvnet.errors import NetworkError, require
from spikingconvnet.network.arrays import Floats, Ints
from spikingconvnet.network.netlist import Network, Population

REPLICAS_AT_ONCE = 1        # PyNN keeps its state in globals


def connect(sim: Any, projection: Any, pre: Ints, post: Ints, values: dict[str, Floats]) -> None:
    """Make the connections of a projection with one call of Brian2, see ``Dialect.connect``."""
    synapses, synapse_type = projection._brian2_synapses[0][0], projection.synapse_type
    space = deepcopy(synapse_type.parameter_space)
    space.shape = (len(pre),)
    space.update(**values)
    native = synapse_type.translate(space)
    native.evaluate()
    synapses.connect(i=pre, j=post)
    for name, value in native.items():
        if name != "dendritic_delay_fraction":
            setattr(synapses, name, value)
    if isinstance(synapse_type, sim.STDPMechanism):
        steps = np.rint(values["delay"] / sim.get_time_step())
        back = 2 * steps + 1 if synapse_type.backprop_delay else steps
        synapses.post.delay = back * sim.get_time_step() * import_module("brian2").ms
        synapses.post.order = synapses.pre.order - 1        # so that a coincidence only depresses, as on SpiNNaker
    projection._n_connections += len(pre)


DIALECT = Dialect(
    "brian2", "pyNN.brian2", "brian2", membranes={"v": "v"},
    lacks=("MultiplicativeWeightDependence",), mechanism={"dendritic_delay_fraction": 0.0}, plastic_inhibition=False,
    flowing=True, refractory=1, arrival=1, least_delay=0, least_sources=2, connect=connect)


def open(network: Network, record: Record = (), jobs: int | None = None) -> pynn.Simulation:
    """Start a simulation of `network` in Brian2.

    Parameters
    ----------
    network : Network
    record : collection of str, or dict of str to int array
        As for the local backend.
    jobs : None
        Not used; Brian2's numpy target has one thread.

    Returns
    -------
    pynn.Simulation

    Raises
    ------
    BackendError
        Without Brian2 or PyNN.
    NetworkError
        For what Brian2 does not have.
    """
    record = recorded_neurons(network, record)
    for population in network.populations:
        _check(population)
    return pynn.Simulation(network, load(network.timestep), DIALECT, record)


def _check(population: Population) -> None:
    """Refuse what Brian2 would do otherwise: a source twice in a step, refractory times that differ."""
    owner = f"Population {population.label!r}"
    if population.has_given_spikes:
        spikes = population.given_spikes
        times = spikes.steps() * population.size + spikes.neurons
        require(len(np.unique(times)) == len(times), owner, "spikes", "a neuron twice in a step",
                "at most one of a neuron in a step for brian2; the local backend takes several", NetworkError)
    elif not population.is_source:
        times = np.unique(population.parameter("tau_refrac"))
        require(len(times) == 1, owner, "tau_refrac", times.tolist(),
                "the same for all neurons of a population for brian2; make a population of each", NetworkError)


def load(timestep: float) -> ModuleType:
    """PyNN's module for Brian2, set to its numpy target and with a clock of `timestep` ms for sources too."""
    logging.getLogger("PyNN").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sim = dialect.load(DIALECT)
    brian2 = import_module("brian2")
    brian2.BrianLogger.suppress_hierarchy("brian2.stateupdaters")       # tells which integration method it chose
    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = timestep * brian2.ms       # PyNN's sources run by it; at 0.1 ms they would cost ten times
    return sim
