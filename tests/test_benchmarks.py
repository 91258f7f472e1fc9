"""The benchmarks' own code, without a peer: jobs as peers get them, the engine's side, rows, a network that fires."""

import json
from types import SimpleNamespace

import engine
import explained
import growth
import numpy as np
import peers
import pytest
from mutants import followed

from spikingconvnet.network.spikes import Spikes


@pytest.fixture(autouse=True)
def _noise_for_digits(monkeypatch):
    """All of MNIST takes a second to read."""
    images = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    monkeypatch.setattr(engine.datasets, "load", lambda *_: SimpleNamespace(images=images))


@pytest.mark.parametrize("job", ["conv-2-20", "stdp-9-4"])
def test_a_peer_gets_the_spikes_and_synapses_of_the_network(job, tmp_path):
    made, path = engine.network(job, 3), tmp_path / "job.npz"
    engine.write(made, path)
    job, listed, spikes = peers.load(path), made.projections[0].connections.to_list(), made.populations[0].cell.spikes
    pre, post, weight = peers.synapses(job)
    order = np.lexsort((post, pre))
    np.testing.assert_array_equal([pre[order], post[order]], [listed.pre, listed.post])
    np.testing.assert_allclose(weight[order], listed.weight, atol=1e-9)
    assert job.outputs == made.populations[1].size
    assert [part.tolist() for part in peers.trains(job)] == spikes.to_lists()
    assert spikes.raster().max() == 1


def test_a_peer_without_lists_gets_the_same_spikes(tmp_path):
    made, path = engine.network("conv-1-20", 2), tmp_path / "job.npz"
    engine.write(made, path)
    raster = made.populations[0].cell.spikes.raster()
    np.testing.assert_array_equal(peers.raster(peers.load(path)).reshape(raster.shape), raster)


def test_the_engine_tells_seconds_and_spikes(monkeypatch, capsys):
    monkeypatch.setattr(engine, "SHORTEST", 0.0)
    engine.main(["--jobs", "conv-2-20", "--local", "3"])
    found = json.loads(capsys.readouterr().out)
    assert found["spikes"] > 0 and found["seconds"] >= 0


@pytest.mark.parametrize(("seconds", "told"), [((1.0, 1.0, 9.0), "1 (1, 9), equal"), ((3.0, 2.0, 4.0), "3 (2, 4) |")])
def test_a_row_has_the_median_of_pairs_and_calls_what_is_near_equal(seconds, told):
    pairs = [({"seconds": 1.0, "spikes": 40}, {"seconds": s, "spikes": 60}) for s in seconds]
    row = engine.line("conv-2", "norse", 20, pairs)
    assert told in row and "| 2.00, 3.00 |" in row


def test_a_peer_that_no_python_has_is_told_with_its_installation(capsys, monkeypatch):
    monkeypatch.setitem(peers.PEERS, "nobody", peers.Peer(("no_such_module",), "pip install nobody", {}, ""))
    assert engine.python_of("nobody", [engine.sys.executable]) is None
    assert "pip install nobody" in capsys.readouterr().err


def test_the_network_of_growth_fires_like_the_demo(monkeypatch):
    monkeypatch.setattr(growth, "TRIED", 4)
    _, firing = growth.measure(filters=2, kernel=5, size=20, steps=30, images=4, channels=1, layers=1)
    assert 0.05 <= firing <= 0.1


def test_figures_of_explanations_show_what_is_said():
    v, exact = explained.fading()
    assert v.max() == pytest.approx(0.1342, abs=1e-3) and 5 < ((v - exact) / explained.LAST_PLACE).max() < 6
    assert [explained.change(d) for d in (0, 1, 40)] == pytest.approx([-0.02, 0.01902, 0.00271], abs=5e-4)
    activations, rates = explained.rates(20, np.random.default_rng(0))
    assert np.corrcoef(activations, rates)[0, 1] > 0.95 and (rates <= activations + 0.1).all()
    assert rates[activations > 0.5].mean() < activations[activations > 0.5].mean() - 0.1


def test_lines_are_followed_to_where_they_are_now():
    before, after = ["a", "b", "c", "d", "e"], ["new", "a", "b", "C", "D", "D2", "e"]
    assert followed.moved(before, after) == {1: [2], 2: [3], 3: [4, 5, 6], 4: [4, 5, 6], 5: [7]}
    assert followed.moved(before, ["b", "c"]) == {1: [], 2: [1], 3: [2], 4: [], 5: []}
    assert followed.moved(before, before) == {k: [k] for k in range(1, 6)}


def test_a_cell_fires_when_the_first_of_its_neurons_does(benchmark_named):
    rng = np.random.default_rng(0)
    raster, cells = rng.random((3, 5, 6)) < 0.1, np.array([0, 0, 1, 1, 1, 2])
    sample, step, neuron = np.nonzero(raster)
    found = benchmark_named("first_spikes").earliest(Spikes.from_events(sample, neuron, step, (6, 1, 1), 3, 5), cells)
    assert found.tolist() == [[min((t for t in range(5) if one[t, cells == c].any()), default=5) for c in range(3)]
                              for one in raster] and 5 in found
