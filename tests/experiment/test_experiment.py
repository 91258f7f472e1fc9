"""Whole runs on a small data set: nothing is lost, nothing is done twice, nothing depends on threads or batches."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import patience
import pytest
from distributed import LocalCluster

from spikingconvnet.data.deformation import Deformation
from spikingconvnet.errors import SimulationFailed, StoreError
from spikingconvnet.experiment import loading, readout, replicas, runner, settings, workers
from spikingconvnet.experiment.experiment import Experiment
from spikingconvnet.experiment.networks import subjects
from spikingconvnet.experiment.workers import _Dask
from spikingconvnet.network.netlist import Network, Population
from spikingconvnet.network.neurons import SpikeSourceArray
from spikingconvnet.network.spikes import Spikes
from spikingconvnet.store.directory import RunDirectory


@pytest.fixture
def run(parameters, tmp_path):
    """A function that makes an Experiment and, on demand, trains its layers."""
    def make(directory="run", trained=True, jobs=None, seed=None, layers=1, **replacements):
        made = Experiment(settings.load(parameters(layers, **replacements)).with_seed(seed), tmp_path / directory,
                          jobs=jobs)
        if trained:
            made.load_data()
            for number in range(1, layers + 1):
                made.train_layer(number)
        return made

    return make


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run):
    files = [run(name, seed=seed).store.file("layers/1").read_bytes() for name, seed in (("a", 3), ("b", 3), ("c", 4))]
    assert files[0] == files[1]
    assert files[0] != files[2]


def test_a_layer_that_is_trained_passes_the_experiment_three_times_at_most(run):
    """Its trip is described in docs/architecture.md: frames of experiment.py that another module enters."""
    made, entered = run(layers=2, trained=False), []
    made.load_data()
    made.train_layer(1)

    def look(frame, event, _):
        here, before = (one.f_code.co_filename for one in (frame, frame.f_back or frame))
        if event == "call" and Path(here).name == "experiment.py" and before != here:
            entered.append(frame.f_code.co_name)

    sys.setprofile(look)
    try:
        made.train_layer(2)
    finally:
        sys.setprofile(None)
    assert "train_layer" in entered and len(entered) <= 3, entered


@pytest.mark.parametrize("layers", [1, 2])
def test_features_depend_neither_on_threads_nor_on_the_batch(run, layers, monkeypatch):
    found = []
    for name, jobs, batch in (("a", 1, 250), ("b", 2, 7), ("c", 2, 1)):
        monkeypatch.setattr(replicas, "BATCH", batch)
        found.append(run(name, jobs=jobs, layers=layers).features("train")[0])
    assert found[0].any()
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])


def test_replicas_start_at_rest_and_are_joined_in_order(run, monkeypatch):
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 50)
    made = run()
    whole = made.features("train")[0]
    for first in (0, 50, 100):
        source = made.data("train")["spikes"].samples(first, min(first + 50, 120))
        (alone, judged), = made.timelines.simulate(1, [source], (3, 3), "one replica")
        assert np.array_equal(whole[first:first + 50], alone) and judged == {}
    assert len(list((made.store.path / "features").iterdir())) == 3


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cluster_gives_the_same_features_whatever_the_number_of_workers(run, workers, monkeypatch):
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 50)
    alone, spread = run("alone"), run("spread", jobs=workers)
    spread.runner.cluster = "local"
    assert np.array_equal(alone.features("train")[0], spread.features("train")[0])


def test_copies_that_share_a_run_give_the_same_features(run, monkeypatch):
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 50)
    alone, shared = run("alone"), run("shared")
    shared.runner.copies = 2
    assert [len(group) for group in shared.runner.groups([*map(network_of, [50, 50, 20])])] == [2, 1]
    assert np.array_equal(alone.features("train")[0], shared.features("train")[0])


@pytest.mark.parametrize("target, wanted, copies", [("spin3", 9, 4), ("spin3", 3, 3), ("spin5", 99, 58),
                                                    ("spalloc:https://127.0.0.1", 99, 99)])
def test_as_many_copies_as_fit_the_target_and_no_more_than_there_are_replicas(run, target, wanted, copies, caplog):
    made = run()
    on_board = Experiment(made.settings, made.store.path, "spinnaker", target=target, copies="auto")
    network = next(subject.network for subject in subjects(on_board) if subject.replicated)
    with caplog.at_level(logging.INFO):
        assert on_board.runner.copies_of(network, wanted) == copies
    assert f"copies: {copies}, because " in caplog.text


def test_a_target_that_holds_not_even_one_copy_is_asked_for_one(run, monkeypatch):
    made = run()
    on_board = Experiment(made.settings, made.store.path, "spinnaker", target="spin3", copies="auto")
    network = next(subject.network for subject in subjects(on_board) if subject.replicated)
    monkeypatch.setattr(runner.resources, "replicas", lambda groups, on: 0)
    assert on_board.runner.copies_of(network, 5) == 1


def network_of(samples):
    spikes = Spikes.empty((1, 2, 2), samples, 5)
    return Network((Population("input", spikes.shape, SpikeSourceArray(spikes)),), ())


def test_a_worker_that_dies_costs_nothing_but_time(run, monkeypatch, tmp_path):
    """The first replica kills its worker once; the scheduler runs it again on another one."""
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 50)
    made = run()
    expected = made.features("train")[0]
    for path in (made.store.path / "features").iterdir():
        path.unlink()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        made.runner.cluster = cluster.scheduler_address
        submit, marker = _Dask.submit, str(tmp_path / "died")
        monkeypatch.setattr(_Dask, "submit",
                            lambda pool, work, *args, **more: submit(pool, die_once, marker, work, *args, **more))
        assert np.array_equal(made.features("train")[0], expected)
    assert Path(marker).exists()


def test_a_cluster_without_workers_left_is_an_error_that_says_what_is_kept(run, monkeypatch, capfd):
    """The second replica kills every worker that takes it, until the scheduler gives up."""
    monkeypatch.setattr(replicas, "REPLICA_SAMPLES", 50)
    made, submitted = run(), []
    made.runner.cluster, submit = "local", _Dask.submit

    def submit_deadly(pool, work, *args, **more):
        submitted.append(work)
        return submit(pool, *([die] if len(submitted) == 2 else [work]), *args, **more)

    monkeypatch.setattr(_Dask, "submit", submit_deadly)
    made.jobs = 1
    with pytest.raises(SimulationFailed, match="layer 1: counts, train: --cluster local: "
                       "(KilledWorker: |TimeoutError: no worker).* 1 of 3 repl"):
        made.features("train")
    assert "Traceback" not in capfd.readouterr().err


def test_a_cluster_that_has_no_worker_is_an_error_and_no_wait_for_ever(run, monkeypatch):
    monkeypatch.setattr(workers, "PATIENCE", 0.5)
    made = run()
    with LocalCluster(n_workers=0, dashboard_address=":0") as cluster:
        made.runner.cluster = cluster.scheduler_address
        with pytest.raises(SimulationFailed, match="TimeoutError: no worker for 0.5 s; start its scheduler or workers"):
            made.features("test")


def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def test_distributed_is_quiet(run, capfd):
    made = run(jobs=1)
    made.runner.cluster = "local"
    made.features("test")
    assert capfd.readouterr().err == ""


def die_once(marker, work, *args, **kwargs):
    if not os.path.exists(marker):
        open(marker, "w").close()
        os.kill(os.getpid(), signal.SIGKILL)
    return work(*args, **kwargs)


def test_a_cluster_that_is_not_there_is_an_error_with_the_way_out(run):
    made = run()
    made.runner.cluster = "tcp://127.0.0.1:9"
    with pytest.raises(SimulationFailed, match="--cluster tcp.*dask scheduler"):
        made.features("train")


def test_the_whole_chain_and_the_replay_of_layer_one_give_the_same_spikes(run):
    made = run(layers=2)
    chain, _ = made.example(2, 20)
    replayed = made.all_spikes(2, "train").samples(0, 20)
    assert chain.n_events > 0
    assert chain == replayed


def test_cached_work_is_not_done_again(run, monkeypatch):
    made = run()
    made.train_svm()
    first = made.features("train")[0]

    def refuse(*args, **kwargs):
        raise AssertionError("simulated again")

    monkeypatch.setattr(made.runner.backend, "open", refuse)
    assert np.array_equal(made.features("train")[0], first)


def test_a_damaged_cache_is_computed_again(run):
    made = run()
    first = made.features("test")[0]
    path = made.store.file("features/test-000")
    path.write_bytes(path.read_bytes()[:-100])
    assert np.array_equal(made.features("test")[0], first)


@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_of_images_without_spikes_are_refused(run, split):
    made = run(trained=False)
    made.load_data()
    stored, arrays = made.stored.data(split), made.data(split)
    more = np.concatenate([arrays["labels"], arrays["labels"][:1]])
    stored.write(arrays["how"], **{name: arrays[name] for name in ("shape", "n_steps", "counts", "neurons", "content",
                                                                   "images")}, labels=more)
    with pytest.raises(StoreError, match=f"labels: must be of {len(more) - 1} images, got {len(more)}"):
        made.data(split)


def test_what_is_held_is_read_once_as_long_as_its_file_stays(run, monkeypatch):
    made, reads = run(trained=False), []
    made.load_data()
    read = RunDirectory.read
    monkeypatch.setattr(RunDirectory, "read", lambda self, name, *rest: reads.append(name) or read(self, name, *rest))
    with made.stored.holding():
        first, second = made.data("train"), made.data("train")
        assert first["spikes"] is second["spikes"] and reads == ["data/train"]
        second["labels"] = None                     # nobody else sees what one does with it
        assert made.data("train")["labels"] is first["labels"]
        made.data("test")
        made.load_data()
        assert made.data("train")["spikes"] is not first["spikes"]
        assert reads == ["data/train", "data/test", "data/train"]
    assert made.stored.held is None
    made.data("train"), made.data("train")
    assert len(reads) == 5


def test_a_retrained_layer_makes_the_classifier_stale(run):
    made = run()
    made.train_svm()
    made.train_layer(1, "random")
    with pytest.raises(StoreError, match="--mode training --layer svm"):
        made.test()


def test_changed_settings_are_noticed_at_every_step(run):
    run(name_of_run := "shared")
    changed = run(name_of_run, trained=False, SLOT=31)
    with pytest.raises(StoreError, match="other settings.*--mode loaddata"):
        changed.features("train")
    reseeded = run(name_of_run, trained=False, SEED=9)
    assert not reseeded.has_data() and not reseeded.is_trained(1) and not reseeded.has_svm()


@pytest.mark.parametrize("step, command", [
    (lambda e: e.train_layer(1), "--mode loaddata"), (lambda e: e.train_layer(2), "--mode loaddata"),
    (lambda e: e.test(), "--mode loaddata")])
def test_a_missing_step_is_named_with_its_command(run, step, command):
    with pytest.raises(StoreError, match=command):
        step(run(trained=False, layers=2))


def test_a_missing_first_layer_is_named_when_the_second_is_trained(run):
    made = run(trained=False, layers=2)
    made.load_data()
    with pytest.raises(StoreError, match="--mode training --layer 1"):
        made.train_layer(2)


def test_deformed_copies_of_hard_images_join_the_fit_and_nothing_else(run):
    plain, joined = run("plain"), run("joined", DEFORMATION=Deformation(copies=2))
    assert np.array_equal(plain.layer(1)["learned"], joined.layer(1)["learned"])
    plain.train_svm()
    joined.train_svm()
    before, after = (made.store.read("svm", "")["coefficients"] for made in (plain, joined))
    counts, labels = joined.features("train")
    first = readout.fit(counts, labels, joined.model.classifier.C, seed=joined.settings.seed)
    assert np.array_equal(first.coefficients, before) and not np.array_equal(after, before)
    near = first.near_margin(counts, labels)
    more, more_labels = joined.deformed_features(near, joined.settings.deformation)
    assert len(more) == 2 * len(near) and more_labels.tolist() == labels[near].repeat(2).tolist() and more.any()
    again = run("again", DEFORMATION=Deformation(copies=2))
    again.train_svm()
    assert np.array_equal(again.store.read("svm", "")["coefficients"], after)


def test_copies_of_all_images_join_the_only_fit_in_parts_with_draws_of_their_own(run, monkeypatch):
    everywhere = Deformation(copies=2, near_margin=False)
    made = run("all", DEFORMATION=everywhere)
    made.train_svm()
    after = made.store.read("svm", "")["coefficients"]
    counts, labels = made.features("train")
    more, more_labels = made.deformed_features(np.arange(len(labels)), everywhere)
    assert len(more) == 2 * len(labels) and more_labels.tolist() == labels.repeat(2).tolist()
    fitted = readout.fit(np.concatenate([counts, more]), np.concatenate([labels, more_labels]),
                         made.model.classifier.C, seed=made.settings.seed)
    assert np.array_equal(fitted.coefficients, after)
    monkeypatch.setattr(loading, "DEFORMED", 5)
    first, *rest = made.images.deformed(np.array([3] * 11), everywhere)
    assert [len(part["labels"]) for part in (first, *rest)] == [10, 10, 2]
    assert len({part["content"] for part in (first, *rest)}) == 3
    part_by_part, _ = made.deformed_features(np.array([3] * 11), everywhere)
    assert part_by_part.dtype == np.uint8 and len(part_by_part) == 22
    assert not np.array_equal(part_by_part[:2], part_by_part[10:12])


def test_another_deformation_makes_the_classifier_stale(run):
    run("shared").train_svm()
    assert not run("shared", trained=False, DEFORMATION=Deformation(copies=2)).has_svm()


def test_splits_do_not_overlap_and_test_images_come_from_the_test_file(run, small_mnist):
    made = run(trained=False)
    assert made.load_data() == {"train": 120, "validation": 40, "test": 60}
    labels = np.frombuffer((small_mnist / "train-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    assert np.array_equal(made.data("train")["labels"], labels[:120])
    assert np.array_equal(made.data("validation")["labels"], labels[-40:])
    labels = np.frombuffer((small_mnist / "t10k-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
    assert np.array_equal(made.data("test")["labels"], labels[:60])


def test_a_killed_run_goes_on_where_it_stopped(parameters, tmp_path):
    """The process is killed as soon as the first replica's counts are there; the rest gives the same features."""
    path = parameters(N_TRAIN=120)
    code = ("import sys; from spikingconvnet.experiment import experiment, replicas, settings\n"
            "replicas.REPLICA_SAMPLES = 10\n"
            "made = experiment.Experiment(settings.load(sys.argv[1]), sys.argv[2]); made.load_data();"
            " made.train_layer(1); made.features('train')")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = subprocess.Popen([sys.executable, "-c", code, path, killed])
    assert patience.wait_until((killed / "features/train-000.npz").exists, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = {p: p.stat().st_mtime_ns for p in (killed / "features").glob("train-*.npz")}
    assert done
    for directory in (killed, whole):
        subprocess.run([sys.executable, "-c", code.replace(
            "made.load_data(); made.train_layer(1);",
            "" if directory == killed else "made.load_data(); made.train_layer(1);"), path, directory], check=True)
    assert {p: p.stat().st_mtime_ns for p in done} == done
    names = sorted(os.listdir(whole / "features"))
    assert len(names) == 12
    for name in names:
        a, b = (np.load(d / "features" / name)["counts"] for d in (killed, whole))
        assert np.array_equal(a, b)


@pytest.mark.parametrize("rule", ["random", "kmeans", "pca"])
def test_floors_go_the_same_way_as_learned_kernels(run, rule):
    made = run(trained=False)
    made.load_data()
    trained = made.train_layer(1, rule)
    assert made.layer(1)["how"]["rule"] == rule
    assert trained.inference.kernels.shape == (4, 2, 5, 4)
    assert np.allclose(trained.inference.kernels.sum(axis=(1, 2, 3)), 0)
    assert made.train_svm().accuracy > 0.5


def test_random_kernels_are_the_ones_that_stdp_starts_from(run):
    made = run(trained=False)
    made.load_data()
    assert np.array_equal(made.train_layer(1, "random").learned, made.train_layer(1, "stdp").initial)
