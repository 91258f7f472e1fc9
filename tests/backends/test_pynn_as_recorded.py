"""What simulators behind PyNN are told of small networks, and what is made of what they record, as it was.

A module of PyNN that computes nothing notes it; ``test_nest``, ``test_brian2`` and ``test_spinnaker`` run real ones.
Where something is meant to change:

    python tests/backends/test_pynn_as_recorded.py
"""

import json
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import recorded
from fake_pynn import FakeSim
from small_networks import NETWORKS

from spikingconvnet.backends.pynn import brian2, continuous, nest
from spikingconvnet.backends.pynn.dialect import Dialect
from spikingconvnet.backends.pynn.simulator import Simulation, gap
from spikingconvnet.backends.spinnaker import simulator as spinnaker
from spikingconvnet.backends.spinnaker.provenance import Provenance
from spikingconvnet.board.lowering import lower
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.neurons import IFCurrExpCa2Adaptive

GOLDEN = Path(__file__).parents[1] / "golden" / "pynn.json"
DIALECTS = {
    "plain": Dialect("plain", "none", "none"),
    "brian2": brian2.DIALECT,
    "nest": nest.DIALECT,
    "spinnaker": spinnaker.DIALECT,
}
RESET = ("wide", "fast", "kernels", "silent")
FLOWING = (
    "wide",
    "wide-delta",
    "delayed",
    "slow",
    "rows-learn",
    "learns-nearest",
    "learns-pair",
    "split-triplet",
    "learns-fast",
    "rewarded-pair",
    "kernels",
    "deep",
    "generated-fast",
    "busy",
    "silent",
    "learns-adaptive",
)
CASES = [
    *(
        (dialect, name, 0)
        for dialect, spoken in DIALECTS.items()
        for name in NETWORKS
        if name != "crowded" and (name in FLOWING or not spoken.flowing)
    ),
    *((dialect, name, 7) for dialect in DIALECTS for name in RESET),
]


@cache
def network(name):
    return NETWORKS[name]()


def seen(dialect, name, reset):
    """Everything a simulator is told, and what is read; an error is a view, too."""
    sim, made = FakeSim(not DIALECTS[dialect].flowing), replace(network(name), reset_every=reset)
    spoken = replace(DIALECTS[dialect], connect=DIALECTS[dialect].connect and sim.connect)
    neurons = [p for p in made.populations if not p.is_source]
    record = {p.label: np.arange(p.size)[::-3] for p in neurons[:2]}
    limits = {p.label: np.array([[1.5, 2.5]] * p.shape[0]) for p in neurons[1:]}
    try:
        with Simulation(made, sim, spoken, record, limits) as simulation:
            simulation.run(12)
            told = [simulation.recording()]
            simulation.set(neurons[0].label, np.arange(neurons[0].size) / 4 - 50)
            simulation.run(9)
            told += [simulation.recording(), [simulation.weights(p.label) for p in made.projections]]
    except NetworkError as error:
        told = [f"NetworkError: {error}"]
    if not spoken.flowing:
        return [recorded.digest(told), " ".join(f"{kind} {recorded.digest(call)}" for kind, *call in sim.log)]
    return [told, sim.log, [gap(made, sets) for sets in (False, True)]]


class OnBoard(spinnaker.Simulation):
    """The spinnaker backend, whose machine says nothing."""

    keeps_reports = True

    def _since_reset(self):
        return Provenance(ends=tuple(self._ends), counters=self._counters())


def on_board(name, reset, log):
    """What sPyNNaker is told."""
    sim, made = FakeSim(), replace(network(name), reset_every=reset)
    record = {p.label: np.arange(p.size)[::-3] for p in made.populations if not p.is_source}
    try:
        with OnBoard(made, sim, record, lower(made), log, 2) as simulation:
            simulation.keeps_reports = True
            told = [simulation.choices, simulation.run(12), simulation.recording(), simulation.run(9)]
            told += [
                simulation.recording(),
                sorted(simulation._given().items(), key=str),
                simulation._ends,
                [list(vars(part._vertex).values()) for parts in simulation._parts.values() for _, part in parts],
            ]
            told += [_weights(simulation, p.label) for p in made.projections]
    except NetworkError as error:
        told = [f"NetworkError: {error}"]
    return [recorded.digest(_plain(told)), " ".join(f"{kind} {recorded.digest(call)}" for kind, *call in sim.log)]


def _plain(value):
    """Arrays of arrays as lists of them."""
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [one.tolist() for one in value]
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


def _weights(simulation, label):
    try:
        return simulation.weights(label)
    except NetworkError as error:
        return str(error)


def converted(name, timestep):
    """The numbers of neurons where a current flows."""
    return [
        [
            function(population, timestep)
            for function in (
                continuous.time_constants,
                continuous.input_scale,
                continuous.currents,
                continuous.membrane,
            )
        ]
        for population in network(name).populations
        if not population.is_source and not isinstance(population.cell, IFCurrExpCa2Adaptive)
    ]


ON_BOARD = [
    *((name, 0) for name in NETWORKS if name != "crowded"),
    *((name, 7) for name in ("wide", "fast", "kernels")),
]
CONVERTED = [(name, timestep) for name in ("wide", "wide-delta", "slow", "deep", "troubled") for timestep in (0.1, 1.0)]
KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


@pytest.mark.parametrize(("dialect", "name", "reset"), CASES)
def test_a_simulator_is_told_what_it_was_told(dialect, name, reset):
    recorded.compare(seen(dialect, name, reset), KEPT[dialect][f"{name} {reset}"])


@pytest.mark.parametrize(("name", "reset"), ON_BOARD)
def test_spynnaker_is_told_what_it_was_told(name, reset, tmp_path):
    pytest.importorskip("spynnaker")
    recorded.compare(on_board(name, reset, tmp_path / "log"), KEPT["board"][f"{name} {reset}"])


@pytest.mark.parametrize(("name", "timestep"), CONVERTED)
def test_numbers_of_flowing_currents_are_what_they_were(name, timestep):
    recorded.compare(converted(name, timestep), KEPT["continuous"][f"{name} {timestep}"])


if __name__ == "__main__":
    found = {dialect: {} for dialect in DIALECTS}
    for dialect, name, reset in CASES:
        found[dialect][f"{name} {reset}"] = seen(dialect, name, reset)
    found["continuous"] = {f"{name} {timestep}": converted(name, timestep) for name, timestep in CONVERTED}
    with tempfile.TemporaryDirectory() as folder:
        found["board"] = {f"{name} {reset}": on_board(name, reset, Path(folder, "log")) for name, reset in ON_BOARD}
    recorded.write(GOLDEN, found)
