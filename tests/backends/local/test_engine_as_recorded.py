"""What the local engine makes of small networks, as it was when larger ones had the integers of the reference.

Integers alone, so digests tell everything; ``test_naive_engine`` and
``test_reference_equals_kernels`` compare with others. Where something is meant to change, and those pass:

    python tests/backends/local/test_engine_as_recorded.py
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "helpers"))

import interpreted
import recorded
from small_networks import NETWORKS

from spikingconvnet.backends.local.simulator import Simulation
from spikingconvnet.network.netlist import Projection
from spikingconvnet.network.neurons import SpikeSourcePoisson

GOLDEN = Path(__file__).parents[2] / "golden" / "engine.json"
SLOW = ("kernels-of-5", "kernels-cut", "deep", "deep reset", "wide noisy", "kernels-listed")  # without a compiler
SLOT = 12  # steps of half a sample


def _noisy(made):
    """The same with random sources beside the given ones."""
    first = made.projections[0]
    size = made.population(first.pre).size
    words = tuple((123456789 + k, 987654321, 43219876, 6543217) for k in range(-(-size // 256)))
    rates = {
        "rate": 3.0 + 2000.0 * (np.arange(size) % 3 == 0) + np.arange(size) % 40,
        "start": 3.0 * (np.arange(size) % 4),
    }
    noise = replace(
        made.population(first.pre),
        label="noise",
        values=rates,
        cell=SpikeSourcePoisson(40.0, duration=21.0, core_seeds=words),
    )
    return replace(
        made,
        populations=(*made.populations, noise),
        projections=(*made.projections, Projection("noise", "noise", first.post, first.connections)),
    )


CASES = {name: NETWORKS[name] for name in NETWORKS if name != "crowded"}
CASES |= {
    f"{name} reset": lambda name=name: replace(NETWORKS[name](), reset_every=SLOT)
    for name in ("wide", "kernels", "fast", "slow", "deep", "silent")
}
CASES |= {f"{name} noisy": lambda name=name: _noisy(NETWORKS[name]()) for name in ("wide", "learns-pair", "fast")}


def seen(name, jobs=1, kernels=None):
    """Everything that is recorded in two pieces, and the weights behind them."""
    made = CASES[name]()
    neurons = [p for p in made.populations if not p.is_source]
    with Simulation(made, {p.label: np.arange(p.size)[::-2] for p in neurons}, jobs, kernels) as simulation:
        simulation.run(SLOT)
        told = [simulation.recording()]
        for population in neurons:
            simulation.set(population.label, population.parameter("v_thresh") - 0.25 * (np.arange(population.size) % 3))
        simulation.run(2 * SLOT)
        told += [simulation.recording(), simulation.source_steps]
        told += [
            [one.raw, recorded.digest(one.value)] for one in (simulation.weights(p.label) for p in made.projections)
        ]
    return told


KEPT = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}


@pytest.mark.parametrize("name", CASES)
def test_the_engine_has_the_integers_that_it_had(name):
    recorded.compare(seen(name), KEPT["engine"][name])


@pytest.mark.parametrize("name", [name for name in CASES if name not in SLOW])
def test_kernels_for_numba_have_them_as_plain_python(name):
    with interpreted.kernels() as kernels:
        recorded.compare(seen(name, 1, kernels), KEPT["engine"][name])


@pytest.mark.parametrize("name", ["deep", "kernels-cut", "kernels-pooled"])
def test_the_integers_do_not_depend_on_threads(name):
    recorded.compare(seen(name, jobs=3), KEPT["engine"][name])


if __name__ == "__main__":
    recorded.write(GOLDEN, {"engine": {name: seen(name) for name in CASES}})
