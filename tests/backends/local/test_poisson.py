"""Poisson sources: the generator, both algorithms against the naive twin, runs in pieces, and what is refused."""

import json
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_poisson import Kiss, Source, packets
from random_networks import by_kernels, by_reference

from spikingconvnet import backends
from spikingconvnet.backends.local import native, numba_kernels
from spikingconvnet.backends.local.poisson_core import KernelCore
from spikingconvnet.board import poisson
from spikingconvnet.board.lowering import lower
from spikingconvnet.board.poisson import PoissonSource, ReferenceCore, lower_poisson
from spikingconvnet.errors import NetworkError
from spikingconvnet.network.connectivity import ConnectionList, ConvConnections
from spikingconvnet.network.netlist import Network, Population, Projection
from spikingconvnet.network.neurons import IFCurrExp, SpikeSourceArray, SpikeSourcePoisson, poisson_seeds, valid_seed
from spikingconvnet.network.spikes import Spikes

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "poisson_sources.json").read_text())
SEED = (123456789, 987654321, 43219876, 6543217)
FOREVER = 0xffffffff
CORES = (ReferenceCore, partial(KernelCore, kernels=native), partial(KernelCore, kernels=numba_kernels))
rates = st.one_of(st.sampled_from([0.0, 0.5, 9.9, 9.98, 10.0, 30.0, 1000.0, 9999.0]), st.floats(0.001, 9999.0))


def sources(rate, size=4, seeds=(SEED,), values=None, **more):
    return Population("in", (1, 1, size), SpikeSourcePoisson(rate, core_seeds=seeds, **more), values or {})


def sent(spikes):
    """(step, source, count) as packets of a board."""
    raster = spikes.raster()
    return [(int(t), int(n), int(raster[t, n])) for t, n in zip(*np.nonzero(raster))]


def test_the_generator_is_that_of_the_naive_twin():
    state, kiss = list(SEED), Kiss(*SEED)
    assert [poisson.jkiss64(state) for _ in range(500)] == [kiss.draw() for _ in range(500)]


@pytest.mark.parametrize("rate, kind", [(0.0, "slow"), (9.9, "slow"), (9.97, "slow"), (10.0, "fast"), (9999.9, "fast")])
def test_ten_hertz_are_the_first_rate_of_knuths_algorithm(rate, kind):
    assert lower_poisson(rate, 0.0, np.inf).slow == (kind == "slow")


def test_constants_by_hand():
    # 5 Hz: 200 steps between two spikes. 1000 Hz: 32767 / 2**15 spikes a step, exp(-32767 / 2**15) = 24110 / 2**16.
    assert lower_poisson(5.0, 3.0, 7.0).interval == 200 and lower_poisson(3.0, 0.0, 1.0).interval == 333
    one = lower_poisson(1000.0, 3.0, 7.0)
    assert one.limit >> 16 == 24110 and one.limit & 0xffff == 0 and (one.start, one.end) == (3, 10)
    assert lower_poisson(1000.0, 2.5, np.inf).start == 3 and lower_poisson(1.0, 0.0, np.inf).end == FOREVER
    assert lower_poisson(5.0, 3.0, 7.0, timestep=0.5).interval == 400
    assert lower_poisson(5.0, 3.0, 7.0, timestep=0.5).end == 20


@settings(max_examples=60, deadline=None)
@given(st.lists(rates, min_size=1, max_size=6), st.integers(0, 2 ** 32 - 1), st.integers(0, 40), st.integers(0, 300))
def test_all_engines_send_the_packets_of_the_naive_twin(some, seed, start, duration):
    core_seed = poisson_seeds(np.random.default_rng(seed), 1)
    expected = packets([Source(rate, start, start + duration) for rate in some], core_seed[0], 200)
    population = sources(0.0, len(some), core_seed, {"rate": np.array(some)}, start=start, duration=duration)
    for core in CORES:
        assert sent(PoissonSource(population, core=core).run(200)) == expected


@pytest.mark.parametrize("core", CORES)
def test_a_run_in_pieces_is_one_run(core, monkeypatch):
    population = sources(0.0, 6, values={"rate": np.array([0.0, 2.0, 9.9, 10.0, 200.0, 3000.0])})
    whole = PoissonSource(population, core=core).run(900)
    monkeypatch.setattr(PoissonSource, "STEPS_AT_ONCE", 70)
    source = PoissonSource(population, core=core)
    parts = [source.run(n) for n in (1, 449, 450)]
    assert np.array_equal(np.concatenate([p.neurons for p in parts]), whole.neurons)
    assert np.array_equal(np.concatenate([p.raster() for p in parts]), whole.raster()) and whole.n_samples == 1


def test_every_core_draws_from_its_own_seed():
    seeds = poisson_seeds(np.random.default_rng(0), 3)
    whole = PoissonSource(sources(700.0, 8, seeds, neurons_per_core=3)).run(50).raster()
    for first, seed in zip((0, 3, 6), seeds):
        alone = PoissonSource(sources(700.0, min(3, 8 - first), (seed,))).run(50).raster()
        assert np.array_equal(whole[:, first:first + 3], alone)


@pytest.mark.parametrize("rate, size", [(2.0, 200), (9.9, 200), (30.0, 200), (1000.0, 25), (8000.0, 25)])
def test_the_mean_is_the_rate(rate, size):
    counts = PoissonSource(sources(rate, size)).run(2000).raster()
    expected = rate * 0.001 * counts.size
    assert abs(counts.sum() - expected) < 6 * np.sqrt(expected) + 0.01 * expected


def test_a_rate_of_ten_spikes_a_step_is_refused_with_the_reason():
    with pytest.raises(NetworkError, match="10001 Hz are 10.001 spikes a step.* table.* use 10000 Hz at most"):
        PoissonSource(sources(10_001.0, values={"rate": np.array([1.0, 2.0, 10_001.0, 0.0])}))
    assert not lower_poisson(9999.9, 0.0, 1.0).slow


def network(rate=300.0):
    rng = np.random.default_rng(3)
    links = ConnectionList(rng.integers(0, 5, 30), rng.integers(0, 4, 30), rng.gamma(2.0, 0.5, 30),
                           rng.integers(1, 5, 30))
    given = Spikes.from_events([0, 0, 1], [1, 2, 0], [3, 3, 9], (1, 1, 3), 2, 20)
    return Network([Population("given", (1, 1, 3), SpikeSourceArray(given)), sources(rate, 5),
                    Population("out", (1, 1, 4), IFCurrExp(v_thresh=-60.0))],
                   [Projection("p", "in", "out", links),
                    Projection("q", "given", "out", ConnectionList([0, 1, 2], [1, 2, 3], [2.0] * 3, [1] * 3))])


def test_a_network_behind_poisson_sources_gives_the_same_integers_in_both_engines():
    reference = by_reference(network(), [40])
    assert reference.differences(by_kernels(network(), [40])) == []
    assert reference.differences(by_kernels(network(), [17, 1, 22])) == []
    assert sum(map(len, reference.spikes.values())) > 10


def test_the_spikes_of_poisson_sources_are_recorded_with_the_samples_of_the_given_ones():
    spikes = backends.run(network()).spikes
    assert set(spikes) == {"in", "out"} and (spikes["in"].n_samples, spikes["in"].n_steps) == (2, 20)
    assert sent(spikes["in"]) == packets([Source(300.0, 0, FOREVER) for _ in range(5)], SEED, 40)


def test_a_poisson_source_alone_runs_as_long_as_it_is_told():
    alone = Network([sources(500.0)], [])
    assert len(backends.run(alone, 30).spikes["in"].offsets) == 31
    with pytest.raises(NetworkError, match="n_steps"):
        backends.run(alone)


def test_a_convolution_behind_poisson_sources_is_that_behind_their_spikes():
    shape, rng = (2, 4, 5), np.random.default_rng(1)
    connections = ConvConnections(rng.normal(0.0, 2.0, (3, 2, 2, 2)), shape)
    cell = SpikeSourcePoisson(200.0, core_seeds=poisson_seeds(rng, 1))
    out = Population("out", connections.post_shape, IFCurrExp(v_thresh=-60.0), per_channel=True)
    link = Projection("p", "in", "out", connections)
    drawn = backends.run(Network([Population("in", shape, cell), out], [link]), 60)
    given = Population("in", shape, SpikeSourceArray(drawn.spikes["in"]))
    replayed = backends.run(Network([given, out], [link]))
    assert drawn.spikes["out"] == replayed.spikes["out"] and drawn.spikes["out"].n_events > 0


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case['rate']} Hz, seed {case['seed']}")
def test_the_weight_scale_is_spynnakers_which_does_not_see_the_rate(case):
    populations = [sources(case["rate"], case["n_pre"]), Population("post", (1, 1, case["size"]), IFCurrExp())]
    links = Projection("p", "in", "post", ConnectionList(*np.array(case["synapses"]).T))
    assert lower(Network(populations, [links])).populations["post"].shift[:, 0].tolist() == case["shifts"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"seed {case['seed']}")
def test_seeds_are_made_valid_as_spynnaker_does(case):
    random = np.random.RandomState(case["seed"])
    words = [random.randint(-2 ** 31, 2 ** 31 - 1) + 2 ** 31 for _ in range(4)]
    assert valid_seed(words) == tuple(case["seed_words"])


def test_784_sources_and_10_000_steps_take_seconds_at_most():
    population = sources(60.0, 784, poisson_seeds(np.random.default_rng(0), 2))
    PoissonSource(population, core=KernelCore).run(2)
    begin = time.process_time()
    assert PoissonSource(population, core=KernelCore).run(10_000).n_events > 400_000
    assert time.process_time() - begin < 5.0
