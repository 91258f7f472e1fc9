"""Replicas: many as one network, batch by batch, in threads or in the calling one; a cluster nobody works for."""

import logging
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from spikingconvnet import backends
from spikingconvnet.experiment import readout, replicas
from spikingconvnet.experiment.workers import PATIENCE, _Dask, _quiet, workers
from spikingconvnet.model import build
from spikingconvnet.model.layers import Dense
from spikingconvnet.model.readouts import Membrane, SpikeCount
from spikingconvnet.model.sequential import Sequential
from spikingconvnet.model.trained import TrainedLayer
from spikingconvnet.network.netlist import together
from spikingconvnet.network.spikes import Spikes

SHAPE, STEPS = (1, 2, 3), 12


def network_of(seed, samples=5, v_thresh=2.0, reset=True):
    """A chain of one dense layer of three units behind random spikes, and these."""
    rng = np.random.default_rng(seed)
    events = np.argwhere(rng.random((samples, 6, 6)) < 0.4)
    spikes = Spikes.from_events(*events.T, SHAPE, samples, STEPS)
    (stage,) = Sequential(SHAPE, Dense(3), SpikeCount()).stages
    layer = TrainedLayer(rng.uniform(-5, 15, (3, *SHAPE)), np.full(3, v_thresh))
    return build.inference_network([stage], [layer], spikes, reset), spikes


def test_networks_side_by_side_keep_their_parts_and_get_numbers():
    (first, _), (second, _) = network_of(0), network_of(1)
    made = together([first, second])
    assert [p.label for p in made.populations] == ["input#0", "layer1#0", "input#1", "layer1#1"]
    assert [(p.label, p.pre, p.post) for p in made.projections] == [("layer1#0", "input#0", "layer1#0"),
                                                                    ("layer1#1", "input#1", "layer1#1")]
    assert made.timestep == first.timestep and made.reset_every == STEPS
    assert made.population("input#1").cell is second.population("input").cell


@pytest.mark.parametrize("batch", [1, 2, 5, 9])
def test_batches_and_neighbours_change_nothing(batch, monkeypatch):
    monkeypatch.setattr(replicas, "BATCH", batch)
    made = [network_of(seed)[0] for seed in range(3)]
    alone = [backends.run(network).spikes["layer1"] for network in made]
    assert all(spikes.n_events for spikes in alone)
    together, recording = replicas.respond(made, "layer1", "local")
    assert together == alone and set(recording.spikes) == {"layer1#0", "layer1#1", "layer1#2"}
    counted, _ = replicas.respond(made, "layer1", "local", grid=(1, 1))
    assert all(np.array_equal(one, readout.spike_counts(spikes, (1, 1))) for one, spikes in zip(counted, alone))
    (single,), recording = replicas.respond(made[:1], "layer1", "local")
    assert single == alone[0] and set(recording.spikes) == {"layer1"}


@pytest.mark.parametrize("layer, v_thresh", [(SpikeCount(), 2.0), (SpikeCount(ties="lowest"), 2.0),
                                             (SpikeCount(first=2, last=7), 2.0), (Membrane(first=1), 60000.0)])
@pytest.mark.parametrize("batch", [2, 50])
def test_answers_are_read_out_of_the_whole_timeline(layer, v_thresh, batch, monkeypatch):
    monkeypatch.setattr(replicas, "BATCH", batch)
    made = [network_of(seed, v_thresh=v_thresh) for seed in (0, 1)]
    answers, _ = replicas.classify([network for network, _ in made], layer, "local")
    for answer, (network, source) in zip(answers, made):
        recording = backends.run(network, record=("layer1",))
        v, spikes, window = recording.membranes["layer1"]["v"], recording.spikes["layer1"], layer.window(STEPS)
        units, output = (readout.by_membrane(v, STEPS, window) if isinstance(layer, Membrane) else
                         readout.by_spike_count(spikes, window, v if layer.ties == "v" else None))
        assert np.array_equal(answer["units"], units) and np.array_equal(answer["output"], output)
        assert answer["spikes"].dtype == np.uint32
        assert answer["spikes"].tolist() == [[source.samples(k, k + 1).n_events, spikes.samples(k, k + 1).n_events]
                                             for k in range(5)]


def test_one_worker_is_the_calling_thread_and_works_when_it_is_asked():
    done = []
    with workers(1) as pool:
        futures = [pool.submit(lambda k, more: done.append((k, more, threading.get_ident())), k, more=k + 1)
                   for k in range(2)]
        assert done == []
        futures[1].result()
    assert done == [(1, 2, threading.get_ident())]


def test_several_workers_are_threads_of_their_own():
    together = threading.Barrier(3, timeout=30)
    with workers(3) as pool:
        futures = [pool.submit(lambda: (together.wait(), threading.get_ident())[1]) for _ in range(3)]
        assert len({future.result() for future in futures} | {threading.get_ident()}) == 4


def test_what_nobody_waits_for_any_more_is_not_begun():
    begun, hold = [], threading.Event()

    def work(k):
        begun.append(k)
        hold.wait(30)

    with pytest.raises(ValueError, match="enough"), workers(2) as pool:
        for k in range(6):
            pool.submit(work, k)
        threading.Timer(0.5, hold.set).start()
        raise ValueError("enough")
    assert sorted(begun) == [0, 1]


def test_distributed_is_silent_but_for_its_nanny_and_gets_its_levels_back():
    nanny, other = logging.getLogger("distributed.nanny"), logging.getLogger("distributed.worker")
    own = logging.getLogger("spikingconvnet.distributed")
    own.setLevel(logging.INFO)
    before = nanny.level, other.level
    with _quiet():
        assert (nanny.level, other.level, own.level) == (logging.WARNING, logging.CRITICAL, logging.INFO)
    assert (nanny.level, other.level) == before


class Future:
    """Done after some looks at it."""

    def __init__(self, looks):
        self.looks = looks

    def done(self):
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("seen, looks, comes", [([{}, {}], 9, False), ([{"a": 1}, {}, {"a": 1}, {}], 4, True),
                                                ([{"a": 1}, {}, {}], 9, False), ([{}, {"a": 1}, {}], 3, True)])
def test_a_cluster_without_a_worker_at_two_looks_one_after_another_is_given_up(seen, looks, comes, monkeypatch):
    distributed = pytest.importorskip("distributed")

    def wait(future, timeout):
        assert timeout == PATIENCE == 30.0
        raise TimeoutError

    monkeypatch.setattr(distributed, "wait", wait)
    infos = iter(seen)
    pool = _Dask(SimpleNamespace(scheduler_info=lambda: {"workers": next(infos)}), "tcp://127.0.0.1:1")
    if comes:
        pool._wait(Future(looks))
    else:
        with pytest.raises(TimeoutError, match="no worker for 30 s"):
            pool._wait(Future(looks))
    assert list(infos) == []
