"""NEST under mpirun, as far as it can be seen without an MPI build of NEST: what ranks exchange."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from spikingconvnet.backends.pynn import nest


@pytest.fixture
def other_rank(monkeypatch):
    """A function that sets what the other of two ranks has: events by the name of one of their arrays."""
    def has(**events):
        mpi = ModuleType("mpi4py.MPI")
        mpi.COMM_WORLD = SimpleNamespace(
            allgather=lambda own: [own, next(found for name, found in events.items() if name in own)])
        monkeypatch.setitem(sys.modules, "mpi4py", ModuleType("mpi4py"))
        monkeypatch.setitem(sys.modules, "mpi4py.MPI", mpi)

    return has


def test_events_of_all_ranks_are_joined_and_of_one_rank_left_alone(other_rank):
    own = {"times": np.array([1.0, 3.0]), "senders": np.array([4, 6])}
    assert nest.of_all_ranks(own, 1) is own         # without mpi4py, which the wheel of NEST does not need
    other_rank(times={"times": np.array([2.0]), "senders": np.array([5])})
    found = nest.of_all_ranks(own, 2)
    assert found["times"].tolist() == [1.0, 3.0, 2.0] and found["senders"].tolist() == [4, 6, 5]


def test_membranes_of_two_ranks_come_in_the_order_of_steps_and_neurons(other_rank):
    """Neurons 2 and 4 (ids from 1) live on this rank, 1 and 3 on the other."""
    def recorded(senders):
        steps = np.repeat([1.0, 2.0], len(senders))
        ids = np.tile(senders, 2)
        return {"times": steps, "senders": ids, "V_m": 10.0 * steps + ids}

    other_rank(V_m=recorded([3, 1]), times={"times": np.array([6.0]), "senders": np.array([3])})
    simulation = object.__new__(nest.Simulation)
    simulation._nest = SimpleNamespace(num_processes=2)
    spikes, membranes = (SimpleNamespace(get=lambda _, found=found: found, set=lambda _: None) for found in (
        {"times": np.array([7.0]), "senders": np.array([2])}, recorded([2, 4])))
    part = SimpleNamespace(label="out", node_collection=[SimpleNamespace(global_id=1)])
    simulation._recorders = {"out": (spikes, membranes, {"V_m": np.zeros(4)})}
    times, neurons, signals, _ = simulation._data(part)
    assert times.tolist() == [7.0, 6.0] and neurons.tolist() == [1, 2]
    assert signals["V_m"].tolist() == [[11.0, 12.0, 13.0, 14.0], [21.0, 22.0, 23.0, 24.0]]
