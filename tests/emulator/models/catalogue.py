"""What a network of the catalogue is, how it states what must come out, and how it is stimulated and read.

A network is a generator function: it builds, yields while the simulation runs, then yields its checks. Networks of a
group share one simulation; those of a group without a duration run themselves, because they need a simulation of their
own.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CLOSED_FORM, FLOAT_MODEL, BOARD, BINARY = "closed form", "float model", "published board result", "other binary"


@dataclass(frozen=True)
class Check:
    """One value that came back, and what it had to be.

    `tolerance` is the largest allowed difference of two numbers; `reason` says where it comes from. Other values
    are equal or not.
    """

    what: str
    expected: object
    found: object
    tolerance: float = 0.0
    reason: str = ""

    @property
    def passed(self):
        """Whether the value found is the one expected."""
        if not self.tolerance:
            return self.expected == self.found
        return bool(abs(self.expected - self.found) <= self.tolerance)


@dataclass(frozen=True)
class Group:
    """Networks of one simulation: options of ``setup``, and ms to run."""

    setup: dict
    duration: float | None


@dataclass(frozen=True)
class Network:
    """One network: its name, title and a remark, its group, what its results are compared with, and how it is built."""

    name: str
    title: str
    remark: str
    group: str
    compared: str
    build: Callable


GROUPS = {"cells": Group({"timestep": 1.0}, 250), "currents": Group({"timestep": 1.0}, 200),
          "sources": Group({"timestep": 1.0}, 1000), "plasticity": Group({"timestep": 1.0}, 1200),
          "slow plasticity": Group({"timestep": 1.0}, 6300), "structure": Group({"timestep": 1.0}, 1000),
          "connectors": Group({"timestep": 1.0}, 60), "chains": Group({"timestep": 1.0}, 200),
          "fine": Group({"timestep": 0.1}, 100), "own": Group({}, None)}
NETWORKS = {}


def network(group, compared):
    """Enter a generator function in the catalogue; its docstring is the title and, after a line, a remark."""
    def enter(build):
        title, _, remark = build.__doc__.partition("\n\n")
        name, remark = build.__name__, " ".join(remark.split())
        NETWORKS[name] = Network(name, title.strip(), remark, group, compared, build)
        return build
    return enter


def spikes(population):
    """Spike times in ms, a list per neuron."""
    trains = population.get_data("spikes").segments[-1].spiketrains
    return [[float(time) for time in train.magnitude] for train in trains]


def trace(population, name):
    """A recorded variable, (steps, neurons)."""
    return np.asarray(population.get_data(name).segments[-1].filter(name=name)[0].magnitude)


def drive(sim, target, arrivals, delay=1.0):
    """Static input: receptor type -> list of (arrival time in ms, weight in nA or uS) for every neuron of `target`."""
    for receptor, events in arrivals.items():
        weights = sorted({weight for _, weight in events})
        times = [[time - delay for time, weight in events if weight == wanted] for wanted in weights]
        source = sim.Population(len(weights), sim.SpikeSourceArray(times))
        rows = [(pre, post, weight, delay) for pre, weight in enumerate(weights) for post in range(target.size)]
        sim.Projection(source, target, sim.FromListConnector(rows), receptor_type=receptor)


def by_step(events, steps, dt=1.0):
    """The same list as an array: the sum of the weights that arrive in each step."""
    arriving = np.zeros(steps)
    for time, weight in events:
        arriving[round(time / dt)] += weight
    return arriving


def same_trace(what, expected, found, tolerance, reason):
    """Two courses agree: the largest difference is a number near 0."""
    return Check(f"largest difference in {what}", 0.0, float(np.abs(np.asarray(expected) - found).max()), tolerance,
                 reason)


def chance(what, successes, trials, probability):
    """A number of independent successes lies within five standard deviations of its mean."""
    deviation = np.sqrt(trials * probability * (1 - probability))
    return Check(what, float(trials * probability), float(successes), float(5 * deviation), "5 s.d.")
